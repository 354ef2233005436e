"""The arguments of a function module, its results, and its refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lpmkit.simulator.sap.records import Scalar
from lpmkit.simulator.sap.system import System

Row = Mapping[str, Scalar]


class AbapException(Exception):
    """A module's exception (``key``), or with ``system`` a refusal of the runtime."""

    def __init__(self, key: str, text: str = "", *, system: bool = False) -> None:
        super().__init__(text or key)
        self.key, self.text, self.system = key, text, system


@dataclass(slots=True)
class Conversation:
    """The state that lives as long as an RFC connection: the XMI interfaces that are logged on."""

    interfaces: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Call:
    """A call: parameters and tables as they came, the language of the logon, and how ``<sid>adm`` runs a command."""

    system: System
    name: str
    values: Mapping[str, str]
    tables: Mapping[str, Sequence[Mapping[str, str]]]
    conversation: Conversation
    language: str
    execute: Callable[[str], tuple[str, int]]

    @property
    def german(self) -> bool:
        return self.language.upper()[:1] == "D"

    def value(self, name: str) -> str:
        return self.values.get(name, "").strip()

    def number(self, name: str) -> int:
        text = self.value(name)
        return int(text) if text.isdecimal() else 0

    def table(self, name: str) -> Sequence[Mapping[str, str]]:
        return self.tables.get(name, ())

    def structure(self, name: str) -> Mapping[str, str]:
        rows = self.table(name)
        return rows[0] if rows else {}


@dataclass(frozen=True, slots=True)
class Result:
    """Export parameters (a value or a structure each) and tables."""

    exports: Mapping[str, Scalar | Row] = field(default_factory=dict)
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
