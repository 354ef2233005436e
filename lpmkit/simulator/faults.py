"""Faults as values: what goes wrong, where, when, how often.

A landscape fault changes the world before anything happens, so that the refusal follows from the state and every
listing agrees with it. A command fault is decided where a command line is run; a move fault where a move advances. The
objects of `chassis` know of none of them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    ``effect`` is a name of `KINDS`. ``host`` and ``command`` (a regular expression) say which command lines it strikes,
    ``object`` which partition or disk. It lets ``after`` occurrences pass, then strikes ``times`` times, ``None`` for
    ever. ``when`` is a phase of a move, with a part of it if wanted: ``copy@50%``.
    """

    effect: str
    host: str | None = None
    command: str | None = None
    object: str | None = None
    after: int = 0
    times: int | None = None
    when: str | None = None
    message: str | None = None
    delay_s: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: what its text form names after the colons, its defaults, and the situation it stands for."""

    name: str
    where: str
    situation: str
    arguments: tuple[str, ...] = ()
    default: Fault | None = None

    @property
    def form(self) -> str:
        return ":".join([self.name, *(argument.upper() for argument in self.arguments)])


class FaultProblem(ValueError):
    """A fault's text form cannot be understood."""


def _kinds() -> dict[str, Kind]:
    landscape = {
        "no-room-memory": "the target blade has less free memory than the partition uses",
        "no-room-processors": "the target blade has fewer free processing units than the partition uses",
        "physical-adapter": "the partition owns a physical adapter",
        "logical-volume": "a disk of the partition is a logical volume of the VIOS, not a LUN",
        "file-backed": "a disk of the partition is a file in the VIOS",
        "optical-media": "an installation medium is still loaded in the partition's virtual drive",
        "lun-not-seen": "one LUN is not zoned or masked to the target VIOS",
        "pvid-differs": "the disk of that number on the target carries another PVID",
        "lun-in-use": "the LUN already belongs to a volume group on the target VIOS",
        "path-lost": "the target VIOS knows the LUN but has no usable path to it",
        "one-path-lost": "the target VIOS has one of two paths to the LUN: a warning, not a refusal",
        "reserve-policy": "a disk on the target VIOS still has the reserve policy single_path",
        "no-sea": "the target VIOS has no shared Ethernet adapter",
        "sea-limbo": "the shared Ethernet adapters of the target are in LIMBO, their physical link is down",
        "vlan-missing": "the partition's VLAN is bridged on the source and not on the target",
        "region-size": "the memory region sizes of the two blades differ",
        "compat-mode": "the target cannot offer the partition's processor mode",
        "not-enterprise": "the target blade has no PowerVM Enterprise activation",
        "no-vasi": "the target VIOS has no VASI device and cannot move",
        "no-msp": "the target VIOS is no mover service partition (under an HMC; an IVM's always is)",
        "vios-rmc-inactive": "the HMC does not reach the target VIOS",
        "rmc-inactive": "the partition has no RMC connection to its manager",
        "not-running": "the partition stands in open firmware",
        "name-taken": "the target blade already has a partition of that name",
        "slots-full": "the target VIOS has no free virtual slot",
        "keys-not-exchanged": "the two managers do not trust each other",
        "sap-licence-missing": "SAP has no licence for the hardware key of the target frame",
        "wwpn-not-zoned": "the second WWPN of the partition's last virtual Fibre Channel adapter is not zoned",
        "wwpn-not-masked": "the storage shows the second WWPN nothing: seen at the switch-over, unless the disks are "
        "tested (``--npivval portdisk``)",
        "fc-ports-full": "the target's Fibre Channel ports take no more virtual adapters",
        "no-link": "no SR-IOV port of the target has a link",
        "pool-missing": "the target has no shared processor pool but the default one",
        "vswitch-differs": "the target's bridges are on another virtual switch",
        "one-vios": "the console reaches one I/O server of the target only: fewer paths than before, a warning",
        "huge-pages": "the partition uses huge pages",
        "bsr-arrays": "the partition uses the barrier synchronisation register",
        "hea-port": "the partition has a port of a host Ethernet adapter",
        "sriov-port": "the partition has a logical SR-IOV port that is not migratable (under an HMC)",
        "free-io": "the partition runs IBM i and may own physical adapters: it has no restricted I/O (under an HMC)",
        "vtpm": "the partition has a virtual TPM, and the target another trusted system key (under an HMC)",
        "node-down": "the target's I/O servers are down in the cluster of their shared storage pool",
        "simplified-restart": "the partition is set up for simplified remote restart (under an HMC): a warning of the "
        "checks",
        "error-path-reporting": "redundant error path reporting is on",
        "work-group": "the partition is in a workload group",
        "mobility-disabled": "somebody switched moves off for this partition",
        "shared-memory": "the partition is in a shared memory pool",
        "serial-adapter": "the partition has a third virtual serial adapter",
        "os-not-ready": "a DR script in the partition refuses the check phase; only the firmware's validation asks it",
        "vterm-open": "somebody has a virtual terminal of the partition open: a warning",
        "old-vios": "the target's I/O servers are of a level from before partition mobility, without the mover's "
        "device",
        "old-system": "the partition's AIX is of a level that cannot be moved while it runs, and its check phase "
        "says so",
        "no-power": "the target system has no power (under an HMC; an IVM is down with it)",
        "remote-restart": "the partition is set up for remote restart: a warning of the checks",
        "affinity-group": "the partition is in an affinity group: a warning of the checks",
        "second-profile": "the partition has another profile besides (under an HMC; an IVM has one for each): a "
        "warning of the checks",
        "migration-limit": "the target already takes part in as many moves as it supports",
    }
    kinds = [Kind(name, "landscape", text, ("object",)) for name, text in landscape.items()]
    kinds += [
        Kind("cluster", "landscape",
             "the partition is a node of a cluster (powerha, powerha71, rac or gpfs) that waits this many seconds "
             "for a silent member, as shipped without them", ("message", "delay_s")),
        Kind("mover-dies", "move", "the movers lose each other: the copy stands still, the partition runs on, "
             "its state stays intermediate until it is recovered", ("object",),
             Fault("mover-dies", when="copy@50%", times=1)),
        Kind("not-converging", "move",
             "the partition writes faster than the link: after the last round it is suspended all "
             "the same and fetches a lot afterwards (``:fail`` gives up instead)", ("message",),
             Fault("not-converging")),
        Kind("suspend-refused", "move",
             "the partition does not get ready for the suspension; everything is rolled back",
             ("object",), Fault("suspend-refused", times=1)),
        Kind("suspend-for", "move", "the suspension lasts this many seconds", ("delay_s",), Fault("suspend-for")),
        Kind("mover-hangs", "move",
             "the movers stop sending and say nothing; after ``migrlpar -o s`` the state is still "
             "intermediate until it is recovered", ("object",), Fault("mover-hangs", when="copy@50%", times=1)),
        Kind("copy-waits", "move", "the movers send nothing until a file is there; the move can be stopped meanwhile",
             ("message",),
             Fault("copy-waits", when="copy@50%")),
        Kind("link-dies", "move",
             "the movers cannot reach each other any more: before the switch-over the partition runs on where it "
             "is, in the last phase (``when=fetch``) it has lost memory and nobody runs it", ("object",),
             Fault("link-dies", when="copy@50%", times=1)),
        Kind("rmc-lost", "move",
             "the partition's RMC connection is lost: its system cannot be asked to suspend, or not be told that "
             "it has moved",
             ("object",), Fault("rmc-lost", when="copy@50%", times=1)),
        Kind("hmc-restarts", "move",
             "the console is restarted: it is away for some seconds, and leaves its moves as they are",
             ("delay_s",), Fault("hmc-restarts", when="copy@50%", times=1, delay_s=3.0)),
        Kind("target-power-lost", "move", "the target system loses its power", ("object",),
             Fault("target-power-lost", when="copy@50%", times=1)),
        Kind("finish-fails", "move",
             "after the resume the source is not cleaned up: both blades list the partition until "
             "``migrlpar -o r``", ("object",), Fault("finish-fails", times=1)),
        Kind("rmc-late", "move", "the partition's RMC connection comes back this many seconds after the move",
             ("delay_s",),
             Fault("rmc-late", delay_s=5.0)),
        Kind("drop-ssh", "move",
             "every SSH connection of a host is closed once; new ones are taken after DELAY seconds",
             ("host",), Fault("drop-ssh", when="copy@50%", times=1, delay_s=2.0)),
        Kind("oracle", "move",
             "something happens to the partition's database: ora600, tns-timeout, interleaved, restart, banner, "
             "rotate, truncate, kill:USER, checkpoints, old-form, ora:NUMBER, logon-ora:NUMBER, listener-hangs, "
             "-refuses, -resets, -answers",
             ("message",), Fault("oracle", when="copy@50%", times=1)),
        Kind("sap-job-cancelled", "sap", "a background job is cancelled by the move: the clock jumped under it",
             ("object",),
             Fault("sap-job-cancelled", times=1)),
        Kind("sap-work-process-died", "sap", "a work process (by number) ends in the move and is started again",
             ("object",),
             Fault("sap-work-process-died", times=1)),
        Kind("sap-user-cut", "sap", "a user's SAP GUI loses its connection in the move", ("object",),
             Fault("sap-user-cut", times=1)),
        Kind("sap-dispatcher-gone", "sap", "the dispatcher ends in the move, and everything under it", (),
             Fault("sap-dispatcher-gone", times=1)),
        Kind("sap-replication-lost", "sap", "the enqueue server loses its replica in the move", (),
             Fault("sap-replication-lost", times=1)),
        Kind("sap-server-restarted", "sap",
             "a program of the instance (msg_server, enserver, jstart, server0 …) ends in the move and is started "
             "again",
             ("object",), Fault("sap-server-restarted", times=1)),
        Kind("sapstartsrv-gone", "sap", "sapstartsrv ends in the move; what it started runs on", (),
             Fault("sapstartsrv-gone", times=1)),
        Kind("sap-german", "sap", "the SAP system speaks German"),
        Kind("sap-soap-stateless", "sap", "SOAP-RFC keeps no session: every request is a conversation of its own"),
        Kind("sapstartsrv-hangs", "sap", "sapstartsrv takes connections and never answers"),
        Kind("sapstartsrv-denies", "sap", "sapstartsrv refuses every user and password (401)"),
        Kind("sapstartsrv-wsdl", "sap", "the service's description and its answers lack fields and functions"),
        Kind("cut-reply", "command", "the reply to a command stops in the middle of a line", ("host", "command")),
        Kind("hang", "command", "a command never answers", ("host", "command")),
        Kind("slow", "command", "every command of a host waits this many seconds", ("host", "delay_s")),
        Kind("wrap", "command", "the lines of a reply are broken at 80 columns, as a terminal does it",
             ("host", "command")),
        Kind("language", "command", "a host answers in German", ("host",)),
        Kind("refuse", "command", "a command fails with a message", ("host", "command", "message")),
    ]  # fmt: skip
    return {kind.name: kind for kind in kinds}


