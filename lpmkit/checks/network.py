"""Checks of virtual Ethernet, virtual NICs and logical SR-IOV ports."""

from __future__ import annotations

from collections.abc import Sequence

from lpmkit.checks.judging import (
    Fact,
    NotApplicable,
    NotKnown,
    OnlyFirmware,
    RuleResult,
    Verdict,
    is_inactive,
    joined,
    moving_of,
    need,
    not_asked,
    ordered,
    passed,
    vios_of,
)
from lpmkit.checks.profile import current_profile
from lpmkit.inventory import SharedEthernet, SriovLogicalPort, SriovPort, VirtualEthernetAdapter
from lpmkit.survey.model import WAITING, Survey, SystemFacts, adapters_of, bridges_for, forwards, is_configured

#: The virtual switch that every system has (A `ZIU`).
DEFAULT_SWITCH = "ETHERNET0"


def _adapters(survey: Survey) -> tuple[VirtualEthernetAdapter, ...]:
    """The partition's virtual Ethernet adapters; raises `NotApplicable` where it has none."""
    need(survey.source.partitions, survey, "partitions", survey.source.name)
    adapters = need(adapters_of(survey), survey, "ethernet adapters", survey.source.name)
    if not survey.source.ethernet_adapters:
        # Even its VIOS have trunk adapters: an empty list was not read right.
        raise NotKnown(survey.source.name, f"{survey.source.name} lists no virtual Ethernet adapter of any partition")
    if not adapters:
        raise NotApplicable(survey.partition, "the partition has no virtual Ethernet adapter")
    return adapters


def bridged(survey: Survey, side: SystemFacts) -> RuleResult:
    """Require, for every VLAN of the partition, an SEA on the same virtual switch that forwards packets.

    An SEA in ``LIMBO``, or with its physical link down, does not; of a failover pair one that does is enough, with a
    warning. That one forwards is shown by its link, or by its failover state: without a link it would be in ``LIMBO``.
    """
    adapters = _adapters(survey)
    vios = vios_of(survey, side, "network map")
    need(vios.shared_ethernets, survey, "network map", side.name)
    need(vios.trunks, survey, "trunks", side.name)
    seas = _seas(side, adapters)
    facts: dict[str, Fact] = {
        f"VLAN {vlan}": ", ".join(map(_sea_word, bridges)) or "no SEA" for vlan, bridges in seas.items()
    }
    missing = [vlan for vlan, bridges in seas.items() if not bridges]
    if missing and not_asked(survey, side):
        raise NotKnown(
            side.name,
            f"no VIOS that was read bridges VLAN {joined(missing)}, and {joined(not_asked(survey, side))} was not read",
        )
    # An order may do without the bridge on the target.
    bad = Verdict.WARN if side is survey.target and ordered(survey, "vlanbridge") == "2" else Verdict.FAIL
    if missing:
        return RuleResult(
            bad,
            side.name,
            facts,
            f"Bridge VLAN {joined(missing)} on {side.name}: mkvdev -sea ADAPTER -vadapter TRUNK -default TRUNK "
            "-defaultid VLAN, or add the VLAN to the trunk; the switch port must carry it.",
        )
    dead = [vlan for vlan, bridges in seas.items() if not any(map(forwards, bridges))]
    broken = {bridge.sea for bridges in seas.values() for bridge in bridges if not _is_well(bridge)}
    remedy = (
        f"On the VIOS of {side.name}: entstat -all {joined(sorted(filter(None, broken)))} shows state and link; check "
        "cable, switch port, control channel and error log (VIOS_SEA_ADAP_FAIL)."
    )
    if any(_only_waiting(seas[vlan]) for vlan in dead) and not_asked(survey, side):
        raise NotKnown(
            side.name,
            f"only backup SEAs bridge VLAN {joined(dead)}, and {joined(not_asked(survey, side))} was not read",
        )
    if dead:
        return RuleResult(bad, side.name, facts, remedy)
    elsewhere = _on_a_switch_that_is_not_shown(side, adapters)
    if elsewhere:
        raise NotKnown(
            side.name,
            f"whether VLAN {joined(elsewhere)} is bridged: entstat -all does not show the virtual switch of its trunk",
        )
    unseen = [vlan for vlan, bridges in seas.items() if not any(map(_is_seen_to_forward, bridges))]
    if unseen:
        names = joined(sorted({str(bridge.sea) for vlan in unseen for bridge in seas[vlan]}))
        raise NotKnown(
            side.name,
            f"whether the SEA of VLAN {joined(unseen)} has a link: entstat -all of {names} shows neither link nor "
            "failover state",
            f"On the VIOS of {side.name}: entstat -all {names}, and look at the port of the switch.",
        )
    return passed(not broken, side.name, facts, remedy, bad=Verdict.WARN)


