"""The templates of lpmkit's own pages, compiled once for a process."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, Template, select_autoescape


def page_template(name: str) -> Template:
    """A template of `lpmkit/templates` by file name; whatever is filled in is escaped."""
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("lpmkit"), autoescape=select_autoescape(default=True), trim_blocks=True, lstrip_blocks=True
    )
