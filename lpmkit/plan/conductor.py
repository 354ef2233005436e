"""The conductor: a process of its own that carries one plan out, whatever becomes of the front end that asked for it.

``python -m lpmkit.plan.conductor FOLDER`` with one line of JSON on standard input (the secrets that the front end knows). It prepares, checks and
validates each move when its turn has come, starts its recorder, and writes what it decided as it decides it. A conductor that dies is followed by another on
the same folder; the moves that were started go on meanwhile, since each has a recorder of its own, and none is ever asked for twice.

A move's run folder is noted before the move is asked for: a conductor that finds such a note and a run that never began puts the move back in the queue.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lpmkit.background.requests import Inbox
from lpmkit.background.worker import given
from lpmkit.checks import Verdict
from lpmkit.config import Site
from lpmkit.control.base import Order
from lpmkit.errors import LpmError, NotApproved, RemoteError
from lpmkit.inventory import MoverPair
from lpmkit.mapping.attributes import MOVERS, named_movers
from lpmkit.migration.phases import Phase
from lpmkit.person import Person
from lpmkit.plan import MOVER_TAKES, MovePlan, PlannedMove
from lpmkit.plan.book import order_for
from lpmkit.plan.page import write_page
from lpmkit.plan.schedule import LOST, Membership, Stage, UnderWay, cluster_mate, halts, hold, least_busy, queue
from lpmkit.plan.status import MoveStanding, Standings, course, in_flight, plan_of
from lpmkit.report.page import write_report
from lpmkit.runbook import Runbook, SiteInventory
from lpmkit.runs.folder import Run, RunWriter

#: How often the folders of the moves under way are looked at. Managers that had no room are asked again when a move of ours is over, or after so long.
LOOK_S = 0.5
ASK_AGAIN_S = 30.0
#: A move whose machines cannot be asked for so long has failed.
PATIENCE_S = 900.0


class Conductor:
    """Carries out the plan of one folder; ``writer`` holds its lock."""

    def __init__(
        self,
        folder: Run,
        writer: RunWriter,
        book: Runbook,
        report: Callable[[Path], object] = write_report,
        page: Callable[[Run], object] = write_page,
    ) -> None:
        self.folder, self.writer, self.book = folder, writer, book
        self._write_report, self._write_page = report, page
        self.plan: MovePlan = plan_of(folder)
        self.clock = book.clock
        self._inbox = Inbox(folder.path, self._note_once)
        #: Cluster software that was found in the partitions prepared so far.
        self._clusters: dict[str, frozenset[Membership]] = {}
        #: What each mover of the frames asked so far takes at once; `MOVER_TAKES` where it does not say.
        self._takes: dict[str, int] = {}
        self._asked: set[str] = set()
        self._waiting: dict[str, str] = {}
        self._ask_at_ns = 0
        self._tried: dict[str, Stage] = {}
        self._trouble_since_ns: dict[str, int] = {}
        self._noted: set[str] = set()

    def conduct(self) -> None:
        """Until every move is over, or the plan halts and nothing is under way."""
        self.writer.event("conductor", "conductor-started", pid=os.getpid())
        self._put_back()
        why = "stopped by an error"
        try:
            while True:
                why = self._carry_on()
                self._write_page(self.folder)
                if not self._read_on():
                    break
        finally:
            self.writer.event("conductor", "conductor-ended", why=why)
        self._write_page(self.folder)

    def _carry_on(self) -> str:
        """Start and conclude moves as long as there is something to do; why there is nothing more."""
        while True:
            self._obey()
            now = self._conclude()
            # A move that failed stays under way until its recorder has ended and its report is written.
            under_way = any(
                move.stage in (Stage.MOVING, Stage.WATCHING) or (move.now is not None and move.stage is Stage.FAILED)
                for move in now.moves
            )
            if (now.is_done or now.halted) and not under_way:
                return now.halted or "every move is over"
            if not self._start_next(now):
                self.clock.sleep(LOOK_S)

    def _read_on(self) -> bool:
        """Report once more of the runs whose SAP logs are read on after their move; true when somebody asked for something meanwhile."""
        reading = {
            move.run
            for move in self._course().moves
            if move.run is not None and move.ended_ns is not None and Run(move.run).is_recorded()
        }
        while reading:
            if not self._inbox.is_empty:
                return True
            for path in [path for path in reading if not Run(path).is_recorded()]:
                reading.discard(path)
                self._report(Run(path))
            self.clock.sleep(LOOK_S)
        return not self._inbox.is_empty

    def _course(self) -> Standings:
        return course(self.folder, self.clock)

    def _put_back(self) -> None:
        """What a conductor that died left in between: a move that was never asked for waits again."""
        for move in self._course().moves:
            never = (
                move.stage is Stage.MOVING
                and move.now is not None
                and move.run is not None
                and not Run(move.run).events()
            )
            if move.stage is Stage.PREPARING or never:
                self.writer.event("conductor", "put-back", partition=move.partition)

    def _obey(self) -> None:
        """Carry out what front ends asked for, in the order of asking."""
        for request in self._inbox.read():
            now = self._course()
            if request.what == "halt":
                self.writer.event("conductor", "halted", why="somebody asked to start no further move")
            elif request.what == "go-on":
                seen = [move.partition for move in now.moves if move.ended_ns is not None and move.stage in LOST]
                self.writer.event("conductor", "goes-on", despite=seen)
            elif request.what == "again" and (name := str(request.fields.get("partition"))) in now.stages:
                self._again(name, now)
            else:
                self._inbox.refuse(request, "this plan knows no such request or no such partition")
                continue
            self._inbox.remove(request)  # the front end waits for that

    def _again(self, partition: str, now: Standings) -> None:
        """Put a move back into the queue, and with it those that were dropped: they are dropped again if what they come after is still lost."""
        for name in (partition, *(move.partition for move in now.moves if move.stage is Stage.DROPPED)):
            self.writer.event("conductor", "again", partition=name)
        self.writer.event("conductor", "goes-on", despite=[])

    def _conclude(self) -> Standings:
        """Note what is over, write its report, halt where the plan says so; the course after that."""
        concluded = [self._conclude_one(move) for move in self._course().moves]
        if any(concluded):
            self._write_page(self.folder)
        now = self._course()
        seen = self._gone_on_from()
        why = halts(self.plan, {name: stage for name, stage in now.stages.items() if name not in seen})
        if why is None or now.halted is not None:
            return now
        self.writer.event("conductor", "halted", why=why)
        return self._course()

    def _gone_on_from(self) -> set[str]:
        """The failures that somebody has seen and gone on from."""
        seen: set[str] = set()
        for event in self.folder.events():
            if event.kind == "goes-on":
                seen |= set(event.data["despite"])
            elif event.kind == "again":
                seen.discard(event.data["partition"])
        return seen

    def _conclude_one(self, one: MoveStanding) -> bool:
        """Note that a move is over, with its report; false while it goes on or waits to be recovered. A recorder that died is followed by another."""
        if one.run is None or one.now is None or one.stage is Stage.RECOVERY:
            return False
        run = Run(one.run)
        try:
            attached = self.book.attach(run)
        except (
            LpmError
        ) as trouble:  # tried again at the next look; the migration does not depend on it, nor do the others
            self._note_once(f"the recorder of {run.name} has died, and none can be started: {trouble}")
            return False
        if attached:
            self.writer.event("conductor", "note", text=f"the recorder of {run.name} had died; a new one looks on")
            return False
        if not one.now.is_over:
            return False
        verdict, line = self._report(run)
        stage: Stage = one.stage
        why = one.why
        if one.stage is Stage.WATCHING:
            stage, why = (Stage.FAILED if verdict == "failed" else Stage.ARRIVED), line
        elif one.stage is Stage.MOVING:
            asked = one.now.phase is not Phase.PREPARED
            stage = Stage.RECOVERY if asked else Stage.FAILED
            why = (
                f"its recorder ended ({one.now.ended}) without having seen what became of it"
                if asked
                else f"it was not asked for: {one.now.ended}"
            )
        self._over(one.partition, stage, why, run=str(run.path), verdict=verdict)
        return True

    def _note_once(self, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            self.writer.event("conductor", "note", text=text)

    def _over(self, partition: str, stage: Stage, why: str, **more: str) -> None:
        self.writer.event("conductor", "over", partition=partition, stage=stage.value, why=why, **more)

    def _report(self, run: Run) -> tuple[str, str]:
        """Write a run's report; its verdict and the verdict's line. What goes wrong is told, since the move itself is what it is."""
        try:
            self._write_report(run.path)
            verdict = Run(run.path).document("summary")["verdict"]
        except LpmError as trouble:
            return "not evaluated", f"its report could not be written: {trouble}"
        return str(verdict["state"]), str(verdict["line"])

    # -- starting ----------------------------------------------------------------------------------------------------------

    def _start_next(self, now: Standings) -> bool:
        """Start the first move that nothing holds back. False when there is none now."""
        found = queue(self.plan, now.stages, self._clusters, now.halted)
        for name, why in found.dropped.items():
            self._over(name, Stage.DROPPED, why)
        if found.dropped:
            return True
        turn = {name: self._waiting.get(name, "its turn comes next") for name in found.ready}
        self._tell({**found.waits, **turn})
        if not found.ready or (now.stages == self._tried and self.clock.mono_ns() < self._ask_at_ns):
            return False
        self._tried = now.stages
        there = self.book.landscape()
        waits = dict(found.waits)
        for name in found.ready:
            why_not = self._try(self.plan.move(name), there, now)
            if why_not is None:
                return True
            waits[name] = why_not
        self._tell(waits)
        self._ask_at_ns = self.clock.mono_ns() + int(ASK_AGAIN_S * 1e9)
        for reply in self.book.asked():
            self.writer.reply(reply)
        return False

    def _tell(self, waits: dict[str, str]) -> None:
        """Keep why each move waits, for whoever looks on."""
        if waits != self._waiting:
            self._waiting = waits
            self.writer.document("waiting", waits)

    def _try(self, move: PlannedMove, there: SiteInventory, now: Standings) -> str | None:
        """Start a move, or say why it must wait. ``None`` when it was dealt with: started, or noted as failed because it cannot be."""
        name = move.partition
        try:
            why = self._start(move, there, now)
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
        if why is not None and self._course().move(name).stage is Stage.PREPARING:
            self.writer.event("conductor", "put-back", partition=name)
        return why

    def _start(self, move: PlannedMove, there: SiteInventory, now: Standings) -> str | None:
        """The same; raises what came from the machines, or `LpmError` for what cannot be."""
        name, busy, limits = move.partition, in_flight(now.moves), self.plan.limits
        order = order_for(self.book, move, there)
        states = {(one.frame, one.partition.name): one.partition.state for one in there.placed}
        wish = UnderWay(name, order.source, order.target, states[order.source, name] == "Not Activated")
        if why := hold(wish, busy, there.frames, limits, {}):
            return why
        pair = None if wish.inactive else self._movers(order, busy)
        wish = replace(wish, movers=(pair.source, pair.target) if pair else wish.frames)
        for frame in wish.frames:
            if frame not in self._asked:
                self._takes |= {
                    mover: MOVER_TAKES if some is None else some for mover, some in self.book.movers_take(frame).items()
                }
                self._asked.add(frame)
        if why := hold(wish, busy, there.frames, limits, self._takes):
            return why
        if pair is not None and not MOVERS & order.mapping.keys():
            order = replace(order, mapping={**order.mapping, **named_movers(pair)})
        self.writer.event("conductor", "preparing", partition=name, source=order.source)
        return self._prepare_and_move(move, order, wish, now)

    def _movers(self, order: Order, busy: Sequence[UnderWay]) -> MoverPair | None:
        """The movers that the order names, else the least busy pair of those that can talk; ``None`` where there is nothing to choose."""
        pairs, said = self.book.mover_pairs(order), order.mapping
        named = [
            pair
            for pair in pairs
            if said.get("source_msp_name", pair.source) == pair.source
            and said.get("dest_msp_name", pair.target) == pair.target
            and said.get("source_msp_id", str(pair.source_id)) == str(pair.source_id)
            and said.get("dest_msp_id", str(pair.target_id)) == str(pair.target_id)
        ]
        return least_busy(named or pairs, busy)

    def _prepare_and_move(self, move: PlannedMove, order: Order, wish: UnderWay, now: Standings) -> str | None:
        """Survey, check and validate, then move. Says why it must wait; what speaks against the move is noted as its failure."""
        name = move.partition
        if move.keep_mapping:
            order, kept = self.book.keep_mapping(order)
            for trouble in kept.troubles:
                self.writer.event("conductor", "note", text=f"{name}: not kept: {trouble}")
        run = self.book.prepare(order)
        if run.document("validation") is not None and (why := self._waits_for_approval(run)):
            return why  # it was looked at already, and nobody has to be asked again before somebody approves
        findings = self.book.check(run)
        guest = (run.document("survey") or {}).get("guest") or {}
        self._clusters[name] = frozenset(
            (str(one["kind"]), str(one.get("cluster") or "")) for one in guest.get("clusters") or ()
        )
        failed = [finding for finding in findings if finding.verdict is Verdict.FAIL and finding.key not in move.accept]
        if failed:
            said = "; ".join(f"{one.title} ({one.key}): {one.remedy}" for one in failed)
            self._over(name, Stage.FAILED, f"not asked for, because checks fail: {said}", run=str(run.path))
            return None
        if mate := cluster_mate(self.plan, name, now.stages, self._clusters):
            return mate
        word = self.book.validate(run)
        if not word.passed:
            why = f"not asked for, because the firmware's validation refused it: {word.text}"
            self._over(name, Stage.FAILED, why, run=str(run.path))
            return None
        self.book.predict(run)
        if why := self._waits_for_approval(run):
            return why
        noted: dict[str, Any] = {"source": wish.source, "inactive": wish.inactive, "movers": list(wish.movers)}
        self.writer.event("conductor", "moving", partition=name, run=str(run.path), **noted)
        self.book.move(run, name)
        return None

    def _waits_for_approval(self, run: Run) -> str | None:
        """Why a move has to wait for somebody's approval; ``None`` where it has what the site asks for."""
        try:
            self.book.require_approvals(run)
        except NotApproved as error:
            return str(error)
        return None


def main() -> None:
    """Carry out the plan of the folder named on the command line."""
    path, secrets, charge = given()
    folder = Run(path)
    with RunWriter(path) as writer:
        book = Runbook(Site.model_validate(charge["site"]), secrets, person=Person.from_data(charge["person"]))
        Conductor(folder, writer, book).conduct()


if __name__ == "__main__":
    main()
