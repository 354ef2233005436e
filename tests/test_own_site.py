"""Machines are reached by the operator's own site file, whatever stands in a run folder; a secret goes to the one
child that needs it.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from lpmkit.background.worker import Worker
from lpmkit.cli import main
from lpmkit.config import Site, load_site
from lpmkit.control.base import Order
from lpmkit.errors import NotAllowed, NotFound, RecordError
from lpmkit.recorder import process
from lpmkit.recorder.order import RecordingOrder
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run, create, write_document
from lpmkit.runs.writer import RunWriter
from lpmkit.ssh.secrets import Secrets, environment_without
from lpmkit.timeline import Clock

SITE = """
frames:
  a: {manager: ivm, host: no-such-host-a.invalid, mover_address: 192.0.2.1}
  b: {manager: ivm, host: no-such-host-b.invalid, mover_address: 192.0.2.2}
partitions:
  p: {host: no-such-host-p.invalid}
"""
ORDER = Order("p", "a", "b", "8286-42A*21A40BC", "192.0.2.2", "padmin")


@pytest.fixture
def hostile(tmp_path: Path) -> tuple[Run, Path]:
    """A folder from somebody else whose site would run a program for every host; and the file that shows
    that it ran.
    """
    proof = tmp_path / "PROOF"
    config = tmp_path / "their_config"
    config.write_text(
        f"Match exec \"touch {proof}\"\n  ProxyCommand sh -c 'touch {proof}'\nHost *\n  ProxyCommand sh -c "
        f"'touch {proof}'\n"
    )
    site = {
        "ssh_config": str(config),
        "frames": {
            name: {"manager": "ivm", "host": f"evil-{name}", "mover_address": f"192.0.2.{number}"}
            for number, name in ((1, "a"), (2, "b"))
        },
        "partitions": {"p": {"host": "evil-p"}},
    }
    probe = {
        "name": "ssh-ticks",
        "kind": "ticks",
        "interval_ns": 10_000_000,
        "host": "evil-p",
        "ssh_config": str(config),
    }
    facts = {"order": asdict(ORDER), "site": site, "probes": [probe], "lead_in_s": 2.0, "tail_s": 2.0, "poll_s": 1.0}
    run = create(tmp_path / "theirs", mode="move", title="p-to-b", facts=facts)
    with RunWriter(run.path) as writer:
        writer.event("recorder", "recorder-started", pid=1, mode="move", resumed=False)
        writer.event("recorder", "phase", phase="copying", was="asked", why="x")
    return Run(run.path), proof


@pytest.mark.parametrize(
    "words", [["recover", "--look"], ["recover", "--confirm", "p"], ["stop", "--confirm", "p"], ["attach"]]
)
@pytest.mark.parametrize("own", [SITE, "frames: {}\n", None])
def test_a_folder_from_somebody_else_runs_no_program_and_chooses_no_host(
    words: list[str], own: str | None, hostile: tuple[Run, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, proof = hostile
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LPMKIT_SITE", raising=False)
    if own is not None:
        (tmp_path / "site.yaml").write_text(own)
    monkeypatch.setattr(process, "WORKER", replace(process.WORKER, patience_s=0.0))
    monkeypatch.setattr(Worker, "detach", lambda self, folder, secrets, charge: _vouched(charge))
    result = CliRunner().invoke(main, [*words, str(run.path)])
    assert result.exit_code != 0
    assert not proof.exists()
    assert "evil" not in result.output
    assert "defect" not in result.output


def _vouched(charge: Any) -> Any:
    assert "evil" not in json.dumps(charge)
    assert "their_config" not in json.dumps(charge)
    return SimpleNamespace(pid=1, poll=lambda: 1, kill=lambda: None, wait=lambda seconds: 1)


def _own_book(tmp_path: Path) -> Runbook:
    (tmp_path / "site.yaml").write_text(SITE)
    return Runbook(load_site(tmp_path / "site.yaml"))


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"target_address": "198.51.100.9"}, NotAllowed),
        ({"target_user": "root"}, NotAllowed),
        ({"source": "z"}, NotFound),
    ],
)
def test_an_order_that_does_not_fit_the_own_site_is_refused_at_every_step(
    changed: dict[str, Any], error: type[Exception], tmp_path: Path
) -> None:
    book = _own_book(tmp_path)
    facts = {"order": asdict(replace(ORDER, **changed)), "lead_in_s": 2.0, "tail_s": 2.0, "poll_s": 1.0}
    run = create(tmp_path / "runs", mode="move", title="p-to-b", facts=facts)
    for step in (
        lambda: book.may_move(run, "p"),
        lambda: book.survey(run),
        lambda: book.validate(run),
        lambda: book.look(run),
        lambda: book.left_behind(run),
        lambda: book.stop(run, "p"),
        lambda: book.recover(run, "p"),
    ):
        with pytest.raises(error):
            step()


def test_the_probes_of_a_run_are_the_own_sites_at_the_recorded_rates(hostile: tuple[Run, Path], tmp_path: Path) -> None:
    run, _ = hostile
    manifest = {
        **run.manifest,
        "probes": [{**run.manifest["probes"][0], "interval_ns": 20_000_000, "batch_ns": 50_000_000}],
    }
    write_document(run.path, "run", manifest)
    probes = _own_book(tmp_path).own_probes(Run(run.path))
    assert {probe.host for probe in probes if probe.host} == {"no-such-host-p.invalid"}
    assert {probe.ssh_config for probe in probes} == {None}
    assert next(probe for probe in probes if probe.name == "ssh-ticks").interval_ns == 20_000_000


@pytest.mark.parametrize("rate", [0, -1, 1, "10", None, 1.5, True])
def test_a_rate_that_is_none_is_left_out(rate: object, hostile: tuple[Run, Path], tmp_path: Path) -> None:
    run, _ = hostile
    manifest = {
        **run.manifest,
        "probes": [{**run.manifest["probes"][0], "interval_ns": rate, "batch_ns": 50_000_000}],
    }
    write_document(run.path, "run", manifest)
    book = _own_book(tmp_path)
    ticks = next(probe for probe in book.own_probes(Run(run.path)) if probe.name == "ssh-ticks")
    assert ticks == next(probe for probe in book.probes_of("p") if probe.name == "ssh-ticks")


def test_a_watch_of_a_host_that_the_own_site_does_not_name_gets_no_new_recorder(tmp_path: Path) -> None:
    book = _own_book(tmp_path)
    facts = {"hosts": ["evil-p"], "probes": [], "lead_in_s": 2.0, "tail_s": 2.0, "poll_s": 1.0, "duration_s": None}
    run = create(tmp_path / "runs", mode="watch", title="watch", facts=facts)
    with RunWriter(run.path) as writer:
        writer.event("recorder", "recorder-started", pid=1, mode="watch", resumed=False)
    with pytest.raises(NotAllowed, match="evil-p"):
        book.attach(run)


def test_a_recorder_takes_site_and_probes_from_its_charge_alone(hostile: tuple[Run, Path]) -> None:
    run, _ = hostile
    plan = RecordingOrder.of(run, {"site": Site().as_data(), "probes": []})
    assert plan.site == Site()
    assert plan.probes == ()
    with pytest.raises(KeyError):
        RecordingOrder.of(run, {})


# --- secrets --------------------------------------------------------------------------------------------------------


def test_a_worker_inherits_no_variable_that_a_reference_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPM_PASSWORD", "planted-secret")
    monkeypatch.setenv("HARMLESS", "stays")
    charge = {"site": {"frames": {"a": {"password": "env:LPM_PASSWORD"}}}}
    assert "LPM_PASSWORD" not in environment_without(charge)
    assert environment_without(charge)["HARMLESS"] == "stays"
    folder = create(tmp_path, mode="watch", title="x", facts={})
    code = "import os, pathlib, sys; pathlib.Path(sys.argv[1], 'environ').write_text(repr(sorted(os.environ)))"
    (tmp_path / "shows_environment.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("subprocess.Popen", _waiting(monkeypatch))
    with pytest.raises(RecordError):
        Worker("recorder", "shows_environment", patience_s=0.0).start(folder, Secrets(), Clock(), charge)
    shown = (folder.path / "environ").read_text()
    assert "HARMLESS" in shown
    assert "LPM_PASSWORD" not in shown


def _waiting(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A Popen whose child has ended when its standard input is closed."""

    class Waiting(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self.wait()

    return Waiting


def test_a_child_gets_only_the_secrets_that_its_own_orders_name() -> None:
    secrets = Secrets(
        {"env:SAP": "1", "env:ORA": "2", "prompt bxaix85": "3", "prompt BX5 on bxaix85": "4", "prompt other": "5"}
    )
    assert secrets.known_for([{"password": "env:SAP", "host": "x"}]) == {"env:SAP": "1"}
    assert secrets.known_for([{"password": "prompt", "host": "bxaix85"}]) == {"prompt bxaix85": "3"}
    assert secrets.known_for([{"options": {"sid": "BX5", "password": "prompt"}}]) == {"prompt BX5 on bxaix85": "4"}
    assert secrets.known_for([{"password": None}]) == {}
    assert os.environ.get("SAP") is None
