"""What an HMC's message codes mean, and how to mend what they name: a table of what is known about them, and no more.

``mark`` is the confidence of powervm.md: A captured, B documented, C from code that drives the real thing, D recalled. A code that
is not in the table is shown as it came and says so; nothing in lpmkit decides by a code that is only recalled.

A refusal may chain codes (``HSCL127D: HSCL1288 …``, A `HMCMCP`): the first one says which step failed, the next ones why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

HMC_ADMIN = "HMC administrator"
VIOS_ADMIN = "VIOS administrator"
SAN_ADMIN = "SAN administrator"
AIX_ADMIN = "AIX administrator"


@dataclass(frozen=True, slots=True)
class CodeMeaning:
    """What a code says, how to mend it, who must, and how sure that is."""

    meaning: str
    mend: str
    who: str
    mark: str


@dataclass(frozen=True, slots=True)
class Explained:
    """A code that came, and what is known about it; ``None`` where nothing is."""

    code: str
    known: CodeMeaning | None


_RMC = (
    "As root on the partition named (on a VIOS after oem_setup_env): rmcctrl -z; rmcctrl -A; rmcctrl -p, all in "
    "/usr/sbin/rsct/bin; then allow five minutes. On the HMC lspartition -dlpar shows it with Active:<1>; port 657 must be open, TCP and UDP."
)
_ZONING = (
    "Zone and mask both WWPNs of every virtual Fibre Channel adapter, the inactive one too, to the same target ports."
)
_LUN = (
    "On both I/O servers: lsdev -dev hdiskN -attr unique_id and -attr reserve_policy; zone and mask the LUN to the target, there "
    "cfgdev; chdev -dev hdiskN -attr reserve_policy=no_reserve."
)

CODES: Mapping[str, CodeMeaning] = {
    "HSCL05DF": CodeMeaning(
        "The partition is in a state in which this cannot be done.",
        "lssyscfg -r lpar -F name,state: start it for an active move, shut it down for an inactive one.",
        AIX_ADMIN,
        "C",
    ),
    "HSCL127D": CodeMeaning("A step failed; the code behind it says why.", "Read the next code.", HMC_ADMIN, "A"),
    "HSCL3205": CodeMeaning(
        "The managed system is busy with another operation.", "Wait, then ask again.", HMC_ADMIN, "C"
    ),
    "HSCL350B": CodeMeaning(
        "This user may not do that.", "Use a user whose task role allows mobility (hscroot does).", HMC_ADMIN, "C"
    ),
    "HSCL3653": CodeMeaning(
        "The two management consoles have not exchanged SSH keys for the remote user.",
        "On this HMC: mkauthkeys --ip ADDRESS -u USER, and the same the other way round; mkauthkeys --test must be silent.",
        HMC_ADMIN,
        "A",
    ),
    "HSCL365C": CodeMeaning(
        "The migration failed and was rolled back; seen with HSCLA2CF.", "Read the code beside it.", AIX_ADMIN, "A"
    ),
    "HSCL8012": CodeMeaning(
        "There is no partition of that name on this managed system.",
        "lssyscfg -r lpar -m SYSTEM -F name lists them; -m may name the wrong system.",
        HMC_ADMIN,
        "C",
    ),
    "HSCLA219": CodeMeaning(
        "A virtual Fibre Channel adapter's ports could not be found in the fabric of the target (GPN_FT).",
        _ZONING,
        SAN_ADMIN,
        "B",
    ),
    "HSCLA246": CodeMeaning(
        "The management console cannot reach the partition named, a moving one or a VIOS, over RMC.",
        _RMC,
        AIX_ADMIN,
        "A",
    ),
    "HSCLA24E": CodeMeaning(
        "A virtual SCSI disk cannot be provided by the target: the LUN is not seen there, is in use, or is reserved.",
        _LUN,
        SAN_ADMIN,
        "D",
    ),
    "HSCLA257": CodeMeaning(
        "The operating system or an application in it is not ready for the move.",
        "drmgr -l on the partition lists the scripts that may refuse; the AIX error log and syslog say which did.",
        AIX_ADMIN,
        "D",
    ),
    "HSCLA27C": CodeMeaning(
        "A VIOS could not say what stands behind a virtual adapter; the text quotes its command.", _LUN, VIOS_ADMIN, "D"
    ),
    "HSCLA291": CodeMeaning(
        "Information: a virtual terminal is open; its session is closed at the end.",
        "rmvterm -m SYSTEM -p PARTITION",
        HMC_ADMIN,
        "D",
    ),
    "HSCLA295": CodeMeaning(
        "Information: the current profile is replaced on the target, or a new one is made.",
        "Nothing, or name one with -n.",
        HMC_ADMIN,
        "D",
    ),
    "HSCLA29A": CodeMeaning(
        "A VIOS command for a virtual Fibre Channel adapter failed; RC 69 and 83 mean no matching port.",
        _ZONING,
        SAN_ADMIN,
        "B",
    ),
    "HSCLA2CF": CodeMeaning(
        "The partition did not get ready to be suspended in time; it runs on where it was.",
        "Look at its load and at its DR scripts, then try again.",
        AIX_ADMIN,
        "A",
    ),
    "HSCLA319": CodeMeaning(
        "A virtual Fibre Channel adapter cannot be hosted by the VIOS of the destination.", _ZONING, SAN_ADMIN, "B"
    ),
    "HSCLA340": CodeMeaning(
        "Warning: the target may not be able to replicate the multipath I/O configuration of the source.",
        "Accept fewer paths, or say which adapter goes to which VIOS with a mapping.",
        VIOS_ADMIN,
        "A",
    ),
    "HSCLA356": CodeMeaning(
        "Virtual Fibre Channel ports could not be matched on the destination (GPN_FT).", _ZONING, SAN_ADMIN, "B"
    ),
    "HSCLA4C0": CodeMeaning(
        "The managed system has no virtual Fibre Channel.", "Nothing, where the partition uses none.", HMC_ADMIN, "A"
    ),
}


def codes_in(text: str) -> tuple[str, ...]:
    """The codes of a reply in any language, in the order they came, each once.

    >>> codes_in("HSCL127D: HSCL1294 The capacity is not a multiple. HSCL1294 again\\nSecure Shell")
    ('HSCL127D', 'HSCL1294')
    """
    words = (word.strip("[](){}:;,.\"'") for word in text.split())
    return tuple(dict.fromkeys(word for word in words if _is_code(word)))


def _is_code(word: str) -> bool:
    digits = word.removeprefix("HSCL")
    return word != digits and len(digits) == 4 and all(char in "0123456789ABCDEF" for char in digits)


def explain(text: str) -> tuple[Explained, ...]:
    """Every code of a reply with what is known about it.

    >>> [(one.code, one.known is not None) for one in explain("HSCLA246 The console cannot …\\nHSCL9999 Something else.")]
    [('HSCLA246', True), ('HSCL9999', False)]
    """
    return tuple(Explained(code, CODES.get(code)) for code in codes_in(text))
