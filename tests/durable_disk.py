"""A disk that keeps only what was synced, for tests of a power cut.

While it is installed it notes what each ``fsync`` puts on the disk: the bytes of a file, the names in a folder.
`DurableDisk.copy` makes the folder as a machine would find it after its power was cut. What was not synced may be on
the disk or not, and a file may end anywhere in it, or in zeros where the file system had given it room: `Kept` says
how much of that there is.
"""

from __future__ import annotations

import os
import random
import stat
import threading
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import pytest


def wait_for_no_disk() -> None:
    """Let this process and its forks sync nothing: nobody cuts the power of the machine that tests, and what a cut
    would leave is what a `DurableDisk` has.
    """
    os.fsync = os.fdatasync = lambda _: None  # type: ignore[assignment]


class Kept(StrEnum):
    """The part of the unsynced writes that a disk has: nothing, some of it, or all."""

    SYNCED = "synced"
    TORN = "torn"
    ALL = "all"


class DurableDisk:
    """The synced state of everything below ``root``. ``each`` is called after every change of it."""

    def __init__(self, root: Path, each: Callable[[], None] = lambda: None) -> None:
        self._root, self._each = root.resolve(), each
        self._lock = threading.RLock()
        self._contents: dict[int, bytes] = {}
        self._names: dict[int, dict[str, tuple[int, bool]]] = {}
        #: How often something was put on the disk.
        self.syncs = 0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Take the place of ``os.fsync`` and ``os.fdatasync``."""
        patch.setattr(os, "fsync", self._fsync)
        patch.setattr(os, "fdatasync", self._fsync)

    def _fsync(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if self._root not in (path, *path.parents):
            return
        facts = os.fstat(descriptor)
        with self._lock:
            if stat.S_ISDIR(facts.st_mode):
                self._names[facts.st_ino] = _entries(path)
            else:
                with open(f"/proc/self/fd/{descriptor}", "rb") as file:  # noqa: PTH123 - a file of this process
                    self._contents[facts.st_ino] = file.read()
            self.syncs += 1
            self._each()

    def copy(self, folder: Path, to: Path, kept: Kept = Kept.SYNCED, dice: random.Random | None = None) -> Path:
        """Write ``folder`` as it stands on the disk; ``dice`` decide what of the unsynced writes is there."""
        with self._lock:
            self._copy(folder.stat().st_ino, folder, to, kept, dice or random.Random(0))
        return to

    def _copy(self, inode: int, live: Path, to: Path, kept: Kept, dice: random.Random) -> None:
        to.mkdir(parents=True, exist_ok=True)
        synced = self._names.get(inode, {})
        present = _entries(live) if live.is_dir() and live.stat().st_ino == inode else {}
        names = dict(synced) if kept is not Kept.ALL else dict(present)
        if kept is Kept.TORN:
            for name in {*synced, *present}:
                if synced.get(name) != present.get(name) and dice.random() < 0.5:
                    names.pop(name, None)
                    names |= {name: present[name]} if name in present else {}
        for name, (number, is_folder) in names.items():
            if is_folder:
                self._copy(number, live / name, to / name, kept, dice)
            else:
                (to / name).write_bytes(self._bytes(number, live / name, kept, dice))

    def _bytes(self, inode: int, live: Path, kept: Kept, dice: random.Random) -> bytes:
        synced = self._contents.get(inode, b"")
        if kept is Kept.SYNCED:
            return synced
        try:
            with live.open("rb") as file:
                written = file.read() if os.fstat(file.fileno()).st_ino == inode else synced
        except OSError:
            written = synced  # removed since
        if kept is Kept.ALL:
            return written
        if not written.startswith(synced):
            return dice.choice([synced, written])
        unsynced = written[len(synced) :]
        there = unsynced[: dice.randint(0, len(unsynced))]
        return synced + there + bytes(dice.choice([0, len(unsynced) - len(there)]))


def _entries(folder: Path) -> dict[str, tuple[int, bool]]:
    return {entry.name: (entry.inode(), entry.is_dir(follow_symlinks=False)) for entry in os.scandir(folder)}
