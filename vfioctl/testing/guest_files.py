"""The plain files that guests of a simulated machine find: firmware, images, a network of libvirt's, its CPU models."""

from __future__ import annotations

import os

FIRMWARE = tuple(f"OVMF_{part}{size}.fd" for part in ("CODE", "VARS") for size in ("", "_4M", "_4M.ms"))
FILES = (
    *(f"usr/share/OVMF/{name}" for name in FIRMWARE),
    "var/lib/libvirt/images/win11.qcow2",
    "var/lib/libvirt/qemu/nvram/win11_VARS.fd",
    *(f"usr/share/libvirt/cpu_map/x86_{name}.xml" for name in ("qemu64", "EPYC", "Skylake-Client")),
)
NETWORK = "<network>\n  <name>default</name>\n  <forward mode='nat'/>\n  <bridge name='virbr0'/>\n</network>\n"


def install(root: str) -> None:
    """Make them below `root`; what is there already stays."""
    for path in FILES:
        _write(root, path, "")
    _write(root, "etc/libvirt/qemu/networks/default.xml", NETWORK)
    _write(root, "etc/libvirt/qemu/networks/autostart/default.xml", NETWORK)
    boot(root)


def boot(root: str) -> None:
    """Make those that libvirt writes into /run when its daemon starts."""
    _write(root, "run/libvirt/network/default.xml", f"<networkstatus>\n{NETWORK}</networkstatus>\n")
    _write(root, "run/libvirt/network/autostarted", "")


def _write(root: str, path: str, text: str) -> None:
    target = os.path.join(root, path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if not os.path.lexists(target):
        with open(target, "w", encoding="utf-8") as file:
            file.write(text)
