"""Errors of Oracle's drivers and of the database: what each means for a sample, for the session and for the account,
and the advice for it.
"""

from __future__ import annotations

import re

from lpmkit.errors import RemoteError
from lpmkit.timeline import Outcome

_GRANTS = "docs/oracle.md has the script that makes the user."
_ADVICE: tuple[tuple[str, str], ...] = (
    (
        r"DPI-1047",
        (
            "No Oracle Client library was found here. Name its folder as `client:` of the database, or set `way: "
            "sqlplus`, which needs no client."
        ),
    ),
    (
        r"DPI-1050|DPI-1072",
        "The Oracle Client here is too old for that database; see docs/oracle.md, or set `way: sqlplus`.",
    ),
    (
        r"DPY-3010",
        (
            "The database is older than 12.1, which needs an Oracle Client: set `way: thick` (11.2) or `way: "
            "sqlplus` (any release)."
        ),
    ),
    (
        r"DPY-3015|DPY-4008|ORA-28040",
        "The account has no password verifier that this driver can use: the password was last set under an "
        "older release,"
        " or sqlnet.ora asks for another logon version. Set the password again (alter user … identified by …), "
        "or set `way: sqlplus`.",
    ),
    (
        r"DPY-3001|ORA-12660",
        (
            "The database requires native network encryption, which needs an Oracle Client: set `way: thick` or "
            "`way: sqlplus`."
        ),
    ),
    (
        r"DPY-6001|ORA-12514|DPY-6003|ORA-12505",
        "The listener does not know this service: correct `service:`; `lsnrctl status` on the host lists the services.",
    ),
    (
        r"DPY-6002|ORA-29002|ORA-29003",
        "`server_dn:` is not the distinguished name in the server's certificate: `openssl s_client -connect HOST:PORT`"
        " shows that as its subject.",
    ),
    (
        r"DPY-6006",
        "The server's certificate names another host than `listener:`: write the name that is in it, or set"
        " `server_dn:` to its subject.",
    ),
    (
        r"certificate has expired|ORA-29024.*expired|ORA-28857",
        "The server's certificate has expired: the database administrator renews it in the server's wallet.",
    ),
    (r"certificate is not yet valid", "The server's certificate is not valid yet: compare the clocks of both hosts."),
    (
        r"DPY-2018|DPY-2019|ORA-28759",
        "There is no wallet in the folder that `wallet:` names: it holds ewallet.pem for `way: thin`, and cwallet.sso"
        " or ewallet.p12 for a client.",
    ),
    (
        r"NO_CERTIFICATE_OR_CRL_FOUND|NO_START_LINE|PEM lib|ORA-28750|ORA-28861",
        "The wallet cannot be read: ewallet.pem holds the authority's certificate as PEM.",
    ),
    (
        r"Errno 22|bad decrypt|BAD_DECRYPT|DPY-2021|ORA-28791|ORA-29106",
        "The wallet is encrypted: `wallet_password:` refers to its password.",
    ),
    (
        r"Missing Authority Key Identifier|CA cert does not include key usage extension",
        "Python 3.13 and later want an authority key identifier in the server's certificate, and the key usage in that"
        " of its authority: have them issued again, or run lpmkit with Python 3.12.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|ORA-29024|ORA-28860",
        "The wallet does not hold the authority of the server's certificate: add that to ewallet.pem, or to the"
        " client's wallet (orapki wallet add -trusted_cert).",
    ),
    (
        r"no (?:logon|answer) over TLS within",
        "A port without TLS is silent when it is asked for TLS: name the port of TCPS as `listener:`, or leave"
        " `protocol: tcps` out; `lsnrctl status` on the host lists both. Else nothing answers there at all.",
    ),
    (
        r"WRONG_VERSION_NUMBER|\[SSL|ORA-2886[0-9]",
        "What answers there speaks another protocol: a TCPS port needs `protocol: tcps`, a TCP port needs it left out.",
    ),
    (
        r"DPY-6005.*DPY-4011",
        "The listener closed the connection at once: a TCPS port needs `protocol: tcps`, and sqlnet.ora or a firewall"
        " may not let this host in.",
    ),
    (
        r"Errno 111|ORA-12541",
        "No listener answers there: correct `listener:`; `lsnrctl status` on the host shows its addresses.",
    ),
    (r"ORA-1252[68]", "The instance accepts no logons at present: it is starting, restricted, or blocked by its DBA."),
    (
        r"ORA-1251[69]|ORA-12520",
        (
            "The listener has no handler for this service: the instance has reached `processes` or `sessions`, or "
            "is not registered yet."
        ),
    ),
    (
        r"ORA-000(?:18|20)\b",
        "The instance has reached its limit of sessions or processes. The watcher needs four or five sessions.",
    ),
    (r"ORA-0*1017\b|ORA-01005", f"Check `user:` and the secret that `password:` refers to; {_GRANTS}"),
    (
        r"ORA-0*1031\b",
        (
            "The operating-system user of this login may not connect as SYSDBA; docs/oracle.md shows a user "
            "identified externally instead."
        ),
    ),
    (r"ORA-0*1045\b", "The user lacks CREATE SESSION: grant create session to the user."),
    (r"ORA-28000", "The account is locked: alter user … account unlock."),
    (
        r"ORA-28001|ORA-65162",
        (
            "The password has expired: set it again (alter user … identified by …) and give the user a profile "
            "whose passwords do not expire."
        ),
    ),
    (r"ORA-0103[34]|ORA-01109|ORA-27101", "The instance is not open."),
    (r"ORA-01035", "Logons are restricted: alter system disable restricted session, when its DBA agrees."),
    (r"ORA-0?10(?:89|90)\b", "The instance is being shut down."),
    (
        r"ORA-00?257\b",
        "The archiver is stuck, so that the database takes no logons: its DBA makes room for the archived redo.",
    ),
    (
        r"ORA-0?2391\b",
        "The profile of the user allows fewer sessions (SESSIONS_PER_USER) than the watcher's four or five.",
    ),
    (r"ORA-28009", "A watcher does not log on as SYS: name a user of its own; docs/oracle.md has its grants."),
    (
        r"ORA-12154|ORA-12545|Name or service not known|nodename nor servname|getaddrinfo",
        "The host in `listener:` has no address here: write a name that DNS knows, or an address.",
    ),
    (
        r"ORA-12543|No route to host|Network is unreachable",
        "That host cannot be reached from here: a route or a firewall is missing between the two.",
    ),
    (
        r"ORA-12170|ORA-12535|tcp_connect_timeout|DPY-6005.*timed out",
        "Nothing answered in time: a firewall drops the packets, or the host is down; correct `listener:` else.",
    ),
    (r"ORA-12521|ORA-12502", "The listener does not know this instance: correct `service:`."),
    (r"ORA-12518", "The listener could not hand the connection over: the host or the instance is out of processes."),
    (r"ORA-12529", "The listener's rules do not let this host in: its DBA adds it (TCP.INVITED_NODES, or a firewall)."),
    (
        r"ORA-12537|ORA-12547|ORA-12637",
        "The other side closed the connection. Where it does so at every logon, TCP.INVITED_NODES or a firewall does"
        " not let this host in, or a TCPS port needs `protocol: tcps`.",
    ),
    (
        r"ORA-0*1882\b",
        "The time zone of this session is not known to the database: its time zone file is older than the zone's name."
        " Set ORA_SDTZ or TZ to an offset such as +02:00 for the login that runs `sqlplus`.",
    ),
    (
        r"(?:sqlplus|ksh|bash|sh|env)\b.*not found|0509|cannot execute|No such file",
        "`sqlplus` was not found on the host: give its path and ORACLE_HOME, as in"
        " `sqlplus: [env, ORACLE_SID=BX5, ORACLE_HOME=/oracle/BX5/102_64, /oracle/BX5/102_64/bin/sqlplus]`.",
    ),
)
#: Errors after which a session is dead (the driver's own list, `PYTHON-ORACLEDB`), also when the driver does not say
#: so.
_DEAD = re.compile(
    r"DPY-(?:4011|1001|4005)|DPI-1010|DPI-1080|ORA-0*(?:22|28|31|45|378|602|603|609|1012|1041|1043|1089|1092|2396|"
    r"3113|3114|3122|3135"
    r"|12153|12537|12547|12570|12583|27146|28511|56600)\b|SP2-0640|SP2-0642"
)
#: Errors by which a database refuses an account: a wrong, missing or expired password, a locked account, no right to
#: log on (`ORACLE-REF`).
_REFUSED = re.compile(r"ORA-0*(?:1005|1017|1045|28000|28001|65162)\b")


