"""The listener and the server processes behind it: TNS on a port, spoken to by real drivers."""

from __future__ import annotations

import re
import select
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from lpmkit.simulator.oracle import ttc, wire
from lpmkit.simulator.oracle.instance import DOWN, Instance, OracleError, Session, message
from lpmkit.simulator.oracle.logon import Challenge
from lpmkit.simulator.oracle.ttc import Call
from lpmkit.simulator.oracle.views import Answer, Views
from lpmkit.simulator.oracle.wire import Gone, Packet, Peer

_SERVICE = re.compile(r"\((?:SERVICE_NAME|SID)\s*=\s*([^)]*)\)", re.I)
_PING = re.compile(r"\(COMMAND\s*=\s*ping\)", re.I)
MAX_CURSORS, USUAL_PORT = 300, 1521


class Listener:
    """A port where an instance can be reached. Closes with the process."""

    def __init__(self, instance: Instance, views: Views, address: str = "127.0.0.1") -> None:
        self.instance, self.views = instance, views
        self._socket = _server(address)
        self.port = int(self._socket.getsockname()[1])
        self._open: set[socket.socket] = set()

    def start(self) -> None:
        threading.Thread(target=self._accept, daemon=True, name="tnslsnr").start()

    def close(self) -> None:
        _hang_up(self._socket)  # closing alone would leave the port open while somebody waits in accept
        self._socket.close()
        for connection in list(self._open):
            _hang_up(connection)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True, name="oracle-server").start()

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        try:
            with connection:
                self._answer(connection, Peer(connection))
        except (Gone, ttc.Malformed, UnicodeError):
            pass  # the client went away, or is none: the server process ends, as in life
        finally:
            self._open.discard(connection)

    def _answer(self, connection: socket.socket, peer: Peer) -> None:
        """Serve a connection as a listener does: refuse it, answer a ping, or hand it to a server process."""
        packet = peer.read()
        if packet.kind != wire.CONNECT:
            return
        wanted = wire.connect_data(packet, peer)
        how = self.instance.switches.listener
        if how == "hangs":
            _wait_for_the_end(connection, lambda: self.instance.switches.listener == "hangs")
        elif how == "resets":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif _PING.search(wanted):
            peer.send(wire.REFUSE, wire.refuse(0))
        elif how == "refuses":
            peer.send(wire.REFUSE, wire.refuse(self.instance.switches.refusal))
        elif self.instance.state == DOWN or not self._known(wanted):
            peer.send(wire.REFUSE, wire.refuse(12514))
        else:
            version = wire.PROTOCOL_OF_RELEASE.get(self.instance.release[0], wire.LARGE_LENGTHS)
            peer.send(wire.ACCEPT, wire.accept(version))
            peer.large = version >= wire.LARGE_LENGTHS
            Server(self.instance, self.views, connection, peer).run()

    def _known(self, wanted: str) -> bool:
        found = _SERVICE.search(wanted)
        return found is not None and found[1].strip().upper().partition(".")[0] == self.instance.sid.upper()


def _server(address: str) -> socket.socket:
    """The usual port where the address is the partition's own, any free one else."""
    try:
        return socket.create_server((address, USUAL_PORT if address != "127.0.0.1" else 0), backlog=64)
    except OSError:
        return socket.create_server((address, 0), backlog=64)


def _wait_for_the_end(connection: socket.socket, still: Callable[[], bool]) -> None:
    """Say nothing until the client gives up, or the switch is turned."""
    connection.settimeout(0.1)
    while still():
        try:
            if not connection.recv(4096):
                return
        except TimeoutError:
            continue
        except OSError:
            return


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has gone already


@dataclass(slots=True)
class _Cursor:
    sql: str
    answer: Answer = field(default_factory=Answer)
    next_row: int = 0


