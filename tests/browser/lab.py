"""JupyterLab in a real browser, as an operator has it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright

from lpmkit.timeline import Clock, wait_until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
#: A validation takes seconds, and the machine may be very busy. Whatever waits, waits for a condition and no longer.
PATIENCE_MS = 200_000
expect.set_options(timeout=PATIENCE_MS)
#: What people have: a small notebook, and a desk.
SIZES = ((1366, 768), (1920, 1080))
CALM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-sync",
    "--no-first-run",
]


#: What JupyterLab does besides and nothing here needs: extensions from elsewhere, programs for other languages.
NOTHING_ELSE = ("--LabApp.extension_manager=readonly", "--LanguageServerManager.autodetect=False")


def path_without_node(home: Path) -> str:
    """The path of programs with a node that does nothing.

    JupyterLab asks it for the settings of yarn, eight times and for a third of a second each; most hosts have none.
    """
    node = home / "bin" / "node"
    node.parent.mkdir()
    node.write_text("#!/bin/sh\nexit 1\n")
    node.chmod(0o755)
    return f"{node.parent}{os.pathsep}{os.environ['PATH']}"


@contextmanager
def lab(folder: Path, environment: dict[str, str] | None = None) -> Iterator[tuple[str, Path]]:
    """``lpmkit lab`` on loopback with a home of its own; yields the address and the folder with the copies."""
    home = folder / "home"
    settings = home / ".jupyter" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    widgets = settings.parent.parent / "@jupyter-widgets" / "jupyterlab-manager"
    widgets.mkdir(parents=True)
    # What a widget shows is then in the saved copies too, where a test looks for what must not be there.
    (widgets / "plugin.jupyterlab-settings").write_text('{"saveState": true}')
    # Two tabs have one notebook, and what one of them saves by itself would hold the other with a question.
    documents = settings.parent.parent / "@jupyterlab" / "docmanager-extension"
    documents.mkdir()
    (documents / "plugin.jupyterlab-settings").write_text('{"autosave": false}')
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = [
        "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", "--allow-root", "--IdentityProvider.token=",
        "--ServerApp.password=",
        *NOTHING_ELSE,
    ]  # fmt: skip
    log = (folder / "lab.log").open("wb")
    server = subprocess.Popen(
        [sys.executable, "-m", "lpmkit.cli", "lab", "--no-browser", "--directory", str(folder / "lab"), "--", *options],
        env={
            **os.environ,
            "HOME": str(home),
            "JUPYTER_CONFIG_DIR": str(home / ".jupyter"),
            "PATH": path_without_node(home),
            **(environment or {}),
        },
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        assert wait_until(listens, clock=Clock(), timeout_s=200), (folder / "lab.log").read_text()
        (copies,) = (folder / "lab").iterdir()
        yield f"http://127.0.0.1:{port}", copies
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # the server's kernels as well, whatever became of the test
        server.wait(timeout=30)


@contextmanager
def browser(width: int = 1366, height: int = 768) -> Iterator[Page]:
    """A page of a real Chromium."""
    assert CHROMIUM, "these tests need Chromium: apt-get install chromium"
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=CALM)
        # a context of its own, so that a test can open a second tab in it
        page = chromium.new_context(viewport={"width": width, "height": height}).new_page()
        page.set_default_timeout(PATIENCE_MS)
        try:
            yield page
        except BaseException:
            _keep(page, "failed", Path(SCREENSHOTS or "test-screenshots"))
            raise
        finally:
            chromium.close()


def open_notebook(page: Page, address: str, name: str) -> None:
    """Load JupyterLab with a notebook, and wait for its kernel."""
    page.goto(f"{address}/lab/tree/{name}.ipynb?reset")
    _with_kernel(page)


def _with_kernel(page: Page) -> None:
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.get_by_text(re.compile(r"Python 3 \(ipykernel\) \| Idle")).wait_for()


def open_from_launcher(page: Page, card: str) -> None:
    """Close the notebook that is open, open the one of a card of the launcher, and wait for its kernel.

    As an operator does; to load JupyterLab once more takes seconds of processor time.
    """
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.get_by_role("menuitem", name="Close All Tabs", exact=True).click()
    shown = page.locator(".jp-LauncherCard", has_text=card)
    unsaved = page.locator(".jp-Dialog").get_by_role("button", name="Discard")  # a board is drawn after it was saved
    shown.or_(unsaved).first.wait_for()
    if unsaved.count():
        unsaved.click()
    shown.click()
    _with_kernel(page)


def run_all(page: Page) -> None:
    """Run every cell, by the menu."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


#: Where screenshots are kept, for eyes. Without it none is taken but that of a failure: each costs half a second of
#: processor time, and a notebook in two sizes a whole one.
SCREENSHOTS = os.environ.get("LPMKIT_SCREENSHOTS", "")


def shot(page: Page, name: str) -> None:
    """A screenshot, if they are wanted."""
    if SCREENSHOTS:
        _keep(page, name, Path(SCREENSHOTS))


def _keep(page: Page, name: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(folder / f"{name}.png"))


def shots(page: Page, name: str, at: Locator) -> None:
    """A screenshot in each of `SIZES`, with ``at`` at the top of what scrolls, and the smallest size again
    afterwards; if none is wanted, only ``at`` is waited for.
    """
    if not SCREENSHOTS:
        find(page, at)
        return
    for width, height in (*SIZES[1:], SIZES[0]):
        page.set_viewport_size({"width": width, "height": height})
        find(page, at).evaluate("element => element.scrollIntoView({block: 'start'})")
        page.wait_for_timeout(250)  # the notebook lays itself out again; nothing tells when it has
        shot(page, f"{name}-{width}")


def find(page: Page, what: Locator, timeout_s: float = PATIENCE_MS / 1000) -> Locator:
    """Wait for ``what`` wherever in the notebook it appears, and bring it into view.

    JupyterLab holds every cell in the page, painted or not; nothing has to be scrolled to learn what there is.
    """
    found = what.first
    found.wait_for(timeout=timeout_s * 1000)
    # not `scroll_into_view_if_needed`: it waits for an element to be stable, and a live board's are made again all the
    # time
    found.evaluate("element => element.scrollIntoView({block: 'nearest'})")
    return found


def tab_to(page: Page, what: str, most: int = 120) -> None:
    """Press Tab until the element that has the focus is ``what``: the text of a button, the placeholder of a field,
    the label of a list.
    """
    said = "element => (element.placeholder || element.labels?.[0]?.innerText || element.innerText || '').trim()"
    for _ in range(most):
        if page.evaluate(f"({said})(document.activeElement)") == what:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{most} times Tab do not lead to {what!r}")
