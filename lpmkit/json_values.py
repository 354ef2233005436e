"""Types of JSON values: what documents, events and observations of a run folder are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

#: A JSON object that may be changed.
JsonObject: TypeAlias = dict[str, Any]
#: A JSON object that is only read.
JsonMapping: TypeAlias = Mapping[str, Any]
