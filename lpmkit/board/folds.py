"""The folded parts of the board: what is not fine is open and first, the rest is one line with counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lpmkit.board.banner import answers as whether_it_answers
from lpmkit.board.model import Chip, Fold, Item, Tone
from lpmkit.board.view import View
from lpmkit.board.wording import age, cut, of_day
from lpmkit.board.workload import MOST_ENTRIES, alert_lines, alert_order, job_rows, rules_of
from lpmkit.checks.wording import count_rows, facts_text
from lpmkit.control.codes import explain
from lpmkit.json_values import JsonObject
from lpmkit.migration.phases import Phase
from lpmkit.migration.recovery import RecoveryAction
from lpmkit.plots.live import WINDOW_S
from lpmkit.wording.counts import plural
from lpmkit.wording.titles import check_title, question_title, remedy_text, who_text

_URGENT = ("fail", "unknown", "warn")
_TONES: Mapping[str, Tone] = {
    "fail": Tone.BAD,
    "unknown": Tone.STILL,
    "warn": Tone.STILL,
    "failed": Tone.BAD,
    "not evaluated": Tone.STILL,
    "passed": Tone.GOOD,
    "pass": Tone.GOOD,
}


def folds(view: View) -> tuple[Fold, ...]:
    """The folds of a run, in their order."""
    parts = [
        *_questions(view),
        *_checks(view),
        *_jobs(view),
        *_alerts(view),
        *_trouble(view),
        *_lanes(view),
        *_frames(view),
    ]
    return tuple(sorted(parts, key=lambda fold: not fold.is_open))


# --- questions and checks -------------------------------------------------------------------------------------------


def _questions(view: View) -> Iterator[Fold]:
    if view.summary is None:
        return
    asked = view.summary["verdict"]["questions"]
    states = [str(one["state"]) for one in asked]
    order = ("failed", "not evaluated", "passed")
    chips = tuple(
        Chip(f"{number} {state}", _worst(number, _TONES[state])) for state in order for number in [states.count(state)]
    )
    counting = [one for one in asked if one.get("counts", True)]
    items = [
        Item(_asked(view, one), _TONES[state], (str(one["why"]),) if one.get("why") else ())
        for state in order[:2]
        for one in counting
        if one["state"] == state
    ]
    others = [one for one in asked if one["state"] == order[1] and not one.get("counts", True)]
    items += [Item(_titles(view, "not evaluated and not counted", others))] if others else []
    passed = [one for one in asked if one["state"] == "passed"]
    items += [Item(_titles(view, "passed", passed), Tone.GOOD)] if passed else []
    is_open = any(one["state"] != "passed" for one in counting)
    yield Fold("questions", "Verdict", chips, tuple(items), is_open=is_open)


def _asked(view: View, question: JsonObject) -> str:
    return f"{_title(view, question)} {view.words.said(str(question['answer']))}"


def _title(view: View, question: JsonObject) -> str:
    return question_title(view.words, str(question.get("key")), str(question["question"]))


def _titles(view: View, what: str, questions: Sequence[JsonObject]) -> str:
    return f"{len(questions)} {what}: {'; '.join(_title(view, one).rstrip('?') for one in questions)}"


def _checks(view: View) -> Iterator[Fold]:
    stored = view.documents.get("findings")
    stored = stored.get("findings") if isinstance(stored, dict) else stored
    if not isinstance(stored, list) or not stored:
        return
    rows = [row for row in stored if isinstance(row, dict)]
    counts = count_rows(rows)
    chips = [Chip(f"{counts.passed} pass", Tone.GOOD), Chip(f"{counts.warned} warn", _worst(counts.warned, Tone.STILL))]
    chips.append(Chip(f"{counts.failed} fail", _worst(counts.failed, Tone.BAD)))
    chips += [Chip(f"{counts.unknown} unknown", Tone.STILL)] if counts.unknown else []
    validation = view.documents.get("validation")
    if counts.left:
        passed = bool(validation.get("passed")) if isinstance(validation, dict) else None
        answer = {True: "validated", False: "left to the validation: failed", None: "left to the validation"}[passed]
        chips.append(Chip(f"{counts.left} {answer}"))
    urgent = [row for row in rows if row.get("verdict") in _URGENT and not row.get("only_firmware")]
    urgent.sort(key=lambda row: _URGENT.index(row["verdict"]))
    before = not view.now.has_begun
    items = tuple(_finding(view, row) for row in urgent)
    yield Fold("checks", "Checks", tuple(chips), items, is_open=before and bool(urgent))


def _worst(count: int, tone: Tone) -> Tone:
    return tone if count else Tone.QUIET


def _finding(view: View, row: JsonObject) -> Item:
    about = f" ({row['about']})" if row.get("about") else ""
    facts = row.get("facts")
    lines = [facts_text(facts) if isinstance(facts, dict) else str(facts or "")]
    remedy = remedy_text(view.words, row, view.run.manifest.get("order") or {})
    lines += [f"{remedy} ({who_text(view.words, row) or view.words('not_given')})"] if remedy else []
    # the title says what should be so
    verdict = "warn, not met" if row["verdict"] == "warn" else str(row["verdict"])
    title = f"{verdict}: {check_title(view.words, row)}{about}"
    return Item(title, _TONES[str(row["verdict"])], tuple(filter(None, lines)))


# --- the workload ---------------------------------------------------------------------------------------------------


def _jobs(view: View) -> Iterator[Fold]:
    for sid, answers in view.sap.items():
        title = f"SAP jobs {sid}"
        jobs = answers.get("jobs")
        if jobs is None or "rows" not in jobs:
            why = str(jobs.get("trouble")) if jobs else "no job list yet"
            yield Fold(f"jobs-{sid}", title, (Chip("no job list", Tone.STILL if jobs else Tone.QUIET),), (Item(why),))
            continue
        rows = tuple(job_rows(dict(answers)))
        running = sum(row["status"] == "running" for row in rows)
        chips = [Chip(f"{running} running"), Chip(f"{len(jobs['rows']) - running} others")]
        chips += [Chip(f"by {jobs.get('way')}")] if jobs.get("way") else []
        if view.is_live:
            chips.append(Chip(age((view.now_ns - int(jobs["answered_ns"])) / 1e9 // 5 * 5)))
        if jobs.get("no_answer_since"):
            at = f" {of_day(int(jobs['no_answer_wall_ns']))}" if jobs.get("no_answer_wall_ns") else ""
            chips.append(Chip(f"SAP not reachable since{at}: {cut(str(jobs['no_answer_since']), 80)}", Tone.STILL))
        yield Fold(f"jobs-{sid}", title, tuple(chips), rows=rows)


def _alerts(view: View) -> Iterator[Fold]:
    for sid, entries in view.alerts.items():
        order = alert_order(view.run, sid)
        mine = [event for event in view.events if event.data.get("probe") == order["name"]]
        trouble = [str(event.data.get("what")) for event in mine if event.kind == "probe-trouble"]
        _, wrong = rules_of(str(order["options"].get("rules") or ""))
        items = tuple(Item(text, Tone.STILL) for text in filter(None, (wrong, *trouble[-1:])))
        classes = [entry.meaning.value for _, entry in entries]
        bad, doubtful = classes.count("fail"), classes.count("warn") + classes.count("unknown")
        chips: tuple[Chip, ...]
        if not entries:
            followed = any(event.kind == "alert-log" for event in mine)
            chips = (Chip("no new entry since the run began" if followed else "not followed yet"),)
        elif bad or doubtful:
            chips = (Chip(plural(bad, "failure"), _worst(bad, Tone.BAD)), Chip(f"{doubtful} to look at", Tone.STILL))
        else:
            chips = (Chip(f"{_entries(entries)} since the run began, nothing unusual", Tone.GOOD),)
        if len(entries) > MOST_ENTRIES:
            chips = (*chips, Chip(f"newest {MOST_ENTRIES} of {len(entries)}"))
        yield Fold(
            f"alerts-{sid}",
            f"Alert log {sid}",
            chips,
            items,
            tuple(alert_lines(entries)),
            is_open=bad > 0 or bool(items),
        )


def _entries(entries: Sequence[object]) -> str:
    return plural(len(entries), "entry", "entries")


def _trouble(view: View) -> Iterator[Fold]:
    told = [*view.unreadable, *view.now.trouble]
    if told:
        items = tuple(Item(text, Tone.STILL) for text in (*view.unreadable, *view.now.trouble[-5:]))
        yield Fold(
            "trouble", "Not looked at", (Chip(str(len(told)), Tone.STILL),), items, is_open=bool(view.unreadable)
        )


def _lanes(view: View) -> Iterator[Fold]:
    rows = tuple(
        {
            "probe": lane.probe,
            "last heartbeat": "never" if lane.ago_s is None else f"{lane.ago_s:.1f} s ago",
            f"longest gap within {WINDOW_S:.0f} s": f"{lane.longest_s:.1f} s",
        }
        for lane in view.lanes
    )
    if rows:
        yield Fold("lanes", "Last answer and longest gap of each probe", (Chip(plural(len(rows), "probe")),), rows=rows)


# --- the frames -----------------------------------------------------------------------------------------------------


def _frames(view: View) -> Iterator[Fold]:
    """The state of both frames and the commands to copy; the failure has its own."""
    items = [Item(line) for line in view.proposal.readings] if view.proposal else []
    if view.proposal is not None and view.now.phase is not Phase.PREPARED:
        words = f"Recommended action: {view.proposal.action.words}. {view.proposal.why}"
        items = [Item(words), *items, *(Item("", command=command) for command in view.proposal.commands)]
    items.append(Item(f"run folder: {view.run.path}"))
    yield Fold("frames", "State of both frames, run folder", (), tuple(items))


def failure(view: View) -> Fold | None:
    """The fold on a failure, in the order in which people ask: the manager's words and their meaning, where the
    partition runs, what its users feel, what to do. ``None`` while nothing is wrong.
    """
    if view.now.is_deserted:
        told = [Item("The recorder died; what happens now is in no record.", Tone.BAD)]
        return Fold("failure", "What is wrong", (), (*told, *_whereabouts(view), *_to_type(view)), is_open=True)
    if view.now.phase not in (Phase.FAILED, Phase.NEEDS_RECOVERY):
        return None
    return Fold("failure", "What went wrong", (), (*_words(view), *_whereabouts(view), *_to_type(view)), is_open=True)


def _words(view: View) -> Iterator[Item]:
    """The manager's words, and what is known of their codes."""
    told = [event.data for event in view.events if event.kind == "answer" and event.data.get("status") not in (0, None)]
    for data in told[-2:]:
        text = str(data.get("text") or "no message").strip()
        meaning = tuple(
            view.words("checks.explained", text=f"{code.code}: {code.known.meaning} {code.known.mend}", code=code.code)
            for code in explain(text)
            if code.known
        )
        yield Item(f"The manager answered with status {data['status']}: {text}", Tone.BAD, meaning)
    if not told:
        yield Item(_without_words(view), Tone.BAD)


