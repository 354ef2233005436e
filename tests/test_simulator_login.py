"""Logging in: with a terminal and without, who is let in, many at once, how promptly a program's output comes."""

from __future__ import annotations

import os
import pty
import select
import stat
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import paramiko
import pytest

from lpmkit.simulator import Simulator
from lpmkit.simulator.simulator import GIVEN_BY
from tests.simulator_cases import FAST, TICKER, connected, ssh, until


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(speed=FAST) as running:
        yield running


class Typist:
    """A person at a terminal, with the ordinary client."""

    def __init__(self, simulator: Simulator, host: str) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvp("ssh", ["ssh", "-F", str(simulator.ssh_config), host])
        self.seen = b""

    def expect(self, text: bytes) -> bytes:
        """Wait until the screen shows something new; returns everything up to and with it."""
        deadline = time.monotonic() + 20
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.seen += self._read()
        shown, _, self.seen = self.seen.partition(text)
        return shown + text

    def _read(self) -> bytes:
        try:
            return os.read(self.terminal, 65536)
        except OSError:
            return b""

    def type(self, text: bytes) -> None:
        os.write(self.terminal, text)

    def leave(self) -> int:
        """Wait for the client to end and return its status."""
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.terminal)
        return status


def test_a_person_types_at_the_vios(simulator: Simulator) -> None:
    person = Typist(simulator, "bvio82")
    person.expect(b"$ ")
    person.type(b"lsx\x7fpv\r")
    assert b"lsx\x08 \x08pv\r\n" in person.expect(b"00c71da1e5b1f0a2")
    person.expect(b"$ ")
    person.type(b"oem_setup_env\r")
    person.expect(b"# ")
    person.type(b"pcmpath query device\r")
    person.expect(b"ALGORITHM")
    person.expect(b"# ")
    person.type(b"exit\r")
    person.expect(b"$ ")
    person.type(b"exit\r")
    assert person.leave() == 0


def test_interrupt_and_end_of_file(simulator: Simulator) -> None:
    person = Typist(simulator, "bxaix85")
    person.expect(b"# ")
    asleep = b"sleep %d" % (100_000 + os.getpid())  # of no other test's partition
    person.type(b"perl -e '%s'\r" % asleep)
    person.expect(b"%s'\r\n" % asleep)
    until(lambda: asleep in processes_of(simulator))
    person.type(b"\x03")
    person.expect(b"# ")
    until(lambda: asleep not in processes_of(simulator))
    person.type(b"abc\x03")
    person.expect(b"# ")
    person.type(b"hostname\r")
    person.expect(b"\r\nbxaix85\r\n# ")
    person.type(b"\x04")
    assert person.leave() == 0


def processes_of(simulator: Simulator) -> bytes:
    group = str(simulator.hosts["bxaix85"].pid)
    return subprocess.run(["ps", "-eo", "pgid,args"], capture_output=True, check=True).stdout.replace(
        group.encode(), b"partition"
    )


