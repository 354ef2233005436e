"""Session outages split into the way's part and our own TCP's: made runs, rows of TCP_INFO, and a real session."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lpmkit.analysis import SessionOutage, analyse, summary
from lpmkit.analysis.session_outage import waiting_of
from lpmkit.probes import silence as silence_module
from lpmkit.probes.silence import COLUMNS, Silence
from lpmkit.probes.ssh import EchoProbe
from lpmkit.runs.folder import Run
from lpmkit.runs.writer import RunWriter
from lpmkit.ssh.tcp_info import TcpInfo, tcp_info
from lpmkit.timeline import Clock, wait_until
from tests.made_runs import MS, START, Made, MadeClock, S, make
from tests.real_host import RealHost
from tests.test_probes import Running, _order, _session, _soon


def _row(at_s: float, sent_ms: int, *, unacked: int = 3, repeats: int = 0, acked_s: float = 11.95) -> list[int]:
    named = {"mono_ns": START + round(at_s * S), "since_sent_ms": sent_ms, "unacked": unacked, "rtt_us": 300}
    named |= {"total_retransmits": repeats, "retransmits": 0, "since_ack_ms": round((at_s - acked_s) * 1000)}
    return [named.get(name, 0) for name in COLUMNS]


NOTHING = TcpInfo(*(0 for _ in COLUMNS[1:]))


def rows_of(told: dict[str, Any]) -> list[dict[str, int]]:
    """The rows of a ``tcp`` event by their columns."""
    return [dict(zip(told["columns"], row, strict=True)) for row in told["rows"]]


def _told(answered_s: float, *rows: list[int], silent_since_s: float = 12.0) -> dict[str, Any]:
    return {
        "probe": "ssh-echo", "columns": COLUMNS, "rows": list(rows),
        "silent_since_ns": START + round(silent_since_s * S), "answered_ns": START + round(answered_s * S),
    }  # fmt: skip


def test_what_was_sent_and_never_acknowledged_was_sent_while_the_way_was_closed() -> None:
    found = waiting_of(
        _told(13.6, _row(12.21, 5), _row(12.63, 0, repeats=1), _row(13.595, 3, repeats=3), _row(13.601, 0, repeats=3))
    )
    assert [round((moment - START) / MS) for moment in found.lost_ns] == [12205, 12630]
    assert found.repeats == 3
    assert not found.all_acknowledged


def test_a_host_whose_kernel_acknowledges_makes_our_tcp_wait_for_nothing() -> None:
    found = waiting_of(
        _told(
            13.6,
            _row(12.21, 5, acked_s=12.19),
            _row(12.4, 1, acked_s=12.25),
            _row(12.45, 50, unacked=0, acked_s=12.44),
            _row(13.601, 0, unacked=0, acked_s=13.6),
        )
    )
    assert found.all_acknowledged
    assert not found.lost_ns


def test_a_session_whose_tcp_repeated_nothing_waited_for_the_host_alone(tmp_path: Path) -> None:
    """An acknowledgement that came late leaves nothing that our TCP waited to send again."""
    run = make(tmp_path, Made(mode="watch", duration_s=22.0, icmp=True, suspend=None, starved=((12.0, 12.5),)))
    ended = _ended_s(run)
    rows = (_row(12.25, 40, repeats=2), _row(ended + 0.001, 0, unacked=0, repeats=2))
    one = _session_of(_with(run, ("tcp", _told(ended, *rows)), at_s=ended + 0.1)).split
    assert one is not None
    assert one.repeats == 0
    assert one.waited_ns.hi_ns == 0
    assert "waited for the program on the host" in one.how


def _session_of(run: Run) -> SessionOutage:
    (found,) = (one for host in analyse(run).hosts for one in host.sessions)
    return found


def _with(run: Run, *events: tuple[str, dict[str, Any]], at_s: float) -> Run:
    with RunWriter(run.path, MadeClock(START + round(at_s * S))) as writer:
        writer.segment = 1
        for kind, data in events:
            writer.event("probe:ssh-echo", kind, **data)
    return run


#: Cut for a second; TCP, which doubled its waits, sent again at 12.6 (lost) and 13.4.
CUT = Made(duration_s=22.0, suspend=None, network_out=((12.0, 13.0),), icmp=True)


def _ended_s(run: Run) -> float:
    return (_session_of(run).ended_ns - START) / S


def test_the_way_is_told_from_the_waiting_by_echo_requests(tmp_path: Path) -> None:
    run = make(tmp_path, CUT)
    one = _session_of(run)
    assert one.split is not None
    assert one.split.path_ns.contains(S)
    assert abs(one.split.path_ns.middle_ns - S) < 20 * MS
    waited = round((_ended_s(run) - 13.0) * S)
    assert one.split.waited_ns.contains(waited)
    assert one.split.repeats is None
    assert "local TCP state not available" in one.split.how


def test_without_echo_requests_our_tcp_bounds_it(tmp_path: Path) -> None:
    made = Made(duration_s=22.0, suspend=None, network_out=((12.0, 13.0),), ticks=False, connect=False)
    run = make(tmp_path, made)
    ended = _ended_s(run)
    blunt = _session_of(run).split
    rows = (_row(12.31, 0), _row(12.71, 0, repeats=1), _row(ended + 0.001, 0, repeats=2))
    sharp = _session_of(_with(run, ("tcp", _told(ended, *rows)), at_s=ended + 0.1)).split
    assert blunt is not None
    assert sharp is not None
    for one in (blunt, sharp):
        assert one.path_ns.contains(S)
        assert one.waited_ns.contains(round((ended - 13.0) * S))
    assert sharp.path_ns.lo_ns > blunt.path_ns.lo_ns + 50 * MS
    assert sharp.repeats == 2


def test_two_that_contradict_each_other_widen_the_answer_and_say_so(tmp_path: Path) -> None:
    run = make(tmp_path, CUT)
    ended = _ended_s(run)
    assert ended > 13.2
    rows = (_row(12.31, 0), _row(13.1, 0, repeats=1), _row(ended + 0.001, 0, repeats=2))
    one = _session_of(_with(run, ("tcp", _told(ended, *rows)), at_s=ended + 0.1)).split
    assert one is not None
    assert one.path_ns.contains(S)
    assert one.path_ns.contains(round((ended - 12.0) * S) - MS)
    assert "open for a moment in between" in one.how


def test_a_second_login_is_never_called_the_same(tmp_path: Path) -> None:
    who = {
        "probe": "ssh-echo",
        "remote_pid": 7008,
        "remote_started": 1_700_000_000,
        "local_address": "a 1",
        "remote_address": "b 22",
    }
    cases: list[tuple[dict[str, object], str]] = [
        ({}, "yes, process 7008"),
        ({"remote_started": 1}, "no: another process"),
        ({"local_address": "a 2"}, "no: another process"),
    ]
    for number, (changes, said) in enumerate(cases):
        run = make(tmp_path / str(number), CUT)
        ended = _ended_s(run)
        _with(run, ("session", {**who, "connection": 1}), at_s=1.0)
        _with(run, ("login", {**who, **changes}), at_s=ended + 0.2)
        assert _session_of(run).login.startswith(said)
    run = make(tmp_path / "again", Made(**{**vars_of(CUT), "relogin_at": 12.9}))
    assert _session_of(run).login.startswith("no: it had to log in again")


def vars_of(made: Made) -> dict[str, Any]:
    return {name: getattr(made, name) for name in made.__dataclass_fields__}


def test_the_summary_gives_the_split_with_unit_bounds_and_method(tmp_path: Path) -> None:
    (one,) = summary(analyse(make(tmp_path, CUT)))["hosts"][0]["session_outages"]
    for name in ("way_closed", "own_tcp_waited"):
        assert {"low", "high", "unit", "method"} <= set(one["split"][name])
    assert one["split"]["way_closed"]["low"] <= 1.0 <= one["split"]["way_closed"]["high"]


def test_a_real_session_tells_what_its_tcp_did_and_who_answers_after_a_silence(tmp_path: Path) -> None:
    """A frozen server whose kernel runs: it acknowledges, so our TCP has nothing to send again."""
    with RealHost(tmp_path) as host, Running(EchoProbe(_order("echo", 50), _session(host))) as seen:
        _soon(lambda: len(seen.samples) >= 5)
        truth = host.freeze(0.6)
        _soon(lambda: seen.of("login"))
        # on a busy machine another silence may lie before or after it
        told = next(one for one in seen.of("tcp") if one["answered_ns"] >= truth.resume_before_ns)
        login = seen.of("login")[0]
    session = seen.of("session")[0]
    assert session["tcp"] == "looked at"
    assert login["same"] is True
    assert {name: login[name] for name in ("remote_pid", "remote_started", "local_address", "remote_address")} == {
        name: session[name] for name in ("remote_pid", "remote_started", "local_address", "remote_address")
    }
    assert truth.stop_before_ns - 60 * MS <= told["silent_since_ns"] <= truth.stop_after_ns + 60 * MS
    assert told["answered_ns"] >= truth.resume_before_ns
    assert waiting_of(told).all_acknowledged


def test_where_a_socket_cannot_be_looked_at_nothing_is_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Channel:
        """The channel that carries a session through another host."""

    assert tcp_info(Channel()) is None
    with socket.socketpair()[0] as no_tcp:
        assert tcp_info(no_tcp) is None
    clock = MadeClock()
    silence = Silence(clock, Channel())
    clock.now_ns += 300 * MS
    silence.look(START)
    assert silence.ended(clock.now_ns) is None


def test_every_transmission_of_a_long_silence_is_seen_in_few_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """TCP waits 0.2 s, then twice as long each time (RFC 6298, 5.5), up to two minutes."""
    clock, sent_s, wait_s = MadeClock(), [0.0], 0.2
    while sent_s[-1] < 600:
        sent_s.append(sent_s[-1] + wait_s)
        wait_s = min(2 * wait_s, 120.0)

    def read(_: object) -> TcpInfo:
        since_s = (clock.now_ns - START) / S
        last_s = max(at for at in sent_s if at <= since_s)
        return replace(NOTHING, since_sent_ms=round(1000 * (since_s - last_s)), unacked=3)

    monkeypatch.setattr(silence_module, "tcp_info", read)
    silence, looks = Silence(clock, object()), 0
    while clock.now_ns < START + 600 * S:
        clock.now_ns += round(silence.look(START) * S)
        looks += 1
    told = silence.ended(clock.now_ns)
    assert told is not None
    seen = {round((row["mono_ns"] - START) / S - row["since_sent_ms"] / 1000, 1) for row in rows_of(told)}
    assert seen >= {round(at, 1) for at in sent_s if 0.2 <= at < 599}
    assert looks < 1500, "fifty a second would be 30,000"


def test_our_tcp_shows_what_nobody_acknowledges() -> None:
    """A connection into a full backlog: its SYN is sent again and again."""
    with socket.socket() as full, socket.socket() as waiting, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for one in (first, second, waiting):
            one.setblocking(False)
            one.connect_ex(full.getsockname())

        def repeated() -> bool:
            said = tcp_info(waiting)
            return said is not None and said.total_retransmits > 0

        assert wait_until(repeated, clock=Clock(), timeout_s=20)
