"""Cut the power at many points of a move: ``python -m benchmarks.power_cut [--points 100] [--seed 1] [--folder DIR]``.

One move is made against the simulator, with its recorder in this process. Whatever it syncs is noted
(`tests.durable_disk`). At each point, evenly spread over the move, and right after the command was sent, the folder of
runs is written again as a machine would find it after its power was cut: once with nothing that was not synced, once
with a part of it (torn lines, zeros, names that are missing or there). Of each of these

* every reader gives facts or an error of lpmkit;
* a recorder that carries on with it, against managers that show no migration, sends no command if one was sent before
  the cut: never two commands for one intent;
* no answer passes that does not pass in the whole run.

``benchmarks/results/power_cut.json`` keeps every point, ``power_cut.md`` the sums.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from lpmkit.account.person import acting_person
from lpmkit.analysis import analyse, summary
from lpmkit.config import RunSettings, Site
from lpmkit.control.base import Control, MigrationReading
from lpmkit.errors import LpmError
from lpmkit.migration.status import order_of, refused_ends, state
from lpmkit.prediction.history import history
from lpmkit.recorder import monitor, process
from lpmkit.recorder.monitor import MigrationMonitor
from lpmkit.rehearsal import Rehearsal
from lpmkit.runbook import Runbook
from lpmkit.runs.approvals import approvals
from lpmkit.runs.folder import Run
from lpmkit.runs.refusals import refused_accounts
from lpmkit.runs.remarks import remarks
from lpmkit.ssh.secrets import Secrets
from lpmkit.survey.machine_logs import Logs
from lpmkit.timeline import Clock
from tests.durable_disk import DurableDisk, Kept
from tests.scripted_moves import AT_HOME, GONE, THERE, NoProbes, OneManager

RESULTS = Path(__file__).parent / "results"
PARTITION, TARGET = "bxaix85", "bvio83"


@dataclass(frozen=True)
class Cut:
    """The folder of runs after a power cut, and how many commands to move had been sent before it."""

    runs: Path
    kept: Kept
    sent: int


@dataclass
class Found:
    """The result of a cut. ``faults`` are errors of a reader that are none of lpmkit's."""

    kept: str
    sent_before: int
    sent_after: int = 0
    knows_intent: bool = False
    faults: list[str] = field(default_factory=list)
    better: list[str] = field(default_factory=list)

    @property
    def is_bad(self) -> bool:
        return self.sent_before + self.sent_after > 1 or bool(self.faults or self.better)


def taken(disk: DurableDisk, runs: Path, to: Path, sent: int, dice: random.Random) -> list[Cut]:
    """The folder of runs as two disks would have it now."""
    return [
        Cut(disk.copy(runs, to / kept.value, kept, dice), kept, sent)  # by what was sent: read before the disk is
        for kept in (Kept.SYNCED, Kept.TORN)
    ]


def readers(run: Run) -> dict[str, Callable[[], object]]:
    """Every reader of a run folder."""
    site = Site.model_validate({"runs": {"folder": str(run.path.parent), "approvals": 1}})
    book = Runbook(site)
    return {
        "events": run.events,
        "transcript": run.transcript,
        "documents": lambda: [run.document(path.stem) for path in run.path.glob("*.json")],
        "observations": lambda: [run.observations(probe) for probe in run.observed()],
        "state": lambda: state(run),
        "order": lambda: order_of(run),
        "refused logins": lambda: (refused_ends(run), refused_accounts(run)),
        "validation": lambda: book.validation_before(run),
        "remarks": lambda: remarks(run.path),
        "approvals": lambda: approvals(run, site.runs, acting_person(), Clock()),
        "runs": book.runs,
        "history": lambda: history(run.path.parent),
        "analysis": lambda: summary(analyse(run)),
    }


def passed(run: Run) -> set[str]:
    """The questions that pass."""
    return {question.key for question in analyse(run).verdict.questions if question.state == "passed"}


def examine(cut: Cut, name: str, whole: set[str]) -> Found:
    """Read what a cut left of a run, and carry on with it. ``whole`` are the questions that passed without a cut."""
    found = Found(cut.kept.value, cut.sent)
    try:
        run = Run(cut.runs / name)
    except LpmError:
        return found  # not even prepared
    for reader, read in readers(run).items():
        try:
            read()
        except LpmError:
            continue
        except Exception as fault:  # noqa: BLE001 - what is looked for
            found.faults.append(f"{reader}: {type(fault).__name__}: {fault}")
    found.knows_intent = any(event.kind == "intent" for event in run.events())
    found.better = sorted(passed(run) - whole)
    found.sent_after = carried_on(run)
    return found


class Unmoved(OneManager):
    """A manager that shows no migration until it is sent a command."""

    def __init__(self, frame: str, source: str, sent: list[str]) -> None:
        self.frame_name, self._is_source, self._sent = frame, frame == source, sent

    def migrate(self, order: Any) -> Any:
        """Count the command."""
        self._sent.append("m")
        return self._reply(0)

    def migration(self, partition: str) -> MigrationReading:
        """At home before a command, on the target after it."""
        if self._is_source:
            return GONE if self._sent else AT_HOME
        return THERE if self._sent else GONE


