"""The ``padmin`` login of a VIOS under IVM: the manager's commands, the VIOS's own, and the way to root."""

from __future__ import annotations

from dataclasses import replace

from lpmkit.simulator import recalled
from lpmkit.simulator.chassis import Chassis
from lpmkit.simulator.migration import Movers
from lpmkit.simulator.shells import ivm, migrlpar, vios
from lpmkit.simulator.shells.grammar import Command, SyntaxProblem, parse
from lpmkit.simulator.shells.reply import Context, not_found
from lpmkit.simulator.shells.runner import Io, answer, read_all, write


class ViosMachine:
    """Answers the commands of one VIOS from the present world."""

    def __init__(self, chassis: Chassis, movers: Movers, frame: str) -> None:
        self._chassis, self._movers, self._frame = chassis, movers, frame
        self._root = False

    def prompt(self) -> str:
        return "# " if self._root else "$ "

    def run(self, command: Command, io: Io, context: Context) -> int:
        name, *words = command.words
        if self._root:
            return self._as_root(command, io, context)
        if name == "ioscli":
            return self._ioscli(words, io, context)
        if name == "oem_setup_env":
            return self._oem_setup_env(io, context)
        if name == "migrlpar":
            return self._migrlpar(words, io, context)
        if name == "mkauthkeys":
            self._chassis.change(lambda world: ivm.exchanged(world, world.frame(self._frame), words))
        world = self._chassis.world
        frame = world.frame(self._frame)
        reply = ivm.run(world, frame, command.words, context)
        if reply is None and context.interactive:
            reply = vios.run(world, frame, command.words, context)
        return answer(reply, name, io)

    def _ioscli(self, words: list[str], io: Io, context: Context) -> int:
        if not words:
            return write(io, recalled.refusal("command", context.german, command="ioscli"))
        if words[0] == "oem_setup_env":
            return self._oem_setup_env(io, context)
        world = self._chassis.world
        reply = vios.run(world, world.frame(self._frame), words, context)
        return write(io, reply or recalled.refusal("command", context.german, command=words[0]))

    def _migrlpar(self, words: list[str], io: Io, context: Context) -> int:
        world = self._chassis.world
        order = migrlpar.understand(world, world.frame(self._frame), words, context)
        if isinstance(order, migrlpar.Order):
            return write(io, self._movers.answer(order, context, io.closed))
        return write(io, order)

    def _oem_setup_env(self, io: Io, context: Context) -> int:
        """Typed by a person it opens a root shell until ``exit``; otherwise it runs what comes on its input."""
        if context.interactive:
            self._root = True
            return 0
        status = 0
        for line in read_all(io).splitlines():
            try:
                steps = parse(line)
            except SyntaxProblem as problem:
                io.err(f"{problem}\n".encode())
                return 2
            for step in steps:
                status = self._as_root(step.pipeline[0], io, context)
        return status

    def leave(self) -> bool:
        """``exit`` in the root shell leads back to ``padmin``; says whether it did."""
        was_root, self._root = self._root, False
        return was_root

    def _as_root(self, command: Command, io: Io, context: Context) -> int:
        world = self._chassis.world
        if not command.words:
            return 0
        if command.words[0].rsplit("/", 1)[-1] == "ioscli" and len(command.words) == 1:
            return write(io, not_found("ioscli"))
        return write(io, vios.root(world, world.frame(self._frame), command.words, replace(context, interactive=False)))
