"""The power is cut at every sync of a move, and right after its command: never two commands for one intent, no reader
that breaks, no answer that is better. The short form of `benchmarks.power_cut`, with scripted managers.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from benchmarks.power_cut import Cut, Found, examine, passed, table, taken
from lpmkit.runs.appender import Appender
from lpmkit.runs.folder import Run
from tests.durable_disk import DurableDisk, Kept
from tests.scripted_moves import Managers, install, move_folder, phases, record


@pytest.fixture
def managers(monkeypatch: pytest.MonkeyPatch) -> Managers:
    return install(monkeypatch)


def move_with_cuts(folder: Path, managers: Managers, monkeypatch: pytest.MonkeyPatch) -> tuple[Run, list[Cut]]:
    """A move, and what two disks would have after each of its syncs and right after its command."""
    runs, dice = folder / "runs", random.Random(3)
    cuts: list[Cut] = []
    live: list[bool] = []

    def cut() -> None:
        if live:
            cuts.extend(taken(disk, runs, folder / f"cut-{len(cuts)}", len(managers.sent), dice))

    disk = DurableDisk(runs, cut)
    with monkeypatch.context() as patch:
        disk.install(patch)
        run = move_folder(runs)
        live.append(True)
        managers.when_sent = cut
        record(run)
        cut()
    managers.when_sent = lambda: None
    assert managers.sent == ["m"]
    assert phases(run)[-1] == "settled"
    return run, cuts


def test_a_power_cut_at_any_point_of_a_move_leads_to_no_second_command_and_to_no_better_answer(
    tmp_path: Path, managers: Managers, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, cuts = move_with_cuts(tmp_path, managers, monkeypatch)
    whole = passed(run)
    found = [examine(cut, run.name, whole) for cut in cuts]
    assert len(found) >= 20
    assert {cut.sent for cut in cuts} == {0, 1}
    assert [one for one in found if one.is_bad] == []
    assert [one for one in found if one.sent_before and not one.knows_intent] == []


def test_a_record_whose_intent_is_not_synced_is_found_out(
    tmp_path: Path, managers: Managers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Appender, "sync", lambda self: None)
    run, cuts = move_with_cuts(tmp_path, managers, monkeypatch)
    found = [examine(cut, run.name, passed(run)) for cut in cuts if cut.kept is Kept.SYNCED and cut.sent]
    assert any(one.sent_before + one.sent_after > 1 for one in found)
    text = table(found, 0, 1)
    assert "| two commands for one intent | 0 |" not in text
    assert "| a command was sent and the record does not know it | 0 |" not in text


def test_a_disk_keeps_what_was_synced_and_of_the_rest_what_chance_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    disk = DurableDisk(tmp_path)
    with monkeypatch.context() as patch:
        disk.install(patch)
        with (root / "kept").open("wb") as file:
            file.write(b"one ")
            file.flush()
            os.fsync(file.fileno())
            descriptor = os.open(root, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
            file.write(b"two")
            file.flush()
            (root / "name").write_bytes(b"never synced")
            copies = {kept: disk.copy(root, tmp_path / kept.value, kept) for kept in Kept}
            torn = [disk.copy(root, tmp_path / str(seed), Kept.TORN, random.Random(seed)) for seed in range(30)]
    assert {path.name: path.read_bytes() for path in copies[Kept.SYNCED].iterdir()} == {"kept": b"one "}
    whole = {"kept": b"one two", "name": b"never synced"}
    assert {path.name: path.read_bytes() for path in copies[Kept.ALL].iterdir()} == whole
    kept = {(folder / "kept").read_bytes() for folder in torn}
    assert b"one t" in kept
    assert b"one \0\0\0" in kept
    assert {(folder / "name").exists() for folder in torn} == {True, False}


def test_the_sums_hide_nothing() -> None:
    rows = [
        Found("synced", 1, 1, knows_intent=True),
        Found("torn", 1, 0, faults=["events: TypeError"], better=["moved"]),
    ]
    text = table(rows, 9, 1)
    for line in (
        "| two commands for one intent | 1 |",
        "| a command was sent and the record does not know it | 1 |",
        "| readers that failed with an error that is none of lpmkit's | 1 |",
        "| answers that pass only after the cut | 1 |",
    ):
        assert line in text
