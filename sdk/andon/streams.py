"""Generators that keep their span open until the last item, and measure the stream.

The span is current inside the generator's body and nowhere else: it is put in place for each step and taken away before
the item reaches the consumer. Send, throw, close and the return value pass through.
"""

from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, Final

from opentelemetry.context import Context

from andon import attributes
from andon.answers import Chunks, chunk_types, every_type
from andon.guard import fault
from andon.ledger import AttributeValue
from andon.measuring import NANOSECONDS
from andon.spans import OpenSpan, leave
from andon.unstable import attach, current_context, detach

Opening = Callable[[], tuple[OpenSpan, Context] | None]

# So many arrival times are held of a stream that runs on: its first, and at most as many of its latest.
HELD_STAMPS: Final = 4096
_ROUND: Final = range(HELD_STAMPS)


@dataclass(frozen=True, slots=True)
class Gauge:
    """What was measured of one stream, in nanoseconds of one clock."""

    started_ns: int
    first_ns: int | None
    last_ns: int | None
    items: int

    def measured(self, output_tokens: int | None) -> dict[str, AttributeValue]:
        """Return the attributes of the stream; what cannot be known is absent.

        Time to first chunk runs from the start of the body to its first item. Tokens per second are `output_tokens`
        over the time between the first and the last item, which takes two items.
        """
        found: dict[str, AttributeValue] = {attributes.STREAM: True}
        if self.first_ns is None or self.last_ns is None:
            return found
        found[attributes.TIME_TO_FIRST_CHUNK_SECONDS] = (self.first_ns - self.started_ns) / NANOSECONDS
        if output_tokens is not None and self.items > 1 and self.last_ns > self.first_ns:
            seconds = (self.last_ns - self.first_ns) / NANOSECONDS
            found[attributes.STREAM_TOKENS_PER_SECOND] = output_tokens / seconds
        return found


class Watch:
    """What is noted of a stream while it runs: when its items came, and what they say of usage."""

    __slots__ = ("_head", "_passed", "_stamps", "_started_ns", "chunks", "mark", "wanted", "work")

    def __init__(self, work: OpenSpan, started_ns: int) -> None:
        self.work = work
        self.chunks: Chunks | None = None
        self.wanted = every_type if work.wants_text() else chunk_types
        self._started_ns = started_ns
        self._stamps: list[int] = []
        self._head: list[int] | None = None
        self._passed = 0
        self.mark = self._stamps.append

    def take(self, item: Any) -> None:
        """Look at an item of a type that is `wanted`."""
        chunks = self.chunks
        if chunks is None:
            chunks = self.chunks = Chunks(self.work)
        chunks.take(item)

    def let_go(self) -> None:
        """Keep the first arrivals and the latest, and forget what lies between: an endless stream stays small."""
        stamps = self._stamps
        if self._head is None:
            self._head = stamps.copy()
        self._passed += len(stamps) - 1
        del stamps[:-1]

    def gauge(self) -> Gauge:
        """Return what was measured until now."""
        stamps = self._stamps
        if not stamps:
            return Gauge(self._started_ns, None, None, 0)
        first_ns = (self._head or stamps)[0]
        return Gauge(self._started_ns, first_ns, stamps[-1], self._passed + len(stamps))

    def end(self, error: BaseException | None) -> None:
        """End the span with what the stream has shown."""
        work = self.work
        if self.chunks is not None:
            self.chunks.write()
        output = work.own_tokens(attributes.OUTPUT_TOKENS)
        gauge = self.gauge()
        work.end(error, gauge.measured(output), self._head or self._stamps, self._started_ns)


def keep_watching(result: Any, work: OpenSpan) -> bool:
    """Keep the span of a call open whose result is a client's stream, and watch the chunks that the caller takes.

    False when the result is no such stream, or is one that cannot be watched; never raises.
    """
    try:
        from andon import clients

        if not clients.client_stream(result):
            return False
        watch = Watch(work, work.started_ns)

        def end(meter: clients.StreamMeter) -> None:
            watch.chunks = Chunks(work, meter)
            watch.end(meter.error)

        return clients.metered(result, end, lambda: watch.mark(perf_counter_ns()), work.wants_text())
    except Exception as problem:  # noqa: BLE001 - nothing of ours may reach the host
        fault("watching a stream", problem)
        return False


