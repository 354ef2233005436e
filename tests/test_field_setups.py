"""Set-ups that administrators meet, as surveys: what a check says of each, written down from the vendor's documents
before the rules were asked.

Each row changes the survey of a partition that is ready: `PASS` stands only where the firmware takes it, and where a
fact is missing or nobody can tell, nothing passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from functools import cache
from typing import Any

import pytest

from lpmkit.checks import CHECKS, Verdict, examine
from lpmkit.inventory import Partition, SharedEthernet, Vios
from lpmkit.survey.model import Survey
from tests.in_process import place
from tests.test_setups import MOVES, WELL

PASS, WARN, FAIL, UNKNOWN = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.UNKNOWN
NONE = Verdict.NOT_APPLICABLE
#: The worst of the verdicts of a check counts.
WORST = (FAIL, UNKNOWN, WARN, PASS, NONE)
Altered = Callable[[Survey], Survey]


@cache
def survey_of(partition: str) -> Survey:
    landscape, source, target = MOVES[partition]
    with place(landscape) as up:
        return replace(up.survey(up.order(partition, source, target)), guest=WELL)


# -- what is changed ---------------------------------------------------------------------------------------------------


def side(which: str, **facts: Any) -> Altered:
    return lambda survey: replace(survey, **{which: replace(getattr(survey, which), **facts)})


def servers(which: str, change: Callable[[Vios], Vios]) -> Altered:
    """Every I/O server of a side, and what was made of all of them."""

    def alter(survey: Survey) -> Survey:
        facts = getattr(survey, which)
        return side(which, vios=change(facts.vios), servers=tuple(map(change, facts.servers)))(survey)

    return alter


def bridges(which: str, *each: tuple[str | None, bool | None]) -> Altered:
    """The SEAs of a side with these states and links, one for each I/O server; the last one for all that are left."""

    def alter(survey: Survey) -> Survey:
        facts = getattr(survey, which)
        order = [vios.name for vios in facts.servers]

        def changed(bridge: SharedEthernet, number: int) -> SharedEthernet:
            state, link = each[min(number, len(each) - 1)]
            return replace(bridge, state=state, link_up=link) if bridge.sea else bridge

        whole = tuple(
            changed(bridge, next((at for at, name in enumerate(order) if name in bridge.virtual_adapter), 0))
            for bridge in facts.vios.shared_ethernets
        )
        own = tuple(
            replace(vios, shared_ethernets=tuple(changed(bridge, at) for bridge in vios.shared_ethernets or ()))
            for at, vios in enumerate(facts.servers)
        )
        return side(which, vios=replace(facts.vios, shared_ethernets=whole), servers=own)(survey)

    return alter


def trunks(which: str, **facts: Any) -> Altered:
    return servers(
        which, lambda vios: replace(vios, trunks=tuple(replace(trunk, **facts) for trunk in vios.trunks or ()))
    )


def switch(name: str) -> Altered:
    """The partition's VLANs are on this virtual switch, and so is all on its source."""

    def alter(survey: Survey) -> Survey:
        adapters = tuple(replace(one, vswitch=name) for one in survey.source.ethernet_adapters or ())
        return both(side("source", ethernet_adapters=adapters), trunks("source", vswitch=name))(survey)

    return alter


def one_vlan_on_two_switches(survey: Survey) -> Survey:
    assert survey.moving is not None
    adapters = survey.source.ethernet_adapters or ()
    first = next(one for one in adapters if one.lpar_id == survey.moving.lpar_id)
    return side("source", ethernet_adapters=(replace(first, slot=99, vswitch="PROD"), *adapters))(survey)


def partitions(which: str, chosen: Callable[[Survey, Partition], bool], **facts: Any) -> Altered:
    def alter(survey: Survey) -> Survey:
        listed = getattr(survey, which).partitions
        changed = tuple(replace(one, **facts) if chosen(survey, one) else one for one in listed)
        return side(which, partitions=changed)(survey)

    return alter


def profile(old: str, new: str) -> Altered:
    """The partition's profiles with other words."""

    def alter(survey: Survey) -> Survey:
        profiles = survey.source.profiles or ()
        assert any(old in one.record for one in profiles)
        changed = tuple(replace(one, record=one.record.replace(old, new)) for one in profiles)
        return side("source", profiles=changed)(survey)

    return alter


