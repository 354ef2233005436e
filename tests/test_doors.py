"""The application's door: who has no token, comes by another name, from another page or another account
stays outside.
"""

from __future__ import annotations

import asyncio
import http.client
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.web import HTTPError

from lpmkit.account.person import Person, account_name
from lpmkit.background.temporary import remove_left_behind, temporary_folder
from lpmkit.cli import main
from lpmkit.commands import setup
from lpmkit.config import RunSettings, Site
from lpmkit.errors import NotAllowed, SiteFileError, UsageError
from lpmkit.notebook.plan import PlanMaker
from lpmkit.notebook.server import _SESSION, MAX_KERNELS, MAX_KERNELS_OF_SESSION, LimitedKernels
from lpmkit.runbook import Runbook, SiteInventory
from lpmkit.runs.files import who_else_may_write
from lpmkit.timeline import Clock, wait_until
from tests.browser.lab import NOTHING_ELSE, path_without_node
from tests.tls_front import Authority

SITE = (
    "frames:\n  a: {manager: ivm, host: a.invalid, mover_address: 192.0.2.1}\n  b: "
    "{manager: ivm, host: b.invalid, mover_address: 192.0.2.2}\n"
)


class _Answer:
    """One answer: its status, its headers and its text."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status, self.headers = answer.status, answer.headers
        # a page that starts a kernel is read by its beginning
        self.text = "" if answer.status == 101 else answer.read(2000).decode(errors="replace")


class _Server:
    """A running `lpmkit app`: on a port, or on a Unix socket."""

    def __init__(self, log: Path, child: subprocess.Popen[bytes], port: int, path: Path | None) -> None:
        self.log, self.child, self.port, self.path = log, child, port, path

    @property
    def token(self) -> str:
        found = re.search(r"token[= ]([0-9a-f]{20,})", self.log.read_text())
        assert found, self.log.read_text()
        return found[1]

    def get(self, where: str, *, verb: str = "GET", body: str | None = None, **headers: str) -> _Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        if self.path is not None:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(60)
            connection.sock.connect(str(self.path))
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(verb, where, body, headers={"Host": f"127.0.0.1:{self.port}", **sent})
        try:
            return _Answer(connection.getresponse())
        finally:
            connection.close()

    @property
    def kernels(self) -> int:
        """The number of kernels that it has started."""
        return len(self.connections())

    def connections(self) -> list[Path]:
        """The file that each kernel leaves in the folder of connections."""
        (folder,) = re.findall(r"connection files in (\S+?)\.?$", self.log.read_text(), re.MULTILINE)
        return list(Path(folder).glob("kernel-*.json"))


def _serve(folder: Path, *options: str, path: Path | None = None, command: str = "app") -> Iterator[_Server]:
    (folder / "site.yaml").write_text(SITE)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "app.log"
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "lpmkit.cli", command, "--no-browser", *options, f"--port={port}"],
            env={
                **{name: value for name, value in os.environ.items() if name != "JUPYTER_TOKEN"},
                "HOME": str(folder),
                "PATH": path_without_node(folder),
                "LPMKIT_SITE": str(folder / "site.yaml"),
                **({"JUPYTER_TOKEN": "not-this-one"} if command == "app" else {}),
            },
            stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip

    def listens() -> bool:
        if path is not None:
            return path.is_socket()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        assert wait_until(listens, clock=Clock(), timeout_s=90), log.read_text()
        yield _Server(log, child, port, path)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
        child.wait(timeout=30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Server]:
    yield from _serve(tmp_path_factory.mktemp("app"))


PAGES = (
    "/",
    "/?token=wrong",
    "/?token=",
    "/?token=not-this-one",
    "/voila/files/token",
    "/voila/files/../token",
    "/application.ipynb",
    "/api/kernels",
)


@pytest.mark.parametrize("where", PAGES)
def test_without_the_token_no_page_is_served_and_no_kernel_started(where: str, server: _Server) -> None:
    before = server.kernels
    answer = server.get(where)
    assert answer.status in (302, 403, 404)
    assert "bxaix" not in answer.text
    assert server.kernels == before


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "169.254.1.1", "127.0.0.1.evil.example", "localhost.evil.example", ""]
)
@pytest.mark.parametrize(
    "where", ["/", "/voila/static/voila.js", "/login", "/api/kernels/00000000-0000-0000-0000-000000000000/channels"]
)
def test_a_name_that_is_not_this_machines_own_is_refused_with_the_token_as_well(
    where: str, host: str, server: _Server
) -> None:
    before = server.kernels
    assert server.get(f"{where}?token={server.token}", Host=host).status in (400, 403)
    assert server.kernels == before


@pytest.mark.parametrize(
    ("verb", "where"),
    [("POST", "/voila/api/shutdown/{}"), ("DELETE", "/api/kernels/{}"), ("POST", "/api/kernels/{}/interrupt")],
)
def test_no_kernel_is_ended_by_who_has_no_token(verb: str, where: str, server: _Server) -> None:
    assert server.get(where.format("0" * 8 + "-0000-0000-0000-" + "0" * 12), verb=verb).status in (403, 404)


def test_the_token_is_random_long_in_no_list_of_processes_and_in_no_file_that_others_can_read(server: _Server) -> None:
    assert re.fullmatch(r"[0-9a-f]{48}", server.token)
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert server.token.encode() not in process.read_bytes()
        except OSError:
            continue  # it ended meanwhile
    kept = [path for path in Path(tempfile.gettempdir()).glob("lpmkit-app-*/token") if path.read_text() == server.token]
    assert [stat.S_IMODE(path.stat().st_mode) for path in kept] == [0o600]
    assert stat.S_IMODE(kept[0].parent.stat().st_mode) == 0o700


def test_with_the_token_the_page_is_served_and_its_kernel_is_for_this_page_alone(server: _Server) -> None:
    answer = server.get(f"/?token={server.token}")
    assert answer.status == 200
    given = answer.headers.get_all("Set-Cookie") or []
    (session,) = [cookie for cookie in given if "SameSite=Strict" in cookie]
    assert answer.headers["Referrer-Policy"] == "same-origin", "the address has the token in it"
    assert wait_until(lambda: server.kernels >= 1, clock=Clock(), timeout_s=60)
    (folder,) = re.findall(r"connection files in (\S+?)\.?$", server.log.read_text(), re.MULTILINE)
    connection = next(Path(folder).glob("kernel-*.json"))
    assert json.loads(connection.read_text())["transport"] == "ipc", (
        "a port of this machine could be listened to by anybody on it"
    )
    kernel = connection.stem.removeprefix("kernel-")
    cookie = session.partition(";")[0]
    here = f"http://127.0.0.1:{server.port}"
    origins = [
        (here, cookie),
        ("https://evil.example", cookie),
        (f"{here}.evil.example", cookie),
        ("null", cookie),
        (here, ""),
    ]
    tried = [
        server.get(
            f"/api/kernels/{kernel}/channels", Cookie=given, Origin=origin, Upgrade="websocket", Connection="Upgrade",
            Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==", Sec_WebSocket_Version="13",
        ).status
        for origin, given in origins
    ]  # fmt: skip
    assert tried == [101, 403, 403, 403, 403], "a page from elsewhere has no way to the kernel, nor who has no cookie"
    assert server.get(f"/api/kernels/{kernel}?token={server.token}").status == 403, "another session's kernel"
    _ends_with_its_page(server, kernel, given)


def _ends_with_its_page(server: _Server, kernel: str, given: list[str]) -> None:
    """The request that Voilà's page sends when it is closed or loaded again, from the cookies that it has."""
    cookies = dict(cookie.partition(";")[0].split("=", 1) for cookie in given)
    left = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    left["Content-Type"] = "application/x-www-form-urlencoded"
    where = f"/voila/api/shutdown/{kernel}"
    assert server.get(where, verb="POST", body="_xsrf=", **left).status == 403, "a page from elsewhere does not know it"
    assert server.get(where, verb="POST", body=f"_xsrf={cookies['_xsrf']}", **left).status == 204
    assert not any(kernel in path.name for path in server.connections())


