"""One migration, whatever happens to disks, locks, processes and other operators."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest

from lpmkit.background.requests import put
from lpmkit.background.worker import Worker
from lpmkit.config import Site
from lpmkit.control.base import MigrationReading
from lpmkit.control.managed_system import VALIDATION_TIMEOUT_S
from lpmkit.errors import ConnectionLost, LpmError, NoAnswer, NotAllowed, RecordError, RemoteError, Unreachable
from lpmkit.migration.phases import PATIENCE, Observation, Phase
from lpmkit.recorder import monitor, process
from lpmkit.runbook import Runbook, answer_to, examination
from lpmkit.runs import locks
from lpmkit.runs.folder import LOCK, Run, write_document
from lpmkit.runs.locks import partition_lock
from lpmkit.runs.writer import RunWriter
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Reply
from lpmkit.timeline import Clock, wait_until
from tests.scripted_moves import (
    AT_HOME,
    COPYING,
    GONE,
    ORDER,
    THERE,
    Managers,
    OneManager,
    install,
    last_why,
    move_folder,
    phases,
    record,
)


@pytest.fixture
def managers(monkeypatch: pytest.MonkeyPatch) -> Managers:
    return install(monkeypatch)


# --- disks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_recorder_that_cannot_put_the_intent_on_the_disk_does_not_ask(
    tmp_path: Path, managers: Managers, monkeypatch: pytest.MonkeyPatch, trouble: int
) -> None:
    run = move_folder(tmp_path)
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name == "events.jsonl":
            raise OSError(trouble, os.strerror(trouble))
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        record(run, patience_s=0.0)
    assert managers.sent == []
    assert [event.kind for event in run.events() if event.kind == "intent"] == []
    assert phases(run) == ["failed"]
    assert "the intent could not be recorded" in last_why(run)
    assert "nothing was moved by this run" in last_why(run)


def test_a_disk_that_breaks_while_the_partition_moves_does_not_end_the_recorder(
    tmp_path: Path, managers: Managers, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = move_folder(tmp_path)
    broken = threading.Event()
    managers.when_sent = broken.set
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if broken.is_set():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    record(run, patience_s=0.0)
    assert phases(run)[-1] == "settled"
    assert any(event.kind == "disk-full" for event in run.events())


# --- somebody else --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reading", "why"),
    [
        (COPYING, "is in progress that this run did not ask for"),
        (MigrationReading("Running", "Migration Failed"), "is to be recovered first"),
        (GONE, "is not on a any more"),
    ],
)
def test_the_manager_is_asked_first_and_a_partition_that_may_not_be_moved_now_is_not(
    tmp_path: Path, managers: Managers, reading: MigrationReading, why: str
) -> None:
    managers.source = reading
    run = move_folder(tmp_path)
    record(run)
    assert managers.sent == []
    assert phases(run) == ["failed"]
    assert why in last_why(run)


def test_a_refused_command_is_no_success_though_the_partition_is_moved_by_somebody_else(
    tmp_path: Path, managers: Managers
) -> None:
    managers.refuses = "HSCL3656 a migration is already in progress"

    def somebody_was_faster() -> None:
        managers.source = COPYING

    managers.when_sent = somebody_was_faster
    run = move_folder(tmp_path)
    record(run)
    assert managers.sent == ["m"]
    assert phases(run) == ["asked", "failed"]
    assert "asked for by somebody else" in last_why(run)


def test_two_folders_never_move_one_partition_at_once(tmp_path: Path, managers: Managers) -> None:
    """A plan's order has other movers than a single move's, so its folder is another one."""
    first, second = move_folder(tmp_path), move_folder(tmp_path)
    lock = partition_lock(first.path, "a", "p")
    lock.acquire()
    record(second)
    assert managers.sent == []
    assert "another run moves p" in last_why(second)
    book = Runbook(Site.model_validate({"runs": {"folder": str(tmp_path)}}))
    book.own_order = lambda run: ORDER  # type: ignore[method-assign]
    third = move_folder(tmp_path)
    with pytest.raises(NotAllowed, match="another run moves p"):
        book.refuse_second_move(third)
    lock.release()
    book.refuse_second_move(third)


def test_a_move_that_ends_after_a_refused_stop_was_not_stopped(managers: Managers, tmp_path: Path) -> None:
    """The stop was refused, and the recovery rolled the move back."""
    run = move_folder(tmp_path)
    with RunWriter(run.path) as writer:
        writer.event("recorder", "recorder-started", pid=1, mode="move", resumed=False)
        writer.event("recorder", "intent", what="migrate")
        writer.event("recorder", "phase", phase="copying", why="")
        writer.event("recorder", "intent", what="stop", request="1")
        writer.event("recorder", "answer", what="stop", request="1", status=1, text="HSCLFFFF recover")
    record(run)  # the source lists it as before the move
    assert phases(run) == ["copying", "failed"]
    again = move_folder(tmp_path)
    with RunWriter(again.path) as writer:
        writer.event("recorder", "recorder-started", pid=1, mode="move", resumed=False)
        writer.event("recorder", "intent", what="migrate")
        writer.event("recorder", "phase", phase="copying", why="")
        writer.event("recorder", "intent", what="stop", request="1")
        writer.event("recorder", "answer", what="stop", request="1", status=0, text="")
    record(again)
    assert phases(again) == ["copying", "stopped"]
    assert managers.sent == []


def test_two_tabs_that_press_move_at_once_send_one_command(tmp_path: Path, managers: Managers) -> None:
    """Two pages of one run: both pass the front end's questions before either has a recorder."""
    run = move_folder(tmp_path, lead_in_s=0.2)
    at_once = threading.Barrier(2)
    refused: list[str] = []

    def press() -> None:
        at_once.wait()
        try:
            record(Run(run.path))
        except RecordError as error:
            refused.append(str(error))

    tabs = [threading.Thread(target=press) for _ in range(2)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join(60)
    assert managers.sent == ["m"]
    assert len(refused) == 1
    assert "another recorder" in refused[0]
    assert phases(run) == ["asked", "settled"]


def test_a_migration_that_nobody_watched_to_its_end_keeps_others_from_moving(tmp_path: Path) -> None:
    first, second = move_folder(tmp_path), move_folder(tmp_path)
    with RunWriter(first.path) as writer:
        writer.event("recorder", "recorder-started")
        writer.event("recorder", "intent", what="migrate")
        writer.event("recorder", "phase", phase="copying", why="")
    book = Runbook(Site.model_validate({"runs": {"folder": str(tmp_path)}}))
    book.own_order = lambda run: ORDER  # type: ignore[method-assign]
    with pytest.raises(NotAllowed, match="has not seen its end"):
        book.refuse_second_move(second)


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("Errors:\nHSCLA319 The adapter 4 cannot be hosted.\n", False),
        ("Warnings:\nHSCLA295 The profile is replaced.\n", True),
        ("", True),
    ],
)
def test_a_validation_that_lists_errors_has_not_passed_whatever_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, passed: bool
) -> None:
    answers = SimpleNamespace(validate=lambda *_, **__: Reply("a", "migrlpar", 0, text, ""), close=lambda: None)
    monkeypatch.setattr(examination, "control_of", lambda *_, **__: answers)
    book = Runbook(Site.model_validate({"runs": {"folder": str(tmp_path)}}))
    book.own_order = lambda run: ORDER  # type: ignore[method-assign]
    validation = book.validate(move_folder(tmp_path))
    assert (validation.passed, validation.is_refused) == (passed, not passed)


