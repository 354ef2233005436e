"""Batching: repeat a survey until all its answers are cached, and send the commands of a round as one command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from lpmkit.errors import NoAnswer, RemoteError
from lpmkit.ssh.session import NO_WAY_IN, UNANSWERED, LineSession, Reply, Session, command_line

#: Commands in one line of a batch; some shells accept only a few kilobytes.
BATCH = 24


def batch_line(commands: Sequence[Sequence[str]], token: str) -> str:
    """Several commands as one line, each followed by a token and its exit status.

    The restricted shells of a VIOS and an HMC allow ``;`` and ``echo`` (C `HMCSCAN`, whose scripts use them there),
    but no redirections, so the errors of all commands share one stream.

    >>> batch_line([["ioslevel"], ["lspv", "-size"]], "x1")
    'LANG=C ioslevel; echo x1 $?; LANG=C lspv -size; echo x1 $?'
    """
    return "; ".join(f"{command_line(command)}; echo {token} $?" for command in commands)


def batch_replies(output: str, token: str) -> list[tuple[str, int]]:
    r"""Output and status of each command of a `batch_line`; only of the completed ones.

    >>> batch_replies("2.2.3.4\nx1 0\nNAME PV", "x1")
    [('2.2.3.4\n', 0)]
    """
    replies: list[tuple[str, int]] = []
    end, begin = re.compile(rf"{re.escape(token)} ([0-9]{{1,10}})\n"), 0
    while (at := output.find(f"{token} ", begin)) >= 0:
        status = end.match(output, at)
        if status is None:
            break
        replies.append((output[begin:at], int(status[1])))
        begin = status.end()
    return replies


class AnswerPending(RemoteError):
    """The command has not been sent yet; see `BatchingSession`."""


#: Replies, or the errors instead of them, by command and standard input.
ReplyCache = dict[tuple[str, str], Reply | RemoteError]


class BatchingSession:
    """A session that collects the commands of a whole survey and sends them together; fulfils `Session`.

    In the first round every command is queued and raises `AnswerPending`; `ask` sends the queue, and in the next
    round the replies are cached. A command that depends on a reply is sent one round later, so hundreds of commands
    cost a handful of round trips. For commands that change nothing only.

    Each unreachable host is tried only once: any other command for it gets the same error, and likewise where it
    hangs. ``machine_of`` names the host behind the session that a command is for (an HMC reaches many I/O servers).
    ``known`` may be shared by several connections to one host, so that no command is sent twice.
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
        """The host's name, for messages."""
        return self._session.where

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        """The cached reply; raises its error, or `AnswerPending` and queues the command."""
        key = (command_line(arguments), stdin)
        if key not in self._known and stdin:
            self._alone(arguments, stdin, timeout_s)
        if key not in self._known:
            self._wanted[key[0]] = list(arguments)
            raise AnswerPending("this has not been asked yet", where=self.where, asked=key[0])
        answer = self._known[key]
        if isinstance(answer, RemoteError):
            raise answer
        return answer

    def ask(self) -> bool:
        """Send all queued commands; false without any. An error becomes the answer of every command that it affects."""
        commands, self._wanted = list(self._wanted.values()), {}
        for first in range(0, len(commands), BATCH):
            self._together(commands[first : first + BATCH])
        return bool(commands)

    def silent(self) -> dict[str, RemoteError]:
        """The hosts that are not asked any more, as ``machine_of`` names them, with their errors; the login host is
        ``""``.

        """
        hanging = {machine: errors[-1] for machine, errors in self._unanswered.items() if len(errors) >= UNANSWERED}
        return {"": self._no_way_in} if self._no_way_in is not None else dict(hanging)

    def _together(self, commands: Sequence[Sequence[str]]) -> None:
        batch = [arguments for arguments in commands if self._given_up(arguments) is None]
        if isinstance(self._session, LineSession) and len(batch) > 1:
            try:
                for arguments, reply in zip(batch, self._session.run_all(batch), strict=True):
                    if reply is not None:
                        self._known[command_line(arguments), ""] = reply
                        self._unanswered.pop(self._machine_of(arguments), None)
            except NO_WAY_IN as trouble:
                self._no_way_in = trouble
        for arguments in commands:
            if (command_line(arguments), "") not in self._known:
                self._alone(arguments)

    def _alone(self, arguments: Sequence[str], stdin: str = "", timeout_s: float = 60.0) -> None:
        key, machine = (command_line(arguments), stdin), self._machine_of(arguments)
        known_error = self._given_up(arguments)
        if known_error is not None:
            self._known[key] = known_error
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
        """The error that keeps a command from being sent; ``None`` if it may be sent."""
        return self._no_way_in or self.silent().get(self._machine_of(arguments))

    def close(self) -> None:
        """Close the session below."""
        self._session.close()
