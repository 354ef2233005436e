"""Places of the files made from a run: its folder or another one, and never over a signed file.

A document counts as signed when the run has a sign-off among its remarks, when a signature lies beside it
(``NAME.sig``, ``.asc``, ``.p7s``), or when it is a PDF with a signature in it. What differs from a signed document is
written beside it, with the time in its name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from lpmkit.runs.files import make_folder, open_plain
from lpmkit.runs.folder import Run, write_file
from lpmkit.runs.remarks import remarks

#: The files that are worked out, as opposed to recorded, with or without a time in their names.
_DERIVED = re.compile(r"(summary|report|samples|plots|write-up)(-\d{8}T\d{6}Z)?(\.json|\.html|\.csv)?")
_DETACHED = (".sig", ".asc", ".p7s")


def is_derived(name: str) -> bool:
    """True if a name at the top of a run folder is a derived file.

    >>> is_derived("report-20261130T071500Z.html"), is_derived("plots"), is_derived("samples")
    (True, True, False)
    """
    return _DERIVED.fullmatch(name) is not None and name != "samples"


class Outputs:
    """The files of one run's report or write-up; ``folder`` is where they go, the run folder unless it is given."""

    def __init__(self, run: Run, folder: Path | None = None) -> None:
        self.folder = run.path if folder is None else make_folder(folder)
        self._signed_off = any(remark.kind == "sign-off" for remark in remarks(run.path)[0])
        self._stamp = f"{datetime.now(tz=UTC):%Y%m%dT%H%M%SZ}"

    def write(self, path: Path, content: bytes | Iterable[bytes]) -> Path:
        """Write a file whole, beside the one that is there where that is signed and another; returns where it is.
        Raises `RecordError`.
        """
        if not self.is_signed(path):
            return write_file(path, content)
        fresh = write_file(path.with_name(f"{path.stem}-{self._stamp}{path.suffix}"), content)
        earlier = [path, *sorted(path.parent.glob(f"{path.stem}-*Z{path.suffix}"))]
        for one in earlier:
            if one != fresh and _digest(one) == _digest(fresh):
                fresh.unlink()
                return one
        return fresh

    def folder_for(self, name: str) -> Path:
        """A folder for documents that belong together: a new one where one of that name holds something signed. Raises
        `RecordError`.
        """
        path = self.folder / name
        if path.is_dir() and any(self.is_signed(one) for one in path.iterdir()):
            path = self.folder / f"{name}-{self._stamp}"
        return make_folder(path)

    def is_signed(self, path: Path) -> bool:
        """True if a document exists and is signed."""
        if not path.is_file():
            return False
        if self._signed_off or any(path.with_name(path.name + ending).exists() for ending in _DETACHED):
            return True
        return path.suffix == ".pdf" and b"/ByteRange" in path.read_bytes()


def _digest(path: Path) -> str:
    with open_plain(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
