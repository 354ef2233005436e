"""Two consoles, and an IVM with a console: ``--ip`` and ``-u``, keys, and a recovery that names the other manager."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lpmkit.mapping.attributes import build_attributes
from lpmkit.migration.ends import look
from lpmkit.migration.recovery import propose
from lpmkit.simulator.chassis import Hmc, World
from lpmkit.simulator.landscape import load
from tests.in_process import Place, place

SECOND = Hmc("hmc03", "192.0.2.101", "8", "8.7.0", "2", "1803290030")


def two_consoles() -> World:
    """The POWER8 frames, each under a console of its own."""
    world = load(Path("p8pair"))
    there = replace(world.frame("p8b"), hmc="hmc03")
    return replace(world.with_frame(there), hmcs=(*world.hmcs, SECOND))


def blade_and_frame() -> World:
    """A JS22 under its IVM beside a POWER8 frame under an HMC, which sees the same LUNs and has the same
    region size.
    """
    blades, frames = load(Path("js22")), load(Path("p8pair"))
    blade = blades.frame("bvio82")
    luns = [disk for disk in blade.vios.disks if disk.lun is not None]
    frame = frames.frame("p8b")
    seen = tuple(replace(disk, name=f"hdisk{20 + at}") for at, disk in enumerate(luns))
    frame = replace(
        frame.each_server(lambda server: replace(server, disks=(*server.disks, *seen))), memory_region_mb=64
    )
    own = tuple(found for found in blades.partitions if found.frame == "bvio82")
    others = tuple(found for found in frames.partitions if found.frame == "p8b")
    return replace(blades, frames=(blade, frame), partitions=(*own, *others), hmcs=frames.hmcs)


def moved(site: Place, partition: str, source: str, target: str) -> None:
    order = site.order(partition, source, target)
    order = replace(order, mapping=build_attributes(site.survey(order)).record)
    reply = site.control(source).migrate(order)
    assert reply.status in (0, None), reply.text
    assert site.chassis.wait_for(lambda world: world.partition(source, partition) is None, 30)


def test_a_move_between_two_consoles_names_the_other_one_and_keeps_its_mapping() -> None:
    with place(two_consoles()) as site:
        order = site.order("p8npiv01", "p8a", "p8b")
        assert (order.target_address, order.target_user) == ("192.0.2.101", "hscroot")
        survey = site.survey(order)
        assert survey.keys is not None
        assert (survey.keys.status, survey.gaps) == (0, ())
        moved(site, "p8npiv01", "p8a", "p8b")
        there = site.world.partition("p8b", "p8npiv01")
        assert there is not None
        assert [pair.server for pair in there.fc] == ["p8b-vios1", "p8b-vios2"]


def test_consoles_that_have_exchanged_no_keys_refuse_in_the_captured_words() -> None:
    with place(two_consoles(), "keys-not-exchanged") as site:
        order = site.order("p8aix01", "p8a", "p8b")
        assert "HSCL3653" in site.control("p8a").keys_exchanged(order).text
        assert "HSCL3653" in site.control("p8a").validate(order).text


def test_a_console_that_does_not_have_the_target_is_refused() -> None:
    with place(two_consoles()) as site:
        astray = replace(site.order("p8aix01", "p8a", "p8b"), target_address="192.0.2.100")
        assert site.control("p8a").validate(astray).status == 1
        nobody = replace(astray, target_address="192.0.2.250")
        assert "192.0.2.250" in site.control("p8a").validate(nobody).text


@pytest.mark.parametrize(("partition", "source", "target"), [("bxaix85", "bvio82", "p8b")])
def test_an_ivm_moves_a_partition_to_a_console(partition: str, source: str, target: str) -> None:
    with place(blade_and_frame()) as site:
        order = site.order(partition, source, target)
        assert (order.target_address, order.target_user) == ("192.0.2.100", "hscroot")
        assert site.control(source).keys_exchanged(order).status == 0
        moved(site, partition, source, target)
        assert "--async" in next(line for line in site.asked if "migrlpar -o m" in line)


def test_a_recovery_between_two_consoles_names_the_other_one() -> None:
    with place(two_consoles(), "mover-dies") as site:
        order = site.order("p8aix01", "p8a", "p8b")
        site.control("p8a").migrate(order)
        assert site.chassis.wait_for(
            lambda world: (
                (found := world.partition("p8a", "p8aix01")) is not None
                and found.migration is not None
                and not found.migration.mover_running
            ),
            30,
        )
        source, target = site.control("p8a"), site.control("p8b")
        said = propose(look(order, source, target))
        assert "--ip 192.0.2.101 -u hscroot" in said.commands[1]
        assert source.recover(order).status == 0
        assert "--ip 192.0.2.101 -u hscroot -p p8aix01" in site.asked[-1]
        assert propose(look(order, source, target)).rule == "at-home"
