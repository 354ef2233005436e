"""Readers of what the dispatcher monitor prints: ``echo q | dpmon pf=PROFILE KEY`` as ``<sid>adm`` (`SCN-DPMON`,
`SAPAGENT`).

It reads the dispatcher's shared memory, so it answers where neither a logon nor sapstartsrv does. Tables are boxed with
``|``; which columns there are is read from the heading (``Plgs`` is optional). The heading of the work-process table is
recalled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

from lpmkit.errors import CommandRefused, UnexpectedReply
from lpmkit.sap import fields
from lpmkit.sap.model import User, WorkProcess
from lpmkit.sap.recalled import DPMON_HEADINGS, DPMON_SESSION_HEADINGS

_PROMPT = re.compile(r"(?:^|\n)\s*-{0,2}>\s*\Z")
#: The keys to type: the long work-process table, the sessions.
WORK_PROCESSES, USERS = "l", "v"


def read_work_processes(printed: str) -> tuple[WorkProcess, ...]:
    """``dpmon pf=… l``: boxed, or in columns under a heading as older kernels print it.

    Programs may be cut at the width of their column.
    """
    lines = _whole(printed)
    boxed = any(line.lstrip().startswith("|") for line in lines)
    needed = ("typ", "pid", "status")
    rows = _boxed(lines, needed, DPMON_HEADINGS) if boxed else _in_columns(lines, needed, DPMON_HEADINGS)
    return tuple(fields.work_process(row) for row in rows)


def read_users(printed: str) -> tuple[User, ...]:
    """``dpmon pf=… v``: the terminal of each session, by its key ``T31_U3669_M0``, once for all the modes of a
    terminal.
    """
    found: dict[str, User] = {}
    for row in _boxed(_whole(printed), ("sess_key", "user"), DPMON_SESSION_HEADINGS):
        if not fields.is_of_a_person(fields.text(row, "logon_type"), fields.text(row, "terminal")):
            continue
        user = User(
            tid=fields.required(row, "sess_key").split("_", 1)[0],
            client=fields.text(row, "cli"),
            name=fields.text(row, "user"),
            transaction=fields.text(row, "tcode"),
            terminal=fields.text(row, "terminal"),
            last=fields.text(row, "time"),
            type=fields.text(row, "logon_type"),
        )
        found.setdefault(user.key, user)
    return tuple(found.values())


def _whole(printed: str) -> list[str]:
    # a real terminal's output ends in the prompt of the menu, which has no line end
    if printed and not printed.endswith("\n") and not _PROMPT.search(printed):
        raise UnexpectedReply("the reply stops in the middle of a line", line=printed.rsplit("\n", 1)[-1][:200])
    for line in printed.split("\n"):
        if "DpMonInit failed" in line:
            raise CommandRefused("dpmon cannot reach the dispatcher's memory", status=1, answered=line.strip()[:200])
    return [line.rstrip("\r") for line in printed.split("\n")]


def _boxed(lines: list[str], needed: tuple[str, ...], headings: Mapping[str, str]) -> list[dict[str, str]]:
    names: list[str] | None = None
    rows: list[dict[str, str]] = []
    for line in lines:
        bare = line.strip()
        if not bare.startswith("|"):
            continue
        if not bare.endswith("|") or len(bare) < 2:
            raise UnexpectedReply("a row of the table is cut", line=line[:200])
        cells = [cell.strip() for cell in bare[1:-1].split("|")]
        if not any(cell.strip("-") for cell in cells):
            continue  # the rule below the heading
        if names is None:
            names = _named(cells, needed, headings, line)
        elif len(cells) != len(names):
            raise UnexpectedReply(f"a row with {len(cells)} cells under {len(names)} headings", line=line[:200])
        else:
            rows.append(dict(zip(names, cells, strict=True)))
    if names is None:
        raise UnexpectedReply("dpmon printed no table", line=next((one for one in lines if one.strip()), "")[:200])
    return rows


def _named(cells: list[str], needed: tuple[str, ...], headings: Mapping[str, str], line: str) -> list[str]:
    names = [headings.get(cell.strip().lower()) or fields.name_of(cell) for cell in cells]
    if not set(needed) <= set(names):
        raise UnexpectedReply("this is not the heading of the table asked for", line=line[:200])
    return names


def _in_columns(lines: list[str], needed: tuple[str, ...], headings: Mapping[str, str]) -> list[dict[str, str]]:
    """Rows below a heading, cut where no value is split: numbers end under their heading's right end, texts begin
    under its left.
    """
    start = next(
        (at for at, line in enumerate(lines) if line.split()[:1] and line.split()[0].lower() in ("no", "no.")), None
    )
    if start is None:
        raise UnexpectedReply("dpmon printed no table", line=next((one for one in lines if one.strip()), "")[:200])
    heads = list(re.finditer(r"\S+", lines[start]))
    names = _named([head[0] for head in heads], needed, headings, lines[start])
    rows = []
    for line in lines[start + 1 :]:
        if not line.strip():
            break
        if line.strip("- "):
            rows.append(line)
    cuts = [0, *(_cut_between(one.end(), two.start(), rows) for one, two in pairwise(heads)), None]
    return [dict(zip(names, [row[begin:end].strip() for begin, end in pairwise(cuts)], strict=True)) for row in rows]


def _cut_between(end: int, begin: int, rows: list[str]) -> int:
    """The place where the column after a heading that ends at ``end`` begins: as near to the next heading as splits no
    value.
    """
    for place in range(begin, end - 1, -1):
        if not any(row[place - 1 : place].strip() and row[place : place + 1].strip() for row in rows):
            return place
    return begin
