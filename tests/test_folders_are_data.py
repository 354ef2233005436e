"""A run folder is data: nothing in it leads out of it, nothing signed is replaced, and it is for its owner alone."""

from __future__ import annotations

import csv
import grp
import io
import os
import shutil
import stat
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from lpmkit.analysis import analyse
from lpmkit.background.requests import put
from lpmkit.cli import main
from lpmkit.config import Site
from lpmkit.errors import RecordError, UsageError
from lpmkit.migration.status import order_of
from lpmkit.recorder.process import Recorder
from lpmkit.report.facts import evidence
from lpmkit.report.outputs import Outputs, is_derived
from lpmkit.report.page import write_report
from lpmkit.report.writeup import Document, Words, bundle_of, write_up
from lpmkit.report.writeup import written as made_document
from lpmkit.report.writeup.forms import check_inputs, foreign_parts, html, word
from lpmkit.runs import files as runs_files
from lpmkit.runs.files import make_folder, plain_files, sheet_cell
from lpmkit.runs.folder import Run, create, write_document
from lpmkit.runs.remarks import add_remark
from lpmkit.runs.writer import RunWriter
from lpmkit.ssh.secrets import Secrets
from lpmkit.timeline import Clock, Outcome, Sample
from tests.end_to_end.cases import soon
from tests.made_runs import Made, make

SECRET = "-----BEGIN OPENSSH PRIVATE KEY----- not to be packed"


