"""A rehearsal: the same guided move against machines that are not there.

Starts the simulator as a program of its own and hands out the site file that it writes. From there on nothing knows that the site is simulated.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lpmkit.config import Site, load_site
from lpmkit.errors import RemoteError


class Rehearsal:
    """The simulator, running; a ``with`` block, or `close` at the end. It also ends with the process that started it.

    ``speed`` shortens the copy, never the suspension. ``site_file`` is what to point lpmkit at; ``truth`` is where the simulator writes what
    really happened, which nothing but a test should read.
    """

    def __init__(self, folder: Path, *, speed: float = 1.0, options: Sequence[str] = ()) -> None:
        self.folder = folder
        self.truth = folder / "truth.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "lpmkit.simulator",
            "--json",
            "--directory",
            str(folder),
            "--truth",
            str(self.truth),
        ]
        with (folder / "simulator.log").open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 - ourselves
                [*command, "--speed", f"{speed:g}", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        self.ready = self._wait()
        self.site_file = folder / "site.yaml"

    @property
    def site(self) -> Site:
        return load_site(self.site_file)

    @property
    def pid(self) -> int:
        return self._child.pid

    def _wait(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            if line.startswith(b"{"):
                return dict(json.loads(line))
        log = (self.folder / "simulator.log").read_text(encoding="utf-8", errors="replace")
        raise RemoteError("the simulator did not start", where=str(self.folder), answered=log[-2000:] or None)

    def close(self) -> None:
        """End the simulator and its partitions."""
        if self._child.poll() is None:
            self._child.terminate()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
