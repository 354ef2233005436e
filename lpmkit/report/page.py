"""The report: one HTML file that needs nothing else, for the change record and for whoever doubts it.

`write_report` works out everything that can be worked out from a run folder: ``summary.json``, ``plots/``, ``samples.csv`` and ``report.html``. It can be
repeated at any time; all of it can be deleted and made again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from lpmkit.analysis import (
    Analysis,
    BrownOut,
    Interval,
    Noise,
    Outage,
    OutageKind,
    SessionOutage,
    alarms_an_hour,
    analyse,
    identity_of,
    same_boot,
    seconds,
    summary,
    utc,
)
from lpmkit.analysis.wording import CLOCK_VERDICTS
from lpmkit.control.codes import explain
from lpmkit.errors import RecordError
from lpmkit.plots.files import charts, write_charts
from lpmkit.prediction.history import RELIABLE_HEADINGS, history, reliability
from lpmkit.report.database import sections
from lpmkit.runs.folder import Run, write_document, write_file
from lpmkit.runs.rows import COLUMNS
from lpmkit.runs.samples import MISSING, NUMBERS, TEXTS, Piece, SampleFile, columns, pieces, texts
from lpmkit.sap.judge import Outcome as SapOutcome
from lpmkit.timeline import Event

#: What the common spreadsheets hold, with some room; of a longer record so much on either side of a suspension.
SPREADSHEET_ROWS, AROUND_NS = 1_000_000, 20_000_000_000
DERIVED = frozenset({"summary.json", "report.html", "samples.csv", "plots", "write-up"})
#: What each kind of probe can tell: (what it is, its bias).
WITNESSES: Mapping[str, tuple[str, str]] = {
    "ticks": (
        "ticks stamped inside the host on an absolute schedule",
        "begin uncertain by one tick, end almost not; a busy host ticks late, which is allowed for",
    ),
    "echo": (
        "lines asked and answered over an SSH session that stays open",
        "too long: TCP waits before it sends again; too coarse to say when within an interval",
    ),
    "ni": (
        "pings over a connection to the SAP dispatcher that stays open",
        "too long: TCP waits before it sends again; the dispatcher answers, so it says that SAP ran",
    ),
    "icmp": (
        "echo requests that the host's kernel answers",
        "too long or too short by up to an interval; answered also while no process of the host runs",
    ),
    "connect": (
        "new TCP connections that wait for the service to speak",
        "too long or too short by up to an interval; a lost first packet is sent again after a second",
    ),
    "sql": (
        "questions over a session with the database that stays open",
        "too long: a session is a queue, and TCP waits before it sends again; too coarse to say when within an interval",
    ),
    "commit": (
        "commits over a session with the database that stays open",
        "too long, as above, and by what the redo log takes",
    ),
    "logon": (
        "fresh logons to the database",
        "too long: a logon takes many round trips; says whether people can log on",
    ),
    "tnsping": (
        "pings of the database's listener",
        "too long or too short by up to an interval; speaks for the listener",
    ),
}
_TIMELINE = {
    "recorder-started",
    "recorder-ended",
    "probe-trouble",
    "session",
    "ni-connection",
    "ni-lost",
    "sap-way",
    "tail-over",
    "phase",
    "control-lost",
    "control-back",
    "intent",
    "answer",
    "disk-full",
    "disk-has-room",
    "log",
    "note",
    "request",
    "db-session",
    "alert-log",
}


def write_report(path: str | os.PathLike[str]) -> Path:
    """Work out the whole report of a run folder; returns the path of ``report.html``. Repeating it changes nothing but what the run added."""
    run = Run(path)
    return write_analysed(run, analyse(run))


def write_analysed(run: Run, analysis: Analysis) -> Path:
    """The files of the report from an analysis that is there already."""
    write_document(run.path, "summary", summary(analysis))
    write_charts(analysis, run.path / "plots", "svg")
    write_file(run.path / "samples.csv", samples_csv(run, analysis))
    return write_file(run.path / "report.html", render(run, analysis).encode())


def render(run: Run, analysis: Analysis) -> str:
    """The report as HTML."""
    environment = Environment(
        loader=PackageLoader("lpmkit"), autoescape=select_autoescape(default=True), trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.j2").render(**_content(run, analysis))


def _content(run: Run, analysis: Analysis) -> dict[str, Any]:
    events = run.events()
    survey, after = document_of(run, "survey"), document_of(run, "survey-after")
    drawn = _charts(run, analysis)
    return {
        "run": run,
        "analysis": analysis,
        "verdict": analysis.verdict,
        "figures": list(_figures(analysis)),
        "about": list(_about(run, analysis)),
        "charts": drawn,
        "databases": sections(analysis, drawn),
        "witnesses": list(witnesses_of(analysis)),
        "sessions": [session_row(analysis, one) for host in analysis.hosts for one in host.sessions],
        "silences": list(_silences(analysis)),
        "clocks": list(_clocks(analysis)),
        "timeline": list(_timeline(analysis, events)),
        "findings": findings_of(run),
        "validation": document_of(run, "validation"),
        "explained": [one.sentences() for one in explain(str((document_of(run, "validation") or {}).get("text", "")))],
        "identity": list(identity_changes(run)),
        "foreseen": list(_foreseen(run, analysis)),
        "foreseen_by": ((document_of(run, "prediction") or {}).get("before") or {}).get("basis", ""),
        "foreseen_from": list(known_before(document_of(run, "prediction"), survey)),
        "reliability": [one.words() for one in reliability(history(run.path.parent, until=run.path.name))],
        "reliability_headings": RELIABLE_HEADINGS,
        "sap": [
            {**_sap(outcome, events), "who": list(sap_identity(outcome.sid, survey, after))} for outcome in analysis.sap
        ],
        "gaps": list(survey_gaps(survey, after)),
        "unseen": list(not_looked_at(analysis, events)),
        "evidence": list(evidence(run.path)),
        "slow": [_slow(one) for host in analysis.hosts for one in host.brown_outs],
        "alarms": _alarms,
        "noises": [(name, noise) for host in analysis.hosts for name, noise in host.noises.items()],
        "ms": _ms,
        "seconds": seconds,
        "made": run.manifest.get("lpmkit", "?"),
    }


def document_of(run: Run, name: str) -> Any:
    try:
        return run.document(name)
    except RecordError:
        return None  # the analysis has noted it, and its note is in the report


def _ms(time_ns: int) -> str:
    return f"{time_ns / 1e6:,.1f} ms"


# --- the top --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """One of the numbers at the top: its name, the number, what stands below it."""

    name: str
    value: str
    note: str = ""


def _figures(analysis: Analysis) -> Iterator[KeyFigure]:
    still = analysis.suspension
    if still:
        best = f"most likely {still.best_ns / 1e9:.3f} s, 95 %: {seconds(still.likely)}"
        yield KeyFigure("suspended", seconds(still.length), best)
    else:
        yield KeyFigure("suspended", "none found", "no silence that all probes share")
    if analysis.longest_wait_ns is not None:
        note = "at the keyboard of an open SSH session"
        yield KeyFigure("session outage", f"{analysis.longest_wait_ns / 1e9:.3f} s", note)
    else:
        echo = any(trace.kind == "echo" for host in analysis.hosts for trace in host.traces)
        yield KeyFigure("session outage", "none seen" if echo else "not looked at", "open SSH session")
    if analysis.mode == "move":
        took = "not known" if analysis.move_ns is None else f"{analysis.move_ns / 1e9:.0f} s"
        yield KeyFigure("the whole move", took, "from the command to running on the target, as polled")
    yield KeyFigure("other silences", str(analysis.other_silences), "network, single service, micro-stops")
    unseen = sum(hole.length_ns for hole in analysis.holes) / 1e9
    stalled = sum(stall.length_ns for stall in analysis.stalls) / 1e9
    yield KeyFigure("not observed", f"{unseen:.1f} s", f"and this machine stood still for {stalled:.2f} s")


def _about(run: Run, analysis: Analysis) -> Iterator[tuple[str, str]]:
    facts, order = run.manifest, run.manifest.get("order")
    if isinstance(order, dict):
        yield "what", f"{order.get('partition', '?')} from {order.get('source', '?')} to {order.get('target', '?')}"
        if order.get("target_machine"):
            yield "target machine", str(order["target_machine"])
    else:
        yield "what", "watched " + ", ".join(host.host for host in analysis.hosts)
    yield "when", _when(analysis, analysis.record)
    yield "by", f"{facts.get('by', '?')} on {facts.get('observer', '?')}, lpmkit {facts.get('lpmkit', '?')}"
    yield "run", f"{run.name} ({facts.get('mode', '?')})"


def _when(analysis: Analysis, span: Interval) -> str:
    begin, end = analysis.wall.at(span.lo_ns), analysis.wall.at(span.hi_ns)
    local = [datetime.fromtimestamp(moment / 1e9, tz=UTC).astimezone() for moment in (begin, end)]
    zone = local[0].tzname() or "local time"
    return f"{_clock(begin)} … {_clock(end)[11:]} UTC ({local[0]:%H:%M:%S} … {local[1]:%H:%M:%S} {zone} where this report was made)"


def _clock(wall_ns: int, digits: int = 0) -> str:
    return utc(wall_ns, digits)[:-1].rstrip(".").replace("T", " ")


def _charts(run: Run, analysis: Analysis) -> dict[str, Markup]:
    found = {}
    for name in charts(analysis):
        path = run.path / "plots" / f"{name}.svg"
        if path.exists():
            found[name] = Markup(_inline(path.read_text(encoding="utf-8"), name))  # noqa: S704 - our own plots wrote it, escaped
    return found


def _inline(svg: str, name: str) -> str:
    """An SVG for inside HTML: without prologue, as wide as it is given, its ids its own."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) width="[^"]+"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]+"', r"\1", svg, count=1)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    return svg.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)


