"""Cost of `lpmkit check --all`: ``python -m benchmarks.estate [--round-trip MS] [--sample N] [--connections N]``.

The simulator's ``estate`` (two hundred partitions on eight frames under two consoles) runs in a process of its own,
and its traffic is delayed by half a round trip in each direction (`lpmkit.simulator.distance`), so connections and
logins cost what they cost over such a line. lpmkit is the command that a person types. Both share the host's cores.

For comparison, a sample of partitions is surveyed alone: in rounds, like ``lpmkit check``, and with one command for
each question over existing connections. The cost for all two hundred is computed from the questions counted and the
seconds of such a command. Commands take no time on the simulator; on real consoles both ways take longer by that
time. Writes ``benchmarks/results/estate.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from lpmkit.config import Site, load_site
from lpmkit.control.aix import AixShell
from lpmkit.control.base import Order
from lpmkit.control.hmc import machine_asked
from lpmkit.ssh.batching import BatchingSession
from lpmkit.ssh.client import SshSession, open_session
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Reply, Session
from lpmkit.survey.connect import control_of, vios_shells
from lpmkit.survey.gather import gather
from lpmkit.survey.model import Survey

RESULTS = Path(__file__).parent / "results"


@contextmanager
def simulated(folder: Path, round_trip_ms: float) -> Iterator[Path]:
    """The site file of a running estate."""
    command = [sys.executable, "-m", "lpmkit.simulator", "--landscape", "estate", "--directory", str(folder), "--json"]
    running = subprocess.Popen([*command, "--round-trip", str(round_trip_ms)], stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        yield Path(json.loads(running.stdout.readline())["site_file"])
    finally:
        running.terminate()
        running.wait(60)


def checked(site_file: Path, connections: int | None) -> dict[str, Any]:
    """``lpmkit check --all``, as a command."""
    if connections is not None:
        site_file.write_text(site_file.read_text() + f"connections: {{total: {connections}}}\n")
    command = [sys.executable, "-m", "lpmkit.cli", "--site", str(site_file), "check", "--all", "--json"]
    began = time.monotonic()
    reply = subprocess.run(
        command, stdout=subprocess.PIPE, check=False, text=True, env={**os.environ, "COLUMNS": "200"}
    )
    result: dict[str, Any] = json.loads(reply.stdout)
    return {**result, "whole command, s": time.monotonic() - began}


class OneByOne:
    """A session without batches."""

    def __init__(self, inner: SshSession) -> None:
        self._inner, self.where = inner, inner.where

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        """Run one command."""
        return self._inner.run(arguments, timeout_s=timeout_s, stdin=stdin)

    def close(self) -> None:
        """Close the session below."""
        self._inner.close()


def alone(site: Site, order: Order, *, batches: bool) -> tuple[Survey, dict[str, float]]:
    """One partition's survey and its cost; the connections exist before the measurement."""
    replies: list[Reply] = []
    with ExitStack() as stack:
        console, guest = (
            stack.enter_context(closing(open_session(site, settings, transcript=replies.append)))
            for settings in (site.frame(order.source), site.partitions[order.partition])
        )
        for session in (console, guest):
            session.run(["date"])
        replies.clear()
        before, began = console.round_trips + guest.round_trips, time.monotonic()
        manager: Session = BatchingSession(console, machine_of=machine_asked) if batches else OneByOne(console)
        source, target = (
            control_of(site, name, secrets=Secrets(), session=manager) for name in (order.source, order.target)
        )
        survey = gather(
            order,
            source,
            target,
            vios_shells(site.frame(order.source), manager),
            vios_shells(site.frame(order.target), manager),
            AixShell(guest if batches else OneByOne(guest)),
            rounds=(manager,) if isinstance(manager, BatchingSession) else (),
        )
        seconds = time.monotonic() - began
        trips = console.round_trips + guest.round_trips - before
    return survey, {"questions": len(replies), "round trips": trips, "seconds": round(seconds, 1)}


