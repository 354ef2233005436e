"""SAP's watcher locks no user and reads no reply without end."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lpmkit.errors import LpmError, NoAnswer, UnexpectedReply
from lpmkit.probes.sap import SapProbe
from lpmkit.recorder.probe_process import knowing
from lpmkit.runs.folder import Run, create
from lpmkit.runs.refusals import refused_accounts
from lpmkit.runs.writer import RunWriter
from lpmkit.sap import http_reply
from lpmkit.sap.load import Load
from lpmkit.sap.rfc import RfcCaller, logon
from lpmkit.sap.soaprfc import SoapCaller
from lpmkit.sap.system import System, open_system
from lpmkit.sap.webservice import start_service
from lpmkit.settings.sap import SapRfc, SapSoapRfc, SapSystemSettings
from lpmkit.simulator import Simulator
from lpmkit.ssh.refusals import Accounts, LogonNotTried
from lpmkit.ssh.secrets import Secrets
from tests import sap_worlds as worlds
from tests.test_sap_probes import Running, probe_of, soon


@pytest.fixture
def pyrfc() -> Iterator[Any]:
    with worlds.standin() as module:
        yield module


class Refusing:
    """A backend that counts logons and refuses each."""

    def __init__(self, module: Any) -> None:
        self.module, self.logons = module, 0

    def __call__(self, *_: Any) -> Any:
        self.logons += 1
        raise self.module.LogonError("Name or password is incorrect (repeat logon)", code=2, key="RFC_LOGON_FAILURE")


SETTINGS = SapSystemSettings(
    partition="bxaix85",
    rfc=SapRfc(user="LPMKIT", client="100", password="env:SECRET"),
    soap_rfc=SapSoapRfc(url="http://127.0.0.1:9", user="lpmkit", client="100", password="env:SECRET"),
)
QUESTIONS = ("identity", "jobs", "users", "updates", "dumps")


def opened(accounts: Accounts | None = None) -> System:
    return open_system(
        "BX5", SETTINGS, host="127.0.0.1", ssh_config=None, secrets=Secrets({"env:SECRET": "x"}), accounts=accounts
    )


def test_a_user_that_is_refused_is_tried_once_by_rfc_and_soap_together(pyrfc: Any) -> None:
    backend = pyrfc.BACKEND = Refusing(pyrfc)
    with closing(opened()) as system:
        first = system.ask("identity")
        for _ in range(20):
            for question in QUESTIONS:
                later = system.ask(question)
        requests = dict(system.load.counts)
    assert backend.logons == 1
    assert "Name or password is incorrect" in first.trouble
    assert later.rows is None
    assert "so that the account is not locked" in later.trouble
    assert "soap_rfc" not in requests, "the same user by another way would be the second failed logon"


def test_a_refusal_outlives_its_process(pyrfc: Any, tmp_path: Path) -> None:
    """The survey before the move, the probes, a second recorder and the survey after it are four processes, and one
    run.
    """
    backend = pyrfc.BACKEND = Refusing(pyrfc)
    with closing(opened()) as system:
        snapshot = system.snapshot(("identity", "users"))
    assert backend.logons == 1
    run = create(tmp_path, mode="move", title="t", facts={"probes": [], "site": {}})
    with RunWriter(run.path) as writer:
        writer.document("survey", {"sap": [{"system": "BX5", "refused": dict(snapshot.refused)}]})
    refused = refused_accounts(Run(run.path))
    with closing(opened(Accounts(refused))) as after:
        answer = after.ask("users")
    assert backend.logons == 1
    assert "not tried" in answer.trouble
    probe, _ = probe_of()
    order, *_ = knowing([replace(probe.order, group="sap")], refused)
    told = SapProbe(order, Secrets(), system=System("BX5", SETTINGS, [], Load(60))).system.accounts
    with pytest.raises(LogonNotTried), told.attempt("LPMKIT in client 100 of BX5"):
        pass


def test_a_refusal_is_said_at_once_with_the_count(pyrfc: Any) -> None:
    backend = pyrfc.BACKEND = Refusing(pyrfc)
    probe, _ = probe_of()
    probe.system = opened()
    with Running(probe) as seen:
        soon(lambda: "probe-trouble" in seen.kinds())
        soon(lambda: len(seen.rows) >= 8)
    texts = [data["what"] for kind, data in seen.events if kind == "probe-trouble"]
    assert backend.logons == 1
    assert len(texts) == 1
    assert texts[0].startswith("1 logon as LPMKIT in client 100 of BX5 was refused and none follows in this run")


def test_a_wrong_password_of_the_web_service_is_sent_once(
    simulator_with_sap: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LPM_SIMULATOR_SAP_PASSWORD", "wrong")
    system = worlds.simulated(simulator_with_sap, "webservice")
    for _ in range(10):
        for question in ("work_processes", "queues", "system_log", "locks", "processes"):
            system.ask(question)
    assert system.load.counts["webservice"] <= 2, "the WSDL and one call"


@pytest.fixture(scope="module")
def simulator_with_sap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with Simulator("p7pair", directory=tmp_path_factory.mktemp("simulator")) as simulator:
        yield simulator


def test_a_logon_that_hangs_is_not_doubled(monkeypatch: pytest.MonkeyPatch, pyrfc: Any) -> None:
    monkeypatch.setattr("lpmkit.sap.rfc.CONNECT_TIMEOUT_S", 0.05)
    go_on, logons = threading.Event(), []

    class Slow:
        def __init__(self, **_: Any) -> None:
            logons.append(1)
            go_on.wait(30.0)
            raise pyrfc.LogonError("Name or password is incorrect", code=2, key="RFC_LOGON_FAILURE")

    monkeypatch.setattr(pyrfc, "Connection", Slow)
    caller = RfcCaller("rfc", logon(host="h", number="00", client="100", user="U", password="x"))
    for _ in range(3):
        with pytest.raises(NoAnswer):
            caller.call("RFC_PING")
    go_on.set()
    with pytest.raises(LpmError, match="logon failed"):
        caller._logon.within(30.0) if caller._logon else caller.call("RFC_PING")
    assert len(logons) == 1


# --- replies ----------------------------------------------------------------------------------------------------------


@contextmanager
def serving(write: Callable[[socket.socket], None]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                with suppress(TimeoutError):
                    wire, _ = server.accept()
                    with wire, suppress(OSError):
                        wire.settimeout(5.0)
                        wire.recv(65536)
                        write(wire)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            thread.join(10.0)


def endless(wire: socket.socket) -> None:
    wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n<a>")
    while True:
        wire.sendall(b"x" * 65536)


def drips(wire: socket.socket) -> None:
    wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n<a>")
    stop = threading.Event()
    while not stop.wait(0.02):
        wire.sendall(b"x")


BOMB = gzip.compress(bytes(8 << 20))


def bomb(wire: socket.socket) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(BOMB)}\r\n\r\n"
    wire.sendall(head.encode() + BOMB)


def elsewhere(wire: socket.socket) -> None:
    wire.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/evil\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (endless, "longer than 1 MB"),
        (drips, "did not end within 0.6 s"),
        (bomb, "compressed"),
        (elsewhere, "redirects to 'http://192.0.2.1/evil', which is not followed"),
    ],
    ids=["endless", "drips", "bomb", "redirect"],
)
def test_a_reply_is_bounded_in_bytes_time_and_place(
    write: Callable[[socket.socket], None], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_reply, "MAX_REPLY", 1 << 20)
    limit_s = 0.2 if write is drips else 20.0
    with serving(write) as port:
        for ask in (
            lambda: start_service("127.0.0.1", port, timeout_s=limit_s).call("GetProcessList"),
            lambda: SoapCaller(
                f"http://127.0.0.1:{port}", client="100", user="u", password="p", timeout_s=limit_s
            ).call("RFC_PING"),
        ):
            with pytest.raises((UnexpectedReply, NoAnswer), match=text):
                ask()