SMALL = Made(duration_s=8.0, suspend=(4.0, 5.0), tick_hz=20, connect=False, observer=False)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small run with its report and its write-up; copied by the tests, because making one takes seconds."""
    made = make(tmp_path_factory.mktemp("made"), SMALL)
    with RunWriter(made.path) as writer:
        writer.event("recorder", "recorder-ended", reason="the tail is over")
    write_up(made, ("html", "md", "pdf"))
    return made


@pytest.fixture
def run(written: Run, tmp_path: Path) -> Run:
    """The same as it was recorded, without a report."""
    copied = shutil.copytree(written.path, tmp_path / "runs" / written.name)
    for path in copied.iterdir():
        if is_derived(path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return Run(copied)


@pytest.fixture
def reported(written: Run, tmp_path: Path) -> Run:
    """The same with its report and its write-up."""
    return Run(shutil.copytree(written.path, tmp_path / "reported" / written.name))


@pytest.fixture(scope="module")
def document(written: Run) -> Document:
    return made_document(written, analyse(written), Words("en"))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "id_ed25519").write_text(SECRET)
    return folder


# --- links ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["note.txt", "events.jsonl", "survey.json", "recorder.log", "summary.json"])
def test_a_link_in_a_run_folder_is_refused_by_everything_that_reads_it(name: str, run: Run, elsewhere: Path) -> None:
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).symlink_to(elsewhere / "id_ed25519")
    with pytest.raises(RecordError, match=name):
        Run(run.path)
    with pytest.raises(RecordError, match=name):
        RunWriter(run.path).__enter__()
    assert (elsewhere / "id_ed25519").read_text() == SECRET
    assert [path.name for path in elsewhere.iterdir()] == ["id_ed25519"]


@pytest.mark.parametrize("where", ["samples", "observations", "write-up", "write-up/plots", "deep/er"])
def test_a_link_further_down_is_neither_packed_nor_read_nor_written_through(
    where: str, run: Run, elsewhere: Path
) -> None:
    (run.path / where).mkdir(parents=True, exist_ok=True)
    (run.path / where / "x.1.csv").symlink_to(elsewhere / "id_ed25519")
    with pytest.raises(RecordError, match="link"):
        list(plain_files(run.path))
    with pytest.raises(RecordError, match="link"):
        list(evidence(run.path))


@pytest.mark.parametrize("name", ["plots", "write-up", "requests", "observations", "samples"])
def test_a_folder_that_leads_elsewhere_is_not_written_into(name: str, run: Run, elsewhere: Path) -> None:
    for path in sorted((run.path / name).rglob("*"), reverse=True):
        path.unlink()
    if (run.path / name).exists():
        (run.path / name).rmdir()
    (run.path / name).symlink_to(elsewhere)
    with pytest.raises(RecordError, match=name):
        write_report(run.path)
    with pytest.raises(RecordError, match=name):
        make_folder(run.path / name)
    assert [path.name for path in elsewhere.iterdir()] == ["id_ed25519"]


def test_a_pipe_in_the_place_of_a_file_blocks_nobody(run: Run) -> None:
    (run.path / "events.jsonl").unlink()
    os.mkfifo(run.path / "events.jsonl")
    with pytest.raises(RecordError, match=r"events\.jsonl"):
        Run(run.path)


def test_a_zip_is_not_made_of_a_folder_with_a_link(reported: Run, elsewhere: Path) -> None:
    (reported.path / "write-up" / "key.txt").symlink_to(elsewhere / "id_ed25519")
    with pytest.raises(RecordError, match="link"):
        bundle_of(reported, reported.path / "write-up")
    assert not list(reported.path.rglob("*.zip"))


def test_the_zip_holds_every_plain_file_and_its_hash(reported: Run) -> None:
    with zipfile.ZipFile(bundle_of(reported, reported.path / "write-up")) as bundle:
        names = {name.removeprefix(f"{reported.name}/") for name in bundle.namelist()}
        assert {"run.json", "events.jsonl", "report.html", "write-up/write-up.html", "SHA256SUMS"} <= names
        assert not [name for name in names if name.endswith(".zip")]
        assert bundle.testzip() is None


# --- who may read ---------------------------------------------------------------------------------------------------


def _modes(folder: Path) -> set[tuple[bool, int]]:
    return {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in (folder, *folder.rglob("*"))}


def test_a_name_that_is_no_utf_8_is_told_by_its_bytes(reported: Run) -> None:
    (reported.path / os.fsdecode(b"Pr\xfcfung.pdf")).write_text("x")
    assert "Pr\\xfcfung.pdf" in [name for name, _, _ in evidence(reported.path)]
    with zipfile.ZipFile(bundle_of(reported, reported.path / "write-up")) as bundle:
        assert f"{reported.name}/Pr\\xfcfung.pdf" in bundle.namelist()


@pytest.mark.parametrize("umask", [0o022, 0o000, 0o077])
def test_a_run_folder_is_its_owners_alone(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        run = create(tmp_path / "new" / "runs", mode="watch", title="x", facts={})
        _written(run)
    finally:
        os.umask(before)
    assert _modes(tmp_path / "new") == {(True, 0o700), (False, 0o600)}


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_run_folder_is_shared_with_the_sites_group_and_nobody_else(umask: int, tmp_path: Path) -> None:
    group = grp.getgrgid(os.getgid()).gr_name
    before = os.umask(umask)
    try:
        run = create(tmp_path / "runs", mode="watch", title="x", facts={}, group=group)
        _written(run)
    finally:
        os.umask(before)
    assert _modes(tmp_path / "runs") == {(True, 0o2770), (False, 0o660)}
    assert {path.stat().st_gid for path in run.path.rglob("*")} == {os.getgid()}


def test_a_group_that_there_is_not_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such group"):
        create(tmp_path / "runs", mode="watch", title="x", facts={}, group="no-such-group-here")


def _written(run: Run) -> None:
    with RunWriter(run.path) as writer:
        writer.event("recorder", "note", text="x")
        writer.samples("ticks", [Sample(1, 1, 1, 1, None, None, None, Outcome.ANSWERED, "")])
        writer.observation_rows("sap", b"{}\n")
        writer.flush()
        writer.pack()
        write_document(run.path, "survey", {})
        add_remark(run.path, "remark", "hello")
    Outputs(run).write(run.path / "report.html", b"x")
    make_folder(run.path / "plots")


# --- archives -------------------------------------------------------------------------------------------------------


@pytest.fixture
def archive(reported: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where nothing can be written, for root as well: every attempt ends as on a read-only file system."""
    run = reported
    before = os.open

    def refuse(path: str, flags: int, *more: Any, **named: Any) -> int:
        inside = str(path).startswith(str(run.path))
        if inside and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(30, "Read-only file system", str(path))
        return before(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refuse)
    return run.path


