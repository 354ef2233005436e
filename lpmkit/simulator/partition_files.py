"""The files of a partition: a few real ones in its own directory, and ``cat``, ``tail``, ``wc``, ``ls`` to
read them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from lpmkit.simulator import recalled
from lpmkit.simulator.guest import Guest
from lpmkit.simulator.shells import filters
from lpmkit.simulator.shells.options import read
from lpmkit.simulator.shells.reply import Reply
from lpmkit.simulator.shells.runner import Io, write

_APPENDING = threading.Lock()


def furnish(root: Path, guest: Guest) -> None:
    """Lay out the files of a system that has been running for a while."""
    boot = time.strftime("%b %e %H:%M:%S", time.gmtime(guest.boot_wall_s))
    _put(root, "etc/syslog.conf", f"# where syslogd writes\n*.info\t{recalled.SYSLOG} rotate size 1m files 4\n")
    _put(root, recalled.SYSLOG, f"{boot} {guest.name} syslog:info syslogd: restart\n")
    _put(root, recalled.NMON, recalled.NMON_HEADING)
    version = guest.level if guest.is_linux else f"AIX Version {guest.level[:1]}.{guest.level[1:2]}"
    _put(root, "etc/motd", f"Welcome to {version}! This is {guest.name}, a simulated partition.\n")
    _put(root, "etc/hosts", f"127.0.0.1 loopback localhost\n{guest.address} {guest.name}\n")

    if guest.oracle_sid:
        home = oracle_home(guest)
        _put(root, "etc/oratab", f"# SID:HOME:Y|N\n{guest.oracle_sid}:{home}:N\n")
        _put(root, f"{home}/network/admin/sqlnet.ora", "NAMES.DIRECTORY_PATH = (TNSNAMES)\nSQLNET.EXPIRE_TIME = 10\n")
    if guest.sap is not None:
        for path, lines in guest.sap.profiles(guest.name).items():
            _put(root, path, "".join(f"{line}\n" for line in lines))


def oracle_home(guest: Guest) -> str:
    """The folder of the database's programs, as SAP names it."""
    release = (guest.oracle_version or "10.2.0.2.0").split(".")
    return f"/oracle/{guest.oracle_sid}/{''.join(release[:3])}_64"


def _put(root: Path, name: str, text: str) -> None:
    path = root / name.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def append(root: Path, name: str, text: str) -> None:
    """Add a line to a log file."""
    with _APPENDING, (root / name.lstrip("/")).open("a", encoding="utf-8") as file:
        file.write(text.rstrip("\n") + "\n")


def inside(root: Path, name: str) -> Path:
    """A file's place in the partition's directory; nothing leads out of it."""
    path = (root / name.lstrip("/")).resolve()
    return path if path.is_relative_to(root.resolve()) else root / "nowhere"


def cat(root: Path, arguments: Sequence[str], io: Io) -> int:
    names = [name for name in arguments if not name.startswith("-")]
    if not names:
        while data := io.read():
            io.out(data)
    return max((_copy(root, name, io) for name in names), default=0)


def _copy(root: Path, name: str, io: Io) -> int:
    path = inside(root, name)
    if not path.is_file():
        return write(io, Reply(err=f"cat: 0652-050 Cannot open {name}.\n", status=2))
    io.out(path.read_bytes())
    return 0


def tail(root: Path, arguments: Sequence[str], io: Io) -> int:
    """``tail [-f] [-c +N | -c N | -n N | -N] FILE``; without a file it reads its input."""
    options = read(arguments, "-c -n", "-f")
    by_bytes, count = options["-c"], options["-n"]
    if options.unknown is not None and options.unknown[1:].isdigit():
        count = options.unknown[1:]
    data, path = b"", None
    if options.words:
        path = inside(root, options.words[0])
        if not path.is_file():
            return write(io, Reply(err=f"tail: cannot open {options.words[0]}\n", status=1))
        data = path.read_bytes()
    else:
        while more := io.read():
            data += more
    io.out(_end_of(data, by_bytes, count))
    while path is not None and "-f" in options and not io.closed.wait(0.02):
        grown = path.read_bytes()
        if len(grown) > len(data):
            io.out(grown[len(data) :])
        data = grown
    return 0


