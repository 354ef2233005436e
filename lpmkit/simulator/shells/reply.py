"""The answer of a command, and the facts that a command may know besides its words."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """Text on standard output, text on standard error, exit status."""

    out: str = ""
    err: str = ""
    status: int = 0


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances of a command: the language (``C`` or ``de``), the time of day, whether a person types."""

    language: str = "C"
    wall_s: float = 0.0
    interactive: bool = False
    stdin: str = ""

    @property
    def german(self) -> bool:
        return self.language.lower().startswith("de")

    def time(self, form: str) -> str:
        """The moment of the command, in UTC, which is the time zone of every simulated machine."""
        return time.strftime(form, time.gmtime(self.wall_s))


def lines(*texts: str) -> Reply:
    """A reply of these lines.

    >>> lines("a", "b").out
    'a\\nb\\n'
    """
    return Reply(out="".join(f"{text}\n" for text in texts))


def not_found(command: str, shell: str = "ksh") -> Reply:
    """The Korn shell's message for a command that is not there: two blanks before ``not`` (`BOND`).

    >>> not_found("pcmpath").err
    'ksh: pcmpath:  not found.\\n'
    """
    return Reply(err=f"{shell}: {command}:  not found.\n", status=127)


def at_least(level: str, *numbers: int) -> bool:
    """True if a level is as new as these numbers.

    >>> at_least("4.1.0.10", 2, 2), at_least("1.5.2.1-FP-11.1", 2)
    (True, False)
    """
    return [int(part) for part in level.split("-", maxsplit=1)[0].split(".") if part.isdigit()] >= list(numbers)
