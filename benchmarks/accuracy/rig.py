"""A partition that can be suspended: OpenSSH in a network namespace and a freezer of its own, behind a link through a
relay.

The relay is a process that owns both ends of the link (two TAP interfaces, one of them in the namespace), so the
link is cut, held or opened within a fraction of a millisecond, outside the output path of either side, and frames
can wait in between as in a switch that learns late.
"""

from __future__ import annotations

import fcntl
import getpass
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from lpmkit.simulator.isolation import _ip, free_network
from lpmkit.timeline import Clock, wait_until

FREEZER = Path("/sys/fs/cgroup/freezer")
_TUNSETIFF, _TAP_WITHOUT_HEADER = 0x400454CA, 0x0002 | 0x1000


@dataclass(frozen=True)
class Moment:
    """An instant between two readings of the monotonic clock, in nanoseconds."""

    before_ns: int
    after_ns: int

    def hull(self, other: Moment) -> Moment:
        """The smallest interval that contains both."""
        return Moment(min(self.before_ns, other.before_ns), max(self.after_ns, other.after_ns))

    def as_list(self) -> list[int]:
        """Both readings as JSON."""
        return list(asdict(self).values())


def urgent() -> None:
    """Run this thread before all others, so that the truth is known sharply."""
    os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(50))


def at_ease() -> None:
    """Return to normal scheduling for the evaluation, whose library threads must get to run."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def relay(outside: int, inside: int, orders: int) -> None:
    """Carry frames between two descriptors, controlled by single letters on ``orders``.

    o(pen), d(rop), q(ueue), each acknowledged by itself; the end of ``orders`` ends the relay.
    """
    urgent()
    mode, waiting = b"o", deque[tuple[int, bytes]]()
    other = {outside: inside, inside: outside}
    poller = select.poll()
    for descriptor in (outside, inside, orders):
        poller.register(descriptor, select.POLLIN)
    while mode != b"e":
        ready = [descriptor for descriptor, _ in poller.poll()]
        if orders in ready:
            mode = os.read(orders, 1) or b"e"
            while mode == b"o" and waiting:
                _write(*waiting.popleft())
            if mode != b"e":
                os.write(orders, mode)
            continue
        for descriptor in ready:
            frame = os.read(descriptor, 65536)
            if mode == b"o":
                _write(other[descriptor], frame)
            elif mode == b"q" and len(waiting) < 1000:
                waiting.append((other[descriptor], frame))


def _write(to: int, frame: bytes) -> None:
    try:
        os.write(to, frame)
    except OSError:
        pass  # the interface is down


def _tap(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TAP_WITHOUT_HEADER))
    return descriptor


def _free_pair() -> tuple[str, str]:
    """Two unused addresses of a TEST-NET: ours and the partition's. Several rigs may run side by side."""
    own = "lpmb"
    addresses = [line for line in _ip("-4", "-o", "address", "show").splitlines() if f" {own}" in line]
    network = _free_network(addresses)
    block = next(n for n in range(63, 0, -1) if not any(f" {network}.{4 * n + 1}/" in line for line in addresses))
    return f"{network}.{4 * block + 1}", f"{network}.{4 * block + 2}"


def _free_network(rigs: list[str]) -> str:
    """The first three numbers of a TEST-NET that only rigs use."""
    if rigs:
        return rigs[0].split()[3].rsplit(".", 1)[0]
    return free_network().rsplit(".", 1)[0]


