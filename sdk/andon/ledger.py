"""Who used which tokens within one span: sums that never mix two models.

Fed by `record_tokens`, read when the span ends. The first entry belongs to the span itself; a second model, provider or
operation makes an entry of its own, which becomes a child span.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from andon import attributes

DEFAULT_OPERATION: Final = "chat"


class Caller(NamedTuple):
    """What used tokens; None where the call did not say."""

    operation: str | None
    provider: str | None
    model: str | None

    def may_be(self, other: "Caller") -> bool:
        """Whether both can mean the same: nothing that both name differs."""
        return all(mine is None or theirs is None or mine == theirs for mine, theirs in zip(self, other, strict=True))

    def completed_by(self, other: "Caller") -> "Caller":
        """Fill in what is not named here."""
        return Caller(*(theirs if mine is None else mine for mine, theirs in zip(self, other, strict=True)))


@dataclass(slots=True)
class Entry:
    """The sums of one caller, by attribute name, and when they were recorded (UTC nanoseconds)."""

    caller: Caller
    first_ns: int
    last_ns: int
    tokens: dict[str, int] = field(default_factory=dict)

    def attributes(self) -> dict[str, str | int]:
        """Return what a span says of this usage; what is unknown is absent."""
        operation, provider, model = self.caller
        found: dict[str, str | int] = {attributes.OPERATION: operation or DEFAULT_OPERATION}
        if provider is not None:
            found[attributes.PROVIDER] = provider
        if model is not None:
            found[attributes.REQUEST_MODEL] = model
        found.update(self.tokens)
        return found

    def span_name(self) -> str:
        """Return `{operation} {model}`, as the GenAI conventions name a span of usage."""
        return " ".join(part for part in (self.caller.operation or DEFAULT_OPERATION, self.caller.model) if part)


class Ledger:
    """The entries of one span, in the order of their first call."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, caller: Caller, tokens: Mapping[str, int], now_ns: int) -> None:
        """Add `tokens` to the first entry that may mean the same caller, or open an entry."""
        for entry in self.entries:
            if entry.caller == caller or entry.caller.may_be(caller):
                break
        else:
            entry = Entry(caller, now_ns, now_ns)
            self.entries.append(entry)
        if entry.caller != caller:
            entry.caller = entry.caller.completed_by(caller)
        entry.last_ns = now_ns
        for name, count in tokens.items():
            entry.tokens[name] = entry.tokens.get(name, 0) + count
