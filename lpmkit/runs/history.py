"""The moves of a site over time: an index of its run folders, kept beside them, and what is usual for a partition, a frame, a pair of frames.

The index is an SQLite file in the folder of runs. It holds nothing that is not in the run folders: it is read again where a run's
``summary.json`` changed, and may be deleted.

    past = History(site.runs.folder)
    past.moves(partition="bxaix85")
    past.beside_the_usual(move)          # "suspended 3.1 s, 2.0 times the usual 1.6 s (median of 7 earlier moves of bxaix85)"
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from lpmkit.errors import RecordError
from lpmkit.runs.folder import Run
from lpmkit.timeline import outwards

NAME = ".history.sqlite"
#: Raised when what is kept of a run changes; an index of another format is made anew.
FORMAT = 4
#: So many earlier moves make something usual.
MIN_USUAL = 3
#: From here on a figure stands out beside the usual one, upwards or downwards.
STANDS_OUT = 1.5


@dataclass(frozen=True, slots=True)
class Move:
    """One run of the history. Seconds; times in nanoseconds since 1970; ``None`` where the run does not tell.

    ``state`` is the verdict's; a run that was never analysed has the state ``not analysed`` and no figures.
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
    settled_ns: int | None  #: when it was seen running on the target
    source_machine: str  #: type, model and serial of the frame that it left, and of the one that it went to
    target_machine: str
    suspended_low_s: float | None
    suspended_high_s: float | None
    suspended_s: float | None
    session_s: float | None
    brown_out_s: float | None  #: how long processes were slow after the resume, at most
    whole_s: float | None
    copy_s: float | None
    memory_mb: float | None
    own_stall_s: float | None
    change: str


_COLUMNS = tuple(field.name for field in fields(Move))
#: The figures that are held beside the usual ones: (field, what it is called).
FIGURES = (
    ("suspended_s", "suspended"),
    ("session_s", "session outage"),
    ("brown_out_s", "brown-out"),
    ("copy_s", "copy"),
    ("whole_s", "the whole move"),
)


#: The headings of `History.rows`.
HEAD = ("when (UTC)", "partition", "from → to", "outcome", "verdict", "suspended", "session outage", "brown-out", "copy", "whole move", "beside the usual", "change", "run")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Usual:
    """A figure beside the median of earlier moves: ``ratio`` is this one over the usual."""

    figure: str
    value_s: float
    usual_s: float
    ratio: float
    of: str
    count: int

    @property
    def stands_out(self) -> bool:
        return self.ratio >= STANDS_OUT or self.ratio <= 1 / STANDS_OUT

    @property
    def short(self) -> str:
        return f"{self.figure} {self.ratio:.1f} × the usual {self.usual_s:.3g} s ({self.of}, {self.count} moves)"

    def __str__(self) -> str:
        return f"{self.figure} {self.value_s:.3g} s, {self.ratio:.1f} times the usual {self.usual_s:.3g} s (median of {self.count} earlier moves of {self.of})"


