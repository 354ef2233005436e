"""sapstartsrv as a web service: its WSDL, and SOAP answers made from `operations` (`SAPCONTROL-WSDL`).

SOAP 1.1, document/literal; the wrapper element is in ``urn:SAPControl``, what it holds is in no namespace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lpmkit.simulator.sap import envelope
from lpmkit.simulator.sap.http_face import Exchange
from lpmkit.simulator.sap.operations import OPERATIONS, Field, Operation, OperationFault, Row, Seat, Value
from lpmkit.simulator.sap.recalled import BAD_CREDENTIALS

NAMESPACE = "urn:SAPControl"
COLORS = ("GRAY", "GREEN", "YELLOW", "RED")
LEVELS = ("UNKNOWN", "OPERATOR", "EXPERT", "DEVELOPER")

#: What a request may be struck by: asked with the name of a fault's effect.
Strikes = Callable[[str], bool]


def serve(seat: Seat, strikes: Strikes, trusted: bool) -> Callable[[Exchange], None]:
    """The HTTP side of one instance's sapstartsrv; ``trusted`` is the local socket, which asks for no password."""

    def answer(exchange: Exchange) -> None:
        if strikes("sapstartsrv-hangs"):
            exchange.hang()
        elif exchange.method == "GET":
            _documents(seat, exchange, strikes)
        else:
            _call(seat, exchange, strikes, trusted)

    return answer


def _call(seat: Seat, exchange: Exchange, strikes: Strikes, trusted: bool) -> None:
    """Carry out the function that is asked for, when it is one and its caller may."""
    try:
        request = envelope.read(exchange.body)
        operation = OPERATIONS.get(request.name)
        if operation is None:
            raise envelope.BadRequest(f"Method '{request.name}' not implemented")
    except envelope.BadRequest as problem:
        exchange.reply(500, envelope.fault(str(problem), "SOAP-ENV:Client"))
        return
    if not trusted and not _allowed(seat, exchange, operation, strikes("sapstartsrv-denies")):
        exchange.unauthorized(NAMESPACE, envelope.fault(BAD_CREDENTIALS))
        return
    try:
        rows = operation.answer(seat, request.values)
    except OperationFault as problem:
        exchange.reply(500, envelope.fault(str(problem)))
        return
    exchange.reply(200, _answer(operation, rows, strikes("sapstartsrv-wsdl")))


def _allowed(seat: Seat, exchange: Exchange, operation: Operation, denied: bool) -> bool:
    """Credentials are looked at where they are needed, and where they are given."""
    if denied:
        return False
    if not operation.protected and exchange.credentials is None:
        return True
    installed = seat.system.installed
    return exchange.credentials == (installed.administrator, installed.password)


def _documents(seat: Seat, exchange: Exchange, strikes: Strikes) -> None:
    if exchange.query.lower().startswith("wsdl"):
        exchange.reply(200, wsdl(exchange.base, strikes("sapstartsrv-wsdl")))
    else:
        exchange.reply(404, b"<html><body>Not found</body></html>", "text/html")


def _answer(operation: Operation, rows: Sequence[Row], sparse: bool) -> bytes:
    items = [_item(operation, row, sparse) for row in rows]
    if not operation.listed:
        # The element is EnqStatistic and not …Response (`SAPCONTROL-WSDL`).
        content = f"<SAPControl:{operation.item}>{items[0]}</SAPControl:{operation.item}>"
    else:
        inner = "".join(f"<item>{item}</item>" for item in items)
        content = f"<SAPControl:{operation.name}Response><{operation.listed}>{inner}</{operation.listed}></SAPControl:{operation.name}Response>"
    return envelope.envelope([content], f' xmlns:SAPControl="{NAMESPACE}"')


#: What an old or patched sapstartsrv leaves out although its WSDL promises it (`SAPAGENT`: pid, work process 0's
#: number).
OFTEN_MISSING = ("pid", "No", "Err", "Severity", "startPriority", "elapsedtime")


def _item(operation: Operation, row: Row, sparse: bool) -> str:
    parts = []
    for column, value in zip(operation.fields, row, strict=True):
        if sparse and (column.name in OFTEN_MISSING or value in ("", 0)):
            continue
        parts.append(envelope.element(column.name, f"SAPControl-{value}" if column.kind == "STATE-COLOR" else value))
    return "".join(parts)


