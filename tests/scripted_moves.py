"""Moves in this process between two scripted managers, recorded by the real recorder, without probes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lpmkit.config import Site
from lpmkit.control.base import Control, MigrationReading, Order
from lpmkit.errors import RemoteError
from lpmkit.probes.orders import ProbeOrder
from lpmkit.recorder import monitor as monitor_module
from lpmkit.recorder import process
from lpmkit.recorder.monitor import MigrationMonitor
from lpmkit.runs.folder import Run, create
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Reply
from lpmkit.survey.machine_logs import Logs

ORDER = Order("p", "a", "b", "8286-42A*21A40BC", "192.0.2.2", "padmin")
AT_HOME = MigrationReading("Running", "Not Migrating")
COPYING = MigrationReading("Migrating - Running", "Migration Starting", 10, 90)
GONE = MigrationReading(None, None)
THERE = MigrationReading("Running", "Not Migrating")


@dataclass
class Managers:
    """Both managers of a move: what they list, and every command that they were sent.

    ``refuses`` is the reply to a command to move.
    """

    source: MigrationReading = AT_HOME
    target: MigrationReading = GONE
    refuses: str = ""
    sent: list[str] = field(default_factory=list)
    when_sent: Callable[[], None] = lambda: None
    copying: MigrationReading = COPYING
    before_stop: Callable[[], object] = lambda: None  #: what the manager does before it answers a stop
    loses: RemoteError | None = None  #: what comes instead of a reply to a command to move
    looks: int = 0  #: questions for the state on the source since that command
    at_look: dict[int, Callable[[], None]] = field(default_factory=dict)  #: what happens at one of them
    copies: bool = False  #: a command to move begins a copy that goes on until it is stopped or `arrive` is called

    def arrive(self) -> None:
        """The partition runs on the target."""
        self.source, self.target = GONE, THERE

    def control(self, site: Site, frame: str, **_: Any) -> Control:
        return cast(Control, OneManager(self, frame))


@dataclass
class OneManager:
    managers: Managers
    frame_name: str

    def migrate(self, order: Order) -> Reply:
        self.managers.sent.append("m")
        self.managers.when_sent()
        if self.managers.loses is not None:
            raise self.managers.loses
        if self.managers.refuses:
            return self._reply(1, self.managers.refuses)
        if self.managers.copies:
            self.managers.source = self.managers.copying
        else:
            self.managers.arrive()
        return self._reply(0)

    def stop(self, partition: str) -> Reply:
        self.managers.sent.append("s")
        self.managers.before_stop()
        if self.managers.copies:
            self.managers.source = AT_HOME
        return self._reply(0)

    def recover(self, order: Order, *, force: bool = False) -> Reply:
        self.managers.sent.append("r")
        return self._reply(0)

    def outcome(self) -> Reply | None:
        return None

    def migration(self, partition: str) -> MigrationReading:
        if self.frame_name != "a":
            return self.managers.target
        self.managers.looks += "m" in self.managers.sent
        self.managers.at_look.pop(self.managers.looks, lambda: None)()
        return self.managers.source

    def system(self) -> SimpleNamespace:
        return SimpleNamespace(state="Operating", name=self.frame_name)

    def close(self) -> None:
        pass

    def _reply(self, status: int, error: str = "") -> Reply:
        return Reply(self.frame_name, "LANG=C migrlpar", status, "", error)


def install(monkeypatch: pytest.MonkeyPatch) -> Managers:
    """Have recorders of this process talk to two scripted managers."""
    found = Managers()
    nothing = monkeypatch.setattr
    nothing(process, "MigrationMonitor", lambda *given: MigrationMonitor(*given, control=found.control))
    nothing(process.Recorder, "_survey_after", lambda *_: None)
    nothing(process.Recorder, "_tell_logs", lambda *_: None)
    nothing(process, "logs_of", lambda *_: Logs((), ()))
    nothing(process, "ProbeProcess", NoProbes)
    nothing(monitor_module, "RETRY_S", 0.01)
    nothing(monitor_module, "NOT_OURS_S", 0.05)
    nothing(monitor_module, "NO_REPLY_S", 0.05)
    return found


class NoProbes:
    """No process: these moves are watched by nobody."""

    lasts_s = 0.0
    names = ""

    def __init__(self, *_: Any) -> None:
        pass

    def keep(self, rate: str) -> None:
        pass

    def ask_to_end(self) -> None:
        pass

    def end(self) -> None:
        pass


def move_folder(runs: Path, lead_in_s: float = 0.0, order: Order = ORDER) -> Run:
    facts = {"order": asdict(order), "lead_in_s": lead_in_s, "tail_s": 0.0, "poll_s": 0.005, "limits": order.limits}
    return create(runs, mode="move", title="p-to-b", facts=facts)


def record(run: Run, probes: Sequence[ProbeOrder] = (), patience_s: float = 60.0) -> None:
    data = [probe.as_data() for probe in probes]
    process.Recorder(run, Secrets(), {"site": Site().as_data(), "probes": data}, patience_s=patience_s).record()


def phases(run: Run) -> list[str]:
    return [str(event.data["phase"]) for event in run.events() if event.kind == "phase"]


def last_why(run: Run) -> str:
    return next(str(event.data["why"]) for event in reversed(run.events()) if event.kind == "phase")