# --- tables ---------------------------------------------------------------------------------------------------------


def witnesses_of(analysis: Analysis) -> Iterator[dict[str, Any]]:
    for host in analysis.hosts:
        traces = {trace.probe: trace for trace in host.traces}
        kinds = {trace.probe: trace.kind for trace in host.traces}
        for still in host.suspensions:
            for one in still.witnesses:
                what, bias = WITNESSES.get(kinds[one.probe], ("a probe of one service", "speaks for its service only"))
                yield {
                    "name": one.probe,
                    "what": what,
                    "resolution": f"{traces[one.probe].interval_at(one.core.middle_ns) / 1e6:g} ms",
                    "bias": bias,
                    **_ends(analysis, one.length, one.begin, one.end),
                }
            yield {
                "name": "agreed",
                "agreed": True,
                "what": f"{host.host}, by {' and '.join(still.mechanisms)}",
                "resolution": "",
                "bias": f"95 %: {seconds(still.likely)}",
                **_ends(analysis, still.length, still.begin, still.end),
            }


def _ends(analysis: Analysis, length: Interval, begin: Interval, end: Interval) -> dict[str, str]:
    return {
        "length": seconds(length),
        "begin": f"{_clock(analysis.wall.at(begin.lo_ns), 3)[11:]} + {_ms(begin.length_ns)}",
        "end": f"{_clock(analysis.wall.at(end.hi_ns), 3)[11:]} − {_ms(end.length_ns)}",
    }


