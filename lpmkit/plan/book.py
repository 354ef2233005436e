"""Operations on a plan for front ends: check, start, follow, halt, continue. No state besides the plan's folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lpmkit.background.requests import put
from lpmkit.background.worker import Worker
from lpmkit.checks import Answer, Finding, ready
from lpmkit.errors import LpmError, NotAllowed, NotFound, NotReady, RecordError, RemoteError
from lpmkit.inventory import Partition
from lpmkit.limits import PREDICTED_FIGURES, QUANTITIES, LimitState, MoveLimits, judge
from lpmkit.plan import MovePlan, PlannedMove
from lpmkit.plan.driving import driving_place, hand_to, place_of, require_place
from lpmkit.plan.expecting import from_survey, memberships, surroundings
from lpmkit.plan.orders import listed, order_for
from lpmkit.plan.outlook import Outlook, WindowState, outlook, with_duration, without_forecast
from lpmkit.plan.schedule import Membership, Stage, fits
from lpmkit.plan.status import FOLDER, PlanStatus, plan_of, plan_status, plans
from lpmkit.plan.timetable import Expected
from lpmkit.prediction.history import history, inputs_of
from lpmkit.prediction.moves import Prediction
from lpmkit.prediction.no_forecast import NoForecast, forecast_or_why
from lpmkit.runbook import Runbook, SiteInventory, Validation
from lpmkit.runs.folder import Run, create
from lpmkit.store import shared_store
from lpmkit.timeline import wait_until

#: The conductor as a detached process.
WORKER = Worker("conductor", "lpmkit.plan.conductor")
#: Seconds for the conductor to take up a request: it finishes the survey of a partition first.
OBEYED_S = 180.0


@dataclass(frozen=True, slots=True)
class MoveCheck:
    """Result of the check of a planned move. ``fits`` is `True` if it has room at its turn.

    ``trouble`` is the reason why the move is impossible or could not be checked; ``answer`` is then not ready or
    unknown.
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
    #: Findings of the checks that may fail here.
    accepted: tuple[Finding, ...] = ()
    #: The run folder that the check has prepared.
    run: Run | None = None
    #: For the forecast: the move, without how long it lasts, and the cluster software in the partition.
    expected: Expected | None = None
    memberships: frozenset[Membership] = frozenset()
    prediction: Prediction | NoForecast | None = None
    limits: MoveLimits = field(default_factory=MoveLimits)

    def predicted_row(self) -> dict[str, str]:
        """P90 of what the move costs, each with its limit, for a table; a dash where nothing is predicted."""
        row, expected = {"partition": self.partition}, self.prediction
        for quantity, name in QUANTITIES.items():
            spread = expected.figure(PREDICTED_FIGURES[quantity]) if isinstance(expected, Prediction) else None
            limit = self.limits.of(quantity)
            text = "–" if spread is None else f"{spread.p90:.1f} s"
            if spread is not None and limit is not None and judge(spread.p90, spread.p90, limit) is LimitState.FAILED:
                text += f" ABOVE {limit.fail:g} s"
            elif limit is not None:
                text += f" ({limit.words})"
            row[name] = text
        return row

    def as_row(self) -> dict[str, str]:
        """The row that every front end shows."""
        failing = [finding.title for finding in self.findings if finding.verdict.value == "fail"]
        firmware = "" if self.validation is None else "accepts it" if self.validation.passed else self.validation.text
        return {
            "partition": self.partition,
            "from": self.source,
            "to": self.target,
            "after": ", ".join(self.after),
            "room at its turn": {True: "yes, ", False: "NO: ", None: ""}[self.fits] + self.room,
            "checks": self.answer.value + (f", failing checks: {'; '.join(failing)}" if failing else ""),
            "firmware": firmware,
            "trouble": self.trouble,
        }


