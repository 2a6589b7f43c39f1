"""Whole programs in fresh interpreters, exporting over real HTTP to a collector that uses the official decoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.packed_rows import rows_of

PROGRAM = """
import andon, asyncio, sys
andon.init(service="shop", endpoint=sys.argv[1] if len(sys.argv) > 1 else None)

@andon.stage("generate")
def generate():
    for n in range(3):
        yield n
    andon.record_tokens(input=10, output=3, model="m", provider="p")

@andon.stage("score")
async def score():
    andon.observe(model="m", features={"n": [1, 2]}, score=0.5)

@andon.pipeline("support-rag")
def answer():
    asyncio.run(score())
    return list(generate())

assert answer() == [0, 1, 2]
"""


def resource_of(request: Any, decoded: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """Attributes of the one resource of a request."""
    (resource,) = getattr(request, "resource_spans", None) or request.resource_logs
    return decoded(resource.resource)


def test_what_is_recorded_arrives_at_exit_without_a_further_call(
    collector: Any, run_program: Any, decoded: Callable[[Any], dict[str, Any]]
) -> None:
    run_program(PROGRAM, ANDON_ENDPOINT=collector.url)
    spans = {span.name: span for span in collector.spans}
    assert set(spans) == {"generate", "score", "support-rag"}
    pipeline, generate = spans["support-rag"], spans["generate"]
    assert generate.parent_span_id == pipeline.span_id
    assert generate.trace_id == pipeline.trace_id
    found = decoded(generate)
    assert found["gen_ai.usage.input_tokens"] == 10
    assert found["gen_ai.request.stream"] is True
    assert found["gen_ai.response.time_to_first_chunk"] > 0
    assert found["andon.run.id"] == decoded(pipeline)["andon.run.id"]
    assert resource_of(collector.traces[0], decoded)["service.name"] == "shop"

    (record,) = collector.log_records
    assert record.event_name == "andon.observations"
    rows = rows_of(decoded(record))
    assert [row["andon.observation.feature.n"] for row in rows] == [1, 2]
    assert [row["andon.observation.score"] for row in rows] == [0.5, 0.5]
    assert decoded(record)["andon.pipeline"] == "support-rag"
    assert record.span_id == spans["score"].span_id
    assert record.trace_id == pipeline.trace_id
    assert resource_of(collector.logs[0], decoded)["service.name"] == "shop"


def test_the_standard_variables_are_honoured(
    collector: Any, run_program: Any, decoded: Callable[[Any], dict[str, Any]]
) -> None:
    run_program(
        "import andon; andon.init(); andon.record_tokens(input=1)",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer k1",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_SERVICE_NAME="from-env",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=staging,team=search",
    )
    assert len(collector.spans) == 1
    assert collector.headers[0]["authorization"] == "Bearer k1"
    assert collector.headers[0]["content-encoding"] == "gzip"
    found = resource_of(collector.traces[0], decoded)
    assert (found["service.name"], found["deployment.environment.name"], found["team"]) == (
        "from-env",
        "staging",
        "search",
    )


def test_arguments_beat_the_environment(
    collector: Any, run_program: Any, decoded: Callable[[Any], dict[str, Any]]
) -> None:
    run_program(
        f"""import andon
andon.init("argument", {collector.url!r}, headers={{"Authorization": "Bearer k2"}}, environment="production")
andon.record_tokens(input=1)""",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer k1",
        OTEL_SERVICE_NAME="from-env",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=staging",
    )
    found = resource_of(collector.traces[0], decoded)
    assert (found["service.name"], found["deployment.environment.name"]) == ("argument", "production")
    assert collector.headers[0]["authorization"] == "Bearer k2"


@pytest.mark.parametrize("switch", ["ANDON_DISABLED", "OTEL_SDK_DISABLED"])
def test_switched_off_every_call_does_nothing_and_says_nothing(collector: Any, run_program: Any, switch: str) -> None:
    done = run_program(PROGRAM + "andon.shutdown()", ANDON_ENDPOINT=collector.url, **{switch: "true"})
    assert collector.traces == collector.logs == []
    assert done.stderr == ""


def test_without_init_the_program_runs_and_is_told_once(run_program: Any) -> None:
    done = run_program(PROGRAM.replace("andon.init(", "dict("))
    assert done.stderr.splitlines() == ["andon.init() has not been called: nothing is recorded"]


def test_a_wrong_address_is_said_and_the_program_runs(run_program: Any) -> None:
    done = run_program(PROGRAM, ANDON_ENDPOINT="localhost:4318")
    assert "andon.init: endpoint='localhost:4318' is not an address" in done.stderr
    assert "Traceback" not in done.stderr


EXISTING = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
kept = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)
before = list(provider._active_span_processor._span_processors)
"""


