"""Settings: arguments beat the environment, which beats the defaults; what cannot work is said."""

from __future__ import annotations

import pytest
from andon.settings import OBSERVATION_QUEUE, SPAN_QUEUE, QueueLimits, SettingsError, is_disabled, resolve

BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
LOGS = "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"


@pytest.mark.parametrize(
    ("argument", "env", "traces", "logs", "given"),
    [
        (None, {}, "http://127.0.0.1:4318/v1/traces", "http://127.0.0.1:4318/v1/logs", False),
        (None, {BASE: "http://a:1/"}, "http://a:1/v1/traces", "http://a:1/v1/logs", False),
        (None, {BASE: "http://a:1", TRACES: "http://b/x"}, "http://b/x", "http://a:1/v1/logs", False),
        (None, {LOGS: "http://c/y"}, "http://127.0.0.1:4318/v1/traces", "http://c/y", False),
        (
            None,
            {"ANDON_ENDPOINT": "http://d:2", TRACES: "http://b/x"},
            "http://d:2/v1/traces",
            "http://d:2/v1/logs",
            True,
        ),
        ("https://e", {"ANDON_ENDPOINT": "http://d:2"}, "https://e/v1/traces", "https://e/v1/logs", True),
        ("http://e:3/v1/traces", {}, "http://e:3/v1/traces", "http://e:3/v1/logs", True),
        ("http://e:3/prefix/", {}, "http://e:3/prefix/v1/traces", "http://e:3/prefix/v1/logs", True),
    ],
    ids=["default", "base", "traces", "logs", "andon", "argument", "whole url", "prefix"],
)
def test_the_address_of_the_collector(
    argument: str | None, env: dict[str, str], traces: str, logs: str, given: bool
) -> None:
    settings = resolve(env, endpoint=argument)
    assert (settings.traces_url, settings.logs_url, settings.endpoint_given) == (traces, logs, given)


@pytest.mark.parametrize("address", ["localhost:4318", "ftp://a", "http://", "4318"])
def test_an_address_that_is_none_is_named_with_what_is_allowed(address: str) -> None:
    with pytest.raises(SettingsError, match="is not an address; write it as http://HOST:PORT") as caught:
        resolve({}, endpoint=address)
    assert repr(address) in str(caught.value)


def test_queue_bounds_come_from_the_standard_variables() -> None:
    env = {
        "OTEL_BSP_MAX_QUEUE_SIZE": "100",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "500",
        "OTEL_BSP_SCHEDULE_DELAY": "250",
        "OTEL_BLRP_MAX_QUEUE_SIZE": "7",
    }
    settings = resolve(env)
    assert settings.spans == QueueLimits(max_items=100, max_batch=100, delay_seconds=0.25)
    assert settings.observations == QueueLimits(max_items=7, max_batch=7, delay_seconds=1.0, max_bytes=32 * 2**20)
    assert (resolve({}).spans, resolve({}).observations) == (SPAN_QUEUE, OBSERVATION_QUEUE)


def test_the_bounds_of_observations_have_variables_of_their_own(caplog: pytest.LogCaptureFixture) -> None:
    settings = resolve({"ANDON_OBSERVE_MAX_BYTES": "1000", "ANDON_OBSERVE_ROWS_PER_SECOND": "0"})
    assert (settings.observations.max_bytes, settings.observed_rows_per_second) == (1000, 0)
    assert resolve({}).observed_rows_per_second == 2000
    assert resolve({"ANDON_OBSERVE_ROWS_PER_SECOND": "-5"}).observed_rows_per_second == 2000
    assert "ANDON_OBSERVE_ROWS_PER_SECOND='-5' is ignored, 2000 is used; allowed: a whole number, 0 or" in caplog.text


def test_a_bound_that_is_no_number_is_said_and_the_default_holds(caplog: pytest.LogCaptureFixture) -> None:
    assert resolve({"OTEL_BSP_MAX_QUEUE_SIZE": "-1"}).spans == SPAN_QUEUE
    assert "OTEL_BSP_MAX_QUEUE_SIZE='-1' is ignored, 2048 is used; allowed: a whole number above 0" in caplog.text


@pytest.mark.parametrize("name", ["ANDON_DISABLED", "OTEL_SDK_DISABLED"])
def test_either_switch_turns_the_sdk_off(name: str) -> None:
    assert is_disabled({name: "True"})
    assert not is_disabled({name: "false"})
    assert not is_disabled({})
