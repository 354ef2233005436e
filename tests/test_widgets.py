"""What an operator clicks: a button that does not apply is disabled and says why, and what is to be done stands beside
it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from lpmkit.config import Site, load_site
from lpmkit.control.base import MigrationReading, Order
from lpmkit.migration.recovery import BothEnds, EndReading
from lpmkit.migration.status import LOOK_HOLDS_S, RunStatus, state
from lpmkit.notebook import live
from lpmkit.notebook.application import Application
from lpmkit.notebook.live import LiveBoard, lanes_picture
from lpmkit.notebook.move import MovePanel
from lpmkit.notebook.record import RunChooser
from lpmkit.notebook.verdict import judged
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run, RunWriter, create, write_document
from lpmkit.timeline import Clock, wait_until
from tests.made_runs import Made, make

ORDER = Order("bxaix85", "bvio82", "bvio83", "7998-61X*10072EA", "192.0.2.83", "padmin")
HERE = MigrationReading("Running", "Not Migrating", lpar_id=2)
COPYING = MigrationReading("Migrating - Running", "Migration Starting", 1000, 9000, 2)
BROKEN = MigrationReading("Migrating - Running", "Migration Failed", 1000, 9000, 2)
NOT_LISTED = MigrationReading(None, None)
THERE = MigrationReading("Running", "Not Migrating", lpar_id=3)
NAMED = "type bxaix85 to confirm"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    path = tmp_path / "site.yaml"
    path.write_text(
        "frames:\n  bvio82: {manager: ivm, host: bvio82, mover_address: 192.0.2.82}\n"
        "  bvio83: {manager: ivm, host: bvio83, mover_address: 192.0.2.83}\npartitions: {}\nruns: {folder: runs}\n"
    )
    return load_site(path)


@pytest.fixture
def book(site: Site) -> Runbook:
    return Runbook(site)


class Recorder:
    """Writes what a recorder writes, and holds the folder's lock as one does."""

    def __init__(self, writer: RunWriter) -> None:
        self.writer = writer

    def begins(self) -> None:
        self.writer.event("recorder", "recorder-started", pid=1, mode="move", resumed=False)
        self.reads(HERE)

    def enters(self, *phases: str) -> None:
        for phase in phases:
            self.writer.event("recorder", "phase", phase=phase, was="", why="")

    def reads(self, reading: MigrationReading, where: str = "bvio82") -> None:
        self.writer.event("recorder", "reading", where=where, **asdict(reading))

    def answers(self, what: str, status: int) -> None:
        self.writer.event("recorder", "answer", what=what, status=status, text="")


def prepared(site: Site) -> Run:
    facts = {"order": asdict(ORDER), "site": site.as_data(), "probes": [], "lead_in_s": 60, "tail_s": 60, "poll_s": 1}
    run = create(site.runs.folder, mode="move", title="bxaix85-to-bvio83", facts=facts)
    word = {"order": asdict(ORDER), "passed": True, "status": 0, "text": "", "wall_ns": Clock().wall_ns()}
    write_document(run.path, "validation", word)
    return run


@pytest.fixture
def run(site: Site) -> Run:
    return prepared(site)


@pytest.fixture
def recorder(run: Run) -> Iterator[Recorder]:
    with RunWriter(run.path) as writer:
        yield Recorder(writer)


def enabled(panel: MovePanel) -> set[str]:
    panel.refresh()
    buttons = (panel.move, panel.stop, panel.recover, panel.force, panel.attach)
    found = {button.description for button in buttons if not button.disabled}
    said = {name for names in re.findall("<b>(.*?)</b>", panel.why_not.value) for name in names.split(", ")}
    assert said == {button.description for button in buttons} - found, "what is disabled says why, in the page"
    return found


def test_nothing_can_be_pressed_until_the_name_is_typed(book: Runbook, run: Run) -> None:
    panel = MovePanel(book, run)
    assert enabled(panel) == set()
    assert NAMED in panel.why_not.value
    panel.typed.value = "bxaix58"
    assert enabled(panel) == set()
    panel.typed.value = "bxaix85"
    assert enabled(panel) == {"Move"}
    assert "no move has begun" in panel.why_not.value


def test_a_refused_validation_keeps_move_disabled_with_the_firmwares_words_and_a_passed_one_enables_it(
    book: Runbook, run: Run
) -> None:
    word = run.document("validation")
    write_document(run.path, "validation", {**word, "passed": False, "status": 1, "text": "[VIOSE01] <no> keys"})
    panel = MovePanel(book, run)
    panel.typed.value = "bxaix85"
    assert enabled(panel) == set()
    assert "[VIOSE01] &lt;no&gt; keys" in panel.why_not.value
    write_document(run.path, "validation", word)
    assert enabled(panel) == {"Move"}


