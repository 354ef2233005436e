"""Messages of a manager with their codes, as an IVM and an HMC print them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lpmkit.ssh.session import Reply


@dataclass(frozen=True, slots=True)
class ManagerMessage:
    """One message of a refusal or a warning; ``code`` is ``None`` for a line that carries none."""

    code: str | None
    text: str


def messages(reply: Reply) -> tuple[ManagerMessage, ...]:
    r"""The messages of a reply with their codes, in order; on stderr of an IVM and often on stdout of an HMC (A
    `NOVA-IVM`, `HMCMCP`).

    A line without a code continues the message before it.

    >>> messages(Reply("bvio82", "migrlpar", 1, "", "[VIOSE01040101-0103] The disk hdisk9\nis not on the target.\n"))
    (ManagerMessage(code='VIOSE01040101-0103', text='The disk hdisk9 is not on the target.'),)
    >>> messages(Reply("hmc", "migrlpar", 1, "HSCL3653 The Secure Shell is not set up.\n", ""))
    (ManagerMessage(code='HSCL3653', text='The Secure Shell is not set up.'),)
    """
    gathered: list[ManagerMessage] = []
    for line in filter(None, map(str.strip, reply.text.splitlines())):
        message = _message(line)
        if message.code is None and gathered:
            gathered[-1] = replace(gathered[-1], text=f"{gathered[-1].text} {message.text}")
        else:
            gathered.append(message)
    return tuple(gathered)


def _message(line: str) -> ManagerMessage:
    head, _, rest = line.partition(" ")
    code = head.strip("[]:")
    coded = (head.startswith("[VIOS") and head.endswith("]")) or (head.startswith("HSCL") and code.isalnum())
    return ManagerMessage(code, rest.strip()) if coded else ManagerMessage(None, line)


def says(reply: Reply, code: str) -> bool:
    """True if a reply carries this code."""
    return any(message.code == code for message in messages(reply))