def test_report_analyse_and_attach_of_an_archive_print_the_verdict_and_say_what_is_not_written(archive: Path) -> None:
    for words in (["report"], ["analyse"], ["attach"]):
        result = CliRunner().invoke(main, [*words, str(archive)])
        assert "Traceback" not in result.output
        assert "defect" not in result.output
        assert "Read-only file system" in result.output
        assert "--output" in result.output
        assert "moved" in result.output.lower()


def test_an_archive_is_reported_and_written_up_elsewhere(archive: Path, tmp_path: Path) -> None:
    there = tmp_path / "out"
    for words in (["report"], ["analyse"], ["write-up", "--form", "md", "--form", "zip"]):
        result = CliRunner().invoke(main, [*words, "--output", str(there), str(archive)])
        assert "Read-only" not in result.output, result.output
    assert {"report.html", "summary.json", "samples.csv", "plots", "write-up"} <= {
        path.name for path in there.iterdir()
    }
    with zipfile.ZipFile(next(there.rglob("*.zip"))) as bundle:
        names = bundle.namelist()
        assert any(name.endswith("/write-up/write-up.md") for name in names)
        assert any(name.endswith("/events.jsonl") for name in names)


def test_write_up_and_remark_of_an_archive_are_clear_errors(archive: Path) -> None:
    for words in (["write-up", str(archive)], ["remark", str(archive), "hello"]):
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 3
        assert "Read-only file system" in result.output
        assert "defect" not in result.output


def test_a_lock_that_one_may_not_read_does_not_keep_the_verdict(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (run.path / "recorder.lock").touch()
    before = os.open

    def refuse(path: str, *more: Any, **named: Any) -> int:
        if str(path).endswith("recorder.lock"):
            raise PermissionError(13, "Permission denied", str(path))
        return before(path, *more, **named)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RecordError, match=r"recorder\.lock"):
        run.is_recorded()
    result = CliRunner().invoke(main, ["report", str(run.path)])
    assert "Report:" in result.output


# --- what is signed -------------------------------------------------------------------------------------------------


def _sign_off(run: Run) -> None:
    add_remark(run.path, "sign-off", "seen and accepted")


def _sign_beside(run: Run) -> None:
    (run.path / "report.html.asc").write_text("-----BEGIN PGP SIGNATURE-----")


@pytest.mark.parametrize("sign", [_sign_off, _sign_beside])
def test_a_signed_report_stays_and_the_new_one_stands_beside_it(sign: Callable[[Run], None], reported: Run) -> None:
    report = reported.path / "report.html"
    report.write_text("passed, and signed by somebody")
    sign(reported)
    result = CliRunner().invoke(main, ["report", str(reported.path)])
    assert "signed and stays" in result.output
    assert report.read_text() == "passed, and signed by somebody"
    (fresh,) = reported.path.glob("report-*Z.html")
    assert "<!DOCTYPE html>" in fresh.read_text()


def test_the_same_content_again_is_no_further_file(run: Run) -> None:
    path = run.path / "report.html"
    path.write_text("signed")
    _sign_off(run)
    fresh = Outputs(run).write(path, b"new")
    assert fresh != path
    assert Outputs(run).write(path, b"new") == fresh
    assert Outputs(run).write(path, b"signed") == path
    assert path.read_text() == "signed"


def test_a_summary_that_was_signed_off_is_not_replaced(reported: Run) -> None:
    _sign_off(reported)
    (reported.path / "summary.json").write_text("{}")
    CliRunner().invoke(main, ["analyse", str(reported.path)])
    assert (reported.path / "summary.json").read_text() == "{}"
    assert len(list(reported.path.glob("summary-*Z.json"))) == 1


