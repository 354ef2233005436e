"""Exchange of finished and running runs with the other hosts of a site, through the shared store.

Each host shares what changed in its folder of runs, and keeps in its index what the others shared. History, ledgers and
predictions read that index, so that none of them needs the store, or another host's folders.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from lpmkit.config import Site
from lpmkit.errors import LpmError, RecordError
from lpmkit.json_values import JsonObject
from lpmkit.prediction.history import outcomes
from lpmkit.prediction.past import as_data
from lpmkit.runs.approvals import FOLDER as APPROVALS
from lpmkit.runs.files import open_plain
from lpmkit.runs.folder import Run
from lpmkit.runs.history import Elsewhere, History, elsewhere, keep_elsewhere
from lpmkit.runs.licences import sightings_of
from lpmkit.runs.remarks import remarks
from lpmkit.ssh.secrets import Secrets
from lpmkit.store import shared_store

#: Bytes of an approval that are read at most.
_MAX_BYTES = 64 * 1024


def exchange(site: Site, secrets: Secrets) -> str:
    """Share this host's runs through the store, and keep what other hosts shared; the trouble in words, empty without.

    Nothing is done without a store. What is shown after a trouble lacks what other hosts did since the last exchange.
    """
    try:
        store = shared_store(site, secrets)
        if store is None or not site.runs.folder.is_dir():
            return ""
        from lpmkit.store.runs import RunRow, fetch, keep, stamps  # noqa: PLC0415 - an extra

        here = {move.key: (move, stamp) for move, stamp in History(site.runs.folder).local}
        there = stamps(store)
        changed = [key for key, (_, stamp) in here.items() if there.get(key) != stamp]
        observed = outcomes(site.runs.folder) if changed else {}

        def rows() -> Iterator[RunRow]:
            for key in changed:
                move, stamp = here[key]
                folder = site.runs.folder / move.run
                outcome = observed.get(move.run)
                told = {} if outcome is None else as_data(outcome)
                if move.mode == "move":
                    told["sightings"] = _sightings(folder)
                yield RunRow(
                    key=key,
                    stamp=stamp,
                    host=socket.gethostname(),
                    folder=str(folder.resolve()),
                    move=asdict(move),
                    observed=told or None,
                    remarks=[asdict(remark) for remark in remarks(folder)[0]],
                    approvals=list(_approvals(folder)),
                )

        keep(store, rows())
        known = {row.key: row.stamp for row in elsewhere(site.runs.folder)}
        news = [key for key, stamp in there.items() if key not in here and known.get(key) != stamp]
        told = fetch(store, news)
        keep_elsewhere(
            site.runs.folder,
            (Elsewhere(row["key"], row["stamp"], json.dumps(row["move"]), json.dumps(row["observed"])) for row in told),
        )
    except LpmError as error:
        return f"The runs of other hosts were not asked for: {error}"
    return ""


def _sightings(folder: Path) -> list[JsonObject] | None:
    """The sightings of a move, for the licence ledger of other hosts; ``None`` where its folder cannot be read."""
    try:
        return [seen.as_data() for seen in sightings_of(Run(folder))]
    except (RecordError, OSError, KeyError, TypeError, ValueError, AttributeError):
        return None


def _approvals(folder: Path) -> Iterator[JsonObject]:
    """The approvals in a run folder, as they were written; one that cannot be read is left out."""
    for path in sorted((folder / APPROVALS).glob("*.json")):
        try:
            with open_plain(path, "rb") as file:
                row = json.loads(file.read(_MAX_BYTES))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            yield row