class Server:
    """A server process: one connection, at most one session."""

    def __init__(self, instance: Instance, views: Views, connection: socket.socket, peer: Peer) -> None:
        self.instance, self.views = instance, views
        self._connection, self._peer = connection, peer
        self._challenge: Challenge | None = None
        self._session: Session | None = None
        self._user = self._program = self._machine = ""
        self._cursors: dict[int, _Cursor] = {}
        self._changed = False
        self._broken = False

    def run(self) -> None:
        try:
            while True:
                packet = self._peer.read()
                if packet.kind == wire.MARKER:
                    self._take_mark(packet)
                elif packet.kind == wire.DATA:
                    if packet.data_flags & wire.END_OF_FILE:
                        return
                    self._take(packet.body)
                else:
                    return
        finally:
            if self._session is not None:
                self.instance.log_off(self._session)

    def _take_mark(self, packet: Packet) -> None:
        """A client breaks off what it had asked: a break, then a reset, which is answered by one and by the error."""
        if packet.body[2:3] == bytes([wire.RESET_MARK]):
            self._peer.mark(wire.RESET_MARK)
            self._peer.send_data(ttc.error(1013, message(1013)))

    def _take(self, body: bytes) -> None:
        if not body:
            return
        if body[0] == ttc.PROTOCOL:
            self._peer.send_data(ttc.protocol_answer("IBMPC/WIN_NT64-9.1.0"))
        elif body[0] == ttc.DATA_TYPES:
            self._take_rest(body)
            self._peer.send_data(ttc.data_types_answer())
        else:
            self._peer.send_data(self._called(ttc.read_call(body)))

    def _take_rest(self, body: bytes) -> None:
        """The list of data types is the one message that is longer than a packet; it ends with a type of 0."""
        while not body.endswith(b"\0\0"):
            body = self._peer.read().body

    def _called(self, call: Call) -> bytes:
        for number in call.closed:
            self._cursors.pop(number, None)
        try:
            return self._carried_out(call)
        except OracleError as problem:
            if problem.code in (28, 3113):
                self._end_session()
            return ttc.error(problem.code, str(problem))

    def _end_session(self) -> None:
        if self._session is not None:
            self.instance.log_off(self._session)

    def _carried_out(self, call: Call) -> bytes:
        if call.function == ttc.AUTH_ONE:
            return self._first_message(call)
        if call.function == ttc.AUTH_TWO:
            return self._second_message(call)
        session = self._session
        if session is None:
            raise OracleError(1017)
        if call.function == ttc.EXECUTE:
            return self._execute(call, session)
        if call.function in (ttc.REEXECUTE, ttc.REEXECUTE_AND_FETCH):
            return self._execute(call, session)
        if call.function == ttc.FETCH:
            return self._fetch(call)
        if call.function == ttc.COMMIT:
            self._changed = False
            self.views.commit(session)
        elif call.function == ttc.LOGOFF:
            self.instance.log_off(session)
        elif call.function == ttc.ROLLBACK:
            self._changed = False
        elif call.function != ttc.PING:
            raise OracleError(3115)
        if session.killed.is_set() and call.function == ttc.PING:
            raise OracleError(28)
        return ttc.status()

    # --- logging on

    def _first_message(self, call: Call) -> bytes:
        facts = dict(call.pairs)
        self._user, self._program, self._machine = (
            call.user.upper(),
            facts.get("AUTH_PROGRAM_NM", ""),
            facts.get("AUTH_MACHINE", ""),
        )
        # an unknown user gets a challenge as well, so that nobody learns who is known
        self._challenge = Challenge(self.instance.users.get(self._user, "\0nobody"))
        return ttc.parameters(self._challenge.pairs()) + ttc.status()

    def _second_message(self, call: Call) -> bytes:
        facts = dict(call.pairs)
        if self._challenge is None:
            raise OracleError(1017)
        proof = self._challenge.answer(facts.get("AUTH_SESSKEY", ""), facts.get("AUTH_PASSWORD", ""))
        if self.instance.switches.logon_error:
            raise OracleError(self.instance.switches.logon_error)
        self.instance.check_lock(self._user)
        if proof is None:
            raise self.instance.refuse(self._user)
        session = self._session = self.instance.log_on(self._user, self._program, self._machine)
        session.hang_up = lambda: _hang_up(self._connection) if self.instance.state == DOWN else None
        major, minor, *rest = self.instance.release
        number = (major << 24) | (minor << 20) | ((rest[0] if rest else 0) << 12)
        answer = {
            "AUTH_VERSION_STRING": "- Production", "AUTH_VERSION_NO": str(number), "AUTH_SESSION_ID": str(session.sid),
            "AUTH_SERIAL_NUM": str(session.serial), "AUTH_INSTANCENAME": self.instance.sid,
            "AUTH_SC_SERVICE_NAME": self.instance.sid,
            "AUTH_SC_DBUNIQUE_NAME": self.instance.sid, "AUTH_MAX_OPEN_CURSORS": str(MAX_CURSORS),
            "AUTH_SVR_RESPONSE": proof,
        }  # fmt: skip
        return ttc.parameters([(key, value, 0) for key, value in answer.items()]) + ttc.status()

    # --- statements

    def _execute(self, call: Call, session: Session) -> bytes:
        known = self._cursors.get(call.cursor)
        sql = call.sql or (known.sql if known else "")
        if not sql or (call.binds and call.function == ttc.EXECUTE) or (call.function != ttc.EXECUTE and call.binds):
            raise OracleError(1008 if sql else 1001)
        self._wait_while_hung(session)
        answer = self.views.ask(sql, session)
        number = call.cursor or next(free for free in range(1, MAX_CURSORS + 1) if free not in self._cursors)
        self._cursors[number] = cursor = _Cursor(sql, answer)
        if not answer.columns:
            self._changed = self._changed or answer.changed > 0
            if call.options & ttc.COMMIT_AFTER:
                self._changed = False
                self.views.commit(session)
            return ttc.error(cursor=number, rows=answer.changed, flags=ttc.IN_TRANSACTION if self._changed else 0)
        again = known is not None and not call.sql and known.answer.columns == answer.columns
        described = b"" if again else ttc.describe(answer.columns)
        return described + self._rows(number, cursor, call.rows)

    def _fetch(self, call: Call) -> bytes:
        cursor = self._cursors.get(call.cursor)
        if cursor is None:
            raise OracleError(1001)
        return self._rows(call.cursor, cursor, call.rows)

    def _rows(self, number: int, cursor: _Cursor, count: int) -> bytes:
        columns, begin = cursor.answer.columns, cursor.next_row
        shown = cursor.answer.rows[begin : begin + count]
        cursor.next_row = begin + len(shown)
        body = [ttc.row_header(), *(ttc.row(values, columns) for values in shown)] if shown else []
        flags = ttc.IN_TRANSACTION if self._changed else 0
        if cursor.next_row < len(cursor.answer.rows):
            return b"".join([*body, ttc.error(cursor=number, rows=cursor.next_row, flags=flags)])
        return b"".join(
            [
                *body,
                ttc.error(
                    ttc.NO_MORE_ROWS, "ORA-01403: no data found", cursor=number, rows=cursor.next_row, flags=flags
                ),
            ]
        )

    def _wait_while_hung(self, session: Session) -> None:
        """Statements that hang go on when the switch is turned, or end when the client breaks them off or goes away."""
        while self.instance.switches.sql_hangs and not session.killed.is_set():
            if select.select([self._connection], [], [], 0.05)[0]:
                if not self._connection.recv(1, socket.MSG_PEEK):
                    raise Gone("the client went away")
                return
