"""Checks of virtual Ethernet."""

from __future__ import annotations

from lpmkit.checks.judging import Fact, NotKnown, RuleResult, Verdict, joined, moving_of, need, passed, vios_of
from lpmkit.inventory import VirtualEthernetAdapter
from lpmkit.survey.model import Survey, SystemFacts, adapters_of, bridge_for


def _adapters(survey: Survey) -> tuple[VirtualEthernetAdapter, ...]:
    need(survey.source.partitions, survey, "partitions", survey.source.name)
    return need(adapters_of(survey), survey, "ethernet adapters", survey.source.name)


def bridged(survey: Survey, side: SystemFacts) -> RuleResult:
    """Require an SEA that bridges every VLAN of the partition, on the same virtual switch if there are several."""
    adapters = _adapters(survey)
    vios = vios_of(survey, side, "network map")
    need(vios.shared_ethernets, survey, "network map", side.name)
    need(vios.trunks, survey, "trunks", side.name)
    seas = {vlan: bridge_for(side, vlan, adapter.vswitch) for adapter in adapters for vlan in adapter.vlans}
    missing = [vlan for vlan, sea in seas.items() if sea is None]
    return passed(
        not missing,
        side.name,
        {f"VLAN {vlan}": sea or "no SEA" for vlan, sea in seas.items()} or {"adapters": 0},
        f"Bridge VLAN {joined(missing)} on {side.name}: mkvdev -sea ADAPTER -vadapter TRUNK -default TRUNK -defaultid VLAN, "
        "or add the VLAN to the trunk; the switch port must carry it.",
    )


def vnic_ports(survey: Survey) -> RuleResult:
    """A virtual NIC needs a physical SR-IOV port with a link on the target for every backing device, or at least for one."""
    moving = moving_of(survey)
    nics = [
        nic for nic in need(survey.source.vnics, survey, "vnics", survey.source.name) if nic.lpar_id == moving.lpar_id
    ]
    if not nics:
        return RuleResult(Verdict.PASS, survey.partition, {"virtual NICs": 0})
    ports = need(survey.target.sriov_ports, survey, "sriov ports", survey.target.name)
    if any(port.up is None for port in ports):
        raise NotKnown(survey.target.name, f"{survey.target.name} does not say which SR-IOV ports have a link")
    up = [port for port in ports if port.up]
    wanted = max(len(nic.backing) for nic in nics)
    facts: dict[str, Fact] = {
        "virtual NICs": len(nics),
        "backing devices": wanted,
        "ports with a link": joined(f"adapter {port.adapter} port {port.port}" for port in up),
    }
    remedy = (
        "Connect an SR-IOV port of the target to the same network (lshwres -r sriov --rsubtype physport -m TARGET --level eth), and say "
        "which in the order: --map vnic_mappings=SLOT/..."
    )
    if not up:
        return RuleResult(Verdict.FAIL, survey.target.name, facts, remedy)
    return passed(len(up) >= wanted, survey.target.name, facts, remedy, bad=Verdict.WARN)