@pytest.mark.parametrize("way", ["sign-off", "beside", "inside"])
def test_a_signed_write_up_stays_and_the_new_one_has_a_folder_of_its_own(way: str, reported: Run) -> None:
    first = reported.path / "write-up"
    if way == "sign-off":
        _sign_off(reported)
    elif way == "beside":
        (first / "write-up.md.sig").write_bytes(b"sig")
    else:
        (first / "write-up.pdf").write_bytes((first / "write-up.pdf").read_bytes() + b"/Type /Sig /ByteRange [0 1 2 3]")
    second = Outputs(reported).folder_for("write-up")
    assert second != first
    assert is_derived(second.name)


def test_without_a_signature_a_report_is_written_anew(run: Run) -> None:
    path = run.path / "report.html"
    path.write_text("an older version's")
    assert Outputs(run).write(path, b"new") == path
    assert path.read_bytes() == b"new"
    assert Outputs(run).folder_for("write-up") == Outputs(run).folder_for("write-up")


# --- templates and pictures -----------------------------------------------------------------------------------------

ESCAPES = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.popen('touch PROOF').read() }}",
    "{{ self._TemplateReference__context.cycler.__init__.__globals__ }}",
    "{{ picture.__globals__ }}",
    "{{ lipsum.__globals__['os'].popen('touch PROOF').read() }}",
    "{{ document.__class__.__init__.__globals__ }}",
    "{{ '{0.__class__}'.format(document) }}",
)


@pytest.mark.parametrize("text", ESCAPES)
def test_a_template_runs_nothing(
    text: str, document: Document, written: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    template = tmp_path / "site.html.j2"
    template.write_text(text)
    try:
        page = html(document, written.path / "write-up" / "plots", template)
    except UsageError as error:
        page = str(error)
    assert not (tmp_path / "PROOF").exists()
    assert "<class" not in page
    assert "popen" not in page or "cannot be filled" in page


@pytest.mark.parametrize(
    "text",
    [
        "{{ 1 / 0 }}", "{{ document + 1 }}", "{{ document.sections[99].title.x }}", "{{ nothing() }}",
        "{{ picture() }}",
        "{% for a in range(10 ** 12) %}{% endfor %}", "{% include 'no-such-file' %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
 "{% extends 'x' %}", "{% if %}", "\x00{{",
    ],
)  # fmt: skip
def test_an_error_in_a_template_is_an_own_error(text: str, document: Document, written: Run, tmp_path: Path) -> None:
    template = tmp_path / "site.html.j2"
    template.write_text(text)
    with pytest.raises(UsageError, match=r"site\.html\.j2"):
        html(document, written.path / "write-up" / "plots", template)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}", "1 s"),
        ("{{ 'x' * 10 ** 11 }}", "64 MB of memory"),
        ("{{ ('x' * 10 ** 6) | center(10 ** 10) }}", "64 MB of memory"),
        ("{% set x = namespace(a='x') %}{% for i in range(60) %}{% set x.a = x.a ~ x.a %}{% endfor %}",
         "64 MB of memory"),
    ],
)  # fmt: skip
def test_a_template_without_end_costs_a_sentence(
    text: str, limit: str, document: Document, written: Run, tmp_path: Path
) -> None:
    template = tmp_path / "site.html.j2"
    template.write_text(text)
    with pytest.raises(UsageError, match=rf"site\.html\.j2: the template takes more than {limit}"):
        html(document, written.path / "write-up" / "plots", template, limits=(1.0, 64 << 20))


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>", "<SCRIPT src=x></SCRIPT>", "<img src='http://192.0.2.1/a.png'>", "<img src=//a/b>",
        "<img srcset='x.png 2x'>",
        "<p onclick='x()'>", "<svg onload=x()>", "<iframe src='a'></iframe>", "<link rel=stylesheet href=a.css>",
        "<base href='http://a/'>",
        "<a href='javascript:x()'>a</a>", "<a href='java\nscript:x()'>a</a>", "<style>@import 'a.css';</style>",
        "<style>p{background:url(http://a/b)}</style>",
        "<p style=\"background:url('http://a/b')\">", "<meta http-equiv=refresh content='0;url=http://a'>",
        "<form action=http://a>", "<object data=a>",
        "<video poster=http://a>", "<img src='data:text/html,x'>", "<a href='data:text/html,<script>'>",
        "<style>p{background:u\\72l(http://a)}</style>",
        "<svg><use href='http://a#b'/></svg>", "<svg><a xlink:href='javascript:x'>", "<embed src=a>",
    ],
)  # fmt: skip
def test_a_page_with_a_script_or_an_address_elsewhere_is_refused_in_every_form(
    text: str, document: Document, written: Run, tmp_path: Path
) -> None:
    template = tmp_path / "site.html.j2"
    template.write_text(f"{{% extends 'writeup.html.j2' %}}{{% block style %}}</style>{text}<style>{{% endblock %}}")
    assert foreign_parts(text)
    with pytest.raises(UsageError, match="does not belong"):
        html(document, written.path / "write-up" / "plots", template)


