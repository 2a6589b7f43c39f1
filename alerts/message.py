"""What a receiver is told: one small JSON document, made once and posted unchanged at every attempt.

Made by the evaluator from a transition, stored in the outbox, signed and sent by a channel.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from alerts.states import State

MAX_BODY_BYTES = 20_000
_MAX_LABELS = 24
_TEXT_LIMITS = (1000, 250, 50)


class MessageType(StrEnum):
    """The `type` of a message."""

    FIRING = "alert.firing"
    RESOLVED = "alert.resolved"
    TEST = "alert.test"


@dataclass(frozen=True)
class Notice:
    """The facts of one message; times are timezone-aware, `value` is None without data."""

    type: MessageType
    at: datetime
    rule: str
    severity: str
    labels: Mapping[str, str]
    value: float | str | None
    summary: str
    starts_at: datetime
    ends_at: datetime | None
    fingerprint: str
    episode: int
    dashboard_url: str


def body(notice: Notice) -> str:
    """Return the JSON text, always under 20 000 bytes; texts that had to be cut end in an ellipsis.

    `data.truncated` is true when a text was cut or a label left out.
    """
    whole = _document(notice, None)
    if _size(whole) < MAX_BODY_BYTES:
        return whole
    for limit in _TEXT_LIMITS:
        cut = _document(notice, limit)
        if _size(cut) < MAX_BODY_BYTES:
            return cut
    return _document(notice, _TEXT_LIMITS[-1])


def iso(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _document(notice: Notice, limit: int | None) -> str:
    def fit(text: str) -> str:
        return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"

    shown = sorted(notice.labels.items())[: None if limit is None else _MAX_LABELS]
    data: dict[str, object] = {
        "rule": fit(notice.rule),
        "severity": notice.severity,
        "status": State.RESOLVED if notice.type is MessageType.RESOLVED else State.FIRING,
        "labels": {fit(key): fit(text) for key, text in shown},
        "value": fit(notice.value) if isinstance(notice.value, str) else notice.value,
        "summary": fit(notice.summary),
        "starts_at": iso(notice.starts_at),
        "ends_at": None if notice.ends_at is None else iso(notice.ends_at),
        "fingerprint": notice.fingerprint,
        "episode": notice.episode,
        "dashboard_url": notice.dashboard_url,
    }
    if limit is not None:
        data["truncated"] = True
    return json.dumps({"type": notice.type, "timestamp": iso(notice.at), "data": data}, ensure_ascii=False)


def _size(text: str) -> int:
    return len(text.encode("utf-8"))
