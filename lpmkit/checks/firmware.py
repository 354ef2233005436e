"""The levels of firmware of both systems, held against the vendor's matrices (``firmware.yaml``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from lpmkit.checks.judging import Fact, OnlyFirmware, RuleResult, passed, read_table, sides
from lpmkit.control.firmware import FirmwareLevel
from lpmkit.survey.model import Survey, SystemFacts

_REMEDY = (
    "Update the firmware of the older system to a level that the vendor's support matrix pairs with {other}. "
    "On an HMC: lslic -m SYSTEM shows the level; on a VIOS: lsfware."
)


class Pairing(StrEnum):
    """The entry of the matrices for a pair of levels."""

    MOBILE = "mobile"
    BLOCKED = "blocked"
    NOT_LISTED = "not listed"


@dataclass(frozen=True, slots=True)
class _Span:
    first: tuple[int, int]
    last: int

    @classmethod
    def from_text(cls, text: str) -> _Span:
        begin, _, end = text.partition("-")
        release, _, pack = begin.partition("_")
        return cls((int(release), int(pack or 0)), int(end or release))

    def holds(self, level: FirmwareLevel) -> bool:
        return (level.release, level.service_pack) >= self.first and level.release <= self.last


@dataclass(frozen=True, slots=True)
class _Row:
    source: _Span
    mobile: tuple[_Span, ...]
    blocked: tuple[_Span, ...]


@cache
def _rows() -> tuple[_Row, ...]:
    def spans(texts: Sequence[object]) -> tuple[_Span, ...]:
        return tuple(_Span.from_text(str(text)) for text in texts)

    return tuple(
        _Row(_Span.from_text(str(row["from"])), spans(row["mobile"]), spans(row["blocked"]))
        for row in read_table("firmware.yaml")["rows"]
    )


def pairing(source: FirmwareLevel, target: FirmwareLevel) -> Pairing:
    """The entry of the matrices for a move from one level of firmware to another.

    >>> pairing(FirmwareLevel("AL", 720, 101), FirmwareLevel("AL", 770, 52)).value
    'blocked'
    """
    for row in _rows():
        if not row.source.holds(source):
            continue
        if any(span.holds(target) for span in row.mobile):
            return Pairing.MOBILE
        if any(span.holds(target) for span in row.blocked):
            return Pairing.BLOCKED
    return Pairing.NOT_LISTED


def firmware_pair(survey: Survey) -> RuleResult:
    """Hold the firmware of both systems against the vendor's matrices.

    A pair that is not listed, or a level that was not read, is left to the validation.
    """
    source, target = (_level(side) for side in sides(survey))
    levels = f"{source or 'a level that was not read'} on {survey.source.name}, "
    levels += f"{target or 'a level that was not read'} on {survey.target.name}"
    found = pairing(source, target) if source and target else Pairing.NOT_LISTED
    if found is Pairing.NOT_LISTED:
        known = "the vendor's matrix does not list this pair" if source and target else "compare it with the matrix"
        raise OnlyFirmware(
            survey.target.name,
            f"the validation compares the firmware of both systems: {levels}; {known}",
            "lslic -m SYSTEM on an HMC, lsfware on a VIOS; compare with the vendor's firmware support matrix",
        )
    facts: dict[str, Fact] = {
        f"firmware of {survey.source.name}": str(source),
        f"firmware of {survey.target.name}": str(target),
        "in the vendor's matrix": found.value,
    }
    return passed(found is Pairing.MOBILE, survey.target.name, facts, _REMEDY.format(other=source))


def _level(side: SystemFacts) -> FirmwareLevel | None:
    """The level of a system, as its VIOS reported it."""
    servers = side.servers or ((side.vios,) if side.vios else ())
    told = {server.firmware for server in servers if server.firmware}
    return FirmwareLevel.from_text(told.pop()) if len(told) == 1 else None
