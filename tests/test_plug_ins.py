"""Plug-ins of other packages: the documented example works, and a faulty one is named and harms nothing."""

from __future__ import annotations

import io
import json
import shutil
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lpmkit.checks import examine, ready
from lpmkit.checks.judging import Answer, Finding, Verdict
from lpmkit.checks.plugged import plugged_findings
from lpmkit.config import PartitionSettings, Site
from lpmkit.installed import plugins
from lpmkit.probes.orders import plan
from lpmkit.probes.process import run as run_probes
from lpmkit.runs.audit import Action, audit_records
from lpmkit.runs.deliveries import undelivered
from lpmkit.runs.folder import Run
from lpmkit.sinks import with_hooks
from lpmkit.sinks.courier import Courier
from lpmkit.ssh.secrets import Secrets
from lpmkit.survey.model import Survey, SystemFacts

TOP = Path(__file__).parent.parent
EXAMPLE = TOP / "examples" / "plug-ins"
SURVEY = Survey("bxaix85", SystemFacts("bvio82"), SystemFacts("bvio83"))
#: Installs a package from its module's source and its entry points, as pip leaves it.
Install = Callable[[str, str, Mapping[str, Mapping[str, str]]], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    packages, imported = tmp_path / "site-packages", set(sys.modules)
    monkeypatch.syspath_prepend(str(packages))

    def put(name: str, source: str, entries: Mapping[str, Mapping[str, str]]) -> None:
        info = packages / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (packages / f"{name}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [
            f"[{group}]\n" + "".join(f"{key} = {at}\n" for key, at in each.items()) for group, each in entries.items()
        ]
        (info / "entry_points.txt").write_text("\n".join(lines))
        plugins.plugins.cache_clear()

    yield put
    plugins.plugins.cache_clear()
    for name in {"faulty", "lpmkit_example"} & sys.modules.keys() - imported:
        del sys.modules[name]


@pytest.fixture
def example(install: Install) -> None:
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    install("lpmkit_example", (EXAMPLE / "lpmkit_example.py").read_text(), project["entry-points"])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = tmp_path / "runs" / "stopped-move"
    folder.mkdir(parents=True)
    for name in ("run.json", "events.jsonl", "recorder.lock"):
        shutil.copy(TOP / "fixtures" / "runs" / "stopped-move" / name, folder)
    return Run(folder)


def probed(settings: Any) -> tuple[list[Any], list[Any]]:
    """The observations and the events of the probes that a partition's plug-ins are."""
    orders = [order for order in plan("bxaix85", settings, None) if order.kind == "plugin"]
    assert {order.group for order in orders} == {"plugins"}, "a process of their own"
    stop = threading.Event()

    class Out(io.BytesIO):
        """Ends the probes once each has told what it sees, or why it cannot."""

        def write(self, content: Any) -> int:
            written = super().write(content)
            lines = self.getvalue().decode().splitlines()
            told = [line for line in lines if line.startswith("O ") or '"probe-trouble"' in line]
            if all(any(order.name in line for line in told) for order in orders):
                stop.set()
            return written

    out = Out()
    run_probes(orders, {}, out, stop)
    rows, events = [], []
    for line in out.getvalue().splitlines():
        if line.startswith(b"E "):
            events.append(json.loads(line[2:]))
        elif line.startswith(b"{"):
            rows.append(json.loads(line))
    return rows, events


def test_the_example_checks_probes_delivers_and_is_called(example: None, run: Run, tmp_path: Path) -> None:
    (finding,) = [each for each in examine(SURVEY) if each.key == "plugin-naming"]
    assert (finding.title, finding.verdict) == ("Name in lower case", Verdict.PASS)
    settings = PartitionSettings.model_validate({"host": "h", "probes": {"load": {"settings": {"digits": 1}}}})
    rows, events = probed(settings)
    assert rows[0]["question"] == "load"
    assert isinstance(rows[0]["rows"][0]["load_1min"], float)
    assert [event["kind"] for event in events] == ["probe-started", "probe-ended"]
    journal = tmp_path / "journal"
    data = {"kind": "plugin", "name": "journal", "settings": {"path": str(journal)}}
    sinks = with_hooks(Site.model_validate({"sinks": {"journal": data}}).sinks)
    assert set(sinks) == {"journal", "hook bell"}
    Courier(run, sinks, Secrets(may_ask=False)).carry()
    wanted = [each for each in audit_records(run.name, run.manifest, run.events()) if each.action is not Action.PHASE]
    assert len(journal.read_text().splitlines()) == len(wanted)
    assert run.path.with_suffix(".ended").exists()
    assert undelivered(run) == []


FAULTY = """
import time
from types import SimpleNamespace
def raises(*given): raise KeyError("no such thing")
def nothing(survey): return []
def lies(survey): return [SimpleNamespace(verdict="pass", title="", about="", facts={}, remedy="")]
def sleeps(survey): time.sleep(5)
def leaves(survey): raise SystemExit(0)
class Mute:
    def __init__(self, *given): pass
    def look(self): return {1, 2}
"""


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("faulty:raises", "KeyError: 'no such thing'"),
        ("faulty:nothing", "returned no result"),
        ("faulty:lies", "not a RuleResult"),
        ("faulty:sleeps", "took longer than 0.2 s"),
        ("faulty:leaves", "SystemExit"),
        ("faulty:absent", "does not work: AttributeError"),
        ("no_such_module:x", "does not work: ModuleNotFoundError"),
    ],
)
def test_a_faulty_check_is_named_and_unknown_whatever_it_does(entry: str, why: str, install: Install) -> None:
    install("faulty", FAULTY, {"lpmkit.checks": {"mine": entry}})
    (finding,) = plugged_findings(SURVEY, limit_s=0.2)
    assert (finding.key, finding.verdict) == ("plugin-mine", Verdict.UNKNOWN)
    assert why in str(finding.facts["does not work"])
    assert "mine (faulty, " in str(finding.facts["plug-in"])
    fine = Finding("keys", "", Verdict.PASS, "bvio82")
    assert ready([fine, finding]) is Answer.COULD_NOT_TELL


