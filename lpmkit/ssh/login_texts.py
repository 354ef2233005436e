"""What hosts say when a login is refused for a reason of the account: its password, its lock, its shell.

The texts come before the login (a banner, an instruction), with the end of the connection, or instead of the reply to
the first command.
"""

from __future__ import annotations

import re

from lpmkit.errors import AccountLocked, LoginRefused, PasswordExpired

#: B `IBM-3004-327`, C `OPENSSH-SESSION`; "3004-610" is recalled (D).
_EXPIRED = (
    r"your password has (been )?expired",
    r"password change required but no tty",
    r"you must change your password",
    r"you are required to change your password",
    r"password has been expired for too long",
    r"3004-327\b",
    r"3004-610\b",
)
#: The words and numbers of AIX and of PAM as recalled (D).
_LOCKED = (
    r"3004-30[1-3]\b",
    r"too many unsuccessful login attempts",
    r"account (is|has been) (temporarily )?locked",
    r"account (temporarily )?locked (due to|as|because)",
    r"account (has )?expired",
)
#: C `OPENSSH-SESSION`; the words of AIX are recalled (D).
_NO_COMMANDS = (
    r"this account is currently not available",
    r"this service allows sftp connections only",
    r"remote logins are not allowed for this account",
)
_RESTRICTED = re.compile(r"^(?:-?\w*(?:r(?:ba|k)?sh|hmcbash|rcsh)|sh|ksh|bash)\b.*\brestricted\b", re.MULTILINE)
#: Lines of an answer that are read for such a text: one that a host gives instead of a reply is short.
_MAX_LINES = 12


def account_trouble(text: str, where: str, user: str) -> LoginRefused | None:
    """The error for a text that a host gave with a refused login; ``None`` if it says nothing about the account."""
    for patterns, error in ((_EXPIRED, _expired), (_LOCKED, _locked), (_NO_COMMANDS, _no_commands)):
        line = _line_with(patterns, text)
        if line:
            return error(where, user, line)
    return None


def session_trouble(text: str, where: str, user: str) -> LoginRefused | None:
    """The error for a text that came instead of a command's reply; ``None`` for any other text.

    Only texts that begin a line and that no command prints count.
    """
    if text.count("\n") > _MAX_LINES:
        return None
    for patterns, error in ((_EXPIRED, _expired), (_NO_COMMANDS, _no_commands)):
        line = _line_with([rf"^(warning: |\S+: )?({pattern})" for pattern in patterns], text)
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


def _line_with(patterns: tuple[str, ...] | list[str], text: str) -> str:
    for line in text.splitlines():
        if any(re.search(pattern, line.strip(), re.IGNORECASE) for pattern in patterns):
            return line.strip()
    return ""


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
