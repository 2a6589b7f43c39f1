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
from dataclasses import dataclass, field, replace

import pyarrow as pa

from collector.admission import Admission, Sender
from collector.answers import RefusalError
from collector.bodies import Budget, Share
from collector.census import TooManyElementsError
from collector.envelope import UndecodableError
from collector.exports import Export
from collector.journal import Journal
from collector.otlp_json import protobuf_of
from collector.rows import Decoded, of_project


@dataclass
class ReceiverCounts:
    """Since start: what was accepted, by table, and what was refused, by reason."""

    requests: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    refused_items: Counter[str] = field(default_factory=Counter)
    refused_requests: Counter[str] = field(default_factory=Counter)


class Reception:
    """Decodes bodies and hands their rows to the journals.

    Args:
        journals: by table, for every table that an export fills.
        max_body_bytes: limit of a body before and after decompression.
        max_in_flight_bytes: limit of all bodies held at once, whichever way they came.
        admission: says whose a request is, before it is read.
    """

    def __init__(
        self, journals: Mapping[str, Journal], *, max_body_bytes: int, max_in_flight_bytes: int, admission: Admission
    ) -> None:
        self.counts = ReceiverCounts()
        self.admission = admission
        self.max_body_bytes = max_body_bytes
        self.budget = Budget(max_in_flight_bytes)
        self._journals = journals
        self._decoding = ThreadPoolExecutor(2, thread_name_prefix="decode")

    def close(self) -> None:
        """Stop the decoding threads."""
        self._decoding.shutdown()
        self.admission.close()

    async def inflate(self, decompress: Callable[[bytes, int], bytes], packed: bytes, share: Share) -> bytes:
        """A body decompressed, under the limit of one body and, in `share`, that of all.

        Raises:
            RefusalError: what `decompress` raises, and 503 when the budget is spent.
        """
        body = await asyncio.get_running_loop().run_in_executor(self._decoding, decompress, packed, self.max_body_bytes)
        share.take(len(body))
        return body

    async def take(self, export: Export, body: bytes, sender: Sender, *, is_json: bool) -> dict[str, int]:
        """Return when every row of `body` is on disk: the items that were refused, by reason.

        Raises:
            RefusalError: the body is none that can be read (400, 413), the sender sends too fast (429), or it cannot
                be stored now (503).
        """
        decoded = await asyncio.get_running_loop().run_in_executor(self._decoding, _decode, export, body, is_json)
        if sender.bucket is not None:
            sender.bucket.take(decoded.items)
        for table, rows in {export.table: decoded.rows, **decoded.beside}.items():
            await self._store(table, of_project(rows, sender.project))
        self.counts.refused_items.update({reason: count for reason, count in decoded.refused.items() if count})
        return decoded.refused

    async def _store(self, table: str, rows: pa.Table) -> None:
        """Return when `rows` are on disk."""
        if rows.num_rows:
            try:
                await asyncio.wrap_future(self._journals[table].append(rows))
            except (OSError, RuntimeError) as error:
                raise RefusalError(503, "journal", f"cannot store now, retry: {error}") from None
        self.counts.accepted[table] += rows.num_rows


def _decode(export: Export, body: bytes, is_json: bool) -> Decoded:
    try:
        message = protobuf_of(body, export.request) if is_json else body
        decoded = export.decode(message, time.time_ns())
    except TooManyElementsError as error:
        raise RefusalError(413, "too_many_elements", str(error)) from None
    except UndecodableError as error:
        encoding = "JSON" if is_json else "protobuf"
        raise RefusalError(400, "undecodable", f"the body is not OTLP {encoding}: {error}") from None
    if not decoded.items and export.is_foreign(body, message):
        return replace(decoded, refused={f"the body holds nothing that {export.path} takes; is it of another kind?": 0})
    return decoded
