"""Mistral's own classes: OpenAI's shapes under another roof, with counts of zero where the server told nothing.

As plain dicts they are OpenAI's shapes altogether, and read there.
"""

from collections.abc import Sequence
from typing import Any, Final

from andon.clients import openai
from andon.clients.client import Arguments, Client
from andon.clients.meter import StreamMeter
from andon.clients.parts import part, word
from andon.clients.reading import Reading


def _provider(value: object) -> str | None:
    # The same classes come in packages for two clouds, which serve the models themselves.
    module = type(value).__module__
    return None if module.startswith(("mistralai.azure", "mistralai.gcp")) else "mistral_ai"


def _read(value: Any, _: Arguments | None) -> Sequence[Reading] | None:
    provider = _provider(value)
    reading = openai.read_choices(value, provider) or openai.read_embeddings(value, provider)
    return None if reading is None else (reading,)


def _take(meter: StreamMeter, event: Any) -> bool:
    return openai.take_choices(meter, part(event, "data"), _provider(event))


def _take_dict(meter: StreamMeter, event: Any) -> bool:
    data = part(event, "data")
    return word(data, "object") == "chat.completion.chunk" and openai.take_choices(meter, data)


CLIENT: Final = Client(answers={"object": _read}, chunks={"data": _take}, roots=frozenset(("mistralai",)), dicts=False)
AS_DICTS: Final = Client(chunks={"data": _take_dict}, roots=frozenset(("mistralai",)))
