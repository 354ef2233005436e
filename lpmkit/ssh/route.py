"""Routes to hosts, as OpenSSH's configuration gives them (``ssh -G HOST``)."""

from __future__ import annotations

import getpass
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from lpmkit.errors import UsageError
from lpmkit.ssh.options import Options

#: Seconds for the TCP connection where the configuration names no ``ConnectTimeout``.
CONNECT_TIMEOUT_S = 15.0
#: Seconds for the server's first line and the key exchange, likewise: a server whose name service is slow keeps silent
#: for that long, and `ssh` waits for it.
HANDSHAKE_TIMEOUT_S = 60.0
#: Seconds for one answer to a login.
LOGIN_TIMEOUT_S = 60.0
#: Jump hosts of jump hosts; more is a loop in the configuration.
MAX_JUMPS = 8


@dataclass(frozen=True)
class Route:
    """Route to a host by OpenSSH's configuration (``ssh -G HOST``).

    ``arguments`` come before the name at the prompt: user and port of a jump host.
    """

    host: str
    hostname: str
    port: int
    user: str
    identities: tuple[str, ...] = ()
    known_hosts: tuple[str, ...] = ()
    host_key_alias: str | None = None
    jumps: tuple[str, ...] = ()
    proxy_command: str | None = None
    use_agent: bool = True
    ssh_config: Path | None = None
    options: Options = field(default=Options({}), repr=False)
    arguments: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """Host name and port of the connection."""
        return f"{self.hostname}:{self.port}"

    @property
    def account(self) -> str:
        """The account of the login, as it is named in refusals."""
        return f"ssh {self.user}@{self.address}"

    @property
    def connect_timeout_s(self) -> float:
        """Limit of the TCP connection: ``ConnectTimeout`` of the configuration, or ours."""
        return float(self.options.number("connecttimeout", 0)) or CONNECT_TIMEOUT_S

    @property
    def handshake_timeout_s(self) -> float:
        """Limit of the server's first line and of the key exchange."""
        return float(self.options.number("connecttimeout", 0)) or HANDSHAKE_TIMEOUT_S

    @cached_property
    def key_names(self) -> tuple[str, ...]:
        """The names under which the host's key may be known, the exact one first (C `OPENSSH-CONFIG`)."""
        if self.host_key_alias:
            return (self.host_key_alias,)
        return (self.hostname,) if self.port == 22 else (f"[{self.hostname}]:{self.port}", self.hostname)

    @property
    def command(self) -> list[str]:
        """The command with which a person logs in by the same route, as arguments."""
        config = ["-F", str(self.ssh_config)] if self.ssh_config else []
        return ["ssh", *config, *self.arguments, self.host]


def by_hand(target: Route) -> str:
    """The command with which a person logs in by the same route."""
    return " ".join(target.command)


def route(host: str, ssh_config: Path | None = None, arguments: Sequence[str] = ()) -> Route:
    """Ask OpenSSH for the route to ``host``. Raises `UsageError` if it cannot provide one."""
    if not is_host_name(host):
        # not every release of OpenSSH refuses a line break, which would be a line of its answer, such as a ProxyCommand
        raise UsageError(f"{host!r} is no name of a host", next_step="Correct the name in the site file.")
    program = ssh_program()
    if ssh_config is not None and not ssh_config.is_file():
        raise UsageError(
            f"there is no ssh config {ssh_config}", where=host, next_step="Correct `ssh_config` in the site file."
        )
    options = ["-F", str(ssh_config)] if ssh_config else []
    reply = subprocess.run(  # noqa: S603 - OpenSSH itself, with a host name as one argument behind "--"
        [program, "-G", *options, *arguments, "--", host], capture_output=True, text=True, check=False, timeout=60
    )
    if reply.returncode != 0:
        raise UsageError("OpenSSH rejects its configuration for this host", where=host, answered=reply.stderr)
    return replace(read_route(host, reply.stdout, ssh_config), arguments=tuple(arguments))


def is_host_name(text: str) -> bool:
    r"""True for what can be a host's name or alias: no option, no blank, nothing that steers a terminal.

    >>> is_host_name("fe80::1%en0"), is_host_name("-oProxyCommand=x"), is_host_name("a\nproxycommand x")
    (True, False, False)
    """
    return bool(text) and not text.startswith("-") and text.isprintable() and " " not in text


