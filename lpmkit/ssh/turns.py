"""Reading an SSH connection of paramiko in the turns of a loop, instead of in its own thread.

paramiko's thread wakes for each packet and then wakes whoever waits for its content: with hundreds of connections their
threads wait for Python's lock and for each other (``python -m benchmarks.observer_load``). `Packets` lets that thread
rest between two packets while a loop reads the socket and deals with what belongs to a channel. Everything else, such
as new keys or the end of the connection, is given back to the thread, which does as always and rests again.
"""

from __future__ import annotations

import queue
import select
import threading
from collections.abc import Callable
from typing import Any

from paramiko.message import Message
from paramiko.packet import NeedRekeyException, Packetizer

from lpmkit.ssh.rx_timestamps import StampedSocket

#: Seconds until paramiko's thread rests: the time-out after which it looks at its connection, and some more.
HAND_OVER_S = 2.0
#: Milliseconds that a packet may wait for room in the kernel's buffer before paramiko tries again.
_ROOM_MS = 100


class _NotWhole(Exception):
    """A packet of which so many bytes are not here yet."""

    def __init__(self, missing: int) -> None:
        super().__init__()
        self.missing = missing


class _Repeatable:
    """A cipher that answers for the beginning of a packet once more when the packet is read again.

    Where the length is encrypted, a packet's beginning is deciphered before the rest may be here.
    """

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._answered: bytes | None = None
        self._again: bytes | None = None

    def update(self, data: bytes) -> bytes:
        """Decipher, as paramiko asks for it."""
        answer, self._again = self._again, None
        self._answered = answer if answer is not None else self._engine.update(data)
        return self._answered

    def begin(self) -> None:
        """Called before a packet is read."""
        self._answered = None

    def repeat(self) -> None:
        """Called where a packet was not whole."""
        self._again = self._answered or self._again


class _Door:
    """The socket as paramiko's thread uses it."""

    def __init__(self, wire: StampedSocket) -> None:
        self._wire = wire
        self.close = wire.close
        #: True while the thread is to rest, and the size of the read before which it may: that of a packet's beginning.
        self.is_wanted, self.boundary = False, 0

    def recv(self, count: int) -> bytes:
        """Read. Raises `NeedRekeyException`, upon which the thread begins anew, where it is to rest."""
        if self.is_wanted and count == self.boundary:
            raise NeedRekeyException
        return self._wire.recv(count)

    def send(self, data: bytes) -> int:
        """Send, or raise `TimeoutError`, upon which paramiko tries again."""
        try:
            return self._wire.send(data)
        except BlockingIOError:
            poller = select.poll()
            poller.register(self._wire, select.POLLOUT)
            poller.poll(_ROOM_MS)
            raise TimeoutError from None


class Packets(Packetizer):
    """The packets of a connection, read by paramiko's thread or, while that rests, by a loop."""

    def __init__(self, wire: StampedSocket, is_busy: Callable[[], bool]) -> None:
        """``is_busy`` is true during an exchange of keys."""
        self._door = _Door(wire)
        super().__init__(self._door)  # type: ignore[arg-type] # the little of a socket that it uses
        self.wire, self._is_busy = wire, is_busy
        self._resting = threading.Event()
        self._given: queue.SimpleQueue[tuple[int, Message] | Exception] = queue.SimpleQueue()
        self._bytes, self._at = b"", 0
        #: Bytes of the shortest packet so far: so many are read at once without a byte of the next one, so that each
        #: packet has the stamp of its own last byte.
        self._shortest = 0
        self._cipher: _Repeatable | None = None

    @property
    def is_handed_over(self) -> bool:
        """True while the thread rests and a loop may read."""
        return self._resting.is_set()

    def hand_over(self) -> None:
        """Have the thread rest between packets, and wait for it, at most `HAND_OVER_S`."""
        self._door.is_wanted = True
        self._resting.wait(HAND_OVER_S)

    def give_back(self, what: tuple[int, Message] | Exception) -> None:
        """Let the thread go on with a message or an error."""
        self._resting.clear()
        self._given.put(what)

    def taken(self) -> tuple[int, Message] | None:
        """The next message that is here: its type and content; for the loop only.

        Raises `EOFError`, `OSError` or `paramiko.SSHException`.
        """
        while True:
            missing = self._shortest if not self._bytes else 0
            if not missing:
                try:
                    return self._whole()
                except _NotWhole as short:
                    missing = short.missing
            content = self.wire.taken(missing)
            if content is None:
                self._check_keepalive()  # type: ignore[attr-defined] # paramiko's own
                return None
            if not content:
                raise EOFError
            self._bytes += content

    def _whole(self) -> tuple[int, Message]:
        """The message of a whole packet. Raises `_NotWhole`."""
        self._at = 0
        if self._cipher is not None:
            self._cipher.begin()
        try:
            message = super().read_message()
        except _NotWhole:
            if self._cipher is not None:
                self._cipher.repeat()
            raise
        self._shortest = min(self._shortest or self._at, self._at)
        self._bytes = self._bytes[self._at :]
        return message

    def read_message(self) -> tuple[int, Message]:
        """The next message, for paramiko's thread; it rests here while it is to."""
        if not self._door.is_wanted or self.closed or self._may_not_rest():
            return super().read_message()
        timeout = self.wire.gettimeout()
        self.wire.settimeout(0)
        self._resting.set()
        given = self._given.get()
        if not self.closed:
            self.wire.settimeout(timeout)
        if isinstance(given, Exception):
            raise given
        return given

    def _may_not_rest(self) -> bool:
        return self.need_rekey() or self._is_busy()

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        """Bytes of a packet: those here for the loop, and for the thread as many as it waits for."""
        if self.is_handed_over:
            part = self._bytes[self._at : self._at + n]
            if len(part) < n:
                raise _NotWhole(n - len(part))
            self._at += n
            return part
        part, self._bytes = self._bytes[:n], self._bytes[n:]
        self._door.boundary = 0 if part or not check_rekey or self._may_not_rest() else n
        return part + super().read_all(n - len(part), check_rekey) if len(part) < n else part

    def set_inbound_cipher(self, block_engine: Any, *arguments: Any, **options: Any) -> None:
        """Take new keys, as paramiko gives them."""
        self._cipher = _Repeatable(block_engine) if hasattr(block_engine, "update") else None
        self._shortest = 0
        engine: Any = self._cipher or block_engine
        super().set_inbound_cipher(engine, *arguments, **options)

    def close(self) -> None:
        """Close the connection; a thread that rests ends."""
        self._door.is_wanted = False
        super().close()
        if self.is_handed_over:
            self.give_back(EOFError())
