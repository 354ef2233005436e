"""The recorder: a process of its own that makes one run, whatever becomes of the front end that asked for it.

``python -m lpmkit.recorder.process RUN`` with the secrets and its charge on standard input
(`lpmkit.background.worker`). It holds the folder's lock and the partition's, starts the probes, waits out the baseline,
asks for the move, polls both managers, waits out the post-migration window, and writes what it sees as it sees it.

It asks for a move at most once in the life of a run folder: an ``intent`` event is on the disk *before* the command is
sent, and a recorder that finds one never sends another. So a recorder that was killed is followed by one that only
looks on, also after a power cut. A recorder that cannot write does not ask.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from lpmkit.account.log_file import append
from lpmkit.account.person import Person, acting_person
from lpmkit.analysis.time_outs import TimeOut, time_outs_of
from lpmkit.background.requests import Inbox, Request
from lpmkit.background.worker import Worker, given
from lpmkit.control.base import Order
from lpmkit.errors import LpmError, RecordError
from lpmkit.json_values import JsonMapping
from lpmkit.limits import PREDICTED_FIGURES
from lpmkit.mapping.changes import changes
from lpmkit.migration.phases import MoveState, Phase
from lpmkit.prediction.exchange import exchange
from lpmkit.prediction.history import Foresight, late_starts
from lpmkit.prediction.no_forecast import NoForecast, forecast_or_why
from lpmkit.probes.orders import OBSERVER, QUICK
from lpmkit.recorder.credentials import CredentialsDoor, Passwords
from lpmkit.recorder.guard import Brake, Guard, Standing
from lpmkit.recorder.monitor import CALLED_OFF, MigrationMonitor
from lpmkit.recorder.order import RecordingOrder
from lpmkit.recorder.probe_process import ProbeProcess, in_groups, knowing
from lpmkit.recorder.shared_intent import SharedIntent
from lpmkit.runs.approvals import Approval, require, use
from lpmkit.runs.files import open_plain
from lpmkit.runs.folder import Run
from lpmkit.runs.locks import FileLock, HeldByAnother, boot_id, partition_lock
from lpmkit.runs.refusals import refused_accounts
from lpmkit.runs.whereabouts import was_inactive
from lpmkit.runs.writer import RunWriter
from lpmkit.ssh.logins import keep_refusals, renew
from lpmkit.ssh.secrets import Secrets
from lpmkit.survey.connect import survey_both_ends
from lpmkit.survey.machine_logs import Logs, logs_of
from lpmkit.survey.model import Gap, Survey
from lpmkit.timeline import Clock, EndCode, wait_until

#: The recorder as a detached process.
WORKER = Worker("recorder", "lpmkit.recorder.process")
FLUSH_S = 0.2
#: Seconds between two readings of both clocks; what was written meanwhile is put on the disk then.
ANCHOR_EVERY_S = 10.0
#: Seconds to wait for free disk space at the end before buffered data are dropped.
LAST_PATIENCE_S = 60.0
#: Seconds for which a move waits for the shared store after its baseline, and between two tries.
STORE_PATIENCE_S, STORE_AGAIN_S = 600.0, 2.0
#: A tail of at least this length ends with one more look into the logs: paths fail minutes after a move.
LATE_ENTRIES_S = 60.0
NOT_BEGUN = "the recorder before this one ended before the move was asked for; nothing was moved"


class Recorder:
    """One segment of a run."""

    def __init__(
        self,
        run: Run,
        secrets: Secrets,
        charge: JsonMapping,
        clock: Clock | None = None,
        patience_s: float = LAST_PATIENCE_S,
    ) -> None:
        self.run_folder = run
        self._patience_s = patience_s
        self.recording = RecordingOrder.of(run, charge)
        #: The person that started this recorder, by the front end's word; the owner of this process where it names
        #: none.
        self.person = Person.from_data(charge["person"]) if "person" in charge else acting_person()
        self.clock = clock or Clock()
        self._secrets = secrets
        self._wanted: queue.SimpleQueue[Callable[[RunWriter], object]] = queue.SimpleQueue()
        self._done = threading.Event()
        self._end_asked = threading.Event()
        self._monitor: MigrationMonitor | None = None
        self._children: list[ProbeProcess] = []
        self._end = EndCode.DONE
        self._reason = "ended"
        self._guard = Guard(
            self.recording.limits,
            self.recording.probes,
            time_outs=_time_outs_of(run),
            not_read=lambda text: self._tell("note", text=text),
        )
        self._brake = Brake(self.recording.poll_s)
        self._logs_before: Logs | None = None
        self._approvals: tuple[Approval, ...] = ()
        self._gaps_told: set[Gap] = set()

    def record(self) -> None:
        """Make the segment, from taking the lock to the last flush.

        Raises `RecordError` where another recorder has or takes the folder.
        """
        with RunWriter(self.run_folder.path, self.clock) as writer:
            events = self.run_folder.events()
            state = last_state(self.run_folder)
            resumed = any(event.kind == "recorder-started" for event in events)
            writer.event(
                "recorder",
                "recorder-started",
                pid=os.getpid(),
                mode=self.recording.mode,
                resumed=resumed,
                by=self.person.login,
                boot=boot_id(),
                **({} if resumed else {"late_starts_s": self._late_starts()}),
            )
            with open_plain(WORKER.log(self.run_folder.path), "ab") as log:
                refused = refused_accounts(self.run_folder)
                self._children = [
                    ProbeProcess(
                        orders,
                        self._secrets.known_for([order.as_data() for order in orders]),
                        self._wanted.put,
                        log,
                        self._hear,
                    )
                    for orders in (*in_groups(knowing(self.recording.probes, refused)), (OBSERVER,))
                ]
                door = CredentialsDoor(self.run_folder.path, self._renew)
                work = threading.Thread(target=self._work, args=(state, resumed), daemon=True)
                work.start()
                inbox = Inbox(self.run_folder.path, lambda text: writer.event("recorder", "note", text=text))
                self._write_until_done(writer, inbox)
                door.close()
                watched_to_ns = self._end_probes(self._children)
            if not writer.is_owner:
                raise RecordError("another recorder has taken this folder", where=str(self.run_folder.path))
            self._drain(writer)
            self._serve(inbox, writer)
            if not wait_until(lambda: _flushed(writer), clock=self.clock, timeout_s=self._patience_s, every_s=1.0):
                writer.event(
                    "recorder", "disk-full", waiting_bytes=0, lost_bytes=writer.waiting_bytes, error=writer.disk_trouble
                )
            writer.pack()
            writer.event(
                "recorder",
                "recorder-ended",
                reason=self._reason,
                code=self._end.value,
                written=dict(writer.written),
                watched_to_ns=watched_to_ns,
            )

    def _end_probes(self, children: Sequence[ProbeProcess]) -> int:
        """End some probes, all at once; returns the moment up to which they looked (monotonic nanoseconds).

        On a busy machine a process of probes takes seconds to end. If one were ended after the other, the first would
        seem to have looked too short. Our own ticker is last: it shows this machine's stalls up to the last row.
        """
        watched_to_ns = self.clock.mono_ns()
        for child in children:
            if child.names != OBSERVER.name:
                child.ask_to_end()
        for child in children:
            child.end()
        return watched_to_ns

    def _renew(self, passwords: Passwords) -> None:
        """Take over what a front end has logged in with."""
        for account, password in passwords.items():
            renew(account, password)
            self._tell("note", text=f"new credentials of {account} were handed over")

    def _write_until_done(self, writer: RunWriter, inbox: Inbox) -> None:
        next_anchor, rate = 0, QUICK
        while not self._done.is_set() and writer.is_owner:
            now = self.clock.mono_ns()
            if now >= next_anchor:
                writer.event("recorder", "clock", uncertainty_ns=self.clock.anchor().uncertainty_ns)
                writer.sync()
                next_anchor = now + int(ANCHOR_EVERY_S * 1e9)
            writer.follow()
            if writer.path != self.run_folder.path:  # a document or an observation may have noticed it first
                self.run_folder = Run(writer.path)
                inbox.move(writer.path)
                writer.event("recorder", "note", text=f"the folder was renamed to {writer.path.name}")
            self._drain(writer)
            writer.flush()
            self._serve(inbox, writer)
            self._keep_guard(writer)
            # asked here, not where the manager is polled: while a poll hangs the phase is unknown, and the rate must
            # not stay low
            wanted = self._monitor.rates.wanted(now) if self._monitor else QUICK
            if wanted != rate:
                rate = wanted
                writer.event("recorder", "pace-asked", pace=rate)
                for child in self._children:
                    child.keep(rate)
            self._done.wait(FLUSH_S)

    def _drain(self, writer: RunWriter) -> None:
        while True:
            try:
                write = self._wanted.get_nowait()
            except queue.Empty:
                return
            try:
                write(writer)
            except (RecordError, OSError) as error:
                # A document that the disk does not take; the recording goes on, and a migration too.
                writer.event("recorder", "note", text=f"not written: {error}")

    def _serve(self, inbox: Inbox, writer: RunWriter) -> None:
        """Carry out the requests of front ends, each at most once: it is removed before it is carried out."""
        for request in inbox.read():
            is_early = self._monitor is None and self.recording.order is not None and not self._done.is_set()
            if is_early and request.what != "end":
                continue  # the monitor is there in a moment
            inbox.remove(request)
            force = bool(request.fields.get("force"))
            by = str(request.fields.get("by") or request.account)
            facts = {"what": request.what, "request": request.id, "force": force, "by": by, "account": request.account}
            writer.event("front-end", "request", **facts)
            self._carry_out(request, force, writer)

    def _carry_out(self, request: Request, force: bool, writer: RunWriter) -> None:
        monitor, what = self._monitor, request.what
        if what == "end":
            self._end_asked.set()
        elif what == "stop" and monitor is not None and not self._done.is_set():
            threading.Thread(target=self._stop, args=(monitor, request.id), daemon=True).start()
        elif what == "recover" and monitor is not None and not self._done.is_set():
            threading.Thread(target=monitor.recover, args=(request.id,), kwargs={"force": force}, daemon=True).start()
        else:
            text = f"{what!r} does not apply to this run now; nothing was asked"
            writer.event("recorder", "note", text=text)
            writer.event("recorder", "answer", what=what, request=request.id, status=NOT_ASKED, text=text)

    def _hear(self, probe: str, is_samples: bool, rows: bytes) -> None:
        if is_samples:
            self._guard.heard(probe, rows, self.clock.mono_ns())
        else:
            self._guard.observed(probe, rows)

    def _keep_guard(self, writer: RunWriter) -> None:
        """Record what the guard finds, and stop the copy for it where the order says so: once, as for an operator."""
        monitor = self._monitor
        if monitor is None or self._done.is_set():
            return
        known = monitor.rates.known
        now_ns, wall_ns = self.clock.mono_ns(), self.clock.wall_ns()
        state = monitor.state
        standing = Standing(state.phase, now_ns, wall_ns, known.read_ns, known.left_bytes, state.stop_asked)
        stops = self.recording.limits.guard.on_breach == "stop"
        for breach in self._guard.look(standing):
            writer.event("recorder", "guard", what=breach.what, text=breach.text, stops=stops and breach.may_stop)
            if stops and breach.may_stop:
                self._brake.ask(breach)
        breach_now, remark = self._brake.now(standing)
        if remark:
            writer.event("recorder", "note", text=remark)
        if breach_now is not None:
            why = breach_now.text
            writer.event("recorder", "request", what="stop", request=GUARD, force=False, by=GUARD, account="", why=why)
            threading.Thread(target=self._stop, args=(monitor, GUARD), daemon=True).start()

    def _stop(self, monitor: MigrationMonitor, request: str) -> None:
        monitor.stop(request)
        if monitor.called_off:
            self._end_asked.set()

    def _work(self, state: MoveState, resumed: bool) -> None:
        try:
            self._reason = self._move(state, resumed) if self.recording.order else self._watch()
        except LpmError as error:
            self._end, self._reason = EndCode.TROUBLE, f"trouble: {error}"
        except Exception as error:
            self._end, self._reason = EndCode.DEFECT, f"defect: {type(error).__name__}: {error}"
            raise
        finally:
            self._done.set()

    def _late_starts(self) -> list[float]:
        """The late starts of earlier moves, kept in this run: it is judged by what was known when it began."""
        known = forecast_or_why(lambda: late_starts(self.run_folder.path.parent))
        if isinstance(known, NoForecast):
            self._tell("note", text=f"no late starts of earlier moves: {known.why}")
            return []
        return known

    def _watch(self) -> str:
        if not self._end_asked.wait(self.recording.duration_s):
            return TIME_IS_OVER
        self._end = EndCode.ASKED
        return ASKED_TO_END

    def _move(self, state: MoveState, resumed: bool) -> str:
        order = self.recording.order
        assert order is not None
        if resumed and state.phase is Phase.PREPARED:
            return NOT_BEGUN
        monitor = MigrationMonitor(self.recording, order, self._secrets, self._wanted.put, self.clock, state)
        if resumed:
            before = self.run_folder.events()
            monitor.inactive = was_inactive(before, order.source)
            monitor.take_over(before)
        self._monitor = monitor
        shared = self._shared(monitor, order, adopt=resumed and not state.phase.is_final)
        lock = partition_lock(self.run_folder.path, order.source, order.partition)
        try:
            why = self._locked(lock, monitor, resumed)
            why = why or self._asked_for(monitor, shared, order, resumed)
            if why is not None:
                return why
            while not monitor.state.phase.is_final and not self._end_asked.is_set():
                monitor.poll()
                if monitor.is_deserted:
                    return "no manager has answered for hours; attach again when they do"
                self._end_asked.wait(self.recording.poll_s)
            lock.release()
            self._keep_prediction(monitor)
            self._after(monitor)
        finally:
            lock.release()
            monitor.close()
            shared.close()
            if not shared.is_told:
                self._tell("note", text=f"the store does not know the end of this move yet: {shared.trouble}")
        return monitor.state.phase.value

    def _shared(self, monitor: MigrationMonitor, order: Order, *, adopt: bool) -> SharedIntent:
        """The intent where other hosts see it; the monitor writes it before the command, and reports its phases."""
        by = self.person.login
        shared = SharedIntent(self.recording.site, self._secrets, self.run_folder, order, by, adopt=adopt)
        monitor.share_intent = lambda: shared.begin(
            bool(monitor.inactive), self._approvals, lambda: monitor.state.stop_asked or self._end_asked.is_set()
        )
        monitor.on_phase = shared.tell
        if adopt:
            shared.tell(monitor.state.phase)
        return shared

    def _locked(self, lock: FileLock, monitor: MigrationMonitor, resumed: bool) -> str | None:
        """Take the partition's lock; why this run may not move it, or ``None``.

        A run that has asked already looks on without it.
        """
        try:
            lock.acquire()
        except HeldByAnother as error:
            if resumed:
                monitor.note(f"this run looks on: {error}")
                return None
            return monitor.refuse(str(error))
        except RecordError as error:
            return None if resumed else monitor.refuse(str(error))
        return None

    def _asked_for(self, monitor: MigrationMonitor, shared: SharedIntent, order: Order, resumed: bool) -> str | None:
        """Wait out the baseline and ask for the move, unless an earlier recorder has; why it was not asked for, or
        ``None``.
        """
        monitor.foresight = self._predicted(monitor)
        if monitor.foresight is not None:
            before = monitor.foresight.kept.before
            predicted = {quantity: before.figure(name) for quantity, name in PREDICTED_FIGURES.items()}
            self._guard.expect({quantity: spread for quantity, spread in predicted.items() if spread is not None})
        monitor.on_forecast = self._guard.forecast
        if resumed:
            return None
        monitor.source_reading()
        monitor.target_reading()
        logs = self._logs_before = self._read_logs(order)
        self._post(lambda writer: writer.document("logs-before", logs.to_dict()))
        # A partition that is not activated has no workload, and so no noise to know of.
        if self._end_asked.wait(0.0 if monitor.inactive else self.recording.lead_in_s):
            return CALLED_OFF if monitor.called_off else "asked to end before the move"
        if not self._store_answers(shared):
            return CALLED_OFF if monitor.called_off else "asked to end before the move"
        window, required = self.recording.limits.window, self.recording.site.runs.needs_window
        # the window first: an approval that counts is used up
        why = window.why_not_now(self.clock.wall_ns(), is_required=required) or self._not_approved()
        return monitor.refuse(why) if why else monitor.ask_to_move()

    def _store_answers(self, shared: SharedIntent) -> bool:
        """Wait for the shared store, at most `STORE_PATIENCE_S`: without it no command is sent. False if the recorder
        was asked to end meanwhile.
        """
        until_ns = self.clock.mono_ns() + int(STORE_PATIENCE_S * 1e9)
        told = ""
        while (why := shared.reachable()) is not None and self.clock.mono_ns() < until_ns:
            if why != told:
                self._tell("note", text=f"the move waits: {why}")
                told = why
            if self._end_asked.wait(STORE_AGAIN_S):
                return False
        return True

    def _not_approved(self) -> str | None:
        """Look at the approvals once more, now that the command is next, and keep those that count; why there are too
        few, or ``None``.
        """
        try:
            run = Run(self.run_folder.path)
            counting = require(run, self.recording.site.runs, self.person, self.clock)
            use(run, counting)
        except LpmError as error:
            return str(error)
        self._approvals = counting
        for approval in counting:
            self._tell("approved", **approval.as_data())
        return None

    def _predicted(self, monitor: MigrationMonitor) -> Foresight | None:
        """Predict the move, and store the prediction before the move is asked for."""
        found = forecast_or_why(lambda: Foresight.of(self.run_folder))
        if isinstance(found, NoForecast):
            monitor.note(f"no prediction: {found.why}")
            return None
        if found is not None:
            self._keep(found.kept.to_dict())
        return found

    def _keep(self, prediction: JsonMapping) -> None:
        def write(writer: RunWriter) -> None:
            try:
                writer.document("prediction", prediction)
            except RecordError as error:
                # A full disk: the recording itself copes with it, the prediction is not worth ending it.
                writer.event("recorder", "note", text=str(error))

        self._post(write)

    def _keep_prediction(self, monitor: MigrationMonitor) -> None:
        """Store the measured durations beside the predicted ones, once the move succeeded."""
        events = self.run_folder.events()
        asked = [e.mono_ns for e in events if e.kind == "intent" and e.data.get("what") == "migrate"]
        settled = [e.mono_ns for e in events if e.kind == "phase" and e.data.get("phase") == Phase.SETTLED.value]
        if monitor.foresight is None or monitor.state.phase is not Phase.SETTLED or not asked or monitor.was_refused:
            return
        whole_s = ([*settled, self.clock.mono_ns()][0] - asked[0]) / 1e9
        whole = forecast_or_why(partial(monitor.foresight.completed, whole_s, self.clock.anchor()))
        if isinstance(whole, NoForecast):
            monitor.note(f"the prediction was not completed: {whole.why}")
            return
        self._keep(whole)

    def _after(self, monitor: MigrationMonitor) -> None:
        """The tail: probes go on, a state that needs recovery is watched until it is left, and the facts are gathered
        again.
        """
        began = self.clock.mono_ns()
        self._survey_after(monitor)
        self._tell_logs(monitor.order)
        end = self.clock.mono_ns() + int(self.recording.tail_s * 1e9)
        while self.clock.mono_ns() < end and not self._end_asked.is_set():
            if monitor.state.phase is Phase.NEEDS_RECOVERY:
                end = self.clock.mono_ns() + int(self.recording.tail_s * 1e9)
                monitor.poll()
            self._end_asked.wait(self.recording.poll_s)
        monitor.collect_outcome()
        if self.recording.tail_s >= LATE_ENTRIES_S:
            self._tell_logs(monitor.order)
        self._watch_on(began)

    def _watch_on(self, since_ns: int) -> None:
        """End the usual probes; those whose subject speaks late (SAP's system log, its dumps) go on for as long as
        they last.
        """
        lasts_s = max((child.lasts_s for child in self._children), default=0.0)
        left_s = lasts_s - (self.clock.mono_ns() - since_ns) / 1e9
        if left_s <= 0 or self._end_asked.is_set():
            return
        lasting = [child for child in self._children if child.lasts_s > 0]
        watched_to_ns = self._end_probes([child for child in self._children if child not in lasting])
        names = ", ".join(child.names for child in lasting)
        self._tell("tail-over", goes_on_s=left_s, probes=names, watched_to_ns=watched_to_ns)
        self._end_asked.wait(left_s)

    def _tell_logs(self, order: Order) -> None:
        """Record what is new in the machines' own logs: a witness in whole seconds or minutes."""
        if self._logs_before is None:  # a recorder that went on for one that died
            self._logs_before = self.run_folder.read("logs-before", Logs.from_dict)
        now = self._read_logs(order)
        if self._logs_before is None:
            self._tell("note", text="the logs were not read before the move, so nothing in them is known to be new")
            return
        for line in now.since(self._logs_before):
            self._tell("log", **asdict(line))
        for gap in {*self._logs_before.gaps, *now.gaps} - self._gaps_told:
            self._gaps_told.add(gap)
            self._tell("note", text=f"{gap.what} of {gap.where} was not read: {gap.why}")
        torn = now.torn_since(self._logs_before)
        self._tell("logs-read", logs=now.read, **({"torn": torn} if torn else {}))
        still_known = [line for line in self._logs_before.lines if (line.where, line.log) not in now.read]
        self._logs_before = replace(self._logs_before, lines=(*now.lines, *still_known))

    def _read_logs(self, order: Order) -> Logs:
        return logs_of(self.recording.site, order, self._secrets, lambda reply: self._post(lambda w: w.reply(reply)))

    def _tell(self, kind: str, /, **data: Any) -> None:
        self._post(lambda writer: writer.event("recorder", kind, **data))

    def _survey_after(self, monitor: MigrationMonitor) -> None:
        found = survey_both_ends(
            self.recording.site,
            monitor.order,
            self._secrets,
            lambda reply: self._post(lambda w: w.reply(reply)),
            after=True,
            refused=refused_accounts(self.run_folder),
        )
        self._post(lambda writer: writer.document("survey-after", found.to_dict()))
        before = self.run_folder.document("survey")
        if before is not None:
            rows = [asdict(row) for row in changes(Survey.from_dict(before), found)]
            self._post(lambda writer: writer.document("changes", rows))

    def _post(self, write: Callable[[RunWriter], object]) -> None:
        self._wanted.put(write)


#: How a watch ends (the reason in ``recorder-ended``).
ASKED_TO_END, TIME_IS_OVER = "asked to end", "the time asked for is over"
#: The name under which the guard asks for a stop.
GUARD = "guard"
#: The status of an answer to a request that was not passed on to a manager.
NOT_ASKED = 255


def last_state(run: Run) -> MoveState:
    """The state of a folder's move by its own record. An intent without a phase counts as asked."""
    state = MoveState(Phase.PREPARED)
    for event in run.events():
        if event.kind == "phase":
            state = replace(state, phase=Phase(event.data["phase"]))
        elif event.kind == "intent" and event.data.get("what") == "migrate" and state.phase is Phase.PREPARED:
            state = MoveState(Phase.ASKED)
        elif event.kind == "intent" and event.data.get("what") == "stop":
            state = replace(state, stop_asked=True, stop_refused=False)
        elif event.kind == "answer" and event.data.get("what") == "stop":
            state = replace(state, stop_refused=event.data.get("status") not in (0, None))
    return state


def _time_outs_of(run: Run) -> list[TimeOut]:
    """The time-outs in the survey of a run; none where it cannot be read, which the analysis notes."""
    try:
        return time_outs_of(run.document("survey"))
    except RecordError:
        return []


def _flushed(writer: RunWriter) -> bool:
    writer.flush()
    return writer.disk_trouble is None


def main() -> None:
    """Record the run named on the command line."""
    path, secrets, charge = given()
    try:
        run = Run(path)
        keep_refusals(refused_accounts(run))
        recorder = Recorder(run, secrets, charge)
        recorder.record()
        if trouble := exchange(recorder.recording.site, secrets):
            append(f"recorder of {path}: {trouble}\n")
    except LpmError as error:
        append(f"recorder of {path}: {error}\n")  # its own log may be gone with the folder
        sys.exit(str(error))


if __name__ == "__main__":
    main()
