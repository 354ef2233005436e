"""States of a SAP system, polled: work processes, jobs, queues, users, system log.

Runs in a process of its own (group ``sap``), because its libraries are heavy. Every reply becomes a line of
``observations/`` with the times of request and reply; of system log and dumps only new entries are recorded.
The number of requests is limited by the site file and recorded each minute.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lpmkit.probes.orders import ProbeOrder, Sink
from lpmkit.sap.observation import SapObservation
from lpmkit.sap.system import System, open_system
from lpmkit.settings.sap import SAP_INTERVALS, SapSystemSettings
from lpmkit.ssh.refusals import Accounts
from lpmkit.ssh.secrets import Secrets
from lpmkit.timeline import Clock

#: Length of the system log before the start of the probe that is read as its baseline.
USUAL_NS = 3600 * 1_000_000_000
#: Interval of recording the number of requests.
LOAD_EVERY_NS = 60 * 1_000_000_000
#: A query that no configured interface supports is sent once, so that the record shows it, and not again.
_NEVER = 2**62
#: Queries of which only new rows are recorded.
_GROWING = ("system_log", "dumps")
LOG_BEGAN_ANEW = (
    "the system log holds nothing of the reading before: it was begun anew or wrote more than it keeps, and entries"
    " in between may be missing"
)


#: Accounts of this process, shared by its SAP systems.
_ACCOUNTS = Accounts()


class SapProbe:
    """Sends each query at its interval; queries held back by the request limit wait in turn."""

    def __init__(
        self, order: ProbeOrder, secrets: Secrets, clock: Clock | None = None, system: System | None = None
    ) -> None:
        self.order = order
        self.clock = clock or Clock()
        self.settings = SapSystemSettings.model_validate(order.options["settings"])
        self.system = system or open_system(
            order.options["sid"],
            self.settings,
            host=order.host,
            ssh_config=Path(order.ssh_config) if order.ssh_config else None,
            secrets=secrets,
            clock=self.clock,
            requests_per_minute=self.settings.requests_per_minute - self.settings.kept_for_after,
            accounts=_ACCOUNTS,
        )
        for account, answered in dict(order.options.get("refused") or {}).items():
            self.system.accounts.refuse(account, answered)
        self._refused: set[str] = set()
        self._seen: dict[str, Counter[Any]] = {name: Counter() for name in _GROWING}
        self._ways: dict[str, str] = {}
        self._read_by: dict[str, str] = {}
        self._since = 0

    def run(self, stop: threading.Event, sink: Sink) -> None:
        """Probe until ``stop`` is set."""
        began, self._since = self.clock.wall_ns(), self.clock.mono_ns()
        # The identity comes first, with the system's own clock; then, once, all jobs.
        due = {"identity": 0, "instances": 1, "job_list": 1, **dict.fromkeys(SAP_INTERVALS, 2)}
        next_load = self.clock.mono_ns() + LOAD_EVERY_NS
        while not stop.is_set():
            question = min(due, key=lambda name: due[name])
            now = self.clock.mono_ns()
            if now >= next_load:
                self._tell_load(sink)
                next_load = now + LOAD_EVERY_NS
            if due[question] > now:
                stop.wait(min(1.0, (due[question] - now) / 1e9))
                continue
            observation = self.system.ask(question, began - USUAL_NS if question in _GROWING else began)
            self._tell_refusals(sink)
            self._tell_way(question, observation, sink)
            sink.observation(self.order.name, self._new(observation).as_data())
            # Counted from the request, so that a slow reply does not shorten the interval.
            due[question] = self._next(question, observation)
        self._tell_load(sink)
        self.system.close()

    def _next(self, question: str, observation: SapObservation) -> int:
        if question in ("identity", "instances", "job_list") and observation.rows is not None:
            return _NEVER
        if not self.system.is_configured(question):
            return _NEVER
        every = self.settings.every_s.get(question, SAP_INTERVALS.get(question, 60.0))
        return max(observation.asked_ns + int(every * 1e9), self.clock.mono_ns())

    def _new(self, observation: SapObservation) -> SapObservation:
        """The reply without rows that were there before, for queries whose result only grows.

        The system log is a ring (`SAP-SYSLOG`): a reading that shares no entry with those before may have missed some.
        """
        if observation.rows is None or observation.question not in _GROWING:
            return observation
        present = Counter(observation.rows)
        seen = self._seen[observation.question]
        overlaps = not seen or bool(present & seen) or self._read_by.get(observation.question) != observation.way
        self._read_by[observation.question] = observation.way
        fresh = present - seen
        self._seen[observation.question] |= present
        new_rows = []
        for row in observation.rows:
            if fresh[row] > 0:
                fresh[row] -= 1
                new_rows.append(row)
        lost = LOG_BEGAN_ANEW if observation.question == "system_log" and not overlaps else observation.trouble
        return replace(observation, rows=tuple(new_rows), trouble=lost)

    def _tell_way(self, question: str, observation: SapObservation, sink: Sink) -> None:
        earlier_way = self._ways.get(question)
        if observation.way != earlier_way:
            self._ways[question] = observation.way
            sink.event(
                self.order.name,
                "sap-way",
                question=question,
                way=observation.way,
                was=earlier_way or "",
                why=observation.trouble,
            )

    def _tell_refusals(self, sink: Sink) -> None:
        """Record a refused account at once: nothing logs on with it again in this run."""
        refused = self.system.refused
        for account in sorted(refused.keys() - self._refused):
            self._refused.add(account)
            text = f"1 logon as {account} was refused and none follows in this run: {refused[account]}"
            sink.event(self.order.name, "probe-trouble", what=text, refused=refused)

    def _tell_load(self, sink: Sink) -> None:
        counts: Mapping[str, int] = dict(self.system.load.counts)
        sink.event(
            self.order.name, "sap-load", requests=counts, limit_per_minute=self.system.load.limit, since_ns=self._since
        )
