"""One page for all moves of a plan: who moved when and beside whom, what each felt, what was not done and why."""

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

from lpmkit.plan.schedule import Stage
from lpmkit.plan.status import MoveStanding, Standings, course
from lpmkit.plots.run import FAINT, INK, PAPER, STYLE, data_uri
from lpmkit.runs.files import sheet_cell
from lpmkit.runs.folder import Run, write_document, write_file
from lpmkit.runs.history import Move, read_move

#: What the parts of a move's bar are: lead-in and tail hatched or pale, the copy dark. Told apart without colour.
_PARTS: dict[str, dict[str, Any]] = {
    "lead-in": {"facecolor": "#ffffff", "edgecolor": FAINT, "hatch": "////"},
    "moving": {"facecolor": "#0072b2", "edgecolor": "#0072b2"},
    "watched on": {"facecolor": "#cfe3f1", "edgecolor": "#0072b2"},
}
_PART_OF = {
    "prepared": "lead-in",
    "settled": "watched on",
    "failed": "watched on",
    "stopped": "watched on",
    "needs-recovery": "watched on",
}


def write_page(folder: Run) -> Path:
    """Write ``plan.html``, ``plan-summary.json`` and ``plan.csv`` into a plan's folder; the page's path. Raises `RecordError` when the disk is full."""
    now = course(folder)
    rows = rows_of(now)
    write_document(
        folder.path, "plan-summary", {"title": now.plan.title, "halted": now.halted, "ended": now.ended, "moves": rows}
    )
    out = io.StringIO()
    table = csv.DictWriter(out, list(rows[0]))
    table.writeheader()
    table.writerows({name: sheet_cell(value) for name, value in row.items()} for row in rows)
    write_file(folder.path / "plan.csv", out.getvalue().encode())
    return write_file(folder.path / "plan.html", render(folder, now, rows).encode())


def headline(now: Standings) -> str:
    """How it stands in one sentence."""
    count = {stage: sum(move.stage is stage for move in now.moves) for stage in Stage}
    told = ", ".join(f"{count[stage]} {stage.value}" for stage in Stage if count[stage] and stage is not Stage.ARRIVED)
    return f"{count[Stage.ARRIVED]} of {len(now.moves)} arrived" + (f"; {told}" if told else "") + "."


def rows_of(now: Standings) -> list[dict[str, Any]]:
    """A row for each move with unit and bounds in the names; ``None`` where it is not known."""
    found = []
    for move in now.moves:
        kept = _kept(move)
        found.append(
            {
                "partition": move.partition,
                "source": move.source,
                "target": move.target,
                "stage": move.stage.value,
                "why": move.why,
                "verdict": move.verdict,
                "began_utc": _utc(move.began_ns),
                "over_utc": _utc(move.ended_ns) if move.began_ns else None,
                "suspended_s": kept.suspended_s if kept else None,
                "suspended_low_s": kept.suspended_low_s if kept else None,
                "suspended_high_s": kept.suspended_high_s if kept else None,
                "session_outage_s": kept.session_s if kept else None,
                "copy_s": kept.copy_s if kept else None,
                "whole_move_s": kept.whole_s if kept else None,
                "movers": ", ".join(move.under_way.movers) if move.under_way else "",
                "run": str(move.run) if move.run else "",
            }
        )
    return found


def _kept(one: MoveStanding) -> Move | None:
    """What the move's own folder tells; ``None`` where it was never made or cannot be read."""
    if one.run is None or one.began_ns is None:
        return None
    try:
        return read_move(one.run)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _utc(wall_ns: int | None) -> str | None:
    return None if wall_ns is None else f"{datetime.fromtimestamp(wall_ns / 1e9, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"


def render(folder: Run, now: Standings, rows: Sequence[dict[str, Any]]) -> str:
    """The page as one file of HTML; each move's own report is linked, not repeated."""
    environment = Environment(
        loader=PackageLoader("lpmkit"), autoescape=select_autoescape(default=True), trim_blocks=True, lstrip_blocks=True
    )
    drawn = gantt(now)
    return environment.get_template("plan.html.j2").render(
        title=now.plan.title,
        headline=headline(now),
        halted=now.halted,
        facts=list(_facts(folder, now)),
        picture=None if drawn is None else data_uri(drawn),
        moves=[(row, shown(row), _report_of(folder, one)) for row, one in zip(rows, now.moves, strict=True)],
        decided=list(_decided(folder)),
    )  # fmt: skip


def shown(row: dict[str, Any]) -> dict[str, str]:
    """The figures of a row as people read them."""
    low, best, high = row["suspended_low_s"], row["suspended_s"], row["suspended_high_s"]
    span = f"{best:.3f} s ({low:.3f} to {high:.3f})" if None not in (low, best, high) else ""
    return {
        "began": (row["began_utc"] or "")[11:19],
        "over": (row["over_utc"] or "")[11:19],
        "suspended": span,
        "outage": "" if row["session_outage_s"] is None else f"{row['session_outage_s']:.3f} s",
        "copied": "" if row["copy_s"] is None else f"{row['copy_s']:.0f} s",
    }


