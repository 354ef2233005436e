"""A probe of a package of the site (entry point ``lpmkit.probes``), in a process of the plug-ins alone.

A plug-in is a function that takes the host's name and the settings of the site file, and returns an object with a
method ``look()``; what that returns (JSON values) is kept as an observation. No verdict rests on it.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from lpmkit.installed.plugins import PROBES, load_plugin
from lpmkit.probes.orders import ProbeOrder, Sink
from lpmkit.timeline import Clock


class PluggedProbe:
    """Asks a plug-in again and again; what it raises is recorded once for each text."""

    def __init__(self, order: ProbeOrder, clock: Clock | None = None) -> None:
        self.order = order
        self.clock = clock or Clock()
        self._told: set[str] = set()

    def run(self, stop: threading.Event, sink: Sink) -> None:
        """Look until ``stop`` is set."""
        name = str(self.order.options["plugin"])
        watcher: Any = None
        while not stop.is_set():
            asked_ns, wall_ns = self.clock.mono_ns(), self.clock.wall_ns()
            try:
                if watcher is None:
                    watcher = load_plugin(PROBES, name)(self.order.host, dict(self.order.options["settings"]))
                rows = watcher.look()
                json.dumps(rows)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - code of others: it is named, and the others go on
                self._tell(f"the plug-in {name}: {type(error).__name__}: {error}", sink)
            else:
                times = {"asked_ns": asked_ns, "answered_ns": self.clock.mono_ns(), "wall_ns": wall_ns}
                sink.observation(self.order.name, {"question": name, **times, "rows": rows})
            stop.wait(self.order.interval_ns / 1e9)

    def _tell(self, what: str, sink: Sink) -> None:
        if what not in self._told:
            self._told.add(what)
            sink.event(self.order.name, "probe-trouble", what=what)
