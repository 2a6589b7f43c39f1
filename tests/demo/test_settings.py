"""The settings of the demo fit what the other rooms make of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from alerts.channel import load_channels
from alerts.rules import load_rules
from demo.pipelines import ANSWERS, PIPELINES, PROVIDER, SUMMARIES
from demo.settings import POSTGRES_VARIABLE, demo_settings, new_secret
from drift.signals import Question
from economics.prices import rate_card
from settings import Settings


def demo(environ: dict[str, str] | None = None) -> Settings:
    return demo_settings(Path("data"), "http://127.0.0.1:9/webhook", new_secret(), environ=environ or {})


def test_the_pool_serves_both_models() -> None:
    (pool,) = demo().pools
    assert pool.serves.models == (ANSWERS, SUMMARIES)
    assert pool.serves.providers == (PROVIDER,)


def test_the_baseline_of_the_cost_check_has_a_price() -> None:
    tco = demo().checklist.tco
    assert tco.baseline_provider
    assert tco.baseline_model
    assert rate_card(tco.baseline_provider, tco.baseline_model, 0, datetime(2026, 1, 1, tzinfo=UTC)) is not None


def test_monitors_ask_what_the_pipelines_answer_and_can_start_by_themselves() -> None:
    monitors = demo().drift.monitors
    assert [Question.of(monitor).key for monitor in monitors]
    assert {monitor.signal for monitor in monitors} == {
        "feature.prompt_length",
        "output_tokens",
        "time_to_first_token_seconds",
    }
    assert all(monitor.auto_baseline and monitor.pipeline in PIPELINES for monitor in monitors)


def test_baselines_are_there_before_the_incident() -> None:
    for monitor in demo().drift.monitors:
        needed = (monitor.min_windows + 1) * monitor.window_seconds + monitor.grace_seconds
        assert needed + demo().drift.poll_seconds < 60


def test_all_three_pipelines_are_expected() -> None:
    assert demo().checklist.observability.expected_pipelines == PIPELINES


def test_rules_and_the_channel_can_be_loaded() -> None:
    settings = demo()
    channels = load_channels(settings.alerts.channels)
    rules = load_rules(settings.alerts, settings.checklist.poll_seconds, channels.keys())
    assert [rule.name for rule in rules].count("check-unknown") == 1
    assert {"check-failed", "drift"} <= {rule.name for rule in rules}


def test_replication_is_watched_only_where_a_database_is_named() -> None:
    assert demo().checklist.cdc == ()
    (source,) = demo({POSTGRES_VARIABLE: "postgresql://127.0.0.1/demo"}).checklist.cdc
    assert source.url.get_secret_value() == "postgresql://127.0.0.1/demo"
