"""The site file: which frames, partitions and hosts there are, and how to log in to them.

YAML, because a trouble in it can be named by line and key. It never holds a secret: `password` is a *reference* that says where
the secret is to be had (see `lpmkit.ssh.secrets`). How to reach a host (address, port, user, key, jump host, known hosts) is OpenSSH's
business and stays in its own configuration; the site file only names the host as one would type it after ``ssh``.

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
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lpmkit.errors import NotFound, SiteFileError, UsageError

#: Looked for in this order when no site file is named.
SITE_FILES = ("site.yaml", "lpmkit.yaml")

Settings = TypeVar("Settings", bound=BaseModel)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _reference(value: str | None) -> str | None:
    """A secret is named by where it is, never written."""
    if value is not None and value != "prompt" and not value.startswith(("env:", "keyring:")):
        raise ValueError("write where the password is, never the password: env:NAME, keyring:SERVICE/USER or prompt")
    return value


class HostSettings(_Part):
    """A machine one logs in to. ``host`` is the name after ``ssh``; ``password`` a reference for `Secrets`."""

    host: str = Field(min_length=1)
    password: str | None = None

    _password = field_validator("password")(_reference)


#: The login that another manager is given (``migrlpar -u``) where the site file does not say.
MANAGER_USERS = {"ivm": "padmin", "hmc": "hscroot"}


class FrameSettings(HostSettings):
    """A frame and its manager. ``mover_address`` is what the *other* manager is given as ``migrlpar --ip``.

    Under an IVM ``host`` is the VIOS. Under an HMC it is the HMC, ``system`` the managed system there (either of its names) and ``vios``
    its I/O servers by partition name; ``mover_address`` is the HMC's and needed only where the other frame is under another manager.
    ``partner`` is the frame that its partitions would be moved to; ``check --all`` asks for all of them whether they could.
    """

    manager: Literal["ivm", "hmc"] = "ivm"
    system: str | None = Field(default=None, validate_default=True)
    vios: tuple[str, ...] = Field(default=(), validate_default=True)
    mover_address: str = Field(default="", validate_default=True)
    mover_user: str = Field(default="", validate_default=True)
    partner: str = ""

    @field_validator("system")
    @classmethod
    def _system(cls, value: str | None, info: ValidationInfo) -> str | None:
        manager = info.data.get("manager")
        if manager == "hmc" and not value:
            raise ValueError("a frame under an HMC needs the name of the managed system (lssyscfg -r sys -F name)")
        if manager == "ivm" and value is not None:
            raise ValueError("an IVM has one system only; leave this out")
        return value

    @field_validator("vios")
    @classmethod
    def _vios(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        manager = info.data.get("manager")
        if manager == "hmc" and not (value and all(value) and len(set(value)) == len(value)):
            raise ValueError(
                "a frame under an HMC needs the partition names of its I/O servers, each once: [vios1, vios2]"
            )
        if manager == "ivm" and value:
            raise ValueError("under an IVM the host is the I/O server; leave this out")
        return value

    @field_validator("mover_address")
    @classmethod
    def _mover_address(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("manager") == "ivm" and not value:
            raise ValueError("a frame under an IVM needs the address that the other manager is given as migrlpar --ip")
        return value

    @field_validator("mover_user")
    @classmethod
    def _mover_user(cls, value: str, info: ValidationInfo) -> str:
        return value or MANAGER_USERS.get(info.data.get("manager", ""), "")


class PaceSettings(_Part):
    """How often the probes of one partition look. Frequencies in ticks a second, everything else in milliseconds.

    ``tick_batch_ms`` is how long the partition gathers its ticks before it sends them; they are stamped all the same.
    """

    tick_hz: int = Field(default=100, ge=1, le=1000)
    tick_batch_ms: int = Field(default=100, ge=20, le=1000)
    echo_interval_ms: int = Field(default=100, ge=20, le=10_000)
    connect_interval_ms: int = Field(default=250, ge=100, le=60_000)
    icmp_interval_ms: int = Field(default=10, ge=1, le=10_000)


class QuickPace(PaceSettings):
    """When the partition may be suspended, or nobody knows."""

    tick_hz: int = Field(default=1000, ge=1, le=1000)


class CalmPace(PaceSettings):
    """In the bulk of the copy: at most 20 packets a second for all probes of a partition (``python -m benchmarks.observer_cost``)."""

    tick_batch_ms: int = Field(default=500, ge=20, le=1000)
    echo_interval_ms: int = Field(default=500, ge=20, le=10_000)
    connect_interval_ms: int = Field(default=5000, ge=100, le=60_000)
    icmp_interval_ms: int = Field(default=500, ge=1, le=10_000)


class PartitionSettings(HostSettings):
    """A partition that can be watched from inside, and the paces of its probes.

    During a move lpmkit changes between ``quick`` and ``calm`` by itself. A watch, which nobody tells about phases, keeps ``watch`` throughout.
    ``nmon`` is the folder that nmon records into there, if it does: its own note of the move is read before and after.
    """

    quick: QuickPace = QuickPace()
    calm: CalmPace = CalmPace()
    watch: PaceSettings = PaceSettings()
    nmon: str | None = Field(default=None, pattern="^/")


class SapWebService(_Part):
    """SAPControl (``sapctrl<nn>``, port 5<nn>13, with TLS 5<nn>14). ``through_ssh`` uses the host's local socket instead, as whoever ``commands`` logs in as.

    ``host`` is an address; left out, it is where ``ssh`` finds the system's host. ``ports`` are by instance number, where they are not the usual ones.
    """

    host: str = ""
    ports: dict[str, int] = Field(default_factory=dict)
    tls: bool = False
    ca_file: Path | None = None
    user: str | None = None
    password: str | None = None
    through_ssh: bool = False
    timeout_s: float = Field(default=10.0, gt=0, le=120.0)

    _password = field_validator("password")(_reference)


class SapCommands(_Part):
    """``sapcontrol``, ``dpmon``, ``saplikey`` and ``ps`` over SSH, as ``<sid>adm``: ``host`` is what one would type after ``ssh`` for that user."""

    host: str = Field(min_length=1)
    password: str | None = None
    profile: str = ""
    timeout_s: float = Field(default=20.0, gt=0, le=120.0)

    _password = field_validator("password")(_reference)


class SapRfc(_Part):
    """RFC by pyrfc, where this machine has it. ``host`` and ``number`` as in SAP Logon."""

    host: str = ""
    number: str = ""
    client: str = Field(pattern=r"^\d{3}$")
    user: str = Field(min_length=1)
    password: str
    router: str | None = None
    timeout_s: float = Field(default=20.0, gt=0, le=120.0)

    _password = field_validator("password")(_reference)


class SapSoapRfc(_Part):
    """Function modules over HTTP (``/sap/bc/soap/rfc``). ``url`` is up to the port: ``https://bxaix85:8001``."""

    url: str = Field(pattern=r"^https?://[^/]+/?$")
    client: str = Field(pattern=r"^\d{3}$")
    user: str = Field(min_length=1)
    password: str
    ca_file: Path | None = None
    timeout_s: float = Field(default=20.0, gt=0, le=120.0)

    _password = field_validator("password")(_reference)


