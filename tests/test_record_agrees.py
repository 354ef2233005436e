"""Moves of many kinds, each written up in every form: no number that the summary does not have, rounded
outwards, and no sentence against another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import docx
import pypdf
import pytest
from click.testing import CliRunner
from rich.console import Console

from lpmkit import cli
from lpmkit.analysis import Analysis, analyse, headline, summary
from lpmkit.analysis.outcome import OutcomeKind
from lpmkit.board.follow import board_of
from lpmkit.board.text import board_lines
from lpmkit.commands.progress import print_summary
from lpmkit.json_values import JsonObject
from lpmkit.report.page import render, write_report
from lpmkit.report.writeup import Words, add_remark, write_up, written
from lpmkit.report.writeup.forms import markdown
from lpmkit.report.writeup.inputs import WriteUpInputs
from lpmkit.report.writeup.sheets import sheets
from lpmkit.runs.folder import Run, as_document, write_document
from lpmkit.runs.history import HEAD, History
from lpmkit.runs.licences import licence_rows, read_sightings
from lpmkit.runs.writer import RunWriter
from lpmkit.timeline import outwards
from lpmkit.wording.words import words_of
from tests.made_runs import START, WALL, Made, MadeClock, S, make
from tests.test_german import english_in
from tests.test_report import DOCUMENTS


@dataclass(frozen=True)
class Case:
    """A move to write up: how it went, its limits, the events besides, and what must be true of its write-up."""

    made: Made
    state: str
    says: tuple[str, ...] = ()
    limits: JsonObject = field(default_factory=dict)
    events: tuple[tuple[float, str, JsonObject], ...] = ()
    window: str = ""
    documents: JsonObject = field(default_factory=dict)


STILL = (15.0, 16.537)
BASE = {"duration_s": 26.0, "suspend": STILL}
BEGIN = datetime.fromtimestamp(WALL / S, tz=UTC)
HOME = ((0.0, "prepared"), (6.5, "asked"), (7.3, "starting"), (9.6, "copying"))


def move(seed: int, **changes: Any) -> Made:
    return Made(**{"seed": seed, **BASE, **changes})


def errpt(identifier: str, text: str, at: float = 20.0) -> tuple[float, str, JsonObject]:
    stamp = f"{BEGIN + timedelta(hours=1):%m%d%H%M%y}"
    data = {"where": "bxaix85", "log": "errpt", "stamp": stamp, "resource": "pmig", "description": text}
    return at, "log", {**data, "identifier": identifier}


LOGS = (
    errpt("A5E6DB96", "Client Partition Migration Completed"),
    errpt("08917DC6", "Client Partition Migration Started"),
)
CASES: dict[str, Case] = {
    "clean": Case(move(1), "passed", ("Deviations\n\nNone",), events=LOGS),
    "clean, packets dropped": Case(move(2, dropped=True), "passed"),
    "clean, short": Case(move(3, suspend=(15.0, 15.4)), "passed"),
    "clean, long": Case(move(4, suspend=(12.0, 18.2)), "passed"),
    "clean, slow afterwards": Case(move(5, slow_after_ms=400.0), "passed"),
    "clean, ICMP": Case(move(6, icmp=True), "passed"),
    "limit kept": Case(move(7), "passed", ("within 2 s",), {"suspension_s": 2}),
    "limit warns": Case(move(8), "passed", ("Warning: suspension: within 2 s, above the warning limit of 1.5 s.",),
                        {"suspension_s": {"warn": 1.5, "fail": 2}}),
    "limit broken": Case(move(9), "failed", ("Failed: suspension: the limit is 1 s.",), {"suspension_s": 1}),
    "limit between the bounds": Case(move(10), "not evaluated",
                                     ("Not evaluated: suspension: may exceed the limit of 1.537 s.",),
                                     {"suspension_s": 1.537}),
    "session limit broken": Case(move(11), "failed", ("Failed: session outage: ",), {"session_outage_s": 0.5}),
    "window kept": Case(move(12), "passed", ("the move lay within it",),
                        {"window": {"end": (BEGIN + timedelta(minutes=9)).isoformat()}}),
    "window missed": Case(move(13), "failed",
                          ("the move did not lie within it",
                           "Failed: change window: the move ended after the end of the change window"),
                           {"window": {"end": (BEGIN + timedelta(seconds=9)).isoformat()}}),
    "window by hand missed": Case(move(14), "passed", ("the move did not lie within it", "Warning: Change window "),
                                  window=f"{BEGIN - timedelta(hours=2):%H:%M}-{BEGIN - timedelta(hours=1):%H:%M} UTC"),
    "stopped": Case(move(15, suspend=None, phases=(*HOME, (18.0, "stopped"))), "failed",
                    ("Not moved", "stopped", "Nothing to take back: bxaix85 is on blade13")),
    "stopped by the guard": Case(
        move(16, suspend=None, phases=(*HOME, (18.0, "stopped"))), "failed",
        ("the guard stopped the copy: x has had no answer for 20 s",),
        events=((17.0, "guard", {"what": "probe:x", "text": "x has had no answer for 20 s", "stops": True}),
                (17.1, "request", {"what": "stop", "by": "guard", "why": "x has had no answer for 20 s"})),
    ),
    "rolled back": Case(
        move(17, suspend=None, phases=(*HOME, (18.0, "failed"))), "failed",
        ("Not moved. bxaix85 runs on blade13 as before. The migration was rolled back", "It stayed on blade13."),
        documents={"changes": [{"what": "machine serial", "before": "1", "after": "1", "change": "same",
                                "as_it_should": False}]},
    ),
    "left in between": Case(move(18, suspend=None, phases=(*HOME, (18.0, "needs-recovery"))), "failed",
                            ("Needs recovery. Where bxaix85 runs is not proved. It answered last at ",
                             "Next step: lpmkit recover 2", "Recover the migration: lpmkit recover ",
                             "| not complete |", "not complete and has to be recovered")),
    "cluster too impatient": Case(
        move(19), "failed", ("Failed: time-outs: exceeded: PowerHA waits 1 s.",),
        documents={"survey": {"guest": {"clusters": [{"kind": "PowerHA", "tolerates_s": 1.0}]}}},
    ),
    "not observed for a while": Case(move(20, hole=(18.0, 21.0), relogin_at=None), "not evaluated",
                                     ("not observed", "Find out where the partition runs: lpmkit recover ")),
    "moved, but restarted": Case(move(22), "failed",
                                 ("Moved, but restarted, suspended ",
                                  "Failed: boot time: booted 2026-01-01T09:00:00 before"),
                                  documents={"survey": {"identity": {"booted": "2026-01-01T09:00:00"}}}),
    "moved, and not as expected": Case(
        move(23), "failed", ("Failed: identity and mapping: disks (PVID): a → b.",),
        documents={"changes": [{"what": "disks (PVID)", "before": "a", "after": "b", "change": "changed",
                                "as_it_should": False}]},
    ),
    "moved into another pool": Case(
        move(35), "passed", ("Warning: identity and mapping: processor pool: SAP → DefaultPool.",),
        documents={"changes": [{"what": "processor pool", "before": "SAP", "after": "DefaultPool", "change": "changed",
                                "as_it_should": False}]},
    ),
    "moved after a recovery": Case(
        move(24, phases=(*HOME, (12.0, "needs-recovery"), (12.6, "copying"), (18.1, "settled"))), "passed",
        ("Moved, after an interruption, suspended ", "recovered by root with migrlpar -o r"),
        events=((12.2, "request", {"what": "recover", "by": "root"}),
                (12.3, "intent", {"what": "recover", "force": False})),
    ),
    "arrived, the command failed": Case(
        move(25), "not evaluated",
        ("Arrived, suspended ",
         "bxaix85 runs on blade14. The command to move ended with status 1: HSCLA27C no. "
         "Which command moved it is not known.",
         "Find out which command moved the partition"),
        events=((17.0, "answer", {"what": "migrate", "status": 1, "text": "HSCLA27C no"}),),
    ),
    "gone before the command": Case(
        move(26, suspend=None, phases=((0.0, "prepared"), (18.0, "failed")),
             whys={"failed": "not asked for: bxaix85 is not on blade13 any more; nothing was moved by this run"}),
             "failed",
        ("Not moved by this run. Where bxaix85 runs is not proved. It answered last at ",
         "The move was not asked for: bxaix85 is not on blade13 any more. Next step: lpmkit recover 2",
         "Where bxaix85 is, is not known for certain"),
    ),
    "called off": Case(
        move(27, suspend=None, phases=((0.0, "prepared"),)), "failed",
        ("Called off. No command to move was sent.", "no move of bxaix85 was asked for"),
        events=((5.0, "request", {"what": "stop", "by": "root"}),),
    ),
    "the recorder died in the copy": Case(
        move(28, suspend=None, phases=HOME, ended=False), "not evaluated",
        ("Not known whether it moved, no suspension found. Where bxaix85 runs is not proved. It answered last at ",
         "Not evaluated: suspension: no silence beyond ", "Next step: lpmkit recover 2",
         "Find out where the partition runs"),
    ),
    "window missed at its begin": Case(move(29), "failed",
                                       ("Failed: change window: the move began before the start of the change window",),
                                       {"window": {"begin": (BEGIN + timedelta(seconds=9)).isoformat()}}),
    "window, its end not seen": Case(move(30, suspend=None, phases=HOME, ended=False), "not evaluated",
                                     ("change window: its end was not seen",),
                                     {"window": {"end": (BEGIN + timedelta(minutes=9)).isoformat()}}),
    "cluster near": Case(
        move(31), "not evaluated", ("Not evaluated: time-outs: may have been exceeded: RAC CSS waits 1.537 s.",),
        documents={"survey": {"guest": {"clusters": [{"kind": "RAC CSS", "tolerates_s": 1.537},
                                                     {"kind": "Pacemaker", "tolerates_s": 3.0}]}}},
    ),
    "cluster not read": Case(
        move(32), "passed", ("the time-out of Pacemaker is not known",),
        documents={"survey": {"guest": {"clusters": [{"kind": "RAC CSS", "tolerates_s": 30.0},
                                                     {"kind": "Pacemaker"}]}}},
    ),
    "cluster patient": Case(
        move(33), "passed", ("RAC CSS waits 30 s, Pacemaker waits 3 s",),
        documents={"survey": {"guest": {"clusters": [{"kind": "RAC CSS", "tolerates_s": 30.0},
                                                     {"kind": "Pacemaker", "tolerates_s": 3.0}]}}},
    ),
    "under an HMC, left in between": Case(
        move(34, suspend=None, phases=(*HOME, (18.0, "needs-recovery"))), "failed",
        ("| Recover the migration: lpmkit recover ", "| HMC administrator | lpmkit |"),
        documents={"survey": {"source": {"manager": "hmc", "name": "blade13"},
                              "target": {"manager": "hmc", "name": "blade14"}}},
    ),
    "observer stood still": Case(move(21, stalls=((10.0, 10.4),)), "passed"),
}  # fmt: skip
PASSED_CHECKS = [{"key": "keys", "title": "Keys", "verdict": "pass", "about": "", "facts": {}}]
SAME = {"identity": {"booted": "2026-01-01T10:00:00", "serial": "10071DA"}}


def written_run(folder: Path, case: Case) -> Run:
    documents = {**DOCUMENTS, "findings": PASSED_CHECKS, **case.documents}
    documents["survey"] = {**SAME, **documents["survey"]}
    documents["survey_after"] = SAME
    run = make(folder, case.made, **documents)
    write_document(run.path, "run", {**run.manifest, "limits": case.limits})
    with RunWriter(run.path, clock := MadeClock()) as writer:
        for at, kind, data in case.events:
            clock.now_ns = START + round(at * S)
            writer.event("recorder", kind, **data)
    if case.window:
        add_remark(run.path, "change", fields={"window": case.window})
    return Run(run.path)


@pytest.fixture(scope="module", params=CASES)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Run, Analysis]:
    """Each case with its run and analysis, which are made once."""
    run = written_run(tmp_path_factory.mktemp("runs"), CASES[request.param])
    return request.param, run, analyse(run)


# --- the numbers ------------------------------------------------------------------------------------------------------


def bounds_in(value: Any) -> Iterator[tuple[float, float]]:
    """Every pair of bounds in a summary, in seconds."""
    if isinstance(value, dict):
        if isinstance(value.get("low"), int | float) and isinstance(value.get("high"), int | float):
            yield float(value["low"]), float(value["high"])
        for one in value.values():
            yield from bounds_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from bounds_in(one)


def allowed(summary: Any) -> set[tuple[str, str]]:
    """The forms in which each pair may be printed: rounded outwards, to as many digits as any form prints."""
    printed = set()
    for low, high in bounds_in(summary):
        for digits in range(4):
            lo, hi = outwards(round(low * 1e9), round(high * 1e9), digits)
            printed.add((f"{lo:.{digits}f}", f"{hi:.{digits}f}"))
            printed.add((f"{lo:g}", f"{hi:g}"))
    return printed


_BOUNDS = re.compile(r"(?<![\d:.,-])(-?\d+(?:[.,]\d+)?)(?: s)? … (-?\d+(?:[.,]\d+)?) s\b")


def strange_bounds(text: str, summary: Any, language: str) -> list[tuple[str, str]]:
    """Bounds in seconds that a text has and the summary does not."""
    found = {
        tuple(one.replace(",", ".") if language == "de" else one for one in pair) for pair in _BOUNDS.findall(text)
    }
    return sorted(found - allowed(summary))


def texts_of_forms(run: Run, language: str) -> dict[str, str]:
    files = write_up(run, ("html", "pdf", "docx", "md"), language=language)
    word = docx.Document(str(files["docx"]))
    cells = [cell.text for table in word.tables for row in table.rows for cell in row.cells]
    texts = {
        "html": re.sub(
            r"<[^>]+>", " ", re.sub(r"<style>.*?</style>|data:[^\"]*", "", files["html"].read_text(), flags=re.DOTALL)
        ),
        "pdf": "\n".join(page.extract_text() for page in pypdf.PdfReader(files["pdf"]).pages),
        "docx": "\n".join([*(one.text for one in word.paragraphs), *cells]),
        "md": files["md"].read_text().replace("\\", ""),
    }
    return {form: " ".join(text.replace("\u00a0", " ").split()) for form, text in texts.items()}


def terminal_text(found: JsonObject, language: str) -> str:
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    print_summary(found, console, language)
    return " ".join(console.export_text().split())


@dataclass(frozen=True)
class Agreed:
    """A run that is written up in both languages: the text of each form by language, its summary and figures."""

    run: Run
    texts: dict[str, dict[str, str]]
    summary: JsonObject

    @property
    def figures(self) -> dict[str, tuple[str, ...]]:
        return printed(self.summary)


@pytest.fixture(scope="module")
def agreed(tmp_path_factory: pytest.TempPathFactory) -> Agreed:
    asked = (6.5, "intent", {"what": "migrate", "order": {"partition": "bxaix85"}})
    case = replace(CASES["clean, slow afterwards"], events=(asked,))
    run = written_run(tmp_path_factory.mktemp("agreed"), case)
    texts = {language: texts_of_forms(run, language) for language in ("en", "de")}
    return Agreed(run, texts, run.document("summary"))


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_number_of_every_form_is_one_of_the_summary_rounded_outwards(language: str, agreed: Agreed) -> None:
    texts = {**agreed.texts[language], "terminal": terminal_text(agreed.summary, language)}
    for form, text in texts.items():
        assert len(_BOUNDS.findall(text)) > (1 if form == "terminal" else 5), form
        assert strange_bounds(text, agreed.summary, language) == [], form


NUMBER = r"(\d+(?:\.\d+)?)"
#: The five figures of a write-up in the order in which every form has them, and what stands below: words of a language.
BELOW = {
    "en": rf"not observed {{figures}}.*?estimate {NUMBER} s, .*?observer stalls: {NUMBER} s",
    "de": rf"nicht beobachtet {{figures}}.*?Schätzwert {NUMBER} s, .*?Stillstand des Beobachters: {NUMBER} s",
}
FIGURES = rf"{NUMBER} … {NUMBER} s {NUMBER} … {NUMBER} s {NUMBER} … {NUMBER} s (\d+) {NUMBER} s"
COVERAGE = {"en": "95 % coverage interval", "de": "95-%-Überdeckungsintervall"}
HEADLINE = {"en": "suspended", "de": "Unterbrechung"}


@pytest.mark.parametrize("language", ["en", "de"])
def test_each_figure_of_each_form_is_that_of_the_summary(language: str, agreed: Agreed) -> None:
    """In English and German, on the page, in PDF, Word and Markdown: not one of the bounds, but the right one."""
    figures = agreed.figures
    names = ("suspension", "session outage", "whole move", "other gaps", "not observed", "estimate", "stalls")
    for form, text in agreed.texts[language].items():
        bare = " ".join(re.sub(r"[|]|---+", " ", text).split())
        bare = re.sub(r"(?<=\d),(?=\d)", ".", bare) if language == "de" else bare
        pattern = BELOW[language].format(figures=FIGURES)
        assert first(pattern, bare) == tuple(number for name in names for number in figures[name]), form
        low, high = figures["suspension"]
        assert re.search(rf"{HEADLINE[language]} {low}(?: s)? … {high} s", bare), form
        if form != "pdf":  # its columns are narrow, and the interval is broken over their lines
            interval = rf"{COVERAGE[language]} {NUMBER} … {NUMBER} s"
            assert first(interval, bare) == figures["coverage interval"], form


def test_the_answer_as_json_is_the_summary(agreed: Agreed) -> None:
    ran = CliRunner().invoke(cli.main, ["report", str(agreed.run.path), "--json"])
    told = json.loads(ran.stdout)
    assert told.pop("run") == str(agreed.run.path)
    assert set(told) - set(agreed.summary) == {"report", "complete", "undelivered"}
    assert {**told, **agreed.summary} == {**told, "run": agreed.run.name}
    assert printed(told) == agreed.figures


def test_the_licence_ledger_has_the_instants_of_the_summary_rounded_outwards(agreed: Agreed) -> None:
    still = agreed.summary["suspension"]
    begin, end = (
        datetime.fromisoformat(still[one][two]["utc"]) for one, two in (("begin", "earliest"), ("end", "latest"))
    )
    sightings, unreadable = read_sightings(agreed.run.path.parent)
    assert unreadable == {}
    there, here = licence_rows(sightings, {}, "site")[::-1]
    assert (here.frame, there.frame) == ("blade13", "blade14")
    left, came = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (begin, end + timedelta(seconds=1)))
    assert begin.microsecond
    assert end.microsecond
    assert (here.until_earliest_utc, here.until_latest_utc) == (left, came)
    assert (there.from_earliest_utc, there.from_latest_utc) == (left, came)
    span = f"{begin:%Y-%m-%d %H:%M:%S} … {end + timedelta(seconds=1):%H:%M:%S} UTC"
    stays = agreed.texts["en"]["md"].partition("## Location of the partition")[2].partition("##")[0]
    assert stays.count(span) == 2, "the write-up has the ledger's bounds: left the one, came to the other"


def test_bounds_that_are_rounded_inwards_are_found() -> None:
    summary = {"length": {"low": 1.621733, "high": 1.633489}}
    assert strange_bounds("1.621 s … 1.634 s and 1.6 … 1.7 s", summary, "en") == []
    assert strange_bounds("suspended 1.622 … 1.633 s", summary, "en") == [("1.622", "1.633")]


# --- each figure in each form -----------------------------------------------------------------------------------------


def printed(found: JsonObject) -> dict[str, tuple[str, ...]]:
    """The figures of a summary as each form has to print them; empty where there is none."""

    def span(figure: Any, digits: int = 3) -> tuple[str, ...]:
        if not figure or figure["high"] is None:
            return ()
        low, high = outwards(round(figure["low"] * 1e9), round(figure["high"] * 1e9), digits)
        return f"{low:.{digits}f}", f"{high:.{digits}f}"

    def up(seconds: float, digits: int) -> str:
        return f"{outwards(0, round(seconds * 1e9), digits)[1]:.{digits}f}"

    still = found["suspension"] or {}
    states = [one["state"] for one in found["verdict"]["questions"]]
    silences = [one["class"] for host in found["hosts"] for one in host["silences"]]
    return {
        "suspension": span(still.get("length")),
        "estimate": (f"{still['likely']['best']:.3f}",) if still else (),
        "coverage interval": span(still.get("likely")),
        "session outage": span(found["session_outage"]),
        "brown-out": span(found["effects"]["brown_out_s"], 1),
        "whole move": span(found["move"], 1),
        "other gaps": (str(sum(one in ("network", "application", "micro-stop") for one in silences)),),
        "not observed": (up(sum(one["width"] for one in found["not_observed"]), 1),),
        "stalls": (up(found["own_stalls"]["total"]["high"], 2),),
        "questions": tuple(str(states.count(state)) for state in ("failed", "not evaluated", "passed")),
    }


REPORT = {
    "suspension": rf" suspended {NUMBER} … {NUMBER} s estimate",
    "estimate": rf" estimate {NUMBER} s,",
    "coverage interval": rf"95 % coverage interval {NUMBER} … {NUMBER} s",
    "session outage": rf" session outage {NUMBER} … {NUMBER} s longest wait",
    "whole move": rf"duration of the move {NUMBER} … {NUMBER} s from",
    "other gaps": r" other gaps (\d+) network",
    "not observed": rf" not observed {NUMBER} s observer",
    "stalls": rf"observer stalls: {NUMBER} s",
}
BOARD = {
    "suspension": rf" suspension: {NUMBER} … {NUMBER} s",
    "session outage": rf" session outage: {NUMBER} … {NUMBER} s",
    "questions": r"Verdict: (?:✗ )?(\d+) failed(?:, ! (\d+) not evaluated)?, ✓ (\d+) passed",
}
WRITE_UP = {
    "suspension": rf"\|\n\| {NUMBER} … {NUMBER} s \|",
    "estimate": rf"\| estimate {NUMBER} s, 95 %",
    "coverage interval": rf"95 % coverage interval {NUMBER} … {NUMBER} s",
    "not observed": rf" \| \d+ \| {NUMBER} s \|\n",
    "other gaps": rf" \| (\d+) \| {NUMBER[1:-1]} s \|\n",
    "stalls": rf"observer stalls: {NUMBER} s",
}
HISTORY = {
    "suspension": (HEAD.index("suspended"), rf"{NUMBER} … {NUMBER} s"),
    "session outage": (HEAD.index("session outage"), rf"{NUMBER} … {NUMBER} s"),
    "brown-out": (HEAD.index("brown-out"), rf"{NUMBER} … {NUMBER} s"),
    "whole move": (HEAD.index("whole move"), rf"{NUMBER} … {NUMBER} s"),
}


def first(pattern: str, text: str) -> tuple[str, ...]:
    match = re.search(pattern, text)
    return tuple(group or "0" for group in match.groups()) if match else ()


def plain(html: str) -> str:
    """The text of a page."""
    bare = re.sub(r"<style.*?</style>|<script.*?</script>|<[^>]+>", " ", html, flags=re.DOTALL)
    return " ".join(bare.replace("\u00a0", " ").split())


def test_each_figure_is_the_same_in_each_form(told: tuple[str, Run, Analysis]) -> None:
    name, run, analysis = told
    found = json.loads(as_document(summary(analysis)))
    write_document(run.path, "summary", found)
    figures = printed(found)
    assert bool(figures["suspension"]) is (CASES[name].made.suspend is not None)
    document = written(run, analysis, Words("en"))
    texts = {
        "report": (plain(render(run, analysis, {})), REPORT),
        "board": (" ".join(board_lines(board_of(run, summary=found))), BOARD),
        "write-up": (markdown(document, "plots").replace("\\", "").replace("\u00a0", " "), WRITE_UP),
    }
    for form, (text, patterns) in texts.items():
        for figure, pattern in patterns.items():
            assert first(pattern, text) == figures[figure], (form, figure)
    asked = texts["report"][0].partition(" question state answer ")[2].partition(" What happened ")[0]
    states = re.findall(r"\? (failed|not evaluated|passed) ", asked)
    assert tuple(str(states.count(state)) for state in ("failed", "not evaluated", "passed")) == figures["questions"]
    past = History(run.path.parent)
    (row,) = past.rows(past.moves())
    for figure, (column, pattern) in HISTORY.items():
        expected = figures[figure] if figure != "brown-out" or "at least" not in row[column] else ()
        assert first(pattern, row[column]) == expected, ("history", figure)
    rows = sheets(WriteUpInputs(run, analysis, Words("en")), document)["Measurements"]
    spans = {(one["what"], one["probe"]): (one["at least (s)"], one["at most (s)"]) for one in rows}
    numbers = {
        "suspension": spans.get(("suspended", "bxaix85: all probes"), ()),
        "coverage interval": spans.get(("95 % coverage interval", "bxaix85: all probes"), ()),
    }
    for figure, cells in numbers.items():
        assert tuple(f"{cell:.3f}" for cell in cells) == figures[figure], ("workbook", figure)


# --- the sentences ----------------------------------------------------------------------------------------------------


def test_a_write_up_says_what_happened_and_nothing_against_it(told: tuple[str, Run, Analysis]) -> None:
    name, run, analysis = told
    case = CASES[name]
    verdict = analysis.verdict
    assert verdict.state.value == case.state, verdict.sentence
    english, german = (markdown(written(run, analysis, Words(one)), "plots") for one in ("en", "de"))
    text = english.replace("\\", "").replace("\u00a0", " ")
    for says in case.says:
        assert says in text, says
    for language, one in (("en", english), ("de", german)):
        assert strange_bounds(one.replace("\\", "").replace("\u00a0", " "), summary(analysis), language) == []
    # the headline, the figure and the answer give one suspension
    still = analysis.suspension
    if still is not None:
        low, high = outwards(still.length.lo_ns, still.length.hi_ns)
        assert f"{low:.3f} … {high:.3f} s" in text
        assert f"{low:.3f} s … {high:.3f} s" in verdict.sentence
    # whatever fails, is open or warns stands among the deviations, and nothing that passed does
    deviations = text.partition("## Deviations")[2].partition("\n## ")[0]
    for question in verdict.questions:
        is_deviation = question.warns or (question.counts and question.state.value != "passed")
        assert (f"| {question.title} " in deviations) is is_deviation, question
    moved = verdict.question("moved").state.value
    assert ("not as expected" in text) is any(
        one.key == "identity" and (one.warns or one.state.value == "failed") for one in verdict.questions
    )
    outcome = verdict.outcome
    assert outcome is not None
    assert ("was moved to" in text) is (moved == "passed")
    assert ("Moved, " in verdict.sentence) is (moved == "passed")
    assert ("Save the partition's profile" in text) is outcome.is_there
    # what is to be done next stands in the headline, and once more in every form's table of questions
    assert text.count(f"Next step: {outcome.next_command}") == (2 if outcome.next_command else 0)
    assert ("Nothing to take back: bxaix85 is on blade13" in text) is (outcome.kind is OutcomeKind.STAYED)
    assert ("Next step" in english) is ("Nächster Schritt" in german)


def test_the_report_in_german_has_nothing_english_but_what_machines_printed(told: tuple[str, Run, Analysis]) -> None:
    _, run, analysis = told
    page = render(run, analysis, {}, words_of("de"))
    assert english_in(page, run, (r"HSCLA27C no", r"\bx\b")) == []
    assert headline(analysis.verdict, analysis.suspension, words_of("de")) in unescape(page)


def test_the_timeline_is_in_the_order_of_events_with_the_labels_that_people_look_for(tmp_path: Path) -> None:
    run = written_run(tmp_path, CASES["clean"])
    document = written(run, analyse(run), Words("en"))
    timeline = next(one for one in document.sections if one.key == "timeline")
    table: Any = timeline.blocks[1]
    texts = [row[-1] for row in table.rows]
    order = [
        "phase: asked",
        "CLIENT_PMIG_STARTED",
        "suspension begins",
        "suspension ends",
        "CLIENT_PMIG_DONE",
        "phase: settled",
    ]
    places = [next(number for number, text in enumerate(texts) if words in text) for words in order]
    assert places == sorted(places), texts
    assert all("{" not in text and "order" not in text for text in texts), "raw data of an event"
    done = next(row for row in table.rows if "CLIENT_PMIG_DONE" in row[-1])
    assert "stamp to the minute" in done[-1]
    assert " … " in done[0], "a stamp to the minute has bounds"


def test_the_report_has_the_entries_of_logs_where_they_were_written(tmp_path: Path) -> None:
    run = written_run(tmp_path, CASES["clean"])
    text = re.sub(r"<[^>]+>", " ", write_report(run.path).read_text(encoding="utf-8")).rpartition(" Events ")[2]
    order = ["CLIENT_PMIG_STARTED", "suspension begins", "suspension ends", "CLIENT_PMIG_DONE"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
