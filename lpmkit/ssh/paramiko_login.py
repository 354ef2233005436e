"""Logging in with paramiko, as OpenSSH would: its algorithms, its order of keys, its names for what goes wrong."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from paramiko.packet import NeedRekeyException

from lpmkit.errors import (
    HostKeyRefused,
    LoginRefused,
    RemoteError,
    TimedOut,
    Unreachable,
)
from lpmkit.ssh.keys import Candidate, Usable, agent_of, candidates, judged
from lpmkit.ssh.known_hosts import KnownHosts, Trust, fingerprint
from lpmkit.ssh.login_texts import account_trouble
from lpmkit.ssh.login_troubles import (
    PASSWORD,
    asks_for_password,
    ended_during_login,
    host_key_trouble,
    login_refusal,
    methods_of,
    password_expired,
    question_for_a_person,
)
from lpmkit.ssh.negotiation import KINDS, Negotiation, no_common
from lpmkit.ssh.route import LOGIN_TIMEOUT_S, Route, by_hand
from lpmkit.ssh.rx_timestamps import StampedSocket
from lpmkit.ssh.turns import Packets
from lpmkit.ssh.wire import Wire, words_of_proxy

#: OpenSSH 7.4 understands SHA-2 signatures and does not say so (C `OPENSSH-CLIENT`).
_SILENT_74 = "OpenSSH_7.4"


#: The errors that paramiko raises where a connection or a login fails.
TROUBLES = (paramiko.SSHException, OSError, EOFError, ValueError)


class NeedsOpenSsh(Exception):
    """The configuration and this host ask for more than the installed paramiko can do; nothing was tried."""


class Transport(paramiko.Transport):
    """paramiko's transport, which keeps what the host offers and with what words it ends the connection."""

    negotiation: Negotiation | None = None
    farewell = ""
    server_extensions: dict[str, bytes]
    #: The packets, where the connection is a socket of ours that a loop may read.
    turned: Packets | None = None

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)  # type: ignore[arg-type] # a channel through a jump host is a wire, too
        if isinstance(wire, StampedSocket):
            own = weakref.ref(self)
            self.turned = self.packetizer = Packets(wire, lambda: _is_exchanging_keys(own()))
            self.packetizer.set_log(self.logger)

    def take_turn(self) -> None:
        """Deal with what has arrived for channels, in the caller's thread, while `turned` is handed over."""
        packets = self.turned
        while packets is not None and packets.is_handed_over:
            try:
                message = packets.taken()
                if message is None:
                    if packets.need_rekey():
                        packets.give_back(NeedRekeyException())
                    return
                if not self._is_for_a_channel(*message):
                    packets.give_back(message)
            except (paramiko.SSHException, OSError, EOFError) as error:
                packets.give_back(error)

    def _is_for_a_channel(self, kind: int, content: paramiko.Message) -> bool:
        """Deal with a message for an open channel; false for any other."""
        if kind not in self._channel_handler_table:  # type: ignore[attr-defined] # paramiko's own, as below
            return False
        channel = self._channels.get(content.get_int())  # type: ignore[attr-defined]
        if channel is None:
            content.rewind()
            return False
        self._channel_handler_table[kind](channel, content)  # type: ignore[attr-defined]
        return True

    def _parse_kex_init(self, message: paramiko.Message) -> None:
        self.negotiation = Negotiation.read(message.asbytes())
        super()._parse_kex_init(message)  # type: ignore[misc] # paramiko's own, which has no public name

    def _parse_disconnect(self, message: paramiko.Message) -> None:
        look = paramiko.Message(message.asbytes())
        look.get_int()
        self.farewell = look.get_text()
        super()._parse_disconnect(message)  # type: ignore[misc] # as above


def _is_exchanging_keys(transport: Transport | None) -> bool:
    return transport is None or bool(transport.in_kex or transport._expected_packet)  # type: ignore[attr-defined]


@dataclass
class Login:
    """A login in progress: what was offered, and what the host said."""

    target: Route
    transport: Transport
    offered: list[str] = field(default_factory=list)
    methods: tuple[str, ...] = ()
    banner: str = ""
    by: str = ""

    def heard(self) -> None:
        """Keep the host's banner; paramiko forgets it with the next attempt."""
        banner = self.transport.get_banner()
        if banner:
            self.banner = banner.decode("utf-8", "replace")


def supported(kind: str) -> tuple[str, ...]:
    """The algorithms of one kind that the installed paramiko knows, by the option's name."""
    attribute = {
        "kexalgorithms": "_preferred_kex",
        "hostkeyalgorithms": "_preferred_keys",
        "pubkeyacceptedalgorithms": "_preferred_pubkeys",
        "ciphers": "_preferred_ciphers",
        "macs": "_preferred_macs",
    }[kind]
    return tuple(getattr(paramiko.Transport, attribute))


