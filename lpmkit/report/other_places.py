"""The observations that other places made of a run's host: figures of their own beside the run's, and which silence
was the path's (`lpmkit.analysis.other_places`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lpmkit.analysis import Analysis, HostAnalysis, Interval, Suspension, analyse, seconds
from lpmkit.analysis.other_places import ComparedSilence, Heard, compared, same_length
from lpmkit.analysis.summary import LENGTH_METHOD, figure
from lpmkit.errors import LpmError
from lpmkit.json_values import JsonObject
from lpmkit.migration.observers import Observer, observers_of, watch_of, why_not
from lpmkit.report.facts import clock_text
from lpmkit.runs.folder import Run


@dataclass(frozen=True, slots=True)
class PlaceFigure:
    """The suspension of one host as another place measured it in a run of its own; ``length`` is ``None`` where it
    found none. ``looked`` and ``compared`` are for people.
    """

    place: str
    host: str
    run: str
    length: Interval | None
    looked: str
    compared: str

    @property
    def suspended(self) -> str:
        """The length in seconds, for people."""
        return seconds(self.length) if self.length else "none found"

    def as_data(self) -> JsonObject:
        """The figure for ``summary.json``."""
        length = None if self.length is None else figure(self.length, LENGTH_METHOD)
        return {
            "place": self.place,
            "host": self.host,
            "run": self.run,
            "suspension": length,
            "looked": self.looked,
            "compared": self.compared,
        }


@dataclass(frozen=True, slots=True)
class SeenElsewhere:
    """The rows of a report on other places: their figures, the silences of both sides, and who did not watch."""

    figures: tuple[PlaceFigure, ...] = ()
    silences: tuple[dict[str, str], ...] = ()
    missing: tuple[str, ...] = ()


def seen_elsewhere(run: Run, analysis: Analysis) -> SeenElsewhere:
    """The figures and silences of a run's hosts as every other place saw them; each place that did not watch, or could
    not be read, is named with the reason.
    """
    figures, silences, missing = list[PlaceFigure](), list[dict[str, str]](), list[str]()
    try:
        observers = observers_of(run)
    except LpmError as error:
        return SeenElsewhere(missing=(f"not known which other places watched: {error}",))
    for observer in observers:
        why = why_not(run, observer)
        if why:
            missing.append(f"not observed from {observer.place}: {why}")
        if not observer.run:
            continue
        try:
            theirs = analyse(watch_of(run, observer))
        except LpmError as error:
            missing.append(f"not known what was observed from {observer.place}: {error}")
            continue
        pairs = list(_pairs(analysis, theirs))
        if not pairs and not why:
            missing.append(f"not observed from {observer.place}: no probe recorded anything there")
        for mine, other in pairs:
            figures.append(_figure(observer, mine, other, theirs))
            silences += [_row(observer, analysis, one) for one in compared(mine, other)]
    return SeenElsewhere(tuple(figures), tuple(silences), tuple(missing))


def rows_of_summary(seen: SeenElsewhere) -> JsonObject:
    """The part of ``summary.json`` on other places: nothing where none was to watch."""
    if not seen.figures and not seen.missing:
        return {}
    return {"other_places": {"figures": [one.as_data() for one in seen.figures], "missing": list(seen.missing)}}


def _pairs(ours: Analysis, theirs: Analysis) -> Iterator[tuple[HostAnalysis, HostAnalysis]]:
    """Each host with what the other place recorded of it."""
    known = {host.host: host for host in theirs.hosts if host.traces}
    for host in ours.hosts:
        if host.host in known:
            yield host, known[host.host]


def _figure(observer: Observer, ours: HostAnalysis, theirs: HostAnalysis, record: Analysis) -> PlaceFigure:
    still = theirs.suspension
    unseen = f", {record.unseen_s:.1f} s of it not observed" if record.unseen_s else ""
    return PlaceFigure(
        place=observer.place,
        host=theirs.host,
        run=observer.run,
        length=still.length if still else None,
        looked=f"{record.window.length_ns / 1e9:.0f} s{unseen}",
        compared=_agreement(ours.suspension, still),
    )


def _agreement(ours: Suspension | None, theirs: Suspension | None) -> str:
    if ours is None and theirs is None:
        return ""
    if ours is None or theirs is None:
        return f"only {'this observer' if theirs is None else 'that place'} shows a suspension"
    if same_length(ours.length, theirs.length):
        return "both bounds allow the same length"
    return "the bounds exclude each other: one of them holds a silence of its path"


def _row(observer: Observer, analysis: Analysis, silence: ComparedSilence) -> dict[str, str]:
    at_ns = silence.at_ns
    return {
        "from": "" if silence.is_ours else observer.place,
        "at": "" if at_ns is None else clock_text(analysis.wall.at(at_ns), 3)[11:],
        "kind": silence.kind.value,
        "length": seconds(silence.length),
        "told": _told(observer.place, silence),
        "within": "" if silence.within_ns is None else f"± {silence.within_ns / 1e6:.1f} ms",
    }


def _told(place: str, silence: ComparedSilence) -> str:
    """A sentence on what the other side heard meanwhile."""
    if silence.heard is Heard.UNKNOWN:
        if silence.within_ns is None:
            return "not compared: no clock of the host ties the clocks of both places"
        return "not known: too short for the clocks of both places, or not observed there"
    if silence.heard is Heard.YES and silence.is_ours:
        return f"{place} heard the host meanwhile, so it ran: the path from this observer was interrupted"
    if silence.heard is Heard.YES:
        return f"this observer heard the host meanwhile, so it ran: the path from {place} was interrupted"
    return f"{place} heard nothing either" if silence.is_ours else "this observer heard nothing either"
