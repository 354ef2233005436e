"""Work on what somebody else wrote, in a child process with limits of time and memory: a template, for example.

Whatever it does, it costs one child and a sentence.
"""

from __future__ import annotations

import multiprocessing
import resource
import signal
from collections.abc import Callable
from functools import cache
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkServerContext
from pathlib import Path

from lpmkit.errors import LpmError, UsageError

#: The size of this process in pages, in its first field.
SIZE = Path("/proc/self/statm")
#: Seconds beyond the limit within which the kernel ends the child's work by itself.
_GRACE_S = 2.0


@cache
def _context(module: str) -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])
    return context


def within_limits(work: Callable[[], str], *, module: str, noun: str, where: str, limit_s: float, memory: int) -> str:
    """The text that ``work`` makes, in at most ``limit_s`` seconds and with ``memory`` more bytes than Python takes.

    ``work`` has to be one that can be pickled; ``module`` is the module that has it. Raises `UsageError` where a limit
    is exceeded, with ``noun`` and ``where``, and the work's own `LpmError`.
    """
    near, far = _context(module).Pipe(duplex=False)
    child = _context(module).Process(target=_serve, args=(far, work, limit_s, memory), daemon=True)
    child.start()
    far.close()
    try:
        if not near.poll(limit_s + _GRACE_S):
            raise _too_much(noun, where, f"{limit_s:g} s")
        failure, text = near.recv()
    except EOFError:
        child.join(_GRACE_S)
        limit = f"{limit_s:g} s" if child.exitcode == -signal.SIGXCPU else f"{memory >> 20} MB of memory"
        raise _too_much(noun, where, limit) from None
    finally:
        child.kill()
        child.join()
        near.close()
    if failure == "memory":
        raise _too_much(noun, where, f"{memory >> 20} MB of memory")
    if failure is not None:
        raise failure
    return str(text)


def _too_much(noun: str, where: str, limit: str) -> UsageError:
    return UsageError(f"{noun} takes more than {limit}", where=where, next_step="Does it repeat something without end?")


def _serve(pipe: Pipe, work: Callable[[], str], limit_s: float, memory: int) -> None:
    bound_memory(memory)
    bound(resource.RLIMIT_CPU, int(limit_s) + 1)
    try:
        answer = None, work()
    except MemoryError:
        pipe.send(("memory", ""))
        return
    except LpmError as error:
        pipe.send((error, ""))
        return
    pipe.send(answer)


def bound_memory(more: int) -> None:
    """Let this process take at most ``more`` bytes beyond what it has. Without Linux's /proc, on macOS say, there is no
    such limit.
    """
    try:
        pages = int(SIZE.read_text(encoding="ascii").split()[0])
    except FileNotFoundError:
        return
    bound(resource.RLIMIT_AS, pages * resource.getpagesize() + more)


def bound(limit: int, wanted: int) -> None:
    """Set a limit of this process (``resource.RLIMIT_…``), or the lower one that it must not exceed anyway."""
    _, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
