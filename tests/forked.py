"""Commands of lpmkit, and the processes that they start, forked from one that has everything imported.

Loading Python, lpmkit and its libraries costs half a second of processor time a process, more than most commands
take, and a move has a simulator, a recorder and some processes of probes. A forked process has its own arguments,
environment, streams and session, as if it had been started by itself. What a start by itself costs and says is tested
in test_terminal.py, test_project.py and test_session.py, and wherever notebooks start something.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import errno
import fcntl
import gc
import importlib
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from secrets import token_hex
from types import SimpleNamespace
from typing import IO, Any, NoReturn
from unittest import mock

from lpmkit.cli import MODULES
from tests.collected import LONGEST, ROOM, RUN, commands_of, machines_of
from tests.durable_disk import wait_for_no_disk

#: Imported before the first process is forked; all others are imported by these.
PRELOADED = (
    "lpmkit.cli",
    *(f"lpmkit.commands.{name}" for name in MODULES),
    "lpmkit.commands.rich_terminal",
    "lpmkit.board.text",
    "lpmkit.doctor",
    "lpmkit.notebook",
    "lpmkit.oracle.before",
    "lpmkit.plan.conductor",
    "lpmkit.plots.files",
    "lpmkit.probes.icmp",
    "lpmkit.probes.network",
    "lpmkit.probes.observer",
    "lpmkit.probes.oracle",
    "lpmkit.probes.process",
    "lpmkit.probes.sap",
    "lpmkit.probes.ssh",
    "lpmkit.recorder.process",
    "lpmkit.rehearsal",
    "lpmkit.report.page",
    "lpmkit.runbook",
    "lpmkit.sap.soaprfc",
    "lpmkit.sap.sources",
    "lpmkit.sap.webservice",
    "lpmkit.simulator.__main__",
    "lpmkit.simulator.partition",
    "lpmkit.ssh.client",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "paramiko",
    "pyarrow.compute",
    "pyarrow.csv",
    "pyarrow.parquet",
    "rich.live",
    "rich.progress",
    "stringprep",
    "tests.hosts",
)
#: The modules that start processes, and what is forked where they run it by ``python -m``.
STARTERS = ("lpmkit.background.worker", "lpmkit.recorder.probe_process", "lpmkit.rehearsal", "lpmkit.simulator.host")
STARTED = (
    "lpmkit.plan.conductor",
    "lpmkit.probes.process",
    "lpmkit.recorder.process",
    "lpmkit.simulator",
    "lpmkit.simulator.partition",
    "lpmkit.sinks.courier",
    "tests.hosts",
)
#: Of these, the simulated machines: there are more of them than of all others, they need few modules, and a fork of a
#: small process costs a third of that of a large one.
MACHINES = ("lpmkit.simulator", "lpmkit.simulator.partition")
#: More than a process is handed besides its streams.
MOST_HANDED = 8


class Forked:
    """A running process, as `subprocess.Popen` has one. ``args`` are ``python -m MODULE`` and its arguments."""

    def __init__(
        self,
        args: Sequence[str],
        *,
        stdin: IO[bytes] | int | None = None,
        stdout: IO[bytes] | int | None = None,
        stderr: IO[bytes] | int | None = None,
        pass_fds: Sequence[int] = (),
        start_new_session: bool = False,
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.args = args
        self.returncode: int | None = None
        self._turn = threading.Lock()
        self._reply, reply = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours, theirs, made = zip(
            *(_stream(given, number) for number, given in enumerate((stdin, stdout, stderr))), strict=True
        )
        self.stdin, self.stdout, self.stderr = ours
        request = {
            "module": args[2],
            "arguments": list(args[3:]),
            "environment": dict(os.environ if env is None else env),
            "folder": str(cwd or Path.cwd()),
            "session": start_new_session,
            "handed": list(pass_fds),
        }
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as wire:
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
                wire.connect((args[2] in MACHINES and _machines) or _place or _parent(os.getpid()))
                socket.send_fds(wire, [json.dumps(request).encode()], [*theirs, reply.fileno(), *pass_fds])
        finally:
            reply.close()
            for descriptor, is_ours in zip(theirs, made, strict=True):
                if is_ours:
                    os.close(descriptor)
        self.pid = int(self._reply.recv(32))

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # ended since we asked, and another reaped it
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        with self._turn:
            if self.returncode is None and select.select([self._reply], [], [], 0)[0]:
                self.returncode = int(self._reply.recv(32) or -signal.SIGKILL)
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its status. Raises `subprocess.TimeoutExpired`."""
        until = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            select.select([self._reply], [], [], left)
        return status


