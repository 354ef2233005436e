"""The run folder survives what happens to disks and processes."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lpmkit.errors import NotFound, RecordError
from lpmkit.runs import appender, files
from lpmkit.runs.cells import MISSING
from lpmkit.runs.folder import Run, create, write_document
from lpmkit.runs.writer import RunWriter
from lpmkit.ssh.session import Reply
from lpmkit.timeline import Outcome, Sample


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create(tmp_path, mode="watch", title="a test", facts={"hosts": ["h"]})


def test_what_is_written_is_read_back(run: Run) -> None:
    reply = Reply("bvio82", "LANG=C lssyscfg -r sys", 0, "name=x\n", "", began_ns=1, ended_ns=2, wall_ns=3)
    with RunWriter(run.path) as writer:
        writer.event("recorder", "probe-started", probe="ssh-ticks", kind="ticks")
        writer.reply(reply)
        writer.samples(
            "ssh-ticks",
            [Sample(1, 10, 11, 12, 13, 14, 15), Sample(2, outcome=Outcome.LOST, detail='he said "no", twice')],
        )
    assert [(event.kind, event.data["kind"]) for event in run.events()] == [("probe-started", "ticks")]
    assert run.transcript() == [reply]
    table = run.samples("ssh-ticks")
    assert table.seq.tolist() == [1, 2]
    assert table.remote_wall_ns.tolist() == [15, MISSING]
    assert table.outcome.tolist() == ["answered", "lost"]
    assert table.detail.tolist() == ["", 'he said "no", twice']
    assert run.recent("ssh-ticks")[-1] == Sample(2, outcome=Outcome.LOST, detail='he said "no", twice')


def test_a_second_recorder_is_refused_while_the_first_lives(run: Run) -> None:
    with RunWriter(run.path):
        assert run.is_recorded()
        with pytest.raises(RecordError, match="another recorder"), RunWriter(run.path):
            pass
    assert not run.is_recorded()


def test_a_second_segment_opens_files_of_its_own(run: Run) -> None:
    for number in (1, 2):
        with RunWriter(run.path) as writer:
            writer.event("recorder", "recorder-started")
            writer.samples("ssh-echo", [Sample(number)])
    assert run.samples("ssh-echo").segment.tolist() == [1, 2]


def test_a_torn_last_line_is_counted_and_the_rest_is_read(run: Run) -> None:
    with RunWriter(run.path) as writer:
        writer.event("recorder", "recorder-started")
        writer.samples("ssh-echo", [Sample(1), Sample(2)])
    with (run.path / "samples/ssh-echo.1.csv").open("ab") as file:
        file.write(b"3,123")
    with (run.path / "events.jsonl").open("ab") as file:
        file.write(b'{"mono_ns":12')
    assert run.samples("ssh-echo").seq.tolist() == [1, 2]
    assert len(run.events()) == 1
    assert run.unreadable == {"samples/ssh-echo.1.csv": 1, "events.jsonl": 1}
    with RunWriter(run.path) as writer:
        writer.event("recorder", "recorder-started")
    assert [event.segment for event in run.events()] == [1, 2]


_WRITES_UNTIL_KILLED = """
import sys
from pathlib import Path
from lpmkit.runs.writer import RunWriter
from lpmkit.timeline import Sample
with RunWriter(Path(sys.argv[1])) as writer:
    writer.event("recorder", "recorder-started")
    for number in range(10**9):
        writer.samples("ssh-echo", [Sample(number)])
        writer.flush()
        if number == 1000:
            print("there", flush=True)
