"""The application's web server: Voilà, with a door that opens for the right people only. `lpmkit app` starts it.

Without a token (or, behind a proxy, without the header with the login) no page is served and no kernel
started. The name in the address has to be this machine's own, so that a page from elsewhere cannot reach it by a name
that it controls. Kernels are counted, for each session and in all.
"""

from __future__ import annotations

import asyncio
import grp
import html
import os
import webbrowser
from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import lpmkit.notebook.jupyter  # noqa: F401 - before Jupyter's own modules: what they shall not load

# isort: split
from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_unix_socket
from tornado.web import HTTPError, RequestHandler
from traitlets import List, Unicode
from voila.app import Voila
from voila.handler import VoilaHandler
from voila.voila_identity_provider import VoilaIdentityProvider

from lpmkit.account.person import is_login
from lpmkit.json_values import JsonObject

#: Kernels of one browser session: a page, a second tab, and one that is being reloaded.
MAX_KERNELS_OF_SESSION = 3
#: Kernels of all sessions; each takes a hundred megabytes and a connection or two to the managers.
MAX_KERNELS = 12
#: Seconds after which a kernel that no page is connected to is ended.
UNCONNECTED_S = 300

_SESSION: ContextVar[str] = ContextVar("session", default="")


class LimitedKernels(AsyncMappingKernelManager):
    """Kernels by session. A session that wants more than its share loses its oldest one that no page is connected to,
    or gets none.
    """

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)  # type: ignore[no-untyped-call] # jupyter_server's
        self._session_of: dict[str, str] = {}
        self._turn = asyncio.Lock()

    def session_of(self, kernel_id: str) -> str | None:
        """The session that a kernel was started for."""
        return self._session_of.get(kernel_id)

    async def start_kernel(self, **wanted: Any) -> str:  # type: ignore[override] # as its parent
        """See `AsyncMappingKernelManager.start_kernel`. Raises `HTTPError` (503) where there are too many."""
        session = _SESSION.get()
        async with self._turn:  # one after the other: the limit holds for requests that come at once
            self._session_of = {one: owner for one, owner in self._session_of.items() if one in self}
            await self._make_room(
                [one for one, owner in self._session_of.items() if owner == session], MAX_KERNELS_OF_SESSION
            )
            await self._make_room(list(self._session_of), MAX_KERNELS)
            kernel_id: str = await super().start_kernel(**wanted)
            self._session_of[kernel_id] = session
        return kernel_id

    async def _make_room(self, kernels: Sequence[str], limit: int) -> None:
        kernels = [kernel for kernel in kernels if kernel in self]
        idle = [kernel for kernel in kernels if not self._kernel_connections.get(kernel)]
        for one in idle[: max(0, len(kernels) - limit + 1)]:
            await self.shutdown_kernel(one)  # type: ignore[no-untyped-call] # as above
        if len([kernel for kernel in kernels if kernel in self]) >= limit:
            raise HTTPError(503, reason="too many pages are open; close one and load this one again")


class ProxyIdentity(IdentityProvider):
    """The person authenticated by a reverse proxy, from a header that only the proxy can set."""

    header = ""

    @property
    def auth_enabled(self) -> bool:
        """Requests without a person are refused."""
        return True

    def get_user(self, handler: RequestHandler) -> User:
        """The person of a request. Raises `HTTPError` (403) if the proxy gave no name or an invalid one."""
        login = handler.request.headers.get(self.header, "")
        if not is_login(login):
            raise HTTPError(403, reason="the proxy named nobody")
        return User(username=login, name=login)


def _note_session(handler: RequestHandler, notebook: Any, cwd: str) -> None:
    """Remember whom the kernel that comes next is for."""
    _SESSION.set(handler.current_user.username)


class _KnownHost:
    """Refuses requests by a name that is not this machine's own, for handlers that do not look by themselves."""

    def prepare(self) -> Any:
        """See `RequestHandler.prepare`."""
        if not self.application.settings["host_is_known"](self.request.host):  # type: ignore[attr-defined]
            raise HTTPError(403)
        return super().prepare()  # type: ignore[misc]


class _OwnKernel:
    """Refuses the kernel of another session."""

    async def prepare(self, **more: Any) -> Any:
        """See `RequestHandler.prepare`."""
        await super().prepare(**more)  # type: ignore[misc]
        named = self.path_kwargs.get("kernel_id") or (self.path_args or [""])[0]  # type: ignore[attr-defined]
        owner = self.settings["kernel_manager"].session_of(named)  # type: ignore[attr-defined]
        user = self.current_user  # type: ignore[attr-defined]
        if user is None or (owner is not None and owner != user.username):
            raise HTTPError(403)


