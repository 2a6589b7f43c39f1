"""What every receiver does with a body once it has it: decode, journal, count.

The receivers (`collector.receiver` over HTTP, `collector.grpc_receiver` over gRPC) read the bodies and word the
answers; here is the one budget, the one decoder and the one set of counts that they share. Rows go to the journals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from collector.admission import Admission, Sender
from collector.announced import Announced
from collector.bodies import Budget, Share
from collector.cardinality import Cardinality
from collector.counts import ReceiverCounts
from collector.decoding import Decoding
from collector.exports import Export
from collector.journal import Journal
from collector.lane import Waiting


class Reception:
    """Decodes bodies and hands their rows to the journals.

    Args:
        journals: by table, for every table that an export fills.
        max_body_bytes: limit of a body before and after decompression.
        max_in_flight_bytes: limit of all bodies held at once, whichever way they came.
        admission: says whose a request is, before it is read.
        cardinality: folds runaway values before rows are stored; None lets everything in.
        announced: the series that are known; None announces all of them with every request.
    """

    def __init__(
        self,
        journals: Mapping[str, Journal],
        *,
        max_body_bytes: int,
        max_in_flight_bytes: int,
        admission: Admission,
        cardinality: Cardinality | None = None,
        announced: Announced | None = None,
    ) -> None:
        self.counts = ReceiverCounts()
        self.admission = admission
        self.max_body_bytes = max_body_bytes
        self.budget = Budget(max_in_flight_bytes)
        self._decoding = Decoding(journals, self.counts, cardinality, announced)
        self._inflating = ThreadPoolExecutor(2, thread_name_prefix="inflate")

    @property
    def alive(self) -> bool:
        """Whether bodies are still decoded."""
        return self._decoding.alive

    def close(self) -> None:
        """Finish what waits and stop the threads."""
        self._inflating.shutdown()
        self._decoding.close()
        self.admission.close()

    async def inflate(self, decompress: Callable[[bytes, int], bytes], packed: bytes, share: Share) -> bytes:
        """A body decompressed, under the limit of one body and, in `share`, that of all.

        Raises:
            RefusalError: what `decompress` raises, and 503 when the budget is spent.
        """
        body = await asyncio.get_running_loop().run_in_executor(
            self._inflating, decompress, packed, self.max_body_bytes
        )
        share.take(len(body))
        return body

    async def take(self, export: Export, body: bytes, sender: Sender, *, is_json: bool) -> dict[str, int]:
        """Return when every row of `body` is on disk: the items that were refused, by reason.

        Raises:
            RefusalError: the body is none that can be read (400, 413), the sender sends too fast (429), or it cannot
                be stored now (503).
        """
        return await asyncio.wrap_future(self._decoding.submit(Waiting(export, body, is_json, sender)))
