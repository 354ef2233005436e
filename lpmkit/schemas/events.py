"""The types of the events of a run (``events.jsonl``): the data of each kind.

What is `NotRequired` was not written by the first version of the format, or is written in some cases only;
``docs/run-folder.md`` says in which.
"""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

from lpmkit.control.base import MigrationReading, Order
from lpmkit.json_values import JsonObject
from lpmkit.prediction.forecast import Forecast
from lpmkit.schemas.making import extended, schema_of


class RecorderStarted(TypedDict):
    """A recorder begins a segment."""

    pid: int
    mode: str
    resumed: bool
    by: NotRequired[str]
    boot: NotRequired[str]
    late_starts_s: NotRequired[list[float]]


class RecorderEnded(TypedDict):
    """A recorder ended a segment; ``written`` counts the rows of each probe.

    ``watched_to_ns`` is the moment at which the probes were asked to end.
    """

    reason: str
    code: NotRequired[str]
    written: NotRequired[dict[str, int]]
    watched_to_ns: NotRequired[int]


class Approved(TypedDict):
    """An approval that counted."""

    by: str
    wall_ns: int
    order_hash: str
    signed: bool


class ClockReadingEvent(TypedDict):
    """A paired reading of both clocks."""

    uncertainty_ns: int


class ProbeStarted(TypedDict):
    """A probe begins."""

    probe: str
    kind: str
    host: str
    interval_ns: int
    about: str
    scheduling: NotRequired[str]


class ProbeEnded(TypedDict):
    """A probe ended as it was told to."""

    probe: str


class ProbeTrouble(TypedDict):
    """A probe could not look."""

    probe: str
    what: str
    code: NotRequired[str]
    refused: NotRequired[dict[str, str]]


class LoginFacts(TypedDict):
    """The other end of a session."""

    probe: str
    connection: int
    remote_pid: int
    remote_started: NotRequired[int | None]
    local_address: NotRequired[str]
    remote_address: NotRequired[str]
    tcp: NotRequired[str]


class SessionOpened(LoginFacts):
    """A connection of a probe was opened."""

    how: str
    host: str
    stamps: str
    over: NotRequired[str]
    interval_ns: NotRequired[int]
    wished_ns: NotRequired[int]
    timer_ns: NotRequired[int]


class LoginAgain(LoginFacts):
    """The login after a silence: it shows who answers."""

    same: bool


class Pace(TypedDict):
    """The interval of a probe from a sample on."""

    probe: str
    pace: str
    first_seq: int
    since_ns: int
    interval_ns: int
    batch_ns: int


class PaceAsked(TypedDict):
    """The probes were told to keep a pace."""

    pace: str


class TcpSilence(TypedDict):
    """The state of our TCP in a silence."""

    probe: str
    silent_since_ns: int
    answered_ns: int
    columns: list[str]
    rows: list[list[Any]]


class PhaseEntered(TypedDict):
    """The move is in another phase."""

    phase: str
    was: str
    why: str


class AnnouncementEvent(TypedDict):
    """An announcement of the watched host on this network."""

    probe: str
    what: str
    address: str
    mac: str
    seen_ns: int


class GuardBreach(TypedDict):
    """A bound that is exceeded before the switch-over."""

    what: str
    text: str
    stops: bool


class ControlLost(TypedDict):
    """A manager does not answer."""

    where: str
    error: str
    refused: NotRequired[bool]


class ControlBack(TypedDict):
    """A manager answers again."""

    where: str


class IntentEvent(TypedDict):
    """A command that is about to be sent."""

    what: str
    order: NotRequired[Order]
    request: NotRequired[str]
    force: NotRequired[bool]


class AnswerEvent(TypedDict):
    """The status and text with which a command ended; no status without an answer."""

    what: str
    status: int | None
    text: str
    request: NotRequired[str]


class DiskFull(TypedDict):
    """The disk takes no more."""

    waiting_bytes: int
    error: str | None
    lost_bytes: NotRequired[int]


class DiskHasRoom(TypedDict):
    """The disk takes data again."""

    lost_bytes: int


class RequestEvent(TypedDict):
    """A request of a front end to the recorder."""

    what: str
    force: bool
    request: NotRequired[str]
    by: NotRequired[str]
    account: NotRequired[str]
    why: NotRequired[str]


class DatabaseSession(TypedDict):
    """A session with a database was opened."""

    probe: str
    connection: int
    way: str
    sid: str | None
    serial: str | None
    logon_time: str | None
    startup_time: str | None
    instance: str | None
    version: str | None
    status: str | None
    server_time: str | None


class AlertLog(TypedDict):
    """A log of a database is followed."""

    probe: str
    path: str
    hostname: NotRequired[str | None]


