"""Early binding: vfio-pci takes cards before their drivers can, for hosts that never want them. By ids, so by model.

vfioctl needs none of it: without it the host has the card while no guest does. A card is added to those that our file
names already; `vfioctl setup --undo` lets go of them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.plugin import FileEdit, Refused
from vfioctl_setup.initramfs import with_vfio
from vfioctl_setup.loaders.model import BootChange, as_bytes, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vfioctl.plugin import Host, PciDevice

FILE = "/etc/modprobe.d/vfioctl-early.conf"  # modprobe.d(5)
OPTIONS = "options vfio-pci ids="


def binding(host: Host, addresses: Iterable[str]) -> BootChange:
    """What lets vfio-pci take these cards at boot. Raises Refused("card.unknown", "setup.same_model")."""
    devices = [one for address in addresses for one in _functions(host, address)]
    if not devices:
        return BootChange()
    _must_be_alone(host, devices)
    edit = FileEdit(FILE, as_bytes(_text(host, devices)), "vfio-pci takes these cards before others can", own=True)
    initramfs = with_vfio(host, FILE)
    return BootChange((edit, *initramfs.edits), initramfs.refresh, initramfs.where, initramfs.lines)


def _functions(host: Host, address: str) -> tuple[PciDevice, ...]:
    if not host.has_device(address):
        raise Refused(
            "card.unknown", f"There is no device {address}.", state="Nothing was changed.",
            hints=("See: vfioctl gpu list --all",),
        )  # fmt: skip
    return (host.device(address), *(one for one in host.companions(address) if not one.is_bridge))


def _must_be_alone(host: Host, devices: Iterable[PciDevice]) -> None:
    """Raise where another device has the same ids: vfio-pci would take that one, too."""
    wanted = {one.address: _ids(one) for one in devices}
    for other in host.devices():
        if other.address not in wanted and _ids(other) in wanted.values():
            raise Refused(
                "setup.same_model", f"{other.address} is of the same model ({_ids(other)}): it would be taken as well.",
                state="Nothing was changed.",
                hints=("Name both with --early, or leave it: cards change hands without it.",),
            )  # fmt: skip


def _text(host: Host, devices: Iterable[PciDevice]) -> str:
    """The settings: the ids, and vfio-pci before each module that would have one of them, beside what our file says.

    A card that vfio-pci has since the boot says no longer whose it would be: that file does.
    """
    before = (text_of(host, FILE) or "").splitlines()
    there = [one for line in before if line.startswith(OPTIONS) for one in line.removeprefix(OPTIONS).split(",")]
    modules = {
        host.driver_module(one.driver) or one.driver for one in devices
        if one.driver and not host.is_vfio_driver(one.driver)
    }  # fmt: skip
    kept = {line for line in before if line.startswith("softdep ")}
    lines = sorted(kept | {f"softdep {name} pre: vfio-pci" for name in modules})
    options = f"{OPTIONS}{','.join(dict.fromkeys((*there, *map(_ids, devices))))}"
    return "\n".join(("# Made by `vfioctl setup`; it goes with `vfioctl setup --undo`.", options, *lines, ""))


def _ids(device: PciDevice) -> str:
    return f"{device.vendor:04x}:{device.device:04x}"
