"""Announcements of the watched host on our own network: what counts, and what is somebody else's."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from lpmkit.config import PartitionSettings
from lpmkit.probes import arp
from lpmkit.probes.arp import ArpProbe, known_macs, read_frame
from lpmkit.probes.icmp import CannotProbe, Peer
from lpmkit.probes.orders import plan
from lpmkit.probes.process import Shared, build
from lpmkit.ssh.client import Route
from lpmkit.timeline import Clock, wait_until

HOST, OTHER = "192.0.2.85", "192.0.2.99"
MAC = bytes.fromhex("6a8880001204")


def frame(kind: int = arp.ARP, sender: str = HOST, target: str = HOST, mac: bytes = MAC) -> bytes:
    body = arp._ARP.pack(1, 0x0800, 6, 4, 1, mac, socket.inet_aton(sender), bytes(6), socket.inet_aton(target))
    return arp._ETHERNET.pack(b"\xff" * 6, mac, kind) + body


class Heard:
    """A sink that keeps the events."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def sample(self, *_: Any) -> None:
        raise AssertionError("it yields no samples")

    observation = sample

    def event(self, probe: str, kind: str, /, **data: Any) -> None:
        self.events.append({"kind": kind, **data})


def order() -> Any:
    found = plan("bxaix85", PartitionSettings(host="bxaix85", arp=True), None)
    return next(one for one in found if one.kind == "arp")


@pytest.fixture
def at_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arp, "peer", lambda _: Peer(socket.AF_INET, (HOST, 0)))
    monkeypatch.setattr(arp, "known_macs", lambda _: set())


@pytest.mark.usefixtures("at_host")
def test_announcements_of_the_host_are_told_and_those_of_others_are_not() -> None:
    ours, wire = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    wire.setblocking(False)
    heard, stop = Heard(), threading.Event()
    probe = ArpProbe(order(), Route("bxaix85", HOST, 22, "root"), sockets=lambda: [wire])
    thread = threading.Thread(target=probe.run, args=(stop, heard), daemon=True)
    thread.start()
    stranger = bytes.fromhex("020000000001")
    for one in (
        frame(sender=OTHER, target=OTHER),
        frame(target=OTHER),
        frame(arp.RARP, mac=stranger),
        b"short",
        frame(),
        frame(arp.RARP),
    ):
        ours.send(one)
    assert wait_until(lambda: len(heard.events) >= 2, clock=Clock(), timeout_s=60)
    stop.set()
    thread.join(timeout=60)
    ours.close()
    assert [(one["kind"], one["what"], one["mac"]) for one in heard.events] == [
        ("arp", "gratuitous ARP", "6a:88:80:00:12:04"),
        ("arp", "RARP", "6a:88:80:00:12:04"),
    ]


@pytest.mark.usefixtures("at_host")
def test_a_machine_that_may_not_listen_says_so_once() -> None:
    def refused() -> list[socket.socket]:
        raise CannotProbe("frames are shown to root or with CAP_NET_RAW only")

    heard = Heard()
    ArpProbe(order(), Route("bxaix85", HOST, 22, "root"), sockets=refused).run(threading.Event(), heard)
    assert [one["kind"] for one in heard.events] == ["probe-trouble"]
    assert heard.events[0]["what"].startswith("not looked at: ")


def test_a_frame_of_another_network_is_none() -> None:
    body = bytearray(frame())
    body[14:16] = b"\x00\x06"  # a token ring
    assert read_frame(bytes(body)) is None
    assert read_frame(frame(0x0800)) is None


def test_the_kernels_own_table_names_the_hardware_address(tmp_path: Path) -> None:
    table = tmp_path / "arp"
    table.write_text(
        "IP address       HW type     Flags       HW address            Mask     Device\n"
        f"{HOST}       0x1         0x2         6A:88:80:00:12:04     *        eth0\n"
        f"{OTHER}       0x1         0x0         00:00:00:00:00:00     *        eth0\n"
    )
    assert known_macs(HOST, str(table)) == {"6a:88:80:00:12:04"}
    assert known_macs(OTHER, str(table)) == set()
    assert known_macs(HOST, str(tmp_path / "none")) == set()


def test_the_probe_runs_only_where_the_site_file_asks_for_it() -> None:
    assert "arp" not in {one.kind for one in plan("h", PartitionSettings(host="h"), None)}
    assert isinstance(build(order(), {}, Shared()), ArpProbe)