# --- another account ------------------------------------------------------------------------------------------------


def _as_another_account(work: Callable[[], Any]) -> Any:
    """The value (JSON) that ``work`` returns in a process of another account."""
    if os.getuid() != 0:
        pytest.skip("only root can try it as another account: run this test as root")
    near, far = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(2, 2, 2)
            os.setresuid(2, 2, 2)
            os.write(far, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(far)
    with os.fdopen(near, "rb") as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text)


def _trouble(work: Callable[[], object]) -> str:
    try:
        work()
    except OSError as error:
        return type(error).__name__
    return ""


def _status(port: int, verb: str, where: str, host: str = "") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(verb, where, headers={"Host": host or f"127.0.0.1:{port}"})
    try:
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture(scope="module")
def jupyter_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Server]:
    """`lpmkit lab`, with a kernel."""
    folder = tmp_path_factory.mktemp("lab")
    options = ["--allow-root", *NOTHING_ELSE]
    for served in _serve(folder, "--directory", str(folder / "lab"), "--", *options, command="lab"):
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
        connection.request("POST", f"/api/kernels?token={served.token}", body="{}")
        assert connection.getresponse().status == 201
        connection.close()
        assert wait_until(partial(_has_kernel, served), clock=Clock(), timeout_s=60)
        yield served


