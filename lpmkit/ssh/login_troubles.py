"""The errors for a host key that is not trusted and for a login that is refused, the same over both transports."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lpmkit.errors import (
    HostKeyChanged,
    HostKeyRefused,
    HostKeyRevoked,
    HostKeyUnknown,
    KeyLocked,
    LoginRefused,
    NoKey,
    PasswordExpired,
    Unreachable,
)
from lpmkit.ssh.keys import Candidate, Usable
from lpmkit.ssh.known_hosts import Trust, fingerprint
from lpmkit.ssh.route import Route, by_hand

#: The order of OpenSSH where ``PreferredAuthentications`` is not set (C `OPENSSH-CONFIG`).
METHODS = ("gssapi-with-mic", "hostbased", "publickey", "keyboard-interactive", "password")
#: "Password" as hosts say it in English, German, French, Spanish, Italian, Polish and Portuguese.
PASSWORD_WORDS = ("assword", "asswort", "ennwort", "mot de passe", "ontrase", "arola", "has.?.?o", "senha")
#: A password among the things that were offered.
PASSWORD = "the password"  # noqa: S105 - a name for it, in a list


def methods_of(target: Route) -> list[str]:
    """The methods of a login that the configuration allows, in its order."""
    return [name for name in target.options.names("preferredauthentications") or METHODS if _is_allowed(target, name)]


def _is_allowed(target: Route, method: str) -> bool:
    option, default = {
        "gssapi-with-mic": ("gssapiauthentication", False),
        "hostbased": ("hostbasedauthentication", False),
        "publickey": ("pubkeyauthentication", True),
        "keyboard-interactive": ("kbdinteractiveauthentication", True),
        "password": ("passwordauthentication", True),
    }.get(method, ("", False))
    value = target.options.first(option)
    return value.lower() in ("yes", "true", "unbound", "host-bound") if value else default


def asks_for_password(prompt: str) -> bool:
    """True for a host's question for the password, in its own language; not for a new one.

    >>> asks_for_password("padmin's Password: "), asks_for_password("Kennwort:"), asks_for_password("Token code: ")
    (True, True, False)
    """
    words = "|".join(PASSWORD_WORDS)
    return re.search(rf"(?i){words}", prompt) is not None and not re.search(r"(?i)\b(new|retype)\b", prompt)


def host_key_trouble(trust: Trust, target: Route, shown: str, other: bytes, place: str) -> HostKeyRefused:
    """The error for a host key that is not to be trusted. ``shown`` is the key's type and fingerprint."""
    name = target.key_names[0]
    if trust is Trust.REVOKED:
        return HostKeyRevoked(
            f"its host key is revoked ({shown})",
            where=target.host,
            answered=place or None,
            next_step="Do not log in. Ask who revoked it, and let the host have a new key.",
        )
    if trust is Trust.CHANGED:
        was = fingerprint(other) if other else "another key"
        return HostKeyChanged(
            f"its host key has changed from {was} to {shown}",
            where=target.host,
            answered=place or None,
            next_step="Find out why before anything else. If the host was reinstalled, remove the old key with "
            f"`ssh-keygen -R '{name}'` and accept the new one with `{by_hand(target)}`.",
        )
    return HostKeyUnknown(
        f"its host key is not known here ({shown})",
        where=target.host,
        next_step=(
            "Compare the fingerprint with the one on the host's console, then log in once with "
            f"`{by_hand(target)}` and accept it."
        ),
    )


def password_expired(target: Route, answered: str) -> PasswordExpired:
    """The error for a host that asks for a new password."""
    return PasswordExpired(
        f"the password of {target.user} has expired",
        where=target.host,
        answered=answered,
        next_step=f"Change it by hand once: `{by_hand(target)}`.",
    )


def question_for_a_person(target: Route, question: str) -> LoginRefused:
    """The error for a host that asks for something else than a password, such as the code of a token."""
    return LoginRefused(
        f"it asks {target.user} something that only a person can answer",
        where=target.host,
        answered=question,
        next_step="Open a session by hand with ControlMaster and ControlPath in the ssh configuration; "
        "lpmkit uses the open one.",
    )


def ended_during_login(
    target: Route, words: str, offered: Sequence[str], *, with_password: bool
) -> LoginRefused | Unreachable:
    """The error for a connection that ended during the login.

    Without a word it may have broken, and a key may be offered again; a password may not.
    """
    kind = LoginRefused if words or with_password else Unreachable
    advice = (
        "Name the one key of this host in the ssh configuration: IdentityFile, with IdentitiesOnly yes."
        if "Too many authentication failures" in words
        else "The account may be locked or unable to log in; the host's own log says why."
    )
    return kind(
        f"it ended the connection during the login of {target.user}",
        where=target.host,
        answered=words or "nothing",
        next_step=f"{_offered(offered)}{advice} Try `{by_hand(target)}`.",
    )


