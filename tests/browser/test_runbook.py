"""The numbered notebooks clicked through in JupyterLab, in one night in which much goes wrong.

One server and one set of machines for all of it: the launcher; a validation that fails and is mended; a move that is
stopped in mid-copy; another with a reload, a second tab and a restarted kernel in mid-copy; verdict and write-up. The
main path is gone by keyboard alone. A password is typed and others are planted, and afterwards no file has them.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from ruamel.yaml import YAML

from lpmkit.notebook.models import models
from lpmkit.rehearsal import SAP_PASSWORD, Rehearsal
from lpmkit.runs.folder import Run
from tests.browser.lab import PATIENCE_MS, browser, find, lab, open_from_launcher, run_all, shots, tab_to
from tests.end_to_end.cases import (
    Hold,
    assert_contains_the_truth,
    files_with,
    is_watched,
    phases,
    rehearse,
    soon,
    times_asked,
    truth,
)

STANDIN = Path(__file__).parent.parent / "standin"
SECRET = "correct-horse-battery"
LANES = '.lpm-part-lanes svg[aria-label^="Signs of life"]'
MOVES = "[data-state=copying], [data-state=suspended], [data-state=switched], [data-state=arrived]"
OVER = "[data-state=moved]"
CARD = "10 Survey and check"


def test_a_night_with_the_numbered_notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SAP_PASSWORD, SECRET)  # the machines take it, and so does whoever has it in the environment
    hold = Hold(tmp_path)
    with rehearse(tmp_path / "sim", "keys-not-exchanged", hold.fault) as rehearsal:
        _ask_for_the_password(rehearsal.site_file)
        keyring = {"PYTHON_KEYRING_BACKEND": "planted_keyring.Planted", "PYTHONPATH": str(STANDIN)}
        with (
            lab(tmp_path, {"LPMKIT_SITE": str(rehearsal.site_file), **keyring}) as (address, copies),
            browser() as page,
        ):
            _the_launcher_opens_the_runbook(page, address)
            _the_checks_by_keyboard(page)
            _a_refused_validation_is_mended(page, address, rehearsal)
            stopped = _stopped_in_mid_copy_by_keyboard(page, rehearsal)
            moved = _reloaded_twice_opened_and_restarted_in_mid_copy(page, address, rehearsal, hold)
            assert [run.path for run in _runs(rehearsal)] == [stopped.path, moved.path]
            _verified_and_written_up(page, address, moved)
            soon(lambda: moved.document("summary") is not None)
            assert_contains_the_truth(moved.document("summary"), truth(rehearsal))
            saved = _saved(copies)
        # the machines are made up, and the note by which they are found again has their password
        assert files_with(tmp_path, SECRET) == [str(rehearsal.folder / "rehearsal.json")]
        assert saved == {"10", "20", "30"}, "they were looked at with their outputs and the state of their widgets"


def _ask_for_the_password(site_file: Path) -> None:
    yaml = YAML()
    site = yaml.load(site_file)
    site["sap_systems"]["BX5"]["soap_rfc"]["password"] = "prompt"
    site["databases"]["BX5"] |= {"user": "LPMKIT", "password": "keyring:lpmkit/LPMKIT"}
    site["runs"] = {"lead_in_s": 4, "tail_s": 3}
    yaml.dump(site, site_file)


def _runs(rehearsal: Rehearsal) -> list[Run]:
    return [Run(path.parent) for path in sorted(rehearsal.folder.glob("runs/*/run.json"))]


def _the_launcher_opens_the_runbook(page: Page, address: str) -> None:
    page.goto(f"{address}/lab?reset")
    card = page.locator(".jp-LauncherCard", has_text=CARD)
    card.wait_for()
    cards = page.locator(".jp-Launcher-section").first.locator(".jp-LauncherCard")
    assert cards.filter(has_text=re.compile(r"\d[05] ")).count() == len(models())
    assert cards.first.inner_text().strip().startswith("00 Rehearse"), "the start comes first"
    shots(page, "runbook-0-launcher", card)
    page.keyboard.press("Escape")
    tab_to(page, CARD)
    page.keyboard.press("Enter")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.get_by_text(re.compile(r"Python 3 \(ipykernel\) \| Idle")).wait_for()
    assert page.get_by_role("tab", name="10_survey_and_check.ipynb").count() == 1


def _button(page: Page, name: str) -> Locator:
    return page.locator("button.jupyter-button").filter(has_text=re.compile(rf"^\s*{name}\s*$"))


def _type_the_password(page: Page) -> None:
    find(page, page.locator("input[type=password]")).focus()
    page.keyboard.type(SECRET)
    page.keyboard.press("Enter")


def _save(page: Page) -> None:
    page.keyboard.press("Control+s")
    page.get_by_text("Saving completed").first.wait_for()


def _cell(page: Page, output: str) -> Locator:
    """The cell that shows something; its code is folded."""
    return page.locator(".jp-CodeCell", has=page.locator(".jp-OutputArea", has_text=output)).last


def _run_cell(page: Page, output: str) -> None:
    """As a person does: click on what a cell shows, Shift+Enter."""
    cell = find(page, _cell(page, output))
    cell.locator(".jp-OutputArea-output").first.click(position={"x": 5, "y": 5})
    page.keyboard.press("Shift+Enter")


def _the_checks_by_keyboard(page: Page) -> None:
    for _ in range(7):
        page.keyboard.press("Shift+Enter")
    find(page, page.get_by_label("partition"))
    _choose_by_keyboard(page)
    page.keyboard.press("Escape")  # back to the notebook, at the cell of the choice
    page.keyboard.press("ArrowDown")
    for _ in range(4):  # up to the checks, which ask for a password
        page.keyboard.press("Shift+Enter")
    _type_the_password(page)
    find(page, page.get_by_text("Checks: "))
    page.locator(".jp-Notebook").focus()  # JupyterLab may lose the focus with the field of the password
    for _ in range(6):
        page.keyboard.press("Shift+Enter")
    find(page, page.get_by_text(re.compile("Validation failed at .*the manager refuses the move")))
    shots(page, "runbook-1-bind-and-choose", _cell(page, "answers"))
    shots(page, "runbook-2-checks", _cell(page, "Checks: "))
    _save(page)


def _choose_by_keyboard(page: Page) -> None:
    for name in ("partition", "target"):
        tab_to(page, name)
        page.keyboard.press("ArrowDown")
    expect(page.get_by_label("partition")).to_have_value(re.compile("bxaix85"))
    expect(page.get_by_label("target")).to_have_value(re.compile("bvio83"))


def _a_refused_validation_is_mended(page: Page, address: str, rehearsal: Rehearsal) -> None:
    open_from_launcher(page, "20 Move and watch")
    run_all(page)
    _type_the_password(page)
    find(page, page.locator("[data-state=refused]"))
    expect(_button(page, "Move …")).to_have_count(0)
    shots(page, "runbook-3-refused", page.locator("[data-state=refused]"))
    ssh = ["ssh", "-F", str(rehearsal.folder / "ssh_config"), "bvio82", "mkauthkeys -g --ip 192.0.2.83 -u padmin"]
    subprocess.run(ssh, check=True, timeout=60)
    _run_cell(page, "Validation failed")
    find(page, page.locator("[data-state=ready]"))
    expect(find(page, _button(page, "Move …"))).to_be_enabled()


def _confirm_by_keyboard(page: Page, word: str) -> None:
    """Press a button, type the name, and confirm, without a mouse."""
    tab_to(page, f"{word} …")
    page.keyboard.press("Enter")
    page.get_by_placeholder("type bxaix85").wait_for()
    tab_to(page, "type bxaix85")
    page.keyboard.type("bxaix85")
    tab_to(page, word)
    page.keyboard.press("Enter")


def _stopped_in_mid_copy_by_keyboard(page: Page, rehearsal: Rehearsal) -> Run:
    page.keyboard.press("Escape")
    _confirm_by_keyboard(page, "Move")
    (run,) = _runs(rehearsal)
    soon(lambda: "copying" in phases(run))
    page.locator("[data-state=copying]").first.wait_for()
    _confirm_by_keyboard(page, "Stop")
    page.locator("[data-state=stopped]").first.wait_for()
    shots(page, "runbook-4-stopped", page.locator("[data-state=stopped]"))
    assert phases(run)[-1] == "stopped"
    assert "suspended" not in truth(rehearsal)
    _save(page)
    return run


def _reloaded_twice_opened_and_restarted_in_mid_copy(page: Page, address: str, rehearsal: Rehearsal, hold: Hold) -> Run:
    open_from_launcher(page, CARD)
    shown = (
        find(page, _cell(page, "run folder")).locator(".jp-OutputArea-output").first
    )  # what was chosen is still there
    shown.click(position={"x": 5, "y": 5})
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run Selected Cell and All Below").click()
    find(page, page.get_by_text("✓ Validation passed"))
    soon(lambda: len(_runs(rehearsal)) == 2)
    run = _runs(rehearsal)[-1]
    _save(page)
    open_from_launcher(page, "20 Move and watch")
    run_all(page)
    _type_the_password(page)
    find(page, page.locator("[data-state=ready]"))
    find(page, _button(page, "Move …")).click()
    page.get_by_role("textbox", name="name", exact=True).fill("bxaix85")
    shots(page, "runbook-5-confirm", page.locator("[data-state=ready]"))
    find(page, _button(page, "Move")).click()
    find(page, page.locator("[data-state=copying]"))
    shots(page, "runbook-6-copying", page.locator(".lpm-order"))
    _save(page)
    page.reload()
    find(page, page.locator(MOVES))
    shots(page, "runbook-7-reloaded", page.locator(".lpm-order"))
    second = page.context.new_page()
    second.set_default_timeout(PATIENCE_MS)
    second.goto(f"{address}/lab/tree/20_move_and_watch.ipynb?reset")
    find(second, second.locator(MOVES))
    shots(second, "runbook-8-second-tab", second.locator(".lpm-order"))
    second.close()
    assert phases(run)[-1] == "copying", "it is restarted in mid-copy"
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name="Restart Kernel and Run All Cells…").click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    find(page, page.get_by_role("heading", name="The move that runs now"))
    expect(page.get_by_text("No move is running now")).to_have_count(0)  # of before the restart
    find(page, page.locator(MOVES))  # by the first cell
    shots(page, "runbook-9-restarted", page.locator(".lpm-order"))
    soon(lambda: is_watched(run, "ssh-ticks", "ssh-echo"))
    find(page, _cell(page, "Not finished yet"))  # the last cell has run; on a slow machine that takes a while
    hold.let_go()
    find(page, page.locator(OVER))
    _run_cell(page, "Not finished yet")
    find(page, page.get_by_text("questions passed"))
    shots(page, "runbook-10-verdict", page.get_by_text("questions passed"))
    assert phases(run)[-1] == "settled"
    assert times_asked(run) == 1, "nobody asked twice"
    _save(page)
    return run


def _verified_and_written_up(page: Page, address: str, run: Run) -> None:
    open_from_launcher(page, "30 Verify, write up")
    run_all(page)
    find(page, page.get_by_label("change no.")).fill("CHG0815")
    _button(page, "Save change data").click()
    page.get_by_text("✓ saved").wait_for()
    find(page, _button(page, "Write it up")).click()
    find(page, page.get_by_text(re.compile(r"write-up\.pdf")))
    shots(page, "runbook-11-verified", page.locator("[data-state=moved]"))
    shots(page, "runbook-12-added", page.get_by_label("change no."))
    shots(page, "runbook-13-written", _button(page, "Write it up"))
    soon((run.path / "write-up" / f"{run.name}.zip").exists)
    _save(page)


def _saved(copies: Path) -> set[str]:
    """The notebooks that were saved with outputs and the state of their widgets."""
    found = {path.name[:2]: json.loads(path.read_text(encoding="utf-8")) for path in copies.glob("*.ipynb")}
    return {
        number
        for number, notebook in found.items()
        if notebook["metadata"].get("widgets") and any(cell.get("outputs") for cell in notebook["cells"])
    }
