"""Ways to a host that the user's configuration can take: jump hosts, proxy commands, open sessions, certificates."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from lpmkit.errors import HostKeyChanged, LoginRefused, NoCommonAlgorithm, NoKey, NotResolved, Unreachable
from lpmkit.ssh.client import SshSession, route
from lpmkit.timeline import Clock, wait_until
from tests.ssh_servers import KINDS, Kind, KindOfHost, key_file


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate authority for hosts and users."""
    path = tmp_path_factory.mktemp("authority") / "ca"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, authority: Path) -> Iterator[KindOfHost]:
    folder = tmp_path_factory.mktemp("host")
    kind = Kind(
        ("ed25519", "rsa"), (f"TrustedUserCAKeys {authority}.pub", f"HostCertificate {folder}/host_ed25519-cert.pub")
    )
    server = KindOfHost(folder, kind)
    _certify(authority, folder / "host_ed25519.pub", "-h", "-n", server.name)
    with server:
        yield server


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KindOfHost]:
    with KindOfHost(tmp_path_factory.mktemp("old"), KINDS["VIOS 1.5"]) as server:
        yield server


def _certify(authority: Path, public: Path, *options: str) -> None:
    command = ["ssh-keygen", "-q", "-s", str(authority), "-I", "a name", *options, str(public)]
    subprocess.run(command, check=True)


def by_ssh(name: str, config: Path) -> bool:
    command = ["ssh", "-F", str(config), "-o", "BatchMode=yes", name, "true"]
    quiet = subprocess.DEVNULL
    return subprocess.run(command, stdin=quiet, stdout=quiet, stderr=quiet, check=False).returncode == 0


def over(name: str, config: Path) -> str:
    """Log in as ``ssh`` does; what served."""
    assert by_ssh(name, config)
    session = SshSession(route(name, config))
    try:
        reply = session.run(["echo", "in"])
        assert reply.output == "in\n"
        return reply.over
    finally:
        session.close()


def refused(name: str, config: Path, error: type[Exception]) -> str:
    """Be refused as ``ssh`` is; the message."""
    assert not by_ssh(name, config)
    with pytest.raises(error) as caught:
        SshSession(route(name, config)).run(["true"])
    assert type(caught.value) is error
    return str(caught.value)


# -- certificates ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_named", [True, False])
def test_a_users_certificate_lets_one_in(host: KindOfHost, authority: Path, tmp_path: Path, is_named: bool) -> None:
    for suffix in ("", ".pub"):
        shutil.copy(f"{key_file('other-ed25519')}{suffix}", tmp_path / f"id{suffix}")
    config = host.config(f"IdentityFile {tmp_path}/id", key=None)
    refused(host.name, config, LoginRefused)
    _certify(authority, tmp_path / "id.pub", "-n", route(host.name, config).user)
    if is_named:
        (tmp_path / "id-cert.pub").rename(tmp_path / "named.pub")
        config = host.config(f"CertificateFile {tmp_path}/named.pub", f"IdentityFile {tmp_path}/id", key=None)
    assert "OpenSSH" in over(host.name, config)


def test_a_hosts_certificate_is_trusted_as_its_authority_is(host: KindOfHost, authority: Path) -> None:
    config = host.config()
    known = host.folder / "known_hosts"
    known.write_text(f"@cert-authority real* {Path(f'{authority}.pub').read_text()}")
    assert "certificate authority" in over(host.name, config)
    known.write_text(f"@cert-authority other* {Path(f'{authority}.pub').read_text()}")
    assert not by_ssh(host.name, config)
    with pytest.raises(Exception, match="host key is not known"):
        SshSession(route(host.name, config)).run(["true"])