def stream(
    inner: Generator[Any, Any, Any],
    opening: Opening,
    started_ns: int | None = None,
    clock: Callable[[], int] = perf_counter_ns,
    is_dropped: Callable[[], bool] = lambda: False,
) -> Generator[Any, Any, Any]:
    """Run `inner` under the span that `opening` gives at the first step.

    Args:
        started_ns: when the work began on `clock`; the first step where it is None.
        is_dropped: asked when this generator is closed, whether nobody closed it and it has only been let go of. Then
            `inner` is let go of as well: others may hold it, and go on with it.
    """
    opened = opening()
    if opened is None:
        return (yield from inner)
    work, context = opened
    watch = Watch(work, clock() if started_ns is None else started_ns)
    mark, take, wanted = watch.mark, watch.take, watch.wanted
    failure: BaseException | None = None
    send = inner.send
    step: Callable[[Any], Any] = send
    value: Any = None
    try:
        while True:
            for _ in _ROUND:
                token = attach(context)
                try:
                    item = step(value)
                finally:
                    # What the body has made current comes back with the next step.
                    context = current_context()
                    try:  # noqa: SIM105 - once an item: suppress() costs as much as the rest of the loop
                        detach(token)
                    except (ValueError, RuntimeError):
                        pass
                mark(clock())
                try:
                    if wanted[type(item)]:
                        take(item)
                except Exception:  # noqa: BLE001, S110 - a type that has lost its hash is no client's
                    pass
                try:
                    value = yield item
                    step = send
                except GeneratorExit:
                    token = attach(context)
                    try:
                        if is_dropped():
                            del inner, send, step
                        else:
                            inner.close()
                    finally:
                        leave(token)
                    raise
                except BaseException as thrown:  # noqa: BLE001 - what the consumer throws is for the body to handle
                    step, value = inner.throw, thrown
            watch.let_go()
    except StopIteration as stop:
        return stop.value
    except BaseException as error:
        failure = error
        raise
    finally:
        watch.end(failure)
        failure = value = None  # no cycle through a traceback


async def astream(
    inner: AsyncGenerator[Any, Any],
    opening: Opening,
    started_ns: int | None = None,
    clock: Callable[[], int] = perf_counter_ns,
    is_dropped: Callable[[], bool] = lambda: False,
) -> AsyncGenerator[Any, Any]:
    """Run `inner` under the span that `opening` gives at the first step; the asynchronous twin of `stream`."""
    opened = opening()
    watch: Watch | None = None
    context = current_context()
    if opened is not None:
        work, context = opened
        watch = Watch(work, clock() if started_ns is None else started_ns)
    failure: BaseException | None = None
    step: Callable[[Any], Any] = inner.asend
    value: Any = None
    try:
        while True:
            for _ in _ROUND:
                token = attach(context)
                try:
                    item = await step(value)
                finally:
                    context = current_context()
                    leave(token)
                if watch is not None:
                    watch.mark(clock())
                    try:
                        if watch.wanted[type(item)]:
                            watch.take(item)
                    except Exception:  # noqa: BLE001, S110 - as above
                        pass
                try:
                    value = yield item
                    step = inner.asend
                except GeneratorExit:
                    token = attach(context)
                    try:
                        if is_dropped():
                            del inner, step
                        else:
                            await inner.aclose()
                    finally:
                        leave(token)
                    raise
                except BaseException as thrown:  # noqa: BLE001 - what the consumer throws is for the body to handle
                    step, value = inner.athrow, thrown
            if watch is not None:
                watch.let_go()
    except StopAsyncIteration:
        return
    except BaseException as error:
        failure = error
        raise
    finally:
        if watch is not None:
            watch.end(failure)
        failure = value = None  # no cycle through a traceback
