"""The command secret set."""

from __future__ import annotations

import sys

import click

from lpmkit.commands import candidates
from lpmkit.commands.console import json_option, print_json, print_line, reports_errors
from lpmkit.errors import UsageError


@click.group("secret")
def secret() -> None:
    """Keep the secrets that a site file refers to in the keyring."""


@secret.command("set")
@click.argument("name", metavar="SERVICE/USER", shell_complete=candidates.references)
@json_option
@reports_errors
def set_secret(name: str, as_json: bool) -> None:
    """Ask for a secret without echo and keep it in this account's keyring; `keyring:SERVICE/USER` refers to it.

    From a pipe the first line of standard input is taken. It is never an argument: others can read those.
    """
    from lpmkit.ssh.keyring import keep_secret, split_name

    service, user = split_name(name.removeprefix("keyring:"))
    value = _asked(f"Secret for {user} of {service}") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not value:
        raise UsageError("no secret was given, and nothing was kept")
    keep_secret(service, user, value)
    if as_json:
        print_json({"reference": f"keyring:{service}/{user}"})
    else:
        print_line(f"Kept in the keyring. In the site file: password: keyring:{service}/{user}")


def _asked(question: str) -> str:
    return str(click.prompt(question, hide_input=True, confirmation_prompt="Once more", err=True))


COMMANDS = (secret,)
