"""The collection for Ansible: what its modules type, what they make of the recorded answers of the real commands, and
that their documentation agrees with their options.

The modules run here with a stand-in for Ansible's own class, which answers with recordings
(``fixtures/ansible/answers.json``, made by ``python -m tests.record_ansible``); tests/end_to_end/test_ansible.py has
the real ones.
"""

from __future__ import annotations

import ast
import doctest
import importlib.util
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest
from ruamel.yaml import YAML

from lpmkit.cli import all_commands, main
from tests.answers import hold
from tests.record_ansible import ANSWERS

TOP = Path(__file__).parent.parent
COLLECTION = TOP / "ansible"
MODULES = sorted(path.stem for path in (COLLECTION / "plugins" / "modules").glob("*.py"))
COMMAND = "ansible_collections.lpmkit.powervm.plugins.module_utils.command"
RECORDED: dict[str, Any] = json.loads(ANSWERS.read_text(encoding="utf-8"))
ORDER = {"partition": "bxaix85", "target": "bvio83"}
MOVE = {**ORDER, "confirm": "bxaix85"}
PLAN = {"file": "blades.yaml", "confirm": "blades"}
#: What Python prints, with exit status 1, when a command has a fault of its own.
CRASH = (1, "", "Traceback (most recent call last):\nKeyError: 'x'\n")
yaml = YAML(typ="safe")


