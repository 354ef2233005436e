"""The commands typed at an IVM, and the reading of its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from lpmkit.control.base import Control, Order
from lpmkit.control.ivm import Ivm
from lpmkit.control.messages import ManagerMessage, messages, says
from lpmkit.control.system_listings import read_migrations
from lpmkit.errors import CommandRefused, ConnectionLost, UnexpectedReply
from lpmkit.ssh.session import Reply, command_line

ORDER = Order("bxaix85", "bvio82", "bvio83", "7998-61X*10072EA", "192.0.2.83", "padmin")
STATE = "lssyscfg -r lpar --filter lpar_names=bxaix85 -F name,lpar_id,state"
MIGRATION = "lslparmigr -r lpar --filter lpar_names=bxaix85 -F name,lpar_id,migration_state"
WHOLE = "lssyscfg -r lpar -F name,lpar_id,state,lpar_env"
COUNTED = MIGRATION + ",bytes_transmitted,bytes_remaining"
NOT_THERE = "[VIOSE010401A1-0042] The managed system does not hold that partition.\n"
NOTHING = "[VIOSI01040010-0003] No results were found.\n"


class Typed:
    """A manager that answers by command line; what it does not know it refuses."""

    def __init__(self, answers: dict[str, Reply | str]) -> None:
        self.where = "bvio82"
        self.asked: list[str] = []
        self.answers = answers
        self.closed = False

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        command = command_line(arguments).removeprefix("LANG=C ")
        self.asked.append(command)
        answer = self.answers.get(command, refused(command, "The attribute entered is not valid.\n"))
        if isinstance(answer, str):
            return Reply(self.where, command, 0, answer, "")
        return replace(answer, command=command)

    def close(self) -> None:
        self.closed = True


def refused(command: str, error: str) -> Reply:
    return Reply("bvio82", command, 1, "", error)


def test_an_ivm_fulfils_the_contract() -> None:
    session = Typed({})
    control: Control = Ivm("bvio82", session)
    assert control.frame_name == "bvio82"
    control.close()
    assert session.closed


def test_validation_names_the_target_by_its_machine_and_carries_no_source() -> None:
    session = Typed({})
    Ivm("bvio82", session).validate(ORDER)
    assert session.asked == ["migrlpar -o v -t '7998-61X*10072EA' --ip 192.0.2.83 -u padmin -p bxaix85"]


def test_a_move_returns_while_the_copy_runs() -> None:
    session = Typed({})
    Ivm("bvio82", session).migrate(ORDER)
    assert session.asked == ["migrlpar -o m -t '7998-61X*10072EA' --ip 192.0.2.83 -u padmin -p bxaix85 --async"]


def test_a_mapping_is_passed_as_one_record() -> None:
    session = Typed({})
    Ivm("bvio82", session).validate(
        replace(ORDER, mapping={"virtual_scsi_mappings": "2/v1/1,3/v1/1", "dest_lpar_id": "4"})
    )
    assert session.asked[0].endswith("""-i '"virtual_scsi_mappings=2/v1/1,3/v1/1",dest_lpar_id=4'""")


def test_a_refused_validation_is_an_answer_and_not_an_error() -> None:
    assert Ivm("bvio82", Typed({})).validate(ORDER).status == 1


def test_stop_and_recover_name_the_system() -> None:
    system = "lssyscfg -r sys -F name,type_model,serial_num,state"
    session = Typed({system: "Server-7998-61X-SN10071DA,7998-61X,10071DA,Operating\n"})
    ivm = Ivm("bvio82", session)
    ivm.stop("bxaix85")
    ivm.recover(ORDER, force=True)
    asked = [command for command in session.asked if command.startswith("migrlpar")]
    assert asked == [
        "migrlpar -o s -m Server-7998-61X-SN10071DA -p bxaix85",
        f"migrlpar -o r -m Server-7998-61X-SN10071DA --ip {ORDER.target_address} -u padmin -p bxaix85 --force",
    ]


def test_a_manager_that_will_not_say_its_name_is_asked_to_stop_all_the_same() -> None:
    session = Typed({})
    Ivm("bvio82", session).stop("bxaix85")
    assert session.asked[-1] == "migrlpar -o s -p bxaix85"


def test_keys_are_tested_and_not_made() -> None:
    session = Typed({"mkauthkeys --test --ip 192.0.2.83 -u padmin": ""})
    assert Ivm("bvio82", session).keys_exchanged(ORDER).status == 0


def test_a_migration_is_read_with_its_counters() -> None:
    session = Typed({STATE: "bxaix85,2,Migrating - Running\n", COUNTED: "bxaix85,2,Migration Starting,100,900\n"})
    reading = Ivm("bvio82", session).migration("bxaix85")
    assert (reading.partition_state, reading.migration_state) == ("Migrating - Running", "Migration Starting")
    assert (reading.bytes_transmitted, reading.bytes_remaining, reading.lpar_id) == (100, 900, 2)


def test_a_level_without_counters_is_asked_for_fewer_fields_and_only_once_for_all() -> None:
    session = Typed({STATE: "bxaix85,2,Running\n", MIGRATION: "bxaix85,2,Not Migrating\n"})
    ivm = Ivm("bvio82", session)
    readings = [ivm.migration("bxaix85") for _ in range(3)]
    assert {reading.migration_state for reading in readings} == {"Not Migrating"}
    assert {reading.bytes_transmitted for reading in readings} == {None}
    assert session.asked.count(COUNTED) == 1


@pytest.mark.parametrize("answer", [refused(STATE, NOT_THERE), Reply("bvio82", STATE, 0, "", NOTHING), ""])
def test_a_partition_that_is_not_listed_has_no_state(answer: Reply | str) -> None:
    reading = Ivm("bvio82", Typed({STATE: answer, WHOLE: "10-071DA,1,Running,vioserver\n"})).migration("bxaix85")
    assert (reading.partition_state, reading.migration_state) == (None, None)


@pytest.mark.parametrize(
    ("whole", "why"),
    [
        ("", "no VIOS is among"),
        ("nim1,5,Running,aixlinux\n", "no VIOS is among"),
        ("10-071DA,1,Running,vioserver\nbxaix85,2,Running,aixlinux\n", "one list of partitions has bxaix85"),
    ],
)
def test_a_partition_is_absent_only_from_the_whole_list_of_a_system(whole: str, why: str) -> None:
    with pytest.raises(UnexpectedReply, match=why):
        Ivm("bvio82", Typed({STATE: "", WHOLE: whole})).migration("bxaix85")


def test_a_level_that_does_not_know_lpar_env_lists_an_absent_partition_by_one_row() -> None:
    unknown = refused(WHOLE, "The attribute entered is not valid. The invalid attribute is lpar_env.\n")
    plain = "lssyscfg -r lpar -F name,lpar_id,state"
    session = Typed({STATE: "", WHOLE: unknown, plain: "10-071DA,1,Running\n"})
    assert Ivm("bvio82", session).migration("bxaix85").partition_state is None


def test_another_refusal_is_not_taken_for_an_absent_partition() -> None:
    with pytest.raises(CommandRefused):
        Ivm("bvio82", Typed({STATE: refused(STATE, "[VIOSE01010003-0245] HMC managed.\n")})).migration("bxaix85")


def test_a_connection_that_ends_is_not_taken_for_an_absent_partition() -> None:
    with pytest.raises(ConnectionLost):
        Ivm("bvio82", Typed({STATE: Reply("bvio82", STATE, None, "", "")})).migration("bxaix85")


def test_a_partition_that_leaves_between_two_questions_keeps_its_last_state() -> None:
    session = Typed(
        {
            STATE: "bxaix85,2,Migrating - Running\n",
            COUNTED: refused(COUNTED, NOT_THERE),
            MIGRATION: refused(MIGRATION, NOT_THERE),
        }
    )
    reading = Ivm("bvio82", session).migration("bxaix85")
    assert (reading.partition_state, reading.migration_state) == ("Migrating - Running", None)


def test_counters_of_a_form_nobody_saw_are_not_known() -> None:
    (reading,) = read_migrations("bxaix85,2,Migration Starting,1.2 GB,lots\n")
    assert (reading.bytes_transmitted, reading.bytes_remaining) == (None, None)


def test_a_resource_listing_that_is_refused_leaves_its_fields_unknown() -> None:
    session = Typed(
        {
            "lssyscfg -r lpar -F name,lpar_id,state": "bxaix85,2,Running\n",
            "lshwres -r mem --level lpar -F lpar_name,lpar_id,curr_mem": "bxaix85,2,4096\n",
        }
    )
    (partition,) = Ivm("bvio82", session).partitions()
    assert (partition.memory_mb, partition.proc_units, partition.max_virtual_slots) == (4096, None, None)


def test_a_resource_listing_without_an_answer_is_not_swallowed() -> None:
    memory = "lshwres -r mem --level lpar -F lpar_name,lpar_id,curr_mem,curr_num_huge_pages"
    session = Typed(
        {"lssyscfg -r lpar -F name,lpar_id,state": "a,2,Running\n", memory: Reply("bvio82", memory, None, "", "")}
    )
    with pytest.raises(ConnectionLost):
        Ivm("bvio82", session).partitions()


def test_two_systems_are_one_too_many() -> None:
    line = "Server-7998-61X-SN10071DA,7998-61X,10071DA,Operating\n"
    with pytest.raises(UnexpectedReply):
        Ivm("bvio82", Typed({"lssyscfg -r sys -F name,type_model,serial_num,state": line * 2})).frame()


def test_a_name_with_a_comma_would_be_a_list_of_names_and_so_is_called_by_its_id() -> None:
    listed = "lssyscfg -r lpar -F name,lpar_id,state"
    session = Typed({listed: '"a,b",7,Running\nb,8,Running\n'})
    with pytest.raises(CommandRefused):
        Ivm("bvio82", session).physical_slots("a,b")
    assert "--filter lpar_ids=7" in session.asked[1]
    Ivm("bvio82", session).stop("a,b")
    assert session.asked[-1].endswith("migrlpar -o s --id 7")


def test_messages_are_read_in_order_with_their_codes() -> None:
    text = "[VIOSE01090001-0007] One.\n[VIOSE01090001-0008] Two,\n  in two lines.\nHSCLA246 Three.\n"
    assert messages(Reply("bvio82", "migrlpar", 1, "", text)) == (
        ManagerMessage("VIOSE01090001-0007", "One."),
        ManagerMessage("VIOSE01090001-0008", "Two, in two lines."),
        ManagerMessage("HSCLA246", "Three."),
    )


def test_a_refusal_without_a_code_is_kept_in_its_own_words() -> None:
    reply = Reply("bvio82", "migrlpar", 127, "", "rksh: migrlpar:  not found.\n")
    assert messages(reply) == (ManagerMessage(None, "rksh: migrlpar:  not found."),)
    assert not says(reply, "VIOSE010401A1-0042")