@dataclass(frozen=True, slots=True)
class CheckedPlan:
    """A plan with the check of each move and the forecast of all, at a moment (nanoseconds since 1970)."""

    plan: MovePlan
    moves: tuple[MoveCheck, ...]
    outlook: Outlook
    at_ns: int
    #: What the plan names and does not move, and no frame lists: a slip of the pen holds nothing back.
    unknown: tuple[str, ...] = ()
    #: The frames that could not be asked: one of them may list it.
    silent: tuple[str, ...] = ()

    @property
    def answer(self) -> Answer:
        """Not ready if one move is not ready or has no room, or the window does not hold; unknown if that is not
        known.
        """
        window = self.outlook.window
        answers, room = {move.answer for move in self.moves}, {move.fits for move in self.moves}
        if Answer.NOT_READY in answers or False in room or window in _NOT_HELD or (self.unknown and not self.silent):
            return Answer.NOT_READY
        all_known = answers == {Answer.READY} and room == {True} and window is not WindowState.UNKNOWN
        all_known = all_known and not self.unknown
        return Answer.READY if all_known else Answer.COULD_NOT_TELL

    def unknown_name(self, name: str) -> str:
        """The sentence about a partition that the plan names without moving it, and that no frame lists."""
        asked = f"; {', '.join(self.silent)} could not be asked" if self.silent else ""
        return f"{name}: the plan names it under `clusters` or `wait_for`, and no frame lists it{asked}"

    def against(self) -> tuple[str, ...]:
        """The reasons against a start of the plan, a sentence each."""
        return tuple(self._against())

    def _against(self) -> Iterator[str]:
        for move in self.moves:
            row = move.as_row()
            if move.answer is Answer.NOT_READY:
                refused = move.validation is not None and not move.validation.passed
                why = move.trouble or (f"the firmware refuses it: {row['firmware']}" if refused else row["checks"])
                yield f"{move.partition}: {why}"
            if move.fits is False:
                yield f"{move.partition}: no room on {move.target} at its turn: {move.room}"
        for name in self.unknown:
            yield self.unknown_name(name)
        if self.outlook.window in _NOT_HELD:
            yield f"the change window {self.outlook.window.value}. {self.outlook.sentence()}"


#: States of the change window in which a plan is not ready.
_NOT_HELD = (WindowState.FAILS, WindowState.MAY_NOT_HOLD)


def checked_plan(book: Runbook, plan: MovePlan, *, ask_firmware: bool = True) -> CheckedPlan:
    """Survey, check and validate every move of a plan as things are now, and forecast when each would begin and end if
    the plan began now; changes nothing.

    Each move gets a run folder and is surveyed again at its turn. A move that cannot be checked does not affect the
    others; one that is not ready is in the forecast too: once it is mended it takes its time. Raises `RemoteError` or
    `UsageError` only if no move can be checked.
    """
    inventory = book.landscape()
    looked = _checked(book, plan, inventory, ask_firmware)
    now_ns = book.clock.wall_ns()
    ahead = forecast_or_why(lambda: _outlook(book, plan, inventory, looked, now_ns))
    if isinstance(ahead, NoForecast):
        ahead = without_forecast((move.expected for move in looked if move.expected is not None), now_ns, ahead)
    listed = {one.partition.name for one in inventory.placed}
    unknown = tuple(sorted(plan.named_elsewhere() - listed))
    return CheckedPlan(plan, looked, ahead, now_ns, unknown, tuple(sorted(inventory.silent)))


def _outlook(
    book: Runbook, plan: MovePlan, inventory: SiteInventory, looked: Sequence[MoveCheck], now_ns: int
) -> Outlook:
    past = history(book.site.runs.folder)
    moves = [
        Expected(move.partition, move.source, move.target, None)
        if move.expected is None or move.run is None
        else with_duration(move.expected, inputs_of(move.run), past)
        for move in looked
    ]
    clusters = {move.partition: move.memberships for move in looked}
    around = surroundings(book, inventory, (move for move in moves if move.whole_s is not None), clusters, past)
    return outlook(plan, moves, around, now_ns)


def _after(move: PlannedMove) -> tuple[str, ...]:
    """The names that a move comes after, for people; those of other plans with their frames."""
    return (*move.after, *(f"{name} on {frame}" for name, frame in move.wait_for.items()))


