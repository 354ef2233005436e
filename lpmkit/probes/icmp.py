"""Echo requests, which the kernel of the probed host answers without scheduling a process.

Requests leave on schedule, independent of earlier replies; replies have the receiving kernel's stamp. Uses an
unprivileged datagram socket if ``net.ipv4.ping_group_range`` allows it, otherwise a raw one (root or CAP_NET_RAW).
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import socket
import struct
import sys
import threading
from dataclasses import dataclass

from lpmkit.probes.loop import Aside, Turning, Turns, Wait
from lpmkit.probes.orders import ProbeOrder, Sink
from lpmkit.probes.rate import ProbeRate, RateSetting
from lpmkit.ssh.client import Route
from lpmkit.ssh.rx_timestamps import ANCILLARY_BYTES, KernelStamps, ask_for_stamps
from lpmkit.timeline import Clock, Outcome, Sample, TroubleCode

#: Time limit of a reply: a request that waited in a queue during a suspension is answered after it.
GIVE_UP_NS = 20_000_000_000
#: Time without any reply after which the host is reported as not answering.
DEAF_NS = 5_000_000_000
#: Maximum overdue requests sent at once after an observer stall; earlier ones are recorded as not sent.
BURST = 20
#: A classic packet filter on a socket (socket(7)); Python does not name it.
_SO_ATTACH_FILTER = 26
_HEAD = struct.Struct("!BBHHH")
_BODY = struct.Struct("!8sQ")
_ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}
_PROTOCOL = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}


class CannotProbe(Exception):
    """The host cannot be probed from here, with the reason."""


@dataclass(frozen=True, slots=True)
class Peer:
    """An address to probe: its family and the argument of `socket.sendto`."""

    family: socket.AddressFamily
    address: tuple[str, int] | tuple[str, int, int, int]


class IcmpProbe(Turning):
    """Sends an echo request at each interval; each one yields a sample."""

    def __init__(
        self, order: ProbeOrder, target: Route, clock: Clock | None = None, *, setting: RateSetting | None = None
    ) -> None:
        self.order, self.target = order, target
        self._rate = ProbeRate(order, setting)
        self.clock = clock or Clock()
        self._token = os.urandom(8)
        self._open: dict[int, tuple[int, int]] = {}
        self._seq = self._answers = 0
        self._told_deaf = False

    def turns(self, stop: threading.Event, sink: Sink) -> Turns:
        """Probe until ``stop`` is set."""
        try:
            self._peer = yield Aside(lambda: peer(self.target))
            wire = echo_socket(self._peer.family, self._token)
        except CannotProbe as reason:
            sink.event(self.order.name, "probe-trouble", what=f"not used: {reason}", code=TroubleCode.BY_DESIGN.value)
            return
        with wire:
            yield from self._probe(wire, stop, sink)
        self._give_up(sink, None, "unanswered when the probe ended")

    def _probe(self, wire: socket.socket, stop: threading.Event, sink: Sink) -> Turns:
        stamps = KernelStamps(self.clock) if ask_for_stamps(wire) else None
        due = began = self.clock.mono_ns()
        self._rate.tell(sink, 1, due)
        while not stop.is_set():
            now = self.clock.mono_ns()
            interval = self._rate.interval_ns
            if self._rate.follow():
                due = self._rate.next_due(due, interval, now)
                interval = self._rate.interval_ns
                self._rate.tell(sink, self._seq + 1, due)
            while due <= now:
                if now - due < BURST * interval:
                    self._ask(wire, due, sink)
                else:
                    self._skip(due, sink)
                due += interval
            if (yield Wait(min(0.25, (due - self.clock.mono_ns()) / 1e9), wire)):
                self._listen(wire, stamps, sink)
            self._give_up(sink, now - GIVE_UP_NS, f"no reply within {GIVE_UP_NS / 1e9:g} s")
            if not self._answers and not self._told_deaf and now - began > DEAF_NS:
                self._told_deaf = True
                what = f"{self._peer.address[0]} answers no echo request; a firewall may drop them"
                sink.event(self.order.name, "probe-trouble", what=what)

    def _ask(self, wire: socket.socket, due: int, sink: Sink) -> None:
        self._seq += 1
        packet = request(self._peer.family, os.getpid() & 0xFFFF, self._seq, self._token)
        sent = self.clock.mono_ns()
        self._open[self._seq] = (due, sent)
        try:
            wire.sendto(packet, self._peer.address)
        except OSError as error:
            # No route, no neighbour, no buffer: not sent, but it still yields a sample.
            self._end(self._seq, sink, None, f"not sent: {error.strerror or error}")

    def _skip(self, due: int, sink: Sink) -> None:
        self._seq += 1
        detail = "not sent: this machine stood still"
        sink.sample(self.order.name, Sample(self._seq, due, outcome=Outcome.SILENT, detail=detail))

    def _listen(self, wire: socket.socket, stamps: KernelStamps | None, sink: Sink) -> None:
        while True:
            try:
                content, ancillary, _, sender = wire.recvmsg(2048, ANCILLARY_BYTES)
            except OSError:
                return  # nothing more, or an ICMP error for an earlier request, which stays unanswered
            arrived = stamps.arrived_ns(ancillary) if stamps else self.clock.mono_ns()
            number = reply(content, self._peer.family, self._token)
            if number in self._open and sender[0] == self._peer.address[0]:
                self._answers += 1
                self._end(number, sink, arrived, "")

    def _give_up(self, sink: Sink, before_ns: int | None, why: str) -> None:
        while self._open:
            number, (_, sent) = next(iter(self._open.items()))
            if before_ns is not None and sent >= before_ns:
                return
            self._end(number, sink, None, why)

    def _end(self, number: int, sink: Sink, arrived: int | None, detail: str) -> None:
        due, sent = self._open.pop(number)
        outcome = Outcome.SILENT if arrived is None else Outcome.ANSWERED
        sink.sample(self.order.name, Sample(number, due, sent, arrived, outcome=outcome, detail=detail))


def peer(target: Route) -> Peer:
    """The address of a route. Raises `CannotProbe` if its kernel's replies mean nothing or cannot be received."""
    if target.jumps or target.proxy_command:
        raise CannotProbe("the host is reached through another one, so this machine has no way of its own to it")
    try:
        family, _, _, _, address = socket.getaddrinfo(target.hostname, None, type=socket.SOCK_DGRAM)[0]
    except OSError as error:
        raise CannotProbe(f"{target.hostname} has no address: {error.strerror}") from error
    if family not in _ECHO:
        raise CannotProbe(f"{target.hostname} has no internet address")
    own_peer = Peer(family, address)  # type: ignore[arg-type] # the shape that goes with the family
    if is_own(own_peer):
        raise CannotProbe(
            f"{own_peer.address[0]} is an address of this machine; its answer proves nothing about {target.host}"
        )
    return own_peer


