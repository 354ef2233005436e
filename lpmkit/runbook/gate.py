"""The conditions of a move: validation, name, change window, approvals, and no other move of the partition."""

from __future__ import annotations

import math
from pathlib import Path

from lpmkit.control.base import Order
from lpmkit.errors import NotAllowed, NotReady
from lpmkit.migration.phases import Phase
from lpmkit.migration.status import state
from lpmkit.recorder.monitor import NO_REPLY_S
from lpmkit.recorder.shared_intent import settled
from lpmkit.runbook.examination import Examination
from lpmkit.runbook.values import validation_of
from lpmkit.runs.approvals import Approval, approve, require
from lpmkit.runs.folder import Run
from lpmkit.runs.locks import holder, partition_lock_path
from lpmkit.store import shared_store
from lpmkit.timeline import Clock

#: Seconds between two looks at the time of day while a move waits for its window: a machine may have slept meanwhile.
LOOK_AT_CLOCK_S = 5.0


def _asked_s_ago(run: Run, clock: Clock) -> float:
    """Seconds since a run sent its command to move; infinite for one that sent none."""
    sent = [event.wall_ns for event in run.events() if event.kind == "intent" and event.data.get("what") == "migrate"]
    return (clock.wall_ns() - sent[-1]) / 1e9 if sent else math.inf


