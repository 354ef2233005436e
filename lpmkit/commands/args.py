"""The arguments that name a move, the same for every command: PARTITION --to FRAME, --from, --keep-mapping, --map."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from lpmkit.commands import candidates
from lpmkit.commands.console import Command, print_line, site_of
from lpmkit.errors import UsageError

if TYPE_CHECKING:
    from lpmkit.control.base import Order
    from lpmkit.runbook import Runbook


def runbook_of(context: click.Context) -> Runbook:
    """A runbook for the site file that the command line or the environment names."""
    from lpmkit.runbook import Runbook

    return Runbook(site_of(context))


@dataclass(frozen=True, slots=True)
class MoveArguments:
    """The move that a command line names. ``attributes``, ``options`` and ``limits`` are the NAME=VALUE texts of
    ``--map``, ``--option`` and ``--limit``.
    """

    partition: str | None
    target: str | None
    source: str | None
    keep_mapping: bool
    attributes: tuple[str, ...]
    options: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    window: str | None = None
    on_breach: str | None = None

    def typed(self) -> str:
        """The same arguments as they are typed behind a command.

        >>> MoveArguments("bxaix85", "bvio83", None, False, ("shared_proc_pool_name=SAP pool",)).typed()
        "bxaix85 --to bvio83 --map 'shared_proc_pool_name=SAP pool'"
        """
        repeated = {"--map": self.attributes, "--option": self.options, "--limit": self.limits}
        single = {"--to": self.target, "--from": self.source, "--window": self.window, "--on-breach": self.on_breach}
        words = [self.partition or ""]
        for name, value in single.items():
            words += [name, value] if value is not None else []
        words += ["--keep-mapping"] if self.keep_mapping else []
        for name, values in repeated.items():
            words += [word for value in values for word in (name, value)]
        return shlex.join(words)

    def names(self) -> tuple[str, str]:
        """Partition and target frame. Raises `UsageError` if one is missing."""
        if self.partition is None:
            raise UsageError("no partition is named", next_step="Name one, or check whole frames with --all.")
        if self.target is None:
            raise UsageError("no target frame is named", next_step="Name it with --to FRAME.")
        return self.partition, self.target

    def order(self, book: Runbook) -> Order:
        """The order for these arguments; prints which parts of the mapping cannot be kept. Raises `UsageError`."""
        partition, target = self.names()
        from lpmkit.limits import limits_from_words

        attributes = dict(text.partition("=")[::2] for text in self.attributes)
        if not all(name and value for name, value in attributes.items()):
            raise UsageError("--map takes NAME=VALUE", next_step="Such as --map shared_proc_pool_name=ORACLE.")
        options = dict(text.partition("=")[::2] for text in self.options)
        words = dict(text.partition("=")[::2] for text in self.limits)
        limits = limits_from_words(words, self.window, self.on_breach)
        order = book.order(partition, target, source=self.source, mapping=attributes, options=options, limits=limits)
        if not self.keep_mapping:
            return order
        order, mapping = book.keep_mapping(order)
        for trouble in mapping.troubles:
            print_line(f"not kept: {trouble}", err=True)
        return order


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--map",
        "attributes",
        metavar="NAME=VALUE",
        multiple=True,
        help="Attribute for migrlpar -i, such as dest_lpar_id=12; overrides --keep-mapping. May be repeated.",
    ),
    click.option(
        "--option",
        "options",
        metavar="NAME=VALUE",
        multiple=True,
        help="Option of migrlpar, for validation and move alike, such as requirerr=2. May be repeated.",
    ),
    click.option(
        "--limit",
        "limits",
        metavar="NAME=SECONDS",
        multiple=True,
        help=(
            "Limit of this move over the site's: suspension, session-outage, brown-out, job-delay or commit-stall, as "
            "FAIL or WARN:FAIL. May be repeated."
        ),
    ),
    click.option(
        "--window",
        metavar="BEGIN/END",
        help="Change window with zones, such as 2026-11-30T22:00+01:00/2026-11-30T23:00+01:00.",
    ),
    click.option(
        "--on-breach",
        type=click.Choice(["tell", "stop"]),
        help="What the guard does when a bound is exceeded before the switch-over (default: the site's, else tell).",
    ),
    click.option(
        "--keep-mapping",
        is_flag=True,
        help="Name with -i where each adapter goes, so that the mapping stays (`lpmkit mapping` shows it).",
    ),
    click.option(
        "--from",
        "source",
        metavar="FRAME",
        shell_complete=candidates.frames,
        help="Source frame; needed only if several frames list the partition.",
    ),
)


#: The values of options that are not given.
_NOT_GIVEN: dict[str, Any] = {
    "source": None,
    "keep_mapping": False,
    "attributes": (),
    "options": (),
    "limits": (),
    "window": None,
    "on_breach": None,
}


def _collected(command: Command) -> Command:
    """Hand the arguments of a move to ``command`` as one `MoveArguments`, ``wanted``."""

    @wraps(command)
    def wrapped(*, partition: str | None, target: str | None, **rest: Any) -> Any:
        rest = {**_NOT_GIVEN, **rest}
        named = {name: rest.pop(name) for name in _NOT_GIVEN}
        return command(wanted=MoveArguments(partition, target, **named), **rest)

    return wrapped  # type: ignore[return-value]


def order_arguments(command: Command, *, required: bool = True) -> Command:
    """PARTITION and the options of an order; the command gets them as ``wanted``."""
    command = _collected(command)
    for decorate in _OPTIONS:
        command = decorate(command)
    target = click.option(
        "--to",
        "target",
        metavar="FRAME",
        required=required,
        shell_complete=candidates.frames,
        help="Target frame, by its name in the site file.",
    )
    return click.argument("partition", required=required, shell_complete=candidates.partitions)(target(command))


#: A run, by its path or by its name in the site's folder of runs.
run_argument = click.argument("run_name", metavar="RUN", shell_complete=candidates.runs)
#: The same, left out for the run that is recorded now, else the newest.
newest_run_argument = click.argument("run_name", metavar="[RUN]", required=False, shell_complete=candidates.runs)
#: The partition's name as confirmation.
confirm_option = click.option(
    "--confirm", "typed", metavar="NAME", help="The partition's name as confirmation; without it you are asked."
)
