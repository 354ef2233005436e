"""The intent of one run in the shared store: written before the command, kept up to date while the move goes on.

Without `store:` in the site file nothing is written, and `SharedIntent.begin` allows every command.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lpmkit.config import Site
from lpmkit.control.base import Order
from lpmkit.errors import LpmError, StoreUnavailable
from lpmkit.migration.phases import Phase
from lpmkit.migration.status import state
from lpmkit.runs.approvals import Approval
from lpmkit.runs.folder import Run, run_key
from lpmkit.ssh.secrets import Secrets
from lpmkit.store import shared_store

if TYPE_CHECKING:
    from lpmkit.store.database import Store
    from lpmkit.store.moves import IntentRow

#: Seconds between two notes of a move that goes on, and until a note that failed is tried again.
TELL_EVERY_S = 10.0
#: Seconds for which the row is tried to be written, and between two tries.
BEGIN_S, BEGIN_AGAIN_S = 30.0, 0.5
#: Seconds for which a recorder that ends waits for the last note.
LAST_NOTE_S = 20.0


def is_over(phase: Phase) -> bool:
    """True for a phase after which the partition may be moved again: not while it has to be recovered."""
    return phase.is_final and phase is not Phase.NEEDS_RECOVERY


class SharedIntent:
    """One run's row in the store.

    Phases are reported by a thread of its own, so that a store that does not answer delays no poll. ``adopt``: an
    earlier recorder of this folder, maybe on another host, has asked.
    """

    def __init__(self, site: Site, secrets: Secrets, run: Run, order: Order, by: str, *, adopt: bool) -> None:
        self._site, self._secrets, self._adopt = site, secrets, adopt
        self._intent = None if site.store is None else _intent(run, order, by)
        self._may_tell = adopt
        self._changed, self._ends = threading.Event(), threading.Event()
        self._phase: Phase | None = None
        self._told: Phase | None = None
        self._thread: threading.Thread | None = None
        #: The last error of the store; empty after a note that it took.
        self.trouble = ""

    def begin(
        self, inactive: bool, approvals: Sequence[Approval] = (), gives_up: Callable[[], bool] = lambda: False
    ) -> str | None:
        """Write the row; the reason why the command may not be sent, or ``None``. ``inactive``: the partition is not
        activated.

        A store that breaks off is tried again for `BEGIN_S`, unless the move ``gives_up``.
        """
        if self._intent is None:
            return None
        row = replace(self._intent, inactive=inactive)
        until_s = time.monotonic() + BEGIN_S
        why = self._begun(row, approvals, again=False)
        while isinstance(why, StoreUnavailable) and time.monotonic() < until_s and not gives_up():
            self._may_tell = True  # it may have been written before the connection broke
            time.sleep(BEGIN_AGAIN_S)
            why = self._begun(row, approvals, again=True)
        self._may_tell = self._may_tell or why is None or isinstance(why, StoreUnavailable)
        return None if why is None else str(why)

    def _begun(self, row: IntentRow, approvals: Iterable[Approval], *, again: bool) -> LpmError | None:
        from lpmkit.store.moves import begin  # noqa: PLC0415 - an extra

        try:
            begin(self._store(), row, {one.mark: one.by for one in approvals}, again=again)
        except LpmError as error:
            return error
        return None

    def reachable(self) -> str | None:
        """The reason why the row could not be written now; ``None`` where it could."""
        if self._intent is None:
            return None
        try:
            self._store().require()
        except LpmError as error:
            return str(error)
        return None

    def tell(self, phase: Phase) -> None:
        """The move is in this phase."""
        if self._intent is None or not self._may_tell:
            return
        self._phase = phase
        self._changed.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._tell_on, args=(self._intent,), daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Wait for the last note, at most `LAST_NOTE_S`. `settled` makes up for a note that is missing then."""
        self._ends.set()
        self._changed.set()
        if self._thread is not None:
            self._thread.join(LAST_NOTE_S)

    @property
    def is_told(self) -> bool:
        """True if the store knows the last phase, or need not."""
        return self._phase is self._told

    def _store(self) -> Store:
        store = shared_store(self._site, self._secrets)
        assert store is not None
        return store

    def _tell_on(self, intent: IntentRow) -> None:
        from lpmkit.store.moves import tell  # noqa: PLC0415 - an extra

        while not (self.is_told and (self._ends.is_set() or is_over(self._phase or Phase.PREPARED))):
            self._changed.clear()
            ends, phase = self._ends.is_set(), self._phase
            assert phase is not None
            try:
                tell(self._store(), intent, phase.value, is_over=is_over(phase), adopt=self._adopt)
            except LpmError as error:
                self.trouble = str(error)
                if ends:
                    return
            else:
                self._told, self.trouble = phase, ""
            if not is_over(phase) or self.trouble:
                self._changed.wait(TELL_EVERY_S)


def _intent(run: Run, order: Order, by: str) -> IntentRow:
    from lpmkit.store.moves import IntentRow  # noqa: PLC0415 - an extra

    return IntentRow(
        key=run_key(run.manifest),
        partition=order.partition,
        source=order.source,
        target=order.target,
        inactive=False,
        order=asdict(order),
        run=run.name,
        folder=str(run.path.resolve()),
        host=socket.gethostname(),
        by=by,
    )


def settled(store: Store, intent: IntentRow) -> bool:
    """True if the folder of an intent is on this host and its record shows the end of the move, which is reported then.

    For the end that a recorder could not report, because the store did not answer or the recorder was killed.
    """
    from lpmkit.store.moves import tell  # noqa: PLC0415 - an extra

    try:
        run = Run(Path(intent.folder))
        if run_key(run.manifest) != intent.key:
            return False
        now = state(run)
    except LpmError:
        return False  # not here, or not to be read: whoever has it knows
    if now.phase is None or not is_over(now.phase):
        return False
    tell(store, intent, now.phase.value, is_over=True)
    return True
