"""Licence ledger: which partition was on which frame with how many entitled cores, from when to when.

Made from the moves of a folder of runs: where each partition was before and after, and the entitlement that its manager
listed then. Every instant has two bounds, in nanoseconds since 1970: a partition left its source after the order was
sent and was on its target when it was first found there, or within the measured suspension where there is one. ``None``
is not known. What was not recorded is a gap, and is never filled from its neighbours.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

from lpmkit.config import Site
from lpmkit.errors import RecordError
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.runs.files import sheet_cell
from lpmkit.runs.folder import Run
from lpmkit.runs.history import Elsewhere, History
from lpmkit.runs.whereabouts import stayed

#: An instant as its two bounds; ``None`` is open.
Bounds = tuple[int | None, int | None]
#: A partition without a product of the site file.
NO_PRODUCT = ""
#: The frame of a gap.
NOT_KNOWN = "not known"


class LicenceBasis(StrEnum):
    """The evidence of a row."""

    RECORDED = "seen at its begin and its end"
    FIRST = "when it came is not known"
    LAST = "last seen there; until when is not known"
    GAP = "gap: it was found elsewhere than it was left"
    UNKNOWN = "gap: a move whose outcome is not recorded"


@dataclass(frozen=True, slots=True)
class Entitlement:
    """Entitled cores as the manager lists them: processing units, or dedicated processors."""

    cores: float | None
    mode: str


class Onward(StrEnum):
    """The move that the record shows between a sighting and the next one."""

    NOTHING = "nothing"
    MOVED = "a move that settled; the next sighting is its end"
    OPEN = "a move whose outcome is not recorded"


@dataclass(frozen=True, slots=True)
class Sighting:
    """A partition on a frame at one instant, by a manager."""

    at_ns: int
    frame: str
    machine: str
    entitled: Entitlement
    run: str
    onward: Onward = Onward.NOTHING

    def as_data(self) -> JsonObject:
        """The sighting as JSON values."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: JsonMapping) -> Sighting:
        """Inverse of `as_data`. Raises KeyError, TypeError or ValueError for anything else."""
        entitled = Entitlement(**data["entitled"])
        return cls(**{**data, "entitled": entitled, "onward": Onward(data["onward"])})


@dataclass(frozen=True, slots=True)
class LicensedStay:
    """A partition on one frame with one entitlement; of a gap without frame and cores."""

    partition: str
    frame: str
    machine: str
    cores: float | None
    mode: str
    since: Bounds
    until: Bounds
    basis: LicenceBasis
    runs: tuple[str, ...]

    @property
    def is_gap(self) -> bool:
        """True where it is not recorded where the partition was."""
        return self.basis in (LicenceBasis.GAP, LicenceBasis.UNKNOWN)


def stays(partition: str, sightings: Iterable[Sighting]) -> list[LicensedStay]:
    """The stays of one partition, oldest first, with the gaps between them.

    Sightings on one frame with one entitlement make one stay. Where the entitlement is another, it changed at an
    instant between them; where the frame is another and no recorded move explains it, there is a gap.
    """
    ordered = sorted(sightings, key=lambda sighting: sighting.at_ns)
    found: list[LicensedStay] = []
    group: list[Sighting] = []
    since: Bounds = (None, ordered[0].at_ns) if ordered else (None, None)
    for seen, following in pairwise([*ordered, None]):
        assert seen is not None
        group.append(seen)
        if following is not None and _goes_on(group, following):
            continue
        between: Bounds = (seen.at_ns, None if following is None else following.at_ns)
        found.append(_stay(partition, group, since, between, following is None))
        runs = (seen.run,) if following is None else (seen.run, following.run)
        if seen.onward is Onward.OPEN:
            found.append(_gap(partition, between, LicenceBasis.UNKNOWN, runs))
        elif following is not None and following.frame != seen.frame and seen.onward is not Onward.MOVED:
            found.append(_gap(partition, between, LicenceBasis.GAP, runs))
        since, group = between, []
    return found


