"""SSH logins of one run: a refused login is final for its account, so that watching never locks an account.

A process of one run (its recorder, its probes), of one command or of an agent's call calls `keep_refusals` once; from
then on every login of the process is checked. A notebook does not, because there a person corrects the credentials and
tries again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from lpmkit.ssh.refusals import Accounts, LogonNotTried, is_refusal


class _Book:
    """The accounts of this process; ``None`` while refusals are not kept."""

    def __init__(self) -> None:
        self.accounts: Accounts | None = None
        #: Passwords that a person has renewed while this process works.
        self.passwords: dict[str, str | None] = {}


_book = _Book()


def keep_refusals(
    refused: Mapping[str, str] | None = None, on_refusal: Callable[[Mapping[str, str]], None] | None = None
) -> Accounts:
    """Make refused logins final in this process; ``refused`` are accounts that were refused earlier.

    ``on_refusal`` as in `Accounts`.
    """
    _book.accounts = Accounts(refused, on_refusal)
    return _book.accounts


def refusals_are_kept() -> bool:
    """True if a refused login is final in this process."""
    return _book.accounts is not None


def forget_refusals() -> None:
    """Allow every login again, as in a front end."""
    _book.accounts = None
    _book.passwords.clear()


def renew(account: str, password: str | None) -> None:
    """Log in to an account with this password from now on, and again where it was refused."""
    _book.passwords[account] = password
    if _book.accounts is not None:
        _book.accounts.allow(account)


def newest_password(account: str, password: str | None) -> str | None:
    """The password that was renewed, else the given one."""
    return _book.passwords.get(account, password)


@contextmanager
def login(account: str) -> Iterator[None]:
    """Log in inside this block. Raises `LogonNotTried` if this account was refused earlier in this run."""
    if _book.accounts is None:
        yield
        return
    with _book.accounts.attempt(account):
        yield


def refused_logins() -> dict[str, str]:
    """Accounts refused so far, with the answers."""
    return {} if _book.accounts is None else _book.accounts.all_refused()


__all__ = [
    "LogonNotTried",
    "forget_refusals",
    "is_refusal",
    "keep_refusals",
    "login",
    "newest_password",
    "refusals_are_kept",
    "refused_logins",
    "renew",
]
