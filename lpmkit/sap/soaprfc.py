"""Function modules over HTTP: ``/sap/bc/soap/rfc``, present since the 4.7 generation, where a site has it switched on.

Every message asks in its header to go on in one session (``Session/enableSession``, as SAP's own web-service clients
send it), and the ICF's cookie ``sap-contextid`` names it. A service that gives no such cookie keeps none: then one
request is one conversation, and nothing that lives in a session (a job-interface logon) outlives its call. That the
service ``/sap/bc/soap/rfc`` of every release honours the header is recalled (U); `SoapCaller.session` shows if it did.
The form of a message is SAP's own documentation's (help.sap.com, "Structure of a SOAP message"): namespace
``urn:sap-com:document:sap:rfc:functions``, ``NAME.Response``, rows as ``item``, ``/`` in names as ``_-``. An exception
of the module comes as ``NAME.Exception`` with its ``Name``, a refusal of the run time as a fault with the useful text
in its detail.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
from lxml import etree

from lpmkit.errors import LoginRefused, NoAnswer, RemoteError, UnexpectedReply, Unreachable
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.sap.http_reply import exchange
from lpmkit.sap.rfc import Refused
from lpmkit.timeline import Clock

PATH = "/sap/bc/soap/rfc"
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_FUNCTIONS = "urn:sap-com:document:sap:rfc:functions"
#: The namespace of the header by which SAP's clients ask for a session (seen in SAP's own SOAP messages and interface
#: descriptions).
_SESSION = "http://www.sap.com/webas/630/soap/features/session/"
#: The ICF's cookie of a session that is kept.
COOKIE = "sap-contextid"
#: A system whose work processes are all busy answers HTTP 503: repetitions, and seconds between them.
BUSY_TRIES, BUSY_S = 3, 0.25


class SoapCaller:
    """Calls function modules by SOAP. ``url`` is up to the port: ``http://host:8000``."""

    def __init__(
        self,
        url: str,
        *,
        client: str,
        user: str,
        password: str,
        language: str = "EN",
        ca_file: Path | None = None,
        timeout_s: float = 20.0,
        count: Callable[[], None] = lambda: None,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or Clock()
        self.where = url.rstrip("/") + PATH
        self._timeout_s, self._count = timeout_s, count
        self._web = requests.Session()
        self._web.trust_env = False
        self._web.verify = str(ca_file) if ca_file else True
        self._web.auth = (user.encode("utf-8"), password.encode("utf-8"))  # type: ignore[assignment] # SAP wants UTF-8
        self._web.params = {"sap-client": client, "sap-language": language}

    @property
    def session(self) -> str:
        """The identity of this session: a hash, for the cookie itself opens it. Empty where the service keeps none."""
        cookie = next((entry.value for entry in self._web.cookies if entry.name == COOKIE and entry.value), None)
        return f"http/{hashlib.sha256(cookie.encode('utf-8')).hexdigest()[:12]}" if cookie else ""

    def call(self, function: str, /, tables: Sequence[str] = (), **imports: Any) -> JsonMapping:
        """See `lpmkit.sap.rfc.Caller.call`."""
        reply = self._posted(function, envelope(function, tables, imports))
        if reply.status_code == 400 and self.session:
            # a session that has ended there: the next call begins another, and a caller that had something in it sees
            # that by `session`
            self._web.cookies.clear()
            reply = self._posted(function, envelope(function, tables, imports))
        for _ in range(BUSY_TRIES):
            if reply.status_code != 503:
                break
            self._clock.sleep(BUSY_S)
            reply = self._posted(function, envelope(function, tables, imports))
        if reply.status_code == 503:
            raise NoAnswer(f"it has no work process free for {function} (HTTP 503)", where=self.where)
        if reply.status_code in (401, 403):
            raise LoginRefused(
                f"it does not let this user in (HTTP {reply.status_code})",
                where=self.where,
                next_step="soap_rfc.user in the site file.",
            )
        if reply.status_code not in (200, 500):
            raise UnexpectedReply(
                f"HTTP {reply.status_code} instead of an answer",
                where=self.where,
                next_step=f"Is the service {PATH} active (transaction SICF)?",
            )
        return read_answer(reply.content, function, self.where)

    def _posted(self, function: str, message: bytes) -> requests.Response:
        self._count()
        try:
            return exchange(
                self._web,
                "POST",
                self.where,
                where=self.where,
                timeout_s=self._timeout_s,
                data=message,
                headers={"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'},
            )
        except requests.Timeout:
            raise NoAnswer(f"{function} was not answered in {self._timeout_s:g} s", where=self.where) from None
        except (requests.RequestException, OSError) as error:
            raise Unreachable(f"no connection: {str(error)[:300]}", where=self.where) from None

    def close(self) -> None:
        """End the session there, where one is kept, so that it does not wait for its time-out; the last message asks
        for none.
        """
        if self.session:
            try:
                self._posted("RFC_PING", envelope("RFC_PING", (), {}, keep=False))
            except RemoteError:
                self._web.cookies.clear()  # then it ends by its time-out
        self._web.close()


def envelope(function: str, tables: Sequence[str], imports: JsonMapping, *, keep: bool = True) -> bytes:
    """The message that calls a function module; tables that are wanted back are named, empty.

    ``keep`` asks for a session.
    """
    root = etree.Element(f"{{{_SOAP}}}Envelope", nsmap={"SOAP-ENV": _SOAP})
    header = etree.SubElement(
        etree.SubElement(root, f"{{{_SOAP}}}Header"), f"{{{_SESSION}}}Session", nsmap={"sapsess": _SESSION}
    )
    etree.SubElement(header, "enableSession").text = "true" if keep else "false"
    body = etree.SubElement(root, f"{{{_SOAP}}}Body")
    call = etree.SubElement(body, f"{{{_FUNCTIONS}}}{_escaped(function)}", nsmap={"rfc": _FUNCTIONS})
    for name, value in {**imports, **{name: [] for name in tables if name not in imports}}.items():
        _write(call, name, value)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="utf-8"))


