"""Run folders: the one of an order, those of a partition, and what of a folder a site accepts as its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from lpmkit.config import PartitionSettings
from lpmkit.control.base import Order
from lpmkit.errors import LpmError, NotAllowed, RecordError
from lpmkit.json_values import JsonObject
from lpmkit.migration.phases import Phase
from lpmkit.migration.status import order_of, state
from lpmkit.prediction.exchange import exchange
from lpmkit.probes.databases import database_plan
from lpmkit.probes.orders import WATCH, ProbeOrder, plan, sap_plan, with_rates
from lpmkit.runbook.landscape import Landscape
from lpmkit.runs.folder import Run, create, write_document
from lpmkit.runs.history import History
from lpmkit.runs.writer import RunWriter
from lpmkit.survey.connect import other_manager

#: The next step for the same order uses a prepared folder again within this time.
PREPARED_HOURS = 12.0
#: A move is over and can be tried again in a folder of its own, though its recorder may still be at work on the tail,
#: and on SAP's logs for a quarter of an hour.
OVER = frozenset({Phase.SETTLED, Phase.FAILED, Phase.STOPPED})


class Folders(Landscape):
    """Run folders of one site. A folder may come from anywhere: it chooses no machine."""

    def prepare(self, order: Order) -> Run:
        """The folder of this order: the one that an earlier step made lately and that has no move yet, or a new one."""
        facts = {
            "order": asdict(order),
            "by": self.person.login,
            "person": self.person.as_data(),
            "site": self.site.as_data(),
            "probes": [probe.as_data() for probe in self.probes_of(order.partition)],
            "lead_in_s": self.site.runs.lead_in_s,
            "tail_s": self.site.runs.tail_s,
            "poll_s": self.site.runs.poll_s,
            "limits": self.limits_of(order).as_data(),
        }
        for run in reversed(self._runs_of(order.partition)):
            if run.manifest.get("order") == facts["order"] and run.is_recorded() and state(run).phase not in OVER:
                return run  # it is moving: whoever comes back, after a restarted kernel say, is attached again
            age_h = (self.clock.wall_ns() / 1e9 - (run.path / "run.json").stat().st_mtime) / 3600
            prepared = run.manifest.get("order") == facts["order"] and not run.events()
            if prepared and age_h < PREPARED_HOURS:
                # The site file, the lead-in or the tail may be others by now.
                write_document(run.path, "run", {**run.manifest, **facts})
                return self._kept(Run(run.path))
        title = f"{order.partition}-to-{order.target}"
        return self._kept(
            create(
                self.site.runs.folder,
                mode="move",
                title=title,
                facts=facts,
                clock=self.clock,
                group=self.site.runs.group,
            )
        )

    def _kept(self, run: Run) -> Run:
        with RunWriter(run.path, self.clock) as writer:
            for reply in self.asked():
                writer.reply(reply)
        return run

    def runs(self) -> list[Run]:
        """Every run folder of the site, oldest first; folders that are none are passed over."""
        found = []
        for path in sorted(self.site.runs.folder.glob("*/run.json")):
            try:
                found.append(Run(path.parent))
            except RecordError:
                continue
        return found

    def exchange_runs(self) -> str:
        """Exchange runs with the other hosts of the site; the trouble in words, empty without."""
        return exchange(self.site, self.secrets)

    def _runs_of(self, partition: str) -> list[Run]:
        """The runs of this site that may be of a partition, oldest first: those that the index names for it, and those
        that the index could not read. Without an index every run.
        """
        if not self.site.runs.folder.is_dir():
            return []
        try:
            past = History(self.site.runs.folder)
        except RecordError:
            return self.runs()
        named = {move.run for move, _ in past.local if move.partition == partition} | past.unreadable.keys()
        found = []
        for name in sorted(named):
            try:
                found.append(Run(self.site.runs.folder / name))
            except LpmError:
                continue
        return found

    def charge(self, probes: Sequence[ProbeOrder] = ()) -> JsonObject:
        """The charge for a recorder or conductor that it starts: its own site and probes, regardless of the folder's
        content.
        """
        return {
            "person": self.person.as_data(),
            "site": self.site.as_data(),
            "probes": [probe.as_data() for probe in probes],
        }

    def own_order(self, run: Run) -> Order:
        """The order of a run, if it fits this runbook's site.

        Raises `NotAllowed` for an order that names another manager, `NotFound` for frames that the site does not have.

        A folder may come from anywhere: it chooses no machine.
        """
        order = order_of(run)
        self.site.frame(order.source)
        self.site.frame(order.target)
        ours = other_manager(self.site, order.source, order.target)
        if (order.target_address, order.target_user) != ours:
            raise NotAllowed(
                (
                    f"its order names {order.target_user or 'nobody'} at {order.target_address or 'no address'} as "
                    f"the target's manager, and the site file {ours[1] or 'nobody'} at {ours[0] or 'no address'}"
                ),
                where=run.name,
                next_step="Was it made with another site file? Prepare the move again with yours.",
            )
        return order

    def own_probes(self, run: Run) -> tuple[ProbeOrder, ...]:
        """The probes of a run as this runbook's site has them, at the rates that the folder names.

        Raises `NotAllowed` for a watch of a host that is not in the site file.
        """
        if run.manifest.get("order"):
            probes = self.probes_of(order_of(run).partition)
        else:
            hosts = [str(host) for host in run.manifest.get("hosts") or ()]
            if strange := [host for host in hosts if host not in self.site.partitions]:
                raise NotAllowed(
                    (
                        f"it watches {', '.join(strange)}, and your site file does not name that: a folder alone "
                        "chooses no machine to log in to"
                    ),
                    where=run.name,
                    next_step=(
                        "Watch again with `lpmkit watch HOST`, or name the host under `partitions:` in the site file."
                    ),
                )
            probes = self._watch_probes(hosts)
        return with_rates(probes, run.manifest.get("probes") or ())

    def order_of(self, run: Run) -> Order:
        """The order of a run. Raises `RecordError` for a folder that holds no move."""
        return order_of(run)

    def probes_of(self, partition: str) -> tuple[ProbeOrder, ...]:
        """The probes for a partition of the site file, and for the SAP systems in it; none when it does not state a
        login to it.
        """
        settings = self.site.partitions.get(partition)
        usual = plan(settings.host, settings, self.site.ssh_config) if settings else ()
        return (*usual, *sap_plan(self.site, partition), *database_plan(self.site, partition))

    def _watch_probes(self, hosts: Sequence[str], settings: PartitionSettings | None = None) -> tuple[ProbeOrder, ...]:
        probes: list[ProbeOrder] = []
        for host in hosts:
            known = settings or self.site.partitions.get(host) or PartitionSettings(host=host)
            probes += plan(
                known.host if host in self.site.partitions else host,
                known,
                self.site.ssh_config,
                suffix=f"@{host}" if len(hosts) > 1 else "",
                paces=(WATCH,),
            )
            suffix = f"@{host}" if len(hosts) > 1 else ""
            probes += sap_plan(self.site, host, suffix=suffix) + database_plan(self.site, host, suffix=suffix)
        return tuple(probes)
