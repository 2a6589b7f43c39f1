"""Tokens: summed on the innermost decorated call, never mixed between models, never lost, never wrong."""

from __future__ import annotations

import threading
from typing import Any

import andon
import pytest
from andon.ledger import Caller, Entry, add_to
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace

USAGE = "gen_ai.usage."


def test_usage_stands_on_the_innermost_decorated_call(recorded: Any) -> None:
    @andon.stage("generate")
    def generate() -> None:
        andon.record_tokens(
            input=1000, output=120, cache_read=600, cache_write=100, reasoning=50, model="opus", provider="anthropic"
        )

    @andon.pipeline("support-rag")
    def answer() -> None:
        generate()

    answer()
    found = recorded.attributes("generate")
    assert {name: value for name, value in found.items() if name.startswith("gen_ai.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "opus",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 120,
        "gen_ai.usage.cache_read.input_tokens": 600,
        "gen_ai.usage.cache_write.input_tokens": 100,
        "gen_ai.usage.reasoning.output_tokens": 50,
    }
    assert set(recorded.attributes("support-rag")) == {"andon.pipeline", "andon.run.id"}


def test_only_what_was_given_is_written_and_zero_is_given(recorded: Any) -> None:
    @andon.stage("embed")
    def embed() -> None:
        andon.record_tokens(input=7, output=0, operation="embeddings")

    embed()
    found = {name: value for name, value in recorded.attributes("embed").items() if name.startswith("gen_ai.")}
    assert found == {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 0,
    }


def test_several_calls_for_one_model_add_up_in_one_span(recorded: Any) -> None:
    @andon.stage("generate")
    def generate() -> None:
        andon.record_tokens(input=10, model="m", provider="p")
        andon.record_tokens(output=1)
        andon.record_tokens(output=2, model="m")

    generate()
    (span,) = recorded.spans
    assert span.attributes[USAGE + "input_tokens"] == 10
    assert span.attributes[USAGE + "output_tokens"] == 3


def test_a_second_model_becomes_a_child_span_and_its_calls_add_up_there(recorded: Any) -> None:
    @andon.stage("judge")
    def judge() -> None:
        andon.record_tokens(input=10, model="small", provider="p")
        andon.record_tokens(input=100, model="large", provider="p")
        andon.record_tokens(input=200, output=5, model="large", provider="p")
        andon.record_tokens(input=1, model="small", provider="p")

    judge()
    child, parent = recorded.spans
    assert parent.name == "judge"
    assert parent.attributes[USAGE + "input_tokens"] == 11
    assert child.name == "chat large"
    assert child.parent.span_id == parent.context.span_id
    assert child.attributes[USAGE + "input_tokens"] == 300
    assert child.attributes[USAGE + "output_tokens"] == 5
    assert child.attributes["andon.run.id"] == parent.attributes["andon.run.id"]
    assert child.attributes["andon.stage"] == "judge"
    assert parent.start_time <= child.start_time <= child.end_time <= parent.end_time


@pytest.mark.parametrize("other", [{"provider": "azure"}, {"operation": "embeddings"}], ids=["provider", "operation"])
def test_another_provider_or_operation_is_kept_apart_too(recorded: Any, other: dict[str, str]) -> None:
    @andon.stage("s")
    def s() -> None:
        andon.record_tokens(input=1, model="m", provider="openai", operation="chat")
        andon.record_tokens(input=2, **{"model": "m", "provider": "openai", "operation": "chat", **other})

    s()
    assert [span.attributes[USAGE + "input_tokens"] for span in recorded.spans] == [2, 1]


def test_a_name_that_comes_later_names_what_was_recorded_before(recorded: Any) -> None:
    @andon.stage("s")
    def s() -> None:
        andon.record_tokens(input=5)
        andon.record_tokens(output=2, model="m")

    s()
    assert recorded.attributes("s")["gen_ai.request.model"] == "m"
    assert recorded.attributes("s")[USAGE + "input_tokens"] == 5


def test_outside_any_decorated_call_usage_is_a_span_of_its_own(recorded: Any) -> None:
    andon.record_tokens(input=3, output=4, model="m")
    assert recorded.attributes("chat m") == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        USAGE + "input_tokens": 3,
        USAGE + "output_tokens": 4,
    }


