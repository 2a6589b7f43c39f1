"""The page's files as they are sent: the shell, its definitions, and Plotly's JavaScript."""

from __future__ import annotations

import gzip
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from dashboard import page
from tests.dashboard.board_app import BoardServer

DOCS = Path(__file__).parents[2] / "docs"
OF_DRIFT = {"evidence": "evidence M", "effects": "W1/IQR"}


@pytest.fixture
def client() -> TestClient:
    return TestClient(BoardServer({}).app(), headers={"accept-encoding": "identity"})


def test_every_term_on_the_page_has_its_definition(client: TestClient) -> None:
    html = client.get("/").text
    wanted = set(re.findall(r'popovertarget="([^"]+)"', html))
    assert wanted
    assert wanted <= set(re.findall(r'<div popover id="([^"]+)"', html))


def test_every_definition_says_what_and_in_which_unit() -> None:
    for quantity in page.quantities().values():
        assert quantity.name
        assert quantity.definition.endswith(".")
        assert quantity.unit or quantity.id in {"basis", "evidence", "effects"}


def test_definitions_on_the_page_stand_in_the_documentation_as_well() -> None:
    quantities, drift = (DOCS.joinpath(name).read_text("utf-8") for name in ("quantities.md", "drift.md"))
    assert [id_ for id_ in page.quantities() if id_ not in OF_DRIFT and f"`{id_}`" not in quantities] == []
    assert [id_ for id_, words in OF_DRIFT.items() if words not in drift] == []


def test_the_page_has_no_script_or_style_of_its_own_in_the_markup(client: TestClient) -> None:
    html = client.get("/").text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|javascript:", html)
    assert not re.search(r'(?:src|href)="(?!/|#)', html), "everything is served from here"


@pytest.mark.parametrize(("seconds", "text"), [(300, "5m"), (21600, "6h"), (90, "90s"), (60, "1m"), (5400, "90m")])
def test_windows_are_written_as_the_api_reads_them(seconds: int, text: str) -> None:
    assert page.window_text(seconds) == text


def test_plotly_is_the_installed_packages_own(client: TestClient) -> None:
    answer = client.get("/assets/plotly.min.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.content == files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()


def test_plotly_is_sent_compressed_to_those_who_take_it(client: TestClient) -> None:
    with client.stream("GET", "/assets/plotly.min.js", headers={"accept-encoding": "gzip"}) as answer:
        sent = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert len(sent) < 2_000_000
    assert gzip.decompress(sent) == client.get("/assets/plotly.min.js").content


def test_plotly_is_not_sent_again_to_those_who_have_it(client: TestClient) -> None:
    tag = client.get("/assets/plotly.min.js").headers["etag"]
    again = client.get("/assets/plotly.min.js", headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")


def test_a_package_without_javascript_is_a_404(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "_plotly", lambda: None)
    assert client.get("/assets/plotly.min.js").status_code == 404


def test_the_definitions_are_json_with_ids_that_occur_once() -> None:
    listed = json.loads(files("dashboard").joinpath("quantities.json").read_text("utf-8"))["quantities"]
    ids = [entry["id"] for entry in listed]
    assert len(ids) == len(set(ids))
