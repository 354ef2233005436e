"""Kill what takes part in a move at random moments:
``python -m benchmarks.kills --moves 60 [--seed 1] [--folder DIR]``.

Each move is asked for at the command line against the simulator (every third as a plan of one move). At a random moment
one of its processes is killed (SIGKILL): the recorder, a probes' process, the observer's own ticker, the front end, or
the conductor. Then the run is attached to, as an operator would, until it is over. Counted are the commands
``migrlpar -o m`` that the simulator received, in its own log, beside the intents in the record; and whether the verdict
says more than what was seen.

``benchmarks/results/kills.json`` keeps every move, ``kills.md`` the sums.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lpmkit.analysis import analyse
from lpmkit.config import RunSettings
from lpmkit.recorder.monitor import NO_REPLY_S
from lpmkit.rehearsal import Rehearsal
from lpmkit.runs.folder import Run
from lpmkit.timeline import Clock, wait_until

RESULTS = Path(__file__).parent / "results"
PARTITION, FRAMES = "bxaix85", ("bvio82", "bvio83")
VICTIMS = ("recorder", "probes", "ticker", "front end")
#: Seconds within which a process is killed, from its begin: baseline, copy, suspension and most of the post-migration
#: window.
WITHIN_S = 13.0
#: A run whose command was killed on its way is waited for as long as the command may still begin a migration.
ATTACHED_S = NO_REPLY_S + 240.0
#: A watcher that dies so shortly before the recorder ends has looked until the end.
ENDING_S = 0.6


def children(pid: int) -> list[int]:
    """The child processes of a process, oldest first."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def is_mine(pid: int) -> bool:
    """Tell whether a process is one of lpmkit's."""
    try:
        return b"lpmkit" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def started(folder: Path, kind: str, key: str) -> int | None:
    """The process id that the newest event of a kind names."""
    events = [event for event in Run(folder).events() if event.kind == kind] if (folder / "run.json").exists() else []
    return int(events[-1].data[key]) if events else None