def _stream(given: IO[bytes] | int | None, number: int) -> tuple[IO[bytes] | None, int, bool]:
    """Our end of a stream of a process, its end, and whether that end was made here."""
    if given == subprocess.PIPE:
        read, write = os.pipe()
        return (os.fdopen(write, "wb"), read, True) if number == 0 else (os.fdopen(read, "rb"), write, True)
    if given == subprocess.DEVNULL:
        return None, os.open(os.devnull, os.O_RDWR), True
    return None, number if given is None else given if isinstance(given, int) else given.fileno(), False


class Command(Forked):
    """A command of lpmkit, typed."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "lpmkit.cli", *arguments]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        super().__init__(command, **streams, env=environment)  # type: ignore[arg-type] # one kind of value each

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Standard output and error when the command has ended. Raises `subprocess.TimeoutExpired`."""
        texts = ["", ""]
        readers = [
            threading.Thread(target=_read, args=(stream, texts, index), daemon=True)
            for index, stream in enumerate((self.stdout, self.stderr))
        ]
        for reader in readers:
            reader.start()
        status = self.wait(timeout)
        for reader in readers:
            reader.join(timeout)
        if "--json" in self.args:
            from tests.answers import hold  # noqa: PLC0415 - loads what few workers need

            hold(self.args[3:], status, texts[0])
        return texts[0], texts[1]


def _read(stream: IO[bytes], texts: list[str], index: int) -> None:
    with stream:
        texts[index] = stream.read().decode("utf-8", "replace")


def popen(args: Sequence[str], **options: Any) -> Any:
    """`subprocess.Popen` that forks what is lpmkit's own."""
    is_own = list(args[:2]) == [sys.executable, "-m"] and args[2] in STARTED
    return Forked(args, **options) if is_own else subprocess.Popen(args, **options)


def forking(module: Any) -> Any:
    """A ``with`` block in which a module of lpmkit (`STARTERS`) starts processes by forking."""
    return mock.patch.object(module, "subprocess", SimpleNamespace(**{**vars(subprocess), "Popen": popen}))


#: Where the next process is forked, and where the next machine is, where that is known.
_place = _machines = ""


def belong_to(run: str) -> None:
    """Let this process and its forks have processes forked for a run of tests."""
    global _place, _machines
    _place, _machines = commands_of(run), machines_of(run)


@cache
def _parent(_: int) -> str:
    """The address of the process that forks: one for all workers of a run (`RUN`), and it ends when the run does."""
    address = commands_of(os.environ.get(RUN, token_hex(8)))
    of_run = int(os.environ.get(RUN, os.getpid()))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as requests, Path(__file__).open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # whoever finds the address taken finds a listener too
        try:
            requests.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return address  # another worker has started it
        requests.listen(64)
        subprocess.Popen(
            [sys.executable, "-m", "tests.forked", str(requests.fileno()), str(of_run), " " * ROOM],
            pass_fds=[requests.fileno()],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,
        )
    return address


def load_machines() -> None:
    """Import what simulated machines are."""
    importlib.import_module("lpmkit.simulator.__main__")
    importlib.import_module("lpmkit.simulator.partition")


def load() -> None:
    """Import what is forked, and read what most of it would read by itself: phrases, codes, templates, the form of a
    survey.
    """
    for name in PRELOADED:
        importlib.import_module(name)
    from lpmkit.control.codes import explain  # noqa: PLC0415 - loaded above
    from lpmkit.report.templates import page_template  # noqa: PLC0415
    from lpmkit.survey.model import _kept_form  # noqa: PLC0415
    from lpmkit.wording.words import words_of  # noqa: PLC0415

    words_of("de").said("yes")
    explain("HSCLA27C")
    page_template("report.html.j2")
    _kept_form()


