"""Readers of what SAP leaves on the host's own command line: the licence tools and the names of its processes
(`SAP-PS`, `SAPLIKEY`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from lpmkit.errors import UnexpectedReply
from lpmkit.sap.model import Licence, Process
from lpmkit.sap.recalled import FOR_EVER, LICENCE_LABELS

_OF_THIS = re.compile(r"\s*\(of this computer\)$")
_KEY_IN_ROW = re.compile(r"(?:^|\s)([A-Z]\d{10})(?=\s|$)")
#: ``dw.sapBX5_DVEBMGS00``: dispatcher and work processes, message server, collector, syslog sender and collector.
_SAP_PROCESS = re.compile(
    r"(?:^|[/\s])((dw|ms|se|co|gw|rd|enqr|enq|en|er|ig|jc|wd)\.sap([A-Z][A-Z0-9]{2})_([A-Z]+\d\d))(?:\s|$)"
)
_ELAPSED = re.compile(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d\d)")
DESCRIPTIONS = {
    "dw": "dispatcher and work processes",
    "ms": "message server",
    "se": "system log sender",
    "co": "system log collector",
    "gw": "gateway",
    "rd": "gateway",
    "en": "enqueue server",
    "er": "enqueue replication server",
    "enq": "enqueue server 2",
    "enqr": "enqueue replicator 2",
    "wd": "Web Dispatcher",
    "ig": "internet graphics server",
    "jc": "Java control",
}


def read_hardware_key(printed: str) -> str:
    """``saplikey pf=… -get`` or ``saplicense -get``: the hardware key of this host."""
    for label, value in _labelled(printed):
        if label == "hardware key" and value:
            return _key(value)
    raise UnexpectedReply("it names no hardware key", line=printed.strip()[:200])


def read_licences(printed: str) -> tuple[Licence, ...]:
    """``saplikey -show``: every installed licence.

    There may be several keys, one for each frame that the system may run on.

    ``saplicense -show`` of the time before 7.00 is recalled as a table; its rows are known by the key that they hold.
    """
    rows = [line for line in printed.split("\n") if _KEY_IN_ROW.search(line) and ":" not in line]
    if rows:
        return tuple(_licence_of_row(line) for line in rows)
    groups: list[dict[str, str]] = []
    for label, value in _labelled(printed):
        if label == "system" or not groups:
            groups.append({})
        groups[-1].setdefault(label, value)
    found = [_licence(group) for group in groups if group.get("hardware key")]
    listed = re.search(r"^[ \t]*(\d{1,6}) license keys? listed", printed, re.MULTILINE)
    if listed is not None and int(listed[1]) != len(found):
        raise UnexpectedReply(f"{len(found)} licences could be read", line=listed[0])
    if not found and listed is None:
        raise UnexpectedReply("it lists no licences", line=printed.strip()[:200])
    if listed is None and re.search(r"^[ \t]*List of installed License Keys", printed, re.MULTILINE):
        raise UnexpectedReply("it stops before the number of licences", line=printed.strip().rsplit("\n", 1)[-1][:200])
    return tuple(found)


def _labelled(printed: str) -> Iterator[tuple[str, str]]:
    for line in printed.split("\n"):
        before, colon, value = line.partition(":")
        name = before.rstrip(" .").strip() or before.strip()
        if colon and name and not line.lstrip().startswith(("-", "=")):
            label = " ".join(name.lower().split())
            yield LICENCE_LABELS.get(label, label), value.strip()


def _licence_of_row(line: str) -> Licence:
    words = line.lower().split()
    match = _KEY_IN_ROW.search(line)
    assert match is not None
    kind = next((word for word in words if word.startswith(("perm", "temp"))), "")
    until = next((word for word in words if re.fullmatch(r"[12]\d{7}|99991231", word)), "")
    state = next((word for word in words if word in ("valid", "invalid", "expired", "ok")), "")
    system = re.match(r"[A-Z][A-Z0-9]{2}(?=\s)", line.strip())
    return Licence(
        key=match[1],
        system=system[0] if system else "",
        permanent=kind.startswith("perm") if kind else None,
        valid=state in ("valid", "ok") if state else None,
        until="" if until == FOR_EVER else until,
    )


def _key(value: str) -> str:
    key = _OF_THIS.sub("", value)
    if not re.fullmatch(r"[A-Z]\d{10}", key):
        raise UnexpectedReply("a hardware key is a letter and ten digits", line=value[:80])
    return key


def _licence(group: dict[str, str]) -> Licence:
    kind, validity, until = (group.get(name, "") for name in ("type of license key", "validity", "end of validity"))
    permanent = None if not kind else kind.lower().startswith("perm")
    return Licence(
        key=_key(group["hardware key"]),
        product=group.get("software product", ""),
        permanent=permanent,
        valid=None if not validity else validity.lower() in ("valid", "yes", "ok"),
        until="" if until == FOR_EVER else until,
        system=group.get("system", ""),
    )


def read_processes(printed: str, sid: str, now: datetime) -> tuple[Process, ...]:
    """``ps -e -o pid,etime,args``: SAP's own processes of one system, those that start and hold the others (children
    have them as parent).

    The parent of many ``dw.sap…`` is the dispatcher, so each name is listed once, with the oldest of its processes.
    """
    oldest: dict[str, tuple[int, int]] = {}
    for line in printed.split("\n")[1:]:
        if not line.strip():
            continue
        match = re.match(r"\s*(\d{1,9})\s+(\S+)\s+(.*)$", line)
        if match is None:
            raise UnexpectedReply("this is no line of ps", line=line[:200])
        name = _SAP_PROCESS.search(match[3])
        if name is None or name[3] != sid:
            continue
        age = elapsed(match[2])
        if name[1] not in oldest or age > oldest[name[1]][0]:
            oldest[name[1]] = (age, int(match[1]))
    return tuple(
        Process(
            name=name,
            pid=pid,
            text="running, by its name in ps",
            from_ps=True,
            started=(now - timedelta(seconds=age)).replace(microsecond=0),
            elapsed_s=age,
            description=DESCRIPTIONS[name.split(".", 1)[0]],
        )
        for name, (age, pid) in sorted(oldest.items())
    )


def elapsed(printed: str) -> int:
    """``ps -o etime``: ``[[dd-]hh:]mm:ss``, as seconds.

    >>> elapsed("12-03:04:05"), elapsed("04:05")
    (1047845, 245)
    """
    match = _ELAPSED.fullmatch(printed)
    if match is None or len(printed) > 20:
        raise UnexpectedReply("this is no elapsed time", line=printed[:40])
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def read_disp_work(printed: str) -> str:
    """``disp+work -V``: the kernel as ``release, patch number``; labels in any order, chatter between (`TRENTO`)."""
    facts = {}
    for line in printed.split("\n"):
        match = re.match(r"(kernel release|patch number)\s{2,}(\S+)\s*$", line.strip())
        if match:
            facts[match[1]] = match[2]
    if "kernel release" not in facts:
        raise UnexpectedReply("it names no kernel release", line=printed.strip()[:200])
    return f"{facts['kernel release']}, patch {facts.get('patch number', '?')}"
