"""vLLM in the same process: `RequestOutput` of `LLM.generate` and `LLM.chat`, and what its pooling calls return.

The token ids themselves are counted. A request's id is a counter of that process, so it is not told; nor does the
output name the model.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from andon.clients.client import Arguments, Client
from andon.clients.meter import Answer, StreamMeter
from andon.clients.parts import counted, items, part, text, texts, total
from andon.clients.reading import Reading, normal_tokens

_PROVIDER: Final = "vllm"
_GENERATES: Final = "text_completion"
_EMBEDS: Final = frozenset(("PoolingRequestOutput", "EmbeddingRequestOutput"))


def _length(ids: object) -> int | None:
    return None if ids is None else len(ids)  # type: ignore[arg-type]  # a list, tuple or array of ids


def _parts(value: object, output: int | None) -> dict[str, int | None]:
    return {
        "input": total(_length(part(value, "prompt_token_ids")), _length(part(value, "encoder_prompt_token_ids"))),
        "output": output,
        "cached": counted(value, "num_cached_tokens"),
        "created": counted(value, "num_cache_creation_tokens"),
    }


def _normal(parts: Mapping[str, int | None]) -> dict[str, int]:
    return normal_tokens(parts.get("input"), parts.get("output"), parts.get("cached"), parts.get("created"))


def _read(value: Any, _: Arguments | None) -> Sequence[Reading] | None:
    outputs = part(value, "outputs")
    operation: str | None = _GENERATES
    written: int | None = None
    reasons: tuple[str, ...] = ()
    if type(outputs) is list:
        written = total(*(_length(part(output, "token_ids")) for output in outputs))
        reasons = texts(items(outputs), "finish_reason")
    else:
        operation = "embeddings" if type(value).__name__ in _EMBEDS else None
    return (Reading(_normal(_parts(value, written)), operation, _PROVIDER, None, None, reasons, value),)


class _Progress:
    """The output of a streamed request: each chunk holds all of it so far, or only what is new, as the user asked."""

    __slots__ = ("cumulative", "last", "lengths", "request_id", "summed")

    def __init__(self, request_id: object) -> None:
        self.request_id = request_id
        self.cumulative = True
        self.lengths: dict[int, int] = {}
        self.last: dict[int, object] = {}
        self.summed = 0

    def take(self, index: int, ids: Sequence[int], finished: bool) -> None:
        before = self.lengths.get(index, 0)
        grown = len(ids) > before or (finished and len(ids) == before)
        if before and not (grown and ids[before - 1] == self.last[index]):
            self.cumulative = False
        self.lengths[index] = len(ids)
        self.last[index] = ids[-1] if ids else None
        self.summed += len(ids)

    def written(self) -> int:
        return sum(self.lengths.values()) if self.cumulative else self.summed


def _take(meter: StreamMeter, chunk: Any) -> bool:
    outputs = part(chunk, "outputs")
    if type(outputs) is not list:
        return False
    answer = _answer(meter, part(chunk, "request_id"))
    progress: _Progress = answer.memory
    for output in outputs:
        reason = part(output, "finish_reason")
        progress.take(part(output, "index"), part(output, "token_ids"), reason is not None)
        if reason is not None:
            answer.finish(text(reason))
    answer.put(_parts(chunk, progress.written()), _normal, chunk)
    return True


def _answer(meter: StreamMeter, request_id: object) -> Answer:
    answer = meter.answer
    if answer is None or not isinstance(answer.memory, _Progress) or answer.memory.request_id != request_id:
        answer = meter.begin(_GENERATES, _PROVIDER)
        answer.memory = _Progress(request_id)
    return answer


CLIENT: Final = Client(
    answers={"prompt_token_ids": _read},
    chunks={"prompt_token_ids": _take},
    roots=frozenset(("vllm",)),
    dicts=False,
    plain={
        ("vllm", "RequestOutput"): "prompt_token_ids",
        ("vllm", "PoolingRequestOutput"): "prompt_token_ids",
    },
)
