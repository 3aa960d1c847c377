"""Kept addresses that change hands on a real libvirtd, killed at every boundary: all as before, or all as wished."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from libvirt_machine import uri_of
from networks import NetworkHost, Wanted
from operation_host import killed_at

from vfioctl.txn.plan import Unfinished
from vfioctl.virt.networks import parse_network

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
entries = pytest.importorskip("vfioctl_network.entries")
pytestmark = pytest.mark.matrix
each_boundary = pytest.mark.parametrize("number", range(1, 7))

MACS = ("52:54:00:00:00:14", "52:54:00:00:00:15")  # of the hosts 20 and 21
SWAPPED = {MACS[0]: "21", MACS[1]: "20"}


class LeaseHost(NetworkHost):
    """A host whose operation swaps the addresses that an active network keeps for two guests."""

    def furnish(self) -> None:
        self.handle = self.opened.libvirt.networkDefineXML(self.wanted.xml)
        self.handle.create()
        for number in (20, 21):
            self.handle.update(3, 4, 0, self.wanted.host(number, f"g{number}"), 3)  # add the last, a DHCP host, both

    def wishes(self) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
        about = {"uri": uri_of(self.lab), "uuid": self.wanted.uuid}
        keep = [(mac, f"192.168.{self.wanted.third}.{last}") for mac, last in SWAPPED.items()]
        changes = entries.lease_changes(parse_network(self.handle.XMLDesc(1)), (), keep, ())
        return [(f"lease:{number}", "network.update", {
            **about, "section": one.section, "index": one.index, "former": one.former, "entry": one.entry,
            "beside": list(entries.beside(one, changes)),
        }) for number, one in enumerate(changes)]  # fmt: skip

    def kept(self) -> list[dict[str, str]]:
        """The last number of each MAC's address: live, and as configured."""
        documents = [ET.fromstring(self.handle.XMLDesc(flags)) for flags in (0, 1)]
        return [
            {host.get("mac", ""): host.get("ip", "").rpartition(".")[2] for host in root.iterfind("ip/dhcp/host")}
            for root in documents
        ]


@pytest.fixture(scope="module")
def lab(network_lab: Any) -> Any:
    network_lab.start()
    return network_lab


@pytest.fixture
def on(lab: Any, tmp_path: Path) -> Iterator[LeaseHost]:
    tmp_path.chmod(0o755)
    wanted = Wanted()
    host = LeaseHost(tmp_path, lab, wanted)
    yield host
    host.remove()


@each_boundary
def test_each_has_its_own_address_again(on: LeaseHost, number: int) -> None:
    before = on.kept()
    killed_at(on, number)
    ended = on.recover_uninstalled()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert on.kept() == before
    assert on.left() == ()


@each_boundary
def test_what_is_to_be_finished_is_finished(on: LeaseHost, number: int) -> None:
    killed_at(on, number, Unfinished.FINISH)
    ended = on.command("recover")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert on.kept() == [SWAPPED, SWAPPED]
    assert on.left() == ()


def test_an_address_that_somebody_else_took_meanwhile_is_refused_before_the_write(on: LeaseHost) -> None:
    """The first step lets go of it; by then it is somebody else's."""
    killed_at(on, 2, Unfinished.FINISH)
    theirs = on.wanted.host(20, "other").replace(MACS[0], "52:54:00:00:00:ff")
    on.handle.update(3, 4, 0, theirs, 3)
    ended = on.command("recover")
    assert ended.returncode != 0
    assert "was changed since the plan" in ended.stdout + ended.stderr
    assert all(one["52:54:00:00:00:ff"] == "20" for one in on.kept())