class _EndsWithItsPage:
    """Hands a page the value (a cookie) that the server wants back with the request to end the page's kernel.

    Voilà's page makes that request when it is closed or loaded again. Without the value it is refused, and the kernel
    goes on drawing until the move is over.
    """

    async def prepare(self, **more: Any) -> Any:
        """See `RequestHandler.prepare`."""
        await super().prepare(**more)  # type: ignore[misc]
        assert self.xsrf_token  # type: ignore[attr-defined] # to read it sets the cookie


class Server(Voila):  # type: ignore[misc] # as above
    """Voilà behind that door. ``socket`` is a Unix socket instead of a port, ``host_names`` are further names in
    addresses, ``person_header`` the proxy's header.
    """

    socket = Unicode("", config=True)
    socket_group = Unicode("", config=True)
    host_names = List(Unicode(), config=True)
    person_header = Unicode("", config=True)

    def init_settings(self) -> JsonObject:
        """See `Voila.init_settings`."""
        chosen = self.voila_configuration
        chosen.multi_kernel_manager_class = LimitedKernels
        chosen.prelaunch_hook = _note_session
        chosen.file_allowlist = []
        chosen.preheat_kernel = False
        self.identity_provider_class = VoilaIdentityProvider
        if self.person_header:
            ProxyIdentity.header = self.person_header
            self.identity_provider_class = ProxyIdentity
            chosen.http_header_envs = [self.person_header]
        self.auto_token = True  # from JUPYTER_TOKEN_FILE, else a random one: never none
        settings: JsonObject = super().init_settings()
        self.identity_provider.cookie_options = {"SameSite": "Strict"}
        self.kernel_manager.cull_idle_timeout = UNCONNECTED_S
        self.kernel_manager.cull_interval = UNCONNECTED_S // 5
        names = ["localhost", *self.host_names]
        return {
            **settings,
            "allow_remote_access": False,
            "local_hostnames": names,
            "allow_unauthenticated_access": False,
            "host_is_known": lambda host: _is_known(host, names),
            # the address has the token in it: a link to elsewhere does not hand it on, whatever the browser's default
            "headers": {**settings.get("headers", {}), "Referrer-Policy": "same-origin"},
        }

    def init_handlers(self) -> list[Any]:
        """See `Voila.init_handlers`."""
        return [_guarded(init_handler) for init_handler in super().init_handlers()]

    def listen(self) -> None:
        """Serve on the socket if one is given, else on the port, until a signal ends it."""
        if not self.socket:
            super().listen()
            return
        path = Path(self.socket)
        group = grp.getgrnam(self.socket_group).gr_gid if self.socket_group else None
        server = HTTPServer(self.app)
        server.add_socket(bind_unix_socket(str(path), mode=0o600))
        if group is not None:
            os.chown(path, -1, group)
            path.chmod(0o660)
        self.ioloop = IOLoop.current()
        try:
            self.ioloop.start()
        except KeyboardInterrupt:
            self.log.info("ends")
        finally:
            path.unlink(missing_ok=True)
            self.stop()

    def launch_browser(self) -> None:
        """Open the page by a file of this account that holds the address: a token in an argument could be read in the
        list of processes.
        """
        page = Path(self.connection_dir) / "open.html"
        address = f"{self.connection_url}{self.base_url.lstrip('/')}?token={self.identity_provider.token}"
        with os.fdopen(os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(f'<meta charset="utf-8"><meta http-equiv="refresh" content="0;url={html.escape(address)}">')
        webbrowser.open(page.as_uri())


def _is_known(host: str, names: Sequence[str]) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return name in ("127.0.0.1", "[::1]", *names)


def _guarded(handler: Sequence[Any]) -> tuple[Any, ...]:
    path, kind, *more = handler
    guards: list[type] = [_OwnKernel] if "kernel_id" in path or "/shutdown/" in path else []
    guards += [_EndsWithItsPage] if issubclass(kind, VoilaHandler) else []
    guards += [] if issubclass(kind, JupyterHandler) else [_KnownHost]  # Jupyter's look at the name by themselves
    return (path, type(f"Guarded{kind.__name__}", (*guards, kind), {}), *more)


if __name__ == "__main__":
    Server.launch_instance()