def session_row(analysis: Analysis, one: SessionOutage) -> dict[str, str]:
    after = one.after_resume_ns
    return {
        "probe": one.probe,
        "began": _clock(analysis.wall.at(one.began.hi_ns), 3)[11:],
        "waited": f"{one.waited_ns / 1e9:.3f} s",
        "bounds": seconds(one.bounds),
        "after": seconds(after) if after else "no suspension at that time",
        "closed": seconds(one.split.path_ns) if one.split else "not worked out",
        "tcp": seconds(one.split.waited_ns) if one.split else "not worked out",
        "how": one.split.how if one.split else "",
        "login": one.login,
        "unanswered": str(one.unanswered),
    }


def _slow(one: BrownOut) -> dict[str, str]:
    slow = one.slow_median_ns is not None and one.worst_ns is not None
    return {
        "probe": one.probe,
        "lasted": f"{one.lasted.lo_ns / 1e9:g} … {one.lasted.hi_ns / 1e9:g} s" if slow else "no second was slow",
        "usual": f"{_ms(one.usual_ns)}, {_ms(one.high_ns)}",
        "then": f"{_ms(one.slow_median_ns or 0)}, {_ms(one.worst_ns or 0)}" if slow else "",
        "looked": f"{one.looked_ns / 1e9:.0f} s",
    }


def _alarms(noise: Noise) -> str:
    most = alarms_an_hour(noise)
    if most is None:
        return "not known: no lead-in"
    return f"{noise.alarms} in {noise.over_ns / 1e9:.0f} s; at most {most:.3g} an hour"


