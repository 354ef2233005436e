"""The benchmark of the suspend time judges rightly; that it can be played at all is seen by playing it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.accuracy.peers import Pings, estimate
from benchmarks.accuracy.rig import FREEZER, Rig
from benchmarks.accuracy.score import classes_of, rows_of, summary_of, violations
from benchmarks.accuracy.trials import KINDS, listed
from lpmkit.probes.icmp import IcmpProbe
from lpmkit.probes.orders import ProbeOrder
from lpmkit.runs.cells import MISSING
from lpmkit.ssh.client import Route
from tests.made_runs import MS, START, Made, S, make
from tests.test_probes import Seen

MADE = Made(mode="watch", duration_s=40.0, suspend=(30.0, 30.6), icmp=True, dropped=True)


def _done(begin_s: float, end_s: float, **more: Any) -> dict[str, Any]:
    began, ended = START + round(begin_s * S), START + round(end_s * S)
    done = {"number": 0, "kind": "dropped", "length_ms": round((end_s - begin_s) * 1000), "hogged": False}
    return {**done, "began": [began - MS, began + MS], "ended": [ended - MS, ended + MS], **more}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make(tmp_path_factory.mktemp("made"), MADE)


def test_a_right_answer_is_no_violation(run: Any) -> None:
    rows, made_up, _ = rows_of(run, 100, [_done(30.0, 30.6)])
    assert violations(rows, len(made_up)) == []
    assert rows[0]["class"] == "suspension"
    assert rows[0]["hull"]
    assert rows[0]["error_ms"] < 10
    assert summary_of(rows)[0]["hull"] == "1/1"


@pytest.mark.parametrize(
    ("done", "said"),
    [
        (_done(29.9, 30.6), "the hull does not hold"),
        (_done(30.0, 30.7), "the hull does not hold"),
        (_done(30.0, 30.6, kind="cut"), "called a suspension"),
        (_done(30.0, 30.6, kind="all ours stopped"), "called a suspension"),
        (_done(20.0, 20.6), "1 suspensions where nothing was done"),
    ],
)
def test_what_may_never_happen_is_told(run: Any, done: dict[str, Any], said: str) -> None:
    rows, made_up, _ = rows_of(run, 100, [done])
    assert said in "; ".join(violations(rows, len(made_up)))


def test_what_was_not_seen_is_counted_as_nothing(run: Any) -> None:
    rows, _, _ = rows_of(run, 100, [_done(20.0, 20.01)])
    assert classes_of(rows) == {"100 Hz, dropped, below 50 ms": {"nothing": 1}}


def test_the_list_repeats_and_holds_every_kind() -> None:
    assert listed(60, 3) == listed(60, 3) != listed(60, 4)
    assert {one.kind for one in listed(len(KINDS), 1)} == {kind for kind, _ in KINDS}
    assert {one.hogged for one in listed(60, 3)} == {False, True}


def test_others_see_nothing_of_frames_that_waited_in_a_queue() -> None:
    sent = np.arange(0, 3 * S, 10 * MS, dtype=np.int64)
    inside = (sent >= S) & (sent < 2 * S)
    none = np.zeros(0, dtype=np.int64)

    def pings(answered: Any) -> Pings:
        return Pings(sent, answered, none, none, 10 * MS)

    queued, dropped = pings(np.where(inside, 2 * S, sent + 1)), pings(np.where(inside, MISSING, sent + 1))
    assert estimate("lost", 10, queued, (S, 2 * S), 0) == 0
    assert estimate("lost", 10, dropped, (S, 2 * S), 0) == S
    assert estimate("lost", 200, dropped, (S, 2 * S), 0) == S
    assert estimate("gap", 10, dropped, (S, 2 * S), 0) == S + 10 * MS
    assert estimate("less", 100, dropped, (S, 2 * S), 0) == S


@pytest.mark.skipif(os.geteuid() != 0 or not FREEZER.is_dir(), reason="needs root and the freezer of cgroup v1")
def test_the_link_of_the_rig_holds_back_loses_and_carries(tmp_path: Path) -> None:
    seen, stop = Seen(), threading.Event()
    with Rig(tmp_path / "partition") as rig:
        order = ProbeOrder(name="icmp", kind="icmp", interval_ns=10 * MS, host="partition")
        probe = IcmpProbe(order, Route("partition", rig.address, 22, "x"))
        thread = threading.Thread(target=probe.run, args=(stop, seen))
        thread.start()
        marks = []
        for mode in ("drop", "queue"):
            time.sleep(0.3)
            began = rig.link(mode)
            time.sleep(0.3)
            marks.append((began.after_ns, rig.link("open").before_ns))
        frozen = rig.freeze()
        thawed = rig.thaw()
        time.sleep(0.3)
        stop.set()
        thread.join()
    (lost, held) = ([one for one in seen.samples if lo < (one.sent_ns or 0) < hi - 5 * MS] for lo, hi in marks)
    assert len(lost) > 10
    assert all(one.answered_ns is None for one in lost)
    assert len(held) > 10
    assert all(one.answered_ns is not None and one.answered_ns > marks[1][1] for one in held)
    assert frozen.after_ns <= thawed.before_ns
    assert not Path(f"/run/netns/{rig.space}").exists()
    assert not rig.cgroup.exists()
