"""Growing files of a run folder: appended to, flushed, and synced where a power cut must not lose them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from lpmkit.runs.files import open_plain


def sync_folder(path: Path) -> None:
    """Put a folder's entries on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Appender:
    """One growing file.

    What the disk does not take waits in ``waiting``, in order, so that a full disk tears nothing.
    """

    def __init__(self, path: Path, header: bytes = b"") -> None:
        self.path, self._header = path, header
        self._file: IO[bytes] | None = None
        self._is_new = self._is_synced = True
        self.waiting = bytearray()

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            self._is_new = not self.path.exists()
            size = 0 if self._is_new else self.path.stat().st_size
            before = b"" if size == 0 else b"" if _ends_whole(self.path) else b"\n"
            self._file = open_plain(self.path, "ab")
            self.waiting[:0] = before or (self._header if size == 0 else b"")
        return self._file

    def append(self, content: bytes) -> None:
        """Add to what waits."""
        self.waiting += content

    def flush(self) -> None:
        """Write what waits. Raises OSError; whatever was not taken keeps waiting."""
        file = self._opened()
        while self.waiting:
            written = file.write(self.waiting)
            self._is_synced = False
            del self.waiting[: written or 0]

    def sync(self) -> None:
        """Put what was written on the disk, and the file's name in its folder. Raises OSError."""
        if self._file is None or self._is_synced:
            return
        os.fsync(self._file.fileno())
        if self._is_new:
            sync_folder(self.path.parent)
            self._is_new = False
        self._is_synced = True

    def commit(self, content: bytes) -> None:
        """Append ``content`` and put it on the disk before returning.

        Raises OSError, and then the file is as long as it was before.
        """
        self.flush()
        file = self._opened()
        size = os.fstat(file.fileno()).st_size
        try:
            unwritten = memoryview(content)
            while unwritten:
                unwritten = unwritten[file.write(unwritten) or 0 :]
            self._is_synced = False
            self.sync()
        except OSError:
            os.ftruncate(file.fileno(), size)
            raise

    def close(self) -> None:
        """Close the file; what waits is lost."""
        if self._file is not None:
            self._file.close()


def _ends_whole(path: Path) -> bool:
    with open_plain(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
