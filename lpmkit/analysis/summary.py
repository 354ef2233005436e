"""The analysis as a JSON document: every figure with unit, bounds and method."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from lpmkit.analysis import wording
from lpmkit.analysis.coverage import rows as coverage_rows
from lpmkit.analysis.limits import Measured, effects_of
from lpmkit.analysis.model import (
    SECOND,
    Analysis,
    BrownOut,
    HostAnalysis,
    Interval,
    Outage,
    SessionOutage,
    Suspension,
    Trace,
)
from lpmkit.analysis.noise import alarms_an_hour
from lpmkit.analysis.oracle import as_dict
from lpmkit.analysis.verdict import questions_of
from lpmkit.json_values import JsonObject

METHODS = {
    "outer": "facts only: from the last sign of life before to the first one after, with the "
    "bounds of the clocks; always right",
    "inner": "from the moment when a punctual host would have spoken to the earliest moment from "
    "which its first sign of life may have started; as sure as the noise stated",
    "move": "from the command to the poll that found the partition running on the target; it arrived after the poll "
    "before that",
    "way closed": "begin and end of the silence of echo requests, or of the agreed suspension; its end "
    "lies after whatever our TCP sent and nobody acknowledged",
    "own TCP": "from that end to the session's first answer",
    "brown-out": "seconds after the resume in which clearly more than one in a hundred values exceeded "
    "the lead-in's 99 % point, until three in a row do not; known to a second",
    "late start": "from the resume, as a kernel that was asked shows it, to the first sign of a process",
    "false alarms": "upper 95 % Poisson limit for what the probe alone showed in the lead-in, where "
    "nothing happened; a suspension needs a second witness besides",
    "session": "by one open SSH session, asked on schedule; includes the waiting of TCP",
    **{code.value: text for code, text in wording.METHODS.items()},
    **{code.value: text for code, text in wording.LIKELY_BY.items()},
}
#: How the bounds of a suspension are made.
LENGTH_METHOD = METHODS["inner"] + " … " + METHODS["outer"]


def utc(wall_ns: int, digits: int = 3) -> str:
    """ISO time of day in UTC.

    >>> utc(1_700_000_000_123_000_000)
    '2023-11-14T22:13:20.123Z'
    """
    moment = datetime.fromtimestamp(wall_ns // SECOND, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{wall_ns % SECOND:09d}"[: 20 + digits] + "Z"


def summary(analysis: Analysis) -> JsonObject:
    """The analysis as JSON values. Times are UTC and nanoseconds on the observer's monotonic clock."""
    still = analysis.suspension
    return {
        "run": analysis.name,
        "mode": analysis.mode,
        "verdict": {
            "state": analysis.verdict.state.value,
            "line": analysis.verdict.sentence,
            "questions": list(questions_of(analysis.verdict)),
            **({"outcome": asdict(outcome)} if (outcome := analysis.verdict.outcome) else {}),
        },
        "suspension": _suspension(analysis, still) if still else None,
        "hosts": [_host(analysis, host) for host in analysis.hosts],
        "databases": [as_dict(database) for database in analysis.databases],
        "move": figure(analysis.move_bounds, METHODS["move"]) if analysis.move_bounds else None,
        "session_outage": figure(analysis.longest_wait, METHODS["session"]) if analysis.longest_wait else None,
        "effects": {
            name: _effect(figure)
            for name, figure in effects_of(analysis.hosts, analysis.sap, analysis.databases).items()
        },
        "window": _span(analysis, analysis.window),
        "record": _span(analysis, analysis.record),
        "looked": coverage_rows(analysis.coverage, analysis.wall),
        "not_observed": [_span(analysis, span) for span in analysis.holes],
        "own_stalls": {
            "count": len(analysis.stalls),
            "total": figure(Interval(*[sum(stall.length_ns for stall in analysis.stalls)] * 2), "own ticker"),
            "longest_s": max((stall.length_ns for stall in analysis.stalls), default=0) / SECOND,
            "threshold_s": analysis.monitor.threshold_ns / SECOND if analysis.monitor else None,
            "list": [_span(analysis, span) for span in analysis.stalls[:200]],
        },
        "phases": [{"phase": p.name, "began": _moment(analysis, p.since_ns), "why": p.why} for p in analysis.phases],
        "unreadable_lines": {name: count for name, count in analysis.unreadable.items() if count},
        "notes": list(analysis.notes),
        "methods": METHODS,
    }


def _host(analysis: Analysis, host: HostAnalysis) -> JsonObject:
    return {
        "host": host.host,
        "suspensions": [_suspension(analysis, suspension) for suspension in host.suspensions],
        "session_outages": [_session(analysis, session) for session in host.sessions],
        "brown_outs": [_brown_out(analysis, brown_out) for brown_out in host.brown_outs],
        "silences": [_outage(analysis, outage) for outage in host.outages],
        "probes": [_probe(analysis, trace) for trace in host.traces],
        "clock_steps": [
            {
                "clock": step.clock,
                "at": _span(analysis, step.at),
                "step": figure(step.step, "offset bounds"),
                "about": step.about,
            }
            for step in host.steps
        ],
        "clock_rates": [
            {
                "clock": rate.clock,
                "over": _span(analysis, rate.over),
                "faster": {
                    "low": rate.lo_ppm,
                    "high": rate.hi_ppm,
                    "unit": "ppm",
                    "method": "lines between the bounds of the offset",
                },
            }
            for rate in host.rates
        ],
        "clock_offset": figure(host.offset_ns, "round trips") if host.offset_ns else None,
        "notes": list(host.notes),
    }


