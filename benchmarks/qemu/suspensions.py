"""Suspension of real migrations by lpmkit's analysis, against STOP and RESUME:
``python -m benchmarks.qemu.suspensions --moves N``.

A boot-sector guest ticks on its serial port, on an absolute schedule like lpmkit's ticker, and answers bytes there; its
lines become the samples of a run folder like those of a partition's probes, the observer's ticker is lpmkit's, and the
folder is analysed like any other. The guest is its own kernel: every answered byte counts as an answered echo request,
every tenth also as a line returned by a session's program.

The truth is the last exit of the guest's processor on the source and its first entry on the destination, by QEMU's
trace of KVM; without KVM it is the event ``STOP``, which QEMU emits once its processors have stopped, and
``RESUME``, which it emits before they run. Both have microsecond stamps of the host's wall clock; the uncertainty
of tying them to the monotonic clock is part of the bracket. The lengths found are compared with both.
"""

from __future__ import annotations

import argparse
import itertools
import json
import queue
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.qemu.guest import Guest
from benchmarks.qemu.rig import Line, Migration, Rig, has_kvm, migrate, missing
from lpmkit.analysis import analyse
from lpmkit.analysis.wording import CLOCK_VERDICTS
from lpmkit.probes.orders import OBSERVER
from lpmkit.recorder.probe_process import ProbeProcess
from lpmkit.runs.folder import Run, create
from lpmkit.runs.writer import RunWriter
from lpmkit.timeline import Clock, Outcome, Sample

MS, S = 1_000_000, 1_000_000_000
LEAD_IN_S, TAIL_S = 4.0, 1.0
#: Intervals of echo requests and session echoes at the quick rate.
ASK_EVERY_S, ECHO_EVERY = 0.01, 10
#: (ticks a second, pages written on each tick, memory, bandwidth of the copy)
CELLS = (
    (1000, 0, 128, 400e6),
    (1000, 8, 128, 200e6),
    (250, 0, 128, 400e6),
    (250, 40, 256, 200e6),
    (100, 0, 128, 400e6),
    (100, 100, 256, 200e6),
)
#: Uncertainty of QEMU's events at either end; 0.3 to 2.2 ms were measured for both ends together.
EVENT_NS = 1 * MS


@dataclass(frozen=True, slots=True)
class Asked:
    """A byte sent to the serial port, with its time on the observer's clock."""

    byte: str
    sent_ns: int


class Asker:
    """Sends bytes to the guest at an interval, in a thread of its own, while the rig runs."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, rig: Rig) -> None:
        """Start sending."""
        self._thread = threading.Thread(target=self._ask, args=(rig,), daemon=True)
        self._thread.start()

    def _ask(self, rig: Rig) -> None:
        number = 0
        while not self._ended.wait(ASK_EVERY_S):
            byte = chr(ord("!") + number % 90)
            number += 1
            self.asked.append(Asked(byte, time.monotonic_ns()))
            try:
                rig.listener.ask(byte.encode("latin-1"))
            except OSError:
                return  # that side has ended

    def end(self) -> None:
        """Stop sending."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()


@contextmanager
def recorded(parent: Path, name: str) -> Iterator[tuple[Run, Callable[[Callable[[RunWriter], object]], None]]]:
    """A run folder with lpmkit's own ticker, and a function that writes into it."""
    facts = {"hosts": [name], "lead_in_s": LEAD_IN_S, "tail_s": TAIL_S}
    run = create(parent, mode="watch", title=name, facts=facts, clock=Clock())
    posted: queue.SimpleQueue[Callable[[RunWriter], object] | None] = queue.SimpleQueue()

    def write() -> None:
        with RunWriter(run.path) as writer:
            writer.event("recorder", "recorder-started", pid=0, mode="watch", resumed=False)
            writer.event("recorder", "clock", uncertainty_ns=writer.clock.anchor().uncertainty_ns)
            while (action := posted.get()) is not None:
                action(writer)

    thread = threading.Thread(target=write)
    thread.start()
    with (run.path / "recorder.log").open("ab") as log:
        ticker = ProbeProcess((OBSERVER,), {}, posted.put, log)
        try:
            yield run, posted.put
        finally:
            ticker.end()
            posted.put(None)
            thread.join()


def samples(migration: Migration, asked: Sequence[Asked], hz: int) -> dict[str, list[Sample]]:
    """The lines of the guest as samples of the probes. Its counter is converted to nanoseconds by the baseline."""
    per_tick = _counts_a_ns(migration)
    first = migration.lines[0].tsc
    lines = [(line, round((line.tsc - first) / per_tick)) for line in migration.lines]
    ticks = [
        Sample(seq=line.tick, answered_ns=line.arrived_ns, remote_mono_ns=stamp)
        for (line, stamp), before in zip(lines, [0, *(line.tick for line in migration.lines)], strict=False)
        if line.tick > before
    ]
    echo, index = [], 0
    answers = [(line, stamp) for line, stamp in lines if line.asked]
    for number, request in enumerate(asked, start=1):
        while index < len(answers) and answers[index][0].arrived_ns <= request.sent_ns:
            index += 1
        hit = answers[index] if index < len(answers) and answers[index][0].asked == request.byte else None
        outcome = Outcome.ANSWERED if hit else Outcome.LOST
        times: dict[str, Any] = {"answered_ns": hit[0].arrived_ns, "remote_mono_ns": hit[1]} if hit else {}
        echo.append(Sample(seq=number, due_ns=request.sent_ns, sent_ns=request.sent_ns, outcome=outcome, **times))
    return {"ssh-ticks": ticks, "ssh-echo": echo[::ECHO_EVERY], "icmp": echo}


