"""The command explain, and the checks of whole frames for ``check --all``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lpmkit.commands import candidates
from lpmkit.commands.console import (
    COULD_NOT_TELL,
    FINE,
    json_option,
    print_json,
    print_table,
    reports_errors,
    site_of,
    terminal,
)

if TYPE_CHECKING:
    from lpmkit.checks.nightly import FleetCheck
    from lpmkit.survey.fleet import SurveyProgress

#: The confidence marks of the table of codes.
CONFIDENCE = {
    "A": "seen in a captured output",
    "B": "stated by the vendor's documentation",
    "C": "from code that drives the real thing",
    "D": "from memory, not from a source",
}


@click.command()
@click.argument("codes", metavar="[CODE]...", nargs=-1, shell_complete=candidates.codes)
@json_option
@reports_errors
def explain(codes: Sequence[str], as_json: bool) -> None:
    """Explain message codes (HSCL…, VIOSE…, an errpt identifier, "RC 69", "lsmap 63"): meaning, proof, remedy and
    owner.

    CODE may be a whole message; "-" reads standard input. Without CODE: all known codes. Exit status 3 if a code is
    unknown.
    """
    from lpmkit.control.codes import known_codes, look_up

    words = [sys.stdin.read() if code == "-" else code for code in codes]
    codes_found = look_up(words or known_codes())
    if as_json:
        print_json([asdict(code) for code in codes_found])
    else:
        for code in codes_found:
            if code.known is None:
                terminal().print(code.sentences(), soft_wrap=True)
                continue
            known = code.known
            title = f"{code.code} ({known.label})" if known.label else code.code
            for line in (
                f"{title}: {known.meaning}",
                f"  proof:      {known.prove}",
                f"  remedy:     {known.mend}",
                f"  owner:      {known.who}",
                f"  confidence: {known.mark}, {CONFIDENCE[known.mark]}; {known.source}",
            ):
                terminal().print(line, soft_wrap=True)
    sys.exit(FINE if all(code.known for code in codes_found) else COULD_NOT_TELL)


def check_frames(context: click.Context, source: str | None, target: str | None, as_json: bool) -> str:
    """Check every partition of a frame, or of every frame with a partner; save and print the results and what changed.
    Returns the overall answer.
    """
    from lpmkit.checks.nightly import answer_of, changes, changes_as_rows, examine_estate, keep, last
    from lpmkit.ssh.secrets import Secrets
    from lpmkit.survey.fleet import directions_of

    site = site_of(context)
    directions = directions_of(site, source, target)
    before = [last(site.runs.folder, direction.source, direction.target) for direction in directions]
    with _shown() as tell:
        nights, effort = examine_estate(site, directions, secrets=Secrets(), tell=tell)
    kept = [keep(night, site.runs.folder) for night in nights]
    changed = [changes_as_rows(changes(old, night)) for old, night in zip(before, nights, strict=True)]
    answer = answer_of(nights).value
    if as_json:
        rows = [
            {**night.to_dict(), "changed": None if old is None else new, "kept": str(path)}
            for night, old, new, path in zip(nights, before, changed, kept, strict=True)
        ]
        print_json({"answer": answer, "effort": asdict(effort), "frames": rows})
        return answer
    _print_nights(nights, before, changed)
    for path in kept:
        terminal().print(f"Saved in {path}, with CSV and HTML beside it", soft_wrap=True)
    terminal().print(
        f"{effort.questions} commands in {effort.round_trips} round trips, {effort.seconds:.1f} s, up to "
        f"{effort.most_at_once} connections at a time."
    )
    return answer


def _print_nights(
    nights: Sequence[FleetCheck], before: Sequence[FleetCheck | None], changed: Sequence[list[dict[str, str]]]
) -> None:
    from lpmkit.checks import Answer
    from lpmkit.checks.nightly import frames_as_rows, overview, silent_as_rows

    if len(nights) > 1:
        print_table("Frames", frames_as_rows(nights))
    for night, old, new in zip(nights, before, changed, strict=True):
        # Of several frames only what needs attention; the pages have everything.
        rows = [row for row in overview(night) if len(nights) == 1 or row["answer"] != Answer.READY.value]
        print_table(f"From {night.source} to {night.target}", rows)
        print_table(f"Changed since the last time, from {night.source} to {night.target}", new)
        if len(nights) == 1 and old is None:
            terminal().print("No earlier check to compare with.")
        elif len(nights) == 1 and night.judged and not new:
            terminal().print("Nothing changed since the last time.")
    print_table("No answer from", silent_as_rows(nights))


@contextmanager
def _shown() -> Iterator[Callable[[SurveyProgress], None]]:
    """Progress bars on standard error, if that is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from lpmkit.commands.rich_terminal import Terminal

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Terminal(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bars:
        rows = {name: bars.add_task(name, total=None) for name in ("managers", "frames", "partitions")}
        shown = set[str]()

        def tell(progress: SurveyProgress) -> None:
            for name, row in rows.items():
                done, of = getattr(progress, name)
                bars.update(row, completed=done, total=of)
            for machine in progress.silent:
                if machine not in shown and not bars.disable:
                    bars.console.print(f"no answer from {machine}")
                shown.add(machine)

        yield tell


COMMANDS = (explain,)
