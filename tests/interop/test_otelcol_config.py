"""`otel-config.yaml` is valid as it is and with all that the guide sets, and sends a key where there is one."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from tests.interop.gateway import CONFIG, Gateway
from tests.interop.otelcol import ROOT, otelcol
from tests.interop.sending import Sender

Arrivals = Queue[dict[str, str]]


@pytest.fixture
def arrivals() -> Iterator[tuple[str, Arrivals]]:
    """The address of a server that takes whatever is posted, and the headers of what came."""
    arrived: Arrivals = Queue()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            arrived.put({name.lower(): value for name, value in self.headers.items()})
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", arrived
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("variables", "authorization"),
    [
        ({}, None),
        ({"GATEWAY_ANDON_HEADERS": "{Authorization: Bearer a-key}"}, "Bearer a-key"),
        ({"GATEWAY_ANDON_HEADERS": '{Authorization: "Bearer ${env:ANDON_KEY}"}', "ANDON_KEY": "0815"}, "Bearer 0815"),
    ],
)
def test_the_key_goes_with_each_request_and_without_one_there_is_no_header(
    tmp_path: Path, arrivals: tuple[str, Arrivals], variables: dict[str, str], authorization: str | None
) -> None:
    url, arrived = arrivals
    with Gateway(tmp_path, url, **variables) as gateway:
        Sender(gateway.http_url, gateway.grpc_url).send()
        headers = arrived.get(timeout=60)
    assert headers.get("authorization") == authorization
    assert headers["content-encoding"] == "zstd"


def test_the_file_is_valid_as_it_is_and_starts_without_any_variable() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    done = subprocess.run(
        [str(otelcol()), "validate", "--config", str(CONFIG)], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_VLLM", "['10.0.0.7:8000', 'engine-2:8000']"),
        ("GATEWAY_DCGM", "[10.0.0.7:9400]"),
        ("GATEWAY_ANDON_HEADERS", "{Authorization: Bearer a-key}"),
        ("GATEWAY_ANDON_URL", "https://andon.example.com:4318"),
        ("GATEWAY_QUEUE_BYTES", "10737418240"),
        ("GATEWAY_FSYNC", "false"),
        ("GATEWAY_MEMORY_MIB", "4096"),
    ],
)
def test_what_the_guide_sets_is_valid(name: str, value: str) -> None:
    subprocess.run([str(otelcol()), "validate", "--config", str(CONFIG)], env=os.environ | {name: value}, check=True)


def test_every_variable_of_the_file_is_in_the_guide_with_its_default() -> None:
    used = re.findall(r"\$\{env:(\w+):-([^}]*)\}", CONFIG.read_text())
    guide = (ROOT / "docs/gateway.md").read_text()
    told = dict(re.findall(r"^\| `(GATEWAY_\w+)` \| `([^`]+)`", guide, re.MULTILINE))
    assert told == {name: {"null": "none"}.get(default, default) for name, default in used}
