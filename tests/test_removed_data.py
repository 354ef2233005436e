"""No answer becomes better by taking away what a probe recorded: of runs in which something went wrong, any probe's
samples, observations and events are removed for any stretch.
"""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lpmkit.analysis import analyse
from lpmkit.analysis.missing_rows import missing_rows
from lpmkit.analysis.record import read
from lpmkit.json_values import JsonObject
from lpmkit.runs.folder import Run
from lpmkit.runs.rows import COLUMNS
from lpmkit.runs.samples import files, last_rows
from lpmkit.runs.writer import RunWriter
from lpmkit.timeline import Sample
from tests.made_runs import START, Made, MadeClock, S, make

FIXTURES = Path(__file__).parent.parent / "fixtures" / "runs"
#: Stretches that are removed from each run, with a fixed seed.
STRETCHES = 6


@dataclass
class Recorded:
    """A run's data by probe in memory: rows of samples, observations, events."""

    folder: Path
    samples: dict[tuple[str, int], list[list[str]]] = field(default_factory=dict)
    observations: dict[str, list[JsonObject]] = field(default_factory=dict)
    events: list[JsonObject] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path) -> Recorded:
        found = cls(folder)
        for file in files(folder / "samples"):
            found.samples[file.probe, file.segment] = last_rows(file, 2**31, 2**31)
        for path in sorted(folder.glob("observations/*.jsonl")):
            found.observations[path.name] = [json.loads(line) for line in path.read_text().splitlines()]
        found.events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
        return found

    @property
    def probes(self) -> list[str]:
        return sorted({probe for probe, _ in self.samples} | {name.split(".")[0] for name in self.observations})

    def times(self, probe: str) -> list[int]:
        """The times at which a probe looked."""
        rows = [row for (name, _), rows in self.samples.items() if name == probe for row in rows]
        sampled = [sample_time(row) for row in rows]
        observed = [
            observation_time(row) for name, rows in self.observations.items() if is_of(name, probe) for row in rows
        ]
        return sorted([*sampled, *observed])

    def write(self, to: Path) -> None:
        """Write the run; what is removed later is removed from this folder."""
        names = ("samples", "observations", "events.jsonl")
        shutil.copytree(self.folder, to, ignore=lambda path, _: names if Path(path) == self.folder else ())
        (to / "samples").mkdir()
        (to / "observations").mkdir()
        for (name, segment), rows in self.samples.items():
            _write_rows(to / "samples" / f"{name}.{segment}.csv", rows)
        for name, observed in self.observations.items():
            _write_lines(to / "observations" / name, observed)
        _write_lines(to / "events.jsonl", self.events)
        self.folder = to

    def without(self, probe: str, lo_ns: int, hi_ns: int, to: Path) -> Run:
        """The run in which a probe recorded nothing from one instant to another."""

        def is_away(at: int) -> bool:
            return lo_ns <= at <= hi_ns

        shutil.copytree(self.folder, to)
        for (name, segment), rows in self.samples.items():
            if name == probe:
                left = [row for row in rows if not is_away(sample_time(row))]
                _write_rows(to / "samples" / f"{name}.{segment}.csv", left)
        for name, observed in self.observations.items():
            if is_of(name, probe):
                _write_lines(
                    to / "observations" / name, [row for row in observed if not is_away(observation_time(row))]
                )
        events = [row for row in self.events if row["source"] != f"probe:{probe}" or not is_away(row["mono_ns"])]
        _write_lines(to / "events.jsonl", events)
        return Run(to)


