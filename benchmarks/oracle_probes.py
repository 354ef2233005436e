"""What asking a database costs: ``python -m benchmarks.oracle_probes [--beats 1000]``.

Against the simulated databases on this machine: how long a beat of the open session and a fresh logon take by each way, and what the probes' process for databases
holds in memory while it runs. It says what lpmkit adds, not what a real database takes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lpmkit.config import load_site
from lpmkit.oracle import state
from lpmkit.oracle.connections import connect
from lpmkit.oracle.driver_choice import ConnectionSettings
from lpmkit.probes.databases import database_plan
from lpmkit.recorder.probe_process import ProbeProcess
from lpmkit.simulator import Simulator
from lpmkit.ssh.client import SshSession, route


def timed(work: Callable[[], object], count: int) -> str:
    """Median and 99 % of ``count`` runs, in milliseconds."""
    took = []
    for _ in range(count):
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) * 1000)
    return f"median {statistics.median(took):7.2f} ms, 99 % {sorted(took)[int(0.99 * (count - 1))]:7.2f} ms"


def resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--beats", type=int, default=1000)
    count = arguments.parse_args().beats
    for landscape in ("p7pair", "js22"):
        with tempfile.TemporaryDirectory() as folder, Simulator(landscape, directory=folder) as simulator:
            site = load_site(simulator.site_file)
            (sid, settings), *_ = site.databases.items()
            host = SshSession(route(settings.partition, site.ssh_config))
            way, password = ConnectionSettings.of(sid, settings), simulator.sap_password if settings.user else None
            asked = connect(way, password, host, 10.0)
            print(f"{way.way:8} beat   {timed(lambda asked=asked: asked.rows(state.BEAT), count)}")  # type: ignore[misc]
            print(f"{way.way:8} state  {timed(lambda asked=asked: state.gather(asked, 10.0), max(1, count // 20))}")  # type: ignore[misc]
            asked.close()
            logon = lambda way=way, password=password, host=host: connect(way, password, host, 10.0).close()  # noqa: E731
            print(f"{way.way:8} logon  {timed(logon, max(1, count // 10))}")
            host.close()
            orders = database_plan(site, settings.partition)
            known = {str(settings.password): str(password)}
            with (Path(folder) / "log").open("wb") as log:
                child = ProbeProcess(orders, known, lambda write: None, log)
                time.sleep(10)
                print(f"{way.way:8} probes' process after 10 s: {resident_mb(child.pid):.0f} MB resident")
                child.end()


if __name__ == "__main__":
    main()
