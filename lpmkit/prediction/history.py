"""Predictions and outcomes stored in run folders, read again as the past of later moves.

`Foresight` serves a recorder: prediction before the move, forecast at every reading, the whole document at the end.
`history` reads the documents of a folder of runs; `reliability` compares claimed intervals with actual figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lpmkit.errors import RecordError
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.prediction.calibration import Calibration, PastForecast, elapsed_share
from lpmkit.prediction.distributions import MoveDistribution, Quantiles
from lpmkit.prediction.forecast import Fitted, Forecast, fitted, forecast
from lpmkit.prediction.moves import EFFECTS, FIGURES, LABELS, Actual, Inputs, ObservedMove, Prediction
from lpmkit.prediction.nights import with_beside
from lpmkit.prediction.past import indexed, observed_elsewhere
from lpmkit.prediction.predicting import predict
from lpmkit.prediction.prior import POWERVM, posterior
from lpmkit.runs.folder import Run
from lpmkit.timeline import Anchor, Event

FORMAT = 1
#: Past moves whose late starts a run keeps.
LATE_STARTS = 50
#: Minimum interval between two forecasts, in seconds.
FORECAST_EVERY_S = 2.0


class Forecaster:
    """Collects the readings of a running move and renews the forecast, at most every ``every_s`` seconds."""

    def __init__(
        self, expected: MoveDistribution, every_s: float = FORECAST_EVERY_S, calibration: Calibration | None = None
    ) -> None:
        self.expected, self._every_ns = expected, int(every_s * 1e9)
        self._calibration = calibration or Calibration(())
        self.readings: list[tuple[int, int | None, int | None]] = []
        self._moving_since_ns: int | None = None
        #: Every forecast so far with its time in monotonic nanoseconds.
        self.said: list[tuple[int, Forecast]] = []

    def note(self, at_ns: int, sent: int | None, unsent: int | None) -> Forecast | None:
        """Add one reading; returns a new forecast if one is due, otherwise ``None``.

        No forecast is made before the counters have moved for ``every_s``: the first interval contains the begin of
        the copy at an unknown place, so a rate from it alone may be off by any factor.
        """
        self.readings.append((at_ns, sent, unsent))
        if sent and self._moving_since_ns is None:
            self._moving_since_ns = at_ns
        if self._moving_since_ns is None or at_ns - self._moving_since_ns < self._every_ns:
            return None
        if self.said and at_ns - self.said[-1][0] < self._every_ns:
            return None
        renewed = forecast(self.readings, self.expected)
        if renewed is None:
            return None
        renewed = renewed.calibrated(self._calibration)
        self.said.append((at_ns, renewed))
        return renewed


class StoredForecast(NamedTuple):
    """One forecast as it is stored, in seconds.

    Time since the first forecast, P10, P50, P90 of the rest of the copy, probability of a stall, uncalibrated P10
    and P90.
    """

    since_s: float
    p10_s: float
    p50_s: float
    p90_s: float
    stall: float
    claimed_p10_s: float
    claimed_p90_s: float

    @classmethod
    def of(cls, since_ns: int, issued: Forecast) -> StoredForecast:
        """A forecast as it is stored."""
        remaining, claimed = issued.remaining_s, issued.claimed
        figures = (since_ns / 1e9, remaining.p10, remaining.p50, remaining.p90, issued.stall, claimed.p10, claimed.p90)
        return cls(*(round(figure, 3) for figure in figures))


@dataclass(frozen=True, slots=True)
class StoredPrediction:
    """``prediction.json``: inputs and prediction before the move; after it also forecasts and actual figures."""

    inputs: Inputs
    before: Prediction
    actual: Actual = field(default_factory=Actual)
    fitted: Fitted | None = None
    during: tuple[StoredForecast, ...] = ()
    #: When the copy ended, in seconds since the first forecast.
    copy_ended_s: float | None = None
    #: When the copy began, in nanoseconds since 1970.
    copy_began_ns: int | None = None

    def to_dict(self) -> JsonObject:
        """The document as JSON values; `from_dict` reads it."""
        return {
            "format": FORMAT,
            "inputs": asdict(self.inputs),
            "before": self.before.as_data(),
            "during": {
                "columns": list(StoredForecast._fields),
                "rows": [list(row) for row in self.during],
            },
            "copy_ended_s": self.copy_ended_s,
            "copy_began_ns": self.copy_began_ns,
            "actual": asdict(self.actual),
            "fitted": asdict(self.fitted) if self.fitted else None,
        }

    @classmethod
    def from_dict(cls, data: JsonMapping) -> StoredPrediction:
        """Inverse of `to_dict`. Raises KeyError or TypeError for anything else."""
        return cls(
            inputs=Inputs(**data["inputs"]),
            before=Prediction.from_data(data["before"]),
            actual=Actual(**data["actual"]),
            fitted=Fitted(**data["fitted"]) if data["fitted"] else None,
            # Rows of older versions have no claim of their own: the forecast was the model's own.
            during=tuple(
                StoredForecast(*(row if len(row) > 5 else (*row, row[1], row[3]))) for row in data["during"]["rows"]
            ),
            copy_ended_s=data.get("copy_ended_s"),
            copy_began_ns=data.get("copy_began_ns"),
        )


def completed(
    stored: StoredPrediction, forecaster: Forecaster, whole_s: float | None, anchor: Anchor | None = None
) -> StoredPrediction:
    """The document of a move that succeeded. ``whole_s`` lasts from the request to the success; ``anchor`` ties the
    clock of the readings to the wall clock.
    """
    figures = fitted(forecaster.readings, forecaster.expected)
    began = forecaster.said[0][0] if forecaster.said else 0
    ended_s = (figures.began_ns - began) / 1e9 + figures.copy_s if figures and forecaster.said else None
    return replace(
        stored,
        actual=Actual(figures.copy_s if figures else None, whole_s, figures.sent_bytes if figures else None),
        fitted=figures,
        during=tuple(StoredForecast.of(at - began, issued) for at, issued in forecaster.said),
        copy_ended_s=ended_s,
        copy_began_ns=figures.began_ns - anchor.mono_ns + anchor.wall_ns if figures and anchor else None,
    )


class Foresight:
    """The prediction of one run, for its recorder. Accesses no other run after its creation."""

    def __init__(self, stored: StoredPrediction, past: Sequence[ObservedMove]) -> None:
        self.kept = stored
        calibration = Calibration([move.held for move in past])
        self._forecaster = Forecaster(posterior(stored.inputs, past, POWERVM), calibration=calibration)

    @classmethod
    def of(cls, run: Run) -> Foresight | None:
        """A forecast as it is stored.

        Predictions and readings that an earlier recorder left in this folder are taken over.
        """
        inputs = inputs_of(run)
        if inputs is None:
            return None
        past = history(run.path.parent)
        document = run.document("prediction")
        stored = StoredPrediction.from_dict(document) if document else StoredPrediction(inputs, predict(inputs, past))
        prediction = cls(stored, past)
        source = run.manifest["order"]["source"]
        for event in run.events():
            if event.kind == "reading" and event.data.get("where") == source:
                prediction._forecaster.readings.append(_counters(event))
        return prediction

    def note(self, at_ns: int, sent: int | None, left: int | None) -> Forecast | None:
        """Add a reading of the source's manager; returns a forecast if one is due."""
        return self._forecaster.note(at_ns, sent, left)

    def completed(self, whole_s: float, anchor: Anchor) -> JsonObject:
        """``prediction.json`` of a move that succeeded ``whole_s`` seconds after it was requested."""
        return completed(self.kept, self._forecaster, whole_s, anchor).to_dict()