def _checked(book: Runbook, plan: MovePlan, inventory: SiteInventory, ask_firmware: bool) -> tuple[MoveCheck, ...]:
    placed: list[tuple[Partition, str, str]] = []
    results: list[MoveCheck] = []
    for move in plan.moves:
        try:
            order = order_for(book, plan, move, inventory)
            partition = listed(inventory, order)
            placed.append((partition, order.source, order.target))
            if move.keep_mapping:
                order, _ = book.keep_mapping(order)
            run = book.prepare(order)
            findings = book.check(run)
            validation = book.validate(run) if ask_firmware else None
            blocking = tuple(finding for finding in findings if finding.key not in move.accept)
            answer = Answer.NOT_READY if validation is not None and not validation.passed else ready(blocking)
            results.append(
                MoveCheck(
                    move.partition,
                    order.source,
                    order.target,
                    _after(move),
                    answer,
                    findings=blocking,
                    validation=validation,
                    accepted=tuple(finding for finding in findings if finding.key in move.accept),
                    run=run,
                    expected=from_survey(book, run, order, partition),
                    memberships=memberships(run),
                    prediction=book.predict(run),
                    limits=book.limits_of(order),
                )
            )
        except LpmError as trouble:
            answer = Answer.COULD_NOT_TELL if isinstance(trouble, RemoteError) else Answer.NOT_READY
            results.append(
                MoveCheck(move.partition, move.source or "", move.target, _after(move), answer, trouble=str(trouble))
            )
    room = {move.partition: move for move in fits(placed, inventory.frames)}
    return tuple(
        replace(move, fits=fit.fits, room=fit.why) if (fit := room.get(move.partition)) else move for move in results
    )


def start(book: Runbook, plan: MovePlan, typed_title: str) -> Run:
    """Create the plan's folder and start its conductor; returns as soon as it runs.

    Raises `NotAllowed` unless the plan's title was typed, and as `may_start`.
    """
    if typed_title != plan.title:
        raise NotAllowed(
            f"the title typed is {typed_title!r}, but the plan's title is {plan.title!r}; nothing was moved",
            next_step="Type the plan's title exactly.",
        )
    may_start(book, plan)
    inventory = ask_for_secrets(book, plan)
    facts = {
        "by": book.person.login,
        "person": book.person.as_data(),
        "plan": plan.as_data(),
        "site": book.site.as_data(),
    }
    place = driving_place(book.site, plan, inventory)
    if place:
        require_place(book, place)
    folder = create(
        book.site.runs.folder / FOLDER,
        mode="plan",
        title=plan.title,
        facts=facts,
        clock=book.clock,
        group=book.site.runs.group,
    )
    if place:
        hand_to(book, folder, place)
    else:
        WORKER.start(folder, book.secrets, book.clock, book.charge())
    return folder


def may_start(book: Runbook, plan: MovePlan, checked: CheckedPlan | None = None) -> None:
    """Raise what stands against a start, whatever title is typed.

    `NotAllowed` while another plan of this site is executed, unless they share a store; `StoreUnavailable` where that
    does not answer; `NotFound` for a frame that the site file does not name; `NotReady` by what was ``checked``.
    """
    _require_no_other_plan(book)
    if plan.observe_from and book.site.store is None:
        raise NotAllowed(
            f"it is to be observed from {', '.join(plan.observe_from)}, and without a shared store there are no places",
            where=plan.title,
            next_step="Add `store:` to the site file, or take `observe_from:` out of the plan.",
        )
    for move in plan.moves:
        book.site.frame(move.target)
        if move.source is not None:
            book.site.frame(move.source)
        own = book.site.limits.with_order(plan.limits_of(move.partition).as_data())
        if why := own.window.why_without(is_required=book.site.runs.needs_window):
            raise NotAllowed(
                f"{move.partition} would be moved {why}; nothing was moved",
                where=plan.title,
                next_step="Give the plan one: window: {begin: …, end: …}.",
            )
    against = checked.against() if checked is not None else ()
    if against:
        raise NotReady(
            "the plan is not ready; nothing was moved: " + "; ".join(against),
            where=plan.title,
            next_step="Mend what is named, or take those moves out of the plan. Then check the plan again.",
        )


