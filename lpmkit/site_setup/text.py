"""The text of a site file, with comments: what was found, and what could not be found with the reason.

Names and answers come from machines. They are quoted where YAML would read them as something else, and a comment never
ends its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lpmkit.config import Site
from lpmkit.errors import SiteFileError
from lpmkit.settings.yaml_file import read_settings
from lpmkit.site_setup.inside import Inside
from lpmkit.site_setup.managers import ManagedFrame, is_default_user

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.@/-]*")
#: Words that YAML 1.1 or 1.2 reads as truth values or as nothing.
_NOT_TEXT = frozenset(["true", "false", "yes", "no", "on", "off", "y", "n", "null", "none"])
#: Longest reason in a comment.
_LONGEST = 300


def scalar(text: str) -> str:
    """A text as YAML reads it back: plain where that is safe, in double quotes elsewhere.

    >>> scalar("p8a-vios1"), scalar("no"), scalar("12"), scalar("a: b")
    ('p8a-vios1', '"no"', '"12"', '"a: b"')
    """
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    return '"' + "".join(_quoted_character(character) for character in text) + '"'


def _quoted_character(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def comment(text: str) -> str:
    """A text as one comment, without characters that end a line or steer a terminal.

    >>> comment("not\\nresolved\\x1b[2J")
    '# not resolved?[2J'
    """
    one_line = " ".join(text.split())
    shown = "".join(character if character.isprintable() else "?" for character in one_line)
    return f"# {shown if len(shown) <= _LONGEST else shown[:_LONGEST] + ' …'}"


def site_text(
    author: str,
    day: str,
    frames: Sequence[ManagedFrame],
    partitions: Sequence[Inside],
    *,
    ssh_config: Path | None = None,
    password: str | None = None,
) -> str:
    """The site file for these frames and partitions. ``author`` wrote it on ``day``; ``password`` is the reference for
    the managers' logins. Raises `SiteFileError` if it could not be read back: a defect.
    """
    lines = [
        comment(f"Site file of lpmkit, written by {author} on {day}."),
        "# `lpmkit site check` checks it, `lpmkit site check --machines` compares it with the machines.",
        "# No secret stands here: `password:` names where one is kept (env:NAME, keyring:SERVICE/USER, prompt).",
        "",
        *_ssh(ssh_config),
        *_frames(frames, password),
        *_partitions(frames, partitions),
        *_sap_systems(partitions),
        *_databases(partitions),
        "# limits: {suspension_s: {warn: 1.5, fail: 2}}   # what a move may cost, see docs/limits.md",
        "# runs: {folder: runs}                           # where runs are kept; beside this file",
    ]
    text = "\n".join(lines) + "\n"
    refuse_unreadable(text)
    return text


def refuse_unreadable(text: str) -> None:
    """Raise `SiteFileError` for a text that is no site file."""
    import tempfile  # noqa: PLC0415 - only here

    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        try:
            read_settings(Path(file.name), Site, "frames")
        except SiteFileError as error:
            raise SiteFileError("the site file to be written", error.problems) from None


def _ssh(ssh_config: Path | None) -> Iterator[str]:
    yield "# A host is named as it is typed after `ssh`; address, user, key and jump host stand in OpenSSH's own file."
    if ssh_config is None:
        yield "# ssh_config: FILE   # default: ~/.ssh/config"
    else:
        yield f"ssh_config: {scalar(str(ssh_config))}"
    yield ""


def _frames(frames: Sequence[ManagedFrame], password: str | None) -> Iterator[str]:
    yield "frames:" if any(frame.is_usable for frame in frames) else "frames: {}"
    for frame in frames:
        yield from _frame(frame, password)
    yield ""


def _frame(frame: ManagedFrame, password: str | None) -> Iterator[str]:
    facts = (
        f"{frame.frame.machine}, {frame.frame.state or 'state not known'}; {frame.manager.kind.upper()} {frame.level}"
    )
    if frame.also_under:
        facts += f"; also under {', '.join(frame.also_under)}"
    if not frame.is_usable:
        yield f"  {comment(f'{frame.name} is left out ({facts}): {frame.gap}')}"
        return
    yield f"  {scalar(frame.name)}:   {comment(facts)}"
    yield f"    manager: {frame.manager.kind}"
    yield f"    host: {scalar(frame.manager.host)}"
    if frame.system is not None:
        servers = frame.servers
        yield f"    system: {scalar(frame.system)}"
        silent = [f"{server.name} is {server.state}" for server in servers if server.state != "Running"]
        yield f"    vios: [{', '.join(scalar(server.name) for server in servers)}]{_behind('; '.join(silent))}"
    if frame.address and (frame.manager.kind == "ivm" or not frame.address_remark):
        yield f"    mover_address: {scalar(frame.address)}{_behind(frame.address_remark)}"
    elif frame.address:
        yield f"    {comment(f'mover_address: {frame.address}')}   {comment(frame.address_remark)}"
    if not is_default_user(frame):
        yield f"    mover_user: {scalar(frame.user)}"
    if password is not None:
        yield f"    password: {scalar(password)}"
    if frame.partner:
        yield f"    partner: {scalar(frame.partner)}"
    elif frame.could_be_partners:
        yield f"    {comment('partner: one of ' + ', '.join(frame.could_be_partners))}"
    else:
        yield f"    {comment('partner: no other frame here can exchange running partitions with it')}"


def _behind(remark: str) -> str:
    return f"   {comment(remark)}" if remark else ""


def _partitions(frames: Sequence[ManagedFrame], partitions: Sequence[Inside]) -> Iterator[str]:
    yield "# Partitions that are logged in to: probes and checks see them from inside. The others can be moved, too."
    written: set[str] = set()
    rows: list[str] = []
    for frame in frames:
        inside = [each for each in partitions if each.frame == frame.name]
        rows += [f"  {comment(f'on {frame.name}')}"] if inside else []
        for each in inside:
            rows.append(_partition(each, written))
            rows += [f"  {comment(remark)}" for remark in each.remarks]
    yield "partitions:" if written else "partitions: {}"
    yield from rows
    yield ""


def _partition(inside: Inside, written: set[str]) -> str:
    name = inside.partition.name
    entry = f"{scalar(name)}: {{host: {scalar(inside.host or name)}}}"
    if not inside.host:
        return f"  {comment(entry)}   {comment(inside.why)}"
    if name in written:
        return f"  {comment(entry)}   # the name stands above already"
    written.add(name)
    return f"  {entry}   {comment(f'AIX {inside.level}, partition {inside.partition.lpar_id}')}"


def _sap_systems(partitions: Iterable[Inside]) -> Iterator[str]:
    entries = [(inside, system) for inside in partitions for system in inside.sap]
    if not entries:
        yield "# sap_systems:   # none was found; docs/sap.md shows an entry"
    else:
        yield "sap_systems:     # docs/sap.md: rfc, soap_rfc and webservice see more than commands"
    seen: set[str] = set()
    for inside, system in entries:
        if system.sid in seen:
            numbers = ", ".join(system.instances)
            yield f"  {comment(f'{system.sid} runs in {inside.partition.name} too, instances {numbers}')}"
            continue
        seen.add(system.sid)
        yield f"  {scalar(system.sid)}:"
        yield f"    partition: {scalar(inside.partition.name)}"
        yield f"    instances: [{_quoted(system.instances)}]"
        yield f"    dispatchers: [{_quoted(system.dispatchers)}]"
        yield "    # hardware_keys: {FRAME: KEY, …}   # as saplikey -get prints them on each frame, for the licence"
        yield "    # zone: Europe/Berlin              # the system's own time zone, for its jobs"
        commands = f"commands: {{host: {scalar(system.administrator)}}}"
        yield f"    {comment(commands)}   {comment(system.remark)}" if system.remark else f"    {commands}"
    yield ""


def _quoted(numbers: Iterable[str]) -> str:
    return ", ".join(f'"{number}"' for number in numbers)


def _databases(partitions: Iterable[Inside]) -> Iterator[str]:
    entries = [(inside, database) for inside in partitions for database in inside.databases]
    if not entries:
        yield "# databases:     # none was found; docs/oracle.md shows an entry"
    else:
        yield "databases:       # docs/oracle.md: `user:` and `password:` for a logon over the network, and its grants"
    seen: set[str] = set()
    for inside, database in entries:
        if database.sid in seen:
            yield f"  {comment(f'{database.sid} runs in {inside.partition.name} too')}"
            continue
        seen.add(database.sid)
        yield f"  {scalar(database.sid)}:"
        yield f"    partition: {scalar(inside.partition.name)}"
        if database.listener:
            yield f"    listener: {scalar(database.listener)}"
        else:
            yield f"    # listener: HOST:PORT   {comment(database.remark)}"
    yield ""
