"""The monitor of one migration: asks for it once, polls both managers, and reports every transition."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from lpmkit.config import Site
from lpmkit.control.base import Control, MigrationReading, Order
from lpmkit.control.managed_system import VALIDATION_TIMEOUT_S
from lpmkit.errors import RecordError, RemoteError
from lpmkit.migration.phases import MoveState, Observation, Phase, is_migrating, needs_recovery, next_state, observe
from lpmkit.prediction.forecast import Forecast
from lpmkit.prediction.history import Foresight
from lpmkit.prediction.no_forecast import NoForecast, forecast_or_why
from lpmkit.recorder.order import RecordingOrder
from lpmkit.recorder.probe_process import Post
from lpmkit.recorder.rate_policy import RateController
from lpmkit.runs.writer import RunWriter
from lpmkit.ssh.refusals import is_refusal
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import NO_WAY_IN, Reply
from lpmkit.survey.connect import control_of
from lpmkit.timeline import Clock, Event

#: The final state of a partition that was moved while it was not activated.
INACTIVE_ARRIVED = "gone from the source, on the target and not activated, as it was"
#: Seconds until a manager that did not answer is asked again; the migration goes on without us (C `NOVA-IVM`; without
#: --async recalled).
RETRY_S = 2.0
#: Times that the source's manager is asked whether the partition may be moved now.
ASK_FIRST_TRIES = 5
#: Seconds for which a command to move whose end is not known may still begin a migration: a manager validates first.
NO_REPLY_S = VALIDATION_TIMEOUT_S
LOST_COMMAND = (
    "the end of the command to move is not known, and it may still begin a migration: it is not sent again, and the "
    f"run waits {NO_REPLY_S / 60:.0f} minutes for one"
)
#: Seconds after which a migration that goes on although its command was refused is known not to be this run's.
NOT_OURS_S = 10.0
#: The phases in which a manager lists a migration, as run folders keep them.
SHOWN = frozenset({Phase.STARTING.value, Phase.COPYING.value})
#: Seconds without an answer of any manager after which a recorder ends.
GIVE_UP_S = 12 * 3600.0
CALLED_OFF = "called off before the move was asked for; nothing was moved"


class MigrationMonitor:
    """Asks for a move and follows it, in a thread of its own; everything it learns is posted as events."""

    def __init__(
        self,
        recording: RecordingOrder,
        order: Order,
        secrets: Secrets,
        post: Post,
        clock: Clock,
        state: MoveState,
        *,
        control: Callable[..., Control] = control_of,
    ) -> None:
        self.order = order
        self._post, self._clock = post, clock
        self.state = state
        #: Held by each change of ``state``: a stop comes from a thread of its own.
        self._turn = threading.Lock()
        self._begun = state.phase is not Phase.PREPARED
        self.called_off = False
        self._out_of_reach: set[str] = set()
        #: The partition was not activated when the move was asked for; ``None`` before anybody looked.
        self.inactive: bool | None = None
        self._heard_ns = clock.mono_ns()
        #: The manager's refusal of the command to move, and when it came.
        self._refusal: tuple[str, int] | None = None
        #: When a migration showed first; whether the refusal came so long after it that the migration is this run's.
        self._shown_ns: int | None = None
        self._is_late = False
        #: The command to move has not ended, and its reply will come (`lpmkit.control.base.Control.outcome`).
        self._reply_due = False
        #: When the command to move was lost: it may have arrived, and its end is not known.
        self._lost_ns: int | None = None
        self.foresight: Foresight | None = None
        #: Notes the intent where other hosts see it; the reason why the command may not be sent, or ``None``.
        self.share_intent: Callable[[], str | None] = lambda: None
        #: Takes each phase.
        self.on_phase: Callable[[Phase], object] = lambda _: None
        #: Takes each forecast of the copy.
        self.on_forecast: Callable[[Forecast], object] = lambda _: None
        #: A stop was sent and is not refused: another request is answered, and not sent once more.
        self._stop_sent = False
        self.rates = RateController(recording.poll_s, state.phase, clock.mono_ns())
        self.source = self._connected(recording.site, order.source, secrets, control)
        self.target = self._connected(recording.site, order.target, secrets, control)
        # Stop and recover go over a connection of their own: the poll may be waiting for an answer.
        self._desk = self._connected(recording.site, order.source, secrets, control)

    def _connected(self, site: Site, frame: str, secrets: Secrets, control: Callable[..., Control]) -> Control:
        return control(
            site, frame, secrets=secrets, transcript=lambda reply: self._post(lambda writer: writer.reply(reply))
        )

    # -- what is asked -------------------------------------------------------------------------------------------------

    def ask_to_move(self) -> str | None:
        """Send the one command; returns why it was not sent, ``None`` where it was.

        The source's manager is asked first; the intent is on the disk, and in the shared store, before the command.
        """
        why = self._why_not_now()
        if why is not None:
            return self.refuse(why)
        with self._turn:
            if self.called_off:
                return CALLED_OFF
            self._begun = True
        trouble = self._commit_intent() or self.share_intent()
        if trouble is not None:
            self._begun = False
            return self.refuse(trouble)
        self._enter(Phase.ASKED, "the command to move is sent")
        self._answered("migrate", "", lambda: self.source.migrate(self.order))
        return None

    def take_over(self, events: Sequence[Event]) -> None:
        """Know of the command to move what an earlier recorder of this run recorded."""
        answers = [event for event in events if event.kind == "answer" and event.data.get("what") == "migrate"]
        shown = [event for event in events if event.kind == "phase" and event.data.get("phase") in SHOWN]
        sent = [event for event in events if event.kind == "intent" and event.data.get("what") == "migrate"]
        status = answers[-1].data.get("status") if answers else None
        if status is None:
            self._lose_command(self._clock.wall_ns() - sent[-1].wall_ns if sent else 0)
        elif status != 0:
            self._refused(str(answers[-1].data.get("text")))
            self._is_late = bool(shown) and answers[-1].wall_ns - shown[0].wall_ns >= NOT_OURS_S * 1e9

    def _refused(self, text: str) -> None:
        """Note the command's refusal.

        A manager refuses a second command at once: one that ends with an error long after a migration showed has
        failed, or was stopped.
        """
        now_ns = self._clock.mono_ns()
        self._refusal = (text, now_ns)
        self._is_late = self._shown_ns is not None and now_ns - self._shown_ns >= NOT_OURS_S * 1e9

    def _lose_command(self, ago_ns: int = 0) -> None:
        """The end of the command is not known from now on, or since it was sent; a clock that was set back counts for
        nothing.
        """
        self._reply_due, self._lost_ns = False, self._clock.mono_ns() - max(0, ago_ns)

    def _may_still_begin(self) -> bool:
        """True while the command to move may begin a migration that no manager lists yet."""
        lost_ns = self._lost_ns
        return self._reply_due or (lost_ns is not None and self._clock.mono_ns() - lost_ns < NO_REPLY_S * 1e9)

    def refuse(self, why: str) -> str:
        """Note that the move is not asked for; returns the reason as a sentence."""
        text = f"not asked for: {why}; nothing was moved by this run"
        self._enter(Phase.FAILED, text)
        return text

    def _why_not_now(self) -> str | None:
        """Ask the source's manager for the partition's state; a reason not to move it, or ``None``."""
        partition, frame = self.order.partition, self.order.source
        for _ in range(ASK_FIRST_TRIES):
            if self.called_off:
                return None
            reading = self.source_reading()
            if reading is not None and (reading.partition_state is None or reading.migration_state):
                break
        else:
            return f"the manager of {frame} did not answer the question for the state of {partition} and its migration"
        if reading.partition_state is None:
            return f"{partition} is not on {frame} any more"
        if needs_recovery(reading):
            return f"an earlier migration of {partition} is to be recovered first ({reading.migration_state})"
        if is_migrating(reading):
            state = reading.migration_state or reading.partition_state
            return f"a migration of {partition} is in progress that this run did not ask for ({state})"
        return None

    def _commit_intent(self) -> str | None:
        """Have the intent put on the disk; why that could not be, or ``None``."""
        done, trouble = threading.Event(), []

        def commit(writer: RunWriter) -> None:
            try:
                writer.commit("recorder", "intent", what="migrate", order=asdict(self.order))
            except RecordError as error:
                trouble.append(f"the intent could not be recorded: {error}")
            finally:
                done.set()

        self._post(commit)
        done.wait()
        return trouble[0] if trouble else None

    def stop(self, request: str = "") -> None:
        """Ask the source's manager to stop the migration; the partition stays where it is.

        A move that was not asked for yet is called off.
        """
        with self._turn:
            was_sent, was_called_off = self._stop_sent, self.called_off
            self.called_off = not self._begun and self.state.phase in (Phase.PREPARED, Phase.FAILED)
            if not self.called_off:
                self._stop_sent = True
                self.state = replace(self.state, stop_asked=True, stop_refused=False)
        if was_sent or (was_called_off and self.called_off):
            text = "The stop was asked for already; it is not asked for a second time."
            self._event("answer", what="stop", request=request, status=0, text=text)
            return
        if self.called_off:
            text = "The move was not asked for yet, and will not be."
            self._event("answer", what="stop", request=request, status=0, text=text)
            return
        self._event("intent", what="stop", request=request)
        status = self._answered("stop", request, lambda: self._desk.stop(self.order.partition))
        if status == 0:
            self._lost_ns = None  # the manager knew of the migration, and has ended it
        else:
            self._stop_sent = False  # refused, or not known to have arrived: whoever asks again is not kept from it
        if status not in (0, None):
            with self._turn:
                self.state = replace(self.state, stop_refused=True)

    def recover(self, request: str = "", *, force: bool = False) -> None:
        """Ask the source's manager to clean up after an interrupted migration."""
        self._event("intent", what="recover", request=request, force=force)
        self._answered("recover", request, lambda: self._desk.recover(self.order, force=force))

    # -- what is seen --------------------------------------------------------------------------------------------------

    def poll(self) -> None:
        """Ask the managers once and record what follows from it."""
        self.collect_outcome()
        before = self.source_reading()
        # Asked only when it matters: every look at a manager costs it a login shell's worth of work.
        doubtful = before is not None and before.partition_state in (None, "Not Activated")
        after = self.target_reading() if doubtful else None
        seen = observe(before, after, inactive=bool(self.inactive))
        if seen is Observation.AT_HOME and self.state.phase is Phase.ASKED and self._may_still_begin():
            seen = Observation.UNKNOWN
        if self._is_refused(seen):
            return
        with self._turn:
            was = self.state.phase
            now = self.state = next_state(self.state, seen)
        if now.phase is not was:
            if now.phase.value in SHOWN and self._shown_ns is None:
                self._shown_ns = self._clock.mono_ns()
            still_down = self.inactive and now.seen is Observation.ARRIVED
            self._record_transition(was, now.phase, INACTIVE_ARRIVED if still_down else str(now.seen or ""), now.seen)

    def _is_refused(self, seen: Observation) -> bool:
        """True if the command was refused, so that what the managers show is not this run's migration; ends the
        run where that is certain.
        """
        if self._refusal is None:
            return False
        text, since_ns = self._refusal
        if seen is Observation.AT_HOME and self.state.phase is Phase.ASKED:
            self._enter(Phase.FAILED, f"the manager refused: {text}", seen)
            return True
        if seen not in (Observation.STARTING, Observation.COPYING) or self._is_late:
            return False
        if self._clock.mono_ns() - since_ns > NOT_OURS_S * 1e9:
            self._enter(
                Phase.FAILED,
                f"the manager refused the command ({text}); the migration in progress was asked for by somebody else",
            )
        return True

    def collect_outcome(self) -> None:
        """Record what the command to move ended with, where it ends with the move and not before (HMC)."""
        try:
            reply = self.source.outcome()
        except RemoteError as error:
            self._event("answer", what="migrate", status=None, text=str(error))
            self._lose_command()
            return
        if reply is not None:
            self._reply_due = False
            self._event("answer", what="migrate", status=reply.status, text=reply.text)
            if reply.status not in (0, None):
                self._refused(reply.text)

    @property
    def was_refused(self) -> bool:
        """True where the command to move ended with a status other than 0."""
        return self._refusal is not None

    @property
    def is_deserted(self) -> bool:
        """True where no manager has answered for `GIVE_UP_S`."""
        return self._clock.mono_ns() - self._heard_ns > GIVE_UP_S * 1e9

    def source_reading(self) -> MigrationReading | None:
        """The source's state of the partition; ``None`` where its manager did not answer."""
        return self._reading(self.source)

    def target_reading(self) -> MigrationReading | None:
        """The target's state of the partition; ``None`` where its manager did not answer."""
        return self._reading(self.target)

    def _reading(self, control: Control) -> MigrationReading | None:
        where = control.frame_name
        try:
            reading = control.migration(self.order.partition)
        except RemoteError as error:
            if control is self.source:
                self.rates.lost()
            if where not in self._out_of_reach:
                self._out_of_reach.add(where)
                self._event("control-lost", where=where, error=str(error), refused=is_refusal(error))
            self._clock.sleep(RETRY_S)
            return None
        self._heard_ns = self._clock.mono_ns()
        if where in self._out_of_reach:
            self._out_of_reach.discard(where)
            self._event("control-back", where=where)
        self._event("reading", where=where, **asdict(reading))
        if control is self.source:
            if self.inactive is None:
                self.inactive = reading.partition_state == "Not Activated"
            self.rates.read(self._heard_ns, reading.bytes_transmitted, reading.bytes_remaining)
            self._forecast(reading)
        return reading

    def _forecast(self, reading: MigrationReading) -> None:
        """Renew the forecast of the rest of the copy."""
        if self.foresight is None:
            return
        counters = self._clock.mono_ns(), reading.bytes_transmitted, reading.bytes_remaining
        forecast = forecast_or_why(partial(self.foresight.note, *counters))
        if isinstance(forecast, NoForecast):
            self.foresight = None
            self._event("note", text=f"no forecasts from here on: {forecast.why}")
            return
        if forecast is not None:
            self.rates.foreseen(self._clock.mono_ns(), forecast.remaining_s.p10)
            self.on_forecast(forecast)
            self._event("forecast", **forecast.as_data())

    def _answered(self, what: str, request: str, ask: Callable[[], Reply]) -> int | None:
        """Ask, record the answer, and return its status; ``None`` without one."""
        try:
            reply = ask()
        except RemoteError as error:
            # The command may have arrived all the same: the polls find out, and no second one is sent.
            self._event("answer", what=what, request=request, status=None, text=str(error))
            if what == "migrate" and not isinstance(error, NO_WAY_IN):
                self._lose_command()
                self.note(LOST_COMMAND)
            return None
        self._event("answer", what=what, request=request, status=reply.status, text=reply.text)
        if what == "migrate":
            self._reply_due = reply.status is None
        if what == "migrate" and reply.status not in (0, None):
            self._refused(reply.text)
            reading = self._reading(self.source)
            if reading is not None and observe(reading, None) is Observation.AT_HOME:
                self._enter(Phase.FAILED, f"the manager refused: {reply.text}", Observation.AT_HOME)
        return reply.status

    def _enter(self, phase: Phase, why: str, seen: Observation | None = None) -> None:
        with self._turn:
            was = self.state.phase
            self.state = replace(self.state, phase=phase, seen=None, times=0)
        self._record_transition(was, phase, why, seen)

    def _record_transition(self, was: Phase, phase: Phase, why: str, seen: Observation | None) -> None:
        self.rates.entered(phase, self._clock.mono_ns())
        self._event("phase", phase=phase.value, was=was.value, why=why, seen=seen.code if seen else None)
        self.on_phase(phase)

    def _event(self, kind: str, /, **data: Any) -> None:
        self._post(lambda writer: writer.event("recorder", kind, **data))

    def note(self, text: str) -> None:
        """Write a remark into the record."""
        self._event("note", text=text)

    def close(self) -> None:
        """Close the connections to both managers."""
        for control in (self.source, self.target, self._desk):
            control.close()
