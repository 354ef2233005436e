"""Moving a partition: the worlds that follow one another, and the clock that drives them.

The worlds come from `move_changes`. `Movers` holds the moves that are under way, each in a thread of
its own, and answers ``migrlpar``. A move ends in one of four ways: gone from the source; stopped (rolled back); failed
with an intermediate state, which wants ``migrlpar -o r``; refused before it began.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from lpmkit.simulator import recalled, transfer
from lpmkit.simulator.chassis import OPERATING, Chassis, Partition, World
from lpmkit.simulator.faults import FaultBook
from lpmkit.simulator.guest import identity
from lpmkit.simulator.host import Host, HostError, NoHost
from lpmkit.simulator.move import Broken, Crashed, Move, RolledBack, Stopped
from lpmkit.simulator.move_changes import (
    advanced,
    begun,
    committed,
    crashed,
    finished,
    given_back,
    logged,
    powered_off,
    rolled_back,
    set_migration,
    set_partition,
)
from lpmkit.simulator.move_log import aix_entry, entry
from lpmkit.simulator.shells.ivm import Manager, remote_manager
from lpmkit.simulator.shells.migrlpar import Order
from lpmkit.simulator.shells.reply import Context, Reply
from lpmkit.simulator.truth import Bracket, Truth
from lpmkit.simulator.validation import Question, refusals, warnings

TICK_S = 0.05
#: Nobody comes back from there while a simulation runs.
FOR_EVER_S = 1e6


class Movers:
    """Both blades' movers. `answer` is what ``migrlpar`` does."""

    def __init__(
        self,
        chassis: Chassis,
        faults: FaultBook,
        truth: Truth,
        hosts: Mapping[str, Host],
        drop: Callable[[str, float], None],
        *,
        speed: float = 1.0,
        seed: int = 0,
    ) -> None:
        self._chassis, self._faults, self._truth, self._hosts, self._drop = chassis, faults, truth, hosts, drop
        self._speed, self._seed = speed, seed
        self._moves: dict[str, Move] = {}
        self._count = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def answer(self, order: Order, context: Context, closed: threading.Event) -> Reply:
        """Carry an order out.

        ``closed`` is set when nobody waits for the answer any more; the move goes on all the same.
        """
        if order.operation == "s":
            return self._stop(order)
        if order.operation == "r":
            return self._recover(order)
        return self._validate_or_move(order, context, closed)

    def close(self) -> None:
        """End every move; no partition is left suspended."""
        self._closing.set()
        with self._lock:
            moves = list(self._moves.values())
        for move in moves:
            move.stop.set()
            move.ended.wait(15)

    # --- validate and move

    def _validate_or_move(self, order: Order, context: Context, closed: threading.Event) -> Reply:
        world = self._chassis.world
        refused = self._managers(world, order, context)
        if refused is not None:
            return refused
        question = _question(world, order)
        plan = self._plan(question)
        self._faults.stands_at("validate")
        if self._closing.wait(plan.overheads.validate_s / self._speed):
            return Reply(status=1)
        messages = self._struck_in_validation(order) or self._refusals(order)
        if messages:
            self._truth.write("refused", partition=order.partition, messages=messages)
            return _told(messages, 1)
        warned = warnings(question) if order.verbose else []
        return _told(warned) if order.operation == "v" else self._move(order, plan, warned, closed)

    def _move(self, order: Order, plan: transfer.Plan, warned: list[str], closed: threading.Event) -> Reply:
        move = self._begin(order, plan)
        if isinstance(move, Reply):
            return move
        while order.wait and not move.ended.wait(0.05) and not closed.is_set():
            pass
        told = _told(warned)
        return replace(move.outcome, err=told.err + move.outcome.err) if order.wait else told

    def _managers(self, world: World, order: Order, context: Context) -> Reply | None:
        """The refusal of a validation that cannot begin: the other manager must be named and talk to this one."""
        here, there = world.frame(order.source), world.frame(order.target or order.source)
        if here.hmc is not None and here.hmc == there.hmc and not order.address:
            return None  # one console has both
        if not order.address:
            return recalled.refusal("flag-missing", context.german, flag="--ip")
        refused = remote_manager(world, here, order.address, order.user, context)
        if refused is None and order.address not in Manager.of(world, there).addresses:
            return recalled.refusal("system", context.german, system=there.system_name)
        return refused

    def _struck_in_validation(self, order: Order) -> list[str]:
        """The messages of a failure while the managers look: nothing has begun, and so nothing is left anywhere."""
        about = {"partition": order.partition}
        for effect in ("mover-dies", "link-dies"):
            if self._faults.on_move(effect, order.partition) is not None:
                return [recalled.message("mover-died", **about)]
        if self._faults.on_move("rmc-lost", order.partition) is not None:
            self._chassis.change(partial(set_partition, frame=order.source, name=order.partition, rmc_state="inactive"))
        restarted = self._faults.on_move("hmc-restarts", order.partition)
        console = self._chassis.world.frame(order.source).hmc
        if restarted is not None and console is not None:
            self._drop(console, restarted.delay_s)
            return [recalled.message("console-restarted", **about)]
        if order.target and self._faults.on_move("target-power-lost", order.partition) is not None:
            self._chassis.change(partial(powered_off, frame=order.target))
        dropped = self._faults.on_move("drop-ssh", order.partition)
        if dropped is not None and dropped.host is not None:
            self._drop(dropped.host, dropped.delay_s)
        return []

    def _refusals(self, order: Order) -> list[str]:
        world = self._chassis.world
        if world.partition(order.source, order.partition) is None:
            return [recalled.message("partition", partition=order.partition)]
        return refusals(_question(world, order))

    def _plan(self, question: Question) -> transfer.Plan:
        world, moved = question.world, question.partition
        work = moved.workload
        demand = transfer.Demand(
            touched_mb=work.touched_mb,
            dirty_mb_per_second=work.dirty_mb_per_second,
            writable_set_mb=work.writable_set_mb,
            post_resume_fetch_mb=work.post_resume_fetch_mb,
            memory_mb=moved.memory.mb,
            virtual_processors=moved.processors.virtual,
            virtual_adapters=2,
        )
        if self._faults.on_move("not-converging", moved.name) is not None:
            rate = min(world.link_mb_per_second, world.mover_mb_per_second)
            demand = replace(demand, dirty_mb_per_second=rate * 1.5, writable_set_mb=work.touched_mb * 0.9)
        seed = self._seed * 1000 + self._count
        return transfer.plan(demand, world.link_mb_per_second, world.mover_mb_per_second, seed)

    def _begin(self, order: Order, plan: transfer.Plan) -> Move | Reply:
        """Start the move, unless another one has just changed what the validation saw."""
        with self._lock:
            messages = self._refusals(order)
            if messages or self._closing.is_set():
                return _told(messages, 1)
            self._count += 1
            active = _question(self._chassis.world, order).active
            target = order.target or ""
            move = Move(
                self._count, order.partition, order.source, target, plan, active, threading.Event(), threading.Event()
            )
            self._chassis.change(lambda world: begun(world, move.number, order))
            self._moves[order.partition] = move
        threading.Thread(target=self._run, args=(move,), daemon=True, name=f"move-{move.number}").start()
        return move

    def _run(self, move: Move) -> None:
        """Carry a move out to one of its ends."""
        self._say(move, "move-begins", planned_s=move.plan.total_s, speed=self._speed)
        try:
            self._carry_out(move)
        except Stopped:
            self._undo(move, "stopped", recalled.message("stopped", partition=move.partition))
        except RolledBack as problem:
            self._undo(move, "rolled-back", str(problem))
        except Crashed as problem:
            self._chassis.change(lambda world: crashed(world, move.partition))
            self._host(move).suspend()
            self._fail(move, str(problem))
        except (Broken, HostError) as problem:
            self._fail(move, str(problem))
        self._faults.stands_at(None)
        with self._lock:
            self._moves.pop(move.partition, None)
        move.ended.set()

    def _fail(self, move: Move, problem: str) -> None:
        """The move cannot go on, and its state stays as it is."""
        self._chassis.change(
            lambda world: set_migration(world, move.partition, state=recalled.STATE_FAILED, mover_running=False)
        )
        self._chassis.change(lambda world: _noted(world, move, recalled.MOVER_FAILED))
        self._say(move, "failed", message=problem)
        move.outcome = Reply(err=f"{problem}\n", status=1)

    def _carry_out(self, move: Move) -> None:
        host = self._host(move)
        self._pass(move, "prepare", move.plan.overheads.prepare_s)
        if move.active:
            self._tell(move, "started", "check")
            self._copy(move)
            self._switch(move, host)
        else:
            self._chassis.change(lambda world: committed(world, move.partition, move.target))
        self._finish(move)

    def _copy(self, move: Move) -> None:
        """Send the pages while the partition runs."""
        plan, began, seen = move.plan, time.monotonic(), 0
        self._say(move, "copy-begins")
        while True:
            copied_s = (time.monotonic() - began) * self._speed
            now = transfer.progress(plan, copied_s)
            if now.round != seen:
                seen = now.round
                self._say(move, "round", round=seen, send_mb=plan.rounds[seen - 1].send_mb)
            self._chassis.change(
                partial(advanced, name=move.partition, sent_mb=now.sent_mb, remaining_mb=now.remaining_mb)
            )
            self._phase(move, "copy", min(1.0, copied_s / plan.copy_s))
            began += self._held(move)
            if now.done:
                break
            self._wait(move, min(TICK_S, max(0.001, (plan.copy_s - copied_s) / self._speed)))
        message = "not-converging"
        fault = self._faults.on_move(message, move.partition)
        if fault is not None and fault.message == "fail":
            raise RolledBack(recalled.message(message, partition=move.partition))

    def _held(self, move: Move) -> float:
        """Send nothing until the file of a fault is there; returns for how many seconds."""
        fault, began = self._faults.on_move("copy-waits", move.partition), time.monotonic()
        if fault is None or Path(fault.message or "").exists():
            return 0.0
        self._say(move, "copy-waits", until=fault.message)
        while not Path(fault.message or "").exists():
            self._wait(move, TICK_S)
        return time.monotonic() - began

    def _switch(self, move: Move, host: Host) -> None:
        """Suspend the partition here and resume it there. The speed does not shorten this."""
        self._phase(move, "suspend", 0.0)
        host.tell(logs=_dr_logs(move.partition, "prepare"))
        if self._faults.on_move("suspend-refused", move.partition) is not None:
            text = "the partition did not get ready to be suspended in time"
            raise RolledBack(recalled.message("failed", partition=move.partition, message=text))
        longer = self._faults.on_move("suspend-for", move.partition)
        seconds = longer.delay_s if longer is not None else move.plan.suspended_s
        self._chassis.change(lambda world: set_migration(world, move.partition, phase="suspend", cancellable=False))
        if move.stop.is_set():
            raise Stopped
        self._chassis.change(lambda world: _noted(world, move, recalled.MOVER_SUSPEND))
        self._say(move, "suspend-begins", planned_s=seconds)
        try:
            stopped = host.suspend()
            self._say(move, "suspended", stopped)
            self._closing.wait(max(0.0, seconds - (time.monotonic_ns() - stopped.after.mono_ns) / 1e9))
            world = self._chassis.change(lambda world: committed(world, move.partition, move.target))
            self._say(move, "committed")
            there = world.frame(move.target)
            moved = world.partition(move.target, move.partition)
            host.tell(identity(there, 0 if moved is None else moved.lpar_id), [])
        finally:
            resumed = host.resume()
        self._say(move, "resumed", resumed)
        self._tell(move, "changed", "post")

    def _finish(self, move: Move) -> None:
        """Fetch what is left, take the source apart."""
        plan = move.plan
        if move.active:
            self._pass(move, "fetch", plan.fetch_s)
            self._chassis.change(lambda world: advanced(world, move.partition, plan.sent_mb, 0.0))
            self._say(move, "fetched")
        if self._faults.on_move("finish-fails", move.partition) is not None:
            raise Broken(recalled.message("mover-died", partition=move.partition))
        self._pass(move, "finish", plan.overheads.finish_s)
        self._done(move.partition, move.source, move.target, move.number)

    def _done(self, partition: str, source: str, target: str, number: int) -> None:
        """The end of a move: the source forgets the partition, and its RMC connection is back unless a fault delays
        it.
        """
        late = self._faults.on_move("rmc-late", partition)
        left = self._chassis.world.partition(source, partition)
        moving = None if left is None else left.migration
        rmc = "inactive" if late is not None or left is None else left.rmc_state
        self._host_of(partition).tell(errors=[aix_entry(self._chassis.world, target, partition, "done", time.time())])
        self._chassis.change(lambda world: finished(world, partition, source, target, rmc))
        if moving is not None and moving.type == "active":
            for end, server in ((source, moving.source_msp), (target, moving.dest_msp)):
                self._chassis.change(
                    partial(logged, frame=end, error=entry(recalled.MOVER_DONE, time.time()), server=server)
                )
        self._truth.write("gone-from-source", partition=partition, source=source, target=target, move=number)
        if late is not None:
            timer = threading.Timer(late.delay_s, self._rmc_returns, (target, partition))
            timer.daemon = True
            timer.start()

    def _rmc_returns(self, frame: str, partition: str) -> None:
        self._chassis.change(lambda world: set_partition(world, frame, partition, rmc_state="active"))

    # --- passing time

    def _pass(self, move: Move, phase: str, seconds: float) -> None:
        """Let a phase take its time, in ticks, so that faults strike in the middle of it."""
        began, lasts = time.monotonic(), seconds / self._speed
        self._chassis.change(lambda world: set_migration(world, move.partition, phase=phase))
        while True:
            gone = time.monotonic() - began
            self._phase(move, phase, min(1.0, gone / lasts) if lasts else 1.0)
            if gone >= lasts:
                return
            self._wait(move, min(TICK_S, lasts - gone))

    def _wait(self, move: Move, seconds: float) -> None:
        if move.stop.wait(seconds) and self._cancellable(move):
            raise Stopped
        if self._closing.is_set():
            raise Stopped if self._cancellable(move) else Broken("closing")
        if move.stop.is_set():
            time.sleep(seconds)

    def _cancellable(self, move: Move) -> bool:
        moved = self._chassis.world.home(move.partition)
        return moved is not None and moved.migration is not None and moved.migration.cancellable

    def _phase(self, move: Move, phase: str, part: float) -> None:
        """Tell the faults where the move stands, and let those strike that are due."""
        self._faults.stands_at(phase, part)
        dropped = self._faults.on_move("drop-ssh", move.partition)
        if dropped is not None and dropped.host is not None:
            self._say(move, "ssh-dropped", host=dropped.host)
            self._drop(dropped.host, dropped.delay_s)
        while (deed := self._faults.on_move("oracle", move.partition)) is not None:
            self._say(move, "oracle", what=deed.message)
            self._host(move).tell_oracle(deed.message or "")
        self._deaths(move, phase)
        if phase == "copy" and self._faults.on_move("mover-hangs", move.partition) is not None:
            self._say(move, "mover-hangs")
            while not move.stop.wait(0.1) and not self._closing.is_set():
                pass
            raise Broken(recalled.message("mover-died", partition=move.partition))

    def _deaths(self, move: Move, phase: str) -> None:
        """Let a mover, a manager or a system die now, with the effect on the move (`RedMSP`, `RHBUG:1993952`; the rest
        recalled).
        """
        about = {"partition": move.partition}
        committed = phase in ("fetch", "finish")
        for effect in ("mover-dies", "link-dies"):
            if self._faults.on_move(effect, move.partition) is not None:
                self._say(move, effect, phase=phase)
                if phase == "fetch" and move.active:
                    raise Crashed(recalled.message("lost", **about))
                if effect == "link-dies" and phase == "suspend":
                    raise RolledBack(recalled.message("mover-died", **about))
                raise Broken(recalled.message("mover-died", **about))
        if self._faults.on_move("rmc-lost", move.partition) is not None:
            self._say(move, "rmc-lost", phase=phase)
            for end in (move.source, move.target):
                self._chassis.change(partial(set_partition, frame=end, name=move.partition, rmc_state="inactive"))
            if move.active:
                raise Broken(recalled.message("rmc-lost", **about))
        restarted = self._faults.on_move("hmc-restarts", move.partition)
        console = self._chassis.world.frame(move.source).hmc
        if restarted is not None and console is not None:
            self._say(move, "hmc-restarts", phase=phase)
            self._drop(console, restarted.delay_s)
            raise Broken(recalled.message("console-restarted", **about))
        if self._faults.on_move("target-power-lost", move.partition) is not None:
            self._say(move, "target-power-lost", phase=phase)
            self._chassis.change(lambda world: powered_off(world, move.target))
            target = self._chassis.world.frame(move.target)
            if target.hmc is None:
                self._drop(target.vios.hostname, FOR_EVER_S)
            if committed and move.active:
                raise Crashed(recalled.message("lost", **about))
            raise Broken(recalled.message("mover-died", **about))

    # --- stop and recover

    def _stop(self, order: Order) -> Reply:
        """``-o s``: ends a running operation, as long as the partition has not been suspended (`IVM-migrlpar`; rest
        recalled).
        """
        found = self._chassis.world.partition(order.source, order.partition)
        moving = None if found is None else found.migration
        if moving is None or moving.source != order.source:
            return recalled.refusal("stop-none", partition=order.partition)
        if not moving.mover_running:
            return recalled.refusal("stop-mover", partition=order.partition)
        with self._lock:
            move = self._moves.get(order.partition)
        if move is None or not moving.cancellable:
            return recalled.refusal("stop-late", partition=order.partition)
        move.stop.set()
        move.ended.wait(30)
        if self._chassis.world.partition(order.source, order.partition) is None:
            return recalled.refusal("stop-late", partition=order.partition)
        return Reply()

    def _recover(self, order: Order) -> Reply:
        """``-o r``: rolls back before the commit point, finishes after it (`IVM-migrlpar`)."""
        found = self._chassis.world.partition(order.source, order.partition)
        moving = None if found is None else found.migration
        if found is None or moving is None:
            return recalled.refusal("recover-none", partition=order.partition)
        if moving.mover_running:
            return recalled.refusal("recover-busy", partition=order.partition)
        home = self._chassis.world.home(order.partition)
        target = self._chassis.world.frame(moving.target)
        if target.state != OPERATING:
            if not order.force:
                return recalled.refusal("recover-remote", system=target.system_name, partition=order.partition)
            self._chassis.change(lambda world: given_back(world, order.partition, order.source))
        elif home is not None and home.frame == moving.target:
            self._done(order.partition, moving.source, moving.target, moving.number)
        else:
            self._roll_back(order.partition, moving.source, moving.target)
        self._truth.write("recovered", partition=order.partition, move=moving.number)
        return Reply()

    def _undo(self, move: Move, event: str, text: str) -> None:
        self._roll_back(move.partition, move.source, move.target)
        self._say(move, event, message=text)
        move.outcome = Reply(err=f"{text}\n", status=1)

    def _roll_back(self, partition: str, source: str, target: str) -> None:
        self._chassis.change(lambda world: rolled_back(world, partition, source, target))
        world = self._chassis.world
        error = aix_entry(world, source, partition, "aborted", time.time())
        self._host_of(partition).tell(errors=[error], logs=_dr_logs(partition, "undo"))

    # --- telling

    def _tell(self, move: Move, event: str, line: str) -> None:
        """An entry in the partition's error log, and a line in its syslog."""
        frame = move.target if event == "changed" else move.source
        error = aix_entry(self._chassis.world, frame, move.partition, event, time.time())
        self._host(move).tell(errors=[error], logs=_dr_logs(move.partition, line))

    def _say(self, move: Move, event: str, bracket: Bracket | None = None, **facts: object) -> None:
        about = {"move": move.number, "partition": move.partition, "source": move.source, "target": move.target}
        self._truth.write(event, bracket, **about, **facts)

    def _host(self, move: Move) -> Host:
        return self._host_of(move.partition)

    def _host_of(self, partition: str) -> Host:
        return self._hosts.get(partition, NoHost())