def _facts(folder: Run, now: Standings) -> Iterator[tuple[str, str]]:
    plan = now.plan
    begun = [move.began_ns for move in now.moves if move.began_ns]
    over = [move.ended_ns for move in now.moves if move.ended_ns]
    yield "started by", f"{folder.manifest.get('by', '')} on {folder.manifest.get('observer', '')}"
    if begun:
        yield "first move, UTC", str(_utc(min(begun)))
    if over:
        yield "last one over, UTC", str(_utc(max(over)))
    yield (
        "when one fails",
        "start no further move" if plan.on_failure == "stop" else "go on with those that do not depend on it",
    )
    said = plan.limits.model_dump(exclude_none=True)
    yield "the plan's own limits", ", ".join(f"{count} at once on one {what}" for what, count in said.items())
    for name, members in plan.clusters.items():
        yield f"cluster {name}", f"{', '.join(members)}: never two at once"
    if now.ended:
        yield "ended", now.ended


def _report_of(folder: Run, one: MoveStanding) -> str:
    """The way from the page to a move's own report; empty where there is none."""
    if one.run is None or not (one.run / "report.html").exists():
        return ""
    try:
        return (Path("..") / ".." / one.run.relative_to(folder.path.parent.parent) / "report.html").as_posix()
    except ValueError:
        return (one.run / "report.html").as_uri()


_SAID = {
    "conductor-started": "the conductor starts",
    "conductor-ended": "the conductor ends: {why}",
    "preparing": "{partition}: surveyed, checked, validated on {source}",
    "put-back": "{partition}: put back into the queue",
    "moving": "{partition}: the move is asked for",
    "over": "{partition}: {stage}. {why}",
    "halted": "no further move is started: {why}",
    "goes-on": "somebody has it go on",
    "again": "{partition}: somebody has it tried again",
    "note": "{text}",
}


def _decided(folder: Run) -> Iterator[tuple[str, str]]:
    """What was decided when, in words."""
    for event in folder.events():
        if event.kind in _SAID:
            yield str(_utc(event.wall_ns))[11:19], _SAID[event.kind].format(**event.data)


def gantt(now: Standings) -> Figure | None:
    """A lane for each move that was asked for: lead-in, move, what was watched afterwards, and a mark where it stood still; ``None`` before the first."""
    begun = [(move, parts) for move in now.moves if move.began_ns and (parts := list(_parts(move)))]
    if not begun:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(11, 1.5 + 0.42 * len(begun)), layout="constrained", facecolor=PAPER)
        axes = figure.subplots()
        for lane, (one, parts) in enumerate(begun):
            for part, since, until in parts:
                span = (_day(since), _day(until) - _day(since))
                axes.broken_barh([span], (lane - 0.3, 0.6), linewidth=0.7, **_PARTS[part])
            for at in _stood_still(one):
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
                f" {one.stage.value}",
                (_day(parts[-1][2]), lane),
                va="center",
                fontsize=8,
                color=INK,
                annotation_clip=False,
            )
        axes.set_yticks(
            range(len(begun)), [f"{one.partition}\n{one.source} → {one.target}" for one, _ in begun], fontsize=8
        )
        axes.set_ylim(len(begun) - 0.4, -0.6)
        axes.margins(x=0.06)
        locator = dates.AutoDateLocator(tz=UTC)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
        axes.set_xlabel("time of day, UTC")
        marks: list[Any] = [Patch(label=name, **look) for name, look in _PARTS.items()]
        marks += axes.plot(
            [],
            [],
            marker="v",
            linestyle="",
            color="#d55e00",
            markeredgecolor=INK,
            markeredgewidth=0.5,
            label="stood still",
        )
        figure.legend(handles=marks, loc="outside upper left", ncols=4, frameon=False, fontsize=8)
    return figure


def _parts(one: MoveStanding) -> Iterator[tuple[str, datetime, datetime]]:
    """The parts of a move's bar from its run's own phases."""
    assert one.run is not None
    if not (one.run / "run.json").exists():
        return
    events = Run(one.run).events()
    marks = [(str(event.data["phase"]), event.wall_ns) for event in events if event.kind == "phase"]
    if not events:
        return
    marks = [("prepared", events[0].wall_ns), *marks]
    last = next((event.wall_ns for event in events if event.kind == "tail-over"), events[-1].wall_ns)
    ends = [wall_ns for _, wall_ns in marks[1:]] + [max(last, marks[-1][1])]
    for (phase, since), until in zip(marks, ends, strict=True):
        if until > since:
            yield _PART_OF.get(phase, "moving"), _at(since), _at(until)


def _stood_still(one: MoveStanding) -> Iterator[datetime]:
    found = Run(one.run).document("summary") if one.run is not None else None
    if found and found.get("suspension"):
        yield datetime.fromisoformat(found["suspension"]["begin"]["earliest"]["utc"])


def _at(wall_ns: int) -> datetime:
    return datetime.fromtimestamp(wall_ns / 1e9, tz=UTC)


def _day(moment: datetime) -> float:
    """A moment as matplotlib's axis counts it."""
    return float(dates.date2num(moment))  # type: ignore[no-untyped-call]
