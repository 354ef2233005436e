"""Meanings of the codes that managers, I/O servers and AIX give in a move, with remedies.

The table is ``codes.yaml``. ``mark`` is the confidence: A captured, B documented, C from code that drives the real
thing, D recalled. A code that is not in the table is shown as it came and says so; nothing in lpmkit decides by a code
that is only recalled.

A refusal may chain codes (``HSCL127D: HSCL1288 …``, A `HMCMCP`): the first one names the step that failed, the next
ones the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ruamel.yaml import YAML


@dataclass(frozen=True, slots=True)
class CodeMeaning:
    """The meaning of a code, a read-only command that proves it, remedy, owner, confidence and source.

    ``label`` is the name that an entry of the error log has beside its identifier, where it is known.
    """

    meaning: str
    prove: str
    mend: str
    who: str
    mark: str
    source: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """A code and its meaning; ``None`` where none is known."""

    code: str
    known: CodeMeaning | None

    def sentences(self) -> str:
        """All of it in one paragraph.

        >>> explain("HSCL9999")[0].sentences()
        'HSCL9999: lpmkit does not know this code. Read the text beside it, or search for the code at ibm.com/support.'
        >>> explain("[VIOSE01042035-0206] Something.")[0].sentences()
        'VIOSE01042035-0206: IBM publishes no description of this IVM code. Read the text beside it.'
        """
        if self.known is None and self.code.startswith("VIOS"):
            # IBM publishes no list of an IVM's codes; a few are known from programs that drive one.
            return f"{self.code}: IBM publishes no description of this IVM code. Read the text beside it."
        if self.known is None:
            return (
                f"{self.code}: lpmkit does not know this code. Read the text beside it, or search for the code at "
                "ibm.com/support."
            )
        sure = " (from memory, not from a source)" if self.known.mark == "D" else ""
        known = self.known
        return f"{self.code}: {known.meaning}{sure} See: {known.prove} Mend: {known.mend} ({known.who})"


@cache
def known_codes() -> Mapping[str, CodeMeaning]:
    """The table, in the order of its file."""
    text = files("lpmkit.control").joinpath("codes.yaml").read_text(encoding="utf-8")
    return {str(code): CodeMeaning(**facts) for code, facts in YAML(typ="safe").load(text).items()}


#: A code of an HMC; one of an IVM or a VIOS; the return code in a detailed message, as ``rc=83`` or as
#: "The OS command return code is 69".
_FORMS = re.compile(
    r"\bHSCL[0-9A-F]{4}\b|\bVIOS[EI][0-9A-F]{8}-\d{4}\b"
    r"|\b[Rr][Cc]\s*[=:]?\s*\d+\b"
    r"|\b(?:[Rr]eturn(?:ed)?|[Ee]xit) (?:code|value|status)(?: is| was| of)?\s*[=:]?\s*\d+\b",
)
#: Printed beside the code of the step that failed; no trouble by itself.
SUCCESS = "RC 0"
#: An identifier of the error log; in running text only a known one is taken for such.
_IDENTIFIER = re.compile(r"\b[0-9A-F]{8}\b")


def codes_in(text: str) -> tuple[str, ...]:
    """The codes of a reply in any language, in the order they came, each once.

    >>> codes_in("HSCL127D: HSCL1294 The capacity is not a multiple. HSCL1294 again\\nSecure Shell rc=83")
    ('HSCL127D', 'HSCL1294', 'RC 83')
    >>> codes_in("VIOS_DETAILED_ERROR\\nThe OS command return code is 69\\nrc: 83")
    ('RC 69', 'RC 83')
    >>> codes_in("08917DC6   0414083316 I S pmig           Client Partition Migration Started, 12345678")
    ('08917DC6',)
    """
    matches = [(match.start(), _plain(match.group())) for match in _FORMS.finditer(text)]
    matches += [
        (match.start(), match.group()) for match in _IDENTIFIER.finditer(text) if match.group() in known_codes()
    ]
    matches += [
        (match.start(), code)
        for code, known in known_codes().items()
        if known.label
        for match in re.finditer(rf"\b{known.label}\b", text)
    ]
    return tuple(dict.fromkeys(code for _, code in sorted(matches) if code != SUCCESS))


def _plain(code: str) -> str:
    """A return code in one form, whatever it was written in; any other code as it is."""
    if code.startswith(("HSCL", "VIOS")):
        return code
    return f"RC {re.split('[^0-9]+', code)[-1]}"


def explain(text: str) -> tuple[Explained, ...]:
    """Every code of a reply with what is known about it.

    >>> [(one.code, one.known is not None) for one in explain("HSCLA246 The console cannot …\\n"
    ...     "HSCL9999 Something else.")]
    [('HSCLA246', True), ('HSCL9999', False)]
    """
    return tuple(Explained(code, known_codes().get(code)) for code in codes_in(text))


def look_up(words: Iterable[str]) -> tuple[Explained, ...]:
    """The meaning of each code or text that a person gives. A word without a known code is itself an unknown code.

    >>> [(one.code, one.known is not None) for one in look_up(["hscla319", "lsmap "
    ...     "63", "FACADE99", "[VIOSI01040010-0003] No results"])]
    [('HSCLA319', True), ('lsmap 63', True), ('FACADE99', False), ('VIOSI01040010-0003', True)]
    """
    entries: dict[str, Explained] = {}
    by_case = {code.lower(): code for code in known_codes()}
    for word in words:
        whole = by_case.get(" ".join(word.split()).lower())
        explained = (Explained(whole, known_codes()[whole]),) if whole else explain(word) or explain(word.upper())
        for entry in explained or (Explained(word.strip(), None),):
            entries.setdefault(entry.code, entry)
    return tuple(entries.values())