def _write_rows(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


def _write_lines(path: Path, rows: list[JsonObject]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def is_of(name: str, probe: str) -> bool:
    return name.startswith(f"{probe}.")


def sample_time(row: list[str]) -> int:
    return int(row[3] or row[2] or row[1])


def observation_time(row: JsonObject) -> int:
    return int(row["mono_ns"] if "mono_ns" in row else row["asked_ns"])


def states(run: Run) -> dict[str, str]:
    return {question.key: question.state.value for question in analyse(run).verdict.questions}


# --- what went wrong ------------------------------------------------------------------------------------------------


def late_rows(recorded: Recorded, question: str) -> Iterator[JsonObject]:
    """SAP's answers to a question after the move."""
    settled = next(row["mono_ns"] for row in recorded.events if row["data"].get("phase") == "settled")
    for name, rows in recorded.observations.items():
        if name.startswith("sap-P7D"):
            yield from (row for row in rows if row["question"] == question and row["asked_ns"] > settled - S)


def each_row(question: str, change: Callable[[JsonObject], object]) -> Callable[[Recorded], None]:
    def happen(recorded: Recorded) -> None:
        for observation in late_rows(recorded, question):
            for row in observation["rows"]:
                change(row)

    return happen


def once(question: str, row: JsonObject, at: int = -1) -> Callable[[Recorded], None]:
    def happen(recorded: Recorded) -> None:
        list(late_rows(recorded, question))[at]["rows"].append(row)

    return happen


def an_event(source: str, kind: str, **data: Any) -> Callable[[Recorded], None]:
    def happen(recorded: Recorded) -> None:
        settled = next(row for row in recorded.events if row["data"].get("phase") == "settled")
        at = settled["mono_ns"] + 3 * S
        event = {**settled, "mono_ns": at, "source": f"probe:{source}", "kind": kind, "data": {"probe": source, **data}}
        recorded.events.append(event)
        recorded.events.sort(key=lambda row: row["mono_ns"])

    return happen


def logons_fail(recorded: Recorded) -> None:
    for row in recorded.samples["ora-logon-P7D", 1][-1:]:
        row[7], row[3] = "silent", ""


def nobody_logged_on(recorded: Recorded) -> None:
    for row in late_rows(recorded, "users"):
        row["rows"] = []


def another_start(recorded: Recorded) -> None:
    recorded.observations["ora-state-P7D.1.jsonl"][-1]["own"]["startup_time"] = "20261130071220"


def internal_error(recorded: Recorded) -> None:
    rows = recorded.observations["ora-alert-P7D.1.jsonl"]
    entry = next(row for row in reversed(rows) if "lines" in row)
    entry["lines"] = ["ORA-00600: internal error code, arguments: [x]"]


FAULTS: dict[str, Callable[[Recorded], None]] = {
    "a dump in the last answer": once(
        "dumps",
        {"at": "2026-11-30T07:12:24", "host": "p7aix01", "user": "BATCH", "client": "100",
         "error": "ZDATE_LARGE_TIME_DIFF"}
    ),
    "a dump in the first answer after the move": once(
        "dumps",
        {"at": "2026-11-30T07:12:17", "host": "p7aix01", "user": "BATCH", "client": "100",
         "error": "ZDATE_LARGE_TIME_DIFF"}, 0
    ),
    "an update in error": once("updates",
                               {"key": "A", "at": "2026-11-30T07:12:24", "user": "B", "client": "100", "state": "9"}),
    "processes with other pids": each_row("processes", lambda row: row.update(pid=(row["pid"] or 0) + 1)),
    "work processes with other pids": each_row("work_processes", lambda row: row.update(pid=(row["pid"] or 0) + 1)),
    "red processes": each_row("processes", lambda row: row.update(colour="RED")),
    "aborted jobs": each_row("jobs", lambda row: row.update(status="A", ended="2026-11-30T07:12:18")),
    "nobody logged on": nobody_logged_on,
    "locks without replication": each_row("enqueue", lambda row: row.update(replication="RED", state="RED", locks=0)),
    "a connection lost": an_event("sap-ni-P7D-00", "ni-lost", why="reset"),
    "a session lost": an_event(
        "ora-sql-P7D", "db-session", connection=2, way="thin", sid="99", serial="9", logon_time="20261130071220",
        startup_time="20261020013358", instance="P7D", version="19.0.0.0.0", status="OPEN",
    ),
    "another start of the instance": another_start,
    "an internal error in the alert log": internal_error,
    "refused logons": logons_fail,
    "a login again": an_event("ssh-echo", "session", connection=2, remote_pid=99999, how="perl"),
}  # fmt: skip


def stretches(recorded: Recorded, probes: Sequence[str], seed: int) -> Iterator[tuple[str, int, int]]:
    """All of a probe that saw the fault, random stretches of it, and some of the others."""
    dice = random.Random(seed)
    others = [probe for probe in recorded.probes if probe not in probes]
    for number in range(STRETCHES):
        probe = dice.choice(others if number % 3 == 2 else list(probes))
        times = recorded.times(probe)
        lo, hi = sorted(dice.uniform(times[0], times[-1] + S) for _ in range(2))
        yield (probe, int(lo), int(hi)) if number else (probe, times[0], times[-1] + S)


#: The probe that sees a fault, where it is not the one of the SAP system.
SEEN_BY = {
    "a connection lost": "sap-ni-P7D-00",
    "a session lost": "ora-sql-P7D",
    "another start of the instance": "ora-state-P7D",
    "an internal error in the alert log": "ora-alert-P7D",
    "refused logons": "ora-logon-P7D",
    "a login again": "ssh-echo",
}


def noted(recorded: Recorded) -> None:
    """Let the recorder's last event tell how much was written, as a recorder does."""
    written: Counter[str] = Counter()
    for (probe, segment), rows in recorded.samples.items():
        written[f"samples/{probe}.{segment}"] += len(rows)
    for name, observed in recorded.observations.items():
        written[f"observations/{name.removesuffix('.jsonl')}"] += len(observed)
    for row in recorded.events:
        if row["source"].startswith("probe:"):
            written[f"events/{row['source']}.{row['segment']}"] += 1
    recorded.events[-1]["data"]["written"] = written


def better_answers(recorded: Recorded, probes: Sequence[str], folder: Path) -> list[str]:
    """The answers that pass only after something was removed."""
    noted(recorded)
    recorded.write(folder / "whole")
    before = states(Run(recorded.folder))
    better = []
    for number, (probe, lo, hi) in enumerate(stretches(recorded, probes, seed=STRETCHES)):
        after = states(recorded.without(probe, lo, hi, folder / str(number)))
        shutil.rmtree(folder / str(number))
        better += [
            f"{key} without {probe} for {(hi - lo) / S:.1f} s"
            for key, state in after.items()
            if state == "passed" and before.get(key, "passed") != "passed"
        ]
    return better


@cache
def untouched() -> dict[str, str]:
    """The answers of the run in which nothing went wrong."""
    return states(Run(FIXTURES / "hmc-move"))


@pytest.mark.parametrize("fault", FAULTS)
def test_no_failure_passes_when_any_probes_data_are_removed_for_any_stretch(fault: str, tmp_path: Path) -> None:
    recorded = Recorded.of(FIXTURES / "hmc-move")
    FAULTS[fault](recorded)
    assert not better_answers(recorded, [SEEN_BY.get(fault, "sap-P7D")], tmp_path)
    assert states(Run(tmp_path / "whole")) != untouched()


#: Watches in which something was silent that should not have been.
SILENCES = {
    "one service": Made(mode="watch", duration_s=40.0, suspend=None, banner_out=((20.0, 22.0),)),
    "the network": Made(mode="watch", duration_s=40.0, suspend=None, network_out=((20.0, 21.0),)),
    "a micro-stop": Made(mode="watch", duration_s=40.0, suspend=None, micro_stops=((20.0, 20.6),)),
    "the observer": Made(mode="watch", duration_s=40.0, suspend=None, stalls=((10.0, 12.0),),
                         banner_out=((20.0, 22.0),)),
    "a login again": Made(mode="watch", duration_s=40.0, suspend=None, relogin_at=20.0),
}  # fmt: skip


@pytest.mark.parametrize("silence", SILENCES)
def test_no_silence_passes_when_any_probes_data_are_removed_for_any_stretch(silence: str, tmp_path: Path) -> None:
    recorded = Recorded.of(make(tmp_path / "made", SILENCES[silence]).path)
    assert not better_answers(recorded, recorded.probes[:-1], tmp_path)
    assert "failed" in states(Run(tmp_path / "whole")).values()


def test_a_connection_that_nobody_asked_for_a_while_is_not_evaluated(tmp_path: Path) -> None:
    """Its probe lived and wrote nothing, so that no row is missing."""
    recorded = Recorded.of(FIXTURES / "hmc-move")
    recorded.write(tmp_path / "whole")
    settled = next(row["mono_ns"] for row in recorded.events if row["data"].get("phase") == "settled")
    run = recorded.without("sap-ni-P7D-00", settled, settled + 4 * S, tmp_path / "cut")
    question = next(one for one in analyse(run).verdict.questions if one.key == "sap-ni-P7D")
    assert question.state == "not evaluated"
    assert "sap-ni-P7D-00: not observed from 4 s on for 4 s" in question.details


def test_what_is_missing_is_said_with_its_number_of_rows(tmp_path: Path) -> None:
    recorded = Recorded.of(FIXTURES / "hmc-move")
    noted(recorded)
    recorded.write(tmp_path / "whole")
    last = recorded.times("ora-state-P7D")[-1]
    run = recorded.without("ora-state-P7D", last, last, tmp_path / "cut")
    verdict = analyse(run).verdict
    details = {question.key: question.details for question in verdict.questions if question.state == "not evaluated"}
    text = "1 of 2 rows of ora-state-P7D are missing from the run folder"
    assert details["complete"] == text
    assert details["oracle-restart-P7D"].startswith(f"{text}; in what is left: ")
    assert "sap-ni-P7D" in details, "the system's other answers rest on the same record"
    assert "suspended" not in details
    assert verdict.state == "not evaluated"


def test_a_recorder_notes_how_much_it_wrote(tmp_path: Path) -> None:
    run = make(tmp_path, Made(mode="watch", duration_s=5.0, suspend=None))
    clock = MadeClock(START + 10 * S)
    with RunWriter(run.path, clock) as writer:
        writer.event("recorder", "recorder-started", pid=1, mode="watch", resumed=True)
        writer.samples("ssh-echo", [Sample(number, due_ns=START + number, detail="a\nb, c") for number in range(3)])
        writer.observation_rows("sap-BX5", b'{"question": "jobs"}\n{"question": "jobs"}\n', segment=7)
        writer.probe_event("probe:ssh-echo", "session", {"probe": "ssh-echo", "remote_pid": 1})
        written = dict(writer.written)
        writer.event("recorder", "recorder-ended", reason="settled", written=written)
    assert written == {
        "samples/ssh-echo.2": 3,
        "observations/sap-BX5.7": 2,
        "events/probe:ssh-echo.2": 1,
    }
    assert missing_rows(Run(run.path), read(Run(run.path))) == {}
    (run.path / "observations" / "sap-BX5.7.jsonl").unlink()
    assert str(missing_rows(Run(run.path), read(Run(run.path)))["sap-BX5"]).startswith("2 of 2 rows of sap-BX5")
