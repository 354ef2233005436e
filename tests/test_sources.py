"""Every source that the repository names has a row in ``docs/sources.md``, and every document that it names is in the
repository.
"""

from __future__ import annotations

import ast
import functools
import json
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lpmkit.checks import CHECKS
from lpmkit.checks.judging import prerequisites

TOP = Path(__file__).parent.parent
#: A key as sources are named by: capitals with hyphens, or a family with a document's name behind a colon.
FAMILIES = "IBMDOC|IBMSUPPORT|SAPNOTE|ORADOC|RHBUG"
FAMILY_KEY = rf"(?:{FAMILIES}):[A-Za-z0-9_.]*[A-Za-z0-9_]"
SHAPE = rf"{FAMILY_KEY}|[A-Z][A-Z0-9]+(?:-[A-Za-z0-9]+)+|[A-Z][A-Z0-9]{{2,}}|Red[A-Z]+|IVM-[a-z]+"
#: In back-quotes of their own, as docstrings and comments name a source (two back-quotes are code).
QUOTED = re.compile(rf"(?<!`)`({SHAPE})`(?!`)")
BARE = re.compile(rf"(?<![\w`:/-])({SHAPE})(?![\w-])")
#: Words of the trade in capitals that stand in the ``from`` of a recording or in a ``source`` beside the keys.
ORDINARY = frozenset(
    [
        "AIX",
        "ASM",
        "BTC",
        "DRMGR",
        "GUI",
        "HEA",
        "HMC",
        "HSCLA319",
        "HSCLA356",
        "IBM",
        "IVM",
        "JS22",
        "LGWR",
        "LPM",
        "POWER7",
        "PVID",
        "PVIDs",
        "RAC",
        "REST",
        "ST22",
        "SM69",
        "UNIFORM_LOG_TIMESTAMP_FORMAT",
        "V10R3",
        "VIOS",
    ]
)


@functools.cache
def tracked(*patterns: str) -> tuple[Path, ...]:
    """Files under version control, and those about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(path for path in (TOP / line for line in listed.stdout.splitlines()) if path.is_file())


@functools.cache
def rows() -> dict[str, list[str]]:
    """Key -> the other cells of its row."""
    found: dict[str, list[str]] = {}
    for line in (TOP / "docs" / "sources.md").read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"\| `([^`]+)` \| (.+) \|", line)
        if match:
            assert match[1] not in found, f"two rows for {match[1]}"
            found[match[1]] = match[2].split(" | ")
    return found


@functools.cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@functools.cache
def prose(path: Path) -> tuple[str, ...]:
    """Comments and strings of a Python file: what a person reads in it.

    Only asked of files in which something was found.
    """
    with path.open("rb") as file:
        return tuple(
            token.string
            for token in tokenize.tokenize(file.readline)
            if token.type in (tokenize.COMMENT, tokenize.STRING)
        )


def quoted(path: Path) -> set[str]:
    """The words in single back-quotes that look like a key, in the comments and strings of a Python file."""
    if not QUOTED.search(text_of(path)):
        return set()
    return {word for text in prose(path) for word in QUOTED.findall(text)}


@functools.cache
def names_of(path: Path) -> set[str]:
    """Every name in a Python file, and every string that is one: back-quotes are put around those too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text_of(path))):
        for field in ("id", "attr", "name", "arg"):
            names |= {getattr(node, field)} if isinstance(getattr(node, field, None), str) else set()
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 40:
            names |= set(re.findall(r"\w+(?:-\w+)*", node.value))
    return names