KINDS: Mapping[str, Kind] = _kinds()

#: Shorter names that say which check is meant: ``validate:rmc``.
ALIASES: Mapping[str, str] = {
    "rmc": "rmc-inactive",
    "memory": "no-room-memory",
    "processors": "no-room-processors",
    "sea": "no-sea",
    "vlan": "vlan-missing",
    "vasi": "no-vasi",
    "enterprise": "not-enterprise",
    "keys": "keys-not-exchanged",
    "limit": "migration-limit",
    "state": "not-running",
    "name": "name-taken",
    "lun": "lun-not-seen",
    "pvid": "pvid-differs",
    "media": "optical-media",
    "zoning": "wwpn-not-zoned",
    "masking": "wwpn-not-masked",
    "pool": "pool-missing",
}

#: What a partition may be a node of (`recalled.CLUSTERS`).
CLUSTERS = ("powerha", "powerha71", "rac", "gpfs", "vcs", "pacemaker")
#: What may happen to a database, see `oracle.instance.Instance.do`; with a colon in it, it is given as ``message=``.
ORACLE_DEEDS = re.compile(
    r"ora600|tns-timeout|interleaved|restart|banner|rotate|truncate|kill|checkpoints|old-form|"
    r"listener-(?:hangs|refuses|resets|answers)"
)
_SETTING = re.compile(r",(?=(?:host|command|object|after|times|when|message|delay)=)")


