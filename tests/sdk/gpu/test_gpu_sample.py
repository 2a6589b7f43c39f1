"""What is known of a GPU, read by NVIDIA's own binding from a driver library that answers from a file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.gpu.conftest import H100, SECOND, StubbedDriver

PRINT = """
import dataclasses, json
import andon

print(json.dumps([dataclasses.asdict(gpu) for gpu in andon.gpu.sample()], default=lambda value: value.value))
"""

CHANGE = """
import json, os, pathlib
import andon

def change(old, new):
    path = pathlib.Path(os.environ["NVML_STUB_STATE"])
    path.write_text(path.read_text().replace(old, new))
"""


def test_a_gpu_is_read_in_full_with_its_units(run_program: Any, driver: StubbedDriver) -> None:
    (gpu,) = json.loads(run_program(PRINT, **driver.env).stdout)
    del gpu["at_seconds"]
    assert gpu == {
        "uuid": H100["uuid"],
        "index": 0,
        "name": "NVIDIA H100 80GB HBM3",
        "driver_version": "580.65.06",
        "power_watts": 312.5,
        "energy_joules": 5_000_000.0,
        "utilization": 0.87,
        "memory_used_bytes": 21_474_836_480,
        "memory_total_bytes": 85_899_345_920,
        "temperature_celsius": 61.0,
        "corrected_errors": 4,
        "uncorrected_errors": 0,
        "status": "ok",
        "mig_enabled": False,
        "mig_instances": [],
        "pids": [],
    }


def test_what_a_card_does_not_support_is_unknown(run_program: Any, driver: StubbedDriver) -> None:
    driver.has({"uuid": SECOND, "power_mw": 90_000})
    done = run_program(PRINT, **driver.env)
    (gpu,) = json.loads(done.stdout)
    known = {name: value for name, value in gpu.items() if value is not None and name != "at_seconds"}
    assert known == {
        "uuid": SECOND,
        "index": 0,
        "driver_version": "580.65.06",
        "power_watts": 90.0,
        "mig_instances": [],
    }
    assert done.stderr == ""


def test_each_mig_instance_is_told_with_its_profile_and_memory(run_program: Any, driver: StubbedDriver) -> None:
    driver.says(
        {
            "gpu0.mig": 1,
            "gpu0.utilization": None,
            "gpu0.mig0.uuid": "MIG-11111111",
            "gpu0.mig0.name": "NVIDIA H100 80GB HBM3 MIG 1g.10gb",
            "gpu0.mig0.memory_used": 2**30,
            "gpu0.mig0.memory_total": 10 * 2**30,
            "gpu0.mig3.uuid": "MIG-33333333",
        }
    )
    (gpu,) = json.loads(run_program(PRINT, **driver.env).stdout)
    assert gpu["mig_enabled"] is True
    assert gpu["utilization"] is None
    assert gpu["mig_instances"] == [
        {
            "uuid": "MIG-11111111",
            "profile": "1g.10gb",
            "memory_used_bytes": 1_073_741_824,
            "memory_total_bytes": 10_737_418_240,
        },
        {"uuid": "MIG-33333333", "profile": None, "memory_used_bytes": None, "memory_total_bytes": None},
    ]


def test_processes_of_other_users_and_of_the_past_are_not_ours(run_program: Any, driver: StubbedDriver) -> None:
    never = 2**22 + 1  # above the kernel's largest process id
    driver.says({"gpu0.pids": f"{os.getpid()},{never}"})
    (gpu,) = json.loads(run_program(PRINT, **driver.env).stdout)
    assert gpu["pids"] == [os.getpid()]


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"ecc_uncorrected": 0, "rows_pending": 0, "rows_failed": 0}, "ok"),
        ({"ecc_uncorrected": 2, "rows_pending": 0, "rows_failed": 0}, "degraded"),
        ({"ecc_uncorrected": 0, "rows_pending": 1, "rows_failed": 0}, "degraded"),
        ({"ecc_uncorrected": 0, "rows_pending": 1, "rows_failed": 1}, "failed"),
        ({"ecc_uncorrected": 0, "rows_pending.error": 3}, "ok"),
        ({"ecc_uncorrected.error": 3, "rows_pending.error": 3}, None),
    ],
)
def test_the_state_follows_from_uncorrected_errors_and_spare_rows(
    run_program: Any, driver: StubbedDriver, facts: dict[str, int], status: str | None
) -> None:
    driver.says({f"gpu0.{name}": value for name, value in facts.items()})
    (gpu,) = json.loads(run_program(PRINT, **driver.env).stdout)
    assert gpu["status"] == status


def test_a_driver_from_before_2025_tells_the_temperature_too(run_program: Any, driver: StubbedDriver) -> None:
    driver.says({"gpu0.temperature.error": 13, "gpu0.old_temperature": 55})
    (gpu,) = json.loads(run_program(PRINT, **driver.env).stdout)
    assert gpu["temperature_celsius"] == 55.0


@pytest.mark.parametrize("code", [15, 16], ids=["GPU is lost", "reset required"])
def test_a_gpu_that_is_lost_has_failed_and_the_others_are_read_on(
    run_program: Any, driver: StubbedDriver, code: int
) -> None:
    driver.has(H100 | {"lost": "no"}, H100 | {"uuid": SECOND})
    program = f"""
