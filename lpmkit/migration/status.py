"""The state of a run, from its folder alone: phase, progress, and the requests that apply now.

`state` reads a folder once, `RunStatus` follows one that grows; `refusals` says of every request why it does not apply.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields, replace

from lpmkit.control.base import MigrationReading, Order
from lpmkit.errors import NotAllowed, RecordError, UsageError
from lpmkit.migration.ends import BothEnds, EndReading, stillness_s, tried
from lpmkit.migration.phases import Phase, Progress, needs_recovery, progress
from lpmkit.migration.recovery import ENDED, STOPPABLE, Proposal, RecoveryAction, propose, wait_for
from lpmkit.runs.folder import Run
from lpmkit.timeline import Clock, Event

#: Readings of both ends belong together when they are no further apart.
TOGETHER_S = 10.0
#: Phases of a migration that a recorder follows and that has not ended.
UNDER_WAY = frozenset({Phase.ASKED, Phase.STARTING, Phase.COPYING, Phase.SWITCHED})
#: Time for which a manual query of both managers stays valid beside newer polls of one of them.
LOOK_HOLDS_S = 60.0


@dataclass(frozen=True, slots=True)
class State:
    """The state of a run at one moment."""

    phase: Phase | None
    recorded: bool
    ended: str | None
    progress: Progress
    trouble: tuple[str, ...] = ()
    lead_in_left_s: float | None = None
    #: The move and its tail are over; SAP's logs are still read for this time.
    reads_on_s: float | None = None
    has_begun: bool = False
    #: When the phase began (monotonic nanoseconds of this boot), where it ends the move.
    final_ns: int | None = None

    @property
    def is_over(self) -> bool:
        """Nothing more will be written unless somebody attaches, but for logs that are read on."""
        return self.ended is not None or not self.recorded or self.reads_on_s is not None

    @property
    def is_deserted(self) -> bool:
        """True if the recorder died during the run; `attach` starts another."""
        return self.has_begun and not self.recorded and self.ended is None


def confirmed(proposal: Proposal, now: State) -> Proposal:
    """A proposal as far as the recorder's phase bears it out: no state of before the move, or of a moment, ends one."""
    if now.recorded and now.phase in UNDER_WAY and proposal.rule in ENDED:
        return wait_for(proposal, listed=now.phase is not Phase.ASKED)
    return proposal