def test_our_own_pages_hold_nothing_from_elsewhere(written: Run) -> None:
    assert foreign_parts((written.path / "write-up" / "write-up.html").read_text()) == []
    assert foreign_parts((written.path / "report.html").read_text()) == []


def _png() -> bytes:
    kept = io.BytesIO()
    Image.new("RGB", (8, 8)).save(kept, "PNG")
    return kept.getvalue()


@pytest.mark.parametrize("form", ["html", "docx"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("logo.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>x</script></svg>"),
        ("logo.png", b"\x89PNG\r\n\x1a\n damaged"),
        ("logo.png", _png()[:60]),
        ("logo.png", SECRET.encode()),
        ("logo.jpg", b"\xff\xd8\xff\xe0 no picture"),
        ("logo.png", b""),
    ],
    ids=["svg", "damaged", "cut", "another file", "jpeg", "empty"],
)
def test_a_logo_that_is_no_picture_is_an_own_error_before_anything_is_written(
    name: str, content: bytes, form: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=name):
        write_up(run, (form,), logo=tmp_path / name)
    assert not (run.path / "write-up").exists()


def test_a_link_named_like_a_picture_embeds_no_other_file(elsewhere: Path, tmp_path: Path) -> None:
    (tmp_path / "logo.png").symlink_to(elsewhere / "id_ed25519")
    with pytest.raises(UsageError, match="no PNG"):
        check_inputs(None, tmp_path / "logo.png")


def test_control_characters_of_a_machine_break_no_word_file(document: Document, written: Run) -> None:
    odd = "a\x00b\x1b[2Jc\ufffe\x0b\ud800"
    changed = replace(document, title=odd, sentence=odd, footer=odd)
    assert word(changed, written.path / "write-up" / "plots")


# --- spreadsheets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", '=HYPERLINK("http://a")']
)
def test_a_cell_that_a_spreadsheet_would_run_is_a_text(text: str) -> None:
    assert str(sheet_cell(text)).startswith("'")


@pytest.mark.parametrize("value", ["plain", "-3.5", "+1e9", "", "2026-11-30", None, 4, -4.5, True])
def test_numbers_and_texts_stay_as_they_are(value: object) -> None:
    assert sheet_cell(value) is value


def test_samples_csv_holds_no_formula(tmp_path: Path) -> None:
    run = create(tmp_path, mode="watch", title="x", facts={"probes": [], "lead_in_s": 1, "tail_s": 1})
    with RunWriter(run.path) as writer:
        writer.event("recorder", "recorder-started", mode="watch", resumed=False)
        writer.samples("ticks", [Sample(1, 1, 1, 1, None, None, None, Outcome.ANSWERED, "=cmd|' /C calc'!A0")])
    write_report(run.path)
    rows = list(csv.reader((run.path / "samples.csv").read_text().splitlines()))
    assert rows[1][-1] == "'=cmd|' /C calc'!A0"
    assert analyse(run) is not None


