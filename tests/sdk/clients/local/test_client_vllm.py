"""vLLM's own output classes; the engine itself wants an accelerator."""

from __future__ import annotations

from typing import Any

from andon.clients import readings
from expect import counts, meter, said
from vllm.outputs import (
    ClassificationOutput,
    ClassificationRequestOutput,
    CompletionOutput,
    EmbeddingOutput,
    EmbeddingRequestOutput,
    RequestOutput,
)


def completion(ids: list[int], index: int = 0, reason: str | None = "stop") -> CompletionOutput:
    return CompletionOutput(
        index=index, text="x" * len(ids), token_ids=ids, cumulative_logprob=None, logprobs=None, finish_reason=reason
    )


def output(outputs: list[CompletionOutput], request_id: str = "0", **more: Any) -> RequestOutput:
    prompt: dict[str, Any] = {"prompt": "Hello", "prompt_token_ids": list(range(9)), "prompt_logprobs": None}
    finished = all(each.finish_reason is not None for each in outputs)
    return RequestOutput(request_id=request_id, outputs=outputs, finished=finished, **{**prompt, **more})


def test_a_request_counts_its_ids() -> None:
    (reading,) = readings(output([completion([1, 2, 3])], num_cached_tokens=4, num_cache_creation_tokens=5))
    assert reading.tokens == counts(input=9, output=3, cache_read=4, cache_write=5)
    assert said(reading) == ("text_completion", "vllm", None, None, ("stop",))


def test_several_completions_read_the_prompt_once() -> None:
    (reading,) = readings(output([completion([1, 2, 3]), completion([4], 1, "length")]))
    assert reading.tokens == counts(input=9, output=4)
    assert reading.finish_reasons == ("stop", "length")


def test_an_encoders_prompt_is_read_too() -> None:
    (reading,) = readings(output([completion([1])], encoder_prompt_token_ids=[1, 2]))
    assert reading.tokens == counts(input=11, output=1)


def test_the_list_that_generate_returns() -> None:
    found = readings([output([completion([1, 2])], str(number)) for number in range(500)])
    assert len(found) == 500
    assert sum(reading.tokens["gen_ai.usage.output_tokens"] for reading in found) == 1000


def test_a_prompt_that_is_not_told_is_unknown() -> None:
    (reading,) = readings(output([completion([1])], prompt_token_ids=None))
    assert reading.tokens == counts(output=1)


def test_pooling_reads_alone() -> None:
    common: dict[str, Any] = {
        "request_id": "0",
        "prompt_token_ids": [1, 2, 3],
        "num_cached_tokens": 2,
        "finished": True,
    }
    (embedded,) = readings(EmbeddingRequestOutput(outputs=EmbeddingOutput([0.5]), **common))
    assert embedded.tokens == counts(input=3, cache_read=2)
    assert embedded.operation == "embeddings"
    (classified,) = readings(ClassificationRequestOutput(outputs=ClassificationOutput([0.5]), **common))
    assert classified.tokens == counts(input=3, cache_read=2)
    assert classified.operation is None


def test_a_stream_of_all_so_far_and_one_of_what_is_new_give_the_same() -> None:
    ids = [7, 7, 7, 8]
    so_far = [output([completion(ids[:end], reason="stop" if end == 4 else None)]) for end in (1, 2, 3, 4)]
    new = [output([completion([token], reason="stop" if place == 3 else None)]) for place, token in enumerate(ids)]
    for stream in (so_far, new):
        reading = meter(stream).reading()
        assert reading is not None
        assert reading.tokens == counts(input=9, output=4)
        assert reading.finish_reasons == ("stop",)


def test_two_requests_in_one_stream_are_added() -> None:
    stream = [output([completion([1, 2])], "0"), output([completion([3])], "1")]
    reading = meter(stream).reading()
    assert reading is not None
    assert reading.tokens == counts(input=18, output=3)
