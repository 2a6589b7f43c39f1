"""What a model's answer says about itself: its tokens, and who gave it.

Made by the client files from what a client returned, in the meaning of the OpenTelemetry GenAI conventions; read by the
decorators, which put it on the span of the call.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from andon import attributes


@dataclass(frozen=True, slots=True)
class Reading:
    """The usage of one answer.

    Attributes:
        tokens: counts by attribute name; input includes cached and cache-written tokens, output includes reasoning.
            Absent is unknown. Empty: a model's answer that says nothing of its usage.
        operation: of the GenAI conventions, where the type tells it.
        provider: of the GenAI conventions, where the answer proves it.
        model: the model that answered.
        response_id: the provider's own id of the answer.
        finish_reasons: in the provider's words, one for each choice.
        source: the object that carries the usage; the same object seen again is the same usage. It may be large, and
            on an accelerator: not to be held longer than the call.
        estimated: whether a count is an estimate.
    """

    tokens: Mapping[str, int]
    operation: str | None
    provider: str | None
    model: str | None
    response_id: str | None
    finish_reasons: tuple[str, ...]
    source: object
    estimated: bool = False


def normal_tokens(
    input: int | None = None,  # noqa: A002 - the field's word for it
    output: int | None = None,
    cache_read: int | None = None,
    cache_write: int | None = None,
    reasoning: int | None = None,
) -> dict[str, int]:
    """Return counts by attribute name.

    Two things are not believed. An answer that read nothing and wrote nothing does not exist: zeros are how clients
    fill in what the server left out. And a part that is larger than its whole counts something else.
    """
    if not input and not output:
        return {}
    found: dict[str, int] = {}
    if input is not None:
        found[attributes.INPUT_TOKENS] = input
    if output is not None:
        found[attributes.OUTPUT_TOKENS] = output
    if cache_read is not None and (input is None or cache_read <= input):
        found[attributes.CACHE_READ_TOKENS] = cache_read
    if cache_write is not None and (input is None or cache_write <= input):
        found[attributes.CACHE_WRITE_TOKENS] = cache_write
    if reasoning is not None and (output is None or reasoning <= output):
        found[attributes.REASONING_TOKENS] = reasoning
    return found
