"""The contents of the site's frames, and orders made from them. Changes nothing on any machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from lpmkit.account.person import Person, acting_person
from lpmkit.config import HostSettings, Site
from lpmkit.control.base import Order
from lpmkit.control.move_options import checked_options
from lpmkit.errors import Ambiguous, LpmError, NotFound, RemoteError, UsageError
from lpmkit.inventory import Frame, MoverPair
from lpmkit.json_values import JsonMapping
from lpmkit.limits import MoveLimits, read_limits
from lpmkit.mapping.attributes import MappingAttributes, Reserved, build_attributes
from lpmkit.runbook.values import PartitionLocation, SiteInventory
from lpmkit.ssh.client import open_session, reachable
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Reply
from lpmkit.survey.connect import confirm_dialect, control_of, other_manager, survey_both_ends, vios_shells
from lpmkit.timeline import Clock


class Landscape:
    """The frames of one site, and the orders that can be given there."""

    def __init__(
        self, site: Site, secrets: Secrets | None = None, clock: Clock | None = None, person: Person | None = None
    ) -> None:
        self.site = site
        self.person = person or acting_person()
        self.secrets = secrets or Secrets()
        self.clock = clock or Clock()
        #: The replies from before there was a folder to keep them in; the next `prepare` puts them into the run's
        #: transcript.
        self._asked: list[Reply] = []
        self._confirmed: set[str] = set()

    def landscape(self) -> SiteInventory:
        """Ask every frame of the site what it holds. A frame that cannot be asked is listed with the reason."""
        frames: dict[str, Frame] = {}
        placed: list[PartitionLocation] = []
        silent: dict[str, RemoteError] = {}
        for name in self.site.frames:
            control = control_of(self.site, name, secrets=self.secrets, transcript=self._asked.append)
            try:
                self._confirm(name)
                frames[name] = control.frame()
                placed += [PartitionLocation(name, partition) for partition in control.partitions()]
            except RemoteError as error:
                silent[name] = error
            finally:
                control.close()
        return SiteInventory(frames, tuple(placed), silent)

    def _confirm(self, frame: str) -> None:
        """Ask a manager once what it is; raises `UsageError` where the site file has something else."""
        if frame not in self._confirmed:
            confirm_dialect(self.site, frame, secrets=self.secrets, transcript=self._asked.append)
            self._confirmed.add(frame)

    def order(
        self,
        partition: str,
        target: str,
        *,
        source: str | None = None,
        mapping: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
        limits: JsonMapping | None = None,
        there: SiteInventory | None = None,
    ) -> Order:
        """Make the order: what is to be moved, from where, to where; by what is ``there``, which is asked for unless it
        is given. ``limits`` are its own, over those of the site.

        Raises the target's own error when it cannot be asked, `NotFound` for unknown names, `Ambiguous` when two frames
        list the partition and no ``source`` is given, and `UsageError` when source and target are the same.
        """
        self.site.frame(target)
        own_limits = read_limits(limits or {}).as_data()
        if source is not None:
            self.site.frame(source)
        there = there or self.landscape()
        if target in there.silent:
            raise there.silent[target]
        machine = there.frames[target].machine
        holders = [
            place.frame for place in there.placed if place.partition.name == partition and not place.partition.is_vios
        ]
        if source is not None and source not in holders:
            if source in there.silent:
                raise there.silent[source]
            known = [
                place.partition.name for place in there.placed if place.frame == source and not place.partition.is_vios
            ]
            raise NotFound("partition", partition, known=known, where=source)
        if not holders:
            known = [place.partition.name for place in there.placed if not place.partition.is_vios]
            silent = "; ".join(f"{name} could not be asked: {why}" for name, why in there.silent.items())
            raise NotFound("partition", partition, known=known, where=silent or None)
        chosen = source or self._only([name for name in holders if name != target] or holders, partition)
        if chosen == target:
            raise UsageError(
                f"{partition} is on {target} already: source and target are the same",
                next_step=f"Choose another target: {', '.join(name for name in self.site.frames if name != target)}.",
            )
        address, user = other_manager(self.site, chosen, target)
        given = checked_options(options or {})
        return Order(partition, chosen, target, machine, address, user, dict(mapping or {}), given, own_limits)

    def _only(self, holders: Sequence[str], partition: str) -> str:
        if len(holders) > 1:
            raise Ambiguous("partition", partition, [f"--from {name}" for name in holders])
        return holders[0]

    def limits_of(self, order: Order) -> MoveLimits:
        """The limits of a move: the site's, and over them those of its order."""
        return self.site.limits.with_order(order.limits)

    def keep_mapping(self, order: Order, reserved: Reserved | None = None) -> tuple[Order, MappingAttributes]:
        """The same order with the record that keeps the partition's mapping, and what of it cannot be kept; looks at
        both ends, changes nothing.

        Values of the order's own record take precedence. ``reserved`` are ids and slots that other orders name.
        """
        survey = survey_both_ends(self.site, order, self.secrets, self._asked.append)
        mapping = build_attributes(survey, reserved)
        return replace(order, mapping={**mapping.record, **order.mapping}), mapping

    def mover_pairs(self, order: Order) -> tuple[MoverPair, ...]:
        """Pairs of mover service partitions of both ends that can talk; empty where there is nothing to choose."""
        with closing(
            control_of(self.site, order.source, secrets=self.secrets, transcript=self._asked.append)
        ) as control:
            return control.mover_pairs(order)

    def movers_take(self, frame: str) -> dict[str, int | None]:
        """Concurrent moves of each mover of a frame, by the name of its VIOS (under an IVM the frame's);
        ``None`` where its level is too old to report it.
        """
        settings, found = self.site.frame(frame), {}
        with closing(open_session(self.site, settings, secrets=self.secrets, transcript=self._asked.append)) as session:
            for server, shell in vios_shells(settings, session).items():
                found[frame if settings.system is None else server] = shell.moves_at_once()
        return found

    def asked(self) -> list[Reply]:
        """Replies that are in no run's transcript yet; they are the caller's from now on."""
        told, self._asked[:] = list(self._asked), []
        return told

    def hosts(self) -> Mapping[str, HostSettings]:
        """Every machine of the site file by its name in it."""
        return {**self.site.frames, **self.site.partitions}

    def unreachable(self) -> dict[str, str]:
        """Log in to every machine of the site; the ones that could not be reached with the reason."""
        trouble: dict[str, str] = {}
        for name, settings in self.hosts().items():
            try:
                session = open_session(self.site, settings, secrets=self.secrets)
                error: LpmError | None = reachable(session)
                session.close()
            except LpmError as refused:
                error = refused
            if error is not None:
                trouble[name] = str(error)
        return trouble