def _goes_on(group: Sequence[Sighting], following: Sighting) -> bool:
    """True if nothing that matters is different at the next sighting, and no move of unknown outcome lies between.

    A sighting without an entitlement (an error log has none) is no sign that it changed.
    """
    last, entitled = group[-1], _known(group)
    same = None in (entitled.cores, following.entitled.cores) or entitled == following.entitled
    return last.frame == following.frame and last.onward is not Onward.OPEN and same


def _known(group: Sequence[Sighting]) -> Entitlement:
    """The entitlement of a stay, from the first sighting that has one."""
    return next((one.entitled for one in group if one.entitled.cores is not None), group[0].entitled)


def _stay(partition: str, group: Sequence[Sighting], since: Bounds, until: Bounds, last: bool) -> LicensedStay:
    basis = LicenceBasis.FIRST if since[0] is None else LicenceBasis.LAST if last else LicenceBasis.RECORDED
    runs = tuple(dict.fromkeys(sighting.run for sighting in group))
    machine = next((sighting.machine for sighting in group if sighting.machine), "")
    entitled = _known(group)
    return LicensedStay(partition, group[0].frame, machine, entitled.cores, entitled.mode, since, until, basis, runs)


def _gap(partition: str, between: Bounds, basis: LicenceBasis, runs: tuple[str, ...]) -> LicensedStay:
    return LicensedStay(partition, "", "", None, "", between, between, basis, tuple(dict.fromkeys(runs)))


# -- from run folders --------------------------------------------------------------------------------------------------


