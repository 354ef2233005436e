"""Everything that can go wrong, in one tree.

::

    LpmError
    ├── UsageError                you asked for something that cannot be
    │   ├── SiteFileError             the site file: which line, which key
    │   ├── NotFound                  no such frame, partition, host, run
    │   ├── Ambiguous                 the name fits more than one
    │   └── NotAllowed                a rule of the house: no validation, wrong name typed
    │       └── NotApproved               four eyes: too few approvals of this order
    ├── RemoteError               the other side did something else
    │   ├── Unreachable               no connection at all
    │   ├── HostKeyRefused            the host key is unknown, or another than before
    │   ├── LoginRefused              it answers and does not let us in
    │   ├── ConnectionLost            it was there and went away
    │   ├── NoAnswer                  connected, and silent past the time-out
    │   ├── CommandRefused            it understood and said no
    │   └── UnexpectedReply           we do not understand what it said
    ├── MoveError                 both behaved and the move did not succeed
    │   └── NotReady                  checks or validation failed
    └── RecordError               the run folder: unreadable, full disk, of a newer format

Every one takes facts and composes its own sentence in four parts: where, what was asked, what came back
in the machine's own words, what to type next. The facts stay readable as attributes.

>>> print(NotFound("partition", "bxaix8", known=["bxaix85", "bvio82"], where="site.yaml"))
site.yaml: there is no partition 'bxaix8'. Did you mean 'bxaix85'? Known: bxaix85, bvio82.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LpmError(Exception):
    """The root. ``where``, ``asked``, ``answered`` and ``next_step`` are texts or ``None``."""

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        asked: str | None = None,
        answered: str | None = None,
        next_step: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.asked = asked
        self.answered = answered
        self.next_step = next_step
        super().__init__(what)

    def __str__(self) -> str:
        sentence = f"{self.where}: {self.what}" if self.where else self.what
        if self.asked:
            sentence += f" (asked: {self.asked})"
        sentence = sentence if sentence.endswith((".", "?", "!")) else sentence + "."
        if self.answered:
            sentence += f" It answered: {self.answered.strip()}"
            sentence = sentence if sentence.endswith((".", "?", "!", '"')) else sentence + "."
        if self.next_step:
            sentence += f" {self.next_step}"
        return sentence


class UsageError(LpmError):
    """What was asked for cannot be; nothing was done to any machine."""


class SiteFileError(UsageError):
    """A file that the site wrote (the site file, its rules, a plan) cannot be used. ``problems`` holds one line per trouble, each with line number and key;
    ``what`` names a file that is not the site file."""

    def __init__(self, path: str, problems: Iterable[str], *, what: str | None = None) -> None:
        self.problems = tuple(problems)
        listed = "; ".join(self.problems)
        next_step = "`lpmkit doctor` checks it again." if what is None else "Mend it and repeat the command."
        super().__init__(f"{what or 'the site file'} cannot be used: {listed}", where=path, next_step=next_step)


class NotFound(UsageError):
    """Nothing has that name. ``known`` lists what there is, so that the message can offer the nearest."""

    def __init__(self, kind: str, name: str, *, known: Iterable[str] = (), where: str | None = None) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        nearest = difflib.get_close_matches(name, self.known, n=1)
        hint = f"Did you mean {nearest[0]!r}? " if nearest else ""
        hint += f"Known: {', '.join(self.known)}." if self.known else ""
        super().__init__(f"there is no {kind} {name!r}", where=where, next_step=hint.strip() or None)


class Ambiguous(UsageError):
    """More than one has that name; ``candidates`` are ways to say which."""

    def __init__(self, kind: str, name: str, candidates: Iterable[str], *, where: str | None = None) -> None:
        self.kind, self.name, self.candidates = kind, name, tuple(candidates)
        super().__init__(
            f"{kind} {name!r} fits more than one",
            where=where,
            next_step=f"Say which: {', '.join(self.candidates)}.",
        )


class NotAllowed(UsageError):
    """A rule that protects the operator: no fresh validation, the name not typed, a move already running."""


class NotApproved(NotAllowed):
    """Too few other people have approved this order."""


class RemoteError(LpmError):
    """A machine did something else than it should have."""


class Unreachable(RemoteError):
    """No connection could be made at all."""


class HostKeyRefused(RemoteError):
    """The host key is unknown or has changed; nothing was sent to it."""


class LoginRefused(RemoteError):
    """The machine answers and accepts none of our keys."""


class ConnectionLost(RemoteError):
    """The connection was there and went away before the reply was whole."""


class NoAnswer(RemoteError):
    """The machine is connected and kept silent past the time-out."""


class CommandRefused(RemoteError):
    """The command ran and said no; ``status`` is its exit status."""

    def __init__(
        self,
        what: str,
        *,
        status: int,
        where: str | None = None,
        asked: str | None = None,
        answered: str | None = None,
        next_step: str | None = None,
    ) -> None:
        self.status = status
        super().__init__(what, where=where, asked=asked, answered=answered, next_step=next_step)


class UnexpectedReply(RemoteError):
    """A reply that lpmkit does not understand; ``line`` is the line that it stumbled over, if it was one."""

    def __init__(
        self,
        what: str,
        *,
        line: str | None = None,
        where: str | None = None,
        asked: str | None = None,
        next_step: str | None = None,
    ) -> None:
        self.line = line
        super().__init__(
            what,
            where=where,
            asked=asked,
            answered=f'"{line}"' if line is not None else None,
            next_step=next_step
            or "Ask again; if it stays so, this machine prints something that lpmkit has not seen: report it with the reply.",
        )


class MoveError(LpmError):
    """Both sides behaved and the move did not succeed."""


class NotReady(MoveError):
    """Checks or the firmware's own validation say no."""


class RecordError(LpmError):
    """A run folder that cannot be read or written."""