def wsdl(base: str, sparse: bool = False) -> bytes:
    """The service's description. ``sparse`` is that of a release without the newer half of the functions and fields."""
    chosen = [each for each in OPERATIONS.values() if not (sparse and each.name in ("GetAlertTree", "EnqGetStatistic"))]
    return "".join(
        [
            f'<?xml version="1.0" encoding="UTF-8"?><definitions name="SAPControl" targetNamespace="{NAMESPACE}" xmlns:tns="{NAMESPACE}" '
            f'xmlns:SAPControl="{NAMESPACE}" xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
            'xmlns:SOAP="http://schemas.xmlsoap.org/wsdl/soap/" xmlns="http://schemas.xmlsoap.org/wsdl/">',
            _types(chosen, sparse),
            *(_messages(each) for each in chosen),
            '<portType name="SAPControlPortType">',
            *(
                f'<operation name="{each.name}"><input message="tns:{each.name}"/><output message="tns:{_response(each)}"/></operation>'
                for each in chosen
            ),
            "</portType>",
            '<binding name="SAPControl" type="tns:SAPControlPortType"><SOAP:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>',
            *(
                f'<operation name="{each.name}"><SOAP:operation style="document" soapAction=""/><input><SOAP:body use="literal"/></input>'
                '<output><SOAP:body use="literal"/></output></operation>'
                for each in chosen
            ),
            f'</binding><service name="SAPControl"><port name="SAPControl" binding="tns:SAPControl"><SOAP:address location="{base}/SAPControl.cgi"/>'
            "</port></service></definitions>",
        ]
    ).encode()


def _response(operation: Operation) -> str:
    return f"{operation.name}Response" if operation.listed else operation.item


def _messages(operation: Operation) -> str:
    return "".join(
        f'<message name="{name}"><part name="parameters" element="SAPControl:{name}"/></message>'
        for name in (operation.name, _response(operation))
    )


def _types(chosen: list[Operation], sparse: bool) -> str:
    parts = [
        f'<types><xsd:schema targetNamespace="{NAMESPACE}" elementFormDefault="unqualified" attributeFormDefault="unqualified">'
    ]
    for name, values in (("STATE-COLOR", COLORS), ("VISIBLE-LEVEL", LEVELS)):
        inner = "".join(f'<xsd:enumeration value="SAPControl-{value}"/>' for value in values)
        parts.append(
            f'<xsd:simpleType name="{name}"><xsd:restriction base="xsd:string">{inner}</xsd:restriction></xsd:simpleType>'
        )
    for each in chosen:
        shown = [column for column in each.fields if not (sparse and column.name in OFTEN_MISSING)]
        fields = "".join(_element(column) for column in shown)
        if each.listed:
            parts.append(f'<xsd:complexType name="{each.item}"><xsd:sequence>{fields}</xsd:sequence></xsd:complexType>')
            parts.append(
                f'<xsd:complexType name="ArrayOf{each.item}"><xsd:sequence><xsd:element name="item" type="tns:{each.item}" '
                'minOccurs="0" maxOccurs="unbounded" nillable="true"/></xsd:sequence></xsd:complexType>'
            )
            fields = f'<xsd:element name="{each.listed}" type="tns:ArrayOf{each.item}" minOccurs="0" maxOccurs="1" nillable="true"/>'
        given = "".join(_element(column) for column in each.parameters)
        for name, inner in ((each.name, given), (_response(each), fields)):
            parts.append(
                f'<xsd:element name="{name}"><xsd:complexType><xsd:sequence>{inner}</xsd:sequence></xsd:complexType></xsd:element>'
            )
    return "".join([*parts, "</xsd:schema></types>"])


def _element(column: Field) -> str:
    """A field as the schema has it; text may be left out, numbers may not (in life they sometimes are)."""
    kind = {"STATE-COLOR": "tns:STATE-COLOR"}.get(column.kind, f"xsd:{column.kind}")
    if column.name == "VisibleLevel":
        kind = "tns:VISIBLE-LEVEL"
    least = 0 if column.kind == "string" else 1
    return f'<xsd:element name="{column.name}" type="{kind}" minOccurs="{least}" maxOccurs="1"/>'


def text_of(column: Field, value: Value) -> str:
    """A value as ``sapcontrol`` prints it: colours without their prefix, truths in capitals (`SAPAGENT`)."""
    if isinstance(value, bool):
        return str(value).upper()
    return "" if value is None else str(value).removeprefix("SAPControl-")
