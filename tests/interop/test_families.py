"""Spans of the families of GenAI instrumentation flow through `andon.init()` unchanged, whoever starts first.

The real packages call the real client of OpenAI against a server on loopback; see `environments.toml` for the versions.
"""

from __future__ import annotations

import subprocess

import pytest

from tests.interop import openai_server
from tests.interop.environments import interpreter
from tests.interop.families import ACTIVATED, FAMILIES, arrived, of_the_family, run_family
from tests.sdk.conftest import LoopbackCollector

pytestmark = pytest.mark.long

ORDERS = ("andon", "family")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_spans_flow_unchanged_but_for_their_place(family: str, order: str, collector: LoopbackCollector) -> None:
    alone = of_the_family(arrived(collector, run_family(family, "alone", collector.url)))
    collector.traces.clear()
    spans = arrived(collector, run_family(family, order, collector.url))
    ours = {span.name: span for span in spans if span.scope == "andon"}
    theirs = of_the_family(spans)

    assert len(alone) >= 3
    assert all(span.place == {} for span in alone)
    assert [(span.name, span.kind, span.scope, span.events) for span in theirs] == [
        (span.name, span.kind, span.scope, span.events) for span in alone
    ]
    assert [span.own_attributes for span in theirs] == [span.own_attributes for span in alone]

    run_id = ours["support-rag"].attributes["andon.run.id"]
    # Logfire tells of a stream's end in a context that it carries through headers; there only baggage would be left.
    below = [span for span in theirs if not span.name.startswith("streaming response")]
    assert {span.place["andon.stage"] for span in below} == {"chat", "stream", "embed"} <= set(ours)
    for span in below:
        assert (span.place["andon.pipeline"], span.place["andon.run.id"]) == ("support-rag", run_id)


@pytest.mark.parametrize("family", ACTIVATED)
def test_activate_keeps_prompts_and_answers_out(family: str, collector: LoopbackCollector) -> None:
    run_family(family, "andon", collector.url)
    sent = b"".join(request.SerializeToString() for request in collector.traces)
    assert b"chat" in sent
    assert openai_server.QUESTION.encode() not in sent
    assert "".join(openai_server.ANSWER).encode() not in sent


@pytest.mark.parametrize(
    ("family", "switch"),
    [("openllmetry", {"TRACELOOP_TRACE_CONTENT": "true"}), ("openinference", {"OPENINFERENCE_HIDE_INPUTS": "false"})],
)
def test_activate_captures_content_where_the_environment_asks_for_it(
    family: str, switch: dict[str, str], collector: LoopbackCollector
) -> None:
    run_family(family, "andon", collector.url, **switch)
    sent = b"".join(request.SerializeToString() for request in collector.traces)
    assert openai_server.QUESTION.encode() in sent


SEVERAL = """
import logging
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
import andon
print(andon.activate("openai", "requests"))
"""


def test_a_real_broken_family_is_named_and_the_next_is_turned_on_alone() -> None:
    done = subprocess.run(
        [str(interpreter("several")), "-c", SEVERAL], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == ["['openai', 'requests']"]
    broken, chosen, _ = [line for line in done.stderr.splitlines() if " andon.activate: " in line]
    assert broken.startswith("WARNING andon.activate: opentelemetry-instrumentation-openai-v2 is installed, but cannot")
    assert "opentelemetry.util.genai.instruments" in broken
    assert "openai is instrumented by opentelemetry-instrumentation-openai;" in chosen
    assert "openinference-instrumentation-openai would record the same calls again" in chosen


ALREADY = {
    "openlit": "import openlit; openlit.init(otlp_endpoint='http://127.0.0.1:9', disable_metrics=True)",
    "logfire": "import logfire; logfire.configure(send_to_logfire=False, console=False); logfire.instrument_openai()",
    "openllmetry": "from opentelemetry.instrumentation import openai; openai.OpenAIInstrumentor().instrument()",
}


@pytest.mark.parametrize("family", ALREADY)
def test_what_another_family_has_instrumented_is_known(family: str) -> None:
    program = (
        f"{ALREADY[family]}\nfrom andon.instrumentors import already_instrumented\nprint(already_instrumented())\n"
    )
    done = subprocess.run(
        [str(interpreter(family)), "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert "'openai': " in done.stdout.splitlines()[-1]
