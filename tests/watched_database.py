"""A partition with a database, really stopped and resumed, watched by the real probes: a move without its managers, in
a few seconds.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lpmkit.analysis import Analysis, analyse
from lpmkit.config import PartitionSettings, Site, load_site
from lpmkit.probes.databases import database_plan
from lpmkit.probes.orders import plan
from lpmkit.recorder import probe_process
from lpmkit.recorder.probe_process import ProbeProcess, in_groups
from lpmkit.runs.folder import Run, create
from lpmkit.runs.writer import RunWriter
from lpmkit.simulator import Simulator
from lpmkit.simulator.simulator import GIVEN_BY
from lpmkit.ssh.secrets import Secrets
from tests.forked import forking

HURRIED = {
    "interval_ms": 100,
    "logon_interval_ms": 500,
    "logon_limit_s": 2.0,
    "alert_interval_ms": 200,
}


class Watched:
    """A ``with`` block: the probes run, and `asked`, `freeze`, `settled` are what becomes of the move."""

    def __init__(self, folder: Path, landscape: str = "p7pair", **settings: Any) -> None:
        self.simulator = Simulator(landscape, directory=folder / "simulator")
        #: The suspension lasts as long as the analysis needs to tell it from the noise of this machine.
        self.is_to_be_told = False
        self.stood_s = 0.0
        self._folder, self._settings = folder, {**HURRIED, **settings}
        self._posted: queue.SimpleQueue[Callable[[RunWriter], object] | None] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        self.simulator.start()
        site = load_site(self.simulator.site_file)
        self.sid, database = next(iter(site.databases.items()))
        self.partition = database.partition
        self.site: Site = site.model_copy(
            update={"databases": {self.sid: database.model_validate({**database.model_dump(), **self._settings})}}
        )
        self.host = self.simulator.hosts[self.partition]
        usual = plan(self.partition, PartitionSettings(host=self.partition), site.ssh_config)
        orders = (*usual[:2], *database_plan(self.site, self.partition))
        facts = {"probes": [order.as_data() for order in orders], "site": {}, "lead_in_s": 1.0}
        self.run = create(self._folder / "runs", mode="move", title="test", facts=facts)
        self._writer = RunWriter(self.run.path)
        self._writer.__enter__()
        self._pump = threading.Thread(target=self._write)
        self._pump.start()
        self.say("recorder-started", resumed=False)
        self.say("clock", uncertainty_ns=1000)
        self.say("phase", phase="prepared")
        known = Secrets({f"env:{GIVEN_BY}": self.simulator.sap_password})
        self._log = (self._folder / "recorder.log").open("ab")
        with forking(probe_process):
            self._children = [
                ProbeProcess(group, known.known(), self._posted.put, self._log) for group in in_groups(orders)
            ]
        self.until(lambda: self.beats() >= 8 and bool(self.seen("alert-log")) and self.states())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children:
            child.end()
        self._posted.put(None)
        self._pump.join()
        self._writer.__exit__(None, None, None)
        self._log.close()
        self.simulator.close()

    def _write(self) -> None:
        while (write := self._posted.get()) is not None:
            write(self._writer)
            self._writer.flush()

    def say(self, kind: str, **data: Any) -> None:
        self._posted.put(lambda writer: writer.event("recorder", kind, **data))

    def seen(self, kind: str) -> list[Any]:
        return [event for event in self.run.events() if event.kind == kind]

    def beats(self, probe: str = "sql") -> int:
        name = f"ora-{probe}-{self.sid}"
        return sum(sample.outcome == "answered" for sample in self.run.recent(name)) if name in self.run.probes() else 0

    def until(self, condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "it did not come to that"
            time.sleep(0.05)

    def states(self) -> bool:
        return self.site.databases[self.sid].way == "none" or f"ora-state-{self.sid}" in self.run.observed()

    def alerts(self) -> list[str]:
        name = f"ora-alert-{self.sid}"
        rows = self.run.observations(name) if name in self.run.observed() else []
        return ["\n".join(row["lines"]) for row in rows if "lines" in row]

    def tellable_s(self) -> float:
        """The shortest suspension that the run so far could separate from its own noise. The baseline here is a dozen
        beats: one that a busy machine delivers late makes it longer than a second.
        """
        told = [host.shortest_ns for host in self.analysed().hosts if host.shortest_ns is not None]
        return max(told, default=0) / 1e9

    def move(self, seconds: float = 1.2, *, during: Sequence[str] = (), after: Sequence[str] = ()) -> None:
        """Copy, suspend, resume: with what happens to the database before and after."""
        self.say("phase", phase="asked")
        self.until(lambda: len(self.seen("phase")) == 2)
        for deed in during:
            self.host.tell_oracle(deed)
        self.until(lambda: self.beats() >= 12)
        if self.is_to_be_told:
            seconds = max(seconds, 1.5 * self.tellable_s())
        self.host.suspend()
        time.sleep(seconds)
        self.host.resume()
        self.stood_s = seconds
        heard = self.beats()
        for deed in after:
            self.host.tell_oracle(deed)
        self.say("phase", phase="settled")
        # what is judged is what was heard after the resume, which a busy machine may deliver late
        self.until(lambda: self.beats() > heard + 1)

    def analysed(self) -> Analysis:
        """The analysis of the run, when the block is over."""
        return analyse(Run(self.run.path))


def tried_after(watched: Watched, probe: str, count: int) -> Callable[[], bool]:
    """A condition: this many more samples of a probe than now, whatever became of them."""
    name = f"ora-{probe}-{watched.sid}"
    before = max([sample.seq for sample in watched.run.recent(name)], default=0)
    return lambda: max([sample.seq for sample in watched.run.recent(name)], default=0) >= before + count
