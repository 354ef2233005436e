"""Two POWER8 frames: dual VIOS, NPIV, virtual NICs, pools. Worlds and their listings, without any connection."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from lpmkit.control.hmc_resources import (
    read_fc_adapters,
    read_mover_pairs,
    read_places,
    read_pools,
    read_sriov_ports,
    read_vnics,
)
from lpmkit.control.vios_maps import read_fc_map_fields, read_fc_ports, read_scsi_map
from lpmkit.simulator.chassis import Fabric, World
from lpmkit.simulator.faults import Fault
from lpmkit.simulator.landscape import load
from lpmkit.simulator.move_changes import begun, finished
from lpmkit.simulator.perturbation import perturb
from lpmkit.simulator.placement import Wishes, place, wishes_of
from lpmkit.simulator.shells import hmc
from lpmkit.simulator.shells.migrlpar import Order, understand
from lpmkit.simulator.shells.reply import Context, Reply
from lpmkit.simulator.validation import Demands, Question, refusals, warnings

A, B = "Server-8286-42A-SN21A3F5C", "Server-8286-42A-SN21A40BC"
TOWARDS = f"-m {A} -t {B} --filter lpar_names="


@pytest.fixture
def world() -> World:
    return load(Path("p8pair"))


def typed(world: World, line: str) -> Reply:
    """The console's answer to a command line, without a connection."""
    reply = hmc.run(world, world.hmcs[0], shlex.split(line), Context())
    assert reply is not None
    return reply


def question(world: World, partition: str, record: str = "") -> Question:
    moved = world.partition("p8a", partition)
    assert moved is not None
    return Question(world, moved, world.frame("p8a"), world.frame("p8b"), Demands(wishes_of(record)))


def ordered(world: World, partition: str, record: str = "") -> Order:
    words = ["-o", "m", "-t", B, "-p", partition, *(["-i", record] if record else [])]
    order = understand(world, world.frame("p8a"), words, Context())
    assert isinstance(order, Order)
    return order


def without_zone(world: World, wwpn: str) -> World:
    """The world as it is where somebody forgot to zone a WWPN."""
    fabrics = tuple(Fabric(one.name, tuple(zone for zone in one.zones if zone[0] != wwpn)) for one in world.fabrics)
    return replace(world, fabrics=fabrics)


@pytest.mark.parametrize("partition", ["p8aix01", "p8npiv01", "p8vnic01", "p8lin01", "p8aix06"])
def test_every_partition_of_the_landscape_may_move(world: World, partition: str) -> None:
    assert refusals(question(world, partition)) == []
    assert warnings(question(world, partition)) == []


def test_both_wwpns_of_a_pair_and_the_server_adapter_are_listed(world: World) -> None:
    found = read_fc_adapters(
        typed(
            world,
            f"lshwres -r virtualio -m {A} --rsubtype fc --level lpar -F "
            "lpar_name,lpar_id,slot_num,adapter_type,remote_lpar_name,remote_lpar_id,remote_slot_num,wwpns,is_required",
        ).out
    )
    client = next(one for one in found if one.adapter_type == "client" and one.slot == 5)
    assert client.wwpns == ("c050760871fa0010", "c050760871fa0011")
    (server,) = read_fc_map_fields(typed(world, f"viosrvcmd -m {A} -p p8a-vios1 -c 'lsmap -all -npiv -fmt :'").out)
    assert (server.slot, server.client, server.port, server.status) == (21, "p8npiv01", "fcs0", "LOGGED_IN")
    ports = read_fc_ports(typed(world, f"viosrvcmd -m {A} -p p8a-vios1 -c lsnports").out)
    assert [(port.name, port.ports_left) for port in ports] == [("fcs0", 63), ("fcs1", 64)]


def test_each_io_server_lists_what_it_serves_itself(world: World) -> None:
    first, second = (
        read_scsi_map(typed(world, f"viosrvcmd -m {A} -p p8a-vios{number} -c 'lsmap -all'").out) for number in (1, 2)
    )
    assert [server.client_lpar_id for server in first] == [3, 5, 6, 0]
    assert [server.client_lpar_id for server in second] == [3, 5, 6]
    assert second[0].targets[1].name == "vtscsi1"


