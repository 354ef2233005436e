"""The whole way: survey, check, validate, move, watch, verdict."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lpmkit.analysis import analyse
from lpmkit.rehearsal import Rehearsal
from lpmkit.runs.cells import MISSING
from lpmkit.runs.folder import Run
from tests.end_to_end.cases import (
    Hold,
    Terminal,
    assert_contains_the_truth,
    assert_moved,
    files_with,
    is_watched,
    kinds,
    phases,
    recorder_pid,
    rehearse,
    soon,
    times_asked,
    truth,
)

QUICK = ("--lead-in", "4", "--tail", "3")


@pytest.fixture
def hold(tmp_path: Path) -> Hold:
    return Hold(tmp_path)


@pytest.fixture
def rehearsal(tmp_path: Path, hold: Hold) -> Iterator[Rehearsal]:
    with rehearse(tmp_path / "sim", hold.fault) as running:
        yield running


@pytest.fixture
def terminal(rehearsal: Rehearsal) -> Terminal:
    return Terminal(rehearsal.site_file)


def _copying(run: Run) -> bool:
    return "copying" in phases(run)


def test_the_demo_ends_in_a_verdict_whose_interval_contains_the_truth(tmp_path: Path) -> None:
    said = Terminal(tmp_path / "none.yaml").type(
        "demo", "--json", "--directory", str(tmp_path / "demo"), "--speed", "25"
    )
    assert said.status == 0, said
    found = said.json
    assert found["verdict"]["state"] == "passed"
    logged = [event.data["description"] for event in Run(found["run"]).events() if event.kind == "log"]
    assert logged.index("Client Partition Migration Started") < logged.index("Client Partition Migration Completed")
    daemon = [
        e.data["description"] for e in Run(found["run"]).events() if e.kind == "log" and e.data["log"] == "syslog"
    ]
    assert [line.split()[1] for line in daemon] == ["CHECK", "PRE", "POST"]
    noted = [e.data["description"] for e in Run(found["run"]).events() if e.kind == "log" and e.data["log"] == "nmon"]
    assert [line.split(",")[0] for line in noted] == ["DR check", "DR pre", "DR post"]
    report = Path(found["report"]).read_text(encoding="utf-8")
    assert "bxaix85" in report
    assert not re.search(r"""(src|href)=["']?http|url\(["']?http|@import|<script""", report), (
        "the report needs no network"
    )
    rows = {row["key"]: row for row in found["verdict"]["questions"]}
    assert rows["moved"]["state"] == "passed"
    assert rows["restarted"]["state"] == "passed"
    assert rows["sap-work-processes-BX5"]["state"] == "passed"
    assert rows["sap-ni-BX5"]["state"] == "passed"

    class Demo:
        truth = tmp_path / "demo" / "simulator" / "truth.jsonl"

    assert_contains_the_truth(found, truth(Demo()))  # type: ignore[arg-type]


def test_a_killed_front_end_leaves_the_recorder_at_work_attach_shows_the_same_run_and_a_secret_is_in_no_file(
    rehearsal: Rehearsal, hold: Hold, tmp_path: Path
) -> None:
    text = rehearsal.site_file.read_text().replace("host: bxaix85", "host: bxaix85, password: env:PLANTED")
    rehearsal.site_file.write_text(text)
    terminal = Terminal(rehearsal.site_file, {"PLANTED": "correct-horse-battery"})
    run = terminal.validated()
    front_end = terminal.start("move", "bxaix85", "--to", "bvio83", "--confirm", "bxaix85", *QUICK)
    soon(lambda: _copying(run))
    front_end.send_signal(signal.SIGKILL)
    front_end.communicate(timeout=400)
    assert run.is_recorded()
    wanted = {"observer", "ssh-echo", "ssh-ticks", "tcp-connect", "sap-ni-BX5-00", "ora-sql-BX5"}
    soon(lambda: is_watched(run, *wanted))
    hold.let_go()
    said = terminal.type("attach", str(run.path), "--json")
    assert said.json["run"] == str(run.path)
    assert_moved(said.json)
    assert kinds(run).count("recorder-started") == 1
    assert times_asked(run) == 1
    observer = run.samples("observer")
    assert set(observer.segment.tolist()) == {1}
    for probe in ("ssh-ticks", "ssh-echo", "observer"):
        came = np.sort(run.samples(probe).answered_ns)
        longest = np.diff(came[came != MISSING]).max() / 1e9
        limit = said.json["suspension"]["length"]["high"] + 3.0 + said.json["own_stalls"]["longest_s"]
        assert longest <= limit, f"{probe}: nothing recorded is missing but what the suspension took"
    assert_contains_the_truth(said.json, truth(rehearsal))
    assert wanted <= set(run.probes())
    _the_kernel_of_this_machine_was_no_witness(run)
    _the_partition_and_the_history_tell_of_it(terminal, run)
    there = terminal.type("validate", "bxaix85", "--to", "bvio82", "--json")
    assert there.status == 0, "and it can be moved home"
    assert Run(there.json["run"]).path != run.path
    assert not files_with(tmp_path, "correct-horse-battery")
    assert "correct-horse-battery" not in said.output + said.error


