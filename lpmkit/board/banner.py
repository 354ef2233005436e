"""The banner: the state of a run in a word, with one sentence of what to do, and the actions that apply."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lpmkit.analysis.outcome import OutcomeKind, outcome_of
from lpmkit.board.model import Banner, Tone
from lpmkit.board.view import View
from lpmkit.board.wording import at_most, clock_time, of_day, size
from lpmkit.json_values import JsonMapping
from lpmkit.limits import LimitState, judge
from lpmkit.migration.phases import Phase
from lpmkit.migration.recovery import DOWN, RecoveryAction
from lpmkit.migration.status import refusals, tail_left_s
from lpmkit.timeline import outwards
from lpmkit.wording.counts import plural

#: Kinds of probes that keep a session open.
_SESSIONS = ("echo", "sql", "commit", "ni")
#: The actions that a banner can offer, with the words on their buttons.
ACTIONS: Mapping[str, str] = {
    "move": "Move …",
    "stop": "Stop …",
    "recover": "Recover …",
    "attach": "Restart recorder",
    "look": "Check both frames",
    "write-up": "Write it up",
    "report": "Open the report",
}


def banner(view: View) -> Banner:
    """The banner of a run."""
    now = view.now
    if now.is_deserted:
        return _recorder_gone(view)
    if view.order is None:
        return _watch(view)
    if now.phase in (None, Phase.PREPARED):
        return _before(view)
    if view.still is not None and now.phase in (Phase.COPYING, Phase.SWITCHED):
        return _suspended(view)
    return _BY_PHASE[now.phase or Phase.PREPARED](view)


def _made(view: View, key: str, tone: Tone, word: str, figure: str, sentence: str, *wanted: str) -> Banner:
    """A banner with those of the wanted actions that apply now, at most two."""
    apply = refusals(view.now, view.proposal)
    against = {"stop": apply.stop, "recover": apply.recover, "attach": apply.attach}
    actions = [action for action in wanted if not against.get(action)][:2]
    phase, fraction = view.now.phase, None
    if phase in (Phase.SWITCHED, Phase.SETTLED):
        fraction = 1.0
    elif phase not in (None, Phase.PREPARED):
        fraction = view.now.progress.fraction
    return Banner(key, tone, word, figure, " ".join(sentence.split()), tuple(actions), fraction)


def _percent(view: View) -> str:
    return f"{int(100 * view.now.progress.fraction)} %"


def _frames(view: View) -> tuple[str, str]:
    order = view.order
    return (order.source, order.target) if order else ("?", "?")


# --- before ---------------------------------------------------------------------------------------------------------


def _before(view: View) -> Banner:
    now, validation = view.now, view.documents.get("validation")
    source, target = _frames(view)
    if now.has_begun and not now.recorded:
        return _made(
            view, "called-off", Tone.QUIET, "CALLED OFF", "", f"Nothing was moved. {view.partition} is on {source}."
        )
    if now.has_begun:
        left = now.lead_in_left_s or 0.0
        text = f"Wait. The baseline is recorded; the move to {target} is asked for in {clock_time(left)}."
        return _made(view, "lead-in", Tone.BUSY, "LEAD-IN", clock_time(left), text, "stop")
    if not isinstance(validation, dict):
        return _made(view, "ready", Tone.QUIET, "PREPARED", "", "Survey, check and validate it before the move.")
    if not validation.get("passed"):
        text = f"The manager refuses the move: {validation.get('text') or 'no message'}"
        return _made(view, "refused", Tone.BAD, "REFUSED", "", text)
    at = of_day(int(validation.get("wall_ns") or 0))
    text = f"The validation passed at {at} UTC. Nothing moves before you type the name of the partition."
    return _made(view, "ready", Tone.QUIET, "READY", f"{source} → {target}", text, "move")


# --- under way ------------------------------------------------------------------------------------------------------


def _asked(view: View) -> Banner:
    source, target = _frames(view)
    began = view.now.phase is Phase.STARTING
    text = (
        f"Wait. The manager of {source} prepares the migration to {target}."
        if began
        else f"Wait. The manager of {source} was asked for the move and starts it within seconds."
    )
    return _made(view, "asked", Tone.BUSY, "ASKED", "", text, "stop", "look")


def _copying(view: View) -> Banner:
    copied = view.now.progress
    source, target = _frames(view)
    told_since = view.gap is not None and copied.read_ns is not None and copied.read_ns > view.gap.end_ns
    unknown = f"It answers again; {source} and {target} have not yet reported where it runs."
    if view.gap is not None and (view.is_nearly_copied or not told_since):
        text = f"Wait. {unknown}"
        if view.was_suspended:
            return _made(view, "resumed", Tone.BUSY, "RESUMED", _provisional(view), text, "look")
        silent = f"silent at most {at_most(view.gap.length_s)} s"
        text += " Whether it was suspended or the network broke is not known yet."
        return _made(view, "answers-again", Tone.BUSY, "ANSWERS AGAIN", silent, text, "look")
    rest = ""
    if copied.left is not None and copied.transmitted is not None:
        rest = f"{size(copied.left)} of {size(copied.transmitted + copied.left)} left"
        rate = copied.bytes_per_s or 0.0
        rest += f" at {size(rate)}/s." if rate > 0 else "."
    # by its own stamps it was suspended, and pages may still be fetched afterwards: a rest proves no place
    place = unknown if view.was_suspended else f"{view.partition} runs on {source}."
    text = f"Wait. {rest} {place}{_broken(view)}"
    return _made(view, "copying", Tone.BUSY, "COPYING", _percent(view), text, "stop", "look")


def _broken(view: View) -> str:
    """The newest break of the network during this copy, of which the partition's stamps show that it ran on."""
    if not view.breaks:
        return ""
    length = at_most(view.breaks[-1].length_s)
    return f" The network broke for at most {length} s: no suspension, the partition ran on."