def parse(text: str) -> Fault:
    """Read a fault's text form: ``NAME[:ARGUMENT…][,key=value…]``. Raises `FaultProblem`.

    >>> parse("cut-reply:bvio82:lssyscfg,times=1")
    Fault(effect='cut-reply', host='bvio82', command='lssyscfg', object=None, after=0, times=1, when=None, ...)
    >>> parse("validate:rmc").effect
    'rmc-inactive'
    """
    head, *settings = _SETTING.split(text)
    name, *arguments = head.removeprefix("validate:").split(":")
    kind = KINDS.get(ALIASES.get(name, name))
    if kind is None:
        raise FaultProblem(f"no fault is called {name!r}; --list-faults shows them")
    if kind.name == "cluster" and arguments and arguments[0] not in CLUSTERS:
        raise FaultProblem(f"{text!r}: {kind.situation}")
    if kind.name == "oracle" and arguments and not ORACLE_DEEDS.fullmatch(arguments[0]):
        raise FaultProblem(f"{text!r}: {kind.situation}")
    if len(arguments) > len(kind.arguments):
        raise FaultProblem(f"{text!r}: the form is {kind.form}")
    found = kind.default or Fault(kind.name)
    try:
        for argument, value in zip(kind.arguments, arguments, strict=False):
            found = _set(found, argument, value)
        for setting in settings:
            key, _, value = setting.partition("=")
            found = _set(found, {"delay": "delay_s"}.get(key, key), value)
    except ValueError as problem:
        raise FaultProblem(f"{text!r}: {problem}") from problem
    return found


