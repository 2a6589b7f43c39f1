"""A small server that speaks ClickHouse's HTTP interface in front of one embedded engine, for tests of the client path.

`python -m tests.clickhouse_server --port 0 --path DIR` prints its address and serves until it is ended. It knows
queries with parameters and settings, inserts in any format, sessions (their `SET` statements and their lock),
compressed bodies both ways, and errors with their code. It knows no users, quotas, temporary tables or progress.

The engine can be a node of a cluster of one shard (`--cluster NAME`). It has no Keeper and no queue of distributed
statements, so `ON CLUSTER` is run here alone, and Replicated tables are plain ones; Distributed tables are real.
"""

from __future__ import annotations

import argparse
import email.parser
import email.policy
import gzip
import os
import re
import sys
import tempfile
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_NOT_SETTINGS = {
    "database", "query", "session_id", "session_timeout", "session_check", "query_id", "quota_key", "role",
    "wait_end_of_query", "buffer_size", "default_format", "compress", "decompress", "client_protocol_version",
    "enable_http_compression", "send_progress_in_http_headers", "http_headers_progress_interval_ms",
    "cancel_http_readonly_queries_on_client_close", "user", "password",
}  # fmt: skip
_FORMAT = re.compile(rb"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_INSERT = re.compile(rb"\s*(INSERT\s+INTO\s+.+?)\s+FORMAT\s+(\w+)[ \t]*\r?\n?", re.IGNORECASE | re.DOTALL)
_CODE = re.compile(r"Code: (\d+)\. ")
_UNPACK = {"gzip": gzip.decompress, "zstd": zstd.decompress, "lz4": lz4.frame.decompress}

_ONE_NODE = (
    (re.compile(rb"\s*SYSTEM SYNC REPLICA .*", re.DOTALL), b"SELECT 1"),
    (re.compile(rb" ON CLUSTER `\w+`"), b""),
    (re.compile(rb"\bReplicated(\w*MergeTree)\('[^']*', '[^']*'(?:, )?"), rb"\1("),
    (re.compile(rb"\breplicated_deduplication_window = (\d+), replicated_deduplication_window_seconds = \d+"),
     rb"non_replicated_deduplication_window = \1"),
)  # fmt: skip

_CONFIGURATION = """
<clickhouse>
  <tcp_port>9000</tcp_port>
  <remote_servers>
    <{cluster}><shard><replica><host>127.0.0.1</host><port>9000</port></replica></shard></{cluster}>
  </remote_servers>
</clickhouse>
"""


class Engine:
    """The embedded engine: a fresh handle for every request, so that no request sees another's settings."""

    def __init__(self, path: Path, cluster: str | None) -> None:
        self.statements: list[str] = []
        self._cluster = cluster
        self._url = str(path)
        if cluster is not None:
            configuration = path.with_suffix(".xml")
            configuration.write_text(_CONFIGURATION.format(cluster=cluster))
            self._url += f"?config-file={configuration}"
        self._root = chdb.connect(self._url)
        self._sessions: dict[str, list[bytes]] = defaultdict(list)
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def run(self, statement: bytes, parameters: dict[str, str]) -> tuple[bytes, str, dict[str, int]]:
        """The answer, its format and its statistics.

        Raises:
            RuntimeError: what the engine says.
        """
        session = parameters.get("session_id")
        if session is None:
            return self._run(statement, parameters, [])
        if not self._locks[session].acquire(blocking=False):
            raise RuntimeError("Code: 373. DB::Exception: The session is locked. (SESSION_IS_LOCKED)")
        try:
            answer = self._run(statement, parameters, self._sessions[session])
            if re.match(rb"\s*(SET|USE)\s", statement, re.IGNORECASE):
                self._sessions[session].append(statement)
            return answer
        finally:
            self._locks[session].release()

    def _run(
        self, statement: bytes, parameters: dict[str, str], before: list[bytes]
    ) -> tuple[bytes, str, dict[str, int]]:
        settings = {k: v for k, v in parameters.items() if k not in _NOT_SETTINGS and not k.startswith("param_")}
        given = {k.removeprefix("param_"): v for k, v in parameters.items() if k.startswith("param_")}
        handle = chdb.connect(self._url)
        try:
            if parameters.get("database"):
                handle.query(f"USE `{parameters['database']}`", "TabSeparated")
            for earlier in before:
                handle.query(earlier, "TabSeparated")
            for name, value in settings.items():
                quoted = value.replace("\\", "\\\\").replace("'", "\\'")
                handle.query(f"SET {name} = '{quoted}'", "TabSeparated")
            insert = _INSERT.match(statement)
            if insert is not None:
                return self._insert(handle, insert, statement[insert.end() :])
            if self._cluster is not None:
                for pattern, instead in _ONE_NODE:
                    statement = pattern.sub(instead, statement)
            named = _FORMAT.search(statement)
            form = named[1].decode() if named else parameters.get("default_format", "TabSeparated")
            result = handle.query(statement, form, params=given)
            return result.bytes(), form, {"read_rows": result.rows_read()}
        finally:
            handle.close()

    def _insert(self, handle: Any, insert: re.Match[bytes], data: bytes) -> tuple[bytes, str, dict[str, int]]:
        with tempfile.NamedTemporaryFile(suffix=".insert") as file:
            file.write(data)
            file.flush()
            result = handle.query(
                insert[1] + f" FROM INFILE '{file.name}' FORMAT ".encode() + insert[2], "TabSeparated"
            )
        return b"", "TabSeparated", {"written_rows": result.rows_read()}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    engine: Engine

    def do_GET(self) -> None:
        parameters = self._parameters()
        if "query" in parameters:
            self._answer(parameters["query"].encode(), parameters)
        else:
            self._send(200, b"Ok.\n", {})

    def do_POST(self) -> None:
        parameters, body = self._parameters(), self._body()
        if self.headers.get("Content-Type", "").startswith("multipart/form-data"):
            parameters |= _fields(self.headers["Content-Type"], body)
            body = b""
        query = parameters.get("query", "").encode()
        self._answer(query + b"\n" + body if query and body else query or body, parameters)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def _answer(self, statement: bytes, parameters: dict[str, str]) -> None:
        try:
            data, form, counts = self.engine.run(statement, parameters)
        except Exception as error:  # noqa: BLE001  whatever the engine says is the answer
            text = str(error)
            text = text[max(text.find("Code: "), 0) :].strip()
            code = _CODE.search(text)
            self._send(500, text.encode() + b"\n", {"X-ClickHouse-Exception-Code": code[1] if code else "1001"})
            return
        summary = ", ".join(f'"{name}": "{count}"' for name, count in counts.items())
        headers = {
            "X-ClickHouse-Format": form,
            "X-ClickHouse-Summary": f"{{{summary}}}",
        }
        accepted = {word.strip() for word in self.headers.get("Accept-Encoding", "").split(",")}
        if parameters.get("enable_http_compression") == "1" and "zstd" in accepted:
            data = zstd.compress(data)
            headers["Content-Encoding"] = "zstd"
        self._send(200, data, headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _parameters(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(parts)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        encoding = self.headers.get("Content-Encoding")
        return _UNPACK[encoding](body) if encoding else body


class Server(ThreadingHTTPServer):
    """One thread a connection; clients that are killed are no news."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def _fields(content_type: str, body: bytes) -> dict[str, str]:
    """The text fields of a form."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    fields = {}
    for part in form.iter_parts():
        fields[str(part.get_param("name", header="content-disposition"))] = part.get_payload(decode=True).decode()
    return fields


def main() -> None:
    """Serve until SIGTERM."""
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--path", type=Path, required=True)
    options.add_argument("--cluster", help="be a node of this cluster of one shard")
    given = options.parse_args()
    os.environ["TZ"] = "UTC"
    given.path.parent.mkdir(parents=True, exist_ok=True)
    Handler.engine = Engine(given.path.resolve(), given.cluster)
    server = Server(("127.0.0.1", given.port), Handler)
    sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
