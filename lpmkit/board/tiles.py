"""The six tiles: to go, elapsed, suspension, partition, SAP, Oracle; each a figure with what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lpmkit.board.banner import bounds_of, session_waits
from lpmkit.board.model import Tile, Tone
from lpmkit.board.view import View
from lpmkit.board.wording import age, at_most, clock_time, cut, of_day
from lpmkit.board.workload import alert_order
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.limits import LimitState, judge
from lpmkit.migration.phases import Phase
from lpmkit.migration.status import tail_left_s
from lpmkit.runs.history import bounds
from lpmkit.sap.model import Activity, is_held_for
from lpmkit.wording.counts import plural

#: An answer that is older wants a look.
STALE_S = 30.0
#: A partition without a heartbeat for longer is silent.
SILENT_S = 2.0
_UNDER_WAY = (Phase.ASKED, Phase.STARTING, Phase.COPYING, Phase.SWITCHED)


def tiles(view: View) -> tuple[Tile, ...]:
    """The tiles of a run."""
    first = [_to_go(view), _elapsed(view)] if view.order is not None else [_watched(view)]
    return (*first, _suspension(view), _partition(view), *_sap(view), *_oracle(view))


# --- time -----------------------------------------------------------------------------------------------------------


def _to_go(view: View) -> Tile:
    now = view.now
    if view.summary is not None:
        return _felt(view.summary)
    if now.phase is Phase.PREPARED and now.lead_in_left_s is not None and view.is_live:
        return Tile("to the move", clock_time(now.lead_in_left_s), _span("copy", view.expected("copy_s")), Tone.BUSY)
    left = tail_left_s(view.run, now, view.now_ns)
    if left is not None:
        return Tile("watching on", clock_time(left), "then the verdict", Tone.BUSY)
    if not view.is_live or now.phase not in _UNDER_WAY:
        return Tile("to go", "–", "nothing moves now" if now.has_begun else _span("copy", view.expected("copy_s")))
    is_suspended = view.still is not None and not view.is_early
    if now.phase is Phase.SWITCHED or is_suspended:
        note = "it resumes by itself" if is_suspended else "it starts on the target"
        return Tile("to go", "0:00", note, Tone.BUSY)
    return _rest_of_copy(view)


def _rest_of_copy(view: View) -> Tile:
    """The forecast with its interval; without one the manager's rate, within what was expected before the move."""
    expected = view.expected("copy_s")
    if view.forecast is not None:
        since_s = (view.now_ns - view.forecast.mono_ns) / 1e9
        told = view.forecast.data["remaining_s"]
        low, middle, high = (max(0.0, float(told.get(name, told["p50"])) - since_s) for name in ("p10", "p50", "p90"))
        note = f"{clock_time(low)} … {clock_time(high)} likely" if high >= 1 else "any moment"
        return Tile("to go", clock_time(middle), note, Tone.BUSY)
    rest = view.now.progress.remaining_s
    began = view.since(Phase.COPYING)
    if rest is None or began is None:
        return Tile(
            "to go", "…", f"working it out; {_span('copy', expected)}" if expected else "working it out", Tone.BUSY
        )
    if expected is not None:
        spent = (view.now_ns - began) / 1e9
        rest = min(max(rest, expected["p10"] - spent), max(expected["p90"] - spent, 0.0))
    return Tile("to go", clock_time(rest), _span("copy", expected), Tone.BUSY)


def _span(name: str, expected: Mapping[str, float] | None) -> str:
    return f"{name} {expected['p10']:.0f} … {expected['p90']:.0f} s expected" if expected else ""


def _felt(summary: JsonMapping) -> Tile:
    """The longest wait of an open session, with its bounds as everywhere."""
    longest = max(session_waits(summary), key=lambda one: float(one["waited"]["high"]), default=None)
    if longest is None:
        return Tile("session outage", "nothing seen", "longest wait of an open session", Tone.GOOD)
    told = summary.get("session_outage") or longest["waited"]
    text = bounds(told["low"], told["high"])
    return Tile("session outage", text, f"longest wait of an open session ({longest['probe']})", Tone.GOOD)


def _elapsed(view: View) -> Tile:
    asked = view.since(Phase.ASKED)
    if asked is None:
        return Tile("elapsed", "–", "no move was asked for")
    done = view.since(Phase.SETTLED, Phase.FAILED, Phase.STOPPED)
    at = f"asked {_day(view, asked)} UTC"
    if done is not None:
        return Tile(_whole(view), clock_time((done - asked) / 1e9), at)
    if not view.now.recorded:
        return Tile("elapsed", "–", at)
    return Tile("elapsed", clock_time((view.now_ns - asked) / 1e9), at, Tone.BUSY)


