"""TTC: what data packets carry, as a 12.1 server writes and reads it.

Seen from the public source of python-oracledb's thin mode.

Numbers are written with their length first; texts with their length in one byte, or, when they are longer than 252, in
pieces after the byte 254.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

#: Message types.
PROTOCOL, DATA_TYPES, FUNCTION, ERROR, ROW_HEADER, ROW_DATA, PARAMETER, STATUS, DESCRIBE, PIGGYBACK = (
    1, 2, 3, 4, 6, 7, 8, 9, 16, 17
)  # fmt: skip
#: Functions.
REEXECUTE, FETCH, LOGOFF, COMMIT, ROLLBACK, REEXECUTE_AND_FETCH = 4, 5, 9, 14, 15, 78
EXECUTE, CLOSE_CURSORS, AUTH_TWO, AUTH_ONE, END_TO_END, PING = 94, 105, 115, 118, 135, 147
#: The version of the fields: 12.1. Newer clients come down to it.
FIELD_VERSION = 7
UTF8, UTF16 = 873, 2000
NO_MORE_ROWS = 1403
IN_TRANSACTION = 2
VARCHAR, NUMBER = 1, 2
Value = str | int | float | Decimal | None


class Malformed(Exception):
    """A client's message cannot be read."""


class Reader:
    """Reads a client's message from its beginning."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def raw(self, count: int) -> bytes:
        if count > self.left:
            raise Malformed(f"{count} bytes wanted, {self.left} there")
        self._at += count
        return self._data[self._at - count : self._at]

    def byte(self) -> int:
        return self.raw(1)[0]

    def skip_bytes(self, count: int) -> None:
        self.raw(count)

    def number(self) -> int:
        """A number with its length in front of it; the length's highest bit is the sign."""
        length = self.byte()
        value = int.from_bytes(self.raw(length & 0x7F), "big")
        return -value if length & 0x80 else value

    def text(self) -> bytes:
        """Bytes with their length in front of them."""
        length = self.byte()
        if length == 254:
            parts = []
            while piece := self.number():
                parts.append(self.raw(piece))
            return b"".join(parts)
        return b"" if length in (0, 255) else self.raw(length)

    def text_twice(self) -> bytes:
        """Bytes with their length in front twice: as a number, and again."""
        return self.text() if self.number() else b""


def number(value: int) -> bytes:
    """
    >>> number(0), number(300).hex()
    (b'\\x00', '02012c')
    """
    if value == 0:
        return b"\0"
    size = 1 if value < 1 << 8 else 2 if value < 1 << 16 else 4 if value < 1 << 32 else 8
    return bytes([size]) + value.to_bytes(size, "big")


def text(value: bytes) -> bytes:
    """
    >>> text(b"abc").hex(), text(b"").hex(), len(text(bytes(300)))
    ('03616263', '00', 305)
    """
    if len(value) <= 252:
        return bytes([len(value)]) + value
    return b"\xfe" + number(len(value)) + value + b"\0"


def text_twice(value: bytes) -> bytes:
    return number(len(value)) + (text(value) if value else b"")


def oracle_number(value: int | float | Decimal) -> bytes:
    """A NUMBER: the exponent and digits to the base 100.

    >>> [oracle_number(value).hex() for value in (0, 1, 1234, -5, 0.5)]
    ['80', 'c102', 'c20d23', '3e6066', 'c033']
    """
    exact = Decimal(str(value)).normalize()
    if exact == 0:
        return b"\x80"
    sign, digits, exponent = exact.as_tuple()
    assert isinstance(exponent, int)
    plain = list(digits) + [0] * (exponent % 2)
    plain = [0] * (len(plain) % 2) + plain
    exponent -= exponent % 2
    pairs = [10 * plain[at] + plain[at + 1] for at in range(0, len(plain), 2)][:20]
    power = exponent // 2 + (len(plain) // 2) - 1
    if sign:
        return bytes([0x3E - power, *(101 - pair for pair in pairs), 102])
    return bytes([0xC1 + power, *(pair + 1 for pair in pairs)])


# --- what a server answers ------------------------------------------------------------------------------------------


def protocol_answer(banner: str) -> bytes:
    """The server's identity and abilities: nothing but the version of the fields."""
    capabilities = bytearray(42)
    capabilities[7] = FIELD_VERSION
    widths = bytes(9) + UTF16.to_bytes(2, "big")
    return (
        bytes([PROTOCOL, 6, 0])
        + banner.encode()
        + b"\0"
        + UTF8.to_bytes(2, "little")
        + bytes([1, 0, 0])
        + len(widths).to_bytes(2, "big")
        + widths
        + text(bytes(capabilities))
        + text(bytes(7))
    )


def data_types_answer() -> bytes:
    """No types but those that both sides know."""
    return bytes([DATA_TYPES, 0, 0])


def status(flags: int = 0) -> bytes:
    return bytes([STATUS]) + number(flags) + number(0)


def parameters(pairs: Sequence[tuple[str, str, int]]) -> bytes:
    """Keys, values and flags, as logging on is answered."""
    body = b"".join(
        text_twice(key.encode()) + text_twice(value.encode()) + number(flags) for key, value, flags in pairs
    )
    return bytes([PARAMETER]) + number(len(pairs)) + body


