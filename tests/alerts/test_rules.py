"""Which rules are accepted, and what they match."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.rules import CHANNEL_STATE, Rule, fingerprint, load_rules
from alerts.signals import Signal
from alerts.states import Observed
from settings.model import AlertRule, AlertSettings, SettingsError
from tests.alerts.receiver import START


def rules(
    *own: dict[str, Any], default_rules: bool = False, channels: tuple[str, ...] = ("ops", "team")
) -> tuple[Rule, ...]:
    filled = tuple(
        AlertRule(**{"name": f"r{number}", "op": ">", "value": 1, **rule}) for number, rule in enumerate(own)
    )
    return load_rules(AlertSettings(rules=filled, default_rules=default_rules), 15, channels)


def signal(name: str, value: float | str | None, **labels: str) -> Signal:
    return Signal(name, labels, value, at=START)


def test_a_rule_matches_by_name_and_by_the_labels_it_names() -> None:
    (rule,) = rules({"signal": "usage.output_tps", "labels": {"pipeline": "rag"}})
    assert rule.matches(signal("usage.output_tps", 0.0, pipeline="rag", model="m"))
    assert not rule.matches(signal("usage.output_tps", 0.0, pipeline="other"))
    assert not rule.matches(signal("usage.output_tps", 0.0))
    assert not rule.matches(signal("usage.input_tps", 0.0, pipeline="rag"))


@pytest.mark.parametrize(
    ("op", "limit", "value", "observed"),
    [
        (">", 2, 2.0, Observed.FALSE),
        (">=", 2, 2.0, Observed.TRUE),
        ("<", 2, 1.9, Observed.TRUE),
        ("<=", 2, 2.1, Observed.FALSE),
        ("==", 0, 0.0, Observed.TRUE),
        ("!=", 0, 0.0, Observed.FALSE),
        ("<", 2, None, Observed.NO_DATA),
        ("<", 2, float("nan"), Observed.NO_DATA),
        (">", 2, float("inf"), Observed.NO_DATA),
    ],
)
def test_numbers_are_compared_and_unknown_is_no_data(
    op: str, limit: float, value: float | None, observed: Observed
) -> None:
    (rule,) = rules({"signal": "usage.tps", "op": op, "value": limit})
    assert rule.observe(signal("usage.tps", value)) is observed


def test_states_are_compared_as_text() -> None:
    equal, unequal = rules(
        {"signal": "checklist.state", "op": "==", "value": "FAIL"},
        {"signal": "checklist.state", "op": "!=", "value": "OK"},
    )
    assert [rule.observe(signal("checklist.state", "WARN")) for rule in (equal, unequal)] == [
        Observed.FALSE,
        Observed.TRUE,
    ]


def test_without_a_rule_failed_and_unknown_checks_drift_and_channels_call() -> None:
    found = {rule.name: rule for rule in rules(default_rules=True)}
    assert set(found) == {"check-failed", "check-unknown", "drift", "channel-failing"}
    assert found["check-failed"].observe(signal("checklist.state", "FAIL", check="cdc")) is Observed.TRUE
    assert [found[name].severity for name in ("check-failed", "check-unknown", "drift")] == [
        "critical",
        "warning",
        "error",
    ]
    # three polls of 15 s
    assert found["check-unknown"].timing.hold.total_seconds() == 45
    assert found["drift"].channels == ("ops", "team")


def test_an_own_rule_replaces_the_default_of_its_name() -> None:
    mine = {"name": "drift", "signal": "drift.state", "op": "==", "value": "drifting", "severity": "info"}
    found = rules(mine, default_rules=True)
    assert [rule.severity for rule in found if rule.name == "drift"] == ["info"]


def test_trouble_of_a_channel_is_told_through_the_others() -> None:
    (rule,) = (rule for rule in rules(default_rules=True) if rule.signal == CHANNEL_STATE)
    assert rule.audience({"channel": "ops"}) == ("team",)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"signal": "checklist.state", "op": ">", "value": "FAIL"}, "'>' cannot compare the text 'FAIL'"),
        ({"signal": "checklist.state", "op": "==", "value": 3}, "is a text and cannot be compared with the number"),
        ({"signal": "usage.tps", "op": ">", "value": "5"}, "without quotes"),
        ({"signal": " "}, "signal is empty"),
        (
            {"signal": "usage.tps", "channels": ("pager",)},
            "there is no channel 'pager' (alerts.channels has: ops, team)",
        ),
    ],
)
def test_a_rule_that_cannot_work_is_refused_by_name(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        rules(rule)
    assert message in str(refused.value)
    assert "alerts.rules.0 ('r0')" in str(refused.value)


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(SettingsError, match="two rules are named 'x'"):
        rules({"name": "x", "signal": "a.b"}, {"name": "x", "signal": "a.c"})


def test_an_alert_is_identified_by_rule_and_labels_in_any_order() -> None:
    one = fingerprint("r", {"a": "1", "b": "2"})
    assert one == fingerprint("r", {"b": "2", "a": "1"})
    assert (
        len(
            {one, fingerprint("r", {"a": "1"}), fingerprint("q", {"a": "1", "b": "2"}), fingerprint("r", {"a": "1=b2"})}
        )
        == 4
    )


def test_a_signal_keeps_text_and_numbers_apart_and_its_labels_storable() -> None:
    with pytest.raises(ValueError, match="carry text"):
        signal("checklist.state", 1.0)
    with pytest.raises(ValueError, match="others numbers"):
        signal("usage.tps", "fast")
    with pytest.raises(ValueError, match="time zone"):
        Signal("a.b", {}, 1.0, at=START.replace(tzinfo=None))
    assert signal("a.b", 1.0, key="a\0b\ud800").labels == {"key": "a\ufffdb?"}
