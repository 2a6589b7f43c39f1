"""What a channel is, and which there are.

A channel turns one stored message into one attempt and says what came of it; when to try again is the outbox's
business. Kinds are entry points of the group `andon.channels`, ours and anybody's alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from settings.model import SettingsError, WebhookChannelSettings

GROUP = "andon.channels"


@dataclass(frozen=True)
class Outcome:
    """What one attempt came to.

    Attributes:
        status: HTTP status, None when there was no answer.
        error: None when the receiver took the message; else why not, for a person to read.
        retry_after: how long the receiver asks to be left alone.
        gone: the receiver wants no more messages, ever.
    """

    status: int | None = None
    error: str | None = None
    retry_after: timedelta | None = None
    gone: bool = False

    @property
    def delivered(self) -> bool:
        """Whether the receiver took the message."""
        return self.error is None


class Channel(Protocol):
    """Somewhere messages go."""

    @property
    def name(self) -> str:
        """The name that rules refer to."""

    @property
    def target(self) -> str:
        """A digest of where messages go: a disabled channel that is pointed elsewhere is tried again."""

    def send(self, message_id: str, body: str, at: datetime) -> Outcome:
        """Make one attempt and never raise for what the network or the receiver does.

        Args:
            message_id: the same at every attempt of one message.
            body: the JSON document, to be sent as it is.
            at: time of the attempt.
        """


class ChannelKind(Protocol):
    """What an entry point of the group names: a class that makes channels."""

    def from_settings(self, settings: WebhookChannelSettings) -> Channel:
        """Make a channel, or raise SettingsError for one that cannot work."""


def load_channels(
    configured: Iterable[WebhookChannelSettings], kinds: Iterable[EntryPoint] | None = None
) -> dict[str, Channel]:
    """Return the channels by name.

    Raises:
        SettingsError: a name is used twice, a kind is unknown, or a channel refuses its settings.
    """
    known = {kind.name: kind for kind in (entry_points(group=GROUP) if kinds is None else kinds)}
    channels: dict[str, Channel] = {}
    for settings in configured:
        if settings.name in channels:
            raise SettingsError(f"alerts.channels: two channels are named {settings.name!r}; give each its own name")
        if settings.kind not in known:
            raise SettingsError(
                f"alerts.channels ({settings.name!r}): there is no kind {settings.kind!r}; installed kinds: "
                f"{', '.join(sorted(known)) or 'none'}"
            )
        kind: ChannelKind = known[settings.kind].load()
        channels[settings.name] = kind.from_settings(settings)
    return channels
