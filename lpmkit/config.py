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
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeVar
from urllib.parse import parse_qs, urlsplit
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lpmkit.errors import NotFound, SiteFileError
from lpmkit.json_values import JsonObject
from lpmkit.limits import MoveLimits
from lpmkit.settings.references import checked_reference
from lpmkit.settings.sinks import SinkSettings, absolute_sink
from lpmkit.settings.site_file import find_site_file  # noqa: F401 - older copies of the notebooks

Settings = TypeVar("Settings", bound=BaseModel)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HostSettings(_Part):
    """A host with SSH login. ``host`` is the name after ``ssh``; ``password`` a reference for `Secrets`."""

    host: str = Field(min_length=1)
    password: str | None = None

    _password = field_validator("password")(checked_reference)


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
    place: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,63}$")

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


class PaceSettings(_Part):
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


class PluginProbeSettings(_Part):
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


class SapWebService(_Part):
    """SAPControl (``sapctrl<nn>``, port 5<nn>13, with TLS 5<nn>14).

    ``through_ssh`` uses the host's local socket instead, with the login of ``commands``. ``host`` is an address, by
    default the one that ``ssh`` uses for the system's host. ``ports`` are non-default ports by instance number.
    """

    host: str = ""
    ports: dict[str, int] = Field(default_factory=dict)
    tls: bool = False
    ca_file: Path | None = None
    user: str | None = None
    password: str | None = None
    through_ssh: bool = False
    timeout_s: float = Field(default=10.0, gt=0, le=120.0)

    _password = field_validator("password")(checked_reference)


class SapCommands(_Part):
    """``sapcontrol``, ``dpmon``, ``saplikey`` and ``ps`` over SSH as ``<sid>adm``; ``host`` is the name after ``ssh``
    for that user.

    """

    host: str = Field(min_length=1)
    password: str | None = None
    profile: str = ""
    timeout_s: float = Field(default=20.0, gt=0, le=120.0)

    _password = field_validator("password")(checked_reference)


class SapRfc(_Part):
    """RFC by pyrfc, if it is installed. ``host`` and ``number`` as in SAP Logon."""

    host: str = ""
    number: str = ""
    client: str = Field(pattern=r"^\d{3}$")
    user: str = Field(min_length=1)
    password: str
    router: str | None = None
    timeout_s: float = Field(default=20.0, gt=0, le=120.0)

    _password = field_validator("password")(checked_reference)


class SapSoapRfc(_Part):
    """Function modules over HTTP (``/sap/bc/soap/rfc``). ``url`` ends with the port: ``https://bxaix85:8001``."""

    url: str = Field(pattern=r"^https?://[^/]+/?$")
    client: str = Field(pattern=r"^\d{3}$")
    user: str = Field(min_length=1)
    password: str
    ca_file: Path | None = None
    timeout_s: float = Field(default=20.0, gt=0, le=120.0)

    _password = field_validator("password")(checked_reference)


class SapSlo(_Part):
    """Limits of a move's impact on a SAP system.

    A job's delay is compared with maximum and median of its own history.
    """

    ni_gap_s: float = Field(default=15.0, gt=0)
    ni_reconnects: int = Field(default=0, ge=0)
    job_delay_s: float = Field(default=60.0, ge=0)
    aborted_jobs: int = Field(default=0, ge=0)
    lost_users: int = Field(default=0, ge=0)
    work_process_errors: int = Field(default=0, ge=0)
    work_process_restarts: int = Field(default=4, ge=0)
    update_errors: int = Field(default=0, ge=0)
    long_job_s: float = Field(default=3600.0, gt=0)
    window_s: float = Field(default=3600.0, gt=0)
    queue_now: int = Field(default=50, ge=0)


#: Polling intervals of a SAP system by query, in seconds; ``requests_per_minute`` limits all of them together.
SAP_INTERVALS: Mapping[str, float] = {
    "work_processes": 4.0,
    "jobs": 10.0,
    "job_logs": 60.0,
    "processes": 15.0,
    "queues": 15.0,
    "users": 30.0,
    "enqueue": 30.0,
    "system_log": 30.0,
    "dumps": 60.0,
    "updates": 60.0,
}


