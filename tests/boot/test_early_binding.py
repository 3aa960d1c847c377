"""A device that the host must never have, where a real boot loader and a real initramfs boot."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_loader import told

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(7200)]  # a disk made of packages, and three boots of a desktop


@pytest.mark.parametrize(("debian", "loader"), [("12", "grub"), ("13", "systemd-boot")])
def test_vfio_pci_has_it_from_the_next_boot_on_and_undo_gives_it_its_driver_again(
    debian: str, loader: str, package: Path, tmp_path: Path
) -> None:
    heard = told(debian, loader, "early", (package,), tmp_path)
    assert "its own driver has it again" in [event.get("name") for event in heard]
