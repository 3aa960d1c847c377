"""libvirt's networks by the files that it keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from vfioctl.host.networks import NetworkState, bridge, state
from vfioctl.paths import Paths

DEFINED, AUTOSTART = "etc/libvirt/qemu/networks/lab.xml", "etc/libvirt/qemu/networks/autostart/lab.xml"
ACTIVE, AUTOSTARTED = "run/libvirt/network/lab.xml", "run/libvirt/network/autostarted"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ((), NetworkState.UNKNOWN),  # no daemon has run since the boot
        ((AUTOSTARTED,), NetworkState.ABSENT),
        ((DEFINED,), NetworkState.INACTIVE),
        ((DEFINED, AUTOSTART), NetworkState.UNKNOWN),  # it is started when the daemon is
        ((DEFINED, AUTOSTART, AUTOSTARTED), NetworkState.INACTIVE),
        ((DEFINED, ACTIVE), NetworkState.ACTIVE),
        ((ACTIVE,), NetworkState.ACTIVE),  # a transient one
    ],
)
def test_the_state_of_a_network(tmp_path, files, expected):
    for file in files:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert state(Paths(str(tmp_path)), "lab") is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("<networkstatus><network><bridge name='virbr0' stp='on'/></network></networkstatus>", "virbr0"),
        ("<networkstatus><network><bridge stp='on' name=\"br1\"/></network></networkstatus>", "br1"),
        ("<networkstatus><network><forward mode='hostdev'/></network></networkstatus>", None),
    ],
)
def test_the_bridge_of_an_active_network(tmp_path: Path, status, expected):
    path = tmp_path / ACTIVE
    path.parent.mkdir(parents=True)
    path.write_text(status)
    assert bridge(Paths(str(tmp_path)), "lab") == expected
