"""The report as a reader and as an auditor find it."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lpmkit.analysis import analyse
from lpmkit.board.follow import board_of
from lpmkit.board.page import parts
from lpmkit.report.facts import compared, evidence
from lpmkit.report.outputs import is_derived
from lpmkit.report.page import write_report
from lpmkit.runs.folder import Run, create
from tests.made_runs import Made, make

MOVE = Made(duration_s=26.0, suspend=(15.0, 16.537), dropped=True)
DOCUMENTS: dict[str, Any] = {
    "findings": [
        {
            "key": "disk",
            "title": "No disk is reserved",
            "verdict": "unknown",
            "about": "hdisk3",
            "facts": {"n": 3},
            "remedy": "Ask <b>storage</b>.",
            "who": "storage",
        },
        {"key": "msp", "title": "Movers", "verdict": "pass", "about": "", "facts": {}, "remedy": None, "who": None},
    ],
    "validation": {"passed": True, "status": 0, "text": "", "wall_ns": 1},
    "survey": {"identity": {"serial": "10071DA", "booted": "2026-01-01T10:00:00", "hostname": "bxaix85"}},
    "survey_after": {"identity": {"serial": "10071EB", "booted": "2026-01-01T10:00:30", "hostname": "bxaix85"}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = make(tmp_path_factory.mktemp("report"), MOVE, **DOCUMENTS)
    write_report(made.path)
    return made


def _html(run: Run) -> str:
    return (run.path / "report.html").read_text()


class _Outline(HTMLParser):
    """Tags that are opened and closed, the text, and everything that would be fetched."""

    VOID = frozenset({"meta", "br", "link", "img", "path", "use", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.fetched += [
            str(value) for name, value in attrs if name in ("src", "href") and not str(value).startswith("#")
        ]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_report_is_one_whole_file_that_fetches_nothing(run: Run) -> None:
    outline = _Outline()
    outline.feed(_html(run))
    assert outline.open == []
    assert outline.fetched == []
    assert "script" not in outline.tags
    assert len(outline.ids) == len(set(outline.ids))


def test_the_top_says_the_verdict_and_the_figures_of_the_summary(run: Run) -> None:
    summary = json.loads((run.path / "summary.json").read_text())
    html = _html(run)
    assert html.count("<h1>") == 1
    assert f"<strong>{summary['verdict']['line']}</strong>" in html
    top = html[: html.index("<nav")]
    figures = re.findall(r"<div><span>([^<]+)</span> <b>([^<]+)</b> <span>([^<]*)</span></div>", top)
    assert len(figures) == 5
    assert re.match(r"1\.5\d\d … 1\.5\d\d s", figures[0][1].replace("\N{NO-BREAK SPACE}", " ")), figures[0]
    for part in ("Deviations", "Back-out", "Follow-up"):
        assert f"<h3>{part}" in top
    assert 'data-key="questions"' not in html
    assert "data-key='questions'" not in html


def test_every_question_check_and_remedy_is_there_and_escaped(run: Run) -> None:
    html = _html(run)
    assert "Ask &lt;b&gt;storage&lt;/b&gt;." in html
    assert "<b>storage" not in html
    for question in analyse(run).verdict.questions:
        assert question.title in html
    assert "Oracle sessions and work: not looked at" in html


def test_what_a_machine_printed_cannot_become_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    documents = {
        **DOCUMENTS,
        "validation": {"passed": False, "status": 1, "text": evil},
        "survey": {"identity": {evil: evil}},
    }
    made = make(tmp_path, Made(duration_s=8.0, suspend=None, host="a<b"), **documents)
    html = write_report(made.path).read_text()
    assert evil not in html
    assert "&lt;script&gt;" in html


def test_before_and_after_are_compared_whatever_they_are() -> None:
    before = {"identity": {"serial": "1", "booted": "2026-01-01T10:00:00", "old": "x", "disks": [["hdisk0", "00c1"]]}}
    after = {"identity": {"serial": "2", "booted": "2026-01-01T10:01:00", "new": 5, "disks": [["hdisk0", "00c1"]]}}
    assert list(compared(before, after)) == [
        ("serial", "1", "2", "changed"),
        ("booted", "2026-01-01T10:00:00", "2026-01-01T10:01:00", "same"),
        ("old", "x", "–", "not known"),
        ("disks", "hdisk0 00c1", "hdisk0 00c1", "same"),
        ("new", "–", "5", "not known"),
    ]
    assert list(compared(None, None)) == []
    assert list(compared({"identity": ["odd"]}, "odd")) == []


def test_changes_that_the_run_judged_are_shown_as_judged(tmp_path: Path) -> None:
    changes = [{"what": "disks (PVID)", "before": "a", "after": "b", "change": "changed", "as_it_should": False}]
    made = make(tmp_path, Made(duration_s=8.0, suspend=None), **DOCUMENTS, changes=changes)
    assert "changed, not as it should be" in write_report(made.path).read_text()


def test_the_evidence_lists_what_was_recorded_with_its_hash(run: Run) -> None:
    found = {name: (size, digest) for name, size, digest in evidence(run.path)}
    assert "events.jsonl" in found
    assert not any(is_derived(name.split("/")[0]) for name in found)
    content = (run.path / "samples" / "ssh-ticks.1.csv").read_bytes()
    assert found["samples/ssh-ticks.1.csv"] == (len(content), hashlib.sha256(content).hexdigest())
    assert found["events.jsonl"][1] in _html(run)


def test_repeating_the_report_changes_nothing(run: Run) -> None:
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    write_report(run.path)
    after = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    assert after == before


def test_samples_csv_holds_every_sample_with_its_time_of_day(run: Run) -> None:
    with (run.path / "samples.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(run.samples(probe)) for probe in run.probes())
    assert {row["probe"] for row in rows} == set(run.probes())
    first = next(row for row in rows if row["probe"] == "ssh-echo")
    assert re.fullmatch(r"2026-01-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first["utc"])


@pytest.mark.parametrize(
    "made",
    [
        Made(mode="watch", suspend=None, duration_s=14.0, hole=(8.0, 10.0)),
        Made(duration_s=14.0, suspend=None, ticks=False, connect=False),
        Made(duration_s=14.0, suspend=(8.0, 9.0), echo=False, connect=False, observer=False),
    ],
    ids=["watch with a hole", "echo only, no suspension", "ticks only"],
)
def test_a_poorer_run_has_a_report_too(tmp_path: Path, made: Made) -> None:
    html = write_report(make(tmp_path, made).path).read_text()
    assert "Not looked at, with the reason" in html


def test_an_empty_run_has_a_report_that_says_so(tmp_path: Path) -> None:
    html = write_report(create(tmp_path, mode="move", title="empty", facts={}).path).read_text()
    assert "No move was asked for. Nothing was recorded: the move is prepared only." in html
    assert "<b>not looked at</b>" in html
    assert "nothing was watching" in html
    assert "1970" not in html


def test_a_document_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    made = make(tmp_path, Made(duration_s=8.0, suspend=None))
    (made.path / "findings.json").write_text("{")
    assert "findings.json cannot be read" in write_report(made.path).read_text()


def test_the_head_of_the_report_is_the_board_that_everybody_sees(run: Run) -> None:
    board, html = board_of(run), _html(run)
    shown = parts(board)
    assert shown["head"] in html
    assert shown["happened"] in html
    folds = {fold.key for fold in board.folds}
    assert {"questions", "checks"} <= folds, "the report has sections of its own for them"
    assert set(re.findall(r"data-key='([\w-]+)'", html)) == folds - {"questions", "checks"}


def test_the_contents_lead_to_every_section_and_nothing_passed_stands_in_the_way(run: Run) -> None:
    page = _html(run)
    links = re.findall(r'<a href="#([^"]+)"', page)
    assert links
    assert set(links) <= set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'<h2 id="([^"]+)"', page)) <= set(links)
    checks = page[page.index('id="checks-before-the-move"') :]
    assert "1 pass, 0 warn, 0 fail, 1 unknown" in checks
    assert checks.index("No disk is reserved") < checks.index("<details>") < checks.index("Movers")
