"""Speed and memory of reading an alert log: ``python -m benchmarks.alert_log [--mb 1000] [--tail-gb 10] [--other
FILE]``.

Writes a log of each format to a temporary folder and reads it in a process of its own: reading only, reading and
judging, and ``grep -c ORA-`` of the same file; with ``--other`` a public parser too, a Python program that takes
the path of a log, such as ``alert_log_parser.py`` of github.com/db2ai/oracle-alert-log-parser (it holds the whole
log in memory, knows ctime stamps only, and classifies nothing; other formats become one entry). Then the tail of a
sparse log of ten gigabytes beside one of ten megabytes. The tables go to ``results/alert_log.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

BEGIN = datetime(2017, 3, 24, 3, 0, tzinfo=UTC)
NETWORK = """
***********************************************************************

Fatal NI connect error 12170.

  VERSION INFORMATION:
\tTNS for IBM/AIX RISC System/6000: Version 11.2.0.4.0 - Production
  Time: {inner}
  Tracing not turned on.
  Tns error struct:
    ns main err code: 12535
    
TNS-12535: TNS:operation timed out
    ns secondary err code: 12560
    nt main err code: 505
    nt secondary err code: 78
    nt OS err code: 0
  Client address: (ADDRESS=(PROTOCOL=tcp)(HOST=10.1.1.85)(PORT=32801))
"""  # noqa: W293 - the blanks are the log's
ORDINARY = (
    "Thread 1 advanced to log sequence {n} (LGWR switch)\n  Current log# 2 seq# {n} mem# 0: "
    "/oracle/BX5/origlogB/log_g12m1.dbf\n"
    "  Current log# 2 seq# {n} mem# 1: /oracle/BX5/mirrlogB/log_g12m2.dbf\n",
    "Archived Log entry {n} added for thread 1 sequence {n} ID 0x2a1b dest 1:\n",
    "Thread 1 cannot allocate new log, sequence {n}\nCheckpoint not complete\n",
    "Incremental checkpoint up to RBA [0x{n:x}.2.0], current log tail at RBA [0x{n:x}.1f.0]\n",
    "Completed checkpoint up to RBA [0x{n:x}.2.10], SCN: {n}\n",
)


def entry(number: int) -> str:
    """The text of one entry: occasionally an error, otherwise routine."""
    if number % 400 == 399:
        return NETWORK.format(inner=f"{BEGIN + timedelta(seconds=37 * number):%d-%b-%Y %H:%M:%S}".upper())
    if number % 5000 == 4999:
        return (
            "Errors in file /oracle/BX5/saptrace/usertrace/bx5_ora_1.trc:\nORA-00600: internal error code, "
            "arguments: [kcbz], [0]\n"
        )
    return ORDINARY[number % len(ORDINARY)].format(n=number)


def ctime(number: int) -> str:
    """An entry with a ctime stamp."""
    return f"{BEGIN + timedelta(seconds=37 * number):%a %b %e %H:%M:%S %Y}\n{entry(number)}"


def iso(number: int) -> str:
    """An entry with an ISO stamp."""
    return f"{(BEGIN + timedelta(seconds=37 * number, microseconds=327480)).isoformat()}\n{entry(number)}"


def both(number: int) -> str:
    """Entries with both stamps in turns."""
    return (ctime if number // 1000 % 2 else iso)(number)


def xml(number: int) -> str:
    """An entry of log.xml."""
    when = (BEGIN + timedelta(seconds=37 * number)).isoformat(timespec="milliseconds")
    return (
        f"<msg time='{when}' org_id='oracle' comp_id='rdbms'\n type='UNKNOWN' level='16' host_id='bxaix85'\n"
        f" host_addr='10.1.1.85' module='' pid='{number % 90}'>\n <txt>{entry(number)} </txt>\n</msg>\n"
    )


FORMS: dict[str, Callable[[int], str]] = {
    "9i to 12.1 (ctime)": ctime,
    "12.2 to 23ai (ISO)": iso,
    "both in one file": both,
    "log.xml": xml,
}


def write(path: Path, form: Callable[[int], str], size: int) -> None:
    """Write a log of about ``size`` bytes.

    Entries are generated once and repeated in blocks, since generating is slow.
    """
    number, written = 0, 0
    block: list[bytes] = []
    with path.open("wb") as file:
        while written < size:
            if number < 200_000:
                block.append(form(number).encode())
                number += 1
                if number % 20_000 == 0:
                    written += file.write(b"".join(block[-20_000:]))
            else:
                written += file.write(b"".join(block))


def write_tail(path: Path, size: int) -> None:
    """Write a sparse log of that length, with only its last five megabytes present."""
    tail = b"".join(iso(number).encode() for number in range(60_000))[-5_000_000:]
    with path.open("wb") as file:
        file.write(iso(0).encode())
        file.seek(size - len(tail) - 1)
        file.write(b"\n" + tail)


def read(path: str, what: str, since: str) -> None:
    """Read a log and print the figures; runs in a process of its own."""
    from lpmkit.oracle.alert_log import AlertReader, read_events  # noqa: PLC0415
    from lpmkit.oracle.judge import LogWindow, examine  # noqa: PLC0415

    began = time.perf_counter()
    if what == "read":
        reader = AlertReader()
        with Path(path).open("rb") as file:
            for _ in read_events(iter(lambda: file.read(1 << 18), b""), reader):
                pass
        lines, start = reader.counts.lines, 0
    else:
        examination = examine(path, LogWindow.asked(since or None))
        lines, start = examination.counts.lines, examination.started_at
    seconds = time.perf_counter() - began
    print(json.dumps({"lines": lines, "seconds": seconds, "peak_mb": peak_mb(), "start": start}))


def peak_mb() -> float:
    """Peak memory of this process. Not ``ru_maxrss``, which includes the parent's before the program was loaded."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def measured(path: Path, what: str, since: str = "") -> dict[str, Any]:
    """Figures of reading a log in a child process."""
    command = [sys.executable, "-m", "benchmarks.alert_log", "--child", str(path), what, since]
    figures: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return figures


