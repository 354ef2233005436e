"""The SAP system of a partition, running: the model, what drives it, and its faces.

What `partition` knows of SAP is this.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lpmkit.simulator.faults import Fault, FaultBook
from lpmkit.simulator.guest import Guest
from lpmkit.simulator.sap import command_line, dispatcher, startsrv
from lpmkit.simulator.sap.faces import Ports
from lpmkit.simulator.sap.http_face import web
from lpmkit.simulator.sap.installation import Installation
from lpmkit.simulator.sap.mishaps import AT_THE_MOVE, strike
from lpmkit.simulator.sap.operations import Seat
from lpmkit.simulator.sap.recalled import SERVER_HEADER
from lpmkit.simulator.sap.rfc import Execute, SoapRfc
from lpmkit.simulator.sap.system import Heart, System
from lpmkit.simulator.shells.aix_system import Process
from lpmkit.simulator.shells.reply import Reply

GSOAP = "gSOAP/2.7"
KEEPALIVE_S, KEEPALIVE_TIMEOUT_S = 1200.0, 60.0
"""``rdisp/keepalive`` and ``rdisp/keepalive_timeout`` (`SAPNOTE:27320`, as quoted)."""


def _context(tls: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls["certificate"], tls["key"])
    return context


class RunningSap:
    """Start it once; then it lives in threads of this process and stands still with it.

    ``machine_id`` is asked for the present ``uname -m``.
    """

    def __init__(
        self,
        guest: Guest,
        installed: Installation,
        book: FaultBook,
        root: Path,
        address: str,
        machine_id: Callable[[], str],
        execute: Execute,
        tls: Mapping[str, str] | None = None,
    ) -> None:
        self._installed, self._book, self._root, self._host = installed, book, root, guest.name
        german = book.on_sap("sap-german") is not None
        self.system = System(installed, guest.name, guest.boot_wall_s, time.time(), machine_id, german)
        self._ports = Ports(address)
        self._execute = execute
        self._tls = None if tls is None else _context(tls)

    @property
    def numbers(self) -> dict[str, int]:
        """The ports by name, as they really are."""
        return dict(self._ports.numbers)

    def start(self) -> None:
        installed, ports = self._installed, self._installed.ports
        talk = dispatcher.serve(KEEPALIVE_S, KEEPALIVE_TIMEOUT_S, self._dead)
        if installed.other is None or installed.other.keeps_locks:
            self._ports.listen("message_server", installed.services_ports.message_server, talk)
        if installed.other is None:
            self._ports.listen("dispatcher", ports.dispatcher, talk)
            self._ports.listen("gateway", ports.gateway, talk)
            icm = SERVER_HEADER[not installed.has_start_service].format(kernel=installed.kernel)
            self._ports.listen(
                "http",
                ports.http,
                web(SoapRfc(self.system, self._execute, lambda: self._strikes("sap-soap-stateless")).answer, icm),
            )
        if installed.has_start_service:
            self._start_service("start_service", Seat(self.system, central=False))
            if not installed.classic:
                self._start_service("start_service_central", Seat(self.system, central=True))
        self._ports.start()
        Heart(self.system).start()

    def _start_service(self, name: str, seat: Seat) -> None:
        numbers = self._installed.services_ports if seat.central else self._installed.ports
        self._ports.listen(name, numbers.start_service, web(startsrv.serve(seat, self._strikes, trusted=False), GSOAP))
        if self._tls is not None:
            secured = web(startsrv.serve(seat, self._strikes, trusted=False), GSOAP, self._tls)
            self._ports.listen(f"{name}_tls", numbers.start_service_tls, secured)
        # The local socket asks for no password, for only <sid>adm and root can open it (`TRENTO`).
        local = self._root / "tmp" / f".sapstream{numbers.start_service}"
        self._ports.listen_locally(
            f"{name}_local", local, web(startsrv.serve(seat, self._strikes, trusted=True), GSOAP)
        )

    def moved(self) -> None:
        """The partition runs on another frame now: what was to happen then happens."""
        for effect in AT_THE_MOVE:
            fault = self._book.on_sap(effect)
            if fault is not None:
                self.happen(fault)

    def happen(self, fault: Fault) -> None:
        """Let a fault come into force now."""
        if fault.effect not in AT_THE_MOVE:
            self._book.add(fault)
            self.system.german = self.system.german or fault.effect == "sap-german"
            return
        strike(self.system, fault.effect, fault.object)
        if not self.system.dispatcher_runs:
            self._ports.close("dispatcher", "gateway", "http")
        if not self.system.start_service_runs:
            self._ports.close(*(name for name in self._ports.names if name.startswith("start_service")))

    def _strikes(self, effect: str) -> bool:
        return self._book.on_sap(effect) is not None

    def _dead(self, address: str) -> None:
        """A GUI that did not answer the dispatcher's ping is cut off."""
        self.system.log("Q04", time.time(), kind="DIA", number=99, user="", terminal=address)

    def command(
        self, name: str, arguments: Sequence[str], stdin: Callable[[], str], hang: Callable[[], object]
    ) -> Reply | None:
        """Answer a command of the SAP kernel; ``None`` when there is none of that name."""
        if name == "sapcontrol" and self._strikes("sapstartsrv-hangs"):
            hang()
            return Reply(status=130)
        return command_line.run(self.system, name, arguments, stdin)

    def processes(self) -> list[Process]:
        """For ``ps``: under ``<sid>adm``, those that live."""
        user = self._installed.administrator
        found = [*self.system.processes(), *self.system.unwatched()]
        return [
            Process(user, each.pid, each.parent, each.arguments.split()[0], each.arguments, each.started_s)
            for each in found
            if each.running
        ]
