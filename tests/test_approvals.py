"""Four eyes: no door leads to a move without the approval of this order by somebody else."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lpmkit.account.person import PERSON_HEADER, Person, account_name, acting_person, person_of_request
from lpmkit.cli import main
from lpmkit.config import RunSettings, Site, load_site
from lpmkit.control.base import Order
from lpmkit.errors import NotAllowed, NotApproved, UsageError
from lpmkit.notebook.record import ApprovalForm
from lpmkit.recorder import process
from lpmkit.recorder.monitor import MigrationMonitor
from lpmkit.runbook import Runbook, Validation
from lpmkit.runs import approvals as module
from lpmkit.runs.approvals import FOLDER, approvals, approve, order_hash, require, use
from lpmkit.runs.folder import Run, create, write_document
from lpmkit.runs.writer import RunWriter
from lpmkit.ssh.secrets import Secrets
from lpmkit.survey.machine_logs import Logs
from lpmkit.timeline import Clock

SITE = """
frames:
  a: {manager: ivm, host: a.invalid, mover_address: 192.0.2.1}
  b: {manager: ivm, host: b.invalid, mover_address: 192.0.2.2}
runs: {approvals: 1}
"""
ORDER = Order("p", "a", "b", "8286-42A*21A40BC", "192.0.2.2", "padmin")
ANNA = Person("anna", "anna", "account")
BERT = Person("bert", "bert", "account")
CARL = Person("carl", "carl", "account")
HOUR_NS = 3600 * 1_000_000_000


class _At(Clock):
    """A clock whose time of day is this many hours ahead."""

    def __init__(self, hours: float) -> None:
        super().__init__()
        self._ahead_ns = int(hours * HOUR_NS)

    def wall_ns(self) -> int:
        return super().wall_ns() + self._ahead_ns


def _run(parent: Path, order: Order = ORDER) -> Run:
    facts = {"order": asdict(order), "by": "anna", "probes": [], "lead_in_s": 0.0, "tail_s": 0.0, "poll_s": 0.2}
    run = create(parent, mode="move", title=f"{order.partition}-to-{order.target}", facts=facts)
    word = Validation(order, True, 0, "", Clock().wall_ns())
    write_document(run.path, "validation", asdict(word))
    write_document(run.path, "findings", [])
    return run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return _run(tmp_path / "runs")


@pytest.fixture
def written_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Says which account the files of approvals belong to."""

    def say(account: str) -> None:
        monkeypatch.setattr(module, "account_name", lambda uid: account)

    return say


def _counting(run: Run, rules: RunSettings, operator: Person = ANNA, clock: Clock | None = None) -> list[str]:
    return [one.by for one in approvals(run, rules, operator, clock or Clock()) if not one.refused]


def _why_not(run: Run, rules: RunSettings, operator: Person = ANNA, clock: Clock | None = None) -> str:
    with pytest.raises(NotApproved) as caught:
        require(run, rules, operator, clock or Clock())
    return str(caught.value)


def test_nothing_is_needed_where_the_site_asks_for_nothing(run: Run) -> None:
    assert require(run, RunSettings(), ANNA, Clock()) == ()


def test_another_login_counts_and_the_operators_own_does_not(run: Run, written_by: Callable[[str], None]) -> None:
    rules = RunSettings(approvals=1)
    assert "has 0" in _why_not(run, rules)
    written_by("anna")
    approve(run, ANNA, "p")
    assert "operator's own" in _why_not(run, rules)
    written_by("bert")
    approve(run, BERT, "p")
    assert [one.by for one in require(run, rules, ANNA, Clock())] == ["bert"]
    assert "operator's own" in _why_not(run, RunSettings(approvals=2), BERT)


def test_one_login_that_approves_twice_is_one(run: Run, written_by: Callable[[str], None]) -> None:
    written_by("bert")
    approve(run, BERT, "p")
    (first,) = (run.path / FOLDER).glob("*.json")
    shutil.copy(first, first.with_name("bert-again.json"))
    assert "has 1" in _why_not(run, RunSettings(approvals=2))


@pytest.mark.parametrize("account", ["anna", "carl"])
def test_a_file_that_another_account_wrote_is_forged(account: str, run: Run, written_by: Callable[[str], None]) -> None:
    approve(run, BERT, "p")
    written_by(account)
    assert "wrote it" in _why_not(run, RunSettings(approvals=1))


