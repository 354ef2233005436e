"""The shared store: a PostgreSQL database in which several jump hosts agree on what is moved (`docs/store.md`).

It adds to the run folders and replaces none: a run is its folder, and the intent on its disk is what forbids a second
command. The store forbids it across hosts. Without `store:` in the site file nothing here is loaded.

`lpmkit.store.database` has the connection, the schema and its migrations, `lpmkit.store.moves` the intents and
reservations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lpmkit.config import Site
from lpmkit.ssh.secrets import Secrets

if TYPE_CHECKING:
    from lpmkit.store.database import Store


def shared_store(site: Site, secrets: Secrets) -> Store | None:
    """The shared store of a site; ``None`` if its site file names none. Connects nowhere.

    Raises `UsageError` where its password cannot be had.
    """
    if site.store is None:
        return None
    from lpmkit.store.database import Store  # noqa: PLC0415 - an extra, and most sites have no store

    return Store(site.store, secrets.get(site.store.password, site.store.where))
