"""Facts about a run as rows for any form of report: probes, gaps, sessions, findings, identity, evidence."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpmkit.analysis import (
    Analysis,
    BrownOut,
    Interval,
    Noise,
    Outage,
    OutageKind,
    SessionOutage,
    alarms_an_hour,
    identity_of,
    in_utc,
    same_boot,
    seconds,
    utc,
)
from lpmkit.analysis.limits import effects_of
from lpmkit.analysis.wording import CLOCK_VERDICTS
from lpmkit.errors import RecordError
from lpmkit.json_values import JsonObject
from lpmkit.prediction.distributions import Quantiles
from lpmkit.prediction.moves import FIGURES, Prediction
from lpmkit.report.outputs import is_derived
from lpmkit.runs.files import name_text, open_plain, plain_files
from lpmkit.runs.folder import Run
from lpmkit.timeline import Event, outwards
from lpmkit.wording.titles import question_title
from lpmkit.wording.words import ENGLISH, Words

#: Each kind of probe: (description, bias).
WITNESSES: Mapping[str, tuple[str, str]] = {
    "ticks": (
        "ticks stamped inside the host on an absolute schedule",
        "begin uncertain by one tick, end hardly at all; late ticks of a busy host are allowed for",
    ),
    "echo": (
        "requests and replies over an open SSH session",
        "too long: TCP waits before it retransmits; resolution: one interval",
    ),
    "ni": (
        "pings over an open connection to the SAP dispatcher",
        "too long: TCP waits before it retransmits; the dispatcher answers, which proves that SAP ran",
    ),
    "icmp": (
        "echo requests that the host's kernel answers",
        "too long or too short by up to an interval; answered also while no process of the host runs",
    ),
    "ack": (
        "acknowledgements of the echo's requests by the host's kernel",
        "heartbeats only; after a loss TCP waits before it retransmits; acknowledged also while no process runs",
    ),
    "syn": (
        "connection requests that the host's kernel answers, while it acknowledges nothing",
        "heartbeats only; the end within an interval; answered also while no process runs",
    ),
    "connect": (
        "new TCP connections that wait for the service to speak",
        "too long or too short by up to an interval; a lost first packet is retransmitted after a second",
    ),
    "sql": (
        "queries over an open database session",
        "too long: queries wait for one another, and TCP waits before it retransmits; resolution: one interval",
    ),
    "commit": (
        "commits over an open database session",
        "too long, as above, and by the time of the redo log write",
    ),
    "logon": (
        "new logons to the database",
        "too long: a logon takes many round trips; shows whether users can log on",
    ),
    "tnsping": (
        "pings of the database's listener",
        "too long or too short by up to an interval; applies to the listener only",
    ),
}


def document_of(run: Run, name: str) -> Any:
    """A document of the run, or `None` if it is missing or unreadable."""
    try:
        return run.document(name)
    except RecordError:
        return None  # the analysis has noted it, and its note is in the report


def clock_ms(time_ns: int) -> str:
    """A duration in milliseconds as text."""
    return f"{time_ns / 1e6:,.1f} ms"


def clock_text(wall_ns: int, digits: int = 0) -> str:
    """A time of day in UTC as text."""
    return utc(wall_ns, digits)[:-1].rstrip(".").replace("T", " ")


def witnesses_of(analysis: Analysis) -> Iterator[JsonObject]:
    """Rows of the probes that saw each suspension, and of all together."""
    for host in analysis.hosts:
        traces = {trace.probe: trace for trace in host.traces}
        kinds = {trace.probe: trace.kind for trace in host.traces}
        for still in host.suspensions:
            for witness in still.witnesses:
                what, bias = WITNESSES.get(
                    kinds[witness.probe], ("a probe of one service", "applies to its service only")
                )
                yield {
                    "name": witness.probe,
                    "what": what,
                    "resolution": f"{traces[witness.probe].interval_at(witness.core.middle_ns) / 1e6:g} ms",
                    "bias": bias,
                    **_ends(analysis, witness.length, witness.begin, witness.end),
                }
            yield {
                "name": "all probes",
                "agreed": True,
                "what": f"{host.host}, by {', '.join(still.mechanisms)}",
                "resolution": "",
                "bias": f"95 %: {seconds(still.likely)}",
                **_ends(analysis, still.length, still.begin, still.end),
            }


def _ends(analysis: Analysis, length: Interval, begin: Interval, end: Interval) -> dict[str, str]:
    return {
        "length": seconds(length),
        "begin": edge_text(analysis.wall.at(begin.lo_ns), analysis.wall.at(begin.hi_ns)),
        "end": edge_text(analysis.wall.at(end.lo_ns), analysis.wall.at(end.hi_ns)),
    }


def edge_text(earliest_ns: int, latest_ns: int) -> str:
    """The earliest and the latest time of day of a moment, rounded outwards to milliseconds.

    >>> edge_text(1_700_000_000_251_900_000, 1_700_000_000_257_100_000)
    '22:13:20.251 … .258'
    >>> edge_text(1_700_000_000_999_000_000, 1_700_000_001_001_000_000)
    '22:13:20.999 … 22:13:21.001'
    """
    first, last = (clock_text(at, 3)[11:] for at in (earliest_ns, -(-latest_ns // 10**6) * 10**6))
    if first == last:
        return first
    return f"{first} … {last[8:] if first[:8] == last[:8] else last}"


def longest_session(analysis: Analysis) -> SessionOutage | None:
    """The open session that waited longest, or ``None`` where none was silent."""
    waits = (session for host in analysis.hosts for session in host.sessions)
    return max(waits, key=lambda one: one.bounds.hi_ns, default=None)


def session_row(analysis: Analysis, one: SessionOutage) -> dict[str, str]:
    """A session outage as a row."""
    after = one.after_resume_ns
    return {
        "probe": one.probe,
        "began": clock_text(analysis.wall.at(one.began.hi_ns), 3)[11:],
        "waited": f"{one.waited_ns / 1e9:.3f} s",
        "bounds": seconds(one.bounds),
        "after": seconds(after) if after else "no suspension at that time",
        "closed": seconds(one.split.path_ns) if one.split else "not worked out",
        "tcp": seconds(one.split.waited_ns) if one.split else "not worked out",
        "how": one.split.how if one.split else "",
        "login": one.login,
        "unanswered": str(one.unanswered),
    }


def brownout_row(one: BrownOut) -> dict[str, str]:
    """A brown-out as a row."""
    slow = one.slow_median_ns is not None and one.worst_ns is not None
    return {
        "probe": one.probe,
        "lasted": _tenths(one.lasted) if slow else "no second was slow",
        "usual": f"{clock_ms(one.usual_ns)}, {clock_ms(one.high_ns)}",
        "then": f"{clock_ms(one.slow_median_ns or 0)}, {clock_ms(one.worst_ns or 0)}" if slow else "",
        "looked": f"{one.looked_ns / 1e9:.0f} s",
    }


def _tenths(span: Interval) -> str:
    low, high = outwards(span.lo_ns, span.hi_ns, 1)
    return f"{low:.1f} … {high:.1f} s"


#: A bound of more false alarms an hour than this says only that the baseline was short.
RATE_KNOWN = 20.0


def false_alarms(noise: Noise) -> str:
    """False alarms during the baseline, and the bound of their rate."""
    most = alarms_an_hour(noise)
    if most is None:
        return "not known: no lead-in"
    seen = f"{noise.alarms} in {noise.over_ns / 1e9:.0f} s"
    if most > RATE_KNOWN:
        return f"{seen}; the baseline is too short to bound their rate"
    return f"{seen}; at most {most:.3g} an hour"


def silence_rows(analysis: Analysis) -> Iterator[dict[str, str]]:
    """Rows of all gaps, and of the times that were not observed."""
    for host in analysis.hosts:
        for outage in host.outages:
            yield _silence(analysis, outage)
    for hole in analysis.holes:
        yield {
            "kind": OutageKind.NOT_OBSERVED.value,
            "probe": "all",
            "at": clock_text(analysis.wall.at(hole.lo_ns), 3)[11:],
            "length": f"{hole.length_ns / 1e9:.3f} s",
            "why": "no recorder was running",
        }


def _silence(analysis: Analysis, one: Outage) -> dict[str, str]:
    return {
        "kind": one.kind.value if one.kind else "not classed",
        "probe": one.probe,
        "at": clock_text(analysis.wall.at(one.begin.lo_ns), 3)[11:],
        "length": seconds(one.length),
        "why": one.why,
    }


def clock_rows(analysis: Analysis) -> Iterator[str]:
    """Sentences on clocks that missed a suspension or were set."""
    for host in analysis.hosts:
        for still in host.suspensions:
            for reading in still.clocks:
                missed = f"missed {reading.missed.lo_ns / 1e6:.1f} … {reading.missed.hi_ns / 1e6:.1f} ms"
                yield f"{host.host}: its {reading.clock} clock {CLOCK_VERDICTS[reading.verdict]} ({missed})."
        for step in host.steps:
            size = f"{step.step.lo_ns / 1e6:+.1f} … {step.step.hi_ns / 1e6:+.1f} ms"
            at = clock_text(analysis.wall.at(step.at.hi_ns), 1)[11:]
            yield f"{host.host}: its {step.clock} clock was set by {size} at {at} UTC; {step.about}."


def sap_identity(sid: str, *surveys: Any) -> Iterator[tuple[str, str, str]]:
    """Identity of SAP and its host before and after: (what, before, after)."""
    told: list[JsonObject] = [
        next((one for one in (document or {}).get("sap") or () if one.get("system") == sid), {}) for document in surveys
    ]
    was, now = told
    labels = {
        "hardware_key": f"hardware key ({now.get('ways', {}).get('hardware_key', 'saplikey')} -get)",
        "machine_id": "uname -m",
        "machine_serial": f"machine serial (lsconf, by {now.get('ways', {}).get('lsconf', 'nobody')})",
    }
    for name, label in labels.items():
        if was.get(name) or now.get(name):
            yield label, shown(was.get(name)), shown(now.get(name))


@dataclass(frozen=True, slots=True)
class PredictedFigure:
    """A figure that was predicted, and its outcome in seconds: a value where ``low_s`` is ``high_s``, else its bounds.
    ``None`` for a bound that is not known; ``of`` says what was measured.
    """

    figure: str
    predicted: Quantiles
    low_s: float | None
    high_s: float | None
    of: str = ""


def predicted_figures(run: Run, analysis: Analysis) -> Iterator[PredictedFigure]:
    """The figures in seconds that were predicted before the move, each with its outcome; none without a prediction."""
    kept = document_of(run, "prediction")
    if not isinstance(kept, dict) or not isinstance(kept.get("before"), dict):
        return
    before, actual, still = Prediction.from_data(kept["before"]), kept.get("actual") or {}, analysis.suspension
    effects = effects_of(analysis.hosts, analysis.sap, analysis.databases)
    for name in (one for one in FIGURES if one.endswith("_s")):
        predicted = before.figure(name)
        if predicted is None:
            continue
        if name == "suspended_s":
            low, high = (still.length.lo_ns / 1e9, still.length.hi_ns / 1e9) if still else (None, None)
            yield PredictedFigure(name, predicted, low, high)
        elif name in effects:
            found = effects[name]
            yield PredictedFigure(name, predicted, found.low_s, found.high_s, found.about or found.why_not)
        else:
            yield PredictedFigure(name, predicted, actual.get(name), actual.get(name))


def actual_text(one: PredictedFigure, digits: int) -> str:
    """The outcome of a predicted figure as text; its bounds rounded outwards.

    >>> spread = Quantiles(1.0, 2.0, 3.0)
    >>> [actual_text(PredictedFigure("brown_out_s", spread, *bounds), 1) for bounds in ((1.26, 1.34), (2.0, None))]
    ['1.2 … 1.4 s', '2.0 s at least']
    >>> actual_text(PredictedFigure("copy_s", spread, 12.4, 12.4), 0)
    '12 s'
    """
    if one.low_s is None:
        return "not known"
    if one.low_s == one.high_s:
        return f"{one.low_s:.{digits}f} s"
    low, high = outwards(round(one.low_s * 1e9), round((one.high_s or 0.0) * 1e9), digits)
    return f"{low:.{digits}f} s at least" if one.high_s is None else f"{low:.{digits}f} … {high:.{digits}f} s"


def known_before(kept: Any, survey: Any) -> Iterator[tuple[str, str]]:
    """Inputs of the prediction about the partition's memory; unknown ones with the reason."""
    if not isinstance(kept, dict) or not isinstance(kept.get("inputs"), dict):
        return
    known, fitted_ = kept["inputs"], kept.get("fitted") or {}
    use = ((survey or {}).get("guest") or {}).get("memory") or {}
    missing = "; ".join(str(one) for one in use.get("missing") or ())
    yield "memory", _megabytes(known.get("memory_bytes"))
    yield "of it in use, at least", _megabytes(known.get("in_use_bytes"), missing)
    if use.get("mode"):
        yield "memory mode", str(use["mode"])
    rate = known.get("paging_bytes_per_s")
    watched = use.get("watched_s")
    paging = f"paging, watched for {watched:.1f} s" if isinstance(watched, int | float) else "paging"
    yield (
        f"{paging} (indicates write activity; no write rate)",
        "not known" if rate is None else f"{rate / 1e6:.1f} MB/s",
    )
    if fitted_:
        yield "really sent in the first pass", _megabytes(fitted_.get("touched_bytes"))
        yield "really written, at first", f"{fitted_['dirty_bytes_per_s'] / 1e6:.1f} MB/s"


