"""The envelope that every OTLP signal comes in: resources hold scopes, scopes hold items.

`Envelope.open` takes the bytes of one request and gives its items as Arrow, each with the resource and the scope it
came in; the decoders of the signals turn the items into rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError
from ptars import HandlerPool

from collector.attributes import KeyValues, columns_of
from collector.census import Census, TooManyElementsError
from collector.columns import RESOURCE_ATTRIBUTES
from collector.rows import Bodies, Decoded, Decoder

MOST_REPEATED_BYTES: Final = 512 * 2**20


class UndecodableError(ValueError):
    """The body is not the protobuf message that its path promises."""


@dataclass(frozen=True)
class Opened:
    """A request, opened.

    `resource_of` and `scope_of` give, for every item, its place in `resources` and `scopes`; `resources` holds the
    typed columns and the map of the rest, `resource_pairs` every attribute of every resource.
    """

    items: pa.StructArray
    resource_of: pa.Array
    resources: dict[str, pa.Array]
    resource_pairs: KeyValues
    scope_of: pa.Array
    scopes: pa.StructArray


class Envelope:
    """How one signal's requests are opened: the request message, and the fields that lead to the items."""

    def __init__(self, request: Descriptor, resources: str, scopes: str, items: str) -> None:
        self._path = (resources, scopes, items)
        self._census = Census(request)
        # The handler borrows from the pool, so both are kept.
        self._pool = HandlerPool([request.file])
        self._handler = self._pool.get_for_message(request)

    def open(self, bodies: Bodies) -> Opened:
        """Open one request, or several as if they were one.

        Raises:
            UndecodableError: the bytes are not such messages.
            TooManyElementsError: they hold more elements than one request may.
        """
        try:
            requests = [bodies] if isinstance(bodies, bytes) else list(bodies)
            self._census.check(requests)
            batch = self._handler.list_to_record_batch(requests)
        except ValueError as error:
            raise UndecodableError(str(error)) from None
        except BaseException as error:
            # How ptars answers to a length near 2⁶⁴. It is no Exception, and would end the thread.
            if type(error).__name__ != "PanicException":
                raise
            raise UndecodableError(f"a length that cannot be: {error}") from None
        per_resource = batch.column(self._path[0]).flatten()
        scope_lists = per_resource.field(self._path[1])
        per_scope = scope_lists.flatten()
        item_lists = per_scope.field(self._path[2])
        scope_of = pc.list_parent_indices(item_lists)
        pairs = KeyValues(per_resource.field("resource").field("attributes"))
        resources = columns_of(pairs, RESOURCE_ATTRIBUTES)
        resources["resource"] = pairs.rest()
        resource_of = pc.list_parent_indices(scope_lists).take(scope_of)
        _bound(pairs, resource_of, per_scope.field("scope"), scope_of)
        return Opened(
            items=item_lists.flatten(),
            resource_of=resource_of,
            resources=resources,
            resource_pairs=pairs,
            scope_of=scope_of,
            scopes=per_scope.field("scope"),
        )


def whole(decode: Decoder) -> Decoder:
    """Nested values are opened late; a fault in one makes the whole body undecodable, as the official classes say."""

    @wraps(decode)
    def decoded(bodies: Bodies, now_nanos: int) -> Decoded:
        try:
            return decode(bodies, now_nanos)
        except (DecodeError, RecursionError) as error:
            raise UndecodableError(f"a nested value: {error}") from None

    return decoded


def may_expand(texts: Sequence[pa.Array], items: int) -> bool:
    """Whether texts that are said once could hold more than may be repeated, if every one stood in every row."""
    return bool(sum(text.nbytes for text in texts) * items > MOST_REPEATED_BYTES)


def refuse_expanded(lengths: np.ndarray[Any, Any], counts: np.ndarray[Any, Any]) -> None:
    """Refuse a request that says things of `lengths` bytes, once, of `counts` many items each, when the rows of these
    items would hold too much.

    Raises:
        TooManyElementsError: it is more than `MOST_REPEATED_BYTES`.
    """
    repeated = int((lengths.astype(np.int64) * counts).sum())
    if repeated > MOST_REPEATED_BYTES:
        raise TooManyElementsError(
            f"names, scopes and resources, repeated for every item, take {repeated} bytes, at most "
            f"{MOST_REPEATED_BYTES} are taken in one request; send fewer items in one"
        )


def _bound(pairs: KeyValues, resource_of: pa.Array, scopes: pa.StructArray, scope_of: pa.Array) -> None:
    texts = (pairs.keys, pairs.text, scopes.field("name"), scopes.field("version"))
    if not may_expand(texts, len(scope_of)):
        return
    of_pair = _lengths(pairs.keys) + _lengths(pairs.text)
    refuse_expanded(
        np.bincount(pairs.row_of_pair, weights=of_pair, minlength=pairs.rows),
        np.bincount(resource_of.to_numpy(zero_copy_only=False), minlength=pairs.rows),
    )
    refuse_expanded(
        _lengths(scopes.field("name")) + _lengths(scopes.field("version")),
        np.bincount(scope_of.to_numpy(zero_copy_only=False), minlength=len(scopes)),
    )


def _lengths(texts: pa.StringArray) -> np.ndarray[Any, Any]:
    lengths: np.ndarray[Any, Any] = pc.binary_length(texts).fill_null(0).to_numpy(zero_copy_only=False)
    return lengths


def scope_columns(opened: Opened) -> dict[str, pa.Array]:
    """Name and version of the scope of every item."""
    return {
        "scope_name": opened.scopes.field("name").fill_null("").take(opened.scope_of),
        "scope_version": opened.scopes.field("version").fill_null("").take(opened.scope_of),
    }


def resource_columns(opened: Opened) -> dict[str, pa.Array]:
    """The resource columns of every item."""
    return {name: column.take(opened.resource_of) for name, column in opened.resources.items()}
