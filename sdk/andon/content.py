"""Prompts and answers: sent only where `andon.init(capture_content=...)` asks for it, and masked before.

What the mask gives is what leaves the process. A mask that fails, or gives no text, keeps the content back.
"""

import json
from typing import Any, Final

from andon import attributes
from andon.guard import fault
from andon.observations import valid_text
from andon.runtime import runtime
from andon.spans import OpenSpan

LONGEST_TEXT: Final = 16_384
# More than is sent: of a secret that stands where the text is cut, the mask would see a part, and let it through.
MASKED_TEXT: Final = 64 * LONGEST_TEXT

_JSON: Final = json.JSONEncoder(
    default=lambda value: f"<{type(value).__qualname__}>", ensure_ascii=False, skipkeys=True
)


def write_arguments(work: OpenSpan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Record the arguments of a call: a single text as it is, anything else as JSON. Never raises."""
    try:
        values = [*args, *kwargs.values()]
        told = values[0] if len(values) == 1 and isinstance(values[0], str) else _as_json(args, kwargs)
    except Exception as problem:  # noqa: BLE001 - nothing of ours may reach the host
        fault("capturing content", problem)
    else:
        write_content(work, attributes.CONTENT_INPUT, told)


def write_content(work: OpenSpan, name: str, text: str) -> None:
    """Record a text, masked, under the attribute `name`. Never raises."""
    try:
        mask = runtime.mask
        if mask is None or not text or not work.span.is_recording():
            return
        masked: object = mask(text[:MASKED_TEXT])
        if isinstance(masked, str) and masked:
            work.span.set_attribute(name, valid_text(masked[:LONGEST_TEXT]))
    except Exception as problem:  # noqa: BLE001 - nothing of ours may reach the host
        fault("capturing content", problem)


def _as_json(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    if not args and not kwargs:
        return ""
    # Piece by piece: a call may be given far more than is sent.
    pieces: list[str] = []
    length = 0
    for piece in _JSON.iterencode({"args": args, "kwargs": kwargs} if args else kwargs):
        pieces.append(piece)
        length += len(piece)
        if length >= MASKED_TEXT:
            break
    return "".join(pieces)
