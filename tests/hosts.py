"""Jump hosts as processes: real conductors, recorders and store; only the managers are a file that all of them see.

A `Host` forks a process for its worker, for every conductor and every recorder: each can be killed by itself.
`World` is what the managers know, and counts every command that they received.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from lpmkit.account.person import Person
from lpmkit.background.worker import Worker
from lpmkit.checks import Finding
from lpmkit.config import Site
from lpmkit.control.base import Control, MigrationReading, Order
from lpmkit.errors import LpmError
from lpmkit.inventory import Frame, MoverPair, Partition
from lpmkit.plan import conductor as conductor_module
from lpmkit.plan import driving, engine, observing
from lpmkit.plan.sharing import room_of
from lpmkit.prediction.moves import Prediction
from lpmkit.prediction.no_forecast import NoForecast
from lpmkit.probes.orders import ProbeOrder
from lpmkit.recorder import monitor as monitor_module
from lpmkit.recorder import process, shared_intent
from lpmkit.recorder.monitor import MigrationMonitor
from lpmkit.runbook import PartitionLocation, Runbook, SiteInventory, Validation
from lpmkit.runs import locks
from lpmkit.runs.folder import Run, write_document
from lpmkit.runs.writer import RunWriter
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Reply
from lpmkit.store import database, places
from lpmkit.survey.machine_logs import Logs
from lpmkit.timeline import Clock, wait_until
from tests.forked import popen
from tests.scripted_moves import NoProbes

#: Moves that a frame takes at once.
AT_ONCE = 2
#: Seconds without a sign of life from which a process of another host counts as dead here.
GONE_S = 3.0
#: Seconds that a copy lasts here.
COPY_S = 0.6
NOT_MIGRATING, COPIES = "Not Migrating", MigrationReading("Migrating - Running", "Migration Starting", 10, 90)


class World:
    """The managers' knowledge, in one file: where partitions run, what is copied, and every command."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self, partitions: Mapping[str, str]) -> None:
        """Put partitions on frames."""
        self.path.write_text(json.dumps({"on": dict(partitions), "copies": {}, "commands": [], "most": 0}))

    @contextmanager
    def _known(self) -> Iterator[dict[str, Any]]:
        """The knowledge, to change; who is killed meanwhile leaves it as it was."""
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = json.loads(self.path.read_text())
            for name, (target, until) in list(known["copies"].items()):
                if time.monotonic() >= until:
                    known["on"][name] = target
                    del known["copies"][name]
            yield known
            renewed = self.path.with_suffix(".new")
            renewed.write_text(json.dumps(known))
            renewed.replace(self.path)

    def migrate(self, order: Order) -> str:
        """A command to move; the reason to refuse it, or an empty text."""
        with self._known() as known:
            busy = order.partition in known["copies"]
            here = known["on"].get(order.partition) == order.source
            why = "HSCL3656 a migration is in progress" if busy else "" if here else "HSCL1400 no such partition"
            known["commands"].append({"partition": order.partition, "refused": why})
            if not why:
                known["copies"][order.partition] = [order.target, time.monotonic() + COPY_S]
                known["most"] = max(known["most"], len(known["copies"]))
            return why

    def reading(self, frame: str, partition: str) -> MigrationReading:
        """The partition as the manager of a frame lists it."""
        with self._known() as known:
            if known["on"].get(partition) != frame:
                return MigrationReading(None, None)
            return COPIES if partition in known["copies"] else MigrationReading("Running", NOT_MIGRATING)

    def look(self) -> dict[str, Any]:
        """Everything: where partitions are, the commands so far, and the most copies at once."""
        with self._known() as known:
            return dict(known)


@dataclass
class _Manager:
    world: World
    frame_name: str

    def migrate(self, order: Order) -> Reply:
        refused = self.world.migrate(order)
        return Reply(self.frame_name, "migrlpar -o m", 1 if refused else 0, "", refused)

    def outcome(self) -> Reply | None:
        return None

    def migration(self, partition: str) -> MigrationReading:
        return self.world.reading(self.frame_name, partition)

    def system(self) -> SimpleNamespace:
        return SimpleNamespace(state="Operating", name=self.frame_name)

    def close(self) -> None:
        pass


