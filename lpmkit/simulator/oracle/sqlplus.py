"""``sqlplus`` and ``tnsping`` on the partition's command line, as a script uses them: ``sqlplus -S /nolog`` and
statements on standard input.

How values are laid out is what ``set`` asks for (colsep, heading, feedback, pagesize, numwidth); columns are padded, as
they are in life.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lpmkit.simulator.oracle.instance import DOWN, Instance, OracleError, Session
from lpmkit.simulator.oracle.ttc import Value
from lpmkit.simulator.oracle.views import Answer, Views
from lpmkit.simulator.shells.reply import Reply
from lpmkit.simulator.shells.runner import Io, write

_CONNECT = re.compile(
    r"""conn(?:ect)?\s+(?:(?P<user>[\w$#]+)/(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s@"]*))|/)(?P<rest>.*)$""", re.I
)
_SQL = ("select", "with", "update", "insert", "delete", "merge", "alter", "begin")


@dataclass(slots=True)
class _Settings:
    heading: bool = True
    feedback: bool = True
    pagesize: int = 14
    colsep: str = " "
    numwidth: int = 10


@dataclass(slots=True)
class SqlPlus:
    """One run of the program."""

    instance: Instance
    views: Views
    os_user: str
    io: Io
    settings: _Settings = field(default_factory=_Settings)
    session: Session | None = None

    def run(self, arguments: Sequence[str]) -> int:
        words = [word for word in arguments if not word.startswith("-")]
        once = any(word.upper() == "-L" for word in arguments)
        as_sysdba = len(words) == 4 and [word.lower() for word in words[1:3]] == ["as", "sysdba"]
        if words and words[0].lower() != "/nolog":
            who = " ".join(words)
            if not self._connect(f"connect {who}") and (once or as_sysdba):
                return self._say("SP2-0751: Unable to connect to Oracle.  Exiting SQL*Plus", 1)
        try:
            for line in self._lines():
                word = line.split(None, 1)[0].lower() if line.strip() else ""
                if word in ("exit", "quit"):
                    return 0
                self._obey(word, line.strip())
        finally:
            if self.session is not None:
                self.instance.log_off(self.session)
        return 0

    def _say(self, text: str, status: int = 0) -> int:
        self.io.out(f"{text}\n".encode())
        return status

    def _lines(self) -> Iterator[str]:
        """Whole commands: a line, or a statement up to its semicolon."""
        rest, statement = "", ""
        while data := self.io.read():
            *whole, rest = (rest + data.decode("utf-8", "replace")).split("\n")
            for line in whole:
                if statement or line.strip().split(" ")[0].lower() in _SQL:
                    statement += line + "\n"
                    if line.rstrip().endswith((";", "/")):
                        yield statement.strip().rstrip("/")
                        statement = ""
                else:
                    yield line

    def _obey(self, word: str, line: str) -> None:
        if word == "set":
            self._set(line)
        elif word == "prompt":
            self._say(line[6:].strip())
        elif word in ("conn", "connect"):
            self._connect(line)
        elif word in (*_SQL, "commit;", "commit", "rollback;", "rollback"):
            self._state(line)
        elif word and word not in ("whenever", "column", "col"):
            self._say(f'SP2-0734: unknown command beginning "{line[:10]}..." - rest of line ignored.')

    def _set(self, line: str) -> None:
        words = re.findall(r"'[^']*'|\S+", line)[1:]
        for word, quoted in zip(words[::2], words[1::2], strict=False):
            name, value = word.lower(), quoted.strip("'")
            if name in ("heading", "hea", "feedback", "feed"):
                setattr(self.settings, "heading" if name.startswith("hea") else "feedback", value.lower() == "on")
            elif name in ("pagesize", "pages", "numwidth", "num"):
                setattr(self.settings, "pagesize" if name.startswith("pages") else "numwidth", int(value))
            elif name == "colsep":
                self.settings.colsep = value

    def _connect(self, line: str) -> bool:
        found = _CONNECT.match(line)
        sysdba = "as sysdba" in line.lower()
        try:
            if found is None or self.instance.switches.logon_error:
                raise OracleError(self.instance.switches.logon_error or 1017)
            user = found["user"]
            if user is not None:
                self.instance.check_lock(user.upper())
                if self.instance.users.get(user.upper()) != (found["quoted"] or found["plain"]):
                    raise self.instance.refuse(user.upper())
            if user is None and sysdba and not self.os_user.startswith("ora"):
                raise OracleError(1031)
            if user is None and not sysdba and f"OPS${self.os_user.upper()}" not in self.instance.users:
                raise OracleError(1017)
            name = user.upper() if user else "SYS" if sysdba else f"OPS${self.os_user.upper()}"
            self.session = self.instance.log_on(name, f"sqlplus@{self.instance.host} (TNS V1-V3)", self.instance.host)
        except OracleError as problem:
            self._say(f"ERROR:\n{problem}\n\n")
            return False
        return True

    def _state(self, line: str) -> None:
        statement = line.rstrip().rstrip(";")
        if self.session is None:
            self._say("SP2-0640: Not connected")
            return
        try:
            if statement.lower() == "commit":
                self.views.commit(self.session)
                self._told("Commit complete.")
            elif statement.lower() == "rollback":
                self._told("Rollback complete.")
            else:
                self._show(self.views.ask(statement, self.session))
        except OracleError as problem:
            self._say(f"{statement.splitlines()[0]}\n*\nERROR at line 1:\n{problem}\n\n")
            if problem.code in (28, 3113):
                self.session = None

    def _told(self, text: str) -> None:
        if self.settings.feedback:
            self._say(f"\n{text}\n")

    def _show(self, answer: Answer) -> None:
        if not answer.columns:
            self._told(f"{answer.changed} row{'s' * (answer.changed != 1)} updated.")
            return
        shown = [[_cell(value) for value in row] for row in answer.rows]
        widths = [
            self.settings.numwidth if column.numeric else max([len(column.name), *(len(row[at]) for row in shown)])
            for at, column in enumerate(answer.columns)
        ]
        if self.settings.heading and self.settings.pagesize and shown:
            names = [
                c.name.rjust(w) if c.numeric else c.name.ljust(w) for c, w in zip(answer.columns, widths, strict=True)
            ]
            self._say("\n" + self.settings.colsep.join(names).rstrip())
            self._say(self.settings.colsep.join("-" * width for width in widths))
        for row in shown:
            cells = [
                v.rjust(w) if c.numeric else v.ljust(w) for v, c, w in zip(row, answer.columns, widths, strict=True)
            ]
            self._say(self.settings.colsep.join(cells).rstrip())
        if not shown and self.settings.feedback:
            self._say("\nno rows selected\n")


def _cell(value: Value) -> str:
    return "" if value is None else str(value)


def tnsping(instance: Instance, port: int, arguments: Sequence[str], io: Io) -> int:
    """``tnsping ALIAS``: whether a listener answers, not whether a database does."""
    alias = arguments[0] if arguments else ""
    if alias.upper() != instance.sid.upper():
        return write(io, Reply(out="TNS-03505: Failed to resolve name\n", status=1))
    address = f"(ADDRESS = (PROTOCOL = TCP)(HOST = {instance.host})(PORT = {port}))"
    shown = f"Attempting to contact (DESCRIPTION = {address} (CONNECT_DATA = (SID = {instance.sid})))\n"
    while instance.switches.listener == "hangs" and not io.closed.wait(0.05):
        pass
    if instance.switches.listener == "refuses" or (instance.state == DOWN and instance.switches.listener == "resets"):
        return write(io, Reply(out=shown + "TNS-12541: TNS:no listener\n", status=1))
    return write(io, Reply(out=shown + "OK (10 msec)\n"))
