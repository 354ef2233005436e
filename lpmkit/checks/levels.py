"""Levels of VIOS, AIX and IBM i, held against the matrix (``levels.yaml``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from lpmkit.checks.judging import (
    Fact,
    NotApplicable,
    OnlyFirmware,
    RuleResult,
    Verdict,
    moving_of,
    need,
    passed,
    read_table,
    vios_of,
)
from lpmkit.inventory import (
    OperatingSystem,
)
from lpmkit.survey.model import Survey, SystemFacts

#: Releases of AIX of which no level moves (B `DW-LPM`).
RELEASES_BEFORE = frozenset({"AIX 5.1", "AIX 5.2"})
#: The release of IBM i that moves with technology refresh 4 only (B `IBM-I-REQ`); the later ones move as they are.
IBM_I_OF_A_REFRESH = (7, 1)


@dataclass(frozen=True, slots=True)
class Level:
    """A row of ``levels.yaml``: product, minimum level, purpose, and confidence."""

    what: str
    at_least: str
    needed_for: str
    mark: str
    source: str

    @property
    def decides(self) -> bool:
        """True for a row that can fail a check; one that is only recalled warns."""
        return self.mark in "AB"


@cache
def level_rows() -> tuple[Level, ...]:
    """The matrix, in the order of its file."""
    return tuple(Level(**row) for row in read_table("levels.yaml")["levels"])


def numbers_of(level: str) -> tuple[int, ...]:
    """The numbers of a level, to compare.

    >>> numbers_of("1.5.2.1-FP-11.1") >= numbers_of("1.5"), numbers_of("AIX 5.3 5300-07-03-0811"), numbers_of("AIX 7.2")
    (True, (5300, 7, 3, 811), (7, 2))
    >>> numbers_of("2.2.0.10-FP-24 SP-01"), numbers_of("Unknown")
    ((2, 2, 0, 10), ())
    """
    numbered = [word for word in level.split() if word[0].isdigit()]
    plain = numbered[-1].split("-FP")[0] if numbered else ""
    return tuple(int(word) for word in re.split(r"[.-]", plain) if word.isdigit())


def _uses(survey: Survey) -> set[str]:
    """The purposes of the matrix that concern this partition."""
    lpar_id = moving_of(survey).lpar_id
    fibre = any(adapter.lpar_id == lpar_id for adapter in survey.source.fc_adapters or ())
    virtual = any(nic.lpar_id == lpar_id for nic in survey.source.vnics or ())
    ibm_i = survey.operating_system is OperatingSystem.IBM_I
    return {
        "a move",
        *(["NPIV"] if fibre else []),
        *(["vNIC"] if virtual else []),
        *(["IBM i"] if ibm_i else []),
    }


def _held_against(survey: Survey, about: str, what: str, levels: Mapping[str, str], remedy: str) -> RuleResult:
    rows = [row for row in level_rows() if row.what == what and row.needed_for in _uses(survey)]
    old = {
        name: [row for row in rows if numbers_of(level) < numbers_of(row.at_least)] for name, level in levels.items()
    }
    facts: dict[str, Fact] = dict(levels)
    facts |= {f"{row.needed_for} needs": f"{row.at_least} ({row.mark})" for row in rows}
    hard = any(row.decides for short in old.values() for row in short)
    return passed(not any(old.values()), about, facts, remedy, bad=Verdict.FAIL if hard else Verdict.WARN)


def vios_level(survey: Survey, side: SystemFacts) -> RuleResult:
    """Hold the levels of the VIOS against the matrix."""
    servers = side.servers or (vios_of(survey, side, "level"),)
    levels = {f"VIOS level of {server.name}": need(server.level, survey, "level", side.name) for server in servers}
    return _held_against(
        survey, side.name, "VIOS", levels, "Update the VIOS: updateios -install -dev DIRECTORY -accept"
    )


def guest_level(survey: Survey) -> RuleResult:
    """Hold the level of the operating system against the matrix: as the partition itself prints it, else as the
    manager lists it.

    A level of zeros (``5300-00-00-0000``) is a placeholder for one that was not read.
    """
    moving = moving_of(survey)
    listed = moving.os_version
    own = survey.guest.identity.level if survey.guest else None
    if survey.operating_system is OperatingSystem.LINUX:
        raise NotApplicable(
            survey.partition, f"levels are known for AIX and IBM i, and the partition runs {own or listed}"
        )
    if survey.operating_system is OperatingSystem.IBM_I:
        return _ibm_i_level(survey, listed or "")
    version = f"AIX {own}" if own else listed
    level = numbers_of(version) if version else ()
    if version is None or not _is_told(version, level, own=own is not None):
        raise OnlyFirmware(
            survey.partition,
            "neither the partition nor the manager gives the level of the operating system (listed: "
            f"{listed or 'nothing'})",
            "On AIX: oslevel -s.",
        )
    release = (
        f"AIX {level[0] // 1000}.{level[0] // 100 % 10}" if level[0] > 999 else f"AIX {'.'.join(map(str, level[:2]))}"
    )
    remedy = "Install the technology level: install_all_updates -d DIRECTORY"
    source = "oslevel -s" if own else "the manager"
    return _held_against(survey, survey.partition, release, {f"level by {source}": version}, remedy)


def _is_told(version: str, level: tuple[int, ...], *, own: bool) -> bool:
    """True if this is the level of AIX: zeros behind the release are a placeholder of the manager (and the true level
    in the partition's own words); a release alone is enough only where the matrix asks for no technology level.
    """
    if not version.startswith("AIX") or len(level) < 2 or (_is_placeholder(level) and not own):
        return False
    released_only = level[0] < 1000
    release = f"AIX {'.'.join(map(str, level[:2]))}"
    return not released_only or release in RELEASES_BEFORE or all(row.what != release for row in level_rows())


def _ibm_i_level(survey: Survey, listed: str) -> RuleResult:
    """The version and release of IBM i, of which a manager lists ``IBM i 7.5.0 310 0`` or ``OS/400 V7R1M0``."""
    found = re.search(r"\bV(\d+)R(\d+)M\d|\b(\d+)\.(\d+)(?:\.\d+)*\b", listed)
    if found is None:
        raise OnlyFirmware(
            survey.partition,
            f"the manager does not give the level of IBM i (listed: {listed or 'nothing'})",
            "DSPSFWRSC",
        )
    level = ".".join(number for number in found.groups() if number)
    if numbers_of(level) == IBM_I_OF_A_REFRESH:
        raise OnlyFirmware(
            survey.partition,
            "IBM i 7.1 moves from technology refresh 4 on, and the manager does not list the refresh",
            "On IBM i: WRKPTFGRP shows the group of the technology refresh.",
        )
    return _held_against(survey, survey.partition, "IBM i", {"level by the manager": level}, "Upgrade IBM i.")


def _is_placeholder(level: tuple[int, ...]) -> bool:
    """True for a level of which only the release is there, all else being zeros.

    >>> _is_placeholder((5300, 0, 0, 0)), _is_placeholder((6100, 0, 1, 748)), _is_placeholder((7, 2))
    (True, False, False)
    """
    return len(level) > 2 and not any(level[1:])
