"""The guard: what it tells, when it has the copy stopped, and that one intent is one command."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lpmkit.analysis import analyse
from lpmkit.analysis.time_outs import TimeOut, time_outs_of
from lpmkit.background.requests import put
from lpmkit.limits import read_limits
from lpmkit.migration.phases import Phase
from lpmkit.oracle.alert_log import read_alert_log
from lpmkit.oracle.event_rows import as_row
from lpmkit.prediction.distributions import Quantiles
from lpmkit.prediction.forecast import Counting, Forecast
from lpmkit.probes.orders import ProbeOrder, Rate
from lpmkit.recorder import process
from lpmkit.recorder.guard import IN_A_ROW, Breach, Guard, Standing, why_not_stop
from lpmkit.report.writeup import Words
from lpmkit.runs.folder import Run
from lpmkit.runs.rows import sample_line
from lpmkit.timeline import Clock, Sample, wait_until
from tests.scripted_moves import COPYING, ORDER, Managers, install, move_folder, phases, record

S = 1_000_000_000
ECHO = ProbeOrder("ssh-echo", "echo", S // 10, "p", paces={"calm": Rate(S // 2)})
CONNECT = ProbeOrder("tcp-connect", "connect", S // 4, "p", paces={"calm": Rate(5 * S)})
ALERT = ProbeOrder("ora-alert-BX5", "alert", 2 * S, "p")
STATE = ProbeOrder("ora-state-BX5", "db-state", 30 * S, "p", options={"sid": "BX5"})
ANSWER = sample_line(Sample(1, 0, 0, 1))


def forecast(rest: float = 60, *, dirty: float = 5e6, suspended: float = 1.5, converges: bool = True) -> Forecast:
    around = Quantiles(rest * 0.9, rest, rest * 1.1)
    still = Quantiles(suspended * 0.8, suspended * 0.9, suspended)
    return Forecast(
        around, around, still, 0.0, not converges, Counting.REFILLS, 1, 1e8, dirty, 1e9, 10.0, around
    )  # fmt: skip


def at(seconds: float, phase: Phase = Phase.COPYING, **more: Any) -> Standing:
    return Standing(phase, int(seconds * S), int(seconds * S), **more)


def told(guard: Guard, *standings: Standing) -> list[str]:
    return [breach.what for standing in standings for breach in guard.look(standing)]


def guard_of(limits: dict[str, Any], **more: Any) -> Guard:
    return Guard(read_limits(limits), (ECHO, CONNECT, ALERT, STATE), **more)


# --- what it tells ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bounds", "seen", "what"),
    [
        ({"remaining_s": 100}, forecast(200), "remaining"),
        ({"dirty_mb_per_s": 50}, forecast(dirty=60e6), "dirty-rate"),
        ({}, forecast(converges=False), "convergence"),
    ],
)
def test_a_forecast_beyond_its_bound_is_told_once_after_some_in_a_row(
    bounds: dict[str, float], seen: Forecast, what: str
) -> None:
    guard = guard_of({"guard": bounds})
    for number in range(IN_A_ROW - 1):
        guard.forecast(seen)
        assert told(guard, at(number)) == []
    guard.forecast(seen)
    assert told(guard, at(5), at(6)) == [what]


def test_a_forecast_that_swings_or_straddles_its_bound_is_no_breach() -> None:
    guard = guard_of({"guard": {"remaining_s": 100}})
    for _ in range(5):
        guard.forecast(forecast(200))
        guard.forecast(forecast(50))
        guard.forecast(forecast(105))
    assert told(guard, at(1)) == []


def test_a_probe_that_answered_and_is_silent_is_told_and_one_that_rests_between_its_questions_is_not() -> None:
    guard = guard_of({"guard": {"probe_silent_s": 2}})
    for second in range(10):
        guard.heard("ssh-echo", ANSWER, second * S)
        assert told(guard, at(second)) == []
    guard.heard("tcp-connect", ANSWER, 9 * S)
    assert [what for second in range(10, 31) for what in told(guard, at(second))] == [
        "probe:ssh-echo",
        "probe:tcp-connect",
    ]
    silent = guard_of({})
    silent.heard("ssh-echo", sample_line(Sample(1, 0, 0)).replace(b"answered", b"silent"), 0)
    assert [what for second in range(60) for what in told(silent, at(second))] == []


def test_a_stall_of_the_observer_is_no_silence_of_a_probe() -> None:
    guard = guard_of({"guard": {"probe_silent_s": 2}})
    guard.heard("ssh-echo", ANSWER, 0)
    assert told(guard, at(0), at(60), at(61)) == []
    assert told(guard, at(62), at(63)) == ["probe:ssh-echo"]


def log_rows(text: str, since_ns: int | None) -> bytes:
    return b"".join(
        json.dumps(as_row(one, "alert.log", 9, 9, since_ns)).encode() + b"\n" for one in read_alert_log(text)
    )


EVICTED = "Mon Nov 30 22:00:01 2026\nORA-29740: evicted by instance number 2, group incarnation 6\n"


def test_a_cluster_event_in_the_database_log_is_told_and_an_old_one_is_not() -> None:
    guard = guard_of({})
    guard.observed("ora-alert-BX5", log_rows(EVICTED, None))
    assert told(guard, at(1)) == []
    guard.observed("ora-alert-BX5", log_rows(EVICTED, 7))
    (breach,) = guard.look(at(2))
    assert "ORA-29740" in breach.text


def test_a_row_that_cannot_be_read_is_noted_and_ends_nothing() -> None:
    notes: list[str] = []
    guard = guard_of({}, not_read=notes.append)
    guard.observed("ora-alert-BX5", b'{"lines": 7, "since_ns": 1}\nno json\n7\n')
    assert len(notes) == 3
    assert told(guard, at(1)) == []


def test_the_expected_suspension_is_held_against_limit_clusters_and_fast_start_failover() -> None:
    guard = guard_of({"suspension_s": 2}, time_outs=[TimeOut("PowerHA", 20.0), TimeOut("GPFS", None)])
    guard.expect({"suspension_s": Quantiles(1, 1.5, 1.9)})
    assert told(guard, at(0, Phase.PREPARED)) == []
    state = {"facts": {"failover": [{"status": "SYNCHRONIZED", "threshold": "6"}]}}
    guard.observed("ora-state-BX5", json.dumps(state).encode())
    guard.forecast(forecast(suspended=7))
    assert told(guard, at(1)) == ["time-out:fast-start failover of BX5", "suspension"]
    guard.forecast(forecast(suspended=21))
    assert told(guard, at(2)) == ["time-out:PowerHA"]


def test_the_time_outs_of_sap_are_told_and_only_one_that_a_profile_sets_stops_the_copy() -> None:
    profile = {"instance": "D00", "values": {"rdisp/keepalive_timeout": "9"}}
    survey = {"sap": [{"system": "BX5", "profiles": [profile]}]}
    guard = guard_of({}, time_outs=time_outs_of(survey))
    guard.expect({"suspension_s": Quantiles(1, 3, 4.9)})
    assert told(guard, at(0, Phase.PREPARED)) == []
    guard.forecast(forecast(suspended=61))
    keepalive, gateway = guard.look(at(1))
    assert keepalive.text == (
        "a suspension of 61.0 s is expected (P90), the time-out of SAP BX5 (rdisp/keepalive_timeout) is 9 s"
    )
    assert gateway.text.endswith("the time-out of SAP BX5 (gw/accept_timeout) is 60 s, SAP's default")
    assert (keepalive.may_stop, gateway.may_stop) == (True, False)


def test_the_other_limits_are_held_against_multiples_of_the_suspension_and_never_stop_a_copy() -> None:
    guard = guard_of({"suspension_s": 9, "session_outage_s": 3, "job_delay_s": 3, "brown_out_s": 9})
    session, job = Quantiles(1, 2, 2.9), Quantiles(1, 3, 9)
    guard.expect({"suspension_s": Quantiles(1, 1.5, 1.9), "session_outage_s": session})
    assert told(guard, at(0, Phase.PREPARED)) == []
    effects = {"session_outage_s": Quantiles(1, 2, 3.1), "job_delay_s": job}
    guard.forecast(replace(forecast(suspended=2), effects=effects))
    (breach,) = guard.look(at(1))
    assert (breach.what, breach.may_stop) == ("session-outage", False), "no job was predicted: there is no SAP in it"
    assert breach.text == "a session outage of 3.1 s is expected (P90), the limit is 3 s"
    guard.forecast(forecast(suspended=10))
    assert [one.may_stop for one in guard.look(at(2))] == [True]


def test_the_end_of_the_window_is_told_and_before_it_that_it_will_be_missed() -> None:
    end = datetime.fromtimestamp(100, tz=UTC).isoformat()
    guard = guard_of({"window": {"end": end}})
    guard.forecast(forecast(rest=50))
    assert told(guard, at(10)) == []
    guard.forecast(forecast(rest=100))
    assert told(guard, at(20), at(99), at(101), at(102)) == ["window-missed", "window"]


def test_nothing_is_told_after_the_switch_over_began() -> None:
    guard = guard_of({"guard": {"probe_silent_s": 2}})
    guard.heard("ssh-echo", ANSWER, 0)
    assert told(guard, *(at(second, Phase.SWITCHED) for second in range(20))) == []


# --- when it may stop -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("standing", "may"),
    [
        (at(9, Phase.PREPARED), True),
        (at(9, Phase.ASKED), True),
        (at(9, read_ns=8 * S, left_bytes=5), True),
        (at(9, read_ns=8 * S, left_bytes=None), True),
        (at(9, read_ns=8 * S, left_bytes=0), False),
        (at(9, read_ns=None, left_bytes=5), False),
        (at(90, read_ns=8 * S, left_bytes=5), False),
        (at(9, Phase.SWITCHED, read_ns=8 * S), False),
        (at(9, Phase.SETTLED), False),
        (at(9, read_ns=8 * S, left_bytes=5, stop_asked=True), False),
    ],
)
def test_the_copy_is_stopped_only_while_the_switch_over_has_surely_not_begun(standing: Standing, may: bool) -> None:
    assert (why_not_stop(standing, 1.0) == "") is may


# --- in the recorder --------------------------------------------------------------------------------------------------


@pytest.fixture
def managers(monkeypatch: pytest.MonkeyPatch) -> Managers:
    managers = install(monkeypatch)
    managers.copies = True
    return managers


class Scripted(Guard):
    """A guard that finds a breach as soon as the copy runs."""

    phase = Phase.COPYING

    def look(self, standing: Standing) -> list[Breach]:
        if standing.phase is not self.phase or "made" in self._told:
            return []
        self._told.add("made")
        return [Breach("made", "a bound of this test is exceeded")]


def moving(run: Run) -> threading.Thread:
    thread = threading.Thread(target=record, args=(run,), daemon=True)
    thread.start()
    return thread


def ended(thread: threading.Thread) -> None:
    thread.join(timeout=60)
    assert not thread.is_alive()


def events(run: Run, kind: str) -> list[dict[str, Any]]:
    return [dict(event.data) for event in run.events() if event.kind == kind]


def folder(tmp_path: Path, on_breach: str, lead_in_s: float = 0.0) -> Run:
    return move_folder(tmp_path, lead_in_s, replace(ORDER, limits={"guard": {"on_breach": on_breach}}))


def test_a_breach_stops_the_copy_by_one_command_and_the_record_says_why(
    tmp_path: Path, managers: Managers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "Guard", Scripted)
    run = folder(tmp_path, "stop")
    ended(moving(run))
    assert managers.sent == ["m", "s"]
    assert phases(run)[-1] == "stopped"
    assert events(run, "guard") == [{"what": "made", "text": "a bound of this test is exceeded", "stops": True}]
    assert [one["by"] for one in events(run, "request")] == ["guard"]
    moved = analyse(run).verdict.question("moved")
    assert moved.answer == "no: p runs on a as before; the guard stopped the copy: a bound of this test is exceeded"


def test_a_breach_is_only_told_where_the_order_does_not_say_stop(
    tmp_path: Path, managers: Managers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "Guard", Scripted)
    run = folder(tmp_path, "tell")
    thread = moving(run)
    assert wait_until(lambda: bool(events(run, "guard")), clock=Clock(), timeout_s=60)
    managers.arrive()
    ended(thread)
    assert managers.sent == ["m"]
    assert phases(run)[-1] == "settled"


def test_a_breach_in_the_baseline_calls_the_move_off(
    tmp_path: Path, managers: Managers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scripted, "phase", Phase.PREPARED)
    monkeypatch.setattr(process, "Guard", Scripted)
    run = folder(tmp_path, "stop", lead_in_s=60.0)
    ended(moving(run))
    assert managers.sent == []
    assert "called the move off" in analyse(run).verdict.question("moved").answer


def test_guard_and_operators_together_send_one_stop(
    tmp_path: Path, managers: Managers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manager takes its time for the first stop; everybody asks meanwhile."""
    monkeypatch.setattr(process, "Guard", Scripted)
    run, answer_now = folder(tmp_path, "stop"), threading.Event()
    managers.before_stop = answer_now.wait
    thread = moving(run)
    assert wait_until(lambda: managers.sent == ["m", "s"], clock=Clock(), timeout_s=60)
    asked = [put(run, Clock(), "stop", by="somebody").stem for _ in range(3)]

    def answered() -> set[str]:
        return {str(one["request"]) for one in events(run, "answer") if one["what"] == "stop"}

    assert wait_until(lambda: set(asked) <= answered(), clock=Clock(), timeout_s=60)
    answer_now.set()
    ended(thread)
    assert managers.sent == ["m", "s"]
    assert answered() == {"guard", *asked}


