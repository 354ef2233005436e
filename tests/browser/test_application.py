"""The application without code, clicked through in a real browser: survey, move, a reload and a second tab in
mid-copy, verdict, write-up.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lpmkit.board.follow import board_of
from lpmkit.runs.folder import Run
from lpmkit.timeline import Clock, wait_until
from tests.browser.lab import PATIENCE_MS, browser, shot
from tests.end_to_end.cases import (
    Hold,
    assert_contains_the_truth,
    is_watched,
    phases,
    rehearse,
    soon,
    times_asked,
    truth,
)


@contextmanager
def application(site_file: Path, folder: Path) -> Iterator[str]:
    """``lpmkit app`` on loopback; yields the address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = folder / "home"
    home.mkdir()
    with (folder / "app.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "lpmkit.cli", "app", "--no-browser", f"--port={port}"],
            env={**os.environ, "HOME": str(home), "LPMKIT_SITE": str(site_file)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:

            def listens() -> bool:
                with socket.socket() as probe:
                    return probe.connect_ex(("127.0.0.1", port)) == 0

            assert wait_until(listens, clock=Clock(), timeout_s=200), (folder / "app.log").read_text()
            printed = re.search(r"http://127\.0\.0\.1:\d+/\?token=\w+", (folder / "app.log").read_text())
            assert printed, "the address is printed with its token"
            yield printed[0]
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=30)


MOVES = "[data-state=copying], [data-state=suspended], [data-state=switched], [data-state=arrived]"
LANES = '.lpm-part-lanes svg[aria-label^="Signs of life"]'


def _choose(page: Page, name: str, begins: str) -> None:
    """Choose the option of a list that begins with a name."""
    select = page.get_by_label(name)
    labels = select.locator("option").all_text_contents()
    select.select_option(label=next(label for label in labels if label.startswith(begins)))


def _press(page: Page, name: str | re.Pattern[str], clicks: list[int] | None = None) -> None:
    page.locator("button.jupyter-button:visible", has_text=name).first.click()
    if clicks is not None:
        clicks[0] += 1


def _box_of_the_lanes(page: Page) -> dict[str, float]:
    """The place of the lanes, in one step: between two the picture may have been drawn again."""
    box: dict[str, float] = page.evaluate(
        "lanes => document.querySelector(lanes).getBoundingClientRect().toJSON()", LANES
    )
    return box


def _the_lanes_tell_time_and_probe(page: Page) -> None:
    """Time and probe under the pointer; a click holds the lanes, another one lets them go on."""
    box = _box_of_the_lanes(page)
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.2 * box["height"])
    page.get_by_role("tooltip").get_by_text(re.compile(r"ssh-\w+: .*UTC")).wait_for()
    page.mouse.down()
    page.mouse.up()
    page.locator(".lpm-held").wait_for()
    page.mouse.down()
    page.mouse.up()
    expect(page.locator(".lpm-held")).to_have_count(0)


def _one_board_everywhere(page: Page, address: str, run: Run) -> None:
    """The application, the report and the command line's text show the same board."""
    _press(page, re.compile("5 Verify"))
    page.locator("[data-state=moved]").wait_for()
    shown = " ".join(page.locator(".lpm-board").first.inner_text().split())
    report = page.context.new_page()
    report.goto((run.path / "report.html").as_uri())
    told = " ".join(report.locator(".lpm-board").first.inner_text().split())
    head = shown.partition(" Verdict ")[0]  # the report has verdict and checks in full below
    assert told.startswith(head)
    assert shown.endswith(told.removeprefix(head))
    report.close()
    assert board_of(run).banner.word in shown


