"""RFC by pyrfc, where a site has it (`PYRFC`).

pyrfc is no dependency: it was withdrawn from the package index and needs SAP's SDK. A faulty installation is reported,
never fatal.

It silently reopens a broken or cancelled connection, so every answer carries the identity of its conversation (handle
and ``cpicConvId``); another identity is another session, and what lived in the old one (a job-interface logon) is gone.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from lpmkit.errors import (
    CommandRefused,
    ConnectionLost,
    LoginRefused,
    NoAnswer,
    RemoteError,
    UnexpectedReply,
    Unreachable,
    UsageError,
)
from lpmkit.json_values import JsonMapping

#: The SDK itself waits about a minute for a host that does not answer; we give up earlier.
CONNECT_TIMEOUT_S = 15.0
#: RFC_RC of a call that was cancelled by our own time-out.
CANCELED = 7
_BY_CLASS: Mapping[str, type[RemoteError]] = {
    "CommunicationError": ConnectionLost,
    "LogonError": LoginRefused,
}


class Caller(Protocol):
    """Something that calls function modules: pyrfc or SOAP-RFC."""

    where: str

    def call(self, function: str, /, tables: Sequence[str] = (), **imports: Any) -> JsonMapping:
        """Call one; exports and tables by name. ``tables`` are those that are wanted back. Raises `RemoteError`."""
        ...

    @property
    def session(self) -> str:
        """The identity of this conversation; empty where every call is one of its own."""
        ...

    def close(self) -> None: ...


class Refused(CommandRefused):
    """A function module raised an exception; ``key`` is its name (``TABLE_NOT_AVAILABLE``)."""

    def __init__(self, function: str, key: str, text: str, where: str) -> None:
        self.key = key
        super().__init__(f"{function} raised {key or 'an exception'}", status=1, where=where, answered=text)


def trouble() -> str | None:
    """The reason why pyrfc cannot be used on this machine; ``None`` when it can."""
    try:
        module = importlib.import_module("pyrfc")
    except ImportError as error:
        return f"pyrfc cannot be imported: {error}"
    except Exception as error:  # noqa: BLE001 - it loads SAP's libraries, which fail in ways of their own
        return f"pyrfc cannot be loaded: {type(error).__name__}: {error}"
    if not hasattr(module, "Connection"):
        return (
            "pyrfc is installed and its compiled part could not be loaded: are SAPNWRFC_HOME and the library path set?"
        )
    return None


class RfcCaller:
    """One RFC conversation. ``parameters`` are those of a logon; nothing is sent before the first call."""

    def __init__(
        self,
        where: str,
        parameters: Mapping[str, str],
        *,
        timeout_s: float = 20.0,
        count: Callable[[], None] = lambda: None,
    ) -> None:
        self.where = where
        self._parameters = dict(parameters)
        self._timeout_s, self._count = timeout_s, count
        self._connection: Any = None
        self._logon: _Logon | None = None
        self._session = ""

    def __repr__(self) -> str:
        return f"RfcCaller({self.where!r})"

    @property
    def session(self) -> str:
        """``handle/cpicConvId`` as of the last answer. A connection that was reopened behind our back has another."""
        return self._session

    def call(self, function: str, /, tables: Sequence[str] = (), **imports: Any) -> JsonMapping:
        """See `Caller.call`."""
        connection = self._connected()
        self._count()
        asked = {**imports, **{name: [] for name in tables if name not in imports}}
        try:
            answer: JsonMapping = connection.call(function, {"timeout": int(self._timeout_s)}, **asked)
        except Exception as error:  # noqa: BLE001 - the classes are pyrfc's, which may not be there to name
            raise self._told(function, error) from None
        finally:
            self._look()
        return answer

    def _connected(self) -> Any:
        if self._connection is None:
            why = trouble()
            if why is not None:
                raise UsageError(
                    why, where=self.where, next_step="Leave `rfc` out of the site file, or mend the installation."
                )
            if self._logon is None:
                self._count()
                self._logon = _Logon(self._open, self.where)
            # a logon that hangs is waited for again and never doubled: it may still be refused
            try:
                self._connection = self._logon.within(CONNECT_TIMEOUT_S)
            finally:
                if self._logon.is_over:
                    self._logon = None
            self._look()
        return self._connection

    def _open(self) -> Any:
        module: Any = importlib.import_module("pyrfc")
        try:
            return module.Connection(config={"rstrip": True}, **self._parameters)
        except Exception as error:  # noqa: BLE001 - as above
            raise self._told("logon", error) from None

    def _look(self) -> None:
        """Note the present peer. ``alive`` does not show the peer; the library itself keeps these two."""
        connection = self._connection
        if connection is None:
            return
        try:
            attributes = connection.get_connection_attributes()
            self._session = f"{connection.handle}/{str(attributes.get('cpicConvId', '')).strip()}"
        except Exception:  # noqa: BLE001 - a closed connection has no attributes, and then no session either
            self._session = ""

    def _told(self, function: str, error: Exception) -> RemoteError:
        name, key = type(error).__name__, str(getattr(error, "key", "") or "")
        said = str(getattr(error, "message", "") or error)
        for secret in (self._parameters.get("passwd"),):
            said = said.replace(secret, "…") if secret else said
        if key == "RFC_CANCELED" or getattr(error, "code", None) == CANCELED:
            return NoAnswer(
                f"{function} was not answered in {self._timeout_s:g} s; pyrfc has opened another conversation",
                where=self.where,
            )
        if name in _BY_CLASS:
            if name == "CommunicationError" and function == "logon":
                return Unreachable("no RFC connection", where=self.where, answered=said)
            return _BY_CLASS[name](f"{function} failed", where=self.where, answered=said)
        if name in (
            "ABAPApplicationError",
            "ABAPRuntimeError",
            "ExternalApplicationError",
            "ExternalAuthorizationError",
        ):
            return Refused(function, key, said, self.where)
        return UnexpectedReply(f"{function} failed: {name}: {said[:300]}", where=self.where)

    def close(self) -> None:
        if self._connection is not None:
            try:
                self._connection.close()
            except Exception:  # noqa: BLE001 - it may be closed already, by whom does not matter any more
                self._session = ""
            self._connection = None


class _Logon:
    """A logon in a thread of its own, because the library has no time-out there."""

    def __init__(self, work: Callable[[], Any], where: str) -> None:
        self._work, self._where = work, where
        self._done: list[tuple[Any, BaseException | None]] = []
        self._thread = threading.Thread(target=self._run, daemon=True, name="rfc logon")
        self._thread.start()

    def _run(self) -> None:
        try:
            self._done.append((self._work(), None))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._done.append((None, error))

    @property
    def is_over(self) -> bool:
        """True if it has worked or failed."""
        return bool(self._done)

    def within(self, seconds: float) -> Any:
        """The connection, or the error of the logon. Raises `NoAnswer` when there is neither after ``seconds``."""
        self._thread.join(seconds)
        if not self._done:
            raise NoAnswer(f"the logon was not answered in {seconds:g} s", where=self._where)
        value, error = self._done[0]
        if error is not None:
            raise error
        return value


def logon(
    *, host: str, number: str, client: str, user: str, password: str, router: str | None = None, language: str = "EN"
) -> dict[str, str]:
    """Parameters of a direct logon. English, because texts of the answers follow the language."""
    found = {"ashost": host, "sysnr": number, "client": client, "user": user, "passwd": password, "lang": language}
    return {**found, "saprouter": router} if router else found
