"""Names with spaces, commas, stars, quotes, shell metacharacters, 31 characters, in any language: they survive the
round trip and cannot be injected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from lpmkit.config import load_site
from lpmkit.control.base import Order
from lpmkit.mapping.attributes import build_attributes
from lpmkit.mapping.compare import POOL, compare_mapping
from lpmkit.simulator import Simulator
from lpmkit.simulator.chassis import World
from lpmkit.simulator.landscape import BUILT_IN, load
from lpmkit.simulator.shells.grammar import parse
from lpmkit.ssh.secrets import Secrets
from lpmkit.survey.connect import control_of
from tests.in_process import Place, place

NASTY = (
    "teacher02 9.200.104.218",
    "a,b",
    'say "hello"',
    "it's",
    "*",
    "$(reboot)",
    "`reboot`; reboot & reboot | reboot",
    "../../etc/passwd",
    "-o m --force",
    "lpar_names=x,lpar_ids=1",
    "Prüfung größe 日本語",
    "x" * 31,
    "back\\slash 'n\" all",
    "a\u2028b",
)
#: What a manager may be asked: nothing that a name says.
COMMANDS = {
    "lsfware",
    "lssyscfg",
    "lshwres",
    "lslparmigr",
    "lshmc",
    "lsmemopt",
    "viosrvcmd",
    "migrlpar",
    "mkauthkeys",
    "ioscli",
    "oem_setup_env",
}

#: Any printable text of up to 31 characters that is neither empty nor only blanks.
names = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn", "Co")), min_size=1, max_size=31).filter(
    lambda text: text.strip() == text
)


def renamed(world: World, partition: str, server: str, pool: str) -> World:
    """The POWER8 frames with another name for a partition, an I/O server on each side, and a processor pool."""
    frames = []
    for frame in world.frames:
        first = replace(frame.servers[0], name=server + frame.name[-1])
        pools = tuple(replace(one, name=pool if one.name == "SAP pool" else one.name) for one in frame.pools)
        frames.append(replace(frame, servers=(first, *frame.servers[1:]), pools=pools))
    world = replace(world, frames=tuple(frames))
    for old in world.partitions:
        scsi = tuple(replace(one, server=_new(one.server, old.frame, server)) for one in old.scsi)
        fibre = tuple(replace(one, server=_new(one.server, old.frame, server)) for one in old.fc)
        nics = tuple(
            replace(nic, backing=tuple(replace(one, server=_new(one.server, old.frame, server)) for one in nic.backing))
            for nic in old.vnics
        )
        name = partition if old.name == "p8aix01" else old.name
        world = world.without(old.frame, old.name)
        world = world.with_partition(replace(old, name=name, scsi=scsi, fc=fibre, vnics=nics))
    return world


def _new(old: str, frame: str, server: str) -> str:
    return server + frame[-1] if old.endswith("vios1") else old


def typed_commands(site: Place) -> set[str]:
    """The first word of every command that ran, those for a VIOS included."""
    found = set()
    for line in site.asked:
        for step in parse(line):
            assert len(step.pipeline) == 1
            (command,) = step.pipeline
            found.add(command.words[0])
            if command.words[0] == "viosrvcmd":
                inner = parse(command.words[command.words.index("-c") + 1])
                assert len(inner) == 1
                found |= {one.words[0] for one in inner[0].pipeline} - {
                    *("lsmap", "lspv", "lsdev", "lspath", "lsvopt", "ioslevel", "entstat", "lsnports", "chkdev")
                }
    return found


@settings(max_examples=8, deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate])
@given(partition=names, server=names.filter(lambda text: not set(text) & set(',"')), pool=names)
@example(partition="a,b", server="c/d", pool="e,f")
@example(partition='"', server="/", pool='"a=b')
@example(partition="$(reboot)", server="; reboot #", pool="`reboot`")
@example(partition="p8npiv01 ", server="v", pool="DefaultPool2")
def test_a_partition_of_any_name_is_surveyed_mapped_and_moved(partition: str, server: str, pool: str) -> None:
    world = load(Path("p8pair"))
    taken = {found.name for found in world.partitions} | {one.name for frame in world.frames for one in frame.servers}
    if (
        partition in taken
        or f"{server}a" in taken
        or pool in ("ORACLE", "DefaultPool")
        or partition in (f"{server}a", f"{server}b")
    ):
        return
    with place(renamed(world, partition, server, pool)) as site:
        order = site.order(partition, "p8a", "p8b")
        survey = site.survey(order)
        assert survey.gaps == ()
        moving = survey.moving
        assert moving is not None
        assert (moving.name, moving.pool) == (partition, pool)
        kept = build_attributes(survey)
        assert kept.troubles == ()
        (line,) = [line for line in compare_mapping(survey, kept.record) if line.kind == POOL]
        assert line.there is not None
        control = site.control("p8a")
        order = replace(order, mapping=kept.record)
        assert control.validate(order).text == ""
        assert control.migrate(order).status in (0, None)
        assert site.chassis.wait_for(lambda world: world.partition("p8a", partition) is None, 30)
        there = site.world.partition("p8b", partition)
        assert there is not None
        assert [pair.server for pair in there.scsi] == [f"{server}b", "p8b-vios2"]
        assert there.pool == 2
        assert site.control("p8b").migration(partition).partition_state == "Running"
        assert typed_commands(site) <= COMMANDS


def test_an_io_server_whose_name_takes_a_managers_lists_apart_is_not_known_and_never_mistaken() -> None:
    """``sriov/VIOS/id/…,sriov/VIOS/id/…`` cannot be read when the name holds a comma; nobody guesses."""
    with place(renamed(load(Path("p8pair")), "p", "c,d", "SAP pool")) as site:
        survey = site.survey(site.order("p", "p8a", "p8b"))
        assert {gap.what for gap in survey.gaps} == {"vnics", "mover pairs", "places"}
        assert build_attributes(survey).record == {}
        assert site.control("p8a").validate(site.order("p", "p8a", "p8b")).text == ""


@pytest.mark.parametrize("name", NASTY)
def test_an_ivm_is_asked_about_a_partition_of_any_name(name: str) -> None:
    world = load(Path("js22"))
    old = world.partition("bvio82", "bxaix85")
    assert old is not None
    with place(world.without("bvio82", "bxaix85").with_partition(replace(old, name=name))) as site:
        control, order = site.control("bvio82"), site.order(name, "bvio82", "bvio83")
        assert control.migration(name).partition_state == "Running"
        assert control.physical_slots(name) == ()
        assert control.validate(order).text == ""
        assert control.recover(order).status == 1  # nothing to recover, and that is what it says
        assert control.migrate(order).status == 0
        assert site.chassis.wait_for(lambda world: world.partition("bvio82", name) is None, 30)
        assert control.migration(name).partition_state is None
        assert typed_commands(site) <= COMMANDS


@pytest.fixture(scope="module")
def over_ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Simulator, Callable[[str], Order]]]:
    """The POWER8 frames over real SSH, with one more partition of every nasty name, none of them activated."""
    reader = YAML(typ="safe", pure=True)
    landscape = reader.load((BUILT_IN / "p8pair.yaml").read_text(encoding="utf-8"))
    model = next(one for one in landscape["partitions"] if one["name"] == "p8aix06")
    others = [{**one, "host": one["name"] == "p8npiv01"} for one in landscape["partitions"]]
    nasty = [{**model, "name": name, "lpar_id": 30 + at, "scsi": [], "disks": []} for at, name in enumerate(NASTY)]
    path = tmp_path_factory.mktemp("names") / "nasty.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump({**landscape, "partitions": [*others, *nasty]}, file)
    with Simulator(path, speed=500.0) as simulator:
        yield simulator, lambda name: Order(name, "p8a", "p8b", "8286-42A*21A40BC", "", "")


def test_over_real_ssh_every_name_arrives_as_it_is(
    over_ssh: tuple[Simulator, Callable[[str], Order]],
) -> None:
    simulator, order_of = over_ssh
    control = control_of(load_site(simulator.site_file), "p8a", secrets=Secrets())
    try:
        assert set(NASTY) <= {one.name for one in control.partitions()}
        for name in NASTY:
            assert control.migration(name).partition_state == "Not Activated"
            assert control.validate(order_of(name)).text == ""
    finally:
        control.close()


def test_over_real_ssh_a_partition_with_the_worst_name_is_moved(
    over_ssh: tuple[Simulator, Callable[[str], Order]],
) -> None:
    simulator, order_of = over_ssh
    name = "`reboot`; reboot & reboot | reboot"
    control = control_of(load_site(simulator.site_file), "p8a", secrets=Secrets())
    try:
        assert control.migrate(order_of(name)).status in (0, None)
        assert simulator.chassis.wait_for(lambda world: world.partition("p8a", name) is None, 30)
        assert re.search("Not Activated", control.migration("p8aix06").partition_state or "")
    finally:
        control.close()
