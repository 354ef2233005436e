"""The report's section on a database: state before and after, waits, alert log, the database's own measurements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lpmkit.analysis import Analysis, utc
from lpmkit.analysis.oracle import DatabaseAnalysis
from lpmkit.json_values import JsonMapping
from lpmkit.oracle.judge import LogPosition
from lpmkit.plots.database import chart_name

#: Lines of the log in the report; all are in the run folder.
MAX_LINES = 60


@dataclass(frozen=True, slots=True)
class DatabaseSection:
    """One database as the template wants it: rows of texts."""

    title: str
    anchor: str
    chart: Any
    about: str
    before_after: list[tuple[str, str, str, bool]]
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
        about=f"release {found.version or 'not known'}, asked by {_WAYS.get(found.way, found.way)}",
        before_after=list(_before_after(found)),
        waits=[
            (wait.event, str(wait.waits), f"{wait.seconds:.3f} s", _bucket(wait.longest_ms)) for wait in found.waits
        ],
        rules=list(_rules(found)),
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
    begin = utc(analysis.wall.at(lo_ns), 3)[11:-1]
    return f"{begin} + {(hi_ns - lo_ns) / 1e9:.3f} s"


def _rules(found: DatabaseAnalysis) -> Iterator[tuple[str, str, str, str, str]]:
    if found.judgement is None:
        return
    for tally in found.judgement.tallies:
        usual = "not known" if tally.usual_per_hour is None else f"{tally.usual_per_hour:.1f} an hour"
        yield tally.meaning.value, tally.key, str(tally.count), usual, tally.reason


def _before_after(found: DatabaseAnalysis) -> Iterator[tuple[str, str, str, bool]]:
    """State before and after the move for a DBA: instance, sessions, redo position."""
    before, after = (dict(one.get("facts", {})) if one else {} for one in (found.before, found.after))
    for label, name, columns in _ROWS:
        for column in columns:
            old, new = _first(before.get(name), column), _first(after.get(name), column)
            if old is not None or new is not None:
                yield (
                    f"{label} {column.replace('_', ' ')}".strip(),
                    old or "not known",
                    new or "not known",
                    old != new and None not in (old, new),
                )
    yield from _populations(before.get("population"), after.get("population"))
    if found.kept is not None:
        yield (
            "sessions from long before",
            str(found.kept.before),
            f"{found.kept.same} of them still there",
            bool(found.kept.lost),
        )
    shown = {label for label, *_ in found.changes if label.startswith(("instance", "database"))}
    for label, old, new in found.changes:
        if label not in shown:
            yield label, old, new, True


_ROWS = (
    ("instance", "instance", ("startup_time", "status", "database_status", "logins", "archiver", "host_name")),
    ("database", "database", ("open_mode", "log_mode", "database_role")),
    ("redo log", "redo", ("sequence",)),
)


def _first(rows: Sequence[JsonMapping] | None, column: str) -> str | None:
    return str(rows[0].get(column)) if rows and rows[0].get(column) is not None else None


def _populations(
    before: Sequence[JsonMapping] | None, after: Sequence[JsonMapping] | None
) -> Iterator[tuple[str, str, str, bool]]:
    if before is None or after is None:
        return
    old, new = ({(row["type"], row["status"]): row for row in rows} for rows in (before, after))
    for key in sorted({**old, **new}, key=str):
        texts = [
            f"{row['count']}, the oldest since {row['oldest_logon']}" if row else "none"
            for row in (old.get(key), new.get(key))
        ]
        yield f"sessions {key[0]} {key[1]}", texts[0], texts[1], texts[0] != texts[1]
