"""The suspension as the lanes show it while the run goes on: provisional, without clocks and without bounds.

The analysis of the finished run replaces it. It takes two probes: one that is silent alone may have lost its network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lpmkit.plots.colours import kind_of
from lpmkit.runs.samples import Int64Array

#: Kinds of probes that answer often enough to show a suspension.
WITNESSES = frozenset({"ticks", "icmp", "echo", "ni", "connect"})
#: A silence is longer than this, and than so many usual intervals of its probe.
LEAST_NS, INTERVALS = 250_000_000, 5
#: A probe agrees where its silence covers so much of the most precise one's.
SHARE = 0.5


@dataclass(frozen=True, slots=True)
class SharedSilence:
    """A silence that several probes share: begin and end (monotonic nanoseconds), and their names."""

    begin_ns: int
    end_ns: int
    probes: tuple[str, ...]

    @property
    def length_s(self) -> float:
        """The length in seconds."""
        return (self.end_ns - self.begin_ns) / 1e9


def common_gap(answered: Mapping[str, Int64Array], since_ns: int) -> SharedSilence | None:
    """The longest silence after ``since_ns`` that at least two probes share; ``None`` without one."""
    found = {name: gap for name, times in answered.items() if (gap := _longest(name, times, since_ns)) is not None}
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


def _longest(name: str, times: Int64Array, since_ns: int) -> tuple[int, int] | None:
    """The longest silence of one probe that ends after ``since_ns``."""
    if not _is_witness(name) or len(times) <= INTERVALS:
        return None
    pauses = np.where(times[1:] > since_ns, np.diff(times), 0)
    at = int(np.argmax(pauses))
    if pauses[at] <= max(LEAST_NS, INTERVALS * _interval(times)):
        return None
    return int(times[at]), int(times[at + 1])
