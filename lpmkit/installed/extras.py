"""The extras of pyproject.toml, and the line to type where one is missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

from lpmkit.errors import UsageError

#: The packages that each extra brings, by the names under which they are imported.
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "parquet": ("pyarrow",),
    "notebook": ("IPython", "anywidget", "ipywidgets", "jupyter_server", "jupyterlab", "tornado", "traitlets", "voila"),
    "report": ("PIL", "docx", "matplotlib", "openpyxl", "weasyprint"),
    "oracle": ("oracledb",),
    "sap": ("lxml", "requests", "urllib3", "zeep"),
    "keyring": ("keyring",),
    "shared": ("dbos", "psycopg", "sqlalchemy"),
    "sinks": ("apprise", "fsspec"),
    "mcp": ("anyio", "mcp"),
}


class MissingExtra(UsageError):
    """A package of an extra is not installed; ``extra`` is its name."""

    names_a_kind = True

    def __init__(self, extra: str, package: str) -> None:
        self.extra, self.package = extra, package
        super().__init__(
            f"this needs the extra {extra!r}, and its package {package} is not installed",
            next_step=f"pip install 'lpmkit[{extra}]'",
        )


def missing_extra(error: ModuleNotFoundError) -> MissingExtra | None:
    """The error of a missing extra behind a failed import; ``None`` if the module belongs to none.

    >>> missing_extra(ModuleNotFoundError(name="zeep.exceptions")).extra
    'sap'
    """
    package = (error.name or "").partition(".")[0]
    extra = next((extra for extra, packages in EXTRAS.items() if package in packages), None)
    return None if extra is None else MissingExtra(extra, package)


def is_installed(package: str) -> bool:
    """True where a package of an extra can be imported; it is not."""
    return importlib.util.find_spec(package) is not None


def require_package(package: str) -> None:
    """Raise `MissingExtra` if a package of an extra, which another process will import, is not installed."""
    if not is_installed(package):
        error = missing_extra(ModuleNotFoundError(name=package))
        assert error is not None
        raise error
