"""Which guests keep a network from being stopped or deleted, on libvirt's test driver."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.networks import Network
from vfioctl.virt.connection import connect
from vfioctl.virt.nodes import Node

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
GUEST = """<domain type='test'><name>{name}</name><memory>8192</memory><os><type>hvm</type></os>
<devices><interface type='{sort}'><source {sort}='{source}'/></interface></devices></domain>"""
ADDRESS = "<ip address='192.168.99.1' prefix='24'/>"


@pytest.fixture
def libvirt() -> Iterator[Any]:
    connection = connect(Node("mock", "test:///default"))
    yield connection.libvirt
    for guest in connection.libvirt.listAllDomains():
        if guest.name() in ("mail", "web"):
            guest.destroy()
            guest.undefine()
    for network in connection.libvirt.listAllNetworks():
        if network.name() == "lab":
            network.destroy()
            network.undefine()
    connection.close()


def network(libvirt: Any, inside: str) -> Network:
    """An active one above `br0`."""
    made = libvirt.networkDefineXML(f"<network><name>lab</name>{inside}<bridge name='br0'/></network>")
    made.create()
    return Network(libvirt, made.UUIDString())


def guest(libvirt: Any, name: str, sort: str, source: str) -> None:
    libvirt.defineXML(GUEST.format(name=name, sort=sort, source=source)).create()


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("inside", [
    ADDRESS, f"<forward/>{ADDRESS}", f"<forward mode='nat'/>{ADDRESS}", f"<forward mode='route'/>{ADDRESS}",
    f"<forward mode='open'/>{ADDRESS}",
])  # fmt: skip
def test_a_guest_that_names_the_bridge_of_a_network_loses_it_with_that(
    libvirt: Any, inside: str, *, running: bool
) -> None:
    made = network(libvirt, inside)
    guest(libvirt, "mail", "bridge", "br0")
    with pytest.raises(StepRefused, match="mail"):
        made.must_be_free(running=running)


@pytest.mark.parametrize("running", [True, False])
def test_a_bridge_of_the_host_stays_when_a_network_above_it_goes(libvirt: Any, *, running: bool) -> None:
    made = network(libvirt, "<forward mode='bridge'/>")
    guest(libvirt, "mail", "bridge", "br0")
    made.must_be_free(running=running)


@pytest.mark.parametrize("running", [True, False])
def test_a_guest_that_names_such_a_network_is_on_it(libvirt: Any, *, running: bool) -> None:
    made = network(libvirt, "<forward mode='bridge'/>")
    guest(libvirt, "mail", "bridge", "br0")
    guest(libvirt, "web", "network", "lab")
    with pytest.raises(StepRefused, match="web") as refused:
        made.must_be_free(running=running)
    assert "mail" not in refused.value.message
