"""Many partitions surveyed in one pass, over a limited number of connections at a time.

Each manager is asked first what its frames hold. Then every frame is looked at once, for all moves from it and to it,
over a connection of its own to its manager; and every partition that runs is logged in to once. All of that goes on
side by side as far as the site file allows (`lpmkit.config.ConnectionSettings`). What comes out is, for each
partition, the same `Survey` that it would have got alone, for the parts are made by the same functions of
`lpmkit.survey.gather`.

A machine that cannot be reached costs its time-out once and is named in `FrameSurvey.silent`; whatever does not depend
on it goes on.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from lpmkit.config import HostSettings, Site
from lpmkit.control.base import Order
from lpmkit.control.hmc import machine_asked
from lpmkit.errors import UsageError
from lpmkit.inventory import Frame, Partition
from lpmkit.oracle.snapshot import DatabaseSnapshot
from lpmkit.probes.databases import databases_of
from lpmkit.sap.model import SapSnapshot
from lpmkit.ssh.batching import BatchingSession, ReplyCache
from lpmkit.ssh.client import Route, SshSession, route
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Reply
from lpmkit.survey.connect import (
    control_of,
    database_snapshots,
    other_manager,
    sap_snapshots,
    vios_shells,
    with_sap,
)
from lpmkit.survey.gather import (
    MEMORY_POOLS,
    GatheredSystem,
    Gathering,
    MoveFacts,
    build_survey,
    in_rounds,
    needs_of,
    survey_frame,
    survey_guest,
    survey_move,
    without_guest,
)
from lpmkit.survey.model import Gap, Guest, Survey
from lpmkit.timeline import Clock

Value = TypeVar("Value")

#: The state of a partition that one can log in to.
RUNNING = "Running"


@dataclass(frozen=True, slots=True)
class Direction:
    """The way from one frame to another, as the site file calls them."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class UnreachableMachine:
    """A machine that could not be asked, and what came instead of an answer."""

    machine: str
    why: str


