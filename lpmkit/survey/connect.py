"""The way from the site file to the machines: which manager drives a frame, and a survey of both ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace

from lpmkit.config import FrameSettings, HostSettings, Site
from lpmkit.control.aix import AixShell
from lpmkit.control.base import Control, Order
from lpmkit.control.dialect import Dialect, confirm, dialect_of
from lpmkit.control.hmc import Hmc, ViosThroughHmc, machine_asked
from lpmkit.control.ivm import Ivm
from lpmkit.control.vios import ViosShell
from lpmkit.errors import LpmError, UsageError
from lpmkit.oracle.driver_choice import choose_driver
from lpmkit.oracle.snapshot import LOGON, DatabaseSnapshot
from lpmkit.probes.databases import databases_of
from lpmkit.probes.orders import sap_host
from lpmkit.sap.model import SapSnapshot
from lpmkit.ssh.batching import BatchingSession
from lpmkit.ssh.client import SshSession, open_session
from lpmkit.ssh.refusals import Accounts
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Session, Transcript
from lpmkit.survey.gather import gather
from lpmkit.survey.model import Survey
from lpmkit.survey.sap_keys import with_past_keys


def control_of(
    site: Site, frame: str, *, secrets: Secrets, transcript: Transcript | None = None, session: Session | None = None
) -> Control:
    """The manager of one frame of the site, over a ``session`` that is there already or one of its own.

    Nothing is sent before it is used.
    """
    settings = site.frame(frame)

    def another() -> SshSession:
        return open_session(site, settings, secrets=secrets, transcript=transcript)

    if settings.system is None:
        return Ivm(frame, session or another())
    return Hmc(frame, session or another(), settings.system, open_another=another)


def confirm_dialect(site: Site, frame: str, *, secrets: Secrets, transcript: Transcript | None = None) -> Dialect:
    """Ask the manager of a frame what it is. Raises `UsageError` where the site file says something else."""
    settings = site.frame(frame)
    with closing(open_session(site, settings, secrets=secrets, transcript=transcript)) as session:
        dialect = dialect_of(session)
    confirm(dialect, settings.manager, frame)
    return dialect


def other_manager(site: Site, source: str, target: str) -> tuple[str, str]:
    """Address and user of the target's manager for ``migrlpar --ip/-u``; both empty when one HMC has both frames.

    Raises `UsageError` when the site file does not say the address.
    """
    from_frame, to_frame = site.frame(source), site.frame(target)
    if from_frame.manager == to_frame.manager == "hmc" and from_frame.host == to_frame.host:
        return "", ""
    if not to_frame.mover_address:
        raise UsageError(
            f"{source} and {target} are under two managers, and the site file does not say the address of {target}'s",
            next_step=f"Write it to the site file: frames.{target}.mover_address",
        )
    return to_frame.mover_address, to_frame.mover_user


def vios_sessions(settings: FrameSettings, session: Session) -> dict[str, Session]:
    """A command line on each I/O server of a frame, by name: the VIOS that one logs in to, or those behind the HMC."""
    if settings.system is None:
        return {settings.host: session}
    return {name: ViosThroughHmc(session, settings.system, name) for name in settings.vios}


def vios_shells(settings: FrameSettings, session: Session) -> dict[str, ViosShell]:
    """Shells on the I/O servers of a frame, by name. Through an HMC the commands carry no prefix."""
    prefix = "ioscli" if settings.system is None else ""
    return {name: ViosShell(vios_session, prefix) for name, vios_session in vios_sessions(settings, session).items()}


def survey_both_ends(
    site: Site,
    order: Order,
    secrets: Secrets,
    transcript: Transcript | None = None,
    *,
    after: bool = False,
    refused: Mapping[str, str] | None = None,
) -> Survey:
    """Log in to both frames and, where the site says how, to the partition, and gather everything about a move.

    One connection to each manager, whatever it manages. ``after`` it a SAP system is asked only what its probes do not
    ask; ``refused`` are the accounts that refused our credentials before in the run, which are not used again.
    """
    with ExitStack() as stack:
        managers: dict[str, BatchingSession] = {}

        def session(settings: HostSettings) -> SshSession:
            opened = open_session(site, settings, secrets=secrets, transcript=transcript)
            return stack.enter_context(closing(opened))

        def manager(frame: str) -> BatchingSession:
            settings = site.frame(frame)
            if settings.host not in managers:
                managers[settings.host] = BatchingSession(session(settings), machine_of=machine_asked)
            return managers[settings.host]

        partition = site.partitions.get(order.partition)
        survey = gather(
            order,
            control_of(site, order.source, secrets=secrets, session=manager(order.source)),
            control_of(site, order.target, secrets=secrets, session=manager(order.target)),
            vios_shells(site.frame(order.source), manager(order.source)),
            vios_shells(site.frame(order.target), manager(order.target)),
            AixShell(session(partition)) if partition else None,
            rounds=tuple(managers.values()),
            after=after,
        )
    snapshots = sap_snapshots(site, order.partition, secrets, transcript, after=after, refused=refused)
    answers = survey.guest is not None and survey.guest.answered
    databases = () if after else database_snapshots(site, order.partition, secrets, transcript, login_works=answers)
    return replace(with_sap(site, survey, snapshots), databases=databases)


def with_sap(site: Site, survey: Survey, snapshots: Sequence[SapSnapshot]) -> Survey:
    """A survey with what its SAP systems said, and what earlier runs learned of them on these two frames."""
    serials = {side.name: side.frame.serial for side in (survey.source, survey.target) if side.frame is not None}
    return replace(survey, sap=tuple(with_past_keys(snapshot, site.runs.folder, serials) for snapshot in snapshots))


def sap_snapshots(
    site: Site,
    partition: str,
    secrets: Secrets,
    transcript: Transcript | None = None,
    *,
    after: bool = False,
    refused: Mapping[str, str] | None = None,
) -> tuple[SapSnapshot, ...]:
    """Ask every SAP system of a partition everything once.

    ``after`` a move, while its probes go on, what they do not ask.
    """
    if not site.sap_of(partition):
        return ()
    # zeep and lxml take their time, and most commands need neither
    from lpmkit.sap.system import AFTER, SNAPSHOT, open_system  # noqa: PLC0415

    snapshots, accounts = [], Accounts(refused)
    for sid, settings in site.sap_of(partition).items():
        system = open_system(
            sid,
            settings,
            host=sap_host(site, settings),
            ssh_config=site.ssh_config,
            secrets=secrets,
            transcript=transcript,
            requests_per_minute=settings.kept_for_after if after else None,
            accounts=accounts,
        )
        with closing(system):
            snapshots.append(system.snapshot(AFTER if after else SNAPSHOT))
    return tuple(snapshots)


def database_snapshots(
    site: Site, partition: str, secrets: Secrets, transcript: Transcript | None = None, *, login_works: bool
) -> tuple[DatabaseSnapshot, ...]:
    """Ask every database of a partition once, where the site file says how to log on to it.

    ``login_works``: the partition's own login did a moment ago; ``sqlplus`` does not try one that was refused again.
    """
    from lpmkit.oracle.before import is_asked, look_before  # noqa: PLC0415 - most commands need no driver

    snapshots, accounts = [], Accounts()
    for sid, settings in databases_of(site, partition).items():
        if not is_asked(settings):
            continue
        if not login_works and choose_driver(settings).way == "sqlplus":
            snapshots.append(DatabaseSnapshot(sid, gaps={LOGON: f"the login to {partition} did not work"}))
            continue
        inside = site.partitions.get(partition) or HostSettings(host=partition)
        try:
            password = secrets.get(settings.password, f"database {sid}")
            wallet_password = secrets.get(settings.wallet_password, f"wallet of database {sid}")
            session = open_session(site, inside, secrets=secrets, transcript=transcript)
        except LpmError as error:
            snapshots.append(DatabaseSnapshot(sid, gaps={LOGON: str(error)}))
            continue
        with closing(session):
            snapshots.append(
                look_before(
                    sid,
                    settings,
                    session,
                    password=password,
                    wallet_password=wallet_password,
                    accounts=accounts,
                    login_works=login_works,
                )
            )
    return tuple(snapshots)
