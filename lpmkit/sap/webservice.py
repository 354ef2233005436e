"""SAPControl, the web service of an instance's start service, by zeep on the server's own WSDL (`SAPCONTROL-WSDL`).

Over TCP with basic authentication, with TLS where the site file asks for it (verified, always); or over the local
socket of the host through an SSH session, where ``<sid>adm`` needs no password.
"""

from __future__ import annotations

import http.client
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import zeep
from lxml.etree import LxmlError
from zeep.helpers import serialize_object
from zeep.transports import Transport

from lpmkit.errors import (
    CommandRefused,
    LoginRefused,
    NoAnswer,
    NotPermitted,
    RemoteError,
    UnexpectedReply,
    Unreachable,
)
from lpmkit.json_values import JsonObject
from lpmkit.sap import fields
from lpmkit.sap.http_reply import exchange
from lpmkit.ssh.session import Session

#: The text of a fault that refuses the credentials: it comes as a fault or as a 401 (`SUSE-EXPORTER`; the fault's words
#: are recalled).
REFUSED_CREDENTIALS = "Invalid Credentials"
#: The text of a fault that refuses one function to a known user (as above).
NOT_PERMITTED = "Permission denied"
#: The bridge to the local socket: perl is on every AIX, a netcat that knows such sockets is not.
BRIDGE = (
    "use IO::Socket::UNIX; $|=1; my $s=IO::Socket::UNIX->new(Peer=>$ARGV[0]) or die qq($!\\n);"
    "local $/; print $s scalar <STDIN>; $s->flush; my $b; print $b while sysread($s,$b,65536);"
)


class Checked(Transport):
    """zeep's transport; a refused login that is not SOAP is reported as a refused login."""

    def __init__(self, where: str, session: requests.Session, timeout_s: float, count: Callable[[], None]) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            session=session, timeout=timeout_s, operation_timeout=timeout_s
        )
        self._where, self._count = where, count

    def load(self, url: str) -> bytes:
        self._mine(url)
        self._count()
        reply = exchange(self.session, "GET", url, where=self._where, timeout_s=self.operation_timeout)
        if reply.status_code in (401, 403):
            raise self._not_let_in(reply.status_code)
        reply.raise_for_status()
        return reply.content

    def _mine(self, url: str) -> None:
        """A WSDL may refer to more of itself, not to files of this machine or to other servers."""
        if self._where != f"{urlsplit(url).scheme}://{urlsplit(url).netloc}":
            raise UnexpectedReply(f"its WSDL refers to {url!r}, which is no part of it", where=self._where)

    def _not_let_in(self, status: int) -> LoginRefused:
        return LoginRefused(
            f"it asks for a user and password (HTTP {status})",
            where=self._where,
            next_step=(
                "webservice.user and webservice.password in the site file, an operating-system user such as <sid>adm."
            ),
        )

    def post(self, address: str, message: bytes, headers: Mapping[str, str]) -> Any:
        self._count()
        reply = exchange(
            self.session,
            "POST",
            address,
            where=self._where,
            timeout_s=self.operation_timeout,
            data=message,
            headers=dict(headers),
        )
        if reply.status_code in (401, 403):
            raise self._not_let_in(reply.status_code)
        return reply


