"""Plain files inside a run folder, and their permissions.

A folder may come from anywhere, so nothing in it may lead out of it: links, pipes and devices are refused. A new
file has the permissions of its folder, which belongs to its owner alone (0700), or to its owner and a group (2770,
`lpmkit.config.RunSettings.group`).
"""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterator
from io import BufferedRandom
from pathlib import Path
from typing import cast

from lpmkit.errors import RecordError, UsageError

#: Maximum size of any file of a run; a day of samples at a thousand a second has some six gigabytes.
MAX_FILE_BYTES = 64 << 30
#: Maximum size of a document: the survey of a thousand partitions has some megabytes.
MAX_DOCUMENT_BYTES = 64 << 20
#: Maximum length of a line. The longest that is written holds a reply of 32 MB, with six characters for some bytes.
MAX_LINE_BYTES = 256 << 20


def open_plain(path: Path, mode: str) -> BufferedRandom:
    """Open a file, never through a link; a new one gets its folder's permissions.

    ``mode`` as for `open`, binary. Raises `OSError`.
    """
    buffering = 0 if mode == "ab" else -1
    file = open(path, mode, buffering=buffering, opener=_open)  # noqa: SIM115 - Path.open takes no opener
    return cast(BufferedRandom, file)


def _open(name: str, flags: int) -> int:
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe in the place of a file would block for ever
    if not flags & os.O_CREAT:
        return _plain(os.open(name, flags), name)
    folder = os.stat(os.path.dirname(name) or ".").st_mode  # noqa: PTH116, PTH120 - an opener is given a text
    permissions = 0o666 & folder
    existed = os.path.lexists(name)
    descriptor = _plain(os.open(name, flags, permissions), name)
    if folder & stat.S_ISGID and not existed:
        os.fchmod(descriptor, permissions)  # independent of the umask
    return descriptor


def _plain(descriptor: int, name: str) -> int:
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise OSError(22, "it is no plain file", name)
    if facts.st_size > MAX_FILE_BYTES:
        os.close(descriptor)
        raise OSError(22, f"it is larger than {MAX_FILE_BYTES >> 30} GB", name)
    return descriptor


def read_plain(path: Path) -> bytes:
    """The content of a document, never through a link and never of a pipe. Raises `OSError`, also for a file that is
    larger than `MAX_DOCUMENT_BYTES`: a sparse one of terabytes costs nothing to make.
    """
    with open_plain(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > MAX_DOCUMENT_BYTES:
            raise OSError(22, f"it is larger than {MAX_DOCUMENT_BYTES >> 20} MB", str(path))
        return file.read(MAX_DOCUMENT_BYTES)


def plain_lines(file: BufferedRandom) -> Iterator[bytes]:
    """The lines of an open file; one of more than `MAX_LINE_BYTES` is cut, and the last."""
    while line := file.readline(MAX_LINE_BYTES):
        yield line
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            return


def make_folder(path: Path, *, group: str | None = None) -> Path:
    """Create a folder, private, for ``group``, or shared like its parent; an existing folder stays.

    Raises `RecordError` if it cannot be created or is a link, `UsageError` for an unknown group.
    """
    try:
        parent = path.parent.stat().st_mode
        shared = bool(parent & stat.S_ISGID)
        path.mkdir(mode=0o2770 if shared else 0o700)
        if shared:
            path.chmod(0o2770)
    except FileExistsError:
        if path.is_symlink() or not path.is_dir():
            raise RecordError(
                f"{path.name} is no folder", where=str(path.parent), next_step="Move it away; links are not followed."
            ) from None
        return path
    except OSError as error:
        raise cannot_write(path, error) from error
    if group is not None:
        share(path, group)
    return path


def make_folders(path: Path, *, group: str | None = None) -> Path:
    """Create a folder and what is missing above it, like `make_folder`; ``group`` gets the last one."""
    for folder in reversed([path, *path.parents]):
        if not folder.exists():
            make_folder(folder, group=group if folder == path else None)
    return path


def who_else_may_write(folder: Path) -> str:
    """The reason why others could replace what lies in a folder; empty where only this account and root can.

    All folders above count: who may rename one of them may put another in its place. A sticky folder such as ``/tmp``
    is no danger to the folder below it.
    """
    folder = folder.resolve()
    for path in (folder, *folder.parents):
        facts = path.stat()
        if facts.st_uid not in (0, os.getuid()):
            return f"{path} belongs to the account {facts.st_uid}"
        is_protected = bool(facts.st_mode & stat.S_ISVTX) and path != folder
        if facts.st_mode & (stat.S_IWOTH | stat.S_IWGRP) and not is_protected:
            who = "every account" if facts.st_mode & stat.S_IWOTH else f"the group {facts.st_gid}"
            return f"{who} may write to {path}"
    return ""


def share(path: Path, group: str) -> None:
    """Share a folder with a group. Raises `UsageError` if the group is unknown or this account may not use it."""
    try:
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
        path.chmod(0o2770)
    except (KeyError, OSError) as error:
        reason = "there is no such group" if isinstance(error, KeyError) else error.strerror or str(error)
        raise UsageError(
            f"the folder cannot be given to the group {group!r}: {reason}",
            where=str(path),
            next_step="`runs.group` in the site file names a group of this machine that you are a member of.",
        ) from error


def cannot_write(path: Path, error: OSError) -> RecordError:
    """The error for a file or folder that cannot be written, with the next step."""
    return RecordError(
        f"{path.name} cannot be written: {error.strerror or error}",
        where=str(path.parent),
        next_step="Free some space there and try again; what was recorded is still readable."
        if error.errno in FULL
        else "Check that the folder exists and that you may write to it. `report`, `analyse` and `write-up` write "
        "to another folder with --output FOLDER.",
    )


#: ENOSPC, EDQUOT and EFBIG.
FULL = (28, 122, 27)


def not_plain(folder: Path) -> list[str]:
    """Entries of a folder that are neither plain files nor folders: links, pipes, devices, sockets.

    Raises `OSError`.
    """
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if not entry.is_file(follow_symlinks=False) and not entry.is_dir(follow_symlinks=False)
        )


