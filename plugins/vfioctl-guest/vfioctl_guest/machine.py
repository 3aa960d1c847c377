"""A new guest as data: everything that its XML says, chosen before anything is made. Pure."""

from __future__ import annotations

import os

from vfioctl.plugin import TYPE_CHECKING, frozen

if TYPE_CHECKING:
    from vfioctl.plugin import Capabilities

OURS = (0x52, 0x54, 0x00)  # the first bytes of QEMU's addresses of network cards
BIOS, UEFI, SECURE = "bios", "uefi", "uefi-secure"
FIRMWARES = (BIOS, UEFI, SECURE)
VIRTIO, SATA = "virtio", "sata"
NVRAM = "/var/lib/libvirt/qemu/nvram"  # where libvirt keeps the variables of each guest's firmware


@frozen
class Drive:
    """A disk or CD of the new guest, whose format is stated: an image file by its resolved path, or a device."""

    path: str
    format: str
    target: str
    bus: str = VIRTIO
    cdrom: bool = False
    readonly: bool = False
    boots: bool = True
    block: bool = False  # a device of its node


@frozen
class Card:
    """A network card on a network of libvirt."""

    network: str
    mac: str


@frozen
class Board:
    """What the node gives: kvm or qemu, the machine type, the emulator, how the CPU is, what draws, for Windows."""

    kind: str
    arch: str
    machine: str
    emulator: str
    cpu: str
    video: str
    tpm: str = ""
    hyperv: frozenset[str] = frozenset()


@frozen
class Machine:
    """A new guest. `memory` in bytes, out of huge pages of `page` bytes where that is not 0.

    The drives boot in their order, then the network cards; with `network_boot` these come first.
    `seed` is the file of the drive that it reads at its first boot, "" for none; `runs`: it is started at once.
    """

    name: str
    uuid: str
    memory: int
    cpus: int
    board: Board
    firmware: str = BIOS
    tpm: bool = False
    drives: tuple[Drive, ...] = ()
    cards: tuple[Card, ...] = ()
    page: int = 0
    network_boot: bool = False
    windows: bool = False
    hostdevs: tuple[str, ...] = ()  # addresses of functions of its host, DDDD:BB:DD.F
    seed: str = ""
    runs: bool = False

    @property
    def nvram(self) -> str:
        """The file of the firmware's variables, "" for none: no earlier guest of this name can have left one there."""
        return "" if self.firmware == BIOS else f"{NVRAM}/{self.name}-{self.uuid[:8]}_VARS.fd"


def board(node: Capabilities) -> Board:
    """The best that the node has for a guest of today."""
    return Board(
        kind=node.kind, arch=node.arch, machine=node.machine, emulator=node.emulator,
        cpu=_first(("host-passthrough", "maximum"), node.cpu_modes), video=_first(("virtio", "vga"), node.videos),
        tpm=_first(("tpm-crb", "tpm-tis"), node.tpms), hyperv=node.hyperv,
    )  # fmt: skip


def _first(wanted: tuple[str, ...], offered: frozenset[str]) -> str:
    return next((one for one in wanted if one in offered), "")


def new_mac() -> str:
    """An address of a network card that QEMU's guests have, chosen by chance."""
    return ":".join(f"{byte:02x}" for byte in (*OURS, *os.urandom(3)))
