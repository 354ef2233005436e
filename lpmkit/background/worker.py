"""A detached process that works on one folder: the recorder of a run, the conductor of a plan.

It gets the folder on its command line, and one line of JSON on its standard input: the secrets and its *charge*,
the facts that the front end vouches for, such as the operator's own site file. The content of the folder is data
and vouches for nothing. It holds the folder's lock while it works, and its first event proves that it does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from lpmkit.errors import RecordError
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.runs.files import open_plain
from lpmkit.runs.folder import Run
from lpmkit.ssh.secrets import Secrets, environment_without
from lpmkit.timeline import Clock, wait_until

#: Time limit of a worker's first event, in seconds.
START_TIMEOUT_S = 30.0
#: Time limit of killing a worker without a first event, in seconds.
_END_S = 10.0
#: Bytes of its log that an error shows.
_SHOWN_BYTES = 2000
#: Kinds of events after which a move may have been requested.
ASKING = ("intent", "moving")


@dataclass(frozen=True, slots=True)
class Worker:
    """A kind of worker: its noun for messages and log file (``recorder``), its module, and the time limit of its first
    event, in seconds.
    """

    noun: str
    module: str
    patience_s: float = START_TIMEOUT_S

    def start(self, folder: Run, secrets: Secrets, clock: Clock, charge: JsonMapping) -> int:
        """Start one on ``folder`` and wait for its first event; returns its process id.

        Raises `RecordError` if none comes, with what is known of a move. The process is ended then.
        """
        before = len(folder.events())
        child = self.detach(folder, secrets, charge)

        def has_shown_itself() -> bool:
            """True after the worker's first event."""
            return len(folder.events()) > before

        wait_until(lambda: has_shown_itself() or child.poll() is not None, clock=clock, timeout_s=self.patience_s)
        if has_shown_itself():
            return child.pid
        is_gone = _ended(child)
        requested = [event for event in folder.events() if event.kind in ASKING]
        log = _end_of(self.log(folder.path))
        if is_gone and not requested:
            raise RecordError(
                f"the {self.noun} did not start and has ended; "
                "its record shows that it asked no manager to move anything",
                where=str(folder.path),
                answered=log or None,
                next_step="Is there room on the disk? `lpmkit doctor` looks at this machine.",
            )
        raise RecordError(
            f"the {self.noun} (process {child.pid}) did not report; whether a move was asked for is not known",
            where=str(folder.path),
            answered=log or None,
            next_step=(
                f"Look at both managers before anything else: `lpmkit recover {folder.path} --look` changes nothing."
            ),
        )

    def detach(self, folder: Run, secrets: Secrets, charge: JsonMapping) -> subprocess.Popen[bytes]:
        """Start one on ``folder``, detached from this process, its terminal and its session."""
        with open_plain(self.log(folder.path), "ab") as log:
            child = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-m", self.module, str(folder.path.resolve())],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env=environment_without(charge),
            )
        assert child.stdin is not None
        try:
            child.stdin.write(json.dumps({"secrets": secrets.known(), "charge": charge}).encode() + b"\n")
            child.stdin.close()
        except BrokenPipeError:
            pass  # it died at once: there will be no event, and its log has the reason
        # Collect it when it ends before we do; else init will.
        threading.Thread(target=child.wait, daemon=True).start()
        return child

    def log(self, folder: Path) -> Path:
        """The file with standard output and standard error."""
        return folder / f"{self.noun}.log"


def _end_of(path: Path) -> str:
    """The last words of a log file."""
    with open_plain(path, "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _SHOWN_BYTES))
        return file.read(_SHOWN_BYTES).decode("utf-8", "replace")


def _ended(child: subprocess.Popen[bytes]) -> bool:
    """Kill a worker of ours; false if it did not end."""
    child.kill()
    try:
        child.wait(_END_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def given() -> tuple[Path, Secrets, JsonObject]:
    """Folder, secrets and charge of this worker."""
    line = json.loads(sys.stdin.readline() or "{}")
    sys.stdin.close()
    return Path(sys.argv[1]), Secrets(line.get("secrets"), may_ask=False), line.get("charge") or {}
