"""The commands that look and change nothing: survey, mapping, check, validate."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Any

import click
from rich.console import Console

from lpmkit.commands import explain as advice
from lpmkit.commands.args import order_arguments, order_of, order_options, runbook_of
from lpmkit.commands.console import (
    COULD_NOT_TELL,
    FINE,
    MARKS,
    NOT_FINE,
    json_option,
    people,
    print_table,
    say_json,
    told,
)
from lpmkit.control.codes import explain
from lpmkit.errors import NotAllowed, UsageError
from lpmkit.runs.folder import Run


@click.command()
@order_arguments
@json_option
@click.pass_context
@told
def survey(
    context: click.Context,
    partition: str,
    target: str,
    source: str | None,
    keep_mapping: bool,
    asked: Sequence[str],
    as_json: bool,
) -> None:
    """Gather every fact about a move from both ends; changes nothing."""
    book = runbook_of(context)
    run = book.prepare(order_of(book, partition, target, source, keep_mapping, asked))
    found = book.survey(run)
    if as_json:
        say_json(found.to_dict())
    else:
        from lpmkit.mapping.compare import as_row, compare_mapping  # noqa: PLC0415

        people.print(f"Facts about {partition} and both ends are in {run.path / 'survey.json'}")
        print_table("What becomes of the mapping", [as_row(line) for line in compare_mapping(found, record_of(run))])
        for gap in found.gaps:
            people.print(f"not looked at: {gap.what} on {gap.where}: {gap.why}", style="yellow")
    sys.exit(COULD_NOT_TELL if found.gaps else FINE)


def record_of(run: Run) -> dict[str, str] | None:
    """The -i record of a run's order; None where the manager chooses."""
    return dict(run.manifest["order"]["mapping"]) or None


@click.command()
@order_arguments
@json_option
@click.pass_context
@told
def mapping(
    context: click.Context,
    partition: str,
    target: str,
    source: str | None,
    keep_mapping: bool,
    asked: Sequence[str],
    as_json: bool,
) -> None:
    """Show what serves the partition on both ends, what stays and what is renamed; changes nothing.

    Without --keep-mapping and --map: as the manager would choose. With them: as the record says that migrlpar -i would get.
    """
    from lpmkit.control.listings import attribute_record  # noqa: PLC0415
    from lpmkit.mapping.compare import LOST, UNKNOWN, as_row, compare_mapping  # noqa: PLC0415

    book = runbook_of(context)
    run = book.prepare(order_of(book, partition, target, source, keep_mapping, asked))
    found, record = book.survey(run), record_of(run)
    lines = compare_mapping(found, record)
    if as_json:
        said = None if record is None else attribute_record(record)
        say_json({"run": str(run.path), "record": record, "i": said, "lines": [asdict(line) for line in lines]})
    else:
        print_table(f"{partition} on both ends", [as_row(line) for line in lines])
        if record is not None:
            people.print(f"migrlpar -i {shlex.quote(attribute_record(record))}", soft_wrap=True)
        if (run.path / "profiles.txt").exists():
            people.print(f"Its profiles are kept in {run.path / 'profiles.txt'}")
    states = {line.state for line in lines}
    sys.exit(NOT_FINE if LOST in states else COULD_NOT_TELL if UNKNOWN in states else FINE)


