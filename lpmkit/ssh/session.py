"""A command line on a machine: `Session`, and what comes back: `Reply`.

A command is a list of arguments. It is quoted here and nowhere else, and sent with ``LANG=C`` in front, without a
terminal: a terminal wraps long lines in mid-word and a locale translates the words that readers look for (A `BOND`, `ZIU`).

Two sessions fulfil the contract: `lpmkit.ssh.client.SshSession` over a real connection and `RecordedSession` from a transcript.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

from lpmkit.errors import (
    CommandRefused,
    ConnectionLost,
    HostKeyRefused,
    LoginRefused,
    NoAnswer,
    RemoteError,
    UnexpectedReply,
    Unreachable,
)

#: What comes where no connection can be had at all: there is no use in another question.
NO_WAY_IN = (Unreachable, HostKeyRefused, LoginRefused)
#: Questions in one line of a batch; some shells take no more than a few kilobytes.
BATCH = 24
#: A machine that leaves so many questions in a row without an answer, each asked alone, is asked no more.
UNANSWERED = 2


@dataclass(frozen=True, slots=True)
class Reply:
    """One command's answer.

    ``status`` is the exit status, ``None`` when the connection ended before the machine gave one. ``began_ns`` and ``ended_ns``
    are on the observer's monotonic clock, ``wall_ns`` is its time of day when the command was sent.
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

    @property
    def text(self) -> str:
        """Output and error together, as a person at the terminal would have seen them."""
        return "\n".join(part for part in (self.output.rstrip("\n"), self.error.rstrip("\n")) if part)

    def checked(self, next_step: str | None = None) -> Reply:
        """Itself when the command succeeded, else `CommandRefused` or `ConnectionLost` in the machine's own words."""
        if self.status is None:
            raise ConnectionLost(
                "the connection ended before the reply was whole",
                where=self.where,
                asked=self.command,
                answered=self.text or "nothing",
                next_step=next_step or "Try again; nothing was changed by asking.",
            )
        if self.status != 0:
            raise CommandRefused(
                f"the command failed with exit status {self.status}",
                status=self.status,
                where=self.where,
                asked=self.command,
                answered=self.text or "nothing",
                next_step=next_step,
            )
        return self

    def whole_lines(self) -> list[str]:
        """The output's lines; raises `UnexpectedReply` when the last one was cut short (it has no end of line)."""
        if self.output and not self.output.endswith("\n"):
            raise UnexpectedReply(
                "the reply stops in the middle of a line",
                line=self.output.rsplit("\n", 1)[-1],
                where=self.where,
                asked=self.command,
            )
        return self.output.splitlines()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


#: Told of every command and its reply; the run's transcript is one.
Transcript = Callable[[Reply], None]


class Session(Protocol):
    """A command line on one machine."""

    @property
    def where(self) -> str:
        """The machine's name as the operator knows it, for messages."""
        ...

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        """Run one command and wait for its end.

        Raises `Unreachable`, `HostKeyRefused`, `LoginRefused`, `ConnectionLost` or `NoAnswer`. An exit status other than 0 is a
        `Reply` like any other; `Reply.checked` turns it into an error.
        """
        ...

    def close(self) -> None: ...


@runtime_checkable
class LineSession(Session, Protocol):
    """A `Session` that can send several commands as one line."""

    def run_all(self, commands: Sequence[Sequence[str]], *, timeout_s: float = 60.0) -> list[Reply | None]:
        """Run the commands one after the other; ``None`` where a reply is not certain, which is to be asked again alone.

        Raises `Unreachable`, `HostKeyRefused` or `LoginRefused` where there is no connection.
        """
        ...


def command_line(arguments: Sequence[str]) -> str:
    """The one place where a command is quoted.

    >>> command_line(["lssyscfg", "-r", "lpar", "--filter", "lpar_names=a b"])
    "LANG=C lssyscfg -r lpar --filter 'lpar_names=a b'"
    """
    return "LANG=C " + shlex.join(arguments)


def batch_line(commands: Sequence[Sequence[str]], token: str) -> str:
    """Several commands as one line, each followed by a mark with its exit status.

    The restricted shells of a VIOS and an HMC allow ``;`` and ``echo`` (C `HMCSCAN`, whose scripts use them there); redirections they do not, so errors
    of all the commands come on one stream.

    >>> batch_line([["ioslevel"], ["lspv", "-size"]], "x1")
    'LANG=C ioslevel; echo x1 $?; LANG=C lspv -size; echo x1 $?'
    """
    return "; ".join(f"{command_line(command)}; echo {token} $?" for command in commands)


def batch_replies(output: str, token: str) -> list[tuple[str, int]]:
    r"""What each command of a `batch_line` printed, and its status; only of those that ended.

    >>> batch_replies("2.2.3.4\nx1 0\nNAME PV", "x1")
    [('2.2.3.4\n', 0)]
    """
    found: list[tuple[str, int]] = []
    rest = output
    while f"{token} " in rest:
        text, _, behind = rest.partition(f"{token} ")
        status, newline, rest = behind.partition("\n")
        if not newline or not status.isdigit():
            break
        found.append((text, int(status)))
    return found


