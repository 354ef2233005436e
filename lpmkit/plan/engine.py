"""The engine behind the work of several jump hosts, plans and watches: durable, kept in the shared store by DBOS
Transact.

Five verbs, so that another engine could stand here: `prepare` its tables, `hand_over` work to a place, `serve` a
place (its queue, with a limit; work that its last worker left is resumed), wait durably between two looks, and
`take_over` the work of a place that died.

A piece of work is a function that is called again and again until it says that it is over; it may be called once too
often, after a crash. Nothing that must not happen twice is left to the engine: commands to move are guarded by intents
(`lpmkit.store.moves`), conductors by the lock of the plan's folder.

DBOS reads pickled values where a row of its tables says so, and whoever may write there could run programs on every
host. lpmkit writes JSON and refuses to read anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig
from dbos._serialization import DBOSPortableJSON, DefaultSerializer

from lpmkit.errors import StoreUnavailable
from lpmkit.plan.observing import OBSERVE
from lpmkit.store.database import Store

#: Plans that one place drives at once, watches that it records, and seconds between two looks at one.
PLANS_AT_ONCE, WATCHES_AT_ONCE, LOOK_EVERY_S = 8, 64, 5.0
#: Work that was begun with another version of this protocol is not resumed.
_PROTOCOL = "lpmkit-1"
_WORKFLOW = "carry_out"
_UNFINISHED = ["ENQUEUED", "PENDING", "DELAYED"]


def _refuse_pickle(*_: object) -> Any:
    raise TypeError("a row of the engine holds something that lpmkit did not write")


setattr(DefaultSerializer, "deserialize", _refuse_pickle)  # noqa: B010 - its type says that it reads


def _plans_of(place: str) -> str:
    return f"place-{place}"


def _watches_of(place: str) -> str:
    return f"observe-{place}"


def prepare(store: Store) -> None:
    """Create the engine's tables, or bring them up to date. Raises `StoreUnavailable`."""
    engine = store.pooled()
    try:
        DBOS.migrate(engine.url.set(drivername="postgresql").render_as_string(hide_password=False))
    except sa.exc.DBAPIError as error:
        raise StoreUnavailable(
            "the engine's tables could not be made", where=store.where, answered=str(error.orig)
        ) from None
    finally:
        engine.dispose()


@contextmanager
def _client(store: Store) -> Iterator[DBOSClient]:
    engine = store.pooled()
    try:
        client = DBOSClient(system_database_engine=engine, serializer=DBOSPortableJSON, retry_connection_errors=False)
        try:
            yield client
        finally:
            client.destroy()
    except sa.exc.DBAPIError as error:
        raise StoreUnavailable(
            "the shared store cannot be used, so no work changes hands", where=store.where, answered=str(error.orig)
        ) from None
    finally:
        engine.dispose()


def hand_over(store: Store, place: str, work: str) -> None:
    """Queue a piece of work for the worker of a place, unless it is there already. Raises `StoreUnavailable`."""
    with _client(store) as client:
        _enqueue(client, place, work)


def _enqueue(client: DBOSClient, place: str, work: str) -> None:
    client.enqueue(
        {
            "queue_name": _watches_of(place) if work.startswith(OBSERVE) else _plans_of(place),
            "workflow_name": _WORKFLOW,
            "workflow_id": f"{work} {token_hex(4)}",
            "app_version": _PROTOCOL,
            "deduplication_id": work,
            "duplication_policy": "return-existing",
        },
        work,
    )


def take_over(store: Store, place: str, to: str) -> list[str]:
    """Give the unfinished plans of one place to another; returns them. Whether that place is dead is the caller's to
    know. Its watches stay: from another place they would be others.

    The new work is queued before the old one is ended: work that is in both queues for a moment is harmless.
    """
    with _client(store) as client:
        found = client.list_workflows(queue_name=_plans_of(place), status=_UNFINISHED)
        works = []
        for workflow in found:
            arguments = (workflow.input["args"] if workflow.input else None) or ()
            if arguments and isinstance(arguments[0], str):
                _enqueue(client, to, arguments[0])
                works.append(arguments[0])
            client.cancel_workflow(workflow.workflow_id)
    return works


@contextmanager
def serve(store: Store, place: str, look: Callable[[str], bool]) -> Iterator[None]:
    """Do the work of a place while the block lasts, beginning with what its last worker left.

    ``look`` is called for each piece of work every `LOOK_EVERY_S` until it returns true; it must not raise. One process
    serves one place.
    """
    engine = store.pooled()
    config: DBOSConfig = {
        "name": "lpmkit",
        "system_database_url": "postgresql://engine/engine",
        "system_database_engine": engine,
        "executor_id": place,
        "application_version": _PROTOCOL,
        "serializer": DBOSPortableJSON,
        "run_migrations": False,
        "log_level": "ERROR",
    }
    dbos = DBOS(config=config)

    @DBOS.step(name="look")
    def looked(work: str) -> bool:
        return look(work)

    @DBOS.workflow(name=_WORKFLOW)
    def carry_out(work: str) -> None:
        while not looked(work):
            DBOS.sleep(LOOK_EVERY_S)

    at_once = {_plans_of(place): PLANS_AT_ONCE, _watches_of(place): WATCHES_AT_ONCE}
    DBOS.listen_queues(list(at_once))
    dbos.launch()
    for queue, most in at_once.items():
        DBOS.register_queue(queue, worker_concurrency=most, on_conflict="always_update")
    try:
        yield
    finally:
        DBOS.destroy(workflow_completion_timeout_sec=0)
        engine.dispose()
