"""The values that the steps of a move hand on: what there is, and the firmware's word on an order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lpmkit.checks import Finding, Verdict
from lpmkit.control.base import Order
from lpmkit.errors import RemoteError
from lpmkit.inventory import Frame, Partition
from lpmkit.json_values import JsonObject


@dataclass(frozen=True, slots=True)
class PartitionLocation:
    """A partition and the frame (the site's name) that lists it."""

    frame: str
    partition: Partition


@dataclass(frozen=True, slots=True)
class SiteInventory:
    """The partitions that the site's frames list, and the frames that could not be asked, with the reason."""

    frames: Mapping[str, Frame]
    placed: tuple[PartitionLocation, ...]
    silent: Mapping[str, RemoteError]


@dataclass(frozen=True, slots=True)
class Validation:
    """The firmware's own word on an order: ``passed``, its exit status and its text, and when (nanoseconds since 1970).

    ``disks``: every disk of virtual Fibre Channel was tried as well.
    """

    order: Order
    passed: bool
    status: int | None
    text: str
    wall_ns: int
    disks: bool = False

    @property
    def is_refused(self) -> bool:
        """True where the firmware answered, and refused."""
        return self.status is not None and not self.passed

    def is_fresh(self, minutes: float, now_ns: int) -> bool:
        """True where it is at most ``minutes`` old; ``now_ns`` in nanoseconds since 1970."""
        return 0 <= now_ns - self.wall_ns <= minutes * 60e9


def as_row(finding: Finding) -> JsonObject:
    """A finding as JSON values."""
    return {**asdict(finding), "verdict": finding.verdict.value}


def findings_of(rows: Any) -> tuple[Finding, ...]:
    """Findings from their stored rows; raises as a wrong value does."""
    return tuple(Finding(**{**row, "verdict": Verdict(row["verdict"])}) for row in rows)


def validation_of(stored: Any) -> Validation:
    """A validation from its stored values; raises as a wrong value does."""
    validation = Validation(**{**stored, "order": Order(**stored["order"])})
    if validation.passed not in (True, False) or type(validation.wall_ns) is not int:
        raise TypeError("passed is neither true nor false, or wall_ns is no number")
    return validation
