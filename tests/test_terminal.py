"""The terminal: what a machine, a file or a folder says steers nothing, breaks nothing, and no error is a traceback."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import click
import keyring
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from keyring.errors import NoKeyringError
from rich.console import Console
from rich.table import Table

from lpmkit.account.log_file import log_path, redirect_library_logs
from lpmkit.background import bounded
from lpmkit.cli import main
from lpmkit.commands.console import (
    INTERRUPTED,
    fit_streams,
    print_json,
    print_table,
    reports_errors,
    terminal,
    visible,
)
from lpmkit.commands.rich_terminal import Terminal
from lpmkit.config import load_site
from lpmkit.errors import RecordError, SiteFileError, UsageError
from lpmkit.oracle.rules import LogRules
from lpmkit.rules.table import RuleTable
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run
from lpmkit.sap.rules import SapRules
from lpmkit.ssh.secrets import Secrets

HOSTILE = "a\x1b]0;owned\x07b\x9b31mc\x1b[2J\u202egnp.exe\x7f\x00"
SITE = (
    "frames:\n  a: {manager: ivm, host: a, mover_address: 192.0.2.1}\n  b: "
    "{manager: ivm, host: b, mover_address: 192.0.2.2}\n"
)
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@given(st.text())
def test_visible_text_holds_nothing_that_steers_and_goes_through_any_encoding(text: str) -> None:
    shown = visible(text)
    assert not STEERING.search(shown)
    shown.encode("utf-8")


def test_plain_text_stays_as_it_is() -> None:
    assert visible("Größe → 3 µs\n\tnext line") == "Größe → 3 µs\n\tnext line"


@pytest.mark.parametrize("way", ["print", "styled", "table", "rich table", "json", "title"])
def test_no_print_path_sends_what_a_machine_said_to_the_terminal(
    way: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Terminal()
    console.width = 200
    match way:
        case "print":
            console.print(HOSTILE, soft_wrap=True)
        case "styled":
            console.print(HOSTILE, style="yellow")
        case "table":
            print_table("", [{"what": HOSTILE, HOSTILE: "x"}], console)
        case "rich table":
            table = Table(title=HOSTILE)
            table.add_column(HOSTILE)
            table.add_row(HOSTILE)
            console.print(table)
        case "json":
            print_json({"answered": HOSTILE})
        case "title":
            print_table(HOSTILE, [{"a": "b" * 90}], console)
    out = capsys.readouterr().out
    assert not STEERING.search(out)
    assert "owned" in out
    if way == "json":
        assert json.loads(out)["answered"] == HOSTILE, "JSON's own escapes keep the value"
    else:
        assert "\\x1b" in out, "what was left out of the terminal is shown"


def test_square_brackets_of_a_machine_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    terminal().print("[/b] [link=http://x]y[/link]", soft_wrap=True)
    print_table("", [{"a": "[bold]x[/bold]"}])
    out = capsys.readouterr().out
    assert "[/b] [link=http://x]y[/link]" in out
    assert "[bold]x[/bold]" in out


def test_an_error_of_a_command_shows_control_characters(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE)
    result = CliRunner().invoke(main, ["--site", str(tmp_path / "site.yaml"), "analyse", f"run{HOSTILE[:-1]}"])
    assert result.exit_code == 2
    assert not STEERING.search(result.output)
    assert "\\x1b" in result.output


@pytest.mark.parametrize("encoding", ["iso-8859-1", "ascii", "cp1252", "utf-8"])
def test_a_terminal_that_lacks_characters_gets_others_in_their_place(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    fit_streams()
    print_table("moves → 中", [{"": "[green]✓ pass[/green]", "what": "Größe – …"}], Terminal())
    sys.stdout.flush()
    text = raw.getvalue().decode(encoding)
    assert "pass" in text
    assert ("✓" in text) == (encoding == "utf-8")


@pytest.mark.parametrize("variable", ["LC_ALL=C", "PYTHONIOENCODING=iso-8859-1"])
def test_every_help_and_doctor_end_without_a_traceback_on_an_old_terminal(variable: str, tmp_path: Path) -> None:
    name, _, value = variable.partition("=")
    (tmp_path / "site.yaml").write_text("frames: {}\n")
    for words in (["doctor"], ["explain", "HSCLA27C"]):
        done = subprocess.run(
            [sys.executable, "-m", "lpmkit.cli", "--site", str(tmp_path / "site.yaml"), *words],
            env={**os.environ, name: value, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            capture_output=True,
            check=False,
        )
        assert b"Traceback" not in done.stderr, done.stderr
        assert b"UnicodeEncodeError" not in done.stderr
        assert done.stdout


def test_json_on_a_latin_1_terminal_keeps_every_character(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from lpmkit.commands.console import fit_streams, print_json; fit_streams(); print_json('✓ → 中')",
        ],
        env={**os.environ, "PYTHONIOENCODING": "iso-8859-1"},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout) == "✓ → 中"


def test_a_defect_ends_in_one_sentence_and_its_traceback_in_the_log_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(given: object) -> None:
        raise RuntimeError("never thought of\nthis")

    monkeypatch.setattr("lpmkit.doctor.examine_machine", broken)
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 3
    assert "Traceback" not in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert "never thought of this" in result.output
    assert str(log_path()) in result.output
    kept = log_path().read_text()
    assert "Traceback" in kept
    assert "RuntimeError: never thought of" in kept
    assert log_path().stat().st_mode & 0o077 == 0


def test_a_log_file_that_cannot_be_written_is_told_and_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").write_text("a file, no folder")
    monkeypatch.setattr("lpmkit.doctor.examine_machine", lambda given: 1 / 0)
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 3
    assert "ZeroDivisionError" in result.output
    assert "could not be written" in result.output


@pytest.mark.parametrize("name", ["paramiko", "asyncio"])
def test_what_other_libraries_log_goes_to_the_log_file_and_not_to_the_terminal(
    name: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger(name)
    caplog.set_level(logging.ERROR, logger=name)  # the simulator, which is imported by other tests, makes it quieter
    monkeypatch.setattr(logger, "handlers", [])
    redirect_library_logs()
    redirect_library_logs()
    assert len(logger.handlers) == 1
    logging.getLogger(f"{name}.transport").error("Exception (client): Error reading SSH protocol banner")
    assert capfd.readouterr().err == ""
    assert "protocol banner" in log_path().read_text()


# --- what a person can type, configure or meet ----------------------------------------------------------------------


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "1e9"])
@pytest.mark.parametrize("option", ["--tail", "--lead-in"])
def test_a_tail_or_lead_in_that_cannot_be_is_a_clear_error(option: str, seconds: str, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE)
    result = CliRunner().invoke(
        main, ["--site", str(tmp_path / "site.yaml"), "move", "p", "--to", "b", f"{option}={seconds}"]
    )
    assert result.exit_code == 2
    assert "the lead-in or the tail cannot be" in result.output


@pytest.mark.parametrize(
    "text",
    [
        "a: &a {x: 1}\nb: &b {<<: [*a, 3]}\n",
        "a: &a [1]\nb:\n  <<: *a\n",
        "frames: " + "[" * 600 + "]" * 600,
        "frames: " + "{a: " * 600 + "1" + "}" * 600,
        "frames: &f {a: *f}",
        "frames: 2008-99-99",
        "- 1\n? {a: 1}\n: 2\n",
        "frames: \x00",
        "%YAML 9.9\n---\na: 1",
        "a: !!python/object/apply:os.system [true]",
        "a: !!binary =\n",
        "a: !!timestamp x\n",
    ],
)
def test_an_odd_site_file_is_a_site_file_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    with pytest.raises(SiteFileError) as caught:
        load_site(path)
    assert len(str(caught.value)) < 2000


def test_a_chain_of_merge_keys_is_a_site_file_error_or_a_site(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n}\n  <<: *a{n - 1}\n  <<: *a0\n" for n in range(1, 50)))
    with pytest.raises(SiteFileError):
        load_site(path)


@pytest.mark.parametrize("table", [SapRules, LogRules])
@pytest.mark.parametrize("text", ["[" * 600, "a: &a [1]\nb: {<<: *a}", "- 2008-99-99"])
def test_an_odd_file_of_rules_is_a_site_file_error(table: type[RuleTable[Any]], text: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(SiteFileError):
        table.standard(path)


def test_a_keyring_without_a_backend_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(service: str, user: str) -> str:
        raise NoKeyringError("No recommended backend was available.\nInstall one.")

    monkeypatch.setattr(keyring, "get_password", none)
    with pytest.raises(UsageError, match="cannot be read") as caught:
        Secrets().get("keyring:lpm/padmin", "bvio82")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "manifest",
    ["[]", '"1"', "null", '{"format": "1", "mode": "move"}', '{"format": [], "mode": "move"}', '{"format": 1}',
     '{"format": true, "mode": "move"}', '{"format": 1, "mode": 3}', '{"format": 1, "mode": "move", "order": []}',
     '{"format": 1, "mode": "watch", "probes": {}}', "[" * 100_000],
)  # fmt: skip
def test_an_odd_run_json_is_named_and_left_out_and_the_others_are_read(manifest: str, tmp_path: Path) -> None:
    odd = tmp_path / "runs" / "20200101-0000-odd"
    odd.mkdir(parents=True)
    (odd / "run.json").write_text(manifest)
    with pytest.raises(RecordError, match=r"run\.json"):
        Run(odd)
    (tmp_path / "site.yaml").write_text(SITE)
    assert Runbook(load_site(tmp_path / "site.yaml")).runs() == []
    result = CliRunner().invoke(main, ["history", "--runs", str(tmp_path / "runs")])
    assert result.exit_code == 0
    assert odd.name in result.output


def test_a_command_cancelled_at_a_prompt_claims_no_more_than_that_nothing_was_changed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @reports_errors
    def cancelled() -> None:
        raise click.Abort

    with pytest.raises(SystemExit) as caught:
        cancelled()
    assert caught.value.code == INTERRUPTED
    assert "Cancelled. Nothing was changed on any machine." in capsys.readouterr().err


# --- 80 columns -----------------------------------------------------------------------------------------------------


def printed(rows: list[dict[str, Any]], width: int) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False)
    print_table("Mapping", rows, console)
    return cast(io.StringIO, console.file).getvalue()


WIDE = {
    "adapter": "virtual Fibre Channel 21",
    "source": "p8a-vios1 vfchost0 fcs0 U78CB.001.WZS0001-P1-C6-T1",
    "WWPNs": "c0507607abcd0010, c0507607abcd0011",
    "target": "p8b-vios1 fcs0",
    "empty": None,
}


@pytest.mark.parametrize("width", [40, 80, 132])
def test_a_table_that_is_wider_than_the_terminal_becomes_blocks_and_cuts_nothing(width: int) -> None:
    text = printed([WIDE, WIDE], width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    whole = "".join(text.split())
    assert all("".join(str(value).split()) in whole for value in WIDE.values() if value)
    assert text.count("c0507607abcd0010") == 2, "a WWPN stands on one line"


def test_a_table_that_fits_stays_a_table() -> None:
    text = printed([{"partition": "bxaix85", "state": "Running"}], 80)
    assert "bxaix85 " in text
    assert "┃" in text


def test_an_option_of_lpmkit_itself_that_does_not_exist_is_json_too() -> None:
    done = CliRunner().invoke(main, ["--nosuch", "check", "--json"])
    assert (done.exit_code, json.loads(done.stdout)["kind"]) == (2, "usage-error")


def test_on_windows_it_says_wsl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    done = CliRunner().invoke(main, ["history", "--json"])
    assert done.exit_code == 2
    assert "WSL" in json.loads(done.stdout)["error"]
    # Windows has none of these modules
    script = "import sys; sys.modules.update(dict.fromkeys(['fcntl', 'grp', 'pwd', 'resource', 'termios'])); "
    subprocess.run([sys.executable, "-c", script + "import lpmkit.cli"], check=True)


def test_without_the_size_of_a_process_there_is_no_limit_of_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    limits: list[int] = []
    monkeypatch.setattr(bounded, "bound", lambda limit, wanted: limits.append(wanted))
    bounded.bound_memory(1 << 20)
    assert limits[0] > 1 << 20
    monkeypatch.setattr(bounded, "SIZE", tmp_path / "statm")
    bounded.bound_memory(1 << 20)
    assert len(limits) == 1
