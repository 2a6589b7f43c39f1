"""Threads, pools, processes, remote calls: what is asked for inside a pipeline belongs to it, wherever it is done."""

from __future__ import annotations

import concurrent.futures
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import andon
import pytest
from andon import carrying
from andon.settings import resolve
from andon.spans import current_span
from opentelemetry import context as context_api
from opentelemetry import propagate

PLACE = ("andon.run.id", "andon.pipeline", "andon.pipeline.kind", "andon.domain")


@pytest.fixture(autouse=True)
def _carried() -> None:
    carrying.install()


def place_of(span: Any) -> tuple[Any, ...]:
    return tuple(span.attributes.get(name) for name in PLACE)


def embed() -> None:
    """A stage, on the way through some pool."""
    andon.stage("embed")(lambda: andon.record_tokens(input=7, model="m"))()


def in_an_executor() -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(embed).result()


def in_a_thread() -> None:
    thread = threading.Thread(target=embed)
    thread.start()
    thread.join()


def in_a_timer() -> None:
    timer = threading.Timer(0, embed)
    timer.start()
    timer.join()


def in_a_thread_of_ones_own_class() -> None:
    class Worker(threading.Thread):
        def run(self) -> None:
            embed()

    worker = Worker()
    worker.start()
    worker.join()
    assert "run" not in vars(worker)


@pytest.mark.parametrize("elsewhere", [in_an_executor, in_a_thread, in_a_timer, in_a_thread_of_ones_own_class])
def test_a_stage_in_another_thread_belongs_to_the_pipeline_that_asked(
    recorded: Any, elsewhere: Callable[[], None]
) -> None:
    andon.pipeline("index", kind="ingest", domain="search")(elsewhere)()
    stage, pipeline = recorded.span("embed"), recorded.span("index")
    assert stage.parent.span_id == pipeline.context.span_id
    assert place_of(stage) == place_of(pipeline)
    assert place_of(stage)[1:] == ("index", "ingest", "search")


def test_an_executors_thread_belongs_to_nobody_after_the_task(recorded: Any) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        andon.pipeline("first")(lambda: pool.submit(embed).result())()
        pool.submit(embed).result()
        andon.pipeline("second")(lambda: pool.submit(embed).result())()
    places = [span.attributes.get("andon.pipeline") for span in recorded.spans if span.name == "embed"]
    assert places == ["first", None, "second"]


def test_outside_any_pipeline_a_thread_is_left_as_it_is(recorded: Any) -> None:
    thread = threading.Thread(target=embed)
    thread.start()
    assert "run" not in vars(thread)
    thread.join()


def test_results_errors_and_arguments_pass_through(recorded: Any) -> None:
    def fails(text: str, *, loud: bool) -> str:
        raise KeyError(text, loud)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(divmod, 7, 2).result() == (3, 1)
        with pytest.raises(KeyError, match="a"):
            pool.submit(fails, "a", loud=True).result()


def test_a_remote_call_that_carries_the_context_belongs_to_the_run(recorded: Any) -> None:
    """What instrumented clients, Celery and message queues do: inject on one side, extract on the other."""
    message: dict[str, str] = {}

    @andon.pipeline("index", kind="ingest", domain="search")
    def ask() -> None:
        propagate.inject(message)

    ask()
    assert message["traceparent"].split("-")[1] == f"{recorded.span('index').context.trace_id:032x}"
    assert "andon.pipeline=index" in message["baggage"]

    token = context_api.attach(propagate.extract(message, context_api.Context()))
    try:
        embed()
        andon.record_tokens(input=3, model="outside")
        andon.pipeline("audit")(lambda: None)()
    finally:
        context_api.detach(token)
    asked, stage, audit = recorded.span("index"), recorded.span("embed"), recorded.span("audit")
    assert place_of(stage) == place_of(asked)
    assert place_of(recorded.span("ingest outside"))[:2] == place_of(asked)[:2]
    assert stage.context.trace_id == asked.context.trace_id
    # A pipeline of its own, in the run and for the domain of the one that asked.
    assert place_of(audit) == (asked.attributes["andon.run.id"], "audit", None, "search")


def test_foreign_baggage_is_kept_and_is_no_place(recorded: Any) -> None:
    from opentelemetry import baggage

    token = context_api.attach(baggage.set_baggage("tenant", "acme", context_api.Context()))
    seen: list[object] = []
    try:
        andon.pipeline("index")(lambda: seen.append(dict(baggage.get_all())))()
    finally:
        context_api.detach(token)
    (found,) = seen
    assert isinstance(found, dict)
    assert found["tenant"] == "acme"
    assert found["andon.pipeline"] == "index"
    assert "tenant" not in recorded.attributes("index")


