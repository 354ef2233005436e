"""The runbook: the steps of a move in their order, and where we are.

The command line, the widgets and the notebooks call these few methods and nothing below them. A runbook holds no state
worth keeping: every step leaves what it found in a run folder, and the next step reads it there. Survey, check,
validate and watch change nothing on any machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lpmkit.account.person import Person, acting_person
from lpmkit.background.requests import put, withdraw
from lpmkit.checks import Finding, Verdict, examine
from lpmkit.checks.limits import KEY as PREDICTED
from lpmkit.checks.limits import applicable_quantities, limit_findings
from lpmkit.config import HostSettings, PartitionSettings, RunSettings, Site
from lpmkit.control.base import Order
from lpmkit.control.move_options import checked_options
from lpmkit.errors import Ambiguous, LpmError, NotAllowed, NotFound, NotReady, RecordError, RemoteError, UsageError
from lpmkit.inventory import Frame, MoverPair, Partition
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.limits import MoveLimits, read_limits
from lpmkit.mapping.attributes import MappingAttributes, Reserved, build_attributes
from lpmkit.migration.phases import Phase
from lpmkit.migration.recovery import (
    BothEnds,
    Leftovers,
    Proposal,
    RecoveryAction,
    leftovers_of,
    look,
    propose,
    recorded,
)
from lpmkit.migration.status import State, confirmed, order_of, refused_ends, state
from lpmkit.prediction.exchange import exchange
from lpmkit.prediction.history import StoredPrediction, history, inputs_of
from lpmkit.prediction.prior import Prediction, predict
from lpmkit.probes.databases import database_plan, learn_secrets
from lpmkit.probes.orders import WATCH, ProbeOrder, plan, sap_host, sap_plan, with_rates
from lpmkit.recorder import process
from lpmkit.recorder.credentials import hand_over
from lpmkit.recorder.shared_intent import settled
from lpmkit.runs.approvals import Approval, approve, require
from lpmkit.runs.folder import Run, RunWriter, create, write_document, write_file
from lpmkit.runs.history import History
from lpmkit.runs.locks import holder, partition_lock_path
from lpmkit.sinks import sink_secrets, start_courier
from lpmkit.ssh.client import open_session, reachable
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Reply
from lpmkit.store import shared_store
from lpmkit.survey.connect import confirm_dialect, control_of, other_manager, survey_both_ends, vios_shells
from lpmkit.survey.model import Survey
from lpmkit.timeline import Clock, Event, wait_until

#: The next step for the same order uses a prepared folder again within this time.
PREPARED_HOURS = 12.0
#: Seconds between two looks at the time of day while a move waits for its window: a machine may have slept meanwhile.
LOOK_AT_CLOCK_S = 5.0
#: A move is over and can be tried again in a folder of its own, though its recorder may still be at work on the tail,
#: and on SAP's logs for a quarter of an hour.
OVER = frozenset({Phase.SETTLED, Phase.FAILED, Phase.STOPPED})


@dataclass(frozen=True, slots=True)
class PartitionLocation:
    """A partition and the frame (the site's name) that lists it."""

    frame: str
    partition: Partition


@dataclass(frozen=True, slots=True)
class SiteInventory:
    """The partitions that the site's frames list, and the frames that could not be asked, with the reason."""

    frames: Mapping[str, Frame]
    placed: tuple[PartitionLocation, ...]
    silent: Mapping[str, RemoteError]


@dataclass(frozen=True, slots=True)
class Validation:
    """The firmware's own word on an order: ``passed``, its exit status and its text, and when (nanoseconds since 1970).

    ``disks``: every disk of virtual Fibre Channel was tried as well.
    """

    order: Order
    passed: bool
    status: int | None
    text: str
    wall_ns: int
    disks: bool = False

    @property
    def is_refused(self) -> bool:
        """True where the firmware answered, and refused."""
        return self.status is not None and not self.passed

    def is_fresh(self, minutes: float, now_ns: int) -> bool:
        """True where it is at most ``minutes`` old; ``now_ns`` in nanoseconds since 1970."""
        return 0 <= now_ns - self.wall_ns <= minutes * 60e9


class Runbook:
    """The steps, for one site. ``secrets`` resolves the site's references, asking the person for a ``prompt``.

    ``person`` is the acting person: it goes into the record, and an approval has to be another person's. A front end
    that serves several people from one process must pass it.
    """

    def __init__(
        self, site: Site, secrets: Secrets | None = None, clock: Clock | None = None, person: Person | None = None
    ) -> None:
        self.site = site
        self.person = person or acting_person()
        self.secrets = secrets or Secrets()
        self.clock = clock or Clock()
        #: What was asked before there was a folder to keep it in; the next `prepare` puts it into the run's transcript.
        self._asked: list[Reply] = []
        self._confirmed: set[str] = set()

    def with_times(self, *, lead_in_s: float | None = None, tail_s: float | None = None) -> Runbook:
        """The same runbook with another lead-in and tail, in seconds, where they are given."""
        given = {name: value for name, value in (("lead_in_s", lead_in_s), ("tail_s", tail_s)) if value is not None}
        try:
            runs = RunSettings.model_validate({**self.site.runs.model_dump(), **given})
        except ValidationError as error:
            problems = "; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors())
            raise UsageError(
                f"the lead-in or the tail cannot be: {problems}", next_step="Seconds, 2 to 3600."
            ) from None
        return Runbook(self.site.model_copy(update={"runs": runs}), self.secrets, self.clock, self.person)

    # -- what there is -------------------------------------------------------------------------------------------------

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

    def _only(self, holders: Sequence[str], partition: str) -> str:
        if len(holders) > 1:
            raise Ambiguous("partition", partition, [f"--from {name}" for name in holders])
        return holders[0]

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

    # -- before --------------------------------------------------------------------------------------------------------

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

    def asked(self) -> list[Reply]:
        """Replies that are in no run's transcript yet; they are the caller's from now on."""
        told, self._asked[:] = list(self._asked), []
        return told

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
                next_step="Was it made with another site file? Prepare the move anew with yours.",
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
                        "Watch anew with `lpmkit watch HOST`, or name the host under `partitions:` in the site file."
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

    def survey(self, run: Run) -> Survey:
        """Gather every fact from both ends and keep it in the folder."""
        with RunWriter(run.path, self.clock) as writer:
            found = survey_both_ends(self.site, self.own_order(run), self.secrets, writer.reply)
            writer.document("survey", found.to_dict())
        self._keep_profiles(run, found)
        return found

    def _keep_profiles(self, run: Run, found: Survey) -> None:
        """The partition's profiles word for word, in a file of their own: a move replaces or renames them (D,
        recalled).
        """
        mine = [profile.record for profile in found.source.profiles or () if profile.partition == found.partition]
        if mine and not run.events():
            write_file(run.path / "profiles.txt", "".join(f"{record}\n" for record in mine).encode())

    def check(self, run: Run) -> tuple[Finding, ...]:
        """Survey, judge every rule, and keep the findings in the folder.

        Of a run that moves or has moved: the findings from before.
        """
        before = run.read("findings", _findings) if run.events() else None
        if before is not None:
            return before
        found = self.survey(run)
        expected = self.predict(run)
        if expected is not None:
            found = replace(found, expected_suspension_s=expected.suspended_s.p90)
        order = self.own_order(run)
        starts_ns = self.clock.wall_ns() + int(self.site.runs.lead_in_s * 1e9)
        limits, applicable = self.limits_of(order), applicable_quantities(found)
        findings = (*examine(found), *limit_findings(limits, order.partition, expected, starts_ns, applicable))
        write_document(run.path, "findings", [as_row(finding) for finding in findings])
        return findings

    def validate(self, run: Run, *, disks: bool = False) -> Validation:
        """Ask the manager to validate (``migrlpar -o v``) and keep its answer in the folder.

        Of a run that moves or has moved: the answer from before.

        ``disks``: have the VIOS try every disk of virtual Fibre Channel. Raises `UsageError` where the manager
        cannot.
        """
        order = self.own_order(run)
        before = self.validation_before(run)
        if before is not None:
            return before
        with RunWriter(run.path, self.clock) as writer:
            control = control_of(self.site, order.source, secrets=self.secrets, transcript=writer.reply)
            try:
                reply = control.validate(order, disks=disks)
            finally:
                control.close()
            found = Validation(order, reply.status == 0, reply.status, reply.text, self.clock.wall_ns(), disks)
            writer.document("validation", {**asdict(found)})
        return found

    def causes(self, run: Run) -> tuple[Finding, ...]:
        """What lpmkit itself finds against an order that the firmware refused: the failing checks, or, without any,
        those that could not tell. Reads only; surveys where that was not done yet.
        """
        findings = run.read("findings", _findings) or self.check(run)
        telling = [one for one in findings if not one.only_firmware and not one.key.startswith(PREDICTED)]
        failed = tuple(one for one in telling if one.verdict is Verdict.FAIL)
        return failed or tuple(one for one in telling if one.verdict is Verdict.UNKNOWN)

    def validation_before(self, run: Run) -> Validation | None:
        """The validation of a run that moves or has moved, which is not repeated; ``None`` of a run that can be
        validated now.
        """
        return run.read("validation", _validation) if run.events() else None

    def predict(self, run: Run) -> Prediction | None:
        """Predict the move from the survey and past runs, and store the prediction in the folder; ``None`` before a
        survey.

        Of a run that moves or has moved: the prediction made before.
        """
        before = run.read("prediction", StoredPrediction.from_dict) if run.events() else None
        if before is not None:
            return before.before
        inputs = inputs_of(run)
        if inputs is None:
            return None
        said = predict(inputs, history(run.path.parent))
        write_document(run.path, "prediction", StoredPrediction(inputs, said).to_dict())
        return said

    # -- the move ------------------------------------------------------------------------------------------------------

    def may_move(self, run: Run, typed_name: str) -> None:
        """Raise unless a validation of this very order passed lately, the partition's name was typed, and as many
        others approved it as the site asks for.
        """
        order = self.own_order(run)
        if typed_name != order.partition:
            raise NotAllowed(
                f"the name typed is {typed_name!r} and the partition is {order.partition!r}; nothing was moved",
                next_step="Type the partition's name exactly.",
            )
        self.may_begin(run)

    def may_begin(self, run: Run) -> None:
        """Raise `NotAllowed`, `NotReady` or `NotApproved` where a move may not begin, whatever name is typed: what
        stands against it is said before anybody is asked for the name.
        """
        order = self.own_order(run)
        if any(event.kind == "intent" for event in run.events()):
            raise NotAllowed(
                "this run has moved already; a folder records one move",
                where=run.name,
                next_step=f"`lpmkit attach {run.path}` shows it.",
            )
        if run.events():
            raise NotAllowed(
                "this run's recorder was started already, and no move was asked for",
                where=run.name,
                next_step="While it is in its lead-in, wait. If it was called off, prepare and validate the move anew.",
            )
        again = f"`lpmkit validate {order.partition} --to {order.target}` asks the firmware."
        validation = run.read("validation", _validation)
        if validation is None:
            raise NotAllowed("there is no validation of this order", where=run.name, next_step=again)
        if validation.order != order:
            raise NotAllowed("the validation is of another order", where=run.name, next_step=again)
        if not validation.passed:
            raise NotReady(
                "the firmware's validation refused this order",
                where=run.name,
                answered=validation.text,
                next_step=f"Correct what it names (`lpmkit check {order.partition} --to {order.target}` lists the "
                f"remedies), then `lpmkit validate {order.partition} --to {order.target}`.",
            )
        if not validation.is_fresh(self.site.runs.validation_holds_minutes, self.clock.wall_ns()):
            minutes = self.site.runs.validation_holds_minutes
            raise NotAllowed(f"the validation is older than {minutes:g} minutes", where=run.name, next_step=again)
        self._within_window(order, run)
        self.require_approvals(run)

    def _within_window(self, order: Order, run: Run) -> None:
        """Raise `NotAllowed` where the change window has not begun when the baseline is over, or has ended."""
        window, runs = self.limits_of(order).window, self.site.runs
        if why := window.why_not_now(self._would_begin_ns(), is_required=runs.needs_window):
            wait = "Start within the window (`lpmkit move --wait` waits for it)" if window.begin else "Name a window"
            raise NotAllowed(
                f"the move would begin {why}; nothing was moved",
                where=run.name,
                next_step=f"{wait}, or give the order another one: --window BEGIN/END.",
            )

    def _would_begin_ns(self) -> int:
        """When a move that is started now asks the manager: after the baseline."""
        return self.clock.wall_ns() + int(self.site.runs.lead_in_s * 1e9)

    def opens_in_s(self, order: Order) -> float:
        """The seconds until an order may be started, so that it begins within its change window; 0 where it may now."""
        return self.limits_of(order).window.opens_in_s(self._would_begin_ns())

    def wait_for_window(self, run: Run) -> None:
        """Wait until a move may be started, then check and validate it anew; changes nothing on any machine.

        Raises `NotAllowed` at once where waiting does not help: a window that is missing, or over.
        """
        order = self.own_order(run)
        window, required = self.limits_of(order).window, self.site.runs.needs_window
        if why := window.why_not_now(max(self._would_begin_ns(), window.begin_ns or 0), is_required=required):
            raise NotAllowed(f"the move would begin {why}; nothing was moved", where=run.name)
        if self.opens_in_s(order) == 0.0:
            return
        while (left_s := self.opens_in_s(order)) > 0.0:
            self.clock.sleep(min(left_s, LOOK_AT_CLOCK_S))
        self.check(run)
        self.validate(run)

    def require_approvals(self, run: Run) -> tuple[Approval, ...]:
        """The approvals of a run's order that count for the acting person.

        Raises `NotApproved` where the site asks for more.
        """
        return require(run, self.site.runs, self.person, self.clock)

    def approve(self, run: Run, typed_name: str, *, key: Path | None = None) -> Approval:
        """Approve a run's order as the acting person, with an SSH signature where a ``key`` is given; changes nothing
        on any machine.

        Raises as `lpmkit.runs.approvals.approve`.
        """
        order = self.own_order(run)
        if self.site.runs.allowed_signers is not None and key is None:
            raise NotAllowed(
                f"the site wants a signed approval of {order.partition}", where=run.name,
                next_step=f"`lpmkit approve {run.name} --key YOUR-SSH-KEY` in a terminal."
            )  # fmt: skip
        return approve(run, self.person, typed_name, key=key, clock=self.clock)

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

    def refuse_second_move(self, run: Run) -> None:
        """Raise `NotAllowed` while another run of this site moves the same partition, or has left its migration
        unwatched; with a shared store on any host (`StoreUnavailable` where it does not answer).
        """
        order = self.own_order(run)
        owner = holder(partition_lock_path(run.path.parent, order.source, order.partition))
        if owner is not None and owner.about != run.name:
            raise NotAllowed(
                f"another run moves {order.partition} ({owner}); nothing was asked",
                where=run.name,
                next_step=f"`lpmkit attach {owner.about}` shows it. Wait for its end.",
            )
        for other in self._runs_of(order.partition):
            if other.name == run.name or (other.manifest.get("order") or {}).get("partition") != order.partition:
                continue
            now = state(other, self.clock)
            under_way = now.phase is not None and now.phase is not Phase.PREPARED and not now.phase.is_final
            if under_way and now.ended is None:
                raise NotAllowed(
                    (
                        f"the run {other.name} asked for a move of {order.partition} and has not seen its end; "
                        "nothing was asked"
                    ),
                    where=run.name,
                    next_step=f"`lpmkit attach {other.path}` finds out what became of it.",
                )
        self._refuse_move_of_another_host(run, order)

    def _refuse_move_of_another_host(self, run: Run, order: Order) -> None:
        """Raise `NotAllowed` while the shared store has an intent for the partition without an end, `StoreUnavailable`
        where it does not answer: the recorder could not write its own then.
        """
        store = shared_store(self.site, self.secrets)
        if store is None:
            return
        from lpmkit.store.moves import open_intents  # noqa: PLC0415 - an extra

        for intent in open_intents(store, order.partition):
            if not settled(store, intent):
                raise NotAllowed(
                    f"{intent.words()} and has not seen its end; nothing was asked",
                    where=run.name,
                    next_step=f"`lpmkit attach {intent.folder}` on {intent.host} finds out what became of it.",
                )

    def require_secrets(self, partition: str) -> None:
        """Get the password for logging in to a partition now, where the site file names one.

        Raises `UsageError` where there is none: a recorder cannot ask.
        """
        settings = self.site.partitions.get(partition)
        if settings is not None:
            self.secrets.get(settings.password, settings.host)

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

    def end(self, run: Run) -> None:
        """Ask the recorder of a watch to end."""
        put(run, self.clock, "end", by=self.person.login)

    def way_out(self, run: Run) -> Proposal:
        """The proposal for an interrupted migration, from both managers' present answers and the run's record; changes
        nothing.
        """
        return confirmed(propose(self.look(run), str(run.path)), state(run, self.clock))

    def look(self, run: Run) -> BothEnds:
        """Both managers' present answers about a move, and the run's record; changes nothing."""
        order = self.own_order(run)
        inactive, still_s, stop_refused, recover_refused = recorded(run.events(), order.source)
        with ExitStack() as stack:
            source, target = (
                stack.enter_context(
                    closing(control_of(self.site, frame, secrets=self.secrets, transcript=self._asked.append))
                )
                for frame in (order.source, order.target)
            )
            ends = look(
                order,
                source,
                target,
                inactive=inactive,
                still_s=still_s,
                stop_refused=stop_refused,
                recover_refused=recover_refused,
            )
        self._keep_unless_recorded(run)
        return ends

    def left_behind(self, run: Run) -> Leftovers | None:
        """Remains of the partition on the end where it is not; looks at both ends, changes nothing."""
        found = leftovers_of(survey_both_ends(self.site, self.own_order(run), self.secrets, self._asked.append))
        self._keep_unless_recorded(run)
        return found

    def _keep_unless_recorded(self, run: Run) -> None:
        """Add the replies to the run's transcript, unless a recorder is its writer."""
        if not run.is_recorded():
            self._kept(run)
        self._asked.clear()

    def stop(self, run: Run, typed_name: str) -> str:
        """Have the source's manager asked to stop the migration; in the lead-in the move is called off instead.

        Returns the request for `answer_to`.

        Raises `NotAllowed` for a run that is over: there is nothing to stop.
        """
        self._typed(run, typed_name)
        self.may_stop(run)
        self.attach(run)
        return put(run, self.clock, "stop", by=self.person.login).stem

    def may_stop(self, run: Run) -> None:
        """Raise `NotAllowed` for a run that is over: nobody need be asked for a name."""
        now = state(run, self.clock)
        if not now.recorded and not now.is_deserted:
            raise NotAllowed(
                "the run is over, so there is no migration of it to stop" if now.has_begun else "no move has begun",
                where=run.name,
                next_step=f"`lpmkit recover {run.path} --look` shows the state of both managers.",
            )

    def recover(self, run: Run, typed_name: str, *, force: bool = False) -> str:
        """Have the source's manager asked to recover an interrupted migration. Returns the request for `answer_to`.

        Raises `NotAllowed` for a run that is over where both managers show nothing to recover.
        """
        self._typed(run, typed_name)
        if not state(run, self.clock).recorded:
            self.may_recover(run, self.way_out(run))
            self._start(run)
        return put(run, self.clock, "recover", force=force, by=self.person.login).stem

    def may_recover(self, run: Run, proposal: Proposal) -> None:
        """Raise `NotAllowed` where there is nothing to recover by what both managers report now; while a recorder is at
        work, it decides.
        """
        now = state(run, self.clock)
        if now.recorded:
            return
        if not now.has_begun:
            raise NotAllowed("no move has begun, so there is nothing to recover", where=run.name)
        if proposal.action not in (RecoveryAction.RECOVER, RecoveryAction.FORCE):
            raise NotAllowed(
                f"there is nothing to recover: {proposal.why}",
                where=run.name,
                next_step=f"`lpmkit recover {run.path} --look` shows what both managers report.",
            )

    def _typed(self, run: Run, typed_name: str) -> None:
        if typed_name != self.own_order(run).partition:
            raise NotAllowed(
                f"the name typed is {typed_name!r}; nothing was asked", next_step="Type the partition's name exactly."
            )

    def follow(self, run: Run, every_s: float = 0.5) -> Iterator[State]:
        """The run's state again and again until it is over."""
        while True:
            now = state(run, self.clock)
            yield now
            if now.is_over:
                return
            self.clock.sleep(every_s)

    # -- this machine --------------------------------------------------------------------------------------------------

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


def _findings(rows: Any) -> tuple[Finding, ...]:
    return tuple(Finding(**{**row, "verdict": Verdict(row["verdict"])}) for row in rows)


def _validation(stored: Any) -> Validation:
    validation = Validation(**{**stored, "order": Order(**stored["order"])})
    if validation.passed not in (True, False) or type(validation.wall_ns) is not int:
        raise TypeError("passed is neither true nor false, or wall_ns is no number")
    return validation


def as_row(finding: Finding) -> JsonObject:
    """A finding as JSON values."""
    return {**asdict(finding), "verdict": finding.verdict.value}


#: How long a front end waits for the recorder to carry out what it asked for.
ANSWER_TIMEOUT_S = 120.0


def answer_to(book: Runbook, run: Run, request: str, timeout_s: float = ANSWER_TIMEOUT_S) -> tuple[int | None, str]:
    """Wait ``timeout_s`` for the recorder's answer to one request (what `Runbook.stop` and `Runbook.recover` return).

    A request that is not taken up is withdrawn.
    """

    def answers() -> list[Event]:
        return [event for event in run.events() if event.kind == "answer" and event.data.get("request") == request]

    if not wait_until(lambda: bool(answers()), clock=book.clock, timeout_s=timeout_s, every_s=0.2):
        if withdraw(run, request):
            return None, "no recorder took it up, and it is withdrawn; nothing was asked of any manager"
        return None, "the recorder has not answered yet"
    last = answers()[-1]
    return last.data["status"], last.data["text"]
