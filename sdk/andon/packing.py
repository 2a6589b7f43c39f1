"""The packed form of a column of observations, version 1: what a `bytes_value` holds instead of one attribute a row.

`observe` packs what is uniform on the host's thread, the sender packs the rest in the background; the collector's
`packed` reads it. All numbers are little-endian. The first byte says the encoding; an encoding never changes its
meaning, a new layout takes a new number, and a reader refuses those that it does not know.

    1  numbers      float64 for each row; NaN is unknown
    2  dictionary   u8 width of an index (1, 2 or 4), u32 count of numbers N, u32 count of texts T,
                    N x float64, T x u32 (length of each text in bytes), the texts in UTF-8 one after the other,
                    an unsigned index for each row: 0 unknown, 1 false, 2 true, then the N numbers, then the T texts
"""

import struct
import sys
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import count
from typing import Any, Final

from andon import attributes
from andon.observations import Observation, Value, attribute_value, valid_text

NUMBERS: Final = 1
DICTIONARY: Final = 2
NUMBERS_HEAD: Final = bytes([NUMBERS])
DICTIONARY_HEAD: Final = struct.Struct("<BBII")

UNKNOWN: Final = 0
FIRST_ENTRY: Final = 3
_OF_BOOLEAN: Final[Mapping[bool | None, int]] = {None: UNKNOWN, False: 1, True: 2}

_SIGNALS: Final = (
    attributes.OBSERVATION_FEATURE,
    attributes.OBSERVATION_PREDICTION,
    attributes.OBSERVATION_SCORE,
    attributes.OBSERVATION_LABEL,
)

_NAN: Final = float("nan")
_NONE: Final = type(None)
_TYPECODES: Final = ((1, "B"), (2, "H"), (4, "I"))


def packed_attributes(observation: Observation) -> dict[str, Value | bytes]:
    """Return the attributes of the one record that carries all rows of `observation`; packs what is not packed yet.

    Every signal is packed, also one that is the same in all rows: a reader can tell from a record's size what it holds.
    """
    record: dict[str, Value | bytes] = {attributes.OBSERVATIONS_COUNT: observation.count}
    for name, value in observation.known_constants().items():
        is_signal = name.startswith(_SIGNALS)
        record[name] = pack_entries(name, [value], bytes(observation.count)) if is_signal else value
    for name, column in observation.columns.items():
        record[name] = column if isinstance(column, bytes) else pack_values(name, column.values)
    return record


def pack_uniform(name: str, values: Sequence[Any], kinds: Set[type]) -> bytes | None:
    """Return a packed column where one fast rule fits every value (numbers, texts or booleans, and None), else None.

    Args:
        kinds: the types of the values.
    """
    has_none = _NONE in kinds
    types = kinds - {_NONE}
    if not types:
        return pack_booleans(bytes(len(values)))
    if types == {str}:
        return _pack_texts(values)
    if name.startswith(attributes.OBSERVATION_SEGMENT):
        return None
    if types == {bool}:
        return _pack(array("B", map(_OF_BOOLEAN.__getitem__, values)), (), ())
    if all(kind is int or issubclass(kind, float) for kind in types):
        try:
            return pack_numbers([_NAN if value is None else value for value in values] if has_none else values)
        except OverflowError:  # an integer beyond float64
            return None
    return None


def pack_values(name: str, values: Sequence[Any]) -> bytes:
    """Return a packed column of any values, by the rules of `attribute_value` for the attribute `name`."""
    packed = pack_uniform(name, values, set(map(type, values)))
    if packed is not None:
        return packed
    numbers: defaultdict[float, int] = defaultdict(count().__next__)
    texts: defaultdict[str, int] = defaultdict(count().__next__)
    is_segment = name.startswith(attributes.OBSERVATION_SEGMENT)
    places: list[int] = []
    for value in values:
        kind = type(value)
        if kind is not str and (is_segment or (kind is not int and kind is not float) or value != value):
            value = attribute_value(name, value)
        elif kind is int:
            value = attribute_value(name, value) if value.bit_length() > 63 else float(value)
        places.append(_place(value, numbers, texts))
    first_text = FIRST_ENTRY + len(numbers)
    # Until all numbers are seen, a text's index is not known: it stands as a negative place.
    return _pack(_indices([first_text - 1 - place if place < 0 else place for place in places]), numbers, texts)


def pack_entries(name: str, entries: Sequence[object], codes: Iterable[int]) -> bytes:
    """Return a packed column from a dictionary that another library made.

    Args:
        entries: its values.
        codes: for each row the place of its value in `entries`, -1 for unknown.
    """
    numbers: defaultdict[float, int] = defaultdict(count().__next__)
    texts: defaultdict[str, int] = defaultdict(count().__next__)
    places = [_place(attribute_value(name, entry), numbers, texts) for entry in entries]
    first_text = FIRST_ENTRY + len(numbers)
    of_code = [first_text - 1 - place if place < 0 else place for place in places]
    of_code.append(UNKNOWN)  # code -1 finds it at the end
    return _pack(_indices(list(map(of_code.__getitem__, codes))), numbers, texts)


def pack_numbers(values: Iterable[float]) -> bytes:
    """Return a packed column of numbers.

    Raises:
        OverflowError: an integer is beyond float64.
    """
    return NUMBERS_HEAD + _little(array("d", values))


def pack_float64(little_endian: bytes) -> bytes:
    """Return a packed column from the bytes of little-endian float64."""
    return NUMBERS_HEAD + little_endian


def pack_booleans(indices: bytes) -> bytes:
    """Return a packed column from one byte a row: 0 unknown, 1 false, 2 true."""
    return DICTIONARY_HEAD.pack(DICTIONARY, 1, 0, 0) + indices


def _pack_texts(values: Sequence[str | None]) -> bytes:
    place: defaultdict[str | None, int] = defaultdict(count(FIRST_ENTRY).__next__)
    place[None] = UNKNOWN
    places = list(map(place.__getitem__, values))
    del place[None]
    return _pack(_indices(places), (), place)  # type: ignore[arg-type]


def _place(value: Value | None, numbers: defaultdict[float, int], texts: defaultdict[str, int]) -> int:
    """The index of a value, negative and counted from -1 where it is a text."""
    if value is None:
        return UNKNOWN
    if isinstance(value, str):
        return -1 - texts[value]
    if isinstance(value, bool):
        return _OF_BOOLEAN[value]
    return FIRST_ENTRY + numbers[float(value)]


def _indices(places: list[int]) -> "array[int]":
    largest = max(places, default=0)
    return array(next(code for width, code in _TYPECODES if largest < 1 << 8 * width), places)


def _pack(indices: "array[int]", numbers: Iterable[float], texts: Iterable[str]) -> bytes:
    floats = array("d", numbers)
    encoded = [valid_text(text).encode() for text in texts]
    head = DICTIONARY_HEAD.pack(DICTIONARY, indices.itemsize, len(floats), len(encoded))
    lengths = struct.pack(f"<{len(encoded)}I", *map(len, encoded))
    return b"".join((head, _little(floats), lengths, *encoded, _little(indices)))


def _little(numbers: "array[Any]") -> bytes:
    if sys.byteorder == "big":
        numbers = array(numbers.typecode, numbers)
        numbers.byteswap()
    return numbers.tobytes()
