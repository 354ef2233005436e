"""The messages of an ``ssh`` process on standard error: the algorithms that served, or the trouble by its own name.

C `OPENSSH-CLIENT`. Lines that begin with ``debug1:`` are for the record; all others are messages, or the host's banner.
"""

from __future__ import annotations

import re

from lpmkit.errors import (
    HostKeyChanged,
    HostKeyRefused,
    HostKeyRevoked,
    HostKeyUnknown,
    LoginRefused,
    NoCommonAlgorithm,
    RemoteError,
    TimedOut,
    Unreachable,
)
from lpmkit.ssh.keys import Candidate, agent_of, candidates, judged
from lpmkit.ssh.login_texts import account_trouble
from lpmkit.ssh.login_troubles import (
    PASSWORD,
    asks_for_password,
    could_not_sign,
    ended_during_login,
    login_refusal,
    password_expired,
    question_for_a_person,
)
from lpmkit.ssh.negotiation import KINDS, Negotiation, no_common, without_markers
from lpmkit.ssh.route import Route, by_hand

_DEBUG = re.compile(r"^debug\d: ")
_FACTS = {
    "server": r"debug1: Remote protocol version \S+ remote software version (.+)",
    "kex": r"debug1: kex: algorithm: (\S+)",
    "host_key": r"debug1: kex: host key algorithm: (\S+)",
    "cipher": r"debug1: kex: client->server cipher: (\S+)",
    "mac": r"debug1: kex: client->server cipher: \S+ MAC: (\S+)",
}
_NO_MATCH = re.compile(r"no matching ([\w ]{1,40}) found\. Their offer: ?(.*)")
_DENIED = re.compile(r"Permission denied \((.*)\)")
_CONTINUE = re.compile(r"debug1: Authentications that can continue: (.*)")
_ASKED = re.compile(r"debug1: Next authentication method: (password|keyboard-interactive)")
_OFFERED = re.compile(r"debug1: Offering public key: (.+)")
#: A key that the host would take and that could not sign: a token that is not there, an agent that was told not to.
_UNSIGNED = re.compile(r'^sign_and_send_pubkey: signing failed for (\S+) "(.*)".*: (.+?)\s*$', re.MULTILINE)
_ACCEPTED = re.compile(r"debug1: Server accepts key: (.+)")
_BY = re.compile(r"Authenticated to .* using \"(.+)\"")
_FINGERPRINT = re.compile(r"debug1: Server host (?:key|certificate): (\S+) (\S+)")
_PROPOSED = {
    "kexalgorithms": "KEX algorithms",
    "hostkeyalgorithms": "host key algorithms",
    "ciphers": "ciphers ctos",
    "macs": "MACs ctos",
}
#: Bytes of the client's words that a message shows.
_SHOWN = 600


def served(log: str) -> dict[str, str]:
    """Transport, algorithms and login of a connection."""
    facts = {name: match[1].strip() for name, pattern in _FACTS.items() if (match := re.search(pattern, log))}
    by, key = _BY.search(log), _ACCEPTED.findall(log)
    if by:
        facts["login"] = f"{by[1]} {key[-1]}" if by[1] == "publickey" and key else by[1]
    return facts


def refusal(target: Route, log: str, words: str | None, question: str | None, *, with_password: bool) -> RemoteError:
    """The error for an ``ssh`` process that did not log in.

    ``words`` are those of a proxy command; ``question`` is one that was not answered, after which ``ssh`` was ended.
    """
    message = "\n".join(line for line in log.splitlines() if not _DEBUG.match(line) and not line.startswith("OpenSSH_"))
    return (
        _algorithm_trouble(target, message, log)
        or _host_key_trouble(target, message, log)
        or _login_trouble(target, message, log, question, with_password=with_password)
        or _connection_trouble(target, message, log, words)
    )


def _algorithm_trouble(target: Route, message: str, log: str) -> NoCommonAlgorithm | None:
    match = _NO_MATCH.search(message)
    if match is None:
        return None
    kind, offered = match[1], match[2].replace(",", " ").split()
    offers = _offers(log)
    lacking = Negotiation(offers).lacking(target.options) if offers.keys() == KINDS.keys() else []
    if not lacking:
        return NoCommonAlgorithm(kind, offered=offered, where=target.host, next_step=f"Try `{by_hand(target)}`.")
    return no_common(lacking, target, offers)


def _offers(log: str) -> dict[str, tuple[str, ...]]:
    """The offers of the host, by the option that lists them."""
    _, _, proposal = log.partition("debug2: peer server KEXINIT proposal")
    offers = {}
    for option, words in _PROPOSED.items():
        match = re.search(rf"debug2: {words}: (.*)", proposal)
        if match:
            offers[option] = without_markers(match[1].strip().split(","))
    return offers


