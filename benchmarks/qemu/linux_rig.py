"""A Linux guest in a network of its own that moves from one QEMU process to the next, with the truth about every stop.

The guest is on a bridge in a network namespace; this machine holds the other end of a pair of interfaces. A
migration goes by pre-copy or post-copy, over a socket or over the namespace's loopback interface behind a token
bucket, and may be held between the stop and the switch-over.

The stop lies between two trace events of the source: it decides to stop its processors, and they have stopped. The
resume lies between the event ``RESUME`` of the target (KVM: its first entering of the guest) and the first frame
that the guest sent thereafter; where the processors start at once, which is always without post-copy, it is known
to a fraction of a millisecond (``RESUME_NS``).
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from benchmarks.qemu import linux_guest
from benchmarks.qemu.rig import PROCESSOR_TRACES, START_TIMEOUT_S, Emulator, anchor
from lpmkit.simulator.isolation import _ip, free_network

NAME = "guest"
MAC = "52:54:00:6c:70:6d"
BOOT_TIMEOUT_S = 90.0
MIGRATION_TIMEOUT_S = 90.0
#: A copy that is not through after so long may stop the guest for as long as the rest takes.
CONVERGE_S = 6.0
#: From RESUME to the first instruction without post-copy: the processors' threads have to be woken.
RESUME_NS = 1_000_000
#: How the trace shows the stop, the resume and the pages that the guest waited for after a post-copy.
TRACES = ("runstate_set", "vm_state_notify", "mark_postcopy_blocktime_begin", "mark_postcopy_blocktime_end")
#: Seconds between two looks at how long an emulator's threads waited for a processor of this machine, and the least
#: wait that is noted.
WAITS_EVERY_S = 0.02
MIN_WAIT_NS = 15_000_000
_SO_TIMESTAMPNS = 35
_RARP = b"\x80\x35"


@dataclass(frozen=True, slots=True)
class Machine:
    """The make of the guest: its kernel's version, memory, accelerator, swap in compressed memory, ``load`` as orders
    to its shell.

    ``priority`` is the niceness of its emulator: a busy guest leaves the observer its turn.
    """

    kernel: str = "6.1"
    memory_mib: int = 256
    accelerator: str = "tcg"
    processors: int = 2
    swap_mib: int = 0
    load: tuple[str, ...] = ()
    priority: int = -10


@dataclass(frozen=True, slots=True)
class Move:
    """The way to migrate once.

    ``mode`` is ``pre-copy`` or ``post-copy``; ``hold_ms`` is how long the stopped guest is held before the
    switch-over; ``link_mib`` limits the wire, in MiB a second (0: not at all), ``copy_mib`` the copy itself;
    post-copy begins once the share ``switch_at`` of the memory is copied. ``clock`` is what the guest's clocks do:
    ``stands still`` as they do by themselves, ``jumps`` (both are set on by the pause soon after the resume) or
    ``stepped`` (the time of day alone, by 30 s, later).
    """

    mode: str = "pre-copy"
    hold_ms: int = 0
    link_mib: float = 0.0
    copy_mib: float = 400.0
    downtime_limit_ms: int = 300
    clock: str = "stands still"
    switch_at: float = 0.8


@dataclass(frozen=True, slots=True)
class Truth:
    """The true times, in nanoseconds of our monotonic clock; ``stop`` and ``resume`` are brackets.

    ``fault_ns`` are begin and end of every wait of a processor for a page that had not come yet, after a post-copy.
    ``first_frame_ns`` and ``last_frame_ns`` are what the guest sent first after the resume and last before the
    stop.
    """

    move: Move
    asked_ns: int
    ended_ns: int
    stop: tuple[int, int]
    resume: tuple[int, int]
    clock_error_ns: int
    first_frame_ns: int | None
    last_frame_ns: int | None
    fault_ns: tuple[tuple[int, int], ...] = ()
    own_downtime_ms: float | None = None
    requests: int = 0
    stepped_ns: int | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The truth for a JSON file."""
        return asdict(self)