def read_sightings(folder: Path) -> tuple[dict[str, list[Sighting]], dict[str, str]]:
    """The sightings of the moves of a folder of runs, by partition, and the runs that could not be read with the
    reason.

    Raises `RecordError` without such a folder.
    """
    past = History(folder, keep=False)
    sightings: dict[str, list[Sighting]] = {}
    unreadable = dict(past.unreadable)
    for move in past.moves():
        if move.mode != "move":
            continue
        try:
            seen = sightings_of(Run(folder / move.run))
        except (RecordError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            unreadable[move.run] = f"{type(error).__name__}: {error}"
            continue
        if seen:
            sightings.setdefault(move.partition, []).extend(seen)
    return sightings, unreadable


def sightings_elsewhere(rows: Iterable[Elsewhere]) -> tuple[dict[str, list[Sighting]], list[str]]:
    """The sightings of the moves of other hosts, by partition, and the runs without any, with the reason."""
    sightings: dict[str, list[Sighting]] = {}
    untold: list[str] = []
    for row in rows:
        move = json.loads(row.move)
        if move["mode"] != "move":
            continue
        try:
            seen = [Sighting.from_data(data) for data in json.loads(row.observed or "null")["sightings"]]
        except (KeyError, TypeError, ValueError):
            untold.append(f"{move['run']}: its folder is on another host, which has told nothing of its sightings")
            continue
        if seen:
            sightings.setdefault(move["partition"], []).extend(seen)
    return sightings, untold


def sightings_of(run: Run) -> list[Sighting]:
    """The sightings of one run: the partition before its move and after it; nothing if no move was asked for.

    Before is when the order was sent, or the earliest begin of the suspension; after is when it was first found on its
    target, or the latest end of the suspension. A move that failed or was stopped left it where it was.
    """
    events = run.events()
    asked = next((event for event in events if event.kind == "intent" and event.data.get("what") == "migrate"), None)
    if asked is None:
        return []
    order, name = run.manifest["order"], run.path.name
    source = (run.document("survey") or {}).get("source") or {}
    target = (run.document("survey-after") or {}).get("target") or {}
    partition, here = str(order["partition"]), str(order["source"])
    entitled, machine = _entitled(source, partition), _machine(source)
    final = next((event for event in reversed(events) if event.kind == "phase"), None)
    outcome = None if final is None else str(final.data.get("phase"))
    if final is not None and stayed(final.data):
        return [Sighting(moment, here, machine, entitled, name) for moment in (asked.wall_ns, final.wall_ns)]
    if final is None or outcome != "settled":
        return [Sighting(asked.wall_ns, here, machine, entitled, name, Onward.OPEN)]
    earliest, latest = _suspended(run)
    left_ns, came_ns = earliest or asked.wall_ns, latest or final.wall_ns
    there = _machine(target) or str(order.get("target_machine") or "")
    return [
        Sighting(left_ns, here, machine, entitled, name, Onward.MOVED),
        Sighting(came_ns, str(order["target"]), there, _entitled(target, partition), name),
    ]


def _suspended(run: Run) -> Bounds:
    """The bounds of the suspension: it runs on the source before it and on the target after it."""
    suspension = (run.document("summary") or {}).get("suspension")
    if not suspension:
        return None, None
    moments = [suspension["begin"]["earliest"]["utc"], suspension["end"]["latest"]["utc"]]
    first, last = (datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() for text in moments)
    return int(first * 1e9), int(last * 1e9)


def _machine(side: JsonObject) -> str:
    frame = side.get("frame") or {}
    return f"{frame['type_model']}*{frame['serial']}" if frame.get("type_model") and frame.get("serial") else ""


def _entitled(side: JsonObject, partition: str) -> Entitlement:
    """The entitlement as listed; ``None`` where the partition or its processors are not listed."""
    listed: Any = next((row for row in side.get("partitions") or () if row.get("name") == partition), {})
    mode = str(listed.get("proc_mode") or "")
    dedicated = mode.startswith("ded")
    cores = listed.get("virtual_processors") if dedicated else listed.get("proc_units")
    return Entitlement(None if cores is None else float(cores), mode)


# -- as rows -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LicenceRow:
    """One row of the ledger, as its CSV has it: UTC, empty for not known."""

    site: str
    product: str
    system: str
    partition: str
    frame: str
    machine: str
    entitled_cores: str
    processor_mode: str
    from_earliest_utc: str
    from_latest_utc: str
    until_earliest_utc: str
    until_latest_utc: str
    basis: str
    runs: str


def products(site: Site) -> dict[str, list[tuple[str, str]]]:
    """Product and system of each partition of the site file."""
    found: dict[str, list[tuple[str, str]]] = {}
    for sid, database in site.databases.items():
        found.setdefault(database.partition, []).append(("Oracle", sid))
    for sid, system in site.sap_systems.items():
        found.setdefault(system.partition, []).append(("SAP", sid))
    return found


def licence_rows(
    sightings: Mapping[str, Sequence[Sighting]], of: Mapping[str, Sequence[tuple[str, str]]], site: str
) -> list[LicenceRow]:
    """The ledger: a row for each stay and product, by product, system, partition and time."""
    rows = []
    for partition, seen in sorted(sightings.items()):
        for stay in stays(partition, seen):
            for product, system in of.get(partition) or [(NO_PRODUCT, "")]:
                rows.append(_row(stay, product, system, site))
    return sorted(rows, key=lambda row: (row.product == NO_PRODUCT, row.product, row.system, row.partition))


def _row(stay: LicensedStay, product: str, system: str, site: str) -> LicenceRow:
    earliest, latest = _bounds_utc(stay.since)
    until_earliest, until_latest = _bounds_utc(stay.until)
    return LicenceRow(
        site=site,
        product=product,
        system=system,
        partition=stay.partition,
        frame=stay.frame or NOT_KNOWN,
        machine=stay.machine,
        entitled_cores="" if stay.cores is None else f"{stay.cores:g}",
        processor_mode=stay.mode,
        from_earliest_utc=earliest,
        from_latest_utc=latest,
        until_earliest_utc=until_earliest,
        until_latest_utc=until_latest,
        basis=stay.basis.value,
        runs=", ".join(stay.runs),
    )


def _bounds_utc(bounds: Bounds) -> tuple[str, str]:
    """Two bounds in whole seconds, rounded outwards so that they still hold."""
    earliest, latest = bounds
    return _utc(earliest), _utc(None if latest is None else -(-latest // 10**9) * 10**9)


def _utc(wall_ns: int | None) -> str:
    return "" if wall_ns is None else f"{datetime.fromtimestamp(wall_ns / 1e9, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"


#: The columns.
COLUMNS = tuple(field.name for field in fields(LicenceRow))


def as_csv(rows: Iterable[LicenceRow]) -> str:
    """The ledger as CSV with headings."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([sheet_cell(getattr(row, column)) for column in COLUMNS])
    return out.getvalue()
