"""Probes: what asks the workload for a sign of life, on a schedule, without ever waiting for the last answer.

They run in a process of their own (`lpmkit.probes.process`), apart from whatever draws pictures or talks to managers. A `ProbeOrder` says
which probe watches which host; `plan` makes the usual set for a partition of the site. Every probe owes a `Sample` for each tick of
its schedule, also for the ticks that nobody answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from lpmkit.timeline import Sample

if TYPE_CHECKING:
    # a probes' process reads no site file
    from lpmkit.config import PaceSettings, PartitionSettings, SapSystemSettings, Site

#: The names of the paces. During a move the recorder changes between the first two; see `lpmkit.recorder.rate_policy`.
QUICK, CALM, WATCH = "quick", "calm", "watch"


#: No probe looks more often than the ticks at their highest rate.
MIN_INTERVAL_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """How often one probe looks. ``batch_ns``: how long a host gathers its ticks before it sends them."""

    interval_ns: int
    batch_ns: int = 100_000_000


@dataclass(frozen=True, slots=True)
class ProbeOrder:
    """One probe to be run: its name in the record, its kind, the host as after ``ssh``, and how often.

    ``interval_ns`` and ``batch_ns`` hold from the start, under the name ``pace``; ``paces`` are the others that it can be told to keep. ``ssh_config`` is
    the OpenSSH configuration to use, ``password`` a reference for `lpmkit.ssh.secrets.Secrets`. The observer's own ticker has no host.

    Probes of one ``group`` share a process; the usual ones have none and keep theirs small, so whatever needs a heavy library gets a group of its own.
    ``options`` are what a kind needs beyond this, as JSON values; secrets in them are references. ``lasts_s`` is how long after the tail a probe goes on.
    """

    name: str
    kind: str
    interval_ns: int
    host: str = ""
    about: str = ""
    ssh_config: str | None = None
    password: str | None = None
    batch_ns: int = 100_000_000
    pace: str = WATCH
    paces: Mapping[str, Rate] = field(default_factory=dict)
    group: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    lasts_s: float = 0.0

    def as_data(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> ProbeOrder:
        paces = {name: Rate(**pace) for name, pace in data.get("paces", {}).items()}
        return cls(**{**data, "paces": paces})


def _is_rate(value: Any) -> TypeGuard[int]:
    return type(value) is int and value >= MIN_INTERVAL_NS


def with_rates(probes: Sequence[ProbeOrder], recorded: Sequence[Any]) -> tuple[ProbeOrder, ...]:
    """The same probes at the rates of the ``recorded`` ones (JSON values of a folder) of the same name and kind; what is no rate is left out."""
    rates = {one.get("name"): one for one in recorded if isinstance(one, Mapping)}
    found = []
    for probe in probes:
        data = rates.get(probe.name) or {}
        interval_ns, batch_ns = data.get("interval_ns"), data.get("batch_ns")
        if data.get("kind") == probe.kind and _is_rate(interval_ns) and _is_rate(batch_ns):
            found.append(replace(probe, interval_ns=interval_ns, batch_ns=batch_ns))
        else:
            found.append(probe)
    return tuple(found)


class Sink(Protocol):
    """Where a probe puts what it sees. Safe to call from any thread."""

    def sample(self, probe: str, sample: Sample) -> None: ...

    def event(self, probe: str, kind: str, /, **data: Any) -> None: ...

    def observation(self, probe: str, row: Mapping[str, Any], /) -> None:
        """A state that was asked for, as JSON values; it goes to ``observations/`` and not among the events."""
        ...


#: What each kind of probe tells, for the report: (what it is, resolution, bias).
KINDS: Mapping[str, tuple[str, str]] = {
    "ticks": (
        "ticks stamped inside the partition on an absolute schedule, sent over SSH",
        "one tick; begin uncertain by a tick, end almost not; both of its clocks are kept",
    ),
    "echo": (
        "a line asked and answered over an SSH session that stays open",
        "one interval; includes what TCP waits before it sends again: what a logged-in user feels",
    ),
    "connect": (
        "a new TCP connection that waits for the SSH banner",
        "one interval; counts only when the service itself speaks, not when its kernel accepts",
    ),
    "icmp": (
        "echo requests that the kernel of the host answers, stamped by ours when the reply comes in",
        "one interval; needs no process in the partition; says nothing of a partition whose kernel runs and whose processes do not",
    ),
    "ni": (
        "a ping asked and answered over a connection to the SAP dispatcher that stays open",
        "one interval; includes what TCP waits before it sends again: what a SAP GUI user feels",
    ),
    "sap": (
        "a SAP system's jobs, work processes, queues, users and logs, asked for by whichever way answers",
        "its interval in the site file; says what became of the work, not when it stood still",
    ),
    "sql": (
        "a session with the database that stays open and is asked who it is",
        "one interval; a session is a queue: what falls due meanwhile waits; includes what TCP waits before it sends again",
    ),
    "commit": (
        "a row that is changed and committed over a session that stays open",
        "one interval; the answer comes when redo is on disk",
    ),
    "logon": (
        "a fresh logon to the database, aborted at its limit",
        "one interval; whether people can log on, not when the host stood still",
    ),
    "tnsping": (
        "a ping of the database's listener, without a user",
        "one interval; speaks for the listener only",
    ),
    "db-state": (
        "what the database says of its sessions, waits, redo, standby and disks",
        "its interval; says what became of the work, not when it stood still",
    ),
    "alert": (
        "the alert log and the traces of VKTM and the log writer, as they grow",
        "whole seconds up to 12.1, microseconds later; the traces tell lengths of their own",
    ),
    "observer": (
        "our own idle ticker in a process of its own",
        "shows when this machine stood still, not the partition",
    ),
}

OBSERVER = ProbeOrder(name="observer", kind="observer", interval_ns=5_000_000, about=KINDS["observer"][0])


#: In the bulk of a copy the dispatcher is asked no more often than the other sessions.
CALM_NI_NS = 500_000_000


def sap_plan(site: Site, partition: str, *, suffix: str = "") -> tuple[ProbeOrder, ...]:
    """The probes of the SAP systems in a partition: a light one for each dispatcher, and one for each system's states in a process of its own.

    Raises `lpmkit.errors.SiteFileError` where a site's own rules cannot be understood.
    """
    from lpmkit.sap.rules import SapRules  # noqa: PLC0415 - a probes' process judges nothing

    found = []
    for sid, settings in site.sap_of(partition).items():
        host = sap_host(site, settings)
        ssh_config = str(site.ssh_config) if site.ssh_config else None
        often_ns = settings.ni_interval_ms * 1_000_000
        numbers = settings.instances if settings.dispatchers is None else settings.dispatchers
        for number in numbers:
            found.append(
                ProbeOrder(
                    name=f"sap-ni-{sid}-{number}{suffix}",
                    kind="ni",
                    interval_ns=often_ns,
                    host=host,
                    about=KINDS["ni"][0],
                    ssh_config=ssh_config,
                    options={"port": settings.dispatcher_ports.get(number, int(f"32{number}"))},
                    pace=QUICK,
                    paces={QUICK: Rate(often_ns), CALM: Rate(max(often_ns, CALM_NI_NS))},
                )
            )
        found.append(
            ProbeOrder(
                name=f"sap-{sid}{suffix}",
                kind="sap",
                interval_ns=int(settings.shortest_s * 1e9),
                host=host,
                about=KINDS["sap"][0],
                ssh_config=ssh_config,
                group="sap",
                options={
                    "sid": sid,
                    "settings": settings.model_dump(mode="json"),
                    "rules": SapRules.form.checked_text(settings.rules),
                },
                lasts_s=settings.watch_after_minutes * 60,
            )
        )
    return tuple(found)


def sap_host(site: Site, settings: SapSystemSettings) -> str:
    """What one types after ``ssh`` for a SAP system's host."""
    known = site.partitions.get(settings.partition)
    return settings.host or (known.host if known else settings.partition)