#: The line with the smallest delay is determined in intervals of the baseline of this length.
STRETCH_NS = S // 4


def _counts_a_ns(migration: Migration) -> float:
    """Rate of the guest's counter, fitted to the lines with the smallest delay before the move; a real clock needs no
    fit.

    """
    before = [line for line in migration.lines if line.arrived_ns < migration.asked_ns]
    x = np.array([line.arrived_ns - before[0].arrived_ns for line in before], dtype=np.float64)
    y = np.array([line.tsc - before[0].tsc for line in before], dtype=np.float64)
    roughly = y[-1] / x[-1]
    late, stretch = x - y / roughly, x // STRETCH_NS
    promptest = [np.flatnonzero(stretch == number)[np.argmin(late[stretch == number])] for number in np.unique(stretch)]
    return float(np.polyfit(x[promptest], y[promptest], 1)[0])


def one_move(parent: Path, number: int, cell: tuple[int, int, int, float], accelerator: str) -> dict[str, Any]:
    """Migrate once, analyse, and compare with the truth."""
    hz, pages, memory, cap = cell
    guest = Guest(memory << 20, min(memory, 64) << 20, pages, hz)
    asker = Asker()
    with recorded(parent, f"move-{number}") as (run, post):
        migration = migrate(
            guest,
            cap_bytes_per_s=cap,
            accelerator=accelerator,
            lead_in_s=LEAD_IN_S,
            tail_s=TAIL_S,
            traced=True,
            begun=asker.begin,
        )
        asker.end()
        probe_samples = samples(migration, asker.asked, hz)

        def keep(writer: RunWriter) -> None:
            asks = round(ASK_EVERY_S * S)
            for name, kind, interval in (
                ("ssh-ticks", "ticks", S // hz),
                ("ssh-echo", "echo", ECHO_EVERY * asks),
                ("icmp", "icmp", asks),
            ):
                writer.event(
                    f"probe:{name}", "probe-started", probe=name, kind=kind, host=f"move-{number}", interval_ns=interval
                )
                writer.samples(name, probe_samples[name])

        post(keep)
    return {"accelerator": accelerator, "hz": hz, "pages": pages, "run": run.name, **_held(run, migration)}


def _held(run: Run, migration: Migration) -> dict[str, Any]:
    if migration.stop_ns is None or migration.resume_ns is None:
        return {"status": migration.final.get("status")}
    stop_ns, resume_ns = migration.left_ns or migration.stop_ns, migration.entered_ns or migration.resume_ns
    truth, by_events = resume_ns - stop_ns, migration.resume_ns - migration.stop_ns
    by_processor = migration.left_ns is not None and migration.entered_ns is not None
    slack = migration.clock_error_ns + (0 if by_processor else EVENT_NS)
    suspensions = [
        suspension
        for suspension in analyse(run).hosts[0].suspensions
        if suspension.outer.lo_ns <= resume_ns and suspension.outer.hi_ns >= stop_ns
    ]
    row: dict[str, Any] = {
        "status": "completed",
        "by": "processor" if by_processor else "events",
        "truth_ms": truth / MS,
        "events_ms": by_events / MS,
        "own_downtime_ms": migration.own_downtime_ms,
    }
    if not suspensions:
        return row | {"found": False}
    longest = max(suspensions, key=lambda suspension: suspension.length.hi_ns)
    clocks = {reading.clock: CLOCK_VERDICTS[reading.verdict] for reading in longest.clocks}
    return row | {
        "found": True,
        "length_ms": [longest.length.lo_ns / MS, longest.length.hi_ns / MS],
        "likely_ms": [longest.likely.lo_ns / MS, longest.likely.hi_ns / MS],
        "best_ms": longest.best_ns / MS,
        "off_ms": (longest.best_ns - truth) / MS,
        "off_events_ms": (longest.best_ns - by_events) / MS,
        "hull": longest.begin.lo_ns <= stop_ns + slack
        and longest.end.hi_ns >= resume_ns - slack
        and longest.length.hi_ns >= truth - 2 * slack,
        "begin_off_ms": [(longest.begin.lo_ns - stop_ns) / MS, (longest.begin.hi_ns - stop_ns) / MS],
        "end_off_ms": [(longest.end.lo_ns - resume_ns) / MS, (longest.end.hi_ns - resume_ns) / MS],
        "mechanisms": list(longest.mechanisms),
        "clock": clocks.get("monotonic", "not told"),
        "really_missed_ms": _really_missed(migration) / MS,
        "by_gap_ms": _gap(migration.lines) / MS,
    }


def _gap(lines: Sequence[Line]) -> int:
    return max(b.arrived_ns - a.arrived_ns for a, b in itertools.pairwise(lines))


def _really_missed(migration: Migration) -> float:
    """Time that the guest's counter missed over the move, computed from the lines, independent of the analysis."""
    per_ns = _counts_a_ns(migration)
    first, last = migration.lines[0], migration.lines[-1]
    return (last.arrived_ns - first.arrived_ns) - (last.tsc - first.tsc) / per_ns


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The figures for people; errors in milliseconds, median / p95 / worst.

    Suspensions below 40 ms are not detected.
    """
    head = ["guest", "moves", "found from 50 ms", "hull holds", "95 % holds", "bias", "error"]
    head += ["against STOP and RESUME: bias", "error", "QEMU's own downtime: error", "last to first line: error"]
    lines = ["# The suspension of real migrations", "", _line(head), _line(["---"] * len(head))]
    for name, group in _groups(rows):
        completed = [row for row in group if row.get("status") == "completed"]
        detected = [row for row in completed if row.get("found")]
        detected_of_long = [row.get("found") for row in completed if row["truth_ms"] >= 50]
        covered = [row["likely_ms"][0] <= row["truth_ms"] <= row["likely_ms"][1] for row in detected]
        own = [row["own_downtime_ms"] - row["truth_ms"] for row in completed if row["own_downtime_ms"]]
        gaps = [row["by_gap_ms"] - row["truth_ms"] for row in detected]
        off, off_events = ([row[key] for row in detected] for key in ("off_ms", "off_events_ms"))
        cells = [name, str(len(completed)), f"{sum(map(bool, detected_of_long))}/{len(detected_of_long)}"]
        cells += [f"{sum(row['hull'] for row in detected)}/{len(detected)}", f"{sum(covered)}/{len(covered)}"]
        cells += [_bias(off), _spread(off), _bias(off_events), _spread(off_events), _spread(own), _spread(gaps)]
        lines.append(_line(cells))
    counted: dict[tuple[str, str], int] = {}
    for row in rows:
        if row.get("found"):
            really = (
                "stood still" if abs(row["really_missed_ms"] - row["truth_ms"]) < 0.5 * row["truth_ms"] else "counted"
            )
            counted[really, row["clock"]] = counted.get((really, row["clock"]), 0) + 1
    heads = ("the guest's counter, by all its lines", "as found over the silence", "moves")
    lines += ["", _line(heads), _line(["---"] * len(heads))]
    lines += [_line((really, verdict, str(count))) for (really, verdict), count in sorted(counted.items())]
    return "\n".join([*lines, ""])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _bias(values: Sequence[float]) -> str:
    return f"{statistics.median(values):+.2f}" if values else "–"


def _groups(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for accelerator in dict.fromkeys(row["accelerator"] for row in rows):
        rows_of_accelerator = [row for row in rows if row["accelerator"] == accelerator]
        for hz in dict.fromkeys(row["hz"] for row in rows_of_accelerator):
            yield f"{accelerator}, {hz} ticks a second", [row for row in rows_of_accelerator if row["hz"] == hz]
        yield f"{accelerator}, all", rows_of_accelerator


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "–"
    ordered = sorted(abs(value) for value in values)
    return (
        f"{statistics.median(ordered):.2f} / {ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]:.2f} / "
        f"{ordered[-1]:.2f}"
    )


def main() -> int:
    """Migrate, analyse, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.qemu.suspensions", description=__doc__)
    parser.add_argument("--moves", type=int, default=24, help="moves with hardware help, where there is any")
    parser.add_argument("--tcg", type=int, default=6, help="moves without")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder for the results")
    options = parser.parse_args()
    if lack := missing():
        print(f"{lack}; apt-get install -y --no-install-recommends qemu-system-x86 binutils", file=sys.stderr)
        return 1
    plans = [("kvm", n) for n in range(options.moves)] if has_kvm() else []
    plans += [("tcg", n) for n in range(options.tcg)]
    rows = []
    with tempfile.TemporaryDirectory(prefix="lpmkit-qemu-runs-") as folder:
        for number, (accelerator, n) in enumerate(plans, start=1):
            cell = CELLS[n % len(CELLS)]
            try:
                rows.append(one_move(Path(folder), number, cell, accelerator))
            except (RuntimeError, OSError) as error:
                print(f"{number}/{len(plans)}: no figure: {error}", file=sys.stderr)
                continue
            print(f"{number}/{len(plans)}: {rows[-1]}", file=sys.stderr, flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "qemu-suspensions.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    text = table(rows)
    (options.out / "qemu-suspensions.md").write_text(text, encoding="utf-8")
    print(text)
    return 0 if all(row.get("hull", True) for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
