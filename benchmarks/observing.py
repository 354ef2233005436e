"""Shared by the benchmarks of the observer: a run folder filled by lpmkit's probe processes, and their cost."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lpmkit.probes.orders import OBSERVER, ProbeOrder
from lpmkit.recorder.probe_process import ProbeProcess, in_groups
from lpmkit.runs.folder import Run, create
from lpmkit.runs.writer import RunWriter

#: Key of the observer's ticker in `Watched.pids`.
OWN_TICKER = "own ticker"


class Watched:
    """A growing run: probes of all targets in as few processes as lpmkit uses, the observer's ticker in another.

    Their frames are written as the recorder does.
    """

    def __init__(self, parent: Path, title: str, hosts: Sequence[str], probes: Sequence[ProbeOrder], lead_in_s: float):
        facts = {"hosts": list(hosts), "lead_in_s": lead_in_s, "tail_s": 0}
        self.run: Run = create(parent, mode="watch", title=title, facts=facts)
        self._asked: queue.SimpleQueue[Callable[[RunWriter], object] | None] = queue.SimpleQueue()
        self._log = (self.run.path / "recorder.log").open("ab")
        self._thread = threading.Thread(target=self._write)
        self._thread.start()
        self.watchers = [ProbeProcess(group, {}, self._asked.put, self._log) for group in in_groups(probes)]
        self.ticker = ProbeProcess((OBSERVER,), {}, self._asked.put, self._log)

    def _write(self) -> None:
        with RunWriter(self.run.path) as writer:
            writer.event("recorder", "recorder-started", pid=os.getpid(), mode="watch", resumed=False)
            anchored = flushed = 0.0
            while True:
                if time.monotonic() - anchored > 10:
                    anchored = time.monotonic()
                    writer.event("recorder", "clock", uncertainty_ns=writer.clock.anchor().uncertainty_ns)
                try:
                    write = self._asked.get(timeout=0.5)
                except queue.Empty:
                    writer.flush()
                    continue
                if write is None:
                    return
                write(writer)
                if time.monotonic() - flushed > 0.3:  # waiting code reads the files
                    flushed = time.monotonic()
                    writer.flush()

    def keep(self, pace: str) -> None:
        """Change all probes to a rate."""
        for watcher in self.watchers:
            watcher.keep(pace)

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        watching = {f"watching {number}": watcher.pid for number, watcher in enumerate(self.watchers[1:], start=2)}
        return {"watching": self.watchers[0].pid, **watching, OWN_TICKER: self.ticker.pid}

    def programs(self) -> dict[str, int]:
        """The processes on the hosts, by probe."""
        return {event.data["probe"]: event.data["remote_pid"] for event in self.run.events() if event.kind == "session"}

    def wait_for_sessions(self, count: int, timeout_s: float) -> int:
        """Wait for ``count`` sessions; returns their number."""
        deadline = time.monotonic() + timeout_s
        while (sessions := len(self.programs())) < count and time.monotonic() < deadline:
            time.sleep(0.5)
        return sessions

    def end(self) -> None:
        """End the probes and the record."""
        for process in (*self.watchers, self.ticker):
            process.end()
        self._asked.put(None)
        self._thread.join()
        self._log.close()


def cpu_s(pid: int) -> float:
    """Processor seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> dict[str, float]:
    """Memory of a process: all of it (``rss``), and with its share only of shared pages (``pss``)."""
    rows = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]]
    values = {row[0].rstrip(":").lower(): int(row[1]) / 1024 for row in rows if len(row) == 3}
    return {name: values[name] for name in ("rss", "pss")}
