"""The commands that only look at their words and their input: ``echo``, ``grep``, ``wc``, ``sort``, ``tr``, ``true``,
``false``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from lpmkit.simulator.shells.reply import Reply

Input = Callable[[], str]


def echo(arguments: Sequence[str], stdin: Input) -> Reply:
    return Reply(" ".join(arguments) + "\n")


def grep(arguments: Sequence[str], stdin: Input) -> Reply:
    """``grep [-ivcE] PATTERN`` on standard input."""
    flags = "".join(word[1:] for word in arguments if word.startswith("-"))
    words = [word for word in arguments if not word.startswith("-")]
    if len(words) != 1:
        return Reply(
            err="Usage: grep [-E|-F] [-c|-l|-q] [-insvxbhwyu] [-e pattern_list | pattern] [file ...]\n", status=2
        )
    try:
        pattern = re.compile(words[0], re.IGNORECASE if "i" in flags else 0)
    except re.error:
        return Reply(err=f"grep: 0652-033 Cannot parse the pattern: {words[0]}\n", status=2)
    found = [line for line in stdin().splitlines() if bool(pattern.search(line)) != ("v" in flags)]
    text = f"{len(found)}\n" if "c" in flags else "".join(f"{line}\n" for line in found)
    return Reply(text, status=0 if found else 1)


def sort(arguments: Sequence[str], stdin: Input) -> Reply:
    ordered = sorted(stdin().splitlines(), reverse="-r" in arguments)
    return Reply("".join(f"{line}\n" for line in ordered))


def tr(arguments: Sequence[str], stdin: Input) -> Reply:
    """``tr ONE OTHER``: one letter, or an escape for one, for another."""
    if len(arguments) != 2:
        return Reply(err="usage: tr [ -c | -cds | -cs | -ds | -s ] [-A] String1 String2\n", status=1)
    one, other = (word.replace("\\n", "\n") for word in arguments)
    return Reply(stdin().replace(one, other))


def true(arguments: Sequence[str], stdin: Input) -> Reply:
    return Reply()


def false(arguments: Sequence[str], stdin: Input) -> Reply:
    return Reply(status=1)


SIMPLE: dict[str, Callable[[Sequence[str], Input], Reply]] = {
    "echo": echo,
    "print": echo,
    "grep": grep,
    "sort": sort,
    "tr": tr,
    "true": true,
    ":": true,
    "false": false,
}
