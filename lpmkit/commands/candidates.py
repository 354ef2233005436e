"""Candidates for the completion of a command line: names from the site file and the folder of runs. No machine is
asked, and neither pydantic nor a run is loaded: a shell calls this at every TAB.

What cannot be read completes to nothing; the command itself says why.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from lpmkit.errors import LpmError
from lpmkit.json_values import parse_json
from lpmkit.runs.files import read_plain
from lpmkit.settings.site_file import find_site_file

Candidates = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
#: Runs that are offered, the newest ones.
MOST_RUNS = 50


def _site_file(context: click.Context) -> Path | None:
    try:
        return find_site_file(context.find_root().params.get("site_file"))
    except LpmError:
        return None


def _site(context: click.Context) -> Mapping[str, Any]:
    """The site file's own values, not judged, read once for a command line; empty without one that can be read."""
    if __name__ not in context.meta:
        context.meta[__name__] = _read(_site_file(context))
    site: Mapping[str, Any] = context.meta[__name__]
    return site


def _read(path: Path | None) -> Mapping[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if path is None:
        return {}
    try:
        data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, YAMLError, RecursionError):
        return {}
    return data if isinstance(data, Mapping) else {}


def _part(site: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = site.get(name)
    return part if isinstance(part, Mapping) else {}


def _runs_folder(context: click.Context) -> Path:
    """The folder of runs: the site file's, else ``runs`` here."""
    name = str(_part(_site(context), "runs").get("folder") or "runs")
    folder = Path(os.path.expanduser(name))  # noqa: PTH111 - Path.expanduser raises where there is no home
    path = _site_file(context)
    return folder if path is None else path.parent / folder


def _folders(folder: Path) -> list[Path]:
    """The run folders in a folder, the newest first: their names begin with the time."""
    return sorted((path.parent for path in folder.glob("*/run.json")), reverse=True)


def _manifest(folder: Path) -> Mapping[str, Any]:
    try:
        data = parse_json(read_plain(folder / "run.json"))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, Mapping) else {}


def _order_of(folder: Path) -> Mapping[str, Any]:
    return _part(_manifest(folder), "order")


def _offered(named: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    """Each name once that begins as typed, with its help."""
    items: dict[str, CompletionItem] = {}
    for name, about in named:
        if name.startswith(incomplete) and name.isprintable():
            items.setdefault(name, CompletionItem(name, help=about or None))
    return list(items.values())


def partitions(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The partitions of the site file, and those of earlier runs."""
    known = [(str(name), "") for name in _part(_site(context), "partitions")]
    moved = [str(_order_of(folder).get("partition") or "") for folder in _folders(_runs_folder(context))[:MOST_RUNS]]
    return _offered([*known, *((name, "moved before") for name in moved if name)], incomplete)


def hosts(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The partitions that the site file has a login for."""
    return _offered(((str(name), "") for name in _part(_site(context), "partitions")), incomplete)


def frames(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The frames of the site file, with their managers."""
    return _offered(
        ((str(name), _manager(frame)) for name, frame in _part(_site(context), "frames").items()), incomplete
    )


def _manager(frame: Any) -> str:
    return str(frame.get("host", "")) if isinstance(frame, Mapping) else ""


def runs(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest runs, with what they move; after a path its own continuation."""
    if "/" in incomplete:
        return [CompletionItem(incomplete, type="dir")]
    return _offered(_with_orders(_folders(_runs_folder(context))[:MOST_RUNS]), incomplete)


def _with_orders(folders: Iterable[Path]) -> Iterator[tuple[str, str]]:
    for folder in folders:
        order = _order_of(folder)
        yield folder.name, f"{order.get('partition')} to {order.get('target')}" if order else ""


def plans(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The plans of the site, the newest first."""
    folders = _folders(_runs_folder(context) / "plans")
    return _offered(((folder.name, str(_manifest(folder).get("title") or "")) for folder in folders), incomplete)


def references(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names in the keyring that the site file refers to."""
    return _offered(((name, "") for name in _keyring_names(_site(context))), incomplete)


def _keyring_names(data: Any) -> Iterator[str]:
    if isinstance(data, str) and data.startswith("keyring:"):
        yield data.removeprefix("keyring:")
    elif isinstance(data, Mapping):
        for value in data.values():
            yield from _keyring_names(value)


def codes(_context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The message codes that `lpmkit explain` knows."""
    from lpmkit.control.codes import known_codes

    return _offered(((code, "") for code in known_codes()), incomplete)