class LinuxEmulator(Emulator):
    """One QEMU process of the rig. Its guest's second serial port takes orders."""

    def __init__(self, rig: LinuxRig, name: str, tap: str, incoming: str | None) -> None:
        machine, folder = rig.machine, rig.folder
        self._serial_path = folder / f"{name}.serial"
        hardware = [
            *("-machine", "pc", "-accel", machine.accelerator, "-cpu", "max", "-smp", str(machine.processors)),
            *("-m", f"{machine.memory_mib}M", "-nodefaults", "-vga", "none", "-display", "none", "-no-reboot"),
            *("-kernel", str(rig.kernel.image), "-initrd", str(rig.image)),
            *("-append", rig.command_line),
            *("-netdev", f"tap,id=net,ifname={tap},script=no,downscript=no"),
            *("-device", f"virtio-net-pci,netdev=net,mac={MAC},romfile="),
            *("-serial", f"file:{folder / (name + '.console')}"),
            *("-serial", f"unix:{self._serial_path},server=on,wait=off"),
        ]
        traces = TRACES + (PROCESSOR_TRACES if machine.accelerator == "kvm" else ())
        prefix = ["ip", "netns", "exec", rig.space]
        self.tap = tap
        super().__init__(
            folder, name, hardware, incoming=incoming, traces=traces, prefix=prefix, priority=machine.priority
        )

    def _connect(self) -> None:
        self.serial = self._connected(self._serial_path)
        super()._connect()

    def order(self, words: str) -> None:
        """Let the guest's shell run a line, without waiting for it."""
        self.serial.sendall(words.encode() + b"\n")

    def close(self) -> None:
        """Stop this process and no other."""
        super().close()
        if hasattr(self, "serial"):
            self.serial.close()


