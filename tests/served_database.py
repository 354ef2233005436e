"""A database behind a listener, in the tests' own process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import oracledb

from lpmkit.oracle.driver_choice import DatabaseAccess
from lpmkit.simulator.oracle.alert_log import AlertLog
from lpmkit.simulator.oracle.instance import Instance
from lpmkit.simulator.oracle.listener import Listener
from lpmkit.simulator.oracle.views import Views


class Served:
    """A listener and an instance in this process."""

    def __init__(self, folder: Path, version: str = "19.0.0.0.0") -> None:
        log = AlertLog(folder, "BX5", version)
        self.instance = Instance(log, "bxaix85", time.time() - 86400, users={"LPMKIT": "secret"})
        self.listener = Listener(self.instance, Views(self.instance))
        self.listener.start()
        self.address = f"127.0.0.1:{self.listener.port}"
        self.way = DatabaseAccess("BX5", "thin", "BX5", self.address, "LPMKIT")

    def connect(self, password: str = "secret") -> Any:
        return oracledb.connect(user="lpmkit", password=password, dsn=f"{self.address}/BX5")