def _counters(event: Event) -> tuple[int, int | None, int | None]:
    return event.mono_ns, event.data.get("bytes_transmitted"), event.data.get("bytes_remaining")


def inputs_of(run: Run) -> Inputs | None:
    """Inputs of a prediction from a run folder: its order and the survey of the partition."""
    order, survey = run.manifest.get("order"), run.document("survey")
    return inputs_from(order, survey) if order and survey else None


def inputs_from(order: JsonMapping, survey: JsonMapping) -> Inputs | None:
    """Inputs from an order and a survey as JSON values; ``None`` if the partition's memory is unknown."""
    listed = ((survey.get("source") or {}).get("partitions")) or ()
    partition: JsonObject = next((entry for entry in listed if entry.get("name") == order["partition"]), {})
    if not partition.get("memory_mb"):
        return None
    memory_bytes = partition["memory_mb"] * 1024.0 * 1024.0
    counters: JsonObject = (survey.get("guest") or {}).get("memory") or {}
    memory: JsonObject = counters.get("memory") or {}
    # As a share of the memory that AIX reports: with memory compression AIX sees more than the partition has.
    share = min(1.0, memory["in_use"] / memory["size"]) if memory.get("in_use") and memory.get("size") else None
    return Inputs(
        partition=order["partition"],
        movers=f"{order['source']} to {order['target']}",
        memory_bytes=memory_bytes,
        virtual_processors=partition.get("virtual_processors"),
        in_use_bytes=None if share is None else share * memory_bytes,
        paging_bytes_per_s=counters.get("paging_bytes_per_s"),
        has_sap=bool(survey.get("sap")),
        has_databases=bool(survey.get("databases")),
    )


