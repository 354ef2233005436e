"""The chassis' hold on a partition's process: start it, tell it things, stop it whole, let it go on, end it.

To suspend a partition the whole process group is stopped, and only when ``/proc`` says of every thread of every process
in it that it is stopped is the partition suspended. So every socket of it really stalls.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from lpmkit.simulator.chassis import LoggedError
from lpmkit.simulator.guest import Identity
from lpmkit.simulator.truth import Bracket, now

START_TIMEOUT_S = 30.0


class HostError(Exception):
    """The partition's process did not start, or did not stop."""


class Link(Protocol):
    """A network link that goes down and up with the partition."""

    def prefix(self) -> Sequence[str]:
        """The words in front of a command that run it behind the link."""
        ...

    def down(self) -> None: ...

    def up(self) -> None: ...


class Host(Protocol):
    """The side of a running partition that a move needs."""

    def suspend(self) -> Bracket: ...

    def resume(self) -> Bracket: ...

    def tell(
        self,
        identity: Identity | None = None,
        errors: Sequence[LoggedError] = (),
        logs: Mapping[str, str] | None = None,
    ) -> None: ...

    def drop(self, away_s: float) -> None: ...

    def tell_oracle(self, what: str) -> None: ...


class NoHost:
    """A partition without a process: it is suspended by saying so."""

    def suspend(self) -> Bracket:
        return Bracket(now(), now())

    def resume(self) -> Bracket:
        return Bracket(now(), now())

    def tell(
        self,
        identity: Identity | None = None,
        errors: Sequence[LoggedError] = (),
        logs: Mapping[str, str] | None = None,
    ) -> None:
        """Nobody listens."""

    def drop(self, away_s: float) -> None:
        """Nobody is connected."""

    def tell_oracle(self, what: str) -> None:
        """No database runs."""


class ProcessHost:
    """A partition that is a process of its own, in a session of its own."""

    def __init__(self, settings: dict[str, Any], log: Path, link: Link | None = None) -> None:
        self._link = link
        self._wire, theirs = socket.socketpair()
        self._started = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._suspended = False
        # The kernel ends the partition when the *thread* that started it ends, so that thread stays as long as it does.
        self._keeper = threading.Thread(target=self._keep, args=(theirs, log), daemon=True, name="partition-keeper")
        self._keeper.start()
        self._started.wait(START_TIMEOUT_S)
        self._send(settings)
        ready = self._ready(log)
        self.port = int(ready["port"])
        #: The other ports of the partition, by the name of what listens there.
        self.ports: dict[str, int] = dict(ready["ports"])

    @property
    def pid(self) -> int:
        """The process id, which is the id of the process group as well."""
        if self._process is None:
            raise HostError("the partition's process did not start")
        return self._process.pid

    def _keep(self, theirs: socket.socket, log: Path) -> None:
        command = [sys.executable, "-m", "lpmkit.simulator.partition", str(theirs.fileno()), str(os.getpid())]
        prefix = [] if self._link is None else list(self._link.prefix())
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter, our own module
                [*prefix, *command],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd=log.parent,
                env=_environment(),
            )
        theirs.close()
        self._started.set()
        self._process.wait()

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._wire.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            pass  # the process has gone; whoever needs it will notice by its port

    def _ready(self, log: Path) -> dict[str, Any]:
        self._wire.settimeout(START_TIMEOUT_S)
        try:
            with self._wire.makefile("rb") as replies:
                line = replies.readline()
        except OSError:
            line = b""
        if not line:
            self.close()
            raise HostError(f"the partition's process did not start: {log.read_text(encoding='utf-8')[-2000:]}")
        self._wire.settimeout(None)
        ready: dict[str, Any] = json.loads(line)
        return ready

    def tell(
        self,
        identity: Identity | None = None,
        errors: Sequence[LoggedError] = (),
        logs: Mapping[str, str] | None = None,
    ) -> None:
        """Send news; a suspended partition hears them when it runs again, before it answers anything."""
        told = None if identity is None else asdict(identity)
        self._send({"identity": told, "errors": [asdict(error) for error in errors], "logs": dict(logs or {})})

    def drop(self, away_s: float) -> None:
        self._send({"drop": away_s})

    def tell_oracle(self, what: str) -> None:
        """Have something happen to the database, as `oracle.instance.Instance.do` has it."""
        self._send({"oracle": what})

    def inject(self, fault: Mapping[str, Any]) -> None:
        """Let a fault come into force inside the partition."""
        self._send({"fault": dict(fault)})

    def suspend(self) -> Bracket:
        """Stop everything in the partition. The bracket spans from before the signal until all were seen stopped.

        The link goes down before and comes up after: a kernel that answers while no process runs would be none that was
        suspended.
        """
        with self._lock:
            if self._link is not None:
                self._link.down()
            before = now()
            os.killpg(self.pid, signal.SIGSTOP)
            self._suspended = True
            deadline = time.monotonic() + 10
            while not all_stopped(self.pid):
                if time.monotonic() > deadline:
                    raise HostError("the partition's processes did not stop")
                time.sleep(0.0002)
            return Bracket(before, now())

    def resume(self) -> Bracket:
        with self._lock:
            before = now()
            self._suspended = False
            os.killpg(self.pid, signal.SIGCONT)
            bracket = Bracket(before, now())
            if self._link is not None:
                self._link.up()
            return bracket

    def close(self) -> None:
        """End the partition and everything in it."""
        self._wire.close()
        if self._process is not None:
            for number in (signal.SIGKILL, signal.SIGCONT):
                try:
                    os.killpg(self._process.pid, number)
                except ProcessLookupError:
                    break
            self._keeper.join(10)


def _environment() -> dict[str, str]:
    """Only what an interpreter needs; the simulated AIX must not show its owner's environment."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "HOME") if name in os.environ}
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, *kept.get("PYTHONPATH", "").split(os.pathsep)]
    return {**kept, "PYTHONPATH": os.pathsep.join(path for path in paths if path), "LANG": "C", "TZ": "UTC"}


def all_stopped(group: int) -> bool:
    """True if every thread of every living process of a group is stopped."""
    return all(state in "TtZX" for pid in members(group) for state in _thread_states(pid))


def members(group: int) -> list[int]:
    """The processes of a process group, by ``/proc``; those that have already ended do not count."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            stat = _stat(entry / "stat")
            if len(stat) > 2 and stat[2] == str(group) and stat[0] not in "ZX":
                found.append(int(entry.name))
    return found


def _stat(path: Path) -> list[str]:
    """State, parent, group … of a process: what follows its name, which stands in brackets and may hold anything."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _thread_states(pid: int) -> list[str]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []
    return [stat[0] for thread in threads if (stat := _stat(thread / "stat"))]
