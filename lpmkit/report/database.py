"""The report's section on a database: state before and after, waits, alert log, the database's own measurements."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lpmkit.analysis import Analysis
from lpmkit.analysis.oracle_model import DatabaseAnalysis
from lpmkit.json_values import JsonMapping
from lpmkit.oracle.judge import LogPosition, LogTally
from lpmkit.oracle.state import HARDLY, SessionsRetained
from lpmkit.plots.database import chart_name
from lpmkit.report.facts import edge_text
from lpmkit.rules.table import Class
from lpmkit.rules.usual import chance_by_rate

#: Lines of the log in the report; all are in the run folder.
MAX_LINES = 60


@dataclass(frozen=True, slots=True)
class DatabaseSection:
    """One database as the template wants it: rows of texts."""

    title: str
    anchor: str
    chart: Any
    about: str
    before_after: list[tuple[str, str, str, str, bool]]
    waits: list[tuple[str, str, str, str]]
    rules: list[tuple[str, str, str, str, str]]
    lines: list[tuple[str, str, str, str]]
    more_lines: int
    measures: list[tuple[str, str, str, str, str]]
    lost: Sequence[str]
    gaps: list[str]
    log: str


def sections(analysis: Analysis, charts: JsonMapping) -> list[DatabaseSection]:
    """Every database of the run."""
    return [_section(analysis, found, charts.get(chart_name(found))) for found in analysis.databases]


def _section(analysis: Analysis, found: DatabaseAnalysis, chart: Any) -> DatabaseSection:
    lines = [mark for mark in found.marks if mark.place is LogPosition.INSIDE]
    return DatabaseSection(
        title=f"Oracle {found.sid} on {found.host}",
        anchor=f"oracle-{found.sid}",
        chart=chart,
        about=f"release {found.version or 'not known'}, queried by {_WAYS.get(found.way, found.way)}",
        before_after=list(_before_after(found)),
        waits=[
            (wait.event, str(wait.waits), f"{wait.seconds:.3f} s", _bucket(wait.longest_ms)) for wait in found.waits
        ],
        rules=list(_rules(found, analysis.window.length_ns / 1e9)),
        lines=[
            (_when(analysis, mark.at.lo_ns, mark.at.hi_ns), mark.printed, mark.meaning.value, mark.text)
            for mark in lines[:MAX_LINES]
        ],
        more_lines=max(0, len(lines) - MAX_LINES),
        measures=[
            (
                measure.what,
                f"{measure.seconds:.6f}".rstrip("0").rstrip(".") + " s",
                f"{measure.resolution_s:g} s",
                _when(analysis, measure.at.lo_ns, measure.at.hi_ns),
                {True: "agrees", False: "does not agree", None: "no suspension to compare"}[measure.agrees],
            )
            for measure in found.measures
        ],
        lost=found.kept.lost if found.kept else (),
        gaps=[f"{name}: {why}" for name, why in found.gaps.items()] + list(found.notes),
        log=", ".join(dict.fromkeys(found.paths)),
    )


_WAYS = {
    "thin": "python-oracledb without a client",
    "thick": "python-oracledb with an Oracle Client",
    "cx_oracle": "cx_Oracle",
    "sqlplus": "sqlplus on its host",
    "none": "nobody: the site file says so",
}


def _bucket(milliseconds: int | None) -> str:
    return f"below {milliseconds / 1000:g} s" if milliseconds else "not known"


def _when(analysis: Analysis, lo_ns: int, hi_ns: int) -> str:
    return edge_text(analysis.wall.at(lo_ns), analysis.wall.at(hi_ns))


def _rules(found: DatabaseAnalysis, watched_s: float) -> Iterator[tuple[str, str, str, str, str]]:
    if found.judgement is None:
        return
    for tally in found.judgement.tallies:
        usual = "not known" if tally.usual_per_hour is None else f"{tally.usual_per_hour:.1f} an hour"
        yield tally.meaning.value, tally.key, str(tally.count), usual, f"{tally.reason}{_more_often(tally, watched_s)}"


def _more_often(tally: LogTally, watched_s: float) -> str:
    """The remark on a routine rule that applied more often than chance lets it: how often, in what time."""
    if tally.usual_per_hour is None or tally.meaning is not Class.ROUTINE:
        return ""
    expected = tally.usual_per_hour * watched_s / 3600
    is_chance = tally.count <= expected or chance_by_rate(tally.count, expected) >= HARDLY
    return "" if is_chance else f"; more often than usual: {tally.count} in {watched_s:.0f} s"


def _before_after(found: DatabaseAnalysis) -> Iterator[tuple[str, str, str, str, bool]]:
    """State before and after the move for a DBA: instance, sessions, redo position; whether it changed, and whether
    that wants a look.
    """
    before, after = (dict(one.get("facts", {})) if one else {} for one in (found.before, found.after))
    for label, name, columns in _ROWS:
        for column in columns:
            old, new = _first(before.get(name), column), _first(after.get(name), column)
            if old is not None or new is not None:
                what = f"{label} {column.replace('_', ' ')}".strip()
                compare = _counted_on if (name, column) in _COUNTERS else _compared
                yield what, old or "not known", new or "not known", *compare(old, new)
    yield from _populations(before.get("population"), after.get("population"), found.kept)
    if found.kept is not None:
        there, lost = f"{found.kept.same} of them still there", bool(found.kept.lost)
        yield "long-lived sessions", str(found.kept.before), there, "changed" if lost else "same", lost
    shown = {label for label, *_ in found.changes if label.startswith(("instance", "database"))}
    for label, old, new in found.changes:
        if label not in shown:
            yield label, old, new, "changed", True


_ROWS = (
    ("instance", "instance", ("startup_time", "status", "database_status", "logins", "archiver", "host_name")),
    ("database", "database", ("open_mode", "log_mode", "database_role")),
    ("redo log", "redo", ("sequence",)),
)


#: The counters that rise while a database works: the sequence of the log rises with every switch (`ORACLE-REF`, V$LOG).
_COUNTERS = {("redo", "sequence")}


def _first(rows: Sequence[JsonMapping] | None, column: str) -> str | None:
    return _moment(str(rows[0].get(column))) if rows and rows[0].get(column) is not None else None


def _moment(text: str) -> str:
    """A moment by the database's clock as other moments are written; any other text unchanged.

    >>> _moment("20261020013358"), _moment("OPEN")
    ('2026-10-20 01:33:58', 'OPEN')
    """
    return re.sub(r"^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$", r"\1-\2-\3 \4:\5:\6", text)


def _compared(old: str | None, new: str | None) -> tuple[str, bool]:
    if old is None or new is None:
        return "not known", False
    return ("same", False) if old == new else ("changed", True)


def _counted_on(old: str | None, new: str | None) -> tuple[str, bool]:
    """A counter before and after: that it rises is no deviation, that it falls is one.

    >>> _counted_on("812", "814"), _counted_on("812", "1")
    (('changed (2 more)', False), ('changed', True))
    """
    if old is None or new is None or not (old.isdigit() and new.isdigit()) or int(new) <= int(old):
        return _compared(old, new)
    return f"changed ({int(new) - int(old)} more)", False


def _populations(
    before: Sequence[JsonMapping] | None, after: Sequence[JsonMapping] | None, kept: SessionsRetained | None
) -> Iterator[tuple[str, str, str, str, bool]]:
    """Sessions by type and status. People log off all the time: a change of theirs wants a look only where a long-lived
    session is missing, or where nothing is known of them. Slaves of background processes are
    started on demand (`ORACLE-BGP`): the others want a look only where the oldest session is another one.
    """
    if before is None or after is None:
        return
    old, new = ({(row["type"], row["status"]): row for row in rows} for rows in (before, after))
    for key in sorted({**old, **new}, key=str):
        texts = [
            f"{row['count']}, the oldest since {_moment(str(row['oldest_logon']))}" if row else "none"
            for row in (old.get(key), new.get(key))
        ]
        what, differs = f"sessions {key[0]} {key[1]}", texts[0] != texts[1]
        more = int((new.get(key) or {}).get("count") or 0) - int((old.get(key) or {}).get("count") or 0)
        number = f"{abs(more)} {'more' if more > 0 else 'fewer'}" if more else ""
        if not differs:
            yield what, texts[0], texts[1], "same", False
        elif key[0] != "USER":
            oldest = [(row or {}).get("oldest_logon") for row in (old.get(key), new.get(key))]
            yield what, texts[0], texts[1], f"changed ({number})" if number else "changed", oldest[0] != oldest[1]
        elif kept is None or kept.lost:
            yield what, texts[0], texts[1], "changed", True
        else:
            there = f"all {kept.before} long-lived sessions are there"
            yield what, texts[0], texts[1], f"changed ({number}; {there})" if number else f"changed ({there})", False
