"""The timeline of a write-up: what happened in the order of events, and our own requests by themselves."""

from __future__ import annotations

from lpmkit.report.timeline import TimelineEntry, moment_text, moments, own_requests
from lpmkit.report.writeup.document import Block, Facts, Section, Table, Text
from lpmkit.report.writeup.inputs import WriteUpInputs, both_times, instants, is_utc_here
from lpmkit.timeline import Event
from lpmkit.wording.words import Words

#: The fields of an event that are shown, where they are not the usual ones.
_DETAILS = {"arp": ("what", "address", "mac")}


def happened(source: WriteUpInputs) -> Section:
    """Events, log entries and suspensions; then what lpmkit itself asked for."""
    words = source.words
    blocks: list[Block] = [Text(words("timeline.about"))]
    # local times are a column only where they are not UTC
    shown = 1 if is_utc_here(source.analysis.wall.at(source.analysis.record.lo_ns)) else 2
    head = tuple(words(f"head.{name}") for name in (*("utc", "local")[:shown], "what"))
    rows = [(*_times(words, one)[:shown], _told(words, one)) for one in moments(source.analysis, source.events)]
    if rows:
        blocks.append(Table(head, tuple(rows)))
    asked = [(*both_times(words, one.wall_ns, 3)[:shown], _request(words, one)) for one in own_requests(source.events)]
    if asked:
        blocks.append(Table(head, tuple(asked), words("timeline.own")))
    clocks = [
        (
            host.host,
            words(
                "timeline.offset",
                bounds=" … ".join(words.number(ns / 1e6, 2) for ns in (host.offset_ns.lo_ns, host.offset_ns.hi_ns))
                + " ms",
            ),
        )
        for host in source.analysis.hosts
        if host.offset_ns is not None and abs(host.offset_ns.lo_ns) < 86400 * 10**9
    ]
    if clocks:
        blocks.append(Facts(tuple(clocks)))
    return Section("timeline", words("section.timeline"), tuple(blocks))


def _times(words: Words, moment: TimelineEntry) -> tuple[str, str]:
    """The time of an entry, in UTC and in local time: an instant of our clock, or the bounds of what is known."""
    if moment.lo_ns == moment.hi_ns:
        return both_times(words, moment.lo_ns, 3)
    return instants(words, moment.lo_ns, moment.hi_ns), instants(words, moment.lo_ns, moment.hi_ns, is_local=True)


def _told(words: Words, moment: TimelineEntry) -> str:
    event = moment.event
    if event is None:
        return moment_text(moment, words)
    data = event.data
    if event.kind == "phase":
        why = f" — {words.said(str(data['why']))}" if data.get("why") else ""
        return f"{words('event.phase')}: {words.said(str(data.get('phase')))}{why}"
    names = _DETAILS.get(event.kind, ("where", "probe", "error", "text"))
    details = [str(data[name]) for name in names if data.get(name)]
    said = "; ".join(words.said(one) for one in details)
    return ": ".join(filter(None, (words(f"event.{event.kind}"), said)))


def _request(words: Words, event: Event) -> str:
    """A request of ours, or its answer, as a sentence."""
    data = event.data
    if event.kind == "alert-log":
        return f"{words('event.alert-log')}: {data.get('path', '')}"
    what = words.or_as_it_came(f"request.{data.get('what')}", str(data.get("what") or ""))
    if event.kind == "approved":
        return words("event.approved", by=data.get("by", "?"))
    text = words(f"event.{event.kind}", what=what)
    if event.kind == "request":
        why = f": {words.said(str(data['why']))}" if data.get("why") else ""
        return f"{text} ({data.get('by', '?')}){why}"
    if event.kind == "answer":
        status = data.get("status")
        known = words("event.status", status=status) if status is not None else words("event.no_status")
        return ": ".join(filter(None, (f"{text} ({known})", words.said(str(data.get("text") or "")))))
    return text
