"""SOAP 1.1 as both SAP services speak it: reading a request, writing an answer or a fault. Bytes in, bytes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree
from xml.sax.saxutils import escape

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
LONGEST_REQUEST = 1 << 20


class BadRequest(Exception):
    """Raised for a message that is no SOAP request."""


@dataclass(frozen=True, slots=True)
class Request:
    """The function that is asked for, and its parameters: text, or rows of text for tables and structures."""

    name: str
    values: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, list[dict[str, str]]] = field(default_factory=dict)
    header: str = ""


def local(tag: str) -> str:
    return tag.rpartition("}")[2]


def read(body: bytes) -> Request:
    """Read a request; names without their namespaces. Raises `BadRequest`."""
    if b"<!DOCTYPE" in body:
        raise BadRequest("a document type is not allowed in a SOAP message")
    try:
        envelope = ElementTree.fromstring(body)  # noqa: S314  no document type, so no entities to blow up
    except ElementTree.ParseError as problem:
        raise BadRequest(f"XML: {problem}") from problem
    content = next((part for part in envelope if local(part.tag) == "Body"), None)
    if local(envelope.tag) != "Envelope" or content is None or len(content) == 0:
        raise BadRequest("no SOAP envelope with a body")
    head = next((part for part in envelope if local(part.tag) == "Header"), None)
    asked = content[0]
    values: dict[str, str] = {}
    tables: dict[str, list[dict[str, str]]] = {}
    for part in asked:
        name = local(part.tag)
        items = [child for child in part if local(child.tag) == "item"]
        if items:
            tables[name] = [{local(leaf.tag): leaf.text or "" for leaf in item} for item in items]
        elif len(part):
            tables[name] = [{local(leaf.tag): leaf.text or "" for leaf in part}]
        else:
            values[name] = part.text or ""
    return Request(local(asked.tag), values, tables, "" if head is None else ElementTree.tostring(head, "unicode"))


def envelope(content: Iterable[str], declarations: str = "") -> bytes:
    text = "".join(content)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="{ENVELOPE}"{declarations}>'
        f"<SOAP-ENV:Body>{text}</SOAP-ENV:Body></SOAP-ENV:Envelope>"
    ).encode()


def fault(text: str, code: str = "SOAP-ENV:Server", detail: str = "") -> bytes:
    """A fault with a bare text, as sapstartsrv sends them (`SUSE-EXPORTER`)."""
    inner = f"<detail>{detail}</detail>" if detail else ""
    return envelope(
        [
            f"<SOAP-ENV:Fault><faultcode>{code}</faultcode><faultstring>{escape(text)}</faultstring>{inner}</SOAP-ENV:Fault>"
        ]
    )


def element(name: str, value: object) -> str:
    """
    >>> element("Text", "a < b"), element("backup", True), element("pid", None)
    ('<Text>a &lt; b</Text>', '<backup>true</backup>', '')
    """
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else escape(str(value))
    return f"<{name}>{text}</{name}>"
