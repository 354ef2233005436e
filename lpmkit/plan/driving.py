"""The jump host from which a plan is driven: by a conductor of this host, or by the worker of a place, which watches
moves of others too (`lpmkit.plan.observing`).

A frame of the site file may name a place. A plan that moves partitions away from such frames is handed to the worker of
that place (`lpmkit worker`), which sees to it that the plan has a conductor there, also after a restart. Hosts that
drive each other's plans share the folder of runs.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from secrets import token_hex

from lpmkit.account.person import Person, account_name
from lpmkit.background.requests import Inbox
from lpmkit.background.worker import Worker
from lpmkit.config import Site
from lpmkit.errors import LpmError, NotAllowed, NotFound, RecordError
from lpmkit.plan import MovePlan
from lpmkit.plan.observing import OBSERVE, WatchKeeper
from lpmkit.plan.sharing import plan_key
from lpmkit.plan.status import plan_status, plans
from lpmkit.runbook import Runbook, SiteInventory
from lpmkit.runs.folder import Run
from lpmkit.ssh.secrets import Secrets
from lpmkit.store import shared_store
from lpmkit.timeline import Clock, wait_until

#: Seconds for a worker to take a plan up.
TAKEN_UP_S = 60.0


def driving_place(site: Site, plan: MovePlan, inventory: SiteInventory) -> str:
    """The place from which a plan is driven, by the frames that its partitions leave; empty for this host.

    Raises `NotAllowed` for frames of several places.
    """
    listed = {placed.partition.name: placed.frame for placed in inventory.placed}
    sources = {move.source or listed.get(move.partition, "") for move in plan.moves}
    names = {site.frames[source].place for source in sources if source in site.frames}
    if len(names) > 1:
        raise NotAllowed(
            f"its frames are driven from several places: {', '.join(sorted(name or 'any host' for name in names))}",
            where=plan.title,
            next_step="Make a plan for each place, as `lpmkit plan make` does; they keep to each other's limits.",
        )
    return next(iter(names), "")


def place_of(book: Runbook, folder: Run) -> str:
    """The place that drives the plan of a folder now; empty for none. Raises `StoreUnavailable`."""
    store = shared_store(book.site, book.secrets)
    if store is None:
        return ""
    from lpmkit.store.places import place_of_plan  # noqa: PLC0415 - an extra

    return place_of_plan(store, plan_key(folder)) or ""


def require_place(book: Runbook, place: str) -> None:
    """Raise `NotAllowed` unless the worker of a place is alive."""
    store = shared_store(book.site, book.secrets)
    assert store is not None
    from lpmkit.store.places import all_places  # noqa: PLC0415 - an extra

    known = all_places(store).get(place)
    if known is None or not known.is_alive:
        state = "no worker has served it yet" if known is None else known.words()
        raise NotAllowed(
            f"no worker serves the place {place}: {state}; nothing was moved",
            where=store.where,
            next_step=(
                f"Start `lpmkit worker --place {place}` on its host, or let another place take over: "
                f"`lpmkit plan take-over {place} --to PLACE`."
            ),
        )


def hand_to(book: Runbook, folder: Run, place: str) -> None:
    """Hand a plan to the worker of a place, and wait until it has a conductor.

    Raises `RecordError` if none shows itself.
    """
    store = shared_store(book.site, book.secrets)
    assert store is not None
    from lpmkit.plan.engine import hand_over  # noqa: PLC0415 - an extra
    from lpmkit.store.places import drive_from  # noqa: PLC0415

    before = len(folder.events())
    drive_from(store, plan_key(folder), place)
    hand_over(store, place, folder.name)
    if not wait_until(lambda: len(folder.events()) > before, clock=book.clock, timeout_s=TAKEN_UP_S, every_s=0.2):
        raise RecordError(
            f"the worker of {place} has not taken the plan up yet",
            where=folder.name,
            next_step=(
                f"Does that host have the same folder of runs ({book.site.runs.folder})? "
                f"`lpmkit plan attach {folder.name}` shows the plan."
            ),
        )


def starter(folder: Run) -> Person:
    """The person who started a plan, for whom its moves are made; the account that wrote ``run.json`` vouches for it.

    Raises `NotAllowed` if that is another one.
    """
    person = Person.from_data(folder.manifest.get("person") or {})
    owner = account_name((folder.path / "run.json").stat().st_uid)
    if person.account != owner:
        raise NotAllowed(
            f"its run.json names {person.login} ({person.account}) and was written by the account {owner}",
            where=folder.name,
            next_step="Start the plan again.",
        )
    return person


class PlaceWorker:
    """The worker of a place: sees to it that every plan that it was handed has a conductor on this host, and every
    watch a recorder.
    """

    def __init__(
        self, site: Site, secrets: Secrets, conductor: Worker, note: Callable[[str], object], place: str = ""
    ) -> None:
        self._site, self._secrets, self._conductor, self._note = site, secrets, conductor, note
        self._watches = WatchKeeper(site, secrets, place, Clock())
        self._noted: dict[str, str] = {}

    def look(self, name: str) -> bool:
        """Look after one plan or watch; true once it needs nobody any more."""
        try:
            if name.startswith(OBSERVE):
                is_over, text = self._watches.look(name.removeprefix(OBSERVE))
                self._tell(name, text)
                return is_over
            return self._look(name)
        except (LpmError, OSError, ValueError, KeyError, TypeError) as error:
            self._tell(name, str(error))
            return False

    def _look(self, name: str) -> bool:
        known = {plan.name: plan for plan in plans(self._site.runs.folder)}
        if name not in known:
            raise NotFound("plan", name, where=str(self._site.runs.folder))
        folder, clock = known[name], Clock()
        status = plan_status(folder, clock)
        if status.conducted:
            return False
        if status.ended is not None and Inbox(folder.path, lambda _: None).is_empty:
            return True
        book = Runbook(self._site, self._secrets, clock, starter(folder))
        self._conductor.start(folder, self._secrets, clock, book.charge())
        self._tell(name, "its conductor was started")
        return False

    def _tell(self, name: str, text: str) -> None:
        if text and self._noted.get(name) != text:
            self._noted[name] = text
            self._note(f"{name}: {text}")


def serve_place(site: Site, secrets: Secrets, place: str, conductor: Worker, note: Callable[[str], object]) -> None:
    """Drive the plans of a place from this host, until the process is ended (SIGTERM, SIGINT) or another worker has
    taken the place. Conductors and moves go on without it.

    Raises `NotAllowed` while another worker serves the place.
    """
    store = shared_store(site, secrets)
    assert store is not None
    from lpmkit.plan.engine import serve  # noqa: PLC0415 - an extra
    from lpmkit.store.places import BEAT_S, beat, leave_place, take_place  # noqa: PLC0415

    ends, token = threading.Event(), token_hex(8)
    take_place(store, place, token, socket.gethostname(), os.getpid())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ends.set())
    worker = PlaceWorker(site, secrets, conductor, note, place)
    with serve(store, place, worker.look):
        note(f"serving {place}")
        while not ends.wait(BEAT_S):
            try:
                if not beat(store, place, token):
                    note(f"another worker has taken {place}")
                    return
            except LpmError as error:
                note(str(error))
    leave_place(store, place, token)


def take_over(book: Runbook, place: str, to: str) -> tuple[list[str], list[str]]:
    """Give the plans of a place whose worker is dead to another place, and look on at the moves that its host had
    asked for; returns the plans and the runs.

    Raises `NotAllowed` while that worker is alive, or the other one is not; `NotFound` for a place that nobody served.
    """
    store = shared_store(book.site, book.secrets)
    if store is None:
        raise NotAllowed("without a shared store there are no places", next_step="Add `store:` to the site file.")
    from lpmkit.plan.engine import take_over as take_work  # noqa: PLC0415 - an extra
    from lpmkit.store.moves import open_intents  # noqa: PLC0415
    from lpmkit.store.places import all_places, move_plans  # noqa: PLC0415

    known = all_places(store)
    if place not in known:
        raise NotFound("place", place, known=known, where=store.where)
    if known[place].is_alive:
        raise NotAllowed(
            f"the worker of {place} is alive: {known[place].words()}; nothing was taken over",
            where=store.where,
            next_step="End it on its host first, or wait for its end.",
        )
    require_place(book, to)
    move_plans(store, place, to)
    works = sorted(set(take_work(store, place, to)))
    of_plans = {
        move.run
        for plan in plans(book.site.runs.folder)
        if plan.name in works
        for move in plan_status(plan).moves
        if move.run is not None
    }
    looked_on = []
    for intent in open_intents(store):
        try:
            run = Run(intent.folder)
            if intent.host == known[place].host and run.path not in of_plans and book.attach(run):
                looked_on.append(run.name)
        except LpmError:
            continue  # its folder is not here, or somebody looks on already: the store lists it
    return works, looked_on
