"""What the dispatcher monitor prints: ``echo q | dpmon pf=PROFILE KEY`` as ``<sid>adm`` (sap-oracle.md 4).

It reads the dispatcher's shared memory, so it answers where neither a logon nor sapstartsrv does. Tables are boxed with ``|``; which columns there are is
read from the heading (``Plgs`` is optional). The heading of the work-process table is recalled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from lpmkit.errors import CommandRefused, UnexpectedReply
from lpmkit.sap import records
from lpmkit.sap.model import User, WorkProcess
from lpmkit.sap.recalled import DPMON_HEADINGS

#: The keys to type: the long work-process table, the sessions.
WORK_PROCESSES, USERS = "l", "v"
_TITLE = re.compile(r"Table\b.*?\s([A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})")


def read_work_processes(said: str) -> tuple[WorkProcess, ...]:
    """``dpmon pf=… l``"""
    rows = _rows(said, ("typ", "pid", "status"), DPMON_HEADINGS)
    return tuple(records.work_process(row) for row in rows)


def read_users(said: str) -> tuple[User, ...]:
    """``dpmon pf=… v``: sessions by their key, ``T31_U3669_M0``."""
    return tuple(
        User(
            tid=records.required(row, "sess_key").split("_", 1)[0],
            client=records.text(row, "cli"),
            name=records.text(row, "user"),
            transaction=records.text(row, "tcode"),
            terminal=records.text(row, "terminal"),
            last=records.text(row, "time"),
            type=records.text(row, "logon_type"),
        )
        for row in _rows(said, ("sess_key", "user"), {})
    )


def read_time(said: str) -> datetime | None:
    """The server's clock in the title, ``None`` where there is no title."""
    found = _TITLE.search(said)
    return datetime.strptime(found[1], "%a %b %d %H:%M:%S %Y") if found else None  # noqa: DTZ007 - UTC, by its own word


def _rows(said: str, needed: tuple[str, ...], headings: Mapping[str, str]) -> list[dict[str, str]]:
    if said and not said.endswith("\n"):
        raise UnexpectedReply("the reply stops in the middle of a line", line=said.rsplit("\n", 1)[-1][:200])
    names: list[str] | None = None
    rows: list[dict[str, str]] = []
    for line in said.split("\n"):
        bare = line.strip()
        if "DpMonInit failed" in bare or "DpIPCInit" in bare:
            raise CommandRefused("dpmon cannot reach the dispatcher's memory", status=1, answered=bare)
        if not bare.startswith("|"):
            continue
        if not bare.endswith("|") or len(bare) < 2:
            raise UnexpectedReply("a row of the table is cut", line=line[:200])
        cells = [cell.strip() for cell in bare[1:-1].split("|")]
        if not any(cell.strip("-") for cell in cells):
            continue  # a rule between heading and rows, or a row of blanks
        if names is None:
            names = [_heading(cell, headings) for cell in cells]
            if not set(needed) <= set(names):
                raise UnexpectedReply("this is not the heading of the table asked for", line=line[:200])
        elif len(cells) != len(names):
            raise UnexpectedReply(f"a row with {len(cells)} cells under {len(names)} headings", line=line[:200])
        else:
            rows.append(dict(zip(names, cells, strict=True)))
    if names is None:
        raise UnexpectedReply("dpmon printed no table", line=said.strip().split("\n", 1)[0][:200])
    return rows


def _heading(cell: str, headings: Mapping[str, str]) -> str:
    word = cell.strip().lower()
    return headings.get(word) or records.name_of(word)
