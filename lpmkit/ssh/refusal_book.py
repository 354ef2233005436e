"""A file of the accounts that refused a login, for commands that a program gives: it tries again, and another try may
lock the account.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from lpmkit.ssh.logins import keep_refusals

#: The environment variable that names the file. `lpmkit mcp` sets it for each of its commands.
BOOK = "LPMKIT_REFUSED_LOGINS"


def keep_refusals_in(book: Path) -> None:
    """Log in to no account that the file has, and enter those that refuse a login, at once."""
    refused = json.loads(book.read_text(encoding="utf-8")) if book.exists() else {}
    keep_refusals(refused, lambda accounts: _enter(book, accounts))


def _enter(book: Path, refused: Mapping[str, str]) -> None:
    new = book.with_name(f"{book.name}.new")
    new.write_text(json.dumps(dict(refused)), encoding="utf-8")
    new.replace(book)
