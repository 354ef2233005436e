"""The project's own files agree with each other."""

from __future__ import annotations

import doctest
import json
import re
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from docs import generate
from lpmkit.cli import all_commands

TOP = Path(__file__).parent.parent
#: conda-forge's names for what the index calls otherwise.
CONDA_NAMES = {"matplotlib-base": "matplotlib", "python-duckdb": "duckdb"}


def _requirement(text: str) -> tuple[str, str]:
    # conda's psycopg comes with its library, pip's as the extra "binary"
    match = re.match(r"([A-Za-z0-9._-]+)\s*(.*)", text.replace("[binary]", ""))
    assert match
    name = match[1].lower().replace("_", "-")
    return CONDA_NAMES.get(name, name), match[2].replace(" ", "")


def test_the_conda_environment_holds_the_same_set_as_pyproject_cx_oracle_included() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    wanted = {
        _requirement(text)
        for text in [*project["project"]["dependencies"], *(text for texts in extras.values() for text in texts)]
        if not text.startswith("lpmkit[")
    }
    wanted |= {_requirement(text) for text in project["build-system"]["requires"]}
    listed = YAML(typ="safe").load((TOP / "environment.yml").read_text())["dependencies"]
    by_pip = [text for entry in listed if isinstance(entry, dict) for text in entry["pip"]]
    conda = {_requirement(text) for text in [*(entry for entry in listed if isinstance(entry, str)), *by_pip]}
    conda -= {("python", ">=3.11"), ("pip", "")}
    assert conda == wanted
    assert ("cx-oracle", ">=8.3,<9") in conda


@pytest.mark.parametrize("path", sorted((TOP / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_model_holds_no_outputs_and_no_widget_state(path: Path) -> None:
    model = json.loads(path.read_text(encoding="utf-8"))
    assert "widgets" not in model["metadata"]
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in model["cells"])
    assert any("parameters" in cell["metadata"].get("tags", []) for cell in model["cells"])


def test_the_command_reference_and_the_picture_of_the_phases_are_made_from_the_code() -> None:
    assert (TOP / "docs" / "commands.md").read_text(encoding="utf-8") == generate.reference(), "run `make docs`"
    assert (TOP / "docs" / "checks.md").read_text(encoding="utf-8") == generate.checks_page(), "run `make docs`"
    page = (TOP / "docs" / "recovery.md").read_text(encoding="utf-8")
    assert page == generate.recovery_page(page), "run `make docs`"
    reaching = (TOP / "docs" / "reaching.md").read_text(encoding="utf-8")
    assert reaching == generate.options_page(reaching), "run `make docs`"
    fields = generate.SCHEMA_FIELDS.read_text().splitlines()
    assert set(generate.schema_fields()) <= set(fields), "run `make docs`: it adds the new fields of the schemas"
    assert "stateDiagram-v2" in page


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "docs/features.md",
        "docs/setting-up.md",
        "docs/user-guide.md",
        "docs/run-folder.md",
        "docs/suspend-time.md",
    ],
)
def test_every_command_that_a_page_names_is_there(name: str) -> None:
    text = (TOP / name).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)lpmkit ([a-z-]+)", text, flags=re.MULTILINE))
    assert named <= set(all_commands()), name
    for command, option in re.findall(r"(?:^|`)lpmkit ([a-z-]+)[^`\n]*?(--[a-z-]+)", text, flags=re.MULTILINE):
        typed = all_commands()[command]
        parts = [typed, *getattr(typed, "commands", {}).values()]
        options = [known for part in parts for parameter in part.params for known in parameter.opts]
        assert option in options or command in ("simulate", "lab"), (name, command, option)


@pytest.mark.parametrize(
    "path", sorted(TOP.glob("*.md")) + sorted((TOP / "docs").rglob("*.md")), ids=lambda path: path.stem
)
def test_no_link_of_a_page_leads_nowhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if not link.startswith("http")]
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_the_readmes_python_example_runs(tmp_path: Path) -> None:
    text = (TOP / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    example = doctest.DocTestParser().get_doctest(block, {"folder": tmp_path}, "README.md", "README.md", 0)
    told: list[str] = []
    result = doctest.DocTestRunner().run(example, out=told.append)
    assert result.attempted >= 4
    assert not told, "".join(told)
