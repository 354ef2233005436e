"""A node of a cluster as its AIX shows it: the processes, and the command that tells how long the others wait for it
(`recalled.CLUSTERS`).
"""

from __future__ import annotations

from collections.abc import Sequence

from lpmkit.simulator.guest import Guest
from lpmkit.simulator.recalled import CLUSTERS
from lpmkit.simulator.shells.reply import Reply


def run(guest: Guest, words: Sequence[str]) -> Reply | None:
    """Answer a command of the cluster software; ``None`` when it is none of what is installed."""
    for kind, waits_s in guest.clusters:
        software = CLUSTERS[kind]
        if words[0] == software.program:
            if tuple(words[1:]) != software.arguments:
                return Reply(err=f"{words[0]}: {' '.join(words[1:])}: not to be had here\n", status=1)
            timer = f"{waits_s * software.per_second:g}" if waits_s else software.as_shipped
            return Reply(software.answer.format(timer))
    return None


def processes(guest: Guest) -> list[str]:
    """The processes of the cluster software."""
    return [line for kind, _ in guest.clusters for line in CLUSTERS[kind].processes]
