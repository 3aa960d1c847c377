"""Hosts of plain files and real symlinks below a temporary root, for facts that need no answering kernel."""

from __future__ import annotations

import os
from pathlib import Path

from vfioctl.host.host import Host
from vfioctl.paths import Paths
from vfioctl.proc import Programs


class Tree:
    """A root directory that tests fill; paths are written as on the host."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = Paths(str(root))
        for place in ("sys/bus/pci/devices", "sys/bus/pci/drivers", "proc", "dev"):
            (root / place).mkdir(parents=True)

    def write(self, path: str, text: str = "") -> Path:
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def link(self, path: str, target: str) -> None:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)

    def device(self, address: str, *, driver: str | None = None, group: int | None = None, **attributes: str) -> str:
        """A PCI function below /sys/devices, with its link on the bus; returns its real directory."""
        base = f"sys/devices/pci0000:00/{address}"
        given = {"class": "0x030000", "vendor": "0x10de", "device": "0x2684", "driver_override": "(null)"}
        for name, value in {**given, **attributes}.items():
            self.write(f"{base}/{name}", f"{value}\n")
        self.link(f"sys/bus/pci/devices/{address}", f"../../../devices/pci0000:00/{address}")
        if driver:
            self.bind(address, driver)
        if group is not None:
            self.link(f"{base}/iommu_group", f"../../../kernel/iommu_groups/{group}")
            self.write(f"sys/kernel/iommu_groups/{group}/type", "DMA-FQ\n")
            members = f"sys/kernel/iommu_groups/{group}/devices"
            self.link(f"{members}/{address}", f"../../../../devices/pci0000:00/{address}")
        return base

    def bind(self, address: str, driver: str) -> None:
        (self.root / f"sys/bus/pci/drivers/{driver}").mkdir(parents=True, exist_ok=True)
        self.link(f"sys/devices/pci0000:00/{address}/driver", f"../../../bus/pci/drivers/{driver}")
        self.link(f"sys/bus/pci/drivers/{driver}/{address}", f"../../../../devices/pci0000:00/{address}")

    def module(
        self, name: str, refcount: str = "0", holders: tuple[str, ...] = (), drivers: tuple[str, ...] = ()
    ) -> None:
        self.write(f"sys/module/{name}/refcnt", f"{refcount}\n")
        for holder in holders:
            self.link(f"sys/module/{name}/holders/{holder}", f"../../{holder}")
        for driver in drivers:
            self.link(f"sys/bus/pci/drivers/{driver}/module", f"../../../../module/{name}")

    def program(self, name: str, script: str) -> None:
        """A program of this host. Its shell has no other programs: use built-ins."""
        self.write(f"usr/bin/{name}", f"#!/bin/sh\n{script}\n").chmod(0o755)

    def with_systemd(self) -> Tree:
        (self.root / "run/systemd/system").mkdir(parents=True)
        return self

    def host(self) -> Host:
        """The facts, read anew."""
        return Host(self.paths, self.programs)

    @property
    def programs(self) -> Programs:
        return Programs(self.paths.programs)

    def snapshot(self) -> dict[str, str]:
        """Every path below the root with its content or target."""
        found = {}
        for directory, names, files in os.walk(self.root):
            for name in (*names, *files):
                found[os.path.join(directory, name)] = _shown(Path(directory, name))
        return found


def _shown(path: Path) -> str:
    if path.is_symlink():
        return os.readlink(path)
    return "" if path.is_dir() else path.read_text()
