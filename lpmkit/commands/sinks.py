"""The commands sinks send and sinks metrics."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

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


@sinks.command("metrics")
@click.option("--runs", "folder", type=click.Path(file_okay=False, path_type=Path), help="Parent of the run folders.")
@click.option(
    "--listen",
    metavar="[HOST:]PORT",
    help="Serve them at /metrics until Ctrl-C, on this machine alone without HOST. There is no login and no TLS.",
)
@json_option
@click.pass_context
@reports_errors
def metrics(context: click.Context, folder: Path | None, listen: str | None, as_json: bool) -> None:
    """Print the metrics of the newest run of each partition, for Prometheus and OpenMetrics, or serve them."""
    from lpmkit.sinks.formats import metrics_text
    from lpmkit.sinks.metrics import PATH, RunsFolder, address_of, server

    runs = RunsFolder(folder or site_of(context).runs.folder)
    if listen is None:
        found = runs.metrics()
        if as_json:
            print_json({"runs": str(runs.folder), "metrics": [_metric_row(*metric) for metric in found]})
        else:
            click.echo(metrics_text(found), nl=False)
        return
    with server(address_of(listen), runs) as serving:
        host, port = str(serving.server_address[0]), serving.server_port
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"
        if as_json:
            print_json({"runs": str(runs.folder), "url": url})
        people(as_json).print(f"Metrics at {url}; Ctrl-C ends it.", soft_wrap=True)
        with suppress(KeyboardInterrupt):
            serving.serve_forever()


def _metric_row(name: str, about: str, samples: Sequence[tuple[Mapping[str, str], float]]) -> dict[str, Any]:
    rows = [{"labels": dict(labels), "value": value} for labels, value in samples]
    return {"name": f"lpmkit_{name}", "about": about, "samples": rows}


COMMANDS = (sinks,)
