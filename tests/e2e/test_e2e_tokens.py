"""What goes in comes out: tokens recorded with the real SDK, or sent by a real engine, read back from the JSON API."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.collector.test_decode import VLLM
from tests.servers import ServeProcess, wait_until

CONFIG = """
[[pools]]
name = "own"
accelerator = "H100-SXM"
count = 1
usd_per_hour = 2
serves.services = ["vllm-tiny"]
"""

PROGRAM = """
import asyncio, sys, andon
andon.init(service="shop", endpoint=sys.argv[1])

@andon.stage("generate")
def generate(n):
    for i in range(n):
        yield i
    andon.record_tokens(input=100 + n, output=n, cache_read=40, model="gpt-5", provider="openai")

@andon.pipeline("support-rag")
def answer(n):
    return sum(1 for _ in generate(n))

@andon.stage("summarise")
async def summarise(n):
    andon.record_tokens(input=n, output=1, model="claude-sonnet-4-5", provider="anthropic")
    andon.observe(model="claude-sonnet-4-5", features={"length": n}, score=0.5)

@andon.pipeline("batch")
async def batch():
    await asyncio.gather(*[summarise(n) for n in range(1, 11)])
    raise ValueError("one run fails")

for n in range(1, 21):
    answer(n)
try:
    asyncio.run(batch())
except ValueError:
    pass
andon.shutdown()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    folder = tmp_path_factory.mktemp("e2e")
    config = folder / "andon.toml"
    config.write_text(CONFIG)
    with ServeProcess(folder / "data", config) as server:
        yield server


def test_tokens_recorded_with_the_sdk_are_the_tokens_of_the_api(server: ServeProcess) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, server.otlp_url], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    wait_until(lambda: server.get("/api/v1/summary", window="1h")["calls"] >= 30, "30 calls are in the summary")
    found = server.get("/api/v1/summary", window="1h")
    # support-rag: n = 1..20: input 100 + n, output n, 40 cached. batch: n = 1..10: input n, output 1.
    assert found["calls"] == 30
    assert found["input_tokens"] == 20 * 100 + 210 + 55
    assert found["output_tokens"] == 210 + 10
    assert found["cache_read_tokens"] == 800
    pipelines = {row["labels"]["pipeline"]: row["quantities"] for row in found["pipelines"]}
    assert (pipelines["support-rag"]["runs"], pipelines["support-rag"]["run_errors"]) == (20, 0)
    assert (pipelines["batch"]["runs"], pipelines["batch"]["run_errors"]) == (1, 1)
    models = {row["labels"]["model"]: row for row in found["models"]}
    assert models["gpt-5"]["quantities"]["output_tokens"] == 210
    assert models["gpt-5"]["latency"]["time_to_first_token_p50_seconds"] is not None
    # gpt-5 $1.25/$0.125/$10: 1 410 plain + 800 cached + 210 out; claude-sonnet-4-5 $3/$15: 55 in + 10 out.
    assert float(models["gpt-5"]["quantities"]["usd"]) == pytest.approx((1410 * 1.25 + 800 * 0.125 + 210 * 10) / 1e6)
    assert float(models["claude-sonnet-4-5"]["quantities"]["usd"]) == pytest.approx((55 * 3 + 10 * 15) / 1e6)
    assert server.metric("andon_collector_accepted_rows_total", table="observations") == 20


def test_recorded_vllm_bytes_are_counted_right_and_their_start_up_spans_are_not_calls(server: ServeProcess) -> None:
    before = server.get("/api/v1/summary", window="3650d")
    answer = httpx.post(
        f"{server.otlp_url}/v1/traces",
        content=VLLM.read_bytes(),
        headers={"content-type": "application/x-protobuf"},
    )
    assert answer.status_code == 200
    wait_until(
        lambda: server.get("/api/v1/summary", window="3650d")["calls"] == before["calls"] + 4,
        "the four requests are counted",
    )
    after = server.get("/api/v1/summary", window="3650d")
    assert after["input_tokens"] - before["input_tokens"] == 523
    assert after["output_tokens"] - before["output_tokens"] == 56
    assert "server" in after["vantage"]
    (pool,) = after["pools"]
    assert (pool["quantities"]["calls"], pool["quantities"]["output_tokens"]) == (4, 56)
    assert after["unpriced"] == []
