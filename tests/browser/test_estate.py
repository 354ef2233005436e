"""The application with an estate of 200 partitions: open, filter, sort, choose."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.browser.lab import browser, shot
from tests.browser.test_application import application
from tests.end_to_end.cases import rehearse

#: A filter shows its rows within this many milliseconds on a machine that has other work too.
SHOWN_MS = 20_000


def test_one_of_two_hundred_partitions_is_found_and_chosen(tmp_path: Path) -> None:
    with (
        rehearse(tmp_path / "sim", landscape="estate") as rehearsal,
        application(rehearsal.site_file, tmp_path) as address,
        browser() as page,
    ):
        page.goto(address)
        rows = page.get_by_label("partition").locator("option")
        expect(rows).to_have_count(200)
        assert "never" in (rows.first.text_content() or ""), "the column of the last move"
        last = (rows.last.text_content() or "").split()
        search = page.get_by_label("search")
        search.fill(last[0])
        expect(rows).to_have_count(1, timeout=SHOWN_MS)
        search.fill("")
        expect(rows).to_have_count(200, timeout=SHOWN_MS)
        page.get_by_label("frame").select_option(label=last[1])
        expect(rows).not_to_have_count(200, timeout=SHOWN_MS)
        assert {text.split()[1] for text in rows.all_text_contents()} == {last[1]}
        page.get_by_label("sort by").select_option(label="GB, largest first")
        shot(page, "estate-filtered-1366")
        page.get_by_label("partition").select_option(label=rows.last.text_content() or "")
        targets = page.get_by_label("target").locator("option")
        expect(targets).not_to_have_count(0)
        assert all(not (text or "").startswith(f"{last[1]} ") for text in targets.all_text_contents())
        page.get_by_label("target").select_option(index=0)
        shot(page, "estate-chosen-1366")
        box = page.locator("button.jupyter-button:visible", has_text="Next: check").bounding_box()
        assert box is not None
        assert box["y"] < 768, "choice and next step are on one screen"
