"""The NI ping and the polled states of a SAP system."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lpmkit.config import Site
from lpmkit.probes.ni import PING, PONG, Frames, NiProbe, frame
from lpmkit.probes.orders import ProbeOrder, sap_plan
from lpmkit.probes.sap import LOG_BEGAN_ANEW, SapProbe
from lpmkit.sap.load import Load
from lpmkit.sap.model import LogEntry
from lpmkit.sap.observation import SapObservation
from lpmkit.sap.sources import QueryWindow, utc_now
from lpmkit.sap.system import System
from lpmkit.settings.sap import SapSystemSettings
from lpmkit.ssh.secrets import Secrets
from lpmkit.timeline import Clock, Outcome, Sample, wait_until
from tests.made_runs import MadeClock, S


@dataclass
class Seen:
    """A sink that keeps everything."""

    samples: list[Sample] = field(default_factory=list)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    rows: list[Mapping[str, Any]] = field(default_factory=list)

    def sample(self, probe: str, sample: Sample) -> None:
        self.samples.append(sample)

    def event(self, probe: str, kind: str, /, **data: Any) -> None:
        self.events.append((kind, data))

    def observation(self, probe: str, row: Mapping[str, Any], /) -> None:
        self.rows.append(row)

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]

    def answered(self) -> int:
        return sum(one.outcome is Outcome.ANSWERED for one in self.samples)


class Dispatcher:
    """A dispatcher of a few lines: answers pings while it is let, asks its own, closes and comes back when told."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.speaks = threading.Event()
        self.speaks.set()
        self.wires: list[socket.socket] = []
        self.pongs = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                wire, _ = self.listener.accept()
            except OSError:
                return
            self.wires.append(wire)
            threading.Thread(target=self._serve, args=(wire,), daemon=True).start()

    def _serve(self, wire: socket.socket) -> None:
        frames = Frames()
        try:
            while content := wire.recv(4096):
                for payload in frames.feed(content):
                    self.speaks.wait()
                    self.pongs += payload == PONG
                    if payload == PING:
                        # in two pieces, as a network may cut it
                        wire.sendall(frame(PONG)[:5])
                        wire.sendall(frame(PONG)[5:])
        except OSError:
            return

    def cut(self) -> None:
        for wire in self.wires:
            try:
                wire.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the other side was first
            wire.close()
        self.wires.clear()

    def close(self) -> None:
        self.speaks.set()
        self.listener.close()
        self.cut()


@pytest.fixture
def dispatcher() -> Iterator[Dispatcher]:
    one = Dispatcher()
    yield one
    one.close()


def ni_order(port: int, ms: int = 10) -> ProbeOrder:
    options = {"port": port, "address": "127.0.0.1"}
    return ProbeOrder("sap-ni-BX5-00", "ni", ms * 1_000_000, host="bxaix85", options=options)


class Running:
    """A probe in a thread, for as long as the block lasts."""

    def __init__(self, probe: Any) -> None:
        self.seen, self._stop = Seen(), threading.Event()
        self._thread = threading.Thread(target=probe.run, args=(self._stop, self.seen), daemon=True)

    def __enter__(self) -> Seen:
        self._thread.start()
        return self.seen

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()


def soon(holds: Any) -> None:
    assert wait_until(holds, clock=Clock(), timeout_s=60, every_s=0.01)


# -- NI ----------------------------------------------------------------------------------------------------------------


def test_the_dispatcher_is_asked_over_one_connection(dispatcher: Dispatcher) -> None:
    with Running(NiProbe(ni_order(dispatcher.port), None)) as seen:
        soon(lambda: seen.answered() >= 20)
    assert [kind for kind in seen.kinds() if kind.startswith("ni-")] == ["ni-connection"]
    assert sorted(one.seq for one in seen.samples) == list(range(1, len(seen.samples) + 1))
    for one in seen.samples:
        if one.outcome is Outcome.ANSWERED:
            assert one.due_ns is not None
            assert one.sent_ns is not None
            assert one.answered_ns is not None
            assert one.due_ns <= one.sent_ns <= one.answered_ns


def test_questions_go_out_on_time_while_nobody_answers_and_are_answered_later(dispatcher: Dispatcher) -> None:
    with Running(NiProbe(ni_order(dispatcher.port), None)) as seen:
        soon(lambda: seen.answered() >= 5)
        dispatcher.speaks.clear()
        asked = len(seen.samples)
        soon(lambda: False if len(seen.samples) > asked + 1 else _waited(0.5))
        dispatcher.speaks.set()
        soon(lambda: seen.answered() >= asked + 20)
    late = [
        one for one in seen.samples if one.answered_ns and one.sent_ns and one.answered_ns - one.sent_ns > 100_000_000
    ]
    assert len(late) >= 20  # each of them was asked, none waited for another's answer
    assert "ni-lost" not in seen.kinds()


_since: list[int] = []


