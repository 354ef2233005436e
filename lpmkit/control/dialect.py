"""The kind of manager at the other end, found by asking, never by configuration alone (order of questions C
`HMCSCAN`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lpmkit.control.hmc import read_console_level
from lpmkit.control.vios import read_level
from lpmkit.errors import CommandRefused, LoginRefused, UnexpectedReply, UsageError
from lpmkit.ssh.session import Reply, Session

#: An IVM's own commands are refused with this code where the server hangs on an HMC (A `FIELD-VIOSE`).
MANAGED_BY_HMC = "VIOSE01010003-0245"


@dataclass(frozen=True, slots=True)
class Dialect:
    """``kind`` is ``hmc``, ``ivm`` or ``vios`` (a VIOS that an HMC manages, which manages nothing itself).

    ``level`` as it prints it.
    """

    kind: str
    level: str


def dialect_of(session: Session) -> Dialect:
    """Ask what a manager is. Raises `UnexpectedReply` for a machine that is none, and connection errors."""
    reply = session.run(["lshmc", "-V"])
    try:
        level = read_console_level(reply.checked().output)
        return Dialect("hmc", f"V{level.version}R{level.release}")
    except (CommandRefused, UnexpectedReply):  # no HMC; the next question says what else
        pass
    _refuse_expired(reply, session)
    reply = session.run(["ioscli", "ioslevel"])
    _refuse_expired(reply, session)
    try:
        level_of_vios = read_level(reply.checked().output)
    except (CommandRefused, UnexpectedReply) as trouble:
        raise UnexpectedReply(
            "this is neither an HMC (lshmc -V) nor a VIOS (ioscli ioslevel)",
            where=session.where,
            line=reply.text.partition("\n")[0] or None,
            next_step="Is `host` in the site file the manager of the frame, and the login its own (hscroot, padmin)?",
        ) from trouble
    listed = session.run(["lssyscfg", "-r", "sys", "-F", "name,state"])
    kind = "vios" if MANAGED_BY_HMC in listed.text else "ivm"
    return Dialect(kind, level_of_vios)


#: An account whose password has expired prints this instead of an answer (3004-327 of AIX, A, a field capture).
EXPIRED = re.compile(r"3004-327|password (has )?expired|password has expired|You are required to change", re.IGNORECASE)


def _refuse_expired(reply: Reply, session: Session) -> None:
    """Raise `LoginRefused` for an account that first has to change its password."""
    if reply.status != 0 and EXPIRED.search(reply.text):
        raise LoginRefused(
            "the password of this account has expired",
            where=session.where,
            asked=reply.command,
            answered=reply.text,
            next_step="Log in by hand once and change it.",
        )


def confirm(dialect: Dialect, manager: str, frame: str) -> None:
    """Raise `UsageError` when the site file calls a frame's manager something else than it says it is."""
    if dialect.kind == manager:
        return
    advice = {
        "hmc": f"an HMC ({dialect.level}): write `manager: hmc`, `system:` and `vios:`",
        "ivm": f"the IVM of a VIOS {dialect.level}: write `manager: ivm` and leave `system:` and `vios:` out",
        "vios": f"a VIOS {dialect.level} that hangs on an HMC: name that HMC as `host`",
    }
    raise UsageError(
        f"the site file says that {frame} is under an {manager.upper()}, and what answers there is "
        f"{advice[dialect.kind].partition(':')[0]}",
        where=frame,
        next_step=f"In frames.{frame}: it is {advice[dialect.kind]}.",
    )
