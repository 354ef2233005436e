"""Packets of an SSH connection that a loop reads: whole however they arrive, and given back where they are no data."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, CTR
from paramiko.common import MSG_KEXINIT
from paramiko.message import Message
from paramiko.packet import NeedRekeyException, Packetizer

from lpmkit.probes.ssh import EchoProbe
from lpmkit.ssh.rx_timestamps import StampedSocket
from lpmkit.ssh.turns import Packets
from lpmkit.timeline import Outcome
from tests.real_host import RealHost
from tests.test_probes import Running, _order, _session, _soon

KEY, IV = bytes(range(16)), bytes(range(16, 32))
TEXTS = ("a", "some longer line of a host", "", "x" * 5000, "b")


class Written:
    """A socket that keeps what is sent over it."""

    def __init__(self) -> None:
        self.content = b""

    def send(self, data: bytes) -> int:
        self.content += data
        return len(data)


def keyed(packets: Packetizer, mode: str, *, outbound: bool) -> None:
    """Give a packetizer the keys of one direction, as paramiko's transport does."""
    options: Any
    if mode == "gcm":
        options = {"aead": True, "iv_out" if outbound else "iv_in": IV[:12]}
        engine: Any = AESGCM(KEY)
        mac: Any = (None, 16, None)
    else:
        cipher = Cipher(AES(KEY), CBC(IV) if mode == "cbc" else CTR(IV))
        engine = cipher.encryptor() if outbound else cipher.decryptor()
        mac = hashlib.sha256, 32, KEY
        options = {"etm": mode == "etm"}
    (packets.set_outbound_cipher if outbound else packets.set_inbound_cipher)(engine, 16, *mac, **options)


def written(mode: str, *texts: str) -> list[bytes]:
    """The packets with these texts, as a host sends them."""
    wire = Written()
    sender = Packetizer(wire)  # type: ignore[arg-type] # the little of a socket that it uses
    keyed(sender, mode, outbound=True)
    packets = []
    for text in texts:
        message = Message()
        message.add_byte(bytes([paramiko.common.MSG_CHANNEL_DATA]))
        message.add_string(text)
        before = len(wire.content)
        sender.send_message(message)
        packets.append(wire.content[before:])
    return packets


class Read:
    """A connection whose packets a loop reads while a thread rests, as paramiko's does."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        ours, self.host = socket.socketpair()
        self.is_busy = False
        self.packets = Packets(StampedSocket.around(ours), lambda: self.is_busy)
        self.packets.wire.settimeout(0.01)
        keyed(self.packets, mode, outbound=False)
        self.by_thread: list[object] = []
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        self.packets.hand_over()
        assert self.packets.is_handed_over

    def _run(self) -> None:
        while not self.packets.closed:
            try:
                self.by_thread.append(text_of(self.packets.read_message()))
            except NeedRekeyException:
                continue
            except (EOFError, OSError) as error:
                self.by_thread.append(type(error))
                return

    def taken(self) -> list[str]:
        """The texts of the messages that are here."""
        texts = []
        while (message := self.packets.taken()) is not None:
            texts.append(text_of(message))
        return texts


def text_of(message: tuple[int, Message]) -> str:
    assert message[0] == paramiko.common.MSG_CHANNEL_DATA
    return message[1].get_text()


@pytest.fixture(params=["etm", "mac", "cbc", "gcm"])
def read(request: pytest.FixtureRequest) -> Iterator[Read]:
    connection = Read(request.param)
    yield connection
    connection.packets.close()
    connection.thread.join(10)
    assert not connection.thread.is_alive()
    connection.host.close()


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_packets_are_whole_however_they_arrive(read: Read, piece: int) -> None:
    content, texts = b"".join(written(read.mode, *TEXTS)), []
    for start in range(0, len(content), piece):
        read.host.sendall(content[start : start + piece])
        texts += read.taken()
    assert tuple(texts) == TEXTS
    assert read.by_thread == []


def test_what_the_loop_gives_back_is_the_threads_which_reads_on_until_it_may_rest(read: Read) -> None:
    first, second, third = written(read.mode, *TEXTS[:3])
    read.host.sendall(first)
    message = read.packets.taken()
    assert message is not None
    read.host.sendall(second[:20])
    assert read.packets.taken() is None, "a part of it is with the loop already"
    read.is_busy = True
    read.packets.give_back(message)
    until(lambda: len(read.by_thread) == 1)
    assert not read.packets.is_handed_over
    read.is_busy = False
    read.host.sendall(second[20:])
    until(lambda: read.packets.is_handed_over)
    assert read.by_thread == list(TEXTS[:2])
    read.host.sendall(third)
    assert read.taken() == [TEXTS[2]]


def until(condition: Any) -> None:
    deadline = threading.Event()
    for _ in range(1000):
        if condition():
            return
        deadline.wait(0.01)
    raise AssertionError("it never came about")


def test_an_end_of_the_connection_is_the_threads_to_tell(read: Read) -> None:
    read.host.close()
    with pytest.raises(EOFError) as ended:
        read.packets.taken()
    read.packets.give_back(ended.value)
    read.thread.join(10)
    assert read.by_thread == [EOFError]


def test_a_packet_that_was_changed_on_its_way_is_refused(read: Read) -> None:
    (packet,) = written(read.mode, "a text")
    read.host.sendall(packet[:-1] + bytes([packet[-1] ^ 1]))
    with pytest.raises(Exception, match=r"Mismatched MAC|^$"):
        read.packets.taken()


def test_a_line_is_sent_once_the_kernel_has_room_again() -> None:
    connection = Read("etm")
    keyed(connection.packets, "etm", outbound=True)
    message = Message()
    message.add_byte(bytes([paramiko.common.MSG_CHANNEL_DATA]))
    message.add_string(os.urandom(500_000))
    sending = threading.Thread(target=connection.packets.send_message, args=(message,))
    sending.start()
    received = 0
    while received < 500_000:
        received += len(connection.host.recv(65536))
    sending.join(10)
    assert not sending.is_alive()
    connection.packets.close()
    connection.thread.join(10)
    connection.host.close()


class Demanding(RealHost):
    """A host that wants new keys after some kilobytes."""

    def server_lines(self) -> list[str]:
        return [*super().server_lines(), "RekeyLimit 16K"]


def test_new_keys_cost_no_line_and_no_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: Counter[int] = Counter()
    give_back = Packets.give_back

    def given_back(packets: Packets, what: Any) -> None:
        counts[what[0] if isinstance(what, tuple) else 0] += 1
        give_back(packets, what)

    monkeypatch.setattr(Packets, "give_back", given_back)
    with Demanding(tmp_path / "host") as host, Running(EchoProbe(_order("echo", 5), _session(host))) as seen:
        _soon(lambda: counts[MSG_KEXINIT] >= 3)
        before = len(seen.samples)
        _soon(lambda: len(seen.samples) > before + 50)
    assert len(seen.of("session")) == 1
    assert not seen.of("probe-trouble")
    answered = [sample.seq for sample in seen.samples if sample.outcome is Outcome.ANSWERED]
    assert answered == list(range(1, len(answered) + 1))
    assert len(answered) > before