@dataclass(frozen=True, slots=True)
class FrameSurvey:
    """Every partition of a frame but its I/O servers, as listed, with everything about its move.

    No survey where one of the two managers could not be asked.
    """

    direction: Direction
    partitions: tuple[tuple[Partition, Survey | None], ...]
    silent: tuple[UnreachableMachine, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a pass: questions, round trips, connections made, the maximum of open ones, seconds.

    What SAP systems are asked over ways of their own is not in it.
    """

    questions: int
    round_trips: int
    connections: int
    most_at_once: int
    seconds: float


@dataclass(frozen=True, slots=True)
class SurveyProgress:
    """Progress of a pass: done and known of each kind, and machines that did not answer."""

    managers: tuple[int, int]
    frames: tuple[int, int]
    partitions: tuple[int, int]
    silent: tuple[str, ...] = ()


def directions_of(site: Site, source: str | None, target: str | None) -> tuple[Direction, ...]:
    """The directions that are meant: from ``source`` to ``target``, or to its partner; without either, from every
    frame that has a partner.

    Raises `UsageError` where none is, and `NotFound` for an unknown frame.
    """
    if source is None:
        directions = tuple(Direction(name, frame.partner) for name, frame in site.frames.items() if frame.partner)
    else:
        partner = target or site.frame(source).partner
        directions = (Direction(source, partner),) if partner else ()
    if not directions:
        raise UsageError(
            f"nothing says where the partitions of {source or 'any frame'} would go",
            next_step="Name the frames with --from and --to, or write frames.NAME.partner to the site file.",
        )
    for direction in directions:
        site.frame(direction.target)
        if direction.source == direction.target:
            raise UsageError(f"{direction.source} is source and target", next_step="Name another frame with --to.")
    return directions


def survey_fleet(
    site: Site,
    directions: Sequence[Direction],
    secrets: Secrets,
    *,
    tell: Callable[[SurveyProgress], None] = lambda progress: None,
) -> tuple[tuple[FrameSurvey, ...], Cost]:
    """Everything about the moves of all partitions of these directions. Reads only. ``tell`` hears of the progress.

    Raises `UsageError` for what the site file lacks; what a machine does is in the result.
    """
    return _Pass(site, directions, secrets, tell).run()


@dataclass(frozen=True, slots=True)
class _Listed:
    """The first answers of a manager about one frame."""

    system: Frame | None
    partitions: tuple[Partition, ...] | None
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class _Own:
    """The answers of the partition itself."""

    guest: Guest | None
    gaps: tuple[Gap, ...]
    sap: tuple[SapSnapshot, ...]
    databases: tuple[DatabaseSnapshot, ...]


#: A frame as it was looked at, and what was said of each move from it.
_Looked = tuple[GatheredSystem, dict[tuple[Direction, str], MoveFacts]]


@dataclass(frozen=True, slots=True, eq=False)
class SurveyJob(Generic[Value]):
    """Work that has one connection open, through or to these machines.

    None where it names none. ``then`` is called with what it brought, in the thread of the pass.
    """

    rank: int
    machines: tuple[str, ...]
    work: Callable[[], Value]
    then: Callable[[Value], Iterable[SurveyJob[Any]]]


def work_through(jobs: Iterable[SurveyJob[Any]], total: int, per_machine: int) -> int:
    """Do all jobs and those that follow from them, a limited number at once.

    Returns the most connections that were open. Raises what one of them raises.
    """
    waiting, running, taken, most = list(jobs), dict[Future[Any], SurveyJob[Any]](), Counter[str](), 0
    pool = ThreadPoolExecutor(total, thread_name_prefix="estate")
    try:
        while waiting or running:
            waiting.sort(key=lambda job: job.rank)
            postponed: list[SurveyJob[Any]] = []
            for job in waiting:
                if len(running) < total and all(taken[machine] < per_machine for machine in job.machines):
                    running[pool.submit(job.work)] = job
                    taken.update(job.machines)
                else:
                    postponed.append(job)
            waiting, most = postponed, max(most, sum(bool(job.machines) for job in running.values()))
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                job = running.pop(future)
                taken.subtract(job.machines)
                waiting.extend(job.then(future.result()))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return most


class _Pass:
    """One pass over the directions: what is known so far, and what is to be asked next."""

    def __init__(
        self, site: Site, directions: Sequence[Direction], secrets: Secrets, tell: Callable[[SurveyProgress], None]
    ) -> None:
        self._site, self._directions, self._secrets, self._tell = site, directions, secrets, tell
        self._between = {direction: other_manager(site, direction.source, direction.target) for direction in directions}
        names = dict.fromkeys(name for direction in directions for name in (direction.source, direction.target))
        self._hosts: dict[str, list[str]] = {}
        for name in names:
            self._hosts.setdefault(site.frame(name).host, []).append(name)
        self._known: dict[str, ReplyCache] = {host: {} for host in self._hosts}
        self._listed: dict[str, _Listed] = {}
        self._ends: dict[str, GatheredSystem] = {}
        self._moves: dict[tuple[Direction, str], MoveFacts] = {}
        self._own: dict[tuple[str, str], _Own] = {}
        self._silent: dict[str, UnreachableMachine] = {}
        self._begun, self._partitions = set[str](), 0
        self._lock, self._open = threading.Lock(), set[SshSession]()
        self._questions = self._round_trips = self._connections = 0

    def run(self) -> tuple[tuple[FrameSurvey, ...], Cost]:
        """Do all jobs; the surveys of each direction and the cost. Raises what a job raises."""
        clock, bounds = Clock(), self._site.connections
        began = clock.mono_ns()
        settings = [self._site.frame(names[0]) for names in self._hosts.values()]
        for manager in settings:
            self._secrets.get(manager.password, manager.host)  # in this thread, where somebody may be asked
        try:
            most = work_through([self._manager(manager) for manager in settings], bounds.total, bounds.per_machine)
        finally:
            with self._lock:
                for session in self._open:  # of an interrupted pass
                    session.close()
        seconds = (clock.mono_ns() - began) / 1e9
        effort = Cost(self._questions, self._round_trips, self._connections, most, seconds)
        return tuple(self._surveyed(direction) for direction in self._directions), effort

    # -- connections -------------------------------------------------------------------------------

    @contextmanager
    def _session(self, way: Route, settings: HostSettings) -> Iterator[SshSession]:
        password = self._secrets.get(settings.password, settings.host)
        session = SshSession(way, password=password, transcript=self._count)
        with self._lock:
            self._open.add(session)
        try:
            yield session
        finally:
            session.close()
            with self._lock:
                self._open.discard(session)
                self._round_trips += session.round_trips
                self._connections += session.connections

    def _count(self, reply: Reply) -> None:
        with self._lock:
            self._questions += 1

    def _heard(self, ahead: BatchingSession, name: str) -> None:
        """Note what could not be asked over a connection."""
        for machine, why in ahead.silent().items():
            self._silent[machine or name] = UnreachableMachine(machine or name, str(why))

    def _say(self) -> None:
        self._tell(
            SurveyProgress(
                (sum(all(name in self._listed for name in names) for names in self._hosts.values()), len(self._hosts)),
                (len(self._ends), sum(len(names) for host, names in self._hosts.items() if host not in self._silent)),
                (len(self._own), self._partitions),
                tuple(self._silent),
            )
        )

    # -- jobs --------------------------------------------------------------------------------------

    def _manager(self, settings: HostSettings) -> SurveyJob[dict[str, _Listed]]:
        """Ask a manager which of its frames' partitions there are."""
        host, way = settings.host, route(settings.host, self._site.ssh_config)

        def work() -> dict[str, _Listed]:
            with self._session(way, settings) as session:
                ahead = BatchingSession(session, self._known[host], machine_asked)
                listings = in_rounds([ahead], lambda: {name: self._list(name, ahead) for name in self._hosts[host]})
                self._heard(ahead, host)
            return listings

        def then(listings: dict[str, _Listed]) -> Iterable[SurveyJob[Any]]:
            self._listed |= listings
            self._say()
            # Another manager may have waited for this one: it is told the machine that a partition would be moved to.
            frames = [self._frame(name) for name in self._ready()]
            return [*frames, *self._partitions_of(self._hosts[host])]

        return SurveyJob(0, machines_of(way), work, then)

    def _list(self, name: str, ahead: BatchingSession) -> _Listed:
        asking, control = Gathering(), control_of(self._site, name, secrets=self._secrets, session=ahead)
        system = asking.ask("system", name, control.system)
        partitions = asking.ask("partitions", name, control.partitions)
        return _Listed(system, partitions, tuple(asking.gaps))

    def _ready(self) -> list[str]:
        """Frames that answer and were not begun yet, and of whose moves, from and to them, both managers have been
        heard: what comes to a frame decides what it is asked.
        """
        ready = []
        for name, listed in self._listed.items():
            ends = {
                end for one in self._directions if name in (one.source, one.target) for end in (one.source, one.target)
            }
            answers = self._site.frame(name).host not in self._silent and listed.system is not None
            if name not in self._begun and answers and ends <= self._listed.keys():
                ready.append(name)
        self._begun.update(ready)
        return ready

    def _frame(self, name: str) -> SurveyJob[_Looked]:
        """Look at one frame, and ask its manager about every move from it."""
        settings = self._site.frame(name)
        way, ahead_known = route(settings.host, self._site.ssh_config), self._known[settings.host]
        orders = {
            (direction, partition.name): self._order(direction, partition.name)
            for direction in self._directions
            if direction.source == name and self._can_be_asked(direction)
            for partition in self._to_move(name)
        }

        def work() -> _Looked:
            with self._session(way, settings) as session:
                ahead = BatchingSession(session, ahead_known, machine_asked)
                control = control_of(self._site, name, secrets=self._secrets, session=ahead)
                shells = vios_shells(settings, ahead)

                def look() -> _Looked:
                    plain = survey_frame(control, shells, name)
                    wanted = self._wanted(name, plain)
                    gathered = survey_frame(control, shells, name, wanted) if wanted else plain
                    return gathered, {key: survey_move(direction, control) for key, direction in orders.items()}

                facts = in_rounds([ahead], look)
                self._heard(ahead, settings.host)
            return facts

        def then(facts: _Looked) -> Iterable[SurveyJob[Any]]:
            self._ends[name], moves = facts
            self._moves |= moves
            self._say()
            return ()

        return SurveyJob(1, machines_of(way), work, then)

    def _wanted(self, name: str, gathered: GatheredSystem) -> frozenset[str]:
        """Facts of a frame beyond the ordinary ones, for moves from it and, as far as lists show, to it."""
        wanted = [needs_of(gathered.facts, partition.name) for partition in gathered.facts.partitions or ()]
        sources = {direction.source for direction in self._directions if direction.target == name}
        arriving = [partition for source in sources for partition in self._to_move(source)]
        if any(partition.memory_mode == "shared" for partition in arriving):
            wanted.append(frozenset({MEMORY_POOLS}))
        return frozenset().union(*wanted)

    def _partitions_of(self, names: Sequence[str]) -> list[SurveyJob[Any]]:
        """Log in to the partitions of these frames that run and that the site file says how to, and ask their SAP
        systems.
        """
        jobs = []
        for name in names:
            if name not in {direction.source for direction in self._directions}:
                continue
            logins = {
                partition.name: self._site.partitions.get(partition.name) if partition.state == RUNNING else None
                for partition in self._to_move(name)
            }
            asked = {
                partition: login
                for partition, login in logins.items()
                if login is not None or self._site.sap_of(partition) or databases_of(self._site, partition)
            }
            for login in asked.values():
                self._secrets.get(login.password if login else None, login.host if login else "")
            self._partitions += len(asked)
            jobs.append(self._logins(name, asked))
        return jobs

    def _logins(self, frame: str, asked: Mapping[str, HostSettings | None]) -> SurveyJob[dict[str, Route | None]]:
        """Ask OpenSSH how the partitions of a frame are reached, which takes its time and no connection.

        Then they are logged in to.
        """

        def work() -> dict[str, Route | None]:
            config = self._site.ssh_config
            return {
                partition: None if login is None else route(login.host, config) for partition, login in asked.items()
            }

        def then(routes: dict[str, Route | None]) -> Iterable[SurveyJob[Any]]:
            return [self._partition(frame, partition, login, routes[partition]) for partition, login in asked.items()]

        return SurveyJob(1, (), work, then)

    def _partition(self, frame: str, name: str, inside: HostSettings | None, way: Route | None) -> SurveyJob[_Own]:
        def work() -> _Own:
            guest: Guest | None = None
            gaps: tuple[Gap, ...] = ()
            if inside is not None and way is not None:
                with self._session(way, inside) as session:
                    ahead = BatchingSession(session)
                    seen = survey_guest(ahead, name)
                    guest, gaps = seen.end(session), seen.gaps
                    self._heard(ahead, name)
            sap = sap_snapshots(self._site, name, self._secrets)
            works = guest is not None and guest.answered
            return _Own(guest, gaps, sap, database_snapshots(self._site, name, self._secrets, login_works=works))

        def then(guest_facts: _Own) -> Iterable[SurveyJob[Any]]:
            self._own[frame, name] = guest_facts
            self._say()
            return ()

        return SurveyJob(2, (name,) if way is None else machines_of(way), work, then)

    # -- what came of it ---------------------------------------------------------------------------

    def _to_move(self, frame: str) -> list[Partition]:
        return [partition for partition in self._listed[frame].partitions or () if not partition.is_vios]

    def _can_be_asked(self, direction: Direction) -> bool:
        return (
            self._listed[direction.source].partitions is not None and self._listed[direction.target].system is not None
        )

    def _order(self, direction: Direction, partition: str) -> Order:
        system = self._listed[direction.target].system
        assert system is not None
        return Order(partition, direction.source, direction.target, system.machine, *self._between[direction])

    def _surveyed(self, direction: Direction) -> FrameSurvey:
        partitions = self._to_move(direction.source)
        concerned = {self._site.frame(name).host for name in (direction.source, direction.target)}
        concerned |= {partition.name for partition in partitions} | self._servers(direction)
        silent = [partition for name, partition in self._silent.items() if name in concerned]
        if self._can_be_asked(direction) and direction.source in self._ends and direction.target in self._ends:
            return FrameSurvey(
                direction,
                tuple((partition, self._survey(direction, partition)) for partition in partitions),
                tuple(silent),
            )
        if not silent:
            # It answers, but not this: an unknown name of a system, say.
            gaps = [gap for name in (direction.source, direction.target) for gap in self._listed[name].gaps]
            silent = [UnreachableMachine(gap.where, gap.why) for gap in gaps[:1]]
        return FrameSurvey(direction, tuple((partition, None) for partition in partitions), tuple(silent))

    def _servers(self, direction: Direction) -> set[str]:
        """The I/O servers of both frames, as `machine_asked` names them."""
        both = (self._site.frame(direction.source), self._site.frame(direction.target))
        return {f"{frame.system}/{server}" for frame in both for server in frame.vios}

    def _survey(self, direction: Direction, partition: Partition) -> Survey:
        order, own = self._order(direction, partition.name), self._own.get((direction.source, partition.name))
        ends = self._ends[direction.source], self._ends[direction.target]
        survey = build_survey(order, *ends, self._moves[direction, partition.name])
        if own is not None and own.guest is not None:
            survey = replace(survey, guest=own.guest, gaps=(*survey.gaps, *own.gaps))
        elif partition.state != RUNNING:
            survey = without_guest(survey, f"it is {partition.state}, so nobody can log in to it")
        else:
            survey = without_guest(survey, f"the site file does not say how to log in to {partition.name}")
        if own is None:
            return survey
        return replace(with_sap(self._site, survey, own.sap), databases=own.databases)


def machines_of(way: Route) -> tuple[str, ...]:
    """Whom a connection loads: the machine itself and every jump host before it, each once.

    >>> machines_of(Route("aix1", "192.0.2.1", 22, "root", jumps=("ops@gate:2222",)))
    ('aix1', 'gate')
    """
    jumps = (jump.rsplit("@", 1)[-1].partition(":")[0] for jump in way.jumps)
    return tuple(dict.fromkeys((way.host, *jumps)))