class AnswerPending(RemoteError):
    """A question that has not been asked yet; see `BatchingSession`."""


#: Answers by command and standard input; what came instead of one where nothing did.
ReplyCache = dict[tuple[str, str], Reply | RemoteError]


class BatchingSession:
    """A session that gathers the questions of a whole survey and asks them in one go; fulfils `Session`.

    The first time round every question is put on a list and raises `AnswerPending`; `ask` sends the list, and the next time round the answers are there. What
    depends on an answer is asked in the round after it. So a survey of hundreds of questions costs a handful of round trips. For questions that change nothing only.

    A machine that cannot be reached costs its time-out once: whatever else is asked of it gets the same answer, and so it is where it hangs. ``machine_of`` says which
    machine behind the session a command is for (an HMC asks many I/O servers). ``known`` may be shared by several connections to one machine, so that none asks what another has asked.
    """

    def __init__(
        self,
        session: Session,
        known: ReplyCache | None = None,
        machine_of: Callable[[Sequence[str]], str] = lambda arguments: "",
    ) -> None:
        self._session = session
        self._wanted: dict[str, list[str]] = {}
        self._known: ReplyCache = {} if known is None else known
        self._machine_of = machine_of
        self._unanswered: dict[str, list[NoAnswer]] = {}
        self._no_way_in: RemoteError | None = None

    @property
    def where(self) -> str:
        return self._session.where

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        key = (command_line(arguments), stdin)
        if key not in self._known and stdin:
            self._alone(arguments, stdin, timeout_s)
        if key not in self._known:
            self._wanted[key[0]] = list(arguments)
            raise AnswerPending("this has not been asked yet", where=self.where, asked=key[0])
        found = self._known[key]
        if isinstance(found, RemoteError):
            raise found
        return found

    def ask(self) -> bool:
        """Send everything on the list; false when there was nothing. What goes wrong is kept as the answer to each question it befell."""
        wanted, self._wanted = list(self._wanted.values()), {}
        for first in range(0, len(wanted), BATCH):
            self._together(wanted[first : first + BATCH])
        return bool(wanted)

    def silent(self) -> dict[str, RemoteError]:
        """The machines that are asked no more, as ``machine_of`` names them, with what came instead of an answer; the machine that is logged in to is the empty name."""
        hang = {machine: each[-1] for machine, each in self._unanswered.items() if len(each) >= UNANSWERED}
        return {"": self._no_way_in} if self._no_way_in is not None else dict(hang)

    def _together(self, wanted: Sequence[Sequence[str]]) -> None:
        batch = [arguments for arguments in wanted if self._given_up(arguments) is None]
        if isinstance(self._session, LineSession) and len(batch) > 1:
            try:
                for arguments, reply in zip(batch, self._session.run_all(batch), strict=True):
                    if reply is not None:
                        self._known[command_line(arguments), ""] = reply
                        self._unanswered.pop(self._machine_of(arguments), None)
            except NO_WAY_IN as trouble:
                self._no_way_in = trouble
        for arguments in wanted:
            if (command_line(arguments), "") not in self._known:
                self._alone(arguments)

    def _alone(self, arguments: Sequence[str], stdin: str = "", timeout_s: float = 60.0) -> None:
        key, machine = (command_line(arguments), stdin), self._machine_of(arguments)
        known = self._given_up(arguments)
        if known is not None:
            self._known[key] = known
            return
        try:
            self._known[key] = self._session.run(arguments, timeout_s=timeout_s, stdin=stdin)
        except RemoteError as trouble:
            self._known[key] = trouble
            if isinstance(trouble, NO_WAY_IN):
                self._no_way_in = trouble
            if isinstance(trouble, NoAnswer):
                self._unanswered.setdefault(machine, []).append(trouble)
                return
        self._unanswered.pop(machine, None)

    def _given_up(self, arguments: Sequence[str]) -> RemoteError | None:
        """Why a question is not even asked; ``None`` where it is."""
        return self._no_way_in or self.silent().get(self._machine_of(arguments))

    def close(self) -> None:
        self._session.close()


class RecordedSession:
    """Replays recorded replies. A command that was recorded twice answers in order, the last answer stays.

    Raises `UnexpectedReply` for a command that nobody recorded: a recording never makes an answer up.
    """

    def __init__(self, where: str, replies: Iterable[Reply]) -> None:
        self._where = where
        self._replies: dict[tuple[str, str], list[Reply]] = {}
        for reply in replies:
            if reply.where == where:
                self._replies.setdefault((reply.command, reply.stdin), []).append(reply)

    @property
    def where(self) -> str:
        return self._where

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        command = command_line(arguments)
        answers = self._replies.get((command, stdin))
        if not answers:
            raise UnexpectedReply(
                "this command was not recorded",
                where=self._where,
                asked=command,
                next_step="Record it first: a recording answers only what it heard.",
            )
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def close(self) -> None:
        """Nothing to close."""
