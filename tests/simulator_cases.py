"""The common ground of the simulator's tests: logging in with the OpenSSH client, asking for a move, reading the truth.

With ``--import-mode=importlib`` test files cannot import one another by name, so `simulator_*` tests load this one by
path.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import paramiko

from lpmkit.simulator import Simulator
from lpmkit.simulator.truth import read

FAST = 200.0
TARGET = "7998-61X*10072EA"
SOURCE = "Server-7998-61X-SN10071DA"

TICKER = (
    "use Time::HiRes qw(sleep clock_gettime CLOCK_MONOTONIC); $|=1;"
    'while (1) { printf "%.6f\\n", clock_gettime(CLOCK_MONOTONIC); sleep 0.01 }'
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer that ``ssh`` brought back."""

    out: str
    err: str
    status: int

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


def ssh(simulator: Simulator, host: str, line: str, stdin: str = "") -> Answer:
    """Run one command line on a simulated host with the ordinary client."""
    done = subprocess.run(
        ["ssh", "-F", str(simulator.ssh_config), host, line],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Answer(done.stdout, done.stderr, done.returncode)


@contextmanager
def connected(simulator: Simulator, host: str) -> Iterator[paramiko.SSHClient]:
    """A paramiko connection with the host key checked."""
    facts = paramiko.SSHConfig.from_path(str(simulator.ssh_config)).lookup(host)
    client = paramiko.SSHClient()
    known = paramiko.HostKeys(str(simulator.directory / "known_hosts"))
    key = known[host]["ssh-ed25519"]
    client.get_host_keys().add(f"[{facts['hostname']}]:{facts['port']}", "ssh-ed25519", key)
    client.connect(
        facts["hostname"],
        int(facts["port"]),
        facts["user"],
        key_filename=facts["identityfile"],
        look_for_keys=False,
        allow_agent=False,
    )
    try:
        yield client
    finally:
        client.close()


def migrate(operation: str = "m", extra: str = "", *, back: bool = False) -> str:
    """The command line of a move of bxaix85 to bvio83, or back."""
    target, address = (SOURCE, "192.0.2.82") if back else (TARGET, "192.0.2.83")
    return f"LANG=C migrlpar -o {operation} -t '{target}' --ip {address} -u padmin -p bxaix85 {extra}".strip()


def until(holds: Callable[[], Any], timeout_s: float = 30.0) -> Any:
    """Wait until something is true and return it."""
    deadline = time.monotonic() + timeout_s
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.01)
    return found


def events(simulator: Simulator, name: str) -> list[dict[str, Any]]:
    """The entries of the truth file with this name."""
    return [dict(entry) for entry in read(simulator.truth_path) if entry["event"] == name]
