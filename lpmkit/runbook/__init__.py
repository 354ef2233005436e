"""The runbook: the steps of a move in their order, and where we are.

The command line, the widgets and the notebooks call these few methods and nothing below them. A runbook holds no state
worth keeping: every step leaves what it found in a run folder, and the next step reads it there. Survey, check,
validate and watch change nothing on any machine.

Each module has one job and uses only those before it: `landscape` (what there is, and orders), `folders` (runs),
`examination` (survey, check, validate, predict), `gate` (may it begin?), `recording` (recorders), `way_out` (stop and
recover).
"""

from __future__ import annotations

from pydantic import ValidationError

from lpmkit.config import RunSettings
from lpmkit.errors import UsageError
from lpmkit.runbook.values import PartitionLocation, SiteInventory, Validation, as_row
from lpmkit.runbook.way_out import ANSWER_TIMEOUT_S, WayOut, answer_to

__all__ = ["ANSWER_TIMEOUT_S", "PartitionLocation", "Runbook", "SiteInventory", "Validation", "answer_to", "as_row"]


class Runbook(WayOut):
    """The steps, for one site. ``secrets`` resolves the site's references, asking the person for a ``prompt``.

    ``person`` is the acting person: it goes into the record, and an approval has to be another person's. A front end
    that serves several people from one process must pass it.
    """

    def with_times(self, *, lead_in_s: float | None = None, tail_s: float | None = None) -> Runbook:
        """The same runbook with another lead-in and tail, in seconds, where they are given."""
        given = {name: value for name, value in (("lead_in_s", lead_in_s), ("tail_s", tail_s)) if value is not None}
        try:
            runs = RunSettings.model_validate({**self.site.runs.model_dump(), **given})
        except ValidationError as error:
            problems = "; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors())
            raise UsageError(
                f"the lead-in or the tail cannot be: {problems}", next_step="Seconds, 2 to 3600."
            ) from None
        return Runbook(self.site.model_copy(update={"runs": runs}), self.secrets, self.clock, self.person)
