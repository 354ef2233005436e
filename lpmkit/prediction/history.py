"""What was said of a move and what it took, kept in its run folder, and read again as the past of later moves.

`Foresight` is what a recorder needs: the prediction before the move, the forecast at every reading, the whole document at the end. `history` reads the
documents of a folder of runs; `reliability` holds the claimed intervals against what happened.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lpmkit.errors import RecordError
from lpmkit.prediction.calibration import Calibration, Held, gone
from lpmkit.prediction.distributions import Expectation, Quantiles
from lpmkit.prediction.forecast import Fitted, Forecast, fitted, forecast
from lpmkit.prediction.prior import (
    FIGURES,
    LABELS,
    POWERVM,
    Actual,
    Inputs,
    ObservedMove,
    Prediction,
    expectation,
    predict,
)
from lpmkit.runs.folder import Run
from lpmkit.timeline import Event

FORMAT = 1
#: A forecast is reported at most so often.
FORECAST_EVERY_S = 2.0


class Forecaster:
    """Takes the readings of a running move one by one and renews the forecast, at most every ``every_s`` seconds."""

    def __init__(
        self, expected: Expectation, every_s: float = FORECAST_EVERY_S, calibration: Calibration | None = None
    ) -> None:
        self.expected, self._every_ns = expected, int(every_s * 1e9)
        self._calibration = calibration or Calibration(())
        self.readings: list[tuple[int, int | None, int | None]] = []
        self._moving_since_ns: int | None = None
        #: Every forecast so far with its moment in monotonic nanoseconds.
        self.said: list[tuple[int, Forecast]] = []

    def note(self, at_ns: int, sent: int | None, left: int | None) -> Forecast | None:
        """Take one reading; a new forecast when one is due.

        Nothing is said before the counters have moved for a while: the first interval holds the begin of the copy at an unknown place, and a
        rate from it alone is off by any factor.
        """
        self.readings.append((at_ns, sent, left))
        if sent and self._moving_since_ns is None:
            self._moving_since_ns = at_ns
        if self._moving_since_ns is None or at_ns - self._moving_since_ns < self._every_ns:
            return None
        if self.said and at_ns - self.said[-1][0] < self._every_ns:
            return None
        found = forecast(self.readings, self.expected)
        if found is None:
            return None
        found = found.calibrated(self._calibration)
        self.said.append((at_ns, found))
        return found


class StoredForecast(NamedTuple):
    """One forecast as it is kept: when, in seconds since the first; P10, P50, P90 of the rest of the copy in seconds; the probability of a stall; and
    P10 and P90 as the model alone had them."""

    since_s: float
    p10_s: float
    p50_s: float
    p90_s: float
    stall: float
    claimed_p10_s: float
    claimed_p90_s: float

    @classmethod
    def of(cls, since_ns: int, said: Forecast) -> StoredForecast:
        rest, claimed = said.remaining_s, said.claimed
        figures = (since_ns / 1e9, rest.p10, rest.p50, rest.p90, said.stall, claimed.p10, claimed.p90)
        return cls(*(round(figure, 3) for figure in figures))


@dataclass(frozen=True, slots=True)
class StoredPrediction:
    """``prediction.json``: what was known and said before the move and, once it is over, what was said during it and what happened."""

    inputs: Inputs
    before: Prediction
    actual: Actual = field(default_factory=Actual)
    fitted: Fitted | None = None
    during: tuple[StoredForecast, ...] = ()
    #: When the copy ended, in seconds since the first forecast.
    copy_ended_s: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; `from_dict` brings it back whole."""
        return {
            "format": FORMAT,
            "inputs": asdict(self.inputs),
            "before": self.before.as_data(),
            "during": {
                "columns": list(StoredForecast._fields),
                "rows": [list(row) for row in self.during],
            },
            "copy_ended_s": self.copy_ended_s,
            "actual": asdict(self.actual),
            "fitted": asdict(self.fitted) if self.fitted else None,
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> StoredPrediction:
        """What was kept with `to_dict`. Raises KeyError or TypeError for something else."""
        return cls(
            inputs=Inputs(**kept["inputs"]),
            before=Prediction.from_data(kept["before"]),
            actual=Actual(**kept["actual"]),
            fitted=Fitted(**kept["fitted"]) if kept["fitted"] else None,
            # Rows of older versions have no claim of their own: what was said was what the model claimed.
            during=tuple(
                StoredForecast(*(row if len(row) > 5 else (*row, row[1], row[3]))) for row in kept["during"]["rows"]
            ),
            copy_ended_s=kept.get("copy_ended_s"),
        )


def completed(kept: StoredPrediction, forecaster: Forecaster, whole_s: float | None) -> StoredPrediction:
    """The document of a move that succeeded. ``whole_s`` lasts from the request to the success."""
    seen = fitted(forecaster.readings, forecaster.expected)
    began = forecaster.said[0][0] if forecaster.said else 0
    ended_s = (seen.began_ns - began) / 1e9 + seen.copy_s if seen and forecaster.said else None
    return replace(
        kept,
        actual=Actual(seen.copy_s if seen else None, whole_s, seen.sent_bytes if seen else None),
        fitted=seen,
        during=tuple(StoredForecast.of(at - began, one) for at, one in forecaster.said),
        copy_ended_s=ended_s,
    )


class Foresight:
    """The prediction of one run, for its recorder. Neither reads nor writes but the run it is given."""

    def __init__(self, kept: StoredPrediction, past: Sequence[ObservedMove]) -> None:
        self.kept = kept
        calibration = Calibration([one.held for one in past])
        self._forecaster = Forecaster(expectation(kept.inputs, past, POWERVM), calibration=calibration)

    @classmethod
    def of(cls, run: Run) -> Foresight | None:
        """From what the folder holds and the runs beside it; ``None`` when nobody surveyed how much memory the partition has.

        What an earlier recorder said and read in this folder is taken over.
        """
        inputs = inputs_of(run)
        if inputs is None:
            return None
        past = history(run.path.parent)
        document = run.document("prediction")
        kept = StoredPrediction.from_dict(document) if document else StoredPrediction(inputs, predict(inputs, past))
        found = cls(kept, past)
        source = run.manifest["order"]["source"]
        for event in run.events():
            if event.kind == "reading" and event.data.get("where") == source:
                found._forecaster.readings.append(_counters(event))
        return found

    def note(self, at_ns: int, sent: int | None, left: int | None) -> Forecast | None:
        """Take a reading of the source's manager; the new forecast when one is due."""
        return self._forecaster.note(at_ns, sent, left)

    def completed(self, whole_s: float) -> dict[str, Any]:
        """``prediction.json`` of a move that succeeded ``whole_s`` seconds after it was asked for."""
        return completed(self.kept, self._forecaster, whole_s).to_dict()


def _counters(event: Event) -> tuple[int, int | None, int | None]:
    return event.mono_ns, event.data.get("bytes_transmitted"), event.data.get("bytes_remaining")


def inputs_of(run: Run) -> Inputs | None:
    """What the folder of a move knows beforehand: its order and what the survey says of the partition."""
    order, survey = run.manifest.get("order"), run.document("survey")
    return inputs_from(order, survey) if order and survey else None


def inputs_from(order: Mapping[str, Any], survey: Mapping[str, Any]) -> Inputs | None:
    """The same from an order and a survey as JSON values; ``None`` where the partition's memory is not known."""
    listed = ((survey.get("source") or {}).get("partitions")) or ()
    mine: dict[str, Any] = next((one for one in listed if one.get("name") == order["partition"]), {})
    if not mine.get("memory_mb"):
        return None
    memory_bytes = mine["memory_mb"] * 1024.0 * 1024.0
    use: dict[str, Any] = (survey.get("guest") or {}).get("memory") or {}
    said: dict[str, Any] = use.get("memory") or {}
    # As a part of what it calls its memory: where AIX compresses memory it sees more than there is.
    share = min(1.0, said["in_use"] / said["size"]) if said.get("in_use") and said.get("size") else None
    return Inputs(
        partition=order["partition"],
        movers=f"{order['source']} to {order['target']}",
        memory_bytes=memory_bytes,
        virtual_processors=mine.get("virtual_processors"),
        in_use_bytes=None if share is None else share * memory_bytes,
        paging_bytes_per_s=use.get("paging_bytes_per_s"),
    )


def outcome(run: Run) -> ObservedMove | None:
    """What a run folder says of a move that succeeded; ``None`` when it holds no prediction, or its move is not over or went wrong.

    The suspension is what the analysis found (``summary.json``), if somebody analysed the run.
    """
    try:
        document, found = run.document("prediction"), run.document("summary")
        kept = StoredPrediction.from_dict(document) if document else None
    except (RecordError, KeyError, TypeError, ValueError):
        # A folder of another version or half deleted is no reason not to predict.
        return None
    if kept is None or kept.actual.whole_s is None:
        return None
    still = ((found or {}).get("suspension") or {}).get("likely") or {}
    actual = replace(kept.actual, suspended_s=still.get("best"))
    return ObservedMove(kept.inputs, actual, kept.fitted, kept.before, held(kept))


def held(kept: StoredPrediction) -> tuple[Held, ...]:
    """The forecasts of a copy that is over beside what was really left; those that said it may never end, and those after its end, are left out."""
    ended_s, copy_s = kept.copy_ended_s, kept.actual.copy_s
    if ended_s is None or copy_s is None:
        return ()
    return tuple(
        Held(
            gone(row.since_s - (ended_s - copy_s), row.p50_s),
            Quantiles(row.claimed_p10_s, row.p50_s, row.claimed_p90_s),
            ended_s - row.since_s,
        )
        for row in kept.during
        if row.since_s < ended_s and row.stall < 0.5
    )


def history(runs_folder: Path, *, until: str | None = None) -> list[ObservedMove]:
    """Every past move of a folder of runs that can be learned from, oldest first; with ``until`` those up to the run of that name."""
    found = []
    for path in sorted(runs_folder.glob("*/prediction.json")):
        if until is not None and path.parent.name > until:
            break
        try:
            one = outcome(Run(path.parent))
        except (RecordError, OSError):
            continue
        if one is not None:
            found.append(one)
    return found


@dataclass(frozen=True, slots=True)
class Reliable:
    """How the predictions of one figure did: how many, what part fell between P10 and P90 (80 % is claimed), below P10, below P50 and above P90
    (10, 50, 10 % are claimed), the median relative error of P50."""

    figure: str
    count: int
    covered: float
    below: float
    below_middle: float
    above: float
    median_error: float

    @property
    def covered_bounds(self) -> tuple[float, float]:
        """What part may really lie between P10 and P90, with 95 % certainty, from so many moves (Wilson)."""
        return wilson(self.covered, self.count)

    def words(self) -> tuple[str, ...]:
        """For people, in the order of `RELIABLE_HEADINGS`."""
        low, high = self.covered_bounds
        return (
            LABELS[self.figure],
            str(self.count),
            f"{self.covered:.0%} ({low:.0%} … {high:.0%})",
            f"{self.below:.0%} / {self.below_middle:.0%} / {1 - self.above:.0%}",
            f"{self.median_error:.1%}",
        )


#: What the columns of a table of reliability are called.
RELIABLE_HEADINGS = (
    "",
    "moves",
    "between P10 and P90 (80 % claimed)",
    "below P10 / P50 / P90 (10 / 50 / 90 % claimed)",
    "median error of P50",
)


def wilson(part: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """Bounds of a probability of which ``part`` was seen in ``count`` trials.

    >>> [round(bound, 2) for bound in wilson(0.8, 10)]
    [0.49, 0.94]
    """
    middle = (part + z * z / (2 * count)) / (1 + z * z / count)
    reach = z * math.sqrt(part * (1 - part) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def reliability(past: Sequence[ObservedMove]) -> list[Reliable]:
    """Claimed against observed, a row for each figure that was predicted and seen."""
    rows = []
    for name in FIGURES:
        pairs = [
            (getattr(one.predicted, name), getattr(one.actual, name))
            for one in past
            if one.predicted is not None and getattr(one.actual, name)
        ]
        if pairs:
            rows.append(reliable(name, pairs))
    return rows


def reliable(figure: str, pairs: Sequence[tuple[Quantiles, float]]) -> Reliable:
    """The row of one figure, from what was said and what happened."""
    below = float(np.mean([actual < said.p10 for said, actual in pairs]))
    middle = float(np.mean([actual < said.p50 for said, actual in pairs]))
    above = float(np.mean([actual > said.p90 for said, actual in pairs]))
    error = float(np.median([abs(said.p50 / actual - 1) for said, actual in pairs]))
    return Reliable(figure, len(pairs), 1 - below - above, below, middle, above, error)
