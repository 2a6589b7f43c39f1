"""Protobuf messages with some of their fields left as bytes: what repeats is recognised without being opened.

On the wire a message and bytes are the same. `opaque_handlers` reads the official classes' messages so, each as the
columns of an Arrow record batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from ptars import HandlerPool

_PACKAGE = "andon.opaque"
_POOLS: list[HandlerPool] = []  # handlers borrow from them


def opaque_handlers(closed: Mapping[str, frozenset[str]], *messages: Descriptor) -> list[Any]:
    """A handler for each message.

    Args:
        closed: full name of a message -> the fields of messages that stay bytes.
    """
    copy = _Copy(closed, messages)
    pool = HandlerPool([copy.opaque[0].file])
    _POOLS.append(pool)
    return [pool.get_for_message(message) for message in copy.opaque]


class _Copy:
    """Messages with all that they hold, under names of our own."""

    def __init__(self, closed: Mapping[str, frozenset[str]], messages: tuple[Descriptor, ...]) -> None:
        self._closed = closed
        self._names: dict[str, str] = {}
        self._file = FileDescriptorProto(name=f"{_PACKAGE}/{messages[0].full_name}", package=_PACKAGE, syntax="proto3")
        names = [self._add(message) for message in messages]
        pool = DescriptorPool()
        pool.AddSerializedFile(self._file.SerializeToString())
        self.opaque = [pool.FindMessageTypeByName(f"{_PACKAGE}.{name}") for name in names]

    def _add(self, message: Descriptor) -> str:
        if message.full_name not in self._names:
            name = self._names[message.full_name] = message.full_name.replace(".", "_")
            official = DescriptorProto()
            message.CopyToProto(official)
            kept = DescriptorProto(name=name, oneof_decl=official.oneof_decl)
            for field, said in zip(message.fields, official.field, strict=True):
                self._close(field, said)
                kept.field.add().CopyFrom(said)
            self._file.message_type.append(kept)
        return self._names[message.full_name]

    def _close(self, field: FieldDescriptor, said: FieldDescriptorProto) -> None:
        if field.message_type and field.name not in self._closed.get(field.containing_type.full_name, ()):
            said.type_name = f".{_PACKAGE}.{self._add(field.message_type)}"
            return
        said.ClearField("type_name")
        if field.message_type:
            said.type = FieldDescriptorProto.TYPE_BYTES
        elif field.enum_type:
            said.type = FieldDescriptorProto.TYPE_INT32
