"""An element of ``log.xml``: its time, what Oracle files it under, its text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

from lpmkit.oracle.stamps import Moment, iso_moment

_ATTRIBUTE = re.compile(r"""(?<![\w:])([\w:]{1,64})=(?:'([^']*)'|"([^"]*)")""")
_XML_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:\d\d)?$")


@dataclass(frozen=True, slots=True)
class Tags:
    """The attributes of an element of ``log.xml``; ``None`` where the element has no such attribute."""

    process: str | None = None
    type: str | None = None
    level: int | None = None
    component: str | None = None
    problem: str | None = None
    container: str | None = None


def read_element(text: str) -> tuple[Moment | None, Tags, str]:
    r"""One element of ``log.xml``, whole or cut: its time, what it knows besides, its text.

    >>> when, tags, body = read_element((
    ...     "<msg time='2012-06-04T12:19:37.462+02:00' org_id='oracle' pid='4711'\n type='ERROR' "
    ...     "level='8'>\n <txt>a &lt; b\n </txt>\n</msg>"
    ... ))
    >>> print(when, tags.process, tags.level, body.strip())
    2012-06-04 12:19:37.462000+02:00 4711 8 a < b
    """
    head, _, body = text.partition("<txt>")
    body = body.rpartition("</txt>")[0] if "</txt>" in body else body
    said = {name: single or double for name, single, double in _ATTRIBUTE.findall(head)}
    match = _XML_TIME.match(said.get("time", ""))
    level = said.get("level", "")
    tags = Tags(
        process=said.get("pid") or None,
        type=said.get("type"),
        level=int(level) if level.isascii() and level.isdigit() and len(level) < 10 else None,
        component=said.get("comp_id"),
        problem=unescape(said.get("prob_key", "")) or None,
        container=unescape(said.get("con_name", "")) or None,
    )
    return (iso_moment(*match.groups()) if match else None), tags, unescape(body)
