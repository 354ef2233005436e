"""The workers of a run, forked from one process that has all tests imported.

Each of them would import four hundred modules, and the libraries of all tests. The process that runs the tests starts
one that collects them, as ``pytest --collect-only`` does; each worker is a fork of it, and makes its own tests of the
modules that are there.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

#: The environment variable with the process that runs the tests, where workers do its work.
RUN = "LPMKIT_TESTS_RUN"
#: Longer than any request for a process: arguments and environment.
LONGEST = 1 << 20
#: Room for the command line of a forked process, which others read in ``/proc``.
ROOM = 4000


def start(specs: Sequence[Any], tests: Sequence[str]) -> None:
    """Start the process that collects ``tests``, and let the workers of xdist (``specs``) be forks of it."""
    run = os.environ[RUN] = str(os.getpid())
    with (
        _listening(_workers_of(run)) as workers,
        _listening(commands_of(run)) as commands,
        _listening(machines_of(run)) as machines,
    ):
        handed = [workers.fileno(), commands.fileno(), machines.fileno()]
        subprocess.Popen(
            [sys.executable, "-m", "tests.collected", *map(str, handed), run, *tests, " " * ROOM],
            pass_fds=handed,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,
        )
    for spec in specs:
        spec.python = f"{sys.executable} {Path(__file__).resolve()} {run}"


def _workers_of(run: str) -> str:
    """The address of the process that forks workers."""
    return f"\0lpmkit-workers-{run}"


def commands_of(run: str) -> str:
    """The address of the process that forks the commands of lpmkit."""
    return f"\0lpmkit-tests-{run}"


def machines_of(run: str) -> str:
    """The address of the process that forks simulated machines."""
    return f"\0lpmkit-machines-{run}"


def _listening(address: str) -> socket.socket:
    requests = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    requests.bind(address)
    requests.listen(64)
    return requests


def join(run: str, line: str) -> int:
    """Have a worker forked that takes this process' streams and runs a line of Python; returns its status."""
    reply, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    request = {
        "module": "tests.collected",
        "arguments": [line],
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "session": False,
        "handed": [],
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
        wire.connect(_workers_of(run))
        socket.send_fds(wire, [json.dumps(request).encode()], [0, 1, 2, theirs.fileno()])
    theirs.close()
    for number in range(3):
        os.close(number)  # the worker's alone, which ends with the run that holds their other ends
    reply.recv(32)  # its process id
    return int(reply.recv(32) or 1)


def main(**_: object) -> None:
    """Run the line as ``python -c`` does, in a fork."""
    line = sys.argv.pop()
    sys.modules["__main__"] = here = ModuleType("__main__")
    random.seed()
    exec(line, vars(here))


def serve_workers(
    workers: socket.socket, commands: socket.socket, machines: socket.socket, run: int, tests: Sequence[str]
) -> None:
    """Collect the tests and fork workers, beside two processes that fork commands of lpmkit and simulated machines."""
    import pytest  # noqa: PLC0415 - whoever joins needs none of these

    from tests import forked  # noqa: PLC0415

    forked.belong_to(str(run))
    for load, requests in ((forked.load_machines, machines), (forked.load, commands)):
        load()
        if os.fork() == 0:
            for other in {workers, commands, machines} - {requests}:
                other.close()
            forked.serve_commands(requests, run)
            os._exit(0)
        requests.close()
    # no capturing: what a module takes for standard error when it is imported is still that in a fork
    pytest.main(["--collect-only", "-qq", "-s", "-p", "no:cacheprovider", *tests])
    forked.serve(workers, run)


if __name__ == "__main__":
    if sys.argv[-2] == "-c":  # as xdist starts Python
        sys.exit(join(sys.argv[1], sys.argv[-1]))
    first, second, third = (socket.socket(fileno=int(word)) for word in sys.argv[1:4])
    serve_workers(first, second, third, int(sys.argv[4]), sys.argv[5:-1])