class SapSlo(_Part):
    """What a move may cost a SAP system. A job's delay is held against the longest and the median of its own history."""

    ni_gap_s: float = Field(default=15.0, gt=0)
    ni_reconnects: int = Field(default=0, ge=0)
    job_delay_s: float = Field(default=60.0, ge=0)
    aborted_jobs: int = Field(default=0, ge=0)
    lost_users: int = Field(default=0, ge=0)
    work_process_errors: int = Field(default=0, ge=0)
    update_errors: int = Field(default=0, ge=0)
    long_job_s: float = Field(default=3600.0, gt=0)
    window_s: float = Field(default=3600.0, gt=0)
    queue_now: int = Field(default=50, ge=0)


#: How often a question is put to a SAP system, seconds; ``requests_per_minute`` bounds all of them together.
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
    """A SAP system that runs in a partition, and the ways in that a site has to it (any of the four; the best that answers is used).

    ``partition`` is whose move concerns it, ``host`` what one types after ``ssh`` for it (default: the partition's), ``instances`` its numbers there.
    ``dispatcher_ports`` are by instance number, 32nn else; ``[]`` in ``dispatchers`` leaves the NI ping out. ``hardware_keys`` are the keys of the
    frames as ``saplikey -get`` prints them there; ``watch_after_minutes`` is how long the system log is read on.
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
        """The part of ``requests_per_minute`` that the probes leave for what is asked once more after the move, while they go on."""
        return self.requests_per_minute // 6

    @property
    def shortest_s(self) -> float:
        """How often the question that is put most often is put, seconds."""
        return min({**SAP_INTERVALS, **self.every_s}.values())

    @field_validator("instances", "dispatchers")
    @classmethod
    def _numbers(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for number in value or ():
            if not (len(number) == 2 and number.isdigit()):
                raise ValueError(f'an instance number has two digits and stands in quotes, like "00", not {number!r}')
        return value

    @field_validator("every_s")
    @classmethod
    def _intervals(cls, value: dict[str, float]) -> dict[str, float]:
        for name, seconds in value.items():
            if name not in SAP_INTERVALS or not 0.5 <= seconds <= 3600:
                raise ValueError(f"half a second to an hour for {', '.join(SAP_INTERVALS)}")
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
    """An Oracle database, by its SID. ``partition`` is the partition or host that it runs on, whose login reads its alert log and runs ``sqlplus``.

    ``listener`` is ``HOST:PORT``; without it nothing is asked over the net. ``user`` and ``password`` (a reference) log on to the database; without a
    user ``sqlplus`` logs on as the operating-system user of that login (``connect /``). The grants are in docs/oracle.md. Nothing is written unless
    ``commit_table`` names a table of one row and a column ``at``. ``protocol: tcps`` with ``wallet`` (a folder), ``wallet_password`` (a reference) and
    ``server_dn`` (the name in the server's certificate) are for a listener with TLS.
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

    _password = field_validator("password", "wallet_password")(_reference)


class RunSettings(_Part):
    """How a run is made. Seconds. A run folder is its owner's alone, and the members' of ``group`` (a group of this machine) where it is given.

    ``approvals`` is how many other people must approve an order before it moves (see `lpmkit.approvals`), ``approvers`` who they may be (anybody else where it is
    empty), ``approval_holds_hours`` how long it counts. With ``allowed_signers``, a file as `ssh-keygen -Y verify` reads it, it has to be signed with an SSH key.
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


class ConnectionSettings(_Part):
    """How many SSH connections ``check --all`` has open at once: ``total`` of them, and ``per_machine`` to any one machine, jump hosts among them.

    Four to a machine stay below the ten logins under way at which OpenSSH begins to refuse (``MaxStartups 10:30:100``), and leave a console and an I/O server
    room for everybody else; each of the thirty-two is a thread here.
    """

    total: int = Field(default=32, ge=1, le=256)
    per_machine: int = Field(default=4, ge=1, le=64)


class WriteUpSettings(_Part):
    """How the verification for the change record is written: ``language`` (``en``, ``de``), a Jinja ``template`` and a ``logo`` of the site."""

    language: Literal["en", "de"] = "en"
    template: Path | None = None
    logo: Path | None = None


class Site(_Part):
    """What the site file says. Paths are absolute once it is loaded."""

    ssh_config: Path | None = None
    frames: dict[str, FrameSettings] = Field(default_factory=dict)
    partitions: dict[str, PartitionSettings] = Field(default_factory=dict)
    sap_systems: dict[str, SapSystemSettings] = Field(default_factory=dict)
    databases: dict[str, DatabaseSettings] = Field(default_factory=dict)
    runs: RunSettings = Field(default_factory=RunSettings)
    connections: ConnectionSettings = Field(default_factory=ConnectionSettings)
    write_up: WriteUpSettings = Field(default_factory=WriteUpSettings)

    @field_validator("frames")
    @classmethod
    def _partners(cls, value: dict[str, FrameSettings]) -> dict[str, FrameSettings]:
        for name, one in value.items():
            if one.partner and (one.partner == name or one.partner not in value):
                raise ValueError(f"the partner of {name} is another frame of this file, not {one.partner!r}")
        return value

    def frame(self, name: str) -> FrameSettings:
        """The settings of one frame; raises `NotFound` with the nearest name."""
        if name not in self.frames:
            raise NotFound("frame in the site file", name, known=self.frames)
        return self.frames[name]

    def sap_of(self, partition: str) -> dict[str, SapSystemSettings]:
        """The SAP systems that run in a partition, by SID."""
        return {sid: one for sid, one in self.sap_systems.items() if one.partition == partition}

    def as_data(self) -> dict[str, Any]:
        """JSON values for a run folder; references to secrets stay references."""
        return self.model_dump(mode="json")


def find_site_file(given: str | os.PathLike[str] | None) -> Path:
    """The site file that applies: the one given, ``$LPMKIT_SITE``, or one of `SITE_FILES` here."""
    named = given or os.environ.get("LPMKIT_SITE")
    if named:
        path = Path(named)
        if not path.is_file():
            raise NotFound("site file", str(path))
        return path
    for name in SITE_FILES:
        if Path(name).is_file():
            return Path(name)
    raise UsageError(
        "there is no site file here",
        where=str(Path.cwd()),
        next_step=f"Write {SITE_FILES[0]} (the user guide shows one), or name one with --site FILE, or rehearse with `lpmkit demo`.",
    )


#: What the YAML parser quotes of a file's values in what it says.
_VALUES = re.compile(r" with value .*|(?<=undefined alias) .*", re.DOTALL)


def load_site(path: str | os.PathLike[str]) -> Site:
    """Read a site file. Raises `SiteFileError`, which names line and key of everything that is wrong."""
    path = Path(path)
    return _absolute(read_settings(path, Site, "`frames:` and `partitions:`"), path.resolve().parent)


def read_settings(path: Path, model: type[Settings], holds: str, what: str | None = None) -> Settings:
    """A YAML file as a model; ``holds`` says what it should hold. Raises `SiteFileError`, which names line and key of everything that is wrong.

    What the parsers say is not chained to it: they quote the file, and somebody may have written a password into it. A traceback stays in a saved notebook.
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
        problems = [f"line {_line(data, item['loc'])}, {_key(item['loc'])}: {item['msg']}" for item in error.errors()]
        raise SiteFileError(str(path), problems, what=what) from None
    except RecursionError:
        raise SiteFileError(str(path), ["it is nested too deep"], what=what) from None


def parse_yaml(text: str, where: str, *, what: str | None = None, typ: str = "rt") -> Any:
    """The content of a YAML text that a person wrote. Raises `SiteFileError` for whatever its parser stumbles over: nested too deep, merged into itself, no YAML at all."""
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
    except Exception as error:  # noqa: BLE001 - the parser raises TypeError, ValueError and others for what is odd in a file
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
        name: folder / given.expanduser() for name in ("template", "logo") if (given := getattr(site.write_up, name))
    }
    write_up = site.write_up.model_copy(update=paths)
    sap = {sid: one.model_copy(update=_absolute_sap(one, folder)) for sid, one in site.sap_systems.items()}
    databases = {
        sid: database.model_copy(
            update={
                name: folder / given.expanduser() for name in ("rules", "wallet") if (given := getattr(database, name))
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
        }
    )


def _absolute_sap(one: SapSystemSettings, folder: Path) -> dict[str, Any]:
    changed: dict[str, Any] = {"rules": folder / one.rules.expanduser() if one.rules else None}
    for name in ("webservice", "soap_rfc"):
        way = getattr(one, name)
        if way is not None and way.ca_file is not None:
            changed[name] = way.model_copy(update={"ca_file": folder / way.ca_file.expanduser()})
    return changed


def _key(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the file"


def _line(data: Any, location: tuple[int | str, ...]) -> int:
    """The line of the innermost key that exists, counted from 1; a missing key has the line of what should hold it."""
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
