"""What every command that names a move has in common: PARTITION --to TARGET, and the order that it means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from lpmkit.commands.console import Command, print_line
from lpmkit.config import find_site_file, load_site
from lpmkit.errors import UsageError


def runbook_of(context: click.Context) -> Any:
    from lpmkit.runbook import Runbook  # noqa: PLC0415 - `lpmkit --help` should not load paramiko

    return Runbook(load_site(find_site_file(context.obj)))


def order_of(
    book: Any, partition: str, target: str, source: str | None, keep_mapping: bool, asked: Sequence[str]
) -> Any:
    """The order that the arguments mean; says what of a mapping cannot be kept."""
    said = dict(text.partition("=")[::2] for text in asked)
    if not all(name and value for name, value in said.items()):
        raise UsageError("--map takes NAME=VALUE", next_step="Such as --map shared_proc_pool_name=ORACLE.")
    order = book.order(partition, target, source=source, mapping=said)
    if not keep_mapping:
        return order
    order, kept = book.keep_mapping(order)
    for trouble in kept.troubles:
        print_line(f"not kept: {trouble}", err=True)
    return order


def order_options(command: Command, *, target_needed: bool = True) -> Command:
    """--to TARGET [--from SOURCE] [--keep-mapping] [--map NAME=VALUE]…, the same everywhere."""
    for decorate in (
        click.option(
            "--map",
            "asked",
            metavar="NAME=VALUE",
            multiple=True,
            help="An attribute for migrlpar -i, such as dest_lpar_id=12; goes before --keep-mapping. May be repeated.",
        ),
        click.option(
            "--keep-mapping",
            is_flag=True,
            help="Say with -i where each adapter goes, so that the mapping stays (`lpmkit mapping` shows it).",
        ),
        click.option(
            "--from", "source", metavar="FRAME", help="Only needed when more than one frame lists the partition."
        ),
        click.option(
            "--to",
            "target",
            metavar="FRAME",
            required=target_needed,
            help="The target frame, as the site file calls it.",
        ),
    ):
        command = decorate(command)
    return command


def order_arguments(command: Command) -> Command:
    """PARTITION and the options of an order, the same everywhere."""
    return click.argument("partition")(order_options(command))