def test_a_faulty_probe_is_named_and_its_neighbour_goes_on(install: Install) -> None:
    source = FAULTY + "class Fine(Mute):\n    def look(self): return []\n"
    entries = {"bad": "faulty:raises", "mute": "faulty:Mute", "fine": "faulty:Fine"}
    install("faulty", source, {"lpmkit.probes": entries})
    settings = PartitionSettings.model_validate({"host": "h", "probes": {name: {} for name in (*entries, "absent")}})
    rows, events = probed(settings)
    assert {row["question"] for row in rows} == {"fine"}
    troubles = {event["data"]["probe"]: event["data"]["what"] for event in events if event["kind"] == "probe-trouble"}
    assert troubles.keys() == {"plugin-bad", "plugin-mute", "plugin-absent"}
    assert "the plug-in bad: KeyError" in troubles["plugin-bad"]
    assert "no plug-in 'absent'" in troubles["plugin-absent"]


def test_a_faulty_hook_and_sink_are_named_in_what_was_not_delivered(install: Install, run: Run) -> None:
    install("faulty", FAULTY, {"lpmkit.hooks": {"bell": "faulty:raises"}, "lpmkit.sinks": {"pager": "faulty:absent"}})
    data = {"kind": "plugin", "name": "pager"}
    Courier(run, with_hooks(Site.model_validate({"sinks": {"pager": data}}).sinks), Secrets(may_ask=False)).carry()
    (missed,) = undelivered(run)  # the record is of a site without sinks; hooks are known by what became of them
    assert missed.sink == "hook bell"
    assert "KeyError: 'no such thing'" in missed.sentence(run.name)
