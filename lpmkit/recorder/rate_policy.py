"""The pace that the probes should keep during a move: calm in the bulk of the copy, quick whenever the partition could
be suspended before we knew.

Calm has to be earned. It takes a fresh reading of the manager's counters, a forecast, and that both leave no doubt that
the partition is not suspended soon: what is left to send would take longer than `AHEAD_S` even half as fast again as
the copy ever was, and the forecast's early edge lies as far away. Everything else is quick: the lead-in (its noise is
what the suspension is judged by), a move that was only asked for, a lost or slow control point, no forecast, a copy too
short to be worth a change. `SETTLED_S` after a move is over the probes are calm again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lpmkit.migration.phases import Phase
from lpmkit.probes.orders import CALM, QUICK

#: The probes are quick at least this long before the earliest moment at which the partition could be suspended.
AHEAD_S = 20.0
#: To become calm takes this many times as much, so that the pace does not swing.
EARNED = 2.0
#: The copy may become this much faster than it was ever seen.
FASTER = 1.5
#: A rate is read off counters that lie at least so far apart.
RATE_OVER_S = 3.0
SETTLED_S = 30.0
#: A reading older than this number of polls, or of seconds, is out of date.
FRESH_POLLS, FRESH_S = 3.0, 5.0


@dataclass(frozen=True, slots=True)
class Known:
    """Facts about a move at one moment. Times are monotonic nanoseconds; ``None`` means unknown.

    ``fastest`` is the greatest rate that the counters ever showed, bytes a second; ``early_ns`` the early edge (P10) of
    the forecast moment of the suspension.
    """

    phase: Phase = Phase.PREPARED
    phase_ns: int = 0
    read_ns: int | None = None
    left_bytes: int | None = None
    fastest: float | None = None
    early_ns: int | None = None


def earliest_s(known: Known, now_ns: int, poll_s: float) -> float:
    """The seconds until the partition could be suspended at the earliest; 0 when that cannot be known.

    >>> copying = Known(Phase.COPYING, 0, read_ns=0, left_bytes=15_000_000_000, fastest=1e8, early_ns=200_000_000_000)
    >>> earliest_s(copying, 1_000_000_000, 1.0), earliest_s(copying, 60_000_000_000, 1.0)
    (99.0, 0.0)
    """
    if known.phase is not Phase.COPYING or known.read_ns is None or known.early_ns is None:
        return 0.0
    age_s = (now_ns - known.read_ns) / 1e9
    if age_s > max(FRESH_S, FRESH_POLLS * poll_s) or not known.fastest or known.left_bytes is None:
        return 0.0
    sent_s = known.left_bytes / (FASTER * known.fastest) - age_s
    return max(0.0, min(sent_s, (known.early_ns - now_ns) / 1e9))


class RateController:
    """Follows one move and chooses the rate of its probes. One thread reports events, another asks for the rate."""

    def __init__(self, poll_s: float, phase: Phase = Phase.PREPARED, now_ns: int = 0) -> None:
        self._poll_s = poll_s
        self._known = Known(phase, now_ns)
        self._counters: list[tuple[int, int]] = []
        self._calm = False

    def entered(self, phase: Phase, now_ns: int) -> None:
        """The move is in another phase."""
        self._known = replace(self._known, phase=phase, phase_ns=now_ns)

    def read(self, now_ns: int, sent_bytes: int | None, left_bytes: int | None) -> None:
        """The source's manager was asked for its counters."""
        fastest = self._known.fastest
        if sent_bytes is not None:
            before = [(at, sent) for at, sent in self._counters if now_ns - at >= RATE_OVER_S * 1e9]
            if before and sent_bytes > before[-1][1]:
                fastest = max(fastest or 0.0, (sent_bytes - before[-1][1]) / ((now_ns - before[-1][0]) / 1e9))
            self._counters = [*self._counters[-30:], (now_ns, sent_bytes)]
        self._known = replace(self._known, read_ns=now_ns, left_bytes=left_bytes, fastest=fastest)

    def foreseen(self, now_ns: int, early_s: float) -> None:
        """A forecast: not before ``early_s`` seconds from now, nine times out of ten."""
        self._known = replace(self._known, early_ns=now_ns + int(min(early_s, 1e9) * 1e9))

    @property
    def known(self) -> Known:
        """The facts of the move that are known now."""
        return self._known

    def lost(self) -> None:
        """The source's manager could not be asked."""
        self._known = replace(self._known, read_ns=None)

    def wanted(self, now_ns: int) -> str:
        """The pace to keep now."""
        known = self._known
        if known.phase in (Phase.SETTLED, Phase.FAILED, Phase.STOPPED):
            self._calm = now_ns - known.phase_ns > SETTLED_S * 1e9
        else:
            self._calm = earliest_s(known, now_ns, self._poll_s) > AHEAD_S * (1.0 if self._calm else EARNED)
        return CALM if self._calm else QUICK
