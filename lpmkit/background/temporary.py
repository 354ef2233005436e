"""Temporary folders of one process, for its account alone, that the next start removes where a kill left them."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Held by the process that a folder belongs to: the kernel gives it up when the process ends, however it ends.
_LOCK = "in-use.lock"


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A new folder below the system's temporary one, gone afterwards.

    Folders of this prefix and account that no process holds any more are removed first.
    """
    remove_left_behind(prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        with (folder / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_left_behind(prefix: str) -> list[Path]:
    """Remove this account's folders of a prefix whose process is gone; returns them."""
    gone = []
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        try:
            facts = folder.lstat()
            if folder.is_symlink() or facts.st_uid != os.getuid() or not (folder / _LOCK).is_file():
                continue
            with (folder / _LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use, or gone meanwhile
        gone.append(folder)
    return gone
