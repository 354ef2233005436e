"""Watching from several places: the recorders of other jump hosts, for a move of a plan or for a watch.

Each place that is asked gets a run folder of its own, a watch, and its worker records in it (`lpmkit worker`). The run
that is watched besides keeps a document ``observers``: the places, their folders, and why one could not be asked. A
watch changes nothing on a machine, so that it may be handed over once too often; the lock of its folder keeps a second
recorder out. A place that does not watch is reported and holds nothing back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lpmkit.background.requests import Inbox, put
from lpmkit.config import Site
from lpmkit.errors import LpmError, NotAllowed
from lpmkit.json_values import JsonMapping
from lpmkit.migration.observers import NOT_OBSERVED, Observer, note_observers, observers_of, watch_of, why_not
from lpmkit.migration.status import state
from lpmkit.plan.schedule import Stage
from lpmkit.plan.status import MoveStatus
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run, write_document
from lpmkit.ssh.secrets import Secrets
from lpmkit.store import shared_store
from lpmkit.timeline import Clock, wait_until

#: The begin of the engine's name of a watch, before that of its folder, which has no such sign.
OBSERVE = "observe/"
#: Seconds after which a watch is given up whose folder never came, or whose move never began.
NEVER_CAME_S = 900.0
#: Seconds between two looks of a conductor at the watches of its moves, and for which a report waits for their end.
LOOK_EVERY_S, END_S = 2.0, 20.0
#: Seconds for a worker to begin a watch.
TAKEN_UP_S = 60.0


def ask_places(
    book: Runbook, shares: Mapping[str, Sequence[str]], *, belongs_to: JsonMapping, duration_s: float | None = None
) -> list[Observer]:
    """Hand a watch to each of several places: ``shares`` are the partitions by place. A place whose worker is dead, or
    that cannot be asked, is in the answer with the reason; nothing is raised for it.

    ``belongs_to`` names the move and its plan, and goes into the ``run.json`` of the watches.
    """
    dead = not_served(book, shares)
    return [
        Observer(place, why=dead[place]) if place in dead else _ask(book, place, hosts, belongs_to, duration_s)
        for place, hosts in shares.items()
    ]


def not_served(book: Runbook, names: Collection[str]) -> dict[str, str]:
    """The places that nobody serves, with the reason; every one where the store does not answer."""
    try:
        store = shared_store(book.site, book.secrets)
        if store is None:
            return dict.fromkeys(names, "the site file names no shared store")
        from lpmkit.store.places import all_places  # noqa: PLC0415 - an extra

        known = all_places(store)
    except LpmError as error:
        return dict.fromkeys(names, str(error))
    return {
        name: f"its worker is dead: {known[name].words()}" if name in known else "no worker has served it yet"
        for name in names
        if name not in known or not known[name].is_alive
    }


def _ask(
    book: Runbook, place: str, hosts: Sequence[str], belongs_to: JsonMapping, duration_s: float | None
) -> Observer:
    """Hand one watch to one place."""
    try:
        strange = [host for host in hosts if host not in book.site.partitions]
        if strange:
            raise NotAllowed(f"the site file has no login to {', '.join(strange)}")
        store = shared_store(book.site, book.secrets)
        assert store is not None
        from lpmkit.plan.engine import hand_over  # noqa: PLC0415 - an extra

        facts = {"place": place, "observer": place, "belongs_to": belongs_to}
        run = book.prepared_watch(hosts, duration_s=duration_s, facts=facts)
        hand_over(store, place, OBSERVE + run.name)
    except LpmError as error:
        return Observer(place, why=str(error))
    return Observer(place, run.name)


def observe_move(book: Runbook, run: Run, places: Sequence[str], plan: str) -> list[Observer]:
    """Have the partition of a prepared move watched from other places too, and note them in its folder. Places that
    watch it already are not asked again.
    """
    asked = {one.place: one for one in observers_of(run) if one.run}
    partition = str((run.manifest.get("order") or {})["partition"])
    shares = {place: [partition] for place in places if place not in asked}
    asked |= {one.place: one for one in ask_places(book, shares, belongs_to={"run": run.name, "plan": plan})}
    note_observers(run, asked.values())
    return list(asked.values())


def end_observers(run: Run, clock: Clock, by: str) -> None:
    """Ask the recorders of the other places to end, each once. One that cannot be asked is ended by its worker."""
    for observer in observers_of(run):
        if observer.run:
            try:
                ask_to_end(watch_of(run, observer), clock, by)
            except LpmError:
                continue  # its folder is not here: the worker sees the end of the move by itself


def ask_to_end(watch: Run, clock: Clock, by: str) -> None:
    """Ask the recorder of a watch to end, unless it was asked or has ended."""
    if state(watch, clock).ended is None and not _is_asked_to_end(watch):
        put(watch, clock, "end", by=by)


def _is_asked_to_end(watch: Run) -> bool:
    return any(request.what == "end" for request in Inbox(watch.path, lambda _: None).read())


class PlanObservers:
    """The other places that watch the moves of a conductor's plan. ``tell`` records an event ``observed`` whenever a
    place begins to watch a move, or does not watch it.
    """

    def __init__(self, book: Runbook, places: Sequence[str], tell: Callable[..., object]) -> None:
        self._book, self._places, self._tell = book, tuple(places), tell
        self._told: dict[tuple[Path, str], str] = {}
        self._look_at_ns = 0
        #: Until when the report of a move waits for the watches to end.
        self._patience_ns: dict[Path, int] = {}

    def ask(self, partition: str, run: Run, plan: str) -> None:
        """Have a move that is about to begin watched from every place of the plan. Raises nothing for it: the move does
        not depend on it.
        """
        if not self._places:
            return
        try:
            observers = observe_move(self._book, run, self._places, plan)
        except Exception as error:  # noqa: BLE001 - whatever it is, the move goes on, and the plan's record says so
            for place in self._places:
                self._note(partition, run, Observer(place), f"{type(error).__name__}: {error}")
            return
        for observer in observers:
            self._note(partition, run, observer, observer.why)

    def look(self, moves: Sequence[MoveStatus]) -> None:
        """Record which places watch the moves under way, and which do not."""
        now_ns = self._book.clock.mono_ns()
        if not self._places or now_ns < self._look_at_ns:
            return
        self._look_at_ns = now_ns + int(LOOK_EVERY_S * 1e9)
        for move in moves:
            if move.run is not None and move.stage in (Stage.MOVING, Stage.WATCHING):
                try:
                    run = Run(move.run)
                    for observer in observers_of(run):
                        self._note(move.partition, run, observer, why_not(run, observer, self._book.clock))
                except LpmError:
                    continue  # the run cannot be read now, which the plan's status says

    def _note(self, partition: str, run: Run, observer: Observer, why: str) -> None:
        if self._told.get((run.path, observer.place)) != why:
            self._told[run.path, observer.place] = why
            self._tell(partition=partition, place=observer.place, run=observer.run, why=why)

    def have_ended(self, run: Run) -> bool:
        """End the watches of a move that is over; true once their records are whole, or were waited for long enough."""
        if not self._places:
            return True
        clock = self._book.clock
        try:
            end_observers(run, clock, self._book.person.login)
            watches = [observer for observer in observers_of(run) if observer.run]
            recorded = any(watch_of(run, observer).is_recorded() for observer in watches)
        except LpmError:
            recorded = False  # not here, or not to be read: the report says so
        until_ns = self._patience_ns.setdefault(run.path, clock.mono_ns() + int(END_S * 1e9))
        return not recorded or clock.mono_ns() > until_ns


# --- a watch by itself ----------------------------------------------------------------------------------------------


def watch_from(
    book: Runbook, hosts: Sequence[str], places: Sequence[str], *, share: bool, duration_s: float | None
) -> list[Observer]:
    """Have partitions watched from several places, each of them from every place, or each from one (``share``), and
    wait until the recorders there have begun. A place that does not watch is in the answer with the reason.

    Raises `NotAllowed` where none does; nothing is recorded then.
    """
    shares = {place: hosts[number :: len(places)] if share else hosts for number, place in enumerate(places)}
    observers = ask_places(
        book, {place: own for place, own in shares.items() if own}, belongs_to={}, duration_s=duration_s
    )
    runs = {observer.place: Run(book.site.runs.folder / observer.run) for observer in observers if observer.run}
    wait_until(
        lambda: all(_has_answered(run, book.clock) for run in runs.values()),
        clock=book.clock, timeout_s=TAKEN_UP_S, every_s=0.2,
    )  # fmt: skip
    told = [replace(one, why=why_not_begun(runs[one.place], book.clock)) if one.run else one for one in observers]
    for run in runs.values() if not share else ():
        note_observers(run, [one for one in told if one.run != run.name])
    if all(one.why for one in told):
        for run in runs.values():
            ask_to_end(run, book.clock, book.person.login)
        reasons = "; ".join(f"{one.place}: {one.why}" for one in told)
        raise NotAllowed(
            f"no place watches, so nothing is recorded: {reasons}",
            next_step="`lpmkit store show` lists the workers; `lpmkit worker --place NAME` starts one on its host.",
        )
    return told


def _has_answered(watch: Run, clock: Clock) -> bool:
    """True once a watch has a recorder, or its place has said why not."""
    return state(watch, clock).has_begun or watch.document(NOT_OBSERVED) is not None


def why_not_begun(watch: Run, clock: Clock) -> str:
    """The reason why a watch by itself has no recorder yet; empty where it has or had one."""
    if state(watch, clock).has_begun:
        return ""
    told = watch.document(NOT_OBSERVED) or {}
    return str(told.get("why") or "no recorder has begun there")


# --- the worker of a place ------------------------------------------------------------------------------------------


class WatchKeeper:
    """The keeper of the watches that the worker of a place was handed: each has a recorder here until the move to which
    it belongs is over.
    """

    def __init__(self, site: Site, secrets: Secrets, place: str, clock: Clock) -> None:
        self._site, self._secrets, self._place, self._clock = site, secrets, place, clock
        #: The time at which the folder of a watch was looked for first, and not found.
        self._missing_since_ns: dict[str, int] = {}

    def look(self, name: str) -> tuple[bool, str]:
        """Look after one watch; true once it needs nobody any more, and a sentence for the worker's own record.

        Raises `LpmError` where it cannot be looked after now.
        """
        path = self._site.runs.folder / name
        if not path.is_dir():  # a shared folder shows what another host made a little later
            since_ns = self._missing_since_ns.setdefault(name, self._clock.mono_ns())
            return self._clock.mono_ns() - since_ns > NEVER_CAME_S * 1e9, "its folder is not here"
        watch = Run(path)
        if watch.manifest.get("place") != self._place:
            return True, f"it is not to be watched from {self._place}"
        now = state(watch, self._clock)
        if now.ended is not None:
            return True, ""
        is_over = _is_asked_to_end(watch) or self._is_move_over(watch)
        if now.recorded:
            if is_over:
                ask_to_end(watch, self._clock, self._place)
            return False, ""
        if is_over:
            return True, ""
        self._record(watch)
        return False, "its recorder was started"

    def _record(self, watch: Run) -> None:
        """Start a recorder. Why none can be started is noted in the folder, for those who asked."""
        book = Runbook(self._site, Secrets(self._secrets.known(), may_ask=False), self._clock)
        try:
            book.record_watch(watch)
        except LpmError as error:
            write_document(watch.path, NOT_OBSERVED, {"place": self._place, "why": str(error)})
            raise

    def _is_move_over(self, watch: Run) -> bool:
        """True once the run that a watch belongs to needs no observer any more; false for a watch by itself."""
        name = str((watch.manifest.get("belongs_to") or {}).get("run") or "")
        if not name:
            return False
        path = self._site.runs.folder / name
        if not path.is_dir():
            return self._age_s(watch) > NEVER_CAME_S
        move = state(Run(path), self._clock)
        if not move.has_begun:
            return self._age_s(watch) > NEVER_CAME_S
        return move.ended is not None or move.reads_on_s is not None

    def _age_s(self, watch: Run) -> float:
        """Seconds since a watch was asked for, by the clock of the host that serves its folder."""
        return self._clock.wall_ns() / 1e9 - (watch.path / "run.json").stat().st_mtime
