"""The database tables that RFC_READ_TABLE can be asked for, and its WHERE clause (`SE80`, `SYBASE-RFC`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lpmkit.simulator.sap.recalled import snap_blocks
from lpmkit.simulator.sap.records import Dump, Job, Scalar, UpdateRequest, clock, date
from lpmkit.simulator.sap.system import System


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its type letter is ABAP's (C, N, D, T, I), its length in characters as RFC_READ_TABLE prints it."""

    name: str
    length: int
    kind: str = "C"
    text: str = ""

    def cell(self, value: object) -> str:
        """A value in the width of the column: numbers to the right, zeros before numeric text.

        >>> Column("STEPCOUNT", 10, "I").cell(2), Column("PRDMINS", 2, "N").cell(5), Column("STATUS", 3).cell("R")
        ('         2', '05', 'R  ')
        """
        text = str(value)
        if self.kind == "I":
            return text.rjust(self.length)
        if self.kind == "N":
            return text.rjust(self.length, "0")
        return text.ljust(self.length)[: self.length]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns in the order of the dictionary, and its rows out of the system."""

    columns: tuple[Column, ...]
    rows: Callable[[System], list[dict[str, Scalar]]]

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


def _columns(text: str) -> tuple[Column, ...]:
    """
    >>> _columns("JOBNAME/32 ENDDATE/D")
    (Column(name='JOBNAME', length=32, kind='C', text='JOBNAME'), Column(name='ENDDATE', length=8, kind='D', text='ENDDATE'))
    """
    made = []
    for word in text.split():
        name, _, form = word.partition("/")
        kind = form[0] if form[0].isalpha() else "C"
        length = {"D": 8, "T": 6, "I": 10}.get(kind) or int(form.lstrip("CN"))
        made.append(Column(name, length, kind, name))
    return tuple(made)


def job_facts(system: System, job: Job) -> dict[str, Scalar]:
    """A job as a row of TBTCO. What has not happened has initial date and time."""
    plan, client = job.plan, system.installed.client
    minutes = int(plan.every_s // 60)
    return {
        "JOBNAME": job.name,
        "JOBCOUNT": job.count,
        "INTREPORT": "",
        "STEPCOUNT": len(plan.steps_s),
        "SDLSTRTDT": date(job.scheduled_s),
        "SDLSTRTTM": clock(job.scheduled_s),
        "SDLDATE": date(job.created_s),
        "SDLTIME": clock(job.created_s),
        "SDLUNAME": plan.user,
        "LASTCHDATE": date(None),
        "LASTCHTIME": clock(None),
        "RELDATE": date(None if job.status == "P" else job.created_s),
        "RELTIME": clock(None if job.status == "P" else job.created_s),
        "RELUNAME": "" if job.status == "P" else plan.user,
        "STRTDATE": date(job.started_s),
        "STRTTIME": clock(job.started_s),
        "ENDDATE": date(job.ended_s),
        "ENDTIME": clock(job.ended_s),
        "PRDMINS": minutes % 60,
        "PRDHOURS": minutes // 60 % 24,
        "PRDDAYS": minutes // 1440,
        "PRDWEEKS": 0,
        "PRDMONTHS": 0,
        "PERIODIC": "X" if plan.every_s else "",
        "STATUS": job.status,
        "REAXSERVER": job.server,
        "WPNUMBER": job.worker_number if job.started_s else 0,
        "WPPROCID": job.worker_pid,
        "JOBLOG": f"JOBLGX{job.count}X{job.worker_number:05}" if job.log else "",
        "JOBCLASS": plan.job_class,
        "EVENTID": plan.event,
        "AUTHCKMAN": client,
    }


def _steps(system: System) -> list[dict[str, Scalar]]:
    return [
        {
            "JOBNAME": job.name, "JOBCOUNT": job.count, "STEPCOUNT": at + 1, "PROGNAME": job.plan.program,
            "VARIANT": f"&{job.count.rjust(13, '0')}", "AUTHCKNAM": job.plan.user,
            "STATUS": job.status if at == job.step else ("F" if at < job.step else "S"),
        }
        for job in system.jobs
        for at in range(len(job.plan.steps_s))
    ]  # fmt: skip


def _dump_facts(dump: Dump) -> dict[str, Scalar]:
    """SNAP: the error's name is in FLIST."""
    return {
        "DATUM": date(dump.wall_s), "UZEIT": clock(dump.wall_s), "AHOST": dump.host, "UNAME": dump.user,
        "MANDT": dump.client,
        "MODNO": 0, "SEQNO": "000",
        "FLIST": snap_blocks(FC=dump.error, AP=dump.program),
    }  # fmt: skip


