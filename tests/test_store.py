"""The shared store: one command for an intent, one move of a partition, room held across plans and hosts."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa

from lpmkit.config import RunSettings, Site, StoreSettings, load_site
from lpmkit.errors import NotAllowed, NotApproved, SiteFileError, StoreUnavailable, UsageError
from lpmkit.plan.conductor import Conductor
from lpmkit.plan.sharing import SharedRoom, plan_key
from lpmkit.plan.status import plan_status
from lpmkit.prediction.exchange import exchange
from lpmkit.prediction.history import history as outcomes_of
from lpmkit.recorder import process
from lpmkit.recorder.shared_intent import settled
from lpmkit.runbook import Runbook
from lpmkit.runs.away import ledger
from lpmkit.runs.folder import Run, create, run_key
from lpmkit.runs.history import History, elsewhere
from lpmkit.runs.licences import read_sightings, sightings_elsewhere
from lpmkit.runs.remarks import add_remark
from lpmkit.runs.writer import RunWriter
from lpmkit.ssh.secrets import Secrets
from lpmkit.store import database, moves, shared_store
from lpmkit.store.database import MIGRATIONS, VERSION, Store, metadata
from lpmkit.store.moves import (
    Claim,
    IntentRow,
    begin,
    hold_only,
    open_intents,
    others,
    reservations_held,
    reserve,
    tell,
)
from lpmkit.timeline import Clock, wait_until
from tests.postgresql import WHY_NOT, Cable, Cluster, cluster
from tests.scripted_machines import Machines, planned, stages_of
from tests.scripted_moves import ORDER, Managers, install, last_why, move_folder, phases

RUNS = Path(__file__).parent.parent / "fixtures" / "runs"
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with cluster() as running:
        running.database("lpmkit")
        yield running


@pytest.fixture
def settings(server: Cluster) -> StoreSettings:
    """An empty store of the present version."""
    found = StoreSettings(url=server.url("lpmkit"))
    store = Store(found)
    with store.transaction(any_version=True) as connection:
        connection.execute(sa.text("DROP SCHEMA IF EXISTS lpmkit CASCADE"))
    store.migrate()
    return found


@pytest.fixture
def store(settings: StoreSettings) -> Store:
    return Store(settings)


@pytest.fixture
def managers(monkeypatch: pytest.MonkeyPatch) -> Managers:
    return install(monkeypatch)


def intent(key: str = "1", partition: str = "p", **more: Any) -> IntentRow:
    facts = {"source": "a", "target": "b", "inactive": False, "order": {"mapping": {}}, "run": f"run-{key}",
             "folder": f"/runs/run-{key}", "host": "jump1", "by": "anna"}  # fmt: skip
    return IntentRow(**{"key": key, "partition": partition, **facts, **more})


def record(run: Run, settings: StoreSettings) -> None:
    site = Site(store=settings)
    process.Recorder(run, Secrets(), {"site": site.as_data(), "probes": []}).record()


# --- the site file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["postgresql://l:secret@h/d", "postgresql://l@h/d?password=secret", "postgresql://l:@h/d"]
)
def test_a_password_in_the_address_of_the_store_is_refused_and_not_shown(url: str, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(f"store: {json.dumps(url)}\n")
    with pytest.raises(SiteFileError, match="never the password") as caught:
        load_site(tmp_path / "site.yaml")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://l@h/d", "postgresql://h", "sqlite:///x", "h/d", "postgresql://[/d"])
def test_a_store_is_a_postgresql_database(url: str, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(f"store: {json.dumps(url)}\n")
    with pytest.raises(SiteFileError, match="postgresql://USER@HOST/DATABASE"):
        load_site(tmp_path / "site.yaml")


def test_a_text_alone_is_the_address_and_the_password_is_a_reference(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("store: postgresql://lpmkit@db1:5433/lpm\n")
    found = load_site(tmp_path / "site.yaml").store
    assert found is not None
    assert found.where == "database lpm on db1:5433"
    (tmp_path / "site.yaml").write_text("store: {url: 'postgresql://lpmkit@db1/lpm', password: hunter2}\n")
    with pytest.raises(SiteFileError, match="never the password"):
        load_site(tmp_path / "site.yaml")


# --- versions --------------------------------------------------------------------------------------------------------


def test_the_migrations_make_the_tables_that_the_code_reads(store: Store) -> None:
    with store.transaction() as connection:
        inspector = sa.inspect(connection)
        for table in metadata.tables.values():
            there = {column["name"] for column in inspector.get_columns(table.name, schema=table.schema)}
            assert there == set(table.columns.keys()), table.name


def test_a_store_without_tables_or_of_a_newer_version_is_refused_with_what_to_do(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.version() == VERSION
    assert store.migrate() == VERSION, "once more changes nothing"
    with store.transaction() as connection:
        connection.execute(database.versions.insert().values(version=VERSION + 1))
    for ask in (store.require, store.migrate, lambda: open_intents(store)):
        with pytest.raises(UsageError, match="Update lpmkit on this host"):
            ask()
    with store.transaction(any_version=True) as connection:
        connection.execute(sa.text("DROP SCHEMA lpmkit CASCADE"))
    with pytest.raises(UsageError, match="`lpmkit store init`"):
        store.require()
    added = ("ALTER TABLE lpmkit.intents ADD COLUMN remark text",)
    store.migrate()
    monkeypatch.setattr(database, "MIGRATIONS", (*MIGRATIONS, added))
    monkeypatch.setattr(database, "VERSION", VERSION + 1)
    with pytest.raises(UsageError, match=f"has version {VERSION}, and this lpmkit needs"):
        store.require()
    assert store.migrate() == VERSION
    store.require()


def test_hosts_that_bring_a_store_up_to_date_at_once_do_it_once(store: Store) -> None:
    with store.transaction(any_version=True) as connection:
        connection.execute(sa.text("DROP SCHEMA lpmkit CASCADE"))
    before: list[int] = []
    hosts = [threading.Thread(target=lambda: before.append(store.migrate())) for _ in range(4)]
    for host in hosts:
        host.start()
    for host in hosts:
        host.join()
    assert sorted(before) == [0, VERSION, VERSION, VERSION]


# --- intents ---------------------------------------------------------------------------------------------------------


def test_of_many_hosts_that_ask_at_once_one_gets_the_command(store: Store) -> None:
    """The same intent, as in copies of one folder, and other folders' intents for the same partition."""
    won: list[str] = []
    refused: list[str] = []
    at_once = threading.Barrier(8)

    def ask(number: int) -> None:
        at_once.wait()
        try:
            begin(store, intent("1" if number % 2 else str(number), host=f"jump{number}"))
            won.append(f"jump{number}")
        except NotAllowed as error:
            refused.append(str(error))

    hosts = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for host in hosts:
        host.start()
    for host in hosts:
        host.join()
    assert len(won) == 1
    assert len(refused) == 7
    assert all(f"on {won[0]} asked for a move of p" in text for text in refused)