class SapSystemSettings(_Part):
    """A SAP system in a partition, and its interfaces (any of the four; the best one that answers is used).

    ``partition`` is the partition whose moves concern the system, ``host`` its name after ``ssh`` (default: the
    partition's), ``instances`` its instance numbers there. ``dispatcher_ports`` are by instance number, 32nn by
    default; ``[]`` in ``dispatchers`` disables the NI ping. ``hardware_keys`` are the keys of the frames as
    ``saplikey -get`` prints them; ``watch_after_minutes`` is the time for which the system log is read on.
    """

    partition: str = Field(min_length=1)
    host: str = ""
    instances: tuple[str, ...] = ("00",)
    dispatchers: tuple[str, ...] | None = None
    dispatcher_ports: dict[str, int] = Field(default_factory=dict)
    ni_interval_ms: int = Field(default=100, ge=10, le=10_000)
    webservice: SapWebService | None = None
    commands: SapCommands | None = None
    rfc: SapRfc | None = None
    soap_rfc: SapSoapRfc | None = None
    requests_per_minute: int = Field(default=90, ge=6, le=6000)
    every_s: dict[str, float] = Field(default_factory=dict)
    watch_after_minutes: float = Field(default=15.0, ge=0, le=240.0)
    history_days: int = Field(default=7, ge=1, le=60)
    lsconf_command: str = "ZLSCONF"
    zone: str | None = None
    hardware_keys: dict[str, str] = Field(default_factory=dict)
    rules: Path | None = None
    slo: SapSlo = Field(default_factory=SapSlo)

    @property
    def kept_for_after(self) -> int:
        """The share of ``requests_per_minute`` that probes leave for the queries after the move."""
        return self.requests_per_minute // 6

    @property
    def shortest_s(self) -> float:
        """The shortest polling interval in seconds."""
        return min({**SAP_INTERVALS, **self.every_s}.values())

    @field_validator("instances", "dispatchers")
    @classmethod
    def _numbers(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for number in value or ():
            if not (len(number) == 2 and number.isdigit()):
                raise ValueError(f'an instance number has two digits in quotes, like "00", not {number!r}')
        return value

    @field_validator("every_s")
    @classmethod
    def _intervals(cls, value: dict[str, float]) -> dict[str, float]:
        for name, seconds in value.items():
            if name not in SAP_INTERVALS or not 0.5 <= seconds <= 3600:
                raise ValueError(f"intervals are 0.5 to 3600 seconds, of {', '.join(SAP_INTERVALS)}")
        return value

    @field_validator("hardware_keys")
    @classmethod
    def _keys(cls, value: dict[str, str]) -> dict[str, str]:
        for key in value.values():
            if not (len(key) == 11 and key[0].isalpha() and key[1:].isdigit()):
                raise ValueError(f"a hardware key is a letter and ten digits, as saplikey -get prints it, not {key!r}")
        return value

    @field_validator("zone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        if value is not None and value not in available_timezones():
            raise ValueError(f"there is no time zone {value!r}; write it like Europe/Berlin")
        return value


class DatabaseSettings(_Part):
    """An Oracle database, by its SID. ``partition`` is its partition or host, whose login reads the alert log and runs
    ``sqlplus``.

    ``listener`` is ``HOST:PORT``; without it nothing is asked over the network. ``user`` and ``password`` (a
    reference) log on to the database; without a user ``sqlplus`` logs on as that login's operating-system user
    (``connect /``). The grants are in docs/oracle.md. Nothing is written unless ``commit_table`` names a table with
    one row and a column ``at``. For a listener with TLS: ``protocol: tcps`` with ``wallet`` (a folder),
    ``wallet_password`` (a reference) and ``server_dn`` (the name in the server's certificate). ``lost_sessions`` and
    ``failed_logons`` are limits of the verdict: sessions that ended around the suspension beyond what pools renew,
    and fresh logons that failed while the host ran.
    """

    partition: str = Field(min_length=1)
    version: str | None = Field(default=None, pattern=r"^\d+(\.\d+)*$")
    way: Literal["auto", "thin", "thick", "cx_oracle", "sqlplus", "none"] = "auto"
    listener: str | None = Field(default=None, pattern=r"^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$")
    service: str | None = None
    user: str | None = Field(default=None, pattern=r"^[A-Za-z][\w$#]*$")
    password: str | None = None
    protocol: Literal["tcp", "tcps"] = "tcp"
    wallet: Path | None = None
    wallet_password: str | None = None
    server_dn: str | None = Field(default=None, pattern=r'^[^()"\x00-\x1f]+$')
    client: str | None = None
    sqlplus: tuple[str, ...] = ("sqlplus",)
    alert_log: str | None = None
    rules: Path | None = None
    interval_ms: int = Field(default=500, ge=50, le=60_000)
    logon_interval_ms: int = Field(default=5000, ge=500, le=600_000)
    logon_limit_s: float = Field(default=10.0, ge=0.5, le=120.0)
    survive_s: float = Field(default=60.0, ge=5.0, le=600.0)
    alert_interval_ms: int = Field(default=2000, ge=200, le=600_000)
    commit_table: str | None = Field(default=None, pattern=r"^[A-Za-z][\w$#]*(\.[A-Za-z][\w$#]*)?$")

    lost_sessions: int = Field(default=0, ge=0)
    failed_logons: int = Field(default=0, ge=0)

    _password = field_validator("password", "wallet_password")(checked_reference)


class RunSettings(_Part):
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


class ConnectionSettings(_Part):
    """Concurrent SSH connections of ``check --all``: ``total``, and ``per_machine`` to one host, jump hosts included.

    Four to a host stay below the ten pending logins at which OpenSSH begins to refuse (``MaxStartups 10:30:100``),
    and leave room for others on a console and a VIOS; each of the thirty-two is a thread here.
    """

    total: int = Field(default=32, ge=1, le=256)
    per_machine: int = Field(default=4, ge=1, le=64)


class StoreSettings(_Part):
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


class WriteUpSettings(_Part):
    """Settings of the write-up for the change record: ``language`` (``en``, ``de``), which is the board's too, a Jinja
    ``template`` and a ``logo``.
    """

    language: Literal["en", "de"] = "en"
    template: Path | None = None
    logo: Path | None = None


class Site(_Part):
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


#: Parts of the YAML parser's messages that quote values of the file.
_VALUES = re.compile(r" with value .*|(?<=undefined alias) .*", re.DOTALL)


def load_site(path: str | os.PathLike[str]) -> Site:
    """Read a site file. Raises `SiteFileError` with line and key of everything that is wrong."""
    path = Path(path)
    return _absolute(read_settings(path, Site, "`frames:` and `partitions:`"), path.resolve().parent)


def read_settings(path: Path, model: type[Settings], holds: str, what: str | None = None) -> Settings:
    """Read a YAML file as a model; ``holds`` describes its expected content.

    Raises `SiteFileError` with line and key of everything that is wrong. Messages of the parsers are not chained to it,
    because they quote the file, which may contain a password, and a traceback stays in a saved notebook.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SiteFileError(str(path), [f"it is not UTF-8 text: {error.reason}"], what=what) from None
    except OSError as error:
        raise SiteFileError(str(path), [f"it cannot be read: {error.strerror}"], what=what) from error
    data = parse_yaml(text, str(path), what=what)
    if not isinstance(data, Mapping):
        raise SiteFileError(str(path), [f"line 1: it should hold {holds}"], what=what)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise SiteFileError(str(path), _problems(data, error), what=what) from None
    except RecursionError:
        raise SiteFileError(str(path), ["it is nested too deep"], what=what) from None


def _problems(data: Any, error: ValidationError) -> list[str]:
    """What is wrong, with line and key: keys that are missing beside keys that do not exist in one sentence, because
    the one is mostly meant by the other.
    """
    items = [item for item in error.errors() if item["type"] != "too_short" or not _lies_within(item["loc"], error)]
    missing, strange = _keys_of(items, "missing"), _keys_of(items, "extra_forbidden")
    problems: list[str] = []
    told: set[tuple[int | str, ...]] = set()
    for item in items:
        place = tuple(item["loc"])
        part = place[:-1]
        if item["type"] not in ("missing", "extra_forbidden"):
            problems.append(f"line {_line(data, place)}, {_key(place)}: {item['msg']}")
        elif part in missing and part in strange:
            if part not in told:
                told.add(part)
                problems.append(_misnamed(data, part, missing[part], strange[part]))
        else:
            says = "there is no such key" if item["type"] == "extra_forbidden" else "this key is missing"
            problems.append(f"line {_line(data, place)}, {_key(place)}: {says}")
    return problems


def _lies_within(place: tuple[int | str, ...], error: ValidationError) -> bool:
    """True if a member of this part is wrong too: a list is too short for pydantic without its wrong members."""
    return any(len(item["loc"]) > len(place) and item["loc"][: len(place)] == place for item in error.errors())


def _keys_of(items: Sequence[Any], kind: str) -> dict[tuple[int | str, ...], list[str]]:
    """The last keys of the problems of a kind, by the part of the file that they belong to."""
    keys: dict[tuple[int | str, ...], list[str]] = {}
    for item in items:
        if item["type"] == kind:
            keys.setdefault(tuple(item["loc"][:-1]), []).append(str(item["loc"][-1]))
    return keys


def _misnamed(data: Any, part: tuple[int | str, ...], lacks: Sequence[str], odd: Sequence[str]) -> str:
    are = "is not a key" if len(odd) == 1 else "are not keys"
    hint = f". Did you mean {_quoted(lacks)}?" if len(lacks) == len(odd) == 1 else ""
    return f"line {_line(data, (*part, odd[0]))}: {_part(part)} has no {_quoted(lacks)}; {_quoted(odd)} {are}{hint}"


def _quoted(keys: Sequence[str]) -> str:
    return ", ".join(map(repr, keys))


def _part(place: tuple[int | str, ...]) -> str:
    """A part of a file in words; members of a list count from 1.

    >>> _part(("moves", 0)), _part(("frames", "p8a")), _part(())
    ('move 1', 'frames.p8a', 'the file')
    """
    if len(place) == 2 and isinstance(place[1], int):
        return f"{str(place[0]).removesuffix('s')} {place[1] + 1}"
    return _key(place) if place else "the file"


def parse_yaml(text: str, where: str, *, what: str | None = None, typ: str = "rt") -> Any:
    """Parse a YAML text written by a person. Raises `SiteFileError` for anything the parser rejects or crashes on."""
    try:
        return YAML(typ=typ, pure=True).load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        problem = _VALUES.sub("", error.problem or "it is not YAML")
        raise SiteFileError(where, [f"line {line}: {problem}"], what=what) from None
    except YAMLError as error:
        raise SiteFileError(where, [f"it is not YAML: {error}"], what=what) from None
    except RecursionError:
        raise SiteFileError(where, ["it is nested too deep"], what=what) from None
    except Exception as error:  # noqa: BLE001 - the parser raises TypeError, ValueError and others for odd files
        raise SiteFileError(where, [f"it cannot be understood ({type(error).__name__})"], what=what) from None


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


def _key(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the file"


def _line(data: Any, location: tuple[int | str, ...]) -> int:
    """Line of the innermost existing key, from 1; a missing key has the line of its parent."""
    line = 1
    for part in location:
        if isinstance(data, CommentedMap) and part in data:
            line = data.lc.key(part)[0] + 1
        elif isinstance(data, CommentedSeq) and isinstance(part, int) and part < len(data):
            line = data.lc.item(part)[0] + 1
        else:
            break
        data = data[part]
    return line
