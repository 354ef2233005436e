"""Ways in to a SAP system: what each makes of what comes, and which one answers."""

from __future__ import annotations

import base64
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime as moment
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lpmkit.errors import CommandRefused, LoginRefused, LpmError, NoAnswer, UnexpectedReply, Unreachable, UsageError
from lpmkit.sap.functions import Functions
from lpmkit.sap.load import Load
from lpmkit.sap.model import JobStatus
from lpmkit.sap.rfc import RfcCaller, logon, trouble
from lpmkit.sap.soaprfc import SoapCaller
from lpmkit.sap.sources import QueryWindow
from lpmkit.sap.system import System, open_system
from lpmkit.sap.webservice import start_service
from lpmkit.settings.sap import SapCommands, SapRfc, SapSoapRfc, SapSystemSettings, SapWebService
from lpmkit.simulator import Simulator
from lpmkit.ssh.client import route
from lpmkit.ssh.secrets import Secrets
from lpmkit.timeline import Clock
from tests import sap_worlds as worlds

NOW = moment.fromisoformat("2008-11-07T23:59:30")


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPM_SIMULATOR_SAP_PASSWORD", worlds.PASSWORD)


@pytest.fixture
def pyrfc() -> Iterator[Any]:
    with worlds.standin() as module:
        yield module


@pytest.fixture
def memory(pyrfc: Any) -> Any:
    pyrfc.BACKEND = worlds.Memory(
        jobs=[
            worlds.job("LONG", "R", pid=10158250, started=NOW - timedelta(hours=3)),
            worlds.job("DONE", "F", started=NOW - timedelta(minutes=9), lasts_s=60),
            worlds.job("BROKEN", "A", started=NOW - timedelta(minutes=5), lasts_s=10),
            worlds.job("SOON", "S", started=NOW + timedelta(minutes=10)),
        ],
        work_processes=[worlds.worker(9, 10158250, program="ZLONG", user="BATCHUSR"), worlds.worker(10, 10158300)],
    )
    return pyrfc.BACKEND


def caller(**more: Any) -> RfcCaller:
    return RfcCaller(
        "rfc", logon(host="bxaix85", number="00", client="100", user="LPMKIT", password=worlds.PASSWORD), **more
    )


# -- RFC -------------------------------------------------------------------------------------------------------------


def test_jobs_come_by_the_highest_version_of_the_job_interface(memory: Any) -> None:
    functions = Functions(caller())
    jobs = {job.name: job for job in functions.jobs(NOW - timedelta(hours=1), NOW)}
    assert functions.how == "XBP 2.0"
    assert {name: job.status.value for name, job in jobs.items()} == {
        "LONG": "R",
        "DONE": "F",
        "BROKEN": "A",
        "SOON": "S",
    }
    # where it runs is in the table alone, what it runs in the work process
    assert (jobs["LONG"].pid, jobs["LONG"].program, jobs["LONG"].user) == (10158250, "ZLONG", "BATCHUSR")


def test_without_the_interface_jobs_come_from_the_table_whatever_the_order_of_its_columns(memory: Any) -> None:
    memory.versions = ()
    found = []
    for memory.table_order in (True, False):
        functions = Functions(caller())
        found.append(functions.jobs(NOW - timedelta(hours=1), NOW))
        assert functions.how == "RFC_READ_TABLE on TBTCO"
    assert found[0] == found[1]
    assert {job.name: job.status for job in found[0]}["BROKEN"] is JobStatus.ABORTED


def test_an_empty_selection_is_an_error_for_sap_and_no_job_for_us(memory: Any) -> None:
    memory.jobs = []
    assert Functions(caller()).jobs(NOW - timedelta(hours=1), NOW) == ()


def test_a_connection_that_reopened_itself_is_another_session_and_logs_on_anew(memory: Any, pyrfc: Any) -> None:
    one = caller()
    functions = Functions(one)
    functions.jobs(NOW, NOW)
    before = one.session
    memory.trouble = pyrfc.Timeout()
    with pytest.raises(NoAnswer):
        functions.users()
    functions.jobs(NOW, NOW)
    assert one.session != before
    assert memory.calls.count("BAPI_XMI_LOGON") == 2
    assert functions.how == "XBP 2.0"