# --- a command whose end is not known -------------------------------------------------------------------------------

LOST = ConnectionLost("the connection was lost", where="a")
PATIENT_LOOKS = 3 * PATIENCE[Phase.ASKED, Observation.AT_HOME]


def _asked_before(run: Run, *answers: dict[str, object]) -> None:
    """The record of a recorder that died after it had sent the command."""
    with RunWriter(run.path) as writer:
        writer.event("recorder", "recorder-started", pid=1, mode="move", resumed=False)
        writer.event("recorder", "intent", what="migrate")
        writer.event("recorder", "phase", phase="asked", why="")
        for answer in answers:
            writer.event("recorder", "answer", what="migrate", request="", **answer)


@pytest.mark.parametrize("lost", [LOST, NoAnswer("no answer within 600 s", where="a")])
def test_a_lost_command_that_begins_late_is_followed_and_not_called_refused(
    tmp_path: Path, managers: Managers, monkeypatch: pytest.MonkeyPatch, lost: RemoteError
) -> None:
    """A manager validates for minutes before it lists a migration."""
    monkeypatch.setattr(monitor, "NO_REPLY_S", VALIDATION_TIMEOUT_S)
    managers.loses = lost
    managers.at_look = {PATIENT_LOOKS: managers.arrive}
    run = move_folder(tmp_path)
    record(run)
    assert phases(run) == ["asked", "settled"]
    assert managers.sent == ["m"]