# -- sessions that are open already ------------------------------------------------------------------------------------


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a path that is short enough for a control socket."""
    with tempfile.TemporaryDirectory(prefix="t-") as name:
        yield Path(name)


def test_a_session_that_the_user_holds_open_is_used_and_left_open(host: KindOfHost, short: Path) -> None:
    lines = [f"ControlPath {short}/cm-%C"]
    config = host.config(*lines)
    subprocess.run(["ssh", "-F", str(config), "-fNM", host.name], check=True, stderr=subprocess.DEVNULL)
    (socket_path,) = short.iterdir()
    try:
        assert "is open" in over(host.name, host.config(*lines, key=None)), "there is no key: no login was needed"
        assert socket_path.is_socket()
    finally:
        subprocess.run(["ssh", "-F", str(config), "-O", "exit", host.name], check=True, capture_output=True)
    assert wait_until(lambda: not socket_path.exists(), clock=Clock(), timeout_s=20)
    refused(host.name, host.config(*lines, key=None), NoKey)


def test_a_socket_that_a_dead_process_left_is_no_session(host: KindOfHost, short: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(short / "cm"))
    assert "paramiko" in over(host.name, host.config(f"ControlPath {short}/cm"))


# -- jump hosts and proxy commands -------------------------------------------------------------------------------------


def chain(*configs: Path, folder: Path) -> Path:
    path = folder / "chain"
    path.write_text("".join(config.read_text() for config in configs))
    return path


def renamed(config: Path, name: str, *lines: str) -> Path:
    """A copy of a configuration of one host under another name, with more lines."""
    text = config.read_text().replace("Host realhost\n", f"Host {name}\n" + "".join(f"  {line}\n" for line in lines), 1)
    path = config.with_name(f"config-{name}")
    path.write_text(text)
    return path


def test_each_hop_of_a_chain_has_the_transport_that_it_needs(host: KindOfHost, old: KindOfHost, tmp_path: Path) -> None:
    new, ancient = host.config(), old.config(*old.kind.needs, key="rsa")
    config = chain(
        renamed(new, "gate"),
        renamed(ancient, "vios", "ProxyJump gate"),
        renamed(new, "inner", "ProxyJump vios"),
        renamed(ancient, "innermost", f"ProxyJump gate,{route('x').user}@inner"),
        folder=tmp_path,
    )
    for name, transport in (("gate", "paramiko"), ("vios", "OpenSSH"), ("inner", "paramiko"), ("innermost", "OpenSSH")):
        assert over(name, config).startswith(f"transport: {transport}"), name


def test_a_trouble_of_a_jump_host_is_named_as_its_own(host: KindOfHost, old: KindOfHost, tmp_path: Path) -> None:
    config = chain(renamed(old.config(), "gate"), renamed(host.config(), "behind", "ProxyJump gate"), folder=tmp_path)
    assert refused("behind", config, NoCommonAlgorithm).startswith("gate: no common key exchange method")
    loop = chain(
        renamed(host.config(), "a", "ProxyJump b"), renamed(host.config(), "b", "ProxyJump a"), folder=tmp_path
    )
    with pytest.raises(Unreachable, match="ProxyJump"):
        SshSession(route("a", loop)).run(["true"])


def test_a_closed_port_behind_a_jump_host(host: KindOfHost, tmp_path: Path) -> None:
    config = chain(
        renamed(host.config(), "gate"), renamed(host.config("Port 1"), "behind", "ProxyJump gate"), folder=tmp_path
    )
    assert "through the jump host gate" in refused("behind", config, Unreachable)


_RELAY = """import os, select, socket, sys
assert sys.argv[3] == "100%"
wire = socket.create_connection((sys.argv[1], int(sys.argv[2])))
while True:
    for ready in select.select([0, wire], [], [])[0]:
        data = os.read(ready if ready == 0 else wire.fileno(), 65536)
        if not data:
            sys.exit()
        wire.sendall(data) if ready == 0 else os.write(1, data)
