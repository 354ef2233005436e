"""The command line. Every command parses, calls the library once, and prints.

Exit statuses: 0 fine; 1 not fine (a check failed, the firmware refused, the move did not succeed); 2 what was asked for cannot be; 3 could not
tell (a machine did not answer, something was not looked at, the record cannot be written); 130 interrupted.
"""

from __future__ import annotations

import click

import lpmkit
from lpmkit.commands import explain, move, plan, records, setup, survey, watch


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(lpmkit.__version__, prog_name="lpmkit")
@click.option("--site", "site_file", metavar="FILE", help="The site file; otherwise $LPMKIT_SITE or ./site.yaml.")
@click.pass_context
def main(context: click.Context, site_file: str | None) -> None:
    """Move a running partition with PowerVM Live Partition Mobility, and prove what its users felt.

    Exit status: 0 fine, 1 not fine, 2 cannot be, 3 could not tell.
    """
    context.obj = site_file


for _command in (
    *survey.COMMANDS,
    *move.COMMANDS,
    *plan.COMMANDS,
    *watch.COMMANDS,
    *setup.COMMANDS,
    *explain.COMMANDS,
    *records.COMMANDS,
):
    main.add_command(_command)
    # Each by itself too: click keeps the help option of the first time that a command is shown.
    _command.context_settings.setdefault("help_option_names", main.context_settings["help_option_names"])

if __name__ == "__main__":
    main()
