"""Plans driven from several jump hosts: workers, their places, the work that a dead one leaves, one command a move."""

from __future__ import annotations

import base64
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from benchmarks.engine import Night, table
from lpmkit.account.person import acting_person
from lpmkit.cli import main
from lpmkit.config import Site, StoreSettings, load_site
from lpmkit.errors import NotAllowed, NotFound, SiteFileError
from lpmkit.inventory import Partition
from lpmkit.plan import engine
from lpmkit.plan.driving import PlaceWorker, driving_place, hand_to, place_of, require_place, starter, take_over
from lpmkit.plan.observing import OBSERVE
from lpmkit.plan.status import plan_status
from lpmkit.runbook import PartitionLocation, Runbook, SiteInventory
from lpmkit.runs import locks
from lpmkit.runs.folder import create, write_document
from lpmkit.ssh.secrets import Secrets
from lpmkit.store import places
from lpmkit.store.database import Store
from lpmkit.store.places import all_places, beat, leave_place, take_place
from lpmkit.timeline import Clock, wait_until
from tests.hosts import GONE_S, Host, World, kill
from tests.postgresql import WHY_NOT, Cluster, cluster
from tests.scripted_machines import planned

needs_server = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
STORE = "postgresql://lpmkit@db1/lpmkit"
FRAME = {"manager": "ivm", "host": "x.invalid", "mover_address": "192.0.2.1"}


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


@pytest.fixture(scope="module")
def store(server: Cluster) -> Store:
    server.database("engine")
    found = Store(StoreSettings(url=server.url("engine")))
    found.migrate()
    engine.prepare(found)
    return found


# --- places ----------------------------------------------------------------------------------------------------------


def test_a_plan_is_driven_from_the_place_of_the_frames_that_its_partitions_leave() -> None:
    site = Site.model_validate(
        {"frames": {"a": {**FRAME, "place": "muc"}, "b": {**FRAME, "place": "ber"}, "c": FRAME}, "store": STORE}
    )
    listed = tuple(
        PartitionLocation(frame, Partition(name, 3, "Running")) for name, frame in zip("pqr", "abc", strict=True)
    )
    there = SiteInventory({}, listed, {})
    assert driving_place(site, planned({"partition": "p"}), there) == "muc"
    assert driving_place(site, planned({"partition": "r"}), there) == ""
    assert driving_place(site, planned({"partition": "p"}, {"partition": "x", "source": "a"}), there) == "muc"
    for names in ("pq", "pr"):
        with pytest.raises(NotAllowed, match="driven from several places"):
            driving_place(site, planned(*({"partition": name} for name in names)), there)


