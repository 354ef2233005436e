"""``python -m benchmarks.qemu.linux --moves N``: migrations of a Linux guest with a real sshd, watched by ``lpmkit
watch``, held against their truth.

Each sitting boots a guest, starts its load and ``lpmkit watch``, and migrates it several times. A sitting's folder
keeps the run and ``truth.json``; ``--again`` judges the sittings in ``--out`` without migrating anything.
``--minutes`` watches a guest that is not migrated, ``--busy`` with every processor of it busy: nothing found there
is a suspension.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.qemu.linux_rig import NAME, LinuxRig, Machine, Move, accelerator_that_boots, missing
from lpmkit.analysis import analyse
from lpmkit.analysis.model import HostAnalysis, Interval, OutageKind, Suspension
from lpmkit.runs.folder import Run

MS, S = 1_000_000, 1_000_000_000
LEAD_IN_S, BETWEEN_S, TAIL_S = 20.0, (8.0, 14.0), 8.0
#: A suspension of at least this length must be called one.
FROM_MS = 50
#: A suspension found this far from every migration was made up.
NEAR_NS = 500 * MS
#: ``lpmkit``. A shell's background job ignores Ctrl-C, and its children inherit that.
COMMAND_LINE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from lpmkit.cli import main
sys.exit(main())
"""
#: What a firewall does to echo requests.
NO_ECHO_REPLIES = "echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all"
SPIN = ("guest-tools spin", "guest-tools spin")
#: (load, what the machine is with it, ticks a second)
SITTINGS: tuple[tuple[str, Machine, int], ...] = (
    ("idle", Machine(), 100),
    ("memory", Machine(load=("guest-tools write 40 96",)), 100),
    ("busy", Machine(load=SPIN, priority=0), 100),
    ("idle", Machine(kernel="6.12", memory_mib=320), 100),
    ("swapping", Machine(swap_mib=256, load=("guest-tools write 30 190",)), 100),
    ("memory", Machine(kernel="6.12", memory_mib=384, load=("guest-tools write 15 160",)), 250),
)
HOLDS_MS = (0, 0, 60, 150, 400, 900, 1800, 3500)
LINKS_MIB = (0.0, 40.0, 100.0)
CLOCKS = ("stands still", "stands still", "jumps", "stepped")


@dataclass(frozen=True, slots=True)
class Sitting:
    """One boot of the guest and the moves that follow."""

    load: str
    machine: Machine
    hz: int
    moves: tuple[Move, ...]
    minutes: float = 0.0


def sittings_of(moves: int, each: int, accelerator: str, seed: int) -> list[Sitting]:
    """Enough sittings of ``each`` moves, their kinds drawn with a seed; pre-copy and post-copy take turns."""
    chance = random.Random(seed)
    made: list[Sitting] = []
    number = 0
    while number < moves:
        load, machine, hz = SITTINGS[len(made) % len(SITTINGS)]
        some = []
        for _ in range(min(each, moves - number)):
            mode = ("pre-copy", "post-copy")[number % 2]
            link = chance.choice(LINKS_MIB)
            clock = chance.choice(CLOCKS)
            copy = 400.0 if mode == "pre-copy" else chance.choice((20.0, 60.0, 150.0))
            hold = max(chance.choice(HOLDS_MS), FROM_MS + 10 if mode == "post-copy" else 0)
            switch = chance.uniform(0.3, 0.95)
            some.append(Move(mode, hold, link, copy, chance.choice((100, 300)), clock, round(switch, 2)))
            number += 1
        made.append(Sitting(load, replace(machine, accelerator=accelerator), hz, tuple(some)))
    return made


