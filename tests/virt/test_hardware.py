"""What a guest's XML says of its machine."""

from __future__ import annotations

import pytest

from vfioctl.virt.hardware import GuestInterface, guest_interfaces, guest_machine

XML = """\
<domain type='kvm'><name>g</name><memory unit='KiB'>2097152</memory><vcpu placement='static' current='2'>4</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <devices>
    <interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/><model type='virtio'/>
      <target dev='vnet3'/></interface>
    <interface type='bridge'><mac address='52:54:00:00:00:02'/><source bridge='br0'/></interface>
    <serial type='pty'><source path='/dev/pts/3'/></serial>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>
    <graphics type='vnc' port='5901' autoport='yes' listen='127.0.0.1'/>
    <graphics type='spice'><listen type='socket' socket='/run/spice'/></graphics>
  </devices>
</domain>
"""


def test_cpus_and_memory_are_those_that_it_starts_with() -> None:
    machine = guest_machine(XML)
    assert (machine.cpus, machine.memory, machine.machine) == (2, 2 << 30, "pc-q35-7.2")


@pytest.mark.parametrize(("unit", "size"), [("MiB", 512 << 20), ("GB", 512 * 10**9), ("b", 512)])
def test_memory_is_read_in_each_unit_that_libvirt_takes(unit: str, size: int) -> None:
    assert guest_machine(f"<domain><memory unit='{unit}'>512</memory></domain>").memory == size


def test_displays_and_the_serial_port_are_named() -> None:
    machine = guest_machine(XML)
    assert machine.displays == ("vnc 127.0.0.1:5901", "spice /run/spice")
    assert machine.serial == "pty"


def test_the_agent_is_connected_or_not_or_has_no_channel() -> None:
    assert guest_machine(XML).agent == "connected"
    assert guest_machine(XML.replace(" state='connected'", "")).agent == "disconnected"
    assert guest_machine("<domain/>").agent == ""


def test_network_cards_come_in_the_order_of_the_xml() -> None:
    assert guest_interfaces(XML) == (
        GuestInterface("52:54:00:00:00:01", "network", "default", "virtio", "vnet3"),
        GuestInterface("52:54:00:00:00:02", "bridge", "br0"),
    )
