"""The questions to a partition, the answers that must not be misunderstood, and the identity that a move changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lpmkit.control import aix, aix_identity, aix_logs
from lpmkit.control.aix import AixShell
from lpmkit.control.aix_logs import read_error_reports, read_errpt
from lpmkit.errors import UnexpectedReply
from lpmkit.ssh.session import Reply, command_line

FIXTURES = Path(__file__).parent.parent / "fixtures"


class Typed:
    """A partition that answers by command line and refuses the rest."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.where = "bxaix85"
        self.answers = answers

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        command = command_line(arguments).removeprefix("LANG=C ")
        if command not in self.answers:
            return Reply(self.where, command, 127, "", f"ksh: {command}:  not found.\n")
        return Reply(self.where, command, 0, self.answers[command], "")

    def close(self) -> None:
        """Nothing to close."""


def recorded(moment: str) -> dict[str, str]:
    found = {}
    for path in FIXTURES.glob("aix-5.3/*/*.json"):
        notes = json.loads(path.read_text(encoding="utf-8"))
        if notes["moment"] == moment:
            found[notes["command"]] = path.with_suffix(".txt").read_text(encoding="utf-8")
    return found


def test_the_identity_of_the_reference_partition() -> None:
    who = AixShell(Typed(recorded("before"))).identity()
    assert (who.hostname, who.lpar_name, who.lpar_id) == ("bxaix85", "bxaix85", 2)
    assert (who.model, who.serial, who.firmware) == ("IBM,7998-61X", "10071DA", "EA320_061")
    assert (who.machine_id, who.system_id, who.frame_id) == ("000071DA4C00", "IBM,0310071DA", "8000BA02D0071DA2")
    assert who.level == "5300-07-03-0811"
    assert who.booted == datetime(2008, 7, 27, 14, 33, tzinfo=UTC)
    assert who.disks is not None
    assert who.disks[0] == ("hdisk0", "00c71da1e5b1f0a2")
    assert who.missing == ()


def test_what_cannot_be_asked_is_named_and_does_not_end_the_rest() -> None:
    answers = recorded("before")
    del answers["uname -f"]
    who = AixShell(Typed(answers)).identity()
    assert who.frame_id is None
    assert who.machine_id == "000071DA4C00"
    assert len(who.missing) == 1
    assert "uname -f" in who.missing[0]


@pytest.mark.parametrize(
    "case", ["aix-5.3/errpt/after_the_move", "aix-7.2/errpt/new_identifiers", "aix-6.1/errpt/path_noise_of_a_move"]
)
def test_a_move_is_found_in_the_error_log_of_every_generation(case: str) -> None:
    entries = read_errpt((FIXTURES / f"{case}.txt").read_text(encoding="utf-8"))
    told = [entry.description for entry in entries if entry.description.startswith("Client Partition Migration ")]
    assert told == ["Client Partition Migration Completed", "Client Partition Migration Started"]


def test_the_machine_id_of_the_long_error_log_changes_with_the_machine() -> None:
    text = (FIXTURES / "aix-5.3/errpt_a/machine_id_proves_the_move.txt").read_text(encoding="utf-8")
    done, started = read_error_reports(text)
    assert (done.label, started.label) == ("CLIENT_PMIG_DONE", "CLIENT_PMIG_STARTED")
    assert done.machine_id != started.machine_id


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("03:47PM   up 4 days,   5:42,  12 users,  load average: 0.32, 0.43, 0.36\n", 6102),
        ("03:47PM   up 1 day,   0:02,  1 user,  load average: 0.32, 0.43, 0.36\n", 1442),
        ("03:47PM   up   5:42,  1 user,  load average: 0.32, 0.43, 0.36\n", 342),
        ("03:47PM   up 2 days, 7 mins,  2 users,  load average: 0.32, 0.43, 0.36\n", 2887),
        ("03:47PM   up 3 hrs,  2 users,  load average: 0.32, 0.43, 0.36\n", 180),
    ],
)
def test_an_uptime_is_read_however_it_is_blanked(text: str, minutes: int) -> None:
    assert aix_identity.read_uptime(text).minutes == minutes


REFUSED: list[tuple[Callable[[str], object], str]] = [
    (aix_identity.read_machine_id, "000071DA4C0\n"),
    (aix_identity.read_machine_id, "not a machine\n"),
    (aix_identity.read_machine_id, "000071DA4C00\n000071DA4C00\n"),
    (aix_identity.read_frame_id, "8000BA02D0071DAZ\n"),
    (aix_identity.read_system_id, "0310071DA\n"),
    (aix_identity.read_lpar_label, "bxaix85\n"),
    (aix_identity.read_hostname, "uname: not found\n"),
    (aix_identity.read_level, "5300-07\n"),
    (aix_identity.read_configuration, "\n"),
    (aix_identity.read_configuration, "System Model: IBM,7998-61X\nprose without a label\n"),
    (aix_identity.read_lparstat, "Partition Name : bxaix85\n"),
    (aix_identity.read_lparstat, "lparstat is not available\n"),
    (aix_logs.read_errpt, "08917DC6   0808201508 I S pmig           Client Partition Migration Started\n"),
    (aix_logs.read_errpt, "IDENTIFIER TIMESTAMP  T C RESOURCE_NAME  DESCRIPTION\n08917DC6   08082015 I S pmig   x\n"),
    (aix_logs.read_error_reports, "LABEL:          CLIENT_PMIG_STARTED\n"),
    (aix_logs.read_error_reports, "-" * 75 + "\nLABEL:          CLIENT_PMIG_STARTED\n"),
    (aix.read_adapters, "ent0\n"),
    (aix.read_adapters, "lsdev: 0514-521 Cannot find information\n"),
    (aix.read_disks, "hdisk0 00c71da1e5b1f0a2\n"),
    (aix.read_paths, "Enabled hdisk0\n"),
    (aix.read_subsystem, "0513-085 The ctrmc Subsystem is not on file.\n"),
    (aix_identity.read_uptime, "03:47PM   up 4 days,   5:42,  load average: 0.32, 0.43, 0.36\n"),
    (aix_identity.read_uptime, "03:47PM   up a while,  1 user,  load average: 0.32, 0.43, 0.36\n"),
    (aix_identity.read_uptime, "03:47PM   up 5 mins,  1 user,  load average: 0.32, 0.43\n"),
    (aix_identity.read_date, "Fri Aug  8 22:15:02 CEST 2008\n"),
    (aix_identity.read_date, "Fre Aug  8 20:15:02 UTC 2008x\n"),
]  # fmt: skip


@pytest.mark.parametrize(("reader", "text"), REFUSED)
def test_a_text_that_is_not_understood_is_refused(reader: Callable[[str], object], text: str) -> None:
    with pytest.raises(UnexpectedReply):
        reader(text)
