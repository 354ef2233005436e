r"""The alert log as an instance writes it, in the form of its release, with everything that makes reading one hard
(`ALERT-LOGS`).

Up to 12.1 a line of its own holds the local time as ``ctime`` prints it, later an ISO stamp with zone;
``UNIFORM_LOG_TIMESTAMP_FORMAT=FALSE`` brings the old form back, in the same file. From 11g on everything is written
into ``log.xml`` too.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape

#: How 10g prints a time: ctime of the host's own clock, without a zone.
CTIME = "%a %b %e %H:%M:%S %Y"
STARS = "*" * 71


def release_of(version: str) -> tuple[int, ...]:
    """
    >>> release_of("10.2.0.2.0")
    (10, 2, 0, 2, 0)
    """
    return tuple(int(part) for part in version.split("."))


def background_dump_dest(sid: str, version: str) -> str:
    """The place where SAP has the alert log of an instance (U), by release."""
    if release_of(version) < (11,):
        return f"/oracle/{sid}/saptrace/background"
    return f"/oracle/{sid}/saptrace/diag/rdbms/{sid.lower()}/{sid}/trace"


def log_switch(sequence: int, sid: str) -> list[str]:
    """The lines that are written at a log switch, with SAP's names of the redo logs.

    >>> print("\\n".join(log_switch(4712, "BX5")))
    Thread 1 advanced to log sequence 4712 (LGWR switch)
      Current log# 1 seq# 4712 mem# 0: /oracle/BX5/origlogA/log_g11m1.dbf
      Current log# 1 seq# 4712 mem# 1: /oracle/BX5/mirrlogA/log_g11m2.dbf
    """
    group = 1 + sequence % 4
    letter = "AB"[(group - 1) % 2]
    lines = [f"Thread 1 advanced to log sequence {sequence} (LGWR switch)"]
    for member, folder in enumerate(("origlog", "mirrlog")):
        place = f"/oracle/{sid}/{folder}{letter}/log_g1{group}m{member + 1}.dbf"
        lines.append(f"  Current log# {group} seq# {sequence} mem# {member}: {place}")
    return lines


@dataclass(slots=True)
class AlertLog:
    """One instance's alert log below ``root``. ``now`` is the host's time of day, in UTC as every simulated machine."""

    root: Path
    sid: str
    version: str
    now: Callable[[], float] = time.time
    old_form: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    written: int = 0

    @property
    def release(self) -> tuple[int, ...]:
        return release_of(self.version)

    @property
    def folder(self) -> str:
        return background_dump_dest(self.sid, self.version)

    @property
    def path(self) -> str:
        return f"{self.folder}/alert_{self.sid}.log"

    @property
    def file(self) -> Path:
        return self.root / self.path.lstrip("/")

    @property
    def iso(self) -> bool:
        return self.release >= (12, 2) and not self.old_form

    def stamp(self, wall_s: float) -> str:
        """A stamp line of this release; the old form is in whole seconds and says no zone."""
        if self.iso:
            return datetime.fromtimestamp(wall_s, tz=UTC).isoformat(timespec="microseconds")
        return time.strftime(CTIME, time.gmtime(wall_s))

    def write(self, *lines: str, wall_s: float | None = None) -> None:
        """One entry: its stamp, then its lines."""
        wall_s = self.now() if wall_s is None else wall_s
        with self.lock:
            self._append("\n".join([self.stamp(wall_s), *lines]) + "\n")
            self._append_xml(lines, wall_s)

    def write_block(self, client: str, seconds_ago: float = 0.0) -> None:
        """A connection that timed out.

        Where times are local the block stands before its stamp; the time inside it is the right one.
        """
        wall_s = self.now()
        lines = network_error(client, self.version, wall_s - seconds_ago)
        if self.iso:
            self.write(*lines, wall_s=wall_s)
            return
        with self.lock:
            self._append("\n".join([*lines, self.stamp(wall_s)]) + "\n")
            self._append_xml(lines, wall_s)

    def write_interleaved(self, client: str) -> None:
        """A block of one process with an entry of another, and stamps, between its lines (seen on a stalling 19c
        host).
        """
        lines, wall_s = network_error(client, self.version, self.now()), self.now()
        text = [self.stamp(wall_s), *lines[:4], self.stamp(wall_s), "Resize operation completed for file# 3"]
        for at, line in enumerate(lines[4:]):
            text += [line, self.stamp(wall_s + at / 100)]
        with self.lock:
            self._append("\n".join(text) + "\n")

    def write_banner(self) -> None:
        """The banner of a start without a start: a running 12c writes it when ``log.xml`` rolls
        (`ORADOC:2049516.1`).
        """
        self.write(
            "Starting ORACLE instance (normal) (OS id: 4063494)", "LICENSE_MAX_SESSION = 0",
            "LICENSE_SESSIONS_WARNING = 0",
            f"ORACLE_HOME = /oracle/{self.sid}/{''.join(str(part) for part in self.release[:3])}_64",
            "System parameters with non-default values:", "  processes                = 200",
            f'  db_name                  = "{self.sid}"',
        )  # fmt: skip

    def rotate(self) -> Path:
        """Move the log away, as a DBA does; the instance makes a new one with its next entry."""
        with self.lock:
            moved = self.file.with_name(self.file.name + time.strftime(".%Y%m%d", time.gmtime(self.now())))
            self.file.rename(moved)
        return moved

    def truncate(self) -> None:
        """Empty the log, as a hurried DBA does: ``> alert.log``."""
        with self.lock:
            os.truncate(self.file, 0)

    def trace(self, process: str, *lines: str) -> None:
        """An entry in the trace file of a background process."""
        path = self.file.with_name(
            f"{self.sid.lower() if self.release < (11,) else self.sid}_{process}_4063{len(process)}.trc"
        )
        form = "%Y-%m-%d %H:%M:%S"
        wall_s = self.now()
        stamp = f"*** {time.strftime(form, time.gmtime(wall_s))}.{int(wall_s % 1 * 1000):03}"
        with self.lock, path.open("a", encoding="utf-8") as file:
            file.write("\n".join([stamp, *lines]) + "\n")

    def _append(self, text: str) -> None:
        self.written += 1
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(text)

    def _append_xml(self, lines: Sequence[str], wall_s: float) -> None:
        if self.release < (11,):
            return
        folder = self.file.parent.parent / "alert"
        folder.mkdir(parents=True, exist_ok=True)
        stamp = datetime.fromtimestamp(wall_s, tz=UTC).isoformat(timespec="milliseconds")
        body = escape("\n".join(lines), {"'": "&apos;"})
        element = (
            f"<msg time='{stamp}' org_id='oracle' comp_id='rdbms'\n client_id='' type='UNKNOWN' level='16'\n"
            f" host_id='{self.sid.lower()}' host_addr='192.0.2.85' module=''\n pid='4063494'>\n <txt>{body}\n "
            "</txt>\n</msg>\n"
        )
        with (folder / "log.xml").open("a", encoding="utf-8") as file:
            file.write(element)


def network_error(client: str, version: str, wall_s: float) -> list[str]:
    """The block of a connection that timed out, with AIX's number for it (78, ETIMEDOUT)."""
    when = time.strftime("%d-%b-%Y %H:%M:%S", time.gmtime(wall_s)).upper()
    return [
        "", STARS, "", "Fatal NI connect error 12170.", "", "  VERSION INFORMATION:",
        f"\tTNS for IBM/AIX RISC System/6000: Version {version} - Production",
        f"\tTCP/IP NT Protocol Adapter for IBM/AIX RISC System/6000: Version {version} - Production",
        f"  Time: {when}", "  Tracing not turned on.", "  Tns error struct:", "    ns main err code: 12535", "    ",
        "TNS-12535: TNS:operation timed out", "    ns secondary err code: 12560", "    nt main err code: 505", "    ",
        "TNS-00505: Operation timed out", "    nt secondary err code: 78", "    nt OS err code: 0",
        f"  Client address: {client}",
    ]  # fmt: skip