def _update_facts(request: UpdateRequest) -> dict[str, Scalar]:
    """VBHDR; VBDATE is date and time in fourteen characters (`AZURE-SAP`)."""
    return {
        "VBKEY": request.key, "VBDATE": date(request.wall_s) + clock(request.wall_s), "VBUSR": request.user,
        "VBMANDT": request.client,
        "VBREPORT": request.report, "VBTCODE": request.transaction, "VBSTATE": request.state,
        "VBRC": 0 if request.state == 255 else 13,
    }  # fmt: skip


TABLES: Mapping[str, Table] = {
    "TBTCO": Table(
        _columns(
            "JOBNAME/32 JOBCOUNT/8 JOBGROUP/12 INTREPORT/40 STEPCOUNT/I SDLSTRTDT/D SDLSTRTTM/T BTCSYSTEM/32 "
            "SDLDATE/D SDLTIME/T SDLUNAME/12 LASTCHDATE/D LASTCHTIME/T LASTCHNAME/12 RELDATE/D RELTIME/T RELUNAME/12 "
            "STRTDATE/D STRTTIME/T ENDDATE/D ENDTIME/T PRDMINS/N2 PRDHOURS/N2 PRDDAYS/N3 PRDWEEKS/N2 PRDMONTHS/N2 "
            "PERIODIC/1 DELANFREP/1 EMERGMODE/1 STATUS/1 NEWFLAG/1 AUTHCKMAN/3 SUCCNUM/I PREDNUM/I JOBLOG/20 "
            "LASTSTRTDT/D LASTSTRTTM/T WPNUMBER/I WPPROCID/I EVENTID/32 EVENTPARM/64 BTCSYSREAX/32 JOBCLASS/1 "
            "EVENTCOUNT/4 CHECKSTAT/1 CALENDARID/2 PRDBEHAV/1 EXECSERVER/20 EOMCORRECT/I CALCORRECT/I REAXSERVER/20 "
            "RECLOGSYS/10 RECOBJTYPE/10 RECOBJKEY/70 RECDESCRIB/20 TGTSRVGRP/16"
        ),
        lambda system: [job_facts(system, job) for job in (*system.jobs, *system.earlier_jobs)],
    ),
    "TBTCP": Table(
        _columns("JOBNAME/32 JOBCOUNT/8 STEPCOUNT/I PROGNAME/40 VARIANT/14 AUTHCKNAM/12 STATUS/1"), _steps
    ),
    "SNAP": Table(
        _columns("DATUM/D UZEIT/T AHOST/20 UNAME/12 MANDT/3 MODNO/I SEQNO/N3 XHOLD/1 FLIST/255"),
        lambda system: [_dump_facts(dump) for dump in system.dumps],
    ),
    "VBHDR": Table(
        _columns("VBKEY/32 VBDATE/14 VBUSR/12 VBMANDT/3 VBREPORT/40 VBTCODE/20 VBSTATE/I VBRC/I VBNAME/20"),
        lambda system: [_update_facts(request) for request in system.updates],
    ),
    "T000": Table(
        _columns("MANDT/3 MTEXT/25 CCCATEGORY/1"),
        lambda system: [
            {"MANDT": "000", "MTEXT": "SAP AG", "CCCATEGORY": "S"},
            {"MANDT": system.installed.client, "MTEXT": "Production", "CCCATEGORY": "P"},
        ],
    ),
}  # fmt: skip

