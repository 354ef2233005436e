"""A plan: moves of several partitions in one window, with their order and limits.

A plan is a YAML file. Its moves start in its order as far as nothing holds one back: an earlier move it depends on,
another member of its cluster, and the number of moves that frames, movers and the link between two frames take at once.
Each move is a run of its own, with folder and report; the plan's folder holds the decisions and one page for all moves.

::

    title: Rack 7, before the firmware update
    on_failure: stop                  # or go-on: the moves that do not depend on the failed one
    limits: {link: 2, mover: 4}       # in addition to the limits of the managers
    window: {end: 2026-12-01T03:00+01:00}
    clusters: {hacmp1: [node1, node2]}
    observe_from: [fra-jump1]         # places that watch every move too, besides the host that makes it
    moves:
      - {partition: bxapp1, target: bvio83}
      - {partition: bxaix85, target: bvio83, after: [bxapp1], keep_mapping: true}

`lpmkit.plan.schedule` holds the rules as functions of plain values, `lpmkit.plan.book` the operations of front ends,
`lpmkit.plan.conductor` the process that executes a plan, `lpmkit.plan.status` the state read from a plan's folder, and
`lpmkit.plan.page` the page.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from ruamel.yaml import YAML

from lpmkit.config import PLACE, Site
from lpmkit.json_values import JsonObject
from lpmkit.limits import ChangeWindow, MoveLimits
from lpmkit.runs.files import make_folders
from lpmkit.runs.folder import write_file
from lpmkit.settings.yaml_file import read_settings

#: Concurrent moves of a mover that reports no limit: the figure of those releases (`DW-LPM`, B).
MOVER_TAKES = 4
#: Concurrent moves over one link: one or two on 1 Gb, since the streams share it (`DW-LPM`, B).
LINK_TAKES = 2


PlaceName = Annotated[str, Field(pattern=PLACE)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlannedMove(_Part):
    """One move of a plan.

    ``source`` is needed only if two frames list the partition; ``after`` names moves that must have arrived before.
    ``wait_for`` names partitions that other plans move, each with the frame where its manager must show it before.
    ``limits`` are those of this move over the site's. ``accept`` holds keys of checks that may fail here (`lpmkit check
    --json` shows them); any other failed check prevents the move, because no operator is present to judge it.
    """

    partition: str = Field(min_length=1)
    target: str = Field(min_length=1)
    source: str | None = None
    after: tuple[str, ...] = ()
    wait_for: dict[str, str] = Field(default_factory=dict)
    keep_mapping: bool = False
    mapping: dict[str, str] = Field(default_factory=dict)
    options: dict[str, str] = Field(default_factory=dict)
    limits: MoveLimits = Field(default_factory=MoveLimits)
    accept: tuple[str, ...] = ()


class Limits(_Part):
    """Limits on simultaneous moves besides those of the managers: per frame, mover and link between two frames."""

    frame: int | None = Field(default=None, ge=1)
    mover: int | None = Field(default=None, ge=1)
    link: int = Field(default=LINK_TAKES, ge=1)


class MovePlan(_Part):
    """An ordered plan. Its ``title`` is typed to start it; the default is the file's name."""

    title: str = ""
    on_failure: Literal["stop", "go-on"] = "stop"
    limits: Limits = Limits()
    #: When moves may begin and must have ended, unless a move has a window of its own.
    window: ChangeWindow = ChangeWindow()
    #: Partitions of one cluster: two of them never move at once. Other plans may move some of them.
    clusters: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    #: Places whose workers watch every move too (`lpmkit worker`).
    observe_from: tuple[PlaceName, ...] = ()
    moves: tuple[PlannedMove, ...] = Field(min_length=1)

    @field_validator("moves")
    @classmethod
    def _each_once(cls, moves: tuple[PlannedMove, ...]) -> tuple[PlannedMove, ...]:
        names = [move.partition for move in moves]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"a plan moves each partition once; listed more than once: {', '.join(twice)}")
        for move in moves:
            unplanned = [name for name in move.after if name not in names]
            if unplanned:
                raise ValueError(
                    f"{move.partition} comes after {', '.join(unplanned)}, which the plan does not move; "
                    "for one that another plan moves: `wait_for: {PARTITION: FRAME}`"
                )
            if planned := [name for name in move.wait_for if name in names]:
                raise ValueError(f"{move.partition} waits for {', '.join(planned)}, which this plan moves: use `after`")
        cycle = _circle({move.partition: move.after for move in moves})
        if cycle:
            raise ValueError(f"these moves wait for each other: {' after '.join(cycle)}")
        return moves

    @model_validator(mode="after")
    def _known_members(self) -> Self:
        names = {move.partition for move in self.moves}
        for cluster, members in self.clusters.items():
            if members and not names & {*members}:
                raise ValueError(f"the plan moves no partition of the cluster {cluster} ({', '.join(members)})")
        return self

    def move(self, partition: str) -> PlannedMove:
        """The planned move of a partition; raises `KeyError` for one that is not in the plan."""
        return {move.partition: move for move in self.moves}[partition]

    def named_elsewhere(self) -> frozenset[str]:
        """Partitions that the plan names and does not move: members of its clusters, and those it waits for."""
        named = {name for members in self.clusters.values() for name in members}
        named |= {name for move in self.moves for name in move.wait_for}
        return frozenset(named - {move.partition for move in self.moves})

    def clusters_of(self, partition: str) -> tuple[str, ...]:
        """The partition's clusters in this plan."""
        return tuple(name for name, members in self.clusters.items() if partition in members)

    def limits_of(self, partition: str) -> MoveLimits:
        """The limits of a partition's move: its own, and the plan's window where it has none."""
        own = self.move(partition).limits
        return own if own.window != ChangeWindow() else own.model_copy(update={"window": self.window})

    def as_data(self) -> JsonObject:
        """The plan as JSON values, without defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)


def _circle(after: Mapping[str, Iterable[str]]) -> list[str]:
    try:
        TopologicalSorter(after).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def load_plan(path: Path, site: Site | None = None) -> MovePlan:
    """Read a plan. Raises `lpmkit.errors.SiteFileError` with line and key of everything that is wrong.

    If ``site`` assigns databases to SAP systems, each database is put after its application servers.
    """
    plan = read_settings(path, MovePlan, "`moves:`", "the plan")
    if not plan.title:
        plan = plan.model_copy(update={"title": path.name.split(".")[0]})
    return plan if site is None else in_site_order(plan, site)


def save_plan(plan: MovePlan, path: Path) -> Path:
    """Write a plan as YAML that `load_plan` reads. Raises `lpmkit.errors.RecordError` if it cannot be written."""
    text = io.StringIO()
    writer = YAML()
    writer.default_flow_style = None
    writer.dump(plan.as_data(), text)
    make_folders(path.parent)
    return write_file(path, text.getvalue().encode())


def in_site_order(plan: MovePlan, site: Site) -> MovePlan:
    """The plan with every database after its SAP system's application servers, unless the plan orders them
    otherwise.
    """
    after = {move.partition: move.after for move in plan.moves}
    for sid, database in site.databases.items():
        system = site.sap_systems.get(sid)
        if system is None or system.partition == database.partition:
            continue
        database_partition, server_partition = database.partition, system.partition
        if (
            database_partition in after
            and server_partition in after
            and server_partition not in after[database_partition]
        ):
            longer = {**after, database_partition: (*after[database_partition], server_partition)}
            after = after if _circle(longer) else longer
    moves = tuple(move.model_copy(update={"after": after[move.partition]}) for move in plan.moves)
    return plan.model_copy(update={"moves": moves})
