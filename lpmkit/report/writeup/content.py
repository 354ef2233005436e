"""The content of a write-up from a run folder and its analysis: first what is signed, then the annex, a function for
each section.

All texts of lpmkit are in the chosen language, answers included. A machine's own messages stay as recorded:
they are evidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lpmkit.analysis import Analysis, Interval
from lpmkit.analysis.outcome import OutcomeKind
from lpmkit.checks.judging import is_inactive
from lpmkit.control.codes import explain
from lpmkit.errors import UsageError
from lpmkit.inventory import OperatingSystem
from lpmkit.json_values import JsonObject
from lpmkit.mapping.movers import movers_of
from lpmkit.report.facts import (
    document_of,
    evidence,
    findings_of,
    identity_changes,
    not_looked_at,
    sap_identity,
    shown,
    survey_gaps,
)
from lpmkit.report.writeup.document import Block, Document, Items, Picture, Section, Table, Text, Verbatim
from lpmkit.report.writeup.front import (
    back_out,
    deviations,
    figures_of,
    follow_up,
    header,
    sentence_of,
    sign_off,
)
from lpmkit.report.writeup.happened import happened
from lpmkit.report.writeup.inputs import (
    STATES,
    WriteUpInputs,
    both_times,
    facts_text,
    instants,
    questions_table,
    recorded_text,
    seconds_text,
    state_word,
)
from lpmkit.runs.away import disk_mapping
from lpmkit.runs.folder import Run
from lpmkit.runs.licences import read_sightings, stays
from lpmkit.runs.whereabouts import was_inactive
from lpmkit.sap.judge.values import JobLine
from lpmkit.sap.model import JobStatus
from lpmkit.survey.model import Survey
from lpmkit.wording.titles import check_title, remedy_text, who_text
from lpmkit.wording.words import Words


def written(run: Run, analysis: Analysis, words: Words) -> Document:
    """The write-up of a run, for any form."""
    source = WriteUpInputs(run, analysis, words)
    verdict = analysis.verdict
    title = words("title.move" if source.is_move else "title.watch", partition=source.partition)
    front = [make(source) for make in (header, deviations, back_out, follow_up, sign_off)]
    annex = [make(source) for make in (_questions, _scope, _before_after, _checks, happened, _measurements)]
    annex += [*_sap(source), *_databases(source)]
    annex += [make(source) for make in (_sessions, _licence, _unseen, _said, _evidence)]
    sections = [*front, *(replace(section, is_annex=True) for section in annex)]
    return Document(
        title=title,
        language=words.language,
        run=run.name,
        state=verdict.state.value,
        state_word=words(f"state.{verdict.state.value}"),
        sentence=sentence_of(source),
        figures=tuple(figures_of(source)),
        sections=tuple(section for section in sections if section.blocks),
        footer=words("footer", version=str(run.manifest.get("lpmkit", "?"))),
        states={word: words(f"state.{word}") for word in STATES},
        annex=words("annex"),
    )


def _questions(source: WriteUpInputs) -> Section:
    return Section("questions", source.words("section.questions"), (questions_table(source, ("",)),))


# --- what was changed and watched -----------------------------------------------------------------------------------


def _scope(source: WriteUpInputs) -> Section:
    words = source.words
    blocks: list[Block] = []
    watched = ", ".join(sorted({trace.probe for host in source.analysis.hosts for trace in host.traces}))
    if source.is_move:
        places = {side: source.order.get(side, "?") for side in ("source", "target")}
        blocks.append(Text(words(f"scope.{_scope_key(source)}", partition=source.partition, **places)))
    else:
        blocks.append(Text(words("scope.watch", hosts=source.partition)))
    blocks.append(Text(words("scope.watched", probes=watched or words("none"))))
    blocks.append(Text(f"{words('header.recorded')}: {recorded_text(source)}"))
    blocks.append(Text(f"{words('header.versions')}: {', '.join(_versions(source))}"))
    if movers := _movers(source):
        blocks.append(Text(movers))
    return Section("scope", words("section.scope"), tuple(blocks))


def _movers(source: WriteUpInputs) -> str:
    """The pairs of movers of an active move that the order named, or that were there to choose from; empty where the
    survey does not show it.
    """
    if not source.is_move or not isinstance(source.surveys[0], dict):
        return ""
    try:
        survey = Survey.from_dict(source.surveys[0])
        choice = movers_of(survey)
    except (ValueError, UsageError):  # of a version that cannot be read, or an order that firmware refused
        return ""
    if choice is None or is_inactive(survey):
        return ""
    how = "scope.movers_named" if choice.named else "scope.movers_listed"
    pairs = "; ".join(pair.words for pair in choice.pairs)
    return source.words(how, pairs=pairs, redundancy=source.words.said(choice.redundancy.value))


def _scope_key(source: WriteUpInputs) -> str:
    """The key of the sentence that says what was changed."""
    outcome = source.outcome
    if outcome.kind is OutcomeKind.UNPROVED:
        return "arrived"
    if outcome.is_there:
        return "moved_inactive" if was_inactive(source.events, str(source.order.get("source"))) else "move"
    return {
        OutcomeKind.NEEDS_RECOVERY: "incomplete",
        OutcomeKind.STAYED: "stayed",
        OutcomeKind.DOWN: "down",
        OutcomeKind.CALLED_OFF: "not_asked",
        OutcomeKind.NOT_ASKED: "not_asked",
    }.get(outcome.kind, "tried")


def _versions(source: WriteUpInputs) -> Iterator[str]:
    yield f"lpmkit {source.run.manifest.get('lpmkit', '?')}"
    before = source.surveys[0]
    if not isinstance(before, dict):
        return
    for side in ("source", "target"):
        for vios in _listed((before.get(side) or {}).get("vios")):
            yield f"{vios.get('name', '?')}: VIOS {vios.get('level', '?')}"
    identity = (before.get("guest") or {}).get("identity") or {}
    level, is_linux = identity.get("level"), identity.get("system") == OperatingSystem.LINUX
    if level:
        yield f"{source.partition}: {level if is_linux else f'AIX {level}'}"


def _listed(value: Any) -> list[JsonObject]:
    found = value if isinstance(value, list) else [value]
    return [one for one in found if isinstance(one, dict)]


# --- before and after -----------------------------------------------------------------------------------------------


def _before_after(source: WriteUpInputs) -> Section:
    if not source.is_move:
        return Section("before-after", "", ())
    words = source.words
    rows = [
        (
            words.or_as_it_came(f"fact.{what}", what),
            words.instant(was),
            words.instant(now),
            _changed(words, how, was != now),
        )
        for what, was, now, how in identity_changes(source.run)
    ]
    rows += [_row(words, name, was, now) for name, was, now in _held(words, *source.surveys)]
    for outcome in source.analysis.sap:
        for what, was, now in sap_identity(outcome.sid, *source.surveys):
            rows.append(_row(words, f"{outcome.sid}: {words.or_as_it_came(f'fact.{what}', what)}", was, now))
    if not rows:
        return Section("before-after", words("section.before-after"), (Text(words("no_survey")),))
    head = ("", *(words(f"head.{name}") for name in ("before", "after", "changed")))
    return Section("before-after", words("section.before-after"), (Table(head, tuple(rows)),))


def _changed(words: Words, how: str, differs: bool) -> str:
    word, _, wrong = how.partition(", ")
    text = words.or_as_it_came(f"changed.{word}", word)
    if word == "same" and differs:  # boot times, which are worked out from commands that print whole minutes
        text = f"{text} ({words('changed.minute')})"
    return f"{text}, {words('changed.wrong')}" if wrong else text


def _row(words: Words, name: str, was: str, now: str) -> tuple[str, str, str, str]:
    known = "–" not in (was, now)
    how = ("same" if was == now else "changed") if known else "not known"
    return words.or_as_it_came(f"fact.{name}", name), was, now, words.or_as_it_came(f"changed.{how}", how)


#: The facts of the partition that are compared as its frame lists them.
_PARTITION_FACTS = (
    "memory_mb",
    "proc_mode",
    "proc_units",
    "virtual_processors",
    "shared_proc_pool",
    "proc_compat_mode",
)


def _held(words: Words, before: Any, after: Any) -> Iterator[tuple[str, str, str]]:
    """Resources of the partition before and after: entitlement, pool, VIOS level, disk mapping."""
    was, now = _placed(before), _placed(after)
    if was is None and now is None:
        return
    for name in _PARTITION_FACTS:
        values = [None if one is None else one[1].get(name) for one in (was, now)]
        if any(value not in (None, "") for value in values):
            yield name, _figure(words, values[0]), _figure(words, values[1])
    levels = [[str(vios.get("level")) for vios in _listed(one[0].get("vios"))] if one else None for one in (was, now)]
    yield "VIOS", shown(levels[0]), shown(levels[1])
    mapped = [list(disk_mapping(one[0], one[1].get("name"))) if one else [] for one in (was, now)]
    if any(mapped):
        yield "mapping", "; ".join(mapped[0]) or "–", "; ".join(mapped[1]) or "–"


def _figure(words: Words, value: Any) -> str:
    """A value of the partition; a number as the language writes it."""
    return words.figure(value) if isinstance(value, float) else shown(value)


def _placed(survey: Any) -> tuple[JsonObject, JsonObject] | None:
    """The side on which a survey found the partition running, and how that side lists it."""
    if not isinstance(survey, dict):
        return None
    for side in ("source", "target"):
        found = survey.get(side) or {}
        for one in found.get("partitions") or ():
            if one.get("name") == survey.get("partition") and one.get("state") == "Running":
                return found, one
    return None


def _checks(source: WriteUpInputs) -> Section:
    words = source.words
    if not source.is_move:
        return Section("checks", "", ())
    found = findings_of(source.run)
    blocks: list[Block] = []
    if found:
        blocks.append(Text(", ".join(_counted(words, found))))
        rows = [
            (
                state_word(words, str(one.get("verdict"))),
                check_title(words, one),
                str(one.get("about", "")),
                facts_text(words, one),
                remedy_text(words, one, source.order),
                who_text(words, one),
            )
            for one in found
            if one.get("verdict") not in ("pass", "not applicable") and not one.get("only_firmware")
        ]
        head = tuple(words(f"head.{name}") for name in ("state", "check", "about", "facts", "remedy", "who"))
        if rows:
            blocks.append(Table(head, tuple(rows), states=(0,)))
        passed = [check_title(words, one) for one in found if one.get("verdict") == "pass"]
        if passed:
            blocks.append(Text(words("checks.passed", names="; ".join(dict.fromkeys(passed)))))
    else:
        blocks.append(Text(words("checks.none")))
    told = document_of(source.run, "validation")
    if isinstance(told, dict):
        passed_word = state_word(words, "passed" if told.get("passed") else "failed")
        blocks.append(Text(words("checks.validation", state=passed_word, status=shown(told.get("status")))))
        if told.get("text"):
            blocks.append(Verbatim(str(told["text"])))
            blocks += [
                Text(words("checks.explained", text=code.sentences(), code=code.code))
                for code in explain(str(told["text"]))
            ]
    else:
        blocks.append(Text(words("checks.no_validation")))
    return Section("checks", words("section.checks"), tuple(blocks))


def _counted(words: Words, found: list[JsonObject]) -> Iterator[str]:
    """The number of findings by verdict; unknowns that only the validation can tell are counted by themselves."""
    told = [one for one in found if not one.get("only_firmware")]
    for word in ("fail", "unknown", "warn", "pass", "not applicable"):
        count = sum(one.get("verdict") == word for one in told)
        if count:
            yield f"{count} × {state_word(words, word)}"
    if len(told) < len(found):
        yield words("checks.covered", count=len(found) - len(told))


# --- what happened --------------------------------------------------------------------------------------------------


def _measurements(source: WriteUpInputs) -> Section:
    words, analysis = source.words, source.analysis
    blocks: list[Block] = []
    rows: list[tuple[str, ...]] = []
    for host in analysis.hosts:
        for still in host.suspensions:
            for witness in still.witnesses:
                rows.append(
                    (witness.probe, seconds_text(words, witness.length), *_edges(source, witness.begin, witness.end))
                )
            best = words("measure.agreed", host=host.host)
            rows.append((best, seconds_text(words, still.length), *_edges(source, still.begin, still.end)))
            rows.append((words("measure.likely"), seconds_text(words, still.likely), "", ""))
    if rows:
        head = tuple(words(f"head.{name}") for name in ("witness", "suspended", "began", "ended"))
        blocks.append(Table(head, tuple(rows), words("measure.caption")))
    else:
        blocks.append(Text(words("measure.none")))
    for host in analysis.hosts:
        for still in host.suspensions:
            blocks += [Text(words("measure.disagreement", text=words.said(text))) for text in still.disagreement]
    if source.elsewhere.figures:
        head = tuple(words(name) for name in ("report.place", "report.host", "head.suspended", "report.compared"))
        places = (
            (one.place, one.host, words.said(one.suspended), words.said(one.compared))
            for one in source.elsewhere.figures
        )
        blocks.append(Table(head, tuple(places), words("measure.elsewhere")))
    # the tall one last: it takes a page of its own, and the others fill the one before
    for name in ("ladder", "latency", "wall"):
        blocks += _picture(source, name, f"picture.{name}")
    return Section("measurements", words("section.measurements"), tuple(blocks))


def _edges(source: WriteUpInputs, begin: Interval, end: Interval) -> tuple[str, str]:
    """The earliest and the latest begin and end, rounded outwards to milliseconds."""
    wall = source.analysis.wall
    first, last = (instants(source.words, wall.at(edge.lo_ns), wall.at(edge.hi_ns)) for edge in (begin, end))
    return first, last


def _picture(source: WriteUpInputs, name: str, key: str) -> list[Picture]:
    if not (source.run.path / "plots" / f"{name}.svg").exists():
        return []
    return [Picture(name, source.words(f"{key}.alt"), source.words(f"{key}.caption"))]


def _questions_of(source: WriteUpInputs, kind: str, sid: str) -> list[Block]:
    """The table of the questions about one SAP system or database; nothing where there are none."""
    keys = [one.key for one in source.analysis.verdict.questions]
    keys = [key for key in keys if key.startswith(f"{kind}-") and key.endswith(f"-{sid}")]
    return [questions_table(source, keys)] if keys else []


def _sap(source: WriteUpInputs) -> Iterator[Section]:
    words = source.words
    for outcome in source.analysis.sap:
        blocks = _questions_of(source, "sap", outcome.sid)
        rows = [
            (
                words(f"job.{line.verdict}") if line.verdict else "",
                line.course.job.title,
                line.course.program,
                words.said(line.course.word),
                words.said(line.text),
            )
            for line in outcome.jobs
            if _ran_meanwhile(line, source.analysis.record)
        ]
        if rows:
            head = tuple(words(f"head.{name}") for name in ("state", "job", "program", "status", "became"))
            blocks.append(Table(head, tuple(rows), states=(0,)))
        if len(rows) < len(outcome.jobs):
            blocks.append(Text(words("sap.other_jobs", count=len(outcome.jobs) - len(rows))))
        blocks += _picture(source, f"sap-{outcome.sid}", "picture.sap")
        yield Section(f"sap-{outcome.sid}", words("section.sap", sid=outcome.sid), tuple(blocks))


def _ran_meanwhile(line: JobLine, record: Interval) -> bool:
    """True if a job ran while it was recorded: one that only was scheduled, or had ended before, is left out."""
    course = line.course
    if line.verdict or course.status is JobStatus.RUNNING:
        return True
    ended = course.ended_ns if course.ended_ns is not None else course.gone_ns
    started = course.started_ns is not None and course.started_ns <= record.hi_ns
    return started and ended is not None and ended >= record.lo_ns


def _databases(source: WriteUpInputs) -> Iterator[Section]:
    words = source.words
    for found in source.analysis.databases:
        blocks = _questions_of(source, "oracle", found.sid)
        blocks += _picture(source, f"database-{found.sid}", "picture.database")
        yield Section(f"oracle-{found.sid}", words("section.oracle", sid=found.sid), tuple(blocks))


def _sessions(source: WriteUpInputs) -> Section:
    words, rows = source.words, []
    for host in source.analysis.hosts:
        for session in host.sessions:
            split = session.split
            path = seconds_text(words, split.path_ns) if split else words("not_known")
            tcp = seconds_text(words, split.waited_ns) if split else words("not_known")
            rows.append(
                (
                    session.probe,
                    f"{words.number(session.waited_ns / 1e9, 3)} s",
                    seconds_text(words, session.bounds),
                    path,
                    tcp,
                    str(session.unanswered),
                    words.said(session.login),
                )
            )
    head = tuple(words(f"head.{name}") for name in ("session", "waited", "bounds", "way", "tcp", "unanswered", "login"))
    blocks: tuple[Block, ...] = (
        (Text(words("sessions.about")), Table(head, tuple(rows))) if rows else (Text(words("sessions.none")),)
    )
    return Section("sessions", words("section.sessions"), blocks)


# --- what people have to do -----------------------------------------------------------------------------------------


def _licence(source: WriteUpInputs) -> Section:
    if not source.is_move:
        return Section("licence", "", ())
    words = source.words
    sightings, unreadable = read_sightings(source.run.path.parent)
    rows = [
        (
            f"{stay.frame} {stay.machine}".strip() or words("not_known"),
            "–" if stay.cores is None else _figure(words, stay.cores),
            _edge(words, stay.since),
            _edge(words, stay.until),
            ", ".join(stay.runs),
        )
        for stay in stays(source.partition, sightings.get(source.partition, ()))
    ]
    head = tuple(words(f"head.{name}") for name in ("frame", "cores", "since", "until", "by_run"))
    blocks: list[Block] = [Text(words("licence.about"))]
    blocks.append(Table(head, tuple(rows)) if rows else Text(words("licence.none")))
    if unreadable:
        blocks.append(Text(words("licence.unreadable", names=", ".join(unreadable))))
    asked = questions_table(source, ("sap-licence-",))
    if asked.rows:
        blocks.append(asked)
    return Section("licence", words("section.licence"), tuple(blocks))


def _edge(words: Words, bounds: tuple[int | None, int | None]) -> str:
    """The begin or end of a stay in whole seconds, rounded outwards as in the licence ledger."""
    earliest, latest = bounds
    if earliest is None or latest is None:
        return words("not_known")
    second = 1_000_000_000
    return f"{instants(words, earliest // second * second, -(-latest // second) * second)} UTC"


def _unseen(source: WriteUpInputs) -> Section:
    words = source.words
    texts = [*not_looked_at(source.analysis, source.events, words), *map(words.said, survey_gaps(*source.surveys))]
    texts += map(words.said, source.elsewhere.missing)
    if source.remarks[1]:
        texts.append(words("remarks.unreadable", count=source.remarks[1]))
    block: Block = Items(tuple(texts)) if texts else Text(words("unseen.none"))
    return Section("not-looked-at", words("section.not-looked-at"), (block,))


def _said(source: WriteUpInputs) -> Section:
    """Remarks by people."""
    words = source.words
    blocks: list[Block] = [
        Text(f"{both_times(words, one.wall_ns)[0]} UTC, {one.by}: {one.text}") for one in source.of_kind("remark")
    ]
    return Section("remarks", words("section.remarks"), tuple(blocks))


def _evidence(source: WriteUpInputs) -> Section:
    words = source.words
    rows = [(name, words.number(size), digest) for name, size, digest in evidence(source.run.path)]
    head = tuple(words(f"head.{name}") for name in ("file", "bytes", "sha256"))
    return Section("evidence", words("section.evidence"), (Table(head, tuple(rows), words("evidence.about")),))
