"""The write-up in every form, as the people find it who put it into a change record."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import string
import zipfile
from pathlib import Path

import docx
import pypdf
import pytest
import weasyprint
from click.testing import CliRunner
from PIL import Image

from lpmkit.analysis import analyse
from lpmkit.cli import all_commands, main
from lpmkit.errors import LpmError, NotFound, RecordError, UsageError
from lpmkit.report.writeup import FORMS, LANGUAGES, Words, add_remark, remarks, write_up, written
from lpmkit.report.writeup.document import Document, Facts, Picture, Section, Table, Text
from lpmkit.report.writeup.forms import html
from lpmkit.report.writeup.front import deviations, follow_up, header
from lpmkit.report.writeup.inputs import WriteUpInputs
from lpmkit.runs.folder import Run
from lpmkit.runs.remarks import NAME, change_of
from lpmkit.wording.words import texts_of
from tests.made_runs import Made, make
from tests.test_report import DOCUMENTS, MOVE

FIXTURES = Path(__file__).parent.parent / "fixtures" / "runs"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = make(tmp_path_factory.mktemp("write-up"), MOVE, **DOCUMENTS)
    add_remark(made.path, "change", fields={"number": "CHG-1", "window": "05:00–06:00", "approver": "M. Schulz"})
    add_remark(made.path, "change", fields={"number": "CHG0042317"})
    add_remark(made.path, "deviation", "Backup ran | late <b>", owner="Backup")
    add_remark(made.path, "remark", "Users were told.")
    add_remark(made.path, "sign-off", "carried out", by="schulz")
    return made


@pytest.fixture(scope="module")
def files(run: Run) -> dict[str, Path]:
    return write_up(run)


def _texts(files: dict[str, Path]) -> dict[str, str]:
    """The texts that a reader finds in each form, without the marks of the form; line breaks are spaces."""
    word = docx.Document(str(files["docx"]))
    cells = [cell.text for table in word.tables for row in table.rows for cell in row.cells]
    found = {
        "html": files["html"].read_text(encoding="utf-8"),
        "pdf": "\n".join(page.extract_text() for page in pypdf.PdfReader(files["pdf"]).pages),
        "docx": "\n".join([*(one.text for one in word.paragraphs), *cells]),
        "md": files["md"].read_text(encoding="utf-8").replace("\\", ""),
    }
    return {form: " ".join(text.replace("\u00a0", " ").split()) for form, text in found.items()}


def test_every_form_says_the_verdict_the_five_numbers_and_what_people_added(run: Run, files: dict[str, Path]) -> None:
    document = written(run, analyse(run), Words("en"))
    assert len(document.figures) == 5
    said = [document.sentence, "CHG0042317", "05:00–06:00", "M. Schulz", "Users were told.", "schulz"]
    said += [one.value.replace("\u00a0", " ") for one in document.figures]
    for form, text in _texts(files).items():
        assert [one for one in said if one not in text] == [], form
        assert "CHG-1 " not in text, "what was said last counts"
    assert "Backup ran | late &lt;b&gt;" in files["html"].read_text(encoding="utf-8")


@pytest.mark.parametrize("language", ["en", "de"])
def test_both_languages_have_every_section_and_all_of_their_own_words(run: Run, language: str) -> None:
    document = written(run, analyse(run), Words(language))
    keys = [section.key for section in document.sections]
    assert keys == [
        "header",
        "deviations",
        "back-out",
        "follow-up",
        "sign-off",
        "questions",
        "scope",
        "before-after",
        "checks",
        "timeline",
        "measurements",
        "sessions",
        "licence",
        "not-looked-at",
        "remarks",
        "evidence",
    ]
    assert [section.key for section in document.sections if not section.is_annex] == keys[:5]
    other = Words("de" if language == "en" else "en")
    assert all(section.title != other(f"section.{section.key}") for section in document.sections)
    assert document.state_word == Words(language)(f"state.{document.state}")


def test_the_texts_of_both_languages_have_the_same_places_to_fill() -> None:
    english, german = texts_of("en"), texts_of("de")
    # English says these as the analysis and the checks do
    of_its_own = ("verdict.", "fact.", "question.", "check.", "who.")
    assert {key for key in german if not key.startswith(of_its_own)} == {
        key for key in english if key != "verdict" and not key.startswith("fact.")
    }
    assert {key for key in english if key.startswith("fact.")} <= set(german)

    def places(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}

    for key, text in english.items():
        if key in german and key != "checks.explained":  # the explanation is English; German names the command for it
            assert places(text) == places(german[key]), key


def test_numbers_are_written_as_the_language_writes_them(run: Run) -> None:
    german = written(run, analyse(run), Words("de"))
    assert german.sentence.startswith("Migriert, Unterbrechung 1,5")
    assert "," in german.figures[0].value
    assert "." not in german.figures[0].value


def test_the_html_and_the_word_file_describe_their_pictures(files: dict[str, Path]) -> None:
    html = files["html"].read_text(encoding="utf-8")
    assert html.count("<img") == html.count('<img src="data:image/png;base64,') > 1
    assert 'alt="Lanes of all probes' in html
    word = docx.Document(str(files["docx"]))
    assert all(shape._inline.docPr.get("descr") for shape in word.inline_shapes)
    assert len(word.inline_shapes) > 1


def test_the_pictures_of_the_wiki_s_text_lie_where_it_says(files: dict[str, Path]) -> None:
    named = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", files["md"].read_text(encoding="utf-8"))
    assert len(named) > 1
    assert all((files["md"].parent / name).read_bytes().startswith(b"\x89PNG") for name in named)


def test_the_bundle_holds_everything_and_its_hashes_fit(run: Run, files: dict[str, Path]) -> None:
    with zipfile.ZipFile(files["zip"]) as bundle:
        names = set(bundle.namelist())
        sums = bundle.read(f"{run.name}/SHA256SUMS").decode().splitlines()
        for line in sums:
            digest, _, name = line.partition("  ")
            assert hashlib.sha256(bundle.read(f"{run.name}/{name}")).hexdigest() == digest
    listed = {line.partition("  ")[2] for line in sums}
    assert names == {f"{run.name}/{name}" for name in listed} | {f"{run.name}/SHA256SUMS"}
    assert {"summary.json", "samples.csv", "report.html", "events.jsonl", "remarks.jsonl"} <= listed
    assert {f"write-up/{name}" for form, name in FORMS.items() if form != "zip"} <= listed


def test_writing_up_again_changes_no_evidence(run: Run, files: dict[str, Path]) -> None:
    rows = [line for line in files["md"].read_text().splitlines() if "samples/" in line or "events.jsonl" in line]
    again = write_up(run, ("md",))
    assert list(again) == ["md"]
    assert [
        line for line in again["md"].read_text().splitlines() if "samples/" in line or "events.jsonl" in line
    ] == rows
    assert rows


def test_a_site_s_template_extends_ours_and_shows_its_logo(run: Run, files: dict[str, Path], tmp_path: Path) -> None:
    template, logo = tmp_path / "ours.html.j2", tmp_path / "logo.png"
    template.write_text(
        '{% extends "writeup.html.j2" %}{% block top %}<h1>ACME {{ document.sentence }}</h1><img src="{{ logo }}">{% endblock %}'
    )
    logo.write_bytes((files["md"].parent / "plots" / "ladder.png").read_bytes())
    text = write_up(run, ("html",), template=template, logo=logo)["html"].read_text(encoding="utf-8")
    assert "<h1>ACME Moved, suspended" in text
    assert '<img src="data:image/png;base64,' in text


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("{% for x in document.sections %}", UsageError, r"cannot be filled.*"),
        ('{{ picture("nothing") }}', NotFound, "nothing.png"),
        ('<img src="http://192.0.2.1/logo.png">', UsageError, "does not belong into a record"),
    ],
)
def test_a_template_that_cannot_be_filled_is_named(
    run: Run, tmp_path: Path, text: str, error: type[LpmError], says: str
) -> None:
    template = tmp_path / "site.html.j2"
    template.write_text(text)
    with pytest.raises(error, match=says):
        write_up(run, ("pdf",), template=template)


def test_a_watch_is_written_up_without_what_only_a_move_has(tmp_path: Path) -> None:
    watched = make(tmp_path, Made(mode="watch", duration_s=26.0, suspend=(15.0, 16.5)))
    document = written(watched, analyse(watched), Words("en"))
    keys = {section.key for section in document.sections}
    assert {"before-after", "checks", "licence"}.isdisjoint(keys)
    assert document.title == "bxaix85: recorded during a move started elsewhere"
    assert document.figures[2].value == "not part of a watch"


# --- remarks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "fields", "says"),
    [
        ("gossip", "x", {}, "no kind of remark"),
        ("remark", "  ", {}, "empty"),
        ("change", "", {"colour": "red"}, "no field colour"),
        ("remark", "x", {"number": "1"}, "belong to the change"),
    ],
)
def test_a_remark_that_makes_no_sense_is_refused(
    tmp_path: Path, kind: str, text: str, fields: dict[str, str], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        add_remark(tmp_path, kind, text, fields=fields)
    assert not (tmp_path / NAME).exists()


def test_a_torn_line_of_remarks_loses_nothing_else_and_is_counted(run: Run, tmp_path: Path) -> None:
    add_remark(tmp_path, "remark", "first")
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'{"wall_ns": 1, "by": "x"')
    add_remark(tmp_path, "change", fields={"number": "C1"})
    said, unreadable = remarks(tmp_path)
    assert [one.text for one in said] == ["first", ""]
    assert unreadable == 1
    assert change_of(said) == {"number": "C1"}


def test_a_remark_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(RecordError, match=r"remarks\.jsonl cannot be written"):
        add_remark(tmp_path, "remark", "x")


# --- the commands ---------------------------------------------------------------------------------------------------


def test_the_command_offers_the_forms_and_languages_that_there_are() -> None:
    """It names them itself, so that its help needs none of what makes them."""
    offered = {
        option.name: option.type.choices
        for option in all_commands()["write-up"].params
        if hasattr(option.type, "choices")
    }
    assert list(offered["forms"]) == list(FORMS)
    assert list(offered["language"]) == list(LANGUAGES)


def test_the_commands_add_a_remark_and_write_one_form(run: Run, tmp_path: Path) -> None:
    terminal = CliRunner()
    said = terminal.invoke(main, ["remark", str(run.path), "Plan B was at hand", "--kind", "back-out"])
    assert said.exit_code == 0, said.output
    made = terminal.invoke(main, ["write-up", str(run.path), "--form", "md", "--language", "de", "--json"])
    assert made.exit_code == 0, made.output
    text = Path(json.loads(made.stdout)["md"]).read_text(encoding="utf-8")
    assert "## Rückfallplan\n\nPlan B was at hand" in text
    refused = terminal.invoke(main, ["remark", str(run.path), "", "--kind", "remark"])
    assert refused.exit_code == 2
    assert "empty" in refused.output


def test_a_move_that_was_interrupted_and_recovered_tells_it_on_its_first_pages(tmp_path: Path) -> None:
    run = Run(shutil.copytree(FIXTURES / "recovered-move", tmp_path / "recovered-move"))
    source = WriteUpInputs(run, analyse(run), Words("en"))
    text = str(deviations(source).blocks).replace("\\xa0", " ")
    assert "interrupted at 51 % from 2026-11-30 07:15:39 to 2026-11-30 07:15:46 UTC" in text
    assert "recovered by operator with migrlpar -o r; bxaix85 stayed on bvio82" in text
    assert "error logs of both VIOS before the next attempt" in str(follow_up(source).blocks)
    (facts,) = header(source).blocks
    assert isinstance(facts, Facts)
    assert (
        dict(facts.rows)["move attempted"]
        .replace("\N{NO-BREAK SPACE}", " ")
        .startswith("2026-11-30 07:15:36 … 07:15:46 UTC")
    )


def test_a_move_that_was_stopped_leaves_nothing_to_find_out() -> None:
    run = Run(FIXTURES / "stopped-move")
    source = WriteUpInputs(run, analyse(run), Words("en"))
    assert "interrupted" not in str(deviations(source).blocks)
    assert follow_up(source).blocks == (Text("None."),)


@pytest.mark.parametrize(("folder", "owner"), [("hmc-move", "HMC administrator"), ("ivm-move", "VIOS administrator")])
def test_what_is_done_on_a_manager_is_its_administrators(folder: str, owner: str) -> None:
    run = Run(FIXTURES / folder)
    (table,) = follow_up(WriteUpInputs(run, analyse(run), Words("en"))).blocks
    assert isinstance(table, Table)
    assert next(row for row in table.rows if "profile" in row[0])[1] == owner


LINUX = {"guest": {"identity": {"level": "Red Hat Enterprise Linux 9.3 (Plow)", "system": "Linux"}}}


@pytest.mark.parametrize(
    ("folder", "change", "told"),
    [
        ("hmc-move", {}, "listed before the move: p7a-vios1 (192.0.2.71) → p7b-vios1 (192.0.2.72) (one pair"),
        ("hmc-move", {"mapping": {"source_msp_name": "p7a-vios1"}}, "named in the order: p7a-vios1 (192.0.2.71)"),
        ("hmc-move", {"mover_pairs": []}, None),
        ("ivm-move", {}, "listed before the move: 10-071DA (192.0.2.82) → 10-072EA (192.0.2.83) (one pair"),
        ("ivm-move", LINUX, "bxaix85: Red Hat Enterprise Linux 9.3 (Plow)"),
    ],
)
def test_the_scope_names_the_movers_with_their_addresses_and_the_system_as_it_is(
    tmp_path: Path, folder: str, change: dict[str, object], told: str | None
) -> None:
    run = Run(shutil.copytree(FIXTURES / folder, tmp_path / folder))
    survey = run.path / "survey.json"
    survey.write_text(json.dumps({**json.loads(survey.read_text()), **change}))
    sections = written(run, analyse(run), Words("en")).sections
    (scope,) = [section for section in sections if section.key == "scope"]
    text = "\n".join(block.text for block in scope.blocks if isinstance(block, Text))
    assert told in text if told else "Mover" not in text


def test_a_tall_picture_stays_within_its_page(tmp_path: Path) -> None:
    Image.new("RGB", (400, 900), "white").save(tmp_path / "wall.png")
    section = Section("measurements", "Measurements", (Picture("wall", "a chart", "caption"),))
    document = Document("title", "en", "run", "passed", "passed", "Moved.", (), (section,), "footer")
    made = weasyprint.HTML(string=html(document, tmp_path, None, None)).render()
    boxes = [(page._page_box, box) for page in made.pages for box in page._page_box.descendants()]
    pictures = [(page, box) for page, box in boxes if box.element_tag == "img"]
    assert pictures
    for page, box in pictures:
        assert box.position_y + box.height <= page.position_y + page.margin_top + page.height
        assert box.height / box.width == pytest.approx(900 / 400, rel=0.01)
