"""The events of a run that people want to see, in their order, with the suspension among them."""

from __future__ import annotations

from collections.abc import Mapping

from lpmkit.board.banner import bounds_of
from lpmkit.board.events import event_text
from lpmkit.board.model import Happening
from lpmkit.board.view import View
from lpmkit.board.wording import at_most, of_day
from lpmkit.runs.whereabouts import stayed
from lpmkit.timeline import Event, TroubleCode, trouble_code
from lpmkit.wording.counts import plural

#: The newest of them that the board shows.
SHOWN = 9
_KINDS = frozenset(
    {
        "phase",
        "request",
        "answer",
        "control-lost",
        "control-back",
        "probe-trouble",
        "ni-lost",
        "disk-full",
        "disk-has-room",
        "approved",
        "guard",
        "tail-over",
        "recorder-started",
        "recorder-ended",
    }
)
_BAD_KINDS = frozenset({"control-lost", "ni-lost", "disk-full", "guard"})
_PHASES: Mapping[str, str] = {
    "asked": "move asked for",
    "starting": "the manager starts",
    "copying": "copy begins",
    "switched": "gone from {source}",
    "settled": "runs on {target}",
    "failed": "refused or rolled back: on {source} as before",
    "stopped": "stopped: on {source} as before",
    "needs-recovery": "ended half way: needs recovery",
}


def happened(view: View) -> tuple[Happening, ...]:
    """The newest events, oldest first."""
    told = [(event.mono_ns, _happening(view, event)) for event in view.events if _is_told(event)]
    told += _suspension(view)
    return tuple(one for _, one in sorted(told, key=lambda pair: pair[0])[-SHOWN:])


def _is_told(event: Event) -> bool:
    if event.kind == "answer":
        return event.data.get("status") not in (0, None)
    if trouble_code(event.data) is TroubleCode.BY_DESIGN:
        return False  # nothing happened: it stands under "Not looked at"
    return event.kind in _KINDS and event.data.get("phase") != "prepared"


def _happening(view: View, event: Event) -> Happening:
    text, bad = event_text(event), event.kind in _BAD_KINDS or event.kind == "answer"
    if event.kind == "phase":
        phase, order = str(event.data.get("phase")), view.order
        names = {"source": order.source, "target": order.target} if order else {}
        text = _PHASES[phase].format(**names) if phase in _PHASES and names else phase
        recovered = phase == "failed" and event.data.get("was") == "needs-recovery" and _is_recovery_asked(view)
        if recovered and names:
            text = f"rolled back: {view.partition} runs on {names['source']} as before"
        if phase == "failed" and not stayed(event.data):
            text = str(event.data.get("why") or phase)  # nothing was asked for, or it is not this run's migration
        bad = phase in ("failed", "needs-recovery") and not recovered
    elif event.kind == "recorder-started" and not event.data.get("resumed"):
        text = "recording begins"
    return Happening(of_day(event.wall_ns), text, bad)


def _is_recovery_asked(view: View) -> bool:
    return any(event.kind == "intent" and event.data.get("what") == "recover" for event in view.events)


def _suspension(view: View) -> list[tuple[int, Happening]]:
    told = [
        (
            one.begin_ns,
            f"network break of at most {at_most(one.length_s)} s: {view.partition} ran on, by its own stamps",
        )
        for one in view.breaks
    ]
    if view.gap is not None:
        bounds = bounds_of(view.summary) if view.summary else None
        seen = f"seen by {plural(len(view.gap.probes), 'probe')}"
        what = "suspended" if view.was_suspended else "no answer"
        text = f"{what} for at most {at_most(view.gap.length_s)} s, {seen}"
        if bounds is not None:
            text = f"suspended for {bounds[0]:.3f} … {bounds[1]:.3f} s"
        told.append((view.gap.begin_ns, text))
    return [(at, Happening(of_day(at + view.to_wall_ns), text)) for at, text in told]
