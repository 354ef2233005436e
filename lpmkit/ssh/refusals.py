"""Accounts that refused our credentials. One refused logon is final, so that watching never locks an account.

AIX locks a user after ``loginretries`` failures (3 to 5), Oracle after FAILED_LOGIN_ATTEMPTS (10), SAP after
``login/fails_to_user_lock`` (5). Logons through `Accounts.attempt` are serialised until the credentials are known to be
good, and refused locally once they are known to be bad.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from lpmkit.errors import LoginRefused, LpmError, NoAnswer


class LogonNotTried(LoginRefused):
    """A logon that was not sent, because this account refused our credentials before in this run."""

    def __init__(self, account: str, answered: str, where: str | None = None) -> None:
        super().__init__(
            f"not tried: 1 logon as {account} was refused and no other follows in this run, "
            "so that the account is not locked",
            where=where,
            answered=answered,
            next_step="Correct the credentials in the site file, try `lpmkit doctor` once, then start a new run, or "
            "`lpmkit mcp` again.",
        )


def is_refusal(error: BaseException) -> bool:
    """True if an error means that credentials were refused."""
    return isinstance(error, LoginRefused) or bool(getattr(error, "refused", False))


class Accounts:
    """The accounts of one process. Safe to call from any thread.

    ``on_refusal`` gets all refused accounts at each new refusal, one call at a time.
    """

    def __init__(
        self,
        refused: Mapping[str, str] | None = None,
        on_refusal: Callable[[Mapping[str, str]], None] | None = None,
    ) -> None:
        self._on_refusal = on_refusal
        self._lock = threading.Lock()
        self._gates: dict[str, threading.Lock] = {}
        self._good: set[str] = set()
        self._refused = dict(refused or {})

    def all_refused(self) -> dict[str, str]:
        """Every refused account with the machine's answer."""
        with self._lock:
            return dict(self._refused)

    def refusal(self, account: str) -> str | None:
        """The refusal of an account, in the machine's own words; ``None`` while there is none."""
        with self._lock:
            return self._refused.get(account)

    def refuse(self, account: str, answered: str) -> None:
        """Take an account as refused; also for a refusal that an earlier process met."""
        with self._lock:
            self._refused.setdefault(account, answered)
            self._good.discard(account)
            if self._on_refusal is not None:
                self._on_refusal(dict(self._refused))

    def allow(self, account: str) -> None:
        """Allow logons of an account again: a person has shown that its credentials are right now."""
        with self._lock:
            self._refused.pop(account, None)

    @contextmanager
    def attempt(
        self, account: str, wait_s: float = 60.0, *, refused: Callable[[BaseException], bool] = is_refusal
    ) -> Iterator[None]:
        """Log on inside this block. Until one logon worked they go one at a time.

        Raises `LogonNotTried` after a refusal, and `lpmkit.errors.NoAnswer` when the logon before it is still
        unanswered after ``wait_s``.
        """
        with self._lock:
            gate = None if account in self._good else self._gates.setdefault(account, threading.Lock())
        if gate is not None and not gate.acquire(timeout=wait_s):
            raise NoAnswer(f"not tried: an earlier logon as {account} is unanswered after {wait_s:g} s")
        try:
            answered = self.refusal(account)
            if answered is not None:
                raise LogonNotTried(account, answered)
            yield
            with self._lock:
                self._good.add(account)
        except LogonNotTried:
            raise
        except LpmError as error:
            if refused(error):
                self.refuse(account, str(error))
            raise
        finally:
            if gate is not None:
                gate.release()