POOLS = """
import concurrent.futures, multiprocessing, os, sys
import andon

@andon.stage("embed")
def embed(n):
    andon.record_tokens(input=n, model="m")
    return os.getpid()

@andon.pipeline("index", kind="ingest", domain="search")
def index(method):
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        where = set(pool.map(embed, [1, 2]))
    with context.Pool(1) as pool:
        where |= set(pool.map(embed, [3])) | {pool.apply(embed, (4,))} | set(pool.imap(embed, [5]))
        pool.close()
        pool.join()
    process = context.Process(target=embed, args=(6,))
    process.start()
    process.join()
    assert len(where) == 2 and os.getpid() not in where

if __name__ == "__main__":
    andon.init("worker", sys.argv[1])
    index(sys.argv[2])
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_worker_processes_record_into_the_pipeline_that_asked_and_send_before_they_end(
    collector: Any, decoded: Any, tmp_path: Path, method: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text(POOLS)
    done = subprocess.run(
        [sys.executable, str(program), collector.url, method], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    (pipeline,) = [span for span in collector.spans if span.name == "index"]
    stages = [span for span in collector.spans if span.name == "embed"]
    assert sorted(decoded(span)["gen_ai.usage.input_tokens"] for span in stages) == [1, 2, 3, 4, 5, 6]
    for span in stages:
        assert span.trace_id == pipeline.trace_id
        assert span.parent_span_id == pipeline.span_id
        assert {name: decoded(span)[name] for name in PLACE} == {name: decoded(pipeline)[name] for name in PLACE}
        assert decoded(span)["gen_ai.operation.name"] == "ingest"
    services = {
        decoded(resource.resource)["service.name"]
        for request in collector.traces
        for resource in request.resource_spans
    }
    assert services == {"worker"}
    counted = [
        point.count
        for request in collector.metrics
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "gen_ai.client.token.usage"
        for point in metric.histogram.data_points
    ]
    assert sum(counted) == 6
    instances = {
        decoded(resource.resource)["service.instance.id"]
        for request in collector.metrics
        for resource in request.resource_metrics
    }
    assert len(instances) == len(counted)  # two processes under one identity could not be added up


def test_a_child_that_forks_inside_a_call_leaves_the_call_to_its_parent(collector: Any, run_program: Any) -> None:
    run_program(
        """import andon, os
andon.init()
@andon.stage("s")
def s():
    andon.record_tokens(input=1, model="parent before")
    pid = os.fork()
    andon.record_tokens(input=2, model="parent before" if pid else "child")
    return pid
pid = s()
andon.shutdown()
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)""",
        ANDON_ENDPOINT=collector.url,
    )
    spans = {span.name: span for span in collector.spans}
    assert sorted(span.name for span in collector.spans) == ["chat child", "s"]
    tokens = {pair.key: pair.value.int_value for pair in spans["s"].attributes}
    assert tokens["gen_ai.usage.input_tokens"] == 3
    assert spans["chat child"].trace_id == spans["s"].trace_id


def test_a_task_that_cannot_be_made_is_passed_on_as_it_was(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from andon.notices import Loss, losses

    before = losses.total(Loss.FAULT)
    monkeypatch.setattr(carrying, "_PROPAGATORS", (None,))
    assert carrying.to_process(embed) is embed
    assert losses.total(Loss.FAULT) == before + 1
    losses._totals[Loss.FAULT] = before


def test_a_task_is_pickled_with_its_settings() -> None:
    settings = resolve({}, service="s", endpoint="http://127.0.0.1:9", headers={"a": "b"})
    task = carrying.Task(divmod, {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}, settings)
    assert pickle.loads(pickle.dumps(task))._settings == settings  # noqa: S301


SHIPPED = """
import sys, cloudpickle
import andon

@andon.stage("embed")
def embed(n):
    andon.record_tokens(input=n)
    return n + 1

@andon.stage("later")
async def later(n):
    return n + 2

open(sys.argv[1], "wb").write(cloudpickle.dumps((embed, later)))
"""


def test_decorated_functions_of_main_travel_by_cloudpickle(run_program: Any, collector: Any, tmp_path: Path) -> None:
    """As Ray, Dask and Spark send them: by value, to a process that has never seen the program."""
    shipped = tmp_path / "functions"
    script = tmp_path / "script.py"
    script.write_text(SHIPPED)
    done = subprocess.run([sys.executable, str(script), str(shipped)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    run_program(
        f"""import andon, asyncio, pickle
andon.init()
embed, later = pickle.load(open({str(shipped)!r}, "rb"))
assert (embed(1), asyncio.run(later(1))) == (2, 3)""",
        ANDON_ENDPOINT=collector.url,
    )
    assert sorted(span.name for span in collector.spans) == ["embed", "later"]


def test_a_generator_keeps_the_place_of_its_caller_in_another_thread(recorded: Any) -> None:
    @andon.stage("generate")
    def generate() -> Iterator[str]:
        yield str(current_span().place["andon.pipeline"])  # type: ignore[union-attr]

    made: list[Iterator[str]] = []
    andon.pipeline("support")(lambda: made.append(generate()))()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(list, made[0]).result() == ["support"]