def _whole(view: View) -> str:
    """The name of the time from the command to the end of a move."""
    if view.now.phase is Phase.STOPPED:
        return "until stopped"
    if view.now.phase is Phase.FAILED:
        return "until rolled back" if view.since(Phase.STARTING, Phase.COPYING) is not None else "until refused"
    return "whole move"


def _watched(view: View) -> Tile:
    began = view.events[0].mono_ns if view.events else None
    if began is None:
        return Tile("elapsed", "–", "nothing recorded yet")
    end = view.now_ns if view.is_live else view.events[-1].mono_ns
    return Tile("watched", clock_time((end - began) / 1e9), f"since {_day(view, began)} UTC", Tone.BUSY)


def _day(view: View, mono_ns: int) -> str:

    return of_day(mono_ns + view.to_wall_ns)


# --- the partition --------------------------------------------------------------------------------------------------


def _suspension(view: View) -> Tile:
    expected = view.expected("suspended_s")
    note = f"expected {expected['p10']:.1f} … {expected['p90']:.1f} s" if expected else ""
    if view.summary is not None:
        bounds = bounds_of(view.summary)
        if bounds is None:
            return Tile("suspension", "none found", note)
        text = f"{bounds[0]:.3f} … {bounds[1]:.3f} s"
        return Tile("suspension", text, _limited(view, note), _tone_of(view, *bounds))
    if view.still is not None and view.now.phase in _UNDER_WAY:
        text = f"{view.still.length_s:.1f} s so far"
        tone = _tone_of(view, view.still.length_s, None)
        if view.is_early:
            return Tile("suspension", f"silent {view.still.length_s:.1f} s", "suspended, or no network", Tone.STILL)
        return Tile("suspension", text, _limited(view, note), Tone.BAD if tone is Tone.BAD else Tone.STILL)
    if view.gap is not None:
        text = f"≤ {at_most(view.gap.length_s)} s"
        what = "provisional" if view.was_suspended else "suspended or no network"
        note = f"{what}, seen by {plural(len(view.gap.probes), 'probe')}"
        return Tile("suspension", text, _limited(view, note), _tone_of(view, None, view.gap.length_s))
    return _not_seen(view, note)


def _not_seen(view: View, note: str) -> Tile:
    """The tile of a run in which the lanes show no suspension."""
    if view.order is None:  # nothing here asked for a move: only the analysis can tell
        return Tile("suspension", "–", "the verdict tells it")
    if view.now.phase in (Phase.SETTLED, Phase.SWITCHED):
        return Tile("suspension", "not seen", "no silence that two probes share")
    if view.breaks:
        note = f"{plural(len(view.breaks), 'network break')}; it ran on"
    return Tile("suspension", "none" if view.now.phase in (Phase.FAILED, Phase.STOPPED) else "not yet", note)


def _limited(view: View, note: str) -> str:
    return f"{note}; {view.limit.sentence()}" if view.limit is not None else note


_LIMIT_TONES = {
    LimitState.PASSED: Tone.GOOD,
    LimitState.WARNED: Tone.STILL,
    LimitState.COULD_NOT_TELL: Tone.STILL,
    LimitState.FAILED: Tone.BAD,
}


def _tone_of(view: View, low_s: float | None, high_s: float | None) -> Tone:
    """Bad beyond the limit; good where there is none."""
    return Tone.GOOD if view.limit is None else _LIMIT_TONES[judge(low_s, high_s, view.limit)]


def _partition(view: View) -> Tile:
    heard = [lane for lane in view.lanes if lane.ago_s is not None and not lane.probe.startswith("ora-")]
    if not heard:
        return Tile("partition", "not watched" if view.now.has_begun else "–", "no probe has reported")
    if not view.is_live:
        return Tile("partition", "answered", f"{plural(len(heard), 'host probe')}, at the end of the record")
    ago = min(lane.ago_s or 0.0 for lane in heard)
    still = view.still is not None and view.now.phase in _UNDER_WAY
    answer = [lane for lane in heard if (lane.ago_s or 0.0) < SILENT_S and not still]
    note = f"{len(answer)} of {plural(len(heard), 'host probe')}, {age(ago)}"
    if answer:
        return Tile("partition", "✓ answers", note, Tone.GOOD)
    silent = "no answer" if view.is_early else "suspended"
    return Tile("partition", silent if still else f"silent {ago:.0f} s", note, Tone.STILL if still else Tone.BAD)


# --- SAP and Oracle -------------------------------------------------------------------------------------------------


