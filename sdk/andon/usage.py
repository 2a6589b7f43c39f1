"""`andon.record_tokens`: the tokens that a model used, added to the innermost decorated call.

Checks what the user gives and hands it to the open span, which sums it. Outside any decorated call the usage becomes a
span of its own, so that nothing is lost.
"""

from time import time_ns
from typing import Final

from andon import attributes
from andon.guard import never_raises
from andon.ledger import Caller, Entry
from andon.notices import warn_once
from andon.observations import valid_text
from andon.runtime import runtime
from andon.spans import current_span, write_usage
from andon.unstable import current_context

_INT64_MAX: Final = 2**63 - 1


@never_raises
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
) -> None:
    """Add tokens to the innermost decorated call.

    Calls for the same model add up. A call that names another model, provider or operation than the span has already is
    kept apart, as a child span. None means unknown and is not sent; 0 means none.

    Args:
        input: all tokens read, *including* cached and cache-written ones.
        output: all tokens written, *including* reasoning.
        cache_read: those of `input` served from a cache.
        cache_write: those of `input` written to a cache.
        reasoning: those of `output` spent on reasoning.
        operation: GenAI operation, `chat` unless told otherwise.
    """
    tracer = runtime.tracer
    if tracer is None:
        runtime.tell_if_forgotten()
        return
    tokens: dict[str, int] = {}
    for argument, name, value in (
        ("input", attributes.INPUT_TOKENS, input),
        ("output", attributes.OUTPUT_TOKENS, output),
        ("cache_read", attributes.CACHE_READ_TOKENS, cache_read),
        ("cache_write", attributes.CACHE_WRITE_TOKENS, cache_write),
        ("reasoning", attributes.REASONING_TOKENS, reasoning),
    ):
        if value is not None and (count := _count(argument, value)) is not None:
            tokens[name] = count
    if cache_read or cache_write or reasoning:
        _warn_about_parts(tokens)
    caller = Caller(_name("operation", operation), _name("provider", provider), _name("model", model))
    if not tokens and caller == _NOBODY:
        return
    now_ns = time_ns()
    work = current_span()
    if work is None or not work.record(caller, tokens, now_ns):
        write_usage(tracer, Entry(caller, now_ns, now_ns, tokens), current_context())


_NOBODY: Final = Caller(None, None, None)


_PARTS: Final = (
    (attributes.INPUT_TOKENS, (attributes.CACHE_READ_TOKENS, attributes.CACHE_WRITE_TOKENS)),
    (attributes.OUTPUT_TOKENS, (attributes.REASONING_TOKENS,)),
)


def _count(argument: str, value: object) -> int | None:
    if type(value) is int and 0 <= value <= _INT64_MAX:
        return value
    # numpy's integers are welcome; True is not a count, and 12.0 hides where it came from.
    index = getattr(value, "__index__", None)
    if index is not None and not isinstance(value, bool) and 0 <= (count := int(index())) <= _INT64_MAX:
        return count
    warn_once(
        f"record_tokens.{argument}",
        "andon.record_tokens: %s=%r is ignored; allowed: a whole number of tokens from 0 up, or None for unknown",
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
