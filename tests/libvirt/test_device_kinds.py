"""The step kinds of hot-plug on a real libvirtd and QEMU: a SCSI disk goes at once, a PCI device with the guest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from disk_images import create
from domain_steps import codes, do, state, undo
from libvirt_machine import Guest
from step_builders import planned

from vfioctl.errors import StepFailed, StepRefused
from vfioctl.kinds.libvirt.documents import canonical, drives
from vfioctl.txn.kind import kind
from vfioctl.txn.step import State, Step

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")

BOTH = ("live", "config")
CONTROLLER = "<controller type='scsi' model='virtio-scsi'/>"
DISK = """<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{path}'/>
<target dev='{target}' bus='{bus}'/></disk>"""
USB = """<hostdev mode='subsystem' type='usb'><source><vendor id='0x0781'/><product id='0x{number}'/>{more}</source>
</hostdev>"""
CARD = "<interface type='user'><mac address='52:54:00:00:00:77'/><model type='virtio'/></interface>"


@pytest.fixture
def guest(lab: Any, machine: Any, request: pytest.FixtureRequest) -> Iterator[Guest]:
    made = Guest(lab, machine, f"d{abs(hash(request.node.name))}", devices=CONTROLLER)
    yield made
    made.remove()


def give_acpi(guest: Guest) -> None:
    """Without it a machine of this sort takes no PCI device while it runs."""
    guest.define(guest.xml.replace("</os>", "</os><features><acpi/></features>"))


def give_usb(guest: Guest) -> None:
    guest.define(guest.xml.replace("index='0' model='none'", "index='0' model='qemu-xhci'"))


def image(guest: Guest, name: str = "more") -> str:
    return create(guest.machine.paths.at(f"srv/{guest.name}.{name}.qcow2"))


def disk(guest: Guest, *, bus: str = "scsi", name: str = "more") -> str:
    return DISK.format(path=image(guest, name), target="vdb" if bus == "virtio" else "sda", bus=bus)


def attach(guest: Guest, device: str, *where: str, deadline: float = 30.0) -> Step:
    params = {**guest.about, "blob": guest.blob(device), "where": list(where or BOTH)}
    return planned(guest.machine, "device.attach", params, deadline=deadline)


def detach(guest: Guest, device: str, *where: str, deadline: float = 30.0) -> Step:
    params = {**guest.about, "blob": guest.blob(device), "where": list(where or BOTH)}
    return planned(guest.machine, "device.detach", params, deadline=deadline)


def targets(guest: Guest) -> tuple[set[str], set[str]]:
    """The disks of the running guest, and of its configuration."""
    live = set(drives(guest.handle.XMLDesc(0))) if guest.handle.isActive() else set()
    return live, set(drives(guest.xml))


def test_a_guest_that_is_off_gets_a_disk_with_its_configuration(guest: Guest) -> None:
    before, step = canonical(guest.xml), attach(guest, disk(guest), "config")
    assert codes(step, guest.machine) == []
    assert state(step, guest) is State.BEFORE
    assert do(step, guest) is None
    assert targets(guest) == (set(), {"vda", "sda"})
    assert state(step, guest) is State.AFTER
    assert do(step, guest) == "it has it already"
    assert undo(step, guest) is None
    assert canonical(guest.xml) == before


def test_a_running_guest_gets_a_disk_at_once_and_for_good_and_loses_it_again(guest: Guest) -> None:
    before, step = canonical(guest.xml), attach(guest, disk(guest))
    guest.start()
    assert do(step, guest) is None
    assert targets(guest) == ({"vda", "sda"}, {"vda", "sda"})
    assert undo(step, guest) is None
    assert targets(guest) == ({"vda"}, {"vda"})
    assert canonical(guest.xml) == before


@pytest.mark.parametrize("place", BOTH)
def test_what_a_kill_leaves_in_one_place_is_known_and_taken_back_or_finished(guest: Guest, place: str) -> None:
    device = disk(guest)
    guest.start()
    do(attach(guest, device, place), guest)
    step = attach(guest, device)
    assert state(step, guest) is State.BETWEEN
    assert do(step, guest) is None
    assert state(step, guest) is State.AFTER
    undo(step, guest)
    assert targets(guest) == ({"vda"}, {"vda"})


def test_a_disk_of_somebody_else_under_that_target_stays(guest: Guest) -> None:
    step, theirs = attach(guest, disk(guest)), disk(guest, name="theirs")
    guest.start()
    guest.handle.attachDeviceFlags(theirs, 3)
    assert codes(step, guest.machine) == ["device.exists"]
    assert state(step, guest) is State.FOREIGN
    assert undo(step, guest) == "it does not have it"
    assert targets(guest) == ({"vda", "sda"}, {"vda", "sda"})
    assert "stays" in kind(step.kind).foreign(step, guest.machine)


@pytest.mark.parametrize("where", [BOTH, ("config",)], ids=["running", "off"])
def test_a_network_card_is_known_by_its_mac(guest: Guest, where: tuple[str, ...]) -> None:
    give_acpi(guest)
    step = attach(guest, CARD, *where)
    if "live" in where:
        guest.start()
    assert do(step, guest) is None
    assert state(step, guest) is State.AFTER
    assert "52:54:00:00:00:77" in guest.xml


@pytest.mark.parametrize("more", ["", "<address bus='1' device='12'/>"], ids=["by its identity", "by its numbers"])
def test_a_usb_device_of_the_host_comes_and_goes_with_the_configuration(guest: Guest, more: str) -> None:
    give_usb(guest)
    before, device = canonical(guest.xml), USB.format(number="5581", more=more)
    do(attach(guest, USB.format(number="5582", more=""), "config"), guest)
    step = attach(guest, device, "config")
    assert do(step, guest) is None
    assert state(step, guest) is State.AFTER
    assert codes(attach(guest, device, "config"), guest.machine) == ["device.exists"]
    gone = detach(guest, device, "config")
    assert do(gone, guest) is None
    assert "0x5582" in guest.xml
    assert undo(gone, guest) is None
    assert state(step, guest) is State.FOREIGN, "it is another one than was attached"
    do(detach(guest, device, "config"), guest)
    undo(attach(guest, USB.format(number="5582", more=""), "config"), guest)
    do(detach(guest, USB.format(number="5582", more=""), "config"), guest)
    assert canonical(guest.xml) == before


def test_one_of_two_usb_devices_that_are_alike_goes_by_its_numbers(guest: Guest) -> None:
    give_usb(guest)
    twins = [USB.format(number="5581", more=f"<address bus='1' device='{number}'/>") for number in (12, 13)]
    for twin in twins:
        do(attach(guest, twin, "config"), guest)
    do(detach(guest, twins[1], "config"), guest)
    assert "device='12'" in guest.xml
    assert "device='13'" not in guest.xml


def test_a_device_that_the_guest_does_not_let_go_of_is_named_and_stays_configured(guest: Guest) -> None:
    """Nothing in this guest hears that a PCI device is to go."""
    give_acpi(guest)
    do(attach(guest, disk(guest, bus="virtio"), "config"), guest)
    guest.start()
    step = detach(guest, DISK.format(path=f"{guest.machine.paths.root}/srv/{guest.name}.more.qcow2", target="vdb",
                                     bus="virtio"), deadline=8.0)  # fmt: skip
    with pytest.raises(StepFailed) as caught:
        do(step, guest)
    assert caught.value.code == "guest.holds"
    assert targets(guest) == ({"vda", "vdb"}, {"vda", "vdb"})


def test_a_guest_loses_a_disk_and_gets_it_again(guest: Guest) -> None:
    device = disk(guest)
    do(attach(guest, device, "config"), guest)
    guest.start()
    step = detach(guest, device)
    assert codes(step, guest.machine) == []
    assert state(step, guest) is State.BEFORE
    assert do(step, guest) is None
    assert targets(guest) == ({"vda"}, {"vda"})
    assert state(step, guest) is State.AFTER
    assert do(step, guest) == "it does not have it"
    assert undo(step, guest) is None
    assert targets(guest) == ({"vda", "sda"}, {"vda", "sda"})


def test_a_disk_that_was_changed_since_the_plan_is_not_detached(guest: Guest) -> None:
    step = detach(guest, disk(guest), "config")
    assert codes(step, guest.machine) == ["device.changed"]
    guest.handle.attachDeviceFlags(disk(guest, name="theirs"), 2)
    assert codes(step, guest.machine) == ["device.changed"]
    assert state(step, guest) is State.FOREIGN
    with pytest.raises(StepRefused):
        do(step, guest)


def test_a_saved_guest_gets_nothing(guest: Guest) -> None:
    guest.start()
    guest.handle.managedSave(0)
    assert codes(attach(guest, disk(guest), "config"), guest.machine) == ["domain.saved"]


def test_what_is_no_disk_and_no_card_is_refused(guest: Guest) -> None:
    assert codes(attach(guest, "<rng model='virtio'/>", "config"), guest.machine) == ["device.malformed"]


# device.media

DRIVE = "<disk type='file' device='cdrom'>{source}<target dev='hdc' bus='ide'/><readonly/></disk>"


def drive(path: str) -> str:
    return DRIVE.format(source=f"<source file='{path}'/>" if path else "")


@pytest.fixture
def media(guest: Guest) -> tuple[str, str]:
    """Two media; the guest has an empty drive."""
    paths = tuple(guest.machine.paths.at(f"srv/{guest.name}-{name}.iso") for name in ("one", "two"))
    for path in paths:
        Path(path).write_bytes(bytes(1 << 16))
    guest.handle.attachDeviceFlags(drive(""), 2)  # VIR_DOMAIN_AFFECT_CONFIG
    return paths[0], paths[1]


def change(guest: Guest, former: str, wanted: str, *where: str) -> Step:
    params = {**guest.about, "blob": guest.blob(drive(wanted)), "former": guest.blob(drive(former)),
              "where": list(where or BOTH)}  # fmt: skip
    return planned(guest.machine, "device.media", params, deadline=30.0)


def medium(guest: Guest) -> tuple[str, str]:
    """What is in the drive of the running guest, and of its configuration."""
    live = drives(guest.handle.XMLDesc(0)).get("hdc", "") if guest.handle.isActive() else ""
    return live, drives(guest.xml).get("hdc", "")


def test_a_medium_is_put_in_and_changed_and_taken_out(guest: Guest, media: tuple[str, str]) -> None:
    one, two = media
    guest.start(paused=True)  # while it boots, its firmware closes the tray again
    first = change(guest, "", one)
    assert codes(first, guest.machine) == []
    assert state(first, guest) is State.BEFORE
    assert do(first, guest) is None
    assert medium(guest) == (one, one)
    assert state(first, guest) is State.AFTER
    assert do(first, guest) == "it has that medium already"
    second = change(guest, one, two)
    assert do(second, guest) is None
    assert undo(second, guest) is None
    assert medium(guest) == (one, one)
    assert undo(first, guest) is None
    assert medium(guest) == ("", "")


def test_a_medium_that_a_kill_has_left_in_one_place_is_known(guest: Guest, media: tuple[str, str]) -> None:
    step = change(guest, "", media[0])
    guest.start(paused=True)  # while it boots, its firmware closes the tray again
    do(change(guest, "", media[0], "config"), guest)
    assert state(step, guest) is State.BETWEEN
    assert do(step, guest) is None
    assert medium(guest) == (media[0], media[0])


def test_a_medium_that_somebody_else_has_put_in_stays(guest: Guest, media: tuple[str, str]) -> None:
    step = change(guest, "", media[0], "config")
    guest.handle.updateDeviceFlags(drive(media[1]), 2)
    assert codes(step, guest.machine) == ["device.changed"]
    assert state(step, guest) is State.FOREIGN
    assert "stays so" in kind(step.kind).foreign(step, guest.machine)
