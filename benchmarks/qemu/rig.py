"""One real live migration between two QEMU processes on this machine, with its truth.

The truth is the source's ``STOP`` and the destination's ``RESUME`` event. QEMU says the first once it has stopped
the processor and the second before it lets it run; where it is asked to tell (KVM alone can), the truth is the
processor itself, from its last leaving of the guest on the one side to its first entering on the other. QEMU stamps
all of it with the host's time of day in microseconds; paired readings of both clocks before and after turn them
into monotonic nanoseconds. The guest's serial lines carry the moment they arrived here.

Everything lives in a temporary directory and ends with the ``with`` block: the processes started here, and only
those, are stopped.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmarks.qemu.guest import Guest, sector

EMULATOR = "qemu-system-x86_64"
START_TIMEOUT_S = 20.0
#: A line of QEMU's log of events: the ioctl that enters the guest, or what follows when it was left.
_ENTERED_OR_LEFT = re.compile(r"\d+@(\d+)\.(\d{6}):(?:kvm_vcpu_ioctl .*(type 0xae80)|kvm_run_exit )")


_TRACED = re.compile(r"\d+@(\d+)\.(\d{6}):(\w+) (.*)")
#: The events of QEMU that show the processor entering and leaving the guest, under KVM.
PROCESSOR_TRACES = ("kvm_vcpu_ioctl", "kvm_run_exit")


@dataclass(frozen=True, slots=True)
class Line:
    """One whole line of the guest: ``tick`` counts its ticks, ``tsc`` is its counter; ``arrived_ns`` is our monotonic
    clock.

    ``asked`` is the byte that the guest had found on its serial port, and answers with this line; ``tick`` is then
    often that of the line before.
    """

    tick: int
    tsc: int
    arrived_ns: int
    from_target: bool
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Poll:
    """One ``query-migrate``: our monotonic clock, bytes sent and left as QEMU counts them, passes begun, its own
    guess of the downtime (ms).
    """

    at_ns: int
    sent: int
    left: int
    passes: int
    expected_downtime_ms: float | None
    dirty_pages_per_s: float | None


@dataclass(frozen=True, slots=True)
class Migration:
    """The course of one migration. ``stop_ns`` and ``resume_ns`` are ``None`` when it did not get there within its
    time.

    ``left_ns`` and ``entered_ns`` are when the processor left the guest and entered it again, where the emulator
    was asked and told.
    """

    guest: Guest
    asked_ns: int
    stop_ns: int | None
    resume_ns: int | None
    clock_error_ns: int
    own_downtime_ms: float | None
    polls: tuple[Poll, ...]
    lines: tuple[Line, ...]
    final: Mapping[str, Any] = field(default_factory=dict)
    left_ns: int | None = None
    entered_ns: int | None = None

    @property
    def copy_s(self) -> float | None:
        """From the request to the stop of the source, in seconds."""
        return None if self.stop_ns is None else (self.stop_ns - self.asked_ns) / 1e9

    @property
    def suspended_s(self) -> float | None:
        """From the stop of the source to the resume of the destination, in seconds."""
        return None if self.stop_ns is None or self.resume_ns is None else (self.resume_ns - self.stop_ns) / 1e9

    def achieved_dirty_bytes_per_s(self) -> float | None:
        """Bytes a second that the guest really wrote while the copy ran, by its own count of ticks."""
        seen = [line for line in self.lines if self.asked_ns <= line.arrived_ns <= (self.stop_ns or 1 << 62)]
        if len(seen) < 2 or seen[-1].arrived_ns == seen[0].arrived_ns:
            return None
        hz = (seen[-1].tick - seen[0].tick) / ((seen[-1].arrived_ns - seen[0].arrived_ns) / 1e9)
        return hz * self.guest.pages_per_tick * 4096


def missing() -> str | None:
    """The things that this machine lacks for the rig, or ``None``."""
    for program in (EMULATOR, "as", "ld"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return None


def has_kvm() -> bool:
    """True if this machine can run the guest with hardware help."""
    try:
        with Path("/dev/kvm").open("rb+", buffering=0):
            return True
    except OSError:
        return False


class Emulator:
    """One QEMU process with its monitor; its log of trace events is read once it has ended or while it runs.

    ``incoming`` is the address that it waits for a migration at; without one it starts its guest. ``traces`` names
    the events of QEMU to log, ``prefix`` is a command that runs it, ``priority`` its niceness.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        hardware: Sequence[str],
        *,
        incoming: str | None = None,
        traces: Sequence[str] = (),
        prefix: Sequence[str] = (),
        priority: int = -10,
    ) -> None:
        self._monitor_path, self._trace_path = folder / f"{name}.monitor", folder / f"{name}.trace"
        self.events: list[dict[str, Any]] = []
        self._buffer = b""
        command = [EMULATOR, *hardware, "-qmp", f"unix:{self._monitor_path},server=on,wait=off"]
        if traces:
            command += ["-msg", "timestamp=on", "-D", str(self._trace_path)]
            command += [word for trace in traces for word in ("-trace", trace)]
        if incoming is not None:
            command += ["-incoming", incoming]
        self._log = (folder / f"{name}.log").open("wb")
        # Other work on this machine is not what is measured.
        nice = ["nice", "-n", str(priority)] if os.geteuid() == 0 else []
        self._process = subprocess.Popen(
            [*prefix, *nice, *command], stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        try:
            self._connect()
            self.do("qmp_capabilities")
            self.do("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The process id of QEMU."""
        return self._process.pid

    def _connect(self) -> None:
        self._monitor = self._connected(self._monitor_path)
        self._next()

    def _connected(self, path: Path) -> socket.socket:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            plug = socket.socket(socket.AF_UNIX)
            try:
                plug.connect(str(path))
            except OSError as error:
                plug.close()
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError(f"{EMULATOR} did not start") from error
                time.sleep(0.01)
                continue
            plug.settimeout(START_TIMEOUT_S)
            return plug

    def _next(self) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            more = self._monitor.recv(65536)
            if not more:
                raise RuntimeError(f"{EMULATOR} ended")
            self._buffer += more
        line, self._buffer = self._buffer.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def do(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Carry out one monitor command; events that come meanwhile are kept. Raises RuntimeError for a refusal."""
        self._monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            message = self._next()
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise RuntimeError(f"{command}: {message['error']['desc']}")
            elif "return" in message:
                answer = message["return"]
                return answer if isinstance(answer, dict) else {}

    def event_us(self, name: str) -> int | None:
        """The time of the newest event of that name, in microseconds of the host's time of day."""
        self.do("query-status")
        stamps = [event["timestamp"] for event in self.events if event["event"] == name]
        return stamps[-1]["seconds"] * 1_000_000 + stamps[-1]["microseconds"] if stamps else None

    def traced(self) -> Iterator[tuple[int, str, str]]:
        """Every traced event so far: when, in microseconds of the host's time of day, its name, and what stands
        behind it.
        """
        if self._trace_path.exists():
            with self._trace_path.open(encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    if event := _TRACED.match(line):
                        yield int(event[1]) * 1_000_000 + int(event[2]), event[3], event[4]

    def processor(self) -> Iterator[tuple[int, bool]]:
        """Every moment at which the processor entered (true) or left the guest, in microseconds of the host's time
        of day; none of an untraced one.
        """
        if self._trace_path.exists():
            with self._trace_path.open(encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    if told := _ENTERED_OR_LEFT.match(line):
                        yield int(told[1]) * 1_000_000 + int(told[2]), told[3] is not None

    def close(self) -> None:
        """Stop this process and no other."""
        self._process.kill()
        self._process.wait(timeout=10)
        if hasattr(self, "_monitor"):
            self._monitor.close()
        self._log.close()


class Machine(Emulator):
    """One QEMU process that runs the boot-sector guest, with its serial port."""

    def __init__(
        self, folder: Path, name: str, guest: Guest, accelerator: str, image: Path, incoming: bool, traced: bool
    ) -> None:
        self._serial_path = folder / f"{name}.serial"
        self.migration_path = folder / f"{name}.incoming"
        hardware = [
            *("-machine", "pc", "-accel", accelerator, "-m", f"{guest.memory_bytes // 1048576}M"),
            *("-nodefaults", "-vga", "none", "-display", "none", "-no-reboot"),
            *("-drive", f"file={image},format=raw,if=ide,file.locking=off"),
            *("-serial", f"unix:{self._serial_path},server=on,wait=off"),
        ]
        traces = PROCESSOR_TRACES if traced else ()
        super().__init__(
            folder, name, hardware, incoming=f"unix:{self.migration_path}" if incoming else None, traces=traces
        )

    def _connect(self) -> None:
        self.serial = self._connected(self._serial_path)
        super()._connect()

    def close(self) -> None:
        """Stop this process and no other."""
        super().close()
        if hasattr(self, "serial"):
            self.serial.close()


class Listener:
    """Reads the serial ports of both sides as one stream, since a line may begin on one side and end on the other."""

    def __init__(self, source: Machine, target: Machine) -> None:
        self._ports = {source.serial: False, target.serial: True}
        self._kept = b""
        self.lines: list[Line] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._ended.is_set():
            ready, _, _ = select.select(list(self._ports), [], [], 0.1)
            for port in sorted(ready, key=self._ports.__getitem__):
                content = port.recv(65536)
                now = time.monotonic_ns()  # afterwards: more may have come since the port was ready
                if not content:
                    del self._ports[port]
                    continue
                self._take(content, now, self._ports[port])

    def _take(self, content: bytes, now: int, from_target: bool) -> None:
        *whole, self._kept = (self._kept + content).split(b"\n")
        for text in whole:
            words = text.split()
            if len(words) in (2, 3) and len(words[0]) == 8 and len(words[1]) == 16:
                asked = "".join(word.decode("latin-1") for word in words[2:])
                try:
                    self.lines.append(Line(int(words[0], 16), int(words[1], 16), now, from_target, asked))
                except ValueError:
                    continue

    def ask(self, byte: bytes) -> None:
        """Put a byte on the serial port of the side that spoke last."""
        here = self.lines[-1].from_target if self.lines else False
        for port, from_target in list(self._ports.items()):
            if from_target is here:
                port.sendall(byte)

    def end(self) -> tuple[Line, ...]:
        self._ended.set()
        self._thread.join()
        return tuple(self.lines)


class Rig:
    """Two machines, ready to migrate; a ``with`` block starts and stops them."""

    def __init__(self, guest: Guest, *, accelerator: str = "kvm", traced: bool = False) -> None:
        self.guest, self.accelerator, self.traced = guest, accelerator, traced and accelerator == "kvm"

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="lpmkit-qemu-")
        self._machines: list[Machine] = []
        try:
            folder = Path(self._folder.name)
            image = folder / "guest.img"
            image.write_bytes(sector(self.guest))
            for name in ("source", "target"):
                incoming = name == "target"
                machine = Machine(folder, name, self.guest, self.accelerator, image, incoming, self.traced)
                self._machines.append(machine)
            self.source, self.target = self._machines
            self.listener = Listener(self.source, self.target)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "listener"):
            self.listener.end()
        for machine in self._machines:
            machine.close()
        self._folder.cleanup()

    def until_alive(self, ticks: int) -> None:
        """Wait until the guest has filled its memory and ticks."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.listener.lines or self.listener.lines[-1].tick < ticks:
            if time.monotonic() > deadline:
                raise RuntimeError("the guest does not tick")
            time.sleep(0.02)

    def set_cap(self, bytes_per_s: float) -> None:
        """Limit the bandwidth of the copy; may be called while it runs."""
        self.source.do("migrate-set-parameters", **{"max-bandwidth": int(bytes_per_s)})


def migrate(
    guest: Guest,
    *,
    cap_bytes_per_s: float = 200e6,
    downtime_limit_ms: int = 300,
    accelerator: str = "kvm",
    lead_in_s: float = 0.3,
    tail_s: float = 0.3,
    timeout_s: float = 40.0,
    poll_s: float = 0.05,
    traced: bool = False,
    during: Callable[[Rig, float], None] | None = None,
    begun: Callable[[Rig], None] | None = None,
) -> Migration:
    """Do one real migration of ``guest`` and tell its truth.

    ``cap_bytes_per_s`` limits the copy (not the final one, which QEMU does not limit). A copy that is not through
    after ``timeout_s`` is cancelled. ``traced`` has the emulator tell when the processor left and entered the
    guest. ``during`` is called at every poll with the rig and the seconds since the request, ``begun`` once the
    guest ticks. Raises RuntimeError when QEMU refuses.
    """
    with Rig(guest, accelerator=accelerator, traced=traced) as rig:
        rig.until_alive(3)
        if begun is not None:
            begun(rig)
        rig.until_alive(max(3, int(lead_in_s * guest.tick_hz)))
        rig.set_cap(cap_bytes_per_s)
        rig.source.do("migrate-set-parameters", **{"downtime-limit": downtime_limit_ms})
        before = anchor()
        asked_ns = time.monotonic_ns()
        rig.source.do("migrate", uri=f"unix:{rig.target.migration_path}")
        polls, final = _follow(rig, asked_ns, timeout_s, poll_s, during)
        resume = _resumed(rig) if final.get("status") == "completed" else None
        stop = rig.source.event_us("STOP") if final.get("status") == "completed" else None
        time.sleep(tail_s)
        after = anchor()
        own = rig.source.do("query-migrate").get("downtime") if stop else None
        lines = rig.listener.end()
        left = max((at for at, entered in rig.source.processor() if not entered), default=None)
        entered = min((at for at, entered in rig.target.processor() if entered), default=None)
    error = abs((after[1] - after[0]) - (before[1] - before[0])) + before[2] + after[2]
    to_mono = (before[0] - before[1] + after[0] - after[1]) // 2
    return Migration(
        guest=guest,
        asked_ns=asked_ns,
        stop_ns=None if stop is None else stop * 1000 + to_mono,
        resume_ns=None if resume is None else resume * 1000 + to_mono,
        clock_error_ns=error,
        own_downtime_ms=own,
        polls=tuple(polls),
        lines=lines,
        final=final,
        left_ns=None if stop is None or left is None else left * 1000 + to_mono,
        entered_ns=None if resume is None or entered is None else entered * 1000 + to_mono,
    )


def _follow(
    rig: Rig, asked_ns: int, timeout_s: float, poll_s: float, during: Callable[[Rig, float], None] | None
) -> tuple[list[Poll], dict[str, Any]]:
    polls: list[Poll] = []
    while True:
        before = time.monotonic_ns()
        told = rig.source.do("query-migrate")
        at_ns = (before + time.monotonic_ns()) // 2
        if "ram" in told and told.get("status") in ("active", "device"):
            polls.append(_poll(at_ns, told))
        if told.get("status") in ("completed", "failed", "cancelled"):
            return polls, told
        elapsed_s = (at_ns - asked_ns) / 1e9
        if elapsed_s > timeout_s:
            rig.source.do("migrate_cancel")
        if during is not None:
            during(rig, elapsed_s)
        time.sleep(poll_s)


def _poll(at_ns: int, told: Mapping[str, Any]) -> Poll:
    memory = told["ram"]
    return Poll(
        at_ns,
        memory["transferred"],
        memory["remaining"],
        memory["dirty-sync-count"],
        told.get("expected-downtime"),
        memory.get("dirty-pages-rate"),
    )


def _resumed(rig: Rig) -> int | None:
    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline:
        stamp = rig.target.event_us("RESUME")
        if stamp is not None:
            return stamp
        time.sleep(0.005)
    return None


def anchor() -> tuple[int, int, int]:
    """Monotonic and wall nanoseconds of one moment, and half the time that the pair took."""
    pairs = []
    for _ in range(9):
        first, wall, last = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        pairs.append((last - first, (first + last) // 2, wall))
    took, mono, wall = min(pairs)
    return mono, wall, (took + 1) // 2
