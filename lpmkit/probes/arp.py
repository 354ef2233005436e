"""Announcements of an address on this machine's own network: gratuitous ARP and RARP of the watched host.

A host that resumes elsewhere announces itself, so that switches learn the new way to it. Only listens, on this
machine's own interfaces, which needs root or CAP_NET_RAW; it sees what reaches this segment. A frame shows that the
host, or the I/O server in its name, sent it; it says nothing of the time of the suspension.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lpmkit.probes.icmp import CannotProbe, peer
from lpmkit.probes.orders import ProbeOrder, Sink
from lpmkit.ssh.client import Route
from lpmkit.timeline import Clock, TroubleCode

#: Types of Ethernet frames: ARP (RFC 826) and RARP (RFC 903).
ARP, RARP = 0x0806, 0x8035
#: Announcements that are noted in one recording.
MOST = 200
_ETHERNET = struct.Struct("!6s6sH")
_ARP = struct.Struct("!HHBBH6s4s6s4s")


@dataclass(frozen=True, slots=True)
class Announcement:
    """A frame by which a host makes itself known: ``kind`` is ``gratuitous ARP`` or ``RARP``; the address is empty
    in a RARP frame, which has none yet.
    """

    kind: str
    mac: str
    address: str


def read_frame(frame: bytes) -> Announcement | None:
    """The announcement in an Ethernet frame; ``None`` for any other frame.

    >>> body = _ARP.pack(1, 0x0800, 6, 4, 1, bytes(6), bytes([192, 0, 2, 85]), bytes(6), bytes([192, 0, 2, 85]))
    >>> read_frame(_ETHERNET.pack(b"\\xff" * 6, b"\\x6a\\x88\\x80\\x00\\x12\\x04", ARP) + body).address
    '192.0.2.85'
    """
    if len(frame) < _ETHERNET.size + _ARP.size:
        return None
    _, source, kind = _ETHERNET.unpack_from(frame)
    if kind not in (ARP, RARP):
        return None
    hardware, protocol, hardware_size, size, _, _, sender, _, target = _ARP.unpack_from(frame, _ETHERNET.size)
    if (hardware, protocol, hardware_size, size) != (1, 0x0800, 6, 4):
        return None
    mac = source.hex(":")
    if kind == RARP:
        return Announcement("RARP", mac, "")
    if sender != target:
        return None  # a question about somebody else
    return Announcement("gratuitous ARP", mac, socket.inet_ntoa(sender))


def open_sockets() -> list[socket.socket]:
    """Sockets that see ARP and RARP frames of all interfaces.

    Raises `CannotProbe` where this machine or this user has none.
    """
    family = getattr(socket, "AF_PACKET", None)
    if family is None:
        raise CannotProbe("this operating system shows no frames to a program")
    opened: list[socket.socket] = []
    try:
        for kind in (ARP, RARP):
            opened.append(socket.socket(family, socket.SOCK_RAW, socket.htons(kind)))
            opened[-1].setblocking(False)
    except OSError as error:
        for one in opened:
            one.close()
        raise CannotProbe(f"frames are shown to root or with CAP_NET_RAW only: {error.strerror or error}") from error
    return opened


class ArpProbe:
    """Records each announcement of the watched host as an event; it yields no samples."""

    def __init__(
        self,
        order: ProbeOrder,
        target: Route,
        clock: Clock | None = None,
        *,
        sockets: Callable[[], Sequence[socket.socket]] = open_sockets,
    ) -> None:
        self.order, self.target = order, target
        self.clock = clock or Clock()
        self._sockets = sockets
        #: The hardware addresses under which the host announced itself; a RARP frame names nothing else.
        self._macs: set[str] = set()
        self._told = 0

    def run(self, stop: threading.Event, sink: Sink) -> None:
        """Listen until ``stop`` is set."""
        try:
            address = peer(self.target).address[0]
            wires = self._sockets()
        except CannotProbe as reason:
            what = f"not looked at: {reason}"
            sink.event(self.order.name, "probe-trouble", what=what, code=TroubleCode.BY_DESIGN.value)
            return
        self._macs |= known_macs(address)
        poller = select.poll()
        for wire in wires:
            poller.register(wire.fileno(), select.POLLIN)
        try:
            while not stop.is_set():
                if poller.poll(250.0):
                    for wire in wires:
                        self._listen(wire, address, sink)
        finally:
            for wire in wires:
                wire.close()

    def _listen(self, wire: socket.socket, address: str, sink: Sink) -> None:
        while True:
            try:
                frame = wire.recv(2048)
            except OSError:
                return  # nothing more
            found = read_frame(frame)
            if found is None or not self._is_of(found, address) or self._told >= MOST:
                continue
            self._macs.add(found.mac)
            self._told += 1
            sink.event(
                self.order.name, "arp", what=found.kind, address=address, mac=found.mac, seen_ns=self.clock.mono_ns()
            )

    def _is_of(self, found: Announcement, address: str) -> bool:
        return found.address == address or (found.kind == "RARP" and found.mac in self._macs)


def known_macs(address: str, table: str = "/proc/net/arp") -> set[str]:
    """The hardware address that this machine has for an address now; empty where it has none."""
    try:
        with open(table, encoding="ascii", errors="replace") as file:  # noqa: PTH123 - a file of the kernel
            rows = [line.split() for line in file.readlines()[1:]]
    except OSError:
        return set()
    return {row[3].lower() for row in rows if len(row) > 3 and row[0] == address and row[3] != "00:00:00:00:00:00"}
