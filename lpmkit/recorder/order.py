"""The order of one recording: what is recorded, for how long, and which move is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from lpmkit.config import Site
from lpmkit.control.base import Order
from lpmkit.errors import RecordError
from lpmkit.json_values import JsonMapping
from lpmkit.limits import MoveLimits
from lpmkit.probes.orders import ProbeOrder
from lpmkit.runs.folder import Run


@dataclass(frozen=True, slots=True)
class RecordingOrder:
    """A recording to be made: the move order and the times from ``run.json``; site and probes as the front end that
    started the recorder vouches for them.
    """

    mode: str
    site: Site
    probes: tuple[ProbeOrder, ...]
    lead_in_s: float
    tail_s: float
    poll_s: float
    order: Order | None = None
    duration_s: float | None = None
    limits: MoveLimits = field(default_factory=MoveLimits)

    @classmethod
    def of(cls, run: Run, charge: JsonMapping) -> RecordingOrder:
        """Read the order of a run.

        Raises `RecordError` for a run with a move where the charge says that it is a watch: whoever started the
        recorder for a watch, from another host's folder say, has asked for no move.
        """
        facts = run.manifest
        site = Site.model_validate(charge["site"])
        if charge.get("is_watch") and facts.get("order"):
            raise RecordError("it was to be watched, and its run.json holds a move; nothing was asked", where=run.name)
        order = Order(**facts["order"]) if facts.get("order") else None
        return cls(
            mode=facts["mode"],
            site=site,
            probes=tuple(ProbeOrder.from_data(data) for data in charge["probes"]),
            lead_in_s=facts["lead_in_s"],
            tail_s=facts["tail_s"],
            poll_s=facts["poll_s"],
            order=order,
            duration_s=facts.get("duration_s"),
            limits=site.limits.with_order(order.limits) if order else site.limits,
        )
