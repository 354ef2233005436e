"""The questions about the SAP systems of a run folder: observations, snapshots and the connections to the dispatchers,
held against the suspension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lpmkit.analysis.coverage import end_of_watching, longest_between
from lpmkit.analysis.looks import in_words, unseen
from lpmkit.analysis.model import HostAnalysis, Interval
from lpmkit.analysis.record import Record
from lpmkit.errors import LpmError, UnexpectedReply
from lpmkit.json_values import JsonMapping
from lpmkit.rules.question import AnswerState, Question
from lpmkit.runs.folder import Run
from lpmkit.sap.job_history import Pause
from lpmkit.sap.judge import Case, NiLane, SapOutcome, judge
from lpmkit.sap.model import SapSnapshot
from lpmkit.sap.observation import SapObservation, read_observation
from lpmkit.sap.rules import SapRules
from lpmkit.settings.sap import SAP_INTERVALS, SapSystemSettings

#: Last phases of a move whose partition is where it was: stopped, refused or rolled back.
STAYED = ("failed", "stopped")


@cache
def _snapshots() -> TypeAdapter[tuple[SapSnapshot, ...]]:
    return TypeAdapter(tuple[SapSnapshot, ...])


def sap_outcomes(
    run: Run, record: Record, hosts: Sequence[HostAnalysis], documents: JsonMapping, notes: list[str]
) -> tuple[SapOutcome, ...]:
    """Every SAP system of the run, judged. What of it cannot be read is noted, never taken for absent."""
    found = []
    stayed = bool(record.phases) and record.phases[-1].name in STAYED
    for data in run.manifest.get("probes") or ():
        if data.get("kind") != "sap":
            continue
        try:
            settings = SapSystemSettings.model_validate(data["options"]["settings"])
            sid, probe = str(data["options"]["sid"]), str(data["name"])
        except (KeyError, TypeError, ValidationError) as error:
            notes.append(f"a SAP system of this run cannot be judged: {error}")
            continue
        observations = observations_of(run, probe, record, notes)
        case = Case(
            sid=sid,
            slo=settings.slo,
            observations=observations,
            pause=_pause(record, hosts, data.get("host", "")),
            before=_snapshot(documents.get("survey"), sid, notes),
            after=_snapshot(documents.get("survey-after"), sid, notes),
            lanes=tuple(_lanes(record, hosts, run, sid)),
            rules=_rules(data["options"], settings.rules, run, notes),
            watch_after_s=settings.watch_after_minutes * 60 if run.manifest.get("mode") == "move" else 0.0,
            moved=run.manifest.get("mode") == "move" and not stayed,
            instances=settings.instances,
            until_ns=record.window.hi_ns,
            every_s={**SAP_INTERVALS, **settings.every_s},
            target_serial=_target_serial(documents.get("survey")),
        )
        found.append(judge(case))
    return tuple(found)


def observations_of(run: Run, probe: str, record: Record, notes: list[str]) -> list[SapObservation]:
    """A probe's observations, on the first recorder's monotonic clock like everything in a `Record`."""
    found, unreadable = [], 0
    for row in run.observations(probe):
        shift = record.shifts.get(int(row.get("segment", 0)), 0)
        try:
            one = read_observation(row)
        except UnexpectedReply:
            unreadable += 1
            continue
        found.append(replace(one, asked_ns=one.asked_ns + shift, answered_ns=one.answered_ns + shift) if shift else one)
    if unreadable:
        notes.append(f"{probe}: {unreadable} observations could not be read")
    return found


def _pause(record: Record, hosts: Sequence[HostAnalysis], host: str) -> Pause:
    """The suspension of the host, else of the longest; without one the time from the begin of the move to its end, or
    nothing at all.
    """
    mine = [one for one in hosts if one.host == host and one.suspension] or [one for one in hosts if one.suspension]
    still = max((one.suspension for one in mine if one.suspension), key=lambda one: one.length.hi_ns, default=None)
    if still is not None:
        return Pause(still.begin.lo_ns, still.end.hi_ns)
    begin = next((phase.since_ns for phase in record.phases if phase.name != "prepared"), None)
    finals = [one.since_ns for one in record.phases if one.name in ("settled", "failed", "stopped", "needs-recovery")]
    if begin is not None:
        return Pause(begin, max([begin, *finals]))
    # A watch without any suspension: everything after its first look is compared with that.
    first = record.span.lo_ns + min(30_000_000_000, record.span.length_ns // 2)
    return Pause(first, first)


def _snapshot(document: Any, sid: str, notes: list[str]) -> SapSnapshot | None:
    rows = document.get("sap") if isinstance(document, dict) else None
    if not rows:
        return None
    try:
        return next((one for one in _snapshots().validate_python(rows) if one.system == sid), None)
    except ValidationError as error:
        notes.append(f"the snapshot of {sid} cannot be read: {error}")
        return None


def _target_serial(survey: Any) -> str:
    """The serial number of the target frame, as the survey read it; empty where it did not."""
    frame = ((survey or {}).get("target") or {}).get("frame") or {} if isinstance(survey, dict) else {}
    return str(frame.get("serial") or "")


def _rules(options: JsonMapping, own: Path | None, run: Run, notes: list[str]) -> SapRules:
    """The rules that judged this run: lpmkit's, and before them the site's own as the run keeps them.

    Older runs keep the path alone. A file that has changed since is not read, because it would judge an old run by new
    rules.
    """
    if "rules" in options:
        rules, trouble = SapRules.kept(options["rules"])
    elif own is None:
        return SapRules.standard()
    else:
        rules, trouble = _rules_by_path(own, run)
    if trouble:
        notes.append(f"only lpmkit's rules judged SAP's log, without the site's own: {trouble}")
    return rules


def _rules_by_path(own: Path, run: Run) -> tuple[SapRules, str]:
    try:
        if own.stat().st_mtime > datetime.fromisoformat(str(run.manifest["created"])).timestamp() + 1.0:
            return SapRules.standard(), f"the rules file {own} is newer than this run, which kept its path alone."
        return SapRules.standard(own), ""
    except OSError as error:
        why = error.strerror or error
        return (
            SapRules.standard(),
            f"the rules file {own}, of which this run kept the path alone, cannot be read: {why}.",
        )
    except (LpmError, KeyError, ValueError) as error:
        return SapRules.standard(), f"{own}: {error}" if not isinstance(error, LpmError) else str(error)


def _lanes(record: Record, hosts: Sequence[HostAnalysis], run: Run, sid: str) -> list[NiLane]:
    found = []
    for data in run.manifest.get("probes") or ():
        if data.get("kind") != "ni" or not str(data.get("name", "")).startswith(f"sap-ni-{sid}-"):
            continue
        probe = str(data["name"])
        events = [event for event in record.events if event.data.get("probe") == probe]
        waits = [session.waited_ns / 1e9 for host in hosts for session in host.sessions if session.probe == probe]
        traces = [trace for host in hosts for trace in host.traces if trace.probe == probe]
        found.append(
            NiLane(
                probe=probe,
                connections=sum(event.kind == "ni-connection" for event in events),
                lost=sum(event.kind == "ni-lost" for event in events),
                longest_s=max(waits, default=None),
                answered=any(len(trace.alive_lo) for trace in traces),
                trouble=next((str(event.data.get("what")) for event in events if event.kind == "probe-trouble"), ""),
                unseen=_unseen(record, hosts, probe),
            )
        )
    return found


def _unseen(record: Record, hosts: Sequence[HostAnalysis], probe: str) -> str:
    """The stretches since the begin of the move in which a connection's probe asked nothing, in words."""
    sources = [source for group in record.sources.values() for source in group if source.probe == probe]
    span = Interval(record.window.lo_ns, max(record.window.lo_ns, min(record.window.hi_ns, end_of_watching(record))))
    asked = [sent for source in sources for sent in source.between(span).sent.tolist()]
    excused = [still.outer for host in hosts for still in host.suspensions]
    return in_words(unseen(asked, span, longest_between(sources), excused), span)


def questions_of_sap(outcomes: Sequence[SapOutcome]) -> tuple[Question, ...]:
    """The answers as questions of the verdict; a single "not looked at" where the site file names no SAP system."""
    if not outcomes:
        return (
            Question(
                "sap", "SAP sessions and work?", AnswerState.NOT_EVALUATED, "no SAP system was watched", counts=False
            ),
        )
    return tuple(question for outcome in outcomes for question in outcome.questions)