class _Book(Runbook):
    """A runbook of a host whose managers are the world's; everything of runs, intents and locks is the real one's."""

    world: World
    lead_in_s = 0.2

    def landscape(self) -> SiteInventory:
        known = self.world.look()
        copies = [(known["on"][name], target) for name, (target, _) in known["copies"].items()]
        frames = {
            name: Frame(
                name, "8286-42A", name, active_migrations_supported=AT_ONCE,
                active_migrations_in_progress=sum(name in pair for pair in copies),
            )
            for name in self.site.frames
        }  # fmt: skip
        placed = tuple(
            PartitionLocation(frame, Partition(name, 3, "Running", memory_mb=1024))
            for name, frame in known["on"].items()
        )
        return SiteInventory(frames, placed, {})

    def mover_pairs(self, order: Order) -> tuple[MoverPair, ...]:
        return ()

    def movers_take(self, frame: str) -> dict[str, int | None]:
        return {frame: AT_ONCE}

    def prepare(self, order: Order) -> Run:
        run = super().prepare(order)
        if not run.events():
            times = {"lead_in_s": self.lead_in_s, "tail_s": 0.0, "poll_s": 0.1}
            write_document(run.path, "run", {**run.manifest, **times})
        return Run(run.path)

    def check(self, run: Run) -> tuple[Finding, ...]:
        write_document(run.path, "survey", {})
        write_document(run.path, "findings", [])
        return ()

    def validate(self, run: Run, *, disks: bool = False) -> Validation:
        found = Validation(self.own_order(run), True, 0, "", self.clock.wall_ns())
        write_document(run.path, "validation", asdict(found))
        return found

    def predict(self, run: Run) -> Prediction | NoForecast:
        return NoForecast("nobody asked for one")

    def _start(self, run: Run, probes: object = None) -> None:
        before = len(run.events())
        _fork(lambda: _record(run, self.site, self.world))
        wait_until(lambda: len(run.events()) > before, clock=self.clock, timeout_s=20.0)


class _Watcher(Runbook):
    """A runbook of a worker that records a watch: the recorder is a fork, without probes."""

    def _start(self, run: Run, probes: object = None) -> None:
        before = len(run.events())
        _fork(lambda: _record(run, self.site, World(Path("nowhere"))))
        wait_until(lambda: len(run.events()) > before, clock=self.clock, timeout_s=20.0)


