"""The probes' own process: ``python -m lpmkit.probes.process``.

Standard input holds one line of JSON (``{"probes": [...], "secrets": {...}}``) and then stays open; when it ends, whoever wanted the probes is
gone or done, and they end too, so that a recorder that is killed leaves none behind. Standard output carries frames: ``S PROBE LENGTH`` and that many bytes of
rows as in a samples file, ``O PROBE LENGTH`` and lines of an observations file, or ``E`` and an event as JSON. No garbage collection, no file, no plotting in
here; probes that need a heavy library have a ``group`` and so a process of their own, where memory is collected.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Protocol

from lpmkit.config import Secrets
from lpmkit.errors import LpmError
from lpmkit.probes import ProbeOrder, Sink
from lpmkit.probes.icmp import IcmpProbe
from lpmkit.probes.network import ConnectProbe
from lpmkit.probes.observer import ObserverProbe
from lpmkit.probes.ssh import EchoProbe, TickProbe
from lpmkit.run import sample_line
from lpmkit.ssh import SshSession, route
from lpmkit.timeline import Sample

FLUSH_S = 0.2


class Probe(Protocol):
    def run(self, stop: threading.Event, sink: Sink) -> None: ...


def build(order: ProbeOrder, secrets: Secrets) -> Probe:
    """The probe that an order asks for."""
    if order.kind == "observer":
        return ObserverProbe(order)
    if order.group == "oracle":
        from lpmkit.probes import oracle  # noqa: PLC0415 - drivers are only for the process of this group

        return oracle.build(order, secrets)
    way = route(order.host, Path(order.ssh_config) if order.ssh_config else None)
    if order.kind == "connect":
        return ConnectProbe(order, way)
    if order.kind == "icmp":
        return IcmpProbe(order, way)
    session = SshSession(way, password=secrets.get(order.password, order.host))
    return TickProbe(order, session) if order.kind == "ticks" else EchoProbe(order, session)


class FrameSink:
    """Gathers what the probes see and writes it in frames, a few times a second."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._rows: dict[str, list[bytes]] = {}

    def sample(self, probe: str, sample: Sample) -> None:
        line = sample_line(sample)
        with self._lock:
            self._rows.setdefault(probe, []).append(line)

    def observation(self, probe: str, row: Mapping[str, Any], /) -> None:
        line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            self._out.write(f"O {probe} {len(line)}\n".encode() + line)
            self._out.flush()

    def event(self, probe: str, kind: str, /, **data: Any) -> None:
        text = json.dumps({"source": f"probe:{probe}", "kind": kind, "data": {"probe": probe, **data}})
        with self._lock:
            self._out.write(b"E " + text.encode() + b"\n")
            self._out.flush()

    def flush(self) -> None:
        with self._lock:
            rows, self._rows = self._rows, {}
            for probe, lines in rows.items():
                content = b"".join(lines)
                self._out.write(f"S {probe} {len(content)}\n".encode() + content)
            self._out.flush()


def _probing(order: ProbeOrder, secrets: Secrets, stop: threading.Event, sink: FrameSink) -> None:
    try:
        probe = build(order, secrets)
        sink.event(
            order.name,
            "probe-started",
            kind=order.kind,
            host=order.host,
            interval_ns=order.interval_ns,
            about=order.about,
        )
        probe.run(stop, sink)
        sink.event(order.name, "probe-ended")
    except LpmError as error:
        sink.event(order.name, "probe-trouble", what=str(error))
    except Exception as error:  # noqa: BLE001 - one probe's defect must not silence the others; the run is told
        sink.event(order.name, "probe-trouble", what=f"defect: {type(error).__name__}: {error}")


def run(orders: list[ProbeOrder], secrets: Mapping[str, str], out: IO[bytes], stop: threading.Event) -> None:
    """Run the probes until ``stop`` is set, each in a thread of its own, and write frames to ``out``."""
    if not any(order.group for order in orders):
        gc.collect()
        gc.freeze()
        gc.disable()
    sink = FrameSink(out)
    known = Secrets(secrets, may_ask=False)
    threads = [
        threading.Thread(target=_probing, args=(order, known, stop, sink), name=order.name, daemon=True)
        for order in orders
    ]
    for thread in threads:
        thread.start()
    while not stop.wait(FLUSH_S):
        sink.flush()
    for thread in threads:
        thread.join(timeout=5.0)
    sink.flush()


def main() -> None:
    """Read the order from standard input, probe until it ends."""
    wanted = json.loads(sys.stdin.buffer.readline())
    stop = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.buffer.read()
        stop.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    orders = [ProbeOrder.from_data(data) for data in wanted["probes"]]
    try:
        run(orders, wanted.get("secrets", {}), sys.stdout.buffer, stop)
    except BrokenPipeError:
        # nobody listens any more: the recorder was killed
        sys.stderr.close()


if __name__ == "__main__":
    main()
