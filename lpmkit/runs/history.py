"""History of a site's moves: an index of its run folders, and the usual figures of a partition or a pair of frames.

The index is an SQLite file in the folder of runs. It contains nothing beyond the run folders, and with a shared store
what other hosts have shared of theirs (`lpmkit.store.runs`): a run is read again when its ``summary.json`` changes, and
the index may be deleted.

    past = History(site.runs.folder)
    past.moves(partition="bxaix85")
    past.beside_the_usual(move)          # "suspended 3.1 s, 2.0 times the usual 1.6 s (median of 7 earlier moves of
    bxaix85)"
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, astuple, dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from lpmkit.errors import RecordError
from lpmkit.json_values import JsonObject, parse_json
from lpmkit.runs.files import read_plain
from lpmkit.runs.folder import Run, run_key
from lpmkit.timeline import outwards

NAME = ".history.sqlite"
#: Version of the index's columns; an index of another version is rebuilt.
FORMAT = 7
#: Minimum number of earlier moves for a usual figure.
MIN_USUAL = 3
#: Ratio to the usual figure from which a figure is reported as unusual, upwards or downwards. A choice, not measured.
STANDS_OUT = 1.5


@dataclass(frozen=True, slots=True)
class Move:
    """One run of the history. Seconds; times in nanoseconds since 1970; ``None`` if the run does not contain the
    figure.

    ``state`` is the verdict's; a run that was not analysed has the state ``not analysed`` and no figures.
    """

    run: str
    mode: str
    created_ns: int
    partition: str
    source: str
    target: str
    by: str
    state: str
    line: str
    outcome: str  #: the last phase of a move: settled, failed, stopped, needs-recovery …
    settled_ns: int | None  #: first poll that found it running on the target
    source_machine: str  #: type, model and serial of source and target
    target_machine: str
    suspended_low_s: float | None
    suspended_high_s: float | None
    suspended_s: float | None
    session_s: float | None  #: the longest session outage of one who typed at once, and its bounds
    session_low_s: float | None
    session_high_s: float | None
    brown_out_low_s: float | None  #: the longest brown-out of any probe after the resume
    brown_out_s: float | None  #: its upper bound; ``None`` where the recording ended before it did
    whole_low_s: float | None  #: from the command to the poll before the one that found it on the target
    whole_s: float | None  #: to the poll that found it there
    copy_s: float | None
    memory_mb: float | None
    own_stall_s: float | None
    change: str
    key: str  #: the same in copies of the folder (`lpmkit.runs.folder.run_key`)


_COLUMNS = tuple(field.name for field in fields(Move))
_NAMES = ", ".join(_COLUMNS)
_SELECT = f"SELECT {_NAMES} FROM runs ORDER BY created_ns, run"  # noqa: S608 - our own names
_INSERT = f"INSERT OR REPLACE INTO runs (stamp, {_NAMES}) VALUES (?{', ?' * len(_COLUMNS)})"  # noqa: S608 - as above
_ELSEWHERE = "SELECT key, stamp, move, observed FROM elsewhere WHERE key NOT IN (SELECT key FROM runs)"
#: Figures that are compared with the usual ones: field and label.
FIGURES = (
    ("suspended_s", "suspended"),
    ("session_s", "session outage"),
    ("brown_out_s", "brown-out"),
    ("copy_s", "copy"),
    ("whole_s", "the whole move"),
)


#: The headings of `History.rows`.
HEAD = (
    "when (UTC)",
    "partition",
    "from → to",
    "outcome",
    "verdict",
    "suspended",
    "session outage",
    "brown-out",
    "copy",
    "whole move",
    "beside the usual",
    "change",
    "run",
)


@dataclass(frozen=True, slots=True)
class Usual:
    """A figure and the median of earlier moves; ``ratio`` is the figure over the median."""

    figure: str
    value_s: float
    usual_s: float
    ratio: float
    of: str
    count: int

    @property
    def stands_out(self) -> bool:
        """True if the figure deviates from the usual one by `STANDS_OUT` or more."""
        return self.ratio >= STANDS_OUT or self.ratio <= 1 / STANDS_OUT

    @property
    def short(self) -> str:
        """The comparison for a table cell."""
        return f"{self.figure} {self.ratio:.1f} × the usual {self.usual_s:.3g} s ({self.of}, {self.count} moves)"

    def __str__(self) -> str:
        return (
            f"{self.figure} {self.value_s:.3g} s, {self.ratio:.1f} times the usual {self.usual_s:.3g} s "
            f"(median of {self.count} earlier moves of {self.of})"
        )


class History:
    """The index of one folder of runs. Opening it reads changed runs; ``unreadable`` holds the errors of unreadable
    runs.

    Raises `RecordError` if the folder does not exist or cannot be listed. Without ``keep``, or if the index cannot
    be written (a read-only folder), it is built in memory.
    """

    def __init__(self, folder: Path, *, keep: bool = True) -> None:
        if not folder.is_dir():
            raise RecordError(
                "there is no folder of runs", where=str(folder), next_step="Name one with --runs, or start a run first."
            )
        self.folder = folder
        self.unreadable: dict[str, str] = {}
        self.kept = keep
        try:
            self._moves = self._indexed(folder / NAME if keep else None)
        except sqlite3.Error:
            self.kept = False
            self._moves = self._indexed(None)

    def _indexed(self, path: Path | None) -> list[Move]:
        with closing(_opened(path)) as index:
            try:
                self._stamps = self._refresh(index)
            except OSError as error:
                raise RecordError(
                    f"the folder of runs cannot be listed: {error.strerror}", where=str(self.folder)
                ) from error
            return list(_all(index))

    def _refresh(self, index: sqlite3.Connection) -> dict[str, str]:
        """Read the runs that changed; returns the stamps of all that are there."""
        stamps = {row[0]: row[1] for row in index.execute("SELECT run, stamp FROM runs")}
        current: dict[str, str] = {}
        with os.scandir(self.folder) as entries:
            for entry in entries:
                stamp = _stamp(entry.path) if entry.is_dir() else ""
                if stamp:
                    current[entry.name] = stamp
        index.executemany("DELETE FROM runs WHERE run = ?", [(name,) for name in stamps if name not in current])
        for name in sorted(current):
            if stamps.get(name) == current[name]:
                continue
            try:
                move = read_move(self.folder / name)
            except (RecordError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                index.execute("DELETE FROM runs WHERE run = ?", (name,))
                self.unreadable[name] = f"{type(error).__name__}: {error}"
                continue
            values = asdict(move)
            index.execute(
                _INSERT,
                (current[name], *(values[column] for column in _COLUMNS)),
            )
        index.commit()
        return current

    def moves(
        self, *, partition: str | None = None, frame: str | None = None, way: tuple[str, str] | None = None
    ) -> list[Move]:
        """The runs, oldest first; optionally of one partition, from or to one frame, or of one pair of frames
        (``way``).

        """
        return [
            move
            for move in self._moves
            if (partition is None or move.partition == partition)
            and (frame is None or frame in (move.source, move.target))
            and (way is None or (move.source, move.target) == way)
        ]

    @property
    def local(self) -> list[tuple[Move, str]]:
        """The runs of this folder, oldest first, each with a stamp that changes with it."""
        return [(move, self._stamps[move.run]) for move in self._moves if move.run in self._stamps]

    def move(self, run: str) -> Move | None:
        """One run by name."""
        return next((move for move in self._moves if move.run == run), None)

    def beside_the_usual(self, move: Move) -> list[Usual]:
        """Each figure of a move and the median of earlier, settled moves of its partition, or else of its pair of
        frames.

        """
        figures = []
        for name, figure in FIGURES:
            value = getattr(move, name)
            if value is None or value <= 0:
                continue
            for group, group_moves in self._alike(move):
                known = [getattr(earlier, name) for earlier in group_moves]
                values = [seconds for seconds in known if seconds is not None and seconds > 0]
                if len(values) >= MIN_USUAL:
                    usual = statistics.median(values)
                    figures.append(Usual(figure, value, usual, value / usual, group, len(values)))
                    break
        return figures

    def rows(self, moves: Sequence[Move]) -> list[list[str]]:
        """Rows of a table under `HEAD`, in the order given."""
        return [self._row(move) for move in moves]

    def _row(self, move: Move) -> list[str]:
        when = f"{datetime.fromtimestamp((move.settled_ns or move.created_ns) / 1e9, tz=UTC):%Y-%m-%d %H:%M}"
        route_text = f"{move.source} → {move.target}" if move.target else move.mode
        unusual = "; ".join(figure.short for figure in self.beside_the_usual(move) if figure.stands_out)
        spans = [
            _at_least(move.brown_out_low_s, move.brown_out_s),
            _shown(move.copy_s, 0),
            bounds(move.whole_low_s, move.whole_s, 1) or "–",
        ]
        return [
            when,
            move.partition,
            route_text,
            move.outcome or "–",
            move.state,
            bounds(move.suspended_low_s, move.suspended_high_s) or "–",
            bounds(move.session_low_s, move.session_high_s) or "–",
            *spans,
            unusual,
            move.change,
            move.run,
        ]

    def _alike(self, move: Move) -> Iterator[tuple[str, Sequence[Move]]]:
        for group, key in (
            (move.partition, move.partition),
            (f"{move.source} to {move.target}", (move.source, move.target)),
        ):
            yield group, [earlier for earlier in self._settled.get(key, ()) if earlier.created_ns < move.created_ns]

    @cached_property
    def _settled(self) -> dict[object, list[Move]]:
        """Moves that ended on their target, by partition and by pair of frames."""
        moves: dict[object, list[Move]] = defaultdict(list)
        for move in self._moves:
            if move.outcome == "settled":
                moves[move.partition].append(move)
                moves[move.source, move.target].append(move)
        return moves


def bounds(low_s: float | None, high_s: float | None, digits: int = 3) -> str:
    """Bounds in seconds as text, rounded outwards; empty if one is missing.

    >>> bounds(1.5324, 1.5471), bounds(7.14, 11.62, 1)
    ('1.532 … 1.548 s', '7.1 … 11.7 s')
    """
    if low_s is None or high_s is None:
        return ""
    low, high = outwards(round(low_s * 1e9), round(high_s * 1e9), digits)
    return f"{low:.{digits}f} … {high:.{digits}f} s"


def _at_least(low_s: float | None, high_s: float | None) -> str:
    """Bounds of which the upper one may not be known.

    >>> _at_least(2.0, 3.04), _at_least(24.0, None), _at_least(None, None)
    ('2.0 … 3.1 s', '24.0 s at least', '–')
    """
    if low_s is None:
        return "–"
    return bounds(low_s, high_s, 1) or f"{low_s:.1f} s at least"


def _shown(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f} s"


def _opened(path: Path | None) -> sqlite3.Connection:
    index = sqlite3.connect(path or ":memory:", timeout=10.0)
    columns = ", ".join(f"{name} {'TEXT PRIMARY KEY' if name == 'run' else ''}" for name in _COLUMNS)
    if index.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
        index.execute("DROP TABLE IF EXISTS runs")
        index.execute("DROP TABLE IF EXISTS elsewhere")
        index.execute(f"PRAGMA user_version = {FORMAT}")
    index.execute(f"CREATE TABLE IF NOT EXISTS runs ({columns}, stamp TEXT)")
    index.execute("CREATE TABLE IF NOT EXISTS elsewhere (key TEXT PRIMARY KEY, stamp TEXT, move TEXT, observed TEXT)")
    return index


def _all(index: sqlite3.Connection) -> Iterator[Move]:
    """The runs of this folder and those that other hosts shared, oldest first."""
    moves = [Move(*row) for row in index.execute(_SELECT)]
    told = [Move(**json.loads(row[2])) for row in index.execute(_ELSEWHERE)]
    yield from sorted((*moves, *told), key=lambda move: (move.created_ns, move.run))


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A run that another host shared: its key, a stamp that changes with it, and its move and outcome as JSON."""

    key: str
    stamp: str
    move: str
    observed: str | None


