"""The next step that a command names at its end: what to type, for this order and this state."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from lpmkit.checks import Answer, Finding, Verdict
from lpmkit.cli import main
from lpmkit.commands.args import MoveArguments
from lpmkit.commands.survey import after_check, after_validation, print_findings
from lpmkit.config import RunSettings
from lpmkit.doctor import Diagnosis, verdict_line
from lpmkit.errors import SiteFileError
from lpmkit.migration.leftovers import Leftover, Leftovers
from lpmkit.migration.recovery import Proposal, RecoveryAction
from lpmkit.plan import load_plan
from lpmkit.runs.folder import create

SITE = "frames:\n  a: {host: a.invalid, mover_address: 192.0.2.1}\n  b: {host: b.invalid, mover_address: 192.0.2.2}\n"


@pytest.mark.parametrize("command", ["recover", "stop"])
def test_a_partition_in_place_of_a_run_is_answered_with_its_newest_run(command: str, tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(SITE)
    names = [
        create(tmp_path / "runs", mode="move", title=f"p-to-b-{n}", facts={"order": {"partition": "p"}}).name
        for n in range(2)
    ]
    create(tmp_path / "runs", mode="move", title="q-to-b", facts={"order": {"partition": "q"}})
    result = CliRunner().invoke(main, ["--site", str(site), command, "p"])
    said = " ".join(result.stderr.split())
    assert result.exit_code == 2
    assert f"p is a partition. Its newest run is {max(names)}" in said
    assert f"{command} {max(names)}{' --look' if command == 'recover' else ''}`" in said
    unknown = CliRunner().invoke(main, ["--site", str(site), command, "nobody"])
    assert "there is no run 'nobody'" in " ".join(unknown.stderr.split())


@pytest.mark.parametrize(
    ("action", "rule", "begin"),
    [
        (RecoveryAction.RECOVER, "failed", "On b for now; recovery removes it: "),
        (RecoveryAction.FORCE, "failed-again", "On b for now; recovery removes it: "),
        (RecoveryAction.WAIT, "under-way", "On b now; do not remove it: "),
        (RecoveryAction.HANDS_OFF, "runs-twice", "On b now; do not remove it: "),
        (RecoveryAction.HANDS_OFF, "at-home", "Left behind on b, remove by hand: "),
        (RecoveryAction.CLEAN, "shell-left-there", "Left behind on b, remove by hand: "),
    ],
)
def test_what_is_left_is_only_to_be_removed_by_hand_where_nothing_else_removes_it(
    action: RecoveryAction, rule: str, begin: str
) -> None:
    left = Leftovers("b", (Leftover("b", "the partition p (id 4, Running)"),))
    assert left.lines(Proposal(action, rule, "", ())) == [f"{begin}the partition p (id 4, Running)"]


def test_the_next_command_repeats_the_order_as_it_was_given() -> None:
    wanted = MoveArguments("p", "b", "a", True, ("dest_lpar_id=7",), ("requirerr=2",), ("suspension=2",), None, "stop")
    typed = "p --to b --from a --on-breach stop --keep-mapping --map dest_lpar_id=7 --option requirerr=2 "
    assert wanted.typed() == f"{typed}--limit suspension=2"
    assert after_check(Answer.READY, "lpmkit validate p --to b") == "Next: lpmkit validate p --to b"
    assert "correct the checks marked FAIL" in after_check(Answer.NOT_READY, "x")
    assert after_check(Answer.COULD_NOT_TELL, "lpmkit validate p --to b").startswith("Next: resolve the unknown checks")


def test_the_move_is_named_with_the_real_limit_and_the_approvals_that_the_site_asks_for() -> None:
    move = "lpmkit move p --to b"
    assert (
        after_validation(RunSettings(validation_holds_minutes=12.5), "run1", move)
        == f"Next: {move} (within 12.5 minutes)"
    )
    asked = after_validation(RunSettings(approvals=1), "run1", move)
    assert asked == f"Next: 1 other person types lpmkit approve run1, then {move} (within 30 minutes)"


def test_a_check_that_both_frames_leave_to_the_validation_is_named_with_their_number(
    capsys: pytest.CaptureFixture[str],
) -> None:
    mains = [Finding("mains", "Mains power", Verdict.UNKNOWN, frame, only_firmware=True) for frame in "ab"]
    alone = Finding("keys", "Keys", Verdict.UNKNOWN, "a", only_firmware=True)
    print_findings([*mains, alone])
    said = " ".join(capsys.readouterr().out.split())
    assert "3 left to the validation" in said
    assert "Mains power (2 frames); Keys." in said


def test_a_wrong_key_of_a_plan_is_named_with_the_one_that_is_missing(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("title: night\nmoves:\n  - {partition: p, to: b}\n  - {target: b}\n")
    with pytest.raises(SiteFileError) as refused:
        load_plan(plan)
    first, second = refused.value.problems
    assert first == "line 3: move 1 has no 'target'; 'to' is not a key. Did you mean 'target'?"
    assert second == "line 4, moves.1.partition: this key is missing"


def test_the_doctor_ends_with_its_verdict_and_optional_parts_are_no_trouble() -> None:
    login = Diagnosis("pass", "login to p", "works")
    lacking = Diagnosis("warn", "package cx_Oracle", "not installed", optional=True)
    assert verdict_line([login, lacking, lacking]) == "Ready: all logins work. 2 optional parts are missing."
    assert verdict_line([login, Diagnosis("fail", "login to q", "refused")]) == "Not ready: 1 test failed."
    assert verdict_line([Diagnosis("unknown", "machines", "?"), lacking]).startswith("Inconclusive: 1 test could not")
