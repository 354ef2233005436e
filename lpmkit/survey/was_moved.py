"""Recent moves of a partition by its own records: error log, serial number, boot time.

Each entry of AIX's error log carries the machine id of the moment (`errpt -a`, ``Machine Id``: what ``uname -m`` said
then). A move writes an entry when it begins and one when it has ended; where those were cleaned away, a machine id
that changes between two entries still shows that it moved in between. Nothing is asked of any frame.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lpmkit.control.aix import AixShell
from lpmkit.control.aix_identity import Identity
from lpmkit.control.aix_logs import ErrorReport

_STARTED, _DONE, _ABORTED = "CLIENT_PMIG_STARTED", "CLIENT_PMIG_DONE", "CLIENT_PMIG_ABORTED"


class PastOutcome(StrEnum):
    """The end of a past move, as far as the error log shows it; the values are the words for people."""

    COMPLETED = "completed"
    ABORTED = "aborted"
    OPEN = "still under way, or its end is not logged"
    UNLOGGED = "between two entries"  #: it wrote no entry of its own


@dataclass(frozen=True, slots=True)
class PastMove:
    """A move that the error log shows. Times as the log prints them, in the partition's local time; empty where
    nothing says so.

    ``came_from`` and ``went_to`` are machine ids. Without its own entries a move lies somewhere between ``started``
    and ``ended``.
    """

    started: str
    ended: str
    came_from: str
    went_to: str
    outcome: PastOutcome


@dataclass(frozen=True, slots=True)
class PastMoves:
    """The past moves of a partition: ``moves`` oldest first, reach of the log, identity now."""

    host: str
    identity: Identity
    moves: tuple[PastMove, ...]
    since: str
    entries: int
    booted: datetime | None

    @property
    def conclusion(self) -> str:
        """One sentence for a person."""
        done = [move for move in self.moves if move.outcome in (PastOutcome.COMPLETED, PastOutcome.UNLOGGED)]
        reach = f"The error log reaches back to {self.since}." if self.since else "The error log is empty."
        if not done:
            return f"No finished move is on record. {reach}"
        last = done[-1]
        where = (
            f"from {last.came_from} to {last.went_to}" if last.came_from != last.went_to else f"now on {last.went_to}"
        )
        when = last.ended if last.outcome is PastOutcome.COMPLETED else f"some time from {last.started} to {last.ended}"
        count = f"{len(done)} move{'s are' if len(done) > 1 else ' is'} on record."
        boot = f" It has not been started since {self.booted:%Y-%m-%d %H:%M} UTC." if self.booted else ""
        return f"Last move: {where}, {when}. {count} {reach}{boot}"


def was_moved(host: str, shell: AixShell) -> PastMoves:
    """Ask one partition. Raises `RemoteError` when its error log cannot be read."""
    reports = shell.error_reports()
    identity = shell.identity()
    oldest_first = sorted(reports, key=lambda report: report.sequence)
    return PastMoves(
        host=host,
        identity=identity,
        moves=tuple(past_moves(oldest_first, identity.machine_id or "")),
        since=oldest_first[0].at if oldest_first else "",
        entries=len(oldest_first),
        booted=identity.booted,
    )


def past_moves(reports: Sequence[ErrorReport], machine_id: str = "") -> list[PastMove]:
    """The moves that entries of an error log show, which are given oldest first; ``machine_id`` is what ``uname -m``
    says now.

    Where a move's own two entries carry one machine id, the ids before and after it say where it went.
    """
    moves: list[PastMove] = []
    began: int | None = None
    settled = 0  # entries before this one have been used
    for number, report in enumerate(reports):
        if report.label == _STARTED:
            moves += _unlogged(reports[settled : number + 1])
            if began is not None:
                moves.append(_open(reports, began))
            began, settled = number, number
        elif report.label in (_DONE, _ABORTED):
            start = reports[began] if began is not None else None
            before = _known(reports[: (began if began is not None else number) + 1]) or report.machine_id
            after = (_known(reports[number:], last=False) or report.machine_id) if report.label == _DONE else before
            if report.label == _DONE and after == before:
                after = _next(reports[number + 1 :], machine_id, before)
            outcome = PastOutcome.COMPLETED if report.label == _DONE else PastOutcome.ABORTED
            moves.append(PastMove(start.at if start else "", report.at, before, after, outcome))
            arrivals = (later for later in range(number, len(reports)) if reports[later].machine_id == after)
            began, settled = None, next(arrivals, len(reports))
    moves += _unlogged(reports[settled:])
    if began is not None:
        moves.append(_open(reports, began))
    return moves


def _known(reports: Sequence[ErrorReport], *, last: bool = True) -> str:
    ids = [report.machine_id for report in reports if _MACHINE_ID.fullmatch(report.machine_id)]
    return ids[-1 if last else 0] if ids else ""


def _next(reports: Sequence[ErrorReport], machine_id: str, before: str) -> str:
    """The first machine id after an end whose own entry was still written under the old one: until the next move
    begins.
    """
    for report in reports:
        if report.label == _STARTED:
            return report.machine_id if _MACHINE_ID.fullmatch(report.machine_id) else before
        if report.machine_id != before and _MACHINE_ID.fullmatch(report.machine_id):
            return report.machine_id
    return machine_id or before


def _unlogged(reports: Sequence[ErrorReport]) -> list[PastMove]:
    """Moves that left no entry of their own: the machine id changes from one entry to the next."""
    known = [report for report in reports if _MACHINE_ID.fullmatch(report.machine_id)]
    return [
        PastMove(a.at, b.at, a.machine_id, b.machine_id, PastOutcome.UNLOGGED)
        for a, b in itertools.pairwise(known)
        if a.machine_id != b.machine_id
    ]


def _open(reports: Sequence[ErrorReport], began: int) -> PastMove:
    start = reports[began]
    return PastMove(start.at, "", start.machine_id, "", PastOutcome.OPEN)


_MACHINE_ID = re.compile(r"[0-9A-F]{12}")
