"""Options of migrlpar: data by the manager's level, the same for validation and move."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lpmkit.control.move_options import checked_options, move_options, option_arguments
from lpmkit.errors import UsageError
from tests.in_process import place


def test_every_option_has_values_a_release_and_a_source() -> None:
    assert {"requirerr", "redundantmsps", "migsriov", "affinity", "vniccfg"} <= set(move_options())
    for option in move_options().values():
        assert option.values
        assert option.since
        assert option.meaning
        assert option.source


@pytest.mark.parametrize("options", [{"force": "1"}, {"requirerr": "9"}, {"mpio": ""}])
def test_an_option_or_a_value_that_is_not_known_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        checked_options(options)


def test_validation_and_move_carry_the_same_options() -> None:
    with place("p8pair") as up:
        order = replace(up.order("p8aix01", "p8a", "p8b"), options={"requirerr": "2", "redundantvios": "2"})
        control = up.control("p8a")
        validated = control.validate(order)
        moved = control.migrate(order)
    for reply in (validated, moved):
        assert "--redundantvios 2 --requirerr 2" in reply.command
    assert validated.status == 0


def test_an_option_is_given_once_where_the_disks_are_validated() -> None:
    with place("p8pair") as up:
        order = replace(up.order("p8npiv01", "p8a", "p8b"), options={"npivval": "port"})
        reply = up.control("p8a").validate(order, disks=True)
    assert reply.command.count("--npivval") == 1
    assert "--npivval portdisk" in reply.command


@pytest.mark.parametrize(
    ("landscape", "partition", "source", "target", "name"),
    [("p7pair", "p7aix01", "p7a", "p7b", "requirerr"), ("p8pair", "p8aix01", "p8a", "p8b", "migsriov"),
     ("js22", "bxaix85", "bvio82", "bvio83", "mpio")],
)  # fmt: skip
def test_a_manager_without_an_option_is_not_sent_it(
    landscape: str, partition: str, source: str, target: str, name: str
) -> None:
    with place(landscape) as up:
        order = replace(up.order(partition, source, target), options={name: move_options()[name].values[-1]})
        with pytest.raises(UsageError, match=f"no option --{name}"):
            up.control(source).validate(order)
        assert not any(f"--{name}" in command for command in up.asked)


def test_a_console_that_does_not_print_its_level_may_refuse_itself() -> None:
    assert option_arguments({"affinity": "yes"}, None) == ["--affinity"]