def serve_commands(requests: socket.socket, of_run: int) -> None:
    """Fork commands of lpmkit, and let them fork what they start; see `serve`."""
    global _place  # noqa: PLW0603 - as above
    _place = _place or requests.getsockname().decode()
    wait_for_no_disk()
    for name in STARTERS:
        if name in sys.modules:
            forking(sys.modules[name]).start()
    serve(requests, of_run)


def serve(requests: socket.socket, of_run: int) -> None:
    """Fork a process for each request, and tell its process id and then its status, until the run's process ends."""
    ended = os.pidfd_open(of_run)
    gc.collect()
    gc.freeze()  # what is shared is not looked through again by each of them, and so stays shared
    waiting = selectors.DefaultSelector()
    waiting.register(requests, selectors.EVENT_READ)
    waiting.register(ended, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.fileobj == ended:
                return
            if key.data is not None:
                pid, reply = key.data
                waiting.unregister(key.fd)
                os.close(key.fd)
                _tell(reply, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                reply.close()
                continue
            wire, _ = requests.accept()
            with wire:
                data, descriptors, _, _ = socket.recv_fds(wire, LONGEST, 4 + MOST_HANDED)
            if not data:
                continue  # killed while it asked
            pid = os.fork()
            if pid == 0:
                _become(json.loads(data), descriptors)
            answer = descriptors.pop(3)
            for descriptor in descriptors:
                os.close(descriptor)
            reply = socket.socket(fileno=answer)
            _tell(reply, pid)
            waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, reply))


def _tell(reply: socket.socket, number: int) -> None:
    try:
        reply.send(str(number).encode())
    except (BrokenPipeError, ConnectionResetError):
        return  # who started this process has ended, and nobody waits for it any more


def _become(request: dict[str, Any], descriptors: Sequence[int]) -> NoReturn:
    """Turn this process into the one that was asked for."""
    status = 1
    # ignored where the tests were started in the background; a person at a terminal can interrupt
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if request["session"]:
            os.setsid()
        _take([*descriptors[:3], *descriptors[4:]], [0, 1, 2, *request["handed"]])
        os.environ.clear()
        os.environ.update(request["environment"])
        time.tzset()
        os.chdir(request["folder"])
        sys.stdin = os.fdopen(0, encoding="utf-8")
        sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8") for number in (1, 2))
        _show_as([sys.executable, "-m", request["module"], *request["arguments"]])
        name = f"{request['module']}.__main__" if request["module"] == "lpmkit.simulator" else request["module"]
        module = importlib.import_module(name)  # loaded already; what asks for processes needs none of it
        sys.argv = ["lpmkit", *request["arguments"]]
        sys.modules["__main__"] = module  # a driver's process of its own imports this one anew
        if name == "lpmkit.simulator.partition":
            module.main([request["arguments"][0], str(os.getppid())])  # the kernel ends it with the process that forks
        else:
            module.main(**({"prog_name": "lpmkit"} if name == "lpmkit.cli" else {}))
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 - the last frame of the process: as the interpreter ends it
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _take(descriptors: Sequence[int], numbers: Sequence[int]) -> None:
    """Give what was sent the numbers that it had, and close everything else."""
    above = max(*numbers, *descriptors) + 1
    sent = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, above) for descriptor in descriptors]
    os.closerange(0, above)
    for descriptor, number in zip(sent, numbers, strict=True):
        os.dup2(descriptor, number)
    os.closerange(above, os.sysconf("SC_OPEN_MAX"))


def _show_as(command: Sequence[str]) -> None:
    """Put a command line where the kernel has this process' own (fields 48 and 49 of its ``stat``)."""
    begin, end = map(int, Path("/proc/self/stat").read_text().rpartition(")")[2].split()[45:47])
    line = b"\0".join(os.fsencode(word) for word in command)
    if len(line) < end - begin:
        ctypes.memmove(begin, line.ljust(end - begin, b"\0"), end - begin)


if __name__ == "__main__":
    load()
    serve_commands(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))
