"""The table of clients, and the way from the class of a value to those who may read it.

A class is looked at once: by the fields that it declares, never by asking an instance. What was found is remembered for
a bounded number of classes. Loaded at the first value that is neither a text nor a number.
"""

from collections.abc import Callable, Iterable, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from andon.clients import (
    anthropic,
    bedrock,
    cohere,
    google,
    langchain,
    litellm,
    llama_index,
    mistral,
    ollama,
    openai,
    transformers,
    vllm,
)
from andon.clients.client import Arguments, Client, Reader, Taker
from andon.clients.meter import StreamMeter, takers, tell_fault
from andon.clients.reading import Reading
from andon.guard import never_raises
from andon.notices import warn_once

# A client of its own roots stands before the one whose shapes it has taken over.
CLIENTS: Final[tuple[Client, ...]] = (
    litellm.CLIENT,
    mistral.CLIENT,
    vllm.CLIENT,
    transformers.CLIENT,
    langchain.CLIENT,
    llama_index.CLIENT,
    openai.CLIENT,
    anthropic.CLIENT,
    google.CLIENT,
    bedrock.CLIENT,
    cohere.CLIENT,
    ollama.CLIENT,
    mistral.AS_DICTS,
)

_MAX_CLASSES: Final = 1024
_MAX_KEYS: Final = 64
_MAX_ANSWERS: Final = 100_000
_MAX_DEPTH: Final = 3
_MAX_WIDTH: Final = 16
_MAX_FAILED: Final = 4

ReadAny: TypeAlias = Callable[[Any, Arguments | None], Sequence[Reading] | None]


def _by_key(of: Callable[[Client], Iterable[tuple[str, Any]]]) -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for client in CLIENTS:
        if client.dicts:
            for key, who in of(client):
                found[key] = (*found.get(key, ()), who)
    return found


_DICT_READERS: Final[dict[str, tuple[Reader, ...]]] = _by_key(lambda client: client.answers.items())
_DICT_TAKERS: Final[dict[str, tuple[Taker, ...]]] = _by_key(lambda client: client.chunks.items())


def read(value: Any, arguments: Arguments | None) -> Sequence[Reading] | None:
    """Read one answer; None when it is none. For clients that wrap another one."""
    readers = _by_keys(value, _DICT_READERS) if type(value) is dict else _kind(type(value))[0]
    for reader in readers:
        if found := reader(value, arguments):
            return found
    return None


def take(meter: StreamMeter, item: Any) -> bool:
    """Take one chunk; False when it is none. For clients that wrap another one."""
    found = _by_keys(item, _DICT_TAKERS) if type(item) is dict else _kind(type(item))[1]
    return any(taker(meter, item) for taker in found)


def remember_reader(cls: type, memory: dict[type, ReadAny | None]) -> ReadAny | None:
    """Find who reads values of this class, and note it; None for nobody."""
    found: ReadAny | None = None
    if cls is list:
        found = _read_list
    elif cls is tuple:
        found = _read_tuple
    elif cls is dict or _kind(cls)[0]:
        found = never_raises(read)
    if len(memory) >= _MAX_CLASSES:
        memory.clear()
    memory[cls] = found
    return found


def remember_taker(cls: type) -> Callable[[StreamMeter, Any], object] | None:
    """Find who takes items of this class, and note it; None for nobody."""
    found: Callable[[StreamMeter, Any], object] | None = None
    if cls is tuple:
        found = never_raises(_take_tuple)
    elif cls is dict or any(_kind(cls)):
        found = _taker_of(cls)
    if len(takers) >= _MAX_CLASSES:
        takers.clear()
    takers[cls] = found
    return found


def _read_list(value: list[Any], arguments: Arguments | None) -> Sequence[Reading] | None:
    # Lists are of one kind: the first thing in it decides. So a conversation, which begins with what a person said, is
    # not counted again with every turn; and a million numbers cost nothing.
    for item in value[:_MAX_FAILED]:
        if item is None or issubclass(type(item), BaseException):
            continue
        cls = type(item)
        if cls is dict or cls is list or cls is tuple or _kind(cls)[0]:
            return _read_items(value, arguments, 1)
        return None
    return None


