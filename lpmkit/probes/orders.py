"""Probe orders: which probe of which host runs at which rate.

Probes send requests on schedule without waiting for earlier replies. They run in processes of their own
(`lpmkit.probes.process`), apart from plots and managers. `plan` builds the usual set for a partition of the site. Every
probe yields a `Sample` for each tick of its schedule, answered or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.timeline import Sample

if TYPE_CHECKING:
    # a probes' process reads no site file
    from lpmkit.config import PaceSettings, PartitionSettings, Site
    from lpmkit.settings.sap import SapSystemSettings

#: Names of the rates. During a move the recorder changes between the first two; see `lpmkit.recorder.rate_policy`.
QUICK, CALM, WATCH = "quick", "calm", "watch"


#: Minimum interval of any probe: that of the ticks at their highest rate.
MIN_INTERVAL_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """Sampling rate of one probe. ``batch_ns`` is the interval at which a host sends its collected ticks."""

    interval_ns: int
    batch_ns: int = 100_000_000


@dataclass(frozen=True, slots=True)
class ProbeOrder:
    """One probe to run: name in the record, kind, host (as after ``ssh``), and rate.

    ``interval_ns`` and ``batch_ns`` apply from the start, under the name ``pace``; ``paces`` are the rates it can
    change to. ``ssh_config`` is the OpenSSH configuration, ``password`` a reference for
    `lpmkit.ssh.secrets.Secrets`. The observer has no host.

    Probes of one ``group`` share a process; the usual ones have no group and a small process, so a probe that needs
    a heavy library has a group. ``options`` are further settings of a kind as JSON values; secrets in them are
    references. ``lasts_s`` is the time for which a probe continues after the post-migration window.
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
    options: JsonMapping = field(default_factory=dict)
    lasts_s: float = 0.0

    def as_data(self) -> JsonObject:
        """The order as JSON values."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: JsonMapping) -> ProbeOrder:
        """Read what `as_data` returned."""
        paces = {name: Rate(**pace) for name, pace in data.get("paces", {}).items()}
        return cls(**{**data, "paces": paces})


def _is_rate(value: object) -> TypeGuard[int]:
    return type(value) is int and value >= MIN_INTERVAL_NS


def with_rates(probes: Sequence[ProbeOrder], recorded: Sequence[Any]) -> tuple[ProbeOrder, ...]:
    """The same probes at the rates of recorded ones (JSON values) with the same name and kind; invalid rates are
    ignored.

    """
    rates = {row.get("name"): row for row in recorded if isinstance(row, Mapping)}
    adjusted = []
    for probe in probes:
        data = rates.get(probe.name) or {}
        interval_ns, batch_ns = data.get("interval_ns"), data.get("batch_ns")
        if data.get("kind") == probe.kind and _is_rate(interval_ns) and _is_rate(batch_ns):
            adjusted.append(replace(probe, interval_ns=interval_ns, batch_ns=batch_ns))
        else:
            adjusted.append(probe)
    return tuple(adjusted)


class Sink(Protocol):
    """The destination of a probe's data. Safe to call from any thread."""

    def sample(self, probe: str, sample: Sample) -> None:
        """Record a sample."""
        ...

    def event(self, probe: str, kind: str, /, **data: Any) -> None:
        """Record an event."""
        ...

    def observation(self, probe: str, row: JsonMapping, /) -> None:
        """Record the reply to a query, as JSON values; stored in ``observations/``, not among the events."""
        ...


#: Description, and resolution with bias, of each kind of probe, for the report.
KINDS: Mapping[str, tuple[str, str]] = {
    "ticks": (
        "ticks stamped inside the partition on an absolute schedule, sent over SSH",
        "one tick; begin uncertain by a tick, end almost not; both of its clocks are kept",
    ),
    "echo": (
        "a line sent and returned over an open SSH session",
        "one interval; includes the wait for retransmission, like the session of a logged-in user",
    ),
    "connect": (
        "a new TCP connection that waits for the SSH banner",
        "one interval; answered only by the service itself, not by the kernel that accepts",
    ),
    "icmp": (
        "echo requests that the kernel of the host answers, with receive stamps of this host's kernel",
        "one interval; needs no process in the partition; does not show processes that stall while the kernel runs",
    ),
    "ack": (
        "acknowledgements of the echo's requests by the host's kernel, with stamps of this host's kernel",
        "one interval; needs no process in the partition; after a loss TCP waits before it sends again",
    ),
    "syn": (
        "requests for a connection that the kernel of the host answers, sent while it acknowledges nothing",
        "one interval; needs no process in the partition; shows the end of a silence, not its begin",
    ),
    "arp": (
        "gratuitous ARP and RARP frames of the partition that reach this machine's network",
        "the frames themselves; they show an announcement, not the time of the suspension",
    ),
    "ni": (
        "a ping over an open connection to the SAP dispatcher",
        "one interval; includes the wait for retransmission, like the session of a SAP GUI user",
    ),
    "sap": (
        "jobs, work processes, queues, users and logs of a SAP system, by the best interface that answers",
        "its interval in the site file; shows the effect on the work, not the time of the suspension",
    ),
    "sql": (
        "a query over an open session with the database",
        "one interval; queries queue in the session; includes the wait for retransmission",
    ),
    "commit": (
        "a row that is changed and committed over an open session",
        "one interval; the reply arrives when redo is on disk",
    ),
    "logon": (
        "a new logon to the database, aborted at its limit",
        "one interval; shows that users can log on, not the time of the suspension",
    ),
    "tnsping": (
        "a ping of the database's listener, without a user",
        "one interval; shows the listener only",
    ),
    "db-state": (
        "sessions, waits, redo, standby and disks as the database reports them",
        "its interval; shows the effect on the work, not the time of the suspension",
    ),
    "alert": (
        "the alert log and the traces of VKTM and the log writer, as they grow",
        "whole seconds up to 12.1, microseconds later; the traces contain lengths of their own",
    ),
    "plugin": (
        "what a plug-in of the site observes",
        "its interval in the site file; no verdict rests on it",
    ),
    "observer": (
        "an idle ticker on this host",
        "shows stalls of this host, not of the partition",
    ),
}

