"""The write-up that goes into the change record, from any run folder, in the forms that a ticket takes.

    write_up(Run(path))                      # HTML, PDF, Word, Markdown and a ZIP with hashes, in write-up/ of the run
    folder write_up(Run(path), ("pdf",), language="de")

`document` is what a write-up is before it has a form, `content` makes one from a run, `forms` turns it into files. What
people add is in `lpmkit.runs.remarks`.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

from lpmkit.analysis import Analysis, analyse
from lpmkit.errors import UsageError
from lpmkit.report.outputs import Outputs
from lpmkit.report.page import charts_of, write_analysed
from lpmkit.report.workbook import workbook
from lpmkit.report.writeup.content import written
from lpmkit.report.writeup.document import Document
from lpmkit.report.writeup.forms import check_inputs, html, markdown, pdf, word
from lpmkit.report.writeup.inputs import WriteUpInputs
from lpmkit.report.writeup.sheets import sheets
from lpmkit.runs.files import cannot_write, name_text, open_plain, plain_files
from lpmkit.runs.folder import Run, write_file
from lpmkit.runs.remarks import KINDS, Remark, add_remark, remarks
from lpmkit.wording.words import LANGUAGES, Words, words_of

#: Every form, and the file that it becomes.
FORMS = {
    "html": "write-up.html",
    "pdf": "write-up.pdf",
    "docx": "write-up.docx",
    "md": "write-up.md",
    "xlsx": "write-up.xlsx",
    "zip": "{run}.zip",
}
FOLDER = "write-up"
#: The charts that its forms show, in that folder.
PLOTS = "plots"
#: The list of hashes in the ZIP, as ``sha256sum --check`` reads it.
HASHES = "SHA256SUMS"


def write_up(
    run: Run,
    forms: Sequence[str] = tuple(FORMS),
    *,
    language: str = "en",
    template: Path | None = None,
    logo: Path | None = None,
    output: Path | None = None,
) -> dict[str, Path]:
    """Write the forms asked for into ``write-up/`` of the run folder; the ZIP holds the others, the report and
    everything that was recorded.

    Repeating it changes nothing but what was recorded or remarked since; beside a write-up that is signed a new folder
    is made. ``output`` is another folder for all of it, such as for an archive where nothing can be written. Raises
    `UsageError` for an unknown form, `NotFound` for a language, template or logo that is not there, `RecordError` when
    the folder cannot be read or written.
    """
    if unknown := [form for form in forms if form not in FORMS]:
        raise UsageError(f"{', '.join(unknown)} is no form of a write-up", next_step=f"There are {', '.join(FORMS)}.")
    check_inputs(template, logo)
    analysis = analyse(run)
    words = words_of(language)
    charts = charts_of(analysis, words)
    write_analysed(run, analysis, output, words, charts)
    document = written(run, analysis, words)
    folder = Outputs(run, output).folder_for(FOLDER)
    plots = folder / PLOTS
    charts.write(plots, "png")
    wanted = [form for form in FORMS if form in forms and form != "zip"]
    if "zip" in forms:
        wanted = [form for form in FORMS if form != "zip"]
    found: dict[str, Path] = {}
    text = html(document, plots, template, logo) if {"html", "pdf"} & set(wanted) else ""
    for form in wanted:
        if form == "xlsx":
            content = workbook(sheets(WriteUpInputs(run, analysis, words), document))
        else:
            content = _content(form, document, plots, text, logo)
        found[form] = write_file(folder / FORMS[form], content)
    if "zip" in forms:
        found["zip"] = bundle_of(run, folder)
    return {form: path for form, path in found.items() if form in forms}


def _content(form: str, document: Document, plots: Path, text: str, logo: Path | None) -> bytes:
    match form:
        case "pdf":
            return pdf(text)
        case "docx":
            return word(document, plots, logo)
        case "md":
            return markdown(document, PLOTS).encode()
    return text.encode()


def bundle_of(run: Run, folder: Path) -> Path:
    """Everything of the run folder, and of the write-up's where that is elsewhere, in one file for the ticket, with the
    hash of each; locks, drafts and other such files are left out.

    Raises `RecordError` where the folder holds a link: what it leads to is no part of the run.
    """
    target = folder / FORMS["zip"].format(run=run.name)
    draft = target.with_name(f".{target.name}")
    packed = {name_text(path.relative_to(run.path)): path for path in plain_files(run.path)}
    if not folder.is_relative_to(run.path):
        packed |= {f"{FOLDER}/{name_text(path.relative_to(folder))}": path for path in plain_files(folder)}
    hashes = []
    try:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, path in sorted(packed.items()):
                hidden = any(part.startswith(".") for part in Path(name).parts)
                if hidden or path.name in (target.name, "recorder.lock", "courier.lock"):
                    continue
                with open_plain(path, "rb") as content, bundle.open(_entry(run.name, name, path), "w") as kept:
                    digest = hashlib.sha256()
                    while part := content.read(1 << 20):
                        digest.update(part)
                        kept.write(part)
                hashes.append(f"{digest.hexdigest()}  {name}\n")
            bundle.writestr(f"{run.name}/{HASHES}", "".join(hashes))
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise cannot_write(target, error) from error
    return target


def _entry(run: str, name: str, path: Path) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo.from_file(path, f"{run}/{name}", strict_timestamps=False)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


__all__ = [
    "FORMS",
    "KINDS",
    "LANGUAGES",
    "Analysis",
    "Document",
    "Remark",
    "Words",
    "add_remark",
    "remarks",
    "write_up",
    "written",
]
