"""libvirt's own test driver: a daemon without a machine, which lives and ends with the connection."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vfioctl.virt.connection import Connection, connect
from vfioctl.virt.nodes import Node


@pytest.fixture
def mock() -> Iterator[Connection]:
    pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
    with connect(Node("mock", "test:///default")) as connection:
        yield connection
