"""Rules: which signals call people, and when.

They come from the settings, plus the defaults below; a rule that could never work is refused before anything runs, with
a message that names it. What comes out is compared by the evaluator.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from alerts.signals import STATE_SUFFIX, Signal, carries_text
from alerts.states import NoData, Observed, Timing
from settings.model import AlertRule, AlertSettings, SettingsError

CHANNEL_STATE = "alerts.channel.state"
_MISSED_POLLS = 3
_NUMBERS = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_TEXTS = {"==": operator.eq, "!=": operator.ne}


@dataclass(frozen=True)
class Rule:
    """A rule that can be evaluated; `channels` are the names of those to tell."""

    name: str
    signal: str
    labels: tuple[tuple[str, str], ...]
    op: str
    value: float | str
    timing: Timing
    severity: str
    channels: tuple[str, ...]

    @property
    def expression(self) -> str:
        """What is compared with what; a rule whose expression changed starts its clocks again."""
        chosen = ", ".join(f"{key}={text}" for key, text in self.labels)
        value = self.value if isinstance(self.value, str) else f"{self.value:g}"
        return f"{self.signal}{{{chosen}}} {self.op} {value}" if chosen else f"{self.signal} {self.op} {value}"

    def matches(self, signal: Signal) -> bool:
        """Whether this rule looks at that signal."""
        return signal.name == self.signal and all(signal.labels.get(key) == text for key, text in self.labels)

    def observe(self, signal: Signal) -> Observed:
        """Compare one matching signal."""
        if signal.value is None:
            return Observed.NO_DATA
        holds = (_TEXTS if isinstance(self.value, str) else _NUMBERS)[self.op](signal.value, self.value)
        return Observed.TRUE if holds else Observed.FALSE

    def audience(self, labels: dict[str, str]) -> tuple[str, ...]:
        """Who is told; trouble of a channel is told through the others."""
        if self.signal != CHANNEL_STATE:
            return self.channels
        return tuple(name for name in self.channels if name != labels.get("channel"))


def fingerprint(rule: str, labels: dict[str, str]) -> str:
    """Identity of an alert: SHA-256 over the rule's name and the sorted labels, never over values or texts."""
    return sha256(json.dumps([rule, sorted(labels.items())]).encode()).hexdigest()


def load_rules(settings: AlertSettings, poll_seconds: float, channels: Collection[str]) -> tuple[Rule, ...]:
    """Return the rules of the settings and the default rules; an own rule replaces the default of the same name.

    Args:
        settings: the `alerts` part of the settings.
        poll_seconds: pause between polls of the checklist; an unknown check calls after three of them.
        channels: names of the channels that exist.

    Raises:
        SettingsError: a rule could never work; names the rule, what is wrong and what is allowed.
    """
    own: dict[str, Rule] = {}
    for number, rule in enumerate(settings.rules):
        if rule.name in own:
            raise SettingsError(f"alerts.rules: two rules are named {rule.name!r}; give each its own name")
        own[rule.name] = _checked(rule, f"alerts.rules.{number} ({rule.name!r})", channels)
    defaults = default_rules(poll_seconds) if settings.default_rules else ()
    kept = (_checked(rule, "default rule", channels) for rule in defaults if rule.name not in own)
    return (*kept, *own.values())


def default_rules(poll_seconds: float) -> tuple[AlertRule, ...]:
    """The rules that hold without any configuration."""
    return (
        AlertRule(name="check-failed", signal="checklist.state", op="==", value="FAIL", severity="critical"),
        AlertRule(
            name="check-unknown",
            signal="checklist.state",
            op="==",
            value="UNKNOWN",
            for_seconds=_MISSED_POLLS * poll_seconds,
            severity="warning",
        ),
        AlertRule(name="drift", signal="drift.state", op="==", value="drifting", severity="error"),
        # A channel that was removed from the settings is no trouble any more, hence no data is well.
        AlertRule(name="channel-failing", signal=CHANNEL_STATE, op="!=", value="ok", severity="critical", no_data="ok"),
    )


def _checked(rule: AlertRule, place: str, channels: Collection[str]) -> Rule:
    if not rule.signal.strip():
        raise SettingsError(f"{place}: signal is empty; name one, for example checklist.state")
    if isinstance(rule.value, str) and not carries_text(rule.signal):
        raise SettingsError(
            f"{place}: {rule.signal} is a number and cannot be compared with the text {rule.value!r}; write the value "
            f"as a number without quotes (only signals ending in {STATE_SUFFIX} carry text)"
        )
    if carries_text(rule.signal):
        if not isinstance(rule.value, str):
            raise SettingsError(f"{place}: {rule.signal} is a text and cannot be compared with the number {rule.value}")
        if rule.op not in _TEXTS:
            raise SettingsError(
                f"{place}: {rule.op!r} cannot compare the text {rule.value!r}; states are compared with == or !="
            )
    for name in rule.channels:
        if name not in channels:
            known = ", ".join(sorted(channels)) or "none is configured"
            raise SettingsError(f"{place}: there is no channel {name!r} (alerts.channels has: {known})")
    return Rule(
        name=rule.name,
        signal=rule.signal,
        labels=tuple(sorted(rule.labels.items())),
        op=rule.op,
        value=rule.value,
        timing=Timing(
            hold=timedelta(seconds=rule.for_seconds),
            keep_firing=timedelta(seconds=rule.keep_firing_seconds),
            no_data=NoData(rule.no_data),
        ),
        severity=rule.severity,
        channels=tuple(dict.fromkeys(rule.channels or channels)),
    )
