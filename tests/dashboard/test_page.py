"""What the page promises to the engineer on call, held in a real browser; answers are canned, see `canned`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from settings import Settings
from tests.dashboard import canned
from tests.dashboard.board_app import BoardServer
from tests.dashboard.conftest import OpenPage

pytestmark = pytest.mark.browser

SOURCES = Path(__file__).parents[2] / "dashboard"
HOSTILE = '<img src=x onerror="window.owned=1"><script>window.owned=1</script><a href="javascript:owned=1">%{y}'


def everywhere(answer: Any, old: type, new: Any) -> Any:
    """`answer` with every leaf of one type replaced."""
    if isinstance(answer, dict):
        return {key: everywhere(value, old, new) for key, value in answer.items()}
    if isinstance(answer, list):
        return [everywhere(value, old, new) for value in answer]
    return new if type(answer) is old else answer


def without_values(answer: Any) -> Any:
    """`answer` with null for every number and text."""
    return everywhere(everywhere(everywhere(answer, float, None), int, None), str, None)


def test_the_headline_is_shown_with_its_unit_qualifier_and_exact_value(open_page: OpenPage, board: BoardServer) -> None:
    board.answers["summary"]["tps_per_usd_h"] = 386.51234
    page = open_page().page
    expect(page.locator("#headline-value")).to_have_text("386.5")
    expect(page.locator("#headline-value")).to_have_attribute("data-exact", "386.51234")
    expect(page.locator("#headline-unit")).to_contain_text("output tok/s per $/h")
    expect(page.locator("#qualifier")).to_contain_text("cost known for 95.9 % of tokens")


def test_numbers_change_without_a_reload(open_page: OpenPage, board: BoardServer) -> None:
    page = open_page().page
    page.evaluate("window.kept = true")
    board.answers["summary"] = board.answers["summary"] | {"tps_per_usd_h": 77.0}
    expect(page.locator("#headline-value")).to_have_text("77.00")
    assert page.evaluate("window.kept") is True


def test_a_click_copies_the_exact_value_and_says_so(open_page: OpenPage, board: BoardServer) -> None:
    board.answers["summary"]["tps_per_usd_h"] = 386.51234
    page = open_page(permissions=["clipboard-read", "clipboard-write"]).page
    page.click("#headline-value")
    expect(page.locator("#toast")).to_have_text("copied 386.51234")
    assert page.evaluate("navigator.clipboard.readText()") == "386.51234"


def test_a_definition_opens_and_closes_from_the_keyboard(open_page: OpenPage) -> None:
    page = open_page().page
    page.locator("#headline-unit .term").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#def-tps_per_usd_h")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#def-tps_per_usd_h")).to_be_hidden()


def test_unknown_is_a_word_and_never_a_zero(open_page: OpenPage, board: BoardServer) -> None:
    board.answers["summary"] = without_values(canned.summary())
    board.answers["throughput"] = everywhere(canned.throughput(by="model"), float, None)
    for name in ("checklist", "drift", "alerts"):
        board.answers[name] = without_values(board.answers[name])
    watched = open_page()
    for id_ in ("tps_per_usd_h", "tokens_per_usd", "usd_per_mtok_blended", "tps.output", "usd_per_hour"):
        expect(watched.page.locator(f'#headline [data-quantity="{id_}"]')).to_have_text("unknown")
    cells = watched.page.locator("#by-model tbody tr:first-child td").all_inner_texts()
    assert cells == ["unknown"] * len(cells)
    expect(watched.page.locator("#worst-lamp")).to_have_attribute("data-status", "unknown")
    for section in ("#checklist", "#drift", "#alerts"):
        expect(watched.page.locator(f"{section} h3").first).to_contain_text("unknown", ignore_case=True)
    assert watched.errors == []


@pytest.mark.parametrize("answer", [{}, [], {"checks": None, "monitors": 3, "events": "x", "series": {}, "models": 1}])
def test_answers_without_their_fields_break_nothing(open_page: OpenPage, board: BoardServer, answer: Any) -> None:
    for name in board.answers:
        board.answers[name] = answer
    watched = open_page()
    expect(watched.page.locator("#headline-value")).to_have_text("unknown")
    expect(watched.page.locator("#worst-lamp .word")).to_have_text("UNKNOWN")
    assert watched.errors == []


def test_hostile_telemetry_stays_text(open_page: OpenPage, board: BoardServer) -> None:
    for name in board.answers:
        board.answers[name] = everywhere(board.answers[name], str, HOSTILE)
    times = {"now": canned.before(0), "window": canned.summary()["window"]}
    board.answers["summary"] |= times
    chart = canned.throughput(by="model")
    for series in chart["series"]:
        series["labels"] = {"model": HOSTILE}
    board.answers["throughput"] = chart
    watched = open_page("?by=model", chart=True)
    page = watched.page
    expect(page.locator("#by-model tbody th .name").first).to_have_text(HOSTILE)
    expect(page.locator("#legend span").first).to_have_text(HOSTILE)
    page.hover("#chart", position={"x": 300, "y": 100})
    expect(page.locator("#chart .hoverlayer")).to_contain_text("<script>")
    assert page.evaluate("window.owned") is None
    assert page.locator("main img, main script, main a[href^=javascript], #chart a").count() == 0
    assert watched.errors == []


def test_the_sources_build_no_markup_from_text() -> None:
    for source in (SOURCES / "static" / "js").glob("*.js"):
        found = re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", source.read_text())
        assert found is None, f"{source.name}: {found}"


def test_the_view_is_in_the_address_and_comes_back_from_it(open_page: OpenPage) -> None:
    page = open_page("?window=15m&by=model&unit=tps").page
    for name, value in (("window", "15m"), ("by", "model"), ("unit", "tps")):
        expect(page.locator(f'input[name="{name}"][value="{value}"]')).to_be_checked()
    page.locator('input[name="window"][value="1h"]').check(force=True)
    expect(page).to_have_url(re.compile(r"\?window=1h&by=model&unit=tps$"))
    page.locator('input[name="by"][value="total"]').check(force=True)
    expect(page).to_have_url(re.compile(r"\?window=1h&unit=tps$"))
    page.go_back()
    expect(page.locator('input[name="by"][value="model"]')).to_be_checked()


def test_the_view_decides_what_is_asked(open_page: OpenPage) -> None:
    watched = open_page("?window=15m&by=pipeline")
    asked = [url for url in watched.requests if "/api/v1/" in url]
    assert any("/summary?window=15m" in url for url in asked)
    assert any("from=now-905s&to=now-5s&step=15s&by=pipeline" in url for url in asked)


def test_a_view_that_does_not_exist_counts_as_the_default(open_page: OpenPage) -> None:
    page = open_page("?window=9y&by=%3Cscript%3E").page
    expect(page.locator('input[name="window"][value="5m"]')).to_be_checked()
    expect(page.locator('input[name="by"][value="total"]')).to_be_checked()


def test_a_server_that_went_away_is_told_and_its_return_as_well(open_page: OpenPage, board: BoardServer) -> None:
    page = open_page().page
    board.stop()
    expect(page.locator("#stale")).to_contain_text("The server does not answer", timeout=20_000)
    expect(page.locator("#live")).to_contain_text("stale")
    expect(page.locator("#headline-value")).not_to_have_text("unknown")
    board.answers["summary"] = board.answers["summary"] | {"tps_per_usd_h": 12.0}
    board.start()
    expect(page.locator("#stale")).to_be_hidden(timeout=20_000)
    expect(page.locator("#headline-value")).to_have_text("12.00")


def test_one_failing_endpoint_is_told_where_its_part_stands(open_page: OpenPage, board: BoardServer) -> None:
    board.answers["drift"] = None
    page = open_page().page
    expect(page.locator('[data-problem="drift"]')).to_have_text("This part is not current: no answer: drift")
    expect(page.locator("#live")).to_contain_text("live")
    expect(page.locator("#checklist .check")).to_have_count(3)


def test_a_checklist_that_cannot_be_read_is_unknown_and_not_as_it_was(open_page: OpenPage, board: BoardServer) -> None:
    board.answers["checklist"]["worst"] = "ok"
    page = open_page().page
    expect(page.locator("#worst-lamp")).to_have_attribute("data-status", "ok")
    board.answers["checklist"] = None
    expect(page.locator("#worst-lamp .word")).to_have_text("UNKNOWN", timeout=15_000)
    expect(page.locator("#worst-lamp .what")).to_have_text("the checklist cannot be read")


def test_lamps_have_words_and_shapes_and_unknown_is_not_green(open_page: OpenPage) -> None:
    page = open_page().page
    for name, status, word in (("cdc", "fail", "FAIL"), ("tco", "unknown", "UNKNOWN"), ("observability", "ok", "OK")):
        check = page.locator(f'[data-check="{name}"]')
        expect(check).to_have_attribute("data-status", status)
        expect(check.locator("h3 .word")).to_have_text(word)
        expect(check.locator("> .lamp use")).to_have_attribute("href", f"#lamp-{status}")
    colours = {
        status: page.locator(f'[data-status="{status}"] h3 .word').evaluate("node => getComputedStyle(node).color")
        for status in ("ok", "fail", "unknown")
    }
    assert len(set(colours.values())) == 3
    words = page.locator("[data-check] h3 .word").all_inner_texts()
    assert words == ["FAIL", "UNKNOWN", "OK"], "the worst stands first"
    expect(page.locator("#worst-lamp")).to_have_attribute("data-status", "fail")
    expect(page).to_have_title("FAIL · Andon")


def test_a_remedy_offers_its_command_for_copying(open_page: OpenPage) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"]).page
    page.locator('[data-check="cdc"] .remedy .command').first.click()
    assert page.evaluate("navigator.clipboard.readText()") == "kubectl rollout restart deploy/debezium"


def test_evidence_that_was_opened_stays_open_through_updates(open_page: OpenPage, board: BoardServer) -> None:
    page = open_page().page
    page.locator('[data-check="cdc"] summary').click()
    board.answers["checklist"]["checks"][0]["summary"] = "changed"
    expect(page.locator('[data-check="cdc"] .summary')).to_have_text("changed")
    expect(page.locator('[data-check="cdc"] .evidence')).to_be_visible()


def test_a_worse_lamp_is_announced_and_an_unchanged_one_is_not(open_page: OpenPage, board: BoardServer) -> None:
    board.answers["checklist"]["worst"] = "warn"
    page = open_page().page
    expect(page.locator("#worst-lamp")).to_have_attribute("data-status", "warn")
    expect(page.locator("#announcer")).to_be_empty()
    board.answers["checklist"]["worst"] = "fail"
    expect(page.locator("#announcer")).to_have_text("The checklist is now FAIL: Change data capture")


def test_drift_is_shown_with_evidence_effect_and_progress(open_page: OpenPage) -> None:
    page = open_page().page
    drifting = page.locator('[data-monitor="answer length"]')
    expect(drifting).to_have_attribute("data-state", "drifting")
    expect(drifting.locator(".gauge")).to_contain_text(re.compile(r"evidence 4\.10\sM, threshold 10\s000"))
    expect(drifting.locator(".effects")).to_have_text("W1 +0.84 IQR · KS 0.31")
    learning = page.locator('[data-monitor="new pipeline"]')
    expect(learning.locator(".gauge")).to_contain_text("12 of 20 windows")


def test_alerts_say_who_was_told(open_page: OpenPage) -> None:
    page = open_page().page
    expect(page.locator('[data-alert="check failed"]')).to_have_attribute("data-state", "firing")
    expect(page.locator(".event").nth(0)).to_contain_text("being sent: on-call, attempt 2 failed, another follows: 503")
    expect(page.locator(".event").nth(1)).to_contain_text("told: on-call, sent at attempt 1")


def test_a_gap_is_drawn_as_a_gap_and_the_open_bucket_dotted(open_page: OpenPage, board: BoardServer) -> None:
    page = open_page("?unit=tps", chart=True).page
    traces = page.evaluate(
        "document.getElementById('chart').data.map(t => ({mode: t.mode, y: t.y, dash: t.line?.dash}))"
    )
    whole = [trace["y"] for trace in traces if trace["mode"] == "lines"]
    assert len(whole) == 2, "the four unknown buckets part the line in two"
    assert all(value is not None for line in whole for value in line)
    assert [len(trace["y"]) for trace in traces if trace["dash"] == "dot"] == [2]


def test_zoom_survives_live_updates_and_can_be_reset(open_page: OpenPage) -> None:
    page = open_page(chart=True).page
    box = page.locator("#chart .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 40, steps=4)
    page.mouse.up()
    expect(page.locator("#reset-zoom")).to_be_visible()
    zoomed = page.evaluate("document.getElementById('chart').layout.xaxis.range")
    with page.expect_response(re.compile("throughput")) as answer:
        pass
    answer.value.finished()
    assert page.evaluate("document.getElementById('chart').layout.xaxis.range") == zoomed
    page.click("#reset-zoom")
    expect(page.locator("#reset-zoom")).to_be_hidden()
    assert page.evaluate("document.getElementById('chart').layout.xaxis.range") != zoomed


def test_a_series_can_be_hidden_and_its_numbers_stay_reachable(open_page: OpenPage, board: BoardServer) -> None:
    board.answers["throughput"] = canned.throughput(by="model")
    page = open_page("?by=model").page
    button = page.locator("#legend button").first
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    page.locator("#chart-data summary").click()
    expect(page.locator("#chart-data thead th")).to_have_count(7)


def test_long_tables_are_bounded_and_say_so(open_page: OpenPage, board: BoardServer) -> None:
    rows = board.answers["summary"]["models"]
    board.answers["summary"]["models"] = [rows[0] | {"labels": {"provider": "p", "model": f"m{n}"}} for n in range(487)]
    page = open_page().page
    expect(page.locator("#by-model tbody tr")).to_have_count(25)
    expect(page.locator("#by-model .bound")).to_have_text("the 25 with the most output of 487")


def test_an_empty_factory_is_told_what_to_do_in_valid_settings(open_page: OpenPage, board: BoardServer) -> None:
    board.answers.update(canned.empty())
    page = open_page().page
    expect(page.locator("#first-steps")).to_contain_text("andon.init(")
    snippets = [text for text in page.locator(".snippet code").all_text_contents() if text.startswith("[[")]
    read = Settings.model_validate(tomllib.loads("\n".join(snippets)))
    parts = (read.pools, read.drift.monitors, read.checklist.cdc, read.alerts.channels)
    assert [len(part) for part in parts] == [1, 1, 1, 1]


def test_no_request_leaves_the_origin_and_nothing_is_logged(open_page: OpenPage, board: BoardServer) -> None:
    watched = open_page(chart=True)
    assert [url for url in watched.requests if not url.startswith((board.url, "data:", "blob:"))] == []
    assert watched.errors == []
