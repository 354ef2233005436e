"""Cost of querying a database: ``python -m benchmarks.oracle_probes [--beats 1000]``.

Uses the simulated databases on this host: duration of a query over the open session and of a fresh logon by each
driver, and memory of the probes' process for databases. It shows the cost of lpmkit, not of a real database.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lpmkit.config import load_site
from lpmkit.oracle import state
from lpmkit.oracle.connections import connect
from lpmkit.oracle.driver_choice import DatabaseAccess
from lpmkit.probes.databases import database_plan
from lpmkit.recorder.probe_process import ProbeProcess
from lpmkit.simulator import Simulator
from lpmkit.ssh.client import SshSession, route


def timed(work: Callable[[], object], count: int) -> str:
    """Median and 99 % of ``count`` runs, in milliseconds."""
    durations = []
    for _ in range(count):
        began = time.perf_counter()
        work()
        durations.append((time.perf_counter() - began) * 1000)
    return f"median {statistics.median(durations):7.2f} ms, 99 % {sorted(durations)[int(0.99 * (count - 1))]:7.2f} ms"


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def logon(driver: DatabaseAccess, password: str | None, host: SshSession) -> None:
    """Log on and off."""
    connect(driver, password, host, 10.0).close()


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--beats", type=int, default=1000)
    count = arguments.parse_args().beats
    for landscape in ("p7pair", "js22"):
        with tempfile.TemporaryDirectory() as folder, Simulator(landscape, directory=folder) as simulator:
            site = load_site(simulator.site_file)
            (sid, settings), *_ = site.databases.items()
            host = SshSession(route(settings.partition, site.ssh_config))
            driver = DatabaseAccess.of(sid, settings)
            password = simulator.sap_password if settings.user else None
            connection = connect(driver, password, host, 10.0)
            print(f"{driver.way:8} beat   {timed(partial(connection.rows, state.BEAT), count)}")
            print(f"{driver.way:8} state  {timed(partial(state.gather, connection, 10.0), max(1, count // 20))}")
            connection.close()
            print(f"{driver.way:8} logon  {timed(partial(logon, driver, password, host), max(1, count // 10))}")
            host.close()
            orders = database_plan(site, settings.partition)
            secrets = {str(settings.password): str(password)}
            with (Path(folder) / "log").open("wb") as log:
                child = ProbeProcess(orders, secrets, lambda write: None, log)
                time.sleep(10)
                print(f"{driver.way:8} probes' process after 10 s: {resident_mb(child.pid):.0f} MB resident")
                child.end()


if __name__ == "__main__":
    main()
