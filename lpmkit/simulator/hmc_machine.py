"""The ``hscroot`` login of an HMC: the manager's commands about many systems, and a way to the commands of
each VIOS.
"""

from __future__ import annotations

from lpmkit.simulator import recalled
from lpmkit.simulator.chassis import Chassis, Hmc
from lpmkit.simulator.migration import Movers
from lpmkit.simulator.shells import hmc as console
from lpmkit.simulator.shells import migrlpar
from lpmkit.simulator.shells.grammar import Command
from lpmkit.simulator.shells.reply import Context, Reply
from lpmkit.simulator.shells.runner import Io, write


class HmcMachine:
    """Answers the commands of one HMC from the present world."""

    def __init__(self, chassis: Chassis, movers: Movers, hmc: Hmc) -> None:
        self._chassis, self._movers, self._hmc = chassis, movers, hmc

    def prompt(self) -> str:
        """``user@host:~> `` (`XCAT`, `BOND`)."""
        return f"hscroot@{self._hmc.host}:~> "

    def run(self, command: Command, io: Io, context: Context) -> int:
        name = command.words[0]
        if name == "migrlpar":
            return write(io, console.told(self._migrlpar(command.words[1:], io, context)))
        reply = console.run(self._chassis.world, self._hmc, command.words, context)
        if reply is None:
            return write(io, Reply(err=recalled.HMC_NO_COMMAND.format(command=name) + "\n", status=127))
        return write(io, reply)

    def _migrlpar(self, words: tuple[str, ...], io: Io, context: Context) -> Reply:
        """There is no ``--async``: the command ends when the move has ended (`HMC7`)."""
        world = self._chassis.world
        if "--async" in words:
            return recalled.refusal("flag", context.german, flag="--async")
        frame = console.named_system(world, self._hmc, words, context)
        if isinstance(frame, Reply):
            return frame
        order = migrlpar.understand(world, frame, words, context)
        return self._movers.answer(order, context, io.closed) if isinstance(order, migrlpar.Order) else order
