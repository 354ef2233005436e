"""The recorder's side of a probes' process: starts it, reads its frames, and starts another when it dies."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import IO

from lpmkit.probes.orders import ProbeOrder
from lpmkit.runs.writer import RunWriter
from lpmkit.timeline import TroubleCode

#: Probes of one process: its loop and the readers of its sessions share Python's lock, so beyond some hundreds requests
#: leave late (``python -m benchmarks.observer_load``).
MAX_PROBES = 200
#: Seconds until a process that died is followed by another; doubled each time it dies young, up to the second figure.
RESTART_S, MAX_RESTART_S = 1.0, 30.0
#: A process that lived for this many seconds did not die young.
YOUNG_S = 60.0
#: Seconds that a process may take to hand over its last rows.
END_S = 15.0

#: Takes a function for the writer's thread, which calls it with the writer.
Post = Callable[[Callable[[RunWriter], object]], None]
#: Takes a probe's name, whether the rows are samples (else observations), and the rows, as they come.
Hear = Callable[[str, bool, bytes], object]


class ProbeProcess:
    """A child process that runs probes and ends with us; its frames go to the writer's thread.

    When it dies another one is started, in a segment of its own: its probes number their samples from 0 again, and the
    time between is not observed.
    """

    def __init__(
        self,
        orders: tuple[ProbeOrder, ...],
        secrets: Mapping[str, str],
        post: Post,
        log: IO[bytes] | int,
        hear: Hear = lambda *_: None,
    ) -> None:
        self._post, self._log, self._hear = post, log, hear
        self.names = ", ".join(order.name for order in orders)
        #: Seconds that it goes on after the post-migration window.
        self.lasts_s = max(order.lasts_s for order in orders)
        self._orders, self._secrets = orders, dict(secrets)
        #: Accounts that refused our credentials: the next child must not try them again.
        self._refused: dict[str, str] = {}
        self._rate: str | None = None
        self._ending = threading.Event()
        #: Held while the child is exchanged or written to.
        self._turn = threading.Lock()
        self._child = self._start()
        self._reader = threading.Thread(target=self._run, daemon=True)
        self._reader.start()

    def _start(self) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-m", "lpmkit.probes.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        probes = [order.as_data() for order in knowing(self._orders, self._refused)]
        _write_line(child, json.dumps({"probes": probes, "secrets": self._secrets}).encode())
        return child

    @property
    def pid(self) -> int:
        """The process id of the child that runs now."""
        return self._child.pid

    def keep(self, rate: str) -> None:
        """Have its probes keep another rate from now on, unless it has been ended already."""
        with self._turn:
            self._rate = rate
            if not self._ending.is_set():
                _write_line(self._child, json.dumps({"pace": rate}).encode())

    def ask_to_end(self) -> None:
        """Close its standard input; a second call does nothing."""
        with self._turn:
            if self._ending.is_set():
                return
            self._ending.set()
            assert self._child.stdin is not None
            try:
                self._child.stdin.close()
            except BrokenPipeError:
                pass  # it died, and the end of its output is its report

    def end(self) -> None:
        """Ask it to end, and wait until everything it saw is posted."""
        self.ask_to_end()
        self._reader.join(timeout=END_S)
        if self._child.poll() is None:
            self._child.terminate()
        self._child.wait()

    def _run(self) -> None:
        """Read the child's frames to their end; start another child as often as one dies."""
        segment: int | None = None
        wait_s = RESTART_S
        while True:
            lived = threading.Event()
            timer = threading.Timer(YOUNG_S, lived.set)
            timer.daemon = True
            timer.start()
            self._read(segment)
            timer.cancel()
            if self._ending.is_set():
                return
            status = self._child.wait()
            wait_s = RESTART_S if lived.is_set() else wait_s
            what = (
                f"the process of {self.names} ended by itself (exit status {status}); recorder.log may have the reason"
            )
            self._note(f"{what}; another one is started in {wait_s:g} s")
            if self._ending.wait(wait_s):
                return
            wait_s = min(2 * wait_s, MAX_RESTART_S)
            segment = self._new_segment()
            with self._turn:
                if segment is None or self._ending.is_set():
                    return
                self._child = self._start()
                if self._rate is not None:
                    _write_line(self._child, json.dumps({"pace": self._rate}).encode())

    def _note(self, what: str) -> None:
        names, code = self.names, TroubleCode.DIED.value
        self._post(lambda writer: writer.event("recorder", "probe-trouble", probe=names, what=what, code=code))

    def _new_segment(self) -> int | None:
        """A number for the samples of the next child; ``None`` when the recording ends before the writer gives one."""
        given: list[int] = []
        done = threading.Event()

        def take(writer: RunWriter) -> None:
            given.append(writer.new_segment())
            done.set()

        self._post(take)
        while not done.wait(0.2):
            if self._ending.is_set():
                return None
        return given[0]

    def _read(self, segment: int | None) -> None:
        frames = self._child.stdout
        assert frames is not None
        while line := frames.readline():
            kind, _, rest = line.partition(b" ")
            if kind in (b"S", b"O"):
                name, length = rest.split()
                rows, probe = frames.read(int(length)), name.decode()
                if len(rows) < int(length):
                    rows = rows[: rows.rfind(b"\n") + 1]  # it died in the middle of a row
                write = RunWriter.sample_rows if kind == b"S" else RunWriter.observation_rows
                self._post(partial(write, probe=probe, rows=rows, segment=segment))
                self._hear(probe, kind == b"S", rows)
            elif line.endswith(b"\n"):
                event = json.loads(rest)
                self._refused.update(event["data"].get("refused") or {})
                self._post(
                    partial(
                        RunWriter.probe_event,
                        source=event["source"],
                        kind=event["kind"],
                        data=event["data"],
                        segment=segment,
                    )
                )


def _write_line(child: subprocess.Popen[bytes], line: bytes) -> None:
    assert child.stdin is not None
    try:
        child.stdin.write(line + b"\n")
        child.stdin.flush()
    except BrokenPipeError:
        pass  # it died, and the end of its output is its report


def in_groups(orders: Sequence[ProbeOrder]) -> list[tuple[ProbeOrder, ...]]:
    """Sort probes by the process that they share, at most `MAX_PROBES` in one.

    Those of one host stay together: one of them follows what another sends (`lpmkit.probes.acks`).
    """
    groups: dict[str, dict[str, list[ProbeOrder]]] = {}
    for order in orders:
        groups.setdefault(order.group, {}).setdefault(order.host, []).append(order)
    processes: list[list[ProbeOrder]] = []
    for hosts in groups.values():
        processes.append([])
        for probes in hosts.values():
            if processes[-1] and len(processes[-1]) + len(probes) > MAX_PROBES:
                processes.append([])
            processes[-1] += probes
    return [tuple(process) for process in processes]


def knowing(orders: Sequence[ProbeOrder], refused: Mapping[str, str]) -> tuple[ProbeOrder, ...]:
    """The orders with the accounts that refused our credentials before in this run, for the probes that log on to more
    than a host.
    """
    return tuple(
        replace(order, options={**order.options, "refused": {**order.options.get("refused", {}), **refused}})
        if refused and order.kind != "observer"
        else order
        for order in orders
    )
