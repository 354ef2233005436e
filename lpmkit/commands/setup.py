"""The commands to try lpmkit and to set it up: simulate, demo, lab, app, doctor."""

from __future__ import annotations

import grp
import importlib.util
import json
import os
import re
import signal
import socket as sockets
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from secrets import token_hex
from threading import Timer
from time import sleep
from typing import TYPE_CHECKING, NoReturn

import click

import lpmkit
from lpmkit.account.person import Person, account_name, acting_person
from lpmkit.commands.console import (
    COULD_NOT_TELL,
    FINE,
    MARKS,
    NOT_FINE,
    error_data,
    json_option,
    people,
    print_item,
    print_json,
    print_line,
    reports_errors,
    terminal,
)
from lpmkit.commands.progress import follow, report_and_leave
from lpmkit.commands.survey import print_findings, print_prediction, print_validation
from lpmkit.errors import LpmError, UsageError
from lpmkit.settings.site_file import find_site_file

if TYPE_CHECKING:
    from lpmkit.doctor import Diagnosis

#: Kernels talk over sockets in a folder of this account. On ports of this machine anybody on it could read along what
#: they show.
KERNELS_BY_FILES = "--KernelManager.transport=ipc"
#: Seconds that a rehearsal waits at most for the end of its recording: the simulator's site reads SAP's logs for nine.
SAP_LOGS_S = 20.0
#: Seconds that a server has to end its kernels after it was told to stop.
STOP_PATIENCE_S = 10.0
server_json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print address, token file and process id as JSON on standard output once the server listens.",
)
#: Seconds between two looks whether a server listens.
LOOK_S = 0.1


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulate(arguments: Sequence[str]) -> NoReturn:
    """Run the simulated managers and partitions; log in with ssh (`lpmkit simulate --help`)."""
    # A separate program: lpmkit knows only its name.
    os.execv(sys.executable, [sys.executable, "-m", "lpmkit.simulator", *arguments])  # noqa: S606


@click.command()
@click.option("--directory", type=click.Path(file_okay=False, path_type=Path), default=Path("demo"), show_default=True)
@click.option(
    "--speed",
    type=click.FloatRange(min=0.1),
    default=8.0,
    show_default=True,
    help="Speeds up the copy, never the suspension.",
)
@json_option
@reports_errors
def demo(directory: Path, speed: float, as_json: bool) -> None:
    """Rehearse a whole move on the simulator without interaction, and write the report."""
    from lpmkit.checks import Answer, ready
    from lpmkit.commands.rich_terminal import Terminal
    from lpmkit.config import RunSettings
    from lpmkit.rehearsal import Rehearsal
    from lpmkit.runbook import Runbook
    from lpmkit.timeline import wait_until

    console = Terminal(stderr=as_json)
    console.print("Starting two simulated JS22 blades, bvio82 and bvio83, and the partition bxaix85 …")
    with Rehearsal(directory.resolve() / "simulator", speed=speed) as rehearsal:
        runs = RunSettings(folder=directory.resolve() / "runs", lead_in_s=8.0, tail_s=6.0, poll_s=0.5)
        book = Runbook(rehearsal.site.model_copy(update={"runs": runs}))
        run = book.prepare(book.order("bxaix85", "bvio83"))
        findings = book.check(run)
        print_findings(findings, console, only_trouble=True)
        validation = book.validate(run)
        print_validation(validation, console)
        print_prediction(book.predict(run), console)
        if ready(findings) is Answer.NOT_READY or not validation.passed:
            sys.exit(NOT_FINE)
        console.print(
            "Confirming with the partition's name: bxaix85. The probes run; the move starts after the baseline."
        )
        book.move(run, "bxaix85")
        follow(book, run, console)
        if run.is_recorded():
            console.print("The move is over. The SAP logs are read for some seconds more …")
            wait_until(lambda: not run.is_recorded(), clock=book.clock, timeout_s=SAP_LOGS_S)
    console.print("The same step by step in a notebook: make lab, then 00_rehearse_on_the_simulator.ipynb")
    report_and_leave(run, as_json)


@click.command()
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("lab"),
    show_default=True,
    help="Folder for the dated copies.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option("--hub", is_flag=True, help="Be a person's own server under JupyterHub (`c.Spawner.cmd`).")
