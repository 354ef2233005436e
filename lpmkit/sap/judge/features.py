"""The features of instances, as the start service lists them (``GetSystemInstanceList``, `SAPCONTROL-WSDL`)."""

from __future__ import annotations

from collections.abc import Sequence

from lpmkit.sap.instances import features_by_number
from lpmkit.sap.judge.values import Case
from lpmkit.sap.model import Instance


def features(case: Case, *, surely: bool = False) -> dict[str, frozenset[str]]:
    """The features of the watched instances by their numbers; empty where they are not known. See
    `features_by_number`.
    """
    rows: Sequence[Instance] = ()
    for observation in case.observations:
        if observation.question == "instances" and observation.rows:
            rows = observation.rows
    if not rows and case.before is not None:
        rows = case.before.instances or ()
    listed = features_by_number(rows, surely=surely)
    return {number: listed[number] for number in case.instances if number in listed}