def test_two_people_behind_one_account_prove_nothing_without_a_signature(
    run: Run, written_by: Callable[[str], None]
) -> None:
    written_by("root")
    approve(run, Person("bert", "root", "sudo"), "p")
    assert "own account" in _why_not(run, RunSettings(approvals=1), Person("anna", "root", "sudo"))


@pytest.mark.parametrize(
    "changed",
    [
        {"target": "c"},
        {"source": "c"},
        {"mapping": {"dest_lpar_id": "7"}},
        {"target_machine": "x"},
        {"target_address": "192.0.2.9"},
    ],
)
def test_an_approval_is_for_this_very_order(
    changed: dict[str, Any], run: Run, written_by: Callable[[str], None]
) -> None:
    written_by("bert")
    approve(run, BERT, "p")
    write_document(run.path, "run", {**run.manifest, "order": asdict(replace(ORDER, **changed))})
    assert "another order" in _why_not(Run(run.path), RunSettings(approvals=1))


def test_an_approval_of_one_run_is_none_of_another(run: Run, tmp_path: Path, written_by: Callable[[str], None]) -> None:
    written_by("bert")
    approve(run, BERT, "p")
    other = _run(tmp_path / "runs")
    shutil.copytree(run.path / FOLDER, other.path / FOLDER)
    assert "another order" in _why_not(other, RunSettings(approvals=1))


def _copied(run: Run, to: Path) -> Run:
    """The run without what was recorded, in another folder of runs, as an archive or a backup has it."""
    return Run(shutil.copytree(run.path, to / run.name, ignore=shutil.ignore_patterns("events.jsonl")))


def test_an_approval_does_not_serve_in_a_copy_of_its_folder(
    run: Run, tmp_path: Path, written_by: Callable[[str], None]
) -> None:
    written_by("bert")
    approve(run, BERT, "p")
    assert "another order" in _why_not(_copied(run, tmp_path / "elsewhere"), RunSettings(approvals=1))
    moved = Run(run.path.rename(tmp_path / "elsewhere" / "moved"))
    assert "another order" in _why_not(moved, RunSettings(approvals=1)), "its name is part of the hash"


def test_an_approval_serves_once_even_if_the_folder_is_put_back_as_it_was(
    run: Run, written_by: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    written_by("bert")
    approve(run, BERT, "p")
    assert _recorded(run, monkeypatch) == ["migrate"]
    (run.path / "events.jsonl").unlink()
    assert "asked for with it already" in _why_not(run, RunSettings(approvals=1))
    assert _recorded(run, monkeypatch) == []
    approve(run, BERT, "p")
    assert [one.by for one in require(run, RunSettings(approvals=1), ANNA, Clock())] == ["bert"]


def test_of_two_recorders_that_saw_one_approval_only_one_uses_it(run: Run, written_by: Callable[[str], None]) -> None:
    written_by("bert")
    approve(run, BERT, "p")
    counting = require(run, RunSettings(approvals=1), ANNA, Clock())
    use(run, counting)
    with pytest.raises(NotApproved, match="already with the approval of bert"):
        use(run, counting)


def test_an_approval_gets_stale_and_none_comes_from_the_future(run: Run, written_by: Callable[[str], None]) -> None:
    written_by("bert")
    approve(run, BERT, "p")
    rules = RunSettings(approvals=1, approval_holds_hours=2)
    assert _counting(run, rules, clock=_At(1.9)) == ["bert"]
    assert "older than 2 hours" in _why_not(run, rules, clock=_At(2.1))
    assert "future" in _why_not(run, rules, clock=_At(-1))


def test_only_the_approvers_that_the_site_names_count(run: Run, written_by: Callable[[str], None]) -> None:
    written_by("bert")
    approve(run, BERT, "p")
    assert "among `approvers`" in _why_not(run, RunSettings(approvals=1, approvers=("carl",)))
    assert _counting(run, RunSettings(approvals=1, approvers=("bert", "carl"))) == ["bert"]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"by": 1}', "[" * 50_000, '{"by": "bert", "wall_ns": "x", "order_hash": 1}']
)
def test_an_odd_file_is_no_approval(content: str, run: Run, written_by: Callable[[str], None]) -> None:
    written_by("bert")
    (run.path / FOLDER).mkdir()
    (run.path / FOLDER / "x.json").write_text(content)
    assert _counting(run, RunSettings(approvals=1)) == []