def _write(parent: etree._Element, name: str, value: Any) -> None:
    here = etree.SubElement(parent, _escaped(name))
    if isinstance(value, Mapping):
        for field, part in value.items():
            _write(here, field, part)
    elif isinstance(value, list | tuple):
        for row in value:
            _write(here, "item", row)
    elif isinstance(value, bytes):
        here.text = base64.b64encode(value).decode("ascii")
    else:
        here.text = str(value)


def _escaped(name: str) -> str:
    return name.replace("/", "_-")


def read_answer(content: bytes, function: str, where: str = "") -> JsonObject:
    """Exports and tables of an answer.

    Raises `Refused` for a fault and `UnexpectedReply` for anything that is no answer to ``function``.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UnexpectedReply(
            f"this is no XML: {error}", line=content[:80].decode("latin-1", "replace"), where=where or None
        ) from None
    body = next((one for one in root if _name(one) == "Body"), None) if _name(root) == "Envelope" else None
    answer = next(iter(body), None) if body is not None else None
    if answer is None:
        raise UnexpectedReply("this is no SOAP answer", line=_name(root)[:80], where=where or None)
    if _name(answer) in ("Fault", f"{function}.Exception"):
        raise _refused(answer, function, where)
    if _name(answer) not in (f"{function}.Response", f"{function}Response"):
        raise UnexpectedReply(f"this does not answer {function}", line=_name(answer)[:80], where=where or None)
    return {_name(part): _value(part) for part in answer}


def _name(element: etree._Element) -> str:
    return etree.QName(element).localname.replace("_-", "/") if isinstance(element.tag, str) else ""


def _value(element: etree._Element) -> Any:
    """A text, a structure, or a table; a table without rows looks like an empty text: use `rows_of` for a table."""
    parts = list(element)
    if not parts:
        return (element.text or "").rstrip()
    if all(_name(part) == "item" for part in parts):
        return [_value(part) if len(part) else {"": (part.text or "").rstrip()} for part in parts]
    return {_name(part): _value(part) for part in parts}


def _refused(fault: etree._Element, function: str, where: str) -> Refused:
    said = {_name(part): (part.text or "").strip() for part in fault.iter()}
    text = next((said[name] for name in ("message", "Text", "faultstring") if said.get(name)), "")
    key = next((said[name] for name in ("Name", "abapException", "type") if said.get(name)), "")
    return Refused(function, key, text, where)
