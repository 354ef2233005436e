"""Run folders made from parameters, with a known truth: a small model of a host, a network and an observer.

The model is written independently of the analysis: it plays the processes of the host tick by tick (a ticker that skips
slots it overslept and sends a batch ten times a second; an echo; a service that shows a banner) and lets stalls, losses
and clocks act on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lpmkit.runs.folder import Run, create, write_document
from lpmkit.runs.rows import sample_line
from lpmkit.runs.writer import RunWriter
from lpmkit.timeline import Anchor, Clock, Outcome, Sample

MS = 1_000_000
S = 1_000_000_000
START = 5_000 * S
WALL = 1_768_000_000 * S
#: Mean time after which our side takes note of something.
_SEEN_LATE_NS = 0.03 * MS
#: Frozen times and stops below are given in seconds since the first sample.
Spans = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Made:
    """A run to make. Times in seconds since the first sample; everything that is a span is (from, to)."""

    seed: int = 1
    mode: str = "move"
    duration_s: float = 60.0
    suspend: tuple[float, float] | None = (30.0, 31.537)
    again: Spans = ()  #: further suspensions
    again_counted: bool = True  #: the guest's clocks count those, else they stand still in them
    stuck: Spans = ()  #: nothing of the host runs, what is sent to it waits, and its clocks go on: pages are fetched
    counted: float = 1.0  #: which part of the suspension the guest's monotonic clock counts
    wall_counted: float = 1.0
    tick_hz: int = 100
    jitter_ms: float = 0.15  #: median lateness of a process in the host
    wake_ms: float = 1.0  #: mean wake-up after resume
    limp_s: float = 0.0  #: by how much later every process runs that waited for the resume
    network_ms: float = 0.3
    drift: float = 12e-6
    offset_s: float = -4321.0
    step: tuple[float, float] | None = None  #: (at, seconds): the guest's monotonic clock is set
    wall_step: tuple[float, float] | None = None  #: (at, seconds): its time of day is set
    slew: tuple[float, float, float] | None = None  #: (from, to, millionths): the guest's clocks are slewed
    dropped: bool = False  #: packets to a suspended host are dropped, not queued
    queue_s: float = 1e6  #: of packets that are queued, how long the queue has room for more; then they are dropped
    ticks: bool = True
    echo: bool = True
    connect: bool = True
    icmp: bool = False
    icmp_ms: int = 10
    acks: bool = False  #: acknowledgements of the echo's questions, and requests for a connection without them
    icmp_lost: float = 0.0  #: part of the echo requests that the network loses
    icmp_a_second: float = 0.0  #: a firewall lets so many echo requests a second through; 0: all
    session_from: float = 0.0  #: when ticks and echo got their session
    kernel_runs: bool = False  #: the host's processes stand still, its kernel answers on
    observer: bool = True
    mono_clock: bool = True  #: an old perl has no monotonic clock
    wall_clock: bool = True
    stalls: Spans = ()  #: our machine stands still
    network_out: Spans = ()
    copied_at: float | None = None  #: when the copy is done, by its readings; else where the suspension begins
    micro_stops: Spans = ()  #: the ticker alone stands still
    starved: Spans = ()  #: every process of the host waits for a processor, its kernel answers
    banner_out: Spans = ()  #: the service behind the connect probe alone
    hole: tuple[float, float] | None = None  #: no recorder
    relogin_at: float | None = None
    slow_after_ms: float = 0.0  #: brown-out: extra round trip after the resume, dying away in seconds
    calm: tuple[float, float] | None = None  #: all probes keep a slow pace meanwhile
    late_starts_s: tuple[float, ...] | None = None  #: of earlier moves, as the recorder knew them
    phases: tuple[tuple[float, str], ...] = ()
    whys: Mapping[str, str] = field(default_factory=dict)  #: the reason of a phase, by its name
    ended: bool = True  #: the recorder ended properly
    host: str = "bxaix85"
    suffix: str = ""


@dataclass
class MadeClock(Clock):
    """A clock that shows what it is told."""

    now_ns: int = START

    def mono_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns + WALL - START

    def anchor(self, tries: int = 5) -> Anchor:
        return Anchor(self.now_ns, self.wall_ns(), 200)


#: Spans on our clock.
SpansNs = tuple[tuple[int, int], ...]


def _in_ns(spans: Spans) -> SpansNs:
    return tuple((START + round(since * S), START + round(until * S)) for since, until in spans)


@dataclass
class _World:
    """The truth, asked by all processes."""

    made: Made
    rng: np.random.Generator = field(init=False)
    paces: dict[str, list[tuple[int, int, int]]] = field(
        default_factory=dict
    )  #: by kind: (first sample, interval, batch)

    _ahead_ns: int = 0  #: by how much the guest's clock was ahead when `when` was asked last

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.made.seed)
        self._offset = self.made.offset_s * S
        self._stopped = tuple(round(one * S) for one in self.made.suspend) if self.made.suspend else None
        self._missed = [self._stopped] if self._stopped else []
        if not self.made.again_counted:
            self._missed += [(round(lo * S), round(hi * S)) for lo, hi in self.made.again]
        self._runs_on = not (self.made.step or self.made.slew)
        self._rate = 1 + self.made.drift
        self._ahead_of_wall = WALL - START + 3 * S - round(self.made.offset_s * S)
        self._late = np.log(self.made.jitter_ms * MS)
        made = self.made
        self.frozen = _in_ns(((made.suspend,) if made.suspend else ()) + made.again)
        self.stuck, self.stalls = _in_ns(made.stuck), _in_ns(made.stalls)
        self.network_out, self.banner_out = _in_ns(made.network_out), _in_ns(made.banner_out)
        self._stops = self.frozen + self.stuck + _in_ns(made.starved)
        #: In these what is sent to the host neither arrives nor is kept for it.
        self.lost = self.network_out + (self.frozen if made.dropped and not made.kernel_runs else ())
        #: In these the host's kernel answers nothing.
        self.kernel = () if made.kernel_runs else self.frozen + self.stuck

    def ns(self, seconds: float) -> int:
        return START + round(seconds * S)

    def is_calm(self, t_ns: int) -> bool:
        return self.made.calm is not None and self.ns(self.made.calm[0]) <= t_ns < self.ns(self.made.calm[1])

    def turned(self, kind: str, first_seq: int, interval_ns: int, batch_ns: int = 0) -> None:
        self.paces.setdefault(kind, []).append((first_seq, interval_ns, batch_ns))

    def guest(self, t_ns: int, counted: float | None = None) -> int:
        """The guest's monotonic clock at our instant ``t_ns``."""
        made, since = self.made, t_ns - START
        share = 1 - (made.counted if counted is None else counted)
        if self._runs_on and not (self._missed and share):
            return START + round(self._offset + since * self._rate)
        missed = share * sum(min(max(0, since - lo), hi - lo) for lo, hi in self._missed)
        stepped = made.step[1] * S if made.step and since >= made.step[0] * S and counted is None else 0
        slewed = 0.0
        if made.slew:
            slewed = made.slew[2] * 1e-6 * min(max(0, since - made.slew[0] * S), (made.slew[1] - made.slew[0]) * S)
        return START + round(self._offset + since * self._rate - missed + stepped + slewed)

    def wall(self, t_ns: int) -> int:
        """The guest's time of day: 3 s off, and whatever part of the suspension it counts."""
        was_set = self.made.wall_step
        step = round(was_set[1] * S) if was_set and t_ns >= self.ns(was_set[0]) else 0
        return self.guest(t_ns, self.made.wall_counted) + self._ahead_of_wall + step

    def when(self, guest_ns: int) -> int:
        """Our instant at which the guest's clock reaches a reading.

        Guessed from the last one, which is right where the clock runs on; sought where it stood still or was set, and
        everywhere if it shows readings twice.
        """
        if not self.made.step or self.made.step[1] > 0:
            guess = guest_ns - self._ahead_ns
            guess += guest_ns - self.guest(guess)
            off = guest_ns - self.guest(guess)
            if off == 0 and self.guest(guess - 1) < guest_ns:
                self._ahead_ns = guest_ns - guess
                return guess
            guess += off
            for instant in (guess, guess - 1, guess + 1):
                if self.guest(instant - 1) < guest_ns <= self.guest(instant):
                    self._ahead_ns = guest_ns - instant
                    return instant
        lo, hi = START - 10 * S, START + round((self.made.duration_s + 20) * S)
        while hi - lo > 1:
            middle = (lo + hi) // 2
            lo, hi = (middle, hi) if self.guest(middle) < guest_ns else (lo, middle)
        self._ahead_ns = guest_ns - hi
        return hi

    def held(self, t_ns: int, spans: SpansNs) -> int:
        """The time at which nothing holds any more what would happen at ``t_ns``: one span may end in another."""
        for since, until in spans:
            if since <= t_ns < until:
                return self.held(until, spans)
        return t_ns

    def run_at(self, t_ns: int, more: SpansNs = ()) -> int:
        """The time at which a process that wants to run at ``t_ns`` really runs."""
        t_ns += round(self.rng.lognormal(self._late, 0.8))
        free = self.held(t_ns, self._stops + more)
        if free == t_ns:
            return t_ns
        if self.held(t_ns, self.frozen) != t_ns:
            free += round(self.made.limp_s * S)
        return free + round(self.rng.exponential(self.made.wake_ms * MS))

    def carry(self, t_ns: int) -> int:
        """The time at which something sent at ``t_ns`` is there."""
        return t_ns + round(self.made.network_ms * MS * (0.5 + self.rng.exponential(0.5)))

    def over_tcp(self, t_ns: int, before_ns: int, closed: SpansNs) -> int:
        """The time at which something sent at ``t_ns`` is there by TCP, that sends again what is lost and doubles its
        pauses.

        ``before_ns`` is when what was sent before it is there: nothing overtakes, and what follows a loss comes with
        it.
        """
        if t_ns < before_ns:
            return before_ns
        pause = 200 * MS
        while self.held(t_ns, closed) != t_ns:
            t_ns += pause
            pause *= 2
        return self.carry(t_ns)

    def seen(self, t_ns: int) -> int:
        """The time at which our side takes note of what came at ``t_ns``."""
        free = self.held(t_ns, self.stalls)
        return free + round(self.rng.exponential(_SEEN_LATE_NS))


