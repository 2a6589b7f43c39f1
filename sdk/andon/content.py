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
        masked: object = mask(text[:LONGEST_TEXT])
        if isinstance(masked, str) and masked:
            work.span.set_attribute(name, valid_text(masked[:LONGEST_TEXT]))
    except Exception as problem:  # noqa: BLE001 - nothing of ours may reach the host
        fault("capturing content", problem)


def _as_json(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    if not args and not kwargs:
        return ""
    return json.dumps({"args": args, "kwargs": kwargs} if args else kwargs, default=_described, ensure_ascii=False)


def _described(value: object) -> str:
    return f"<{type(value).__qualname__}>"
