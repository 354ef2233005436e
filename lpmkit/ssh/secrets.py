"""References to secrets, and their resolution. Nothing here writes a secret."""

from __future__ import annotations

import base64
import getpass
import html
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote, quote_plus

from lpmkit.errors import UsageError
from lpmkit.ssh.keyring import read_secret


class Secrets:
    """Resolves references to secrets, each at most once.

    ``env:NAME`` reads the environment, ``keyring:SERVICE/USER`` the system's keyring, ``prompt`` asks the operator.
    Nothing it returns is ever written: the recorder, which cannot prompt, gets the ``known`` secrets over a pipe.
    """

    def __init__(self, known: Mapping[str, str] | None = None, *, may_ask: bool = True) -> None:
        self._known = dict(known or {})
        self._may_ask = may_ask
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Secrets({len(self._known)} known)"

    def get(self, reference: str | None, host: str) -> str | None:
        """The secret for ``host``; raises `UsageError` if the reference does not resolve."""
        if reference is None:
            return None
        name = f"{reference} {host}" if reference == "prompt" else reference
        with self._lock:
            if name not in self._known:
                self._known[name] = self._fetch(reference, host)
            return self._known[name]

    def known_for(self, data: object) -> dict[str, str]:
        """The resolved secrets of the references in ``data`` (JSON values), for the one child that needs them."""
        text = json.dumps(data)
        secrets = {}
        for name, secret in self._known.items():
            reference, _, host = name.partition(" ")
            if json.dumps(reference) in text and (not host or host.split()[0] in text):
                secrets[name] = secret
        return secrets

    def hidden_in(self, text: str) -> str:
        """The text with ``…`` in place of every resolved secret, also where one is escaped for an address or in base64.

        >>> Secrets({"env:TOKEN": "a/b"}).hidden_in("401: token a/b, or a%2Fb, is not known")
        '401: token …, or …, is not known'
        """
        with self._lock:
            forms = {form for secret in self._known.values() for form in _forms(secret)}
        for form in sorted(forms - {""}, key=len, reverse=True):
            text = text.replace(form, "…")
        return text

    def known(self) -> dict[str, str]:
        """All resolved secrets, for the recorder's standard input and nothing else."""
        return dict(self._known)

    def _fetch(self, reference: str, host: str) -> str:
        kind, _, name = reference.partition(":")
        if kind == "env":
            value = os.environ.get(name)
        elif kind == "keyring":
            service, _, user = name.partition("/")
            value = read_secret(service, user, reference=reference, where=host)
        else:
            value = self._typed(host)
        if value is None:
            raise UsageError(
                f"no secret found for {reference!r}",
                where=host,
                next_step=f"{_how_to_set(kind, name)}; for an SSH login a key without `password` also works.",
            )
        return value

    def _typed(self, host: str) -> str | None:
        if not self._may_ask:
            return None
        try:
            return getpass.getpass(f"Password for {host}: ")
        except (EOFError, NotImplementedError):
            return None  # no prompt: a notebook's button, an unattended notebook, a closed input


def _forms(secret: str) -> Iterator[str]:
    """The forms that a secret may have in what a server sends back."""
    yield secret
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield html.escape(secret)
    yield json.dumps(secret)[1:-1]
    yield base64.b64encode(secret.encode()).decode()


def _how_to_set(kind: str, name: str) -> str:
    """The instruction that provides the secret behind a reference, with the command where there is one."""
    commands = {"env": f"export {name}=…", "keyring": f"lpmkit secret set {name}"}
    return f"Set it with `{commands[kind]}`" if kind in commands else "Type it when asked"


def environment_without(data: object) -> dict[str, str]:
    """This process's environment without variables named by ``env:`` references in ``data`` (JSON values), for a
    child.
    """
    return {name: value for name, value in os.environ.items() if name not in set(_variables(data))}


def _variables(data: object) -> Iterator[str]:
    if isinstance(data, str):
        if data.startswith("env:"):
            yield data[len("env:") :]
    elif isinstance(data, Mapping):
        for value in data.values():
            yield from _variables(value)
    elif isinstance(data, Sequence):
        for value in data:
            yield from _variables(value)
