"""A guest with a real Linux, small enough for a test: the disk image that it boots from, made of packages of Debian.

Its disk is one FAT with SYSLINUX, the kernel and an initramfs of busybox and dropbear; linux_guest_root/init says
what it does. It is ready in about five seconds without KVM, in 128 MiB. On request it has QEMU's agent too.
"""

from __future__ import annotations

import gzip
import lzma
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

# Where contrib/test.sh has unpacked a kernel that is not installed: an installed one would be this computer's next.
TREE = Path(os.environ.get("KERNEL_TREE") or "/")
AGENT_TREE = os.environ.get("AGENT_TREE", "")  # the same of qemu-guest-agent: an installed one would be started
SBIN = f"{os.environ['PATH']}:/usr/sbin:/sbin"
PROGRAMS = ("busybox", "dropbear", "syslinux", "mformat", "mcopy")
APPLETS = (
    "cat", "chmod", "chown", "dd", "df", "grep", "hostname", "ifconfig", "insmod", "ln", "mkdir", "mktemp", "mount",
    "mv", "poweroff", "printf", "rm", "sed", "sh", "sha256sum", "sleep", "stat", "stty", "sync", "udhcpc", "umount",
    "uname", "wc",
)  # fmt: skip
MODULES = (
    "virtio_pci", "virtio_blk", "virtio_net", "virtio_scsi", "ahci", "sr_mod", "isofs", "button", "evdev",
    "virtio_console",
)  # fmt: skip
DIRECTORIES = ("bin", "dev", "etc/dropbear", "modules", "proc", "root", "run", "sbin", "seed", "sys", "tmp", "var/log")
OWN = {
    "init": "init", "lease": "bin/lease", "standstill": "bin/standstill", "shutdown": "sbin/shutdown",
    "chpasswd": "bin/chpasswd",
}  # fmt: skip
ACCOUNTS = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\n", "group": "root:x:0:\n", "shadow": "root:*:19000:0:99999:7:::\n",
    "shells": "/bin/sh\n",
}  # fmt: skip
# On a busy computer an emulated timer ticks too late for the kernel's check, and it panics: no_timer_check. What the
# kernel says in the middle of an answer would be part of it: loglevel=0 (a panic is shown all the same).
APPEND = "initrd=initrd console=ttyS0 loglevel=0 mitigations=off init_on_alloc=0 no_timer_check"
CONFIGURATION = """\
DEFAULT linux
LABEL linux
  KERNEL vmlinuz
  APPEND {append}
"""
SECTORS = 64 << 11  # 64 MiB, of which the file system takes what it needs
HEADS, TRACK = "64", "32"


def missing(*, agent: bool = False) -> str:
    """Why the guest, with an `agent`, cannot be made here, or ""."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=SBIN) is None]
    if not list(TREE.glob("boot/vmlinuz-*")):
        absent.append("a kernel of Debian (linux-image-cloud-amd64)")
    if agent and not _agent():
        absent.append("qemu-ga (qemu-guest-agent)")
    return f"the guest needs {', '.join(absent)}" if absent else ""


def make(place: Path, *, agent: bool = False) -> Path:
    """Its disk, as a qcow2 image in the directory `place`; with `agent`, qemu-ga runs in it."""
    kernel = max(TREE.glob("boot/vmlinuz-*"))
    root = place / "root"
    _fill(root, kernel.name.removeprefix("vmlinuz-"))
    if agent:
        _add_program(root, _agent())
    (place / "initrd").write_bytes(gzip.compress(b"".join(_archive(root)), 6))
    return boot_disk(place, "guest", kernel, place / "initrd", APPEND)


def boot_disk(place: Path, name: str, kernel: Path, initrd: Path, append: str) -> Path:
    """The qcow2 image of a disk that boots the `kernel` by BIOS."""
    raw, configuration = place / f"{name}.raw", place / "syslinux.cfg"
    configuration.write_text(CONFIGURATION.format(append=append))
    with raw.open("wb") as disk:
        disk.truncate(SECTORS << 9)
    _run("mformat", "-i", str(raw), "-h", HEADS, "-s", TRACK, "-T", str(SECTORS), "::")
    _run("syslinux", "--install", str(raw))
    for file, to in ((configuration, "syslinux.cfg"), (initrd, "initrd"), (kernel, "vmlinuz")):
        _run("mcopy", "-i", str(raw), str(file), f"::{to}")
    return converted(raw)


def converted(raw: Path) -> Path:
    """The same as qcow2; the raw one goes."""
    image = raw.with_suffix(".qcow2")
    _run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(image))
    raw.unlink()
    return image


def _run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, env={"PATH": SBIN}).stdout


def _fill(root: Path, release: str) -> None:
    for name in DIRECTORIES:
        (root / name).mkdir(parents=True)
    for name, text in ACCOUNTS.items():
        (root / "etc" / name).write_text(text)
    busybox, dropbear = (shutil.which(name, path=SBIN) or "" for name in ("busybox", "dropbear"))
    shutil.copy(busybox, root / "bin/busybox")
    for name in APPLETS:
        (root / "bin" / name).symlink_to("busybox")
    _add_program(root, dropbear)
    own = Path(__file__).with_name("linux_guest_root")
    for name, to in OWN.items():
        shutil.copy(own / name, root / to)
    _add_modules(root / "modules", [TREE / place / "modules" / release for place in ("lib", "usr/lib")])


def _agent() -> str:
    return shutil.which("qemu-ga", path=f"{SBIN}:{AGENT_TREE}/usr/sbin") or ""


def _add_program(root: Path, program: str) -> None:
    """The program as bin/NAME, with the loader and the libraries that it needs."""
    for path in (program, *re.findall(r"(/\S+) \(0x", _run("ldd", program))):
        target = root / (f"bin/{os.path.basename(path)}" if path == program else path[1:])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def _add_modules(to: Path, sources: Iterable[Path]) -> None:
    """Each before those that need it, unpacked; what the kernel has built in or lacks has no file."""
    files = {path.name.partition(".")[0].replace("-", "_"): path for one in sources for path in one.rglob("*.ko*")}
    order: dict[str, None] = {}

    def add(name: str) -> None:
        if (path := files.get(name.replace("-", "_"))) is None or f"{name}.ko" in order:
            return
        content = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        needs = re.search(rb"\0depends=([^\0]*)\0", content)  # include/linux/module.h: .modinfo
        for other in needs[1].decode().split(",") if needs else ():
            add(other)
        (to / f"{name}.ko").write_bytes(content)
        order[f"{name}.ko"] = None

    for name in MODULES:
        add(name)
    (to / "order").write_text("".join(f"{name}\n" for name in order))


def _archive(root: Path) -> Iterator[bytes]:
    """The directory as a cpio archive of the "new ASCII format", in which everything belongs to root."""
    for number, path in enumerate(sorted(root.rglob("*")), 1):
        about = path.lstat()
        if stat.S_ISLNK(about.st_mode):
            content = os.readlink(path).encode()
        else:
            content = path.read_bytes() if stat.S_ISREG(about.st_mode) else b""
        yield _entry(number, about.st_mode, str(path.relative_to(root)), content)
    yield _entry(0, 0, "TRAILER!!!", b"")


def _entry(number: int, mode: int, name: str, content: bytes) -> bytes:
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = "070701" + "".join(f"{field:08x}" for field in fields) + f"{name}\0"
    return _padded(head.encode()) + _padded(content)


def _padded(part: bytes) -> bytes:
    return part + bytes(-len(part) % 4)
