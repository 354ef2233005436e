"""An SSH server in this process that does what no OpenSSH server does: old signatures only, late or odd words."""

from __future__ import annotations

import getpass
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import paramiko
from cryptography.hazmat.primitives import hashes
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED
from paramiko.server import InteractiveQuery

from tests.ssh_servers import key_file


class _Transport(paramiko.Transport):
    """A server's transport that knows the old signature; it never says which ones it knows."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        #: Released when the client has been told that its command starts; output before that would be lost.
        self.granted = threading.Semaphore(0)

    def _send_user_message(self, message: paramiko.Message) -> None:
        super()._send_user_message(message)  # type: ignore[misc] # paramiko's own, which has no public name
        if message.asbytes()[:1] == bytes([99]):  # SSH_MSG_CHANNEL_SUCCESS
            self.granted.release()


#: An RSA key that verifies signatures with SHA-1, too, and a transport that knows them.
_OldRsaKey = type("_OldRsaKey", (paramiko.RSAKey,), {"HASHES": {**paramiko.RSAKey.HASHES, "ssh-rsa": hashes.SHA1}})
_Transport._key_info = {**vars(paramiko.Transport)["_key_info"], "ssh-rsa": _OldRsaKey}  # type: ignore[attr-defined]
_PUBLIC_KEYS = (*vars(paramiko.Transport)["_preferred_pubkeys"], "ssh-rsa")
_Transport._preferred_pubkeys = _PUBLIC_KEYS  # type: ignore[attr-defined]


@dataclass
class Ways:
    """The behaviour of the server. Times in seconds; texts in the host's words."""

    methods: str = "publickey"
    password: str | None = None
    banner: str | None = None
    #: Before the first line of the server.
    silent_s: float = 0.0
    #: Before the answer to a password: texts of prompts, of which none is a password's.
    prompts: Sequence[str] = ()
    #: The answer to a right password is a request for a new one.
    has_expired: bool = False
    #: What a command prints before, or instead of, its own output.
    notice: str = ""
    only_notice: bool = False
    #: A channel opens, and the request to start a command gets no answer.
    starts_nothing: bool = False
    #: Instead of an answer to a key or a password the connection ends, with no word, or nothing comes.
    hangs_up: bool = False
    keeps_silent: bool = False
    #: Signatures that the server accepts.
    algorithms: Sequence[str] = ("ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256")
    tried: list[str] = field(default_factory=list)


class OddServer:
    """The server; a ``with`` block. Commands print themselves."""

    def __init__(self, folder: Path, ways: Ways, host_key: str = "ed25519") -> None:
        self.folder, self.ways, self._key_name = folder, ways, host_key
        kind = {"ed25519": paramiko.Ed25519Key, "ecdsa": paramiko.ECDSAKey, "rsa": paramiko.RSAKey}[host_key]
        self._host_key = kind(filename=str(key_file(host_key)))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._transports: list[paramiko.Transport] = []
        self.logins = 0
        self.ended = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for transport in self._transports:
            transport.close()

    def config(self, *lines: str, key: str | None = "ed25519") -> Path:
        """A client's configuration; more lines come first."""
        path = self.folder / "config"
        (self.folder / "known_hosts").write_text(f"odd {Path(f'{key_file(self._key_name)}.pub').read_text()}")
        own = [
            "HostName 127.0.0.1",
            f"Port {self.port}",
            f"User {getpass.getuser()}",
            "HostKeyAlias odd",
            f"IdentityFile {key_file(key) if key else 'none'}",
            "IdentitiesOnly yes",
            f"UserKnownHostsFile {self.folder}/known_hosts",
            "GlobalKnownHostsFile /dev/null",
        ]
        path.write_text("\n".join(["Host odd", *(f"  {line}" for line in [*lines, *own])]) + "\n")
        return path

    def _accept(self) -> None:
        while True:
            try:
                wire, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(wire,), daemon=True).start()

    def _serve(self, wire: socket.socket) -> None:
        time.sleep(self.ways.silent_s)
        transport = _Transport(wire, server_sig_algs=False)
        transport.add_server_key(self._host_key)
        self._transports.append(transport)
        try:
            transport.start_server(server=_Login(self, transport))
        except (paramiko.SSHException, OSError, EOFError):
            transport.close()  # the client went


class _Login(paramiko.ServerInterface):
    def __init__(self, server: OddServer, transport: _Transport) -> None:
        self._server, self._ways, self._transport = server, server.ways, transport

    def get_allowed_auths(self, username: str) -> str:
        return self._ways.methods

    def get_banner(self) -> tuple[Any, Any]:
        return (self._ways.banner, "en") if self._ways.banner else (None, None)

    def check_auth_none(self, username: str) -> int:
        return AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self._ways.tried.append(key.get_name())
        self._odd()
        if "publickey" not in self._ways.methods or key.get_name() not in self._ways.algorithms:
            return AUTH_FAILED
        self._server.logins += 1
        return AUTH_SUCCESSFUL

    def _odd(self) -> None:
        if self._ways.hangs_up:
            self._transport.close()
        if self._ways.keeps_silent:
            self._server.ended.wait(60)

    def check_auth_password(self, username: str, password: str) -> int:
        self._ways.tried.append(f"password {password}")
        self._odd()
        if password != self._ways.password:
            return AUTH_FAILED
        if self._ways.has_expired:
            message = paramiko.Message()
            message.add_byte(bytes([60]))  # SSH_MSG_USERAUTH_PASSWD_CHANGEREQ
            message.add_string("Your password has expired.")
            message.add_string("")
            self._transport._send_message(message)  # type: ignore[attr-defined] # paramiko has no name for it
            time.sleep(0.5)
        self._server.logins += 1
        return AUTH_SUCCESSFUL

    def check_auth_interactive(self, username: str, submethods: str) -> int | InteractiveQuery:
        query = InteractiveQuery("", "")
        for prompt in self._ways.prompts or ("Password: ",):
            query.add_prompt(prompt, echo=False)
        return query

    def check_auth_interactive_response(self, responses: Sequence[str]) -> int | InteractiveQuery:
        self._ways.tried.append(f"answer {' '.join(responses)}")
        if list(responses) != [self._ways.password]:
            return AUTH_FAILED
        if self._ways.has_expired:
            query = InteractiveQuery("", "You are required to change your password immediately.")
            query.add_prompt("New password: ", echo=False)
            return query
        self._server.logins += 1
        return AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if self._ways.starts_nothing:
            self._server.ended.wait(60)
            return False
        threading.Thread(target=self._run, args=(channel, command), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel, command: bytes) -> None:
        self._transport.granted.acquire()
        channel.sendall(self._ways.notice.encode())
        if not self._ways.only_notice:
            for word in command.decode().split("; "):
                channel.sendall((self._reply(word)).encode())
        channel.send_exit_status(1 if self._ways.only_notice else 0)
        channel.close()

    def _reply(self, word: str) -> str:
        return f"{word.removeprefix('echo ').replace('$?', '0')}\n" if word.startswith("echo ") else f"{word}\n"
