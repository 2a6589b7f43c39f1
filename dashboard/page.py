"""The one page, a shell that its own modules fill from the JSON API, and Plotly's JavaScript from its package.

Nothing here reads a store: the page shows what `/api/v1` answers, so that a person and a program see the same numbers.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException

from dashboard.health import BoardParameter

router = APIRouter(include_in_schema=False)

WINDOWS = (300, 900, 3600, 21600)
YEAR_SECONDS = 31_536_000
_SDK_SNIPPET = """\
import andon
andon.init(service="support"{endpoint})
@andon.pipeline("support-rag")  # on the function that runs the pipeline"""


@dataclass(frozen=True)
class Quantity:
    """What a number on the page means; `formula` is '' where there is nothing to compute."""

    id: str
    name: str
    unit: str
    definition: str
    formula: str


@dataclass(frozen=True)
class Asset:
    """A file as it is sent: plain and compressed, each under its own tag."""

    plain: bytes
    compressed: bytes
    tag: str


@router.get("/")
def page(board: BoardParameter) -> HTMLResponse:
    """The page; what it shows is chosen by its query: `window`, `by` and `unit`."""
    template = _templates().get_template("page.html")
    own = round(board.settings.window_seconds)
    port = board.settings.server.otlp_http_port
    body = template.render(
        windows_options=[(window_text(seconds),) * 2 + ("",) for seconds in sorted({*WINDOWS, own})],
        default_window=window_text(own),
        settings=board.settings,
        sdk_snippet=_SDK_SNIPPET.format(endpoint=f', endpoint="http://127.0.0.1:{port}"' if port else ""),
        quantities=quantities(),
        plotly=f"/assets/plotly.min.js?v={version('plotly')}",
    )
    return HTMLResponse(body, headers={"Cache-Control": "no-cache"})


@router.get("/assets/plotly.min.js")
def plotly_javascript(
    accept_encoding: Annotated[str, Header()] = "", if_none_match: Annotated[str, Header()] = ""
) -> Response:
    """Plotly's JavaScript; the page asks for it under the package's version, so it may be kept for a year.

    Raises:
        HTTPException: 404 when the installed package carries no JavaScript.
    """
    asset = _plotly()
    if asset is None:
        raise HTTPException(404, "the installed plotly package carries no plotly.min.js")
    compressed = "gzip" in accept_encoding.lower()
    tag = f'"{asset.tag}{"-gzip" if compressed else ""}"'
    headers = {
        "Cache-Control": f"public, max-age={YEAR_SECONDS}, immutable",
        "ETag": tag,
        "Vary": "Accept-Encoding",
    }
    if tag in if_none_match:
        return Response(status_code=304, headers=headers)
    if compressed:
        headers["Content-Encoding"] = "gzip"
    return Response(asset.compressed if compressed else asset.plain, headers=headers, media_type="text/javascript")


@cache
def quantities() -> dict[str, Quantity]:
    """The definitions behind the numbers, by id; the same ids stand in `docs/quantities.md`."""
    listed = json.loads(files("dashboard").joinpath("quantities.json").read_text("utf-8"))
    return {entry["id"]: Quantity(**entry) for entry in listed["quantities"]}


def window_text(seconds: int) -> str:
    """A window as the query and the API write it: `300` is `5m`, `21600` is `6h`."""
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


@cache
def _templates() -> Environment:
    folder = str(files("dashboard").joinpath("templates"))
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _plotly() -> Asset | None:
    source = files("plotly").joinpath("package_data", "plotly.min.js")
    if not source.is_file():
        return None
    plain = source.read_bytes()
    return Asset(plain, gzip.compress(plain, 9, mtime=0), sha256(plain).hexdigest()[:16])
