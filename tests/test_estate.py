"""An estate of many frames is surveyed in one pass: the same verdicts as one by one, what is common asked once, so
many connections and no more.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from lpmkit.checks import Answer, Finding, Verdict, examine
from lpmkit.checks.nightly import FleetCheck, examine_estate
from lpmkit.config import FrameSettings, Site, load_site
from lpmkit.control.base import Order
from lpmkit.control.clusters import cluster_kinds
from lpmkit.errors import NotFound, SiteFileError, UsageError
from lpmkit.simulator import Simulator, faults, recalled
from lpmkit.simulator.chassis import Chassis
from lpmkit.simulator.distance import far_away
from lpmkit.simulator.landscape import of_many
from lpmkit.simulator.partition import Neighbour
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Reply
from lpmkit.survey.connect import survey_both_ends
from lpmkit.survey.fleet import (
    Cost,
    Direction,
    FrameSurvey,
    SurveyJob,
    SurveyProgress,
    _Listed,
    _Pass,
    directions_of,
    survey_fleet,
    work_through,
)

#: Four frames under two consoles; of four partitions each one has virtual SCSI, one virtual Fibre Channel, one is a
#: Linux, one is not activated.
FRAMES, EACH = 4, 4


#: Cluster software in some of the partitions, with the seconds that it waits, and what the check says: a suspension of
#: a few seconds is expected.
CLUSTERS = {
    "lp01002": ("cluster:rac:30", Verdict.PASS),
    "lp02001": ("cluster:powerha", Verdict.PASS),
    "lp02002": ("cluster:powerha71:1", Verdict.FAIL),
    "lp03001": ("cluster:pacemaker:30", Verdict.PASS),
    "lp03002": ("cluster:rac:1", Verdict.FAIL),
    "lp04001": ("cluster:gpfs:1", Verdict.FAIL),
    "lp04002": ("cluster:vcs:1", Verdict.FAIL),
}


@pytest.fixture(scope="module")
def estate() -> Iterator[Simulator]:
    faults = ["huge-pages:lp01001", *(f"{fault},object={name}" for name, (fault, _) in CLUSTERS.items())]
    with Simulator(of_many(FRAMES, EACH, under_one=2), speed=200.0, faults=faults) as up:
        yield up


@pytest.fixture(scope="module")
def site(estate: Simulator) -> Site:
    return load_site(estate.site_file)


def facts(findings: tuple[Finding, ...]) -> list[object]:
    return [(one.key, one.about, one.verdict, dict(one.facts), one.remedy, one.asked) for one in findings]


def judged(found: FrameSurvey) -> dict[str, list[object]]:
    return {one.name: facts(examine(survey)) for one, survey in found.partitions if survey is not None}


Everything = tuple[tuple[FrameSurvey, ...], Cost, list[SurveyProgress]]


@pytest.fixture(scope="module")
def everything(site: Site) -> Everything:
    """The whole estate, surveyed once."""
    told: list[SurveyProgress] = []
    return *survey_fleet(site, directions_of(site, None, None), Secrets(), tell=told.append), told


def test_an_estate_is_surveyed_in_one_pass_with_the_verdicts_of_each_partition_alone(
    site: Site, everything: Everything
) -> None:
    found, effort, told = everything
    assert [one.direction for one in found] == [
        Direction("f01", "f02"),
        Direction("f02", "f01"),
        Direction("f03", "f04"),
        Direction("f04", "f03"),
    ]
    assert all(len(one.partitions) == EACH and not one.silent for one in found)
    assert told[-1] == SurveyProgress((2, 2), (FRAMES, FRAMES), (2 * FRAMES, 2 * FRAMES))
    for one, partition in ((found[0], "lp01001"), (found[0], "lp01002"), (found[3], "lp04003"), (found[3], "lp04004")):
        survey = next(survey for listed, survey in one.partitions if listed.name == partition)
        assert survey is not None
        machine = survey.target.frame.machine if survey.target.frame else ""
        alone = survey_both_ends(
            site, Order(partition, one.direction.source, one.direction.target, machine, "", ""), Secrets()
        )
        assert facts(examine(survey)) == facts(examine(alone))
    # What a single round trip for each question would have cost: a tenth is the least that is wanted.
    assert effort.questions / effort.round_trips >= 10
    assert effort.connections == 2 + FRAMES + 2 * FRAMES
    assert effort.most_at_once <= site.connections.total


def test_what_the_frames_have_in_common_is_asked_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Reply] = []
    monkeypatch.setattr("lpmkit.survey.fleet._Pass._count", lambda _, reply: asked.append(reply))
    frames = {name: one.model_copy(update={"mover_address": "192.0.2.101"}) for name, one in site.frames.items()}
    site = site.model_copy(update={"frames": frames})
    both = [Direction("f01", "f02"), Direction("f02", "f01")]
    _, one_way = survey_fleet(site, both[:1], Secrets())
    alone = len(asked)
    asked.clear()
    _, together = survey_fleet(site, both, Secrets())
    # The way back costs what its own two partitions say, and what is asked of each move.
    assert len(asked) - alone < 60 < alone / 2
    told = Counter((reply.where, reply.command) for reply in asked if reply.where == "hmc01")
    assert set(told.values()) == {1}
    _, twice = survey_fleet(site, [*both, Direction("f01", "f04"), Direction("f02", "f03")], Secrets())
    assert (one_way.connections, together.connections) == (5, 7), (
        "the console, its two frames, two partitions of each that is left"
    )
    assert twice.connections == together.connections + 3, "another console, its two frames, and no partition twice"


def test_a_frame_waits_for_the_manager_of_what_would_come_to_it(site: Site) -> None:
    frames = {name: one.model_copy(update={"mover_address": "192.0.2.101"}) for name, one in site.frames.items()}
    site = site.model_copy(update={"frames": frames})
    survey = _Pass(site, [Direction("f01", "f04")], Secrets(), lambda _: None)
    listed = _Listed(cast(Any, object()), (), ())
    survey._listed["f04"] = listed
    assert survey._ready() == []
    survey._listed["f01"] = listed
    assert sorted(survey._ready()) == ["f01", "f04"]


def cluster_verdicts(nights: tuple[FleetCheck, ...]) -> dict[str, tuple[Verdict, str]]:
    return {
        one.partition: (found.verdict, str(found.facts))
        for night in nights
        for one in night.partitions
        for found in one.findings
        if found.key == "cluster"
    }


def test_a_node_of_a_cluster_passes_or_fails_by_its_timer_and_is_not_passed_where_it_could_not_be_asked(
    estate: Simulator, site: Site, everything: Everything
) -> None:
    found = {
        one.name: (finding.verdict, str(finding.facts))
        for direction in everything[0]
        for one, survey in direction.partitions
        if survey is not None
        for finding in examine(replace(survey, expected_suspension_s=6.0))
        if finding.key == "cluster"
    }
    assert {name: found[name][0] for name in CLUSTERS} == {name: verdict for name, (_, verdict) in CLUSTERS.items()}
    assert "none runs" in found["lp01001"][1]
    assert "600" in found["lp02001"][1], "what PowerHA waits during a move where nobody set it"
    estate.inject("refuse:lp03002:crsctl:CRS-4639 could not contact Oracle High Availability Services")
    estate.inject("refuse:lp04001:ps -e:ps is out of order")
    directions = [Direction("f03", "f04"), Direction("f04", "f03")]
    found = cluster_verdicts(examine_estate(site, directions, secrets=Secrets())[0])
    assert found["lp03002"][0] is Verdict.WARN
    assert "the vendor's default, not read" in found["lp03002"][1]
    assert found["lp04001"][0] is Verdict.UNKNOWN
    estate.faults.clear()


def test_the_simulator_can_be_every_cluster_that_is_known() -> None:
    shown = {
        line.split()[0].rsplit("/", 1)[-1] for software in recalled.CLUSTERS.values() for line in software.processes
    }
    assert set(recalled.CLUSTERS) == set(faults.CLUSTERS)
    assert {kind.process for kind in cluster_kinds().values()} <= shown


class Dead:
    """A machine that takes connections and ends them at once; counts them."""

    def __init__(self) -> None:
        self.came = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.came += 1
            connection.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def dead(estate: Simulator, site: Site, folder: Path, host: str) -> Iterator[tuple[Site, Dead]]:
    """The site with one host that cannot be logged in to."""
    there, text = Dead(), estate.ssh_config.read_text(encoding="utf-8")
    before, block = text.split(f"Host {host}\n", 1)
    kept = [f"    Port {there.port}" if "Port " in line else line for line in block.splitlines()[:3]]
    config = folder / "ssh_config"
    config.write_text(f"{before}Host {host}\n" + "\n".join([*kept, *block.splitlines()[3:]]) + "\n", encoding="utf-8")
    try:
        yield site.model_copy(update={"ssh_config": config}), there
    finally:
        there.close()


def test_a_console_that_cannot_be_reached_is_tried_once_and_the_frames_of_the_other_are_judged(
    estate: Simulator, site: Site, tmp_path: Path
) -> None:
    with dead(estate, site, tmp_path, "hmc02") as (lame, there):
        told: list[SurveyProgress] = []
        nights, _ = examine_estate(lame, directions_of(lame, None, None), secrets=Secrets(), tell=told.append)
    assert there.came == 1
    assert told[-1] == SurveyProgress((2, 2), (2, 2), (4, 4), ("hmc02",))
    assert [(night.source, night.judged, night.answer) for night in nights] == [
        ("f01", True, Answer.NOT_READY),
        ("f02", True, Answer.NOT_READY),
        ("f03", False, Answer.COULD_NOT_TELL),
        ("f04", False, Answer.COULD_NOT_TELL),
    ]
    # Nobody can log in to the Linux, and need not to what is not activated.
    assert {one.partition: one.answer for one in nights[1].partitions} == {
        "lp02001": Answer.READY,
        "lp02002": Answer.NOT_READY,
        "lp02003": Answer.COULD_NOT_TELL,
        "lp02004": Answer.READY,
    }
    assert [one.machine for one in nights[2].silent] == ["hmc02"]
    assert "no SSH session" in nights[2].silent[0].why


def test_a_partition_that_cannot_be_logged_in_to_is_tried_once_and_named(
    estate: Simulator, site: Site, tmp_path: Path, everything: Everything
) -> None:
    with dead(estate, site, tmp_path, "lp01002") as (lame, there):
        (found,), _ = survey_fleet(lame, [Direction("f01", "f02")], Secrets())
    assert there.came == 1
    assert [one.machine for one in found.silent] == ["lp01002"]
    before, after = judged(everything[0][0]), judged(found)
    assert after.pop("lp01002") != before.pop("lp01002")
    assert after == before


def test_a_target_whose_console_is_away_leaves_the_partitions_listed_and_not_judged(
    estate: Simulator, site: Site, tmp_path: Path
) -> None:
    with dead(estate, site, tmp_path, "hmc02") as (lame, _):
        frames = {**lame.frames, "f03": lame.frames["f03"].model_copy(update={"mover_address": "192.0.2.101"})}
        across = lame.model_copy(update={"frames": frames})
        (night,), _ = examine_estate(across, [Direction("f01", "f03")], secrets=Secrets())
    assert [(one.partition, one.answer) for one in night.partitions] == [
        (f"lp0100{number}", Answer.COULD_NOT_TELL) for number in range(1, EACH + 1)
    ]
    assert [one.machine for one in night.silent] == ["hmc02"]


def test_no_more_is_open_at_once_than_the_bounds_allow_and_a_jump_host_bounds_nobody_else() -> None:
    gate, free, behind = threading.Semaphore(2), threading.Event(), list[int]()

    def work_behind() -> object:
        assert gate.acquire(blocking=False), "more than two through the gate"
        assert free.wait(20.0)
        gate.release()
        behind.append(1)
        return None

    def nothing(found: object) -> tuple[SurveyJob[Any], ...]:
        return ()

    def elsewhere() -> object:
        free.set()
        return None

    jobs = [SurveyJob(0, (f"p{number}", "gate"), work_behind, nothing) for number in range(6)]
    assert work_through([*jobs, SurveyJob(1, ("other",), elsewhere, nothing)], 4, 2) == 3
    assert len(behind) == 6


def test_as_many_are_open_as_may_be_and_no_more() -> None:
    started = threading.Barrier(3, timeout=20.0)
    jobs = [SurveyJob(0, (f"p{number}",), started.wait, lambda found: ()) for number in range(9)]
    assert work_through(jobs, 3, 1) == 3


def test_what_a_job_raises_ends_the_pass() -> None:
    def broken() -> object:
        raise UsageError("no such secret")

    with pytest.raises(UsageError, match="no such secret"):
        work_through([SurveyJob(0, (), broken, lambda found: ())], 2, 1)


Asked = Callable[[Site], object]
ONE_FRAME = Site(frames={"f01": FrameSettings(host="f01", mover_address="192.0.2.1")})


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (lambda site: directions_of(site, "f01", "f01"), UsageError),
        (lambda site: directions_of(site, "f09", None), NotFound),
        (lambda site: directions_of(site, "f01", "f09"), NotFound),
        (
            lambda site: directions_of(ONE_FRAME, None, None),
            UsageError,
        ),
        (
            lambda site: directions_of(ONE_FRAME, "f01", None),
            UsageError,
        ),
    ],
)
def test_a_way_to_nowhere_is_refused(site: Site, asked: Asked, error: type[Exception]) -> None:
    with pytest.raises(error):
        asked(site)


def test_a_frame_goes_to_its_partner_unless_another_is_named(site: Site) -> None:
    assert directions_of(site, "f03", None) == (Direction("f03", "f04"),)
    assert directions_of(site, "f03", "f01") == (Direction("f03", "f01"),)


@pytest.mark.parametrize("partner", ["f01", "f09"])
def test_a_partner_is_another_frame_of_the_file(tmp_path: Path, partner: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(f"frames:\n  f01: {{host: f01, mover_address: 192.0.2.1, partner: {partner}}}\n", encoding="utf-8")
    with pytest.raises(SiteFileError, match="another frame of this file"):
        load_site(path)


# -- the simulator's part in it ----------------------------------------------------------------------------------------


def test_a_long_line_holds_back_what_goes_through_it_on_either_way_and_ends_with_it() -> None:
    here, there = socket.socketpair()
    began = time.monotonic()
    inside = far_away(there, 0.05)
    here.sendall(b"ping")
    assert inside.recv(4) == b"ping"
    inside.sendall(b"pong")
    assert here.recv(4) == b"pong"
    assert time.monotonic() - began >= 0.1, "one round trip for the connection, one for the question"
    here.close()
    assert inside.recv(1) == b""
    inside.close()


def test_a_partition_that_shares_the_simulators_process_knows_on_which_frame_it_is() -> None:
    chassis = Chassis(of_many(2, 2))
    line = Neighbour(chassis, "lp01001")
    (before,), again = line.news(), line.news()
    moved = replace(chassis.world.partitions[0], frame="f02")
    chassis.change(lambda world: world.without("f01", "lp01001").with_partition(moved))
    (after,) = line.news()
    assert again == []
    assert (before["identity"]["serial"], after["identity"]["serial"]) == ("21B0001", "21B0002")
