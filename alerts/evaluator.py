"""Evaluates the rules: reads signals, advances every alert, and stores new states, history and messages together.

All of it stands in the control store, so a restart continues where the last evaluation ended; because states and
messages are committed in one transaction, a crash neither loses nor doubles a message.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from alerts import outbox
from alerts.message import MessageType, Notice, body
from alerts.records import AlertEvent, AlertInstance, ChannelRecord
from alerts.rules import CHANNEL_STATE, Rule, fingerprint
from alerts.signals import Signal, SignalSource
from alerts.states import Life, NoData, Observed, State, Transition, close, restart_clock, step
from store import lease
from store.control import ControlStore

LEASE = timedelta(seconds=15)
TASK = "alerts"
_FAILING_AFTER = 3
_SEEN_EVERY = timedelta(hours=1)
_LIFE = ("episode", "pending_since", "firing_since", "resolved_at", "held", "clock_at")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation did; `leading` is False when another process holds the lease and nothing was done."""

    leading: bool
    transitions: tuple[tuple[str, Transition], ...] = ()


@dataclass(frozen=True)
class _Finding:
    """What one rule finds for one set of labels."""

    rule: Rule
    labels: dict[str, str]
    value: float | str | None
    observed: Observed


@dataclass
class _Round:
    session: Session
    now: datetime
    known: dict[str, AlertInstance]
    transitions: list[tuple[str, Transition]] = field(default_factory=list)


