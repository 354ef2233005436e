"""Packing of partitions onto frames: no target over its capacity at any instant, and a reason for what stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lpmkit.plan.packing import Left, Need, Packing, Placed, Room, pack

NAMES = ("p8b", "p8c", "p8d")


def need(name: str, **more: object) -> Need:
    facts: dict[str, object] = {"lpar_id": 3, "memory_mb": 1000, "processors": 1.0, "adapters": 2}
    return Need(name, **{"source": "p8a", **facts, **more})  # type: ignore[arg-type]


def room(name: str, **more: object) -> Room:
    facts: dict[str, object] = {"memory_mb": 4000, "processors": 8.0, "slots": 50, "fibre_ports": 20}
    return Room(name, **{**facts, **more})  # type: ignore[arg-type]


def places(packing: Packing) -> dict[str, str]:
    return {one.need.partition: one.target for one in packing.placed}


@st.composite
def needs(draw: st.DrawFn, sources: Sequence[str] = ("p8a",)) -> list[Need]:
    made = []
    for number in range(draw(st.integers(3, 9))):
        barred = draw(st.sets(st.sampled_from(NAMES), max_size=1))
        blind = draw(st.sampled_from(["memory_mb", "processors", "adapters", *[""] * 27]))
        one = Need(
            f"lp{number}",
            draw(st.sampled_from(sources)),
            draw(st.integers(1, 6)),
            draw(st.integers(1, 40)),
            float(draw(st.integers(1, 40))),
            draw(st.integers(0, 4)),
            fibre=draw(st.sampled_from([0, 0, 1, 2])),
            pool=draw(st.sampled_from([None, None, "ORACLE", "SAP"])),
            affinity=draw(st.sampled_from([None, "1"])),
            cluster=draw(st.sampled_from([None, None, "PowerHA a"])),
            barred=dict.fromkeys(barred, ("a check fails",)),
        )
        unknown: dict[str, Any] = {blind: None} if blind else {}
        made.append(replace(one, **unknown))
    return made


rooms = st.lists(
    st.builds(
        Room,
        target=st.just(""),
        memory_mb=st.sampled_from([None, *range(20, 120, 7)]),
        processors=st.integers(20, 150).map(float),
        slots=st.integers(2, 20),
        fibre_ports=st.one_of(st.none(), st.integers(0, 8), st.integers(2, 8)),
        taken_ids=st.frozensets(st.integers(1, 6)),
        pools=st.dictionaries(st.sampled_from(["ORACLE", "SAP"]), st.one_of(st.none(), st.integers(0, 100).map(float))),
    ),
    min_size=2,
    max_size=3,
).map(lambda made: [replace(one, target=name) for name, one in zip(NAMES, made, strict=False)])


def _uses(one: Need) -> dict[str, float]:
    assert one.memory_mb is not None
    assert one.processors is not None
    assert one.adapters is not None
    used: dict[str, float] = {"memory": one.memory_mb, "processors": one.processors, "slots": one.adapters}
    used["ports"] = one.fibre
    if one.pool is not None:
        used[f"pool {one.pool}"] = one.processors
    return used


def _free(target: Room) -> dict[str, float]:
    free = {"memory": target.memory_mb, "processors": target.processors, "slots": target.slots}
    free |= {"ports": target.fibre_ports} | {f"pool {name}": units for name, units in target.pools.items()}
    return {name: float("inf") if units is None else units for name, units in free.items()}


def keeps_within(packing: Packing, targets: Sequence[Room], order: Random) -> None:
    """Carry the moves out in an order that ``after`` permits, as many at once as somebody likes; hold every instant."""
    free = {one.target: _free(one) for one in targets}
    waiting, under_way, arrived = list(packing.placed), list[Placed](), set[str]()
    while waiting or under_way:
        able = [one for one in waiting if set(one.after) <= arrived]
        assert able or under_way, "the moves wait for each other"
        if able and (not under_way or order.random() < 0.7):
            begun = order.choice(able)
            waiting.remove(begun)
            under_way.append(begun)
            for figure, used in _uses(begun.need).items():
                left = free[begun.target].get(figure, float("inf")) - used
                assert left >= -1e-6, f"{begun.target} has too little {figure}"
                free[begun.target][figure] = left
        else:
            over = under_way.pop(order.randrange(len(under_way)))
            arrived.add(over.need.partition)
            source = free.get(over.need.source, {})
            for figure, used in _uses(over.need).items():
                if figure in source:
                    source[figure] += used


@settings(max_examples=50, deadline=None)
@given(needs(), rooms, st.randoms(use_true_random=False))
def test_no_target_is_over_its_capacity_at_any_instant(wanted: list[Need], targets: list[Room], order: Random) -> None:
    keeps_within(pack(wanted, targets), targets, order)


@settings(max_examples=50, deadline=None)
@given(needs(("p8b", "p8c", "p8x")), rooms, st.randoms(use_true_random=False))
def test_room_that_a_move_frees_is_used_only_after_it(wanted: list[Need], targets: list[Room], order: Random) -> None:
    packing = pack(wanted, targets)
    keeps_within(packing, targets, order)
    assert all(one.target != one.need.source for one in packing.placed)


@settings(max_examples=50, deadline=None)
@given(needs(), rooms)
def test_every_partition_goes_or_has_a_reason_for_every_target(wanted: list[Need], targets: list[Room]) -> None:
    packing = pack(wanted, targets)
    gone, left = [one.need.partition for one in packing.placed], [one.need.partition for one in packing.left]
    assert sorted(gone + left) == sorted(one.partition for one in wanted)
    for one in packing.placed:
        assert one.target not in one.need.barred
        assert None not in (one.need.memory_mb, one.need.processors, one.need.adapters), "what is not known is no room"
    for over in packing.left:
        assert over.reasons.keys() == {one.target for one in targets}
        assert all(over.reasons.values()), over


@settings(max_examples=40, deadline=None)
@given(needs(), rooms)
def test_an_id_is_given_once_on_a_target_and_never_one_that_is_taken(wanted: list[Need], targets: list[Room]) -> None:
    packing = pack(wanted, targets)
    taken = {one.target: set(one.taken_ids) for one in targets}
    for one in packing.placed:
        assert one.lpar_id not in taken[one.target]
        taken[one.target].add(one.lpar_id)
        others = [other for other in packing.placed if other is not one and other.target == one.target]
        own_is_free = one.need.lpar_id not in {other.lpar_id for other in others} | _ids(targets, one.target)
        assert one.lpar_id == one.need.lpar_id or not own_is_free


def test_room_that_has_to_be_freed_first_is_used_after_the_move_that_frees_it() -> None:
    wanted = [need("leaves", source="p8b", lpar_id=1), need("comes", source="p8a", lpar_id=2, barred={"p8c": ("no",)})]
    packing = pack(wanted, [room("p8b", memory_mb=500), room("p8c")])
    assert {one.need.partition: (one.target, one.after) for one in packing.placed} == {
        "leaves": ("p8c", ()),
        "comes": ("p8b", ("leaves",)),
    }


def test_two_that_want_one_id_on_one_target_get_two() -> None:
    packing = pack([need("a"), need("b"), need("c")], [room("p8b", taken_ids=frozenset({1}))])
    assert sorted(one.lpar_id for one in packing.placed) == [2, 3, 4]


def _ids(targets: Sequence[Room], name: str) -> set[int]:
    return next(set(one.taken_ids) for one in targets if one.target == name)


def test_the_same_facts_give_the_same_packing_in_any_order() -> None:
    wanted = [need(f"lp{number}", memory_mb=900 + 37 * number, lpar_id=number) for number in range(1, 7)]
    targets = [room("p8b"), room("p8c")]
    assert pack(wanted, targets) == pack(wanted[::-1], targets)


def test_partitions_are_spread_over_targets_that_have_room() -> None:
    packing = pack([need(f"lp{number}", lpar_id=number) for number in range(1, 5)], [room("p8b"), room("p8c")])
    assert sorted(places(packing).values()) == ["p8b", "p8b", "p8c", "p8c"]


def test_they_are_packed_tight_where_an_even_spread_leaves_one_over() -> None:
    sizes = (2500, 2000, 1500, 1000, 1000)
    wanted = [need(f"lp{number}", memory_mb=size, lpar_id=number) for number, size in enumerate(sizes, 1)]
    assert not pack(wanted, [room("p8b"), room("p8c")]).left


def test_a_placed_partition_makes_room_where_it_fits_elsewhere() -> None:
    """The largest goes where it fits alone; two others then have room only if one of them goes to the other target."""
    sizes = [(1500, 2.0), (3500, 5.0), (500, 5.0)]
    wanted = [need(f"lp{n}", lpar_id=n, memory_mb=mb, processors=units) for n, (mb, units) in enumerate(sizes, 1)]
    targets = [room("p8b", memory_mb=2500, processors=5.0), room("p8c", memory_mb=4500, processors=10.0)]
    packing = pack(wanted, targets)
    assert places(packing) == {"lp1": "p8b", "lp2": "p8c", "lp3": "p8c"}


def test_members_of_a_cluster_go_to_different_targets_where_they_can() -> None:
    wanted = [need(name, cluster="PowerHA a", lpar_id=number) for number, name in enumerate("ab", 1)]
    assert set(places(pack(wanted, [room("p8b"), room("p8c", memory_mb=1100)])).values()) == {"p8b", "p8c"}
    packing = pack(wanted, [room("p8b")])
    assert "shares p8b with b of the cluster PowerHA a" in packing.placed[0].remarks


def test_an_affinity_group_stays_together_where_it_can() -> None:
    wanted = [need(name, affinity="7", lpar_id=number) for number, name in enumerate("abc", 1)]
    assert len(set(places(pack(wanted, [room("p8b"), room("p8c")])).values())) == 1


def test_a_target_with_the_same_pool_is_preferred_and_its_limit_holds() -> None:
    pools: Mapping[str, float | None] = {"ORACLE": 1.5}
    wanted = [need("a", pool="ORACLE", lpar_id=1), need("b", pool="ORACLE", lpar_id=2)]
    packing = pack(wanted, [room("p8b"), room("p8c", pools=pools, memory_mb=2500)])
    assert sorted(places(packing).values()) == ["p8b", "p8c"]
    there = next(one for one in packing.placed if one.target == "p8b")
    assert there.remarks == ("p8b has no shared processor pool ORACLE: it joins another one",)


def test_the_reason_names_what_is_short_after_everything_else_is_placed() -> None:
    wanted = [need("a", memory_mb=3000), need("b", memory_mb=2500, barred={"p8c": ("check bridged fails",)})]
    packing = pack(wanted, [room("p8b"), room("p8c", memory_mb=100)])
    (left,) = packing.left
    assert isinstance(left, Left)
    kept = {"a": "needs 2500 MB of memory, 1000 MB are left", "b": "needs 3000 MB of memory, 1500 MB are left"}
    gone = next(iter(places(packing)))
    assert kept[gone] in left.sentence()


def test_what_a_target_does_not_tell_is_not_room() -> None:
    (left,) = pack([need("a")], [room("p8b", memory_mb=None)]).left
    assert left.sentence() == "p8b: not known: the memory free on p8b"
