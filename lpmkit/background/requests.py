"""Requests of front ends to the worker of a folder: small JSON files in ``requests/``, each read once, in the order of
asking.

Anybody can put a file there, so the worker trusts none: one that cannot be read or understood is noted and put out
of the way, and never ends a worker.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

from lpmkit.person import account_name
from lpmkit.runs.files import make_folder, open_plain
from lpmkit.runs.folder import Run, write_file
from lpmkit.timeline import Clock

FOLDER = "requests"
#: Characters of a request that a note shows.
_SHOWN = 200
#: Bytes of a request that are read.
_MAX_BYTES = 64 * 1024


def put(folder: Run, clock: Clock, what: str, **more: Any) -> Path:
    """Write a request into a folder; the file is gone once it is taken up.

    Raises `RecordError` where it cannot be written.
    """
    requests = folder.path / FOLDER
    make_folder(requests)
    return write_file(requests / f"{clock.wall_ns()}-{token_hex(4)}.json", json.dumps({"what": what, **more}).encode())


def withdraw(folder: Run, request: str) -> bool:
    """Take back a request that was not taken up; false where it was."""
    try:
        (folder.path / FOLDER / f"{request}.json").unlink()
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Request:
    """A request that could be read:

    ``what`` is asked, its other fields, and the ``account`` that wrote it. `Inbox.remove` says that it is dealt with.
    """

    path: Path
    what: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    account: str = ""

    @property
    def id(self) -> str:
        """The name by which the answer to this request is found."""
        return self.path.stem


class Inbox:
    """The requests of one folder, for its worker. ``note`` writes a sentence about a bad one into the record."""

    def __init__(self, folder: Path, note: Callable[[str], object]) -> None:
        self._folder = folder / FOLDER
        self._note = note
        #: What could not be removed; it is not read a second time.
        self._stuck: set[Path] = set()

    def move(self, folder: Path) -> None:
        """Look for requests in ``folder`` from now on, which is the same one under another name."""
        self._folder = folder / FOLDER

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be read."""
        return not self._paths()

    def read(self) -> Iterator[Request]:
        """The requests that wait. Bad ones are noted and removed; good ones stay until `remove`."""
        for path in self._paths():
            request = self._read(path)
            if request is not None:
                yield request

    def remove(self, request: Request) -> None:
        """Take a request out of the folder."""
        self._discard(request.path)

    def refuse(self, request: Request, why: str) -> None:
        """Note why a request is not carried out, and remove it."""
        self._note(f"the request {request.what!r} is not carried out: {why}")
        self._discard(request.path)

    def _paths(self) -> list[Path]:
        try:
            return sorted(set(self._folder.glob("*.json")) - self._stuck)
        except OSError as error:
            if self._folder not in self._stuck:
                self._stuck.add(self._folder)
                self._note(f"requests cannot be read: {error}")
            return []

    def _read(self, path: Path) -> Request | None:
        try:
            with open_plain(path, "rb") as file:
                account = account_name(os.fstat(file.fileno()).st_uid)
                text = file.read(_MAX_BYTES).decode(errors="replace")
        except FileNotFoundError:
            return None  # taken back by whoever asked
        except OSError as error:
            self._note(f"a request could not be read and is not carried out: {path.name}: {error.strerror or error}")
            self._discard(path)
            return None
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            fields = None
        if isinstance(fields, dict) and isinstance(fields.get("what"), str):
            return Request(path, fields.pop("what"), fields, account)
        self._note(f"a request was not understood and is not carried out: {text[:_SHOWN]}")
        self._discard(path)
        return None

    def _discard(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._stuck.add(path)
            self._note(
                f"{path.name} could not be removed from {FOLDER}/ and is read no more: {error.strerror or error}"
            )
