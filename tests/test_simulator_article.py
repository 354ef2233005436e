"""The signs of the reference case on the machines besides the managers' lists: counters, processes, the syslog."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lpmkit.simulator import recalled
from lpmkit.simulator.chassis import Migration, World
from lpmkit.simulator.guest import Guest, install
from lpmkit.simulator.shells import vios
from lpmkit.simulator.shells.aix_system import Process, ps, topas
from lpmkit.simulator.shells.reply import Context
from tests.in_process import place


@pytest.fixture
def world() -> World:
    with place("js22") as up:
        return up.world


@pytest.fixture
def guest(world: World) -> Guest:
    home = world.home("bxaix85")
    assert home is not None
    return install(world, home, 1_796_000_000.0)


def copying(world: World, sent: int) -> World:
    """The same world with a copy under way of which this many bytes are sent."""
    partition = next(one for one in world.on("bvio82") if one.name == "bxaix85")
    migration = Migration(1, "active", "bvio82", "bvio83", 2, 3, "Migration Starting", "copy", "", "",
                          source_msp=world.frame("bvio82").vios.name, bytes_transmitted=sent,
                          bytes_remaining=9)  # fmt: skip
    return world.with_partition(replace(partition, migration=migration))


def page(world: World, *words: str) -> str:
    reply = vios.run(world, world.frame("bvio82"), words, Context(wall_s=1_796_000_000.0))
    assert reply is not None
    return reply.out


def test_a_copy_moves_the_counters_of_the_shared_ethernet_adapter(world: World) -> None:
    def sent(of: World) -> int:
        return int(re.findall(r"^Bytes: (\d+)", page(of, "entstat", "-all", "ent6"), re.MULTILINE)[0])

    assert sent(copying(world, 840_000_000)) - sent(world) == 840_000_000


def test_a_copy_shows_in_topas_of_the_io_server(world: World) -> None:
    idle, busy = page(world, "topas"), page(copying(world, 840_000_000), "topas")
    assert "Topas Monitor for host:    bvio82" in idle
    rates = [float(re.findall(r"^en6 +([\d.]+)", text, re.MULTILINE)[0]) for text in (idle, busy)]
    assert rates[1] > 1000 * rates[0]
    assert "mover" in busy
    assert "mover" not in idle


def test_the_processor_time_of_work_processes_grows_and_that_of_daemons_hardly(guest: Guest) -> None:
    now = Context(wall_s=guest.boot_wall_s + 1000)
    later = replace(now, wall_s=now.wall_s + 600)
    work = [Process("bx5adm", 4096 * at, 1, "disp+work", "dw.sapBX5", guest.boot_wall_s) for at in range(5)]
    assert all(each.cpu_s(guest, later) - each.cpu_s(guest, now) > 3 for each in work)
    daemon = Process("root", 4096, 1, "cron", "/usr/sbin/cron")
    assert daemon.cpu_s(guest, later) - daemon.cpu_s(guest, now) < 1
    assert ps(guest, ["-ef"], later, work).out != ps(guest, ["-ef"], now, work).out
    assert "disp+work" in topas(guest, [], now, work).out


def test_the_syslog_says_what_the_article_quotes() -> None:
    assert "Starting CHECK phase for partition migration" in recalled.DRMGR_LINES["check"]
