"""How soon what was acknowledged can be seen: one span of a pipeline of its own, then the API is asked for it.

Probes belong to a project of their own, so that the question costs the server little whatever else it is sent.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.server import Server

_PROJECT = "probe"
# A question costs the server as much as ten thousand spans: it must not be what is measured.
_POLL_SECONDS = 1.0


class Prober:
    """Sends probes to a server; `stored` is how many spans they were."""

    def __init__(self, server: Server) -> None:
        command = ("keys", "create", _PROJECT, "--project", _PROJECT, "--data-dir", str(server.data), "--json")
        told = subprocess.run([sys.executable, "-m", "cli.main", *command], capture_output=True, check=True)
        self._headers = {"content-type": "application/x-protobuf", "x-andon-key": json.loads(told.stdout)["key"]}
        self._server = server
        self.stored = 0

    def seconds(self, longest: float) -> float:
        """From the acknowledgement of a span until the API tells of its pipeline; infinite after `longest`."""
        pipeline = f"probe-{self.stored}"
        url = f"{self._server.addresses['otlp_url']}/v1/traces"
        answer = httpx.post(url, content=_span(pipeline), headers=self._headers, timeout=60)
        assert answer.status_code == 200, answer.text
        acknowledged = time.perf_counter()
        self.stored += 1
        while time.perf_counter() - acknowledged < longest:
            if pipeline in self._pipelines():
                return time.perf_counter() - acknowledged
            time.sleep(_POLL_SECONDS)
        return float("inf")

    def _pipelines(self) -> set[str]:
        query = {"from": "now-1m", "to": "now", "step": "10s", "by": "pipeline", "project": _PROJECT}
        answer = httpx.get(f"{self._server.url}/api/v1/throughput", params=query, timeout=60)
        return {series["labels"]["pipeline"] for series in answer.raise_for_status().json()["series"]}


def _span(pipeline: str) -> bytes:
    request = ExportTraceServiceRequest()
    now = time.time_ns()
    span = (
        request.resource_spans.add()
        .scope_spans.add()
        .spans.add(
            trace_id=now.to_bytes(16, "big"),
            span_id=now.to_bytes(8, "big"),
            name="chat gpt-5",
            kind=3,
            start_time_unix_nano=now - 10**9,
            end_time_unix_nano=now,
        )
    )
    texts = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5",
        "andon.pipeline": pipeline,
    }
    for key, text in texts.items():
        span.attributes.add(key=key).value.string_value = text
    span.attributes.add(key="gen_ai.usage.output_tokens").value.int_value = 100
    return request.SerializeToString()
