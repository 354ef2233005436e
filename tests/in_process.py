"""The simulated managers without SSH: their own shells, called in this process.

For tests of what is typed and understood, by the thousand.

What goes over a real connection is tested elsewhere; the shells, the grammar and the movers here are the same.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from lpmkit.control.base import Control, Order
from lpmkit.control.hmc import Hmc, ViosThroughHmc
from lpmkit.control.ivm import Ivm
from lpmkit.control.vios import ViosShell
from lpmkit.errors import ConnectionLost, Unreachable
from lpmkit.simulator.chassis import Chassis, World
from lpmkit.simulator.faults import Fault, FaultBook, parse
from lpmkit.simulator.hmc_machine import HmcMachine
from lpmkit.simulator.landscape import load
from lpmkit.simulator.migration import Movers
from lpmkit.simulator.perturbation import perturb
from lpmkit.simulator.shells.runner import Captured, Shell
from lpmkit.simulator.truth import Truth
from lpmkit.simulator.vios_machine import ViosMachine
from lpmkit.ssh.session import Reply, command_line
from lpmkit.survey.gather import gather
from lpmkit.survey.model import Survey

#: Suspensions in here do not last as long as in life: nothing runs that would feel them.
BRIEFLY = Fault("suspend-for", delay_s=0.02)


@dataclass
class Typing:
    """A `lpmkit.ssh.session.Session` on one manager of the site. ``away`` is when nobody answers there."""

    site: Place
    where: str
    asked: list[str]
    closed: bool = False

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        command = command_line(arguments)
        self.asked.append(command)
        if self.where in self.site.away:
            raise Unreachable("nobody answers", where=self.where, asked=command)
        io = Captured(stdin.encode())
        self.site.open_commands[id(io)] = (self.where, io)
        began = time.monotonic_ns()
        try:
            status = self.site.shell(self.where).execute(command, io)
        finally:
            del self.site.open_commands[id(io)]
        if io.closed.is_set():
            raise ConnectionLost("the connection was lost", where=self.where, asked=command)
        return Reply(
            self.where, command, status, io.stdout.decode(), io.stderr.decode(), stdin, began, time.monotonic_ns()
        )

    def close(self) -> None:
        self.closed = True


@cache
def landscape(name: str) -> World:
    """A landscape by its name, read once: a world is a value."""
    return load(Path(name))


class Place:
    """A landscape that is up in this process: its world, its movers, a command line on each manager."""

    def __init__(self, chosen: str | World, faults: Sequence[str | Fault] = (), *, speed: float = 2000.0) -> None:
        given = [parse(fault) if isinstance(fault, str) else fault for fault in (BRIEFLY, *faults)]
        world = landscape(chosen) if isinstance(chosen, str) else chosen
        for fault in given:
            world = perturb(world, fault)
        self.chassis, self.faults = Chassis(world), FaultBook(given)
        self._folder = tempfile.TemporaryDirectory()
        self.truth = Truth(Path(self._folder.name) / "truth.jsonl")
        self.movers = Movers(self.chassis, self.faults, self.truth, {}, self.drop, speed=speed, seed=7)
        self.away: set[str] = set()
        self.asked: list[str] = []
        self.open_commands: dict[int, tuple[str, Captured]] = {}

    @property
    def world(self) -> World:
        return self.chassis.world

    def inject(self, text: str) -> None:
        fault = parse(text)
        self.chassis.change(lambda world: perturb(world, fault))
        self.faults.add(fault)

    def drop(self, host: str, away_s: float = 0.0) -> None:
        """Cut every command that runs on a manager, and let nobody in for a while; what was begun goes on."""
        if away_s > 0:
            self.away.add(host)
        for where, io in list(self.open_commands.values()):
            if where == host:
                io.closed.set()
        if 0 < away_s < threading.TIMEOUT_MAX:
            timer = threading.Timer(min(away_s, 1e6), self.away.discard, (host,))
            timer.daemon = True
            timer.start()

    def power(self, frame: str) -> None:
        """The power of a frame is back."""
        self.chassis.change(lambda world: world.with_frame(replace(world.frame(frame), state="Operating")))
        self.away.discard(self.manager(frame))

    def shell(self, host: str) -> Shell:
        console = next((hmc for hmc in self.world.hmcs if hmc.host == host), None)
        if console is not None:
            machine: HmcMachine | ViosMachine = HmcMachine(self.chassis, self.movers, console)
        else:
            machine = ViosMachine(self.chassis, self.movers, self._frame_of(host))
        return Shell(machine, lambda text: self.faults.on_command(host, text))

    def _frame_of(self, host: str) -> str:
        return next(frame.name for frame in self.world.frames if host in (frame.name, frame.vios.hostname))

    def session(self, host: str) -> Typing:
        return Typing(self, host, self.asked)

    def manager(self, frame: str) -> str:
        """Whom one logs in to for a frame."""
        found = self.world.frame(frame)
        return found.hmc or found.vios.hostname

    def control(self, frame: str) -> Control:
        host = self.manager(frame)
        found = self.world.frame(frame)
        if found.hmc is None:
            return Ivm(frame, self.session(host))
        return Hmc(
            frame, self.session(host), found.system_name, open_another=lambda: self.session(host), look_every_s=0.005
        )

    def shells(self, frame: str) -> Mapping[str, ViosShell]:
        found, host = self.world.frame(frame), self.manager(frame)
        if found.hmc is None:
            return {host: ViosShell(self.session(host))}
        through = {one.name: ViosThroughHmc(self.session(host), found.system_name, one.name) for one in found.servers}
        return {name: ViosShell(session, "") for name, session in through.items()}

    def order(self, partition: str, source: str, target: str, mapping: Mapping[str, str] | None = None) -> Order:
        here, there = self.world.frame(source), self.world.frame(target)
        one_manager = here.hmc is not None and here.hmc == there.hmc
        if one_manager:
            return Order(partition, source, target, there.machine, "", "", dict(mapping or {}))
        if there.hmc is None:
            address, user = there.vios.address, "padmin"
        else:
            address, user = next(hmc.address for hmc in self.world.hmcs if hmc.host == there.hmc), "hscroot"
        return Order(partition, source, target, there.machine, address, user, dict(mapping or {}))

    def survey(self, order: Order) -> Survey:
        """Everything but what the partition itself says."""
        found = gather(
            order,
            self.control(order.source),
            self.control(order.target),
            self.shells(order.source),
            self.shells(order.target),
            None,
        )
        return replace(found, gaps=tuple(gap for gap in found.gaps if gap.what not in ("partition", "multipath")))

    def close(self) -> None:
        self.movers.close()
        self.truth.close()
        self._folder.cleanup()


@contextmanager
def place(chosen: str | World, *faults: str | Fault, speed: float = 2000.0) -> Iterator[Place]:
    """A landscape for the time of a test."""
    up = Place(chosen, faults, speed=speed)
    try:
        yield up
    finally:
        up.close()
