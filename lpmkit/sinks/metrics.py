"""The metrics of the newest run of each partition as one text, and a web server for collectors that ask for it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import AF_INET6
from typing import Any

from lpmkit.errors import LpmError, RecordError, UsageError
from lpmkit.runs.audit import audit_records
from lpmkit.runs.folder import Run
from lpmkit.sinks.formats import Metric, metrics_text
from lpmkit.sinks.outcome import run_metrics

#: The only path that is served.
PATH = "/metrics"
#: The media types of the two forms that the text has at once (`PROM-FORMATS`).
_OPENMETRICS = "application/openmetrics-text"
_CLASSIC = "text/plain; version=0.0.4; charset=utf-8"
#: Seconds that a collector may take for its request.
_REQUEST_S = 10.0


class RunsFolder:
    """A folder of runs, whose newest run of each partition has metrics. What a run shows is worked out again only when
    its events have grown.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        #: By the name of a run: its partition and when it was made, which never change.
        self._known: dict[str, tuple[str, str]] = {}
        self._made: dict[str, tuple[int, list[Metric]]] = {}

    def metrics(self) -> list[Metric]:
        """The metrics of all partitions, each metric once with the samples of all.

        Raises `RecordError` for a folder that cannot be read; a run that cannot be read is counted.
        """
        with self._lock:
            newest, unreadable = self._newest()
            metrics: list[Metric] = []
            for name in newest:
                try:
                    metrics += self._of_run(self.folder / name)
                except LpmError:
                    unreadable += 1
            self._made = {name: made for name, made in self._made.items() if name in newest}
        count: Metric = ("runs_unreadable", "Runs of the folder that could not be read.", [({}, float(unreadable))])
        return [*merged(metrics), count]

    def _newest(self) -> tuple[list[str], int]:
        """The names of the newest runs, a partition each, and how many runs cannot be read."""
        try:
            folders = [path for path in self.folder.iterdir() if (path / "run.json").is_file()]
        except OSError as error:
            raise RecordError(f"the runs cannot be read: {error.strerror}", where=str(self.folder)) from error
        newest: dict[str, tuple[str, str]] = {}
        unreadable = 0
        for folder in folders:
            try:
                partition, made = self._about(folder)
            except LpmError:
                unreadable += 1
                continue
            newest[partition] = max(newest.get(partition, ("", "")), (made, folder.name))
        return sorted(name for _, name in newest.values()), unreadable

    def _about(self, folder: Path) -> tuple[str, str]:
        if folder.name not in self._known:
            manifest = Run(folder).manifest
            partition = str((manifest.get("order") or {}).get("partition") or "")
            self._known[folder.name] = partition, str(manifest.get("created"))
        return self._known[folder.name]

    def _of_run(self, folder: Path) -> list[Metric]:
        run = Run(folder)
        events = run.events()
        if folder.name not in self._made or self._made[folder.name][0] != len(events):
            records = audit_records(run.name, run.manifest, events)
            self._made[folder.name] = len(events), run_metrics(run, records[-1]) if records else []
        return self._made[folder.name][1]


def merged(metrics: Iterable[Metric]) -> list[Metric]:
    """Metrics of several runs with each name once.

    >>> merged([("a", "A.", [({"p": "x"}, 1.0)]), ("b", "B.", []), ("a", "A.", [({"p": "y"}, 2.0)])])
    [('a', 'A.', [({'p': 'x'}, 1.0), ({'p': 'y'}, 2.0)]), ('b', 'B.', [])]
    """
    abouts: dict[str, str] = {}
    samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for name, about, values in metrics:
        abouts.setdefault(name, about)
        samples.setdefault(name, []).extend(values)
    return [(name, about, samples[name]) for name, about in abouts.items()]


def address_of(text: str) -> tuple[str, int]:
    """Host and port of ``[HOST:]PORT``; this machine's own address without a host. Raises `UsageError`.

    >>> address_of("9464"), address_of("[::1]:9464"), address_of("0.0.0.0:9464")
    (('127.0.0.1', 9464), ('::1', 9464), ('0.0.0.0', 9464))
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    is_port = port.isascii() and port.isdecimal() and int(port) < 2**16
    if not is_port or (colon and not host) or (":" in host and not text.startswith("[")):
        raise UsageError(f"{text!r} is no address to listen on", next_step="Write PORT, HOST:PORT or [IPV6]:PORT.")
    return host or "127.0.0.1", int(port)


def server(address: tuple[str, int], runs: RunsFolder) -> ThreadingHTTPServer:
    """A server of the metrics that listens already; port 0 takes a free one. It has neither a login nor TLS.

    Raises `UsageError` where it cannot listen there.
    """

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        address_family = AF_INET6 if ":" in address[0] else ThreadingHTTPServer.address_family

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A collector that hung up is no matter of ours."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _REQUEST_S
        server_version, sys_version = "lpmkit", ""

        def do_GET(self) -> None:
            self._answer()

        def do_HEAD(self) -> None:
            self._answer()

        def _answer(self) -> None:
            if self.path.partition("?")[0] != PATH:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            try:
                body = metrics_text(runs.metrics()).encode()
            except LpmError as error:
                # no old figures: a collector shows that it could not look
                self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, explain=str(error))
                return
            is_open = _OPENMETRICS in self.headers.get("Accept", "")
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", f"{_OPENMETRICS}; version=1.0.0; charset=utf-8" if is_open else _CLASSIC)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Requests are not logged."""

    try:
        return Server(address, Handler)
    except OSError as error:
        raise UsageError(f"cannot listen on {address[0]} port {address[1]}: {error.strerror or error}") from error
