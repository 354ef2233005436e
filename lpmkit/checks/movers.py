"""Checks of the VIOS that move a partition and serve it there: RMC, VASI, pairs of movers, redundancy."""

from __future__ import annotations

from shlex import quote

from lpmkit.checks.judging import (
    Fact,
    NotKnown,
    RuleResult,
    Verdict,
    io_servers_of,
    joined,
    need,
    ordered,
    passed,
    vios_of,
)
from lpmkit.checks.resources import client_adapters
from lpmkit.errors import UsageError
from lpmkit.mapping.movers import (
    MOVERS,
    OPTION,
    REQUIRED,
    TWO_PAIRS,
    WITHOUT,
    Redundancy,
    backup_of,
    choose_movers,
    named_movers,
)
from lpmkit.survey.model import Survey, SystemFacts


def vasi(survey: Survey, side: SystemFacts) -> RuleResult:
    """Require the VASI device of a VIOS that is a mover; a mover without it does not move."""
    servers = side.servers or (vios_of(survey, side, "virtual devices"),)
    of_an_hmc = io_servers_of(survey, side) if side.manager == "hmc" else ()
    movers = [server.name for server in of_an_hmc if server.msp]
    if side.servers and movers:
        servers = tuple(server for server in servers if server.name in movers)
        if not servers:
            raise NotKnown(side.name, f"{joined(movers)} can be a mover, and was not read")
    facts: dict[str, Fact] = {}
    lacking = []
    for server in servers:
        devices = need(server.devices, survey, "virtual devices", side.name)
        own = [device for device in devices if device.name.startswith("vasi")]
        if not any(device.status == "Available" for device in own):
            lacking.append(server.name)
        fact = f"vasi of {server.name}" if len(servers) > 1 else "vasi"
        facts[fact] = joined(f"{device.name} {device.status}" for device in own)
    remedy = (
        f"On {joined(lacking)}: cfgdev. If lsdev -virtual still lists no vasi: enter the PowerVM Enterprise activation "
        "and restart the VIOS."
    )
    return passed(
        not lacking, side.name, facts, remedy, bad=Verdict.FAIL if len(lacking) == len(servers) else Verdict.WARN
    )


def movers(survey: Survey, side: SystemFacts) -> RuleResult:
    """Require a mover: under an HMC a VIOS with ``msp`` 1, under an IVM its only VIOS."""
    servers = io_servers_of(survey, side)
    facts: dict[str, Fact] = {f"msp of {server.name}": server.msp for server in servers}
    if any(server.msp for server in servers):
        return RuleResult(Verdict.PASS, side.name, facts)
    silent = [server.name for server in servers if server.msp is None]
    if silent:
        raise NotKnown(side.name, f"the manager does not list msp of {joined(silent)}")
    system = side.frame.name if side.frame else side.name
    remedy = f'chsyscfg -r lpar -m {system} -i "lpar_id={servers[0].lpar_id},msp=1"'
    return RuleResult(Verdict.FAIL, side.name, facts, remedy)


def rmc_vios(survey: Survey, side: SystemFacts) -> RuleResult:
    """Require an RMC connection from the HMC to every VIOS; under an IVM the VIOS is the manager."""
    servers = io_servers_of(survey, side)
    silent = [server.name for server in servers if server.rmc_state is None]
    if silent:
        raise NotKnown(side.name, f"the manager does not list the RMC state of {joined(silent)}")
    down = [server.name for server in servers if server.rmc_state != "active"]
    # A VIOS that is off serves no partition; on the target any other one will do.
    idle = len(down) < len(servers) and (
        side is survey.target or all(server.state == "Not Activated" for server in servers if server.name in down)
    )
    return passed(
        not down,
        side.name,
        {f"rmc_state of {server.name}": server.rmc_state for server in servers},
        f"On {joined(down)} after oem_setup_env: lssrc -s ctrmc; startsrc -s ctrmc, if it is inoperative. Only if RMC "
        "stays inactive after five minutes, in /usr/sbin/rsct/bin: rmcctrl -z; rmcctrl -A; rmcctrl -p. On the HMC: "
        "lspartition -dlpar",
        bad=Verdict.WARN if idle else Verdict.FAIL,
    )


