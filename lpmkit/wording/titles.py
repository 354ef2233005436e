"""Titles of checks and questions, remedies and owners in a language, by their keys; `Words` has the rest."""

from __future__ import annotations

from lpmkit.json_values import JsonMapping
from lpmkit.wording.words import Words


def question_title(words: Words, key: str, title: str) -> str:
    """The title of a question; the name of the system that it is about stays."""
    family, _, system = key.rpartition("-")
    named = words.or_as_it_came(f"question.{family}", "")
    return f"{system}: {named}" if named else words.or_as_it_came(f"question.{key}", title)


def check_title(words: Words, finding: JsonMapping) -> str:
    """The title of a finding's check."""
    return words.or_as_it_came(f"check.{finding.get('key')}.title", str(finding.get("title") or finding.get("key")))


#: The names of a move that a remedy may have.
PLACES = ("partition", "source", "target")


def remedy_text(words: Words, finding: JsonMapping, order: JsonMapping) -> str:
    """The remedy of a finding: as it was found; in another language that of its check, with the names of the ``order``
    (`PLACES`) in it. Where one of them is not known, as it was found.
    """
    remedy = str(finding.get("remedy") or "")
    text = words.or_as_it_came(f"check.{finding.get('key')}.remedy", "") if remedy else ""
    names: dict[str, object] = {place: order[place] for place in PLACES if order.get(place)}
    for place, value in {**names, "about": finding.get("about", "")}.items():
        text = text.replace(f"{{{place}}}", str(value))
    lacks = any(f"{{{place}}}" in text for place in PLACES)
    return words.said(remedy) if lacks or not text else text


def who_text(words: Words, finding: JsonMapping) -> str:
    """The owner of a finding's remedy; empty where there is none."""
    who = str(finding.get("who") or "")
    return words.or_as_it_came(f"who.{who}", who) if who else ""
