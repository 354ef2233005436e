"""The commands typed at an HMC, and the reading of its answers."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from lpmkit.control.base import Control, Order
from lpmkit.control.codes import explain
from lpmkit.control.hmc import RUNS_ON, Hmc, ViosThroughHmc, read_console_level
from lpmkit.control.vios import ViosShell
from lpmkit.errors import CommandRefused, ConnectionLost, RemoteError, UnexpectedReply, UsageError
from lpmkit.ssh.session import RecordedSession, Reply, command_line

SYSTEM = "Server-9117-MMD-SN1045EE7"
ORDER = Order("p7aix01", "p7a", "p7b", "9117-MMD*1052C4F", "", "")
ELSEWHERE = replace(ORDER, target_address="192.0.2.99", target_user="hscroot")
STATE = f"lssyscfg -r lpar -m {SYSTEM} -F name,lpar_id,state"
WHOLE = f"lssyscfg -r lpar -m {SYSTEM} -F name,lpar_id,state,lpar_env"
COUNTED = f"lslparmigr -r lpar -m {SYSTEM} -F name,lpar_id,migration_state,bytes_transmitted,bytes_remaining"
MIGRATION = f"lslparmigr -r lpar -m {SYSTEM} -F name,lpar_id,migration_state"
MOVE = f"migrlpar -o m -m {SYSTEM} -t '9117-MMD*1052C4F' -p p7aix01"
RMC = "HSCLA246 The management console cannot communicate with partition p7aix01.\n"


class Typed:
    """An HMC that answers by command line. What it does not know it refuses as an HMC does: on standard output."""

    def __init__(self, answers: dict[str, Reply | str] | None = None) -> None:
        self.where = "hmc01"
        self.asked: list[str] = []
        self.answers = answers or {}
        self.closed = False

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        command = command_line(arguments).removeprefix("LANG=C ")
        self.asked.append(command)
        answer = self.answers.get(command, refused("HSCL0000 The attribute entered is not valid.\n"))
        return (
            Reply(self.where, command, 0, answer, "") if isinstance(answer, str) else replace(answer, command=command)
        )

    def close(self) -> None:
        self.closed = True


def refused(output: str) -> Reply:
    return Reply("hmc01", "", 1, output, "")


class Blocking(Typed):
    """A second connection whose command ends when it is told to."""

    def __init__(self, ends_with: Reply | RemoteError) -> None:
        super().__init__()
        self.may_end = threading.Event()
        self._ends_with = ends_with

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        self.asked.append(command_line(arguments).removeprefix("LANG=C "))
        assert self.may_end.wait(10)
        if isinstance(self._ends_with, RemoteError):
            raise self._ends_with
        return self._ends_with


def an_hmc(session: Typed, other: Typed | None = None) -> Hmc:
    return Hmc("p7a", session, SYSTEM, open_another=None if other is None else lambda: other, look_every_s=0.01)


def test_an_hmc_fulfils_the_contract() -> None:
    session = Typed()
    control: Control = an_hmc(session)
    assert (control.frame_name, control.kind) == ("p7a", "hmc")
    control.close()
    assert session.closed


def test_every_question_says_which_system() -> None:
    session = Typed()
    hmc = an_hmc(session)
    for ask in (hmc.frame, hmc.partitions, hmc.scsi_adapters, hmc.ethernet_adapters, lambda: hmc.physical_slots("x")):
        with pytest.raises(CommandRefused):
            ask()
    with pytest.raises(CommandRefused):
        hmc.migration("p7aix01")
    hmc.stop("p7aix01")
    hmc.recover(ORDER, force=True)
    assert all(f" -m {SYSTEM}" in command for command in session.asked)
    assert session.asked[-2:] == [
        f"migrlpar -o s -m {SYSTEM} -p p7aix01",
        f"migrlpar -o r -m {SYSTEM} -p p7aix01 --force",
    ]


def test_the_other_manager_is_named_only_where_there_is_another() -> None:
    session = Typed()
    an_hmc(session).validate(ORDER)
    an_hmc(session).validate(ELSEWHERE)
    assert session.asked == [
        f"migrlpar -o v -m {SYSTEM} -t '9117-MMD*1052C4F' -p p7aix01 -v",
        f"migrlpar -o v -m {SYSTEM} -t '9117-MMD*1052C4F' --ip 192.0.2.99 -u hscroot -p p7aix01 -v",
    ]


def test_keys_are_tested_to_another_manager_and_there_is_nobody_to_ask_in_the_same_one() -> None:
    session = Typed({"mkauthkeys --test --ip 192.0.2.99 -u hscroot": ""})
    assert an_hmc(session).keys_exchanged(ELSEWHERE).status == 0
    with pytest.raises(UsageError):
        an_hmc(session).keys_exchanged(ORDER)


def test_an_error_on_standard_output_is_an_error_in_the_machines_own_words() -> None:
    session = Typed({STATE: refused("HSCL3205 Der Server ist belegt.\n")})
    with pytest.raises(CommandRefused, match="HSCL3205 Der Server") as caught:
        an_hmc(session).migration("p7aix01")
    assert caught.value.status == 1


def test_a_level_that_refuses_newer_fields_on_standard_output_is_asked_for_fewer() -> None:
    session = Typed({STATE: "p7aix01,2,Running\n", MIGRATION: "p7aix01,2,Not Migrating\n"})
    hmc = an_hmc(session)
    assert {hmc.migration("p7aix01").migration_state for _ in range(3)} == {"Not Migrating"}
    assert session.asked.count(COUNTED) == 1


def test_a_partition_is_found_in_the_list_of_several_moves() -> None:
    session = Typed(
        {
            STATE: "vios1,1,Running\np7aix01,2,Migrating - Running\nother,3,Migrating - Running\n",
            COUNTED: (
                "other,3,Migration Starting,7,9\nvios1,1,Not Migrating,null,null\np7aix01,2,Migration "
                "Starting,100,900\n"
            ),
        }
    )
    reading = an_hmc(session).migration("p7aix01")
    assert (reading.partition_state, reading.migration_state) == ("Migrating - Running", "Migration Starting")
    assert (reading.bytes_transmitted, reading.bytes_remaining, reading.lpar_id) == (100, 900, 2)


def test_a_partition_that_has_left_is_told_by_its_absence_in_whatever_language() -> None:
    reading = an_hmc(Typed({STATE: "vios1,1,Running\n"})).migration("p7aix01")
    assert (reading.partition_state, reading.migration_state) == (None, None)


@pytest.mark.parametrize("listed", ["", "No results were found.\n", "sapq01,7,Running\n"])
def test_a_list_without_a_vios_says_of_no_partition_that_it_has_left(listed: str) -> None:
    whole = "".join(f"{row},aixlinux\n" for row in listed.splitlines()) if "," in listed else listed
    with pytest.raises(UnexpectedReply, match="not the whole list of the system"):
        an_hmc(Typed({STATE: listed, WHOLE: whole})).migration("p7aix01")


@pytest.mark.parametrize("neighbours", [(), ("aixlinux",), ("aixlinux", "os400")])
def test_the_partitions_of_a_system_are_not_known_from_a_list_without_a_vios(neighbours: tuple[str, ...]) -> None:
    """An evacuation by such a list would leave partitions behind."""
    session = Typed()
    hmc = an_hmc(session)
    fields = hmc.partition_listing.fields()
    told = [{"name": f"sapq0{at}", "lpar_id": f"{at}", "state": "Running", "lpar_env": env}
            for at, env in enumerate(neighbours, 7)]  # fmt: skip
    rows = "".join(",".join(row.get(field, "null") for field in fields) + "\n" for row in told)
    session.answers[f"lssyscfg -r lpar -m {SYSTEM} -F {','.join(fields)}"] = rows
    with pytest.raises(UnexpectedReply, match="no VIOS is among"):
        hmc.partitions()


def test_a_neighbour_without_id_and_state_costs_nothing() -> None:
    session = Typed(
        {
            STATE: "null,null,null\np7aix01,2,Running\n",
            COUNTED: "old,9,null,null,null\np7aix01,2,Not Migrating,null,null\n",
        }
    )
    assert an_hmc(session).migration("p7aix01").migration_state == "Not Migrating"


def test_two_partitions_of_one_name_are_not_told_apart() -> None:
    session = Typed({STATE: "p7aix01,2,Running\np7aix01,9,Not Activated\n"})
    with pytest.raises(UnexpectedReply, match="2 came"):
        an_hmc(session).migration("p7aix01")


def test_a_sentence_in_another_language_is_no_empty_list() -> None:
    with pytest.raises(UnexpectedReply):
        an_hmc(Typed({STATE: "Ei tuloksia.\n"})).migration("p7aix01")


def test_physical_slots_of_others_are_left_out() -> None:
    listing = f"lshwres -r io -m {SYSTEM} --rsubtype slot -F drc_name,description,lpar_name"
    hmc = an_hmc(Typed({listing: "U1-P1-C4,Ethernet,vios1\nU1-P1-C5,FC,p7aix01\nU1-P1-C6,Empty slot,null\n"}))
    assert [slot.drc_name for slot in hmc.physical_slots("p7aix01")] == ["U1-P1-C5"]
    assert hmc.physical_slots("p7aix02") == ()


def test_whether_an_io_server_may_move_is_read_and_may_be_unknown_to_a_level() -> None:
    fields = (
        "name,lpar_id,state,lpar_env,os_version,logical_serial_num,rmc_state,rmc_ipaddr,work_group_id,"
        "redundant_err_path_reporting,dlpar_mem_capable,dlpar_proc_capable,curr_lpar_proc_compat_mode"
    )
    listing = f"lssyscfg -r lpar -m {SYSTEM} -F {fields}"
    row = "vios1,1,Running,vioserver,VIOS 2.2.3.4,1045EE71,active,192.0.2.71,none,0,1,1,POWER7"
    (told,) = an_hmc(Typed({f"{listing},msp": f"{row},1\n"})).partitions()
    (older,) = an_hmc(Typed({listing: f"{row}\n"})).partitions()
    assert (told.msp, older.msp, older.rmc_state) == (True, None, "active")


def test_a_frame_is_read_from_a_recording() -> None:
    answers = {
        f"lssyscfg -r sys -m {SYSTEM} -F name,type_model,serial_num,state,active_lpar_mobility_capable,"
        "inactive_lpar_mobility_capable,lpar_proc_compat_modes,virtual_io_server_capable,lpar_proc_compat_mode_capable,virtual_fc_capable": (
            f'{SYSTEM},9117-MMD,1045EE7,Operating,1,1,"default,POWER6,POWER7",1,1,0\n'
        ),
        f"lshwres -r mem -m {SYSTEM} --level sys -F configurable_sys_mem,curr_avail_sys_mem,sys_firmware_mem,mem_region_size": (
            "262144,237568,8192,256\n"
        ),
        f"lshwres -r proc -m {SYSTEM} --level sys -F configurable_sys_proc_units,curr_avail_sys_proc_units": "16.0,14.0\n",
        f"lslparmigr -r sys -m {SYSTEM} -F num_inactive_migrations_supported,num_active_migrations_supported,"
        "num_inactive_migrations_in_progress,num_active_migrations_in_progress": "64,8,0,1\n",
    }
    replies = [Reply("hmc01", f"LANG=C {command}", 0, output, "") for command, output in answers.items()]
    frame = Hmc("p7a", RecordedSession("hmc01", replies), SYSTEM).frame()
    assert frame.machine == "9117-MMD*1045EE7"
    assert frame.active_mobility_capable
    assert frame.virtual_fc_capable is False
    assert (frame.memory_region_mb, frame.active_migrations_in_progress) == (256, 1)


# -- moving ------------------------------------------------------------------------------------------------------------


def test_a_move_returns_while_its_command_goes_on_and_hands_the_end_out_once() -> None:
    talk = Typed({STATE: "p7aix01,2,Migrating - Running\n", COUNTED: "p7aix01,2,Migration Starting,0,900\n"})
    work = Blocking(refused("HSCLA2CF The partition did not suspend.\n"))
    hmc = an_hmc(talk, work)
    reply = hmc.migrate(ORDER)
    assert (reply.status, reply.text) == (None, RUNS_ON)
    assert work.asked == [MOVE]
    assert MOVE not in talk.asked
    assert hmc.outcome() is None
    work.may_end.set()
    while (end := hmc.outcome()) is None:
        pass
    assert end.text.startswith("HSCLA2CF")
    assert hmc.outcome() is None


def test_a_move_that_is_refused_at_once_is_answered_with_the_refusal() -> None:
    work = Blocking(refused(RMC))
    work.may_end.set()
    hmc = an_hmc(Typed({STATE: "p7aix01,2,Running\n", COUNTED: "p7aix01,2,Not Migrating,null,null\n"}), work)
    assert hmc.migrate(ORDER).text == RMC.strip()
    assert hmc.outcome() is None
    assert work.closed


def test_looks_that_fail_do_not_end_the_wait() -> None:
    work = Blocking(refused(RMC))
    threading.Timer(0.1, work.may_end.set).start()
    assert an_hmc(Typed(), work).migrate(ORDER).status == 1


def test_a_move_that_was_over_before_anybody_looked_counts_as_begun() -> None:
    work = Blocking(Reply("hmc01", "", 0, "", ""))
    hmc = an_hmc(Typed({STATE: "vios1,1,Running\n"}), work)
    assert hmc.migrate(ORDER).status is None
    work.may_end.set()


def test_a_connection_lost_in_mid_move_is_told_once_and_nothing_is_sent_again() -> None:
    talk = Typed({STATE: "p7aix01,2,Migrating - Running\n", COUNTED: "p7aix01,2,Migration Starting,0,900\n"})
    work = Blocking(ConnectionLost("the connection was lost", where="hmc01"))
    hmc = an_hmc(talk, work)
    hmc.migrate(ORDER)
    work.may_end.set()
    with pytest.raises(ConnectionLost):
        list(iter(hmc.outcome, "never"))
    assert hmc.outcome() is None
    assert work.asked == [MOVE]


# -- the I/O servers behind it -----------------------------------------------------------------------------------------


def test_a_vios_is_asked_through_the_console_without_a_prefix() -> None:
    session = Typed({f"viosrvcmd -m {SYSTEM} -p vios1 -c ioslevel": "2.2.3.4\n"})
    assert ViosShell(ViosThroughHmc(session, SYSTEM, "vios1"), prefix="").level() == "2.2.3.4"


@pytest.mark.parametrize("name", ["vios 1", "v,1", "v*1", "v'1", 'v"1', "v;reboot", "$(reboot)", "ü" * 31])
def test_names_survive_both_shells_and_cannot_be_injected(name: str) -> None:
    session = Typed()
    ViosThroughHmc(session, SYSTEM, name).run(["lsmap", "-vadapter", name])
    words = shlex.split(session.asked[0])
    assert words[:5] == ["viosrvcmd", "-m", SYSTEM, "-p", name]
    assert shlex.split(words[6]) == ["lsmap", "-vadapter", name]


def test_root_is_never_tried_through_the_console() -> None:
    session = Typed()
    with pytest.raises(RemoteError, match="root"):
        ViosShell(ViosThroughHmc(session, SYSTEM, "vios1"), prefix="").multipath()
    assert session.asked == []


def test_a_vios_that_the_console_cannot_reach_is_refused_in_its_words() -> None:
    session = Typed({f"viosrvcmd -m {SYSTEM} -p vios1 -c ioslevel": refused(RMC)})
    with pytest.raises(CommandRefused, match="HSCLA246"):
        ViosShell(ViosThroughHmc(session, SYSTEM, "vios1"), prefix="").level()


# -- readers and codes -------------------------------------------------------------------------------------------------


def test_what_is_no_hmc_does_not_pass_for_one() -> None:
    with pytest.raises(UnexpectedReply):
        read_console_level("2.2.3.4\n")
    with pytest.raises(CommandRefused):
        an_hmc(Typed({"lshmc -V": Reply("bvio82", "", 127, "", "rksh: lshmc:  not found.\n")})).console()


def test_codes_are_found_in_any_language_and_an_unknown_one_is_kept() -> None:
    text = "HSCL3653 未对远程用户 hscroot 正确设置\nHSCL127D: HSCL12FF x\nHSCLFFFF Something new."
    assert [(one.code, one.known is not None) for one in explain(text)] == [
        ("HSCL3653", True),
        ("HSCL127D", True),
        ("HSCL12FF", False),
        ("HSCLFFFF", False),
    ]
