"""Which partitions are away from home: which frame each left, when, under which change, with what mapping, by the run folders of a site.

Home is the frame from which the first move of an unbroken chain began. A partition that somebody brought back without lpmkit is still listed as away: the
survey before it is moved home finds it where it is, and refuses to move it from where it is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lpmkit.errors import NotFound, RecordError
from lpmkit.runs.folder import Run
from lpmkit.runs.history import History, Move


@dataclass(frozen=True, slots=True)
class Away:
    """A partition that is not where it belongs. ``left_ns`` is when the run of its first move began (nanoseconds since 1970).

    ``mapping`` is what its disks were on the frame it left, a line each: server adapter, virtual target, logical unit, backing device.
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
    """Every partition of a folder of runs that is away, by name. Raises `RecordError` when there is no such folder."""
    chains: dict[str, list[Move]] = {}
    for move in History(folder).moves():
        if move.mode == "move" and move.outcome == "settled":
            chain = chains.setdefault(move.partition, [])
            if chain and chain[-1].target != move.source:
                chain.clear()  # it came from elsewhere than it had gone: what was home then is not known
            chain.append(move)
            if move.target == chain[0].source:
                chain.clear()  # it is at home again
    return [_away(folder, chain) for _, chain in sorted(chains.items()) if chain]


def away(folder: Path, partition: str) -> Away:
    """One partition of the ledger. Raises `NotFound` with the ones that are away."""
    known = ledger(folder)
    found = next((one for one in known if one.partition == partition), None)
    if found is None:
        raise NotFound(
            "partition that is away from home", partition, known=[one.partition for one in known], where=str(folder)
        )
    return found


def _away(folder: Path, chain: list[Move]) -> Away:
    first, last = chain[0], chain[-1]
    return Away(
        partition=first.partition,
        home=first.source,
        now_on=last.target,
        left_ns=first.created_ns,
        change=first.change,
        by=first.by,
        runs=tuple(move.run for move in chain),
        mapping=tuple(_mapping(folder / first.run)),
    )


def _mapping(path: Path) -> Iterator[str]:
    """The disks' mapping on the frame that was left, as the survey before the move found it."""
    try:
        survey: Any = Run(path).document("survey")
    except RecordError as error:
        yield f"not known: {error.what}"
        return
    if isinstance(survey, dict):
        yield from disk_mapping(survey.get("source") or {}, survey.get("partition"))


def disk_mapping(side: dict[str, Any], partition: Any) -> Iterator[str]:
    """Server adapter, virtual target, logical unit and backing device of each disk that a side of a survey maps to a partition."""
    found = next((one for one in side.get("partitions") or () if one.get("name") == partition), None)
    if found is None:
        return
    vios = side.get("vios")
    for one in vios if isinstance(vios, list) else [vios]:
        for server in (one or {}).get("scsi_servers") or ():
            if server.get("client_lpar_id") == found.get("lpar_id"):
                for target in server.get("targets") or ():
                    yield f"{server.get('name')}: {target.get('name')} {target.get('lun')} → {target.get('backing')}"
