"""The reference of the Python interface: every public object has its text, and the pages are built."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import lpmkit
from docs.reference import build, public_modules


@pytest.mark.parametrize("name", lpmkit.__all__)
def test_every_public_object_and_its_methods_have_a_docstring(name: str) -> None:
    thing = getattr(lpmkit, name)
    assert inspect.getdoc(thing)
    if inspect.isclass(thing):
        own = {
            key: value for key, value in vars(thing).items() if not key.startswith("_") and inspect.isfunction(value)
        }
        assert [key for key, value in own.items() if not value.__doc__] == []


def test_the_pages_are_built_from_the_docstrings(tmp_path: Path) -> None:
    assert {"lpmkit", "lpmkit.runbook", "lpmkit.runs.audit"} <= set(public_modules())
    build(tmp_path, ["lpmkit.errors"])
    page = (tmp_path / "lpmkit" / "errors.html").read_text(encoding="utf-8")
    assert "A safety rule forbids it" in page
