"""Audit records, from the events of a run: who asked, approved, stopped, forced, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lpmkit.json_values import JsonMapping
from lpmkit.timeline import Event

#: Severities as syslog counts them (RFC 5424, 6.2.1).
ERROR, WARNING, NOTICE, INFORMATIONAL = 3, 4, 5, 6


class Action(StrEnum):
    """The action that an audit record reports."""

    STARTED = "started"  #: a person had the recorder started, which asks for the move after its baseline
    ATTACHED = "attached"  #: another recorder goes on
    APPROVED = "approved"  #: an approval counted
    REQUESTED = "requested"  #: the command to move is sent to the manager
    ANSWERED = "answered"  #: a manager answered a command
    STOP_REQUESTED = "stop-requested"
    RECOVERY_REQUESTED = "recovery-requested"
    GUARD = "guard"  #: a bound was exceeded
    PHASE = "phase"
    ENDED = "ended"  #: the recorder ended


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One audit record. ``number`` is that of its event in the run, from 1: with ``run`` it is the record's identity.

    ``by`` is the person or the part of lpmkit that acted, ``outcome`` the phase or the answer, ``forced`` true for a
    recovery despite errors. ``wall_ns`` are nanoseconds since 1970.
    """

    number: int
    wall_ns: int
    run: str
    mode: str
    partition: str
    source: str
    target: str
    action: Action
    by: str
    outcome: str
    forced: bool
    severity: int
    text: str
    observer: str = ""

    @property
    def identity(self) -> str:
        """The identity of the record: sent twice, it is the same."""
        return f"{self.run}/{self.number}"


#: The reading of an event: action, person, outcome, severity, sentence. ``None`` for one that is no audit record.
_Reading = tuple[Action, str, str, int, str]
LPMKIT = "lpmkit"
_FINAL = {"settled": NOTICE, "stopped": WARNING, "failed": ERROR, "needs-recovery": ERROR}


def _started(data: JsonMapping, what: str) -> _Reading:
    by = str(data.get("by", ""))
    if data.get("resumed"):
        return Action.ATTACHED, by, "", NOTICE, f"{by or 'somebody'} had another recorder started on {what}"
    return Action.STARTED, by, "", NOTICE, f"{by or 'somebody'} started {what}"


def _approved(data: JsonMapping, what: str) -> _Reading:
    signed = ", signed" if data.get("signed") else ""
    return Action.APPROVED, str(data.get("by", "")), "", NOTICE, f"{data.get('by')} approved {what}{signed}"


def _intent(data: JsonMapping, what: str) -> _Reading | None:
    if data.get("what") != "migrate":
        return None  # the request of a person has a record of its own
    return Action.REQUESTED, LPMKIT, "", NOTICE, f"the manager is asked for {what}"


def _answer(data: JsonMapping, what: str) -> _Reading:
    status, command = data.get("status"), {"migrate": "move"}.get(str(data.get("what")), str(data.get("what")))
    if status is None:
        return Action.ANSWERED, LPMKIT, "no answer", WARNING, f"{command}: no answer; {data.get('text', '')}"
    outcome = "accepted" if status == 0 else "refused"
    severity = INFORMATIONAL if status == 0 else ERROR
    text = str(data.get("text", "")).strip()
    return Action.ANSWERED, LPMKIT, outcome, severity, f"{command}: {outcome}{f'; {text}' if text else ''}"


def _request(data: JsonMapping, what: str) -> _Reading | None:
    by, forced = str(data.get("by", "")), " despite errors" if data.get("force") else ""
    if data.get("what") == "stop":
        return Action.STOP_REQUESTED, by, "", WARNING, f"{by or 'somebody'} asked to stop {what}"
    if data.get("what") == "recover":
        severity = ERROR if forced else WARNING
        return Action.RECOVERY_REQUESTED, by, "", severity, f"{by or 'somebody'} asked to recover {what}{forced}"
    return None


def _guard(data: JsonMapping, _: str) -> _Reading:
    return Action.GUARD, LPMKIT, str(data.get("what", "")), WARNING, str(data.get("text", ""))


def _phase(data: JsonMapping, what: str) -> _Reading:
    phase = str(data.get("phase"))
    text = f"{what}: {phase}" + (f", {data['why']}" if data.get("why") else "")
    return Action.PHASE, LPMKIT, phase, _FINAL.get(phase, INFORMATIONAL), text


def _ended(data: JsonMapping, what: str) -> _Reading:
    code = str(data.get("code", ""))
    severity = ERROR if code in ("trouble", "defect") else NOTICE
    return Action.ENDED, LPMKIT, code, severity, f"the record of {what} ended: {data.get('reason', '')}"


_READERS: Mapping[str, Callable[[JsonMapping, str], _Reading | None]] = {
    "recorder-started": _started,
    "approved": _approved,
    "intent": _intent,
    "answer": _answer,
    "request": _request,
    "guard": _guard,
    "phase": _phase,
    "recorder-ended": _ended,
}


def audit_records(run: str, manifest: JsonMapping, events: Iterable[Event], first: int = 1) -> list[AuditRecord]:
    """The audit records of events, the first of which has the number ``first`` in its run."""
    order: Any = manifest.get("order") or {}
    hosts = ", ".join(map(str, manifest.get("hosts") or ()))
    partition = str(order.get("partition", hosts))
    source, target = str(order.get("source", "")), str(order.get("target", ""))
    what = f"the move of {partition} from {source} to {target}" if order else f"the watch of {hosts}"
    records = []
    for number, event in enumerate(events, first):
        reader = _READERS.get(event.kind)
        reading = None if reader is None else reader(event.data, what)
        if reading is None:
            continue
        action, by, outcome, severity, text = reading
        records.append(
            AuditRecord(
                number,
                event.wall_ns,
                run,
                str(manifest.get("mode", "")),
                partition,
                source,
                target,
                action,
                by,
                outcome,
                event.data.get("force") is True,
                severity,
                " ".join(text.split()),
                str(manifest.get("observer", "")),
            )
        )
    return records
