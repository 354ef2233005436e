"""Every recording in ``fixtures/`` is read as its companion file says, and every reader has a recording.

A recording is two files: ``<case>.txt``, the exact text, and ``<case>.json`` beside it:

=============  ====================================================================================================
``source``     ``recorded`` (captured), ``documented`` (printed in a manual or a report), ``composed`` (put together
here) ``from``       the key of a source (``docs/sources.md``), or the landscape that it was composed from ``mark``
A captured, B documented, C from code that drives the real thing, D recalled ``host``       which machine of the JS22
landscape prints it, ``null`` for a capture of another machine ``command``    what that machine is asked, exactly, after
``LANG=C``; ``moment`` when: before, copying or after the move ``status``     the exit status; ``stdin`` and ``stderr``
what was typed and what came on standard error ``varying``    patterns (multi-line) for the parts that a landscape does
not fix, to be blanked before texts are compared ``compare``    how a machine's answer is compared with this one:
``text`` (default), ``lines`` (every line of this one is
               there, in whatever order and among whatever else), ``values`` after reading both, ``form`` (it can be
               read, and no more)
``reader``     ``module:function`` that understands it; ``expected`` the values, as JSON
=============  ====================================================================================================
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from lpmkit.control import (
    aix,
    aix_identity,
    aix_logs,
    aix_memory,
    hmc,
    hmc_resources,
    ivm,
    linux_logs,
    listings,
    vios,
    vios_disks,
    vios_maps,
    vios_statistics,
)
from lpmkit.errors import UnexpectedReply
from lpmkit.ssh.session import Reply

#: The modules whose readers have recordings.
READING = (
    ivm,
    hmc,
    hmc_resources,
    vios,
    vios_disks,
    vios_maps,
    vios_statistics,
    aix,
    aix_identity,
    aix_logs,
    aix_memory,
    linux_logs,
)

FIXTURES = Path(__file__).parent.parent / "fixtures"
FOLDERS = ("ivm-", "hmc-", "vios-", "aix-", "linux-")
KEYS = {"source", "from", "mark", "host", "command", "moment", "stdin", "status", "stderr", "reader", "expected"}
#: Readers of commands whose real output nobody has published in a form that could be recorded; empty is the aim.
WITHOUT_RECORDING: frozenset[str] = frozenset()


def all_recordings() -> list[Path]:
    return sorted(
        path for folder in FIXTURES.iterdir() if folder.name.startswith(FOLDERS) for path in folder.glob("*/*.json")
    )


def named(path: Path) -> str:
    return str(path.relative_to(FIXTURES).with_suffix(""))


def reader_of(notes: dict[str, Any]) -> Callable[[Any], Any]:
    module, _, function = notes["reader"].partition(":")
    found: Callable[[Any], Any] = getattr(importlib.import_module(module), function)
    return found


def as_json(value: Any) -> Any:
    """Values in the form that the companion files hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return {key: as_json(item) for key, item in asdict(value).items()}
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value


@pytest.mark.parametrize("path", all_recordings(), ids=named)
def test_a_recording_is_read_as_its_companion_says(path: Path) -> None:
    notes = json.loads(path.read_text(encoding="utf-8"))
    text = path.with_suffix(".txt").read_text(encoding="utf-8")
    reply = Reply(notes["host"] or "elsewhere", notes["command"] or "", notes["status"], text, notes["stderr"])
    value = reader_of(notes)(reply) if notes["reader"].endswith(":messages") else reader_of(notes)(text)
    assert as_json(value) == notes["expected"]


@pytest.mark.parametrize("path", all_recordings(), ids=named)
def test_a_recording_says_where_it_comes_from(path: Path) -> None:
    notes = json.loads(path.read_text(encoding="utf-8"))
    assert KEYS <= set(notes) <= KEYS | {"varying", "compare"}
    assert notes["source"] in ("recorded", "documented", "composed")
    assert notes["mark"] in ("A", "B", "C", "D")
    assert notes["from"]
    assert (notes["host"] is None) == (notes["command"] is None) == (notes["moment"] is None)
    for pattern in notes.get("varying", ()):
        re.compile(pattern, re.MULTILINE)


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in all_recordings()
        if len(path.with_suffix(".txt").read_text(encoding="utf-8")) > 1 and ":messages" not in path.read_text("utf-8")
    ],
    ids=named,
)
def test_a_recording_cut_in_its_last_line_is_refused(path: Path) -> None:
    notes = json.loads(path.read_text(encoding="utf-8"))
    text = path.with_suffix(".txt").read_text(encoding="utf-8").rstrip("\n ")[:-1]
    if listings.is_empty(text + "."):
        return
    with pytest.raises(UnexpectedReply):
        reader_of(notes)(text)


def test_every_text_has_its_companion() -> None:
    texts = {
        path.with_suffix("")
        for folder in FIXTURES.iterdir()
        if folder.name.startswith(FOLDERS)
        for path in folder.glob("*/*.txt")
    }
    assert texts == {path.with_suffix("") for path in all_recordings()}


def test_every_reader_has_a_recording() -> None:
    recorded = {json.loads(path.read_text(encoding="utf-8"))["reader"] for path in all_recordings()}
    readers = {
        f"{module.__name__}:{name}"
        for module in READING
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("read_") and function.__module__ == module.__name__
    }
    assert readers - recorded == WITHOUT_RECORDING
