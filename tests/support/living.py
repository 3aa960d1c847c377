"""A guest of a private libvirtd that reacts, and `vfioctl guest` about it, as a user types it."""

from __future__ import annotations

import json
import uuid as uuids
from typing import Any

import tiny_guest

from vfioctl.wait import until

DEADLINE = 30.0


class Living:
    """A guest of the lab that is off, whose boot sector hears the power button and echoes on the serial line."""

    def __init__(self, host: Any, *, devices: str = "") -> None:
        self.host, self.uuid = host, str(uuids.uuid4())
        self.name = f"t{self.uuid[:8]}"
        self.disk = tiny_guest.write_disk(host.place / f"{self.name}.raw")
        self.log = host.place / f"{self.name}.log"
        self.define(devices=devices)

    def define(self, *, devices: str = "", usb: str = "none") -> None:
        document = self.host.place / f"{self.name}.xml"
        document.write_text(tiny_guest.DOMAIN.format(
            name=self.name, uuid=self.uuid, disk=self.disk, log=self.log, devices=devices, usb=usb,
        ))  # fmt: skip
        self.host.lab.virsh("define", str(document))

    def cli(self, *argv: str) -> Any:
        """`vfioctl guest ARGV`."""
        return self.host.cli("guest", *argv)

    def done(self, verb: str, *argv: str) -> dict[str, Any]:
        """`vfioctl guest VERB NAME ARGV`, which must succeed; its data."""
        ended = self.cli(verb, self.name, *argv, "--format", "json")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        data: dict[str, Any] = json.loads(ended.stdout)["data"]
        return data

    def refused(self, verb: str, *argv: str, status: int = 3) -> str:
        """The same, which must be refused with nothing done; what it says."""
        before = self.state
        ended = self.cli(verb, self.name, *argv)
        assert ended.returncode == status, ended.stdout + ended.stderr
        assert self.state == before
        return str(ended.stdout + ended.stderr)

    @property
    def state(self) -> str:
        return str(self.host.lab.state(self.name))

    @property
    def boots(self) -> int:
        """How often it has said that it is there."""
        return self.log.read_text(errors="replace").count(tiny_guest.READY) if self.log.exists() else 0

    def wait(self, boots: int = 1) -> None:
        assert until(lambda: self.boots >= boots, DEADLINE), "the guest has not booted"

    def break_(self) -> None:
        """It boots nothing from now on, and hears no button."""
        self.disk.write_bytes(bytes(1 << 20))

    def remove(self) -> None:
        self.host.lab.virsh("destroy", self.name, check=False)
        self.host.lab.virsh("undefine", self.name, "--managed-save", check=False)
