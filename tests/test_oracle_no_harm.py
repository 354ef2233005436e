"""A database's watcher locks no account and survives whatever answers at the listener's port."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from lpmkit.errors import NoAnswer
from lpmkit.oracle import driver_process
from lpmkit.oracle.connections import connect
from lpmkit.oracle.driver_choice import DatabaseAccess
from lpmkit.oracle.errors import QueryFailed, is_refused_account
from lpmkit.probes.oracle import AttemptProbe, SessionProbe, StateProbe
from lpmkit.probes.orders import ProbeOrder
from lpmkit.probes.watched_database import Database
from lpmkit.ssh.client import SshSession, route
from lpmkit.ssh.refusals import Accounts, LogonNotTried
from lpmkit.timeline import Outcome
from tests.served_database import Served
from tests.test_oracle_drivers import Kept


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    database = Served(tmp_path)
    yield database
    database.listener.close()


def wrong(served: Served, accounts: Accounts, password: str = "wrong") -> Database:
    return Database(served.way, password, SshSession(route("nowhere.invalid")), 5.0, accounts=accounts)


def refused_logons(served: Served) -> int:
    return served.instance.refused.get("LPMKIT", 0)


def test_all_probes_of_a_database_together_send_one_wrong_password(served: Served) -> None:
    database, kept, stop = wrong(served, Accounts()), Kept(), threading.Event()
    probes: list[Any] = [
        SessionProbe(ProbeOrder("ora-sql-BX5", "sql", 20_000_000), database),
        SessionProbe(ProbeOrder("ora-commit-BX5", "commit", 20_000_000, options={"commit_table": "T"}), database),
        AttemptProbe(
            ProbeOrder("ora-logon-BX5", "logon", 20_000_000),
            lambda: database.open(5.0).close(),
            5.0,
            accounts=database.accounts,
        ),
        StateProbe(ProbeOrder("ora-state-BX5", "db-state", 20_000_000), database),
    ]
    threads = [threading.Thread(target=probe.run, args=(stop, kept)) for probe in probes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    assert not any(thread.is_alive() for thread in threads), "a refused account ends each probe"
    assert refused_logons(served) == 1
    texts = [data["what"] for kind, data in kept.events if kind == "probe-trouble"]
    assert sum("1 logon was refused and none follows" in text and "ORA-01017" in text for text in texts) == 1
    assert sum("so that the account is not locked" in text for text in texts) == 3
    assert all("not tried" in sample.detail for sample in kept.samples), "a refusal is no sign of life"


def test_a_password_that_is_changed_in_mid_run_is_refused_once(served: Served) -> None:
    accounts = Accounts()
    good = wrong(served, accounts, "secret")
    good.open(5.0).close()
    served.instance.users["LPMKIT"] = "another"
    with pytest.raises(QueryFailed, match="ORA-01017"):
        good.open(5.0)
    for _ in range(3):
        with pytest.raises(LogonNotTried):
            good.open(5.0)
    assert refused_logons(served) == 1


def test_a_refusal_of_an_earlier_recorder_of_the_run_is_final_too(served: Served) -> None:
    accounts = Accounts()
    accounts.refuse(served.way.account, "ORA-01017")
    with pytest.raises(LogonNotTried, match="no other follows in this run"):
        wrong(served, accounts).open(5.0)
    assert refused_logons(served) == 0


def test_nobody_logs_on_while_the_first_logon_is_unanswered() -> None:
    accounts, inside, go_on = Accounts(), threading.Event(), threading.Event()

    def first() -> None:
        with accounts.attempt("a"):
            inside.set()
            go_on.wait(30.0)

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(30.0)
    with pytest.raises(NoAnswer, match="an earlier logon"), accounts.attempt("a", 0.01):
        pass
    go_on.set()
    thread.join(30.0)
    with accounts.attempt("a", 0.01), accounts.attempt("a", 0.01):
        pass  # credentials that worked are used side by side


@pytest.mark.parametrize(
    "code", ["ORA-01017", "ORA-1017", "ORA-28000", "ORA-28001", "ORA-01045", "ORA-65162", "ORA-01005"]
)
def test_these_refuse_an_account(code: str) -> None:
    assert is_refused_account(f"{code}: text")


@pytest.mark.parametrize(
    "code", ["ORA-12514", "ORA-01034", "ORA-12541", "ORA-00018", "ORA-28002", "DPY-4011", "ORA-010170"]
)
def test_these_do_not(code: str) -> None:
    assert not is_refused_account(f"{code}: text")


# --- whatever answers at the port -------------------------------------------------------------------------------------


@contextmanager
def answering(behave: Callable[[socket.socket], None]) -> Iterator[DatabaseAccess]:
    """Something at a port of this machine that is no listener."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                with suppress(TimeoutError):
                    wire, _ = server.accept()
                    with wire, suppress(OSError):
                        wire.settimeout(5.0)
                        wire.recv(4096)
                        behave(wire)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield DatabaseAccess("BX5", "thin", "BX5", f"127.0.0.1:{server.getsockname()[1]}", "LPMKIT")
        finally:
            over.set()
            thread.join(10.0)


