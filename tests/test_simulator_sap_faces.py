"""The SAP system as its clients meet it: zeep on the WSDL, plain HTTP, raw NI, the OpenSSH client.

One model behind all of them.
"""

from __future__ import annotations

import contextlib
import http.client
import shlex
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
import requests
import zeep
from zeep.transports import Transport

from lpmkit.simulator import Simulator
from lpmkit.simulator.sap import dispatcher
from lpmkit.simulator.sap.envelope import LONGEST_REQUEST
from lpmkit.simulator.sap.faces import Ports
from lpmkit.simulator.sap.installation import hardware_key
from tests.simulator_cases import FAST, Answer, migrate, ssh, until

PING, PONG = dispatcher.frame(dispatcher.PING), dispatcher.frame(dispatcher.PONG)
MOVE_P7 = "migrlpar -o m -m Server-9117-MMD-SN1045EE7 -t '9117-MMD*1052C4F' -p p7aix01"
BRIDGE = (
    "use IO::Socket::UNIX; my $s=IO::Socket::UNIX->new(Peer=>$ARGV[0]) or die qq($!\\n);"
    "local $/; print $s scalar <STDIN>; $s->flush; my $b; print $b while sysread($s,$b,65536);"
)


@pytest.fixture(scope="module")
def current() -> Iterator[Simulator]:
    """A system of today, with everything. Nothing in these tests changes it for good."""
    with Simulator("p7pair", speed=FAST) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def old() -> Iterator[Simulator]:
    """R/3 4.7: function modules, NI and the command line, no sapstartsrv."""
    with Simulator("js22", speed=FAST) as simulator:
        yield simulator


def at(simulator: Simulator, service: str, partition: str = "") -> tuple[str, int]:
    """Address and port of a service."""
    partition = partition or next(iter(simulator.hosts))
    return simulator.addresses[partition], simulator.hosts[partition].ports[service]


def url(simulator: Simulator, service: str) -> str:
    return "http://{}:{}".format(*at(simulator, service))


def web(user: str = "", password: str = "") -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    if user:
        session.auth = (user, password)
    return session


def client(simulator: Simulator, service: str = "start_service", **given: Any) -> zeep.Client:
    session = web("p7dadm", simulator.sap_password)
    return zeep.Client(f"{url(simulator, service)}/?wsdl", transport=Transport(session=session, timeout=10, **given))


def soap(function: str, inner: str = "", namespace: str = "urn:SAPControl", head: str = "") -> str:
    return (
        f'<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Header>{head}</S:Header><S:Body>'
        f'<u:{function} xmlns:u="{namespace}">{inner}</u:{function}></S:Body></S:Envelope>'
    )


class Rfc:
    """The function modules of a system by SOAP-RFC."""

    def __init__(self, simulator: Simulator, language: str = "EN") -> None:
        self.web = web("LPMKIT", simulator.sap_password)
        self.url = f"{url(simulator, 'http')}/sap/bc/soap/rfc?sap-client=100&sap-language={language}"

    def post(self, function: str, inner: str = "", head: str = "") -> requests.Response:
        body = soap(function, inner, "urn:sap-com:document:sap:rfc:functions", head)
        return self.web.post(self.url, data=body.encode(), timeout=10)

    def rows(self, function: str, table: str, inner: str = "") -> list[dict[str, str]]:
        answer = self.post(function, f"{inner}<{table}/>")
        assert answer.status_code == 200, answer.text
        found = next(ElementTree.fromstring(answer.content).iter(table))
        return [{leaf.tag: leaf.text or "" for leaf in item} for item in found]

    def jobs(self) -> dict[tuple[str, str], str]:
        """Name and count of every job, and its status, cut by the offsets that came back."""
        names = "".join(f"<item><FIELDNAME>{name}</FIELDNAME></item>" for name in ("STATUS", "JOBNAME", "JOBCOUNT"))
        answer = self.post("RFC_READ_TABLE", f"<QUERY_TABLE>TBTCO</QUERY_TABLE><FIELDS>{names}</FIELDS><DATA/>")
        tree = ElementTree.fromstring(answer.content)
        place = {
            text(item, "FIELDNAME"): slice(
                int(text(item, "OFFSET")), int(text(item, "OFFSET")) + int(text(item, "LENGTH"))
            )
            for item in next(tree.iter("FIELDS"))
        }
        rows = [text(item, "WA") for item in next(tree.iter("DATA"))]
        return {(row[place["JOBNAME"]].strip(), row[place["JOBCOUNT"]]): row[place["STATUS"]] for row in rows}


