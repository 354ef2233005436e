"""A manager that refuses the recorder's login: a person logs in again while the partition moves, and the recorder goes
on with that, without a second command.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lpmkit.config import Site
from lpmkit.control.base import Control, MigrationReading
from lpmkit.errors import LoginRefused, RecordError
from lpmkit.migration.status import refused_ends, state
from lpmkit.recorder import credentials
from lpmkit.recorder.credentials import CredentialsDoor, hand_over
from lpmkit.runbook import Runbook, recording
from lpmkit.runs.folder import Run
from lpmkit.ssh import logins
from lpmkit.timeline import Clock, wait_until
from tests.scripted_moves import Managers, OneManager, install, move_folder, phases, record

ACCOUNT = "ssh padmin@192.0.2.1:22"


@pytest.fixture(autouse=True)
def own_book() -> Iterator[None]:
    yield
    logins.forget_refusals()


@dataclass
class Changed(Managers):
    """Managers whose password is changed once the command is sent."""

    password: str = "old"
    attempts: list[str | None] = field(default_factory=list)

    def control(self, site: Site, frame: str, **_: Any) -> Control:
        return cast(Control, LockedManager(self, frame))

    def log_in(self) -> None:
        """As `lpmkit.ssh.client.connect` does."""
        with logins.login(ACCOUNT):
            given = logins.newest_password(ACCOUNT, "old")
            if given != self.password:
                self.attempts.append(given)
                raise LoginRefused("it does not let padmin in", where="a")


@dataclass
class LockedManager(OneManager):
    def migration(self, partition: str) -> MigrationReading:
        cast(Changed, self.managers).log_in()
        return super().migration(partition)


def test_a_person_logs_in_again_and_the_recorder_sees_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = Changed(when_sent=lambda: setattr(changed, "password", "new"))
    monkeypatch.setattr(install(monkeypatch), "control", changed.control)
    logins.keep_refusals()
    run = move_folder(tmp_path)
    recorder = threading.Thread(target=record, args=(run,))
    recorder.start()
    assert wait_until(lambda: refused_ends(run) == ("a",), clock=Clock(), timeout_s=60)
    (trouble,) = [text for text in state(run).trouble if "logs in again" in text]
    assert f"`lpmkit attach {run.path}`" in trouble
    book = Runbook(
        Site.model_validate(
            {
                "runs": {"folder": str(tmp_path)},
                "frames": {"a": {"manager": "ivm", "host": "a", "mover_address": "192.0.2.1"}},
            }
        )
    )
    monkeypatch.setattr(book, "own_order", lambda run: SimpleNamespace(source="a", target="b"))
    typed = iter(["wrong", "new"])
    monkeypatch.setattr(recording, "open_session", lambda *_, **__: _Session(changed, next(typed)))
    with pytest.raises(LoginRefused):
        book.log_in_again(run)
    assert refused_ends(run) == ("a",), "what was refused here too is not handed over"
    assert book.log_in_again(run) == ("a",)
    recorder.join(60)
    assert phases(run)[-1] == "settled"
    assert changed.sent == ["m"]
    assert changed.attempts == ["old"], "the recorder tried the old password once"
    assert refused_ends(run) == ()
    assert "new credentials" in str([event.data for event in run.events() if event.kind == "note"])
    for path in run.path.rglob("*"):
        assert not path.is_file() or b'"new"' not in path.read_bytes(), "no secret in a file"


class _Session:
    def __init__(self, managers: Changed, password: str) -> None:
        self._managers, self.password = managers, password
        self.route = SimpleNamespace(account=ACCOUNT)

    def connect(self) -> None:
        if self.password != self._managers.password:
            raise LoginRefused("it does not let padmin in", where="a")

    def close(self) -> None:
        pass


@pytest.mark.parametrize("sent", [b"", b"{half", b"[1]\n", b'{"a": 1}\n', b"[" * 60_000 + b"\n"])
def test_what_is_no_hand_over_is_not_taken_and_the_door_stays(sent: bytes, tmp_path: Path) -> None:
    taken: list[Any] = []
    door = CredentialsDoor(tmp_path, taken.append)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(credentials._name(tmp_path))
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(10) == b""
    hand_over(tmp_path, {ACCOUNT: "x", "other": None})
    door.close()
    assert taken == [{ACCOUNT: "x", "other": None}]
    with pytest.raises(RecordError, match="takes no new credentials"):
        hand_over(tmp_path, {})


def test_another_account_hands_nothing_over_and_gets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Any] = []
    door = CredentialsDoor(tmp_path, taken.append)
    monkeypatch.setattr(credentials, "_is_own", lambda connection: False)
    with pytest.raises(RecordError, match="another account's process"):
        hand_over(tmp_path, {ACCOUNT: "x"})
    door.close()
    assert taken == []


def test_a_run_of_which_no_manager_refused_a_login_is_not_logged_in_again(tmp_path: Path) -> None:
    run = move_folder(tmp_path)
    assert refused_ends(Run(run.path)) == ()
