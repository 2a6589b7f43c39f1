"""What the receiver answers: success and partial success, and `google.rpc.Status` bodies for every refusal.

OTLP 1.11, section OTLP/HTTP Response: the answer has the encoding of the request, also when it is an error.
"""

from __future__ import annotations

import json
from enum import IntEnum

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from starlette.responses import Response

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
RETRY_AFTER_SECONDS = 2


class Code(IntEnum):
    """The codes of google.rpc that the receiver uses."""

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


_CODE_OF_STATUS = {
    400: Code.INVALID_ARGUMENT,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    405: Code.UNIMPLEMENTED,
    413: Code.RESOURCE_EXHAUSTED,
    415: Code.INVALID_ARGUMENT,
    500: Code.INTERNAL,
    503: Code.UNAVAILABLE,
}


class RefusalError(Exception):
    """A request that is answered with an error."""

    def __init__(self, http_status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.reason = reason


def refusal(http_status: int, message: str, media_type: str) -> Response:
    """An error answer with a Status body in the request's encoding (JSON for an unknown one)."""
    code = _CODE_OF_STATUS.get(http_status, Code.INTERNAL)
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if http_status == 503 else None
    if media_type == PROTOBUF:
        body = Status(code=code, message=message).SerializeToString()
        return Response(body, http_status, headers, PROTOBUF)
    return Response(json.dumps({"code": int(code), "message": message}), http_status, headers, JSON)


def accepted(answer: type[Message], rejected: str, refused: dict[str, int], media_type: str) -> Response:
    """200 with an `answer` in the request's encoding.

    Args:
        rejected: the field of its partial success that counts.
        refused: reason -> items; when there are any the answer says so as a partial success.
    """
    message = answer()
    if refused:
        explanation = "; ".join(f"{count} refused: {reason}" for reason, count in refused.items())
        message = answer(partial_success={rejected: sum(refused.values()), "error_message": explanation})
    if media_type == JSON:
        return Response(json.dumps(MessageToDict(message)), 200, media_type=JSON)
    return Response(message.SerializeToString(), 200, media_type=PROTOBUF)
