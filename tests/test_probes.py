"""Probes against a real OpenSSH server."""

from __future__ import annotations

import fcntl
import io
import itertools
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lpmkit.probes import process
from lpmkit.probes.network import POLITE_INTERVAL_NS, ConnectProbe
from lpmkit.probes.observer import ObserverProbe
from lpmkit.probes.orders import OBSERVER, ProbeOrder, Rate
from lpmkit.probes.process import FrameSink, run
from lpmkit.probes.rate import RateSetting
from lpmkit.probes.ssh import EchoProbe, TickProbe
from lpmkit.ssh.client import Route, SshSession, route
from lpmkit.ssh.rx_timestamps import SO_TIMESTAMPNS, KernelStamps, StampedSocket
from lpmkit.timeline import Clock, Outcome, Sample, wait_until
from tests.real_host import RealHost


class Seen:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.observations: list[Mapping[str, Any]] = []

    def sample(self, probe: str, sample: Sample) -> None:
        self.samples.append(sample)

    def event(self, probe: str, kind: str, /, **data: Any) -> None:
        self.events.append((kind, data))

    def observation(self, probe: str, row: Mapping[str, Any], /) -> None:
        self.observations.append(row)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [data for name, data in self.events if name == kind]


class Running:
    """A probe in a thread; leaving the block stops it."""

    def __init__(self, probe: Any, seen: Seen | None = None, *, stop: threading.Event | None = None) -> None:
        self.seen, self.stop = seen or Seen(), stop or threading.Event()
        self._thread = threading.Thread(target=probe.run, args=(self.stop, self.seen))

    def __enter__(self) -> Seen:
        self._thread.start()
        return self.seen

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(timeout=20)
        assert not self._thread.is_alive()


def _soon(condition: Any) -> None:
    assert wait_until(condition, clock=Clock(), timeout_s=100)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[RealHost]:
    with RealHost(tmp_path / "host") as server:
        yield server


@pytest.fixture(params=["paramiko", "OpenSSH"])
def either(host: RealHost, request: pytest.FixtureRequest) -> RealHost:
    """The host over each transport."""
    if request.param == "OpenSSH":
        host.ask_for_openssh()
    return host


def _order(kind: str, interval_ms: int) -> ProbeOrder:
    return ProbeOrder(name=f"ssh-{kind}", kind=kind, interval_ns=interval_ms * 1_000_000, host="realhost")


def _session(host: RealHost) -> SshSession:
    return SshSession(route(host.name, host.ssh_config))


def test_ticks_come_on_an_absolute_schedule_with_both_clocks_of_the_host(either: RealHost) -> None:
    with Running(TickProbe(_order("ticks", 10), _session(either))) as seen:
        _soon(lambda: len(seen.samples) >= 100)
    numbers = [sample.seq for sample in seen.samples]
    assert numbers == sorted(set(numbers))
    for sample in seen.samples:
        assert sample.remote_due_ns is not None
        assert sample.remote_mono_ns is not None
        assert sample.remote_wall_ns is not None
        assert sample.answered_ns is not None
        # the server runs on this machine: its clocks are ours
        assert sample.remote_mono_ns - sample.remote_due_ns >= 0
        assert sample.remote_mono_ns <= sample.answered_ns
    dues = {(sample.remote_due_ns or 0) - sample.seq * 10_000_000 for sample in seen.samples}
    assert len(dues) == 1, "the schedule does not slip"
    assert seen.of("session")[0]["how"] == "perl"


PACES = {"quick": Rate(2_000_000), "calm": Rate(20_000_000, 300_000_000)}


