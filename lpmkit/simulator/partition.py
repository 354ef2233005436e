"""The process that a partition is: its SSH port and everything in it. Started by `host.ProcessHost`, never by hand.

It hears of the world through one socket, a JSON object a line. When that ends, or the chassis process does, it ends too,
with everything that it started.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lpmkit.simulator import partition_files, partition_perl, recalled
from lpmkit.simulator.chassis import LoggedError
from lpmkit.simulator.faults import Fault, FaultBook
from lpmkit.simulator.guest import Guest, Identity, from_json
from lpmkit.simulator.oracle.faces import Oracle
from lpmkit.simulator.shells import aix
from lpmkit.simulator.shells.grammar import Command
from lpmkit.simulator.shells.reply import Context
from lpmkit.simulator.shells.runner import Io, Shell, answer
from lpmkit.simulator.sshd import SshServer

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends, even when this one is stopped."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Wire:
    """The line to the chassis. What it says is taken in before every command, so a resumed partition is never stale."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._lock = threading.Lock()
        self._rest = b""

    def first(self) -> dict[str, Any]:
        """The settings, which come first; waits for them."""
        while b"\n" not in self._rest:
            data = self._socket.recv(65536)
            if not data:
                raise EOFError
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        settings: dict[str, Any] = json.loads(line)
        return settings

    def say(self, message: Mapping[str, Any]) -> None:
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def wait(self) -> None:
        select.select([self._socket], [], [])

    def news(self) -> list[dict[str, Any]]:
        """What has come, without waiting. Raises `EOFError` when the chassis has gone."""
        with self._lock:
            while select.select([self._socket], [], [], 0)[0]:
                data = self._socket.recv(65536)
                if not data:
                    raise EOFError
                self._rest += data
            *whole, self._rest = self._rest.split(b"\n")
        return [json.loads(line) for line in whole if line]


class AixMachine:
    """The AIX of the partition: its state, its files, its ``perl``."""

    def __init__(self, guest: Guest, wire: Wire, root: Path) -> None:
        self.guest, self.wire, self.root = guest, wire, root
        self.server: SshServer | None = None
        self.oracle: Oracle | None = None
        self._lock = threading.Lock()

    def prompt(self) -> str:
        return "# "

    def run(self, command: Command, io: Io, context: Context) -> int:
        self.catch_up()
        words = command.words
        if self.oracle is not None and self.oracle.knows(words):
            return self.oracle.run(words, io)
        if words[0] in ("perl", "/usr/bin/perl"):
            return partition_perl.run(words[1:], io, self.root)
        read_file = partition_files.HANDLERS.get(words[0])
        if read_file is not None:
            return read_file(self.root, words[1:], io)
        return answer(aix.run(self.guest, words, context), words[0], io)

    def catch_up(self) -> None:
        """Take in what the chassis has said."""
        with self._lock:
            try:
                for message in self.wire.news():
                    self._take(message)
            except EOFError:
                end()

    def _take(self, message: Mapping[str, Any]) -> None:
        if "drop" in message and self.server is not None:
            self.server.drop(float(message["drop"]))
            return
        if "oracle" in message and self.oracle is not None:
            self.oracle.instance.do(str(message["oracle"]))
            return
        identity = message.get("identity")
        errors = tuple(LoggedError(**error) for error in message.get("errors", ()))
        self.guest = self.guest.taking(None if identity is None else Identity(**identity), errors)
        if message.get("syslog"):
            partition_files.append(self.root, recalled.SYSLOG, str(message["syslog"]))


def end() -> None:
    """End this process and everything that it started."""
    os.killpg(0, signal.SIGKILL)


def main(arguments: list[str]) -> None:
    die_with_parent()
    if os.getppid() != int(arguments[1]):
        return  # the chassis was gone before we could ask to go with it
    wire = Wire(socket.socket(fileno=int(arguments[0])))
    settings = wire.first()
    guest, root = from_json(settings["guest"]), Path(settings["root"])
    partition_files.furnish(root, guest)
    machine = AixMachine(guest, wire, root)
    if guest.oracle_sid:
        machine.oracle = Oracle(guest, root, settings["user"], settings["address"])
    book = FaultBook(Fault(**fault) for fault in settings["faults"])

    def login(interactive: bool, variables: Mapping[str, str]) -> Shell:
        kept = {"HOME": "/", "PATH": "/usr/bin:/usr/sbin", "LOGNAME": "root", **variables}
        return Shell(machine, lambda text: book.on_command(guest.name, text), interactive, kept)

    keys = {base64.b64decode(key) for key in settings["keys"]}
    server = SshServer(guest.name, settings["user"], Path(settings["host_key"]), keys, login, settings["address"])
    machine.server = server
    server.start()
    wire.say({"port": server.port, **({"oracle": machine.oracle.port} if machine.oracle else {})})
    while True:
        wire.wait()
        machine.catch_up()


if __name__ == "__main__":
    main(sys.argv[1:])