def test_virtual_nics_ports_and_pools_are_listed(world: World) -> None:
    fields = "lpar_name,lpar_id,slot_num,backing_devices,backing_device_states,port_vlan_id,mac_addr"
    (nic,) = read_vnics(typed(world, f"lshwres -r virtualio -m {A} --rsubtype vnic --level lpar -F {fields}").out)
    assert [(one.server, one.adapter, one.active) for one in nic.backing] == [
        ("p8a-vios1", 1, True),
        ("p8a-vios2", 2, False),
    ]
    ports = "adapter_id,phys_port_id,phys_port_label,phys_port_loc,state"
    assert (
        len(read_sriov_ports(typed(world, f"lshwres -r sriov -m {B} --rsubtype physport --level eth -F {ports}").out))
        == 3
    )
    pools = "name,shared_proc_pool_id,max_pool_proc_units,curr_reserved_pool_proc_units"
    numbers = {
        name: {
            pool.name: pool.number for pool in read_pools(typed(world, f"lshwres -r procpool -m {name} -F {pools}").out)
        }
        for name in (A, B)
    }
    assert (numbers[A]["SAP pool"], numbers[B]["SAP pool"]) == (1, 2)


def test_the_manager_says_which_movers_can_talk_and_where_adapters_may_go(world: World) -> None:
    pairs = read_mover_pairs(
        typed(world, f"lslparmigr -r msp {TOWARDS}p8npiv01 -F source_msp_name,source_msp_id,ipaddr_mappings").out
    )
    assert len(pairs) == 4
    assert pairs[0].target_address == "192.0.2.121"
    places = read_places(
        typed(
            world,
            f"lslparmigr -r virtualio {TOWARDS}p8npiv01 -F "
            "possible_virtual_scsi_mappings,suggested_virtual_scsi_mappings,"
            "possible_virtual_fc_mappings,suggested_virtual_fc_mappings",
        ).out
    )
    assert [(place.slot, place.server) for place in places.fc_suggested] == [(5, "p8b-vios1"), (6, "p8b-vios2")]


@pytest.mark.parametrize("wwpn", ["c050760871fa0010", "c050760871fa0011"])
def test_a_pair_of_which_one_wwpn_is_not_zoned_has_no_place_on_the_target(world: World, wwpn: str) -> None:
    (said,) = refusals(question(without_zone(world, wwpn), "p8npiv01"))
    assert "slot 5" in said
    answer = typed(without_zone(world, wwpn), f"lslparmigr -r virtualio {TOWARDS}p8npiv01")
    assert "possible_virtual_fc_mappings=6/p8b-vios1/1,6/p8b-vios2/2" in answer.out


def test_adapters_go_where_the_record_says(world: World) -> None:
    record = (
        '"virtual_scsi_mappings=2/p8b-vios2/2/41,3//1/42",shared_proc_pool_name=SAP pool,dest_lpar_id=9,'
        "source_msp_name=p8a-vios2,dest_msp_id=2"
    )
    after = begun(world, 1, ordered(world, "p8aix01", record)).partition("p8b", "p8aix01")
    assert after is not None
    assert [(pair.slot, pair.server, pair.server_slot) for pair in after.scsi] == [
        (2, "p8b-vios2", 41),
        (3, "p8b-vios1", 42),
    ]
    assert (after.pool, after.lpar_id) == (2, 9)
    assert after.migration is not None
    assert (after.migration.source_msp, after.migration.dest_msp) == ("p8a-vios2", "p8b-vios2")
    assert [disk.backing for disk in after.scsi[0].disks] == [
        "hdisk4",
        "hdisk5",
    ]  # the same LUNs have other numbers there


def test_a_pool_is_lost_unless_the_order_names_it(world: World) -> None:
    after = begun(world, 1, ordered(world, "p8aix01")).partition("p8b", "p8aix01")
    assert after is not None
    assert after.pool == 0
    assert "does not exist" in refusals(question(world, "p8aix01", "shared_proc_pool_name=nowhere"))[0]


