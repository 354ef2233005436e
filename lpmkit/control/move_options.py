"""Options of ``migrlpar`` that an order may carry. The table is ``migrlpar_options.yaml``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ruamel.yaml import YAML

from lpmkit.errors import UsageError

#: The value of an option that takes none.
WITHOUT_VALUE = "yes"


@dataclass(frozen=True, slots=True)
class MoveOption:
    """One row of the table. ``since`` are the numbers of the first HMC release that has the option."""

    values: tuple[str, ...]
    since: tuple[int, ...]
    meaning: str
    mark: str
    source: str
    ivm: bool = False


@cache
def move_options() -> Mapping[str, MoveOption]:
    """The table, in the order of its file."""
    text = files("lpmkit.control").joinpath("migrlpar_options.yaml").read_text(encoding="utf-8")
    rows = YAML(typ="safe").load(text)
    return {
        name: MoveOption(**{**row, "values": tuple(row["values"]), "since": tuple(row["since"])})
        for name, row in rows.items()
    }


def checked_options(options: Mapping[str, str]) -> dict[str, str]:
    """The same options, each known and with one of its values. Raises `UsageError`.

    >>> checked_options({"requirerr": "2"})
    {'requirerr': '2'}
    """
    for name, value in options.items():
        option = move_options().get(name)
        if option is None:
            raise UsageError(
                f"migrlpar has no option {name!r} that lpmkit knows", next_step=f"Known: {', '.join(move_options())}."
            )
        if value not in option.values:
            raise UsageError(
                f"the option {name} does not take {value!r}",
                next_step=f"It takes {' or '.join(option.values)}: {option.meaning}.",
            )
    return dict(options)


def option_arguments(options: Mapping[str, str], level: Sequence[int] | None, *, ivm: bool = False) -> list[str]:
    """The arguments of ``migrlpar`` for these options, in the order of the table.

    ``level`` are the numbers of the HMC's release, ``None`` where it does not print them. Raises `UsageError` for an
    option that the manager does not have.

    >>> option_arguments({"affinity": "yes", "requirerr": "2"}, (10, 10, 3))
    ['--requirerr', '2', '--affinity']
    """
    checked_options(options)
    arguments: list[str] = []
    for name, option in move_options().items():
        if name not in options:
            continue
        missing = not option.ivm if ivm else level is not None and tuple(level) < option.since
        if missing:
            raise UsageError(
                f"this manager has no option --{name} of migrlpar",
                next_step="Leave it out."
                if ivm
                else f"It takes an HMC V{option.since[0]}R{'.'.join(map(str, option.since[1:]))}.",
            )
        prefix = "-" if ivm else "--"  # one dash in the manual page of an IVM (`IVM-migrlpar`, B)
        value = options[name]
        arguments += [f"{prefix}{name}"] if value == WITHOUT_VALUE else [f"{prefix}{name}", value]
    return arguments
