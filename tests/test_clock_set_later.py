"""A clock that missed a suspension and is set on later, while nothing comes through: the bounds hold either way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lpmkit.analysis import analyse
from lpmkit.analysis.classify import classed
from lpmkit.analysis.model import MILLISECOND, Interval, LikelyBy, Method, Outage, OutageKind, Signals
from lpmkit.analysis.silences import clock_set_between
from lpmkit.runs.cells import MISSING, Int64Array
from tests.made_runs import MS, START, Made, S, make

#: Milliseconds: suspended from 0 to 3587, processes late by 3205, the clock set on by 3587 at 7646, all of it received
#: at 10078. So the guest's stamps say that it ran again from 3205 to 5740.
MISSED, LATE, SET, CAME = 3587, 3205, 7646, 10078


def ticks(came: int = CAME) -> tuple[Signals, tuple[Int64Array, Int64Array]]:
    """Ticks of 10 ms by the guest's own clock, and the instants at which the stamps place them."""
    before = np.arange(-1000, 0, 10)
    between = np.arange(LATE, SET - MISSED, 10)
    after = np.arange(SET, SET + 4000, 10)
    stamps = np.concatenate([before, between, after]).astype(np.int64) * MILLISECOND
    arrived = np.concatenate([before, np.full(len(between), came), np.maximum(after, CAME)]).astype(np.int64)
    count = len(stamps)
    none, step = np.full(count, MISSING, dtype=np.int64), np.full(count, 10 * MILLISECOND, dtype=np.int64)
    spoke = np.ones(count, dtype=np.bool_)
    signals = Signals(
        "t", "h", "ticks", 1, int(step[0]), none, arrived * MILLISECOND, none, stamps, stamps, spoke, step, step
    )
    return signals, (stamps, stamps + MILLISECOND)


def silence(last: int, first: int) -> Outage:
    """The silence between two ticks, as it is drawn from them."""
    begin = Interval(last * MILLISECOND, (last + 12) * MILLISECOND)
    end = Interval((first - 6) * MILLISECOND, (first + 1) * MILLISECOND)
    length = Interval(end.lo_ns - begin.hi_ns, end.hi_ns - begin.lo_ns)
    return Outage("t", "h", None, begin, end, length, Method.TICK_STAMPS)


LAST = LATE + (SET - MISSED - LATE - 1) // 10 * 10
TWO = [silence(-10, LATE), silence(LAST, SET)]


def test_the_end_of_the_first_reaches_as_far_as_the_clock_may_have_been_set_on() -> None:
    (first, second), latest = clock_set_between(TWO, *ticks())
    assert first.end.hi_ns >= MISSED * MILLISECOND, "the true end"
    assert first.end.lo_ns == TWO[0].end.lo_ns
    assert first.length.hi_ns >= MISSED * MILLISECOND
    assert second.length.lo_ns == 0, "it may have been none"
    assert second.outer.contains(TWO[1].begin.lo_ns)
    stamps = ticks()[1][1]
    between = (stamps > LATE * MILLISECOND) & (stamps <= (LAST + 1) * MILLISECOND)
    assert (latest[between] - stamps[between] >= MISSED * MILLISECOND - 20 * MILLISECOND).all()
    assert (latest[~between] == stamps[~between]).all()


@pytest.mark.parametrize("came", [LATE + 3, SET - 100])
def test_what_came_in_between_ties_the_clock(came: int) -> None:
    silences, latest = clock_set_between(TWO, *ticks(came))
    assert silences == TWO
    assert (latest == ticks()[1][1]).all()


def test_a_single_silence_stays_as_it_is() -> None:
    silences, _ = clock_set_between(TWO[:1], *ticks())
    assert silences == TWO[:1]