def refuse_links(folder: Path) -> None:
    """Raise `RecordError` if the folder directly contains a link or a device."""
    try:
        special = not_plain(folder)
    except OSError as error:
        raise RecordError(f"it cannot be listed: {error.strerror}", where=str(folder)) from error
    if special:
        raise RecordError(
            f"it contains entries that are neither files nor folders: {', '.join(special[:5])}",
            where=str(folder),
            next_step="A run folder has no links, and none is followed. Remove them, or copy their targets.",
        )


def plain_files(folder: Path) -> Iterator[Path]:
    """Every plain file below a folder, sorted; links are not followed. Raises `RecordError` for a link or a device."""
    paths = []
    for root, names, files in os.walk(folder):
        names.sort()
        refuse_links(Path(root))
        paths += [Path(root) / name for name in files]
    yield from sorted(paths)


def name_text(path: Path) -> str:
    r"""A path as text that can be written in UTF-8: bytes of a name that have no meaning in it as ``\\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


class HeldFolder:
    """A folder held open, so that it is found again after a rename. Raises `RecordError` if it cannot be opened."""

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise cannot_write(path, error) from error

    def where(self, path: Path) -> Path:
        """The folder's current path: ``path``, or the one it was renamed to. Raises `RecordError` if it was removed."""
        if self._is(path):
            return path
        try:
            # A link of the kernel's, not of a folder.
            renamed = Path(os.readlink(f"/proc/self/fd/{self._descriptor}"))  # noqa: PTH115
        except OSError:
            renamed = path
        if self._is(renamed):
            return renamed
        raise RecordError(
            "the folder was removed during the recording; nothing more of this run can be recorded",
            where=str(path),
            next_step="A requested migration continues: check it on the managers (`lpmkit survey`).",
        )

    def _is(self, path: Path) -> bool:
        try:
            return os.path.samestat(path.lstat(), os.fstat(self._descriptor))
        except OSError:
            return False

    def close(self) -> None:
        """Release the folder."""
        os.close(self._descriptor)


def sheet_cell(text: object) -> object:
    """A spreadsheet cell: a text that would be read as a formula gets an apostrophe; numbers stay.

    >>> sheet_cell("=1+1"), sheet_cell("-3.5"), sheet_cell("@SUM(A1)"), sheet_cell("plain")
    ("'=1+1", '-3.5', "'@SUM(A1)", 'plain')
    """
    if not isinstance(text, str) or not text.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text
