"""Requests of the probes to a SAP system: by query and interface, and per minute at the default intervals.

    python -m benchmarks.sap_load

queries the simulated system of each landscape. The number of requests of a query does not depend on the system, except
that job logs take one for each running job.
"""

from __future__ import annotations

import os
from pathlib import Path

import lpmkit.simulator
from lpmkit.config import load_site
from lpmkit.sap.load import Load
from lpmkit.sap.system import System, open_system
from lpmkit.settings.sap import SAP_INTERVALS
from lpmkit.simulator import Simulator
from lpmkit.ssh.secrets import Secrets

LANDSCAPES = Path(lpmkit.simulator.__file__).parent / "landscapes"
WAYS = ("webservice", "commands", "soap_rfc")


def cost(system: System, way: str, question: str) -> int | None:
    """Requests of one query after the interface is set up; ``None`` if the interface does not support it."""
    load: Load = system.load
    if question not in system.ways[way].questions:
        return None
    first = system.ask_by(way, question)
    if first.rows is None:
        raise SystemExit(f"{way} did not tell the {question}: {first.trouble}")
    before = sum(load.counts.values())
    if system.ask_by(way, question).rows is None:
        return None
    return sum(load.counts.values()) - before


def main() -> None:
    """Measure and print."""
    os.environ.setdefault("LPM_SIMULATOR_SAP_PASSWORD", "of-a-rehearsal")
    for landscape in ("js22", "p7pair"):
        with Simulator(LANDSCAPES / f"{landscape}.yaml", speed=8.0) as simulator:
            site = load_site(simulator.site_file)
            for sid, settings in site.sap_systems.items():
                free = settings.model_copy(update={"requests_per_minute": 6000})
                system = open_system(sid, free, host=settings.partition, ssh_config=site.ssh_config, secrets=Secrets())
                print(f"\n{landscape}, {sid}: requests of one question")
                print(f"  {'question':16}{'every':>8}" + "".join(f"{way:>12}" for way in WAYS))
                minute = dict.fromkeys(WAYS, 0.0)
                for question, every_s in SAP_INTERVALS.items():
                    costs = {way: cost(system, way, question) if way in system.ways else None for way in WAYS}
                    for way, requests in costs.items():
                        minute[way] += (requests or 0) * 60 / every_s
                    print(
                        f"  {question:16}{every_s:>6.0f} s"
                        + "".join(f"{'–' if requests is None else requests:>12}" for requests in costs.values())
                    )
                print(f"  {'a minute, each way for itself':24}" + "".join(f"{minute[way]:>12.0f}" for way in WAYS))
                system.close()


if __name__ == "__main__":
    main()