def test_a_link_is_no_approval(run: Run, tmp_path: Path, written_by: Callable[[str], None]) -> None:
    written_by("bert")
    approve(run, BERT, "p")
    (path,) = (run.path / FOLDER).glob("*.json")
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    assert _counting(run, RunSettings(approvals=1)) == []


def test_the_name_has_to_be_typed_and_a_run_that_moved_is_past_it(run: Run) -> None:
    with pytest.raises(NotAllowed, match="nothing was approved"):
        approve(run, BERT, "q")
    with RunWriter(run.path) as writer:
        writer.event("recorder", "intent", what="migrate")
    with pytest.raises(NotAllowed, match="moved already"):
        approve(run, BERT, "p")


# --- signatures -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of Bert and of Eve; only Bert's is an allowed signer."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("bert", "eve"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "allowed").write_text(f"bert {(folder / 'bert.pub').read_text()}")
    return folder


def test_a_signature_of_an_allowed_signer_counts_whoever_owns_the_file(
    run: Run, keys: Path, written_by: Callable[[str], None]
) -> None:
    rules = RunSettings(approvals=1, allowed_signers=keys / "allowed")
    approve(run, BERT, "p", key=keys / "bert")
    written_by("anna")
    (counting,) = require(run, rules, ANNA, Clock())
    assert (counting.by, counting.signed) == ("bert", True)


@pytest.mark.parametrize(
    "forgery",
    [
        "no signature",
        "key of another",
        "name of another",
        "name of a pattern",
        "changed",
        "other purpose",
        "no signers file",
    ],
)
def test_without_a_valid_signature_nothing_counts_where_the_site_wants_one(
    forgery: str, run: Run, keys: Path, written_by: Callable[[str], None]
) -> None:
    written_by("bert")
    signers = keys / "allowed"
    person, key = BERT, keys / "bert"
    if forgery == "key of another":
        key = keys / "eve"
    if forgery == "name of another":
        person = CARL
    if forgery == "name of a pattern":
        signers = run.path.parent / "signers"
        signers.write_text(f"bert,*@ops {(keys / 'bert.pub').read_text()}")
        person = Person("carl@ops", "bert", "account")
    approve(run, person, "p", key=None if forgery == "no signature" else key)
    (path,) = (run.path / FOLDER).glob("*.json")
    if forgery == "changed":
        path.write_text(json.dumps({**json.loads(path.read_text()), "wall_ns": Clock().wall_ns()}))
    if forgery == "other purpose":
        path.with_name(f"{path.name}.sig").unlink()
        subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", "file", str(path)], check=True)
    if forgery == "no signers file":
        signers = keys / "nowhere"
    assert "no valid signature" in _why_not(run, RunSettings(approvals=1, allowed_signers=signers))