class LogEntryEvent(TypedDict):
    """A new entry of a machine's own log."""

    where: str
    log: str
    stamp: str
    resource: str
    description: str
    identifier: str


class NiConnection(TypedDict):
    """A connection to a SAP dispatcher was opened."""

    probe: str
    connection: int
    address: str
    why: str


class NiLost(TypedDict):
    """A connection to a SAP dispatcher was lost."""

    probe: str
    connection: int
    why: str


class SapWay(TypedDict):
    """A question about a SAP system is answered by another way."""

    probe: str
    question: str
    way: str
    was: str
    why: str


class SapLoad(TypedDict):
    """The requests that a SAP system got."""

    probe: str
    requests: dict[str, int]
    limit_per_minute: int
    since_ns: int


class TailOver(TypedDict):
    """The usual probes have ended; ``watched_to_ns`` is the moment at which they were asked to."""

    goes_on_s: float
    probes: str
    watched_to_ns: NotRequired[int]


class Note(TypedDict):
    """A remark of lpmkit's own."""

    text: str


class ConductorStarted(TypedDict):
    """A conductor carries out a plan."""

    pid: int


class ConductorEnded(TypedDict):
    """A conductor ended."""

    why: str


class Preparing(TypedDict):
    """A move of a plan is checked at its turn."""

    partition: str
    source: str


class Moving(TypedDict):
    """A move of a plan is asked for."""

    partition: str
    run: str
    source: str
    inactive: bool
    movers: list[str]
    #: The pairs of movers with their addresses, as people read them; absent in plans of earlier versions.
    mover_pairs: NotRequired[list[str]]


class MoveOver(TypedDict):
    """A move of a plan is over."""

    partition: str
    stage: str
    why: str
    run: NotRequired[str]
    verdict: NotRequired[str]


class PutBack(TypedDict):
    """A move of a plan is queued again."""

    partition: str


class ObservedFrom(TypedDict):
    """Another place watches a move of a plan; ``why`` says why it does not, ``run`` is the folder of its record."""

    partition: str
    place: str
    run: str
    why: str


class Halted(TypedDict):
    """A plan starts no further move."""

    why: str


class GoesOn(TypedDict):
    """A halted plan continues, despite these moves."""

    despite: list[str]


#: The data of each kind of event.
EVENTS: dict[str, Any] = {
    "recorder-started": RecorderStarted,
    "recorder-ended": RecorderEnded,
    "approved": Approved,
    "clock": ClockReadingEvent,
    "probe-started": ProbeStarted,
    "probe-ended": ProbeEnded,
    "probe-trouble": ProbeTrouble,
    "session": SessionOpened,
    "login": LoginAgain,
    "pace": Pace,
    "pace-asked": PaceAsked,
    "tcp": TcpSilence,
    "phase": PhaseEntered,
    "reading": extended(MigrationReading, "Reading", where=str),
    "forecast": Forecast,
    "arp": AnnouncementEvent,
    "guard": GuardBreach,
    "control-lost": ControlLost,
    "control-back": ControlBack,
    "intent": IntentEvent,
    "answer": AnswerEvent,
    "disk-full": DiskFull,
    "disk-has-room": DiskHasRoom,
    "request": RequestEvent,
    "db-session": DatabaseSession,
    "alert-log": AlertLog,
    "log": LogEntryEvent,
    "ni-connection": NiConnection,
    "ni-lost": NiLost,
    "sap-way": SapWay,
    "sap-load": SapLoad,
    "tail-over": TailOver,
    "note": Note,
    "conductor-started": ConductorStarted,
    "conductor-ended": ConductorEnded,
    "preparing": Preparing,
    "moving": Moving,
    "over": MoveOver,
    "put-back": PutBack,
    "again": PutBack,
    "observed": ObservedFrom,
    "halted": Halted,
    "goes-on": GoesOn,
}


def events_schema() -> JsonObject:
    """The schema of one line of ``events.jsonl``: the kind chooses the data."""
    definitions: JsonObject = {}
    choices = []
    for kind, data in EVENTS.items():
        schema = schema_of(data)
        definitions |= schema.pop("$defs", {})
        definitions[f"event {kind}"] = schema
        # the reference needs no escape: a kind has letters and hyphens
        choices.append({"properties": {"kind": {"const": kind}, "data": {"$ref": f"#/$defs/event%20{kind}"}}})
    integer = {"type": "integer"}
    return {
        "type": "object",
        "properties": {
            "mono_ns": integer,
            "wall_ns": integer,
            "segment": {"type": "integer", "minimum": 0},
            "source": {"type": "string"},
            "kind": {"enum": list(EVENTS)},
            "data": {"type": "object"},
        },
        "required": ["mono_ns", "wall_ns", "segment", "source", "kind", "data"],
        "additionalProperties": False,
        "oneOf": choices,
        "$defs": definitions,
    }
