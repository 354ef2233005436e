"""The log file of this account: what other libraries log, and the traceback of a defect.

Neither belongs on a terminal or in a notebook.

``$XDG_STATE_HOME/lpmkit/lpmkit.log`` (``~/.local/state/…`` where it is not set), for its owner only. It holds no reply
of a machine and no secret.
"""

from __future__ import annotations

import logging
import os
import traceback
from datetime import UTC, datetime
from pathlib import Path

#: Libraries that log to standard error, tracebacks included, where logging is not configured.
NOISY = ("paramiko", "asyncio")
#: At this size the log file is put aside as ``lpmkit.log.1``.
MAX_BYTES = 2_000_000


def log_path() -> Path:
    """The path of the log file; it need not exist yet."""
    # Path.expanduser raises where there is no home
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111
    return Path(state) / "lpmkit" / "lpmkit.log"


def append(text: str) -> Path | None:
    """Append ``text``; the path of the file, or ``None`` where this account can write none."""
    path = log_path()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > MAX_BYTES:
            path.replace(path.with_name(f"{path.name}.1"))
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return None
    return path


def keep_traceback(error: BaseException) -> Path | None:
    """Append the traceback of a defect; the path of the file, or ``None`` where this account can write none."""
    lines = traceback.format_exception(type(error), error, error.__traceback__, limit=-40)
    return append(f"{datetime.now(tz=UTC).isoformat(timespec='seconds')} [{os.getpid()}]\n{''.join(lines)}\n")


class _ToLogFile(logging.Handler):
    """Appends records to the log file; the file is opened when there is something to write."""

    def emit(self, record: logging.LogRecord) -> None:
        moment = datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds")
        append(f"{moment} [{record.process}] {record.name} {record.levelname}: {self.format(record)}\n")


def redirect_library_logs() -> None:
    """Send warnings and errors of `NOISY` libraries to the log file, instead of standard error; a second call does
    nothing.

    A program that has configured one of these loggers by itself keeps what it configured.
    """
    for name in NOISY:
        logger = logging.getLogger(name)
        if logger.handlers:
            continue
        handler = _ToLogFile(level=logging.WARNING)
        logger.addHandler(handler)
        logger.propagate = False
