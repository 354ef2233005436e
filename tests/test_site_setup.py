"""Setting up a site: what managers and partitions answer becomes a site file that is read back as meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from lpmkit.cli import main
from lpmkit.config import Site, load_site
from lpmkit.control.dialect import Dialect
from lpmkit.errors import UsageError
from lpmkit.inventory import Frame, Partition
from lpmkit.rehearsal import Rehearsal
from lpmkit.settings.site_file import find_site_file, site_file_places
from lpmkit.settings.yaml_file import parse_yaml
from lpmkit.site_setup.check import check_file
from lpmkit.site_setup.discovery import write_new
from lpmkit.site_setup.inside import (
    Inside,
    RunningDatabase,
    SapInstances,
    look_into,
    read_database_sids,
    read_sap_instances,
)
from lpmkit.site_setup.managers import ManagedFrame, NamedManager, each_once, refuse_other_kind, with_partners
from lpmkit.site_setup.text import comment, scalar, site_text
from lpmkit.ssh.secrets import Secrets
from tests.end_to_end.cases import Terminal, rehearse

MODES = ("default", "POWER7", "POWER8")
CAPABLE = ("active_lpar_mobility_capable",)


def system(name: str, serial: str = "", **facts: object) -> Frame:
    given = {"state": "Operating", "capabilities": CAPABLE, "proc_compat_modes": MODES, **facts}
    return Frame(name, "8286-42A", serial or f"SN{name}", **given)  # type: ignore[arg-type]


VIOS = Partition("v1", 1, "Running", environment="vioserver")
CLIENT = Partition("aix1", 3, "Running", environment="aixlinux", os_version="AIX 7.2")


def frame(
    name: str, host: str = "hmc01", partitions: Sequence[Partition] | None = (VIOS, CLIENT), **facts: object
) -> ManagedFrame:
    listed = None if partitions is None else tuple(partitions)
    managed = ManagedFrame(name, NamedManager("hmc", host), "V8", "hscroot", system(name), listed)
    return replace(managed, **facts)  # type: ignore[arg-type]


# --- which systems ---------------------------------------------------------------------------------------------------


def test_of_two_frames_that_can_exchange_partitions_each_is_the_others_partner() -> None:
    assert [each.partner for each in with_partners([frame("a"), frame("b")])] == ["b", "a"]


@pytest.mark.parametrize(
    "facts",
    [
        {"frame": system("b", state="Power Off")},
        {"frame": system("b", capabilities=())},
        {"frame": system("b", proc_compat_modes=("default", "POWER6"))},
        {"partitions": None},
        {"partitions": (CLIENT,)},
    ],
    ids=["off", "not capable", "no mode in common", "not listed", "no I/O server"],
)
def test_a_frame_that_cannot_receive_is_nobodys_partner(facts: dict[str, object]) -> None:
    other = replace(frame("b"), **facts)  # type: ignore[arg-type]
    assert [each.partner for each in with_partners([frame("a"), other])] == ["", ""]


def test_of_three_frames_none_is_chosen_and_the_choice_is_told() -> None:
    first = with_partners([frame("a"), frame("b"), frame("c")])[0]
    assert first.partner == ""
    assert first.could_be_partners == ("b", "c")
    assert "# partner: one of b, c" in site_text("x", "today", [first], [])


def test_a_system_that_two_consoles_manage_is_written_once_under_the_one_that_lists_it() -> None:
    silent = frame("a", host="hmc01", partitions=None, gap="refused")
    once = each_once([silent, frame("a", host="hmc02")])
    assert [(each.manager.host, each.also_under) for each in once] == [("hmc02", ("hmc01",))]


def test_two_systems_of_one_name_get_their_serial_numbers() -> None:
    twin = frame("a", host="hmc02", frame=system("a", "OTHER"))
    assert [each.name for each in each_once([frame("a"), twin])] == ["a-SNa", "a-OTHER"]


def test_a_manager_of_another_kind_is_refused_with_the_option_that_fits() -> None:
    with pytest.raises(UsageError, match="--ivm bvio82"):
        refuse_other_kind(NamedManager("hmc", "bvio82"), Dialect("ivm", "1.5"))
    with pytest.raises(UsageError, match="name that HMC"):
        refuse_other_kind(NamedManager("ivm", "v1"), Dialect("vios", "2.2"))


# --- inside of partitions --------------------------------------------------------------------------------------------

PS = """\
    PID     ELAPSED COMMAND
  77001    02:00:00 dw.sapP7D_DVEBMGS00 pf=/usr/sap/P7D/SYS/profile/P7D_DVEBMGS00_host
  77002    02:00:00 ms.sapP7D_ASCS01 pf=/usr/sap/P7D/SYS/profile/P7D_ASCS01_host
  77003    02:00:00 jc.sapDAA_SMDA98 pf=/usr/sap/DAA/SYS/profile/DAA_SMDA98_host
  77004    01:00:00 ora_pmon_P7D
  77005    01:00:00 asm_pmon_+ASM
  77006       00:01 grep ora_pmon_XXX or so