def test_usage_that_comes_after_the_end_of_the_call_is_not_lost(recorded: Any) -> None:
    later: list[threading.Thread] = []

    @andon.stage("s")
    def s() -> None:
        import contextvars

        context = contextvars.copy_context()
        later.append(threading.Thread(target=lambda: context.run(andon.record_tokens, output=9, model="m")))

    s()
    for thread in later:
        thread.start()
        thread.join()
    ended, late = recorded.spans
    assert late.attributes[USAGE + "output_tokens"] == 9
    assert late.attributes["andon.run.id"] == ended.attributes["andon.run.id"]
    assert late.parent.span_id == ended.context.span_id


def test_a_foreign_span_in_between_does_not_hide_the_decorated_call(recorded: Any) -> None:
    @andon.stage("s")
    def s() -> None:
        foreign = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))
        with trace.use_span(foreign):
            andon.record_tokens(input=1)

    s()
    assert recorded.attributes("s")[USAGE + "input_tokens"] == 1


@pytest.mark.parametrize("wrong", [-1, 1.5, "12", True, float("nan"), 2**63])
def test_a_count_that_cannot_be_is_ignored_and_said_once(
    recorded: Any, caplog: pytest.LogCaptureFixture, wrong: Any
) -> None:
    @andon.stage("s")
    def s() -> None:
        andon.record_tokens(input=wrong, output=2)
        andon.record_tokens(input=wrong, output=3)

    s()
    assert USAGE + "input_tokens" not in recorded.attributes("s")
    assert recorded.attributes("s")[USAGE + "output_tokens"] == 5
    (line,) = caplog.messages
    assert line == (
        f"andon.record_tokens: input={wrong!r} is ignored; allowed: a whole number from 0 up, or None for unknown"
    )


def test_numpys_integers_are_integers(recorded: Any) -> None:
    numpy = pytest.importorskip("numpy")

    @andon.stage("s")
    def s() -> None:
        andon.record_tokens(input=numpy.int64(4), output=numpy.array([1, 2]).sum())

    s()
    found = recorded.attributes("s")
    assert (found[USAGE + "input_tokens"], found[USAGE + "output_tokens"]) == (4, 3)
    assert type(found[USAGE + "input_tokens"]) is int


def test_parts_that_exceed_their_whole_are_said_and_recorded_as_given(
    recorded: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @andon.stage("s")
    def s() -> None:
        andon.record_tokens(input=10, cache_read=900)  # a provider that counts cached tokens apart

    s()
    assert recorded.attributes("s")[USAGE + "input_tokens"] == 10
    assert "the whole must include them" in caplog.text


def test_a_name_that_is_no_text_is_ignored_and_said(recorded: Any, caplog: pytest.LogCaptureFixture) -> None:
    @andon.stage("s")
    def s() -> None:
        andon.record_tokens(input=1, model=12)  # type: ignore[arg-type]

    s()
    assert "gen_ai.request.model" not in recorded.attributes("s")
    assert "model=12 is ignored" in caplog.text


@given(st.lists(st.tuples(st.sampled_from([None, "a", "b"]), st.sampled_from([None, "p", "q"]), st.integers(0, 99))))
def test_no_token_is_lost_and_no_two_models_share_an_entry(calls: list[tuple[str | None, str | None, int]]) -> None:
    entries: list[Entry] = []
    for now_ns, (model, provider, tokens) in enumerate(calls):
        add_to(entries, Caller(None, provider, model), {"t": tokens}, now_ns)
    assert sum(entry.tokens["t"] for entry in entries) == sum(tokens for _, _, tokens in calls)
    named = {(model, provider) for model, provider, _ in calls if model and provider}
    kept = [(entry.caller.request_model, entry.caller.provider) for entry in entries]
    assert named <= set(kept)


def test_threads_do_not_lose_counts(recorded: Any) -> None:
    import contextvars

    def add() -> None:
        for _ in range(500):
            andon.record_tokens(output=1)

    @andon.stage("s")
    def s() -> None:
        threads = [threading.Thread(target=contextvars.copy_context().run, args=(add,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    s()
    assert recorded.attributes("s")[USAGE + "output_tokens"] == 2000