def keep_elsewhere(folder: Path, rows: Iterable[Elsewhere]) -> None:
    """Add runs of other hosts to the index of a folder of runs. Raises `RecordError` if it cannot be written."""
    try:
        with closing(_opened(folder / NAME)) as index, index:
            index.executemany("INSERT OR REPLACE INTO elsewhere VALUES (?, ?, ?, ?)", map(astuple, rows))
    except sqlite3.Error as error:
        raise RecordError(f"the index of runs cannot be written: {error}", where=str(folder)) from error


def elsewhere(folder: Path) -> list[Elsewhere]:
    """The runs of other hosts in the index of a folder of runs that are not in this folder; none without an index that
    can be read.
    """
    if not (folder / NAME).exists():
        return []
    try:
        with closing(_opened(folder / NAME)) as index:
            return [Elsewhere(*row) for row in index.execute(_ELSEWHERE)]
    except sqlite3.Error:
        return []


def _stamp(folder: str) -> str:
    """Modification times of the files that the history is built from; empty for a folder without a run."""
    stamps = []
    for name in ("run.json", "events.jsonl", "summary.json", "remarks.jsonl"):
        try:
            # A path object for each of thousands of files costs more than the call.
            facts = os.stat(f"{folder}/{name}")  # noqa: PTH116
        except OSError:
            if name == "run.json":
                return ""
            stamps.append("-")
            continue
        stamps.append(f"{facts.st_mtime_ns}.{facts.st_size}")
    return " ".join(stamps)


