"""The keyring of this account: secrets are read from it by reference and kept in it by `lpmkit secret set`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lpmkit.errors import UsageError
from lpmkit.installed.extras import missing_extra

#: The package of keyrings that write secrets into files, as text or with a key beside them.
OF_FILES = "keyrings.alt"


def split_name(name: str) -> tuple[str, str]:
    """Service and user of ``SERVICE/USER``, split as a reference is. Raises `UsageError` where one of them is missing.

    >>> split_name("hmc01/hscroot")
    ('hmc01', 'hscroot')
    """
    service, _, user = name.partition("/")
    if not service or not user:
        raise UsageError(f"{name!r} is no name in the keyring", next_step="Such as hmc01/hscroot: SERVICE/USER.")
    return service, user


def read_secret(service: str, user: str, *, reference: str, where: str) -> str | None:
    """The secret, or ``None`` where the keyring has none. Raises `UsageError` if it is missing or locked."""
    with _usable(f"the keyring behind {reference!r} cannot be read", where) as keyring:
        value: str | None = keyring.get_password(service, user)
    return value


def keep_secret(service: str, user: str, value: str) -> None:
    """Keep a secret, and read it back.

    Raises `UsageError` where there is no keyring, where it would be a file, and where it holds something else
    afterwards.
    """
    with _usable(f"the secret {service}/{user} cannot be kept", None) as keyring:
        backend = _first(keyring.get_keyring())
        if type(backend).__module__.startswith(OF_FILES):
            raise UsageError(
                f"the only keyring here, {type(backend).__name__}, is a file, and no secret belongs into one",
                next_step="Start the system's keyring, or use an SSH key, env:NAME or prompt.",
            )
        keyring.set_password(service, user, value)
        held = keyring.get_password(service, user)
    if held != value:
        raise UsageError(f"the keyring does not give back what was kept as {service}/{user}")


def _first(backend: Any) -> Any:
    """The keyring that a chain of them writes to."""
    chain = getattr(backend, "backends", None)
    return chain[0] if chain else backend


@contextmanager
def _usable(trouble: str, where: str | None) -> Iterator[Any]:
    """The keyring library; its errors become `UsageError`."""
    try:
        import keyring  # noqa: PLC0415 - the probes' process stays small without it
        from keyring.errors import KeyringError  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise missing_extra(error) or error from error

    try:
        yield keyring
    except (KeyringError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else "no reason given"
        raise UsageError(
            f"{trouble}: {type(error).__name__}: {reason}",
            where=where,
            next_step="Unlock it or start its service; on a host without a keyring use an SSH key, env:NAME or prompt.",
        ) from error