def ssh_program() -> str:
    """The OpenSSH client. Raises `UsageError` where there is none."""
    program = shutil.which("ssh")
    if program is None:
        raise UsageError(
            "there is no OpenSSH client on this machine",
            next_step="Install openssh-client: lpmkit takes addresses and keys of hosts from it.",
        )
    return program


def read_route(host: str, text: str, ssh_config: Path | None = None) -> Route:
    r"""Parse the output of ``ssh -G``.

    >>> read_route("b", "user padmin\nhostname 192.0.2.82\nport 22\nidentityfile ~/.ssh/id\nproxyjump none\n").address
    '192.0.2.82:22'
    """
    options = Options.read(text)
    jumps = options.first("proxyjump")
    target = Route(
        host=host,
        hostname=options.first("hostname") or host,
        port=options.number("port", 22),
        user=options.first("user") or getpass.getuser(),
        host_key_alias=options.first("hostkeyalias"),
        jumps=tuple(jumps.split(",")) if jumps else (),
        proxy_command=options.first("proxycommand"),
        use_agent=not options.is_on("identitiesonly"),
        ssh_config=ssh_config,
        options=options,
    )
    files = [
        name for key in ("userknownhostsfile", "globalknownhostsfile") for name in _file_names(options.all(key), target)
    ]
    return replace(
        target,
        identities=tuple(expanded(name, target) for name in options.all("identityfile")),
        known_hosts=tuple(files),
    )


def _file_names(lines: Sequence[str], target: Route) -> Iterator[str]:
    """The files of a line; ``ssh -G`` prints them without the quotes that a name with a space had."""
    for line in lines:
        words = line.split()
        while words:
            taken = next(
                (count for count in range(len(words), 1, -1) if Path(" ".join(words[:count])).expanduser().is_file()), 1
            )
            yield expanded(" ".join(words[:taken]), target)
            words = words[taken:]


def expanded(text: str, target: Route) -> str:
    """A file's name of the configuration, with ``~``, ``${NAME}`` and the tokens of ssh_config(5) filled in.

    >>> expanded("/k/%r@%h", Route("b", "192.0.2.82", 22, "padmin"))
    '/k/padmin@192.0.2.82'
    """
    return str(Path(filled_in(text, target)).expanduser())


def filled_in(text: str, target: Route) -> str:
    """A text of the configuration with its tokens filled in; an unknown token stays as it is."""
    tokens = {
        "%": "%",
        "h": target.hostname,
        "n": target.host,
        "p": str(target.port),
        "r": target.user,
        "k": target.host_key_alias or target.hostname,
        "u": getpass.getuser(),
        "d": str(Path.home()),
        "l": socket.gethostname(),
        "L": socket.gethostname().partition(".")[0],
        "j": ",".join(target.jumps),
    }
    return re.sub(r"%(.)", lambda match: tokens.get(match[1], match[0]), text)


def jump_route(target: Route, depth: int = 0) -> Route:
    """The route to the last of a host's jump hosts; the earlier ones are its own jumps.

    A jump host is written ``[USER@]HOST[:PORT]`` or as an address of the form ``ssh://``. Raises `UsageError` for a
    loop.
    """
    if depth >= MAX_JUMPS:
        raise UsageError(
            f"its jump hosts need more than {MAX_JUMPS} jump hosts in a row",
            where=target.host,
            next_step="Look for a loop of ProxyJump in the ssh configuration.",
        )
    *earlier, last = target.jumps
    user, host, port = read_jump(last)
    arguments = [*(["-l", user] if user else []), *(["-p", port] if port else [])]
    jump = route(host, target.ssh_config, arguments)
    # Jumps that were listed come before those that the jump host's own configuration names, as with `ssh -J`.
    return replace(jump, jumps=tuple(earlier), proxy_command=None) if earlier else jump


def read_jump(text: str) -> tuple[str, str, str]:
    """User, host and port of a jump host; empty where it does not say.

    >>> read_jump("padmin@[2001:db8::1]:2222")
    ('padmin', '2001:db8::1', '2222')
    >>> read_jump("gate")
    ('', 'gate', '')
    """
    user, _, address = text.removeprefix("ssh://").rstrip("/").rpartition("@")
    bracketed = re.fullmatch(r"\[(.+)\](?::(\d+))?", address)
    if bracketed:
        return user, bracketed[1], bracketed[2] or ""
    host, colon, port = address.rpartition(":")
    return (user, host, port) if colon and ":" not in host else (user, address, "")
