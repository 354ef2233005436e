"""A terminal line: prompt, echo, backspace, ^U, ^C, ^D. What the user types while a command runs is its input."""

from __future__ import annotations

import queue
import threading
from typing import Protocol

from lpmkit.simulator.shells.runner import Io, LoggedOut, Shell

ERASE, INTERRUPT, END, KILL = (8, 127), 3, 4, 21


class Keyed(Io, Protocol):
    """Streams whose input can be asked without waiting."""

    def read_ready(self) -> bytes | None:
        """The characters that were typed, ``None`` when nothing was, empty when nothing will be."""
        ...


class _TerminalIo:
    """A command's streams on a terminal: both outputs on one line discipline, ``\\n`` as ``\\r\\n``, ^C as the end."""

    def __init__(self, inner: Io) -> None:
        self.closed = threading.Event()
        self.keys: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._inner = inner

    def out(self, data: bytes) -> None:
        self._inner.out(data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))

    def err(self, data: bytes) -> None:
        self.out(data)

    def read(self) -> bytes:
        while not self.closed.is_set():
            try:
                return self.keys.get(timeout=0.1)
            except queue.Empty:
                continue
        return b""


class Terminal:
    """The line discipline of one channel with a terminal."""

    def __init__(self, width: int = 80) -> None:
        self.width = width
        self._line = bytearray()
        self._pending = b""

    def run(self, shell: Shell, io: Keyed, line: str | None) -> int:
        """Serve a login until it ends, or run one command with a terminal. Returns the status."""
        if line is not None:
            return self._command(shell, io, line)
        while not io.closed.is_set():
            io.out(shell.machine.prompt().encode())
            typed = self._typed(io)
            if typed is None:
                io.out(b"\r\n")
                break
            try:
                self._command(shell, io, typed)
            except LoggedOut as leaving:
                return int(leaving.args[0])
        return shell.status

    def _typed(self, io: Keyed) -> str | None:
        """One line, echoed while it is typed; ``None`` at its end (^D on an empty line, or the client left)."""
        self._line.clear()
        while True:
            data, self._pending = self._pending or io.read(), b""
            if not data:
                return None
            for at, key in enumerate(data):
                done, text = self._key(key, io)
                if done:
                    self._pending = data[at + 1 :]
                    if key == 13 and self._pending[:1] == b"\n":
                        self._pending = self._pending[1:]
                    return text

    def _key(self, key: int, io: Keyed) -> tuple[bool, str | None]:
        line = self._line
        if key in (10, 13):
            io.out(b"\r\n")
            return True, line.decode("utf-8", "replace")
        if key == END:
            return (True, None) if not line else (False, None)
        if key == INTERRUPT:
            io.out(b"^C\r\n")
            return True, ""
        if key in ERASE and line:
            line.pop()
            io.out(b"\b \b")
        elif key == KILL:
            io.out(b"\b \b" * len(line))
            line.clear()
        elif key >= 32 and key != 127:
            line.append(key)
            io.out(bytes([key]))
        return False, None

    def _command(self, shell: Shell, io: Keyed, line: str) -> int:
        """Run a line in a thread of its own, so that ^C is heard meanwhile."""
        inner = _TerminalIo(io)
        result: list[int | LoggedOut] = []
        done = threading.Event()

        def work() -> None:
            try:
                result.append(shell.execute(line, inner))
            except LoggedOut as leaving:
                result.append(leaving)
            done.set()

        worker = threading.Thread(target=work, daemon=True, name="terminal-command")
        worker.start()
        self._listen(io, inner, done)
        worker.join()
        inner.closed.set()
        while not inner.keys.empty():
            self._pending += inner.keys.get()  # typed ahead: it is for the shell
        if result and isinstance(result[0], LoggedOut):
            raise result[0]
        return int(result[0]) if result and isinstance(result[0], int) else 130

    def _listen(self, io: Keyed, inner: _TerminalIo, done: threading.Event) -> None:
        """Hand keys to the command until it has ended."""
        while not done.wait(0.005):
            data = io.read_ready()
            if data is None:
                if io.closed.is_set():
                    inner.closed.set()
                continue
            if INTERRUPT in data or not data:
                if data:
                    io.out(b"^C\r\n")
                inner.closed.set()
            elif END in data:
                inner.keys.put(data.replace(bytes([END]), b""))
                inner.keys.put(b"")
            else:
                io.out(data.replace(b"\r", b"\r\n"))
                inner.keys.put(data.replace(b"\r", b"\n"))
