"""The leftovers of a partition on the frame where it is not."""

from __future__ import annotations

from dataclasses import dataclass

from lpmkit.migration.recovery import Proposal, RecoveryAction
from lpmkit.survey.model import Survey, SystemFacts


@dataclass(frozen=True, slots=True)
class Leftover:
    """A remainder of the partition on a frame where it is not: its record, an adapter, a virtual target."""

    frame: str
    what: str


#: The rules by which nothing is under way and recovery has nothing to do: what is left has to be removed by hand.
AT_REST = frozenset({"settled", "settled-inactive", "at-home", "left-behind", "shell-left-there"})


@dataclass(frozen=True, slots=True)
class Leftovers:
    """The frame where the partition is not, and what is left of it there."""

    frame: str
    things: tuple[Leftover, ...]

    def lines(self, proposal: Proposal) -> list[str]:
        """The leftovers, each with what becomes of it by the proposal: only what recovery leaves is removed by hand.

        >>> found = Leftovers("bvio83", (Leftover("bvio83", "the partition bxaix85"),))
        >>> found.lines(Proposal(RecoveryAction.RECOVER, "failed", "", ()))
        ['On bvio83 for now; recovery removes it: the partition bxaix85']
        """
        if not self.things:
            return [f"Nothing left behind on {self.frame}."]
        begin = f"On {self.frame} now; do not remove it"
        if proposal.action in (RecoveryAction.RECOVER, RecoveryAction.FORCE):
            begin = f"On {self.frame} for now; recovery removes it"
        elif proposal.rule in AT_REST:
            begin = f"Left behind on {self.frame}, remove by hand"
        return [f"{begin}: {thing.what}" for thing in self.things]


def leftovers_of(survey: Survey) -> Leftovers | None:
    """Remainders of the partition on the end where it is not; ``None`` when a list is missing.

    The partition is where it runs; if it runs nowhere, on the end that lists it, the source first.
    """
    ends = {side.name: side for side in (survey.source, survey.target)}
    if any(side.partitions is None for side in ends.values()):
        return None
    home = next((side for side in ends.values() if _state(side, survey.partition) == "Running"), None)
    home = home or next((side for side in ends.values() if _state(side, survey.partition) is not None), None)
    if home is None:
        return None
    other = next(side for side in ends.values() if side is not home)
    return Leftovers(other.name, tuple(_leftovers(other, survey.partition)))


def left_behind(survey: Survey) -> tuple[Leftover, ...] | None:
    """The things of `leftovers_of`."""
    found = leftovers_of(survey)
    return None if found is None else found.things


def _state(side: SystemFacts, name: str) -> str | None:
    partition = side.partition(name)
    return partition.state if partition else None


def _leftovers(side: SystemFacts, name: str) -> list[Leftover]:
    leftovers: list[Leftover] = []
    listed = side.partition(name)
    if listed is not None:
        leftovers.append(Leftover(side.name, f"the partition {name} (id {listed.lpar_id}, {listed.state})"))
    kinds = (("virtual SCSI", side.scsi_adapters), ("virtual Fibre Channel", side.fc_adapters))
    for kind, adapters in kinds:
        for adapter in adapters or ():
            if adapter.adapter_type == "server" and adapter.remote_partition == name:
                leftovers.append(
                    Leftover(side.name, f"the {kind} server adapter in slot {adapter.slot} of {adapter.partition}")
                )
                leftovers += _targets(side, adapter.partition, adapter.slot)
    return leftovers


def _targets(side: SystemFacts, server: str, slot: int) -> list[Leftover]:
    vios = side.server(server)
    served = next((target for target in (vios.scsi_servers if vios else None) or () if target.slot == slot), None)
    if served is None:
        return []
    return [
        Leftover(side.name, f"the virtual target {target.name} on {served.name} of {server} ({target.backing})")
        for target in served.targets
    ]
