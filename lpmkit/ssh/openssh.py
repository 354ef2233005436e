"""The transport over OpenSSH: one ``ssh`` process for each connection, which holds it for all commands.

It reads the user's own configuration and checks host keys by itself; lpmkit only takes away what is for a terminal
(prompts, forwardings, commands) and gives it the connection through a `Relay`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Protocol

import paramiko

from lpmkit.errors import LpmError, TimedOut, Unreachable
from lpmkit.ssh.mux import ChannelWire, MuxChannel, MuxClient, stream_through
from lpmkit.ssh.openssh_answers import refusal, served
from lpmkit.ssh.relay import HAND_OVER, Relay
from lpmkit.ssh.route import LOGIN_TIMEOUT_S, Route, by_hand, ssh_program
from lpmkit.ssh.wire import Wire, words_of_proxy

#: Longest path of a control socket: 108 bytes of a Unix socket without the suffix that ssh adds while it binds it.
_MAX_PATH = 80
#: Seconds until an ``ssh`` process that was told to end is ended.
_END_S = 2.0
#: The options that the configuration cannot change. A suspended partition is silent longer than any limit of a
#: terminal.
_FIXED = {
    "ControlMaster": "yes",
    "ControlPersist": "no",
    "StrictHostKeyChecking": "yes",
    "UpdateHostKeys": "no",
    "NoHostAuthenticationForLocalhost": "no",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "GSSAPIDelegateCredentials": "no",
    "AddKeysToAgent": "no",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "Tunnel": "no",
    "EscapeChar": "none",
    "ServerAliveCountMax": "1000000",
    "NumberOfPasswordPrompts": "1",
    "LogLevel": "DEBUG2",
    "ProxyUseFdpass": "yes",
}
#: Answers the first question for a password with the one in the environment. A key's passphrase is not answered, so
#: that the key is left out. At any other question it ends ``ssh``, which would send an empty answer, and the host would
#: count that as one more failed login.
_ASKPASS = """#!/bin/sh
case "$1" in
*passphrase*|*" PIN "*|*presence*) exit 1 ;;
*[Nn]ew*|*[Rr]etype*) ;;
*assword*|*asswort*|*ennwort*|*"mot de passe"*|*ontrase*|*arola*|*[Hh]as?o*|*[Hh]as??o*|*senha*)
    mkdir "$LPMKIT_ASKED" 2>/dev/null && { printf '%s\\n' "$LPMKIT_SECRET"; exit 0; } ;;
