"""References to secrets, and how they become secrets. Nothing here ever writes one."""

from __future__ import annotations

import getpass
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lpmkit.errors import UsageError


class Secrets:
    """Turns references into secrets, asking at most once for each.

    ``env:NAME`` reads the environment, ``keyring:SERVICE/USER`` the system's keyring, ``prompt`` asks the person. Nothing that it returns is
    ever written: the recorder, which nobody can ask, gets what was already ``known`` over a pipe.
    """

    def __init__(self, known: Mapping[str, str] | None = None, *, may_ask: bool = True) -> None:
        self._known = dict(known or {})
        self._may_ask = may_ask
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Secrets({len(self._known)} known)"

    def get(self, reference: str | None, host: str) -> str | None:
        """The secret for ``host``; raises `UsageError` when the reference leads nowhere."""
        if reference is None:
            return None
        name = f"{reference} {host}" if reference == "prompt" else reference
        with self._lock:
            if name not in self._known:
                self._known[name] = self._fetch(reference, host)
            return self._known[name]

    def known_for(self, data: Any) -> dict[str, str]:
        """What is known so far of the references in ``data`` (JSON values), to be handed to the one child that needs them."""
        text = json.dumps(data)
        found = {}
        for name, secret in self._known.items():
            reference, _, host = name.partition(" ")
            if json.dumps(reference) in text and (not host or host.split()[0] in text):
                found[name] = secret
        return found

    def known(self) -> dict[str, str]:
        """What is known so far, to be handed to the recorder's standard input and nowhere else."""
        return dict(self._known)

    def _fetch(self, reference: str, host: str) -> str:
        kind, _, rest = reference.partition(":")
        if kind == "env":
            value = os.environ.get(rest)
        elif kind == "keyring":
            service, _, user = rest.partition("/")
            value = _from_keyring(reference, service, user, host)
        else:
            value = self._typed(host)
        if value is None:
            raise UsageError(
                f"there is no secret behind {reference!r}",
                where=host,
                next_step="Set it there, or use an SSH key and leave `password` out.",
            )
        return value

    def _typed(self, host: str) -> str | None:
        if not self._may_ask:
            return None
        try:
            return getpass.getpass(f"Password for {host}: ")
        except (EOFError, NotImplementedError):
            return (
                None  # nobody is there: a button's work in a notebook, a notebook that runs by itself, a closed input
            )


def _from_keyring(reference: str, service: str, user: str, host: str) -> str | None:
    """What the system's keyring holds. Raises `UsageError` where there is no keyring, or it is locked."""
    import keyring  # noqa: PLC0415 - the probes' process stays small without it
    from keyring.errors import KeyringError  # noqa: PLC0415 - as above

    try:
        return keyring.get_password(service, user)
    except (KeyringError, RuntimeError, OSError) as error:
        raise UsageError(
            f"the keyring behind {reference!r} cannot be read: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}",
            where=host,
            next_step="Unlock it or start its service; on a machine without one use an SSH key, env:NAME or prompt.",
        ) from error


def environment_without(data: Any) -> dict[str, str]:
    """This process's environment without the variables that ``env:`` references in ``data`` (JSON values) name: a child has no use for them."""
    return {name: value for name, value in os.environ.items() if name not in set(_variables(data))}


def _variables(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        if data.startswith("env:"):
            yield data[len("env:") :]
    elif isinstance(data, Mapping):
        for value in data.values():
            yield from _variables(value)
    elif isinstance(data, Sequence):
        for value in data:
            yield from _variables(value)