@click.argument("jupyter_options", nargs=-1, type=click.UNPROCESSED)
@server_json_option
@click.pass_context
@reports_errors
def lab(
    context: click.Context,
    directory: Path,
    no_browser: bool,
    hub: bool,
    jupyter_options: Sequence[str],
    as_json: bool,
) -> None:
    """Open JupyterLab on a dated copy of the notebooks, with a card for each in the launcher.

    Listens on this machine only; the printed address has a token. For several users see docs/security.md: JupyterHub.
    """
    from lpmkit.background.temporary import temporary_folder
    from lpmkit.installed.extras import require_package
    from lpmkit.notebook.models import copy_models

    require_package("jupyterlab")
    if hub:
        _require_hub(acting_person())

    folder = copy_models(directory)
    environment = dict(os.environ)
    try:
        environment["LPMKIT_SITE"] = str(find_site_file(context.obj).resolve())
    except UsageError as error:
        if context.obj:
            raise
        people(as_json).print(f"No site file ({error.what}). The rehearsal needs none.")
    people(as_json).print(f"Notebooks: {folder}")
    beside = Path(lpmkit.__file__).parent / "templates" / "jupyter"
    command = [
        sys.executable,
        "-m",
        "lpmkit.notebook.jupyter",
        *_lab_door(hub, jupyter_options),
        f"--ServerApp.root_dir={folder}",
        KERNELS_BY_FILES,
    ]
    command += [f"--LabApp.extra_labextensions_path={beside / 'labextensions'}"]
    # notebooks save themselves every ten seconds, and nothing covers the board with news
    command += [f"--LabApp.app_settings_dir={beside / 'settings'}", *jupyter_options]
    if no_browser:
        command.append("--no-browser")
    with temporary_folder("lpmkit-lab-") as runtime:
        # a socket's path has 107 characters at most, which a long home directory would exceed
        environment["JUPYTER_RUNTIME_DIR"] = str(runtime)
        also = [signal.SIGINT] if hub else []  # a hub's first way to end a server
        if not as_json:
            sys.exit(_serve(command, environment, also))
        token_file = None if hub else str(_token_file(runtime, environment))
        facts = {"token_file": token_file, "folder": str(folder), "site_file": environment.get("LPMKIT_SITE")}

        def tell(pid: int) -> bool:
            address = _lab_address(runtime / f"jpserver-{pid}.json")
            if address is not None:
                print_json({"address": address, "pid": pid, **facts})
            return address is not None

        sys.exit(_serve(command, environment, also, tell))


def _require_hub(person: Person) -> None:
    """Raise `UsageError` where no JupyterHub has started this process, or one that hides the person."""
    if importlib.util.find_spec("jupyterhub") is None or "JUPYTERHUB_SERVICE_URL" not in os.environ:
        raise UsageError(
            "no JupyterHub has started this, or its package is not installed beside lpmkit",
            next_step="Only `c.Spawner.cmd` of a JupyterHub names --hub: docs/security.md. By hand: `lpmkit lab`.",
        )
    if person.login != person.account:
        raise UsageError(
            f"the hub belongs to the login session of {person.login}, who would stand in every person's record",
            next_step="Start the hub as a service (systemd), not from a login session.",
        )


def _lab_door(hub: bool, jupyter_options: Sequence[str]) -> list[str]:
    """JupyterLab's module and its options for access; a hub has doors of its own.

    The address is a number: a browser may take ``localhost`` for ``::1``, where another account can listen, which would
    be given the token.
    """
    if hub:
        return ["jupyterhub.singleuser"]
    has_address = any(re.match(r"--(ServerApp\.)?ip\b", option) for option in jupyter_options)
    address = [] if has_address else ["--ServerApp.ip=127.0.0.1"]
    return ["jupyterlab", *address, "--IdentityProvider.cookie_options=SameSite=Strict"]


