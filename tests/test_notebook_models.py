"""The notebook models as they are met before anything is chosen: no cell fails, and no code is in view."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

import lpmkit
from lpmkit.checks import Finding, Verdict
from lpmkit.config import Site
from lpmkit.errors import UsageError
from lpmkit.notebook import guide as guides
from lpmkit.notebook.guide import Guide
from lpmkit.notebook.models import models
from lpmkit.runbook import Runbook, Validation, as_row
from lpmkit.runs.folder import Run, write_document
from tests.test_widgets import book, run, site

__all__ = ["book", "run", "site"]


def code(path: Path) -> list[tuple[dict[str, Any], str]]:
    """The code cells of a model: metadata and source."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [(cell["metadata"], "".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", models(), ids=lambda path: path.stem)
def test_no_code_is_in_view_but_the_parameters(path: Path) -> None:
    for metadata, source in code(path):
        hidden = bool(metadata.get("jupyter", {}).get("source_hidden"))
        assert hidden is ("parameters" not in metadata.get("tags", [])), source


@pytest.mark.parametrize("path", [path for path in models() if path.stem[:2] != "00"], ids=lambda path: path.stem)
def test_run_all_with_nothing_chosen_waits_and_fails_nowhere(
    path: Path, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing answers here either: the frames of this site have no address."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LPMKIT_SITE", str(tmp_path / "site.yaml"))
    site.runs.folder.mkdir(exist_ok=True)
    shown: list[Any] = []
    names: dict[str, Any] = {"display": shown.append, "__name__": "__main__"}
    for _, source in code(path):
        lines = source.rstrip().splitlines()
        exec(compile("\n".join(lines), path.stem, "exec"), names)
        if lines and not lines[-1].startswith((" ", "#")) and "=" not in lines[-1]:
            shown.append(eval(lines[-1], names))
    texts = "\n".join(str(getattr(one, "data", "")) for one in shown)
    assert "Waiting: " in texts or path.stem[:2] in ("30", "40")


def test_an_error_in_a_notebook_is_its_message_and_the_next_step_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = InteractiveShell()
    monkeypatch.setattr(guides, "get_ipython", lambda: shell)
    guides.errors_as_boxes()
    told: list[tuple[type, list[str]]] = []
    monkeypatch.setattr(shell, "_showtraceback", lambda kind, error, text: told.append((kind, text)))
    shell.user_ns["fail"] = UsageError("there is no site file", next_step="Write site.yaml.")
    result = shell.run_cell("raise fail")
    assert isinstance(result.error_in_exec, UsageError), "the kernel and papermill see the error"
    ((kind, text),) = told
    assert kind is UsageError
    assert "there is no site file. Write site.yaml." in "".join(text)
    assert "Traceback" not in "".join(text) + capsys.readouterr().out
    shell.run_cell("1 / 0")
    assert len(told) == 2
    assert "ZeroDivisionError" in "".join(told[1][1]), "any other error is shown as ever"


def test_a_guide_goes_on_once_a_run_is_chosen(book: Runbook, run: Run) -> None:
    guide = Guide(book)
    assert "Waiting: choose above" in guide.order().data
    assert "Waiting" in guide.board().data
    guide.choose_run()
    assert "bvio83" in guide.order().data
    assert guide.run is not None
    assert guide.run.name == run.name
    board = guide.board()
    assert "READY" in board.head.head
    assert guide.picture().data.count("READY") == 1
    guide.board()  # run again: the old one is closed
    assert not board._thread.is_alive()
    assert guide.live is not None
    guide.live.close_board()


def test_the_settings_that_come_with_lab_are_ones_that_jupyterlab_has() -> None:
    """A reload keeps what was shown ten seconds ago, and no news covers the board."""
    overrides = json.loads((Path(lpmkit.__file__).parent / "templates/jupyter/settings/overrides.json").read_text())
    schemas = Path(sys.prefix) / "share" / "jupyter" / "lab" / "schemas"
    for plugin, settings in overrides.items():
        extension, _, name = plugin.partition(":")
        known = json.loads((schemas / extension / f"{name}.json").read_text())["properties"]
        assert set(settings) <= set(known)
    assert overrides["@jupyterlab/docmanager-extension:plugin"]["autosaveInterval"] == 10


def test_under_a_refusal_of_the_firmware_stand_the_failing_checks_and_no_expectation(
    book: Runbook, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    remedy = "Raise the maximum number of virtual adapters."
    failing = Finding("slots", "Free slot on the target", Verdict.FAIL, "bvio83", {"free": 0}, remedy)
    passing = Finding("key", "Migration allowed", Verdict.PASS, "bvio83")
    write_document(run.path, "findings", [as_row(one) for one in (failing, passing)])
    order = book.order_of(run)
    answer = Validation(order, False, 1, "HSCLA319 The migrating partition's virtual <adapter>", 0)
    monkeypatch.setattr(book, "validate", lambda _: answer)
    guide = Guide(book)
    guide.run = run
    shown = guide.validate().data
    assert "the manager refuses the move" in shown
    assert shown.index("&lt;adapter&gt;") < shown.index("Failing checks:") < shown.index(remedy)
    assert "Migration allowed" not in shown
    assert "Expected" not in shown
    write_document(run.path, "findings", [as_row(passing)])
    assert "The checks of lpmkit find no reason" in guide.validate().data
    monkeypatch.setattr(book, "validate", lambda _: replace(answer, status=None, text="timed out"))
    assert "the manager gave no answer" in guide.validate().data