def test_a_broken_connection_is_lost_and_the_next_answer_says_that_it_is_another(memory: Any, pyrfc: Any) -> None:
    one = caller()
    one.call("RFC_PING")
    before = one.session
    memory.trouble = pyrfc.Broken("partner not reached")
    with pytest.raises(LpmError):
        one.call("RFC_PING")
    one.call("RFC_PING")
    assert one.session != before


def test_a_module_that_is_not_there_is_refused_by_its_name(memory: Any) -> None:
    with pytest.raises(CommandRefused, match="FU_NOT_FOUND"):
        caller().call("Z_NOT_THERE")


def test_a_german_system_shows_the_same_work_processes(memory: Any) -> None:
    english = Functions(caller()).work_processes()
    memory.german = True
    german = Functions(caller()).work_processes()
    assert [(one.type, one.pid, one.activity) for one in german] == [
        (one.type, one.pid, one.activity) for one in english
    ]


def test_a_missing_pyrfc_is_explained_and_never_fatal() -> None:
    why = trouble()
    assert why is not None
    assert "cannot be imported" in why
    with pytest.raises(UsageError, match="cannot be imported"):
        caller().call("RFC_PING")


def test_a_pyrfc_without_its_compiled_part_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyrfc", ModuleType("pyrfc"))
    why = trouble()
    assert why is not None
    assert "compiled part" in why


def test_the_password_is_in_no_error_and_no_representation(memory: Any, pyrfc: Any) -> None:
    one = caller()
    memory.trouble = pyrfc.LogonError(f"Name or password is incorrect ({worlds.PASSWORD})")
    with pytest.raises(LpmError) as caught:
        one.call("RFC_PING")
    assert worlds.PASSWORD not in str(caught.value) + repr(one) + repr(caught.value.__cause__)


# -- the simulated system ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    os.environ["LPM_SIMULATOR_SAP_PASSWORD"] = worlds.PASSWORD
    with Simulator(worlds.LANDSCAPES / "p7pair.yaml", speed=25.0) as running:
        yield running


def _rows(one: System, question: str) -> Any:
    said = one.ask(question)
    assert said.rows is not None, said.trouble
    return said.rows


@pytest.mark.parametrize(
    "question", ["work_processes", "processes", "queues", "system_log", "enqueue", "locks", "instances"]
)
def test_soap_and_command_line_tell_the_same(simulator: Simulator, question: str) -> None:
    web, commands = (worlds.simulated(simulator, way) for way in ("webservice", "commands"))
    left, right = ({_still(row) for row in _rows(one, question)} for one in (web, commands))
    assert left
    assert left == right


def _still(row: Any) -> Any:
    """The part of a row that does not change from one second to the next."""
    names = (
        "number",
        "pid",
        "type",
        "name",
        "started",
        "features",
        "text",
        "argument",
        "host",
        "at",
        "replication",
        "most",
    )
    return tuple(
        getattr(row, name) for name in names if hasattr(row, name) and not (name == "text" and "Queue time" in row.text)
    )


def test_the_local_socket_needs_no_password(simulator: Simulator) -> None:
    settings = SapSystemSettings(
        partition="p7aix01",
        instances=("00",),
        webservice=SapWebService(through_ssh=True),
        commands=SapCommands(host="p7dadm@p7aix01"),
    )
    one = open_system("P7D", settings, host="p7aix01", ssh_config=simulator.ssh_config, secrets=Secrets())
    said = one.ask("work_processes")
    assert said.way == "webservice", said.trouble
    assert len(said.rows or ()) == 40


def test_over_tls_the_certificate_is_verified_always(simulator: Simulator) -> None:
    ports = simulator.hosts["p7aix01"].ports
    said = []
    for ca_file in (simulator.directory / "sap_p7aix01.pem", None):
        way = SapWebService(
            host=route("p7aix01", simulator.ssh_config).hostname,
            tls=True,
            user="p7dadm",
            password="env:LPM_SIMULATOR_SAP_PASSWORD",
            ports={"00": ports["start_service_tls"]},
            ca_file=ca_file,
        )
        system = SapSystemSettings(partition="p7aix01", webservice=way)
        one = open_system("P7D", system, host="p7aix01", ssh_config=simulator.ssh_config, secrets=Secrets())
        said.append(one.ask("work_processes"))
    trusted, unknown = said
    assert len(trusted.rows or ()) == 40, trusted.trouble
    assert unknown.rows is None
    assert "its certificate cannot be verified" in unknown.trouble