def plan(
    host_name: str,
    settings: PartitionSettings,
    ssh_config: Path | None,
    *,
    suffix: str = "",
    paces: Sequence[str] = (QUICK, CALM),
) -> tuple[ProbeOrder, ...]:
    """The usual probes for one host, which begin with the first of ``paces``. ``suffix`` tells several hosts of one watch apart (``@bxaix85``)."""
    kept = {name: _paces(getattr(settings, name)) for name in paces}
    names = {"ticks": "ssh-ticks", "echo": "ssh-echo", "connect": "tcp-connect", "icmp": "icmp"}
    return tuple(
        ProbeOrder(
            name=name + suffix,
            kind=kind,
            interval_ns=kept[paces[0]][kind].interval_ns,
            host=host_name,
            about=KINDS[kind][0],
            ssh_config=str(ssh_config) if ssh_config else None,
            password=settings.password,
            batch_ns=kept[paces[0]][kind].batch_ns,
            pace=paces[0],
            paces={pace: of[kind] for pace, of in kept.items()},
        )
        for kind, name in names.items()
    )


def _paces(settings: PaceSettings) -> dict[str, Rate]:
    """By kind of probe."""
    ms = 1_000_000
    return {
        "ticks": Rate(1_000_000_000 // settings.tick_hz, settings.tick_batch_ms * ms),
        "echo": Rate(settings.echo_interval_ms * ms),
        "connect": Rate(settings.connect_interval_ms * ms),
        "icmp": Rate(settings.icmp_interval_ms * ms),
    }
