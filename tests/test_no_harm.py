"""The watcher harms nobody: a refused login is final, a slow host gets one connection at a time, a reply has bounds."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import paramiko
import pytest

from lpmkit.errors import LoginRefused, NoAnswer
from lpmkit.probes.network import ConnectProbe
from lpmkit.probes.orders import ProbeOrder
from lpmkit.probes.ssh import EchoProbe, TickProbe
from lpmkit.ssh import client, logins
from lpmkit.ssh.client import Route, SshSession
from lpmkit.ssh.refusals import LogonNotTried
from lpmkit.timeline import Clock, Outcome, wait_until
from tests.test_probes import Running, Seen


@pytest.fixture(autouse=True)
def own_book() -> Iterator[None]:
    yield
    logins.forget_refusals()


def _order(kind: str, interval_ms: int) -> ProbeOrder:
    return ProbeOrder(name=f"ssh-{kind}", kind=kind, interval_ns=interval_ms * 1_000_000, host="h")


def _soon(condition: Any) -> None:
    assert wait_until(condition, clock=Clock(), timeout_s=60)


class Refusing(SshSession):
    """A host that refuses every password, and counts."""

    tried = 0

    def connect(self) -> None:
        with logins.login(self.route.account):
            Refusing.tried += 1
            raise LoginRefused("it does not let padmin in", where="h", answered="Authentication failed.")

    def stream(self, *_: Any) -> paramiko.Channel:
        self.connect()
        raise AssertionError


def test_a_refused_login_is_final_for_that_account_in_that_run_and_said_at_once() -> None:
    """A day of it: both probes, whose waits take no time, and the probes' process that was started again."""
    Refusing.tried = 0
    way = Route("h", "192.0.2.1", 22, "padmin")
    seen = Seen()
    stop = threading.Event()
    accounts = logins.keep_refusals()
    ticks, echo = TickProbe(_order("ticks", 10), Refusing(way)), EchoProbe(_order("echo", 100), Refusing(way))
    with Running(ticks, seen, stop=stop), Running(echo, seen, stop=stop):
        _soon(lambda: len(seen.of("probe-trouble")) >= 2)
    assert Refusing.tried == 1
    told = seen.of("probe-trouble")
    assert (
        sum(
            "1 login as ssh padmin@192.0.2.1:22 was refused and none follows in this run" in one["what"] for one in told
        )
        == 1
    )
    refused = next(one["refused"] for one in told if "refused" in one)
    assert refused.keys() == accounts.all_refused().keys()
    logins.keep_refusals(refused)  # another process of the same run
    with pytest.raises(LogonNotTried, match="so that the account is not locked"):
        Refusing(way).connect()
    assert Refusing.tried == 1
    logins.forget_refusals()
    with pytest.raises(LoginRefused):
        Refusing(way).connect()
    assert Refusing.tried == 2, "a front end tries again"


class SlowHost:
    """A server whose banner takes longer than the probe's interval, and longer the more connections are open: it
    serves one after the other.
    """

    def __init__(self, takes_s: float) -> None:
        self.takes_s, self.open_at_once, self.served = takes_s, 0, 0
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(50)
        self.port = self._listener.getsockname()[1]
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> SlowHost:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        waiting: list[socket.socket] = []
        clock = Clock()
        ready_ns = 0
        self._listener.settimeout(0.02)
        while not self._end.is_set():
            with suppress(TimeoutError):
                wire, _ = self._listener.accept()
                if not waiting:
                    ready_ns = clock.mono_ns() + int(self.takes_s * 1e9)
                waiting.append(wire)
            self.open_at_once = max(self.open_at_once, len(waiting))
            if waiting and clock.mono_ns() >= ready_ns:
                with suppress(OSError), waiting.pop(0) as wire:
                    wire.sendall(b"SSH-2.0-a\r\n")
                    self.served += 1
                ready_ns = clock.mono_ns() + int(self.takes_s * 1e9)


def connecting(host: SlowHost, interval_ms: int) -> Running:
    return Running(ConnectProbe(_order("connect", interval_ms), Route("slow", "127.0.0.1", host.port, "x")))


def test_a_host_that_is_slower_than_the_interval_is_asked_one_at_a_time_and_answers() -> None:
    with SlowHost(0.5) as host, connecting(host, 100) as seen:
        _soon(lambda: host.served >= 4)
    assert host.open_at_once == 1
    sent = [sample for sample in seen.samples if sample.sent_ns is not None]
    assert {sample.outcome for sample in sent[:-1]} == {Outcome.ANSWERED}
    assert [sample.seq for sample in sorted(seen.samples, key=lambda one: one.seq)] == list(
        range(1, len(seen.samples) + 1)
    ), "a row for every slot"


def test_a_host_that_accepts_and_shows_no_banner_is_waited_for_longer_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lpmkit.probes.network.GIVE_UP_NS", 50_000_000)
    with SlowHost(3600.0) as host, connecting(host, 10) as seen:
        _soon(lambda: len(seen.of("pace")) >= 3)
    took = [int(one["interval_ns"]) for one in seen.of("pace")]
    assert took[-1] > 100_000_000, "the wait grows, and the record says so"
    assert took == sorted(took)


# --- replies --------------------------------------------------------------------------------------------------------


class Endless:
    """A channel whose machine sends without end."""

    def __init__(self, wait: float = 0.0) -> None:
        self.sent = 0
        self._wire, self._other = socket.socketpair()
        self._other.sendall(b"x")
        self.eof_received = self.closed = False

    def fileno(self) -> int:
        return self._wire.fileno()

    def recv_ready(self) -> bool:
        return True

    def recv(self, count: int) -> bytes:
        self.sent += count
        return (b"begin" + b"y" * count)[:count] if self.sent == count else b"y" * count

    def recv_stderr_ready(self) -> bool:
        return False

    recv_stderr = recv

    def close(self) -> None:
        self._wire.close()
        self._other.close()


class Ticking(Clock):
    """A clock on which every look takes a millisecond."""

    now_ns = 0

    def mono_ns(self) -> int:
        self.now_ns += 1_000_000
        return self.now_ns


@pytest.mark.parametrize("many", [False, True], ids=["one command", "a line of many"])
def test_a_reply_without_end_is_cut_off_in_bytes_and_its_beginning_is_kept(
    monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    monkeypatch.setattr(client, "MAX_REPLY_BYTES", 1_000_000)
    session = SshSession(Route("h", "h", 22, "x"))
    channel, output = Endless(), bytearray()
    with pytest.raises(NoAnswer, match="was cut off") as caught:
        session._collect(channel, output, bytearray(), 10.0, "lspv", [] if many else None)  # type: ignore[arg-type]
    assert channel.sent < 1_200_000
    assert output.startswith(b"begin")
    assert str(caught.value.answered).startswith("begin")
    assert len(str(caught.value)) < 4000
    channel.close()


def test_a_reply_that_trickles_without_end_is_cut_off_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    session = SshSession(Route("h", "h", 22, "x"), clock=Ticking())
    channel = Endless()
    monkeypatch.setattr(channel, "recv", lambda count: b"z")
    with pytest.raises(NoAnswer, match="did not end within 2 s"):
        session._collect(channel, bytearray(), bytearray(), 2.0, "lspv")  # type: ignore[arg-type]
    channel.close()
