"""A Linux guest out of Debian's packages: their kernel, and a root of this machine's own OpenSSH server, perl and
busybox in an initial RAM disk.

Nothing is installed: the kernel's package is downloaded with ``apt-get download`` into a cache and unpacked there,
programs are copied together with the libraries that ``ldd`` lists.
"""

from __future__ import annotations

import lzma
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PROGRAMS = ("sshd", "perl", "busybox")
#: The drivers that the guest needs; what its kernel has built in is left out.
MODULES = ("virtio_pci", "virtio_net", "zram")
PERL_FILES = ("perl-base", "perl/5*/Time/HiRes.pm", "perl/5*/auto/Time/HiRes")
META_PACKAGES = {"6.1": "linux-image-cloud-amd64", "6.12": "linux-image-6.12-cloud-amd64"}


@dataclass(frozen=True, slots=True)
class Kernel:
    """An unpacked kernel package: its image, its folder of modules, its release."""

    image: Path
    modules: Path
    release: str


def missing() -> str | None:
    """The things that this machine lacks to build the guest, or ``None``."""
    for program in (*PROGRAMS, "cc", "cpio", "dpkg", "apt-get", "ldd", "ssh-keygen"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return None


def kernel(cache: Path, version: str) -> Kernel:
    """Download and unpack the newest Debian kernel of that version (a key of ``META_PACKAGES``), unless the cache
    holds one.
    """
    place = cache / f"kernel-{version}"
    if not list(place.glob("boot/vmlinuz-*")):
        place.mkdir(parents=True, exist_ok=True)
        package = _real_package(META_PACKAGES[version])
        subprocess.run(["apt-get", "download", package], cwd=place, check=True, capture_output=True)
        (archive,) = place.glob("*.deb")
        subprocess.run(["dpkg", "-x", str(archive), str(place)], check=True)
        archive.unlink()
    (image,) = place.glob("boot/vmlinuz-*")
    release = image.name.removeprefix("vmlinuz-")
    (modules,) = list(place.glob(f"*/lib/modules/{release}")) or [place / "lib/modules" / release]
    return Kernel(image, modules, release)


def _real_package(meta: str) -> str:
    """The package that a meta package depends on."""
    depends = subprocess.run(["apt-cache", "depends", meta], check=True, capture_output=True, text=True).stdout
    names = re.findall(r"Depends: (linux-image-\S+)", depends)
    if not names:
        raise RuntimeError(f"apt-cache knows no kernel behind {meta}; run apt-get update")
    return str(names[0])


def build(cache: Path, of: Kernel, folder: Path) -> Path:
    """Make the initial RAM disk in ``folder``, with host and client keys beside it (``host_key.pub``, ``client_key``).

    Returns its path.
    """
    root = folder / "root"
    for name in (
        "bin",
        "sbin",
        "usr/bin",
        "usr/sbin",
        "dev",
        "proc",
        "sys",
        "run",
        "tmp",
        "etc/ssh",
        "root",
        "modules",
        "var/empty",
    ):
        (root / name).mkdir(parents=True, exist_ok=True)
    for key in ("host_key", "client_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    _programs(root)
    _configuration(root, folder)
    for number, module in enumerate(_with_dependencies(of, MODULES)):
        content = lzma.decompress(module.read_bytes()) if module.suffix == ".xz" else module.read_bytes()
        (root / "modules" / f"{number:02d}-{module.name.split('.')[0]}.ko").write_bytes(content)
    names = subprocess.run(["find", "."], cwd=root, check=True, capture_output=True).stdout
    image = folder / "initrd"
    with image.open("wb") as output:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=root, input=names, stdout=output, check=True)
    shutil.rmtree(root)
    return image


def _programs(root: Path) -> None:
    for program in PROGRAMS:
        source = Path(shutil.which(program) or program)
        _copy(source, root / "usr" / ("sbin" if program == "sshd" else "bin") / program)
        for library in _libraries(source):
            _copy(library, root / library.relative_to("/"))
    _copy(Path(shutil.which("busybox") or "busybox"), root / "bin/busybox")
    applets = subprocess.run(["busybox", "--list"], check=True, capture_output=True, text=True).stdout.split()
    for applet in applets:
        if not (root / "bin" / applet).exists():
            (root / "bin" / applet).symlink_to("busybox")
    folders = [Path("/usr/lib/x86_64-linux-gnu"), Path("/usr/share")]
    for pattern in PERL_FILES:
        for folder in folders:
            for found in folder.glob(pattern):
                _copy(found, root / found.relative_to("/"))
    for source, name in ((HERE / "guest_tools.c", "guest-tools"),):
        subprocess.run(["cc", "-O2", "-static", "-o", str(root / "usr/bin" / name), str(source)], check=True)
    clocks = HERE.parent / "accuracy" / "clocks.c"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(root / "usr/bin/clocks.so"), str(clocks)], check=True)
    init = root / "init"
    shutil.copy(HERE / "guest_init.sh", init)
    init.chmod(0o755)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def _libraries(program: Path) -> Iterator[Path]:
    listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False).stdout
    for name in re.findall(r"(/\S+) \(0x", listed):
        yield Path(name)


def _configuration(root: Path, folder: Path) -> None:
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\n")
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
    for name in ("host_key", "host_key.pub", "client_key.pub"):
        shutil.copy(folder / name, root / "etc/ssh" / name)
    (root / "etc/ssh/sshd_config").write_text(
        "Port 22\nHostKey /etc/ssh/host_key\nAuthorizedKeysFile /etc/ssh/client_key.pub\nStrictModes no\nUsePAM no\n"
        "KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org\nUseDNS no\nPidFile none\nMaxStartups "
        "200\nMaxSessions 50\n"
        "SetEnv LD_PRELOAD=/usr/bin/clocks.so LPM_CLOCK=/run/clock\n"
    )


def _with_dependencies(of: Kernel, wanted: Sequence[str]) -> list[Path]:
    """The files of these modules in an order in which they can be loaded."""
    files = {path.name.split(".")[0].replace("-", "_"): path for path in of.modules.rglob("*.ko*")}
    ordered: list[Path] = []

    def add(name: str) -> None:
        path = files.get(name)
        if path is None or path in ordered:
            return
        content = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        if hit := re.search(rb"\0depends=([^\0]*)\0", content):
            for needed in hit[1].decode().split(","):
                add(needed.replace("-", "_"))
        ordered.append(path)

    for name in wanted:
        add(name)
    return ordered
