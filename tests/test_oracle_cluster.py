"""A service of several instances, and the view from within one container, for the doctor and for a probe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lpmkit.oracle import state
from lpmkit.oracle.check import Look, look_at
from lpmkit.oracle.drivers import by_driver
from lpmkit.settings.oracle import DatabaseSettings
from lpmkit.simulator.oracle.instance import Member
from lpmkit.ssh.client import SshSession
from lpmkit.ssh.route import Route
from tests.served_database import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path)
    one.instance.around.members.append(Member("BX52", "bxaix86", one.instance.started_wall_s - 3600))
    yield one
    one.listener.close()


def logon(served: Served, alert_log: str | None = None) -> Look:
    """The doctor's word on a logon."""
    settings = DatabaseSettings(
        partition="bxaix85", version="19", listener=served.address, user="LPMKIT", service="BX5", alert_log=alert_log
    )
    looks = look_at("BX5", settings, "secret", SshSession(Route("bxaix85", "127.0.0.1", 1, "nobody")))
    return next(look for look in looks if look.what == "logon to BX5")


def test_a_service_of_one_instance_of_a_cluster_is_fine(served: Served) -> None:
    look = logon(served)
    assert look.works is True, look.found


def test_a_service_of_several_instances_is_refused_with_what_to_write(served: Served) -> None:
    served.instance.do("service-everywhere")
    look = logon(served)
    assert look.works is False
    assert "the service BX5 runs on 2 instances (numbers 1, 2)" in look.found
    assert "databases.BX5.service" in look.next_step
    assert "srvctl add service" in look.next_step


def test_logons_by_such_a_service_land_on_either_instance(served: Served) -> None:
    served.instance.do("service-everywhere")
    places = set()
    for _ in range(4):
        connection = by_driver(served.way, "secret", 10.0)
        places.add(state.instance_of(state.beat_of(connection.rows(state.BEAT))))
        connection.close()
    assert places == {("BX5", "bxaix85"), ("BX52", "bxaix86")}


@pytest.mark.parametrize(
    ("container", "alert_log", "works", "says"),
    [
        ("PDB1", "V$DIAG_ALERT_EXT", False, "C##"),
        ("PDB1", None, True, ""),
        ("CDB$ROOT", "V$DIAG_ALERT_EXT", True, ""),
    ],
)
def test_a_log_that_is_read_by_sql_from_within_one_container_is_refused_with_what_to_write(
    served: Served, container: str, alert_log: str | None, works: bool, says: str
) -> None:
    served.instance.do(f"pluggable:{container}")
    look = logon(served, alert_log)
    assert look.works is works, look
    assert says in look.next_step