def _suspended(view: View) -> Banner:
    lasts = view.still.length_s if view.still else 0.0
    if view.is_early:
        left = size(view.now.progress.left or 0)
        text = (
            f"Wait. No probe gets an answer, with {left} to copy at the last report: the network is down, or "
            f"{view.partition} is suspended early."
        )
        return _made(view, "silent", Tone.STILL, "NO ANSWER", f"{lasts:.1f} s so far", text, "stop", "look")
    over = view.limit is not None and judge(lasts, None, view.limit) is LimitState.FAILED
    limit = f" That is too long: {view.limit.sentence()}." if over and view.limit is not None else ""
    text = f"Wait. {view.partition} is suspended while its last memory is sent; no probe gets an answer.{limit}"
    return _made(view, "suspended", Tone.STILL, "SUSPENDED", f"{lasts:.1f} s so far", text, "stop", "look")


def _switched(view: View) -> Banner:
    source, target = _frames(view)
    text = f"Wait. It has left {source} and starts on {target}. It cannot be stopped any more."
    return _made(view, "switched", Tone.BUSY, "SWITCHED", _provisional(view), text, "look")


# --- ended ----------------------------------------------------------------------------------------------------------


def _settled(view: View) -> Banner:
    _, target = _frames(view)
    left = tail_left_s(view.run, view.now, view.now_ns)
    if left is not None:
        text = f"It runs on {target}. Nothing to do. Watching on for {clock_time(left)}, then the verdict follows."
        return _made(view, "arrived", Tone.GOOD, "ARRIVED", _provisional(view) or "watching on", text)
    summary = view.summary
    if summary is None:
        text = f"{view.partition} runs on {target}. The verdict is not worked out yet."
        return _made(view, "moved", Tone.GOOD, "MOVED", _provisional(view), text, "write-up", "report")
    tone = {"passed": Tone.GOOD, "failed": Tone.BAD}.get(str(summary["verdict"]["state"]), Tone.STILL)
    then = {Tone.STILL: " Look at the open questions.", Tone.BAD: " Read what failed."}.get(tone, "")
    text = f"{_counted(summary)} {view.partition} runs on {target}.{then}"
    return _made(view, "moved", tone, "MOVED", _length(summary), text, "write-up", "report")


def _provisional(view: View) -> str:
    return f"suspended at most {at_most(view.gap.length_s)} s" if view.gap else ""


def _length(summary: Mapping[str, object]) -> str:
    """The suspension's bounds as the verdict has them."""
    bounds = bounds_of(summary)
    return f"suspended {bounds[0]:.3f} … {bounds[1]:.3f} s" if bounds else "no suspension found"


def bounds_of(summary: Mapping[str, object]) -> tuple[float, float] | None:
    """The bounds of the suspension in seconds, rounded outwards; ``None`` if none was found."""
    suspension = summary.get("suspension")
    length = suspension.get("length") if isinstance(suspension, dict) else None
    if not isinstance(length, dict) or length.get("low") is None or length.get("high") is None:
        return None
    return outwards(round(float(length["low"]) * 1e9), round(float(length["high"]) * 1e9))


def _counted(summary: Mapping[str, object]) -> str:
    verdict = summary["verdict"]
    states = [str(one["state"]) for one in verdict["questions"]] if isinstance(verdict, dict) else []
    failed, unseen = states.count("failed"), states.count("not evaluated")
    text = f"{states.count('passed')} of {plural(len(states), 'question')} passed, {failed} failed"
    return f"{text}, {unseen} not evaluated."