@click.command()
@click.argument("partition", required=False)
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Judge every partition of the frame that --from names, or of every frame that has a partner, and keep it.",
)
@partial(order_options, target_needed=False)
@json_option
@click.pass_context
@told
def check(
    context: click.Context,
    partition: str | None,
    target: str | None,
    source: str | None,
    keep_mapping: bool,
    asked: Sequence[str],
    every: bool,
    as_json: bool,
) -> None:
    """Judge every prerequisite of a move, and say how to mend what is missing; changes nothing.

    With --all instead of PARTITION: of every partition of the frame that --from names, or, without --from, of every frame that has a partner in
    the site file, in one pass; kept as JSON, CSV and HTML in checks/ of the folder of runs, with what changed since the last time. Exit status: 0
    ready, all of them with --all; 1 one is not ready; 3 none is, but of one it could not be told.
    """
    from lpmkit.checks import ready  # noqa: PLC0415
    from lpmkit.runbook import as_row  # noqa: PLC0415

    statuses = {"ready": FINE, "not ready": NOT_FINE, "could not tell": COULD_NOT_TELL}
    if every:
        if partition is not None or keep_mapping or asked or (target is not None and source is None):
            raise UsageError("--all judges whole frames", next_step="lpmkit check --all [--from FRAME [--to FRAME]]")
        sys.exit(statuses[advice.check_frames(context, source, target, as_json)])
    if partition is None:
        raise UsageError("no partition is named", next_step="Name one, or whole frames with --all.")
    if target is None:
        raise UsageError("no target is named", next_step="Name the target frame with --to.")
    book = runbook_of(context)
    run = book.prepare(order_of(book, partition, target, source, keep_mapping, asked))
    findings = book.check(run)
    if as_json:
        say_json({"run": str(run.path), "answer": ready(findings).value, "findings": [as_row(one) for one in findings]})
    else:
        print_findings(findings)
        people.print(f"Kept in {run.path}")
    sys.exit(statuses[ready(findings).value])


@click.command()
@order_arguments
@click.option(
    "--npiv-disks",
    "disks",
    is_flag=True,
    help="Have the I/O servers try every disk of virtual Fibre Channel, not its zoning only (--npivval portdisk, an HMC from V8R8.4.0).",
)
@json_option
@click.pass_context
@told
def validate(
    context: click.Context,
    partition: str,
    target: str,
    source: str | None,
    keep_mapping: bool,
    asked: Sequence[str],
    disks: bool,
    as_json: bool,
) -> None:
    """Ask the firmware whether the move would be accepted (migrlpar -o v); changes nothing."""
    book = runbook_of(context)
    run = book.prepare(order_of(book, partition, target, source, keep_mapping, asked))
    before = book.validation_before(run)
    if before is not None:
        raise NotAllowed(
            f"this run moves {partition} now, so the manager is not asked to validate it again",
            where=run.name,
            answered=f"before the move, at {datetime.fromtimestamp(before.wall_ns / 1e9, tz=UTC):%H:%M:%S} UTC, it {'passed' if before.passed else 'was refused'}",
            next_step=f"`lpmkit attach {run.path}` shows the move.",
        )
    word = book.validate(run, disks=disks)
    if as_json:
        say_json({"run": str(run.path), **asdict(word), "explained": [asdict(one) for one in explain(word.text)]})
    else:
        print_validation(word)
        print_prediction(book.predict(run))
        people.print(f"Kept in {run.path}")
    sys.exit(FINE if word.passed else NOT_FINE if word.status is not None else COULD_NOT_TELL)


def print_findings(findings: Sequence[Any], console: Console | None = None, *, only_trouble: bool = False) -> None:
    """The findings as a table: verdict, what, facts, remedy, who."""
    shown = [one for one in findings if one.verdict.value != "pass"] if only_trouble else findings
    rows = [
        {
            "": MARKS[one.verdict.value],
            "check": one.title,
            "about": one.about,
            "facts": ", ".join(f"{key}: {value}" for key, value in one.facts.items()),
            "remedy": f"{one.remedy} ({one.who})" if one.remedy and one.verdict.value != "pass" else "",
        }
        for one in shown
        if not one.only_firmware
    ]
    alone = [one.title for one in findings if one.only_firmware]
    count = sum(one.verdict.value == "pass" for one in findings)
    (console or people).print(f"{count} of {len(findings)} checks pass.")
    print_table("", rows, console)
    if alone:
        said = "; ".join(dict.fromkeys(alone))
        (console or people).print(f"Only the firmware's validation can tell (lpmkit validate): {said}.")


def print_validation(word: Any, console: Console | None = None) -> None:
    """The firmware's word."""
    if word.passed:
        (console or people).print("The firmware's validation passed." + (f" It says: {word.text}" if word.text else ""))
    else:
        (console or people).print("The firmware's validation refused the move:")
        (console or people).print(word.text or "(it says nothing)")
    for one in explain(word.text):
        (console or people).print(f"  {one.sentences()}")


def print_prediction(said: Any, console: Console | None = None) -> None:
    """What to expect of the move."""
    if said is not None:
        (console or people).print(f"Expected: {said.sentence()}.")


COMMANDS = (
    survey,
    mapping,
    check,
    validate,
)
