"""Physical and virtual functions of a device with SR-IOV. Reads only.

A virtual function links `physfn`, a physical one `virtfnN` for each of its own (Linux, Documentation/ABI/testing/
sysfs-bus-pci). The driver of the physical function makes the virtual ones and removes them when it goes
(Documentation/PCI/pci-iov-howto.rst).
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from vfioctl.host.readers import ADDRESS, link_name

PHYSICAL, VIRTUAL = "physfn", "virtfn"


def physical(base: str) -> str | None:
    """The address of the physical function of the virtual one in `base`."""
    return _address(base, PHYSICAL)


def virtual(base: str, shown: Iterable[str]) -> tuple[str, ...]:
    """The addresses of the virtual functions of the one in `base`, whose files are `shown`, by their numbers."""
    names = [name for name in shown if name.startswith(VIRTUAL) and name[len(VIRTUAL) :].isdecimal()]
    found = (_address(base, name) for name in sorted(names, key=lambda name: int(name[len(VIRTUAL) :])))
    return tuple(address for address in found if address)


def _address(base: str, name: str) -> str | None:
    target = link_name(os.path.join(base, name))
    return target if target and ADDRESS.fullmatch(target) else None