def _the_kernel_of_this_machine_was_no_witness(run: Run) -> None:
    """The partition is on loopback here: its kernel is ours, and must not turn the suspension into a micro-stop."""
    assert "icmp" not in run.probes()
    told = [
        event.data["what"]
        for event in run.events()
        if event.data.get("probe") == "icmp" and event.kind == "probe-trouble"
    ]
    assert [re.sub(r"127(\.\d+){3}", "LOOPBACK", line) for line in told] == [
        "not used: LOOPBACK is an address of this machine; its answer proves nothing about bxaix85"
    ]
    found = analyse(Run(run.path)).suspension
    assert found is not None
    assert "ticks" in found.mechanisms


def _the_partition_and_the_history_tell_of_it(terminal: Terminal, run: Run) -> None:
    asked = terminal.type("was-moved", "bxaix85", "--json")
    assert asked.status == 0, asked
    told = asked.json["moves"][-1]
    assert (told["outcome"], told["came_from"], told["went_to"]) == ("completed", "000071DA4C00", "000072EA4C00")
    assert "has not been started since" in asked.json["conclusion"]
    listed = terminal.type("history", "--json").json["runs"]
    assert [(one["run"], one["outcome"], one["target"]) for one in listed] == [(run.name, "settled", "bvio83")]
    written = terminal.type("write-up", str(run.path), "--form", "pdf", "--language", "de", "--json")
    assert written.status == 0, written
    assert Path(written.json["pdf"]).read_bytes().startswith(b"%PDF")


def test_a_killed_recorder_is_followed_by_one_that_looks_on_and_the_hole_is_not_an_outage(
    hold: Hold, terminal: Terminal
) -> None:
    run = terminal.validated()
    said = terminal.type("move", "bxaix85", "--to", "bvio83", "--confirm", "bxaix85", *QUICK, "--detach")
    assert said.status == 0, said
    soon(lambda: _copying(run) and is_watched(run, "ssh-ticks"))
    os.kill(recorder_pid(run), signal.SIGKILL)
    soon(lambda: not run.is_recorded())
    assert len(run.samples("ssh-ticks")) > 0
    attached = terminal.start("attach", str(run.path), "--json")
    soon(lambda: kinds(run).count("recorder-started") == 2 and 2 in run.samples("ssh-ticks").segment)
    hold.let_go()
    said = terminal.answered(attached)
    assert times_asked(run) == 1, "never a second migration"
    assert [event.data["resumed"] for event in run.events() if event.kind == "recorder-started"] == [False, True]
    assert phases(run)[-1] == "settled"
    rows = {row["key"]: row for row in said.json["verdict"]["questions"]}
    assert rows["complete"]["state"] != "passed"
    assert "not observed" in Path(said.json["report"]).read_text(encoding="utf-8")
    assert said.json["not_observed"]
    assert said.status == 4, "it arrived, and what was not looked at is not fine"
    assert said.json["complete"] is False


def test_a_move_needs_a_validation_that_is_not_old_and_the_name_typed(rehearsal: Rehearsal, terminal: Terminal) -> None:
    said = terminal.type("move", "bxaix85", "--to", "bvio83", "--confirm", "bxaix85")
    assert said.status == 2
    assert "lpmkit validate bxaix85 --to bvio83" in said.error
    run = terminal.validated()
    said = terminal.type("move", "bxaix85", "--to", "bvio83", "--confirm", "bxaix58")
    assert said.status == 2
    assert "nothing was moved" in said.error
    assert not run.events()
    text = rehearsal.site_file.read_text() + "runs: {validation_holds_minutes: 0.001}\n"
    rehearsal.site_file.write_text(text)
    terminal.validated()
    said = terminal.type("move", "bxaix85", "--to", "bvio83", "--confirm", "bxaix85")
    assert said.status == 2
    assert "older than" in said.error


