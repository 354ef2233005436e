"""Durations, sizes and times of day as the board writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from textwrap import shorten

from lpmkit.timeline import outwards


def clock_time(seconds: float) -> str:
    """A duration as minutes and seconds.

    >>> clock_time(16.4), clock_time(3725)
    ('0:16', '1:02:05')
    """
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


def size(count: float) -> str:
    """Bytes in the unit that fits.

    >>> size(1_600_000_000), size(53_400_000)
    ('1.6 GB', '53 MB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def of_day(wall_ns: int) -> str:
    """The time of day in UTC."""
    return f"{datetime.fromtimestamp(wall_ns // 10**9, tz=UTC):%H:%M:%S}"


def cut(text: str, most: int) -> str:
    """A text of at most this many characters, cut between words.

    >>> cut("SAP not reachable: connection refused", 30), cut("short", 30)
    ('SAP not reachable: …', 'short')
    """
    return shorten(text, most, placeholder=" …")


def age(seconds: float) -> str:
    """The age of an answer. Coarse: a text that changes with every redraw is drawn every time.

    >>> age(0.34), age(12.2), age(200)
    ('now', '12 s ago', '3 min ago')
    """
    if seconds < 2:
        return "now"
    return f"{seconds:.0f} s ago" if seconds < 120 else f"{seconds / 60:.0f} min ago"


def at_most(seconds: float) -> str:
    """An upper bound in tenths of a second, rounded up.

    >>> at_most(1.604)
    '1.7'
    """
    return f"{outwards(0, round(seconds * 1e9), 1)[1]:.1f}"
