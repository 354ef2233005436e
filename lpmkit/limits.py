"""Limits of a move: what it may cost, when it may run, and what the recorder watches for while it runs.

A limit has a value that warns and one that fails, in seconds. `judge` holds the bounds of a figure against it: the same
function before the move (the predicted P90), during it (the forecast) and after it (the measured bounds). It fails only
where even the lower bound exceeds the limit, and could not tell where the bounds lie on both sides of it.

::

    limits:
      suspension_s: {warn: 1.5, fail: 2}    # a number alone is the one that fails
      session_outage_s: 5
      brown_out_s: {warn: 10}
      job_delay_s: 60
      commit_stall_s: 3
      window: {begin: 2026-11-30T22:00+01:00, end: 2026-11-30T23:00+01:00}
      guard: {on_breach: stop, remaining_s: 900, dirty_mb_per_s: 80, probe_silent_s: 15}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import (
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue

from lpmkit.errors import UsageError
from lpmkit.json_values import JsonMapping, JsonObject

#: The quantities that can be limited, by their keys, with the names that people read.
QUANTITIES: Mapping[str, str] = {
    "suspension_s": "suspension",
    "session_outage_s": "session outage",
    "brown_out_s": "brown-out",
    "job_delay_s": "delay of SAP jobs",
    "commit_stall_s": "commit stall",
}


#: The predicted figure of each quantity (`lpmkit.prediction.prior.FIGURES`).
PREDICTED_FIGURES: Mapping[str, str] = {
    quantity: "suspended_s" if quantity == "suspension_s" else quantity for quantity in QUANTITIES
}


class LimitState(StrEnum):
    """The result of holding a figure against a limit."""

    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"
    COULD_NOT_TELL = "could not tell"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limit(_Part):
    """The seconds above which a figure warns, and above which it fails; ``None`` where there is no such limit."""

    warn: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    fail: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return {"fail": value}
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema of a limit: as an object, and as a person may write it also a number alone."""
        made = handler(core)
        if handler.mode == "serialization":
            return made
        return {"anyOf": [handler.resolve_ref_schema(made), {"type": "number", "minimum": 0}]}

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.warn is None and self.fail is None:
            raise ValueError("a limit is a number of seconds, or {warn: …, fail: …}")
        if self.warn is not None and self.fail is not None and self.warn > self.fail:
            raise ValueError(f"warn ({self.warn:g} s) lies above fail ({self.fail:g} s)")
        return self

    @property
    def words(self) -> str:
        """The values of the limit in words.

        >>> Limit(warn=1.5, fail=2).words
        'warn above 1.5 s, fail above 2 s'
        """
        return ", ".join(f"{word} above {value:g} s" for word, value in self if value is not None)

    def sentence(self) -> str:
        """The limit as part of a sentence.

        >>> Limit(warn=1.5, fail=2).sentence(), Limit(warn=1.5).sentence()
        ('the limit is 2 s', 'the warning limit is 1.5 s')
        """
        return f"the limit is {self.fail:g} s" if self.fail is not None else f"the warning limit is {self.warn:g} s"


def judge(low_s: float | None, high_s: float | None, limit: Limit) -> LimitState:
    """Hold the bounds of a figure against a limit. ``None`` for a bound that is not known.

    A figure that may exceed the value that warns, and surely not the one that fails, warns.

    >>> [judge(*bounds, Limit(fail=2)).value for bounds in ((1.6, 1.7), (1.9, 2.1), (2.1, 2.2), (None, None))]
    ['passed', 'could not tell', 'failed', 'could not tell']
    >>> [judge(*bounds, Limit(warn=1.5, fail=2)).value for bounds in ((1.1, 1.2), (1.4, 1.6), (1.6, 1.7))]
    ['passed', 'warned', 'warned']
    """
    if limit.fail is not None and low_s is not None and low_s > limit.fail:
        return LimitState.FAILED
    if high_s is None or (limit.fail is not None and high_s > limit.fail):
        surely_warns = limit.fail is None and low_s is not None and limit.warn is not None and low_s > limit.warn
        return LimitState.WARNED if surely_warns else LimitState.COULD_NOT_TELL
    return LimitState.WARNED if limit.warn is not None and high_s > limit.warn else LimitState.PASSED


