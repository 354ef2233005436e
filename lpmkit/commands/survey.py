"""The commands that only look: survey, mapping, check, validate."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import click

from lpmkit.commands import explain as advice
from lpmkit.commands.args import MoveArguments, order_arguments, runbook_of
from lpmkit.commands.console import (
    COULD_NOT_TELL,
    FINE,
    MARKS,
    NOT_FINE,
    json_option,
    print_item,
    print_json,
    print_line,
    print_table,
    reports_errors,
    terminal,
)
from lpmkit.errors import NotAllowed, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from lpmkit.checks import Answer, Finding
    from lpmkit.config import RunSettings
    from lpmkit.prediction.moves import Prediction
    from lpmkit.prediction.no_forecast import NoForecast
    from lpmkit.runbook import Validation
    from lpmkit.runs.folder import Run


@click.command()
@order_arguments
@json_option
@click.pass_context
@reports_errors
def survey(context: click.Context, wanted: MoveArguments, as_json: bool) -> None:
    """Survey both frames and the partition for a move. Changes nothing."""
    book = runbook_of(context)
    run = book.prepare(wanted.order(book))
    facts = book.survey(run)
    if as_json:
        print_json(facts.to_dict())
    else:
        from lpmkit.mapping.compare import as_row, compare_mapping

        terminal().print(f"Survey of {wanted.partition} and both frames: {run.path / 'survey.json'}")
        print_table("Mapping after the move", [as_row(row) for row in compare_mapping(facts, record_of(run))])
        for gap in facts.gaps:
            terminal().print(f"not surveyed: {gap.what} on {gap.where}: {gap.why}", style="yellow")
    sys.exit(COULD_NOT_TELL if facts.gaps else FINE)


def record_of(run: Run) -> dict[str, str] | None:
    """The -i record of a run's order; `None` if the manager chooses the mapping."""
    return dict(run.manifest["order"]["mapping"]) or None


@click.command()
@order_arguments
@json_option
@click.pass_context
@reports_errors
def mapping(context: click.Context, wanted: MoveArguments, as_json: bool) -> None:
    """Compare the partition's adapters, disks and networks on source and target. Changes nothing.

    Without --keep-mapping and --map: as the manager would choose. With them: as requested by the record for migrlpar
    -i.
    """
    from lpmkit.control.listings import attribute_record
    from lpmkit.mapping.compare import LOST, UNKNOWN, as_row, compare_mapping

    book = runbook_of(context)
    run = book.prepare(wanted.order(book))
    facts, record = book.survey(run), record_of(run)
    rows = compare_mapping(facts, record)
    if as_json:
        argument = None if record is None else attribute_record(record)
        print_json({"run": str(run.path), "record": record, "i": argument, "lines": [asdict(row) for row in rows]})
    else:
        print_table(f"{wanted.partition} on source and target", [as_row(row) for row in rows])
        if record is not None:
            terminal().print(f"migrlpar -i {shlex.quote(attribute_record(record))}", soft_wrap=True)
        if (run.path / "profiles.txt").exists():
            terminal().print(f"Partition profiles: {run.path / 'profiles.txt'}")
    states = {row.state for row in rows}
    sys.exit(NOT_FINE if LOST in states else COULD_NOT_TELL if UNKNOWN in states else FINE)


