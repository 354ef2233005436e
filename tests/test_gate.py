"""Any document and any line of a run folder may be anything: it is named and left out, and the rest works."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lpmkit.analysis import analyse
from lpmkit.config import Site
from lpmkit.errors import LpmError, RecordError
from lpmkit.migration.status import state
from lpmkit.prediction.history import history
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run
from lpmkit.runs.gate import DOCUMENTS
from lpmkit.runs.history import History
from lpmkit.runs.samples import files

FIXTURE = Path(__file__).parent.parent / "fixtures" / "runs" / "recovered-move"
ODD: list[Any] = [{}, [], None, "x", 3, [3], {"order": None}, {"verdict": []}, [{"verdict": "odd"}], {"guest": 3}]
ODD_LINES = [
    "[]",
    "3",
    "null",
    "{}",
    "[" * 5000,
    '{"mono_ns": "1", "wall_ns": 2, "segment": 1, "source": "x", "kind": "clock"}',
    '{"mono_ns": 1, "wall_ns": 2, "segment": 1, "source": "x", "kind": "phase", "data": {"phase": "odd"}}',
    '{"mono_ns": 1, "wall_ns": 2, "segment": 1, "source": "x", "kind": "phase", "data": {"phase": ["settled"]}}',
    '{"mono_ns": 1, "wall_ns": 2, "segment": 1, "source": "x", "kind": "phase", "data": []}',
    '{"mono_ns": 1, "wall_ns": 2, "segment": 1, "source": "x", "kind": "recorder-ended"}',
    '{"mono_ns": 1, "wall_ns": 2, "segment": 1, "source": "x", "kind": "pace", "data": {"probe": "x"}}',
    '{"mono_ns": 1, "wall_ns": 2, "segment": 1, "source": "x", "kind": "tcp", "data": {"rows": [[]]}}',
    '{"mono_ns": 1, "wall_ns": 2, "segment": 1, "source": "x", "kind": "reading", "data": {}}',
    '{"mono_ns": 1, "wall_ns": 2, "segment": 1, "source": "x", "kind": "clock", "more": 1}',
]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(shutil.copytree(FIXTURE, tmp_path / "runs" / "a-run"))


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_an_odd_document_is_an_error_of_ours_or_left_out_and_the_rest_works(run: Run, name: str) -> None:
    book = Runbook(Site())
    for value in ODD:
        (run.path / f"{name}.json").write_text(json.dumps(value))
        assert state(run).phase is not None
        assert history(run.path.parent) is not None
        assert (
            len(History(run.path.parent, keep=False).moves()) + len(History(run.path.parent, keep=False).unreadable)
            == 1
        )
        for step in (book.check, book.validate, book.predict, book.refuse_second_move):
            with suppress(LpmError):  # an error of ours, and no other
                step(run)
    if name != "survey-after":
        return
    found = analyse(run)  # with the oddest survey of all
    assert found.verdict.state.value != "passed"


def test_an_odd_document_is_named_with_what_to_do(run: Run) -> None:
    (run.path / "validation.json").write_text("[]")
    with pytest.raises(RecordError, match=r"validation\.json is none of lpmkit: it holds list") as caught:
        Runbook(Site()).validation_before(run)
    assert "Move it aside" in str(caught.value)


@pytest.mark.parametrize("name", ["events.jsonl", "transcript.jsonl"])
def test_odd_lines_are_counted_and_left_out(run: Run, name: str) -> None:
    events, replies = run.events(), run.transcript()
    before = analyse(run).verdict.questions
    whole = (run.path / name).read_text()
    (run.path / name).write_text(whole + "\n".join(ODD_LINES) + "\n")
    run = Run(run.path)
    assert run.events() == events
    assert run.transcript() == replies
    assert run.unreadable[name] == len(ODD_LINES)
    assert run.events_from(0)[0] == events
    assert state(run).phase is not None
    after = analyse(run).verdict.questions
    assert [one.key for one in after] == [one.key for one in before]


def test_samples_with_other_columns_are_left_out_and_their_probe_has_not_looked(run: Run) -> None:
    file = next(one for one in files(run.path / "samples") if one.probe == "ssh-echo")
    file.path.unlink()
    odd = run.path / "samples" / "ssh-echo.1.parquet"
    for table in (pa.table({"a": [1]}), pa.table({"seq": ["x"], "due_ns": ["y"]})):
        pq.write_table(table, odd)
        found = analyse(Run(run.path))
        assert found.unreadable["samples/ssh-echo.1.parquet"] == 1
        assert {one.probe: bool(one.looked) for one in found.coverage}["ssh-echo"] is False
        states = {question.key: question.state.value for question in found.verdict.questions}
        assert states["complete"] == "not evaluated"
    odd.write_bytes(b"PAR1 none PAR1")
    assert "samples/ssh-echo.1.parquet" in analyse(Run(run.path)).unreadable