def log_in(target: Route, wire: Wire, password: str | None) -> tuple[Transport, dict[str, str]]:
    """Log in over a connection; the transport, and what served.

    Raises `NeedsOpenSsh`, `Unreachable`, `HostKeyRefused` or `LoginRefused`, the last three with the next step.
    """
    known = KnownHosts.read(target.known_hosts, target.key_names)
    transport = Transport(wire)
    try:
        _choose(transport, target, known)
        _handshake(transport, target)
        _check_host_key(transport, target, known)
        login = Login(target, transport)
        _log_in(login, password)
    except BaseException:
        transport.close()
        raise
    interval = target.options.number("serveraliveinterval", 0)
    if interval:
        transport.set_keepalive(interval)
    return transport, {**served(transport), "login": login.by}


def served(transport: Transport) -> dict[str, str]:
    """The algorithms of a connection."""
    offered = transport.negotiation.offers["kexalgorithms"] if transport.negotiation else ()
    return {
        "transport": f"paramiko {paramiko.__version__}",
        "server": transport.remote_version,
        "kex": next((name for name in transport.get_security_options().kex if name in offered), ""),
        "host_key": str(transport.host_key_type),
        "cipher": transport.local_cipher,
        "mac": str(transport.local_mac),
    }


def _choose(transport: Transport, target: Route, known: KnownHosts) -> None:
    """Offer what the configuration offers, in its order, and of that what paramiko can do."""
    security = transport.get_security_options()
    for option, attribute in (
        ("kexalgorithms", "kex"), ("hostkeyalgorithms", "key_types"), ("ciphers", "ciphers"), ("macs", "digests")
    ):  # fmt: skip
        wanted, able = target.options.names(option), supported(option)
        chosen = [name for name in wanted if name in able] if wanted else list(able)
        if option == "hostkeyalgorithms":
            chosen = _known_first(chosen, known.types())
        if not chosen:
            raise NeedsOpenSsh(f"your ssh configuration allows only {option} that paramiko cannot do")
        setattr(security, attribute, tuple(chosen))
    transport.use_compression(target.options.is_on("compression"))
    transport.banner_timeout = transport.handshake_timeout = target.handshake_timeout_s
    transport.auth_timeout = LOGIN_TIMEOUT_S


def _known_first(algorithms: Sequence[str], known: Iterable[str]) -> list[str]:
    """Host key algorithms with those of known keys in front, so that the host shows a key that is known."""
    types = set(known)
    of_known = [name for name in algorithms if name in types or (name.startswith("rsa-sha2-") and "ssh-rsa" in types)]
    return [*of_known, *(name for name in algorithms if name not in of_known)]


def _handshake(transport: Transport, target: Route) -> None:
    """Exchange keys. Raises `NeedsOpenSsh`, or a kind of `Unreachable`."""
    began = time.monotonic()
    limit_s = target.handshake_timeout_s
    trouble: BaseException | None = None
    try:
        transport.start_client(timeout=limit_s)
    except Exception as error:  # noqa: BLE001 - paramiko raises here what its thread met, of any kind
        trouble = error
    if trouble is None and transport.initial_kex_done:
        return
    if isinstance(trouble, paramiko.ssh_exception.IncompatiblePeer) and transport.negotiation is not None:
        lacking = transport.negotiation.lacking(target.options)
        if not lacking:
            raise NeedsOpenSsh(_beyond(transport.negotiation, target)) from trouble
        raise no_common(lacking, target, transport.negotiation.offers) from trouble
    if time.monotonic() - began >= limit_s - 0.5:
        raise TimedOut(
            f"{target.address} accepted the connection and did not complete the SSH handshake within {limit_s:g} s",
            where=target.host,
            answered=transport.remote_version or None,
            next_step=f"Its name service may be slow: ConnectTimeout in the ssh configuration allows more. "
            f"Try `{by_hand(target)}`.",
        ) from trouble
    words = words_of_proxy(transport.sock) or transport.farewell
    raise Unreachable(
        f"no SSH session at {target.address}: {_reason(trouble)}",
        where=target.host,
        answered=words or None,
        next_step=f"Try `{by_hand(target)}`.",
    ) from trouble


def _reason(trouble: BaseException | None) -> str:
    if isinstance(trouble, EOFError) or "Error reading SSH protocol banner" in str(trouble):
        return "it closed the connection before it said anything"
    return str(trouble or "") or type(trouble).__name__