@click.command("app", context_settings={"ignore_unknown_options": True})
@click.option("--port", type=click.IntRange(1, 65535), default=8866, show_default=True)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option(
    "--socket",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Serve on this Unix socket instead of a port, for a reverse proxy.",
)
@click.option("--socket-group", metavar="GROUP", help="The proxy's group, which may use the socket too.")
@click.option(
    "--host-name",
    "host_names",
    multiple=True,
    metavar="NAME",
    help="A name by which the proxy is reached. May be repeated.",
)
@click.option(
    "--person-header",
    metavar="NAME",
    help="The header in which the proxy says who logged in, instead of a token; needs --socket.",
)
@click.argument("voila_options", nargs=-1, type=click.UNPROCESSED)
@server_json_option
@click.pass_context
@reports_errors
def app(
    context: click.Context,
    port: int,
    no_browser: bool,
    socket: Path | None,
    socket_group: str | None,
    host_names: Sequence[str],
    person_header: str | None,
    voila_options: Sequence[str],
    as_json: bool,
) -> None:
    """Serve the guided move, its verification and the history as web pages without code (Voilà).

    Listens on this machine only; the printed address has a token. For several users see docs/security.md: JupyterHub,
    or a reverse proxy that authenticates them.
    """
    from lpmkit.account.person import PERSON_HEADER
    from lpmkit.background.temporary import temporary_folder
    from lpmkit.installed.extras import require_package
    from lpmkit.notebook.models import write_application

    require_package("voila")
    site = find_site_file(context.obj).resolve()
    options = _door(socket, socket_group, host_names, person_header)
    templates = str(Path(lpmkit.__file__).parent / "templates" / "jupyter")
    found = [templates, *filter(None, [os.environ.get("JUPYTER_PATH")])]
    environment = {
        **os.environ,
        "LPMKIT_SITE": str(site),
        "JUPYTER_PATH": os.pathsep.join(found),
        PERSON_HEADER: person_header or "",
    }
    for name in ("JUPYTER_TOKEN", f"HTTP_{(person_header or '').upper().replace('-', '_')}"):
        environment.pop(name, None)
    with temporary_folder("lpmkit-app-") as folder:
        notebook = write_application(folder / "pages")
        kept = _token_file(folder, environment)
        command = [
            sys.executable,
            "-m",
            "lpmkit.notebook.server",
            str(notebook),
            f"--port={port}",
            "--Voila.ip=127.0.0.1",
            "--Voila.port_retries=0",
            KERNELS_BY_FILES,
        ]
        command += [f"--Voila.connection_dir_root={folder}", "--template=lpmkit", *options, *voila_options]
        command += ["--no-browser"] if no_browser or socket else []
        if as_json:
            address = f"http://127.0.0.1:{port}/" if socket is None else str(socket.resolve())
            token_file = None if person_header else str(kept)
            facts = {"token_file": token_file, "folder": None, "site_file": str(site)}

            def tell(pid: int) -> bool:
                listens = _listens(port if socket is None else socket)
                if listens:
                    print_json({"address": address, "pid": pid, **facts})
                return listens

            sys.exit(_serve(command, environment, tell=tell))
        token = kept.read_text(encoding="ascii")
        if socket is None:
            print_line(f"http://127.0.0.1:{port}/?token={token} for {site}")
        else:
            print_line(f"{socket} for {site}" + ("" if person_header else f"; token {token}"))
        sys.exit(_serve(command, environment))


def _token_file(folder: Path, environment: dict[str, str]) -> Path:
    """Write a new token into a file that only this account reads, and have the server take it from there."""
    kept = folder / "token"
    with os.fdopen(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(token_hex(24))
    environment.pop("JUPYTER_TOKEN", None)
    environment["JUPYTER_TOKEN_FILE"] = str(kept)
    return kept


def _lab_address(facts: Path) -> str | None:
    """The address of a Jupyter server, by the file that it writes once it listens; ``None`` before."""
    try:
        return str(json.loads(facts.read_text(encoding="utf-8"))["url"])
    except (OSError, ValueError, KeyError):
        return None


def _listens(at: int | Path) -> bool:
    """True once a server accepts connections on a port of this machine, or on a Unix socket."""
    kind, address = (sockets.AF_INET, ("127.0.0.1", at)) if isinstance(at, int) else (sockets.AF_UNIX, str(at))
    with sockets.socket(kind, sockets.SOCK_STREAM) as wire:
        wire.settimeout(1.0)
        return wire.connect_ex(address) == 0


def _serve(
    command: Sequence[str],
    environment: Mapping[str, str],
    also: Sequence[signal.Signals] = (),
    tell: Callable[[int], bool] | None = None,
) -> int:
    """Run a web server until it ends, and end it with this command: no server outlives it. Returns its status.

    ``tell`` is called with its process id again and again until it is true, by which the program that started this
    command learns that the server listens; what the server prints goes to standard error then.
    A hang-up, SIGTERM or one of ``also`` ends it; a server that is still there `STOP_PATIENCE_S` later is killed.
    """
    started: list[subprocess.Popen[bytes]] = []

    def end(number: int, _frame: object) -> None:
        if not started:  # it comes before the server has: there is nothing to pass it on to
            sys.exit(128 + number)
        started[0].terminate()
        killer = Timer(STOP_PATIENCE_S, started[0].kill)
        killer.daemon = True
        killer.start()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP, *also)}
    # what it writes, such as IPython's history of commands, is this account's alone
    out = None if tell is None else sys.stderr.fileno()
    server = subprocess.Popen(command, env=environment, umask=0o077, stdout=out)  # noqa: S603 - Jupyter's servers
    started.append(server)
    try:
        while True:
            try:
                while tell is not None and server.poll() is None:
                    tell = None if tell(server.pid) else tell
                    sleep(LOOK_S)
                status = server.wait()
                if tell is not None:
                    what = f"the server ended with status {status} before it listened"
                    print_json(error_data(LpmError(what, next_step="Its own messages are on standard error.")))
                    return status or COULD_NOT_TELL
                return status
            except KeyboardInterrupt:  # the terminal has sent it to the server too, which asks or ends by itself
                continue
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _door(socket: Path | None, group: str | None, host_names: Sequence[str], header: str | None) -> list[str]:
    """The server's options for access. Raises `UsageError` for a combination without authentication."""
    if header is not None and socket is None:
        raise UsageError(
            "a header can be set by anybody who reaches a port",
            next_step="Serve on a --socket that only the proxy may use.",
        )
    if header is not None and not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,63}", header):
        raise UsageError(f"{header!r} is no name of a header", next_step="Such as X-Remote-User.")
    if group is not None and socket is None:
        raise UsageError("--socket-group belongs to --socket")
    if socket is not None and socket.exists() and not socket.is_socket():
        raise UsageError("there is a file already", where=str(socket), next_step="Name a path that is free.")
    if group is not None:
        _require_member(group)
    if socket is not None:
        _private_folder(socket)
    found = [f"--Server.host_names={name}" for name in host_names]
    found += [f"--Server.socket={socket.resolve()}"] if socket else []
    found += [f"--Server.socket_group={group}"] if group else []
    return [*found, *([f"--Server.person_header={header}"] if header else [])]