def _not_moved(view: View) -> Banner:
    source, _ = _frames(view)
    outcome = outcome_of(view.events, view.run.manifest.get("order") or {}, view.run.name)
    if outcome.kind is OutcomeKind.ELSEWHERE:
        cause = f"{outcome.cause[:1].upper()}{outcome.cause[1:]}"
        text = f"{cause}. Look where {view.partition} runs: {outcome.next_command}."
        return _made(view, "failed", Tone.BAD, "NOT MOVED BY THIS RUN", "", text, "look")
    if view.proposal is not None and view.proposal.rule in DOWN:
        text = f"{view.partition} is on {source} and does not run. {view.proposal.why}"
        return _made(view, "failed", Tone.BAD, "NOT RUNNING", "", text, "look")
    stopped = view.now.phase is Phase.STOPPED
    refused = any(e.kind == "answer" and e.data.get("status") not in (0, None) for e in view.events)
    how = "The manager refused the move." if refused else "The migration was rolled back."
    how = "It was stopped as asked for." if stopped else how
    left = tail_left_s(view.run, view.now, view.now_ns)
    on = f" Recording goes on for {clock_time(left)}." if left is not None else ""
    text = f"{how} {view.partition} runs on {source} as before.{on}"
    copied = view.since(Phase.COPYING) is not None and view.now.progress.transmitted
    at = f"at {_percent(view)}" if copied else ""
    if stopped:
        return _made(view, "stopped", Tone.QUIET, "STOPPED", at, f"{text} Nothing to do.", "look")
    text += " Read why, correct it, then validate again."
    return _made(view, "failed", Tone.BAD, "NOT MOVED", at, text, "look")


def _needs_recovery(view: View) -> Banner:
    done = view.proposal is not None and view.proposal.action in (RecoveryAction.RECOVER, RecoveryAction.FORCE)
    rest = (
        f"Delete nothing. Recover it: lpmkit recover {view.run.name}. "
        "Recovery rolls back, or completes the move if it is past the point of no return."
        if done
        else (view.proposal.why if view.proposal else "No manager has answered yet: check both frames.")
    )
    text = f"The migration ended half way. {answers(view)} {rest}"
    word, figure = f"INTERRUPTED AT {_percent(view)}", "RECOVER IT" if done else ""
    return _made(view, "needs-recovery", Tone.BAD, word, figure, text, "recover", "look")


def answers(view: View) -> str:
    """A sentence on what users feel, from the last heartbeats or from the record; "not known" where nothing was
    observed.
    """
    heard = [lane.ago_s for lane in view.lanes if lane.ago_s is not None]
    if not view.now.recorded and view.summary is not None and _has_sessions(view):
        waits = session_waits(view.summary)
        longest = max((float(wait["waited"]["high"]) for wait in waits), default=None)
        if longest is None:
            return "No user's wait was seen in the record."
        return f"The longest wait of an open session was at most {at_most(longest)} s."
    if not heard or not view.now.recorded:
        return "Whether its users feel anything is not known."
    if min(heard) < 2.0:
        return f"{view.partition} still runs and answers."
    return f"{view.partition} has not answered for {min(heard):.0f} s."


def session_waits(summary: JsonMapping) -> list[JsonMapping]:
    """The outages of open sessions that the analysis found."""
    return [one for host in summary.get("hosts") or () for one in host.get("session_outages") or ()]


def _has_sessions(view: View) -> bool:
    """True where an open session was watched and answered."""
    orders = view.run.manifest.get("probes") or ()
    names = {str(order.get("name")) for order in orders if order.get("kind") in _SESSIONS}
    return any(lane.probe in names and lane.ago_s is not None for lane in view.lanes)


def _recorder_gone(view: View) -> Banner:
    phase = view.now.phase
    state = f"the last phase seen is {phase.value}" if phase else "the watch is not over"
    text = f"Restart the recorder: it died, {state}. A migration goes on without it; nothing is moved a second time."
    return _made(view, "recorder-gone", Tone.BAD, "NOT OBSERVED", "RECORDER GONE", text, "attach", "look")


def _watch(view: View) -> Banner:
    if not view.now.has_begun:
        return _made(view, "ready", Tone.QUIET, "PREPARED", "", f"Nothing is recorded of {view.partition} yet.")
    if view.is_live:
        text = f"{view.partition} is watched. Nothing is changed on any machine."
        return _made(view, "watching", Tone.BUSY, "WATCHING", "", text)
    summary = view.summary
    if summary is None:
        return _made(view, "watched", Tone.QUIET, "WATCHED", "", "The verdict is not worked out yet.", "write-up")
    tone = {"passed": Tone.GOOD, "failed": Tone.BAD}.get(str(summary["verdict"]["state"]), Tone.STILL)
    return _made(view, "watched", tone, "WATCHED", "", str(summary["verdict"]["line"]), "write-up", "report")


_BY_PHASE: Mapping[Phase, Callable[[View], Banner]] = {
    Phase.PREPARED: _before,
    Phase.ASKED: _asked,
    Phase.STARTING: _asked,
    Phase.COPYING: _copying,
    Phase.SWITCHED: _switched,
    Phase.SETTLED: _settled,
    Phase.FAILED: _not_moved,
    Phase.STOPPED: _not_moved,
    Phase.NEEDS_RECOVERY: _needs_recovery,
}
