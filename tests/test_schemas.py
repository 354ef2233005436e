"""The JSON Schemas: they fit what is written, fail for what is not, and keep their promise."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from docs.generate import SCHEMA_FIELDS, schema_fields
from lpmkit.cli import all_commands, main
from lpmkit.config import load_site
from lpmkit.errors import LpmError, kind_of_error
from lpmkit.installed.extras import MissingExtra
from lpmkit.installed.plugins import PluginFailed
from lpmkit.plan import MovePlan
from lpmkit.runs.folder import Run
from lpmkit.schemas import schema, schema_names
from lpmkit.schemas.answers import ANSWERS
from lpmkit.schemas.events import EVENTS
from lpmkit.ssh.refusals import LogonNotTried
from tests.answers import hold, troubles

RUNS = Path(__file__).parent.parent / "fixtures" / "runs"
TEXTS: Any = {"kind": "error", "error": "x", "where": None, "asked": None, "answered": None, "next_step": None}


@pytest.mark.parametrize("name", schema_names())
def test_each_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))


def test_every_command_with_json_has_a_schema_and_no_other() -> None:
    typed = set()
    for name, command in all_commands().items():
        parts = getattr(command, "commands", None) or {"": command}
        for word, part in parts.items():
            if any("--json" in parameter.opts for parameter in part.params):
                typed.add(f"{name} {word}".strip())
            else:
                assert name in ("simulate", "worker", "mcp"), f"{name} {word} has no answer for programs"
    assert typed == set(ANSWERS)


def test_the_events_of_the_documentation_are_those_of_the_schema() -> None:
    text = (Path(__file__).parent.parent / "docs" / "run-folder.md").read_text(encoding="utf-8")
    for kind in EVENTS:
        assert f"`{kind}`" in text, f"docs/run-folder.md does not describe {kind}"


@pytest.mark.parametrize("name", ["hmc-move", "stopped-move", "recovered-move", "watch"])
def test_every_event_of_a_recorded_run_fits(name: str) -> None:
    """But for keys that the version which recorded it did not write yet."""
    definitions = schema("events.jsonl")["$defs"]
    for line in (RUNS / name / "events.jsonl").read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        fits = jsonschema.Draft202012Validator({**definitions[f"event {event['kind']}"], "$defs": definitions})
        assert [each.message for each in fits.iter_errors(event["data"]) if each.validator != "required"] == []


def without_a_key(value: Any) -> Iterator[Any]:
    """The object with each key left out, and with one too many."""
    for key in value:
        broken = deepcopy(value)
        del broken[key]
        yield broken
    yield value | {"no such key": 1}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("error", TEXTS),
        ("stop", {"run": "r", "request": "stop", "status": None, "text": ""}),
        ("doctor", {"verdict": "pass", "what": "w", "found": "f", "next_step": "", "optional": False}),
    ],
)
def test_a_schema_refuses_an_object_that_lacks_a_key_or_has_another(name: str, value: dict[str, Any]) -> None:
    wrapped: Any = [value] if name == "doctor" else value
    assert troubles(name, wrapped) == []
    for broken in without_a_key(value):
        assert troubles(name, [broken] if name == "doctor" else broken)


def test_an_event_of_no_known_kind_and_one_with_the_data_of_another_are_refused() -> None:
    event = json.loads((RUNS / "watch" / "events.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert troubles("events.jsonl", event) == []
    assert troubles("events.jsonl", event | {"kind": "phase"})
    assert troubles("events.jsonl", event | {"kind": "no such kind"})


def test_an_answer_with_more_than_one_value_or_another_form_is_noticed() -> None:
    good = json.dumps({"plan": "p", "text": "t"})
    hold(["plan", "halt", "p", "--json"], 0, good)
    for bad in (f"Halted.\n{good}", json.dumps({"plan": "p"}), json.dumps({"plan": "p", "text": 1}), ""):
        with pytest.raises(AssertionError):
            hold(["plan", "halt", "p", "--json"], 0, bad)
    hold(["plan", "halt", "p", "--json"], 2, json.dumps(TEXTS))
    with pytest.raises(AssertionError):
        hold(["plan", "halt", "p", "--json"], 0, json.dumps(TEXTS))


def test_files_that_people_write_fit_and_their_mistakes_do_not(tmp_path: Path) -> None:
    site: dict[str, Any] = {
        "frames": {"a": {"host": "a", "mover_address": "192.0.2.1"}},
        "limits": {"suspension_s": 2, "brown_out_s": {"warn": 1}},
    }
    plan: dict[str, Any] = {"moves": [{"partition": "p", "target": "a", "limits": {"suspension_s": 2}}]}
    path = tmp_path / "site.yaml"
    path.write_text(json.dumps(site), encoding="utf-8")
    load_site(path)
    MovePlan.model_validate(plan)
    assert troubles("site", site) == troubles("plan", plan) == []
    assert troubles("site", {"frames": {"a": {"hots": "a"}}})
    assert troubles("site", {"limits": {"suspension_s": "two"}})
    assert troubles("plan", {"moves": []})
    assert troubles("plan", {"moves": [{"partition": "p"}]})


def test_the_command_prints_a_schema_and_lists_all() -> None:
    done = CliRunner().invoke(main, ["schema", "plan", "check"])
    assert json.loads(done.stdout) == schema("plan check")
    rows = json.loads(CliRunner().invoke(main, ["schema", "--json"]).stdout)
    assert {row["name"] for row in rows} == set(schema_names())
    unknown = CliRunner().invoke(main, ["schema", "chekc", "--json"])
    assert unknown.exit_code == 2
    assert "Did you mean 'check'?" in unknown.stderr


def test_within_a_version_no_field_goes_or_changes_its_type() -> None:
    """What a program relies on: a line that goes breaks the promise. `make docs` adds new fields to the list."""
    now, promised = set(schema_fields()), SCHEMA_FIELDS.read_text(encoding="utf-8").splitlines()
    assert [line for line in promised if line not in now] == [], "raise lpmkit.schemas.VERSION, or keep the field"


def test_the_manifest_of_a_run_fits(tmp_path: Path) -> None:
    for name in ("watch", "hmc-move"):
        manifest = Run(RUNS / name).manifest
        if "order" in manifest:
            manifest["order"] |= {"options": {}, "limits": {}}
        assert troubles("run.json", manifest) == []
        assert troubles("run.json", manifest | {"mode": "nap"})


def test_the_documentation_lists_the_kind_of_every_error() -> None:
    def below(kind: type[LpmError]) -> set[type[LpmError]]:
        return {kind, *(each for sub in kind.__subclasses__() for each in below(sub))}

    page = (
        Path(__file__)
        .parents[1]
        .joinpath("docs", "schemas.md")
        .read_text(encoding="utf-8")
        .partition("## Errors")[2]
        .partition("\n## ")[0]
    )
    listed = {kind for row in page.splitlines() if row.startswith("| `") for kind in re.findall(r"`([a-z-]+)`", row)}
    raised = {kind_of_error(LpmError.__new__(kind)) for kind in (*below(LpmError), MissingExtra, PluginFailed)}
    assert listed - {"cancelled", "defect"} == raised
    assert kind_of_error(LogonNotTried("anna", "no")) == "login-refused"
