"""The texts of hosts when a login is refused for a reason of the account: its password, its lock, its shell.

The texts come before the login (a banner, an instruction), with the end of the connection, or instead of the reply to
the first command.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from lpmkit.errors import AccountLocked, LoginRefused, PasswordExpired

#: B `IBM-3004-327`, C `OPENSSH-SESSION`; "3004-610" is recalled (D).
_EXPIRED = (
    r"password has (been )?expired",
    r"password change required but no tty",
    r"you must change your password",
    r"you are required to change your password",
)
#: The words and numbers of AIX and of PAM as recalled (D).
_LOCKED = (
    r"there have been too many unsuccessful login attempts",
    r"account (is|has been) (temporarily )?(locked|disabled)",
    r"account (temporarily )?locked (due to|as|because)",
    r"account (has )?expired",
)
#: C `OPENSSH-SESSION`; the words of AIX are recalled (D).
_NO_COMMANDS = (
    r"this account is currently not available",
    r"this service allows sftp connections only",
    r"remote logins are not allowed for this account",
)
#: Numbers of AIX's messages, which are the same in every language.
_EXPIRED_NUMBERS, _LOCKED_NUMBERS = ("3004-327", "3004-610"), ("3004-301", "3004-302", "3004-303")
_RESTRICTED = re.compile(r"^(?:-?\w*(?:r(?:ba|k)?sh|hmcbash|rcsh)|sh|ksh|bash)\b.*\brestricted\b", re.MULTILINE)
#: A word of a sentence; the number of a message is none.
_WORD = re.compile(r"^(?!\d{4}-\d{3}$).*[^\W\d]")
#: Lines of an answer that are read for such a text: one that a host gives instead of a reply is short.
_MAX_LINES = 12


def account_trouble(text: str, where: str, user: str) -> LoginRefused | None:
    """The error for a text that a host gave with a refused login; ``None`` if it says nothing about the account."""
    for patterns, numbers, error in (
        (_EXPIRED, _EXPIRED_NUMBERS, _expired),
        (_LOCKED, _LOCKED_NUMBERS, _locked),
        (_NO_COMMANDS, (), _no_commands),
    ):
        line = _line_with(patterns, numbers, text)
        if line:
            return error(where, user, line)
    return None


def session_trouble(text: str, where: str, user: str) -> LoginRefused | None:
    """The error for a text that came instead of a command's reply; ``None`` for any other text.

    Only texts that begin a line and that no command prints count.
    """
    if text.count("\n") > _MAX_LINES:
        return None
    for patterns, numbers, error in ((_EXPIRED, _EXPIRED_NUMBERS, _expired), (_NO_COMMANDS, (), _no_commands)):
        line = _line_with(patterns, numbers, text)
        if line:
            return error(where, user, line)
    return None


def is_restricted(text: str) -> bool:
    """True if a restricted shell refused the command itself.

    >>> is_restricted("rksh: /usr/bin/uname: 0403-006 Execute permission denied.")
    False
    >>> is_restricted("rbash: /usr/bin/uname: restricted: cannot specify `/' in command names")
    True
    """
    return _RESTRICTED.search(text) is not None


def _line_with(patterns: Sequence[str], numbers: Sequence[str], text: str) -> str:
    """The first line that begins with one of the patterns or numbers, after marks and the name of a program.

    A banner may say what would happen to an account; such a line begins otherwise.
    """
    for line in text.splitlines():
        opening = _opening(line)
        if any(re.match(pattern, opening, re.IGNORECASE) for pattern in patterns):
            return line.strip()
        if set(line.split()[:3]) & set(numbers):
            return line.strip()
    return ""


def _opening(line: str) -> str:
    """A line from its first word that is no mark, program's name or article.

    >>> _opening("[compat]: *** WARNING: Your password has expired.")
    'password has expired.'
    """
    words = line.split()
    while words and (words[0].endswith(":") or words[0].lower() in ("the", "your") or not _WORD.search(words[0])):
        del words[0]
    return " ".join(words)


def _expired(where: str, user: str, line: str) -> LoginRefused:
    return PasswordExpired(
        f"the password of {user} has expired",
        where=where,
        answered=line,
        next_step="Log in by hand once and change it.",
    )


def _locked(where: str, user: str, line: str) -> LoginRefused:
    return AccountLocked(
        f"the account {user} is locked or has expired",
        where=where,
        answered=line,
        next_step="Have it unlocked; on AIX: chuser account_locked=false NAME and "
        "chsec -f /etc/security/lastlog -a unsuccessful_login_count=0 -s NAME.",
    )


def _no_commands(where: str, user: str, line: str) -> LoginRefused:
    return AccountLocked(
        f"the account {user} may not run commands",
        where=where,
        answered=line,
        next_step="Name an account with a shell in the ssh configuration.",
    )