def test_an_intent_is_forbidden_for_ever_and_a_partition_until_the_end_of_its_move_is_told(store: Store) -> None:
    begin(store, intent("1"))
    with pytest.raises(NotAllowed, match="has not seen its end"):
        begin(store, intent("2"))
    begin(store, intent("3", "q"))
    tell(store, intent("1", folder="/copy"), "failed", is_over=True)
    assert len(open_intents(store, "p")) == 1, "another folder says nothing about this one's move"
    tell(store, intent("1"), "copying", is_over=False)
    assert open_intents(store, "p")[0].phase == "copying"
    tell(store, intent("1"), "settled", is_over=True)
    with pytest.raises(NotAllowed, match="run-1 on jump1"):
        begin(store, intent("1"))
    begin(store, intent("2"))


def test_an_approval_serves_once_on_all_hosts_and_only_with_a_command(store: Store) -> None:
    begin(store, intent("1"))
    with pytest.raises(NotAllowed):
        begin(store, intent("2"), {"mark": "carla"})
    begin(store, intent("3", "q"), {"mark": "carla"})
    with pytest.raises(NotApproved, match="approval of carla"):
        begin(store, intent("4", "r"), {"mark": "carla"})


def test_a_copy_of_a_run_has_the_same_intent_and_another_order_has_not(tmp_path: Path) -> None:
    manifest = move_folder(tmp_path).manifest
    assert run_key({**manifest, "probes": [], "by": "b"}) == run_key(manifest)
    assert run_key({**manifest, "order": {**manifest["order"], "target": "c"}}) != run_key(manifest)


# --- the recorder ----------------------------------------------------------------------------------------------------