def test_what_it_was_set_on_by_is_the_length_where_requests_were_lost_as_long(tmp_path: Path) -> None:
    stop, length, late = 12.003, 3.5, 3.2
    resume = stop + length
    set_at = resume + late + 0.85
    made = Made(
        mode="watch",
        duration_s=36.0,
        suspend=(stop, resume),
        counted=0.0,
        wall_counted=0.0,
        step=(set_at, length),
        wall_step=(set_at, length),
        dropped=True,
        acks=True,
        starved=((resume, resume + late),),
        network_out=((resume, set_at + length),),
    )
    (host,) = analyse(make(tmp_path, made)).hosts
    still = max(host.suspensions, key=lambda one: one.length.hi_ns)
    assert still.begin.lo_ns <= START + round(stop * S)
    assert still.end.hi_ns >= START + round(resume * S)
    assert still.length.contains(round(length * S))
    assert still.likely_by is LikelyBy.CLOCK
    assert abs(still.best_ns - length * S) <= 15 * MS


@pytest.mark.parametrize("icmp", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_ticks_that_came_before_the_clock_was_set_on_are_not_placed_within_the_suspension(
    tmp_path: Path, seed: int, icmp: bool
) -> None:
    """Nothing answers a question until the clock is right again: the offset is the same before and after."""
    stop, resume, set_at = 12.003, 13.803, 14.703
    made = Made(
        mode="watch",
        duration_s=26.0,
        seed=seed,
        suspend=(stop, resume),
        counted=0.0,
        wall_counted=0.0,
        step=(set_at, resume - stop),
        wall_step=(set_at, resume - stop),
        dropped=True,
        icmp=icmp,
        acks=True,
    )
    (host,) = analyse(make(tmp_path, made)).hosts
    (still,) = host.suspensions
    assert not still.contradicted
    assert still.begin.lo_ns <= START + round(stop * S)
    assert still.end.hi_ns >= START + round(resume * S)
    assert still.length.contains(round((resume - stop) * S))
    assert abs(still.best_ns - (resume - stop) * S) <= 10 * MS


def test_that_a_clock_was_set_on_proves_nothing_within_the_hosts_own_noise(tmp_path: Path) -> None:
    """It is read from how late ticks came, and those of a starved host are late without any suspension."""
    stop, resume, set_at = 12.003, 13.803, 14.703
    made = Made(
        mode="watch",
        duration_s=26.0,
        suspend=(stop, resume),
        counted=0.0,
        wall_counted=0.0,
        step=(set_at, resume - stop),
        wall_step=(set_at, resume - stop),
        dropped=True,
    )
    (host,) = analyse(make(tmp_path, made)).hosts
    (jump,) = [one for one in host.outages if one.method is Method.CLOCK_JUMP]
    assert jump.set_on is not None
    others = [one for one in host.outages if one is not jump]

    def kind_of(ticks: Outage, own_noise_ns: int) -> OutageKind | None:
        again = classed([*others, ticks], host.traces, (), (), own_noise_ns)
        return next(one.kind for one in again if one.method is Method.CLOCK_JUMP)

    assert kind_of(jump, 0) is OutageKind.SUSPENSION
    assert kind_of(jump, jump.length.hi_ns) is OutageKind.MICRO_STOP
    assert kind_of(replace(jump, set_on=None), jump.length.hi_ns) is OutageKind.SUSPENSION


@pytest.mark.parametrize(
    ("after_s", "too_little_s", "icmp"),
    [(0.02, 0.0, True), (0.06, 0.0004, True), (0.13, 0.0, True), (0.13, 0.0, False), (0.17, 0.0004, False)],
)
def test_a_clock_set_on_before_the_second_batch_left_breaks_no_bound(
    tmp_path: Path, after_s: float, too_little_s: float, icmp: bool
) -> None:
    """What was made after the resume is stamped as if before the stop; lost requests tell, where there are any."""
    stop, resume = 12.003, 13.803
    was_set = (resume + after_s, resume - stop - too_little_s)
    made = Made(
        mode="watch",
        duration_s=24.0,
        suspend=(stop, resume),
        counted=0.0,
        wall_counted=0.0,
        step=was_set,
        wall_step=was_set,
        dropped=True,
        icmp=icmp,
        acks=True,
        limp_s=0.03,
    )
    (host,) = analyse(make(tmp_path, made)).hosts
    (still,) = host.suspensions
    assert still.begin.lo_ns <= START + round(stop * S)
    assert still.end.hi_ns >= START + round(resume * S)
    assert still.length.contains(round((resume - stop) * S))
    if icmp:
        assert still.likely.contains(round((resume - stop) * S))
