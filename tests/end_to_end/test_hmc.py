"""The whole way under an HMC: two servers, one console, the same commands."""

from __future__ import annotations

from pathlib import Path

from lpmkit.runs.folder import Run
from tests.end_to_end.cases import (
    Hold,
    Terminal,
    assert_contains_the_truth,
    assert_moved,
    is_watched,
    kinds,
    phases,
    rehearse,
    soon,
    times_asked,
    truth,
)

QUICK = ("--lead-in", "4", "--tail", "3")
MOVE = ("p7aix01", "--to", "p7b", "--confirm", "p7aix01", *QUICK)


def _validated(terminal: Terminal) -> Run:
    said = terminal.type("validate", "p7aix01", "--to", "p7b", "--json")
    assert said.status == 0, said
    return Run(said.json["run"])


def test_a_partition_is_checked_validated_and_moved_between_two_systems_of_one_hmc(tmp_path: Path) -> None:
    hold = Hold(tmp_path)
    with rehearse(tmp_path / "sim", hold.fault, landscape="p7pair") as rehearsal:
        terminal = Terminal(rehearsal.site_file)
        said = terminal.type("check", "p7aix01", "--to", "p7b", "--json")
        assert said.status == 0, said
        assert said.json["answer"] == "ready"
        assert {"movers", "rmc-vios"} <= {one["key"] for one in said.json["findings"]}
        run = _validated(terminal)
        moving = terminal.start("move", *MOVE, "--json")
        soon(lambda: is_watched(run, "ssh-ticks", "ssh-echo", "sap-ni-P7D-00", "sap-P7D"))
        hold.let_go()
        said = terminal.answered(moving)
        assert_moved(said.json)
        assert phases(run)[-1] == "settled"
        assert times_asked(run) == 1
        answers = [event.data["status"] for event in run.events() if event.kind == "answer"]
        assert answers == [None, 0], "it ran on, and its end is written down too"
        assert not any("--ip" in reply.command for reply in run.transcript()), "one console has both systems"
        assert_contains_the_truth(said.json, truth(rehearsal))
        logged = [event.data["description"] for event in run.events() if event.kind == "log"]
        assert "Migration completed successfully" in logged, "the movers' own logs, through the console"
        said = terminal.type("validate", "p7aix01", "--to", "p7a", "--json")
        assert said.status == 0, "and it can be moved home"


def test_a_refused_validation_is_told_in_the_consoles_words_and_its_code_is_explained(tmp_path: Path) -> None:
    with rehearse(tmp_path / "sim", "vios-rmc-inactive", landscape="p7pair") as rehearsal:
        terminal = Terminal(rehearsal.site_file)
        said = terminal.type("validate", "p7aix01", "--to", "p7b", "--json")
        assert said.status == 1
        assert "cannot communicate with partition p7b-vios1" in said.json["text"]
        (explained,) = said.json["explained"]
        assert explained["code"] == "HSCLA246"
        assert "rmcctrl" in explained["known"]["mend"]
        assert "rmcctrl" in terminal.type("validate", "p7aix01", "--to", "p7b").output
        said = terminal.type("check", "p7aix01", "--to", "p7b", "--json")
        assert said.status == 1
        assert [one["key"] for one in said.json["findings"] if one["verdict"] == "fail"] == [
            "movers-connected",
            "rmc-vios",
        ]


def test_a_dropped_connection_to_the_console_is_outlived(tmp_path: Path) -> None:
    hold = Hold(tmp_path)
    with rehearse(tmp_path / "sim", "drop-ssh:hmc01,when=copy@50%", hold.fault, landscape="p7pair") as rehearsal:
        terminal = Terminal(rehearsal.site_file)
        run = _validated(terminal)
        moving = terminal.start("move", *MOVE, "--json")
        soon(lambda: "control-back" in kinds(run) and is_watched(run, "ssh-ticks", "ssh-echo"))
        hold.let_go()
        said = terminal.answered(moving)
        assert "control-lost" in kinds(run)
        assert phases(run)[-1] == "settled"
        assert times_asked(run) == 1
        assert_contains_the_truth(said.json, truth(rehearsal))


def test_stop_in_mid_copy_leaves_the_partition_where_it_is(tmp_path: Path) -> None:
    with rehearse(tmp_path / "sim", Hold(tmp_path).fault, landscape="p7pair") as rehearsal:
        terminal = Terminal(rehearsal.site_file)
        run = _validated(terminal)
        terminal.type("move", *MOVE, "--detach")
        soon(lambda: "copying" in phases(run))
        said = terminal.type("stop", str(run.path), "--confirm", "p7aix01")
        assert said.status == 0, said
        said = terminal.type("attach", str(run.path), "--json")
        assert phases(run)[-1] == "stopped"
        assert said.status == 1


def test_a_console_that_answers_in_german_is_understood_all_the_same(tmp_path: Path) -> None:
    with rehearse(tmp_path / "sim", "language:hmc01", landscape="p7pair") as rehearsal:
        said = Terminal(rehearsal.site_file).type("check", "p7aix01", "--to", "p7b", "--json")
        assert said.status == 0, said
        assert said.json["answer"] == "ready"


def test_the_doctor_asks_the_console_what_it_is_and_what_it_has(tmp_path: Path) -> None:
    with rehearse(tmp_path / "sim", landscape="p7pair") as rehearsal:
        wrong = rehearsal.site_file.read_text().replace("[p7b-vios1]", "[p7b-vios1, p7b-vios2]")
        rehearsal.site_file.write_text(wrong)
        rows = {row["what"]: row for row in Terminal(rehearsal.site_file).type("doctor", "--json").json}
        assert rows["HMC of p7a"]["verdict"] == "pass"
        assert "7.9.0" in rows["HMC of p7a"]["found"]
        assert rows["HMC of p7b"]["verdict"] == "fail"
        assert "p7b-vios2" in rows["HMC of p7b"]["found"]