def values_of(data: Any, *keys: str) -> Iterator[str]:
    """The text under these keys, however deep."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key in keys and isinstance(value, str):
                yield value
            else:
                yield from values_of(value, *keys)
    elif isinstance(data, list):
        for value in data:
            yield from values_of(value, *keys)


def cited() -> Iterator[tuple[Path, str]]:
    """Each file with each text in it that names its sources without back-quotes."""
    for path in tracked("fixtures/*.json"):
        about = json.loads(text_of(path))
        if isinstance(about, dict) and "reader" in about:
            yield path, about["from"]
    for path in tracked("lpmkit/*.yaml"):
        if not {"simulator", "phrases"} & set(path.parts):  # a phrase book has "source" as a word
            for document in YAML(typ="safe").load_all(text_of(path)):
                yield from ((path, text) for text in values_of(document, "source"))


def known(word: str) -> bool:
    return word in rows()


def is_a_name(word: str) -> bool:
    """True if the code has such a name: back-quotes are put around those too."""
    return any(word in names_of(path) for path in tracked("lpmkit/*.py", "tests/*.py") if word in text_of(path))


def test_every_key_in_back_quotes_has_a_row() -> None:
    python = tracked("lpmkit/*.py", "tests/*.py")
    unknown = {(path, word) for path in python for word in quoted(path) if not known(word)}
    assert not {(str(path.relative_to(TOP)), word) for path, word in unknown if not is_a_name(word)}


def test_every_key_of_a_recording_or_a_table_has_a_row() -> None:
    missing = {
        (str(path.relative_to(TOP)), word)
        for path, text in cited()
        for word in BARE.findall(text)
        if not known(word) and word not in ORDINARY
    }
    assert not missing


def test_every_document_of_a_family_has_a_row_of_its_own() -> None:
    texts = {path: text_of(path) for path in tracked("lpmkit/*", "fixtures/*.json", "docs/*.md")}
    missing = {word for text in texts.values() for word in re.findall(FAMILY_KEY, text) if not known(word)}
    assert not missing


def test_every_row_is_used_and_whole() -> None:
    used = {word for _, text in cited() for word in BARE.findall(text)}
    for path in tracked("lpmkit/*.py", "tests/*.py"):
        used |= quoted(path)
    assert rows().keys() <= used, f"not used: {sorted(rows().keys() - used)}"
    for key, cells in rows().items():
        assert len(cells) == 4, key
        assert all(cells), key
        assert cells[-1] in tuple("ABCDVSU"), key


def test_every_recording_names_a_source_a_landscape_or_that_it_is_recalled() -> None:
    without = {
        str(path.relative_to(TOP))
        for path, text in cited()
        if not any(known(word) for word in BARE.findall(text))
        and not re.search(r"landscape|recalled|made up|AIX|the article|the file as|https?://", text)
    }
    assert not without


def test_the_prerequisites_have_a_check_each_and_known_sources() -> None:
    numbered = prerequisites()
    assert list(numbered) == list(range(1, len(numbered) + 1))
    assert {check.basis.number for check in CHECKS} - {None} == set(numbered)
    for number, facts in numbered.items():
        assert facts.keys() == {"what", "sure", "source"}, number
        assert facts["sure"] in tuple("ABCD"), number
        assert any(known(word) for word in BARE.findall(facts["source"])) or re.search(
            "recalled|IBM", facts["source"]
        ), number


def _documents(path: Path, text: str) -> Iterator[tuple[str, bool]]:
    """Names of documents in a text, and whether each is there: links from Markdown, names of Markdown files
    in prose.
    """
    stated = {file.name for file in tracked("*.md")} if ".md" in text else set()
    if path.suffix == ".md":
        plain = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)", plain):
            if not re.match(r"[a-z]+:", target):
                yield target, (path.parent / target).resolve().exists()
    for name in re.findall(r"(?<![\w./<{*-])((?:[\w-]+/)*[\w-]+\.md)\b", text):
        there = [TOP / name, path.parent / name, TOP / "docs" / name]
        yield name, any(candidate.exists() for candidate in there) or ("/" not in name and name in stated)


#: Files that lpmkit writes, and a name that is only an example.
WRITTEN = frozenset({"write-up.md", "change.md", "report.md", "note.md"})


@pytest.mark.parametrize("folder", ["*.md", "lpmkit/*.py", "lpmkit/*.yaml", "tests/*.py", "fixtures/*.json"])
def test_no_text_names_a_document_that_is_not_here(folder: str) -> None:
    missing = set()
    for path in tracked(folder):
        if ".md" not in text_of(path) and path.suffix != ".md":
            continue
        texts = prose(path) if path.suffix == ".py" else (text_of(path),)
        for text in texts:
            missing |= {
                (str(path.relative_to(TOP)), name)
                for name, there in _documents(path, text)
                if not there and name.rpartition("/")[2] not in WRITTEN
            }
    assert not missing
