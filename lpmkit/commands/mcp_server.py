"""The server of the Model Context Protocol: each call of a tool is one command of lpmkit in a process of its own, and
the answer is what that prints with ``--json``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

import lpmkit
from lpmkit.commands.console import FINE, error_data, json_text
from lpmkit.commands.mcp_tools import TOOLS, RunFolders, command_words
from lpmkit.config import load_site
from lpmkit.errors import LpmError
from lpmkit.ssh.refusal_book import BOOK

#: Bytes of an answer. One that is longer is refused whole: half a JSON value is none.
MAX_ANSWER = 500_000
#: Seconds that a command may take; a check of one partition over slow lines takes a minute or two.
TIME_LIMIT_S = 600.0
#: Seconds for a command that was interrupted to end by itself.
GRACE_S = 1.0


def answer_of(output: bytes, status: int) -> tuple[Any, bool]:
    """The JSON value that a command printed, and whether it is an error.

    >>> answer_of(b'{"runs": []}', 0)
    ({'runs': []}, False)
    >>> answer_of(b"", 137)[0]["error"]
    'the command ended with status 137 and no answer'
    """
    try:
        value = json.loads(output)
    except ValueError:
        return error_data(f"the command ended with status {status} and no answer"), True
    return value, status != FINE and isinstance(value, dict) and value.keys() == error_data("").keys()


async def run_command(words: Sequence[str], book: Path) -> tuple[bytes, int]:
    """Standard output and exit status of lpmkit with these words, in a process without a terminal to ask at.

    ``book`` is where accounts that refuse a login are entered; none of these is tried again.

    Raises `LpmError` for an answer that is too long or too late; the process is ended then, as when the call is
    cancelled.
    """
    # -P: the current folder may be one that agents write in, and no module is taken from there
    process = await anyio.open_process(
        [sys.executable, "-P", "-m", "lpmkit.cli", *words],
        env={**os.environ, BOOK: str(book)},
        stdin=subprocess.DEVNULL,
        stderr=None,
        start_new_session=True,
    )
    assert process.stdout is not None
    output = bytearray()
    try:
        with anyio.fail_after(TIME_LIMIT_S):
            async for part in process.stdout:
                output += part
                if len(output) > MAX_ANSWER:
                    raise LpmError(
                        f"the answer is longer than {MAX_ANSWER} bytes", next_step="Ask for less: name frames or runs."
                    )
            return bytes(output), await process.wait()
    except TimeoutError:
        raise LpmError(f"no answer within {TIME_LIMIT_S:g} s; the command was ended") from None
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)


async def _end(process: Process) -> None:
    """Interrupt a process that still runs; where that does not end it, kill it with what it started."""
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
        with anyio.move_on_after(GRACE_S):
            await process.wait()
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)  # it leads a session of its own
    await process.aclose()


async def call(name: str, arguments: Mapping[str, Any], site_file: Path, book: Path) -> tuple[Any, bool]:
    """The answer of a tool as a JSON value, and whether it is an error. ``book`` as in `run_command`."""
    try:
        with tempfile.TemporaryDirectory(prefix="lpmkit-mcp-") as scratch:
            places = RunFolders(load_site(site_file).runs.folder, Path(scratch))
            words = command_words(name, arguments, places)
            return answer_of(*await run_command([f"--site={site_file}", *words], book))
    except LpmError as error:
        return error_data(error), True
    except OSError as error:
        return error_data(f"the command could not be started: {error.strerror}"), True


def make_server(site_file: Path, book: Path) -> Server[Any]:
    """The server with all tools. One command at a time asks machines, and one reads files. ``book`` as in
    `run_command`.
    """
    turns = {logs_in: anyio.Lock() for logs_in in (True, False)}

    async def list_tools(_: object, __: object) -> types.ListToolsResult:
        only_reads = types.ToolAnnotations(read_only_hint=True, destructive_hint=False)
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=name,
                    description=tool.description(),
                    input_schema=tool.arguments.model_json_schema(),
                    annotations=only_reads,
                )
                for name, tool in TOOLS.items()
            ]
        )

    async def call_tool(_: object, asked: types.CallToolRequestParams) -> types.CallToolResult:
        tool = TOOLS.get(asked.name)
        logs_in = tool is not None and tool.logs_in
        async with turns[logs_in]:
            value, is_error = await call(asked.name, asked.arguments or {}, site_file, book)
        text = json_text(value, indent=None)
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=is_error)

    return Server(
        "lpmkit",
        version=lpmkit.__version__,
        instructions="Looks at PowerVM Live Partition Mobility: no tool moves, stops, recovers or changes anything.",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def serve(site_file: Path) -> None:
    """Serve on standard input and output until standard input is closed."""

    async def run() -> None:
        with tempfile.TemporaryDirectory(prefix="lpmkit-mcp-book-") as folder:
            server = make_server(site_file, Path(folder) / "refused.json")
            async with stdio_server() as (requests, answers):
                await server.run(requests, answers, server.create_initialization_options())

    anyio.run(run)