def outcome(run: Run) -> ObservedMove | None:
    """Outcome of a successful move from its run folder; `None` without a prediction, or if the move is not over or
    failed.

    The suspension and the effects come from the analysis (``summary.json``), if the run was analysed.
    """
    try:
        document, summary = run.document("prediction"), run.document("summary")
        stored = StoredPrediction.from_dict(document) if document else None
    except (RecordError, KeyError, TypeError, ValueError):
        # A folder of another version or a half-deleted one does not prevent a prediction.
        return None
    if stored is None or stored.actual.whole_s is None:
        return None
    estimate = ((summary or {}).get("suspension") or {}).get("likely") or {}
    effects = {name: measured_effect(summary, name) for name in EFFECTS}
    actual = replace(stored.actual, suspended_s=estimate.get("best"), **effects)
    late_start = ((summary or {}).get("suspension") or {}).get("late_start") or {}
    middle_s = (late_start["low"] + late_start["high"]) / 2 if late_start else None
    return ObservedMove(
        stored.inputs, actual, stored.fitted, stored.before, held(stored), stored.copy_began_ns, middle_s
    )


def late_starts(runs_folder: Path) -> list[float]:
    """The late starts of processes after the resumes of a site's moves, in seconds, the newest last; at most
    `LATE_STARTS`.

    Only where a kernel that was asked showed the resume.
    """
    seen = [move.late_start_s for move in history(runs_folder) if move.late_start_s is not None]
    return [round(seconds, 4) for seconds in seen[-LATE_STARTS:]]


def measured_effect(summary: JsonMapping | None, name: str) -> float | None:
    """An effect of a move by its summary, in seconds: the middle of its bounds, the lower one where the recording ended
    before it did; ``None`` where nothing was measured or nothing was there to be held up.

    >>> measured_effect({"effects": {"brown_out_s": {"low": 2.0, "high": 4.0}}}, "brown_out_s")
    3.0
    """
    bounds = ((summary or {}).get("effects") or {}).get(name) or {}
    low, high = bounds.get("low"), bounds.get("high")
    if low is None or high == 0:
        return None
    return float(low if high is None else (low + high) / 2) or None


def held(stored: StoredPrediction) -> tuple[PastForecast, ...]:
    """The forecasts of a past copy beside the actual rest, without those after its end and those with a probable
    stall.
    """
    ended_s, copy_s = stored.copy_ended_s, stored.actual.copy_s
    if ended_s is None or copy_s is None:
        return ()
    return tuple(
        PastForecast(
            elapsed_share(row.since_s - (ended_s - copy_s), row.p50_s),
            Quantiles(row.claimed_p10_s, row.p50_s, row.claimed_p90_s),
            ended_s - row.since_s,
        )
        for row in stored.during
        if row.since_s < ended_s and row.stall < 0.5
    )


