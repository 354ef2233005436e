"""What advises before a move: what a message code means, and a whole frame judged at night."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict

import click

from lpmkit.terminal import COULD_NOT_TELL, FINE, json_option, people, print_table, say_json, told

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
                people.print(one.sentences(), markup=False, soft_wrap=True)
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
                people.print(line, markup=False, soft_wrap=True)
    sys.exit(FINE if all(one.known for one in found) else COULD_NOT_TELL)


def check_frame(context: click.Context, source: str, target: str, as_json: bool) -> str:
    """Judge every partition of a frame, keep it, show it and what changed; returns what it all says."""
    from lpmkit.config import find_site_file, load_site  # noqa: PLC0415
    from lpmkit.nightly import changes, changes_as_rows, examine_frame, keep, last, overview  # noqa: PLC0415
    from lpmkit.secrets import Secrets  # noqa: PLC0415

    site = load_site(find_site_file(context.obj))
    before = last(site.runs.folder, source, target)
    night = examine_frame(site, source, target, secrets=Secrets())
    path = keep(night, site.runs.folder)
    changed = changes_as_rows(changes(before, night))
    if as_json:
        say_json({**night.to_dict(), "changed": None if before is None else changed, "kept": str(path)})
        return night.answer.value
    print_table(f"From {source} to {target}", overview(night))
    print_table("Changed since the last time", changed)
    if before is None:
        people.print("There is no earlier night to hold it against.")
    elif not changed:
        people.print("Nothing changed since the last time.")
    people.print(f"Kept in {path}, and beside it as CSV and HTML", soft_wrap=True, markup=False)
    return night.answer.value


COMMANDS = (explain,)