def _host_key_trouble(target: Route, message: str, log: str) -> HostKeyRefused | None:
    shown = _FINGERPRINT.search(log)
    key = f"{shown[1]} {shown[2]}" if shown else "its fingerprint is not known"
    name = target.key_names[0]
    if "REVOKED HOST KEY DETECTED" in message or "is marked as revoked" in message or "revoked by file" in message:
        return HostKeyRevoked(
            f"its host key is revoked ({key})",
            where=target.host,
            next_step="Do not log in. Ask who revoked it, and let the host have a new key.",
        )
    if "HOST IDENTIFICATION HAS CHANGED" in message:
        return HostKeyChanged(
            f"its host key has changed to {key}",
            where=target.host,
            next_step="Find out why before anything else. If the host was reinstalled, remove the old key with "
            f"`ssh-keygen -R '{name}'` and accept the new one with `{by_hand(target)}`.",
        )
    if "host key is known for" in message:
        return HostKeyUnknown(
            f"its host key is not known here ({key})",
            where=target.host,
            next_step="Compare the fingerprint with the one on the host's console, then log in once with "
            f"`{by_hand(target)}` and accept it.",
        )
    if "Host key verification failed" in message or "Bad server host key" in message:
        return HostKeyRefused(
            f"OpenSSH does not trust its host key ({key})",
            where=target.host,
            answered=_tail(message),
            next_step=f"Try `{by_hand(target)}`.",
        )
    return None


def _login_trouble(
    target: Route, message: str, log: str, question: str | None, *, with_password: bool
) -> RemoteError | None:
    trouble = account_trouble(message, target.host, target.user) or _open_question(target, question)
    if trouble is not None:
        return trouble
    denied = _DENIED.search(message)
    offered = _OFFERED.findall(log)
    if question is not None:
        # It asked for the password again: the first answer was wrong.
        methods = _CONTINUE.findall(log)
        return login_refusal(
            target, methods[-1].strip().split(",") if methods else [], [PASSWORD], [], with_password=True
        )
    if denied is None:
        asked = with_password and _ASKED.search(log) is not None
        if "debug1: Next authentication method" not in log:
            return None
        words = message if "disconnect" in message.lower() else ""
        return ended_during_login(target, words.strip()[-_SHOWN:], offered, with_password=asked)
    if unsigned := _UNSIGNED.search(f"{message}\n{log}"):
        return could_not_sign(target, *unsigned.groups())
    if with_password and _ASKED.search(log) is not None:
        offered = [*offered, PASSWORD]
    return login_refusal(target, denied[1].split(","), offered, _keys(target, log), with_password=with_password)


def _open_question(target: Route, question: str | None) -> LoginRefused | None:
    """The error for a question that only a person can answer; ``None`` for a password that is asked for again."""
    if question is None:
        return None
    if re.search(r"(?i)\b(new|old|current|retype)\b", question):
        return password_expired(target, question)
    return None if asks_for_password(question) else question_for_a_person(target, question)


def _keys(target: Route, log: str) -> list[Candidate]:
    """The keys that could have been offered, judged by what the host announced."""
    options = target.options
    accepted = options.names("pubkeyacceptedalgorithms") or options.names("pubkeyacceptedkeytypes")
    announced = re.search(r"server-sig-algs=<(.*)>", log)
    algorithms = announced[1].split(",") if announced else None
    agent = agent_of(target)
    try:
        return [judged(key, accepted, algorithms, accepted) for key in candidates(target, agent)]
    finally:
        agent._close()  # type: ignore[attr-defined] # paramiko has no public name for it


def _connection_trouble(target: Route, message: str, log: str, words: str | None) -> Unreachable:
    if re.search(r"(?i)timed out", message):
        return TimedOut(
            f"{target.address} accepted the connection and did not complete the SSH handshake within "
            f"{target.handshake_timeout_s:g} s",
            where=target.host,
            answered=_tail(message),
            next_step=f"Its name service may be slow: ConnectTimeout in the ssh configuration allows more. "
            f"Try `{by_hand(target)}`.",
        )
    silent = "" if "Remote protocol version" in log else ": it closed the connection before it said anything"
    return Unreachable(
        f"no SSH session at {target.address}{silent}",
        where=target.host,
        answered=words or _tail(message) or "nothing",
        next_step=f"Try `{by_hand(target)}`.",
    )


def _tail(message: str) -> str | None:
    return message.strip()[-_SHOWN:] or None
