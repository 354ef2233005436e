"""The SSH logins of one run: a refused login is final for that account, so that no account is locked by a watcher.

A process that belongs to one run (its recorder, its probes) calls `keep_refusals` once; from then on every login of the process goes through one book. A front end
does not: a person corrects the credentials there and tries again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lpmkit.ssh.refusals import Accounts, LogonNotTried, is_refusal


class _Book:
    """The accounts of this process, and whether they are kept."""

    def __init__(self) -> None:
        self.accounts: Accounts | None = None


_book = _Book()


def keep_refusals(refused: Mapping[str, str] | None = None) -> Accounts:
    """Make a refused login final in this process from now on; ``refused`` are the accounts that refused us before in this run."""
    _book.accounts = Accounts(refused)
    return _book.accounts


def forget_refusals() -> None:
    """Let every login be tried, as in a front end."""
    _book.accounts = None


@contextmanager
def login(account: str) -> Iterator[None]:
    """Log in inside this block. Raises `LogonNotTried` where this account was refused before in this run."""
    if _book.accounts is None:
        yield
        return
    with _book.accounts.attempt(account):
        yield


def refused_logins() -> dict[str, str]:
    """The accounts that refused us so far, with the answers."""
    return {} if _book.accounts is None else _book.accounts.all_refused()


__all__ = ["LogonNotTried", "forget_refusals", "is_refusal", "keep_refusals", "login", "refused_logins"]
