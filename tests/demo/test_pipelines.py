"""The pipelines under the real SDK, read from OTLP with the official protobuf classes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from otlp_sink import OtlpSink, SeenSpan

from demo.incident import PROMPT_FACTOR
from demo.pipelines import ANSWERS, BATCH, PIPELINES, PROVIDER, SUMMARIES

REQUESTS = 120
SCRIPT = Path(__file__).with_name("run_requests.py")
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Result:
    """What arrived, and what the engines counted themselves."""

    sink: OtlpSink
    counted: dict[str, Any]


def run(prompt_factor: float) -> Result:
    sink = OtlpSink()
    command = [sys.executable, str(SCRIPT), sink.url, str(REQUESTS), str(prompt_factor)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    sink.close()
    assert done.returncode == 0, done.stderr
    return Result(sink, json.loads(done.stdout))


@pytest.fixture(scope="module")
def normal() -> Iterator[Result]:
    return run(1.0)


def total(spans: list[SeenSpan], name: str) -> int:
    return sum(span.attributes.get(f"gen_ai.usage.{name}_tokens", 0) for span in spans)


def test_every_request_is_a_span_of_its_pipeline(normal: Result) -> None:
    for name in PIPELINES:
        spans = normal.sink.named(name)
        assert len(spans) == REQUESTS
        assert len({span.attributes["andon.run.id"] for span in spans}) == REQUESTS


def test_failures_are_the_exceptions_the_caller_handled_and_few(normal: Result) -> None:
    failed = [span for name in PIPELINES for span in normal.sink.named(name) if span.failed]
    assert len(failed) == normal.counted["failures"]
    # 1 % of 360, at most.
    assert 0 < len(failed) < 20
    assert {span.attributes["error.type"] for span in failed} <= {
        "demo.library.NoPassageError",
        "demo.engine.ContextWindowError",
        "UnicodeDecodeError",
    }


def test_tokens_of_answers_are_those_the_model_read_and_wrote(normal: Result) -> None:
    spans = normal.sink.named("generate")
    assert {span.attributes["gen_ai.request.model"] for span in spans} == {ANSWERS}
    assert {span.attributes["gen_ai.provider.name"] for span in spans} == {PROVIDER}
    assert total(spans, "input") == normal.counted["answers"]["input"]
    assert total(spans, "output") == normal.counted["answers"]["output"]


def test_answers_are_streams_whose_first_token_is_measured(normal: Result) -> None:
    for span in normal.sink.named("generate"):
        assert span.attributes["gen_ai.request.stream"] is True
        assert 0 < span.attributes["gen_ai.response.time_to_first_chunk"] <= (span.end_ns - span.start_ns) / 1e9


def test_tokens_of_summaries_include_those_from_the_cache(normal: Result) -> None:
    spans = [span for span in normal.sink.named("summarise") if not span.failed]
    assert {span.attributes["gen_ai.request.model"] for span in spans} == {SUMMARIES}
    assert total(spans, "input") == normal.counted["summaries"]["input"]
    assert total(spans, "output") == normal.counted["summaries"]["output"]
    assert total(spans, "cache_read.input") == normal.counted["summaries"]["cache_read"]


def test_half_of_the_summaries_read_their_document_from_the_cache(normal: Result) -> None:
    spans = [span for span in normal.sink.named("summarise") if not span.failed]
    cached = [span for span in spans if span.attributes["gen_ai.usage.cache_read.input_tokens"] > 0]
    # The abstract always; the headline only where a document comes again while it is still kept.
    assert len(spans) / 2 <= len(cached) < len(spans) * 0.6


def test_ingest_reads_tokens_and_writes_none(normal: Result) -> None:
    spans = normal.sink.named("embed")
    assert {span.attributes["gen_ai.operation.name"] for span in spans} == {"embeddings"}
    assert total(spans, "input") > 0
    assert total(spans, "output") == 0


def test_every_answer_and_every_document_is_observed(normal: Result) -> None:
    answered = [span for span in normal.sink.named("support-rag") if not span.failed]
    assert len(normal.sink.observed("prompt_length", "support-rag")) == len(answered)
    ingested = [span for span in normal.sink.named("ingest") if not span.failed]
    for feature in ("document_length", "non_ascii_share", "digit_share"):
        assert len(normal.sink.observed(feature, "ingest")) == BATCH * len(ingested)


def test_the_incident_makes_every_prompt_that_much_longer(normal: Result) -> None:
    shifted = run(PROMPT_FACTOR)
    before = normal.sink.observed("prompt_length", "support-rag")
    after = shifted.sink.observed("prompt_length", "support-rag")
    # Lengths are whole characters: x becomes int(2.2 x), and x itself was cut by less than one.
    long_enough = [(first, second) for first, second in zip(before, after, strict=True) if first > 200]
    assert len(long_enough) > REQUESTS / 2
    for first, second in long_enough:
        assert PROMPT_FACTOR * first - 1 <= second <= PROMPT_FACTOR * (first + 1)
    assert shifted.counted["answers"]["input"] > 1.9 * normal.counted["answers"]["input"]
    assert shifted.counted["answers"]["output"] == pytest.approx(normal.counted["answers"]["output"])
