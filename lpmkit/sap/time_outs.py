"""The time that SAP waits for a partition that is silent: profile parameters, read from the profiles of its instances.

A parameter has the value of the instance profile, else of ``DEFAULT.PFL``, else the kernel's default (`SAP-HELP-PFL`).
What was changed while the system runs is in no profile, and not seen. The table of parameters is ``time_outs.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML

from lpmkit.json_values import JsonMapping
from lpmkit.sap.model import InstanceProfile

#: Seconds in each unit of a profile's value (`ITSITI-PFL`); none is the parameter's own.
_UNITS = {"S": 1.0, "M": 60.0, "H": 3600.0, "D": 86400.0}
#: Seconds between two attempts to connect (`SAP-HELP-ENQ`).
_BETWEEN_ATTEMPTS_S = 1.0


@dataclass(frozen=True, slots=True)
class TimeOutParameter:
    """A row of the table."""

    waits: str
    default: float | None
    remedy: str
    source: str
    unit: str = "s"
    off: tuple[str, ...] = ()
    condition: Mapping[str, str] = field(default_factory=dict)
    times: str = ""
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class SapWait:
    """The least time that a system waits by one parameter, in seconds; ``None`` where the value says no time.

    ``is_set``: a profile has it; else it is SAP's default. ``text`` is the value as people read it.
    """

    parameter: str
    seconds: float | None
    is_set: bool
    text: str

    @property
    def remedy(self) -> str:
        return parameters()[self.parameter].remedy


@cache
def parameters() -> Mapping[str, TimeOutParameter]:
    """The table, in the order of its file."""
    text = files("lpmkit.sap").joinpath("time_outs.yaml").read_text(encoding="utf-8")
    rows: dict[str, dict[str, Any]] = YAML(typ="safe").load(text)
    return {
        name: TimeOutParameter(
            **{key: value for key, value in row.items() if key not in ("while", "off")},
            off=tuple(row.get("off", ())),
            condition=row.get("while", {}),
        )
        for name, row in rows.items()
    }


def wanted() -> frozenset[str]:
    """The parameters that are read: those of the table, and those that decide whether they count."""
    rows = parameters().values()
    return frozenset(
        [*parameters(), *(one.times for one in rows if one.times), *(key for one in rows for key in one.condition)]
    )


def read_profile(text: str) -> dict[str, str]:
    """The wanted parameters of a profile; one that is set twice to different values is not known: ``?``.

    >>> read_profile("# a comment\\nrdisp/keepalive = 1200\\nenque/con_timeout=5000\\nSAPSYSTEM = 00\\n")
    {'rdisp/keepalive': '1200', 'enque/con_timeout': '5000'}
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, sign, value = line.partition("=")
        name, value = name.strip(), value.strip()
        if sign and not line.lstrip().startswith("#") and name in wanted():
            found[name] = value if found.get(name, value) == value else "?"
    return found


def sap_waits(profiles: Sequence[InstanceProfile]) -> tuple[SapWait, ...]:
    """The waits of a system by each parameter that counts, the least of its instances; in the order of the table."""
    found = []
    for name, row in parameters().items():
        waits = [_wait(name, row, profile.values) for profile in profiles if _counts(row, profile.values)]
        known = [wait for wait in waits if wait is not None]
        if known:
            found.append(min(known, key=lambda wait: (wait.seconds is not None, wait.seconds or 0.0)))
    return tuple(found)


def _counts(row: TimeOutParameter, values: Mapping[str, str]) -> bool:
    return all(
        (values.get(name, "").upper() == needed.removeprefix("not ").upper()) != needed.startswith("not ")
        for name, needed in row.condition.items()
    )


def _wait(name: str, row: TimeOutParameter, values: Mapping[str, str]) -> SapWait | None:
    """The wait by the profile of one instance; ``None`` where it waits for ever, or is not set and its default is not
    known.
    """
    value = values.get(name)
    if value in row.off or (value is None and row.default is None):
        return None
    if value is None:
        assert row.default is not None
        once = row.default / (1000 if row.unit == "ms" else 1)
    else:
        told = _seconds(value, row.unit)
        if told is None:
            return SapWait(name, None, is_set=True, text=f"{value} (not understood)")
        once = told
    attempts = values.get(row.times, "") if row.times else ""
    times = int(attempts) if attempts.isascii() and attempts.isdigit() and int(attempts) > 0 else row.attempts
    seconds = times * once + (times - 1) * _BETWEEN_ATTEMPTS_S
    text = f"{seconds:g} s"
    text += f", {times} attempts" if times > 1 else ""
    return SapWait(name, seconds, value is not None, text if value is not None else f"{text}, SAP's default")


def _seconds(value: str, unit: str) -> float | None:
    """
    >>> _seconds("300", "s"), _seconds("2 M", "s"), _seconds("5000", "ms"), _seconds("$(X)", "s")
    (300.0, 120.0, 5.0, None)
    """
    match = re.fullmatch(r"(\d{1,9})\s*([SMHD]?)", value, re.IGNORECASE | re.ASCII)
    if match is None:
        return None
    if match[2]:
        return int(match[1]) * _UNITS[match[2].upper()]
    return int(match[1]) / (1000 if unit == "ms" else 1)


def profiles_in(system: JsonMapping) -> list[InstanceProfile] | None:
    """The profiles of a system in a survey's document; ``None`` where they were not read."""
    rows = system.get("profiles")
    return [InstanceProfile(**row) for row in rows] if isinstance(rows, list) else None
