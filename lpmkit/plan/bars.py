"""The moves of a plan as bars over the time of day, as SVG: what happened, and what is expected, with its bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from lpmkit.plan.outlook import Outlook
from lpmkit.plan.schedule import Stage
from lpmkit.plan.status import MoveStatus, PlanStatus
from lpmkit.plan.timetable import Times
from lpmkit.runs.folder import Run

_PART_OF = {
    "prepared": "baseline",
    "settled": "post-migration",
    "failed": "post-migration",
    "stopped": "post-migration",
    "needs-recovery": "post-migration",
}
#: The sign of each stage, for eyes that do not tell the colours.
STAGE_SIGNS = {
    Stage.WAITING: "…",
    Stage.PREPARING: "▷",
    Stage.MOVING: "▶",
    Stage.WATCHING: "▶",
    Stage.ARRIVED: "✓",
    Stage.FAILED: "✗",
    Stage.RECOVERY: "✗",
    Stage.DROPPED: "–",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A move of the chart: the parts of what happened, its suspensions, its stage, and what is expected.

    Times are in nanoseconds since 1970; a part is "baseline", "moving" or "post-migration".
    """

    partition: str
    way: str
    parts: tuple[tuple[str, int, int], ...] = ()
    suspensions: tuple[int, ...] = ()
    stage: Stage | None = None
    expected: Times | None = None


def bars_of(status: PlanStatus, ahead: Outlook | None = None) -> list[Bar]:
    """A bar for each move of a plan, also for one of which nothing is known yet."""
    return [bar_of(move, None if ahead is None else ahead.times(move.partition)) for move in status.moves]


def bar_of(move: MoveStatus, expected: Times | None = None) -> Bar:
    """The bar of one move, from the events of its run."""
    parts = tuple(_parts(move)) if move.began_ns else ()
    way = f"{move.source or '?'} → {move.target}"
    return Bar(move.partition, way, parts, tuple(_suspensions(move)), move.stage, expected)


def _parts(move: MoveStatus) -> Iterator[tuple[str, int, int]]:
    """The parts of a move's bar, from the phases of its run."""
    if move.run is None or not (move.run / "run.json").exists():
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
            yield _PART_OF.get(phase, "moving"), since, until


def _suspensions(move: MoveStatus) -> Iterator[int]:
    summary = Run(move.run).document("summary") if move.run is not None and (move.run / "run.json").exists() else None
    if summary and summary.get("suspension"):
        begin = datetime.fromisoformat(summary["suspension"]["begin"]["earliest"]["utc"])
        yield round(begin.timestamp() * 1e9)


# --- the drawing ----------------------------------------------------------------------------------------------------

#: Left edge and width of the time axis, height of a bar's row, and room above the rows, in units of the drawing.
_LEFT, _WIDTH, _ROW, _TOP = 176, 690, 32, 16
#: Room to the right of the axis for the stage of a move that has ended there.
_RIGHT = 124
#: Seconds between two marks of the axis.
_STEPS = (5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200)
_HATCH = (
    '<defs><pattern id="lpm-hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path d="M0 0v5" stroke="currentColor" opacity=".6"/></pattern></defs>'
)
_FILLS = {
    "baseline": 'fill="url(#lpm-hatch)" stroke="currentColor" stroke-opacity=".5"',
    "moving": 'fill="#0072b2"',
    "post-migration": 'fill="#0072b2" fill-opacity=".3" stroke="#2f8fd0"',
}


@dataclass(frozen=True, slots=True)
class _Axis:
    begin_ns: int
    end_ns: int

    def x(self, at_ns: float) -> float:
        """The place of a moment; those beyond the edges are put on them."""
        share = (at_ns - self.begin_ns) / max(1, self.end_ns - self.begin_ns)
        return round(_LEFT + _WIDTH * min(1.0, max(0.0, share)), 1)


def bars_svg(
    bars: Sequence[Bar],
    window_ends_ns: Iterable[int] = (),
    now_ns: int | None = None,
    said: Callable[[str], str] = str,
) -> str:
    """The bars as SVG. What is expected is a dashed box from the P50 of its begin to that of its end, and a line from
    P10 to P90 of its end. Upright lines are now and the end of the change window. ``said`` puts a text into the
    language of the reader.
    """
    axis = _axis_of(bars, window_ends_ns, now_ns)
    height = _TOP + _ROW * max(1, len(bars))
    drawn = [_HATCH]
    for number, bar in enumerate(bars):
        drawn += _row(bar, axis, _TOP + _ROW * number, said)
    if axis is None:
        drawn.append(_text(_LEFT + 8, _TOP + 20, said("No times yet."), "start"))
    else:
        drawn += _marks(axis, height, said)
        for end_ns in sorted(set(window_ends_ns)):
            if axis.begin_ns <= end_ns <= axis.end_ns:
                drawn.append(_upright(axis.x(end_ns), height, "#c5281c", said("end of window"), width=2))
        if now_ns is not None:
            drawn.append(_upright(axis.x(now_ns), height, "currentColor", said("now")))
    width = _LEFT + _WIDTH + _RIGHT
    words = "; ".join(f"{bar.partition} {bar.way}: {said(_word(bar) or 'waiting')}" for bar in bars)
    label = escape(f"{said('Moves of the plan over the time of day')}. {words}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 34}" style="width:100%" role="img" '
        f'aria-label="{label}" font-family="DejaVu Sans, sans-serif" '
        f'font-size="12" fill="currentColor"><path stroke="currentColor" opacity=".5" d="M{_LEFT} {height}h{_WIDTH}"/>'
        f"{''.join(drawn)}</svg>"
    )


