"""The real python-oracledb, and lpmkit's probes on it, against the simulated listener."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import oracledb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmkit.config import load_site
from lpmkit.oracle import state
from lpmkit.oracle.check import look_at
from lpmkit.oracle.connections import connect
from lpmkit.oracle.driver_choice import DatabaseAccess, choose_driver
from lpmkit.oracle.drivers import by_driver
from lpmkit.oracle.errors import QueryFailed, advice, outcome_of, short
from lpmkit.oracle.sqlplus import read_rows
from lpmkit.oracle.tnsping import answered, ping
from lpmkit.probes.oracle import AttemptProbe, SessionProbe
from lpmkit.probes.orders import ProbeOrder
from lpmkit.probes.watched_database import Database
from lpmkit.settings.oracle import DatabaseSettings
from lpmkit.simulator import Simulator
from lpmkit.simulator.oracle import ttc
from lpmkit.simulator.oracle.instance import OracleError
from lpmkit.ssh.client import SshSession, route
from lpmkit.timeline import Outcome, Sample
from tests.served_database import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path)
    yield one
    one.listener.close()


class Kept:
    """A sink that keeps."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.events: list[tuple[str, dict[str, Any]]] = []

    def sample(self, probe: str, sample: Sample) -> None:
        self.samples.append(sample)

    def event(self, probe: str, kind: str, /, **data: Any) -> None:
        self.events.append((kind, data))

    def observation(self, probe: str, row: Any, /) -> None: ...