@never_raises
def _read_tuple(value: tuple[Any, ...], arguments: Arguments | None) -> Sequence[Reading]:
    return _read_within(value, arguments, 0)


@never_raises
def _read_items(value: list[Any], arguments: Arguments | None, depth: int) -> Sequence[Reading]:
    found: list[Reading] = []
    for item in value[:_MAX_ANSWERS]:
        readings = _read_within(item, arguments, depth)
        found.extend(readings)
        if not found and item is not None and not issubclass(type(item), BaseException):
            return ()
    if found and len(value) > _MAX_ANSWERS:
        warn_once("clients.list", "andon reads usage off the first %d answers of a list only", _MAX_ANSWERS)
    return found


def _read_within(value: Any, arguments: Arguments | None, depth: int) -> Sequence[Reading]:
    cls = type(value)
    if depth < _MAX_DEPTH and cls is list:
        return _read_items(value, arguments, depth + 1) or ()
    if depth < _MAX_DEPTH and cls is tuple:
        if len(value) > _MAX_WIDTH:
            return _read_items(list(value), arguments, depth + 1) or ()
        return [found for item in value[:_MAX_WIDTH] for found in _read_within(item, arguments, depth + 1)]
    return read(value, arguments) or ()


def _by_keys(value: dict[Any, Any], known: dict[str, tuple[Any, ...]]) -> Sequence[Any]:
    """Return who knows one of the keys; a dict of very many keys is no answer."""
    if len(value) > _MAX_KEYS:
        return ()
    found: tuple[Any, ...] = ()
    for key in value:
        if type(key) is str and key in known:
            found = found + known[key] if found else known[key]
    return found


def _taker_of(cls: type) -> Callable[[StreamMeter, Any], object]:
    found = None if cls is dict else _kind(cls)[1]

    def take_item(meter: StreamMeter, item: Any) -> None:
        try:
            for taker in _by_keys(item, _DICT_TAKERS) if found is None else found:
                if taker(meter, item):
                    meter.last, meter.last_class = taker, cls
                    return
            for reading in read(item, None) or ():
                meter.complete(reading)
        except Exception as error:  # noqa: BLE001 - as `never_raises`
            tell_fault(item, error)

    return take_item


def _take_tuple(meter: StreamMeter, item: tuple[Any, ...]) -> None:
    # Some frameworks yield a chunk together with where it comes from.
    for value in item[:2]:
        cls = type(value)
        if cls is tuple and len(value) <= _MAX_FAILED:
            _take_tuple(meter, value)
        elif cls is not str:
            meter.take(value)


_Kind: TypeAlias = tuple[tuple[Reader, ...], tuple[Taker, ...]]
_NOBODY: Final[_Kind] = ((), ())
_kinds: Final[dict[type, _Kind]] = {}


def _kind(cls: type) -> _Kind:
    found = _kinds.get(cls)
    if found is None:
        found = _look_at(cls)
        if len(_kinds) >= _MAX_CLASSES:
            _kinds.clear()
        _kinds[cls] = found
    return found


def _look_at(cls: type) -> _Kind:
    try:
        bases = [(str(base.__module__).partition(".")[0], base.__name__) for base in type.mro(cls)]
    except Exception:  # noqa: BLE001 - a metaclass may do anything
        return _NOBODY
    fields = _declared(cls)
    readers: list[Reader] = []
    chunk_takers: list[Taker] = []
    for client in CLIENTS:
        if client.roots and not any(root in client.roots for root, _ in bases):
            continue
        known = fields.union(client.plain[base] for base in bases if base in client.plain)
        readers.extend(who for key, who in client.answers.items() if key in known)
        chunk_takers.extend(who for key, who in client.chunks.items() if key in known)
    return tuple(dict.fromkeys(readers)), tuple(dict.fromkeys(chunk_takers))


def _declared(cls: type) -> frozenset[str]:
    """Return the fields that a class declares: of a pydantic model or a dataclass."""
    for name in ("__pydantic_fields__", "__fields__", "__dataclass_fields__"):
        try:
            found = type.__getattribute__(cls, name)
        except Exception:  # noqa: BLE001, S112 - a metaclass may do anything
            continue
        if isinstance(found, dict | MappingProxyType):
            return frozenset(name for name in found if type(name) is str)
    return frozenset()