def test_a_recorder_that_takes_over_waits_for_a_command_whose_end_nobody_recorded(
    tmp_path: Path, managers: Managers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "NO_REPLY_S", VALIDATION_TIMEOUT_S)
    run = move_folder(tmp_path)
    _asked_before(run)
    managers.sent.append("m")
    managers.at_look = {PATIENT_LOOKS: managers.arrive}
    record(run)
    assert phases(run) == ["asked", "settled"]
    assert managers.sent == ["m"]


def test_a_command_that_was_lost_long_ago_is_not_waited_for_again(
    tmp_path: Path, managers: Managers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "NO_REPLY_S", VALIDATION_TIMEOUT_S)
    run = move_folder(tmp_path)
    _asked_before(run)
    hours = 3600 * 10**9
    later = Clock()
    monkeypatch.setattr(Clock, "wall_ns", lambda self, real=Clock.wall_ns: real(self) + 9 * hours)
    assert later.wall_ns() - run.events()[-1].wall_ns > 8 * hours
    managers.sent.append("m")
    record(run)
    assert phases(run) == ["asked", "failed"]


def test_a_lost_command_that_begins_nothing_is_failed_in_the_end(tmp_path: Path, managers: Managers) -> None:
    managers.loses = LOST
    run = move_folder(tmp_path)
    record(run)
    assert phases(run) == ["asked", "failed"]
    assert managers.sent == ["m"]


def test_a_command_that_never_left_this_host_is_not_waited_for(
    tmp_path: Path, managers: Managers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "NO_REPLY_S", VALIDATION_TIMEOUT_S)
    managers.loses = Unreachable("no connection", where="a")
    run = move_folder(tmp_path)
    record(run)
    assert phases(run) == ["asked", "failed"]


def test_a_recorder_that_takes_over_a_refused_command_does_not_follow_somebody_elses_move(
    tmp_path: Path, managers: Managers
) -> None:
    run = move_folder(tmp_path)
    _asked_before(run, {"status": 1, "text": "HSCL3656 a migration is already in progress"})
    managers.source = COPYING
    record(run)
    assert phases(run) == ["asked", "failed"]
    assert "asked for by somebody else" in last_why(run)


