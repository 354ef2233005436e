"""The parts of a session outage by cause: the closed path to the host (or its standstill), and the wait of our own TCP
before it sent again.

A session that sends into a break hears nothing until TCP repeats what was lost, and TCP doubles its waits. So the
outage of a session ends some time after the way is open again. When it opened is bounded from three sides:

* *Echo requests* go out on their own schedule: the last one that was lost, and the first reply
  (`lpmkit.analysis.silences.asked_silences`).
* *Our TCP* reports when it sent what was lost (event ``tcp``): unacknowledged data was sent while the path was closed.
* The first sign of life of any probe, at the latest the session's own answer.

The first two are intersected; where they contradict each other (the path was open for a moment in between) the answer
is the hull of both, with a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from lpmkit.analysis.model import (
    MILLISECOND,
    SECOND,
    Interval,
    Outage,
    OutageKind,
    SessionOutage,
    Split,
    Suspension,
    Trace,
)
from lpmkit.json_values import JsonMapping
from lpmkit.timeline import Event

#: The moment at which TCP last sent is known to a kernel tick (10 ms at most) and the millisecond in which it is
#: reported.
_TICK_NS = 12 * MILLISECOND
#: The time before an answer in which TCP may have sent what was answered, even where the round trip is shorter.
_ANSWERED_NS = 30 * MILLISECOND
#: The time after the first lost question in which an arrival may have been under way already.
_UNDER_WAY_NS = 20 * MILLISECOND
#: A login event comes within this time after the silence that it belongs to.
_SOON_NS = 30 * SECOND
_LOGIN = ("remote_pid", "remote_started", "local_address", "remote_address")


@dataclass(frozen=True, slots=True)
class Waiting:
    """The record of our own TCP during one silence.

    ``lost_ns`` are the moments at which it sent data that was not acknowledged.
    """

    answered_ns: int
    lost_ns: tuple[int, ...]
    repeats: int
    all_acknowledged: bool


def waiting_of(event: JsonMapping) -> Waiting:
    """The waiting in the data of a ``tcp`` event."""
    rows = [dict(zip(event["columns"], row, strict=True)) for row in event["rows"]]
    answered = int(event["answered_ns"])
    *during, last = rows
    answering = answered - max(_ANSWERED_NS, 3 * 1000 * int(last["rtt_us"]))
    heard = [row for row in during if row["mono_ns"] < answering]
    acknowledged = max((int(row["mono_ns"]) - int(row["since_ack_ms"]) * MILLISECOND for row in heard), default=0)
    # lost is what was not acknowledged at the last look and TCP sent again: a kernel may take 40 ms and more to
    # acknowledge
    again = [row for row in during if row["unacked"] and row["total_retransmits"] < last["total_retransmits"]]
    sent = [int(row["mono_ns"]) - int(row["since_sent_ms"]) * MILLISECOND for row in again]
    lost = tuple(one for one in sent if max(acknowledged, event["silent_since_ns"] - _TICK_NS) <= one < answering)
    repeats = int(last["total_retransmits"]) - int(rows[0]["total_retransmits"]) + int(rows[0]["retransmits"])
    return Waiting(answered, lost, repeats, all_acknowledged=bool(heard) and not lost and not repeats)


def split_sessions(
    sessions: Iterable[SessionOutage],
    outages: Sequence[Outage],
    traces: Sequence[Trace],
    agreed: Sequence[Suspension],
    events: Sequence[Event],
) -> tuple[SessionOutage, ...]:
    """The same session outages, each with its `Split` and with the program that answered before and after."""
    told = [event for event in events if event.kind in ("tcp", "login", "session")]
    return tuple(
        replace(
            session,
            split=_split(session, outages, traces, agreed, _waiting(session, told)),
            login=_login(session, told),
        )
        for session in sessions
    )


def _waiting(session_outage: SessionOutage, events: Sequence[Event]) -> Waiting | None:
    mine = [
        waiting_of(event.data)
        for event in events
        if event.kind == "tcp" and event.data["probe"] == session_outage.probe
    ]
    return next((found for found in mine if abs(found.answered_ns - session_outage.ended_ns) <= SECOND), None)


def _split(
    session_outage: SessionOutage,
    outages: Sequence[Outage],
    traces: Sequence[Trace],
    agreed: Sequence[Suspension],
    waiting: Waiting | None,
) -> Split:
    way = _closed(session_outage, outages, traces, agreed)
    said, end = (
        [way.how],
        Interval(min(way.end.lo_ns, session_outage.ended_ns), min(way.end.hi_ns, session_outage.ended_ns)),
    )
    said.append(_retransmitted(waiting.repeats) if waiting else _not_looked(session_outage))
    lost = max(waiting.lost_ns, default=0) - _TICK_NS if waiting else 0
    if lost > end.hi_ns:
        end = Interval(end.lo_ns, session_outage.ended_ns)
        said.append(
            "what it sent after the first sign of life was lost too, so the path was open for a moment in between"
        )
    else:
        end = Interval(max(end.lo_ns, lost), end.hi_ns)
    path = Interval(max(0, min(way.least_ns, end.lo_ns - way.begin.hi_ns)), max(0, end.hi_ns - way.begin.lo_ns))
    own = Interval(session_outage.ended_ns - end.hi_ns, session_outage.ended_ns - end.lo_ns)
    if waiting and (waiting.all_acknowledged or not waiting.repeats):
        if waiting.all_acknowledged:
            said.append("everything sent was acknowledged, so it waited for the program on the host")
        else:
            said.append("nothing had to be sent again, so it waited for the program on the host")
        path, own = Interval(path.lo_ns, max(path.hi_ns, session_outage.ended_ns - way.begin.lo_ns)), Interval(0, 0)
    return Split(path, own, waiting.repeats if waiting else None, "; ".join(said))


def _retransmitted(times: int) -> str:
    """The count of retransmissions as text.

    >>> _retransmitted(0), _retransmitted(1)
    ('TCP retransmitted nothing', 'TCP retransmitted once')
    """
    return f"TCP retransmitted {({0: 'nothing', 1: 'once'}).get(times, f'{times} times')}"


def _not_looked(session_outage: SessionOutage) -> str:
    if session_outage.bounds.hi_ns < 250 * MILLISECOND:
        return "too short for TCP to retransmit anything"
    return "local TCP state not available (not Linux, or through a jump host)"


@dataclass(frozen=True, slots=True)
class _Closed:
    """The moments at which the path closed and opened, and the least time for which it was closed in between."""

    begin: Interval
    end: Interval
    least_ns: int
    how: str


def _closed(
    session_outage: SessionOutage, outages: Sequence[Outage], traces: Sequence[Trace], agreed: Sequence[Suspension]
) -> _Closed:
    """The break of the path by the best witness there is."""
    felt = Interval(session_outage.began.lo_ns, session_outage.ended_ns)
    kernels = {trace.probe for trace in traces if trace.kind == "icmp"}
    echoes = [
        other
        for other in outages
        if other.probe in kernels and other.kind is not OutageKind.OBSERVER and other.outer.overlaps(felt)
    ]
    if echoes:
        begin = min(other.begin for other in echoes)
        end = max((other.end for other in echoes), key=lambda edge: edge.hi_ns)
        if len(echoes) == 1:
            return _Closed(begin, end, 2**62, "by echo requests")
        least = sum(other.length.lo_ns for other in echoes)
        return _Closed(begin, end, least, f"by echo requests, with {len(echoes)} breaks in one outage of the session")
    still = next((other for other in agreed if other.outer.overlaps(felt)), None)
    begin = still.begin if still else session_outage.began
    latest = min(
        (_first_sign(trace, begin, session_outage.ended_ns) for trace in traces if trace.probe != session_outage.probe),
        default=session_outage.ended_ns,
    )
    earliest = min(latest, still.end.lo_ns if still else begin.lo_ns)
    return _Closed(begin, Interval(earliest, latest), 2**62, "by the suspension" if still else "by the session alone")


def _first_sign(trace: Trace, begin: Interval, ended: int) -> int:
    """The next arrival from a probe: not the moment at which the host made it, as a host that is cut off goes on
    ticking.
    """
    after = trace.answered[(trace.answered > begin.hi_ns + _UNDER_WAY_NS) & (trace.answered <= ended)]
    return int(after.min(initial=ended))


def _login(session_outage: SessionOutage, events: Sequence[Event]) -> str:
    """A sentence on whether the login is the same before and after, by the answering program and our socket."""
    mine = [event for event in events if event.data.get("probe", event.source) == session_outage.probe]
    before = [event for event in mine if event.kind == "session" and event.mono_ns <= session_outage.began.hi_ns]
    after = [
        event for event in mine if event.kind == "login" and 0 <= event.mono_ns - session_outage.ended_ns <= _SOON_NS
    ]
    again = [
        event
        for event in mine
        if event.kind == "session" and session_outage.began.hi_ns < event.mono_ns <= session_outage.ended_ns + SECOND
    ]
    if again:
        return "no: it had to log in again"
    if not before or not after:
        return (
            "not checked"
            if session_outage.bounds.hi_ns < 250 * MILLISECOND or not before
            else "not confirmed: no program answered"
        )
    was, now = before[-1].data, after[0].data
    same = all(was.get(name) == now.get(name) for name in _LOGIN)
    pid, since = now.get("remote_pid"), now.get("remote_started")
    ends = f", local end {now['local_address']}, remote end {now['remote_address']}" if "local_address" in now else ""
    return f"{'yes, ' if same else 'no: another '}process {pid} {_date(since)}{ends}"


def _date(since: Any) -> str:
    """The start of a process, in seconds since 1970 by the host's clock, as a date.

    >>> _date("1795993489.25"), _date(None)
    ('since 2026-11-29 23:04:49 UTC by its clock', '(start not known)')
    """
    try:
        return f"since {datetime.fromtimestamp(float(since), tz=UTC):%Y-%m-%d %H:%M:%S} UTC by its clock"
    except (TypeError, ValueError, OverflowError, OSError):
        return "(start not known)"