def _waited(seconds: float) -> bool:
    now = Clock().mono_ns()
    _since[:] = _since or [now]
    done = now - _since[0] > seconds * 1e9
    if done:
        _since.clear()
    return done


def test_the_peers_own_ping_is_answered(dispatcher: Dispatcher) -> None:
    with Running(NiProbe(ni_order(dispatcher.port), None)) as seen:
        soon(lambda: seen.answered() >= 3)
        dispatcher.wires[0].sendall(frame(PING))
        soon(lambda: dispatcher.pongs == 1)


def test_a_lost_connection_is_a_finding_and_what_was_asked_is_lost(dispatcher: Dispatcher) -> None:
    with Running(NiProbe(ni_order(dispatcher.port), None)) as seen:
        soon(lambda: seen.answered() >= 5)
        dispatcher.speaks.clear()
        soon(lambda: _waited(0.1))
        dispatcher.cut()
        dispatcher.speaks.set()
        soon(lambda: seen.kinds().count("ni-connection") == 2 and seen.samples[-1].outcome is Outcome.ANSWERED)
    assert [kind for kind in seen.kinds() if kind.startswith("ni-")] == ["ni-connection", "ni-lost", "ni-connection"]
    assert any(one.outcome is Outcome.LOST for one in seen.samples)
    assert sorted(one.seq for one in seen.samples) == list(range(1, len(seen.samples) + 1))


def test_a_dispatcher_that_is_not_there_is_refused_at_every_tick() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Running(NiProbe(ni_order(port), None)) as seen:
        soon(lambda: len(seen.samples) >= 5)
    assert {one.outcome for one in seen.samples} <= {Outcome.REFUSED, Outcome.SILENT}
    assert seen.kinds().count("probe-trouble") == 1


def test_something_else_at_the_port_is_no_sign_of_life(dispatcher: Dispatcher) -> None:
    with Running(NiProbe(ni_order(dispatcher.port), None)) as seen:
        soon(lambda: seen.answered() >= 3)
        dispatcher.wires[0].sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        soon(lambda: "ni-lost" in seen.kinds())


