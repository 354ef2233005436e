"""The forms of a write-up: HTML (self-contained), PDF from that HTML, Word, Markdown. All have the content of the
`Document`, and nothing else.

PDF is made by WeasyPrint, Word by python-docx; neither needs an office program, LaTeX or a browser.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from functools import cache, partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import FileSystemLoader, PackageLoader, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment
from PIL import Image

from lpmkit.background.bounded import within_limits
from lpmkit.errors import LpmError, NotFound, UsageError
from lpmkit.report.writeup.document import Block, Document, Facts, Items, Picture, Table, Text, Verbatim

TEMPLATE = "writeup.html.j2"
#: Limits of a site's own template: seconds, and bytes beyond what Python takes. Ours takes a twentieth of either.
LIMIT_S, MAX_MEMORY = 30.0, 1 << 30


def check_inputs(template: Path | None, logo: Path | None) -> None:
    """Raise `NotFound` for a template or logo that is not there, `UsageError` for a logo that is no PNG, JPEG or GIF
    picture: before anything is written.
    """
    if template is not None and not template.is_file():
        raise NotFound("template", str(template))
    if logo is not None:
        _picture(logo)


def html(
    document: Document,
    plots: Path,
    template: Path | None = None,
    logo: Path | None = None,
    limits: tuple[float, int] = (LIMIT_S, MAX_MEMORY),
) -> str:
    """One file that needs nothing else. A site's own ``template`` gets ``document``, ``logo`` and ``picture(name)`` as
    ours does, and may extend it.

    It is filled in a sandbox, and a site's own one in a process with ``limits`` (seconds, bytes): it sees what it is
    given and runs nothing. Raises `NotFound` for a template or logo that is not there, `UsageError` for a template that
    cannot be filled, or whose page holds a script or an address elsewhere.
    """
    check_inputs(template, logo)
    if template is None:
        return _filled(document, plots, template, logo)
    fill = partial(_filled, document, plots, template, logo)
    return within_limits(
        fill, module=__name__, noun="the template", where=str(template), limit_s=limits[0], memory=limits[1]
    )


def _filled(document: Document, plots: Path, template: Path | None, logo: Path | None) -> str:
    environment = _environment(None if template is None else template.parent)
    name = TEMPLATE if template is None else template.name
    filled = {
        "document": document,
        "logo": _picture(logo) if logo is not None else None,
        "picture": lambda stem: _chart(plots, stem),
        "kind": lambda block: type(block).__name__.lower(),
        "state_of": {text: word for word, text in document.states.items()}.get,
    }
    where = str(template or TEMPLATE)
    try:
        text = environment.get_template(name).render(filled)
    except (LpmError, MemoryError):
        raise
    except jinja2.TemplateError as error:
        line = getattr(error, "lineno", None)
        raise _no_template(f"{where}{f', line {line}' if line else ''}", error.message or str(error)) from error
    except Exception as error:  # what a template does may raise anything
        raise _no_template(where, f"{type(error).__name__}: {error}") from error
    if strange := foreign_parts(text):
        raise UsageError(
            f"the page would hold what does not belong into a record: {'; '.join(strange[:5])}",
            where=where,
            next_step="Scripts are not allowed; pictures and fonts go into the template as data URIs.",
        )
    return text


@cache
def _environment(folder: Path | None) -> ImmutableSandboxedEnvironment:
    """The sandbox for templates of ours, and of a site in ``folder``; they are compiled once."""
    loaders = [*([] if folder is None else [FileSystemLoader(folder)]), PackageLoader("lpmkit")]
    return ImmutableSandboxedEnvironment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _no_template(where: str, why: str) -> UsageError:
    return UsageError(
        f"the template cannot be filled: {why}",
        where=where,
        next_step="docs/write-up.md shows what a template is given.",
    )


class _Foreign(HTMLParser):
    """Collects what of a page would run, or fetch from elsewhere."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._styles = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        if tag in _LIVE_TAGS:
            self.found.append(f"<{tag}>")
        self._styles += tag == "style"
        for name, value in attrs:
            text = "".join((value or "").split()).lower()
            if name.startswith("on") or name in ("srcdoc", "formaction", "action", "http-equiv"):
                self.found.append(f"<{tag} {name}>")
            elif name == "style":
                self._style(value or "")
            elif name in ("href", "xlink:href") and tag == "a":
                if not text.startswith(("#", "http:", "https:", "mailto:")):
                    self.found.append(f"<a {name}={text[:40]}>")
            elif name in _ADDRESSES and not text.startswith(("data:image/", "data:font/", "#")):
                self.found.append(f"<{tag} {name}={text[:40]}>")

    def handle_endtag(self, tag: str) -> None:
        """See `HTMLParser`."""
        self._styles -= tag == "style"

    def handle_data(self, data: str) -> None:
        """See `HTMLParser`."""
        if self._styles > 0:
            self._style(data)

    def _style(self, text: str) -> None:
        plain = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL).lower()
        if "@import" in plain or "expression(" in plain or "\\" in plain:
            self.found.append("a style that imports, or hides what it does")
        self.found += [
            f"url({one[:40]})" for one in _URL.findall(plain) if not one.startswith(("data:image/", "data:font/", "#"))
        ]