def test_a_wrong_password_is_told_as_such_and_not_tried_again_at_once(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LPM_SIMULATOR_SAP_PASSWORD", "wrong")
    one = worlds.simulated(simulator, "webservice")
    first, second = one.ask("work_processes"), one.ask("work_processes")
    assert first.rows is None
    assert "user and password" in first.trouble or "refuses" in first.trouble
    assert second.rows is None
    assert one.load.counts["webservice"] <= 4  # the WSDL and one call of each instance
    assert "wrong" not in first.trouble


def test_soap_rfc_with_a_wrong_password_is_told(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPM_SIMULATOR_SAP_PASSWORD", "wrong")
    said = worlds.simulated(simulator, "soap_rfc").ask("users")
    assert "does not let this user in" in said.trouble


def test_where_one_way_is_closed_the_next_answers_and_is_named(simulator: Simulator) -> None:
    one = worlds.simulated(simulator, "webservice+commands")
    one.ways["webservice"]._services["00"].url = "http://127.0.0.1:9"  # type: ignore[attr-defined]
    one.ways["webservice"]._services.pop("01")  # type: ignore[attr-defined]
    one.ways["webservice"]._instances._numbers = ("00",)  # type: ignore[attr-defined]
    one.ways["webservice"]._services["00"]._transport._where = "http://127.0.0.1:9"  # type: ignore[attr-defined]
    said = one.ask("work_processes")
    assert said.way == "sapcontrol"
    assert len(said.rows or ()) == 40


def test_a_question_that_no_way_tells_says_which_would(simulator: Simulator) -> None:
    said = worlds.simulated(simulator, "webservice").ask("updates")
    assert said.rows is None
    assert "no SAP interface in the site file provides it (rfc, soap_rfc would)" in said.trouble


def test_the_systems_clock_is_learned_from_what_it_says(simulator: Simulator) -> None:
    for way in ("webservice", "commands", "soap_rfc"):
        one = worlds.simulated(simulator, way)
        one.ask("identity")
        one.ask("processes")
        assert one.ask("work_processes").zone_offset_s == 0, way


def test_a_window_holds_before_and_after_midnight_in_the_systems_own_zone() -> None:
    settings = SapSystemSettings(partition="p", zone="Asia/Kolkata")
    one = System("BX5", settings, [], Load(60))
    noon = int(moment.fromisoformat("2008-11-07T18:29:00+00:00").timestamp() * 1e9)
    assert one._window(noon, noon) == QueryWindow(
        moment.fromisoformat("2008-11-07T23:59:00"), moment.fromisoformat("2008-11-07T23:59:00")
    )


# -- servers that misbehave --------------------------------------------------------------------------------------------


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                held.append(listener.accept()[0])
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()
    for one in held:
        one.close()


def test_a_start_service_that_never_answers_is_silent_and_not_down(silent_port: int) -> None:
    with pytest.raises(NoAnswer):
        start_service("127.0.0.1", silent_port, timeout_s=0.2).call("GetProcessList")


def test_a_closed_port_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable):
        start_service("127.0.0.1", port).call("GetProcessList")


def answering(content: bytes) -> tuple[socket.socket, int]:
    """A server that answers everything with the same bytes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                wire, _ = listener.accept()
            except OSError:
                return
            with wire:
                wire.recv(65536)
                wire.sendall(content)

    threading.Thread(target=serve, daemon=True).start()
    return listener, listener.getsockname()[1]


@pytest.mark.parametrize(
    "content",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n<a></a>",
        b"nonsense\r\n",
        b"",
        b'HTTP/1.1 200 OK\r\nContent-Length: 122\r\n\r\n<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><definitions xmlns="http://schemas.xmlsoap.org/wsdl/">&a;',
        b'HTTP/1.1 200 OK\r\nContent-Length: 113\r\n\r\n<definitions xmlns="http://schemas.xmlsoap.org/wsdl/"><import namespace="urn:x" location="file:///etc/passwd"/>  ',
    ],
    ids=["text", "no wsdl", "no http", "nothing", "entity", "import"],
)
def test_a_server_that_is_no_start_service_ends_in_our_error(content: bytes) -> None:
    listener, port = answering(content)
    with listener, pytest.raises((UnexpectedReply, Unreachable)):
        start_service("127.0.0.1", port, timeout_s=2.0).call("GetProcessList")


def test_http_401_on_the_description_is_a_refused_login() -> None:
    listener, port = answering(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
    with listener, pytest.raises(LoginRefused):
        start_service("127.0.0.1", port, user="bx5adm", password=worlds.PASSWORD, timeout_s=2.0).call("GetProcessList")


# -- the bound on requests ---------------------------------------------------------------------------------------------


class Hands(Clock):
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0

    def mono_ns(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(1, int(seconds * 1e9))


def test_no_minute_has_more_requests_than_the_site_file_allows() -> None:
    clock = Hands()
    load = Load(30, clock)
    times = []
    for number in range(100):
        load.take("rfc" if number % 2 else "commands")
        times.append(clock.mono_ns())
    for first in times:
        assert sum(first <= one < first + 60_000_000_000 for one in times) <= 30
    assert dict(load.counts) == {"commands": 50, "rfc": 50}


def test_a_way_that_cannot_be_set_up_is_kept_with_the_reason(tmp_path: Path) -> None:
    settings = SapSystemSettings(
        partition="bxaix85",
        rfc=SapRfc(host="127.0.0.1", client="100", user="LPMKIT", password="env:NOT_THERE_AT_ALL"),
    )
    one = open_system("BX5", settings, host="localhost", ssh_config=None, secrets=Secrets(may_ask=False))
    said = one.ask("jobs")
    assert "no secret found for 'env:NOT_THERE_AT_ALL'" in said.trouble
    assert one.is_configured("jobs")


# -- faults of the simulated system, each with the way that answers instead --------------------------------------------


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("sapstartsrv-hangs", "did not answer in time"),
        ("sapstartsrv-denies", "user and password"),
        ("sapstartsrv-wsdl", ""),
    ],
)
def test_a_start_service_that_fails_is_named_and_something_else_answers(fault: str, said: str) -> None:
    with Simulator(worlds.LANDSCAPES / "p7pair.yaml", speed=25.0, faults=[fault]) as simulator:
        alone = worlds.simulated(simulator, "webservice")
        for service in alone.ways["webservice"]._services.values():  # type: ignore[attr-defined]
            service._transport.operation_timeout = service._transport.load_timeout = 1.0
        first = alone.ask("work_processes")
        if said:
            assert first.rows is None
            assert said in first.trouble
        one = worlds.simulated(simulator, "webservice+commands+soap_rfc", slo={})
        one.ways["commands"]._timeout_s = 1.0  # type: ignore[attr-defined]
        for service in one.ways["webservice"]._services.values():  # type: ignore[attr-defined]
            service._transport.operation_timeout = service._transport.load_timeout = 1.0
        for question in ("work_processes", "jobs", "users", "hardware_key"):
            answer = one.ask(question)
            assert answer.rows, (question, answer.trouble)
        if fault == "sapstartsrv-hangs":
            # ps tells the processes when sapcontrol hangs as well
            assert one.ask("processes").way == "ps"


def test_a_german_system_is_understood_by_every_way() -> None:
    with Simulator(worlds.LANDSCAPES / "p7pair.yaml", speed=25.0, faults=["sap-german"]) as simulator:
        found = {}
        for way in ("webservice", "commands", "soap_rfc"):
            rows = worlds.simulated(simulator, way).ask("work_processes").rows or ()
            found[way] = {(row.number, row.type, row.pid) for row in rows}
            assert not [row for row in rows if row.activity.value == "other"], way
        assert found["webservice"] == found["commands"] == found["soap_rfc"]


def test_a_german_4_7_is_understood_through_its_dispatcher_monitor() -> None:
    with Simulator(worlds.LANDSCAPES / "js22.yaml", speed=25.0, faults=["sap-german"]) as simulator:
        one = worlds.simulated(simulator, "commands", partition="bxaix85", sid="BX5", numbers=("00",))
        said = one.ask("work_processes")
        assert said.way == "dpmon", said.trouble
        assert len(said.rows or ()) == 40
        assert {row.activity.value for row in said.rows or ()} <= {"waiting", "running", "on hold"}
        assert one.ask("processes").way == "ps"
        licences = one.ask("licences")
        assert licences.rows
        assert licences.way == "saplicense"
        # there is no sapcontrol: what it alone would tell is not asked for again and again
        assert not one.is_configured("system_log")


def test_a_snapshot_says_which_way_told_what_and_what_it_cost(simulator: Simulator) -> None:
    found = worlds.simulated(simulator, "webservice+commands+soap_rfc").snapshot()
    assert found.ways["jobs"].startswith("soap_rfc")
    assert found.ways["work_processes"] == "webservice"
    assert found.ways["licences"] == "saplikey"
    assert found.hardware_key in {licence.key for licence in found.licences or ()}
    assert found.entitlement is not None
    assert found.lsconf is not None
    assert found.ways["lsconf"] == "soap_rfc"  # from inside SAP
    assert sum(found.requests.values()) < 60
    assert not [gap for gap in found.missed if gap.configured], found.missed


# -- SOAP-RFC and its session ------------------------------------------------------------------------------------------


def test_soap_rfc_keeps_a_session_and_the_job_interface_is_used_in_it(simulator: Simulator) -> None:
    one = worlds.simulated(simulator, "soap_rfc")
    first, logs = one.ask("jobs"), one.ask("job_logs")
    assert first.way == "soap_rfc, XBP 3.0", first.trouble
    assert logs.rows, logs.trouble
    assert {row.key for row in logs.rows} <= {job.key for job in first.rows or ()}
    assert all(row.step and row.last for row in logs.rows)
    assert first.session == logs.session != ""
    one.close()


def test_what_tells_a_session_is_not_the_cookie_that_opens_it(simulator: Simulator) -> None:
    one = worlds.simulated(simulator, "soap_rfc")
    told = one.ask("identity").session
    caller = one.ways["soap_rfc"]._functions.caller  # type: ignore[attr-defined]
    (cookie,) = [each.value for each in caller._web.cookies]
    assert told == caller.session
    assert cookie not in told


def test_a_service_that_keeps_no_session_answers_from_the_table_and_says_why() -> None:
    with Simulator(worlds.LANDSCAPES / "js22.yaml", speed=25.0, faults=["sap-soap-stateless"]) as simulator:
        one = worlds.simulated(simulator, "soap_rfc", partition="bxaix85", sid="BX5", numbers=("00",))
        said = one.ask("jobs")
        assert said.rows
        assert said.way == "soap_rfc, RFC_READ_TABLE on TBTCO (XBP needs a session and the service keeps none)"
        assert said.session == ""
        assert "job logs need the job interface" in one.ask("job_logs").trouble


def test_a_session_that_ended_there_is_opened_again_and_is_another_one() -> None:
    cookies = iter(["first", "second"])
    asked: list[str] = []

    def answer(request: bytes) -> bytes:
        head = request.decode("latin-1")
        mine = next((line.partition("=")[2] for line in head.split("\r\n") if line.startswith("Cookie:")), "")
        asked.append(mine)
        if mine == "first":
            return b"HTTP/1.1 400 Session timed out\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        body = ANSWERED
        cookie = f"Set-Cookie: sap-contextid={next(cookies)}; path=/\r\n" if not mine else ""
        return f"HTTP/1.1 200 OK\r\n{cookie}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body

    with serving(answer) as url:
        one = SoapCaller(url, client="100", user="LPMKIT", password=worlds.PASSWORD, timeout_s=5.0)
        one.call("RFC_PING")
        before = one.session
        one.call("RFC_PING")
        assert one.session not in ("", before)
    assert asked == ["", "first", ""]


ANSWERED = b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><RFC_PING.Response/></e:Body></e:Envelope>'


@pytest.mark.parametrize(("busy", "answers"), [(1, True), (3, True), (4, False)])
def test_a_system_that_is_busy_is_asked_again_a_moment_later_and_not_for_ever(busy: int, answers: bool) -> None:
    asked: list[int] = []

    def answer(request: bytes) -> bytes:
        asked.append(1)
        if len(asked) <= busy:
            return b"HTTP/1.1 503 busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(ANSWERED), ANSWERED)

    with serving(answer) as url:
        one = SoapCaller(url, client="100", user="LPMKIT", password=worlds.PASSWORD, timeout_s=5.0, clock=Hands())
        if answers:
            one.call("RFC_PING")
        else:
            with pytest.raises(NoAnswer, match="no work process free"):
                one.call("RFC_PING")
    assert len(asked) == min(busy, 3) + 1


def test_one_garbled_answer_of_the_job_interface_does_not_end_it(memory: Any) -> None:
    functions = Functions(caller())
    memory.bapi_xbp_job_select, real = (
        lambda *_: {"RETURN": {"TYPE": ""}, "JOB_HEAD": "garbled"},
        memory.bapi_xbp_job_select,
    )
    functions.jobs(NOW - timedelta(hours=1), NOW)
    assert functions.how == "RFC_READ_TABLE on TBTCO"
    memory.bapi_xbp_job_select = real
    functions.jobs(NOW - timedelta(hours=1), NOW)
    assert functions.how == "XBP 2.0"


# -- no password, whatever a machine says ------------------------------------------------------------------------------


@contextmanager
def serving(answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """A server that answers each request by what came."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                wire, _ = listener.accept()
            except OSError:
                return
            with wire:
                came = b""
                while b"\r\n\r\n" not in came and (part := wire.recv(65536)):
                    came += part
                wire.sendall(answer(came))

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


def mirror(request: bytes) -> bytes:
    """A fault that holds everything the client sent, the password in clear and as it went over the wire."""
    said = f"refused {worlds.PASSWORD} {request.decode('latin-1')}".replace("<", "[").replace("&", "+")
    body = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault><faultcode>e:Server</faultcode>'
        f"<faultstring>{said}</faultstring></e:Fault></e:Body></e:Envelope>"
    ).encode()
    return b"HTTP/1.1 500 no\r\nContent-Type: text/xml\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )


