"""Record what a manager answers to the contract's questions:
``python -m tests.record_contract SITE.yaml PARTITION SOURCE TARGET NAME``.

Asks only what changes nothing (``-o v`` is the most). Read the two files through before they are kept: replace host
names, users, addresses and serial numbers.
"""

from __future__ import annotations

import json
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from lpmkit.config import load_site
from lpmkit.control.base import Order
from lpmkit.errors import LpmError
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Reply
from lpmkit.survey.connect import control_of, other_manager

FOLDER = Path(__file__).parent.parent / "fixtures" / "contract"


def record(site_file: Path, partition: str, source: str, target: str, name: str, folder: Path = FOLDER) -> Path:
    """Ask everything of the contract and keep the replies; returns the file."""
    site, said = load_site(site_file), list[Reply]()
    with closing(control_of(site, target, secrets=Secrets())) as other:
        machine = other.system().machine
    order = Order(partition, source, target, machine, *other_manager(site, source, target))
    with closing(control_of(site, source, secrets=Secrets(), transcript=said.append)) as control:
        for ask in (
            control.system,
            control.frame,
            control.partitions,
            control.scsi_adapters,
            control.ethernet_adapters,
            control.fc_adapters,
            control.vnics,
            control.sriov_ports,
            control.logical_ports,
            control.memory_pools,
            control.affinity_scores,
            control.pools,
            control.profiles,
            lambda: control.physical_slots(partition),
            lambda: control.migration(partition),
            lambda: control.migration("nosuch"),
            lambda: control.mover_pairs(order),
            lambda: control.places(order),
            lambda: control.keys_exchanged(order),
            lambda: control.validate(order),
            lambda: control.validate(Order(**{**asdict(order), "partition": "nosuch"})),
            lambda: control.stop("nosuch"),
        ):
            try:
                ask()
            except LpmError as error:
                print(f"refused: {error}", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    kept = {
        (reply.command, reply.status): {**reply.as_dict(), "began_ns": 0, "ended_ns": 0, "wall_ns": 0} for reply in said
    }
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(reply, ensure_ascii=False) + "\n" for reply in kept.values()), encoding="utf-8")
    about = {"host": said[0].where, "system": site.frame(source).system, "order": asdict(order)}
    path.with_suffix(".json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    given_file, moved, given_source, given_target, recording = sys.argv[1:6]
    print(record(Path(given_file), moved, given_source, given_target, recording))
