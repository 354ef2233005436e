"""The one writer of a run folder."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from lpmkit.errors import RecordError
from lpmkit.installed.extras import is_installed
from lpmkit.json_values import JsonMapping
from lpmkit.runs.appender import Appender, sync_folder
from lpmkit.runs.files import (
    HeldFolder,
    make_folder,
    open_plain,
)
from lpmkit.runs.folder import LOCK, Run, write_document
from lpmkit.runs.locks import FileLock
from lpmkit.runs.rows import COLUMNS, sample_line
from lpmkit.runs.samples import pack
from lpmkit.ssh.session import Reply
from lpmkit.timeline import Clock, Event, Sample

#: Kinds of events that are synced to disk at once, together with the transcript.
SYNCED = frozenset({"intent", "answer", "phase", "request", "recorder-started", "recorder-ended", "over", "moving"})


#: Reserved space, released when the disk is full so that the run can still record it.
RESERVE_BYTES = 256 * 1024


#: Limit of data that waits in memory for a full disk; beyond it rows of samples are dropped and counted.
BACKLOG_BYTES = 64 * 1024 * 1024


_BULKY = ("samples/", "observations/")


class RunWriter:
    """The one writer of a run folder; a ``with`` block holds its lock.

    A full disk does not end the recording: data waits in memory (up to `BACKLOG_BYTES`) and is written in order as
    soon as there is room; ``disk_trouble`` holds the error meanwhile. Raises `RecordError` if another recorder
    holds the folder.
    """

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self.path = path
        self.clock = clock or Clock()
        self.disk_trouble: str | None = None
        self.lost_bytes = 0
        self._last_segment = 0
        self._files: dict[str, Appender] = {}
        #: Rows written, by kind, probe and segment; `recorder-ended` notes them, so that missing ones are noticed.
        self.written: Counter[str] = Counter()
        self._lock = FileLock(
            path / LOCK,
            about=path.name,
            taken="another recorder is at work on this folder",
            next_step=f"`lpmkit attach {path}` shows what it records.",
        )

    def __enter__(self) -> Self:
        self._folder = HeldFolder(self.path)
        try:
            self._lock.acquire()
        except BaseException:
            self._folder.close()
            raise
        try:
            run = Run(self.path)
            events = run.events()
            starts = sum(event.kind == "recorder-started" for event in events)
            used = [event.segment for event in events if isinstance(event.segment, int)]
            self.segment = 1 + max([starts, *used, *(file.segment for file in run.sample_files())])
            self._reserve()
        except BaseException:
            self._lock.release()
            self._folder.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._finish()
        finally:
            for file in self._files.values():
                file.close()
            self._lock.release()
            self._folder.close()

    def _finish(self) -> None:
        try:
            self.follow()
        except RecordError:
            return  # the folder was removed; already reported to the owner
        if self.is_owner:
            self.flush()
            self.sync()
            (self.path / ".reserve").unlink(missing_ok=True)

    def follow(self) -> bool:
        """Find the folder after a rename; true if its path has changed. Raises `RecordError` if it was removed."""
        now = self._folder.where(self.path)
        renamed, self.path = now != self.path, now
        self._lock.path = now / LOCK
        return renamed

    @property
    def is_owner(self) -> bool:
        """True while this is the folder's writer; false once another process has put its mark into the lock."""
        return self._lock.is_ours()

    def event(self, source: str, kind: str, /, **data: Any) -> Event:
        """Record an event; written on return unless the disk is full. `SYNCED` kinds are synced to disk."""
        event, line = self._event(source, kind, data)
        self._append("events.jsonl", line)
        self.flush()
        if kind in SYNCED:
            self.sync(("events.jsonl", "transcript.jsonl"))
        return event

    def commit(self, source: str, kind: str, /, **data: Any) -> Event:
        """Record an event that must survive a power cut: event, file name and folder are on disk on return.

        Raises `RecordError` if that fails, also for an owner that has lost its lock; the event is not in the record
        then.
        """
        self.follow()
        if not self.is_owner:
            raise RecordError("another recorder has taken this folder", where=str(self.path))
        event, line = self._event(source, kind, data)
        try:
            self._appender("events.jsonl").commit(line)
            sync_folder(self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            self._in_trouble(error)
            raise RecordError(
                f"events.jsonl cannot be put on the disk: {error.strerror or error}",
                where=str(self.path),
                next_step="Free some space there and see that the disk can be written, then try again.",
            ) from error
        return event

    def probe_event(self, source: str, kind: str, data: JsonMapping, segment: int | None = None) -> None:
        """Record an event of a probe, with the segment of its samples."""
        _, line = self._event(source, kind, data, segment)
        self.written[f"events/{source}.{segment or self.segment}"] += 1
        self._append("events.jsonl", line)
        self.flush()

    def new_segment(self) -> int:
        """A segment number for the process that replaces a probe's process that died."""
        self._last_segment = max(self._last_segment, self.segment) + 1
        return self._last_segment

    def _event(self, source: str, kind: str, data: JsonMapping, segment: int | None = None) -> tuple[Event, bytes]:
        anchor = self.clock.anchor(tries=1)
        event = Event(anchor.mono_ns, anchor.wall_ns, segment or self.segment, source, kind, data)
        names = ("mono_ns", "wall_ns", "segment", "source", "kind", "data")
        return event, _line({name: getattr(event, name) for name in names})

    def reply(self, reply: Reply) -> None:
        """Record a command and its reply in the transcript."""
        self._append("transcript.jsonl", _line(reply.as_dict()))
        self.flush()

    def samples(self, probe: str, rows: Iterable[Sample]) -> None:
        """Record samples; they reach the disk with the next `flush`."""
        self.sample_rows(probe, b"".join(sample_line(row) for row in rows))

    def sample_rows(self, probe: str, rows: bytes, segment: int | None = None) -> None:
        """Record samples that are rows already (`sample_line`); ``segment`` is that of a restarted probe's process."""
        header = (",".join(COLUMNS) + "\n").encode()
        self.written[f"samples/{probe}.{segment or self.segment}"] += rows.count(b"\n")
        self._append(f"samples/{probe}.{segment or self.segment}.csv", rows, header)

    def observation_rows(self, probe: str, rows: bytes, segment: int | None = None) -> None:
        """Record observations that are JSON lines already; they reach the disk with the next `flush`."""
        self.follow()
        make_folder(self.path / "observations")
        self.written[f"observations/{probe}.{segment or self.segment}"] += rows.count(b"\n")
        self._append(f"observations/{probe}.{segment or self.segment}.jsonl", rows)

    def pack(self) -> None:
        """Pack every samples file at the end of the recording; they stay as CSV without the extra ``parquet``.

        A file that cannot be packed stays as CSV and is noted.
        """
        self.follow()
        self.flush()
        for name in [name for name in self._files if name.startswith("samples/")]:
            if self._files[name].waiting:
                continue  # a full disk: its rows are not all there
            self._files.pop(name).close()
        if not is_installed("pyarrow"):
            return
        open_still = {self.path / name for name in self._files}
        for file in Run(self.path).sample_files():
            if file.is_packed or file.path in open_still or file.segment > max(self.segment, self._last_segment):
                continue
            try:
                pack(file, {})
            except RecordError as error:
                self.event("recorder", "note", text=f"not packed, and nothing is lost: {error}")

    def document(self, name: str, value: Any) -> None:
        """Write a JSON document atomically."""
        self.follow()
        write_document(self.path, name, value)

    def flush(self) -> None:
        """Write waiting data; never raises for a disk that is full, read-only or broken, see ``disk_trouble``.

        While the disk is full the reserve's space goes to events and the transcript; samples wait until there is more.
        """
        earlier_trouble = self.disk_trouble
        has_room = earlier_trouble is None or self._has_room()
        told = [name for name in self._files if not name.startswith(_BULKY)]
        try:
            for name in [*told, *(self._files.keys() - told if has_room else ())]:
                self._files[name].flush()
            if has_room:
                self.disk_trouble = None
        except OSError as error:
            self._in_trouble(error)
        if earlier_trouble is not None and self.disk_trouble is None:
            self._reserve()
            self.event("recorder", "disk-has-room", lost_bytes=self.lost_bytes)

    def _in_trouble(self, error: OSError) -> None:
        earlier_trouble, self.disk_trouble = self.disk_trouble, error.strerror or str(error)
        self._bound_backlog()
        if earlier_trouble is None:
            (self.path / ".reserve").unlink(missing_ok=True)
            self.event("recorder", "disk-full", waiting_bytes=self.waiting_bytes, error=self.disk_trouble)

    def sync(self, names: Iterable[str] | None = None) -> None:
        """Sync all files or some to disk; an error is kept in ``disk_trouble``."""
        try:
            for name in self._files if names is None else set(names) & self._files.keys():
                self._files[name].sync()
        except OSError as error:
            self._in_trouble(error)

    def _has_room(self) -> bool:
        """True where there is room for what waits and more. A quota that is used up shows in no figure of the disk:
        the room is taken, and given back.
        """
        wanted = 4 * RESERVE_BYTES + self.waiting_bytes
        trial = self.path / ".trial"
        try:
            if shutil.disk_usage(self.path).free <= wanted:
                return False
            with open_plain(trial, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, wanted)
        except OSError:
            return False
        finally:
            trial.unlink(missing_ok=True)
        return True

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait for the disk."""
        return sum(len(file.waiting) for file in self._files.values())

    def _append(self, name: str, content: bytes, header: bytes = b"") -> None:
        self._appender(name, header).append(content)

    def _appender(self, name: str, header: bytes = b"") -> Appender:
        if name not in self._files:
            self.follow()
            self._files[name] = Appender(self.path / name, header)
        return self._files[name]

    def _bound_backlog(self) -> None:
        for name, file in self._files.items():
            if name.startswith(_BULKY) and self.waiting_bytes > BACKLOG_BYTES:
                self.lost_bytes += len(file.waiting)
                file.waiting.clear()

    def _reserve(self) -> None:
        try:
            with open_plain(self.path / ".reserve", "wb") as file:
                file.write(bytes(RESERVE_BYTES))
        except OSError as error:
            self.disk_trouble = error.strerror


def _line(row: JsonMapping) -> bytes:
    return (json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
