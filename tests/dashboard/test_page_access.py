"""What the page owes to everyone who reads it: any width, both themes, the keyboard, a screen reader."""

from __future__ import annotations

from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import OpenPage

pytestmark = pytest.mark.browser

REACHABLE = (
    "skip",
    "worst-lamp",
    "window",
    "by",
    "theme",
    "headline-value",
    "term",
    "unit",
    "copy-table",
    "command",
    "summary",
)


@pytest.mark.parametrize("width", [360, 768, 1280, 2560])
def test_nothing_sticks_out_at_any_width(open_page: OpenPage, width: int) -> None:
    page = open_page(chart=True, viewport={"width": width, "height": 800}).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast_in_both_themes(open_page: OpenPage, theme: str) -> None:
    page = open_page().page
    page.locator(f'input[name="theme"][value="{theme}"]').check(force=True)
    assert page.evaluate(_CONTRAST) == []


def test_the_chosen_theme_is_kept(open_page: OpenPage) -> None:
    page = open_page().page
    page.locator('input[name="theme"][value="dark"]').check(force=True)
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_everything_that_can_be_pressed_has_a_name_and_a_visible_focus(open_page: OpenPage) -> None:
    page = open_page().page
    assert page.evaluate(_NAMELESS) == []
    seen = _tab_through(page)
    assert set(REACHABLE) - seen == set()


def test_landmarks_headings_and_tables_are_in_order(open_page: OpenPage) -> None:
    page = open_page().page
    page.wait_for_selector(".check")
    assert [page.locator(tag).count() for tag in ("header", "main", "footer", "h1")] == [1, 1, 1, 1]
    levels = [int(tag[1]) for tag in page.evaluate(_HEADINGS)]
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("th:not([scope])").count() == 0
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(node => node.id)")
    assert len(ids) == len(set(ids))


def _tab_through(page: Page) -> set[str]:
    """Names of what the Tab key reaches; each must show its focus."""
    seen: set[str] = set()
    for _ in range(150):
        page.keyboard.press("Tab")
        here = page.evaluate(_FOCUSED)
        if here is None:
            break
        assert here["shown"], f"the focus on {here} cannot be seen"
        seen.update(here["names"])
    return seen


_HEADINGS = (
    "[...document.querySelectorAll('h1, h2, h3')].filter(node => node.checkVisibility()).map(node => node.tagName)"
)

_FOCUSED = """() => {
  const node = document.activeElement;
  if (!node || node === document.body) return null;
  const shown = node.matches('.choice input') ? node.nextElementSibling : node;
  const names = [node.id, node.name, ...node.classList, node.tagName.toLowerCase()];
  if ('copyTable' in node.dataset) names.push('copy-table');
  return { names: names.filter(Boolean), shown: getComputedStyle(shown).outlineStyle !== 'none' };
}"""

_NAMELESS = """() => [...document.querySelectorAll('button, a, input, summary')]
  .filter(node => node.checkVisibility())
  .filter(node => !(node.textContent.trim() || node.getAttribute('aria-label') || node.labels?.[0]?.textContent.trim()))
  .map(node => node.outerHTML)"""

# Contrast as WCAG 2.2 defines it, of every visible text against the first opaque background behind it.
_CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = colour => {
    const [r, g, b] = colour.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = node => {
    for (let at = node; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const poor = [];
  for (const node of document.querySelectorAll('body *')) {
    if (!node.checkVisibility({ opacityProperty: true }) || node.closest('svg, .unseen, :disabled')) continue;
    if (![...node.childNodes].some(child => child.nodeType === 3 && child.data.trim())) continue;
    const [a, b] = [luminance(rgba(getComputedStyle(node).color)), luminance(behind(node))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) poor.push([node.className, node.textContent.trim().slice(0, 40), ratio.toFixed(2)]);
  }
  return poor;
}"""