def _told(messages: Sequence[str], status: int = 0) -> Reply:
    return Reply(err="".join(f"{text}\n" for text in messages), status=status)


def _question(world: World, order: Order) -> Question:
    found: Partition | None = world.partition(order.source, order.partition)
    if found is None or order.target is None:
        raise KeyError(order.partition)
    ends = world.frame(order.source), world.frame(order.target)
    return Question(world, found, *ends, order.demands)


def _noted(world: World, move: Move, template: recalled.LogTemplate) -> World:
    """An entry in the error log of the source's mover."""
    found = world.partition(move.source, move.partition)
    server = found.migration.source_msp if found is not None and found.migration is not None else ""
    return logged(world, move.source, entry(template, time.time()), server)


def _dr_logs(partition: str, line: str) -> dict[str, str]:
    """The lines on a phase in the partition's own logs: syslog, and nmon's recording where it notes that phase."""
    stamp = time.strftime("%b %e %H:%M:%S", time.gmtime())
    logs = {recalled.SYSLOG: f"{stamp} {partition} daemon:notice {recalled.DRMGR_LINES[line]}"}
    if line in recalled.NMON_ROWS:
        logs[recalled.NMON] = recalled.NMON_ROWS[line].format(stamp=stamp.split()[-1])
    return logs
