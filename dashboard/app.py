"""The FastAPI application: page, JSON API, health. Safe to serve on loopback without login, and nowhere else."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from dashboard import api, engines_api, health, page, retention, tco_api
from dashboard.board import Board
from dashboard.parameters import ParameterError

log = logging.getLogger(__name__)

LOOPBACK_NAMES = ["127.0.0.1", "localhost", "[::1]"]
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
        "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(board: Board) -> FastAPI:
    """The application over an open board. Requests that name another host than loopback are refused."""
    app = FastAPI(
        title="Andon",
        description="Tokens per second per dollar, drift and the 3AM checklist of AI factories.",
        version="1",
        docs_url=None,
        redoc_url=None,
    )
    app.state.board = board
    app.add_middleware(GZipMiddleware, minimum_size=1024)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK_NAMES)
    app.middleware("http")(_with_security_headers)
    app.middleware("http")(_refuse_other_sites)
    app.add_exception_handler(ParameterError, _on_parameter_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_failure)
    app.include_router(api.router)
    app.include_router(retention.router)
    app.include_router(engines_api.router)
    app.include_router(tco_api.router)
    app.include_router(health.router)
    app.include_router(page.router)
    app.mount("/static", StaticFiles(directory=Path(str(files("dashboard").joinpath("static")))), name="static")
    return app


def create_health_app(board: Board) -> FastAPI:
    """`/healthz`, `/readyz` and `/metrics` alone, for a process that serves no page."""
    app = FastAPI(title="Andon", version="1", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.board = board
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK_NAMES)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_failure)
    app.include_router(health.router)
    return app


async def _with_security_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    # After an upgrade a browser must not mix old and new modules: it asks, and is mostly answered 304.
    response.headers.setdefault("Cache-Control", "no-cache")
    return response


async def _refuse_other_sites(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """A page of another site may not make a browser on this machine change anything."""
    if request.method not in {"GET", "HEAD", "OPTIONS"}:
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site", "none")
        if site not in {"same-origin", "none"} or (origin and origin != f"{request.url.scheme}://{request.url.netloc}"):
            return problem(403, "requests that change something are taken from Andon's own page and from programs only")
    return await call_next(request)


def problem(status: int, message: str, field: str | None = None) -> JSONResponse:
    """The one shape of an error: what was wrong, and which field, if one is to blame."""
    return JSONResponse({"error": {"status": status, "message": message, "field": field}}, status)


async def _on_parameter_error(_request: Request, error: Exception) -> Response:
    return problem(400, str(error), getattr(error, "field", None))


async def _on_validation_error(_request: Request, error: Exception) -> Response:
    details = error.errors() if isinstance(error, RequestValidationError) else []
    if not details:
        return problem(400, "the request cannot be read")
    field = ".".join(str(step) for step in details[0]["loc"][1:])
    return problem(400, f"{field}: {details[0]['msg']} (given: {details[0].get('input')!r})", field)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "error"
    return problem(status, f"{detail}: {request.url.path}" if status == 404 else str(detail))


async def _on_failure(request: Request, error: Exception) -> Response:
    log.error("%s failed", request.url.path, exc_info=error)
    return problem(500, "an internal error; the server's log has the details")
