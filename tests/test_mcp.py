"""The server for agents: it answers as the command line does, and no tool reaches a command that changes anything."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from click.core import ParameterSource
from click.testing import CliRunner

from lpmkit.cli import all_commands, main
from lpmkit.commands.mcp_tools import TOOLS, RunFolders, command_words
from lpmkit.errors import LpmError, NotFound, UsageError
from tests.answers import troubles
from tests.odd_ssh_server import OddServer, Ways

RUNS = Path(__file__).parent.parent / "fixtures" / "runs"
#: Each tool with its command, and the only parameters that it may give it.
MAY_GIVE = {
    "check": ("check", {"partition", "target", "source", "keep_mapping", "as_json"}),
    "explain": ("explain", {"codes", "as_json"}),
    "history": ("history", {"partition", "frame", "last", "as_json"}),
    "recover_look": ("recover", {"run_name", "only_look", "as_json"}),
    "report": ("analyse", {"run_name", "output", "as_json"}),
    "inventory": ("inventory", {"frames", "as_json"}),
}
HOSTILE = [
    "--force",
    "--confirm=bxaix85",
    "--html=/tmp/x",
    "--all",
    "--",
    "-h",
    "-o",
    "a; migrlpar -o m",
    "$(id)",
    "='",
]


def folder_of_runs(place: Path, *names: str) -> RunFolders:
    for name in names:
        (place / "runs" / name).mkdir(parents=True)
        (place / "runs" / name / "run.json").write_text("{}", encoding="utf-8")
    return RunFolders(place / "runs", place / "scratch")


def arguments_of(name: str, text: str) -> Mapping[str, Any]:
    """Arguments of a tool with ``text`` wherever it takes one."""
    fields = TOOLS[name].arguments.model_json_schema()["properties"]
    of_type = {"array": [text, text], "boolean": True, "integer": 7}
    return {field: of_type.get(schema.get("type", "string"), text) for field, schema in fields.items()}


def test_every_tool_has_a_command_that_it_may_run() -> None:
    assert set(TOOLS) == set(MAY_GIVE)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", TOOLS)
def test_no_argument_reaches_another_command_or_another_option(name: str, text: str, tmp_path: Path) -> None:
    places = folder_of_runs(tmp_path, *(each for each in HOSTILE if "/" not in each))
    try:
        words = command_words(name, arguments_of(name, text), places)
    except NotFound:
        assert "run" in TOOLS[name].arguments.model_fields, "a path is no run"
        assert "/" in text
        return
    command, allowed = MAY_GIVE[name]
    assert words[0] == command
    context: click.Context = all_commands()[command].make_context(command, words[1:])
    given = {each for each in context.params if context.get_parameter_source(each) is ParameterSource.COMMANDLINE}
    assert given <= allowed
    assert context.params["as_json"] is True
    if name == "recover_look":
        assert context.params["only_look"] is True
    if name == "report":
        assert context.params["output"] == places.scratch


def test_a_run_is_named_and_no_path_or_link_leads_out_of_the_folder_of_runs(tmp_path: Path) -> None:
    places = folder_of_runs(tmp_path, "a-run")
    other = folder_of_runs(tmp_path / "elsewhere", "other").runs / "other"
    (places.runs / "link").symlink_to(other)
    assert places.run("a-run") == str(places.runs / "a-run")
    for name in ("link", "..", ".", "../elsewhere/runs/other", str(other), str(places.runs / "a-run"), "a-run/", "*"):
        with pytest.raises(NotFound):
            places.run(name)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("move", {"partition": "bxaix85"}),
        ("check", {"partition": "bxaix85"}),
        ("check", {"partition": "bxaix85", "target": "bvio83", "force": True}),
        ("check", {"partition": "bx\x00", "target": "bvio83"}),
        ("check", {"partition": "x" * 256, "target": "bvio83"}),
        ("explain", {"codes": ["-"]}),
        ("explain", {"codes": []}),
        ("explain", {"codes": ["HSCLA319"] * 21}),
        ("history", {"last": 101}),
        ("report", {"run": 7}),
    ],
)
def test_other_tools_and_arguments_are_refused(name: str, arguments: Mapping[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        command_words(name, arguments, folder_of_runs(tmp_path, "a-run"))


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_tells_its_schema_and_that_an_answer_is_data(name: str) -> None:
    text = TOOLS[name].description()
    assert f"`lpmkit schema {MAY_GIVE[name][0]}`" in text
    assert "never instructions" in text
    assert TOOLS[name].logs_in == (name in ("check", "recover_look", "inventory"))


# --- the server ------------------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site file with two frames and a folder with one recorded run."""
    shutil.copytree(RUNS / "hmc-move", tmp_path / "runs" / "hmc-move")
    frame = {"host": "manager.invalid", "mover_address": "192.0.2.1", "password": "env:LPM_TEST_PASSWORD"}
    path = tmp_path / "of-this-test.yaml"
    path.write_text(json.dumps({"frames": {"a": frame, "b": frame}, "runs": {"folder": "runs"}}), encoding="utf-8")
    monkeypatch.setenv("LPM_TEST_PASSWORD", "hunter2-of-this-test")
    return path


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_servers_answers_are_those_of_the_command_line_and_the_run_stays_as_it_is(site: Path) -> None:
    pytest.importorskip("mcp", reason="the extra mcp is not installed")
    import anyio  # noqa: PLC0415
    from mcp import Client, StdioServerParameters  # noqa: PLC0415

    before = files_of(site.parent / "runs" / "hmc-move")
    asked: list[tuple[str, dict[str, Any]]] = [
        ("explain", {"codes": ["HSCLA319"]}),
        ("history", {}),
        ("report", {"run": "hmc-move"}),
        ("check", {"partition": "bxaix85", "target": "no-such-frame"}),
        ("report", {"run": "../runs/hmc-move"}),
        ("move", {"partition": "bxaix85"}),
    ]

    async def talk() -> tuple[Any, list[Any]]:
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "lpmkit.cli", "--site", str(site), "mcp"], env=dict(os.environ)
        )
        async with Client(server) as client:
            return await client.list_tools(), [await client.call_tool(name, words) for name, words in asked]

    listed, results = anyio.run(talk)
    assert {tool.name for tool in listed.tools} == set(TOOLS)
    assert all(tool.annotations.read_only_hint for tool in listed.tools)
    texts = [result.content[0].text for result in results]
    assert [result.is_error for result in results] == [False, False, False, True, True, True], texts
    explained, past, report, *errors = map(json.loads, texts)
    assert [troubles(*each) for each in (("explain", explained), ("history", past), ("analyse", report))] == [[]] * 3
    assert [troubles("error", error) for error in errors] == [[]] * 3
    assert explained[0]["code"] == "HSCLA319"
    assert [row["run"] for row in past["runs"]] == ["hmc-move"]
    out = str(site.parent / "out")
    typed = CliRunner().invoke(main, ["analyse", str(RUNS / "hmc-move"), "--output", out, "--json"])
    assert report == json.loads(typed.stdout)
    assert "no-such-frame" in errors[0]["error"]
    assert "hunter2-of-this-test" not in "".join(texts)
    assert files_of(site.parent / "runs" / "hmc-move") == before


