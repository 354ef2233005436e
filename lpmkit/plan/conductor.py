"""The conductor: a detached process that executes one plan, independent of the front end that started it.

``python -m lpmkit.plan.conductor FOLDER`` with one line of JSON on standard input (the secrets of the front end).
It prepares, checks and validates each move at its turn, starts its recorder, and records its decisions at once. If
a conductor dies, another one continues in the same folder; moves under way continue meanwhile, since each has its
own recorder, and none is ever requested twice.

A move's run folder is recorded before the move is requested: a conductor that finds such a record and a run that never
began queues the move again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lpmkit.account.log_file import append
from lpmkit.account.person import Person
from lpmkit.background.requests import Inbox
from lpmkit.background.worker import given
from lpmkit.checks import Verdict
from lpmkit.config import Site
from lpmkit.control.base import Order
from lpmkit.errors import LpmError, NotApproved, RemoteError, StoreUnavailable
from lpmkit.inventory import Frame
from lpmkit.json_values import JsonObject
from lpmkit.mapping.movers import (
    MOVERS,
    REDUNDANT_ALWAYS_SINCE,
    MoverChoice,
    Redundancy,
    backup_of,
    choose_movers,
    named_movers,
    pairs_named,
    since_generation,
)
from lpmkit.migration.phases import Phase
from lpmkit.plan import MOVER_TAKES, MovePlan, PlannedMove
from lpmkit.plan.expecting import expectations, memberships
from lpmkit.plan.observing import PlanObservers
from lpmkit.plan.orders import order_for
from lpmkit.plan.outlook import DOCUMENT, to_document
from lpmkit.plan.page import PAGE_EVERY_S, write_page
from lpmkit.plan.reserving import collides, names_slots, not_as_ordered, reserved_by, with_own_id
from lpmkit.plan.schedule import (
    LOST,
    UNDER_WAY,
    Membership,
    Stage,
    UnderWay,
    cluster_mate,
    cluster_mate_elsewhere,
    halts,
    hold,
    least_busy,
    not_there_yet,
    queue,
)
from lpmkit.plan.sharing import (
    Other,
    OwnRoom,
    PlanRoom,
    reserved_by_others,
    room_of,
    slots_of_others,
    taken_by_others,
)
from lpmkit.plan.status import MoveStatus, PlanStatus, in_flight, plan_of, plan_status
from lpmkit.prediction.no_forecast import NoForecast, forecast_or_why
from lpmkit.report.page import write_report
from lpmkit.runbook import Runbook, SiteInventory
from lpmkit.runs.folder import Run
from lpmkit.runs.writer import RunWriter

#: Interval of polling the folders of the moves under way, in seconds.
LOOK_S = 0.5
#: Seconds until managers without room are asked again, unless a move of the plan ends earlier.
ASK_AGAIN_S = 30.0
#: Seconds until a store that did not answer is sent again what is given back.
STORE_AGAIN_S = 10.0
#: Seconds for which a plan whose moves are over waits for a store that does not answer, to give back its room.
STORE_PATIENCE_S = 600.0
#: Seconds without an answer of its hosts after which a move has failed.
PATIENCE_S = 900.0


class Conductor:
    """Executes the plan of one folder; ``writer`` holds its lock."""

    def __init__(
        self,
        folder: Run,
        writer: RunWriter,
        book: Runbook,
        report: Callable[[Path], object] | None = None,
        page: Callable[[Run], object] = write_page,
        room: PlanRoom | None = None,
    ) -> None:
        self.folder, self.writer, self.book = folder, writer, book
        self._write_report = report or partial(write_report, language=book.site.language)
        self._write_page = page
        self.plan: MovePlan = plan_of(folder)
        self.clock = book.clock
        self._inbox = Inbox(folder.path, self._note_once)
        #: Cluster software of the partitions prepared so far.
        self._clusters: dict[str, frozenset[Membership]] = {}
        #: Concurrent moves each mover of the frames asked so far takes; `MOVER_TAKES` if it reports none.
        self._takes: dict[str, int] = {}
        self._asked: set[str] = set()
        self._waiting: dict[str, str] = {}
        self._ask_at_ns = 0
        self._tried: dict[str, Stage] = {}
        self._trouble_since_ns: dict[str, int] = {}
        self._noted: set[str] = set()
        self._page_due_ns = 0
        self._room = room or OwnRoom()
        self._observers = PlanObservers(book, self.plan.observe_from, partial(writer.event, "conductor", "observed"))
        self._give_back_at_ns = 0
        #: Since when the store has not answered; ``None`` if it did last time.
        self._store_gone_ns: int | None = None

    def conduct(self) -> None:
        """Run until every move is over, or the plan halts with no move running."""
        self.writer.event("conductor", "conductor-started", pid=os.getpid())
        self._put_back()
        reason = "stopped by an error"
        try:
            while True:
                reason = self._carry_on()
                self._write_page(self.folder)
                if not self._read_on():
                    break
        finally:
            self.writer.event("conductor", "conductor-ended", why=reason)
        self._write_page(self.folder)

    def _carry_on(self) -> str:
        """Start and conclude moves while there is work; returns the reason for stopping."""
        while True:
            self._follow()
            self._obey()
            status = self._conclude()
            self._observers.look(status.moves)
            has_given_back = self._give_back(status)
            # A move that failed stays under way until its recorder has ended and its report is written.
            under_way = any(
                move.stage in (Stage.MOVING, Stage.WATCHING) or (move.now is not None and move.stage is Stage.FAILED)
                for move in status.moves
            )
            if (status.is_done or status.halted) and not under_way:
                if has_given_back or self._is_store_lost():
                    return status.halted or "every move is over"
                self.clock.sleep(LOOK_S)
            elif not self._start_next(status):
                self._renew_page()
                self.clock.sleep(LOOK_S)

    def _renew_page(self) -> None:
        """Write the page again once the last one is a minute old."""
        if self.clock.mono_ns() >= self._page_due_ns:
            self._write_page(self.folder)
            self._page_due_ns = self.clock.mono_ns() + PAGE_EVERY_S * 10**9

    def _read_on(self) -> bool:
        """Report the runs again whose SAP logs are read on after their move; true if a request arrived meanwhile."""
        reading = {
            move.run
            for move in self._course().moves
            if move.run is not None and move.ended_ns is not None and Run(move.run).is_recorded()
        }
        while reading:
            self._follow()
            if not self._inbox.is_empty:
                return True
            for path in [path for path in reading if not Run(path).is_recorded()]:
                reading.discard(path)
                self._report(Run(path))
            self.clock.sleep(LOOK_S)
        return not self._inbox.is_empty

    def _follow(self) -> None:
        """Notice a rename of the plan's folder. Raises `RecordError` if it was removed."""
        self.writer.follow()
        if self.writer.path != self.folder.path:
            self.folder = Run(self.writer.path)
            self._inbox.move(self.writer.path)
            self.writer.event("conductor", "note", text=f"the folder was renamed to {self.writer.path.name}")

    def _course(self) -> PlanStatus:
        return plan_status(self.folder, self.clock)

    def _put_back(self) -> None:
        """Queue the moves again that a died conductor had prepared but never started."""
        for move in self._course().moves:
            if _is_unrequested(move):
                self.writer.event("conductor", "put-back", partition=move.partition)

    def _give_back(self, status: PlanStatus) -> bool:
        """Give back the room of moves that are under way no more; false where the store does not answer, which is asked
        again later.
        """
        if self.clock.mono_ns() < self._give_back_at_ns:
            return False
        held = {move.partition for move in status.moves if move.stage in UNDER_WAY}
        try:
            self._room.hold_only(held)
        except LpmError as trouble:
            self._note_once(str(trouble))
            now = self.clock.mono_ns()
            self._give_back_at_ns, self._store_gone_ns = now + int(STORE_AGAIN_S * 1e9), self._store_gone_ns or now
            return False
        self._store_gone_ns = None
        return True

    def _is_store_lost(self) -> bool:
        """True once the store has not answered for so long that the plan ends without giving back its room."""
        if self._store_gone_ns is None or self.clock.mono_ns() - self._store_gone_ns < STORE_PATIENCE_S * 1e9:
            return False
        self._note_once(
            "the plan still holds room in the shared store, which does not answer: others wait for it. "
            f"`lpmkit plan go-on {self.folder.name}` gives it back once the store answers."
        )
        return True

    def _obey(self) -> None:
        """Execute the requests of front ends in their order."""
        for request in self._inbox.read():
            status = self._course()
            if request.what == "halt":
                self.writer.event("conductor", "halted", why="an operator asked to start no further move")
            elif request.what == "go-on":
                acknowledged = [
                    move.partition for move in status.moves if move.ended_ns is not None and move.stage in LOST
                ]
                self.writer.event("conductor", "goes-on", despite=acknowledged)
            elif request.what == "again" and (name := str(request.fields.get("partition"))) in status.stages:
                self._again(name, status)
            else:
                self._inbox.refuse(request, "this plan knows no such request or no such partition")
                continue
            self._inbox.remove(request)  # the front end waits for that

    def _again(self, partition: str, status: PlanStatus) -> None:
        """Queue a move again, together with the dropped ones: they are dropped again if their predecessor is still
        lost.

        """
        for name in (partition, *(move.partition for move in status.moves if move.stage is Stage.DROPPED)):
            self.writer.event("conductor", "again", partition=name)
        self.writer.event("conductor", "goes-on", despite=[])

    def _conclude(self) -> PlanStatus:
        """Record finished moves, write their reports, halt if the plan requires it; returns the status after that."""
        concluded = [self._conclude_one(move) for move in self._course().moves]
        if any(concluded):
            self._write_page(self.folder)
        status = self._course()
        acknowledged = self._gone_on_from()
        why = halts(self.plan, {name: stage for name, stage in status.stages.items() if name not in acknowledged})
        if why is None or status.halted is not None:
            return status
        self.writer.event("conductor", "halted", why=why)
        return self._course()

    def _gone_on_from(self) -> set[str]:
        """Failures that an operator has acknowledged by continuing."""
        acknowledged: set[str] = set()
        for event in self.folder.events():
            if event.kind == "goes-on":
                acknowledged |= set(event.data["despite"])
            elif event.kind == "again":
                acknowledged.discard(event.data["partition"])
        return acknowledged

    def _conclude_one(self, move: MoveStatus) -> bool:
        """Record the end of a move, with its report; false while it runs or waits for recovery.

        A recorder that died is replaced.
        """
        if move.run is None or move.now is None or move.stage is Stage.RECOVERY:
            return False
        run = Run(move.run)
        try:
            attached = self.book.attach(run)
        except LpmError as trouble:
            # Tried again at the next poll; neither the migration nor the other moves depend on it.
            self._note_once(f"the recorder of {run.name} has died, and none can be started: {trouble}")
            return False
        if attached:
            self.writer.event("conductor", "note", text=f"the recorder of {run.name} had died; it was restarted")
            return False
        if not move.now.is_over or not self._observers.have_ended(run):
            return False
        verdict, line = self._report(run)
        stage: Stage = move.stage
        why = move.why
        if move.stage is Stage.WATCHING:
            otherwise = not_as_ordered(run)
            stage = Stage.FAILED if verdict == "failed" or otherwise else Stage.ARRIVED
            why = f"on the target, but not as ordered: {otherwise}. {line}" if otherwise else line
        elif move.stage is Stage.MOVING:
            requested = move.now.phase is not Phase.PREPARED
            stage = Stage.RECOVERY if requested else Stage.FAILED
            why = (
                f"its recorder ended ({move.now.ended}) before the outcome was known"
                if requested
                else f"the move was not requested: {move.now.ended}"
            )
        else:  # it ended elsewhere than on its target: the verdict has the reason
            why = line
        self._over(move.partition, stage, why, run=str(run.path), verdict=verdict)
        if untold := self.book.exchange_runs():
            self._note_once(untold)
        return True

    def _note_once(self, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            self.writer.event("conductor", "note", text=text)

    def _over(self, partition: str, stage: Stage, why: str, **more: str) -> None:
        self.writer.event("conductor", "over", partition=partition, stage=stage.value, why=why, **more)

    def _report(self, run: Run) -> tuple[str, str]:
        """Write a run's report; returns state and line of its verdict. A failure to write is reported in the line."""
        try:
            self._write_report(run.path)
            state, line = Run(run.path).read("summary", _verdict) or ("not evaluated", "it has no summary")
        except LpmError as trouble:
            return "not evaluated", f"its report could not be written: {trouble}"
        return state, line

    # -- starting
    # ----------------------------------------------------------------------------------------------------------

    def _start_next(self, status: PlanStatus) -> bool:
        """Start the first move that nothing holds back; false if there is none now."""
        moves = queue(self.plan, status.stages, self._clusters, status.halted)
        for name, why in moves.dropped.items():
            self._over(name, Stage.DROPPED, why)
        if moves.dropped:
            return True
        next_up = {name: self._waiting.get(name, "next in turn") for name in moves.ready}
        self._tell({**moves.waits, **next_up})
        if not moves.ready or (status.stages == self._tried and self.clock.mono_ns() < self._ask_at_ns):
            return False
        self._tried = status.stages
        inventory = self.book.landscape()
        self._expect(inventory)
        waits = dict(moves.waits)
        for name in moves.ready:
            why_not = self._try(self.plan.move(name), inventory, status)
            if why_not is None:
                return True
            waits[name] = why_not
        self._tell(waits)
        self._ask_at_ns = self.clock.mono_ns() + int(ASK_AGAIN_S * 1e9)
        for reply in self.book.asked():
            self.writer.reply(reply)
        return False

    def _expect(self, inventory: SiteInventory) -> None:
        """Store once what the forecast needs of moves and machines; without it the page has no forecast."""
        if self.folder.document(DOCUMENT) is not None:
            return
        needed = forecast_or_why(lambda: to_document(*expectations(self.book, self.plan, inventory)))
        if isinstance(needed, NoForecast):
            self._note_once(f"no forecast yet: {needed.why}")
            return
        try:
            self.writer.document(DOCUMENT, needed)
        except LpmError as trouble:
            self._note_once(f"no forecast yet: {trouble}")

    def _tell(self, waits: dict[str, str]) -> None:
        """Store the reason why each move waits, for the status."""
        if waits != self._waiting:
            self._waiting = waits
            self.writer.document("waiting", waits)

    def _try(self, move: PlannedMove, inventory: SiteInventory, status: PlanStatus) -> str | None:
        """Start a move, or return the reason why it must wait.

        ``None`` if it was started, or recorded as failed because it is impossible.
        """
        name = move.partition
        try:
            why = self._start(move, inventory, status)
        except StoreUnavailable as trouble:
            why = str(trouble)  # nothing is wrong with the move: it waits for the store, however long
        except RemoteError as trouble:
            since = self._trouble_since_ns.setdefault(name, self.clock.mono_ns())
            if self.clock.mono_ns() - since > PATIENCE_S * 1e9:
                self._over(name, Stage.FAILED, f"for {PATIENCE_S / 60:.0f} minutes: {trouble}")
                return None
            why = str(trouble)
        except LpmError as trouble:
            self._over(name, Stage.FAILED, str(trouble))
            return None
        else:
            self._trouble_since_ns.pop(name, None)
        if why is not None and _is_unrequested(self._course().move(name)):
            self.writer.event("conductor", "put-back", partition=name)
        return why

    def _start(self, move: PlannedMove, inventory: SiteInventory, status: PlanStatus) -> str | None:
        """Like `_try`; raises errors of the hosts, or `LpmError` for an impossible move."""
        name, limits, others = move.partition, self.plan.limits, self._room.others()
        busy = [*in_flight(status.moves), *(other.under_way for other in others)]
        order = order_for(self.book, self.plan, move, inventory)
        if self.book.opens_in_s(order) > 0.0:
            return f"waits for its change window ({self.book.limits_of(order).window.sentence()})"
        if why := not_there_yet(move, [(one.frame, one.partition) for one in inventory.placed]):
            return why
        states = {(placed.frame, placed.partition.name): placed.partition.state for placed in inventory.placed}
        wish = UnderWay(name, order.source, order.target, states[order.source, name] == "Not Activated")
        if why := hold(wish, busy, inventory.frames, limits, {}) or collides(status, name, order.target):
            return why
        ends = [inventory.frames.get(frame) for frame in wish.frames]
        choice = None if wish.inactive else self._movers(order, busy, ends)
        movers = tuple(name for pair in choice.pairs for name in (pair.source, pair.target)) if choice else wish.frames
        wish = replace(wish, movers=movers, pairs=tuple(pair.words for pair in choice.pairs) if choice else ())
        for frame in wish.frames:
            if frame not in self._asked:
                self._takes |= {
                    mover: MOVER_TAKES if limit is None else limit
                    for mover, limit in self.book.movers_take(frame).items()
                }
                self._asked.add(frame)

        def judge(others: Sequence[Other]) -> str | None:
            """Reason to wait for room, with the moves of others in view."""
            everybody = [*in_flight(status.moves), *(other.under_way for other in others)]
            moving = {other.under_way.partition: other.holder for other in others}
            return (
                cluster_mate_elsewhere(self.plan, name, moving)
                or hold(wish, everybody, inventory.frames, limits, self._takes)
                or slots_of_others(others, order.target, names_slots(move))
            )

        if why := self._room.reserve(wish, order.mapping, names_slots(move), judge):
            return why
        if choice is not None and not MOVERS & order.mapping.keys():
            if choice.redundancy is Redundancy.NOT_POSSIBLE:
                order = replace(order, mapping={**order.mapping, **named_movers(choice.pairs[0])})
            elif since_generation(REDUNDANT_ALWAYS_SINCE, ends):
                order = replace(order, mapping={**order.mapping, **named_movers(*choice.pairs)})
            self.writer.event("conductor", "note", text=f"{name}: {choice.redundancy}")
        self.writer.event("conductor", "preparing", partition=name, source=order.source)
        own = self._own_order(move, order, wish, status, inventory, others)
        return own if isinstance(own, str) else self._prepare_and_move(move, own, wish, status)

    def _movers(self, order: Order, busy: Sequence[UnderWay], ends: Sequence[Frame | None]) -> MoverChoice | None:
        """The movers that the order names, otherwise the least busy connected pair and, where the console can use two,
        the least busy one beside it; ``None`` without a choice.
        """
        pairs = self.book.mover_pairs(order)
        if MOVERS & order.mapping.keys():
            return choose_movers(pairs, ends, order.mapping, order.options)
        first = least_busy(pairs_named(pairs, order.mapping), busy)
        if first is None:
            return None
        others = [pair for pair in pairs if backup_of(first, (pair,)) is not None]
        second = least_busy(others, busy)
        return choose_movers((first,) if second is None else (first, second), ends, order.mapping, order.options)

    def _own_order(
        self,
        move: PlannedMove,
        order: Order,
        wish: UnderWay,
        status: PlanStatus,
        inventory: SiteInventory,
        others: Sequence[Other],
    ) -> Order | str:
        """The order with the ids and slots that nobody else's names, which it holds now; or the reason to wait."""
        name = move.partition
        reserved = reserved_by(status, name, order.target) | reserved_by_others(others, order.target)
        if move.keep_mapping:
            order, previous = self.book.keep_mapping(order, reserved)
            for trouble in previous.troubles:
                self.writer.event("conductor", "note", text=f"{name}: not kept: {trouble}")
        order = with_own_id(order, self.plan, inventory, reserved)
        why = self._room.reserve(wish, order.mapping, names_slots(move), partial(taken_by_others, order=order))
        return why or order

    def _prepare_and_move(self, move: PlannedMove, order: Order, wish: UnderWay, status: PlanStatus) -> str | None:
        """Survey, check, validate, then move.

        Returns the reason to wait; a failed check or validation fails the move.
        """
        name = move.partition
        run = self.book.prepare(order)
        if run.document("validation") is not None and (why := self._waits_for_approval(run)):
            return why  # prepared already; no host needs to be asked again before the approval
        findings = self.book.check(run)
        self._clusters[name] = memberships(run)
        failed = [finding for finding in findings if finding.verdict is Verdict.FAIL and finding.key not in move.accept]
        if failed:
            reasons = "; ".join(f"{finding.title} ({finding.key}): {finding.remedy}" for finding in failed)
            self._over(name, Stage.FAILED, f"not requested, because checks fail: {reasons}", run=str(run.path))
            return None
        if mate := cluster_mate(self.plan, name, status.stages, self._clusters):
            return mate
        validation = self.book.validate(run)
        if not validation.passed:
            why = f"not requested, because the validation failed: {validation.text}"
            self._over(name, Stage.FAILED, why, run=str(run.path))
            return None
        expected = self.book.predict(run)
        if isinstance(expected, NoForecast):
            self._note_once(f"{name}: no forecast: {expected.why}")
        if why := self._waits_for_approval(run):
            return why
        facts: JsonObject = {"source": wish.source, "inactive": wish.inactive, "movers": list(wish.movers)}
        facts |= {"mover_pairs": list(wish.pairs)}
        self.writer.event("conductor", "moving", partition=name, run=str(run.path), **facts)
        self._observers.ask(name, run, self.folder.name)
        self.book.move(run, name)
        return None

    def _waits_for_approval(self, run: Run) -> str | None:
        """Reason why a move waits for an approval; `None` if it has what the site requires."""
        try:
            self.book.require_approvals(run)
        except NotApproved as error:
            return str(error)
        return None


def _is_unrequested(move: MoveStatus) -> bool:
    """True for a move that was prepared, and whose recorder never began."""
    if move.stage is not Stage.MOVING:
        return move.stage is Stage.PREPARING
    return move.now is not None and move.run is not None and not Run(move.run).events()


def _verdict(summary: Any) -> tuple[str, str]:
    return str(summary["verdict"]["state"]), str(summary["verdict"]["line"])


def main() -> None:
    """Execute the plan of the folder named on the command line."""
    path, secrets, charge = given()
    try:
        folder = Run(path)
        with RunWriter(path) as writer:
            book = Runbook(Site.model_validate(charge["site"]), secrets, person=Person.from_data(charge["person"]))
            Conductor(folder, writer, book, room=room_of(book.site, secrets, folder)).conduct()
    except LpmError as error:
        append(f"conductor of {path}: {error}\n")  # its own log may be gone with the folder
        sys.exit(str(error))


if __name__ == "__main__":
    main()
