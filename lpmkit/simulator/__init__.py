"""Simulated POWER servers under IVM or HMC with their I/O servers and partitions, spoken to over real SSH on loopback.

It knows PowerVM and imports nothing of the rest of lpmkit, and nothing of the rest imports it, so that the two cannot
share a misunderstanding. ``python -m lpmkit.simulator`` starts it; in Python it is a ``with`` block::

    with Simulator(speed=50) as simulator:
        subprocess.run(["ssh", "-F", simulator.ssh_config, "bvio82", "lssyscfg -r lpar"])

Layers: `chassis` (what exists), `transfer` (how memory is copied), `validation`, `migration` and `move_changes` (a
move), `shells` (what a command line prints), `faults`, `sshd` and `terminal` (bytes), `host` and `partition` (the
partition's own process), `truth` (when it really stopped). What nobody could look up is in `recalled`.
"""

from lpmkit.simulator.faults import Fault
from lpmkit.simulator.simulator import Simulator

__all__ = ["Fault", "Simulator"]
