"""One page for all moves of a plan: Gantt chart, measured interruptions, and decisions with their reasons."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape
from matplotlib import dates, rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from lpmkit.json_values import JsonObject
from lpmkit.plan.schedule import Stage
from lpmkit.plan.status import MoveStatus, PlanStatus, plan_status
from lpmkit.plots.colours import FAINT, INK, PAPER
from lpmkit.plots.run import STYLE, data_uri
from lpmkit.runs.files import sheet_cell
from lpmkit.runs.folder import Run, write_document, write_file
from lpmkit.runs.history import Move, bounds, read_move

#: Parts of a move's bar: baseline and post-migration window hatched or pale, the copy dark. Legible without colour.
_PARTS: dict[str, JsonObject] = {
    "baseline": {"facecolor": "#ffffff", "edgecolor": FAINT, "hatch": "////"},
    "moving": {"facecolor": "#0072b2", "edgecolor": "#0072b2"},
    "post-migration": {"facecolor": "#cfe3f1", "edgecolor": "#0072b2"},
}
_PART_OF = {
    "prepared": "baseline",
    "settled": "post-migration",
    "failed": "post-migration",
    "stopped": "post-migration",
    "needs-recovery": "post-migration",
}


def write_page(folder: Run) -> Path:
    """Write ``plan.html``, ``plan-summary.json`` and ``plan.csv`` into a plan's folder; returns the page's path.

    Raises `RecordError` when the disk is full.
    """
    status = plan_status(folder)
    rows = rows_of(status)
    write_document(
        folder.path,
        "plan-summary",
        {"title": status.plan.title, "halted": status.halted, "ended": status.ended, "moves": rows},
    )
    out = io.StringIO()
    table = csv.DictWriter(out, list(rows[0]))
    table.writeheader()
    table.writerows({name: sheet_cell(value) for name, value in row.items()} for row in rows)
    write_file(folder.path / "plan.csv", out.getvalue().encode())
    return write_file(folder.path / "plan.html", render(folder, status, rows).encode())


def headline(status: PlanStatus) -> str:
    """The state of a plan in one sentence."""
    count = {stage: sum(move.stage is stage for move in status.moves) for stage in Stage}
    details = ", ".join(
        f"{count[stage]} {stage.value}" for stage in Stage if count[stage] and stage is not Stage.ARRIVED
    )
    return f"{count[Stage.ARRIVED]} of {len(status.moves)} arrived" + (f"; {details}" if details else "") + "."


def rows_of(status: PlanStatus) -> list[JsonObject]:
    """A row for each move, with units in the names; ``None`` for an unknown value."""
    rows = []
    for move in status.moves:
        measured = _measured(move)
        rows.append(
            {
                "partition": move.partition,
                "source": move.source,
                "target": move.target,
                "stage": move.stage.value,
                "why": move.why,
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
                "movers": ", ".join(move.under_way.movers) if move.under_way else "",
                "run": str(move.run) if move.run else "",
            }
        )
    return rows


def _measured(move: MoveStatus) -> Move | None:
    """Measured figures from the move's own folder; ``None`` if it does not exist or cannot be read."""
    if move.run is None or move.began_ns is None:
        return None
    try:
        return read_move(move.run)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _utc(wall_ns: int | None) -> str | None:
    return None if wall_ns is None else f"{datetime.fromtimestamp(wall_ns / 1e9, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"


def render(folder: Run, status: PlanStatus, rows: Sequence[JsonObject]) -> str:
    """The page as one HTML file; each move's report is linked."""
    environment = Environment(
        loader=PackageLoader("lpmkit"), autoescape=select_autoescape(default=True), trim_blocks=True, lstrip_blocks=True
    )
    chart = gantt(status)
    return environment.get_template("plan.html.j2").render(
        title=status.plan.title,
        headline=headline(status),
        halted=status.halted,
        facts=list(_facts(folder, status)),
        picture=None if chart is None else data_uri(chart),
        moves=[(row, shown(row), _report_of(folder, move)) for row, move in zip(rows, status.moves, strict=True)],
        decided=list(_decided(folder)),
    )


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


