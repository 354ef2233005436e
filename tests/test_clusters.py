"""Cluster software of a partition, and how long it says it waits."""

from __future__ import annotations

import pytest

from lpmkit.control.clusters import ClusterMember, cluster_kinds, members
from lpmkit.errors import UnexpectedReply
from lpmkit.ssh.session import RecordedSession, Reply

HEAD = "    PID COMMAND\n"
RAC = " 418022 /u01/grid/bin/ocssd.bin\n 418023 /u01/grid/bin/crsd.bin reboot\n"


def asked(processes: str, **said: tuple[int, str]) -> tuple[ClusterMember, ...]:
    """The clusters found where the processes are these and the commands (by their first letters) answer so."""
    commands = {
        "crsctl": "/u01/grid/bin/crsctl get css misscount",
        "mmfs": "/usr/lpp/mmfs/bin/mmlsconfig failureDetectionTime",
        "clmgr": "/usr/es/sbin/cluster/utilities/clmgr query cluster",
        "corosync": "corosync-cmapctl runtime.config.totem.token",
        "llt": "/sbin/lltconfig -T query",
    }
    replies = [Reply("aix", "LANG=C ps -e -o pid,args", 0, HEAD + processes, "")]
    replies += [Reply("aix", f"LANG=C {commands[name]}", status, text, "") for name, (status, text) in said.items()]
    return members(RecordedSession("aix", replies))


def test_a_node_of_a_rac_says_its_misscount() -> None:
    said = "CRS-4678: Successful get misscount 60 for Cluster Synchronization Services.\n"
    assert asked(RAC, crsctl=(0, said)) == (ClusterMember("Oracle Clusterware", "/u01/grid/bin/ocssd.bin", 60.0),)


def test_powerha_and_gpfs_say_their_timers() -> None:
    found = asked(
        " 1 /usr/es/sbin/cluster/clstrmgr\n 2 /usr/lpp/mmfs/bin/mmfsd\n",
        clmgr=(0, 'CLUSTER_NAME="prod 1"\nSTATE="STABLE"\nHEARTBEAT_FREQUENCY="25"\n'),
        mmfs=(0, "failureDetectionTime 40\n"),
    )
    assert [(one.kind, one.tolerates_s, one.cluster) for one in found] == [
        ("PowerHA", 25.0, "prod 1"),
        ("GPFS", 40.0, None),
    ]


@pytest.mark.parametrize(
    ("said", "waits_s"),
    [
        ('HEARTBEAT_FREQUENCY="30"\nHEARTBEAT_FREQUENCY_DURING_LPM="120"\n', 120.0),
        ('HEARTBEAT_FREQUENCY="30"\nLPM_POLICY=""\nHEARTBEAT_FREQUENCY_DURING_LPM="0"\n', 600.0),
        ('HEARTBEAT_FREQUENCY="30"\nHEARTBEAT_FREQUENCY_DURING_LPM=""\n', 600.0),
        ('HEARTBEAT_FREQUENCY="20"\n', 20.0),
    ],
)
def test_powerha_waits_longer_while_a_member_is_moved_where_it_knows_of_moves(said: str, waits_s: float) -> None:
    (found,) = asked(" 1 /usr/es/sbin/cluster/clstrmgr\n", clmgr=(0, said))
    assert found.tolerates_s == waits_s


def test_pacemaker_and_veritas_say_their_timers_in_units_of_their_own() -> None:
    found = asked(
        " 1 /usr/sbin/corosync -f\n 2 /opt/VRTSvcs/bin/had\n",
        corosync=(0, "runtime.config.totem.token (u32) = 5000\n"),
        llt=(0, "Current LLT timer values (.01 sec units):\n    heartbeat   = 50\n    peerinact   = 1600\n"),
    )
    assert [(one.kind, one.tolerates_s) for one in found] == [("Pacemaker", 5.0), ("Veritas Cluster Server", 16.0)]


def test_oracle_restart_is_no_cluster() -> None:
    assert asked(" 1 /u01/grid/bin/ohasd.bin reboot\n 418022 /u01/grid/bin/ocssd.bin\n") == ()


def test_a_timer_that_is_refused_or_not_understood_is_not_known_and_the_member_stays() -> None:
    for answer in ((1, ""), (0, "something else\n")):
        (found,) = asked(RAC, crsctl=answer)
        assert found.tolerates_s is None


def test_no_cluster_is_an_empty_list_and_no_list_is_an_error() -> None:
    assert asked(" 1 /etc/init\n 2 grep mmfsd\n") == ()
    with pytest.raises(UnexpectedReply):
        members(RecordedSession("aix", [Reply("aix", "LANG=C ps -e -o pid,args", 0, "ps: illegal option\n", "")]))


def test_every_kind_has_a_remedy_and_says_how_sure_it_is() -> None:
    assert all(kind.remedy and kind.mark in "ABCD" and kind.default_s > 0 for kind in cluster_kinds().values())
