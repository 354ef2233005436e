"""The Oracle databases of a site file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from lpmkit.settings.part import SettingsPart
from lpmkit.settings.references import checked_reference


class DatabaseSettings(SettingsPart):
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
