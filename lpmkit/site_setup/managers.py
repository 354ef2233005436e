"""The managed systems behind the managers that a person names, with their VIOS and partitions. Reads only."""

from __future__ import annotations

import ipaddress
import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import Literal

from lpmkit.config import MANAGER_USERS, HostSettings, Site
from lpmkit.control.base import Control, Order
from lpmkit.control.dialect import Dialect, dialect_of
from lpmkit.control.hmc import SYSTEM, Hmc, read_managed_systems
from lpmkit.control.ivm import Ivm
from lpmkit.control.listings import Manager, split
from lpmkit.errors import LpmError, RemoteError, UsageError
from lpmkit.inventory import Frame, Partition
from lpmkit.ssh.client import SshSession, open_session
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Session

#: The state of a managed system that can send and receive partitions (`ZIU`).
OPERATING = "Operating"


@dataclass(frozen=True, slots=True)
class NamedManager:
    """A manager as a person names it: its kind, its name after ``ssh``, the address for ``migrlpar --ip`` if given."""

    kind: Literal["hmc", "ivm"]
    host: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class ManagedFrame:
    """A managed system and what its manager lists.

    ``name`` is its name for the site file, ``partitions`` is ``None`` where they could not be listed, with the reason
    in ``gap``. ``also_under`` are further managers that list the same system. ``address_remark`` says what is open
    about the mover's address.
    """

    name: str
    manager: NamedManager
    level: str
    user: str
    frame: Frame
    partitions: tuple[Partition, ...] | None
    gap: str = ""
    also_under: tuple[str, ...] = ()
    partner: str = ""
    could_be_partners: tuple[str, ...] = ()
    address: str = ""
    address_remark: str = ""

    @property
    def servers(self) -> tuple[Partition, ...]:
        """The VIOS."""
        return tuple(partition for partition in self.partitions or () if partition.is_vios)

    @property
    def clients(self) -> tuple[Partition, ...]:
        """The partitions that can be moved."""
        return tuple(partition for partition in self.partitions or () if not partition.is_vios)

    @property
    def system(self) -> str | None:
        """The managed system's name at an HMC; ``None`` under an IVM, which has one only."""
        return self.frame.name if self.manager.kind == "hmc" else None

    @property
    def is_usable(self) -> bool:
        """True if a site file can name it: an HMC's system needs its VIOS."""
        return self.partitions is not None and (self.manager.kind == "ivm" or bool(self.servers))


@dataclass
class Managers:
    """Open sessions to the managers; use in a ``with`` block."""

    site: Site
    named: Sequence[NamedManager]
    secrets: Secrets
    password: str | None = None
    _stack: ExitStack = field(default_factory=ExitStack)
    _sessions: dict[str, SshSession] = field(default_factory=dict)

    def __enter__(self) -> Managers:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def session(self, host: str) -> SshSession:
        """The session to one manager; one for all questions."""
        if host not in self._sessions:
            settings = HostSettings(host=host, password=self.password)
            opened = open_session(self.site, settings, secrets=self.secrets)
            self._sessions[host] = self._stack.enter_context(closing(opened))
        return self._sessions[host]

    def read(self) -> tuple[ManagedFrame, ...]:
        """Every managed system, each once, with partners and addresses.

        Raises `RemoteError` where a manager cannot be asked, and `UsageError` where it is of another kind.
        """
        frames = [frame for named in self.named for frame in self._systems(named)]
        return tuple(self._addressed(with_partners(each_once(frames))))

    def _systems(self, named: NamedManager) -> Iterator[ManagedFrame]:
        session = self.session(named.host)
        dialect = dialect_of(session)
        refuse_other_kind(named, dialect)
        user = session.route.user
        if named.kind == "ivm":
            control: Control = Ivm(named.host, session)
            yield _listed(named, dialect.level, user, named.host.rpartition("@")[2], control.system(), control)
            return
        for frame in read_systems_of(session):
            yield _listed(named, dialect.level, user, frame.name, frame, Hmc(frame.name, session, frame.name))

    def _addressed(self, frames: Sequence[ManagedFrame]) -> Iterator[ManagedFrame]:
        for frame in frames:
            other = next((each for each in frames if each.name == frame.partner), None)
            if frame.manager.kind == "hmc" and (other is None or other.manager.host == frame.manager.host):
                yield frame  # one HMC has both: nobody needs its address
                continue
            yield self._with_address(frame, other)

    def _with_address(self, frame: ManagedFrame, other: ManagedFrame | None) -> ManagedFrame:
        """The frame with the first address of its manager that the partner's manager confirms (``mkauthkeys --test``);
        with the first of all, and a remark, if it confirms none.
        """
        session = self.session(frame.manager.host)
        candidates = list(dict.fromkeys(addresses_of(frame, session)))
        if other is None:
            return replace(frame, address=candidates[0], address_remark="not confirmed: no partner to ask")
        answers = []
        for address in candidates:
            answer = self._confirmed(frame, other, address)
            if answer is None:
                return replace(frame, address=address)
            answers.append(answer)
        return replace(frame, address=candidates[0], address_remark=f"not confirmed by {other.name}: {answers[0]}")

    def _confirmed(self, frame: ManagedFrame, other: ManagedFrame, address: str) -> str | None:
        """``None`` if the partner's manager can log in to this frame's at ``address``; else its answer."""
        session = self.session(other.manager.host)
        control: Control = Ivm(other.name, session)
        if other.system is not None:
            control = Hmc(other.name, session, other.system)
        order = Order("", other.name, frame.name, frame.frame.machine, address, frame.user)
        try:
            reply = control.keys_exchanged(order)
        except RemoteError as error:
            return str(error)
        return None if reply.status == 0 else reply.text or f"exit status {reply.status}"


