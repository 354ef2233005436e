"""Every reader on mutations of every recording gives records or our own error, in time that grows with the text."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lpmkit.errors import UnexpectedReply
from lpmkit.ssh.session import Reply
from tests.test_recordings import all_recordings, named, reader_of

#: Mutations of each recording; all kinds below come up in that many.
MUTATIONS = 60
#: What is put into a text: digits that `str.isdigit` takes and `int` does not, signs of the grammars, and noise before
#: good lines.
PIECES = (
    "²",
    "٣",
    ",",
    '"',
    "=",
    ":",
    "<",
    ">",
    "0x",
    "-1",
    "\t",
    "\x00",
    "é",
    "\n\n",
    "none",
    "Last login: Mon\n",
    " ",
)


def mutations(text: str, seed: int) -> Iterator[str]:
    dice = random.Random(seed)
    lines = text.splitlines(keepends=True)
    yield from ("", "\n", text.rstrip("\n"), text.upper(), text.replace(" ", ""), text[::-1], text + text)
    for _ in range(MUTATIONS):
        kind, at = dice.randrange(6), dice.randrange(len(text) + 1)
        if kind == 0:
            yield text[:at]
        elif kind == 1:
            yield text[:at] + dice.choice(PIECES) + text[at:]
        elif kind == 2:
            yield text[:at] + text[at + 1 :]
        elif kind == 3 and lines:
            row = dice.randrange(len(lines))
            yield "".join(lines[:row] + lines[row + 1 :])
        elif kind == 4 and lines:
            row = dice.randrange(len(lines))
            yield "".join([*lines[:row], dice.choice(lines), *lines[row:]])
        else:
            yield "".join(dice.choice(PIECES) if char.isdigit() and dice.random() < 0.05 else char for char in text)


@pytest.mark.parametrize("path", all_recordings(), ids=named)
def test_a_mutated_reply_is_read_or_refused(path: Path) -> None:
    notes: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    text = path.with_suffix(".txt").read_text(encoding="utf-8")
    reader = reader_of(notes)
    for mutated in mutations(text, seed=len(text)):
        try:
            if notes["reader"].endswith(":messages"):
                reader(Reply("elsewhere", "", 1, mutated, ""))
            else:
                reader(mutated)
        except UnexpectedReply:
            continue
        except Exception as fault:
            raise AssertionError(f"{notes['reader']} raised {fault!r} on {mutated!r}") from fault


@pytest.mark.parametrize("path", all_recordings()[::7], ids=named)
def test_a_long_reply_is_read_in_time_that_grows_with_it(path: Path) -> None:
    notes: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    text = path.with_suffix(".txt").read_text(encoding="utf-8")
    if notes["reader"].endswith(":messages") or not text:
        return
    reader = reader_of(notes)
    started = time.process_time()
    for long in (text * (200_000 // len(text) + 1), text.rstrip("\n") + " " * 200_000 + "\n", text + "\n" * 100_000):
        try:
            reader(long)
        except UnexpectedReply:
            continue
    assert time.process_time() - started < 20.0, notes["reader"]  # quadratic readers took minutes of processor time
