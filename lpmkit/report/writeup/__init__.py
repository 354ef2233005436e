"""The write-up that goes into the change record, from any run folder, in the forms that a ticket takes.

    write_up(Run(path))                      # HTML, PDF, Word, Markdown and a ZIP with hashes, in write-up/ of the run folder
    write_up(Run(path), ("pdf",), language="de")

`document` is what a write-up is before it has a form, `content` makes one from a run, `forms` turns it into files. What people add is in `lpmkit.runs.remarks`.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

from lpmkit.analysis import Analysis, analyse
from lpmkit.errors import RecordError, UsageError
from lpmkit.plots.files import write_charts
from lpmkit.report.page import write_analysed
from lpmkit.report.writeup.content import written
from lpmkit.report.writeup.document import Document
from lpmkit.report.writeup.forms import html, markdown, pdf, word
from lpmkit.report.writeup.words import LANGUAGES, Words
from lpmkit.runs.folder import Run, write_file
from lpmkit.runs.remarks import KINDS, Remark, add_remark, remarks

#: Every form, and the file that it becomes.
FORMS = {
    "html": "write-up.html",
    "pdf": "write-up.pdf",
    "docx": "write-up.docx",
    "md": "write-up.md",
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
) -> dict[str, Path]:
    """Write the forms asked for into ``write-up/`` of the run folder; the ZIP holds the others, the report and everything that was recorded.

    Repeating it changes nothing but what was recorded or remarked since. Raises `UsageError` for an unknown form, `NotFound` for a language, template
    or logo that is not there, `RecordError` when the folder cannot be read or written.
    """
    if unknown := [form for form in forms if form not in FORMS]:
        raise UsageError(f"{', '.join(unknown)} is no form of a write-up", next_step=f"There are {', '.join(FORMS)}.")
    analysis = analyse(run)
    words = Words(language)
    write_analysed(run, analysis)
    document = written(run, analysis, words)
    folder = run.path / FOLDER
    plots = folder / PLOTS
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise RecordError(
            f"the folder for the write-up cannot be made: {error.strerror}", where=str(run.path), next_step="Make room or give yourself the right to write there."
        ) from error  # fmt: skip
    write_charts(analysis, plots, "png")
    wanted = [form for form in FORMS if form in forms and form != "zip"]
    if "zip" in forms:
        wanted = [form for form in FORMS if form != "zip"]
    found: dict[str, Path] = {}
    text = html(document, plots, template, logo) if {"html", "pdf"} & set(wanted) else ""
    for form in wanted:
        found[form] = write_file(folder / FORMS[form], _content(form, document, plots, text, logo))
    if "zip" in forms:
        found["zip"] = _bundle(run)
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


def _bundle(run: Run) -> Path:
    """Everything of the run folder in one file for the ticket, with the hash of each; a lock and drafts are left out."""
    target = run.path / FOLDER / FORMS["zip"].format(run=run.name)
    draft = target.with_name(f".{target.name}")
    names = []
    for path in sorted(run.path.rglob("*")):
        name = path.relative_to(run.path)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.is_file() and not hidden and path != target and name.name != "recorder.lock":
            names.append(name)
    hashes = []
    try:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name in names:
                with (run.path / name).open("rb") as content:
                    hashes.append(f"{hashlib.file_digest(content, 'sha256').hexdigest()}  {name.as_posix()}\n")
                bundle.write(run.path / name, f"{run.name}/{name.as_posix()}")
            bundle.writestr(f"{run.name}/{HASHES}", "".join(hashes))
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise RecordError(
            f"{target.name} cannot be written: {error.strerror or error}",
            where=str(target.parent),
            next_step="Free some space there and repeat the command; the other forms are there.",
        ) from error
    return target


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
