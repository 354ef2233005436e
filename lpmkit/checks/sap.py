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
    here, there = frame_of(survey, survey.source), frame_of(survey, survey.target)
    then = machine_id_of(there.serial) if machine_id_of(here.serial) == now else None
    facts: dict[str, Fact] = {
        "uname -m now": now,
        "on the target, derived from its serial": then or "cannot be derived",
    }
    remedy = (
        "Before the move, install a SAP licence for the target's hardware key beside the present one (order it for the key that "
        "saplicense -get prints there; transaction SLICENSE installs it). SAP runs on for its grace period without."
    )
    return passed(then == now, survey.partition, facts, remedy, bad=Verdict.WARN)


def sap_licence(survey: Survey, one: SapSnapshot) -> RuleResult:
    """Every frame has a hardware key of its own, and a licence belongs to a key (`SAPNOTE:181543`, `SAPNOTE:538081`, as quoted)."""
    key = one.hardware_keys.get(survey.target.name)
    if key is None:
        why = one.keys_from.get(survey.target.name)
        raise NotKnown(
            one.system,
            f"neither the site file nor an earlier run says the hardware key of {survey.target.name}"
            + (f" ({why})" if why else "")
            + f": sap_systems.{one.system}.hardware_keys, as saplikey -get printed it there",
        )
    mine = [licence for licence in one.licences or () if licence.key == key]
    good = [licence for licence in mine if licence.permanent is not False and licence.valid is not False]
    facts: dict[str, Fact] = {
        "hardware key now": one.hardware_key,
        f"on {survey.target.name}": key,
        "known from": one.keys_from.get(survey.target.name),
        "licences installed": joined(sorted({licence.key for licence in one.licences or ()})),
    }
    return passed(
        bool(good),
        one.system,
        facts,
        f"Order a permanent licence for {key} and install it before the move, beside the present one (transaction SLICENSE, or saplikey -install).",
        bad=Verdict.WARN,
    )


def sap_long_jobs(survey: Survey, one: SapSnapshot) -> RuleResult:
    """A job that has run for long would be the dearest to lose."""
    limit = one.slo.get("long_job_s", 3600.0)
    now = _sap_now(one)
    running = [job for job in one.jobs or () if job.status is JobStatus.RUNNING]
    long = {
        job.title: f"for {(now - job.started).total_seconds() / 60:.0f} minutes"
        for job in running
        if now is not None and job.started is not None and (now - job.started).total_seconds() > limit
    }
    work = {(row.pid, row.program): row.request_s for row in one.work_processes or ()}
    for job in running:
        for_s = work.get((job.pid, job.program))
        if job.started is None and for_s is not None and for_s > limit:
            long[job.title] = f"for {for_s / 60:.0f} minutes"
    return passed(
        not long,
        one.system,
        {"jobs running": len(running), **long},
        "They go on through the move; wait for them, or know that they are what is at stake.",
        bad=Verdict.WARN,
    )


def sap_next_jobs(survey: Survey, one: SapSnapshot) -> RuleResult:
    """A job that starts during the move meets a busy partition, and a pause."""
    now = _sap_now(one)
    if now is None:
        raise NotKnown(one.system, "its time zone is not known: sap_systems.SID.zone in the site file says it")
    if one.ways.get("jobs", "").startswith(("webservice", "sapcontrol", "dpmon")):
        raise NotKnown(one.system, f"{one.ways['jobs']} shows what runs and no schedule; RFC or SOAP-RFC would")
    window = timedelta(seconds=one.slo.get("window_s", 3600.0))
    soon = [
        job
        for job in one.jobs or ()
        if job.status in (JobStatus.RELEASED, JobStatus.READY, JobStatus.PUT_ACTIVE)
        and job.planned is not None
        and job.planned <= now + window
    ]
    return passed(
        not soon,
        one.system,
        {
            "system time": f"{now:%H:%M:%S}",
            **{job.title: f"at {job.planned:%H:%M:%S}" for job in soon if job.planned is not None},
        },
        "Move before or after, or put them off in SM37.",
        bad=Verdict.WARN,
    )


def _sap_now(one: SapSnapshot) -> datetime | None:
    """The system's own clock when it was asked."""
    if one.zone_offset_s is None:
        return None
    at = datetime.fromtimestamp(one.wall_ns / 1e9, tz=UTC).replace(tzinfo=None)
    return at + timedelta(seconds=one.zone_offset_s)


def sap_updates(survey: Survey, one: SapSnapshot) -> RuleResult:
    """Update requests in error before the move would be taken for its doing."""
    failed = [update for update in one.updates or () if update.failed]
    return passed(
        not failed,
        one.system,
        {"waiting or failed": len(one.updates or ()), "failed": len(failed)},
        "Look at them in SM13 first.",
        bad=Verdict.WARN,
    )


def sap_enqueue(survey: Survey, one: SapSnapshot) -> RuleResult:
    """A lock server or replica that is unwell already."""
    said = next(iter(one.enqueue or ()), None)
    if said is None:
        raise NotKnown(one.system, "no lock server answered")
    good = said.state is not Colour.RED and said.replication not in (Colour.RED, Colour.YELLOW)
    return passed(
        good,
        one.system,
        {
            "state": said.state.value if said.state else None,
            "replica": said.replication.value if said.replication else None,
            "errors": said.errors,
        },
        "See SM12 and the lock server's trace first.",
        bad=Verdict.WARN,
    )


def sap_work_processes(survey: Survey, one: SapSnapshot) -> RuleResult:
    """Work processes that are down before the move."""
    rows = one.work_processes or ()
    down = [row for row in rows if row.activity.is_down]
    return passed(
        not down,
        one.system,
        {
            "by": one.ways.get("work_processes"),
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
