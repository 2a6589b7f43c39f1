"""The page on a real server with answers that a test chooses; it can be stopped and started again on its port."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from dashboard import page
from dashboard.app import SECURITY_HEADERS
from settings import Settings

Answer = Callable[[Mapping[str, str]], Any]


class BoardServer:
    """Serves the page and, for each of `answers`, `/api/v1/<name>`. Values may be replaced while it runs."""

    def __init__(self, answers: dict[str, Answer | Any]) -> None:
        self.answers = answers
        self.port = _free_port()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        config = uvicorn.Config(self.app(), host="127.0.0.1", port=self.port, log_level="warning")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            if time.monotonic() > deadline:
                raise TimeoutError("the test server did not start within 20 s")
            time.sleep(0.02)

    def stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(timeout=20)
        self._server = self._thread = None

    def app(self) -> FastAPI:
        app = FastAPI()
        app.state.board = SimpleNamespace(settings=Settings())
        app.include_router(page.router)
        app.mount("/static", StaticFiles(directory=Path(str(files("dashboard").joinpath("static")))))

        @app.middleware("http")
        async def secured(request: Request, call_next: Any) -> Response:
            response: Response = await call_next(request)
            response.headers.update(SECURITY_HEADERS)
            return response

        @app.get("/api/v1/{name}")
        def answer(name: str, request: Request) -> Response:
            value = self.answers.get(name)
            value = value(request.query_params) if callable(value) else value
            if value is None:
                return JSONResponse({"error": {"status": 404, "message": f"no answer: {name}", "field": None}}, 404)
            return value if isinstance(value, Response) else JSONResponse(value)

        return app


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
