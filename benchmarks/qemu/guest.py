"""The boot-sector guest: its work on each timer tick, and its 512 bytes."""

from __future__ import annotations

import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = 4096
#: The guest's timer, as the kernel's in a partition, is faster than any tick. Its divisor stands in guest.S; KVM allows
#: no beat shorter than 200 µs.
BEATS_HZ = 1_193_182 / 597
#: The first megabytes belong to the BIOS and the boot sector; the guest's pages begin here.
MEMORY_BYTES = 0x200000
SETTINGS_OFFSET = 0x1EC
SECTOR_BYTES = 512


@dataclass(frozen=True, slots=True)
class Guest:
    """``pages_per_tick`` pages are written ``tick_hz`` times a second, within ``span_bytes``, in order or at
    ``random``.

    All ``memory_bytes`` but the first two megabytes are filled at the start, so that every page has to be sent.
    """

    memory_bytes: int = 256 * 1024 * 1024
    span_bytes: int = 128 * 1024 * 1024
    pages_per_tick: int = 0
    tick_hz: int = 100
    random: bool = False

    @property
    def dirty_bytes_per_s(self) -> float:
        """Dirty rate just after the start of a pass, in bytes per second, if every tick is kept."""
        return float(self.pages_per_tick * self.tick_hz * PAGE_BYTES)


def sector(guest: Guest) -> bytes:
    """The boot sector of ``guest``. Needs GNU as and ld."""
    plain = _assembled()
    fill = (guest.memory_bytes - MEMORY_BYTES) // PAGE_BYTES
    span = max(1, min(fill, guest.span_bytes // PAGE_BYTES))
    beats = max(1, round(BEATS_HZ / guest.tick_hz))
    settings = struct.pack("<IIIIBB", guest.pages_per_tick, span, fill, beats, guest.random, 0)
    return plain[:SETTINGS_OFFSET] + settings + plain[SETTINGS_OFFSET + len(settings) :]


def _assembled() -> bytes:
    source = Path(__file__).with_name("guest.S")
    with tempfile.TemporaryDirectory() as folder:
        object_file, binary = Path(folder, "guest.o"), Path(folder, "guest.bin")
        subprocess.run(["as", "--32", "-o", object_file, source], check=True, timeout=30)
        layout = ["ld", "-m", "elf_i386", "--oformat", "binary", "-Ttext", "0x7c00"]
        subprocess.run([*layout, "-o", binary, object_file], check=True, timeout=30)
        plain = binary.read_bytes()
    if len(plain) != SECTOR_BYTES or not plain.endswith(b"\x55\xaa"):
        raise ValueError(f"the guest is no boot sector: {len(plain)} bytes")
    return plain
