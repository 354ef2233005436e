"""Sinks: the audit records of a run, sent to other systems while it is recorded and after it.

`lpmkit.runs.audit` makes them from the events of the run, `formats` gives them their form on the wire, `wire` carries
them with a limit of time, `receivers` has the sinks of the site file, and `courier` is the process that sends. It reads
the run folder as anybody does: the recorder does not know of it, and nothing that a receiver does can hold a move back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lpmkit.account.log_file import append
from lpmkit.background.worker import Worker
from lpmkit.config import Site
from lpmkit.installed.plugins import HOOKS, plugins
from lpmkit.runs.deliveries import HOOK_PREFIX
from lpmkit.runs.folder import Run
from lpmkit.settings.sinks import HookSink, sink_references
from lpmkit.ssh.secrets import Secrets

#: The courier as a detached process.
WORKER = Worker("courier", "lpmkit.sinks.courier")


def start_courier(run: Run, site: Site, secrets: Secrets) -> None:
    """Start the courier of a run whose site has sinks. It gets the secrets of the sinks and no other.

    Without it the run is recorded all the same, and its report lists what was not delivered.
    """
    if not site.sinks and not plugins(HOOKS):
        return
    data = site.as_data()
    wanted: Mapping[str, Any] = data["sinks"]
    try:
        WORKER.detach(run, Secrets(secrets.known_for(wanted), may_ask=False), {"site": data})
    except OSError as error:
        append(f"the courier of {run.path} could not be started: {error}\n")


def with_hooks(sinks: Mapping[str, Any]) -> dict[str, Any]:
    """The sinks of a site and the hooks that are installed."""
    hooks = {f"{HOOK_PREFIX}{entry.name}": HookSink(name=entry.name, give_up_s=0) for entry in plugins(HOOKS)}
    return {**sinks, **hooks}


def sink_secrets(site: Site) -> Mapping[str, str]:
    """The references to secrets of a site's sinks, by the host for which each is asked."""
    return {f"the sink {name}": reference for name, reference in sink_references(site.sinks).items()}
