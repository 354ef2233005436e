"""A database before its move: what is asked, by one logon, and what becomes of what it does not answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lpmkit.checks import Verdict, examine
from lpmkit.config import PartitionSettings, Site
from lpmkit.oracle.before import ask_before
from lpmkit.oracle.drivers import Row
from lpmkit.oracle.errors import QueryFailed
from lpmkit.oracle.net_time_outs import ORATAB, told
from lpmkit.oracle.snapshot import DatabaseSnapshot
from lpmkit.runs.folder import create
from lpmkit.runs.refusals import refused_accounts
from lpmkit.runs.writer import RunWriter
from lpmkit.settings.oracle import DatabaseSettings
from lpmkit.simulator.oracle.alert_log import AlertLog
from lpmkit.simulator.oracle.instance import DiskGroup, Instance, OracleError, Standby
from lpmkit.simulator.oracle.views import Views
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Reply
from lpmkit.survey.connect import database_snapshots
from lpmkit.survey.model import Survey, SystemFacts
from lpmkit.timeline import Outcome
from tests.served_database import Served


class Direct:
    """A session with a simulated instance without the way between."""

    def __init__(self, instance: Instance) -> None:
        self._views, self._session = Views(instance), instance.log_on("LPMKIT", "python", "observer")
        self.asked: list[str] = []

    def rows(self, sql: str, limit_s: float = 0) -> list[Row]:
        self.asked.append(sql)
        try:
            answer = self._views.ask(sql, self._session)
        except OracleError as error:
            raise QueryFailed(str(error), Outcome.REFUSED) from error
        return [tuple(None if value is None else str(value) for value in row) for row in answer.rows]

    def change(self, sql: str, limit_s: float = 0) -> None:
        raise AssertionError("nothing is changed")

    def close(self) -> None: ...


def instance(folder: Path, version: str, *deeds: str) -> Instance:
    one = Instance(AlertLog(folder, "BX5", version), "bxaix85", 1.0, users={"LPMKIT": "secret"})
    one.around.standbys.append(Standby("BX5S"))
    for deed in deeds:
        one.do(deed)
    return one


@pytest.mark.parametrize(
    ("version", "deeds", "facts"),
    [
        ("9.2.0.8.0", (), {"protection_mode": "MAXIMUM PERFORMANCE", "net_timeouts_s": None, "failover_status": None}),
        ("10.2.0.4.0", ("protect:protection|20",),
         {"protection_mode": "MAXIMUM PROTECTION", "net_timeouts_s": (20.0,)}),
        ("19.0.0.0.0", (), {"net_timeouts_s": (), "failover_status": "DISABLED", "failover_threshold_s": None}),
        ("19.0.0.0.0", ("failover:25",), {"failover_status": "SYNCHRONIZED", "failover_threshold_s": 25.0}),
        ("23.26.0.0.0", ("failover:25",), {"failover_threshold_s": 25.0, "observer_waits_s": 0.0}),
        ("23.26.0.0.0", ("failover:25", "observer:100|10"), {"observer_waits_s": 1.0}),
    ],
)  # fmt: skip
def test_each_release_shows_what_it_has_and_is_asked_no_more(
    tmp_path: Path, version: str, deeds: tuple[str, ...], facts: dict[str, Any]
) -> None:
    found = ask_before("BX5", Direct(instance(tmp_path, version, *deeds)))
    assert found.gaps == {}, "nothing is asked that the release does not have"
    assert (found.role, {name: getattr(found, name) for name in facts}) == ("PRIMARY", facts)


def test_no_question_needs_an_option_or_a_pack(tmp_path: Path) -> None:
    session = Direct(instance(tmp_path, "23.26.0.0.0"))
    ask_before("BX5", session)
    text = " ".join(session.asked).lower()
    assert len(session.asked) == 5
    assert not [name for name in ("active_session", "dba_hist", "awr", "addm", "dbms_", "v$sql") if name in text]


def test_a_view_that_the_user_may_not_see_is_a_gap_with_its_reason(tmp_path: Path) -> None:
    one = instance(tmp_path, "19.0.0.0.0", "protect:protection|20")
    one.switches.hidden = frozenset({"v$archive_dest"})
    found = ask_before("BX5", Direct(one))
    assert (found.protection_mode, found.net_timeouts_s) == ("MAXIMUM PROTECTION", None)
    assert found.gaps == {"synchronous": "ORA-00942: table or view does not exist"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path / "database")
    one.instance.around.standbys.append(Standby("BX5S"))
    one.instance.around.disk_groups.append(DiskGroup("DATA"))
    yield one
    one.listener.close()


def site_of(served: Served, tmp_path: Path, **more: Any) -> Site:
    settings = {"partition": "bxaix85", "version": "19", "listener": served.address, "user": "LPMKIT"}
    return Site(
        partitions={"bxaix85": PartitionSettings(host="bxaix85")},
        databases={"BX5": DatabaseSettings.model_validate({**settings, "password": "env:BEFORE", **more})},
    )


def asked(site: Site, password: str = "secret", *, login_works: bool = True) -> tuple[DatabaseSnapshot, ...]:
    return database_snapshots(site, "bxaix85", Secrets({"env:BEFORE": password}), login_works=login_works)


def findings(*databases: DatabaseSnapshot, expected_s: float = 1.5) -> dict[str, Verdict]:
    survey = Survey(
        "bxaix85", SystemFacts("a"), SystemFacts("b"), databases=databases, expected_suspension_s=expected_s
    )
    return {one.key: one.verdict for one in examine(survey) if one.key.startswith("oracle-")}


def test_one_logon_tells_the_partners_of_a_database_and_the_survey_keeps_it(served: Served, tmp_path: Path) -> None:
    served.instance.do("protect:protection|1")
    served.instance.do("failover:30")
    (found,) = asked(site_of(served, tmp_path))
    unread = {"oracle-net": Verdict.UNKNOWN}  # there is no such host
    assert findings(found) == {"oracle-protection": Verdict.FAIL, "oracle-failover": Verdict.PASS, **unread}
    survey = Survey("bxaix85", SystemFacts("a"), SystemFacts("b"), databases=(found,))
    assert Survey.from_dict(survey.to_dict()).databases == (found,)
    assert len(served.instance.sessions) == 24, "and logged off"


def test_a_refused_logon_is_one_and_no_other_follows_in_the_run(served: Served, tmp_path: Path) -> None:
    site = site_of(served, tmp_path)
    (found,) = asked(site, password="wrong")
    assert served.instance.refused == {"LPMKIT": 1}
    assert set(findings(found).values()) == {Verdict.UNKNOWN}
    run = create(tmp_path / "runs", mode="move", title="test", facts={})
    with RunWriter(run.path) as writer:
        writer.document("survey", Survey("bxaix85", SystemFacts("a"), SystemFacts("b"), databases=(found,)).to_dict())
    (account,) = refused_accounts(run)
    assert account.startswith("LPMKIT of database BX5")


def test_what_cannot_be_asked_is_unknown_and_what_is_not_to_be_asked_is_no_finding(
    served: Served, tmp_path: Path
) -> None:
    without_listener = site_of(served, tmp_path, listener=None)
    (refused,) = asked(without_listener, login_works=False)
    assert refused.why_not("database") == "the login to bxaix85 did not work"
    (no_secret,) = database_snapshots(
        site_of(served, tmp_path, password="env:NOT_SET"), "bxaix85", Secrets(may_ask=False), login_works=True
    )
    assert "no secret found for 'env:NOT_SET'" in no_secret.why_not("failover")
    served.instance.do("listener-refuses:12514")
    (unreachable,) = asked(site_of(served, tmp_path))
    assert set(findings(refused, no_secret, unreachable).values()) == {Verdict.UNKNOWN}
    assert asked(site_of(served, tmp_path, way="none")) == ()


class Host:
    """A session to a host with these files and an instance with this environment."""

    where = "bxaix85"

    def __init__(
        self, files: dict[str, str], environment: str = "ORACLE_SID=BX5\n", pmon: str = "ora_pmon_BX5"
    ) -> None:
        self.files, self.environment, self.pmon = files, environment, pmon
        self.asked: list[str] = []

    def run(self, arguments: Sequence[str], timeout_s: float = 0.0, stdin: str = "") -> Reply:
        self.asked.append(" ".join(arguments))
        if arguments[0] == "ps":
            return Reply(self.where, "ps", 0, f"PID COMMAND\n 12 ora_pmon_BX51\n 4711 {self.pmon}\n 13 grep x\n", "")
        if arguments[0] == "sh":
            return Reply(self.where, "sh", 0 if self.environment else 1, self.environment, "")
        program, path = arguments
        names = [name.rpartition("/")[2] for name in self.files if name.rpartition("/")[0] == path]
        printed = self.files.get(path, "") if program == "cat" else "\n".join(names)
        return Reply(self.where, " ".join(arguments), 0 if printed else 2, printed, "" if printed else "Cannot open")

    def close(self) -> None: ...


FOLDER = "/oracle/BX5/19/network/admin"
ORABASETAB, BASE_HOME = "/oracle/BX5/19/install/orabasetab", "/oracle/homes/OraDB19Home1"
#: A read-only home, whose own folder has a file too: it is read last.
READ_ONLY = {
    ORATAB: "BX5:/oracle/BX5/19:N",
    ORABASETAB: "/oracle/BX5/19:/oracle:OraDB19Home1:Y:",
    f"{FOLDER}/sqlnet.ora": "SQLNET.RECV_TIMEOUT=30",
}


@pytest.mark.parametrize(
    ("files", "values", "why"),
    [
        ({ORATAB: "BX5:/oracle/BX5/19:N", f"{FOLDER}/sqlnet.ora": "SQLNET.RECV_TIMEOUT=30\nSQLNET.EXPIRE_TIME=10"},
         {"SQLNET.RECV_TIMEOUT": "30"}, ""),
        ({ORATAB: "BX5:/oracle/BX5/19:N", f"{FOLDER}/tnsnames.ora": "BX5 ="}, {}, ""),
        ({ORATAB: "OTHER:/oracle/OTHER/19:N"}, None, "does not name the home of BX5"),
        ({}, None, "Cannot open"),
        ({ORATAB: "BX5:/oracle/BX5/19:N"}, None, "Cannot open"),
        ({**READ_ONLY, f"{BASE_HOME}/network/admin/sqlnet.ora": "SQLNET.RECV_TIMEOUT=3"},
         {"SQLNET.RECV_TIMEOUT": "3"}, ""),
        ({**READ_ONLY, f"{BASE_HOME}/network/admin/samples": "-"}, {"SQLNET.RECV_TIMEOUT": "30"}, ""),
        (READ_ONLY, None, "Cannot open"),
        ({ORATAB: "BX5:/oracle/BX5/19:N", f"{FOLDER}/sqlnet.ora": "SQLNET.RECV_TIMEOUT=30\nifile = /etc/net.ora\n"},
         None, "includes /etc/net.ora, which was not read"),
        ({**READ_ONLY, ORABASETAB: "/oracle/BX5/19:/oracle:OraDB19Home1:N:"}, {"SQLNET.RECV_TIMEOUT": "30"}, ""),
        ({**READ_ONLY, ORABASETAB: "/oracle/OTHER/19:/oracle:OraDB19Home1:Y:"}, None, "does not name /oracle/BX5/19"),
    ],
    ids=[
        "read", "there is none", "another database", "no oratab", "the folder cannot be listed", "read-only home",
        "read-only home without one", "base home that cannot be listed", "a file included", "home that is written to",
        "orabasetab of another home",
    ],
)  # fmt: skip
def test_the_servers_sqlnet_ora_is_read_or_said_not_to_have_been(
    files: dict[str, str], values: dict[str, str] | None, why: str
) -> None:
    found, reason = told(Host(files), "BX5")
    assert found == values
    assert why in reason
    assert bool(reason) is (values is None)


NET, HOME_FILE = (
    {"/oracle/net/sqlnet.ora": "SQLNET.RECV_TIMEOUT=3"},
    {ORATAB: "BX5:/oracle/BX5/19:N", f"{FOLDER}/x": "-"},
)
IN_NET = "ORACLE_SID=BX5\nTNS_ADMIN=/oracle/net\n"


@pytest.mark.parametrize(
    ("host", "sqlplus", "values", "why"),
    [
        (Host({**NET, **HOME_FILE}, IN_NET), (), {"SQLNET.RECV_TIMEOUT": "3"}, ""),
        (Host({**NET, **HOME_FILE}, ""), ("env", "TNS_ADMIN=/oracle/net"), {"SQLNET.RECV_TIMEOUT": "3"}, ""),
        (Host({**HOME_FILE, "/oracle/net/tnsnames.ora": "-"}, IN_NET), (), {}, ""),
        (Host({**HOME_FILE, "/oracle/net/x": "-", f"{FOLDER}/sqlnet.ora": "A=1"}, IN_NET), (), None,
         "the release decides"),
        (Host(HOME_FILE, IN_NET), (), None, "Cannot open"),
        (Host(HOME_FILE, ""), (), None, "may not see the environment of process 4711"),
        (Host(HOME_FILE, pmon="ora_pmon_BX6"), (), None, "no process ora_pmon_BX5"),
    ],
    ids=["read", "named in the site file", "no file in either", "a file in the home only",
         "folder that cannot be listed",
         "not permitted", "not running"],
)  # fmt: skip
def test_the_tns_admin_of_the_instance_comes_before_its_home(
    host: Host, sqlplus: tuple[str, ...], values: dict[str, str] | None, why: str
) -> None:
    found, reason = told(host, "BX5", sqlplus)
    assert found == values
    assert why in reason
    assert bool(reason) is (values is None)
    assert not [line for line in host.asked if "eww" in line and "grep -E '^(ORACLE_SID|TNS_ADMIN)='" not in line]