def _fails_late(managers: Managers, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that ends with an error long after the copy has begun, while the manager still shows the copy."""
    managers.copies = True
    said = iter([Reply("a", "migrlpar", 1, "HSCLA27C it failed", "")])

    def outcome(self: OneManager) -> Reply | None:
        return next(said, None) if managers.looks == PATIENT_LOOKS else None

    monkeypatch.setattr(OneManager, "outcome", outcome)
    monkeypatch.setattr(monitor, "NOT_OURS_S", 0.0)


@pytest.mark.parametrize(
    ("ends_as", "phase", "why"),
    [
        (AT_HOME, "failed", "runs on the source"),
        (MigrationReading("Running", "Migration Failed"), "needs-recovery", "is to be recovered"),
    ],
)
def test_a_command_that_fails_in_mid_copy_leaves_no_migration_of_somebody_else(
    tmp_path: Path, managers: Managers, monkeypatch: pytest.MonkeyPatch, ends_as: MigrationReading, phase: str, why: str
) -> None:
    _fails_late(managers, monkeypatch)
    managers.at_look = {2 * PATIENT_LOOKS: lambda: setattr(managers, "source", ends_as)}
    run = move_folder(tmp_path)
    record(run)
    assert phases(run)[-1] == phase
    assert why in last_why(run)


def test_a_run_that_ended_with_its_command_under_way_keeps_others_from_asking(tmp_path: Path) -> None:
    first, second = move_folder(tmp_path), move_folder(tmp_path)
    _asked_before(first)
    with RunWriter(first.path) as writer:
        writer.event("recorder", "recorder-ended", reason="trouble: the disk", code="trouble")
    book = Runbook(Site.model_validate({"runs": {"folder": str(tmp_path)}}))
    book.own_order = lambda run: ORDER  # type: ignore[method-assign]
    with pytest.raises(NotAllowed, match="may still begin one"):
        book.refuse_second_move(second)


@pytest.mark.parametrize("state", [None, ""])
def test_a_partition_whose_migration_state_is_not_listed_is_not_moved(
    tmp_path: Path, managers: Managers, state: str | None
) -> None:
    managers.source = MigrationReading("Running", state)
    run = move_folder(tmp_path)
    record(run)
    assert managers.sent == []
    assert "and its migration" in last_why(run)


# --- locks ----------------------------------------------------------------------------------------------------------


def test_a_second_recorder_is_refused_where_the_lock_of_the_file_system_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = move_folder(tmp_path)
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    with RunWriter(run.path):
        assert run.is_recorded()
        copy = Run(shutil.copytree(run.path, tmp_path / "copy"))
        assert not copy.is_recorded(), "a copy is nobody's"
        with pytest.raises(RecordError, match=r"another recorder.*the file system's lock does not keep others out"):
            RunWriter(run.path).__enter__()
    assert not run.is_recorded()


def test_an_owner_that_finds_another_mark_does_not_ask(
    tmp_path: Path, managers: Managers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two recorders that took a lying lock in the same moment: the one whose mark was overwritten gives way."""
    run = move_folder(tmp_path, lead_in_s=60.0)
    mark = {"token": "other", "host": "other", "pid": 1, "inode": 1, "boot": "", "started": "", "about": "x"}

    def overwritten() -> None:
        assert wait_until(lambda: bool(run.events()), clock=Clock(), timeout_s=20)
        (run.path / LOCK).write_text(json.dumps(mark))

    other = threading.Thread(target=overwritten)
    other.start()
    with pytest.raises(RecordError, match="another recorder has taken this folder"):
        record(run)
    other.join()
    assert managers.sent == []
    assert "recorder-ended" not in [event.kind for event in run.events()], "it writes no more"
    assert json.loads((run.path / LOCK).read_text()) == mark, "the mark of the other one stays"


@pytest.mark.parametrize("trouble", [errno.ENOLCK, errno.ENOSYS, errno.EIO])
def test_a_file_system_without_locks_is_an_error_with_a_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: int
) -> None:
    run = move_folder(tmp_path)

    def flock(*_: object) -> None:
        raise OSError(trouble, os.strerror(trouble))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(RecordError, match=errno.errorcode[trouble]) as caught:
        RunWriter(run.path).__enter__()
    assert "local disk" in str(caught.value)


def test_who_looks_for_the_owner_of_a_lock_keeps_nobody_from_taking_it(tmp_path: Path) -> None:
    lock = partition_lock(tmp_path / "run-1", "bvio82", "bxaix85")
    lock.path.touch()
    with lock.path.open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        taking = threading.Thread(target=lock.acquire, daemon=True)
        taking.start()
        taking.join(timeout=0.2)
        assert taking.is_alive(), "it was taken beside another, or refused"
        fcntl.flock(looking, fcntl.LOCK_UN)
        taking.join(timeout=30)
    assert locks.holder(lock.path)
    with pytest.raises(locks.HeldByAnother, match="run-1"):
        partition_lock(tmp_path / "run-2", "bvio82", "bxaix85").acquire()
    lock.release()


def test_a_lock_without_an_owner_that_is_held_on_is_an_error_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LOOK_S", 0.1)
    lock = partition_lock(tmp_path / "run-1", "bvio82", "bxaix85")
    lock.path.touch()
    with lock.path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        with pytest.raises(locks.HeldByAnother):
            lock.acquire()


