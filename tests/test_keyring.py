"""Secrets in the keyring: kept without echo, read by reference, never in a file or an argument."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keyring
import pytest
from click.testing import CliRunner
from keyring.backend import KeyringBackend

from lpmkit.cli import main
from lpmkit.errors import UsageError
from lpmkit.ssh.secrets import Secrets


class Memory(KeyringBackend):
    """A keyring that holds its secrets as long as the process."""

    priority = 9.0

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password


@pytest.fixture
def memory() -> Iterator[Memory]:
    before = keyring.get_keyring()
    backend = Memory()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


def typed(name: str, secret: str) -> Any:
    return CliRunner().invoke(main, ["secret", "set", name], input=secret)


@pytest.mark.parametrize("name", ["hmc01/hscroot", "keyring:hmc01/hscroot"])
def test_a_secret_that_was_kept_is_read_by_its_reference(name: str, memory: Memory) -> None:
    result = typed(name, "tiger tiger\n")
    assert result.exit_code == 0, result.output
    assert "tiger" not in result.output
    assert "password: keyring:hmc01/hscroot" in result.output
    assert Secrets().get("keyring:hmc01/hscroot", "hmc01") == "tiger tiger"


def test_the_question_has_no_echo_and_is_asked_twice(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def prompt(text: str, **options: Any) -> str:
        asked.append(options)
        return "tiger"

    monkeypatch.setattr("lpmkit.commands.secret.click.prompt", prompt)
    from lpmkit.commands import secret  # noqa: PLC0415

    assert secret._asked("Secret") == "tiger"
    assert asked[0]["hide_input"]
    assert asked[0]["confirmation_prompt"]


@pytest.mark.parametrize("name", ["hmc01", "/hscroot", "hmc01/", ""])
def test_a_name_without_service_or_user_is_refused(name: str, memory: Memory) -> None:
    assert typed(name, "x\n").exit_code == 2
    assert not memory.held


def test_nothing_is_kept_without_a_secret(memory: Memory) -> None:
    result = typed("hmc01/hscroot", "")
    assert result.exit_code == 2
    assert "nothing was kept" in result.output
    assert not memory.held


def test_a_secret_as_an_argument_is_not_taken(memory: Memory) -> None:
    result = CliRunner().invoke(main, ["secret", "set", "hmc01/hscroot", "tiger"])
    assert result.exit_code == 2
    assert not memory.held


def test_a_keyring_that_is_a_file_is_refused(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Memory, "__module__", "keyrings.alt.file")
    result = typed("hmc01/hscroot", "tiger\n")
    assert result.exit_code == 2
    assert "is a file" in result.output
    assert not memory.held


def test_a_keyring_that_does_not_give_it_back_is_told(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "set_password", lambda *_: None)
    result = typed("hmc01/hscroot", "tiger\n")
    assert result.exit_code == 2
    assert "does not give back" in result.output


def test_a_reference_that_leads_nowhere_names_the_command_that_fills_it(memory: Memory) -> None:
    with pytest.raises(UsageError, match="lpmkit secret set hmc09/hscroot"):
        Secrets().get("keyring:hmc09/hscroot", "hmc09")
