"""The simulator as a program: its command line, its end, what it imports, its network namespace."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

import lpmkit
from lpmkit.simulator import Simulator
from lpmkit.simulator.__main__ import main
from lpmkit.simulator.faults import KINDS
from lpmkit.simulator.host import members
from lpmkit.simulator.isolation import IsolationError, VethLink
from tests.simulator_cases import FAST, TICKER, connected, events, migrate, ssh, until

PACKAGE = Path(lpmkit.__file__).parent


def test_the_simulator_imports_nothing_else_of_lpmkit_and_nothing_imports_it():
    for path in PACKAGE.rglob("*.py"):
        inside = (PACKAGE / "simulator") in path.parents
        for name in imported(path):
            if inside and name.startswith("lpmkit"):
                assert name.startswith("lpmkit.simulator"), path
            if not inside and name.startswith("lpmkit.simulator"):
                assert path.name == "cli.py", path


def imported(path: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return names


@contextmanager
def program(tmp_path: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict]]:
    """The simulator as a process of its own, and what it says when it is ready."""
    command = [sys.executable, "-m", "lpmkit.simulator", "--json", "--directory", str(tmp_path / "sim"), *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    )
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_one_line_of_json_tells_everything(tmp_path):
    with program(tmp_path, "--speed", str(FAST)) as (process, facts):
        done = subprocess.run(
            ["ssh", "-F", facts["ssh_config"], "bxaix85", "hostname"], capture_output=True, text=True, check=True
        )
        assert done.stdout == "bxaix85\n"
        assert Path(facts["site_file"]).exists()
        pid = facts["partitions"]["bxaix85"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("suspended", [False, True])
def test_killing_the_chassis_ends_the_partition_and_what_runs_in_it(tmp_path, suspended):
    with program(tmp_path, "--speed", str(FAST), "--fault", "suspend-for:60") as (process, facts):
        group = facts["partitions"]["bxaix85"]
        ticker = subprocess.Popen(
            ["ssh", "-F", facts["ssh_config"], "bxaix85", f"perl -e '{TICKER}'"], stdout=subprocess.PIPE, text=True
        )
        ticker.stdout.readline()
        assert len(members(group)) == 2
        if suspended:
            subprocess.run(["ssh", "-F", facts["ssh_config"], "bvio82", migrate(extra="--async")], check=True)
            until(lambda: '"suspended"' in Path(facts["truth"]).read_text())
        process.kill()
        until(lambda: members(group) == [])
        ticker.kill()
        ticker.wait()
        ticker.stdout.close()


def test_it_ends_by_itself():
    done = CliRunner().invoke(main, ["--for", "0", "--speed", "9"])
    assert done.exit_code == 0
    assert "ssh -F" in done.output
    assert "still completes TCP" in done.output


def test_faults_are_listed_with_their_situations():
    done = CliRunner().invoke(main, ["--list-faults"])
    assert done.exit_code == 0
    for kind in KINDS.values():
        assert kind.form in done.output
        assert kind.situation in done.output


@pytest.mark.parametrize("arguments", [["--fault", "nonsense"], ["--landscape", "/nowhere.yaml"]])
def test_a_mistake_is_one_sentence(arguments):
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert "Traceback" not in done.output


def test_a_broken_landscape_is_refused_with_the_entry(tmp_path):
    text = (PACKAGE / "simulator" / "landscapes" / "js22.yaml").read_text().replace("lpar_id: 2", "lpar_number: 2")
    (tmp_path / "broken.yaml").write_text(text)
    done = CliRunner().invoke(main, ["--landscape", str(tmp_path / "broken.yaml")])
    assert done.exit_code == 1
    assert "lpar_id" in done.output


def test_isolation_without_root_says_so(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(IsolationError, match="needs root"):
        VethLink.create()


def can_isolate() -> bool:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    try:
        VethLink.create().remove()
    except IsolationError:
        return False
    return True


def test_an_isolated_partition_does_not_even_answer_a_handshake():
    if not can_isolate():
        pytest.skip("needs root, ip and network namespaces")
    with Simulator(speed=FAST, isolate=True, faults=["suspend-for:2"]) as simulator:
        name = next(link.name for link in simulator._links)
        ticks: list[str] = []
        with connected(simulator, "bxaix85") as client:
            address = client.get_transport().getpeername()
            _, out, _ = client.exec_command(f"perl -e '{TICKER}'")
            threading.Thread(target=lambda: ticks.extend(out), daemon=True).start()
            until(lambda: ticks)
            ssh(simulator, "bvio82", migrate(extra="--async"))
            until(lambda: events(simulator, "suspended"))
            with pytest.raises(OSError):  # noqa: PT011  a time-out or no route, as the kernel pleases
                socket.create_connection(address, timeout=0.5)
            assert not events(simulator, "resumed")
            until(lambda: events(simulator, "resumed"))
            count = len(ticks)
            until(lambda: len(ticks) > count + 10)
            socket.create_connection(address, timeout=5).close()
            out.channel.close()
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert name not in listed
