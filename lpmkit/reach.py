"""From the site file to the machines: which manager drives a frame, and a survey of both ends."""

from __future__ import annotations

from contextlib import ExitStack, closing

from lpmkit.config import HostSettings, Secrets, Site
from lpmkit.control import Control, Order
from lpmkit.control.aix import AixShell, Identity
from lpmkit.control.ivm import Ivm
from lpmkit.control.vios import ViosShell
from lpmkit.session import Transcript
from lpmkit.ssh import SshSession, open_session
from lpmkit.survey import Row, Snapshot, Survey, changed, gather


def control_of(site: Site, frame: str, *, secrets: Secrets, transcript: Transcript | None = None) -> Control:
    """The manager of one frame of the site. Nothing is sent before it is used."""
    return Ivm(frame, open_session(site, site.frame(frame), secrets=secrets, transcript=transcript))


def survey_both_ends(site: Site, order: Order, secrets: Secrets, transcript: Transcript | None = None) -> Survey:
    """Log in to both frames and, where the site says how, to the partition, and gather everything about a move."""
    with ExitStack() as stack:

        def shell(settings: HostSettings) -> SshSession:
            return stack.enter_context(closing(open_session(site, settings, secrets=secrets, transcript=transcript)))

        def control(frame: str) -> Control:
            return stack.enter_context(closing(control_of(site, frame, secrets=secrets, transcript=transcript)))

        partition = site.partitions.get(order.partition)
        return gather(
            order,
            control(order.source),
            control(order.target),
            ViosShell(shell(site.frame(order.source))),
            ViosShell(shell(site.frame(order.target))),
            AixShell(shell(partition)) if partition else None,
        )


def changes(before: Survey, after: Survey) -> tuple[Row, ...]:
    """What became of the partition's identity between two surveys: on which frame it is, who it says it is, when it booted."""
    return changed(_snapshot(before), _snapshot(after))


def _snapshot(survey: Survey) -> Snapshot:
    # During the switch both may list it; where it runs is where it is.
    sides = [
        side
        for side in (survey.source, survey.target)
        if (one := side.partition(survey.partition)) and one.state == "Running"
    ]
    side = sides[0] if len(sides) == 1 else None
    identity = survey.guest.identity if survey.guest else Identity()
    return Snapshot(side.name if side else None, identity, side.frame.machine if side and side.frame else None)
