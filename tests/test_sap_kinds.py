"""Instances of every kind in a run: the probe asks start services that answer as each kind does, and the run is judged.

What a kind cannot tell "does not apply"; what it could have told and did not is "not evaluated".
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lpmkit.analysis import analyse
from lpmkit.config import load_site
from lpmkit.errors import CommandRefused
from lpmkit.probes.orders import ProbeOrder
from lpmkit.probes.sap import SapProbe
from lpmkit.rules.question import Question
from lpmkit.runs.folder import Run, create
from lpmkit.runs.writer import RunWriter
from lpmkit.sap.load import Load
from lpmkit.sap.sources import WebServiceWay
from lpmkit.sap.system import System
from lpmkit.settings.sap import SapSystemSettings
from lpmkit.simulator import Simulator
from lpmkit.simulator.landscape import BUILT_IN
from lpmkit.simulator.sap import kinds, mishaps
from lpmkit.simulator.sap.command_line import run as typed
from lpmkit.simulator.sap.installation import Installation, from_entry
from lpmkit.simulator.sap.operations import OPERATIONS, OperationFault, Seat
from lpmkit.simulator.sap.system import System as SimulatedSystem
from lpmkit.ssh.secrets import Secrets
from lpmkit.timeline import Sample
from tests.made_runs import START, MadeClock, S

MOVE, SETTLED, END = 60, 90, 200
STARTED = "2026 02 11 06:10:31"


def process(name: str, pid: int, description: str = "", colour: str = "SAPControl-GREEN") -> dict[str, Any]:
    return {
        "name": name, "description": description or name, "dispstatus": colour, "textstatus": "Running",
        "starttime": STARTED, "elapsedtime": "435:49:34", "pid": pid,
    }  # fmt: skip


def node(name: str, pid: int, state: str = "J2EE_RUNNING") -> dict[str, Any]:
    return {"name": name, "pid": pid, "state": f"SAPControl-{state}", "statetext": state.removeprefix("J2EE_").title()}


@dataclass
class Start:
    """A start service: what it answers, by function; everything else it refuses, and counts."""

    answers: dict[str, list[dict[str, Any]]]
    refused: list[str] = field(default_factory=list)
    where: str = "bxaix85"

    def call(self, function: str, /, **arguments: Any) -> list[dict[str, Any]]:
        if function not in self.answers:
            self.refused.append(function)
            raise CommandRefused(f"{function} failed", status=1, answered="DpAttachStartService failed")
        return self.answers[function]

    def close(self) -> None: ...


#: The processes and features of each kind, as `GetProcessList` and `GetSystemInstanceList` show them.
KINDS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "ascs": ("MESSAGESERVER|ENQUE", [process("msg_server", 11), process("enserver", 12)]),
    "ascs2": ("MESSAGESERVER|ENQUE", [process("msg_server", 11), process("enq_server", 12)]),
    "ers": ("ENQREP", [process("enrepserver", 21)]),
    "ers2": ("ENQREP", [process("enq_replicator", 21)]),
    "java": ("J2EE|IGS", [process("jstart", 31, "J2EE Server"), process("igswd_mt", 32)]),
    "webdispatcher": ("WEBDISP", [process("sapwebdisp", 41)]),
    "gateway": ("GATEWAY", [process("gwrd", 51)]),
    "hana": ("HDB", [process("hdbdaemon", 61), process("hdbnameserver", 62), process("hdbindexserver", 63)]),
}
LOCKS = {
    "locks_now": 4, "locks_high": 9, "enqueue_requests": 90, "enqueue_rejects": 0, "enqueue_errors": 0,
    "replication_state": "SAPControl-GREEN", "locks_state": "SAPControl-GREEN",
}  # fmt: skip


def started(*kinds: str) -> dict[str, Start]:
    """The start services of instances 01, 02 … of these kinds on one host."""
    listed = [
        {"hostname": "bxaix85", "instancenr": number, "features": KINDS[kind][0], "dispstatus": "SAPControl-GREEN"}
        for number, kind in enumerate(kinds, start=1)
    ]
    services = {}
    for number, kind in enumerate(kinds, start=1):
        answers: dict[str, list[dict[str, Any]]] = {
            "GetProcessList": KINDS[kind][1],
            "GetSystemInstanceList": listed,
            "GetInstanceProperties": [{"property": "SAPSYSTEMNAME", "propertytype": "string", "value": "BX5"}],
            "GetVersionInfo": [{"filename": "sapstartsrv", "versioninfo": "753, patch 900", "time": ""}],
        }
        if kind.startswith("ascs"):
            answers |= {"EnqGetStatistic": [LOCKS], "EnqGetLockTable": []}
        if kind == "java":
            answers["J2EEGetProcessList"] = [node("ICM", 33), node("server0", 34), node("server1", 35)]
        services[f"{number:02}"] = Start(answers)
    return services


class Kept:
    """A sink that writes into a run at the time that its clock shows."""

    def __init__(self, writer: RunWriter, clock: MadeClock, turns: Mapping[int, Any], stop: threading.Event) -> None:
        self.writer, self.clock, self.turns, self.stop = writer, clock, dict(turns), stop

    def sample(self, probe: str, sample: Sample) -> None:
        raise AssertionError("the probe of states has no samples")

    def event(self, probe: str, kind: str, /, **data: Any) -> None:
        self.writer.event(f"probe:{probe}", kind, probe=probe, **data)

    def observation(self, probe: str, row: Any, /) -> None:
        self.writer.observation_rows(probe, json.dumps(row).encode() + b"\n")
        self.clock.now_ns += S // 2
        second = (self.clock.now_ns - START) // S
        for due in [due for due in self.turns if second >= due]:
            self.turns.pop(due)()
        if second >= END:
            self.stop.set()


class Hurried(threading.Event):
    """A stop event whose waits pass on the made clock."""

    def __init__(self, clock: MadeClock) -> None:
        super().__init__()
        self.clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self.clock.now_ns += int((timeout or 0.0) * S)
        return self.is_set()


def judged(folder: Path, services: dict[str, Start], after: Any = None) -> dict[str, Question]:
    """The questions of a run in which the real probe asked these services; ``after`` happens with the move."""
    clock = MadeClock(START)
    settings = SapSystemSettings(
        partition="bxaix85", instances=tuple(services), watch_after_minutes=0.0, requests_per_minute=6000
    )
    order = ProbeOrder(
        name="sap-BX5", kind="sap", interval_ns=S, host="bxaix85", about="states", group="sap",
        options={"sid": "BX5", "settings": settings.model_dump(mode="json")},
    )  # fmt: skip
    way = WebServiceWay("BX5", services)  # type: ignore[arg-type]
    system = System("BX5", settings, [way], Load(6000, clock), clock=clock)
    run = create(
        folder, mode="move", title="kinds", facts={"probes": [order.as_data()], "lead_in_s": 10.0}, clock=clock
    )
    with RunWriter(run.path, clock) as writer:
        writer.event("recorder", "recorder-started", resumed=False)
        writer.event("recorder", "phase", phase="prepared")
        stop = Hurried(clock)
        turns = {
            MOVE: lambda: (writer.event("recorder", "phase", phase="asked"), after and after(services)),
            SETTLED: lambda: writer.event("recorder", "phase", phase="settled"),
        }
        SapProbe(order, Secrets(), clock, system).run(stop, Kept(writer, clock, turns, stop))
        writer.event("recorder", "recorder-ended")
    (outcome,) = analyse(Run(run.path)).sap
    return {one.key.removeprefix("sap-").removesuffix("-BX5"): one for one in outcome.questions}


ABAP = ("work-processes", "jobs", "users", "updates", "queues", "log", "dumps")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_alone_in_a_partition_can_pass(tmp_path: Path, kind: str) -> None:
    services = started(kind)
    found = judged(tmp_path, services)
    assert found["processes"].state == "passed", found["processes"].answer
    counting = {key: one.answer for key, one in found.items() if one.counts and one.state != "passed"}
    assert counting == {}
    assert all("does not apply" in found[key].answer for key in ABAP)
    assert ("does not apply" in found["enqueue"].answer) is not kind.startswith("ascs")
    assert services["01"].refused == [], "nothing was asked that such an instance has not got"


def test_several_kinds_in_one_partition_are_each_asked_what_they_can_answer(tmp_path: Path) -> None:
    services = started("ascs2", "ers2", "java", "webdispatcher")
    found = judged(tmp_path, services)
    assert "9 processes with the same pids" in found["processes"].answer
    assert found["enqueue"].state == "passed"
    assert [one.refused for one in services.values()] == [[], [], [], []]


def restart(services: dict[str, Start]) -> None:
    services["01"].answers["J2EEGetProcessList"] = [node("ICM", 33), node("server0", 99), node("server1", 35)]


def crash(services: dict[str, Start]) -> None:
    services["01"].answers["J2EEGetProcessList"] = [
        node("ICM", 33),
        node("server0", 34),
        node("server1", 0, "J2EE_STOPPED"),
    ]


def come_back(services: dict[str, Start]) -> None:
    nodes = [node("ICM", 33), node("server0", 34), node("server1", 35, "J2EE_STARTING_APPS")]
    services["01"].answers["J2EEGetProcessList"] = nodes


def forget(services: dict[str, Start]) -> None:
    del services["01"].answers["J2EEGetProcessList"]


@pytest.mark.parametrize(
    ("after", "state", "says"),
    [
        (restart, "failed", "server0 has another pid (34, now 99)"),
        (crash, "failed", "server1 has no process any more"),
        (come_back, "failed", "server1 (yellow"),
        (forget, "not evaluated", "Java nodes of instance 01 after the suspension"),
    ],
)
def test_a_java_node_is_watched_beside_the_jstart_that_outlives_it(
    tmp_path: Path, after: Any, state: str, says: str
) -> None:
    question = judged(tmp_path, started("java"), after)["processes"]
    assert (question.state, says in question.answer) == (state, True), question.answer


def test_an_instance_that_lists_no_process_leaves_the_question_open(tmp_path: Path) -> None:
    services = started("ascs", "webdispatcher")
    del services["02"].answers["GetProcessList"]
    question = judged(tmp_path, services)["processes"]
    assert question.state == "not evaluated"
    assert "instance 02 before the suspension" in question.answer


def test_an_instance_whose_features_are_not_listed_is_asked_and_its_refusal_remembered(tmp_path: Path) -> None:
    services = started("gateway")
    services["01"].answers["GetSystemInstanceList"] = []
    found = judged(tmp_path, services)
    assert found["work-processes"].counts
    assert services["01"].refused.count("ABAPGetWPTable") == 1


class Simulated(Start):
    """The start service of an instance of the simulator, as the web service's client returns its rows."""

    def __init__(self, kind: str) -> None:
        super().__init__({})
        installed = Installation("BX5", "01", kernel="753", basis="750", kind=kind)
        self.system = SimulatedSystem(installed, "bxaix85", START / S - 3_000_000, START / S)

    def call(self, function: str, /, **arguments: Any) -> list[dict[str, Any]]:
        operation = OPERATIONS[function]
        try:
            rows = operation.answer(Seat(self.system, central=False), {})
        except OperationFault as problem:
            self.refused.append(function)
            raise CommandRefused(f"{function} failed", status=1, answered=str(problem)) from None
        names = [column.name.lower().replace("-", "_") for column in operation.fields]
        colours = ["SAPControl-" if column.kind == "STATE-COLOR" else "" for column in operation.fields]
        return [
            {
                name: f"{colour}{value}" if colour else value
                for name, colour, value in zip(names, colours, row, strict=True)
            }
            for row in rows
        ]


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_each_kind_of_the_simulator_passes_and_is_asked_only_what_it_can_answer(tmp_path: Path, kind: str) -> None:
    service = Simulated(kind)
    found = judged(tmp_path, {"01": service})
    assert found["processes"].state == "passed", found["processes"].answer
    assert {key: one.answer for key, one in found.items() if one.counts and one.state != "passed"} == {}
    assert service.refused == []


