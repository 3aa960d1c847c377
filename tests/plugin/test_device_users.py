"""Which guests name a device of the host, in whatever words."""

from __future__ import annotations

from vfioctl.events.qemu_arguments import NAMESPACE
from vfioctl.plugin.device_users import taken_devices, users

GUEST = """
<domain type='kvm'><devices>
  <hostdev mode='subsystem' type='pci'><source>
    <address domain='0x0000' bus='0x0a' slot='0x1f' function='0x7'/></source></hostdev>
  <hostdev mode='subsystem' type='usb'><source><vendor id='0x0781'/><product id='0x5581'/></source></hostdev>
  <hostdev mode='subsystem' type='usb'><source><address bus='1' device='12'/></source></hostdev>
  <hostdev mode='subsystem' type='mdev'><source>
    <address uuid='c2177883-f1bb-47f0-914d-32a22e3a8804'/></source></hostdev>
  <interface type='hostdev'><source><address type='pci' domain='0x0000' bus='0x03' slot='0x10' function='0x1'/></source>
  </interface>
  <interface type='direct'><source dev='eth0' mode='bridge'/></interface>
  <interface type='bridge'><source bridge='br0'/></interface>
  <interface type='network'><source network='default'/></interface>
  <disk type='block' device='disk'><source dev='/dev/sdb'/></disk>
  <disk type='file' device='disk'><source file='/images/a.qcow2'/></disk>
  <disk type='nvme' device='disk'><source type='pci' managed='yes' namespace='1'>
    <address domain='0x0000' bus='0x02' slot='0x00' function='0x0'/></source></disk>
</devices></domain>"""


def test_what_a_guest_names_is_its_own() -> None:
    assert set(users([("win11", GUEST), ("off", "")])) == {
        ("pci", "0000:0a:1f.7"), ("usb", "0781:5581"), ("usb", "001:012"), ("pci", "0000:03:10.1"),
        ("network", "eth0"), ("network", "br0"), ("disk", "/dev/sdb"), ("pci", "0000:02:00.0"),
        ("mdev", "c2177883-f1bb-47f0-914d-32a22e3a8804"),
    }  # fmt: skip


def test_a_drive_below_an_image_is_named_as_well() -> None:
    below = "<backingStore type='nvme'><source type='pci'><address bus='0x02' slot='0x00'/></source></backingStore>"
    disk = f"<disk type='file'><source file='/top.qcow2'/>{below}</disk>"
    assert set(users([("nas", f"<domain><devices>{disk}</devices></domain>")])) == {("pci", "0000:02:00.0")}


def test_several_guests_may_name_one_device() -> None:
    assert users([("win11", GUEST), ("win10", GUEST)])["pci", "0000:0a:1f.7"] == {"win10", "win11"}


def test_what_a_guest_gets_more_is_taken_where_another_one_names_it() -> None:
    others, nothing = [("win10", GUEST), ("off", "")], "<domain/>"
    taken = taken_devices(nothing, GUEST, others)
    assert taken["pci", "0000:0a:1f.7"] == {"win10"}
    assert {kind for kind, _ in taken} <= {"pci", "usb"}, "a wire may be shared"
    assert taken_devices(GUEST, GUEST, others) == {}
    assert taken_devices(nothing, GUEST, [("win10", nothing)]) == {}


def test_a_device_in_qemus_arguments_is_the_guests_own() -> None:
    arguments = "<qemu:arg value='-device'/><qemu:arg value='vfio-pci,host=02:00.0'/>"
    xml = f"<domain xmlns:qemu='{NAMESPACE}'><qemu:commandline>{arguments}</qemu:commandline></domain>"
    assert users([("nas", xml)]) == {("pci", "0000:02:00.0"): {"nas"}}
