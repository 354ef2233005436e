"""The forms of audit records: RFC 5424, CEF, JSON, and the metrics of a run as a text file."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import lpmkit
from lpmkit.json_values import JsonObject
from lpmkit.runs.audit import ERROR, INFORMATIONAL, NOTICE, WARNING, AuditRecord

#: The SD-ID of the structured data: a name of our own, with the number that RFC 5612 reserves for documentation and
#: that belongs to no enterprise.
SD_ID = "lpmkit@32473"
#: Severity from 0 to 10 by that of syslog: CEF counts the other way.
CEF_SEVERITY: Mapping[int, int] = {ERROR: 8, WARNING: 6, NOTICE: 4, INFORMATIONAL: 2}
_HEADER_FIELD = 32, 126


def moment(wall_ns: int) -> str:
    """An instant as RFC 3339 has it, in UTC, with microseconds, which is the most that RFC 5424 takes.

    >>> moment(1_796_022_675_120_413_017)
    '2026-11-30T07:11:15.120413Z'
    """
    at = datetime.fromtimestamp(wall_ns // 1_000_000_000, tz=UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{wall_ns % 1_000_000_000 // 1000:06d}Z"


def as_data(record: AuditRecord) -> JsonObject:
    """A record as JSON values, with its identity and its time in words."""
    return {"id": record.identity, "at": moment(record.wall_ns), **asdict(record), "action": record.action.value}


def json_line(record: AuditRecord) -> str:
    """A record as one line of JSON, without the end of the line."""
    return json.dumps(as_data(record), ensure_ascii=False, separators=(",", ":"))


def rfc5424(record: AuditRecord, facility: int, host: str, message: str | None = None) -> bytes:
    """A record as a message of RFC 5424; its text, or ``message``, in UTF-8 with the mark that says so."""
    priority = facility * 8 + record.severity
    facts = {
        "id": record.identity,
        "run": record.run,
        "partition": record.partition,
        "source": record.source,
        "target": record.target,
        "action": record.action.value,
        "by": record.by,
        "outcome": record.outcome,
        "forced": "true" if record.forced else "false",
    }
    data = " ".join(f'{name}="{_sd_value(value)}"' for name, value in facts.items() if value)
    head = f"<{priority}>1 {moment(record.wall_ns)} {_token(host, 255)} lpmkit - {_token(record.action.value, 32)}"
    text = " ".join((record.text if message is None else message).split())
    return f"{head} [{SD_ID} {data}] ".encode() + b"\xef\xbb\xbf" + text.encode()


def _sd_value(value: str) -> str:
    """A value of structured data with its three characters escaped (RFC 5424, 6.3.3), on one line."""
    return " ".join(value.split()).replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _token(text: str, longest: int) -> str:
    """A field of the header: printable ASCII without spaces; ``-`` for none."""
    low, high = _HEADER_FIELD
    return "".join(char for char in text if low < ord(char) <= high)[:longest] or "-"


def cef(record: AuditRecord) -> str:
    r"""A record in CEF: seven header fields and the extension.

    A bar and a backslash are escaped in the header, an equals sign and a backslash in the extension (`CEF`).
    """
    header = ("CEF:0", "lpmkit", "lpmkit", lpmkit.__version__, record.action.value, record.text[:512])
    facts = {
        "rt": str(record.wall_ns // 1_000_000),
        "externalId": record.identity,
        "suser": record.by,
        "act": record.action.value,
        "outcome": record.outcome,
        "dvchost": record.observer,
        "dhost": record.partition,
        "cs1Label": "source frame",
        "cs1": record.source,
        "cs2Label": "target frame",
        "cs2": record.target,
        "cs3Label": "forced",
        "cs3": "true" if record.forced else "false",
        "msg": record.text[:1023],
    }
    extension = " ".join(f"{name}={_extension(value)}" for name, value in facts.items() if value)
    fields = [header[0], *(_header(text) for text in header[1:]), str(CEF_SEVERITY[record.severity])]
    return "|".join([*fields, extension])


def _header(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")


def _extension(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("=", "\\=")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The signature of a webhook: HMAC-SHA256 over the time, a dot and the body, in hexadecimal digits."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


#: A metric: its name without prefix, what it is, its samples: labels and value.
Metric = tuple[str, str, Sequence[tuple[Mapping[str, str], float]]]


def metrics_text(metrics: Sequence[Metric]) -> str:
    """Gauges as text that both readers take: Prometheus' text format and OpenMetrics."""
    lines = []
    for name, about, samples in metrics:
        if not samples:
            continue
        lines += [f"# HELP lpmkit_{name} {about}", f"# TYPE lpmkit_{name} gauge"]
        for labels, value in samples:
            words = ",".join(f'{label}="{_label(text)}"' for label, text in labels.items())
            lines.append(f"lpmkit_{name}{{{words}}} {float(value)!r}")
    return "\n".join([*lines, "# EOF", ""])


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
