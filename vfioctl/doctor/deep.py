"""Runs a guest of one sector for a moment, with KVM or without: whether that works no file tells. Leaves nothing.

The guest says a word on its serial line and leaves QEMU by isa-debug-exit, whose status is twice the value and one. It
runs in real mode on the machine `pc`. Its disk is memory of this process, so that no file is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from vfioctl import files
from vfioctl.errors import DeadlineExceeded, VfioctlError
from vfioctl.findings import Finding, Severity
from vfioctl.frozen import frozen
from vfioctl.host.host import Host
from vfioctl.proc import Completed

EMULATORS = ("qemu-system-x86_64", "qemu-kvm")
LIBEXEC = "usr/libexec/qemu-kvm"  # of Fedora's and Red Hat's packages
ARCHITECTURE = "x86_64"
WORD = "vfioctl"
LEFT = 0x10 << 1 | 1
DEADLINES = {"kvm": 4.0, "tcg": 5.0}  # seconds: both together stay below ten
SIZE, SECTOR, SIGNATURE = 1 << 20, 512, b"\x55\xaa"
START = bytes.fromhex(
    "31c0 8ed8"  # xor ax,ax; mov ds,ax
    "be1b7c"  # mov si,word           which lies behind the code, at 0x7c00 + 0x1b
    # next:
    "ac 84c0 7406"  # lodsb; test al,al; jz end
    "baf803 ee ebf5"  # mov dx,0x3f8; out dx,al; jmp next     the first serial port
    # end:
    "b010 baf400 ee"  # mov al,0x10; mov dx,0xf4; out dx,al   isa-debug-exit
    "f4 ebfd"  # hlt; jmp back
)


@frozen
class Tried:
    """How the guest fared: what it said after how many seconds, or why it said nothing."""

    accelerator: str
    spoke: bool
    seconds: float = 0.0
    why: str = ""


def boot_sector() -> bytes:
    """The whole of the guest."""
    code = START + f"{WORD}\r\n".encode() + b"\0"
    return code.ljust(SECTOR - len(SIGNATURE), b"\0") + SIGNATURE


def findings(host: Host) -> Iterator[Finding]:
    """That a guest ran with KVM, or that it ran only emulated, or not at all."""
    emulator = _emulator(host)
    if emulator is None or os.uname().machine != ARCHITECTURE:
        yield Finding(
            "deep.skipped", "No guest was run: there is no QEMU here, or this processor is none of a PC.",
            Severity.INFO, "Start a guest of your own, and see what it says.",
            evidence=f"{', '.join(EMULATORS)}; uname -m: {os.uname().machine}",
        )  # fmt: skip
        return
    with_kvm = _try(host, emulator, "kvm")
    if with_kvm.spoke:
        yield Finding("deep.ran", f"A guest ran with KVM, and left after {with_kvm.seconds:.1f} s.", Severity.INFO,
                      evidence=f"{emulator} -machine accel=kvm said {WORD!r}")  # fmt: skip
        return
    yield _without_kvm(emulator, with_kvm, _try(host, emulator, "tcg"))


def _emulator(host: Host) -> str | None:
    found = next(filter(None, map(host.programs.find, EMULATORS)), None)
    packaged = host.paths.at(LIBEXEC)
    return found or (packaged if os.access(packaged, os.X_OK) else None)


def _without_kvm(emulator: str, with_kvm: Tried, emulated: Tried) -> Finding:
    if emulated.spoke:
        return Finding(
            "deep.emulated", f"A guest ran, but not with KVM: {with_kvm.why}.", Severity.WARN,
            "See what the processor's check says; without root the group kvm may use /dev/kvm.",
            evidence=f"{emulator} -machine accel=tcg said {WORD!r} after {emulated.seconds:.1f} s",
        )  # fmt: skip
    return Finding(
        "deep.failed", f"No guest ran. With KVM: {with_kvm.why}. Emulated: {emulated.why}.",
        hint="QEMU itself does not work here: install it anew, with its firmware (seabios).",
        evidence=f"{emulator} -machine accel=kvm, then accel=tcg",
    )  # fmt: skip


def _try(host: Host, emulator: str, accelerator: str) -> Tried:
    disk = _disk()
    try:
        done = host.programs.holding(disk).run(_argv(emulator, accelerator, disk), deadline=DEADLINES[accelerator])
    except DeadlineExceeded:
        return Tried(accelerator, spoke=False, why=f"it said nothing within {DEADLINES[accelerator]:.0f} s")
    except VfioctlError as error:
        return Tried(accelerator, spoke=False, why=error.message.rstrip("."))
    finally:
        os.close(disk)
    spoke = done.returncode == LEFT and WORD in done.stdout
    return Tried(accelerator, spoke, done.duration, "" if spoke else _why(done))


def _disk() -> int:
    """A descriptor to read the guest's disk with: QEMU takes one of the mode that it opens the disk in."""
    written = os.memfd_create("guest")
    try:
        os.pwrite(written, boot_sector().ljust(SIZE, b"\0"), 0)
        return files.open_plain(f"/proc/self/fd/{written}", follow=True)
    finally:
        os.close(written)


def _argv(emulator: str, accelerator: str, disk: int) -> tuple[str, ...]:
    return (
        emulator, "-no-user-config", "-nodefaults", "-machine", f"pc,accel={accelerator}", "-m", "16",
        "-display", "none", "-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
        "-add-fd", f"fd={disk},set=1", "-drive", "file=/dev/fdset/1,format=raw,if=virtio,readonly=on",
    )  # fmt: skip


def _why(done: Completed) -> str:
    """QEMU's last words, or that the guest had none."""
    said = done.stderr.strip().splitlines()
    return said[-1].rstrip(".") if said else f"QEMU ended with {done.returncode}, and the guest said nothing"
