"""The inventory of frames and the workbook of a run, as spreadsheets read them."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner

from lpmkit.analysis import analyse
from lpmkit.cli import main
from lpmkit.commands.inventory import _print, csv_of
from lpmkit.report.workbook import workbook
from lpmkit.report.writeup import write_up
from lpmkit.runs.folder import Run
from lpmkit.survey import listing
from lpmkit.survey.gather import GatheredSystem, survey_frame
from lpmkit.survey.listing import TABLES, Tables, tables
from lpmkit.survey.model import Gap, SystemFacts
from lpmkit.timeline import outwards
from tests.in_process import place
from tests.made_runs import make
from tests.test_report import DOCUMENTS, MOVE


@pytest.fixture(scope="module")
def js22() -> Tables:
    with place("js22") as up:
        systems = [survey_frame(up.control(name), up.shells(name), name) for name in ("bvio82", "bvio83")]
    return tables(systems)


@pytest.fixture(scope="module")
def p8pair() -> Tables:
    with place("p8pair") as up:
        return tables([survey_frame(up.control(name), up.shells(name), name) for name in ("p8a", "p8b")])


def test_every_table_is_there_and_its_rows_name_their_frame(js22: Tables, p8pair: Tables) -> None:
    for found in (js22, p8pair):
        assert list(found) == list(TABLES)
        assert all(row["frame"] for rows in found.values() for row in rows)
        assert {row["kind"] for row in found["partitions"]} == {"partition", "I/O server"}
        assert found["gaps"] == []
    assert {row["frame"] for row in js22["partitions"]} == {"bvio82", "bvio83"}
    (partition,) = (row for row in js22["partitions"] if row["partition"] == "bxaix85")
    assert partition["memory_mb"] == 4096
    used = {row["disk"]: row["virtual target"] for row in js22["disks"] if row["partition"] == "bxaix85"}
    assert used["hdisk1"] == "bxaix85_rvg"
    assert {row["level"] for row in js22["levels"] if row["what"] == "VIOS"} == {"1.5.1.1-FP-10.1"}


def test_a_terminal_shows_the_trades_words_and_files_keep_their_keys(
    p8pair: Tables, capsys: pytest.CaptureFixture[str]
) -> None:
    _print(p8pair)
    said = capsys.readouterr().out
    assert not re.search(r"\b(lpar_id|os_version|memory_mb|proc_units|pvid|size_mb|type_model|I/O server)\b", said)
    assert "OS level" in said
    assert csv_of(p8pair, "disks").startswith("frame,I/O server,disk")


def test_both_wwpns_of_an_adapter_are_whole(p8pair: Tables) -> None:
    fibre = [row for row in p8pair["adapters"] if row["kind"] == "virtual Fibre Channel" and row["role"] == "client"]
    assert fibre
    for row in fibre:
        assert [len(wwpn) for wwpn in str(row["MAC or WWPNs"]).split()] == [16, 16]


def test_a_frame_that_cannot_be_asked_is_a_gap_and_takes_nothing_from_the_others() -> None:
    found = tables([GatheredSystem(SystemFacts("x"), (Gap("frame", "x", "no route"),))])
    assert found["gaps"] == [{"frame": "x", "not read": "frame", "of": "x", "why": "no route"}]
    assert found["partitions"] == []


def test_a_workbook_has_every_table_with_numbers_and_no_formula(js22: Tables) -> None:
    book = openpyxl.load_workbook(io.BytesIO(workbook({**js22, "odd": [{"a": "=1+1", "b": "\x00x", "c": None}]})))
    assert book.sheetnames == [*TABLES, "odd"]
    heads = [cell.value for cell in book["partitions"][1]]
    memory = [row[heads.index("memory_mb")].value for row in book["partitions"].iter_rows(min_row=2)]
    assert all(isinstance(value, int) for value in memory)
    assert book["partitions"].freeze_panes == "A2"
    odd = book["odd"]["A2"]
    assert (odd.value, odd.data_type) == ("=1+1", "s")
    assert book["odd"]["B2"].value == "x"
    assert book["gaps"]["A1"].value == "no rows"


def test_the_csv_of_a_table_has_all_columns(p8pair: Tables) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_of(p8pair, "partitions"))))
    assert len(rows) == len(p8pair["partitions"])
    assert set(rows[0]) == {head for row in p8pair["partitions"] for head in row}


def test_the_command_writes_every_form_and_says_what_could_not_be_read(
    tmp_path: Path, js22: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = "frames:\n  bvio82: {host: bvio82, mover_address: 192.0.2.82}\n"
    (tmp_path / "site.yaml").write_text(frames)
    monkeypatch.setattr(listing, "read_frames", lambda *_: [])
    monkeypatch.setattr(listing, "tables", lambda _: js22)
    asked = ["--site", str(tmp_path / "site.yaml"), "inventory"]
    files = ["--xlsx", str(tmp_path / "all.xlsx"), "--csv", str(tmp_path / "csv")]
    done = CliRunner().invoke(main, [*asked, *files])
    assert done.exit_code == 0, done.output
    assert openpyxl.load_workbook(tmp_path / "all.xlsx").sheetnames == list(TABLES)
    assert len(list((tmp_path / "csv").glob("*.csv"))) == len(TABLES)
    assert json.loads(CliRunner().invoke(main, [*asked, "--json"]).stdout) == json.loads(json.dumps(js22))
    shown = CliRunner().invoke(main, asked)
    assert "bxaix85" in shown.output
    monkeypatch.setattr(
        listing, "tables", lambda _: {**js22, "gaps": [{"frame": "b", "not read": "x", "of": "b", "why": "y"}]}
    )
    assert CliRunner().invoke(main, asked).exit_code == 3


def test_the_workbook_of_a_write_up_has_the_figures_of_the_run_as_numbers(tmp_path: Path) -> None:
    run = Run(make(tmp_path, MOVE, **DOCUMENTS).path)
    path = write_up(run, ("xlsx",))["xlsx"]
    book = openpyxl.load_workbook(path)
    assert {"Questions and answers", "Measurements", "Checks before the move", "Timeline"} <= set(book.sheetnames)
    rows = list(book["Measurements"].iter_rows(min_row=2, values_only=True))
    still = analyse(run).suspension
    assert still is not None
    assert rows[0][-2:] == outwards(still.length.lo_ns, still.length.hi_ns)
    assert all(isinstance(bound, int | float) for row in rows for bound in row[-2:])
