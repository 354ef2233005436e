"""One contract for every manager: an IVM, HMCs of two releases, in English and in German, simulated and recorded.

A subject is a `Control`, the partition that is looked at, and an order for it. What only a machine that changes can
show is asked of the simulated ones. A new recording is a file ``fixtures/contract/NAME.jsonl``
(`lpmkit.ssh.session.Reply.as_dict`, a line each) with ``NAME.json`` beside it; ``python -m tests.record_contract``
makes both from a site file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lpmkit.control.base import Control, Order
from lpmkit.control.hmc import Hmc
from lpmkit.control.ivm import Ivm
from lpmkit.errors import CommandRefused, RemoteError, UnexpectedReply, UsageError
from lpmkit.migration.phases import STATES
from lpmkit.ssh.session import RecordedSession, Reply, Session, command_line
from tests.in_process import Place, place

RECORDINGS = Path(__file__).parent.parent / "fixtures" / "contract"


@dataclass(frozen=True)
class Subject:
    """A manager of a frame, and a partition on it that may move to another."""

    control: Control
    order: Order
    target: Control | None = None
    site: Place | None = None


#: Landscape, partition, source, target, faults.
SIMULATED = {
    "ivm": ("js22", "bxaix85", "bvio82", "bvio83", ()),
    "ivm-german": ("js22", "bxaix85", "bvio82", "bvio83", ("language:bvio82", "language:bvio83")),
    "hmc-7": ("p7pair", "p7aix01", "p7a", "p7b", ()),
    "hmc-8": ("p8pair", "p8npiv01", "p8a", "p8b", ()),
    "hmc-8-vnic": ("p8pair", "p8vnic01", "p8a", "p8b", ()),
    "hmc-8-german": ("p8pair", "p8aix01", "p8a", "p8b", ("language:hmc02",)),
    "hmc-8-slow": ("p8pair", "p8lin01", "p8a", "p8b", ("slow:hmc02:0.003",)),
}
RECORDED = sorted(path.stem for path in RECORDINGS.glob("*.jsonl"))


class Level:
    """A recorded machine, which refuses what nobody recorded as a level does with fields that it does not know."""

    def __init__(self, where: str, replies: Sequence[Reply]) -> None:
        self._inner = RecordedSession(where, replies)
        self._known = {reply.command for reply in replies}
        self.where = where

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        command = command_line(arguments)
        if command not in self._known:
            return Reply(self.where, command, 1, "not known at this level\n", "")
        return self._inner.run(arguments, timeout_s=timeout_s, stdin=stdin)

    def close(self) -> None:
        self._inner.close()


@contextmanager
def simulated(name: str) -> Iterator[Subject]:
    landscape, partition, source, target, faults = SIMULATED[name]
    with place(landscape, *faults) as site:
        yield Subject(site.control(source), site.order(partition, source, target), site.control(target), site)


def recorded(name: str) -> Subject:
    about: dict[str, Any] = json.loads((RECORDINGS / f"{name}.json").read_text(encoding="utf-8"))
    text = (RECORDINGS / f"{name}.jsonl").read_text(encoding="utf-8")
    replies = [Reply(**json.loads(line)) for line in text.splitlines()]
    session: Session = Level(about["host"], replies)
    order = Order(**about["order"])
    if about["system"] is None:
        return Subject(Ivm(order.source, session), order)
    return Subject(Hmc(order.source, session, about["system"]), order)


@pytest.fixture(params=[*SIMULATED, *(f"recorded-{name}" for name in RECORDED)])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    name = request.param
    if name.startswith("recorded-"):
        yield recorded(name.removeprefix("recorded-"))
        return
    with simulated(name) as found:
        yield found


def test_there_are_recordings_of_both_kinds() -> None:
    assert {type(recorded(name).control) for name in RECORDED} == {Ivm, Hmc}


def test_it_says_which_frame_it_manages(subject: Subject) -> None:
    control = subject.control
    assert control.kind in ("ivm", "hmc")
    assert control.frame_name == subject.order.source
    system = control.system()
    assert re.fullmatch(r"\w{4}-\w{3}\*\w{7}", system.machine)
    assert (system.state, system.active_mobility_capable) == ("Operating", True)
    assert "default" in system.proc_compat_modes


def test_a_frame_has_what_is_left_of_memory_processors_and_moves(subject: Subject) -> None:
    frame = subject.control.frame()
    assert frame.memory_available_mb is not None
    assert frame.memory_configurable_mb is not None
    assert 0 <= frame.memory_available_mb <= frame.memory_configurable_mb
    assert frame.proc_units_available is not None
    assert frame.proc_units_configurable is not None
    assert 0 <= frame.proc_units_available <= frame.proc_units_configurable
    assert frame.memory_region_mb in (16, 32, 64, 128, 256)
    assert frame.active_migrations_supported
    assert frame.active_migrations_in_progress == 0


def test_partitions_are_told_by_id_and_the_io_servers_are_among_them(subject: Subject) -> None:
    found = subject.control.partitions()
    assert len({one.lpar_id for one in found}) == len({one.name for one in found}) == len(found)
    assert any(one.is_vios for one in found)
    assert all(one.state in STATES for one in found)
    moving = next(one for one in found if one.name == subject.order.partition)
    assert moving.memory_mb
    assert moving.virtual_processors
    assert moving.rmc_state == "active"
    assert moving.huge_pages == 0


def test_every_client_adapter_faces_a_server_adapter_that_faces_it(subject: Subject) -> None:
    groups = (subject.control.scsi_adapters(), subject.control.fc_adapters())
    assert any(groups)
    for adapters in groups:
        servers = {(one.lpar_id, one.slot): one for one in adapters if one.adapter_type == "server"}
        clients = [one for one in adapters if one.adapter_type == "client"]
        assert len(clients) == len(servers)
        for client in clients:
            server = servers[client.remote_lpar_id or 0, client.remote_slot or 0]
            assert (server.remote_lpar_id, server.remote_slot) == (client.lpar_id, client.slot)


def test_a_virtual_fibre_channel_client_has_two_wwpns_that_nobody_else_has(subject: Subject) -> None:
    clients = [one for one in subject.control.fc_adapters() if one.adapter_type == "client"]
    every = [wwpn for one in clients for wwpn in one.wwpns]
    assert len(every) == len(set(every)) == 2 * len(clients)
    assert all(re.fullmatch("[0-9a-f]{16}", wwpn) for wwpn in every)


def test_networks_have_addresses_vlans_and_servers_behind_them(subject: Subject) -> None:
    adapters = subject.control.ethernet_adapters()
    assert any(one.is_trunk for one in adapters)
    assert all(re.fullmatch("[0-9A-F]{12}", one.mac or "") for one in adapters)
    assert all(1 <= vlan <= 4094 for one in adapters for vlan in one.vlans)
    servers = {one.name for one in subject.control.partitions() if one.is_vios}
    ports = {(port.adapter, port.port) for port in subject.control.sriov_ports()}
    for nic in subject.control.vnics():
        assert {one.server for one in nic.backing} <= servers
        assert {(one.adapter, one.port) for one in nic.backing} <= ports
        assert sum(one.active is True for one in nic.backing) == 1


def test_an_affinity_score_is_a_share_of_100_and_belongs_to_a_partition(subject: Subject) -> None:
    scores = subject.control.affinity_scores()
    named = {(one.lpar_id, one.name) for one in subject.control.partitions()}
    assert {(one.lpar_id, one.partition) for one in scores} <= named
    assert all(one.score is None or 0 <= one.score <= 100 for one in scores)
    assert bool(scores) == (subject.control.kind == "hmc")


def test_a_partitions_pool_is_one_of_the_systems(subject: Subject) -> None:
    pools = {(pool.number, pool.name) for pool in subject.control.pools()}
    named = {(one.pool_id, one.pool) for one in subject.control.partitions() if one.pool is not None}
    assert named <= pools
    assert subject.control.kind == "ivm" or (0, "DefaultPool") in pools


def test_every_partition_that_may_move_has_a_profile_kept_word_for_word(subject: Subject) -> None:
    profiles = subject.control.profiles()
    clients = {one.name for one in subject.control.partitions() if not one.is_vios}
    assert {one.partition for one in profiles} == clients
    assert all(one.record.startswith(f"name={one.name},") for one in profiles)


def test_a_movable_partition_owns_no_physical_slot(subject: Subject) -> None:
    assert subject.control.physical_slots(subject.order.partition) == ()


def test_a_partition_that_is_not_there_has_no_state_and_is_no_error(subject: Subject) -> None:
    reading = subject.control.migration(subject.order.partition)
    assert (reading.partition_state, reading.migration_state) == ("Running", "Not Migrating")
    assert reading.lpar_id is not None
    gone = subject.control.migration("nosuch")
    assert (gone.partition_state, gone.migration_state) == (None, None)


def test_keys_are_tested_where_there_is_another_manager(subject: Subject) -> None:
    if not subject.order.target_address:
        with pytest.raises(UsageError):
            subject.control.keys_exchanged(subject.order)
        return
    assert subject.control.keys_exchanged(subject.order).status == 0


def test_a_validation_is_an_answer_either_way(subject: Subject) -> None:
    assert subject.control.validate(subject.order).status == 0
    refused = subject.control.validate(replace(subject.order, partition="nosuch"))
    assert refused.status == 1
    assert refused.text


def test_what_could_be_chosen_on_the_target_is_told_or_there_is_nothing_to_choose(subject: Subject) -> None:
    control = subject.control
    pairs, places = control.mover_pairs(subject.order), control.places(subject.order)
    if control.kind == "ivm":
        assert (pairs, places) == ((), None)
        return
    assert all(pair.source_address and pair.target_address for pair in pairs)
    assert pairs
    assert places is not None
    assert places.scsi_suggested or places.fc_suggested


def test_stop_and_recover_of_nothing_are_refusals_in_the_managers_words(subject: Subject) -> None:
    for reply in (subject.control.stop(subject.order.partition), subject.control.recover(subject.order)):
        assert reply.status == 1
        assert reply.text


@pytest.mark.parametrize("name", SIMULATED)
def test_a_move_is_asked_for_once_shows_in_the_readings_and_ends_on_the_other_side(name: str) -> None:
    with simulated(name) as subject:
        assert subject.target is not None
        assert subject.site is not None
        partition = subject.order.partition
        reply = subject.control.migrate(subject.order)
        assert reply.status in (0, None)
        assert subject.site.chassis.wait_for(lambda world: world.partition(subject.order.source, partition) is None, 30)
        assert subject.control.migration(partition).partition_state is None
        assert subject.target.migration(partition).partition_state == "Running"
        assert sum("migrlpar -o m" in line for line in subject.site.asked) == 1
        if reply.status is None:
            while (end := subject.control.outcome()) is None:
                pass
            assert end.status == 0
        assert subject.control.outcome() is None


@pytest.mark.parametrize("name", SIMULATED)
def test_a_manager_that_is_away_is_an_error_and_no_empty_list(name: str) -> None:
    with simulated(name) as subject:
        assert subject.site is not None
        subject.site.away.add(subject.site.manager(subject.order.source))
        for ask in questions(subject).values():
            with pytest.raises(RemoteError):
                ask()


def questions(subject: Subject) -> Mapping[str, Callable[[], object]]:
    """Everything that a manager is asked."""
    control, order = subject.control, subject.order
    return {
        "system": control.system,
        "frame": control.frame,
        "partitions": control.partitions,
        "scsi": control.scsi_adapters,
        "ethernet": control.ethernet_adapters,
        "profiles": control.profiles,
        "slots": lambda: control.physical_slots(order.partition),
        "migration": lambda: control.migration(order.partition),
        "validate": lambda: control.validate(order),
    }


@pytest.mark.parametrize("fault", ["wrap", "cut-reply"])
@pytest.mark.parametrize("name", ["ivm", "hmc-7", "hmc-8"])
def test_a_reply_that_was_broken_on_the_way_is_refused_or_understood_and_never_mistaken(name: str, fault: str) -> None:
    with simulated(name) as subject:
        whole = {what: ask() for what, ask in questions(subject).items()}
        assert subject.site is not None
        subject.site.inject(f"{fault}:{subject.site.manager(subject.order.source)}")
        refused = 0
        for what, ask in questions(subject).items():
            try:
                found = ask()
            except (UnexpectedReply, CommandRefused):
                refused += 1
                continue
            if what != "validate":
                assert found == whole[what], what
        assert refused
