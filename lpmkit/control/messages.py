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


#: The heading over the errors of a validation, beside ``Warnings:`` and ``Details:`` (B, IBM support on HSCLA319).
ERRORS = "errors:"


def names_errors(text: str) -> bool:
    r"""True for an answer that lists errors, whatever its status: a wrapper may have lost that.

    >>> names_errors("Errors:\nHSCLA319 The adapter 4 cannot be hosted.\n"), names_errors("Warnings:\nHSCLA295 …\n")
    (True, False)
    """
    lines = [line.strip().casefold() for line in text.splitlines() if line.strip()]
    return ERRORS in lines[:-1]


def _message(line: str) -> ManagerMessage:
    head, _, rest = line.partition(" ")
    code = head.strip("[]:")
    coded = (head.startswith("[VIOS") and head.endswith("]")) or (head.startswith("HSCL") and code.isalnum())
    return ManagerMessage(code, rest.strip()) if coded else ManagerMessage(None, line)


def says(reply: Reply, code: str) -> bool:
    """True if a reply carries this code."""
    return any(message.code == code for message in messages(reply))