def test_stop_in_mid_copy_leaves_the_partition_where_it_is(rehearsal: Rehearsal, terminal: Terminal) -> None:
    run = terminal.validated()
    begun = terminal.type("move", "bxaix85", "--to", "bvio83", "--confirm", "bxaix85", *QUICK, "--detach", "--json")
    assert begun.json == {"run": str(run.path)}
    soon(lambda: _copying(run))
    said = terminal.type("stop", str(run.path), "--confirm", "bxaix85", "--json")
    assert said.status == 0, said
    assert (said.json["request"], said.json["status"]) == ("stop", 0)
    said = terminal.type("attach", str(run.path), "--json")
    assert phases(run)[-1] == "stopped"
    assert said.status == 1
    assert "suspended" not in truth(rehearsal)


def test_what_nobody_understands_is_noted_and_a_stop_in_the_lead_in_calls_the_move_off(
    rehearsal: Rehearsal, terminal: Terminal
) -> None:
    run = terminal.validated()
    terminal.type("move", "bxaix85", "--to", "bvio83", "--confirm", "bxaix85", "--lead-in", "600", "--detach")
    requests = run.path / "requests"
    requests.mkdir()
    for number, text in enumerate(("{half", "[]", '{"what": "explode"}', '{"force": true}')):
        (requests / f"{number}.json").write_text(text)
    soon(lambda: kinds(run).count("note") == 4)
    assert run.is_recorded()
    said = terminal.type("stop", str(run.path), "--confirm", "bxaix85")
    assert (said.status, "was not asked for yet, and will not be" in said.output) == (0, True), said
    soon(lambda: not run.is_recorded())
    assert run.events()[-1].data["reason"].startswith("called off"), "in the lead-in, stop calls the move off"
    assert times_asked(run) == 0
    said = terminal.type("move", "bxaix85", "--to", "bvio83", "--confirm", "bxaix85")
    assert said.status == 2, "another try is prepared again"
    assert not [reply for reply in run.transcript() if "migrlpar" in reply.command and "-o v" not in reply.command]


def test_a_dropped_ssh_session_to_the_source_is_outlived(tmp_path: Path) -> None:
    hold = Hold(tmp_path)
    with rehearse(tmp_path / "sim", "drop-ssh:bvio82,when=copy@50%", hold.fault) as rehearsal:
        terminal = Terminal(rehearsal.site_file)
        run = terminal.validated()
        moving = terminal.start("move", "bxaix85", "--to", "bvio83", "--confirm", "bxaix85", *QUICK, "--json")
        soon(lambda: "control-back" in kinds(run) and is_watched(run, "ssh-ticks", "ssh-echo"))
        hold.let_go()
        said = terminal.answered(moving)
        assert "control-lost" in kinds(run)
        assert phases(run)[-1] == "settled"
        assert times_asked(run) == 1
        assert_contains_the_truth(said.json, truth(rehearsal))


def test_a_mover_that_dies_leaves_a_state_that_recover_mends(tmp_path: Path) -> None:
    with rehearse(tmp_path / "sim", "mover-dies") as rehearsal:
        terminal = Terminal(rehearsal.site_file)
        run = terminal.validated()
        terminal.type("move", "bxaix85", "--to", "bvio83", "--confirm", "bxaix85", *QUICK, "--detach")
        soon(lambda: "needs-recovery" in phases(run))
        said = terminal.type("recover", str(run.path), "--confirm", "bxaix85")
        assert said.status == 0, said
        soon(lambda: phases(run)[-1] == "failed")
        assert terminal.type("attach", str(run.path)).status == 1
        assert terminal.type("validate", "bxaix85", "--to", "bvio83").status == 0


def test_a_refused_validation_says_the_firmwares_words_and_ends_with_1(tmp_path: Path) -> None:
    with rehearse(tmp_path / "sim", "lun-not-seen") as rehearsal:
        terminal = Terminal(rehearsal.site_file)
        said = terminal.type("validate", "bxaix85", "--to", "bvio83", "--json")
        assert said.status == 1
        assert "VIOSE" in said.json["text"]
        assert [one["key"] for one in said.json["causes"]] == ["same-luns"]
        assert said.json["causes"][0]["remedy"]
        said = terminal.type("validate", "bxaix85", "--to", "bvio83")
        assert "Failing checks:" in said.output
        assert "Expected:" not in said.output
        said = terminal.type("check", "bxaix85", "--to", "bvio83", "--json")
        assert said.status == 1
        assert [one["key"] for one in said.json["findings"] if one["verdict"] == "fail"] == ["same-luns"]