class History:
    """The index of one folder of runs. Opening it reads what changed since; ``unreadable`` names the runs that cannot be read, with the reason.

    Raises `RecordError` when there is no such folder or it cannot be listed. Where the index cannot be kept (a folder that one may only read), and without
    ``keep``, it is made in memory.
    """

    def __init__(self, folder: Path, *, keep: bool = True) -> None:
        if not folder.is_dir():
            raise RecordError(
                "there is no folder of runs", where=str(folder), next_step="Name one with --runs, or make a run first."
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
                self._refresh(index)
            except OSError as error:
                raise RecordError(
                    f"the folder of runs cannot be listed: {error.strerror}", where=str(self.folder)
                ) from error
            return list(_all(index))

    def _refresh(self, index: sqlite3.Connection) -> None:
        known = {row[0]: row[1] for row in index.execute("SELECT run, stamp FROM runs")}
        there: dict[str, str] = {}
        with os.scandir(self.folder) as entries:
            for entry in entries:
                stamp = _stamp(entry.path) if entry.is_dir() else ""
                if stamp:
                    there[entry.name] = stamp
        index.executemany("DELETE FROM runs WHERE run = ?", [(name,) for name in known if name not in there])
        for name in sorted(there):
            if known.get(name) == there[name]:
                continue
            try:
                move = read_move(self.folder / name)
            except (RecordError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                index.execute("DELETE FROM runs WHERE run = ?", (name,))
                self.unreadable[name] = f"{type(error).__name__}: {error}"
                continue
            values = asdict(move)
            index.execute(
                f"INSERT OR REPLACE INTO runs (stamp, {', '.join(_COLUMNS)}) VALUES (?{', ?' * len(_COLUMNS)})",  # noqa: S608 - our own names
                (there[name], *(values[column] for column in _COLUMNS)),
            )
        index.commit()

    def moves(
        self, *, partition: str | None = None, frame: str | None = None, way: tuple[str, str] | None = None
    ) -> list[Move]:
        """The runs, oldest first: of one partition, from or to one frame, from one frame to another (the pair of movers)."""
        return [
            one
            for one in self._moves
            if (partition is None or one.partition == partition)
            and (frame is None or frame in (one.source, one.target))
            and (way is None or (one.source, one.target) == way)
        ]

    def move(self, run: str) -> Move | None:
        """One run by its name."""
        return next((one for one in self._moves if one.run == run), None)

    def beside_the_usual(self, move: Move) -> list[Usual]:
        """Each figure of a move beside the median of the earlier, settled moves of its partition; of its pair of frames where those are too few."""
        found = []
        for name, figure in FIGURES:
            value = getattr(move, name)
            if value is None or value <= 0:
                continue
            for of, some in self._alike(move):
                past = [one for other in some if (one := getattr(other, name)) is not None and one > 0]
                if len(past) >= MIN_USUAL:
                    usual = statistics.median(past)
                    found.append(Usual(figure, value, usual, value / usual, of, len(past)))
                    break
        return found

    def rows(self, moves: Sequence[Move]) -> list[list[str]]:
        """Runs as rows under `HEAD`, in the order given."""
        return [self._row(move) for move in moves]

    def _row(self, move: Move) -> list[str]:
        when = f"{datetime.fromtimestamp(move.created_ns / 1e9, tz=UTC):%Y-%m-%d %H:%M}"
        way = f"{move.source} → {move.target}" if move.target else move.mode
        unusual = "; ".join(one.short for one in self.beside_the_usual(move) if one.stands_out)
        bounds = "–"
        if move.suspended_low_s is not None and move.suspended_high_s is not None:
            low, high = outwards(round(move.suspended_low_s * 1e9), round(move.suspended_high_s * 1e9))
            bounds = f"{low:.3f} … {high:.3f} s"
        spans = [
            _shown(move.session_s, 3),
            _shown(move.brown_out_s, 1),
            _shown(move.copy_s, 0),
            _shown(move.whole_s, 0),
        ]
        return [
            when,
            move.partition,
            way,
            move.outcome or "–",
            move.state,
            bounds,
            *spans,
            unusual,
            move.change,
            move.run,
        ]

    def _alike(self, move: Move) -> Iterator[tuple[str, Sequence[Move]]]:
        for of, key in (
            (move.partition, move.partition),
            (f"{move.source} to {move.target}", (move.source, move.target)),
        ):
            yield of, [one for one in self._settled.get(key, ()) if one.created_ns < move.created_ns]

    @cached_property
    def _settled(self) -> dict[object, list[Move]]:
        """The moves that ended on their target, by partition and by pair of frames."""
        found: dict[object, list[Move]] = defaultdict(list)
        for one in self._moves:
            if one.outcome == "settled":
                found[one.partition].append(one)
                found[one.source, one.target].append(one)
        return found


def _shown(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f} s"


def _opened(path: Path | None) -> sqlite3.Connection:
    index = sqlite3.connect(path or ":memory:", timeout=10.0)
    columns = ", ".join(f"{name} {'TEXT PRIMARY KEY' if name == 'run' else ''}" for name in _COLUMNS)
    if index.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
        index.execute("DROP TABLE IF EXISTS runs")
        index.execute(f"PRAGMA user_version = {FORMAT}")
    index.execute(f"CREATE TABLE IF NOT EXISTS runs ({columns}, stamp TEXT)")
    return index


def _all(index: sqlite3.Connection) -> Iterator[Move]:
    for row in index.execute(f"SELECT {', '.join(_COLUMNS)} FROM runs ORDER BY created_ns, run"):  # noqa: S608 - our own names
        yield Move(*row)


def _stamp(folder: str) -> str:
    """When the files that the history is made of were last written; empty for a folder that is no run."""
    found = []
    for name in ("run.json", "summary.json", "remarks.jsonl"):
        try:
            facts = os.stat(f"{folder}/{name}")  # noqa: PTH116 - thousands of them: a path object for each costs more than the call
        except OSError:
            if name == "run.json":
                return ""
            found.append("-")
            continue
        found.append(f"{facts.st_mtime_ns}.{facts.st_size}")
    return " ".join(found)


def read_move(folder: Path) -> Move:
    """One run folder as a row of the history. Raises what a folder that is none raises: `RecordError`, `OSError`, `ValueError`, `KeyError`, `TypeError`, `RecursionError`."""
    manifest = Run(folder).manifest
    order = manifest.get("order") or {}
    summary: dict[str, Any] = {}
    if (folder / "summary.json").exists():
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    still = summary.get("suspension") or {}
    length = still.get("length") or {}
    phases = summary.get("phases") or []
    verdict = summary.get("verdict") or {}
    waited = [
        one["waited"]["typed_at_first_unanswered"]
        for host in summary.get("hosts") or ()
        for one in host.get("session_outages") or ()
    ]
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
        outcome=str(phases[-1]["phase"]) if phases else "",
        settled_ns=max((_wall_ns(one["began"]["utc"]) for one in phases if one["phase"] == "settled"), default=None),
        source_machine=_left_machine(folder),
        target_machine=str(order.get("target_machine") or ""),
        suspended_low_s=length.get("low"),
        suspended_high_s=length.get("high"),
        suspended_s=(still.get("likely") or {}).get("best"),
        session_s=max(waited, default=None),
        brown_out_s=_brown_out(summary),
        whole_s=_between(phases, ("asked", "starting", "copying"), "settled"),
        copy_s=_copied(folder),
        memory_mb=_memory(folder),
        own_stall_s=((summary.get("own_stalls") or {}).get("total") or {}).get("high"),
        change=_change(folder),
    )


def _brown_out(summary: dict[str, Any]) -> float | None:
    """The longest brown-out by ticks, in seconds; `None` where none was measured."""
    lasted = [
        float(one["lasted"]["high"])
        for host in summary.get("hosts") or ()
        for one in host.get("brown_outs") or ()
        if one.get("values") == "lateness of ticks"
    ]
    return max(lasted, default=None)


def _between(phases: Sequence[dict[str, Any]], first: Sequence[str], last: str) -> float | None:
    begins = [one["began"]["mono_ns"] for one in phases if one["phase"] in first]
    ends = [one["began"]["mono_ns"] for one in phases if one["phase"] == last]
    return (ends[-1] - begins[0]) / 1e9 if begins and ends else None


def _copied(folder: Path) -> float | None:
    """How long the copy took, as the run's own prediction keeps it."""
    actual = (_document(folder, "prediction").get("actual") or {}).get("copy_s")
    return None if actual is None else float(actual)


def _memory(folder: Path) -> float | None:
    size = (_document(folder, "prediction").get("inputs") or {}).get("memory_bytes")
    return None if size is None else size / 1048576


def _left_machine(folder: Path) -> str:
    """Type, model and serial of the frame that was left, as the survey before found it."""
    frame = (_document(folder, "survey").get("source") or {}).get("frame") or {}
    return f"{frame['type_model']}*{frame['serial']}" if frame.get("type_model") and frame.get("serial") else ""


def _document(folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def _change(folder: Path) -> str:
    from lpmkit.runs.remarks import change_of, remarks  # noqa: PLC0415 - only where there are any

    return change_of(remarks(folder)[0]).get("number", "") if (folder / "remarks.jsonl").exists() else ""


def _wall_ns(text: str) -> int:
    return round(datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC).timestamp() * 1e6) * 1000