esac
printf '%s\\n' "$1" >"$LPMKIT_ASKED-more"
kill "$PPID"
exit 1
"""


class _Closable(Protocol):
    def close(self) -> None: ...


class OpenSshConnection:
    """A connection that an ``ssh`` process holds; ``below`` is the jump host that it goes through.

    ``is_ours`` is false for a session of the user, which is not ended.
    """

    def __init__(
        self,
        path: Path,
        facts: Mapping[str, str],
        *,
        relay: Relay | None = None,
        folder: Path | None = None,
        below: _Closable | None = None,
    ) -> None:
        self.path, self.facts = path, facts
        self._relay, self._below = relay, below
        # A process that ends without closing its sessions leaves no folder either.
        self._clear = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True) if folder else None
        self._watch = MuxClient(path)
        self._pid = self._watch.alive()

    def is_active(self) -> bool:
        """False once the ``ssh`` process, or its way to the host, is gone."""
        if self._relay is not None and not self._relay.is_open:
            return False
        self._watch.wire.setblocking(False)
        try:
            return bool(self._watch.wire.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def start(self, line: str, prepare: Callable[[paramiko.Channel], object] | None = None) -> paramiko.Channel:
        """Start a command line. Raises `OSError`, `EOFError` or `paramiko.SSHException`."""
        relay = self._relay
        wire = ChannelWire(relay.tcp if relay else None, relay.placed if relay else lambda written_ns: None)
        channel = MuxChannel(wire)
        if prepare is not None:
            prepare(channel)
        channel.begin(self.path, line)
        return channel

    def reach(self, hostname: str, port: int) -> Wire:
        """A stream through this host to another. Raises like `start`."""
        return stream_through(self.path, hostname, port)

    def close(self) -> None:
        """End our ``ssh`` process, its folder, and the jump host below."""
        if self._relay is not None:
            self._end()
        self._watch.close()
        if self._clear is not None:
            self._clear()
        if self._below is not None:
            self._below.close()

    def _end(self) -> None:
        self._watch.wire.settimeout(_END_S)
        try:
            self._watch.terminate()
            has_ended = self._watch.wire.recv(1) == b""
        except TimeoutError:
            has_ended = False
        except (OSError, EOFError, paramiko.SSHException):
            has_ended = True  # it went before it was told
        if not has_ended:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGTERM)
        if self._relay is not None:
            self._relay.close()


def join_open_session(target: Route) -> OpenSshConnection | None:
    """The session that the user holds open under ``ControlPath``; ``None`` without one that answers."""
    path = target.options.first("controlpath")
    if path is None or not Path(path).is_socket():
        return None
    try:
        return OpenSshConnection(
            Path(path),
            {"transport": "OpenSSH, a session that is open", "why": f"your session under ControlPath {path} is open"},
        )
    except (OSError, EOFError, paramiko.SSHException):
        return None  # a socket that a dead process left: ssh, too, connects by itself then


def start_master(
    target: Route, wire: Wire, password: str | None, reason: str, below: _Closable | None = None
) -> OpenSshConnection:
    """Log in with an ``ssh`` process over a connection. ``reason`` says why OpenSSH, for the record.

    Raises `Unreachable`, `HostKeyRefused` or `LoginRefused`, each with the next step.
    """
    folder = _private_folder()
    relay = Relay(wire, folder / "door")
    try:
        with tempfile.TemporaryFile() as log:
            status = _run(target, folder, password, log)
            log.seek(0)
            told = log.read().decode("utf-8", "replace")
        if status != 0:
            more = folder / "asked-more"
            question = more.read_text("utf-8", "replace").strip() if more.exists() else None
            raise refusal(target, told, words_of_proxy(wire), question, with_password=password is not None)
        facts = {"transport": version(), **served(told), "why": reason}
        return OpenSshConnection(folder / "master", facts, relay=relay, folder=folder, below=below)
    except (OSError, EOFError, paramiko.SSHException) as error:
        relay.close()
        shutil.rmtree(folder, ignore_errors=True)
        raise Unreachable(
            f"the ssh process for {target.address} ended at once: {error}",
            where=target.host,
            next_step=f"Try `{by_hand(target)}`.",
        ) from error
    except LpmError:
        relay.close()
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _private_folder() -> Path:
    """A folder that only this user can enter, with a name short enough for a socket."""
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp: 0700
        if parent and len(parent) < _MAX_PATH - 20 and os.access(parent, os.W_OK):
            return Path(tempfile.mkdtemp(prefix="lpmkit-", dir=parent))
    raise Unreachable("there is no folder for the control socket of ssh", next_step="Set TMPDIR to a short path.")


def _run(target: Route, folder: Path, password: str | None, log: IO[bytes]) -> int:
    """Start the ``ssh`` process; it goes to the background when it has logged in. Its exit status."""
    limit_s = target.handshake_timeout_s + 2 * LOGIN_TIMEOUT_S
    try:
        return subprocess.run(  # noqa: S603 - OpenSSH itself, with a host name as one argument behind "--"
            _command(target, folder, with_password=password is not None),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=_environment(folder, password),
            start_new_session=True,
            timeout=limit_s,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired as error:
        raise TimedOut(
            f"no login at {target.address} within {limit_s:g} s",
            where=target.host,
            next_step=f"Try `{by_hand(target)}`.",
        ) from error


def _command(target: Route, folder: Path, *, with_password: bool) -> list[str]:
    options = {
        "ControlPath": str(folder / "master").replace("%", "%%"),
        "BatchMode": "no" if with_password else "yes",
        # Commands of the configuration run in the user's shell.
        "ProxyCommand": shlex.join([sys.executable, "-I", "-S", "-c", HAND_OVER, str(folder / "door")]).replace(
            "%", "%%"
        ),
        "ConnectTimeout": str(int(target.handshake_timeout_s)),
        **_FIXED,
    }
    if not target.options.is_on("gssapiauthentication"):
        options.pop("GSSAPIDelegateCredentials")  # a client without GSSAPI does not know it
    config = ["-F", str(target.ssh_config)] if target.ssh_config else []
    given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return [ssh_program(), "-f", "-N", "-T", *config, *given, *target.arguments, "--", target.host]


def _environment(folder: Path, password: str | None) -> dict[str, str]:
    """The environment of the ``ssh`` process; with a password, the program that answers with it once."""
    environment = {name: value for name, value in os.environ.items() if name not in ("SSH_ASKPASS", "LC_ALL")}
    environment |= {"LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"}
    if password is not None:
        program = folder / "askpass"
        program.write_text(_ASKPASS, encoding="ascii")
        program.chmod(0o700)
        environment |= {
            "SSH_ASKPASS": str(program),
            "SSH_ASKPASS_REQUIRE": "force",
            "DISPLAY": environment.get("DISPLAY", ":0"),  # versions before 8.4 ask it only with a display
            "LPMKIT_SECRET": password,
            "LPMKIT_ASKED": str(folder / "asked"),
        }
    return environment


@cache
def version() -> str:
    """The version of the OpenSSH client, such as ``OpenSSH_9.2p1``."""
    reply = subprocess.run([ssh_program(), "-V"], capture_output=True, text=True, check=False)  # noqa: S603 - ssh -V
    match = re.search(r"OpenSSH_\S+", reply.stderr)
    return match[0].rstrip(",") if match else "OpenSSH"
