"""GPU metrics leave a process or a host over OTLP/HTTP, whatever the collector does."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.gpu.conftest import H100, SECOND, StubbedDriver
from tests.servers import wait_until

GUIDE = (Path(__file__).parents[3] / "docs/sdk.md").read_text()

WATCH = """
import andon
andon.init(service="train")
andon.gpu.watch(interval_seconds=0.2)
andon.shutdown()
"""


def points(collector: Any, name: str) -> list[Any]:
    """All data points of one metric that arrived, in the order of their arrival."""
    return [
        point
        for request in list(collector.metrics)
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in (metric.gauge if metric.HasField("gauge") else metric.sum).data_points
    ]


def resource_of(collector: Any, name: str) -> Any:
    """The resource that a metric came from first."""
    return next(
        resource.resource
        for request in list(collector.metrics)
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        if name in [metric.name for metric in scope.metrics]
    )


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[int, list[str]]:
    """End the agent as a supervisor does; returns its exit code and what it said on stderr."""
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    return process.returncode, stderr.splitlines()


def test_watch_sends_what_the_gpus_say_until_the_shutdown(
    collector: Any, run_program: Any, decoded: Any, driver: StubbedDriver
) -> None:
    done = run_program(WATCH, ANDON_ENDPOINT=collector.url, ANDON_ACCELERATOR_POOL="h100", **driver.env)
    assert done.stderr == ""
    power = points(collector, "hw.power")
    assert {point.as_double for point in power} == {312.5}
    assert decoded(power[-1])["hw.id"] == H100["uuid"]
    resource = decoded(resource_of(collector, "hw.power"))
    assert (resource["service.name"], resource["andon.accelerator.pool"]) == ("train", "h100")


def test_the_example_of_the_guide_works_where_there_is_a_gpu(
    collector: Any, run_program: Any, driver: StubbedDriver
) -> None:
    (example,) = [text for text in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL) if "andon.gpu" in text]
    done = run_program(example + "print(joules)", ANDON_ENDPOINT=collector.url, **driver.env)
    assert done.stdout == "NVIDIA H100 80GB HBM3 312.5 W 0.87\n0.0\n"
    assert done.stderr == ""
    assert collector.spans
    assert points(collector, "hw.power")


def test_a_forked_child_ends_without_the_watch_of_its_parent(
    collector: Any, run_program: Any, driver: StubbedDriver
) -> None:
    program = """
import os
import andon
andon.init()
andon.gpu.watch(interval_seconds=60)
if (pid := os.fork()) == 0:
    andon.stage("work in the child")(lambda: None)()
    andon.shutdown()
    os._exit(0)
print(os.waitpid(pid, 0)[1])
"""
    assert run_program(program, ANDON_ENDPOINT=collector.url, **driver.env).stdout == "0\n"
    assert [span.name for span in collector.spans] == ["work in the child"]
    assert points(collector, "hw.power")


def test_watch_sends_the_gpus_of_its_process_alone(
    collector: Any, run_program: Any, decoded: Any, driver: StubbedDriver
) -> None:
    driver.has(H100, H100 | {"uuid": SECOND})
    run_program(WATCH, ANDON_ENDPOINT=collector.url, CUDA_VISIBLE_DEVICES="1", **driver.env)
    assert {decoded(point)["hw.id"] for point in points(collector, "hw.power")} == {SECOND}


def test_of_the_processes_that_a_launcher_starts_on_a_host_the_first_watches(
    collector: Any, run_program: Any, driver: StubbedDriver
) -> None:
    run_program(WATCH, ANDON_ENDPOINT=collector.url, LOCAL_RANK="1", **driver.env)
    assert points(collector, "hw.power") == []
    run_program(WATCH, ANDON_ENDPOINT=collector.url, LOCAL_RANK="0", **driver.env)
    assert points(collector, "hw.power")


def test_a_second_watch_and_a_strange_interval_change_nothing(
    collector: Any, run_program: Any, driver: StubbedDriver
) -> None:
    program = """