class ThroughSsh(Checked):
    """The same over the start service's local socket, one exchange in one command of the SSH session."""

    def __init__(
        self, where: str, session: Session, socket_path: str, timeout_s: float, count: Callable[[], None]
    ) -> None:
        super().__init__(where, requests.Session(), timeout_s, count)
        self._ssh, self._socket, self._timeout_s = session, socket_path, timeout_s

    def load(self, url: str) -> bytes:
        if urlsplit(url).netloc != "localhost":
            raise UnexpectedReply(f"its WSDL refers to {url!r}, which is no part of it", where=self._where)
        self._count()
        content: bytes = self._exchange("GET", urlsplit(url), b"", {}).content
        return content

    def post(self, address: str, message: bytes, headers: Mapping[str, str]) -> Any:
        self._count()
        return self._exchange("POST", urlsplit(address), message, headers)

    def _exchange(self, method: str, url: Any, message: bytes, headers: Mapping[str, str]) -> requests.Response:
        target = url.path + (f"?{url.query}" if url.query else "")
        # HTTP/1.0: the reply is not cut into chunks and the connection ends with it
        head = [f"{method} {target or '/'} HTTP/1.0", "Host: localhost"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        head += [f"Content-Length: {len(message)}"] if message else []
        asked = "\r\n".join(head) + "\r\n\r\n" + message.decode("utf-8")
        reply = self._ssh.run(["perl", "-e", BRIDGE, self._socket], timeout_s=self._timeout_s, stdin=asked)
        reply.checked("Is sapstartsrv running, and is perl installed there? The site file can name another way.")
        return _response(reply.output.encode("utf-8"), self._where)


class _Held:
    """The socket that `http.client` wants to read from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._content)


def _response(content: bytes, where: str) -> requests.Response:
    read = http.client.HTTPResponse(_Held(content))  # type: ignore[arg-type] # it only asks for makefile()
    try:
        read.begin()
        body = content.split(b"\r\n\r\n", 1)[1]
    except (http.client.HTTPException, IndexError, ValueError) as error:
        raise UnexpectedReply(
            f"the local socket did not answer in HTTP: {error}", line=content[:80].decode("latin-1"), where=where
        ) from error
    response = requests.Response()
    response.status_code = read.status
    response.headers = requests.structures.CaseInsensitiveDict(read.getheaders())
    response._content = body
    return response


class StartService:
    """The web service of one instance. Nothing is sent before the first call; the WSDL is loaded once."""

    def __init__(self, where: str, transport: Checked, url: str) -> None:
        self.where, self.url = where, url
        self._transport = transport
        self._client: Any = None
        self._service: Any = None

    def call(self, function: str, /, **arguments: Any) -> list[JsonObject]:
        """Call one function; the rows of its answer as named fields.

        Raises `RemoteError` for any fault of the server.
        """
        try:
            service = self._connected()
            if function not in service._operations:
                raise CommandRefused(
                    f"its WSDL does not offer {function}",
                    status=1,
                    where=self.where,
                    next_step="It is too old for that.",
                )
            answer = service[function](**arguments)
            return _rows(answer)
        except RemoteError as error:
            error.where = error.where or self.where
            raise
        except requests.exceptions.SSLError as error:
            raise Unreachable(
                f"its certificate cannot be verified: {_short(error)}",
                where=self.where,
                next_step="webservice.ca_file in the site file names the authority that signed it.",
            ) from None
        except requests.Timeout:
            raise NoAnswer(
                "it accepted the connection and did not answer in time", where=self.where, asked=function
            ) from None
        except (requests.RequestException, OSError) as error:
            raise Unreachable(
                f"no connection: {_short(error)}",
                where=self.where,
                next_step="Is sapstartsrv running, are host and port right, is a firewall between?",
            ) from None
        except zeep.exceptions.Fault as error:
            raise _fault(error, self.where, function) from None
        except (
            zeep.exceptions.Error,
            LxmlError,
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            LookupError,
        ) as error:
            raise UnexpectedReply(
                f"its answer to {function} is not what its WSDL promises: {type(error).__name__}: {_short(error)}",
                where=self.where,
            ) from error

    def _connected(self) -> Any:
        if self._service is None:
            settings = zeep.Settings(strict=False, forbid_dtd=True, forbid_entities=True, forbid_external=True)
            self._client = zeep.Client(f"{self.url}/?wsdl", transport=self._transport, settings=settings)
            # The address in the WSDL is as the server believes to be called; what works is the one that we came by.
            binding = next(iter(self._client.wsdl.bindings), None)
            if binding is None:
                raise UnexpectedReply("its WSDL offers no service", where=self.where)
            self._service = self._client.create_service(binding, f"{self.url}/SAPControl.cgi")
        return self._service

    def close(self) -> None:
        self._transport.session.close()


def _short(error: BaseException) -> str:
    return str(error)[:300]


def _fault(error: Any, where: str, function: str) -> RemoteError:
    text = str(error.message or error)
    next_step = "webservice.user must be allowed to (<sid>adm)."
    if REFUSED_CREDENTIALS in text:
        return LoginRefused(f"it refuses {function}", where=where, answered=text, next_step=next_step)
    if NOT_PERMITTED in text:
        return NotPermitted(f"it refuses {function}", status=1, where=where, answered=text, next_step=next_step)
    return CommandRefused(f"{function} failed", status=1, where=where, asked=function, answered=text)


def _rows(answer: Any) -> list[JsonObject]:
    """The items of an answer, or the one object that it is, with names in one form; ``None`` where a field
    is missing.
    """
    value = serialize_object(answer, dict)
    while isinstance(value, dict) and list(value) == ["item"]:
        value = value["item"]
    if value is None:
        return []
    if isinstance(value, dict):
        lists = [part for part in value.values() if isinstance(part, list)]
        if len(lists) == 1 and len(value) == 1:
            value = lists[0]
    rows = value if isinstance(value, list) else [value]
    if not all(isinstance(row, dict) for row in rows):
        raise UnexpectedReply("rows of named fields were expected", line=str(value)[:200])
    return [{fields.name_of(str(name)): part for name, part in row.items()} for row in rows]


def start_service(
    host: str,
    port: int,
    *,
    tls: bool = False,
    user: str | None = None,
    password: str | None = None,
    ca_file: Path | None = None,
    timeout_s: float = 10.0,
    count: Callable[[], None] = lambda: None,
) -> StartService:
    """The service over TCP."""
    session = requests.Session()
    session.trust_env = False  # a proxy or a .netrc is nobody's idea of how to reach a machine room
    session.verify = str(ca_file) if ca_file else True
    if user:
        # SAP wants UTF-8
        session.auth = (user.encode("utf-8"), (password or "").encode("utf-8"))  # type: ignore[assignment]
    url = f"{'https' if tls else 'http'}://{host}:{port}"
    return StartService(url, Checked(url, session, timeout_s, count), url)


def start_service_through(
    session: Session, number: str, *, timeout_s: float = 20.0, count: Callable[[], None] = lambda: None
) -> StartService:
    """The service over the local socket of the host that ``session`` is logged in to."""
    path = f"/tmp/.sapstream5{number}13"  # noqa: S108 - where sapstartsrv puts it (`TRENTO`, `SUSE-EXPORTER`)
    where = f"{session.where}:{path}"
    return StartService(where, ThroughSsh(where, session, path, timeout_s, count), "http://localhost")
