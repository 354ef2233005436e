"""What advises before a move: what a message code means, and frames judged at night."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from lpmkit.commands.console import COULD_NOT_TELL, FINE, Terminal, json_option, people, print_table, say_json, told

if TYPE_CHECKING:
    from lpmkit.checks.nightly import FleetCheck
    from lpmkit.survey.fleet import SurveyProgress

#: How sure the table of codes is, in words.
CONFIDENCE = {
    "A": "seen in a captured output",
    "B": "stated by the vendor's documentation",
    "C": "from code that drives the real thing",
    "D": "from memory, not from a source",
}


@click.command()
@click.argument("codes", metavar="[CODE]...", nargs=-1)
@json_option
@told
def explain(codes: Sequence[str], as_json: bool) -> None:
    """Say what message codes mean (HSCL…, VIOSE…, an errpt identifier, "RC 69", "lsmap 63"), what proves it, how to mend it and who must.

    A CODE may be a whole message; "-" reads standard input. Without any, all that are known. Exit status 3 when one of them is not known.
    """
    from lpmkit.control.codes import known_codes, look_up  # noqa: PLC0415

    words = [sys.stdin.read() if code == "-" else code for code in codes]
    found = look_up(words or known_codes())
    if as_json:
        say_json([asdict(one) for one in found])
    else:
        for one in found:
            if one.known is None:
                people.print(one.sentences(), soft_wrap=True)
                continue
            known = one.known
            title = f"{one.code} ({known.label})" if known.label else one.code
            for line in (
                f"{title}: {known.meaning}",
                f"  proved by: {known.prove}",
                f"  mend:      {known.mend}",
                f"  who:       {known.who}",
                f"  how sure:  {known.mark}, {CONFIDENCE[known.mark]}; {known.source}",
            ):
                people.print(line, soft_wrap=True)
    sys.exit(FINE if all(one.known for one in found) else COULD_NOT_TELL)


def check_frames(context: click.Context, source: str | None, target: str | None, as_json: bool) -> str:
    """Judge every partition of a frame, or of every frame that has a partner, keep it, show it and what changed; returns what it all says."""
    from lpmkit.checks.nightly import answer_of, changes, changes_as_rows, examine_estate, keep, last  # noqa: PLC0415
    from lpmkit.config import find_site_file, load_site  # noqa: PLC0415
    from lpmkit.ssh.secrets import Secrets  # noqa: PLC0415
    from lpmkit.survey.fleet import directions_of  # noqa: PLC0415

    site = load_site(find_site_file(context.obj))
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
        say_json({"answer": answer, "effort": asdict(effort), "frames": rows})
        return answer
    _print_nights(nights, before, changed)
    for path in kept:
        people.print(f"Kept in {path}, and beside it as CSV and HTML", soft_wrap=True)
    people.print(
        f"{effort.questions} questions in {effort.round_trips} round trips, {effort.seconds:.1f} s, at most {effort.most_at_once} connections at once."
    )
    return answer


def _print_nights(
    nights: Sequence[FleetCheck], before: Sequence[FleetCheck | None], changed: Sequence[list[dict[str, str]]]
) -> None:
    from lpmkit.checks import Answer  # noqa: PLC0415
    from lpmkit.checks.nightly import frames_as_rows, overview, silent_as_rows  # noqa: PLC0415

    if len(nights) > 1:
        print_table("Frames", frames_as_rows(nights))
    for night, old, new in zip(nights, before, changed, strict=True):
        # Of many frames only what somebody must look at; the pages have all of it.
        rows = [row for row in overview(night) if len(nights) == 1 or row["answer"] != Answer.READY.value]
        print_table(f"From {night.source} to {night.target}", rows)
        print_table(f"Changed since the last time, from {night.source} to {night.target}", new)
        if len(nights) == 1 and old is None:
            people.print("There is no earlier night to hold it against.")
        elif len(nights) == 1 and night.judged and not new:
            people.print("Nothing changed since the last time.")
    print_table("Could not be asked", silent_as_rows(nights))


@contextmanager
def _shown() -> Iterator[Callable[[SurveyProgress], None]]:
    """How far a pass is, on standard error where that is a terminal."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=Terminal(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bars:
        rows = {name: bars.add_task(name, total=None) for name in ("managers", "frames", "partitions")}
        said = set[str]()

        def tell(progress: SurveyProgress) -> None:
            for name, row in rows.items():
                done, of = getattr(progress, name)
                bars.update(row, completed=done, total=of)
            for machine in progress.silent:
                if machine not in said and not bars.disable:
                    bars.console.print(f"could not be asked: {machine}")
                said.add(machine)

        yield tell


COMMANDS = (explain,)