class RunStatus:
    """The state of a run, followed as its folder grows: each call reads only the events written since the last one.

    Of repeated events (readings, forecasts, the clock) it keeps the newest and the byte counters, of the others every
    one.
    """

    def __init__(self, run: Run, clock: Clock | None = None) -> None:
        self.run, self._clock = run, clock or Clock()
        self._source = (run.manifest.get("order") or {}).get("source")
        self._guard = threading.Lock()
        self._read_to = 0
        #: Every event so far that is told once.
        self.events: list[Event] = []
        #: The last state of a migration that had failed, as a manager named it; empty where none had.
        self.broken_state = ""
        self._sent: list[tuple[int, int | None, int | None]] = []
        #: The last reading of each end, and its time.
        self._ends: dict[str, tuple[int, EndReading]] = {}
        self._forecast: Event | None = None
        self._inactive: bool | None = None
        self._systems: dict[str, str] = {}

    def state(self) -> State:
        """The state of the run now."""
        with self._guard:
            self._follow()
            return self._state()

    @property
    def forecast(self) -> Event | None:
        """The newest forecast of the rest of the copy."""
        return self._forecast

    def proposal(self, looked: tuple[BothEnds, int] | None = None) -> tuple[Proposal, int] | None:
        """The recovery action by the last states of both ends, and the time of the source's (monotonic nanoseconds).

        ``None`` before a manager was asked, and of a watch. ``looked`` are the states at a manual query, and its time.
        They count where they are the newest; for an end without a record they count for `LOOK_HOLDS_S`.
        """
        with self._guard:
            self._follow()
            if self._source not in self._ends and looked is None:
                return None
            order = order_of(self.run)
            now = self._state()
            nobody = 0, EndReading(order.target, why_not="not asked lately")
            source = self._ends.get(order.source, (0, EndReading(order.source, why_not="not asked yet")))
            target = self._ends.get(order.target, nobody)
            if source[0] - target[0] > TOGETHER_S * 1e9:
                target = (
                    nobody  # a recorder asks it when it matters; what it said before the move is no word on the move
                )
            if looked is not None:
                ends, at = looked
                holds = at > source[0] or self._clock.mono_ns() - at <= LOOK_HOLDS_S * 1e9
                source = (at, ends.source) if at > source[0] else source
                target = (at, ends.target) if at > target[0] and holds else target
            answers = [event.data for event in self.events if event.kind == "answer"]
            still_s = stillness_s([(at, sent) for at, sent, _ in self._sent])
            ends_now = (self._named(source[1]), self._named(target[1]))
            seen = BothEnds(order, *ends_now, bool(self._inactive), still_s, *tried(answers))
            return confirmed(propose(seen, str(self.run.path)), now), source[0]

    def _named(self, end: EndReading) -> EndReading:
        """An end with its system's name as the survey has it: a reading alone has none, and commands need it."""
        if not self._systems:
            self._systems = system_names(self.run)
        return replace(end, system_name=end.system_name or self._systems.get(end.frame))

    def _follow(self) -> None:
        came, self._read_to = self.run.events_from(self._read_to)
        for event in came:
            if event.kind == "reading":
                self._hear(event)
            elif event.kind == "forecast":
                self._forecast = event
            elif event.kind != "clock":
                self.events.append(event)
            if event.kind == "control-lost":
                where = str(event.data["where"])
                self._ends[where] = event.mono_ns, EndReading(where, why_not=str(event.data["error"]))

    def _hear(self, event: Event) -> None:
        where = str(event.data["where"])
        reading = {field.name: event.data.get(field.name) for field in fields(MigrationReading)}
        told = MigrationReading(**reading)
        self._ends[where] = event.mono_ns, EndReading(where, told)
        if needs_recovery(told):
            self.broken_state = told.migration_state or ""
        if where != self._source:
            return
        if self._inactive is None:
            self._inactive = event.data.get("partition_state") == "Not Activated"
        self._sent.append((event.mono_ns, event.data.get("bytes_transmitted"), event.data.get("bytes_remaining")))

    def _state(self) -> State:
        run = self.run
        phase = Phase.PREPARED if run.manifest["mode"] == "move" else None
        ended = reads_on = final_ns = None
        trouble: list[str] = []
        for event in self.events:
            if event.kind == "phase":
                phase = Phase(event.data["phase"])
                final_ns = event.mono_ns if phase.is_final else None
            elif event.kind == "recorder-ended":
                ended = event.data["reason"]
            elif event.kind == "recorder-started":
                ended = reads_on = None
            elif event.kind == "tail-over":
                reads_on = float(event.data["goes_on_s"])
            elif event.kind == "disk-full":
                trouble.append(
                    f"{run.path}: {event.data['error']}. Free some space: what cannot be written waits in the "
                    "recorder's memory."
                )
            elif event.kind == "guard":
                trouble.append(f"guard: {event.data.get('text')}")
            elif event.kind in ("control-lost", "probe-trouble"):
                again = f" `lpmkit attach {run.path}` logs in again." if event.data.get("refused") is True else ""
                trouble.append(
                    f"{event.data.get('where') or event.data.get('probe')}: "
                    f"{event.data.get('error') or event.data.get('what')}{again}"
                )
        copied = progress(self._sent)
        if self._forecast is not None and self._sent:
            since_s = (self._sent[-1][0] - self._forecast.mono_ns) / 1e9
            copied = replace(copied, remaining_s=max(0.0, self._forecast.data["remaining_s"]["p50"] - since_s))
        lead_in = None
        if phase is Phase.PREPARED and self.events:
            lead_in = max(0.0, run.manifest["lead_in_s"] - (self._clock.mono_ns() - self.events[0].mono_ns) / 1e9)
        begun = bool(self.events)
        return State(phase, run.is_live(), ended, copied, tuple(trouble), lead_in, reads_on, begun, final_ns)


def refused_ends(run: Run) -> tuple[str, ...]:
    """The frames whose manager refused the recorder's login, and has not answered since."""
    refused: dict[str, bool] = {}
    for event in run.events():
        if event.kind in ("control-lost", "control-back"):
            refused[str(event.data["where"])] = event.kind == "control-lost" and event.data.get("refused") is True
    return tuple(frame for frame, is_so in refused.items() if is_so)


def system_names(run: Run) -> dict[str, str]:
    """The names of both managed systems by frame, from the run's survey; empty without one that can be read: a command
    without the name is not offered.
    """
    try:
        survey = run.document("survey")
    except RecordError:
        return {}
    sides = [survey.get(side) for side in ("source", "target")] if isinstance(survey, dict) else []
    return {
        str(side["name"]): str(side["frame"]["name"])
        for side in sides
        if isinstance(side, dict) and isinstance(side.get("frame"), dict) and side["frame"].get("name")
    }


def state(run: Run, clock: Clock | None = None) -> State:
    """The state of a run, read from its folder."""
    return RunStatus(run, clock).state()


@dataclass(frozen=True, slots=True)
class Refusals:
    """Reasons why a request does not apply to a move now.

    Empty where it applies. ``attach`` starts a recorder after one died.
    """

    stop: str
    recover: str
    force: str
    attach: str