def _megabytes(value: Any, why: str = "") -> str:
    if not isinstance(value, int | float):
        return f"not known{f' ({why})' if why else ''}"
    return f"{value / 1048576:.0f} MiB"


def findings_of(run: Run) -> list[JsonObject]:
    """The findings of the run, those that need attention first."""
    found = document_of(run, "findings")
    if isinstance(found, dict):
        found = found.get("findings")
    order = {"fail": 0, "unknown": 1, "warn": 2, "pass": 3, "not applicable": 4}
    rows = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return sorted(rows, key=lambda one: order.get(str(one.get("verdict")), 1))


def compared(before: Any, after: Any) -> Iterator[tuple[str, str, str, str]]:
    """(label, before, after, changed?) for every label of both documents' ``identity``."""
    was, now = (identity_of(document) for document in (before, after))
    if not was and not now:
        return
    for label in dict.fromkeys([*was, *now]):
        old, new = was.get(label), now.get(label)
        known = old not in (None, "") and new not in (None, "")
        same = old == new or ("boot" in label.lower() and same_boot(str(old), str(new)))
        changed = ("same" if same else "changed") if known else "not known"
        yield label.replace("_", " "), in_utc(shown(old)), in_utc(shown(new)), changed


def identity_changes(run: Run) -> Iterator[tuple[str, str, str, str]]:
    """Before and after as the run itself judged it, else as the two surveys show it."""
    judged = document_of(run, "changes")
    rows = [one for one in judged if isinstance(one, dict)] if isinstance(judged, list) else []
    if not rows:
        yield from compared(document_of(run, "survey"), document_of(run, "survey-after"))
    last = run.last_event("phase")
    stayed = last is not None and last.data.get("phase") in ("failed", "stopped")
    for row in rows:
        changed = str(row.get("change") or "not known")
        # earlier versions expected another frame after a move that was stopped or rolled back, too
        is_wrong = row.get("as_it_should") is False and not (stayed and changed == "same")
        wrong = ", not as it should be" if is_wrong else ""
        was, now = (in_utc(shown(row.get(side))) for side in ("before", "after"))
        yield str(row.get("what", "")), was, now, changed + wrong