"""


def test_instances_and_databases_are_read_from_the_processes() -> None:
    assert read_sap_instances(PS) == (SapInstances("P7D", ("00", "01"), ("00",)),)
    assert read_database_sids(PS) == ("P7D",)
    assert read_sap_instances("") == ()


@pytest.mark.parametrize(
    ("partition", "why"),
    [
        (replace(CLIENT, state="Not Activated"), "it is Not Activated"),
        (replace(CLIENT, name="-oProxyCommand=touch x"), "no host name"),
        (replace(CLIENT, name="a b"), "no host name"),
        (replace(CLIENT, environment="os400"), "IBM i"),
    ],
)
def test_a_partition_that_is_not_to_be_logged_in_to_is_not(partition: Partition, why: str) -> None:
    inside = look_into(Site.model_validate({}), frame("a"), partition, Secrets())
    assert inside.host == ""
    assert why in inside.why


# --- the text --------------------------------------------------------------------------------------------------------


@given(st.text())
def test_a_scalar_is_read_back_as_it_was(text: str) -> None:
    assert parse_yaml(f"key: {scalar(text)}\n", "here", typ="safe") == {"key": text}


@given(st.text())
def test_a_comment_is_one_line_that_steers_nothing(text: str) -> None:
    assert comment(text).isprintable()
    assert parse_yaml(f"key: value   {comment(text)}\n", "here", typ="safe") == {"key": "value"}


def test_everything_that_was_found_is_read_back_and_the_rest_stands_as_a_comment(tmp_path: Path) -> None:
    left, right = with_partners([frame("no"), frame("b: {", partitions=[VIOS, replace(CLIENT, name="12")])])
    off = frame("off", partitions=None, gap="HSCL0001\nframes: {evil: {host: evil}}")
    inside = [
        Inside("no", CLIENT, host="aix1", level="7200-05",
               sap=(SapInstances("P7D", ("00", "01"), ("00",), "p7dadm@aix1"),),
               databases=(RunningDatabase("P7D", "192.0.2.5:1521"),)),
        Inside("b: {", replace(CLIENT, name="12"), host="192.0.2.9", level="7100", databases=(RunningDatabase("P7D"),)),
        Inside("no", replace(CLIENT, name="gone"), why="the key\nevil: was refused"),
    ]  # fmt: skip
    path = tmp_path / "site.yaml"
    path.write_text(site_text("lpmkit site init", "2026-11-30", [left, right, off], inside, password="env:HMC"))
    site = load_site(path)
    assert {name: (each.system, each.vios, each.partner, each.password) for name, each in site.frames.items()} == {
        "no": ("no", ("v1",), "b: {", "env:HMC"),
        "b: {": ("b: {", ("v1",), "no", "env:HMC"),
    }
    assert {name: each.host for name, each in site.partitions.items()} == {"aix1": "aix1", "12": "192.0.2.9"}
    assert site.sap_systems["P7D"].dispatchers == ("00",)
    assert site.databases["P7D"].listener == "192.0.2.5:1521"
    text = path.read_text()
    assert "# gone: {host: gone}   # the key evil: was refused" in "".join(text)
    assert "# off is left out" in text
    assert "# P7D runs in 12 too" in text


def test_frames_of_two_consoles_name_the_address_only_where_it_was_confirmed() -> None:
    confirmed, open_ = frame("a", address="192.0.2.1"), frame("b", address="192.0.2.2", address_remark="not confirmed")
    text = site_text("x", "today", [confirmed, open_], [])
    assert '\n    mover_address: "192.0.2.1"\n' in text
    assert "# mover_address: 192.0.2.2   # not confirmed" in text


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("mine")
    with pytest.raises(UsageError, match="not overwritten"):
        write_new(path, "frames: {}")
    assert path.read_text() == "mine"
    link = tmp_path / "link.yaml"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="not overwritten"):
        write_new(link, "frames: {}")


def test_nothing_is_asked_where_the_file_is_there_or_no_manager_is_named(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("mine")
    words = ["site", "init", "--output", str(tmp_path / "site.yaml"), "--hmc", "no-such-host"]
    assert "not overwritten" in CliRunner().invoke(main, words).output
    assert "no manager is named" in CliRunner().invoke(main, ["site", "init"]).output
    assert "no name of a host" in CliRunner().invoke(main, ["site", "init", "--hmc=-oProxyCommand=x"]).output


def test_a_password_on_the_command_line_is_refused_and_not_repeated(tmp_path: Path) -> None:
    words = ["site", "init", "--output", str(tmp_path / "s.yaml"), "--hmc", "h", "--password", "tiger-tiger"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "never the password itself" in result.output
    assert "tiger" not in result.output


# --- where it is looked for ------------------------------------------------------------------------------------------


def test_the_site_file_is_looked_for_here_then_for_the_account_then_for_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LPMKIT_SITE", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "etc"))
    assert [str(place) for place in site_file_places()] == [
        "site.yaml", "lpmkit.yaml", str(tmp_path / "etc/lpmkit/site.yaml"), "/etc/lpmkit/site.yaml",
    ]  # fmt: skip
    (tmp_path / "etc/lpmkit").mkdir(parents=True)
    (tmp_path / "etc/lpmkit/site.yaml").write_text("frames: {}\n")
    assert find_site_file(None) == tmp_path / "etc/lpmkit/site.yaml"
    told = CliRunner().invoke(main, ["home"])
    assert f"Site file: {tmp_path}/etc/lpmkit/site.yaml" in told.stderr
    (tmp_path / "site.yaml").write_text("frames: {}\n")
    assert find_site_file(None) == Path("site.yaml")
    assert "Site file" not in CliRunner().invoke(main, ["home"]).stderr
    monkeypatch.setenv("LPMKIT_SITE", str(tmp_path / "etc/lpmkit/site.yaml"))
    assert find_site_file(None) == tmp_path / "etc/lpmkit/site.yaml"
    assert find_site_file("site.yaml") == Path("site.yaml")


# --- check and show --------------------------------------------------------------------------------------------------

ODD = """\
ssh_config: no-such-file
frames:
  a: {manager: hmc, host: hmc01, system: s1, vios: [v1], password: "env:LPMKIT_NOT_SET"}
  b: {manager: hmc, host: hmc01, system: s1, vios: [v1], partner: a}