def test_a_move_is_in_the_store_before_its_command_and_its_end_afterwards(
    tmp_path: Path, managers: Managers, store: Store, settings: StoreSettings
) -> None:
    run = move_folder(tmp_path)
    seen: list[tuple[list[str], list[str]]] = []

    def when_sent() -> None:
        on_disk = [event.kind for event in run.events() if event.kind == "intent"]
        seen.append((on_disk, [one.run for one in open_intents(store, "p")]))

    managers.when_sent = when_sent
    record(run, settings)
    assert seen == [(["intent"], [run.name])]
    assert phases(run) == ["asked", "settled"]
    assert open_intents(store) == []


def test_a_partition_that_another_host_moves_is_not_asked_for_and_its_row_stays(
    tmp_path: Path, managers: Managers, store: Store, settings: StoreSettings
) -> None:
    begin(store, intent("1"))
    run = move_folder(tmp_path)
    record(run, settings)
    assert managers.sent == []
    assert phases(run) == ["failed"]
    assert "run-1 on jump1 asked for a move of p" in last_why(run)
    assert "nothing was moved by this run" in last_why(run)
    assert [one.key for one in open_intents(store)] == ["1"]


def test_a_copy_of_a_prepared_run_on_another_host_sends_no_second_command(
    tmp_path: Path, managers: Managers, store: Store, settings: StoreSettings
) -> None:
    run = move_folder(tmp_path / "jump1")
    copy = tmp_path / "jump2" / run.name
    copy.mkdir(parents=True)
    (copy / "run.json").write_bytes((run.path / "run.json").read_bytes())
    (copy / "samples").mkdir()
    record(run, settings)
    managers.source, managers.target = managers.target, managers.source
    managers.source = replace(managers.source, partition_state="Running")
    record(Run(copy), settings)
    assert managers.sent == ["m"]
    assert "asked for a move of p" in last_why(Run(copy))


def test_without_the_store_nothing_is_asked_and_what_to_do_is_said(
    tmp_path: Path, managers: Managers, server: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "STORE_PATIENCE_S", 0.0)
    run = move_folder(tmp_path)
    record(run, StoreSettings(url=server.url("no_such")))
    assert managers.sent == []
    assert phases(run) == ["failed"]
    assert "the shared store cannot be used, so no new move begins" in last_why(run)
    assert "Is the database up" in last_why(run)


