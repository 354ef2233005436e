"""The record of one database in a run: its probes, their questions and troubles, its states, the rows of its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from lpmkit.analysis.model import HostAnalysis, Interval, Suspension, Trace
from lpmkit.analysis.oracle_times import host_clock, sessions_of, shifted, without_repetitions
from lpmkit.analysis.record import Record
from lpmkit.json_values import JsonMapping
from lpmkit.runs.folder import Run
from lpmkit.timeline import Event


class DatabaseRecord:
    """The record of one database in a run."""

    def __init__(
        self,
        sid: str,
        orders: Mapping[str, JsonMapping],
        run: Run,
        record: Record,
        hosts: Sequence[HostAnalysis],
        mode: str,
    ) -> None:
        self.sid, self.orders, self.record, self.mode = sid, orders, record, mode
        self.host = str(next(iter(orders.values())).get("host"))
        self.names = {kind: str(order["name"]) for kind, order in orders.items()}
        self.analysed_host = next(
            (one for one in hosts if any(trace.probe in self.names.values() for trace in one.traces)), None
        )
        self.states = shifted(run.observations(self.names["db-state"]) if "db-state" in orders else [], record.shifts)
        rows = shifted(run.observations(self.names["alert"]) if "alert" in orders else [], record.shifts)
        self.rows = without_repetitions([row for row in rows if "read" not in row])
        self.readings = sorted(int(row["mono_ns"]) for row in rows if "read" in row)
        self.begin_ns = record.window.lo_ns if mode == "move" else record.span.lo_ns
        self.sessions = sessions_of(record.events, self.names.get("sql"))
        self.clock = host_clock(self.states)

        #: The time that is judged: from the begin of the move to the end of the post-migration window.
        self.span = Interval(self.begin_ns, max(self.begin_ns, record.window.hi_ns))

    @property
    def turn_ns(self) -> int:
        """The end of the suspension, or the begin of the move where none was found."""
        return self.suspension.end.hi_ns if self.suspension else self.begin_ns

    @property
    def suspension(self) -> Suspension | None:
        return self.analysed_host.suspension if self.analysed_host else None

    def looks(self, kind: str) -> list[int]:
        """The times at which a probe asked something, whatever became of it."""
        return [sent for sent, _ in self.attempts(kind)]

    def attempts(self, kind: str) -> list[tuple[int, bool]]:
        """The questions of a probe: the time, and true where the database answered.

        A refusal is an answer of the listener and none of the database.
        """
        name, attempts = self.names.get(kind), []
        for sources in self.record.sources.values():
            for source in sources:
                if source.probe == name:
                    signals = source.between(source.span)
                    attempts += list(zip(signals.sent.tolist(), signals.spoke.tolist(), strict=True))
        return sorted(attempts)

    def troubles(self, kind: str) -> list[Event]:
        """The troubles that a probe reported, and those that the recorder reported of its process, which several
        probes share.
        """
        name = self.names.get(kind)
        return [
            event
            for event in self.record.events
            if event.kind == "probe-trouble" and name in str(event.data.get("probe", "")).split(", ")
        ]

    def refusal(self) -> str:
        """The refusal of the database's account in this run, in words; empty where there was none."""
        refused = (event for kind in self.names for event in self.troubles(kind) if event.data.get("refused"))
        return next((str(event.data.get("what")) for event in refused), "")

    def traces(self, kind: str) -> list[Trace]:
        """The signs of life that a probe saw, one trace for each recorder."""
        traces = self.analysed_host.traces if self.analysed_host else ()
        return [trace for trace in traces if trace.probe == self.names.get(kind)]

    def limit(self, name: str) -> int:
        """A limit of the site file as the run keeps it; 0 in runs of earlier versions."""
        options = next(iter(self.orders.values())).get("options") or {}
        return int((options.get("limits") or {}).get(name, 0))


def time_of(text: Any) -> datetime | None:
    """A time as the views print it, in the database's local time; ``None`` for anything else."""
    try:
        return datetime.strptime(str(text), "%Y%m%d%H%M%S")  # noqa: DTZ007 - the database's local time says no zone
    except ValueError:
        return None
