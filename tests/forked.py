"""Commands of lpmkit as processes of their own, forked from one that has everything imported.

Loading Python, lpmkit and its libraries costs half a second of processor time a command, more than most commands
take. The forked process has its own arguments, environment and streams, as if it had been started by a shell; what a
start by itself costs and says is tested in test_terminal.py and test_project.py.
"""

from __future__ import annotations

import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from lpmkit.cli import MODULES

#: Imported before the first command is typed; all others are imported by these.
PRELOADED = (
    "lpmkit.cli",
    *(f"lpmkit.commands.{name}" for name in MODULES),
    "lpmkit.commands.rich_terminal",
    "lpmkit.board.text",
    "lpmkit.doctor",
    "lpmkit.notebook",
    "lpmkit.oracle.before",
    "lpmkit.plots.files",
    "lpmkit.rehearsal",
    "lpmkit.report.page",
    "lpmkit.runbook",
    "lpmkit.sap.soaprfc",
    "lpmkit.sap.sources",
    "lpmkit.sap.webservice",
    "lpmkit.ssh.client",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "paramiko",
    "pyarrow.compute",
    "pyarrow.parquet",
    "rich.live",
    "rich.progress",
    "stringprep",
)
#: Longer than any request: arguments and environment.
LONGEST = 1 << 20


class Command:
    """A running command, as `subprocess.Popen` has one."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.returncode: int | None = None
        self._arguments = tuple(arguments)
        self._output, output = os.pipe()
        self._error, error = os.pipe()
        self._reply, reply = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = json.dumps(
            {"arguments": list(arguments), "environment": dict(environment), "folder": str(Path.cwd())}
        )
        try:
            with _lock:
                socket.send_fds(_parent(os.getpid()), [request.encode()], [output, error, reply.fileno()])
        finally:
            os.close(output)
            os.close(error)
            reply.close()
        self.pid = int(self._reply.recv(32))

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Standard output and error when the command has ended. Raises `TimeoutError`."""
        texts = ["", ""]
        readers = [
            threading.Thread(target=_read, args=(descriptor, texts, index), daemon=True)
            for index, descriptor in enumerate((self._output, self._error))
        ]
        for reader in readers:
            reader.start()
        self._reply.settimeout(timeout)
        self.returncode = int(self._reply.recv(32))
        self._reply.close()
        for reader in readers:
            reader.join(timeout)
        if "--json" in self._arguments:
            from tests.answers import hold  # noqa: PLC0415 - loads what few workers need

            hold(self._arguments, self.returncode, texts[0])
        return texts[0], texts[1]


def _read(descriptor: int, texts: list[str], index: int) -> None:
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as stream:
        texts[index] = stream.read()


_lock = threading.Lock()


@cache
def _parent(_: int) -> socket.socket:
    """The way to the process that forks commands; it ends when this one does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
    with theirs:
        subprocess.Popen(
            [sys.executable, "-m", "tests.forked", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,
        )
    return ours


def serve(requests: socket.socket) -> None:
    """Fork a command for each request, and tell its process id and then its status, until nobody asks any more."""
    for name in PRELOADED:
        importlib.import_module(name)
    waiting = selectors.DefaultSelector()
    waiting.register(requests, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.data is not None:
                pid, reply = key.data
                waiting.unregister(key.fd)
                os.close(key.fd)
                _tell(reply, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                reply.close()
                continue
            data, descriptors, _, _ = socket.recv_fds(requests, LONGEST, 3)
            if not data:
                return
            pid = os.fork()
            if pid == 0:
                _become(json.loads(data), descriptors)
            output, error, answer = descriptors
            os.close(output)
            os.close(error)
            reply = socket.socket(fileno=answer)
            _tell(reply, pid)
            waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, reply))


def _tell(reply: socket.socket, number: int) -> None:
    try:
        reply.send(str(number).encode())
    except (BrokenPipeError, ConnectionResetError):
        return  # the test has ended, and nobody waits for this command any more


def _become(request: dict[str, Any], descriptors: Sequence[int]) -> NoReturn:
    """Turn this process into the command."""
    status = 1
    try:
        for stream, descriptor in ((1, descriptors[0]), (2, descriptors[1])):
            os.dup2(descriptor, stream)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        sys.stdin = os.fdopen(0, encoding="utf-8")
        sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8") for number in (1, 2))
        sys.argv = ["lpmkit", *request["arguments"]]
        command = importlib.import_module("lpmkit.cli")  # loaded already; what asks for commands needs none of it
        command.main(prog_name="lpmkit")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:  # noqa: BLE001 - the last frame of the process: as the interpreter ends it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
