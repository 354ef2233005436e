"""The report: one self-contained HTML file for the change record and for auditors.

`write_report` works out everything that can be worked out from a run folder: ``summary.json``, ``plots/``,
``samples.csv`` and ``report.html``. It can be repeated at any time; all of it can be deleted and made again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lpmkit.analysis import (
    Analysis,
    analyse,
    seconds,
    summary,
)
from lpmkit.board.events import event_text
from lpmkit.board.follow import board_of
from lpmkit.board.page import assembled, parts
from lpmkit.checks.wording import count_rows, fact_value
from lpmkit.control.codes import explain
from lpmkit.json_values import JsonObject
from lpmkit.plots.files import Charts
from lpmkit.prediction.history import RELIABLE_HEADINGS, history, reliability
from lpmkit.prediction.moves import LABELS
from lpmkit.prediction.no_forecast import NoForecast, forecast_or_why
from lpmkit.report.database import sections
from lpmkit.report.facts import (
    actual_text,
    brownout_row,
    clock_ms,
    clock_rows,
    clock_text,
    document_of,
    evidence,
    false_alarms,
    findings_of,
    identity_changes,
    known_before,
    not_looked_at,
    predicted_figures,
    sap_identity,
    session_row,
    silence_rows,
    survey_gaps,
    witnesses_of,
)
from lpmkit.report.headings import with_headings
from lpmkit.report.other_places import SeenElsewhere, rows_of_summary, seen_elsewhere
from lpmkit.report.outputs import Outputs
from lpmkit.report.spreadsheet import samples_csv
from lpmkit.report.templates import page_template
from lpmkit.report.timeline import moment_text, moments
from lpmkit.runs.folder import Run, as_document
from lpmkit.sap.judge import SapOutcome
from lpmkit.timeline import Event
from lpmkit.wording.titles import check_title, question_title, remedy_text, who_text
from lpmkit.wording.words import ENGLISH, Words, words_of

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
    "note",
    "request",
    "guard",
    "arp",
    "approved",
    "db-session",
    "alert-log",
}


#: Folds of the board that are sections of the report.
_SECTIONS = ("questions", "checks")


def write_report(path: str | os.PathLike[str], output: Path | None = None, *, language: str = "en") -> Path:
    """Work out the whole report of a run folder; returns the path of ``report.html``. Repeating it changes nothing but
    what the run added.

    ``output`` is another folder for it, such as for an archive where nothing can be written. A signed report stays, and
    the new one is written beside it. Raises `NotFound` for an unknown language.
    """
    run = Run(path)
    return write_analysed(run, analyse(run), output, words_of(language))


def charts_of(analysis: Analysis, words: Words) -> Charts:
    """The charts of a run in a language."""
    return Charts(analysis, None if words.language == "en" else words.said)


def write_analysed(
    run: Run,
    analysis: Analysis,
    output: Path | None = None,
    words: Words = ENGLISH,
    charts: Charts | None = None,
) -> Path:
    """The files of the report from an analysis, and perhaps charts, that are there already.

    ``summary.json`` is English in every language.
    """
    to = Outputs(run, output)
    others = seen_elsewhere(run, analysis)
    to.write(to.folder / "summary.json", as_document({**summary(analysis), **rows_of_summary(others)}))
    drawn = (charts or charts_of(analysis, words)).write(to.folder / "plots", "svg", to.write)
    to.write(to.folder / "samples.csv", samples_csv(run, analysis))
    return to.write(to.folder / "report.html", render(run, analysis, drawn, words, others).encode())


def render(
    run: Run,
    analysis: Analysis,
    drawn: Mapping[str, Path],
    words: Words = ENGLISH,
    others: SeenElsewhere | None = None,
) -> str:
    """The report as HTML; ``drawn`` are the files of its charts by name, ``others`` what other places saw, which is
    read from their runs unless it is given.
    """
    others = seen_elsewhere(run, analysis) if others is None else others
    return with_headings(page_template("report.html.j2").render(**_content(run, analysis, drawn, words, others)))


def _content(
    run: Run, analysis: Analysis, files: Mapping[str, Path], words: Words, others: SeenElsewhere
) -> JsonObject:
    events = run.events()
    survey, after = document_of(run, "survey"), document_of(run, "survey-after")
    drawn = _charts(files)
    from lpmkit.report.first_page import first_page  # noqa: PLC0415 - the write-up makes this report beside itself

    board = board_of(run, summary=summary(analysis), language=words.language)
    folds = parts(replace(board, folds=tuple(fold for fold in board.folds if fold.key not in _SECTIONS)))["folds"]
    head = {name: html for name, html in parts(board).items() if name != "folds"}
    validation, findings = document_of(run, "validation"), findings_of(run)
    held = forecast_or_why(lambda: reliability(history(run.path.parent, until=run.path.name)))
    return {
        **_wording(run, analysis, words),
        "run": run,
        "board": Markup(assembled(head, words.language)),  # noqa: S704 - it escapes what it shows
        "folds": Markup(assembled({"folds": folds}, words.language)),  # noqa: S704 - as above
        "first": first_page(run, analysis, words),
        "counts": count_rows(findings),
        "analysis": analysis,
        "verdict": analysis.verdict,
        "charts": drawn,
        "databases": sections(analysis, drawn),
        "witnesses": list(witnesses_of(analysis)),
        "sessions": [session_row(analysis, session) for host in analysis.hosts for session in host.sessions],
        "silences": list(silence_rows(analysis)),
        "clocks": list(clock_rows(analysis)),
        "timeline": list(_timeline(analysis, events, words)),
        "findings": findings,
        "validation": validation,
        "answered": [_answered(one) for one in findings if one.get("only_firmware")] if _passed(validation) else [],
        "explained": [one.sentences() for one in explain(str((validation or {}).get("text", "")))],
        "identity": list(identity_changes(run)),
        "foreseen": list(_foreseen(run, analysis)),
        "foreseen_by": ((document_of(run, "prediction") or {}).get("before") or {}).get("basis", ""),
        "foreseen_from": list(known_before(document_of(run, "prediction"), survey)),
        "reliability": [] if isinstance(held, NoForecast) else [one.words() for one in held],
        "reliability_why": held.why if isinstance(held, NoForecast) else "",
        "reliability_headings": RELIABLE_HEADINGS,
        "sap": [
            {**_sap(outcome, events), "who": list(sap_identity(outcome.sid, survey, after))} for outcome in analysis.sap
        ],
        "gaps": list(map(words.said, survey_gaps(survey, after))),
        "others": others,
        "unseen": [*not_looked_at(analysis, events, words), *map(words.said, others.missing)],
        "evidence": list(evidence(run.path)),
        "slow": [brownout_row(brown_out) for host in analysis.hosts for brown_out in host.brown_outs],
        "alarms": false_alarms,
        "noises": [(name, noise) for host in analysis.hosts for name, noise in host.noises.items()],
        "fact": fact_value,
        "seconds": seconds,
        "made": run.manifest.get("lpmkit", "?"),
    }


def _wording(run: Run, analysis: Analysis, words: Words) -> JsonObject:
    """The functions with which the template writes in a language, and the verdict in it."""
    from lpmkit.report.writeup.front import sentence_of  # noqa: PLC0415 - the write-up makes this report beside itself
    from lpmkit.report.writeup.inputs import WriteUpInputs  # noqa: PLC0415 - as above

    order = run.manifest.get("order") or {}
    return {
        "words": words,
        "said": words.said,
        "said_all": lambda texts: "; ".join(map(words.said, texts)),
        "line": sentence_of(WriteUpInputs(run, analysis, words)),
        "title": lambda question: question_title(words, question.key, question.title),
        "check": partial(check_title, words),
        "remedy": lambda finding: remedy_text(words, finding, order),
        "who": partial(who_text, words),
        "ms": lambda time_ns: words.said(clock_ms(time_ns)),
    }


# --- the top --------------------------------------------------------------------------------------------------------


def _charts(files: Mapping[str, Path]) -> dict[str, Markup]:
    return {
        name: Markup(_inline(path.read_text(encoding="utf-8"), name))  # noqa: S704 - our own plots wrote it, escaped
        for name, path in files.items()
    }


def _inline(svg: str, name: str) -> str:
    """An SVG for inside HTML: without prologue, as wide as it is given, its ids its own."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) width="[^"]+"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]+"', r"\1", svg, count=1)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    return svg.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)


