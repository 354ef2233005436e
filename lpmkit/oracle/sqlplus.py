"""``sqlplus`` on the database's host, over an SSH session: needs no client here and works with every release."""

from __future__ import annotations

import re
import select
from collections.abc import Sequence

from lpmkit.errors import LoginRefused, LpmError
from lpmkit.oracle.driver_choice import DatabaseAccess
from lpmkit.oracle.drivers import STATE_LIMIT_S, Row
from lpmkit.oracle.errors import QueryFailed, is_refused_account, outcome_of, short
from lpmkit.ssh.client import SshSession
from lpmkit.timeline import Clock, Outcome

#: The separator of the columns that ``sqlplus`` prints: no view of Oracle's holds it.
COLUMN_END = "~|~"
#: The longest answer that is read, bytes. A line of V$SESSION has at most 32 KB, and there are some thousands.
MAX_ANSWER = 64 << 20
_SETTINGS = "\n".join(
    [
        "set pagesize 0 feedback off heading off verify off echo off termout on",
        "set trimout on tab off wrap on linesize 32767 numwidth 38 long 4000 sqlprompt ''",
        "set timing off autotrace off serveroutput off recsep off null ''",
        f"set colsep '{COLUMN_END}'",
    ]
)
#: What a session answers that is there. The host's glogin.sql and login.sql run at the start and behind each connect
#: (`SQLPLUS`): they set and print what they like, fail before there is a session, and a logon may print a notice too.
#: Behind the connect come lines of which no two are the same: an expired password has ``sqlplus`` read the next two as
#: the new one and its repetition, and so it is refused.
_PROOF, _LOGGED_ON = "select 'lpmkit is logged on' from dual;", "lpmkit is logged on"


class SqlPlusConnection:
    """``sqlplus -S /nolog`` with statements on its standard input.

    Passwords go there too, never onto a command line.
    """

    def __init__(self, access: DatabaseAccess, password: str | None, host: SshSession, limit_s: float) -> None:
        self._way, self._clock = access, Clock()
        try:
            self._channel = host.stream([*access.sqlplus, "-S", "/nolog"])
        except LoginRefused:
            raise
        except LpmError as error:
            raise QueryFailed(str(error), Outcome.LOST, dead=True, where=access.sid) from error
        except Exception as error:
            raise QueryFailed(f"no channel: {error}", Outcome.LOST, dead=True, where=access.sid) from error
        self._rest, self._count = bytearray(), 0
        self._poller = select.poll()
        self._poller.register(self._channel.fileno(), select.POLLIN)
        secret = (password or "").replace('"', "")
        account = f'{access.user}/"{secret}"' if access.user else "/"
        try:
            answer = self._ask(f"{_SETTINGS}\nconnect {account}\n{_SETTINGS}\n{_PROOF}", limit_s)
        except QueryFailed:
            self.close()
            raise
        if not any(line.strip() == _LOGGED_ON for line in answer):
            self.close()
            complaint = _refusal(answer) or "sqlplus did not log on and printed no reason"
            raise QueryFailed(complaint, Outcome.REFUSED, where=access.sid)

    def rows(self, sql: str, limit_s: float = STATE_LIMIT_S) -> list[Row]:
        """See `lpmkit.oracle.drivers.Connection.rows`."""
        return read_rows(self._checked(self._ask(f"{sql};", limit_s)))

    def change(self, sql: str, limit_s: float = STATE_LIMIT_S) -> None:
        """See `lpmkit.oracle.drivers.Connection.change`."""
        self._checked(self._ask(f"{sql};\ncommit;", limit_s))

    def _checked(self, lines: list[str]) -> list[str]:
        complaint = _complaint(lines)
        if complaint:
            outcome, dead = outcome_of(complaint)
            raise QueryFailed(complaint, outcome, dead=dead, where=self._way.sid)
        return lines

    def _ask(self, text: str, limit_s: float) -> list[str]:
        """Send a text and read the answer, up to a word of our own behind it."""
        self._count += 1
        end = f"lpmkit-{self._count}\n".encode()
        deadline = self._clock.mono_ns() + int(limit_s * 1e9)
        searched = 0
        try:
            self._channel.sendall(f"{text}\nprompt {end.decode()}".encode())
            while (place := self._rest.find(end, searched)) < 0:
                searched = max(0, len(self._rest) - len(end))
                left_ms = (deadline - self._clock.mono_ns()) / 1e6
                if left_ms <= 0:
                    raise self._dead(f"no answer within {limit_s:g} s; aborted", Outcome.SILENT)
                if len(self._rest) > MAX_ANSWER:
                    raise self._dead(f"an answer without end: {MAX_ANSWER >> 20} MB were read; aborted", Outcome.LOST)
                if self._poller.poll(left_ms):
                    self._read()
        except OSError as error:
            if self._channel.recv_stderr_ready() or self._channel.recv_ready():
                self._rest += self._channel.recv(65536) if self._channel.recv_ready() else b""
                raise self._ended() from error
            raise self._dead(f"the login was lost: {error}", Outcome.LOST) from error
        answer = bytes(self._rest[:place])
        del self._rest[: place + len(end)]
        return answer.decode("utf-8", "replace").splitlines()

    def _dead(self, text: str, outcome: Outcome) -> QueryFailed:
        return QueryFailed(text, outcome, dead=True, where=self._way.sid)

    def _read(self) -> None:
        data = self._channel.recv(65536)
        if not data:
            raise self._ended()
        self._rest += data

    def _ended(self) -> QueryFailed:
        """The error for a program that ended by itself, with its last words: mostly that it is not there."""
        stderr = self._channel.recv_stderr(2000) if self._channel.recv_stderr_ready() else b""
        text = short((stderr + bytes(self._rest[-2000:])).decode("utf-8", "replace")) or "nothing"
        return self._dead(f"sqlplus ended by itself and printed: {text}", Outcome.LOST)

    def close(self) -> None:
        """See `lpmkit.oracle.drivers.Connection.close`."""
        try:
            self._channel.close()
        except (OSError, EOFError):
            pass  # the connection is gone, and the channel with it


def read_rows(lines: Sequence[str]) -> list[Row]:
    """The rows that ``sqlplus`` printed with the settings above: padded columns, a blank for NULL.

    >>> read_rows(["                     12~|~OPEN      ~|~", ""])
    [('12', 'OPEN', None)]
    """
    return [tuple(cell.strip() or None for cell in line.split(COLUMN_END)) for line in lines if line.strip()]


def _complaint(lines: Sequence[str]) -> str | None:
    """The error that ``sqlplus`` printed, if it did.

    >>> _complaint(["select 1", "*", "ERROR at line 1:", "ORA-00942: table or view does not exist"])
    'ORA-00942: table or view does not exist'
    """
    return next(iter(_complaints(lines)), None)


def _complaints(lines: Sequence[str]) -> list[str]:
    return [line.strip() for line in lines if re.match(r"(ORA|SP2|TNS)-\d+", line)]


def _refusal(lines: Sequence[str]) -> str | None:
    """The error of a logon among those that scripts of the host printed: what refuses the account, else Oracle's own.

    >>> _refusal(["SP2-0640: Not connected", "ERROR:", "ORA-01017: invalid username/password; logon denied"])
    'ORA-01017: invalid username/password; logon denied'
    """
    found = _complaints(lines)
    of_oracle = [line for line in found if not line.startswith("SP2")]
    return next(iter([*filter(is_refused_account, found), *of_oracle, *found]), None)
