"""Whatever is wrong, there is one clear message, the documented exit status, and what was recorded stays readable."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lpmkit.rehearsal import Rehearsal
from lpmkit.runs.folder import Run
from tests.end_to_end.cases import Said, Terminal, rehearse


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    with rehearse(tmp_path_factory.mktemp("bad") / "sim") as running:
        yield running


@pytest.fixture
def terminal(shared: Rehearsal, tmp_path: Path) -> Terminal:
    """A copy of the site's files, to be spoiled."""
    folder = tmp_path / "site"
    folder.mkdir()
    for name in ("site.yaml", "ssh_config", "known_hosts", "client_key"):
        text = (shared.folder / name).read_text().replace(str(shared.folder), str(folder))
        (folder / name).write_text(text)
    (folder / "client_key").chmod(0o600)
    return Terminal(folder / "site.yaml")


def _one_message(said: Said, status: int, *words: str) -> None:
    assert said.status == status, said
    assert "Traceback" not in said.error, said.error
    lines = [line for line in said.error.splitlines() if line.startswith("lpmkit: ")]
    assert len(lines) == 1, said.error
    for word in words:
        assert word in lines[0], lines[0]


def test_an_unknown_partition(terminal: Terminal) -> None:
    _one_message(terminal.type("check", "bxaix58", "--to", "bvio83"), 2, "no partition 'bxaix58'", "Did you mean")


def test_an_unknown_frame(terminal: Terminal) -> None:
    _one_message(terminal.type("check", "bxaix85", "--to", "bvio38"), 2, "no frame", "Did you mean 'bvio83'")


def test_source_equal_to_target(terminal: Terminal) -> None:
    _one_message(terminal.type("check", "bxaix85", "--to", "bvio82"), 2, "source and target are the same", "bvio83")


def test_an_ambiguous_name(tmp_path: Path) -> None:
    with rehearse(tmp_path / "sim", "name-taken") as rehearsal:
        text = rehearsal.site_file.read_text() + ""
        spare = text.replace(
            "partitions:", "  spare: {manager: ivm, host: bvio83, mover_address: 192.0.2.83}\npartitions:"
        )
        rehearsal.site_file.write_text(spare)
        _one_message(
            Terminal(rehearsal.site_file).type("check", "bxaix85", "--to", "spare"), 2, "more than one", "--from bvio82"
        )


def test_an_unreachable_vios(terminal: Terminal) -> None:
    config = terminal.site_file.parent / "ssh_config"
    head, _, tail = config.read_text().partition("Host bvio83")
    config.write_text(head + "Host bvio83" + tail.replace("Port ", "Port 1\n  # Port ", 1))
    _one_message(terminal.type("check", "bxaix85", "--to", "bvio83"), 3, "bvio83", "Try `ssh -F")


def test_a_wrong_key(terminal: Terminal) -> None:
    key = terminal.site_file.parent / "client_key"
    key.unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    _one_message(terminal.type("check", "bxaix85", "--to", "bvio83"), 3, "does not let padmin in", "ssh-add")


def test_a_changed_host_key(terminal: Terminal) -> None:
    folder = terminal.site_file.parent
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "other")], check=True)
    other = " ".join((folder / "other.pub").read_text().split()[:2])
    names = [line.split()[0] for line in (folder / "known_hosts").read_text().splitlines() if line]
    (folder / "known_hosts").write_text("".join(f"{name} {other}\n" for name in names))
    _one_message(terminal.type("check", "bxaix85", "--to", "bvio83"), 3, "host key has changed", "ssh-keygen -R")


def test_an_unknown_host_key(terminal: Terminal) -> None:
    (terminal.site_file.parent / "known_hosts").write_text("")
    _one_message(terminal.type("check", "bxaix85", "--to", "bvio83"), 3, "not known here", "fingerprint")


