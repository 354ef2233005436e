"""The SAP systems of a site file, and their interfaces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from zoneinfo import available_timezones

from pydantic import Field, field_validator

from lpmkit.settings.part import SettingsPart
from lpmkit.settings.references import checked_reference


class SapWebService(SettingsPart):
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


class SapCommands(SettingsPart):
    """``sapcontrol``, ``dpmon``, ``saplikey`` and ``ps`` over SSH as ``<sid>adm``; ``host`` is the name after ``ssh``
    for that user.

    """

    host: str = Field(min_length=1)
    password: str | None = None
    profile: str = ""
    timeout_s: float = Field(default=20.0, gt=0, le=120.0)

    _password = field_validator("password")(checked_reference)


class SapRfc(SettingsPart):
    """RFC by pyrfc, if it is installed. ``host`` and ``number`` as in SAP Logon."""

    host: str = ""
    number: str = ""
    client: str = Field(pattern=r"^\d{3}$")
    user: str = Field(min_length=1)
    password: str
    router: str | None = None
    timeout_s: float = Field(default=20.0, gt=0, le=120.0)

    _password = field_validator("password")(checked_reference)


class SapSoapRfc(SettingsPart):
    """Function modules over HTTP (``/sap/bc/soap/rfc``). ``url`` ends with the port: ``https://bxaix85:8001``."""

    url: str = Field(pattern=r"^https?://[^/]+/?$")
    client: str = Field(pattern=r"^\d{3}$")
    user: str = Field(min_length=1)
    password: str
    ca_file: Path | None = None
    timeout_s: float = Field(default=20.0, gt=0, le=120.0)

    _password = field_validator("password")(checked_reference)


class SapSlo(SettingsPart):
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


class SapSystemSettings(SettingsPart):
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