#: Kinds that several places may run at once on one partition. Each of the others logs in with an account of its own
#: (SAP, a database), and is run by one place alone.
OF_EVERY_PLACE = frozenset({"ticks", "echo", "connect", "icmp", "ack"})
OBSERVER = ProbeOrder(name="observer", kind="observer", interval_ns=5_000_000, about=KINDS["observer"][0])


#: Interval of dispatcher pings in the bulk of a copy: that of the other sessions.
CALM_NI_NS = 500_000_000


def sap_plan(site: Site, partition: str, *, suffix: str = "") -> tuple[ProbeOrder, ...]:
    """Probes of the SAP systems of a partition: a light one for each dispatcher, and one with its own process per
    system.

    Raises `lpmkit.errors.SiteFileError` for invalid rules of the site.
    """
    from lpmkit.sap.rules import SapRules  # noqa: PLC0415 - a probes' process judges nothing

    orders = []
    for sid, settings in site.sap_of(partition).items():
        host = sap_host(site, settings)
        ssh_config = str(site.ssh_config) if site.ssh_config else None
        interval_ns = settings.ni_interval_ms * 1_000_000
        numbers = settings.instances if settings.dispatchers is None else settings.dispatchers
        for number in numbers:
            orders.append(
                ProbeOrder(
                    name=f"sap-ni-{sid}-{number}{suffix}",
                    kind="ni",
                    interval_ns=interval_ns,
                    host=host,
                    about=KINDS["ni"][0],
                    ssh_config=ssh_config,
                    options={"port": settings.dispatcher_ports.get(number, int(f"32{number}"))},
                    pace=QUICK,
                    paces={QUICK: Rate(interval_ns), CALM: Rate(max(interval_ns, CALM_NI_NS))},
                )
            )
        orders.append(
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
    return tuple(orders)


def sap_host(site: Site, settings: SapSystemSettings) -> str:
    """Name of a SAP system's host after ``ssh``."""
    partition = site.partitions.get(settings.partition)
    return settings.host or (partition.host if partition else settings.partition)


def plan(
    host_name: str,
    settings: PartitionSettings,
    ssh_config: Path | None,
    *,
    suffix: str = "",
    paces: Sequence[str] = (QUICK, CALM),
) -> tuple[ProbeOrder, ...]:
    """The usual probes of one host, starting with the first of ``paces``.

    ``suffix`` distinguishes several hosts of one watch (``@bxaix85``).
    """
    rates = {name: _paces(getattr(settings, name)) for name in paces}
    names = {"ticks": "ssh-ticks", "echo": "ssh-echo", "connect": "tcp-connect", "icmp": "icmp", "ack": "ssh-acks"}
    usual = tuple(
        ProbeOrder(
            name=name + suffix,
            kind=kind,
            interval_ns=rates[paces[0]][kind].interval_ns,
            host=host_name,
            about=KINDS[kind][0],
            ssh_config=str(ssh_config) if ssh_config else None,
            password=settings.password,
            batch_ns=rates[paces[0]][kind].batch_ns,
            pace=paces[0],
            paces={pace: by_kind[kind] for pace, by_kind in rates.items()},
        )
        for kind, name in names.items()
    )
    plugged = tuple(
        ProbeOrder(
            f"plugin-{name}{suffix}",
            "plugin",
            int(own.interval_s * 1e9),
            host_name,
            KINDS["plugin"][0],
            pace=paces[0],
            group="plugins",
            options={"plugin": name, "settings": dict(own.settings)},
        )
        for name, own in settings.probes.items()
    )
    if not settings.arp:
        return (*usual, *plugged)
    config = str(ssh_config) if ssh_config else None
    heard = ProbeOrder(f"arp{suffix}", "arp", ARP_NS, host_name, KINDS["arp"][0], ssh_config=config, pace=paces[0])
    return (*usual, heard, *plugged)


#: The longest interval at which new frames are looked for.
ARP_NS = 250_000_000


def _paces(settings: PaceSettings) -> dict[str, Rate]:
    """The rate of each kind of probe."""
    ms = 1_000_000
    return {
        "ticks": Rate(1_000_000_000 // settings.tick_hz, settings.tick_batch_ms * ms),
        "echo": Rate(settings.echo_interval_ms * ms),
        "connect": Rate(settings.connect_interval_ms * ms),
        "icmp": Rate(settings.icmp_interval_ms * ms),
        "ack": Rate(settings.echo_interval_ms * ms),
    }
