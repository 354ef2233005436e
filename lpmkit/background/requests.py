"""Requests of front ends to the worker of a folder: small JSON files in ``requests/``, each read once, in order.

Anyone can put a file there, so the worker trusts none: an unreadable or invalid one is noted and removed, and never
ends a worker.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

from lpmkit.account.person import account_name
from lpmkit.json_values import JsonMapping, parse_json
from lpmkit.runs.files import make_folder, open_plain
from lpmkit.runs.folder import Run, write_file
from lpmkit.timeline import Clock

FOLDER = "requests"
#: Number of characters of a request that are shown in a note.
_SHOWN = 200
#: Maximum size of a request in bytes.
_MAX_BYTES = 64 * 1024


def put(folder: Run, clock: Clock, what: str, **more: Any) -> Path:
    """Write a request into a folder; its file disappears when it is taken up.

    Raises `RecordError` if it cannot be written.
    """
    requests = folder.path / FOLDER
    make_folder(requests)
    return write_file(requests / f"{clock.wall_ns()}-{token_hex(4)}.json", json.dumps({"what": what, **more}).encode())


def withdraw(folder: Run, request: str) -> bool:
    """Withdraw a request; false if it was taken up already."""
    try:
        (folder.path / FOLDER / f"{request}.json").unlink()
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Request:
    """A valid request: ``what`` it asks for, its other fields, and the ``account`` that wrote it.

    `Inbox.remove` marks it as done.
    """

    path: Path
    what: str
    fields: JsonMapping = field(default_factory=dict)
    account: str = ""

    @property
    def id(self) -> str:
        """The id under which its answer is recorded."""
        return self.path.stem


class Inbox:
    """The requests of one folder, for its worker. ``note`` records a sentence about an invalid one."""

    def __init__(self, folder: Path, note: Callable[[str], object]) -> None:
        self._folder = folder / FOLDER
        self._note = note
        #: Files that could not be removed; they are not read again.
        self._stuck: set[Path] = set()

    def move(self, folder: Path) -> None:
        """Use ``folder`` from now on, which was renamed."""
        self._folder = folder / FOLDER

    @property
    def is_empty(self) -> bool:
        """True without waiting requests."""
        return not self._paths()

    def read(self) -> Iterator[Request]:
        """The waiting requests. Invalid ones are noted and removed; valid ones stay until `remove`."""
        for path in self._paths():
            request = self._read(path)
            if request is not None:
                yield request

    def remove(self, request: Request) -> None:
        """Remove a request from the folder."""
        self._discard(request.path)

    def refuse(self, request: Request, why: str) -> None:
        """Note the reason why a request is not executed, and remove it."""
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
                content = file.read(_MAX_BYTES)
        except FileNotFoundError:
            return None  # withdrawn
        except OSError as error:
            self._note(f"a request could not be read and is not carried out: {path.name}: {error.strerror or error}")
            self._discard(path)
            return None
        try:
            fields = parse_json(content)
        except (ValueError, RecursionError):
            fields = None
        if isinstance(fields, dict) and isinstance(fields.get("what"), str):
            return Request(path, fields.pop("what"), fields, account)
        self._note(f"a request was not understood and is not carried out: {content[:_SHOWN].decode(errors='replace')}")
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
