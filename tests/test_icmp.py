"""Echo requests to a real kernel: that of a network namespace."""

from __future__ import annotations

import itertools
import os
import select
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from lpmkit.probes.icmp import GIVE_UP_NS, IcmpProbe, Peer, echo_socket, is_own, reply, request
from lpmkit.probes.orders import ProbeOrder
from lpmkit.simulator.isolation import VethLink, _ip
from lpmkit.ssh.client import Route
from lpmkit.timeline import Clock, Outcome
from tests.test_probes import Running, _soon

root = pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root")
ORDER = ProbeOrder(name="icmp", kind="icmp", interval_ns=10_000_000, host="far")


def _way(address: str, **more: Any) -> Route:
    return Route("far", address, 22, "nobody", **more)


@pytest.fixture
def link() -> Iterator[VethLink]:
    made = VethLink.create()
    yield made
    made.remove()


@root
def test_every_request_leaves_on_schedule_and_owes_a_sample_also_while_the_link_is_down(link: VethLink) -> None:
    clock = Clock()
    with Running(IcmpProbe(ORDER, _way(link.inside))) as seen:
        _soon(lambda: len(seen.samples) >= 50)
        down = clock.mono_ns()
        link.down()
        cut = clock.mono_ns()
        clock.sleep(0.3)
        up = clock.mono_ns()
        link.up()
        _soon(lambda: (seen.samples[-1].sent_ns or 0) > up + 500_000_000)
    samples = sorted(seen.samples, key=lambda one: one.seq)
    assert [one.seq for one in samples] == list(range(1, len(samples) + 1))
    assert {b.due_ns - a.due_ns for a, b in itertools.pairwise(samples) if a.due_ns and b.due_ns} == {10_000_000}
    for one in samples:
        assert one.sent_ns is not None
        if one.answered_ns is not None:
            assert one.answered_ns > one.sent_ns
            assert not cut < one.answered_ns < up
        else:
            assert one.sent_ns >= down - 50_000_000
            assert one.outcome is Outcome.SILENT
    meanwhile = [one for one in samples if cut < (one.sent_ns or 0) < up - 50_000_000]
    assert len(meanwhile) >= 20, (
        "our kernel may hold some back until it finds the way again; none is answered meanwhile"
    )


@root
def test_after_a_stall_of_our_own_the_host_is_not_flooded_and_every_tick_still_owes_a_sample(link: VethLink) -> None:
    class Stalling(Clock):
        """Jumps ahead once, as when this process was stopped."""

        ahead, calls = 0, 0

        def mono_ns(self) -> int:
            self.calls += 1
            if self.calls == 200:
                self.ahead = 3_000_000_000
            return super().mono_ns() + self.ahead

    with Running(IcmpProbe(ORDER, _way(link.inside), Stalling())) as seen:
        _soon(lambda: len(seen.samples) >= 400)
    samples = sorted(seen.samples, key=lambda one: one.seq)
    assert [one.seq for one in samples] == list(range(1, len(samples) + 1))
    unsent = [one for one in samples if one.sent_ns is None]
    assert 270 <= len(unsent) <= 290
    assert {one.detail for one in unsent} == {"not sent: this machine stood still"}


@root
def test_internet_protocol_six_is_asked_too(link: VethLink) -> None:
    _ip("address", "add", "2001:db8:77::1/64", "dev", f"lpms{link.block}o", "nodad")
    _ip("-n", link.name, "address", "add", "2001:db8:77::2/64", "dev", "en0", "nodad")
    with Running(IcmpProbe(ORDER, _way("2001:db8:77::2"))) as seen:
        _soon(lambda: sum(one.answered_ns is not None for one in seen.samples) >= 20)
    assert is_own(Peer(socket.AF_INET6, ("2001:db8:77::1", 0, 0, 0)))


