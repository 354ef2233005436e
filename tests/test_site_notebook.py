"""The notebook that sets up a site: what was found and what was left out, a file that is looked at before it is
written, and its check.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lpmkit.checks import Verdict
from lpmkit.config import load_site
from lpmkit.doctor import Diagnosis
from lpmkit.errors import NotResolved, UsageError
from lpmkit.notebook import site as sections
from lpmkit.notebook.site import SiteSetup, how_found
from lpmkit.notebook.site_tables import partition_row, system_row
from lpmkit.site_setup.discovery import Discovery
from lpmkit.site_setup.inside import Inside, RunningDatabase, SapInstances
from lpmkit.site_setup.managers import NamedManager, with_partners
from tests.test_site_setup import CLIENT, VIOS, frame

SEEN = Inside(
    "a",
    CLIENT,
    host="aix1",
    level="7200-05",
    sap=(SapInstances("P7D", ("00", "01"), ("00",), "p7dadm@aix1", "the key was refused"),),
    databases=(RunningDatabase("P7D", "192.0.2.5:1521"),),
)
UNSEEN = Inside("a", replace(CLIENT, name="aix<2>"), why="aix2: the name has no address")


def discovery(**changes: Any) -> Discovery:
    frames = tuple(with_partners([frame("a"), frame("b"), frame("off", partitions=None, gap="refused")]))
    return replace(Discovery((NamedManager("hmc", "hmc01"),), frames, (SEEN, UNSEEN)), **changes)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The discovery that the form asks for; the answer is the `discovery` of this module."""
    calls: list[Any] = []

    def answer(named: list[NamedManager], secrets: Any, *, tell_partition: Callable[[Any], None], **more: Any) -> Any:
        calls.append((named, more))
        tell_partition(SEEN)
        return discovery()

    monkeypatch.setattr(sections, "discover", answer)
    return calls


