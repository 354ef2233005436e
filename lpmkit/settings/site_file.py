"""The place of the site file. Nothing else: completion and help look for it without the libraries that read it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lpmkit.errors import NotFound, UsageError

#: Names of the site file in the current folder, in the order of search.
SITE_FILES = ("site.yaml", "lpmkit.yaml")


def site_file_places() -> Iterator[Path]:
    """The default places of the site file, in the order of search: this folder, the account's, the host's."""
    yield from map(Path, SITE_FILES)
    # Path.expanduser raises where there is no home
    configuration = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    yield Path(configuration) / "lpmkit" / SITE_FILES[0]
    yield Path("/etc/lpmkit") / SITE_FILES[0]


def find_site_file(given: str | os.PathLike[str] | None) -> Path:
    """The path given, otherwise ``$LPMKIT_SITE``, otherwise the first of `site_file_places` that is there.

    Raises `NotFound` or `UsageError` without one.
    """
    named = given or os.environ.get("LPMKIT_SITE")
    if named:
        path = Path(named)
        if not path.is_file():
            raise NotFound("site file", str(path))
        return path
    for path in site_file_places():
        if path.is_file():
            return path
    raise UsageError(
        f"there is no site file: neither {', nor '.join(map(str, site_file_places()))}",
        where=str(Path.cwd()),
        next_step=(
            "`lpmkit site init --hmc HOST` writes one; --site or LPMKIT_SITE names another. "
            "A rehearsal needs none: `lpmkit demo`."
        ),
    )


def is_named_or_here(path: Path, given: str | os.PathLike[str] | None) -> bool:
    """True if a person named this site file or it is in the current folder; others are worth a word."""
    return bool(given or os.environ.get("LPMKIT_SITE")) or not path.is_absolute()
