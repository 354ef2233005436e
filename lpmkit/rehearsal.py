"""A rehearsal: the same guided move against machines that are not there.

Starts the simulator as a program of its own and hands out the site file that it writes. From there on nothing knows that the site is simulated.
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
from typing import Any, Self

from lpmkit.config import Site, load_site
from lpmkit.errors import RemoteError
from lpmkit.runbook import Runbook
from lpmkit.timeline import Clock, wait_until

#: A simulator whose owner was killed, or whose kernel was restarted and never came back, ends by itself.
LIFE_S = 4 * 3600
#: Where the site file of a rehearsal says that the password of its SAP systems is.
SAP_PASSWORD = "LPM_SIMULATOR_SAP_PASSWORD"  # noqa: S105 - the name of a variable


class Rehearsal:
    """The simulator, running; a ``with`` block, or `close` at the end.

    ``speed`` shortens the copy, never the suspension. ``truth`` is where the simulator writes what really happened, which nothing but a test should read. A
    simulator that is at work in ``folder`` already is used again: as in life, the machines do not go away because a notebook's kernel was restarted.
    """

    def __init__(self, folder: Path, *, speed: float = 1.0, options: Sequence[str] = ()) -> None:
        self.folder = folder.resolve()
        self.truth = self.folder / "truth.jsonl"
        self.site_file = self.folder / "site.yaml"
        self._note = self.folder / "rehearsal.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        found = self._at_work()
        if found is None:
            found = self._start(speed, options)
            # The machines are made up and so is their password: whoever comes back to them needs it again.
            self._note.touch(mode=0o600)
            self._note.write_text(json.dumps({**found, "sap_password": os.environ[SAP_PASSWORD]}), encoding="utf-8")
        elif "sap_password" in found:
            os.environ[SAP_PASSWORD] = str(found["sap_password"])
        self.pid = int(found["pid"])

    @property
    def site(self) -> Site:
        return load_site(self.site_file)

    def _start(self, speed: float, options: Sequence[str]) -> dict[str, Any]:
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

    def _at_work(self) -> dict[str, Any] | None:
        """What the note of an earlier start says, when that simulator still lives."""
        try:
            found = dict(json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None
        return found if _is_simulator(int(found["pid"]), self.folder) else None

    def close(self) -> None:
        """End the recorders of its runs, the simulator and its partitions. What was recorded stays."""
        if self.site_file.exists():
            book = Runbook(self.site)
            for run in book.runs():
                if run.is_recorded():
                    book.end(run)
                    wait_until(lambda run=run: not run.is_recorded(), clock=book.clock, timeout_s=30.0)  # type: ignore[misc]
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


def _is_simulator(pid: int, folder: Path) -> bool:
    """Whether ``pid`` is the simulator of that folder: process ids are used again."""
    try:
        os.waitpid(pid, os.WNOHANG)  # a child of ours that ended would stay as a zombie
    except ChildProcessError:
        pass  # not our child: started before this process, or collected already
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"lpmkit.simulator" in command and str(folder).encode() in command
