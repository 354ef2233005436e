"""Nights of a site that is not there: its frames are emptied and refilled, and the truth of each move is known.

Frames, consoles and names are those of the simulator's ``estate``; sizes, links and writing are drawn from a seed. The
copy is played second by second and shares no code with `lpmkit.prediction`. What the prediction does not know of: the
load of the network tonight, its drift and its dips, bursts of writing, a write rate that differs from move to move, and
copies that share an adapter or a mover, by how much is drawn for each site. The moves begin by the conductor's own
rules (`lpmkit.plan.schedule`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lpmkit.inventory import Frame, MoverPair
from lpmkit.plan import LINK_TAKES, MOVER_TAKES, Limits
from lpmkit.plan.schedule import UnderWay, hold, least_busy
from lpmkit.simulator.estate import entry

MB = 1e6
#: Seconds of a baseline (the site file's default), and between two readings of the manager.
BASELINE_S, POLL_S = 60.0, 2.0
#: Rules of the copy; chosen as in `lpmkit.simulator.transfer`, nothing of them is published.
STOP_BYTES, MOST_PASSES, LEAST_SHRINK = 64 * MB, 8, 0.10

Reading = tuple[int, int | None, int | None]


@dataclass(frozen=True, slots=True)
class Kind:
    """The way the truth of a site works, of which the prediction knows nothing.

    ``night`` is the scatter of the network from night to night (logarithm), ``power`` that by which copies over one
    frame slow one another down from the second on (``None``: adapters and movers are shared when they are full),
    ``tail`` the degrees of freedom of what validation, preparation and clean-up take (``None``: a normal logarithm),
    ``before`` their share before the copy.
    """

    night: float = 0.12
    power: float | None = None
    tail: float | None = None
    before: float = 0.6


#: The truth with which the forecast was developed, and one with which it was only judged.
KINDS = {"shared": Kind(), "other": Kind(night=0.3, power=0.5, tail=2.5, before=0.35)}


@dataclass(slots=True)
class Partition:
    """The truth of a partition, in bytes; and the frame where it is now."""

    name: str
    frame: str
    memory: float
    in_use: float
    touched: float
    dirty_per_s: float
    writable: float
    around_s: float
    fixed_s: float


@dataclass(frozen=True, slots=True)
class Site:
    """The truth of a site. ``adapter`` and ``mover`` are the most that a frame's adapter and a mover carry together,
    ``stream`` the most of one copy; bytes per second. ``kind`` is how the truth works (`KINDS`).
    """

    frames: dict[str, Frame]
    partitions: dict[str, Partition]
    adapter: float
    stream: float
    mover: float
    preparing_s: float
    takes: int
    grows: bool
    kind: Kind


def site(seed: int, kind: str = "shared") -> Site:
    """A site of a seed: 8 frames, 4 under a console, each with 6 to 14 running partitions of the estate."""
    rng = np.random.default_rng([seed, 1])
    landscape = entry(8, 25, 4)
    names = [frame["name"] for frame in landscape["frames"]]
    frames = {
        frame["name"]: Frame(
            frame["name"],
            frame["type_model"],
            frame["serial"],
            active_migrations_supported=frame["active_migrations_supported"],
            inactive_migrations_supported=frame["inactive_migrations_supported"],
        )
        for frame in landscape["frames"]
    }
    partitions = {}
    around = float(rng.uniform(25.0, 70.0))
    for frame in names:
        here = [one for one in landscape["partitions"] if one["frame"] == frame and one["state"] == "Running"]
        for one in here[: int(rng.integers(6, 15))]:
            partitions[one["name"]] = _partition(one["name"], frame, around, rng)
    stream = float(rng.uniform(150, 600)) * MB
    return Site(
        frames=frames,
        partitions=partitions,
        adapter=float(rng.choice([112.0, 1120.0], p=[0.4, 0.6])) * MB,
        stream=stream,
        mover=stream * float(rng.uniform(1.0, 3.0)),
        preparing_s=45.0 * math.exp(0.5 * rng.standard_normal()),
        takes=int(rng.choice([LINK_TAKES, 4])),
        grows=bool(rng.random() < 0.5),
        kind=KINDS[kind],
    )


def _partition(name: str, frame: str, around_s: float, rng: np.random.Generator) -> Partition:
    memory = float(np.clip(24e9 * math.exp(0.8 * rng.standard_normal()), 4e9, 192e9))
    touched = memory * float(rng.uniform(0.45, 1.0))
    return Partition(
        name=name,
        frame=frame,
        memory=memory,
        in_use=touched * float(rng.uniform(0.8, 1.0)),
        touched=touched,
        dirty_per_s=8 * MB * math.exp(1.0 * rng.standard_normal()),
        writable=touched * float(rng.uniform(0.02, 0.2)),
        around_s=around_s * math.exp(0.15 * rng.standard_normal()),
        fixed_s=1.0 * math.exp(0.3 * rng.standard_normal()),
    )


class Weather:
    """The network of one night: a load that is there all night, a drift, and dips (a backup, a neighbour's copy)."""

    def __init__(self, rng: np.random.Generator, scatter: float) -> None:
        self._rng = rng
        self._level = -abs(scatter * rng.standard_normal())
        self._drift, self._dip, self._dip_left = 0.0, 1.0, 0.0

    def step(self) -> float:
        """The share of the network that is left in the next second."""
        tau, sigma = 900.0, 0.08
        self._drift += -self._drift / tau + sigma * math.sqrt(2 / tau) * self._rng.standard_normal()
        self._dip_left -= 1
        if self._dip_left <= 0:
            self._dip = 1.0
            if self._rng.random() < 1 / 7200:
                self._dip, self._dip_left = float(self._rng.uniform(0.4, 0.8)), float(self._rng.uniform(120, 600))
        return min(1.0, math.exp(self._level + self._drift) * self._dip)


@dataclass(slots=True)
class Copy:
    """One move under way. ``left`` is the unsent part of the pass, ``written`` what was written since it began."""

    partition: Partition
    target: str
    way: UnderWay
    asked_s: float
    touched: float
    dirty_per_s: float
    before_s: float
    after_s: float
    left: float
    written: float = 0.0
    sent: float = 0.0
    passes: int = 1
    pass_bytes: float = 0.0
    began_s: float | None = None
    copied_s: float | None = None
    ended_s: float | None = None
    suspended_s: float = 0.0
    burst_left: float = 0.0
    readings: list[Reading] = field(default_factory=list)

    def write(self, rng: np.random.Generator) -> None:
        """A second of writing: anywhere in the writable set, in bursts."""
        self.burst_left -= 1
        if self.burst_left <= 0 and rng.random() < 1 / 900:
            self.burst_left = float(rng.exponential(90.0))
        rate = self.dirty_per_s * (4.0 if self.burst_left > 0 else 1.0)
        self.written += rate * max(0.0, 1 - self.written / self.partition.writable)

    def send(self, rate: float) -> bool:
        """A second of sending; true when little enough is left."""
        gone = min(self.left, rate)
        self.left -= gone
        self.sent += gone
        if self.left > 0:
            return False
        shrunk = 1 - self.written / self.pass_bytes
        if self.written <= STOP_BYTES or self.passes >= MOST_PASSES or shrunk < LEAST_SHRINK:
            return True
        self.left = self.pass_bytes = self.written
        self.written, self.passes = 0.0, self.passes + 1
        return False


@dataclass(frozen=True, slots=True)
class Moved:
    """A move as it came, in seconds since the night began. ``began_s`` is when the copy began."""

    partition: str
    source: str
    target: str
    prepared_s: float
    asked_s: float
    began_s: float
    ended_s: float
    copy_s: float
    sent: float
    suspended_s: float
    readings: Sequence[Reading]


@dataclass(frozen=True, slots=True)
class Instant:
    """A plan at a moment of the night: moves that are over, under way (those copying have readings), being prepared."""

    at_s: float
    moved: tuple[Moved, ...]
    under_way: tuple[Copy, ...]
    preparing: str | None
    prepared_s: float = 0.0  #: for how long that one has been prepared


def pairs_of(source: str, target: str) -> tuple[MoverPair, ...]:
    """The two pairs of movers between two frames of the estate."""
    return tuple(
        MoverPair(f"{source}-vios{number}", number, "", f"{target}-vios{number}", number, "") for number in (1, 2)
    )


def night(
    truth: Site,
    order: Sequence[tuple[str, str]],
    seed: Sequence[int],
    look: Callable[[Instant], object] = lambda _: None,
    look_at: Sequence[int] = (),
) -> list[Moved]:
    """Carry a plan of (partition, target) out; ``look`` is called when so many moves are over (``look_at``).

    The partitions of the site are on their targets afterwards.
    """
    rng = np.random.default_rng(list(seed))
    weather, waiting, limits = Weather(rng, truth.kind.night), list(order), Limits(link=truth.takes)
    at_most = {f"{frame}-vios{number}": MOVER_TAKES for frame in truth.frames for number in (1, 2)}
    under_way: list[Copy] = []
    moved: list[Moved] = []
    preparing: tuple[Copy, float] | None = None
    preparations: dict[str, float] = {}
    looks, now = list(look_at), 0.0
    while waiting or under_way or preparing:
        if preparing is not None and now >= preparing[1]:
            under_way.append(preparing[0])
            preparing = None
        if preparing is None:
            chosen = _next(truth, waiting, [copy.way for copy in under_way], limits, at_most)
            if chosen is not None:
                waiting.remove((chosen.partition, chosen.target))
                took = truth.preparing_s * math.exp(0.25 * rng.standard_normal())
                preparations[chosen.partition] = took
                preparing = _asked(truth, chosen, now + took + BASELINE_S, rng), now + took
        _second(truth, under_way, weather.step(), now, rng)
        now += 1
        for copy in [copy for copy in under_way if copy.ended_s is not None and now >= copy.ended_s]:
            under_way.remove(copy)
            copy.partition.frame = copy.target
            moved.append(_over(copy, preparations[copy.partition.name]))
        if looks and len(moved) >= looks[0] and (waiting or under_way):
            looks.pop(0)
            since_s = now - (preparing[1] - preparations[preparing[0].partition.name]) if preparing else 0.0
            standing = tuple(replace(copy, readings=list(copy.readings)) for copy in under_way)
            look(Instant(now, tuple(moved), standing, preparing[0].partition.name if preparing else None, since_s))
    return moved


def _next(
    truth: Site, waiting: Sequence[tuple[str, str]], busy: list[UnderWay], limits: Limits, at_most: dict[str, int]
) -> UnderWay | None:
    for name, target in waiting:
        source = truth.partitions[name].frame
        pair = least_busy(pairs_of(source, target), busy)
        assert pair is not None
        way = UnderWay(name, source, target, movers=(pair.source, pair.target))
        if hold(way, busy, truth.frames, limits, at_most) is None:
            return way
    return None


def _asked(truth: Site, way: UnderWay, asked_s: float, rng: np.random.Generator) -> Copy:
    partition, kind = truth.partitions[way.partition], truth.kind
    touched = min(partition.memory, partition.touched * math.exp(0.04 * rng.standard_normal()))
    own = rng.standard_normal() if kind.tail is None else float(np.clip(rng.standard_t(kind.tail), -10, 10))
    around = partition.around_s * math.exp(0.12 * own)
    return Copy(
        partition=partition,
        target=way.target,
        way=way,
        asked_s=asked_s,
        touched=touched,
        dirty_per_s=partition.dirty_per_s * math.exp(0.25 * rng.standard_normal()),
        before_s=around * kind.before,
        after_s=around * (1 - kind.before),
        left=touched,
        pass_bytes=touched,
    )


def _second(truth: Site, under_way: Sequence[Copy], weather: float, now: float, rng: np.random.Generator) -> None:
    """One second of every copy: what adapters and movers carry is shared by those that are on them."""
    copying = [copy for copy in under_way if now >= copy.asked_s + copy.before_s and copy.copied_s is None]
    on_frame: dict[str, int] = {}
    on_mover: dict[str, int] = {}
    for copy in copying:
        for frame in copy.way.frames:
            on_frame[frame] = on_frame.get(frame, 0) + 1
        for mover in copy.way.movers:
            on_mover[mover] = on_mover.get(mover, 0) + 1
    for copy in copying:
        if copy.began_s is None:
            copy.began_s = now
            copy.readings.append((_ns(now), 0, int(copy.left)))
        over_frame = max(on_frame[frame] for frame in copy.way.frames)
        if truth.kind.power is None:
            alone = min(
                truth.stream,
                weather * truth.adapter / over_frame,
                truth.mover / max(on_mover[mover] for mover in copy.way.movers),
            )
        else:
            alone = weather * min(truth.stream, truth.adapter) / over_frame**truth.kind.power
        rate = alone * math.exp(0.03 * rng.standard_normal())
        copy.write(rng)
        ended = copy.send(rate)
        if int(now - copy.began_s) % int(POLL_S) == 0 or ended:
            left = copy.left + (copy.written if truth.grows or ended else 0.0)
            copy.readings.append((_ns(now + 1), int(copy.sent), int(left)))
        if ended:
            urgent = 0.3 * copy.written
            copy.copied_s = now + 1
            copy.suspended_s = copy.partition.fixed_s * math.exp(0.1 * rng.standard_normal()) + urgent / rate
            fetched_s = (copy.written - urgent) / rate
            copy.ended_s = now + 1 + copy.suspended_s + fetched_s + copy.after_s


def _over(copy: Copy, prepared_s: float) -> Moved:
    assert copy.began_s is not None
    assert copy.copied_s is not None
    assert copy.ended_s is not None
    return Moved(
        copy.partition.name,
        copy.way.source,
        copy.target,
        prepared_s,
        copy.asked_s,
        copy.began_s,
        copy.ended_s,
        copy.copied_s - copy.began_s,
        copy.sent,
        copy.suspended_s,
        copy.readings,
    )


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
