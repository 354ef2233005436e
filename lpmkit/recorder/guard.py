"""The guard of a move: bounds that are held from the baseline to the switch-over.

The recorder hands it what it hears (rows of the probes, forecasts, the phase), and asks it a few times a second for new
breaches. It reports each once. Whether a breach also stops the copy is the order's choice; the recorder asks for the
stop as it does for an operator, and only while `can_stop`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lpmkit.analysis.time_outs import TimeOut, failover_patience
from lpmkit.json_values import JsonMapping
from lpmkit.limits import QUANTITIES, Limit, LimitState, MoveLimits, judge
from lpmkit.migration.phases import Phase
from lpmkit.oracle.event_rows import from_row
from lpmkit.oracle.rules import LogRules
from lpmkit.prediction.distributions import Quantiles
from lpmkit.prediction.forecast import Forecast
from lpmkit.probes.orders import OBSERVER, ProbeOrder
from lpmkit.rules.table import Class

#: Forecasts in a row that must exceed a bound: the first ones of a copy swing.
IN_A_ROW = 3
#: A probe is silent after this many of its longest intervals at least.
SILENT_INTERVALS = 4
#: A guard that was not asked for longer than this stood still itself, and so did what it hears.
OWN_STALL_S = 3.0
#: Polls, and seconds, for which a reading of the source's manager shows where the move stands.
FRESH_POLLS, FRESH_S = 3.0, 5.0
#: Phases before the switch-over.
BEFORE_SWITCH = frozenset({Phase.PREPARED, Phase.ASKED, Phase.STARTING, Phase.COPYING})


@dataclass(frozen=True, slots=True)
class Breach:
    """One bound that is exceeded: its key, and the sentence for people. ``may_stop``: it is ground enough to stop the
    copy where the order says so.
    """

    what: str
    text: str
    may_stop: bool = True


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of the move. Nanoseconds; ``read_ns`` is when the source's manager answered last (monotonic), ``None``
    where it did not, ``left_bytes`` the rest of the copy that it reported.
    """

    phase: Phase
    mono_ns: int
    wall_ns: int
    read_ns: int | None = None
    left_bytes: int | None = None
    stop_asked: bool = False


def why_not_stop(standing: Standing, poll_s: float) -> str:
    """The reason why the copy is not to be stopped now; empty while the switch-over has surely not begun.

    >>> why_not_stop(Standing(Phase.COPYING, 9_000_000_000, 0, read_ns=8_000_000_000, left_bytes=7), 1.0)
    ''
    >>> why_not_stop(Standing(Phase.COPYING, 9_000_000_000, 0, read_ns=8_000_000_000, left_bytes=0), 1.0)
    'the switch-over may have begun'
    """
    if standing.stop_asked:
        return "a stop was asked for already"
    if standing.phase not in BEFORE_SWITCH:
        return "the switch-over has begun"
    if standing.phase is not Phase.COPYING:
        return ""
    if standing.read_ns is None or standing.mono_ns - standing.read_ns > max(FRESH_S, FRESH_POLLS * poll_s) * 1e9:
        return "the source's manager does not answer, so that the switch-over may have begun"
    return "the switch-over may have begun" if standing.left_bytes == 0 else ""


