"""The acting person, as this machine knows them: the login in the record, and the account that the process runs under.

The environment is not asked: ``USER=anna`` would make anybody Anna. A front end that serves several people from one
process names the person, see `Person`.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from lpmkit.errors import NotAllowed
from lpmkit.json_values import JsonMapping

#: The kernel's value for a process that belongs to no login session.
_NO_SESSION = 2**32 - 1
#: Names that a proxy may hand on: what accounts and mail addresses are made of.
_LOGIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}")


@dataclass(frozen=True, slots=True)
class Person:
    """The acting person.

    ``login`` is the person, ``account`` the owner of the process, ``known_by`` what vouches for it: the login session,
    sudo, the account, or a proxy.

    A front end passes it to `lpmkit.runbook.Runbook`; without one the runbook takes `acting_person`.
    """

    login: str
    account: str
    known_by: str

    def as_data(self) -> dict[str, str]:
        """JSON values for a run folder."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: JsonMapping) -> Person:
        """The person in JSON values."""
        return cls(str(data["login"]), str(data["account"]), str(data["known_by"]))


def is_login(text: str) -> bool:
    """True where a text could be the name of a person that a proxy hands on.

    >>> is_login("anna.b@example.org"), is_login("-I"), is_login("a b"), is_login("")
    (True, False, False, False)
    """
    return _LOGIN.fullmatch(text) is not None


def account_name(uid: int) -> str:
    """The name of an account; its number where it has none.

    >>> account_name(0)
    'root'
    """
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def acting_person(environment: Mapping[str, str] = os.environ) -> Person:
    """The person behind this process: by its login session (the audit system's login uid), by sudo for root, else its
    account.
    """
    account = account_name(os.getuid())
    session = _session_uid()
    if session is not None and session != os.getuid():
        return Person(account_name(session), account, "login session")
    if os.getuid() == 0 and is_login(environment.get("SUDO_USER", "")):
        return Person(environment["SUDO_USER"], account, "sudo")
    return Person(account, account, "account" if session is None else "login session")


def _session_uid() -> int | None:
    try:
        value = int(Path("/proc/self/loginuid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return None if value == _NO_SESSION else value


#: The environment variable with the name of the header in which `lpmkit app` lets a proxy name the login.
PERSON_HEADER = "LPMKIT_PERSON_HEADER"


def person_of_request(environment: Mapping[str, str] = os.environ) -> Person:
    """The person whose browser a page's kernel was started for: by the header of the proxy where the server was told to
    trust one, else `acting_person`.

    Raises `NotAllowed` where the proxy sent no name, or an impossible one.
    """
    header = environment.get(PERSON_HEADER)
    if not header:
        return acting_person(environment)
    login = environment.get(f"HTTP_{header.upper().replace('-', '_')}", "")
    if not is_login(login):
        raise NotAllowed(
            f"the proxy did not say who logged in (header {header})",
            next_step="Set the header in the proxy after it has authenticated the person, and drop the browser's own.",
        )
    return Person(login, account_name(os.getuid()), "proxy")
