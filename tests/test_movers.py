"""The movers of a move: named, chosen by the manager, redundant or not (`RedMSP`)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lpmkit.control.listings import attribute_record
from lpmkit.errors import UsageError
from lpmkit.inventory import Frame, MoverPair
from lpmkit.mapping.movers import Redundancy, choose_movers, named_movers
from lpmkit.simulator.placement import wishes_of

PAIRS = tuple(
    MoverPair(f"a{here}", here, f"192.0.2.{here}", f"b{there}", there, f"192.0.2.{10 + there}", redundant=True)
    for here in (1, 2)
    for there in (1, 2)
)
POWER10, POWER7 = (Frame("f", "t", "s", proc_compat_modes=("default", mode)) for mode in ("POWER10", "POWER7"))
BOTH = named_movers(PAIRS[0], PAIRS[3])


@pytest.mark.parametrize(
    ("mapping", "options", "redundancy", "sources"),
    [
        ({}, {}, Redundancy.BY_DEFAULT, ["a1", "a2"]),
        ({}, {"redundantmsps": "2"}, Redundancy.BY_DEFAULT, ["a1", "a2"]),
        ({}, {"redundantmsps": "0"}, Redundancy.SWITCHED_OFF, ["a1"]),
        ({"source_msp_name": "a2"}, {}, Redundancy.SWITCHED_OFF, ["a2"]),
        ({"dest_msp_id": "2"}, {}, Redundancy.SWITCHED_OFF, ["a1"]),
        ({"source_msp_ipaddr": "192.0.2.2", "dest_msp_ipaddr": "192.0.2.11"}, {}, Redundancy.SWITCHED_OFF, ["a2"]),
        (BOTH, {}, Redundancy.NAMED, ["a1", "a2"]),
        ({"redundant_msps": "7//2//b1//,7//1///2/"}, {}, Redundancy.NAMED, ["a2", "a1"]),
    ],
)
def test_redundancy_is_kept_unless_the_order_takes_it_away(
    mapping: dict[str, str], options: dict[str, str], redundancy: Redundancy, sources: list[str]
) -> None:
    choice = choose_movers(PAIRS, (POWER10, POWER10), mapping, options)
    assert choice is not None
    assert (choice.redundancy, [pair.source for pair in choice.pairs]) == (redundancy, sources)


@pytest.mark.parametrize(
    ("pairs", "frames"),
    [
        (PAIRS[:2], (POWER10, POWER10)),
        (PAIRS, (POWER10, POWER7)),
        (PAIRS, (POWER10, None)),
        (tuple(replace(pair, redundant=False) for pair in PAIRS), (POWER10, POWER10)),
    ],
)
def test_one_mover_an_old_system_or_an_old_console_has_no_second_pair(
    pairs: tuple[MoverPair, ...], frames: tuple[Frame | None, Frame | None]
) -> None:
    choice = choose_movers(pairs, frames)
    assert choice is not None
    assert choice.redundancy is Redundancy.NOT_POSSIBLE


def test_movers_that_are_not_listed_are_no_choice_and_an_odd_record_is_refused() -> None:
    assert choose_movers(PAIRS, (POWER10, POWER10), {"source_msp_name": "a9"}) is None
    assert choose_movers(PAIRS, (POWER10, POWER10), {"redundant_msps": "1/a9/9//b1/1/,1/a2/2//b2/2/"}) is None
    with pytest.raises(UsageError, match="cannot be read"):
        choose_movers(PAIRS, (POWER10, POWER10), {"redundant_msps": "1/a1/b1"})


def test_the_manager_understands_both_pairs_as_they_are_named() -> None:
    wishes = wishes_of(attribute_record(BOTH))
    assert wishes.bad is None
    assert [(here.server, there.server_id) for here, there in wishes.both_pairs] == [("a1", 1), ("a2", 2)]
