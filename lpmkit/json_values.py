"""Types of JSON values: what documents, events and observations of a run folder are made of."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn, TypeAlias

#: A JSON object that may be changed.
JsonObject: TypeAlias = dict[str, Any]
#: A JSON object that is only read.
JsonMapping: TypeAlias = Mapping[str, Any]

#: The signs of a value that no file can hold or no clock show; text without them is parsed without a second look.
_ODD = re.compile(rb"[0-9]{20}|NaN|Infinity|[0-9][eE]\+?[0-9]{3}|\\u[dD][89a-fA-F]")
#: Largest whole number: 64 bits.
_MAX_WHOLE = 2**64


def parse_json(content: bytes) -> Any:
    """A JSON value that somebody else may have written. Raises `ValueError` or `RecursionError`.

    Python's reader also takes what JSON has not, and what breaks a calculation or cannot be written again:
    ``NaN``, infinities, whole numbers of any size, halves of surrogate pairs. They are refused.
    """
    if not _ODD.search(content):
        return json.loads(content)
    value = json.loads(content, parse_constant=_refuse, parse_int=_whole, parse_float=_finite)
    json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair has no encoding
    return value


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text[:20]} is no number")


def _whole(text: str) -> int:
    if len(text) > 21 or abs(number := int(text)) > _MAX_WHOLE:
        _refuse(text)
    return number


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        _refuse(text)
    return number
