"""A virtual network's XML, as far as it takes devices from the host. Asks nobody.

Format: libvirt.org/formatnetwork.html. With <forward mode='hostdev'> each guest gets a function out of a pool, which
libvirt chooses and binds itself at the start, after the hook's `prepare`.
"""

from __future__ import annotations

from vfioctl.errors import VfioctlError
from vfioctl.events.element import parse_element, pci_address
from vfioctl.frozen import frozen


@frozen
class Pool:
    """The functions at `addresses`, and the virtual ones of the network interfaces `physical`."""

    addresses: tuple[str, ...]
    physical: tuple[str, ...]


def read_pool(data: bytes) -> Pool | None:
    """The pool of the network that `data` describes; None when it has none, or when `data` cannot be read."""
    if b"hostdev" not in data:  # nearly every network has none, and every start reads one
        return None
    try:
        root = parse_element(data)
        network = root.find("network") or root  # a status file has it inside
        forward = network.find("forward")
        if forward is None or forward.get("mode") != "hostdev":
            return None
        addresses = tuple(pci_address(item) for item in forward.all("address"))
    except VfioctlError:  # it is libvirt's own file, and libvirt says what is wrong with it
        return None
    return Pool(addresses, tuple(name for item in forward.all("pf") if (name := item.get("dev"))))
