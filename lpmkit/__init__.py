"""lpmkit: move a running partition with PowerVM Live Partition Mobility, and prove what its users felt.

The public surface is what `__all__` lists. The names are loaded when they are first used, so importing lpmkit itself
costs nothing.

>>> import lpmkit
>>> lpmkit.Phase.SETTLED.is_final
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lpmkit.analysis import Analysis, analyse
    from lpmkit.checks import Answer, Finding, Verdict, examine, ready
    from lpmkit.config import Site, load_site
    from lpmkit.control.base import Order
    from lpmkit.errors import LpmError, MoveError, RecordError, RemoteError, UsageError
    from lpmkit.migration.phases import Phase, Progress
    from lpmkit.migration.status import State
    from lpmkit.report.page import write_report
    from lpmkit.runbook import Runbook, Validation
    from lpmkit.runs.folder import Run
    from lpmkit.survey.model import Survey

__version__ = "0.1.0"

_WHERE = {
    "Analysis": "analysis", "analyse": "analysis",
    "Answer": "checks", "Finding": "checks", "Verdict": "checks", "examine": "checks", "ready": "checks",
    "Site": "config", "load_site": "config",
    "Order": "control.base",
    "LpmError": "errors", "MoveError": "errors", "RecordError": "errors", "RemoteError": "errors",
    "UsageError": "errors",
    "Phase": "migration.phases", "Progress": "migration.phases",
    "write_report": "report.page",
    "Run": "runs.folder",
    "Runbook": "runbook", "State": "migration.status", "Validation": "runbook",
    "Survey": "survey.model",
}  # fmt: skip

__all__ = [
    "Analysis",
    "Answer",
    "Finding",
    "LpmError",
    "MoveError",
    "Order",
    "Phase",
    "Progress",
    "RecordError",
    "RemoteError",
    "Run",
    "Runbook",
    "Site",
    "State",
    "Survey",
    "UsageError",
    "Validation",
    "Verdict",
    "analyse",
    "examine",
    "load_site",
    "ready",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'lpmkit' has no attribute {name!r}")
    return getattr(import_module(f"lpmkit.{_WHERE[name]}"), name)
