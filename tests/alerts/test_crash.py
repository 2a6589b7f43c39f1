"""kill -9 at any moment, two processes, a receiver that fails: every message arrives, in order, under one id."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from alerts.records import AlertEvent, AlertInstance, DeliveryAttempt, MessageStatus, OutboxMessage
from alerts.states import State, Transition
from store.control import ControlStore
from tests.alerts.receiver import Answer, Received, Receiver

ROOT = Path(__file__).parents[2]
LINES = [f"line-{number}" for number in range(6)]
KILLS = 6
FLIPS = 3


def await_ready(worker: subprocess.Popen[str]) -> None:
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"


def until(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def replace(path: Path, lines: dict[str, bool]) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(lines))
    fresh.replace(path)


def test_kill_9_neither_loses_nor_doubles_nor_reorders(store: ControlStore, receiver: Receiver, tmp_path: Path) -> None:
    chance = random.Random(20260301)
    receiver.respond = lambda _number: Answer(503) if chance.random() < 0.3 else Answer()
    switches = tmp_path / "switches.json"
    lines = dict.fromkeys(LINES, False)
    replace(switches, lines)
    epoch = str(time.time())
    url = store.engine.url.render_as_string(hide_password=False)

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.alerts.worker", url, receiver.url, str(switches), epoch],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    workers = [start(), start()]
    try:
        for kill in range(KILLS):
            await_ready(workers[kill % 2])
            for name in chance.sample(LINES, FLIPS):
                before, asked = changes(store), len(receiver.requests)
                lines[name] = not lines[name]
                replace(switches, lines)
                until(lambda before=before: changes(store) > before, f"{name} is noticed")
                if lines[name] and chance.random() < 0.7:
                    until(lambda asked=asked: len(receiver.requests) > asked, f"{name} is told")
            time.sleep(chance.uniform(0, 0.02))
            workers[kill % 2].kill()
            workers[kill % 2].wait()
            workers[kill % 2] = start()
        replace(switches, dict.fromkeys(LINES, False))
        until(lambda: is_quiet(store), "everything is resolved and told")
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()

    messages = stored(store)
    assert MessageStatus.DEAD not in {message.status for message in messages.values()}
    told_once_each(store)
    taken = {request.id for request in receiver.taken}
    assert taken == {key for key, message in messages.items() if message.status == MessageStatus.DONE}
    assert len(taken) >= KILLS * FLIPS // 3
    in_order(receiver.taken, messages)


def stored(store: ControlStore) -> dict[str, OutboxMessage]:
    with store.read() as session:
        return {message.message_id: message for message in session.scalars(sa.select(OutboxMessage))}


def changes(store: ControlStore) -> int:
    with store.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(AlertEvent)) or 0


def is_quiet(store: ControlStore) -> bool:
    with store.read() as session:
        states = session.scalars(sa.select(AlertInstance.state)).all()
        pending = session.scalars(
            sa.select(OutboxMessage.id).where(OutboxMessage.status == MessageStatus.PENDING)
        ).first()
    return len(states) == len(LINES) and State.FIRING not in states and pending is None


def told_once_each(store: ControlStore) -> None:
    """The history of each alert is firing, resolved, firing, resolved ..., and each has its one message."""
    history: dict[str, list[tuple[str, int]]] = defaultdict(list)
    with store.read() as session:
        events = session.scalars(sa.select(AlertEvent).order_by(AlertEvent.id)).all()
        told = session.scalars(sa.select(OutboxMessage.event_id).order_by(OutboxMessage.event_id)).all()
        attempts = session.scalars(sa.select(DeliveryAttempt.id)).all()
    assert list(told) == [event.id for event in events]
    assert attempts
    for event in events:
        history[event.fingerprint].append((event.transition, event.episode))
    for found in history.values():
        episodes = len(found) // 2
        wanted = [(kind, n) for n in range(1, episodes + 1) for kind in (Transition.FIRING, Transition.RESOLVED)]
        assert found == wanted


def in_order(taken: list[Received], messages: dict[str, OutboxMessage]) -> None:
    """Leaving out repeats of an id, each alert is told firing before resolved and episode after episode."""
    first: dict[str, Received] = {}
    for request in taken:
        known = first.setdefault(request.id, request)
        assert known.body == request.body
        assert request.body.decode() == messages[request.id].body
    told: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for request in first.values():
        data = request.json["data"]
        told[data["fingerprint"]].append((data["episode"], data["status"]))
    for found in told.values():
        assert found == sorted(found), "firing sorts before resolved"
        assert len(found) == len(set(found))
        assert {status for _, status in found} == {"firing", "resolved"}
        assert len(found) % 2 == 0