def error(code: int = 0, message: str = "", *, cursor: int = 0, rows: int = 0, flags: int = 0) -> bytes:
    """The end of a call: also a good one, and one that has no more rows."""
    parts = [
        bytes([ERROR]), number(flags), number(0), number(rows), number(code & 0xFFFF), number(0), number(0),
        number(cursor), number(0),
        bytes(6), number(0), number(0), bytes(1), number(0), number(0), number(0), bytes(2), number(0), number(0),
        number(0),
        number(0), number(0), number(0), number(code), number(rows),
    ]  # fmt: skip
    return b"".join(parts) + (text(message.encode()) if code else b"")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an answer: its name, and whether it holds numbers."""

    name: str
    numeric: bool = False


def describe(columns: Sequence[Column]) -> bytes:
    parts = [bytes([DESCRIBE]), text(bytes(4)), number(4000), number(len(columns)), b"\x01" if columns else b""]
    for place, column in enumerate(columns, 1):
        size = 22 if column.numeric else 4000
        parts += [
            bytes([NUMBER if column.numeric else VARCHAR, 0, 0, 0x81 if column.numeric else 0]),
            number(size), number(0), number(0), number(0), number(0),
            number(0 if column.numeric else UTF8), bytes([0 if column.numeric else 1]),
            number(0 if column.numeric else size),
            b"\x01", bytes([min(len(column.name), 255)]), text_twice(column.name.encode()),
            number(0), number(0), number(place), number(0),
        ]  # fmt: skip
    return b"".join([*parts, number(0), number(0), number(0), number(0), number(0), number(0)])


def row_header() -> bytes:
    return bytes([ROW_HEADER, 0]) + number(1) + number(0) + number(1) + number(0) + number(0) + number(0)


def row(values: Sequence[Value], columns: Sequence[Column]) -> bytes:
    return bytes([ROW_DATA]) + b"".join(_cell(value, column) for value, column in zip(values, columns, strict=True))


def _cell(value: Value, column: Column) -> bytes:
    if value is None:
        return b"\0"
    return text(oracle_number(value) if column.numeric and not isinstance(value, str) else str(value).encode()[:4000])


# --- what a client asks ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """A function that a client calls, after its piggybacks."""

    function: int
    closed: tuple[int, ...] = ()
    user: str = ""
    pairs: tuple[tuple[str, str], ...] = ()
    sql: str = ""
    cursor: int = 0
    rows: int = 0
    options: int = 0
    binds: int = 0


COMMIT_AFTER, EXECUTE_NOW = 0x100, 0x20


def read_call(data: bytes) -> Call:
    """Read a message of function type. Raises `Malformed`."""
    reader, closed = Reader(data), list[int]()
    while True:
        kind, function = reader.byte(), reader.byte()
        reader.byte()  # the number of the call
        if kind == FUNCTION:
            break
        if kind != PIGGYBACK:
            raise Malformed(f"message type {kind}")
        if function == CLOSE_CURSORS:
            reader.byte()
            closed += [reader.number() for _ in range(reader.number())]
        elif function == END_TO_END:
            _skip_end_to_end(reader)
        else:
            raise Malformed(f"piggyback {function}")
    if function in (AUTH_ONE, AUTH_TWO):
        return _logon(reader, function)
    if function == EXECUTE:
        return _execute(reader, tuple(closed))
    if function in (FETCH, REEXECUTE, REEXECUTE_AND_FETCH):
        cursor, rows = reader.number(), reader.number()
        options = 0 if function == FETCH else (reader.number(), reader.number())[1]
        commit = COMMIT_AFTER if options & 0x1 else 0
        return Call(function, tuple(closed), cursor=cursor, rows=rows, options=commit, binds=reader.left)
    return Call(function, tuple(closed))


def _logon(reader: Reader, function: int) -> Call:
    has_user = reader.byte()
    length = reader.number()
    reader.number()  # mode
    reader.byte()
    count = reader.number()
    reader.skip_bytes(2)
    user = b""
    if has_user:
        user = reader.text() if reader._data[reader._at] == length else reader.raw(length)
    pairs = []
    for _ in range(count):
        key, value = reader.text_twice(), reader.text_twice()
        reader.number()
        pairs.append((key.decode("utf-8", "replace"), value.decode("utf-8", "replace")))
    return Call(function, user=user.decode("utf-8", "replace"), pairs=tuple(pairs))


def _execute(reader: Reader, closed: tuple[int, ...]) -> Call:
    options, cursor = reader.number(), reader.number()
    has_sql = reader.byte()
    length = reader.number()
    reader.byte()
    reader.number()
    reader.skip_bytes(2)
    reader.number()
    rows = reader.number()
    reader.number()
    reader.byte()
    binds = reader.number()
    reader.skip_bytes(5)
    reader.byte()
    reader.number()  # defines
    reader.number()
    reader.skip_bytes(3)
    reader.number()
    reader.byte()
    reader.number()
    reader.number()
    reader.byte()
    reader.number()
    reader.byte()
    sql = reader.text().decode("utf-8", "replace") if has_sql and length else ""
    return Call(EXECUTE, closed, sql=sql, cursor=cursor, rows=rows, options=options, binds=binds)


def _skip_end_to_end(reader: Reader) -> None:
    """Module, action and the like, which a client may set: the lengths of what is set, then the texts."""
    reader.skip_bytes(2)
    reader.number()
    texts = 0
    for extra in (0, 0, 0, 1, 0, 2, 0):  # identifier, module, action, (cideci), info, (two unused), operation
        if extra == 1:
            reader.byte()
            reader.number()
            reader.byte()
            reader.number()
            continue
        for _ in range(max(1, extra)):
            reader.byte()
            texts += 1 if reader.number() and extra == 0 else 0
    for _ in range(texts):
        reader.text()