def refuse_other_kind(named: NamedManager, dialect: Dialect) -> None:
    """Raise `UsageError` where a manager is of another kind than named."""
    if dialect.kind == named.kind:
        return
    steps = {
        "hmc": f"It is an HMC ({dialect.level}): --hmc {named.host}",
        "ivm": f"It is the IVM of a VIOS {dialect.level}: --ivm {named.host}",
        "vios": f"It is a VIOS {dialect.level} of an HMC: name that HMC with --hmc.",
    }
    raise UsageError(f"this is no {named.kind.upper()}", where=named.host, next_step=steps[dialect.kind])


def read_systems_of(session: Session) -> tuple[Frame, ...]:
    """Every managed system of an HMC (``lssyscfg -r sys``)."""
    return Manager(session).ask(["lssyscfg", "-r", "sys"], SYSTEM, read_managed_systems)


def _listed(named: NamedManager, level: str, user: str, name: str, frame: Frame, control: Control) -> ManagedFrame:
    partitions: tuple[Partition, ...] | None = None
    gap = ""
    try:
        partitions = control.partitions()
    except LpmError as error:
        gap = str(error)
    if partitions is not None and named.kind == "hmc" and not any(partition.is_vios for partition in partitions):
        gap = "the manager lists no VIOS on it"
    return ManagedFrame(name, named, level, user, frame, partitions, gap)


def each_once(frames: Sequence[ManagedFrame]) -> list[ManagedFrame]:
    """Systems that two managers list, once, under the first that could list their partitions; names that two systems
    have get the serial number behind them.
    """
    by_machine: dict[str, list[ManagedFrame]] = {}
    for frame in frames:
        by_machine.setdefault(frame.frame.machine, []).append(frame)
    once = []
    for several in by_machine.values():
        best = next((frame for frame in several if frame.is_usable), several[0])
        others = tuple(dict.fromkeys(each.manager.host for each in several if each.manager.host != best.manager.host))
        once.append(replace(best, also_under=others))
    names = Counter(frame.name for frame in once)
    return [
        replace(frame, name=f"{frame.name}-{frame.frame.serial}") if names[frame.name] > 1 else frame for frame in once
    ]


def can_exchange(one: Frame, other: Frame) -> bool:
    """True if both systems are up, can move running partitions and have a processor compatibility mode in common."""
    modes = [set(frame.proc_compat_modes) - {"default"} for frame in (one, other)]
    in_common = bool(modes[0] & modes[1]) or not all(modes)
    return in_common and all(frame.state == OPERATING and frame.active_mobility_capable for frame in (one, other))


def with_partners(frames: Sequence[ManagedFrame]) -> list[ManagedFrame]:
    """The frames with a partner where exactly one other frame can be one, and with the choice where several can."""
    usable = [frame for frame in frames if frame.is_usable]
    choices: Mapping[str, tuple[str, ...]] = {
        frame.name: tuple(
            other.name for other in usable if other is not frame and can_exchange(frame.frame, other.frame)
        )
        for frame in usable
    }
    return [
        replace(frame, partner=choice[0] if len(choice) == 1 else "", could_be_partners=choice)
        for frame in frames
        for choice in (choices.get(frame.name, ()),)
    ]


def addresses_of(frame: ManagedFrame, session: SshSession) -> Iterator[str]:
    """Candidates for the address of a frame's manager, the likeliest first: the one given, the one that ``ssh`` uses,
    the one that an IVM lists for its system, its name.
    """
    if frame.manager.address:
        yield frame.manager.address
        return
    if session.route.proxy_command is None and not session.route.jumps:
        yield from _resolved(session.route.hostname)
    if frame.manager.kind == "ivm":
        yield from _ipaddr(session)
    yield frame.manager.host.rpartition("@")[2]


def _resolved(name: str) -> Iterable[str]:
    """The addresses of a name that another machine can use too; none for a name of this machine alone."""
    try:
        known = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return  # a name that only the other manager may know
    for *_, address in known:
        if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
            yield str(address[0])


def _ipaddr(session: Session) -> Iterable[str]:
    """The field ``ipaddr`` of ``lssyscfg -r sys`` (`NOVA-IVM`): a candidate only, whether it is the manager's own is
    confirmed by the other one.
    """
    reply = session.run(["lssyscfg", "-r", "sys", "-F", "ipaddr"])
    for text in split(reply.output.strip()) if reply.status == 0 else ():
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue  # a level that prints a word instead
        if not address.is_loopback and not address.is_unspecified:
            yield text


def is_default_user(frame: ManagedFrame) -> bool:
    """True if the login at the manager is the one that a site file assumes."""
    return frame.user == MANAGER_USERS[frame.manager.kind]
