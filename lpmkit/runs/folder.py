"""The run folder of a move or a watch, and its format.

``docs/run-folder.md`` describes the format for readers without this module. In short: JSON documents for facts that
are written once, JSON lines for reports (`events.jsonl`, `transcript.jsonl`), CSV for samples, one file for each
probe and segment (`lpmkit.runs.samples`; packed into Parquet when the recorder ends). A *segment* is the life of
one recorder; the recorder after one that died opens new sample files and never continues a file that may have a
torn last line.

There is one writer (`lpmkit.runs.writer.RunWriter`, which holds the folder's lock) and any number of readers (`Run`).
Everything is append-only and flushed at once, so a reader sees the run while it grows and a kill loses nothing
written. The lock is the kernel's (``flock``): a recorder that died cannot leave it behind.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

import lpmkit
from lpmkit.account.person import acting_person
from lpmkit.errors import NotFound, RecordError
from lpmkit.json_values import JsonMapping, JsonObject, parse_json
from lpmkit.runs.appender import sync_folder
from lpmkit.runs.cells import NUMBERS, Int64Array
from lpmkit.runs.files import (
    MAX_LINE_BYTES,
    cannot_write,
    make_folder,
    make_folders,
    open_plain,
    plain_lines,
    read_plain,
    refuse_links,
)
from lpmkit.runs.gate import event_of, is_event, is_reply, not_a_document, not_ours
from lpmkit.runs.locks import holder
from lpmkit.runs.samples import SampleFile, columns, files, last_rows, pieces, texts
from lpmkit.ssh.session import Reply
from lpmkit.timeline import Clock, Event, Outcome, Sample

Value = TypeVar("Value")

FORMAT = 1
#: The lock file of a folder's writer.
LOCK = "recorder.lock"
_LIVES = ("recorder-started", "recorder-ended")
_OBSERVATIONS = re.compile(r"(?P<probe>.+)\.(?P<segment>\d+)\.jsonl")


@dataclass(frozen=True, slots=True)
class SampleTable:
    """All samples of one probe as columns, in the order of writing; `MISSING` for an unknown time.

    ``outcome`` holds texts of `Outcome`, ``detail`` free text, ``segment`` the segment that wrote the row.
    """

    probe: str
    segment: Int64Array
    seq: Int64Array
    due_ns: Int64Array
    sent_ns: Int64Array
    answered_ns: Int64Array
    remote_due_ns: Int64Array
    remote_mono_ns: Int64Array
    remote_wall_ns: Int64Array
    outcome: npt.NDArray[np.object_]
    detail: npt.NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.seq)


class Run:
    """A run folder, opened for reading. Cheap to create; every call reads the current content.

    Raises `NotFound` without such a folder, and `RecordError` for a folder that is no run or has a newer format.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise NotFound("run folder", str(path))
        refuse_links(self.path)
        self.manifest = self._manifest()
        #: Number of unreadable lines by file, such as a torn last line after a kill. Filled as files are read.
        self.unreadable: dict[str, int] = {}

    def _manifest(self) -> JsonObject:
        try:
            manifest = parse_json(read_plain(self.path / "run.json"))
        except FileNotFoundError:
            raise RecordError("it holds no run.json, so it is no run folder", where=str(self.path)) from None
        except (OSError, ValueError, RecursionError) as error:
            raise RecordError(f"its run.json cannot be read: {error}", where=str(self.path)) from error
        if isinstance(manifest, dict) and type(version := manifest.get("format")) is int and version > FORMAT:
            raise RecordError(
                "the folder was written by a newer lpmkit",
                where=str(self.path),
                next_step="Read it with that version or a later one.",
            )
        if trouble := _no_manifest(manifest):
            raise RecordError(
                f"its run.json was not written by lpmkit: {trouble}",
                where=str(self.path),
                next_step="Move the folder out of the folder of runs, or restore its run.json from a copy.",
            )
        facts: JsonObject = manifest
        return facts

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    def events(self) -> list[Event]:
        """Every event so far, in the order of writing."""
        return [event_of(row) for row in self._rows("events.jsonl", is_event)]

    def events_from(self, start: int) -> tuple[list[Event], int]:
        """The events from byte ``start`` of their file, and the start for the next call; for a live view with constant
        cost.

        """
        try:
            with open_plain(self.path / "events.jsonl", "rb") as file:
                file.seek(start)
                content = file.read(MAX_LINE_BYTES)
        except FileNotFoundError:
            return [], start
        whole = content[: content.rfind(b"\n") + 1]  # the last line may not be whole yet
        rows = (_parsed(line) for line in whole.split(b"\n")[:-1])
        return [event_of(row) for row in rows if is_event(row)], start + len(whole)  # `events` counts the others

    def last_event(self, kind: str) -> Event | None:
        """The last event of a kind, without reading the others apart; ``None`` without one."""
        named = f'"kind":"{kind}"'.encode()
        try:
            with open_plain(self.path / "events.jsonl", "rb") as file:
                lines = [line for line in plain_lines(file) if named in line and line.endswith(b"\n")]
        except FileNotFoundError:
            return None
        rows = (_parsed(line) for line in reversed(lines))
        return next((event_of(row) for row in rows if is_event(row) and row["kind"] == kind), None)

    def transcript(self) -> list[Reply]:
        """Every command sent, and its reply."""
        return [Reply(**row) for row in self._rows("transcript.jsonl", is_reply)]

    def document(self, name: str) -> Any:
        """The JSON document ``name`` (without suffix); ``None`` without one.

        Raises `RecordError` for foreign content.
        """
        path = self.path / f"{name}.json"
        if not path.exists():
            return None
        try:
            value = parse_json(read_plain(path))
        except (OSError, ValueError, RecursionError) as error:
            raise RecordError(f"{path.name} cannot be read: {error}", where=str(self.path)) from error
        if trouble := not_a_document(name, value):
            raise not_ours(self.path, path.name, trouble)
        return value

    def read(self, name: str, reader: Callable[[Any], Value]) -> Value | None:
        """A document as ``reader`` parses it; ``None`` without one. Raises `RecordError` if the reader rejects it."""
        value = self.document(name)
        if value is None:
            return None
        try:
            return reader(value)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise not_ours(self.path, f"{name}.json", f"{type(error).__name__}: {error}") from error

    def probes(self) -> tuple[str, ...]:
        """Names of the probes with samples, sorted."""
        return tuple(sorted({file.probe for file in self.sample_files()}))

    def samples(self, probe: str) -> SampleTable:
        """All samples of one probe, over all segments."""
        sample_files = [file for file in self.sample_files() if file.probe == probe]
        if not sample_files:
            raise NotFound("probe", probe, known=self.probes(), where=str(self.path))
        pieces_of = [(file, pieces(file, self.unreadable)) for file in sample_files]
        all_pieces = [piece for _, file_pieces in pieces_of for piece in file_pieces]
        values = columns(all_pieces)
        segments = np.concatenate(
            [
                np.full(sum(piece.rows for piece in file_pieces), file.segment, dtype=np.int64)
                for file, file_pieces in pieces_of
            ]
        )
        fields: JsonObject = {name: getattr(values, name) for name in NUMBERS} | texts(all_pieces)
        return SampleTable(probe=probe, segment=segments, **fields)

    def sample_files(self) -> list[SampleFile]:
        """The sample files so far, by probe and segment."""
        return files(self.path / "samples")

    def observed(self) -> tuple[str, ...]:
        """Names of the probes with observations, sorted."""
        return tuple(sorted({name for name, _, _ in self._observation_files()}))

    def observations(self, probe: str) -> list[JsonObject]:
        """Every observation of a probe, in the order of the queries, each with its ``segment``."""
        files = [(segment, path) for name, segment, path in self._observation_files() if name == probe]
        return [
            {"segment": segment, **row} for segment, path in files for row in self._rows(f"observations/{path.name}")
        ]

    def observation_counts(self) -> dict[str, int]:
        """The number of lines of every file of observations, by its path without the ending."""
        counts = {}
        for probe, segment, path in self._observation_files():
            with open_plain(path, "rb") as file:
                lines = sum(block.count(b"\n") for block in iter(partial(file.read, 1 << 20), b""))
            counts[f"observations/{probe}.{segment}"] = lines
        return counts

    def newest(self, probe: str, last_bytes: int = 256 * 1024) -> dict[str, JsonObject]:
        """The newest answer to each query, within the last bytes of the newest file; for a live view with constant
        cost.

        """
        return {str(row.get("question")): row for row in self.latest(probe, last_bytes)}

    def latest(self, probe: str, last_bytes: int = 256 * 1024) -> list[JsonObject]:
        """The newest observations of one probe, oldest first, within the last bytes of its newest file."""
        newest = max((entry for entry in self._observation_files() if entry[0] == probe), default=None)
        if newest is None:
            return []
        with open_plain(newest[2], "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - last_bytes))
            lines = file.read().split(b"\n")
        rows: list[JsonObject] = []
        # The first line may be cut, the last one is empty or incomplete.
        for line in lines[1:-1] if size > last_bytes else lines[:-1]:
            row = _parsed(line)
            if isinstance(row, dict):
                rows.append(row)
        return rows

    def _observation_files(self) -> list[tuple[str, int, Path]]:
        folder = self.path / "observations"
        if not folder.is_dir():
            return []
        refuse_links(folder)
        paths = folder.glob("*.jsonl")
        matches = [(path, _OBSERVATIONS.fullmatch(path.name)) for path in paths]
        return sorted((match["probe"], int(match["segment"]), path) for path, match in matches if match)

    def recent(self, probe: str, last_bytes: int = 256 * 1024, at_most: int = 4000) -> list[Sample]:
        """The newest samples of one probe, within the last bytes of its newest file; for a live view with constant
        cost.

        Of more than ``at_most`` samples an even selection.
        """
        sample_files = [file for file in self.sample_files() if file.probe == probe]
        return [_sample(row) for row in last_rows(sample_files[-1], last_bytes, at_most)] if sample_files else []

    def is_recorded(self) -> bool:
        """True while a recorder holds the folder. Raises `RecordError` if unknown."""
        return holder(self.path / LOCK) is not None

    def is_live(self) -> bool:
        """True while a recorder holds the folder; false of an archive whose lock may not be read and whose record has
        ended.

        Raises `RecordError` if neither shows it.
        """
        try:
            return self.is_recorded()
        except RecordError:
            if [event.kind for event in self.events() if event.kind in _LIVES][-1:] == ["recorder-ended"]:
                return False
            raise

    def _rows(self, name: str, is_whole: Callable[[Any], bool] = lambda row: isinstance(row, dict)) -> Iterator[Any]:
        """The rows of a file of JSON lines; what is none is left out and counted in ``unreadable``."""
        path = self.path / name
        if not path.exists():
            return
        unreadable = 0
        with open_plain(path, "rb") as file:
            for line in plain_lines(file):
                row = _parsed(line)
                if is_whole(row):
                    yield row
                else:
                    unreadable += bool(line.strip())
        self.unreadable[name] = unreadable


def _parsed(line: bytes) -> Any:
    """A line of JSON as a value; ``None`` where it is none."""
    try:
        return parse_json(line)
    except (ValueError, RecursionError):
        return None


def _no_manifest(value: Any) -> str | None:
    """The reason why a JSON value is not a run's manifest; ``None`` if it is one."""
    if not isinstance(value, dict):
        return f"it holds a {type(value).__name__}, not an object"
    if type(value.get("format", FORMAT)) is not int:
        return f"its format is {value.get('format')!r}, not a number"
    if not isinstance(value.get("mode"), str):
        return f"its mode is {value.get('mode')!r}, not a text"
    types = {"order": dict, "site": dict, "plan": dict, "probes": list, "hosts": list}
    for name, kind in types.items():
        if value.get(name) is not None and not isinstance(value[name], kind):
            return f"{name} is a {type(value[name]).__name__}"
    if not all(isinstance(probe, dict) for probe in value.get("probes") or ()):
        return "a probe is no object"
    return None


def create(
    parent: Path,
    *,
    mode: str,
    title: str,
    facts: JsonMapping,
    clock: Clock | None = None,
    group: str | None = None,
) -> Run:
    """Create a run folder under ``parent``, shared with ``group`` if given, and write its ``run.json``.

    ``mode`` is ``move``, ``watch`` or ``plan``. The folder's name begins with the UTC minute, so that a listing
    sorts by time; a second run in the same minute gets a number. ``facts`` (the order, the probes …) are stored
    under their names.
    """
    moment = datetime.fromtimestamp((clock or Clock()).wall_ns() / 1e9, tz=UTC)
    stem = f"{moment:%Y%m%d-%H%M}-{re.sub(r'[^A-Za-z0-9._-]+', '-', title)}"
    make_folders(parent, group=group)
    for number in range(1, 1000):
        path = parent / (stem if number == 1 else f"{stem}-{number}")
        if os.path.lexists(path):
            continue
        make_folder(path, group=group)
        break
    else:
        raise RecordError("a thousand runs in one minute", where=str(parent))
    make_folder(path / "samples")
    sync_folder(parent)
    manifest = {
        "format": FORMAT,
        "id": token_hex(8),
        "mode": mode,
        "title": title,
        "created": moment.isoformat(timespec="seconds"),
        "by": acting_person().login,
        "observer": socket.gethostname(),
        "lpmkit": lpmkit.__version__,
        **facts,
    }
    write_document(path, "run", manifest)
    return Run(path)


def run_key(manifest: JsonMapping) -> str:
    """The key of a run: the same for copies of its folder, on whatever host and under whatever name."""
    facts = {name: manifest.get(name) for name in ("id", "title", "created", "observer", "order")}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def write_document(folder: Path, name: str, value: Any) -> Path:
    """Write ``NAME.json`` atomically."""
    return write_file(folder / f"{name}.json", as_document(value))


def as_document(value: Any) -> bytes:
    """A value as the text of a JSON document."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def write_file(path: Path, content: bytes | Iterable[bytes]) -> Path:
    """Replace a file atomically, with bytes or pieces of them. Raises `RecordError` if it fails; the old file is
    intact then.

    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.unlink(missing_ok=True)
        with open_plain(draft, "xb") as file:
            for part in (content,) if isinstance(content, bytes) else content:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise cannot_write(path, error) from error
    return path


def _sample(cells: Sequence[str]) -> Sample:
    due, sent, answered, remote_due, remote_mono, remote_wall = (int(cell) if cell else None for cell in cells[1:7])
    outcome = Outcome(cells[7])
    return Sample(int(cells[0]), due, sent, answered, remote_due, remote_mono, remote_wall, outcome, cells[8])
