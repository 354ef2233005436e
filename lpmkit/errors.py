"""All errors of lpmkit, in one tree.

::

    LpmError
    ├── UsageError                the request is impossible
    │   ├── SiteFileError             the site file: line and key
    │   ├── NotFound                  no such frame, partition, host, run
    │   ├── Ambiguous                 the name fits more than one
    │   └── NotAllowed                a safety rule: no validation, wrong name typed
    │       └── NotApproved               four eyes: too few approvals of this order
    ├── RemoteError               a host did not behave as expected
    │   ├── Unreachable               no connection at all
    │   │   ├── NotResolved               the name has no address
    │   │   ├── TimedOut                  no connection, first line or key exchange in time
    │   │   └── NoCommonAlgorithm         both ends know no common algorithm of one kind
    │   ├── HostKeyRefused            the host key is not to be trusted
    │   │   ├── HostKeyUnknown            no file of known hosts has it
    │   │   ├── HostKeyChanged            another key is known
    │   │   └── HostKeyRevoked            a file of known hosts revokes it
    │   ├── LoginRefused              the host answers and refuses the login
    │   │   ├── NoKey                     there is no key to offer
    │   │   ├── KeyLocked                 the key has a passphrase and no agent holds it
    │   │   ├── PasswordExpired           the account must change its password first
    │   │   └── AccountLocked             the account is locked, expired or may not log in
    │   ├── ConnectionLost            the connection broke
    │   ├── NoAnswer                  connected, and silent past the time limit
    │   ├── StoreUnavailable          the shared store cannot be used now: no new move begins
    │   ├── CommandRefused            the command failed
    │   └── UnexpectedReply           the reply cannot be parsed
    ├── MoveError                 all hosts behaved, but the move did not succeed
    │   └── NotReady                  checks or validation failed
    └── RecordError               the run folder: unreadable, full disk, newer format

An error takes facts and composes a message in four parts: where, the request, the answer in the host's own words, the
next step. The facts stay available as attributes.

>>> print(NotFound("partition", "bxaix8", known=["bxaix85", "bvio82"], where="site.yaml"))
site.yaml: there is no partition 'bxaix8'. Did you mean 'bxaix85'? Known: bxaix85, bvio82.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any


class LpmError(Exception):
    """The root of all errors. ``where``, ``asked``, ``answered`` and ``next_step`` are texts or ``None``."""

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

    def __reduce__(self) -> tuple[Any, ...]:
        """The error as facts, so that an error of a child process arrives as what it is."""
        return _restored, (type(self), self.args, self.__dict__)

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


def kind_of_error(error: LpmError) -> str:
    """The kind of an error, for programs: the words of its class, or of the nearest above that is in this module or has
    ``names_a_kind``. docs/schemas.md lists them.

    >>> kind_of_error(NotFound("run", "x")), kind_of_error(LpmError("x"))
    ('not-found', 'error')
    """
    named = next(each for each in type(error).__mro__ if each.__module__ == __name__ or "names_a_kind" in vars(each))
    return "-".join(re.findall(r"[A-Z][a-z]*", named.__name__.removeprefix("Lpm"))).lower()


def _restored(kind: type[LpmError], args: tuple[Any, ...], facts: dict[str, Any]) -> LpmError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(facts)
    return error


class UsageError(LpmError):
    """The request is impossible; nothing was changed on any host."""


class SiteFileError(UsageError):
    """A file of the site (the site file, its rules, a plan) cannot be used.

    ``problems`` holds one line per problem, with line number and key; ``what`` names a file other than the site file.
    """

    def __init__(self, path: str, problems: Iterable[str], *, what: str | None = None) -> None:
        self.problems = tuple(problems)
        listed = "; ".join(self.problems)
        next_step = "`lpmkit doctor` checks it again." if what is None else "Correct it and try again."
        super().__init__(f"{what or 'the site file'} cannot be used: {listed}", where=path, next_step=next_step)


class NotFound(UsageError):
    """Nothing has that name. ``known`` lists the valid names, so that the message can suggest the closest."""

    def __init__(self, kind: str, name: str, *, known: Iterable[str] = (), where: str | None = None) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        nearest = difflib.get_close_matches(name, self.known, n=1)
        hint = f"Did you mean {nearest[0]!r}? " if nearest else ""
        hint += f"Known: {', '.join(self.known)}." if self.known else ""
        super().__init__(f"there is no {kind} {name!r}", where=where, next_step=hint.strip() or None)


class Ambiguous(UsageError):
    """The name fits more than one; ``candidates`` are the ways to specify which."""

    def __init__(self, kind: str, name: str, candidates: Iterable[str], *, where: str | None = None) -> None:
        self.kind, self.name, self.candidates = kind, name, tuple(candidates)
        super().__init__(
            f"{kind} {name!r} fits more than one",
            where=where,
            next_step=f"Specify which: {', '.join(self.candidates)}.",
        )


class NotAllowed(UsageError):
    """A safety rule forbids it: no fresh validation, the name not typed, a move already running."""


class NotApproved(NotAllowed):
    """Too few other people have approved this order."""


class RemoteError(LpmError):
    """A host did not behave as expected."""


class Unreachable(RemoteError):
    """No connection could be made at all."""


class NotResolved(Unreachable):
    """The host's name has no address here."""


