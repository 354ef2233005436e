"""The site file: frames, partitions and hosts, and the logins to them.

YAML, so that an error can be reported with line and key. It never holds a secret: `password` is a *reference* to
one (see `lpmkit.ssh.secrets`). Address, port, user, key, jump host and known hosts of a host belong to OpenSSH and
stay in its own configuration; the site file only has the host's name as typed after ``ssh``.

::

    ssh_config: ssh_config            # optional; ~/.ssh/config otherwise
    frames:
      bvio82: {manager: ivm, host: bvio82, mover_address: 192.0.2.82}
      bvio83: {manager: ivm, host: bvio83, mover_address: 192.0.2.83}
      p7a: {manager: hmc, host: hmc01, system: Server-9117-MMD-SN1045EE7, vios: [p7a-vios1]}
    partitions:
      bxaix85: {host: bxaix85}
    sap_systems:                      # optional, see docs/sap.md
      BX5: {partition: bxaix85, instances: ["00"], commands: {host: bx5adm@bxaix85}}
    databases:                        # optional, see docs/oracle.md
      BX5: {partition: bxaix85}
    limits:                           # optional, see docs/limits.md
      suspension_s: {warn: 1.5, fail: 2}
    store: {url: "postgresql://lpmkit@db1/lpmkit", password: env:LPMKIT_STORE}   # optional, see docs/store.md
    sinks:                            # optional, see docs/sinks.md
      siem: {kind: syslog, host: loghost, port: 6514, tls: true}
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator

from lpmkit.errors import NotFound
from lpmkit.json_values import JsonObject
from lpmkit.limits import MoveLimits
from lpmkit.settings.oracle import DatabaseSettings
from lpmkit.settings.part import SettingsPart
from lpmkit.settings.references import checked_reference
from lpmkit.settings.sap import SapSystemSettings
from lpmkit.settings.sinks import SinkSettings, absolute_sink
from lpmkit.settings.site_file import find_site_file  # noqa: F401 - older copies of the notebooks
from lpmkit.settings.yaml_file import read_settings


class HostSettings(SettingsPart):
    """A host with SSH login. ``host`` is the name after ``ssh``; ``password`` a reference for `Secrets`."""

    host: str = Field(min_length=1)
    password: str | None = None

    _password = field_validator("password")(checked_reference)


#: The name of a place.
PLACE = r"^[A-Za-z0-9._-]{1,63}$"
#: Default login that the other manager gets as ``migrlpar -u``.
MANAGER_USERS = {"ivm": "padmin", "hmc": "hscroot"}


class FrameSettings(HostSettings):
    """A frame and its manager. ``mover_address`` is the address that the *other* manager gets as ``migrlpar --ip``.

    Under an IVM ``host`` is the VIOS. Under an HMC ``host`` is the HMC, ``system`` the managed system (either of
    its names) and ``vios`` its VIOS by partition name; ``mover_address`` is the HMC's, needed only if the
    other frame is under another manager. ``partner`` is the default target of its partitions; ``check --all``
    checks all of them against it. ``place`` is the worker (`lpmkit worker`) that drives plans which move partitions
    away from it.
    """

    manager: Literal["ivm", "hmc"] = "ivm"
    system: str | None = Field(default=None, validate_default=True)
    vios: tuple[str, ...] = Field(default=(), validate_default=True)
    mover_address: str = Field(default="", validate_default=True)
    mover_user: str = Field(default="", validate_default=True)
    partner: str = ""
    place: str = Field(default="", pattern=rf"^$|{PLACE}")

    @field_validator("system")
    @classmethod
    def _system(cls, value: str | None, info: ValidationInfo) -> str | None:
        manager = info.data.get("manager")
        if manager == "hmc" and not value:
            raise ValueError("a frame under an HMC needs the name of the managed system (lssyscfg -r sys -F name)")
        if manager == "ivm" and value is not None:
            raise ValueError("an IVM has one system only; remove this key")
        return value

    @field_validator("vios")
    @classmethod
    def _vios(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        manager = info.data.get("manager")
        if manager == "hmc" and not (value and all(value) and len(set(value)) == len(value)):
            raise ValueError("a frame under an HMC needs the partition names of its VIOS, each once: [vios1, vios2]")
        if manager == "ivm" and value:
            raise ValueError("under an IVM the host is the VIOS; remove this key")
        return value

    @field_validator("mover_address")
    @classmethod
    def _mover_address(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("manager") == "ivm" and not value:
            raise ValueError("a frame under an IVM needs the address that the other manager gets as migrlpar --ip")
        return value

    @field_validator("mover_user")
    @classmethod
    def _mover_user(cls, value: str, info: ValidationInfo) -> str:
        return value or MANAGER_USERS.get(info.data.get("manager", ""), "")


class PaceSettings(SettingsPart):
    """Sampling rates of one partition's probes. Frequencies in ticks per second, everything else in milliseconds.

    ``tick_batch_ms`` is the interval at which the partition sends its collected ticks; each tick has its own stamp.
    """

    tick_hz: int = Field(default=100, ge=1, le=1000)
    tick_batch_ms: int = Field(default=100, ge=20, le=1000)
    echo_interval_ms: int = Field(default=100, ge=20, le=10_000)
    connect_interval_ms: int = Field(default=250, ge=100, le=60_000)
    icmp_interval_ms: int = Field(default=10, ge=1, le=10_000)


class QuickPace(PaceSettings):
    """Rates while the partition may be suspended, or while its phase is unknown."""

    tick_hz: int = Field(default=1000, ge=1, le=1000)


class CalmPace(PaceSettings):
    """Rates in the bulk of the copy: at most 20 packets a second for all probes of a partition
    (``python -m benchmarks.observer_cost``).
    """

    tick_batch_ms: int = Field(default=500, ge=20, le=1000)
    echo_interval_ms: int = Field(default=500, ge=20, le=10_000)
    connect_interval_ms: int = Field(default=5000, ge=100, le=60_000)
    icmp_interval_ms: int = Field(default=500, ge=1, le=10_000)


class PluginProbeSettings(SettingsPart):
    """A probe of a package of the site (docs/plug-ins.md): its interval, and its own settings."""

    interval_s: float = Field(default=5.0, ge=0.5, le=3600)
    settings: dict[str, Any] = Field(default_factory=dict)


class PartitionSettings(HostSettings):
    """A partition that is probed from inside, and the rates of its probes.

    During a move lpmkit changes between ``quick`` and ``calm``. A watch, which has no phases, uses ``watch``
    throughout. ``nmon`` is the folder of nmon recordings in the partition: its own record of the move is read
    before and after. ``arp`` listens on this machine's network for the partition's announcements (root or CAP_NET_RAW).
    ``probes`` are those of packages of the site, by their names.
    """

    quick: QuickPace = QuickPace()
    calm: CalmPace = CalmPace()
    watch: PaceSettings = PaceSettings()
    nmon: str | None = Field(default=None, pattern="^/")
    arp: bool = False
    probes: dict[str, PluginProbeSettings] = Field(default_factory=dict)


class RunSettings(SettingsPart):
    """Settings of a run. Times in seconds. A run folder is accessible to its owner, and to ``group`` (a group of this
    host).

    ``approvals`` is the number of other people that must approve an order before the move (see
    `lpmkit.runs.approvals`), ``approvers`` restricts them (empty: anybody else), ``approval_holds_hours`` limits its
    age. With ``allowed_signers``, a file for `ssh-keygen -Y verify`, an approval must be signed with an SSH key.
    ``change: required`` refuses a move whose order has no change window with a begin and an end.
    """

    folder: Path = Path("runs")
    group: str | None = Field(default=None, min_length=1)
    lead_in_s: float = Field(default=60.0, ge=2.0, le=3600.0)
    tail_s: float = Field(default=60.0, ge=2.0, le=3600.0)
    poll_s: float = Field(default=1.0, ge=0.2, le=60.0)
    validation_holds_minutes: float = Field(default=30.0, gt=0, le=24 * 60)
    approvals: int = Field(default=0, ge=0, le=9)
    approvers: tuple[str, ...] = ()
    approval_holds_hours: float = Field(default=24.0, gt=0, le=24 * 31)
    allowed_signers: Path | None = None
    change: Literal["optional", "required"] = "optional"

    @property
    def needs_window(self) -> bool:
        """True where a move needs a change window."""
        return self.change == "required"


class ConnectionSettings(SettingsPart):
    """Concurrent SSH connections of ``check --all``: ``total``, and ``per_machine`` to one host, jump hosts included.

    Four to a host stay below the ten pending logins at which OpenSSH begins to refuse (``MaxStartups 10:30:100``),
    and leave room for others on a console and a VIOS; each of the thirty-two is a thread here.
    """

    total: int = Field(default=32, ge=1, le=256)
    per_machine: int = Field(default=4, ge=1, le=64)


class StoreSettings(SettingsPart):
    """The PostgreSQL database that several jump hosts share.

    ``url`` is a libpq URL without a password (``postgresql://lpmkit@db1/lpmkit?sslmode=verify-full``), ``password`` a
    reference; without one libpq uses its own means (``~/.pgpass``, a client certificate, Kerberos, ``peer``). A text
    alone is the URL.
    """

    url: str
    password: str | None = None

    _password = field_validator("password")(checked_reference)

    @model_validator(mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value

    @field_validator("url")
    @classmethod
    def _without_password(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            holds_password = parts.password is not None or "password" in parse_qs(parts.query, keep_blank_values=True)
        except ValueError:
            raise ValueError("it is no URL; write postgresql://USER@HOST/DATABASE") from None
        if holds_password:
            raise ValueError(
                "write where the password is, never the password: "
                "store: {url: postgresql://USER@HOST/DATABASE, password: env:NAME}"
            )
        if parts.scheme != "postgresql" or not parts.path.strip("/"):
            raise ValueError("the store is a PostgreSQL database: postgresql://USER@HOST/DATABASE")
        return value

    @property
    def where(self) -> str:
        """Host and database, for messages and for the question for its password."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2] or parse_qs(parts.query).get("host", ["this machine"])[0]
        return f"database {parts.path.strip('/')} on {host}"


class WriteUpSettings(SettingsPart):
    """Settings of the write-up for the change record: ``language`` (``en``, ``de``), which is the board's too, a Jinja
    ``template`` and a ``logo``.
    """

    language: Literal["en", "de"] = "en"
    template: Path | None = None
    logo: Path | None = None


class Site(SettingsPart):
    """The content of the site file. Paths are absolute once it is loaded."""

    ssh_config: Path | None = None
    frames: dict[str, FrameSettings] = Field(default_factory=dict)
    partitions: dict[str, PartitionSettings] = Field(default_factory=dict)
    sap_systems: dict[str, SapSystemSettings] = Field(default_factory=dict)
    databases: dict[str, DatabaseSettings] = Field(default_factory=dict)
    runs: RunSettings = Field(default_factory=RunSettings)
    limits: MoveLimits = Field(default_factory=MoveLimits)
    connections: ConnectionSettings = Field(default_factory=ConnectionSettings)
    write_up: WriteUpSettings = Field(default_factory=WriteUpSettings)
    store: StoreSettings | None = None
    sinks: dict[str, SinkSettings] = Field(default_factory=dict)

    @field_validator("frames")
    @classmethod
    def _partners(cls, value: dict[str, FrameSettings]) -> dict[str, FrameSettings]:
        for name, frame in value.items():
            if frame.partner and (frame.partner == name or frame.partner not in value):
                raise ValueError(f"the partner of {name} is another frame of this file, not {frame.partner!r}")
        return value

    @model_validator(mode="after")
    def _places(self) -> Self:
        placed = [name for name, frame in self.frames.items() if frame.place]
        if placed and self.store is None:
            raise ValueError(f"{', '.join(placed)} names a place, and that needs a shared store (`store:`)")
        return self

    @property
    def language(self) -> str:
        """The language of what people read: board, notebooks, application, write-up."""
        return self.write_up.language

    def frame(self, name: str) -> FrameSettings:
        """The settings of one frame; raises `NotFound` with the nearest name."""
        if name not in self.frames:
            raise NotFound("frame", name, known=self.frames, where="site file")
        return self.frames[name]

    def sap_of(self, partition: str) -> dict[str, SapSystemSettings]:
        """The SAP systems in a partition, by SID."""
        return {sid: system for sid, system in self.sap_systems.items() if system.partition == partition}

    def as_data(self) -> JsonObject:
        """JSON values for a run folder; references to secrets stay references."""
        return self.model_dump(mode="json")


def load_site(path: str | os.PathLike[str]) -> Site:
    """Read a site file. Raises `SiteFileError` with line and key of everything that is wrong."""
    path = Path(path)
    return _absolute(read_settings(path, Site, "`frames:` and `partitions:`"), path.resolve().parent)


def _absolute(site: Site, folder: Path) -> Site:
    signers = site.runs.allowed_signers
    runs = site.runs.model_copy(
        update={
            "folder": folder / site.runs.folder.expanduser(),
            "allowed_signers": folder / signers.expanduser() if signers else None,
        }
    )
    ssh_config = folder / site.ssh_config.expanduser() if site.ssh_config else None
    paths = {
        name: folder / setting.expanduser()
        for name in ("template", "logo")
        if (setting := getattr(site.write_up, name))
    }
    write_up = site.write_up.model_copy(update=paths)
    sap = {sid: system.model_copy(update=_absolute_sap(system, folder)) for sid, system in site.sap_systems.items()}
    databases = {
        sid: database.model_copy(
            update={
                name: folder / setting.expanduser()
                for name in ("rules", "wallet")
                if (setting := getattr(database, name))
            }
        )
        for sid, database in site.databases.items()
    }
    return site.model_copy(
        update={
            "runs": runs,
            "ssh_config": ssh_config,
            "sap_systems": sap,
            "databases": databases,
            "write_up": write_up,
            "sinks": {name: absolute_sink(sink, folder) for name, sink in site.sinks.items()},
        }
    )


def _absolute_sap(system: SapSystemSettings, folder: Path) -> JsonObject:
    changed: JsonObject = {"rules": folder / system.rules.expanduser() if system.rules else None}
    for name in ("webservice", "soap_rfc"):
        source = getattr(system, name)
        if source is not None and source.ca_file is not None:
            changed[name] = source.model_copy(update={"ca_file": folder / source.ca_file.expanduser()})
    return changed
