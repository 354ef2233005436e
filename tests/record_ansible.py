"""Answers of the real commands on the simulator, recorded for ``tests/test_ansible.py``:
``python -m tests.record_ansible``.

Writes ``fixtures/ansible/answers.json``: by name the command line, the exit status and the answer.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.end_to_end.cases import Terminal, rehearse

ANSWERS = Path(__file__).parent.parent / "fixtures" / "ansible" / "answers.json"
ORDER = ("bxaix85", "--to", "bvio83")
PLAN = "title: blades\nmoves:\n  - {partition: bxaix85, target: bvio83}\n"
#: Stands for the folder of the recording.
FOLDER = "/srv/lpm"


class Recorder:
    """Types commands at one site and notes what they answer."""

    def __init__(self) -> None:
        self.noted: dict[str, Any] = {}

    def note(self, name: str, terminal: Terminal, *words: str) -> None:
        said = terminal.type(*words, "--json")
        folder = str(terminal.site_file.parent)
        answer = json.loads(json.dumps(said.json).replace(folder, FOLDER))
        typed = [word.replace(folder, FOLDER) for word in words]
        self.noted[name] = {"words": typed, "status": said.status, "answer": answer}


def main() -> None:
    recorder = Recorder()
    quick = ("--confirm", "bxaix85", "--lead-in", "2", "--tail", "2")
    with tempfile.TemporaryDirectory() as top:
        with rehearse(Path(top) / "a") as rehearsal:
            terminal = Terminal(rehearsal.site_file)
            plan = rehearsal.folder / "blades.yaml"
            plan.write_text(PLAN, encoding="utf-8")
            recorder.note("inventory", terminal, "inventory")
            recorder.note("check", terminal, "check", *ORDER)
            recorder.note("plan-check", terminal, "plan", "check", str(plan))
            recorder.note("move-without-validation", terminal, "move", *ORDER, "--limit", "suspension=9", *quick)
            recorder.note("validate", terminal, "validate", *ORDER)
            recorder.note("move", terminal, "move", *ORDER, *quick)
            recorder.note("inventory-after", terminal, "inventory")
            recorder.note("check-after", terminal, "check", *ORDER)
            recorder.note("plan-check-after", terminal, "plan", "check", str(plan))
        recorder.note("check-unreachable", terminal, "check", *ORDER)
        recorder.note("inventory-unreachable", terminal, "inventory")
        with rehearse(Path(top) / "b", "suspend-refused:bxaix85") as rehearsal:
            terminal = Terminal(rehearsal.site_file)
            terminal.validated()
            recorder.note("move-failed", terminal, "move", *ORDER, *quick)
        with rehearse(Path(top) / "c", "no-room-memory") as rehearsal:
            terminal = Terminal(rehearsal.site_file)
            plan = rehearsal.folder / "blades.yaml"
            plan.write_text(PLAN, encoding="utf-8")
            recorder.note("check-unready", terminal, "check", *ORDER)
            recorder.note("validate-refused", terminal, "validate", *ORDER)
            recorder.note("plan-check-unready", terminal, "plan", "check", str(plan))
    ANSWERS.parent.mkdir(exist_ok=True)
    lines = (f"{json.dumps(name)}: {json.dumps(row, ensure_ascii=False)}" for name, row in recorder.noted.items())
    ANSWERS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
