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


def _tab(page: Page, name: str) -> None:
    page.locator(".lm-TabBar-tab, .p-TabBar-tab", has_text=name).first.click()


def _choose(page: Page, number: int, name: str) -> None:
    """Choose the option that begins with a name."""
    select = page.locator("select:visible").nth(number)
    labels = select.locator("option").all_text_contents()
    select.select_option(label=next(label for label in labels if label.startswith(name)))


def _press(page: Page, name: str) -> None:
    page.locator("button.jupyter-button:visible", has_text=name).first.click()


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
        rehearsal.site_file.write_text(rehearsal.site_file.read_text() + "runs: {lead_in_s: 6, tail_s: 45}\n")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.locator("select:visible").first.wait_for()
        assert page.locator(".jp-InputArea:visible, .CodeMirror:visible").count() == 0, "no cell is shown"
        _choose(page, 0, "bxaix85")
        expect(page.locator("select:visible").nth(1).locator("option")).to_have_count(1)  # its own frame is no target
        _choose(page, 1, "bvio83")
        _press(page, "Survey and check")
        page.get_by_text("Checks: ").first.wait_for()
        shot(page, f"application-1-checks-{width}")
        _press(page, "Validate")
        page.get_by_text("Validation passed").first.wait_for()
        _tab(page, "Move and watch")
        _press(page, "Open")
        name = page.get_by_placeholder("type bxaix85")
        name.wait_for()
        name.fill("bxaix85")
        move = page.locator("button.jupyter-button:visible", has_text=re.compile("^ ?Move$"))
        expect(move).to_be_enabled()
        move.click()
        page.get_by_text(re.compile("copying")).first.wait_for()
        shot(page, f"application-2-copying-{width}")
        (run,) = [Run(path.parent) for path in rehearsal.folder.glob("runs/*/run.json")]
        page.reload()
        page.get_by_text(re.compile("copying|switched|settled")).first.wait_for()
        shot(page, f"application-3-reloaded-{width}")
        second = page.context.browser.new_page()  # type: ignore[union-attr]
        second.set_default_timeout(PATIENCE_MS)
        second.goto(address)
        second.get_by_text(re.compile("copying|switched|settled")).first.wait_for()
        second.close()
        soon(lambda: is_watched(run, "ssh-ticks", "ssh-echo"))
        hold.let_go()
        page.get_by_text(re.compile("recording over: settled")).first.wait_for()
        assert phases(run)[-1] == "settled"
        assert times_asked(run) == 1
        _tab(page, "Verify and write up")
        _press(page, "Verdict")
        page.get_by_text("Moved, suspended").first.wait_for()
        shot(page, f"application-4-verdict-{width}")
        _press(page, "Write up")
        _press(page, "Write it up")
        page.get_by_text(re.compile(r"write-up\.pdf")).first.wait_for()
        shot(page, f"application-5-written-{width}")
        soon((run.path / "write-up" / "write-up.pdf").exists)
        _a_plan_is_written_and_looked_at(page, width)
        server = address.partition("?")[0]
        elsewhere = [
            url for url in asked if not url.startswith((server, "data:", "blob:", server.replace("http", "ws")))
        ]
        assert elsewhere == [], "a jump host has no internet"
        assert_contains_the_truth(run.document("summary"), truth(rehearsal))


def _a_plan_is_written_and_looked_at(page: Page, width: int) -> None:
    _tab(page, "Move several")
    _press(page, "Add a move")
    page.get_by_placeholder("target frame").fill("bvio82")
    page.get_by_placeholder("target frame").press("Tab")
    _press(page, "Check the plan")
    page.get_by_text("accepts it").first.wait_for()
    _press(page, "Run the plan")
    page.get_by_text("Start is disabled: type plan to confirm").wait_for()
    shot(page, f"application-6-several-{width}")