def text(item: ElementTree.Element, name: str) -> str:
    """The text of a leaf that must be there."""
    found = item.findtext(name)
    assert found is not None, name
    return found


def as_admin(simulator: Simulator, line: str, stdin: str = "") -> Answer:
    partition = next(found for found in simulator.world.partitions if found.host)
    assert partition.sap is not None
    done = subprocess.run(
        ["ssh", "-F", str(simulator.ssh_config), "-l", partition.sap.administrator, partition.name, line],
        input=stdin, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return Answer(done.stdout, done.stderr, done.returncode)


# --- sapstartsrv ----------------------------------------------------------------------------------------------------


def test_zeep_reads_the_description_and_calls_every_function(current: Simulator) -> None:
    service = client(current).service
    assert [each.name for each in service.GetProcessList()] == ["disp+work", "igswd_mt", "gwrd", "icman"]
    assert len(service.ABAPGetWPTable()) == 40
    assert {each.Instance for each in service.ABAPGetSystemWPTable(activeonly=True)} == {"p7aix01_P7D_00"}
    assert [each.Typ for each in service.GetQueueStatistic()][:2] == ["ABAP/NOWP", "ABAP/DIA"]
    assert {each.Severity for each in service.ABAPReadSyslog()} == {
        "SAPControl-GREEN",
        "SAPControl-YELLOW",
        "SAPControl-RED",
    }
    instances = service.GetSystemInstanceList(timeout=0)
    assert [(each.instanceNr, each.features) for each in instances] == [
        (1, "MESSAGESERVER|ENQUE"),
        (0, "ABAP|GATEWAY|ICMAN|IGS"),
    ]
    properties = {each.property: each.value for each in service.GetInstanceProperties()}
    assert (properties["SAPSYSTEMNAME"], properties["INSTANCE_NAME"]) == ("P7D", "D00")
    assert service.GetVersionInfo()[1].VersionInfo.startswith("753, patch 900, changelist ")
    assert service.GetAlertTree()[0].parent == -1
    central = client(current, "start_service_central").service
    assert [each.name for each in central.GetProcessList()] == ["msg_server", "enserver"]
    assert central.EnqGetStatistic()["replication-state"] == "SAPControl-GREEN"
    assert {each.user for each in central.EnqGetLockTable()} >= {"HOFFMANP", "PPBATCH"}


def test_what_an_instance_has_not_got_is_a_fault(current: Simulator) -> None:
    with pytest.raises(zeep.exceptions.Fault, match=r"^DpAttachStartService failed$"):
        client(current, "start_service_central").service.ABAPGetWPTable()
    with pytest.raises(zeep.exceptions.Fault):
        client(current).service.EnqGetLockTable()


def test_protected_functions_ask_for_the_password_and_open_ones_do_not(current: Simulator) -> None:
    place = url(current, "start_service") + "/SAPControl.cgi"
    assert web().post(place, data=soap("GetProcessList"), timeout=10).status_code == 200
    asked = web().post(place, data=soap("ABAPGetWPTable"), timeout=10)
    assert (asked.status_code, asked.headers["WWW-Authenticate"][:5]) == (401, "Basic")
    assert web("p7dadm", "wrong").post(place, data=soap("GetProcessList"), timeout=10).status_code == 401
    assert web("p7dadm", current.sap_password).post(place, data=soap("ABAPGetWPTable"), timeout=10).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no xml",
        "<a/>",
        soap("Nothing"),
        '<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>',
        "<S:Envelope xmlns:S='x'><S:Body/></S:Envelope>",
    ],
)
def test_what_is_no_request_is_a_fault_and_the_server_lives_on(current: Simulator, body: str) -> None:
    place = url(current, "start_service")
    answer = web().post(place, data=body, timeout=10)
    assert answer.status_code == 500
    assert "<faultcode>SOAP-ENV:Client</faultcode>" in answer.text
    assert web().post(place, data=soap("GetProcessList"), timeout=10).status_code == 200


