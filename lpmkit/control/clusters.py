"""Cluster software in a partition and its time-out for a silent member. The table is ``clusters.yaml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from ruamel.yaml import YAML

from lpmkit.control.listings import lines, understood
from lpmkit.errors import CommandRefused, UnexpectedReply
from lpmkit.ssh.session import Session


@dataclass(frozen=True, slots=True)
class ClusterKind:
    """A row of the table."""

    process: str
    ask: tuple[str, ...]
    seconds: tuple[str, ...]
    default_s: float
    mark: str
    remedy: str
    unset_s: float | None = None
    name: str | None = None
    unit_s: float = 1.0
    beside: str | None = None


@dataclass(frozen=True, slots=True)
class ClusterMember:
    """Cluster software that runs here. ``tolerates_s`` is what it said, ``None`` where it did not; then only the
    vendor's default is known.

    ``cluster`` is the name of the cluster, where it reported one.
    """

    kind: str
    process: str
    tolerates_s: float | None = None
    cluster: str | None = None


@cache
def cluster_kinds() -> Mapping[str, ClusterKind]:
    """The table, in the order of its file."""
    text = files("lpmkit.control").joinpath("clusters.yaml").read_text(encoding="utf-8")
    rows = YAML(typ="safe").load(text)
    return {
        name: ClusterKind(**{**facts, "ask": tuple(facts["ask"]), "seconds": tuple(facts["seconds"])})
        for name, facts in rows.items()
    }


def read_members(text: str) -> tuple[ClusterMember, ...]:
    r"""The cluster software among the processes that ``ps -e -o pid,args`` shows; the first process of each kind.

    >>> text = ("    PID COMMAND\n 418022 /u01/app/grid/bin/ocssd.bin\n 500000 grep mmfsd\n"
    ...     " 600000 /usr/es/sbin/cluster/clstrmgr\n")
    >>> [(one.kind, one.process) for one in read_members(text)]
    [('PowerHA', '/usr/es/sbin/cluster/clstrmgr')]

    ``ocssd.bin`` without ``crsd.bin`` is no cluster.
    """
    head, *rows = lines(text) or [""]
    if "COMMAND" not in head:
        raise UnexpectedReply("the heading PID COMMAND was expected", line=head)
    programs = {fields[1].rsplit("/", 1)[-1]: fields[1] for row in reversed(rows) if len(fields := row.split()) > 1}
    present = []
    for name, kind in cluster_kinds().items():
        process = programs.get(kind.process)
        if process is not None and (kind.beside is None or kind.beside in programs):
            present.append(ClusterMember(name, process))
    return tuple(present)


def members(session: Session) -> tuple[ClusterMember, ...]:
    """The cluster software that runs, each with its time-out.

    Raises `RemoteError` when the processes cannot be listed.
    """
    present = understood(session.run(["ps", "-e", "-o", "pid,args"]), read_members)
    return tuple(_asked(session, member) for member in present)


def _asked(session: Session, member: ClusterMember) -> ClusterMember:
    """The member with its time-out and cluster name, as far as its command prints them."""
    kind = cluster_kinds()[member.kind]
    folder = member.process.rpartition("/")[0] or "."
    try:
        output = session.run([word.format(folder=folder) for word in kind.ask]).checked().output
    except CommandRefused:  # the refusal stays in the transcript, and its patience is not known
        return member
    seconds = next((match[1] for pattern in kind.seconds if (match := re.search(pattern, output))), None)
    name = re.search(kind.name, output) if kind.name else None
    patience = None if seconds is None else float(seconds or 0) * kind.unit_s or kind.unset_s
    return replace(member, tolerates_s=patience, cluster=name[1] if name else None)
