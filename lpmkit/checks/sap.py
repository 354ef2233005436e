"""Checks of SAP: hardware key and licences, and the work that runs during a move."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from lpmkit.checks.cluster import MARGIN
from lpmkit.checks.judging import (
    Fact,
    NotApplicable,
    NotKnown,
    RuleResult,
    Verdict,
    frame_of,
    joined,
    moving_of,
    need,
    passed,
)
from lpmkit.inventory import OperatingSystem
from lpmkit.sap.model import (
    Colour,
    Enqueue,
    JobStatus,
    Licence,
    SapSnapshot,
    interface_of,
    licences_to_log_on,
    licensed_products,
)
from lpmkit.sap.time_outs import sap_waits
from lpmkit.survey.model import Survey

#: Interfaces that list the running jobs and not the planned ones.
WITHOUT_SCHEDULE = frozenset({"webservice", "sapcontrol", "dpmon"})


def sap_hardware_key(survey: Survey) -> RuleResult:
    """Warn that the hardware key changes: SAP derives it from ``uname -m``, which follows the machine (`SAP2048`).

    The key of the target is derived from its serial, a rule that is only used where it gives the source's, which was
    read. A licence for the target's key that is installed settles it (`sap_licence`).
    """
    moving_of(survey)
    system = survey.operating_system
    if system in (OperatingSystem.LINUX, OperatingSystem.IBM_I):
        raise NotApplicable(survey.partition, f"the partition runs {system.value}, where the key has another origin")
    guest = need(survey.guest, survey, "partition", survey.partition)
    now = need(guest.identity.machine_id, survey, "identity", survey.partition)
    source, target = frame_of(survey, survey.source), frame_of(survey, survey.target)
    then = machine_id_of(target.serial) if machine_id_of(source.serial) == now else None
    facts: dict[str, Fact] = {
        "uname -m now": now,
        "on the target, derived from its serial": then or "cannot be derived",
    }
    remedy = (
        "Before the move, install a SAP licence for the target's hardware key beside the present one (order it for "
        "the key that saplicense -get prints there; transaction SLICENSE installs it). Without it SAP runs only for "
        "its grace period after the move."
    )
    licensed = [snapshot.system for snapshot in survey.sap if target_licences(survey, snapshot)]
    if survey.sap and len(licensed) == len(survey.sap):
        facts["licences for the target's key"] = joined(licensed)
        return RuleResult(Verdict.PASS, survey.partition, facts)
    return passed(then == now, survey.partition, facts, remedy, bad=Verdict.WARN)


def target_licences(survey: Survey, snapshot: SapSnapshot) -> list[Licence]:
    """The valid licences of a system for the hardware key of the target; empty where the key is not known, and where
    they are not for every product that those of the present key are for.
    """
    key, now, installed = snapshot.hardware_keys.get(survey.target.name), snapshot.hardware_key, snapshot.licences or ()
    if key is None:
        return []
    used = licensed_products(licences_to_log_on(installed, snapshot.system, now)) if now is not None else set()
    there = licences_to_log_on(installed, snapshot.system, key)
    return there if not licensed_products(there) or used <= licensed_products(there) else []


def sap_licence(survey: Survey, snapshot: SapSnapshot) -> RuleResult:
    """Warn where no licence for the target's hardware key is installed (`SAPNOTE:181543`, `SAPNOTE:538081`, as
    quoted).
    """
    key = snapshot.hardware_keys.get(survey.target.name)
    if key is None:
        why = snapshot.keys_from.get(survey.target.name)
        raise NotKnown(
            snapshot.system,
            f"neither the site file nor an earlier run has the hardware key of {survey.target.name}"
            + (f" ({why})" if why else "")
            + f": set sap_systems.{snapshot.system}.hardware_keys, as saplikey -get or saplicense -get prints it there",
        )
    good = target_licences(survey, snapshot)
    facts: dict[str, Fact] = {
        "hardware key now": snapshot.hardware_key,
        f"on {survey.target.name}": key,
        "known from": snapshot.keys_from.get(survey.target.name),
        "licences installed": joined(
            sorted(
                {
                    " ".join(filter(None, (one.key, one.system if one.system != snapshot.system else "", one.product)))
                    for one in snapshot.licences or ()
                }
            )
        ),
    }
    return passed(
        bool(good),
        snapshot.system,
        facts,
        f"Order a permanent licence for {key} and install it before the move, beside the present one (transaction "
        "SLICENSE, or saplikey -install).",
        bad=Verdict.WARN,
    )


def sap_long_jobs(survey: Survey, snapshot: SapSnapshot) -> RuleResult:
    """Warn of jobs that have run for long: they would be the most expensive to lose."""
    limit = snapshot.slo.get("long_job_s", 3600.0)
    now = _sap_now(snapshot)
    running = [job for job in snapshot.jobs or () if job.status is JobStatus.RUNNING]
    long = {
        job.title: f"for {(now - job.started).total_seconds() / 60:.0f} minutes"
        for job in running
        if now is not None and job.started is not None and (now - job.started).total_seconds() > limit
    }
    work = {(row.pid, row.program): row.request_s for row in snapshot.work_processes or ()}
    for job in running:
        for_s = work.get((job.pid, job.program))
        if job.started is None and for_s is not None and for_s > limit:
            long[job.title] = f"for {for_s / 60:.0f} minutes"
    untimed = [job.title for job in running if work.get((job.pid, job.program)) is None and not (now and job.started)]
    if untimed and not long:
        raise NotKnown(snapshot.system, f"for how long {joined(untimed)} has run")
    result = passed(
        not long,
        snapshot.system,
        {"limit": _minutes(limit), "jobs running": len(running), **long},
        "They continue during the move. Wait for their end if they must not be lost.",
        bad=Verdict.WARN,
    )
    return replace(result, title=f"No SAP job running for more than {_minutes(limit)}")


def _minutes(seconds: float) -> str:
    """
    >>> _minutes(3600), _minutes(60), _minutes(90)
    ('60 minutes', '1 minute', '1.5 minutes')
    """
    return f"{seconds / 60:g} minute{'' if seconds == 60 else 's'}"


def sap_next_jobs(survey: Survey, snapshot: SapSnapshot) -> RuleResult:
    """Warn of jobs that start within ``slo.window_s``: they run in a busy partition and see the suspension."""
    now = _sap_now(snapshot)
    if now is None:
        raise NotKnown(
            snapshot.system, f"its time zone is missing: set sap_systems.{snapshot.system}.zone in the site file"
        )
    if interface_of(snapshot.ways.get("jobs", "")) in WITHOUT_SCHEDULE:
        raise NotKnown(
            snapshot.system, f"{snapshot.ways['jobs']} lists running jobs and no schedule; configure RFC or SOAP-RFC"
        )
    within_s = snapshot.slo.get("window_s", 3600.0)
    soon = sorted(
        (job.planned, job.title)
        for job in snapshot.jobs or ()
        if job.status in (JobStatus.RELEASED, JobStatus.READY, JobStatus.PUT_ACTIVE)
        and job.planned is not None
        and job.planned <= now + timedelta(seconds=within_s)
    )
    result = passed(
        not soon,
        snapshot.system,
        {"system time": f"{now:%H:%M:%S}", **{title: f"at {planned:%H:%M:%S}" for planned, title in soon}},
        "Jobs that start during the move run on and wait for the suspension. If that is not acceptable, reschedule "
        "them in SM37.",
        bad=Verdict.WARN,
    )
    return replace(result, title=f"No SAP job starts within the next {_minutes(within_s)}")


def _sap_now(snapshot: SapSnapshot) -> datetime | None:
    """The system's own clock at the moment of the snapshot."""
    if snapshot.zone_offset_s is None:
        return None
    at = datetime.fromtimestamp(snapshot.wall_ns / 1e9, tz=UTC).replace(tzinfo=None)
    return at + timedelta(seconds=snapshot.zone_offset_s)