def test_stop_applies_from_the_lead_in_until_the_partition_has_left_and_recover_only_to_what_is_left_in_between(
    book: Runbook, run: Run, recorder: Recorder
) -> None:
    panel = MovePanel(book, run)
    panel.typed.value = "bxaix85"
    recorder.begins()
    assert enabled(panel) == {"Stop"}, "in the lead-in it calls the move off"
    assert panel.way.value == ""
    recorder.enters("asked")
    assert enabled(panel) == {"Stop"}, "a manager may not list it yet"
    recorder.enters("starting", "copying")
    recorder.reads(COPYING)
    assert enabled(panel) == {"Stop"}
    assert "Recommended action: <b>wait</b>" in panel.way.value
    panel.typed.value = ""
    assert enabled(panel) == set()
    assert NAMED in panel.why_not.value
    panel.typed.value = "bxaix85"
    recorder.enters("switched")
    recorder.reads(NOT_LISTED)
    recorder.reads(COPYING, "bvio83")
    assert enabled(panel) == set()
    assert "The last phase: the target fetches" in panel.why_not.value
    recorder.enters("settled")
    recorder.reads(THERE, "bvio83")
    assert enabled(panel) == set()
    assert "Recommended action: <b>none (do not intervene)</b>. It has moved." in panel.way.value


def test_a_broken_move_is_recovered_and_force_waits_for_a_look_at_both_ends(
    book: Runbook, run: Run, recorder: Recorder
) -> None:
    panel = MovePanel(book, run)
    panel.typed.value = "bxaix85"
    recorder.begins()
    recorder.enters("copying", "needs-recovery")
    recorder.reads(BROKEN)
    assert enabled(panel) == {"Recover"}
    assert "an ordinary recovery comes first" in panel.why_not.value
    assert "lpmkit recover" in panel.way.value
    recorder.answers("recover", 1)
    assert enabled(panel) == set()
    assert "Do not force while that is not known" in panel.why_not.value, "no reading says whether the target has power"
    now = book.clock.mono_ns()
    off = BothEnds(ORDER, EndReading("bvio82", BROKEN, "Operating"), EndReading("bvio83", NOT_LISTED, "Power Off"))
    panel._looked = off, now
    recorder.reads(BROKEN)
    assert enabled(panel) == {"Recover", "Recover with force"}, "a recorder reads the source on, the look still counts"
    panel._looked = off, now - round(LOOK_HOLDS_S * 1e9)
    assert enabled(panel) == set(), "but not for long"


def test_while_the_source_cannot_be_asked_neither_stop_nor_recover_is_offered(
    book: Runbook, run: Run, recorder: Recorder
) -> None:
    panel = MovePanel(book, run)
    panel.typed.value = "bxaix85"
    recorder.begins()
    recorder.enters("copying")
    recorder.writer.event("recorder", "control-lost", where="bvio82", error="no route to <host>")
    assert enabled(panel) == set()
    assert "It is not known where the partition is" in panel.why_not.value
    assert "no route to &lt;host&gt;" in panel.way.value
    recorder.reads(COPYING)
    assert enabled(panel) == {"Stop"}


def test_a_move_that_was_called_off_is_not_begun_again_in_the_same_folder(book: Runbook, run: Run) -> None:
    with RunWriter(run.path) as writer:
        Recorder(writer).begins()
        writer.event("recorder", "recorder-ended", reason="called off before the move was asked for")
    panel = MovePanel(book, run)
    panel.typed.value = "bxaix85"
    assert enabled(panel) == set()
    assert "this run is over; nothing was moved" in panel.why_not.value


def test_a_move_that_was_stopped_is_tried_again_in_a_folder_of_its_own_while_its_tail_is_recorded(
    book: Runbook, run: Run, recorder: Recorder
) -> None:
    recorder.begins()
    recorder.enters("copying")
    assert book.prepare(ORDER).path == run.path, "whoever comes back to a move is attached again"
    recorder.enters("stopped")
    assert book.prepare(ORDER).path != run.path


def test_a_recorder_that_died_can_be_followed_by_another_and_the_board_shows_what_that_one_sees(
    book: Runbook, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "DESERTED_S", 0.05)
    panel = MovePanel(book, run)
    assert "no move has begun" in panel.why_not.value
    with RunWriter(run.path) as writer:
        Recorder(writer).begins()
        Recorder(writer).enters("copying")
        assert enabled(panel) == set()
        assert "<b>Restart recorder</b>: it is recorded" in panel.why_not.value
    board = LiveBoard(run, panel)
    try:
        assert enabled(panel) == {"Restart recorder"}, "it asks no machine for anything, so no name need be typed"
        assert "the recorder died" in board.headline.value
        with RunWriter(run.path) as writer:
            writer.event("recorder", "recorder-started", pid=1, mode="move", resumed=True)
            Recorder(writer).enters("settled")
            assert wait_until(lambda: "settled" in board.headline.value, clock=book.clock, timeout_s=20)
            writer.event("recorder", "recorder-ended", reason="settled")
        assert book.attach(run) is False, "the run is over"
        assert wait_until(lambda: not board._thread.is_alive(), clock=book.clock, timeout_s=20)
        assert enabled(panel) == set()
        assert "the run is over" in panel.why_not.value
    finally:
        board.close_board()


