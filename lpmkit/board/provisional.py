"""The suspension as the lanes show it while the run goes on: provisional, an upper bound of its length.

The analysis of the finished run replaces it. It takes two probes: one that is silent alone may have lost its network.
Two may have lost it together; then the ticks that come late, stamped in the partition, show that it ran on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from lpmkit.plots.colours import kind_of
from lpmkit.runs.cells import MISSING, Int64Array
from lpmkit.runs.samples import Columns

#: Kinds of probes that answer often enough to show a suspension.
WITNESSES = frozenset({"ticks", "icmp", "echo", "ni", "connect"})
#: A silence is longer than this, and than this many usual intervals of its probe.
LEAST_NS, INTERVALS = 250_000_000, 5
#: A probe agrees where its silence covers so much of the most precise one's.
SHARE = 0.5


#: The time within which the late ticks of one silence come, and for which they are awaited after it: TCP sends again
#: what the network lost, at growing intervals.
LATE_NS, AWAITED_NS = 300_000_000, 5_000_000_000
#: The partition ran on where its own stamps lack at most so much of a silence, and stood still where they lack more
#: than `SHARE`.
RAN_SHARE = 0.25
#: The time before a silence in which the stamps are looked at.
_BESIDE_NS = 1_000_000_000


class Cause(StrEnum):
    """The cause of a silence, by the stamps from inside the partition."""

    SUSPENSION = "suspension"  #: the partition's own stamps stand still too
    NETWORK = "network"  #: they go on: it ran, and the network was down
    UNKNOWN = "unknown"  #: there are none


@dataclass(frozen=True, slots=True)
class SharedSilence:
    """A silence that several probes share: begin and end (monotonic nanoseconds), their names, and what it was."""

    begin_ns: int
    end_ns: int
    probes: tuple[str, ...]
    cause: Cause = Cause.UNKNOWN

    @property
    def length_s(self) -> float:
        """The length in seconds."""
        return (self.end_ns - self.begin_ns) / 1e9


def common_gap(
    answered: Mapping[str, Int64Array], since_ns: int, breaks: Sequence[SharedSilence] = ()
) -> SharedSilence | None:
    """The longest silence after ``since_ns`` that at least two probes share; ``None`` without one. ``breaks`` are those
    that are known to be the network's.
    """
    found = {
        name: gap for name, times in answered.items() if (gap := _longest(name, times, since_ns, breaks)) is not None
    }
    if len(found) < 2:
        return None
    first = min(found, key=lambda name: _interval(answered[name]))
    begin, end = found[first]
    agree = [name for name, (lo, hi) in found.items() if min(hi, end) - max(lo, begin) >= SHARE * (end - begin)]
    if len(agree) < 2:
        return None
    return SharedSilence(
        max(found[name][0] for name in agree), min(found[name][1] for name in agree), tuple(sorted(agree))
    )


def silent_since(answered: Mapping[str, Int64Array], now_ns: int) -> SharedSilence | None:
    """The silence of all probes that lasts now; ``None`` while one of them answers.

    ``now_ns`` is a moment of which the samples are known to be written.
    """
    last = {name: int(times[-1]) for name, times in answered.items() if _is_witness(name) and len(times) > INTERVALS}
    if len(last) < 2:
        return None
    begin = max(last.values())
    usual = max(_interval(answered[name]) for name in last)
    if now_ns - begin <= max(2 * LEAST_NS, INTERVALS * min(usual, 100_000_000)):
        return None
    return SharedSilence(begin, now_ns, tuple(sorted(last)))


def _is_witness(name: str) -> bool:
    return kind_of(name) in WITNESSES


def _interval(times: Int64Array) -> float:
    return float(np.median(np.diff(times))) if len(times) > 1 else float("inf")


def _longest(name: str, times: Int64Array, since_ns: int, breaks: Sequence[SharedSilence]) -> tuple[int, int] | None:
    """The longest silence of one probe that ends after ``since_ns``."""
    if not _is_witness(name) or len(times) <= INTERVALS:
        return None
    pauses = np.where(times[1:] > since_ns, np.diff(times), 0)
    for known in breaks:
        pauses[(times[:-1] < known.end_ns) & (times[1:] > known.begin_ns)] = 0
    at = int(np.argmax(pauses))
    if pauses[at] <= max(LEAST_NS, INTERVALS * _interval(times)):
        return None
    return int(times[at]), int(times[at + 1])


def explained(gap: SharedSilence, rows: Mapping[str, Columns]) -> SharedSilence:
    """A silence with its cause, and with a begin that is surely not too late: the partition ran when the last request
    that it answered was sent, not yet when its answer came. ``rows`` are the probes' samples around it.
    """
    sent = [begin for name in gap.probes if name in rows and (begin := _sent(gap, rows[name])) is not None]
    causes = {_cause(gap, rows[name]) for name in gap.probes if name in rows and kind_of(name) == "ticks"}
    cause = next((one for one in (Cause.SUSPENSION, Cause.NETWORK) if one in causes), Cause.UNKNOWN)
    return replace(gap, begin_ns=min(gap.begin_ns, max(sent, default=gap.begin_ns)), cause=cause)


def _sent(gap: SharedSilence, rows: Columns) -> int | None:
    """The time at which the last request that was answered before a silence was sent."""
    known = (rows.sent_ns != MISSING) & (rows.answered_ns != MISSING) & (rows.answered_ns <= gap.begin_ns)
    return int(rows.sent_ns[known].max()) if known.any() else None


def _cause(gap: SharedSilence, rows: Columns) -> Cause:
    """The cause of a silence by the stamps from inside the partition: they have a hole as long as the silence, or lack
    its time as those of a clock that stood still, or go on.
    """
    inside = rows.remote_mono_ns if (rows.remote_mono_ns != MISSING).any() else rows.remote_wall_ns
    known = (inside != MISSING) & (rows.answered_ns != MISSING)
    came, stamps = rows.answered_ns[known], inside[known]
    before = (came > gap.begin_ns - _BESIDE_NS) & (came <= gap.begin_ns)
    late = came >= gap.end_ns
    if not before.any() or not late.any():
        return Cause.UNKNOWN
    after = late & (came <= came[late].min() + LATE_NS)
    after |= late & (stamps <= stamps[after].max())
    hole = int(np.diff(np.sort(np.append(stamps[after], stamps[before].max()))).max())
    # the fastest delivery before and after: a clock that stood still is behind by the time that it stood
    lacking = int((came[after] - stamps[after]).min() - (came[before] - stamps[before]).min())
    length = gap.end_ns - gap.begin_ns
    if max(hole, lacking) > SHARE * length:
        return Cause.SUSPENSION
    return Cause.NETWORK if max(hole, abs(lacking)) <= RAN_SHARE * length else Cause.UNKNOWN