def _runtime(served: _Server) -> Path:
    (opening,) = re.findall(r"file://(\S+-open\.html)", served.log.read_text())
    return Path(opening).parent


def _has_kernel(served: _Server) -> bool:
    return bool(list(_runtime(served).glob("kernel-*-ipc-*")))


DOORS_OF_LAB = [
    ("GET", "/lab"), ("GET", "/api/kernels"), ("POST", "/api/kernels"), ("GET", "/api/contents"), ("GET", "/tree"),
    ("GET", "/files/20_move_and_watch.ipynb"), ("GET", "/api/terminals"), ("POST", "/api/terminals"),
    ("GET", "/terminals/websocket/1"), ("GET", "/api/status"), ("GET", "/api/sessions"), ("GET", "/metrics"),
    ("GET", "/lab/api/settings"), ("GET", "/lab/api/workspaces"), ("GET", "/voila/render/20_move_and_watch.ipynb"),
    ("GET", "/lsp/status"), ("GET", "/nbconvert/html/20_move_and_watch.ipynb"), ("POST", "/api/shutdown"),
    ("PUT", "/api/contents/evil.ipynb"), ("GET", "/api/kernels/{}/channels"), ("GET", "/lab?token="),
]  # fmt: skip


def test_another_account_finds_every_door_of_the_lab_shut(jupyter_lab: _Server) -> None:
    runtime = _runtime(jupyter_lab)
    kernel = next(iter(runtime.glob("kernel-*.json")))
    ipc = next(iter(runtime.glob("kernel-*-ipc-*")))
    (copies,) = (jupyter_lab.log.parent / "lab").iterdir()
    jupyter_lab.log.parent.chmod(0o755)
    named = kernel.stem.removeprefix("kernel-")

    def tries() -> dict[str, Any]:
        return {
            "doors": {
                f"{verb} {where}": _status(jupyter_lab.port, verb, where.format(named)) for verb, where in DOORS_OF_LAB
            },
            "files": [_trouble(partial(os.listdir, path)) for path in (runtime, copies)],
            "token": _trouble(lambda: Path(runtime, "jpserver-1.json").read_bytes()),
            "kernel": _trouble(lambda: socket.socket(socket.AF_UNIX).connect(str(ipc))),
        }

    tried = _as_another_account(tries)
    assert {door: status for door, status in tried.pop("doors").items() if status not in (302, 403, 404, 405)} == {}
    assert tried == {"files": ["PermissionError"] * 2, "token": "PermissionError", "kernel": "PermissionError"}


def test_the_labs_address_is_a_number_and_its_cookie_goes_to_no_page_from_elsewhere(jupyter_lab: _Server) -> None:
    assert f"http://127.0.0.1:{jupyter_lab.port}/lab?token=" in jupyter_lab.log.read_text()
    assert "http://localhost" not in jupyter_lab.log.read_text(), "that may be ::1, where another account listens"
    answer = jupyter_lab.get(f"/lab?token={jupyter_lab.token}")
    session = next(line for line in answer.headers.get_all("Set-Cookie") or () if line.startswith("username-"))
    assert "SameSite=Strict" in session
    assert jupyter_lab.get(f"/lab?token={jupyter_lab.token}", Host="evil.example").status == 403


