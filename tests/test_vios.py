"""The commands typed at an I/O server, and the replies that are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from lpmkit.control import vios, vios_disks, vios_maps, vios_statistics
from lpmkit.control.vios import ViosShell
from lpmkit.errors import CommandRefused, UnexpectedReply
from lpmkit.inventory import VirtualScsiServer
from lpmkit.ssh.session import Reply, command_line

HEAD = (
    "SVSA            Physloc                                      Client Partition ID\n"
    "--------------- -------------------------------------------- ------------------\n"
)
ROW = "vhost0          U7998.61X.10071DA-V1-C11                     0x00000002\n"


class Typed:
    """A machine that gives one answer to everything and remembers what it was asked."""

    def __init__(self, output: str = "", status: int = 0, error: str = "") -> None:
        self.where = "bvio82"
        self.asked: list[tuple[str, str]] = []
        self._answer = (status, output, error)

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        command = command_line(arguments).removeprefix("LANG=C ")
        self.asked.append((command, stdin))
        status, output, error = self._answer
        return Reply(self.where, command, status, output, error, stdin)

    def close(self) -> None:
        """Nothing to close."""


def test_commands_carry_the_prefix_that_a_session_without_a_terminal_needs() -> None:
    session = Typed()
    ViosShell(session).scsi_map()
    assert session.asked == [("ioscli lsmap -all", "")]


def test_through_an_hmc_there_is_no_prefix() -> None:
    session = Typed()
    ViosShell(session, prefix="").scsi_map()
    assert session.asked == [("lsmap -all", "")]


def test_sddpcm_is_asked_as_root() -> None:
    session = Typed("No device file found\n")
    assert ViosShell(session).multipath() == ()
    assert session.asked == [("oem_setup_env", "pcmpath query device\n")]


def test_a_host_without_sddpcm_refuses_and_is_not_a_host_without_disks() -> None:
    with pytest.raises(CommandRefused):
        ViosShell(Typed(status=127, error="ksh: pcmpath:  not found.\n")).multipath()


def test_a_device_that_is_not_there_is_a_refusal() -> None:
    with pytest.raises(CommandRefused):
        ViosShell(Typed(status=1, error="Device is not defined.\n")).device("vasi0")


def test_the_slot_of_an_adapter_is_in_its_location() -> None:
    assert VirtualScsiServer("vhost0", "U7998.61X.10071DA-V1-C11", 2).slot == 11
    assert VirtualScsiServer("vhost0", "", 2).slot is None


def test_a_label_nobody_knows_is_left_alone() -> None:
    text = HEAD + ROW + "\nVTD                   rvg\nStatus                Available\nA new label           x\n"
    (server,) = vios_maps.read_scsi_map(text)
    assert server.targets[0].name == "rvg"


REFUSED: list[tuple[Callable[[str], object], str]] = [
    (vios_maps.read_scsi_map, "rksh: lsmap: not found\n"),
    (vios_maps.read_scsi_map, HEAD),
    (vios_maps.read_scsi_map, HEAD + "vhost0          U7998.61X.10071DA-V1-C11\n"),
    (vios_maps.read_scsi_map, HEAD + ROW.replace("0x00000002", "none")),
    (vios_maps.read_scsi_map, HEAD + ROW + "\nLUN                   0x8100000000000000\n"),
    (vios_maps.read_scsi_map, HEAD + ROW + "\nVTD                   rvg\n  and some prose that wraps around here\n"),
    (vios_maps.read_network_map, "SVEA   Physloc\n------ ---------\nent2\n"),
    (vios_maps.read_network_map, "SVEA   Physloc\n------ ---------\nent2   U1-V1-C2-T1\n"),
    (vios_disks.read_disks, "hdisk0 000071da3f1b6d20 rootvg active\n"),
    (vios_disks.read_disks, "NAME PVID VG STATUS\nhdisk0 000071da3f1b6d20\n"),
    (vios_disks.read_disks, "NAME PVID SIZE(megabytes)\nhdisk0 000071da3f1b6d20 many\n"),
    (vios.read_devices, "vasi0 Available x\n"),
    (vios.read_devices, "name             status      description\n  wrapped\n"),
    (vios.read_attribute, "no_reserve\n"),
    (vios.read_attribute, "value\n\none\ntwo\n"),
    (vios.read_attribute, ""),
    (vios.read_level, "Command not found\n"),
    (vios.read_level, "1.5\n"),
    (vios_disks.read_paths, "Enabled hdisk4 fscsi2\n"),
    (vios_disks.read_multipath, "    0           fscsi0/path0           OPEN   NORMAL         35          0\n"),
    (vios_disks.read_multipath, "DEV#:   4  DEVICE NAME: hdisk4\n"),
    (vios_disks.read_multipath,
     "DEV#:  4  DEVICE NAME: hdisk4  TYPE: 2145  ALGORITHM:  Load Balance\nSERIAL: 6\n    0   fscsi0/path0   OPEN\n"),
    (vios_disks.read_media, "vtopt0 No Media n/a\n"),
    (vios_statistics.read_shared_ethernet, "entstat: 0909-003 Unable to connect to device ent6, errno = 19\n"),
    (vios_statistics.read_shared_ethernet,
     "ETHERNET STATISTICS (ent6) :\nVirtual Adapter: ent4\nTrunk Adapter: True\n"),
    (vios_statistics.read_mover, "Device vasi0 is busy\n"),
]  # fmt: skip


@pytest.mark.parametrize(("reader", "text"), REFUSED)
def test_a_text_that_is_not_understood_is_refused(reader: Callable[[str], object], text: str) -> None:
    with pytest.raises(UnexpectedReply):
        reader(text)


def test_a_control_channel_is_no_trunk() -> None:
    text = (
        "ETHERNET STATISTICS (ent6) :\nVirtual Adapter: ent5\nTrunk Adapter: False\nPort VLAN ID:    99\nVLAN Tag "
        "IDs:  None\n"
    )
    assert vios_statistics.read_shared_ethernet(text).trunks == ()


def test_an_attribute_without_a_value_is_empty_and_not_missing() -> None:
    assert vios.read_attribute("value\n\n\n") == ""
