"""One page for all moves of a plan: its board, measured interruptions, and decisions with their reasons."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from markupsafe import Markup

from lpmkit.board.model import Board
from lpmkit.board.page import board_html
from lpmkit.json_values import JsonObject
from lpmkit.plan.board import FollowedPlan, decisions
from lpmkit.plan.outlook import Outlook
from lpmkit.plan.schedule import Stage
from lpmkit.plan.status import MoveStatus, PlanStatus
from lpmkit.report.templates import page_template
from lpmkit.runs.files import sheet_cell
from lpmkit.runs.folder import Run, write_document, write_file
from lpmkit.runs.history import bounds

#: Seconds between two versions of the page of a plan that runs; a browser that shows it loads the newest as often.
PAGE_EVERY_S = 60


def write_page(folder: Run) -> Path:
    """Write ``plan.html``, ``plan-summary.json`` and ``plan.csv`` into a plan's folder; returns the page's path.

    Raises `RecordError` when the disk is full.
    """
    followed = FollowedPlan(folder)
    board, status, ahead = followed.board(), followed.status, followed.outlook()
    rows = rows_of(followed)
    write_document(
        folder.path,
        "plan-summary",
        {
            "title": status.plan.title,
            "halted": status.halted,
            "ended": status.ended,
            "forecast": None if ahead is None else ahead.as_data(),
            "moves": rows,
        },
    )
    out = io.StringIO()
    table = csv.DictWriter(out, list(rows[0]))
    table.writeheader()
    table.writerows({name: sheet_cell(value) for name, value in row.items()} for row in rows)
    write_file(folder.path / "plan.csv", out.getvalue().encode())
    return write_file(folder.path / "plan.html", render(folder, status, rows, board, ahead).encode())


def headline(status: PlanStatus) -> str:
    """The state of a plan in one sentence."""
    count = {stage: sum(move.stage is stage for move in status.moves) for stage in Stage}
    details = ", ".join(
        f"{count[stage]} {stage.value}" for stage in Stage if count[stage] and stage is not Stage.ARRIVED
    )
    return f"{count[Stage.ARRIVED]} of {len(status.moves)} arrived" + (f"; {details}" if details else "") + "."


def rows_of(followed: FollowedPlan) -> list[JsonObject]:
    """A row for each move, with units in the names; ``None`` for an unknown value."""
    rows = []
    for move in followed.status.moves:
        measured = followed.measured(move)
        rows.append(
            {
                "partition": move.partition,
                "source": move.source,
                "target": move.target,
                "stage": move.stage.value,
                "why": move.why,
                "not_observed_from": move.not_observed_text,
                "verdict": move.verdict,
                "began_utc": _utc(move.began_ns),
                "over_utc": _utc(move.ended_ns) if move.began_ns else None,
                "suspended_s": measured.suspended_s if measured else None,
                "suspended_low_s": measured.suspended_low_s if measured else None,
                "suspended_high_s": measured.suspended_high_s if measured else None,
                "session_outage_s": measured.session_s if measured else None,
                "session_outage_low_s": measured.session_low_s if measured else None,
                "session_outage_high_s": measured.session_high_s if measured else None,
                "copy_s": measured.copy_s if measured else None,
                "whole_move_s": measured.whole_s if measured else None,
                "movers": "; ".join(move.under_way.pairs or move.under_way.movers) if move.under_way else "",
                "run": str(move.run) if move.run else "",
            }
        )
    return rows


def _utc(wall_ns: int | None) -> str | None:
    return None if wall_ns is None else f"{datetime.fromtimestamp(wall_ns / 1e9, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"


def render(
    folder: Run, status: PlanStatus, rows: Sequence[JsonObject], board: Board, ahead: Outlook | None = None
) -> str:
    """The page as one HTML file: the board without its table of moves, which is here with more columns and a link to
    each move's report. ``ahead`` is the forecast of what is to come.
    """
    return page_template(
        "plan.html.j2"
    ).render(
        title=status.plan.title,
        renewed_s=PAGE_EVERY_S if board.is_live else None,
        headline=headline(status),
        board=Markup(board_html(replace(board, folds=()))),  # noqa: S704 - it escapes what it shows
        facts=list(_facts(folder, status)),
        forecast=None if ahead is None else f"{ahead.sentence()} Forecast of {_utc(ahead.zero_ns)}.",
        moves=[
            (row, {**shown(row), **_ahead(ahead, move)}, _report_of(folder, move))
            for row, move in zip(rows, status.moves, strict=True)
        ],
        decided=[(str(_utc(one.wall_ns))[11:19], one.text) for one in decisions(folder.events())],
    )


def _ahead(ahead: Outlook | None, move: MoveStatus) -> dict[str, str]:
    """Expected begin and end of a move; empty for what has happened."""
    cells = {"begins": "", "ends": ""} if ahead is None else ahead.cells(move.partition)
    return {**cells, "begins": ""} if move.began_ns else cells


def shown(row: JsonObject) -> dict[str, str]:
    """The figures of a row as text."""
    span, estimate = bounds(row["suspended_low_s"], row["suspended_high_s"]), row["suspended_s"]
    return {
        "began": (row["began_utc"] or "")[11:19],
        "over": (row["over_utc"] or "")[11:19],
        "suspended": f"{span}, estimate {estimate:.3f} s" if span and estimate is not None else span,
        "outage": bounds(row["session_outage_low_s"], row["session_outage_high_s"]),
        "copied": "" if row["copy_s"] is None else f"{row['copy_s']:.0f} s",
    }


def _facts(folder: Run, status: PlanStatus) -> Iterator[tuple[str, str]]:
    plan = status.plan
    begun = [move.began_ns for move in status.moves if move.began_ns]
    over = [move.ended_ns for move in status.moves if move.ended_ns]
    yield "started by", f"{folder.manifest.get('by', '')} on {folder.manifest.get('observer', '')}"
    if begun:
        yield "first move, UTC", str(_utc(min(begun)))
    if over:
        yield "last one over, UTC", str(_utc(max(over)))
    yield (
        "when one fails",
        "start no further move" if plan.on_failure == "stop" else "continue with the moves that do not depend on it",
    )
    limits = plan.limits.model_dump(exclude_none=True)
    yield "the plan's own limits", ", ".join(f"{count} at once on one {resource}" for resource, count in limits.items())
    for name, members in plan.clusters.items():
        yield f"cluster {name}", f"{', '.join(members)}: never two at once"
    if status.ended:
        yield "ended", status.ended


def _report_of(folder: Run, move: MoveStatus) -> str:
    """Link from the page to a move's own report; empty without a report."""
    if move.run is None or not (move.run / "report.html").exists():
        return ""
    try:
        return (Path("..") / ".." / move.run.relative_to(folder.path.parent.parent) / "report.html").as_posix()
    except ValueError:
        return (move.run / "report.html").as_uri()
