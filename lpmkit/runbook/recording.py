"""Recorders: started for a move or a watch, started again, given the secrets they need."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from lpmkit.background.requests import put
from lpmkit.config import PartitionSettings
from lpmkit.errors import NotAllowed, UsageError
from lpmkit.json_values import JsonMapping
from lpmkit.migration.status import order_of, refused_ends, state
from lpmkit.probes.databases import learn_secrets
from lpmkit.probes.orders import OF_EVERY_PLACE, ProbeOrder, sap_host
from lpmkit.recorder import process
from lpmkit.recorder.credentials import hand_over
from lpmkit.runbook.gate import Gate
from lpmkit.runs.folder import Run, create
from lpmkit.sinks import sink_secrets, start_courier
from lpmkit.ssh.client import open_session


def of_every_place(probes: Sequence[ProbeOrder]) -> tuple[ProbeOrder, ...]:
    """The probes that several places may run at once."""
    return tuple(probe for probe in probes if probe.kind in OF_EVERY_PLACE)


class Recording(Gate):
    """Recorders of one site. They outlive the process that starts them."""

    def move(self, run: Run, typed_name: str) -> None:
        """Start the recorder, which moves the partition. Returns as soon as it records; raises as `may_move`.

        Without an earlier check it is done now, read-only: without the facts before there is no before-and-after. The
        firmware's validation decides whether to move, the findings go into the report.
        """
        self.may_move(run, typed_name)
        self.refuse_second_move(run)
        self.require_secrets(order_of(run).partition)
        if run.document("findings") is None:
            self.check(run)
        self._start(run)

    def watch(
        self, hosts: Sequence[str], *, duration_s: float | None = None, settings: PartitionSettings | None = None
    ) -> Run:
        """Record the probes on ``hosts`` without any move, until `end` or for ``duration_s``."""
        probes = self._watch_probes(hosts, settings)
        run = self.prepared_watch(hosts, probes, duration_s=duration_s)
        self._start(run, probes)
        return run

    def prepared_watch(
        self,
        hosts: Sequence[str],
        probes: Sequence[ProbeOrder] | None = None,
        *,
        duration_s: float | None = None,
        facts: JsonMapping | None = None,
    ) -> Run:
        """The folder of a watch that nobody records yet; ``probes`` are those that every place may run, unless given,
        ``facts`` what its ``run.json`` holds besides.
        """
        wanted = of_every_place(self._watch_probes(hosts)) if probes is None else probes
        return create(
            self.site.runs.folder,
            mode="watch",
            title="watch-" + "-".join(hosts)[:60],
            facts={
                "hosts": list(hosts),
                "by": self.person.login,
                "person": self.person.as_data(),
                "site": self.site.as_data(),
                "probes": [probe.as_data() for probe in wanted],
                "lead_in_s": self.site.runs.lead_in_s,
                "tail_s": self.site.runs.tail_s,
                "poll_s": self.site.runs.poll_s,
                "duration_s": duration_s,
                **(facts or {}),
            },
            clock=self.clock,
            group=self.site.runs.group,
        )

    def record_watch(self, run: Run) -> None:
        """Start a recorder on a watch that was prepared, maybe on another host, or whose recorder died.

        It runs the probes that every place may run, on partitions of this site file, and never asks for a move. Raises
        `NotAllowed` for the folder of a move, and for a host that the site file does not have.
        """
        if run.manifest.get("mode") != "watch" or run.manifest.get("order"):
            raise NotAllowed("it is no watch, and only a watch is recorded for another host", where=run.name)
        self._start(run, of_every_place(self.own_probes(run)))

    def attach(self, run: Run) -> bool:
        """Make sure that a recorder is at work on ``run`` while it is not over; True when a new one had to be started.

        A new recorder looks on: it never asks for a second migration. Raises `NotAllowed` for a run that was only
        prepared, and for one whose recorder died and that is watched from another place.
        """
        now = state(run, self.clock)
        if now.is_deserted and (place := run.manifest.get("place")):
            raise NotAllowed(f"it is watched from {place}; the worker there starts its next recorder", where=run.name)
        if not now.recorded and not now.has_begun:
            raise NotAllowed("this run was only prepared; there is nothing to attach to", where=run.name)
        if now.is_deserted:
            self._start(run)
        return now.is_deserted

    def end(self, run: Run) -> None:
        """Ask the recorder of a watch to end."""
        put(run, self.clock, "end", by=self.person.login)

    def log_in_again(self, run: Run) -> tuple[str, ...]:
        """Log in to the managers that refused a run's recorder, and hand the recorder the credentials that worked.

        Returns their frames. Raises `LoginRefused` where this login is refused too; nothing is handed over then.
        """
        refused = refused_ends(run)
        if not refused or not run.is_recorded():
            return ()
        order = self.own_order(run)
        frames = [frame for frame in refused if frame in (order.source, order.target)]
        for frame in frames:
            with closing(open_session(self.site, self.site.frame(frame), secrets=self.secrets)) as session:
                session.connect()
                hand_over(run.path, {session.route.account: session.password})
        return tuple(frames)

    def _start(self, run: Run, probes: Sequence[ProbeOrder] | None = None) -> None:
        wanted = self.own_probes(run) if probes is None else probes
        if run.manifest.get("order"):
            order = self.own_order(run)
            for frame in (order.source, order.target):
                self._know(self.site.frame(frame).password, self.site.frame(frame).host)
            if self.site.store is not None:
                self._know(self.site.store.password, self.site.store.where)
        self.know_secrets([probe.as_data() for probe in wanted])
        charge = {**self.charge(wanted), "is_watch": not run.manifest.get("order")}
        process.WORKER.start(run, self.secrets, self.clock, charge)
        start_courier(run, self.site, self.secrets)

    def require_secrets(self, partition: str) -> None:
        """Get the password for logging in to a partition now, where the site file names one.

        Raises `UsageError` where there is none: a recorder cannot ask.
        """
        settings = self.site.partitions.get(partition)
        if settings is not None:
            self.secrets.get(settings.password, settings.host)

    def ask_for_secrets(self, run: Run) -> None:
        """Ask now for every secret that is ``prompt`` in the site file, unless the run has begun.

        A notebook's cell can ask, its buttons cannot.
        """
        if not run.events():
            self.know_secrets([probe.as_data() for probe in self.own_probes(run)])

    def know_secrets(self, probes: Sequence[JsonMapping]) -> None:
        """Resolve what SAP's ways and the databases of ``probes`` need while somebody can be asked; the recorder gets
        what is known.

        A reference that leads nowhere is reported by its probe.
        """
        learn_secrets(probes, self.secrets)
        for probe in probes:
            self._know(probe.get("password"), str(probe.get("host")))
        for sid, settings in self.site.sap_systems.items():
            host = sap_host(self.site, settings)
            for way in (settings.webservice, settings.rfc, settings.soap_rfc):
                self._know(way.password if way else None, f"{sid} on {host}")
            if settings.commands is not None:
                self._know(settings.commands.password, settings.commands.host)
        for host, reference in sink_secrets(self.site).items():
            self._know(reference, host)

    def _know(self, reference: str | None, host: str) -> None:
        try:
            self.secrets.get(reference, host)
        except UsageError:
            return  # its probe says so, and the rest of the run does not depend on it
