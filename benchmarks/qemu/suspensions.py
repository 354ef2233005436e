"""``python -m benchmarks.qemu.suspensions --moves N``: the suspension of real migrations, as lpmkit's analysis finds
it, beside STOP and RESUME.

A boot-sector guest ticks on its serial port, on an absolute schedule as lpmkit's ticker does, and answers bytes
there; its lines become the samples of a run folder as the probes in a partition would leave them, our own ticker is
lpmkit's, and the folder is analysed as any other. The guest is its own kernel: every answered byte stands for an
answered echo request, every tenth for a line that a session's program returned too.

The truth is when the guest's processor left it for the last time on the one side and entered it on the other, by
QEMU's own trace of KVM; without KVM it is the event ``STOP``, which QEMU emits once its processors stand, and
``RESUME``, which it emits before it lets them run. Both are stamped to the microsecond with the host's time of day;
how well these stamps are tied to the monotonic clock is part of the bracket. The found lengths are held against
both.
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
from lpmkit.runs.folder import Run, RunWriter, create
from lpmkit.timeline import Clock, Outcome, Sample

MS, S = 1_000_000, 1_000_000_000
LEAD_IN_S, TAIL_S = 4.0, 1.0
#: As echo requests and as the echo on a session are sent at the quick pace.
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
#: What QEMU's own path between the processors and its events leaves open at either end; it was 0.3 to 2.2 ms for both
#: ends together where both are known.
EVENT_NS = 1 * MS


@dataclass(frozen=True, slots=True)
class Asked:
    """A byte put on the serial port at a moment of our clock."""

    byte: str
    sent_ns: int


class Asker:
    """Asks the guest a byte at an interval, in a thread of its own, for as long as the rig stands."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, rig: Rig) -> None:
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
        self._ended.set()
        if self._thread is not None:
            self._thread.join()


@contextmanager
def recorded(parent: Path, name: str) -> Iterator[tuple[Run, Callable[[Callable[[RunWriter], object]], None]]]:
    """A run folder that lpmkit's own ticker writes into meanwhile, and how to write into it."""
    facts = {"hosts": [name], "lead_in_s": LEAD_IN_S, "tail_s": TAIL_S}
    run = create(parent, mode="watch", title=name, facts=facts, clock=Clock())
    posted: queue.SimpleQueue[Callable[[RunWriter], object] | None] = queue.SimpleQueue()

    def write() -> None:
        with RunWriter(run.path) as writer:
            writer.event("recorder", "recorder-started", pid=0, mode="watch", resumed=False)
            writer.event("recorder", "clock", uncertainty_ns=writer.clock.anchor().uncertainty_ns)
            while (one := posted.get()) is not None:
                one(writer)

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


def samples(seen: Migration, asked: Sequence[Asked], hz: int) -> dict[str, list[Sample]]:
    """The lines of the guest as the samples of two probes. Its counter is read in nanoseconds of the lead-in."""
    per_tick = _counts_a_ns(seen)
    first = seen.lines[0].tsc
    lines = [(line, round((line.tsc - first) / per_tick)) for line in seen.lines]
    ticks = [
        Sample(seq=line.tick, answered_ns=line.arrived_ns, remote_mono_ns=stamp)
        for (line, stamp), before in zip(lines, [0, *(line.tick for line in seen.lines)], strict=False)
        if line.tick > before
    ]
    echo, at = [], 0
    answers = [(line, stamp) for line, stamp in lines if line.asked]
    for number, one in enumerate(asked, start=1):
        while at < len(answers) and answers[at][0].arrived_ns <= one.sent_ns:
            at += 1
        hit = answers[at] if at < len(answers) and answers[at][0].asked == one.byte else None
        outcome = Outcome.ANSWERED if hit else Outcome.LOST
        known: dict[str, Any] = {"answered_ns": hit[0].arrived_ns, "remote_mono_ns": hit[1]} if hit else {}
        echo.append(Sample(seq=number, due_ns=one.sent_ns, sent_ns=one.sent_ns, outcome=outcome, **known))
    return {"ssh-ticks": ticks, "ssh-echo": echo[::ECHO_EVERY], "icmp": echo}


#: The line that came with the least delay is looked for in stretches of the lead-in so long.
STRETCH_NS = S // 4


def _counts_a_ns(seen: Migration) -> float:
    """How fast the guest's counter counts, from the promptest lines that it printed before the move was asked for:
    a real clock needs no such fit.
    """
    before = [line for line in seen.lines if line.arrived_ns < seen.asked_ns]
    x = np.array([line.arrived_ns - before[0].arrived_ns for line in before], dtype=np.float64)
    y = np.array([line.tsc - before[0].tsc for line in before], dtype=np.float64)
    roughly = y[-1] / x[-1]
    late, stretch = x - y / roughly, x // STRETCH_NS
    promptest = [np.flatnonzero(stretch == one)[np.argmin(late[stretch == one])] for one in np.unique(stretch)]
    return float(np.polyfit(x[promptest], y[promptest], 1)[0])


def one_move(parent: Path, number: int, cell: tuple[int, int, int, float], accelerator: str) -> dict[str, Any]:
    """Move once, analyse, and hold the finding against the truth."""
    hz, pages, memory, cap = cell
    guest = Guest(memory << 20, min(memory, 64) << 20, pages, hz)
    asker = Asker()
    with recorded(parent, f"move-{number}") as (run, post):
        seen = migrate(
            guest,
            cap_bytes_per_s=cap,
            accelerator=accelerator,
            lead_in_s=LEAD_IN_S,
            tail_s=TAIL_S,
            traced=True,
            begun=asker.begin,
        )
        asker.end()
        made = samples(seen, asker.asked, hz)

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
                writer.samples(name, made[name])

        post(keep)
    return {"accelerator": accelerator, "hz": hz, "pages": pages, "run": run.name, **_held(run, seen)}


