"""Guests of tests/support/snapshot_lab.py that are switched on."""

from __future__ import annotations

import os
from typing import Any

import pytest
import snapshot_lab

FIRMWARE = "/usr/share/seabios/bios-256k.bin"  # no UEFI, but in a flash with an NVRAM beside it as one has it
NVRAM_SIZE = 64 << 10


class Running:
    """A guest that is switched on, whose QEMU writes what the test says; it ends with the test."""

    def __init__(self, guest: Any) -> None:
        self.guest, self.host, self.name = guest, guest.host, guest.name

    def switch_on(self, *how: str) -> None:
        self.host.lab.virsh("start", self.name, *how)

    def switch_off(self) -> None:
        self.host.lab.virsh("destroy", self.name)

    def write(self, pattern: int, section: int = 0) -> None:
        for number in range(len(self.guest.targets)):
            size = snapshot_lab.SECTION
            command = f'qemu-io -d /machine/peripheral/virtio-disk{number}/virtio-backend "write -P {pattern + number} '
            self.host.lab.virsh("qemu-monitor-command", self.name, "--hmp", f'{command}{section * size} {size}"')

    @property
    def disks(self) -> dict[str, str]:
        """What it writes to now."""
        lines = self.host.lab.virsh("domblklist", self.name).stdout.splitlines()[2:]
        return dict(line.split(maxsplit=1) for line in lines if line)


def with_flash(host: Any, disks: int = 1) -> Any:
    """A guest that can be switched on, with an NVRAM."""
    if not os.path.exists(FIRMWARE):
        pytest.skip("seabios is not installed (apt install seabios)")
    guest = snapshot_lab.Guest(host, uefi=True, disks=disks)
    document = host.place / f"{guest.name}.xml"
    document.write_text(document.read_text().replace("/usr/share/OVMF/OVMF_CODE.fd", FIRMWARE))
    host.lab.virsh("define", str(document))
    return guest


def fill(guest: Any, letter: str) -> None:
    """An NVRAM as large as a flash must be."""
    guest.host.must("sh", "-c", f"head -c {NVRAM_SIZE} /dev/zero | tr '\\0' {letter} > {guest.nvram}")
