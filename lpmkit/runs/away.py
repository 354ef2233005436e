"""Partitions that are away from home, from a site's run folders: home frame, time, change and former mapping.

Home is the frame where the first move of an unbroken chain began. A partition that was brought back without lpmkit is
still listed as away; the survey before the move home then finds it elsewhere and refuses the move.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lpmkit.errors import LpmError, NotFound
from lpmkit.json_values import JsonObject
from lpmkit.runs.folder import Run
from lpmkit.runs.history import History, Move


@dataclass(frozen=True, slots=True)
class Away:
    """A partition that is away from home. ``left_ns`` is when its first move was found to have ended on the target
    (nanoseconds since 1970).

    ``mapping`` is the mapping of its disks on the home frame, a line each: server adapter, virtual target, logical
    unit, backing device.
    """

    partition: str
    home: str
    now_on: str
    left_ns: int
    change: str
    by: str
    runs: tuple[str, ...]
    mapping: tuple[str, ...]

    def as_row(self) -> dict[str, str]:
        """The stay as a row of a table for people."""
        return {
            "partition": self.partition,
            "home": self.home,
            "now on": self.now_on,
            "left (UTC)": f"{datetime.fromtimestamp(self.left_ns / 1e9, tz=UTC):%Y-%m-%d %H:%M}",
            "change": self.change,
            "by": self.by,
            "mapping at home": "; ".join(self.mapping),
        }


def ledger(folder: Path) -> list[Away]:
    """Every partition of a folder of runs that is away, by name. Raises `RecordError` without such a folder."""
    chains: dict[str, list[Move]] = {}
    for move in History(folder).moves():
        if move.mode == "move" and move.outcome == "settled":
            chain = chains.setdefault(move.partition, [])
            if chain and chain[-1].target != move.source:
                chain.clear()  # it came from a frame it had not gone to, so its home is unknown
            chain.append(move)
            if move.target == chain[0].source:
                chain.clear()  # back home
    return [_away(folder, chain) for _, chain in sorted(chains.items()) if chain]


def away(folder: Path, partition: str) -> Away:
    """One partition of the ledger. Raises `NotFound` with those that are away."""
    stays = ledger(folder)
    stay = next((stay for stay in stays if stay.partition == partition), None)
    if stay is None:
        raise NotFound(
            "partition that is away from home", partition, known=[stay.partition for stay in stays], where=str(folder)
        )
    return stay


def _away(folder: Path, chain: list[Move]) -> Away:
    first, last = chain[0], chain[-1]
    return Away(
        partition=first.partition,
        home=first.source,
        now_on=last.target,
        left_ns=first.settled_ns or first.created_ns,
        change=first.change,
        by=first.by,
        runs=tuple(move.run for move in chain),
        mapping=tuple(_mapping(folder / first.run)),
    )


def _mapping(path: Path) -> Iterator[str]:
    """The disks' mapping on the home frame, from the survey before the move."""
    try:
        survey: Any = Run(path).document("survey")
    except LpmError as error:
        yield f"unknown: {error.what}"
        return
    if isinstance(survey, dict):
        yield from disk_mapping(survey.get("source") or {}, survey.get("partition"))


def disk_mapping(side: JsonObject, partition: Any) -> Iterator[str]:
    """Server adapter, virtual target, logical unit and backing device of each disk of a partition in one side of a
    survey.

    """
    client = next(
        (server_data for server_data in side.get("partitions") or () if server_data.get("name") == partition), None
    )
    if client is None:
        return
    vios = side.get("vios")
    for server_data in vios if isinstance(vios, list) else [vios]:
        for server in (server_data or {}).get("scsi_servers") or ():
            if server.get("client_lpar_id") == client.get("lpar_id"):
                for target in server.get("targets") or ():
                    yield f"{server.get('name')}: {target.get('name')} {target.get('lun')} → {target.get('backing')}"
