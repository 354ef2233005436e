"""Instances that hold no ABAP: what runs in each kind, and what `GetSystemInstanceList` calls it (`SUSE-EXPORTER`).

Their start services refuse what only a dispatcher could tell, and those without an enqueue server what only that could.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Program:
    """A program of an instance: as its start service calls it, and what its process is called by ``ps``."""

    name: str
    process: str
    description: str


@dataclass(frozen=True, slots=True)
class InstanceKind:
    """A kind of instance. ``nodes`` are the Java nodes under its ``jstart``."""

    prefix: str
    features: str
    programs: tuple[Program, ...]
    nodes: tuple[str, ...] = ()
    keeps_locks: bool = False


MESSAGE_SERVER = Program("msg_server", "ms.sap", "MessageServer")
KINDS: Mapping[str, InstanceKind] = {
    "ascs": InstanceKind(
        "ASCS",
        "MESSAGESERVER|ENQUE",
        (MESSAGE_SERVER, Program("enserver", "en.sap", "EnqueueServer")),
        keeps_locks=True,
    ),
    "ascs2": InstanceKind(
        "ASCS",
        "MESSAGESERVER|ENQUE",
        (MESSAGE_SERVER, Program("enq_server", "enq.sap", "Enqueue Server 2")),
        keeps_locks=True,
    ),
    "ers": InstanceKind("ERS", "ENQREP", (Program("enrepserver", "er.sap", "EnqueueReplicator"),)),
    "ers2": InstanceKind("ERS", "ENQREP", (Program("enq_replicator", "enqr.sap", "Enqueue Replicator 2"),)),
    "java": InstanceKind(
        "J",
        "J2EE|IGS",
        (Program("jstart", "jc.sap", "J2EE Server"), Program("igswd_mt", "ig.sap", "IGS Watchdog")),
        nodes=("server0", "server1", "icm"),
    ),
    "webdispatcher": InstanceKind("W", "WEBDISP", (Program("sapwebdisp", "wd.sap", "Web Dispatcher"),)),
}
