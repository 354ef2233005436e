"""The probes' process: ``python -m lpmkit.probes.process``.

Standard input has one line of JSON (``{"probes": [...], "secrets": {...}}``), then a line for every change of the rate
(``{"pace": "calm"}``). Its end means that the recorder is done or dead, and ends the probes, so that a killed recorder
leaves none behind. Standard output carries frames: ``S PROBE LENGTH`` and that many bytes of rows as in a samples file,
``O PROBE LENGTH`` and lines of an observations file, or ``E`` and an event as JSON.

Where this user may (root, or a limit ``rtprio`` above 0), the process runs before all ordinary ones of this machine, so
that requests leave in time beside other work; the record says so. The observer's own ticker does alike, or it would
show stalls that the probes do not have.

No garbage collection, no files, no plots here, and modules are imported only for the kinds of probes that run: the
observer, with its own process, needs almost nothing. Probes with a heavy library have a ``group`` and so a process of
their own, with garbage collection.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from lpmkit.errors import LpmError
from lpmkit.json_values import JsonMapping
from lpmkit.probes.orders import ProbeOrder, Sink
from lpmkit.probes.rate import RateSetting
from lpmkit.runs.rows import sample_line
from lpmkit.timeline import Sample

if TYPE_CHECKING:
    from lpmkit.probes.acks import SentQuestions
    from lpmkit.probes.loop import Turns
    from lpmkit.ssh.route import Route

FLUSH_S = 0.2
#: Seconds that a thread keeps Python's lock while another waits: what leaves must not wait for what is written.
SWITCH_S = 0.0005
#: Seconds that a probe may take to end: more than `lpmkit.probes.loop.END_S`.
JOIN_S = 6.0
#: Kinds of probes that take turns in one thread.
PERIODIC = ("ticks", "echo", "connect", "icmp", "ack", "ni")


class Probe(Protocol):
    """A running probe."""

    def run(self, stop: threading.Event, sink: Sink) -> None:
        """Probe until ``stop`` is set."""
        ...


class Shared:
    """The state that the probes of a process share: their rate, and for each host the questions that one probe sends
    and another follows.
    """

    def __init__(self, setting: RateSetting | None = None) -> None:
        self.setting = setting or RateSetting()
        self._questions: dict[str, SentQuestions] = {}
        self._routes: dict[tuple[str, str | None], Route] = {}
        self._turn, self._asking = threading.Lock(), threading.Lock()

    def questions(self, host: str) -> SentQuestions:
        """The questions of one host; the same for every probe of it."""
        from lpmkit.probes.acks import SentQuestions  # noqa: PLC0415

        with self._turn:
            return self._questions.setdefault(host, SentQuestions())

    def route(self, order: ProbeOrder) -> Route:
        """The route to an order's host: OpenSSH is asked once for all probes of it."""
        from lpmkit.ssh.client import route  # noqa: PLC0415

        key = (order.host, order.ssh_config)
        with self._asking:
            if key not in self._routes:
                self._routes[key] = route(order.host, Path(order.ssh_config) if order.ssh_config else None)
            return self._routes[key]


def build(order: ProbeOrder, secrets: Mapping[str, str], shared: Shared) -> Probe:
    """Create the probe of an order, importing no more than it needs."""
    if order.kind == "observer":
        from lpmkit.probes.observer import ObserverProbe  # noqa: PLC0415

        return ObserverProbe(order)
    if order.group:
        return _of_a_group(order, secrets)
    from lpmkit.probes.acks import AckProbe  # noqa: PLC0415
    from lpmkit.probes.arp import ArpProbe  # noqa: PLC0415
    from lpmkit.probes.icmp import IcmpProbe  # noqa: PLC0415
    from lpmkit.probes.network import ConnectProbe  # noqa: PLC0415
    from lpmkit.probes.ni import NiProbe  # noqa: PLC0415
    from lpmkit.probes.ssh import EchoProbe, TickProbe  # noqa: PLC0415
    from lpmkit.ssh.client import SshSession  # noqa: PLC0415
    from lpmkit.ssh.secrets import Secrets  # noqa: PLC0415

    setting = shared.setting
    target = shared.route(order)
    of_the_network: dict[str, Callable[[], Probe]] = {
        "ni": lambda: NiProbe(order, target, setting=setting),
        "connect": lambda: ConnectProbe(order, target, setting=setting),
        "icmp": lambda: IcmpProbe(order, target, setting=setting),
        "ack": lambda: AckProbe(order, target, shared.questions(order.host), setting=setting),
        "arp": lambda: ArpProbe(order, target),
    }
    if order.kind in of_the_network:
        return of_the_network[order.kind]()
    session = SshSession(target, password=Secrets(secrets, may_ask=False).get(order.password, order.host))
    if order.kind == "ticks":
        return TickProbe(order, session, setting=setting)
    return EchoProbe(order, session, setting=setting, questions=shared.questions(order.host))


