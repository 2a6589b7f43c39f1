"""The grammar of one line of the Prometheus text format 0.0.4 and of OpenMetrics 1.0: names, labels, escapes.

`LINE` takes a line apart, `series_of` reads the name and labels at its beginning. Every pattern is possessive, so that
no text, however made, takes more than one pass.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_NAME: Final = r"[a-zA-Z_:][a-zA-Z0-9_:]*+"
_LABEL: Final = r"[a-zA-Z_][a-zA-Z0-9_]*+"
_QUOTED: Final = r'"(?:[^"\\\n]|\\.)*+"'
_BRACES: Final = rf'\{{(?:[^"{{}}]|{_QUOTED})*+\}}'
_PAIR: Final = rf"[ \t]*+(?:{_LABEL}[ \t]*+=[ \t]*+{_QUOTED}|{_QUOTED}(?:[ \t]*+=[ \t]*+{_QUOTED})?+)[ \t]*+(?:,|\Z)"

# Groups: name and labels, value, time; and of an exemplar: labels, value, time.
LINE: Final = re.compile(
    rf"[ \t]*+({_NAME}(?:[ \t]*+{_BRACES})?+|{_BRACES})[ \t]*+([^\s]++)(?:[ \t]++([-+0-9.eE]++))?+"
    rf"(?:[ \t]++\#[ \t]*+({_BRACES})[ \t]++([^\s]++)(?:[ \t]++([-+0-9.eE]++))?+)?+[ \t]*+"
)
_PAIRS: Final = re.compile(rf"(?:{_PAIR})*+[ \t]*+")
_ONE_PAIR: Final = re.compile(
    rf"({_LABEL})?+[ \t]*+({_QUOTED})?+[ \t]*+(?:=[ \t]*+({_QUOTED}))?+[ \t]*+(?:,|\Z)[ \t]*+"
)
_ESCAPE: Final = re.compile(r'\\([\\n"])')
_ESCAPED: Final = {"\\": "\\", "n": "\n", '"': '"'}


class Series(NamedTuple):
    """Name and labels of a sample. Labels stand in order; one without a value is no label, as in Prometheus."""

    name: str
    labels: tuple[tuple[str, str], ...]


def series_of(text: str) -> Series:
    """Read what stands before the value: `name{label="value",...}`; the name may also be quoted, in the braces.

    Raises:
        ValueError: it is nothing of the kind; the message is the reason under which the line is counted.
    """
    name, brace, rest = text.partition("{")
    name = name.rstrip(" \t")
    if not brace:
        return Series(name, ())
    labels = pairs_of(rest.rpartition("}")[0])
    quoted = labels.pop("", None)
    if quoted is not None:
        if name:
            raise ValueError("the name is there twice")
        name = quoted
    if not name:
        raise ValueError("there is no name")
    return Series(name, tuple(sorted(pair for pair in labels.items() if pair[1])))


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
        if pair is None or pair.end() == at:
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