def movers_connected(survey: Survey) -> RuleResult:
    """Require addresses of a mover on each side. A firewall between them shows only in the move."""
    if survey.source.manager == "hmc":
        pairs = need(survey.mover_pairs, survey, "mover pairs", survey.source.name)
        facts: dict[str, Fact] = {
            f"{pair.source} to {pair.target}": f"{pair.source_address} to {pair.target_address}" for pair in pairs
        }
        remedy = (
            "Give a mover of each end an address that the other can reach: lslparmigr -r msp shows the pairs; "
            "chsyscfg -r lpar -m SYSTEM "
            '-i "lpar_id=ID,msp=1"'
        )
        return passed(bool(pairs), survey.target.name, facts or {"pairs": 0}, remedy)
    keys = need(survey.keys, survey, "keys", survey.source.name)
    if keys.status != 0 or keys.text:
        raise NotKnown(
            survey.target.name,
            "the movers are the VIOS under the managers, which do not reach each other by SSH",
            "Exchange the SSH keys between the managers (mkauthkeys), then check again.",
        )
    return RuleResult(
        Verdict.PASS, survey.target.name, {"movers": "the managers' own VIOS, which reach each other by SSH"}
    )


def redundant_movers(survey: Survey) -> RuleResult:
    """Warn of an order that names one pair of movers where two are possible: the move is then without redundancy."""
    pairs = need(survey.mover_pairs, survey, "mover pairs", survey.source.name)
    if not pairs:
        raise NotKnown(
            survey.target.name, "no pair of movers is listed", "First make the movers reach each other, see above."
        )
    options = survey.options or {}
    try:
        choice = choose_movers(pairs, survey.frames, survey.mapping, options)
    except UsageError as wrong:
        facts: dict[str, Fact] = {TWO_PAIRS: str(wrong)}
        return RuleResult(Verdict.FAIL, survey.target.name, facts, wrong.next_step or "")
    remedy = "lslparmigr -r msp lists the pairs of movers that reach each other; name one of them, or none."
    if choice is None:
        named = {name: value for name, value in (survey.mapping or {}).items() if name in MOVERS}
        return RuleResult(Verdict.FAIL, survey.target.name, {"not listed": joined(named.values()), **named}, remedy)
    facts = {"movers": joined(f"{pair.source} to {pair.target}" for pair in choice.pairs)}
    facts["redundancy"] = choice.redundancy.value
    if choice.redundancy is Redundancy.NOT_POSSIBLE:
        needs_two = options.get(OPTION) == REQUIRED
        remedy = "Order it without --option redundantmsps=1, or give each end a second mover that reaches the other."
        return passed(not needs_two, survey.target.name, facts, remedy)
    meant = options.get(OPTION) == WITHOUT
    both = named_movers(choice.pairs[0], backup_of(choice.pairs[0], pairs) or choice.pairs[-1])
    remedy = (
        "Leave the movers out, then the manager uses two pairs; or name both: "
        f"--map {quote(f'{TWO_PAIRS}={both[TWO_PAIRS]}')}. If one pair is meant: --option {OPTION}={WITHOUT}."
    )
    return passed(
        meant or choice.redundancy is not Redundancy.SWITCHED_OFF,
        survey.target.name,
        facts,
        remedy,
        bad=Verdict.WARN,
    )


def multipath(survey: Survey) -> RuleResult:
    """Warn where the target has fewer VIOS than the source: a path is lost, which an order can forbid."""
    now = {adapter.remote_lpar_id for adapter in client_adapters(survey)}
    running = [server for server in io_servers_of(survey, survey.target) if server.state == "Running"]
    able = [server.name for server in running if server.rmc_state == "active"]
    silent = [server.name for server in running if server.rmc_state is None]
    if len(able) < len(now) <= len(able) + len(silent):
        raise NotKnown(survey.target.name, f"the manager does not list the RMC state of {joined(silent)}")
    return passed(
        len(able) >= len(now),
        survey.target.name,
        {"VIOS now": len(now), "on the target": joined(able)},
        "Accept fewer paths (without --option redundantvios=1), or make sure that the other VIOS of the target run and "
        "have RMC; --map places the adapters.",
        bad=Verdict.FAIL if ordered(survey, "redundantvios") == "1" else Verdict.WARN,
    )
