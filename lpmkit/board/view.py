"""The facts of a run folder at one moment, gathered once for all parts of the board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lpmkit.analysis.limits import limits_of
from lpmkit.board.provisional import Cause, SharedSilence
from lpmkit.control.base import Order
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.limits import Limit
from lpmkit.migration.phases import Phase
from lpmkit.migration.recovery import Proposal
from lpmkit.migration.status import State
from lpmkit.oracle.rules import Classified
from lpmkit.plots.live import Lane
from lpmkit.runs.folder import Run
from lpmkit.timeline import Event
from lpmkit.wording.words import Words, words_of

#: A silence while the copy has longer than this to go, in seconds, may be the network's.
EARLY_S = 10.0
#: The share of the copy below which what is left says no longer that the partition is on its source.
LAST_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class View:
    """A run at one moment. ``order`` is ``None`` of a watch; ``now_ns`` is monotonic, ``to_wall_ns`` added to it gives
    nanoseconds since 1970.

    ``documents`` are by name, ``None`` where there is none; ``unreadable`` lists those that cannot be read.
    ``gap`` is the suspension as the lanes show it, ``breaks`` the silences in which the partition ran on, ``still`` the
    silence of all probes that lasts now. ``sap`` has each
    system's newest answers by question, ``alerts`` each database's newest entries of the alert
    log since the run began. ``broken_state`` is a failed migration's state as its manager named it. ``words``
    are for what has a key in each language; the rest is translated afterwards.
    """

    run: Run
    order: Order | None
    now: State
    now_ns: int
    to_wall_ns: int
    events: Sequence[Event]
    forecast: Event | None
    proposal: Proposal | None
    gap: SharedSilence | None
    breaks: Sequence[SharedSilence]
    still: SharedSilence | None
    lanes: Sequence[Lane]
    documents: Mapping[str, Any]
    unreadable: Sequence[str]
    sap: Mapping[str, Mapping[str, JsonObject]]
    alerts: Mapping[str, Sequence[tuple[JsonObject, Classified]]]
    broken_state: str = ""
    words: Words = field(default_factory=lambda: words_of("en"))

    @property
    def partition(self) -> str:
        """The partition, or the hosts of a watch."""
        if self.order is not None:
            return self.order.partition
        return ", ".join(str(host) for host in self.run.manifest.get("hosts") or ()) or self.run.name

    @property
    def servers(self) -> tuple[str, ...]:
        """The Virtual I/O Servers of both frames by the survey; none where there is no survey."""
        survey = self.documents.get("survey")
        sides = [survey.get(side) for side in ("source", "target")] if isinstance(survey, dict) else []
        told = [side.get("vios") for side in sides if isinstance(side, dict)]
        rows = [row for one in told for row in (one if isinstance(one, list) else [one])]
        return tuple(dict.fromkeys(str(row["name"]) for row in rows if isinstance(row, dict) and row.get("name")))

    @property
    def is_live(self) -> bool:
        """True while the run is observed: ages and rests of time have a meaning."""
        return self.now.recorded and not self.now.is_over

    @property
    def summary(self) -> JsonMapping | None:
        """The analysis of the run, if it is over and the analysis has seen its end."""
        summary = self.documents.get("summary")
        if not self.now.is_over or not isinstance(summary, dict):
            return None
        seen = [phase.get("phase") for phase in summary.get("phases") or ()]
        ended = self.now.phase.value if self.now.phase else None
        return summary if self.order is None or (seen and seen[-1] == ended) else None

    def since(self, *phases: Phase) -> int | None:
        """The time at which the first of these phases began (monotonic nanoseconds); ``None`` if none did."""
        wanted = {phase.value for phase in phases}
        return next((e.mono_ns for e in self.events if e.kind == "phase" and e.data.get("phase") in wanted), None)

    @property
    def is_early(self) -> bool:
        """True where a silence now comes before the copy can be at its end, by the manager's last report and its rate:
        the network may be down.
        """
        copied = self.now.progress
        if not copied.left or copied.bytes_per_s is None or copied.bytes_per_s <= 0 or copied.read_ns is None:
            return False
        return copied.left / copied.bytes_per_s - (self.now_ns - copied.read_ns) / 1e9 > EARLY_S

    @property
    def is_nearly_copied(self) -> bool:
        """True where the manager's last report leaves next to nothing to copy: it is counted on until the end."""
        copied = self.now.progress
        return copied.left is not None and copied.left <= LAST_SHARE * (copied.left + (copied.transmitted or 0))

    @property
    def was_suspended(self) -> bool:
        """True where the silence that the probes share is the suspension: by the partition's own stamps, or because it
        has left its frame since.
        """
        ended = self.now.phase in (Phase.SWITCHED, Phase.SETTLED)
        return self.gap is not None and (self.gap.cause is Cause.SUSPENSION or ended)

    def expected(self, name: str) -> Mapping[str, float] | None:
        """A prediction of before the move by its name (``copy_s``, ``whole_s``, ``suspended_s``): P10, P50, P90."""
        before = (self.documents.get("prediction") or {}).get("before") or {}
        found = before.get(name)
        return found if isinstance(found, dict) and {"p10", "p50", "p90"} <= set(found) else None

    @property
    def limit(self) -> Limit | None:
        """The limit of the suspension, of the order or the site."""
        return limits_of(self.run.manifest)[0].suspension_s