def test_a_shell_without_a_terminal_reads_lines(simulator: Simulator) -> None:
    done = subprocess.run(
        ["ssh", "-T", "-F", simulator.ssh_config, "bxaix85"],
        input="hostname\nuname -L\nfalse\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("bxaix85\n2 bxaix85\n", 1)


def test_the_keys_are_private(simulator: Simulator) -> None:
    assert stat.S_IMODE(simulator.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((simulator.directory / "client_key").stat().st_mode) == 0o600


def test_strangers_are_turned_away(simulator: Simulator, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    config = tmp_path / "ssh_config"
    config.write_text(
        simulator.ssh_config.read_text().replace(str(simulator.directory / "client_key"), str(tmp_path / "other"))
    )
    stranger = subprocess.run(["ssh", "-F", config, "bvio82", "hostname"], capture_output=True, text=True, check=False)
    assert stranger.returncode == 255
    assert "Permission denied (publickey)" in stranger.stderr
    wrong_user = subprocess.run(
        ["ssh", "-F", simulator.ssh_config, "-l", "root", "bvio82", "hostname"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Permission denied (publickey)" in wrong_user.stderr


def test_a_changed_host_key_is_noticed(simulator: Simulator, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    lines = (simulator.directory / "known_hosts").read_text().splitlines()
    keys = {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in lines}
    known.write_text(f"bvio82 {keys['bvio83']}\n")
    done = subprocess.run(
        ["ssh", "-F", simulator.ssh_config, "-o", f"UserKnownHostsFile={known}", "bvio82", "hostname"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 255


def test_fifty_connections_and_many_channels(simulator: Simulator) -> None:
    channels: list[paramiko.Channel] = []
    with ExitStack() as stack:
        for client in [stack.enter_context(connected(simulator, "bxaix85")) for _ in range(50)]:
            transport = client.get_transport()
            assert transport is not None
            for _ in range(2):
                channel = transport.open_session()
                channel.exec_command("uname -m")
                channels.append(channel)
        assert {channel.makefile().read() for channel in channels} == {b"000071DA4C00\n"}
        assert {channel.recv_exit_status() for channel in channels} == {0}


def test_a_short_command_never_ends_before_it_began(simulator: Simulator) -> None:
    """The answer to the request comes first, whatever the threads do; else a client sees a closed channel."""
    with connected(simulator, "bvio82") as client:
        for _ in range(200):
            _, out, _ = client.exec_command("true")
            assert out.channel.recv_exit_status() == 0


def test_a_ticker_is_relayed_promptly(simulator: Simulator) -> None:
    """Half of a hundred ticks a second arrive within 5 ms of being written (0.1 ms on an idle machine)."""
    with connected(simulator, "bxaix85") as client:
        _, out, _ = client.exec_command(f"perl -e '{TICKER}'")
        late = [time.monotonic() - float(out.readline()) for _ in range(200)]
        out.channel.close()
    assert statistics.median(late) < 0.005


def test_a_program_ends_with_its_channel(simulator: Simulator) -> None:
    with connected(simulator, "bxaix85") as client:
        _, out, _ = client.exec_command("perl -e '$|=1; print qq(on\\n); sleep 1000 while 1'")
        assert out.readline() == "on\n"
        assert b"sleep 1000" in processes_of(simulator)
    until(lambda: b"sleep 1000" not in processes_of(simulator))


def test_the_site_file_is_what_was_agreed(simulator: Simulator) -> None:
    text = simulator.site_file.read_text()
    address, ports = simulator.addresses["bxaix85"], simulator.hosts["bxaix85"].ports
    assert text.startswith(
        "ssh_config: ssh_config            # relative to the site file\n"
        "frames:\n"
        "  bvio82:\n"
        "    manager: ivm\n"
        "    host: bvio82\n"
        "    mover_address: 192.0.2.82\n"
        "    partner: bvio83\n"
        "  bvio83:\n"
        "    manager: ivm\n"
        "    host: bvio83\n"
        "    mover_address: 192.0.2.83\n"
        "    partner: bvio82\n"
        "partitions:\n"
        "  bxaix85: {host: bxaix85, nmon: /var/perf/nmon}\n"
        "sap_systems:\n"
        "  BX5:\n"
        "    partition: bxaix85\n"
        '    instances: ["00"]\n'
        '    dispatchers: ["00"]\n'
        f'    dispatcher_ports: {{"00": {ports["dispatcher"]}}}\n'
        "    commands: {host: bx5adm@bxaix85}\n"
        f'    soap_rfc: {{url: "http://{address}:{ports["http"]}", client: "100", user: LPMKIT, password: "env:{GIVEN_BY}"}}\n'
    )
    assert text.endswith(
        "databases:\n"
        "  BX5:\n"
        "    partition: bxaix85\n"
        '    version: "10.2.0.2.0"\n'
        f"    listener: {simulator.listener_of('bxaix85')}\n"
    )


def test_a_directory_of_ones_own_is_kept(tmp_path: Path) -> None:
    with Simulator(directory=tmp_path / "here", speed=FAST) as simulator:
        assert ssh(simulator, "bvio83", "ioscli hostname").out == "bvio83\n"
    assert (tmp_path / "here" / "truth.jsonl").exists()


def test_nothing_of_a_temporary_directory_is_left() -> None:
    with Simulator(speed=FAST) as simulator:
        directory, pid = simulator.directory, simulator.hosts["bxaix85"].pid
    assert not directory.exists()
    assert not Path(f"/proc/{pid}").exists()
