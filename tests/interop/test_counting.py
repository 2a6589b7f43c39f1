"""Usage that both a family of instrumentation and a decorated function tell is counted once, in a running collector."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.interop.families import FAMILIES, run_family
from tests.interop.openai_server import CHAT, EMBEDDING, STREAM
from tests.servers import ServeProcess, wait_until

pytestmark = pytest.mark.long

COUNTED = ("calls", "calls_without_usage", "input_tokens", "output_tokens")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    with ServeProcess(tmp_path_factory.mktemp("interop") / "data") as server:
        yield server


def summary(server: ServeProcess) -> dict[str, int]:
    found: dict[str, Any] = server.get("/api/v1/summary", window="1h")
    return {name: found[name] or 0 for name in COUNTED}


def counted(server: ServeProcess, family: str, *parts: str) -> dict[str, int]:
    """What a run of the program adds to the summary."""
    before, accepted = summary(server), server.metric("andon_collector_accepted_rows_total", table="spans")
    run_family(family, "andon", server.otlp_url, *parts)

    def stored() -> bool:
        now = server.metric("andon_collector_accepted_rows_total", table="spans")
        return accepted < now == server.metric("andon_writer_rows_total", table="spans")

    wait_until(stored, "every accepted span is stored")
    wait_until(lambda: summary(server)["calls"] > before["calls"], "the summary has seen them")
    after = summary(server)
    return {name: after[name] - before[name] for name in COUNTED}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_stage_that_records_what_its_instrumented_client_used_counts_once(server: ServeProcess, family: str) -> None:
    # Logfire makes two spans of a stream, and only the second, at its end, knows the usage.
    more = 1 if family == "logfire" else 0
    assert counted(server, family, "chat", "stream", "embed") == {
        "calls": 3 + more,
        "calls_without_usage": more,
        "input_tokens": CHAT.input + STREAM.input + EMBEDDING.input,
        "output_tokens": CHAT.output + STREAM.output,
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_a_stage_that_returns_what_its_instrumented_client_gave_counts_once(server: ServeProcess, family: str) -> None:
    more = 1 if family == "logfire" else 0
    assert counted(server, family, "returned") == {
        "calls": 3 + more,
        "calls_without_usage": more,
        "input_tokens": CHAT.input + STREAM.input + EMBEDDING.input,
        "output_tokens": CHAT.output + STREAM.output,
    }


@pytest.mark.parametrize("family", ["genai-openai", "openinference"])
def test_a_stage_that_records_two_calls_of_one_model_is_their_total(server: ServeProcess, family: str) -> None:
    assert counted(server, family, "twice") == {
        "calls": 2,
        "calls_without_usage": 0,
        "input_tokens": 2 * CHAT.input,
        "output_tokens": 2 * CHAT.output,
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_a_stage_that_records_calls_of_two_models_counts_each_once(server: ServeProcess, family: str) -> None:
    assert counted(server, family, "both") == {
        "calls": 2,
        "calls_without_usage": 0,
        "input_tokens": CHAT.input + EMBEDDING.input,
        "output_tokens": CHAT.output,
    }


def test_what_the_families_sent_stands_on_the_account_of_the_pipeline_and_the_model(server: ServeProcess) -> None:
    counted(server, "openinference", "chat")
    found = server.get("/api/v1/summary", window="1h")
    models = {row["labels"]["model"] for row in found["models"]}
    assert models <= {"gpt-4o-mini", "gpt-4o-mini-2024-07-18", "text-embedding-3-small"}
    assert {row["labels"]["provider"] for row in found["models"]} == {"openai"}
    by_pipeline = {row["labels"]["pipeline"]: row["quantities"]["output_tokens"] for row in found["pipelines"]}
    # All but the end of Logfire's stream, which it tells in a context of its own.
    assert by_pipeline["support-rag"] >= found["output_tokens"] - STREAM.output
