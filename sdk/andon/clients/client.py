"""How a client is described: by which fields its answers and chunks are found, and who reads them.

Each client is one file with one `Client`; `table` lists them. Nothing of a client is imported to recognise it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from andon.clients.meter import StreamMeter
from andon.clients.reading import Reading

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]

# Returns None, or False, when the value is something else after all.
Reader: TypeAlias = Callable[[Any, Arguments | None], Sequence[Reading] | None]
Taker: TypeAlias = Callable[[StreamMeter, Any], bool]


@dataclass(frozen=True, slots=True)
class Client:
    """One client library.

    Attributes:
        answers: field that every such answer has -> its reader.
        chunks: field that every such chunk has -> its taker.
        roots: top-level modules of the classes that this is asked about; empty: all classes.
        dicts: whether plain dicts of this shape are asked about as well.
        plain: classes that declare no fields (module, name) -> the field that they are known by.
    """

    answers: Mapping[str, Reader] = field(default_factory=dict)
    chunks: Mapping[str, Taker] = field(default_factory=dict)
    roots: frozenset[str] = frozenset()
    dicts: bool = True
    plain: Mapping[tuple[str, str], str] = field(default_factory=dict)
