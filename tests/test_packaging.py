"""The deliverables are whole: the source archive, the wheel that is built from it, and the image."""

from __future__ import annotations

import os
import re
import tarfile
import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_sdist, build_wheel

TOP = Path(__file__).parent.parent
CONTAINERFILE = (TOP / "Containerfile").read_text(encoding="utf-8")
#: What the source archive holds beside the pages at the top: nothing that merely lies in the folder.
IN_SOURCE = {
    "lpmkit", "notebooks", "docs", "examples", "fixtures", "tests", "benchmarks", "Makefile", "Containerfile",
    "LICENSE",
    ".dockerignore", ".gitignore", "environment.yml", "pyproject.toml", "PKG-INFO",
}  # fmt: skip


def files_below(folder: Path) -> set[str]:
    """The files of a folder as paths from its parent, but for what Python compiled."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder.parent)) for path in files}


def test_the_wheel_that_is_built_from_the_source_archive_holds_every_file_of_lpmkit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(TOP)
    archive = tmp_path / build_sdist(str(tmp_path))
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    assert {path.name for path in source.iterdir()} == {*IN_SOURCE, *(path.name for path in TOP.glob("*.md"))}
    monkeypatch.chdir(source)
    wheel = tmp_path / build_wheel(str(tmp_path))
    with zipfile.ZipFile(wheel) as packed_wheel:
        names = {name for name in packed_wheel.namelist() if ".dist-info/" not in name}
        metadata = packed_wheel.read(f"{wheel.name.rsplit('-', 3)[0]}.dist-info/METADATA").decode()
    models = {f"lpmkit/models/{Path(name).name}" for name in files_below(TOP / "notebooks")}
    expected = files_below(TOP / "lpmkit") | models
    assert {Path(name).suffix for name in expected} >= {".css", ".j2", ".js", ".pl", ".sh", ".typed", ".yaml", ".ipynb"}
    assert names == expected
    assert "Provides-Extra: mcp" in metadata


def test_the_image_copies_what_is_there_and_what_its_context_lets_through() -> None:
    copied = [words.split()[:-1] for words in re.findall(r"^COPY (?!--from)(.*)$", CONTAINERFILE, flags=re.MULTILINE)]
    sources = {name for names in copied for name in names}
    assert sources == {"pyproject.toml", "README.md", "LICENSE", "lpmkit", "notebooks"}
    assert all((TOP / name).exists() for name in sources)
    ignored = (TOP / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == sources


def test_the_image_runs_as_an_account_without_rights_and_names_no_index() -> None:
    last = CONTAINERFILE.rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.*)$", last, flags=re.MULTILINE) == ["${ACCOUNT}"]
    (account,) = re.findall(r"^ARG ACCOUNT=(\d+)$", last, flags=re.MULTILINE)
    assert int(account) > 0
    assert last.index("USER") > last.rindex("RUN")
    for text in (CONTAINERFILE, (TOP / "Makefile").read_text(encoding="utf-8")):
        assert "://" not in text
        assert "index-url" not in text
    assert os.fspath(TOP) not in CONTAINERFILE