def _silences(analysis: Analysis) -> Iterator[dict[str, str]]:
    for host in analysis.hosts:
        for one in host.outages:
            yield _silence(analysis, one)
    for hole in analysis.holes:
        yield {
            "kind": OutageKind.NOT_OBSERVED.value,
            "probe": "all",
            "at": _clock(analysis.wall.at(hole.lo_ns), 3)[11:],
            "length": f"{hole.length_ns / 1e9:.3f} s",
            "why": "no recorder was running",
        }


def _silence(analysis: Analysis, one: Outage) -> dict[str, str]:
    return {
        "kind": one.kind.value if one.kind else "not classed",
        "probe": one.probe,
        "at": _clock(analysis.wall.at(one.begin.lo_ns), 3)[11:],
        "length": seconds(one.length),
        "why": one.why,
    }


def _clocks(analysis: Analysis) -> Iterator[str]:
    for host in analysis.hosts:
        for still in host.suspensions:
            for reading in still.clocks:
                missed = f"missed {reading.missed.lo_ns / 1e6:.1f} … {reading.missed.hi_ns / 1e6:.1f} ms"
                yield f"{host.host}: its {reading.clock} clock {CLOCK_VERDICTS[reading.verdict]} ({missed})."
        for step in host.steps:
            size = f"{step.step.lo_ns / 1e6:+.1f} … {step.step.hi_ns / 1e6:+.1f} ms"
            at = _clock(analysis.wall.at(step.at.hi_ns), 1)[11:]
            yield f"{host.host}: its {step.clock} clock was set by {size} at {at} UTC; {step.about}."


def _timeline(analysis: Analysis, events: Sequence[Event]) -> Iterator[tuple[str, str, str, str]]:
    for event in events:
        if event.kind in _TIMELINE:
            at = f"{(event.mono_ns - analysis.window.lo_ns) / 1e9:+.1f}"
            yield _clock(event.wall_ns, 3)[11:], at, event.kind, f"{event.source}: {said_of(event)}"


def said_of(event: Event) -> str:
    data = event.data
    if event.kind == "phase":
        return f"{data.get('phase')}{' — ' + str(data['why']) if data.get('why') else ''}"
    if event.kind == "log":
        form = "its local time" if data.get("log") in ("syslog", "nmon") else "its local time, MMDDhhmmYY"
        return f"{data.get('where')} {data.get('log')} {data.get('stamp')} ({form}): {data.get('resource')}: {data.get('description')}"
    return ", ".join(f"{name} {_short(value)}" for name, value in data.items()) or event.kind


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 240 else text[:240] + " …"


def _sap(outcome: SapOutcome, events: Sequence[Event]) -> dict[str, Any]:
    """One SAP system: which way told what, its jobs, its log, what it was asked."""
    mine = [
        event
        for event in events
        if event.kind == "sap-load" and str(event.data.get("probe", "")).split("@")[0] == f"sap-{outcome.sid}"
    ]
    return {
        "sid": outcome.sid,
        "chart": f"sap-{outcome.sid}",
        "ways": [(question.replace("_", " "), ", then ".join(each)) for question, each in outcome.ways.items()],
        "jobs": [
            {
                "job": line.course.job.title,
                "runs": ", ".join(filter(None, (line.course.program, line.course.job.user))),
                "status": line.course.status.word,
                "verdict": line.verdict,
                "text": line.text,
                "delay": "" if line.delay_s is None else f"{round(line.delay_s):+d} s",
            }
            for line in sorted(outcome.jobs, key=lambda line: _SAP_ORDER.get(line.verdict, 4))
        ],
        "log": outcome.log,
        "load": list(_sap_load(mine)),
    }


def sap_identity(sid: str, *surveys: Any) -> Iterator[tuple[str, str, str]]:
    """Who SAP and its host said they are, before and after: (what, before, after)."""
    told: list[dict[str, Any]] = [
        next((one for one in (document or {}).get("sap") or () if one.get("system") == sid), {}) for document in surveys
    ]
    was, now = told
    labels = {
        "hardware_key": "hardware key (saplikey -get)",
        "machine_id": "uname -m",
        "machine_serial": f"machine serial (lsconf, by {now.get('ways', {}).get('lsconf', 'nobody')})",
    }
    for name, label in labels.items():
        if was.get(name) or now.get(name):
            yield label, shown(was.get(name)), shown(now.get(name))


