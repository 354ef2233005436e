"""The end of a recorder: its probes all at once, and the record has the moment up to which they looked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lpmkit.background.requests import put
from lpmkit.probes.orders import ProbeOrder
from lpmkit.recorder import process
from lpmkit.runs.folder import Run
from lpmkit.timeline import Clock
from tests.scripted_moves import NoProbes, install, move_folder, record

USUAL = (ProbeOrder("tcp-connect", "connect", 10**9, "p"), ProbeOrder("ora-sql-P", "sql", 10**9, "p", group="oracle"))
LASTING = ProbeOrder("sap-P", "sap", 10**9, "p", group="sap", lasts_s=60.0)


class Child(NoProbes):
    """A process of probes that writes down when it is asked to end, and when somebody waits for that."""

    told: list[tuple[str, str, int]]
    run: Run

    def __init__(self, orders: Sequence[ProbeOrder], *_: Any) -> None:
        self.names = ", ".join(order.name for order in orders)
        self.lasts_s = max(order.lasts_s for order in orders)

    def ask_to_end(self) -> None:
        self.told.append(("asked", self.names, Clock().mono_ns()))

    def end(self) -> None:
        self.told.append(("ended", self.names, Clock().mono_ns()))
        if self.names == "tcp-connect":
            put(self.run, Clock(), "end")  # nobody waits for what lasts


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    install(monkeypatch)
    found = move_folder(tmp_path)
    monkeypatch.setattr(Child, "told", [], raising=False)
    monkeypatch.setattr(Child, "run", found, raising=False)
    monkeypatch.setattr(process, "ProbeProcess", Child)
    return found


def watched_to(run: Run, kind: str) -> int:
    (event,) = [event for event in run.events() if event.kind == kind]
    moment = event.data["watched_to_ns"]
    assert isinstance(moment, int)
    assert moment <= event.mono_ns
    return moment


def test_the_probes_are_asked_to_end_before_any_of_them_is_waited_for(run: Run) -> None:
    record(run, USUAL)
    deeds = [(what, names) for what, names, _ in Child.told]
    usual = [order.name for order in USUAL]
    assert deeds[:4] == [(what, names) for what in ("asked", "ended") for names in usual]
    assert deeds[4:] == [("ended", "observer")], "it tells of our own stalls up to the last row of the others"
    assert watched_to(run, "recorder-ended") <= Child.told[0][2]


def test_what_lasts_ends_with_the_recorder_and_the_others_with_the_window_after_the_move(run: Run) -> None:
    record(run, (*USUAL, LASTING))
    ended = [names for what, names, _ in Child.told if what == "ended"]
    assert ended[:3] == ["tcp-connect", "ora-sql-P", "observer"]
    assert ("asked", "sap-P") not in [(what, names) for what, names, _ in Child.told[:5]]
    assert "sap-P" in ended[3:]
    assert watched_to(run, "tail-over") <= Child.told[0][2] < watched_to(run, "recorder-ended")