def moving(**facts: Any) -> Altered:
    return partitions("source", lambda survey, one: one.name == survey.partition, **facts)


def frame(which: str, **facts: Any) -> Altered:
    return lambda survey: side(which, frame=replace(getattr(survey, which).frame, **facts))(survey)


def target_modes(*modes: str) -> Altered:
    return frame("target", proc_compat_modes=("default", *modes))


def disks(which: str, **facts: Any) -> Altered:
    return servers(which, lambda vios: replace(vios, disks=tuple(replace(disk, **facts) for disk in vios.disks or ())))


def fc_ports(**facts: Any) -> Altered:
    return servers(
        "target", lambda vios: replace(vios, fc_ports=tuple(replace(port, **facts) for port in vios.fc_ports or ()))
    )


def ordered(**options: str) -> Altered:
    return lambda survey: replace(survey, options=options)


def both(*alters: Altered) -> Altered:
    def alter(survey: Survey) -> Survey:
        for one in alters:
            survey = one(survey)
        return survey

    return alter


def first_port_only(survey: Survey) -> Survey:
    return side("target", sriov_ports=(survey.target.sriov_ports or ())[:1])(survey)


def one_source_mover(survey: Survey) -> Survey:
    pairs = survey.mover_pairs or ()
    return replace(survey, mover_pairs=tuple(pair for pair in pairs if pair.source == pairs[0].source))


def last_server_without_rmc(survey: Survey) -> Survey:
    name = survey.target.io_servers[-1].name
    return partitions("target", lambda _, one: one.name == name, rmc_state="inactive")(survey)


def free_memory(more_mb: int) -> Altered:
    """The target has as much memory as the partition, and more."""

    def alter(survey: Survey) -> Survey:
        assert survey.moving is not None
        assert survey.moving.memory_mb is not None
        return frame("target", memory_available_mb=survey.moving.memory_mb + more_mb)(survey)

    return alter


def first_server_only(survey: Survey) -> Survey:
    return side("target", asked=survey.target.asked[:1], servers=survey.target.servers[:1])(survey)


def one_wwpn(survey: Survey) -> Survey:
    adapters = tuple(replace(one, wwpns=one.wwpns[:1]) for one in survey.source.fc_adapters or ())
    return side("source", fc_adapters=adapters)(survey)


def logged_out(vios: Vios) -> Vios:
    return replace(vios, fc_servers=tuple(replace(one, status="NOT_LOGGED_IN") for one in vios.fc_servers or ()))


def vasi_defined(vios: Vios) -> Vios:
    devices = tuple(replace(one, status="Defined") if one.name == "vasi0" else one for one in vios.devices or ())
    return replace(vios, devices=devices)


DEDICATED = moving(proc_mode="ded", virtual_processors=4, proc_units=None, pool_id=None, pool=None)
NO_PORTS = side("target", sriov_ports=())
UNREAD_PORTS = side("target", sriov_ports=None)
AIX, LINUX, IBM_I, NPIV, VNIC = "p8aix01", "p10lin01", "p10ibmi01", "p8npiv01", "p8vnic01"

# -- the table: kind, partition, change, and the verdict of a check, or those that say the same of it ------------------

