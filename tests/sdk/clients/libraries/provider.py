"""A provider on loopback that speaks the wire formats of all of them, so that users' real clients can be run.

Every answer says `Good morning` and has the counts that stand in `wire`; a request's own path decides the format, and
`stream` in it whether the answer comes in pieces. Chat completions are numbered, so that no two have the same id.
"""

from __future__ import annotations

import itertools
import json
import struct
import sys
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from . import wire


def event_stream_message(kind: str, payload: dict[str, Any], message: str = "event") -> bytes:
    """One message of Amazon's binary event stream: an event, or an exception."""
    headers = b""
    for name, value in ((f":{message}-type", kind), (":content-type", "application/json"), (":message-type", message)):
        headers += struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", len(headers) + len(body) + 16, len(headers))
    whole = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + body
    return whole + struct.pack("!I", zlib.crc32(whole))


def server_sent(events: list[dict[str, Any]], named: bool = False, end: str = "") -> Iterator[bytes]:
    """Server-sent events; `named` writes the type of each as its name."""
    for event in events:
        name = f"event: {event['type']}\n" if named else ""
        yield f"{name}data: {json.dumps(event)}\n\n".encode()
    if end:
        yield f"data: {end}\n\n".encode()


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Provider

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        path = self.path.partition("?")[0]
        for ending, answer in ANSWERS.items():
            if path.endswith(ending):
                answer(self, body)
                return
        self.send_error(404, f"nothing at {path}")

    def whole(self, answer: dict[str, Any], **headers: str) -> None:
        """Send one JSON document."""
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def pieces(self, pieces: Iterator[bytes], content_type: str = "text/event-stream") -> None:
        """Send a stream that ends with the connection; or break off where more was promised."""
        self.send_response(200)
        self.send_header("content-type", content_type)
        if self.server.breaks_after is not None:
            self.send_header("content-length", "1000000")
        self.end_headers()
        for piece in itertools.islice(pieces, self.server.breaks_after):
            self.wfile.write(piece)
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        return


def _chat(request: Handler, body: dict[str, Any]) -> None:
    # Mistral's API is at the same path; it tells the usage in the last chunk without being asked.
    own = "/mistral/" in request.path
    response_id = f"chatcmpl-{next(request.server.chats)}"
    if not body.get("stream"):
        request.whole(wire.mistral_chat() if own else wire.openai_chat(body["model"], response_id))
    elif own:
        request.pieces(server_sent(wire.mistral_chunks(), end="[DONE]"))
    else:
        with_usage = (body.get("stream_options") or {}).get("include_usage", False)
        request.pieces(server_sent(wire.openai_chunks(body["model"], with_usage, response_id), end="[DONE]"))


def _completions(request: Handler, body: dict[str, Any]) -> None:
    request.whole(wire.openai_completion())


def _responses(request: Handler, body: dict[str, Any]) -> None:
    if body.get("stream"):
        request.pieces(server_sent(wire.openai_response_events(), named=True))
    else:
        request.whole(wire.openai_response())


def _embeddings(request: Handler, body: dict[str, Any]) -> None:
    request.whole(wire.mistral_embeddings() if "/mistral/" in request.path else wire.openai_embeddings())


def _messages(request: Handler, body: dict[str, Any]) -> None:
    if body.get("stream"):
        request.pieces(server_sent(wire.anthropic_events(), named=True))
    else:
        request.whole(wire.anthropic_message())


def _cohere_chat(request: Handler, body: dict[str, Any]) -> None:
    if body.get("stream"):
        request.pieces(server_sent(wire.cohere_events(), named=True))
    else:
        request.whole(wire.cohere_chat())


def _cohere_chat_v1(request: Handler, body: dict[str, Any]) -> None:
    if body.get("stream"):
        lines = (json.dumps(event).encode() + b"\n" for event in wire.cohere_v1_events())
        request.pieces(lines, "application/stream+json")
    else:
        request.whole(wire.cohere_v1_chat())


def _ollama(request: Handler, body: dict[str, Any]) -> None:
    chat = request.path.endswith("chat")
    if body.get("stream") is False:
        request.whole(wire.ollama_answer(chat))
    else:
        lines = (json.dumps(chunk).encode() + b"\n" for chunk in wire.ollama_chunks(chat))
        request.pieces(lines, "application/x-ndjson")


def _converse_stream(request: Handler, body: dict[str, Any]) -> None:
    messages = [event_stream_message(kind, event) for kind, event in wire.bedrock_events()]
    if (breaks_after := request.server.breaks_after) is not None:  # boto3 takes a lost connection for the end
        refusal = event_stream_message("throttlingException", {"message": "Too many requests"}, "exception")
        messages[breaks_after - 1 :] = [messages[breaks_after - 1] + refusal]
    request.pieces(iter(messages), "application/vnd.amazon.eventstream")


def _invoke_stream(request: Handler, body: dict[str, Any]) -> None:
    messages = (event_stream_message("chunk", chunk) for chunk in wire.bedrock_invoke_chunks())
    request.pieces(messages, "application/vnd.amazon.eventstream")


ANSWERS = {
    "/v2/chat": _cohere_chat,
    "/v1/chat": _cohere_chat_v1,
    "/v2/embed": lambda request, body: request.whole(wire.cohere_embed()),
    "/chat/completions": _chat,
    "/completions": _completions,
    "/responses": _responses,
    "/embeddings": _embeddings,
    "/v1/messages": _messages,
    ":generateContent": lambda request, body: request.whole(wire.google_answer()),
    ":streamGenerateContent": lambda request, body: request.pieces(server_sent(wire.google_chunks())),
    ":batchEmbedContents": lambda request, body: request.whole(wire.google_embeddings()),
    ":embedContent": lambda request, body: request.whole(wire.google_embeddings()),
    "/api/chat": _ollama,
    "/api/generate": _ollama,
    "/api/embed": lambda request, body: request.whole(wire.ollama_embed()),
    "/converse": lambda request, body: request.whole(wire.bedrock_converse()),
    "/converse-stream": _converse_stream,
    "/invoke": lambda request, body: request.whole(wire.bedrock_invoke(), **wire.BEDROCK_HEADERS),
    "/invoke-with-response-stream": _invoke_stream,
}


class Provider(ThreadingHTTPServer):
    """Does not mind readers that go away.

    Attributes:
        breaks_after: pieces of a stream after which the connection is lost; None: at its end.
        chats: numbers of the chat completions to come.
    """

    daemon_threads = True
    breaks_after: int | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.chats = itertools.count(1)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def serve() -> Provider:
    """A provider on a free port, not yet running."""
    return Provider()