class ChangeWindow(_Part):
    """The change window: instants with their zones, ``None`` where it is open."""

    begin: AwareDatetime | None = None
    end: AwareDatetime | None = None

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.begin is not None and self.end is not None and self.end <= self.begin:
            raise ValueError("the change window ends before it begins")
        return self

    def why_outside(self, begin_ns: int, end_ns: int | None = None) -> str:
        """The reason why a stretch of time (nanoseconds since 1970) is not within the window; empty where it is.

        >>> ChangeWindow(end=datetime.fromisoformat("2026-11-30T23:00+01:00")).why_outside(1_796_076_001_000_000_000)
        'after the end of the change window (2026-11-30 23:00:00 +01:00)'
        """
        end_ns = begin_ns if end_ns is None else end_ns
        if self.begin is not None and begin_ns < _ns(self.begin):
            return f"before the start of the change window ({_shown(self.begin)})"
        if self.end is not None and end_ns > _ns(self.end):
            return f"after the end of the change window ({_shown(self.end)})"
        return ""

    def why_not_now(self, begin_ns: int, *, is_required: bool) -> str:
        """The reason why a move may not begin at an instant (nanoseconds since 1970); empty where it may.

        ``is_required``: without a begin and an end it may not.

        >>> ChangeWindow().why_not_now(0, is_required=True)
        'without a change window that has a begin and an end, which the site requires'
        >>> ChangeWindow().why_not_now(0, is_required=False)
        ''
        """
        return self.why_without(is_required=is_required) or self.why_outside(begin_ns)

    def why_without(self, *, is_required: bool) -> str:
        """The reason why a window is missing that ``is_required``; empty where none is."""
        is_whole = self.begin is not None and self.end is not None
        missing = "without a change window that has a begin and an end, which the site requires"
        return missing if is_required and not is_whole else ""

    def opens_in_s(self, begin_ns: int) -> float:
        """The seconds from an instant (nanoseconds since 1970) to the begin of the window; 0 where it has begun.

        >>> ChangeWindow(begin=datetime.fromisoformat("1970-01-01T00:01+00:00")).opens_in_s(20_000_000_000)
        40.0
        """
        return max(0.0, ((self.begin_ns or 0) - begin_ns) / 1e9)

    @property
    def begin_ns(self) -> int | None:
        """The begin in nanoseconds since 1970."""
        return None if self.begin is None else _ns(self.begin)

    @property
    def end_ns(self) -> int | None:
        """The end in nanoseconds since 1970."""
        return None if self.end is None else _ns(self.end)

    def sentence(self) -> str:
        """The window in words, in the zone in which it was given."""
        if self.begin is None or self.end is None:
            edge = self.begin or self.end
            return "none" if edge is None else f"{'from' if self.begin else 'until'} {_shown(edge)}"
        return f"{_shown(self.begin)} … {_shown(self.end)}"


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def _shown(moment: datetime) -> str:
    zone = moment.strftime("%z")
    return f"{moment:%Y-%m-%d %H:%M:%S} " + ("UTC" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}")


class GuardSettings(_Part):
    """Bounds that the recorder watches from the baseline to the switch-over.

    ``on_breach``: tell it in the record, or also stop the copy (while the switch-over has not begun; in the baseline
    the move is called off). ``remaining_s`` and ``dirty_mb_per_s`` are bounds of the forecast; ``probe_silent_s`` is
    how long a probe that answered before may be silent. A cluster event and the window's end are breaches always.
    """

    on_breach: Literal["tell", "stop"] = "tell"
    remaining_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    dirty_mb_per_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    probe_silent_s: float = Field(default=15.0, ge=2, le=3600)