def _fork(work: Any) -> int:
    pid = os.fork()
    if pid == 0:
        os.setsid()
        try:
            work()
        except LpmError as error:
            print(f"{os.getpid()}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(0)
    return pid


def _record(run: Run, site: Site, world: World) -> None:
    def control(_: Site, frame: str, **__: object) -> Control:
        return cast(Control, _Manager(world, frame))

    _replace({process: {"MigrationMonitor": lambda *given: MigrationMonitor(*given, control=control)}})
    probes: list[ProbeOrder] = []
    person = Person("anna", "anna", "account")
    process.Recorder(run, Secrets(), {"site": site.as_data(), "probes": probes, "person": person.as_data()}).record()


def _report(path: Path) -> None:
    phase = Run(path).last_event("phase")
    state = "passed" if phase is not None and phase.data["phase"] == "settled" else "failed"
    write_document(path, "summary", {"verdict": {"state": state, "line": f"it {state}"}})


def _conduct(folder: Path, book: _Book) -> None:
    with RunWriter(folder) as writer:
        plan = Run(folder)
        room = room_of(book.site, book.secrets, plan)
        conductor_module.Conductor(plan, writer, book, _report, lambda _: None, room).conduct()


def _quickly() -> None:
    """Waits and time limits in tenths of seconds, so that a night takes some."""
    _replace(
        {
            process: {"ProbeProcess": NoProbes, "logs_of": lambda *_: Logs((), ()), "STORE_AGAIN_S": 0.2},
            process.Recorder: {"_survey_after": lambda *_: None, "_tell_logs": lambda *_: None},
            monitor_module: {"RETRY_S": 0.05, "NOT_OURS_S": 1.0, "NO_REPLY_S": 1.0},
            shared_intent: {"TELL_EVERY_S": 0.3, "LAST_NOTE_S": 3.0, "BEGIN_AGAIN_S": 0.1},
            engine: {"LOOK_EVERY_S": 0.5},
            observing: {"LOOK_EVERY_S": 0.2, "Runbook": _Watcher},
            places: {"BEAT_S": 0.5, "GONE_S": GONE_S},
            locks: {"BEAT_S": 0.5, "GONE_S": GONE_S},
            database: {"CONNECT_S": 1, "TRANSACTION_S": 1.5},
            conductor_module: {"LOOK_S": 0.1, "ASK_AGAIN_S": 0.3, "STORE_AGAIN_S": 0.5},
        }
    )


def _replace(changed: Mapping[Any, Mapping[str, Any]]) -> None:
    """Put other values into modules and classes, for this process and those that it forks."""
    for part, values in changed.items():
        for name, value in values.items():
            setattr(part, name, value)


def _collect(*_: object) -> None:
    """Collect the processes that ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return  # there are none


def main() -> None:
    """Be one host: a line on standard input starts its worker, whose process id is the answer."""
    _quickly()
    site, world = Site.model_validate(json.loads(sys.argv[1])), World(Path(sys.argv[2]))
    name = sys.argv[3]
    socket.gethostname = lambda: name
    signal.signal(signal.SIGCHLD, _collect)
    book = _Book(site, Secrets(), person=Person("anna", "anna", "account"))
    book.world, book.lead_in_s = world, float(sys.argv[4])

    class Conductors:
        """Starts conductors as a worker does, with the managers of this world."""

        def start(self, folder: Run, *_: object) -> None:
            """Fork one, and wait for its first event."""
            before = len(folder.events())
            _fork(partial(_conduct, folder.path, book))
            wait_until(lambda: len(folder.events()) > before, clock=Clock(), timeout_s=20.0)

    for _ in sys.stdin:
        conductors, note = cast(Worker, Conductors()), partial(print, file=sys.stderr, flush=True)
        print(_fork(partial(driving.serve_place, site, Secrets(), name, conductors, note)), flush=True)


class Host:
    """A jump host with a cable of its own to the store; its folder of runs may be shared with others."""

    def __init__(self, name: str, folder: Path, url: str, world: World, runs: str = "", lead_in_s: float = 0.2) -> None:
        self.name = name
        self.runs = folder / (runs or name)
        frame = {"manager": "ivm", "mover_address": "192.0.2.1"}
        self.site = Site.model_validate(
            {"frames": {name: {**frame, "host": f"{name}.invalid"} for name in "ab"},
             "partitions": {name: {"host": f"{name}.invalid"} for name in "pqrst"},
             "runs": {"folder": str(self.runs)}, "store": url}
        )  # fmt: skip
        self._log = (folder / f"{name}.log").open("ab")
        self._nursery = popen(
            [sys.executable, "-m", "tests.hosts", json.dumps(self.site.as_data()), str(world.path), name,
             str(lead_in_s)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, start_new_session=True,
            cwd=Path(__file__).parent.parent,
        )  # fmt: skip

    def work(self) -> int:
        """Start the worker of this host, whose place has its name; returns its process id."""
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._nursery.stdin.write(b"\n")
        self._nursery.stdin.flush()
        return int(self._nursery.stdout.readline())

    def recorders(self) -> list[int]:
        """The process ids of recorders that are at work."""
        found = []
        for path in self.runs.glob("*/events.jsonl"):
            started = Run(path.parent).last_event("recorder-started")
            if started is not None and is_alive(int(started.data["pid"])):
                found.append(int(started.data["pid"]))
        return found

    def close(self) -> None:
        """End the process that starts the others."""
        assert self._nursery.stdin is not None
        self._nursery.stdin.close()
        self._nursery.wait(30)
        if self._nursery.stdout is not None:
            self._nursery.stdout.close()
        self._log.close()


def is_alive(pid: int) -> bool:
    """True while a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def kill(pid: int) -> None:
    """Kill a process that a `Host` started."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    wait_until(lambda: not is_alive(pid), clock=Clock(), timeout_s=10)


if __name__ == "__main__":
    main()
