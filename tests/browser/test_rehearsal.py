"""The rehearsal clicked through in a real browser; screenshots are kept for eyes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from lpmkit.rehearsal import Rehearsal
from lpmkit.run import Run
from tests.browser.lab import browser, into_view, lab, open_notebook, run_all, shot
from tests.end_to_end.cases import assert_contains_the_truth, phases, soon, truth


@pytest.mark.timeout(300)
def test_the_rehearsal_is_clicked_through_and_the_board_shows_the_move(tmp_path: Path) -> None:
    with lab(tmp_path) as (address, copies), browser() as page:
        try:
            open_notebook(page, address, "00_rehearse_on_the_simulator")
            run_all(page)
            name = page.get_by_placeholder("type bxaix85")
            name.wait_for()
            into_view(page, page.get_by_text("checks pass").first)
            shot(page, "rehearsal-1-checks")
            move = page.locator("button.jupyter-button", has_text="Move")
            into_view(page, name)
            expect(move).to_be_disabled()
            name.fill("bxaix85")
            expect(move).to_be_enabled()
            move.click()
            page.get_by_text(re.compile("copying")).first.wait_for()
            stop = page.locator("button.jupyter-button", has_text="Stop")
            expect(stop).to_be_enabled()
            into_view(page, page.locator("img.widget-image"))
            shot(page, "rehearsal-2-copying")
            page.get_by_text(re.compile("not recorded now, settled")).first.wait_for(timeout=150_000)
            into_view(page, page.locator("img.widget-image"))
            shot(page, "rehearsal-3-settled")
            run_verdict(page)
            into_view(page, page.get_by_text("Moved, suspended").first)
            shot(page, "rehearsal-4-verdict")
            (run,) = [Run(path.parent) for path in copies.glob("simulator/runs/*/run.json")]
            assert phases(run)[-1] == "settled"
            soon(lambda: run.document("summary") is not None)
            assert_contains_the_truth(run.document("summary"), truth(Rehearsal(copies / "simulator")))
        finally:
            Rehearsal(copies / "simulator").close()


def run_verdict(page) -> None:  # type: ignore[no-untyped-def]
    """Run the verdict's cell, as a person does: click into it, Shift+Enter."""
    cell = page.locator(".jp-CodeCell", has_text="widgets.verdict(book, run").last
    into_view(page, cell)
    cell.locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    page.get_by_text("Moved, suspended").first.wait_for()
