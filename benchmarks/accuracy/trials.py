"""The list of trials, and the play of each with two records: ticks at 100 Hz and at 1 kHz."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.accuracy.rig import Moment, Rig, at_ease, urgent
from benchmarks.observing import OWN_TICKER, Watched, cpu_s, memory_mib
from lpmkit.config import PaceSettings, PartitionSettings
from lpmkit.probes.orders import WATCH, plan
from lpmkit.runs.folder import Run
from lpmkit.timeline import Clock, wait_until

LEAD_IN_S = 20.0
RATES = (100, 1000)
#: Milliseconds and weight in percent.
LENGTHS = (
    (2, 4),
    (5, 4),
    (10, 5),
    (20, 8),
    (50, 15),
    (100, 17),
    (200, 17),
    (500, 15),
    (1000, 10),
    (3000, 4),
    (8000, 1),
)
#: Kinds of suspensions.
SUSPENDED = ("dropped", "queued", "late tail")
#: Two suspensions within a twentieth of a second: without an echo between them only a few ticks tie the clocks.
#: Reported separately.
TWICE = "twice"
#: Suspensions with scripted clocks of the partition: the monotonic one counts nothing, or one second at most, or
#: everything while the wall clock is set by half a minute. Each has its own sittings: a host's clocks behave the same
#: every time.
CLOCKS = ("clock stood still", "clock capped", "time of day set")
#: The next trial begins after this number of consecutive answered echoes, or after this time.
RECOVERED_ECHOES, RECOVERY_S = 8, 30.0
KINDS = (
    ("dropped", 30),
    ("queued", 26),
    ("late tail", 8),
    ("twice", 6),
    ("cut", 12),
    ("kernel runs", 8),
    ("probes stopped", 5),
    ("all ours stopped", 5),
)
TAIL_S = 0.3


@dataclass(frozen=True)
class Trial:
    """One trial: ``kind`` as in `KINDS`, ``length_ms``, with or without busy processors on the observer."""

    number: int
    kind: str
    length_ms: int
    hogged: bool


def listed(count: int, seed: int, longest_ms: int = 8000, only: Sequence[str] = ()) -> list[Trial]:
    """``count`` trials in a random order that a seed repeats, of some kinds ``only``; the last quarter with busy
    processors.

    """
    chance = random.Random(seed)
    lengths = [entry for entry in LENGTHS if entry[0] <= longest_ms]
    choices = [entry for entry in KINDS if not only or entry[0] in only] + [
        (entry, 1) for entry in CLOCKS if entry in only
    ]
    kinds = chance.choices([kind for kind, _ in choices], [weight for _, weight in choices], k=count)
    kinds[: len(choices)] = [kind for kind, _ in choices][:count]  # every kind at least once
    ms = chance.choices([length for length, _ in lengths], [weight for _, weight in lengths], k=count)
    ms = [
        max(entry, 200) if kind in ("cut", "probes stopped", "all ours stopped") else entry
        for entry, kind in zip(ms, kinds, strict=True)
    ]
    return [Trial(n, kind, length, n >= count * 3 // 4) for n, (kind, length) in enumerate(zip(kinds, ms, strict=True))]


def record(parent: Path, rig: Rig, hz: int) -> Watched:
    """Start a run folder with ticks at this rate; only the slower one has connections."""
    settings = PartitionSettings(host=rig.name, watch=PaceSettings(tick_hz=hz))
    probes = plan(rig.name, settings, rig.ssh_config, paces=(WATCH,))
    probes_here = [probe for probe in probes if hz == RATES[0] or probe.kind != "connect"]
    return Watched(parent, f"{hz}-hz", [rig.name], probes_here, LEAD_IN_S)


class Player:
    """Plays trials on a rig."""

    def __init__(self, rig: Rig, records: list[Watched], seed: int) -> None:
        self.rig, self.records = rig, records
        self._chance = random.Random(seed)

    def play(self, trial: Trial) -> list[dict[str, Any]]:
        """Play a trial, wait for recovery, and return the times of its actions."""
        play = {
            "dropped": lambda: self._suspend(trial, "drop"),
            "queued": lambda: self._suspend(trial, "queue"),
            "late tail": lambda: self._suspend(trial, "drop", TAIL_S),
            "twice": lambda: self._suspend(trial, "drop"),
            "clock stood still": lambda: self._suspend(trial, "drop", clocks=lambda length: (length, 0)),
            "clock capped": lambda: self._suspend(trial, "drop", clocks=lambda length: (max(0, length - 10**9), 0)),
            "time of day set": lambda: self._suspend(trial, "drop", clocks=lambda length: (0, self._half_a_minute())),
            "cut": lambda: self._cut(trial),
            "kernel runs": lambda: self._frozen_alone(trial),
            "probes stopped": lambda: self._ours(
                trial, [pid for watched in self.records for name, pid in watched.pids.items() if name != OWN_TICKER]
            ),
            "all ours stopped": lambda: self._ours(
                trial, [pid for watched in self.records for pid in watched.pids.values()]
            ),
        }
        done = [play[trial.kind]()]
        if trial.kind == TWICE:
            time.sleep(0.05)
            done.append(play["twice"]())
        time.sleep(0.7)
        wait_until(self._has_recovered, clock=Clock(), timeout_s=RECOVERY_S, every_s=0.2)
        time.sleep(0.3 * self._chance.random())
        return done

    def _has_recovered(self) -> bool:
        """True if the sessions of all records are answered as before; a move begins after a baseline too.

        TCP doubles its pauses while the link is cut, so after eight seconds the echo may be silent for as long again.
        """
        for watched in self.records:
            newest = watched.run.recent("ssh-echo", 4096)[-RECOVERED_ECHOES:]
            if len(newest) < RECOVERED_ECHOES or any(answer.answered_ns is None for answer in newest):
                return False
            if time.monotonic_ns() - (newest[-1].answered_ns or 0) > 800_000_000:
                return False
        return True

    def _told(self, trial: Trial, began: Moment, ended: Moment, **more: Any) -> dict[str, Any]:
        return {**asdict(trial), "began": began.as_list(), "ended": ended.as_list(), **more}

    def _half_a_minute(self) -> int:
        return self._chance.choice((-1, 1)) * 30_000_000_000

    def _suspend(
        self, trial: Trial, frames: str, tail_s: float = 0.0, clocks: Callable[[int], tuple[int, int]] | None = None
    ) -> dict[str, Any]:
        # The truth is when the processes stood still. The link is cut just before and opened just after, by a fraction
        # of a millisecond.
        self.rig.link(frames)
        began = self.rig.freeze()
        time.sleep(trial.length_ms / 1000)
        if clocks is not None:
            self.rig.clocks_miss(*clocks(time.monotonic_ns() - began.before_ns))
        ended = self.rig.thaw()
        if not tail_s:
            self.rig.link("open")
            return self._told(trial, began, ended)
        time.sleep(tail_s)
        return self._told(trial, began, ended, opened=self.rig.link("open").as_list())

    def _cut(self, trial: Trial) -> dict[str, Any]:
        began = self.rig.link("drop")
        time.sleep(trial.length_ms / 1000)
        return self._told(trial, began, self.rig.link("open"))

    def _frozen_alone(self, trial: Trial) -> dict[str, Any]:
        began = self.rig.freeze()
        time.sleep(trial.length_ms / 1000)
        return self._told(trial, began, self.rig.thaw())

    def _ours(self, trial: Trial, pids: list[int]) -> dict[str, Any]:
        def all_of_them(number: signal.Signals) -> Moment:
            before = time.monotonic_ns()
            for pid in pids:
                os.kill(pid, number)
            return Moment(before, time.monotonic_ns())

        began = all_of_them(signal.SIGSTOP)
        time.sleep(trial.length_ms / 1000)
        return self._told(trial, began, all_of_them(signal.SIGCONT))


@contextmanager
def hogs(count: int) -> Iterator[None]:
    """Busy processes in the background."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def costs(rig: Rig, watched: Watched, over_s: float) -> dict[str, float]:
    """Cost of one record without events: shares of a processor on both sides, frames per second, memory of the
    observer.

    """
    pids = {**watched.pids, **watched.programs()}
    before, frames, began = {name: cpu_s(pid) for name, pid in pids.items()}, rig.frames(), time.monotonic()
    time.sleep(over_s)
    seconds = time.monotonic() - began
    cost = {f"{name}, % of a core": 100 * (cpu_s(pid) - before[name]) / seconds for name, pid in pids.items()}
    cost["frames a second, both ways"] = (rig.frames() - frames) / seconds
    cost["memory here, MiB"] = sum(memory_mib(pid)["rss"] for pid in watched.pids.values())
    return cost


