"""OpenSSH's multiplexing protocol: commands and streams over a connection that an ``ssh`` process holds.

C `OPENSSH-MUX`. Messages carry a length before them; numbers have 32 bits, texts a length in front. Standard streams
are handed over as file descriptors. Standard output is a TCP connection on the loopback interface, so that the kernel
stamps the moment at which ``ssh`` wrote it.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import paramiko

from lpmkit.errors import ConnectionLost
from lpmkit.ssh.rx_timestamps import StampedSocket

VERSION = 4
_HELLO = 0x00000001
_NEW_SESSION, _ALIVE_CHECK, _TERMINATE, _NEW_STDIO_FORWARD = 0x10000002, 0x10000004, 0x10000005, 0x10000008
_OK, _DENIED, _FAILURE = 0x80000001, 0x80000002, 0x80000003
_EXIT_MESSAGE, _ALIVE, _SESSION_OPENED = 0x80000004, 0x80000005, 0x80000006
#: Seconds for an answer of the ``ssh`` process itself, and for one that the host must give.
_LOCAL_S, _HOST_S = 10.0, 60.0
_CHUNK = 65536
#: Bytes that a channel holds before it stops reading, as a window of paramiko would.
_MAX_HELD = 2 * 1024 * 1024
#: No escape character, in the form of the protocol.
_NO_ESCAPE = 0xFFFFFFFF


def _text(value: str) -> bytes:
    content = value.encode()
    return struct.pack(">I", len(content)) + content


class MuxClient:
    """One connection to the control socket of an ``ssh`` process. Raises `OSError`, `EOFError` or `MuxRefused`."""

    def __init__(self, path: Path | str) -> None:
        self.wire = socket.socket(socket.AF_UNIX)
        self._request = 0
        try:
            self.wire.settimeout(_LOCAL_S)
            self.wire.connect(str(path))
            self.send(_HELLO, struct.pack(">I", VERSION))
            kind, body = self.receive()
            if kind != _HELLO or struct.unpack_from(">I", body)[0] != VERSION:
                raise MuxRefused("its control socket speaks another version")
        except BaseException:
            self.wire.close()
            raise

    def send(self, kind: int, body: bytes) -> None:
        """Send one message."""
        self.wire.sendall(struct.pack(">II", len(body) + 4, kind) + body)

    def receive(self) -> tuple[int, bytes]:
        """The next message: its type and its body."""
        (size,) = struct.unpack(">I", self._exactly(4))
        content = self._exactly(size)
        return struct.unpack_from(">I", content)[0], content[4:]

    def _exactly(self, count: int) -> bytes:
        parts = b""
        while len(parts) < count:
            part = self.wire.recv(count - len(parts))
            if not part:
                raise EOFError("the ssh process ended")
            parts += part
        return parts

    def alive(self) -> int:
        """The process id of the ``ssh`` process."""
        _, body = self._ask(_ALIVE_CHECK, b"", _ALIVE)
        return int(struct.unpack_from(">I", body)[0])

    def terminate(self) -> None:
        """End the ``ssh`` process."""
        self._ask(_TERMINATE, b"", _OK)

    def session(self, line: str, streams: tuple[int, int, int]) -> None:
        """Start a command line on the host with three file descriptors as its standard streams."""
        flags = struct.pack(">IIIII", 0, 0, 0, 0, _NO_ESCAPE)  # no terminal, X11, agent, subsystem
        self._open(_NEW_SESSION, _text("") + flags + _text("") + _text(line), streams)

    def stream(self, hostname: str, port: int, streams: tuple[int, int]) -> None:
        """Open a stream through the host to another."""
        self._open(_NEW_STDIO_FORWARD, _text("") + _text(hostname) + struct.pack(">I", port), streams)

    def _open(self, kind: int, body: bytes, streams: tuple[int, ...]) -> None:
        self._request += 1
        self.send(kind, struct.pack(">I", self._request) + body)
        for stream in streams:
            socket.send_fds(self.wire, [b"\0"], [stream])
        self.wire.settimeout(_HOST_S)
        self._answer(_SESSION_OPENED)
        self.wire.settimeout(None)

    def _ask(self, kind: int, body: bytes, wanted: int) -> tuple[int, bytes]:
        self._request += 1
        self.send(kind, struct.pack(">I", self._request) + body)
        return self._answer(wanted)

    def _answer(self, wanted: int) -> tuple[int, bytes]:
        """The answer to the last request, after its number."""
        kind, body = self.receive()
        if kind == wanted:
            return kind, body[4:]
        if kind in (_DENIED, _FAILURE):
            (size,) = struct.unpack_from(">I", body, 4)
            raise MuxRefused(body[8 : 8 + size].decode("utf-8", "replace"))
        raise MuxRefused(f"an answer of kind {kind:#x} instead of {wanted:#x}")

    def exit_status(self) -> int | None:
        """The next message's exit status; ``None`` for another message. Raises `EOFError` at the end."""
        kind, body = self.receive()
        return int(struct.unpack_from(">I", body, 4)[0]) if kind == _EXIT_MESSAGE else None

    def close(self) -> None:
        """Close the connection; a command that it started ends."""
        self.wire.close()


