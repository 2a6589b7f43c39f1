"""A real HTTP server on loopback that shows metrics as a test tells it to, and a target that scrapes it by hand."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from collector.bodies import Budget
from collector.cardinality import Cardinality
from collector.columns import POINT_SCHEMA, SERIES_SCHEMA
from collector.frames import Mark
from collector.journal import Journal
from collector.rows import stored_schema
from collector.scrape.answer import Format, Shown
from collector.scrape.fetch import Fetch
from collector.scrape.target import Digest, Target
from settings import ScrapeTarget
from tests.metric_rows import joined

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
NOW = 1_800_000_000 * 10**9


class Exporter:
    """Shows `body`, or does what `handle` does."""

    def __init__(self, body: str = "") -> None:
        self.body = body
        self.content_type = TEXT
        self.handle: Callable[[BaseHTTPRequestHandler], None] = self.show
        self.requests: list[Mapping[str, str]] = []
        self.paths: list[str] = []
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                exporter.requests.append(dict(self.headers))
                exporter.paths.append(self.path)
                try:
                    exporter.handle(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/metrics"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def encrypt(self, certificate: Path, key: Path) -> None:
        """Speak TLS from now on; call it before the first request."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = self.url.replace("http://", "https://")

    def __enter__(self) -> Exporter:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening, as a target that has gone."""
        self._server.shutdown()
        self._server.server_close()

    def show(self, handler: BaseHTTPRequestHandler) -> None:
        packed = gzip.compress(self.body.encode())
        handler.send_response(200)
        handler.send_header("Content-Type", self.content_type)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(packed)))
        handler.end_headers()
        handler.wfile.write(packed)


class NotingJournal(Journal):
    """A journal that also notes what it has put on disk."""

    def __init__(self, folder: Path) -> None:
        self.noted: list[pa.Table] = []
        self._series = SERIES_SCHEMA.empty_table()
        super().__init__(folder, stored_schema(POINT_SCHEMA), seal_seconds=3600, seal_bytes=2**30, max_bytes=2**30)

    def append(self, rows: pa.Table, marks: Sequence[Mark] = (), beside: pa.Table | None = None) -> Future[bool]:
        if beside is not None:
            self._series = pa.concat_tables([self._series, beside.drop_columns(["project"])])
        done = super().append(rows, marks, beside)
        done.add_done_callback(lambda done: None if done.exception() else self.noted.append(joined(rows, self._series)))
        return done


class Scraped:
    """A target on a journal of its own, scraped by hand, one second after the other."""

    def __init__(
        self,
        folder: Path,
        url: str,
        budget_bytes: int = 2**30,
        cardinality: Cardinality | None = None,
        **settings: Any,
    ) -> None:
        self.settings = ScrapeTarget(name="job", url=url, **settings)
        self.journal = NotingJournal(folder)
        self.now = NOW
        fetch = Fetch(self.settings, Budget(budget_bytes))
        self.target = Target(self.settings, fetch, self.journal, None, lambda: self.now, cardinality=cardinality)

    def scrape(self) -> list[dict[str, Any]]:
        """Scrape once; the rows that came of it and are on disk."""
        self.now += 10**9
        asyncio.run(self._once())
        tables, self.journal.noted = self.journal.noted, []
        return [row for table in tables for row in plain(table)]

    def failure(self) -> tuple[str, str]:
        """Scrape once, in vain: the reason it is counted under, and what is said."""
        before = self.target.counts.failures.copy()
        rows = {row["metric"]: row["value"] for row in self.scrape() if row["metric"] == "up"}
        assert rows == {"up": 0.0}
        (reason,) = self.target.counts.failures - before
        return reason, self.target.counts.last_error or ""

    async def _once(self) -> None:
        await self.target.scrape()
        await self.target.close()


def rows_shown(text: str, kind: Format = Format.TEXT, now_nanos: int = NOW, **settings: Any) -> list[dict[str, Any]]:
    """The rows of one body that a target shows at `now_nanos`, from `http://gpu-1:8000`."""
    return digested(text, kind, now_nanos, **settings)[0]


def digested(
    text: str | bytes, kind: Format = Format.TEXT, now_nanos: int = NOW, **settings: Any
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The rows of one body, and what was refused by reason."""
    target = ScrapeTarget(name="job", url="http://gpu-1:8000", **settings)
    body = text if isinstance(text, bytes) else text.encode()
    rows, _, refused = Digest(target).rows(Shown(body, kind), now_nanos)
    return plain(rows), dict(refused)


def plain(table: pa.Table) -> list[dict[str, Any]]:
    """Rows with times as nanoseconds and maps as dictionaries."""
    columns = {name: table.column(name) for name in table.column_names}
    for name in ("time", "start_time"):
        columns[name] = columns[name].cast(pa.int64())
    columns["exemplar_times"] = columns["exemplar_times"].cast(pa.list_(pa.int64()))
    rows: list[dict[str, Any]] = pa.table(columns).to_pylist()
    return [row | {name: dict(sorted(row[name])) for name in ("attributes", "resource")} for row in rows]
