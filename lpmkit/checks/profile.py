"""The profile that a partition runs with, field by field."""

from __future__ import annotations

from collections.abc import Mapping

from lpmkit.checks.judging import NotKnown, OnlyFirmware, moving_of, need
from lpmkit.control.listings import records
from lpmkit.survey.model import Survey


def current_profile(survey: Survey) -> Mapping[str, str]:
    """The fields of the profile that the partition was activated with; its only one where that is not listed.

    Raises `NotKnown` where there is no such profile.
    """
    moving = moving_of(survey)
    listed = need(survey.source.profiles, survey, "profiles", survey.source.name)
    own = [profile for profile in listed if profile.lpar_id == moving.lpar_id]
    current = [profile for profile in own if profile.name == moving.profile] or (own if len(own) == 1 else [])
    if not current:
        raise NotKnown(survey.partition, f"{survey.source.name} lists no profile that {survey.partition} runs with")
    return records(current[0].record + "\n")[0]


def profile_field(survey: Survey, field: str) -> str | None:
    """A field of the current profile; ``None`` where the profile or the field is not there."""
    try:
        return current_profile(survey).get(field)
    except NotKnown:
        return None


def required_field(survey: Survey, field: str) -> str:
    """A field of the current profile; raises `NotKnown`, and `OnlyFirmware` where this level has no such field."""
    fields = current_profile(survey)
    if field not in fields:
        raise OnlyFirmware(
            survey.partition,
            f"the profile has no field {field} at this level",
            f"lssyscfg -r prof --filter lpar_names={survey.partition} lists its fields; lpmkit validate asks the "
            "firmware.",
        )
    return fields[field]


def change_profile(survey: Survey, change: str) -> str:
    """The instruction that changes the profile; it holds from the next activation."""
    command = f'chsyscfg -r prof -i "lpar_name={survey.partition},{change}"'
    return f"On the manager: {command}, then shut the partition down and start it."
