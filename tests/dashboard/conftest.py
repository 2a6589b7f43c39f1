"""A headless Chromium for the tests of the page; what a page logs and requests is recorded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from shutil import which
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.dashboard import canned
from tests.dashboard.board_app import BoardServer


# Playwright keeps an event loop running in this thread while it is open: it is closed before other tests need theirs.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium as the machine has it, or as Playwright installed it."""
    with sync_playwright() as playwright:
        path = os.environ.get("ANDON_CHROMIUM") or which("chromium") or which("google-chrome")
        if path is None and not os.path.exists(playwright.chromium.executable_path):  # noqa: PTH110
            if os.environ.get("ANDON_REQUIRE_PEERS") == "1":
                pytest.fail("no Chromium: install it, or name it in ANDON_CHROMIUM")
            pytest.skip("no Chromium: install it, or name it in ANDON_CHROMIUM")
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def board() -> Iterator[BoardServer]:
    """The page with the answers of a busy factory."""
    server = BoardServer(canned.full())
    server.start()
    yield server
    server.stop()


@dataclass
class Watched:
    """A page and what it did that a person would not see."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


OpenPage = Callable[..., Watched]


@pytest.fixture
def open_page(browser: Browser, board: BoardServer) -> Iterator[OpenPage]:
    """Opens the page at a query; errors of the console and all requests are recorded.

    Plotly's megabytes are only read where the chart is what is tested.
    """
    contexts = []

    def opened(query: str = "", chart: bool = False, **context: Any) -> Watched:
        context.setdefault("viewport", {"width": 1440, "height": 900})
        contexts.append(browser.new_context(base_url=board.url, **context))
        watched = Watched(contexts[-1].new_page())
        watched.page.on("console", lambda line: watched.errors.append(line.text) if line.type == "error" else None)
        watched.page.on("pageerror", lambda error: watched.errors.append(str(error)))
        watched.page.on("request", lambda request: watched.requests.append(request.url))
        if not chart:
            watched.page.route("**/plotly.min.js*", lambda route: route.fulfill(content_type="text/javascript"))
        watched.page.goto(f"/{query}")
        watched.page.wait_for_selector('body[data-live="live"]')
        if chart:
            watched.page.wait_for_selector("#chart .main-svg")
        return watched

    yield opened
    for each in contexts:
        each.close()