def login_refusal(
    target: Route, methods: Sequence[str], offered: Sequence[str], keys: Sequence[Candidate], *, with_password: bool
) -> LoginRefused:
    """The error for a refused login, by what could be offered and by what the host allows."""
    facts: Mapping[str, str] = {"where": target.host, "answered": f"Permission denied ({','.join(methods)})"}
    if PASSWORD in offered:
        return LoginRefused(
            f"it does not let {target.user} in with this password",
            **facts,
            next_step=f"{_offered(offered)}Correct it where the site file says that it is. "
            "It was offered once, so that the account is not locked.",
        )
    locked = [key for key in keys if key.usable is Usable.LOCKED]
    unsigned = [key for key in keys if key.usable is Usable.NOT_ACCEPTED]
    signing = [key for key in keys if key.usable in (Usable.YES, Usable.OPENSSH)]
    if not signing and locked:
        names = ", ".join(key.label for key in locked)
        return KeyLocked(
            f"the key {names} is locked by a passphrase, and no agent holds it",
            **facts,
            next_step=f"Load it once: ssh-add {locked[0].label}",
        )
    if not signing and unsigned:
        return _not_accepted(unsigned, facts)
    if not with_password and not ({*methods} & {*methods_of(target)} - {"password", "keyboard-interactive"}):
        return LoginRefused(
            f"it does not let {target.user} in without a password",
            **facts,
            next_step="Name where the password is in the site file (`password:`), or let the host and the ssh "
            "configuration allow keys.",
        )
    if not offered and not keys and not with_password:
        return NoKey(
            f"there is no key to offer for {target.user}: no file that the ssh configuration names exists, "
            "and no agent holds one",
            **facts,
            next_step=f"{_unused_ways(target, methods)}Load a key with ssh-add, or name one as IdentityFile in the ssh "
            f"configuration, then try `{by_hand(target)}`.",
        )
    unread = [f"{key.label}: {key.why}" for key in keys if key.usable is Usable.UNREADABLE]
    return LoginRefused(
        f"it does not let {target.user} in",
        **facts,
        next_step=f"{_offered(offered)}{_not_used(unread)}{_unused_ways(target, methods)}"
        f"Try `{by_hand(target)}`; load the key with ssh-add, or name it as IdentityFile in the ssh configuration.",
    )


def could_not_sign(target: Route, key_type: str, name: str, why: str) -> NoKey:
    """The error for a key that the host would take and that could not sign (C `OPENSSH-CLIENT`)."""
    token = "Plug in its security key, and touch it when it blinks. " if key_type.upper().endswith("-SK") else ""
    return NoKey(
        f"the key {name} ({key_type}) could not sign, so {target.user} was not let in: {why}",
        where=target.host,
        next_step=f"{token}Try `{by_hand(target)}`.",
    )


def _unused_ways(target: Route, methods: Sequence[str]) -> str:
    """The other ways that the configuration and the host allow, and what each lacks: a ticket, the PIN of a token."""
    token = target.options.first("pkcs11provider")
    ticket = "gssapi-with-mic" in methods and "gssapi-with-mic" in methods_of(target)
    return (
        ("Kerberos (GSSAPI) is allowed, too: klist shows the ticket, kinit gets one. " if ticket else "")
        + (f"The token's keys need its PIN: load them once with ssh-add -s {token}. " if token else "")
    )  # fmt: skip


def _not_accepted(keys: Sequence[Candidate], facts: Mapping[str, str]) -> LoginRefused:
    """The error for keys whose signatures the configuration, or the host, does not accept."""
    rsa = next((key for key in keys if key.key_type == "ssh-rsa"), None)
    if rsa is None:
        return LoginRefused(
            f"the key {keys[0].named} was not offered: the ssh configuration does not allow its kind",
            **facts,
            next_step="Use another kind of key, or add to the ssh configuration of this host: "
            f"PubkeyAcceptedAlgorithms +{keys[0].key_type}",
        )
    return LoginRefused(
        f"the key {rsa.named} was not offered: the host understands only signatures with SHA-1, "
        "and the ssh configuration does not allow them",
        **facts,
        next_step="Use another kind of key, or add to the ssh configuration of this host: "
        "PubkeyAcceptedAlgorithms +ssh-rsa",
    )


def _offered(names: Sequence[str]) -> str:
    return f"Offered: {'; '.join(names)}. " if names else ""


def _not_used(reasons: Sequence[str]) -> str:
    return f"Not used: {'; '.join(reasons)}. " if reasons else ""