def test_a_request_that_is_too_long_is_refused_before_it_is_read(current: Simulator) -> None:
    connection = http.client.HTTPConnection(*at(current, "start_service"), timeout=10)
    connection.request("POST", "/", headers={"Content-Length": str(LONGEST_REQUEST + 1)})
    assert connection.getresponse().status == 413
    connection.close()


def test_over_tls_the_certificate_can_be_verified(current: Simulator) -> None:
    address, port = at(current, "start_service_tls")
    session = web("p7dadm", current.sap_password)
    session.verify = str(current.directory / "sap_p7aix01.pem")
    answer = session.post(f"https://{address}:{port}/", data=soap("ABAPGetWPTable"), timeout=10)
    assert answer.status_code == 200
    assert f"https://{address}:{port}/SAPControl.cgi" in session.get(f"https://{address}:{port}/?wsdl", timeout=10).text
    with pytest.raises(ssl.SSLCertVerificationError), socket.create_connection((address, port), 10) as raw:
        ssl.create_default_context().wrap_socket(raw, server_hostname=address)


def test_the_local_socket_asks_for_no_password(current: Simulator) -> None:
    """By perl on the host, as on an AIX without a netcat for such sockets, and by OpenSSH's own forwarding."""
    body = soap("ABAPGetWPTable")
    asked = f"POST / HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    answer = as_admin(current, f"perl -e {shlex.quote(BRIDGE)} /tmp/.sapstream50013", asked)
    assert answer.out.startswith("HTTP/1.1 200 OK")
    assert answer.out.count("<Typ>DIA</Typ>") == 22
    with forwarded(current, "/tmp/.sapstream50013") as (host, port):
        assert web().post(f"http://{host}:{port}/", data=body, timeout=10).status_code == 200
    with forwarded(current, "localhost:50013") as (host, port):
        assert web().post(f"http://{host}:{port}/", data=body, timeout=10).status_code == 401


