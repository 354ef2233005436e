"""The recorder: a process of its own that makes one run, whatever becomes of the front end that asked for it.

``python -m lpmkit.recorder.process RUN`` with one line of JSON on standard input (the secrets that the front end knows). It holds the folder's lock, starts
the probes, waits out the lead-in, asks for the move, polls both control points, waits out the tail, and writes what it sees as it sees it.

It asks for a move at most once in the life of a run folder: an ``intent`` event is on disk *before* the command is sent, and a recorder that
finds one never sends another. So a recorder that was killed is followed by one that only looks on.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import IO, Any

from lpmkit.approvals import require
from lpmkit.background.requests import Inbox
from lpmkit.background.worker import Worker, given
from lpmkit.config import Site
from lpmkit.control.base import Control, MigrationReading, Order
from lpmkit.errors import LpmError, RecordError, RemoteError
from lpmkit.mapping.changes import changes
from lpmkit.migration.phases import MoveState, Observation, Phase, next_state, observe
from lpmkit.migration.recovery import was_inactive
from lpmkit.person import Person, acting_person
from lpmkit.prediction.history import Foresight
from lpmkit.probes.orders import OBSERVER, QUICK, ProbeOrder
from lpmkit.recorder.rate_policy import RateController
from lpmkit.runs.files import open_plain
from lpmkit.runs.folder import Run, RunWriter
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Reply
from lpmkit.survey.connect import Logs, control_of, logs_of, survey_both_ends
from lpmkit.survey.model import Survey
from lpmkit.timeline import Clock, wait_until

#: The recorder as a detached process.
WORKER = Worker("recorder", "lpmkit.recorder.process")
FLUSH_S = 0.2
ANCHOR_EVERY_S = 10.0
#: The final state of a partition that was moved while it was not activated.
INACTIVE_ARRIVED = "gone from the source, on the target and not activated, as it was"
#: Seconds until a control point that did not answer is asked again; the migration goes on without us
#: (C `NOVA-IVM`; without --async recalled).
RETRY_S = 2.0
#: How a recorder ends that was asked to stop in the lead-in.
CALLED_OFF = "called off before the move was asked for; nothing was moved"

#: A recorder that has heard from no control point for so long ends: nobody has asked it to, and nobody is there.
GIVE_UP_S = 12 * 3600.0

#: How long a recorder that is done waits for room on a full disk, before it gives up what it still holds in memory and says so.
LAST_PATIENCE_S = 60.0

#: A thread for each probe: beyond some hundreds they wait for each other (``python -m benchmarks.observer_load``). These are fifty partitions.
MAX_PROBES = 200

#: What other threads want written: the writer's thread calls each with the writer.
Post = Callable[[Callable[[RunWriter], object]], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a recorder is to do: the order and the times as they stand in ``run.json``, the site and the probes as the front end that started it vouches for them."""

    mode: str
    site: Site
    probes: tuple[ProbeOrder, ...]
    lead_in_s: float
    tail_s: float
    poll_s: float
    order: Order | None = None
    duration_s: float | None = None

    @classmethod
    def of(cls, run: Run, charge: Mapping[str, Any]) -> Plan:
        facts = run.manifest
        return cls(
            mode=facts["mode"],
            site=Site.model_validate(charge["site"]),
            probes=tuple(ProbeOrder.from_data(data) for data in charge["probes"]),
            lead_in_s=facts["lead_in_s"],
            tail_s=facts["tail_s"],
            poll_s=facts["poll_s"],
            order=Order(**facts["order"]) if facts.get("order") else None,
            duration_s=facts.get("duration_s"),
        )


