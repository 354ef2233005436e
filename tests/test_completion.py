"""Completion: names from the site file and the folder of runs, by click's protocol as three shells speak it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete, get_completion_class
from click.testing import CliRunner

from lpmkit.cli import main
from lpmkit.commands.completion import SHELLS, VARIABLE, install_for, script
from lpmkit.runs.folder import create
from tests.test_startup import loaded, others

SITE = """\
frames:
  bvio82: {manager: ivm, host: bvio82, mover_address: 192.0.2.82}
  p8a: {manager: hmc, host: hmc02, system: s1, vios: [v1], password: "keyring:hmc02/hscroot"}
partitions:
  bxaix85: {host: bxaix85}
  bxaix86: {host: bxaix86}
  "odd\\eone": {host: odd}
runs: {folder: records}
"""
ORDER = {"partition": "moved1", "source": "bvio82", "target": "p8a", "target_machine": "", "target_address": "",
         "target_user": "", "mapping": {}}  # fmt: skip


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site with a run and a plan; no machine of it exists."""
    (tmp_path / "site.yaml").write_text(SITE)
    create(tmp_path / "records", mode="move", title="moved1-to-p8a", facts={"order": ORDER})
    create(tmp_path / "records" / "plans", mode="plan", title="night", facts={})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LPMKIT_SITE", str(tmp_path / "site.yaml"))
    return tmp_path


def names(*words: str) -> list[str]:
    """The names offered for the last word."""
    asked = ShellComplete(main, {}, "lpmkit", VARIABLE)
    return [item.value for item in asked.get_completions(list(words[:-1]), words[-1])]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("che",), ["check"]),
        (("site", ""), ["check", "init", "show"]),
        (("check", "bx"), ["bxaix85", "bxaix86"]),
        (("move", "mov"), ["moved1"]),
        (("check", "bxaix85", "--to", ""), ["bvio82", "p8a"]),
        (("check", "bxaix85", "--from", "p"), ["p8a"]),
        (("home", "bxaix86"), ["bxaix86"]),
        (("watch", "bxaix85", "bx"), ["bxaix85", "bxaix86"]),
        (("inventory", "b"), ["bvio82"]),
        (("history", "--way", "bvio82", "p"), ["p8a"]),
        (("secret", "set", ""), ["hmc02/hscroot"]),
        (("explain", "HSCLA27"), ["HSCLA27C"]),
        (("remark", "no-such-run", "text", "--kind", "back"), ["back-out"]),
    ],
)
def test_names_come_from_the_site_file_and_the_runs(words: tuple[str, ...], offered: list[str], site: Path) -> None:
    assert names(*words) == offered


def test_runs_and_plans_are_offered_by_name_and_paths_stay_paths(site: Path) -> None:
    (run,) = names("attach", "2")
    assert run.endswith("moved1-to-p8a")
    assert names("write-up", run[:9]) == [run]
    (plan,) = names("plan", "halt", "")
    assert plan.endswith("night")
    assert names("attach", "./rec") == ["./rec"], "the shell completes a path"


def test_the_option_site_chooses_the_file(site: Path) -> None:
    (site / "other.yaml").write_text("partitions: {else1: {host: e}}\n")
    assert names("--site", "other.yaml", "check", "") == ["else1"]


@pytest.mark.parametrize(
    "text", ["frames: [\n", "- a\n", "partitions: 7\n", "\x00", "partitions: {a: &a [*a]}\n", None]
)
def test_a_site_file_that_cannot_be_read_completes_to_nothing(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LPMKIT_SITE", str(tmp_path / "site.yaml"))
    if text is not None:
        (tmp_path / "site.yaml").write_text(text)
    assert names("move", "b") == []
    assert names("attach", "") == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("shell", "incomplete", "answer"),
    [("bash", "2", "plain,bxaix85"), ("zsh", "2", "plain\nbxaix85\n_"), ("fish", "bxaix85", "plain,bxaix85")],
)
def test_each_shell_gets_its_own_form(
    shell: str, incomplete: str, answer: str, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMP_WORDS", "lpmkit check bxaix85")
    monkeypatch.setenv("COMP_CWORD", incomplete)
    maker = get_completion_class(shell)
    assert maker is not None
    assert maker(main, {}, "lpmkit", VARIABLE).complete() == answer
    shown = CliRunner().invoke(main, ["completion", "show", shell])
    assert f"{VARIABLE}={shell}_complete" in shown.output
    assert shown.output == script(shell) + "\n"


def test_a_real_bash_completes_with_the_installed_script(site: Path) -> None:
    written = install_for("bash", site / "home")
    typed = "COMP_WORDS=(lpmkit check bx); COMP_CWORD=2; _lpmkit_completion lpmkit; echo ${COMPREPLY[@]}"
    folder = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "--norc", "-c", f"source {written[0]}; {typed}"],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["bxaix85", "bxaix86"]
    assert done.stderr == ""


def test_completion_loads_nothing_that_asks_a_machine(site: Path) -> None:
    words = {VARIABLE: "bash_complete", "COMP_WORDS": "lpmkit move bxaix85 --to ", "COMP_CWORD": "4"}
    modules = loaded("from lpmkit.cli import main; main([], prog_name='lpmkit')", **words)
    assert others(modules) == {"ruamel"}
    assert not any(name.startswith(("lpmkit.ssh", "lpmkit.control", "lpmkit.config")) for name in modules)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_installed_where_the_shell_reads_it_and_a_line_is_added_once(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("lpmkit.commands.completion.BASH_COMPLETION", tmp_path / "absent")
    start = {"bash": ".bashrc", "zsh": ".zshrc"}.get(shell)
    if start is not None:
        (tmp_path / start).write_text("alias ll='ls -l'")
    first, again = install_for(shell, tmp_path), install_for(shell, tmp_path)
    assert script(shell) in first[0].read_text()
    assert again == first[:1], "the second time changes no start file"
    if start is not None:
        lines = (tmp_path / start).read_text().splitlines()
        assert lines[0] == "alias ll='ls -l'"
        assert len(lines) == 2
        assert f"source {first[0]}" in lines[1]


def test_a_shell_that_is_none_of_the_three_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/ksh")
    result = CliRunner().invoke(main, ["completion", "install"])
    assert result.exit_code == 2
    assert "--shell" in result.output
