"""OTLP in JSON, turned into the protobuf bytes of the same message, so that both encodings go one way from there.

OTLP's JSON is protobuf's with one deviation: identities are in hexadecimal, not in base64. Fields that are not known
are ignored; enums are numbers, and their names are understood too.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final, NoReturn

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from collector.census import TooManyElementsError
from collector.envelope import UndecodableError

MOST_MARKS: Final = 2**21

_IDENTITIES: Final = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")
_ENUMS: Final[dict[str, EnumDescriptor]] = {
    "kind": Span.SpanKind.DESCRIPTOR,
    "code": Status.StatusCode.DESCRIPTOR,
    "severityNumber": SeverityNumber.DESCRIPTOR,
    "aggregationTemporality": AggregationTemporality.DESCRIPTOR,
}


def protobuf_of(body: bytes, request: type[Message]) -> bytes:
    """The protobuf bytes of a request in JSON.

    Raises:
        UndecodableError: it is not JSON, or not such a message.
        TooManyElementsError: it holds more braces, brackets and commas than one request may.
    """
    marks = sum(body.count(mark) for mark in (b"{", b"[", b","))
    if marks > MOST_MARKS:
        raise TooManyElementsError(
            f"the request holds {marks} braces, brackets and commas, at most {MOST_MARKS} are taken in one"
        )
    try:
        found = json.loads(body.decode(), object_hook=_as_protobuf_has_it, parse_constant=_refuse_constant)
        if not isinstance(found, dict):
            raise UndecodableError(f"a {type(found).__name__} where an object is expected")
        message: bytes = ParseDict(found, request(), ignore_unknown_fields=True).SerializeToString()
        return message
    # What the parser says of a value of the wrong shape, and (SystemError) of a name that is not Unicode.
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError, SystemError) as error:
        raise UndecodableError(str(error)[:300]) from None


def _as_protobuf_has_it(members: dict[str, Any]) -> dict[str, Any]:
    for name in _IDENTITIES:
        if isinstance(text := members.get(name), str):
            members[name] = base64.b64encode(_unhex(name, text)).decode()
    for name, enum in _ENUMS.items():
        if isinstance(text := members.get(name), str):
            members[name] = _number(name, text, enum)
    return members


def _unhex(name: str, text: str) -> bytes:
    try:
        return binascii.unhexlify(text)
    except ValueError:
        raise ValueError(f"{name} {text[:40]!r} is not hexadecimal") from None


def _number(name: str, text: str, enum: EnumDescriptor) -> int:
    value = enum.values_by_name.get(text)
    if value is None:
        raise ValueError(f"{name} {text[:40]!r} is no number, and no name of {enum.name}")
    return int(value.number)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f'{text} is not JSON; write "{text}"')
