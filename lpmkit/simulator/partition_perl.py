"""``perl`` in the partition: the one program that is really run, because a probe is a program.

It is a child of the partition's process and in its process group, so it stops and goes on with the partition. It has
its own small environment and the partition's directory, and ends when its channel does.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from lpmkit.simulator.sap.faces import short_name
from lpmkit.simulator.shells.reply import not_found
from lpmkit.simulator.shells.runner import Io, write

PERL = "/usr/bin/perl"
_LIBC = ctypes.CDLL(None, use_errno=True)


def _prepare() -> None:
    """In the child: end when the partition does, even when stopped."""
    _LIBC.prctl(1, signal.SIGKILL, 0, 0, 0)


def run(arguments: Sequence[str], io: Io, root: Path) -> int:
    """Run ``perl`` with the channel's streams and return its status."""
    if not Path(PERL).exists():
        return write(io, not_found("perl"))
    child = subprocess.Popen(  # noqa: S603  this is what the user logged in for; he is alone here
        [PERL, *(_as_this_machine_calls_it(word, root) for word in arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=root,
        env={"PATH": "/usr/bin:/bin", "LANG": "C", "TZ": "UTC", "HOME": "/", "LOGNAME": "root"},
        preexec_fn=_prepare,  # noqa: PLW1509  one system call, already resolved
        bufsize=0,
    )
    if child.stdin is None or child.stdout is None or child.stderr is None:
        raise AssertionError("three pipes were asked for")
    threading.Thread(target=_feed, args=(io, child.stdin.fileno(), child), daemon=True).start()
    threading.Thread(target=_kill_when_closed, args=(io, child), daemon=True).start()
    errors = threading.Thread(target=_relay, args=(child.stderr.fileno(), io.err), daemon=True)
    errors.start()
    _relay(child.stdout.fileno(), io.out)
    errors.join()
    status = child.wait()
    child.stdout.close()
    child.stderr.close()
    return status if status >= 0 else 128 - status


def _as_this_machine_calls_it(word: str, root: Path) -> str:
    """The name of one of the partition's UNIX sockets is absolute there; other words stay as they are."""
    path = root / word.lstrip("/")
    return (
        short_name(path) if word.startswith("/") and "\0" not in word and len(word) < 100 and path.is_socket() else word
    )


def _relay(descriptor: int, out: Callable[[bytes], None]) -> None:
    """Hand on what comes, as soon as it comes and as much as is there."""
    while data := os.read(descriptor, 65536):
        out(data)


def _feed(io: Io, descriptor: int, child: subprocess.Popen[bytes]) -> None:
    try:
        while data := io.read():
            os.write(descriptor, data)
    except OSError:
        pass  # the program reads no more
    if child.stdin is not None:
        child.stdin.close()


def _kill_when_closed(io: Io, child: subprocess.Popen[bytes]) -> None:
    io.closed.wait()
    if child.poll() is None:
        child.kill()