@click.command()
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Check every partition of the frame named by --from, or of every frame that has a partner.",
)
@partial(order_arguments, required=False)
@json_option
@click.pass_context
@reports_errors
def check(context: click.Context, wanted: MoveArguments, every: bool, as_json: bool) -> None:
    """Check every prerequisite of a move; print the remedy for what is missing. Changes nothing.

    With --all instead of PARTITION: check every partition of the frame named by --from, or, without --from, of every
    frame that has a partner in the site file. The results are saved as JSON, CSV and HTML in checks/ of the runs
    folder, with the changes since the last time.

    Exit status: 0 ready (with --all: every partition), 1 at least one is not ready, 3 none is not ready but at least
    one is inconclusive.
    """
    from lpmkit.checks import ready
    from lpmkit.runbook import as_row

    statuses = {"ready": FINE, "not ready": NOT_FINE, "could not tell": COULD_NOT_TELL}
    if every:
        narrowed = wanted.partition is not None or wanted.keep_mapping or wanted.attributes
        if narrowed or (wanted.target is not None and wanted.source is None):
            raise UsageError("--all checks whole frames", next_step="lpmkit check --all [--from FRAME [--to FRAME]]")
        sys.exit(statuses[advice.check_frames(context, wanted.source, wanted.target, as_json)])
    wanted.names()  # before the site file is needed
    book = runbook_of(context)
    run = book.prepare(wanted.order(book))
    findings = book.check(run)
    if as_json:
        rows = [as_row(finding) for finding in findings]
        print_json({"run": str(run.path), "answer": ready(findings).value, "findings": rows})
    else:
        print_findings(findings)
        terminal().print(f"Saved in {run.path}")
        print_line(after_check(ready(findings), f"lpmkit validate {wanted.typed()}"))
    sys.exit(statuses[ready(findings).value])


@click.command()
@order_arguments
@click.option(
    "--npiv-disks",
    "disks",
    is_flag=True,
    help=(
        "Also let the VIOS try every disk behind virtual Fibre Channel, not only the zoning (--npivval portdisk, HMC "
        "V8R8.4.0 or later)."
    ),
)
@json_option
@click.pass_context
@reports_errors
def validate(context: click.Context, wanted: MoveArguments, disks: bool, as_json: bool) -> None:
    """Let the HMC or IVM validate the move (migrlpar -o v). Changes nothing.

    After a refusal the failing checks of lpmkit are shown with their remedies.
    """
    from lpmkit.runbook import as_row

    book = runbook_of(context)
    run = book.prepare(wanted.order(book))
    before = book.validation_before(run)
    if before is not None:
        at = datetime.fromtimestamp(before.wall_ns / 1e9, tz=UTC)
        raise NotAllowed(
            f"{wanted.partition} is being moved now; the manager is not asked to validate again",
            where=run.name,
            answered=f"the validation at {at:%H:%M:%S} UTC {'passed' if before.passed else 'failed'}",
            next_step=f"`lpmkit attach {run.path}` shows the move.",
        )
    validation = book.validate(run, disks=disks)
    refused = validation.is_refused
    causes = book.causes(run) if refused else ()
    if as_json:
        from lpmkit.control.codes import explain

        codes = [asdict(code) for code in explain(validation.text)]
        found = {"explained": codes, "causes": [as_row(cause) for cause in causes]}
        print_json({"run": str(run.path), **asdict(validation), **found})
    else:
        print_validation(validation)
        if refused:
            print_causes(causes)
        else:
            print_prediction(book.predict(run))
        terminal().print(f"Saved in {run.path}")
        if validation.passed:
            move = context.meta.get(NEXT_MOVE, f"lpmkit move {wanted.typed()}")
            print_line(after_validation(book.site.runs, run.name, move))
        elif refused:
            print_line(f"Next: correct what is named above, then lpmkit validate {wanted.typed()}")
    sys.exit(FINE if validation.passed else NOT_FINE if validation.status is not None else COULD_NOT_TELL)


#: The key under which a command that calls `validate` leaves the command for the move that follows.
NEXT_MOVE = "lpmkit.next_move"


def after_check(answer: Answer, validate: str) -> str:
    """The next step after the checks; ``validate`` is the command."""
    step = {
        "ready": validate,
        "not ready": f"correct the checks marked FAIL, then {validate}",
        "could not tell": f"resolve the unknown checks, or decide with their owners to continue: {validate}",
    }[answer.value]
    return f"Next: {step}"


