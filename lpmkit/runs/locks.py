"""File locks with a mark of their owner.

The kernel's lock (``flock``) ends with its process and cannot be left behind. Some file systems grant it to every
process (NFS without a lock service) or to none, so the owner also writes a mark into the file: a token, its host
and its process. Another process refuses a file whose mark has a live owner, and an owner that finds a foreign mark
has lost the file.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex

from lpmkit.errors import RecordError
from lpmkit.json_values import parse_json
from lpmkit.runs.files import FULL, cannot_write, make_folder, open_plain

#: Seconds between two renewals of a mark, and age from which an owner on another host counts as dead.
BEAT_S, GONE_S = 5.0, 60.0
#: Seconds for which a lock that nobody owns is tried again: who looks for its owner takes it for a moment.
LOOK_S = 1.0
#: Errors of ``flock`` on a file system without locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_MAX_MARK_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Owner:
    """The mark in a lock file.

    ``boot`` and ``started`` identify the boot of the host and the start of the process; empty if unknown. ``inode``
    is the lock file's own: a copy of the folder has a different one, so a copied mark is void.
    """

    token: str
    host: str
    pid: int
    inode: int
    boot: str
    started: str
    about: str

    def __str__(self) -> str:
        return f"{self.about}, process {self.pid} on {self.host}"


class HeldByAnother(RecordError):
    """A lock that another process holds; ``owner`` is ``None`` if its mark is unreadable."""

    def __init__(self, what: str, *, owner: Owner | None, where: str, next_step: str) -> None:
        self.owner = owner
        super().__init__(what, where=where, next_step=next_step)


class FileLock:
    """A lock on one file. ``about`` is written into the mark; ``taken`` and ``next_step`` are for the error of other
    processes.

    """

    def __init__(self, path: Path, *, about: str, taken: str, next_step: str) -> None:
        self.path, self._about, self._taken, self._next_step = path, about, taken, next_step
        self._descriptor: int | None = None
        self._beaten_s = 0.0
        self._token = ""

    def acquire(self) -> None:
        """Take the lock.

        Raises `HeldByAnother` if it is taken, `RecordError` if the file system has no locks or cannot be written.
        """
        try:
            with open_plain(self.path, "a+b") as file:
                descriptor = os.dup(file.fileno())
        except OSError as error:
            raise cannot_write(self.path, error) from error
        try:
            self._take(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _take(self, descriptor: int) -> None:
        look_until = time.monotonic() + LOOK_S
        while not _is_locked(self.path, descriptor):
            owner = _mark(descriptor)
            if (owner is not None and _is_alive(owner, descriptor)) or time.monotonic() > look_until:
                raise self._held(owner, "")
            time.sleep(0.01)  # no owner: `holder` looks just now, or the one that took it has not written its mark yet
        before = _mark(descriptor)
        if before is not None and _is_alive(before, descriptor):
            raise self._held(before, "; the file system's lock does not keep others out")
        self._token = token_hex(8)
        mark = Owner(
            self._token,
            socket.gethostname(),
            os.getpid(),
            os.fstat(descriptor).st_ino,
            boot_id(),
            _started(os.getpid()),
            self._about,
        )
        try:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, json.dumps(asdict(mark)).encode())
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in FULL:
                raise _cannot_lock(self.path, error) from error
            self._token = ""  # no mark on a full disk; the kernel's lock must suffice
        self._beaten_s = time.monotonic()

    def _held(self, owner: Owner | None, remark: str) -> HeldByAnother:
        return HeldByAnother(
            f"{self._taken} ({owner}){remark}" if owner else f"{self._taken}{remark}",
            owner=owner,
            where=str(self.path.parent),
            next_step=self._next_step,
        )

    def is_ours(self) -> bool:
        """True while the mark is ours, or unreadable; also renews the mark every `BEAT_S`."""
        if self._descriptor is None or not self._token:
            return True
        now = time.monotonic()
        if now - self._beaten_s > BEAT_S:
            self._beaten_s = now
            try:
                os.utime(self._descriptor)
            except OSError:
                return True  # a disk in trouble, which the writer reports
        mark = _read_mark(self.path)
        return mark is None or mark.token == self._token

    def release(self) -> None:
        """Release the lock. A foreign mark stays."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        mark = _mark(descriptor)
        if mark is not None and mark.token == self._token:
            try:
                os.ftruncate(descriptor, 0)
            except OSError:
                mark = None  # the mark of an ended process is no owner
        os.close(descriptor)