def _ticks(world: _World, since: float, until: float) -> Iterator[Sample]:
    made, period = world.made, S // world.made.tick_hz
    start = world.guest(world.ns(since))
    number, batch, flushed, base, every, blocked_until = 0, [], start, 0, 100 * MS, 0
    micro_stops = _in_ns(made.micro_stops)
    world.turned("ticks", 1, period, every)
    while True:
        number += 1
        now = world.run_at(world.when(start + number * period), micro_stops)
        if now > world.ns(until):
            return
        guest = world.guest(now)
        number += max(0, (guest - start - number * period) // period)
        due = start + number * period
        batch.append((base + number, due, guest, world.wall(now)))
        if guest - flushed >= every or guest < flushed:
            blocked_until = world.over_tcp(now, blocked_until, world.network_out)
            arrived = world.seen(blocked_until)
            for seq, was_due, mono, wall in batch:
                yield Sample(
                    seq=seq,
                    answered_ns=arrived,
                    remote_due_ns=was_due if made.mono_clock else None,
                    remote_mono_ns=mono if made.mono_clock else None,
                    remote_wall_ns=wall if made.wall_clock else None,
                )
            batch, flushed = [], guest
            if world.is_calm(now) != (every > 100 * MS):
                start, base, number = due, base + number, 0
                period, every = (10 * MS, 500 * MS) if every == 100 * MS else (S // made.tick_hz, 100 * MS)
                world.turned("ticks", base + 1, period, every)


def _asked(world: _World, since: float, until: float, kind: str, every_ms: int) -> Iterator[tuple[int, int, int]]:
    """(number, due, sent) on schedule, as late as our machine is."""
    due, number, every, usual = world.ns(since), 0, every_ms * MS, every_ms * MS
    world.turned(kind, 1, every)
    while due < world.ns(until):
        if world.is_calm(due) != (every != usual):
            every = (5000 if kind == "connect" else 500) * MS if every == usual else usual
            world.turned(kind, number + 1, every)
        number += 1
        yield number, due, world.seen(due)
        due += every


def _echo(world: _World, since: float, until: float) -> Iterator[Sample]:
    made, blocked_until, answered_until = world.made, 0, 0
    for number, due, sent in _asked(world, since, until, "echo", 100):
        there = blocked_until = world.over_tcp(sent, blocked_until, world.lost)
        ran = world.run_at(there) + round(_brown(world, there))
        answered_until = world.over_tcp(ran, answered_until, world.network_out)
        answered = world.seen(answered_until)
        known = answered < world.ns(until)
        yield Sample(
            seq=number,
            due_ns=due,
            sent_ns=sent,
            answered_ns=answered if known else None,
            remote_mono_ns=world.guest(ran) if known and made.mono_clock else None,
            remote_wall_ns=world.wall(ran) if known and made.wall_clock else None,
            outcome=Outcome.ANSWERED if known else Outcome.SILENT,
        )


def _brown(world: _World, t_ns: int) -> float:
    made = world.made
    if not made.suspend or t_ns < world.ns(made.suspend[1]) or not made.slow_after_ms:
        return 0.0
    return float(made.slow_after_ms * MS * np.exp(-(t_ns - world.ns(made.suspend[1])) / (2 * S)) * world.rng.random())


def _connect(world: _World, since: float, until: float) -> Iterator[Sample]:
    for number, due, sent in _asked(world, since, until, "connect", 500):
        there = world.carry(sent)
        for pause in (1000, 2000, 4000):
            if world.held(there, world.lost) == there:
                break
            there += pause * MS
        ran = world.run_at(world.held(there, world.banner_out), world.banner_out)
        ready = ran + round((3 + world.rng.exponential(2)) * MS)
        answered = world.seen(world.over_tcp(ready, 0, world.network_out))
        known = answered - sent < 2400 * MS
        outcome = Outcome.ANSWERED if known else Outcome.SILENT
        yield Sample(seq=number, due_ns=due, sent_ns=sent, answered_ns=answered if known else None, outcome=outcome)


def _icmp(world: _World, since: float, until: float) -> Iterator[Sample]:
    made, tokens, last = world.made, 1.0, world.ns(since)
    frozen = () if made.kernel_runs else world.frozen
    for number, due, sent in _asked(world, since, until, "icmp", made.icmp_ms):
        there = sent + round(made.network_ms * MS * (0.5 + world.rng.exponential(0.5)))
        lost = world.rng.random() < made.icmp_lost or world.held(there, world.network_out) != there
        free = world.held(there, world.kernel)
        stopped = next((begin for begin, end in frozen if begin <= there < end), there)
        lost = lost or (made.dropped and stopped != there) or there - stopped > made.queue_s * S
        if made.icmp_a_second:
            tokens = min(1.0, tokens + (sent - last) * made.icmp_a_second / S)
            last, lost, tokens = sent, lost or tokens < 1.0, tokens - (tokens >= 1.0)
        back = free + round(
            made.network_ms * MS * (0.5 + world.rng.exponential(0.5))
        )  # its kernel's stamp, not when we read it
        known = not lost and back < world.ns(until)
        outcome = Outcome.ANSWERED if known else Outcome.SILENT
        yield Sample(seq=number, due_ns=due, sent_ns=sent, answered_ns=back if known else None, outcome=outcome)


def _acks(world: _World, since: float, until: float) -> Iterator[Sample]:
    """The kernel acknowledges with the answer, or 40 ms later by itself."""
    made, blocked_until = world.made, 0
    for number, due, sent in _asked(world, since, until, "ack", 100):
        there = world.over_tcp(sent, blocked_until, world.lost)
        free = blocked_until = world.held(there, world.kernel)
        ready = min(world.run_at(free), free + 40 * MS)
        back = ready + round(made.network_ms * MS * (0.5 + world.rng.exponential(0.5)))
        known = back < world.ns(until)
        outcome = Outcome.ANSWERED if known else Outcome.SILENT
        yield Sample(seq=number, due_ns=due, sent_ns=sent, answered_ns=back if known else None, outcome=outcome)


def _requests(world: _World, since: float, until: float) -> Iterator[Sample]:
    """Requests for a connection, while the oldest question was not acknowledged for 50 ms."""
    made, number, at = world.made, 0, 0
    for question in _acks(_World(made), since, until):
        at = max(at, (question.sent_ns or 0) + 50 * MS)
        while at < (question.answered_ns or world.ns(until)):
            number += 1
            there = at + round(made.network_ms * MS * (0.5 + world.rng.exponential(0.5)))
            free = world.held(there, world.kernel)
            gone = world.held(there, world.lost) != there
            if gone or free - at > 200 * MS:
                yield Sample(seq=number, due_ns=at, sent_ns=at, outcome=Outcome.SILENT)
                at += 25 * MS
            else:
                yield Sample(seq=number, due_ns=at, sent_ns=at, answered_ns=free + there - at)
                at = free + S


def _observer(world: _World, since: float, until: float) -> bytes:
    """Rows and not samples: there are as many as of all other probes together."""
    period, start = 5 * MS, world.ns(since)
    most = max(0, (world.ns(until) - start - 1) // period)
    if not world.stalls:
        late = np.rint(world.rng.exponential(_SEEN_LATE_NS, most)).astype(int)
        due = start + period * np.arange(1, most + 1)
        return b"".join(map(_own_tick, range(1, most + 1), due.tolist(), (due + late).tolist()))
    rows, number = [], 1
    while number <= most:
        due_ns = start + number * period
        now = world.seen(due_ns)
        rows.append(_own_tick(number, due_ns, now))
        number += 1 + max(0, (now - due_ns) // period)
    return b"".join(rows)


def _own_tick(number: int, due: int, now: int) -> bytes:
    return b"%d,%d,%d,%d,,,,answered,\n" % (number, due, due, now)


def _lines(samples: Callable[[_World, float, float], Iterator[Sample]]) -> Callable[[_World, float, float], bytes]:
    """The samples as rows."""
    return lambda world, since, until: b"".join(map(sample_line, samples(world, since, until)))


_PROBES = {
    "ssh-ticks": ("ticks", _lines(_ticks), 10 * MS),
    "ssh-echo": ("echo", _lines(_echo), 100 * MS),
    "tcp-connect": ("connect", _lines(_connect), 500 * MS),
    "icmp": ("icmp", _lines(_icmp), 10 * MS),
    "ssh-acks": ("ack", _lines(_acks), 100 * MS),
    "tcp-syn": ("syn", _lines(_requests), 25 * MS),
    "observer": ("observer", _observer, 5 * MS),
}


def make(folder: Path, made: Made, **documents: Any) -> Run:
    """Write the run folder. ``documents`` become JSON documents (``survey_after`` is ``survey-after.json``)."""
    clock = MadeClock()
    order = {"partition": made.host, "source": "blade13", "target": "blade14"}
    order |= dict.fromkeys(("target_machine", "target_address", "target_user"), "")
    facts: dict[str, Any] = {"lead_in_s": 20, "tail_s": 20}
    facts |= {"order": order} if made.mode == "move" else {"hosts": [made.host]}
    run = create(folder, mode=made.mode, title=f"{made.host}-to-blade14", facts=facts, clock=clock)
    add(run, made, clock)
    for name, value in documents.items():
        write_document(run.path, name.replace("_", "-"), value)
    return run


def add(run: Run, made: Made, clock: MadeClock | None = None) -> None:
    """Let one host be watched into a run folder (a second one with another `Made.suffix`)."""
    world, clock = _World(made), clock or MadeClock()
    lives = [(0.0, made.duration_s)]
    if made.hole:
        lives = [(0.0, made.hole[0]), (made.hole[1], made.duration_s)]
    for number, (since, until) in enumerate(lives):
        clock.now_ns = world.ns(since)
        with RunWriter(run.path, clock) as writer:
            world.paces.clear()
            seen = {name: _PROBES[name][1](world, max(since, _since(made, name)), until) for name in _wanted(made)}
            _tell(writer, clock, world, _events(made, since, until, resumed=number > 0))
            for name, rows in seen.items():
                if made.calm:
                    _tell(writer, clock, world, _paces(world, made, name, since))
                own = _PROBES[name][0] == "observer"
                writer.sample_rows(name if own else name + made.suffix, rows)
            if made.ended and until == made.duration_s and not made.suffix:
                clock.now_ns = world.ns(until)
                reason = "settled" if made.mode == "move" else "the time asked for is over"
                writer.event("recorder", "recorder-ended", reason=reason)


def _since(made: Made, name: str) -> float:
    return made.session_from if name in ("ssh-ticks", "ssh-echo", "ssh-acks", "tcp-syn") else 0.0


def _paces(world: _World, made: Made, name: str, since: float) -> Iterator[tuple[float, str, str, dict[str, Any]]]:
    for first_seq, interval_ns, batch_ns in world.paces.get(_PROBES[name][0], ()):
        told = {"probe": name + made.suffix, "first_seq": first_seq, "interval_ns": interval_ns, "batch_ns": batch_ns}
        yield since, name + made.suffix, "pace", told


def _wanted(made: Made) -> list[str]:
    wanted = {
        "ssh-ticks": made.ticks,
        "ssh-echo": made.echo,
        "tcp-connect": made.connect,
        "icmp": made.icmp,
        "ssh-acks": made.acks,
        "tcp-syn": made.acks,
        "observer": made.observer,
    }
    return [name for name, yes in wanted.items() if yes]


def _tell(
    writer: RunWriter, clock: MadeClock, world: _World, events: Iterable[tuple[float, str, str, dict[str, Any]]]
) -> None:
    for at, source, kind, data in sorted(events, key=lambda one: one[0]):
        clock.now_ns = world.ns(at)
        writer.event(source, kind, **data)


def _events(
    made: Made, since: float, until: float, *, resumed: bool
) -> Iterator[tuple[float, str, str, dict[str, Any]]]:
    started: dict[str, Any] = {"pid": 4711 + resumed, "mode": made.mode, "resumed": resumed}
    if made.late_starts_s is not None:
        started["late_starts_s"] = list(made.late_starts_s)
    yield since, "recorder", "recorder-started", started
    for at in np.arange(since, until, 10.0):
        yield float(at), "recorder", "clock", {"uncertainty_ns": 200}
    for name in _wanted(made):
        kind, _, interval = _PROBES[name]
        host = "" if kind == "observer" else made.host
        probe = name if kind == "observer" else name + made.suffix
        interval = S // made.tick_hz if kind == "ticks" else interval
        yield since, probe, "probe-started", {"kind": kind, "host": host, "interval_ns": interval}
        if kind in ("ticks", "echo"):
            yield (
                max(since, made.session_from),
                probe,
                "session",
                {"connection": 1, "remote_pid": 7000 + 10 * resumed + len(probe), "how": "perl"},
            )
    if made.relogin_at is not None and since <= made.relogin_at < until:
        yield made.relogin_at, "ssh-echo" + made.suffix, "session", {"connection": 2, "remote_pid": 9999, "how": "perl"}
    for at, phase in made.phases or default_phases(made):
        if since <= at < until:
            yield at, "recorder", "phase", {"phase": phase, "why": made.whys.get(phase, "")}
    if made.mode == "move":
        yield from (one for one in _readings(made) if since <= one[0] < until)


def default_phases(made: Made) -> tuple[tuple[float, str], ...]:
    """The phases of a move whose suspension comes at the end of the copy."""
    if made.mode != "move":
        return ()
    lead = made.duration_s / 4
    ended = (made.suspend[1] if made.suspend else made.duration_s * 0.7) + 1.6
    return (0.0, "prepared"), (lead, "asked"), (lead + 0.8, "starting"), (lead + 3.1, "copying"), (ended, "settled")


def _readings(made: Made) -> Iterator[tuple[float, str, str, dict[str, Any]]]:
    since = made.duration_s / 4 + 3.1
    until = made.copied_at or (made.suspend[0] if made.suspend else made.duration_s * 0.7)
    total = 4 * 1024**3
    for at in np.arange(since, min(until, made.duration_s), 1.0):
        left = int(total * (1 - (at - since) / (until - since)) ** 1.1)
        data = {"bytes_transmitted": int((total - left) * 1.12), "bytes_remaining": left}
        yield float(at), "recorder", "reading", {"where": "blade13", "migration_state": "Migrating", **data}
