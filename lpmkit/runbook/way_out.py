"""Stop and recover: the state of both managers, what may be asked of them, and the recorder's answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

from lpmkit.background.requests import put, withdraw
from lpmkit.errors import NotAllowed
from lpmkit.migration.ends import BothEnds, look, recorded
from lpmkit.migration.leftovers import Leftovers, leftovers_of
from lpmkit.migration.recovery import Proposal, RecoveryAction, propose
from lpmkit.migration.status import State, confirmed, state
from lpmkit.runbook.recording import Recording
from lpmkit.runs.folder import Run
from lpmkit.survey.connect import control_of, survey_both_ends
from lpmkit.timeline import Event, wait_until

#: The time that a front end waits for the recorder to carry out its request.
ANSWER_TIMEOUT_S = 120.0


class WayOut(Recording):
    """The way out of a migration that is under way or was interrupted."""

    def way_out(self, run: Run) -> Proposal:
        """The proposal for an interrupted migration, from both managers' present answers and the run's record; changes
        nothing.
        """
        return confirmed(propose(self.look(run), str(run.path)), state(run, self.clock))

    def look(self, run: Run) -> BothEnds:
        """Both managers' present answers about a move, and the run's record; changes nothing."""
        order = self.own_order(run)
        inactive, still_s, stop_refused, recover_refused = recorded(run.events(), order.source)
        with ExitStack() as stack:
            source, target = (
                stack.enter_context(
                    closing(control_of(self.site, frame, secrets=self.secrets, transcript=self._asked.append))
                )
                for frame in (order.source, order.target)
            )
            ends = look(
                order,
                source,
                target,
                inactive=inactive,
                still_s=still_s,
                stop_refused=stop_refused,
                recover_refused=recover_refused,
            )
        self._keep_unless_recorded(run)
        return ends

    def left_behind(self, run: Run) -> Leftovers | None:
        """Remains of the partition on the end where it is not; looks at both ends, changes nothing."""
        found = leftovers_of(survey_both_ends(self.site, self.own_order(run), self.secrets, self._asked.append))
        self._keep_unless_recorded(run)
        return found

    def _keep_unless_recorded(self, run: Run) -> None:
        """Add the replies to the run's transcript, unless a recorder is its writer."""
        if not run.is_recorded():
            self._kept(run)
        self._asked.clear()

    def stop(self, run: Run, typed_name: str) -> str:
        """Have the source's manager asked to stop the migration; in the lead-in the move is called off instead.

        Returns the request for `answer_to`.

        Raises `NotAllowed` for a run that is over: there is nothing to stop.
        """
        self._typed(run, typed_name)
        self.may_stop(run)
        self.attach(run)
        return put(run, self.clock, "stop", by=self.person.login).stem

    def may_stop(self, run: Run) -> None:
        """Raise `NotAllowed` for a run that is over, before anybody is asked for a name."""
        now = state(run, self.clock)
        if not now.recorded and not now.is_deserted:
            raise NotAllowed(
                "the run is over, so there is no migration of it to stop" if now.has_begun else "no move has begun",
                where=run.name,
                next_step=f"`lpmkit recover {run.path} --look` shows the state of both managers.",
            )

    def recover(self, run: Run, typed_name: str, *, force: bool = False) -> str:
        """Have the source's manager asked to recover an interrupted migration. Returns the request for `answer_to`.

        Raises `NotAllowed` for a run that is over where both managers show nothing to recover.
        """
        self._typed(run, typed_name)
        if not state(run, self.clock).recorded:
            self.may_recover(run, self.way_out(run))
            self._start(run)
        return put(run, self.clock, "recover", force=force, by=self.person.login).stem

    def may_recover(self, run: Run, proposal: Proposal) -> None:
        """Raise `NotAllowed` where there is nothing to recover by what both managers report now; while a recorder is at
        work, it decides.
        """
        now = state(run, self.clock)
        if now.recorded:
            return
        if not now.has_begun:
            raise NotAllowed("no move has begun, so there is nothing to recover", where=run.name)
        if proposal.action not in (RecoveryAction.RECOVER, RecoveryAction.FORCE):
            raise NotAllowed(
                f"there is nothing to recover: {proposal.why}",
                where=run.name,
                next_step=f"`lpmkit recover {run.path} --look` shows what both managers report.",
            )

    def _typed(self, run: Run, typed_name: str) -> None:
        if typed_name != self.own_order(run).partition:
            raise NotAllowed(
                f"the name typed is {typed_name!r}; nothing was asked", next_step="Type the partition's name exactly."
            )

    def follow(self, run: Run, every_s: float = 0.5) -> Iterator[State]:
        """The run's state again and again until it is over."""
        while True:
            now = state(run, self.clock)
            yield now
            if now.is_over:
                return
            self.clock.sleep(every_s)


def answer_to(book: WayOut, run: Run, request: str, timeout_s: float = ANSWER_TIMEOUT_S) -> tuple[int | None, str]:
    """Wait ``timeout_s`` for the recorder's answer to one request (what `Runbook.stop` and `Runbook.recover` return).

    A request that is not taken up is withdrawn.
    """

    def answers() -> list[Event]:
        return [event for event in run.events() if event.kind == "answer" and event.data.get("request") == request]

    if not wait_until(lambda: bool(answers()), clock=book.clock, timeout_s=timeout_s, every_s=0.2):
        if withdraw(run, request):
            return None, "no recorder took it up, and it is withdrawn; nothing was asked of any manager"
        return None, "the recorder has not answered yet"
    last = answers()[-1]
    return last.data["status"], last.data["text"]
