"""Answers about a database from a run that is made of plain values: what nobody saw never passes."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lpmkit.analysis.looks import as_far_as_seen, in_words, unseen
from lpmkit.analysis.model import Interval
from lpmkit.analysis.oracle import databases
from lpmkit.analysis.verdict import _application
from lpmkit.rules.question import AnswerState, Question
from lpmkit.timeline import Event

S = 1_000_000_000
PASSED, FAILED, OPEN = AnswerState.PASSED, AnswerState.FAILED, AnswerState.NOT_EVALUATED
#: The move began at second 60, the partition was suspended from 100 to 101, the window ends at 220.
BEGIN, RESUME, END = 60, 101, 220
KINDS = {"sql": "ora-sql-BX5", "logon": "ora-logon-BX5", "db-state": "ora-state-BX5", "alert": "ora-alert-BX5"}
EVERY = {"sql": 0.5, "logon": 5.0, "db-state": 20.0, "alert": 2.0}


def beat(
    place: tuple[str, str] = ("BX5", "bxaix85"), start: str = "20260301060000", serial: str = "7"
) -> dict[str, str]:
    return {
        "sid": "12", "serial": serial, "logon_time": "20260301100000", "startup_time": start, "instance": place[0],
        "host_name": place[1], "version": "19.0.0.0.0", "status": "OPEN", "server_time": "2026-03-01T10:00:00+00:00",
    }  # fmt: skip


def state_at(at: float, facts: dict[str, Any] | None = None, own: dict[str, str] | None = None) -> dict[str, Any]:
    sessions = [
        {
            "sid": "30",
            "serial": "1",
            "username": "SAPR3",
            "program": "disp+work",
            "machine": "bxaix85",
            "logon_time": "20260228000000",
        }
    ]
    return {
        "mono_ns": int(at * S), "own": own or beat(), "own_sent_ns": int(at * S), "own_answered_ns": int(at * S) + 1,
        "facts": {"sessions": sessions, **(facts or {})}, "gaps": {},
    }  # fmt: skip


class World:
    """A run in which everything went well; tests take something away from it."""

    def __init__(self) -> None:
        self.until = dict.fromkeys(KINDS, float(END))
        self.answers = dict.fromkeys(KINDS, True)
        self.states = [state_at(at) for at in range(2, END, 20)]
        self.rows: list[dict[str, Any]] = []
        self.events = [self.event(1, "alert-log", "alert", path="/alert_BX5.log", hostname="bxaix85.example.net")]
        self.sessions = [(1.0, beat())]
        self.limits: dict[str, int] = {}
        self.way: dict[str, str] = {"way": "thin"}

    @staticmethod
    def event(at: float, kind: str, probe: str, **data: Any) -> Event:
        return Event(int(at * S), 0, 1, f"probe:{KINDS[probe]}", kind, {"probe": KINDS[probe], **data})

    def refuse(
        self, text: str = "1 logon was refused and none follows: BX5: ORA-01017: invalid username/password"
    ) -> None:
        for kind in ("sql", "logon", "db-state"):
            self.until[kind] = 0.0
            self.events.append(self.event(1, "probe-trouble", kind, what=text, refused={"LPMKIT": "ORA-01017"}))
        self.states, self.sessions = [], []

    def questions(self) -> dict[str, Question]:
        readings = [
            {"mono_ns": int(at * S), "read": ["/alert_BX5.log"]} for at in range(2, int(self.until["alert"]), 10)
        ]
        observations = {
            KINDS["db-state"]: [row for row in self.states if row["mono_ns"] <= self.until["db-state"] * S],
            KINDS["alert"]: [*self.rows, *readings],
        }
        run = SimpleNamespace(
            manifest={"probes": [
                {"name": name, "kind": kind, "group": "oracle", "host": "bxaix85", "interval_ns": int(EVERY[kind] * S),
                 "options": {"sid": "BX5", "way": self.way, "limits": self.limits}}
                for kind, name in KINDS.items()
            ]},
            observations=lambda name: observations.get(name, []),
        )  # fmt: skip
        sources, traces = [], []
        for kind in ("sql", "logon"):
            sent = np.arange(1, self.until[kind], EVERY[kind]) * S
            sent = sent[(sent < 100 * S) | (sent > RESUME * S)].astype(np.int64)
            spoke = np.full(len(sent), self.answers[kind])
            signals = SimpleNamespace(sent=sent, spoke=spoke)
            sources.append(
                SimpleNamespace(
                    probe=KINDS[kind], span=Interval(0, END * S), between=lambda _, signals=signals: signals
                )
            )
            traces.append(SimpleNamespace(probe=KINDS[kind], alive_lo=sent[spoke]))
        still = SimpleNamespace(
            outer=Interval(100 * S, RESUME * S),
            begin=Interval(100 * S, 100 * S),
            end=Interval(RESUME * S, RESUME * S),
            length=Interval(S, S),
        )
        host = SimpleNamespace(traces=tuple(traces), suspension=still, suspensions=(still,), outages=())
        events = [*self.events, *(self.event(at, "db-session", "sql", **data) for at, data in self.sessions)]
        record = SimpleNamespace(
            sources={("bxaix85", 1): tuple(sources)}, events=tuple(events), shifts={},
            span=Interval(0, END * S), window=Interval(BEGIN * S, END * S),
        )  # fmt: skip
        # as much of a run as is read
        (database,) = databases(run, record, [host], "move")  # type: ignore[arg-type,list-item]
        self.notes = database.notes
        return {question.key.split("-")[1]: question for question in database.questions}


def states_of(world: World) -> dict[str, AnswerState]:
    return {key: question.state for key, question in world.questions().items()}


def test_a_run_in_which_all_went_well_passes() -> None:
    assert {state for key, state in states_of(World()).items() if key != "commit"} == {PASSED}


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("until", [0.0, 30.0, 90.0, 120.0])
def test_a_probe_that_died_or_never_began_makes_no_answer_better(kind: str, until: float) -> None:
    whole, world = states_of(World()), World()
    world.until[kind] = until
    if kind == "sql" and until == 0.0:
        world.sessions = []
    cut = world.questions()
    order = [FAILED, OPEN, PASSED]
    assert all(order.index(cut[key].state) <= order.index(whole[key]) for key in cut)
    about = {"sql": "session", "logon": "logon", "db-state": "population", "alert": "alert"}[kind]
    assert cut[about].state is OPEN, cut[about].details
    assert any(
        word in cut[about].details
        for word in ("not observed", "not tried", "not known", "no session", "no logon", "no new logon")
    )


def test_fourteen_refused_logons_do_not_pass() -> None:
    world = World()
    world.answers["logon"] = False
    world.events.append(world.event(5, "probe-trouble", "logon", what="BX5: ORA-12528: all handlers are blocking"))
    logon = world.questions()["logon"]
    assert logon.state is OPEN
    assert "none of" in logon.details
    assert "ORA-12528" in logon.details


def test_a_refused_account_leaves_every_question_open_with_the_reason() -> None:
    world = World()
    world.refuse()
    found = world.questions()
    assert {found[key].state for key in ("restart", "session", "population", "logon")} == {OPEN}
    assert all("ORA-01017" in found[key].details for key in ("restart", "session", "logon"))


def test_a_service_of_two_instances_is_no_restart_and_no_pass() -> None:
    world = World()
    world.states[5:] = [state_at(at, own=beat(("BX52", "bxaix86"), "20260301050000")) for at in range(102, END, 20)]
    found = world.questions()
    assert found["restart"].state is OPEN
    assert "leads to several instances (BX5 on bxaix85, BX52 on bxaix86)" in found["restart"].details
    assert found["session"].state is OPEN


def test_a_real_restart_fails_wherever_the_service_leads() -> None:
    world = World()
    world.states[5:] = [state_at(at, own=beat(start="20260301100130")) for at in range(102, END, 20)]
    assert world.questions()["restart"].state is FAILED


def test_sessions_on_another_host_say_nothing_of_this_one() -> None:
    world = World()
    world.sessions = [(1.0, beat(("BX52", "bxaix86")))]
    world.states = [state_at(at, own=beat(("BX52", "bxaix86"))) for at in range(2, END, 20)]
    found = world.questions()
    assert found["restart"].state is OPEN
    assert "calls itself bxaix85.example.net" in found["restart"].details


def test_the_view_of_one_container_is_said_to_be_partial() -> None:
    world = World()
    world.events = [world.event(1, "alert-log", "alert", path="V$DIAG_ALERT_EXT", hostname=None)]
    world.states = [state_at(at, {"container": [{"con_name": "PDB1", "cdb": "YES"}]}) for at in range(2, END, 20)]
    alert = world.questions()["alert"]
    assert alert.state is OPEN
    assert "shows container PDB1 only" in alert.details
    world.states = [state_at(at, {"container": [{"con_name": "BX5", "cdb": "NO"}]}) for at in range(2, END, 20)]
    assert world.questions()["alert"].state is PASSED


DATABASE = {"database_role": "PRIMARY", "open_mode": "READ WRITE", "protection_mode": "MAXIMUM AVAILABILITY",
            "protection_level": "MAXIMUM AVAILABILITY"}  # fmt: skip
INSTANCE = {"status": "OPEN", "logins": "ALLOWED", "archiver": "STARTED", "active_state": "NORMAL",
            "shutdown_pending": "NO"}  # fmt: skip
PDB1 = {"name": "PDB1", "open_mode": "READ WRITE", "restricted": "NO", "open_time": "20260110040000"}
SERVES = {"database": [DATABASE],
          "failover": [{"status": "SYNCHRONIZED", "threshold": "30", "observer": "YES"}],
          "standby": [{"dest_id": "2", "status": "VALID", "target": "STANDBY", "error": ""}],
          "instance": [INSTANCE],
          "pluggable": [PDB1]}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"database": [{**DATABASE, "database_role": "PHYSICAL STANDBY"}]}, "is PHYSICAL STANDBY, PRIMARY before"),
        ({"database": [{"database_role": "PRIMARY", "open_mode": "MOUNTED"}]},
         "open_mode is MOUNTED, READ WRITE before"),
        ({"instance": [{"status": "OPEN", "logins": "RESTRICTED", "archiver": "STARTED"}]}, "logins is RESTRICTED"),
        ({"instance": [{"status": "OPEN", "logins": "ALLOWED", "archiver": "FAILED"}]}, "archiver is FAILED"),
        ({"instance": [{**INSTANCE, "active_state": "QUIESCED"}]}, "active_state is QUIESCED, NORMAL before"),
        ({"instance": [{**INSTANCE, "shutdown_pending": "YES"}]}, "shutdown_pending is YES, NO before"),
        ({"pluggable": [{"name": "PDB1", "open_mode": "MOUNTED"}]}, "pluggable database PDB1 is MOUNTED"),
        ({"pluggable": []}, "pluggable database PDB1 is gone"),
        ({"pluggable": [{**PDB1, "restricted": "YES"}]}, "PDB1 is open to restricted sessions only"),
        ({"pluggable": [{**PDB1, "open_time": "20260301100103"}]}, "PDB1 was opened again"),
        ({"database": [{**DATABASE, "protection_level": "RESYNCHRONIZATION"}]},
         "protection_level is RESYNCHRONIZATION"),
        ({"database": [{**DATABASE, "protection_mode": "MAXIMUM PERFORMANCE"}]},
         "protection_mode is MAXIMUM PERFORMANCE"),
        ({"database": [{**DATABASE, "protection_level": "MAXIMUM PROTECTION"}]}, ""),
        ({"failover": [{"status": "UNSYNCHRONIZED", "threshold": "30", "observer": "YES"}]},
         "failover status is UNSYNC"),
        ({"failover": [{"status": "SYNCHRONIZED", "threshold": "30", "observer": "NO"}]}, "failover observer is NO"),
        ({"standby": []}, "standby destination 2 is gone"),
        ({}, ""),
    ],
)  # fmt: skip
def test_a_database_that_serves_less_than_before_fails_whatever_its_log_says(change: dict[str, Any], says: str) -> None:
    world = World()
    world.states = [state_at(at, SERVES if at < 100 else {**SERVES, **change}) for at in range(2, END, 20)]
    around = world.questions().get("around")
    assert (around is not None and around.state is FAILED) is bool(says)
    assert around is None or says in around.answer


def test_a_service_that_left_the_instance_is_a_loss() -> None:
    world, services = World(), [{"name": "ERP_OLTP"}, {"name": "BX5"}]
    world.states = [state_at(at, {"services": services if at < 150 else services[1:]}) for at in range(2, END, 20)]
    around = world.questions()["around"]
    assert (around.state, around.details) == (FAILED, "service ERP_OLTP is no longer active here")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"standby": [{"dest_id": "2", "status": "ERROR", "target": "STANDBY", "error": "ORA-03135"}]}, "destination 2"),
        ({"pluggable": [{"name": "PDB1", "open_mode": "MOUNTED"}]}, "pluggable database PDB1 is MOUNTED"),
        ({}, ""),
    ],
)  # fmt: skip
def test_what_was_worse_for_a_while_is_a_warning(change: dict[str, Any], says: str) -> None:
    world = World()
    world.states = [state_at(at, {**SERVES, **(change if 105 < at < 150 else {})}) for at in range(2, END, 20)]
    around = world.questions()["around"]
    assert (around.state, around.warns) == (PASSED, bool(says))
    assert says in around.details


HEARD = [{"name": "apply lag", "datum_time": "03/01/2026 10:00:00"}]


@pytest.mark.parametrize(
    ("fact", "before", "after", "says"),
    [
        ("standby_gap", [{"dest_id": "2", "gap_status": "NO GAP"}],
         [{"dest_id": "2", "gap_status": "RESOLVABLE GAP"}], "redo is missing at standby destination 2: RESOLVABLE"),
        ("standby_gap", [{"dest_id": "2", "gap_status": "RESOLVABLE GAP"}],
         [{"dest_id": "2", "gap_status": "RESOLVABLE GAP"}], ""),
        ("standby_apply", [{"dest_id": "2", "recovery_mode": "MANAGED REAL TIME APPLY"}],
         [{"dest_id": "2", "recovery_mode": "IDLE"}], "standby destination 2 applies no redo: IDLE"),
        ("standby_lag", [{"name": "apply lag", "value": "+00 00:00:02"}],
         [{"name": "apply lag", "value": "+00 00:03:31"}], "the standby is 211 s behind, 2 s before"),
        ("standby_lag", [{"name": "apply lag", "value": "+00 01:00:00"}],
         [{"name": "apply lag", "value": "+00 01:00:12"}], ""),
        ("standby_heard", HEARD, HEARD, "heard of its primary 260 s before the last look"),
        ("standby_heard", HEARD, [{**HEARD[0], "datum_time": "03/01/2026 10:04:10"}], ""),
    ],
)  # fmt: skip
def test_a_standby_that_does_not_catch_up_is_a_warning(
    fact: str, before: list[dict[str, str]], after: list[dict[str, str]], says: str
) -> None:
    world, late = World(), {**beat(), "server_time": "2026-03-01T10:04:20+00:00"}
    world.states = [
        state_at(at, {**SERVES, fact: before}) if at < 100 else state_at(at, {**SERVES, fact: after}, late)
        for at in range(2, END, 20)
    ]
    around = world.questions()["around"]
    assert (around.state, around.warns) == (PASSED, bool(says)), around.details
    assert says in around.details


@pytest.mark.parametrize("fact", list(SERVES))
def test_what_was_answered_before_the_move_only_does_not_pass(fact: str) -> None:
    world = World()
    less = {name: rows for name, rows in SERVES.items() if name != fact}
    world.states = [state_at(at, SERVES if at < 100 else less) for at in range(2, END, 20)]
    around = world.questions()["around"]
    assert (around.state, fact in around.details) == (OPEN, True)


@pytest.mark.parametrize(("first", "last"), [(2, 90), (110, END)], ids=["before only", "after only"])
def test_a_state_that_only_one_side_of_the_move_knows_does_not_pass(first: int, last: int) -> None:
    world = World()
    world.states = [state_at(at, SERVES) for at in range(first, last, 20)]
    found = world.questions()
    assert {(found[key].state, found[key].counts) for key in ("around", "population")} == {(OPEN, True)}


@pytest.mark.parametrize(
    ("instance", "way", "facts", "state"),
    [
        ("QX5", {"way": "sqlplus"}, {}, OPEN),
        ("QX5", {"way": "thin", "service": "BX5"}, {}, OPEN),
        ("QX5", {"way": "thin", "service": "erp.example"}, {}, PASSED),
        ("QX5", {"way": "sqlplus"}, {"unique_name": [{"db_unique_name": "BX5"}]}, PASSED),
        ("bx51", {"way": "sqlplus"}, {}, PASSED),
        ("BX5_1", {"way": "sqlplus"}, {}, PASSED),
    ],
)
def test_the_neighbour_on_the_host_answers_no_question(
    instance: str, way: dict[str, str], facts: dict[str, Any], state: AnswerState
) -> None:
    world, place = World(), (instance, "bxaix85")
    world.way, world.sessions = way, [(1.0, beat(place))]
    world.states = [state_at(at, {**SERVES, **facts}, beat(place)) for at in range(2, END, 20)]
    found = world.questions()
    assert {found[key].state for key in ("restart", "session", "population", "around")} == {state}


def logged(when: str | None, at: int = 2, since: int | None = None) -> dict[str, Any]:
    return {
        "mono_ns": at * S, "since_ns": since and since * S, "path": "/alert_BX5.log", "offset": 1, "line_count": 1,
        "kind": "message", "when": when and [when, when], "lines": ["Thread 1 advanced to log sequence 7 (LGWR switch)"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "switched", "role", "state"),
    [
        ([logged("2024-02-20T08:00:00")], "20260301093000", "PRIMARY", OPEN),
        ([logged("2024-02-20T08:00:00")], None, "PRIMARY", OPEN),
        ([], "20260301093000", "PRIMARY", OPEN),
        ([], None, "PRIMARY", PASSED),
        ([logged("2026-03-01T06:10:00")], "20240301093000", "PRIMARY", PASSED),
        ([logged("2026-03-01T07:10:00+00:00")], "20260301093000", "PRIMARY", OPEN),
        ([logged("2026-03-01T07:10:00+00:00")], "20260301093000", "PHYSICAL STANDBY", PASSED),
        ([logged("2026-03-01T03:40:00-06:00")], "20260301093000", "PRIMARY", PASSED),
        ([logged("2024-02-20T08:00:00", 110, 108)], "20260301093000", "PRIMARY", PASSED),
    ],
)
def test_a_log_to_which_this_instance_does_not_write_says_nothing(
    rows: list[dict[str, Any]], switched: str | None, role: str, state: AnswerState
) -> None:
    world, redo = World(), [{"sequence": "7", "status": "CURRENT", "first_time": switched}]
    world.rows, facts = rows, {"redo": redo if switched else [], "database": [{"database_role": role}]}
    world.states = [state_at(at, facts) for at in range(2, END, 20)]
    alert = world.questions()["alert"]
    assert alert.state is state, alert.details
    assert (state is OPEN) == ("shows nothing of this instance" in alert.details)


def test_warnings_of_the_log_are_in_the_verdict() -> None:
    world = World()
    world.rows = [
        {
            "mono_ns": 110 * S, "since_ns": 108 * S, "path": "/alert_BX5.log", "offset": 1, "line_count": 1,
            "kind": "message", "when": None, "lines": ["PMON failed to acquire latch, see PMON dump"],
        }
    ]  # fmt: skip
    alert = world.questions()["alert"]
    assert (alert.state, alert.warns) == (PASSED, True), alert.details


def test_a_probe_process_that_was_started_again_reads_on_and_fails_no_session() -> None:
    world = World()
    names = ", ".join(KINDS.values())
    text = f"the process of {names} ended by itself (exit status -9); another one is started in 1 s"
    world.events.append(Event(130 * S, 0, 1, "recorder", "probe-trouble", {"probe": names, "what": text}))
    world.sessions.append((132.0, beat(serial="99")))
    found = world.questions()
    assert found["session"].state is OPEN
    assert found["alert"].state is PASSED


@pytest.mark.parametrize(
    ("states", "state"),
    [([PASSED, PASSED], PASSED), ([PASSED, OPEN], OPEN), ([OPEN, OPEN], OPEN), ([FAILED, OPEN], FAILED)],
)
def test_the_line_for_all_databases_is_as_good_as_the_worst(states: list[AnswerState], state: AnswerState) -> None:
    evidence: Any = SimpleNamespace(databases=[Question(str(n), "t", each, "") for n, each in enumerate(states)])
    assert _application("ora", "Oracle")(evidence).state is state


def test_words_and_stretches() -> None:
    span = Interval(0, 60 * S)
    assert unseen([], span, S) == [span]
    assert "not observed at all" in in_words([span], span)
    failed = Question("a", "t", FAILED, "it broke")
    assert as_far_as_seen(failed, [span], span) is failed
    assert unseen([0, 20 * S, 60 * S], span, 25 * S, [Interval(30 * S, 50 * S)]) == []


def pool(ages_min: list[float], user: str = "WEBAPP", first: int = 40) -> list[dict[str, Any]]:
    """Sessions of one pool at 10:00 by their ages in minutes."""
    return [
        {"sid": str(first + n), "serial": "1", "username": user, "program": "JDBC Thin Client", "machine": "app1",
         "logon_time": f"{TEN - timedelta(minutes=age):%Y%m%d%H%M%S}"} for n, age in enumerate(ages_min)
    ]  # fmt: skip


TEN = datetime.fromisoformat("2026-03-01T10:00")
FRESH = [2.0 * n + 12 for n in range(14)]
OLD = [3000.0 + n for n in range(14)]


@pytest.mark.parametrize(
    ("ages", "lost", "limit", "state"),
    [
        (FRESH, 0, 0, PASSED),
        (FRESH, 1, 0, PASSED),
        (FRESH, 6, 0, FAILED),
        (OLD, 1, 0, FAILED),
        (OLD, 1, 1, PASSED),
        (OLD, 14, 1, FAILED),
    ],
    ids=["none", "a pool renews one", "six at once", "one that was days old", "within the limit", "all"],
)
def test_sessions_that_end_are_held_against_how_pools_renew_theirs(
    ages: list[float], lost: int, limit: int, state: AnswerState
) -> None:
    world, before = World(), pool(ages)
    world.limits = {"lost_sessions": limit}
    world.states = [state_at(at, {"sessions": before if at < 100 else before[lost:]}) for at in range(2, END, 20)]
    assert world.questions()["population"].state is state


@pytest.mark.parametrize(
    ("ages", "lost", "at", "opened", "state"),
    [
        (OLD, 14, 130, 0, FAILED),
        (OLD, 2, 130, 0, FAILED),
        (OLD, 1, 130, 0, PASSED),
        (OLD, 1, 130, 1, FAILED),
        (FRESH, 5, 130, 5, PASSED),
        (FRESH, 14, 130, 14, FAILED),
        (OLD, 14, END + 90, 0, PASSED),
    ],
    ids=["all", "two", "one logs off", "one that came back", "a pool renews some", "a pool is lost", "minutes later"],
)
def test_sessions_that_end_after_the_first_look_are_lost_too(
    ages: list[float], lost: int, at: int, opened: int, state: AnswerState
) -> None:
    """The first look after the suspension is at 102 s, the last one that counts three minutes after it."""
    world, before, new = World(), pool(ages), pool([-2.0] * opened, first=90)
    world.states = [
        state_at(look, {"sessions": before if look < at else before[lost:] + new}) for look in range(2, END + 180, 20)
    ]
    world.until["db-state"] = END + 180
    assert world.questions()["population"].state is state


def test_a_session_that_ends_long_before_the_suspension_is_not_the_moves() -> None:
    world, before = World(), pool(OLD)
    world.states = [state_at(at, {"sessions": before if at < 70 else before[1:]}) for at in range(2, END, 20)]
    assert world.questions()["population"].state is PASSED


@pytest.mark.parametrize(
    ("program", "at", "state", "warns"),
    [
        ("rman@bxaix85 (TNS V1-V3)", 100, PASSED, True),
        ("oracle@bxaix85 (DW00)", 100, PASSED, True),
        ("oracle@bxaix85 (P003)", 100, PASSED, False),
        ("oracle@bxaix85 (J001)", 130, PASSED, False),
        ("oracle@bxaix85 (TNS V1-V3)", 100, FAILED, False),
        ("romane@bxaix85", 100, FAILED, False),
    ],
)
def test_what_ends_with_its_work_is_no_lost_session(program: str, at: int, state: AnswerState, warns: bool) -> None:
    world = World()
    before = [{**one, "program": program} for one in pool(OLD)]
    world.states = [state_at(look, {"sessions": before if look < at else []}) for look in range(2, END, 20)]
    population = world.questions()["population"]
    assert (population.state, population.warns) == (state, warns), population.details


def test_an_instance_that_numbers_its_sessions_anew_has_lost_the_old_ones() -> None:
    world, before = World(), pool(OLD)
    anew = [{**one, "logon_time": "20260301100110"} for one in before]
    world.states = [state_at(look, {"sessions": before if look < 100 else anew}) for look in range(2, END, 20)]
    population = world.questions()["population"]
    assert (population.state, "14 of 14 ended" in population.details) == (FAILED, True), population.details