def test_an_existing_provider_is_used_and_gets_nothing_but_stamping(collector: Any, run_program: Any) -> None:
    run_program(
        EXISTING
        + PROGRAM
        + """
assert trace.get_tracer_provider() is provider
*rest, added = provider._active_span_processor._span_processors
assert rest == before and type(added).__name__ == "StampingSpanProcessor"
andon.shutdown()
assert [span.name for span in kept.get_finished_spans()] == ["score", "generate", "support-rag"]
with trace.get_tracer("host").start_as_current_span("still alive"):
    pass
assert kept.get_finished_spans()[-1].name == "still alive"
""",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
    )
    assert collector.spans == []
    assert len(collector.log_records) == 1


def test_an_existing_provider_gets_our_export_when_an_endpoint_is_given(collector: Any, run_program: Any) -> None:
    run_program(
        EXISTING
        + PROGRAM
        + """
with trace.get_tracer("host").start_as_current_span("the host's own"):
    pass
assert len(kept.get_finished_spans()) == 4
""",
        ANDON_ENDPOINT=collector.url,
    )
    assert {span.name for span in collector.spans} == {"score", "generate", "support-rag", "the host's own"}


def test_a_second_init_is_harmless_and_other_settings_are_said(collector: Any, run_program: Any) -> None:
    done = run_program(
        """import andon
andon.init("a"); andon.init("a")
andon.record_tokens(input=1)
andon.init("b")""",
        ANDON_ENDPOINT=collector.url,
    )
    assert len(collector.spans) == 1
    assert done.stderr.splitlines() == ["andon.init was called before, with other settings; the first ones stay"]


def test_shutdown_sends_and_a_new_init_records_again(collector: Any, run_program: Any) -> None:
    run_program(
        """import andon
andon.init("a"); andon.record_tokens(input=1, model="one"); andon.shutdown()
andon.record_tokens(input=1, model="unseen"); andon.shutdown()
andon.init("a"); andon.record_tokens(input=1, model="two")""",
        ANDON_ENDPOINT=collector.url,
    )
    assert [span.name for span in collector.spans] == ["chat one", "chat two"]


def test_a_forked_child_sends_what_is_its_own_over_its_own_connection(collector: Any, run_program: Any) -> None:
    run_program(
        """import andon, os
andon.init()
andon.record_tokens(input=1, model="parent before")
pid = os.fork()
andon.record_tokens(input=1, model="parent after" if pid else "child")
andon.shutdown()
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)""",
        ANDON_ENDPOINT=collector.url,
    )
    names = sorted(span.name for span in collector.spans)
    assert names == ["chat child", "chat parent after", "chat parent before"]
    assert len({span.trace_id for span in collector.spans}) == 3


def test_a_seed_set_by_the_host_does_not_repeat_ids(collector: Any, run_program: Any) -> None:
    program = """import andon, random
andon.init()
random.seed(0)
andon.pipeline("train")(lambda: None)()"""
    run_program(program, ANDON_ENDPOINT=collector.url)
    run_program(program, ANDON_ENDPOINT=collector.url)
    first, second = collector.spans
    assert first.trace_id != second.trace_id
    assert first.span_id != second.span_id


def test_the_distribution_and_the_sdk_agree_on_the_version() -> None:
    import tomllib

    from andon.runtime import SDK_VERSION

    project = tomllib.loads((Path(__file__).parents[2] / "sdk/pyproject.toml").read_text())
    assert project["project"]["version"] == SDK_VERSION


def test_the_public_surface_is_small_and_typed() -> None:
    import andon

    assert andon.__all__ == ["activate", "gpu", "init", "observe", "pipeline", "record_tokens", "shutdown", "stage"]
    assert (Path(andon.__file__).parent / "py.typed").exists()


def test_beginning_and_ending_again_and_again_adds_nothing_to_the_provider(collector: Any, run_program: Any) -> None:
    done = run_program(
        """import andon
from opentelemetry import trace

def processors():
    return len(trace.get_tracer_provider()._active_span_processor._span_processors)

andon.init("a")
before = processors()
for _ in range(3):
    andon.shutdown(); andon.init("a")
print(processors() - before)
with trace.get_tracer("other").start_as_current_span("after"):
    pass""",
        ANDON_ENDPOINT=collector.url,
    )
    assert done.stdout == "0\n"
    assert [span.name for span in collector.spans] == ["after"]


def test_shutdown_may_be_given_all_the_time_there_is(collector: Any, run_program: Any) -> None:
    done = run_program(
        """import andon
andon.init("a"); andon.record_tokens(input=1, model="one"); andon.shutdown(float("inf"))""",
        ANDON_ENDPOINT=collector.url,
    )
    assert done.stderr == ""
    assert [span.name for span in collector.spans] == ["chat one"]


def test_what_cannot_be_encoded_is_left_out_and_told_in_one_line(collector: Any, run_program: Any) -> None:
    done = run_program(
        """import andon
andon.init("a")

@andon.stage
def read():
    raise LookupError("no such row: \\udcff")  # what was read with `surrogateescape`

for _ in range(3):
    try:
        read()
    except LookupError:
        pass""",
        ANDON_ENDPOINT=collector.url,
    )
    assert [span.name for span in collector.spans] == ["read", "read", "read"]
    (line,) = done.stderr.splitlines()
    assert "an attribute is left out" in line
