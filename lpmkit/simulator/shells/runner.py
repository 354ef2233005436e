"""Running a command line: the steps of it one after the other, what is built into the shell, faults that strike a
command.

A `Machine` answers single commands; everything else about a shell is here, and the same for a VIOS and for AIX.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from lpmkit.simulator.faults import Fault
from lpmkit.simulator.shells import filters
from lpmkit.simulator.shells.grammar import Command, Step, SyntaxProblem, parse
from lpmkit.simulator.shells.reply import Context, Reply, not_found


class Io(Protocol):
    """The three streams of a command, and the sign that nobody listens any more."""

    @property
    def closed(self) -> threading.Event: ...

    def out(self, data: bytes) -> None: ...

    def err(self, data: bytes) -> None: ...

    def read(self) -> bytes:
        """The next bytes of standard input, empty at its end."""
        ...


class Machine(Protocol):
    """Answers single commands."""

    def run(self, command: Command, io: Io, context: Context) -> int:
        """Run one command and return its exit status."""
        ...

    def prompt(self) -> str: ...


class Captured:
    """Streams that are kept in memory: the inside of a pipe."""

    def __init__(self, stdin: bytes = b"", closed: threading.Event | None = None) -> None:
        self.closed = closed or threading.Event()
        self.stdout = b""
        self.stderr = b""
        self._stdin = stdin

    def out(self, data: bytes) -> None:
        self.stdout += data

    def err(self, data: bytes) -> None:
        self.stderr += data

    def read(self) -> bytes:
        data, self._stdin = self._stdin, b""
        return data


class _Redirected:
    """Streams with ``2>&1``, ``2>/dev/null`` or ``>/dev/null`` applied."""

    def __init__(self, inner: Io, how: frozenset[str]) -> None:
        self._inner, self._how = inner, how
        self.closed = inner.closed

    def out(self, data: bytes) -> None:
        if ">/dev/null" not in self._how:
            self._inner.out(data)

    def err(self, data: bytes) -> None:
        if "2>&1" in self._how:
            self.out(data)
        elif "2>/dev/null" not in self._how:
            self._inner.err(data)

    def read(self) -> bytes:
        return self._inner.read()


def write(io: Io, reply: Reply) -> int:
    """Write a reply to the streams and return its status."""
    if reply.out:
        io.out(reply.out.encode())
    if reply.err:
        io.err(reply.err.encode())
    return reply.status


def read_all(io: Io) -> str:
    """Everything that comes on standard input."""
    parts: list[bytes] = []
    while data := io.read():
        parts.append(data)
    return b"".join(parts).decode("utf-8", "replace")


def cut_short(text: bytes) -> bytes:
    """A reply up to the middle of its middle line: the connection was there, the rest was not.

    >>> cut_short(b"one,two\\nthree,four\\nfive,six\\n")
    b'one,two\\nthree'
    """
    middle = text.rfind(b"\n", 0, max(1, len(text) // 2)) + 1
    end = text.find(b"\n", middle)
    return text[: middle + max(1, ((end if end >= 0 else len(text)) - middle) // 2)]


def as_on_a_terminal(text: bytes, columns: int = 80) -> bytes:
    """A reply with its long lines broken in the middle of a word (`BOND`).

    >>> as_on_a_terminal(b"abcdefg\\n12\\n", 3)
    b'abc\\ndef\\ng\\n12\\n'
    """
    lines = [line for whole in text.split(b"\n") for line in _broken(whole, columns)]
    return b"\n".join(lines)


def _broken(line: bytes, columns: int) -> list[bytes]:
    return [line[at : at + columns] for at in range(0, max(1, len(line)), columns)]


#: Stands for ``$?`` in a line that is read and not yet run.
LAST_STATUS = "\x00?"


class LoggedOut(Exception):
    """The user typed ``exit``; the argument is the status."""


@dataclass(slots=True)
class Shell:
    """A login shell: its variables, its language, its last status."""

    machine: Machine
    strike: Callable[[str], Sequence[Fault]] = lambda text: ()
    interactive: bool = False
    variables: dict[str, str] = field(default_factory=dict)
    now: Callable[[], float] = time.time
    status: int = 0

    def execute(self, line: str, io: Io) -> int:
        """Run a line and return the status of its last command. Raises `LoggedOut` on ``exit``."""
        try:
            steps = parse(line, {**self.variables, "?": LAST_STATUS, "$": "2621558"})
        except SyntaxProblem as problem:
            io.err(f"{problem}\n".encode())
            self.status = 2
            return self.status
        for step in steps:
            if self._due(step) and not io.closed.is_set():
                self.status = self._pipeline([self._with_status(command) for command in step.pipeline], io)
        return self.status

    def _with_status(self, command: Command) -> Command:
        """``$?`` is what the command before ended with, not what it was when the line was read."""
        words = tuple(word.replace(LAST_STATUS, str(self.status)) for word in command.words)
        return command if words == command.words else replace(command, words=words)

    def _due(self, step: Step) -> bool:
        return {";": True, "&&": self.status == 0, "||": self.status != 0}[step.after]

    def _pipeline(self, commands: Sequence[Command], io: Io) -> int:
        source = io
        for command in commands[:-1]:
            pipe = Captured(closed=io.closed)
            self._command(command, _Piped(source, pipe, io))
            source = Captured(pipe.stdout, io.closed)
        if len(commands) > 1:
            return self._command(commands[-1], _Piped(source, io, io))
        return self._command(commands[-1], io)

    def _command(self, command: Command, io: Io) -> int:
        for name, value in command.assignments:
            if not command.words:
                self.variables[name] = value
        if not command.words:
            return 0
        if command.redirections:
            io = _Redirected(io, command.redirections)
        local = {**self.variables, **dict(command.assignments)}
        language = local.get("LC_ALL") or local.get("LANG") or "C"
        return self._struck(command, io, Context(language, self.now(), self.interactive))

    def _struck(self, command: Command, io: Io, context: Context) -> int:
        """Run a command with the faults that strike it."""
        cut = wrapped = False
        for fault in self.strike(command.text):
            if fault.effect == "slow" and io.closed.wait(fault.delay_s):
                return 130
            if fault.effect == "hang":
                io.closed.wait()
                return 130
            if fault.effect == "refuse":
                return write(io, Reply(err=f"{fault.message or 'refused'}\n", status=1))
            if fault.effect == "language":
                context = Context("de_DE", context.wall_s, context.interactive)
            cut = cut or fault.effect == "cut-reply"
            wrapped = wrapped or fault.effect == "wrap"
        if not cut and not wrapped:
            return self._builtin(command, io, context)
        pipe = Captured(closed=io.closed)
        status = self._builtin(command, _Piped(io, pipe, io), context)
        said = as_on_a_terminal(pipe.stdout) if wrapped else pipe.stdout
        io.out(cut_short(said) if cut else said)
        return status

    def _builtin(self, command: Command, io: Io, context: Context) -> int:
        name, *arguments = command.words
        if name == "exit":
            leave = getattr(self.machine, "leave", None)
            if leave is not None and leave():
                return 0
            raise LoggedOut(int(arguments[0]) if arguments and arguments[0].isdigit() else self.status)
        if name == "export":
            self.variables |= dict(word.split("=", 1) for word in arguments if "=" in word)
            return 0
        if name == "sleep":
            seconds = float(arguments[0]) if arguments and arguments[0].replace(".", "", 1).isdigit() else 0.0
            return 130 if io.closed.wait(seconds) else 0
        simple = filters.SIMPLE.get(name)
        names_files = name == "grep" and len([word for word in arguments if not word.startswith("-")]) > 1
        if simple is not None and not names_files:
            return write(io, simple(arguments, lambda: read_all(io)))
        return self.machine.run(command, io, context)


class _Piped:
    """Input from one place, output to another, errors to a third."""

    def __init__(self, source: Io, out: Io, err: Io) -> None:
        self._source, self._out, self._err = source, out, err
        self.closed = err.closed

    def out(self, data: bytes) -> None:
        self._out.out(data)

    def err(self, data: bytes) -> None:
        self._err.err(data)

    def read(self) -> bytes:
        return self._source.read()


def answer(reply: Reply | None, name: str, io: Io, shell: str = "ksh") -> int:
    """Write a reply, or say that there is no such command."""
    return write(io, not_found(name, shell) if reply is None else reply)