def sap_updates(survey: Survey, snapshot: SapSnapshot) -> RuleResult:
    """Warn of update terminations before the move: later they would be attributed to it."""
    failed = [update for update in snapshot.updates or () if update.failed]
    if not failed and any(update.failed is None for update in snapshot.updates or ()):
        raise NotKnown(snapshot.system, "the state of the updates is not told")
    return passed(
        not failed,
        snapshot.system,
        {"waiting or terminated": len(snapshot.updates or ()), "terminated": len(failed)},
        "Resolve them in SM13 first.",
        bad=Verdict.WARN,
    )


def sap_enqueue(survey: Survey, snapshot: SapSnapshot) -> RuleResult:
    """Warn of an enqueue server or a replication server that is not healthy before the move."""
    if not snapshot.enqueue:
        raise NotKnown(snapshot.system, "no enqueue server answered")
    # a dialog instance beside the lock server may answer too, and has no figures
    enqueue = max(snapshot.enqueue, key=lambda one: (_is_unwell(one), one.requests or 0))
    good = not _is_unwell(enqueue)
    return passed(
        good,
        snapshot.system,
        {
            "state": enqueue.state.value if enqueue.state else None,
            "replication": enqueue.replication.value if enqueue.replication else None,
            "errors": enqueue.errors,
        },
        "Check SM12 and the trace of the enqueue server first.",
        bad=Verdict.WARN,
    )