def _set(fault: Fault, name: str, value: str) -> Fault:
    number: dict[str, Any] = {"after": int, "times": int, "delay_s": float}
    if name in number:
        return replace(fault, **{name: number[name](value)})
    if name == "command":
        try:
            re.compile(value)
        except re.error as problem:
            raise ValueError(f"command: {problem}") from problem
    if name == "when":
        moment(value)
    text: dict[str, Any] = {name: value}
    return replace(fault, **text)


def moment(when: str) -> tuple[str, float]:
    """
    >>> moment("copy@50%"), moment("finish")
    (('copy', 0.5), ('finish', 0.0))
    """
    phase, _, part = when.partition("@")
    if phase not in PHASES:
        raise ValueError(f"when: no phase is called {phase!r}, there are {', '.join(PHASES)}")
    return phase, float(part.rstrip("%")) / 100 if part else 0.0


PHASES = ("validate", "prepare", "copy", "suspend", "fetch", "finish")


class FaultBook:
    """The faults that are in force, and how often each was met. Faults may be added while the simulator runs."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._faults = list(faults)
        self._met: dict[int, int] = {}
        self._phase: tuple[str, float] | None = None

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Take every fault out of force."""
        with self._lock:
            self._faults.clear()
            self._met.clear()

    def stands_at(self, phase: str | None, part: float = 0.0) -> None:
        """Told by the move where it stands; command faults with ``when`` look at it."""
        self._phase = None if phase is None else (phase, part)

    def on_command(self, host: str, text: str) -> list[Fault]:
        """The faults that strike this command line on this host, counting it as an occurrence for each that it
        matches.
        """
        return self._strike(
            lambda fault: (
                KINDS[fault.effect].where == "command"
                and fault.host in (None, host)
                and (fault.command is None or re.search(fault.command, text) is not None)
                and self._reached(fault)
            )
        )

    def on_move(self, effect: str, partition: str) -> Fault | None:
        """The fault of this effect that strikes a partition's move now."""
        struck = self._strike(
            lambda fault: fault.effect == effect and fault.object in (None, partition) and self._reached(fault)
        )
        return struck[0] if struck else None

    def on_sap(self, effect: str) -> Fault | None:
        """The fault of this effect that strikes the SAP system now."""
        struck = self._strike(lambda fault: fault.effect == effect)
        return struck[0] if struck else None

    def _reached(self, fault: Fault) -> bool:
        if fault.when is None:
            return True
        if self._phase is None:
            return False
        phase, part = moment(fault.when)
        return self._phase[0] == phase and self._phase[1] >= part

    def _strike(self, concerns: Callable[[Fault], bool]) -> list[Fault]:
        struck: list[Fault] = []
        with self._lock:
            for fault in self._faults:
                if not concerns(fault):
                    continue
                met = self._met.get(id(fault), 0)
                self._met[id(fault)] = met + 1
                if met >= fault.after and (fault.times is None or met < fault.after + fault.times):
                    struck.append(fault)
        return struck