class Guard:
    """Holds the bounds of one move. Probes report from threads of their own.

    ``time_outs`` are those of clusters and SAP systems in the partition; one that is not known is left out. A vendor's
    default, which nobody read, is no ground to stop a copy.
    """

    def __init__(
        self,
        limits: MoveLimits,
        probes: Sequence[ProbeOrder] = (),
        *,
        time_outs: Sequence[TimeOut] = (),
        not_read: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.limits = limits
        # acknowledgements are silent with the echo whose questions they acknowledge
        told = [one for one in probes if one.kind != "ack"]
        self._silent_ns = {one.name: _silent_ns(one, limits.guard.probe_silent_s) for one in told}
        self._rules = {one.name: LogRules.kept(one.options.get("rules"))[0] for one in probes if one.kind == "alert"}
        self._states = {one.name: str(one.options.get("sid", "")) for one in probes if one.kind == "db-state"}
        self.time_outs = {one.name: one for one in time_outs if one.seconds is not None}
        #: The expected figures of the move, by the keys of the limits.
        self._expected: Mapping[str, Quantiles] = {}
        self._not_read = not_read
        self._turn = threading.Lock()
        self._heard_ns: dict[str, int] = {}
        self._events: list[Breach] = []
        self._told: set[str] = set()
        self._exceeded: dict[str, int] = {}
        self._forecast: Forecast | None = None
        self._looked_ns: int | None = None

    # -- what it hears -------------------------------------------------------------------------------------------------

    def heard(self, probe: str, rows: bytes, now_ns: int) -> None:
        """A probe's rows came: samples as lines of CSV."""
        if probe != OBSERVER.name and b",answered," in rows:
            with self._turn:
                self._heard_ns[probe] = now_ns

    def observed(self, probe: str, rows: bytes) -> None:
        """A probe's observations came: lines of JSON."""
        if probe in self._rules or probe in self._states:
            for line in rows.splitlines():
                try:
                    row = json.loads(line)
                    if probe in self._rules:
                        self._log_entry(probe, row)
                    else:
                        self._fast_start_failover(self._states[probe], row)
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    # a row that nobody can read is no reason to end a recording; it is in the record as it came
                    self._not_read(f"the guard could not read a row of {probe}: {type(error).__name__}: {error}")

    def _log_entry(self, probe: str, row: JsonMapping) -> None:
        """A new entry of an alert log or the clusterware's log; one from before the recording has no ``since_ns``."""
        if "lines" not in row or row.get("since_ns") is None:
            return
        event = from_row(row)
        entry = self._rules[probe].classify(event)
        if entry.meaning is Class.FAIL and entry.rule is not None:
            text = next((line for line in event.lines if line.strip()), "").strip()
            breach = Breach(f"log:{entry.rule.key}", f"{probe} reports {entry.rule.key}: {text[:200]}")
            with self._turn:
                self._events.append(breach)

    def _fast_start_failover(self, sid: str, row: JsonMapping) -> None:
        name, patience = failover_patience(sid, row)
        if patience is not None:
            with self._turn:
                self.time_outs[name] = TimeOut(name, patience)

    def expect(self, figures: Mapping[str, Quantiles]) -> None:
        """The move was predicted: its suspension and effects, by the keys of the limits."""
        with self._turn:
            self._expected = dict(figures)

    def forecast(self, forecast: Forecast) -> None:
        """The rest of the copy was forecast."""
        rest, bounds = forecast.remaining_s, self.limits.guard
        dirty = forecast.dirty_bytes_per_s / 1e6
        exceeds = {
            "convergence": forecast.will_not_converge,
            "remaining": _exceeds(rest, bounds.remaining_s),
            "dirty-rate": bounds.dirty_mb_per_s is not None and dirty > bounds.dirty_mb_per_s,
        }
        with self._turn:
            self._forecast = forecast
            # what was not predicted the partition does not have
            effects = {name: spread for name, spread in forecast.effects.items() if name in self._expected}
            self._expected = {"suspension_s": forecast.suspended_s, **effects}
            for what, yes in exceeds.items():
                self._exceeded[what] = self._exceeded.get(what, 0) + 1 if yes else 0

    # -- what it tells -------------------------------------------------------------------------------------------------

    def look(self, standing: Standing) -> list[Breach]:
        """The breaches that are new since the last look; none once the switch-over has begun."""
        with self._turn:
            stalled = self._looked_ns is not None and standing.mono_ns - self._looked_ns > OWN_STALL_S * 1e9
            self._looked_ns = standing.mono_ns
            if standing.phase not in BEFORE_SWITCH:
                return []
            if stalled:
                # what the probes sent meanwhile is still in their pipes
                self._heard_ns = dict.fromkeys(self._heard_ns, standing.mono_ns)
            events, self._events = self._events, []
            found = [*events, *self._of_copy(standing), *self._window(standing), *self._silent(standing)]
            found += [*self._of_time_outs(), *self._of_limits()]
            new = [breach for breach in found if breach.what not in self._told]
            self._told |= {breach.what for breach in new}
            return new

    def _of_copy(self, standing: Standing) -> Iterator[Breach]:
        if self._forecast is None or standing.phase is Phase.PREPARED:
            return
        bounds, rest = self.limits.guard, self._forecast.remaining_s
        texts = {
            "convergence": "the copy does not converge: the partition writes as fast as it is copied",
            "remaining": f"the copy takes {rest.p10:.0f} s more at least; the bound is {bounds.remaining_s or 0:g} s",
            "dirty-rate": (
                f"the partition writes {self._forecast.dirty_bytes_per_s / 1e6:.0f} MB/s; "
                f"the bound is {bounds.dirty_mb_per_s or 0:g} MB/s"
            ),
        }
        yield from (Breach(what, text) for what, text in texts.items() if self._exceeded.get(what, 0) >= IN_A_ROW)

    def _window(self, standing: Standing) -> Iterator[Breach]:
        window = self.limits.window
        if window.end_ns is None:
            return
        if why := window.why_outside(max(standing.wall_ns, _begin_ns(self.limits)), standing.wall_ns):
            yield Breach("window", f"the move goes on {why}")
        elif self._forecast is not None and standing.phase is Phase.COPYING:
            earliest_ns = standing.wall_ns + int(min(self._forecast.whole_s.p10, 1e9) * 1e9)
            if earliest_ns > window.end_ns:
                late = (earliest_ns - window.end_ns) / 1e9
                yield Breach("window-missed", f"the move ends {late:.0f} s after the change window at the earliest")

    def _silent(self, standing: Standing) -> Iterator[Breach]:
        for probe, heard_ns in self._heard_ns.items():
            bound = self._silent_ns.get(probe)
            if bound is not None and standing.mono_ns - heard_ns > bound:
                silent_s = (standing.mono_ns - heard_ns) / 1e9
                yield Breach(f"probe:{probe}", f"{probe} has had no answer for {silent_s:.0f} s")

    def _of_time_outs(self) -> Iterator[Breach]:
        """The suspension that is expected, against the time-outs of those who wait for the partition."""
        expected = self._expected.get("suspension_s")
        if expected is None:
            return
        for name, one in list(self.time_outs.items()):
            if judge(expected.p90, expected.p90, Limit(fail=one.seconds)) is LimitState.FAILED:
                text = f"a suspension of {expected.p90:.1f} s is expected (P90), the time-out of {name} is "
                text += f"{one.seconds or 0:g} s" + ("" if one.was_read else ", SAP's default")
                yield Breach(f"time-out:{name}", text, may_stop=one.was_read)

    def _of_limits(self) -> Iterator[Breach]:
        """The breaches of limits that are to be expected of the move. Only the suspension is simulated; the other
        figures are multiples of it, which are no ground to stop a copy.
        """
        for quantity, expected in self._expected.items():
            limit = self.limits.of(quantity)
            if limit is not None and judge(expected.p90, expected.p90, limit) is LimitState.FAILED:
                name = QUANTITIES[quantity]
                text = f"a {name} of {expected.p90:.1f} s is expected (P90), the limit is {limit.fail:g} s"
                key = quantity.removesuffix("_s").replace("_", "-")
                yield Breach(key, text, may_stop=quantity == "suspension_s")


def _begin_ns(limits: MoveLimits) -> int:
    """The begin of the window: a baseline may begin before it."""
    begin = limits.window.begin
    return 0 if begin is None else int(begin.timestamp() * 1e9)


def _exceeds(rest: Quantiles, bound: float | None) -> bool:
    return bound is not None and judge(rest.p10, rest.p90, Limit(fail=bound)) is LimitState.FAILED


def _silent_ns(order: ProbeOrder, silent_s: float) -> int:
    intervals = [order.interval_ns, order.batch_ns, *(rate.interval_ns for rate in order.paces.values())]
    return max(int(silent_s * 1e9), SILENT_INTERVALS * max(intervals))


class Brake:
    """The stop that a breach asks for: once in a recording, and only while the switch-over has surely not begun."""

    def __init__(self, poll_s: float) -> None:
        self._poll_s = poll_s
        self._breach: Breach | None = None
        self._is_over = False
        self._noted = ""

    def ask(self, breach: Breach) -> None:
        """A breach wants the copy stopped; the first one counts."""
        self._breach = self._breach or breach

    def now(self, standing: Standing) -> tuple[Breach | None, str]:
        """The breach to stop for now, and a remark for the record; each is handed out once."""
        if self._breach is None or self._is_over:
            return None, ""
        why_not = why_not_stop(standing, self._poll_s)
        self._is_over = not why_not or standing.stop_asked or standing.phase not in BEFORE_SWITCH
        if not why_not:
            return self._breach, ""
        is_new, self._noted = why_not != self._noted, why_not
        return None, f"the guard does not stop the copy: {why_not}" if is_new else ""