class Campaign:
    """Moves of one partition to and fro, each with one kill."""

    def __init__(self, folder: Path, site: Path, truth: Path, runs: Path, seed: int) -> None:
        self.folder, self.site, self.truth, self.runs = folder, site, truth, runs
        self.rng = random.Random(seed)
        self.environment = {**os.environ, "LPMKIT_SITE": str(site), "COLUMNS": "200"}

    def lpmkit(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command of lpmkit."""
        log = (self.folder / "commands.log").open("ab")
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", "lpmkit.cli", *words],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self.environment,
            )

    def commands(self) -> int:
        """The commands to move that the simulator has received."""
        lines = [json.loads(line) for line in self.truth.read_text().splitlines()]
        return sum(line["event"] == "command" and "-o m" in line["text"] for line in lines)

    def begun(self, pattern: str = "*") -> list[Path]:
        """The run folders with events, sorted; a folder that is only prepared belongs to whichever move begins it."""
        return sorted(path.parent for path in self.runs.glob(f"{pattern}/events.jsonl") if path.stat().st_size)

    def newest(self, before: set[str]) -> list[Path]:
        """The run folders that have begun since."""
        return [path for path in self.begun() if path.name not in before]

    def plan_folder(self, before: set[str]) -> Path | None:
        """The folder of the plan that has begun since, if one has."""
        found = [path for path in self.begun("plans/*") if path.name not in before]
        return found[-1] if found else None

    def one(self, number: int, home: int) -> dict[str, Any]:
        """One move with one kill; its row."""
        as_plan = number % 3 == 2
        victim = self.rng.choice((*VICTIMS, "conductor") if as_plan else VICTIMS)
        delay_s = self.rng.uniform(0.2, WITHIN_S)
        target = FRAMES[1 - home]
        before = {path.name for path in (*self.begun(), *self.begun("plans/*"))}
        sent = self.commands()
        if as_plan:
            title = f"kill {number}"
            plan = self.folder / f"plan-{number}.yaml"
            plan.write_text(json.dumps({"title": title, "moves": [{"partition": PARTITION, "target": target}]}))
            front = self.lpmkit("plan", "run", str(plan), "--confirm", title)
        else:
            self.lpmkit("validate", PARTITION, "--to", target).wait()
            front = self.lpmkit("move", PARTITION, "--to", target, "--confirm", PARTITION)
        self.wait_for(victim, before)
        time.sleep(delay_s)
        killed = self.kill(victim, front, before)
        self.carry_on(front, before)
        made = [Run(path) for path in self.newest(before)]
        intents = sum(e.kind == "intent" and e.data.get("what") == "migrate" for run in made for e in run.events())
        rows = [self.judged(run, victim, killed) for run in made if any(e.kind == "intent" for e in run.events())]
        return {
            "move": number,
            "as": "plan" if as_plan else "move",
            "victim": victim,
            "after_s": round(delay_s, 2),
            "killed": killed,
            "commands": self.commands() - sent,
            "intents": intents,
            "runs": rows,
        }

    def wait_for(self, victim: str, before: set[str]) -> None:
        """Wait until the victim has begun; the front end has."""

        def has_begun() -> bool:
            if victim == "conductor":
                folder = self.plan_folder(before)
                return folder is not None and started(folder, "conductor-started", "pid") is not None
            return bool(self.newest(before))

        if victim != "front end":
            wait_until(has_begun, clock=Clock(), timeout_s=120.0)

    def kill(self, victim: str, front: subprocess.Popen[bytes], before: set[str]) -> bool:
        """Kill the victim, if it is there; whether it was."""
        runs = self.newest(before)
        recorder = started(runs[-1], "recorder-started", "pid") if runs else None
        if victim == "front end":
            pid: int | None = front.pid if front.poll() is None else None
        elif victim == "conductor":
            folder = self.plan_folder(before)
            pid = started(folder, "conductor-started", "pid") if folder else None
        elif victim == "recorder":
            pid = recorder
        else:
            found = children(recorder) if recorder else []
            pid = (found[-1] if victim == "ticker" else found[0]) if found else None
        if pid is None or not is_mine(pid):
            return False
        os.kill(pid, signal.SIGKILL)
        return True

    def carry_on(self, front: subprocess.Popen[bytes], before: set[str]) -> None:
        """Attach, as an operator would, until nothing is recorded any more."""
        front.wait(180)
        folder = self.plan_folder(before)
        if folder is not None:
            self.lpmkit("plan", "attach", str(folder)).wait(ATTACHED_S)
        for path in self.newest(before):
            self.lpmkit("attach", str(path)).wait(ATTACHED_S)
        wait_until(
            lambda: not any(Run(path).is_recorded() for path in self.newest(before)), clock=Clock(), timeout_s=60
        )

    def judged(self, run: Run, victim: str, killed: bool) -> dict[str, Any]:
        """The verdict of a run, and whether it claims a complete observation although a watcher was killed."""
        states = {question.key: question.state.value for question in analyse(run).verdict.questions}
        events = run.events()
        # In the last moment the probes are ending anyway.
        until = events[-1].mono_ns - int(ENDING_S * 1e9)
        died = [e for e in events if e.kind == "probe-trouble" and "ended by itself" in str(e.data.get("what"))]
        starts = sum(event.kind == "recorder-started" for event in events)
        watchers_died = starts > 1 or any(event.mono_ns < until for event in died)
        return {
            "run": run.name,
            "moved": states["moved"],
            "complete": states["complete"],
            "watchers_died": watchers_died,
            "too_good": watchers_died and states["complete"] == "passed",
        }


def table(rows: Sequence[dict[str, Any]], seed: int) -> str:
    """The sums as a page."""
    kills = Counter(row["victim"] for row in rows if row["killed"])
    twice = [row["move"] for row in rows if row["commands"] > 1 or row["commands"] > row["intents"]]
    good = [run["run"] for row in rows for run in row["runs"] if run["too_good"]]
    lines = [
        "# Kills",
        "",
        f"`python -m benchmarks.kills --moves {len(rows)} --seed {seed}`, against the simulator (js22, copy sped up).",
        "",
        "| | |",
        "|---|---|",
        f"| moves | {len(rows)}, {sum(row['as'] == 'plan' for row in rows)} of them as a plan |",
        (
            f"| kills delivered | {sum(kills.values())} "
            f"({', '.join(f'{name} {count}' for name, count in sorted(kills.items()))}) |"
        ),
        f"| commands `migrlpar -o m` | {sum(row['commands'] for row in rows)} |",
        f"| intents in the record | {sum(row['intents'] for row in rows)} |",
        f"| moves with more than one command, or with one that the record does not know | {len(twice)} |",
        f"| verdicts that claim a complete observation though a watcher was killed | {len(good)} |",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run the campaign and keep its results."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--moves", type=int, default=60)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--folder", type=Path)
    asked.add_argument("--speed", type=float, default=60.0)
    given = asked.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="lpmkit-kills-"))
    rows: list[dict[str, Any]] = []
    with Rehearsal(folder / "simulator", speed=given.speed) as rehearsal:
        runs = RunSettings(folder=folder / "runs", lead_in_s=4.0, tail_s=4.0, poll_s=0.5)
        site = folder / "simulator" / "kills.yaml"
        data = rehearsal.site.model_copy(update={"runs": runs, "sap_systems": {}, "databases": {}}).as_data()
        site.write_text(json.dumps(data))
        campaign = Campaign(folder, site, rehearsal.truth, folder / "runs", given.seed)
        home = 0
        for number in range(given.moves):
            row = campaign.one(number, home)
            rows.append(row)
            print(json.dumps(row), flush=True)
            if any(run["moved"] == "passed" for run in row["runs"]):
                home = 1 - home
            (RESULTS / "kills.json").write_text(json.dumps(rows, indent=1) + "\n")
            (RESULTS / "kills.md").write_text(table(rows, given.seed))
    bad = [
        row
        for row in rows
        if row["commands"] > 1 or row["commands"] > row["intents"] or any(run["too_good"] for run in row["runs"])
    ]
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
