"""The commands for the shared store of several jump hosts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from lpmkit.commands.console import FINE, json_option, print_json, print_line, print_table, reports_errors, site_of

if TYPE_CHECKING:
    from lpmkit.store.database import Store


@click.group("store")
def store() -> None:
    """The PostgreSQL database that several jump hosts share (`store:` in the site file)."""


def _store(context: click.Context) -> Store:
    from lpmkit.errors import UsageError
    from lpmkit.ssh.secrets import Secrets
    from lpmkit.store import shared_store

    opened = shared_store(site_of(context), Secrets())
    if opened is None:
        raise UsageError(
            "the site file names no shared store",
            next_step="Add `store: postgresql://USER@HOST/DATABASE`; docs/store.md has the rest.",
        )
    return opened


@store.command("init")
@json_option
@click.pass_context
@reports_errors
def init(context: click.Context, as_json: bool) -> None:
    """Create the tables of the store, or bring them up to date. Hosts with an older lpmkit are refused from then."""
    from lpmkit.plan.engine import prepare
    from lpmkit.store.database import VERSION

    opened = _store(context)
    before = opened.migrate()
    prepare(opened)
    done = f"is at version {VERSION} already" if before == VERSION else f"is at version {VERSION} now"
    if as_json:
        print_json({"store": opened.where, "before": before, "version": VERSION})
    else:
        print_line(f"The store {done}: {opened.where}.")
    sys.exit(FINE)


@store.command("show")
@json_option
@click.pass_context
@reports_errors
def show(context: click.Context, as_json: bool) -> None:
    """List the moves under way on every host, the room that plans hold, and the workers. Changes nothing."""
    from lpmkit.store.moves import open_intents, reservations_held
    from lpmkit.store.places import all_places

    opened = _store(context)
    places = [
        {"place": one.place, "host": one.host, "process": str(one.pid), "state": "alive" if one.is_alive else "dead",
         "last seen": "" if one.silent_s is None else f"{one.silent_s:.0f} s ago"}
        for one in all_places(opened).values()
    ]  # fmt: skip
    intents, held = open_intents(opened), reservations_held(opened)
    moves = [
        {
            "partition": one.partition,
            "from": one.source,
            "to": one.target,
            "phase": one.phase,
            "host": one.host,
            "run": one.run,
            "by": one.by,
            "asked (UTC)": f"{one.asked_at:%Y-%m-%d %H:%M:%S}" if one.asked_at else "",
            "last seen": f"{one.silent_s:.0f} s ago" if one.silent_s is not None else "",
        }
        for one in intents
    ]
    rooms = [{"partition": one.partition, "from": one.source, "to": one.target, "held by": one.holder} for one in held]
    if as_json:
        print_json({"store": opened.where, "moves": moves, "room": rooms, "places": places})
    else:
        print_table("Moves under way", moves)
        print_table("Room that plans hold", rooms)
        print_table("Places", places)
        print_line(f"{opened.where}: {len(moves)} under way, {len(rooms)} with room held.")
    sys.exit(FINE)


@click.command("worker")
@click.option("--place", required=True, metavar="NAME", help="The name that frames of the site file have as `place:`.")
@click.pass_context
@reports_errors
def worker(context: click.Context, place: str) -> None:
    """Drive plans and record watches from this host, until it is ended (Ctrl-C, SIGTERM); what runs goes on without it.

    Plans that move partitions away from frames with this place come here, from any person on any host. A worker that
    is started again resumes what it left.
    """
    from lpmkit.plan.book import WORKER
    from lpmkit.plan.driving import serve_place
    from lpmkit.runbook import Runbook
    from lpmkit.ssh.secrets import Secrets

    site, secrets = site_of(context), Secrets()
    _store(context).require()
    Runbook(site, secrets).landscape()  # asks for the managers' passwords while somebody can answer
    serve_place(site, secrets, place, WORKER, lambda text: print_line(f"{place}: {text}"))
    sys.exit(FINE)


COMMANDS: Sequence[Any] = (store, worker)
