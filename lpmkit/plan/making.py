"""Making of a plan from what a site's frames hold: empty a frame, or bring partitions home. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from lpmkit.checks.nightly import expecting
from lpmkit.config import Site
from lpmkit.errors import RecordError, UsageError
from lpmkit.json_values import JsonObject
from lpmkit.limits import ChangeWindow
from lpmkit.plan.evacuation import Destination, Made, make_plan
from lpmkit.prediction.history import history
from lpmkit.prediction.no_forecast import forecast_or_why
from lpmkit.runs.away import Away, ledger
from lpmkit.runs.folder import Run
from lpmkit.ssh.secrets import Secrets
from lpmkit.survey.fleet import Direction, FrameSurvey, survey_fleet


def evacuation(
    site: Site,
    secrets: Secrets,
    source: str,
    targets: Sequence[str],
    *,
    window: ChangeWindow | None = None,
    accept: Collection[str] = (),
) -> Made:
    """The plan that empties a frame. Without ``targets`` into its partner.

    Raises `NotFound` for an unknown frame and `UsageError` where nothing says where to.
    """
    partner = site.frame(source).partner
    into = tuple(dict.fromkeys(targets)) or ((partner,) if partner else ())
    for target in into:
        site.frame(target)
    if not into or source in into:
        raise UsageError(
            f"nothing says where the partitions of {source} would go"
            if not into
            else f"{source} cannot be evacuated into itself",
            next_step="Name other frames with --into, or write frames.NAME.partner to the site file.",
        )
    surveys = _surveyed(site, [Direction(source, target) for target in into], secrets)
    return make_plan(f"evacuate {source}", surveys, site, window=window, accept=accept)


def _surveyed(site: Site, directions: Sequence[Direction], secrets: Secrets) -> list[FrameSurvey]:
    """The surveys of these directions, with the suspension that past moves let expect."""
    surveys, _ = survey_fleet(site, directions, secrets)
    past = forecast_or_why(lambda: history(site.runs.folder))
    return [
        replace(
            frame,
            partitions=tuple(
                (partition, survey and expecting(survey, partition, past)) for partition, survey in frame.partitions
            ),
        )
        for frame in surveys
    ]


def homecoming(
    site: Site,
    secrets: Secrets,
    home: str | None = None,
    *,
    window: ChangeWindow | None = None,
    accept: Collection[str] = (),
) -> Made:
    """The plan that brings partitions back to where their moves began (`lpmkit home`), of one ``home`` frame or all.

    Raises `UsageError` if none is away. A partition that its frame does not list any more is no part of the plan; it
    stands among those that cannot go.
    """
    if home is not None:
        site.frame(home)
    stays = {stay.partition: stay for stay in ledger(site.runs.folder) if home in (None, stay.home)}
    known = {name: stay for name, stay in stays.items() if {stay.home, stay.now_on} <= site.frames.keys()}
    if not known:
        raise UsageError(
            f"no partition is away from {home or 'home'}",
            where=str(site.runs.folder),
            answered="; ".join(f"{name}: {why}" for name, why in _missing(stays, known).items()) or None,
            next_step="`lpmkit home` lists those that lpmkit has moved away.",
        )
    directions = dict.fromkeys(Direction(stay.now_on, stay.home) for stay in known.values())
    surveys = _surveyed(site, tuple(directions), secrets)
    wanted = {name: Destination((stay.home,), home_id(site, stay)) for name, stay in known.items()}
    return make_plan(f"return to {home}" if home else "return home", surveys, site, wanted=wanted, window=window,
                     accept=accept, missing=_missing(stays, known))  # fmt: skip


def _missing(stays: Mapping[str, Away], known: Mapping[str, Away]) -> dict[str, str]:
    """Partitions that are away and whose frames the site file does not have any more."""
    return {
        name: f"the site file has no frame {stay.now_on} or {stay.home}"
        for name, stay in stays.items()
        if name not in known
    }


def home_id(site: Site, stay: Away) -> int:
    """The id that a partition had at home, by the survey before its first move; 0 where that is not known."""
    try:
        survey: JsonObject = Run(site.runs.folder / stay.runs[0]).document("survey") or {}
        listed = (survey.get("source") or {}).get("partitions") or ()
        return next(int(entry["lpar_id"]) for entry in listed if entry.get("name") == stay.partition)
    except (RecordError, StopIteration, KeyError, TypeError, ValueError):
        return 0


def window_until(text: str, now: datetime) -> ChangeWindow:
    """The window that ends at a time of day, the next one in the zone of ``now``, or at an instant with its zone.

    >>> window_until("03:00", datetime.fromisoformat("2026-11-30T22:15+01:00")).end.isoformat()
    '2026-12-01T03:00:00+01:00'
    """
    try:
        if len(text) == 5 and text[2] == ":":
            end = now.replace(hour=int(text[:2]), minute=int(text[3:]), second=0, microsecond=0)
            end = end if end > now else _next_day(end)
        else:
            end = datetime.fromisoformat(text)
        if end.tzinfo is None:
            raise ValueError("the zone is missing")
    except ValueError as error:
        raise UsageError(f"{text!r} is no time: {error}", next_step="Write 03:00, or 2026-12-01T03:00+01:00.") from None
    if end <= now:
        raise UsageError(f"{text} is over", next_step="Write a time that is to come.")
    return ChangeWindow(end=end)


def _next_day(moment: datetime) -> datetime:
    """The same time of day tomorrow; in the zone of this machine, also over a change of its offset."""
    there = moment + timedelta(days=1)
    naive = there.replace(tzinfo=None)
    return naive.astimezone() if moment.utcoffset() == moment.replace(tzinfo=None).astimezone().utcoffset() else there
