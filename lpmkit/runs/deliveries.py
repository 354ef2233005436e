"""The records of a run that the sinks of a site were sent, and those that they did not take: lines of
``deliveries.jsonl``.

Only the courier of the run and ``lpmkit sinks send`` write there, one at a time. A record that no line calls delivered
is not delivered: a courier that was killed loses nothing silently.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lpmkit.errors import RecordError
from lpmkit.json_values import parse_json
from lpmkit.runs.audit import Action, audit_records
from lpmkit.runs.files import open_plain
from lpmkit.runs.folder import Run
from lpmkit.runs.locks import holder
from lpmkit.settings.sinks import AT_THE_END

NAME = "deliveries.jsonl"
#: The begin of a hook's name among the sinks.
HOOK_PREFIX = "hook "
#: The lock of the one that delivers.
LOCK = "courier.lock"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One record and one sink: when it was settled (nanoseconds since 1970), after how many tries, and the reason if it
    was not taken.
    """

    wall_ns: int
    sink: str
    record: int
    delivered: bool
    tries: int = 1
    why: str = ""


def deliveries(folder: Path) -> dict[tuple[str, int], Delivery]:
    """The newest line of each sink and record; lines that are none are left out."""
    newest: dict[tuple[str, int], Delivery] = {}
    try:
        with open_plain(folder / NAME, "rb") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return newest
    for line in lines:
        delivery = _delivery(line)
        if delivery is None:
            continue
        before = newest.get((delivery.sink, delivery.record))
        if before is None or not before.delivered:
            newest[delivery.sink, delivery.record] = delivery
    return newest


def _delivery(line: bytes) -> Delivery | None:
    try:
        row: Any = parse_json(line)
        return Delivery(
            int(row["wall_ns"]),
            str(row["sink"]),
            int(row["record"]),
            row["delivered"] is True,
            int(row["tries"]),
            str(row["why"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def note(folder: Path, settled: Iterable[Delivery]) -> None:
    """Append lines, each whole. Raises `OSError`."""
    content = b"".join(json.dumps(asdict(each), ensure_ascii=False).encode() + b"\n" for each in settled)
    path = folder / NAME
    torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    with open_plain(path, "ab") as file:
        file.write((b"\n" if torn else b"") + content)
        file.flush()
        os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Records that a sink has not taken: how many, and the newest reason, empty where nothing was tried."""

    sink: str
    count: int
    why: str

    def sentence(self, run: str) -> str:
        """A sentence on the records that were not delivered, with the next step.

        >>> print(Undelivered("siem", 2, "loghost:6514 took longer than 10 s.").sentence("RUN"))
        2 audit records were not delivered to siem: loghost:6514 took longer than 10 s. `lpmkit sinks send RUN` sends
        them again.
        """
        records = "1 audit record was" if self.count == 1 else f"{self.count} audit records were"
        again = "it" if self.count == 1 else "them"
        why = self.why or "the courier ended before it tried."
        return f"{records} not delivered to {self.sink}: {why} `lpmkit sinks send {run}` sends {again} again."


def undelivered(run: Run) -> list[Undelivered]:
    """The records of a run that a sink of its site has not taken, by sink; empty while its courier is at work."""
    sinks = (run.manifest.get("site") or {}).get("sinks")
    sinks = sinks if isinstance(sinks, dict) else {}
    settled = deliveries(run.path)
    # what hooks are installed is not in the record: those that failed are known by their lines
    hooks = {sink for sink, _ in settled if sink.startswith(HOOK_PREFIX)}
    sinks = {**sinks, **{name: {"kind": "hook"} for name in hooks}}
    events = run.events() if sinks else []
    if not events or is_delivering(run.path):
        return []
    records = audit_records(run.name, run.manifest, events)
    found = []
    for name, sink in sinks.items():
        kind = sink.get("kind") if isinstance(sink, dict) else None
        wanted = [record for record in records if kind not in AT_THE_END or record.action is Action.ENDED]
        rows = [settled.get((name, record.number)) for record in wanted]
        left = [row for row in rows if row is None or not row.delivered]
        if left:
            why = next((row.why for row in reversed(left) if row is not None), "")
            found.append(Undelivered(str(name), len(left), why))
    return found


def is_delivering(folder: Path) -> bool:
    """True while somebody delivers the records of a run; false where that cannot be seen."""
    try:
        return holder(folder / LOCK) is not None
    except RecordError:
        return False  # a read-only archive