@pytest.mark.parametrize("how", ["perl", "python3", "shell"])
def test_ticks_change_their_pace_without_losing_a_slot(host: RealHost, tmp_path: Path, how: str) -> None:
    class Poor(SshSession):
        def stream(self, arguments: Any, prepare: Any = None) -> Any:
            known = {"perl": "perl", "python3": "python3", "shell": "sh"}[how]
            return super().stream(arguments if arguments[0] == known else ["false"], prepare)

    order = ProbeOrder("ssh-ticks", "ticks", 2_000_000, host="realhost", pace="quick", paces=PACES)
    setting = RateSetting()
    with Running(TickProbe(order, Poor(route(host.name, host.ssh_config)), setting=setting)) as seen:
        _soon(lambda: len(seen.samples) >= 3)
        for number, pace in enumerate(("calm", "quick"), start=2):
            setting.wanted = pace
            if how == "shell":
                break
            _soon(lambda number=number: len(seen.of("pace")) == number)
            count = len(seen.samples)
            _soon(lambda count=count: len(seen.samples) > count + 20)
    told = seen.of("pace")
    wanted = [("quick", 2_000_000), ("calm", 20_000_000), ("quick", 2_000_000)]
    assert [(one["pace"], one["interval_ns"]) for one in told] == (
        wanted if how != "shell" else [("quick", 1_000_000_000)]
    )
    assert told[0]["first_seq"] == 1
    by_number = {sample.seq: sample for sample in seen.samples}
    assert list(by_number) == sorted(by_number)
    for before, after in itertools.pairwise(seen.samples):
        kept = [one["interval_ns"] for one in told if one["first_seq"] <= after.seq][-1]
        # across a change too: the new schedule begins at the slot where the old one ended
        apart = (after.remote_due_ns or 0) - (before.remote_due_ns or 0)
        assert abs(apart - (after.seq - before.seq) * kept) <= 2
    if how != "shell":
        calm = [sample for sample in seen.samples if told[1]["first_seq"] <= sample.seq < told[2]["first_seq"]]
        batches = {sample.answered_ns for sample in calm}
        assert len(calm) >= 8 * len(batches), "fifteen ticks of 20 ms come in one batch of 300 ms"


def test_the_three_that_ask_change_their_pace_and_owe_a_sample_for_every_slot(host: RealHost) -> None:
    way, setting = route(host.name, host.ssh_config), RateSetting()
    paces = {"quick": Rate(50_000_000), "calm": Rate(400_000_000)}

    def order(kind: str) -> ProbeOrder:
        return ProbeOrder(kind, kind, 50_000_000, host="realhost", pace="quick", paces=paces)

    probes = [
        EchoProbe(order("echo"), SshSession(way), setting=setting),
        ConnectProbe(order("connect"), way, setting=setting),
    ]
    with Running(probes[0]) as echo, Running(probes[1]) as connect:
        for number, pace in enumerate(("", "calm", "quick"), start=1):
            setting.wanted = pace
            for seen in (echo, connect):
                _soon(lambda seen=seen, number=number: len(seen.of("pace")) == number)
                count = len(seen.samples)
                _soon(lambda seen=seen, count=count: len(seen.samples) > count + 3)
    for seen in (echo, connect):
        samples, told = sorted(seen.samples, key=lambda one: one.seq), seen.of("pace")
        assert [one["interval_ns"] for one in told] == [50_000_000, 400_000_000, 50_000_000]
        assert [sample.seq for sample in samples] == list(range(1, len(samples) + 1))
        for before, after in itertools.pairwise(samples):
            change = next((one for one in told if one["first_seq"] == after.seq), None)
            kept = [one["interval_ns"] for one in told if one["first_seq"] <= after.seq][-1]
            apart = (after.due_ns or 0) - (before.due_ns or 0)
            assert apart == kept or (change and apart >= kept and after.due_ns == change["since_ns"])


