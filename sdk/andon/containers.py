"""What hosts hand to `observe`, recognised: lists, columns of numpy, pandas, polars and Arrow, tables, their protocols.

None of those libraries is imported: one that a column comes from is loaded already, and is found where Python keeps
loaded modules. What is recognised goes on as a `Column`.
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from andon import attributes
from andon.columns import ArrowTexts, Column, Listed, Nothing, Numpy, PandasTexts, Polars
from andon.notices import warn_once

_LIST_METHODS: Final = ("tolist", "to_list", "to_pylist")
_ARROW_TEXTS: Final = ("string", "large_string", "string_view", "dictionary")
_ARROW_SCALARS: Final = ("int", "uint", "double", "float", "halffloat")
_ARROW_LISTED: Final = ("bool", "decimal", "null")


def column_of(name: str, value: object) -> Column | None:
    """Return `value` as the column of the attribute `name`; None when it is a single value.

    A column of a useless type (times, complex numbers, more than one dimension) is named in the log, and sends nothing.
    """
    if value is None or isinstance(value, str | int | float | bytes | bytearray):
        return None
    if isinstance(value, list | tuple | range):
        # A copy, since another thread of the host may change the list at any moment.
        return Listed(list(value))
    if not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0:  # numpy's scalars have tolist, too
        return None
    for recognise in (_from_numpy, _from_arrow, _from_pandas, _from_polars, _from_protocols):
        column = recognise(name, value)
        if column is not None:
            return column
    return None


def fields_of(table: object) -> Iterable[tuple[object, object]]:
    """Return the named values of a mapping, a pandas or polars data frame, or an Arrow table or record batch.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(table, Mapping) or hasattr(table, "iterrows"):
        return table.items()  # type: ignore[attr-defined,no-any-return]
    if hasattr(table, "get_columns"):
        return ((column.name, column) for column in table.get_columns())
    if hasattr(table, "schema") and hasattr(table, "columns"):
        return zip(table.schema.names, table.columns, strict=True)
    raise TypeError(
        f"features and segment take a mapping of names, a data frame or an Arrow table, not {type(table).__name__}"
    )


def _from_numpy(name: str, value: Any) -> Column | None:
    if not _is_a(value, "numpy", "ndarray"):
        return None
    if value.ndim != 1 or value.dtype.kind in "mMcV":
        return _useless(name, value, f"{value.ndim}-dimensional {value.dtype}")
    if value.dtype.kind in "biuf" and not _is_segment(name):
        return Numpy(value)
    return Listed(value.tolist())


def _from_arrow(name: str, value: Any) -> Column | None:
    if not _is_a(value, "pyarrow", "Array", "ChunkedArray"):
        return None
    kind = str(value.type)
    if kind.startswith(_ARROW_TEXTS):
        return ArrowTexts(value)
    if kind.startswith(_ARROW_SCALARS) and not _is_segment(name) and "numpy" in sys.modules:
        chunked = hasattr(value, "num_chunks")
        return Numpy(value.to_numpy() if chunked else value.to_numpy(zero_copy_only=False))
    if kind.startswith((*_ARROW_SCALARS, *_ARROW_LISTED)):
        return Listed(value.to_pylist())
    return _useless(name, value, kind)


def _from_pandas(name: str, value: Any) -> Column | None:
    if not _is_a(value, "pandas", "Series", "Index"):
        return None
    dtype = value.dtype
    if hasattr(dtype, "pyarrow_dtype"):
        return _from_arrow(name, value.array.__arrow_array__())
    if hasattr(dtype, "categories") or str(dtype) in {"str", "string"}:
        return PandasTexts(value)
    kind = getattr(dtype, "kind", "O")
    if not hasattr(dtype, "na_value") or kind in "mM":
        return _from_numpy(name, value.to_numpy())
    if kind in "iuf" and not _is_segment(name):
        return Numpy(value.to_numpy("float64", na_value=float("nan")))
    return Listed(value.to_numpy(object, na_value=None).tolist())


def _from_polars(name: str, value: Any) -> Column | None:
    if not _is_a(value, "polars", "Series"):
        return None
    dtype = value.dtype
    if dtype.is_temporal() or dtype.is_nested() or str(dtype) == "Binary":
        return _useless(name, value, str(dtype))
    if dtype.is_numeric() and not _is_segment(name):
        numbers = value.cast(sys.modules["polars"].Float64)
        return Numpy(numbers.to_numpy()) if "numpy" in sys.modules else Listed(numbers.to_list())
    return Polars(value)


def _from_protocols(name: str, value: Any) -> Column | None:
    """Anything that says itself by the Arrow PyCapsule interface, the array protocol, a buffer, or as a list."""
    for module, protocols, make, recognise in (
        ("pyarrow", ("__arrow_c_array__",), "array", _from_arrow),
        ("pyarrow", ("__arrow_c_stream__",), "chunked_array", _from_arrow),
        ("numpy", ("__array__", "__array_interface__"), "asarray", _from_numpy),
    ):
        library = sys.modules.get(module)
        if library is not None and any(hasattr(value, protocol) for protocol in protocols):
            try:
                return recognise(name, getattr(library, make)(value))
            except (TypeError, ValueError, RuntimeError, NotImplementedError):
                continue  # such a type that only its own library can read: it may still know a list of itself
    if isinstance(value, memoryview):
        value = value.tolist() if value.ndim == 1 else None
    for method in _LIST_METHODS:
        if hasattr(value, method):
            value = getattr(value, method)()
            break
    return Listed(value) if isinstance(value, list) else None


def _useless(name: str, value: Any, kind: str) -> Column:
    if _is_segment(name):
        return Listed(next(getattr(value, method)() for method in _LIST_METHODS if hasattr(value, method)))
    warn_once(
        f"observe.type.{name}",
        "andon.observe: %s, a column of %s, is left out; allowed: numbers, texts, True, False, or None for unknown",
        name,
        kind,
    )
    return Nothing(len(value))


def _is_segment(name: str) -> bool:
    return name.startswith(attributes.OBSERVATION_SEGMENT)


def _is_a(value: object, module: str, *classes: str) -> bool:
    """Whether `value` is of a class of a library that is loaded already."""
    library = sys.modules.get(module)
    kinds = tuple(kind for name in classes if isinstance(kind := getattr(library, name, None), type))
    return isinstance(value, kinds)
