"""``lpmkit watch`` on a real OpenSSH server, whose whole process tree is really stopped while it runs."""

from __future__ import annotations

import signal
from pathlib import Path

from lpmkit.runs.folder import Run
from lpmkit.timeline import Clock, wait_until
from tests.end_to_end.cases import Terminal
from tests.real_host import RealHost


def _recording(folder: Path) -> Run | None:
    found = [Run(path.parent) for path in folder.glob("*/run.json")]
    return found[0] if found and len(found[0].probes()) == 4 and len(found[0].samples("ssh-ticks")) > 400 else None


def test_the_interval_that_comes_out_contains_the_real_freeze(tmp_path: Path) -> None:
    with RealHost(tmp_path / "host") as host:
        terminal = Terminal(tmp_path / "none")
        terminal._environment.pop("LPMKIT_SITE")
        child = terminal.start(
            "watch", host.name, "--ssh-config", str(host.ssh_config), "--runs", str(tmp_path / "runs"), "--json"
        )
        assert wait_until(lambda: _recording(tmp_path / "runs") is not None, clock=Clock(), timeout_s=200)
        run = _recording(tmp_path / "runs")
        assert run is not None
        truth = host.freeze(1.3)
        before = len(run.samples("ssh-ticks"))
        assert wait_until(lambda: len(run.samples("ssh-ticks")) > before + 400, clock=Clock(), timeout_s=200)
        child.send_signal(signal.SIGINT)
        said = terminal.answered(child)
    silences = [silence["class"] for host in said.json["hosts"] for silence in host["silences"]]
    # A busy machine lets a process wait, ours and a single service as well; it cuts no link.
    assert set(silences) <= {"suspension", "micro-stop", "observer", "application"}, silences
    found = said.json["suspension"]
    assert found["begin"]["earliest"]["mono_ns"] <= truth.stop_after_ns
    assert found["begin"]["latest"]["mono_ns"] >= truth.stop_before_ns
    assert found["end"]["earliest"]["mono_ns"] <= truth.resume_after_ns
    assert found["end"]["latest"]["mono_ns"] >= truth.resume_before_ns
    assert found["length"]["high"] - found["length"]["low"] < 0.5
    assert {"ticks", "echo", "connect"} <= set(found["mechanisms"])
    assert "moved" not in {row["key"] for row in said.json["verdict"]["questions"]}
    assert [event.kind for event in run.events()][-1] == "recorder-ended"


def test_a_host_that_nobody_can_log_in_to_is_not_evaluated_and_says_why(tmp_path: Path) -> None:
    with RealHost(tmp_path / "host") as host:
        (host.folder / "authorized").write_text("")
        terminal = Terminal(tmp_path / "none")
        terminal._environment.pop("LPMKIT_SITE")
        said = terminal.type(
            "watch",
            host.name,
            "--for",
            "4",
            "--ssh-config",
            str(host.ssh_config),
            "--runs",
            str(tmp_path / "runs"),
            "--json",
        )
    assert said.status == 3, said
    run = Run(said.json["run"])
    trouble = [event.data["what"] for event in run.events() if event.kind == "probe-trouble"]
    assert any("does not let" in what for what in trouble)
