"""The database of a partition: the instance, its alert log, its listener, and its programs on the command line."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from lpmkit.simulator.guest import Guest
from lpmkit.simulator.oracle.alert_log import AlertLog
from lpmkit.simulator.oracle.instance import Around, DiskGroup, Instance, Member, Standby
from lpmkit.simulator.oracle.listener import Listener
from lpmkit.simulator.oracle.sqlplus import SqlPlus, tnsping
from lpmkit.simulator.oracle.views import Views
from lpmkit.simulator.shells.runner import Io

#: The user that a program logs on as over the net.
DATABASE_USER = "LPMKIT"
#: How long after the machine a database is up.
_STARTED_AFTER_S = 240


class Oracle:
    """Starts with the partition and lives as long as its process."""

    def __init__(self, guest: Guest, root: Path, os_user: str, address: str, password: str) -> None:
        version = guest.oracle_version or "10.2.0.2.0"
        log = AlertLog(root, guest.oracle_sid, version)
        users = {DATABASE_USER: password, f"OPS${os_user.upper()}": ""}
        if guest.sap is not None:
            users[f"OPS${guest.sap.administrator.upper()}"] = ""
        started = guest.boot_wall_s + _STARTED_AFTER_S
        log.write("Starting ORACLE instance (normal)", wall_s=started)
        log.write("Database mounted in Exclusive Mode.", "Completed: ALTER DATABASE OPEN", wall_s=started)
        around = Around(
            standbys=[Standby(name) for name in guest.oracle_around.get("standby", ())],
            disk_groups=[DiskGroup(name) for name in guest.oracle_around.get("asm", ())],
            members=[_member(text, started) for text in guest.oracle_around.get("members", ())],
        )
        self.instance = Instance(log, guest.name, started, users=users, around=around)
        self.views = Views(self.instance)
        self._os_user = os_user
        self._listener = Listener(self.instance, self.views, address)
        self._listener.start()
        self.port = self._listener.port
        threading.Thread(target=self.instance.live, daemon=True, name="oracle-lgwr").start()

    def knows(self, words: Sequence[str]) -> bool:
        """True if a command line is for a program of the database; ``env`` in front of it sets what it needs."""
        return _program(words)[:1] in (["sqlplus"], ["tnsping"])

    def run(self, words: Sequence[str], io: Io, user: str = "") -> int:
        program, *arguments = _program(words)
        if program == "tnsping":
            return tnsping(self.instance, self.port, arguments, io)
        return SqlPlus(self.instance, self.views, user or self._os_user, io).run(arguments)


def _member(text: str, started_wall_s: float) -> Member:
    name, _, host = text.partition("@")
    return Member(name, host, started_wall_s - 60)


def _program(words: Sequence[str]) -> list[str]:
    """
    >>> _program(["env", "ORACLE_SID=BX5", "/oracle/BX5/bin/sqlplus", "-S", "/nolog"])
    ['sqlplus', '-S', '/nolog']
    """
    rest = list(words)
    if rest[:1] == ["env"]:
        rest = rest[1:]
        while rest and "=" in rest[0]:
            rest = rest[1:]
    return [rest[0].rpartition("/")[2], *rest[1:]] if rest else []
