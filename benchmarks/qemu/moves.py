"""The matrix of moves, and what each left, as JSON that can be judged again without moving anything."""

from __future__ import annotations

import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.qemu.guest import PAGE_BYTES, Guest
from benchmarks.qemu.rig import Migration, Poll, Rig, migrate

MEMORY_BYTES = 512 * 1024 * 1024
TICK_HZ = 100
DOWNTIME_LIMIT_MS = 300
CAPS = (64e6, 128e6, 192e6)
#: Dirty rate over bandwidth; the last can not converge, unless all that is ever written is small.
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.3)
TIMEOUT_S = 40.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One corner of the matrix. ``changes`` tells that the bandwidth is cut to 60 % two seconds after the request."""

    cap_bytes_per_s: float
    share: float
    random: bool
    span_bytes: int
    accelerator: str = "kvm"
    changes: bool = False
    memory_bytes: int = MEMORY_BYTES

    @property
    def name(self) -> str:
        order = "random" if self.random else "in order"
        return (
            f"{self.share:g} × {self.cap_bytes_per_s / 1e6:g} MB/s, {self.span_bytes >> 20} MiB {order}, "
            f"{self.accelerator}"
        )

    @property
    def guest(self) -> Guest:
        pages = round(self.share * self.cap_bytes_per_s / TICK_HZ / PAGE_BYTES)
        return Guest(self.memory_bytes, self.span_bytes, pages, TICK_HZ, self.random)


@dataclass(frozen=True, slots=True)
class Moved:
    """Figures of one move: times in seconds, rates in bytes per second; ``None`` for what did not happen."""

    cell: Cell
    asked_ns: int
    copy_s: float | None
    suspended_s: float | None
    own_downtime_ms: float | None
    status: str
    known_dirty_bytes_per_s: float
    achieved_dirty_bytes_per_s: float | None
    polls: tuple[Poll, ...]

    @classmethod
    def of(cls, cell: Cell, migration: Migration) -> Moved:
        """From a migration of the rig."""
        return cls(
            cell,
            migration.asked_ns,
            migration.copy_s,
            migration.suspended_s,
            migration.own_downtime_ms,
            str(migration.final.get("status")),
            migration.guest.dirty_bytes_per_s,
            migration.achieved_dirty_bytes_per_s(),
            # Polls after the stop show the final copy, which predictions may not use.
            tuple(poll for poll in migration.polls if migration.stop_ns is None or poll.at_ns <= migration.stop_ns),
        )


def cells(
    count: int, *, changes: bool = False, accelerator: str = "kvm", seed: int = 1, slower: float = 1.0
) -> list[Cell]:
    """``count`` cells, shuffled; the whole matrix once before any cell repeats.

    ``slower`` divides the bandwidths, and with them the dirty rates.
    """
    spans = (128 << 20, 320 << 20)
    matrix = [
        Cell(cap / slower, share, scattered, spans[(number // 2 + number) % 2], accelerator, changes)
        for number, (cap, share, scattered) in enumerate(itertools.product(CAPS, SHARES, (False, True)))
    ]
    rng = random.Random(seed)
    chosen: list[Cell] = []
    while len(chosen) < count:
        chosen += rng.sample(matrix, len(matrix))
    return chosen[:count]


def collect(wanted_cells: list[Cell], path: Path) -> list[Moved]:
    """Migrate once for each cell and append each to ``path``, as JSON lines; moves that are there already are not
    repeated.

    """
    collected = read(path) if path.exists() else []
    missing = Counter(wanted_cells)
    missing.subtract(moved.cell for moved in collected)
    with path.open("a", encoding="utf-8") as file:
        for number, cell in enumerate(wanted_cells, start=1):
            if missing[cell] < 1:
                continue
            missing[cell] -= 1
            began = time.monotonic()
            try:
                moved = _move(cell)
            except (RuntimeError, OSError) as error:
                print(f"{number}/{len(wanted_cells)} {cell.name}: no figure: {error}", file=sys.stderr)
                continue
            collected.append(moved)
            file.write(json.dumps(asdict(moved)) + "\n")
            file.flush()
            copied = "not through" if moved.copy_s is None else f"{moved.copy_s:.2f} s"
            print(
                f"{number}/{len(wanted_cells)} {cell.name}: {copied} ({time.monotonic() - began:.0f} s)",
                file=sys.stderr,
            )
    return collected


def _move(cell: Cell) -> Moved:
    pending_cut = [cell.changes]

    def during(rig: Rig, elapsed_s: float) -> None:
        if pending_cut[0] and elapsed_s > 2.0:
            pending_cut[0] = False
            rig.set_cap(0.6 * cell.cap_bytes_per_s)

    migration = migrate(
        cell.guest,
        cap_bytes_per_s=cell.cap_bytes_per_s,
        downtime_limit_ms=DOWNTIME_LIMIT_MS,
        accelerator=cell.accelerator,
        timeout_s=TIMEOUT_S * max(1.0, min(CAPS) / cell.cap_bytes_per_s),
        during=during,
    )
    return Moved.of(cell, migration)


#: A guest that wrote less than this share of its dirty rate was starved by the host, so its inputs were wrong.
MIN_ACHIEVED = 0.9


def undisturbed(moves: list[Moved]) -> list[Moved]:
    """Moves in which the guest reached its dirty rate, whatever their duration."""
    return [
        moved
        for moved in moves
        if moved.achieved_dirty_bytes_per_s is None
        or moved.achieved_dirty_bytes_per_s >= MIN_ACHIEVED * moved.known_dirty_bytes_per_s
    ]


def read(path: Path) -> list[Moved]:
    """The moves that `collect` wrote."""
    return list(_rows(path))


def _rows(path: Path) -> Iterator[Moved]:
    for line in path.read_text(encoding="utf-8").splitlines():
        row: dict[str, Any] = json.loads(line)
        row["cell"] = Cell(**row["cell"])
        row["polls"] = tuple(Poll(**poll) for poll in row["polls"])
        yield Moved(**row)