@pytest.mark.parametrize(
    ("kind", "program"),
    [("ascs2", "enq_server"), ("ers", "enrepserver"), ("java", "server1"), ("webdispatcher", "sapwebdisp")],
)
def test_a_program_of_such_an_instance_that_is_started_again_fails(tmp_path: Path, kind: str, program: str) -> None:
    service = Simulated(kind)
    strike = mishaps.AT_THE_MOVE["sap-server-restarted"]
    found = judged(tmp_path, {"01": service}, lambda _: strike(service.system, program))
    assert found["processes"].state == "failed"
    assert program in found["processes"].answer


def test_an_ascs_of_the_simulator_that_loses_its_replica_fails(tmp_path: Path) -> None:
    service = Simulated("ascs2")
    found = judged(
        tmp_path, {"01": service}, lambda _: mishaps.AT_THE_MOVE["sap-replication-lost"](service.system, None)
    )
    assert found["enqueue"].state == "failed"


def test_a_landscape_names_the_kind_and_its_commands_are_those_of_the_kind() -> None:
    installed = from_entry({"sid": "BX5", "instance": "01", "kernel": "753", "kind": "ers2"})
    assert installed is not None
    assert installed.instance == "ERS01"
    system = SimulatedSystem(installed, "bxaix85", START / S - 3_000_000, START / S)
    printed = typed(system, "sapcontrol", ["-nr", "01", "-function", "GetProcessList"], str)
    assert printed is not None
    assert "enq_replicator, Enqueue Replicator 2, GREEN, Running" in printed.out
    assert typed(system, "dpmon", ["pf=x"], str) is None
    assert any("enqr.sapBX5_ERS01" in each.arguments for each in system.processes())
    with pytest.raises(ValueError, match="kind is one of"):
        from_entry({"sid": "BX5", "instance": "01", "kernel": "640", "kind": "ers2"})


def test_the_site_file_of_such_a_landscape_has_the_ways_that_there_are(tmp_path: Path) -> None:
    was = 'sap: {sid: P7D, instance: "00", central_services: "01", kernel: "753", basis: "750", patch: 900}'
    text = (BUILT_IN / "p7pair.yaml").read_text(encoding="utf-8")
    assert was in text
    path = tmp_path / "java.yaml"
    path.write_text(text.replace(was, 'sap: {sid: P7D, instance: "02", kernel: "753", kind: java}'), encoding="utf-8")
    with Simulator(path, speed=500.0) as simulator:
        site = load_site(simulator.directory / "site.yaml")
        ports = next(iter(simulator.hosts.values())).ports
    assert site.sap_systems["P7D"].instances == ("02",)
    assert site.sap_systems["P7D"].soap_rfc is None
    assert "start_service" in ports
    assert not {"dispatcher", "gateway", "http", "message_server"} & ports.keys()