def test_a_mover_that_dies_is_told_in_the_commands_last_words_and_recover_mends_it(tmp_path: Path) -> None:
    with rehearse(tmp_path / "sim", "mover-dies", landscape="p7pair") as rehearsal:
        terminal = Terminal(rehearsal.site_file)
        run = _validated(terminal)
        terminal.type("move", *MOVE, "--detach")
        soon(lambda: "needs-recovery" in phases(run))
        answers = [event.data for event in run.events() if event.kind == "answer"]
        assert [answer["status"] for answer in answers] == [None, 1]
        assert "connection between the movers was lost" in answers[1]["text"]
        said = terminal.type("recover", str(run.path), "--look")
        assert said.status == 1, "there is something to type"
        assert "Recommended action: recover." in said.output
        said = terminal.type("recover", str(run.path), "--confirm", "p7aix01", "--json")
        assert said.status == 0, said
        assert "Nothing left behind on p7b." in said.error
        assert said.json["proposal"]["action"] == "recover"
        assert (said.json["status"], said.json["left_behind"], said.json["complete"]) == (0, [], True)
        soon(lambda: phases(run)[-1] == "failed")
        assert terminal.type("attach", str(run.path)).status == 1
        assert terminal.type("validate", "p7aix01", "--to", "p7b").status == 0


def test_a_partition_that_is_not_activated_is_moved_with_its_mapping_kept(tmp_path: Path) -> None:
    with rehearse(tmp_path / "sim", speed=100, landscape="p8pair") as rehearsal:
        terminal, order = Terminal(rehearsal.site_file), ("p8aix06", "--to", "p8b", "--keep-mapping")
        said = terminal.type("mapping", *order, "--json")
        assert said.status == 0, said
        assert said.json["i"] == "virtual_scsi_mappings=2/p8b-vios1/1/14,dest_lpar_id=7"
        run = Run(said.json["run"])
        assert (run.path / "profiles.txt").read_text().startswith("name=normal,lpar_name=p8aix06,")
        assert terminal.type("validate", *order).status == 0
        said = terminal.type("move", *order, "--confirm", "p8aix06", "--lead-in", "60", "--tail", "2", "--json")
        assert phases(run)[-1] == "settled"
        moved = next(row for row in said.json["verdict"]["questions"] if row["question"] == "Moved?")
        assert (moved["state"], "not activated, as it was" in moved["answer"]) == ("passed", True)
        rows = {row["what"]: row["as_it_should"] for row in run.document("changes")}
        assert rows["virtual disks (LUNs)"] is True
        assert rows["processor pool"] is True
        assert any(" -i " in reply.command for reply in run.transcript() if "migrlpar -o m" in reply.command)


def test_a_partition_with_linux_is_moved_and_judged_by_what_linux_has(tmp_path: Path) -> None:
    with rehearse(tmp_path / "sim", speed=100, landscape="p10pair") as rehearsal:
        terminal = Terminal(rehearsal.site_file)
        said = terminal.type("validate", "p10lin01", "--to", "p10b", "--json")
        assert said.status == 0, said
        run = Run(said.json["run"])
        move = ("p10lin01", "--to", "p10b", "--confirm", "p10lin01", "--lead-in", "3", "--tail", "2", "--json")
        said = terminal.type("move", *move)
        assert_moved(said.json)
        assert_contains_the_truth(said.json, truth(rehearsal))
        findings = run.document("findings")
        verdicts = {one["key"]: one["verdict"] for one in findings}
        of_aix = ("virtual-adapters", "rmc-partition", "guest-level", "sap-hardware-key")
        assert {verdicts[key] for key in of_aix} == {"not applicable"}
        assert not [one for one in findings if one["verdict"] in ("fail", "unknown") and not one["only_firmware"]]
        (log,) = [one for one in said.json["verdict"]["questions"] if one["key"] == "error-log"]
        assert (log["state"], "warns" in log) == ("passed", False), log
        logged = [event.data["description"] for event in run.events() if event.kind == "log"]
        assert "ibmvscsi 30000002: Re-enabling adapter!" in logged
        rows = {row["what"]: (row["change"], row["as_it_should"]) for row in run.document("changes")}
        assert rows["machine serial"] == ("changed", True)
        assert rows["disks (WWN)"] == rows["Linux level"] == rows["boot time"] == ("same", True)


def test_a_whole_frame_is_judged_at_night_and_the_next_night_says_what_changed(tmp_path: Path) -> None:
    with rehearse(tmp_path / "sim", "huge-pages:p8aix01", landscape="p8pair") as rehearsal:
        terminal = Terminal(rehearsal.site_file)
        said = terminal.type("check", "--all", "--from", "p8a", "--to", "p8b", "--json")
        assert said.status == 1, said
        (frame,) = said.json["frames"]
        answers = {one["partition"]: one["answer"] for one in frame["partitions"]}
        assert set(answers) == {"p8aix01", "p8npiv01", "p8vnic01", "p8lin01", "p8aix06"}
        assert answers["p8aix01"] == "not ready"
        assert answers["p8aix06"] == "ready", "what is not activated has no system to be logged in to"
        assert frame["changed"] is None
        said = terminal.type("check", "--all", "--from", "p8a")
        assert said.status == 1
        assert "Nothing changed since the last time." in said.output
        assert "round trips" in said.output
