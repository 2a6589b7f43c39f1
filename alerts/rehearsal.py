"""Test-fire: a message without an alert, through the same outbox, retries and channels as a real one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from datetime import datetime

from alerts import outbox
from alerts.message import MessageType, Notice, body
from alerts.records import AlertEvent
from alerts.states import Transition
from store.control import ControlStore

RULE = "test"
SUMMARY = "A test of the alert channels; nothing is wrong."


def test_fire(
    store: ControlStore,
    channels: Iterable[str],
    now: datetime,
    *,
    dashboard_url: str = "",
    new_id: Callable[[], str] = outbox.new_message_id,
) -> int:
    """Store one `alert.test` message for each of the named channels; return the id of its event in the history.

    The deliverer sends them like any other; `alerts.status.recent_events` tells what became of each.
    """
    identity = f"test-{uuid.uuid4().hex}"
    with store.write() as session:
        event = AlertEvent(
            at=now,
            fingerprint=identity,
            episode=1,
            transition=Transition.TEST,
            rule=RULE,
            severity="info",
            labels={},
            summary=SUMMARY,
        )
        session.add(event)
        notice = Notice(
            type=MessageType.TEST,
            at=now,
            rule=RULE,
            severity="info",
            labels={},
            value=None,
            summary=SUMMARY,
            starts_at=now,
            ends_at=None,
            fingerprint=identity,
            episode=1,
            dashboard_url=dashboard_url,
        )
        outbox.enqueue(session, event, body(notice), list(channels), new_id)
        return event.id
