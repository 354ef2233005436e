"""A private PostgreSQL cluster on a Unix socket and on loopback, by an account without privileges; its cable."""

from __future__ import annotations

import os
import pwd
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lpmkit.timeline import Clock, wait_until

#: Where Debian's packages have the programs, newest first.
_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True)
WHY_NOT = "" if _PROGRAMS else "there is no PostgreSQL server on this machine (Debian: postgresql-15)"


def _account() -> pwd.struct_passwd | None:
    """The account of the server; ``None`` for our own, which serves if it is not root."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LookupError("there is no account that PostgreSQL could run as")


class Cluster:
    """One cluster in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._bin = folder, _PROGRAMS[0].parent
        account = _account()
        self._as = {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "lpmkit", "--no-sync", "-E", "UTF8")
        self._server: subprocess.Popen[bytes] | None = None

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [str(self._bin / program), *words], cwd=self.folder, capture_output=True, text=True, check=False, **self._as
        )  # type: ignore[call-overload]
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = {
            "listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": str(self.folder),
            "fsync": "off", "max_connections": "60", "shared_buffers": "8MB",
        }  # fmt: skip
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "server.log").open("ab") as log:
            self._server = subprocess.Popen(
                [str(self._bin / "postgres"), "-D", str(self.folder / "data"), *words],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder, start_new_session=True, **self._as,
            )  # type: ignore[call-overload]  # fmt: skip

        def answers() -> bool:
            ready = [str(self._bin / "pg_isready"), "-q", "-h", str(self.folder), "-p", str(self.port)]
            return subprocess.run(ready, check=False).returncode == 0

        assert wait_until(answers, clock=Clock(), timeout_s=60), (self.folder / "server.log").read_text()

    def kill(self) -> None:
        """Kill the server and everything of it, as when its machine loses power."""
        server, self._server = self._server, None
        if server is None:
            return
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        for pid in (server.pid, *map(int, children)):  # each of them has a session of its own
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it ended meanwhile
        server.wait(30)
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)

    def database(self, name: str) -> str:
        """A new database; its URL over loopback."""
        self._run("createdb", "-h", str(self.folder), "-p", str(self.port), "-U", "lpmkit", name)
        return self.url(name)

    def url(self, name: str, port: int | None = None) -> str:
        """The URL of a database, at another port of loopback if given."""
        return f"postgresql://lpmkit@127.0.0.1:{port or self.port}/{name}"


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A running cluster; gone with its folder at the end."""
    folder = Path(tempfile.mkdtemp(prefix="lpmkit-pg-"))
    made = Cluster(folder)
    try:
        made.start()
        yield made
    finally:
        made.kill()
        shutil.rmtree(folder, ignore_errors=True)


class Cable:
    """A relay on loopback between a host and its database, which can be cut: nothing passes then, without a sign."""

    def __init__(self, to_port: int) -> None:
        self._to = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._whole = threading.Event()
        self._whole.set()
        self._ends = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Nothing passes from here on; open connections stay open and silent."""
        self._whole.clear()

    def mend(self) -> None:
        """Let pass again what waits."""
        self._whole.set()

    def close(self) -> None:
        """End the relay."""
        self._ends.set()
        self._whole.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ends.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(near,), daemon=True).start()

    def _pass(self, near: socket.socket) -> None:
        self._whole.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self._to))
        except OSError:
            near.close()
            return
        ends = {near: far, far: near}
        with near, far, selectors.DefaultSelector() as selector:
            for end in ends:
                selector.register(end, selectors.EVENT_READ)
            while not self._ends.is_set():
                for key, _ in selector.select(timeout=0.5):
                    try:
                        data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        self._whole.wait()
                        if not data:
                            return
                        ends[key.fileobj].sendall(data)  # type: ignore[index]
                    except OSError:
                        return