def read_move(folder: Path) -> Move:
    """One run folder as a row of the history.

    Raises `RecordError`, `OSError`, `ValueError`, `KeyError`, `TypeError` or `RecursionError` for anything else.
    """
    manifest = Run(folder).manifest
    order = manifest.get("order") or {}
    summary: JsonObject = {}
    if (folder / "summary.json").exists():
        summary = parse_json(read_plain(folder / "summary.json"))
    suspension = summary.get("suspension") or {}
    length = suspension.get("length") or {}
    phases = summary.get("phases") or []
    verdict = summary.get("verdict") or {}
    outcome, ended_ns = _outcome(folder)
    outages = [outage["waited"] for host in summary.get("hosts") or () for outage in host.get("session_outages") or ()]
    waited = max(outages, key=lambda outage: float(outage["high"]), default=None)
    longest = summary.get("session_outage") or waited or {}
    brown_out, whole = _brown_out(summary), summary.get("move") or {}
    return Move(
        run=folder.name,
        mode=str(manifest.get("mode", "")),
        created_ns=_wall_ns(manifest["created"]),
        partition=str(order.get("partition") or ", ".join(map(str, manifest.get("hosts") or ()))),
        source=str(order.get("source") or ""),
        target=str(order.get("target") or ""),
        by=str(manifest.get("by", "")),
        state=str(verdict.get("state") or "not analysed"),
        line=str(verdict.get("line") or ""),
        outcome=outcome or (str(phases[-1]["phase"]) if phases else ""),
        settled_ns=max(
            (_wall_ns(phase["began"]["utc"]) for phase in phases if phase["phase"] == "settled"),
            default=ended_ns if outcome == "settled" else None,
        ),
        source_machine=_left_machine(folder),
        target_machine=str(order.get("target_machine") or ""),
        suspended_low_s=length.get("low"),
        suspended_high_s=length.get("high"),
        suspended_s=(suspension.get("likely") or {}).get("best"),
        session_s=waited["typed_at_first_unanswered"] if waited else None,
        session_low_s=longest.get("low"),
        session_high_s=longest.get("high"),
        brown_out_low_s=brown_out[0],
        brown_out_s=brown_out[1],
        whole_low_s=whole.get("low"),
        whole_s=whole.get("high"),
        copy_s=_copied(folder),
        memory_mb=_memory(folder),
        own_stall_s=((summary.get("own_stalls") or {}).get("total") or {}).get("high"),
        change=_change(folder),
        key=run_key(manifest),
    )