def test_a_move_waits_for_a_store_that_was_cut_off_and_one_under_way_goes_on_without_it(
    tmp_path: Path, managers: Managers, server: Cluster, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    cable = Cable(server.port)
    monkeypatch.setattr(database, "TRANSACTION_S", 0.3)
    monkeypatch.setattr(database, "CONNECT_S", 1)
    monkeypatch.setattr(process, "STORE_AGAIN_S", 0.05)
    behind = StoreSettings(url=server.url("lpmkit", cable.port))
    run = move_folder(tmp_path)
    managers.when_sent = cable.cut
    cable.cut()
    moving = threading.Thread(target=record, args=(run, behind))
    moving.start()

    def waits() -> bool:
        return any("the move waits" in str(event.data.get("text")) for event in run.events())

    assert wait_until(waits, clock=Clock(), timeout_s=60)
    assert managers.sent == []
    cable.mend()
    moving.join(60)
    monkeypatch.setattr(database, "TRANSACTION_S", 30.0)  # from here on the store has to answer, not to be missed
    assert phases(run) == ["asked", "settled"], "the cut after the command hinders nothing"
    assert managers.sent == ["m"]
    notes = [event.data["text"] for event in run.events() if event.kind == "note"]
    assert any("the store does not know the end of this move yet" in text for text in notes)
    (left,) = open_intents(store)
    with pytest.raises(NotAllowed, match="asked for a move"):
        begin(store, intent("2"))
    assert settled(store, left), "whoever looks next makes up for it"
    assert open_intents(store) == []
    cable.close()


def test_who_asks_next_learns_the_end_from_the_record_or_is_told_where_to_look(
    tmp_path: Path, store: Store, settings: StoreSettings
) -> None:
    book = Runbook(Site.model_validate({"runs": {"folder": str(tmp_path)}, "store": settings.model_dump()}))
    book.own_order = lambda run: ORDER  # type: ignore[method-assign]
    first, second = move_folder(tmp_path), move_folder(tmp_path)
    begin(store, intent(run_key(first.manifest), run=first.name, folder=str(first.path), host="jump2"))
    with pytest.raises(NotAllowed, match="on jump2 finds out what became of it"):
        book.refuse_second_move(second)
    with RunWriter(first.path) as writer:
        writer.event("recorder", "recorder-started")
        writer.event("recorder", "phase", phase="needs-recovery", why="")
        writer.event("recorder", "recorder-ended", reason="asked to end")
    with pytest.raises(NotAllowed, match="has not seen its end"):
        book.refuse_second_move(second)
    with RunWriter(first.path) as writer:
        writer.event("recorder", "phase", phase="failed", why="")
    book.refuse_second_move(second)
    assert open_intents(store) == []


def test_the_password_of_the_store_is_in_no_file_and_no_error(server: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPMKIT_TEST_STORE", "geheim-4711")
    refused = StoreSettings(url=server.url("no_such"), password="env:LPMKIT_TEST_STORE")
    site = Site(store=refused)
    store = shared_store(site, Secrets())
    assert store is not None
    with pytest.raises(StoreUnavailable) as caught:
        store.require()
    assert "geheim-4711" not in f"{caught.value} {caught.value.__dict__} {store.__dict__} {json.dumps(site.as_data())}"
    assert os.environ["LPMKIT_TEST_STORE"] == "geheim-4711"


# --- room ------------------------------------------------------------------------------------------------------------


def at_most(count: int) -> Any:
    return lambda held: f"{count} are moving" if len(held) >= count else None


def test_room_is_decided_on_with_every_plan_and_every_single_move_in_view(store: Store) -> None:
    begin(store, intent("1", "s", order={"mapping": {"dest_lpar_id": "7"}}))
    assert reserve(store, "one", "jump1", Claim("p", "a", "b", movers=("a1", "b1")), at_most(2)) is None
    assert reserve(store, "one", "jump1", Claim("q", "a", "b"), at_most(2)) is None, "its own are the plan's to count"
    assert reserve(store, "two", "jump2", Claim("r", "a", "b"), at_most(2)) == "2 are moving"
    held = {claim.partition: claim for claim in others(store, "two")}
    assert set(held) == {"p", "q", "s"}
    assert (held["p"].movers, held["s"].mapping) == (("a1", "b1"), {"dest_lpar_id": "7"})
    assert "jump1" in held["p"].holder
    assert "run run-1" in held["s"].holder
    rival = reserve(store, "two", "jump2", Claim("p", "a", "c"), lambda _: None)
    assert rival is not None
    assert "p is moved already (plan one on jump1)" in rival
    hold_only(store, "one", ["q"])
    assert {claim.partition for claim in others(store, "two")} == {"q", "s"}
    hold_only(store, "one", [])
    assert {claim.partition for claim in others(store, "two")} == {"s"}


def test_a_limit_holds_at_every_instant_whoever_asks_on_whatever_host(store: Store) -> None:
    at_once = threading.Barrier(6)
    got: list[str] = []

    def conduct(number: int) -> None:
        at_once.wait()
        for _ in range(5):
            name = f"p{number}"
            if reserve(store, f"plan{number}", f"jump{number}", Claim(name, "a", "b"), at_most(2)) is None:
                got.append(name)
                busy = len([one for one in others(store, "nobody") if one.target == "b"])
                assert busy <= 2, busy
                hold_only(store, f"plan{number}", [])

    plans = [threading.Thread(target=conduct, args=(number,)) for number in range(6)]
    for plan in plans:
        plan.start()
    for plan in plans:
        plan.join()
    assert got, moves


# --- plans -----------------------------------------------------------------------------------------------------------


def test_two_plans_at_once_keep_to_the_limits_of_frames_and_names_of_each_other(
    tmp_path: Path, store: Store, settings: StoreSettings
) -> None:
    """Two conductors on two hosts: every move of both goes over one link that takes two."""
    most: list[int] = []

    def carry_out(names: str, host: str) -> Machines:
        machines = Machines(tmp_path / host, dict.fromkeys(names, "p8a"))

        def step() -> None:
            machines.step()
            most.append(len(reservations_held(store)))

        machines.clock.each = step
        return machines

    hosts = {host: carry_out(names, host) for host, names in {"jump1": "abc", "jump2": "def"}.items()}
    stages: dict[str, str] = {}

    def conduct_on(host: str) -> None:
        machines = hosts[host]
        plan = planned(*({"partition": name} for name in machines.partitions), limits={"link": 2})
        folder = create(tmp_path / host / "plans", mode="plan", title=host, facts={"plan": plan.as_data()})
        with RunWriter(folder.path, machines.clock) as writer:
            room = SharedRoom(store, plan_key(folder))
            book = cast(Runbook, machines)
            Conductor(folder, writer, book, machines.report, lambda _: None, room).conduct()
        stages.update(stages_of(plan_status(folder, machines.clock)))

    conductors = [threading.Thread(target=conduct_on, args=(host,)) for host in hosts]
    for conductor in conductors:
        conductor.start()
    for conductor in conductors:
        conductor.join()
    assert stages == dict.fromkeys("abcdef", "arrived")
    assert max(most) == 2
    assert reservations_held(store) == []


def test_a_plan_waits_for_the_store_and_fails_no_move_for_it(
    tmp_path: Path, server: Cluster, store: Store, settings: StoreSettings
) -> None:
    machines = Machines(tmp_path, dict.fromkeys("ab", "p8a"))
    here = Store(settings)
    gone = Store(StoreSettings(url=server.url("no_such")))
    since = machines.clock.now_ns

    class Room(SharedRoom):
        """Room in a store that does not answer for the first hour."""

        @property
        def _store(self) -> Store:
            return here if machines.clock.now_ns - since > 3600e9 else gone

        @_store.setter
        def _store(self, _: Store) -> None:
            pass

    plan = planned({"partition": "a"}, {"partition": "b"})
    folder = create(tmp_path / "plans", mode="plan", title="night", facts={"plan": plan.as_data()})
    waited: list[str] = []
    step = machines.step

    def look() -> None:
        step()
        waited.append(plan_status(folder, machines.clock).move("a").why)

    machines.clock.each = look
    with RunWriter(folder.path, machines.clock) as writer, pytest.MonkeyPatch.context() as patch:
        patch.setattr("lpmkit.plan.conductor.LOOK_S", 300.0)
        room = Room(here, plan_key(folder))
        Conductor(folder, writer, cast(Runbook, machines), machines.report, lambda _: None, room).conduct()
    assert any("the shared store cannot be used, so no new move begins" in why for why in waited)
    assert stages_of(plan_status(folder, machines.clock)) == {"a": "arrived", "b": "arrived"}


# --- the index of runs -----------------------------------------------------------------------------------------------


def test_a_host_knows_the_moves_of_the_others_for_history_ledger_and_predictions(
    tmp_path: Path, store: Store, settings: StoreSettings, server: Cluster
) -> None:
    sites = {host: Site(runs=RunSettings(folder=tmp_path / host), store=settings) for host in ("jump1", "jump2")}
    shutil.copytree(RUNS / "hmc-move", tmp_path / "jump1" / "hmc-move")
    (tmp_path / "jump2").mkdir()
    add_remark(tmp_path / "jump1" / "hmc-move", "change", fields={"number": "CHG0042"}, by="anna")
    for host in ("jump1", "jump2"):
        assert exchange(sites[host], Secrets()) == ""
    (here,) = History(tmp_path / "jump1").moves()
    assert History(tmp_path / "jump2").moves() == [here]
    assert here.change == "CHG0042"
    assert [stay.partition for stay in ledger(tmp_path / "jump2")] == [here.partition]
    assert sightings_elsewhere(elsewhere(tmp_path / "jump2")) == (read_sightings(tmp_path / "jump1")[0], [])
    assert outcomes_of(tmp_path / "jump2") == outcomes_of(tmp_path / "jump1") != []
    add_remark(tmp_path / "jump1" / "hmc-move", "change", fields={"number": "CHG0099"}, by="anna")
    for host in ("jump1", "jump2"):
        assert exchange(sites[host], Secrets()) == ""
    assert [move.change for move in History(tmp_path / "jump2").moves()] == ["CHG0099"]
    shutil.copytree(tmp_path / "jump1" / "hmc-move", tmp_path / "jump2" / "hmc-move")
    assert len(History(tmp_path / "jump2").moves()) == 1, "a run that is here too is counted once"
    away = Site(runs=RunSettings(folder=tmp_path / "jump2"), store=StoreSettings(url=server.url("no_such")))
    assert exchange(away, Secrets()).startswith("The runs of other hosts were not asked for")
