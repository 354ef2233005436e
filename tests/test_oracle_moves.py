"""The course of a database in a move, and lpmkit's answers about it: each of these happens in a partition that is
really stopped.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pytest

from lpmkit.analysis import Analysis, AnswerState
from lpmkit.notebook.live import plain_board
from lpmkit.oracle.alert_log import EventKind, LogEvent
from lpmkit.oracle.event_rows import as_row
from lpmkit.oracle.judge import LogPosition
from lpmkit.oracle.stamps import Moment
from lpmkit.report.page import write_report
from lpmkit.rules.table import Class
from lpmkit.runs.folder import Run, create
from lpmkit.runs.writer import RunWriter
from lpmkit.timeline import Sample
from tests.watched_database import Watched, tried_after


def verdicts(analysis: Analysis) -> dict[str, str]:
    """The answers, by the short name of the question."""
    return {one.key.split("-")[1]: one.state.value for one in analysis.databases[0].questions}


GOOD = {
    "restart": "passed",
    "session": "passed",
    "population": "passed",
    "alert": "passed",
    "logon": "passed",
    "around": "passed",
    "commit": "passed",
}


def test_a_clean_move_passes_and_the_databases_own_measures_agree_with_the_suspension(tmp_path: Path) -> None:
    with Watched(tmp_path) as watched:
        watched.is_to_be_told = True
        watched.move(1.6)
        watched.until(
            lambda: (
                any("VKTM" in text for text in watched.alerts())
                and any("kstmchkdrift" in text for text in watched.alerts())
            )
        )
        watched.until(tried_after(watched, "logon", 2))
    analysis = watched.analysed()
    (found,) = analysis.databases
    assert verdicts(analysis) == GOOD
    assert {one.what: one.agrees for one in found.measures} == {"VKTM clock jump": True, "LGWR write": True}
    assert {mark.meaning for mark in found.marks if mark.place is LogPosition.INSIDE} == {Class.EXPECTED}
    still = analysis.suspension
    assert still is not None
    assert "sql" in still.mechanisms
    sync = next(one for one in found.waits if one.event == "log file sync")
    waited_ms = 1000 * watched.stood_s
    assert sync.longest_ms in {2 ** math.ceil(math.log2(ms)) for ms in (waited_ms, 1.25 * waited_ms)}, "its bucket"
    felt = next(one for one in analysis.hosts[0].sessions if one.probe.startswith("ora-sql"))
    assert watched.stood_s - 0.3 < felt.bounds.hi_ns / 1e9 < watched.stood_s + 1.0


def test_an_internal_error_during_the_copy_fails(tmp_path: Path) -> None:
    with Watched(tmp_path) as watched:
        watched.move(during=["ora600"])
        watched.until(lambda: any("ORA-00600" in text for text in watched.alerts()))
    analysis = watched.analysed()
    assert verdicts(analysis) == {**GOOD, "alert": "failed"}
    assert analysis.verdict.state is AnswerState.FAILED
    assert any(mark.rule == "internal-error" and mark.meaning is Class.FAIL for mark in analysis.databases[0].marks)
    (answer,) = (one.details for one in analysis.databases[0].questions if one.key.startswith("oracle-alert-"))
    assert "internal-error: ORA-00600 (fail)" in answer, "what a DBA looks up"


def test_time_outs_at_the_gap_are_told_as_warnings(tmp_path: Path) -> None:
    with Watched(tmp_path) as watched:
        watched.move(after=["tns-timeout", "interleaved"])
        watched.until(lambda: sum("Fatal NI connect error 12170" in text for text in watched.alerts()) == 2)
    analysis = watched.analysed()
    assert verdicts(analysis) == GOOD
    (found,) = analysis.databases
    assert found.judgement is not None
    assert found.judgement.verdict == "warn"
    assert [(one.key, one.count) for one in found.judgement.tallies if one.meaning is Class.WARN] == [
        ("session-lost", 2)
    ]


def test_a_real_restart_is_proven_by_the_start_time(tmp_path: Path) -> None:
    with Watched(tmp_path) as watched:
        watched.move(after=["restart:1"])
        watched.until(lambda: len(watched.seen("db-session")) == 2)
        watched.until(tried_after(watched, "logon", 2))
    analysis = watched.analysed()
    found = verdicts(analysis)
    assert {key: found[key] for key in ("restart", "session", "population", "alert")} == {
        "restart": "failed", "session": "failed", "population": "failed", "alert": "failed"
    }  # fmt: skip


def test_a_false_start_banner_is_no_restart(tmp_path: Path) -> None:
    with Watched(tmp_path) as watched:
        watched.move(after=["banner"])
        watched.until(lambda: any("Starting ORACLE instance" in text and "OS id" in text for text in watched.alerts()))
    analysis = watched.analysed()
    assert verdicts(analysis) == GOOD
    (found,) = analysis.databases
    assert found.judgement is not None
    assert found.judgement.verdict == "pass"
    assert any(one.key == "start-banner" and one.meaning is Class.EXPECTED for one in found.judgement.tallies)


def test_a_log_that_is_rotated_in_mid_move_loses_nothing(tmp_path: Path) -> None:
    with Watched(tmp_path) as watched:
        watched.move(during=["ora600", "rotate"], after=["tns-timeout"])
        watched.until(
            lambda: (
                any("12170" in text for text in watched.alerts())
                and any("ORA-00600" in text for text in watched.alerts())
            )
        )
    analysis = watched.analysed()
    assert verdicts(analysis) == {**GOOD, "alert": "failed"}
    assert not [event for event in watched.seen("probe-trouble") if "alert" in event.source]


def test_a_session_that_was_killed_is_missed(tmp_path: Path) -> None:
    with Watched(tmp_path) as watched:
        watched.move(after=["kill:SAPR3"])
        watched.until(lambda: any("ORA-28" in text for text in watched.alerts()))
    analysis = watched.analysed()
    assert verdicts(analysis) == {**GOOD, "population": "failed"}
    assert analysis.databases[0].kept is not None
    assert [name.partition(" ")[0] for name in analysis.databases[0].kept.lost] == ["SAPR3"]


def test_a_listener_that_hangs_after_the_resume_fails_logons_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lpmkit.analysis.oracle_questions.LOGON_SLACK_NS", 500_000_000)
    with Watched(tmp_path) as watched:
        watched.move(after=["listener-hangs"])
        watched.until(tried_after(watched, "logon", 5))
    analysis = watched.analysed()
    assert verdicts(analysis) == {**GOOD, "logon": "failed"}
    hung = [sample for sample in watched.run.recent(f"ora-logon-{watched.sid}") if sample.outcome == "silent"]
    assert hung
    assert all(
        "within 2 s; aborted" in sample.detail or "not tried" in sample.detail or "unanswered" in sample.detail
        for sample in hung
    )


def test_a_10g_database_is_watched_by_sqlplus_with_the_same_samples(tmp_path: Path) -> None:
    with Watched(tmp_path, "js22") as watched:
        watched.move(1.2, after=["tns-timeout"])
        watched.until(lambda: any("12170" in text for text in watched.alerts()))
        watched.until(tried_after(watched, "logon", 2))
    analysis = watched.analysed()
    assert analysis.databases[0].way == "sqlplus"
    assert verdicts(analysis) == {name: state for name, state in GOOD.items() if name != "around"}, "it stands alone"
    assert analysis.databases[0].judgement is not None
    assert analysis.databases[0].judgement.verdict == "warn"


def test_commits_stall_with_the_partition_and_the_alert_log_can_be_read_by_sql(tmp_path: Path) -> None:
    with Watched(tmp_path, commit_table="lpmkit_beat", alert_log="V$DIAG_ALERT_EXT") as watched:
        watched.until(tried_after(watched, "commit", 3))
        watched.move(3.0, after=["ora600"])
        watched.until(lambda: any("ORA-00600" in text for text in watched.alerts()))
        watched.until(tried_after(watched, "commit", 3))
    analysis = watched.analysed()
    assert verdicts(analysis) == {**GOOD, "alert": "failed"}
    felt = [one.bounds.hi_ns for one in analysis.hosts[0].sessions if one.probe.startswith("ora-commit")]
    assert max(felt) > 2.9e9, "a busy machine lets a commit wait a second time"


def test_more_checkpoints_than_usual_are_a_warning_and_a_hidden_view_is_a_gap(tmp_path: Path) -> None:
    with Watched(tmp_path) as watched:
        watched.move(after=["checkpoints", "old-form"])
        watched.until(lambda: sum("Checkpoint not complete" in text for text in watched.alerts()) == 12)
        watched.host.tell_oracle("tns-timeout")
        watched.until(lambda: any("12170" in text for text in watched.alerts()))
    analysis = watched.analysed()
    assert verdicts(analysis) == GOOD
    (found,) = analysis.databases
    assert found.judgement is not None
    warned = {one.key: one.count for one in found.judgement.tallies if one.meaning is Class.WARN}
    assert warned == {"checkpoint-not-complete": 12, "session-lost": 1}, "both forms of time stand in one file"
    html = write_report(watched.run.path).read_text()
    assert "Oracle P7D on p7aix01" in html
    assert "checkpoint-not-complete" in html
    assert (watched.run.path / "plots" / "database-P7D.svg").exists()
    summary = json.loads((watched.run.path / "summary.json").read_text())
    assert summary["databases"][0]["alert_log"]["verdict"] == "warn"


@pytest.mark.parametrize(
    ("way", "deed", "says"),
    [
        ("thin", "standby-lost", "standby destination 2 is ERROR: ORA-03135"),
        ("sqlplus", "disk-offline:DATA", "disk group DATA has 1 disks offline, 0 before"),
        ("thin", "evict:P7D2", "instance P7D2 on p7aix24 is gone from the cluster"),
    ],
)
def test_what_the_move_broke_around_the_database_is_named(tmp_path: Path, way: str, deed: str, says: str) -> None:
    landscape = tmp_path / "cluster.yaml"
    text = (resources.files("lpmkit.simulator") / "landscapes" / "p7pair.yaml").read_text(encoding="utf-8")
    landscape.write_text(text.replace("asm: [DATA, RECO]", "asm: [DATA, RECO], members: [P7D2@p7aix24]"))
    with Watched(tmp_path, str(landscape), way=way) as watched:
        watched.move(after=[deed])
        watched.until(tried_after(watched, "logon", 1))
    question = next(one for one in watched.analysed().databases[0].questions if one.key.startswith("oracle-around"))
    assert question.state is AnswerState.FAILED
    assert says in question.answer


# --- the live view --------------------------------------------------------------------------------------------------


def _followed(folder: Path, *texts: str, rules: str | None = None) -> Run:
    """A run that follows an alert log and has seen these entries."""
    probes = [{"name": "ora-alert-BX5", "kind": "alert", "options": {"sid": "BX5", "rules": rules}}]
    run = create(folder, mode="watch", title="bxaix85", facts={"hosts": ["bxaix85"], "probes": probes})
    stamp = Moment(*[datetime(2026, 3, 24, 21, 4, 5, tzinfo=UTC)] * 2)
    with RunWriter(run.path) as writer:
        writer.event("probe:ora-alert-BX5", "alert-log", probe="ora-alert-BX5", path="alert.log")
        now = writer.clock.mono_ns()
        writer.samples("ssh-ticks", [Sample(seq=1, answered_ns=now)])
        for number, text in enumerate(texts):
            row = as_row(
                LogEvent(stamp, (text,), number, 1, EventKind.MESSAGE),
                "alert.log",
                now - number,
                writer.clock.wall_ns(),
            )
            writer.observation_rows("ora-alert-BX5", json.dumps(row).encode() + b"\n")
    return Run(run.path)


def test_the_board_shows_the_alert_log_with_its_classes_and_a_lane_of_markers(tmp_path: Path) -> None:
    run = _followed(tmp_path, "Thread 1 advanced to log sequence 7", "ORA-00600: internal error <x>")
    text = plain_board(run).data
    assert text.index("ORA-00600: internal error &lt;x&gt;") < text.index("advanced to log sequence"), (
        "the newest first"
    )
    assert "✗ fail" in text
    assert "21:04:05" in text
    drawn = text[text.index("<svg") :]
    assert re.findall(r'text-anchor="end"[^>]*>(.*?)</text>', drawn) == ["ssh-ticks", "BX5 alert log"]
    assert ">✗</text>" in drawn


def test_the_board_judges_by_the_rules_that_the_run_keeps_and_says_when_nothing_was_written(tmp_path: Path) -> None:
    own = "- {key: ours, contains: [backup of BX5], class: warn, reason: ours, source: site}\n"
    assert "! warn" in plain_board(_followed(tmp_path / "a", "backup of BX5 began", rules=own)).data
    assert "no new entry since" in plain_board(_followed(tmp_path / "b")).data


def test_the_board_never_shows_a_log_that_nobody_could_read_as_a_quiet_one(tmp_path: Path) -> None:
    probes = [{"name": "ora-alert-BX5", "kind": "alert", "options": {"sid": "BX5", "rules": "- {key: [}"}}]
    run = create(tmp_path, mode="watch", title="bxaix85", facts={"hosts": ["bxaix85"], "probes": probes})
    with RunWriter(run.path) as writer:
        writer.event("probe:ora-alert-BX5", "probe-trouble", probe="ora-alert-BX5", what="the file is not <there>")
    text = plain_board(Run(run.path)).data
    assert "not followed yet" in text
    assert "log quiet" not in text
    assert "the file is not &lt;there&gt;" in text
    assert "the site&#x27;s rules" in text, "and rules that cannot be read are named"


@pytest.mark.parametrize(
    ("deed", "says"),
    [
        ("write:Pluggable database PDB1 closed", "container-closed"),
        ("write:NOTE: cache dismounting (not clean) group 1/0x10F (DATA)", "asm-quorum"),
    ],
)
def test_a_loss_without_a_code_fails_in_a_run(tmp_path: Path, deed: str, says: str) -> None:
    with Watched(tmp_path) as watched:
        watched.move(1.2, after=[deed])
        watched.until(lambda: any(deed.partition(":")[2] in text for text in watched.alerts()))
    (found,) = watched.analysed().databases
    (alert,) = [question for question in found.questions if "alert" in question.key]
    assert (alert.state.value, says in alert.answer) == ("failed", True), alert.answer