class MoveLimits(_Part):
    """The limits of a move, from the site file and from its order."""

    suspension_s: Limit | None = Field(
        default=None, validation_alias=AliasChoices("suspension_s", "suspend_s")
    )  # runs and notes of earlier versions have the second name
    session_outage_s: Limit | None = None
    brown_out_s: Limit | None = None
    job_delay_s: Limit | None = None
    commit_stall_s: Limit | None = None
    window: ChangeWindow = ChangeWindow()
    guard: GuardSettings = GuardSettings()

    def of(self, quantity: str) -> Limit | None:
        """The limit of one of `QUANTITIES`."""
        limit: Limit | None = getattr(self, quantity)
        return limit

    def rows(self) -> Iterator[tuple[str, str]]:
        """The limits that are set, in words."""
        for key, name in QUANTITIES.items():
            limit = self.of(key)
            if limit is not None:
                yield name, limit.words
        if self.window != ChangeWindow():
            yield "change window", self.window.sentence()
        if self.guard.on_breach == "stop":
            yield "guard", "stops the copy"

    def as_data(self) -> JsonObject:
        """The limits that are set, as JSON values."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def with_order(self, own: JsonMapping) -> MoveLimits:
        """These limits with those of an order over them, key by key.

        Raises `UsageError` for an order whose limits cannot be read.

        >>> MoveLimits(suspension_s=Limit(fail=2)).with_order({"brown_out_s": 9}).as_data()
        {'suspension_s': {'fail': 2.0}, 'brown_out_s': {'fail': 9.0}}
        """
        given = read_limits(own)
        changed = {name: getattr(given, name) for name in given.model_fields_set}
        for part in ("window", "guard"):
            if part in changed:
                fields = {name: getattr(changed[part], name) for name in changed[part].model_fields_set}
                changed[part] = getattr(self, part).model_copy(update=fields)
        return self.model_copy(update=changed)


def read_limits(data: JsonMapping) -> MoveLimits:
    """Read limits from JSON values. Raises `UsageError` with what is wrong."""
    try:
        return MoveLimits.model_validate(data)
    except ValidationError as error:
        raise UsageError(
            f"the limits cannot be read: {_problems(error)}",
            next_step=f"The limits are {', '.join(QUANTITIES)}, window and guard; docs/limits.md shows them.",
        ) from None


def _problems(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())


def limits_from_words(words: Mapping[str, str], window: str | None, on_breach: str | None) -> JsonObject:
    """The limits of an order from a command line: ``suspension=2`` or ``suspension=1.5:2`` (warn, fail), a window as
    ``BEGIN/END`` (ISO 8601 with zone, either may be empty).

    Raises `UsageError` for what cannot be read.

    >>> limits_from_words({"suspension": "1.5:2"}, None, "stop")
    {'suspension_s': {'warn': 1.5, 'fail': 2.0}, 'guard': {'on_breach': 'stop'}}
    """
    given: dict[str, Any] = {}
    for name, text in words.items():
        key = name.strip().replace("-", "_").removesuffix("_s") + "_s"
        if key not in QUANTITIES:
            names = ", ".join(one.removesuffix("_s").replace("_", "-") for one in QUANTITIES)
            raise UsageError(f"there is no limit {name!r}", next_step=f"The limits are {names}.")
        warn, colon, fail = text.partition(":")
        given[key] = {"warn": warn or None, "fail": fail or None} if colon else {"fail": text}
    if window is not None:
        begin, slash, end = window.partition("/")
        if not slash:
            raise UsageError(
                f"{window!r} is no change window",
                next_step="Write BEGIN/END with zones: 2026-11-30T22:00+01:00/2026-11-30T23:00+01:00.",
            )
        given["window"] = {"begin": begin.strip() or None, "end": end.strip() or None}
    if on_breach is not None:
        given["guard"] = {"on_breach": on_breach}
    return read_limits(given).as_data()
