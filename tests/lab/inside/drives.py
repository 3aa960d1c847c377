"""NVMe drives that are plugged in, each with one partition: their functions, nodes and first bytes."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass

from tests.lab.inside import card, guests, programs
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.lab import Lab

FIRST_PORT_BUS = 3  # the root ports port1 … port3 are the buses 03 … 05
SECTOR = 512
START = 2048  # of the partition, in sectors
MIB = 512  # what two members of a btrfs need, and some


@dataclass(frozen=True, slots=True)
class Drive:
    """One, by the address of its controller."""

    address: str
    node: str  # of the whole disk

    @property
    def name(self) -> str:
        """As the kernel calls it."""
        return os.path.basename(self.node)

    @property
    def partition(self) -> str:
        return f"{self.node}p1"

    def first_bytes(self) -> bytes:
        """Where partition tables and signatures lie."""
        with open(self.node, "rb") as file:
            return file.read(4 << 20)

    def is_untouched(self, lab: Lab, before: Look) -> None:
        with lab.check(f"{self.node} is there as before") as said:
            now = self.look()
            expect(truth=now == before, otherwise="; ".join(guests.differences(before.state, now.state)) or "its bytes")
            said.append(f"{self.address} on {card.driver(self.address)}")

    def look(self) -> Look:
        return Look(self.guest().state(), self.first_bytes())

    def guest(self) -> guests.Guest:
        """The guest that asks for it."""
        return guests.Guest("keeper", 7, (self.address,))


@dataclass(frozen=True, slots=True)
class Look:
    """What a refused start must not change."""

    state: guests.State
    bytes: bytes


def plug(lab: Lab, *ports: int) -> tuple[Drive, ...]:
    """Plug a drive into each of these ports, and make its partition."""
    with lab.check(f"{len(ports)} drives are plugged in, each with one partition") as said:
        for port in ports:
            lab.disk(f"disk{port}", MIB)
            lab.plug(f"nvme,id=nvme{port},serial=lab{port},drive=disk{port},bus=port{port},addr=0.0")
        drives = tuple(_drive(port) for port in ports)
        for drive in drives:
            _partition(drive.node)
            eventually(lambda path=drive.partition: os.path.exists(path), 30, f"there is no {drive.partition}")
        programs.must(["udevadm", "settle"])
        said += [f"{drive.address} {drive.node}" for drive in drives]
    return drives


def _drive(port: int) -> Drive:
    address = f"0000:{FIRST_PORT_BUS + port - 1:02x}:00.0"
    pattern = f"/sys/bus/pci/devices/{address}/nvme/nvme*/nvme*n1"
    eventually(lambda: len(glob.glob(pattern)) == 1, 60, lambda: f"{address} on {card.driver(address)!r} has no disk")
    return Drive(address, f"/dev/{os.path.basename(glob.glob(pattern)[0])}")


def _partition(node: str) -> None:
    """A table with one entry of all that there is, as of MS-DOS: bytes 446 to 461 of the first sector."""
    sectors = (MIB << 20) // SECTOR - START
    entry = bytes(4) + b"\x83" + bytes(3) + START.to_bytes(4, "little") + sectors.to_bytes(4, "little")
    with open(node, "r+b") as file:
        file.write(bytes(446) + entry + bytes(48) + b"\x55\xaa")
        file.flush()
        os.fsync(file.fileno())
    programs.must(["blockdev", "--rereadpt", node])