class MuxRefused(paramiko.SSHException):
    """The ``ssh`` process, or the host behind it, refused a request."""


class ChannelWire:
    """The connection below a channel: the arrival of its newest bytes, and the TCP connection, if it is ours.

    ``placed`` gives the arrival at this host for output that ``ssh`` wrote at a time; ``None`` if unknown.
    """

    def __init__(self, tcp: socket.socket | None, placed: Callable[[int], tuple[int, bool] | None]) -> None:
        self.tcp, self._placed = tcp, placed
        self.arrived_ns: int | None = None
        self._by_kernel = False

    def note(self, written_ns: int) -> None:
        """Take note of output that ``ssh`` wrote at ``written_ns``."""
        placed = self._placed(written_ns)
        self.arrived_ns, self._by_kernel = placed if placed is not None else (written_ns, False)

    def stamped_by_kernel(self) -> bool:
        """True if the newest bytes have a kernel stamp of this host's network."""
        return self._by_kernel

    def getsockname(self) -> tuple[str, int]:
        """Our end of the TCP connection."""
        return self.tcp.getsockname()[:2] if self.tcp is not None else ("", 0)

    def getpeername(self) -> tuple[str, int]:
        """The host's end of it."""
        return self.tcp.getpeername()[:2] if self.tcp is not None else ("", 0)


class _Below:
    """The part of a transport that paramiko's channels need."""

    def __init__(self, sock: ChannelWire) -> None:
        self.sock = sock

    def get_exception(self) -> None:
        """None: troubles of the ``ssh`` process come as an end of the stream."""