def shown(value: Any) -> str:
    """A JSON value as text; a dash for nothing."""
    if value in (None, "", [], {}):
        return "–"
    if isinstance(value, list):
        return ", ".join(" ".join(map(str, one)) if isinstance(one, list) else shown(one) for one in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


#: A reason that begins with the machine that it is about.
_OF_MACHINE = re.compile(r"(\S+(?: \(through \S+\))?): (.+)", re.DOTALL)


def survey_gaps(*surveys: Any) -> Iterator[str]:
    """Facts that a survey could not gather; what is missing of several machines for one reason is named once.

    >>> gaps = [{"what": "multipath", "where": "p8a", "why": f"vios{number}: no root shell"} for number in (1, 2)]
    >>> list(survey_gaps({"gaps": gaps}, {"gaps": gaps[:1]}))
    ['survey before and after: multipath; vios1, vios2: no root shell']
    """
    told: dict[tuple[str, str], dict[str, list[str]]] = {}
    for document, name in zip(surveys, ("before", "after"), strict=True):
        gaps = document.get("gaps") if isinstance(document, dict) else None
        for gap in gaps if isinstance(gaps, list) else []:
            row = gap if isinstance(gap, dict) else {"why": gap}
            why = str(row.get("why") or "")
            match = _OF_MACHINE.fullmatch(why)
            where, reason = (match[1], match[2]) if match else (str(row.get("where") or ""), why)
            seen = told.setdefault((str(row.get("what") or ""), reason), {"when": [], "where": []})
            seen["when"] += [name] if name not in seen["when"] else []
            seen["where"] += [where] if where and where not in seen["where"] else []
    for (what, reason), seen in told.items():
        place = ": ".join(filter(None, (", ".join(seen["where"]), reason)))
        yield f"survey {' and '.join(seen['when'])}: {'; '.join(filter(None, (what, place)))}"


def not_looked_at(analysis: Analysis, events: Iterable[Event], words: Words = ENGLISH) -> Iterator[str]:
    """Questions that were not evaluated, and everything that was not looked at, with the reason."""
    for question in analysis.verdict.questions:
        if question.state.value == "not evaluated":
            yield f"{question_title(words, question.key, question.title).rstrip('?')}: {words.said(question.answer)}"
    yield from map(words.said, missed(analysis, events))


def missed(analysis: Analysis, events: Iterable[Event]) -> Iterator[str]:
    """Probes, times, lines and hosts that were not looked at, with the reason."""
    for event in events:
        if event.kind == "probe-trouble":
            yield f"{event.data.get('probe') or event.source}: {event.data.get('what', '')}"
    for hole in analysis.holes:
        yield (
            f"{outwards(0, hole.length_ns, 1)[1]:.1f} s from {clock_text(analysis.wall.at(hole.lo_ns), 1)[11:]} UTC: "
            "no recorder was running"
        )
    for name, count in analysis.unreadable.items():
        if count:
            yield f"{name}: {count} line{'s' if count > 1 else ''} could not be read (cut off, as a kill leaves it)"
    for host in analysis.hosts:
        yield from (f"{host.host}: {note}" for note in host.notes)
    yield from analysis.notes


def evidence(folder: Path) -> Iterator[tuple[str, int, str]]:
    """(name, bytes, SHA-256) of everything that was recorded, not of what is worked out from it."""
    for found in plain_files(folder):
        parts = found.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts)
        if hidden or is_derived(parts[0]) or found.name == "recorder.lock":
            continue
        path = found
        try:
            content = open_plain(path, "rb")
        except FileNotFoundError:  # a recorder that ended meanwhile has packed it
            path = found.with_suffix(".parquet")
            content = open_plain(path, "rb")
        with content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        yield name_text(path.relative_to(folder)), path.stat().st_size, digest
