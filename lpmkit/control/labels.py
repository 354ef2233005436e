"""Replies of one line, and lines of the form ``label: value``, as AIX and I/O servers print them."""

from __future__ import annotations

import re

from lpmkit.control.listings import lines
from lpmkit.errors import UnexpectedReply


def one_line(text: str, form: str = "") -> str:
    r"""The reply of a command that prints one line. With a ``form``, login notices around the one line of that form
    are skipped.

    >>> one_line("000071DA4C00\n")
    '000071DA4C00'
    >>> one_line("Your password will expire in 3 days.\n000071DA4C00\n", "[0-9A-F]{12}")
    '000071DA4C00'
    """
    rows = [line.strip() for line in lines(text) if line.strip()]
    fitting = [row for row in rows if re.fullmatch(form, row)] if form else rows
    if len(fitting) == 1:
        return fitting[0]
    if len(rows) != 1:
        strange = [row for row in rows if row not in fitting] or rows
        raise UnexpectedReply(f"one line was expected and {len(rows)} came", line=strange[0] if strange else None)
    return rows[0]


def labelled(line: str) -> tuple[str, str]:
    """A label, with single blanks, and its value. Raises `UnexpectedReply` for a line without a label."""
    label, colon, value = line.partition(":")
    if not colon or not label.strip():
        raise UnexpectedReply("a line of the form 'label: value' was expected", line=line)
    return " ".join(label.split()), value.strip()


def required(labels: dict[str, str], label: str) -> str:
    """The value of a label; raises `UnexpectedReply` where it is missing or empty."""
    if not labels.get(label):
        raise UnexpectedReply(f"the line {label!r} is missing")
    return labels[label]


def figure(labels: dict[str, str], label: str) -> int | None:
    """The number at the head of a value such as ``4096 MB``; None where the label is missing or holds a dash."""
    first = labels.get(label, "").partition(" ")[0]
    return int(first) if first.isascii() and first.isdigit() else None
