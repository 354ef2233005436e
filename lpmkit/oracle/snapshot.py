"""Facts about a database before its move, as values that a survey keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: The names of the gaps of a database that nobody could log on to, and whose ``sqlnet.ora`` was not read.
LOGON, SQLNET = "logon", "sqlnet"


@dataclass(frozen=True, slots=True)
class DatabaseSnapshot:
    """The waits of a database's partners, as it showed them before the move; ``None`` where it did not.

    ``gaps`` has the reasons by the names of the questions (`lpmkit.oracle.before`); ``refused`` is the account that was
    refused, with the answer.
    """

    sid: str
    release: tuple[int, ...] = ()
    role: str | None = None
    protection_mode: str | None = None
    #: NET_TIMEOUT of each standby database that commits wait for, seconds; ``None`` for one that is not set.
    net_timeouts_s: tuple[float | None, ...] | None = None
    failover_status: str | None = None
    failover_threshold_s: float | None = None
    #: The time that 26ai's observer waits in place of the threshold: its ping interval by its retries, seconds; 0 where
    #: unset.
    observer_waits_s: float | None = None
    observe_only: bool = False
    #: The parameters that are read and that the server's ``sqlnet.ora`` sets (`lpmkit.oracle.net_time_outs`).
    net: Mapping[str, str] | None = None
    gaps: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    def why_not(self, fact: str) -> str:
        """The reason why a fact is missing."""
        return self.gaps.get(LOGON) or self.gaps.get(fact) or "the database did not show it"

    @property
    def is_primary(self) -> bool:
        """False for a standby database."""
        return self.role == "PRIMARY"
