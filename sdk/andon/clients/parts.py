"""Looking into a value that somebody else made, without running its code.

A client's answer is a pydantic model, a dataclass, a plain object or a dict. What it holds is read from where Python
keeps it, never through its properties: those may be slow, raise, ask a database, or answer to every name.
"""

from typing import Any, Final, cast

_look: Final = object.__getattribute__
_INT64_MAX: Final = 2**63 - 1
_FEW: Final = 128
_NOTHING: Final[dict[str, Any]] = {}


def held(value: object) -> dict[str, Any]:
    """Return the fields of a dict or object, for the path that each chunk of a stream takes."""
    try:
        fields = value if type(value) is dict else _look(value, "__dict__")
    except Exception:  # noqa: BLE001 - even this name may be a property
        return _NOTHING
    return fields if type(fields) is dict else _NOTHING


def part(value: object, name: str) -> Any:
    """Return `value[name]` of a dict, or what the object holds under `name`; None where there is nothing."""
    if issubclass(type(value), dict):
        return dict.get(cast("dict[str, Any]", value), name)
    fields = held(value)
    if name in fields:
        return fields[name]
    # pydantic keeps apart what a server sent beyond the fields of the model.
    try:
        extra = _look(value, "__pydantic_extra__")
    except Exception:  # noqa: BLE001 - as above
        return None
    return extra.get(name) if type(extra) is dict else None


def word(value: object, name: str) -> str | None:
    """Return the part of that name, if it is a text with something in it."""
    return text(part(value, name))


def first(value: object, *names: str) -> Any:
    """Return the first part that is there."""
    for name in names:
        if (found := part(value, name)) is not None:
            return found
    return None


def count(value: object) -> int | None:
    """Return `value` if it is a number of tokens; some clients hand them over as whole floats."""
    if type(value) is int:
        return value if 0 <= value <= _INT64_MAX else None
    if type(value) is float and value.is_integer() and 0 <= value <= _INT64_MAX:
        return int(value)
    return None


def counted(value: object, *names: str) -> int | None:
    """Return the first part that is a count."""
    for name in names:
        if (found := count(part(value, name))) is not None:
            return found
    return None


def text(value: object) -> str | None:
    """Return `value` if it is a text with something in it; an enum of texts says its value."""
    if type(value) is str:
        return value or None
    return str.__str__(value) or None if issubclass(type(value), str) else None


def items(value: object) -> list[Any] | tuple[Any, ...]:
    """Return the first items of a list or tuple; nothing for anything else."""
    return value[:_FEW] if type(value) is list or type(value) is tuple else ()


def texts(values: list[Any] | tuple[Any, ...], name: str) -> tuple[str, ...]:
    """Return that part of each value, where it is a text."""
    return tuple(found for value in values if (found := word(value, name)) is not None)


def total(*values: int | None) -> int | None:
    """Return the sum of what is known; None when nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
