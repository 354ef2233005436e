"""The buttons that an operator clicks: one that does not apply is disabled and shows why, and what is to be done stands
beside it.
"""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ipywidgets as w
import pytest

from lpmkit.board.follow import board_of
from lpmkit.board.model import Board
from lpmkit.board.page import assembled
from lpmkit.config import Site, load_site
from lpmkit.control.base import MigrationReading, Order
from lpmkit.inventory import Frame, Partition
from lpmkit.migration.ends import BothEnds, EndReading
from lpmkit.migration.status import LOOK_HOLDS_S, RunStatus, state
from lpmkit.notebook import board_view, live
from lpmkit.notebook.application import OTHERS, STEPS, Application, application_for
from lpmkit.notebook.board_view import alarm_of
from lpmkit.notebook.choose import Chooser
from lpmkit.notebook.live import LiveBoard, plain_board
from lpmkit.notebook.move import MovePanel
from lpmkit.notebook.record import RecordForm, RunChooser, WriteUpPanel
from lpmkit.notebook.verdict import judged
from lpmkit.runbook import PartitionLocation, Runbook, SiteInventory
from lpmkit.runs.folder import Run, create, write_document
from lpmkit.runs.writer import RunWriter
from lpmkit.timeline import Clock, wait_until
from lpmkit.wording.words import words_of
from tests.board_states import board_in
from tests.made_runs import Made, make

ORDER = Order("bxaix85", "bvio82", "bvio83", "7998-61X*10072EA", "192.0.2.83", "padmin")
HERE = MigrationReading("Running", "Not Migrating", lpar_id=2)
COPYING = MigrationReading("Migrating - Running", "Migration Starting", 1000, 9000, 2)
BROKEN = MigrationReading("Migrating - Running", "Migration Failed", 1000, 9000, 2)
NOT_LISTED = MigrationReading(None, None)
THERE = MigrationReading("Running", "Not Migrating", lpar_id=3)


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
    """The actions that can be taken: those of the banner, and the folded ones that apply."""
    board = panel.refresh()
    offered = {key for key, button in panel.buttons.items() if button in panel.row.children}
    assert offered == set(board.banner.actions)
    assert len(offered) <= 2
    assert all(not panel.buttons[key].disabled for key in offered & set(panel.reasons()) - {"move"})
    folded = {key for key, button in panel.buttons.items() if button in panel.others.children and not button.disabled}
    said = {name for names in re.findall("<b>(.*?)</b>", panel.why_not.value) for name in names.split(", ")}
    disabled = {key for key, why in panel.reasons().items() if why}
    assert len(said) == len(disabled), "what does not apply says why, folded in the page"
    return (offered | folded) - disabled - {"look"}


def press(panel: MovePanel, key: str, name: str = "bxaix85") -> None:
    """Press a button, type a name, and confirm where that is possible."""
    panel.buttons[key].click()
    panel.typed.value = name
    if not panel.go.disabled:
        panel.go.click()


def is_asked(panel: MovePanel) -> bool:
    """True while the panel asks for the name."""
    return bool(panel.confirm.layout.display != "none")


