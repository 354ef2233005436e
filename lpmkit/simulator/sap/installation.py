"""The SAP software that is installed in a partition. A value that travels as JSON; nothing in here happens.

The hardware key follows from ``uname -m`` (`SAP2048`), so every frame has its own; ``licensed`` are the ``uname -m`` of
those frames for whose key a permanent licence was installed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lpmkit.simulator.sap.kinds import KINDS, InstanceKind

FIRST_WITH_START_SERVICE = 700
"""sapstartsrv is no part of an ordinary 6.20 or 6.40 UNIX kernel (U, recalled)."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one instance, worked out of its number (`PYSAP`)."""

    number: str

    @property
    def dispatcher(self) -> int:
        return int(f"32{self.number}")

    @property
    def gateway(self) -> int:
        return int(f"33{self.number}")

    @property
    def message_server(self) -> int:
        return int(f"36{self.number}")

    @property
    def http(self) -> int:
        return int(f"80{self.number}")

    @property
    def start_service(self) -> int:
        return int(f"5{self.number}13")

    @property
    def start_service_tls(self) -> int:
        return int(f"5{self.number}14")


@dataclass(frozen=True, slots=True)
class Installation:
    """An ABAP system: its instance, and the instance of its central services where it has one of its own; or, with a
    ``kind`` of `kinds`, one instance that holds no ABAP.

    ``kernel`` and ``basis`` are releases as SAP writes them (``640``, ``753``). ``password`` opens ``<sid>adm`` at
    sapstartsrv and the RFC user.
    """

    sid: str
    number: str
    central_services: str = ""
    kernel: str = "640"
    basis: str = "620"
    patch: int = 221
    client: str = "100"
    language: str = "E"
    rfc_user: str = "LPMKIT"
    installation_number: str = "0020174255"
    password: str = ""
    licensed: tuple[str, ...] = ()
    kind: str = ""

    @property
    def other(self) -> InstanceKind | None:
        """The kind of an instance that is no ABAP instance."""
        return KINDS.get(self.kind)

    @property
    def keeps_locks_apart(self) -> bool:
        """True if an enqueue server of its own keeps the locks, which can have a replica."""
        return bool(self.central_services) if self.other is None else self.other.keeps_locks

    @property
    def administrator(self) -> str:
        return f"{self.sid.lower()}adm"

    @property
    def classic(self) -> bool:
        """A central instance with message server and enqueue work process, as 4.7 has it."""
        return not self.central_services

    @property
    def has_start_service(self) -> bool:
        return int(self.kernel) >= FIRST_WITH_START_SERVICE

    @property
    def instance(self) -> str:
        """``DVEBMGS00``, ``D00`` beside central services of its own, or what its kind is called."""
        if self.other is not None:
            return f"{self.other.prefix}{self.number}"
        return f"{'DVEBMGS' if self.classic else 'D'}{self.number}"

    @property
    def services_instance(self) -> str:
        return f"ASCS{self.central_services}"

    @property
    def ports(self) -> Ports:
        return Ports(self.number)

    @property
    def services_ports(self) -> Ports:
        return Ports(self.central_services or self.number)

    def server(self, host: str) -> str:
        """The name of the application server, ``host_SID_nn``."""
        return f"{host}_{self.sid}_{self.number}"

    def profile(self, host: str) -> str:
        return f"/usr/sap/{self.sid}/SYS/profile/{self.sid}_{self.instance}_{host}"

    def profiles(self, host: str) -> dict[str, list[str]]:
        """The profiles by their paths: the instance's own, that of central services, and what all have in common.

        Parameters and values are SAP's own (`SAP-HELP-ENQ`, `ITSITI-PFL`); which of them a site sets is made up.
        """
        folder = f"/usr/sap/{self.sid}/SYS/profile"
        common = [f"SAPSYSTEMNAME = {self.sid}", f"rdisp/mshost = {host}", "rdisp/keepalive_timeout = 60"]
        if not self.classic:
            common += [
                "enque/process_location = REMOTESA",
                f"enque/serverhost = {host}",
                f"enque/serverinst = {self.central_services}",
                "enque/deque_wait_answer = TRUE",
                "enque/con_timeout = 5000",
                "enque/con_retries = 120",
            ]
        own = [f"SAPSYSTEM = {self.number}", f"INSTANCE_NAME = {self.instance}", "rdisp/max_wprun_time = 3600"]
        found = {f"{folder}/DEFAULT.PFL": common, self.profile(host): ["# as the installation wrote it", *own]}
        if not self.classic:
            services = [f"SAPSYSTEM = {self.central_services}", f"INSTANCE_NAME = {self.services_instance}"]
            found[f"{folder}/{self.sid}_{self.services_instance}_{host}"] = services
        return found


def hardware_key(machine_id: str) -> str:
    """One letter and ten digits out of ``uname -m``.

    The real reckoning is SAP's secret; this one is as unlike itself for other machines.

    >>> hardware_key("000071DA4C00"), hardware_key("000072EA4C00")
    ('W0416184838', 'X4483709531')
    """
    number = int.from_bytes(hashlib.sha256(machine_id.encode("ascii")).digest()[:8], "big")
    return f"{'ABCDEFGHKLMNPQRSTUVWXYZ'[number % 23]}{number // 23 % 10**10:010d}"


def from_entry(entry: Mapping[str, Any]) -> Installation | None:
    """Read the ``sap:`` entry of a landscape; ``None`` when the partition has none."""
    if not entry:
        return None
    known = {"sid", "instance", "central_services", "kernel", "basis", "patch", "client", "language", "kind"}
    unknown = set(entry) - known
    if unknown:
        raise ValueError(f"sap: {', '.join(sorted(unknown))}")
    given: dict[str, Any] = {key: str(value) for key, value in entry.items() if key not in ("instance", "patch")}
    patch = int(entry.get("patch", 221))
    found = Installation(number=str(entry["instance"]), patch=patch, **given)
    if found.kind and (found.kind not in KINDS or found.central_services or not found.has_start_service):
        raise ValueError(f"sap: kind is one of {', '.join(KINDS)}, of kernel 700 and later, without central_services")
    if not found.classic and not found.has_start_service:
        raise ValueError("sap: central_services are of kernel 700 and later")
    return found
