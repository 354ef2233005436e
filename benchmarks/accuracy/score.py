"""Scores of the analysis against the truth, which is a bracket at either end."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.accuracy.peers import PEERS, Pings, estimate
from benchmarks.accuracy.trials import CLOCKS, SUSPENDED, TWICE
from lpmkit.analysis import Analysis, HostAnalysis, Interval, OutageKind, Suspension, analyse
from lpmkit.runs.folder import Run

MS = 1_000_000
#: A suspension farther from any action than this is a false one.
NEAR_NS = 400 * MS
#: Suspensions that are reported separately, with the same bounds.
APART = (TWICE, *CLOCKS)
#: Without a free core for the stopping process the truth is a wide bracket: claims are scored, errors are not computed.
WELL_KNOWN_MS = 5.0
#: Actions that must never be classed as a suspension.
NOT_SUSPENDED = ("cut", "probes stopped", "all ours stopped")


def rows_of(
    run: Run, hz: int, done: Sequence[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[Suspension], Analysis]:
    """A row for each action, and the suspensions that belong to no action."""
    analysis = analyse(run)
    (host,) = analysis.hosts
    pings = Pings.of(run.samples("icmp"), run.samples("ssh-ticks"), hz)
    rows = [_row(action, host, pings, hz) for action in done]
    spans = [
        Interval(action["began"][0] - NEAR_NS, action.get("opened", action["ended"])[1] + NEAR_NS) for action in done
    ]
    made_up = [
        suspension for suspension in host.suspensions if not any(span.overlaps(suspension.outer) for span in spans)
    ]
    return rows, made_up, analysis


def _row(done: dict[str, Any], host: HostAnalysis, pings: Pings, hz: int) -> dict[str, Any]:
    inside = Interval(done["began"][1], max(done["began"][1], done["ended"][0]))
    least, most = max(0, done["ended"][0] - done["began"][1]), done["ended"][1] - done["began"][0]
    kind = done["kind"]
    row: dict[str, Any] = {"hz": hz, **done, "truth_ms": [least / MS, most / MS]}
    suspension = max(
        (candidate for candidate in host.suspensions if candidate.outer.overlaps(inside)),
        key=lambda candidate: min(candidate.outer.hi_ns, inside.hi_ns) - max(candidate.outer.lo_ns, inside.lo_ns),
        default=None,
    )
    row["class"] = _class(host, inside, suspension)
    if suspension is not None:
        row |= _held(suspension, done, least, most)
    if kind in SUSPENDED:
        middles = (sum(done["began"]) // 2, sum(done["ended"]) // 2)
        row["peers"] = {
            name: _apart(estimate(how, every, pings, middles, done["number"]), least, most) / MS
            for name, every, how in PEERS
        }
    return row


def _class(host: HostAnalysis, inside: Interval, suspension: Suspension | None) -> str:
    if suspension is not None:
        return "suspension, disputed" if suspension.contradicted else "suspension"
    kinds = {outage.kind for outage in host.outages if outage.outer.overlaps(inside) and outage.kind is not None}
    order = [
        OutageKind.MICRO_STOP,
        OutageKind.NETWORK,
        OutageKind.UNDECIDED,
        OutageKind.APPLICATION,
        OutageKind.BROWN_OUT,
        OutageKind.OBSERVER,
    ]
    return next((kind.value for kind in order if kind in kinds), "nothing")


def _apart(value: int, low: int, high: int) -> int:
    """Distance of a value outside the bracket; 0 inside."""
    return max(low - value, value - high, 0)


def _held(suspension: Suspension, done: dict[str, Any], least: int, most: int) -> dict[str, Any]:
    """Scores of the claims. A claim is wrong if it excludes the whole bracket of the truth."""
    return {
        "hull": suspension.begin.lo_ns <= done["began"][1]
        and suspension.end.hi_ns >= done["ended"][0]
        and suspension.length.hi_ns >= least,
        "inner": suspension.length.lo_ns <= most,
        "likely": suspension.likely.lo_ns <= most and suspension.likely.hi_ns >= least,
        "likely_middle": suspension.likely.contains((least + most) // 2),
        "error_ms": _apart(suspension.best_ns, least, most) / MS,
        "off_ms": (suspension.best_ns - (least + most) / 2) / MS,
        "width_ms": suspension.length.length_ns / MS,
        "likely_width_ms": suspension.likely.length_ns / MS,
        "found_ms": [suspension.length.lo_ns / MS, suspension.length.hi_ns / MS],
        "begin_off_ms": [
            (suspension.begin.lo_ns - done["began"][1]) / MS,
            (suspension.begin.hi_ns - done["began"][0]) / MS,
        ],
        "end_off_ms": [(suspension.end.lo_ns - done["ended"][1]) / MS, (suspension.end.hi_ns - done["ended"][0]) / MS],
        "likely_ms": [suspension.likely.lo_ns / MS, suspension.likely.hi_ns / MS],
        "mechanisms": list(suspension.mechanisms),
    }


def violations(rows: Iterable[dict[str, Any]], made_up: int) -> list[str]:
    """Violations of what must always hold."""
    problems = [f"{made_up} suspensions where nothing was done"] if made_up else []
    for row in rows:
        name = f"{row['hz']} Hz, trial {row['number']}, {row['kind']} {row['length_ms']} ms"
        if row.get("hull") is False and row["kind"] not in NOT_SUSPENDED:
            problems.append(
                f"{name}: the hull does not hold the truth: {row['begin_off_ms']} {row['end_off_ms']} {row['found_ms']}"
            )
        if row["kind"] in NOT_SUSPENDED and row["class"].startswith("suspension"):
            problems.append(f"{name}: called a {row['class']} of {row['found_ms']} ms")
    return problems


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)
    at = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return {"median": statistics.median(ordered), "p95": at, "worst": ordered[-1]}


def summary_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A line for each rate, load and kind of suspension."""
    groups: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["kind"] in (*SUSPENDED, *APART):
            load = "2 busy loops" if row["hogged"] else "quiet"
            if row["kind"] not in APART:
                groups[(row["hz"], f"{load}, all")].append(row)
            groups[(row["hz"], f"{load}, {row['kind']}")].append(row)
    lines = []
    for (hz, name), group in sorted(groups.items()):
        long_rows = [row for row in group if row["length_ms"] >= 50]
        detected = [row for row in long_rows if "hull" in row]
        bracketed = [row for row in detected if row["truth_ms"][1] - row["truth_ms"][0] <= WELL_KNOWN_MS]
        lines.append(
            {
                "hz": hz,
                "what": name,
                "trials": len(group),
                "seen_from_50_ms": f"{len(detected)}/{len(long_rows)}",
                "hull": _share([row["hull"] for row in group if "hull" in row]),
                "inner": _share([row["inner"] for row in group if "inner" in row]),
                "likely": _share([row["likely"] for row in group if "likely" in row]),
                "likely_middle": _share([row["likely_middle"] for row in group if "likely" in row]),
                "truth_known": f"{len(bracketed)}/{len(detected)}",
                "error_ms": _quantiles([row["error_ms"] for row in bracketed]),
                "off_ms": _quantiles([abs(row["off_ms"]) for row in bracketed]),
                "bias_ms": statistics.median([row["off_ms"] for row in bracketed]) if bracketed else None,
                "width_ms": _quantiles([row["width_ms"] for row in detected]),
                "likely_width_ms": _quantiles([row["likely_width_ms"] for row in detected]),
                "truth_bracket_ms": _quantiles([row["truth_ms"][1] - row["truth_ms"][0] for row in group]),
            }
        )
    return lines


def _share(flags: Sequence[bool]) -> str:
    return f"{sum(flags)}/{len(flags)}"


def classes_of(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Counts of the classes by action."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        length = (
            ""
            if row["kind"] not in (*SUSPENDED, *APART)
            else ", below 50 ms"
            if row["length_ms"] < 50
            else ", from 50 ms"
        )
        counts[f"{row['hz']} Hz, {row['kind']}{length}"][row["class"]] += 1
    return {name: dict(count.most_common()) for name, count in sorted(counts.items())}


def peers_of(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Errors of other tools in the same trials: suspensions of 50 ms or more, quiet, with both kinds of lost frames."""
    same = [
        row
        for row in rows
        if row["hz"] == 100 and "hull" in row and "peers" in row and row["length_ms"] >= 50 and not row["hogged"]
    ]
    return {name: _quantiles([row["peers"][name] for row in same]) for name, _, _ in PEERS}
