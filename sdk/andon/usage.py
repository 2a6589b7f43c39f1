"""`andon.record_tokens`: the tokens that a model used, added to the innermost decorated call.

Checks what the user gives and hands it to the open span, which sums it. Outside any decorated call the usage becomes a
span of its own, so that nothing is lost.
"""

from functools import lru_cache
from time import time_ns
from typing import Final

from andon import attributes
from andon.guard import fault
from andon.ledger import NOBODY, Caller, Entry
from andon.notices import warn_once
from andon.observations import valid_text
from andon.runtime import runtime
from andon.spans import OpenSpan, current_span, write_usage
from andon.unstable import current_context

_INT64_MAX: Final = 2**63 - 1


def record_tokens(
    *,
    input: int | None = None,  # noqa: A002 - the field's word for it
    output: int | None = None,
    cache_read: int | None = None,
    cache_write: int | None = None,
    reasoning: int | None = None,
    model: str | None = None,
    provider: str | None = None,
    operation: str | None = None,
    rows_in: int | None = None,
    rows_out: int | None = None,
    bytes_in: int | None = None,
    bytes_out: int | None = None,
) -> None:
    """Add tokens, and the rows and bytes of a data pipeline, to the innermost decorated call.

    Calls for the same model add up. A call that names another model, provider or operation than the span has already is
    kept apart, as a child span. None means unknown and is not sent; 0 means none.

    Args:
        input: all tokens read, *including* cached and cache-written ones.
        output: all tokens written, *including* reasoning.
        cache_read: those of `input` served from a cache.
        cache_write: those of `input` written to a cache.
        reasoning: those of `output` spent on reasoning.
        operation: GenAI operation; unless told otherwise `chat`, and in pipelines of the kinds `ingest`, `transform`,
            `train` and `fine_tune` their kind.
        rows_in, rows_out: rows, records or examples that a stage has taken and given; added up on its span.
        bytes_in, bytes_out: the same in bytes.
    """
    tracer = runtime.tracer
    if tracer is None:
        runtime.tell_if_forgotten()
        return
    try:
        tokens: dict[str, int] = {}
        if input is not None and (count := _count("input", input)) is not None:
            tokens[attributes.INPUT_TOKENS] = count
        if output is not None and (count := _count("output", output)) is not None:
            tokens[attributes.OUTPUT_TOKENS] = count
        if cache_read is not None or cache_write is not None or reasoning is not None:
            _add_counts(tokens, _SUBSETS, (cache_read, cache_write, reasoning))
            _warn_about_parts(tokens)
        work = current_span()
        if rows_in is not None or rows_out is not None or bytes_in is not None or bytes_out is not None:
            _add_amounts(work, (rows_in, rows_out, bytes_in, bytes_out))
        caller = _caller(operation, provider, model)
        if not tokens and caller == NOBODY:
            return
        now_ns = time_ns()
        if work is None or not work.record(caller, tokens, now_ns):
            write_usage(tracer, Entry(caller, now_ns, tokens), current_context())
    except Exception as problem:  # noqa: BLE001 - nothing of ours may reach the host
        fault("andon.record_tokens", problem)


_SUBSETS: Final = (
    ("cache_read", attributes.CACHE_READ_TOKENS),
    ("cache_write", attributes.CACHE_WRITE_TOKENS),
    ("reasoning", attributes.REASONING_TOKENS),
)
_AMOUNTS: Final = (
    ("rows_in", attributes.ROWS_IN),
    ("rows_out", attributes.ROWS_OUT),
    ("bytes_in", attributes.BYTES_IN),
    ("bytes_out", attributes.BYTES_OUT),
)
_PARTS: Final = (
    (attributes.INPUT_TOKENS, (attributes.CACHE_READ_TOKENS, attributes.CACHE_WRITE_TOKENS)),
    (attributes.OUTPUT_TOKENS, (attributes.REASONING_TOKENS,)),
)


def _add_amounts(work: OpenSpan | None, given: tuple[int | None, ...]) -> None:
    amounts: dict[str, int] = {}
    _add_counts(amounts, _AMOUNTS, given)
    if amounts and (work is None or not work.add_amounts(amounts)):
        warn_once("record_tokens.place", "andon.record_tokens: rows and bytes are left out; call it inside a stage")


def _caller(operation: object, provider: object, model: object) -> Caller:
    try:
        return _known_caller(operation, provider, model)
    except TypeError:  # not hashable, so no text either
        return _checked_caller(operation, provider, model)


def _checked_caller(operation: object, provider: object, model: object) -> Caller:
    return Caller(_name("operation", operation), _name("provider", provider), _name("model", model))


# A program names the same few models over and over.
_known_caller: Final = lru_cache(maxsize=1024, typed=True)(_checked_caller)


def _add_counts(found: dict[str, int], names: tuple[tuple[str, str], ...], given: tuple[int | None, ...]) -> None:
    for (argument, name), value in zip(names, given, strict=True):
        if value is not None and (count := _count(argument, value)) is not None:
            found[name] = count


def _count(argument: str, value: object) -> int | None:
    if type(value) is int and 0 <= value <= _INT64_MAX:
        return value
    # numpy's integers are welcome; True is not a count, and 12.0 hides where it came from.
    index = getattr(value, "__index__", None)
    if index is not None and not isinstance(value, bool) and 0 <= (count := int(index())) <= _INT64_MAX:
        return count
    warn_once(
        f"record_tokens.{argument}",
        "andon.record_tokens: %s=%r is ignored; allowed: a whole number from 0 up, or None for unknown",
        argument,
        value,
    )
    return None


def _name(argument: str, value: object) -> str | None:
    if not value:
        return None
    if isinstance(value, str):
        return valid_text(value)
    warn_once(
        f"record_tokens.{argument}", "andon.record_tokens: %s=%r is ignored; allowed: a text, or None", argument, value
    )
    return None


def _warn_about_parts(tokens: dict[str, int]) -> None:
    for whole, parts in _PARTS:
        part = sum(tokens.get(name, 0) for name in parts)
        if whole in tokens and part > tokens[whole]:
            warn_once(
                f"record_tokens.parts.{whole}",
                "andon.record_tokens: %s=%d is less than its parts (%s: %d); the whole must include them",
                whole,
                tokens[whole],
                " + ".join(parts),
                part,
            )
