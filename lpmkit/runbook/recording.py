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
from lpmkit.probes.orders import ProbeOrder, sap_host
from lpmkit.recorder import process
from lpmkit.recorder.credentials import hand_over
from lpmkit.runbook.gate import Gate
from lpmkit.runs.folder import Run, create
from lpmkit.sinks import sink_secrets, start_courier
from lpmkit.ssh.client import open_session


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
        facts = {
            "hosts": list(hosts),
            "by": self.person.login,
            "person": self.person.as_data(),
            "site": self.site.as_data(),
            "probes": [probe.as_data() for probe in probes],
            "lead_in_s": self.site.runs.lead_in_s,
            "tail_s": self.site.runs.tail_s,
            "poll_s": self.site.runs.poll_s,
            "duration_s": duration_s,
        }
        run = create(
            self.site.runs.folder,
            mode="watch",
            title="watch-" + "-".join(hosts)[:60],
            facts=facts,
            clock=self.clock,
            group=self.site.runs.group,
        )
        self._start(run, probes)
        return run

    def attach(self, run: Run) -> bool:
        """Make sure that a recorder is at work on ``run`` while it is not over; True when a new one had to be started.

        A new recorder looks on: it never asks for a second migration.
        """
        now = state(run, self.clock)
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
        process.WORKER.start(run, self.secrets, self.clock, self.charge(wanted))
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
