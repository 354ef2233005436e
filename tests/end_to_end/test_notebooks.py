"""The notebook models run top to bottom against the simulator."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lpmkit.config import load_site
from lpmkit.notebook.models import copy_models, models
from lpmkit.rehearsal import Rehearsal
from lpmkit.runs.folder import Run
from tests.end_to_end.cases import Hold, phases, rehearse, soon, times_asked


def _run(model: str, folder: Path, kernel: Any = None, **parameters: Any) -> Any:
    """A model run from clean by papermill with other parameters, in a kernel of its own or in one that is emptied for
    it; the copy with its outputs is written into ``folder``.
    """
    import papermill  # noqa: PLC0415 - costs two seconds, which only the worker with these tests pays

    source = next(path for path in models() if path.stem == model)
    return papermill.execute_notebook(
        str(source),
        str(folder / source.name),
        parameters=parameters,
        cwd=str(folder),
        kernel_name="python3",
        progress_bar=False,
        execution_timeout=400,
        **({} if kernel is None else {"km": _emptied(kernel)}),
    )


@contextmanager
def _one_kernel(folder: Path) -> Iterator[Any]:
    """A kernel for notebooks one after the other: what each imports costs a second and a half."""
    from jupyter_client.manager import KernelManager  # noqa: PLC0415 - as above

    kernel = KernelManager(kernel_name="python3")
    kernel.start_kernel(cwd=str(folder))
    try:
        yield kernel
    finally:
        kernel.shutdown_kernel(now=True)


def _emptied(kernel: Any) -> Any:
    """The kernel without a name of the notebook before."""
    client = kernel.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=200)
        reply = client.execute("%reset -f", silent=True, reply=True, timeout=200)
        assert reply["content"]["status"] == "ok", reply
    finally:
        client.stop_channels()
    return kernel


def _plain(notebook: Any) -> str:
    """Everything that a reader of the saved copy sees without widgets."""
    texts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "application/vnd.jupyter.widget-view+json" not in data:
                texts += [str(data.get(kind, "")) for kind in ("text/html", "text/plain")]
    return "\n".join(texts)


def test_the_numbered_models_run_top_to_bottom_one_after_the_other_and_bring_the_partition_home(tmp_path: Path) -> None:
    with rehearse(tmp_path / "sim", speed=100.0) as rehearsal, _one_kernel(tmp_path) as kernel:

        def run_model(model: str, **parameters: Any) -> Any:
            return _run(model, tmp_path, kernel, **parameters)

        own, config = tmp_path / "own" / "site.yaml", str(rehearsal.folder / "ssh_config")
        named = {"FILE": str(own), "IVMS": ["bvio82", "bvio83"], "SSH_CONFIG": config}
        set_up = _plain(run_model("05_set_up_a_site", **named, WAIT=True, WRITE=True))
        assert "Ready: all logins work." in set_up
        assert list(load_site(own).sap_of("bxaix85")) == ["BX5"]
        site = {"SITE": str(rehearsal.site_file)}
        short = {"LEAD_IN_S": 4.0, "TAIL_S": 3.0, "CONFIRM": "bxaix85", "WAIT": True}
        checked = _plain(run_model("10_survey_and_check", **site, PARTITION="bxaix85", TARGET="bvio83"))
        assert "Validation passed" in checked
        assert "MOVED" in _plain(run_model("20_move_and_watch", **site, **short))
        (run,) = [Run(path.parent) for path in rehearsal.folder.glob("runs/*/run.json")]
        assert phases(run)[-1] == "settled"
        written = _plain(run_model("30_verify_and_write_up", **site, FORMS=["pdf", "zip"], LANGUAGE="de"))
        assert (run.path / "write-up" / "write-up.pdf").exists()
        assert "MOVED" in written
        again = _plain(run_model("20_move_and_watch", **site, WAIT=True))
        assert "MOVED" in again, "a run that has moved is shown, and nothing is asked of anybody"
        assert times_asked(run) == 1
        home = _plain(run_model("50_move_it_home", **site, **short))
        assert "vtscsi2 0x8300000000000000" in home, "the ledger says what its disks were called at home"
        assert "MOVED" in home
        assert "are on their home frames" in home
        compared = _plain(run_model("40_compare_runs", **site))
        assert compared.count("bxaix85-to-") >= 4
        plan = tmp_path / "rack.yaml"
        plan.write_text("moves: [{partition: bxaix85, target: bvio83}]\n", encoding="utf-8")
        looked = _plain(run_model("60_move_several", **site, PLAN=str(plan)))
        assert "accepts it" in looked
        assert "not started" in looked, "without the title typed nothing is carried out"


def test_without_the_name_typed_nothing_moves(tmp_path: Path) -> None:
    notebook = _run("00_rehearse_on_the_simulator", tmp_path, SPEED=25.0, LEAD_IN_S=4.0, TAIL_S=3.0)
    assert "Not stopped" in _plain(notebook)
    Rehearsal(tmp_path / "simulator").close()
    (run,) = [Run(path.parent) for path in tmp_path.glob("simulator/runs/*/run.json")]
    assert not run.events()


def test_the_rehearsal_runs_top_to_bottom_and_a_kernel_restarted_in_mid_copy_comes_back_to_the_same_run(
    tmp_path: Path,
) -> None:
    model, hold = "00_rehearse_on_the_simulator", Hold(tmp_path)
    given = {"SPEED": 25.0, "LEAD_IN_S": 4.0, "TAIL_S": 3.0}

    written = tmp_path / f"{model}.ipynb"

    def let_go() -> None:
        """The moment at which the second kernel has come as far as the checks."""
        soon(lambda: written.exists() and "Checks: " in written.read_text(encoding="utf-8"))
        hold.let_go()

    with rehearse(tmp_path / "simulator", hold.fault):
        _run(model, tmp_path, **given, CONFIRM="bxaix85")
        (run,) = [Run(path.parent) for path in tmp_path.glob("simulator/runs/*/run.json")]
        soon(lambda: "copying" in phases(run))
        written.unlink()
        later = threading.Thread(target=let_go)
        later.start()
        notebook = _run(model, tmp_path, **given, WAIT=True)
        later.join()
        assert len(list(tmp_path.glob("simulator/runs/*/run.json"))) == 1
        assert times_asked(run) == 1
        assert phases(run)[-1] == "settled"
    seen = _plain(notebook)
    assert "Checks: " in seen
    assert "Validation passed" in seen
    assert "MOVED" in seen
    assert (run.path / "report.html").exists()


def test_lab_works_on_dated_copies_of_the_models(tmp_path: Path) -> None:
    folder = copy_models(tmp_path)
    assert [path.name for path in sorted(folder.iterdir())] == [path.name for path in models()]
    assert folder.parent == tmp_path
    with pytest.raises(FileExistsError):
        folder.mkdir()
