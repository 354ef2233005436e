"""Two jump hosts with one store while things die: ``python -m benchmarks.engine [--nights 40] [--seed 1]``.

Each night the workers of two hosts carry out a plan each, at the same time; one partition is in both. At a random
instant a worker, a conductor or a recorder is killed (SIGKILL), the database is killed and started again, or the cable
between one host and the database is cut for a while. A worker that died is started again; everything else has to go on
by itself, until both plans are over.

Counted are the commands ``migrlpar -o m`` that the managers received, beside the intents on the disks. A night is bad
if a command came without an intent of its own or for a partition that was being moved, if more moves than the frames
take were under way at once, if a move did not end in a state that is true, or if a plan did not go on.

The managers are a file (`tests.hosts`); workers, conductors, recorders, locks and PostgreSQL are real.
``benchmarks/results/engine.json`` keeps every night, ``engine.md`` the sums.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lpmkit.account.person import acting_person
from lpmkit.config import StoreSettings
from lpmkit.migration.phases import FINAL
from lpmkit.plan.engine import hand_over, prepare
from lpmkit.plan.schedule import OVER
from lpmkit.plan.status import plan_status
from lpmkit.recorder.shared_intent import settled
from lpmkit.runs.folder import Run, create
from lpmkit.store.database import Store
from lpmkit.store.moves import open_intents, reservations_held
from lpmkit.timeline import Clock, wait_until
from tests.hosts import AT_ONCE, Host, World, is_alive, kill
from tests.postgresql import WHY_NOT, Cable, Cluster, cluster
from tests.scripted_machines import planned

RESULTS = Path(__file__).parent / "results"
VICTIMS = ("worker", "conductor", "recorder", "database", "cable")
#: The plans of both hosts: one partition is in both.
PLANS = {"jump1": "pqr", "jump2": "pst"}
#: Seconds within which something dies, and for which a database or a cable is away.
WITHIN_S, AWAY_S = 4.0, 1.0
#: Seconds after which a night that is not over has failed.
PATIENCE_S = 180.0


class Night:
    """One night on two hosts."""

    def __init__(self, folder: Path, server: Cluster, name: str) -> None:
        self.server, self.world = server, World(folder / "world.json")
        self.world.make(dict.fromkeys("".join(PLANS.values()), "a"))
        server.database(name)
        self.store = Store(StoreSettings(url=server.url(name)))
        self.store.migrate()
        prepare(self.store)
        self.cables = {host: Cable(server.port) for host in PLANS}
        self.hosts = {
            host: Host(host, folder, server.url(name, cable.port), self.world) for host, cable in self.cables.items()
        }
        self.plans = {
            host: create(
                self.hosts[host].runs / "plans",
                mode="plan",
                title=f"night on {host}",
                facts={
                    "person": acting_person().as_data(),
                    "plan": planned(
                        *({"partition": partition, "target": "b"} for partition in names), on_failure="go-on"
                    ).as_data(),
                },
            )
            for host, names in PLANS.items()
        }
        self.workers: dict[str, int] = {}

    def carry_out(self, deaths: Sequence[tuple[float, str, str]]) -> dict[str, Any]:
        """Begin both plans, let victims of hosts die after so many seconds, and go on until both plans are over; the
        night's row.
        """
        began, due = time.monotonic(), sorted(deaths)
        for name, plan in self.plans.items():
            hand_over(self.store, name, plan.name)
            self.workers[name] = self.hosts[name].work()

        def goes_on() -> bool:
            """Let who is due die, replace who died; true once both plans are over."""
            while due and time.monotonic() - began >= due[0][0] and self._die(*due[0][1:]):
                due.pop(0)
            return self._replace() and not due

        is_over = wait_until(goes_on, clock=Clock(), timeout_s=PATIENCE_S, every_s=0.05)
        return {
            "deaths": [[round(at_s, 2), victim, host] for at_s, victim, host in sorted(deaths)],
            "lasted_s": round(time.monotonic() - began, 1), **self._judged(is_over),
        }  # fmt: skip

    def _die(self, victim: str, host: str) -> bool:
        """Let the victim die; false while there is none."""
        if victim == "worker":
            kill(self.workers[host])
        elif victim == "conductor":
            started = self.plans[host].last_event("conductor-started")
            if started is None:
                return False
            kill(int(started.data["pid"]))
        elif victim == "recorder":
            pids = [pid for name in PLANS for pid in self.hosts[name].recorders()]
            if not pids:
                return self._is_over("jump1") and self._is_over("jump2")
            kill(pids[-1])
        elif victim == "database":
            self.server.kill()
            time.sleep(AWAY_S)
            self.server.start()
        else:
            self.cables[host].cut()
            time.sleep(2 * AWAY_S)
            self.cables[host].mend()
        return True

    def _is_over(self, host: str) -> bool:
        return plan_status(self.plans[host]).ended is not None

    def _replace(self) -> bool:
        """Start workers in the place of those that died; true once both plans are over."""
        for name, pid in self.workers.items():
            if not is_alive(pid):
                self.workers[name] = self.hosts[name].work()
        return all(map(self._is_over, PLANS)) and not any(host.recorders() for host in self.hosts.values())

    def _judged(self, is_over: bool) -> dict[str, Any]:
        """What came of the night; ``wrong`` names everything that must not be."""
        wrong = [] if is_over else ["a plan did not go on"]
        known = self.world.look()
        asked = Counter(command["partition"] for command in known["commands"])
        runs = [Run(path.parent) for host in self.hosts.values() for path in host.runs.glob("*/events.jsonl")]
        intents = Counter(
            str(run.manifest["order"]["partition"])
            for run in runs
            for event in run.events()
            if event.kind == "intent" and event.data.get("what") == "migrate"
        )
        wrong += [f"{name}: more commands than intents" for name in asked if asked[name] > intents[name]]
        wrong += [f"{one['partition']}: {one['refused']}" for one in known["commands"] if one["refused"]]
        if known["most"] > AT_ONCE:
            wrong.append(f"{known['most']} moves at once")
        settled_here = set()
        for run in runs:
            last = run.last_event("phase")
            phase = str(last.data["phase"]) if last is not None else ""
            if phase not in FINAL and any(event.kind == "intent" for event in run.events()):
                wrong.append(f"{run.name}: it ended as {phase or 'nothing'}")
            if phase == "settled":
                settled_here.add(str(run.manifest["order"]["partition"]))
        moved = {name for name, frame in known["on"].items() if frame == "b"}
        if settled_here != moved:
            wrong.append(f"recorded as moved {sorted(settled_here)}, moved {sorted(moved)}")
        stages = {host: plan_status(plan).stages for host, plan in self.plans.items()}
        wrong += [
            f"{name} is {stage} on {host}"
            for host, moves in stages.items()
            for name, stage in moves.items()
            if stage not in OVER
        ]
        left = [intent.run for intent in open_intents(self.store) if not settled(self.store, intent)]
        held = [claim.partition for claim in reservations_held(self.store)]
        wrong += [f"the store has no end of {run}" for run in left] + [f"room is held for {name}" for name in held]
        return {
            "commands": sum(asked.values()), "intents": sum(intents.values()), "arrived": len(moved), "wrong": wrong,
        }  # fmt: skip

    def close(self) -> None:
        """End the hosts and their cables."""
        started = (plan.last_event("conductor-started") for plan in self.plans.values())
        conductors = [int(event.data["pid"]) for event in started if event is not None]
        recorders = [pid for host in self.hosts.values() for pid in host.recorders()]
        for pid in (*self.workers.values(), *conductors, *recorders):
            kill(pid)
        for host in self.hosts.values():
            host.close()
        for cable in self.cables.values():
            cable.close()


def nights(server: Cluster, folder: Path, count: int, seed: int) -> list[dict[str, Any]]:
    """Nights with one death each, the victims in turn."""
    rng, rows = random.Random(seed), list[dict[str, Any]]()
    for number in range(count):
        place = folder / f"night{number}"
        place.mkdir()
        night = Night(place, server, f"night{number}")
        try:
            victim = VICTIMS[number % len(VICTIMS)]
            rows.append(night.carry_out([(rng.uniform(0.2, WITHIN_S), victim, rng.choice(tuple(PLANS)))]))
        finally:
            night.close()
        print(json.dumps(rows[-1]), flush=True)
    return rows


def table(rows: Sequence[dict[str, Any]], seed: int) -> str:
    """The sums as a page."""
    deaths = Counter(victim for row in rows for _, victim, _ in row["deaths"])
    lines = [
        "# Two jump hosts, one store",
        "",
        f"`python -m benchmarks.engine --nights {len(rows)} --seed {seed}`: two plans at once, one partition in both.",
        "",
        "| | |",
        "|---|---|",
        f"| nights, each with one death at a random instant | {len(rows)} ("
        f"{', '.join(f'{name} {count}' for name, count in sorted(deaths.items()))}) |",
        f"| commands `migrlpar -o m` | {sum(row['commands'] for row in rows)} |",
        f"| intents on the disks | {sum(row['intents'] for row in rows)} |",
        f"| partitions that arrived, of {len(rows) * len(set(''.join(PLANS.values())))} | "
        f"{sum(row['arrived'] for row in rows)} |",
        f"| nights in which something was wrong | {sum(bool(row['wrong']) for row in rows)} |",
        f"| longest night, s | {max(row['lasted_s'] for row in rows)} |",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run the nights and keep their results."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    asked.add_argument("--nights", type=int, default=40)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--results", type=Path, default=RESULTS)
    given = asked.parse_args()
    if WHY_NOT:
        sys.exit(WHY_NOT)
    with tempfile.TemporaryDirectory(prefix="lpmkit-engine-") as folder, cluster() as server:
        rows = nights(server, Path(folder), given.nights, given.seed)
    (given.results / "engine.json").write_text(json.dumps(rows, indent=1) + "\n")
    (given.results / "engine.md").write_text(table(rows, given.seed))
    sys.exit(1 if any(row["wrong"] for row in rows) else 0)


if __name__ == "__main__":
    main()
