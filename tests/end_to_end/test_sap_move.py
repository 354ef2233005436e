"""A move with SAP in the partition, from the prompt to the report: every verdict right, every fault found, no password
anywhere.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lpmkit.analysis import analyse
from lpmkit.runs.folder import Run
from lpmkit.sap.model import JobStatus
from tests.end_to_end.cases import Hold, Terminal, files_with, is_watched, rehearse, soon, truth

PLANTED = "Planted-4711-geheim"


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPM_SIMULATOR_SAP_PASSWORD", PLANTED)


def _is_known(run: Run) -> bool:
    """The system was asked everything twice before the move, and its dispatcher answers."""
    asked = Counter(
        row["question"] for name in run.observed() if name.startswith("sap-") for row in run.observations(name)
    )
    answered = [name for name in run.probes() if name.startswith("sap-ni-") and is_watched(run, name)]
    return bool(answered) and all(asked[name] >= 2 for name in ("processes", "work_processes", "jobs", "users"))


def moved(
    folder: Path, *faults: str, landscape: str, partition: str, target: str
) -> Iterator[tuple[Run, dict[str, Any], Any]]:
    """A move with these faults, followed to the end of the log's watch, and its report."""
    hold = Hold(folder)
    with rehearse(folder, *faults, hold.fault, landscape=landscape) as rehearsal:
        prompt = Terminal(rehearsal.site_file)
        run = Run(prompt.type("validate", partition, "--to", target, "--json").json["run"])
        moving = prompt.start(
            "move", partition, "--to", target, "--confirm", partition, "--lead-in", "4", "--tail", "3", "--json"
        )
        soon(lambda: _is_known(run))
        hold.let_go()
        prompt.answered(moving)
        soon(lambda: not run.is_recorded())
        prompt.type("report", str(run.path))
        found = Run(run.path)
        yield found, {row["key"]: row for row in found.document("summary")["verdict"]["questions"]}, truth(rehearsal)


def test_the_reference_case_ends_with_every_verdict_right(tmp_path: Path) -> None:
    """R/3 4.7: no start service, so dpmon, ps, SOAP-RFC and the NI ping have to do."""
    for run, rows, really in moved(tmp_path, landscape="js22", partition="bxaix85", target="bvio83"):
        passed = ("ni", "processes", "work-processes", "jobs", "users", "updates", "dumps", "licence", "host")
        for key in passed:
            assert rows[f"sap-{key}-BX5"]["state"] == "passed", rows[f"sap-{key}-BX5"]
        for key in ("log", "enqueue", "queues"):  # 4.7 has nobody who tells, and that is no fault of the move
            assert (rows[f"sap-{key}-BX5"]["state"], rows[f"sap-{key}-BX5"]["counts"]) == ("not evaluated", False)
        analysis = analyse(run)
        (outcome,) = analysis.sap
        assert max(sum(count for _, _, count in by.values()) for _, by in outcome.occupancy) == 40
        verdicts = {line.course.job.title: line.verdict for line in outcome.jobs}
        assert len(verdicts) >= 25
        assert rows["sap-rfc-BX5"]["state"] == "passed"
        assert outcome.ways["jobs"] == ("soap_rfc, XBP 2.0",)
        assert any("its job log continued" in line.text for line in outcome.jobs)
        assert sum(verdict == "pass" for verdict in verdicts.values()) >= 5
        # what failed for its own reasons before is listed and counts for nothing
        assert all(line.verdict == "" for line in outcome.jobs if line.course.status is JobStatus.ABORTED)
        _ni_contains_the_truth(analysis, really)
        _load_is_bounded(run)
        html = (run.path / "report.html").read_text()
        assert "SAP system BX5" in html
        assert (run.path / "plots" / "sap-BX5.svg").exists()
        assert files_with(run.path, PLANTED) == []
        assert files_with(tmp_path / "runs", PLANTED) == []


def _ni_contains_the_truth(analysis: Any, really: dict[str, dict[str, Any]]) -> None:
    sessions = [one for host in analysis.hosts for one in host.sessions if one.probe == "sap-ni-BX5-00"]
    assert any(  # a starved machine may make it wait once more
        one.began.lo_ns <= really["suspended"]["mono_ns_after"] and one.ended_ns >= really["resumed"]["mono_ns_before"]
        for one in sessions
    )
    outages = [one for host in analysis.hosts for one in host.outages if one.probe == "sap-ni-BX5-00"]
    assert any(
        one.outer.lo_ns <= really["suspended"]["mono_ns_after"]
        and one.outer.hi_ns >= really["resumed"]["mono_ns_before"]
        for one in outages
    )
    assert "ni" in analysis.suspension.mechanisms


def _load_is_bounded(run: Run) -> None:
    told = [event for event in run.events() if event.kind == "sap-load"]
    assert told
    minutes = (told[-1].mono_ns - told[-1].data["since_ns"]) / 6e10
    assert 0 < sum(told[-1].data["requests"].values()) <= told[-1].data["limit_per_minute"] * (minutes + 1)


def test_each_fault_of_the_move_ends_in_its_finding(tmp_path: Path) -> None:
    faults = ("sap-job-cancelled", "sap-work-process-died", "sap-user-cut", "sap-licence-missing")
    for run, rows, _ in moved(tmp_path, *faults, landscape="p7pair", partition="p7aix01", target="p7b"):
        failed = {key for key, row in rows.items() if key.startswith("sap-") and row["state"] == "failed"}
        assert failed == {f"sap-{key}-P7D" for key in ("jobs", "work-processes", "users", "log", "licence")}
        assert "ZDATE_LARGE_TIME_DIFF" in rows["sap-jobs-P7D"]["answer"]
        assert "was restarted" in rows["sap-work-processes-P7D"]["answer"]
        assert rows["sap-ni-P7D"]["state"] == "passed"
        findings = {one["key"]: one["verdict"] for one in run.document("findings")}
        assert findings["sap-licence"] == "warn"
        assert rows["moved"]["state"] == "passed"


def test_a_dispatcher_that_ends_in_the_move_is_seen_from_outside_and_inside(tmp_path: Path) -> None:
    for _, rows, _ in moved(tmp_path, "sap-dispatcher-gone", landscape="p7pair", partition="p7aix01", target="p7b"):
        assert rows["sap-ni-P7D"]["state"] == "failed", rows["sap-ni-P7D"]
        assert rows["sap-processes-P7D"]["state"] == "failed", rows["sap-processes-P7D"]
        assert rows["sap-jobs-P7D"]["state"] != "passed", rows["sap-jobs-P7D"]


def test_a_password_that_is_refused_is_a_gap_and_no_leak(tmp_path: Path) -> None:
    with rehearse(tmp_path, "sapstartsrv-denies", landscape="p7pair") as rehearsal:
        os.environ["LPM_SIMULATOR_SAP_PASSWORD"] = PLANTED + "-wrong"
        said = Terminal(rehearsal.site_file).type("check", "p7aix01", "--to", "p7b", "--json")
        doctor = Terminal(rehearsal.site_file).type("doctor", "--json")
        runs = Terminal(rehearsal.site_file).runs()
        assert runs
        assert PLANTED not in said.output + said.error + doctor.output + doctor.error
        assert files_with(runs[0].path, PLANTED) == []
        by_way = {row["what"]: row["verdict"] for row in doctor.json if row["what"].startswith("SAP ")}
        assert by_way == {"SAP P7D by webservice": "fail", "SAP P7D by commands": "pass", "SAP P7D by soap_rfc": "fail"}