def _sap(view: View) -> Iterator[Tile]:
    if not view.sap:
        yield Tile("SAP", "not watched", "no SAP system in the site file")
    for sid, answers in view.sap.items():
        yield _sap_tile(view, f"SAP {sid}", answers)


def _sap_tile(view: View, name: str, answers: Mapping[str, JsonObject]) -> Tile:
    if not view.now.has_begun:
        return Tile(name, "–", "not asked yet")
    told = [row for row in answers.values() if "rows" in row]
    if not told:
        why = next((str(row["trouble"]) for row in answers.values() if row.get("trouble")), "no answer yet")
        return Tile(name, "no answer", cut(why, 60), Tone.STILL if answers else Tone.QUIET)
    ago_s = (view.now_ns - max(int(row["answered_ns"]) for row in told)) / 1e9
    processes = answers.get("work_processes", {}).get("rows")
    jobs = answers.get("jobs", {}).get("rows")
    parts = [f"{plural(sum(row.get('status') == 'R' for row in jobs), 'job')} running"] if jobs is not None else []
    users = answers.get("users", {}).get("rows")
    parts += [plural(len(users), "user")] if users is not None else []
    is_stale = view.is_live and ago_s > STALE_S
    parts += [age(ago_s)] if view.is_live else []
    note = ", ".join(parts)
    if processes is None:
        return Tile(name, "✓ answers", note, Tone.STILL if is_stale else Tone.GOOD)
    down = {activity.value for activity in Activity if activity.is_down}
    # a session holds one that has stopped for a reason: PRIV mode is every day
    up = sum(row.get("activity") not in down or is_held_for(str(row.get("reason", ""))) for row in processes)
    tone = Tone.STILL if is_stale else Tone.GOOD if up == len(processes) else Tone.BAD
    sign = {Tone.GOOD: "✓", Tone.STILL: "?", Tone.BAD: "✗"}[tone]
    return Tile(name, f"{sign} {up}/{len(processes)} WP", note, tone)


def _oracle(view: View) -> Iterator[Tile]:
    orders = [probe for probe in view.run.manifest.get("probes") or () if str(probe.get("name")).startswith("ora-")]
    sids = dict.fromkeys(str((probe.get("options") or {}).get("sid")) for probe in orders)
    if not sids:
        yield Tile("Oracle", "not watched", "no database in the site file")
    for sid in sids:
        yield _oracle_tile(view, sid)


def _oracle_tile(view: View, sid: str) -> Tile:
    if not view.now.has_begun:
        return Tile(f"Oracle {sid}", "–", "not asked yet")
    sessions = [
        e.data for e in view.events if e.kind == "db-session" and str(e.data.get("probe", "")).endswith(f"-{sid}")
    ]
    lanes = [lane for lane in view.lanes if lane.probe.startswith("ora-") and f"-{sid}" in lane.probe]
    heard = [lane.ago_s for lane in lanes if lane.ago_s is not None]
    classes = [entry.meaning.value for _, entry in view.alerts.get(sid, ())]
    failing = classes.count("fail")
    log = f"alert log: {plural(failing, 'failure')}" if failing else _alert_log(view, sid)
    if not sessions and not heard:
        return Tile(f"Oracle {sid}", "no answer", log or "no session yet", Tone.QUIET)
    again = len({(one.get("probe"), one.get("connection")) for one in sessions}) > len(
        {one.get("probe") for one in sessions}
    )
    kept = "a session was lost" if again else "session kept" if sessions else ""
    ago_s = min(heard, default=None)
    parts = [kept, log, age(ago_s) if view.is_live and ago_s is not None else ""]
    note = ", ".join(filter(None, parts))
    silent = view.is_live and ago_s is not None and ago_s > STALE_S
    status = str(sessions[-1].get("status") or "open").lower() if sessions else "listener answers"
    tone = Tone.BAD if failing or again else Tone.STILL if silent else Tone.GOOD
    sign = {Tone.GOOD: "✓", Tone.STILL: "?", Tone.BAD: "✗"}[tone]
    return Tile(f"Oracle {sid}", f"{sign} {'silent' if silent else status}", note, tone)


def _alert_log(view: View, sid: str) -> str:
    """The state of an alert log without a failure; a log that is not read is not quiet."""
    if sid not in view.alerts:
        return ""
    name = alert_order(view.run, sid)["name"]
    told = [event.kind for event in view.events if event.data.get("probe") == name]
    is_followed = "alert-log" in told and "probe-trouble" not in told
    return "alert log quiet" if is_followed else "alert log not read"
