"""Each phase of a move, and each thing that may die in it: the right end, the right proposal, and one partition that
runs once.

The recorder's own monitor asks the simulated managers, in this process and without probes. Afterwards somebody does
what lpmkit proposes, and nothing else.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from lpmkit.config import Site
from lpmkit.control.base import Order
from lpmkit.migration.ends import look, recorded
from lpmkit.migration.leftovers import left_behind
from lpmkit.migration.phases import MoveState, Observation, Phase, next_state
from lpmkit.migration.recovery import STILL_S, Proposal, RecoveryAction, propose
from lpmkit.recorder import monitor as monitor_module
from lpmkit.recorder.monitor import MigrationMonitor
from lpmkit.recorder.order import RecordingOrder
from lpmkit.simulator.chassis import RUNNING
from lpmkit.simulator.move_changes import set_partition
from lpmkit.ssh.secrets import Secrets
from lpmkit.timeline import Clock, Event, wait_until
from tests.in_process import Place

PHASES = ("validate", "prepare", "copy", "suspend", "fetch", "finish")
SOURCE, TARGET = "source", "target"


@dataclass(frozen=True)
class End:
    """The end of a move that lost something: its phase, what is proposed one after the other, where the partition runs
    then, and whether the other end keeps something.
    """

    phase: Phase
    ways: tuple[RecoveryAction, ...]
    runs_on: str
    keeps: bool = False


GOES_ON = End(Phase.SETTLED, (), TARGET)
NEVER_BEGAN = End(Phase.FAILED, (), SOURCE)
BACK = End(Phase.NEEDS_RECOVERY, (RecoveryAction.RECOVER,), SOURCE)
THERE = End(Phase.NEEDS_RECOVERY, (RecoveryAction.RECOVER,), TARGET)
STARTED_THERE = End(Phase.NEEDS_RECOVERY, (RecoveryAction.RECOVER, RecoveryAction.START), TARGET)
FORCED_BACK = End(Phase.NEEDS_RECOVERY, (RecoveryAction.RECOVER, RecoveryAction.FORCE), SOURCE, keeps=True)
FORCED_AND_STARTED = End(
    Phase.NEEDS_RECOVERY, (RecoveryAction.RECOVER, RecoveryAction.FORCE, RecoveryAction.START), SOURCE, keeps=True
)

#: Under an HMC, in the order of `PHASES`.
HMC_ENDS = {
    "mover-dies": (NEVER_BEGAN, BACK, BACK, BACK, STARTED_THERE, THERE),
    "link-dies": (NEVER_BEGAN, BACK, BACK, NEVER_BEGAN, STARTED_THERE, THERE),
    "drop-ssh:hmc02": (GOES_ON, GOES_ON, GOES_ON, GOES_ON, GOES_ON, GOES_ON),
    "rmc-lost": (NEVER_BEGAN, BACK, BACK, BACK, THERE, THERE),
    "hmc-restarts": (NEVER_BEGAN, BACK, BACK, BACK, THERE, THERE),
    "target-power-lost": (NEVER_BEGAN, FORCED_BACK, FORCED_BACK, FORCED_BACK, FORCED_AND_STARTED, FORCED_AND_STARTED),
}
#: Under an IVM the target's manager dies with its server, and nobody can say whether it has power: nothing is forced,
#: and it is recovered when power is back.
POWER_BACK = (RecoveryAction.RECOVER, RecoveryAction.HANDS_OFF, RecoveryAction.RECOVER)
IVM_ENDS = {
    "mover-dies": HMC_ENDS["mover-dies"],
    "link-dies": HMC_ENDS["link-dies"],
    "drop-ssh:bvio82": HMC_ENDS["drop-ssh:hmc02"],
    "rmc-lost": HMC_ENDS["rmc-lost"],
    "target-power-lost": (
        NEVER_BEGAN,
        *[End(Phase.NEEDS_RECOVERY, POWER_BACK, SOURCE)] * 3,
        *[End(Phase.NEEDS_RECOVERY, (*POWER_BACK, RecoveryAction.START), TARGET)] * 2,
    ),
}
CASES = [
    pytest.param(landscape, fault, phase, end, id=f"{landscape}-{fault.partition(':')[0]}-{phase}")
    for landscape, ends in (("p8pair", HMC_ENDS), ("js22", IVM_ENDS))
    for fault, row in ends.items()
    for phase, end in zip(PHASES, row, strict=True)
]
WHO = {"p8pair": ("p8aix01", "p8a", "p8b"), "js22": ("bxaix85", "bvio82", "bvio83")}


@dataclass
class Book:
    """The events that the monitor writes, as a run folder would hold them."""

    clock: Clock
    events: list[Event] = field(default_factory=list)

    def post(self, write: Callable[[Any], object]) -> None:
        write(self)

    def event(self, source: str, kind: str, /, **data: Any) -> Event:
        made = Event(self.clock.mono_ns(), self.clock.wall_ns(), 1, source, kind, data)
        self.events.append(made)
        return made

    def commit(self, source: str, kind: str, /, **data: Any) -> Event:
        return self.event(source, kind, **data)

    def reply(self, reply: object) -> None:
        """The transcript is not looked at here."""


@dataclass
class Watched:
    """A move that is followed to its end."""

    site: Place
    order: Order
    book: Book
    monitor: MigrationMonitor
    clock: Hurried

    def proposal(self) -> Proposal:
        inactive, still_s, stop_refused, recover_refused = recorded(self.book.events, self.order.source)
        ends = look(
            self.order,
            self.site.control(self.order.source),
            self.site.control(self.order.target),
            inactive=inactive,
            still_s=still_s,
            stop_refused=stop_refused,
            recover_refused=recover_refused,
        )
        return propose(ends)

    def obey(self) -> list[Proposal]:
        """Do what is proposed until hands are to be kept off; the power of the target comes back when nothing else can
        be done.
        """
        done: list[Proposal] = []
        while len(done) < 8:
            assert wait_until(
                lambda: self.proposal().rule not in ("nobody-answers", "source-silent"),
                clock=self.clock,
                timeout_s=20,
                every_s=0.01,
            )
            said = self.proposal()
            if said.action is RecoveryAction.HANDS_OFF and said.rule != "failed-target-silent":
                return done
            done.append(said)
            self._act(said)
        raise AssertionError(f"it does not end: {[one.rule for one in done]}")

    def _act(self, said: Proposal) -> None:
        if said.action in (RecoveryAction.RECOVER, RecoveryAction.FORCE):
            self.monitor.recover(force=said.action is RecoveryAction.FORCE)
        elif said.action is RecoveryAction.HANDS_OFF:
            self.site.power(self.order.target)
        elif said.action is RecoveryAction.START:
            named = shlex.split(said.commands[0])[4]
            systems = {self.site.control(name).system().name: name for name in (self.order.source, self.order.target)}
            frame = systems[named]
            self.site.chassis.change(lambda world: set_partition(world, frame, self.order.partition, state=RUNNING))
        elif said.action is RecoveryAction.STOP:
            self.monitor.stop()
        elif said.action is RecoveryAction.CLEAN:
            raise AssertionError("nothing here needs a hand")


class Hurried(Clock):
    """A clock on which nothing waits for longer than a moment, and which may be put forward."""

    ahead_ns = 0

    def mono_ns(self) -> int:
        return super().mono_ns() + self.ahead_ns

    def sleep(self, seconds: float) -> None:
        super().sleep(min(seconds, 0.005))


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Watched]]:
    monkeypatch.setattr(monitor_module, "NO_REPLY_S", 0.5)  # for a command that an HMC loses when it restarts
    up: list[Place] = []

    def begin(site: Place, partition: str, source: str, target: str) -> Watched:
        up.append(site)
        clock, order = Hurried(), site.order(partition, source, target)
        book = Book(clock)
        plan = RecordingOrder("move", Site(), (), lead_in_s=0.0, tail_s=0.0, poll_s=0.2, order=order)
        monitor = MigrationMonitor(
            plan,
            order,
            Secrets(),
            book.post,
            clock,
            MoveState(Phase.PREPARED),
            control=lambda _, frame, **__: site.control(frame),
        )
        return Watched(site, order, book, monitor, clock)

    yield begin
    for site in up:
        site.close()


def looked(move: Watched) -> MoveState:
    """The state of the move after one more look."""
    move.monitor.poll()
    return move.monitor.state


def followed(move: Watched) -> Phase:
    """Ask for the move and look until it is over."""
    move.monitor.source_reading()
    asking = threading.Thread(target=move.monitor.ask_to_move, daemon=True)
    asking.start()
    asking.join(20)
    assert wait_until(lambda: looked(move).phase.is_final, clock=move.clock, timeout_s=20, every_s=0.002), [
        event.data for event in move.book.events[-5:]
    ]
    return move.monitor.state.phase


def runs_on(site: Place, partition: str) -> list[str]:
    """The frames on which the partition really runs, which no manager is asked for."""
    return [
        found.frame
        for found in site.world.partitions
        if found.name == partition and not found.is_shell and found.state == RUNNING
    ]


@pytest.mark.parametrize(("landscape", "fault", "phase", "end"), CASES)
def test_whatever_dies_in_whatever_phase_the_partition_runs_once_and_what_is_left_is_told(
    watched: Callable[..., Watched], landscape: str, fault: str, phase: str, end: End
) -> None:
    partition, source, target = WHO[landscape]
    settings = ",delay=0.05" if fault.startswith(("drop-ssh", "hmc-restarts")) else ""
    move = watched(Place(landscape, [f"{fault},when={phase}{settings}"]), partition, source, target)
    assert followed(move) is end.phase
    done = move.obey()
    assert tuple(one.action for one in done) == end.ways
    assert runs_on(move.site, partition) == [{SOURCE: source, TARGET: target}[end.runs_on]]
    left = left_behind(move.site.survey(move.order))
    assert left is not None
    other = {SOURCE: target, TARGET: source}[end.runs_on]
    assert {one.frame for one in left} == ({other} if end.keeps else set())
    assert bool(left) == (move.site.world.partition(other, partition) is not None)


def test_what_a_forced_recovery_leaves_on_a_target_without_power_is_named_to_the_last_adapter(
    watched: Callable[..., Watched],
) -> None:
    move = watched(Place("p8pair", ["target-power-lost,when=copy"]), "p8aix01", "p8a", "p8b")
    followed(move)
    move.obey()
    move.site.power("p8b")
    assert (move.proposal().action, move.proposal().rule) == (RecoveryAction.CLEAN, "shell-left-there")
    left = left_behind(move.site.survey(move.order))
    assert left is not None
    words = [one.what for one in left]
    assert words[0].startswith("the partition p8aix01 (id ")
    assert sum("virtual SCSI server adapter" in one for one in words) == 2
    assert any("the virtual target p8aix01_rvg on vhost0 of p8b-vios2 (hdisk4)" in one for one in words)


def test_a_copy_that_stands_still_for_minutes_is_to_be_stopped_and_then_recovered(
    watched: Callable[..., Watched],
) -> None:
    move = watched(Place("p8pair", ["mover-hangs"]), "p8aix01", "p8a", "p8b")
    move.monitor.source_reading()
    threading.Thread(target=move.monitor.ask_to_move, daemon=True).start()
    assert wait_until(lambda: looked(move).phase is Phase.COPYING, clock=move.clock, timeout_s=20, every_s=0.005)
    move.monitor.poll()
    assert move.proposal().action is RecoveryAction.WAIT

    def later() -> RecoveryAction:
        move.clock.ahead_ns += int((STILL_S + 1) * 1e9)
        move.monitor.poll()
        return move.proposal().action

    assert wait_until(lambda: later() is not RecoveryAction.WAIT, clock=Clock(), timeout_s=20)
    assert [one.action for one in move.obey()] == [RecoveryAction.STOP, RecoveryAction.RECOVER]
    assert runs_on(move.site, "p8aix01") == ["p8a"]


def test_a_partition_that_is_not_activated_moves_too_and_is_not_activated_there(
    watched: Callable[..., Watched],
) -> None:
    move = watched(Place("p8pair"), "p8aix06", "p8a", "p8b")
    assert followed(move) is Phase.SETTLED
    assert move.monitor.inactive is True
    assert move.obey() == []
    assert move.proposal().rule == "settled-inactive"
    there = move.site.world.partition("p8b", "p8aix06")
    assert there is not None
    assert there.state == "Not Activated"
    assert left_behind(move.site.survey(move.order)) == ()


def test_an_active_partition_that_arrives_without_running_has_not_moved_well(watched: Callable[..., Watched]) -> None:
    """The same readings that are the success of an inactive move."""
    move = watched(Place("p8pair", ["link-dies,when=fetch"]), "p8aix01", "p8a", "p8b")
    followed(move)
    move.monitor.recover(force=False)
    assert move.proposal().rule == "down-there"
    assert (
        replace(move.proposal(), readings=())
        .commands[0]
        .startswith(f"chsysstate -r lpar -m {move.site.control('p8b').system().name} -o on -n p8aix01")
    )


class _Contended:
    """A lock that notes when somebody has to wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.is_waited_for = threading.Event()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self.is_waited_for.set()
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_a_stop_that_is_asked_while_a_poll_is_weighed_is_not_lost(
    watched: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor = watched(Place("p8pair"), "p8aix01", "p8a", "p8b").monitor
    monitor.state = MoveState(Phase.COPYING)
    turn = _Contended()
    monkeypatch.setattr(monitor, "_turn", turn)
    stopping = threading.Thread(target=monitor.stop, daemon=True)

    def weighed(standing: MoveState, seen: Observation) -> MoveState:
        stopping.start()
        assert wait_until(lambda: turn.is_waited_for.is_set() or not stopping.is_alive(), clock=Clock(), timeout_s=20.0)
        return next_state(standing, seen)

    monkeypatch.setattr(monitor_module, "next_state", weighed)
    monitor.poll()
    stopping.join(timeout=20.0)
    assert monitor.state.stop_asked
