"""A long record is analysed stretch by stretch, and says the same as when it is read whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lpmkit.analysis import Analysis, OutageKind, analyse, chunks, summary
from lpmkit.runs.writer import RunWriter
from tests.made_runs import Made, S, add, make

LONG = Made(mode="watch", duration_s=100.0, suspend=(47.0, 48.5), icmp=True, dropped=True)


@pytest.fixture
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "WHOLE_ROWS", 0)
    monkeypatch.setattr(chunks, "STRETCH_NS", 16 * S)
    monkeypatch.setattr(chunks, "MARGIN_NS", 12 * S)
    monkeypatch.setattr(chunks, "_KEPT_NS", 5 * S)


def _both(path: Path, monkeypatch: pytest.MonkeyPatch, made: Made) -> tuple[Analysis, Analysis]:
    run = make(path, made)
    whole = analyse(run)
    with monkeypatch.context() as patch:
        for name, value in (("WHOLE_ROWS", 0), ("STRETCH_NS", 16 * S), ("MARGIN_NS", 12 * S), ("_KEPT_NS", 5 * S)):
            patch.setattr(chunks, name, value)
        return whole, analyse(run)


def _silences(found: Analysis) -> list[tuple[str, OutageKind | None, float]]:
    return [(one.probe, one.kind, round(one.begin.hi_ns / S, 1)) for one in found.hosts[0].outages]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"counted": 0.0},
        {"suspend": (39.9, 40.3)},  # about where one stretch ends and the next begins
        {"suspend": None, "network_out": ((30.0, 34.0), (79.5, 82.0))},
        {"micro_stops": ((12.0, 12.45), (64.0, 64.3))},
        {"stalls": ((20.0, 20.5), (70.0, 71.0))},
        {"hole": (55.0, 60.0)},
        {"suspend": (20.0, 58.0)},  # longer than a stretch and its margins
    ],
    ids=["suspension", "frozen clock", "at an edge", "network", "micro-stops", "own stalls", "hole", "very long"],
)
def test_the_same_is_found_stretch_by_stretch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    whole, parts = _both(tmp_path, monkeypatch, replace(LONG, **changes))
    assert _silences(parts) == _silences(whole)
    assert len(parts.hosts[0].suspensions) == len(whole.hosts[0].suspensions)
    for mine, theirs in zip(parts.hosts[0].suspensions, whole.hosts[0].suspensions, strict=True):
        assert mine.length.lo_ns == pytest.approx(theirs.length.lo_ns, abs=2_000_000)
        assert mine.length.hi_ns == pytest.approx(theirs.length.hi_ns, abs=2_000_000)
        assert mine.mechanisms == theirs.mechanisms
    assert [one.waited_ns for one in parts.hosts[0].sessions] == [one.waited_ns for one in whole.hosts[0].sessions]
    assert parts.verdict.sentence[:30] == whole.verdict.sentence[:30]
    signs = [[trace.signs for trace in one.hosts[0].traces] for one in (parts, whole)]
    assert signs[0] == signs[1]


def test_where_nothing_happened_traces_are_thin_and_where_something_did_they_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = _both(tmp_path, monkeypatch, LONG)
    for thin, full in zip(parts.hosts[0].traces, whole.hosts[0].traces, strict=True):
        near = [((one.alive_hi > 5043 * S) & (one.alive_hi < 5052 * S)).sum() for one in (thin, full)]
        assert near[0] == near[1]
        assert (thin.apart_at(thin.alive_hi) >= 100_000_000).all()
        if full.kind in ("ticks", "icmp"):
            assert len(thin.alive_hi) < len(full.alive_hi) / 2


@pytest.mark.usefixtures("short_stretches")
def test_a_rate_that_stays_is_told_once_and_one_that_changes_is_a_slew(tmp_path: Path) -> None:
    steady = summary(analyse(make(tmp_path / "a", replace(LONG, suspend=None))))["hosts"][0]
    assert len(steady["clock_rates"]) == 2, "one for each clock"
    assert steady["clock_steps"] == []
    slewed = replace(LONG, suspend=None, slew=(40.0, 70.0, 400.0))
    assert [one.about for one in analyse(make(tmp_path / "b", slewed)).hosts[0].steps if "slewed" in one.about]


@pytest.mark.usefixtures("short_stretches")
def test_two_hosts_of_which_one_came_late(tmp_path: Path) -> None:
    run = make(tmp_path, replace(LONG, suffix="@bxaix85"))
    add(run, replace(LONG, host="bxaix86", suffix="@bxaix86", suspend=(70.0, 70.4), observer=False, seed=4))
    with RunWriter(run.path) as writer:
        writer.pack()
    found = {host.host: host for host in analyse(run).hosts}
    assert {name: len(host.suspensions) for name, host in found.items()} == {"bxaix85": 1, "bxaix86": 1}
    assert found["bxaix86"].suspensions[0].length.contains(400_000_000)