def _outcome(folder: Path) -> tuple[str, int | None]:
    """The last phase that the recorder wrote and its time (nanoseconds since 1970): a partition is where it is, whether
    or not its run was analysed. Empty without a phase.
    """
    last = Run(folder).last_event("phase")
    return (str(last.data["phase"]), last.wall_ns) if last else ("", None)


def _brown_out(summary: JsonObject) -> tuple[float | None, float | None]:
    """The longest brown-out, as it is held against its limit; summaries of earlier versions have only those of each
    probe.
    """
    told = (summary.get("effects") or {}).get("brown_out_s")
    if told is not None:
        return told.get("low"), told.get("high")
    lasted = [brown_out["lasted"] for host in summary.get("hosts") or () for brown_out in host.get("brown_outs") or ()]
    if not lasted:
        return None, None
    return max(float(one["low"]) for one in lasted), max(float(one["high"]) for one in lasted)


def _copied(folder: Path) -> float | None:
    """Duration of the copy, from the run's prediction."""
    actual = (_document(folder, "prediction").get("actual") or {}).get("copy_s")
    return None if actual is None else float(actual)


def _memory(folder: Path) -> float | None:
    size = (_document(folder, "prediction").get("inputs") or {}).get("memory_bytes")
    return None if size is None else size / 1048576


def _left_machine(folder: Path) -> str:
    """Type, model and serial of the source frame, from the survey before the move."""
    frame = (_document(folder, "survey").get("source") or {}).get("frame") or {}
    return f"{frame['type_model']}*{frame['serial']}" if frame.get("type_model") and frame.get("serial") else ""


def _document(folder: Path, name: str) -> JsonObject:
    path = folder / f"{name}.json"
    document: JsonObject = parse_json(read_plain(path)) if path.exists() else {}
    return document


def _change(folder: Path) -> str:
    from lpmkit.runs.remarks import change_of, remarks  # noqa: PLC0415 - only where there are any

    return change_of(remarks(folder)[0]).get("number", "") if (folder / "remarks.jsonl").exists() else ""


def _wall_ns(text: str) -> int:
    return round(datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC).timestamp() * 1e6) * 1000
