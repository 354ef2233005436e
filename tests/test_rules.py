"""Tables of rules: one mechanism for SAP's logs and Oracle's alert log, and the rules that a run keeps."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from lpmkit.analysis import Analysis, analyse
from lpmkit.config import Site, load_site
from lpmkit.errors import SiteFileError
from lpmkit.oracle.rules import LogRules as AlertRules
from lpmkit.probes.orders import sap_plan
from lpmkit.rules.table import Class
from lpmkit.runs.folder import Run, create
from lpmkit.runs.writer import RunWriter
from lpmkit.sap.model import LogEntry
from lpmkit.sap.observation import SapObservation
from lpmkit.sap.rules import SapRules
from lpmkit.sap.sources import utc_now
from tests.made_runs import START, WALL, MadeClock, S

OWN = "- {key: ours, class: routine, numbers: [ZZ9], reason: the nightly import, source: us}\n"
STRICT = OWN.replace("routine", "fail")


@pytest.mark.parametrize("rules", [SapRules, AlertRules])
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- {key: a, class: fail, reason: r, source: s}", "would match everything"),
        ("- {key: a, class: unknown, reason: r, source: s, contains: [x]}", "no rule has the class unknown"),
        ("- {key: a, class: other, reason: r, source: s, contains: [x]}", "no rule has the class other"),
        ("- {key: a, class: fail, reason: r, source: s, contains: x}", "contains: a list of texts was expected"),
        ("- {key: a, class: fail, reason: r, source: s, contains: [x], above_usual: never}", "above_usual: true or"),
        ("- {key: a, class: fail, reason: r, source: s, contains: [x], colour: red}", "unknown: colour"),
        ("- {key: a, class: fail}", "missing: reason, source"),
        ("{}\n---\n", "rules file"),
        ("a: 1", "a list of rules was expected"),
    ],
)
def test_a_rule_that_cannot_be_is_named_as_one_of_a_rules_file(
    rules: type[SapRules | AlertRules], text: str, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SiteFileError) as caught:
        rules.standard(path)
    assert problem in str(caught.value)
    assert "the rules file cannot be used" in str(caught.value)
    assert "the site file" not in str(caught.value)
    assert "lpmkit doctor" not in str(caught.value)


def test_a_rules_file_that_cannot_be_read_is_called_a_rules_file(tmp_path: Path) -> None:
    with pytest.raises(SiteFileError, match="the rules file cannot be used: it cannot be read: No such file"):
        SapRules.standard(tmp_path / "gone.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"- {key: \xe4}")
    with pytest.raises(SiteFileError, match="the rules file cannot be used: it is not UTF-8"):
        AlertRules.form.checked_text(tmp_path / "latin.yaml")


def test_the_rules_of_a_site_are_beside_its_file_for_sap_and_for_databases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site" / "lpmkit.yaml"
    site.parent.mkdir()
    site.write_text(
        "frames: {a: {host: a, mover_address: 10.0.0.1}}\npartitions: {x: {host: x}}\n"
        "sap_systems: {BX5: {partition: x, rules: sap.yaml}}\n"
        "databases: {BX5: {partition: x, rules: ora.yaml}}\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    read = load_site(site)
    assert read.sap_systems["BX5"].rules == site.parent / "sap.yaml"
    assert read.databases["BX5"].rules == site.parent / "ora.yaml"


def _entry(second: int) -> LogEntry:
    return LogEntry(utc_now(WALL + second * S), "DIA", "100", "A", "", "ZZ9", "import")


def _run(folder: Path, options: dict[str, Any]) -> Run:
    """A watch that read the system log twice; a row that only a site's rule knows came in between."""
    probes = [{"name": "sap-BX5", "kind": "sap", "host": "bxaix85", "options": {"sid": "BX5", **options}}]
    facts = {"hosts": ["bxaix85"], "probes": probes}
    clock = MadeClock()
    run = create(folder, mode="watch", title="bxaix85", facts=facts, clock=clock)
    with RunWriter(run.path, clock) as writer:
        writer.event("recorder", "recorder-started", pid=1, mode="watch", resumed=False)
        for second, rows in ((1, ()), (60, (_entry(40),))):
            moment = START + second * S
            wall = clock.wall_ns() + second * S
            row = SapObservation("BX5", "system_log", "rfc", moment, moment, wall, rows, zone_offset_s=0)
            writer.observation_rows("sap-BX5", json.dumps(row.as_data()).encode() + b"\n")
    return Run(run.path)


def _class(found: Analysis) -> Class:
    return next(one.meaning for one in found.sap[0].log if one.key in ("ours", "unknown ZZ9"))


def test_a_run_keeps_the_text_of_saps_rules_and_a_changed_file_does_not_judge_it(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(OWN, encoding="utf-8")
    site = Site.model_validate(
        {"partitions": {"x": {"host": "x"}}, "sap_systems": {"BX5": {"partition": "x", "rules": str(path)}}}
    )
    options = next(order.options for order in sap_plan(site, "x") if order.kind == "sap")
    run = _run(tmp_path, dict(options))
    before = analyse(run)
    assert _class(before) is Class.ROUTINE
    path.write_text(STRICT, encoding="utf-8")
    assert _class(analyse(run)) is Class.ROUTINE
    path.unlink()
    after = analyse(run)
    assert _class(after) is Class.ROUTINE
    assert after.notes == before.notes
    assert after.verdict == before.verdict


def test_a_site_whose_sap_rules_cannot_be_understood_records_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("- {key: a}", encoding="utf-8")
    site = Site.model_validate(
        {"partitions": {"x": {"host": "x"}}, "sap_systems": {"BX5": {"partition": "x", "rules": str(path)}}}
    )
    with pytest.raises(SiteFileError, match="the rules file cannot be used"):
        sap_plan(site, "x")


def test_an_older_run_with_a_path_says_which_rules_did_not_judge_it(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    settings = {"settings": {"partition": "x", "rules": str(path)}}
    run = _run(tmp_path, settings)
    created = datetime.fromisoformat(str(run.manifest["created"])).timestamp()

    def judged(text: str | None, age_s: float) -> tuple[Class, list[str]]:
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text, encoding="utf-8")
            os.utime(path, (created - age_s,) * 2)
        found = analyse(run)
        return _class(found), [note for note in found.notes if "rules" in note]

    assert judged(OWN, 3600) == (Class.ROUTINE, []), "as it was when the run was made"
    meaning, notes = judged(None, 0)
    assert meaning is Class.UNKNOWN
    assert f"the rules file {path}, of which this run kept the path alone, cannot be read: No such file" in notes[0]
    meaning, notes = judged(STRICT, -3600)
    assert meaning is Class.UNKNOWN, "a file that has changed since does not judge it"
    assert f"the rules file {path} is newer than this run" in notes[0]
    assert "site file" not in notes[0]


def test_a_kept_text_that_cannot_be_understood_is_a_note(tmp_path: Path) -> None:
    found = analyse(_run(tmp_path, {"settings": {"partition": "x"}, "rules": "- {key: ["}))
    assert _class(found) is Class.UNKNOWN
    assert any("the rules file cannot be used" in note for note in found.notes)
    assert replace(found, notes=()).sap == found.sap
