"""Managers with the SSH of their time: reached by whoever asks for it, and by nobody else."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lpmkit.control.dialect import dialect_of
from lpmkit.errors import NoCommonAlgorithm
from lpmkit.simulator import Simulator, landscape
from lpmkit.simulator.old_ssh import CONFIG
from lpmkit.ssh.client import SshSession, route


@pytest.fixture(scope="module")
def blades(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    world = replace(landscape.load(), old_ssh=True)
    with Simulator(world, directory=tmp_path_factory.mktemp("old")) as simulator:
        yield simulator


def test_an_old_manager_is_reached_with_the_algorithms_of_the_configuration(blades: Simulator) -> None:
    session = SshSession(route("bvio82", blades.ssh_config))
    assert dialect_of(session).kind == "ivm"
    assert "kex: diffie-hellman-group14-sha1" in session.over
    assert "host_key: ssh-rsa" in session.over
    assert "cipher: aes128-cbc" in session.over
    session.close()


def test_an_old_manager_is_not_reached_without_them_and_the_lines_are_named(blades: Simulator, tmp_path: Path) -> None:
    plain = tmp_path / "config"
    plain.write_text("".join(line for line in blades.ssh_config.open() if line.strip() not in CONFIG))
    command = ["ssh", "-F", str(plain), "bvio82", "ioscli ioslevel"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 255
    with pytest.raises(NoCommonAlgorithm) as caught:
        SshSession(route("bvio82", plain)).run(["ioscli", "ioslevel"])
    assert set(re.findall(r"[A-Z]\w+ \+[^;. ]+", " ".join(caught.value.lines))) == set(CONFIG)


def test_a_partition_of_that_landscape_has_the_ssh_of_today(blades: Simulator) -> None:
    session = SshSession(route("bxaix85", blades.ssh_config))
    session.run(["uname"])
    assert session.over.startswith("transport: paramiko")
    session.close()
