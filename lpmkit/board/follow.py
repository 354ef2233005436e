"""The board of a run that may still grow: it reads only what is new, and draws the same board as a look at the whole.

`board_of` is one look. `FollowedRun` keeps its place in the files, for a board that is drawn again and again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lpmkit.board.banner import banner, bounds_of
from lpmkit.board.folds import failure, folds
from lpmkit.board.happened import happened
from lpmkit.board.language import in_language
from lpmkit.board.model import Board, Fold
from lpmkit.board.provisional import (
    AWAITED_NS,
    LATE_NS,
    WITNESSES,
    Cause,
    SharedSilence,
    common_gap,
    explained,
    silent_since,
)
from lpmkit.board.tiles import tiles
from lpmkit.board.view import View
from lpmkit.board.wording import at_most
from lpmkit.board.workload import (
    alert_entries,
    alert_marks,
    databases_of,
    sap_answers,
    sap_systems_of,
    since_the_run_began,
)
from lpmkit.control.base import Order
from lpmkit.errors import RecordError
from lpmkit.json_values import JsonObject
from lpmkit.migration.ends import BothEnds
from lpmkit.migration.phases import Phase
from lpmkit.migration.status import RunStatus, State, order_of
from lpmkit.oracle.rules import Classified
from lpmkit.plots.colours import kind_of, lane_order
from lpmkit.plots.live import WINDOW_S, Band, Lanes, LanesPicture, Window, lanes_svg
from lpmkit.runs.cells import Int64Array
from lpmkit.runs.folder import Run
from lpmkit.runs.samples import Columns, Piece, SampleFile, columns, pieces
from lpmkit.timeline import Clock
from lpmkit.wording.words import Words, words_of

#: Documents of a run that the board shows.
_DOCUMENTS = ("validation", "findings", "prediction", "summary", "survey")
_ENDED = (Phase.SETTLED, Phase.FAILED, Phase.STOPPED, Phase.NEEDS_RECOVERY)
#: The frozen lanes show this time at least, and this many times the length of the suspension.
FROZEN_S, FROZEN_LENGTHS = 8.0, 4.0
#: The silence is searched for from this long before the last phase of the move to this long after it.
_AROUND_S = 20.0
LANES_TEXT = "Signs of life, a lane for each probe; the lanes in words have the same data"


def board_of(
    run: Run, clock: Clock | None = None, summary: Mapping[str, Any] | None = None, language: str = "en"
) -> Board:
    """The board of a run folder at this moment. ``summary`` is its analysis where that is not in the folder."""
    return FollowedRun(run, clock, summary=summary, language=language).board()


class FollowedRun:
    """A run whose board is drawn again and again. ``status`` may be shared with the buttons beside the board."""

    def __init__(
        self,
        run: Run,
        clock: Clock | None = None,
        status: RunStatus | None = None,
        summary: Mapping[str, Any] | None = None,
        language: str = "en",
    ) -> None:
        self.words: Words = words_of(language)
        self.run, self._clock = run, clock or Clock()
        self.status = status or RunStatus(run, self._clock)
        self._order = _order_shown(run)
        self._lanes = Lanes(run, self._clock)
        self._summary = summary
        self._documents: dict[str, tuple[int, Any]] = {}
        self._unreadable: dict[str, str] = {}
        self._sap: dict[str, dict[str, JsonObject]] = {}
        self._alerts: dict[str, list[tuple[JsonObject, Classified]]] = {}
        self._folds: tuple[Fold, ...] = ()
        self._gap: SharedSilence | None = None
        self._breaks: list[SharedSilence] = []
        #: Silences that were explained by their end, each with the moment up to which the samples were known.
        self._explained: dict[int, tuple[int, SharedSilence]] = {}
        #: The pieces of the samples files, as they were at the last look.
        self._pieces: dict[SampleFile, list[Piece]] = {}
        self._searched: str | None = None
        self._frozen: LanesPicture | None = None

    def board(self, *, full: bool = True, looked: tuple[BothEnds, int] | None = None) -> Board:
        """The board now. Without ``full`` the answers of SAP and the folds are those of the last full one.

        ``looked`` are both managers' answers to a manual query, and its time (monotonic nanoseconds).
        """
        now = self.status.state()
        self._lanes.follow()
        if full or not self._folds:
            self._sap = {sid: sap_answers(self.run, sid) for sid in sap_systems_of(self.run)}
        self._alerts = {sid: alert_entries(self.run, sid) for sid in databases_of(self.run)}
        view = self._view(now, looked)
        if full or not self._folds:
            self._folds = folds(view)
        order = f"{view.order.source} → {view.order.target}" if view.order else "watch"
        board = Board(
            self.run.name,
            str(self.run.path),
            f"{view.partition}  {order}",
            banner(view),
            tiles(view),
            self._picture(view),
            happened(view),
            failure(view),
            self._folds,
            view.is_live,
        )
        return in_language(board, self.words)

    def _view(self, now: State, looked: tuple[BothEnds, int] | None) -> View:
        proposal = self.status.proposal(looked) if self._order is not None and _is_readable(self.run) else None
        events = self.status.events
        still = None
        if now.recorded and now.phase in (Phase.COPYING, Phase.SWITCHED):
            still = silent_since(self._witnesses(), self._lanes.written_to_ns())
        self._search(now)
        return View(
            self.run,
            self._order,
            now,
            self._lanes.end_ns if not now.recorded else self._clock.mono_ns(),
            events[-1].wall_ns - events[-1].mono_ns if events else 0,
            events,
            self.status.forecast,
            proposal[0] if proposal else None,
            self._gap,
            tuple(self._breaks),
            still,
            self._lanes.words(),
            {name: self._document(name) for name in _DOCUMENTS},
            tuple(self._unreadable.values()),
            self._sap,
            {sid: since_the_run_began(self.run, sid, rows, events) for sid, rows in self._alerts.items()},
            self.status.broken_state,
            self.words,
        )

    def _document(self, name: str) -> Any:
        """A document, read again where its file has changed."""
        if name == "summary" and self._summary is not None:
            return self._summary
        try:
            stamp = (self.run.path / f"{name}.json").stat().st_mtime_ns
        except FileNotFoundError:
            return None
        if self._documents.get(name, (0, None))[0] != stamp:
            self._documents[name] = stamp, self._parsed(name)
        return self._documents[name][1]

    def _parsed(self, name: str) -> Any:
        """A document, ``None`` where it cannot be read; the board says which."""
        try:
            found = self.run.document(name)
        except RecordError as error:
            self._unreadable[name] = str(error)
            return None
        self._unreadable.pop(name, None)
        return found

    # -- the suspension ------------------------------------------------------------------------------------------------

    def _witnesses(self) -> dict[str, Int64Array]:
        return {name: times for name, times in self._lanes.answered.items() if kind_of(name) in WITNESSES}

    def _search(self, now: State) -> None:
        """Look for the silence that the probes share: in the lanes while it moves, once in the files afterwards."""
        since = self._since(Phase.ASKED, Phase.STARTING, Phase.COPYING)
        if since is None:
            return
        if now.recorded and now.phase not in _ENDED:
            found = self._suspension(self._witnesses(), since)
            if found is not None and (self._gap is None or found.length_s > self._gap.length_s or self._same(found)):
                self._gap = found
            return
        key = f"{now.phase} {now.is_over} {self._document('summary') is not None}"
        if self._searched != key:  # the samples after the end may be written later
            self._searched = key
            self._gap = self._suspension(self._around(since), since) or self._gap
            self._frozen = None

    def _suspension(self, answered: Mapping[str, Int64Array], since_ns: int) -> SharedSilence | None:
        """The longest silence that the probes share and that is not known to be a break of the network."""
        while (found := common_gap(answered, since_ns, self._breaks)) is not None:
            found = self._explain(found)
            if found.cause is not Cause.NETWORK:
                return found
            self._breaks.append(found)
            if self._gap is not None and self._same(found):
                self._gap = None
        return None

    def _same(self, other: SharedSilence) -> bool:
        """True for the silence that is shown now, explained meanwhile."""
        return self._gap is not None and self._gap.end_ns == other.end_ns

    def _explain(self, gap: SharedSilence) -> SharedSilence:
        """The silence with its cause, worked out again while its late ticks may come."""
        seen_ns, told = self._explained.get(gap.end_ns, (gap.end_ns, gap))
        now_ns = self._lanes.written_to_ns() if self.run.is_live() else gap.end_ns + AWAITED_NS
        if seen_ns - gap.end_ns < AWAITED_NS and now_ns - seen_ns >= LATE_NS:
            told = explained(gap, self._rows(gap.begin_ns - 2 * 10**9, gap.end_ns + AWAITED_NS))
            self._explained[gap.end_ns] = now_ns, told
        return told

    def _since(self, *phases: Phase) -> int | None:
        wanted = {phase.value for phase in phases}
        told = (e.mono_ns for e in self.status.events if e.kind == "phase" and e.data.get("phase") in wanted)
        return next(told, None)

    def _around(self, since_ns: int) -> dict[str, Int64Array]:
        """The heartbeats around the end of the move, from the files."""
        ended = self._since(*_ENDED)
        end = (ended if ended is not None else self._lanes.end_ns) + int(_AROUND_S * 1e9)
        phases = [e.mono_ns for e in self.status.events if e.kind == "phase" and e.mono_ns < end]
        begin = max(since_ns, min(phases[-2:], default=since_ns) - int(_AROUND_S * 1e9))
        return self._read(begin, end)

    def _read(self, begin_ns: int, end_ns: int) -> dict[str, Int64Array]:
        """The heartbeats of every probe between two moments."""
        found = {name: rows.answered_ns for name, rows in self._rows(begin_ns, end_ns).items()}
        within = {name: times[(times >= begin_ns) & (times <= end_ns)] for name, times in found.items()}
        return {name: np.sort(within[name]) for name in sorted(within, key=lane_order)}

    def _rows(self, begin_ns: int, end_ns: int) -> dict[str, Columns]:
        """The samples of every probe around two moments, and those that are stored beside them."""
        near: dict[str, list[Piece]] = {}
        for file in self.run.sample_files():
            if not file.probe.startswith("observer"):
                self._pieces[file] = pieces(file, {}, self._pieces.get(file, ()))
                wanted = [one for one in self._pieces[file] if one.hi_ns >= begin_ns and one.lo_ns <= end_ns]
                near.setdefault(file.probe, []).extend(wanted)
        return {name: columns(wanted) for name, wanted in near.items()}

    # -- the lanes -----------------------------------------------------------------------------------------------------

    def _picture(self, view: View) -> LanesPicture:
        words = tuple(view.lanes)
        if self._gap is not None and view.now.phase in _ENDED:
            if self._frozen is None:
                self._frozen = self._freeze(view, self._gap)
            return LanesPicture(self._frozen.title, self._frozen.svg, words)
        unit = "seconds ago" if view.now.recorded else "seconds before the newest sign of life"
        end = self._lanes.end_ns
        window = Window(end - int(WINDOW_S * 1e9), end, 0, unit, view.to_wall_ns)
        marks = [alert_marks(sid, entries) for sid, entries in view.alerts.items() if view.now.has_begun]
        svg = lanes_svg(self._lanes.answered, window, marks, self._bands(view), LANES_TEXT, self.words.said)
        return LanesPicture(f"Signs of life, last {WINDOW_S:.0f} s", svg, words)

    def _freeze(self, view: View, gap: SharedSilence) -> LanesPicture:
        """The lanes around the suspension, as they stay."""
        aside = max(FROZEN_S, FROZEN_LENGTHS * gap.length_s) / 2
        begin, end = (round((gap.begin_ns + gap.end_ns) / 2 + sign * aside * 1e9) for sign in (-1, 1))
        window = Window(begin, end, gap.begin_ns, "seconds from the start of the suspension", view.to_wall_ns)
        marks = [alert_marks(sid, entries) for sid, entries in view.alerts.items()]
        bounds = bounds_of(view.summary) if view.summary else None
        name = f"{bounds[0]:.3f} … {bounds[1]:.3f} s" if bounds else f"≤ {at_most(gap.length_s)} s"
        band = Band(gap.begin_ns, gap.end_ns, name, is_gap=True)
        bands = [*self._bands(view), band]
        svg = lanes_svg(self._read(begin, end), window, marks, bands, LANES_TEXT, self.words.said)
        return LanesPicture("The suspension, by its probes", svg)

    def _bands(self, view: View) -> list[Band]:
        """The phases behind the lanes."""
        phases = [(e.mono_ns, str(e.data.get("phase"))) for e in view.events if e.kind == "phase"]
        ends = [at for at, _ in phases[1:]] + [max(view.now_ns, self._lanes.end_ns)]
        return [Band(begin, end, name) for (begin, name), end in zip(phases, ends, strict=False)]


def _order_shown(run: Run) -> Order | None:
    """The order of a run as far as it can be shown: an odd one is no reason to show nothing. ``None`` of a watch."""
    data = run.manifest.get("order")
    if not isinstance(data, dict):
        return None
    partition, source, target = (str(data.get(name) or "?") for name in ("partition", "source", "target"))
    return Order(partition, source, target, str(data.get("target_machine") or ""), "", "")


def _is_readable(run: Run) -> bool:
    """True where the order could be carried out: without it nothing can be proposed."""
    try:
        order_of(run)
    except RecordError:
        return False
    return True


def title_of(board: Board) -> str:
    """The state as the title of a browser's tab: sign, figure, partition."""
    return f"{board.banner.title} · {board.order.partition('  ')[0]}"
