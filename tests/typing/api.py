"""The types of the public surface. Checked by mypy, never run."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import lpmkit


def the_steps_of_a_move(site: lpmkit.Site) -> None:
    book = lpmkit.Runbook(site)
    order = book.order("bxaix85", "bvio83")
    assert_type(order, lpmkit.Order)
    run = book.prepare(order)
    assert_type(run, lpmkit.Run)
    findings = book.check(run)
    assert_type(findings, tuple[lpmkit.Finding, ...])
    assert_type(lpmkit.ready(findings), lpmkit.Answer)
    assert_type(book.validate(run), lpmkit.Validation)
    book.move(run, "bxaix85")
    for state in book.follow(run):
        assert_type(state, lpmkit.State)
        assert_type(state.phase, lpmkit.Phase | None)


def afterwards(folder: Path) -> None:
    found = lpmkit.analyse(lpmkit.Run(folder))
    assert_type(found, lpmkit.Analysis)
    assert_type(lpmkit.write_report(folder), Path)
