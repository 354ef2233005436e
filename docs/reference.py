"""Build the reference of lpmkit's Python interface from its docstrings: ``make reference``.

Public are the names of `lpmkit.__all__` with the modules where they stand, and what a plug-in takes or returns.
"""

from __future__ import annotations

import sys
from pathlib import Path

import lpmkit

#: What plug-ins use beside the public names (docs/plug-ins.md).
OF_PLUG_INS = ("lpmkit.checks.judging", "lpmkit.installed.plugins", "lpmkit.runs.audit", "lpmkit.survey.model")
FOLDER = Path(__file__).parent.parent / "reference"


def public_modules() -> list[str]:
    """The modules of the reference, by name."""
    modules = {getattr(lpmkit, name).__module__ for name in lpmkit.__all__}
    return sorted({"lpmkit", *modules, *OF_PLUG_INS})


def build(folder: Path, modules: list[str]) -> None:
    """Write the pages of ``modules`` and their index into ``folder``."""
    import pdoc  # noqa: PLC0415 - an extra
    import pdoc.render  # noqa: PLC0415

    for name in lpmkit.__all__:  # they are loaded when they are first used, and pdoc does not use them
        setattr(lpmkit, name, getattr(lpmkit, name))
    pdoc.render.configure(docformat="markdown", footer_text=f"lpmkit {lpmkit.__version__}", search=False)
    pdoc.pdoc(*modules, output_directory=folder)


if __name__ == "__main__":
    build(FOLDER, public_modules())
    sys.stdout.write(f"{FOLDER / 'index.html'}\n")
