"""Networks of a private libvirtd, as XML, and one operation that makes one; subnets that no other test has."""

from __future__ import annotations

import itertools
import uuid as uuids
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from libvirt_machine import uri_of
from operation_host import OperationHost

from vfioctl.txn import blobs
from vfioctl.virt.connection import connect
from vfioctl.virt.nodes import of_uri

NUMBERS = itertools.count(10)
HOST = "<host mac='52:54:00:00:00:{number:02x}' name='{name}' ip='192.168.{third}.{number}'/>"
PORT = "<interface type='network'><mac address='{mac}'/><source network='{network}'/><model type='virtio'/></interface>"


class Wanted:
    """A network that is not there yet: an isolated one with DHCP, on a bridge and a subnet of its own."""

    def __init__(self, name: str = "") -> None:
        self.third = next(NUMBERS)
        self.name, self.uuid = name or f"n{self.third}", str(uuids.uuid4())

    @property
    def xml(self) -> str:
        subnet = f"192.168.{self.third}"
        return f"""<network><name>{self.name}</name><uuid>{self.uuid}</uuid>
          <bridge name='tbr{self.third}' stp='off' delay='0'/><mac address='52:54:00:0a:00:{self.third:02x}'/>
          <ip address='{subnet}.1' prefix='24'><dhcp><range start='{subnet}.100' end='{subnet}.200'/></dhcp></ip>
          </network>"""

    def host(self, number: int, name: str) -> str:
        """A static lease."""
        return HOST.format(number=number, name=name, third=self.third)

    def port(self, mac: str = "52:54:00:0b:00:01") -> str:
        """The interface of a guest on it."""
        return PORT.format(mac=mac, network=self.name)


class NetworkHost(OperationHost):
    """A host whose operation defines a network, starts it, and has it start with libvirt; on the libvirtd of `lab`."""

    name = "network set"
    ours = ()

    def __init__(self, root: Path, lab: Any, wanted: Wanted) -> None:
        self.lab, self.wanted = lab, wanted
        self.opened = connect(of_uri(uri_of(lab)))
        super().__init__(root)
        self.networks = self.listed()

    def reopen(self) -> None:
        """The connection, after a restart of the daemon."""
        self.opened.close()
        self.opened = connect(of_uri(uri_of(self.lab)))

    def listed(self) -> dict[str, tuple[str, bool]]:
        """Every network's UUID, and whether it is active, by its name."""
        return {one.name(): (one.UUIDString(), bool(one.isActive())) for one in self.opened.libvirt.listAllNetworks()}

    def wishes(self) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
        about = {"uri": uri_of(self.lab), "uuid": self.wanted.uuid}
        blob = blobs.store(self.node.paths, self.wanted.xml.encode()).name
        return (
            ("define", "network.define", {**about, "blob": blob}),
            ("start", "network.start", {**about, "new": True}),
            ("autostart", "network.autostart", {**about, "on": True, "former": False, "new": True}),
        )  # fmt: skip

    def remove(self) -> None:
        """The network, and what has its name, however they were left."""
        for one in self.opened.libvirt.listAllNetworks():
            if self.wanted.name in (one.name(), one.UUIDString()) or self.wanted.uuid == one.UUIDString():
                if one.isActive():
                    one.destroy()
                one.undefine()
        self.opened.close()
