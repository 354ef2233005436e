"""Words that speak of trouble: what no rule knows and speaks of trouble is not harmless."""

from __future__ import annotations

import re

#: In small letters: what Oracle's own lines of 9.2 to 23ai use (`ALERT-LOGS`).
_ENGLISH = (
    r"errors?|errored|fail(?:ed|ing|s|ures?)?|fatal|corrupt(?:ed|ions?)?|die[ds]|dead|deadlocks?"
    r"|terminat(?:ed|ing|ion)|kill(?:ed|ing|s)?|abort(?:ed|ing)?|crash(?:ed)?|hung|hangs?|stuck|stall(?:ed|ing)?"
    r"|timed out|time-?outs?|warning|lost|unable|can ?not|could not|not (?:responding|available|accessible|mounted)"
    r"|offlined?|dismount(?:ed|ing)?|evict(?:ed|ing|ion)|unreachable|unsynchronized|suspend(?:ed|ing)?"
    r"|unexpected(?:ly)?|refused|rejected|exceed(?:ed|s)?|shut(?:ting)? ?down|inconsistent|broken|panic|critical"
    r"|incomplete|missing|unavailable|retrying|no [\w ]{1,40} available"
    r"|too many|disconnect(?:ed)?|heavy swapping|abandon(?:ed|ing)|interrupted|stopped|halt(?:ed|ing)|gave up"
)
ENGLISH = re.compile(rf"\b(?:{_ENGLISH})\b")
#: The words that a system log has beside those, in English and in German (`SAP-UPDATE-ERRORS`,
#: `SAPNOTE:1519484`; the rest and the German ones are recalled).
_OF_A_SYSTEM_LOG = (
    r"deactivated|abnormal(?:ly)?|not running|emergency"
    r"|cancel(?:l?ed|lation)|overflow|signal \d+|sig(?:segv|bus|ill|abrt|kill|fpe)|rolled back"
    r"|no longer possible|not possible|not connected|not established|full|dump"
    r"|abgebrochen|abbruch|abgestürzt|\w*fehler\w*|fehlgeschlagen|verloren"
    r"|gestört|unterbrochen|deaktiviert|nicht (?:erreichbar|verfügbar|möglich)|kann nicht|konnte nicht"
    r"|zeitüberschreitung|überlauf|keine verbindung|verbindungsabbruch|gescheitert|angehalten|gestoppt"
)
_SYSTEM_LOG = re.compile(rf"\b(?:{_ENGLISH}|{_OF_A_SYSTEM_LOG})\b")


def in_system_log(text: str) -> bool:
    """True if a line of a system log speaks of trouble, in English or in German.

    >>> [in_system_log(text) for text in ("Verbuchung abgebrochen", "Update deactivated", "Mode NIGHT active")]
    [True, True, False]
    """
    return _SYSTEM_LOG.search(text.lower()) is not None
