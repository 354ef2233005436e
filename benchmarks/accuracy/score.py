"""Holds what the analysis found against what was done. Truth is a bracket at either end, and is scored as one."""

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
#: A suspension found so far from anything that was done was made up.
NEAR_NS = 400 * MS
#: Suspensions that are told apart from the others, and held to the same bounds.
APART = (TWICE, *CLOCKS)
#: Where the hand that stops was itself short of a core the truth is a wide bracket: claims are held to it, errors are not worked out from its middle.
WELL_KNOWN_MS = 5.0
#: What must never be called a suspension.
NOT_SUSPENDED = ("cut", "probes stopped", "all ours stopped")


def rows_of(
    run: Run, hz: int, done: Sequence[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[Suspension], Analysis]:
    """A row for each thing done, and the suspensions that belong to nothing that was done."""
    analysis = analyse(run)
    (host,) = analysis.hosts
    pings = Pings.of(run.samples("icmp"), run.samples("ssh-ticks"), hz)
    rows = [_row(one, host, pings, hz) for one in done]
    spans = [Interval(one["began"][0] - NEAR_NS, one.get("opened", one["ended"])[1] + NEAR_NS) for one in done]
    made_up = [one for one in host.suspensions if not any(span.overlaps(one.outer) for span in spans)]
    return rows, made_up, analysis


def _row(done: dict[str, Any], host: HostAnalysis, pings: Pings, hz: int) -> dict[str, Any]:
    inside = Interval(done["began"][1], max(done["began"][1], done["ended"][0]))
    least, most = max(0, done["ended"][0] - done["began"][1]), done["ended"][1] - done["began"][0]
    kind = done["kind"]
    row: dict[str, Any] = {"hz": hz, **done, "truth_ms": [least / MS, most / MS]}
    found = max(
        (one for one in host.suspensions if one.outer.overlaps(inside)),
        key=lambda one: min(one.outer.hi_ns, inside.hi_ns) - max(one.outer.lo_ns, inside.lo_ns),
        default=None,
    )
    row["class"] = _class(host, inside, found)
    if found is not None:
        row |= _held(found, done, least, most)
    if kind in SUSPENDED:
        middles = (sum(done["began"]) // 2, sum(done["ended"]) // 2)
        row["peers"] = {
            name: _apart(estimate(how, every, pings, middles, done["number"]), least, most) / MS
            for name, every, how in PEERS
        }
    return row


def _class(host: HostAnalysis, inside: Interval, found: Suspension | None) -> str:
    if found is not None:
        return "suspension, disputed" if found.contradicted else "suspension"
    kinds = {one.kind for one in host.outages if one.outer.overlaps(inside) and one.kind is not None}
    order = [OutageKind.MICRO_STOP, OutageKind.NETWORK, OutageKind.APPLICATION, OutageKind.OBSERVER]
    return next((one.value for one in order if one in kinds), "nothing")


def _apart(value: int, least: int, most: int) -> int:
    """How far a value lies outside the bracket; 0 inside."""
    return max(least - value, value - most, 0)


def _held(found: Suspension, done: dict[str, Any], least: int, most: int) -> dict[str, Any]:
    """Whether the claims hold. The truth lies somewhere in its brackets: a claim is wrong when it excludes all of them."""
    return {
        "hull": found.begin.lo_ns <= done["began"][1]
        and found.end.hi_ns >= done["ended"][0]
        and found.length.hi_ns >= least,
        "inner": found.length.lo_ns <= most,
        "likely": found.likely.lo_ns <= most and found.likely.hi_ns >= least,
        "likely_middle": found.likely.contains((least + most) // 2),
        "error_ms": _apart(found.best_ns, least, most) / MS,
        "off_ms": (found.best_ns - (least + most) / 2) / MS,
        "width_ms": found.length.length_ns / MS,
        "likely_width_ms": found.likely.length_ns / MS,
        "found_ms": [found.length.lo_ns / MS, found.length.hi_ns / MS],
        "begin_off_ms": [(found.begin.lo_ns - done["began"][1]) / MS, (found.begin.hi_ns - done["began"][0]) / MS],
        "end_off_ms": [(found.end.lo_ns - done["ended"][1]) / MS, (found.end.hi_ns - done["ended"][0]) / MS],
        "likely_ms": [found.likely.lo_ns / MS, found.likely.hi_ns / MS],
        "mechanisms": list(found.mechanisms),
    }


def violations(rows: Iterable[dict[str, Any]], made_up: int) -> list[str]:
    """What may never happen."""
    said = [f"{made_up} suspensions where nothing was done"] if made_up else []
    for row in rows:
        name = f"{row['hz']} Hz, trial {row['number']}, {row['kind']} {row['length_ms']} ms"
        if row.get("hull") is False and row["kind"] not in NOT_SUSPENDED:
            said.append(
                f"{name}: the hull does not hold the truth: {row['begin_off_ms']} {row['end_off_ms']} {row['found_ms']}"
            )
        if row["kind"] in NOT_SUSPENDED and row["class"].startswith("suspension"):
            said.append(f"{name}: called a {row['class']} of {row['found_ms']} ms")
    return said


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)
    at = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return {"median": statistics.median(ordered), "p95": at, "worst": ordered[-1]}


def summary_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A line for each rate, load and way of suspending."""
    groups: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["kind"] in (*SUSPENDED, *APART):
            load = "2 busy loops" if row["hogged"] else "quiet"
            if row["kind"] not in APART:
                groups[(row["hz"], f"{load}, all")].append(row)
            groups[(row["hz"], f"{load}, {row['kind']}")].append(row)
    lines = []
    for (hz, name), group in sorted(groups.items()):
        long = [row for row in group if row["length_ms"] >= 50]
        seen = [row for row in long if "hull" in row]
        known = [row for row in seen if row["truth_ms"][1] - row["truth_ms"][0] <= WELL_KNOWN_MS]
        lines.append(
            {
                "hz": hz,
                "what": name,
                "trials": len(group),
                "seen_from_50_ms": f"{len(seen)}/{len(long)}",
                "hull": _share([row["hull"] for row in group if "hull" in row]),
                "inner": _share([row["inner"] for row in group if "inner" in row]),
                "likely": _share([row["likely"] for row in group if "likely" in row]),
                "likely_middle": _share([row["likely_middle"] for row in group if "likely" in row]),
                "truth_known": f"{len(known)}/{len(seen)}",
                "error_ms": _quantiles([row["error_ms"] for row in known]),
                "off_ms": _quantiles([abs(row["off_ms"]) for row in known]),
                "bias_ms": statistics.median([row["off_ms"] for row in known]) if known else None,
                "width_ms": _quantiles([row["width_ms"] for row in seen]),
                "likely_width_ms": _quantiles([row["likely_width_ms"] for row in seen]),
                "truth_bracket_ms": _quantiles([row["truth_ms"][1] - row["truth_ms"][0] for row in group]),
            }
        )
    return lines


def _share(flags: Sequence[bool]) -> str:
    return f"{sum(flags)}/{len(flags)}"


def classes_of(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """How often what was done got which class."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        length = (
            ""
            if row["kind"] not in (*SUSPENDED, *APART)
            else ", below 50 ms"
            if row["length_ms"] < 50
            else ", from 50 ms"
        )
        found[f"{row['hz']} Hz, {row['kind']}{length}"][row["class"]] += 1
    return {name: dict(count.most_common()) for name, count in sorted(found.items())}


def peers_of(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The errors of the others' ways, in the same trials: suspended for 50 ms or more, quiet, both ways of losing frames."""
    same = [
        row
        for row in rows
        if row["hz"] == 100 and "hull" in row and "peers" in row and row["length_ms"] >= 50 and not row["hogged"]
    ]
    return {name: _quantiles([row["peers"][name] for row in same]) for name, _, _ in PEERS}
