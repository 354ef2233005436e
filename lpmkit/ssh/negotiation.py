"""The algorithms that a host offers, held against those that the configuration allows."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from lpmkit.errors import NoCommonAlgorithm
from lpmkit.ssh.options import Options
from lpmkit.ssh.route import Route, by_hand, ssh_program

#: OpenSSH's words for each kind in "no matching … found" (C `OPENSSH-CONFIG`), by the option that lists it.
KINDS: Mapping[str, str] = {
    "kexalgorithms": "key exchange method",
    "hostkeyalgorithms": "host key type",
    "ciphers": "cipher",
    "macs": "MAC",
}
#: The option as one writes it, and the argument of ``ssh -Q`` that lists what the client can do.
_WRITTEN: Mapping[str, tuple[str, str]] = {
    "kexalgorithms": ("KexAlgorithms", "kex"),
    "hostkeyalgorithms": ("HostKeyAlgorithms", "HostKeyAlgorithms"),
    "ciphers": ("Ciphers", "cipher"),
    "macs": ("MACs", "mac"),
}
#: Ciphers that need no MAC.
_AUTHENTICATED = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com")
#: Names in a list of key exchange methods that are none (RFC 8308 and OpenSSH's strict key exchange).
_NO_METHODS = ("ext-info-", "kex-strict-")


@dataclass(frozen=True, slots=True)
class Negotiation:
    """The offers of a host of each kind, by the option that lists them; both directions of a connection together."""

    offers: Mapping[str, tuple[str, ...]]

    @classmethod
    def read(cls, message: bytes) -> Negotiation:
        """Parse a KEXINIT message after its first byte (RFC 4253, section 7.1)."""
        lists, rest = [], message[16:]
        for _ in range(6):
            (size,) = struct.unpack_from(">I", rest)
            lists.append(rest[4 : 4 + size].decode("ascii", "replace").split(","))
            rest = rest[4 + size :]
        kex, keys, to_host, from_host, macs_to, macs_from = lists
        return cls(
            {
                "kexalgorithms": without_markers(kex),
                "hostkeyalgorithms": tuple(keys),
                "ciphers": tuple(name for name in to_host if name in from_host),
                "macs": tuple(name for name in macs_to if name in macs_from),
            }
        )

    def lacking(self, options: Options) -> list[str]:
        """The kinds of which the configuration allows nothing that the host offers."""
        lacking = []
        for kind in KINDS:
            allowed = options.names(kind)
            if kind == "macs" and self._cipher(options) in _AUTHENTICATED:
                continue
            if allowed and not set(allowed) & set(self.offers[kind]):
                lacking.append(kind)
        return lacking

    def _cipher(self, options: Options) -> str | None:
        return next((name for name in options.names("ciphers") if name in self.offers["ciphers"]), None)


def without_markers(names: Iterable[str]) -> tuple[str, ...]:
    """Names of algorithms without those that only announce a capability."""
    return tuple(name for name in names if not name.startswith(_NO_METHODS))


def no_common(kinds: Sequence[str], target: Route, offers: Mapping[str, Sequence[str]]) -> NoCommonAlgorithm:
    """The error for a host that offers nothing of some kinds that the configuration allows, with all lines to add."""
    each = [lines_for(kind, offers[kind]) for kind in kinds]
    lines = [line for of_kind in each for line in of_kind] if all(each) else []
    if lines:
        step = f"If this host cannot be updated, add below its Host line in the ssh configuration: {'; '.join(lines)}"
    else:
        step = f"The OpenSSH client of this machine can do none of these, so `{by_hand(target)}` fails, too."
    first = kinds[0]
    return NoCommonAlgorithm(KINDS[first], offered=offers[first], lines=lines, where=target.host, next_step=step)


def lines_for(kind: str, offered: Iterable[str]) -> list[str]:
    """The lines of the ssh configuration that allow the best of what a host offers; empty if the client lacks it all.

    A host that needs SHA-1 for its key needs it for an RSA key of the user, too.
    """
    option, query = _WRITTEN[kind]
    known = _client_knows(query)
    able = [name for name in offered if name in known]
    if not able:
        return []
    lines = [f"{option} +{able[0]}"]
    if kind == "hostkeyalgorithms" and able[0] == "ssh-rsa":
        lines.append("PubkeyAcceptedAlgorithms +ssh-rsa")
    return lines


@cache
def _client_knows(query: str) -> frozenset[str]:
    """The algorithms of one kind that the installed OpenSSH client knows."""
    reply = subprocess.run(  # noqa: S603 - ssh -Q with a word of ours
        [ssh_program(), "-Q", query], capture_output=True, text=True, check=False
    )
    return frozenset(reply.stdout.split())
