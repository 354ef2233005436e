"""The commands that advise before a move: what a message code means."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict

import click

from lpmkit.terminal import COULD_NOT_TELL, FINE, json_option, people, say_json, told

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


COMMANDS = (explain,)
