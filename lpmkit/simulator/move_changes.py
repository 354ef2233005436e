"""The worlds of a move: a world goes in, the next comes out. Nothing in here waits or talks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lpmkit.simulator import recalled
from lpmkit.simulator.chassis import (
    MIGRATING_NOT_ACTIVATED,
    MIGRATING_RUNNING,
    NOT_ACTIVATED,
    POWER_OFF,
    RUNNING,
    LoggedError,
    Migration,
    World,
)
from lpmkit.simulator.placement import place
from lpmkit.simulator.shells.migrlpar import Order
from lpmkit.simulator.transfer import MB
from lpmkit.simulator.validation import mover_of, pool_there


def begun(world: World, number: int, order: Order) -> World:
    """Both records are migrating, and the shell with its adapters and targets stands on the target frame."""
    moved = world.partition(order.source, order.partition)
    if moved is None or order.target is None:
        raise KeyError(order.partition)
    source, target = world.frame(order.source), world.frame(order.target)
    active = moved.state == RUNNING
    wanted = order.demands.wishes.dest_lpar_id
    places = place(world, moved, source, target, order.demands.wishes)
    pool = pool_there(moved, source, target, order.demands.wishes)
    lpar_id = world.free_lpar_id(target) if wanted is None else wanted
    if lpar_id in world.lpar_ids(target):
        raise ValueError(f"the id {lpar_id} is in use on {target.name}")
    migration = Migration(
        number=number,
        type="active" if active else "inactive",
        source=source.name,
        target=target.name,
        source_lpar_id=moved.lpar_id,
        dest_lpar_id=lpar_id,
        state=recalled.STATE_STARTING,
        phase="prepare",
        remote_manager=order.address,
        remote_user=order.user,
        bytes_remaining=int(moved.workload.touched_mb * MB) if active else 0,
        stream=number,
        source_msp=mover_of(source, order.demands.wishes.source_msp).name,
        dest_msp=mover_of(target, order.demands.wishes.dest_msp).name,
    )
    state = MIGRATING_RUNNING if active else MIGRATING_NOT_ACTIVATED
    shell = replace(
        moved,
        frame=target.name,
        lpar_id=lpar_id,
        state=state,
        scsi=places.scsi,
        fc=places.fc,
        vnics=places.vnics,
        logical_ports=places.logical_ports,
        pool=0 if pool is None else pool.number,
        migration=migration,
        is_shell=True,
    )
    world = world.with_partition(replace(moved, state=state, migration=migration))
    return world.with_partition(shell)


def set_partition(world: World, frame: str, name: str, **changes: Any) -> World:
    """Change one record, if it is there."""
    found = world.partition(frame, name)
    return world if found is None else world.with_partition(replace(found, **changes))


def set_migration(world: World, name: str, **changes: Any) -> World:
    """Change what both records say of the move."""
    for found in world.partitions:
        if found.name == name and found.migration is not None:
            world = world.with_partition(replace(found, migration=replace(found.migration, **changes)))
    return world


def advanced(world: World, name: str, sent_mb: float, remaining_mb: float) -> World:
    """So much is sent, so much is left."""
    return set_migration(
        world, name, bytes_transmitted=int(sent_mb * MB), bytes_remaining=int(remaining_mb * MB), phase="copy"
    )


def committed(world: World, name: str, target: str) -> World:
    """The record on the target is the partition now; the one on the source is what is left of it."""
    for found in world.partitions:
        if found.name == name and found.migration is not None:
            there = found.frame == target
            rmc = "inactive" if there and found.rmc_state == "active" else found.rmc_state
            world = world.with_partition(replace(found, is_shell=not there, rmc_state=rmc))
    return set_migration(world, name, cancellable=False, phase="resume")


def crashed(world: World, name: str) -> World:
    """Nobody runs the partition any more: not the target, which had taken it over, and not the source, which had given
    it up.
    """
    for found in world.partitions:
        if found.name == name and found.migration is not None:
            state = recalled.PARTITION_LOST if not found.is_shell else NOT_ACTIVATED
            world = world.with_partition(replace(found, state=state, rmc_state="inactive"))
    return world


def given_back(world: World, name: str, source: str) -> World:
    """The world after a forced recovery without the target: the source's record is the partition, not activated if it
    was given up; the target's is left behind.
    """
    moved = world.partition(source, name)
    if moved is None or moved.migration is None:
        return world
    lost = moved.is_shell
    state = RUNNING if moved.migration.type == "active" and not lost else NOT_ACTIVATED
    for found in world.partitions:
        if found.name == name and found.frame == moved.migration.target:
            world = world.with_partition(replace(found, state=NOT_ACTIVATED, migration=None, is_shell=True))
    return world.with_partition(replace(moved, state=state, migration=None, is_shell=False))


def powered_off(world: World, frame: str) -> World:
    return world.with_frame(replace(world.frame(frame), state=POWER_OFF))


def finished(world: World, name: str, source: str, target: str, rmc_state: str) -> World:
    """Gone from the source, running on the target; the movers have counted what they moved."""
    moved = world.partition(target, name)
    if moved is None or moved.migration is None:
        return world
    sent, active = moved.migration.bytes_transmitted, moved.migration.type == "active"
    if active:
        here, there = world.frame(source), world.frame(target)
        out, into = here.server(moved.migration.source_msp), there.server(moved.migration.dest_msp)
        world = world.with_frame(here.with_server(replace(out, moved_bytes_out=out.moved_bytes_out + sent)))
        world = world.with_frame(there.with_server(replace(into, moved_bytes_in=into.moved_bytes_in + sent)))
    state = RUNNING if active and moved.state != recalled.PARTITION_LOST else NOT_ACTIVATED
    world = world.with_partition(replace(moved, state=state, migration=None, is_shell=False, rmc_state=rmc_state))
    return world.without(source, name)


def rolled_back(world: World, name: str, source: str, target: str) -> World:
    """As if nothing had been: nothing is left on the target."""
    moved = world.partition(source, name)
    if moved is None or moved.migration is None:
        return world
    state = RUNNING if moved.migration.type == "active" else NOT_ACTIVATED
    world = world.with_partition(replace(moved, state=state, migration=None, is_shell=False))
    return world.without(target, name)


def logged(world: World, frame: str, error: LoggedError, server: str = "") -> World:
    """An entry in the error log of one of a frame's I/O servers, the first if it is not said which."""
    here = world.frame(frame)
    vios = here.server(server) if server else here.vios
    return world.with_frame(here.with_server(replace(vios, errors=(*vios.errors, error))))
