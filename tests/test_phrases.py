"""The German phrase book: every sentence of an answer has a template, and nothing English is left in a write-up but
what machines said.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import lpmkit
from lpmkit.analysis.looks import in_words
from lpmkit.analysis.model import SECOND, Interval
from lpmkit.checks import CHECKS
from lpmkit.checks.limits import TITLES
from lpmkit.wording.phrase_book import PhraseBook, localised, phrase_book
from lpmkit.wording.words import texts_of

PACKAGE = Path(lpmkit.__file__).parent
ANSWERING = [
    *sorted((PACKAGE / "sap" / "judge").glob("*.py")),
    *(
        PACKAGE / "analysis" / name
        for name in (
            "verdict.py",
            "oracle.py",
            "limits.py",
            "looks.py",
            "error_logs.py",
            "time_outs.py",
            "not_moved.py",
        )
    ),
]


def _filled(template: ast.JoinedStr) -> str:
    """A template with a 7 in its places; a place that follows a word directly is a part that may be left out."""
    text = ""
    for part in template.values:
        if isinstance(part, ast.Constant):
            text += str(part.value)
        elif not re.search(r"\w$", text):
            text += "7"
    return text


def _samples(path: Path) -> Iterator[str]:
    """The texts that questions are made with, a 7 in each place."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Question"):
            continue
        for argument in [*node.args[3:], *(keyword.value for keyword in node.keywords)]:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value
            elif isinstance(argument, ast.JoinedStr):
                yield _filled(argument)


@pytest.mark.parametrize("path", ANSWERING, ids=lambda path: path.stem)
def test_every_answer_has_a_german_template(path: Path) -> None:
    book = phrase_book("de")
    samples = [text for text in _samples(path) if len(re.findall(r"\b[a-z]{2,}\b", text)) > 1]
    assert [text for text in samples if book.find(text) is None] == []


@pytest.mark.parametrize("probe", ["", "sap-ni-BX5-00: "])
@pytest.mark.parametrize("stretches", [[(0, 60)], [(8, 60)], [(8, 20)], [(1, 9), (10, 19), (20, 29), (30, 39)]])
def test_the_time_without_a_look_is_told_in_german(probe: str, stretches: list[tuple[int, int]]) -> None:
    gaps = [Interval(begin * SECOND, end * SECOND) for begin, end in stretches]
    text = f"{probe}{in_words(gaps, Interval(0, 60 * SECOND))}; while observed: yes: 14 sessions"
    german = phrase_book("de")(text)
    assert german.startswith(probe)
    assert "nicht beobachtet" in german
    assert "solange beobachtet: ja" in german
    assert "observed" not in german


def test_every_check_has_a_german_title_and_remedy() -> None:
    german = texts_of("de")
    assert [check.key for check in CHECKS if f"check.{check.key}.title" not in german] == []
    assert [check.key for check in CHECKS if f"check.{check.key}.remedy" not in german] == []
    assert [key for key in TITLES if f"check.{key}.title" not in german or f"check.{key}.remedy" not in german] == []
    assert {check.who for check in CHECKS} <= {key.removeprefix("who.") for key in german if key.startswith("who.")}


def test_a_precise_template_comes_before_a_general_one_and_places_called_n_are_numbers() -> None:
    book = PhraseBook({"{n} of {m} gone": "{n} von {m} weg", "{list} gone": "{list} fehlt", "yes": "ja"})
    assert book("2 of 3 gone") == "2 von 3 weg"
    assert book("disp+work gone") == "disp+work fehlt"
    assert book("yes: 2 of 3 gone; HSCL1234 text") == "ja: 2 von 3 weg; HSCL1234 text"


def test_a_word_before_a_colon_does_not_hide_the_template_of_the_whole() -> None:
    book = PhraseBook({"none found": "keine", "none found: nothing beyond {time}": "keine über {time}", "yes": "ja"})
    assert book("none found: nothing beyond 75 ms. yes: HSCL1") == "keine über 75 ms. ja: HSCL1"


def test_a_capital_is_kept_and_the_state_that_a_machine_named_stays() -> None:
    book = PhraseBook(
        {"the move was stopped by {name}": "die Migration wurde von {name} abgebrochen", "running": "läuft"}
    )
    assert book("The move was stopped by anna.") == "Die Migration wurde von anna abgebrochen."
    assert book("Running, Not Migrating") == "Running, Not Migrating"
    assert book("running, Not Migrating") == "läuft, Not Migrating"


def test_a_default_among_other_time_outs_and_a_missing_sap_interface_are_german() -> None:
    german = phrase_book("de")
    assert german("Oracle Net of BX5 (A_B) waits 60 s (the default, not read), SAP BX5 (c/d) waits 60 s") == (
        "Oracle Net von BX5 (A_B) wartet 60 s (Voreinstellung, nicht gelesen), SAP BX5 (c/d) wartet 60 s"
    )
    assert german(
        "no SAP interface in the site file provides them (webservice would); commands: not provided by it"
    ) == (
        "keine SAP-Schnittstelle der Site-Datei liefert diese Daten (möglich mit: webservice); "
        "commands: liefert sie nicht"
    )


def test_another_login_and_another_licence_key_are_german() -> None:
    german = phrase_book("de")
    ends = ", local end 127.0.0.1 53820, remote end 127.0.0.2 44971"
    there = ", lokaler Endpunkt 127.0.0.1 53820, entfernter Endpunkt 127.0.0.2 44971"
    since, seit = (
        "since 2026-12-01 13:06:19 UTC by its clock",
        "seit 01.12.2026 13:06:19 UTC nach der Uhr der Partition",
    )
    for english, other in (("", ""), (ends, there)):
        assert german(f"no: another process 12 {since}{english}") == f"nein: anderer Prozess 12 {seit}{other}"
        assert german(f"no: another process 12 (start not known){english}") == (
            f"nein: anderer Prozess 12 (Startzeit nicht bekannt){other}"
        )
        assert (
            german(f"yes, process 12 (start not known){english}") == f"ja, Prozess 12 (Startzeit nicht bekannt){other}"
        )
    assert german("no valid permanent licence for the hardware key X1 (before: Y2)") == (
        "keine gültige permanente Lizenz für Hardware-Schlüssel X1 (vorher Y2)"
    )
    assert german("60 s, Oracle's default") == "60 s, Voreinstellung von Oracle"


def test_numbers_of_versions_addresses_and_names_stay() -> None:
    assert localised("1,234.5 s at 10.0.0.1 with 2.2.6.10") == "1.234,5 s at 10.0.0.1 with 2.2.6.10"
    assert localised("-0.13 ms") == "-0,13 ms"