def test_a_reply_cut_in_the_middle_is_not_taken_for_a_short_list(tmp_path: Path) -> None:
    with rehearse(tmp_path / "sim", "cut-reply:bvio83:lssyscfg,times=100") as rehearsal:
        _one_message(
            Terminal(rehearsal.site_file).type("check", "bxaix85", "--to", "bvio83"), 3, "bvio83", "middle of a line"
        )


def test_a_listing_in_another_language_is_understood_or_named(tmp_path: Path) -> None:
    with rehearse(tmp_path / "sim", "language:bvio83") as rehearsal:
        said = Terminal(rehearsal.site_file).type("check", "bxaix85", "--to", "bvio83", "--json")
        assert "Traceback" not in said.error
        assert said.status in (0, 3), said
        findings = {(one["key"], one["about"]): one["verdict"] for one in said.json["findings"]}
        assert "fail" not in findings.values(), "a language is no failed prerequisite"


def test_a_question_that_a_machine_refuses_is_unknown_not_fine(tmp_path: Path) -> None:
    with rehearse(tmp_path / "sim", "refuse:bvio83:entstat:no way,times=100") as rehearsal:
        said = Terminal(rehearsal.site_file).type("check", "bxaix85", "--to", "bvio83", "--json")
        assert said.status == 3, said
        unknown = [one for one in said.json["findings"] if one["verdict"] == "unknown" and not one["only_firmware"]]
        assert [(one["key"], one["about"]) for one in unknown] == [("bridged", "bvio83")]
        assert "no way" in str(unknown[0]["facts"])


def test_nobody_there_to_type_the_name_moves_nothing(terminal: Terminal) -> None:
    terminal.validated()
    said = terminal.type("move", "bxaix85", "--to", "bvio83")
    assert said.status == 130
    assert "Nothing was changed on any machine" in said.error
    assert not any(run.events() for run in terminal.runs())


def test_a_site_file_with_a_misspelt_key(terminal: Terminal) -> None:
    text = terminal.site_file.read_text().replace("manager:", "manger:", 1)
    terminal.site_file.write_text(text)
    _one_message(terminal.type("check", "bxaix85", "--to", "bvio83"), 2, "line ", "manger")


def test_a_run_that_is_none(terminal: Terminal, tmp_path: Path) -> None:
    _one_message(terminal.type("report", str(tmp_path)), 3, "no run.json")
    _one_message(terminal.type("report", "20200101-0000-nothing"), 2, "no run")


@pytest.mark.skipif(shutil.which("mount") is None, reason="needs mount to make a small disk")
def test_a_full_disk_under_the_run_folder(shared: Rehearsal, terminal: Terminal, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], check=False, capture_output=True
    )
    if made.returncode != 0:
        pytest.skip(
            "only root may mount a small disk; the full disk is also tested with a limit on file sizes in test_run"
        )
    try:
        terminal.site_file.write_text(terminal.site_file.read_text() + f"runs: {{folder: {small}/runs}}\n")
        said = terminal.type("check", "bxaix85", "--to", "bvio83")
        assert said.status == 3, said
        assert "Traceback" not in said.error
        assert "space" in said.error.lower()
        kept = [Run(path.parent) for path in small.glob("runs/*/run.json")]
        for run in kept:
            run.transcript()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_the_doctor_tells_line_and_key_and_unreachable_hosts(terminal: Terminal) -> None:
    config = terminal.site_file.parent / "ssh_config"
    head, _, tail = config.read_text().partition("Host bvio83")
    config.write_text(head + "Host bvio83" + tail.replace("Port ", "Port 1\n  # Port ", 1))
    said = terminal.type("doctor", "--json")
    assert said.status == 1
    rows = {row["what"]: row for row in said.json}
    assert rows["login to bvio82"]["verdict"] == "pass"
    assert rows["login to bvio83"]["verdict"] == "fail"
    assert rows["package paramiko"]["verdict"] == "pass"
    terminal.site_file.write_text("frames: {x: {hots: y}}\n")
    said = terminal.type("doctor", "--json")
    assert said.status == 1
    assert any("line 1" in row["found"] and "hots" in row["found"] for row in said.json)
