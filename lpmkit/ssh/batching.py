"""Batching: run a survey ahead of its answers, and send the questions of a round as one command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lpmkit.errors import (
    NoAnswer,
    RemoteError,
)
from lpmkit.ssh.session import NO_WAY_IN, UNANSWERED, LineSession, Reply, Session, command_line

#: Questions in one line of a batch; some shells take no more than a few kilobytes.
BATCH = 24


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
