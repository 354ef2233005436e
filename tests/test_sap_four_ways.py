"""One simulated SAP system, seen through each of the four ways: the same jobs, the same work processes, the same
verdict.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lpmkit.sap.job_history import Pause
from lpmkit.sap.judge import Case, SapOutcome, judge
from lpmkit.sap.model import JobStatus
from lpmkit.sap.observation import SapObservation
from lpmkit.sap.system import System
from lpmkit.settings.sap import SapSlo
from lpmkit.simulator import Simulator
from lpmkit.timeline import Clock, wait_until
from tests import sap_worlds as worlds

#: What every way tells of every system; the rest a way may not know.
SHARED = ("sap-work-processes-P7D", "sap-jobs-P7D")


@dataclass
class Views:
    """The four systems, what each saw before and after the pause, and the moments of the pause."""

    systems: dict[str, System]
    before: dict[str, dict[str, SapObservation]]
    after: dict[str, list[SapObservation]]
    pause: Pause
    began_wall_ns: int

    def outcome(self, way: str) -> SapOutcome:
        seen = [*self.before[way].values(), *self.after[way]]
        return judge(Case("P7D", SapSlo(), seen, self.pause, watch_after_s=0.0))


def work_of(said: SapObservation) -> set[Any]:
    """The work that runs, as every way shows it."""
    return {job.work for job in said.rows or () if job.status is JobStatus.RUNNING}


def look(systems: dict[str, System], since: int) -> dict[str, dict[str, SapObservation]]:
    """Every way's answers, taken again until no job began or ended between the first way's look and the last's."""
    found: dict[str, dict[str, SapObservation]] = {}

    def alike() -> bool:
        for way, one in systems.items():
            found[way] = {name: one.ask(name, since) for name in ("work_processes", "jobs", "system_log", "users")}
        return len({frozenset(work_of(each["jobs"])) for each in found.values()}) == 1

    assert wait_until(alike, clock=Clock(), timeout_s=30, every_s=0.2), {
        way: work_of(each["jobs"]) for way, each in found.items()
    }
    return found


@pytest.fixture(scope="module")
def views() -> Iterator[Views]:
    os.environ["LPM_SIMULATOR_SAP_PASSWORD"] = worlds.PASSWORD
    clock = Clock()
    with Simulator(worlds.LANDSCAPES / "p7pair.yaml", speed=25.0) as simulator, worlds.standin() as pyrfc:
        pyrfc.BACKEND = worlds.over_soap(simulator)
        systems = {way: worlds.simulated(simulator, way) for way in worlds.WAYS}
        began = clock.wall_ns()
        for one in systems.values():
            one.ask("identity")
            one.ask("processes")
        before = look(systems, began)
        stopped = clock.mono_ns()
        partition = simulator.hosts["p7aix01"]
        partition.suspend()
        clock.sleep(1.0)
        partition.resume()
        pause = Pause(stopped, clock.mono_ns())
        first = look(systems, began)
        # the processor time of a job is told in whole seconds
        used = {job.pid: job for job in first["rfc"]["jobs"].rows or ()}
        assert used
        assert wait_until(lambda: clock.mono_ns() - pause.end_ns > 4 * 10**9, clock=clock, timeout_s=20)
        last = look(systems, began)
        final = look(systems, began)
        after = {way: [*first[way].values(), *last[way].values(), *final[way].values()] for way in systems}
        yield Views(systems, before, after, pause, began)


@pytest.mark.parametrize("way", worlds.WAYS)
def test_a_way_shows_the_same_jobs_work_processes_and_verdict_as_the_others(views: Views, way: str) -> None:
    mine, other = views.before[way], views.before["webservice"]
    assert mine["jobs"].way.startswith({"commands": "sapcontrol"}.get(way, way))
    assert work_of(mine["jobs"]) == work_of(other["jobs"])
    assert len(work_of(mine["jobs"])) >= 5
    table, reference = (
        {(row.number, row.type, row.pid) for row in one["work_processes"].rows or ()} for one in (mine, other)
    )
    assert table == reference
    assert len(table) == 40
    said, reference_said = views.outcome(way), views.outcome("webservice")
    for key in SHARED:
        assert said.question(key).state == "passed", said.question(key)
        assert said.question(key).state == reference_said.question(key).state
    # what a way cannot tell is not evaluated; whatever it can tell it tells as the others do
    for one in said.questions:
        theirs = (
            reference_said.question(one.key) if any(each.key == one.key for each in reference_said.questions) else one
        )
        assert "not evaluated" in (one.state, theirs.state) or one.state == theirs.state


def test_only_function_modules_tell_the_names_of_jobs(views: Views) -> None:
    for way in ("rfc", "soap_rfc"):
        assert all(job.name for job in views.before[way]["jobs"].rows or ())
    by_name = [
        {
            (job.name, job.count, job.status)
            for job in views.before[way]["jobs"].rows or ()
            if job.status is JobStatus.RUNNING
        }
        for way in ("rfc", "soap_rfc")
    ]
    assert by_name[0] == by_name[1]


def test_a_conversation_is_told_where_there_is_one(views: Views) -> None:
    assert views.before["rfc"]["jobs"].session
    assert views.before["rfc"]["jobs"].session == views.after["rfc"][-1].session
    # SOAP-RFC keeps one by the cookie, which itself is never told
    assert views.before["soap_rfc"]["jobs"].session.startswith("http/")
    assert views.before["soap_rfc"]["jobs"].way == "soap_rfc, XBP 3.0"
    assert views.before["webservice"]["jobs"].session == ""
    for way in ("rfc", "soap_rfc"):
        assert views.outcome(way).question("sap-rfc-P7D").state == "passed"