def _seas(side: SystemFacts, adapters: Sequence[VirtualEthernetAdapter]) -> dict[int | str, tuple[SharedEthernet, ...]]:
    """The SEAs of each VLAN, which is another one on another virtual switch."""
    places = dict.fromkeys((vlan, adapter.vswitch) for adapter in adapters for vlan in adapter.vlans)
    several = len({vswitch for _, vswitch in places}) > 1
    return {
        f"{vlan} of {vswitch}" if several else vlan: bridges_for(side, vlan, vswitch) or () for vlan, vswitch in places
    }


def _on_a_switch_that_is_not_shown(side: SystemFacts, adapters: Sequence[VirtualEthernetAdapter]) -> list[int]:
    """VLANs of another virtual switch than the one that every system has, for which no trunk shows its switch."""
    trunks = (side.vios.trunks if side.vios else None) or ()
    return [
        vlan
        for adapter in adapters
        if adapter.vswitch not in (None, DEFAULT_SWITCH)
        for vlan in adapter.vlans
        if not any(trunk.vswitch == adapter.vswitch and vlan in trunk.vlans for trunk in trunks)
    ]


def _sea_word(bridge: SharedEthernet) -> str:
    link = {False: " link down", None: " link not shown"}.get(bridge.link_up, "")
    status = "" if is_configured(bridge) else f" {bridge.status}"
    return f"{bridge.sea}{status}{f' {bridge.state}' if bridge.state else ''}{link}"


def _is_well(bridge: SharedEthernet) -> bool:
    return forwards(bridge) or _waits(bridge)


def _is_seen_to_forward(bridge: SharedEthernet) -> bool:
    return forwards(bridge) and (bridge.link_up is True or bridge.state is not None)


def _waits(bridge: SharedEthernet) -> bool:
    return is_configured(bridge) and bridge.state in WAITING and bridge.link_up is not False


def _only_waiting(bridges: tuple[SharedEthernet, ...]) -> bool:
    return all(map(_waits, bridges))


def vnic_ports(survey: Survey) -> RuleResult:
    """Require a physical SR-IOV port of the target, with a link and capacity left, for each backing device, or at
    least for one.

    A refusal for want of capacity is HSCL1293 (A `HMCMCP`).
    """
    moving = moving_of(survey)
    listed = need(survey.source.vnics, survey, "vnics", survey.source.name)
    nics = [nic for nic in listed if nic.lpar_id == moving.lpar_id]
    if not nics:
        raise NotApplicable(survey.partition, "the partition has no virtual NIC")
    ports = need(survey.target.sriov_ports, survey, "sriov ports", survey.target.name)
    if any(port.up is None for port in ports):
        raise NotKnown(survey.target.name, f"{survey.target.name} does not list which SR-IOV ports have a link")
    bad = Verdict.WARN if ordered(survey, "vniccfg") == "2" else Verdict.FAIL
    up = [port for port in ports if port.up]
    left = {port: _capacity_left(survey, port) for port in up}
    wanted = max(len(nic.backing) for nic in nics)
    smallest = min((backing.capacity or 0.0 for nic in nics for backing in nic.backing), default=0.0)
    facts: dict[str, Fact] = {
        "virtual NICs": len(nics),
        "backing devices": wanted,
        "ports with a link": joined(
            f"adapter {port.adapter} port {port.port} "
            + ("(capacity not listed)" if percent is None else f"({percent:g} % left)")
            for port, percent in left.items()
        ),
    }
    remedy = (
        "Connect an SR-IOV port of the target to the same network (lshwres -r sriov --rsubtype physport -m TARGET "
        "--level eth, and ethc and roce), and name it in the order: --map vnic_mappings=SLOT/..."
    )
    if not up:
        return RuleResult(bad, survey.target.name, facts, remedy)
    able = [port for port, percent in left.items() if percent is None or percent >= smallest]
    if not able:
        remedy = (
            f"Each backing device needs at least {smallest:g} % of a port: take capacity from other logical ports of "
            "the target (lshwres -r sriov --rsubtype logport -m TARGET --level eth lists them)."
        )
        return RuleResult(bad, survey.target.name, facts, remedy)
    if all(left[port] is None for port in able):
        raise OnlyFirmware(
            survey.target.name,
            "this level does not list the capacity of logical SR-IOV ports",
            "lpmkit validate asks it",
        )
    fewer = Verdict.FAIL if ordered(survey, "redundantvnicbkdev") == "1" else Verdict.WARN
    return passed(len(able) >= wanted, survey.target.name, facts, remedy, bad=fewer)