@contextmanager
def watching(folder: Path, ssh_config: Path, hz: int) -> Iterator[subprocess.Popen[bytes]]:
    """``lpmkit watch`` of the guest, ended as a user ends it; the run is in ``folder/runs``."""
    runs = folder / "runs"
    runs.mkdir()
    command = [sys.executable, "-c", COMMAND_LINE, "watch", NAME]
    command += ["--runs", str(runs), "--ssh-config", str(ssh_config), "--hz", str(hz)]
    with (folder / "watch.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=300)


def play(folder: Path, cache: Path, sitting: Sitting, chance: random.Random) -> None:
    """Boot, watch, migrate; leaves the run and ``truth.json`` in ``folder``."""
    truths: list[dict[str, Any]] = []
    with LinuxRig(folder / "rig", cache, sitting.machine) as rig, watching(folder, rig.ssh_config, sitting.hz) as watch:
        _until_recording(folder)
        time.sleep(LEAD_IN_S + 60 * sitting.minutes)
        for move in sitting.moves:
            try:
                truths.append(rig.migrate(move).as_dict())
            except RuntimeError as error:
                print(f"{folder.name}: no figure: {error}", file=sys.stderr)
                break
            time.sleep(chance.uniform(*BETWEEN_S))
            _write_truth(folder, sitting, truths, rig.waits.seen)
        time.sleep(TAIL_S)
        _write_truth(folder, sitting, truths, rig.waits.seen)
        assert watch.poll() is None, (folder / "watch.log").read_text()


def _write_truth(
    folder: Path, sitting: Sitting, moves: Sequence[dict[str, Any]], waits: Sequence[tuple[int, int, int]]
) -> None:
    facts = {"load": sitting.load, "machine": asdict(sitting.machine), "hz": sitting.hz, "minutes": sitting.minutes}
    (folder / "truth.json").write_text(json.dumps({**facts, "moves": list(moves), "waits": list(waits)}, indent=1))


def _until_recording(folder: Path, timeout_s: float = 120.0) -> None:
    """Wait until the probe of ticks has a session."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for run in run_of(folder):
            if any(event.kind == "session" and event.data.get("probe") == "ssh-ticks" for event in run.events()):
                return
        time.sleep(0.5)
    raise RuntimeError(f"the watch got no session; see {folder / 'watch.log'}")


def run_of(folder: Path) -> list[Run]:
    """The run of a sitting, if there is one."""
    return [Run(path.parent) for path in (folder / "runs").glob("*/run.json")]


def judge(folder: Path, leave_out: Sequence[str] = ()) -> tuple[list[dict[str, Any]], list[Suspension], dict[str, Any]]:
    """A row for each migration of a sitting, the suspensions that belong to none, and the sitting's own facts: among
    them how many more were found while the emulator waited for a processor of this machine, so that its guest did stop.

    The probes in ``leave_out`` are judged as if they had not run.
    """
    known = json.loads((folder / "truth.json").read_text())
    (run,) = run_of(folder)
    with tempfile.TemporaryDirectory() as copy:
        if leave_out:
            without = shutil.ignore_patterns(*(f"{probe}.*" for probe in leave_out))
            run = Run(shutil.copytree(run.path, Path(copy) / "run", ignore=without))
        (host,) = analyse(run).hosts
    common = {"sitting": folder.name, "load": known["load"], "hz": known["hz"]}
    common |= {key: known["machine"][key] for key in ("kernel", "memory_mib", "accelerator")}
    rows = [{**common, **_row(truth, host)} for truth in known["moves"]]
    spans = [Interval(truth["stop"][0] - NEAR_NS, truth["resume"][1] + NEAR_NS) for truth in known["moves"]]
    strays = [one for one in host.suspensions if not any(span.overlaps(one.outer) for span in spans)]
    made_up = [one for one in strays if not _is_wait(one, known.get("waits", ()))]
    watched_s = (known["moves"][-1]["ended_ns"] - known["moves"][0]["asked_ns"]) / S if known["moves"] else 0
    watched_min = known["minutes"] + (LEAD_IN_S + watched_s + TAIL_S) / 60
    return rows, made_up, {**common, "watched_min": watched_min, "waits": len(strays) - len(made_up)}


def _is_wait(still: Suspension, waits: Sequence[Sequence[int]]) -> bool:
    """True where one thread of the emulator waited for a processor for at least half of a suspension."""
    waited: dict[int, int] = {}
    for thread, begin_ns, end_ns in waits:
        if (common := Interval(begin_ns, end_ns).intersect(still.outer)) is not None:
            waited[thread] = waited.get(thread, 0) + common.length_ns
    return 2 * max(waited.values(), default=0) >= still.best_ns


def _row(truth: dict[str, Any], host: HostAnalysis) -> dict[str, Any]:
    stop, resume, slack = truth["stop"], truth["resume"], truth["clock_error_ns"]
    least, most = max(0, resume[0] - stop[1] - slack), resume[1] - stop[0] + slack
    inside = Interval(stop[0], resume[1])
    faults = truth["fault_ns"]
    row: dict[str, Any] = {
        **{key: truth["move"][key] for key in ("mode", "hold_ms", "link_mib", "clock")},
        "truth_ms": [least / MS, most / MS],
        "faults": len(faults),
        "requests": truth["requests"],
        "last_fault_ms": (max(end for _, end in faults) - resume[0]) / MS if faults else 0.0,
        "fault_wait_ms": sum(end - begin for begin, end in faults) / MS,
    }
    found = max(
        (one for one in host.suspensions if one.outer.overlaps(inside)),
        key=lambda one: min(one.outer.hi_ns, inside.hi_ns) - max(one.outer.lo_ns, inside.lo_ns),
        default=None,
    )
    row["class"] = _class(host, inside, found)
    if found is None:
        return row
    slow = [one for one in host.brown_outs if one.of is found and one.kind == "ticks"]
    row["brown_out_ms"] = [
        (slow[0].since_ns + slow[0].lasted.lo_ns - resume[0]) / MS if slow and slow[0].lasted.hi_ns else 0.0,
        (slow[0].since_ns + slow[0].lasted.hi_ns - resume[0]) / MS if slow and slow[0].lasted.hi_ns else 0.0,
    ]
    return row | {
        "hull": found.begin.lo_ns <= stop[1] + slack
        and found.end.hi_ns >= resume[0] - slack
        and found.length.hi_ns >= least,
        "inner": found.length.lo_ns <= most,
        "likely": found.likely.lo_ns <= most and found.likely.hi_ns >= least,
        "off_ms": (found.best_ns - (least + most) / 2) / MS,
        "error_ms": max(least - found.best_ns, found.best_ns - most, 0) / MS,
        "length_ms": [found.length.lo_ns / MS, found.length.hi_ns / MS],
        "likely_ms": [found.likely.lo_ns / MS, found.likely.hi_ns / MS],
        "best_ms": found.best_ns / MS,
        "begin_off_ms": [(found.begin.lo_ns - stop[0]) / MS, (found.begin.hi_ns - stop[1]) / MS],
        "end_off_ms": [(found.end.lo_ns - resume[0]) / MS, (found.end.hi_ns - resume[1]) / MS],
        "end_after_ms": (found.end.hi_ns - resume[0]) / MS,
        "mechanisms": list(found.mechanisms),
        "by": found.likely_by,
        "ended_by": found.ended_by,
        "late_start_ms": found.late_start.middle_ns / MS if found.late_start else None,
    }


def _class(host: HostAnalysis, inside: Interval, found: Suspension | None) -> str:
    if found is not None:
        return "suspension, disputed" if found.contradicted else "suspension"
    kinds = {one.kind for one in host.outages if one.outer.overlaps(inside) and one.kind is not None}
    order = [OutageKind.MICRO_STOP, OutageKind.NETWORK, OutageKind.APPLICATION, OutageKind.OBSERVER]
    return next((one.value for one in order if one in kinds), "nothing")


def table(rows: Sequence[dict[str, Any]], strays: int, watched: Sequence[dict[str, Any]]) -> str:
    """The figures for people."""
    head: tuple[str, ...] = (
        "guest",
        "migrations",
        f"called a suspension from {FROM_MS} ms",
        "outer bound holds",
        "95 % interval holds",
    )
    head += ("error outside the truth's bracket, ms: median / p95 / worst", "off the event RESUME, ms")
    head += ("width of the 95 % interval, ms", "latest end after RESUME, ms")
    lines = ["# The suspension of a migrated Linux guest", "", _line(head), _line(["---"] * len(head))]
    groups = {"all": rows}
    for key in ("accelerator", "mode", "load", "clock", "kernel"):
        for value in dict.fromkeys(row[key] for row in rows):
            groups[f"{key} {value}"] = [row for row in rows if row[key] == value]
    for name, some in groups.items():
        long = [row for row in some if row["truth_ms"][0] >= FROM_MS]
        seen = [row for row in some if "hull" in row]
        cells = [name, str(len(some)), _share([row["class"] == "suspension" for row in long])]
        cells += [_share([row[key] for row in seen]) for key in ("hull", "likely")]
        cells += [_spread([row["error_ms"] for row in seen])]
        cells += [_spread([abs(row["best_ms"] - row["truth_ms"][0]) for row in seen])]
        cells += [_spread([row["likely_ms"][1] - row["likely_ms"][0] for row in seen])]
        cells += [_spread([row["end_after_ms"] for row in seen])]
        lines.append(_line(cells))
    lines += ["", *_brown_outs([row for row in rows if row["mode"] == "post-copy" and "brown_out_ms" in row])]
    late = [row["late_start_ms"] for row in rows if row.get("late_start_ms") is not None]
    if late:
        lines += ["", f"From the resume to the first process, ms: {_spread(late)} (median / p95 / worst)."]
    minutes: dict[str, float] = {}
    for one in watched:
        minutes[one["load"]] = minutes.get(one["load"], 0.0) + one["watched_min"]
    lines += ["", f"Suspensions found where nothing was migrated: {strays}, in minutes watched: "]
    lines[-1] += ", ".join(f"{load} {value:.0f}" for load, value in minutes.items()) + "."
    if starved := sum(one.get("waits", 0) for one in watched):
        lines += ["", f"While the emulator waited for a processor of this machine: {starved} more."]
    return "\n".join([*lines, ""])


def _brown_outs(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The brown-outs after a post-copy beside the waits of the processors for pages, as the emulator counted them."""
    waited = [row for row in rows if row["faults"]]
    if not waited:
        return []
    measured = [row["brown_out_ms"][1] for row in waited]
    last = [row["last_fault_ms"] for row in waited]
    agreeing = [row["brown_out_ms"][1] + 100 >= row["last_fault_ms"] for row in waited]
    head: tuple[str, ...] = ("post-copies with waits for pages", "brown-out by the ticks, ms: median / p95 / worst")
    head += ("last wait ended after the resume, ms", "brown-out lasts as long, within a window of 0.1 s")
    cells = (str(len(waited)), _spread(measured), _spread(last), _share(agreeing))
    return [_line(head), _line(["---"] * len(head)), _line(cells)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _share(flags: Sequence[bool]) -> str:
    return f"{sum(flags)}/{len(flags)}"


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "–"
    ordered = sorted(values)
    at = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"{statistics.median(ordered):.1f} / {at:.1f} / {ordered[-1]:.1f}"


def main() -> int:
    """Play, judge, write. Exits with 1 where a bound did not hold, a suspension was missed or one was made up."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.qemu.linux", description=__doc__)
    parser.add_argument("--moves", type=int, default=60, help="migrations in all")
    parser.add_argument("--each", type=int, default=5, help="migrations of one boot")
    parser.add_argument("--minutes", type=float, default=0.0, help="watch for so long without a migration instead")
    parser.add_argument("--busy", action="store_true", help="with --minutes: every processor of the guest is busy")
    parser.add_argument("--processors", type=int, help="the guest's, with --minutes; by default two")
    parser.add_argument("--no-icmp", action="store_true", help="the guest answers no echo requests")
    parser.add_argument("--leave-out", action="append", default=[], help="judge without this probe; may be repeated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--accelerator", choices=("kvm", "tcg"), help="instead of KVM where it runs the kernel")
    parser.add_argument("--cache", type=Path, default=Path("/tmp/lpmkit-linux-guest"), help="unpacked kernels")
    parser.add_argument("--out", type=Path, required=True, help="the sittings, kept")
    parser.add_argument("--again", action="store_true", help="only judge what --out holds")
    parser.add_argument("--results", type=Path, help="folder for qemu-linux.json and qemu-linux.md")
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    if not wanted.again:
        if lack := missing():
            print(lack, file=sys.stderr)
            return 1
        wanted.cache.mkdir(parents=True, exist_ok=True)
        _play_all(wanted)
    rows, strays, watched = [], [], []
    for folder in sorted(path.parent for path in wanted.out.glob("*/truth.json")):
        found, made_up, facts = judge(folder, wanted.leave_out)
        rows += found
        strays += [[one.outer.lo_ns, one.outer.hi_ns, *one.mechanisms] for one in made_up]
        watched.append(facts)
    text = table(rows, len(strays), watched)
    print(text)
    if wanted.results:
        wanted.results.mkdir(parents=True, exist_ok=True)
        figures = {"rows": rows, "made_up": strays, "watched": watched, "machine": platform.machine()}
        (wanted.results / "qemu-linux.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        (wanted.results / "qemu-linux.md").write_text(text, encoding="utf-8")
    missed = [row for row in rows if row["truth_ms"][0] >= FROM_MS and row["class"] != "suspension"]
    return 1 if missed or strays or not all(row.get("hull", True) for row in rows) else 0


def _play_all(wanted: argparse.Namespace) -> None:
    accelerator = wanted.accelerator or accelerator_that_boots(wanted.cache, "6.1")
    chance = random.Random(wanted.seed)
    sittings = sittings_of(wanted.moves, wanted.each, accelerator, wanted.seed)
    if wanted.minutes:
        load, machine, hz = SITTINGS[2 if wanted.busy else 0]
        machine = replace(machine, accelerator=accelerator, processors=wanted.processors or machine.processors)
        sittings = [Sitting(load, machine, hz, (), wanted.minutes)]
    if wanted.no_icmp:
        sittings = [
            replace(one, machine=replace(one.machine, load=(NO_ECHO_REPLIES, *one.machine.load))) for one in sittings
        ]
    taken = len(list(wanted.out.glob("sitting-*")))
    for number, sitting in enumerate(sittings, start=taken + 1):
        folder = wanted.out / f"sitting-{number:02d}"
        folder.mkdir()
        try:
            play(folder, wanted.cache, sitting, chance)
        except (RuntimeError, OSError, AssertionError, subprocess.SubprocessError) as error:
            print(f"{folder.name}: {error}", file=sys.stderr)
        print(f"{folder.name}: {sitting.load}, {len(sitting.moves)} migrations", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