def test_under_a_hub_the_lab_is_the_hubs_and_names_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []

    def serve(*words: Any) -> int:
        started.append(words)
        return 0

    monkeypatch.setattr(setup, "_serve", serve)
    words = ["lab", "--hub", "--directory", str(tmp_path / "lab")]
    refused = CliRunner().invoke(main, words)
    assert (refused.exit_code, started) == (2, [])
    assert "no JupyterHub has started this" in refused.output
    monkeypatch.setenv("JUPYTERHUB_SERVICE_URL", "http://127.0.0.1:1/user/anna/")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(setup, "acting_person", lambda: Person("carla", "anna", "login session"))
    refused = CliRunner().invoke(main, words)
    assert (refused.exit_code, started) == (2, [])
    assert "login session of carla" in refused.output
    monkeypatch.setattr(setup, "acting_person", lambda: Person("anna", "anna", "account"))
    assert CliRunner().invoke(main, words).exit_code == 0
    ((command, environment, ends_on),) = started
    assert command[1:4] == ["-m", "lpmkit.notebook.jupyter", "jupyterhub.singleuser"]
    assert setup.KERNELS_BY_FILES in command
    assert not [word for word in command if "ip=" in word], "the hub names the address"
    assert list(ends_on) == [signal.SIGINT]
    assert environment["JUPYTER_RUNTIME_DIR"]


# --- kernels --------------------------------------------------------------------------------------------------------


class _Kernels(LimitedKernels):
    """Kernels that are names only."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.there: dict[str, int] = {}
        self._kernel_connections = self.there

        async def start(_: object, **wanted: Any) -> str:
            await asyncio.sleep(0)
            name = f"kernel-{wanted['number']}"
            self.there[name] = 0
            return name

        monkeypatch.setattr(AsyncMappingKernelManager, "start_kernel", start)

    def __contains__(self, kernel_id: object) -> bool:
        return kernel_id in self.there

    async def shutdown_kernel(self, kernel_id: str, **_: Any) -> None:  # type: ignore[override] # as its parent
        del self.there[kernel_id]

    async def open(self, session: str, number: int, *, connected: bool = False) -> str:
        _SESSION.set(session)
        name = await self.start_kernel(number=number)
        self.there[name] = int(connected)
        return name


def test_a_session_that_loads_the_page_again_and_again_has_a_few_kernels_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def loads() -> None:
        kernels = _Kernels(monkeypatch)
        await asyncio.gather(*(kernels.open("anna", number) for number in range(20)))
        assert len(kernels.there) == MAX_KERNELS_OF_SESSION
        assert "kernel-19" in kernels.there, "the newest page works"

    asyncio.run(loads())


def test_pages_that_are_open_are_not_ended_for_another_and_the_sum_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    async def loads() -> None:
        kernels = _Kernels(monkeypatch)
        for number in range(MAX_KERNELS_OF_SESSION):
            await kernels.open("anna", number, connected=True)
        with pytest.raises(HTTPError) as caught:
            await kernels.open("anna", 99)
        assert caught.value.status_code == 503
        number = 100
        while len(kernels.there) < MAX_KERNELS:
            number += 1
            await kernels.open(f"person-{number}", number, connected=True)
        with pytest.raises(HTTPError):
            await kernels.open("late", 999)
        assert kernels.session_of("kernel-0") == "anna"

    asyncio.run(loads())


# --- a socket for a proxy -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def behind_proxy() -> Iterator[_Server]:
    with tempfile.TemporaryDirectory(prefix="lpmkit-doors-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        path = folder / "app.sock"
        yield from _serve(
            folder, f"--socket={path}", "--person-header=X-Remote-User", "--host-name=lpm.example.org", path=path
        )


def test_behind_a_proxy_nobody_unnamed_gets_in(behind_proxy: _Server) -> None:
    before = behind_proxy.kernels
    for headers in (
        {},
        {"X_Remote_User": ""},
        {"X_Remote_User": "-I x"},
        {"X_Remote_User": "a, b"},
        {"X_Other": "anna"},
    ):
        assert behind_proxy.get("/", Host="lpm.example.org", **headers).status == 403
    assert behind_proxy.get("/", Host="evil.example", X_Remote_User="anna").status == 403
    assert behind_proxy.kernels == before


def test_the_socket_is_its_owners_alone(behind_proxy: _Server) -> None:
    assert behind_proxy.path is not None
    assert stat.S_IMODE(behind_proxy.path.stat().st_mode) == 0o600
    path = str(behind_proxy.path)
    assert _as_another_account(lambda: _trouble(lambda: socket.socket(socket.AF_UNIX).connect(path))) == (
        "PermissionError"
    )


def test_a_person_that_the_proxy_names_gets_the_page(behind_proxy: _Server) -> None:
    assert behind_proxy.get("/", Host="lpm.example.org", X_Remote_User="anna").status == 200


class _Behind:
    """nginx on loopback."""

    def __init__(self, port: int) -> None:
        self._port = port

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def get(self, where: str, login: str | None = None, **headers: str) -> _Answer:
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = (
            False,
            ssl.CERT_NONE,
        )  # it is nginx's to prove, and not asked here
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=60, context=trusting)
        sent = {"Host": "lpm.example.org", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if login is not None:
            sent["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
        connection.request("GET", where, headers=sent)
        try:
            return _Answer(connection.getresponse())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def nginx(behind_proxy: _Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Behind]:
    """The configuration of docs/nginx-app.conf with paths of this test, and nginx with it."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    folder = tmp_path_factory.mktemp("nginx")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    certificate = Authority().server(folder, "lpm.example.org")
    (folder / "people").write_text("anna:{PLAIN}a\nbert:{PLAIN}b\n")
    recipe = (Path(__file__).parent.parent / "docs" / "nginx-app.conf").read_text()
    for written, here in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/nginx/lpm.crt", str(certificate)),
        ("/etc/nginx/lpm.key", str(certificate)),
        ("/etc/nginx/lpm.htpasswd", str(folder / "people")),
        ("/run/lpmkit/app.sock", str(behind_proxy.path)),
    ):
        assert written in recipe
        recipe = recipe.replace(written, here)
    temporary = "".join(f"{kind}_temp_path t-{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; user {account_name(os.getuid())}; pid pid; error_log log; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{recipe} }}\n"
    )
    child = subprocess.Popen([program, "-p", str(folder), "-c", str(folder / "nginx.conf")], stderr=subprocess.PIPE)
    try:
        behind = _Behind(port)
        assert wait_until(behind.listens, clock=Clock(), timeout_s=30), (folder / "log").read_text()
        yield behind
    finally:
        child.terminate()
        child.communicate(timeout=30)


