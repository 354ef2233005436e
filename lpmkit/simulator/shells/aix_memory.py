"""The use of memory in an AIX system: ``svmon -G``, ``vmstat -v``, ``vmstat -s``, in pages of 4 KB.

The layouts are those of the manual pages of AIX 5.2 and 7.3 and of printed samples. The figures follow from the
workload in the terms of `transfer`: a little of what was touched is free again, and the counters run with the rate of
writing without being it.
"""

from __future__ import annotations

from collections.abc import Sequence

from lpmkit.simulator.guest import Guest
from lpmkit.simulator.shells.reply import Context, Reply, lines

PAGES_PER_MB = 256
FREE_AGAIN = 0.03
FILE_CACHE = 0.35
PINNED = 0.12


def svmon(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    if list(arguments) != ["-G"]:
        return Reply(err="Usage: svmon -G [ -i Interval [ NumIntervals ] ]\n", status=1)
    size, used, files, pinned = _pages(guest)
    working = used - files
    return lines(
        "               size      inuse       free        pin    virtual",
        f"memory     {size:>8}   {used:>8}   {size - used:>8}   {pinned:>8}   {working:>8}",
        f"pg space   {1048576:>8}   {4103:>8}",
        "",
        "               work       pers       clnt",
        f"pin        {pinned:>8}   {0:>8}   {0:>8}",
        f"in use     {working:>8}   {0:>8}   {files:>8}",
    )


def vmstat(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    if list(arguments) == ["-v"]:
        return _memory(guest)
    if list(arguments) == ["-s"]:
        return _counters(guest, context)
    return Reply(err="usage: vmstat [ -fsivIt ] [Drives] [ Interval [Count] ]\n", status=1)


def _memory(guest: Guest) -> Reply:
    size, used, files, pinned = _pages(guest)
    figures = {
        "memory pages": size,
        "lruable pages": round(size * 0.96),
        "free pages": size - used,
        "memory pools": 1,
        "pinned pages": pinned,
        "maxpin percentage": 80.0,
        "minperm percentage": 20.0,
        "maxperm percentage": 80.0,
        "numperm percentage": round(100 * files / size, 1),
        "file pages": files,
        "compressed percentage": 0.0,
        "compressed pages": 0,
        "numclient percentage": round(100 * files / size, 1),
        "maxclient percentage": 80.0,
        "client pages": files,
        "remote pageouts scheduled": 0,
        "pending disk I/Os blocked with no pbuf": 0,
        "paging space I/Os blocked with no psbuf": 0,
    }
    return lines(*(f"{figure:>21} {name}" for name, figure in figures.items()))


def _counters(guest: Guest, context: Context) -> Reply:
    up_s = context.wall_s - guest.boot_wall_s
    written = guest.dirty_mb_per_second * PAGES_PER_MB * up_s
    figures = {
        "total address trans. faults": 3 * written,
        "page ins": 0.1 * written,
        "page outs": 0.2 * written,
        "paging space page ins": 0,
        "paging space page outs": 0,
        "total reclaims": 0,
        "zero filled pages faults": 0.4 * written,
        "executable filled pages faults": 11232,
    }
    return lines(*(f"{round(figure):>21} {name}" for name, figure in figures.items()))


def _pages(guest: Guest) -> tuple[int, int, int, int]:
    """All, in use, file cache, pinned."""
    size = guest.memory_mb * PAGES_PER_MB
    used = min(size - 1000, round(guest.touched_mb * PAGES_PER_MB * (1 - FREE_AGAIN)))
    return size, used, round(used * FILE_CACHE), round(used * PINNED)
