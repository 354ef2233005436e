"""Watching from several places: the work of the engine that records a watch, with a real store and real workers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from lpmkit.account.person import acting_person
from lpmkit.cli import main
from lpmkit.config import Site, StoreSettings
from lpmkit.errors import NotAllowed, RecordError
from lpmkit.migration.observers import observers_of, watch_of
from lpmkit.plan import engine, observing
from lpmkit.plan.driving import hand_to
from lpmkit.plan.observing import WatchKeeper, ask_to_end, why_not_begun
from lpmkit.plan.status import plan_status
from lpmkit.probes.orders import OF_EVERY_PLACE
from lpmkit.recorder.order import RecordingOrder
from lpmkit.runbook import Runbook
from lpmkit.runbook.recording import of_every_place
from lpmkit.runs.folder import Run, create
from lpmkit.runs.writer import RunWriter
from lpmkit.ssh.secrets import Secrets
from lpmkit.store.database import Store
from lpmkit.store.places import all_places
from lpmkit.timeline import Clock, wait_until
from tests.hosts import Host, World, is_alive, kill
from tests.postgresql import WHY_NOT, Cluster, cluster
from tests.scripted_machines import planned
from tests.scripted_moves import move_folder

needs_server = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


def _pid(watch: Run) -> int:
    started = watch.last_event("recorder-started")
    return 0 if started is None else int(started.data["pid"])


def _watches(runs: Path, place: str) -> Sequence[Run]:
    """The watches of a place that belong to a move."""
    found = [Run(path.parent) for path in sorted(runs.glob("*/run.json"))]
    return [run for run in found if run.manifest.get("place") == place and run.manifest["belongs_to"]]


# --- what a worker does for one watch -------------------------------------------------------------------------------


def _book(folder: Path) -> Runbook:
    site = {"partitions": {name: {"host": f"{name}.invalid"} for name in "pq"}, "runs": {"folder": folder}}
    return Runbook(Site.model_validate(site), Secrets(may_ask=False))


def _keeper(book: Runbook, monkeypatch: pytest.MonkeyPatch) -> tuple[WatchKeeper, list[str]]:
    """A keeper of the place fra, and the folders on which it started a recorder."""
    started: list[str] = []

    def start(_: Runbook, run: Run, probes: object) -> None:
        started.append(run.name)

    monkeypatch.setattr(Runbook, "_start", start)
    return WatchKeeper(book.site, Secrets(), "fra", Clock()), started


def _asked(book: Runbook, **belongs_to: str) -> Run:
    return book.prepared_watch(["p"], facts={"place": "fra", "belongs_to": belongs_to})


def test_a_watch_gets_a_recorder_until_the_move_that_it_belongs_to_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = _book(tmp_path)
    keeper, started = _keeper(book, monkeypatch)
    move = move_folder(tmp_path)
    watch = _asked(book, run=move.name)
    assert keeper.look(watch.name) == (False, "its recorder was started")
    with RunWriter(watch.path) as writer:
        writer.event("recorder", "recorder-started", pid=1, mode="watch", resumed=False)
        assert keeper.look(watch.name) == (False, ""), "it is recorded already"
        with RunWriter(move.path) as mover:
            mover.event("recorder", "recorder-started", pid=1, mode="move", resumed=False)
            assert keeper.look(watch.name) == (False, "")
            mover.event("recorder", "recorder-ended", reason="settled")
        for _ in range(3):
            assert keeper.look(watch.name) == (False, "")
        assert len(list((watch.path / "requests").glob("*.json"))) == 1, "it is asked once to end"
    assert keeper.look(watch.name) == (True, ""), "a recorder that died after that is not followed by another"
    assert started == [watch.name]


def test_a_watch_that_was_asked_to_end_before_it_began_never_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = _book(tmp_path)
    keeper, started = _keeper(book, monkeypatch)
    watch = _asked(book)
    ask_to_end(watch, Clock(), "anna")
    assert keeper.look(watch.name) == (True, "")
    assert started == []


def test_a_worker_watches_for_its_place_alone_and_waits_for_a_folder_that_is_not_here_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = _book(tmp_path)
    keeper, started = _keeper(book, monkeypatch)
    other = book.prepared_watch(["p"], facts={"place": "ber"})
    assert keeper.look(other.name) == (True, "it is not to be watched from fra")
    assert keeper.look("nowhere") == (False, "its folder is not here")
    monkeypatch.setattr(observing, "NEVER_CAME_S", 0.0)
    assert keeper.look("nowhere")[0] is True
    assert started == []


def test_a_watch_of_a_host_that_the_site_file_does_not_name_is_refused_and_the_reason_is_in_its_folder(
    tmp_path: Path,
) -> None:
    book = _book(tmp_path)
    strange = book.prepared_watch(["elsewhere.example.com"], facts={"place": "fra"})
    keeper = WatchKeeper(book.site, Secrets(), "fra", Clock())
    with pytest.raises(NotAllowed, match="your site file does not name that"):
        keeper.look(strange.name)
    assert "it watches elsewhere.example.com" in why_not_begun(strange, Clock())


def test_what_is_handed_over_as_a_watch_never_asks_for_a_move(tmp_path: Path) -> None:
    book = _book(tmp_path)
    move = move_folder(tmp_path)
    with pytest.raises(NotAllowed, match="it is no watch"):
        book.record_watch(move)
    charge = {"site": book.site.as_data(), "probes": [], "is_watch": True}
    with pytest.raises(RecordError, match=r"its run\.json holds a move"):
        RecordingOrder.of(move, charge)


def test_another_place_runs_no_probe_that_logs_in_to_sap_or_a_database(tmp_path: Path) -> None:
    site = {
        "partitions": {"p": {"host": "p.invalid"}}, "runs": {"folder": tmp_path},
        "sap_systems": {"BX5": {"partition": "p", "instances": ["00"],
                                "webservice": {"user": "lpm", "password": "env:X"}}},
    }  # fmt: skip
    book = Runbook(Site.model_validate(site), Secrets(may_ask=False))
    watch = book.prepared_watch(["p"], facts={"place": "fra"})
    assert {probe["kind"] for probe in watch.manifest["probes"]} == {"ticks", "echo", "connect", "icmp", "ack"}
    assert {probe.kind for probe in of_every_place(book.own_probes(watch))} == OF_EVERY_PLACE
    assert "sap" in {probe.kind for probe in book.own_probes(watch)}, "the site has one"


# --- several hosts --------------------------------------------------------------------------------------------------


@needs_server
def test_another_place_watches_a_move_and_one_without_a_worker_is_told_of(tmp_path: Path, server: Cluster) -> None:
    server.database("observing")
    store = Store(StoreSettings(url=server.url("observing")))
    store.migrate()
    engine.prepare(store)
    world = World(tmp_path / "world.json")
    world.make({"p": "a"})
    hosts = [
        Host(name, tmp_path, server.url("observing"), world, runs="runs", lead_in_s=4.0) for name in ("muc", "fra")
    ]
    plan = planned({"partition": "p", "target": "b"}, observe_from=["fra", "ber"])
    facts = {"person": acting_person().as_data(), "plan": plan.as_data(), "site": hosts[0].site.as_data()}
    folder = create(hosts[0].runs / "plans", mode="plan", title="night", facts=facts)
    workers = {host.name: host.work() for host in hosts}
    began: list[int] = []

    def has_begun(count: int) -> bool:
        """True once so many recorders of one watch have begun, one after the other."""
        for watch in _watches(hosts[0].runs, "fra"):
            if _pid(watch) not in (0, *began) and is_alive(_pid(watch)):
                began.append(_pid(watch))
        return len(began) >= count

    try:
        assert wait_until(lambda: len(all_places(store)) == 2, clock=Clock(), timeout_s=60)
        hand_to(Runbook(hosts[0].site), folder, "muc")
        assert wait_until(lambda: has_begun(1), clock=Clock(), timeout_s=60)
        kill(began[0])
        assert wait_until(lambda: has_begun(2), clock=Clock(), timeout_s=60), "the worker started another recorder"
        assert wait_until(lambda: plan_status(folder).is_over, clock=Clock(), timeout_s=120)
        site_file = tmp_path / "site.yaml"
        site_file.write_text(json.dumps(hosts[0].site.as_data()))
        words = ["--site", str(site_file), "watch", "p", "q", "r", "--for", "0.1", "--json", "--share"]
        shared = CliRunner().invoke(main, [*words, "--from", "muc,fra,ber"])
        refused = CliRunner().invoke(main, [*words, "--from", "ber"])
    finally:
        for pid in (*workers.values(), *hosts[0].recorders()):
            kill(pid)
        for host in hosts:
            host.close()

    (move,) = plan_status(folder).moves
    assert move.run is not None
    assert move.not_observed == {"ber": "no worker has served it yet"}
    assert [command["partition"] for command in world.look()["commands"]] == ["p"]
    fra, ber = observers_of(Run(move.run))
    assert (fra.place, ber.place, ber.run, ber.why) == ("fra", "ber", "", "no worker has served it yet")
    (watch,) = _watches(hosts[0].runs, "fra")
    assert watch_of(Run(move.run), fra).path == watch.path
    assert watch.manifest["belongs_to"] == {"run": move.run.name, "plan": folder.name}
    assert watch.manifest["hosts"] == ["p"]
    kinds = [event.kind for event in watch.events() if event.kind.startswith("recorder-")]
    assert kinds == ["recorder-started", "recorder-started", "recorder-ended"], (
        "no two at once, and ended with the move"
    )
    assert not is_alive(_pid(watch))
    told = [(event.data["place"], event.data["why"]) for event in folder.events() if event.kind == "observed"]
    assert told[:2] == [("fra", ""), ("ber", "no worker has served it yet")]

    answer = json.loads(shared.stdout)
    assert shared.exit_code == 3
    assert [(row["place"], row["hosts"]) for row in answer["watches"]] == [("muc", ["p"]), ("fra", ["q"])]
    assert answer["not_observed"] == {"ber": "no worker has served it yet"}
    assert all(Run(row["run"]).manifest["place"] == row["place"] for row in answer["watches"])
    assert "no place watches, so nothing is recorded" in json.loads(refused.stdout)["error"]
