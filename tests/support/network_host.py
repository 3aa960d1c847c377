"""A host with a private libvirtd in a network namespace of its own, where `vfioctl network` is typed."""

from __future__ import annotations

import json
from typing import Any

from networks import NUMBERS, PORT
from snapshot_lab import SnapshotLab

SUBNETS = (f"192.168.{third}.0/24" for third in NUMBERS)  # that no other network has


class NetworkCli:
    """The host, and what is typed there."""

    def __init__(self, lab: Any, place: Any) -> None:
        self.lab, self.inner = lab, SnapshotLab(lab, place)
        self.guests: list[str] = []
        self.backend = ""  # what libvirt keeps its rules with, where a test has chosen it

    def cli(self, *argv: str) -> Any:
        return self.inner.cli("network", *argv)

    def done(self, *argv: str) -> str:
        ended = self.cli(*argv)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return str(ended.stdout)

    def data(self, *argv: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.done(*argv, "--format", "json"))["data"]
        return found

    def problems(self) -> list[str]:
        """The codes of what `check` finds wrong with the network `lab`."""
        ended = self.cli("check", "lab", "--format", "json")
        (row,) = json.loads(ended.stdout)["data"]["networks"]
        assert (ended.returncode == 1) == bool(row["problems"]), ended.stderr
        return [one["code"] for one in row["problems"]]

    def refused(self, *argv: str, status: int = 3) -> str:
        before = self.state()
        ended = self.cli(*argv)
        assert ended.returncode == status, ended.stdout + ended.stderr
        assert self.state() == before, "what is refused changes nothing"
        return str(ended.stdout + ended.stderr)

    def ip(self, *argv: str) -> str:
        """`ip` in the network namespace."""
        return str(self.inner.must("ip", *argv))

    def state(self) -> tuple[str, ...]:
        """Everything that a network leaves on a host: libvirt's lists, files, links, rules, and our journals."""
        links = [line.split(":")[1].strip() for line in self.ip("-o", "link").splitlines()]
        files = self.inner.run("find", "/etc/libvirt/qemu/networks", "/var/lib/libvirt/dnsmasq", "-type", "f").stdout
        kept = [name for name in files.split() if not name.endswith((".leases", ".macs", ".status", ".mac"))]
        listed = self.lab.virsh("net-list", "--all", "--name").stdout.split()
        rules = [line for line in self.inner.run("iptables-save").stdout.splitlines() if "br" in line]
        return tuple(sorted((*links, *kept, *listed, *rules, *self.inner.left_open())))

    def guest(self, network: str, number: int, *, running: bool = True) -> str:
        name = f"{network}-{number}"
        mac = f"52:54:00:0c:00:{number:02x}"
        self.guests.append(name)
        self.lab.define(name, devices=PORT.format(mac=mac, network=network))
        if running:
            self.lab.virsh("start", name)
        return name

    def tidy(self) -> None:
        for name in self.guests:
            self.lab.virsh("destroy", name, check=False)
            self.lab.virsh("undefine", name, check=False)
        for name in self.lab.virsh("net-list", "--all", "--name").stdout.split():
            self.lab.virsh("net-destroy", name, check=False)
            self.lab.virsh("net-undefine", name, check=False)
        self.guests = []
