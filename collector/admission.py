"""Who may send, to which project, and how fast: asked for every request before its body is read.

Keys come from the control store, read anew when a known one comes and they are older than two seconds, or an unknown
one, but never more than five times a second: a revoked key ends within seconds, a new one begins at once, and a flood
of wrong ones is no flood of queries. A sender without a key belongs to the project
`default`, unless `collector.require_key` demands one.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from collector.answers import RefusalError
from collector.rates import Bucket, Rate
from settings import CollectorSettings
from store.control import ControlStore
from store.keys import DEFAULT_PROJECT, Key, Scope, mark_used, read_keys, split_key

log = logging.getLogger(__name__)

KEY_HEADER: Final = "x-andon-key"
FRESH_SECONDS: Final = 2.0
# A key that is not known may have just been made: it waits for keys read since it came, which is soon, and not often.
PAUSE_SECONDS: Final = 0.2
PATIENCE_SECONDS: Final = 1.0
MARK_USED_SECONDS: Final = 60.0
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Sender:
    """Whose items these are, and what they are counted against; no bucket is no limit."""

    project: str
    bucket: Bucket | None


class Admission:
    """Admits senders. `admit` is called on one event loop.

    Args:
        control: where the keys stand; None for a collector that knows none.
    """

    def __init__(
        self,
        limits: CollectorSettings,
        control: ControlStore | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._keys = _Keys(control, clock)
        self._buckets: dict[str, Bucket] = {}
        rate = Rate.of(limits.items_per_second, limits.burst_items)
        self._keyless = Sender(DEFAULT_PROJECT, Bucket(rate, clock) if rate else None)

    def close(self) -> None:
        """Write down which keys were used, and let the keys go."""
        self._keys.close()

    async def admit(self, headers: Mapping[str, str]) -> Sender:
        """The sender of a request with these headers, or this gRPC metadata; names are in lower case.

        Raises:
            RefusalError: 401 without a right key, 403 for a key that does not allow to send, 503 while keys cannot be
                read.
        """
        given = _given(headers)
        if given is None:
            if self._limits.require_key:
                raise RefusalError(
                    401, "no_key", f"a key is required: send it as 'Authorization: Bearer KEY' or '{KEY_HEADER}: KEY'"
                )
            return self._keyless
        key = await self._right_key(given)
        if Scope.INGEST not in key.scopes:
            raise RefusalError(403, "key_scope", f"the key {key.prefix} does not allow to send telemetry")
        return Sender(key.project, self._bucket(key))

    async def _right_key(self, given: str) -> Key:
        wrong = RefusalError(401, "wrong_key", "the key is not known here, revoked or expired; see `andon keys list`")
        parts = split_key(given)
        if parts is None:
            raise wrong
        identity, secret = parts
        key = await self._keys.find(identity)
        now = datetime.now(UTC)
        if key is None or not key.is_valid(secret, now):
            raise wrong
        self._keys.used[identity] = now
        return key

    def _bucket(self, key: Key) -> Bucket | None:
        limits = self._limits
        rate = Rate.of(
            limits.items_per_second if key.items_per_second is None else key.items_per_second,
            limits.burst_items if key.burst_items is None and key.items_per_second is None else key.burst_items,
        )
        if rate is None:
            return None
        bucket = self._buckets.get(key.id)
        if bucket is None or bucket.rate != rate:
            bucket = self._buckets[key.id] = Bucket(rate, self._clock)
        return bucket


def _given(headers: Mapping[str, str]) -> str | None:
    """The key that a request comes with; None where it comes with none.

    Raises:
        RefusalError: 401 for credentials of another kind.
    """
    if KEY_HEADER in headers:
        return headers[KEY_HEADER].strip()
    if "authorization" not in headers:
        return None
    scheme, _, key = headers["authorization"].strip().partition(" ")
    if scheme.lower() != "bearer":
        raise RefusalError(401, "wrong_key", f"authorization is taken as 'Bearer KEY', not as {scheme[:20]!r}")
    return key.strip()


class _Keys:
    """The keys as they were last read."""

    def __init__(self, control: ControlStore | None, clock: Callable[[], float]) -> None:
        self.used: dict[str, datetime] = {}
        self._control = control
        self._clock = clock
        self._known: dict[str, Key] = {}
        self._marked: dict[str, datetime] = {}
        self._marked_at = clock()
        self._reading: asyncio.Future[None] | None = None
        self._reading_since = -math.inf
        self._begun = self._ended = 0
        self._failing = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="keys")

    def close(self) -> None:
        self._thread.shutdown()
        self._mark_used()

    async def find(self, identity: str) -> Key | None:
        """The key with this id, None when there is none.

        Raises:
            RefusalError: 503 when that cannot be known now.
        """
        if self._control is None:
            return None
        if identity in self._known:
            if self._age() > FRESH_SECONDS:
                await self._read_again()
            if identity in self._known:
                return self._known[identity]
        return await self._find_new(identity)

    async def _find_new(self, identity: str) -> Key | None:
        begun = self._begun
        await asyncio.sleep(max(0.0, PAUSE_SECONDS - self._age()))
        for _ in range(2):  # one that had begun before, and one after it
            if self._ended <= begun:
                await self._read_again()
        if identity not in self._known and (self._failing or self._ended <= begun):
            raise RefusalError(503, "keys_unreadable", "keys cannot be read now; retry")
        return self._known.get(identity)

    def _age(self) -> float:
        return self._clock() - self._reading_since

    async def _read_again(self) -> None:
        """Read, together with whoever waits for the same; a store that hangs does not hold up those who are known."""
        if self._reading is None or self._reading.done():
            self._reading_since = self._clock()
            self._begun += 1
            self._reading = asyncio.get_running_loop().run_in_executor(self._thread, self._read, self._begun)
        patience = self._reading_since + PATIENCE_SECONDS - self._clock()
        await asyncio.wait([self._reading], timeout=max(0.0, patience))

    def _read(self, number: int) -> None:
        assert self._control is not None  # noqa: S101  `find` looked
        try:
            self._known = {key.id: key for key in read_keys(self._control)}
            self._failing = False
        except Exception as error:  # noqa: BLE001  whatever the driver raises: what was read before stays in force
            if not self._failing:
                log.warning("keys cannot be read, those known stay in force: %s", _first_line(error))
            self._failing = True
        self._ended = number
        if self._clock() - self._marked_at > MARK_USED_SECONDS:
            self._marked_at = self._clock()
            self._mark_used()

    def _mark_used(self) -> None:
        newer = {identity: at for identity, at in self.used.copy().items() if at > self._marked.get(identity, _NEVER)}
        if not newer or self._control is None:
            return
        try:
            mark_used(self._control, newer)
            self._marked |= newer
        except Exception as error:  # noqa: BLE001  a time that is not written down refuses nobody
            log.warning("when keys were used could not be written down: %s", _first_line(error))


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]
