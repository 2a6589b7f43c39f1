"""A small OpenAI on loopback: chat, streamed chat with usage, and embeddings, each with token counts known in advance.

The real client of OpenAI talks to it in the tests of the instrumentation families; each answer has an id of its own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

CHAT_MODEL = "gpt-4o-mini"
ANSWERING_MODEL = "gpt-4o-mini-2024-07-18"
EMBEDDING_MODEL = "text-embedding-3-small"
ANSWER = ("It", " is", " on", " its", " way")
QUESTION = "where is order 4711"


@dataclass(frozen=True)
class Tokens:
    """What one answer says it used; `cached` is part of `input`, `reasoning` part of `output`."""

    input: int
    output: int
    cached: int = 0
    reasoning: int = 0

    def as_chat_usage(self) -> dict[str, Any]:
        """The usage object of a chat answer."""
        return {
            "prompt_tokens": self.input,
            "completion_tokens": self.output,
            "total_tokens": self.input + self.output,
            "prompt_tokens_details": {"cached_tokens": self.cached},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning},
        }


CHAT = Tokens(input=110, output=70, cached=40, reasoning=20)
STREAM = Tokens(input=13, output=5)
EMBEDDING = Tokens(input=6, output=0)


def _chat(number: int) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": ANSWERING_MODEL,
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "".join(ANSWER)}}
        ],
        "usage": CHAT.as_chat_usage(),
    }


def _chunks(number: int, with_usage: bool) -> Iterator[dict[str, Any]]:
    head = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000,
        "model": ANSWERING_MODEL,
    }
    for place, word in enumerate(ANSWER):
        delta = {"content": word} if place else {"role": "assistant", "content": word}
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    if with_usage:
        yield {**head, "choices": [], "usage": STREAM.as_chat_usage()}


def _embeddings() -> dict[str, Any]:
    return {
        "object": "list",
        "model": EMBEDDING_MODEL,
        "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}],
        "usage": {"prompt_tokens": EMBEDDING.input, "total_tokens": EMBEDDING.input},
    }


class _Handler(BaseHTTPRequestHandler):
    numbers: Iterator[int]

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/v1/embeddings":
            self._answer("application/json", json.dumps(_embeddings()))
        elif self.path == "/v1/chat/completions" and asked.get("stream"):
            with_usage = bool((asked.get("stream_options") or {}).get("include_usage"))
            lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in _chunks(next(self.numbers), with_usage)]
            self._answer("text/event-stream", "".join([*lines, "data: [DONE]\n\n"]))
        elif self.path == "/v1/chat/completions":
            self._answer("application/json", json.dumps(_chat(next(self.numbers))))
        else:
            self.send_error(404)

    def _answer(self, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def running() -> Iterator[str]:
    """Run the server on a free port; gives the base address for the client, ending in `/v1`."""
    handler = type("Handler", (_Handler,), {"numbers": count(1)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