def _axis_of(bars: Sequence[Bar], window_ends_ns: Iterable[int], now_ns: int | None) -> _Axis | None:
    """The stretch of time that holds every bar, and a window's end that is not far after them."""
    begins = [part[1] for bar in bars for part in bar.parts]
    ends = [part[2] for bar in bars for part in bar.parts]
    for bar in bars:
        if bar.expected is not None:
            ends.append(int(bar.expected.end_s.p90))
            begins += [] if bar.parts else [int(bar.expected.begin_s.p50)]
    if not begins:
        return None
    begin, end = min(begins), max(ends)
    if now_ns is not None and any(bar.expected is not None for bar in bars):
        begin, end = min(begin, now_ns), max(end, now_ns)
    near = [at for at in window_ends_ns if at <= end + 2 * (end - begin)]
    return _Axis(begin, max([end, *near]) + (end - begin) // 50 + 1)


def _row(bar: Bar, axis: _Axis | None, top: int, said: Callable[[str], str]) -> Iterator[str]:
    yield _text(_LEFT - 8, top + 13, bar.partition, "end", weight=600)
    yield _text(_LEFT - 8, top + 26, bar.way, "end", size=".83em", kind="lpm-way")
    if axis is None:
        return
    right = float(_LEFT)
    for part, since, until in bar.parts:
        left, right = axis.x(since), axis.x(until)
        tip = f"{bar.partition}: {part} {_clock(since)} … {_clock(until)} UTC"
        yield _box(left, right, top, _FILLS[part], said(tip))
    if bar.expected is not None:
        begin, end = bar.expected.begin_s, bar.expected.end_s
        left = max(right, axis.x(begin.p50)) if bar.parts else axis.x(begin.p50)
        tip = f"{bar.partition}: expected end {_clock(end.p10)} … {_clock(end.p90)} UTC (P10 … P90)"
        fill = 'fill="#0072b2" fill-opacity=".12" stroke="#2f8fd0" stroke-width="1.3" stroke-dasharray="4 3"'
        yield _box(left, max(left, axis.x(end.p50)), top, fill, said(tip))
        low, high = axis.x(end.p10), axis.x(end.p90)
        yield (
            f'<path stroke="currentColor" stroke-width="1.5" fill="none" '
            f'd="M{low} {top + 11}v10M{low} {top + 16}H{high}M{high} {top + 11}v10"/>'
        )
        right = max(right, high)
    for at in bar.suspensions:
        yield _text(axis.x(at), top + 11, "▼", "middle", hue="#d55e00")
    word = _word(bar)
    if word:
        yield _text(right + 5 if bar.parts or bar.expected else _LEFT + 6, top + 20, said(word), "start")


def _word(bar: Bar) -> str:
    if bar.stage is None or (bar.stage is Stage.WAITING and bar.expected is not None):
        return ""
    return f"{STAGE_SIGNS[bar.stage]} {bar.stage.value}"


def _box(left: float, right: float, top: int, fill: str, tip: str) -> str:
    box = f'x="{left}" y="{top + 6}" width="{max(1.0, round(right - left, 1))}" height="20" {fill}'
    return f"<rect {box}><title>{escape(tip)}</title></rect>"


def _marks(axis: _Axis, height: int, said: Callable[[str], str]) -> Iterator[str]:
    length_s = (axis.end_ns - axis.begin_ns) / 1e9
    step = next((step for step in _STEPS if length_s / step <= 9), 86_400)
    at = -(-axis.begin_ns // (step * 10**9)) * step * 10**9
    while at <= axis.end_ns:
        x = axis.x(at)
        yield f'<path stroke="currentColor" opacity=".5" d="M{x} {height}v4"/>'
        yield _text(x, height + 16, _clock(at) if step < 60 else _clock(at)[:5], "middle")
        at += step * 10**9
    yield _text(_LEFT + _WIDTH // 2, height + 30, said("time of day, UTC"), "middle")


def _upright(x: float, height: int, hue: str, name: str, width: float = 1) -> str:
    line = f'<path stroke="{hue}" stroke-width="{width}" stroke-dasharray="5 3" d="M{x} {_TOP - 2}V{height}"/>'
    return line + _text(x, 11, name, "middle", size=".83em")


def _clock(wall_ns: float) -> str:
    return f"{datetime.fromtimestamp(wall_ns / 1e9, tz=UTC):%H:%M:%S}"


def _text(
    x: float, y: float, text: str, anchor: str, *, hue: str = "", weight: int = 0, size: str = "", kind: str = ""
) -> str:
    style = f' fill="{hue}"' if hue else ""
    style += f' font-weight="{weight}"' if weight else ""
    style += f' font-size="{size}"' if size else ""
    style += f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{style}>{escape(text)}</text>'