def after_validation(rules: RunSettings, run: str, move: str) -> str:
    """The next step after a validation that passed: the approvals that the site asks for, then the move."""
    within = f"{move} (within {rules.validation_holds_minutes:g} minutes)"
    if not rules.approvals:
        return f"Next: {within}"
    others = "1 other person types" if rules.approvals == 1 else f"{rules.approvals} other persons type"
    return f"Next: {others} lpmkit approve {run}, then {within}"


#: Verdicts in the order in which they are printed.
_URGENCY = ("fail", "unknown", "warn", "pass", "not applicable")


def print_findings(findings: Sequence[Finding], console: Console | None = None, *, only_trouble: bool = False) -> None:
    """Print counts, then what needs attention with facts, remedy and owner, then the titles of the passed checks."""
    from lpmkit.checks.wording import count_findings

    out = console or terminal()
    left_out = Counter(finding.title for finding in findings if finding.only_firmware)
    shown = [finding for finding in findings if not finding.only_firmware]
    shown.sort(key=lambda finding: _URGENCY.index(finding.verdict.value))
    titles_of = {verdict: [one.title for one in shown if one.verdict.value == verdict] for verdict in _URGENCY}
    absent = titles_of.pop("not applicable")
    counts = count_findings(findings)
    out.print(f"Checks: {counts.words()}.")
    if counts.warned and not counts.failed:
        out.print("A warning does not stop the move: read it and decide, with its owner.")
    if titles_of["unknown"]:
        out.print("Unknown means: the data could not be read. It does not mean that all is well.")
    for finding in shown:
        if finding.verdict.value in ("pass", "not applicable"):
            continue
        _print_finding(finding, console)
    if titles_of["pass"] and not only_trouble:
        troubled = {finding.title for finding in shown if finding.verdict.value not in ("pass", "not applicable")}
        # a check of both sides may pass on one only
        fine = [
            f"{finding.title} ({finding.about})" if finding.title in troubled else finding.title
            for finding in shown
            if finding.verdict.value == "pass"
        ]
        print_item(MARKS["pass"], "; ".join(dict.fromkeys(fine)), console=console)
    if absent and not only_trouble:
        out.print(f"Not applicable: {'; '.join(dict.fromkeys(absent))}.")
    if left_out:
        titles = "; ".join(title if count == 1 else f"{title} ({count} frames)" for title, count in left_out.items())
        out.print(f"Covered by the validation only (lpmkit validate): {titles}.")


def _print_finding(finding: Finding, console: Console | None) -> None:
    from lpmkit.checks.wording import facts_text

    facts = facts_text(finding.facts)
    remedy = f"{finding.remedy} ({finding.who})" if finding.remedy else ""
    about = f" ({finding.about})" if finding.about else ""
    print_item(MARKS[finding.verdict.value], f"{finding.title}{about}", facts, remedy, console=console)


def print_validation(validation: Validation, console: Console | None = None) -> None:
    """Print the result of the validation, the manager's message and the meaning of its codes."""
    from lpmkit.control.codes import explain

    out = console or terminal()
    if validation.passed:
        out.print("Validation passed." + (f" Message: {validation.text}" if validation.text else ""))
        out.print("The manager would accept the move now. It checks again when the move is requested.")
    else:
        out.print("Validation failed. The manager refuses the move:")
        out.print(validation.text or "(no message)")
    for code in explain(validation.text):
        out.print(f"  {code.sentences()}")


def print_causes(causes: Sequence[Finding], console: Console | None = None) -> None:
    """Print what lpmkit's own checks have against the order, with remedies; or that they have nothing."""
    from lpmkit.checks.wording import causes_words

    (console or terminal()).print(causes_words(causes))
    for finding in causes:
        _print_finding(finding, console)


def print_prediction(expected: Prediction | NoForecast, console: Console | None = None) -> None:
    """Print the expected duration of copy and suspension, or why there is none."""
    from lpmkit.prediction.no_forecast import NoForecast

    text = expected.sentence() if isinstance(expected, NoForecast) else f"Expected: {expected.sentence()}."
    (console or terminal()).print(text)


COMMANDS = (survey, mapping, check, validate)