_LIVE_TAGS = frozenset(
    {"script", "iframe", "frame", "object", "embed", "applet", "base", "link", "form", "portal", "foreignobject"}
)
_ADDRESSES = frozenset({"src", "srcset", "href", "xlink:href", "poster", "data", "background", "ping", "manifest"})
_URL = re.compile(r"""(?:url|image-set|image)\(\s*["']?\s*([^"')\s]*)""")


def foreign_parts(text: str) -> list[str]:
    """Parts of a page that would execute or fetch something; links for readers are allowed.

    >>> foreign_parts("<p onclick='x()'><img src='https://elsewhere/a.png'><a href='#top'>top</a>")
    ['<p onclick>', '<img src=https://elsewhere/a.png>']
    """
    page = _Foreign()
    page.feed(text)
    page.close()
    return page.found


#: The first bytes of the pictures that every form can show.
_PICTURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


def _picture(path: Path) -> str:
    """A picture of the site as a data URI. It is known by its content: a file that is only named like a picture is
    none.
    """
    if not path.is_file():
        raise NotFound("picture", str(path))
    content = path.read_bytes()
    kind = next((kind for begin, kind in _PICTURES.items() if content.startswith(begin)), None)
    try:
        if kind is None:
            raise UsageError("it is no PNG, JPEG or GIF picture")
        with Image.open(io.BytesIO(content)) as picture:
            picture.verify()
        with Image.open(io.BytesIO(content)) as picture:  # a picture that was verified cannot be read from
            picture.load()
    except Exception as error:  # the library raises many things for a damaged picture
        why = error.what if isinstance(error, UsageError) else f"it is damaged ({type(error).__name__})"
        raise UsageError(
            why, where=str(path), next_step="Save it as PNG; an SVG has to be converted, because Word shows none."
        ) from error
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _chart(plots: Path, stem: str) -> str:
    path = plots / f"{stem}.png"
    if path.parent != plots or not path.is_file():
        raise NotFound("picture", str(path))
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def pdf(text: str) -> bytes:
    """The HTML on A4 pages, without reaching for anything outside it. Raises `UsageError` where Pango, which lays out
    the text, is not installed.
    """
    try:
        import weasyprint  # noqa: PLC0415 - half a second, and a system library, that only a PDF needs
    except OSError as error:
        raise UsageError(
            f"a PDF needs Pango, a system library: {error}",
            next_step="Install it (Debian: libpango-1.0-0 libpangoft2-1.0-0; RHEL: pango), or print the HTML file.",
        ) from error
    from weasyprint.urls import FatalURLFetchingError, URLFetcher  # noqa: PLC0415 - as above

    carried = URLFetcher(allowed_protocols=("data",), fail_on_errors=True)
    try:
        made: bytes = weasyprint.HTML(string=text, url_fetcher=carried).write_pdf()
    except FatalURLFetchingError as error:
        raise UsageError(
            f"the template wants something from elsewhere, and a write-up fetches nothing: {error}",
            next_step="Put it into the template as a data URI.",
        ) from error
    return made


# --- Word -----------------------------------------------------------------------------------------------------------


def word(document: Document, plots: Path, logo: Path | None = None) -> bytes:
    """An Office Open XML document with real headings, tables whose heading rows repeat, and pictures with alternative
    texts.
    """
    import docx  # noqa: PLC0415 - only Word files need it
    from docx.shared import Cm, Pt  # noqa: PLC0415 - as above

    made: Any = docx.Document()
    page = made.sections[0]
    page.page_width, page.page_height = Cm(21), Cm(29.7)
    page.left_margin = page.right_margin = Cm(1.8)
    page.top_margin = page.bottom_margin = Cm(1.8)
    made.styles["Normal"].font.name = "Arial"
    made.styles["Normal"].font.size = Pt(9.5)
    made.core_properties.title = _xml(document.title)[:250]
    made.core_properties.language = document.language
    made.core_properties.author = ""
    if logo is not None:
        try:
            made.add_picture(str(logo), height=Cm(1.2))
        except Exception as error:  # the library has a tree of errors without a root, and raises others too
            raise UsageError(
                f"Word cannot show it ({type(error).__name__})", where=str(logo), next_step="Save it as PNG."
            ) from error
    made.add_heading(_xml(document.title), 0)
    made.add_paragraph().add_run(_xml(f"{document.state_word}: {document.sentence}")).bold = True
    _word_table(
        made,
        tuple(figure.name for figure in document.figures),
        (tuple(figure.value for figure in document.figures), tuple(figure.note for figure in document.figures)),
    )
    _word_footer(page, document.run)
    for section in document.sections:
        if section is document.first_annex:
            made.add_page_break()
            made.add_heading(_xml(document.annex), 1)
        made.add_heading(_xml(section.title), 2 if section.is_annex else 1)
        for block in section.blocks:
            _word_block(made, block, plots)
    made.add_paragraph(_xml(document.footer))
    kept = io.BytesIO()
    made.save(kept)
    return kept.getvalue()