def describe(now: State) -> str:
    """The lead-in or the copy's progress in words.

    An empty text where there is neither. Rate and rest are told while it copies.
    """
    if now.lead_in_left_s:
        return f"quiet lead-in, {now.lead_in_left_s:.0f} s to go"
    copied = now.progress
    if copied.transmitted is None:
        return ""
    text = f"{copied.transmitted / 1e6:,.0f} MB sent, {(copied.left or 0) / 1e6:,.0f} MB left, pass {copied.rounds}"
    if now.phase is not Phase.COPYING:
        return text
    text += f", {copied.bytes_per_s / 1e6:.0f} MB/s" if copied.bytes_per_s else ""
    return text + (f", about {copied.remaining_s:.0f} s to go" if copied.remaining_s is not None else "")


def refusals(now: State, proposal: Proposal | None) -> Refusals:
    """The requests that apply now: stop, recover, recover with force, attach.

    ``proposal`` is the recovery action, if known.
    """
    over = "the run is over" if now.has_begun else "no move has begun"
    attach = "" if now.is_deserted else "it is recorded" if now.recorded else over
    if now.phase in (None, Phase.PREPARED):
        stop = "no move has begun"
        if now.lead_in_left_s is not None:
            stop = "" if now.recorded else "this run is over; nothing was moved"
        return Refusals(stop, "there is no interrupted migration", "there is no interrupted migration", attach)
    why = proposal.why if proposal else "no manager has answered yet"
    recover = "" if proposal and proposal.action in (RecoveryAction.RECOVER, RecoveryAction.FORCE) else why
    force = (
        ""
        if proposal and proposal.action is RecoveryAction.FORCE
        else "an ordinary recovery comes first"
        if not recover
        else why
    )
    stop = why
    if now.phase is Phase.ASKED or (proposal and proposal.rule in STOPPABLE and not now.phase.is_final):
        stop = ""  # while it is only asked for, a manager may not list it yet
    elif now.phase in (Phase.FAILED, Phase.STOPPED):
        stop = "the migration has ended"
    elif now.phase is Phase.NEEDS_RECOVERY:
        stop = "the migration has ended in an intermediate state: recover"
    return Refusals(stop, recover, force, attach)


def still_observed(run: Run, clock: Clock | None = None) -> str:
    """The reason why a run cannot be judged for good yet, with the time to wait; empty where it is over.

    A run whose recorder died can be judged: its record says where it ends.
    """
    now = state(run, clock)
    if not now.recorded or now.is_over:
        return ""
    left_s = tail_left_s(run, now, (clock or Clock()).mono_ns())
    if left_s is not None:
        return f"The recording goes on for about {left_s:.0f} s after the move."
    return f"The recording goes on: {now.phase.value if now.phase else 'watching'}."


def refuse_unfinished(run: Run, clock: Clock | None = None) -> None:
    """Raise `NotAllowed` while a run is still observed and what is written about it would not be final."""
    why = still_observed(run, clock)
    if why:
        raise NotAllowed("the observation is not complete", where=run.name, next_step=f"{why} Wait.")


def tail_left_s(run: Run, now: State, now_ns: int) -> float | None:
    """Seconds of the post-migration window that are left; ``None`` outside it."""
    if now.phase not in (Phase.SETTLED, Phase.FAILED, Phase.STOPPED) or now.final_ns is None or now.is_over:
        return None
    return max(0.0, float(run.manifest.get("tail_s") or 0) - (now_ns - now.final_ns) / 1e9)


def order_of(run: Run) -> Order:
    """The order of a run. Raises `UsageError` for a watch, which has none."""
    data = run.manifest.get("order")
    if not data:
        raise UsageError("this run is a watch; it did not move a partition", where=run.name)
    mapping = data.get("mapping") or {}
    texts = {
        name: data.get(name)
        for name in ("partition", "source", "target", "target_machine", "target_address", "target_user")
    }
    odd = [name for name, value in texts.items() if not isinstance(value, str)]
    if not isinstance(mapping, dict) or not all(isinstance(one, str) for pair in mapping.items() for one in pair):
        odd.append("mapping")
    options, limits = data.get("options") or {}, data.get("limits") or {}
    if not isinstance(options, dict) or not all(isinstance(one, str) for pair in options.items() for one in pair):
        odd.append("options")
    if not isinstance(limits, dict):
        odd.append("limits")
    if odd:
        raise RecordError(
            f"its order cannot be read: {', '.join(odd)}", where=str(run.path), next_step="Prepare the move again."
        )
    return Order(**texts, mapping=mapping, options=options, limits=limits)
