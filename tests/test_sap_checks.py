"""The checks of a SAP system before a move, in the doctor's list and in a notebook."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lpmkit.checks import Finding, Verdict, examine
from lpmkit.notebook.live import plain_board
from lpmkit.runs.folder import Run, create
from lpmkit.runs.writer import RunWriter
from lpmkit.sap.model import (
    Activity,
    Colour,
    Enqueue,
    InstanceProfile,
    Job,
    JobLog,
    JobStatus,
    Licence,
    Missed,
    SapSnapshot,
    Update,
    WorkProcess,
)
from lpmkit.sap.observation import SapObservation
from lpmkit.sap.time_outs import parameters
from lpmkit.survey.model import Survey, SystemFacts

WALL = 1_226_088_000 * 1_000_000_000
NOW = datetime.fromisoformat("2008-11-07T20:00:00") + timedelta(hours=1)
WELL = SapSnapshot(
    "BX5",
    WALL,
    ways={"jobs": "rfc, XBP 2.0", "work_processes": "rfc"},
    zone_offset_s=3600,
    work_processes=(WorkProcess(0, "DIA", 1, Activity.WAITING),),
    jobs=(Job("SHORT", "1", JobStatus.RUNNING, started=NOW - timedelta(minutes=5)),),
    enqueue=(Enqueue(1, 9, 1, 0, 0, Colour.GREEN),),
    updates=(),
    licences=(Licence("A0000000001", permanent=True, valid=True), Licence("B0000000002", permanent=True, valid=True)),
    hardware_key="A0000000001",
    hardware_keys={"bvio83": "B0000000002"},
    profiles=(InstanceProfile("00", {"rdisp/max_wprun_time": "3600"}),),
)


def findings(one: SapSnapshot) -> dict[str, Finding]:
    survey = Survey("bxaix85", SystemFacts("bvio82"), SystemFacts("bvio83"), sap=(one,), expected_suspension_s=2.0)
    return {found.key: found for found in examine(survey) if found.about == "BX5"}


def test_a_system_that_is_well_passes_every_rule() -> None:
    found = findings(WELL)
    assert len(found) == 7
    assert {one.verdict for one in found.values()} == {Verdict.PASS}, found


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("sap-licence", {"licences": WELL.licences[:1] if WELL.licences else ()}),
        ("sap-licence", {"licences": (Licence("B0000000002", permanent=False, valid=True),)}),
        ("sap-licence", {"licences": (Licence("B0000000002", permanent=True, valid=False),)}),
        ("sap-licence", {"licences": (Licence("B0000000002", "Maintenance_ORA", permanent=True, valid=True),)}),
        ("sap-work-processes", {"work_processes": (WorkProcess(0, "DIA", 1, Activity.STOPPED),)}),
        ("sap-long-jobs", {"jobs": (Job("LONG", "1", JobStatus.RUNNING, started=NOW - timedelta(hours=3)),)}),
        ("sap-next-jobs", {"jobs": (Job("SOON", "1", JobStatus.RELEASED, planned=NOW + timedelta(minutes=40)),)}),
        ("sap-next-jobs", {"jobs": (Job("LATE", "1", JobStatus.RELEASED, planned=NOW - timedelta(minutes=40)),)}),
        ("sap-updates", {"updates": (Update("1", None, "A", "100", "13"),)}),
        ("sap-enqueue", {"enqueue": (Enqueue(1, 9, 1, 0, 0, Colour.RED),)}),
        ("sap-time-outs", {"profiles": (InstanceProfile("00", {"gw/cpic_timeout": "3"}),)}),
    ],
)
def test_each_rule_warns_of_its_own_fact_and_hinders_nothing(key: str, change: dict[str, Any]) -> None:
    found = findings(replace(WELL, **change))
    assert {name for name, one in found.items() if one.verdict is not Verdict.PASS} == {key}
    assert found[key].verdict is Verdict.WARN
    assert found[key].remedy


@pytest.mark.parametrize(
    ("values", "verdict", "says"),
    [
        ({"gw/conn_pending": "2"}, Verdict.FAIL, "2 s"),
        ({"gw/conn_pending": "0"}, Verdict.PASS, ""),  # off
        ({"gw/cpic_timeout": "20"}, Verdict.PASS, "20 s"),
        ({}, Verdict.PASS, "60 s, SAP's default"),
        ({"rdisp/keepalive": "0", "rdisp/keepalive_timeout": "1"}, Verdict.PASS, ""),  # it asks for no sign of life
        ({"rdisp/max_wprun_time": "1 M"}, Verdict.PASS, "60 s"),
        ({"rdisp/max_wprun_time": "$(X)"}, Verdict.UNKNOWN, "not understood"),
        ({"enque/con_timeout": "1000"}, Verdict.PASS, ""),  # the enqueue server is not a standalone one
        ({"enque/process_location": "REMOTESA"}, Verdict.PASS, "359 s, 60 attempts, SAP's default"),
        ({"enque/process_location": "REMOTESA", "enque/con_timeout": "1000", "enque/con_retries": "1"}, Verdict.FAIL,
         "1 s"),
        ({"enque/process_location": "REMOTESA", "enque/con_timeout": "500", "enque/con_retries": "1",
          "enq/enable": "true"},
         Verdict.PASS, ""),  # the standalone enqueue server 2 does not read it
        ({"enque/process_location": "REMOTESA", "enque/con_timeout": "1000", "enque/con_retries": "9"}, Verdict.PASS,
         "17 s"),
    ],
)  # fmt: skip
def test_time_outs_of_profile_parameters_are_held_against_the_suspension(
    values: dict[str, str], verdict: Verdict, says: str
) -> None:
    found = findings(replace(WELL, profiles=(InstanceProfile("00", values), InstanceProfile("01", {}))))[
        "sap-time-outs"
    ]
    assert found.verdict is verdict, found
    assert says in str(found.facts)
    assert bool(found.remedy) is (verdict is not Verdict.PASS)


def test_every_row_of_the_table_has_a_source_and_no_default_without_one() -> None:
    for name, row in parameters().items():
        assert row.source, name
        assert row.unit in ("s", "ms")
        assert row.waits, name
        assert row.remedy.endswith("."), name
    assert parameters()["gw/cpic_timeout"].default is None, "no source tells it"


def test_a_job_that_starts_after_the_window_is_no_matter() -> None:
    later = Job("MUCH", "1", JobStatus.RELEASED, planned=NOW + timedelta(hours=2))
    assert findings(replace(WELL, jobs=(later,)))["sap-next-jobs"].verdict is Verdict.PASS


def test_the_title_of_a_rule_about_jobs_has_its_limit_and_the_jobs_come_in_the_order_of_their_times() -> None:
    jobs = tuple(
        Job(name, "1", JobStatus.RELEASED, planned=NOW + timedelta(minutes=at)) for name, at in (("A", 20), ("B", 5))
    )
    found = findings(replace(WELL, jobs=jobs, slo={"window_s": 1800.0, "long_job_s": 5400.0}))
    assert found["sap-next-jobs"].title == "No SAP job starts within the next 30 minutes"
    assert [name for name in found["sap-next-jobs"].facts if name != "system time"] == [jobs[1].title, jobs[0].title]
    assert found["sap-long-jobs"].title == "No SAP job running for more than 90 minutes"
    assert found["sap-long-jobs"].facts["limit"] == "90 minutes"


def test_what_could_not_be_looked_at_is_unknown_and_what_no_way_tells_is_not_asked() -> None:
    failed = replace(WELL, updates=None, missed=(Missed("updates", "rfc: it does not answer"),))
    assert findings(failed)["sap-updates"].verdict is Verdict.UNKNOWN
    assert "does not answer" in str(findings(failed)["sap-updates"].facts)
    without = replace(WELL, updates=None, missed=(Missed("updates", "no way", configured=False),))
    assert "sap-updates" not in findings(without)


def test_without_the_key_of_the_target_nothing_is_said_of_its_licence() -> None:
    found = findings(replace(WELL, hardware_keys={}))["sap-licence"]
    assert found.verdict is Verdict.UNKNOWN
    assert "hardware_keys" in str(found.facts)


def test_a_survey_with_sap_comes_back_whole() -> None:
    survey = Survey("bxaix85", SystemFacts("bvio82"), SystemFacts("bvio83"), sap=(WELL,))
    assert Survey.from_dict(survey.to_dict()) == survey


# -- the live table ----------------------------------------------------------------------------------------------------


def a_run(folder: Path, *observations: SapObservation) -> Run:
    probes = [{"name": "sap-BX5", "kind": "sap", "options": {"sid": "BX5", "settings": {"partition": "bxaix85"}}}]
    run = create(folder, mode="watch", title="bxaix85", facts={"hosts": ["bxaix85"], "probes": probes})
    with RunWriter(run.path) as writer:
        for one in observations:
            writer.observation_rows("sap-BX5", json.dumps(one.as_data()).encode() + b"\n")
    return Run(run.path)


def test_the_live_table_shows_the_newest_answer_and_how_old_it_is(tmp_path: Path) -> None:
    was = SapObservation("BX5", "jobs", "rfc, XBP 2.0", 1, 2, 3, (Job("OLD", "1", JobStatus.RUNNING),))
    now = SapObservation(
        "BX5", "jobs", "rfc, XBP 2.0", 4, 5, 6, (Job("NEW <b>", "1", JobStatus.ABORTED, pid=4711, work_process=9),)
    )
    log = SapObservation("BX5", "job_logs", "rfc", 7, 8, 9, (JobLog("NEW <b>", "1", 9, 2, "<i>7 of 9"),))
    text = plain_board(a_run(tmp_path, was, now, log)).data
    assert "step 2 of ?: &lt;i&gt;7 of 9" in text
    assert "NEW &lt;b&gt;" in text
    assert "OLD" not in text
    assert "aborted" in text
    assert "rfc, XBP 2.0" in text


def test_the_live_table_says_when_nobody_answers(tmp_path: Path) -> None:
    silent = SapObservation("BX5", "jobs", "", 1, 2, 3, None, "rfc: no answer")
    assert "rfc: no answer" in plain_board(a_run(tmp_path, silent)).data
    assert "no job list yet" in plain_board(a_run(tmp_path)).data


def test_the_last_list_stands_with_its_age_while_nobody_answers(tmp_path: Path) -> None:
    was = SapObservation("BX5", "jobs", "rfc", 1, 2, 3, (Job("STANDS", "1", JobStatus.RUNNING),))
    silent = SapObservation("BX5", "jobs", "", 4, 5, 6, None, "rfc: <no> answer")
    text = plain_board(a_run(tmp_path, was, silent)).data
    assert "STANDS" in text
    assert "SAP not reachable since" in text
    assert "rfc: &lt;no&gt; answer" in text