class Frames:
    """Notes when each frame of the guest reached this machine, by our kernel's stamp, and of what protocol it was."""

    def __init__(self, interface: str) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind((interface, 0))
        self._socket.settimeout(0.2)
        self._ended = threading.Event()
        self._seen: list[tuple[int, int]] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        guest = bytes.fromhex(MAC.replace(":", ""))
        while not self._ended.is_set():
            try:
                frame, extra, _, _ = self._socket.recvmsg(64, 256)
            except TimeoutError:
                continue
            # The emulator announces the guest's new place itself, by a RARP frame in the guest's name: no sign of the
            # guest.
            if frame[6:12] != guest or len(frame) < 24 or frame[12:14] == _RARP:
                continue
            stamp = next((data for _, kind, data in extra if kind == _SO_TIMESTAMPNS), None)
            if stamp is not None:
                seconds, nanoseconds = struct.unpack("qq", stamp[:16])
                (kind,) = struct.unpack("!H", frame[12:14])
                self._seen.append((seconds * 10**9 + nanoseconds, frame[23] if kind == 0x0800 else -kind))

    def wall_ns(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Wall time and protocol (of IP; minus the Ethernet type of others) of every frame of the guest so far."""
        return np.array(self._seen, dtype=np.int64).reshape(-1, 2)

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()


class ProcessorWaits:
    """Notes when a thread of an emulator was ready to run and got no processor of this machine: its guest stood still
    then, and nobody had suspended it (``/proc/PID/task/TID/schedstat``).
    """

    def __init__(self) -> None:
        self.pids: set[int] = set()
        self.seen: list[tuple[int, int, int]] = []  #: thread, and the earliest begin and the end of a wait
        self._waited: dict[int, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        looked_ns = time.monotonic_ns()
        while not self._ended.wait(WAITS_EVERY_S):
            before_ns, looked_ns = looked_ns, time.monotonic_ns()
            for pid in tuple(self.pids):
                self._look_at(pid, before_ns, looked_ns)

    def _look_at(self, pid: int, before_ns: int, now_ns: int) -> None:
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                waited_ns = int(task.read_text().split()[1])
            except (OSError, IndexError):
                continue  # the thread has ended
            thread = int(task.parent.name)
            more_ns = waited_ns - self._waited.get(thread, waited_ns)
            self._waited[thread] = waited_ns
            if more_ns >= MIN_WAIT_NS:
                self.seen.append((thread, before_ns - more_ns, now_ns))

    def end(self) -> None:
        self._ended.set()
        self._thread.join()


def missing() -> str | None:
    """The things that this machine lacks for the rig, or ``None``."""
    if os.geteuid() != 0:
        return "the rig makes a network namespace and must be run as root"
    if shutil.which("qemu-system-x86_64") is None:
        return "qemu-system-x86_64 is not installed (apt-get install -y --no-install-recommends qemu-system-x86)"
    return linux_guest.missing()


def accelerator_that_boots(cache: Path, version: str) -> str:
    """``kvm`` where this machine's KVM runs an unmodified kernel (a paravirtual-only one does not), else ``tcg``."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    image = linux_guest.kernel(cache, version).image
    command = ["qemu-system-x86_64", "-machine", "pc", "-accel", "kvm", "-cpu", "max", "-m", "256M", "-nodefaults"]
    command += ["-display", "none", "-no-reboot", "-kernel", str(image), "-append", "console=ttyS0 panic=-1"]
    command += ["-serial", "stdio"]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return "tcg"
    return "kvm" if b"Kernel panic" in done.stdout else "tcg"


class LinuxRig:
    """The guest, running, and all that it stands on; a ``with`` block. Needs root."""

    def __init__(self, folder: Path, cache: Path, machine: Machine) -> None:
        self.folder, self.machine = folder, machine
        self.kernel = linux_guest.kernel(cache, machine.kernel)
        self.space = f"lpmq-{os.getpid()}"
        self._outside = f"lpmq{os.getpid() % 100000}"
        network = free_network().rsplit(".", 1)[0]
        self._own, self.address = f"{network}.249", f"{network}.250"
        self.ssh_config = folder / "ssh_config"
        self.command_line = f"console=ttyS0 quiet panic=-1 random.trust_cpu=on lpm.address={self.address}/30" + (
            f" lpm.swap_mib={machine.swap_mib}" if machine.swap_mib else ""
        )
        self._number = 0
        self._step_ns = 0

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self.image = linux_guest.build(self.folder, self.kernel, self.folder)
            self._ssh_configuration()
            self._network()
            self.frames, self.waits = Frames(self._outside), ProcessorWaits()
            self.current = self._emulator(incoming=None)
            self._until_ready()
            for order in self.machine.load:
                self.current.order(order)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "current"):
            self.current.close()
        if hasattr(self, "frames"):
            self.frames.end()
            self.waits.end()
        subprocess.run(["ip", "link", "delete", self._outside], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "delete", self.space], capture_output=True, check=False)

    def _network(self) -> None:
        _ip("netns", "add", self.space)
        _ip("link", "add", self._outside, "type", "veth", "peer", "name", "up0", "netns", self.space)
        _ip("-n", self.space, "link", "add", "br0", "type", "bridge")
        for words in (
            ("link", "set", "up0", "master", "br0"),
            *(("link", "set", n, "up") for n in ("lo", "up0", "br0")),
        ):
            _ip("-n", self.space, *words)
        _ip("address", "add", f"{self._own}/30", "dev", self._outside)
        _ip("link", "set", self._outside, "up")

    def _ssh_configuration(self) -> None:
        key = (self.folder / "host_key.pub").read_text()
        (self.folder / "known_hosts").write_text(f"{NAME} {key}")
        self.ssh_config.write_text(
            f"Host {NAME}\n  HostName {self.address}\n  User root\n  HostKeyAlias {NAME}\n"
            f"  IdentityFile {self.folder}/client_key\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.folder}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
            "  StrictHostKeyChecking yes\n"
        )

    def _emulator(self, incoming: str | None) -> LinuxEmulator:
        tap = f"tap{self._number}"
        _ip("-n", self.space, "tuntap", "add", "dev", tap, "mode", "tap")
        _ip("-n", self.space, "link", "set", tap, "master", "br0", "up")
        emulator = LinuxEmulator(self, f"emulator-{self._number}", tap, incoming)
        self.waits.pids.add(emulator.pid)
        self._number += 1
        return emulator

    def _until_ready(self) -> None:
        """Wait until the guest's sshd answers with its banner."""
        deadline = time.monotonic() + BOOT_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                with socket.create_connection((self.address, 22), timeout=2) as connection:
                    if connection.recv(4).startswith(b"SSH"):
                        return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError(f"the guest's sshd does not answer; see {self.folder}/emulator-0.console")

    def migrate(self, move: Move, poll_s: float = 0.01) -> Truth:
        """Migrate the guest once. Raises RuntimeError when QEMU refuses or the migration does not end."""
        source, target = self.current, self._prepared(move)
        before = anchor()
        asked_ns = time.monotonic_ns()
        try:
            source.do("migrate", uri=self._uri(move))
            final = self._follow(source, target, move, asked_ns, poll_s)
            resumed = self._resumed(target)
        except BaseException:
            target.close()
            raise
        self.current = target
        stepped_ns = self._clocks(move, source)
        ended_ns = time.monotonic_ns()
        time.sleep(1.0)
        after = anchor()
        truth = self._truth(move, (source, target), (before, after), resumed, final)
        self.waits.pids.discard(source.pid)
        source.close()
        _ip("-n", self.space, "link", "delete", source.tap)
        return Truth(move=move, asked_ns=asked_ns, ended_ns=ended_ns, stepped_ns=stepped_ns, **truth)

    def _prepared(self, move: Move) -> LinuxEmulator:
        """A waiting target, and both sides told how to migrate."""
        target = self._emulator(incoming="defer")
        capabilities = {
            "events": True,
            "pause-before-switchover": move.hold_ms > 0,
            "postcopy-ram": move.mode == "post-copy",
        }
        for side, more in ((self.current, {}), (target, {"postcopy-blocktime": move.mode == "post-copy"})):
            states = [{"capability": name, "state": state} for name, state in (capabilities | more).items()]
            side.do("migrate-set-capabilities", capabilities=states)
        self.current.do(
            "migrate-set-parameters",
            **{
                "max-bandwidth": int(move.copy_mib * 1048576),
                "max-postcopy-bandwidth": int(move.copy_mib * 1048576),
                "downtime-limit": move.downtime_limit_ms,
            },
        )
        link = ("qdisc", "replace", "dev", "lo", "root", "tbf", "rate", f"{move.link_mib * 8:g}mbit")
        if move.link_mib:
            self._tc(*link, "burst", "512kb", "latency", "200ms")
        self._port = 40000 + self._number
        target.do("migrate-incoming", uri=self._uri(move))
        return target

    def _tc(self, *words: str) -> None:
        subprocess.run(["ip", "netns", "exec", self.space, "tc", *words], check=True, capture_output=True)

    def _uri(self, move: Move) -> str:
        return f"tcp:127.0.0.1:{self._port}" if move.link_mib else f"unix:{self.folder}/incoming-{self._number}"

    def _follow(
        self, source: LinuxEmulator, target: LinuxEmulator, move: Move, asked_ns: int, poll_s: float
    ) -> dict[str, Any]:
        """Lead the migration to its end; returns the source's last word."""
        switched = relaxed = False
        while True:
            told = source.do("query-migrate")
            status, elapsed_s = told.get("status"), (time.monotonic_ns() - asked_ns) / 1e9
            if status in ("completed", "failed", "cancelled"):
                if status != "completed":
                    raise RuntimeError(f"migration {status}: {told.get('error-desc')}")
                return told
            if elapsed_s > MIGRATION_TIMEOUT_S:
                source.do("migrate_cancel")
            if status == "pre-switchover":
                time.sleep(move.hold_ms / 1000)
                source.do("migrate-continue", state="pre-switchover")
            memory = told.get("ram", {})
            copied = 1 - memory.get("remaining", 1) / max(1, memory.get("total", 1))
            if move.mode == "post-copy" and status == "active" and not switched and copied >= move.switch_at:
                source.do("migrate-start-postcopy")
                switched = True
            if move.mode == "pre-copy" and status == "active" and elapsed_s > CONVERGE_S and not relaxed:
                source.do("migrate-set-parameters", **{"downtime-limit": 60_000})
                relaxed = True
            time.sleep(poll_s)

    def _resumed(self, target: LinuxEmulator) -> int:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            stamp = target.event_us("RESUME")
            if stamp is not None:
                return stamp
            time.sleep(0.002)
        raise RuntimeError("the target did not resume")

    def _clocks(self, move: Move, source: LinuxEmulator) -> int | None:
        """Do to the guest's clocks what the move asks for; returns when, if anything."""
        if move.clock == "stands still":
            return None
        stop, resume = source.event_us("STOP"), self.current.event_us("RESUME")
        assert stop is not None
        assert resume is not None
        if move.clock == "jumps":
            self._step_ns -= (resume - stop) * 1000
            step = self._step_ns
            both = (step, step)
        else:
            time.sleep(0.7)
            both = (self._step_ns, self._step_ns - 30 * 10**9)
        self.current.order(f"guest-tools clock /run/clock {both[0]} {both[1]}")
        return time.monotonic_ns()

    def _truth(
        self,
        move: Move,
        sides: tuple[LinuxEmulator, LinuxEmulator],
        anchors: tuple[tuple[int, int, int], tuple[int, int, int]],
        resumed_us: int,
        final: dict[str, Any],
    ) -> dict[str, Any]:
        source, target = sides
        before, after = anchors
        to_mono = (before[0] - before[1] + after[0] - after[1]) // 2
        error = abs((after[1] - after[0]) - (before[1] - before[0])) + before[2] + after[2] + 1000

        def mono(us: int) -> int:
            return us * 1000 + to_mono

        stop = self._stop(source, mono)
        began = mono(resumed_us)
        if self.machine.accelerator == "kvm":
            began = min((mono(at) for at, entered in target.processor() if entered), default=began)
        frames = self.frames.wall_ns()[:, 0] + to_mono
        later, earlier = frames[frames >= began], frames[frames <= stop[1]]
        first = int(later[0]) if len(later) else None
        last_ran = began + RESUME_NS
        if move.mode == "post-copy":
            last_ran = max(last_ran, first or last_ran)
        if first is not None:
            last_ran = min(last_ran, max(first, began))
        faults = self._faults(target, mono)
        blocked = target.do("query-migrate") if move.mode == "post-copy" else {}
        return {
            "stop": stop,
            "resume": (began, last_ran),
            "clock_error_ns": error,
            "first_frame_ns": first,
            "last_frame_ns": int(earlier[-1]) if len(earlier) else None,
            "fault_ns": tuple(faults),
            "own_downtime_ms": final.get("downtime"),
            "requests": final.get("ram", {}).get("postcopy-requests", 0),
            "more": {
                "blocked_ms": blocked.get("postcopy-blocktime"),
                "total_ms": final.get("total-time"),
                "passes": final.get("ram", {}).get("dirty-sync-count"),
            },
        }

    @staticmethod
    def _stop(source: LinuxEmulator, mono: Callable[[int], int]) -> tuple[int, int]:
        """From the decision to stop to the moment at which all processors stand."""
        event = source.event_us("STOP")
        assert event is not None
        stopped = decided = event
        for at, name, text in source.traced():
            if name == "runstate_set" and "running" in text and at <= event:
                decided = at
            elif name == "vm_state_notify" and "running 0" in text and at <= event:
                stopped = at
        return mono(min(decided, stopped)), mono(stopped)

    @staticmethod
    def _faults(target: LinuxEmulator, mono: Callable[[int], int]) -> list[tuple[int, int]]:
        """Begin and end of every wait of a processor for a page."""
        waits, open_since = [], dict[str, int]()
        for at, name, text in target.traced():
            address = next(iter(re.findall(r"addr: (0x[0-9a-f]+|[0-9a-f]+)", text)), "")
            if name == "mark_postcopy_blocktime_begin":
                open_since.setdefault(address, at)
            elif name == "mark_postcopy_blocktime_end" and address in open_since:
                waits.append((mono(open_since.pop(address)), mono(at)))
        return waits
