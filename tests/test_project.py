"""The project's own files agree with each other."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

TOP = Path(__file__).parent.parent
#: conda-forge's names for what the index calls otherwise.
CONDA_NAMES = {"matplotlib-base": "matplotlib"}


def _requirement(text: str) -> tuple[str, str]:
    match = re.match(r"([A-Za-z0-9._-]+)\s*(.*)", text)
    assert match
    name = match[1].lower().replace("_", "-")
    return CONDA_NAMES.get(name, name), match[2].replace(" ", "")


def test_the_conda_environment_holds_the_same_set_as_pyproject_cx_oracle_included() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    wanted = {
        _requirement(text) for text in [*project["project"]["dependencies"], *extras["oracle10g"], *extras["test"]]
    }
    wanted |= {_requirement(text) for text in project["build-system"]["requires"]}
    conda = {
        _requirement(text) for text in YAML(typ="safe").load((TOP / "environment.yml").read_text())["dependencies"]
    }
    conda -= {("python", ">=3.11"), ("pip", "")}
    assert conda == wanted
    assert ("cx-oracle", ">=8.3,<9") in conda


@pytest.mark.parametrize("path", sorted((TOP / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_model_holds_no_outputs_and_no_widget_state(path: Path) -> None:
    model = json.loads(path.read_text(encoding="utf-8"))
    assert "widgets" not in model["metadata"]
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in model["cells"])
    assert any("parameters" in cell["metadata"].get("tags", []) for cell in model["cells"])


def test_the_command_reference_is_made_from_the_commands() -> None:
    spec = importlib.util.spec_from_file_location("commands", TOP / "docs" / "commands.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (TOP / "docs" / "commands.md").read_text(encoding="utf-8") == module.reference(), "run `make docs`"
