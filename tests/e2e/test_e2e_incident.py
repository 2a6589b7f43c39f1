"""The demo as its user sees it: a live headline in a real browser, then an incident, its decision, lamps and webhooks.

One demo serves all tests of this file; they run in its order of time.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from tests.servers import ServeProcess, wait_until

pytestmark = pytest.mark.long

OUTPUT = Path(__file__).parent.parent / "output"
WEBHOOK = re.compile(r"^webhook: (alert\.\w+) (\S+) (\S+) .*\(signature ok\)$")


class Demo:
    """`andon demo --incident` as a process, its output as lines."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self._log = (folder / "demo.log").open("wb+")
        self.began = time.monotonic()
        self._control = folder / "conditions"
        self.set_conditions("normal")
        options = ["--control-file", str(self._control), "--data-dir", str(self.data_dir)]
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "cli.main",
                "demo",
                *options,
                "--port",
                "0",
                "--otlp-port",
                "0",
                "--otlp-grpc-port",
                "0",
            ],
            stdout=self._log,
            stderr=self._log,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        self.url = ""

    def set_conditions(self, word: str) -> None:
        """`incident` shifts the prompts of one pipeline and stalls another, `normal` ends that."""
        self._control.write_text(word)

    @property
    def lines(self) -> list[str]:
        return Path(self._log.name).read_text().splitlines()

    def get(self, path: str) -> Any:
        return httpx.get(f"{self.url}{path}", timeout=30).raise_for_status().json()

    def webhooks(self) -> Counter[tuple[str, str, str]]:
        """How often each (type, rule, first label) arrived."""
        found = (WEBHOOK.match(line) for line in self.lines)
        return Counter(match.group(1, 2, 3) for match in found if match)

    def check(self, name: str) -> dict[str, Any]:
        checks: list[dict[str, Any]] = self.get("/api/v1/checklist")["checks"]
        return next(check for check in checks if check["name"] == name)

    def monitor(self, name: str) -> dict[str, Any]:
        monitors: list[dict[str, Any]] = self.get("/api/v1/drift")["monitors"]
        return next(monitor for monitor in monitors if monitor["name"] == name)

    def started(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError("\n".join(self.lines))
        try:
            self.url = json.loads((self.data_dir / "server.json").read_text())["url"]
            return httpx.get(f"{self.url}/healthz").status_code == 200
        except (OSError, ValueError, httpx.TransportError):
            return False


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = Demo(tmp_path_factory.mktemp("demo"))
    try:
        wait_until(demo.started, "the demo answers")
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.process.send_signal(signal.SIGINT)
            demo.process.wait(60)


@pytest.mark.browser
def test_the_headline_changes_while_the_demo_runs(demo: Demo, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 1000}, color_scheme="dark")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(demo.url)
    headline = page.locator("#headline-value")

    def number() -> float | None:
        text = re.sub(r"[^\d.]", "", headline.inner_text())
        return float(text) if text else None

    wait_until(lambda: number() is not None, "a first number is on the page")
    assert time.monotonic() - demo.began < 60
    first = number()
    wait_until(lambda: number() not in (None, first), "the headline moves without a reload")
    assert "output tok/s per $/h" in page.inner_text("body")
    page.locator(".js-plotly-plot").first.wait_for(timeout=30_000)
    assert errors == []
    page.close()


def test_an_incident_is_decided_shown_and_told_once(demo: Demo, browser: Browser) -> None:
    wait_until(
        lambda: demo.monitor("support-prompt-length")["state"] == "quiet",
        "the monitor has learned",
        seconds=180,
    )
    wait_until(lambda: demo.check("observability")["status"] in {"OK", "WARN"}, "all three pipelines report")
    demo.set_conditions("incident")
    wait_until(lambda: any(line.startswith("incident:") for line in demo.lines), "the incident")

    wait_until(lambda: demo.monitor("support-prompt-length")["state"] == "drifting", "the drift decision")
    drifting = demo.monitor("support-prompt-length")
    assert drifting["sign"] == 1
    assert drifting["log10_ratio"] >= 0
    assert drifting["effects"]["ks"] > 0.2

    wait_until(lambda: demo.check("observability")["status"] == "FAIL", "the red lamp")
    red = demo.check("observability")
    assert any("doc-summaries" in json.dumps(row) and row["status"] == "FAIL" for row in red["evidence"])
    assert red["remedy"]
    page = browser.new_page(viewport={"width": 1440, "height": 1600}, color_scheme="dark")
    page.goto(demo.url)
    page.locator('[data-check="observability"][data-status="fail"]').wait_for(timeout=30_000)
    page.locator('[data-monitor="support-prompt-length"][data-state="drifting"]').wait_for(timeout=30_000)
    page.wait_for_timeout(3000)  # let the chart draw its newest points before it is kept as a picture
    OUTPUT.mkdir(exist_ok=True)
    page.screenshot(path=OUTPUT / "incident.png")
    page.close()

    demo.set_conditions("normal")
    wait_until(lambda: any(line.startswith("incident over") for line in demo.lines), "its end")
    told = ("drift", "support-prompt-length"), ("check-failed", "observability")
    wait_until(lambda: all(demo.webhooks()["alert.resolved", *key] == 1 for key in told), "both are resolved", 120)
    for key in told:
        assert demo.webhooks()["alert.firing", *key] == 1
        assert demo.webhooks()["alert.resolved", *key] == 1
    assert demo.monitor("support-prompt-length")["state"] in {"quiet", "suspect"}


def test_ctrl_c_leaves_a_clean_directory_that_serve_opens_again(demo: Demo) -> None:
    before = demo.get("/api/v1/summary?window=1h")
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(60) == 0
    assert not any("Traceback" in line for line in demo.lines)
    left = {path.name for path in (demo.data_dir / "journal").rglob("*") if path.is_file()}
    assert left == {"seen"}  # no rows; which requests were taken in the last ten minutes
    with ServeProcess(demo.data_dir) as server:
        after = server.get("/api/v1/summary", window="1h")
        assert after["calls"] >= before["calls"]
        assert after["output_tokens"] >= before["output_tokens"]
        assert server.stop() == 0
