"""What the receivers count since they started; shown at `/metrics`."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class ReceiverCounts:
    """What was decoded, what was accepted, by table, and what was refused, by reason. Its methods are thread-safe."""

    requests: int = 0
    decoded_requests: int = 0
    decoded_bytes: int = 0
    decoded_items: int = 0
    decode_seconds: float = 0.0
    duplicate_requests: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    refused_items: Counter[str] = field(default_factory=Counter)
    refused_requests: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def decoded(self, requests: int, size: int, items: int, seconds: float) -> None:
        """Requests that were decoded, their bytes and items (refused ones too), and the time that it took."""
        with self._lock:
            self.decoded_requests += requests
            self.decoded_bytes += size
            self.decoded_items += items
            self.decode_seconds += seconds

    def stored(self, rows: Mapping[str, int], refused: Mapping[str, int]) -> None:
        """Rows that are on disk, by table, and the items refused beside them, by reason."""
        with self._lock:
            self.accepted.update(rows)
            self.refused_items.update({reason: count for reason, count in refused.items() if count})

    def repeated(self, rows: Mapping[str, int]) -> None:
        """A request that was stored before; `rows` are those of tables in which it was not yet."""
        with self._lock:
            self.duplicate_requests += 1
            self.accepted.update(rows)