def test_a_process_of_probes_takes_the_pace_from_its_standard_input(host: RealHost) -> None:
    order = ProbeOrder(
        "ssh-echo", "echo", 20_000_000, host.name, ssh_config=str(host.ssh_config), pace="quick",
        paces={"quick": Rate(20_000_000), "calm": Rate(200_000_000)},
    )  # fmt: skip
    child = subprocess.Popen(
        [sys.executable, "-m", "lpmkit.probes.process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps({"probes": [order.as_data()]}).encode() + b"\n")
    child.stdin.flush()
    kept: list[tuple[str, int]] = []
    while len(kept) < 2:
        line = child.stdout.readline()
        if line.startswith(b"E ") and (event := json.loads(line[2:]))["kind"] == "pace":
            kept.append((event["data"]["pace"], event["data"]["interval_ns"]))
            child.stdin.write(b'{"pace": "calm"}\n')
            child.stdin.flush()
    child.stdin.close()
    child.stdout.read()
    assert child.wait(timeout=30) == 0
    assert kept == [("quick", 20_000_000), ("calm", 200_000_000)]


def test_our_own_ticker_loads_next_to_nothing() -> None:
    """What a process of probes costs in memory is what it loads: no SSH for the ticker, no site file, no tables for
    anybody.
    """
    code = (
        "import sys, io, threading\nfrom lpmkit.probes.orders import OBSERVER, ProbeOrder\nfrom "
        "lpmkit.probes.process import run\n"
        "stop = threading.Event(); stop.set()\nheavy = ('paramiko', 'numpy', 'pandas', 'pydantic', 'keyring', "
        "'ruamel')\n"
        "for order in (OBSERVER, ProbeOrder('x', 'echo', 1, host='x', ssh_config='/nothing')):\n"
        "    run([order], {}, io.BytesIO(), stop); print([name for name in heavy if name in sys.modules])\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "[]\n['paramiko']\n"


def test_a_frozen_host_leaves_missing_ticks_and_sends_the_first_one_by_itself(host: RealHost) -> None:
    with Running(TickProbe(_order("ticks", 10), _session(host))) as seen:
        _soon(lambda: len(seen.samples) >= 50)
        truth = host.freeze(0.7)
        _soon(lambda: (seen.samples[-1].remote_mono_ns or 0) > truth.resume_after_ns + 200_000_000)
    ran = [sample.remote_mono_ns or 0 for sample in seen.samples]
    assert not [stamp for stamp in ran if truth.stop_after_ns < stamp < truth.resume_before_ns]
    jumps = [after.seq - before.seq for before, after in zip(seen.samples, seen.samples[1:], strict=False)]
    assert max(jumps) >= 65
    assert not seen.of("probe-trouble"), "the session outlives the freeze"


def test_every_question_is_sent_when_it_is_due_and_owes_a_sample(either: RealHost) -> None:
    with Running(EchoProbe(_order("echo", 50), _session(either))) as seen:
        _soon(lambda: len(seen.samples) >= 10)
        either.freeze(0.5)
        _soon(lambda: len(seen.samples) >= 30)
    samples = sorted(seen.samples, key=lambda sample: sample.seq)
    assert [sample.seq for sample in samples] == list(range(1, len(samples) + 1))
    dues = [sample.due_ns or 0 for sample in samples]
    assert {after - before for before, after in itertools.pairwise(dues)} == {50_000_000}
    late = [sample for sample in samples if (sample.answered_ns or 0) - (sample.sent_ns or 0) > 100_000_000]
    assert len(late) >= 5, "the questions of the freeze are answered after it"
    for sample in samples:
        if sample.outcome is Outcome.ANSWERED:
            assert (sample.sent_ns or 0) <= (sample.remote_mono_ns or 0) <= (sample.answered_ns or 0)


def test_a_session_that_breaks_is_opened_again_and_its_open_questions_are_lost(either: RealHost) -> None:
    with Running(EchoProbe(_order("echo", 50), _session(either))) as seen:
        _soon(lambda: len(seen.samples) >= 5)
        first = seen.of("session")[0]["remote_pid"]
        os.kill(first, 9)
        _soon(lambda: len(seen.of("session")) == 2)
        count = len(seen.samples)
        _soon(lambda: len(seen.samples) > count + 5)
    assert [data["connection"] for data in seen.of("session")] == [1, 2]
    assert seen.of("session")[1]["remote_pid"] != first
    assert seen.of("probe-trouble")


@pytest.mark.parametrize("tools", [("python3", "sh"), ("sh", "date", "sleep")], ids=["python3", "shell"])
def test_a_host_without_perl_is_probed_with_what_it_has(host: RealHost, tmp_path: Path, tools: tuple[str, ...]) -> None:
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for tool in tools:
        real = sys.executable if tool == "python3" else shutil.which(tool)
        (bin_folder / tool).write_text(f'#!/bin/sh\nexec {real} "$@"\n')
        (bin_folder / tool).chmod(0o755)

    class Poor(SshSession):
        def stream(self, arguments: Any, prepare: Any = None) -> Any:
            return super().stream(["env", f"PATH={bin_folder}", *arguments], prepare)

    session = Poor(route(host.name, host.ssh_config))
    with Running(TickProbe(_order("ticks", 10), session)) as seen:
        _soon(lambda: len(seen.samples) >= 2)
    assert seen.of("session")[0]["how"] == ("python3" if "python3" in tools else "shell")
    assert all(sample.remote_wall_ns for sample in seen.samples)


def test_nothing_is_left_on_the_host_when_the_probe_ends(either: RealHost) -> None:
    with Running(TickProbe(_order("ticks", 10), _session(either))) as seen:
        _soon(lambda: seen.of("session"))
        pid = seen.of("session")[0]["remote_pid"]
        assert Path(f"/proc/{pid}").exists()
    _soon(lambda: not Path(f"/proc/{pid}").exists())


def test_a_connection_counts_only_when_the_service_speaks() -> None:
    """A kernel completes handshakes for a program that does not run; this listener never speaks."""
    with socket.socket() as dumb:
        dumb.bind(("127.0.0.1", 0))
        dumb.listen(50)
        way = Route("dumb", "127.0.0.1", dumb.getsockname()[1], "nobody")
        with Running(ConnectProbe(_order("connect", 100), way)) as seen:
            _soon(lambda: seen.samples)
    assert {sample.outcome for sample in seen.samples} == {Outcome.SILENT}
    assert all(sample.answered_ns is None for sample in seen.samples)


def _connecting(port: int) -> int:
    """The number of this machine's connections to a port that wait for the answer to their SYN."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and row[3] == "02" for row in rows)


def test_a_lost_syn_delays_its_own_attempt_only_and_its_sample_says_so() -> None:
    """A full backlog drops SYNs, as a cut way does; when it is emptied our kernel sends the old ones again, a second
    after the first time.

    On a machine that gives this process no time just then no attempt may get through between two repetitions, so it is
    done again.
    """
    served: list[socket.socket] = []
    with socket.socket() as slow:
        slow.bind(("127.0.0.1", 0))
        slow.listen(0)
        slow.settimeout(0.05)
        port = slow.getsockname()[1]

        def serve() -> None:
            with suppress(TimeoutError):
                wire, _ = slow.accept()
                served.append(wire)
                with suppress(OSError):  # given up meanwhile
                    wire.sendall(b"SSH-2.0-a\r\n")

        with Running(ConnectProbe(_order("connect", 100), Route("slow", "127.0.0.1", port, "nobody"))) as seen:

            def repeated() -> list[Sample]:
                return [sample for sample in seen.samples if re.search(r"sent \d+ times", sample.detail)]

            def overtaken() -> bool:
                prompt = [one for one in seen.samples if one.outcome is Outcome.ANSWERED and not one.detail]
                return any(
                    one.seq > late.seq and (one.answered_ns or 0) < (late.answered_ns or 0)
                    for one, late in itertools.product(prompt, repeated())
                )

            clock = Clock()
            end_ns = clock.mono_ns() + 120 * 10**9
            while not overtaken():
                assert clock.mono_ns() < end_ns, "no later attempt overtakes one whose SYN was lost"
                _soon(lambda: _connecting(port) >= 4)  # no attempt waits for another
                until_ns = clock.mono_ns() + 2 * 10**9
                while clock.mono_ns() < until_ns and not overtaken():
                    serve()
    samples = sorted(seen.samples, key=lambda one: one.seq)
    dues = [sample.due_ns or 0 for sample in samples]
    assert {after - before for before, after in itertools.pairwise(dues)} == {100_000_000}
    took = [(one.answered_ns or 0) - (one.sent_ns or 0) for one in repeated()]
    assert min(took) > 900_000_000, "the first repetition of a SYN comes after a second"
    for wire in served:
        wire.close()


def test_a_name_without_an_address_is_looked_up_again_and_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting(ConnectProbe):
        looks = 0

        def _look_up(self) -> tuple[Any, ...]:
            self.looks += 1
            return super()._look_up()

    monkeypatch.setattr("lpmkit.probes.network.LOOK_UP_S", 0.001)
    probe = Counting(_order("connect", 100), Route("x", "-.invalid", 22, "x"))
    with Running(probe) as seen:
        _soon(lambda: probe.looks >= 3)
    assert ["no address" in one["what"] for one in seen.of("probe-trouble")] == [True]


def test_a_closed_port_is_refused_not_silent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        way = Route("closed", "127.0.0.1", unused.getsockname()[1], "nobody")
        with Running(ConnectProbe(_order("connect", 100), way)) as seen:
            _soon(lambda: len(seen.samples) >= 3)
    assert {sample.outcome for sample in seen.samples} == {Outcome.REFUSED}


def test_a_server_that_penalises_callers_without_login_is_asked_rarely() -> None:
    served = []
    with socket.socket() as modern:
        modern.bind(("127.0.0.1", 0))
        modern.listen(50)
        modern.settimeout(0.2)
        way = Route("modern", "127.0.0.1", modern.getsockname()[1], "nobody")
        probe = ConnectProbe(_order("connect", 100), way)
        with Running(probe) as seen:
            while not seen.of("probe-trouble"):
                try:
                    wire, _ = modern.accept()
                except TimeoutError:
                    continue
                wire.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")
                served.append(wire)
    assert seen.of("pace")[-1]["interval_ns"] == POLITE_INTERVAL_NS
    assert "penalises" in seen.of("probe-trouble")[0]["what"]
    for wire in served:
        wire.close()


def test_a_host_behind_another_one_has_no_tcp_way_and_the_probe_says_so() -> None:
    with Running(ConnectProbe(_order("connect", 100), Route("far", "10.0.0.1", 22, "x", jumps=("near",)))) as seen:
        _soon(lambda: seen.of("probe-trouble"))
    assert "not looked at" in seen.of("probe-trouble")[0]["what"]
    assert not seen.samples


def test_the_observers_own_ticker_skips_the_ticks_that_it_could_not_make() -> None:
    class Stalling(Clock):
        """Sleeps as asked, but once far too long."""

        def __init__(self) -> None:
            self.now, self.naps = 0, 0

        def mono_ns(self) -> int:
            return self.now

        def sleep(self, seconds: float) -> None:
            self.naps += 1
            self.now += int(seconds * 1e9) + (500_000_000 if self.naps == 10 else 1000)

    clock, seen, stop = Stalling(), Seen(), threading.Event()

    class Ending(Seen):
        def sample(self, probe: str, sample: Sample) -> None:
            seen.sample(probe, sample)
            if len(seen.samples) == 20:
                stop.set()

    ObserverProbe(OBSERVER, clock).run(stop, Ending())
    lateness = [(sample.answered_ns or 0) - (sample.due_ns or 0) for sample in seen.samples]
    assert max(lateness) >= 500_000_000
    assert sorted(lateness)[-2] < 1_000_000
    assert seen.samples[10].seq - seen.samples[9].seq == 101


def test_one_probes_defect_is_told_and_the_others_go_on(host: RealHost) -> None:
    orders = [
        ProbeOrder("broken", "echo", 100_000_000, host="no such host", ssh_config=str(host.folder / "nothing")),
        OBSERVER,
    ]
    out, stop = io.BytesIO(), threading.Event()
    thread = threading.Thread(target=run, args=(orders, {}, out, stop))
    thread.start()
    _soon(lambda: b"S observer" in out.getvalue() and b"probe-trouble" in out.getvalue())
    stop.set()
    thread.join()
    told = [json.loads(line[2:]) for line in out.getvalue().splitlines() if line.startswith(b"E ")]
    assert [event["data"]["probe"] for event in told if event["kind"] == "probe-trouble"] == ["broken"]


def test_the_probes_process_ends_when_the_one_who_started_it_is_gone() -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "lpmkit.probes.process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps({"probes": [OBSERVER.as_data()]}).encode() + b"\n")
    child.stdin.flush()
    assert child.stdout.readline().startswith(b"E ")
    child.stdin.close()
    child.stdout.read()
    assert child.wait(timeout=30) == 0


def test_a_process_runs_before_others_where_it_may_and_the_record_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int, int]] = []

    def scheduler(pid: int, policy: int, parameters: os.sched_param) -> None:
        asked.append((pid, policy, parameters.sched_priority))
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", scheduler)
    process.run_before_others()
    assert asked == [(0, os.SCHED_RR, 1)], "an account that may not goes on as it is"
    out = io.BytesIO()
    sink = FrameSink(out)
    process._tell_start(OBSERVER, sink)
    monkeypatch.setattr(os, "sched_getscheduler", lambda _: os.SCHED_RR)
    monkeypatch.setattr(os, "sched_getparam", lambda _: os.sched_param(1))
    process._tell_start(OBSERVER, sink)
    sink.flush()
    usual, before = (json.loads(line[2:])["data"] for line in out.getvalue().splitlines())
    assert "scheduling" not in usual
    assert before["scheduling"] == "SCHED_RR 1"


def test_no_probe_waits_for_a_recorder_that_is_slow_to_read() -> None:
    read_end, write_end = os.pipe()
    stop = threading.Event()
    with os.fdopen(write_end, "wb") as out, os.fdopen(read_end, "rb") as read:
        sink = FrameSink(out)
        writer = threading.Thread(target=sink.write, args=(stop,))
        writer.start()
        # Far more than the pipe holds, and nobody reads: were one of these written by its probe, it would stand here.
        for number in range(200):
            sink.event("ssh-echo", "note", number=number, text="x" * 4096)
            sink.observation("sap-jobs", {"number": number, "text": "x" * 4096})
        assert writer.is_alive()
        kinds = [line[:1] for line in (read.readline() for _ in range(600))]
        stop.set()
        writer.join()
    assert kinds.count(b"E") == 200
    assert kinds.count(b"O") == 200, "each with its row on a line of its own"


def test_a_pipe_that_takes_a_part_only_gets_the_rest_too() -> None:
    class Short(io.BytesIO):
        def write(self, data: Any) -> int:
            return super().write(bytes(data)[:7])

    out = Short()
    sink = FrameSink(out)
    sink.event("ssh-echo", "probe-ended")
    sink.flush()
    assert json.loads(out.getvalue()[2:])["kind"] == "probe-ended"


def test_frames_carry_rows_as_a_samples_file_has_them() -> None:
    out = io.BytesIO()
    sink = FrameSink(out)
    sink.sample("ssh-echo", Sample(1, 2, 3))
    sink.sample("ssh-echo", Sample(2, 3, 4))
    sink.flush()
    rows = b"1,2,3,,,,,answered,\n2,3,4,,,,,answered,\n"
    assert out.getvalue() == b"S ssh-echo %d\n" % len(rows) + rows


class Gate:
    """Holds up whoever reads from a connection to a port, for as long as it is shut."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
        self._open = threading.Event()
        self._open.set()
        #: The connection that is held up, with its unread bytes.
        self.held: StampedSocket | None = None
        read, taken = StampedSocket.recv, StampedSocket.taken

        def hold(wire: StampedSocket) -> None:
            if not self._open.is_set() and wire.getpeername()[1] == port:
                self.held = wire
                self._open.wait()

        def recv(wire: StampedSocket, bufsize: int, flags: int = 0) -> bytes:
            hold(wire)
            return read(wire, bufsize, flags)

        def take(wire: StampedSocket, bufsize: int) -> bytes | None:
            hold(wire)
            return taken(wire, bufsize)

        monkeypatch.setattr(StampedSocket, "recv", recv)
        monkeypatch.setattr(StampedSocket, "taken", take)

    def shut(self) -> None:
        self.held = None
        self._open.clear()

    def unread(self) -> int:
        """The bytes that wait in the kernel for the reader that is held up."""
        if self.held is None:
            return 0
        count = fcntl.ioctl(self.held.fileno(), termios.FIONREAD, bytes(4))
        return int.from_bytes(count, sys.byteorder)

    def open(self) -> None:
        self._open.set()


def test_an_arrival_is_the_kernels_stamp_however_late_we_read(
    either: RealHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that is held up reads later than everything arrived: the host is stopped before it goes on."""
    gate = Gate(monkeypatch, either.port)
    with Running(TickProbe(_order("ticks", 10), _session(either))) as seen:
        _soon(lambda: len(seen.samples) >= 10)
        gate.shut()
        _soon(lambda: gate.unread() >= 2000)
        stopped, count = either.stop(), len(seen.samples)
        arrived = time.monotonic_ns()
        _soon(lambda: time.monotonic_ns() > arrived + 300_000_000)
        gate.open()
        _soon(lambda: len(seen.samples) >= count + 10)
        late = seen.samples[count:]
        either.go_on(stopped)
    told = seen.of("session")[0]
    assert told["stamps"] == "kernel"
    assert told["over"].startswith("transport: ")
    assert ("OpenSSH_" in told["over"].split(";")[0]) == ("RevokedHostKeys" in either.ssh_config.read_text())
    assert max(sample.answered_ns or 0 for sample in late) < arrived + 150_000_000, (
        "the kernel had them long before we read"
    )
    assert min((sample.answered_ns or 0) - (sample.remote_mono_ns or 0) for sample in seen.samples) > 0, (
        "nothing arrives before it was made"
    )


def test_where_the_kernel_stamps_nothing_the_probe_says_so(host: RealHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpmkit.ssh.rx_timestamps.SO_TIMESTAMPNS", 0)
    monkeypatch.setattr("sys.platform", "aix7")
    with Running(EchoProbe(_order("echo", 50), _session(host))) as seen:
        _soon(lambda: len(seen.samples) >= 5)
    assert seen.of("session")[0]["stamps"] == "user"
    for sample in seen.samples:
        if sample.outcome is Outcome.ANSWERED:
            assert (sample.remote_mono_ns or 0) <= (sample.answered_ns or 0)


def test_a_stamp_is_not_believed_when_the_time_of_day_was_set_meanwhile() -> None:
    class Set(Clock):
        now, apart = 1_000_000_000, 7_000_000_000_000

        def mono_ns(self) -> int:
            return self.now

        def wall_ns(self) -> int:
            return self.now + self.apart

    clock = Set()
    stamps = KernelStamps(clock)

    def read(stamp_ns: int) -> int:
        stamp = struct.pack("@ll", *divmod(stamp_ns, 1_000_000_000))
        return stamps.arrived_ns([(socket.SOL_SOCKET, SO_TIMESTAMPNS, stamp)])

    assert read(clock.wall_ns() - 5_000_000) == clock.now, "one pair of readings alone cannot tell"
    assert read(clock.wall_ns() - 5_000_000) == pytest.approx(clock.now - 5_000_000, abs=5000)
    stamp = clock.wall_ns() - 5_000_000
    clock.apart += 3_600_000_000_000
    assert read(stamp) == clock.now


@pytest.mark.parametrize("how", ["perl", "python3"])
def test_the_ticks_come_as_fast_as_the_timer_of_the_host_allows(host: RealHost, tmp_path: Path, how: str) -> None:
    """A timer of 10 ms steps, as an old AIX may have one: a thousand ticks a second cannot be kept, a hundred can."""
    coarse = tmp_path / "coarse"
    (coarse / "Time").mkdir(parents=True)
    (coarse / "sitecustomize.py").write_text(
        "import time\nreal = time.sleep\ntime.sleep = lambda s: real(int(s * 100 + 1) / 100 - 0.0005)\n"
    )
    (coarse / "Coarse.pm").write_text(
        "package Coarse; use Time::HiRes (); no warnings; my $real = \\&Time::HiRes::sleep;\n"
        "*Time::HiRes::sleep = sub { $real->(int($_[0] * 100 + 1) / 100 - 0.0005) }; 1;\n"
    )

    class Old(SshSession):
        def stream(self, arguments: Any, prepare: Any = None) -> Any:
            if how == "python3" and arguments[0] == "perl":
                arguments = ["false"]
            environment = [
                f"PYTHONPATH={coarse}",
                f"PERL5OPT=-I{coarse} -MCoarse",
                f"PATH={Path(sys.executable).parent}:{os.environ['PATH']}",
            ]
            return super().stream(["env", *environment, *arguments], prepare)

    for wish_ms, kept_ms in ((1, 10), (20, 20)):
        with Running(TickProbe(_order("ticks", wish_ms), Old(route(host.name, host.ssh_config)))) as seen:
            _soon(lambda seen=seen: len(seen.samples) >= 20)
        told = seen.of("session")[0]
        assert told["how"] == how
        assert 9_000_000 < told["timer_ns"] <= 10_000_000
        assert (told["wished_ns"], told["interval_ns"]) == (wish_ms * 1_000_000, kept_ms * 1_000_000)
        dues = [sample.remote_due_ns or 0 for sample in seen.samples]
        seqs = [sample.seq for sample in seen.samples]
        pairs = zip(itertools.pairwise(dues), itertools.pairwise(seqs), strict=True)
        steps = {(due - due_before) // (seq - seq_before) for (due_before, due), (seq_before, seq) in pairs}
        assert dues == sorted(dues)
        assert steps == {kept_ms * 1_000_000}
