"""Whether the picture that the firmware left on a card keeps its memory from guests. Reads only.

The kernel makes a platform device of it (drivers/firmware/sysfb.c), which a driver of its own drives. vfio-pci makes it
let go of VGA cards alone, since Linux 6.0 (vfio_pci_core.c, vga_init): a plan takes it off the others as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.findings import Finding, Severity
from vfioctl.host.host import Host
from vfioctl.host.model import PciDevice
from vfioctl.host.readers import ADDRESS, table

SIZE = 1 << 20
SEPARATOR = " : "
# What the kernel calls the memory of a firmware's picture: the device's own (sysfb_simplefb.c) and that of its drivers.
PICTURES = ("BOOTFB", "efifb", "vesafb", "simplefb", "simpledrm", "efidrm", "vesadrm")


def findings(host: Host) -> Iterator[Finding]:
    """A note where the firmware's picture is still on a card, a warning where nothing would take it off."""
    reserved = dict(_reserved(host))
    for card in host.gpus():
        framebuffers = host.framebuffers(card.address)
        for framebuffer in framebuffers:
            yield Finding(
                "boot.framebuffer",
                f"The firmware's picture is on {card.address}: {framebuffer.name} on "
                f"{framebuffer.driver or 'no driver'}.",
                Severity.INFO, "Nothing: it is taken off when a guest with that card starts, and the screen goes dark.",
                evidence=f"/sys/bus/platform/devices/{framebuffer.name}",
            )  # fmt: skip
        if not framebuffers and card.address in reserved:
            yield _nobody_lets_go(card, reserved[card.address])


def _nobody_lets_go(card: PciDevice, name: str) -> Finding:
    return Finding(
        "boot.framebuffer_memory",
        f"Memory of {card.address} is kept for the firmware's picture ({name}), and no device is there that would let "
        "go of it: QEMU may fail with \"BAR … can't reserve\".",
        Severity.WARN,
        "Make another card the first one in the firmware; or add initcall_blacklist=sysfb_init to the kernel's command "
        "line, then restart.",
        evidence=f"/proc/iomem: {name} lies in the memory of {card.address}",
    )  # fmt: skip


def _reserved(host: Host) -> Iterator[tuple[str, str]]:
    """(address, name) of each firmware's picture that lies in the memory of a PCI function.

    Each level of /proc/iomem is indented by two blanks (kernel/resource.c); without root only its numbers are zero.
    """
    above: list[str] = []
    for line in (table(f"{host.paths.proc}/iomem", SIZE) or b"").decode("utf-8", "replace").splitlines():
        name = line.partition(SEPARATOR)[2]
        del above[(len(line) - len(line.lstrip())) // 2 :]
        if name in PICTURES and (owner := next(filter(ADDRESS.fullmatch, reversed(above)), None)):
            yield owner, name
        above.append(name)
