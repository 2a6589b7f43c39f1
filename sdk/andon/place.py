"""Where a decorated call belongs: its run, pipeline, stage, lifecycle kind and domain.

Worked out from the mark of the decorator and the call around it. Across processes the place travels as W3C baggage,
beside the trace context: whatever injects OpenTelemetry's context into a request, a task or a message carries it.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, Literal, TypeAlias, cast, get_args

from opentelemetry import baggage
from opentelemetry.context import Context

from andon import attributes
from andon.ids import new_run_id
from andon.observations import valid_text

Tokenizer: TypeAlias = Callable[[str], Any]
"""Gives the tokens of a text, as a sequence or as their number."""

LifecycleKind: TypeAlias = Literal[
    "ingest", "transform", "train", "fine_tune", "evaluate", "inference", "batch_inference"
]
LIFECYCLE_KINDS: Final[tuple[str, ...]] = get_args(LifecycleKind)

BAGGAGE_KEY: Final = next(iter(baggage.set_baggage("name", "value", Context())))
_CARRIED: Final = (attributes.RUN_ID, attributes.PIPELINE, attributes.PIPELINE_KIND, attributes.DOMAIN)
_LONGEST_CARRIED: Final = 256


class Kind(Enum):
    """What a decorator marks."""

    PIPELINE = "pipeline"
    STAGE = "stage"


class Mark:
    """What a decorator says about the calls of its function; the same for all of them.

    Attributes:
        own: attributes that the mark itself gives to a place.
    """

    __slots__ = ("kind", "name", "own", "tokenizer")

    def __init__(
        self,
        kind: Kind,
        name: str,
        *,
        lifecycle: str | None = None,
        domain: str | None = None,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        self.kind: Final = kind
        self.name: Final = valid_text(str(name))
        self.tokenizer: Final = tokenizer
        own = {attributes.PIPELINE if kind is Kind.PIPELINE else attributes.STAGE: self.name}
        if lifecycle is not None:
            own[attributes.PIPELINE_KIND] = lifecycle
        if domain is not None:
            own[attributes.DOMAIN] = valid_text(domain)
        self.own: Final = own

    def place(self, outer: Mapping[str, str] | None) -> dict[str, str]:
        """Return the place of a call inside `outer`, the place around it; None where there is none.

        A stage belongs to the pipeline around it. A pipeline inside another keeps its run and domain, and starts anew
        otherwise.
        """
        if outer is None:
            return {attributes.RUN_ID: new_run_id(), **self.own}
        if self.kind is Kind.STAGE:
            return {**outer, **self.own}
        kept = {name: outer[name] for name in (attributes.RUN_ID, attributes.DOMAIN) if name in outer}
        return {**kept, **self.own}


def carried_place(context: Context) -> dict[str, str] | None:
    """Return the place that came with `context` from another process; None where none did."""
    found = context.get(BAGGAGE_KEY)
    if not isinstance(found, Mapping) or attributes.RUN_ID not in found:
        return None
    return {name: str(found[name])[:_LONGEST_CARRIED] for name in _CARRIED if found.get(name)}


def as_baggage(context: Context, place: dict[str, str]) -> dict[str, object]:
    """Return the baggage that carries `place` beside what `context` carries already."""
    others = context.get(BAGGAGE_KEY)
    return {**others, **place} if isinstance(others, Mapping) else cast("dict[str, object]", place)