def until(condition: Any, timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


# --- the driver itself ----------------------------------------------------------------------------------------------


def test_the_real_driver_logs_on_asks_changes_and_commits(served: Served) -> None:
    with served.connect() as connection, connection.cursor() as cursor:
        assert connection.version == "19.0.0.0.0"
        assert cursor.execute("select 1 from dual").fetchall() == [(1,)]
        assert cursor.execute("select 1 from dual").fetchall() == [(1,)], "a cursor that is executed again"
        programs = cursor.execute("select sid, program from v$session order by sid").fetchall()
        assert len(programs) == 25, "more rows than are fetched at once"
        cursor.execute("update lpmkit_beat set at = systimestamp")
        assert cursor.rowcount == 1
        connection.commit()
        connection.ping()
    assert len(served.instance.sessions) == 24, "the session is gone with its logoff"


def test_the_real_driver_works_with_asyncio_too(served: Served) -> None:
    async def ask() -> list[Any]:
        async with oracledb.connect_async(user="lpmkit", password="secret", dsn=f"{served.address}/BX5") as connection:
            return list(await connection.fetchall("select instance_name, version from v$instance"))

    assert asyncio.run(ask()) == [("BX5", "19.0.0.0.0")]


@pytest.mark.parametrize(
    ("switch", "said"),
    [
        ({"listener": "refuses", "refusal": 12514}, "DPY-6001"),
        ({"listener": "refuses", "refusal": 12528}, "ORA-12528|DPY-6000"),
        ({"listener": "resets"}, "DPY-4011"),
        ({"logon_error": 28000}, "ORA-28000"),
    ],
)
def test_a_listener_that_does_not_let_in_is_told_as_drivers_tell_it(
    served: Served, switch: dict[str, Any], said: str
) -> None:
    for name, value in switch.items():
        setattr(served.instance.switches, name, value)
    with pytest.raises(oracledb.Error, match=said):
        served.connect()


def test_what_is_wrong_in_a_statement_is_told_with_its_number(served: Served) -> None:
    with served.connect() as connection, connection.cursor() as cursor:
        for sql, code in (
            ("select x from dual", 904),
            ("select 1 from nowhere", 942),
            ("select 1 frm dual", 933),
            ("truncate", 900),
        ):
            with pytest.raises(oracledb.DatabaseError) as caught:
                cursor.execute(sql)
            assert caught.value.args[0].code == code
        served.instance.switches.sql_error = 257
        with pytest.raises(oracledb.DatabaseError, match="ORA-00257"):
            cursor.execute("select 1 from dual")
    with pytest.raises(oracledb.DatabaseError, match="ORA-01017"):
        served.connect("wrong")


def test_a_statement_that_hangs_is_broken_off_and_the_session_lives(served: Served) -> None:
    with served.connect() as connection, connection.cursor() as cursor:
        served.instance.switches.sql_hangs = True
        connection.call_timeout = 200
        with pytest.raises(oracledb.DatabaseError, match="DPY-4024"):
            cursor.execute("select 1 from dual")
        served.instance.switches.sql_hangs = False
        assert cursor.execute("select 2 from dual").fetchall() == [(2,)]


def test_a_killed_session_and_a_restart_end_sessions(served: Served) -> None:
    deeds: list[tuple[Callable[[], object], str]] = [
        (lambda: served.instance.kill("LPMKIT"), "ORA-00028"),
        (lambda: served.instance.restart(0.0), r"DPY-4011|ORA-03113"),
    ]
    for deed, said in deeds:
        connection = served.connect()
        cursor = connection.cursor()
        deed()
        with pytest.raises(oracledb.DatabaseError, match=said):
            cursor.execute("select 1 from dual")


def test_a_release_before_12_1_is_refused_by_the_thin_driver_and_the_advice_says_what_to_do(tmp_path: Path) -> None:
    old = Served(tmp_path, "10.2.0.2.0")
    with pytest.raises(QueryFailed) as caught:
        connect(old.way, "secret", None, 5.0)
    assert "DPY-3010" in caught.value.what
    assert caught.value.next_step is not None
    assert "way: sqlplus" in caught.value.next_step
    old.listener.close()


# --- lpmkit on it ---------------------------------------------------------------------------------------------------


def test_what_a_database_says_of_itself_is_gathered_and_gaps_are_named(served: Served) -> None:
    asked = connect(served.way, "secret", None, 5.0)
    beat = state.beat_of(asked.rows(state.BEAT))
    found = state.gather(asked, 5.0)
    served.instance.switches.hidden = frozenset({"v$osstat"})
    again = state.gather(asked, 5.0)
    asked.close()
    assert beat["instance"] == "BX5"
    assert found["gaps"] == {}
    assert len(found["facts"]["sessions"]) == 15
    assert again["gaps"] == {"machine": "ORA-00942: table or view does not exist"}


def test_a_9i_database_has_neither_histograms_nor_statistics_of_its_machine(tmp_path: Path) -> None:
    old = Served(tmp_path, "9.2.0.8.0")
    session = old.instance.log_on("LPMKIT", "test", "here")
    for fact in state.FACTS:
        if fact.since <= old.instance.release:
            old.listener.views.ask(fact.sql, session)
        else:
            with pytest.raises(OracleError, match=r"ORA-00(?:942|904)"):
                old.listener.views.ask(fact.sql, session)
    assert {fact.name for fact in state.FACTS if fact.since > old.instance.release} == {
        "container",
        "pluggable",
        "unique_name",
        "service",
        "services",
        "failover",
        "histogram",
        "machine",
        "standby_apply",
        "standby_gap",
        "standby_heard",
        "standby_lag",
    }
    old.listener.close()


def test_a_thousand_beats_and_logons_and_hangs_leak_nothing(served: Served) -> None:
    def things() -> tuple[int, int]:
        return sum(1 for _ in Path("/proc/self/fd").iterdir()), threading.active_count()

    asked = connect(served.way, "secret", None, 5.0)
    before = things()
    for _ in range(1000):
        asked.rows("select 1 from dual")
    for _ in range(200):
        connect(served.way, "secret", None, 5.0).close()
    served.instance.switches.listener = "hangs"
    for _ in range(20):
        with pytest.raises(QueryFailed, match="aborted"):
            connect(served.way, "secret", None, 0.02).close()
    served.instance.switches.listener = "answers"
    until(lambda: things() <= before)
    asked.close()


def test_a_session_survives_a_freeze_and_the_outage_is_measured(tmp_path: Path) -> None:
    with Simulator("p7pair", directory=tmp_path) as simulator:
        (host,) = simulator.hosts.values()
        way = DatabaseAccess("P7D", "thin", "P7D", f"{simulator.listener_of('p7aix01')}", "LPMKIT")
        order = ProbeOrder("ora-sql-P7D", "sql", 100_000_000)
        probe = SessionProbe(
            order, Database(way, simulator.sap_password, SshSession(route("p7aix01", simulator.ssh_config)), 60.0)
        )
        kept, stop = Kept(), threading.Event()
        runner = threading.Thread(target=probe.run, args=(stop, kept))
        runner.start()
        until(lambda: len(kept.samples) >= 5)
        stopped = host.suspend()
        time.sleep(1.0)  # how long it stands still
        resumed = host.resume()
        count = len(kept.samples)
        until(lambda: len(kept.samples) >= count + 15)
        stop.set()
        runner.join(10)
    assert [kind for kind, _ in kept.events] == ["db-session"], "one session, never a second"
    assert all(sample.outcome is Outcome.ANSWERED for sample in kept.samples if "not asked" not in sample.detail)
    # one was asked before or just as everything stopped, and answered after everything went on: no load on this machine
    # changes that
    waited = [
        sample.answered_ns - sample.sent_ns
        for sample in kept.samples
        if sample.sent_ns is not None
        and sample.answered_ns is not None
        and sample.sent_ns <= resumed.after.mono_ns
        and sample.answered_ns >= resumed.before.mono_ns
    ]
    assert max(waited) >= resumed.before.mono_ns - stopped.after.mono_ns - order.interval_ns
    due = sorted(sample.due_ns for sample in kept.samples if sample.due_ns is not None)
    assert {b - a for a, b in pairwise(due)} == {order.interval_ns}, "every tick owes a sample"


def test_fresh_logons_tell_each_hang_as_a_hang_within_its_limit(served: Served) -> None:
    probe = AttemptProbe(
        ProbeOrder("ora-logon-BX5", "logon", 50_000_000), lambda: connect(served.way, "secret", None, 0.2).close(), 0.2
    )
    kept, stop = Kept(), threading.Event()
    runner = threading.Thread(target=probe.run, args=(stop, kept))
    runner.start()
    until(lambda: sum(one.outcome is Outcome.ANSWERED for one in kept.samples) >= 3)
    served.instance.switches.listener = "hangs"
    until(lambda: sum("no logon within 0.2 s; aborted" in one.detail for one in kept.samples) >= 4)
    served.instance.switches.listener = "answers"
    seen = len(kept.samples)
    until(lambda: any(one.outcome is Outcome.ANSWERED for one in kept.samples[seen:]))
    stop.set()
    runner.join(10)
    hung = [one for one in kept.samples if one.outcome is Outcome.SILENT]
    assert all(
        "no logon within 0.2 s; aborted" in one.detail or "not tried" in one.detail or "probe ended" in one.detail
        for one in hung
    )
    assert {kind for kind, _ in kept.events} == {"probe-trouble"}


@pytest.mark.parametrize(("limit_s", "outcomes"), [(60.0, []), (0.0, [Outcome.SILENT])])
def test_an_attempt_that_its_probe_cuts_off_before_its_limit_is_no_failure(
    limit_s: float, outcomes: list[Outcome]
) -> None:
    begun, hang = threading.Event(), threading.Event()

    def attempt() -> None:
        begun.set()
        hang.wait(60)

    kept, stop = Kept(), threading.Event()
    probe = AttemptProbe(ProbeOrder("ora-logon-BX5", "logon", 60 * 10**9), attempt, limit_s)
    runner = threading.Thread(target=probe.run, args=(stop, kept))
    runner.start()
    assert begun.wait(60)
    stop.set()
    runner.join(60)
    hang.set()
    assert [one.outcome for one in kept.samples] == outcomes


def test_a_listener_is_pinged_without_any_user(served: Served) -> None:
    ping(served.address, 2.0)
    served.instance.switches.listener = "hangs"
    with pytest.raises(QueryFailed, match="no answer within") as caught:
        ping(served.address, 0.1)
    assert caught.value.outcome is Outcome.SILENT
    served.listener.close()
    with pytest.raises(QueryFailed, match="nothing listens") as caught:
        ping(served.address, 1.0)
    assert caught.value.outcome is Outcome.REFUSED


def test_sqlplus_on_the_host_gives_the_same_answers(tmp_path: Path) -> None:
    with Simulator("js22", directory=tmp_path) as simulator:
        host = SshSession(route("bxaix85", simulator.ssh_config))
        way = DatabaseAccess("BX5", "sqlplus", sqlplus=("env", "ORACLE_SID=BX5", "sqlplus"))
        asked = connect(way, None, host, 10.0)
        found = state.gather(asked, 10.0, (10, 2, 0, 2))
        asked.change("update lpmkit_beat set at = systimestamp")
        with pytest.raises(QueryFailed, match="ORA-00942"):
            asked.rows("select 1 from nowhere")
        assert state.beat_of(asked.rows(state.BEAT))["version"] == "10.2.0.2.0"
        asked.close()
        with pytest.raises(QueryFailed, match="ORA-01017") as caught:
            connect(DatabaseAccess("BX5", "sqlplus", user="SCOTT"), 'ti"ger', host, 10.0)
        assert caught.value.next_step is not None
        with pytest.raises(QueryFailed, match="sqlplus ended by itself") as caught:
            connect(DatabaseAccess("BX5", "sqlplus", sqlplus=("/oracle/nowhere/squealplus",)), None, host, 10.0)
        host.close()
    assert found["gaps"] == {}
    assert len(found["facts"]["sessions"]) == 15


class ScriptedSqlPlus:
    """A host whose ``sqlplus`` runs profile scripts at its start and behind each connect, and a channel to it."""

    def __init__(self, *, at_start: str = "", at_logon: str = "", refuses: str = "", asks_anew: bool = False) -> None:
        self.at_start, self.at_logon, self.refuses, self.asks_anew = at_start, at_logon, refuses, asks_anew
        self.here, self.there = socket.socketpair()
        self.passwords: list[str] = []

    def stream(self, arguments: list[str]) -> socket.socket:
        threading.Thread(target=self._obey, daemon=True).start()
        return self.here

    def _obey(self) -> None:
        heading, logged_on, timing = True, False, False
        lines = iter(self.there.makefile("r", encoding="utf-8"))
        self._say(self.at_start)
        for line in lines:
            if line.startswith("set pagesize 0"):
                heading = False
            elif line.startswith("set timing off"):
                timing = False
            elif line.startswith("connect"):
                logged_on = not self.refuses
                self._say(self.refuses or self.at_logon)
                heading = timing = True
                if self.asks_anew:
                    self.passwords = [next(lines), next(lines)]
            elif line.startswith("select"):
                head = "\n'LPMKIT\n-------\n" if heading else ""
                value = line.split("'")[1] if "'" in line else "0"
                elapsed = "\nElapsed: 00:00:00.01\n" if timing else ""
                self._say(f"{head}{value}\n{elapsed}" if logged_on else "SP2-0640: Not connected\n")
            elif line.startswith("prompt"):
                self._say(line[7:])

    def _say(self, text: str) -> None:
        with suppress(OSError):
            self.there.sendall(text.encode())


@pytest.mark.parametrize(
    ("at_start", "at_logon"),
    [
        ("", ""),
        ("SP2-0640: Not connected\n", "Session altered.\n"),
        ("", "ERROR:\nORA-28002: the password will expire within 5 days\n\n\n"),
        ("", "select name from v$database\n *\nERROR at line 1:\nORA-00942: table or view does not exist\n"),
    ],
    ids=["none", "a script without a session", "a notice", "a script without a grant"],
)
def test_profile_scripts_of_the_host_are_no_answer_to_a_logon(at_start: str, at_logon: str) -> None:
    host: Any = ScriptedSqlPlus(at_start=at_start, at_logon=at_logon)
    asked = connect(DatabaseAccess("BX5", "sqlplus"), None, host, 10.0)
    assert asked.rows("select '7' from dual") == [("7",)]
    asked.close()


@pytest.mark.parametrize("asks_anew", [False, True])
def test_a_refusal_is_one_whatever_a_script_printed_before_it(asks_anew: bool) -> None:
    said = "ERROR:\nORA-28001: the password has expired\n" + "Changing password for LPMKIT\nNew password: " * asks_anew
    host: Any = ScriptedSqlPlus(at_start="SP2-0640: Not connected\n", refuses=said, asks_anew=asks_anew)
    with pytest.raises(QueryFailed, match="ORA-28001") as caught:
        connect(DatabaseAccess("BX5", "sqlplus", user="LPMKIT"), "secret", host, 10.0)
    assert caught.value.refused
    assert len(set(host.passwords)) == len(host.passwords), "the same line twice would become the new password"


# --- which way, and what to do when it is barred --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "has", "way"),
    [
        ({"version": "19.0.0.0.0", "listener": "db:1521", "user": "LPMKIT"}, {"oracledb"}, "thin"),
        ({"version": "12.1.0.2.0", "listener": "db:1521", "user": "LPMKIT"}, {"oracledb"}, "thin"),
        ({"version": "12.1.0.2.0", "listener": "db:1521"}, {"oracledb"}, "sqlplus"),
        (
            {"version": "11.2.0.4.0", "listener": "db:1521", "user": "LPMKIT", "client": "/opt/client"},
            {"oracledb"},
            "thick",
        ),
        ({"version": "11.2.0.4.0", "listener": "db:1521", "user": "LPMKIT"}, {"oracledb"}, "sqlplus"),
        (
            {"version": "10.2.0.2.0", "listener": "db:1521", "user": "LPMKIT", "client": "/opt/client"},
            {"oracledb", "cx_Oracle"},
            "cx_oracle",
        ),
        (
            {"version": "10.2.0.2.0", "listener": "db:1521", "user": "LPMKIT", "client": "/opt/client"},
            {"oracledb"},
            "sqlplus",
        ),
        ({"version": "10.2.0.2.0"}, set(), "sqlplus"),
        ({"way": "none"}, set(), "none"),
    ],
)
def test_the_way_follows_from_the_release_and_from_what_is_here(
    settings: dict[str, Any], has: set[str], way: str
) -> None:
    assert choose_driver(DatabaseSettings(partition="bxaix85", **settings), has.__contains__).way == way