def _is_unwell(one: Enqueue) -> bool:
    return one.state is Colour.RED or one.replication in (Colour.RED, Colour.YELLOW)


def sap_time_outs(survey: Survey, snapshot: SapSnapshot) -> RuleResult:
    """Hold what SAP's profile parameters wait for against the predicted suspension.

    One that a profile sets can fail; SAP's default only warns. A value that is not understood is not known.
    """
    expected = survey.expected_suspension_s
    if expected is None:
        raise NotKnown(snapshot.system, survey.why_no_suspension)
    waits = sap_waits(snapshot.profiles or ())
    facts: dict[str, Fact] = {"suspension, P90 s": round(expected, 2), **{wait.parameter: wait.text for wait in waits}}
    over, near = [], []
    for wait in waits:
        if wait.seconds is not None and expected >= wait.seconds and wait.is_set:
            over.append(wait)
        elif wait.seconds is not None and expected * MARGIN > wait.seconds:
            near.append(wait)
    unread = [wait.parameter for wait in waits if wait.seconds is None]
    if unread and not over:
        raise NotKnown(snapshot.system, f"the value of {joined(unread)} is not understood")
    verdict = Verdict.FAIL if over else Verdict.WARN if near else Verdict.PASS
    remedy = " ".join(dict.fromkeys(wait.remedy for wait in (*over, *near)))
    return RuleResult(verdict, snapshot.system, facts, remedy)


def sap_work_processes(survey: Survey, snapshot: SapSnapshot) -> RuleResult:
    """Warn of work processes that are down before the move."""
    rows = snapshot.work_processes or ()
    if not rows:
        raise NotKnown(snapshot.system, "no work process is listed, and a running instance has some")
    down = [row for row in rows if row.is_down]
    return passed(
        not down,
        snapshot.system,
        {
            "by": snapshot.ways.get("work_processes"),
            "work processes": len(rows),
            "down": joined(f"{row.type} {row.number}" for row in down),
        },
        "Restart them in SM50 first.",
        bad=Verdict.WARN,
    )


def machine_id_of(serial: str) -> str:
    """Derive ``uname -m`` from a blade's serial: ``000``, its last five characters, the model, ``00`` (derived, D).

    >>> machine_id_of("106BDCA")
    '0006BDCA4C00'
    """
    return f"000{serial[-5:]}4C00"