@contextlib.contextmanager
def forwarded(simulator: Simulator, destination: str) -> Iterator[tuple[str, int]]:
    """A port of this machine that OpenSSH forwards to a place of the host."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        "ssh",
        "-F",
        str(simulator.ssh_config),
        "-N",
        "-o",
        "ExitOnForwardFailure=yes",
        "-L",
        f"127.0.0.1:{port}:{destination}",
        "p7aix01",
    ]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        until(lambda: accepts(port))
        yield "127.0.0.1", port
    finally:
        child.kill()
        child.wait()


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_sapstartsrv_may_take_connections_and_never_answer() -> None:
    with Simulator("p7pair", speed=FAST, faults=["sapstartsrv-hangs,after=1,times=2"]) as simulator:
        place = url(simulator, "start_service")
        assert web().post(place, data=soap("GetProcessList"), timeout=10).status_code == 200
        for _ in range(2):
            with pytest.raises(requests.ReadTimeout):
                web().post(place, data=soap("GetProcessList"), timeout=0.3)
        assert web().post(place, data=soap("GetProcessList"), timeout=10).status_code == 200
        simulator.inject("sapstartsrv-denies,times=1")
        until(
            lambda: (
                web("p7dadm", simulator.sap_password).post(place, data=soap("GetProcessList"), timeout=10).status_code
                == 401
            )
        )
        simulator.inject("sapstartsrv-wsdl")
        until(lambda: "GetAlertTree" not in web().get(f"{place}/?wsdl", timeout=10).text)
        sparse = client(simulator).service.GetProcessList()
        assert "pid" not in sparse[0]
        assert sparse[0].name == "disp+work"
        simulator.inject("sapstartsrv-gone")
        until(lambda: refused(*at(simulator, "start_service")))
        gone = as_admin(simulator, "sapcontrol -nr 00 -function GetProcessList")
        assert (gone.status, "NIECONN_REFUSED" in gone.out) == (1, True)
        assert not refused(*at(simulator, "dispatcher"))


# --- command line ---------------------------------------------------------------------------------------------------


def test_the_administrator_and_root_reach_the_same_commands(current: Simulator) -> None:
    asked = "sapcontrol -nr 00 -function GetProcessList"
    assert as_admin(current, asked).status == 3
    assert ssh(current, "p7aix01", f"su - p7dadm -c '{asked}'").status == 3
    assert ssh(current, "p7aix01", f"/usr/sap/hostctrl/exe/{asked}").status == 3
    assert ssh(current, "p7aix01", asked).status == 127
    assert as_admin(current, "whoami; id").out == "p7dadm\nuid=205(p7dadm) gid=201(sapsys) groups=202(oper),203(dba)\n"
    assert as_admin(current, "su - root -c id").status == 1
    assert "kernel release                753" in as_admin(current, "disp+work -V").out


def test_nobody_else_logs_in(current: Simulator) -> None:
    done = subprocess.run(
        ["ssh", "-F", str(current.ssh_config), "-l", "bx5adm", "p7aix01", "id"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 255


def test_an_old_system_is_seen_by_its_processes_and_dpmon(old: Simulator) -> None:
    shown = as_admin(old, "ps -ef").out
    assert shown.count("dw.sapBX5_DVEBMGS00 pf=") == 41
    assert all(
        f"{name}.sapBX5_DVEBMGS00 pf=" in shown or f"{name}.sapBX5_DVEBMGS00 -F" in shown for name in ("ms", "co", "se")
    )
    table = as_admin(old, "dpmon pf=/usr/sap/BX5/SYS/profile/BX5_DVEBMGS00_bxaix85 p", "q\n").out
    rows = {row["WP_NO"].strip(): row["WP_PID"] for row in Rfc(old).rows("TH_WPINFO", "WPLIST")}
    seen = [line.split() for line in table.splitlines() if line[:2].strip().isdigit()]
    assert {words[0]: words[2] for words in seen} == rows
    assert as_admin(old, "sapcontrol -nr 00 -function GetProcessList").status == 127
    assert set(old.hosts["bxaix85"].ports) == {"dispatcher", "gateway", "message_server", "http", "oracle"}
    assert as_admin(old, "echo q | dpmon pf=x m").out.endswith("--> ")


# --- function modules -----------------------------------------------------------------------------------------------


def test_a_logon_is_needed_for_function_modules(old: Simulator) -> None:
    place = f"{url(old, 'http')}/sap/bc/soap/rfc"
    assert web().post(place, data=soap("RFC_PING"), timeout=10).status_code == 401
    assert web("LPMKIT", "wrong").post(place, data=soap("RFC_PING"), timeout=10).status_code == 401
    assert (
        web("LPMKIT", old.sap_password).post(f"{place}?sap-client=000", data=soap("RFC_PING"), timeout=10).status_code
        == 401
    )
    assert Rfc(old).post("RFC_PING").status_code == 200
    assert web().get(f"{url(old, 'http')}/sap/bc/gui", timeout=10).status_code == 404


def test_a_table_comes_back_only_when_it_is_named(old: Simulator) -> None:
    assert "<LIST>" not in Rfc(old).post("TH_USER_LIST").text
    assert len(Rfc(old).rows("TH_USER_LIST", "LIST")) == 14


def test_refusals_of_module_and_runtime_look_different(old: Simulator) -> None:
    answer = Rfc(old).post("RFC_READ_TABLE", "<QUERY_TABLE>NIX</QUERY_TABLE>")
    assert answer.status_code == 500
    assert "RFC_READ_TABLE.Exception" in answer.text
    assert "<Name>TABLE_NOT_AVAILABLE</Name>" in answer.text
    answer = Rfc(old).post("Z_NIX")
    assert "<type>FU_NOT_FOUND</type>" in answer.text
    assert "<type>CALL_FUNCTION_NOT_REMOTE</type>" in Rfc(old).post("BP_JOB_SELECT").text


def test_a_scheduler_logon_is_kept_by_the_cookie_alone(old: Simulator) -> None:
    rfc = Rfc(old)
    logon = "<EXTCOMPANY>US</EXTCOMPANY><EXTPRODUCT>IT</EXTPRODUCT><INTERFACE>XBP</INTERFACE><VERSION>2.0</VERSION>"
    select = "<EXTERNAL_USER_NAME>ME</EXTERNAL_USER_NAME><JOB_SELECT_PARAM><JOBNAME>*</JOBNAME><USERNAME>*</USERNAME></JOB_SELECT_PARAM><JOB_HEAD/>"
    assert "Set-Cookie" not in rfc.post("BAPI_XMI_LOGON", logon).headers
    assert "<JOB_HEAD></JOB_HEAD>" in rfc.post("BAPI_XBP_JOB_SELECT", select).text
    rfc.post("BAPI_XMI_LOGON", logon, head="<enableSession>true</enableSession>")
    jobs = rfc.post("BAPI_XBP_JOB_SELECT", select).text
    assert jobs.count("<JOBNAME>") >= 25
    assert "<ENDDATE>0000-00-00</ENDDATE>" in jobs
    rfc.web.cookies.clear()
    assert "<JOB_HEAD></JOB_HEAD>" in rfc.post("BAPI_XBP_JOB_SELECT", select).text


def test_lsconf_from_inside_sap_is_the_partition_s_own(old: Simulator) -> None:
    lines = [
        row["MESSAGE"]
        for row in Rfc(old).rows("SXPG_COMMAND_EXECUTE", "EXEC_PROTOCOL", "<COMMANDNAME>ZLSCONF</COMMANDNAME>")
    ]
    assert lines == [line or "" for line in ssh(old, "bxaix85", "lsconf").lines]
    assert "Machine Serial Number: 10071DA" in lines


# --- NI -------------------------------------------------------------------------------------------------------------


def test_the_dispatcher_answers_pings_on_one_connection(old: Simulator) -> None:
    with socket.create_connection(at(old, "dispatcher"), 10) as gui:
        for _ in range(3):
            gui.sendall(PING)
            assert gui.recv(64) == PONG
        gui.sendall(PING[:5])
        gui.sendall(PING[5:] + PING)
        assert read_exactly(gui, 24) == PONG + PONG
        gui.sendall(dispatcher.frame(b"a logon that is none"))
        assert gui.recv(64) == b""


def read_exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (more := connection.recv(count - len(data))):
        data += more
    return data


def test_the_dispatcher_pings_a_silent_peer_and_drops_one_that_does_not_answer() -> None:
    dead: list[str] = []
    ports = Ports("127.0.0.1")
    ports.listen("dispatcher", 0, dispatcher.serve(0.1, 0.2, dead.append))
    ports.start()
    place = ("127.0.0.1", ports.numbers["dispatcher"])
    with socket.create_connection(place, 10) as alive, socket.create_connection(place, 10) as silent:
        for _ in range(2):
            assert read_exactly(alive, 12) == PING
            alive.sendall(PONG)
        assert read_exactly(silent, 12) == PING
        assert silent.recv(64) == b""
        assert dead
        assert dead[0] == "127.0.0.1"
        alive.sendall(PING)
        assert PONG in read_exactly(alive, 24)
    ports.close("dispatcher")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(place, 10)


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", struct.pack(">I", 3) + b"abc", b"GET / HTTP/1.0\r\n\r\n"])
def test_what_is_no_frame_ends_the_connection_and_nothing_else(old: Simulator, data: bytes) -> None:
    with socket.create_connection(at(old, "dispatcher"), 10) as gui:
        gui.sendall(data)
        assert gui.recv(64) == b""
    with socket.create_connection(at(old, "dispatcher"), 10) as gui:
        gui.sendall(PING)
        assert gui.recv(64) == PONG


# --- one model ------------------------------------------------------------------------------------------------------


def test_the_four_ways_in_see_the_same_work_processes(current: Simulator) -> None:
    through_soap = {each.No: (each.Typ, each.Pid) for each in client(current).service.ABAPGetWPTable()}
    through_shell = {}
    for line in as_admin(current, "sapcontrol -nr 00 -function ABAPGetWPTable").lines[5:]:
        number, kind, pid = line.split(", ")[:3]
        through_shell[int(number)] = (kind, int(pid))
    through_rfc = {
        int(row["WP_INDEX"]): (row["WP_TYP"], int(row["WP_PID"])) for row in Rfc(current).rows("TH_WPINFO", "WPLIST")
    }
    pids = {int(line.split()[0]) for line in ssh(current, "p7aix01", "ps -e -o pid=,args= | grep dw.sapP7D").lines}
    assert through_soap == through_shell == through_rfc
    assert {pid for _, pid in through_soap.values()} < pids


def test_a_job_runs_in_the_work_process_that_the_table_says(current: Simulator) -> None:
    running = {name for (name, _), status in Rfc(current).jobs().items() if status == "R"}
    busy = {
        each.Program for each in client(current).service.ABAPGetWPTable() if each.Typ == "BTC" and each.Status == "Run"
    }
    assert {"RMMRP000", "SAPF124", "SDBILLDL"} <= busy
    assert {"MRP_RUN_PLANT_1000", "FI_SAPF124_CLEARING", "SD_BILLING_VF06"} <= running


# --- the freeze and the move ----------------------------------------------------------------------------------------


def test_while_the_partition_is_suspended_nothing_of_sap_answers_and_then_everything_goes_on(
    current: Simulator,
) -> None:
    host = current.hosts["p7aix01"]
    place = url(current, "start_service")
    with contextlib.ExitStack() as held:
        gui = held.enter_context(socket.create_connection(at(current, "dispatcher"), 10))
        kept = held.enter_context(web())
        assert kept.post(place, data=soap("GetProcessList"), timeout=10).status_code == 200
        gui.sendall(PING)
        assert gui.recv(64) == PONG
        host.suspend()
        try:
            gui.settimeout(0.3)
            gui.sendall(PING)
            with pytest.raises(TimeoutError):
                gui.recv(64)
            for service, body in (("start_service", soap("GetProcessList")), ("http", soap("RFC_PING"))):
                with pytest.raises(requests.ReadTimeout):
                    web().post(url(current, service), data=body, timeout=0.3)
            shell = subprocess.Popen(
                ["ssh", "-F", str(current.ssh_config), "p7aix01",
                 "/usr/sap/hostctrl/exe/sapcontrol -nr 0 -function GetProcessList"],
                stdout=subprocess.PIPE,
            )  # fmt: skip
            with pytest.raises(subprocess.TimeoutExpired):
                shell.wait(0.3)
        finally:
            host.resume()
        gui.settimeout(10)
        assert gui.recv(64) == PONG, "what was asked in the suspension is answered after it, on the same connection"
        assert kept.post(place, data=soap("GetProcessList"), timeout=10).status_code == 200
        with shell:
            assert shell.stdout is not None
            assert b"disp+work" in shell.stdout.read()
        assert shell.returncode == 3


def test_after_a_move_the_key_is_another_and_the_jobs_are_the_same() -> None:
    faults = [
        "sap-licence-missing",
        "sap-job-cancelled:FI_SAPF124_CLEARING",
        "sap-work-process-died:2",
        "sap-user-cut:HOFFMANP",
    ]
    with Simulator("p7pair", speed=FAST, faults=faults) as simulator:
        before, pids = Rfc(simulator).jobs(), pids_of(simulator)
        here, there = (simulator.world.frame(name) for name in ("p7a", "p7b"))
        assert key_of(simulator) == hardware_key(f"000{here.serial[-5:]}4C00".upper())
        assert ssh(simulator, "hmc01", MOVE_P7).status == 0
        until(lambda: Rfc(simulator).jobs()[cancelled(before)] == "A")
        new = hardware_key(f"000{there.serial[-5:]}4C00".upper())
        assert key_of(simulator) == new
        assert new not in as_admin(simulator, "saplikey pf=x -show").out
        after, changed = Rfc(simulator).jobs(), pids_of(simulator)
        assert [key for key, status in before.items() if status == "R" and after[key] not in "RF"] == [
            cancelled(before)
        ]
        assert [number for number, pid in pids.items() if changed[number] != pid] == [2]
        assert "HOFFMANP" not in {row["BNAME"] for row in Rfc(simulator).rows("TH_USER_LIST", "LIST")}
        texts = [each.Text for each in client(simulator).service.ABAPReadSyslog()]
        assert 'Run-time error "ZDATE_LARGE_TIME_DIFF" occurred' in texts
        assert "Connection to user 23 (HOFFMANP), terminal PCFI0007 lost" in texts
        assert Rfc(simulator).rows("TH_WPINFO", "WPLIST")[2]["WP_DUMPS"] == "1"


def cancelled(jobs: dict[tuple[str, str], str]) -> tuple[str, str]:
    return next(key for key in jobs if key[0] == "FI_SAPF124_CLEARING")


def pids_of(simulator: Simulator) -> dict[int, str]:
    return {int(row["WP_INDEX"]): row["WP_PID"] for row in Rfc(simulator).rows("TH_WPINFO", "WPLIST")}


def key_of(simulator: Simulator) -> str:
    shown = as_admin(simulator, "saplikey pf=x -get").out
    return next(line.split(":")[1].split()[0] for line in shown.splitlines() if line.startswith("Hardware Key"))


def test_without_a_dispatcher_only_the_start_service_answers() -> None:
    with Simulator("js22", speed=FAST, faults=["sap-dispatcher-gone"]) as simulator:
        assert Rfc(simulator).post("RFC_PING").status_code == 200
        assert ssh(simulator, "bvio82", migrate()).status == 0
        until(lambda: refused(*at(simulator, "dispatcher")))
        assert refused(*at(simulator, "http"))
        assert not refused(*at(simulator, "message_server"))
        assert "DpMonInit failed" in as_admin(simulator, "dpmon pf=x p").out
        assert "dw.sapBX5" not in as_admin(simulator, "ps -ef").out


def refused(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) != 0


def test_two_simulators_have_their_customary_ports_side_by_side(current: Simulator) -> None:
    with Simulator("p7pair", speed=FAST) as second:
        assert second.addresses["p7aix01"] != current.addresses["p7aix01"]
        assert second.hosts["p7aix01"].ports["dispatcher"] == current.hosts["p7aix01"].ports["dispatcher"] == 3200


def test_a_port_that_somebody_else_has_is_replaced_by_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = Ports("127.0.0.1")
        ports.listen("http", taken.getsockname()[1], lambda connection: None)
        assert ports.numbers["http"] not in (0, taken.getsockname()[1])
        ports.close("http")


def test_the_password_is_in_no_file_of_the_simulator(old: Simulator) -> None:
    found = [
        path for path in old.directory.rglob("*") if path.is_file() and old.sap_password.encode() in path.read_bytes()
    ]
    assert found == []


def test_many_clients_at_once_are_all_served(current: Simulator) -> None:
    answers: list[int] = []

    def ask() -> None:
        answers.append(web().post(url(current, "start_service"), data=soap("GetProcessList"), timeout=20).status_code)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 20
