"""The database that a probe watches: its driver, its secrets, its accounts, and the record of what failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lpmkit.oracle.connections import connect
from lpmkit.oracle.driver_choice import DatabaseAccess
from lpmkit.oracle.drivers import Connection
from lpmkit.oracle.errors import QueryFailed
from lpmkit.probes.orders import ProbeOrder, Sink
from lpmkit.ssh.client import SshSession, route
from lpmkit.ssh.refusals import Accounts, LogonNotTried, is_refusal
from lpmkit.ssh.secrets import Secrets
from lpmkit.timeline import Outcome, Sample

#: The longest logon of a session that stays, seconds.
SESSION_LOGON_S = 20.0
#: The time that the last question of a probe may take after the end was asked for, seconds.
LAST_ANSWER_S = 3.0


@dataclass(frozen=True, slots=True)
class Database:
    """The database of a probe: how to reach it, its secrets, and the accounts that refused them."""

    way: DatabaseAccess
    password: str | None
    host: SshSession
    limit_s: float
    wallet_password: str | None = None
    accounts: Accounts = field(default_factory=Accounts)

    @classmethod
    def of(cls, order: ProbeOrder, secrets: Secrets, accounts: Accounts | None = None) -> Database:
        """The database that an order names. Raises `lpmkit.errors.UsageError` for a secret that cannot be had."""
        options = order.options
        way = DatabaseAccess.from_data(options["way"])
        host = SshSession(
            route(order.host, Path(order.ssh_config) if order.ssh_config else None),
            password=secrets.get(order.password, order.host),
        )
        return cls(
            way,
            secrets.get(options.get("password"), f"database {way.sid}"),
            host,
            float(options.get("limit_s", 60.0)),
            secrets.get(options.get("wallet_password"), f"wallet of database {way.sid}"),
            accounts or Accounts(),
        )

    @property
    def login(self) -> str:
        """The account of the login to the host, as `lpmkit.ssh.refusals.Accounts` knows it."""
        return f"{self.host.route.user}@{self.host.where}"

    def open(self, limit_s: float) -> Connection:
        """Log on, unless this account refused us before.

        Raises `QueryFailed`, `lpmkit.errors.LoginRefused` or `lpmkit.errors.NoAnswer`.
        """
        with self.accounts.attempt(self.way.account, limit_s):
            if self.way.way == "sqlplus":
                with self.accounts.attempt(self.login, limit_s):
                    return connect(self.way, self.password, self.host, limit_s)
            return connect(self.way, self.password, self.host, limit_s, self.wallet_password)


def failed_sample(seq: int, due: int, sent: int, ended: int, trouble: BaseException) -> Sample:
    """The sample of a question that failed. A refusal is an answer of a kind: its moment is kept."""
    if isinstance(trouble, QueryFailed):
        outcome, detail = trouble.outcome, trouble.what
    else:
        outcome, detail = Outcome.LOST, str(trouble)
    answered = ended if outcome is Outcome.REFUSED else None
    return Sample(seq, due, sent, answered, outcome=outcome, detail=detail)


def report_refusal(probe: str, trouble: BaseException, accounts: Accounts, sink: Sink) -> bool:
    """Record that credentials were refused, at once and for good; false for any other trouble."""
    if not is_refusal(trouble):
        return False
    text = str(trouble) if isinstance(trouble, LogonNotTried) else f"1 logon was refused and none follows: {trouble}"
    sink.event(probe, "probe-trouble", what=text, refused=accounts.all_refused())
    return True
