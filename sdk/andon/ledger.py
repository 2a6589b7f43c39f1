"""Who used which tokens within one span: sums that never mix two models.

Fed by `record_tokens` and by what the decorators recognise, read when the span ends. The first entry belongs to the
span itself; a second model, provider or operation makes an entry of its own, which becomes a child span.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from andon import attributes

AttributeValue: TypeAlias = str | int | float | bool | tuple[str, ...]

DEFAULT_OPERATION: Final = "chat"
_MOST_REASONS: Final = 32
# Tokens of these kinds of pipelines are worked through, not asked of a model: their operation says so.
_OWN_OPERATION: Final = frozenset({"ingest", "transform", "train", "fine_tune"})


class Caller(NamedTuple):
    """What used tokens; None where the call did not say. The request's model is what was asked for, the response's
    what answered: `gpt-4o` may be answered by `gpt-4o-2024-08-06`."""

    operation: str | None = None
    provider: str | None = None
    request_model: str | None = None
    response_model: str | None = None

    def may_be(self, other: "Caller") -> bool:
        """Whether both can mean the same: nothing that both name differs."""
        return all(mine is None or theirs is None or mine == theirs for mine, theirs in zip(self, other, strict=True))

    def completed_by(self, other: "Caller") -> "Caller":
        """Fill in what is not named here."""
        return Caller(*(theirs if mine is None else mine for mine, theirs in zip(self, other, strict=True)))


NOBODY: Final = Caller()


class Entry:
    """The sums of one caller, by attribute name, and when they were recorded (UTC nanoseconds).

    Attributes:
        details: what else is known of the call, by attribute name: response id, finish reasons, estimated.
    """

    __slots__ = ("caller", "details", "first_ns", "last_ns", "tokens")

    def __init__(
        self, caller: Caller, now_ns: int, tokens: dict[str, int], details: dict[str, AttributeValue] | None = None
    ) -> None:
        self.caller = caller
        self.first_ns = self.last_ns = now_ns
        self.tokens = tokens
        self.details = details

    def add(self, tokens: Mapping[str, int], now_ns: int) -> None:
        """Add up what is new."""
        self.last_ns = now_ns
        mine = self.tokens
        for name, count in tokens.items():
            mine[name] = mine.get(name, 0) + count

    def write_to(self, found: dict[str, AttributeValue], place: Mapping[str, str]) -> None:
        """Write into `found` what a span at `place` says of this usage; what is unknown is absent."""
        operation, provider, request_model, response_model = self.caller
        found[attributes.OPERATION] = operation or default_operation(place)
        if provider is not None:
            found[attributes.PROVIDER] = provider
        if request_model is not None:
            found[attributes.REQUEST_MODEL] = request_model
        if response_model is not None:
            found[attributes.RESPONSE_MODEL] = response_model
        found.update(self.tokens)
        if self.details is not None:
            found.update(self.details)

    def span_name(self, place: Mapping[str, str]) -> str:
        """Return `{operation} {model}`, as the GenAI conventions name a span of usage."""
        operation, _, request_model, response_model = self.caller
        model = request_model or response_model
        return " ".join(part for part in (operation or default_operation(place), model) if part)


def add_to(
    entries: list[Entry],
    caller: Caller,
    tokens: dict[str, int],
    now_ns: int,
    details: dict[str, AttributeValue] | None = None,
) -> None:
    """Add `tokens` to the first entry that may mean the same caller, or open one, which takes the dictionary."""
    for entry in entries:
        if entry.caller == caller or entry.caller.may_be(caller):
            break
    else:
        entries.append(Entry(caller, now_ns, tokens, details))
        return
    if entry.caller != caller:
        entry.caller = entry.caller.completed_by(caller)
    entry.add(tokens, now_ns)
    if details is not None:
        entry.details = details if entry.details is None else _of_both(entry.details, details)


def default_operation(place: Mapping[str, str]) -> str:
    """Return the operation of tokens whose call names none: `train` in a training pipeline, else `chat`."""
    kind = place.get(attributes.PIPELINE_KIND)
    return kind if kind in _OWN_OPERATION else DEFAULT_OPERATION


def _of_both(before: dict[str, AttributeValue], now: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
    """Two answers on one span: one response id would name only one of them, each has ended in its own way, and a sum
    that holds an estimate is estimated."""
    both = {**before, **now}
    reasons = (before.get(attributes.FINISH_REASONS), now.get(attributes.FINISH_REASONS))
    both_reasons = tuple(reason for each in reasons if isinstance(each, tuple) for reason in each)[:_MOST_REASONS]
    if both_reasons:
        both[attributes.FINISH_REASONS] = both_reasons
    if attributes.RESPONSE_ID in now and before.get(attributes.RESPONSE_ID) != now[attributes.RESPONSE_ID]:
        both.pop(attributes.RESPONSE_ID, None)
    return both
