"""How the page writes numbers: unknown is a word, large and small ones stay readable."""

from __future__ import annotations

import pytest

from tests.dashboard.conftest import OpenPage

pytestmark = pytest.mark.browser

_ALL = "async (all) => {{ const it = await import('/static/js/format.js'); return all.map((one) => it.{}(one)); }}"


def test_amounts_are_written_with_three_figures(open_page: OpenPage) -> None:
    written = {
        None: "unknown",
        "": "unknown",
        "not a number": "unknown",
        0: "0",
        "0.390": "0.390",
        0.0005557: "0.000556",
        9.99: "9.99",
        386.51: "387",
        29931.4: "29\u202f931",
        1_800_000: "1.80\u202fM",
        -0.02: "\u22120.0200",
        1.01e292: "1.01 × 10²⁹²",
    }
    assert open_page().page.evaluate(_ALL.format("amount"), list(written)) == list(written.values())


def test_ages_are_written_in_the_largest_unit_that_fits(open_page: OpenPage) -> None:
    written = {None: "unknown", -3: "0 s", 119: "119 s", 240: "4 min", 9000: "2.5 h", 260_000: "3 d"}
    assert open_page().page.evaluate(_ALL.format("age"), list(written)) == list(written.values())