# --- tables ---------------------------------------------------------------------------------------------------------


def _timeline(analysis: Analysis, events: Sequence[Event], words: Words) -> Iterator[tuple[str, str, str, str]]:
    """Everything in the order of events; an entry of a log is placed by its stamp, not by when it was read."""
    begin_ns = analysis.wall.at(analysis.window.lo_ns)
    told = [
        (event.wall_ns, clock_text(event.wall_ns, 3)[11:], event.kind, words.said(_told(event)))
        for event in events
        if event.kind in _TIMELINE
    ]
    for moment in moments(analysis, events):
        if moment.event is None:
            first, last = (clock_text(edge, 3)[11:] for edge in (moment.lo_ns, -(-moment.hi_ns // 10**6) * 10**6))
            kind = "log" if moment.key in ("entry", "more") else "suspension"
            told.append((moment.rank_ns, f"{first} … {last}", kind, moment_text(moment, words)))
    for wall_ns, at, kind, text in sorted(told, key=lambda row: row[0]):
        yield at, f"{(wall_ns - begin_ns) / 1e9:+.1f}", kind, text


def _told(event: Event) -> str:
    """An event as a sentence behind the name of its source, which is there once."""
    name, text = event.source.removeprefix("probe:"), event_text(event)
    return text if text.startswith((f"{name}: ", f"{name} ")) else f"{name}: {text}"


def _passed(validation: Any) -> bool:
    return isinstance(validation, dict) and validation.get("passed") is True


def _answered(finding: JsonObject) -> JsonObject:
    """A finding that only the firmware could tell, once its validation has passed: nothing is left to do."""
    return {**finding, "verdict": "validated", "remedy": "", "who": ""}


def _sap(outcome: SapOutcome, events: Sequence[Event]) -> JsonObject:
    """One SAP system: its data sources, jobs, log and questions."""
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
                "status": line.course.word,
                "verdict": line.verdict,
                "text": line.text,
                "delay": "" if line.delay_s is None else f"{round(line.delay_s):+d} s",
            }
            for line in sorted(outcome.jobs, key=lambda line: _SAP_ORDER.get(line.verdict, 4))
        ],
        "log": outcome.log,
        "load": list(_sap_load(mine)),
    }


