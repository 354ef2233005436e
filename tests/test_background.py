"""Workers of a folder, and the requests that front ends leave for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lpmkit.background.requests import Inbox, put
from lpmkit.background.worker import Worker
from lpmkit.errors import RecordError
from lpmkit.plan import book
from lpmkit.recorder import process
from lpmkit.runs.folder import Run, create
from lpmkit.ssh.secrets import Secrets
from lpmkit.timeline import Clock


@pytest.fixture
def folder(tmp_path: Path) -> Run:
    return create(tmp_path, mode="watch", title="x", facts={}, clock=Clock())


def test_requests_are_read_in_the_order_of_asking_and_stay_until_they_are_removed(folder: Run) -> None:
    put(folder, Clock(), "recover", force=True)
    put(folder, Clock(), "stop")
    inbox = Inbox(folder.path, pytest.fail)
    assert [(one.what, dict(one.fields)) for one in inbox.read()] == [("recover", {"force": True}), ("stop", {})]
    assert not inbox.is_empty
    for request in inbox.read():
        inbox.remove(request)
    assert inbox.is_empty


@pytest.mark.parametrize("content", [b"{half", b"[]", b"{}", b'{"what": 3}', b"\xff", b"[" * 100_000])
def test_a_bad_request_is_noted_and_removed_and_the_next_is_read(folder: Run, content: bytes) -> None:
    put(folder, Clock(), "end")
    (folder.path / "requests" / "0.json").write_bytes(content)
    notes: list[str] = []
    inbox = Inbox(folder.path, notes.append)
    assert [one.what for one in inbox.read()] == ["end"]
    assert len(notes) == 1
    assert [path.name for path in (folder.path / "requests").iterdir()] != ["0.json"]
    list(inbox.read())
    assert len(notes) == 1, "read once"


def test_what_can_be_neither_read_nor_removed_is_noted_once_and_waits_no_longer(folder: Run) -> None:
    (folder.path / "requests" / "0.json").mkdir(parents=True)
    notes: list[str] = []
    inbox = Inbox(folder.path, notes.append)
    assert list(inbox.read()) == []
    assert inbox.is_empty
    assert list(inbox.read()) == []
    assert len(notes) == 2, "that it cannot be read, and that it cannot be removed"


def test_a_refused_request_is_noted_with_the_reason(folder: Run) -> None:
    put(folder, Clock(), "fly")
    notes: list[str] = []
    inbox = Inbox(folder.path, notes.append)
    for request in inbox.read():
        inbox.refuse(request, "it has no wings")
    assert notes == ["the request 'fly' is not carried out: it has no wings"]
    assert inbox.is_empty


def test_a_worker_that_dies_at_once_is_an_error_with_its_own_words(folder: Run) -> None:
    worker = Worker("recorder", "lpmkit.recorder.no_such_module", patience_s=0.0)
    worker.log(folder.path).write_text("its last words\n", encoding="utf-8")
    with pytest.raises(
        RecordError, match="the recorder did not start and has ended; its record shows that it asked no manager"
    ) as caught:
        worker.start(folder, Secrets({"env:X": "a" * 200_000}), Clock(), {})
    assert "its last words" in str(caught.value.answered)


def test_the_logs_of_both_workers_have_the_names_that_the_documentation_promises() -> None:
    assert process.WORKER.log(Path("run")) == Path("run/recorder.log")
    assert book.WORKER.log(Path("plan")) == Path("plan/conductor.log")
    table = Path("docs/run-folder.md").read_text(encoding="utf-8")
    assert "`recorder.log`" in table


def test_a_recorder_notes_a_bad_request_and_ends_when_it_is_asked(folder: Run) -> None:
    site = {"runs": {"folder": str(folder.path)}}
    facts = {"site": site, "probes": [], "lead_in_s": 0.0, "tail_s": 0.0, "poll_s": 0.1, "hosts": []}
    run = create(folder.path, mode="watch", title="y", facts=facts, clock=Clock())
    (run.path / "requests").mkdir()
    (run.path / "requests" / "0.json").write_text("{half", encoding="utf-8")
    put(run, Clock(), "fly")
    put(run, Clock(), "end")
    process.Recorder(run, Secrets(), {"site": site, "probes": []}).record()
    events = run.events()
    assert [event.data["what"] for event in events if event.kind == "request"] == ["fly", "end"]
    notes = [str(event.data["text"]) for event in events if event.kind == "note"]
    assert any("{half" in text for text in notes)
    assert any("'fly'" in text for text in notes)
    assert events[-1].data["reason"] == "asked to end"
