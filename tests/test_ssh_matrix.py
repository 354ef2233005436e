"""Server kind x key kind x configuration: lpmkit logs in where ``ssh`` does and nowhere else, with the same trouble."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lpmkit.errors import (
    HostKeyRefused,
    KeyLocked,
    LoginRefused,
    NoCommonAlgorithm,
    NoKey,
    RemoteError,
)
from lpmkit.ssh.client import SshSession, route
from tests.ssh_servers import KINDS, KindOfHost

KEYS = ("ed25519", "rsa", "ecdsa", "rsa-locked", None)


@pytest.fixture(scope="module", params=KINDS)
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KindOfHost]:
    with KindOfHost(tmp_path_factory.mktemp("host"), KINDS[request.param]) as server:
        yield server


def by_ssh(name: str, config: Path) -> str:
    """The result of ``ssh``: ``in``, or the kind of its trouble."""
    command = ["ssh", "-F", str(config), "-o", "BatchMode=yes", name, "echo in"]
    reply = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if reply.stdout == "in\n":
        return "in"
    if match := re.search(r"no matching (.+) found", reply.stderr):
        return f"no {match[1]}"
    if "Permission denied" in reply.stderr:
        return "refused"
    if "Host key verification failed" in reply.stderr:
        return "host key"
    raise AssertionError(reply.stderr)


def by_lpmkit(name: str, config: Path) -> tuple[str, RemoteError | None, str]:
    """The result of lpmkit in the same words, its error, and what served."""
    session = SshSession(route(name, config))
    try:
        reply = session.run(["echo", "in"])
        return reply.output.strip(), None, reply.over
    except NoCommonAlgorithm as error:
        return f"no {error.kind}", error, ""
    except HostKeyRefused as error:
        return "host key", error, ""
    except LoginRefused as error:
        return "refused", error, ""
    finally:
        session.close()


def test_lpmkit_logs_in_where_ssh_does_and_names_the_same_trouble(host: KindOfHost) -> None:
    outcomes = {}
    for lines in ((), host.kind.needs) if host.kind.needs else ((),):
        for key in KEYS:
            config = host.config(*lines, key=key)
            wanted = by_ssh(host.name, config)
            got, error, over = by_lpmkit(host.name, config)
            outcomes[bool(lines), key] = wanted
            assert got == wanted, (lines, key, str(error), over)
            if got == "in" and not lines:
                assert "sha1" not in re.sub(r"mac: \S+", "", over), "nothing old that was not asked for"
            if got == "refused":
                assert error is not None
                kinds = {"rsa-locked": KeyLocked, None: NoKey}
                assert type(error) is kinds.get(key, LoginRefused)
    assert "in" in outcomes.values()


def test_the_lines_of_an_error_let_one_in(host: KindOfHost) -> None:
    """The remedies of errors are added until ``ssh`` and lpmkit log in: once for what is agreed on, once for keys."""
    lines: list[str] = []
    for _ in range(3):
        got, error, _over = by_lpmkit(host.name, host.config(*lines, key="rsa"))
        if got == "in":
            break
        assert error is not None
        assert error.next_step is not None
        more = re.findall(
            r"\b(?:KexAlgorithms|HostKeyAlgorithms|PubkeyAcceptedAlgorithms|Ciphers|MACs) \+[^\s;]+", error.next_step
        )
        assert more
        lines += [line for line in more if line not in lines]
    assert got == "in"
    assert len(lines) == len(set(lines))