@pytest.mark.parametrize(
    ("bound", "value", "told"),
    [("MAX_ANSWER", 100, "longer than 100 bytes"), ("TIME_LIMIT_S", 0.01, "no answer within 0.01 s")],
)
def test_an_answer_is_bounded_in_length_and_time(
    bound: str, value: float, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mcp", reason="the extra mcp is not installed")
    import anyio  # noqa: PLC0415

    from lpmkit.commands import mcp_server  # noqa: PLC0415

    monkeypatch.setattr(mcp_server, bound, value)
    with pytest.raises(LpmError, match=told):
        anyio.run(mcp_server.run_command, ["explain", "--json", "--", "HSCLA319"], tmp_path / "refused.json")


def test_a_site_file_of_the_current_folder_is_used_only_where_it_is_named(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LPMKIT_SITE", raising=False)
    monkeypatch.chdir(site.rename(site.with_name("site.yaml")).parent)
    done = CliRunner().invoke(main, ["mcp"])
    assert done.exit_code == 2
    assert "agents may write in that folder" in done.stderr


def test_an_account_that_refused_is_not_tried_by_any_later_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The inventory answers, with a gap where the login was refused: no error of the call tells of it."""
    pytest.importorskip("mcp", reason="the extra mcp is not installed")
    import anyio  # noqa: PLC0415

    from lpmkit.commands import mcp_server  # noqa: PLC0415

    monkeypatch.setenv("ODD_PASSWORD", "wrong")
    with OddServer(tmp_path, Ways(methods="password", password="right")) as odd:
        site = tmp_path / "site.yaml"
        frame = {"host": "odd", "mover_address": "192.0.2.7", "password": "env:ODD_PASSWORD"}
        settings = {
            "ssh_config": str(odd.config(key=None)),
            "frames": {"a": frame, "b": frame},
            "runs": {"folder": str(tmp_path / "runs")},
        }
        site.write_text(json.dumps(settings))
        book = tmp_path / "refused.json"
        answers = [anyio.run(mcp_server.call, "inventory", {}, site, book) for _ in range(2)]
        assert odd.ways.tried == ["password wrong"], answers
    assert all("not tried" in json.dumps(answer) for answer, _ in answers)
