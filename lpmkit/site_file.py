"""Where the site file is. Nothing else: completion and help look for it without the libraries that read it."""

from __future__ import annotations

import os
from pathlib import Path

from lpmkit.errors import NotFound, UsageError

#: Default names of the site file, in the order of search.
SITE_FILES = ("site.yaml", "lpmkit.yaml")


def find_site_file(given: str | os.PathLike[str] | None) -> Path:
    """The path given, otherwise ``$LPMKIT_SITE``, otherwise one of `SITE_FILES` in the current folder.

    Raises `NotFound` or `UsageError` without one.
    """
    named = given or os.environ.get("LPMKIT_SITE")
    if named:
        path = Path(named)
        if not path.is_file():
            raise NotFound("site file", str(path))
        return path
    for name in SITE_FILES:
        if Path(name).is_file():
            return Path(name)
    raise UsageError(
        "there is no site file here",
        where=str(Path.cwd()),
        next_step=(
            f"Write {SITE_FILES[0]} (the user guide shows one), or name one by LPMKIT_SITE. "
            "A rehearsal needs none: `lpmkit demo`."
        ),
    )
