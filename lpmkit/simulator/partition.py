"""The process that a partition is: its SSH port and everything in it. Started by `host.ProcessHost`, never by hand.

It hears of the world through one socket, a JSON object a line. When that ends, or the chassis process does, it ends
too, with everything that it started.
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
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lpmkit.simulator import partition_files, partition_perl
from lpmkit.simulator.chassis import Chassis, LoggedError
from lpmkit.simulator.faults import Fault, FaultBook
from lpmkit.simulator.guest import Guest, Identity, from_json, identity
from lpmkit.simulator.oracle.faces import Oracle
from lpmkit.simulator.sap.faces import short_name
from lpmkit.simulator.sap.running import RunningSap
from lpmkit.simulator.shells import aix, aix_system, linux
from lpmkit.simulator.shells.grammar import Command
from lpmkit.simulator.shells.options import read as options_of
from lpmkit.simulator.shells.reply import Context, Reply
from lpmkit.simulator.shells.runner import Captured, Io, Shell, answer, read_all, write
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
        """The messages that have come, without waiting. Raises `EOFError` when the chassis has gone."""
        with self._lock:
            while select.select([self._socket], [], [], 0)[0]:
                data = self._socket.recv(65536)
                if not data:
                    raise EOFError
                self._rest += data
            *whole, self._rest = self._rest.split(b"\n")
        return [json.loads(line) for line in whole if line]


class Neighbour:
    """The line to a chassis in the same process, for a partition that has none of its own: who it is, whenever that
    has changed.
    """

    def __init__(self, chassis: Chassis, name: str) -> None:
        self._chassis, self._name = chassis, name
        self._said: Identity | None = None

    def news(self) -> list[dict[str, Any]]:
        world = self._chassis.world
        found = world.home(self._name)
        here = None if found is None else identity(world.frame(found.frame), found.lpar_id)
        if here is None or here == self._said:
            return []
        self._said = here
        return [{"identity": asdict(here)}]


class AixMachine:
    """AIX or Linux in the partition: its state, its files, its ``perl``, and what is installed in it."""

    def __init__(self, guest: Guest, wire: Wire | Neighbour, root: Path, book: FaultBook, address: str) -> None:
        self.guest, self.wire, self.root, self.book, self.address = guest, wire, root, book, address
        self.server: SshServer | None = None
        self.oracle: Oracle | None = None
        self.sap: RunningSap | None = None
        self._lock = threading.Lock()
        self._news_for_sap: list[Fault | None] = []

    def prompt(self) -> str:
        return "# "

    def login(self, user: str, interactive: bool, variables: Mapping[str, str]) -> Shell:
        """A shell of one of the users that may log in."""
        home = "/" if user == "root" else f"/home/{user}"
        kept = {"HOME": home, "PATH": "/usr/bin:/usr/sbin", "LOGNAME": user, **variables}
        seat = self if user == "root" else UserSeat(self, user)
        return Shell(seat, lambda text: self.book.on_command(self.guest.name, text), interactive, kept)

    def as_administrator(self, line: str) -> tuple[str, int]:
        """The output of a command line for ``<sid>adm``, errors and all, and its status (SXPG runs commands so)."""
        io = Captured()
        user = self.guest.sap.administrator if self.guest.sap is not None else "root"
        status = self.login(user, False, {}).execute(line, io)
        return (io.stdout + io.stderr).decode("utf-8", "replace"), status

    def connect(self, destination: int | str) -> socket.socket:
        """A connection to one of this system's own ports or UNIX sockets, for who forwards through SSH.

        Raises `OSError`.
        """
        if isinstance(destination, int):
            made = socket.create_connection((self.address, destination), timeout=10)
            made.settimeout(None)
            return made
        path = partition_files.inside(self.root, destination)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(short_name(path))
        except OSError:
            connection.close()
            raise
        return connection

    def present_machine_id(self) -> str:
        """``uname -m`` as it is after everything that the chassis has said."""
        self.catch_up()
        return self.guest.identity.machine_id

    # one return for each program
    def run(self, command: Command, io: Io, context: Context, user: str = "root") -> int:  # noqa: PLR0911
        self.catch_up()
        words = command.words
        if self.oracle is not None and self.oracle.knows(words):
            return self.oracle.run(words, io, user)
        if words[0] in ("su", "/usr/bin/su"):
            return self._switch_user(words[1:], io, user)
        if tuple(words[:2]) == ("sh", "-c") and len(words) == 3:
            return self.login(user, False, {}).execute(words[2], io)
        if tuple(words[:2]) == ("ps", "eww") and len(words) == 3:
            home = partition_files.oracle_home(self.guest)
            environment = f"ORACLE_SID={self.guest.oracle_sid} ORACLE_HOME={home} PATH=/usr/bin:{home}/bin"
            others = self.sap.processes() if self.sap is not None else ()
            return write(io, aix_system.ps_with_environment(self.guest, words[2], context, user, environment, others))
        lister = {"ps": aix_system.ps, "topas": aix_system.topas}.get(words[0].rsplit("/", 1)[-1])
        if lister is not None and self.sap is not None:
            return write(io, lister(self.guest, words[1:], context, self.sap.processes()))
        if words[0] in ("perl", "/usr/bin/perl"):
            return partition_perl.run(words[1:], io, self.root)
        told = linux.run(self.guest, words, context) if self.guest.is_linux else None
        read_file = partition_files.HANDLERS.get(words[0])
        if told is not None and (read_file is None or words[0] == "cat"):
            return write(io, told)
        if read_file is not None:
            return read_file(self.root, words[1:], io)
        if self.sap is not None and (user != "root" or "/" in words[0]):
            name = words[0].rsplit("/", 1)[-1]
            reply = self.sap.command(name, words[1:], lambda: read_all(io), lambda: bool(io.closed.wait()))
            if reply is not None:
                return write(io, reply)
        return answer(aix.run(self.guest, words, context, user), words[0], io)

    def _switch_user(self, words: Sequence[str], io: Io, user: str) -> int:
        """``su - USER -c COMMAND`` by root, for whoever may log in."""
        options = options_of([word for word in words if word != "-"], "-c")
        target = options.words[0] if options.words else "root"
        known = {"root"} | ({self.guest.sap.administrator} if self.guest.sap is not None else set())
        if user != "root" or target not in known or options["-c"] is None:
            return write(io, Reply(err="3004-300 You entered an invalid login name or password.\n", status=1))
        return self.login(target, False, {}).execute(options["-c"], io)

    def catch_up(self) -> None:
        """Take in what the chassis has said."""
        with self._lock:
            try:
                for message in self.wire.news():
                    self._take(message)
            except EOFError:
                end()
            told, self._news_for_sap = self._news_for_sap, []
        # Outside the lock, for the SAP system has one of its own and asks us things under it.
        for fault in told:
            if self.sap is not None and fault is None:
                self.sap.moved()
            elif self.sap is not None and fault is not None:
                self.sap.happen(fault)

    def _take(self, message: Mapping[str, Any]) -> None:
        if "drop" in message and self.server is not None:
            self.server.drop(float(message["drop"]))
            return
        if "oracle" in message and self.oracle is not None:
            self.oracle.instance.do(str(message["oracle"]))
        if "fault" in message:
            self._news_for_sap.append(Fault(**message["fault"]))
            return
        told = message.get("identity")
        errors = tuple(LoggedError(**error) for error in message.get("errors", ()))
        self.guest = self.guest.taking(None if told is None else Identity(**told), errors)
        if told is not None:
            self._news_for_sap.append(None)
        for name, line in message.get("logs", {}).items():
            partition_files.append(self.root, name, str(line))


class UserSeat:
    """The machine as another user than root sees it."""

    def __init__(self, machine: AixMachine, user: str) -> None:
        self._machine, self._user = machine, user

    def prompt(self) -> str:
        return "$ "

    def run(self, command: Command, io: Io, context: Context) -> int:
        return self._machine.run(command, io, context, self._user)


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
    book = FaultBook(Fault(**fault) for fault in settings["faults"])
    machine = AixMachine(guest, wire, root, book, settings["address"])
    users, ports = [settings["user"]], dict[str, int]()
    if guest.sap is not None:
        machine.sap = RunningSap(
            guest,
            guest.sap,
            machine.book,
            root,
            settings["address"],
            machine.present_machine_id,
            machine.as_administrator,
            settings["tls"],
        )
        machine.sap.start()
        users.append(guest.sap.administrator)
        ports |= machine.sap.numbers
    if guest.oracle_sid:
        machine.oracle = Oracle(guest, root, settings["user"], settings["address"], settings["password"])
        ports["oracle"] = machine.oracle.port
    keys = {base64.b64decode(key) for key in settings["keys"]}
    server = SshServer(
        guest.name,
        users,
        Path(settings["host_key"]),
        keys,
        machine.login,
        settings["address"],
        machine.connect,
        settings["round_trip_s"],
    )
    machine.server = server
    server.start()
    wire.say({"port": server.port, "ports": ports})
    while True:
        wire.wait()
        machine.catch_up()


if __name__ == "__main__":
    main(sys.argv[1:])