def _without_words(view: View) -> str:
    """The text on a failure for which the manager gave no message: why lpmkit asked for nothing, or the state that the
    manager reported, and where to look.
    """
    phases = [event for event in view.events if event.kind == "phase"]
    ended = next((event for event in phases if event.data.get("phase") in ("needs-recovery", "failed")), None)
    why = str(ended.data.get("why") or "") if ended is not None else ""
    if why.startswith("not asked for"):
        return f"{why[:1].upper()}{why[1:]}."
    done = f", at {int(100 * view.now.progress.fraction)} % of the copy" if view.now.progress.transmitted else ""
    reported = f" It reported: {view.broken_state}{done}." if view.broken_state else ""
    servers = " and ".join(view.servers) or "both Virtual I/O Servers"
    return f"The manager gave no message.{reported} Look into errlog -ls on {servers}."


def _whereabouts(view: View) -> Iterator[Item]:
    for line in view.proposal.readings if view.proposal else ():
        yield Item(line)
    yield Item(whether_it_answers(view))


def _to_type(view: View) -> Iterator[Item]:
    commands: Sequence[str] = ()
    if view.now.is_deserted:
        commands = (f"lpmkit attach {view.run.path}",)
    elif view.proposal is not None and view.proposal.action is not RecoveryAction.HANDS_OFF:
        yield Item(f"Recommended action: {view.proposal.action.words}. To type:", Tone.BAD)
        commands = view.proposal.commands
    for command in commands:
        yield Item("", command=command)