def _beyond(negotiation: Negotiation, target: Route) -> str:
    """The sentence for a host whose algorithms paramiko lacks and OpenSSH has."""
    beyond = []
    for kind, words in KINDS.items():
        common = [name for name in target.options.names(kind) if name in negotiation.offers[kind]]
        if common and not set(common) & set(supported(kind)):
            beyond.append(f"{words} {common[0]}")
    return f"only OpenSSH can do what this host and your ssh configuration agree on: {', '.join(beyond)}"


def _check_host_key(transport: Transport, target: Route, known: KnownHosts) -> None:
    key = transport.get_remote_server_key()
    trust, line = known.trust(key.get_name(), key.asbytes())
    shown = f"{key.get_name()} {fingerprint(key.asbytes())}"
    if trust is Trust.KNOWN:
        smallest = target.options.number("requiredrsasize", 0)
        if key.get_name() == "ssh-rsa" and key.get_bits() < smallest:
            raise HostKeyRefused(
                f"its RSA host key has {key.get_bits()} bits, and RequiredRSASize asks for {smallest}",
                where=target.host,
                next_step="Let the host have a longer key, or write to the ssh configuration: "
                f"RequiredRSASize {key.get_bits()}",
            )
        return
    if known.authority() is not None and trust is not Trust.REVOKED:
        raise NeedsOpenSsh("the host's key is known by a certificate authority")
    raise host_key_trouble(trust, target, shown, line.blob if line else b"", f"{line.file}:{line.line}" if line else "")


def _log_in(login: Login, password: str | None) -> None:
    """Try the methods of the configuration in its order. Raises `NeedsOpenSsh` before, or `LoginRefused` after it."""
    target, transport = login.target, login.transport
    try:
        transport.auth_none(target.user)
        login.by = "none"
        return
    except paramiko.BadAuthenticationType as error:
        login.methods = tuple(error.allowed_types)
    except TROUBLES as error:
        login.heard()
        raise _ended(login, error) from error
    login.heard()
    order = methods_of(target)
    agent = agent_of(target)
    try:
        keys = _judged(login, candidates(target, agent)) if "publickey" in order else []
        _needs_openssh(login, order, keys)
        _try(login, order, keys, password)
    finally:
        agent._close()  # type: ignore[attr-defined] # paramiko has no public name for it
    if not transport.is_authenticated():
        raise refused(login, keys, with_password=password is not None)


def _judged(login: Login, keys: Iterable[Candidate]) -> list[Candidate]:
    options = login.target.options
    accepted = options.names("pubkeyacceptedalgorithms") or options.names("pubkeyacceptedkeytypes")
    announced = login.transport.server_extensions.get("server-sig-algs")
    algorithms = announced.decode().split(",") if announced else None
    if algorithms is None and _SILENT_74 in login.transport.remote_version:
        algorithms = ["rsa-sha2-256", "rsa-sha2-512"]
    can_sign = supported("pubkeyacceptedalgorithms")
    return [judged(key, accepted, algorithms, can_sign) for key in keys]


def _needs_openssh(login: Login, order: Sequence[str], keys: Sequence[Candidate]) -> None:
    if "gssapi-with-mic" in order and "gssapi-with-mic" in login.methods and _has_ticket():
        raise NeedsOpenSsh("your ssh configuration logs in by GSSAPI, and there is a Kerberos ticket")
    if "hostbased" in order and "hostbased" in login.methods:
        raise NeedsOpenSsh("your ssh configuration logs in by the host's own key (hostbased)")
    if "publickey" in login.methods:
        for key in keys:
            if key.usable is Usable.OPENSSH:
                raise NeedsOpenSsh(f"only OpenSSH can sign with {key.named}: {key.why}")


def _has_ticket() -> bool:
    """True if a Kerberos ticket may be there: ``klist -s`` says so, or a cache that only it could judge exists."""
    klist = shutil.which("klist")
    if klist is not None:
        return subprocess.run([klist, "-s"], capture_output=True, check=False).returncode == 0  # noqa: S603
    name = os.environ.get("KRB5CCNAME", f"FILE:/tmp/krb5cc_{os.getuid()}")
    return Path(name.removeprefix("FILE:")).exists()


def _try(login: Login, order: Sequence[str], keys: Sequence[Candidate], password: str | None) -> None:
    """Go through the methods; after a partial success through those that the host asks for next."""
    left, secret = list(order), password
    while left and not login.transport.is_authenticated():
        method = left.pop(0)
        if method not in login.methods:
            continue
        more: Sequence[str] | None = None
        if method == "publickey":
            more = _by_keys(login, keys)
        elif secret is not None and method in ("keyboard-interactive", "password"):
            used, more = _by_password(login, method, secret)
            secret = None if used else secret
        if more:
            login.methods = tuple(more)
            left = [name for name in order if name != method]