def test_a_course_says_at_every_event_what_the_whole_record_says(run: Run, recorder: Recorder) -> None:
    class Still(Clock):
        def mono_ns(self) -> int:
            return 10**18

    course, clock = RunStatus(run, Still()), Still()
    deeds: list[tuple[str, dict[str, Any]]] = [
        ("recorder-started", {"pid": 1}),
        ("clock", {"uncertainty_ns": 1}),
        ("reading", {"where": "bvio82", **asdict(COPYING)}),
        ("phase", {"phase": "copying"}),
        ("forecast", {"remaining_s": {"p50": 40.0}}),
        ("reading", {"where": "bvio82", **asdict(COPYING), "bytes_transmitted": 5000, "bytes_remaining": 5000}),
        ("control-lost", {"where": "bvio82", "error": "gone"}),
        ("tail-over", {"goes_on_s": 60}),
        ("recorder-ended", {"reason": "settled"}),
    ]
    for kind, data in deeds:
        recorder.writer.event("recorder", kind, **data)
        assert course.state() == state(run, clock)
    assert [event.kind for event in course.events] == [
        "recorder-started", "phase", "control-lost", "tail-over", "recorder-ended"
    ], "what is told again and again is not kept"  # fmt: skip
    assert course.state().progress.transmitted == 5000


def test_the_list_of_runs_says_what_became_of_them_once_they_are_analysed(book: Runbook, site: Site) -> None:
    done = make(site.runs.folder, Made())
    newer = prepared(site)
    chooser, several = RunChooser(book, done.name), RunChooser(book, [newer.name, done.name], several=True)
    assert "not analysed" in {name: label for label, name in chooser.list.options}[done.name]
    answers, chart = judged(book, done)
    assert "suspended 1.5" in answers.data
    assert "data:image/png" in chart.data
    later = make(site.runs.folder, Made(host="bxaix86"))
    for one, chosen in ((chooser, done.name), (several, (newer.name, done.name))):
        one.refresh()
        labels = {name: label for label, name in one.list.options}
        assert "not analysed" not in labels[done.name]
        assert "suspended 1.5" in labels[done.name]
        assert later.name in labels
        assert one.list.value == chosen, "what is chosen stays chosen"


def test_the_verdict_page_of_the_application_labels_the_runs_anew(book: Runbook, site: Site) -> None:
    done = make(site.runs.folder, Made())
    application = Application(book)  # no machine answers: that stands on the page of the choice
    assert "did not answer" in application.prepare.top.silent.value
    lists = [page.top.list for page in (application.move, application.verify, application.compare)]
    assert all("not analysed" in one.options[0][0] for one in lists)
    application.verify.do("Verdict")
    assert all("suspended 1.5" in one.options[0][0] for one in lists)
    assert application.verify.top.run().name == done.name


def test_a_board_lives_on_while_a_validation_holds_the_folder_and_until_the_run_is_over(run: Run) -> None:
    board = LiveBoard(run)

    def redrawn(times: int = 2) -> None:
        """Wait until it was drawn so often again."""
        for number in range(times):
            board.headline.value = f"a mark, number {number}"
            assert wait_until(lambda: "a mark" not in board.headline.value, clock=Clock(), timeout_s=10)

    with RunWriter(run.path):
        redrawn()
    redrawn()
    with RunWriter(run.path) as writer:
        Recorder(writer).begins()
        redrawn()
        writer.event("recorder", "recorder-ended", reason="called off before the move was asked for")
    board._thread.join(timeout=10)
    assert not board._thread.is_alive()


def test_a_picture_of_the_lanes_is_also_said_in_words(site: Site) -> None:
    run = make(site.runs.folder, Made(duration_s=20.0, suspend=(10.0, 11.5)))
    shown = lanes_picture(run).data
    assert 'aria-label="Signs of life within the last 30 seconds' in shown
    (row,) = re.findall(r"<tr><td[^>]*>ssh-ticks</td>.*?</tr>", shown)
    assert "0.0 s ago" in row
    assert ">1." in row, "the silence of the suspension, and not the time before the record"
