"""The level of a managed system's firmware: ``EA350_038`` is family, release and service pack."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lpmkit.control.listings import lines
from lpmkit.errors import UnexpectedReply

#: Two letters of the package, two to three digits and letters of the platform's family may stand before it: 01SV860.
_LEVEL = re.compile(r"\b(?:01)?([A-Z]{2})(\d{3,4})_(\d{3})\b")


@dataclass(frozen=True, slots=True)
class FirmwareLevel:
    """A level of firmware: ``family`` is the two letters of the platform, ``release`` what a support matrix names."""

    family: str
    release: int
    service_pack: int

    def __str__(self) -> str:
        return f"{self.family}{self.release}_{self.service_pack:03}"

    @classmethod
    def from_text(cls, text: str) -> FirmwareLevel | None:
        """The level that stands in a text, ``None`` where there is none or several that differ.

        >>> str(FirmwareLevel.from_text("FW860.42 (SV860_138)")), FirmwareLevel.from_text("TCP99256")
        ('SV860_138', None)
        """
        levels = {cls(family, int(release), int(pack)) for family, release, pack in _LEVEL.findall(text)}
        return levels.pop() if len(levels) == 1 else None


def read_firmware(text: str) -> FirmwareLevel:
    r"""``lsfware``: one line for the system, perhaps one for the service processor (`VIOS-lsfware`, B)::

        System Firmware level is EA350_038

    >>> str(read_firmware("System Firmware level is EA350_038\n"))
    'EA350_038'
    """
    row = next((line for line in lines(text) if "system firmware level" in line.lower()), None)
    level = FirmwareLevel.from_text(row or text)
    if level is None:
        raise UnexpectedReply("a level of firmware such as EA350_038 was expected", line=row or text[:200])
    return level
