"""The grammar of one line of the Prometheus text format 0.0.4 and of OpenMetrics 1.0: names, labels, escapes.

`LINE` takes a line apart, `series_of` reads the name and labels at its beginning. Every pattern is possessive, so that
no text, however made, takes more than one pass.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import Final, NamedTuple, TypeAlias

_NAME: Final = r"[a-zA-Z_:][a-zA-Z0-9_:]*+"
_LABEL: Final = r"[a-zA-Z_][a-zA-Z0-9_]*+"
_QUOTED: Final = r'"(?:[^"\\\n]|\\.)*+"'
_BRACES: Final = rf'\{{(?:[^"{{}}]|{_QUOTED})*+\}}'
_PAIR: Final = rf"[ \t]*+(?:{_LABEL}[ \t]*+=[ \t]*+{_QUOTED}|{_QUOTED}(?:[ \t]*+=[ \t]*+{_QUOTED})?+)[ \t]*+(?:,|\Z)"

# Groups: name and labels, value, time; and of an exemplar: labels, value, time.
LINE: Final = re.compile(
    rf"[ \t]*+({_NAME}(?:[ \t]*+{_BRACES})?+|{_BRACES})[ \t]*+([^\s{{][^\s]*+)(?:[ \t]++([-+0-9.eE]++))?+"
    rf"(?:[ \t]++\#[ \t]*+({_BRACES})[ \t]++([^\s]++)(?:[ \t]++([-+0-9.eE]++))?+)?+[ \t]*+"
)
# What nearly every exporter writes: no blanks, no escapes. Read in one call.
_PLAIN_PAIR: Final = re.compile(rf'({_LABEL})="([^"\\\n]*+)"(?:,|\Z)')
_PAIRS: Final = re.compile(rf"(?:{_PAIR})*+[ \t]*+")
_ONE_PAIR: Final = re.compile(
    rf"[ \t]*+({_LABEL})?+[ \t]*+({_QUOTED})?+[ \t]*+(?:=[ \t]*+({_QUOTED}))?+[ \t]*+(?:,|\Z)[ \t]*+"
)
_ESCAPE: Final = re.compile(r'\\([\\n"])')
_ESCAPED: Final = {"\\": "\\", "n": "\n", '"': '"'}


Labels: TypeAlias = tuple[tuple[str, str], ...]


class Series(NamedTuple):
    """Name and labels of a sample. Labels stand in order; one without a value is no label, as in Prometheus."""

    name: str
    labels: Labels


def series_of(text: str, known: dict[str, Labels] | None = None) -> Series:
    """Read what stands before the value: `name{label="value",...}`; the name may also be quoted, in the braces.

    Args:
        known: texts between braces that were read before; many series have the same. What is new is added.

    Raises:
        ValueError: it is nothing of the kind; the message is the reason under which the line is counted.
    """
    name, brace, rest = text.partition("{")
    name = name.rstrip(" \t")
    if not brace:
        return Series(name, ())
    between = rest.rpartition("}")[0]
    labels = known.get(between) if known else None
    if labels is not None and name:
        return Series(name, labels)
    pairs = _plain_pairs(between) or pairs_of(between)
    quoted = pairs.pop("", None)
    if quoted is not None:
        if name:
            raise ValueError("the name is there twice")
        name = quoted
    if not name:
        raise ValueError("there is no name")
    said = pairs.items() if all(pairs.values()) else [pair for pair in pairs.items() if pair[1]]
    labels = tuple(sorted(said))
    if known is not None and quoted is None:
        known[between] = labels
    return Series(name, labels)


def _plain_pairs(text: str) -> dict[str, str] | None:
    """The pairs, where each is written plainly and has a label of its own."""
    found = _PLAIN_PAIR.findall(text)
    length = sum(map(len, chain.from_iterable(found))) + 4 * len(found)
    if not found or length != len(text) + (text[-1] != ","):
        return None
    pairs = dict(found)
    return pairs if len(pairs) == len(found) else None


def pairs_of(text: str) -> dict[str, str]:
    """The pairs between braces; a quoted metric name stands under ''.

    Raises:
        ValueError: that is not what stands there.
    """
    if not _PAIRS.fullmatch(text):
        raise ValueError("the labels are malformed")
    pairs: dict[str, str] = {}
    at = 0
    while at < len(text):
        pair = _ONE_PAIR.match(text, at)
        if pair is None or pair.lastindex is None:
            break
        at = pair.end()
        label, quoted, value = pair.groups()
        if label is None and value is not None:
            label = _plain(quoted)
            if not label:
                raise ValueError("a label has no name")
        elif value is None:
            label, value = "", quoted
        if label in pairs:
            raise ValueError("a label is there twice")
        pairs[label] = _plain(value)
    return pairs


def _plain(quoted: str) -> str:
    text = quoted[1:-1]
    return _ESCAPE.sub(lambda found: _ESCAPED[found[1]], text) if "\\" in text else text
