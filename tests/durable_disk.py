"""A disk that keeps only what was synced, for tests of a power cut.

While it is installed it notes what each ``fsync`` puts on the disk: the bytes of a file, the names in a folder.
`DurableDisk.copy` makes the folder as a machine would find it after its power was cut: a file that was never synced is
empty, a name that was never synced is not there.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest


class DurableDisk:
    """The synced state of everything below ``root``. ``each`` is called after every change of it."""

    def __init__(self, root: Path, each: Callable[[], None] = lambda: None) -> None:
        self._root, self._each = root.resolve(), each
        self._lock = threading.RLock()
        self._contents: dict[int, bytes] = {}
        self._names: dict[int, dict[str, tuple[int, bool]]] = {}

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
                self._names[facts.st_ino] = {
                    entry.name: (entry.inode(), entry.is_dir(follow_symlinks=False)) for entry in os.scandir(path)
                }
            else:
                with open(f"/proc/self/fd/{descriptor}", "rb") as file:  # noqa: PTH123 - a file of this process
                    self._contents[facts.st_ino] = file.read()
            self._each()

    def copy(self, folder: Path, to: Path) -> Path:
        """Write ``folder`` as it stands on the disk, without what was not synced."""
        with self._lock:
            self._copy(folder.stat().st_ino, to)
        return to

    def _copy(self, inode: int, to: Path) -> None:
        to.mkdir(parents=True, exist_ok=True)
        for name, (found, is_folder) in self._names.get(inode, {}).items():
            if is_folder:
                self._copy(found, to / name)
            else:
                (to / name).write_bytes(self._contents.get(found, b""))