def _is_locked(path: Path, descriptor: int) -> bool:
    """Try to take the kernel's lock; false where another has it. Raises `RecordError` where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _cannot_lock(path, error) from error
    return True


def holder(path: Path) -> Owner | None:
    """The live owner of a lock file, ``None`` without one. Raises `RecordError` if unknown."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordError(
            f"unknown whether it is being recorded: {path.name} cannot be read ({error.strerror})",
            where=str(path.parent),
            next_step=(
                "Ask its owner for permission to read it; `runs.group` in the site file shares new runs with a group."
            ),
        ) from error
    try:
        mark = _mark(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return mark or Owner("", "this machine or another", 0, 0, "", "", "")
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise _cannot_lock(path, error) from error
        return mark if mark is not None and _is_alive(mark, descriptor) else None
    finally:
        os.close(descriptor)


def _cannot_lock(path: Path, error: OSError) -> RecordError:
    reason = "has no locks" if error.errno in _NO_LOCKS else "cannot lock"
    code = errno.errorcode.get(error.errno or 0, error.errno)
    return RecordError(
        f"the file system {reason}: {path.name}: {error.strerror} ({code})",
        where=str(path.parent),
        next_step=(
            "Put the folder of runs on a local disk (`runs.folder` in the site file). Nothing was asked of any manager."
        ),
    )


def _read_mark(path: Path) -> Owner | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _mark(descriptor)
    finally:
        os.close(descriptor)


def _mark(descriptor: int) -> Owner | None:
    """The mark in an open lock file; ``None`` if there is none or it is invalid."""
    try:
        fields = parse_json(os.pread(descriptor, _MAX_MARK_BYTES, 0))
        return Owner(
            token=str(fields["token"]),
            host=str(fields["host"]),
            pid=int(fields["pid"]),
            inode=int(fields["inode"]),
            boot=str(fields["boot"]),
            started=str(fields["started"]),
            about=str(fields["about"]),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _is_alive(owner: Owner, descriptor: int) -> bool:
    """True if the owner of a mark lives: judged by its process on this host, by its last renewal on another."""
    if owner.inode != os.fstat(descriptor).st_ino:
        return False
    if owner.host == socket.gethostname():
        return bool(owner.started) and owner.boot == boot_id() and owner.started == _started(owner.pid)
    return 0 <= time.time() - os.fstat(descriptor).st_mtime < GONE_S


def boot_id() -> str:
    """The boot of this machine; empty where the kernel does not show it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Start of a process in kernel ticks (field 22 of ``/proc/PID/stat``); empty without such a process or
    ``/proc``.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""


#: The folder of partitions' locks, in a folder of runs.
PARTITION_LOCKS = ".locks"


def partition_lock_path(runs: Path, source: str, partition: str) -> Path:
    """The lock file of a partition on its source frame, in the folder of runs.

    >>> partition_lock_path(Path("runs"), "p8a", "bx/85").name
    'p8a.bx%2f85.lock'
    """
    safe = [re.sub(r"[^A-Za-z0-9_-]", lambda match: f"%{ord(match[0]):x}", name) for name in (source, partition)]
    return runs / PARTITION_LOCKS / f"{safe[0]}.{safe[1]}.lock"


def partition_lock(run: Path, source: str, partition: str) -> FileLock:
    """The lock that a run takes before it moves a partition. Raises `RecordError` if its folder cannot be created."""
    path = partition_lock_path(run.parent, source, partition)
    make_folder(path.parent)
    return FileLock(
        path,
        about=run.name,
        taken=f"another run moves {partition}",
        next_step="One move of a partition at a time: wait for its end, or `lpmkit attach` that run.",
    )
