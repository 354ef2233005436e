"""A move before and after it: what is known beforehand, what was predicted, what came. Bytes and seconds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.prediction.calibration import PastForecast
from lpmkit.prediction.distributions import Quantiles
from lpmkit.prediction.effects import FIRST_DAY
from lpmkit.prediction.forecast import Fitted

#: The effects of a move beside its suspension.
EFFECTS = tuple(FIRST_DAY)
#: The predicted figures, as the fields of `Prediction` and `Actual` are called.
FIGURES = ("copy_s", "whole_s", "sent_bytes", "suspended_s", *EFFECTS)
#: Their labels for people.
LABELS = {
    "copy_s": "copy",
    "whole_s": "whole move",
    "sent_bytes": "bytes sent",
    "suspended_s": "suspension",
    "session_outage_s": "session outage",
    "brown_out_s": "brown-out",
    "job_delay_s": "delay of SAP jobs",
    "commit_stall_s": "commit stall",
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """Known facts about a move before it begins; `None` for unknown ones. ``movers`` names the pair of movers, in the
    direction of the move.

    ``None`` where unknown. ``movers`` names source and destination, in this order.
    """

    partition: str
    movers: str
    memory_bytes: float
    touched_bytes: float | None = None
    dirty_bytes_per_s: float | None = None
    writable_bytes: float | None = None
    link_bytes_per_s: float | None = None
    virtual_processors: int | None = None
    #: Memory in use as the partition reports it: touched memory lies between this and all memory.
    in_use_bytes: float | None = None
    #: Paged bytes per second, in and out: an indicator of the dirty rate.
    paging_bytes_per_s: float | None = None
    #: Other copies over one of the same frames, as a mean over the time of the copy.
    beside: float = 0.0
    #: SAP systems and databases whose jobs and commits the move may hold up.
    has_sap: bool = True
    has_databases: bool = True

    @property
    def bracket_bytes(self) -> float | None:
        """Geometric mean of memory in use and all memory; ``None`` without the former."""
        return math.sqrt(min(self.in_use_bytes, self.memory_bytes) * self.memory_bytes) if self.in_use_bytes else None

    @property
    def known_bytes(self) -> float:
        """Touched memory if known or bracketed, otherwise all memory."""
        return self.touched_bytes or self.bracket_bytes or self.memory_bytes


#: A factor that is computed from the inputs of a move.
Scale = Callable[[Inputs], float]


@dataclass(frozen=True, slots=True)
class Actual:
    """Outcome of a move; `None` for figures that were not observed."""

    copy_s: float | None = None
    whole_s: float | None = None
    sent_bytes: float | None = None
    suspended_s: float | None = None
    session_outage_s: float | None = None
    brown_out_s: float | None = None
    job_delay_s: float | None = None
    commit_stall_s: float | None = None

    @property
    def effects(self) -> dict[str, float | None]:
        """The effects beside the suspension, by name."""
        return {name: getattr(self, name) for name in EFFECTS}


@dataclass(frozen=True, slots=True)
class Prediction:
    """A prediction before the move. ``stall`` is the probability that the copy does not converge, ``past_moves`` the
    number of moves behind it.

    ``stall`` is the probability that the copy does not converge; ``past_moves`` is the number of moves it is based on.
    """

    copy_s: Quantiles
    whole_s: Quantiles
    sent_bytes: Quantiles
    suspended_s: Quantiles
    stall: float
    past_moves: int
    basis: str
    #: ``None`` in predictions of earlier versions, and for what the partition does not have.
    session_outage_s: Quantiles | None = None
    brown_out_s: Quantiles | None = None
    job_delay_s: Quantiles | None = None
    commit_stall_s: Quantiles | None = None

    def figure(self, name: str) -> Quantiles | None:
        """One of `FIGURES`; ``None`` where it was not predicted."""
        predicted: Quantiles | None = getattr(self, name)
        return predicted

    def ranges(self) -> str:
        """P10 … P90 of copy, suspension and effects for people."""
        copy, suspended = self.copy_s, self.suspended_s
        parts = [f"copy {copy.p10:.0f} … {copy.p90:.0f} s", f"suspended {suspended.p10:.1f} … {suspended.p90:.1f} s"]
        for name in EFFECTS:
            if (predicted := self.figure(name)) is not None:
                parts.append(f"{LABELS[name]} {predicted.p10:.1f} … {predicted.p90:.1f} s")
        return ", ".join(parts)

    def sentence(self) -> str:
        """The prediction for people: P10 … P90 as the range of 4 of 5 moves, and what it is based on."""
        risk = f"; {self.stall:.0%} risk that the copy does not converge" if self.stall >= 0.1 else ""
        return f"{self.ranges()} (4 of 5 moves are expected to lie in each range; based on {self.basis}){risk}"

    def as_data(self) -> JsonObject:
        """The prediction as JSON values."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: JsonMapping) -> Prediction:
        """Inverse of `as_data`."""
        figures: dict[str, Any] = {name: Quantiles.from_data(data.get(name)) for name in EFFECTS}
        figures |= {name: Quantiles(**data[name]) for name in FIGURES if name not in EFFECTS}
        return cls(**figures, stall=data["stall"], past_moves=data["past_moves"], basis=data["basis"])


@dataclass(frozen=True, slots=True)
class ObservedMove:
    """A past move: inputs, actual figures, fitted parameters, prediction, and the forecasts during its copy
    (``held``). ``began_ns`` is when its copy began, in nanoseconds since 1970; ``None`` where that was not kept.
    ``late_start_s`` is from the resume to the first process; ``None`` where no kernel showed the resume.
    """

    inputs: Inputs
    actual: Actual
    fitted: Fitted | None = None
    predicted: Prediction | None = None
    held: tuple[PastForecast, ...] = ()
    began_ns: int | None = None
    late_start_s: float | None = None