class QueryFailed(RemoteError):
    """A question to a database that failed.

    ``outcome`` is that of its sample, ``dead`` marks a session that is gone, ``refused`` an account.
    """

    def __init__(self, text: str, outcome: Outcome, *, dead: bool = False, where: str | None = None) -> None:
        self.outcome, self.dead = outcome, dead
        self.refused = is_refused_account(text)
        super().__init__(short(text), where=where, next_step=advice(text))


def is_refused_account(text: str) -> bool:
    """True if an error refuses the account, so that another logon would only lock it.

    >>> is_refused_account("ORA-01017: invalid username/password; logon denied")
    True
    >>> is_refused_account("ORA-12514: no such service")
    False
    """
    return _REFUSED.search(text) is not None


def advice(text: str) -> str | None:
    """The next step after an error of a driver or of the database; ``None`` where none is known.

    >>> advice((
    ...     "DPY-3010: connections to this database server version are not supported by "
    ...     "python-oracledb in thin mode"
    ... ))
    'The database is older than 12.1, which needs an Oracle Client: set `way: thick` (11.2) or ...'
    """
    return next((step for pattern, step in _ADVICE if re.search(pattern, text, re.DOTALL)), None)


def short(text: str) -> str:
    """An error in one line: without addresses of help pages and connection ids.

    >>> short((
    ...     "DPY-6005: cannot connect to database (CONNECTION_ID=x==).\\nDPY-6001: no such "
    ...     "service\\nHelp: https://example.invalid/"
    ... ))
    'DPY-6005: cannot connect to database. DPY-6001: no such service'
    """
    lines = [re.sub(r" \(CONNECTION_ID=[^)]*\)", "", line.strip()) for line in text.splitlines()]
    return " ".join(line for line in lines if line and not line.startswith("Help:"))[:500]


def outcome_of(text: str) -> tuple[Outcome, bool]:
    """The outcome of a sample whose question ended in this error, and ``True`` where the session is dead.

    >>> outcome_of("ORA-00942: table or view does not exist")
    (<Outcome.REFUSED: 'refused'>, False)
    >>> outcome_of("DPY-4011: the database or network closed the connection")
    (<Outcome.LOST: 'lost'>, True)
    """
    if "DPY-4024" in text or "DPI-1067" in text:
        return Outcome.SILENT, False
    if _DEAD.search(text):
        return Outcome.LOST, True
    return Outcome.REFUSED, False