def test_a_breach_while_the_source_does_not_say_what_is_left_stops_nothing(
    tmp_path: Path, managers: Managers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "Guard", Scripted)
    managers.when_sent = lambda: setattr(managers, "copying", replace(COPYING, bytes_remaining=0))
    run = folder(tmp_path, "stop")
    thread = moving(run)
    assert wait_until(lambda: bool(events(run, "guard")), clock=Clock(), timeout_s=60)
    managers.arrive()
    ended(thread)
    assert managers.sent == ["m"]
    assert any("the guard does not stop the copy" in str(one["text"]) for one in events(run, "note"))


def test_a_move_is_not_asked_for_after_the_end_of_its_window(tmp_path: Path, managers: Managers) -> None:
    over = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    run = move_folder(tmp_path, order=replace(ORDER, limits={"window": {"end": over}}))
    ended(moving(run))
    assert managers.sent == []
    assert "after the end of the change window" in events(run, "phase")[-1]["why"]


@pytest.mark.parametrize(
    "text",
    [
        "the copy does not converge: the partition writes as fast as it is copied",
        "the copy takes 240 s more at least; the bound is 100 s",
        "the partition writes 60 MB/s; the bound is 50 MB/s",
        "the move ends 12 s after the change window at the earliest",
        "the move goes on after the end of the change window (2026-11-30 23:00:00 +01:00)",
        "ssh-echo has had no answer for 21 s",
        "a suspension of 2.4 s is expected (P90), the limit is 2 s",
        "a suspension of 7.0 s is expected (P90), the time-out of fast-start failover of BX5 is 6 s",
    ],
)
def test_every_breach_is_german_in_a_german_write_up(text: str) -> None:
    german = Words("de").said(f"the guard stopped the copy: {text}")
    assert not re.search(r"\b(the|is|of|at|had|more|after|as)\b", german), german
