"""The types of the answers of commands with ``--json``, by command.

Every answer that the tests provoke is held against them.
"""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict

from lpmkit.checks import Finding
from lpmkit.checks.nightly import PartitionResult
from lpmkit.config import Site
from lpmkit.control.codes import Explained
from lpmkit.doctor import Diagnosis
from lpmkit.inventory import Frame, Partition, PhysicalDisk, Pool, SharedEthernet
from lpmkit.mapping.compare import MappingRow
from lpmkit.migration.leftovers import Leftover
from lpmkit.migration.recovery import Proposal
from lpmkit.prediction.history import Reliability
from lpmkit.runbook import Validation
from lpmkit.runs.away import Away
from lpmkit.runs.deliveries import Undelivered
from lpmkit.runs.history import Move, Usual
from lpmkit.runs.licences import LicenceRow
from lpmkit.schemas.alert_answers import AlertAnswer
from lpmkit.schemas.making import extended, flat_row, many, with_keys
from lpmkit.schemas.plan_answers import (
    PlanCheckAnswer,
    PlanMakeAnswer,
    PlanReportAnswer,
    PlanRequestAnswer,
    PlanStarted,
    PlanTakeOverAnswer,
)
from lpmkit.schemas.summary import Judged, Scalar, Summary
from lpmkit.survey.fleet import Cost, UnreachableMachine
from lpmkit.survey.model import Survey
from lpmkit.survey.was_moved import PastMoves


class ErrorAnswer(TypedDict):
    """An error of any command: its kind, what is wrong, and where known the place, the request, the answer and the
    next step.
    """

    kind: str
    error: str
    where: str | None
    asked: str | None
    answered: str | None
    next_step: str | None


class MappingAnswer(TypedDict):
    """``mapping``: the adapters, disks and networks on both ends."""

    run: str
    record: dict[str, str] | None
    i: str | None
    lines: list[MappingRow]


class CheckAnswer(TypedDict):
    """``check``: the findings of one move."""

    run: str
    answer: Judged
    findings: list[Finding]


class ChangedRow(TypedDict):
    """A check whose verdict is another one than the last time."""

    partition: str
    check: str
    about: str
    before: str
    now: str


class FrameRow(TypedDict):
    """All partitions of a frame, checked against another one."""

    source: str
    target: str
    wall_ns: int
    answer: Judged
    partitions: list[PartitionResult]
    silent: list[UnreachableMachine]
    judged: bool
    changed: list[ChangedRow] | None
    kept: str


class FleetAnswer(TypedDict):
    """``check --all``: the findings of whole frames."""

    answer: Judged
    effort: Cost
    frames: list[FrameRow]


ValidateAnswer = extended(Validation, "ValidateAnswer", run=str, explained=list[Explained], causes=list[Finding])
ReportAnswer = extended(
    Summary, "ReportAnswer", run=str, report=str | None, complete=bool, undelivered=list[Undelivered]
)
AnalyseAnswer = extended(Summary, "AnalyseAnswer", complete=bool)

_SYSTEM = flat_row(Frame, "SystemRow", {"frame": str, "manager": str, "system": str}, "name")
_PARTITION = flat_row(Partition, "PartitionRow", {"frame": str, "partition": str, "kind": str}, "name")
_DISK = flat_row(
    PhysicalDisk,
    "DiskRow",
    {"frame": str, "I/O server": str, "disk": str, "virtual target": str, "partition": str},
    "name",
)
_NETWORK = flat_row(SharedEthernet, "NetworkRow", {"frame": str, "I/O server": str, "VLANs": str})
_POOL = flat_row(Pool, "PoolRow", {"frame": str})
_ADAPTER = TypedDict(
    "_ADAPTER",
    {
        "frame": str,
        "partition": str,
        "slot": int | None,
        "kind": str,
        "role": str,
        "served by": str | None,
        "remote slot": int | None,
        "MAC or WWPNs": str | None,
        "VLANs": str | None,
    },
)


class LevelRow(TypedDict):
    """The level of the software on a machine."""

    frame: str
    machine: str
    what: str
    level: str | None


