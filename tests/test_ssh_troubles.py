"""Troubles of reaching a host are told apart and named alike over both transports."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import paramiko
import pytest
from click.testing import CliRunner

from lpmkit.cli import main
from lpmkit.errors import (
    AccountLocked,
    CommandRefused,
    ConnectionLost,
    HostKeyChanged,
    HostKeyRevoked,
    HostKeyUnknown,
    KeyLocked,
    LoginRefused,
    NoAnswer,
    NoKey,
    NotResolved,
    PasswordExpired,
    RemoteError,
    TimedOut,
    Unreachable,
)
from lpmkit.ssh import connection
from lpmkit.ssh.client import SshSession, route
from lpmkit.ssh.connection import Prepare, SshConnection
from lpmkit.ssh.greeting import Greeting, greeting
from lpmkit.ssh.login_texts import account_trouble
from lpmkit.ssh.logins import refusals_are_kept
from lpmkit.ssh.openssh_answers import refusal
from lpmkit.ssh.paramiko_login import supported
from lpmkit.ssh.session import Reply
from lpmkit.ssh.wire import Wire
from tests.odd_ssh_server import OddServer, Ways
from tests.ssh_servers import KINDS, Kind, KindOfHost, key_file


@pytest.fixture(params=["paramiko", "OpenSSH"])
def more(request: pytest.FixtureRequest, tmp_path: Path) -> Sequence[str]:
    """Lines that ask for a transport; an empty file of revoked keys asks for OpenSSH."""
    (tmp_path / "revoked").touch()
    return [f"RevokedHostKeys {tmp_path}/revoked"] if request.param == "OpenSSH" else []


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KindOfHost]:
    with KindOfHost(tmp_path_factory.mktemp("host"), KINDS["today"]) as server:
        yield server


def trouble_of(name: str, config: Path, password: str | None = None) -> RemoteError:
    session = SshSession(route(name, config), password=password)
    with pytest.raises(RemoteError) as caught:
        session.run(["uname"])
    session.close()
    return caught.value


def test_a_name_without_an_address(host: KindOfHost, more: Sequence[str]) -> None:
    error = trouble_of(host.name, host.config(*more, "HostName nowhere.invalid"))
    assert type(error) is NotResolved
    assert "nowhere.invalid cannot be resolved" in str(error)


def test_a_closed_port(host: KindOfHost, more: Sequence[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    error = trouble_of(host.name, host.config(*more, f"Port {port}"))
    assert type(error) is Unreachable
    assert "Connection refused" in str(error)


def test_a_port_that_keeps_silent(host: KindOfHost, more: Sequence[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = trouble_of(host.name, host.config(*more, f"Port {silent.getsockname()[1]}", "ConnectTimeout 1"))
    assert type(error) is TimedOut
    assert "did not complete the SSH handshake within 1 s" in str(error)
    assert "ConnectTimeout" in str(error)


def test_a_port_that_hangs_up(host: KindOfHost, more: Sequence[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as rude:
        threading.Thread(target=_hang_up, args=(rude,), daemon=True).start()
        error = trouble_of(host.name, host.config(*more, f"Port {rude.getsockname()[1]}"))
    assert type(error) is Unreachable
    assert "it closed the connection before it said anything" in str(error)


def _hang_up(listener: socket.socket) -> None:
    listener.accept()[0].close()


def test_a_late_first_line_is_waited_for_as_long_as_the_configuration_says(tmp_path: Path, more: Sequence[str]) -> None:
    with OddServer(tmp_path, Ways(silent_s=1.3)) as late:
        for limit, is_in in ((30, True), (1, False)):
            config = late.config(*more, f"ConnectTimeout {limit}")
            if is_in:
                assert SshSession(route("odd", config)).run(["uname"]).status == 0
            else:
                assert type(trouble_of("odd", config)) is TimedOut


@pytest.mark.parametrize(
    ("failed", "helps"),
    [
        ('ED25519-SK "/home/a/sk": device not found', "Plug in its security key"),
        ('ECDSA-SK "a@laptop" from agent: agent refused operation', "Plug in its security key"),
        ('RSA "/home/a/id_rsa" from agent: agent refused operation', "Try `ssh"),
    ],
)
def test_a_key_that_the_host_would_take_and_that_cannot_sign(host: KindOfHost, failed: str, helps: str) -> None:
    log = (
        "debug1: Next authentication method: publickey\n"
        f"sign_and_send_pubkey: signing failed for {failed}\n"
        "a@192.0.2.85: Permission denied (publickey,password).\n"
    )
    error = refusal(route(host.name, host.config()), log, None, None, with_password=False)
    assert type(error) is NoKey
    assert failed.partition(": ")[2] in str(error)
    assert str(error.next_step).startswith(helps)


def test_an_unknown_host_key(host: KindOfHost, more: Sequence[str]) -> None:
    config = host.config(*more, "StrictHostKeyChecking no")
    (host.folder / "known_hosts").write_text("")
    error = trouble_of(host.name, config)
    assert type(error) is HostKeyUnknown
    assert "SHA256:" in str(error)
    assert (host.folder / "known_hosts").read_text() == "", "nothing is accepted for a person"


def test_a_changed_host_key(host: KindOfHost, more: Sequence[str]) -> None:
    config = host.config(*more)
    host.knows("other-ed25519", "ecdsa")
    error = trouble_of(host.name, config)
    assert type(error) is HostKeyChanged
    assert f"ssh-keygen -R '{host.name}'" in str(error)


def test_a_host_key_of_another_type_than_the_known_one_is_a_changed_one_as_for_ssh(
    host: KindOfHost, more: Sequence[str]
) -> None:
    config = host.config(*more)
    host.knows("ecdsa")
    reply = subprocess.run(
        ["ssh", "-F", str(config), "-o", "BatchMode=yes", host.name], capture_output=True, check=False
    )
    assert b"HOST IDENTIFICATION HAS CHANGED" in reply.stderr
    assert type(trouble_of(host.name, config)) is HostKeyChanged


def test_a_revoked_host_key(host: KindOfHost, more: Sequence[str]) -> None:
    config = host.config(*more)
    (host.folder / "known_hosts").write_text(f"{host.name} {host.host_key()}\n@revoked * {host.host_key()}")
    assert type(trouble_of(host.name, config)) is HostKeyRevoked


def test_a_host_key_in_a_file_of_revoked_keys(host: KindOfHost, tmp_path: Path) -> None:
    (tmp_path / "revoked").write_text(host.host_key())
    assert type(trouble_of(host.name, host.config(f"RevokedHostKeys {tmp_path}/revoked"))) is HostKeyRevoked


@pytest.mark.parametrize("known", ["real*", "*,!elsewhere", "hashed"])
def test_known_hosts_are_read_as_openssh_reads_them(host: KindOfHost, more: Sequence[str], known: str) -> None:
    config = host.config(*more)
    path = host.folder / "known_hosts"
    if known == "hashed":
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, capture_output=True)
        assert host.name not in path.read_text()
    else:
        path.write_text(f"{known} {host.host_key()}")
    assert _is_in(host.name, config)
    path.write_text(f"*,!{host.name} {host.host_key()}")
    assert type(trouble_of(host.name, config)) is HostKeyUnknown


def _is_in(name: str, config: Path, password: str | None = None) -> bool:
    session = SshSession(route(name, config), password=password)
    try:
        return session.run(["true"]).status == 0
    finally:
        session.close()


def test_no_key_a_locked_key_and_one_that_is_not_let_in(host: KindOfHost, more: Sequence[str]) -> None:
    assert type(trouble_of(host.name, host.config(*more, key=None))) is NoKey
    locked = trouble_of(host.name, host.config(*more, key="rsa-locked"))
    assert type(locked) is KeyLocked
    assert f"ssh-add {key_file('rsa-locked')}" in str(locked)
    for key in ("other-ed25519", "other-rsa", "other-ecdsa"):
        error = trouble_of(host.name, host.config(*more, key=key))
        assert type(error) is LoginRefused
        assert "Permission denied (publickey" in str(error)
        assert str(key_file(key)) in str(error)


def test_a_key_that_others_may_read_is_not_used(host: KindOfHost, more: Sequence[str], tmp_path: Path) -> None:
    mine = tmp_path / "id"
    mine.write_bytes(key_file("ed25519").read_bytes())
    mine.chmod(0o644)
    error = trouble_of(host.name, host.config(*more, f"IdentityFile {mine}", key=None))
    assert type(error) is LoginRefused
    assert f"chmod 600 {mine}" in str(error)


@pytest.mark.parametrize("methods", ["password", "keyboard-interactive", "keyboard-interactive,password"])
def test_a_password_is_offered_once(tmp_path: Path, more: Sequence[str], methods: str) -> None:
    with OddServer(tmp_path, Ways(methods=methods, password="right")) as odd:
        config = odd.config(*more, key=None)
        assert _is_in("odd", config, "right")
        odd.ways.tried.clear()
        error = trouble_of("odd", config, "wrong")
        assert type(error) is LoginRefused
        assert [word.split()[-1] for word in odd.ways.tried] == ["wrong"]


def test_without_a_password_none_is_asked_for(tmp_path: Path, more: Sequence[str]) -> None:
    with OddServer(tmp_path, Ways(methods="password,keyboard-interactive", password="right")) as odd:
        error = trouble_of("odd", odd.config(*more))
        assert type(error) is LoginRefused
        assert "Permission denied (password,keyboard-interactive)" in str(error)
        assert odd.ways.tried == []


@pytest.mark.parametrize("methods", ["password", "keyboard-interactive"])
def test_an_expired_password(tmp_path: Path, more: Sequence[str], methods: str) -> None:
    with OddServer(tmp_path, Ways(methods=methods, password="right", has_expired=True)) as odd:
        error = trouble_of("odd", odd.config(*more, key=None), "right")
        assert type(error) is PasswordExpired
        assert len(odd.ways.tried) == 1


def test_a_prompt_that_only_a_person_can_answer(tmp_path: Path, more: Sequence[str]) -> None:
    with OddServer(tmp_path, Ways(methods="keyboard-interactive", password="x", prompts=("Token code: ",))) as odd:
        error = trouble_of("odd", odd.config(*more, key=None), "secret")
        assert isinstance(error, LoginRefused)
        assert odd.ways.tried in ([], ["answer "])
        assert "secret" not in " ".join(odd.ways.tried)


def test_a_connection_that_ends_without_a_word_may_have_broken_but_a_password_is_not_offered_again(
    tmp_path: Path, more: Sequence[str]
) -> None:
    with OddServer(tmp_path, Ways(hangs_up=True, methods="publickey,password", password="right")) as odd:
        error = trouble_of("odd", odd.config(*more))
        assert type(error) is Unreachable
        assert "during the login" in str(error)
        assert isinstance(trouble_of("odd", odd.config(*more, key=None), "right"), LoginRefused)


def test_a_host_that_does_not_answer_a_login_is_not_one_that_refuses_it(
    tmp_path: Path, more: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lpmkit.ssh.paramiko_login.LOGIN_TIMEOUT_S", 1.0)
    monkeypatch.setattr("lpmkit.ssh.openssh.LOGIN_TIMEOUT_S", 0.5)
    with OddServer(tmp_path, Ways(keeps_silent=True)) as odd:
        assert type(trouble_of("odd", odd.config(*more, "ConnectTimeout 1"))) is TimedOut


@pytest.mark.parametrize(
    "banner",
    [
        "3004-303 There have been too many unsuccessful login attempts; please see the system administrator.",
        "The account is locked due to 3 failed logins.",
    ],
)
def test_a_locked_account(tmp_path: Path, more: Sequence[str], banner: str) -> None:
    with OddServer(tmp_path, Ways(banner=banner, algorithms=())) as odd:
        error = trouble_of("odd", odd.config(*more))
        assert type(error) is AccountLocked
        assert banner in str(error)


def test_a_banner_that_is_no_trouble(tmp_path: Path, more: Sequence[str]) -> None:
    banner = (
        "Authorised use only.\nYour password will expire in 5 days.\nIf your password has expired, call 1234.\n"
        "After too many unsuccessful login attempts the account is locked.\n"
    )
    with OddServer(tmp_path, Ways(banner=banner)) as odd:
        assert _is_in("odd", odd.config(*more))
    with OddServer(tmp_path, Ways(banner=banner, algorithms=())) as odd:
        assert type(trouble_of("odd", odd.config(*more))) is LoginRefused


@pytest.mark.parametrize(
    ("notice", "kind"),
    [
        ("WARNING: Your password has expired.\nPassword change required but no TTY available.\n", PasswordExpired),
        ("3004-610 You are required to change your password. Please choose a new one.\n", PasswordExpired),
        ("This account is currently not available.\n", AccountLocked),
        ("This service allows sftp connections only.\n", AccountLocked),
    ],
)
def test_a_host_that_answers_every_command_with_a_trouble_of_the_account(
    tmp_path: Path, more: Sequence[str], notice: str, kind: type[RemoteError]
) -> None:
    with OddServer(tmp_path, Ways(notice=notice, only_notice=True)) as odd:
        assert type(trouble_of("odd", odd.config(*more))) is kind


def test_an_rsa_key_signs_as_openssh_would_for_a_server_that_announces_nothing(tmp_path: Path) -> None:
    """Without ``server-sig-algs`` only SHA-1 remains, and only a configuration that asks for it gets it."""
    with OddServer(tmp_path, Ways(), host_key="ecdsa") as odd:
        error = trouble_of("odd", odd.config(key="rsa"))
        assert type(error) is LoginRefused
        assert "PubkeyAcceptedAlgorithms +ssh-rsa" in str(error)
        assert odd.ways.tried == []
        session = SshSession(route("odd", odd.config("PubkeyAcceptedAlgorithms +ssh-rsa", key="rsa")))
        reply = session.run(["true"])
        session.close()
        assert reply.status == 0
        # Releases of paramiko that still have SHA-1 sign by themselves.
        own = "ssh-rsa" in supported("pubkeyacceptedalgorithms")
        assert reply.over.startswith("transport: paramiko" if own else "transport: OpenSSH_")
        assert ("only OpenSSH can sign with ssh-rsa" in reply.over) is not own


NOTICE = "*** Authorised use only ***\nNext maintenance: Sunday\n"


def test_a_notice_before_each_reply_is_no_part_of_it(tmp_path: Path, more: Sequence[str]) -> None:
    with OddServer(tmp_path, Ways(notice=NOTICE)) as odd:
        session = SshSession(route("odd", odd.config(*more)))
        reply = session.run(["uname"])
        assert (reply.command, reply.output) == ("LANG=C uname", "LANG=C uname\n")
        assert "notice: *** Authorised use only" in reply.over
        replies = session.run_all([["first"], ["second"]])
        assert [one and one.output for one in replies] == ["LANG=C first\n", "LANG=C second\n"]
        session.close()


def test_a_notice_on_standard_error_is_no_error_of_a_command(host: KindOfHost, more: Sequence[str]) -> None:
    rc = host.folder / "rc"
    rc.write_text("echo noted >&2; echo told\n")
    session = SshSession(route(host.name, host.config(*more)))
    assert greeting(_Noisy(session._connected(), rc), "word", 20.0) == Greeting("told\n", "noted\n")
    session.close()


class _Noisy:
    """A connection whose shell reads a file before each command, as a login script is read."""

    def __init__(self, connection: SshConnection, rc: Path) -> None:
        self._connection, self._rc = connection, rc
        self.facts: dict[str, str] = {}

    def start(self, line: str, prepare: Prepare | None = None) -> paramiko.Channel:
        return self._connection.start(f". {self._rc}; {line}", prepare)

    def is_active(self) -> bool:
        return self._connection.is_active()

    def reach(self, hostname: str, port: int) -> Wire:
        return self._connection.reach(hostname, port)

    def close(self) -> None:
        self._connection.close()


@pytest.mark.parametrize(
    "line",
    [
        "rbash: line 1: /usr/bin/uname: restricted: cannot specify `/' in command names",
        "hmcbash: /usr/bin/uname: restricted: cannot specify `/' in command names",
        "rksh: /usr/bin/uname: restricted",
    ],
)
def test_a_restricted_shell_is_named(line: str) -> None:
    with pytest.raises(CommandRefused, match=r"shell is restricted.*full shell"):
        Reply("vios", "LANG=C /usr/bin/uname", 1, "", line).checked()
    with pytest.raises(CommandRefused, match="exit status 1"):
        Reply("vios", "LANG=C lslpp", 1, "", "lslpp: this fileset is restricted").checked()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[compat]: 3004-327 Your password has been expired for too long.", PasswordExpired),
        ("WARNING: Your password has expired.", PasswordExpired),
        ("*** Password has expired", PasswordExpired),
        ("3004-610 Sie müssen Ihr Kennwort ändern.", PasswordExpired),
        ("@" * 100_000 + " WARNING: " + "x:" * 100_000, type(None)),
        ("3004-302 Your account has been locked; please see the system administrator.", AccountLocked),
        ("Your account has expired; please contact your system administrator", AccountLocked),
        ("Account locked due to 5 failed logins", AccountLocked),
        ("Your account will be locked after 3 failures", type(None)),
    ],
)
def test_what_a_host_says_of_an_account(text: str, kind: type[object]) -> None:
    assert type(account_trouble(f"Welcome\n{text}\n", "h", "padmin")) is kind


def test_a_key_of_a_kind_that_the_configuration_forbids_is_named_with_the_line(
    host: KindOfHost, more: Sequence[str]
) -> None:
    error = trouble_of(host.name, host.config(*more, "PubkeyAcceptedAlgorithms ssh-ed25519", key="ecdsa"))
    assert type(error) is LoginRefused
    assert "PubkeyAcceptedAlgorithms +ecdsa-sha2-nistp256" in str(error)


def test_a_host_that_opens_no_session_has_not_started_the_command(tmp_path: Path, more: Sequence[str]) -> None:
    with KindOfHost(tmp_path, Kind(lines=("MaxSessions 0",))) as full:
        error = trouble_of(full.name, full.config(*more))
        assert "it opened no session" in str(error)
        assert "was not started" in str(error)


def test_a_host_that_is_suspended_before_it_starts_the_command_is_given_up_in_time(
    tmp_path: Path, more: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with OddServer(tmp_path, Ways()) as server:
        session = SshSession(route("odd", server.config(*more)))
        assert session.run(["uname"]).status == 0
        server.ways.starts_nothing = True
        monkeypatch.setattr(connection, "CHANNEL_TIMEOUT_S", 0.5)
        with pytest.raises((ConnectionLost, NoAnswer)):
            session.run(["uname"], timeout_s=0.5)
        session.close()


def test_a_locked_key_is_left_out_where_there_is_a_password(tmp_path: Path, more: Sequence[str]) -> None:
    with OddServer(tmp_path, Ways(methods="publickey,password", password="right")) as odd:
        assert _is_in("odd", odd.config(*more, key="rsa-locked"), "right")
        assert odd.ways.tried[-1] == "password right"
        odd.ways.tried.clear()
        assert type(trouble_of("odd", odd.config(*more, key="rsa-locked"), "wrong")) is LoginRefused
        assert [word for word in odd.ways.tried if word.startswith("password")] == ["password wrong"]


def test_a_command_offers_a_wrong_password_once_however_many_frames_it_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODD_PASSWORD", "wrong")
    with OddServer(tmp_path, Ways(methods="password", password="right")) as odd:
        frame = {"host": "odd", "mover_address": "192.0.2.7", "password": "env:ODD_PASSWORD"}
        settings = {"ssh_config": str(odd.config(key=None)), "frames": {"a": frame, "b": frame}}
        site = tmp_path / "site.yaml"
        site.write_text(json.dumps({**settings, "runs": {"folder": str(tmp_path / "runs")}}))
        done = CliRunner().invoke(main, [f"--site={site}", "inventory", "--json"])
        assert done.exit_code == 3
        assert odd.ways.tried == ["password wrong"]
    assert not refusals_are_kept(), "the next command of a person tries again"
