"""The files that Jupyter saves by itself hold no secret: notebooks and their checkpoints keep outputs and the values of
widgets, IPython keeps the lines that were typed.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

import ipywidgets
import pytest

import lpmkit

ROOT = Path(__file__).parent.parent
SOURCES = sorted((Path(lpmkit.__file__).parent / "notebook").glob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def cells(path: Path) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def called(text: str) -> set[str]:
    """The names of what a text of Python calls."""
    calls = [node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_widget_takes_a_secret(path: Path) -> None:
    """Saved widgets keep their values, that of a password too: secrets are asked for by `getpass`, whose prompt Jupyter
    never saves.
    """
    assert called(path.read_text()).isdisjoint({"Password", "input", "getpass"})
    assert ipywidgets.Password(value="x").get_state()["value"] == "x", "this is why"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_cell_takes_a_secret_and_none_was_saved_with_what_it_printed(path: Path) -> None:
    for text in cells(path):
        assert called(text.replace("%", "#")).isdisjoint({"Password", "input", "getpass", "Secrets"})
    notebook = json.loads(path.read_text())
    assert "widgets" not in notebook["metadata"]
    assert all(not cell.get("outputs") for cell in notebook["cells"])