"""


@pytest.mark.parametrize("more", [(), ("RevokedHostKeys /dev/null",)])
def test_a_proxy_command_runs_in_a_shell_with_its_tokens(
    host: KindOfHost, tmp_path: Path, more: tuple[str, ...]
) -> None:
    program = tmp_path / "relay it.py"
    program.write_text(_RELAY)
    command = f'exec {sys.executable} "{program}" "$0" "$1" 100%%'
    assert over(host.name, host.config(*more, f"ProxyCommand sh -c '{command}' %h %p"))


@pytest.mark.parametrize("more", [(), ("RevokedHostKeys /dev/null",)])
def test_a_proxy_command_may_hand_over_its_connection(host: KindOfHost, tmp_path: Path, more: tuple[str, ...]) -> None:
    program = tmp_path / "hand over.py"
    program.write_text(
        "import socket, sys\n"
        "wire = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "socket.send_fds(socket.socket(fileno=1), [b'x'], [wire.fileno()])\n"
    )
    config = host.config(*more, "ProxyUseFdpass yes", f"ProxyCommand {sys.executable} '{program}' %h %p")
    assert over(host.name, config)


@pytest.mark.parametrize("more", [(), ("RevokedHostKeys /dev/null",)])
def test_the_words_of_a_proxy_command_that_fails_are_shown(host: KindOfHost, more: tuple[str, ...]) -> None:
    config = host.config(*more, "ProxyCommand echo no way out >&2; exit 7")
    assert "no way out" in refused(host.name, config, Unreachable)


# -- names, addresses and keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [(), ("RevokedHostKeys /dev/null",)])
def test_a_key_that_is_known_without_the_port_is_known(host: KindOfHost, more: tuple[str, ...]) -> None:
    config = host.config(*more)
    config.write_text("".join(line for line in config.open() if "HostKeyAlias" not in line))
    known = host.folder / "known_hosts"
    ecdsa = Path(f"{key_file('ecdsa')}.pub").read_text()
    known.write_text(f"127.0.0.1 {host.host_key()}")
    assert over(host.name, config)
    known.write_text(f"[127.0.0.1]:{host.port} {ecdsa}")
    refused(host.name, config, HostKeyChanged)


@pytest.mark.parametrize("more", [(), ("RevokedHostKeys /dev/null",)])
def test_the_family_and_the_source_of_the_connection_are_those_of_the_configuration(
    host: KindOfHost, more: tuple[str, ...]
) -> None:
    refused(host.name, host.config(*more, "AddressFamily inet6"), NotResolved)
    config = host.config(*more, "BindAddress 127.0.0.2")
    assert over(host.name, config)
    session = SshSession(route(host.name, config))
    assert session.run(["sh", "-c", "echo $SSH_CLIENT"]).output.startswith("127.0.0.2 ")
    session.close()


def test_an_agent_that_the_configuration_names_is_asked(host: KindOfHost, short: Path) -> None:
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(short / "agent")], stdout=subprocess.DEVNULL)
    try:
        assert wait_until((short / "agent").exists, clock=Clock(), timeout_s=20)
        named = {**os.environ, "SSH_AUTH_SOCK": str(short / "agent")}
        subprocess.run(["ssh-add", "-q", str(key_file("ed25519"))], check=True, env=named)
        lines = [f"IdentityAgent {short}/agent", "IdentitiesOnly no"]
        assert "agent" in over(host.name, host.config(*lines, key=None))
        refused(host.name, host.config("IdentityAgent none", "IdentitiesOnly no", key=None), NoKey)
        # A locked key is no trouble while the agent holds it: the agent has it by its public part.
        subprocess.run(
            ["ssh-add", "-q", str(key_file("rsa-locked"))],
            check=True,
            env={**named, "SSH_ASKPASS": str(_askpass(short)), "SSH_ASKPASS_REQUIRE": "force"},
        )
        assert "publickey ssh-rsa" in over(host.name, host.config(lines[0], key="rsa-locked"))
    finally:
        agent.terminate()
        agent.wait()


def _askpass(folder: Path) -> Path:
    path = folder / "askpass"
    path.write_text("#!/bin/sh\necho secret\n")
    path.chmod(0o700)
    return path


@pytest.mark.parametrize("line", ["PubkeyAuthentication no", "PreferredAuthentications password"])
def test_methods_that_the_configuration_forbids_are_not_tried(host: KindOfHost, line: str) -> None:
    assert "Offered" not in refused(host.name, host.config(line), LoginRefused)


def test_a_short_rsa_key_is_refused_as_the_configuration_says(host: KindOfHost) -> None:
    config = host.config("RequiredRSASize 4096", "HostKeyAlgorithms rsa-sha2-512", key="rsa")
    host.knows("rsa")
    assert not by_ssh(host.name, config)
    with pytest.raises(Exception, match="2048 bits"):
        SshSession(route(host.name, config)).run(["true"])


def test_a_host_that_wants_two_keys_gets_two(tmp_path: Path) -> None:
    with KindOfHost(tmp_path, Kind(lines=("AuthenticationMethods publickey,publickey",))) as both:
        config = both.config(f"IdentityFile {key_file('ecdsa')}")
        assert "publickey" in over(both.name, config)
        refused(both.name, both.config(), LoginRefused)


def test_key_files_of_other_forms_are_offered(host: KindOfHost, tmp_path: Path) -> None:
    """A key in the form of PKCS #8; one that only lies in the agent, named by its public part."""
    pkcs8 = tmp_path / "id"
    pkcs8.write_bytes(
        serialization.load_ssh_private_key(key_file("ecdsa").read_bytes(), None).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    pkcs8.chmod(0o600)
    assert over(host.name, host.config(f"IdentityFile {pkcs8}", key=None))
    pkcs8.write_text("-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----\n")
    refused(host.name, host.config(f"IdentityFile {pkcs8}", key=None), LoginRefused)


@pytest.mark.parametrize("named", ["public.pub", "public"])
def test_a_key_of_the_agent_is_named_by_its_public_part(host: KindOfHost, short: Path, named: str) -> None:
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(short / "agent")], stdout=subprocess.DEVNULL)
    try:
        assert wait_until((short / "agent").exists, clock=Clock(), timeout_s=20)
        environment = {**os.environ, "SSH_AUTH_SOCK": str(short / "agent")}
        keys = [str(key_file(name)) for name in ("other-rsa", "ed25519")]
        subprocess.run(["ssh-add", "-q", *keys], check=True, env=environment)
        shutil.copy(f"{key_file('ed25519')}.pub", short / "public.pub")
        lines = [f"IdentityAgent {short}/agent", f"IdentityFile {short}/{named}"]
        assert "publickey ssh-ed25519" in over(host.name, host.config(*lines, key=None))
    finally:
        agent.terminate()
        agent.wait()