class MuxChannel(paramiko.Channel):
    """A command on a host over an ``ssh`` process, read and written like a channel of paramiko."""

    def __init__(self, wire: ChannelWire) -> None:
        super().__init__(0)
        self.transport = _Below(wire)  # type: ignore[assignment] # the little of it that readers use
        self._wire = wire
        self._drained = threading.Event()

    def begin(self, path: Path, line: str) -> None:
        """Start the command line. Raises `MuxRefused`, `OSError` or `EOFError`."""
        self._control = MuxClient(path)
        try:
            self._input, stdin = socket.socketpair()
            self._output, stdout = _loopback_pair()
            self._errors, stderr = socket.socketpair()
            try:
                self._control.session(line, (stdin.fileno(), stdout.fileno(), stderr.fileno()))
            finally:
                for end in (stdin, stdout, stderr):
                    end.close()
        except BaseException:
            self._shut_streams()
            self._close_streams()
            raise
        threading.Thread(target=self._read, name="ssh output", daemon=True).start()

    def _read(self) -> None:
        """Feed the buffers until the streams end; in a thread of its own."""
        poller, open_streams = select.poll(), {}
        for stream in (self._output, self._errors, self._control.wire):
            poller.register(stream, select.POLLIN)
            open_streams[stream.fileno()] = stream
        with suppress(OSError, ValueError):  # `close` closed the streams
            while open_streams:
                for number, _ in poller.poll():
                    stream = open_streams[number]
                    if self._take(stream):
                        continue
                    poller.unregister(number)
                    del open_streams[number]
                    if not {self._output, self._errors} & set(open_streams.values()):
                        self._handle_eof(None)  # type: ignore[attr-defined] # paramiko's own
        with self.lock:
            self._set_closed()  # type: ignore[attr-defined] # paramiko's own
        # Only here: a number that is closed while this thread waits for it would soon mean another file.
        self._close_streams()

    def _take(self, stream: socket.socket) -> bool:
        """Read one stream once; false at its end."""
        if stream is self._control.wire:
            return self._take_status()
        try:
            data = stream.recv(_CHUNK)
        except ConnectionError:
            return False
        if not data:
            return False
        if stream is self._output:
            self._wire.note(self._output.arrived_ns or 0)
            self.in_buffer.feed(data)
            while len(self.in_buffer) > _MAX_HELD and not self.closed:
                self._drained.wait(0.1)
                self._drained.clear()
        else:
            self.in_stderr_buffer.feed(data)
        return True

    def _take_status(self) -> bool:
        try:
            status = self._control.exit_status()
        except (EOFError, ConnectionError):
            return False
        if status is not None:
            self.exit_status = status
            self.status_event.set()
        return True

    def recv(self, nbytes: int) -> bytes:
        """Read output, as of `paramiko.Channel`."""
        data = super().recv(nbytes)
        self._drained.set()
        return data

    def send_ready(self) -> bool:
        """True if standard input takes more at once."""
        poller = select.poll()
        poller.register(self._input, select.POLLOUT)
        return bool(poller.poll(0))

    def sendall(self, s: bytes | bytearray | memoryview) -> None:
        """Write to standard input."""
        self._input.sendall(s)

    def shutdown_write(self) -> None:
        """End standard input."""
        self._input.close()

    def close(self) -> None:
        """End the command and close its streams."""
        super().close()
        with self.lock:
            self._set_closed()  # type: ignore[attr-defined] # paramiko's own
        self._drained.set()
        self._shut_streams()

    def _streams(self) -> Iterator[socket.socket]:
        for name in ("_control", "_input", "_output", "_errors"):
            stream = getattr(self, name, None)
            if stream is not None:
                yield stream.wire if isinstance(stream, MuxClient) else stream

    def _shut_streams(self) -> None:
        """End the streams, which wakes the thread that reads them; it closes them."""
        for stream in self._streams():
            with suppress(OSError):  # it has ended already
                stream.shutdown(socket.SHUT_RDWR)

    def _close_streams(self) -> None:
        for stream in self._streams():
            stream.close()


def stream_through(path: Path, hostname: str, port: int) -> socket.socket:
    """A stream through the host behind a control socket to another; its ``control`` must stay referenced."""
    control = MuxClient(path)
    ours, theirs = socket.socketpair()
    try:
        control.stream(hostname, port, (theirs.fileno(), theirs.fileno()))
    except BaseException:
        ours.close()
        control.close()
        raise
    finally:
        theirs.close()
    stream = _Stream(ours.family, ours.type, ours.proto, fileno=ours.detach())
    stream.control = control
    return stream


class _Stream(socket.socket):
    """A stream through a host that keeps its control connection alive."""

    control: MuxClient

    def close(self) -> None:
        super().close()
        self.control.close()


def _loopback_pair() -> tuple[StampedSocket, socket.socket]:
    """Both ends of a TCP connection on the loopback interface; the first end has kernel stamps.

    Raises `ConnectionLost` if another process took the other end.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        reader = socket.socket()
        try:
            reader.connect(listener.getsockname())
            writer, peer = listener.accept()
            if peer != reader.getsockname():
                writer.close()
                raise ConnectionLost("another process of this machine took the stream of a command")
        except BaseException:
            reader.close()
            raise
    # Each of the small writes is stamped by itself, and none waits for the acknowledgement of the one before.
    writer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return StampedSocket.around(reader), writer