def _require_member(group: str) -> None:
    """Raise `UsageError` for a group that this account cannot give a file to."""
    try:
        number = grp.getgrnam(group).gr_gid
    except KeyError:
        raise UsageError(f"there is no group {group!r} on this machine") from None
    if os.geteuid() != 0 and number not in {os.getegid(), *os.getgroups()}:
        account = account_name(os.geteuid())
        raise UsageError(
            f"the socket cannot be given to the group {group}: {account} is no member of it",
            next_step=f"As root: usermod -aG {group} {account}. Then log in again.",
        )


def _private_folder(socket: Path) -> None:
    """Make the folder of a socket, if it is missing, and refuse one in which others could put another socket."""
    from lpmkit.runs.files import make_folder, who_else_may_write

    make_folder(socket.parent)
    if trouble := who_else_may_write(socket.parent):
        raise UsageError(
            f"others could replace the socket, and read what the browsers send: {trouble}",
            where=str(socket),
            next_step="Name a path in a folder that only you may write to, such as ~/.lpmkit or /run/user/$UID.",
        )


@click.command()
@json_option
@click.pass_context
@reports_errors
def doctor(context: click.Context, as_json: bool) -> None:
    """Examine this machine: packages, programs, SSH agent, site file, and whether every host can be reached."""
    from lpmkit.doctor import examine_machine

    rows = examine_machine(context.obj)
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        _print_diagnoses(rows)
    verdicts = {row.verdict for row in rows}
    sys.exit(NOT_FINE if "fail" in verdicts else COULD_NOT_TELL if "unknown" in verdicts else FINE)


def _print_diagnoses(rows: Sequence[Diagnosis]) -> None:
    """Print what needs attention, each with its next step, then what is in order, the packages in one line, then what
    is missing and optional, and the verdict.
    """
    from lpmkit.doctor import PACKAGE, verdict_line

    order = ("fail", "unknown", "warn")
    urgent = [row for row in rows if row.verdict in order and not row.optional]
    for row in sorted(urgent, key=lambda row: order.index(row.verdict)):
        print_item(MARKS[row.verdict], f"{row.what}: {row.found}", row.next_step)
    fine = [row for row in rows if row.verdict not in order]
    packages = [row for row in fine if row.what.startswith(PACKAGE)]
    for row in fine:
        if row not in packages:
            print_item(MARKS[row.verdict], f"{row.what}: {row.found}")
    if packages:
        versions = ", ".join(f"{row.what.removeprefix(PACKAGE)} {row.found}" for row in packages)
        print_item(MARKS["pass"], f"{len(packages)} packages: {versions}")
    for row in rows:
        if row.optional:
            print_item("optional", f"{row.what}: {row.found}", row.next_step)
    terminal().print(verdict_line(rows))


COMMANDS = (
    simulate,
    demo,
    lab,
    app,
    doctor,
)