def carried_on(run: Run) -> int:
    """The commands that a recorder sends that carries on with a folder while the managers show no migration."""
    sent: list[str] = []
    facts = {**run.manifest, "lead_in_s": 0.0, "tail_s": 0.0, "poll_s": 0.005}
    (run.path / "run.json").write_text(json.dumps(facts))
    source = order_of(run).source

    def control(_site: object, frame: str, **_: object) -> Control:
        return cast(Control, Unmoved(frame, source, sent))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "MigrationMonitor", lambda *given: MigrationMonitor(*given, control=control))
        for name in ("_survey_after", "_tell_logs"):
            patch.setattr(process.Recorder, name, lambda *_: None)
        patch.setattr(process, "logs_of", lambda *_: Logs((), ()))
        patch.setattr(process, "ProbeProcess", NoProbes)
        patch.setattr(monitor, "NO_REPLY_S", 0.05)
        try:
            process.Recorder(Run(run.path), Secrets(), {"site": Site().as_data(), "probes": []}).record()
        except LpmError:
            pass  # it refused the folder, and so sent nothing more
    return len(sent)


class Campaign:
    """A move whose disk is copied again and again."""

    def __init__(self, folder: Path, rehearsal: Rehearsal, points: int, seed: int) -> None:
        self.folder, self.rehearsal = folder, rehearsal
        self.runs = folder / "runs"
        settings = RunSettings(folder=self.runs, lead_in_s=4.0, tail_s=4.0, poll_s=0.5)
        site = rehearsal.site.model_copy(update={"runs": settings, "sap_systems": {}, "databases": {}})
        self.book = Runbook(site)
        self.dice = random.Random(seed)
        self.points = points
        self.cuts: list[Cut] = []
        self.disk = DurableDisk(self.runs)
        self._over = threading.Event()

    def commands(self) -> int:
        """The commands to move that the simulator has received."""
        lines = [json.loads(line) for line in self.rehearsal.truth.read_text().splitlines()]
        return sum(line["event"] == "command" and "-o m" in line["text"] for line in lines)

    def cut(self) -> None:
        """Copy the disk as it is now."""
        sent = self.commands()
        self.cuts += taken(self.disk, self.runs, self.folder / f"cut-{len(self.cuts) // 2}", sent, self.dice)

    def _cut_until_over(self, lasts_s: float) -> None:
        while not self._over.wait(lasts_s / self.points):
            self.cut()

    def move(self, lasts_s: float) -> Run:
        """Make the move; the power is cut at so many points as if it lasted ``lasts_s``."""
        self.runs.mkdir(parents=True)
        with pytest.MonkeyPatch.context() as patch:
            self.disk.install(patch)
            cutter = threading.Thread(target=self._cut_until_over, args=(lasts_s,))
            cutter.start()
            try:
                run = self.book.prepare(self.book.order(PARTITION, TARGET))
                self.book.validate(run)
                charge = self.book.charge(self.book.own_probes(run))
                process.Recorder(run, self.book.secrets, charge).record()
            finally:
                self._over.set()
                cutter.join()
            self.cut()
        return run


def table(rows: Sequence[Found], syncs: int, seed: int) -> str:
    """The sums as a page."""
    kinds = Counter(row.kept for row in rows)
    after = [row for row in rows if row.sent_before]
    lines = [
        "# Power cuts",
        "",
        f"`python -m benchmarks.power_cut --points {len(rows) // 2} --seed {seed}`,",
        "against the simulator (js22, copy sped up).",
        "",
        "| | |",
        "|---|---|",
        f"| points of one move | {len(rows) // 2}, {len(after) // 2} of them after its command was sent |",
        f"| disks read again | {len(rows)} ({', '.join(f'{count} {name}' for name, count in sorted(kinds.items()))}) |",
        f"| syncs of the move | {syncs} |",
        f"| two commands for one intent | {sum(row.sent_before + row.sent_after > 1 for row in rows)} |",
        f"| a command was sent and the record does not know it | {sum(not row.knows_intent for row in after)} |",
        f"| readers that failed with an error that is none of lpmkit's | {sum(len(row.faults) for row in rows)} |",
        f"| answers that pass only after the cut | {sum(len(row.better) for row in rows)} |",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Make the move, examine every cut, and keep the results."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--points", type=int, default=100)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--folder", type=Path)
    asked.add_argument("--speed", type=float, default=60.0)
    asked.add_argument("--lasts", type=float, default=13.0, help="seconds that the move takes, about")
    given = asked.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="lpmkit-power-cut-"))
    with Rehearsal(folder / "simulator", speed=given.speed) as rehearsal:
        campaign = Campaign(folder, rehearsal, given.points, given.seed)
        run = campaign.move(given.lasts)
    whole = passed(run)
    rows = []
    for number, cut in enumerate(campaign.cuts):
        rows.append(examine(cut, run.name, whole))
        shutil.rmtree(cut.runs)
        if rows[-1].is_bad:
            print(number, json.dumps(asdict(rows[-1])), flush=True)
    (RESULTS / "power_cut.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    (RESULTS / "power_cut.md").write_text(table(rows, campaign.disk.syncs, given.seed))
    print(table(rows, campaign.disk.syncs, given.seed))
    sys.exit(1 if any(row.is_bad for row in rows) else 0)


if __name__ == "__main__":
    main()
