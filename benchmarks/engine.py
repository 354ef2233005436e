"""Two jump hosts with one store while things die:
``python -m benchmarks.engine [--nights 40] [--seed 1] [--observed]``.

Each night the workers of two hosts carry out a plan each, at the same time; one partition is in both. At a random
instant a worker, a conductor or a recorder is killed (SIGKILL), the database is killed and started again, or the cable
between one host and the database is cut for a while. A worker that died is started again; everything else has to go on
by itself, until both plans are over.

Counted are the commands ``migrlpar -o m`` that the managers received, beside the intents on the disks. A night is bad
if a command came without an intent of its own or for a partition that was being moved, if more moves than the frames
and the link take were under way at once (by the managers' file, and by the events of both plans' moves), if a move did
not end in a state that is true, or if a plan did not go on.

With ``--observed`` the hosts share their folder of runs, and each watches the moves of the other. A recorder that dies
may then be that of a watch. A night is also bad if a watch had two recorders at once or went on after its move, or if
nothing says why a move was not watched.

The managers are a file (`tests.hosts`); workers, conductors, recorders, locks and PostgreSQL are real.
``benchmarks/results/engine.json`` keeps every night, ``engine.md`` the sums; of observed ones ``engine_observed``.
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
#: Seconds of the baseline before each move; longer where another host is to watch it too.
LEAD_IN_S, WATCHED_LEAD_IN_S = 0.2, 3.0
#: Seconds within which something dies, and for which a database or a cable is away.
WITHIN_S, AWAY_S = 4.0, 1.0
#: Seconds after which a night that is not over has failed.
PATIENCE_S = 180.0


class Night:
    """One night on two hosts."""

    def __init__(self, folder: Path, server: Cluster, name: str, *, observed: bool = False) -> None:
        self.observed = observed
        self.server, self.world = server, World(folder / "world.json")
        self.world.make(dict.fromkeys("".join(PLANS.values()), "a"))
        server.database(name)
        self.store = Store(StoreSettings(url=server.url(name)))
        self.store.migrate()
        prepare(self.store)
        self.cables = {host: Cable(server.port) for host in PLANS}
        self.hosts = {
            host: Host(
                host, folder, server.url(name, cable.port), self.world, "runs" if observed else "",
                WATCHED_LEAD_IN_S if observed else LEAD_IN_S,
            )
            for host, cable in self.cables.items()
        }  # fmt: skip
        self.plans = {
            host: create(
                self.hosts[host].runs / "plans",
                mode="plan",
                title=f"night on {host}",
                facts={
                    "person": acting_person().as_data(),
                    "plan": planned(
                        *({"partition": partition, "target": "b"} for partition in names),
                        on_failure="go-on",
                        observe_from=[other for other in PLANS if other != host] if observed else [],
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
            pids = sorted({pid for name in PLANS for pid in self.hosts[name].recorders()})
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
        """The results of the night; ``wrong`` names everything that must not be."""
        wrong = [] if is_over else ["a plan did not go on"]
        known = self.world.look()
        asked = Counter(command["partition"] for command in known["commands"])
        folders = {host.runs for host in self.hosts.values()}
        every = [Run(path.parent) for folder in folders for path in folder.glob("*/run.json")]
        runs = [run for run in every if run.manifest["mode"] == "move" and run.events()]
        intents = Counter(
            str(run.manifest["order"]["partition"])
            for run in runs
            for event in run.events()
            if event.kind == "intent" and event.data.get("what") == "migrate"
        )
        wrong += [f"{name}: more commands than intents" for name in asked if asked[name] > intents[name]]
        wrong += [f"{one['partition']}: {one['refused']}" for one in known["commands"] if one["refused"]]
        most = max(known["most"], most_at_once(runs))
        if most > AT_ONCE:
            wrong.append(f"{most} moves at once")
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
        told = {"commands": sum(asked.values()), "intents": sum(intents.values()), "arrived": len(moved)}
        return {**told, "at_once": most, **(self._watched(every, runs, wrong) if self.observed else {}), "wrong": wrong}

    def _watched(self, every: Sequence[Run], moves: Sequence[Run], wrong: list[str]) -> dict[str, int]:
        """The number of moves that were watched from the other host, and of those that are reported as not watched;
        adds to ``wrong``.
        """
        events = [event for plan in self.plans.values() for event in plan.events() if event.kind == "observed"]
        excused = {event.data["partition"] for event in events if event.data["why"]}
        watched, told = 0, 0
        for move in moves:
            partition = str(move.manifest["order"]["partition"])
            began = any(
                watch.events() for watch in every if (watch.manifest.get("belongs_to") or {}).get("run") == move.name
            )
            watched, told = watched + began, told + (partition in excused)
            if not began and partition not in excused:
                wrong.append(f"{move.name}: nothing says why it was not watched")
        for watch in every:
            kinds = [event for event in watch.events() if event.kind.startswith("recorder-")]
            pids = [event.data["pid"] for event in kinds if event.kind == "recorder-started"]
            if watch.manifest["mode"] == "watch" and (any(map(is_alive, pids)) or len(pids) != len(set(pids))):
                wrong.append(f"{watch.name}: it is watched on")
        return {"watched": watched, "told_of": told}

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


def most_at_once(runs: Sequence[Run]) -> int:
    """The most moves that were under way at one instant, from the intent to the phase that ends each, by their events:
    all of them leave one frame for one other, over one link.
    """
    turns: list[tuple[int, int]] = []
    for run in runs:
        begun = [event.mono_ns for event in run.events() if event.kind == "intent"]
        ends = [event.mono_ns for event in run.events() if event.kind == "phase" and event.data["phase"] in FINAL]
        if begun and ends:
            turns += [(begun[0], 1), (ends[0], -1)]
    count = most = 0
    for _, turn in sorted(turns):
        count += turn
        most = max(most, count)
    return most


def nights(server: Cluster, folder: Path, count: int, seed: int, *, observed: bool = False) -> list[dict[str, Any]]:
    """Nights with one death each, the victims in turn."""
    rng, rows = random.Random(seed), list[dict[str, Any]]()
    for number in range(count):
        place = folder / f"night{number}"
        place.mkdir()
        night = Night(place, server, f"night{number}", observed=observed)
        try:
            victim = VICTIMS[number % len(VICTIMS)]
            rows.append(night.carry_out([(rng.uniform(0.2, WITHIN_S), victim, rng.choice(tuple(PLANS)))]))
        finally:
            night.close()
        print(json.dumps(rows[-1]), flush=True)
    return rows


def table(rows: Sequence[dict[str, Any]], seed: int) -> str:
    """The sums as a page."""
    observed = any("watched" in row for row in rows)
    deaths = Counter(victim for row in rows for _, victim, _ in row["deaths"])
    lines = [
        "# Two jump hosts, one store",
        "",
        f"`python -m benchmarks.engine --nights {len(rows)} --seed {seed}{' --observed' * observed}`:",
        f"two plans at once, one partition in both{', each host watches the moves of the other' * observed}.",
        "",
        "| | |",
        "|---|---|",
        f"| nights, each with one death at a random instant | {len(rows)} ("
        f"{', '.join(f'{name} {count}' for name, count in sorted(deaths.items()))}) |",
        f"| commands `migrlpar -o m` | {sum(row['commands'] for row in rows)} |",
        f"| intents on the disks | {sum(row['intents'] for row in rows)} |",
        f"| partitions that arrived, of {len(rows) * len(set(''.join(PLANS.values())))} | "
        f"{sum(row['arrived'] for row in rows)} |",
        *(
            [
                f"| moves that the other host watched | {sum(row['watched'] for row in rows)} |",
                f"| moves that it did not watch for a while or at all, as the plan says | "
                f"{sum(row['told_of'] for row in rows)} |",
            ]
            if observed
            else []
        ),
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
    asked.add_argument("--observed", action="store_true", help="each host watches the moves of the other")
    given = asked.parse_args()
    if WHY_NOT:
        sys.exit(WHY_NOT)
    with tempfile.TemporaryDirectory(prefix="lpmkit-engine-") as folder, cluster() as server:
        rows = nights(server, Path(folder), given.nights, given.seed, observed=given.observed)
    name = "engine_observed" if given.observed else "engine"
    (given.results / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    (given.results / f"{name}.md").write_text(table(rows, given.seed))
    sys.exit(1 if any(row["wrong"] for row in rows) else 0)


if __name__ == "__main__":
    main()
