"""The command sinks send."""

from __future__ import annotations

import sys

import click

from lpmkit.commands.args import run_argument
from lpmkit.commands.console import (
    COULD_NOT_TELL,
    FINE,
    json_option,
    named_run,
    people,
    print_item,
    print_json,
    reports_errors,
    site_of,
)
from lpmkit.errors import NotFound


@click.group("sinks")
def sinks() -> None:
    """The audit records of runs, for other systems (`sinks:` in the site file)."""


@sinks.command("send")
@run_argument
@click.option("--sink", "names", multiple=True, metavar="NAME", help="Only to this sink. May be repeated.")
@json_option
@click.pass_context
@reports_errors
def send(context: click.Context, run_name: str, names: tuple[str, ...], as_json: bool) -> None:
    """Send what the sinks of the site file have not taken of a run, each record once.

    Exit status: 0 everything is delivered, 3 something is not.
    """
    from lpmkit.sinks import with_hooks
    from lpmkit.sinks.courier import send_again
    from lpmkit.ssh.secrets import Secrets

    known, run = with_hooks(site_of(context).sinks), named_run(context, run_name)
    for name in names:
        if name not in known:
            raise NotFound("sink", name, known=known, where="site file")
    chosen = {name: settings for name, settings in known.items() if not names or name in names}
    sent = send_again(run, chosen, Secrets())
    rows = [
        {"sink": name, "kind": chosen[name].kind, "sent": taken, "undelivered": left, "why": why}
        for name, (taken, left, why) in sent.items()
    ]
    if as_json:
        print_json({"run": str(run.path), "sinks": rows})
    out = people(as_json)
    for row in rows:
        mark = "[red]✗ not delivered[/red]" if row["undelivered"] else "[green]✓ delivered[/green]"
        count = f"{row['sent']} sent" + (f", {row['undelivered']} not" if row["undelivered"] else "")
        print_item(mark, f"{row['sink']} ({row['kind']}): {count}", str(row["why"]), console=out)
    if not rows:
        out.print("The site file names no sink (`sinks:`, docs/sinks.md).")
    sys.exit(COULD_NOT_TELL if any(row["undelivered"] for row in rows) else FINE)


COMMANDS = (sinks,)
