"""Logins with a Kerberos ticket, with keys on a token and with FIDO keys: a real KDC, SoftHSM and OpenSSH's own
security key in software on loopback, where they are installed.

Debian: ``apt-get install krb5-kdc krb5-admin-server krb5-user softhsm2 openssh-tests``. A security key that was built
from OpenSSH's source (``regress/misc/sk-dummy``) is named by ``LPMKIT_SK_PROVIDER``.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lpmkit.errors import NoKey
from lpmkit.ssh.client import SshSession, route
from lpmkit.timeline import Clock, wait_until
from tests.ssh_servers import Kind, KindOfHost

SBIN = os.pathsep.join((os.environ["PATH"], "/usr/sbin"))
KDC = all(shutil.which(name, path=SBIN) for name in ("krb5kdc", "kdb5_util", "kadmin.local", "kinit"))
SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")
SECURITY_KEY = Path(
    os.environ.get("LPMKIT_SK_PROVIDER", "/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so")
).resolve()
REALM, PIN = "LPMKIT.TEST", "1234"
KRB5_CONF = """[libdefaults]
 default_realm = {realm}
 dns_lookup_kdc = false
 dns_canonicalize_hostname = false
 rdns = false
 default_ccache_name = FILE:{folder}/tickets
 default_keytab_name = FILE:{folder}/keytab
 udp_preference_limit = 1
[realms]
 {realm} = {{
  kdc = 127.0.0.1:{port}
 }}
[domain_realm]
 localhost = {realm}
"""
KDC_CONF = """[kdcdefaults]
 kdc_listen = 127.0.0.1:{port}
 kdc_tcp_listen = 127.0.0.1:{port}
[realms]
 {realm} = {{
  database_name = {folder}/principal
  key_stash_file = {folder}/stash
 }}
"""


def run(*command: str, given: str = "") -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture
def kdc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A realm with this user and the service of ``localhost``, and a ticket of the user."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name, text in (("krb5.conf", KRB5_CONF), ("kdc.conf", KDC_CONF)):
        (tmp_path / name).write_text(text.format(realm=REALM, folder=tmp_path, port=port))
    monkeypatch.setenv("PATH", SBIN)
    monkeypatch.setenv("KRB5_CONFIG", f"{tmp_path}/krb5.conf")
    monkeypatch.setenv("KRB5_KDC_PROFILE", f"{tmp_path}/kdc.conf")
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/tickets")
    run("kdb5_util", "create", "-s", "-r", REALM, "-P", "master")
    run("kadmin.local", "-q", f"addprinc -pw secret {getpass.getuser()}")
    run("kadmin.local", "-q", "addprinc -randkey host/localhost")
    run("kadmin.local", "-q", f"ktadd -k {tmp_path}/keytab host/localhost")
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(["krb5kdc", "-n"], stdin=quiet, stdout=quiet, stderr=quiet)

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        assert wait_until(listens, clock=Clock(), timeout_s=20)
        run("kinit", getpass.getuser(), given="secret\n")
        yield
    finally:
        server.kill()
        server.wait()


@pytest.mark.skipif(not KDC, reason="no Kerberos KDC is installed (krb5-kdc, krb5-admin-server, krb5-user)")
@pytest.mark.usefixtures("kdc")
def test_a_ticket_logs_in_over_openssh_and_without_one_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ("GSSAPIAuthentication yes", "GSSAPIStrictAcceptorCheck no", "PubkeyAuthentication no")
    with KindOfHost(tmp_path / "host", Kind(lines=lines)) as host:
        config = host.config("GSSAPIAuthentication yes", "HostName localhost", key=None)
        session = SshSession(route(host.name, config))
        reply = session.run(["echo", "in"])
        session.close()
        assert reply.output == "in\n"
        assert "login: gssapi-with-mic" in reply.over
        assert "transport: OpenSSH" in reply.over
        monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/none")
        with pytest.raises(NoKey, match="kinit gets one"):
            SshSession(route(host.name, config)).run(["echo", "in"])


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A token with an RSA key whose PIN an agent was given; the public key."""
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path}/tokens\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", f"{tmp_path}/softhsm2.conf")
    run("softhsm2-util", "--init-token", "--free", "--label", "lpmkit", "--pin", PIN, "--so-pin", "5678")
    run("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PKCS8", "-N", "", "-f", f"{tmp_path}/key")
    run(
        "softhsm2-util",
        "--import",
        f"{tmp_path}/key",
        "--token",
        "lpmkit",
        "--label",
        "ssh",
        "--id",
        "01",
        "--pin",
        PIN,
    )
    agent = run("ssh-agent", "-s", "-a", f"{tmp_path}/agent", "-P", f"{SOFTHSM.resolve()},{SOFTHSM}")
    monkeypatch.setenv("SSH_AUTH_SOCK", f"{tmp_path}/agent")
    (tmp_path / "askpass").write_text(f"#!/bin/sh\necho {PIN}\n")
    (tmp_path / "askpass").chmod(0o700)
    for name, value in (("SSH_ASKPASS", f"{tmp_path}/askpass"), ("SSH_ASKPASS_REQUIRE", "force"), ("DISPLAY", ":0")):
        monkeypatch.setenv(name, value)
    try:
        run("ssh-add", "-s", str(SOFTHSM))
        yield run("ssh-add", "-L")
    finally:
        os.kill(int(agent.split("SSH_AGENT_PID=")[1].split(";")[0]), signal.SIGTERM)