class Evaluator:
    """Evaluates one set of rules against one source of signals."""

    def __init__(
        self,
        store: ControlStore,
        rules: Sequence[Rule],
        signals: SignalSource,
        *,
        dashboard_url: str = "",
        holder: str | None = None,
        lease_length: timedelta = LEASE,
        new_id: Callable[[], str] = outbox.new_message_id,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._rules = tuple(rules)
        self._signals = signals
        self._dashboard_url = dashboard_url
        self._holder = holder or lease.new_holder()
        self._lease_length = lease_length
        self._new_id = new_id
        self._elapsed = elapsed

    def evaluate_once(self, now: datetime) -> Evaluation:
        """Read the signals of `now` and advance every alert, in one transaction.

        A source that fails is no data: each rule's `no_data` says what that means.
        """
        began = self._elapsed()
        signals = [*self._read(now), *self._channel_signals(now)]
        with self._store.write() as session:
            # What was read before a long pause is history: others may have evaluated since.
            late = timedelta(seconds=self._elapsed() - began) > self._lease_length
            if late or lease.take(session, TASK, self._holder, now, self._lease_length) is None:
                return Evaluation(leading=False)
            known = {alert.fingerprint: alert for alert in session.scalars(sa.select(AlertInstance))}
            ongoing = _Round(session, now, known)
            for rule in self._rules:
                mine = [alert for alert in known.values() if alert.rule == rule.name]
                for finding in _findings(rule, signals, mine):
                    self._advance(ongoing, finding)
            self._close_orphans(ongoing)
        for name, transition in ongoing.transitions:
            _log.info("alert %s: %s", name, transition)
        return Evaluation(leading=True, transitions=tuple(ongoing.transitions))

    def resolve(self, identity: str, now: datetime) -> bool:
        """End one alert by hand, by its fingerprint; it fires again if its rule still holds.

        For alerts whose signal will never come back. False when there is no such alert or it does not fire.
        """
        with self._store.write() as session:
            lease.wait(session, TASK)
            alert = session.get(AlertInstance, identity)
            if alert is None or alert.state != State.FIRING:
                return False
            life, transition = close(_life(alert), now)
            _live(alert, life)
            self._tell(_Round(session, now, {}), alert, transition, "resolved by hand")
            return True

    def release(self) -> None:
        """Let another process evaluate at once; called at a clean end."""
        with self._store.write() as session:
            lease.release(session, TASK, self._holder, lease.store_time(session))

    def _read(self, now: datetime) -> Sequence[Signal]:
        try:
            return self._signals(now)
        except Exception:  # noqa: BLE001  the source is foreign; alerting goes on without it
            _log.exception("the signals could not be read: every rule sees no data")
            return ()

    def _channel_signals(self, now: datetime) -> list[Signal]:
        with self._store.read() as session:
            channels = session.scalars(sa.select(ChannelRecord)).all()
        return [Signal(CHANNEL_STATE, {"channel": known.name}, _channel_state(known), at=now) for known in channels]

    def _advance(self, ongoing: _Round, finding: _Finding) -> None:
        rule, now = finding.rule, ongoing.now
        identity = fingerprint(rule.name, finding.labels)
        alert = ongoing.known.get(identity)
        if alert is None:
            alert = _new_instance(identity, finding, now)
            ongoing.session.add(alert)
        life = _life(alert)
        if alert.expression != rule.expression:
            life, alert.expression = restart_clock(life), rule.expression
        life, transition = step(life, finding.observed, now, rule.timing)
        alert.severity = rule.severity
        alert.no_data = finding.observed is Observed.NO_DATA
        kept = finding.observed is Observed.NO_DATA and rule.timing.no_data is NoData.KEEP
        if not kept and (life.state in {State.PENDING, State.FIRING} or transition is not None):
            _set_value(alert, finding.value)
        if not alert.no_data and now - alert.seen_at >= _SEEN_EVERY:
            alert.seen_at = now
        _live(alert, life)
        if transition is Transition.FIRING:
            alert.channels = list(rule.audience(finding.labels))
        self._tell(ongoing, alert, transition, rule.expression)

    def _close_orphans(self, ongoing: _Round) -> None:
        expressions = {rule.name: rule.expression for rule in self._rules}
        for alert in ongoing.known.values():
            if expressions.get(alert.rule) != alert.expression:
                life, transition = close(_life(alert), ongoing.now)
                _live(alert, life)
                self._tell(ongoing, alert, transition, "its rule was removed or looks elsewhere now")

    def _tell(self, ongoing: _Round, alert: AlertInstance, transition: Transition | None, reason: str) -> None:
        if transition is None:
            return
        summary = f"{alert.rule} {transition}: {_reading(alert)} ({reason})"
        event = AlertEvent(
            at=ongoing.now,
            fingerprint=alert.fingerprint,
            episode=alert.episode,
            transition=transition,
            rule=alert.rule,
            severity=alert.severity,
            labels=alert.labels,
            number=alert.number,
            text=alert.text,
            summary=summary,
        )
        ongoing.session.add(event)
        ongoing.transitions.append((alert.rule, transition))
        if transition in {Transition.FIRING, Transition.RESOLVED}:
            message = body(_notice(alert, event, self._dashboard_url))
            outbox.enqueue(ongoing.session, event, message, alert.channels, self._new_id)


def _findings(rule: Rule, signals: Iterable[Signal], mine: Iterable[AlertInstance]) -> list[_Finding]:
    """Every set of labels the rule must look at: those of its signals, and those whose signal has vanished."""
    latest: dict[str, Signal] = {}
    for signal in signals:
        if rule.matches(signal):
            identity = fingerprint(rule.name, dict(signal.labels))
            if identity not in latest or latest[identity].at <= signal.at:
                latest[identity] = signal
    found = [_Finding(rule, dict(signal.labels), signal.value, rule.observe(signal)) for signal in latest.values()]
    general = dict(rule.labels)
    absent = {
        alert.fingerprint: alert.labels
        for alert in mine
        if alert.fingerprint not in latest and alert.expression == rule.expression
    }
    if not latest and not absent and rule.timing.no_data is NoData.FIRE:
        absent = {fingerprint(rule.name, general): general}
    for labels in absent.values():
        # An alert under the rule's own labels stands for "no signal at all": any signal ends it.
        over = bool(latest) and labels == general
        found.append(_Finding(rule, labels, None, Observed.FALSE if over else Observed.NO_DATA))
    return found


def _channel_state(known: ChannelRecord) -> str:
    if known.disabled_at is not None:
        return "disabled"
    return "failing" if known.consecutive_failures >= _FAILING_AFTER else "ok"


def _new_instance(identity: str, finding: _Finding, now: datetime) -> AlertInstance:
    alert = AlertInstance(
        fingerprint=identity,
        rule=finding.rule.name,
        expression=finding.rule.expression,
        labels=finding.labels,
        channels=[],
        seen_at=now,
    )
    _live(alert, Life())
    return alert


def _life(alert: AlertInstance) -> Life:
    return Life(State(alert.state), *(getattr(alert, name) for name in _LIFE))


def _live(alert: AlertInstance, life: Life) -> None:
    alert.state = life.state
    for name in _LIFE:
        setattr(alert, name, getattr(life, name))


def _set_value(alert: AlertInstance, value: float | str | None) -> None:
    alert.number = None if isinstance(value, str) else value
    alert.text = value if isinstance(value, str) else None


def _reading(alert: AlertInstance) -> str:
    labels = ", ".join(f"{key}={text}" for key, text in sorted(alert.labels.items())) or "no labels"
    value = alert.text if alert.text is not None else alert.number
    return f"{labels} is {'without data' if value is None else value}"


def _notice(alert: AlertInstance, event: AlertEvent, dashboard_url: str) -> Notice:
    resolved = event.transition == Transition.RESOLVED
    return Notice(
        type=MessageType.RESOLVED if resolved else MessageType.FIRING,
        at=event.at,
        rule=alert.rule,
        severity=alert.severity,
        labels=alert.labels,
        value=alert.text if alert.text is not None else alert.number,
        summary=event.summary,
        starts_at=alert.firing_since or event.at,
        ends_at=event.at if resolved else None,
        fingerprint=alert.fingerprint,
        episode=alert.episode,
        dashboard_url=dashboard_url,
    )