@pytest.mark.parametrize(("width", "height"), [(1366, 768)])
def test_the_application_moves_a_partition_and_a_reload_in_mid_copy_shows_the_same_move(
    tmp_path: Path, width: int, height: int
) -> None:
    hold = Hold(tmp_path)
    with (
        rehearse(tmp_path / "sim", hold.fault) as rehearsal,
        application(rehearsal.site_file, tmp_path) as address,
        browser(width, height) as page,
    ):
        rehearsal.site_file.write_text(rehearsal.site_file.read_text() + "runs: {lead_in_s: 6, tail_s: 4}\n")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.locator("select:visible").first.wait_for()
        assert page.locator(".jp-InputArea:visible, .CodeMirror:visible").count() == 0, "no cell is shown"
        clicks = [0]
        _choose(page, "partition", "bxaix85")
        expect(page.get_by_label("target").locator("option")).to_have_count(1)  # its own frame is no target
        _choose(page, "target", "bvio83")
        _press(page, "Next: check ▸", clicks)
        page.get_by_text("Checks: ").first.wait_for()
        page.get_by_text("Validation passed").first.wait_for()
        shot(page, f"application-1-checks-{width}")
        _press(page, "Next: move ▸", clicks)
        page.locator("[data-state=ready]").wait_for()
        shot(page, f"application-2-ready-{width}")
        _press(page, "Move …", clicks)
        page.get_by_placeholder("type bxaix85").fill("bxaix85")
        shot(page, f"application-3-confirm-{width}")
        _press(page, re.compile("^ ?Move$"), clicks)
        page.locator("[data-state=copying]").wait_for()
        shot(page, f"application-4-copying-{width}")
        assert clicks[0] + 2 <= 6, "two choices and four clicks"
        assert re.match(r"● COPYING \d+ % · bxaix85", page.title())
        assert page.locator("link[rel~=icon]").first.get_attribute("href").startswith("data:image/svg")  # type: ignore[union-attr]
        assert _box_of_the_lanes(page)["y"] < height - 150, "the lanes are on the first screen"
        _the_lanes_tell_time_and_probe(page)
        (run,) = [Run(path.parent) for path in rehearsal.folder.glob("runs/*/run.json")]
        page.reload()
        page.locator(MOVES).wait_for()
        shot(page, f"application-5-reloaded-{width}")
        second = page.context.new_page()
        second.set_default_timeout(PATIENCE_MS)
        second.goto(f"{address}&wall=1")
        second.locator(MOVES).wait_for()
        assert second.locator("button.jupyter-button").count() == 0, "a wall has no buttons"
        shot(second, f"application-6-wall-{width}")
        second.close()
        soon(lambda: is_watched(run, "ssh-ticks", "ssh-echo"))
        hold.let_go()
        page.locator("[data-state=moved]").wait_for()  # the verdict comes by itself
        page.get_by_text("questions passed").first.wait_for()
        assert phases(run)[-1] == "settled"
        assert times_asked(run) == 1
        shot(page, f"application-7-verdict-{width}")
        _press(page, re.compile("6 Write up"))
        _press(page, re.compile("^ ?Write up$"))
        _press(page, "Write it up")
        page.get_by_text(re.compile(r"write-up\.pdf")).first.wait_for()
        shot(page, f"application-8-written-{width}")
        soon((run.path / "write-up" / "write-up.pdf").exists)
        _one_board_everywhere(page, address, run)
        _a_plan_is_written_and_looked_at(page, width)
        server = address.partition("?")[0]
        elsewhere = [
            url for url in asked if not url.startswith((server, "data:", "blob:", server.replace("http", "ws")))
        ]
        assert elsewhere == [], "a jump host has no internet"
        assert_contains_the_truth(run.document("summary"), truth(rehearsal))


def test_a_move_whose_mover_dies_is_recovered_from_the_banner(tmp_path: Path) -> None:
    with (
        rehearse(tmp_path / "sim", "mover-dies", speed=20.0) as rehearsal,
        application(rehearsal.site_file, tmp_path) as address,
        browser() as page,
    ):
        rehearsal.site_file.write_text(rehearsal.site_file.read_text() + "runs: {lead_in_s: 4, tail_s: 4}\n")
        page.goto(address)
        page.locator("select:visible").first.wait_for()
        _choose(page, "partition", "bxaix85")
        expect(page.get_by_label("target").locator("option")).to_have_count(1)  # the list follows the partition
        _choose(page, "target", "bvio83")
        _press(page, "Next: check ▸")
        page.get_by_text("Validation passed").first.wait_for()
        _press(page, "Next: move ▸")
        _confirm(page, "Move")
        page.locator("[data-state=needs-recovery]").wait_for()
        assert page.title().startswith("✗ INTERRUPTED AT")
        page.get_by_text("bxaix85 still runs and answers").first.wait_for()
        page.get_by_text("lpmkit recover").first.wait_for()
        assert page.locator("button.jupyter-button:visible", has_text="Move …").count() == 0
        shot(page, "application-recover-1366")
        _confirm(page, "Recover")
        page.locator("[data-state=failed]").first.wait_for()  # rolled back: on the source as before
        shot(page, "application-recovered-1366")
        (run,) = [Run(path.parent) for path in rehearsal.folder.glob("runs/*/run.json")]
        assert phases(run)[-1] == "failed"
        assert times_asked(run) == 1
        assert "suspended" not in truth(rehearsal)


def _confirm(page: Page, word: str) -> None:
    """Press a button, type the name below its summary, and confirm."""
    _press(page, f"{word} …")
    page.get_by_placeholder("type bxaix85").fill("bxaix85")
    _press(page, re.compile(f"^ ?{word}$"))


def _a_plan_is_written_and_looked_at(page: Page, width: int) -> None:
    page.get_by_text("More", exact=True).first.click()
    _press(page, "Move several")
    _press(page, "Add a move")
    page.get_by_placeholder("target frame").fill("bvio82")
    page.get_by_placeholder("target frame").press("Tab")
    _press(page, "Check the plan")
    page.get_by_text("accepts it").first.wait_for()
    _press(page, "Run the plan")
    page.locator("[data-state=ready], [data-state=not-known]").wait_for()
    _press(page, "Start …")
    page.get_by_placeholder("type plan").wait_for()
    page.get_by_text("no further move starts").first.wait_for()
    expect(page.locator("button.jupyter-button:visible", has_text=re.compile("^ ?Start$"))).to_be_disabled()
    shot(page, f"application-6-several-{width}")
