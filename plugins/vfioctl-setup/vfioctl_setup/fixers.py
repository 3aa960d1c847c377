"""How findings about the kernel's command line are mended: by a change of the boot loader's files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl_setup.loaders.found import find
from vfioctl_setup.preparation import as_change
from vfioctl_setup.words import OFF, ON_INTEL, Asked, Words, is_intel, wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from vfioctl.plugin import Finding, Host, HostChange


def _change(host: Host, words: Words) -> HostChange | None:
    """The change, where the boot loader is one whose files are changed from here."""
    change = find(host).change(host, words) if words else None
    return as_change(host, change.edits, change) if change and change.edits else None


def _iommu(host: Host, _finding: Finding) -> HostChange | None:
    return _change(host, wanted(host, Asked()))


def _kernel_off(host: Host, _finding: Finding) -> HostChange | None:
    return _change(host, Words((ON_INTEL,) if is_intel(host) else (), OFF))


def _sysfb(host: Host, _finding: Finding) -> HostChange | None:
    return _change(host, Words(("initcall_blacklist=sysfb_init",)))


def _without(*starts: str) -> Callable[[Host, Finding], HostChange | None]:
    """Takes the words that begin so away."""

    def change(host: Host, _finding: Finding) -> HostChange | None:
        words = host.kernel_command_line().split()
        return _change(host, Words(remove=tuple(word for word in words if word.startswith(starts))))

    return change


BY_SETUP = ("iommu.off", "iommu.kernel_off")  # which `vfioctl setup` mends without being told what
FIXERS = {
    "iommu.off": _iommu,
    "iommu.kernel_off": _kernel_off,
    "iommu.acs_override": _without("pcie_acs_override"),
    "boot.framebuffer_memory": _sysfb,
    "driver.nomodeset": _without("nomodeset"),
    "driver.taken_at_boot": _without("vfio-pci.ids=", "vfio_pci.ids="),
}