def is_own(candidate: Peer) -> bool:
    """True if an address belongs to this host: loopback, or of one of its interfaces. Sends nothing."""
    if ipaddress.ip_address(candidate.address[0].partition("%")[0]).is_loopback:
        return True
    with socket.socket(candidate.family, socket.SOCK_DGRAM) as probe:
        try:
            # The kernel reaches its own address from that same address.
            probe.connect((candidate.address[0], 9, *candidate.address[2:]))
        except OSError:
            return False  # no route at the moment
        return bool(probe.getsockname()[0] == candidate.address[0])


def echo_socket(family: socket.AddressFamily, token: bytes) -> socket.socket:
    """A non-blocking socket for echo requests that receives only packets with ``token``.

    Raises `CannotProbe` if this user may not open one.
    """
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            wire = socket.socket(family, kind, _PROTOCOL[family])
        except OSError:
            continue
        wire.setblocking(False)
        if kind == socket.SOCK_RAW and sys.platform.startswith("linux"):
            _only(wire, family, token)
        return wire
    raise CannotProbe("this user may send no echo requests here (net.ipv4.ping_group_range, or CAP_NET_RAW)")


def _only(wire: socket.socket, family: socket.AddressFamily, token: bytes) -> None:
    """Attach a packet filter to a raw socket, so that each of many probes wakes only for its own replies."""
    header = (
        (0xB1, 0, 0, 0) if family == socket.AF_INET else (0x01, 0, 0, 0)
    )  # the length of the IP header, which IPv6 does not show
    first, second = struct.unpack("!II", token)
    program = (
        header,
        (0x40, 0, 0, _HEAD.size),
        (0x15, 0, 3, first),
        (0x40, 0, 0, _HEAD.size + 4),
        (0x15, 0, 1, second),
        (0x06, 0, 0, 0xFFFF),
        (0x06, 0, 0, 0),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("@HBBI", *instruction) for instruction in program))
    wire.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code)))


def request(family: int, identifier: int, number: int, token: bytes) -> bytes:
    """An echo request. Its body has the full number, since sixteen bits wrap soon."""
    body = _BODY.pack(token, number)
    kind = _ECHO[socket.AddressFamily(family)][0]
    head = _HEAD.pack(kind, 0, 0, identifier, number & 0xFFFF)
    if family == socket.AF_INET6:
        return head + body  # the kernel computes the checksum, which covers addresses
    return _HEAD.pack(kind, 0, checksum(head + body), identifier, number & 0xFFFF) + body


def reply(content: bytes, family: int, token: bytes) -> int:
    """The number of our request that ``content`` answers; 0 for any other packet.

    >>> reply(bytes([0]) + request(socket.AF_INET, 7, 70000, b"lpmkit-8")[1:], socket.AF_INET, b"lpmkit-8")
    70000
    """
    if family == socket.AF_INET and content[:1] and content[0] >> 4 == 4:
        content = content[4 * (content[0] & 15) :]  # a raw socket shows the IP header too
    body = content[_HEAD.size :]
    if content[:1] != bytes([_ECHO[socket.AddressFamily(family)][1]]) or len(body) < _BODY.size:
        return 0
    received_token, number = _BODY.unpack_from(body)
    return int(number) if received_token == token else 0


def checksum(content: bytes) -> int:
    """The internet checksum (RFC 1071).

    >>> hex(checksum(bytes.fromhex("4500003044224000800600008c7c19acae241e2b")))
    '0x442e'
    """
    words = struct.unpack(f"!{len(content) // 2}H", content[: len(content) // 2 * 2])
    total: int = sum(words) + (content[-1] << 8 if len(content) % 2 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total
