"""``python -m lpmkit.simulator``: start the simulator, say how to log in, run until it is told to end."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path

import click

from lpmkit.simulator.faults import ALIASES, KINDS, FaultProblem, parse
from lpmkit.simulator.host import HostError
from lpmkit.simulator.isolation import IsolationError
from lpmkit.simulator.landscape import LandscapeError
from lpmkit.simulator.simulator import Simulator

FILE = click.Path(path_type=Path)


def _list_faults(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    for kind in KINDS.values():
        click.echo(f"{kind.form:<32} {kind.situation}")
    click.echo("\nEach may be followed by ,object=… ,after=N ,times=N ,when=PHASE@PERCENT ,message=… ,delay=SECONDS")
    click.echo("Also as validate:NAME: " + ", ".join(sorted(ALIASES)))
    context.exit()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--landscape",
    type=FILE,
    help="Frames and partitions: a file or a built-in name (js22, p7pair, p8pair, p10pair, estate).",
)
@click.option("--directory", type=FILE, help="Folder for keys, ssh_config and site.yaml; a temporary one by default.")
@click.option("--truth", type=FILE, help="File for the true times of each move, one JSON object a line.")
@click.option(
    "--speed", default=1.0, show_default=True, help="Shortens moves by this factor, but never the suspension."
)
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same moves.")
@click.option("--fault", "faults", multiple=True, metavar="SPEC", help="Fault to inject; may be repeated.")
@click.option("--list-faults", is_flag=True, is_eager=True, expose_value=False, callback=_list_faults,
              help="List the faults, each with the situation it reproduces.")  # fmt: skip
@click.option("--isolate", is_flag=True, help="Put partitions in network namespaces of their own (root only).")
@click.option(
    "--round-trip", "round_trip_ms", default=0.0, metavar="MS", help="Round-trip time to every host, in milliseconds."
)
@click.option("--for", "seconds", type=float, help="End after this many seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when ready instead of text for people.")
def main(
    landscape: Path | None,
    directory: Path | None,
    truth: Path | None,
    speed: float,
    seed: int,
    faults: tuple[str, ...],
    isolate: bool,
    round_trip_ms: float,
    seconds: float | None,
    as_json: bool,
) -> None:
    """Simulate two JS22 blades under IVM (or two servers under an HMC) and an AIX partition, reachable by SSH on
    loopback.
    """
    try:
        simulator = Simulator(
            landscape,
            directory=directory,
            truth=truth,
            speed=speed,
            seed=seed,
            faults=[parse(fault) for fault in faults],
            isolate=isolate,
            round_trip_s=round_trip_ms / 1000,
        )
        with simulator:
            ended = _ended_by_signal()
            click.echo(json.dumps(_facts(simulator)) if as_json else _welcome(simulator))
            ended.wait(seconds)
    except (FaultProblem, LandscapeError, IsolationError, HostError, OSError) as problem:
        raise click.ClickException(str(problem)) from problem


def _ended_by_signal() -> threading.Event:
    """An event that is set when this process is asked to end."""
    ended = threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: ended.set())
    return ended


def _facts(simulator: Simulator) -> dict[str, object]:
    return {
        "ready": True,
        "directory": str(simulator.directory),
        "ssh_config": str(simulator.ssh_config),
        "site_file": str(simulator.site_file),
        "truth": str(simulator.truth_path),
        "isolated": simulator.isolate,
        "partitions": {name: host.pid for name, host in simulator.hosts.items()},
    }


def _welcome(simulator: Simulator) -> str:
    config = simulator.ssh_config
    rows = [f"Landscape {simulator.world.name} is up. Log in with:", ""]
    for hmc in simulator.world.hmcs:
        systems = ", ".join(frame.system_name for frame in simulator.world.under(hmc.host))
        rows.append(f"  ssh -F {config} {hmc.host:<10} # hscroot, HMC of {systems}")
    for frame in simulator.world.frames:
        if frame.hmc is None:
            rows.append(f"  ssh -F {config} {frame.vios.hostname:<10} # padmin, IVM of {frame.system_name}")
    for found in simulator.world.partitions:
        if found.host:
            rows.append(f"  ssh -F {config} {found.name:<10} # root, AIX on {found.frame}")
    rows += ["", f"Site file: {simulator.site_file}", f"Truth:     {simulator.truth_path}"]
    if not simulator.isolate:
        rows += [
            "",
            "While a partition is suspended its processes stand still, but this machine's kernel still completes TCP",
            "handshakes for it and acknowledges what is sent; --isolate (root) takes its network away as well.",
        ]
    return "\n".join([*rows, "", "Ctrl-C ends it."])


if __name__ == "__main__":
    main()
