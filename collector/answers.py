"""What the receivers answer: success and partial success, and a `google.rpc.Status` for every refusal.

OTLP 1.11, sections OTLP/HTTP Response and OTLP/gRPC Response: an HTTP answer has the encoding of its request, also when
it is an error; a gRPC error carries the same Status in its trailers.
"""

from __future__ import annotations

import json
from enum import IntEnum
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from starlette.responses import Response

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
RETRY_AFTER_SECONDS = 2
READ_SECONDS = 30.0


class Code(IntEnum):
    """The codes of google.rpc that the receivers use."""

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


_CODE_OF_STATUS = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    405: Code.UNIMPLEMENTED,
    413: Code.RESOURCE_EXHAUSTED,
    415: Code.INVALID_ARGUMENT,
    429: Code.RESOURCE_EXHAUSTED,
    500: Code.INTERNAL,
    503: Code.UNAVAILABLE,
}


class RefusalError(Exception):
    """A request that is answered with an error.

    Args:
        reason: the short name under which it is counted.
        retry_after_seconds: when the sender shall try again; None for one that shall not. A 503 always says when.
    """

    def __init__(self, http_status: int, reason: str, message: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds or (RETRY_AFTER_SECONDS if http_status == 503 else None)


def slow_body() -> RefusalError:
    """What a body that does not arrive in time is answered with."""
    return RefusalError(503, "slow_body", f"the body did not arrive within {READ_SECONDS:g} s; retry")


def retry_info(seconds: int) -> RetryInfo:
    """When a sender that is told to retry shall do so."""
    return RetryInfo(retry_delay=Duration(seconds=seconds))


def status_of(refused: RefusalError) -> Status:
    """The Status of a refusal; one that a retry cures says when, a bad request says so in its details."""
    message = str(refused)
    status = Status(code=_CODE_OF_STATUS.get(refused.http_status, Code.INTERNAL), message=message)
    if refused.retry_after_seconds is not None:
        status.details.add().Pack(retry_info(refused.retry_after_seconds))
    elif refused.http_status == 400:
        violation = BadRequest.FieldViolation(field="body", description=message)
        status.details.add().Pack(BadRequest(field_violations=[violation]))
    return status


def refusal(refused: RefusalError, media_type: str) -> Response:
    """An error answer with a Status body in the request's encoding (JSON for an unknown one)."""
    headers = {} if refused.retry_after_seconds is None else {"Retry-After": str(refused.retry_after_seconds)}
    if refused.http_status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    media_type = PROTOBUF if media_type == PROTOBUF else JSON
    return Response(_encoded(status_of(refused), media_type), refused.http_status, headers, media_type)


def success(answer: type[Message], rejected: str, refused: dict[str, int]) -> Message:
    """The `answer` to a request that is stored.

    Args:
        rejected: the field of its partial success that counts.
        refused: reason -> items; when there are any the answer says so as a partial success. A reason of no items is
            a warning: all is stored, and yet something is odd.
    """
    if not refused:
        return answer()
    explanation = "; ".join(f"{count} refused: {reason}" if count else reason for reason, count in refused.items())
    partial: dict[str, Any] = {rejected: sum(refused.values()), "error_message": explanation}
    return answer(partial_success=partial)


def accepted(answer: type[Message], rejected: str, refused: dict[str, int], media_type: str) -> Response:
    """200 with what `success` says, in the request's encoding."""
    return Response(_encoded(success(answer, rejected, refused), media_type), 200, media_type=media_type)


def _encoded(message: Message, media_type: str) -> bytes | str:
    if media_type == JSON:
        return json.dumps(MessageToDict(message))
    encoded: bytes = message.SerializeToString()
    return encoded
