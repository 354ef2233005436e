"""One move that is under way, and the ways in which it can end early."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from lpmkit.simulator import transfer
from lpmkit.simulator.shells.reply import Reply


class Stopped(Exception):
    """Somebody asked the move to end, in time."""


class Broken(Exception):
    """The move cannot go on; its state stays as it is. The argument is the message."""


class Crashed(Exception):
    """Past the point of no return the partition lost what it needs: nobody runs it any more.

    The argument is the message.
    """


class RolledBack(Exception):
    """The move did not succeed and was undone. The argument is the message."""


@dataclass(slots=True)
class Move:
    """One move that is under way."""

    number: int
    partition: str
    source: str
    target: str
    plan: transfer.Plan
    active: bool
    stop: threading.Event
    ended: threading.Event
    outcome: Reply = field(default_factory=Reply)