def play_all(
    folder: Path, trials: list[Trial], seed: int, say: Callable[[str], None], transport: str = "paramiko"
) -> tuple[dict[int, Run], dict[str, Any]]:
    """Make the records and play the trials.

    Returns a run for each rate, and the truth (also in ``truth.json``).
    """
    with Rig(folder / "partition", transport) as rig:
        if not rig.has_clock:
            say("no C compiler here: the trials with scripted clocks are left out")
            trials = [trial for trial in trials if trial.kind not in CLOCKS]
        records, cost = [], {}
        try:
            for hz in RATES:
                records.append(record(folder, rig, hz))
                records[-1].wait_for_sessions(2, 20.0)
                cost[str(hz)] = costs(rig, records[-1], 10.0)
                if hz != RATES[0]:
                    cost[str(hz)].pop("frames a second, both ways")
            time.sleep(LEAD_IN_S - 10.0)
            urgent()  # from here on: measurements must not contain waits of this process for a processor
            player, done = Player(rig, records, seed), []
            for hogged in (False, True):
                with hogs(2 if hogged else 0):
                    for trial in [trial for trial in trials if trial.hogged is hogged]:
                        done += player.play(replace(trial))
                        if trial.number % 50 == 49:
                            say(f"{trial.number + 1} of {len(trials)}")
            time.sleep(2.0)
        finally:
            at_ease()
            for watched in records:
                watched.end()
    truth = {"seed": seed, "done": done, "cost": cost}
    return {hz: watched.run for hz, watched in zip(RATES, records, strict=True)}, truth