def test_the_light_probes_process_does_not_load_what_the_sap_probe_needs() -> None:
    code = (
        "import sys, lpmkit.probes.process; print([m for m in ('zeep', 'lxml', 'requests', 'pyrfc') if m in "
        "sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- states ------------------------------------------------------------------------------------------------------------


class Made:
    """A way that answers what it is given, and counts."""

    name = "webservice"
    session = ""
    missing = ""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.questions = frozenset(["work_processes", "system_log"])
        self.log: list[LogEntry] = [LogEntry(None, "DIA", "100", "A", "", "R68", "old")]
        self.asked: list[str] = []

    def ask(self, question: str, window: QueryWindow) -> tuple[tuple[Any, ...], str]:
        self.load.take(self.name)
        self.asked.append(question)
        return (tuple(self.log) if question == "system_log" else ()), self.name

    def server_time(self) -> datetime | None:
        return None

    def close(self) -> None:
        self.asked.append("closed")


@pytest.mark.parametrize(
    ("zone", "told_s", "took_s", "offset_s"),
    [
        ("Europe/Berlin", 3600, 0.1, 3600),
        ("Europe/Berlin", 3599, 0.1, 3600),
        ("Europe/Berlin", 3300, 0.1, 3300),
        ("Europe/Berlin", 7200, 0.1, 3600),
        ("Europe/Berlin", 3590, 9.0, 3600),
        (None, 3300, 0.1, 3300),
        (None, 20700, 0.1, 20700),
        (None, 3600, 9.0, None),
    ],
    ids=["right", "whole seconds", "slow by 5 minutes", "from a start in summer time", "a reply that waited",
         "slow, zone not known", "Nepal", "nothing told"],
)  # fmt: skip
def test_the_systems_clock_is_its_zone_and_its_error(
    zone: str | None, told_s: int, took_s: float, offset_s: int | None
) -> None:
    """10 January: Berlin is an hour before UTC."""
    clock = MadeClock()

    class Slow(Made):
        def ask(self, question: str, window: QueryWindow) -> tuple[tuple[Any, ...], str]:
            clock.now_ns += int(took_s * S)
            return super().ask(question, window)

        def server_time(self) -> datetime | None:
            return utc_now(clock.wall_ns()) + timedelta(seconds=told_s)

    settings = SapSystemSettings(partition="bxaix85", zone=zone)
    system = System("BX5", settings, [Slow(Load(60))], Load(60), clock=clock)
    assert system.ask("work_processes").zone_offset_s == offset_s


def probe_of(every_s: float = 0.5, limit: int = 6000) -> tuple[SapProbe, Made]:
    settings = SapSystemSettings(
        partition="bxaix85", requests_per_minute=limit, every_s={"work_processes": every_s, "system_log": every_s}
    )
    load = Load(limit)
    way = Made(load)
    order = ProbeOrder("sap-BX5", "sap", 1, options={"sid": "BX5", "settings": settings.model_dump(mode="json")})
    return SapProbe(order, Secrets(), system=System("BX5", settings, [way], load)), way


def test_every_question_is_put_at_its_interval_and_what_none_tells_once() -> None:
    probe, way = probe_of()
    with Running(probe) as seen:
        soon(lambda: way.asked.count("work_processes") >= 3)
    asked = [row["question"] for row in seen.rows]
    assert asked.count("users") == 1  # no way tells it: said once
    assert "no SAP interface in the site file" in next(
        row["trouble"] for row in seen.rows if row["question"] == "users"
    )
    assert way.asked[-1] == "closed"
    times = [row["asked_ns"] for row in seen.rows if row["question"] == "work_processes"]
    assert all(later - earlier >= 0.4e9 for earlier, later in pairwise(times))
    assert seen.kinds()[-1] == "sap-load"


def test_of_the_log_only_what_is_new_is_kept_and_twins_count_twice() -> None:
    probe, way = probe_of()
    twin = LogEntry(None, "DIA", "100", "B", "", "Q04", "cut")
    with Running(probe) as seen:
        soon(lambda: way.asked.count("system_log") >= 1)
        way.log += [twin, twin]
        soon(lambda: sum(len(row.get("rows", ())) for row in seen.rows if row["question"] == "system_log") >= 3)
        soon(lambda: way.asked.count("system_log") >= 4)
    kept = [entry for row in seen.rows if row["question"] == "system_log" for entry in row["rows"]]
    assert [entry["text"] for entry in kept] == ["old", "cut", "cut"]


def test_a_log_that_holds_nothing_of_the_reading_before_says_so_and_is_not_all_seen() -> None:
    probe, _ = probe_of()
    rows = [LogEntry(None, "DIA", "100", "B", "", f"Q0{number}", "x") for number in range(4)]

    def read(*entries: LogEntry, way: str = "webservice") -> str:
        return probe._new(SapObservation("BX5", "system_log", way, 1, 2, 3, entries)).trouble

    assert [read(), read(*rows[:2]), read(*rows[1:3])] == ["", "", ""], "it begins, it grows, its ring turns"
    assert read(rows[3]) == LOG_BEGAN_ANEW
    assert read() == LOG_BEGAN_ANEW, "it was emptied"
    assert read(rows[0], way="sapcontrol") == "", "another interface may write them in another way"


def test_the_plan_has_a_light_probe_for_each_dispatcher_and_one_process_for_the_rest() -> None:
    site = Site.model_validate(
        {
            "partitions": {"bxaix85": {"host": "bxaix85"}},
            "sap_systems": {
                "BX5": {"partition": "bxaix85", "instances": ["00", "01"], "dispatchers": ["00"]},
                "OTH": {"partition": "elsewhere"},
            },
        }
    )
    orders = {order.name: order for order in sap_plan(site, "bxaix85")}
    assert set(orders) == {"sap-ni-BX5-00", "sap-BX5"}
    assert orders["sap-ni-BX5-00"].options["port"] == 3200
    assert orders["sap-ni-BX5-00"].group == ""
    assert orders["sap-ni-BX5-00"].interval_ns <= 100_000_000
    assert orders["sap-BX5"].group == "sap"
    assert orders["sap-BX5"].lasts_s == 900


def test_a_probes_process_hands_observations_on_as_lines(tmp_path: Path) -> None:
    order = {
        "name": "sap-BX5",
        "kind": "sap",
        "interval_ns": 1,
        "host": "localhost",
        "group": "sap",
        "options": {"sid": "BX5", "settings": {"partition": "bxaix85"}},
    }
    child = subprocess.Popen(
        [sys.executable, "-m", "lpmkit.probes.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps({"probes": [order], "secrets": {}}).encode() + b"\n")
    child.stdin.flush()
    found: list[dict[str, Any]] = []
    while len(found) < 3:
        line = child.stdout.readline()
        assert line, "it ended"
        if line.startswith(b"O "):
            _, probe, length = line.split()
            assert probe == b"sap-BX5"
            found.append(json.loads(child.stdout.read(int(length))))
    child.stdin.close()
    child.stdout.read()
    assert child.wait(20) == 0
    assert {row["system"] for row in found} == {"BX5"}


def fed_in_pieces(frames: Frames, content: bytes, size: int) -> None:
    for begin in range(0, len(content), size):
        frames.feed(content[begin : begin + size])


@pytest.mark.parametrize("length", [2**32 - 1, 2**31, 10**7])
def test_a_length_that_no_sap_program_sends_ends_the_connection_and_takes_no_memory(length: int) -> None:
    for size in (1, 3, 65536):  # however it arrives
        frames = Frames()
        with pytest.raises(ValueError, match="this is no SAP dispatcher"):
            fed_in_pieces(frames, length.to_bytes(4, "big") + bytes(65536), size)
        assert len(frames._rest) <= size + 4


def test_frames_without_content_are_taken_as_they_come() -> None:
    assert Frames().feed(bytes(4) * 16384) == [b""] * 16384
