"""The types of the documents: files that people write for lpmkit, and files of a run folder."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from lpmkit.account.person import Person
from lpmkit.checks import Finding
from lpmkit.config import Site
from lpmkit.control.base import Order
from lpmkit.limits import MoveLimits
from lpmkit.plan import MovePlan
from lpmkit.probes.orders import ProbeOrder
from lpmkit.schemas.making import Mode
from lpmkit.schemas.summary import Summary
from lpmkit.survey.model import Survey


class RunManifest(TypedDict):
    """``run.json``: what a run was asked for, by whom, where and when.

    A move has an order, a watch its hosts, a plan the plan.
    """

    format: Literal[1]
    mode: Literal["move", "watch", "plan"]
    title: str
    created: str
    by: str
    observer: str
    lpmkit: str
    person: NotRequired[Person]
    site: NotRequired[dict[str, Any]]
    order: NotRequired[Order]
    hosts: NotRequired[list[str]]
    plan: NotRequired[dict[str, Any]]
    probes: NotRequired[list[ProbeOrder]]
    lead_in_s: NotRequired[float]
    tail_s: NotRequired[float]
    poll_s: NotRequired[float]
    duration_s: NotRequired[float | None]
    #: Of a watch for another run: the place that records it, and the move and plan that it belongs to.
    place: NotRequired[str]
    belongs_to: NotRequired[dict[str, str]]
    limits: NotRequired[dict[str, Any]]


class ObserverRow(TypedDict):
    """Another place that was to watch what a run watches; without a folder ``why`` says why it was not asked."""

    place: str
    run: str
    why: str


#: The documents by name: what they are, their type, and whether a person writes them.
DOCUMENTS: dict[str, tuple[str, Any, Mode]] = {
    "order": ("The order of a move, as run.json holds it", Order, "serialization"),
    "plan": ("A plan of several moves, as a person writes it", MovePlan, "validation"),
    "site": ("The site file, as a person writes it", Site, "validation"),
    "limits": ("Limits of a move, as a person writes them", MoveLimits, "validation"),
    "run.json": ("What a run was asked for", RunManifest, "serialization"),
    "summary.json": ("The analysis of a run", Summary, "serialization"),
    "findings.json": ("The findings of the checks before a move", list[Finding], "serialization"),
    "observers.json": ("The other places that watch besides", list[ObserverRow], "serialization"),
    "survey.json": ("The facts about a move, from both ends", Survey, "serialization"),
}
