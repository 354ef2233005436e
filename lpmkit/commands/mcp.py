"""The command mcp."""

from __future__ import annotations

import os

import click

from lpmkit.commands.console import reports_errors
from lpmkit.errors import UsageError
from lpmkit.settings.site_file import find_site_file


@click.command()
@click.pass_context
@reports_errors
def mcp(context: click.Context) -> None:
    """Serve agents that speak the Model Context Protocol, on standard input and output: check, explain, history,
    inventory, the look at an interrupted move, the verdict of a run. No tool changes a machine.

    Needs the extra `mcp`, and a site file outside of the current folder or named by --site. Ends when standard input
    is closed. docs/mcp.md has what an agent can and cannot do.
    """
    from lpmkit.commands.mcp_server import serve

    site_file = find_site_file(context.obj)
    if not site_file.is_absolute() and not (context.obj or os.environ.get("LPMKIT_SITE")):
        raise UsageError(
            "the site file in the current folder is used only where it is named: agents may write in that folder",
            where=str(site_file.resolve()),
            next_step="`lpmkit --site FILE mcp`.",
        )
    serve(site_file.resolve())


COMMANDS = (mcp,)
