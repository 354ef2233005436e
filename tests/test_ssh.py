"""Sessions against a real OpenSSH server: the same contract over both transports."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import paramiko
import pytest

from lpmkit.errors import ConnectionLost, HostKeyRefused, LoginRefused, NoAnswer, Unreachable, UsageError
from lpmkit.ssh.client import SshSession, route
from lpmkit.ssh.openssh import OpenSshConnection
from lpmkit.ssh.session import Reply
from lpmkit.timeline import Clock, wait_until
from tests.real_host import RealHost


@pytest.fixture(params=["paramiko", "OpenSSH"])
def host(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RealHost]:
    with RealHost(tmp_path / "host") as server:
        if request.param == "OpenSSH":
            server.ask_for_openssh()
        yield server


@pytest.fixture
def plain_host(tmp_path: Path) -> Iterator[RealHost]:
    with RealHost(tmp_path / "host") as server:
        yield server


@pytest.fixture
def session(host: RealHost) -> Iterator[SshSession]:
    one = SshSession(route(host.name, host.ssh_config))
    yield one
    one.close()


def test_arguments_arrive_as_they_were_given(session: SshSession) -> None:
    odd = ["a b", "it's", "$HOME", "x;y", "*", 'say "hi"', "ä"]
    assert session.run(["printf", "%s\\n", *odd]).output.splitlines() == odd


def test_output_error_and_status_stay_apart(session: SshSession) -> None:
    reply = session.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (reply.status, reply.output, reply.error) == (3, "out\n", "err\n")


def test_standard_input_is_carried(session: SshSession) -> None:
    assert session.run(["cat"], stdin="pcmpath query device\n").output == "pcmpath query device\n"


def test_a_long_reply_comes_whole(session: SshSession) -> None:
    assert len(session.run(["seq", "200000"]).output.splitlines()) == 200000


def test_latin_1_is_read_when_it_is_no_utf_8(session: SshSession) -> None:
    assert session.run(["printf", "Gr\\374\\337e"]).output == "Grüße"


def test_every_command_is_told_to_the_transcript_also_the_one_without_an_answer(host: RealHost) -> None:
    told: list[Reply] = []
    session = SshSession(route(host.name, host.ssh_config), transcript=told.append)
    session.run(["true"])
    with pytest.raises(NoAnswer, match="no answer within"):
        session.run(["sh", "-c", "echo begun; sleep 60"], timeout_s=0.5)
    assert [(reply.status, reply.output) for reply in told] == [(0, ""), (None, "begun\n")]
    session.close()


def test_a_connection_that_breaks_is_an_error_and_the_next_command_connects_again(session: SshSession) -> None:
    with pytest.raises(ConnectionLost):
        session.run(["sh", "-c", "kill -9 $PPID; sleep 20"]).checked()
    assert session.run(["echo", "back"]).output == "back\n"
    assert session.connections == 2


def test_an_unknown_host_key_is_refused_with_what_to_do(host: RealHost) -> None:
    (host.folder / "known_hosts").write_text("")
    with pytest.raises(HostKeyRefused, match=r"not known here .*SHA256.*Compare the fingerprint"):
        SshSession(route(host.name, host.ssh_config)).run(["true"])


def test_a_changed_host_key_is_refused_with_what_to_do(host: RealHost, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    host.write_client_config((tmp_path / "other.pub").read_text())
    with pytest.raises(HostKeyRefused, match=r"has changed.*ssh-keygen -R 'realhost'"):
        SshSession(route(host.name, host.ssh_config)).run(["true"])


def test_a_key_that_is_not_accepted_says_how_to_try_by_hand(host: RealHost) -> None:
    (host.folder / "authorized").write_text("")
    with pytest.raises(LoginRefused, match="ssh -F"):
        SshSession(route(host.name, host.ssh_config)).run(["true"])


def test_a_host_that_is_not_there_is_unreachable(host: RealHost) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        config = host.ssh_config.read_text().replace(f"Port {host.port}", f"Port {unused.getsockname()[1]}")
        host.ssh_config.write_text(config)
        with pytest.raises(Unreachable, match="no connection to"):
            SshSession(route(host.name, host.ssh_config)).run(["true"])


def test_a_jump_host_is_passed_through(host: RealHost) -> None:
    config = host.ssh_config.read_text()
    behind = config.replace(f"Host {host.name}", "Host behind") + f"  ProxyJump {host.name}\n"
    host.ssh_config.write_text(config + behind)
    session = SshSession(route("behind", host.ssh_config))
    assert session.run(["echo", "through"]).output == "through\n"
    session.close()


def test_includes_and_matches_of_the_ssh_configuration_are_honoured(host: RealHost, tmp_path: Path) -> None:
    (tmp_path / "included").write_text(host.ssh_config.read_text())
    (tmp_path / "config").write_text(f"Include {tmp_path}/included\n")
    assert route(host.name, tmp_path / "config").port == host.port


def test_a_missing_ssh_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no ssh config"):
        route("x", tmp_path / "none")


def test_a_key_in_the_agent_is_used(host: RealHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(tmp_path / "agent")], stdout=subprocess.DEVNULL)
    try:
        assert wait_until((tmp_path / "agent").exists, clock=Clock(), timeout_s=20)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        subprocess.run(["ssh-add", "-q", str(host.folder / "client_key")], check=True)
        lines = [line for line in host.ssh_config.read_text().splitlines() if "Identit" not in line]
        host.ssh_config.write_text("\n".join([*lines, "  IdentityFile none\n"]))
        session = SshSession(route(host.name, host.ssh_config))
        assert session.run(["echo", "in"]).output == "in\n"
        session.close()
    finally:
        agent.terminate()
        agent.wait()


class EndsAtOnce:
    """A channel on which everything comes between two looks: output, end of file, status, close."""

    def __init__(self) -> None:
        self.looks, self.left = 0, b"/etc/motd\n"
        self.closed = self.eof_received = True
        self.exit_status, self.status_event = 0, threading.Event()
        self.status_event.set()

    def fileno(self) -> int:
        return 0

    def recv_ready(self) -> bool:
        self.looks += 1
        return self.looks > 1 and bool(self.left)

    def recv(self, count: int) -> bytes:
        data, self.left = self.left, b""
        return data

    def recv_stderr_ready(self) -> bool:
        return False

    def recv_stderr(self, count: int) -> bytes:
        raise AssertionError("nothing came there")


def test_output_that_comes_together_with_the_close_is_not_lost(tmp_path: Path) -> None:
    session = SshSession(route("nowhere", _config(tmp_path)))
    output = bytearray()
    assert session._collect(cast(paramiko.Channel, EndsAtOnce()), output, bytearray(), 5.0, "ls") == 0
    assert output == b"/etc/motd\n"


def _config(folder: Path) -> Path:
    path = folder / "config"
    path.write_text("Host nowhere\n    HostName 127.0.0.1\n", encoding="ascii")
    return path


def test_the_transport_and_its_algorithms_stand_with_the_first_reply_of_each_connection(host: RealHost) -> None:
    told: list[Reply] = []
    session = SshSession(route(host.name, host.ssh_config), transcript=told.append)
    session.run(["true"])
    session.run_all([["true"], ["echo", "two"]])
    session.close()
    session.run_all([["true"], ["echo", "two"]])
    session.close()
    wanted = "OpenSSH_" if "RevokedHostKeys" in host.ssh_config.read_text() else "paramiko"
    over = [reply.over for reply in told]
    assert over[0] == over[3]
    assert over[1] == over[2] == over[4] == ""
    assert over[0].startswith(f"transport: {wanted}")
    for name in ("kex: ", "host_key: ssh-ed25519", "cipher: ", "mac: ", "login: publickey "):
        assert name in over[0]
    assert ("why: your ssh configuration names revokedhostkeys" in over[0]) == (wanted == "OpenSSH_")


def test_a_closed_session_leaves_no_process_and_no_folder(
    plain_host: RealHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_host.ask_for_openssh()
    with tempfile.TemporaryDirectory(prefix="t-") as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        _leaves_nothing(plain_host, Path(short))


def _leaves_nothing(plain_host: RealHost, folder: Path) -> None:
    session = SshSession(route(plain_host.name, plain_host.ssh_config))
    session.run(["true"])
    (private,) = folder.iterdir()
    assert private.stat().st_mode & 0o077 == 0
    connection = session._connection
    assert isinstance(connection, OpenSshConnection)
    session.close()
    assert wait_until(lambda: not is_running(connection._pid), clock=Clock(), timeout_s=20)
    assert list(folder.iterdir()) == []


def test_a_process_that_does_not_close_its_session_leaves_no_folder(plain_host: RealHost) -> None:
    plain_host.ask_for_openssh()
    program = (
        "import sys; from pathlib import Path; from lpmkit.ssh.client import SshSession, route\n"
        "SshSession(route(sys.argv[1], Path(sys.argv[2]))).run(['true']); print('in')"
    )
    with tempfile.TemporaryDirectory(prefix="t-") as short:
        command = [sys.executable, "-c", program, plain_host.name, str(plain_host.ssh_config)]
        environment = {**os.environ, "XDG_RUNTIME_DIR": short}
        assert subprocess.run(command, env=environment, capture_output=True, check=True).stdout == b"in\n"
        assert list(Path(short).iterdir()) == []


def test_a_killed_process_leaves_no_ssh_behind(plain_host: RealHost) -> None:
    plain_host.ask_for_openssh()
    program = (
        "import sys, time; from pathlib import Path; from lpmkit.ssh.client import SshSession, route\n"
        "session = SshSession(route(sys.argv[1], Path(sys.argv[2]))); session.run(['true'])\n"
        "print(session._connection._pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, plain_host.name, str(plain_host.ssh_config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert is_running(pid)
        process.kill()
    assert wait_until(lambda: not is_running(pid), clock=Clock(), timeout_s=20)


def is_running(pid: int) -> bool:
    """True while a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
