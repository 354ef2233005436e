"""The Gantt chart of a plan: what happened, and what is expected with its uncertainty. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib import dates, rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from lpmkit.errors import UsageError
from lpmkit.json_values import JsonObject
from lpmkit.plan.outlook import Outlook
from lpmkit.plan.status import MoveStatus, PlanStatus
from lpmkit.plan.timetable import Times
from lpmkit.plots.colours import FAINT, INK, PAPER
from lpmkit.plots.run import STYLE
from lpmkit.runs.folder import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Parts of a move's bar: baseline and post-migration window hatched or pale, the copy dark. Legible without colour.
_PARTS: dict[str, JsonObject] = {
    "baseline": {"facecolor": "#ffffff", "edgecolor": FAINT, "hatch": "////"},
    "moving": {"facecolor": "#0072b2", "edgecolor": "#0072b2"},
    "post-migration": {"facecolor": "#cfe3f1", "edgecolor": "#0072b2"},
}
_EXPECTED: JsonObject = {"facecolor": "#ffffff", "edgecolor": "#0072b2", "hatch": "....", "linestyle": "--"}
_PART_OF = {
    "prepared": "baseline",
    "settled": "post-migration",
    "failed": "post-migration",
    "stopped": "post-migration",
    "needs-recovery": "post-migration",
}


@dataclass(frozen=True, slots=True)
class ChartRow:
    """A row of the chart: the parts of what happened, the suspensions, a word at its end, and what is expected.

    Expected times are in nanoseconds since 1970.
    """

    label: str
    parts: tuple[tuple[str, datetime, datetime], ...] = ()
    suspensions: tuple[datetime, ...] = ()
    word: str = ""
    expected: Times | None = None


def lanes_of(status: PlanStatus, ahead: Outlook | None = None) -> list[ChartRow]:
    """A lane for each move that was requested or is forecast."""
    lanes = []
    for move in status.moves:
        parts = tuple(_parts(move)) if move.began_ns else ()
        expected = None if ahead is None else ahead.times(move.partition)
        if parts or expected is not None:
            label = f"{move.partition}\n{move.source} → {move.target}"
            lanes.append(ChartRow(label, parts, tuple(_stood_still(move)), move.stage.value if parts else "", expected))
    return lanes


def gantt(lanes: Sequence[ChartRow], window_ends_ns: Iterable[int] = ()) -> Figure | None:
    """The chart; ``None`` without a lane.

    What is expected is a dotted bar from the P50 of its begin to that of its end, and a line from P10 to P90 of its
    end. The end of the change window is an upright line.
    """
    if not lanes:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(11, 1.5 + 0.42 * len(lanes)), layout="constrained", facecolor=PAPER)
        axes = figure.subplots()
        for number, lane in enumerate(lanes):
            _draw(axes, number, lane)
        for end_ns in _near(window_ends_ns, lanes):
            axes.axvline(_day(_at(end_ns)), color="#b3261e", linewidth=1.4)
        axes.set_yticks(range(len(lanes)), [lane.label for lane in lanes], fontsize=8)
        axes.set_ylim(len(lanes) - 0.4, -0.6)
        axes.margins(x=0.06)
        locator = dates.AutoDateLocator(tz=UTC)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
        axes.set_xlabel("time of day, UTC")
        figure.legend(handles=_legend(axes, lanes), loc="outside upper left", ncols=6, frameon=False, fontsize=8)
    return figure


def _near(window_ends_ns: Iterable[int], lanes: Sequence[ChartRow]) -> list[int]:
    """The ends of windows that are worth a line: one long after the plan would press the bars together."""
    ends = [lane.expected.end_s.p90 for lane in lanes if lane.expected is not None]
    begins = [lane.expected.begin_s.p50 for lane in lanes if lane.expected is not None]
    far_ns = max(ends) + 2 * (max(ends) - min(begins)) if ends else float("-inf")
    return sorted({end for end in window_ends_ns if end <= far_ns})


def _draw(axes: Axes, number: int, lane: ChartRow) -> None:
    for part, since, until in lane.parts:
        span = (_day(since), _day(until) - _day(since))
        axes.broken_barh([span], (number - 0.3, 0.6), linewidth=0.7, **_PARTS[part])
    if lane.expected is not None:
        begin, end = lane.expected.begin_s, lane.expected.end_s
        since_day, until_day = _day(_at(begin.p50)), _day(_at(end.p50))
        if lane.parts:  # it runs: what has happened is drawn already
            since_day = max(since_day, _day(lane.parts[-1][2]))
        axes.broken_barh(
            [(since_day, max(0.0, until_day - since_day))], (number - 0.3, 0.6), linewidth=0.9, **_EXPECTED
        )
        axes.plot([_day(_at(end.p10)), _day(_at(end.p90))], [number, number], color=INK, marker="|", linewidth=1.2)
    for at in lane.suspensions:
        axes.plot(_day(at), number, **_SUSPENSION)
    if lane.parts and lane.word:
        at_end = (_day(lane.parts[-1][2]), number)
        axes.annotate(f" {lane.word}", at_end, va="center", fontsize=8, color=INK, annotation_clip=False)


_SUSPENSION: JsonObject = {
    "marker": "v",
    "linestyle": "",
    "color": "#d55e00",
    "markersize": 7,
    "markeredgecolor": INK,
    "markeredgewidth": 0.5,
}


def _legend(axes: Axes, lanes: Sequence[ChartRow]) -> list[Any]:
    marks: list[Any] = []
    if any(lane.parts for lane in lanes):
        marks += [Patch(label=name, **patch_style) for name, patch_style in _PARTS.items()]
        marks += axes.plot([], [], label="suspension", **_SUSPENSION)
    if any(lane.expected is not None for lane in lanes):
        marks.append(Patch(label="expected (P50)", **_EXPECTED))
        marks += axes.plot([], [], color=INK, marker="|", linewidth=1.2, label="end, P10 to P90")
    return marks


def save_chart(lanes: Sequence[ChartRow], windows_ns: Iterable[int], path: Path) -> Path:
    """Save the chart; the suffix of the file selects the format. Raises `UsageError` for an unknown one, or if there is
    nothing to draw.
    """
    figure = gantt(lanes, windows_ns)
    if figure is None:
        raise UsageError("there is no forecast to draw", where=str(path))
    kinds = figure.canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".") not in kinds:
        raise UsageError(
            f"{path.name}: unknown image format",
            next_step=f"Use a file name that ends with one of: {', '.join(kinds)}.",
        )
    figure.savefig(path)
    return path


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


def _at(wall_ns: float) -> datetime:
    return datetime.fromtimestamp(wall_ns / 1e9, tz=UTC)


def _day(moment: datetime) -> float:
    """A time as matplotlib's axis counts it, in days."""
    return float(dates.date2num(moment))  # type: ignore[no-untyped-call]