@root
def test_an_address_that_answers_nothing_is_told(link: VethLink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpmkit.probes.icmp.DEAF_NS", 300_000_000)
    monkeypatch.setattr("lpmkit.probes.icmp.GIVE_UP_NS", 200_000_000)
    link.down()
    with Running(IcmpProbe(ORDER, _way(link.inside))) as seen:
        _soon(lambda: seen.of("probe-trouble"))
    assert "answers no echo request" in seen.of("probe-trouble")[0]["what"]
    assert {one.outcome for one in seen.samples} == {Outcome.SILENT}
    assert GIVE_UP_NS > 8_000_000_000, "what was queued during a long suspension still counts"


@root
def test_an_address_of_an_interface_of_this_machine_is_its_own(link: VethLink) -> None:
    assert is_own(Peer(socket.AF_INET, (link.outside, 0)))
    assert not is_own(Peer(socket.AF_INET, (link.inside, 0)))


@pytest.mark.parametrize(
    ("way", "why"),
    [
        (_way("127.0.0.1"), "is an address of this machine"),
        (_way("127.9.9.9"), "is an address of this machine"),
        (_way("::1"), "is an address of this machine"),
        (_way("198.51.100.1", jumps=("near",)), "reached through another one"),
        (_way("198.51.100.1", proxy_command="nc %h %p"), "reached through another one"),
    ],
)
def test_what_would_say_nothing_is_not_looked_at(way: Route, why: str) -> None:
    with Running(IcmpProbe(ORDER, way)) as seen:
        _soon(lambda: seen.events)
    (told,) = seen.of("probe-trouble")
    assert told["what"].startswith("not used: ")
    assert why in told["what"]
    assert not seen.samples


def test_without_the_right_to_send_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> socket.socket:
        raise PermissionError

    monkeypatch.setattr("lpmkit.probes.icmp.is_own", lambda _: False)
    monkeypatch.setattr("lpmkit.probes.icmp.socket.socket", refuse)
    with Running(IcmpProbe(ORDER, _way("198.51.100.1"))) as seen:
        _soon(lambda: seen.events)
    assert "ping_group_range" in seen.of("probe-trouble")[0]["what"]


@root
def test_the_socket_does_not_wait() -> None:
    with echo_socket(socket.AF_INET, bytes(8)) as wire, pytest.raises(BlockingIOError):
        wire.recv(10)


@root
@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_probe_is_not_woken_by_the_replies_to_another_one(family: socket.AddressFamily, address: str) -> None:
    """A raw socket is given every reply that this machine gets: with two hundred probes each would wake for all."""
    tokens = (b"lpmkit-a", b"lpmkit-b")
    with echo_socket(family, tokens[0]) as one, echo_socket(family, tokens[1]) as other:
        for number in range(1, 4):
            one.sendto(request(family, 7, number, tokens[0]), (address, 0))
            other.sendto(request(family, 7, number, tokens[1]), (address, 0))
        for wire, token in ((one, tokens[0]), (other, tokens[1])):
            answered: list[int] = []
            while len(answered) < 3:
                select.select([wire], [], [], 10.0)
                content = wire.recv(2048)
                assert token in content
                answered += (
                    [number] if (number := reply(content, family, token)) else []
                )  # loopback shows the requests too
            assert answered == [1, 2, 3]


def test_an_answer_to_somebody_elses_request_is_not_ours() -> None:
    for family, kind in ((socket.AF_INET, 0), (socket.AF_INET6, 129)):
        asked = request(family, 1, 5, b"ourtoken")
        answer = bytes([kind]) + asked[1:]
        assert reply(answer, family, b"ourtoken") == 5
        assert reply(answer, family, b"theirown") == 0
        assert reply(asked, family, b"ourtoken") == 0, "a request that comes back"
        assert reply(answer[:12], family, b"ourtoken") == 0
    assert (
        reply(b"\x45" + bytes(19) + b"\0" + request(socket.AF_INET, 1, 6, b"ourtoken")[1:], socket.AF_INET, b"ourtoken")
        == 6
    )