def test_virtual_nics_keep_two_ports_behind_two_servers(world: World) -> None:
    moved = world.partition("p8a", "p8vnic01")
    assert moved is not None
    record = '"vnic_mappings=7/ded/p8b-vios2/2/2/0/2.0/1/0,7/ded/p8b-vios1/1/1/1/2.0/2/0"'
    for wishes in (Wishes(), wishes_of(record)):
        placed = place(world, moved, world.frame("p8a"), world.frame("p8b"), wishes)
        (nic,) = placed.vnics
        assert {one.server for one in nic.backing} == {"p8b-vios1", "p8b-vios2"}
    assert [(one.adapter, one.port) for one in nic.backing] == [(2, 0), (1, 1)]


def test_only_the_mover_of_the_move_counts_its_bytes(world: World) -> None:
    moving = begun(world, 1, ordered(world, "p8aix01", "source_msp_name=p8a-vios2"))
    for found in moving.partitions:
        if found.migration is not None:
            moving = moving.with_partition(replace(found, migration=replace(found.migration, bytes_transmitted=4096)))
    after = finished(moving, "p8aix01", "p8a", "p8b", "active").frame("p8a")
    assert [server.moved_bytes_out for server in after.servers] == [0, 4096]


#: What each refusal must mention, of which partition; the wording is recalled, the cause is not.
REFUSALS = {
    "wwpn-not-zoned": ("p8npiv01", "slot 6"),
    "fc-ports-full": ("p8npiv01", "cannot be hosted"),
    "no-link": ("p8vnic01", "no physical port"),
    "vswitch-differs": ("p8aix01", "virtual LAN 100"),
    "huge-pages": ("p8aix01", "huge pages"),
    "bsr-arrays": ("p8aix01", "barrier"),
    "hea-port": ("p8aix01", "host Ethernet"),
    "error-path-reporting": ("p8aix01", "error path"),
    "work-group": ("p8aix01", "workload group"),
    "mobility-disabled": ("p8aix01", "disabled"),
    "shared-memory": ("p8aix01", "shared memory"),
    "serial-adapter": ("p8aix01", "slot 9"),
    "os-not-ready": ("p8aix01", "not ready"),
}


@pytest.mark.parametrize("name", sorted(REFUSALS))
def test_every_fault_of_a_frame_is_refused_for_its_reason(world: World, name: str) -> None:
    partition, word = REFUSALS[name]
    messages = refusals(question(perturb(world, Fault(name, object=partition)), partition))
    assert messages
    assert word in messages[0]


def test_masking_is_tested_only_where_the_order_asks_for_it(world: World) -> None:
    unmasked = perturb(world, Fault("wwpn-not-masked"))
    assert refusals(question(unmasked, "p8npiv01")) == []
    (said,) = refusals(replace(question(unmasked, "p8npiv01"), demands=Demands(disks_tested=True)))
    assert "c050760871fa0013" in said


def test_what_stands_in_a_partitions_way_stands_in_its_listings_too(world: World) -> None:
    for name, line in (
        (
            "huge-pages",
            f"lshwres -r mem --level lpar -m {A} -F lpar_name,run_num_huge_pages --filter lpar_names=p8aix01",
        ),
        ("work-group", f"lssyscfg -r lpar -m {A} -F name,work_group_id --filter lpar_names=p8aix01"),
        ("mobility-disabled", f"lssyscfg -r lpar -m {A} -F name,migration_disabled --filter lpar_names=p8aix01"),
        ("bsr-arrays", f"lssyscfg -r prof -m {A} -F lpar_name,bsr_arrays --filter lpar_names=p8aix01"),
    ):
        before, after = typed(world, line).out, typed(perturb(world, Fault(name, object="p8aix01")), line).out
        assert before != after, name
        assert after.startswith("p8aix01,1"), name


def test_one_io_server_less_on_the_target_is_a_warning_and_no_refusal(world: World) -> None:
    frame = world.frame("p8b")
    second = replace(frame.servers[1], rmc_state="inactive")
    lamed = world.with_frame(frame.with_server(second))
    assert refusals(question(lamed, "p8npiv01")) == []
    assert ["multipath" in text for text in warnings(question(lamed, "p8npiv01"))] == [True]
