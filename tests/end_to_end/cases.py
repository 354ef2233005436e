"""The command line against the simulator, as a person at a terminal has it."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pypdf

from lpmkit import rehearsal
from lpmkit.rehearsal import Rehearsal
from lpmkit.runs.folder import Run
from lpmkit.timeline import Clock, wait_until
from tests.forked import Command, forking

#: The copy at this speed takes a few seconds; the suspension is never shortened.
SPEED = 25.0


@dataclass(frozen=True)
class Said:
    """The output of a command, and its exit status."""

    status: int
    output: str
    error: str

    @property
    def json(self) -> Any:
        """The answer for programs: the last JSON value on standard output."""
        start = 0 if self.output.startswith(("{", "[")) else max(self.output.find("\n{"), self.output.find("\n["))
        return json.loads(self.output[start:])


class Hold:
    """Holds every copy half way until it is let go: what is done in mid-copy is done in time on a machine however
    slow.
    """

    def __init__(self, folder: Path) -> None:
        self._go_on = folder / "copy-may-go-on"
        self.fault = f"copy-waits:{self._go_on}"

    def let_go(self) -> None:
        self._go_on.touch()


class Terminal:
    """Types lpmkit's commands for one site."""

    def __init__(self, site_file: Path, environment: dict[str, str] | None = None) -> None:
        self.site_file = site_file
        self._environment = {**os.environ, "LPMKIT_SITE": str(site_file), "COLUMNS": "200", **(environment or {})}

    def start(self, *arguments: str) -> Command:
        return Command(arguments, self._environment)

    def type(self, *arguments: str) -> Said:
        return self.answered(self.start(*arguments))

    def answered(self, child: Command) -> Said:
        """The last words of a command that was started."""
        output, error = child.communicate(timeout=400)
        assert child.returncode is not None
        return Said(child.returncode, output, error)

    def runs(self) -> list[Run]:
        return [Run(path.parent) for path in sorted((self.site_file.parent / "runs").glob("*/run.json"))]

    def validated(self) -> Run:
        """Ready to move: the firmware has accepted the order."""
        said = self.type("validate", "bxaix85", "--to", "bvio83", "--json")
        assert said.status == 0, said
        return Run(said.json["run"])


def rehearse(folder: Path, *faults: str, speed: float = SPEED, landscape: str = "js22") -> Rehearsal:
    """The simulator, with faults."""
    options = ["--landscape", landscape, *(word for fault in faults for word in ("--fault", fault))]
    with forking(rehearsal):
        return Rehearsal(folder, speed=speed, options=options)


def soon(condition: Any, timeout_s: float = 200.0) -> None:
    assert wait_until(condition, clock=Clock(), timeout_s=timeout_s, every_s=0.05)


def assert_moved(summary: dict[str, Any]) -> None:
    """It moved, nothing was restarted and nothing failed.

    What a machine this slow did not look at, or forgot, is not evaluated.
    """
    rows = {row["key"]: row for row in summary["verdict"]["questions"]}
    failed = [row for row in rows.values() if row["state"] == "failed"]
    open_still = [rows[key] for key in ("moved", "restarted") if rows[key]["state"] != "passed"]
    assert not failed + open_still, json.dumps(failed + open_still, indent=1)


def phases(run: Run) -> list[str]:
    return [event.data["phase"] for event in run.events() if event.kind == "phase"]


def kinds(run: Run) -> list[str]:
    return [event.kind for event in run.events()]


def is_watched(run: Run, *probes: str) -> bool:
    """Each of these probes has told something: what comes now is not missed, however slow the machine is."""
    sampled = run.probes()
    if not set(probes) <= {*sampled, *run.observed()}:
        return False
    return all(len(run.recent(probe)) >= 3 for probe in probes if probe in sampled)


def recorder_pid(run: Run) -> int:
    return int(next(event.data["pid"] for event in reversed(run.events()) if event.kind == "recorder-started"))


def times_asked(run: Run) -> int:
    """The number of times that the managers were really asked to migrate."""
    return sum("migrlpar -o m" in reply.command for reply in run.transcript())


def truth(rehearsal: Rehearsal) -> dict[str, dict[str, Any]]:
    """The true course of the last move, by event."""
    return {row["event"]: row for row in map(json.loads, rehearsal.truth.read_text().splitlines())}


#: How much earlier than it is stopped a partition may stand still, and later than it is resumed, where a machine runs
#: more than it can. What is proved is held exactly; benchmarks.accuracy measures what is likely.
STARVED_NS = 250_000_000


def assert_contains_the_truth(summary: dict[str, Any], really: dict[str, dict[str, Any]]) -> None:
    """The proved bounds hold the real stop and resume, the likely ones up to what a starved machine adds, and the
    answer is no truism.
    """
    found = summary["suspension"]
    stopped, resumed = really["suspended"], really["resumed"]
    begin, end = ([found[edge][name]["mono_ns"] for name in ("earliest", "latest")] for edge in ("begin", "end"))
    assert begin[0] <= stopped["mono_ns_after"], (found, really)
    assert end[1] >= resumed["mono_ns_before"], (found, really)
    assert begin[1] >= stopped["mono_ns_before"] - STARVED_NS, (found, really)
    assert end[0] <= resumed["mono_ns_after"] + STARVED_NS, (found, really)
    shortest = (resumed["mono_ns_before"] - stopped["mono_ns_after"]) / 1e9
    longest = (resumed["mono_ns_after"] - stopped["mono_ns_before"]) / 1e9
    assert found["length"]["high"] >= shortest
    assert found["length"]["low"] <= longest + 2 * STARVED_NS / 1e9


def files_with(folder: Path, text: str) -> Sequence[str]:
    """The files that hold a text, also inside of archives (a ZIP, a Word file), as a PDF's text, or packed into
    Parquet.
    """
    found: list[str] = []
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue  # of a kernel that has just ended
        found += [where for where, inside in _inside(str(path), content) if text.encode() in inside]
    return found


def _inside(where: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    yield where, content
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield from _inside(f"{where}: {name}", archive.read(name))
    elif content.startswith(b"%PDF"):
        yield where, "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages).encode()
    elif content.startswith(b"PAR1"):
        yield where, str(pq.read_table(io.BytesIO(content)).select(["outcome", "detail"]).to_pylist()).encode()
