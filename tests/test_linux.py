"""A partition with Linux: what it tells of itself, and that it is asked as Linux."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lpmkit.control.aix_identity import Identity
from lpmkit.control.aix_memory import RealMemory
from lpmkit.control.linux import LinuxShell, read_boot_time, read_memory
from lpmkit.errors import UnexpectedReply
from lpmkit.ssh.batching import BatchingSession
from lpmkit.ssh.session import RecordedSession, Reply
from lpmkit.survey.gather import survey_guest
from lpmkit.survey.identity import Change, IdentitySnapshot, changed

LPARCFG = "lparcfg 1.9\nserial_number=IBM,0310071DA\nsystem_type=IBM,8247-22L\npartition_id=4\nsystem_potential_processors=16\n"
TOLD = {
    "uname -s": "Linux\n",
    "uname -n": "p8lin01\n",
    "cat /proc/powerpc/lparcfg": LPARCFG,
    "cat /proc/device-tree/ibm,partition-name": "p8lin01\0",
    "cat /proc/device-tree/openprom/ibm,fw-vernum_encoded": "FW860.10 (SV860_082)\0",
    "cat /etc/os-release": 'NAME="Red Hat Enterprise Linux"\nPRETTY_NAME="Red Hat Enterprise Linux 9.4 (Plow)"\n',
    "cat /proc/meminfo": "MemTotal:       16640384 kB\nMemFree:         1024000 kB\nHugePages_Total:       0\n",
    "cat /proc/stat": "cpu  1 2 3 4\nbtime 1772359205\nprocesses 7\n",
    "lsblk -dn -o NAME,WWN": "sda 0x600507680c80818e\nsdb \n",
    "ps -e -o pid,args": "    PID COMMAND\n      1 /sbin/init\n    900 /usr/sbin/corosync -f\n",
    "corosync-cmapctl runtime.config.totem.token": "runtime.config.totem.token (u32) = 5000\n",
}


def linux(told: dict[str, str] | None = None) -> RecordedSession:
    rows = TOLD if told is None else told
    return RecordedSession("p8lin01", [Reply("p8lin01", f"LANG=C {line}", 0, text, "") for line, text in rows.items()])


def test_linux_tells_which_partition_it_is_and_where() -> None:
    assert LinuxShell(linux()).identity() == Identity(
        hostname="p8lin01",
        lpar_name="p8lin01",
        lpar_id=4,
        model="IBM,8247-22L",
        serial="10071DA",
        firmware="SV860_082",
        system_id="IBM,0310071DA",
        level="Red Hat Enterprise Linux 9.4 (Plow)",
        booted=datetime(2026, 3, 1, 10, 0, 5, tzinfo=UTC),
        disks=(("sda", "0x600507680c80818e"), ("sdb", "none")),
        system="Linux",
    )


def test_it_is_told_apart_from_another_machine_by_number_and_serial_number() -> None:
    shell = LinuxShell(linux())
    assert shell.lpar_label() == (4, "p8lin01")
    assert shell.system_id().endswith("10071DA")
    with pytest.raises(UnexpectedReply):
        LinuxShell(linux({**TOLD, "cat /proc/powerpc/lparcfg": "serial_number=IBM,02X\n"})).lpar_label()


def test_older_kernels_have_it_under_another_name() -> None:
    told = {line.replace("/proc/powerpc", "/proc/ppc64"): text for line, text in TOLD.items()}
    assert LinuxShell(linux(told)).identity().serial == "10071DA"


def test_what_cannot_be_read_is_named_and_the_rest_stays() -> None:
    told = {**TOLD, "cat /proc/powerpc/lparcfg": "nothing of the kind\n", "cat /proc/stat": "cpu 1\n"}
    identity = LinuxShell(linux(told)).identity()
    assert (identity.serial, identity.lpar_id, identity.booted) == (None, None, None)
    assert identity.hostname == "p8lin01"
    assert len(identity.missing) == 2


def test_a_survey_asks_a_linux_as_linux_and_finds_its_cluster() -> None:
    facts = survey_guest(BatchingSession(linux()), "p8lin01")
    assert facts.guest.identity.system == "Linux"
    assert [(member.kind, member.tolerates_s) for member in facts.guest.clusters or ()] == [("Pacemaker", 5.0)]
    assert facts.guest.memory is not None
    assert facts.guest.memory.memory == RealMemory(16640384 << 10, 15616384 << 10)
    assert not facts.gaps


def test_a_move_changes_the_system_and_nothing_that_linux_does_not_have() -> None:
    before = LinuxShell(linux()).identity()
    after = LinuxShell(
        linux({**TOLD, "cat /proc/powerpc/lparcfg": LPARCFG.replace("0310071DA", "0321A3F5C")})
    ).identity()
    rows = {
        row.what: row for row in changed(IdentitySnapshot("p8a", before, None), IdentitySnapshot("p8b", after, None))
    }
    assert {"uname -m", "uname -f"}.isdisjoint(rows)
    assert (rows["machine serial"].change, rows["machine serial"].as_it_should) == (Change.CHANGED, True)
    assert rows["disks (WWN)"].as_it_should
    assert rows["Linux level"].as_it_should


@pytest.mark.parametrize(
    "text", ["", "MemTotal: 5 kB\n", "MemTotal: 5\nMemFree: 1\n", "MemTotal: x kB\nMemFree: 1 kB\n"]
)
def test_a_memory_that_is_not_told_is_refused(text: str) -> None:
    with pytest.raises(UnexpectedReply):
        read_memory(text)


@pytest.mark.parametrize("text", ["", "cpu 1 2\n", "btime \n", "btime x\n"])
def test_a_start_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UnexpectedReply):
        read_boot_time(text)