sap_systems:
  P7D: {partition: aix1}
"""


def test_a_file_is_checked_without_any_machine(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(ODD)
    rows = {(row.what, row.verdict): row.found for row in check_file(path, load_site(path))}
    assert rows["frame b", "fail"] == "the same system as a"
    assert rows["frame a", "warn"] == "no partner"
    assert ("ssh_config", "fail") in rows
    assert ("SAP system P7D", "warn") in rows
    assert "LPMKIT_NOT_SET" in rows["frames.a.password", "warn"]
    result = CliRunner().invoke(main, ["--site", str(path), "site", "check"])
    assert result.exit_code == 1, result.output
    path.write_text("frames:\n  a: {manager: none}\n")
    assert CliRunner().invoke(main, ["--site", str(path), "site", "check"]).exit_code == 2


def test_a_site_is_shown_with_references_and_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPMKIT_NOT_SET", "tiger")
    (tmp_path / "site.yaml").write_text(ODD)
    shown = CliRunner().invoke(main, ["--site", str(tmp_path / "site.yaml"), "site", "show", "--json"])
    assert '"env:LPMKIT_NOT_SET"' in shown.output
    assert "tiger" not in shown.output


# --- from a manager's name to a check --------------------------------------------------------------------------------


def set_up(folder: Path, *managers: str) -> tuple[Terminal, Any]:
    """A terminal for a site file that `lpmkit site init` has written, and what the command answered."""
    site_file = folder / "own" / "site.yaml"
    site_file.parent.mkdir()
    terminal, config = Terminal(site_file), folder / "sim" / "ssh_config"
    words = ["--ssh-config", str(config), "--output", str(site_file), "--json"]
    made = terminal.type("site", "init", *managers, *words)
    assert made.status == 0, made
    checked = terminal.type("site", "check", "--machines", "--json")
    assert checked.status == 0, checked
    return terminal, made.json


@pytest.fixture(scope="module")
def p8pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """Two systems of one console, for tests that only read."""
    with rehearse(tmp_path_factory.mktemp("p8pair") / "sim", landscape="p8pair") as rehearsal:
        yield rehearsal


def test_three_commands_lead_from_a_consoles_name_to_a_check_that_passes(p8pair: Rehearsal) -> None:
    folder = p8pair.folder.parent
    terminal, made = set_up(folder, "--hmc", "hmc02")
    assert made["partitions"] == ["p8aix01", "p8npiv01"]
    assert set(made["left_out"]) == {"p8vnic01", "p8lin01", "p8aix06", "p8ibmi01"}
    ready = terminal.type("check", "p8aix01", "--to", made["partners"][made["frames"][0]], "--json")
    assert ready.status == 0, ready
    assert ready.json["answer"] == "ready"
    other = ("--output", str(folder / "other.yaml"), "--ssh-config", str(p8pair.folder / "ssh_config"))
    assert terminal.type("site", "init", "--hmc", "p8aix01", *other).status == 3
    assert not (folder / "other.yaml").exists(), "a machine that is no manager is no reason for half a file"


def test_two_ivms_confirm_each_others_address_and_sap_and_oracle_are_found_inside(tmp_path: Path) -> None:
    with rehearse(tmp_path / "sim", landscape="js22"):
        terminal, made = set_up(tmp_path, "--ivm", "bvio82", "--ivm", "bvio83")
        assert (made["partitions"], made["sap_systems"], made["databases"]) == (["bxaix85"], ["BX5"], ["BX5"])
        site = load_site(terminal.site_file)
        assert {name: frame.mover_address for name, frame in site.frames.items()} == {
            "bvio82": "192.0.2.82", "bvio83": "192.0.2.83",
        }  # fmt: skip
        looked = terminal.type("check", "bxaix85", "--to", "bvio83", "--json").json
        verdicts = {row["key"]: row["verdict"] for row in looked["findings"] if not row["only_firmware"]}
        open_ = {key for key, verdict in verdicts.items() if verdict in ("fail", "unknown")}
        assert open_ == {"sap-licence", "sap-next-jobs"}, "what no machine tells, and the file names as missing"
        text = terminal.site_file.read_text()
        assert "# hardware_keys:" in text
        assert "# zone:" in text
        assert terminal.type("validate", "bxaix85", "--to", "bvio83").status == 0


def test_a_partitions_name_that_leads_to_another_machine_is_no_login(p8pair: Rehearsal) -> None:
    listed = Partition("p8aix01", 9, "Running", environment="aixlinux", os_version="AIX 7.2")
    inside = look_into(p8pair.site, frame("a", frame=system("a", "21A3F5C")), listed, Secrets())
    assert inside.host == ""
    assert "leads to another machine: partition 3" in inside.why
    there = look_into(p8pair.site, frame("a", frame=system("a", "OTHER")), replace(listed, lpar_id=3), Secrets())
    assert "leads to another machine" in there.why
    right = look_into(p8pair.site, frame("a", frame=system("a", "21A3F5C")), replace(listed, lpar_id=3), Secrets())
    assert (right.host, right.why) == ("p8aix01", "")