def _word_footer(page: Any, run: str) -> None:
    """The run's name and the page's number of all pages, as fields that Word fills in."""
    from docx.enum.text import WD_TAB_ALIGNMENT  # noqa: PLC0415 - as above
    from docx.oxml import OxmlElement  # noqa: PLC0415 - as above
    from docx.oxml.ns import qn  # noqa: PLC0415 - as above
    from docx.shared import Pt  # noqa: PLC0415 - as above

    paragraph = page.footer.paragraphs[0]
    width = page.page_width - page.left_margin - page.right_margin
    paragraph.paragraph_format.tab_stops.add_tab_stop(width, WD_TAB_ALIGNMENT.RIGHT)
    paragraph.add_run(_xml(f"{run}\t")).font.size = Pt(8)
    for number, name in enumerate(("PAGE", "NUMPAGES")):
        if number:
            paragraph.add_run(" / ").font.size = Pt(8)
        field = OxmlElement("w:fldSimple")
        field.set(qn("w:instr"), name)
        paragraph._p.append(field)


def _word_block(made: Any, block: Block, plots: Path) -> None:
    from docx.shared import Cm, Pt  # noqa: PLC0415 - as above

    match block:
        case Text():
            made.add_paragraph().add_run(_xml(block.text)).bold = block.strong
        case Items():
            for item in block.items:
                made.add_paragraph(_xml(item), style="List Bullet")
        case Facts():
            _word_table(made, (), block.rows)
        case Table():
            _word_table(made, block.head, block.rows)
            if block.caption:
                made.add_paragraph(_xml(block.caption), style="Caption")
        case Verbatim():
            run = made.add_paragraph().add_run(_xml(block.text))
            run.font.name, run.font.size = "Courier New", Pt(8)
        case Picture():
            made.add_picture(str(plots / f"{block.name}.png"), width=Cm(17.4))
            shape = made.inline_shapes[-1]._inline.docPr
            shape.set("descr", _xml(block.alt))
            made.add_paragraph(_xml(block.caption), style="Caption")


def _word_table(made: Any, head: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> None:
    from docx.oxml import OxmlElement  # noqa: PLC0415 - as above
    from docx.shared import Pt  # noqa: PLC0415 - as above

    columns = len(head) or max((len(row) for row in rows), default=1)
    table = made.add_table(rows=0, cols=columns)
    table.style = "Table Grid"
    for number, row in enumerate([*([head] if head else []), *rows]):
        made_row = table.add_row()
        made_row._tr.get_or_add_trPr().append(OxmlElement("w:cantSplit"))
        cells = made_row.cells
        for cell, text in zip(cells, row, strict=False):
            run = cell.paragraphs[0].add_run(_xml(text))
            run.font.size = Pt(8)
            run.bold = bool(head) and number == 0
    if head:
        repeated = OxmlElement("w:tblHeader")
        table.rows[0]._tr.get_or_add_trPr().append(repeated)
    made.add_paragraph()


_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _xml(text: str) -> str:
    """A text without characters that XML cannot hold; a machine's message may have any."""
    return _NOT_XML.sub("", text)


# --- Markdown -------------------------------------------------------------------------------------------------------


def markdown(document: Document, plots: str) -> str:
    """The write-up for a wiki. Pictures are links to ``plots``, the way there from where the text will lie."""
    figures = document.figures
    lines = [f"# {_plain(document.title)}", "", f"**{_plain(document.state_word)}: {_plain(document.sentence)}**", ""]
    lines += _rows(
        tuple(figure.name for figure in figures),
        (tuple(figure.value for figure in figures), tuple(figure.note for figure in figures)),
    )
    for section in document.sections:
        if section is document.first_annex:
            lines += ["", f"# {_plain(document.annex)}"]
        lines += ["", f"## {_plain(section.title)}", ""]
        for block in section.blocks:
            lines += [*_markdown_block(block, plots), ""]
    return "\n".join([*lines, document.footer, ""])


def _markdown_block(block: Block, plots: str) -> Iterator[str]:
    match block:
        case Text():
            yield f"**{_plain(block.text)}**" if block.strong else _plain(block.text)
        case Items():
            yield from (f"- {_plain(item)}" for item in block.items)
        case Facts():
            yield from _rows(("", ""), block.rows)
        case Table():
            yield from _rows(block.head, block.rows)
            if block.caption:
                yield from ("", _plain(block.caption))
        case Verbatim():
            fence = "`" * (3 + block.text.count("```") * 3)
            yield from (fence, block.text.rstrip("\n"), fence)
        case Picture():
            yield f"![{_plain(block.alt)}]({plots}/{block.name}.png)"
            yield from ("", _plain(block.caption))


def _rows(head: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> Iterator[str]:
    yield "| " + " | ".join(_cell(one) for one in head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(_cell(one) for one in row) + " |"


_SPECIAL = str.maketrans({one: f"\\{one}" for one in "\\`*_[]<>#|"})


def _plain(text: str) -> str:
    """Text that no Markdown reader takes for markup."""
    return " ".join(text.translate(_SPECIAL).split())


def _cell(text: str) -> str:
    return _plain(text) or " "
