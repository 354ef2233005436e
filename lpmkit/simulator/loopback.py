"""An address of its own on loopback for every partition, so that its services have their customary ports.

All of 127.0.0.0/8 is this machine (Linux). An address belongs to whoever holds its ``CLAIM_PORT``.
"""

from __future__ import annotations

import random
import socket

CLAIM_PORT = 1027
"""Nothing of AIX, SAP or Oracle has this number."""


class Loopback:
    """An address between 127.16.0.0 and 127.239.255.255 that no other simulator has, until it is closed."""

    def __init__(self) -> None:
        self._claim, self.address = _claimed()

    def close(self) -> None:
        self._claim.close()


def _claimed() -> tuple[socket.socket, str]:
    chance = random.SystemRandom()
    for _ in range(100):
        address = f"127.{chance.randint(16, 239)}.{chance.randint(0, 255)}.{chance.randint(2, 254)}"
        claim = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            claim.bind((address, CLAIM_PORT))
        except OSError:
            claim.close()
            continue
        return claim, address
    raise OSError("no address of 127.0.0.0/8 is free for a partition")
