"""What front ends do with a plan: look before, start, follow, halt, go on. Like the runbook it holds no state worth keeping."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lpmkit.background.requests import put
from lpmkit.background.worker import Worker
from lpmkit.checks import Answer, Finding, ready
from lpmkit.control.base import Order
from lpmkit.errors import LpmError, NotAllowed, NotFound, RecordError, RemoteError
from lpmkit.inventory import Partition
from lpmkit.plan import MovePlan, PlannedMove
from lpmkit.plan.schedule import Stage, fits
from lpmkit.plan.status import FOLDER, Standings, course, plan_of, plans
from lpmkit.runbook import Runbook, SiteInventory, Validation
from lpmkit.runs.folder import Run, create
from lpmkit.timeline import wait_until

#: The conductor as a detached process.
WORKER = Worker("conductor", "lpmkit.plan.conductor")
#: A conductor that is surveying a partition obeys only afterwards.
OBEYED_S = 180.0


@dataclass(frozen=True, slots=True)
class Looked:
    """What is known of one planned move before the plan is started. ``fits`` is whether it has room when its turn comes.

    ``trouble`` says why the move cannot be, or could not be looked at; then ``answer`` is that it is not ready, or that it could not be told.
    """

    partition: str
    source: str
    target: str
    after: tuple[str, ...]
    answer: Answer
    fits: bool | None = None
    room: str = ""
    findings: tuple[Finding, ...] = ()
    validation: Validation | None = None
    trouble: str = ""

    def as_row(self) -> dict[str, str]:
        """As every face shows it."""
        failing = [finding.title for finding in self.findings if finding.verdict.value == "fail"]
        firmware = "" if self.validation is None else "accepts it" if self.validation.passed else self.validation.text
        return {
            "partition": self.partition,
            "from": self.source,
            "to": self.target,
            "after": ", ".join(self.after),
            "room at its turn": {True: "yes, ", False: "NO: ", None: ""}[self.fits] + self.room,
            "checks": self.answer.value + (f": {'; '.join(failing)}" if failing else ""),
            "firmware": firmware,
            "trouble": self.trouble,
        }


def look(book: Runbook, plan: MovePlan, *, ask_firmware: bool = True) -> tuple[Looked, ...]:
    """Survey, check and validate every move of a plan as things are now; changes nothing. Each is kept in a folder of its own; when its turn comes it is looked at once more.

    A move that cannot be looked at does not keep the others from it. Raises `RemoteError` or `UsageError` only where nothing at all can be said.
    """
    there = book.landscape()
    placed: list[tuple[Partition, str, str]] = []
    found: list[Looked] = []
    for move in plan.moves:
        try:
            order = order_for(book, move, there)
            partition = next(
                p.partition for p in there.placed if p.frame == order.source and p.partition.name == move.partition
            )
            placed.append((partition, order.source, order.target))
            if move.keep_mapping:
                order, _ = book.keep_mapping(order)
            run = book.prepare(order)
            findings = book.check(run)
            word = book.validate(run) if ask_firmware else None
            blocking = tuple(finding for finding in findings if finding.key not in move.accept)
            answer = Answer.NOT_READY if word is not None and not word.passed else ready(blocking)
            found.append(
                Looked(
                    move.partition, order.source, order.target, move.after, answer, findings=blocking, validation=word
                )
            )
        except LpmError as trouble:
            answer = Answer.COULD_NOT_TELL if isinstance(trouble, RemoteError) else Answer.NOT_READY
            found.append(
                Looked(move.partition, move.source or "", move.target, move.after, answer, trouble=str(trouble))
            )
    room = {fit.partition: fit for fit in fits(placed, there.frames)}
    return tuple(
        replace(one, fits=fit.fits, room=fit.why) if (fit := room.get(one.partition)) else one for one in found
    )


def order_for(book: Runbook, move: PlannedMove, there: SiteInventory) -> Order:
    """The order of a planned move, as `Runbook.order` has it; but a partition that nobody lists while a frame is silent is not known to be missing: raises what that frame said."""
    try:
        return book.order(move.partition, move.target, source=move.source, mapping=move.mapping, there=there)
    except NotFound:
        for silent in there.silent.values():
            raise silent from None
        raise


def answer(looked: tuple[Looked, ...]) -> Answer:
    """Not ready if one is not or has no room; could not tell if of one it cannot be told."""
    said = {one.answer for one in looked}
    room = {one.fits for one in looked}
    if Answer.NOT_READY in said or False in room:
        return Answer.NOT_READY
    return Answer.READY if said == {Answer.READY} and room == {True} else Answer.COULD_NOT_TELL


def start(book: Runbook, plan: MovePlan, typed_title: str) -> Run:
    """Make the plan's folder and start its conductor; returns as soon as it conducts.

    Raises `NotAllowed` unless the plan's title was typed, and while another plan of this site is carried out.
    """
    if typed_title != plan.title:
        raise NotAllowed(
            f"the title typed is {typed_title!r} and the plan's is {plan.title!r}; nothing was moved",
            next_step="Type the plan's title exactly.",
        )
    for other in plans(book.site.runs.folder):
        if other.is_recorded():
            raise NotAllowed(
                f"another plan is carried out: {other.name}",
                next_step=f"Wait for its end (`lpmkit plan attach {other.name}`), or halt it: two plans do not know of each other's limits.",
            )
    for move in plan.moves:
        book.site.frame(move.target)
        if move.source is not None:
            book.site.frame(move.source)
    ask_for_secrets(book, plan)
    facts = {
        "by": book.person.login,
        "person": book.person.as_data(),
        "plan": plan.as_data(),
        "site": book.site.as_data(),
    }
    folder = create(
        book.site.runs.folder / FOLDER,
        mode="plan",
        title=plan.title,
        facts=facts,
        clock=book.clock,
        group=book.site.runs.group,
    )
    WORKER.start(folder, book.secrets, book.clock, book.charge())
    return folder


def ask_for_secrets(book: Runbook, plan: MovePlan) -> None:
    """Ask now for every secret that the moves will need; the conductor gets what is known. A notebook's cell can ask, its buttons cannot."""
    book.landscape()  # the managers' passwords
    for move in plan.moves:
        book.know_secrets([probe.as_data() for probe in book.probes_of(move.partition)])