@pytest.mark.skipif(not SOFTHSM.exists(), reason="no SoftHSM is installed (softhsm2)")
def test_a_key_on_a_token_logs_in_through_the_agent_and_a_locked_token_is_said(tmp_path: Path, token: str) -> None:
    with KindOfHost(tmp_path / "host", Kind()) as host:
        (host.folder / "authorized").write_text(token)
        session = SshSession(route(host.name, host.config("IdentitiesOnly no", key=None)))
        reply = session.run(["echo", "in"])
        session.close()
        assert reply.output == "in\n"
        assert "login: publickey" in reply.over
        config = host.config(f"PKCS11Provider {SOFTHSM}", key=None, name="locked")
        with pytest.raises(NoKey, match=f"ssh-add -s {SOFTHSM}"):
            SshSession(route(host.name, config)).run(["echo", "in"])


@pytest.fixture(params=["ed25519-sk", "ecdsa-sk"])
def security_key(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A FIDO key of a security key in software, which an agent holds; the file of its handle."""
    key = tmp_path / "sk"
    run("ssh-keygen", "-q", "-t", request.param, "-w", str(SECURITY_KEY), "-N", "", "-f", str(key))
    agent = run("ssh-agent", "-s", "-a", f"{tmp_path}/agent", "-P", str(SECURITY_KEY))
    monkeypatch.setenv("SSH_AUTH_SOCK", f"{tmp_path}/agent")
    try:
        run("ssh-add", "-q", "-S", str(SECURITY_KEY), str(key))
        yield key
    finally:
        os.kill(int(agent.split("SSH_AGENT_PID=")[1].split(";")[0]), signal.SIGTERM)


@pytest.mark.skipif(
    not SECURITY_KEY.exists(),
    reason="no FIDO key in software: neither openssh-tests is installed nor LPMKIT_SK_PROVIDER given",
)
def test_a_fido_key_logs_in_through_the_agent_or_by_its_handle_over_openssh(
    tmp_path: Path, security_key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reply_over(*lines: str, key: str | None = None) -> str:
        session = SshSession(route(host.name, host.config(*lines, key=key)))
        reply = session.run(["echo", "in"])
        session.close()
        assert reply.output == "in\n"
        assert "login: publickey" in reply.over
        return reply.over

    with KindOfHost(tmp_path / "host", Kind()) as host:
        public = Path(f"{security_key}.pub").read_text()
        (host.folder / "authorized").write_text(public)
        over = reply_over("IdentitiesOnly no")
        assert "transport: OpenSSH" in over
        assert public.split()[0] in over, "and it is said why"
        monkeypatch.delenv("SSH_AUTH_SOCK")
        with pytest.raises(NoKey, match=r"could not sign.*Plug in its security key"):
            reply_over(f"IdentityFile {security_key}")
        by_handle = (f"IdentityFile {security_key}", f"SecurityKeyProvider {SECURITY_KEY}")
        assert "transport: OpenSSH" in reply_over(*by_handle)