def _held(run: Run, seen: Migration) -> dict[str, Any]:
    if seen.stop_ns is None or seen.resume_ns is None:
        return {"status": seen.final.get("status")}
    stop_ns, resume_ns = seen.left_ns or seen.stop_ns, seen.entered_ns or seen.resume_ns
    truth, by_events = resume_ns - stop_ns, seen.resume_ns - seen.stop_ns
    by_processor = seen.left_ns is not None and seen.entered_ns is not None
    slack = seen.clock_error_ns + (0 if by_processor else EVENT_NS)
    found = [
        one for one in analyse(run).hosts[0].suspensions if one.outer.lo_ns <= resume_ns and one.outer.hi_ns >= stop_ns
    ]
    row: dict[str, Any] = {
        "status": "completed",
        "by": "processor" if by_processor else "events",
        "truth_ms": truth / MS,
        "events_ms": by_events / MS,
        "own_downtime_ms": seen.own_downtime_ms,
    }
    if not found:
        return row | {"found": False}
    still = max(found, key=lambda one: one.length.hi_ns)
    clocks = {one.clock: CLOCK_VERDICTS[one.verdict] for one in still.clocks}
    return row | {
        "found": True,
        "length_ms": [still.length.lo_ns / MS, still.length.hi_ns / MS],
        "likely_ms": [still.likely.lo_ns / MS, still.likely.hi_ns / MS],
        "best_ms": still.best_ns / MS,
        "off_ms": (still.best_ns - truth) / MS,
        "off_events_ms": (still.best_ns - by_events) / MS,
        "hull": still.begin.lo_ns <= stop_ns + slack
        and still.end.hi_ns >= resume_ns - slack
        and still.length.hi_ns >= truth - 2 * slack,
        "begin_off_ms": [(still.begin.lo_ns - stop_ns) / MS, (still.begin.hi_ns - stop_ns) / MS],
        "end_off_ms": [(still.end.lo_ns - resume_ns) / MS, (still.end.hi_ns - resume_ns) / MS],
        "mechanisms": list(still.mechanisms),
        "clock": clocks.get("monotonic", "not told"),
        "really_missed_ms": _really_missed(seen) / MS,
        "by_gap_ms": _gap(seen.lines) / MS,
    }


def _gap(lines: Sequence[Line]) -> int:
    return max(b.arrived_ns - a.arrived_ns for a, b in itertools.pairwise(lines))


def _really_missed(seen: Migration) -> float:
    """How much less the guest's counter grew over the move than our clock did: known from the lines, whatever the
    analysis says.
    """
    per_ns = _counts_a_ns(seen)
    first, last = seen.lines[0], seen.lines[-1]
    return (last.arrived_ns - first.arrived_ns) - (last.tsc - first.tsc) / per_ns


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The figures for people; errors in milliseconds, median / p95 / worst. No suspension below 40 ms is looked for."""
    head = ["guest", "moves", "found from 50 ms", "hull holds", "95 % holds", "bias", "error"]
    head += ["against STOP and RESUME: bias", "error", "QEMU's own downtime: error", "last to first line: error"]
    lines = ["# The suspension of real migrations", "", _line(head), _line(["---"] * len(head))]
    for name, some in _groups(rows):
        done = [row for row in some if row.get("status") == "completed"]
        seen = [row for row in done if row.get("found")]
        long = [row.get("found") for row in done if row["truth_ms"] >= 50]
        held = [row["likely_ms"][0] <= row["truth_ms"] <= row["likely_ms"][1] for row in seen]
        own = [row["own_downtime_ms"] - row["truth_ms"] for row in done if row["own_downtime_ms"]]
        gaps = [row["by_gap_ms"] - row["truth_ms"] for row in seen]
        off, off_events = ([row[key] for row in seen] for key in ("off_ms", "off_events_ms"))
        cells = [name, str(len(done)), f"{sum(map(bool, long))}/{len(long)}"]
        cells += [f"{sum(row['hull'] for row in seen)}/{len(seen)}", f"{sum(held)}/{len(held)}"]
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
    lines += [_line((really, said, str(count))) for (really, said), count in sorted(counted.items())]
    return "\n".join([*lines, ""])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _bias(values: Sequence[float]) -> str:
    return f"{statistics.median(values):+.2f}" if values else "–"


def _groups(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for accelerator in dict.fromkeys(row["accelerator"] for row in rows):
        mine = [row for row in rows if row["accelerator"] == accelerator]
        for hz in dict.fromkeys(row["hz"] for row in mine):
            yield f"{accelerator}, {hz} ticks a second", [row for row in mine if row["hz"] == hz]
        yield f"{accelerator}, all", mine


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "–"
    ordered = sorted(abs(value) for value in values)
    return f"{statistics.median(ordered):.2f} / {ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]:.2f} / {ordered[-1]:.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.qemu.suspensions", description=__doc__)
    parser.add_argument("--moves", type=int, default=24, help="moves with hardware help, where there is any")
    parser.add_argument("--tcg", type=int, default=6, help="moves without")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder for the results")
    wanted = parser.parse_args()
    if lack := missing():
        print(f"{lack}; apt-get install -y --no-install-recommends qemu-system-x86 binutils", file=sys.stderr)
        return 1
    plans = [("kvm", n) for n in range(wanted.moves)] if has_kvm() else []
    plans += [("tcg", n) for n in range(wanted.tcg)]
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
    wanted.out.mkdir(parents=True, exist_ok=True)
    (wanted.out / "qemu-suspensions.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    text = table(rows)
    (wanted.out / "qemu-suspensions.md").write_text(text, encoding="utf-8")
    print(text)
    return 0 if all(row.get("hull", True) for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