# --- WHERE ----------------------------------------------------------------------------------------------------------
_TOKEN = re.compile(r"\s*(?:'((?:[^']|'')*)'|([()])|(<=|>=|<>|=|<|>)|([A-Za-z_/0-9~]+))")
_OPERATORS = {"=": "EQ", "<>": "NE", "<": "LT", ">": "GT", "<=": "LE", ">=": "GE"}
Test = Callable[[Mapping[str, str]], bool]


class BadClause(Exception):
    """The WHERE clause cannot be understood (OPTION_NOT_VALID)."""


def where(text: str, table: Table) -> Test:
    """Understand a clause: comparisons, LIKE, AND, OR, NOT and brackets. Raises `BadClause`.

    Text compares as the database compares it, blanks at the end not counted, so an ISO date is merely a text that
    matches nothing.
    """
    if not text.strip():
        return lambda row: True
    clause = _Clause(_tokens(text), table)
    test = clause.alternatives()
    if clause.tokens:
        raise BadClause(f"{clause.tokens[0][1]!r} is not expected")
    return test


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise BadClause(f"{text[at:]!r} is not understood")
        quoted, bracket, sign, word = token.groups()
        if quoted is not None:
            found.append(("text", quoted.replace("''", "'")))
        else:
            found.append(("word", (bracket or _OPERATORS.get(sign or "") or word).upper()))
        at = token.end()
    return found


class _Clause:
    """The tokens that are left, and the grammar over them."""

    def __init__(self, tokens: list[tuple[str, str]], table: Table) -> None:
        self.tokens, self._table = tokens, table

    def _next(self, *wanted: str) -> str | None:
        if self.tokens and self.tokens[0][0] == "word" and self.tokens[0][1] in wanted:
            return self.tokens.pop(0)[1]
        return None

    def alternatives(self) -> Test:
        tests = [self._together()]
        while self._next("OR"):
            tests.append(self._together())
        return lambda row: any(test(row) for test in tests)

    def _together(self) -> Test:
        tests = [self._one()]
        while self._next("AND"):
            tests.append(self._one())
        return lambda row: all(test(row) for test in tests)

    def _one(self) -> Test:
        if self._next("NOT"):
            test = self._one()
            return lambda row: not test(row)
        if self._next("("):
            inside = self.alternatives()
            if not self._next(")"):
                raise BadClause("a bracket is not closed")
            return inside
        return self._comparison()

    def _comparison(self) -> Test:
        if len(self.tokens) < 3:
            raise BadClause("a comparison needs a field, an operator and a value")
        (_, name), (_, operator) = self.tokens.pop(0), self.tokens.pop(0)
        kind, value = self.tokens.pop(0)
        column = self._table.column(name)
        compare = _COMPARE.get(operator)
        if column is None or compare is None or (kind == "word" and not value.isdecimal()):
            raise BadClause(f"{name} {operator} {value!r}")
        if column.kind == "I":
            value = column.cell(value)
        return lambda row: compare(row[name].rstrip(), value.rstrip())


def _like(have: str, pattern: str) -> bool:
    form = "".join({"%": ".*", "_": "."}.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(form, have, re.DOTALL) is not None


_COMPARE: Mapping[str, Callable[[str, str], bool]] = {
    "EQ": lambda have, want: have == want,
    "NE": lambda have, want: have != want,
    "LT": lambda have, want: have < want,
    "GT": lambda have, want: have > want,
    "LE": lambda have, want: have <= want,
    "GE": lambda have, want: have >= want,
    "LIKE": _like,
}


def select(system: System, table: Table, clause: str) -> list[dict[str, str]]:
    """The rows that a clause chooses, every cell in the width of its column. Raises `BadClause`."""
    test = where(clause, table)
    found = []
    for facts in table.rows(system):
        row = {column.name: column.cell(facts.get(column.name, _initial(column))) for column in table.columns}
        if test(row):
            found.append(row)
    return found


def _initial(column: Column) -> Any:
    return {"D": "00000000", "T": "000000", "I": 0, "N": 0}.get(column.kind, "")


def joined(lines: Sequence[str]) -> str:
    """The lines of OPTIONS as one clause: each stands in 72 characters and is cut at a blank."""
    return " ".join(lines)
