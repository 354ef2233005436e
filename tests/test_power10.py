"""Two Power10 frames under an HMC V10: a shared storage pool, NPIV, virtual NICs, logical SR-IOV ports, and AIX, Linux
and IBM i that move over them. No connection: the managers' shells in this process.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from lpmkit.checks import Answer, Verdict, examine, ready
from lpmkit.control.base import Order
from lpmkit.inventory import OperatingSystem
from tests.in_process import Place, place
from tests.test_setups import WELL

MOVABLE = ("p10aix01", "p10npiv01", "p10lin01", "p10ibmi01", "p10sriov01")


def judged(up: Place, order: Order) -> tuple[Answer, list[str]]:
    """The answer of all checks, and the checks that fail."""
    findings = examine(replace(up.survey(order), guest=WELL))
    return ready(findings), [one.key for one in findings if one.verdict is Verdict.FAIL]


def moved(up: Place, order: Order, *, back: bool = False) -> int | None:
    """Have a partition moved to its end; the status of the last reply."""
    control = up.control(order.source)
    reply = control.migrate(order)
    while reply.status is None:
        assert up.chassis.wait_for(lambda world: all(one.migration is None for one in world.partitions), 30)
        reply = control.outcome() or reply
    return reply.status


def test_every_kind_of_guest_is_ready_moves_and_may_move_home() -> None:
    with place("p10pair") as up:
        for name in MOVABLE:
            there, home = up.order(name, "p10a", "p10b"), up.order(name, "p10b", "p10a")
            assert judged(up, there) == (Answer.READY, []), name
            assert up.control("p10a").validate(there).status == 0, name
            assert moved(up, there) == 0, name
            assert judged(up, home) == (Answer.READY, []), name
            assert up.control("p10b").validate(home).status == 0, name
        kinds = {partition.operating_system for partition in up.control("p10b").partitions()}
        assert kinds == {OperatingSystem.AIX, OperatingSystem.LINUX, OperatingSystem.IBM_I, OperatingSystem.VIOS}
        arrived = up.world.partition("p10b", "p10sriov01")
    assert arrived is not None
    assert [(port.adapter, port.migratable) for port in arrived.logical_ports] == [(1, True)]
    assert {pair.server for pair in arrived.scsi} == {"p10b-vios1", "p10b-vios2"}


def test_a_logical_port_that_is_not_migratable_keeps_a_partition_where_it_is() -> None:
    with place("p10pair") as up:
        order = up.order("p10sriov02", "p10a", "p10b")
        assert judged(up, order) == (Answer.NOT_READY, ["sriov"])
        assert up.control("p10a").validate(order).status == 1


@pytest.mark.parametrize(("option", "status"), [({}, 1), ({"migsriov": "1"}, 1), ({"migsriov": "2"}, 0)])
def test_a_migratable_port_wants_a_port_with_a_link_on_the_target_or_is_left(
    option: dict[str, str], status: int
) -> None:
    with place("p10pair", "no-link") as up:
        order = replace(up.order("p10sriov01", "p10a", "p10b"), options=option)
        assert up.control("p10a").validate(order).status == status


def test_a_pool_whose_nodes_are_down_on_the_target_serves_nobody_there() -> None:
    with place("p10pair", "node-down") as up:
        order = up.order("p10aix01", "p10a", "p10b")
        assert judged(up, order) == (Answer.NOT_READY, ["storage-pool"])
        assert "not available" in up.control("p10a").validate(order).text


def test_a_move_that_broke_is_recovered_and_goes_on() -> None:
    with place("p10pair", "mover-dies") as up:
        order = up.order("p10npiv01", "p10a", "p10b")
        control = up.control("p10a")
        reply = control.migrate(order)
        while reply.status is None:
            reply = control.outcome() or reply
        assert reply.status == 1
        assert control.recover(order).status == 0
        assert control.migration("p10npiv01").migration_state == "Not Migrating"
        assert moved(up, order) == 0


def test_ports_of_roce_adapters_are_asked_for_too() -> None:
    with place("p10pair") as up:
        ports = up.control("p10a").sriov_ports()
    assert [(port.adapter, port.port, port.up) for port in ports] == [
        (1, 0, True),
        (1, 1, True),
        (2, 0, True),
        (2, 1, True),
    ]
