"""A survey asks in rounds: many questions in one go, each answer its own, and what is not certain is asked again
alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from lpmkit.config import load_site
from lpmkit.control.base import Order
from lpmkit.errors import ConnectionLost, NoAnswer, RemoteError, Unreachable
from lpmkit.simulator import Simulator
from lpmkit.ssh import client
from lpmkit.ssh.batching import BATCH, AnswerPending, BatchingSession, ReplyCache, batch_replies
from lpmkit.ssh.client import SshSession, _ends, open_session, route
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import NO_WAY_IN, Reply, command_line
from lpmkit.survey.connect import other_manager, survey_both_ends
from tests.in_process import place
from tests.odd_ssh_server import OddServer, Ways


@pytest.fixture(scope="module")
def frames() -> Iterator[Simulator]:
    with Simulator("p8pair", speed=200.0) as up:
        yield up


@pytest.fixture
def console(frames: Simulator) -> Iterator[SshSession]:
    session = SshSession(route("hmc02", frames.ssh_config))
    yield session
    session.close()


SYSTEM = "Server-8286-42A-SN21A3F5C"


def test_each_command_of_a_batch_has_its_own_output_and_status(console: SshSession) -> None:
    commands = [
        ["lssyscfg", "-r", "sys", "-F", "name,state"],
        ["lssyscfg", "-r", "lpar", "-m", "no such"],
        [
            "lslparmigr",
            "-r",
            "sys",
            "-m",
            SYSTEM,
            "-F",
            "num_active_migrations_supported,num_active_migrations_in_progress",
        ],
    ]
    first, second, third = console.run_all(commands)
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.output.startswith(f"{SYSTEM},Operating\n")
    assert (second.status, "no such" in second.output) == (1, True)
    assert third.output == "16,0\n"
    assert [reply.command for reply in (first, third)] == [command_line(commands[0]), command_line(commands[2])]


def test_whose_error_it_was_is_asked_again_where_two_may_have_said_it() -> None:
    with Simulator("js22", speed=200.0) as blades:
        session = SshSession(route("bvio82", blades.ssh_config))
        fine = ["lssyscfg", "-r", "sys", "-F", "name,state"]
        wrong = ["lssyscfg", "-r", "lpar", "-F", "name,colour"]
        other = ["lssyscfg", "-r", "lpar", "-F", "name,shape"]
        one, alone = session.run_all([fine, wrong])
        assert one is not None
        assert alone is not None
        assert (alone.status, "colour" in alone.error, one.error) == (1, True, "")
        one, first, second = session.run_all([fine, wrong, other])
        assert one is not None
        assert (first, second) == (None, None)
        session.close()


def test_what_came_before_a_lost_connection_is_certain_and_nothing_else(frames: Simulator) -> None:
    text = "a,1\nxx 0\nb,2\nxx 1\nc,"
    assert batch_replies(text, "xx") == [("a,1\n", 0), ("b,2\n", 1)]
    assert batch_replies("a,1\nxx 0\nb,2\nxx ", "xx") == [("a,1\n", 0)]
    assert batch_replies("restricted\n", "xx") == []


@pytest.mark.parametrize("status", ["²", "9" * 5000, "-1", "0 0", " 0"])
def test_a_status_that_is_none_ends_what_is_certain(status: str) -> None:
    assert batch_replies(f"a\nxx 0\nb\nxx {status}\nc\nxx 0\n", "xx") == [("a\n", 0)]


def test_marks_without_end_are_read_in_time_that_grows_with_them() -> None:
    began = time.process_time()
    assert len(batch_replies("xx 0\n" * 200_000, "xx")) == 200_000
    assert len(_ends(b"xx 0\n" * 200_000, b"xx", [(size, size) for size in range(0, 1_000_001, 100)])) == 200_000
    assert time.process_time() - began < 20, "minutes, if each were sought from the beginning"


def test_of_more_answers_than_commands_none_is_certain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with OddServer(tmp_path, Ways()) as odd:
        session = SshSession(route("odd", odd.config()))
        assert None not in session.run_all([["uname"], ["date"]])
        monkeypatch.setattr(client, "batch_replies", lambda *_: [("AIX\n", 0)] * 3)
        assert session.run_all([["uname"], ["date"]]) == [None, None]
        session.close()


def test_a_reply_that_is_cut_short_stays_cut_short_in_a_batch() -> None:
    with Simulator("p8pair", speed=200.0, faults=["cut-reply:hmc02:lshwres"]) as frames:
        session = SshSession(route("hmc02", frames.ssh_config))
        cut, whole = session.run_all(
            [["lshwres", "-r", "mem", "-m", SYSTEM, "--level", "lpar"], ["lssyscfg", "-r", "sys", "-F", "name,state"]]
        )
        assert cut is not None
        assert whole is not None
        assert not cut.output.endswith("\n")
        assert whole.output.endswith("Operating\n")
        session.close()


def test_a_batch_may_take_longer_than_any_of_its_commands_and_ends_at_the_one_that_hangs() -> None:
    faults = ["slow:hmc02:0.7", "hang:hmc02:lspartition"]
    with Simulator("p8pair", speed=200.0, faults=faults) as frames:
        session = SshSession(route("hmc02", frames.ssh_config))
        question = ["lssyscfg", "-r", "sys", "-F", "name,state"]
        hanging = ["lspartition", "-dlpar"]
        session.run(question)  # the login is no part of what is held against the limit
        found = session.run_all([*[question] * 6, hanging, question], timeout_s=4.0)
        assert [reply is not None for reply in found] == [*[True] * 6, False, False]
        told = [reply for reply in found if reply is not None]
        assert all(later.began_ns - one.began_ns > 6e8 for one, later in pairwise(told)), "each has its own time"
        session.close()


def test_a_survey_of_an_hmc_costs_a_tenth_of_its_questions_in_round_trips_and_one_connection(frames: Simulator) -> None:
    site, asked = load_site(frames.site_file), list[Reply]()
    order = Order("p8npiv01", "p8a", "p8b", "8286-42A*21A40BC", *other_manager(site, "p8a", "p8b"))
    connections = []

    class Counted(SshSession):
        trips = 0

        def _start(self, line, prepare=None):  # type: ignore[no-untyped-def] # as the one it counts
            Counted.trips += self.where == "hmc02"
            return super()._start(line, prepare)

    def opened(*arguments: object, **named: object) -> SshSession:
        found = open_session(*arguments, **named)  # type: ignore[arg-type] # handed on
        found.__class__ = Counted
        connections.append(found)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lpmkit.survey.connect.open_session", opened)
        survey = survey_both_ends(site, order, Secrets(), asked.append)
    questions = sum(reply.where == "hmc02" for reply in asked)
    assert {gap.what for gap in survey.gaps} == {"multipath"}
    assert questions > 100
    assert questions / Counted.trips >= 10
    assert [session.connections for session in connections if session.where == "hmc02"] == [1]


class Counting:
    """Answers everything, a batch at a time, and counts. Where there is ``trouble``, that is what comes instead."""

    def __init__(self, trouble: RemoteError | None = None) -> None:
        self.where = "somewhere"
        self.batches: list[int] = []
        self.single: list[str] = []
        self._trouble = trouble

    def run_all(self, commands: Sequence[Sequence[str]]) -> list[Reply | None]:
        self.batches.append(len(commands))
        if isinstance(self._trouble, NO_WAY_IN):
            raise self._trouble
        if self._trouble is not None:
            return [None] * len(commands)
        return [Reply(self.where, command_line(command), 0, "", "") for command in commands]

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        self.single.append(command_line(arguments))
        if self._trouble is not None:
            raise self._trouble
        return Reply(self.where, command_line(arguments), 0, "alone", "", stdin)

    def close(self) -> None:
        """Nothing to close."""


def test_a_question_is_put_on_the_list_once_and_answered_as_often_as_it_is_asked() -> None:
    inner = Counting()
    session = BatchingSession(inner)
    for _ in range(2):
        with pytest.raises(AnswerPending):
            session.run(["a"])
    with pytest.raises(AnswerPending):
        session.run(["b"])
    assert session.ask()
    assert inner.batches == [2]
    assert (session.run(["a"]).command, session.run(["a"]).command) == ("LANG=C a", "LANG=C a")
    assert not session.ask()


def test_a_question_with_input_is_asked_at_once_and_once() -> None:
    inner = Counting()
    session = BatchingSession(inner)
    assert session.run(["oem_setup_env"], stdin="pcmpath query device\n").output == "alone"
    session.run(["oem_setup_env"], stdin="pcmpath query device\n")
    assert len(inner.single) == 1


def test_what_is_not_certain_is_asked_alone_and_its_trouble_is_its_answer() -> None:
    inner = Counting(NoAnswer("no answer within 60 s", where="somewhere"))
    session = BatchingSession(inner)
    for command in ("a", "b"):
        with pytest.raises(AnswerPending):
            session.run([command])
    session.ask()
    assert inner.single == ["LANG=C a", "LANG=C b"]
    for _ in range(2):
        with pytest.raises(NoAnswer):
            session.run(["a"])


def asked(session: BatchingSession, *commands: Sequence[str]) -> list[Reply | RemoteError]:
    """The results of questions once they are asked."""
    found: list[Reply | RemoteError] = []
    for again in (False, True):
        for command in commands:
            try:
                found.append(session.run(command))
            except RemoteError as trouble:
                found += [trouble] if again else []
        session.ask()
    return found


def test_a_machine_that_cannot_be_reached_costs_its_time_out_once_and_every_question_has_the_reason() -> None:
    trouble = Unreachable("no connection", where="somewhere")
    inner = Counting(trouble)
    session = BatchingSession(inner)
    assert asked(session, *([str(number)] for number in range(2 * BATCH))) == [trouble] * (2 * BATCH)
    assert asked(session, ["and another"]) == [trouble]
    with pytest.raises(Unreachable):
        session.run(["oem_setup_env"], stdin="pcmpath query device\n")
    assert (inner.batches, inner.single) == ([BATCH], [])
    assert session.silent() == {"": trouble}


def test_an_io_server_that_hangs_is_given_up_and_the_others_behind_the_same_console_are_not() -> None:
    class OneHangs(Counting):
        def run_all(self, commands: Sequence[Sequence[str]]) -> list[Reply | None]:
            super().run_all(commands)
            return [None] * len(commands)

        def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
            found = super().run(arguments, timeout_s=timeout_s, stdin=stdin)
            if arguments[0] == "hangs":
                raise NoAnswer("no answer within 60 s", where="somewhere")
            return found

    inner = OneHangs()
    session = BatchingSession(inner, machine_of=lambda arguments: arguments[0])
    found = asked(session, *(["hangs", str(number)] for number in range(20)), ["well", "1"], ["well", "2"])
    assert [isinstance(one, NoAnswer) for one in found] == [*[True] * 20, False, False]
    assert [command for command in inner.single if "hangs" in command] == ["LANG=C hangs 0", "LANG=C hangs 1"]
    assert list(session.silent()) == ["hangs"]
    inner.batches.clear()
    asked(session, *(["hangs", str(number)] for number in range(30, 40)), ["well", "3"], ["well", "4"])
    assert inner.batches == [2], "nothing more is asked of it, not even together with others"


def test_several_connections_to_one_machine_ask_nothing_twice() -> None:
    known: ReplyCache = {}
    first, second = Counting(), Counting()
    asked(BatchingSession(first, known), ["a"], ["b"])
    asked(BatchingSession(second, known), ["a"], ["b"], ["c"])
    assert (first.batches, second.batches, second.single) == ([2], [], ["LANG=C c"])


def test_a_manager_that_is_away_leaves_a_survey_with_gaps_and_no_answers() -> None:
    with place("p8pair") as site:
        site.away.add("hmc02")
        session = BatchingSession(site.session("hmc02"))
        with pytest.raises(AnswerPending):
            session.run(["lshmc", "-V"])
        assert session.ask()
        with pytest.raises((ConnectionLost, RemoteError), match="nobody answers"):
            session.run(["lshmc", "-V"])
