"""What in the definitions of guests is found: each thing once where it is so, and nothing of a guest that is well."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from doctored import Break, every, found, says, writes
from host_tree import Tree
from somebody import without_root

from vfioctl.doctor import guests
from vfioctl.host.memory import PAGE
from vfioctl.testing.domains import domain

CARD, SOUND, OTHER, USB = "0000:01:00.0", "0000:01:00.1", "0000:00:02.0", "0000:03:00.0"
EFI = "<os firmware='efi'><type machine='pc-q35-7.2'>hvm</type></os>"
KEYBOARD = "<input type='evdev'><source dev='/dev/input/by-id/usb-kbd'/></input>"
SHARED = "<shmem name='looking-glass'><model type='ivshmem-plain'/></shmem>"
XML = "etc/libvirt/qemu/win11.xml"


def guest(devices: str = KEYBOARD, *, name: str = "win11", hostdevs: tuple[str, ...] = (CARD,), managed: bool = False,
          rest: str = "", os_: str = EFI) -> Break:  # fmt: skip
    """The change that defines a guest, which has UEFI and a keyboard unless something else is said."""
    text = domain(name, hostdevs=hostdevs, managed=managed, devices=devices, rest=rest)
    start, _, after = text.partition("<os>")
    return writes(f"etc/libvirt/qemu/{name}.xml", start + os_ + after.partition("</os>")[2])


def arguments(*words: str) -> str:
    each = "".join(f"<qemu:arg value='{word}'/>" for word in words)
    return f"<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>{each}</qemu:commandline>"


def controllers(count: int) -> str:
    return "".join(f"<controller type='pci' index='{n}' model='pcie-root-port'/>" for n in range(5, 5 + count))


MANAGED = writes("etc/vfioctl/guests/win11.toml", "")
HUGE = every(writes("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "16\n"),
             writes("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "16\n"),
             writes("proc/self/mounts", "hugetlbfs /dev/hugepages hugetlbfs rw,pagesize=2M 0 0\n"),
             writes("proc/meminfo", "MemTotal: 32000000 kB\nHugepagesize: 2048 kB\n"))  # fmt: skip


def linked(tree: Any) -> None:
    tree.link("etc/libvirt/qemu/autostart/win11.xml", "../win11.xml")


def one_card(tree: Any) -> None:
    (tree.root / f"sys/bus/pci/devices/{OTHER}").unlink()


def on_nvidia(tree: Any) -> None:
    tree.module("nvidia", drivers=("nvidia",))
    (tree.root / f"sys/devices/pci0000:00/{CARD}/driver").unlink()
    tree.bind(CARD, "nvidia")


def boot_card(tree: Any) -> None:
    tree.write(f"sys/devices/pci0000:00/{CARD}/boot_vga", "1\n")


def event(tree: Any) -> None:
    tree.write("dev/input/event7")


def mode(value: int) -> Break:
    return lambda tree: tree.write("dev/shm/looking-glass").chmod(value)


@pytest.fixture(autouse=True)
def keyboard(tree: Any) -> None:
    tree.write("dev/input/by-id/usb-kbd")
    tree.device(USB, driver="xhci_hcd", group=9, **{"class": "0x0c0330"})
    tree.module("xhci_pci", drivers=("xhci_hcd",))


@pytest.mark.parametrize(("change", "code", "severity", "evidence"), [
    (every(guest(managed=True), on_nvidia), "domain.managed_yes", "warn", f"/{XML}"),
    (every(guest(managed=True), boot_card), "domain.managed_yes", "warn", f"/{XML}"),
    (every(guest(), MANAGED, guest(name="linux")), "domain.wants_pinned", "warn", "/etc/libvirt/qemu/linux.xml"),
    (every(guest(), linked, one_card), "domain.starts_at_boot", "warn", "/etc/libvirt/qemu/autostart/win11.xml"),
    (guest(os_="<os><type machine='pc-q35-7.2'>hvm</type></os>"), "domain.no_uefi", "info", "firmware='efi'"),
    (guest(f"{KEYBOARD}<video><model type='qxl' primary='yes'/></video>"), "domain.virtual_display", "info", "<video>"),
    (guest(""), "domain.no_input", "warn", "no USB hostdev"),
    (guest("<input type='evdev'><source dev='/dev/input/by-id/gone'/></input>"), "start.evdev_missing", "warn",
     "/dev/input/by-id/gone"),
    (every(event, guest("<input type='evdev'><source dev='/dev/input/event7'/></input>")), "domain.evdev_number",
     "warn", f"/{XML}"),
    (every(guest(KEYBOARD + SHARED), mode(0o644)), "domain.looking_glass", "warn", "mode 0644"),
    (every(guest(rest=arguments("-object", "memory-backend-file,id=l,mem-path=/dev/kvmfr0")),
           writes("etc/libvirt/qemu.conf", 'cgroup_device_acl = [\n  "/dev/null", "/dev/kvmfr0"\n]\n')),
     "domain.kvmfr_missing", "warn", "/dev/kvmfr0 is not there"),
    (every(guest(rest=arguments("-object", "memory-backend-file,mem-path=/dev/kvmfr0")), writes("dev/kvmfr0", "")),
     "domain.node_not_allowed", "warn", "cgroup_device_acl has no /dev/kvmfr0"),
    (guest(KEYBOARD + controllers(1)), "domain.no_root_port", "info", "<controller>"),
    (every(HUGE, guest(rest="<memoryBacking><hugepages/></memoryBacking>")), "start.hugepages", "warn",
     "/sys/kernel/mm/hugepages"),
])  # fmt: skip
def test_what_would_be_in_the_way_of_a_guest_is_found(tree, change: Break, code, severity, evidence):
    change(tree)
    says(found(guests.findings, tree), code, severity, evidence)


@pytest.mark.parametrize("change", [
    guest(), guest(managed=True), every(guest(managed=True), on_nvidia, MANAGED), every(guest(), MANAGED),
    every(guest(), linked), every(guest(""), guest("", hostdevs=(CARD, USB))),
    guest("<graphics type='spice'/>"), guest("<redirdev bus='usb' type='spicevmc'/>"),
    guest("<hostdev mode='subsystem' type='usb'><source><vendor id='0x1'/><product id='0x2'/></source></hostdev>"),
    guest("", hostdevs=(USB,)), guest(f"{KEYBOARD}<video><model type='none'/></video>"),
    guest(f"{KEYBOARD}{SHARED}<video><model type='vga'/></video>"), every(guest(KEYBOARD + SHARED), mode(0o660)),
    guest(KEYBOARD + controllers(2)), every(guest(), writes("etc/libvirt/qemu/plain.xml", domain("plain"))),
    every(HUGE, writes("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "4096\n"),
          writes("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "4096\n"),
          guest(rest="<memoryBacking><hugepages/></memoryBacking>")),
    every(HUGE, guest(rest=f"<memoryBacking><hugepages><page size='{PAGE}' unit='b'/></hugepages></memoryBacking>")),
])  # fmt: skip
def test_nothing_is_found_of_a_guest_that_is_well(tree, change: Break):
    change(tree)
    assert found(guests.findings, tree) == {}


def test_a_definition_that_is_no_xml_is_named_and_the_others_are_looked_at(tree):
    every(guest(""), writes("etc/libvirt/qemu/broken.xml", "<domain><hostdev>"))(tree)
    told = found(guests.findings, tree)
    assert set(told) == {"domain.malformed", "domain.no_input"}
    assert told["domain.malformed"].evidence == "/etc/libvirt/qemu/broken.xml"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_without_root_it_says_which_definitions_it_could_not_see():
    with tempfile.TemporaryDirectory() as place:  # not below pytest's directory, which is root's alone
        os.chmod(place, 0o755)
        tree = Tree(Path(place))
        guest()(tree)
        (tree.root / "etc/libvirt/qemu").chmod(0o700)
        assert without_root(lambda: set(found(guests.findings, tree)) != {"domain.unseen"}) == 0


# ---------------------------------------------------------------- guests of users


@pytest.fixture
def of_alice(tree: Any) -> Any:
    tree.write("etc/passwd", "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n")
    tree.write("home/alice/.config/libvirt/qemu/games.xml", domain("games", hostdevs=(CARD,)))
    return tree


def test_a_guest_of_a_users_own_daemon_gets_no_device(of_alice):
    says(found(guests.findings, of_alice), "domain.session", "warn", "/home/alice/.config/libvirt/qemu/games.xml")


@pytest.mark.parametrize("change", [
    writes("home/alice/.config/libvirt/qemu/games.xml", domain("games")),
    writes("home/alice/.config/libvirt/qemu/games.xml", "<hostdev"),
    writes("etc/vfioctl/guests/games.toml", ""),  # the hook's check speaks of it
])  # fmt: skip
def test_other_guests_of_users_are_nobodys_business(of_alice, change: Break):
    change(of_alice)
    assert found(guests.findings, of_alice) == {}
