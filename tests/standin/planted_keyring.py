"""A keyring that holds one secret, which a test planted: what the system's keyring is for whoever has none."""

from __future__ import annotations

import os

from keyring.backend import KeyringBackend


class Planted(KeyringBackend):
    """Knows the password of the simulated database."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        known = (service, username) == ("lpmkit", "LPMKIT")
        return os.environ["LPM_SIMULATOR_SAP_PASSWORD"] if known else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError

    def delete_password(self, service: str, username: str) -> None:
        raise NotImplementedError
