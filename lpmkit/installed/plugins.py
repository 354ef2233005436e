"""Plug-ins: what packages of a site add through entry points.

A package names its plug-ins in its ``pyproject.toml``::

    [project.entry-points."lpmkit.sinks"]
    pager = "our_package:make_pager"

A plug-in that cannot be loaded is named in a `PluginFailed`; it never ends the command that would have used it.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from lpmkit.errors import NotFound, UsageError

#: The groups of entry points.
CHECKS, PROBES, SINKS, HOOKS = "lpmkit.checks", "lpmkit.probes", "lpmkit.sinks", "lpmkit.hooks"


class PluginFailed(UsageError):
    """A plug-in that cannot be loaded or does not work; ``plugin`` is its name."""

    names_a_kind = True

    def __init__(self, plugin: str, why: str) -> None:
        self.plugin = plugin
        super().__init__(
            f"the plug-in {plugin} does not work: {why}",
            next_step="Correct the package that brings it, or remove it (`pip uninstall`).",
        )


def named(entry: EntryPoint) -> str:
    """The name of a plug-in for people: with the package that brings it."""
    package = entry.dist.name if entry.dist is not None else "?"
    return f"{entry.name} ({package}, {entry.value})"


@cache
def plugins(group: str) -> tuple[EntryPoint, ...]:
    """The plug-ins of a group, by name; none is loaded. Looked for once in the life of a process."""
    return tuple(sorted(entry_points(group=group), key=lambda entry: entry.name))


def load(entry: EntryPoint) -> Any:
    """The object that an entry point names. Raises `PluginFailed`, whatever its package raises."""
    try:
        return entry.load()
    except (Exception, SystemExit) as error:
        raise PluginFailed(named(entry), f"{type(error).__name__}: {error}") from error


def load_plugin(group: str, name: str) -> Any:
    """The plug-in of a group with this name. Raises `NotFound` without one, and `PluginFailed`."""
    entries = plugins(group)
    for entry in entries:
        if entry.name == name:
            return load(entry)
    raise NotFound("plug-in", name, known=[entry.name for entry in entries], where=group)
