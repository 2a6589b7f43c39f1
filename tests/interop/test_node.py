"""The OpenTelemetry SDK for Node.js, which sends JSON in chunks, with a key in its standard variable: every value that
it sends is stored."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import peers
from tests.collector.test_auth import new_key
from tests.interop.environments import FOLDER
from tests.servers import ServeProcess, query_directory

SOURCE = Path(__file__).parent / "node"


@pytest.fixture
def program() -> Path:
    """The program in a folder where its packages are installed; npm installs those that are missing or have changed."""
    for name in ("node", "npm"):
        peers.require(name, "install Node.js 20 or newer, and npm")
    folder = FOLDER / "node"
    installed_of = folder / "installed_of.json"
    wanted = (SOURCE / "package.json").read_text()
    if not installed_of.exists() or installed_of.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text(wanted)
        options = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error"]
        done = subprocess.run(
            ["npm", "install", *options], cwd=folder, capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode != 0:
            peers.missing("node packages", f"npm cannot install them: {done.stderr.strip()[:500]}")
        installed_of.write_text(wanted)
    return Path(shutil.copy(SOURCE / "program.js", folder))


def test_the_node_sdk_delivers_every_value_as_json(tmp_path: Path, program: Path) -> None:
    data, config = tmp_path / "data", tmp_path / "andon.toml"
    config.write_text("[collector]\nrequire_key = true\n")
    key = new_key(data, "node", project="web")
    with ServeProcess(data, config) as server:
        given = {"OTEL_EXPORTER_OTLP_ENDPOINT": server.otlp_url, "OTEL_EXPORTER_OTLP_HEADERS": f"x-andon-key={key}"}
        done = subprocess.run(
            ["node", str(program)], capture_output=True, text=True, timeout=120, env=os.environ | given, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        sent = json.loads(done.stdout)
        assert server.stop() == 0

    outer, chat = query_directory(
        data,
        "SELECT project, name, kind, service, environment, scope_name, scope_version, lower(hex(trace_id)) AS trace, "
        "lower(hex(span_id)) AS span, lower(hex(parent_span_id)) AS parent, operation, provider, "
        "request_model AS model, input_tokens AS n_in, output_tokens AS n_out, status_code, status_message, "
        "event_names, attributes, start_time <= end_time AND end_time > now() - 600 AS on_time "
        "FROM spans ORDER BY name",
    )
    common = {"project": "web", "service": "node-bot", "environment": "test", "scope_name": "node-program"}
    assert common.items() <= outer.items()
    assert common.items() <= chat.items()
    assert (outer["name"], outer["kind"], outer["parent"]) == ("answer", 2, "0" * 16)
    assert (chat["trace"], chat["span"], chat["parent"]) == (sent["traceId"], sent["spanId"], sent["parentSpanId"])
    assert (chat["operation"], chat["provider"], chat["model"]) == ("chat", "openai", "gpt-5-mini")
    assert (chat["kind"], chat["n_in"], chat["n_out"], chat["on_time"]) == (3, 31, 7, 1)
    assert (chat["status_code"], chat["status_message"], chat["event_names"]) == (2, "cut off", ["first-token"])
    assert {"app.ratio": "0.25", "app.retried": "true", "app.greeting": "grüß dich 世界"}.items() <= chat[
        "attributes"
    ].items()

    points = query_directory(
        data,
        "SELECT metric, unit, kind, temporality, monotonic, value, count, sum, min, max, bucket_bounds, bucket_counts, "
        "attributes FROM metrics WHERE project = 'web' AND service = 'node-bot' ORDER BY metric",
    )
    calls, duration, queue, temperature = points
    assert (calls["metric"], calls["unit"], calls["kind"], calls["value"]) == ("calls", "{call}", "sum", 5)
    assert (calls["temporality"], calls["monotonic"], calls["attributes"]) == ("cumulative", True, {"route": "/ask"})
    assert (duration["kind"], duration["count"], duration["sum"]) == ("histogram", 3, 6)
    assert (duration["min"], duration["max"]) == (0.5, 4)
    assert (duration["bucket_bounds"], duration["bucket_counts"]) == ([1, 2], [1, 1, 1])
    assert (queue["metric"], queue["value"], queue["monotonic"]) == ("queue", -3, False)
    assert (temperature["kind"], temperature["unit"], temperature["value"]) == ("gauge", "Cel", 36.6)

    event, warning = query_directory(
        data,
        "SELECT event_name, body, severity_number, severity_text, lower(hex(span_id)) AS span, attributes FROM logs "
        "WHERE project = 'web' AND service = 'node-bot' ORDER BY body DESC",
    )
    assert (event["event_name"], json.loads(event["body"])) == ("order.placed", {"id": 7, "items": ["a", "b"]})
    assert (warning["body"], warning["severity_number"], warning["severity_text"]) == ("slow answer", 13, "WARN")
    assert (warning["span"], warning["attributes"]) == (sent["spanId"], {"seconds": "4"})