class Gate(Examination):
    """The conditions that must hold before a move begins. Each refusal is raised before a person types the name."""

    def may_move(self, run: Run, typed_name: str) -> None:
        """Raise unless a validation of this very order passed lately, the partition's name was typed, and as many
        others approved it as the site asks for.
        """
        order = self.own_order(run)
        if typed_name != order.partition:
            raise NotAllowed(
                f"the name typed is {typed_name!r} and the partition is {order.partition!r}; nothing was moved",
                next_step="Type the partition's name exactly.",
            )
        self.may_begin(run)

    def may_begin(self, run: Run) -> None:
        """Raise `NotAllowed`, `NotReady` or `NotApproved` where a move may not begin, whatever name is typed: what
        forbids it is said before anybody is asked for the name.
        """
        order = self.own_order(run)
        if any(event.kind == "intent" for event in run.events()):
            raise NotAllowed(
                "this run has moved already; a folder records one move",
                where=run.name,
                next_step=f"`lpmkit attach {run.path}` shows it.",
            )
        if run.events():
            raise NotAllowed(
                "this run's recorder was started already, and no move was asked for",
                where=run.name,
                next_step="While it is in its lead-in, wait. If it was called off, prepare and validate it again.",
            )
        again = f"`lpmkit validate {order.partition} --to {order.target}` asks the firmware."
        validation = run.read("validation", validation_of)
        if validation is None:
            raise NotAllowed("there is no validation of this order", where=run.name, next_step=again)
        if validation.order != order:
            raise NotAllowed("the validation is of another order", where=run.name, next_step=again)
        if not validation.passed:
            raise NotReady(
                "the firmware's validation refused this order",
                where=run.name,
                answered=validation.text,
                next_step=f"Correct what it names (`lpmkit check {order.partition} --to {order.target}` lists the "
                f"remedies), then `lpmkit validate {order.partition} --to {order.target}`.",
            )
        if not validation.is_fresh(self.site.runs.validation_holds_minutes, self.clock.wall_ns()):
            minutes = self.site.runs.validation_holds_minutes
            raise NotAllowed(f"the validation is older than {minutes:g} minutes", where=run.name, next_step=again)
        self._within_window(order, run)
        self.require_approvals(run)

    def _within_window(self, order: Order, run: Run) -> None:
        """Raise `NotAllowed` where the change window has not begun when the baseline is over, or has ended."""
        window, runs = self.limits_of(order).window, self.site.runs
        if why := window.why_not_now(self._would_begin_ns(), is_required=runs.needs_window):
            wait = "Start within the window (`lpmkit move --wait` waits for it)" if window.begin else "Name a window"
            raise NotAllowed(
                f"the move would begin {why}; nothing was moved",
                where=run.name,
                next_step=f"{wait}, or give the order another one: --window BEGIN/END.",
            )

    def _would_begin_ns(self) -> int:
        """The time at which a move that is started now asks the manager: after the baseline."""
        return self.clock.wall_ns() + int(self.site.runs.lead_in_s * 1e9)

    def opens_in_s(self, order: Order) -> float:
        """The seconds until an order may be started, so that it begins within its change window; 0 where it may now."""
        return self.limits_of(order).window.opens_in_s(self._would_begin_ns())

    def wait_for_window(self, run: Run) -> None:
        """Wait until a move may be started, then check and validate it again; changes nothing on any machine.

        Raises `NotAllowed` at once where waiting does not help: a window that is missing, or over.
        """
        order = self.own_order(run)
        window, required = self.limits_of(order).window, self.site.runs.needs_window
        if why := window.why_not_now(max(self._would_begin_ns(), window.begin_ns or 0), is_required=required):
            raise NotAllowed(f"the move would begin {why}; nothing was moved", where=run.name)
        if self.opens_in_s(order) == 0.0:
            return
        while (left_s := self.opens_in_s(order)) > 0.0:
            self.clock.sleep(min(left_s, LOOK_AT_CLOCK_S))
        self.check(run)
        self.validate(run)

    def require_approvals(self, run: Run) -> tuple[Approval, ...]:
        """The approvals of a run's order that count for the acting person.

        Raises `NotApproved` where the site asks for more.
        """
        return require(run, self.site.runs, self.person, self.clock)

    def approve(self, run: Run, typed_name: str, *, key: Path | None = None) -> Approval:
        """Approve a run's order as the acting person, with an SSH signature where a ``key`` is given; changes nothing
        on any machine.

        Raises as `lpmkit.runs.approvals.approve`.
        """
        order = self.own_order(run)
        if self.site.runs.allowed_signers is not None and key is None:
            raise NotAllowed(
                f"the site wants a signed approval of {order.partition}", where=run.name,
                next_step=f"`lpmkit approve {run.name} --key YOUR-SSH-KEY` in a terminal."
            )  # fmt: skip
        return approve(run, self.person, typed_name, key=key, clock=self.clock)

    def refuse_second_move(self, run: Run) -> None:
        """Raise `NotAllowed` while another run of this site moves the same partition, or has left its migration
        unwatched; with a shared store on any host (`StoreUnavailable` where it does not answer).
        """
        order = self.own_order(run)
        owner = holder(partition_lock_path(run.path.parent, order.source, order.partition))
        if owner is not None and owner.about != run.name:
            raise NotAllowed(
                f"another run moves {order.partition} ({owner}); nothing was asked",
                where=run.name,
                next_step=f"`lpmkit attach {owner.about}` shows it. Wait for its end.",
            )
        for other in self._runs_of(order.partition):
            if other.name == run.name or (other.manifest.get("order") or {}).get("partition") != order.partition:
                continue
            now = state(other, self.clock)
            under_way = now.phase is not None and now.phase is not Phase.PREPARED and not now.phase.is_final
            if under_way and now.ended is None:
                raise NotAllowed(
                    (
                        f"the run {other.name} asked for a move of {order.partition} and has not seen its end; "
                        "nothing was asked"
                    ),
                    where=run.name,
                    next_step=f"`lpmkit attach {other.path}` finds out what became of it.",
                )
            if now.phase is Phase.ASKED and (left_s := NO_REPLY_S - _asked_s_ago(other, self.clock)) > 0:
                raise NotAllowed(
                    f"the run {other.name} asked for a move of {order.partition}, and its command may still begin one; "
                    "nothing was asked",
                    where=run.name,
                    next_step=f"Wait {math.ceil(left_s / 60)} min, then try again: the manager is asked first.",
                )
        self._refuse_move_of_another_host(run, order)

    def _refuse_move_of_another_host(self, run: Run, order: Order) -> None:
        """Raise `NotAllowed` while the shared store has an intent for the partition without an end, `StoreUnavailable`
        where it does not answer: the recorder could not write its own then.
        """
        store = shared_store(self.site, self.secrets)
        if store is None:
            return
        from lpmkit.store.moves import open_intents  # noqa: PLC0415 - an extra

        for intent in open_intents(store, order.partition):
            if not settled(store, intent):
                raise NotAllowed(
                    f"{intent.words()} and has not seen its end; nothing was asked",
                    where=run.name,
                    next_step=f"`lpmkit attach {intent.folder}` on {intent.host} finds out what became of it.",
                )