def history(runs_folder: Path, *, until: str | None = None) -> list[ObservedMove]:
    """Every usable past move of a folder of runs, oldest first, with what ran beside it.

    ``until``: up to the run of that name. Without it also those that other hosts shared.
    """
    moves = outcomes(runs_folder)
    if until is not None:
        return with_beside([move for name, move in moves.items() if name <= until])
    everybody = [*moves.values(), *observed_elsewhere(runs_folder)]
    # Those of other hosts take their place; moves of versions that kept no time are older than any.
    return with_beside(sorted(everybody, key=lambda move: move.began_ns or 0))


def outcomes(runs_folder: Path) -> dict[str, ObservedMove]:
    """The usable past moves of a folder of runs by the name of the run, oldest first."""
    return indexed(runs_folder, _outcome_of)


def _outcome_of(folder: Path) -> ObservedMove | None:
    try:
        return outcome(Run(folder))
    except (RecordError, OSError):
        return None


@dataclass(frozen=True, slots=True)
class Reliability:
    """Claimed against observed coverage of one figure's predictions.

    Count, share between P10 and P90 (80 % is claimed), below P10, below P50 and above P90 (10, 50, 10 % are
    claimed), and the median relative error of P50.
    """

    figure: str
    count: int
    covered: float
    below: float
    below_middle: float
    above: float
    median_error: float

    @property
    def covered_bounds(self) -> tuple[float, float]:
        """95 % confidence interval (Wilson) of the share between P10 and P90, for this number of moves."""
        return wilson(self.covered, self.count)

    def words(self) -> tuple[str, ...]:
        """The row for people, in the order of `RELIABLE_HEADINGS`."""
        if self.count < FEWEST_JUDGED:
            moves = f"{self.count} past move{'s' * (self.count != 1)}"
            return LABELS[self.figure], str(self.count), f"{moves}: too few to judge", "", ""
        low, high = self.covered_bounds
        return (
            LABELS[self.figure],
            str(self.count),
            f"{self.covered:.0%} ({low:.0%} … {high:.0%})",
            f"{self.below:.0%} / {self.below_middle:.0%} / {1 - self.above:.0%}",
            f"{self.median_error:.1%}",
        )


#: Number of moves from which a share of them is printed: of fewer, the 95 % interval of "4 of 5" is wider than 60
#: points.
FEWEST_JUDGED = 5
#: Column headings of the reliability table.
RELIABLE_HEADINGS = (
    "",
    "moves",
    "between P10 and P90 (80 % claimed)",
    "below P10 / P50 / P90 (10 / 50 / 90 % claimed)",
    "median error of P50",
)


def wilson(part: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson confidence interval of a probability, observed as ``part`` of ``count`` trials.

    >>> [round(bound, 2) for bound in wilson(0.8, 10)]
    [0.49, 0.94]
    """
    middle = (part + z * z / (2 * count)) / (1 + z * z / count)
    reach = z * math.sqrt(part * (1 - part) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def predicted_and_actual(past: Sequence[ObservedMove], figure: str) -> list[tuple[Quantiles, float]]:
    """The prediction and the outcome of one figure, of every past move that has both."""
    known = [
        (move.predicted.figure(figure), getattr(move.actual, figure)) for move in past if move.predicted is not None
    ]
    return [(predicted, actual) for predicted, actual in known if predicted is not None and actual]


def reliability(past: Sequence[ObservedMove]) -> list[Reliability]:
    """Claimed against observed coverage, a row for each figure that was predicted and observed."""
    rows = []
    for name in FIGURES:
        if pairs := predicted_and_actual(past, name):
            rows.append(figure_reliability(name, pairs))
    return rows


def figure_reliability(figure: str, pairs: Sequence[tuple[Quantiles, float]]) -> Reliability:
    """The row of one figure, from pairs of prediction and actual value."""
    below = float(np.mean([actual < predicted.p10 for predicted, actual in pairs]))
    middle = float(np.mean([actual < predicted.p50 for predicted, actual in pairs]))
    above = float(np.mean([actual > predicted.p90 for predicted, actual in pairs]))
    error = float(np.median([abs(predicted.p50 / actual - 1) for predicted, actual in pairs]))
    return Reliability(figure, len(pairs), 1 - below - above, below, middle, above, error)
