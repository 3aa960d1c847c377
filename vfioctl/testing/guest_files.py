"""The plain files that guests of a simulated machine find: firmware, a disk, libvirt's list of CPU models.

None of them lies where a test makes a directory of its own (etc/libvirt/qemu, run/libvirt).
"""

from __future__ import annotations

import os

FIRMWARE = tuple(f"OVMF_{part}{size}.fd" for part in ("CODE", "VARS") for size in ("", "_4M", "_4M.ms"))
FILES = (
    *(f"usr/share/OVMF/{name}" for name in FIRMWARE),
    "var/lib/libvirt/images/win11.qcow2",
    "var/lib/libvirt/qemu/nvram/win11_VARS.fd",
    *(f"usr/share/libvirt/cpu_map/x86_{name}.xml" for name in ("qemu64", "EPYC", "Skylake-Client")),
)


def install(root: str) -> None:
    """Make them below `root`; what is there already stays."""
    for path in FILES:
        target = os.path.join(root, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.lexists(target):
            with open(target, "w", encoding="utf-8"):
                pass