@pytest.mark.parametrize("way", worlds.WAYS)
def test_a_password_that_a_machine_says_back_is_in_no_answer_of_any_way(
    way: str, pyrfc: Any, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "env:LPM_SIMULATOR_SAP_PASSWORD"
    pyrfc.BACKEND = worlds.Memory(trouble=pyrfc.LogonError(f"Name or password is incorrect ({worlds.PASSWORD})"))
    with serving(mirror) as url:
        port = int(url.rpartition(":")[2])
        every: dict[str, Any] = {
            "webservice": SapWebService(host="127.0.0.1", user="bx5adm", password=secret, ports={"00": port}),
            "commands": SapCommands(host="nobody@127.0.0.1", password=secret),
            "rfc": SapRfc(host="127.0.0.1", client="100", user="LPMKIT", password=secret),
            "soap_rfc": SapSoapRfc(url=url, client="100", user="LPMKIT", password=secret),
        }
        settings = SapSystemSettings(partition="bxaix85", **{way: every[way]})
        one = open_system("BX5", settings, host="127.0.0.1", ssh_config=None, secrets=Secrets(may_ask=False))
        said = [one.ask_by(way, question) for question in ("work_processes", "jobs", "identity")]
        taken = one.snapshot()
    shown = "".join(repr(each.as_data()) for each in said) + repr(taken) + repr(vars(one.ways[way])) + caplog.text
    assert all(each.rows is None and each.trouble for each in said), said
    for user in ("bx5adm", "LPMKIT"):
        assert base64.b64encode(f"{user}:{worlds.PASSWORD}".encode()).decode() not in shown
    assert worlds.PASSWORD not in shown
