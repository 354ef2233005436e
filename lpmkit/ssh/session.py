"""Command lines on a host: `Session`, and their answers: `Reply`.

A command is a list of arguments. It is quoted only here, and sent with ``LANG=C`` in front and without a terminal: a
terminal wraps long lines in mid-word, and a locale translates the words that readers search for (A `BOND`, `ZIU`).

Two sessions fulfil the contract: `lpmkit.ssh.client.SshSession` over a real connection and `RecordedSession` from a
transcript.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol, runtime_checkable

from lpmkit.errors import (
    CommandRefused,
    ConnectionLost,
    HostKeyRefused,
    LoginRefused,
    UnexpectedReply,
    Unreachable,
)
from lpmkit.json_values import JsonObject
from lpmkit.ssh.login_texts import is_restricted

#: Errors that mean the host cannot be reached; stop asking it.
NO_WAY_IN = (Unreachable, HostKeyRefused, LoginRefused)
_FULL_SHELL = "Name an account with a full shell in the ssh configuration of this host."
#: Consecutive unanswered commands, each sent alone, after which a host is not asked any more.
UNANSWERED = 2


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to one command.

    ``status`` is the exit status, ``None`` if the connection ended before it arrived. ``began_ns`` and ``ended_ns``
    are on the observer's monotonic clock, ``wall_ns`` is its wall clock when the command was sent.
    """

    where: str
    command: str
    status: int | None
    output: str
    error: str
    stdin: str = ""
    began_ns: int = 0
    ended_ns: int = 0
    wall_ns: int = 0
    over: str = ""

    @property
    def text(self) -> str:
        """Output and error together, as on a terminal."""
        return "\n".join(part for part in (self.output.rstrip("\n"), self.error.rstrip("\n")) if part)

    def checked(self, next_step: str | None = None) -> Reply:
        """The reply itself if the command succeeded; otherwise raises `CommandRefused` or `ConnectionLost` with its
        output.

        """
        self.ended(next_step or "Try again; nothing was changed by asking.")
        assert self.status is not None
        if self.status != 0:
            restricted = is_restricted(self.text)
            raise CommandRefused(
                "the account's shell is restricted and does not run this command"
                if restricted
                else f"the command failed with exit status {self.status}",
                status=self.status,
                where=self.where,
                asked=self.command,
                answered=self.text or "nothing",
                next_step=_FULL_SHELL if restricted else next_step,
            )
        return self

    def ended(self, next_step: str) -> Reply:
        """The reply itself if the command ended, however; raises `ConnectionLost` if that is not known."""
        if self.status is None:
            raise ConnectionLost(
                "the connection ended before the reply was whole",
                where=self.where,
                asked=self.command,
                answered=self.text or "nothing",
                next_step=next_step,
            )
        return self

    def whole_lines(self) -> list[str]:
        """The output's lines; raises `UnexpectedReply` if the last one is incomplete (without end of line)."""
        if self.output and not self.output.endswith("\n"):
            raise UnexpectedReply(
                "the reply stops in the middle of a line",
                line=self.output.rsplit("\n", 1)[-1],
                where=self.where,
                asked=self.command,
            )
        return self.output.splitlines()

    def as_dict(self) -> JsonObject:
        """The reply as JSON values; without ``over`` where there is none."""
        values = asdict(self)
        return values if self.over else {name: value for name, value in values.items() if name != "over"}


#: Called with every reply; the run's transcript is one.
Transcript = Callable[[Reply], None]


class Session(Protocol):
    """A command line on one host."""

    @property
    def where(self) -> str:
        """The host's name as the operator knows it, for messages."""
        ...

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        """Run one command and wait for its end.

        Raises `Unreachable`, `HostKeyRefused`, `LoginRefused`, `ConnectionLost` or `NoAnswer`. An exit status other
        than 0 is a normal `Reply`; `Reply.checked` turns it into an error.
        """
        ...

    def close(self) -> None:
        """Close the connection, if there is one."""
        ...


@runtime_checkable
class LineSession(Session, Protocol):
    """A `Session` that can send several commands as one line."""

    def run_all(self, commands: Sequence[Sequence[str]], *, timeout_s: float = 60.0) -> list[Reply | None]:
        """Run the commands in order; ``None`` for an uncertain reply, to be asked again alone.

        Raises `Unreachable`, `HostKeyRefused` or `LoginRefused` without a connection.
        """
        ...


def command_line(arguments: Sequence[str]) -> str:
    """Quote a command; the only place that does.

    >>> command_line(["lssyscfg", "-r", "lpar", "--filter", "lpar_names=a b"])
    "LANG=C lssyscfg -r lpar --filter 'lpar_names=a b'"
    """
    return "LANG=C " + shlex.join(arguments)


class RecordedSession:
    """Replays recorded replies. A command recorded twice is answered in order; the last answer repeats.

    Raises `UnexpectedReply` for a command that was not recorded.
    """

    def __init__(self, where: str, replies: Iterable[Reply]) -> None:
        self._where = where
        self._replies: dict[tuple[str, str], list[Reply]] = {}
        for reply in replies:
            if reply.where == where:
                self._replies.setdefault((reply.command, reply.stdin), []).append(reply)

    @property
    def where(self) -> str:
        """The recorded host."""
        return self._where

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        """The next recorded reply to this command."""
        command = command_line(arguments)
        answers = self._replies.get((command, stdin))
        if not answers:
            raise UnexpectedReply(
                "this command was not recorded",
                where=self._where,
                asked=command,
                next_step="Record it first: a recording answers only recorded commands.",
            )
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def close(self) -> None:
        """Nothing to close."""
