"""Reads the token usage off what model clients return, by its shape; no client is imported or required.

`readings` looks at a returned value, `StreamMeter` at the items of a stream, `metered` at a client's own stream object.
The files of the clients are loaded at the first value that is neither a text nor a number.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from andon.clients.meter import TRIVIAL, StreamMeter, takers
from andon.clients.reading import Reading
from andon.clients.watch import client_stream, metered

__all__ = ["Reading", "StreamMeter", "client_stream", "is_model_chunk_type", "metered", "readings"]

_Found = Callable[[Any, Any], Sequence[Reading] | None]


def readings(value: object, arguments: tuple[tuple[Any, ...], dict[str, Any]] | None = None) -> Sequence[Reading]:
    """Return the usage of every answer that `value` is or holds; empty where there is none. Never raises.

    Args:
        value: what a function returned. Lists and tuples of answers are looked into.
        arguments: what the function was called with (positional, by name), where a prompt's length may stand.
    """
    read: _Found | None = _readers.get(type(value), _first_seen)
    return () if read is None else read(value, arguments) or ()


def is_model_chunk_type(cls: type) -> bool:
    """Whether items of this class may be a model's chunks, so that a stream of them needs a meter."""
    if cls not in takers:
        from andon.clients import table

        table.remember_taker(cls)
    return takers.get(cls) is not None


def _first_seen(value: object, arguments: tuple[tuple[Any, ...], dict[str, Any]] | None) -> Sequence[Reading] | None:
    from andon.clients import table  # the client files are loaded when there is something to read

    if (read := table.remember_reader(type(value), _readers)) is None:
        return None
    return read(value, arguments)


# Class of a value -> who reads it; None: nobody.
_readers: Final[dict[type, _Found | None]] = dict.fromkeys(TRIVIAL)
