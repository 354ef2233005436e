"""Checks of virtual Fibre Channel (NPIV): both WWPNs of each adapter, and what the target can give it.

Only fabric and storage know zoning and masking. The manager's list of candidates (``lslparmigr -r virtualio``) is the
target's view of the zoning: an adapter without a candidate is not zoned there, or finds no free port.
"""

from __future__ import annotations

from shlex import quote

from lpmkit.checks.judging import (
    Fact,
    NotApplicable,
    NotKnown,
    OnlyFirmware,
    RuleResult,
    Verdict,
    joined,
    moving_of,
    need,
    not_asked,
    passed,
    vios_of,
)
from lpmkit.checks.profile import profile_field
from lpmkit.inventory import VirtualFcAdapter
from lpmkit.survey.model import Survey

#: One for the partition where it runs, one for where it goes to.
WWPNS_EACH = 2


def _adapters(survey: Survey) -> tuple[VirtualFcAdapter, ...]:
    """The partition's client adapters; raises `NotApplicable` where it has none, by all that lists them."""
    lpar_id = moving_of(survey).lpar_id
    listed = need(survey.source.fc_adapters, survey, "fc adapters", survey.source.name)
    adapters = tuple(adapter for adapter in listed if adapter.lpar_id == lpar_id and adapter.adapter_type == "client")
    if adapters:
        return adapters
    servers = (survey.source.vios.fc_servers if survey.source.vios else None) or ()
    profile = profile_field(survey, "virtual_fc_adapters")
    if any(server.client_lpar_id == lpar_id for server in servers) or profile not in (None, "", "none"):
        raise NotKnown(
            survey.partition,
            f"{survey.source.name} lists no virtual Fibre Channel adapter of {survey.partition}, but its VIOS or its "
            "profile have one",
        )
    raise NotApplicable(survey.partition, "the partition has no virtual Fibre Channel adapter")


def wwpn_pairs(survey: Survey) -> RuleResult:
    """Require two WWPNs of every client adapter; the target logs in with the second."""
    adapters = _adapters(survey)
    single = [adapter.slot for adapter in adapters if len(adapter.wwpns) != WWPNS_EACH]
    facts: dict[str, Fact] = {f"slot {adapter.slot}": joined(adapter.wwpns) for adapter in adapters}
    return passed(
        not single,
        survey.partition,
        facts,
        f"Create the adapters in slots {joined(single)} again without WWPNs, so that the system assigns a pair to "
        f"each: chhwres -r virtualio --rsubtype fc -o a -p {survey.partition}; then zone and mask both",
    )


def logged_in(survey: Survey) -> RuleResult:
    """Warn of an adapter that is not logged in on the source: it will probably not log in on the target either."""
    adapters = _adapters(survey)
    lpar_id = moving_of(survey).lpar_id
    servers = need(vios_of(survey, survey.source, "fc map").fc_servers, survey, "fc map", survey.source.name)
    serving = [server for server in servers if server.client_lpar_id == lpar_id]
    good = len(serving) >= len(adapters) and all(server.status == "LOGGED_IN" for server in serving)
    return passed(
        good,
        survey.partition,
        {server.name: f"{server.status} on {server.port or 'no port'}" for server in serving} or {"server adapters": 0},
        "lsmap -all -npiv on the VIOS; check the zoning of the WWPN that is in use now",
        bad=Verdict.WARN,
    )


def ports_free(survey: Survey) -> RuleResult:
    """Require room on the target's ports for as many more adapters, with two WWPNs each."""
    adapters = _adapters(survey)
    ports = need(vios_of(survey, survey.target, "fc ports").fc_ports, survey, "fc ports", survey.target.name)
    free = sum(min(port.ports_left, port.wwpns_left // WWPNS_EACH) for port in ports if port.fabric)
    if free < len(adapters) and not_asked(survey, survey.target):
        raise NotKnown(
            survey.target.name,
            f"the VIOS that were read have room for {free}, and "
            f"{joined(not_asked(survey, survey.target))} was not read",
        )
    return passed(
        free >= len(adapters),
        survey.target.name,
        {"needed": len(adapters), "free": free}
        | {port.name: f"{port.ports_left} ports, {port.wwpns_left} WWPNs left" for port in ports},
        "lsnports on the VIOS of the target shows their ports; connect another one to the fabric",
    )


def zoned(survey: Survey) -> RuleResult:
    """Require that the target can host each adapter: its second WWPN is zoned to the same target ports."""
    adapters = _adapters(survey)
    places = need(survey.places, survey, "places", survey.source.name)
    hosts = {adapter.slot: [place.server for place in places.fc if place.slot == adapter.slot] for adapter in adapters}
    nowhere = [adapter for adapter in adapters if not hosts[adapter.slot]]
    fewer = len({adapter.remote_lpar_id for adapter in adapters}) > len(
        {server for names in hosts.values() for server in names}
    )
    facts: dict[str, Fact] = {f"slot {slot}": joined(servers) for slot, servers in hosts.items()}
    if nowhere:
        pairs = "; ".join(joined(adapter.wwpns) for adapter in nowhere)
        return RuleResult(
            Verdict.FAIL, survey.target.name, facts, f"Zone both WWPNs of each pair to the same target ports: {pairs}"
        )
    return passed(
        not fewer,
        survey.target.name,
        facts,
        "Fewer VIOS than now can host them: a path is lost",
        bad=Verdict.WARN,
    )


def masked(survey: Survey) -> RuleResult:
    """Leave LUN masking to the validation disk by disk, the only view of a WWPN that is not logged in (B `HMC8`)."""
    adapters = _adapters(survey)
    wwpns = joined(wwpn for adapter in adapters for wwpn in adapter.wwpns)
    raise OnlyFirmware(
        survey.target.name,
        "no listing shows the masking of WWPNs that are not logged in, and the ordinary validation of an HMC before "
        "V10R3 M1061 checks the zoning only",
        f"Mask the same LUNs to all of {wwpns}. To try every disk: lpmkit validate {quote(survey.partition)} "
        f"--to {quote(survey.target.name)} --npiv-disks (migrlpar -o v … --npivval portdisk)",
    )