def _suspension(analysis: Analysis, still: Suspension) -> JsonObject:
    return {
        "host": still.host,
        "length": figure(still.length, LENGTH_METHOD),
        "likely": {**figure(still.likely, still.likely_by.value), "confidence": 0.95, "best": still.best_ns / SECOND},
        "begin": _span(analysis, still.begin),
        "end": _span(analysis, still.end),
        "method": still.method.value,
        "mechanisms": list(still.mechanisms),
        "witnesses": [_outage(analysis, witness) for witness in still.witnesses],
        "disagreement": list(still.disagreement),
        "contradicted_by": list(still.contradicted),
        "clocks": [
            {
                "clock": clock.clock,
                "verdict": clock.verdict.value,
                "text": wording.CLOCK_VERDICTS[clock.verdict],
                "missed": figure(clock.missed, "offset before minus offset after"),
                "counted": figure(clock.counted, "length minus what it missed"),
            }
            for clock in still.clocks
        ],
        "own_stalls_within_s": still.stalled_ns / SECOND,
        "late_start": figure(still.late_start, METHODS["late start"]) if still.late_start else None,
    }


def _session(analysis: Analysis, session_outage: SessionOutage) -> JsonObject:
    return {
        "probe": session_outage.probe,
        "waited": {
            **figure(session_outage.bounds, METHODS["session"]),
            "typed_at_first_unanswered": session_outage.waited_ns / SECOND,
        },
        "began": _span(analysis, session_outage.began),
        "ended": _moment(analysis, session_outage.ended_ns),
        "after_resume": figure(
            session_outage.after_resume_ns, "end of the session's silence minus end of the suspension"
        )
        if session_outage.after_resume_ns
        else None,
        "slow_until": _moment(analysis, session_outage.slow_until_ns),
        "unanswered": session_outage.unanswered,
        "split": {
            "way_closed": figure(session_outage.split.path_ns, METHODS["way closed"]),
            "own_tcp_waited": figure(session_outage.split.waited_ns, METHODS["own TCP"]),
            "repeats": session_outage.split.repeats,
            "how": session_outage.split.how,
        }
        if session_outage.split
        else None,
        "same_login": session_outage.login or None,
    }


def _brown_out(analysis: Analysis, brown_out: BrownOut) -> JsonObject:
    return {
        "probe": brown_out.probe,
        "values": "lateness of ticks" if brown_out.kind == "ticks" else "round trips",
        "since": _moment(analysis, brown_out.since_ns),
        "lasted": figure(brown_out.lasted, METHODS["brown-out"]),
        "looked_s": brown_out.looked_ns / SECOND,
        "usual_median_s": brown_out.usual_ns / SECOND,
        "usual_p99_s": brown_out.high_ns / SECOND,
        "slow_median_s": None if brown_out.slow_median_ns is None else brown_out.slow_median_ns / SECOND,
        "worst_s": None if brown_out.worst_ns is None else brown_out.worst_ns / SECOND,
    }


def _outage(analysis: Analysis, outage: Outage) -> JsonObject:
    return {
        "probe": outage.probe,
        "class": outage.kind.value if outage.kind else None,
        "why": outage.why,
        "length": figure(outage.length, outage.method.value),
        "begin": _span(analysis, outage.begin),
        "end": _span(analysis, outage.end),
    }


def _probe(analysis: Analysis, trace: Trace) -> JsonObject:
    return {
        "probe": trace.probe,
        "kind": trace.kind,
        "segment": trace.segment,
        "interval_s": trace.interval_ns / SECOND,
        "paces": [
            {"since": _moment(analysis, since), "interval_s": interval / SECOND} for since, interval in trace.paces
        ],
        "signs_of_life": trace.signs,
        "noise": {
            "p99_9_s": trace.noise.quantile_ns / SECOND,
            "median_s": trace.noise.median_ns / SECOND,
            "worst_s": trace.noise.worst_ns / SECOND,
            "threshold_s": trace.noise.threshold_ns / SECOND,
            "basis": trace.noise.basis,
            "false_alarms": {
                "seen": trace.noise.alarms,
                "over_s": trace.noise.over_ns / SECOND,
                "at_most_an_hour": alarms_an_hour(trace.noise),
                "method": METHODS["false alarms"],
            },
        },
    }


def figure(bounds: Interval, method: str) -> JsonObject:
    """Bounds in seconds, with how they were made."""
    return {"low": bounds.lo_ns / SECOND, "high": bounds.hi_ns / SECOND, "unit": "s", "method": method}


def _effect(figure: Measured) -> JsonObject:
    """An effect as it is held against its limit; a bound that is not known is ``null``, with the reason."""
    return {"low": figure.low_s, "high": figure.high_s, "unit": "s", "of": figure.about, "why_not": figure.why_not}


def _moment(analysis: Analysis, mono_ns: int) -> JsonObject:
    return {"utc": utc(analysis.wall.at(mono_ns), 6), "mono_ns": mono_ns}


def _span(analysis: Analysis, span: Interval) -> JsonObject:
    return {
        "earliest": _moment(analysis, span.lo_ns),
        "latest": _moment(analysis, span.hi_ns),
        "width": span.length_ns / SECOND,
        "unit": "s",
    }
