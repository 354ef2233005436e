"""A long line: what goes into it comes out half a round trip later, on either side, and in as many pieces
as it likes.
"""

from __future__ import annotations

import queue
import socket
import threading
import time


def far_away(connection: socket.socket, round_trip_s: float) -> socket.socket:
    """The same connection as it is at the end of a line; it was made before, so the round trip of that is waited for
    here.
    """
    time.sleep(round_trip_s)
    here, inner = socket.socketpair()
    for source, sink in ((connection, inner), (inner, connection)):
        on_the_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        for work in (_enter, _leave):
            arguments = (source if work is _enter else sink, on_the_way, round_trip_s / 2)
            threading.Thread(target=work, args=arguments, daemon=True, name="long-line").start()
    return here


def _enter(source: socket.socket, on_the_way: queue.SimpleQueue[tuple[float, bytes]], delay_s: float) -> None:
    while True:
        try:
            data = source.recv(65536)
        except OSError:
            data = b""
        on_the_way.put((time.monotonic() + delay_s, data))
        if not data:
            return


def _leave(sink: socket.socket, on_the_way: queue.SimpleQueue[tuple[float, bytes]], delay_s: float) -> None:
    """Let out what is due; at the end, and where nobody takes it any more, the line is cut."""
    while True:
        due, data = on_the_way.get()
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            if data:
                sink.sendall(data)
            else:
                sink.shutdown(socket.SHUT_RDWR)
        except OSError:
            data = b""
        if not data:
            sink.close()
            return
