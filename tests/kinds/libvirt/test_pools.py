"""Which guests keep a pool from being stopped or deleted, on libvirt's test driver."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.pools import must_be_unused
from vfioctl.virt.connection import Connection, connect
from vfioctl.virt.nodes import Node

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
GUEST = """<domain type='test'><name>web</name><memory>8192</memory><os><type>hvm</type></os>
<devices><disk type='file'><source file='/srv/fast/web.qcow2'/><target dev='vda'/></disk></devices></domain>"""
CEPH = "<pool type='rbd'><name>ceph</name><source><host name='mon'/><name>rbd</name></source></pool>"
FAST = "<pool type='dir'><name>fast</name><target><path>/srv/fast</path></target></pool>"


class OnTheTestDriver:
    """A machine with one guest, whichever libvirt is asked."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def libvirt(self, uri: str) -> Connection:
        return self.connection


@pytest.fixture
def machine() -> Iterator[Any]:
    connection = connect(Node("mock", "test:///default"))
    guest = connection.libvirt.defineXML(GUEST)
    yield OnTheTestDriver(connection)
    guest.undefine()
    connection.close()


@pytest.mark.parametrize("uri", ["qemu:///system", "qemu+ssh://elsewhere/system"])
def test_a_pool_without_a_directory_is_not_used_by_every_guest(machine: Any, uri: str) -> None:
    must_be_unused(machine, {"uri": uri}, CEPH, "deleted", running=False)
    with pytest.raises(StepRefused, match="web"):
        must_be_unused(machine, {"uri": uri}, FAST, "deleted", running=False)