SETUPS: list[tuple[str, str, Altered, Mapping[str, Verdict | tuple[Verdict, ...]]]] = [
    ("SEA, load sharing", AIX, bridges("target", ("PRIMARY_SH", True), ("BACKUP_SH", True)), {"bridged": PASS}),
    ("SEA, one unhealthy", AIX, bridges("target", ("UNHEALTHY", True), ("PRIMARY", True)), {"bridged": WARN}),
    ("SEA, one in recovery", AIX, bridges("target", ("RECOVERY", True), ("PRIMARY", True)), {"bridged": WARN}),
    ("SEA, two backups", AIX, bridges("target", ("BACKUP", True)), {"bridged": FAIL}),
    ("SEA, primary without a link", AIX, bridges("target", ("PRIMARY", False), ("BACKUP", True)), {"bridged": FAIL}),
    ("SEA, no link at all", AIX, bridges("target", ("PRIMARY", False), ("BACKUP", False)), {"bridged": FAIL}),
    ("SEA, starting", AIX, bridges("target", ("INIT", True)), {"bridged": FAIL}),
    ("SEA, a state of a later level", AIX, bridges("target", ("NOTIFY", True)), {"bridged": (FAIL, UNKNOWN)}),
    ("SEA, neither link nor state", AIX, bridges("target", (None, None)), {"bridged": UNKNOWN}),
    ("SEA, neither, beside one with", AIX, bridges("target", (None, None), (None, True)), {"bridged": PASS}),
    ("SEA, states without links", AIX, bridges("target", ("PRIMARY", None), ("BACKUP", None)), {"bridged": PASS}),
    ("SEA, source without a link", AIX, bridges("source", ("PRIMARY", False)), {"bridged": FAIL}),
    ("virtual switch not shown", AIX, both(switch("PROD"), trunks("target", vswitch=None)), {"bridged": UNKNOWN}),
    ("virtual switch, another", AIX, both(switch("PROD"), trunks("target", vswitch="TEST")), {"bridged": FAIL}),
    ("one VLAN on two switches", AIX, one_vlan_on_two_switches, {"bridged": FAIL}),
    ("trunks not read", AIX, servers("target", lambda vios: replace(vios, trunks=None)), {"bridged": UNKNOWN}),
    ("vNIC, ports not read", VNIC, UNREAD_PORTS, {"vnic": UNKNOWN}),
    ("vNIC, no port", VNIC, NO_PORTS, {"vnic": FAIL}),
    ("vNIC, no port, moved without", VNIC, both(NO_PORTS, ordered(vniccfg="2")), {"vnic": WARN}),
    ("vNIC, one port for two", VNIC, first_port_only, {"vnic": WARN}),
    ("vNIC, two required", VNIC, both(first_port_only, ordered(redundantvnicbkdev="1")), {"vnic": FAIL}),
    ("SR-IOV, ports not read", "p10sriov01", both(ordered(migsriov="1"), UNREAD_PORTS), {"sriov": UNKNOWN}),
    *(
        (f"state {state}", AIX, moving(state=state), {"partition-running": FAIL})
        for state in ("Suspended", "Resuming", "Error", "Not Available", "Hardware Discovery",
                      "Migrating - Not Activated")
    ),
    ("huge pages", AIX, moving(huge_pages=4), {"huge-pages": FAIL}),
    ("huge pages, not listed", AIX, moving(huge_pages=None), {"huge-pages": UNKNOWN}),
    (
        "mode, base only",
        "p10aix01",
        both(moving(proc_compat_mode="POWER9_base"), target_modes("POWER8", "POWER9", "POWER10")),
        {"compat-mode": FAIL},
    ),
    (
        "mode, spelled otherwise",
        "p10aix01",
        both(
            moving(proc_compat_mode="POWER9_base", desired_proc_compat_mode="POWER9_base"),
            target_modes("POWER9_Base", "POWER9", "POWER10"),
        ),
        {"compat-mode": PASS},
    ),
    (
        "mode, an older system",
        "p10aix01",
        both(
            moving(proc_compat_mode="POWER11", desired_proc_compat_mode="default"),
            target_modes("POWER9_base", "POWER9", "POWER10"),
        ),
        {"compat-mode": FAIL},
    ),
    (
        "mode, a later system",
        "p10aix01",
        both(moving(desired_proc_compat_mode="default"), target_modes("POWER9", "POWER10", "POWER11")),
        {"compat-mode": PASS},
    ),
    ("mode, not listed", "p10aix01", moving(proc_compat_mode=None), {"compat-mode": UNKNOWN}),
    (
        "mode, preferred one nowhere",
        AIX,
        both(moving(desired_proc_compat_mode=None), profile(",lpar_proc_compat_mode=default", "")),
        {"compat-mode": UNKNOWN},
    ),
    (
        "remote restart, POWER7 target",
        AIX,
        both(moving(simplified_remote_restart_capable=True), target_modes("POWER6", "POWER7")),
        {"remote-restart": FAIL},
    ),
    ("virtual TPM", "p10aix01", moving(vtpm_enabled=True), {"trusted-data": UNKNOWN}),
    ("virtual TPM, not listed", "p10aix01", moving(vtpm_enabled=None), {"trusted-data": UNKNOWN}),
    ("Linux", LINUX, both(), dict.fromkeys(("virtual-adapters", "rmc-partition", "guest-level"), NONE)),
    ("Linux, no RMC", LINUX, moving(rmc_state="inactive"), {"rmc-manager": FAIL}),
    ("Linux, no DLPAR", LINUX, moving(dlpar_mem_capable=False, dlpar_proc_capable=False), {"rmc-manager": FAIL}),
    ("IBM i, I/O not listed", IBM_I, moving(restricted_io=None), {"restricted-io": UNKNOWN}),
    ("IBM i 7.1", IBM_I, moving(os_version="IBM i 7.1.0 000 0"), {"guest-level": UNKNOWN}),
    ("IBM i 7.2", IBM_I, moving(os_version="IBM i 7.2.0 000 0"), {"guest-level": PASS}),
    ("IBM i 6.1", IBM_I, moving(os_version="OS/400 V6R1M0 000 0"), {"guest-level": FAIL}),
    ("IBM i, unknown", IBM_I, moving(os_version="Unknown"), {"guest-level": UNKNOWN}),
    ("movers, none", AIX, lambda survey: replace(survey, mover_pairs=()), {"movers-connected": FAIL}),
    ("movers, not read", AIX, lambda survey: replace(survey, mover_pairs=None), {"movers-connected": UNKNOWN}),
    (
        "movers, two required of one",
        "p10aix01",
        both(one_source_mover, ordered(redundantmsps="1")),
        {"redundant-movers": FAIL},
    ),
    ("VIOS, one without RMC", AIX, last_server_without_rmc, {"rmc-vios": WARN}),
    (
        "VIOS, all without RMC",
        AIX,
        partitions("target", lambda _, one: one.is_vios, rmc_state="inactive"),
        {"rmc-vios": FAIL},
    ),
    (
        "VIOS, two required, RMC not listed",
        AIX,
        both(ordered(redundantvios="1"), partitions("target", lambda _, one: one.is_vios, rmc_state=None)),
        {"multipath": UNKNOWN, "rmc-vios": UNKNOWN},
    ),
    ("VIOS, one not asked", AIX, first_server_only, {"io-servers": WARN, "luns-free": UNKNOWN}),
    ("processors, too few", AIX, both(DEDICATED, frame("target", proc_units_available=3.5)), {"processor-room": FAIL}),
    ("processors, just enough", AIX, both(DEDICATED, frame("target", proc_units_available=4.0)),
     {"processor-room": PASS}),
    ("memory, 1 MB short", AIX, free_memory(-1), {"memory-room": FAIL}),
    ("memory, not read", AIX, frame("target", memory_available_mb=None), {"memory-room": UNKNOWN}),
    ("memory region, not read", AIX, frame("target", memory_region_mb=None), {"memory-region": UNKNOWN}),
    ("memory mode, not listed", AIX, moving(memory_mode=None), {"dedicated-memory": UNKNOWN}),
    ("shared memory, pools not read", AIX, moving(memory_mode="shared"), {"dedicated-memory": UNKNOWN}),
    ("no moves supported", AIX, frame("target", active_migrations_supported=0), {"concurrency": FAIL}),
    ("workload group", AIX, moving(work_group="5"), {"workload-group": FAIL}),
    ("workload group, not listed", AIX, moving(work_group=None), {"workload-group": UNKNOWN}),
    ("error path reporting", AIX, moving(redundant_error_path_reporting=True), {"error-path-reporting": FAIL}),
    ("affinity group", "p10aix01", moving(affinity_group="255"), {"affinity-group": WARN}),
    ("SCSI adapters listed empty", "bxaix86", side("source", scsi_adapters=()), {"whole-luns": UNKNOWN}),
    ("reserve single_path", AIX, disks("target", reserve_policy="single_path"), {"reserve-policy": FAIL}),
    ("reserve PR_exclusive", AIX, disks("target", reserve_policy="PR_exclusive"), {"reserve-policy": FAIL}),
    ("LUN in a repository", AIX, disks("target", volume_group="caavg_private"), {"luns-free": FAIL}),
    (
        "LUN without identifiers",
        AIX,
        both(disks("source", unique_id=None, pvid=None), disks("target", unique_id=None, pvid=None)),
        {"same-luns": (UNKNOWN, FAIL)},
    ),
    (
        "map not read",
        AIX,
        servers("source", lambda vios: replace(vios, scsi_servers=None)),
        {"optical": UNKNOWN, "whole-luns": UNKNOWN},
    ),
    ("NPIV, one WWPN", NPIV, one_wwpn, {"wwpn-pairs": FAIL}),
    ("NPIV, no fabric", NPIV, fc_ports(fabric=False), {"fc-ports": FAIL}),
    ("NPIV, no port left", NPIV, fc_ports(ports_left=0), {"fc-ports": FAIL}),
    ("NPIV, no WWPN left", NPIV, fc_ports(wwpns_left=0), {"fc-ports": FAIL}),
    ("NPIV, not logged in", NPIV, servers("source", logged_out), {"fc-logged-in": (WARN, FAIL)}),
    ("system going down", AIX, frame("target", state="Power Off In Progress"), {"operating": FAIL}),
    ("system in error", AIX, frame("target", state="Error - Dump in progress"), {"operating": FAIL}),
    ("capabilities not listed", AIX, frame("target", capabilities=()), {"enterprise": UNKNOWN}),
    ("VASI defined", AIX, servers("target", vasi_defined), {"vasi": FAIL}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("partition", "change", "verdicts"), [row[1:] for row in SETUPS], ids=[row[0] for row in SETUPS]
)
def test_a_set_up_of_the_field_is_judged_as_the_documents_have_it(
    partition: str, change: Altered, verdicts: Mapping[str, Verdict | tuple[Verdict, ...]]
) -> None:
    findings = examine(change(survey_of(partition)))
    for key, expected in verdicts.items():
        about = [one for one in findings if one.key == key]
        worst = min((one.verdict for one in about), key=WORST.index)
        assert worst in (expected if isinstance(expected, tuple) else (expected,)), (key, [one.facts for one in about])


#: What a manager lists in any case: without it there is no row.
ALWAYS_LISTED = {"name", "lpar_id", "state", "type_model", "serial"}


def with_a_fact_less(survey: Survey) -> Iterator[tuple[str, Survey]]:
    """The survey without one of the facts that a manager lists of partitions and systems, each in turn."""
    for which in ("source", "target"):
        listed, system = getattr(survey, which).partitions or (), getattr(survey, which).frame
        for name in sorted({field.name for field in fields(Partition)} - ALWAYS_LISTED):
            silent = {name: None}
            yield f"{which} {name}", side(which, partitions=tuple(replace(one, **silent) for one in listed))(survey)
        for field in fields(system):
            if field.name not in ALWAYS_LISTED:
                nothing = () if isinstance(getattr(system, field.name), tuple) else None
                yield f"{which} {field.name}", frame(which, **{field.name: nothing})(survey)


@pytest.mark.parametrize(
    ("partition", "change", "verdicts"),
    [row[1:] for row in SETUPS if FAIL in row[3].values()],
    ids=[row[0] for row in SETUPS if FAIL in row[3].values()],
)
def test_no_fact_that_a_manager_keeps_to_itself_makes_a_failure_better(
    partition: str, change: Altered, verdicts: Mapping[str, Verdict | tuple[Verdict, ...]]
) -> None:
    survey = change(survey_of(partition))
    (check,) = [one for one in CHECKS if one.key in verdicts and verdicts[one.key] is FAIL]
    for missing, poorer in with_a_fact_less(survey):
        assert {FAIL, UNKNOWN} & {one.verdict for one in check(poorer)}, missing


@pytest.mark.parametrize(
    ("partition", "owner"),
    [(AIX, "AIX administrator"), (LINUX, "Linux administrator"), (IBM_I, "IBM i administrator")],
)
def test_what_is_done_in_a_partition_is_its_systems_administrators(partition: str, owner: str) -> None:
    owners = {one.key: one.who for one in examine(survey_of(partition))}
    assert {owners[key] for key in ("partition-running", "rmc-manager", "huge-pages")} == {owner}
