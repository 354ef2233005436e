"""A rehearsal: the same guided move against simulated machines.

Starts the simulator as a separate program and provides the site file that it writes; everything else is unaware of the
simulation.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from lpmkit.config import Site, load_site
from lpmkit.errors import RemoteError
from lpmkit.json_values import JsonObject
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run
from lpmkit.timeline import Clock, wait_until

#: Lifetime of the simulator in seconds, in case its owner was killed or its kernel restarted.
LIFE_S = 4 * 3600
#: Environment variable with the password of the simulated SAP systems.
SAP_PASSWORD = "LPM_SIMULATOR_SAP_PASSWORD"  # noqa: S105 - the name of a variable


class Rehearsal:
    """A running simulator; use a ``with`` block, or `close` at the end.

    ``speed`` shortens the copy, never the suspension. ``truth`` is the file with the actual events of the
    simulator, for tests only. A simulator that already runs in ``folder`` is reused, so a restarted notebook kernel
    keeps its hosts.
    """

    def __init__(self, folder: Path, *, speed: float = 1.0, options: Sequence[str] = ()) -> None:
        self.folder = folder.resolve()
        self.truth = self.folder / "truth.jsonl"
        self.site_file = self.folder / "site.yaml"
        self._note = self.folder / "rehearsal.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        simulator = self._at_work()
        if simulator is None:
            simulator = self._start(speed, options)
            # The hosts are simulated and so is their password: a later rehearsal in this folder needs it again.
            self._note.touch(mode=0o600)
            self._note.write_text(json.dumps({**simulator, "sap_password": os.environ[SAP_PASSWORD]}), encoding="utf-8")
        elif "sap_password" in simulator:
            os.environ[SAP_PASSWORD] = str(simulator["sap_password"])
        self.pid = int(simulator["pid"])

    @property
    def site(self) -> Site:
        """The site of the simulated machines."""
        return load_site(self.site_file)

    def _start(self, speed: float, options: Sequence[str]) -> JsonObject:
        os.environ.setdefault(SAP_PASSWORD, secrets.token_urlsafe(12))
        command = [
            sys.executable,
            "-m",
            "lpmkit.simulator",
            "--json",
            "--directory",
            str(self.folder),
            "--truth",
            str(self.truth),
        ]
        with (self.folder / "simulator.log").open("ab") as log:
            child = subprocess.Popen(  # noqa: S603 - ourselves
                [*command, "--speed", f"{speed:g}", "--for", str(LIFE_S), *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert child.stdout is not None
        with child.stdout:
            for line in child.stdout:
                if line.startswith(b"{"):
                    return {"pid": child.pid, **json.loads(line)}
        text = (self.folder / "simulator.log").read_text(encoding="utf-8", errors="replace")
        raise RemoteError("the simulator did not start", where=str(self.folder), answered=text[-2000:] or None)

    def _at_work(self) -> JsonObject | None:
        """The note of an earlier start, if that simulator still runs."""
        try:
            note = dict(json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None
        return note if _is_simulator(int(note["pid"]), self.folder) else None

    def close(self) -> None:
        """End the recorders of its runs, the simulator and its partitions. Records are retained."""
        if self.site_file.exists():
            book = Runbook(self.site)
            for run in book.runs():
                if run.is_recorded():
                    book.end(run)
                    _wait_for_end(run, book.clock)
        if _is_simulator(self.pid, self.folder):
            os.kill(self.pid, signal.SIGTERM)
            wait_until(lambda: not _is_simulator(self.pid, self.folder), clock=Clock(), timeout_s=15.0)
        self._note.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _wait_for_end(run: Run, clock: Clock) -> None:
    wait_until(lambda: not run.is_recorded(), clock=clock, timeout_s=30.0)


def _is_simulator(pid: int, folder: Path) -> bool:
    """True if ``pid`` is still the simulator of that folder: process IDs are reused."""
    try:
        os.waitpid(pid, os.WNOHANG)  # collect an ended child, which would stay as a zombie
    except ChildProcessError:
        pass  # not our child: started before this process, or collected already
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"lpmkit.simulator" in command and str(folder).encode() in command