def test_every_drivers_absence_is_told_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    for way, module in (("thin", "oracledb"), ("thick", "oracledb"), ("cx_oracle", "cx_Oracle")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(QueryFailed, match=f"{module} is not installed: pip install") as caught:
            by_driver(DatabaseAccess("BX5", way, "BX5", "127.0.0.1:9", "LPMKIT"), "secret", 1.0)
        assert "way: sqlplus" in caught.value.what
    chosen = choose_driver(
        DatabaseSettings(partition="b", version="10.2", way="cx_oracle", listener="db:1521", user="U"), lambda _: False
    )
    assert chosen.trouble is not None
    assert "setuptools below 81" in chosen.trouble


def test_a_client_that_is_missing_becomes_advice_in_thick_mode(served: Served) -> None:
    with pytest.raises(QueryFailed, match="DPI-1047") as caught:
        connect(DatabaseAccess("BX5", "thick", "BX5", served.address, "LPMKIT"), "secret", None, 30.0)
    assert caught.value.next_step is not None
    assert "No Oracle Client library was found here" in caught.value.next_step


def test_cx_oracle_builds_imports_and_its_missing_client_becomes_advice(tmp_path: Path) -> None:
    folder, constraint = tmp_path / "site", tmp_path / "constraint.txt"
    constraint.write_text("setuptools<81\n", encoding="ascii")
    build = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-cache-dir",
        "--target",
        str(folder),
    ]
    environment = {**os.environ, "PIP_CONSTRAINT": str(constraint), "CFLAGS": "-O0 -g0", "PIP_NO_COMPILE": "1"}
    built = subprocess.run([*build, "cx_Oracle>=8.3,<9"], check=False, env=environment, capture_output=True, text=True)
    if "Could not find a version" in built.stderr:
        pytest.skip("no package index can be reached from here")
    assert built.returncode == 0, built.stderr
    program = (
        "from lpmkit.oracle.driver_choice import DatabaseAccess\nfrom lpmkit.oracle.drivers import by_driver\n"
        "from lpmkit.oracle.errors import QueryFailed\n"
        "try:\n    by_driver(DatabaseAccess('BX5', 'cx_oracle', 'BX5', '127.0.0.1:9', 'U'), 'x', 30.0)\n"
        "except QueryFailed as error:\n    print(error.what)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    text = ran.stdout.decode()
    assert text.startswith("DPI-1047"), text + ran.stderr.decode()
    assert "No Oracle Client library was found here" in (advice(text) or "")


# --- what comes over a wire may be anything -------------------------------------------------------------------------


@given(st.binary(max_size=400))
def test_whatever_a_client_sends_is_read_or_refused(data: bytes) -> None:
    try:
        ttc.read_call(data)
    except ttc.Malformed:
        pass


@given(st.text(max_size=200))
def test_any_error_text_has_an_outcome_and_fits_one_line(text: str) -> None:
    outcome, dead = outcome_of(text)
    assert outcome in (Outcome.LOST, Outcome.REFUSED, Outcome.SILENT)
    assert dead == (outcome is Outcome.LOST)
    assert "\n" not in short(text)


@given(st.binary(max_size=60))
def test_any_packet_is_an_answer_or_none(packet: bytes) -> None:
    assert answered(packet) in (True, False)


@given(st.lists(st.tuples(*[st.one_of(st.none(), st.text(max_size=8))] * len(state.BEAT_COLUMNS)), max_size=2))
def test_a_beat_is_one_whole_row_or_an_error(rows: list[Any]) -> None:
    try:
        assert len(state.identity(state.beat_of(rows))) == 6
    except ValueError:
        assert len(rows) != 1


def test_garbage_at_the_listener_ends_that_connection_only(served: Served) -> None:
    for garbage in (b"GET / HTTP/1.0\r\n\r\n", bytes(64), struct.pack(">HHBBH", 8, 0, 6, 0, 0), b"\xff" * 3000):
        with socket.create_connection(("127.0.0.1", served.listener.port), timeout=2) as wire:
            wire.sendall(garbage)
            with suppress(OSError):  # it may have been hung up on already
                wire.shutdown(socket.SHUT_WR)
                wire.recv(100)
    ping(served.address, 2.0)


# --- recordings -----------------------------------------------------------------------------------------------------

FIXTURES = Path(__file__).parent.parent / "fixtures"


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("sqlplus-*/*/*.json")), ids=lambda path: path.stem)
def test_what_sqlplus_prints_is_read_as_recorded(path: Path) -> None:
    lines = path.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    assert [list(row) for row in read_rows(lines)] == json.loads(path.read_text(encoding="utf-8"))["expected"]


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("oracledb-*/errors/*.json")), ids=lambda path: path.stem)
def test_what_drivers_say_is_understood_as_recorded(path: Path) -> None:
    text = path.with_suffix(".txt").read_text(encoding="utf-8")
    expected = json.loads(path.read_text(encoding="utf-8"))["expected"]
    outcome, dead = outcome_of(text)
    assert {"outcome": outcome.value, "dead": dead, "short": short(text), "advice": advice(text)} == expected


