"""The simulator as a whole: `Simulator` puts the chassis, the SSH ports, the partitions and the movers together."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lpmkit.simulator import guest, landscape, login, old_ssh, partition_files
from lpmkit.simulator.chassis import RUNNING, Chassis, Partition, World
from lpmkit.simulator.faults import KINDS, Fault, FaultBook, parse
from lpmkit.simulator.forwarding import Connect
from lpmkit.simulator.hmc_machine import HmcMachine
from lpmkit.simulator.host import ProcessHost
from lpmkit.simulator.isolation import VethLink
from lpmkit.simulator.loopback import Loopback
from lpmkit.simulator.migration import Movers
from lpmkit.simulator.old_ssh import OldTransport
from lpmkit.simulator.perturbation import perturb
from lpmkit.simulator.sap.installation import hardware_key
from lpmkit.simulator.shells.runner import Machine, Shell
from lpmkit.simulator.sshd import ShellFactory, SshServer
from lpmkit.simulator.truth import Truth
from lpmkit.simulator.vios_machine import ViosMachine

#: Where the password of the simulated SAP systems and databases may be given; made up otherwise. The site file refers
#: to it.
GIVEN_BY = "LPM_SIMULATOR_SAP_PASSWORD"


class Simulator:
    """Frames and what is on them, for as long as the ``with`` block lasts: blades under IVM, or servers under an HMC.

    ``directory`` receives keys, ``ssh_config`` and ``site.yaml``; without it a temporary one is made and removed at the
    end. ``speed`` shortens everything about a move but the suspension. ``seed`` makes moves repeatable. ``faults`` are
    `Fault` values or their text forms. ``isolate`` needs root. Every host is ``round_trip_s`` away from whoever logs
    in.

    Leaving the block ends every process and thread that it started, whatever state a move was in.
    """

    def __init__(
        self,
        landscape_file: Path | str | World | None = None,
        *,
        directory: Path | str | None = None,
        truth: Path | str | None = None,
        speed: float = 1.0,
        seed: int = 0,
        faults: Iterable[Fault | str] = (),
        isolate: bool = False,
        round_trip_s: float = 0.0,
    ) -> None:
        chosen = [parse(fault) if isinstance(fault, str) else fault for fault in faults]
        if isinstance(landscape_file, World):
            world = landscape_file
        else:
            world = landscape.load(None if landscape_file is None else Path(landscape_file))
        for fault in chosen:
            world = perturb(world, fault)
        self.chassis = Chassis(world)
        self.faults = FaultBook(chosen)
        self._given = chosen
        self._own_directory = directory is None
        self.directory = Path(directory) if directory is not None else Path(tempfile.mkdtemp(prefix="lpm-simulator-"))
        self.directory = self.directory.resolve()
        self.truth_path = Path(truth) if truth is not None else self.directory / "truth.jsonl"
        self.speed, self.seed, self.isolate, self.round_trip_s = speed, seed, isolate, round_trip_s
        self.ssh_config = self.directory / "ssh_config"
        self.site_file = self.directory / "site.yaml"
        self.hosts: dict[str, ProcessHost] = {}
        self.servers: dict[str, SshServer] = {}
        self._listeners: dict[str, str] = {}
        self._links: list[VethLink] = []
        self._loopbacks: list[Loopback] = []
        #: The address of every partition that runs, for its services.
        self.addresses: dict[str, str] = {}
        self.sap_password = os.environ.get(GIVEN_BY) or secrets.token_urlsafe(12)
        self._truth: Truth | None = None
        self._movers: Movers | None = None
        self._lock = threading.Lock()

    @property
    def world(self) -> World:
        """The world at this moment."""
        return self.chassis.world

    def start(self) -> Self:
        """Start everything; when this returns every host can be logged in to. On an error nothing is left behind."""
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def _start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        self._truth = Truth(self.truth_path)
        client = login.make_key(self.directory / "client_key")
        keys = {_wire_form(client)}
        blades = [frame for frame in self.world.frames if frame.hmc is None]
        names = [frame.vios.hostname for frame in blades] + [hmc.host for hmc in self.world.hmcs]
        names += [found.name for found in self.world.partitions if found.host]
        managers = {frame.vios.hostname for frame in blades} | {hmc.host for hmc in self.world.hmcs}
        old = managers if self.world.old_ssh else set[str]()
        host_keys = {name: login.make_key(self.directory / f"host_key_{name}", old=name in old) for name in names}
        addresses = [self._start_partition(found, keys) for found in self.world.partitions if found.host]
        movers = self._movers = Movers(
            self.chassis, self.faults, self._truth, self.hosts, self.drop, speed=self.speed, seed=self.seed
        )
        for frame in blades:
            machine = partial(ViosMachine, frame=frame.name)
            addresses.append(self._manager(frame.vios.hostname, "padmin", machine, keys, movers))
        for hmc in self.world.hmcs:
            console = partial(HmcMachine, hmc=hmc)
            addresses.append(self._manager(hmc.host, "hscroot", console, keys, movers))
        login.write_ssh_config(self.directory, sorted(addresses, key=lambda each: each.host), host_keys, old)
        login.write_site_file(self.directory, self.world, self._sap_faces(addresses), self._listeners, GIVEN_BY)
        self._truth.write("ready", landscape=self.world.name, speed=self.speed, seed=self.seed, isolated=self.isolate)

    def _sap_faces(self, addresses: list[login.Address]) -> list[login.SapFace]:
        """The SAP systems of the partitions that run, for the site file."""
        found: list[login.SapFace] = []
        for each in self.world.partitions:
            if each.sap is None or each.name not in self.hosts or each.sap.sid in {one.installed.sid for one in found}:
                continue  # two partitions of one name have one system between them in a site file
            keys = {
                frame.name: hardware_key(guest.identity(frame, each.lpar_id).machine_id) for frame in self.world.frames
            }
            address = next(one.address for one in addresses if one.host == each.name)
            found.append(login.SapFace(each.name, address, each.sap, self.hosts[each.name].ports, keys))
        return found

    def _manager(
        self, host: str, user: str, machine: Callable[[Chassis, Movers], Machine], keys: set[bytes], movers: Movers
    ) -> login.Address:
        """Start the SSH port of a manager; every login gets a machine of its own over the one chassis."""

        def shell(login_name: str, interactive: bool, variables: Mapping[str, str]) -> Shell:
            kept = {"HOME": f"/home/{user}", "LOGNAME": user, **variables}
            return Shell(machine(self.chassis, movers), lambda text: self._on_command(host, text), interactive, kept)

        return self._serve(host, user, keys, shell)

    def _on_command(self, host: str, text: str) -> list[Fault]:
        """Note each migration command in the truth, refused or not; the faults that strike it."""
        if self._truth is not None and "migrlpar" in text:
            self._truth.write("command", host=host, text=text)
        return self.faults.on_command(host, text)

    def _serve(
        self, host: str, user: str, keys: set[bytes], shell: ShellFactory, connect: Connect | None = None
    ) -> login.Address:
        """Open the SSH port of a host that answers from this process."""
        host_key = self.directory / f"host_key_{host}"
        is_old = self.world.old_ssh and user != "root"
        kind: dict[str, Any] = {"transport": OldTransport, "read_key": old_ssh.read_key} if is_old else {}
        server = SshServer(host, [user], host_key, keys, shell, connect=connect, round_trip_s=self.round_trip_s, **kind)
        server.start()
        self.servers[host] = server
        return login.Address(host, user, server.address, server.port)

    def _share(self, found: Partition, keys: set[bytes]) -> login.Address:
        """Let a partition answer from this process."""
        # with all that a partition may run
        from lpmkit.simulator.partition import AixMachine, Neighbour  # noqa: PLC0415

        root = self.directory / "partitions" / found.name
        inside = guest.install(self.world, found, time.time())
        partition_files.furnish(root, inside)
        machine = AixMachine(inside, Neighbour(self.chassis, found.name), root, self.faults, "127.0.0.1")
        return self._serve(found.name, "root", keys, machine.login, machine.connect)

    def _start_partition(self, found: Partition, keys: set[bytes]) -> login.Address:
        """Start a partition's process; one that does not run has an address where nobody listens."""
        if found.state != RUNNING:
            return login.Address(found.name, "root", "127.0.0.1", 9)
        if found.shared:
            return self._share(found, keys)
        link = None
        if self.isolate:
            link = VethLink.create()
            self._links.append(link)
            address = link.inside
        else:
            self._loopbacks.append(Loopback())
            address = self._loopbacks[-1].address
        self.addresses[found.name] = address
        root = self.directory / "partitions" / found.name
        root.mkdir(parents=True, exist_ok=True)
        settings: dict[str, Any] = {
            "guest": guest.install(self.world, found, time.time(), self.sap_password).to_json(),
            "root": str(root),
            "user": "root",
            "host_key": str(self.directory / f"host_key_{found.name}"),
            "keys": [base64.b64encode(key).decode() for key in keys],
            "address": address,
            "tls": self._certificate(found, address),
            "password": self.sap_password,
            "round_trip_s": self.round_trip_s,
            "faults": [fault.as_dict() for fault in self._given if KINDS[fault.effect].where in ("command", "sap")],
        }
        host = self.hosts[found.name] = ProcessHost(settings, self.directory / f"{found.name}.log", link)
        if "oracle" in host.ports:
            self._listeners[found.name] = f"{address}:{host.ports['oracle']}"
        return login.Address(found.name, "root", address, host.port)

    def _certificate(self, found: Partition, address: str) -> dict[str, str] | None:
        """The certificate of sapstartsrv, where the partition has one."""
        if found.sap is None or not found.sap.has_start_service:
            return None
        # x509 is loaded only where there is somebody to use it
        from lpmkit.simulator import certificates  # noqa: PLC0415

        made = certificates.make(self.directory, found.name, address)
        return {"certificate": str(made.certificate), "key": str(made.key)}

    def listener_of(self, partition: str) -> str:
        """The place where the database of a partition is reached: ``ADDRESS:PORT``."""
        return self._listeners[partition]

    def inject(self, fault: Fault | str) -> None:
        """Let a fault come into force now. On a partition's own command lines only faults given at the start strike."""
        made = parse(fault) if isinstance(fault, str) else fault
        if KINDS[made.effect].where == "sap":
            for host in self.hosts.values():
                host.inject(made.as_dict())
            return
        self.chassis.change(lambda world: perturb(world, made))
        self.faults.add(made)

    def drop(self, host: str, away_s: float = 2.0) -> None:
        """Close every SSH connection of a host and refuse new ones for a while."""
        if host in self.servers:
            self.servers[host].drop(away_s)
        elif host in self.hosts:
            self.hosts[host].drop(away_s)

    def close(self) -> None:
        """End everything. May be called more than once."""
        with self._lock:
            if self._movers is not None:
                self._movers.close()
            for server in self.servers.values():
                server.close()
            for host in self.hosts.values():
                host.close()
            for link in self._links:
                link.remove()
            for loopback in self._loopbacks:
                loopback.close()
            self._links.clear()
            self._loopbacks.clear()
            if self._truth is not None:
                self._truth.close()
            if self._own_directory:
                shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _wire_form(public: bytes) -> bytes:
    """The key's bytes as SSH compares them, out of its line in OpenSSH's form."""
    return base64.b64decode(public.split()[1])