GapRow = TypedDict("GapRow", {"frame": str, "not read": str, "of": str, "why": str})
InventoryAnswer = with_keys(
    "InventoryAnswer",
    {
        "systems": many(_SYSTEM),
        "partitions": many(_PARTITION),
        "adapters": many(_ADAPTER),
        "disks": many(_DISK),
        "networks": many(_NETWORK),
        "fibre ports": list[dict[str, Scalar]],
        "processor pools": many(_POOL),
        "levels": many(LevelRow),
        "gaps": many(GapRow),
    },
)


class RunStarted(TypedDict):
    """``move --detach``: the run that goes on in the background."""

    run: str


class RequestAnswer(TypedDict):
    """``stop``: the recorder's answer; no status without one."""

    run: str
    request: str
    status: int | None
    text: str


class LookAnswer(TypedDict):
    """``recover --look``: where both ends are, and the recommended action."""

    run: str
    proposal: Proposal
    left_behind: list[Leftover] | None
    complete: bool


RecoverAnswer = extended(LookAnswer, "RecoverAnswer", request=str, status=int | None, text=str)


class ApproveAnswer(TypedDict):
    """``approve``: the approval that was given."""

    run: str
    by: str
    wall_ns: int
    order_hash: str
    signed: bool


class PredictionsAnswer(TypedDict):
    """``predictions``: how well past predictions held."""

    runs: str
    moves: int
    figures: list[Reliability]


class SiteInitAnswer(TypedDict):
    """``site init``: what the written site file has, and what it leaves out."""

    site_file: str
    frames: list[str]
    partners: dict[str, str]
    partitions: list[str]
    sap_systems: list[str]
    databases: list[str]
    left_out: dict[str, str]


class SiteCheckAnswer(TypedDict):
    """``site check``: what was looked at."""

    site_file: str
    rows: list[Diagnosis]


class SiteShowAnswer(TypedDict):
    """``site show``: the site file with all defaults."""

    site_file: str
    site: Site


class SecretAnswer(TypedDict):
    """``secret set``: the reference for the site file."""

    reference: str


class WrittenAnswer(TypedDict):
    """Files that were written."""

    written: list[str]


class CompletionAnswer(TypedDict):
    """``completion show``: the script of a shell."""

    shell: str
    script: str


class ServerAnswer(TypedDict):
    """``lab`` and ``app``, once the server is started.

    ``address`` is where it listens, without the token; ``token_file`` holds that (``null`` where a proxy says who
    logged in, or where Jupyter's own settings replace the token); ``pid`` is the server's process.
    """

    address: str
    token_file: str | None
    pid: int
    folder: str | None
    site_file: str | None


class LicencesAnswer(TypedDict):
    """``ledger licences``: the rows of the ledger, and what could not be read."""

    rows: list[LicenceRow]
    not_read: list[str]


class WriteUpAnswer(TypedDict, total=False):
    """``write-up``: the written files by form."""

    html: str
    pdf: str
    docx: str
    md: str
    zip: str


class RemarkAnswer(TypedDict):
    """``remark``: the remark that was added."""

    kind: str
    by: str
    text: str
    owner: str
    fields: dict[str, str]


class CompareAnswer(TypedDict):
    """``compare``: a row for each figure, with a column for each run."""

    rows: list[dict[str, str]]
    page: str | None


class Pages(TypedDict):
    """The runs that could not be read, and the page that was written."""

    unreadable: dict[str, str]
    page: str | None


_HISTORY_ROW = extended(Move, "HistoryRow", beside_the_usual=list[Usual])
HistoryAnswer = extended(Pages, "HistoryAnswer", runs=many(_HISTORY_ROW))
WasMovedAnswer = extended(PastMoves, "WasMovedAnswer", conclusion=str)


class StoreInitAnswer(TypedDict):
    """``store init``: the version of the store before and now; before it was made there was none."""

    store: str
    before: int
    version: int


StoreMove = TypedDict(
    "StoreMove",
    {
        "partition": str,
        "from": str,
        "to": str,
        "phase": str,
        "host": str,
        "run": str,
        "by": str,
        "asked (UTC)": str,
        "last seen": str,
    },
)
StoreRoom = TypedDict("StoreRoom", {"partition": str, "from": str, "to": str, "held by": str})


