"""The grammar of the managers, and questions that share one list with their answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lpmkit.control.listings import (
    Listing,
    Manager,
    attribute_record,
    flag,
    is_empty,
    join,
    number,
    records,
    split,
    understood,
    units,
)
from lpmkit.errors import CommandRefused, ConnectionLost, UnexpectedReply
from lpmkit.ssh.session import Reply, command_line

LISTING = Listing(("name", "lpar_id"), (("state",), ("sent", "left")))


class Answering:
    """Answers each command line with a status and a text, and remembers what it was asked."""

    def __init__(self, answers: dict[str, tuple[int, str]]) -> None:
        self.where = "bvio82"
        self.asked: list[str] = []
        self._answers = answers

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        command = command_line(arguments).removeprefix("LANG=C ")
        self.asked.append(command)
        status, output = self._answers.get(command, (1, ""))
        error = "" if status == 0 else "The attribute entered is not valid.\n"
        return Reply(self.where, command, status, output, error, stdin)

    def close(self) -> None:
        """Nothing to close."""


def rows(text: str) -> list[dict[str, str]]:
    return LISTING.read_any(text)


@pytest.mark.parametrize(
    "values",
    [
        ["plain"],
        ["a,b", "c"],
        ['io_slots="2,1"', ""],
        ["teacher02 9.200.104.218", "7998-61X*10071DA", "POWER6+", "a/b//c"],
        ['virtual_eth_adapters="2/1/1/3,4,5/0/1","3/1/2//0/1"'],
    ],
)
def test_what_is_joined_is_split_again(values: list[str]) -> None:
    assert split(join(values)) == values


def test_an_attribute_with_commas_is_quoted_together_with_its_name() -> None:
    mapping = {"virtual_scsi_mappings": "2/vios1//11,3/vios1//12", "dest_lpar_id": "4"}
    assert attribute_record(mapping) == '"virtual_scsi_mappings=2/vios1//11,3/vios1//12",dest_lpar_id=4'


def test_a_quote_that_is_not_closed_is_refused_with_its_line() -> None:
    with pytest.raises(UnexpectedReply) as caught:
        records('name=a,"capabilities=x,y\n')
    assert caught.value.line == 'name=a,"capabilities=x,y'


@pytest.mark.parametrize(
    "text",
    [
        "name=client08,cl\nient08=1,lpar_id=3\n",  # a terminal wrapped the line in mid-word
        "name=a,lpar_id=3,state=Runn\ning,rmc_state=active\n",
        "name=a,lpar_id=3,\nstate=Running\n",
        "Ei tuloksia.\n",
        "ksh: lssyscfg:  not found.\n",
        "name=a,name=b\n",
        "name=a,lpar_id=3",  # the connection ended
    ],
)
def test_what_is_not_a_record_is_refused(text: str) -> None:
    with pytest.raises(UnexpectedReply):
        records(text)


def test_a_reply_in_another_language_is_called_so() -> None:
    with pytest.raises(UnexpectedReply) as caught:
        rows("Ei tuloksia.\n")
    assert "language" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "\n", "No results were found.\n", "[VIOSI01040010-0003] Keine Ergebnisse gefunden.\n"]
)
def test_nothing_found_is_no_row(text: str) -> None:
    assert is_empty(text)
    assert rows(text) == []
    assert records(text) == []


@pytest.mark.parametrize("line", ["bxaix85", "bxaix85,2,Running,1", "bxaix85,2,Running,1,2,3", 'bxaix85,"2,Running'])
def test_a_wrong_number_of_columns_is_never_shifted(line: str) -> None:
    with pytest.raises(UnexpectedReply):
        rows(line + "\n")


def test_values_and_records_give_the_same_rows() -> None:
    assert rows("bxaix85,2,Running\n") == rows("name=bxaix85,lpar_id=2,state=Running\n")


def test_a_field_nobody_knows_does_no_harm() -> None:
    assert rows("name=bxaix85,lpar_id=2,a_new_field=7\n")[0]["name"] == "bxaix85"


def test_a_listing_of_one_field_is_refused_since_any_sentence_would_answer_it() -> None:
    with pytest.raises(ValueError, match="two fields"):
        Listing(("name",))


def test_the_columns_are_those_of_the_question() -> None:
    session = Answering({"ls -F name,lpar_id,state,sent,left": (0, "bxaix85,2,Running,10,20\n")})
    assert Manager(session).ask(["ls"], LISTING, rows)[0]["left"] == "20"


def test_fewer_columns_than_asked_for_are_refused_even_if_fewer_could_have_been_asked() -> None:
    session = Answering({"ls -F name,lpar_id,state,sent,left": (0, "bxaix85,2,Running\n")})
    with pytest.raises(UnexpectedReply, match="5 columns"):
        Manager(session).ask(["ls"], LISTING, rows)


def test_fields_that_a_level_does_not_know_are_left_out_and_not_asked_for_again() -> None:
    session = Answering({"ls -F name,lpar_id,state": (0, "bxaix85,2,Running\n")})
    manager = Manager(session)
    assert manager.ask(["ls"], LISTING, rows) == manager.ask(["ls"], LISTING, rows)
    assert session.asked == ["ls -F name,lpar_id,state,sent,left", *["ls -F name,lpar_id,state"] * 2]


def test_a_refusal_of_every_list_raises_the_first_refusal() -> None:
    session = Answering({})
    with pytest.raises(CommandRefused) as caught:
        Manager(session).ask(["ls"], LISTING, rows)
    assert caught.value.asked == "ls -F name,lpar_id,state,sent,left"
    assert len(session.asked) == 3


def test_a_reply_without_a_status_is_a_lost_connection_and_not_a_refusal() -> None:
    with pytest.raises(ConnectionLost):
        understood(Reply("bvio82", "ls", None, "bxaix85,2\n", ""), rows)


def test_a_misunderstanding_says_where_and_what_was_asked() -> None:
    with pytest.raises(UnexpectedReply) as caught:
        understood(Reply("bvio82", "ls -F x", 0, "one\n", ""), rows)
    assert (caught.value.where, caught.value.asked, caught.value.line) == ("bvio82", "ls -F x", "one")


@pytest.mark.parametrize("absent", ["", "null", "unavailable", None])
def test_a_word_for_nothing_is_not_known_and_not_zero(absent: str | None) -> None:
    assert number(absent) is None
    assert units(absent) is None
    assert flag(absent) is None


@pytest.mark.parametrize("text", ["-1", "4096 MB", "٣", "0x10"])
def test_what_is_not_a_whole_number_is_refused(text: str) -> None:
    with pytest.raises(UnexpectedReply):
        number(text)


def test_a_flag_is_one_or_nought() -> None:
    with pytest.raises(UnexpectedReply):
        flag("2")
