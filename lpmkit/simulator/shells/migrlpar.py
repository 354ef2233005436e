"""Understanding ``migrlpar``: from its words to an `Order`. What the order does is in `migration`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lpmkit.simulator import recalled
from lpmkit.simulator.chassis import Frame, World
from lpmkit.simulator.placement import wishes_of
from lpmkit.simulator.shells import ivm
from lpmkit.simulator.shells.options import read
from lpmkit.simulator.shells.reply import Context, Reply
from lpmkit.simulator.validation import Demands

FLAGS = "-o -m -t --ip -u -p --id -n -i -f -w -d -redundantpgvios"
#: What an HMC has besides, and what one of version 8 has besides that (the manual pages `HMC7` and `HMC8`).
HMC_FLAGS = "--redundantpgvios --redundantvios --mpio --vlanbridge --vsi --uuid --protectstorage"
HMC8_FLAGS = "--npivval --requirerr --redundantvnicbkdev --redundantmsps"
#: What one of version 9 has besides (`HMC9`).
HMC9_FLAGS = "--vniccfg --migsriov --steps"


@dataclass(frozen=True, slots=True)
class Order:
    """An order to a manager: ``v`` validate, ``m`` migrate, ``s`` stop, ``r`` recover this partition of this frame."""

    operation: str
    source: str
    partition: str
    target: str | None
    address: str
    user: str
    wait: bool
    verbose: bool
    force: bool
    demands: Demands


def understand(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Order | Reply:
    """Read the words (synopses of `IVM-migrlpar`), or say what is wrong with them."""
    options = read(arguments, _flags(world, frame), "--async -v --force --help --nodetails --usecurrdata --affinity")
    required = "-o -t" if options["-o"] in ("v", "m") else "-o"
    wrong = ivm.problem(world, frame, options, context, required)
    if wrong is not None:
        return wrong
    operation = options["-o"] or ""
    if operation not in ("v", "m", "s", "r"):
        return recalled.refusal("flag", context.german, flag=f"-o {operation}")
    name = _partition(world, frame, options["-p"], options["--id"])
    if name is None:
        asked = options["-p"] or options["--id"] or ""
        return recalled.refusal("partition", context.german, partition=asked)
    wishes = wishes_of(options["-i"])
    if wishes.bad is not None:
        return recalled.refusal("attribute", context.german, attribute=wishes.bad)
    target = world.frame_called(options["-t"] or "")
    if operation in ("v", "m") and target is None:
        return recalled.refusal("system", context.german, system=options["-t"])
    return Order(
        operation=operation,
        source=frame.name,
        partition=name,
        target=None if target is None else target.name,
        address=options["--ip"] or "",
        user=options["-u"] or ("padmin" if frame.hmc is None else "hscroot"),
        wait="--async" not in options,
        verbose="-v" in options,
        force="--force" in options,
        demands=Demands(
            wishes=wishes,
            disks_tested=options["--npivval"] == "portdisk",
            ports_required=options["--migsriov"] != "2",
            restart_required=options["--requirerr"] != "2",
            two_movers=options["--redundantmsps"] == "1",
            bridges_required=options["--vlanbridge"] != "2",
            servers_required=options["--redundantvios"] == "1",
        ),
    )


def _flags(world: World, frame: Frame) -> str:
    """The options of a frame's manager that take a value."""
    if frame.hmc is None:
        return FLAGS
    version = next(int(hmc.version) for hmc in world.hmcs if hmc.host == frame.hmc)
    return " ".join((FLAGS, HMC_FLAGS, HMC8_FLAGS if version >= 8 else "", HMC9_FLAGS if version >= 9 else ""))


def _partition(world: World, frame: Frame, name: str | None, lpar_id: str | None) -> str | None:
    """The partition that is meant.

    On an HMC ``-p`` takes a list (`HMC7`), so a name with a comma is two names there; several at once are not to be had
    here.
    """
    if frame.hmc is not None and name is not None and "," in name:
        return None
    for found in world.on(frame.name):
        if found.name == name or (name is None and str(found.lpar_id) == lpar_id):
            return found.name
    return None
