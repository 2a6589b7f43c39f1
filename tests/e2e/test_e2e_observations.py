"""A batch that a program observes stands in the store, value by value, with what each row stands for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.servers import ServeProcess, query_directory

PROGRAM = """
import sys
import andon
import numpy as np

andon.init(service="fraud", endpoint=sys.argv[1])

@andon.stage("score")
def score():
    andon.observe(model="fraud-2", features={"n": -1.5}, segment={"region": "south"})
    n = np.arange(10_000)
    andon.observe(
        model="fraud-2",
        features={"n": n, "parity": n % 2, "country": ["SE", "DE", None, "FR"] * 2500},
        score=(n / 10_000).astype("float32"),
        label=n >= 2500,
        segment={"region": "north"},
    )

@andon.pipeline("fraud")
def fraud():
    score()

fraud()
andon.shutdown(timeout_seconds=20)
"""

BY_SIGNAL = """
SELECT signal, count() AS n, sum(number) AS total, countIf(text = 'SE') AS swedish, countIf(text = 'true') AS truths,
       uniqExact(time, trace_id, span_id) AS moments, sum(weight) AS observed, any(model) AS model, any(stage) AS stage,
       any(pipeline) AS pipeline, any(service) AS service, countIf(segment['region'] = 'north') AS north
FROM observations GROUP BY signal ORDER BY signal
"""


def observe(folder: Path, **env: str) -> list[dict[str, object]]:
    """Run the program against a collector and return what the store holds of each signal."""
    with ServeProcess(folder / "data") as server:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, server.otlp_url],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={"NO_PROXY": "127.0.0.1", **env},
        )
        assert done.returncode == 0, done.stderr
        assert server.stop() == 0
    return query_directory(folder / "data", BY_SIGNAL)


def test_a_batch_arrives_with_the_right_numbers(tmp_path: Path) -> None:
    everywhere = {"model": "fraud-2", "stage": "score", "pipeline": "fraud", "service": "fraud"}
    found = {row.pop("signal"): row for row in observe(tmp_path)}
    assert {signal: row["n"] for signal, row in found.items()} == {
        "feature.country": 7500,
        "feature.n": 10_001,
        "feature.parity": 10_000,
        "label": 10_000,
        "score": 10_000,
    }
    assert all(row.items() >= everywhere.items() for row in found.values())
    # Every row is a moment of its own, so that equal values of one batch are not taken for a repeat.
    assert all(row["moments"] == row["n"] == row["observed"] for row in found.values())
    assert found["feature.n"]["total"] == 10_000 * 9_999 / 2 - 1.5
    assert found["feature.n"]["north"] == 10_000
    assert found["feature.parity"]["total"] == 5000
    assert found["feature.country"]["swedish"] == 2500
    assert found["label"]["truths"] == 7500
    assert abs(float(str(found["score"]["total"])) - 4999.5) < 0.001


def test_a_sampled_batch_stands_for_all_of_it(tmp_path: Path) -> None:
    found = {row["signal"]: row for row in observe(tmp_path, OTEL_BLRP_MAX_QUEUE_SIZE="1000")}
    assert found["feature.parity"]["n"] == 1000
    assert found["feature.parity"]["observed"] == 10_000
