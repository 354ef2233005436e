"""The playbook of a whole move, run by Ansible itself against the simulator."""

from __future__ import annotations

import importlib.util
import json
import os
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lpmkit.runs.folder import Run
from tests.end_to_end.cases import rehearse, times_asked
from tests.forked import Command

TOP = Path(__file__).parent.parent.parent
HAS_ANSIBLE = importlib.util.find_spec("ansible") is not None and importlib.util.find_spec("ansible.cli") is not None
#: The command that the modules call: it has the process that has everything imported run the command line.
SHIM = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as way:
    way.connect({address!r})
    way.sendall(json.dumps([sys.argv[1:], dict(os.environ)]).encode() + b"\\n")
    status, output, error = json.loads(b"".join(iter(lambda: way.recv(65536), b"")))
sys.stdout.write(output)
sys.stderr.write(error)
sys.exit(status)
"""


def runs_in(folder: Path) -> list[Run]:
    return [Run(path.parent) for path in sorted(folder.glob("*/run.json"))]


@contextmanager
def forked_command(typed: list[list[str]]) -> Iterator[str]:
    """The path of a command ``lpmkit`` that runs as `tests.forked.Command`; ``typed`` gets its command lines."""

    class Door(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            arguments, environment = json.loads(self.rfile.readline())
            typed.append(arguments)
            child = Command(arguments, environment)
            output, error = child.communicate(timeout=400)
            self.wfile.write(json.dumps([child.returncode, output, error]).encode())

    with tempfile.TemporaryDirectory() as folder:
        path, address = Path(folder) / "lpmkit", str(Path(folder) / "door")
        path.write_text(SHIM.format(python=sys.executable, address=address), encoding="utf-8")
        path.chmod(0o755)
        with socketserver.ThreadingUnixStreamServer(address, Door) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            yield str(path)
            server.shutdown()
            thread.join()


#: What a play does with a partition that has arrived: it is watched, and a plan that wants it there has nothing to do.
AFTERWARDS = """
- hosts: localhost
  gather_facts: false
  module_defaults:
    group/lpmkit.powervm.lpm: {executable: "{{ lpm_command }}", site: "{{ lpm_site }}"}
  tasks:
    - lpmkit.powervm.lpm_watch: {hosts: ["{{ partition }}"], duration: 2}
      register: watched
    - lpmkit.powervm.lpm_plan: {file: "{{ plan }}", confirm: t}
      register: planned
    - assert:
        that:
          - watched.status == 0 and watched is not changed and not watched.answer.verdict.questions | selectattr('key', 'equalto', 'moved') | list
          - planned.status == 0 and planned is not changed and planned.already_there
"""


@pytest.mark.skipif(not HAS_ANSIBLE, reason="ansible-core is not installed: pip install 'lpmkit[ansible]'")
def test_the_playbook_checks_validates_moves_and_writes_the_verification(tmp_path: Path) -> None:
    collections = tmp_path / "collections" / "ansible_collections" / "lpmkit"
    collections.mkdir(parents=True)
    (collections / "powervm").symlink_to(TOP / "ansible")
    typed: list[list[str]] = []
    with rehearse(tmp_path / "sim", landscape="p8pair", speed=60.0) as rehearsal, forked_command(typed) as command:
        values: dict[str, Any] = {
            "partition": "p8npiv01",
            "target": "p8b",
            "confirm": "p8npiv01",
            "ansible_python_interpreter": sys.executable,
            "lpm_command": command,
            "lpm_site": str(rehearsal.site_file),
            "lpm_forms": ["md"],
            "lpm_lead_in": 2,
            "lpm_tail": 2,
            "lpm_longest": 0,
            "plan": str(tmp_path / "plan.yaml"),
        }
        (tmp_path / "plan.yaml").write_text(
            "title: t\nmoves:\n  - {partition: p8npiv01, target: p8b}\n", encoding="utf-8"
        )
        afterwards = tmp_path / "afterwards.yml"
        afterwards.write_text(AFTERWARDS, encoding="utf-8")
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "ansible",
                "playbook",
                "lpmkit.powervm.move",
                str(afterwards),
                "-e",
                json.dumps(values),
            ],
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"),
                "ANSIBLE_HOME": str(tmp_path / "home"),
                "LC_ALL": "C.UTF-8",
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (run,) = [run for run in runs_in(rehearsal.folder / "runs") if run.manifest["mode"] == "move"]
        assert [words[2] for words in typed] == [
            "check", "validate", "inventory", "move", "write-up", "watch", "plan", "inventory",
        ]  # fmt: skip
        assert times_asked(run) == 1
        assert list((run.path / "write-up").glob("*.md"))
