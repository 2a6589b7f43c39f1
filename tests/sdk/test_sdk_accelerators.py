"""Which accelerators a process may use: from its environment and files, without a driver library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from andon.accelerators import accelerator_attributes, boards_of_host, host_attributes, process_resource
from andon.visibility import Board, Visible, visible_accelerators

A, B, C, D = (Board(f"GPU-{letter * 8}-0000", "H100") for letter in "abcd")
FOUR = (A, B, C, D)
MIXED = (A, Board("GPU-eeeeeeee-0000", "L4"))


def ids(*boards: Board) -> tuple[str, ...]:
    """UUIDs of boards that have one."""
    return tuple(board.uuid for board in boards if board.uuid is not None)


@pytest.mark.parametrize(
    ("env", "visible"),
    [
        ({}, Visible(ids(*FOUR), 4, "H100")),
        ({"CUDA_VISIBLE_DEVICES": "2,0"}, Visible(ids(C, A), 2, "H100")),
        ({"CUDA_VISIBLE_DEVICES": ""}, Visible((), 0)),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, Visible((), 0)),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, Visible((), 0)),
        ({"CUDA_VISIBLE_DEVICES": "1,-1,2"}, Visible(ids(B), 1, "H100")),
        ({"CUDA_VISIBLE_DEVICES": "GPU-bbbb"}, Visible(ids(B), 1, "H100")),
        ({"CUDA_VISIBLE_DEVICES": "GPU-ffffffff-0000"}, Visible(("GPU-ffffffff-0000",), 1, "H100")),
        ({"CUDA_VISIBLE_DEVICES": "MIG-1,MIG-2"}, Visible(("MIG-1", "MIG-2"), 2, "H100")),
        ({"CUDA_VISIBLE_DEVICES": "9"}, Visible(None, 1, "H100")),
        ({"CUDA_VISIBLE_DEVICES": "1", "NVIDIA_VISIBLE_DEVICES": "all"}, Visible(ids(B), 1, "H100")),
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, Visible(ids(*FOUR), 4, "H100")),
        ({"NVIDIA_VISIBLE_DEVICES": "none"}, Visible((), 0)),
        ({"NVIDIA_VISIBLE_DEVICES": ""}, Visible((), 0)),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, Visible(ids(*FOUR), 4, "H100")),
        ({"NVIDIA_VISIBLE_DEVICES": "/var/run/nvidia-container-devices"}, Visible(ids(*FOUR), 4, "H100")),
        ({"NVIDIA_VISIBLE_DEVICES": "3,1"}, Visible(ids(D, B), 2, "H100")),
        ({"NVIDIA_VISIBLE_DEVICES": f"{A.uuid},{B.uuid}"}, Visible(ids(A, B), 2, "H100")),
        ({"SLURM_JOB_GPUS": "1,2"}, Visible(ids(B, C), 2, "H100")),
        ({"SLURM_JOB_GPUS": "1-3", "SLURM_STEP_GPUS": "2"}, Visible(ids(C), 1, "H100")),
        ({"SLURM_JOB_GPUS": ""}, Visible((), 0)),
    ],
)
def test_nvidia_gpus_by_the_rules_of_cuda_the_container_runtime_and_slurm(
    env: dict[str, str], visible: Visible
) -> None:
    assert visible_accelerators(env, FOUR) == visible


@pytest.mark.parametrize(
    ("granted", "visible", "expected"),
    [
        ("2,3", "0,1", ids(C, D)),  # numbered anew inside the cgroup
        ("2,3", "2,3", ids(C, D)),  # no cgroup: the host's numbers
        ("0,1", "1", ids(B)),  # both readings agree
        ("1,2", "1", None),  # GPU 1 of the host, or the second that was granted: nobody can tell
    ],
)
def test_under_slurm_cuda_numbers_may_count_what_was_granted(
    granted: str, visible: str, expected: tuple[str, ...] | None
) -> None:
    found = visible_accelerators({"SLURM_JOB_GPUS": granted, "CUDA_VISIBLE_DEVICES": visible}, FOUR)
    assert found is not None
    assert found.ids == expected
    assert found.count == len(visible.split(","))


def test_numbers_in_a_container_name_the_gpus_that_are_left_in_it() -> None:
    assert visible_accelerators({"NVIDIA_VISIBLE_DEVICES": "5"}, (B,)) == Visible(ids(B), 1, "H100")
    assert visible_accelerators({"NVIDIA_VISIBLE_DEVICES": "5,6"}, (B,)) == Visible(None, 2, "H100")


def test_with_mixed_models_cuda_numbers_say_nothing_unless_they_follow_the_bus() -> None:
    assert visible_accelerators({"CUDA_VISIBLE_DEVICES": "0"}, MIXED) == Visible(None, 1)
    by_bus = {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert visible_accelerators(by_bus, MIXED) == Visible(("GPU-eeeeeeee-0000",), 1, "L4")
    assert visible_accelerators({"CUDA_VISIBLE_DEVICES": "GPU-e"}, MIXED) == Visible(("GPU-eeeeeeee-0000",), 1, "L4")
    assert visible_accelerators({"CUDA_VISIBLE_DEVICES": "MIG-1"}, MIXED) == Visible(("MIG-1",), 1)


def test_a_board_whose_uuid_the_driver_does_not_tell_yet_makes_the_ids_unknown() -> None:
    assert visible_accelerators({}, (A, Board(None, "H100"))) == Visible(None, 2, "H100")


@pytest.mark.parametrize(
    ("env", "visible"),
    [
        ({}, None),
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, None),
        ({"CUDA_VISIBLE_DEVICES": "0,1"}, Visible(None, 2)),
        ({"HIP_VISIBLE_DEVICES": "0,1"}, Visible(None, 2)),
        ({"HIP_VISIBLE_DEVICES": "0", "ROCR_VISIBLE_DEVICES": "2,3"}, Visible(None, 1)),
        ({"ROCR_VISIBLE_DEVICES": "GPU-f00d,GPU-beef"}, Visible(("GPU-f00d", "GPU-beef"), 2)),
        ({"ROCR_VISIBLE_DEVICES": ""}, Visible((), 0)),
        ({"NEURON_RT_VISIBLE_CORES": "0,4-6"}, Visible(tuple(f"neuron-core-{n}" for n in (0, 4, 5, 6)), 4)),
        ({"NEURON_RT_VISIBLE_CORES": "many"}, None),
        ({"NEURON_RT_NUM_CORES": "8"}, Visible(None, 8)),
        ({"TPU_VISIBLE_CHIPS": "0,1", "TPU_ACCELERATOR_TYPE": "v5e"}, Visible(("tpu-chip-0", "tpu-chip-1"), 2, "v5e")),
        ({"TPU_CHIPS_PER_HOST_BOUNDS": "2,2,1", "TPU_ACCELERATOR_TYPE": "v5p-8"}, Visible(None, 4, "v5p-8")),
        ({"TPU_ACCELERATOR_TYPE": "v6e-4"}, Visible(None, None, "v6e-4")),
    ],
)
def test_other_makers_say_what_their_variables_say(env: dict[str, str], visible: Visible | None) -> None:
    assert visible_accelerators(env, ()) == visible


def add_board(root: Path, address: str, minor: int, uuid: str, *, node: bool = True) -> None:
    """Write what the driver shows of a GPU."""
    folder = root / "proc/driver/nvidia/gpus" / address
    folder.mkdir(parents=True)
    (folder / "information").write_text(
        f"Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 42\nGPU UUID: \t {uuid}\nVideo BIOS: \t ??.??.??.??.??\n"
        f"Bus Location: \t {address}\nDevice Minor: \t {minor}\nGPU Excluded:\t No\n"
    )
    (root / "dev").mkdir(exist_ok=True)
    if node:
        (root / f"dev/nvidia{minor}").touch()


def test_boards_come_in_the_order_of_the_bus_as_nvml_numbers_them(tmp_path: Path) -> None:
    add_board(tmp_path, "0000:c1:00.0", 0, "GPU-late")
    add_board(tmp_path, "0000:04:00.0", 1, "GPU-early")
    add_board(tmp_path, "0000:0a:00.0", 2, "GPU-????????-????-????-????-????????????")
    model = "NVIDIA H100 80GB HBM3"
    assert boards_of_host(tmp_path) == (Board("GPU-early", model), Board(None, model), Board("GPU-late", model))


def test_a_container_does_not_own_the_gpus_that_it_has_no_device_node_of(tmp_path: Path) -> None:
    add_board(tmp_path, "0000:04:00.0", 0, "GPU-theirs", node=False)
    add_board(tmp_path, "0000:05:00.0", 1, "GPU-ours")
    assert [board.uuid for board in boards_of_host(tmp_path)] == ["GPU-ours"]


def test_the_attributes_name_ids_count_model_and_pool(tmp_path: Path) -> None:
    add_board(tmp_path, "0000:04:00.0", 0, "GPU-a")
    add_board(tmp_path, "0000:05:00.0", 1, "GPU-b")
    assert accelerator_attributes({"ANDON_ACCELERATOR_POOL": "rag-h100"}, tmp_path) == {
        "ai_factory.accelerator.ids": ("GPU-a", "GPU-b"),
        "ai_factory.accelerator.count": 2,
        "ai_factory.accelerator.sku": "NVIDIA H100 80GB HBM3",
        "andon.accelerator.pool": "rag-h100",
    }


def test_no_accelerator_is_a_count_of_zero_and_unknown_is_left_out(tmp_path: Path) -> None:
    assert accelerator_attributes({"CUDA_VISIBLE_DEVICES": ""}, tmp_path) == {"ai_factory.accelerator.count": 0}
    assert accelerator_attributes({}, tmp_path) == {}


@pytest.mark.parametrize("mark", [None, ".dockerenv", "run/.containerenv", "KUBERNETES_SERVICE_HOST"])
def test_a_machine_id_names_the_host_unless_it_is_an_images(tmp_path: Path, mark: str | None) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "etc/machine-id").write_text("0123456789abcdef\n")
    env = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"} if mark == "KUBERNETES_SERVICE_HOST" else {}
    if mark and not env:
        (tmp_path / mark).touch()
    found = host_attributes(env, tmp_path) or {}
    assert found["host.name"]
    assert found.get("host.id") == ("0123456789abcdef" if mark is None else None)


def test_what_was_given_beats_the_environment_which_beats_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("ANDON_ACCELERATOR_POOL", "found")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "host.name=said,andon.accelerator.pool=said,service.name=said")
    found = process_resource({"service.name": "given"}).attributes
    assert found["host.name"] == "said"
    assert found["andon.accelerator.pool"] == "said"
    assert found["service.name"] == "given"
    assert found["ai_factory.accelerator.count"] == 0


def test_spans_and_observations_leave_with_the_accelerators_of_their_process(
    collector: Any, run_program: Any, decoded: Any
) -> None:
    program = """
import andon
andon.init(service="train")
andon.stage("work")(lambda: andon.observe(model="m", features={"x": 1.0}))()
"""
    env = {"CUDA_VISIBLE_DEVICES": "", "ANDON_ACCELERATOR_POOL": "h100"}
    run_program(program, ANDON_ENDPOINT=collector.url, **env)
    resources = [r.resource for request in collector.traces for r in request.resource_spans]
    resources += [r.resource for request in collector.logs for r in request.resource_logs]
    assert len(resources) == 2
    for resource in resources:
        found = decoded(resource)
        assert found["service.name"] == "train"
        assert found["andon.accelerator.pool"] == "h100"
        assert found["ai_factory.accelerator.count"] == 0
        assert found["host.name"]


def test_a_provider_of_the_programs_own_keeps_its_resource(collector: Any, run_program: Any, decoded: Any) -> None:
    program = """
import andon
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider(resource=Resource({"mine": "yes"})))
andon.init()
andon.stage("work")(lambda: None)()
"""
    run_program(program, ANDON_ENDPOINT=collector.url, CUDA_VISIBLE_DEVICES="")
    ((resource,),) = [request.resource_spans for request in collector.traces]
    assert decoded(resource.resource) == {"mine": "yes"}
