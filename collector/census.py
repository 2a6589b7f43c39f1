"""How many elements a request holds, counted before anything of it is opened.

Two bytes of a hostile body can stand for an empty span that takes hundreds of bytes once it is opened. A census reads
the same bytes through a skeleton of the message, in which the innermost messages stay bytes: little memory, however
the body is made. A body that is too small to hold too much is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from ptars import HandlerPool

MOST_ITEMS: Final = 2**18
MOST_ATTRIBUTES: Final = 2**21

_PACKAGE: Final = "andon.census"
_LEAST_BYTES: Final = 2  # of an element: its tag and its length


class TooManyElementsError(Exception):
    """A request holds more elements than one request may; the sender can split it."""


class Tally:
    """Elements of a request, counted while it is opened level by level."""

    def __init__(self) -> None:
        self._items = 0
        self._attributes = 0

    def add(self, items: int = 0, attributes: int = 0) -> None:
        """Count more of them.

        Raises:
            TooManyElementsError: they are more than `MOST_ITEMS` items or `MOST_ATTRIBUTES` attributes.
        """
        self._items += items
        self._attributes += attributes
        for found, most, what in (
            (self._items, MOST_ITEMS, "items"),
            (self._attributes, MOST_ATTRIBUTES, "attributes"),
        ):
            if found > most:
                raise TooManyElementsError(f"the request holds {found} {what}, at most {most} are taken in one")


class Census:
    """Counts the elements of requests of one message type, or of another message that requests hold."""

    def __init__(self, request: Descriptor) -> None:
        skeleton = _Skeleton(request)
        # The handler borrows from its pool, so both are kept.
        self._pool = HandlerPool([skeleton.root.file])
        self._handler = self._pool.get_for_message(skeleton.root)
        self._attribute_fields = skeleton.attribute_fields

    def check(self, requests: Sequence[bytes]) -> None:
        """Refuse requests with too many elements.

        Raises:
            TooManyElementsError: they hold more than `MOST_ITEMS` items or `MOST_ATTRIBUTES` attributes.
            ValueError: the bytes are not such a message.
        """
        if self.may_hold_too_much(requests):
            items, attributes = self.count(requests)
            Tally().add(items, attributes)

    def check_parts(self, messages: pa.BinaryArray) -> None:
        """Refuse parts of a request that are about attributes, when all that they hold is more than a request may.

        Raises:
            TooManyElementsError, ValueError: as of `check`.
        """
        if messages.nbytes // _LEAST_BYTES > MOST_ITEMS:
            Tally().add(attributes=sum(self.count(messages.to_pylist())))

    @staticmethod
    def may_hold_too_much(requests: Sequence[bytes]) -> bool:
        """Whether requests are large enough to hold more than `MOST_ITEMS` elements."""
        return sum(map(len, requests)) // _LEAST_BYTES > MOST_ITEMS

    def count(self, requests: Sequence[bytes]) -> tuple[int, int]:
        """Items (resources, scopes, spans, events, points, exemplars and so on), and attributes with the elements of
        those that are lists.

        Raises:
            ValueError: the bytes are not such a message.
        """
        batch = self._handler.list_to_record_batch(list(requests))
        items = attributes = 0
        waiting: list[tuple[pa.Array, bool]] = [
            (column, name in self._attribute_fields)
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        ]
        while waiting:
            column, is_attribute = waiting.pop()
            if pa.types.is_list(column.type):
                elements = column.flatten()
                if is_attribute:
                    attributes += len(elements)
                else:
                    items += len(elements)
                waiting.append((elements, is_attribute))
            elif pa.types.is_struct(column.type):
                waiting.extend(
                    (column.field(field.name), is_attribute or field.name in self._attribute_fields)
                    for field in column.type
                )
        return items, attributes


class _Skeleton:
    """A message with nothing but its repeated messages and texts; the innermost, and what recurs, stay bytes."""

    def __init__(self, request: Descriptor) -> None:
        self.attribute_fields: set[str] = set()
        self._file = FileDescriptorProto(name=f"{_PACKAGE}/{request.full_name}", package=_PACKAGE, syntax="proto3")
        self._names: dict[str, str | None] = {}
        name = self._add(request, ())
        pool = DescriptorPool()
        pool.AddSerializedFile(self._file.SerializeToString())
        self.root: Descriptor = pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")

    def _add(self, message: Descriptor, within: tuple[str, ...]) -> str | None:
        """The name of the skeleton of `message`; None when nothing in it repeats."""
        if message.full_name in within:
            return None
        if message.full_name not in self._names:
            kept = DescriptorProto(name=message.full_name.replace(".", "_"))
            for field in message.fields:
                self._keep(kept, field, (*within, message.full_name))
            if kept.field:
                self._file.message_type.append(kept)
            self._names[message.full_name] = kept.name if kept.field else None
        return self._names[message.full_name]

    def _keep(self, kept: DescriptorProto, field: FieldDescriptor, within: tuple[str, ...]) -> None:
        inner = self._add(field.message_type, within) if field.message_type else None
        text = field.type in {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}
        if inner is None and not (field.is_repeated and (field.message_type or text)):
            return
        if field.message_type is KeyValue.DESCRIPTOR:
            self.attribute_fields.add(field.name)
        kept.field.add(
            name=field.name,
            number=field.number,
            label=FieldDescriptorProto.LABEL_REPEATED if field.is_repeated else FieldDescriptorProto.LABEL_OPTIONAL,
            type=FieldDescriptorProto.TYPE_MESSAGE if inner else FieldDescriptorProto.TYPE_BYTES,
            type_name=f".{_PACKAGE}.{inner}" if inner else None,
        )
