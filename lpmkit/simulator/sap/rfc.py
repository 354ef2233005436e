"""SOAP-RFC: function modules over ``/sap/bc/soap/rfc`` of the ICM, with basic authentication (`SOAP-RFC`).

Seen in public clients of it: the answer's element is ``urn:NAME.Response``; a table comes back only when the request
names it, empty or not; a refusal of the runtime is HTTP 500 with the useful text in ``<detail><rfc:Error><message>``;
an exception of the module is ``rfc:NAME.Exception`` with ``<Name>``. That a logon may be kept by a cookie, and how, is
recalled.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from lpmkit.simulator.sap import envelope, functions
from lpmkit.simulator.sap.abap import AbapException, Call, Conversation, Result, Row
from lpmkit.simulator.sap.http_face import Exchange
from lpmkit.simulator.sap.recalled import SESSION_COOKIE, session_wanted
from lpmkit.simulator.sap.records import DIALOG, Date, Scalar, Time
from lpmkit.simulator.sap.system import System

PLACE = "/sap/bc/soap/rfc"
FUNCTIONS = "urn:sap-com:document:sap:rfc:functions"
KEPT_CONVERSATIONS = 64

Execute = Callable[[str], tuple[str, int]]


class SoapRfc:
    """The service of one system.

    Conversations that a cookie keeps are dropped, the oldest first, when there are too many.
    """

    def __init__(self, system: System, execute: Execute, stateless: Callable[[], bool] = lambda: False) -> None:
        self._system, self._execute, self._stateless = system, execute, stateless
        self._conversations: dict[str, Conversation] = {}

    def answer(self, exchange: Exchange) -> None:
        """Serve one HTTP request."""
        installed = self._system.installed
        if exchange.place.rstrip("/") != PLACE:
            exchange.reply(404, b"<html><body>Service cannot be reached</body></html>", "text/html")
            return
        client = _parameter(exchange, "sap-client") or installed.client
        if exchange.credentials != (installed.rfc_user, installed.password) or client != installed.client:
            realm = f"SAP NetWeaver Application Server [{installed.sid}/{client}]"
            exchange.unauthorized(realm, envelope.fault("Logon failed"))
            return
        if exchange.method != "POST":
            exchange.reply(200, b"", "text/plain")
            return
        try:
            request = envelope.read(exchange.body)
        except envelope.BadRequest as problem:
            exchange.reply(500, _error("SOAP_XML", str(problem)))
            return
        self._call(exchange, request)

    def _call(self, exchange: Exchange, request: envelope.Request) -> None:
        if self._system.request(DIALOG, 0.05, "SAPMHTTP", self._system.installed.rfc_user) is None:
            exchange.reply(503, _error("NO_FREE_WORK_PROCESS", "No dialog work process is free"))
            return
        conversation, cookie = self._conversation(exchange, request)
        language = _parameter(exchange, "sap-language") or (
            "D" if self._system.german else self._system.installed.language
        )
        values = {name.upper(): value for name, value in request.values.items()}
        tables = {name.upper(): rows for name, rows in request.tables.items()}
        call = Call(self._system, request.name, values, tables, conversation, language, self._execute)
        try:
            result = functions.call(call)
        except AbapException as problem:
            body = _error(problem.key, problem.text) if problem.system else _exception(request.name, problem)
            exchange.reply(500, body)
            return
        headers: dict[str, str] = {"Set_Cookie": f"{SESSION_COOKIE}={cookie}; path=/"} if cookie else {}
        exchange.reply(200, _response(request, result), **headers)

    def _conversation(self, exchange: Exchange, request: envelope.Request) -> tuple[Conversation, str]:
        """The conversation that the cookie names, or a new one; with its cookie when the caller wants to keep it."""
        given = exchange.headers.get("Cookie", "")
        for part in given.split(";"):
            name, _, value = part.strip().partition("=")
            if name == SESSION_COOKIE and value in self._conversations:
                if not session_wanted(request.header):  # it is the last of its session
                    return self._conversations.pop(value), ""
                return self._conversations[value], ""
        made = Conversation()
        if not session_wanted(request.header) or self._stateless():
            return made, ""
        cookie = secrets.token_hex(16)
        while len(self._conversations) >= KEPT_CONVERSATIONS:
            self._conversations.pop(next(iter(self._conversations)))
        self._conversations[cookie] = made
        return made, cookie


def _parameter(exchange: Exchange, name: str) -> str:
    return parse_qs(exchange.query).get(name, [""])[0]


def _response(request: envelope.Request, result: Result) -> bytes:
    """Exports always; a table only when the request names it."""
    named = {name.upper() for name in (*request.values, *request.tables)}
    parts = [_export(name, value) for name, value in result.exports.items()]
    for name, rows in result.tables.items():
        if name in named:
            items = "".join(f"<item>{_fields(row)}</item>" for row in rows)
            parts.append(f"<{name}>{items}</{name}>")
    tag = f"urn:{request.name}.Response"
    return envelope.envelope([f'<{tag} xmlns:urn="{FUNCTIONS}">', *parts, f"</{tag}>"])


def _export(name: str, value: Scalar | Row) -> str:
    if isinstance(value, Mapping):
        return f"<{name}>{_fields(value)}</{name}>"
    return envelope.element(name, _xml(value))


def _fields(row: Row) -> str:
    return "".join(envelope.element(name, _xml(value)) for name, value in row.items())


def _xml(value: Scalar) -> Scalar:
    """Dates and times have hyphens and colons in XML; inside the rows of RFC_READ_TABLE they have not."""
    return value.iso if isinstance(value, (Date, Time)) else value


def _exception(function: str, problem: AbapException) -> bytes:
    tag = f"rfc:{function}.Exception"
    inner = f"<Name>{escape(problem.key)}</Name><Text>{escape(problem.text)}</Text>"
    return envelope.envelope([f'<{tag} xmlns:rfc="{FUNCTIONS}">{inner}</{tag}>'])


def _error(kind: str, text: str) -> bytes:
    detail = (
        f'<rfc:Error xmlns:rfc="{FUNCTIONS}"><type>{escape(kind)}</type><message>{escape(text)}</message></rfc:Error>'
    )
    return envelope.fault("Internal Server Error", "SOAP-ENV:Client", detail)