def _of_a_group(order: ProbeOrder, secrets: Mapping[str, str]) -> Probe:
    """A probe with a heavy library: zeep and lxml, or a database driver."""
    if order.kind == "plugin":
        from lpmkit.probes.plugged import PluggedProbe  # noqa: PLC0415

        return PluggedProbe(order)
    if order.group == "oracle":
        from lpmkit.probes import oracle  # noqa: PLC0415

        return oracle.build(order, secrets)
    from lpmkit.probes.sap import SapProbe  # noqa: PLC0415
    from lpmkit.ssh.secrets import Secrets  # noqa: PLC0415

    return SapProbe(order, Secrets(secrets, may_ask=False))


class FrameSink:
    """Collects the data of the probes and writes it in frames: samples a few times a second, all else at once.

    No probe waits for the pipe, which is full while the recorder is slow to read: one thread writes, in `write`.
    """

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._rows: dict[str, list[bytes]] = {}
        self._urgent: list[bytes] = []
        self._woken = threading.Event()

    def sample(self, probe: str, sample: Sample) -> None:
        """Collect a sample."""
        line = sample_line(sample)
        with self._lock:
            self._rows.setdefault(probe, []).append(line)

    def observation(self, probe: str, row: JsonMapping, /) -> None:
        """Have an observation written at once."""
        line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self._write_soon(f"O {probe} {len(line)}\n".encode() + line)

    def event(self, probe: str, kind: str, /, **data: Any) -> None:
        """Have an event written at once."""
        text = json.dumps({"source": f"probe:{probe}", "kind": kind, "data": {"probe": probe, **data}})
        self._write_soon(b"E " + text.encode() + b"\n")

    def _write_soon(self, frame: bytes) -> None:
        with self._lock:
            self._urgent.append(frame)
        self._woken.set()

    def write(self, stop: threading.Event) -> None:
        """Write what is collected until ``stop`` is set. Raises `BrokenPipeError` when nobody reads any more."""
        flush_at = time.monotonic() + FLUSH_S
        while not stop.is_set():
            self._woken.wait(max(0.0, flush_at - time.monotonic()))
            self._write_urgent()
            if time.monotonic() >= flush_at:
                flush_at = time.monotonic() + FLUSH_S
                self.flush()

    def flush(self) -> None:
        """Write everything that is collected."""
        self._write_urgent()
        with self._lock:
            rows, self._rows = self._rows, {}
        frames = []
        for probe, lines in rows.items():
            content = b"".join(lines)
            frames.append(f"S {probe} {len(content)}\n".encode() + content)
        self._write(b"".join(frames))

    def _write_urgent(self) -> None:
        self._woken.clear()
        with self._lock:
            frames, self._urgent = self._urgent, []
        self._write(b"".join(frames))

    def _write(self, frames: bytes) -> None:
        rest = memoryview(frames)
        while rest:  # with PYTHONUNBUFFERED nothing is behind the pipe, which may take a part only
            rest = rest[self._out.write(rest) or 0 :]
        self._out.flush()


@contextmanager
def _reported(order: ProbeOrder, sink: FrameSink) -> Iterator[None]:
    """Record what ends a probe that did not end by itself: one probe's defect must not silence the others."""
    try:
        yield
        sink.event(order.name, "probe-ended")
    except LpmError as error:
        sink.event(order.name, "probe-trouble", what=str(error))
    except Exception as error:  # noqa: BLE001 - as above; the run is told
        sink.event(order.name, "probe-trouble", what=f"defect: {type(error).__name__}: {error}")


