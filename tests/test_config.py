"""The site file: troubles are named by line and key, and secrets stay references."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from lpmkit.config import Site, load_site
from lpmkit.errors import NotFound, SiteFileError, UsageError
from lpmkit.settings.site_file import find_site_file
from lpmkit.ssh.secrets import Secrets
from lpmkit.survey.connect import other_manager

GOOD = """\
ssh_config: ssh_config
frames:
  bvio82: {manager: ivm, host: bvio82, mover_address: 192.0.2.82}
  bvio83: {manager: ivm, host: bvio83, mover_address: 192.0.2.83}
partitions:
  bxaix85: {host: bxaix85}
"""


HMC = """\
frames:
  p7a: {manager: hmc, host: hmc01, system: "9117-MMD*1045EE7", vios: [v1, v2]}
  p7b: {manager: hmc, host: hmc01, system: Server-1, vios: [w1]}
  far: {manager: hmc, host: hmc02, system: Server-2, vios: [x1], mover_address: 192.0.2.99}
  bvio82: {manager: ivm, host: bvio82, mover_address: 192.0.2.82}
"""


def _site(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    return path


def test_a_good_site_file_is_read_and_its_paths_are_absolute(tmp_path: Path) -> None:
    site = load_site(_site(tmp_path, GOOD))
    assert site.ssh_config == tmp_path / "ssh_config"
    assert site.runs.folder == tmp_path / "runs"
    assert site.frame("bvio83").mover_user == "padmin"


def test_a_frame_under_an_hmc_names_its_system_and_its_io_servers(tmp_path: Path) -> None:
    site = load_site(_site(tmp_path, HMC))
    assert site.frame("p7a").vios == ("v1", "v2")
    assert site.frame("p7a").mover_user == "hscroot"
    assert Site.model_validate(site.as_data()) == site


def test_the_other_manager_is_named_only_where_there_is_another(tmp_path: Path) -> None:
    site = load_site(_site(tmp_path, HMC))
    assert other_manager(site, "p7a", "p7b") == ("", "")
    assert other_manager(site, "p7a", "far") == ("192.0.2.99", "hscroot")
    assert other_manager(site, "p7a", "bvio82") == ("192.0.2.82", "padmin")
    with pytest.raises(UsageError, match=r"frames\.p7a\.mover_address"):
        other_manager(site, "far", "p7a")


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        (GOOD.replace("mover_address: 192.0.2.83", "mover_adress: 192.0.2.83"), 4, "mover_adress"),
        (GOOD.replace("{host: bxaix85}", "{host: bxaix85, tick_hz: 5000}"), 6, "partitions.bxaix85.tick_hz"),
        (GOOD.replace("{host: bxaix85}", "{host: bxaix85, password: hunter2}"), 6, "env:NAME"),
        (GOOD.replace("manager: ivm, host: bvio82", "manager: vcenter, host: bvio82"), 3, "frames.bvio82.manager"),
        (GOOD.replace(", mover_address: 192.0.2.83", ""), 4, "frames.bvio83.mover_address"),
        (GOOD.replace("host: bvio83,", "host: bvio83, system: S,"), 4, "frames.bvio83.system"),
        (HMC.replace("system: Server-1, ", ""), 3, "frames.p7b.system"),
        (HMC.replace(", vios: [v1, v2]", ""), 2, "frames.p7a.vios"),
        (HMC.replace("[v1, v2]", "[v1, v1]"), 2, "frames.p7a.vios"),
        ("frames: [1, 2\n", 2, "expected"),
        ("just words\n", 1, "frames:"),
    ],
)
def test_a_trouble_in_the_site_file_is_named_by_line_and_key(tmp_path: Path, text: str, line: int, key: str) -> None:
    with pytest.raises(SiteFileError) as caught:
        load_site(_site(tmp_path, text))
    assert f"line {line}" in str(caught.value)
    assert key in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "{host: bxaix85, password: hunter2}",
        "{host: bxaix85, password: 'env:X', password: hunter2}",
        "{host: bxaix85, password: *hunter2}",
        "{host: bxaix85, password: hunter2",
        "{host: bxaix85, password: [hunter2]}",
    ],
)
def test_a_password_that_somebody_wrote_into_the_site_file_is_in_no_traceback(tmp_path: Path, line: str) -> None:
    with pytest.raises(SiteFileError) as caught:
        load_site(_site(tmp_path, GOOD.replace("{host: bxaix85}", line)))
    assert "hunter2" not in "".join(traceback.format_exception(caught.value)), "a saved notebook keeps its tracebacks"


def test_a_frame_that_nobody_knows_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="Did you mean 'bvio83'"):
        load_site(_site(tmp_path, GOOD)).frame("bvoi83")


def test_no_site_file_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LPMKIT_SITE", raising=False)
    with pytest.raises(UsageError, match="lpmkit demo"):
        find_site_file(None)


def test_a_secret_is_fetched_by_reference_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BVIO_PASSWORD", "tiger")
    secrets = Secrets()
    assert secrets.get("env:BVIO_PASSWORD", "bvio82") == "tiger"
    assert "tiger" not in repr(secrets)
    with pytest.raises(UsageError, match="no secret found for 'env:NOBODY_SET_THIS'"):
        secrets.get("env:NOBODY_SET_THIS", "bvio82")


def test_a_recorder_that_can_ask_nobody_says_so_instead_of_waiting() -> None:
    with pytest.raises(UsageError, match="no secret found for 'prompt'"):
        Secrets(may_ask=False).get("prompt", "bvio82")
    assert Secrets({"prompt bvio82": "x"}, may_ask=False).get("prompt", "bvio82") == "x"
