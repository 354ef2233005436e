"""The states of a SAP system, asked for again and again: work processes, jobs, queues, users, the system log.

It runs in a process of its own (group ``sap``): the libraries that it needs are heavy. Every answer becomes a line of ``observations/``, with the moment of asking and of
answering; of the system log and the dumps only what is new. How much is asked is bounded by the site file and told each minute.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lpmkit.config import SAP_INTERVALS, SapSystemSettings
from lpmkit.probes.orders import ProbeOrder, Sink
from lpmkit.sap.model import SapObservation
from lpmkit.sap.system import System, open_system
from lpmkit.ssh.refusals import Accounts
from lpmkit.ssh.secrets import Secrets
from lpmkit.timeline import Clock

#: What was in the system log so long before the probe began says what is usual there.
USUAL_NS = 3600 * 1_000_000_000
#: How often the load is told.
LOAD_EVERY_NS = 60 * 1_000_000_000
#: A question that no way of the site file can answer is put once, so that the record says so, and not again.
_NEVER = 2**62
#: Answers of which only what is new is kept.
_GROWING = ("system_log", "dumps")


#: The accounts of this process: its SAP systems share them.
_ACCOUNTS = Accounts()


class SapProbe:
    """Puts each question at its interval; when the bound on requests holds one back, the others wait in turn."""

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
        self._since = 0

    def run(self, stop: threading.Event, sink: Sink) -> None:
        """Probe until ``stop`` is set."""
        began, self._since = self.clock.wall_ns(), self.clock.mono_ns()
        # who it is comes first: it tells the system's own clock; then, once, every job there is
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
            said = self.system.ask(question, began - USUAL_NS if question in _GROWING else began)
            self._tell_refusals(sink)
            self._tell_way(question, said, sink)
            sink.observation(self.order.name, self._new(said).as_data())
            # counted from the begin of the question: an answer that takes long must not be asked for more often
            due[question] = self._next(question, said)
        self._tell_load(sink)
        self.system.close()

    def _next(self, question: str, said: SapObservation) -> int:
        if question in ("identity", "instances", "job_list") and said.rows is not None:
            return _NEVER
        if not self.system.is_configured(question):
            return _NEVER
        every = self.settings.every_s.get(question, SAP_INTERVALS.get(question, 60.0))
        return max(said.asked_ns + int(every * 1e9), self.clock.mono_ns())

    def _new(self, said: SapObservation) -> SapObservation:
        """The answer with what was not there the last time, where it only grows."""
        if said.rows is None or said.question not in _GROWING:
            return said
        there = Counter(said.rows)
        fresh = there - self._seen[said.question]
        self._seen[said.question] |= there
        kept = []
        for row in said.rows:
            if fresh[row] > 0:
                fresh[row] -= 1
                kept.append(row)
        return replace(said, rows=tuple(kept))

    def _tell_way(self, question: str, said: SapObservation, sink: Sink) -> None:
        was = self._ways.get(question)
        if said.way != was:
            self._ways[question] = said.way
            sink.event(self.order.name, "sap-way", question=question, way=said.way, was=was or "", why=said.trouble)

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
