"""English text that every Python brings along: what the demo's model learns from and its pipelines work on.

Docstrings of the standard library, the help topics of `pydoc`, the licence, the Zen. Read from the installation that
runs; whatever is missing there is left out.
"""

from __future__ import annotations

import builtins
import codecs
import importlib
import inspect
import itertools
import random
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MIN_CHARACTERS = 200
_DOCSTRING = re.compile(r'"""(.+?)"""', re.DOTALL)


class NoTextError(RuntimeError):
    """This Python brings no text to learn from."""


@dataclass(frozen=True)
class Text:
    """One text and the name of what it explains, for example `json` or `EXCEPTIONS`."""

    title: str
    body: str


def shipped_texts(max_characters: int, stdlib: Path | None = None) -> list[Text]:
    """Return texts of at least `MIN_CHARACTERS` each, in a fixed order, together about `max_characters`.

    Args:
        stdlib: folder of the standard library's sources; the running Python's when None.

    Raises:
        NoTextError: nothing at all was found.
    """
    stdlib = stdlib if stdlib is not None else Path(sysconfig.get_paths()["stdlib"])
    every = [Text(text.title, inspect.cleandoc(text.body)) for text in _all_texts(stdlib)]
    long_enough = [text for text in every if len(text.body) >= MIN_CHARACTERS]
    if not long_enough:
        raise NoTextError(f"no text was found to learn from: {stdlib} has no sources, and docstrings are stripped")
    random.Random(0).shuffle(long_enough)  # some of everything, when not all of it fits
    ends = itertools.accumulate(len(text.body) for text in long_enough)
    return [text for text, end in zip(long_enough, ends, strict=True) if end - len(text.body) < max_characters]


def _all_texts(stdlib: Path) -> Iterator[Text]:
    yield from _zen(stdlib)
    yield from _licence(stdlib)
    yield from _builtin_docs()
    yield from _help_topics()
    yield from _docstrings(stdlib)


def _zen(stdlib: Path) -> Iterator[Text]:
    # Importing `this` would print it.
    for cipher in _DOCSTRING.findall(_read(stdlib / "this.py")):
        yield Text("this", codecs.decode(cipher, "rot13"))


def _licence(stdlib: Path) -> Iterator[Text]:
    for paragraph in re.split(r"\n\s*\n", _read(stdlib / "LICENSE.txt")):
        yield Text("licence", paragraph)


def _builtin_docs() -> Iterator[Text]:
    for name, thing in sorted(vars(builtins).items()):
        doc = getattr(thing, "__doc__", None)
        if isinstance(doc, str) and not name.startswith("_"):
            yield Text(name, doc)


def _help_topics() -> Iterator[Text]:
    try:
        topics = importlib.import_module("pydoc_data.topics").topics
    except (ImportError, AttributeError):
        return
    for title, body in sorted(topics.items()):
        yield Text(title, body)


def _docstrings(stdlib: Path) -> Iterator[Text]:
    for source in sorted(stdlib.glob("*.py")):
        if source.stem != "this":
            for body in _DOCSTRING.findall(_read(source)):
                yield Text(source.stem, body)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
