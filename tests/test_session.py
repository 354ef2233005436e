"""Recordings replay as sessions, and a reply says what it is worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lpmkit.control.aix import AixShell
from lpmkit.control.base import Order
from lpmkit.control.ivm import Ivm
from lpmkit.control.vios import ViosShell
from lpmkit.errors import CommandRefused, ConnectionLost, UnexpectedReply
from lpmkit.rehearsal import Rehearsal
from lpmkit.runbook import Runbook
from lpmkit.ssh.client import SshSession, route
from lpmkit.ssh.session import LineSession, RecordedSession, Reply
from lpmkit.survey.gather import gather


def test_a_survey_replayed_from_a_runs_transcript_is_the_same_survey(tmp_path: Path) -> None:
    with Rehearsal(tmp_path) as rehearsal:
        book = Runbook(rehearsal.site)
        run = book.prepare(book.order("bxaix85", "bvio83"))
        surveyed = book.survey(run)
    told = run.transcript()
    first = next(number for number, reply in enumerate(told) if "lslparmigr -r sys" in reply.command)
    assert first > 0, "what was asked before there was a folder stands in the transcript too"

    def session(where: str) -> RecordedSession:
        return RecordedSession(where, told)

    replayed = gather(
        Order(**run.manifest["order"]),
        Ivm("bvio82", session("bvio82")),
        Ivm("bvio83", session("bvio83")),
        ViosShell(session("bvio82")),
        ViosShell(session("bvio83")),
        AixShell(session("bxaix85")),
    )
    own = replace(surveyed, sap=(), databases=())
    assert replayed == own, "SAP and databases are asked over their own ways, which are no command lines"


def test_a_recording_never_makes_an_answer_up() -> None:
    with pytest.raises(UnexpectedReply, match="was not recorded"):
        RecordedSession("bvio82", []).run(["lssyscfg", "-r", "sys"])


def test_a_command_recorded_twice_answers_in_order() -> None:
    replies = [Reply("h", "LANG=C date", 0, text, "") for text in ("1\n", "2\n")]
    session = RecordedSession("h", replies)
    assert [session.run(["date"]).output for _ in range(3)] == ["1\n", "2\n", "2\n"]


def test_a_refusal_a_lost_connection_and_a_cut_reply_are_told_apart() -> None:
    with pytest.raises(CommandRefused, match=r"exit status 1.*VIOSE"):
        Reply("bvio82", "x", 1, "", "[VIOSE01] no").checked()
    with pytest.raises(ConnectionLost):
        Reply("bvio82", "x", None, "half", "").checked()
    with pytest.raises(UnexpectedReply, match="middle of a line"):
        Reply("bvio82", "x", 0, "name=a\nname=b", "").whole_lines()


def test_only_a_session_that_sends_several_commands_as_one_line_is_a_line_session() -> None:
    assert isinstance(SshSession(route("nowhere.invalid")), LineSession)
    assert not isinstance(RecordedSession("x", ()), LineSession)
