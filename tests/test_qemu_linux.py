"""The rig that migrates a Linux guest: what it reads out of the emulator's trace, and what it lets happen."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.qemu import linux
from benchmarks.qemu.linux_rig import MIN_WAIT_NS, LinuxEmulator, LinuxRig, ProcessorWaits
from benchmarks.qemu.rig import Emulator
from lpmkit.analysis.model import Interval

TRACE = """\
7@1796023615.000100:runstate_set current_run_state 9 (running) new_state 6 (finish-migrate)
7@1796023615.000900:vm_state_notify running 0 reason 6 (finish-migrate)
7@1796023615.001000:mark_postcopy_blocktime_begin addr: 0x7f00, dd: 0x1, time: 5, cpu: 0, already_received: 0
7@1796023615.002000:mark_postcopy_blocktime_end addr: 0x7fff, dd: 0x1, time: 0, affected_cpu: 0
7@1796023615.004000:mark_postcopy_blocktime_end addr: 0x7f00, dd: 0x1, time: 3, affected_cpu: 1
not an event
"""


def _emulator(folder: Path) -> LinuxEmulator:
    """An emulator that has run: its trace and its events, without a process."""
    emulator = LinuxEmulator.__new__(LinuxEmulator)
    emulator._trace_path = folder / "trace"
    emulator._trace_path.write_text(TRACE)
    return emulator


def test_the_stop_lies_between_the_decision_and_the_moment_at_which_all_processors_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator = _emulator(tmp_path)
    monkeypatch.setattr(LinuxEmulator, "event_us", lambda *_: 1796023615_001200)
    assert LinuxRig._stop(emulator, lambda us: us) == (1796023615_000100, 1796023615_000900)


def test_a_wait_for_a_page_lasts_from_its_fault_to_its_arrival(tmp_path: Path) -> None:
    waits = LinuxRig._faults(_emulator(tmp_path), lambda us: us)
    assert waits == [(1796023615_001000, 1796023615_004000)]


def test_lines_that_are_no_events_are_left_out_of_a_trace(tmp_path: Path) -> None:
    names = [name for _, name, _ in Emulator.traced(_emulator(tmp_path))]
    assert names[:2] == ["runstate_set", "vm_state_notify"]
    assert len(names) == 5


def test_a_thread_that_gets_no_processor_is_noted_and_one_that_sleeps_is_not() -> None:
    processor = min(os.sched_getaffinity(0))
    spin = f"import os; os.sched_setaffinity(0, [{processor}])\nwhile True: pass"
    sleeping = subprocess.Popen(["sleep", "600"])
    while "sleep" not in (stat := Path(f"/proc/{sleeping.pid}/stat").read_text()) or ") S" not in stat:
        time.sleep(0.01)
    busy = subprocess.Popen([sys.executable, "-c", spin])
    behind = subprocess.Popen(["nice", "-n", "19", sys.executable, "-c", spin])
    waits = ProcessorWaits()
    try:
        waits.pids |= {sleeping.pid, behind.pid}
        deadline = time.monotonic() + 60
        while not waits.seen and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        waits.end()
        for process in (sleeping, busy, behind):
            process.kill()
            process.wait()
    assert {thread for thread, _, _ in waits.seen} == {behind.pid}
    assert all(end - begin >= MIN_WAIT_NS for _, begin, end in waits.seen)


def test_a_suspension_is_a_wait_where_one_thread_got_no_processor_for_half_of_it() -> None:
    class Still:
        outer, best_ns = Interval(1000, 1100), 80

    assert linux._is_wait(Still(), [(7, 990, 1030), (7, 1050, 1070)])  # type: ignore[arg-type]
    assert not linux._is_wait(Still(), [(7, 990, 1030), (8, 1050, 1070)])  # type: ignore[arg-type]
    assert not linux._is_wait(Still(), [])  # type: ignore[arg-type]


def test_the_kinds_of_migration_are_the_same_for_the_same_seed_and_cover_both_modes() -> None:
    sittings = linux.sittings_of(60, 5, "tcg", 1)
    assert sittings == linux.sittings_of(60, 5, "tcg", 1)
    assert sum(len(one.moves) for one in sittings) == 60
    assert {move.mode for one in sittings for move in one.moves} == {"pre-copy", "post-copy"}
    assert {one.load for one in sittings} == {"idle", "busy", "memory", "swapping"}
    assert {move.clock for one in sittings for move in one.moves} == {"stands still", "jumps", "stepped"}