def test_the_mark_of_a_process_that_died_holds_nobody_off(tmp_path: Path) -> None:
    run = move_folder(tmp_path)
    code = (
        "import sys,os; from pathlib import Path; from lpmkit.runs.writer import RunWriter; "
        "RunWriter(Path(sys.argv[1])).__enter__(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(run.path)], check=False)
    assert (run.path / LOCK).stat().st_size > 0, "it left its mark"
    assert not run.is_recorded()
    with RunWriter(run.path):
        assert run.is_recorded()


def test_a_mark_of_another_machine_holds_until_its_beats_have_stopped(tmp_path: Path) -> None:
    run = move_folder(tmp_path)
    (run.path / LOCK).touch()
    inode = (run.path / LOCK).stat().st_ino
    mark = {"token": "t", "host": "elsewhere", "pid": 1, "inode": inode, "boot": "", "started": "", "about": run.name}
    (run.path / LOCK).write_text(json.dumps(mark))
    assert run.is_recorded()
    with pytest.raises(RecordError, match="on elsewhere"):
        RunWriter(run.path).__enter__()
    long_ago = (run.path / LOCK).stat().st_mtime - locks.GONE_S - 1
    os.utime(run.path / LOCK, (long_ago, long_ago))
    assert not run.is_recorded()


# --- requests -------------------------------------------------------------------------------------------------------


def test_every_answer_belongs_to_its_own_request(tmp_path: Path, managers: Managers) -> None:
    """Two operators stop at once, a third recovers: each reads the answer to its own request."""
    run = move_folder(tmp_path, lead_in_s=60.0)
    requests = [put(run, Clock(), what).stem for what in ("stop", "recover", "stop")]
    record(run)
    assert managers.sent in (["r"], [])
    book = Runbook(Site())
    answers = [answer_to(book, run, request) for request in requests]
    assert answers[0] == (0, "The move was not asked for yet, and will not be.")
    assert all(status is not None for status, _ in answers)
    told = {event.data.get("request") for event in run.events() if event.kind == "answer"}
    assert told == set(requests)


@pytest.mark.parametrize("phase", ["settled", "failed"])
def test_a_request_to_a_run_that_is_over_is_refused_at_once_and_starts_no_recorder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    run = move_folder(tmp_path)
    with RunWriter(run.path) as writer:
        writer.event("recorder", "recorder-started")
        writer.event("recorder", "phase", phase=phase, why="")
        writer.event("recorder", "recorder-ended", reason=phase)
    book = Runbook(Site())
    book.own_order = lambda run: ORDER  # type: ignore[method-assign]
    managers = Managers(GONE, THERE) if phase == "settled" else Managers()
    monkeypatch.setattr("lpmkit.runbook.way_out.control_of", managers.control)
    monkeypatch.setattr(process.WORKER.__class__, "start", lambda *_: pytest.fail("a recorder was started"))
    with pytest.raises(NotAllowed, match="the run is over"):
        book.stop(run, "p")
    with pytest.raises(NotAllowed, match="nothing to recover"):
        book.recover(run, "p")
    assert not list(run.path.glob("requests/*"))


def test_a_request_that_nobody_takes_up_is_withdrawn(tmp_path: Path) -> None:
    run = move_folder(tmp_path)
    request = put(run, Clock(), "stop").stem
    status, text = answer_to(Runbook(Site()), run, request, timeout_s=0.0)
    assert status is None
    assert "withdrawn" in text
    assert not list(run.path.glob("requests/*"))


# --- evidence -------------------------------------------------------------------------------------------------------


def test_a_recorder_that_does_not_show_itself_is_ended_before_anything_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sits_there.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    run = move_folder(tmp_path / "runs")
    worker = Worker("recorder", "sits_there", patience_s=0.5)
    with pytest.raises(RecordError, match="its record shows that it asked no manager"):
        worker.start(run, Secrets(), Clock(), {})
    (tmp_path / "asks.py").write_text(
        "import sys, json, pathlib, time\n"
        "path = pathlib.Path(sys.argv[1]) / 'later'\n"
        "path.write_text(json.dumps(1))\n"
        "time.sleep(600)\n"
    )
    with RunWriter(run.path) as writer:
        writer.event("recorder", "intent", what="migrate")
    with pytest.raises(RecordError, match="whether a move was asked for is not known"):
        Worker("recorder", "asks", patience_s=0.5).start(run, Secrets(), Clock(), {})


def test_validate_of_a_run_that_moves_says_why_it_is_not_asked(tmp_path: Path) -> None:
    run = move_folder(tmp_path)
    write_document(
        run.path,
        "validation",
        {"order": asdict(ORDER), "passed": True, "status": 0, "text": "", "wall_ns": 1, "disks": False},
    )
    book = Runbook(Site())
    assert book.validation_before(run) is None
    with RunWriter(run.path) as writer:
        writer.event("recorder", "recorder-started")
    before = book.validation_before(run)
    assert before is not None
    assert before.passed


def test_a_password_that_cannot_be_had_ends_before_anything_is_prepared(tmp_path: Path) -> None:
    site = Site.model_validate({"partitions": {"p": {"host": "h", "password": "prompt"}}})
    with pytest.raises(LpmError, match="no secret found for 'prompt'"):
        Runbook(site, Secrets(may_ask=False)).require_secrets("p")