def test_a_key_that_cannot_sign_leaves_no_approval(run: Run, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("no key")
    with pytest.raises(UsageError, match="could not sign"):
        approve(run, BERT, "p", key=tmp_path / "key")
    assert list((run.path / FOLDER).iterdir()) == []


# --- every door -----------------------------------------------------------------------------------------------------


@pytest.fixture
def book(tmp_path: Path) -> Runbook:
    (tmp_path / "site.yaml").write_text(SITE)
    return Runbook(load_site(tmp_path / "site.yaml"), person=ANNA)


def test_the_runbook_starts_no_recorder_without_it(
    book: Runbook, run: Run, written_by: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    monkeypatch.setattr(process.WORKER.__class__, "start", lambda self, *given: started.append(given))
    with pytest.raises(NotApproved):
        book.move(run, "p")
    assert started == []
    written_by("bert")
    approve(run, BERT, "p")
    book.move(run, "p")
    assert len(started) == 1
    assert started[0][3]["person"]["login"] == "anna"


class _NoControl:
    """A manager that is not there; only closed."""

    def close(self) -> None:
        """Nothing to close."""


def _recorded(
    run: Run, monkeypatch: pytest.MonkeyPatch, person: Person = ANNA, rules: dict[str, Any] | None = None
) -> list[str]:
    """Record without machines; the commands that would have been sent."""
    asked: list[str] = []

    class NoMachines(MigrationMonitor):
        """A monitor whose managers are not there, and whose command is written down."""

        inactive = True

        def source_reading(self) -> None:
            return None

        target_reading = source_reading

        def ask_to_move(self) -> str:
            asked.append("migrate")
            return "the command was sent"

    monkeypatch.setattr(process, "MigrationMonitor", NoMachines)
    monkeypatch.setattr("lpmkit.recorder.monitor.control_of", lambda *given, **named: _NoControl())
    monkeypatch.setattr(process, "logs_of", lambda *given: Logs((), ()))
    monkeypatch.setattr(process.Recorder, "_predicted", lambda self, monitor: None)
    frames = {name: {"manager": "ivm", "host": f"{name}.invalid", "mover_address": "192.0.2.1"} for name in "ab"}
    site = Site.model_validate({"runs": rules or {"approvals": 1}, "frames": frames})
    charge = {"site": site.as_data(), "probes": [], "person": person.as_data()}
    process.Recorder(Run(run.path), Secrets(), charge).record()
    return asked


def test_a_recorder_that_was_started_all_the_same_does_not_send_the_command(
    run: Run, written_by: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _recorded(run, monkeypatch) == []
    (ended,) = [event.data["reason"] for event in run.events() if event.kind == "recorder-ended"]
    assert "needs 1 approval" in ended
    assert not [event for event in run.events() if event.kind in ("intent", "approved")]


def test_the_recorder_keeps_who_approved(
    run: Run, written_by: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    written_by("bert")
    approve(run, BERT, "p")
    assert _recorded(run, monkeypatch) == ["migrate"]
    (approved,) = [event.data for event in run.events() if event.kind == "approved"]
    assert (approved["by"], approved["order_hash"]) == ("bert", order_hash(run))
    assert next(event.data["by"] for event in run.events() if event.kind == "recorder-started") == "anna"


def test_the_command_approves_and_says_for_whom(run: Run, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE)
    result = CliRunner().invoke(main, ["--site", str(tmp_path / "site.yaml"), "approve", str(run.path)], input="p\n")
    assert result.exit_code == 0, result.output
    assert order_hash(run)[:16] in result.output
    (path,) = (run.path / FOLDER).glob("*.json")
    assert json.loads(path.read_text())["by"] == acting_person().login


def test_a_site_that_wants_signatures_takes_no_approval_without_a_key(book: Runbook, run: Run, keys: Path) -> None:
    site = book.site.model_copy(
        update={"runs": book.site.runs.model_copy(update={"allowed_signers": keys / "allowed"})}
    )
    with pytest.raises(NotAllowed, match="--key"):
        Runbook(site, person=BERT).approve(run, "p")


def test_the_application_approves_as_the_person_who_is_logged_in(book: Runbook, run: Run) -> None:
    form = ApprovalForm(Runbook(book.site, person=BERT), run)
    form.button.click()
    assert "nothing was approved" in form.says.value
    form.typed.value = "p"
    form.button.click()
    assert "approved by bert" in form.says.value
    assert [path.name.partition("-")[0] for path in (run.path / FOLDER).glob("*.json")] == ["bert"]


# --- who acts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["USER", "LOGNAME", "USERNAME", "LNAME"])
def test_the_environment_does_not_say_who_acts(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(name, "somebody-else")
    assert acting_person().login != "somebody-else"
    assert create(tmp_path, mode="watch", title="x", facts={}).manifest["by"] != "somebody-else"


def test_a_proxy_says_who_acts_only_where_the_server_was_told_to_trust_it() -> None:
    assert person_of_request({"HTTP_X_REMOTE_USER": "eve"}) == acting_person({})
    trusted = {PERSON_HEADER: "X-Remote-User", "HTTP_X_REMOTE_USER": "bert"}
    assert person_of_request(trusted) == Person("bert", account_name(os.getuid()), "proxy")


@pytest.mark.parametrize("named", [None, "", "-I", "a b", "a\nb", "x" * 65, "../a"])
def test_a_proxy_that_names_nobody_opens_no_door(named: str | None) -> None:
    environment = {PERSON_HEADER: "X-Remote-User"} | ({} if named is None else {"HTTP_X_REMOTE_USER": named})
    with pytest.raises(NotAllowed, match="who logged in"):
        person_of_request(environment)


# --- really another account -----------------------------------------------------------------------------------------


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that other accounts can reach, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp(prefix="lpmkit-shared-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def _as(account: str, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["setpriv", f"--reuid={account}", "--regid=daemon", "--clear-groups", sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd()), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


def test_a_second_account_approves_through_the_sites_group_and_a_stranger_is_kept_out(shared: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can act as two other accounts: run this test as root")
    runs = shared / "runs"
    facts = {"order": asdict(ORDER), "by": "root", "probes": [], "lead_in_s": 0.0, "tail_s": 0.0, "poll_s": 0.2}
    run = create(runs, mode="move", title="p-to-b", facts=facts, group="daemon")
    code = (
        "import sys; from pathlib import Path; from lpmkit.runs.approvals import approve; from lpmkit.account.person import "
        "acting_person; "
        "from lpmkit.runs.folder import Run; approve(Run(sys.argv[1]), acting_person(), 'p')"
    )
    done = _as("bin", code, str(run.path))
    assert done.returncode == 0, done.stderr
    assert _counting(run, RunSettings(approvals=1), Person("root", "root", "account")) == ["bin"]
    forged = code.replace("acting_person()", "Person('mail', 'mail', 'account')").replace(
        "import acting_person", "import Person"
    )
    assert _as("bin", forged, str(run.path)).returncode == 0
    assert _counting(run, RunSettings(approvals=1), Person("root", "root", "account")) == ["bin"], "a name is no proof"
    private = create(shared / "private", mode="move", title="p-to-b", facts=facts)
    done = _as("bin", code, str(private.path))
    assert done.returncode != 0
    assert not (private.path / FOLDER).exists()
    assert stat.S_IMODE(private.path.stat().st_mode) == 0o700


# --- a change window that the site requires --------------------------------------------------------------------------

WINDOWS = {
    "none": ({}, "without a change window"),
    "no end": ({"begin": "2020-01-01T00:00+00:00"}, "without a change window"),
    "over": ({"begin": "2020-01-01T00:00+00:00", "end": "2020-01-01T01:00+00:00"}, "after the end"),
    "to come": ({"begin": "2999-01-01T00:00+00:00", "end": "2999-01-01T01:00+00:00"}, "before the start"),
    "now": ({"begin": "2020-01-01T00:00+00:00", "end": "2999-01-01T00:00+00:00"}, ""),
}


@pytest.mark.parametrize("window", WINDOWS)
def test_no_door_leads_to_a_move_outside_of_the_window_that_the_site_requires(
    window: str, book: Runbook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, why = WINDOWS[window]
    order = replace(ORDER, limits={"window": given} if given else {})
    run = _run(tmp_path / "runs", order)
    rules = {"change": "required"}
    book = Runbook(book.site.model_copy(update={"runs": RunSettings(**rules)}), person=ANNA)  # type: ignore[arg-type]
    started: list[Any] = []
    with monkeypatch.context() as patched:
        patched.setattr(process.WORKER.__class__, "start", lambda self, *given: started.append(given))
        if why:
            with pytest.raises(NotAllowed, match=why):
                book.move(run, "p")
        else:
            book.move(run, "p")
    assert len(started) == (not why)
    # a recorder that was started all the same looks again
    assert _recorded(run, monkeypatch, rules=rules) == ([] if why else ["migrate"])


def test_a_site_that_requires_nothing_moves_without_a_window(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _recorded(run, monkeypatch, rules={"change": "optional"}) == ["migrate"]


class _Sleepless(Clock):
    """A clock on which a wait takes no time."""

    def __init__(self) -> None:
        super().__init__()
        self.slept_s = 0.0

    def wall_ns(self) -> int:
        return super().wall_ns() + int(self.slept_s * 1e9)

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds


def test_a_move_that_waits_is_checked_and_validated_anew_when_its_window_begins(
    book: Runbook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Sleepless()
    begin = datetime.fromtimestamp(clock.wall_ns() / 1e9 + 3600, tz=UTC)
    window = {"begin": begin.isoformat(), "end": (begin + timedelta(hours=1)).isoformat()}
    run = _run(tmp_path / "runs", replace(ORDER, limits={"window": window}))
    book = Runbook(book.site.model_copy(update={"runs": RunSettings(change="required", lead_in_s=60)}), clock=clock)
    asked: list[str] = []
    monkeypatch.setattr(Runbook, "check", lambda self, run: asked.append("check"))
    monkeypatch.setattr(Runbook, "validate", lambda self, run: asked.append("validate"))
    book.wait_for_window(run)
    assert asked == ["check", "validate"]
    assert 3530 < clock.slept_s < 3541, "it begins with the window, after its baseline"
    book.wait_for_window(run)
    assert asked == ["check", "validate"], "there is nothing to wait for"
    clock.slept_s += 3600
    with pytest.raises(NotAllowed, match="after the end"):
        book.wait_for_window(run)
