"""The meaning of a code comes with its source, and an unknown code is called unknown."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from lpmkit.cli import main
from lpmkit.control.codes import codes_in, explain, known_codes, look_up


@pytest.mark.parametrize("code", known_codes())
def test_every_code_says_what_it_means_what_proves_it_how_to_mend_it_who_and_how_sure_that_is(code: str) -> None:
    known = known_codes()[code]
    assert known.meaning
    assert known.prove
    assert known.mend
    assert known.source
    assert known.who.split()[-1] == "administrator"
    assert known.mark in "ABCD"
    assert [one.code for one in look_up([code])] == [code]


@pytest.mark.parametrize("verb", ["chdev", "chsyscfg", "rmdev", "cfgdev", "mkvdev", "chhwres", "-o s", "-o r", "-o m"])
def test_what_proves_a_code_changes_nothing(verb: str) -> None:
    assert not [code for code, known in known_codes().items() if f" {verb} " in f" {known.prove} "]


def test_every_code_that_the_simulated_console_can_give_is_known_but_the_one_that_no_console_has() -> None:
    from lpmkit.simulator.recalled import HMC_CODES, HMC_UNKNOWN_CODE  # noqa: PLC0415

    assert set(HMC_CODES.values()) <= set(known_codes())
    assert HMC_UNKNOWN_CODE not in known_codes()


def test_an_unknown_code_is_shown_as_it_came_and_says_so() -> None:
    done = CliRunner().invoke(main, ["explain", "HSCLA319", "HSCL9999"])
    assert done.exit_code == 3
    assert "Zone and mask both WWPNs" in done.output
    assert "HSCL9999: lpmkit does not know this code" in done.output


def test_a_message_is_read_from_standard_input_in_any_language() -> None:
    done = CliRunner().invoke(main, ["explain", "--json", "-"], input="HSCL3653 未对远程用户\nRC=69\n")
    assert done.exit_code == 0
    assert [one["code"] for one in json.loads(done.output)] == ["HSCL3653", "RC 69"]


def test_what_is_only_recalled_says_so() -> None:
    assert "from memory" in CliRunner().invoke(main, ["explain", "HSCLA24E"]).output
    assert "from memory" in explain("HSCLA24E")[0].sentences()


def test_an_error_log_is_explained_by_identifier_or_by_label() -> None:
    assert codes_in("F2646817 0414083316 I S pmig Started\nLABEL: CLIENT_PMIG_ABORTED\nhost 10071DA2") == (
        "F2646817",
        "5E075ADF",
    )
