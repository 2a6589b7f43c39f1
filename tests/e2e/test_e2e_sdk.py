"""What the SDK sends beside spans of chat: training, batches of observations, metrics; read back where users look."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ServeProcess, query_directory, wait_until

PROGRAM = """
import sys
import numpy as np
import andon

andon.init("lab", sys.argv[1])

@andon.stage("step")
def step(batch):
    andon.record_tokens(input=batch * 1024, rows_in=batch, bytes_in=batch * 4096, model="own-7b")

@andon.pipeline("nightly-train", kind="train", domain="search")
def train():
    for _ in range(10):
        step(8)

@andon.stage("ask")
def ask(n):
    return {
        "id": f"chatcmpl-{n}", "object": "chat.completion", "created": 1, "model": "own-7b",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}],
        "usage": {"prompt_tokens": 30, "completion_tokens": 7, "total_tokens": 37},
    }

@andon.pipeline("support", domain="care")
def support(n):
    return ask(n)

train()
for n in range(5):
    support(n)
andon.observe(
    model="fraud",
    features={"amount": np.arange(1000, dtype="float32"), "country": ["SE", "DE"] * 500},
    score=np.linspace(0, 1, 1000),
    segment={"region": "north"},
)
andon.shutdown(30)
"""

POINTS = """
SELECT metric, sum(count) AS calls, sum(sum) AS total FROM metrics
WHERE metric = 'gen_ai.client.token.usage' GROUP BY metric
"""
OBSERVED = """
SELECT signal, count() AS rows, sum(number) AS total, uniqExact(text) AS texts, any(segment['region']) AS region,
    uniqExact(time) AS moments, sum(weight) AS weight
FROM observations GROUP BY signal ORDER BY signal
"""


def test_training_chat_observations_and_metrics_arrive(tmp_path: Path) -> None:
    with ServeProcess(tmp_path / "data") as server:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, server.otlp_url], capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        wait_until(lambda: server.get("/api/v1/summary", window="1h")["calls"] >= 15, "15 calls are in the summary")
        found = server.get("/api/v1/summary", window="1h")
        pipelines = {row["labels"]["pipeline"]: row["quantities"] for row in found["pipelines"]}
        assert pipelines["nightly-train"]["input_tokens"] == 10 * 8 * 1024
        rates = {name: row["tps"]["input"] for name, row in pipelines.items()}
        assert rates["nightly-train"] / rates["support"] == pytest.approx(10 * 8 * 1024 / 150)
        # Returned by the stage and by the pipeline, and counted once.
        assert (pipelines["support"]["input_tokens"], pipelines["support"]["output_tokens"]) == (150, 35)
        wait_until(
            lambda: server.metric("andon_collector_accepted_rows_total", table="metric_points") > 0,
            "metrics are accepted",
        )
        assert server.stop() == 0
    (points,) = query_directory(tmp_path / "data", POINTS)
    assert (int(points["calls"]), points["total"]) == (10 + 5 * 2, 10 * 8 * 1024 + 5 * 37)
    rows = {row["signal"]: row for row in query_directory(tmp_path / "data", OBSERVED)}
    assert set(rows) == {"feature.amount", "feature.country", "score"}
    assert {int(row["rows"]) for row in rows.values()} == {1000}
    assert {int(row["moments"]) for row in rows.values()} == {1000}
    assert {row["weight"] for row in rows.values()} == {1000.0}
    assert {row["region"] for row in rows.values()} == {"north"}
    assert rows["feature.amount"]["total"] == 999 * 1000 / 2
    assert rows["score"]["total"] == pytest.approx(500)
    assert int(rows["feature.country"]["texts"]) == 2