def test_a_move_is_confirmed_by_the_name_under_a_summary(
    book: Runbook, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(book, "move", lambda run, name: asked.append(name))
    panel = MovePanel(book, run)
    assert enabled(panel) == {"move"}
    assert not is_asked(panel)
    panel.buttons["move"].click()
    assert is_asked(panel)
    assert "bvio82 → bvio83" in panel.summary.value
    for name in ("", "bxaix58"):
        panel.typed.value = name
        assert panel.go.disabled
    panel.typed.value = "bxaix85"
    assert not panel.go.disabled
    panel.cancel.click()
    assert not is_asked(panel)
    assert panel.go.disabled
    press(panel, "move")
    assert asked == ["bxaix85"]
    assert not is_asked(panel)


def test_a_refused_validation_is_said_before_the_name_is_asked_for(book: Runbook, run: Run) -> None:
    word = run.document("validation")
    write_document(run.path, "validation", {**word, "passed": False, "status": 1, "text": "[VIOSE01] <no> keys"})
    panel = MovePanel(book, run)
    assert enabled(panel) == set()
    assert "[VIOSE01] <no> keys" in panel.refresh().banner.sentence
    panel.press("move")
    assert not is_asked(panel)
    assert "[VIOSE01] &lt;no&gt; keys" in panel.says.value
    write_document(run.path, "validation", word)
    assert enabled(panel) == {"move"}
    (run.path / "validation.json").unlink()
    assert enabled(panel) == set()
    assert "there is no validation" in panel.why_not.value


def test_stop_applies_from_the_lead_in_until_the_partition_has_left_and_recover_only_to_what_is_left_in_between(
    book: Runbook, run: Run, recorder: Recorder
) -> None:
    panel = MovePanel(book, run)
    recorder.begins()
    assert enabled(panel) == {"stop"}, "in the lead-in it calls the move off"
    recorder.enters("asked")
    assert enabled(panel) == {"stop"}, "a manager may not list it yet"
    recorder.enters("starting", "copying")
    recorder.reads(COPYING)
    assert enabled(panel) == {"stop"}
    panel.buttons["stop"].click()
    assert is_asked(panel)
    assert "The partition stays there" in panel.summary.value
    recorder.enters("switched")
    recorder.reads(NOT_LISTED)
    recorder.reads(COPYING, "bvio83")
    assert enabled(panel) == set()
    assert not is_asked(panel), "what does not apply any more is not asked for any longer"
    assert "The last phase: the target fetches" in panel.why_not.value
    recorder.enters("settled")
    recorder.reads(THERE, "bvio83")
    assert enabled(panel) == set()
    assert panel.refresh().banner.key == "arrived"


def test_a_broken_move_is_recovered_and_force_waits_for_a_look_at_both_ends(
    book: Runbook, run: Run, recorder: Recorder
) -> None:
    panel = MovePanel(book, run)
    recorder.begins()
    recorder.enters("copying", "needs-recovery")
    recorder.reads(BROKEN)
    assert enabled(panel) == {"recover"}
    assert "an ordinary recovery comes first" in panel.why_not.value
    assert "lpmkit recover" in told(panel)
    recorder.answers("recover", 1)
    assert enabled(panel) == set()
    assert "Do not force while that is not known" in panel.why_not.value, "no reading says whether the target has power"
    now = book.clock.mono_ns()
    off = BothEnds(ORDER, EndReading("bvio82", BROKEN, "Operating"), EndReading("bvio83", NOT_LISTED, "Power Off"))
    panel._looked = off, now
    recorder.reads(BROKEN)
    assert enabled(panel) == {"recover", "force"}, "a recorder reads the source on, the look still counts"
    assert panel.buttons["force"] in panel.others.children, "force is never beside the banner"
    panel._looked = off, now - round(LOOK_HOLDS_S * 1e9)
    assert enabled(panel) == set(), "but not for long"


def told(panel: MovePanel) -> str:
    """The board beside the panel as text."""
    return "\n".join(
        line for fold in (panel.refresh().failure, *panel.refresh().folds) if fold
        for item in fold.items for line in (item.text, item.command)
    )  # fmt: skip


def test_while_the_source_cannot_be_asked_neither_stop_nor_recover_is_offered(
    book: Runbook, run: Run, recorder: Recorder
) -> None:
    panel = MovePanel(book, run)
    recorder.begins()
    recorder.enters("copying")
    recorder.writer.event("recorder", "control-lost", where="bvio82", error="no route to <host>")
    assert enabled(panel) == set()
    assert "Check again when one of them answers" in panel.why_not.value
    assert "no route to <host>" in told(panel)
    recorder.reads(COPYING)
    assert enabled(panel) == {"stop"}


def test_a_move_that_was_called_off_is_not_begun_again_in_the_same_folder(book: Runbook, run: Run) -> None:
    with RunWriter(run.path) as writer:
        Recorder(writer).begins()
        writer.event("recorder", "recorder-ended", reason="called off before the move was asked for")
    panel = MovePanel(book, run)
    assert enabled(panel) == set()
    assert panel.refresh().banner.key == "called-off"
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
        assert "attach" not in enabled(panel)
        assert "<b>Restart recorder</b>: it is recorded" in panel.why_not.value
    board = LiveBoard(run, panel)
    try:
        assert enabled(panel) == {"attach"}, "it asks no machine for anything, so no name need be typed"
        assert "RECORDER GONE" in board.head.head
        with RunWriter(run.path) as writer:
            writer.event("recorder", "recorder-started", pid=1, mode="move", resumed=True)
            Recorder(writer).enters("settled")
            assert wait_until(lambda: "ARRIVED" in board.head.head, clock=book.clock, timeout_s=20)
            writer.event("recorder", "recorder-ended", reason="settled")
        assert book.attach(run) is False, "the run is over"
        assert wait_until(lambda: not board._thread.is_alive(), clock=book.clock, timeout_s=20)
        assert enabled(panel) == {"write-up", "report"}
        assert "the run is over" in panel.why_not.value
    finally:
        board.close_board()


def test_a_defect_in_one_redraw_is_shown_and_the_next_reading_is_drawn(
    book: Runbook, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defective(**_: Any) -> Board:
        raise KeyError("a row")

    with RunWriter(run.path) as writer:
        Recorder(writer).begins()
        panel = MovePanel(book, run)
        board = LiveBoard(run, panel)
        try:
            with monkeypatch.context() as broken:
                broken.setattr(panel.followed, "board", defective)
                assert wait_until(
                    lambda: "Defect in lpmkit: KeyError" in board.trouble.value, clock=book.clock, timeout_s=20
                )
                assert "test_widgets.py:" in board.trouble.value
            Recorder(writer).enters("copying")
            assert wait_until(lambda: "COPYING" in board.head.head, clock=book.clock, timeout_s=20)
            assert wait_until(lambda: board.trouble.value == "", clock=book.clock, timeout_s=20)
        finally:
            board.close_board()


def test_a_press_and_the_boards_thread_read_the_folder_one_after_the_other(
    book: Runbook, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, inside = MovePanel(book, run), threading.Event()
    read = panel.followed.board

    def board(**given: Any) -> Board:
        if threading.current_thread() is other:
            inside.set()
        else:
            other.start()
            assert not inside.wait(0.05), "another thread reads at the same time"
        return read(**given)

    other = threading.Thread(target=panel.refresh)
    monkeypatch.setattr(panel.followed, "board", board)
    panel.refresh()
    other.join(timeout=20)
    assert inside.is_set()


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
    assert application.at == "Choose"
    assert "did not answer" in application.choose.top.silent.value
    for name in ("Move", "Compare", "Verify"):
        application.go_to(name)
    lists = [page.top.list for page in (application.move, application.verify, application.compare)]
    assert all("not analysed" in one.options[0][0] for one in lists)
    application.verify.do("Verdict")
    assert all("suspended 1.5" in one.options[0][0] for one in lists)
    assert application.verify.top.run().name == done.name
    assert "MOVED" in application.verify.below.children[0].value


def test_a_page_of_the_application_is_made_anew_when_it_is_opened(book: Runbook, site: Site) -> None:
    application = Application(book)
    application.go_to("Move it home")
    assert "are on their home frames" in application.home.top.children[0].value
    application.go_to("Compare")
    assert "No run in" in application.compare.top.note.value
    moved = make(site.runs.folder, Made(duration_s=26.0, suspend=(15.0, 16.5)))
    application.go_to("Move it home")
    assert "blade14" in application.home.top.children[0].value
    application.go_to("Compare")
    assert application.compare.top.runs()[0].name == moved.name


def test_the_application_leads_from_a_choice_to_the_board_and_shows_how_far_one_is(
    book: Runbook, run: Run, recorder: Recorder
) -> None:
    application = Application(book)
    assert [application.steps[name].description for name in STEPS] == [
        f"{number} {name}" for number, name in enumerate(STEPS, start=1)
    ]
    recorder.begins()
    recorder.enters("asked", "copying")
    recorder.reads(COPYING)
    application = Application(book)  # as after a reload
    try:
        assert application.at == "Move"
        assert application.board is not None
        assert "COPYING" in application.board.head.head
        assert application.board.head.title.startswith("● COPYING 10 %")
        assert application.steps["Choose"].description == "✓ 1 Choose"
        assert application.steps["Move"].description == "4 Move"
    finally:
        assert application.board is not None
        application.board.close_board()


def test_the_verdict_comes_by_itself_at_the_end(book: Runbook, site: Site) -> None:
    done = make(site.runs.folder, Made(duration_s=26.0, suspend=(15.0, 16.5)))
    application = Application(book, run=done.name)
    assert wait_until(lambda: application.at == "Verify", clock=book.clock, timeout_s=30)
    assert wait_until(lambda: len(application.verify.below.children) > 1, clock=book.clock, timeout_s=60)
    assert "MOVED" in application.verify.below.children[0].value


def test_an_address_opens_a_run_of_the_site_and_a_wall_has_no_buttons(
    book: Runbook, run: Run, recorder: Recorder
) -> None:
    recorder.begins()
    recorder.enters("asked")
    wall = application_for(book, f"token=abc&run={run.name}&wall=1")
    assert wall.board is not None
    wall.board.close_board()
    assert "ASKED" in wall.board.head.head
    assert not [one for one in wall.board.children if isinstance(one, MovePanel)]
    elsewhere = application_for(book, "run=../../etc&wall=1")
    assert "there is no run" in elsewhere.children[0].value


def test_partitions_are_found_by_every_column_and_targets_come_by_fitness(book: Runbook) -> None:
    there = estate()
    book.landscape = lambda: there  # type: ignore[method-assign] # 200 partitions cost the machines seconds
    chooser = Chooser(book)
    assert "200 of 200" in chooser.count.value
    chooser.search.value = "frame-3 linux"
    assert 0 < len(chooser.partition.options) < 50
    assert all("frame-3" in label and "Linux" in label for label, _ in chooser.partition.options)
    chooser.search.value = ""
    chooser.filters["state"].value = "Not Activated"
    assert all("Not Activated" in label for label, _ in chooser.partition.options)
    chooser.filters["state"].value = "all"
    chooser.search.value = "nothing of the kind"
    assert "0 of 200" in chooser.count.value
    chooser.search.value = ""
    chooser.filters["GB"].value = "≤ 4"
    assert "0 of 200" in chooser.count.value
    chooser.filters["GB"].value = "≤ 16"
    assert "200 of 200" in chooser.count.value
    chooser.filters["GB"].value = "all"
    book.site.frames["frame-0"] = book.site.frames["bvio82"].model_copy(update={"partner": "frame-2"})
    chooser.partition.value = ("frame-0", "lpar000")
    targets = [label for label, _ in chooser.target.options]
    assert "★ partner" in targets[0]
    assert "fits" in targets[0]
    assert "too small by" in targets[-1]


def test_the_last_move_of_a_partition_comes_from_the_run_folders(book: Runbook, tmp_path: Path) -> None:
    there = estate()
    book.landscape = lambda: there  # type: ignore[method-assign]
    book.site.frames["frame-0"] = book.site.frames["bvio82"]
    for number, outcome in ((4, "settled"), (8, "failed")):
        facts = {"order": {"partition": f"lpar{number:03d}", "source": "frame-0", "target": "frame-2"}}
        made = create(book.site.runs.folder, mode="move", title=f"lpar{number:03d}", facts=facts, clock=book.clock)
        with RunWriter(made.path, book.clock) as writer:
            writer.event("recorder", "phase", phase=outcome)
    chooser = Chooser(book)
    labels = {value[1]: label for label, value in chooser.partition.options}
    assert labels["lpar004"].endswith("→ frame-2 ✓")
    assert labels["lpar008"].endswith("→ frame-2 failed")
    assert labels["lpar012"].endswith("never")
    chooser.partition.value = ("frame-0", "lpar008")
    chooser.filters["last move"].value = "last 30 days"
    assert [value[1] for _, value in chooser.partition.options] == ["lpar004", "lpar008"]
    assert chooser.partition.value == ("frame-0", "lpar008"), "a filter does not drop what was chosen"
    chooser.filters["last move"].value = "all"
    chooser.order_by.value = "last move, newest first"
    assert {value[1] for _, value in chooser.partition.options[:2]} == {"lpar004", "lpar008"}
    chooser.filters["last move"].value = "never"
    assert "198 of 200" in chooser.count.value


def estate() -> SiteInventory:
    """200 partitions on four frames; the last one has hardly any memory left."""
    frames = {
        f"frame-{n}": Frame(
            f"f{n}", "9119-MHE", f"10{n}", "Operating", memory_available_mb=1024 if n == 3 else 65536 * (n + 1),
            proc_units_available=4.0,
        )
        for n in range(4)
    }  # fmt: skip
    placed = tuple(
        PartitionLocation(
            f"frame-{n % 4}",
            Partition(
                f"lpar{n:03d}", n, "Running" if n % 5 else "Not Activated", "aixlinux",
                "Linux/SLES 15" if n % 3 else "AIX 7.2", memory_mb=8192,
            ),
        )
        for n in range(200)
    )  # fmt: skip
    return SiteInventory(frames, placed, {})


def test_a_board_lives_on_while_a_validation_holds_the_folder_and_until_the_run_is_over(run: Run) -> None:
    board = LiveBoard(run)

    def redrawn(times: int = 2) -> None:
        """Wait until it was drawn so often again."""
        for number in range(times):
            board.head.head = f"a mark, number {number}"
            assert wait_until(lambda: "a mark" not in board.head.head, clock=Clock(), timeout_s=10)

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
    run = make(site.runs.folder, Made(duration_s=20.0, suspend=None))
    shown = plain_board(run).data
    assert 'aria-label="Signs of life' in shown
    (row,) = re.findall(r"<tr><td data-name='probe'>ssh-ticks</td>.*?</tr>", shown)
    assert "0.0 s ago" in row
    assert ">0." in row, "the longest gap within the window, and not the time before the record"


def test_a_live_board_sends_what_has_changed_and_shows_what_the_saved_notebook_shows(run: Run) -> None:
    with RunWriter(run.path) as writer:
        Recorder(writer).begins()
        writer.event("recorder", "recorder-ended", reason="called off before the move was asked for")
    board = LiveBoard(run)
    board._thread.join(timeout=10)
    sent: list[str] = []
    board.body.observe(lambda change: sent.append(change["name"]), names=["lanes", "happened", "folds"])
    board.redraw()
    assert sent == [], "nothing has changed"
    shown = {"head": board.head.head, **{name: getattr(board.body, name) for name in ("lanes", "happened", "folds")}}
    assert assembled(shown) == plain_board(run).data == board.picture().data


def test_without_its_script_a_board_is_the_same_as_plain_html(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_view, "HAS_SCRIPT", False)
    whole = board_view.board_view()
    whole.show(board_of(run))
    assert whole.value == plain_board(run).data
    board = LiveBoard(run)
    board.close_board()
    assert "PREPARED" in board.head.value or "READY" in board.head.value
    assert "What happened" in board.body.value


def test_the_board_of_the_running_move_is_there_for_whoever_comes_back(book: Runbook, run: Run) -> None:
    assert "No move is running now" in live.watch(book).data
    with RunWriter(run.path) as writer:
        Recorder(writer).begins()
        Recorder(writer).enters("asked", "copying")
        Recorder(writer).reads(COPYING)
        board = live.watch(book)
        assert "COPYING" in board.head.head
        board.close_board()


def test_an_alarm_is_for_what_nobody_should_miss(tmp_path: Path) -> None:
    alarms = {}
    for name in ("copying", "needs-recovery", "moved"):
        with board_in(tmp_path / name, name) as (_, board):
            alarms[name] = alarm_of(board)
    assert alarms["copying"] == ""
    assert "INTERRUPTED" in alarms["needs-recovery"]
    assert "MOVED" in alarms["moved"]


# --- in German ------------------------------------------------------------------------------------------------------


def words_in(widget: w.Widget) -> Iterator[str]:
    """The words that a person reads in a widget and in those within it."""
    values = () if hasattr(widget, "options") else ("value",)
    for name in ("description", "placeholder", "tooltip", *values):
        text = getattr(widget, name, "")
        if isinstance(text, str):
            yield html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", text, flags=re.DOTALL))
    yield from map(str, getattr(widget, "titles", ()))
    for option in getattr(widget, "options", ()):
        yield str(option[0] if isinstance(option, tuple) else option)
    for child in getattr(widget, "children", ()):
        yield from words_in(child)


def test_the_application_and_the_panel_of_a_move_are_german_where_the_site_says_so(site: Site, run: Run) -> None:
    german = site.model_copy(update={"write_up": site.write_up.model_copy(update={"language": "de"})})
    book = Runbook(german)
    application = Application(book)
    pages = [application]
    for name in (*STEPS, *OTHERS):
        application.go_to(name)
        pages.append(application.pages[name])
    pages += [MovePanel(book, run), RecordForm(run, words=words_of("de")), WriteUpPanel(book, run)]
    texts = {" ".join(text.split()) for page in pages for text in words_in(page)}
    texts = {text.replace(run.name, "").strip() for text in texts}
    assert {"1 Auswählen", "6 Dokumentieren", "Migrieren …", "Zurück", "Weitere Aktionen"} <= texts
    english = re.compile(
        r"\b(the|is|of|and|with|type|choose|check|move|save|all|never|from|to|not|yet|no)\b", re.IGNORECASE
    )
    no_words = ("ssh", "lpmkit", str(site.runs.folder))
    left = [text for text in texts if english.search(text) and not any(word in text for word in no_words)]
    assert left == []