StorePlace = TypedDict(
    "StorePlace", {"place": str, "host": str, "process": str, "state": Literal["alive", "dead"], "last seen": str}
)


class StoreShowAnswer(TypedDict):
    """``store show``: the moves under way on every host, the room that plans hold, and the workers."""

    store: str
    moves: list[StoreMove]
    room: list[StoreRoom]
    places: list[StorePlace]


class SinkRow(TypedDict):
    """The numbers of records of a run that a sink took, and did not; ``why`` is empty where it took everything."""

    sink: str
    kind: str
    sent: int
    undelivered: int
    why: str


class SinksAnswer(TypedDict):
    """``sinks send``: what the sinks of the site took of a run."""

    run: str
    sinks: list[SinkRow]


class SchemaRow(TypedDict):
    """A schema that ``schema NAME`` prints."""

    name: str
    kind: Literal["document", "answer"]
    about: str


class MetricSample(TypedDict):
    """A value of a metric, with its labels."""

    labels: dict[str, str]
    value: float


class MetricRow(TypedDict):
    """A metric: its name, what it is, its values."""

    name: str
    about: str
    samples: list[MetricSample]


class MetricsAnswer(TypedDict):
    """``sinks metrics``: the metrics of the newest run of each partition."""

    runs: str
    metrics: list[MetricRow]


class MetricsServed(TypedDict):
    """``sinks metrics --listen``: where they are served."""

    runs: str
    url: str


class WatchRow(TypedDict):
    """The record of one place."""

    place: str
    run: str
    report: str
    hosts: list[str]
    state: str
    line: str


class WatchFromAnswer(TypedDict):
    """``watch --from``: the record of each place, and the places that did not watch, with the reason."""

    watches: list[WatchRow]
    not_observed: dict[str, str]


#: The answers of each command by its name, each with what it is.
ANSWERS: dict[str, tuple[Any, ...]] = {
    "survey": (Survey,),
    "mapping": (MappingAnswer,),
    "check": (CheckAnswer, FleetAnswer),
    "validate": (ValidateAnswer,),
    "inventory": (InventoryAnswer,),
    "move": (ReportAnswer, RunStarted),
    "home": (list[Away], ValidateAnswer, ReportAnswer, RunStarted),
    "attach": (ReportAnswer,),
    "stop": (RequestAnswer,),
    "recover": (LookAnswer, RecoverAnswer),
    "approve": (ApproveAnswer,),
    "plan make": (PlanMakeAnswer,),
    "plan check": (PlanCheckAnswer,),
    "plan run": (PlanReportAnswer, PlanStarted),
    "plan attach": (PlanReportAnswer,),
    "plan halt": (PlanRequestAnswer,),
    "plan go-on": (PlanRequestAnswer,),
    "plan again": (PlanRequestAnswer,),
    "plan take-over": (PlanTakeOverAnswer,),
    "plan report": (PlanReportAnswer,),
    "watch": (ReportAnswer, WatchFromAnswer),
    "analyse": (AnalyseAnswer,),
    "report": (ReportAnswer,),
    "predictions": (PredictionsAnswer,),
    "alert": (AlertAnswer,),
    "site init": (SiteInitAnswer,),
    "site check": (SiteCheckAnswer,),
    "site show": (SiteShowAnswer,),
    "secret set": (SecretAnswer,),
    "completion install": (WrittenAnswer,),
    "completion show": (CompletionAnswer,),
    "demo": (ReportAnswer,),
    "lab": (ServerAnswer,),
    "app": (ServerAnswer,),
    "doctor": (list[Diagnosis],),
    "explain": (list[Explained],),
    "ledger licences": (LicencesAnswer,),
    "write-up": (WriteUpAnswer,),
    "remark": (RemarkAnswer,),
    "compare": (CompareAnswer,),
    "history": (HistoryAnswer,),
    "was-moved": (WasMovedAnswer,),
    "store init": (StoreInitAnswer,),
    "store show": (StoreShowAnswer,),
    "sinks send": (SinksAnswer,),
    "sinks metrics": (MetricsAnswer, MetricsServed),
    "schema": (list[SchemaRow], dict[str, Any]),
}
