"""The courier: a process of its own that sends the audit records of one run to the sinks of the site.

``python -m lpmkit.sinks.courier RUN`` with the secrets and its charge on standard input
(`lpmkit.background.worker`). It follows the events of the run as any reader does, at a low priority, with a thread for
each sink: a slow one keeps no other waiting, and none keeps the recorder. What is not read yet waits in the run folder,
and a thread holds at most `MOST_WAITING` records.

It ends once the recorder has ended and everything is delivered, or given up.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lpmkit.account.log_file import append
from lpmkit.background.worker import given
from lpmkit.config import Site
from lpmkit.errors import LpmError, RecordError, UsageError
from lpmkit.runs.audit import AuditRecord, audit_records
from lpmkit.runs.deliveries import LOCK, Delivery, deliveries, note
from lpmkit.runs.files import HeldFolder
from lpmkit.runs.folder import Run
from lpmkit.runs.locks import FileLock, HeldByAnother
from lpmkit.sinks import with_hooks
from lpmkit.sinks.receivers import Receiver, reason, receiver
from lpmkit.sinks.wire import NotDelivered
from lpmkit.ssh.secrets import Secrets
from lpmkit.timeline import Clock

#: The most records that a thread holds; the others wait in the run folder.
MOST_WAITING = 1000
#: The most characters of a reason why something was not delivered.
LONGEST_REASON = 300
#: Seconds between two looks at the run.
LOOK_S = 0.5
#: The first and the longest pause after a failure, in seconds; each is twice as long as the one before.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
#: Seconds after which a run without a recorder counts as over although its record has no end.
DEAD_S = 60.0
#: Seconds that a thread has beyond its limits before the process ends without it.
GRACE_S = 30.0


class SinkQueue:
    """The records of one run that one sink is to get, and what became of them."""

    def __init__(
        self, folder: Path, name: str, receiving: Receiver, settle: Callable[[Delivery], None], secrets: Secrets
    ) -> None:
        self._name, self._receiving, self._settle, self._secrets = name, receiving, settle, secrets
        self._delivered = {
            number for (sink, number), delivery in deliveries(folder).items() if sink == name and delivery.delivered
        }
        self._at = 0
        self._number = 1
        self.waiting: list[AuditRecord] = []
        self._tries: dict[int, int] = {}
        self._told: set[int] = set()

    def read(self, run: Run) -> None:
        """Take in what was written since, unless enough waits already."""
        if len(self.waiting) >= MOST_WAITING:
            return
        events, self._at = run.events_from(self._at)
        for record in audit_records(run.name, run.manifest, events, self._number):
            if record.number in self._delivered:
                continue
            if self._receiving.wants(record):
                self.waiting.append(record)
        self._number += len(events)

    def deliver(self, run: Run, clock: Clock) -> str:
        """Deliver one batch; the reason why it was not taken, empty if it was.

        What the receiver refused for good is settled as not delivered, and the next records get their turn.
        """
        batch = self.waiting[: self._receiving.batch]
        for record in batch:
            self._tries[record.number] = self._tries.get(record.number, 0) + 1
        try:
            self._receiving.deliver(batch, run)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - libraries and plug-ins of others; the reason is told
            why, is_final = reason(error)
            # a server may send back what it was sent, and the reason goes into the run folder
            why = _cut(self._secrets.hidden_in(why))
            for record in batch:
                if is_final or record.number not in self._told:
                    self._told.add(record.number)
                    self._note(record, clock, why)
            if is_final:
                del self.waiting[: len(batch)]
            return why
        for record in batch:
            self._note(record, clock)
        del self.waiting[: len(batch)]
        return ""

    def give_up(self, clock: Clock, why: str) -> None:
        """Note that what still waits is not delivered."""
        for record in self.waiting:
            self._note(record, clock, why)
        self.waiting.clear()

    def _note(self, record: AuditRecord, clock: Clock, why: str = "") -> None:
        tries = self._tries.get(record.number, 0)
        self._settle(Delivery(clock.wall_ns(), self._name, record.number, not why, tries, why))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}…"


class Ledger:
    """Notes what became of records, from several threads; a disk that takes nothing ends no delivery."""

    def __init__(self, path: Callable[[], Path]) -> None:
        self._path = path
        self._lock = threading.Lock()

    def settle(self, delivery: Delivery) -> None:
        """Write a line."""
        with self._lock:
            try:
                note(self._path(), [delivery])
            except (OSError, RecordError) as error:
                append(f"courier: {delivery} could not be noted: {error}\n")


class Courier:
    """One run and the sinks of a site."""

    def __init__(self, run: Run, sinks: Mapping[str, Any], secrets: Secrets, clock: Clock | None = None) -> None:
        self._run, self._sinks, self._secrets = run, sinks, secrets
        self.clock = clock or Clock()
        self._held = HeldFolder(run.path)
        self._ledger = Ledger(lambda: self._held.where(run.path))
        #: When the run was found to be over, on the monotonic clock.
        self._over_ns: int | None = None
        self._silent_ns: int | None = None

    def carry(self) -> None:
        """Send until the run is over and everything is delivered or given up."""
        threads = [
            threading.Thread(target=self._serve, args=(name, settings), name=name, daemon=True)
            for name, settings in self._sinks.items()
        ]
        for thread in threads:
            thread.start()
        longest_s = max((sink.give_up_s + sink.timeout_s for sink in self._sinks.values()), default=0.0) + GRACE_S
        while any(thread.is_alive() for thread in threads):
            self._look()
            if self._over_ns is not None and self._since_s(self._over_ns) > longest_s:
                stuck = ", ".join(thread.name for thread in threads if thread.is_alive())
                append(f"courier of {self._run.path}: ended without an answer of {stuck}\n")
                return
            self.clock.sleep(LOOK_S)

    def _look(self) -> None:
        """Find out whether the run is over: its recorder has ended, or has been away for a while."""
        try:
            run = Run(self._held.where(self._run.path))
            self._run = run
            is_recorded = run.is_recorded()
        except LpmError:
            is_recorded = False
        now = self.clock.mono_ns()
        if is_recorded:
            self._silent_ns = self._over_ns = None  # attached again, where it was over
            return
        if self._over_ns is not None:
            return
        lives = [] if self._silent_ns is not None else [event.kind for event in self._run.events()]
        self._silent_ns = self._silent_ns or now
        ended = [kind for kind in lives if kind in ("recorder-started", "recorder-ended")][-1:] == ["recorder-ended"]
        if ended or self._since_s(self._silent_ns) > DEAD_S:
            self._over_ns = now

    def _since_s(self, since_ns: int) -> float:
        return (self.clock.mono_ns() - since_ns) / 1e9

    def _serve(self, name: str, settings: Any) -> None:
        """Deliver to one sink until everything is delivered or given up."""
        queue = SinkQueue(self._run.path, name, made(name, settings, self._secrets), self._ledger.settle, self._secrets)
        pause_s, due_ns, why = FIRST_PAUSE_S, 0, ""
        while True:
            over_ns = self._over_ns  # before the reading: what was written until then is read
            queue.read(self._run)
            now = self.clock.mono_ns()
            if queue.waiting and now >= due_ns:
                why = queue.deliver(self._run, self.clock)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S) if why else FIRST_PAUSE_S
                due_ns = self.clock.mono_ns() + int(pause_s * 1e9) if why and queue.waiting else 0
                if not why:
                    continue
            if over_ns is not None and not queue.waiting:
                return
            if over_ns is not None and self._since_s(over_ns) > settings.give_up_s:
                queue.give_up(self.clock, why)
                return
            self.clock.sleep(LOOK_S)


class _Useless:
    """The place of a sink that cannot be set up: it refuses every record for the same reason."""

    batch = MOST_WAITING

    def __init__(self, why: str) -> None:
        self._why = why

    def wants(self, record: AuditRecord) -> bool:
        return True

    def deliver(self, records: Sequence[AuditRecord], run: Run) -> None:
        raise NotDelivered(self._why, is_final=True)


def made(name: str, settings: Any, secrets: Secrets) -> Receiver:
    """The receiver of a sink; one that cannot be set up refuses every record with the reason."""

    def secret_of(reference: str) -> str:
        value = secrets.get(reference, f"the sink {name}")
        assert value is not None
        return value

    try:
        return receiver(name, settings, secret_of)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plug-in of others may raise anything
        why = str(error) if isinstance(error, LpmError) else reason(error)[0]
        return _Useless(why)


def send_again(
    run: Run, sinks: Mapping[str, Any], secrets: Secrets, clock: Clock | None = None
) -> dict[str, tuple[int, int, str]]:
    """Send what the sinks have not taken, each record once. By sink: how many were taken, how many not, and the newest
    reason.

    Raises `UsageError` while a courier is at work on the run.
    """
    clock = clock or Clock()
    with held_lock(run.path):
        ledger = Ledger(lambda: run.path)
        return {
            name: _sent_once(
                run, SinkQueue(run.path, name, made(name, settings, secrets), ledger.settle, secrets), clock
            )
            for name, settings in sinks.items()
        }


def _sent_once(run: Run, queue: SinkQueue, clock: Clock) -> tuple[int, int, str]:
    """Deliver what waits until the receiver takes no more."""
    taken, left, newest = 0, 0, ""
    queue.read(run)
    while queue.waiting:
        before = len(queue.waiting)
        why = queue.deliver(run, clock)
        passed = before - len(queue.waiting)
        if not why:
            taken += passed
            continue
        newest = why
        if not passed:  # it would be refused again: what waits behind it stays
            left += before
            queue.give_up(clock, why)
        left += passed
    return taken, left, newest


class held_lock:  # noqa: N801 - used as a statement
    """Holds the lock of the one that delivers. Raises `UsageError` where another holds it."""

    def __init__(self, folder: Path) -> None:
        self._lock = FileLock(
            folder / LOCK,
            about=folder.name,
            taken="its records are being delivered now",
            next_step="Wait a moment; `lpmkit report` tells what was not delivered.",
        )

    def __enter__(self) -> None:
        try:
            self._lock.acquire()
        except HeldByAnother as error:
            raise UsageError(error.what, where=error.where, next_step=error.next_step) from error

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def main() -> None:
    """Deliver the records of the run named on the command line."""
    os.nice(10)
    path, secrets, charge = given()
    try:
        run = Run(path)
        with held_lock(path):
            Courier(run, with_hooks(Site.model_validate(charge["site"]).sinks), secrets).carry()
    except LpmError as error:
        # another courier is at work, or the folder cannot be written: the run is recorded all the same
        append(f"courier of {path}: {error}\n")
        sys.exit(str(error))


if __name__ == "__main__":
    main()