def _end_of(data: bytes, by_bytes: str | None, count: str | None) -> bytes:
    """
    >>> _end_of(b"abc", "+2", None), _end_of(b"a\\nb\\n", None, "1")
    (b'bc', b'b\\n')
    """
    if by_bytes is not None:
        number = int(by_bytes.lstrip("+-") or 0)
        return data[max(0, number - 1) :] if by_bytes.startswith("+") else data[max(0, len(data) - number) :]
    lines = data.splitlines(keepends=True)
    wanted = count or "10"
    number = int(wanted.lstrip("+-") or 0)
    return b"".join(lines[max(0, number - 1) :] if wanted.startswith("+") else lines[max(0, len(lines) - number) :])


def head(root: Path, arguments: Sequence[str], io: Io) -> int:
    options = read(arguments, "-n")
    number = int(options["-n"] or (options.unknown or "-10")[1:])
    data = inside(root, options.words[0]).read_bytes() if options.words else b""
    while not options.words and (more := io.read()):
        data += more
    io.out(b"".join(data.splitlines(keepends=True)[:number]))
    return 0


def wc(root: Path, arguments: Sequence[str], io: Io) -> int:
    options = read(arguments, "", "-c -l -w")
    name = options.words[0] if options.words else ""
    path = inside(root, name)
    if name and not path.is_file():
        return write(io, Reply(err=f"wc: 0652-755 Cannot open {name}.\n", status=1))
    data = path.read_bytes() if name else b""
    while not name and (more := io.read()):
        data += more
    counts = [("-l", data.count(b"\n")), ("-w", len(data.split())), ("-c", len(data))]
    asked = [count for flag, count in counts if not options.switches or flag in options.switches]
    io.out(("".join(f"{count:8}" for count in asked) + (f" {name}" if name else "") + "\n").encode())
    return 0


def ls(root: Path, arguments: Sequence[str], io: Io) -> int:
    """``ls [-l] [-i] [-t] [PATH …]``; ``-t`` sorts by time, the newest first."""
    flags = "".join(word[1:] for word in arguments if word.startswith("-"))
    names = [name for name in arguments if not name.startswith("-")] or ["/"]
    there = [name for name in names if inside(root, name).exists()]
    for name in names:
        if name not in there:
            write(io, Reply(err=f"ls: 0653-341 The file {name} does not exist.\n", status=2))
    if "t" in flags:
        there.sort(key=lambda name: -inside(root, name).stat().st_mtime)
    for name in there:
        path = inside(root, name)
        shown = sorted(path.iterdir()) if path.is_dir() else [path]
        rows = [_listed(each, each.name if path.is_dir() else name, "l" in flags) for each in shown]
        if "i" in flags:
            rows = [f"{each.stat().st_ino:>6} {row}" for each, row in zip(shown, rows, strict=True)]
        io.out("".join(f"{row}\n" for row in rows).encode())
    return 0 if len(there) == len(names) else 2


def grep(root: Path, arguments: Sequence[str], io: Io) -> int:
    """``grep [-ivcE] PATTERN FILE …``; what reads its input is a filter of the shell's."""
    pattern, *names = [word for word in arguments if not word.startswith("-")]
    flags = [word for word in arguments if word.startswith("-")]
    status = 1
    for name in names:
        path = inside(root, name)
        if not path.is_file():
            return write(io, Reply(err=f"grep: can't open {name}\n", status=2))
        text = path.read_text(encoding="utf-8", errors="replace")
        status = min(status, write(io, filters.grep([*flags, pattern], partial(str, text))))
    return status


def _listed(path: Path, name: str, long: bool) -> str:
    if not long:
        return name
    facts = path.stat()
    kind = "drwxr-xr-x" if path.is_dir() else "-rw-r--r--"
    changed = time.strftime("%b %d %H:%M", time.gmtime(facts.st_mtime))
    return f"{kind}    1 root     system     {facts.st_size:>10} {changed} {name}"


HANDLERS: dict[str, Callable[[Path, Sequence[str], Io], int]] = {
    "cat": cat,
    "tail": tail,
    "head": head,
    "wc": wc,
    "ls": ls,
    "grep": grep,
}
