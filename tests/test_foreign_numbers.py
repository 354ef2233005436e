"""JSON that somebody else wrote: what breaks whoever calculates with it, or writes it again, is refused where it is
read.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lpmkit.account.person import Person
from lpmkit.analysis.noise import worst_of_seconds
from lpmkit.config import RunSettings
from lpmkit.json_values import parse_json
from lpmkit.runs.approvals import approvals
from lpmkit.runs.folder import Run, create
from lpmkit.runs.gate import is_event, not_a_document
from lpmkit.runs.locks import holder
from lpmkit.runs.remarks import add_remark, remarks
from lpmkit.timeline import Clock

ODD = ("NaN", "Infinity", "-Infinity", "1e400", "-1e999", "9" * 400, "9" * 5000, '"\\ud800"', '"a\\udfffb"')


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create(tmp_path, mode="watch", title="x", facts={})


@pytest.mark.parametrize("value", ODD)
def test_what_no_file_can_hold_and_no_clock_show_is_no_value(value: str) -> None:
    with pytest.raises(ValueError, match=r"number|surrogates|digits"):
        parse_json(f'{{"a": [{value}]}}'.encode())


@pytest.mark.parametrize(
    "value",
    ['"NaN, Infinity and 99999999999999999999999"', '"\\ud83d\\ude00"', "1796073686000000000", "-1.5e-300", "1e300",
              "18446744073709551615", '"\\\\ud800"']
)  # fmt: skip
def test_what_only_looks_like_it_is_read_as_it_is(value: str) -> None:
    assert parse_json(value.encode()) == json.loads(value)


@pytest.mark.parametrize("value", ODD)
def test_one_such_value_in_a_folder_costs_its_own_line(value: str, run: Run) -> None:
    add_remark(run.path, "remark", "a remark")
    with (run.path / "remarks.jsonl").open("a") as file:
        file.write(f'{{"wall_ns": {value}, "by": "x", "kind": "remark", "text": "", "owner": ""}}\n')
    kept, unreadable = remarks(run.path)
    assert ([one.text for one in kept], unreadable) == (["a remark"], 1)
    (run.path / "events.jsonl").write_text(
        f'{{"mono_ns": 1, "wall_ns": 1, "segment": 1, "source": "x", "kind": "note", "data": {{"text": {value}}}}}\n'
    )
    assert run.events() == []
    assert run.unreadable["events.jsonl"] == 1
    (run.path / "recorder.lock").write_text(
        f'{{"token": "x", "host": "h", "pid": {value}, "inode": 1, "boot": "", "started": "", "about": "x"}}'
    )
    assert holder(run.path / "recorder.lock") is None
    (run.path / "approvals").mkdir()
    (run.path / "approvals" / "x.json").write_text(
        f'{{"by": "x", "wall_ns": {value}, "order_hash": "x", "signed": false}}'
    )
    (odd,) = approvals(run, RunSettings(approvals=1), Person("anna", "anna", "account"), Clock())
    assert odd.refused == "it cannot be read"


@pytest.mark.parametrize(
    ("kind", "data"),
    [("clock", {"uncertainty_ns": "x"}), ("clock", {"uncertainty_ns": 0.5}), ("disk-full", {}),
     ("tcp", {"rows": [[1, 2]], "silent_since_ns": 1, "answered_ns": 2})],
)  # fmt: skip
def test_an_event_without_what_its_readers_need_is_none(kind: str, data: dict[str, object]) -> None:
    assert not is_event({"mono_ns": 1, "wall_ns": 1, "segment": 1, "source": "x", "kind": kind, "data": data})


@pytest.mark.parametrize(
    ("name", "value"),
    [("survey", {"guest": "x"}), ("survey", {"source": [1]}), ("survey-after", {"target": 5}),
     ("validation", {"passed": "yes"})],
)  # fmt: skip
def test_a_document_with_other_parts_is_none(name: str, value: object) -> None:
    assert not_a_document(name, value)
    assert not_a_document(name, {"guest": None, "source": {}, "passed": True}) is None


def test_rows_that_lie_centuries_apart_take_no_room() -> None:
    second = 1_000_000_000
    moments = np.array([0, second, 3 * second, 4 * second, 2**62], dtype=np.int64)
    number, worst = worst_of_seconds(moments, np.array([5, 7, 2, 3, 9], dtype=np.int64))
    assert number.tolist() == [0, 1, 3, 4, 6]
    assert worst.tolist() == [5, 7, -1, 2, 3, -1, 9]
    near = worst_of_seconds(moments[:4], np.array([5, 7, 2, 3], dtype=np.int64))
    assert near[1].tolist() == [5, 7, -1, 2, 3]