andon.gpu.sample()
change("gpu0.lost=no", "gpu0.error={code}")
print(json.dumps([[gpu.uuid, gpu.status.value, gpu.power_watts, gpu.name] for gpu in andon.gpu.sample()]))
"""
    done = run_program(CHANGE + program, **driver.env)
    assert json.loads(done.stdout) == [
        [H100["uuid"], "failed", None, "NVIDIA H100 80GB HBM3"],
        [SECOND, "ok", 312.5, "NVIDIA H100 80GB HBM3"],
    ]
    assert done.stderr == ""


def test_a_gpu_that_is_lost_before_it_was_ever_seen_cannot_be_named(run_program: Any, driver: StubbedDriver) -> None:
    driver.has(H100 | {"error": 15}, H100 | {"uuid": SECOND})
    (gpu,) = json.loads(run_program(PRINT, **driver.env).stdout)
    assert (gpu["uuid"], gpu["index"]) == (SECOND, 1)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (9, "the NVIDIA driver is not loaded"),
        (18, "restart the machine"),
        (4, "may not open /dev/nvidia"),
        (999, "nvidia-smi"),
    ],
)
def test_a_driver_that_cannot_be_used_gives_nothing_and_one_line_with_advice(
    run_program: Any, driver: StubbedDriver, code: int, advice: str
) -> None:
    driver.says({"init.error": code})
    done = run_program("import andon\nprint(andon.gpu.sample(), andon.gpu.sample())", **driver.env)
    assert done.stdout == "() ()\n"
    (line,) = done.stderr.splitlines()
    assert advice in line


def test_without_a_driver_library_the_line_says_what_to_install(run_program: Any, tmp_path: Path) -> None:
    (tmp_path / "libnvidia-ml.so.1").touch()  # no library: hides one that this machine may have
    program = "import andon\nprint(andon.gpu.sample(), andon.gpu.sample())"
    done = run_program(program, LD_LIBRARY_PATH=str(tmp_path))
    assert done.stdout == "() ()\n"
    (line,) = done.stderr.splitlines()
    assert "libnvidia-ml.so.1 was not found; install the NVIDIA driver" in line


def test_without_the_binding_the_line_names_the_extra(run_program: Any) -> None:
    program = "import sys; sys.modules['pynvml'] = None\nimport andon\nprint(andon.gpu.sample(), andon.gpu.sample())"
    done = run_program(program)
    assert done.stdout == "() ()\n"
    (line,) = done.stderr.splitlines()
    assert "pip install 'andon-sdk[gpu]'" in line


def test_a_driver_that_comes_back_is_read_again(run_program: Any, driver: StubbedDriver) -> None:
    driver.says({"count.error": 1})
    program = """
before = andon.gpu.sample()
change("count.error=1", "")
print(len(before), len(andon.gpu.sample()))
"""
    assert run_program(CHANGE + program, **driver.env).stdout == "0 1\n"


def test_a_forked_child_opens_the_driver_for_itself(run_program: Any, driver: StubbedDriver) -> None:
    program = """
andon.gpu.sample()
if (pid := os.fork()) == 0:
    print(len(andon.gpu.sample()), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
"""
    assert run_program(CHANGE + program, **driver.env).stdout == "1\n"


def test_switched_off_it_asks_no_driver(run_program: Any, driver: StubbedDriver) -> None:
    program = "import sys, andon\nprint(andon.gpu.sample(), 'pynvml' in sys.modules)"
    assert run_program(program, ANDON_DISABLED="true", **driver.env).stdout == "() False\n"


def test_importing_andon_loads_neither_the_binding_nor_the_metrics_sdk(run_program: Any) -> None:
    program = """
import sys
import andon
andon.init()
print([name for name in ("andon.gpu", "pynvml", "opentelemetry.sdk.metrics") if name in sys.modules])
"""
    assert run_program(program).stdout == "[]\n"