def _by_keys(login: Login, keys: Sequence[Candidate]) -> Sequence[str] | None:
    """Offer each key; the methods that must follow after a partial success."""
    transport = login.transport
    for candidate in keys:
        if candidate.usable is not Usable.YES or candidate.key is None:
            continue
        login.offered.append(candidate.named)
        # The signature is the one that OpenSSH would make; without ``server-sig-algs`` paramiko takes its first.
        own = [name for name in supported("pubkeyacceptedalgorithms") if name != candidate.why]
        transport.disabled_algorithms = {"pubkeys": own}
        try:
            more = transport.auth_publickey(login.target.user, candidate.key)
        except paramiko.BadAuthenticationType as error:
            login.methods = tuple(error.allowed_types)
            login.heard()
            return None
        except TROUBLES as error:
            login.heard()
            if not transport.is_active() or _is_silent(error):
                raise _ended(login, error) from error
            continue
        login.heard()
        login.by = f"publickey {candidate.named}, {candidate.why}"
        if not more or "publickey" not in more:
            return more
        login.methods = tuple(more)  # the host wants another key, too
    return None


def _by_password(login: Login, method: str, password: str) -> tuple[bool, Sequence[str] | None]:
    """Offer the password once; true if it was sent, and the methods that must follow after a partial success."""
    transport, user, prompts = login.transport, login.target.user, _Prompts(password)
    try:
        if method == "password":
            prompts.sent = True
            more = transport.auth_password(user, password, fallback=False)
        else:
            more = transport.auth_interactive(user, prompts.answer)
    except paramiko.BadAuthenticationType as error:
        login.methods = tuple(error.allowed_types)
        login.heard()
        return prompts.sent, None
    except TROUBLES as error:
        login.heard()
        login.banner += "\n".join(["", *prompts.said])
        if prompts.sent:
            login.offered.append(PASSWORD)
        trouble = _password_trouble(login, prompts, error)
        if trouble is not None:
            raise trouble from error
        return prompts.sent, None
    login.heard()
    login.by = method
    return True, more


class _Prompts:
    """Answers to the prompts of a keyboard-interactive login: the password once, and nothing else."""

    def __init__(self, password: str) -> None:
        self._password = password
        self.sent = False
        self.strange = ""
        self.said: list[str] = []

    def answer(self, title: str, instructions: str, prompts: Sequence[tuple[str, bool]]) -> list[str]:
        """Called by paramiko's thread; an exception ends the connection, so that no wrong answer counts as a try."""
        self.said += [text for text in (title, instructions) if text]
        if not prompts:
            return []
        asked = [text for text, _ in prompts]
        if len(prompts) == 1 and not self.sent and not prompts[0][1] and asks_for_password(asked[0]):
            self.sent = True
            return [self._password]
        self.strange = " ".join(asked).strip()
        raise paramiko.SSHException(f"it asks: {self.strange}")


def _password_trouble(login: Login, prompts: _Prompts, error: BaseException) -> RemoteError | None:
    """The error that ends the login after a password; ``None`` if another method may follow."""
    target = login.target
    wants_new = re.search(r"(?i)\b(new|old|current|retype)\b", prompts.strange) is not None
    if wants_new or "Illegal info request" in str(error):
        # The second is paramiko's answer to a request for a new password (RFC 4252, section 8).
        return password_expired(target, prompts.strange or "it asks for a new password")
    if prompts.strange and not prompts.sent:
        return question_for_a_person(target, prompts.strange)
    if not login.transport.is_active() or _is_silent(error):
        return _ended(login, error)
    return None


def _is_silent(error: BaseException) -> bool:
    """True for paramiko's error where a host does not answer a login in time."""
    return "timeout" in str(error).lower()


def _ended(login: Login, error: BaseException) -> RemoteError:
    """The error for a host that ended the connection during the login, or did not answer it."""
    target, words = login.target, login.transport.farewell
    known = account_trouble(f"{login.banner}\n{words}", target.host, target.user)
    if known is None and _is_silent(error):
        return TimedOut(
            f"{target.address} did not answer the login of {target.user} within {LOGIN_TIMEOUT_S:g} s",
            where=target.host,
            next_step=f"It may be hung, or wait for its name or user service. Try `{by_hand(target)}`.",
        )
    return known or ended_during_login(target, words, login.offered, with_password=PASSWORD in login.offered)


def refused(login: Login, keys: Sequence[Candidate], *, with_password: bool) -> LoginRefused:
    """The error for a login that the host refused with everything that could be offered."""
    target = login.target
    trouble = account_trouble(login.banner, target.host, target.user)
    if trouble is not None:
        return trouble
    return login_refusal(target, login.methods, login.offered, keys, with_password=with_password)