_SAP_ORDER = {"fail": 0, "unknown": 1, "pass": 2}


def _sap_load(told: Sequence[Event]) -> Iterator[tuple[str, str, str]]:
    """(way, requests in all, requests a minute) as the probe counted them."""
    if not told:
        return
    began = min(event.mono_ns for event in told)
    last = told[-1]
    started = next((event.data.get("since_ns") for event in told if event.data.get("since_ns")), None)
    minutes = max(1 / 60, (last.mono_ns - int(started or began)) / 6e10)
    for way, count in sorted(last.data.get("requests", {}).items()):
        yield (
            way,
            str(count),
            f"{count / minutes:.0f} a minute, the bound for all ways is {last.data.get('limit_per_minute')}",
        )


def _foreseen(run: Run, analysis: Analysis) -> Iterator[tuple[str, str, str, str]]:
    """What was said before the move beside what happened: (what, P10 … P90, P50, really)."""
    kept = document_of(run, "prediction")
    if not isinstance(kept, dict) or not isinstance(kept.get("before"), dict):
        return
    actual = kept.get("actual") or {}
    found = analysis.suspension
    really = {
        "copy_s": actual.get("copy_s"),
        "whole_s": actual.get("whole_s"),
        "suspended_s": found.best_ns / 1e9 if found and found.best_ns else None,
    }
    for name, title, digits in (
        ("copy_s", "copy", 0),
        ("whole_s", "the whole move", 0),
        ("suspended_s", "suspension", 1),
    ):
        said, value = kept["before"][name], really[name]
        bounds = f"{said['p10']:.{digits}f} … {said['p90']:.{digits}f} s"
        yield title, bounds, f"{said['p50']:.{digits}f} s", "not known" if value is None else f"{value:.{digits}f} s"


def known_before(kept: Any, survey: Any) -> Iterator[tuple[str, str]]:
    """What the prediction was made from, of the partition's memory; what nobody could tell stands as not known, with the reason."""
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
        f"{paging} (more of it is more writing; not a rate of writing)",
        "not known" if rate is None else f"{rate / 1e6:.1f} MB/s",
    )
    if fitted_:
        yield "really sent in the first pass", _megabytes(fitted_.get("touched_bytes"))
        yield "really written, at first", f"{fitted_['dirty_bytes_per_s'] / 1e6:.1f} MB/s"


def _megabytes(value: Any, why: str = "") -> str:
    if not isinstance(value, int | float):
        return f"not known{f' ({why})' if why else ''}"
    return f"{value / 1048576:.0f} MiB"


def findings_of(run: Run) -> list[dict[str, Any]]:
    found = document_of(run, "findings")
    if isinstance(found, dict):
        found = found.get("findings")
    order = {"fail": 0, "unknown": 1, "warn": 2, "pass": 3}
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
        yield label.replace("_", " "), shown(old), shown(new), changed


def identity_changes(run: Run) -> Iterator[tuple[str, str, str, str]]:
    """Before and after as the run itself judged it, else as the two surveys show it."""
    judged = document_of(run, "changes")
    rows = [one for one in judged if isinstance(one, dict)] if isinstance(judged, list) else []
    if not rows:
        yield from compared(document_of(run, "survey"), document_of(run, "survey-after"))
    for row in rows:
        changed = str(row.get("change") or "not known")
        wrong = ", not as it should be" if row.get("as_it_should") is False else ""
        yield str(row.get("what", "")), shown(row.get("before")), shown(row.get("after")), changed + wrong