def attach(book: Runbook, folder: Run) -> bool:
    """Make sure that a plan which is not over is carried out; True when a new conductor had to be started."""
    now = course(folder, book.clock)
    if now.conducted or now.ended is not None:
        return False
    book.landscape()
    WORKER.start(folder, book.secrets, book.clock, book.charge())
    return True


def halt(book: Runbook, folder: Run) -> None:
    """Start no further move. What is under way goes on: a migration is stopped by its own run (`lpmkit stop RUN`)."""
    if not folder.is_recorded():
        raise NotAllowed("nobody carries this plan out, so there is nothing to halt", where=folder.name)
    _ask(book, folder, "halt")


def go_on(book: Runbook, folder: Run) -> None:
    """Go on after a halt, from whatever has failed so far; starts a conductor where there is none. A migration to be recovered still halts it."""
    _ask(book, folder, "go-on")


def again(book: Runbook, folder: Run, partition: str) -> None:
    """Put a move that failed or was dropped back into the queue, once what kept it is mended. Raises `NotFound` and `NotAllowed`."""
    now = course(folder, book.clock)
    if partition not in now.stages:
        raise NotFound("partition in the plan", partition, known=now.stages)
    if now.stages[partition] not in (Stage.FAILED, Stage.DROPPED):
        raise NotAllowed(
            f"{partition} is {now.stages[partition].value}: only what failed or was dropped can be tried again",
            where=folder.name,
        )
    _ask(book, folder, "again", partition=partition)


def _ask(book: Runbook, folder: Run, what: str, **more: str) -> None:
    """Leave a request for the conductor, start one where there is none, and wait until it is obeyed."""
    plan_of(folder)
    path = put(folder, book.clock, what, **more)
    if not folder.is_recorded():
        book.landscape()
        WORKER.start(folder, book.secrets, book.clock, book.charge())
    # it may be checking a partition just now, which takes its time
    if not wait_until(lambda: not path.exists(), clock=book.clock, timeout_s=OBEYED_S, every_s=0.1):
        raise RecordError(
            "the plan's conductor has not taken it up yet",
            where=folder.name,
            next_step=f"`lpmkit plan attach {folder.name}` shows what it does.",
        )


def follow(book: Runbook, folder: Run, every_s: float = 0.5) -> Iterator[Standings]:
    """The plan's course again and again until every move is over or it halts with nothing under way."""
    while True:
        now = course(folder, book.clock)
        yield now
        under_way = any(move.stage in (Stage.PREPARING, Stage.MOVING, Stage.WATCHING) for move in now.moves)
        if now.is_over or now.is_done or (now.halted and not under_way) or not now.conducted:
            return
        book.clock.sleep(every_s)


def named_plan(runs: Path, name: str) -> Run:
    """A plan's folder by its path or its name. Raises `NotFound`."""
    if Path(name).is_dir():
        return Run(name)
    known = {plan.name: plan for plan in plans(runs)}
    if name not in known:
        raise NotFound("plan", name, known=list(known)[-5:], where=str(runs / FOLDER))
    return known[name]
