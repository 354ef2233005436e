"""The base of every part of a file that people write."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class SettingsPart(BaseModel):
    """Settings that refuse keys which do not exist, and do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
