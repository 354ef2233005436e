"""References to secrets in files that people write: where a secret is, never the secret."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator


def is_reference(value: str) -> bool:
    """True for a reference that `lpmkit.ssh.secrets.Secrets` resolves.

    >>> is_reference("env:HMC_PASSWORD"), is_reference("tiger")
    (True, False)
    """
    return value == "prompt" or value.startswith(("env:", "keyring:"))


def checked_reference(value: str | None) -> str | None:
    """Accept a reference to a secret; raises ValueError for a secret itself."""
    if value is not None and not is_reference(value):
        raise ValueError("write where the password is, never the password: env:NAME, keyring:SERVICE/USER or prompt")
    return value


def _without_secret(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write an address such as https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address holds no user and no password here; name a secret by its reference")
    return url


#: A reference to a secret.
Reference = Annotated[str, AfterValidator(checked_reference)]
#: An address of a web server, without a secret in it.
WebAddress = Annotated[str, AfterValidator(_without_secret)]