_SAP_ORDER = {"fail": 0, "unknown": 1, "pass": 2}


def _sap_load(told: Sequence[Event]) -> Iterator[tuple[str, str, str]]:
    """(way, requests in all, requests a minute) as the probe counted them."""
    if not told:
        return
    began = min(event.mono_ns for event in told)
    last = told[-1]
    started = next((event.data.get("since_ns") for event in told if event.data.get("since_ns")), None)
    minutes = max(1 / 60, (last.mono_ns - int(started or began)) / 6e10)
    limit = last.data.get("limit_per_minute")
    for way, count in sorted(last.data.get("requests", {}).items()):
        yield way, str(count), f"{count / minutes:.0f} a minute; limit for all SAP interfaces together: {limit}"


def _foreseen(run: Run, analysis: Analysis) -> Iterator[tuple[str, str, str, str]]:
    """Prediction beside the outcome: (what, P10 … P90, P50, actual)."""
    for one in predicted_figures(run, analysis):
        digits = 0 if one.figure in ("copy_s", "whole_s") else 1
        bounds = f"{one.predicted.p10:.{digits}f} … {one.predicted.p90:.{digits}f} s"
        yield LABELS[one.figure], bounds, f"{one.predicted.p50:.{digits}f} s", actual_text(one, digits)
