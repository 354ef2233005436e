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
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import lpmkit
from lpmkit.simulator import Simulator
from lpmkit.simulator.__main__ import main
from lpmkit.simulator.faults import KINDS, FaultBook
from lpmkit.simulator.guest import identity, install
from lpmkit.simulator.host import all_stopped, members
from lpmkit.simulator.isolation import IsolationError, VethLink
from lpmkit.simulator.landscape import load
from lpmkit.simulator.partition import AixMachine, Wire
from lpmkit.simulator.shells.grammar import Command
from lpmkit.simulator.shells.reply import Context
from lpmkit.simulator.shells.runner import Captured
from tests.simulator_cases import FAST, TICKER, connected, events, migrate, ssh, until

PACKAGE = Path(lpmkit.__file__).parent


def test_the_simulator_imports_nothing_else_of_lpmkit_and_nothing_imports_it() -> None:
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
def program(tmp_path: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The simulator as a process of its own, and what it says when it is ready."""
    command = [sys.executable, "-m", "lpmkit.simulator", "--json", "--directory", str(tmp_path / "sim"), *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    )
    assert process.stdout is not None
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_one_line_of_json_tells_everything(tmp_path: Path) -> None:
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
def test_killing_the_chassis_ends_the_partition_and_what_runs_in_it(tmp_path: Path, suspended: bool) -> None:
    with program(tmp_path, "--speed", str(FAST), "--fault", "suspend-for:60") as (process, facts):
        group = facts["partitions"]["bxaix85"]
        ticker = subprocess.Popen(
            ["ssh", "-F", facts["ssh_config"], "bxaix85", f"perl -e '{TICKER}'"], stdout=subprocess.PIPE, text=True
        )
        assert ticker.stdout is not None
        try:
            ticker.stdout.readline()
            assert len(members(group)) == 2
            if suspended:
                subprocess.run(["ssh", "-F", facts["ssh_config"], "bvio82", migrate(extra="--async")], check=True)
                until(lambda: '"suspended"' in Path(facts["truth"]).read_text())
            process.kill()
            until(lambda: members(group) == [])
        finally:
            ticker.kill()
            ticker.wait()
            ticker.stdout.close()


def test_it_ends_by_itself() -> None:
    done = CliRunner().invoke(main, ["--for", "0", "--speed", "9"])
    assert done.exit_code == 0
    assert "ssh -F" in done.output
    assert "still completes TCP" in done.output


def test_faults_are_listed_with_their_situations() -> None:
    done = CliRunner().invoke(main, ["--list-faults"])
    assert done.exit_code == 0
    for kind in KINDS.values():
        assert kind.form in done.output
        assert kind.situation in done.output


@pytest.mark.parametrize("arguments", [["--fault", "nonsense"], ["--landscape", "/nowhere.yaml"]])
def test_a_mistake_is_one_sentence(arguments: list[str]) -> None:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert "Traceback" not in done.output


def test_a_broken_landscape_is_refused_with_the_entry(tmp_path: Path) -> None:
    text = (PACKAGE / "simulator" / "landscapes" / "js22.yaml").read_text().replace("lpar_id: 2", "lpar_number: 2")
    (tmp_path / "broken.yaml").write_text(text)
    done = CliRunner().invoke(main, ["--landscape", str(tmp_path / "broken.yaml")])
    assert done.exit_code == 1
    assert "lpar_id" in done.output


def test_isolation_without_root_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_an_isolated_partition_does_not_even_answer_a_handshake() -> None:
    if not can_isolate():
        pytest.skip("needs root, ip and network namespaces")
    with Simulator(speed=FAST, isolate=True, faults=["suspend-for:2"]) as simulator:
        name = next(link.name for link in simulator._links)
        ticks: list[str] = []
        with connected(simulator, "bxaix85") as client:
            transport = client.get_transport()
            assert transport is not None
            address = transport.getpeername()
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


def test_a_resumed_partition_is_never_stale(tmp_path: Path) -> None:
    """What the chassis said while it stood still is taken in before the next command, whichever thread is first."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        world = load()
        moved = world.home("bxaix85")
        assert moved is not None
        machine = AixMachine(install(world, moved, 1e9), Wire(theirs), tmp_path, FaultBook(), "127.0.0.1")
        told = {"identity": asdict(identity(world.frame("bvio83"), 3)), "errors": [], "logs": {}}
        ours.sendall(json.dumps(told).encode() + b"\n")
        io = Captured()
        assert machine.run(Command(("uname", "-L")), io, Context()) == 0
        assert io.stdout == b"3 bxaix85\n"


def test_suspended_means_that_every_thread_is_stopped() -> None:
    with Simulator(speed=FAST) as simulator, connected(simulator, "bxaix85") as client:
        host = simulator.hosts["bxaix85"]
        busy = [client.exec_command("perl -e '$|=1; print qq(on\\n); 1 while 1'")[1] for _ in range(4)]
        assert {out.readline() for out in busy} == {"on\n"}
        assert not all_stopped(host.pid)
        for _ in range(30):
            host.suspend()
            stopped = all_stopped(host.pid)
            host.resume()
            assert stopped
        for out in busy:
            out.channel.close()