_DECISION_TEXTS = {
    "conductor-started": "conductor started",
    "conductor-ended": "conductor ended: {why}",
    "preparing": "{partition}: surveyed, checked, validated on {source}",
    "put-back": "{partition}: queued again",
    "moving": "{partition}: move requested",
    "over": "{partition}: {stage}. {why}",
    "halted": "halted, no further move starts: {why}",
    "goes-on": "continued by an operator",
    "again": "{partition}: queued again by an operator",
    "note": "{text}",
}


def _decided(folder: Run) -> Iterator[tuple[str, str]]:
    """Decisions of the conductor with their times."""
    for event in folder.events():
        if event.kind in _DECISION_TEXTS:
            yield str(_utc(event.wall_ns))[11:19], _DECISION_TEXTS[event.kind].format(**event.data)


def gantt(status: PlanStatus) -> Figure | None:
    """A lane for each requested move: baseline, move, post-migration window, and a mark at the suspension.

    ``None`` before the first move.
    """
    lanes = [(move, parts) for move in status.moves if move.began_ns and (parts := list(_parts(move)))]
    if not lanes:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(11, 1.5 + 0.42 * len(lanes)), layout="constrained", facecolor=PAPER)
        axes = figure.subplots()
        for lane, (move, parts) in enumerate(lanes):
            for part, since, until in parts:
                span = (_day(since), _day(until) - _day(since))
                axes.broken_barh([span], (lane - 0.3, 0.6), linewidth=0.7, **_PARTS[part])
            for at in _stood_still(move):
                axes.plot(
                    _day(at),
                    lane,
                    marker="v",
                    color="#d55e00",
                    markersize=7,
                    markeredgecolor=INK,
                    markeredgewidth=0.5,
                )
            axes.annotate(
                f" {move.stage.value}",
                (_day(parts[-1][2]), lane),
                va="center",
                fontsize=8,
                color=INK,
                annotation_clip=False,
            )
        axes.set_yticks(
            range(len(lanes)), [f"{move.partition}\n{move.source} → {move.target}" for move, _ in lanes], fontsize=8
        )
        axes.set_ylim(len(lanes) - 0.4, -0.6)
        axes.margins(x=0.06)
        locator = dates.AutoDateLocator(tz=UTC)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
        axes.set_xlabel("time of day, UTC")
        marks: list[Any] = [Patch(label=name, **patch_style) for name, patch_style in _PARTS.items()]
        marks += axes.plot(
            [],
            [],
            marker="v",
            linestyle="",
            color="#d55e00",
            markeredgecolor=INK,
            markeredgewidth=0.5,
            label="suspension",
        )
        figure.legend(handles=marks, loc="outside upper left", ncols=4, frameon=False, fontsize=8)
    return figure


def _parts(move: MoveStatus) -> Iterator[tuple[str, datetime, datetime]]:
    """The parts of a move's bar, from the phases of its run."""
    assert move.run is not None
    if not (move.run / "run.json").exists():
        return
    events = Run(move.run).events()
    marks = [(str(event.data["phase"]), event.wall_ns) for event in events if event.kind == "phase"]
    if not events:
        return
    marks = [("prepared", events[0].wall_ns), *marks]
    last = next((event.wall_ns for event in events if event.kind == "tail-over"), events[-1].wall_ns)
    ends = [wall_ns for _, wall_ns in marks[1:]] + [max(last, marks[-1][1])]
    for (phase, since), until in zip(marks, ends, strict=True):
        if until > since:
            yield _PART_OF.get(phase, "moving"), _at(since), _at(until)


def _stood_still(move: MoveStatus) -> Iterator[datetime]:
    summary = Run(move.run).document("summary") if move.run is not None else None
    if summary and summary.get("suspension"):
        yield datetime.fromisoformat(summary["suspension"]["begin"]["earliest"]["utc"])


def _at(wall_ns: int) -> datetime:
    return datetime.fromtimestamp(wall_ns / 1e9, tz=UTC)


def _day(moment: datetime) -> float:
    """A time as matplotlib's axis counts it, in days."""
    return float(dates.date2num(moment))  # type: ignore[no-untyped-call]