def _tell_start(order: ProbeOrder, sink: FrameSink) -> None:
    sink.event(
        order.name,
        "probe-started",
        kind=order.kind,
        host=order.host,
        interval_ns=order.interval_ns,
        about=order.about,
        **_scheduling(),
    )


def run_before_others() -> None:
    """Have this process, and what it starts, run before all ordinary ones of this machine, where it may.

    Linux leaves a twentieth of each second to the others whatever such processes do (sched(7)).
    """
    with suppress(AttributeError, OSError):  # not Linux, or not allowed: it runs as any other
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def _scheduling() -> dict[str, str]:
    """The scheduling of the calling thread, where that is not as usual."""
    if hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) == os.SCHED_RR:
        return {"scheduling": f"SCHED_RR {os.sched_getparam(0).sched_priority}"}
    return {}


def _in_a_thread(
    order: ProbeOrder, secrets: Mapping[str, str], shared: Shared, stop: threading.Event, sink: FrameSink
) -> None:
    with _reported(order, sink):
        probe = build(order, secrets, shared)
        _tell_start(order, sink)
        probe.run(stop, sink)


def _in_turns(
    order: ProbeOrder, secrets: Mapping[str, str], shared: Shared, stop: threading.Event, sink: FrameSink
) -> Turns:
    from lpmkit.probes.loop import Aside  # noqa: PLC0415

    with _reported(order, sink):
        probe = yield Aside(lambda: build(order, secrets, shared))
        _tell_start(order, sink)
        yield from probe.turns(stop, sink)


def _looped(
    orders: list[ProbeOrder], secrets: Mapping[str, str], shared: Shared, stop: threading.Event, sink: FrameSink
) -> None:
    from lpmkit.probes.loop import take_turns  # noqa: PLC0415

    take_turns([_in_turns(order, secrets, shared, stop, sink) for order in orders], stop)


def run(
    orders: list[ProbeOrder],
    secrets: Mapping[str, str],
    out: IO[bytes],
    stop: threading.Event,
    setting: RateSetting | None = None,
) -> None:
    """Run the probes until ``stop`` is set, at the rate of ``setting``, and write frames to ``out``.

    The periodic ones take turns in one thread (`lpmkit.probes.loop`), each of the others has one.
    """
    if not any(order.group for order in orders):
        if any(order.kind != "observer" for order in orders):
            # Imported before the freeze, so that garbage of the import is still collected.
            from lpmkit.probes import icmp, network, ssh  # noqa: F401, PLC0415
            from lpmkit.ssh.logins import keep_refusals  # noqa: PLC0415

            keep_refusals(
                {name: text for order in orders for name, text in (order.options.get("refused") or {}).items()}
            )
        gc.collect()
        gc.freeze()
        gc.disable()
        sys.setswitchinterval(SWITCH_S)
    sink = FrameSink(out)
    shared = Shared(setting)
    periodic = [order for order in orders if order.kind in PERIODIC and not order.group]
    threads = [
        threading.Thread(target=_in_a_thread, args=(order, secrets, shared, stop, sink), name=order.name, daemon=True)
        for order in orders
        if order not in periodic
    ]
    if periodic:
        arguments = (periodic, secrets, shared, stop, sink)
        threads.append(threading.Thread(target=_looped, args=arguments, name="loop", daemon=True))
    for thread in threads:
        thread.start()
    sink.write(stop)
    for thread in threads:
        thread.join(timeout=JOIN_S)
    sink.flush()


def main() -> None:
    """Read the orders from standard input and probe until it ends."""
    task = json.loads(sys.stdin.buffer.readline())
    stop, setting = threading.Event(), RateSetting()

    def listen() -> None:
        """Follow the rate from standard input until it ends."""
        while line := sys.stdin.buffer.readline():
            setting.wanted = json.loads(line)["pace"]
        stop.set()

    orders = [ProbeOrder.from_data(data) for data in task["probes"]]
    if not any(order.group for order in orders):
        run_before_others()  # before any thread: they inherit it
    threading.Thread(target=listen, daemon=True).start()
    try:
        run(orders, task.get("secrets", {}), sys.stdout.buffer, stop, setting)
    except BrokenPipeError:
        # The recorder was killed.
        sys.stderr.close()


if __name__ == "__main__":
    main()