class Rig:
    """The partition; a ``with`` block. Needs root, the freezer of cgroup v1 and ``/dev/net/tun``.

    Its processes run before all others here, as on a separate host, so that only the observer is short of a core.
    (A starved partition really stalls, for an unknown time.)
    """

    name = "partition"

    def __init__(self, folder: Path, transport: str = "paramiko") -> None:
        """``transport`` is "paramiko", or "openssh" for a client's configuration that only OpenSSH can follow."""
        self.folder, self._transport = folder, transport
        self.space = f"lpmbench-{os.getpid()}"
        self.cgroup = FREEZER / self.space
        self.ours = f"lpmb{os.getpid() % 100000}"
        self.outside, self.address = _free_pair()
        self.ssh_config = folder / "ssh_config"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._clock()
            self._link()
            self._server()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _clock(self) -> None:
        """The clocks of the partition's programs, which a script may hold back; needs a C compiler."""
        self.has_clock = shutil.which("cc") is not None
        if not self.has_clock:
            return
        self._missed = self.folder / "clock"
        self._missed.write_bytes(struct.pack("qq", 0, 0))
        source = Path(__file__).with_name("clocks.c")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(self.folder / "clocks.so"), str(source)], check=True)

    def clocks_miss(self, monotonic_ns: int, time_of_day_ns: int) -> None:
        """Set the partition's clocks back; call it during a suspension."""
        with self._missed.open("r+b") as file:
            missed = struct.unpack("qq", file.read(16))
            file.seek(0)
            file.write(struct.pack("qq", missed[0] + monotonic_ns, missed[1] + time_of_day_ns))

    def _link(self) -> None:
        _ip("netns", "add", self.space)
        outside, inside = _tap(self.ours), _tap(f"{self.ours}p")
        _ip("link", "set", f"{self.ours}p", "netns", self.space, "name", "en0")
        _ip("address", "add", f"{self.outside}/30", "dev", self.ours)
        _ip("link", "set", self.ours, "up")
        _ip("-n", self.space, "address", "add", f"{self.address}/30", "dev", "en0")
        for name in ("lo", "en0"):
            _ip("-n", self.space, "link", "set", name, "up")
        self._orders, relay_end = socket.socketpair()
        self._relay = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.accuracy.rig", *map(str, (outside, inside, relay_end.fileno()))],
            pass_fds=(outside, inside, relay_end.fileno()),
        )
        for descriptor in (outside, inside):
            os.close(descriptor)
        relay_end.close()

    def _server(self) -> None:
        for key in ("host_key", "client_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / key)], check=True)
        shutil.copy(self.folder / "client_key.pub", self.folder / "authorized")
        Path("/run/sshd").mkdir(exist_ok=True)
        (self.folder / "sshd_config").write_text(
            f"Port 22\nListenAddress {self.address}\nHostKey {self.folder}/host_key\nMaxStartups 200\n"
            f"AuthorizedKeysFile {self.folder}/authorized\nStrictModes no\nUsePAM no\nPidFile none\nMaxSessions 50\n"
            # bash under sshd reads .bashrc, with whatever this machine's user has in there, unless another shell is
            # above it
            f"SetEnv SHLVL=2{self._preloaded()}\n"
        )
        (self.folder / "known_hosts").write_text(f"{self.name} {(self.folder / 'host_key.pub').read_text()}")
        self.ssh_config.write_text(
            f"Host {self.name}\n  HostName {self.address}\n  User {getpass.getuser()}\n  HostKeyAlias {self.name}\n"
            f"  IdentityFile {self.folder}/client_key\n  IdentitiesOnly yes\n  UserKnownHostsFile "
            f"{self.folder}/known_hosts\n"
            "  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
            + ("  RevokedHostKeys /dev/null\n" if self._transport == "openssh" else "")
        )
        self.cgroup.mkdir()
        sshd = shutil.which("sshd") or "/usr/sbin/sshd"
        log = (self.folder / "sshd.log").open("wb")
        self._sshd = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.space}", sshd, "-D", "-e", "-f", str(self.folder / "sshd_config")],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        (self.cgroup / "cgroup.procs").write_text(str(self._sshd.pid))
        os.sched_setscheduler(self._sshd.pid, os.SCHED_FIFO, os.sched_param(10))  # and what it starts for a login
        assert wait_until(self._listens, clock=Clock(), timeout_s=20), (self.folder / "sshd.log").read_text()

    def _preloaded(self) -> str:
        if not self.has_clock:
            return ""
        return f" LD_PRELOAD={self.folder.resolve()}/clocks.so LPM_CLOCK={self._missed.resolve()}"

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((self.address, 22)) == 0

    def __exit__(self, *_: object) -> None:
        if self.cgroup.exists():
            self.thaw()
            while pids := (self.cgroup / "cgroup.procs").read_text().split():
                for pid in pids:
                    try:
                        os.kill(int(pid), signal.SIGKILL)
                    except ProcessLookupError:
                        pass  # it ended by itself
                time.sleep(0.05)
            self._sshd.wait()
            self.cgroup.rmdir()
        if hasattr(self, "_relay"):
            self._orders.close()
            self._relay.wait()
        _ip("netns", "delete", self.space)

    def link(self, mode: str) -> Moment:
        """Let the link carry (``open``), lose (``drop``) or hold (``queue``) frames, both ways."""
        before = time.monotonic_ns()
        self._orders.send(mode[:1].encode())
        self._orders.recv(1)
        return Moment(before, time.monotonic_ns())

    def freeze(self) -> Moment:
        """Stop every process of the partition; done on return."""
        return self._switch("FROZEN")

    def thaw(self) -> Moment:
        """Resume every process of the partition; done on return."""
        return self._switch("THAWED")

    def _switch(self, state: str) -> Moment:
        before, file = time.monotonic_ns(), self.cgroup / "freezer.state"
        file.write_text(state)
        while file.read_text().strip() != state:
            time.sleep(0.00005)  # a process has to run in order to stop
        return Moment(before, time.monotonic_ns())

    def frames(self) -> int:
        """Frames carried over the link so far, both ways, by our interface's counters."""
        counters = Path("/sys/class/net") / self.ours / "statistics"
        return sum(int((counters / name).read_text()) for name in ("rx_packets", "tx_packets"))


if __name__ == "__main__":
    relay(*(int(word) for word in sys.argv[1:4]))