def packet(kind: int, body: bytes = b"") -> bytes:
    return struct.pack(">HHBBH", 8 + len(body), 0, kind, 0, 0) + body


def redirects(wire: socket.socket) -> None:
    port = wire.getsockname()[1]
    there = f"(ADDRESS=(PROTOCOL=tcp)(HOST=127.0.0.1)(PORT={port}))".encode()
    wire.sendall(packet(5, struct.pack(">H", len(there)) + there) * 100)


def markers(wire: socket.socket) -> None:
    while True:
        wire.sendall(packet(12, b"\1\0\2") * 2000)


def noise(wire: socket.socket) -> None:
    while True:
        wire.sendall(os.urandom(65536))


def accepts_and_floods(wire: socket.socket) -> None:
    wire.sendall(packet(2, struct.pack(">HHHHHHHHBB", 319, 0, 8192, 65535, 1, 0, 32, 0, 1, 1) + bytes(20)))
    while True:
        wire.sendall(packet(6, bytes(8000)) * 10)


def hangs_up(wire: socket.socket) -> None:
    wire.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "behave", [redirects, markers, noise, accepts_and_floods, hangs_up], ids=lambda behave: behave.__name__
)
def test_a_hostile_listener_costs_one_child_and_ends_in_our_own_error(
    behave: Callable[[socket.socket], None], capfd: pytest.CaptureFixture[str]
) -> None:
    with answering(behave) as way, pytest.raises(QueryFailed) as caught:
        connect(way, "secret", None, 2.0)
    assert caught.value.outcome in (Outcome.LOST, Outcome.SILENT, Outcome.REFUSED)
    assert "Traceback" not in str(caught.value)
    assert "Traceback" not in capfd.readouterr().err


def dies(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def eats(*_: Any) -> None:
    bytearray(driver_process.MAX_MEMORY + (64 << 20))


def stands(*_: Any) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    threading.Event().wait()


@pytest.mark.parametrize(
    ("crash", "text"),
    [(dies, "ended with SIGSEGV"), (eats, "more than 512 MB of memory"), (stands, "no logon within 0.2 s; aborted")],
)
def test_a_driver_that_crashes_eats_or_hangs_becomes_an_error(
    crash: Callable[..., None], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child forks from this process here, so that it has the broken driver."""
    monkeypatch.setattr(driver_process, "_context", lambda: multiprocessing.get_context("fork"))
    monkeypatch.setattr(driver_process, "by_driver", crash)
    monkeypatch.setattr(driver_process, "GRACE_S", 0.3)
    with pytest.raises(QueryFailed, match=text) as caught:
        connect(DatabaseAccess("BX5", "thin", "BX5", "127.0.0.1:9", "LPMKIT"), "secret", None, 0.2)
    assert caught.value.dead