def loaded(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


command: Any = loaded("lpmkit_ansible_command", COLLECTION / "plugins" / "module_utils" / "command.py")


class Ended(Exception):
    """The end of a module, with its result."""

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__(result.get("msg"))
        self.result = result


class Module:
    """Stands for ``AnsibleModule``: takes parameters, hands out answers in their order, ends with an exception."""

    given: Mapping[str, Any]
    answers: list[tuple[int, str, str]]
    #: The one that was made last.
    made: Any = None

    def __init__(self, argument_spec: Mapping[str, Any], supports_check_mode: bool = False) -> None:
        assert supports_check_mode
        self.spec, self.check_mode = argument_spec, bool(self.given.get("_check_mode"))
        given = {name: value for name, value in self.given.items() if not name.startswith("_")}
        assert set(given) <= set(argument_spec)
        self.params = {name: option.get("default") for name, option in argument_spec.items()} | given
        self.typed: list[list[str]] = []
        self.environments: list[Any] = []
        self.warnings: list[str] = []
        type(self).made = self

    def get_bin_path(self, name: str, required: bool) -> str:
        assert required
        return name

    def run_command(self, words: list[str], environ_update: Any = None) -> tuple[int, str, str]:
        self.typed.append(words)
        self.environments.append(environ_update)
        return self.answers.pop(0)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def exit_json(self, **result: Any) -> NoReturn:
        raise Ended({"failed": False, **result})

    def fail_json(self, **result: Any) -> NoReturn:
        raise Ended({"failed": True, **result})


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Runs a module with parameters and recorded answers by their names, or as (status, output, error)."""
    parts = COMMAND.split(".")
    for name in ("ansible", "ansible.module_utils", *(".".join(parts[:end]) for end in range(1, len(parts)))):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    basic: Any = ModuleType("ansible.module_utils.basic")
    basic.AnsibleModule = Module
    monkeypatch.setitem(sys.modules, "ansible.module_utils.basic", basic)
    monkeypatch.setitem(sys.modules, COMMAND, command)

    def runs(name: str, given: Mapping[str, Any], *answers: Any) -> dict[str, Any]:
        monkeypatch.setattr(Module, "given", given, raising=False)
        handed_out = [each if isinstance(each, tuple) else recorded(each) for each in answers]
        monkeypatch.setattr(Module, "answers", handed_out, raising=False)
        module = loaded(f"lpmkit_ansible_{name}", COLLECTION / "plugins" / "modules" / f"{name}.py")
        with pytest.raises(Ended) as ended:
            module.main()
        assert not Module.answers, "fewer commands than answers"
        return ended.value.result

    return runs


def recorded(name: str) -> tuple[int, str, str]:
    return RECORDED[name]["status"], json.dumps(RECORDED[name]["answer"]), ""


def typed() -> list[str]:
    """The commands that the last module typed, without their options."""
    known = ("inventory", "check", "validate", "move", "plan", "watch")
    return [" ".join(word for word in words if word in (*known, "run")) for words in Module.made.typed]


def with_moved(state: str, verdict: str, status: int) -> tuple[int, str, str]:
    """The recorded move with another state of its question "moved" and another verdict."""
    answer = json.loads(json.dumps(RECORDED["move"]["answer"]))
    (row,) = [row for row in answer["verdict"]["questions"] if row["key"] == "moved"]
    row["state"], answer["verdict"]["state"] = state, verdict
    return status, json.dumps(answer), ""


# --- the recordings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDED)
def test_a_recording_fits_todays_schema(name: str) -> None:
    row = RECORDED[name]
    hold([*row["words"], "--json"], row["status"], json.dumps(row["answer"]))


def test_the_recordings_name_no_folder_of_the_machine_that_made_them() -> None:
    text = ANSWERS.read_text(encoding="utf-8")
    assert "/tmp/" not in text
    assert "/home/" not in text


def test_the_examples_of_the_command_lines_run() -> None:
    result = doctest.testmod(command)
    assert result.attempted >= 4
    assert not result.failed


# --- exit statuses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "given", "answers", "status", "text"),
    [
        ("lpm_facts", {"frames": ["bvio82"]}, ["inventory"], 0, "everything was read"),
        ("lpm_facts", {}, ["inventory-unreachable"], 3, "bvio82"),
        ("lpm_check", ORDER, ["check"], 0, "ready"),
        ("lpm_check", ORDER, ["check-unready"], 1, "not ready: "),
        ("lpm_check", ORDER, ["check-unreachable"], 3, "Look before anything else"),
        ("lpm_validate", ORDER, ["validate"], 0, "Validation passed"),
        ("lpm_validate", ORDER, ["validate-refused"], 1, "Validation failed: "),
        ("lpm_move", MOVE, ["inventory", "move-without-validation"], 2, "there is no validation of this order"),
        ("lpm_move", MOVE, ["inventory", "move-failed"], 1, "Not moved."),
        ("lpm_plan", PLAN, ["plan-check-unready", "inventory"], 1, "not ready"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_task_ends_as_the_exit_status_says(
    run: Any, module: str, given: dict[str, Any], answers: list[str], status: int, text: str
) -> None:
    result = run(module, given, *answers)
    assert result["status"] == result["exit_status"] == status
    assert result["failed"] is (status != 0)
    assert text in result["msg"]
    assert result["changed"] is (module == "lpm_move" and status != 2 and result["moved"] is not False)


def test_a_move_that_arrived_has_changed_something_and_names_its_run(run: Any) -> None:
    result = run("lpm_move", MOVE, "inventory", "move")
    assert (result["status"], result["failed"], result["changed"], result["moved"]) == (
        RECORDED["move"]["status"],
        False,
        True,
        True,
    )
    assert result["run"] == RECORDED["move"]["answer"]["run"]
    assert typed() == ["inventory", "move"]


def test_open_questions_are_warnings(run: Any) -> None:
    status, output, error = with_moved("passed", "not evaluated", 4)
    answer = json.loads(output)
    answer["verdict"]["questions"].append(
        {"key": "x", "question": "Did X?", "answer": "No data.", "state": "not evaluated", "counts": True}
    )
    result = run("lpm_move", MOVE, "inventory", (status, json.dumps(answer), error))
    assert (result["status"], result["failed"], result["moved"]) == (4, False, True)
    assert "Did X? No data." in result["open_questions"]
    assert "Not evaluated: Did X? No data." in Module.made.warnings


@pytest.mark.parametrize(
    ("answer", "exit_status"),
    [
        (CRASH, 1),
        ((-9, "", ""), -9),
        ((0, "moved", ""), 0),
        ((0, "[]", ""), 0),
        ((0, "", ""), 0),
        (with_moved("passed", "passed", 130), 130),
        (with_moved("passed", "passed", 77), 77),
        (with_moved("not evaluated", "not evaluated", 3), 3),
    ],
)
def test_a_move_of_which_nobody_knows_fails_says_look_and_is_never_asked_for_again(
    run: Any, answer: tuple[int, str, str], exit_status: int
) -> None:
    result = run("lpm_move", MOVE, "inventory", answer)
    assert (result["status"], result["exit_status"], result["failed"]) == (3, exit_status, True)
    assert result["changed"] is True, "it may have moved"
    assert "Look before anything else, and do not run this task again" in result["msg"]
    assert "lpmkit attach" in result["msg"]
    assert typed() == ["inventory", "move"]


def test_status_4_of_a_command_that_cannot_leave_questions_open_is_no_success(run: Any) -> None:
    _, output, _ = recorded("check")
    assert run("lpm_check", ORDER, (4, output, ""))["status"] == 3


# --- what is there already -------------------------------------------------------------------------------------------


def test_a_partition_on_the_target_is_not_moved(run: Any) -> None:
    result = run("lpm_move", MOVE, "inventory-after", "inventory-after")
    assert (result["failed"], result["changed"], result["already_there"], result["moved"]) == (
        False,
        False,
        True,
        False,
    )
    assert typed() == ["inventory", "inventory"]
    assert Module.made.typed[0][-1] == "bvio83"


def test_a_source_that_is_named_is_the_only_other_frame_that_is_asked(run: Any) -> None:
    run("lpm_move", {**MOVE, "source": "bvio82"}, "inventory-after", "inventory-after")
    assert [words[words.index("--") + 1 :] for words in Module.made.typed] == [["bvio83"], ["bvio82", "bvio83"]]


@pytest.mark.parametrize("module", ["lpm_check", "lpm_validate"])
def test_check_and_validation_of_a_partition_on_the_target_are_fine(run: Any, module: str) -> None:
    result = run(module, ORDER, "check-after", "inventory-after", "inventory-after")
    assert (result["failed"], result["changed"], result["already_there"]) == (False, False, True)


def test_another_refusal_stays_one(run: Any) -> None:
    result = run("lpm_check", ORDER, "move-without-validation", "inventory")
    assert (result["failed"], result["status"]) == (True, 2)


def test_where_a_frame_cannot_be_asked_nothing_is_moved(run: Any) -> None:
    result = run("lpm_move", MOVE, "inventory-unreachable")
    assert (result["failed"], result["changed"], result["status"]) == (True, False, 3)
    assert typed() == ["inventory"]
    result = run("lpm_move", MOVE, CRASH)
    assert (result["failed"], result["changed"], result["status"]) == (True, False, 3)
    assert typed() == ["inventory"]


def inventory(*rows: tuple[str, str, str], silent: tuple[str, ...] = ()) -> dict[str, Any]:
    partitions = [
        {"frame": frame, "partition": name, "state": state, "kind": "I/O server" if name == "vios" else "partition"}
        for frame, name, state in rows
    ]
    return {"systems": [], "partitions": partitions, "gaps": [{"frame": frame} for frame in silent]}


@pytest.mark.parametrize(
    ("rows", "silent", "where"),
    [
        ([("a", "p", "Running"), ("b", "vios", "Running")], (), "elsewhere"),
        ([("a", "vios", "Running"), ("b", "p", "Running")], (), "there"),
        ([("a", "vios", "Running"), ("b", "p", "Not Activated")], (), "there"),
        ([("a", "p", "Migrating - Running"), ("b", "p", "Migrating - Running")], (), "elsewhere"),
        ([("a", "vios", "Running"), ("b", "p", "Migrating - Running")], (), "unknown"),
        ([("b", "p", "Running")], ("a",), "unknown"),
        ([("a", "p", "Running")], ("b",), "unknown"),
        ([("a", "vios", "Running")], (), "unknown"),
    ],
)
def test_where_a_partition_is(rows: list[tuple[str, str, str]], silent: tuple[str, ...], where: str) -> None:
    assert command.place(inventory(*rows, silent=silent), "p", "b")[0] == where


def test_an_io_server_of_that_name_is_not_the_partition() -> None:
    listed = inventory(("a", "vios", "Running"), ("b", "vios", "Running"))
    listed["partitions"][0]["kind"] = "partition"
    assert command.place(listed, "vios", "b")[0] == "elsewhere"
    assert command.place(listed, "vios", "a")[0] == "there"


# --- check mode and confirmation -------------------------------------------------------------------------------------


def test_in_check_mode_a_move_is_only_checked(run: Any) -> None:
    result = run("lpm_move", {**ORDER, "_check_mode": True}, "check")
    assert (result["failed"], result["changed"]) == (False, True)
    result = run("lpm_move", {**ORDER, "_check_mode": True}, "check-unready")
    assert (result["failed"], result["changed"]) == (True, False)
    result = run("lpm_move", {**ORDER, "_check_mode": True}, "check-after", "inventory-after", "inventory-after")
    assert (result["failed"], result["changed"]) == (False, False)
    assert "move" not in " ".join(typed())


def test_in_check_mode_a_plan_is_only_checked(run: Any) -> None:
    result = run("lpm_plan", {"file": "blades.yaml", "_check_mode": True}, "plan-check")
    assert (result["failed"], result["changed"]) == (False, True)
    assert typed() == ["plan check"]


def test_in_check_mode_nothing_is_recorded(run: Any) -> None:
    assert run("lpm_watch", {"hosts": ["a"], "duration": 2.0, "_check_mode": True})["changed"] is False


@pytest.mark.parametrize(("module", "given"), [("lpm_move", ORDER), ("lpm_plan", {"file": "blades.yaml"})])
def test_without_a_confirmation_nothing_is_typed(run: Any, module: str, given: dict[str, Any]) -> None:
    result = run(module, given)
    assert (result["failed"], typed()) == (True, [])


def test_the_confirmation_is_the_persons_and_lpmkit_compares_it(run: Any) -> None:
    run("lpm_move", {**MOVE, "confirm": "bxaix8"}, "inventory", "move-without-validation")
    words = Module.made.typed[-1]
    assert words[words.index("--confirm") + 1] == "bxaix8"


# --- plans -----------------------------------------------------------------------------------------------------------


def test_a_plan_that_is_ready_is_run_once(run: Any) -> None:
    answer: dict[str, Any] = {
        "plan": "/srv/lpm/runs/plans/p",
        "page": "x",
        "halted": None,
        "complete": True,
        "moves": [],
    }
    result = run("lpm_plan", PLAN, "plan-check", (0, json.dumps(answer), ""))
    assert (result["failed"], result["changed"], result["plan"]) == (False, True, answer["plan"])
    assert typed() == ["plan check", "plan run"]
    result = run("lpm_plan", PLAN, "plan-check", CRASH)
    assert (result["failed"], result["changed"], result["status"]) == (True, True, 3)
    assert typed() == ["plan check", "plan run"]


def test_a_plan_whose_partitions_are_all_on_their_targets_is_not_run(run: Any) -> None:
    result = run("lpm_plan", PLAN, "plan-check-after", "inventory-after")
    assert (result["failed"], result["changed"], result["already_there"]) == (False, False, True)
    assert typed() == ["plan check", "inventory"]


def test_a_plan_with_a_part_of_them_there_names_these(run: Any) -> None:
    answer = json.loads(json.dumps(RECORDED["plan-check-after"]["answer"]))
    answer["moves"].append({**answer["moves"][0], "partition": "other"})
    result = run("lpm_plan", PLAN, (1, json.dumps(answer), ""), "inventory-after")
    assert (result["failed"], result["on_target"]) == (True, ["bxaix85"])


# --- command lines ---------------------------------------------------------------------------------------------------


def test_secrets_go_into_the_environment_and_nowhere_else(run: Any) -> None:
    result = run("lpm_check", {**ORDER, "secrets": {"HMC": "correct-horse"}}, "check")
    assert Module.made.environments == [{"HMC": "correct-horse"}]
    assert "correct-horse" not in str((result, Module.made.typed))
    assert Module.made.spec["secrets"]["no_log"] is True


def test_every_command_line_is_one_that_lpmkit_takes(run: Any) -> None:
    """Each is parsed by the command itself, up to where it would begin to work."""
    order = {
        **ORDER,
        "source": "bvio82",
        "keep_mapping": True,
        "mapping": {"dest_lpar_id": 12},
        "options": {"requirerr": 2},
        "limits": {"suspension": "1:2"},
        "window": "a/b",
        "on_breach": "stop",
    }
    moved = {**order, "confirm": "bxaix85", "wait_for_window": True, "lead_in": 4.0, "tail": 3.0}
    refused = "move-without-validation"
    top = main.make_context("lpmkit", ["check"])
    for module, given, answers in (
        ("lpm_check", order, ("check",)),
        ("lpm_validate", {**order, "npiv_disks": True}, ("validate",)),
        ("lpm_move", moved, ("inventory", refused)),
        ("lpm_plan", PLAN, ("plan-check", refused)),
        ("lpm_watch", {"hosts": ["a", "b"], "duration": 3.0, "hz": 50, "runs": "r"}, (refused,)),
        ("lpm_facts", {"frames": ["-x"]}, ("inventory",)),
    ):
        run(module, given, *answers)
        for words in Module.made.typed:
            typed_command = all_commands()[words[1]]
            rest = words[2:]
            if words[1] == "plan":
                typed_command, rest = typed_command.commands[rest[0]], rest[1:]  # type: ignore[attr-defined]
            context = typed_command.make_context(words[1], list(rest), parent=top)
            assert context.params["as_json"] is True


# --- the collection --------------------------------------------------------------------------------------------------


def blocks(path: Path) -> dict[str, str]:
    """The texts that are assigned in a file, by their names."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                found[name] = text
    return found


def documented(module: str) -> dict[str, Any]:
    """The documentation of a module's options, with those of its fragments."""
    texts = blocks(COLLECTION / "plugins" / "modules" / f"{module}.py")
    page = yaml.load(texts["DOCUMENTATION"])
    fragments = blocks(COLLECTION / "plugins" / "doc_fragments" / "lpmkit.py")
    options = dict(page.get("options") or {})
    for name in page["extends_documentation_fragment"]:
        fragment = fragments["ORDER" if name.endswith(".order") else "DOCUMENTATION"]
        options |= yaml.load(fragment)["options"]
    return options


@pytest.mark.parametrize("module", MODULES)
def test_the_documentation_of_a_module_has_its_options_as_they_are(run: Any, module: str) -> None:
    options = documented(module)
    given = {name: ["a"] for name in options if options[name].get("required")} | {"_check_mode": True}
    run(module, given, *["check"] * (module != "lpm_watch"))
    spec = Module.made.spec
    assert set(options) == set(spec)
    for name, option in spec.items():
        said = options[name]
        assert said["description"], name
        for key in ("type", "elements", "required", "default", "choices"):
            assert said.get(key) == option.get(key), (name, key)


@pytest.mark.parametrize("module", MODULES)
def test_a_modules_blocks_are_what_ansible_wants(module: str) -> None:
    texts = blocks(COLLECTION / "plugins" / "modules" / f"{module}.py")
    page, examples, returned = (yaml.load(texts[name]) for name in ("DOCUMENTATION", "EXAMPLES", "RETURN"))
    assert page["module"] == module
    assert not page["short_description"].endswith(".")
    assert page["attributes"]["check_mode"]["support"] in ("full", "partial")
    assert any(f"lpmkit.powervm.{module}" in task for task in examples)
    for row in returned.values():
        assert {"description", "returned", "type"} <= set(row)


@pytest.mark.skipif(
    importlib.util.find_spec("ansible.cli") is None if importlib.util.find_spec("ansible") else True,
    reason="ansible-core is not installed: pip install 'lpmkit[ansible]'",
)
def test_ansible_reads_the_documentation_of_every_module(tmp_path: Path) -> None:
    place = tmp_path / "ansible_collections" / "lpmkit"
    place.mkdir(parents=True)
    (place / "powervm").symlink_to(COLLECTION)
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "doc", "-t", "module", "-j", *(f"lpmkit.powervm.{name}" for name in MODULES)],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(tmp_path),
            "ANSIBLE_HOME": str(tmp_path / "home"),
            "LC_ALL": "C.UTF-8",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    pages = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    for name in MODULES:
        page = pages[f"lpmkit.powervm.{name}"]
        assert set(page["doc"]["options"]) == set(documented(name))
        assert page["return"]
        assert page["examples"]


def test_the_collection_has_the_version_of_lpmkit_and_a_group_of_all_its_modules() -> None:
    galaxy = yaml.load((COLLECTION / "galaxy.yml").read_text(encoding="utf-8"))
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (galaxy["namespace"], galaxy["name"], galaxy["version"]) == ("lpmkit", "powervm", project["version"])
    runtime = yaml.load((COLLECTION / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert sorted(runtime["action_groups"]["lpm"]) == MODULES


def test_the_playbook_repeats_nothing_and_accepts_0_and_4() -> None:
    text = (COLLECTION / "playbooks" / "move.yml").read_text(encoding="utf-8")
    (play,) = yaml.load(text)
    assert "retries" not in text
    assert "until" not in text
    assert play["tasks"][-1]["ansible.builtin.assert"]["that"] == "move.status in [0, 4]"


@pytest.mark.parametrize("path", sorted((COLLECTION / "tests" / "sanity").iterdir()), ids=lambda path: path.name)
def test_ansible_test_is_told_of_the_licence_and_of_nothing_else(path: Path) -> None:
    lines = [line.partition(" #")[0] for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines == [f"plugins/modules/{name}.py validate-modules:missing-gplv3-license" for name in MODULES]
