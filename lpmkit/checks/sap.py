"""What a move means to SAP: its hardware key and licences, and what is running in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lpmkit.checks.judging import Fact, NotKnown, RuleResult, Verdict, frame_of, joined, need, passed
from lpmkit.sap.model import Colour, JobStatus, SapSnapshot
from lpmkit.survey.model import Survey


def sap_hardware_key(survey: Survey) -> RuleResult:
    """SAP derives its hardware key from ``uname -m``, which follows the machine (`SAP2048`).

    The target's is derived from its serial, a rule that is only trusted when it yields the source's, which was read.
    """
    guest = need(survey.guest, survey, "partition", survey.partition)
    now = need(guest.identity.machine_id, survey, "identity", survey.partition)
    source, target = frame_of(survey, survey.source), frame_of(survey, survey.target)
    then = machine_id_of(target.serial) if machine_id_of(source.serial) == now else None
    facts: dict[str, Fact] = {
        "uname -m now": now,
        "on the target, derived from its serial": then or "cannot be derived",
    }
    remedy = (
        "Before the move, install a SAP licence for the target's hardware key beside the present one (order it for the key that "
        "saplicense -get prints there; transaction SLICENSE installs it). SAP runs on for its grace period without."
    )
    return passed(then == now, survey.partition, facts, remedy, bad=Verdict.WARN)


def sap_licence(survey: Survey, snapshot: SapSnapshot) -> RuleResult:
    """Every frame has a hardware key of its own, and a licence belongs to a key (`SAPNOTE:181543`, `SAPNOTE:538081`, as quoted)."""
    key = snapshot.hardware_keys.get(survey.target.name)
    if key is None:
        why = snapshot.keys_from.get(survey.target.name)
        raise NotKnown(
            snapshot.system,
            f"neither the site file nor an earlier run says the hardware key of {survey.target.name}"
            + (f" ({why})" if why else "")
            + f": sap_systems.{snapshot.system}.hardware_keys, as saplikey -get printed it there",
        )
    licences = [licence for licence in snapshot.licences or () if licence.key == key]
    good = [licence for licence in licences if licence.permanent is not False and licence.valid is not False]
    facts: dict[str, Fact] = {
        "hardware key now": snapshot.hardware_key,
        f"on {survey.target.name}": key,
        "known from": snapshot.keys_from.get(survey.target.name),
        "licences installed": joined(sorted({licence.key for licence in snapshot.licences or ()})),
    }
    return passed(
        bool(good),
        snapshot.system,
        facts,
        f"Order a permanent licence for {key} and install it before the move, beside the present one (transaction SLICENSE, or saplikey -install).",
        bad=Verdict.WARN,
    )


def sap_long_jobs(survey: Survey, snapshot: SapSnapshot) -> RuleResult:
    """A job that has run for long would be the dearest to lose."""
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
    return passed(
        not long,
        snapshot.system,
        {"jobs running": len(running), **long},
        "They go on through the move; wait for them, or know that they are what is at stake.",
        bad=Verdict.WARN,
    )


def sap_next_jobs(survey: Survey, snapshot: SapSnapshot) -> RuleResult:
    """A job that starts during the move meets a busy partition, and a pause."""
    now = _sap_now(snapshot)
    if now is None:
        raise NotKnown(snapshot.system, "its time zone is not known: sap_systems.SID.zone in the site file says it")
    if snapshot.ways.get("jobs", "").startswith(("webservice", "sapcontrol", "dpmon")):
        raise NotKnown(
            snapshot.system, f"{snapshot.ways['jobs']} shows what runs and no schedule; RFC or SOAP-RFC would"
        )
    window = timedelta(seconds=snapshot.slo.get("window_s", 3600.0))
    soon = [
        job
        for job in snapshot.jobs or ()
        if job.status in (JobStatus.RELEASED, JobStatus.READY, JobStatus.PUT_ACTIVE)
        and job.planned is not None
        and job.planned <= now + window
    ]
    return passed(
        not soon,
        snapshot.system,
        {
            "system time": f"{now:%H:%M:%S}",
            **{job.title: f"at {job.planned:%H:%M:%S}" for job in soon if job.planned is not None},
        },
        "Move before or after, or put them off in SM37.",
        bad=Verdict.WARN,
    )


def _sap_now(snapshot: SapSnapshot) -> datetime | None:
    """The system's own clock when it was asked."""
    if snapshot.zone_offset_s is None:
        return None
    at = datetime.fromtimestamp(snapshot.wall_ns / 1e9, tz=UTC).replace(tzinfo=None)
    return at + timedelta(seconds=snapshot.zone_offset_s)


def sap_updates(survey: Survey, snapshot: SapSnapshot) -> RuleResult:
    """Update requests in error before the move would be taken for its doing."""
    failed = [update for update in snapshot.updates or () if update.failed]
    return passed(
        not failed,
        snapshot.system,
        {"waiting or failed": len(snapshot.updates or ()), "failed": len(failed)},
        "Look at them in SM13 first.",
        bad=Verdict.WARN,
    )


def sap_enqueue(survey: Survey, snapshot: SapSnapshot) -> RuleResult:
    """A lock server or replica that is unwell already."""
    enqueue = next(iter(snapshot.enqueue or ()), None)
    if enqueue is None:
        raise NotKnown(snapshot.system, "no lock server answered")
    good = enqueue.state is not Colour.RED and enqueue.replication not in (Colour.RED, Colour.YELLOW)
    return passed(
        good,
        snapshot.system,
        {
            "state": enqueue.state.value if enqueue.state else None,
            "replica": enqueue.replication.value if enqueue.replication else None,
            "errors": enqueue.errors,
        },
        "See SM12 and the lock server's trace first.",
        bad=Verdict.WARN,
    )


def sap_work_processes(survey: Survey, snapshot: SapSnapshot) -> RuleResult:
    """Work processes that are down before the move."""
    rows = snapshot.work_processes or ()
    down = [row for row in rows if row.activity.is_down]
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
    """``uname -m`` as it follows from a blade's serial: ``000``, its last five characters, the model, ``00`` (derived, D).

    >>> machine_id_of("106BDCA")
    '0006BDCA4C00'
    """
    return f"000{serial[-5:]}4C00"