def _capacity_left(survey: Survey, port: SriovPort) -> float | None:
    """Percent of a physical port of the target that no logical port has; ``None`` where a share is not listed."""
    listed = need(survey.target.logical_ports, survey, "logical ports", survey.target.name)
    on_adapter = [each for each in listed if each.adapter == port.adapter and each.port in (port.port, None)]
    shares = [None if each.port is None else each.capacity for each in on_adapter]
    return None if None in shares else 100.0 - sum(share or 0.0 for share in shares)


#: Fields of a profile that hold logical SR-IOV ports (B `HMC9`).
LOGICAL_PORT_FIELDS = ("sriov_eth_logical_ports", "sriov_roce_logical_ports")


def sriov_ports(survey: Survey) -> RuleResult:
    """Require a partition without logical SR-IOV ports of its own, Ethernet or RoCE; a migratable one needs
    ``--migsriov``.

    Both the manager's list and the profile count: either may have what the other lacks.
    """
    moving = moving_of(survey)
    listed = need(survey.source.logical_ports, survey, "logical ports", survey.source.name)
    ports = [port for port in listed if port.lpar_id == moving.lpar_id]
    facts: dict[str, Fact] = {
        f"logical port {port.logical_port}": f"adapter {port.adapter}, {port.level}"
        + (", migratable" if port.migratable else "")
        for port in ports
    }
    profile = {} if ports else current_profile(survey)
    for field in LOGICAL_PORT_FIELDS:
        value = profile.get(field)
        if value not in (None, "", "none"):
            facts[f"{field} of the profile"] = value
    if not facts:
        raise NotApplicable(survey.partition, "the partition has no logical SR-IOV port")
    if ports and all(port.migratable for port in ports):
        return _migratable(survey, ports, facts)
    return RuleResult(
        Verdict.FAIL,
        survey.partition,
        facts,
        "A logical port that is not migratable keeps the partition here. Give it a virtual NIC or a virtual Ethernet "
        "adapter and move its addresses there; then remove the port from partition and profile.",
    )


def _migratable(survey: Survey, ports: Sequence[SriovLogicalPort], facts: dict[str, Fact]) -> RuleResult:
    """Migratable ports, by what the order says of them (``--migsriov``, B `HMC9`): 1 needs a port of the target with
    capacity for each, 2 moves without those that find none.
    """
    wanted = ordered(survey, "migsriov")
    order = "Order the move with --option migsriov=1; the ports need capacity on the SR-IOV adapters of the target."
    if wanted is None and is_inactive(survey):
        return RuleResult(Verdict.WARN, survey.partition, facts, order)
    needed = max((port.capacity or 0.0 for port in ports), default=0.0)
    there = need(survey.target.sriov_ports, survey, "sriov ports", survey.target.name)
    left = [_capacity_left(survey, port) for port in there if port.up]
    able = [percent for percent in left if percent is not None and percent >= needed]
    facts |= {"--migsriov": wanted or "not ordered", "ports of the target with a link and capacity": len(able)}
    if None in left and len(able) < len(ports):
        raise OnlyFirmware(
            survey.target.name,
            "this level does not list the capacity of logical SR-IOV ports",
            "lpmkit validate asks it",
        )
    remedy = (
        f"Give the target {len(ports)} SR-IOV ports with a link and {needed:g} % left, or order --option migsriov=2: "
        "then the partition goes on over the devices that back the ports up."
    )
    if len(able) < len(ports):
        return RuleResult(Verdict.WARN if wanted == "2" else Verdict.FAIL, survey.target.name, facts, remedy)
    return passed(wanted is not None, survey.target.name, facts, order, bad=Verdict.WARN)
