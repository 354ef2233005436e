"""The report in a real browser: one page for the manager, on a phone, in a dark theme, on paper."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from lpmkit.report.page import write_report
from tests.board_states import FIXTURE
from tests.browser.lab import browser, shot
from tests.browser.test_board_states import _PALE

#: What is printed on a sheet of A4 within its margins, in CSS pixels.
SHEET = {"width": 694, "height": 1017}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The report of the recorded move."""
    run = Path(shutil.copytree(FIXTURE, tmp_path_factory.mktemp("report") / "run"))
    report = write_report(run)
    with browser() as opened:
        opened.goto(report.as_uri())
        yield opened


def test_a_phone_shows_everything_without_scrolling_aside(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    shot(page, "report-390")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    cut = """() => [...document.querySelectorAll("main td")]
      .filter((cell) => cell.checkVisibility() && cell.getBoundingClientRect().right > 391)
      .map((cell) => cell.innerText.slice(0, 40))"""
    assert page.evaluate(cut) == []
    named = page.locator("#verdict ~ table td[data-head=state]").first
    assert "state" in named.evaluate("cell => getComputedStyle(cell, '::before').content")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_text_of_the_report_is_pale(theme: str, page: Page) -> None:
    page.set_viewport_size({"width": 1366, "height": 768})
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    shot(page, f"report-{theme}")
    assert page.evaluate(_PALE) == []
    page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = false; })")


def test_the_first_sheet_is_the_managers_and_folds_are_open_on_paper(page: Page) -> None:
    page.set_viewport_size(SHEET)  # type: ignore[arg-type]
    page.emulate_media(media="print", color_scheme="light")
    shot(page, "report-print")
    front = page.locator(".front")
    assert front.evaluate("part => part.getBoundingClientRect().bottom") <= SHEET["height"]
    assert front.evaluate("part => getComputedStyle(part).breakAfter") == "page"
    text = front.inner_text()
    for words in ("1.509 … 1.550 s", "Deviations", "Back-out", "approved by", "change window"):
        assert words in " ".join(text.split()), words
    heights = (
        "() => [...document.querySelectorAll('details')].map((fold) => fold.children[1].getBoundingClientRect().height)"
    )
    assert min(page.evaluate(heights)) > 0
    page.emulate_media(media="screen")
