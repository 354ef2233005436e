"""The manager that answers is found by asking; and what else an HMC can be asked about a move that went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lpmkit.config import load_site
from lpmkit.control.dialect import MANAGED_BY_HMC, Dialect, confirm, dialect_of
from lpmkit.doctor import examine_machine
from lpmkit.errors import UnexpectedReply, UsageError
from lpmkit.runbook import Runbook
from lpmkit.simulator import Simulator
from lpmkit.ssh.session import Reply, command_line
from tests.in_process import place


class Answering:
    """A machine that knows a few commands and says of all others what a shell says."""

    def __init__(self, **answers: str) -> None:
        self.where = "somewhere"
        self._answers = answers

    def run(self, arguments: list[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        name = arguments[1] if arguments[0] == "ioscli" else arguments[0]
        said = self._answers.get(name)
        known = Reply(self.where, command_line(arguments), 0, said or "", "")
        return known if said is not None else Reply(self.where, known.command, 127, "", f"ksh: {name}:  not found.\n")

    def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize(
    ("landscape", "host", "expected"),
    [
        ("js22", "bvio82", Dialect("ivm", "1.5.1.1-FP-10.1")),
        ("p7pair", "hmc01", Dialect("hmc", "V7R7.9.0")),
        ("p8pair", "hmc02", Dialect("hmc", "V8R8.7.0")),
    ],
)
def test_a_manager_says_itself_what_it_is(landscape: str, host: str, expected: Dialect) -> None:
    with place(landscape) as site:
        assert dialect_of(site.session(host)) == expected


def test_an_io_server_that_hangs_on_an_hmc_manages_nothing() -> None:
    session = Answering(ioslevel="2.2.6.10\n", lssyscfg=f"[{MANAGED_BY_HMC}] This system is managed by an HMC.\n")
    found = dialect_of(session)  # type: ignore[arg-type] # enough of a session
    assert found.kind == "vios"
    with pytest.raises(UsageError, match="hangs on an HMC"):
        confirm(found, "ivm", "bvio82")


def test_a_machine_that_is_no_manager_is_called_so() -> None:
    with pytest.raises(UnexpectedReply, match="neither an HMC"):
        dialect_of(Answering(uname="AIX\n"))  # type: ignore[arg-type] # enough of a session


@pytest.fixture(scope="module")
def blades() -> Iterator[Simulator]:
    with Simulator("js22", speed=200.0) as up:
        yield up


def test_a_site_file_that_calls_an_ivm_an_hmc_is_corrected_before_anything_else(
    blades: Simulator, tmp_path: Path
) -> None:
    text = blades.site_file.read_text(encoding="utf-8")
    wrong = text.replace(
        "    manager: ivm\n    host: bvio82\n    mover_address: 192.0.2.82\n",
        "    manager: hmc\n    host: bvio82\n    system: Server-7998-61X-SN10071DA\n    vios: [10-071DA]\n",
    ).replace("ssh_config: ssh_config", f"ssh_config: {blades.ssh_config}")
    assert wrong != text
    site_file = tmp_path / "site.yaml"
    site_file.write_text(wrong, encoding="utf-8")
    with pytest.raises(UsageError, match="the IVM of a VIOS") as caught:
        Runbook(load_site(site_file)).landscape()
    assert "manager: ivm" in (caught.value.next_step or "")
    rows = {row.what: row for row in examine_machine(str(site_file))}
    assert rows["manager of bvio82"].verdict == "fail"
    assert (rows["manager of bvio83"].verdict, rows["manager of bvio83"].found) == (
        "pass",
        "IVM, 1.5.1.1-FP-10.1",
    )
