"""The commands for trying and fitting out: the simulator, the rehearsal, the notebooks, the application, what is missing here."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import click

import lpmkit
from lpmkit.commands.console import (
    COULD_NOT_TELL,
    FINE,
    MARKS,
    NOT_FINE,
    Terminal,
    json_option,
    people,
    print_table,
    say_json,
    told,
)
from lpmkit.commands.progress import follow, report_and_leave
from lpmkit.commands.survey import print_findings, print_prediction, print_validation
from lpmkit.config import RunSettings, find_site_file
from lpmkit.errors import UsageError


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulate(arguments: Sequence[str]) -> NoReturn:
    """Run the simulated pair of blades and its partition, to log in to with ssh (`lpmkit simulate --help`)."""
    # A program of its own: lpmkit knows nothing of it but its name.
    os.execv(sys.executable, [sys.executable, "-m", "lpmkit.simulator", *arguments])  # noqa: S606


@click.command()
@click.option("--directory", type=click.Path(file_okay=False, path_type=Path), default=Path("demo"), show_default=True)
@click.option(
    "--speed",
    type=click.FloatRange(min=0.1),
    default=8.0,
    show_default=True,
    help="Shortens the copy, never the suspension.",
)
@json_option
@told
def demo(directory: Path, speed: float, as_json: bool) -> None:
    """Rehearse the whole guided move on the simulator, without a person, and leave a report to look at."""
    from lpmkit.checks import ready  # noqa: PLC0415
    from lpmkit.rehearsal import Rehearsal  # noqa: PLC0415
    from lpmkit.runbook import Runbook  # noqa: PLC0415

    tell = Terminal(stderr=as_json)
    tell.print("Starting two simulated JS22 blades, bvio82 and bvio83, and the partition bxaix85 …")
    with Rehearsal(directory.resolve() / "simulator", speed=speed) as rehearsal:
        runs = RunSettings(folder=directory.resolve() / "runs", lead_in_s=8.0, tail_s=6.0, poll_s=0.5)
        book = Runbook(rehearsal.site.model_copy(update={"runs": runs}))
        run = book.prepare(book.order("bxaix85", "bvio83"))
        findings = book.check(run)
        print_findings(findings, tell, only_trouble=True)
        word = book.validate(run)
        print_validation(word, tell)
        print_prediction(book.predict(run), tell)
        if ready(findings).value == "not ready" or not word.passed:
            sys.exit(NOT_FINE)
        tell.print("Typing the partition's name for you: bxaix85. It moves now; the probes are running.")
        book.move(run, "bxaix85")
        follow(book, run, tell)
    tell.print("The same guided in a notebook: make lab, then 00_rehearse_on_the_simulator.ipynb")
    report_and_leave(run, as_json)


@click.command()
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("lab"),
    show_default=True,
    help="Where the dated copies go.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.argument("jupyter_options", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
@told
def lab(context: click.Context, directory: Path, no_browser: bool, jupyter_options: Sequence[str]) -> None:
    """Open JupyterLab on a dated copy of the notebooks, which its launcher has as cards; the models stay as they are."""
    from lpmkit.notebook.models import copy_models  # noqa: PLC0415

    folder = copy_models(directory)
    environment = dict(os.environ)
    try:
        environment["LPMKIT_SITE"] = str(find_site_file(context.obj).resolve())
    except UsageError as error:
        if context.obj:
            raise
        people.print(f"No site file yet ({error.what}): the rehearsal needs none.")
    people.print(f"The notebooks are copied to {folder}")
    cards = Path(lpmkit.__file__).parent / "templates" / "jupyter" / "labextensions"
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}"]
    command += [f"--LabApp.extra_labextensions_path={cards}", *jupyter_options]
    if no_browser:
        command.append("--no-browser")
    sys.exit(subprocess.run(command, env=environment, check=False).returncode)  # noqa: S603 - JupyterLab, with the operator's options


@click.command("app", context_settings={"ignore_unknown_options": True})
@click.option("--port", type=click.IntRange(1, 65535), default=8866, show_default=True)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.argument("voila_options", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
@told
def app(context: click.Context, port: int, no_browser: bool, voila_options: Sequence[str]) -> None:
    """Serve the guided move, its verification and its history as pages without code, on this machine only (Voilà)."""
    from lpmkit.notebook.models import write_application  # noqa: PLC0415

    site = find_site_file(context.obj).resolve()
    templates = str(Path(lpmkit.__file__).parent / "templates" / "jupyter")
    found = [templates, *filter(None, [os.environ.get("JUPYTER_PATH")])]
    environment = {**os.environ, "LPMKIT_SITE": str(site), "JUPYTER_PATH": os.pathsep.join(found)}
    with tempfile.TemporaryDirectory(prefix="lpmkit-app-") as folder:
        notebook = write_application(Path(folder))
        command = [
            sys.executable,
            "-m",
            "voila",
            str(notebook),
            f"--port={port}",
            "--Voila.ip=127.0.0.1",
            "--template=lpmkit",
            *voila_options,
        ]
        command += ["--no-browser"] if no_browser else []
        people.print(f"http://127.0.0.1:{port}/ for {site}")
        sys.exit(subprocess.run(command, env=environment, check=False).returncode)  # noqa: S603 - Voilà, with the operator's options


@click.command()
@json_option
@click.pass_context
@told
def doctor(context: click.Context, as_json: bool) -> None:
    """Say what is missing here: packages, programs, the SSH agent, the site file, machines that cannot be reached."""
    from lpmkit.doctor import examine_machine  # noqa: PLC0415

    rows = examine_machine(context.obj)
    if as_json:
        say_json([asdict(row) for row in rows])
    else:
        print_table(
            "", [{"": MARKS[row.verdict], "what": row.what, "found": row.found, "next": row.next_step} for row in rows]
        )
    verdicts = {row.verdict for row in rows}
    sys.exit(NOT_FINE if "fail" in verdicts else COULD_NOT_TELL if "unknown" in verdicts else FINE)


COMMANDS = (
    simulate,
    demo,
    lab,
    app,
    doctor,
)
