"""Generators that keep their span open until the last item, and measure the stream.

The span is current inside the generator's body and nowhere else: it is put in place for each step and taken away before
the item reaches the consumer. Send, throw, close and the return value pass through.
"""

from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, Final

from andon import attributes
from andon.spans import AttributeValue, OpenSpan, leave
from andon.unstable import attach, current_context, detach

Opening = Callable[[], OpenSpan | None]

NANOSECONDS: Final = 1_000_000_000


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


def _end(work: OpenSpan, gauge: Gauge, error: BaseException | None) -> None:
    work.end(error, gauge.measured(work.own_tokens(attributes.OUTPUT_TOKENS)))


def stream(
    inner: Generator[Any, Any, Any],
    opening: Opening,
    started_ns: int | None = None,
    clock: Callable[[], int] = perf_counter_ns,
) -> Generator[Any, Any, Any]:
    """Run `inner` under the span that `opening` gives at the first step.

    Args:
        started_ns: when the work began on `clock`; the first step where it is None.
    """
    work = opening()
    if work is None:
        return (yield from inner)
    started_ns = clock() if started_ns is None else started_ns
    first_ns = last_ns = None
    items = 0
    failure: BaseException | None = None
    context = work.context
    send = inner.send
    step: Callable[[Any], Any] = send
    value: Any = None
    try:
        while True:
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
            last_ns = clock()
            items += 1
            if first_ns is None:
                first_ns = last_ns
            try:
                value = yield item
                step = send
            except GeneratorExit:
                token = attach(context)
                try:
                    inner.close()
                finally:
                    leave(token)
                raise
            except BaseException as thrown:  # noqa: BLE001 - what the consumer throws is for the body to handle
                step, value = inner.throw, thrown
    except StopIteration as stop:
        return stop.value
    except BaseException as error:
        failure = error
        raise
    finally:
        _end(work, Gauge(started_ns, first_ns, last_ns, items), failure)
        failure = value = None  # no cycle through a traceback


async def astream(
    inner: AsyncGenerator[Any, Any],
    opening: Opening,
    started_ns: int | None = None,
    clock: Callable[[], int] = perf_counter_ns,
) -> AsyncGenerator[Any, Any]:
    """Run `inner` under the span that `opening` gives at the first step; the asynchronous twin of `stream`."""
    work = opening()
    started_ns = clock() if started_ns is None else started_ns
    first_ns = last_ns = None
    items = 0
    failure: BaseException | None = None
    context = current_context() if work is None else work.context
    step: Callable[[Any], Any] = inner.asend
    value: Any = None
    try:
        while True:
            token = attach(context)
            try:
                item = await step(value)
            finally:
                context = current_context()
                leave(token)
            last_ns = clock()
            items += 1
            if first_ns is None:
                first_ns = last_ns
            try:
                value = yield item
                step = inner.asend
            except GeneratorExit:
                token = attach(context)
                try:
                    await inner.aclose()
                finally:
                    leave(token)
                raise
            except BaseException as thrown:  # noqa: BLE001 - what the consumer throws is for the body to handle
                step, value = inner.athrow, thrown
    except StopAsyncIteration:
        return
    except BaseException as error:
        failure = error
        raise
    finally:
        if work is not None:
            _end(work, Gauge(started_ns, first_ns, last_ns, items), failure)
        failure = value = None  # no cycle through a traceback
