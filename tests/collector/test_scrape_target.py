"""One target against a real server: what is asked, what is stored, gaps, failures, and what a hostile target can do."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from collector.cardinality import ORIGINAL, OTHER, Cardinality
from settings import CollectorSettings, SettingsError
from tests.collector.exporter import NOW, OPENMETRICS, TEXT, Exporter, Scraped

SECOND = 10**9


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    with Exporter("# TYPE a_total counter\na_total 5\nb 1\n") as exporter:
        yield exporter


def told(rows: list[dict[str, Any]]) -> dict[str, tuple[float | None, int]]:
    """Value and flags by metric, without the duration, which varies."""
    return {row["metric"]: (row["value"], row["flags"]) for row in rows if row["metric"] != "scrape_duration_seconds"}


def answering(status: int, headers: dict[str, str], body: bytes = b"") -> Any:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, text in headers.items():
            handler.send_header(name, text)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def test_a_scrape_stores_what_is_shown_and_how_it_went(exporter: Exporter, tmp_path: Path) -> None:
    scraped = Scraped(tmp_path, exporter.url)
    rows = scraped.scrape()
    assert told(rows) == {"a_total": (5, 0), "b": (1, 0), "up": (1, 0), "scrape_samples_scraped": (2, 0)}
    (duration,) = (row for row in rows if row["metric"] == "scrape_duration_seconds")
    assert 0 < duration["value"] < 60
    assert {row["time"] for row in rows} == {NOW + SECOND}
    assert {row["resource"]["service.instance.id"] for row in rows} == {f"127.0.0.1:{exporter.port}"}


def test_both_formats_and_gzip_are_asked_for_and_openmetrics_is_read(exporter: Exporter, tmp_path: Path) -> None:
    exporter.body, exporter.content_type = "# TYPE a counter\na_total 5\n# EOF\n", OPENMETRICS
    rows = Scraped(tmp_path, exporter.url).scrape()
    assert told(rows)["a_total"] == (5, 0)
    (asked,) = exporter.requests
    assert "application/openmetrics-text;version=1.0.0" in asked["Accept"]
    assert "text/plain;version=0.0.4" in asked["Accept"]
    assert asked["Accept-Encoding"] == "gzip"
    assert "Authorization" not in asked


def test_an_address_without_a_path_is_asked_for_metrics(exporter: Exporter, tmp_path: Path) -> None:
    Scraped(tmp_path, f"http://127.0.0.1:{exporter.port}").scrape()
    Scraped(tmp_path / "2", f"http://127.0.0.1:{exporter.port}/federate?match=up").scrape()
    assert exporter.paths == ["/metrics", "/federate?match=up"]


def test_credentials_are_sent(exporter: Exporter, tmp_path: Path) -> None:
    Scraped(tmp_path, exporter.url, bearer_token="t0ken").scrape()
    Scraped(tmp_path / "2", exporter.url, username="ada", password="l").scrape()
    assert [asked["Authorization"] for asked in exporter.requests] == ["Bearer t0ken", "Basic YWRhOmw="]


def test_a_proxy_of_the_environment_is_not_used_for_loopback(
    exporter: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert told(Scraped(tmp_path, exporter.url).scrape())["up"] == (1, 0)


def test_a_counter_that_was_set_back_is_stored_as_it_is(exporter: Exporter, tmp_path: Path) -> None:
    scraped = Scraped(tmp_path, exporter.url)
    points = []
    for value in (5, 9, 2):
        exporter.body = f"# TYPE a_total counter\na_total {value}\n"
        points += [row for row in scraped.scrape() if row["metric"] == "a_total"]
    assert [(point["value"], point["time"]) for point in points] == [
        (5, NOW + SECOND),
        (9, NOW + 2 * SECOND),
        (2, NOW + 3 * SECOND),
    ]
    assert len({point["series"] for point in points}) == 1


def test_a_series_that_is_no_longer_shown_gets_one_gap(exporter: Exporter, tmp_path: Path) -> None:
    scraped = Scraped(tmp_path, exporter.url)
    before = {row["metric"]: row for row in scraped.scrape()}
    exporter.body = "b 2\nc 3\n"
    rows = {row["metric"]: row for row in scraped.scrape()}
    assert (rows["a_total"]["flags"], rows["a_total"]["value"]) == (1, None)
    same = ("series", "kind", "temporality", "monotonic", "attributes", "resource", "service", "scope_name")
    assert [rows["a_total"][name] for name in same] == [before["a_total"][name] for name in same]
    assert (rows["b"]["flags"], rows["c"]["value"]) == (0, 3)
    assert set(told(scraped.scrape())) == {"b", "c", "up", "scrape_samples_scraped"}
    exporter.body = "a_total 1\n"
    # Untyped now, so another series; b and c end.
    assert told(scraped.scrape()) == {
        "a_total": (1, 0),
        "b": (None, 1),
        "c": (None, 1),
        "up": (1, 0),
        "scrape_samples_scraped": (1, 0),
    }


def test_a_target_that_fails_gets_one_gap_for_each_series_and_is_down(exporter: Exporter, tmp_path: Path) -> None:
    scraped = Scraped(tmp_path, exporter.url)
    scraped.scrape()
    exporter.handle = answering(500, {})
    down = {"up": (0, 0), "scrape_samples_scraped": (0, 0)}
    assert told(scraped.scrape()) == {"a_total": (None, 1), "b": (None, 1), **down}
    assert told(scraped.scrape()) == down
    assert scraped.target.counts.failures == {"http_status": 2}
    assert scraped.target.counts.failures_in_row == 2
    assert scraped.target.health()["last_error"] == "the target answered 500"
    assert scraped.target.health()["up"] is False
    exporter.handle = exporter.show
    assert told(scraped.scrape())["a_total"] == (5, 0)
    assert (scraped.target.counts.failures_in_row, scraped.target.health()["last_error"]) == (0, None)


def test_what_the_journal_does_not_take_is_counted_and_a_gap_comes_with_the_next(
    exporter: Exporter, tmp_path: Path
) -> None:
    scraped = Scraped(tmp_path, exporter.url)
    scraped.scrape()
    exporter.body = "b 1\n"
    room, scraped.journal._max_bytes = scraped.journal._max_bytes, 1
    assert scraped.scrape() == []
    # b, the gap of a_total, up, duration and number of samples
    assert scraped.target.counts.lost_rows == 5
    assert "journal_max_bytes" in (scraped.target.counts.last_error or "")
    scraped.journal._max_bytes = room
    assert told(scraped.scrape())["a_total"] == (None, 1)


def test_a_bad_line_is_counted_and_the_target_is_up(exporter: Exporter, tmp_path: Path) -> None:
    exporter.body = "a 1\nb one\n"
    scraped = Scraped(tmp_path, exporter.url)
    assert told(scraped.scrape())["up"] == (1, 0)
    assert scraped.target.health()["refused_total"] == {"the value or time is not a number": 1}


def test_a_target_that_is_not_there_cannot_be_connected_to(tmp_path: Path) -> None:
    exporter = Exporter()
    with exporter:
        pass
    reason, said = Scraped(tmp_path, exporter.url).failure()
    assert reason == "connect"
    assert f"127.0.0.1:{exporter.port}" in said


@pytest.mark.parametrize(
    ("status", "headers", "body", "reason"),
    [
        (404, {}, b"", "http_status"),
        (204, {}, b"", "http_status"),
        (200, {"Content-Type": "text/html"}, b"a 1\n", "content_type"),
        (200, {"Content-Type": TEXT, "Content-Encoding": "br"}, b"a 1\n", "encoding"),
        (200, {"Content-Type": TEXT, "Content-Encoding": "gzip"}, b"a 1\n", "gzip"),
        (200, {"Content-Type": TEXT, "Content-Encoding": "gzip"}, gzip.compress(b"a 1\n")[:-9], "gzip"),
        (200, {"Content-Type": TEXT, "Content-Length": "9999"}, b"a 1\n", "http"),
        (200, {"Content-Type": OPENMETRICS}, b"a 1\n", "cut_short"),
        (200, {"Content-Type": TEXT}, b"<html>\n", "unreadable"),
        (302, {"Location": "http://example.org/metrics"}, b"", "redirect"),
        (302, {"Location": "/metrics"}, b"", "redirect"),
        (200, {"Content-Type": TEXT}, b"a 1\n" * 400_000, "too_large"),
        (200, {"Content-Type": TEXT, "Content-Encoding": "gzip"}, gzip.compress(b"\n" * 20_000_000), "too_large"),
        (200, {"Content-Type": TEXT}, b"\n" * 9001, "too_many_lines"),
        (200, {"Content-Type": TEXT}, "".join(f"a{n} 1\n" for n in range(1001)).encode(), "too_many_series"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_answer_that_cannot_be_used_fails_with_a_word(
    exporter: Exporter, tmp_path: Path, status: int, headers: dict[str, str], body: bytes, reason: str
) -> None:
    exporter.handle = answering(status, headers, body)
    assert Scraped(tmp_path, exporter.url, max_body_bytes=10**6, max_series=1000).failure()[0] == reason


def test_a_redirect_within_the_target_is_followed(exporter: Exporter, tmp_path: Path) -> None:
    def redirect_first(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/metrics":
            answering(307, {"Location": f"http://127.0.0.1:{exporter.port}/metrics/"})(handler)
        else:
            exporter.show(handler)

    exporter.handle = redirect_first
    assert told(Scraped(tmp_path, exporter.url).scrape())["up"] == (1, 0)


def test_a_redirect_elsewhere_takes_no_credentials_along(exporter: Exporter, tmp_path: Path) -> None:
    with Exporter() as other:
        exporter.handle = answering(302, {"Location": other.url})
        reason, said = Scraped(tmp_path, exporter.url, bearer_token="t0ken").failure()
        assert (reason, other.requests) == ("redirect", [])
        assert "t0ken" not in said


@pytest.mark.parametrize("endless", [b"", b"a 1\n", b"HTTP/1.0 200 OK\r\nX-Slow: "])
def test_a_target_that_never_ends_its_answer_is_given_up(exporter: Exporter, tmp_path: Path, endless: bytes) -> None:
    """Nothing at all, a body of drops, a head of drops."""
    gone = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        if endless.startswith(b"a"):
            handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while not gone.wait(0.02):
            handler.wfile.write(endless)

    exporter.handle = drip
    reason, said = Scraped(tmp_path, exporter.url, timeout_seconds=0.3).failure()
    gone.set()
    assert (reason, said) == ("timeout", "no whole answer within 0.3 s")


def test_answers_of_all_targets_share_one_budget(exporter: Exporter, tmp_path: Path) -> None:
    scraped = Scraped(tmp_path, exporter.url, budget_bytes=10)
    assert scraped.failure()[0] == "in_flight"


def test_a_fault_of_ours_is_counted_and_raised_to_nobody(
    exporter: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scraped = Scraped(tmp_path, exporter.url)
    monkeypatch.setattr(scraped.target._digest, "rows", lambda *_: 1 / 0)
    assert scraped.failure() == ("internal", "ZeroDivisionError, see the log")
    assert "division by zero" in caplog.text
    asyncio.run(scraped.target.close())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the certificate is made with the openssl command")
def test_over_tls_the_certificate_must_be_signed_by_who_is_trusted(tmp_path: Path) -> None:
    certificate, key = tmp_path / "ca.pem", tmp_path / "key.pem"
    subprocess.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test "
        f"-addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}".split(),
        check=True,
        capture_output=True,
    )
    exporter = Exporter("a 1\n")
    exporter.encrypt(certificate, key)
    with exporter:
        trusting = Scraped(tmp_path / "1", exporter.url, ca_file=certificate)
        assert told(trusting.scrape())["a"] == (1, 0)
        reason, said = Scraped(tmp_path / "2", exporter.url).failure()
        assert (reason, "CERTIFICATE_VERIFY_FAILED" in said) == ("connect", True)


def test_a_file_without_certificates_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    with pytest.raises(SettingsError, match=r"'job': ca_file = '.*ca.pem' holds no certificates in PEM"):
        Scraped(tmp_path, "https://gpu-1/metrics", ca_file=tmp_path / "ca.pem")


def test_names_beyond_the_limit_are_folded_and_counted_and_how_it_went_is_told_all_the_same(
    exporter: Exporter, tmp_path: Path
) -> None:
    guard = Cardinality(CollectorSettings(max_values_per_column=2))
    scraped = Scraped(tmp_path, exporter.url, cardinality=guard)
    exporter.body = 'a 1\nb 2\nreq_17{model="m"} 3\nreq_18 4\n'
    rows = scraped.scrape()
    synthetic = ["up", "scrape_duration_seconds", "scrape_samples_scraped"]
    assert [row["metric"] for row in rows] == ["a", "b", OTHER, OTHER, *synthetic]
    assert [row["attributes"] for row in rows[2:4]] == [
        {"model": "m", f"{ORIGINAL}metric": "req_17"},
        {f"{ORIGINAL}metric": "req_18"},
    ]
    assert len({row["series"] for row in rows}) == 7
    assert guard.report()["metric_series"]["metric"] == {
        "values": 2,
        "limit": 2,
        "folded_total": 2,
        "example": "req_17",
    }


def test_a_folded_series_that_is_still_shown_has_not_ended_and_one_that_is_not_gets_its_gap(
    exporter: Exporter, tmp_path: Path
) -> None:
    guard = Cardinality(CollectorSettings(max_values_per_column=1))
    scraped = Scraped(tmp_path, exporter.url, cardinality=guard)
    exporter.body = "a 1\nreq_17 3\n"
    before = scraped.scrape()
    assert [(row["metric"], row["flags"]) for row in scraped.scrape()[:-3]] == [("a", 0), (OTHER, 0)]
    exporter.body = "a 1\n"
    (gap,) = (row for row in scraped.scrape() if row["flags"])
    assert (gap["metric"], gap["series"], gap["value"]) == (OTHER, before[1]["series"], None)
    assert guard.report()["metric_series"]["metric"]["folded_total"] == 3
