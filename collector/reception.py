"""What every receiver does with a body once it has it: decode, journal, count.

The receivers (`collector.receiver` over HTTP, `collector.grpc_receiver` over gRPC) read the bodies and word the
answers; here is the one budget, the one decoder and the one set of counts that they share. Rows go to the journals.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa

from collector.answers import RefusalError
from collector.bodies import Budget, Share
from collector.cardinality import Cardinality
from collector.census import TooManyElementsError
from collector.envelope import UndecodableError
from collector.exports import Export
from collector.journal import Journal
from collector.otlp_json import protobuf_of
from collector.rows import Decoded


@dataclass
class ReceiverCounts:
    """Since start: what was decoded, what was accepted, by table, and what was refused, by reason."""

    requests: int = 0
    decoded_requests: int = 0
    decoded_bytes: int = 0
    decoded_items: int = 0
    decode_seconds: float = 0.0
    accepted: Counter[str] = field(default_factory=Counter)
    refused_items: Counter[str] = field(default_factory=Counter)
    refused_requests: Counter[str] = field(default_factory=Counter)


class Reception:
    """Decodes bodies and hands their rows to the journals.

    Args:
        journals: by table, for every table that an export fills.
        max_body_bytes: limit of a body before and after decompression.
        max_in_flight_bytes: limit of all bodies held at once, whichever way they came.
        cardinality: folds runaway values before rows are stored.
    """

    def __init__(
        self,
        journals: Mapping[str, Journal],
        *,
        max_body_bytes: int,
        max_in_flight_bytes: int,
        cardinality: Cardinality,
    ) -> None:
        self.counts = ReceiverCounts()
        self.max_body_bytes = max_body_bytes
        self.budget = Budget(max_in_flight_bytes)
        self._journals = journals
        self._cardinality = cardinality
        self._decoding = ThreadPoolExecutor(2, thread_name_prefix="decode")

    def close(self) -> None:
        """Stop the decoding threads."""
        self._decoding.shutdown()

    async def inflate(self, decompress: Callable[[bytes, int], bytes], packed: bytes, share: Share) -> bytes:
        """A body decompressed, under the limit of one body and, in `share`, that of all.

        Raises:
            RefusalError: what `decompress` raises, and 503 when the budget is spent.
        """
        body = await asyncio.get_running_loop().run_in_executor(self._decoding, decompress, packed, self.max_body_bytes)
        share.take(len(body))
        return body

    async def take(self, export: Export, body: bytes, *, is_json: bool) -> dict[str, int]:
        """Return when every row of `body` is on disk: the items that were refused, by reason.

        Raises:
            RefusalError: the body is none that can be read (400, 413), or cannot be stored now (503).
        """
        tables, decoded, seconds = await asyncio.get_running_loop().run_in_executor(
            self._decoding, self._decode, export, body, is_json
        )
        self.counts.decoded_requests += 1
        self.counts.decoded_bytes += len(body)
        self.counts.decoded_items += decoded.rejected + sum(rows.num_rows for rows in tables.values())
        self.counts.decode_seconds += seconds
        for table, rows in tables.items():
            await self._store(table, rows)
        self.counts.refused_items.update(decoded.refused)
        return decoded.refused

    def _decode(self, export: Export, body: bytes, is_json: bool) -> tuple[dict[str, pa.Table], Decoded, float]:
        """Rows by table, what the decoder said, and the seconds that it took."""
        began, now_nanos = time.perf_counter(), time.time_ns()
        decoded = _decode(export, body, is_json, now_nanos)
        tables = {export.table: decoded.rows, **decoded.beside}
        tables = {table: self._cardinality.fold(table, rows, now_nanos) for table, rows in tables.items()}
        return tables, decoded, time.perf_counter() - began

    async def _store(self, table: str, rows: pa.Table) -> None:
        """Return when `rows` are on disk."""
        if rows.num_rows:
            try:
                await asyncio.wrap_future(self._journals[table].append(rows))
            except (OSError, RuntimeError) as error:
                raise RefusalError(503, "journal", f"cannot store now, retry: {error}") from None
        self.counts.accepted[table] += rows.num_rows


def _decode(export: Export, body: bytes, is_json: bool, now_nanos: int) -> Decoded:
    try:
        return export.decode(protobuf_of(body, export.request) if is_json else body, now_nanos)
    except TooManyElementsError as error:
        raise RefusalError(413, "too_many_elements", str(error)) from None
    except UndecodableError as error:
        encoding = "JSON" if is_json else "protobuf"
        raise RefusalError(400, "undecodable", f"the body is not OTLP {encoding}: {error}") from None
