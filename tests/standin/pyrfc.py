"""A stand-in for pyrfc, written to what callers of the real one meet (`PYRFC`).

It keeps what hurts: parameters must be texts; a call that runs into its time-out is cancelled and *the connection is
reopened without a word* under another handle and conversation id; communication failures reopen as well; texts follow
the logon language; columns of RFC_READ_TABLE come in the table's order; a row over 512 characters is refused; a job
selection that finds nothing is an error; the job interface's logon lives in the conversation.

Who answers is `BACKEND`, a function of (conversation, function, parameters); a test sets it, or
``LPMKIT_STANDIN_BACKEND`` names one as ``module:name``.
"""

from __future__ import annotations

import importlib
import itertools
import os
from collections.abc import Callable, Mapping
from typing import Any

RFC_CANCELED = 7
_handles = itertools.count(94_000_000_000_000, 4096)
_conversations = itertools.count(47_110_815)


class RFCError(Exception):
    """Misuse of the binding, and cancelled calls."""

    def __init__(self, message: str = "", code: int = 0, key: str = "") -> None:
        super().__init__(message)
        self.message, self.code, self.key = message, code, key


class RFCLibError(RFCError):
    code = 0

    def __init__(self, message: str = "", code: int = 0, key: str = "") -> None:
        super().__init__(message, code or self.code, key)
        self.msg_class = self.msg_type = self.msg_number = ""

    def __str__(self) -> str:
        return (
            f"{type(self).__name__} (rc={self.code}): key={self.key}, message={self.message} [MSG: class=, type=, "
            "number=, v1-4:=;;;]"
        )


class CommunicationError(RFCLibError):
    code = 1


class LogonError(RFCLibError):
    code = 2


class ABAPRuntimeError(RFCLibError):
    code = 3


class ABAPApplicationError(RFCLibError):
    code = 5


class ExternalRuntimeError(RFCLibError):
    code = 20


class Timeout(Exception):
    """Raised by a backend: the system does not answer before the caller's patience ends."""


class Broken(Exception):
    """Raised by a backend: the connection breaks during the call."""


#: (conversation, language, function, parameters) -> exports and tables.
Backend = Callable[[str, str, str, Mapping[str, Any]], Mapping[str, Any]]
BACKEND: Backend | None = None
_OPTIONS = {"dtime", "return_import_params", "rstrip", "check_date", "check_time", "timeout"}


class Connection:
    """A connection, as far as anybody here uses it."""

    def __init__(self, config: Mapping[str, Any] | None = None, **params: Any) -> None:
        for name in config or {}:
            if name not in _OPTIONS:
                raise RFCError(f"Connection configuration option '{name}' is not supported")
        if not params:
            raise RFCError("Connection parameters missing")
        for name, value in params.items():
            if not isinstance(value, str):
                raise RFCError(f"Connection parameter '{name}' value is not string")
        if not {"ashost", "gwhost", "mshost"} & set(params):
            raise RFCError("Parameter ASHOST, GWHOST, MSHOST or SERVER_PORT is missing.")
        self._params = params
        self.alive = False
        self.open()

    def open(self) -> None:
        self._ask("RFC_PING", {})
        self.handle = next(_handles)
        self._conversation = str(next(_conversations))
        self.alive = True

    def reopen(self) -> None:
        self.handle = next(_handles)
        self._conversation = str(next(_conversations))
        self.alive = True

    def close(self) -> None:
        self.alive = False

    def is_valid(self) -> bool:
        return self.alive  # and says nothing of the peer

    def get_connection_attributes(self) -> dict[str, str]:
        return {
            "cpicConvId": self._conversation,
            "user": self._params["user"],
            "isoLanguage": self._params.get("lang", ""),
        }

    def call(self, func_name: str, options: Mapping[str, Any] | None = None, **params: Any) -> Mapping[str, Any]:
        if not self.alive:
            raise RFCError(f"Remote function module '{func_name}' invocation rejected because the connection is closed")
        old = self.handle
        try:
            return self._ask(func_name, params)
        except Timeout:
            self.reopen()
            raise RFCError(
                f"Connection was canceled: {old}. New handle: {self.handle}", RFC_CANCELED, "RFC_CANCELED"
            ) from None
        except Broken as error:
            self.reopen()
            raise CommunicationError(str(error), key="RFC_COMMUNICATION_FAILURE") from None

    def _ask(self, func_name: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        backend = BACKEND or _named(os.environ.get("LPMKIT_STANDIN_BACKEND", ""))
        return backend(getattr(self, "_conversation", ""), self._params.get("lang", "EN"), func_name, params)


def _named(place: str) -> Backend:
    module, _, name = place.partition(":")
    found: Backend = getattr(importlib.import_module(module), name)
    return found
