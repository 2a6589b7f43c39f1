"""`generate` of small models with random weights: the prompt comes from the arguments, the rest from the rows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from andon.clients import readings
from expect import counts
from transformers import (
    BatchEncoding,
    LlamaConfig,
    LlamaForCausalLM,
    LogitsProcessor,
    T5Config,
    T5ForConditionalGeneration,
)

END, PAD = 2, 0


class EndsAt(LogitsProcessor):
    """Row `number` says its end as its `steps[number]`-th new token, and no row says it, or fills, before."""

    def __init__(self, begins: int, steps: list[int]) -> None:
        self.begins = begins
        self.steps = steps

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores[:, [END, PAD]] = -torch.inf
        for row, step in enumerate(self.steps):
            if input_ids.shape[1] - self.begins == step - 1:
                scores[row, END] = torch.inf
        return scores


@pytest.fixture(scope="module")
def decoder() -> Any:
    """A decoder: what it returns begins with the prompt."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
        eos_token_id=END,
        pad_token_id=PAD,
    )
    config._name_or_path = "/models/tiny-llama/"
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module")
def encoder() -> Any:
    """An encoder and decoder: what it returns begins with a token that nobody has generated."""
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=64,
        d_model=16,
        d_ff=16,
        d_kv=8,
        num_layers=1,
        num_heads=2,
        eos_token_id=END,
        pad_token_id=PAD,
        decoder_start_token_id=PAD,
    )
    return T5ForConditionalGeneration(config).eval()


def prompt(*rows: list[int]) -> BatchEncoding:
    """Rows of ids padded on the left."""
    width = max(map(len, rows))
    ids = [[PAD] * (width - len(row)) + row for row in rows]
    mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
    return BatchEncoding({"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)})


def generate(model: Any, inputs: BatchEncoding, ends: list[int], **more: Any) -> Any:
    begins = 1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
    rules = [EndsAt(begins, ends)]
    return model.generate(**inputs, max_new_tokens=8, do_sample=False, logits_processor=rules, **more)


def one(value: Any, *args: Any, **kwargs: Any) -> Any:
    (reading,) = readings(value, (args, kwargs))
    return reading


@pytest.mark.parametrize("as_output", [False, True])
def test_one_row_is_exact_however_the_prompt_is_handed_over(decoder: Any, as_output: bool) -> None:
    inputs = prompt([5, 6, 7, 8, 9])
    answer = generate(decoder, inputs, [4], return_dict_in_generate=as_output)
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    for args, kwargs in (
        ((inputs,), {}),
        ((decoder, inputs), {}),
        ((dict(inputs),), {}),
        ((), dict(inputs)),
        ((ids,), {}),
        ((ids, mask), {}),
        ((), {"inputs": ids}),
    ):
        reading = one(answer, *args, **kwargs)
        assert reading.tokens == counts(input=5, output=4)
        assert not reading.estimated
        assert (reading.operation, reading.provider) == ("text_completion", "transformers")


def test_the_model_is_named_where_it_is_among_the_arguments(decoder: Any) -> None:
    inputs = prompt([5, 6])
    answer = generate(decoder, inputs, [4])
    assert one(answer, decoder, inputs).model == "tiny-llama"
    assert one(answer, inputs).model is None

    class Service:
        def __init__(self) -> None:
            self.model = decoder

    assert one(answer, Service(), inputs).model == "tiny-llama"


def test_rows_of_a_batch_are_exact_where_the_model_tells_what_ends_and_fills_them(decoder: Any) -> None:
    inputs = prompt([5, 6, 7], [5, 6, 7, 8, 9], [5])
    answer = generate(decoder, inputs, [3, 99, 6])
    reading = one(answer, decoder, inputs)
    # 3 + 5 + 1 read; 3 with its end, all 8, and 6 with its end written.
    assert reading.tokens == counts(input=9, output=17)
    assert not reading.estimated
    told = one(answer, **inputs, eos_token_id=END, pad_token_id=PAD)
    assert told.tokens == reading.tokens
    assert not told.estimated


def test_rows_of_a_batch_are_an_estimate_where_nothing_tells(decoder: Any) -> None:
    inputs = prompt([5, 6, 7], [5, 6, 7, 8, 9])
    reading = one(generate(decoder, inputs, [3, 99]), inputs)
    assert reading.estimated
    assert reading.tokens["gen_ai.usage.input_tokens"] == 8
    # 3 with its end and one of the five that fill the row, and at most 8.
    assert 5 <= reading.tokens["gen_ai.usage.output_tokens"] <= 12


def test_without_a_mask_padding_is_what_the_model_says_it_is(decoder: Any) -> None:
    inputs = prompt([5, 6, 7], [5, 6, 7, 8, 9])
    answer = generate(decoder, inputs, [3, 99])
    assert one(answer, decoder, inputs["input_ids"]).tokens == counts(input=8, output=11)


def test_several_answers_to_one_prompt_read_it_once(decoder: Any) -> None:
    inputs = prompt([5, 6, 7])
    answer = decoder.generate(
        **inputs, max_new_tokens=6, num_beams=3, num_return_sequences=3, do_sample=False, suppress_tokens=[END, PAD]
    )
    assert one(answer, decoder, inputs).tokens == counts(input=3, output=18)


def test_without_the_prompt_the_steps_tell_the_output(decoder: Any) -> None:
    inputs = prompt([5, 6, 7])
    answer = generate(decoder, inputs, [4], return_dict_in_generate=True, output_scores=True)
    assert one(answer).tokens == counts(output=4)
    assert one(generate(decoder, inputs, [4], return_dict_in_generate=True)).tokens == {}


@pytest.mark.parametrize("as_output", [False, True])
def test_an_encoder_and_decoder(encoder: Any, as_output: bool) -> None:
    inputs = prompt([5, 6, 7, END], [5, 6, END])
    answer = generate(encoder, inputs, [3, 5], return_dict_in_generate=as_output)
    reading = one(answer, encoder, inputs)
    # The token that begins the decoder is not written.
    assert reading.tokens == counts(input=7, output=8)
    assert not reading.estimated
    single = prompt([5, 6, END])
    assert one(generate(encoder, single, [3], return_dict_in_generate=as_output), encoder, single).tokens == counts(
        input=3, output=3
    )


def test_a_tensor_that_does_not_go_on_from_the_prompt_is_none_of_it(decoder: Any) -> None:
    ids = torch.tensor([[5, 6, 7]])
    for value in (
        torch.tensor([[7, 6, 5, 4]]),
        torch.tensor([[5, 6, 7]]),
        torch.tensor([[5.0, 6.0, 7.0, 8.0]]),
        torch.tensor([5, 6]),
        torch.tensor(3),
        torch.empty(0, 4, dtype=torch.int64),
        torch.tensor([[[5, 6, 7, 8]]]),
        torch.empty(1, 4, dtype=torch.int64, device="meta"),
        torch.tensor([[True]]),
        torch.nn.Parameter(torch.ones(2, 4)),
    ):
        assert readings(value, ((ids,), {})) == ()
    assert readings(torch.tensor([[5, 6, 7, 8]])) == ()
    assert readings(torch.tensor([[5, 6, 7, 8]]), (("a prompt",), {})) == ()
    assert readings(decoder(ids), ((ids,), {})) == ()