@pytest.fixture
def site_setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SiteSetup:
    """The sections for an account that has no site file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LPMKIT_SITE", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "etc"))
    monkeypatch.setattr(sections, "check_machines", lambda site: [Diagnosis(Verdict.UNKNOWN, "login to a", "silent")])
    return SiteSetup()


def test_what_was_left_out_is_told_with_the_reason_and_nothing_unseen_looks_like_none() -> None:
    assert partition_row(SEEN) == {
        "partition": "aix1",
        "frame": "a",
        "state": "Running",
        "login": "ssh aix1",
        "SAP": "P7D (00, 01)",
        "Oracle": "P7D at 192.0.2.5:1521",
        "remarks": "ssh p7dadm@aix1: the key was refused",
    }
    unseen = partition_row(UNSEEN)
    assert (unseen["login"], unseen["SAP"], unseen["Oracle"], unseen["remarks"]) == ("NO", "?", "?", UNSEEN.why)
    bare = replace(SEEN, sap=(), databases=())
    assert partition_row(bare)["SAP"] == "none"
    assert partition_row(replace(bare, remarks=("SAP and Oracle were not looked for: silent",)))["Oracle"] == "?"
    left, _, off = discovery().frames
    assert (system_row(left)["partner"], system_row(left)["VIOS"], system_row(left)["partitions"]) == ("b", "v1", "1")
    assert (system_row(off)["partitions"], system_row(off)["remarks"]) == ("?", "left out: refused")
    silent = replace(left, partitions=(replace(VIOS, state="Not Activated"),), address="x", address_remark="open")
    assert system_row(silent)["VIOS"] == "v1 (Not Activated)"
    assert system_row(silent)["remarks"] == "mover address x: open"


def test_from_the_names_of_managers_to_a_file_that_the_other_notebooks_find(
    site_setup: SiteSetup, asked: list[Any], tmp_path: Path
) -> None:
    assert "no site file yet" in site_setup.in_use().data
    form = site_setup.managers()
    form.hmcs.value, form.ivms.value = "hmc01, hmc02", "bvio82=192.0.2.82"
    form.go.click()
    form.wait()
    ((named, more),) = asked
    assert [(each.kind, each.host, each.address) for each in named] == [
        ("hmc", "hmc01", ""), ("hmc", "hmc02", ""), ("ivm", "bvio82", "192.0.2.82"),
    ]  # fmt: skip
    assert (more["password"], more["ssh_config"], more["skip_partitions"]) == (None, None, False)
    assert "Partitions logged in to: 1 of 2. SAP systems seen there: P7D." in form.says.value
    assert site_setup.managers() is form, "the cell that shows it may be run again: the answer stays"
    assert site_setup.managers(["hmc09"]) is not form, "other parameters are another question"
    site_setup.form = form
    shown = site_setup.systems().data
    assert "left out: refused" in shown
    assert "aix&lt;2&gt;" in shown
    assert "# off is left out" in site_setup.text().data
    assert "Waiting: write the site file above" in site_setup.shown().data
    writer = site_setup.writing()
    writer.go.click()
    path = tmp_path / "etc" / "lpmkit" / "site.yaml"
    assert writer.written == path
    assert "written by the notebook 05_set_up_a_site on" in path.read_text().splitlines()[0]
    assert list(load_site(path).frames) == ["a", "b"]
    assert site_setup.writing() is writer
    assert "find this file by themselves" in site_setup.shown().data
    assert "Waiting: check the site file above" in site_setup.checked().data
    site_setup.checking(wait=True)
    checked = site_setup.checked().data
    assert "Inconclusive: 1 test could not be made." in checked
    assert checked.index("? unknown") < checked.index("✓ pass"), "what needs somebody comes first"


def test_a_file_that_is_there_is_not_overwritten(site_setup: SiteSetup, asked: list[Any], tmp_path: Path) -> None:
    site_setup.managers(["hmc01"], wait=True)
    writer = site_setup.writing()
    writer.file.value = str(tmp_path / "mine.yaml")
    (tmp_path / "mine.yaml").write_text("mine")
    writer.go.click()
    assert "not overwritten" in writer.says.value
    assert (writer.written, (tmp_path / "mine.yaml").read_text()) == (None, "mine")
    with pytest.raises(UsageError, match="not overwritten"):
        writer.write()


def test_managers_that_cannot_be_asked_are_no_empty_answer(
    site_setup: SiteSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = site_setup.managers()
    form.go.click()
    with pytest.raises(UsageError, match="Type the name of an HMC or an IVM"):
        form.wait()

    def refuse(*_: Any, **__: Any) -> Discovery:
        raise NotResolved("the name has no address", where="hmc09", next_step="Correct it.")

    monkeypatch.setattr(sections, "discover", refuse)
    form.hmcs.value = "hmc09"
    form.go.click()
    with pytest.raises(NotResolved):
        form.wait()
    assert not form.go.disabled
    for shown in (site_setup.systems(), site_setup.text(), site_setup.writing()):
        assert "hmc09: the name has no address. Correct it." in shown.data


def test_a_password_is_a_reference_that_a_button_can_resolve_and_never_repeated(asked: list[Any]) -> None:
    with pytest.raises(UsageError, match="never the password itself") as refused:
        SiteSetup(password="tiger-tiger")
    assert "tiger" not in str(refused.value)
    with pytest.raises(UsageError, match="a button cannot ask"):
        SiteSetup(password="prompt")
    SiteSetup(password="env:HMC").managers(["hmc01"], wait=True)
    assert asked[0][1]["password"] == "env:HMC"


def test_the_other_notebooks_are_told_where_a_file_elsewhere_is(site_setup: SiteSetup, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.yaml"
    told = how_found(elsewhere)
    assert "They would find none." in told
    assert "export LPMKIT_SITE=" in told
    (tmp_path / "site.yaml").write_text("frames: {}\n")
    assert f"They use {tmp_path / 'site.yaml'}." in how_found(elsewhere)