def shown(value: Any) -> str:
    if value in (None, "", [], {}):
        return "–"
    if isinstance(value, list):
        return ", ".join(" ".join(map(str, one)) if isinstance(one, list) else shown(one) for one in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def survey_gaps(*surveys: Any) -> Iterator[str]:
    """What a survey could not gather, however it says so."""
    for document, name in zip(surveys, ("before", "after"), strict=True):
        gaps = document.get("gaps") if isinstance(document, dict) else None
        for gap in gaps if isinstance(gaps, list) else []:
            text = "; ".join(str(value) for value in gap.values() if value) if isinstance(gap, dict) else str(gap)
            yield f"survey {name}: {text}"


def not_looked_at(analysis: Analysis, events: Iterable[Event]) -> Iterator[str]:
    """What was not looked at, and why."""
    for question in analysis.verdict.questions:
        if question.state.value == "not evaluated":
            yield f"{question.title.rstrip('?')}: {question.answer}"
    for event in events:
        if event.kind == "probe-trouble":
            yield f"{event.data.get('probe') or event.source}: {event.data.get('what', '')}"
    for hole in analysis.holes:
        yield f"{hole.length_ns / 1e9:.1f} s from {_clock(analysis.wall.at(hole.lo_ns), 1)[11:]} UTC: no recorder was running"
    for name, count in analysis.unreadable.items():
        if count:
            yield f"{name}: {count} line{'s' if count > 1 else ''} could not be read (cut off, as a kill leaves it)"
    for host in analysis.hosts:
        yield from (f"{host.host}: {note}" for note in host.notes)
    yield from analysis.notes


def evidence(folder: Path) -> Iterator[tuple[str, int, str]]:
    """(name, bytes, SHA-256) of everything that was recorded, not of what is worked out from it."""
    for found in sorted(folder.rglob("*")):
        parts = found.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts)
        if not found.is_file() or hidden or parts[0] in DERIVED or found.name == "recorder.lock":
            continue
        path = found
        try:
            content = path.open("rb")
        except FileNotFoundError:  # a recorder that ended meanwhile has packed it
            path = found.with_suffix(".parquet")
            content = path.open("rb")
        with content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        yield str(path.relative_to(folder)), path.stat().st_size, digest


# --- samples.csv ----------------------------------------------------------------------------------------------------


def samples_csv(run: Run, analysis: Analysis) -> Iterator[bytes]:
    """The samples of all probes as one table for a spreadsheet; ``utc`` is the time of day when the sample was answered, else sent.

    Of a record that no spreadsheet would hold (`SPREADSHEET_ROWS`) it has what lies around the suspensions; everything is in ``samples/``.
    """
    yield (",".join(["probe", "segment", "utc", *COLUMNS]) + "\n").encode()
    found = [(file, pieces(file, {})) for file in run.sample_files()]
    spans = None
    if sum(piece.rows for _, some in found for piece in some) > SPREADSHEET_ROWS:
        spans = [one.outer.widened(AROUND_NS) for host in analysis.hosts for one in host.suspensions[:5]]
    for file, some in found:
        for piece in some:
            if spans is None or any(span.overlaps(Interval(piece.lo_ns, piece.hi_ns)) for span in spans):
                yield _spreadsheet_rows(file, piece, analysis, spans)


def _spreadsheet_rows(file: SampleFile, piece: Piece, analysis: Analysis, spans: Sequence[Interval] | None) -> bytes:
    table, said = columns([piece]), texts([piece])
    moments = np.where(table.answered_ns == MISSING, table.sent_ns, table.answered_ns)
    moments = np.where(moments == MISSING, table.due_ns, moments)
    kept = np.ones(len(moments), dtype=np.bool_)
    if spans is not None:
        kept = np.logical_or.reduce([(moments >= span.lo_ns) & (moments <= span.hi_ns) for span in spans])
    text = io.StringIO()
    rows = zip(
        _days(moments[kept], analysis),
        *[_blank(getattr(table, name)[kept].tolist()) for name in NUMBERS],
        *[said[name][kept] for name in TEXTS],
        strict=True,
    )
    csv.writer(text, lineterminator="\n").writerows([file.probe, file.segment, *row] for row in rows)
    return text.getvalue().encode()


def _blank(values: list[int]) -> list[int | str]:
    return ["" if value == MISSING else value for value in values]


def _days(moments: Any, analysis: Analysis) -> list[str]:
    """ISO UTC with microseconds for many monotonic readings at once."""
    known = moments != MISSING
    wall = analysis.wall
    if not len(wall.mono_ns):
        return [""] * len(moments)
    base = int(wall.offset_ns[0])
    more = np.interp(
        np.where(known, moments, wall.mono_ns[0]) - wall.mono_ns[0],
        wall.mono_ns - wall.mono_ns[0],
        wall.offset_ns - base,
    )
    days = (np.where(known, moments, 0) + base + more.astype(np.int64)).astype("datetime64[ns]")
    texts = np.datetime_as_string(days, unit="us")
    return [f"{text}Z" if there else "" for text, there in zip(texts, known, strict=True)]