def grep(path: Path) -> float:
    """Seconds of ``grep``."""
    began = time.perf_counter()
    subprocess.run(
        ["grep", "-c", "ORA-", str(path)], capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    return time.perf_counter() - began


#: Limits of memory and time for the other parser.
OTHER_MB, OTHER_S = 12_000, 600


def other(program: Path, path: Path) -> tuple[float, float] | None:
    """Seconds and peak megabytes of the other parser for the same file; ``None`` beyond its limits."""
    limit = (
        f"ulimit -v {OTHER_MB * 1024}; exec /usr/bin/env python3 -c {shlex.quote(_RUN_AND_TELL)} "
        f"{shlex.quote(str(program))} {shlex.quote(str(path))}"
    )
    began = time.perf_counter()
    try:
        result = subprocess.run(["sh", "-c", limit], capture_output=True, text=True, check=False, timeout=OTHER_S)
    except subprocess.TimeoutExpired:
        return None
    if result.returncode != 0:
        return None
    return time.perf_counter() - began, float(result.stderr.split()[-1])


#: Runs a program without output and prints its peak memory in megabytes.
_RUN_AND_TELL = (
    "import atexit,os,runpy,sys\n"
    "def tell():\n"
    "    peak=next(l for l in open('/proc/self/status') if l.startswith('VmHWM'))\n"
    "    os.write(2,(str(int(peak.split()[1])/1024)+chr(10)).encode())\n"
    "atexit.register(tell)\n"
    "sys.argv=sys.argv[1:]; sys.stdout=open(os.devnull,'w')\n"
    "runpy.run_path(sys.argv[0], run_name='__main__')\n"
)


def formats(folder: Path, mb: int, program: Path | None) -> list[str]:
    """The table of formats."""
    rows = [
        (
            "| format | MB | lines | read, lines/s | read and judged, lines/s | peak MB | `grep -c ORA-`, lines/s "
            "| a public parser, lines/s | its peak MB |"
        ),
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, form in FORMS.items():
        path = folder / "alert_BX5.log"
        write(path, form, mb * 1_000_000)
        alone, judged, seconds = measured(path, "read"), measured(path, "judged"), grep(path)
        lines = alone["lines"]
        public = other(program, path) if program else None
        public_cells = (
            (f"{lines / public[0]:,.0f}", f"{public[1]:,.0f}")
            if public
            else (f"none within {OTHER_S} s" if program else "not run", "")
        )
        cells = (
            name,
            f"{path.stat().st_size / 1e6:.0f}",
            f"{lines:,}",
            f"{lines / alone['seconds']:,.0f}",
            f"{lines / judged['seconds']:,.0f}",
            f"{judged['peak_mb']:.0f}",
            f"{lines / seconds:,.0f}",
            *public_cells,
        )
        rows.append("| " + " | ".join(cells) + " |")
        print(rows[-1], flush=True)
        path.unlink()
    return rows


def tails(folder: Path, gb: int) -> list[str]:
    """The table of tails: the median of five readings each, in turns."""
    since = (BEGIN + timedelta(seconds=37 * 59_000)).isoformat()
    rows = ["| the tail of a log of, MB | seconds, median of 5 | peak MB | bytes read |", "|---|---|---|---|"]
    sizes = (10_000_000, gb * 1_000_000_000)
    paths = [folder / f"alert_{size}.log" for size in sizes]
    for path, size in zip(paths, sizes, strict=True):
        write_tail(path, size)
    figures = [[measured(path, "judged", since) for path in paths] for _ in range(5)]
    for path, *readings in zip(paths, *figures, strict=True):
        length = path.stat().st_size
        seconds = statistics.median(reading["seconds"] for reading in readings)
        rows.append(
            f"| {length / 1e6:,.0f} | {seconds:.2f} | {max(reading['peak_mb'] for reading in readings):.0f} | "
            f"{length - readings[0]['start']:,} |"
        )
        print(rows[-1], flush=True)
        path.unlink()
    return rows


def main() -> None:
    """Measure, print two tables and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=1000)
    parser.add_argument("--tail-gb", type=int, default=10)
    parser.add_argument("--other", type=Path, help="a public parser to run beside it")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        read(*options.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = [*formats(Path(folder), options.mb, options.other), "", *tails(Path(folder), options.tail_gb)]
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "alert_log.md").write_text(
        "\n".join(["<!-- made by: python -m benchmarks.alert_log -->", *rows, ""]), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
