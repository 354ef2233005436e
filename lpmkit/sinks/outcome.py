"""The state and the end of a run, for receivers: its headline and its figures."""

from __future__ import annotations

from collections.abc import Mapping

from lpmkit.analysis import analyse, summary
from lpmkit.errors import LpmError
from lpmkit.json_values import JsonObject
from lpmkit.runs.audit import Action, AuditRecord
from lpmkit.runs.folder import Run
from lpmkit.sinks.formats import Metric

#: The phases of a move, as a set of states: one of them is 1.
PHASES = ("prepared", "asked", "starting", "copying", "switched", "settled", "failed", "stopped", "needs-recovery")
VERDICTS = ("passed", "failed", "not evaluated")


def headline(run: Run) -> str:
    """The verdict of a run in one sentence, made from its folder as it is now."""
    return str(summary(analyse(run))["verdict"]["line"])


def run_metrics(run: Run, record: AuditRecord) -> list[Metric]:
    """The metrics of a run at one of its records; the figures once its recorder has ended."""
    base = {"partition": record.partition, "source": record.source, "target": record.target}
    events = run.events()
    phase = next((str(event.data.get("phase")) for event in reversed(events) if event.kind == "phase"), "prepared")
    reading = next((event.data for event in reversed(events) if event.kind == "reading"), {})
    metrics: list[Metric] = [
        ("run_info", "The newest run of the partition.", [({**base, "run": run.name, "mode": record.mode}, 1.0)]),
        (
            "run_phase",
            "The phase of the move: 1 for the one it is in.",
            [({**base, "phase": each}, float(each == phase)) for each in PHASES],
        ),
        ("run_updated_seconds", "When this was written, in seconds since 1970.", [(base, record.wall_ns / 1e9)]),
    ]
    for name, key, about in (
        ("copy_sent_bytes", "bytes_transmitted", "Bytes of memory that the manager counts as sent."),
        ("copy_remaining_bytes", "bytes_remaining", "Bytes of memory that the manager counts as left."),
    ):
        value = reading.get(key)
        metrics.append((name, about, [] if value is None else [(base, float(value))]))
    if record.action is Action.ENDED:
        metrics += _figures(run, base)
    return metrics


def _figures(run: Run, base: Mapping[str, str]) -> list[Metric]:
    try:
        found = summary(analyse(run))
    except LpmError:
        return []  # what is not known has no metric; a 0 would be read as one
    state = found["verdict"]["state"]
    return [
        (
            "run_verdict",
            "The verdict of the run: 1 for the one it has.",
            [({**base, "verdict": each}, float(each == state)) for each in VERDICTS],
        ),
        ("suspension_seconds", "The proved bounds of the suspension.", _bounds(base, found["suspension"], "length")),
        ("session_outage_seconds", "The bounds of the longest session outage.", _bounds(base, found, "session_outage")),
    ]


def _bounds(base: Mapping[str, str], found: JsonObject | None, key: str) -> list[tuple[Mapping[str, str], float]]:
    figure = (found or {}).get(key)
    if not figure:
        return []
    return [({**base, "bound": bound}, float(figure[bound])) for bound in ("low", "high")]