def test_behind_nginx_a_person_gets_the_page_and_nobody_another_persons_kernel(
    nginx: _Behind, behind_proxy: _Server
) -> None:
    before = behind_proxy.kernels
    refused = [nginx.get("/").status, nginx.get("/", "anna:b").status, nginx.get("/", X_Remote_User="anna").status]
    assert refused == [401, 401, 401]
    assert nginx.get("/", "anna:a", Host="evil.example").status == 403
    assert behind_proxy.kernels == before
    known = {path.name for path in behind_proxy.connections()}
    assert nginx.get("/", "anna:a", X_Remote_User="bert").status == 200
    assert wait_until(lambda: behind_proxy.kernels > before, clock=Clock(), timeout_s=60)
    (kernel,) = (path.stem.removeprefix("kernel-") for path in behind_proxy.connections() if path.name not in known)
    opened = [
        nginx.get(
            f"/api/kernels/{kernel}/channels", login, X_Remote_User="anna", Origin="https://lpm.example.org",
            Upgrade="websocket", Connection="Upgrade", Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==",
            Sec_WebSocket_Version="13",
        ).status
        for login in ("bert:b", "anna:a")
    ]  # fmt: skip
    assert opened == [403, 101], "the name is nginx's, and not what a browser sends"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--person-header=X-Remote-User"], "--socket"),
        (["--socket-group=daemon"], "belongs to --socket"),
        (["--socket=/tmp/x.sock", "--socket-group=no-such"], "no group 'no-such'"),
        (["--socket={site}"], "a file already"),
        (["--socket=/tmp/x.sock", "--person-header=X Y"], "no name of a header"),
    ],
)
def test_what_would_let_in_anybody_is_refused(options: list[str], says: str, tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(SITE)
    words = [one.format(site=site) for one in options]
    result = CliRunner().invoke(main, ["--site", str(site), "app", "--no-browser", *words])
    assert result.exit_code == 2
    assert says in result.output


def test_a_group_that_this_account_is_no_member_of_is_refused_with_what_to_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(UsageError, match="4711 is no member") as caught:
        setup._door(Path("/tmp/x.sock"), "daemon", (), None)
    assert "usermod -aG daemon 4711" in str(caught.value)


@pytest.mark.parametrize(("mode", "says"), [(0o777, "every account"), (0o775, "the group"), (0o1777, "every account")])
def test_a_socket_is_refused_where_others_could_put_their_own(mode: int, says: str, tmp_path: Path) -> None:
    site, folder = tmp_path / "site.yaml", tmp_path / "shared"
    site.write_text(SITE)
    folder.mkdir()
    folder.chmod(mode)
    result = CliRunner().invoke(main, ["--site", str(site), "app", f"--socket={folder / 'app.sock'}"])
    assert result.exit_code == 2
    assert says in result.output
    below = folder / "mine"
    below.mkdir(mode=0o700)
    assert bool(who_else_may_write(below)) is (mode != 0o1777), "a folder of one's own in a sticky one is one's own"


def test_the_folder_of_a_socket_is_made_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(SITE)
    monkeypatch.setattr(setup, "_serve", lambda *_: 0)
    result = CliRunner().invoke(main, ["--site", str(site), "app", f"--socket={tmp_path / 'own' / 'app.sock'}"])
    assert result.exit_code == 0, result.output
    assert stat.S_IMODE((tmp_path / "own").stat().st_mode) == 0o700


# --- files ----------------------------------------------------------------------------------------------------------


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_server_ends_with_the_command_that_started_it(tmp_path: Path) -> None:
    for served in _serve(tmp_path):
        (server,) = _children(served.child.pid)
        served.child.terminate()
        served.child.wait(timeout=60)
        assert not Path(f"/proc/{server}").exists()
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", served.port)) != 0


@pytest.fixture
def maker(tmp_path: Path) -> PlanMaker:
    runs = tmp_path / "runs"
    site = Site.model_validate({}).model_copy(update={"runs": RunSettings(folder=runs)})
    book = SimpleNamespace(site=site, landscape=lambda: SiteInventory({}, (), {}))
    made = PlanMaker(cast(Runbook, book), runs / "plan.yaml")
    made.title.value = "weekend"
    made.add.click()
    return made


@pytest.mark.parametrize(
    "name",
    [
        "{top}/elsewhere.yaml",
        "{runs}/../up.yaml",
        "{runs}/plan.txt",
        "{runs}/run/plan.yaml",
        "{runs}/link.yaml",
        "~/.bashrc",
        "{top}/site.yaml",
        "/etc/cron.d/x",
    ],
)
def test_a_plan_is_saved_nowhere_but_among_the_runs(name: str, maker: PlanMaker, tmp_path: Path) -> None:
    runs = maker._book.site.runs.folder
    (runs / "run").mkdir(parents=True)
    (runs / "run" / "run.json").write_text("{}")
    (tmp_path / "target.yaml").write_text("mine")
    (runs / "link.yaml").symlink_to(tmp_path / "target.yaml")
    path = Path(name.format(top=tmp_path, runs=runs))
    maker.file.value = str(path)
    with pytest.raises(NotAllowed, match="not saved"):
        maker._place()
    maker.write()
    assert "✗" in maker.says.value
    assert (tmp_path / "target.yaml").read_text() == "mine"
    assert not (tmp_path / "elsewhere.yaml").exists()
    assert not (tmp_path / "up.yaml").exists()


def test_a_file_that_is_no_plan_is_not_written_over(maker: PlanMaker) -> None:
    path = maker._book.site.runs.folder / "site.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SITE)
    maker.file.value = str(path)
    with pytest.raises(SiteFileError):
        maker._place()
    assert path.read_text() == SITE


def test_a_plan_is_saved_among_the_runs(maker: PlanMaker) -> None:
    maker.file.value = str(maker._book.site.runs.folder / "plans" / "weekend.yaml")
    assert maker._place() == Path(maker.file.value).resolve()


# --- what a kill leaves ---------------------------------------------------------------------------------------------


def test_a_temporary_folder_that_a_kill_left_is_removed_by_the_next_start_and_one_in_use_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = (
        "import sys, time; from lpmkit.background.temporary import temporary_folder\nwith temporary_folder('lpmkit-x-') as "
        "folder:\n    print(folder, flush=True)\n    time.sleep(600)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    left = Path(child.stdout.readline().decode().strip())
    (left / "token").write_text("secret")
    (tmp_path / "lpmkit-x-other").mkdir()  # without a lock: none of ours
    assert remove_left_behind("lpmkit-x-") == []
    child.kill()
    child.wait()
    with temporary_folder("lpmkit-x-") as folder:
        assert not left.exists()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()
    assert (tmp_path / "lpmkit-x-other").exists()