"""


def test_a_killed_writer_leaves_everything_that_it_flushed(run: Run) -> None:
    child = subprocess.Popen([sys.executable, "-c", _WRITES_UNTIL_KILLED, str(run.path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"there\n"
    child.send_signal(signal.SIGKILL)
    child.communicate()
    numbers = run.samples("ssh-echo").seq.tolist()
    assert numbers[:1001] == list(range(1001))
    assert numbers == list(range(len(numbers)))
    assert not run.is_recorded()


class Quota:
    """A quota of bytes for all files of a run; the disk itself has room."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, number: int) -> None:
        if number > self.left:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        self.left -= number

    def install(self, patch: pytest.MonkeyPatch) -> None:
        opened = files.open_plain

        def open_plain(path: Path, mode: str) -> Any:
            file = opened(path, mode)
            if mode != "ab":
                return file

            def write(content: bytes) -> int:
                self.take(len(content))
                return file.write(content)

            return SimpleNamespace(write=write, fileno=file.fileno, close=file.close)

        patch.setattr(appender, "open_plain", open_plain)
        patch.setattr(os, "posix_fallocate", lambda _descriptor, _begin, number: self.try_out(number))

    def try_out(self, number: int) -> None:
        self.take(number)
        self.left += number


def test_a_quota_that_is_used_up_leaves_the_last_room_to_the_events(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk's figures show room all the time."""
    quota = Quota(20_000)
    quota.install(monkeypatch)
    with RunWriter(run.path) as writer:
        writer.samples("ssh-echo", [Sample(0)])  # opened first, so that nothing but the rule puts events first
        writer.event("recorder", "recorder-started")
        for number in range(1, 3000):
            writer.samples("ssh-echo", [Sample(number)])
            writer.flush()
        assert writer.disk_trouble == os.strerror(errno.EDQUOT)
        quota.left += 4000  # what giving up the reserve brings
        for number in range(20):
            writer.event("recorder", "note", text=f"said {number}")
        assert run.events()[-1].data["text"] == "said 19"
        quota.left = 1 << 30
        writer.flush()
        assert writer.disk_trouble is None
    assert run.samples("ssh-echo").seq.tolist() == list(range(3000))
    kinds = [event.kind for event in run.events() if event.kind != "note"]
    assert kinds == ["recorder-started", "disk-full", "disk-has-room"]


def test_a_full_disk_keeps_the_order_says_so_and_loses_nothing_when_there_is_room_again(run: Run) -> None:
    """The disk is made full by a limit on the size of files, which answers as a full disk does."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with RunWriter(run.path) as writer:
        writer.event("recorder", "recorder-started")
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            for number in range(1000):
                writer.samples("ssh-echo", [Sample(number)])
                writer.flush()
            assert writer.disk_trouble
            assert writer.waiting_bytes > 0
            assert len(run.samples("ssh-echo")) > 100, "what was recorded stays readable"
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        writer.flush()
        assert writer.disk_trouble is None
    assert run.samples("ssh-echo").seq.tolist() == list(range(1000))
    assert [event.kind for event in run.events()] == ["recorder-started", "disk-full", "disk-has-room"]


def test_a_document_is_whole_or_the_old_one(run: Run) -> None:
    write_document(run.path, "survey", {"a": 1})
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(RecordError, match="Free some space"):
            write_document(run.path, "survey", {"a": "x" * 1000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert run.document("survey") == {"a": 1}
    assert not list(run.path.glob(".survey*"))


def test_a_folder_that_is_no_run_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no run folder"):
        Run(tmp_path / "nowhere")
    with pytest.raises(RecordError, match=r"no run\.json"):
        Run(tmp_path)
    (tmp_path / "run.json").write_text("{half")
    with pytest.raises(RecordError, match="cannot be read"):
        Run(tmp_path)


def test_a_run_of_a_newer_format_is_refused(run: Run) -> None:
    write_document(run.path, "run", {"format": 99})
    with pytest.raises(RecordError, match="newer lpmkit"):
        Run(run.path)


def test_two_runs_in_one_minute_have_two_folders(tmp_path: Path) -> None:
    names = {create(tmp_path, mode="watch", title="x/../y z", facts={}).name for _ in range(3)}
    assert len(names) == 3
    assert {path.parent for path in tmp_path.iterdir()} == {tmp_path}
    assert json.loads((tmp_path / min(names) / "run.json").read_text())["title"] == "x/../y z"
