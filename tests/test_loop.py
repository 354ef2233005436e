"""The event loop of the periodic probes: turns, work aside, ends, and what one probe must not do to another."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from lpmkit.probes.loop import Aside, Turns, Wait, take_turns
from lpmkit.probes.orders import ProbeOrder, Rate
from lpmkit.probes.rate import ProbeRate, RateSetting
from lpmkit.recorder.probe_process import MAX_PROBES, in_groups


def looped(*makers: Callable[[threading.Event], Turns]) -> None:
    """Run turns in one loop until they end or one of them stops it."""
    stop = threading.Event()
    take_turns([maker(stop) for maker in makers], stop)


def test_a_probe_that_waits_for_something_to_read_is_told_so_and_otherwise_not() -> None:
    ours, theirs = socket.socketpair()
    told: list[Any] = []

    def reader(_: threading.Event) -> Turns:
        told.append((yield Wait(0.001, ours)))
        theirs.send(b"x")
        told.append((yield Wait(60.0, ours)))

    with ours, theirs:
        looped(reader)
    assert told == [False, True]


def test_what_is_to_leave_goes_before_the_rest_of_what_came() -> None:
    ends = [socket.socketpair() for _ in range(4)]
    stop, order = threading.Event(), []

    def reader(mine: socket.socket) -> Turns:
        while not (yield Wait(10.0, mine)):
            pass
        order.append("read")
        time.sleep(0.005)  # its turn lasts longer than the other waits
        yield Wait(10.0)

    def sender() -> Turns:
        for _, theirs in ends:
            theirs.send(b"x")
        while order.count("read") < len(ends):
            order.append("sent")
            yield Wait(0.0005)
        stop.set()

    try:
        take_turns([*(reader(mine) for mine, _ in ends), sender()], stop)
    finally:
        for both in ends:
            for each in both:
                each.close()
    assert "read read" not in " ".join(order)


def test_work_aside_does_not_keep_the_others_from_their_turns() -> None:
    go_on, turns = threading.Event(), []

    def working(_: threading.Event) -> Turns:
        turns.append((yield Aside(lambda: go_on.wait(60))))

    def ticking(_: threading.Event) -> Turns:
        for number in range(3):
            turns.append(number)
            yield Wait(0.0)
        go_on.set()

    looped(working, ticking)
    assert turns == [0, 1, 2, True]


def test_the_error_of_work_aside_is_the_probes() -> None:
    caught = []

    def failing(_: threading.Event) -> Turns:
        try:
            yield Aside(lambda: os.stat("/there/is/no/such"))  # noqa: PTH116
        except FileNotFoundError as error:
            caught.append(error)
        yield Wait(0.0)

    looped(failing)
    assert len(caught) == 1


def test_at_the_end_each_probe_has_the_turns_in_which_it_ends() -> None:
    ended = []

    def patient(stop: threading.Event) -> Turns:
        while not stop.is_set():
            yield Wait(3600.0)
        ended.append((yield Aside(lambda: "closed")))

    def last(stop: threading.Event) -> Turns:
        yield Wait(0.0)
        stop.set()

    looped(patient, last)
    assert ended == ["closed"]


def test_a_number_of_a_file_that_was_closed_and_came_back_belongs_to_the_new_one() -> None:
    told = []
    first, _other = socket.socketpair()

    def careless(_: threading.Event) -> Turns:
        yield Wait(0.001, first)
        first.close()  # and still the loop has it, until this probe waits for something else
        yield Aside(lambda: None)
        ours, theirs = socket.socketpair()
        theirs.send(b"x")
        told.append((yield Wait(60.0, ours)))
        ours.close()
        theirs.close()

    looped(careless)
    _other.close()
    assert told == [True]


@pytest.mark.parametrize("now_ms", [1000, 1001, 1100, 1420])
def test_a_change_of_the_rate_keeps_each_probe_at_its_place_within_the_interval(now_ms: int) -> None:
    order = ProbeOrder("icmp", "icmp", 500_000_000, pace="calm", paces={"quick": Rate(100_000_000)})
    setting = RateSetting()
    setting.wanted = "quick"
    for place_ms in (0, 7, 93):
        rate = ProbeRate(order, setting)
        assert rate.follow()
        last_ms = 900 + place_ms
        due = rate.next_due((last_ms + 500) * 10**6, 500 * 10**6, now_ms * 10**6)
        assert due >= now_ms * 10**6
        assert due > last_ms * 10**6
        assert (due // 10**6 - place_ms) % 100 == 0
        assert due - max(now_ms, last_ms) * 10**6 <= 100 * 10**6


def test_the_probes_of_one_host_share_a_process_however_many_there_are() -> None:
    kinds = ("ticks", "echo", "connect", "icmp", "ack")
    orders = [ProbeOrder(f"{kind}@{host}", kind, 10**8, f"lp{host}") for host in range(200) for kind in kinds]
    groups = in_groups(orders)
    assert sorted(order.name for group in groups for order in group) == sorted(order.name for order in orders)
    assert all(len(group) <= MAX_PROBES for group in groups)
    hosts = [{order.host for order in group} for group in groups]
    assert sum(len(some) for some in hosts) == 200
