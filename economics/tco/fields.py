"""The fields of a scenario as tables, for `docs/tco.md`.

`python -m economics.tco.fields` prints them; a test compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from economics.tco.facts import fact_book
from economics.tco.scenario import Delivered, Scenario
from economics.tco.spread import Spread


def tables() -> str:
    """One Markdown table for each part of a scenario."""
    return "\n".join(_part("", Scenario, {Delivered})) + "\n\n" + "\n".join(_service()) + "\n"


def _service() -> Iterator[str]:
    names = ", ".join(f"`[{option}.service]`" for option in ("api", "rented", "owned"))
    yield f"### {names}"
    yield from _rows(Delivered, [(name, field) for name, field in Delivered.model_fields.items()])


def _part(path: str, model: type[BaseModel], skip: set[type[BaseModel]]) -> Iterator[str]:
    parts: list[tuple[str, type[BaseModel]]] = []
    plain: list[tuple[str, FieldInfo]] = []
    for name, field in model.model_fields.items():
        inner = _inner(field)
        if inner is None or field.description:
            plain.append((name, field))
        if inner is not None and inner not in skip:
            where = f"{path}.{name}" if path else name
            repeated = get_origin(field.annotation) is tuple
            parts.append((f"[{where}]" if repeated else where, inner))
    yield f"### `[{path}]`" if path else "### Above all parts"
    yield from _rows(model if path else None, plain)
    for where, part in parts:
        yield ""
        yield from _part(where, part, skip)


def _rows(model: type[BaseModel] | None, fields: list[tuple[str, FieldInfo]]) -> Iterator[str]:
    yield ""
    if model is not None and model.__doc__:
        yield model.__doc__.splitlines()[0]
        yield ""
    yield "| field | left out | meaning |"
    yield "|---|---|---|"
    for name, field in fields:
        ranged = "; may be a range" if Spread in (field.annotation, *get_args(field.annotation)) else ""
        yield f"| `{name}` | {_default(name, field)} | {field.description}{ranged} |"


def _inner(field: FieldInfo) -> type[BaseModel] | None:
    """The part that a field holds, if it holds one; a range is a number."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind is not Spread:
            return kind
    return None


def _default(name: str, field: FieldInfo) -> str:
    facts = fact_book().defaults
    if field.is_required():
        return "must be given"
    value: Any = field.default
    if value is None and name in facts:
        return f"{facts[name].value}"
    if value is None or value in ((), ""):
        return ""
    return f"{value.likely}" if isinstance(value, Spread) else f"{value}"


if __name__ == "__main__":
    sys.stdout.write(tables())