def test_a_place_needs_a_store(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("frames:\n  a: {manager: ivm, host: a, mover_address: 192.0.2.1, place: muc}\n")
    with pytest.raises(SiteFileError, match="a names a place, and that needs a shared store"):
        load_site(tmp_path / "site.yaml")


def test_who_started_a_plan_is_vouched_for_by_the_account_that_wrote_it(tmp_path: Path) -> None:
    folder = create(tmp_path, mode="plan", title="n", facts={"person": acting_person().as_data()})
    assert starter(folder) == acting_person()
    write_document(folder.path, "run", {**folder.manifest, "person": {"login": "x", "account": "x", "known_by": "y"}})
    with pytest.raises(NotAllowed, match="was written by the account"):
        starter(type(folder)(folder.path))


@needs_server
def test_a_place_has_one_worker_until_that_one_ends_or_gives_no_sign_of_life(store: Store) -> None:
    take_place(store, "muc", "one", "jump1", 7)
    take_place(store, "muc", "one", "jump1", 7)
    with pytest.raises(NotAllowed, match="another worker serves muc: process 7 on jump1"):
        take_place(store, "muc", "two", "jump2", 8)
    assert beat(store, "muc", "one")
    assert not beat(store, "muc", "two")
    with store.transaction() as connection:
        connection.execute(sa.text("UPDATE lpmkit.places SET seen_at = seen_at - interval '61 s' WHERE place = 'muc'"))
    assert not all_places(store)["muc"].is_alive
    take_place(store, "muc", "two", "jump2", 8)
    assert not beat(store, "muc", "one"), "the old one notices that it has lost the place"
    leave_place(store, "muc", "two")
    assert (all_places(store)["muc"].is_alive, all_places(store)["muc"].words()) == (False, "it has ended")
    book = Runbook(Site(store=StoreSettings(url=str(store.pooled().url.set(drivername="postgresql")))))
    for place in ("muc", "nowhere"):
        with pytest.raises(NotAllowed, match=f"lpmkit worker --place {place}"):
            require_place(book, place)


# --- the engine ------------------------------------------------------------------------------------------------------


@needs_server
def test_work_is_looked_after_until_it_is_over_and_resumed_by_the_next_worker(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LOOK_EVERY_S", 0.05)
    looked: list[str] = []
    over: set[str] = set()

    def look(work: str) -> bool:
        looked.append(work)
        return work in over

    watch = f"{OBSERVE}three"
    for work in ("one", "two", "one", watch):
        engine.hand_over(store, "here", work)
    with engine.serve(store, "here", look):
        assert wait_until(lambda: {"one", "two", watch} <= set(looked), clock=Clock(), timeout_s=60)
    looked.clear()
    over.add("one")
    with engine.serve(store, "here", look):
        assert wait_until(
            lambda: looked.count("two") > 3 and {"one", watch} <= set(looked), clock=Clock(), timeout_s=60
        )
        assert looked.count("one") <= 2
    assert engine.take_over(store, "here", "there") == ["two"], "a watch belongs to its place"
    assert engine.take_over(store, "here", "there") == []
    over.add("two")
    looked.clear()
    with engine.serve(store, "there", look):
        assert wait_until(lambda: bool(looked), clock=Clock(), timeout_s=60)
    assert looked == ["two"]


@needs_server
def test_a_row_of_the_engine_chooses_no_program(store: Store, tmp_path: Path) -> None:
    """DBOS unpickles what a row says is pickled; here that is refused."""

    class Program:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    engine.hand_over(store, "trap", "harmless")
    bad = base64.b64encode(pickle.dumps({"args": (Program(),), "kwargs": {}})).decode()
    trap = "FROM dbos.workflow_status s WHERE s.workflow_uuid = i.workflow_uuid AND s.queue_name = 'place-trap'"
    with store.transaction() as connection:
        done = connection.execute(sa.text(f"UPDATE dbos.workflow_input i SET inputs = :bad {trap}"), {"bad": bad})
        assert done.rowcount == 1
        pickled = "UPDATE dbos.workflow_status SET serialization = 'py_pickle' WHERE queue_name = 'place-trap'"
        connection.execute(sa.text(pickled))
    looked: list[str] = []

    def look(work: str) -> bool:
        looked.append(work)
        return True

    engine.hand_over(store, "trap", "good")

    def is_read() -> bool:
        """True once both rows were taken from the queue, and the good one was looked after."""
        with store.transaction() as connection:
            statuses = connection.execute(
                sa.text("SELECT status FROM dbos.workflow_status WHERE queue_name = 'place-trap'")
            ).scalars()
            return bool(looked) and not {"ENQUEUED", "PENDING"} & set(statuses)

    with engine.serve(store, "trap", look):
        assert wait_until(is_read, clock=Clock(), timeout_s=60)
    assert looked == ["good"]
    assert not (tmp_path / "ran").exists()


@needs_server
def test_a_worker_that_cannot_look_after_a_plan_says_why_once_and_tries_again(tmp_path: Path) -> None:
    notes: list[str] = []
    site = Site.model_validate({"runs": {"folder": tmp_path}})
    worker = PlaceWorker(site, Secrets(), None, notes.append)  # type: ignore[arg-type]
    assert [worker.look("night"), worker.look("night")] == [False, False]
    assert len(notes) == 1
    assert "there is no plan 'night'" in notes[0]
    (tmp_path / "plans" / "odd").mkdir(parents=True)
    (tmp_path / "plans" / "odd" / "run.json").write_text(
        '{"mode": "plan", "format": 1, "title": "x", "created": "x", "plan": 7}'
    )
    assert worker.look("odd") is False


@needs_server
def test_the_commands_make_the_store_serve_a_place_and_show_it(tmp_path: Path, server: Cluster) -> None:
    server.database("commands")
    site = tmp_path / "site.yaml"
    site.write_text(f"store: {server.url('commands')}\nruns: {{folder: runs}}\n")

    def answer(*words: str) -> Any:
        done = CliRunner().invoke(main, ["--site", str(site), *words, "--json"])
        return json.loads(done.stdout)

    assert "`lpmkit store init`" in answer("store", "show")["next_step"]
    assert answer("store", "init")["before"] == 0
    assert answer("store", "init")["before"] == answer("store", "init")["version"]
    worker = subprocess.Popen([sys.executable, "-m", "lpmkit.cli", "--site", str(site), "worker", "--place", "muc"])
    try:
        assert wait_until(
            lambda: [one["state"] for one in answer("store", "show")["places"]] == ["alive"],
            clock=Clock(), timeout_s=60, every_s=0.3,
        )  # fmt: skip
        assert "is alive" in answer("plan", "take-over", "muc", "--to", "muc")["error"]
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
    assert [one["state"] for one in answer("store", "show")["places"]] == ["dead"], "it said goodbye"
    assert "no place 'ber'" in answer("plan", "take-over", "ber", "--to", "muc")["error"]


# --- hosts -----------------------------------------------------------------------------------------------------------


@needs_server
def test_the_plans_of_a_dead_host_are_taken_over_and_no_move_is_asked_for_twice(
    tmp_path: Path, server: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "GONE_S", GONE_S)
    monkeypatch.setattr(locks, "GONE_S", GONE_S)
    server.database("hosts")
    store = Store(StoreSettings(url=server.url("hosts")))
    store.migrate()
    engine.prepare(store)
    world = World(tmp_path / "world.json")
    world.make({"p": "a", "q": "a", "r": "a"})
    hosts = [Host(name, tmp_path, server.url("hosts"), world, runs="runs") for name in ("jump1", "jump2")]
    book = Runbook(hosts[1].site)
    plan = planned(*({"partition": name, "target": "b"} for name in "pqr"), limits={"link": 1}, on_failure="go-on")
    facts = {"person": acting_person().as_data(), "plan": plan.as_data()}
    folder = create(hosts[0].runs / "plans", mode="plan", title="night", facts=facts)
    workers = [host.work() for host in hosts]
    try:
        assert wait_until(lambda: len(all_places(store)) == 2, clock=Clock(), timeout_s=60)
        hand_to(book, folder, "jump1")
        assert wait_until(lambda: bool(hosts[0].recorders()), clock=Clock(), timeout_s=60)
        with pytest.raises(NotAllowed, match="the worker of jump1 is alive"):
            take_over(book, "jump1", "jump2")
        started = folder.last_event("conductor-started")
        assert started is not None
        for pid in (workers[0], int(started.data["pid"]), *hosts[0].recorders()):
            kill(pid)
        assert wait_until(lambda: not all_places(store)["jump1"].is_alive, clock=Clock(), timeout_s=60)
        with pytest.raises(NotFound):
            take_over(book, "jump9", "jump2")
        with pytest.raises(NotAllowed, match="no worker serves the place jump1"):
            take_over(book, "jump1", "jump1")
        assert take_over(book, "jump1", "jump2") == ([folder.name], [])
        assert place_of(book, folder) == "jump2"
        assert wait_until(lambda: plan_status(folder).is_done, clock=Clock(), timeout_s=120)
    finally:
        for pid in (*workers, *hosts[0].recorders()):
            kill(pid)
        for host in hosts:
            host.close()
    asked = [command["partition"] for command in world.look()["commands"]]
    assert len(asked) == len(set(asked))
    assert {"q", "r"} <= {name for name, frame in world.look()["on"].items() if frame == "b"}
    last = folder.last_event("conductor-started")
    assert last is not None
    assert last.data["pid"] not in (os.getpid(), started.data["pid"])


@needs_server
def test_two_hosts_move_every_partition_once_whatever_dies(tmp_path: Path, server: Cluster) -> None:
    """The short form of ``python -m benchmarks.engine --observed``: both plans have one partition in common."""
    night = Night(tmp_path, server, "night", observed=True)
    try:
        row = night.carry_out(
            [(1.0, "recorder", "jump1"), (1.2, "cable", "jump2"), (1.5, "worker", "jump1"),
             (1.8, "conductor", "jump2"), (2.0, "database", "jump1")]
        )  # fmt: skip
    finally:
        night.close()
    assert row["wrong"] == []
    assert row["commands"] <= row["intents"]
    assert row["arrived"] >= 4, "a recorder that dies between the intent and the command leaves its partition at home"


def test_the_sums_hide_no_night_in_which_something_was_wrong() -> None:
    usual = {
        "deaths": [[1.0, "cable", "jump1"]],
        "lasted_s": 9.0,
        "commands": 5,
        "intents": 5,
        "arrived": 5,
        "wrong": [],
    }
    text = table([usual, {**usual, "wrong": ["p: more commands than intents"]}], 1)
    assert "| nights in which something was wrong | 1 |" in text
    assert "| nights, each with one death at a random instant | 2 (cable 2) |" in text