class ProbeProcess:
    """A child process that runs probes and ends with us; its frames go to the writer's thread."""

    def __init__(self, orders: tuple[ProbeOrder, ...], secrets: Mapping[str, str], post: Post, log: IO[bytes]) -> None:
        self._post = post
        self.names = ", ".join(order.name for order in orders)
        #: How long it goes on after the tail, seconds.
        self.lasts_s = max(order.lasts_s for order in orders)
        self._child = subprocess.Popen(
            [sys.executable, "-m", "lpmkit.probes.process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
        assert self._child.stdin is not None
        wanted = {"probes": [order.as_data() for order in orders], "secrets": dict(secrets)}
        self._child.stdin.write(json.dumps(wanted).encode() + b"\n")
        self._child.stdin.flush()
        self._ending = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def keep(self, pace: str) -> None:
        """Have its probes keep another pace from now on, unless it has been ended already."""
        if self._ending:
            return
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps({"pace": pace}).encode() + b"\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            pass  # it ended by itself, which the end of its output tells the record

    def end(self) -> None:
        """Close its standard input, and wait till everything it saw is posted; a second time does nothing."""
        if self._ending:
            return
        self._ending = True
        assert self._child.stdin is not None
        try:
            self._child.stdin.close()
        except BrokenPipeError:
            pass  # it ended by itself, which the end of its output tells the record
        self._reader.join(timeout=15.0)
        if self._child.poll() is None:
            self._child.terminate()
        self._child.wait()

    def _read(self) -> None:
        frames = self._child.stdout
        assert frames is not None
        while line := frames.readline():
            if line.startswith(b"S "):
                _, probe, length = line.split()
                content = frames.read(int(length))
                self._post(lambda writer, probe=probe, content=content: writer.sample_rows(probe.decode(), content))  # type: ignore[misc]
            elif line.startswith(b"O "):
                _, probe, length = line.split()
                content = frames.read(int(length))
                self._post(partial(RunWriter.observation_rows, probe=probe.decode(), rows=content))
            else:
                event = json.loads(line[2:])
                self._post(lambda writer, event=event: writer.event(event["source"], event["kind"], **event["data"]))  # type: ignore[misc]
        if not self._ending:
            what = f"the process of {self.names} ended by itself; recorder.log may say why"
            self._post(lambda writer: writer.event("recorder", "probe-trouble", probe=self.names, what=what))


def in_groups(orders: Sequence[ProbeOrder]) -> list[tuple[ProbeOrder, ...]]:
    """The probes by the process that they share, at most `MAX_PROBES` in one."""
    groups: dict[str, list[ProbeOrder]] = {}
    for order in orders:
        groups.setdefault(order.group, []).append(order)
    return [
        tuple(group[first : first + MAX_PROBES])
        for group in groups.values()
        for first in range(0, len(group), MAX_PROBES)
    ]


class Follower:
    """Asks for the move and follows it, in a thread of its own; everything it learns is posted as events."""

    def __init__(
        self,
        plan: Plan,
        order: Order,
        secrets: Secrets,
        post: Post,
        clock: Clock,
        standing: MoveState,
        *,
        control: Callable[..., Control] = control_of,
    ) -> None:
        self.plan, self.order = plan, order
        self._post, self._clock = post, clock
        self.standing = standing
        #: Held by each change of ``standing``: a stop comes from a thread of its own.
        self._turn = threading.Lock()
        self._begun = self.called_off = False
        self._out_of_reach: set[str] = set()
        #: The partition was not activated when the move was asked for; ``None`` before anybody looked.
        self.inactive: bool | None = None
        self._heard_ns = clock.mono_ns()
        self.foresight: Foresight | None = None
        self.pacemaker = RateController(plan.poll_s, standing.phase, clock.mono_ns())

        def transcript(reply: Reply) -> None:
            post(lambda writer: writer.reply(reply))

        self.source = control(plan.site, order.source, secrets=secrets, transcript=transcript)
        self.target = control(plan.site, order.target, secrets=secrets, transcript=transcript)
        # Stop and recover go over a connection of their own: the poll may be waiting for an answer.
        self._desk = control(plan.site, order.source, secrets=secrets, transcript=transcript)

    def ask_to_move(self) -> None:
        """Send the one command, unless it was called off. The intent is on disk before it."""
        with self._turn:
            if self.called_off:
                return
            self._begun = True
        written = threading.Event()

        def intent(writer: RunWriter) -> None:
            writer.event("recorder", "intent", what="migrate", order=asdict(self.order))
            written.set()

        self._post(intent)
        written.wait()
        self._enter(Phase.ASKED, "the command to move is sent")
        self._answered("migrate", lambda: self.source.migrate(self.order))

    def stop(self) -> None:
        """Ask the source's manager to stop the migration; the partition stays where it is. A move that was not asked for yet is called off."""
        with self._turn:
            self.called_off = not self._begun and self.standing.phase is Phase.PREPARED
            if not self.called_off:
                self.standing = replace(self.standing, stop_asked=True)
        if self.called_off:
            self._event("answer", what="stop", status=0, text="The move was not asked for yet, and will not be.")
            return
        self._post(lambda writer: writer.event("recorder", "intent", what="stop"))
        self._answered("stop", lambda: self._desk.stop(self.order.partition))

    def recover(self, *, force: bool) -> None:
        """Ask the source's manager to clean up after a migration that was left in between."""
        self._post(lambda writer: writer.event("recorder", "intent", what="recover", force=force))
        self._answered("recover", lambda: self._desk.recover(self.order, force=force))

    def look(self) -> None:
        """One poll of the control points and what follows from it."""
        self.hear()
        before = self.source_reading()
        # Asked only when it matters: every look at a manager costs it a login shell's worth of work.
        doubtful = before is not None and before.partition_state in (None, "Not Activated")
        after = self.target_reading() if doubtful else None
        with self._turn:
            was = self.standing.phase
            now = self.standing = next_state(self.standing, observe(before, after, inactive=bool(self.inactive)))
        if now.phase is not was:
            seen = str(now.seen.value if now.seen else "")
            still_down = self.inactive and now.seen is Observation.ARRIVED
            self._tell(was, now.phase, INACTIVE_ARRIVED if still_down else seen)

    def hear(self) -> None:
        """Write down what the command to move ended with, where it ends with the move and not before (HMC)."""
        try:
            reply = self.source.outcome()
        except RemoteError as error:
            self._event("answer", what="migrate", status=None, text=str(error))
            return
        if reply is not None:
            self._event("answer", what="migrate", status=reply.status, text=reply.text)

    @property
    def is_deserted(self) -> bool:
        """Whether no control point has answered for `GIVE_UP_S`."""
        return self._clock.mono_ns() - self._heard_ns > GIVE_UP_S * 1e9

    def source_reading(self) -> MigrationReading | None:
        return self._reading(self.source)

    def target_reading(self) -> MigrationReading | None:
        return self._reading(self.target)

    def _reading(self, control: Control) -> MigrationReading | None:
        where = control.frame_name
        try:
            reading = control.migration(self.order.partition)
        except RemoteError as error:
            if control is self.source:
                self.pacemaker.lost()
            if where not in self._out_of_reach:
                self._out_of_reach.add(where)
                self._event("control-lost", where=where, error=str(error))
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
            self.pacemaker.read(self._heard_ns, reading.bytes_transmitted, reading.bytes_remaining)
            self._foresee(reading)
        return reading

    def _foresee(self, reading: MigrationReading) -> None:
        """Renew the forecast of the rest of the copy."""
        if self.foresight is None:
            return
        try:
            said = self.foresight.note(self._clock.mono_ns(), reading.bytes_transmitted, reading.bytes_remaining)
        except Exception as error:  # noqa: BLE001 - a forecast must never end a recording; the note in the record says so
            self.foresight = None
            self._event("note", text=f"no forecasts from here on: {type(error).__name__}: {error}")
            return
        if said is not None:
            self.pacemaker.foreseen(self._clock.mono_ns(), said.remaining_s.p10)
            self._event("forecast", **said.as_data())

    def _answered(self, what: str, ask: Callable[[], Reply]) -> None:
        try:
            reply = ask()
        except RemoteError as error:
            # The command may have arrived all the same: the polls find out, and nobody sends a second one.
            self._event("answer", what=what, status=None, text=str(error))
            return
        self._event("answer", what=what, status=reply.status, text=reply.text)
        if what == "migrate" and reply.status not in (0, None) and self.standing.phase is Phase.ASKED:
            reading = self._reading(self.source)
            if reading is not None and observe(reading, None).name == "AT_HOME":
                self._enter(Phase.FAILED, f"the manager refused: {reply.text}")

    def _enter(self, phase: Phase, why: str) -> None:
        with self._turn:
            was = self.standing.phase
            self.standing = MoveState(phase, stop_asked=self.standing.stop_asked)
        self._tell(was, phase, why)

    def _tell(self, was: Phase, phase: Phase, why: str) -> None:
        self.pacemaker.entered(phase, self._clock.mono_ns())
        self._event("phase", phase=phase.value, was=was.value, why=why)

    def _event(self, kind: str, /, **data: Any) -> None:
        self._post(lambda writer: writer.event("recorder", kind, **data))

    def tell_note(self, text: str) -> None:
        """Write a remark into the record."""
        self._event("note", text=text)

    def close(self) -> None:
        for control in (self.source, self.target, self._desk):
            control.close()


class Recorder:
    """One segment of a run."""

    def __init__(self, run: Run, secrets: Secrets, charge: Mapping[str, Any], clock: Clock | None = None) -> None:
        self.run_folder = run
        self.plan = Plan.of(run, charge)
        #: Who started this recorder, as the front end vouches; whoever owns this process where it does not say.
        self.person = Person.from_data(charge["person"]) if "person" in charge else acting_person()
        self.clock = clock or Clock()
        self._secrets = secrets
        self._wanted: queue.SimpleQueue[Callable[[RunWriter], object]] = queue.SimpleQueue()
        self._done = threading.Event()
        self._end_asked = threading.Event()
        self._follower: Follower | None = None
        self._children: list[ProbeProcess] = []

    def record(self) -> None:
        """Make the segment, from taking the lock to the last flush."""
        with RunWriter(self.run_folder.path, self.clock) as writer:
            standing = last_standing(self.run_folder)
            resumed = any(event.kind == "recorder-started" for event in self.run_folder.events())
            writer.event(
                "recorder",
                "recorder-started",
                pid=os.getpid(),
                mode=self.plan.mode,
                resumed=resumed,
                by=self.person.login,
            )
            with open_plain(WORKER.log(self.run_folder.path), "ab") as log:
                self._children = [
                    ProbeProcess(
                        orders, self._secrets.known_for([order.as_data() for order in orders]), self._wanted.put, log
                    )
                    for orders in (*in_groups(self.plan.probes), (OBSERVER,))
                ]
                work = threading.Thread(target=self._work, args=(standing, resumed), daemon=True)
                work.start()
                self._write_until_done(writer, self._children)
                for child in self._children:
                    child.end()
            self._drain(writer)
            if not wait_until(lambda: _flushed(writer), clock=self.clock, timeout_s=LAST_PATIENCE_S, every_s=1.0):
                writer.event(
                    "recorder", "disk-full", waiting_bytes=0, lost_bytes=writer.waiting_bytes, error=writer.disk_trouble
                )
            writer.pack()
            writer.event("recorder", "recorder-ended", reason=self._reason)

    def _write_until_done(self, writer: RunWriter, children: Sequence[ProbeProcess]) -> None:
        inbox = Inbox(self.run_folder.path, lambda text: writer.event("recorder", "note", text=text))
        next_anchor, pace = 0, QUICK
        while not self._done.is_set():
            now = self.clock.mono_ns()
            if now >= next_anchor:
                writer.event("recorder", "clock", uncertainty_ns=self.clock.anchor().uncertainty_ns)
                next_anchor = now + int(ANCHOR_EVERY_S * 1e9)
            self._drain(writer)
            writer.flush()
            self._serve(inbox, writer)
            # asked here, not where the control point is polled: while a poll hangs nobody knows, and the pace must not stay calm
            wanted = self._follower.pacemaker.wanted(now) if self._follower else QUICK
            if wanted != pace:
                pace = wanted
                writer.event("recorder", "pace-asked", pace=pace)
                for child in children:
                    child.keep(pace)
            self._done.wait(FLUSH_S)

    def _drain(self, writer: RunWriter) -> None:
        while True:
            try:
                self._wanted.get_nowait()(writer)
            except queue.Empty:
                return

    def _serve(self, inbox: Inbox, writer: RunWriter) -> None:
        """Carry out the requests of front ends, each at most once: it is removed before it is carried out."""
        for request in inbox.read():
            inbox.remove(request)
            force = bool(request.fields.get("force"))
            by = str(request.fields.get("by") or request.account)
            writer.event("front-end", "request", what=request.what, force=force, by=by, account=request.account)
            self._carry_out(request.what, force, writer)

    def _carry_out(self, what: str, force: bool, writer: RunWriter) -> None:
        follower = self._follower
        if what == "end":
            self._end_asked.set()
        elif what == "stop" and follower is not None:
            threading.Thread(target=self._stop, args=(follower,), daemon=True).start()
        elif what == "recover" and follower is not None:
            threading.Thread(target=follower.recover, kwargs={"force": force}, daemon=True).start()
        else:
            writer.event("recorder", "note", text=f"{what!r} does not apply to this run now; nothing was asked")

    def _stop(self, follower: Follower) -> None:
        follower.stop()
        if follower.called_off:
            self._end_asked.set()

    def _work(self, standing: MoveState, resumed: bool) -> None:
        try:
            self._reason = self._move(standing, resumed) if self.plan.order else self._watch()
        except LpmError as error:
            self._reason = f"trouble: {error}"
        except Exception as error:
            self._reason = f"defect: {type(error).__name__}: {error}"
            raise
        finally:
            self._done.set()

    _reason = "ended"
    _logs_before: Logs | None = None

    def _watch(self) -> str:
        ended = self._end_asked.wait(self.plan.duration_s)
        return "asked to end" if ended else "the time asked for is over"

    def _move(self, standing: MoveState, resumed: bool) -> str:
        order = self.plan.order
        assert order is not None
        if resumed and standing.phase is Phase.PREPARED:
            return "the recorder before this one ended before the move was asked for; nothing was moved"
        follower = Follower(self.plan, order, self._secrets, self._wanted.put, self.clock, standing)
        if resumed:
            follower.inactive = was_inactive(self.run_folder.events(), order.source)
        self._follower = follower
        try:
            follower.foresight = self._predicted(follower)
            if not resumed:
                follower.source_reading()
                follower.target_reading()
                self._logs_before = logs_of(
                    self.plan.site, order, self._secrets, lambda reply: self._post(lambda w: w.reply(reply))
                )
                # A partition that is not activated has no workload, and so no noise to know of.
                if self._end_asked.wait(0.0 if follower.inactive else self.plan.lead_in_s):
                    return CALLED_OFF if follower.called_off else "asked to end before the move"
                if why := self._not_approved():
                    return why
                follower.ask_to_move()
                if follower.called_off:
                    return CALLED_OFF
            while not follower.standing.phase.is_final and not self._end_asked.is_set():
                follower.look()
                if follower.is_deserted:
                    return "no control point has answered for hours; attach again when they do"
                self._end_asked.wait(self.plan.poll_s)
            self._keep_prediction(follower)
            self._after(follower)
        finally:
            follower.close()
        return follower.standing.phase.value

    def _not_approved(self) -> str | None:
        """Look at the approvals once more, now that the command is next, and keep those that count; why the move is not asked for, if it is not."""
        try:
            counting = require(Run(self.run_folder.path), self.plan.site.runs, self.person, self.clock)
        except LpmError as error:
            return f"not asked for: {error}"
        for one in counting:
            self._tell("approved", **one.as_data())
        return None

    def _predicted(self, follower: Follower) -> Foresight | None:
        """Say what the move will take, and keep it before the move is asked for."""
        try:
            found = Foresight.of(self.run_folder)
        except Exception as error:  # noqa: BLE001 - no prediction must ever stop a move; the note in the record says so
            follower.tell_note(f"no prediction: {type(error).__name__}: {error}")
            return None
        if found is not None:
            self._keep(found.kept.to_dict())
        return found

    def _keep(self, prediction: Mapping[str, Any]) -> None:
        def write(writer: RunWriter) -> None:
            try:
                writer.document("prediction", prediction)
            except RecordError as error:
                # A full disk: the recording itself copes with it, the prediction is not worth ending it.
                writer.event("recorder", "note", text=str(error))

        self._post(write)

    def _keep_prediction(self, follower: Follower) -> None:
        """What the move took, beside what was said, once it succeeded."""
        events = self.run_folder.events()
        asked = [e.mono_ns for e in events if e.kind == "intent" and e.data.get("what") == "migrate"]
        settled = [e.mono_ns for e in events if e.kind == "phase" and e.data.get("phase") == Phase.SETTLED.value]
        if follower.foresight is None or follower.standing.phase is not Phase.SETTLED or not asked:
            return
        try:
            whole = follower.foresight.completed(([*settled, self.clock.mono_ns()][0] - asked[0]) / 1e9)
        except Exception as error:  # noqa: BLE001 - as above
            follower.tell_note(f"the prediction was not completed: {type(error).__name__}: {error}")
            return
        self._keep(whole)

    def _after(self, follower: Follower) -> None:
        """The tail: probes go on, a state that needs recovery is watched until it is left, and the facts are gathered anew."""
        began = self.clock.mono_ns()
        self._survey_after(follower)
        self._tell_logs(follower.order)
        end = self.clock.mono_ns() + int(self.plan.tail_s * 1e9)
        while self.clock.mono_ns() < end and not self._end_asked.is_set():
            if follower.standing.phase is Phase.NEEDS_RECOVERY:
                end = self.clock.mono_ns() + int(self.plan.tail_s * 1e9)
                follower.look()
            self._end_asked.wait(self.plan.poll_s)
        follower.hear()
        self._watch_on(began)

    def _watch_on(self, since_ns: int) -> None:
        """End the usual probes; those whose subject speaks late (SAP's system log, its dumps) go on for as long as they last."""
        lasts_s = max((child.lasts_s for child in self._children), default=0.0)
        left_s = lasts_s - (self.clock.mono_ns() - since_ns) / 1e9
        if left_s <= 0 or self._end_asked.is_set():
            return
        lasting = [child for child in self._children if child.lasts_s > 0]
        for child in self._children:
            if child not in lasting:
                child.end()
        self._tell("tail-over", goes_on_s=left_s, probes=", ".join(child.names for child in lasting))
        self._end_asked.wait(left_s)

    def _tell_logs(self, order: Order) -> None:
        """What the machines' own logs say of the time since the recorder began: a witness in whole seconds or minutes."""
        now = logs_of(self.plan.site, order, self._secrets, lambda reply: self._post(lambda w: w.reply(reply)))
        if self._logs_before is None:
            self._tell("note", text="the logs were not read before the move, so nothing in them is known to be new")
            return
        for line in now.since(self._logs_before):
            self._tell("log", **asdict(line))
        for gap in {*self._logs_before.gaps, *now.gaps}:
            self._tell("note", text=f"{gap.what} of {gap.where} was not read: {gap.why}")

    def _tell(self, kind: str, /, **data: Any) -> None:
        self._post(lambda writer: writer.event("recorder", kind, **data))

    def _survey_after(self, follower: Follower) -> None:
        found = survey_both_ends(
            self.plan.site,
            follower.order,
            self._secrets,
            lambda reply: self._post(lambda w: w.reply(reply)),
            after=True,
        )
        self._post(lambda writer: writer.document("survey-after", found.to_dict()))
        before = self.run_folder.document("survey")
        if before is not None:
            rows = [asdict(row) for row in changes(Survey.from_dict(before), found)]
            self._post(lambda writer: writer.document("changes", rows))

    def _post(self, write: Callable[[RunWriter], object]) -> None:
        self._wanted.put(write)


def last_standing(run: Run) -> MoveState:
    """Where the move of this folder stands by its own record. An intent without a phase counts as asked."""
    standing = MoveState(Phase.PREPARED)
    for event in run.events():
        if event.kind == "phase":
            standing = MoveState(Phase(event.data["phase"]), stop_asked=standing.stop_asked)
        elif event.kind == "intent" and event.data.get("what") == "migrate" and standing.phase is Phase.PREPARED:
            standing = MoveState(Phase.ASKED)
        elif event.kind == "intent" and event.data.get("what") == "stop":
            standing = MoveState(standing.phase, stop_asked=True)
    return standing


def _flushed(writer: RunWriter) -> bool:
    writer.flush()
    return writer.disk_trouble is None


def main() -> None:
    """Record the run named on the command line."""
    path, secrets, charge = given()
    Recorder(Run(path), secrets, charge).record()


if __name__ == "__main__":
    main()
