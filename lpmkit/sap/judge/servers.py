"""The instances of a system on every host, at the survey and after the move."""

from __future__ import annotations

from collections.abc import Iterator

from lpmkit.rules.question import Question, ReplyWord
from lpmkit.sap.judge.values import OPEN, PASSED, Case, some
from lpmkit.sap.model import Colour, Instance, interface_of
from lpmkit.wording.counts import plural


def servers(case: Case) -> Iterator[Question]:
    """The instances on other hosts that lost the central ones, or the database, stand in no answer of the partition
    that moved.

    An application server is in the list as long as it is logged on to the message server (`SAP-SM51`); the start
    service rates it besides. It may be about to log on again, so that it only warns. A system of the watched
    instances alone has no such question.
    """
    if case.before is None or case.after is None or len(case.before.instances or ()) <= len(case.instances):
        return
    key, title = f"sap-servers-{case.sid}", f"{case.sid}: every instance still there?"
    was, now = case.before.instances or (), case.after.instances
    if now is None:
        # older runs did not ask
        if any(one.question == "instances" for one in case.after.missed):
            why = case.after.why_not("instances")
            yield Question(key, title, OPEN, f"the instances were not listed after the move: {why}")
        return
    way, by = (interface_of(one.ways.get("instances", "")) for one in (case.before, case.after))
    if way != by:
        yield Question(key, title, OPEN, f"read by {way} before the move and by {by} after it")
        return
    listed = {(row.host, row.number): row for row in now}
    worse = [_change(row, listed.get((row.host, row.number))) for row in was if _is_up(row)]
    changed = list(filter(None, worse))
    noted = f"; not as before the move: {some(changed)}" if changed else ""
    text = f"{plural(len(now), 'instance')}{noted}"
    yield Question(key, title, PASSED, text, f"by {by}", warns=bool(noted), reply=None if noted else ReplyWord.YES)


def _is_up(row: Instance) -> bool:
    """True for a green one, and for one by its name alone: function modules list the active ones, without a rating."""
    return row.colour is Colour.GREEN or bool(row.name)


def _change(was: Instance, now: Instance | None) -> str:
    place = was.name or f"{was.host} {was.number}"
    if now is None:
        return f"{place} (missing)"
    return "" if _is_up(now) else f"{place} ({now.colour.value.lower()})"