def orders(site: Site, nights: Sequence[Mapping[str, Any]], count: int) -> list[Order]:
    """The first partitions with a login, over as many frames as possible."""
    orders_made = []
    for index in range(count):
        night = nights[index % len(nights)]
        names = [
            partition["partition"] for partition in night["partitions"] if partition["partition"] in site.partitions
        ]
        system = str(site.frame(night["target"]).system)
        machine = system.removeprefix("Server-").replace("-SN", "*")
        orders_made.append(Order(names[index // len(nights)], night["source"], night["target"], machine, "", ""))
    return orders_made


def measured(folder: Path, round_trip_ms: float, sample: int, connections: int | None) -> dict[str, Any]:
    """Every figure of the benchmark."""
    with simulated(folder, round_trip_ms) as site_file:
        result = checked(site_file, connections)
        site, nights = load_site(site_file), result["frames"]
        partitions = [partition for night in nights for partition in night["partitions"]]
        serial, rounds = [], []
        for order in orders(site, nights, sample):
            rounds.append(alone(site, order, batches=True)[1])
            serial.append(alone(site, order, batches=False)[1])
    effort = result["effort"]
    each_command_s = sum(survey["seconds"] for survey in serial) / sum(survey["questions"] for survey in serial)
    questions_alone = statistics.mean(survey["questions"] for survey in serial)
    return {
        "partitions": len(partitions),
        "frames": len(nights),
        "logged in to": len([partition for partition in partitions if partition["partition"] in site.partitions]),
        "round trip of the line, ms": round_trip_ms,
        "answers": dict(Counter(partition["answer"] for partition in partitions)),
        "could not be asked": sum(len(night["silent"]) for night in nights),
        "in one pass": {
            "questions": effort["questions"],
            "questions for each partition": round(effort["questions"] / len(partitions), 1),
            "round trips": effort["round_trips"],
            "round trips for each partition": round(effort["round_trips"] / len(partitions), 2),
            "questions for each round trip": round(effort["questions"] / effort["round_trips"], 1),
            "connections": effort["connections"],
            "most connections at once": effort["most_at_once"],
            "seconds": round(effort["seconds"], 1),
            "whole command, s": round(result["whole command, s"], 1),
        },
        "sample: one partition alone, in rounds": rounds,
        "sample: one partition alone, one command for each question": serial,
        "one command for each question": {
            "seconds for each": round(each_command_s, 3),
            "common ones asked once: round trips": effort["questions"],
            "common ones asked once: hours": round(effort["questions"] * each_command_s / 3600, 2),
            "partition by partition: round trips": round(questions_alone * len(partitions)),
            "partition by partition: hours": round(questions_alone * len(partitions) * each_command_s / 3600, 2),
        },
    }


def page(figures: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    once, serial = figures["in one pass"], figures["one command for each question"]
    alone_rows = figures["sample: one partition alone, in rounds"]
    mean = {name: statistics.mean(row[name] for row in alone_rows) for name in ("round trips", "seconds")}
    answers = ", ".join(f"{count} {answer}" for answer, count in figures["answers"].items())
    rows = (
        (
            f"one pass, at most {once['most connections at once']} connections at once",
            once["round trips"],
            once["round trips for each partition"],
            f"{once['seconds']} s",
        ),
        (
            f"partition by partition, in rounds (from {len(alone_rows)})",
            f"{mean['round trips'] * figures['partitions']:.0f}",
            f"{mean['round trips']:.1f}",
            f"{mean['seconds'] * figures['partitions'] / 60:.0f} min",
        ),
        (
            "one command for each question, common ones once",
            serial["common ones asked once: round trips"],
            once["questions for each partition"],
            f"{serial['common ones asked once: hours'] * 60:.0f} min",
        ),
        (
            f"one command for each question, partition by partition (from {len(alone_rows)})",
            serial["partition by partition: round trips"],
            f"{serial['partition by partition: round trips'] / figures['partitions']:.0f}",
            f"{serial['partition by partition: hours']:.1f} h",
        ),
    )
    lines = [
        "# What `lpmkit check --all` costs",
        "",
        f"`python -m benchmarks.estate`: {figures['partitions']} partitions on {figures['frames']} frames,",
        f"{figures['logged in to']} of them logged in to, {figures['round trip of the line, ms']:g} ms away.",
        f"Answers: {answers}.",
        "",
        "| | round trips | for each partition | time |",
        "|---|---|---|---|",
        *(f"| {' | '.join(map(str, row))} |" for row in rows),
        "",
        "A round trip is a line of commands that is sent and waited for; over SSH that is two on the wire,",
        "one to open the channel.",
        f"The pass put {once['questions']} questions, {once['questions for each round trip']} in each of them, "
        f"over {once['connections']} connections that were made for it.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, write the results, and print them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estate", description=__doc__)
    parser.add_argument("--round-trip", dest="round_trip_ms", type=float, default=50.0, metavar="MS")
    parser.add_argument("--sample", type=int, default=3, help="partitions that are surveyed alone")
    parser.add_argument("--connections", type=int, help="the site file's connections.total")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lpmkit-estate-") as folder:
        figures = measured(Path(folder), options.round_trip_ms, options.sample, options.connections)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "estate.json").write_text(json.dumps(figures, indent=1) + "\n")
    (options.results / "estate.md").write_text(page(figures))
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
