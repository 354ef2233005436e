"""A survey gathers what it can, and says what it could not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lpmkit.checks import Answer, examine, ready
from lpmkit.control.aix import AixShell
from lpmkit.control.aix_identity import Identity
from lpmkit.control.base import Order
from lpmkit.control.ivm import Ivm
from lpmkit.control.vios import ViosShell
from lpmkit.errors import NoAnswer
from lpmkit.inventory import PhysicalDisk
from lpmkit.ssh.session import RecordedSession, Reply, command_line
from lpmkit.survey.gather import gather
from lpmkit.survey.identity import Change, IdentitySnapshot, changed
from lpmkit.survey.model import Survey, same_disk

FIXTURES = Path(__file__).parent.parent / "fixtures"
ORDER = Order("bxaix85", "bvio82", "bvio83", "7998-61X*10072EA", "192.0.2.83", "padmin")


def recorded_before() -> list[Reply]:
    """The answers of the three machines of the JS22 landscape before the move."""
    found = []
    for path in sorted(FIXTURES.glob("*-*/*/*.json")):
        notes = json.loads(path.read_text(encoding="utf-8"))
        if notes.get("moment") == "before":
            text = path.with_suffix(".txt").read_text(encoding="utf-8")
            found.append(
                Reply(
                    notes["host"], "LANG=C " + notes["command"], notes["status"], text, notes["stderr"], notes["stdin"]
                )
            )
    return found


class Levelled:
    """A recorded machine that refuses what nobody recorded, as a level does with fields it does not know."""

    def __init__(self, where: str, replies: Sequence[Reply], silent: Sequence[str] = ()) -> None:
        self._known = {(reply.command, reply.stdin) for reply in replies if reply.where == where}
        self._inner = RecordedSession(where, replies)
        self._silent = silent

    @property
    def where(self) -> str:
        return self._inner.where

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        command = command_line(arguments)
        if any(word in command for word in self._silent):
            raise NoAnswer(f"no answer within {timeout_s:g} s", where=self.where, asked=command)
        if (command, stdin) not in self._known:
            return Reply(self.where, command, 1, "", "[VIOSE01010003-0000] not known at this level\n", stdin)
        return self._inner.run(arguments, timeout_s=timeout_s, stdin=stdin)

    def close(self) -> None:
        self._inner.close()


def surveyed(silent: Sequence[str] = (), *, with_partition: bool = True) -> Survey:
    replies = recorded_before()
    source, target, guest = (Levelled(name, replies, silent) for name in ("bvio82", "bvio83", "bxaix85"))
    return gather(
        ORDER,
        Ivm("bvio82", source),
        Ivm("bvio83", target),
        ViosShell(source),
        ViosShell(target),
        AixShell(guest) if with_partition else None,
    )


def test_both_ends_of_the_reference_case_are_gathered() -> None:
    survey = surveyed()
    moving = survey.moving
    assert moving is not None
    assert (moving.lpar_id, moving.memory_mb, moving.proc_units, moving.huge_pages) == (2, 4096, 0.8, 0)
    assert survey.target.frame is not None
    assert survey.target.frame.memory_available_mb == 11776
    assert survey.physical_slots == ()
    assert survey.keys is not None
    assert survey.keys.status == 0
    assert survey.guest is not None
    assert survey.guest.identity.machine_id == "000071DA4C00"
    assert survey.guest.identity.missing == ()


def test_nothing_is_missing_of_the_reference_case_although_its_level_knows_fewer_fields() -> None:
    assert surveyed().gaps == ()


def test_the_reference_case_is_ready_to_move() -> None:
    assert ready(examine(surveyed())) is Answer.READY


def test_a_command_without_an_answer_is_a_gap_and_not_an_empty_list() -> None:
    survey = surveyed(silent=["lsmap -all", "lspv"])
    assert survey.source.vios is not None
    assert survey.source.vios.scsi_servers is None
    assert survey.source.vios.disks is None
    assert survey.source.vios.paths is None
    assert "no answer" in survey.why_not("disks", "bvio82")
    assert survey.source.frame is not None


def test_a_target_that_is_silent_leaves_the_source_known() -> None:
    replies = recorded_before()
    silent = Levelled("bvio83", replies, silent=["LANG=C"])
    source = Levelled("bvio82", replies)
    survey = gather(ORDER, Ivm("bvio82", source), Ivm("bvio83", silent), ViosShell(source), ViosShell(silent), None)
    assert survey.moving is not None
    assert survey.target.frame is None
    assert survey.target.partitions is None
    assert {gap.where for gap in survey.gaps} == {"bvio83", "bxaix85"}


def two_io_servers(*silent: str) -> Survey:
    """The reference case, with a second I/O server on the source that answers as the first does or leaves commands
    unanswered.
    """
    replies = recorded_before()
    source, second, target = (
        Levelled("bvio82", replies),
        Levelled("bvio82", replies, silent),
        Levelled("bvio83", replies),
    )
    shells = {"v1": ViosShell(source), "v2": ViosShell(second)}
    return gather(ORDER, Ivm("bvio82", source), Ivm("bvio83", target), shells, {"w1": ViosShell(target)}, None)


def test_what_two_io_servers_have_is_gathered_with_its_owner_and_one_alone_keeps_its_names() -> None:
    survey = two_io_servers()
    assert survey.source.vios is not None
    assert survey.target.vios is not None
    names = [disk.name for disk in survey.source.vios.disks or ()]
    assert {"hdisk1@v1", "hdisk1@v2"} <= set(names)
    assert {path.disk for path in survey.source.vios.paths or ()} <= set(names)
    assert "hdisk1" in [disk.name for disk in survey.target.vios.disks or ()]
    assert [server.name for server in survey.source.servers] == ["v1", "v2"]
    assert "hdisk1" in [disk.name for disk in survey.source.servers[1].disks or ()]
    assert survey == Survey.from_dict(json.loads(json.dumps(survey.to_dict())))


def test_what_the_second_io_server_does_not_tell_is_not_known_of_the_frame() -> None:
    survey = two_io_servers("lsmap -all -net", "lspv")
    assert survey.source.vios is not None
    assert survey.source.vios.disks is None
    assert survey.source.vios.shared_ethernets is None
    assert survey.source.vios.scsi_servers is not None
    assert "no answer" in survey.why_not("disks", "bvio82")


def test_one_manager_with_both_frames_is_asked_for_no_keys() -> None:
    replies = recorded_before()
    source, target = Levelled("bvio82", replies), Levelled("bvio83", replies)
    order = replace(ORDER, target_address="", target_user="")
    survey = gather(order, Ivm("bvio82", source), Ivm("bvio83", target), ViosShell(source), ViosShell(target), None)
    assert (survey.keys, survey.one_manager) == (None, True)


def test_a_partition_without_a_login_is_a_gap() -> None:
    survey = surveyed(with_partition=False)
    assert survey.guest is None
    assert "log in" in survey.why_not("partition", "bxaix85")


def test_one_path_listing_that_fails_makes_all_paths_unknown() -> None:
    """A part of the paths would pass for all of them."""
    survey = surveyed(silent=["lspath -dev hdisk2"])
    assert survey.source.vios is not None
    assert survey.source.vios.paths is None


def test_a_survey_comes_back_whole_from_json() -> None:
    survey = surveyed(silent=["lsdev -virtual"])
    assert Survey.from_dict(json.loads(json.dumps(survey.to_dict()))) == survey


def test_a_disk_is_the_same_by_its_unique_id_whatever_its_name_and_number() -> None:
    survey = surveyed()
    vios = survey.target.vios
    assert vios is not None
    renamed = PhysicalDisk("hdisk9", pvid=None, unique_id="200B75BALB1400007210790003IBMfcp")
    side = replace(survey.target, vios=replace(vios, disks=(renamed,)))
    wanted = PhysicalDisk("hdisk1", "00c71da1e5b1f0a2", unique_id="200B75BALB1400007210790003IBMfcp")
    assert same_disk(side, wanted) == (renamed, "unique_id")


def test_two_disks_with_one_pvid_and_two_unique_ids_are_not_the_same() -> None:
    survey = surveyed()
    vios = survey.target.vios
    assert vios is not None
    copy = PhysicalDisk("hdisk9", pvid="00c71da1e5b1f0a2", unique_id="a flash copy")
    side = replace(survey.target, vios=replace(vios, disks=(copy,)))
    assert same_disk(side, PhysicalDisk("hdisk1", "00c71da1e5b1f0a2", unique_id="the original")) == (None, None)


BOOT = datetime(2008, 7, 27, 14, 33, tzinfo=UTC)
BEFORE = IdentitySnapshot(
    "bvio82",
    Identity(
        hostname="bxaix85", lpar_name="bxaix85", lpar_id=2, model="IBM,7998-61X", serial="10071DA",
        firmware="EA320_061",
        machine_id="000071DA4C00", system_id="IBM,0310071DA", frame_id="8000BA02D0071DA2", level="5300-07-03-0811",
        booted=BOOT, disks=(("hdisk0", "00c71da1e5b1f0a2"),),
    ),
)  # fmt: skip
AFTER = IdentitySnapshot(
    "bvio83",
    replace(
        BEFORE.identity, lpar_id=3, serial="10072EA", machine_id="000072EA4C00", system_id="IBM,0310072EA",
        frame_id="8000BA02D0072EA3", booted=BOOT + timedelta(seconds=60),
    ),
)  # fmt: skip


def test_a_move_changes_the_machine_and_leaves_the_partition_alone() -> None:
    rows = {row.what: row for row in changed(BEFORE, AFTER)}
    assert {what for what, row in rows.items() if row.change is Change.CHANGED} == {
        "frame", "machine serial", "uname -m", "uname -u", "uname -f", "partition id",
    }  # fmt: skip
    assert all(row.as_it_should is not False for row in rows.values())


def test_after_a_move_that_was_stopped_or_rolled_back_the_old_frame_is_as_it_should_be() -> None:
    assert {row.as_it_should for row in changed(BEFORE, BEFORE, stayed=True)} <= {True, None}
    arrived = {row.what: row.as_it_should for row in changed(BEFORE, AFTER, stayed=True)}
    assert arrived["frame"] is False
    assert arrived["machine serial"] is False


def test_a_boot_time_that_moved_is_a_restart() -> None:
    restarted = replace(AFTER, identity=replace(AFTER.identity, booted=BOOT + timedelta(hours=1)))
    row = changed(BEFORE, restarted)[-1]
    assert (row.what, row.change, row.as_it_should) == ("boot time", Change.CHANGED, False)


def test_a_boot_time_within_a_printed_minute_is_the_same_boot() -> None:
    assert changed(BEFORE, AFTER)[-1].change is Change.SAME


@pytest.mark.parametrize("field", ["machine_id", "booted", "disks"])
def test_what_was_not_read_is_unknown_and_neither_right_nor_wrong(field: str) -> None:
    nothing: dict[str, Any] = {field: None}
    unread = replace(AFTER, identity=replace(AFTER.identity, **nothing))
    assert Change.UNKNOWN in {row.change for row in changed(BEFORE, unread) if row.as_it_should is None}


def test_a_serial_that_did_not_change_is_not_as_it_should() -> None:
    stayed = replace(AFTER, identity=replace(AFTER.identity, serial="10071DA"))
    row = next(row for row in changed(BEFORE, stayed) if row.what == "machine serial")
    assert row.as_it_should is False