def _require_no_other_plan(book: Runbook) -> None:
    """Raise `NotAllowed` while another plan runs, unless plans share their room; then the store has to answer."""
    store = shared_store(book.site, book.secrets)
    if store is not None:
        store.require()
        return
    for other_plan in plans(book.site.runs.folder):
        if other_plan.is_recorded():
            raise NotAllowed(
                f"another plan is running: {other_plan.name}",
                next_step=(
                    f"Wait for its end (`lpmkit plan attach {other_plan.name}`), or halt it: two plans respect each "
                    "other's limits only with a shared store (`store:` in the site file)."
                ),
            )


def ask_for_secrets(book: Runbook, plan: MovePlan) -> SiteInventory:
    """Ask now for every secret that the moves will need, because a notebook's buttons cannot; the conductor receives
    them. Returns what the managers listed.
    """
    inventory = book.landscape()  # the managers' passwords
    shared_store(book.site, book.secrets)
    for move in plan.moves:
        book.know_secrets([probe.as_data() for probe in book.probes_of(move.partition)])
    return inventory


def attach(book: Runbook, folder: Run) -> bool:
    """Make sure that an unfinished plan has a conductor; true if a new one was started."""
    status = plan_status(folder, book.clock)
    if status.conducted or status.ended is not None:
        return False
    _start_conductor(book, folder)
    return True


def _start_conductor(book: Runbook, folder: Run) -> None:
    """Start a conductor for a plan that has none, with the managers' and the store's passwords; from its place if it
    has one.
    """
    place = place_of(book, folder)
    if place:
        require_place(book, place)
        hand_to(book, folder, place)
        return
    book.landscape()
    shared_store(book.site, book.secrets)
    WORKER.start(folder, book.secrets, book.clock, book.charge())


def halt(book: Runbook, folder: Run) -> None:
    """Start no further move. Running moves continue: stop a migration through its own run (`lpmkit stop RUN`)."""
    if not folder.is_recorded():
        raise NotAllowed("this plan has no running conductor, so there is nothing to halt", where=folder.name)
    _ask(book, folder, "halt")


def go_on(book: Runbook, folder: Run) -> None:
    """Continue after a halt despite the failures so far; starts a conductor if none runs.

    A migration that needs recovery halts the plan again.
    """
    _ask(book, folder, "go-on")


def again(book: Runbook, folder: Run, partition: str) -> None:
    """Queue a failed or dropped move again, once its cause is resolved. Raises `NotFound` and `NotAllowed`."""
    status = plan_status(folder, book.clock)
    if partition not in status.stages:
        raise NotFound("partition in the plan", partition, known=status.stages)
    if status.stages[partition] not in (Stage.FAILED, Stage.DROPPED):
        raise NotAllowed(
            f"{partition} is {status.stages[partition].value}: only a failed or dropped move can be tried again",
            where=folder.name,
        )
    _ask(book, folder, "again", partition=partition)


def _ask(book: Runbook, folder: Run, request: str, **more: str) -> None:
    """Leave a request for the conductor, start one if none runs, and wait until the request is taken up."""
    plan_of(folder)
    path = put(folder, book.clock, request, **more)
    if not folder.is_recorded():
        _start_conductor(book, folder)
    # The conductor may be checking a partition, which takes minutes.
    if not wait_until(lambda: not path.exists(), clock=book.clock, timeout_s=OBEYED_S, every_s=0.1):
        raise RecordError(
            "the plan's conductor has not taken it up yet",
            where=folder.name,
            next_step=f"`lpmkit plan attach {folder.name}` shows its progress.",
        )


def follow(book: Runbook, folder: Run, every_s: float = 0.5) -> Iterator[PlanStatus]:
    """Yield the plan's status repeatedly until every move is over, or it halts with no move running."""
    while True:
        status = plan_status(folder, book.clock)
        yield status
        under_way = any(move.stage in (Stage.PREPARING, Stage.MOVING, Stage.WATCHING) for move in status.moves)
        if status.is_over or status.is_done or (status.halted and not under_way) or not status.conducted:
            return
        book.clock.sleep(every_s)


def named_plan(runs: Path, name: str) -> Run:
    """A plan's folder by path or name. Raises `NotFound`."""
    if Path(name).is_dir():
        return Run(name)
    folders = {plan.name: plan for plan in plans(runs)}
    if name not in folders:
        raise NotFound("plan", name, known=list(folders)[-5:], where=str(runs / FOLDER))
    return folders[name]