class TimedOut(Unreachable):
    """The host did not accept the connection, or did not begin to speak SSH, within the time limit."""


class NoCommonAlgorithm(Unreachable):
    """Both ends know no common algorithm of one kind.

    ``kind`` is as OpenSSH names it ("key exchange method"), ``offered`` what the host offers of it, ``lines`` the lines
    of the ssh configuration that would allow one; empty if the OpenSSH client of this machine knows none either.
    """

    def __init__(
        self,
        kind: str,
        *,
        offered: Iterable[str],
        lines: Iterable[str] = (),
        where: str | None = None,
        next_step: str | None = None,
    ) -> None:
        self.kind, self.offered, self.lines = kind, tuple(offered), tuple(lines)
        super().__init__(
            f"no common {kind}: the host offers only {', '.join(self.offered) or 'nothing'}",
            where=where,
            next_step=next_step,
        )


class HostKeyRefused(RemoteError):
    """The host key is not to be trusted; no login was tried."""


class HostKeyUnknown(HostKeyRefused):
    """No file of known hosts has a key of this host, or none of this type."""


class HostKeyChanged(HostKeyRefused):
    """The files of known hosts have another key for this host."""


class HostKeyRevoked(HostKeyRefused):
    """A file of known hosts, or of revoked keys, revokes the host's key."""


class LoginRefused(RemoteError):
    """The host answers and accepts none of the keys."""


class NoKey(LoginRefused):
    """There is no key to offer: no key file exists, and no agent holds one."""


class KeyLocked(LoginRefused):
    """The only keys that could be offered have a passphrase, and no agent holds them."""


class PasswordExpired(LoginRefused):
    """The account must change its password before it may do anything."""


class AccountLocked(LoginRefused):
    """The account is locked or expired, or may not log in this way."""


class ConnectionLost(RemoteError):
    """The connection broke before the reply was complete."""


class NoAnswer(RemoteError):
    """The host is connected and did not answer within the time limit."""


class StoreUnavailable(RemoteError):
    """The shared store cannot be used now, so no new move begins; moves under way go on."""


class CommandRefused(RemoteError):
    """The command failed; ``status`` is its exit status."""

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


class NotPermitted(CommandRefused):
    """The user is known and may not do this: asking again changes nothing."""


class UnexpectedReply(RemoteError):
    """A reply that lpmkit cannot parse; ``line`` is the line at fault, if known."""

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
            or "Try again. If it persists, this host prints an unknown format: report it with the reply.",
        )


class MoveError(LpmError):
    """All hosts behaved, but the move did not succeed."""


class NotReady(MoveError):
    """Checks or the validation failed."""


class RecordError(LpmError):
    """A run folder that cannot be read or written."""
