"""Checks of virtual Ethernet."""

from __future__ import annotations

from lpmkit.checks.judging import Judgement, joined, need, passed, vios_of
from lpmkit.inventory import VirtualEthernetAdapter
from lpmkit.survey import Side, Survey, adapters_of, bridge_for


def _adapters(survey: Survey) -> tuple[VirtualEthernetAdapter, ...]:
    need(survey.source.partitions, survey, "partitions", survey.source.name)
    return need(adapters_of(survey), survey, "ethernet adapters", survey.source.name)


def bridged(survey: Survey, side: Side) -> Judgement:
    """#30: every VLAN of the partition must be bridged by an SEA, on the same virtual switch where there are several."""
    adapters = _adapters(survey)
    vios = vios_of(survey, side, "network map")
    need(vios.shared_ethernets, survey, "network map", side.name)
    need(vios.trunks, survey, "trunks", side.name)
    seas = {vlan: bridge_for(side, vlan, one.vswitch) for one in adapters for vlan in one.vlans}
    missing = [vlan for vlan, sea in seas.items() if sea is None]
    return passed(
        not missing,
        side.name,
        {f"VLAN {vlan}": sea or "no SEA" for vlan, sea in seas.items()} or {"adapters": 0},
        f"Bridge VLAN {joined(missing)} on {side.name}: mkvdev -sea ADAPTER -vadapter TRUNK -default TRUNK -defaultid VLAN, "
        "or add the VLAN to the trunk; the switch port must carry it.",
    )
