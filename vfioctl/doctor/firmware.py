"""Whether there is UEFI firmware for guests. Reads only."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from vfioctl import files
from vfioctl.findings import Finding, Severity
from vfioctl.host.host import Host
from vfioctl.host.readers import entries

DIRECTORIES = ("usr/share/qemu/firmware", "etc/qemu/firmware")  # QEMU, docs/interop/firmware.json


def findings(host: Host) -> Iterator[Finding]:
    """No descriptor of UEFI firmware: cards want it, and libvirt finds firmware by these."""
    if not any(_is_uefi(path) for path in _descriptors(host)):
        yield Finding(
            "firmware.no_uefi", "There is no UEFI firmware for guests, and most cards do not start without it.",
            Severity.WARN, "Install it: ovmf (Debian), edk2-ovmf (Fedora, Arch).",
            evidence=f"no descriptor in {', '.join(f'/{one}' for one in DIRECTORIES)} says uefi",
        )  # fmt: skip


def _descriptors(host: Host) -> Iterator[str]:
    for directory in map(host.paths.at, DIRECTORIES):
        yield from (os.path.join(directory, name) for name in entries(directory) if name.endswith(".json"))


def _is_uefi(path: str) -> bool:
    try:
        said = json.loads(files.read_bytes(path, follow=True))
    except (OSError, ValueError):
        return False  # libvirt passes over it too
    return isinstance(said, dict) and "uefi" in (said.get("interface-types") or ())
