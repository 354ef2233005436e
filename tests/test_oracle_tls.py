"""Logons over TLS to a real listener of the loopback: each thing that can be wrong has advice of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from lpmkit.oracle.connections import connect
from lpmkit.oracle.driver_choice import DatabaseAccess
from lpmkit.oracle.drivers import by_driver
from lpmkit.oracle.errors import QueryFailed, advice
from lpmkit.oracle.tnsping import ping
from lpmkit.timeline import Outcome
from tests.served_database import Served
from tests.tls_front import Authority, TlsFront

PASSWORD = "geheim"


@dataclass
class World:
    """A database behind two TLS ports, one with a certificate that has expired, and wallets of every kind."""

    good: TlsFront
    expired: TlsFront
    plain: str
    folder: Path

    def way(self, port: str, wallet: str, server_dn: str, protocol: str = "tcps") -> DatabaseAccess:
        listener = {"good": self.good.address, "expired": self.expired.address, "plain": self.plain}[port]
        place = str(self.folder / wallet) if wallet else ""
        return DatabaseAccess(
            "BX5", "thin", "BX5", listener, "LPMKIT", protocol=protocol, wallet=place, server_dn=server_dn
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("tls")
    served, authority = Served(folder / "database"), Authority()
    authority.wallet(folder / "right")
    Authority("another").wallet(folder / "other")
    for name in ("empty", "rubbish", "encrypted"):
        (folder / name).mkdir()
    (folder / "rubbish" / "ewallet.pem").write_text("no certificate")
    secret = authority.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD.encode()))
    trusted = authority.certificate.public_bytes(Encoding.PEM)
    (folder / "encrypted" / "ewallet.pem").write_bytes(trusted + secret)
    good = TlsFront(authority.server(folder, "bxaix85"), served.listener.port)
    expired = TlsFront(authority.server(folder, "old", ends_in=-1), served.listener.port)
    yield World(good, expired, served.address, folder)
    for one in (good, expired, served.listener):
        one.close()


def test_a_logon_over_tls_works_through_the_child_that_the_probes_use(world: World) -> None:
    connection = connect(world.way("good", "right", "CN=bxaix85"), "secret", None, 10.0)
    assert connection.rows("select 1 from dual") == [("1",)]
    connection.close()


@pytest.mark.parametrize(
    ("port", "wallet", "server_dn", "says"),
    [
        ("good", "right", "CN=somebody", "`server_dn:` is not the distinguished name"),
        ("expired", "right", "CN=old", "has expired"),
        ("good", "nowhere", "CN=bxaix85", "There is no wallet"),
        ("good", "empty", "CN=bxaix85", "There is no wallet"),
        ("good", "rubbish", "CN=bxaix85", "The wallet cannot be read"),
        ("good", "other", "CN=bxaix85", "does not hold the authority"),
        ("good", "", "CN=bxaix85", "does not hold the authority"),
    ],
)
def test_what_is_wrong_with_a_wallet_or_a_certificate_has_its_own_advice(
    world: World, port: str, wallet: str, server_dn: str, says: str
) -> None:
    with pytest.raises(QueryFailed) as refused:
        by_driver(world.way(port, wallet, server_dn), "secret", 10.0)
    assert says in str(refused.value.next_step), refused.value.what
    assert not refused.value.refused, "nobody's password was looked at"


@pytest.mark.parametrize("password", [PASSWORD, None])
def test_an_encrypted_wallet_asks_nobody_at_the_terminal(
    world: World, password: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    connection = by_driver(world.way("good", "encrypted", "CN=bxaix85"), "secret", 10.0, password)
    assert "pass phrase" not in "".join(capfd.readouterr())
    assert connection.rows("select 1 from dual") == [("1",)]
    connection.close()


def test_a_listener_over_tls_is_pinged_without_a_wallet(world: World) -> None:
    ping(world.good.address, 10.0, "tcps")
    ping(world.expired.address, 10.0, "tcps")
    with pytest.raises(QueryFailed):
        ping(world.good.address, 10.0)


@pytest.fixture
def silent() -> Iterator[str]:
    """A port that takes connections and never answers, as a listener without TLS does when it is asked for TLS."""
    with socket.create_server(("127.0.0.1", 0)) as port:
        yield f"127.0.0.1:{port.getsockname()[1]}"


def test_a_port_that_is_silent_over_tls_ends_at_its_limit_with_what_to_write(world: World, silent: str) -> None:
    way = replace(world.way("good", "right", "CN=bxaix85"), listener=silent)
    for asked in (lambda: by_driver(way, "secret", 0.3), lambda: ping(silent, 0.3, "tcps")):
        with pytest.raises(QueryFailed) as refused:
            asked()
        assert refused.value.outcome is Outcome.SILENT
        assert "leave `protocol: tcps` out" in str(refused.value.next_step)
        assert not refused.value.refused


def test_a_tls_port_that_is_asked_without_tls_says_what_to_write() -> None:
    text = "DPY-6005: cannot connect to database.\nDPY-4011: the database or network closed the connection"
    assert "`protocol: tcps`" in str(advice(text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ORA-28759: failure to open file", "There is no wallet"),
        ("ORA-29024: Certificate validation failure", "does not hold the authority"),
        ("ORA-29002: SSL transport detected invalid or obsolete server certificate", "`server_dn:`"),
        ("ORA-28791: certificate verification failure", "wallet"),
        ("[SSL: BAD_DECRYPT] bad decrypt", "The wallet is encrypted"),
        ("DPY-6005: cannot connect\n[SSL: WRONG_VERSION_NUMBER] wrong version number", "another protocol"),
        ("DPY-6005: cannot connect\nDPY-6006: The name on the server certificate does not match", "names another host"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate is not yet valid", "clocks"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] verify failed: Missing Authority Key Identifier", "Python 3.13"),
    ],
)
def test_what_clients_say_of_tls_is_advised_too(text: str, says: str) -> None:
    assert says in str(advice(text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ORA-00257: Archiver error. Connect AS SYSDBA only until resolved.", "archiver is stuck"),
        ("ORA-01035: ORACLE only available to users with RESTRICTED SESSION privilege", "restricted"),
        ("ORA-01089: immediate shutdown or close in progress", "being shut down"),
        ("ORA-02391: exceeded simultaneous SESSIONS_PER_USER limit", "SESSIONS_PER_USER"),
        ("ORA-12545: Connect failed because target host or object does not exist", "a name that DNS knows"),
        ("DPY-6005: cannot connect to database. [Errno -2] Name or service not known", "a name that DNS knows"),
        ("DPY-6005: cannot connect to database. [Errno 113] No route to host", "cannot be reached from here"),
        ("ORA-12170: TNS:Connect timeout occurred", "Nothing answered in time"),
        ("ORA-12518: TNS:listener could not hand off client connection", "out of processes"),
        ("DPY-6000: Listener refused connection. (Similar to ORA-12529)", "rules do not let this host in"),
        ("ORA-12547: TNS:lost contact", "closed the connection"),
        ("ORA-12516: TNS:listener could not find available handler", "no handler for this service"),
        ("ORA-28009: connection as SYS should be as SYSDBA or SYSOPER", "a user of its own"),
    ],
)
def test_what_a_listener_or_an_instance_says_at_a_logon_is_advised(text: str, says: str) -> None:
    assert says in str(advice(text))
