"""The options of OpenSSH that bear on reaching, trusting and logging in, and who honours each of them.

Every option that ``ssh -G`` prints has a row (C `OPENSSH-CONFIG`); a test compares the table with the installed client.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Support(StrEnum):
    """The transports that honour an option."""

    #: Read from ``ssh -G`` and honoured over paramiko; OpenSSH, the other transport, honours it by itself.
    BOTH = "honoured by both transports"
    #: A value other than the client's own default selects the transport over OpenSSH.
    OPENSSH = "honoured; needs the transport over OpenSSH"
    #: lpmkit decides, whatever the configuration says.
    NOT_HONOURED = "not honoured"
    #: About terminals, forwarding, looks and logs of an interactive client.
    IRRELEVANT = "does not matter here"


@dataclass(frozen=True, slots=True)
class Option:
    """An option's support. ``harmless`` are the values that ask for nothing; ``why`` is a sentence for a person."""

    support: Support
    why: str = ""
    harmless: tuple[str, ...] = ("no", "none", "false", "")


def _rows(support: Support, *names: str) -> dict[str, Option]:
    return {name: Option(support) for name in names}


#: By the option's name in small letters, as ``ssh -G`` prints it.
OPTIONS: Mapping[str, Option] = {
    **_rows(
        Support.BOTH,
        "host", "hostname", "user", "port", "addressfamily", "bindaddress", "bindinterface", "connectionattempts",
        "connecttimeout", "tcpkeepalive", "serveraliveinterval", "proxyjump", "proxycommand", "proxyusefdpass",
        "ciphers", "macs", "kexalgorithms", "hostkeyalgorithms", "pubkeyacceptedalgorithms", "pubkeyacceptedkeytypes",
        "requiredrsasize", "compression", "hostkeyalias", "userknownhostsfile", "globalknownhostsfile",
        "identityfile", "identitiesonly", "identityagent", "preferredauthentications", "pubkeyauthentication",
        "passwordauthentication", "kbdinteractiveauthentication", "challengeresponseauthentication",
        "canonicaldomains", "canonicalizefallbacklocal", "canonicalizehostname", "canonicalizemaxdots",
        "canonicalizepermittedcnames", "match",
    ),
    **_rows(
        Support.OPENSSH,
        "controlpath", "certificatefile", "pkcs11provider", "securitykeyprovider", "knownhostscommand",
        "revokedhostkeys", "verifyhostkeydns", "gssapiauthentication", "gssapikeyexchange", "gssapikexalgorithms",
        "gssapiclientidentity", "gssapiserveridentity", "gssapitrustdns", "gssapirenewalforcesrekey",
        "hostbasedauthentication", "hostbasedacceptedalgorithms", "hostbasedkeytypes", "enablesshkeysign",
        "casignaturealgorithms",
    ),
    "stricthostkeychecking": Option(
        Support.NOT_HONOURED,
        "an unknown host key is always refused: log in once by hand and accept it",
        ("ask", "yes", "true"),
    ),
    "nohostauthenticationforlocalhost": Option(
        Support.NOT_HONOURED, "the host key of this machine is checked as any other"
    ),
    "checkhostip": Option(Support.NOT_HONOURED, "the key is checked by name, not by address"),
    "updatehostkeys": Option(
        Support.NOT_HONOURED, "files of known hosts are never written", ("no", "false", "true", "yes", "ask")
    ),
    "serveralivecountmax": Option(
        Support.NOT_HONOURED, "a suspended partition is silent longer; lpmkit has its own limits", ("3",)
    ),
    "gssapidelegatecredentials": Option(Support.NOT_HONOURED, "no ticket is handed to a host"),
    "addkeystoagent": Option(Support.NOT_HONOURED, "no key is added to the agent"),
    "forwardagent": Option(Support.NOT_HONOURED, "no agent is handed to a host"),
    "numberofpasswordprompts": Option(
        Support.NOT_HONOURED, "a password is offered once, so that no account is locked", ("1", "2", "3")
    ),
    "remotecommand": Option(Support.NOT_HONOURED, "lpmkit sends its own commands"),
    "sendenv": Option(Support.NOT_HONOURED, "commands carry their own LANG=C", ("lang lc_*", "lang", "lc_*", "")),
    "setenv": Option(Support.NOT_HONOURED, "commands carry their own LANG=C"),
    "usekeychain": Option(Support.NOT_HONOURED, "load the key into the agent with ssh-add"),
    **_rows(
        Support.IRRELEVANT,
        "batchmode", "clearallforwardings", "channeltimeout", "controlmaster", "controlpersist", "dynamicforward",
        "enableescapecommandline", "escapechar", "exitonforwardfailure", "fingerprinthash", "forkafterauthentication",
        "forwardx11", "forwardx11timeout", "forwardx11trusted", "gatewayports", "globalknownhosts", "hashknownhosts",
        "ignoreunknown", "include", "ipqos", "localcommand", "localforward", "loglevel", "logverbose",
        "obscurekeystroketiming", "permitlocalcommand", "permitremoteopen", "refuseconnection", "rekeylimit",
        "remoteforward", "requesttty", "sessiontype", "stdinnull", "streamlocalbindmask", "streamlocalbindunlink",
        "syslogfacility", "tag", "tunnel", "tunneldevice", "versionaddendum", "visualhostkey", "warnweakcrypto",
        "xauthlocation",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Options:
    """The options that ``ssh -G`` printed for one host; each value as it was printed."""

    values: Mapping[str, tuple[str, ...]]

    @classmethod
    def read(cls, text: str) -> Options:
        r"""Parse the output of ``ssh -G``.

        >>> Options.read("user padmin\nciphers aes128-ctr,aes128-cbc\n").names("ciphers")
        ('aes128-ctr', 'aes128-cbc')
        """
        values: dict[str, list[str]] = {}
        for line in text.splitlines():
            key, _, value = line.partition(" ")
            values.setdefault(key.lower(), []).append(value)
        return cls({key: tuple(lines) for key, lines in values.items()})

    def all(self, key: str) -> tuple[str, ...]:
        """Every line of an option without ``none``."""
        return tuple(value for value in self.values.get(key, ()) if value and value.lower() != "none")

    def first(self, key: str) -> str | None:
        """The first value; ``None`` if it is not set, or ``none``."""
        return next(iter(self.all(key)), None)

    def names(self, key: str) -> tuple[str, ...]:
        """A list with commas, such as that of the ciphers; empty if the client did not print it."""
        return tuple(name for value in self.all(key) for name in value.split(",") if name)

    def number(self, key: str, default: int) -> int:
        """A whole number, such as a port or a time in seconds."""
        value = self.first(key)
        return int(value) if value and value.isdigit() else default

    def is_on(self, key: str, *, default: bool = False) -> bool:
        """True for ``yes`` and ``true``."""
        value = self.values.get(key, ())
        return value[0].lower() in ("yes", "true") if value else default

    def not_honoured(self) -> Iterator[str]:
        """The options that ask for something lpmkit does not do, each as a sentence with the reason."""
        for key, lines in self.values.items():
            option = OPTIONS.get(key, Option(Support.NOT_HONOURED, "lpmkit does not know this option"))
            if option.support is Support.NOT_HONOURED:
                for value in lines:
                    if value.lower() not in option.harmless:
                        yield f"{key} {value} is not honoured: {option.why}"

    def beyond_paramiko(self) -> Iterator[str]:
        """The options that only OpenSSH itself can follow, whatever the host answers, each as a sentence.

        GSSAPI and host-based logins depend on what the host offers and are decided there.
        """
        for key in ("pkcs11provider", "knownhostscommand", "revokedhostkeys"):
            if value := self.first(key):
                yield f"your ssh configuration names {key} {value}"
        if self.is_on("verifyhostkeydns"):
            yield "your ssh configuration takes host keys from the DNS (verifyhostkeydns)"
        if self.is_on("gssapikeyexchange"):
            yield "your ssh configuration exchanges keys by GSSAPI (gssapikeyexchange)"
        for name in self.all("certificatefile"):
            if Path(name).expanduser().is_file():
                yield f"your ssh configuration logs in with the certificate {name}"


def agent_socket(options: Options) -> str | None:
    """The socket of the agent that ``identityagent`` names, else that of the environment; ``None`` without one."""
    lines = options.values.get("identityagent")
    value = lines[0] if lines else "SSH_AUTH_SOCK"
    if value.lower() == "none":
        return None
    if value == "SSH_AUTH_SOCK":
        return os.environ.get("SSH_AUTH_SOCK") or None
    if value.startswith("$"):
        return os.environ.get(value.strip("${}")) or None
    return str(Path(value).expanduser())