import threading
import andon
andon.init()
andon.gpu.watch(interval_seconds=-1)
andon.gpu.watch()
print(len([thread for thread in threading.enumerate() if thread.name == "andon gpu watch"]))
"""
    done = run_program(program, ANDON_ENDPOINT=collector.url, **driver.env)
    assert done.stdout == "1\n"
    assert "interval_seconds=-1 is ignored" in done.stderr
    assert points(collector, "hw.power")  # sent at exit, by itself


def test_watch_before_init_says_so_once(run_program: Any, driver: StubbedDriver) -> None:
    done = run_program("import andon\nandon.gpu.watch()\nandon.gpu.watch()", **driver.env)
    assert done.stderr == "andon.init() has not been called: nothing is recorded\n"


def test_without_a_gpu_watch_says_once_what_is_missing_and_the_program_goes_on(
    collector: Any, run_program: Any
) -> None:
    program = "import sys; sys.modules['pynvml'] = None\n" + WATCH + "print('went on')"
    done = run_program(program, ANDON_ENDPOINT=collector.url)
    assert done.stdout == "went on\n"
    assert len(done.stderr.splitlines()) == 1
    assert "pip install 'andon-sdk[gpu]'" in done.stderr


def test_the_agent_sends_every_gpu_and_the_energy_of_its_own_time(
    collector: Any, start_agent: Any, decoded: Any, driver: StubbedDriver
) -> None:
    driver.has(H100, H100 | {"uuid": SECOND})
    agent = start_agent("--endpoint", collector.url, "--interval", "60", CUDA_VISIBLE_DEVICES="1", **driver.env)
    assert agent.stdout.readline() == f"2 GPUs: 2 × NVIDIA H100 80GB HBM3 → {collector.url}/v1/metrics every 60 s\n"
    wait_until(lambda: collector.metrics, "a first export, at once")
    assert {point.as_double for point in points(collector, "hw.energy")} == {0.0}
    driver.says({"gpu0.energy_mj": 5_000_700_000, "gpu1.energy_mj": 5_000_000_250})
    assert stop(agent) == (0, [])
    last = {decoded(point)["hw.id"]: point.as_double for point in points(collector, "hw.energy")[-2:]}
    assert last == {H100["uuid"]: 700.0, SECOND: 0.25}
    resource = decoded(resource_of(collector, "hw.power"))
    assert resource["service.name"] == "andon-agent"
    assert resource["host.name"]
    assert "ai_factory.accelerator.count" not in resource


def test_the_agent_sends_the_headers_and_takes_the_address_of_the_environment(
    collector: Any, start_agent: Any, driver: StubbedDriver
) -> None:
    agent = start_agent(
        ANDON_ENDPOINT=collector.url, OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20key", **driver.env
    )
    wait_until(lambda: collector.metrics, "a first export")
    assert stop(agent, signal.SIGINT) == (0, [])
    assert collector.headers[0]["authorization"] == "Bearer key"


def test_a_collector_that_refuses_costs_one_line_and_the_agent_goes_on(
    collector: Any, start_agent: Any, driver: StubbedDriver
) -> None:
    collector.status = 400
    agent = start_agent("--endpoint", collector.url, "--interval", "0.1", **driver.env)
    wait_until(lambda: len(collector.metrics) > 5, "several refused exports")
    collector.status = 200
    before = len(collector.metrics)
    wait_until(lambda: len(collector.metrics) > before, "an export that is taken")
    code, lines = stop(agent)
    assert code == 0
    assert len(lines) == 1
    assert "GPU samples not delivered" in lines[0]
    assert "/v1/metrics" in lines[0]


def test_a_collector_that_is_not_there_does_not_keep_the_agent_from_ending(
    start_agent: Any, driver: StubbedDriver
) -> None:
    agent = start_agent("--endpoint", "http://127.0.0.1:9", "--interval", "0.1", **driver.env)
    assert agent.stdout.readline()
    code, lines = stop(agent)
    assert code == 0
    assert len(lines) <= 1


def test_a_collector_that_hangs_does_not_keep_the_agent_from_ending(
    collector: Any, start_agent: Any, driver: StubbedDriver
) -> None:
    collector.hold.clear()
    agent = start_agent("--endpoint", collector.url, "--interval", "0.1", **driver.env)
    wait_until(lambda: collector.metrics, "a request that is not answered")
    code, lines = stop(agent)
    assert code == 0
    (line,) = lines
    assert "GPU samples were not sent before the shutdown's deadline" in line


def test_a_gpu_that_falls_off_the_bus_is_told_and_the_other_goes_on(
    collector: Any, start_agent: Any, decoded: Any, driver: StubbedDriver
) -> None:
    driver.has(H100, H100 | {"uuid": SECOND})
    agent = start_agent("--endpoint", collector.url, "--interval", "60", **driver.env)
    wait_until(lambda: collector.metrics, "a first export")
    driver.says({"gpu0.error": 15})
    assert stop(agent) == (0, [])
    states = [decoded(point) | {"holds": point.as_int} for point in points(collector, "hw.status")[-6:]]
    assert {(state["hw.id"], state["hw.state"]) for state in states if state["holds"]} == {
        (H100["uuid"], "failed"),
        (SECOND, "ok"),
    }
    assert [decoded(point)["hw.id"] for point in points(collector, "hw.power")] == [H100["uuid"], SECOND, SECOND]


def test_a_driver_that_goes_away_is_said_once_and_nothing_is_made_up(
    collector: Any, start_agent: Any, driver: StubbedDriver
) -> None:
    agent = start_agent("--endpoint", collector.url, "--interval", "0.1", **driver.env)
    wait_until(lambda: collector.metrics, "a first export")
    driver.says({"init.error": 9, "count.error": 9})
    line = agent.stderr.readline()
    assert "the NVIDIA driver is not loaded" in line
    driver.says({"init.error": None, "count.error": None})
    arrived = len(collector.metrics)
    wait_until(lambda: len(collector.metrics) > arrived, "exports that go on")
    assert stop(agent) == (0, [])


def test_once_prints_a_table_in_which_unknown_is_a_dash(start_agent: Any, driver: StubbedDriver) -> None:
    driver.has(H100, {"uuid": SECOND, "name": "NVIDIA L4", "mig": 1})
    driver.says({"gpu1.mig0.uuid": "MIG-1", "gpu1.mig0.memory_used": 2**30, "gpu1.mig0.memory_total": 2**33})
    agent = start_agent("--once", **driver.env)
    stdout, stderr = agent.communicate(timeout=60)
    assert (agent.returncode, stderr) == (0, "")
    assert [" ".join(line.split()) for line in stdout.splitlines()[1:3]] == [
        "0 NVIDIA H100 80GB HBM3 312.5 87% 20.0 of 80.0 61 ok 5000.0 off none",
        "1 NVIDIA L4 - - - - - - on, 1 -",
    ]
    assert stdout.splitlines()[3:] == ["GPU 1 MIG -: 1.0 of 8.0 GiB, MIG-1", "driver 580.65.06"]


def test_json_prints_the_same_for_programs(start_agent: Any, driver: StubbedDriver) -> None:
    agent = start_agent("--json", **driver.env)
    (gpu,) = json.loads(agent.communicate(timeout=60)[0])
    assert (gpu["uuid"], gpu["power_watts"], gpu["status"]) == (H100["uuid"], 312.5, "ok")


@pytest.mark.parametrize(
    ("state", "words", "says"),
    [
        ({"init.error": 9}, (), "the NVIDIA driver is not loaded"),
        ({"count": 0}, ("--once",), "shows no GPU to this process"),
        ({}, ("--endpoint", "collector:4318"), "endpoint='collector:4318' is not an address"),
    ],
)
def test_what_cannot_work_is_one_clear_line_and_exit_code_2(
    start_agent: Any, driver: StubbedDriver, state: dict[str, int], words: tuple[str, ...], says: str
) -> None:
    driver.says(state)
    agent = start_agent(*words, **driver.env)
    stdout, stderr = agent.communicate(timeout=60)
    assert (agent.returncode, stdout) == (2, "")
    (line,) = stderr.splitlines()
    assert line.startswith("andon: ")
    assert says in line


def test_switched_off_the_agent_says_so_and_leaves(start_agent: Any, driver: StubbedDriver) -> None:
    agent = start_agent(ANDON_DISABLED="true", **driver.env)
    stdout, stderr = agent.communicate(timeout=60)
    assert (agent.returncode, stdout, stderr) == (0, "ANDON_DISABLED is set: nothing is sent\n", "")
