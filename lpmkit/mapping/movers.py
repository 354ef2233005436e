"""The mover service partitions of a move: one pair, or two that back each other up (`RedMSP`).

A console that knows redundant movers uses two pairs where it can and nobody names any (D: the default of its
``--redundantmsps``). An order that names one pair asks for that one alone, and so for no redundancy; to choose both,
an order names them in ``redundant_msps``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lpmkit.errors import UsageError
from lpmkit.inventory import Frame, MoverPair
from lpmkit.survey.model import Survey

#: The attributes that name one pair of movers (B, the parameters of the REST job; `RedMSP`).
ONE_PAIR = frozenset(f"{end}_msp_{what}" for end in ("source", "dest") for what in ("name", "id", "ipaddr"))
#: The attribute that names two pairs.
TWO_PAIRS = "redundant_msps"
#: All attributes that name movers.
MOVERS = ONE_PAIR | {TWO_PAIRS}
#: The option of ``migrlpar`` and its value for a move without redundancy.
OPTION, WITHOUT, REQUIRED = "redundantmsps", "0", "1"
#: POWER generations: from the first on some firmware has redundant movers (FW860 of POWER8), from the second on all
#: has (D).
REDUNDANT_SINCE, REDUNDANT_ALWAYS_SINCE = 8, 9
#: The characters that take a name apart inside a record; such a VIOS is named by its id.
UNSAFE = frozenset('/,"=')
#: The group of both pairs: the same number twice (`RedMSP`).
_GROUP = "1"
_ITEM_PARTS = 7


class Redundancy(StrEnum):
    """The number of pairs of movers that a move has, and who chose it."""

    NAMED = "two pairs of movers, named in the order"
    BY_DEFAULT = "two pairs of movers, chosen by the manager"
    SWITCHED_OFF = "one pair of movers by the order; two are possible"
    NOT_POSSIBLE = "one pair of movers; two are not possible"


@dataclass(frozen=True, slots=True)
class MoverChoice:
    """The movers of a move: the pairs that the order names, or that would be chosen, and whether they are redundant."""

    pairs: tuple[MoverPair, ...]
    redundancy: Redundancy
    named: bool = False


def choose_movers(
    pairs: Sequence[MoverPair],
    frames: Iterable[Frame | None],
    mapping: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
) -> MoverChoice | None:
    """The movers between two systems by the order's attributes and options; ``None`` where no pair is listed or the
    order names none that is.

    Raises `UsageError` for a ``redundant_msps`` that cannot be read.
    """
    record, off = mapping or {}, (options or {}).get(OPTION) == WITHOUT
    listed = sorted(pairs, key=lambda pair: (pair.source_id, pair.target_id))
    if TWO_PAIRS in record:
        both = tuple(_means(listed, item) for item in record[TWO_PAIRS].split(","))
        if any(pair is None for pair in both):
            return None
        return MoverChoice(tuple(pair for pair in both if pair is not None), Redundancy.NAMED, named=True)
    named = bool(ONE_PAIR & record.keys())
    first = next(iter(pairs_named(listed, record)), None)
    if first is None:
        return None
    second = backup_of(first, listed) if since_generation(REDUNDANT_SINCE, frames) else None
    if second is None:
        return MoverChoice((first,), Redundancy.NOT_POSSIBLE, named)
    if named or off:
        return MoverChoice((first,), Redundancy.SWITCHED_OFF, named)
    return MoverChoice((first, second), Redundancy.BY_DEFAULT)


def movers_of(survey: Survey) -> MoverChoice | None:
    """The movers of a surveyed move; under an IVM the two managers are the movers. ``None`` where they are not known.

    Raises `UsageError` as `choose_movers` does.
    """
    if survey.source.manager == "hmc":
        return choose_movers(survey.mover_pairs or (), survey.frames, survey.mapping, survey.options)
    source, target = (next(iter(side.io_servers), None) for side in (survey.source, survey.target))
    if source is None or target is None:
        return None
    pair = MoverPair(
        source.name, source.lpar_id, source.rmc_ipaddr or "", target.name, target.lpar_id, target.rmc_ipaddr or ""
    )
    return MoverChoice((pair,), Redundancy.NOT_POSSIBLE)


def since_generation(number: int, frames: Iterable[Frame | None]) -> bool:
    """True if all systems are known to be of this POWER generation or a later one."""
    return all(frame is not None and (frame.generation or 0) >= number for frame in frames)


def pairs_named(pairs: Sequence[MoverPair], mapping: Mapping[str, str]) -> tuple[MoverPair, ...]:
    """The pairs that the attributes of one pair can mean: all of them where there is no such attribute.

    >>> pairs = (MoverPair("a1", 1, "192.0.2.1", "b1", 1, "192.0.2.3"), MoverPair("a2", 2, "192.0.2.2", "b2", 2, ""))
    >>> [pair.source for pair in pairs_named(pairs, {"source_msp_ipaddr": "192.0.2.1"})]
    ['a1']
    """

    def means(pair: MoverPair) -> bool:
        ends = (
            ("source", pair.source, pair.source_id, pair.source_address),
            ("dest", pair.target, pair.target_id, pair.target_address),
        )
        return all(
            mapping.get(f"{end}_msp_{what}", value) == value
            for end, name, number, address in ends
            for what, value in (("name", name), ("id", str(number)), ("ipaddr", address))
        )

    return tuple(pair for pair in pairs if means(pair))


def backup_of(pair: MoverPair, pairs: Sequence[MoverPair]) -> MoverPair | None:
    """A pair with other movers on both ends, of a console that can use both; ``None`` where there is none."""
    return next(
        (
            other
            for other in pairs
            if other.redundant
            and pair.redundant
            and other.source_id != pair.source_id
            and other.target_id != pair.target_id
        ),
        None,
    )


def named_movers(pair: MoverPair, backup: MoverPair | None = None) -> dict[str, str]:
    """The attributes that name a pair of movers, or two; by their ids where a name would be read as something else.

    >>> named_movers(MoverPair("a,b", 1, "192.0.2.1", "p8b-vios1", 2, "192.0.2.2"))
    {'source_msp_id': '1', 'dest_msp_id': '2'}
    >>> second = MoverPair("a2", 2, "192.0.2.5", "b1", 1, "192.0.2.6")
    >>> named_movers(MoverPair("a1", 1, "192.0.2.1", "b2", 2, "192.0.2.2"), second)
    {'redundant_msps': '1/a1/1/192.0.2.1/b2/2/192.0.2.2,1/a2/2/192.0.2.5/b1/1/192.0.2.6'}
    """
    if backup is not None:
        return {TWO_PAIRS: ",".join(_item(each) for each in (pair, backup))}
    if any(UNSAFE & set(name) for name in (pair.source, pair.target)):
        return {"source_msp_id": str(pair.source_id), "dest_msp_id": str(pair.target_id)}
    return {"source_msp_name": pair.source, "dest_msp_name": pair.target}


def _item(pair: MoverPair) -> str:
    """``GROUP/source name/id/address/target name/id/address``; a name that would be taken apart is left empty."""
    source, target = ("" if UNSAFE & set(name) else name for name in (pair.source, pair.target))
    numbers = (source, str(pair.source_id), pair.source_address, target, str(pair.target_id), pair.target_address)
    return "/".join((_GROUP, *numbers))


def _means(pairs: Sequence[MoverPair], item: str) -> MoverPair | None:
    """The pair that an item of ``redundant_msps`` names; what is empty in it is left to the manager."""
    parts = item.split("/")
    if len(parts) != _ITEM_PARTS:
        raise UsageError(
            f"{TWO_PAIRS} has a part {item!r} that cannot be read",
            next_step="Each of the two parts is GROUP/source name/id/address/target name/id/address.",
        )
    names = [f"{end}_msp_{what}" for end in ("source", "dest") for what in ("name", "id", "ipaddr")]
    wanted = {name: value for name, value in zip(names, parts[1:], strict=True) if value}
    return next(iter(pairs_named(pairs, wanted)), None)
