"""Hugging Face transformers in the same process: what `generate` returns, a `ModelOutput` or a plain tensor of ids.

Neither tells the length of the prompt: it is read from the arguments of the decorated function. Exact for one row; for
several rows as exact as padding can be told from tokens, and marked as an estimate where it cannot.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from andon.clients.client import Arguments, Client
from andon.clients.parts import first, part, total, word
from andon.clients.reading import Reading, normal_tokens
from andon.clients.tensors import Ids, ids_of, mask_sum

_NO_ARGUMENTS: Final[Arguments] = ((), {})
_MAX_LOOKED_AT: Final = 64


@dataclass(slots=True)
class _Call:
    """What the arguments of the decorated function tell: the prompt, and what ends and fills a row."""

    prompt: Ids | None = None
    read: int | None = None
    model: object = None
    ends: frozenset[int] = frozenset()
    pad: int | None = None
    decoder_width: int = 1

    @property
    def encodes(self) -> bool:
        return part(part(self.model, "config"), "is_encoder_decoder") is True


def _read_output(value: Any, arguments: Arguments | None) -> Sequence[Reading] | None:
    sequences = ids_of(part(value, "sequences"))
    if sequences is None:
        return None
    call = _called(arguments or _NO_ARGUMENTS)
    if "encoder_attentions" in getattr(type(value), "__dataclass_fields__", ()):
        return (_reading(call, sequences, call.decoder_width),)
    # What the model gave at each step, where it was asked for, tells how many steps there were.
    steps = first(value, "scores", "logits")
    if call.prompt is not None and sequences.begins_with(call.prompt):
        skipped: int | None = call.prompt.width
    else:
        skipped = sequences.width - len(steps) if type(steps) is tuple else None
    return (_reading(call, sequences, skipped),)


def _read_tensor(value: Any, arguments: Arguments | None) -> Sequence[Reading] | None:
    # Any function may return a tensor of whole numbers: it is a generated text only if it goes on from the prompt.
    if arguments is None or type(value).__name__ != "Tensor" or (sequences := ids_of(value)) is None:
        return None
    call = _called(arguments)
    if call.prompt is None or sequences.height % call.prompt.height:
        return None
    if call.encodes:
        start = part(part(call.model, "generation_config"), "decoder_start_token_id")
        if any(row[0] != start for row in sequences.rows if row):
            return None
        return (_reading(call, sequences, call.decoder_width),)
    if sequences.width > call.prompt.width and sequences.begins_with(call.prompt):
        return (_reading(call, sequences, call.prompt.width),)
    return None


def _reading(call: _Call, sequences: Ids, skipped: int | None) -> Reading:
    estimated = False
    output = None
    if skipped is not None:
        counts = [_written(row[skipped:], call, sequences.height) for row in sequences.rows]
        output = total(*(count for count, _ in counts))
        estimated = any(guessed for _, guessed in counts)
    read, padded = _read_by(call)
    tokens = normal_tokens(read, output)
    guessed = bool(tokens) and (estimated or padded)
    name = _name(call.model)
    return Reading(tokens, "text_completion", "transformers", name, None, (), sequences.tensor, guessed)


def _read_by(call: _Call) -> tuple[int | None, bool]:
    """Return the length of the prompt over all rows, and whether padding may be among it."""
    prompt = call.prompt
    if prompt is None or call.read is not None:
        return call.read, False
    whole = prompt.width * prompt.height
    if prompt.height == 1 or call.pad in call.ends:
        return whole, False  # where rows are filled with what ends them, `generate` takes all of it for text
    if call.pad is None:
        return whole, True
    pad = call.pad
    return whole - sum(row.count(pad) for row in prompt.rows), False


def _written(row: list[int], call: _Call, height: int) -> tuple[int, bool]:
    """Return how many of the new tokens of a row were generated, and whether that is a guess."""
    if height == 1:
        return len(row), False  # generation ends with its only row
    if call.ends:
        for place, token in enumerate(row, 1):
            if token in call.ends:
                return place, False
    length = len(row)
    if call.ends and call.pad is not None:
        while length and row[length - 1] == call.pad:
            length -= 1
        return length, False
    while length > 1 and row[length - 1] == row[length - 2]:
        length -= 1
    return length, not call.ends


def _name(model: object) -> str | None:
    name = word(part(model, "config"), "_name_or_path")
    # A folder's place says nothing to anybody else.
    return name.rstrip("/").rpartition("/")[2] if name is not None and name.startswith(("/", ".", "~")) else name


def _called(arguments: Arguments) -> _Call:
    args, kwargs = arguments
    call = _Call()
    _learn_model(call, (*args, *kwargs.values()))
    _learn_ends(call, kwargs)
    found = kwargs
    if part(kwargs, "input_ids") is None and part(kwargs, "inputs") is None:
        for value in (*args, *kwargs.values())[:_MAX_LOOKED_AT]:
            inside = value if type(value) is dict else part(value, "data")
            if type(inside) is dict and "input_ids" in inside:
                found = inside
                break
    prompt = ids_of(part(found, "input_ids"))
    if prompt is None:
        prompt = ids_of(part(found, "inputs"))
    mask = part(found, "attention_mask")
    if prompt is None:
        tensors = [value for value in args[:_MAX_LOOKED_AT] if ids_of(value) is not None]
        prompt = ids_of(tensors[0]) if tensors else None
        mask = tensors[1] if len(tensors) > 1 and mask is None else mask
    call.prompt = prompt
    if prompt is not None:
        call.read = mask_sum(mask, prompt)
    if (decoder := ids_of(part(found, "decoder_input_ids"))) is not None:
        call.decoder_width = decoder.width
    return call


def _learn_model(call: _Call, values: tuple[Any, ...]) -> None:
    for value in values[:_MAX_LOOKED_AT]:
        if part(value, "generation_config") is not None and part(value, "config") is not None:
            call.model = value
            break
    else:
        # A method finds its model on its object.
        for value in (part(values[0], name) for name in ("model", "_model", "llm")) if values else ():
            if part(value, "generation_config") is not None:
                call.model = value
                break
    _learn_ends(call, call.model)


def _learn_ends(call: _Call, value: object) -> None:
    for source in (part(value, "generation_config"), value):
        ends, pad = part(source, "eos_token_id"), part(source, "pad_token_id")
        if type(ends) is int:
            call.ends = frozenset((ends,))
        elif type(ends) is list:
            call.ends = frozenset(end for end in ends if type(end) is int)
        if type(pad) is int:
            call.pad = pad
    if call.ends and call.pad is None:
        call.pad = min(call.ends)  # what `generate` fills with where nothing else is set


CLIENT: Final = Client(
    answers={"sequences": _read_output, "<tensor>": _read_tensor},
    roots=frozenset(("transformers", "torch")),
    dicts=False,
    plain={("torch", "Tensor"): "<tensor>"},
)