@given(st.lists(st.text(max_size=40), max_size=6))
def test_any_lines_of_sqlplus_are_rows_of_texts(lines: list[str]) -> None:
    assert all(cell is None or cell.strip() == cell for row in read_rows(lines) for cell in row)


# --- the doctor -----------------------------------------------------------------------------------------------------


def test_the_doctor_says_which_way_a_site_will_use_why_and_whether_it_works(tmp_path: Path) -> None:
    with Simulator("p7pair", directory=tmp_path) as simulator:
        (sid, settings), *_ = load_site(simulator.site_file).databases.items()
        host = SshSession(route("p7aix01", simulator.ssh_config))
        good = look_at(sid, settings, simulator.sap_password, host)
        wrong = look_at(sid, settings, "wrong", host)
        named = settings.model_copy(update={"commit_table": "NOT_THERE"})
        absent = look_at(sid, named, simulator.sap_password, host)[-1]
        simulator.hosts["p7aix01"].tell_oracle("listener-resets")
        until(lambda: look_at(sid, settings, simulator.sap_password, host)[1].works is False)
        by_sqlplus = look_at(sid, settings.model_copy(update={"way": "sqlplus", "user": None}), None, host)
        host.close()
    assert [(one.what, one.works) for one in good] == [
        (f"driver of database {sid}", True),
        (f"listener of {sid}", True),
        (f"logon to {sid}", True),
    ]
    assert (absent.what, absent.works) == (f"commit table NOT_THERE of {sid}", False)
    assert "commit_table" in absent.next_step
    assert good[0].found == "thin: release 19.0.0.0.0: python-oracledb needs no client from 12.1 on"
    assert "release 19.0.0.0.0, OPEN" in good[2].found
    assert wrong[2].works is False
    assert "password:" in wrong[2].next_step
    assert by_sqlplus[-1].works is True, "it needs no listener"


def test_what_changed_in_cluster_standby_and_asm_is_told() -> None:
    before = {"facts": {"cluster": [{"inst_id": "1", "status": "OPEN"}, {"inst_id": "2", "status": "OPEN"}],
                        "asm": [{"name": "DATA", "state": "MOUNTED", "offline_disks": "0"}],
                        "standby": [{"dest_id": "2", "status": "VALID", "error": None}]}}  # fmt: skip
    after = {"facts": {"cluster": [{"inst_id": "1", "status": "OPEN"}],
                       "asm": [{"name": "DATA", "state": "MOUNTED", "offline_disks": "2"}],
                       "standby": [{"dest_id": "2", "status": "ERROR", "error": "ORA-03135"}]}}  # fmt: skip
    assert state.state_changes(before, after) == [
        ("standby 2 status", "VALID", "ERROR"), ("standby 2 error", "—", "ORA-03135"),
        ("cluster 2 status", "OPEN", "—"), ("asm DATA offline_disks", "0", "2"),
    ]  # fmt: skip