@pytest.mark.parametrize("name", ["run.json", "summary.json", "survey.json", "validation.json"])
def test_a_document_of_terabytes_that_costs_nothing_to_make_is_not_read(name: str, run: Run) -> None:
    (run.path / name).touch()
    os.truncate(run.path / name, 1 << 40)
    result = CliRunner().invoke(main, ["history", "--runs", str(run.path.parent)])
    assert result.exit_code == 0, result.output
    with pytest.raises(RecordError, match="larger than 64"):
        Run(run.path).document(name.removesuffix(".json"))


def test_a_line_without_end_is_cut_and_counted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_files, "MAX_LINE_BYTES", 4096)
    whole = run.events()
    with (run.path / "events.jsonl").open("ab") as file:
        file.write(b"x" * 10_000 + b"\n" + b"y" * 10_000)
    again = Run(run.path)
    assert again.events() == whole
    assert again.unreadable["events.jsonl"] == 1
    assert again.last_event(whole[0].kind) is not None


@pytest.mark.parametrize("order", [{}, {"partition": "p"}, {"partition": 1}, {"mapping": ["x"]}])
def test_an_odd_order_is_a_record_error(order: dict[str, object], tmp_path: Path) -> None:
    whole = dict.fromkeys(("partition", "source", "target", "target_machine", "target_address", "target_user"), "x")
    broken = order if "mapping" not in order else {**whole, **order}
    run = create(tmp_path, mode="move", title="x", facts={"order": broken or {"partition": None}})
    with pytest.raises(RecordError, match="order"):
        order_of(run)


# --- renamed and removed --------------------------------------------------------------------------------------------


def _watched(tmp_path: Path) -> Run:
    facts = {"hosts": [], "probes": [], "lead_in_s": 0.0, "tail_s": 0.0, "poll_s": 0.2, "duration_s": None}
    return create(tmp_path / "runs", mode="watch", title="x", facts=facts)


def _recording(run: Run) -> tuple[threading.Thread, list[Exception]]:
    raised: list[Exception] = []

    def record() -> None:
        try:
            Recorder(run, Secrets(), {"site": Site().as_data(), "probes": []}).record()
        except RecordError as error:
            raised.append(error)

    thread = threading.Thread(target=record, daemon=True)
    thread.start()
    soon(lambda: any(event.kind == "clock" for event in run.events()))
    return thread, raised


def test_a_folder_that_is_renamed_while_it_is_recorded_is_followed(tmp_path: Path) -> None:
    run = _watched(tmp_path)
    thread, raised = _recording(Run(run.path))
    renamed = run.path.rename(run.path.with_name("CHG0042317"))
    soon(lambda: any("renamed" in str(event.data.get("text")) for event in Run(renamed).events()))
    soon(lambda: Run(renamed).sample_files())
    put(Run(renamed), Clock(), "end")
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert raised == []
    kinds = [event.kind for event in Run(renamed).events()]
    assert kinds[0] == "recorder-started"
    assert kinds[-1] == "recorder-ended"
    assert not run.path.exists(), "nothing is made again under the old name"
    assert Run(renamed).sample_files(), "what the probes saw is packed there"


def test_a_folder_that_is_removed_while_it_is_recorded_ends_the_recorder_in_words(tmp_path: Path) -> None:
    run = _watched(tmp_path)
    thread, raised = _recording(Run(run.path))
    shutil.rmtree(run.path, ignore_errors=True)
    shutil.rmtree(run.path, ignore_errors=True)
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert "removed during the recording" in str(raised[0])
    assert not run.path.exists()


def test_the_intent_is_not_written_beside_a_folder_that_is_gone(tmp_path: Path) -> None:
    run = _watched(tmp_path)
    with RunWriter(run.path) as writer:
        shutil.rmtree(run.path)
        with pytest.raises(RecordError, match="removed"):
            writer.commit("recorder", "intent", what="migrate")
