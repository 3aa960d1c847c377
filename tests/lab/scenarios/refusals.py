"""Starts that must be refused: each names what is wrong, and nothing is touched."""

from __future__ import annotations

import glob
import os
import signal

from tests.lab.inside import card, desktop, guest, kernel, managed, programs
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario

# Whatever is behind a bridge to conventional PCI is one IOMMU group: a second card, and a USB controller.
BRIDGE = ("pcie-pci-bridge,id=pci,bus=port1", "secondary-vga,bus=pci,addr=1", "qemu-xhci,bus=pci,addr=2")
SECOND_CARD = "secondary-vga,bus=port1,addr=0.0"
ROM = "/usr/share/vgabios/none.rom"
OTHER_DEVICE = "qemu-xhci,bus=port1,addr=0.0"
# A drive of which the kernel shows the disk below its subsystem, not below the controller (nvme-multipath).
MULTIPATH = (
    "nvme-subsys,id=shared",
    "nvme,id=root,serial=lab,subsys=shared,bus=port1",
    "nvme-ns,bus=root,nsid=1,shared=on,drive=copy",
)
CONTROLLER = "0000:03:00.0"
LOCKED = ("/usr/bin/python3", "-m", "tests.lab.inside.locked")


@scenario(seconds=40, start="boot", devices=BRIDGE)
def group_not_viable(lab: Lab) -> None:
    """Behind the same bridge a device keeps its host driver: refused, with the setting for it."""
    rests(lab)
    with lab.check("a card and a USB controller are in one group") as said:
        (second,) = [one for one in cards() if one != card.GPU]
        (usb,) = [one for one in group_of(second) if card.driver(one) == "xhci_hcd"]
        said.append(f"{second} on {card.driver(second)!r} with {usb}, in {group_of(second)}")
    guest.define("no", (second,))
    refused(lab, usb, "include", touched=(second, usb))


@scenario(seconds=100, start="boot", devices=(SECOND_CARD,))
def moved_card(lab: Lab) -> None:
    """At the address that was pinned for the guest lies another device after a reboot: refused."""
    rests(lab)
    with lab.check("the second card is enabled for the guest"):
        (second,) = [one for one in cards() if one != card.GPU]
        guest.define("no", (second,))
        managed.run("enable", guest.NAME)
    lab.power_cut(another_device, devices=(OTHER_DEVICE,), address=second)


def another_device(lab: Lab) -> None:
    rests(lab)
    address = lab.memory["address"]
    with lab.check("another device lies there now"):
        expect(truth=card.driver(address) == "xhci_hcd", otherwise=f"{address} is on {card.driver(address)!r}")
    refused(lab, address, "pinned", touched=(address,))


@scenario(seconds=8)
def mounted_disk(lab: Lab) -> None:
    """The controller of the disk that / is on is refused."""
    disk = os.path.realpath("/sys/block/vda/device").split("/")[-2]
    guest.define("no", (disk,))
    refused(lab, disk, "mounted", touched=(disk,))


@scenario(seconds=8)
def missing_rom(lab: Lab) -> None:
    """QEMU would give up for want of the card's ROM file: refused, and the desktop does not end for it."""
    with lab.check("the card of the guest has a ROM file that is not there"):
        expect(truth=not os.path.exists(ROM), otherwise=f"there is a {ROM}")
        whole = guest.xml("no").replace("</source></hostdev>", f"</source><rom file='{ROM}'/></hostdev>", 1)
        with open("/run/rom.xml", "w", encoding="utf-8") as file:
            file.write(whole)
        programs.must(["virsh", "define", "/run/rom.xml"])
    refused(lab, ROM, "virsh edit", touched=guest.CARD)


@scenario(seconds=40)
def locked_memory(lab: Lab) -> None:
    """What a process has mapped cannot be read, as its memory map stays locked: refused by name, and not waited for."""
    with lab.check("reading what a process of nobody has mapped does not return") as said:
        programs.as_unit("lab-locked", [*LOCKED, "/run/lab-share"], "WorkingDirectory=/lab")
        pid = int(programs.unit("lab-locked", "MainPID"))
        eventually(lambda: sorted(kernel.states(pid)) == ["D", "S"], 30, lambda: f"{pid}: {kernel.states(pid)}")
        said.append(f"{pid}: {kernel.states(pid)}")
    guest.define("no")
    changes_nothing(lab, f"process {pid}", "does not answer", touched=guest.CARD)
    with lab.check("the commands end, too"):
        programs.must(["vfioctl", "status"])
        programs.must(["vfioctl", "gpu", "holders"])
    with lab.check("when the process is gone, nothing is in the way"):
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: programs.run(["vfioctl", "plan", guest.NAME]).returncode == 0, 30, "plan still refuses")
    managed.has_finished(lab, "refused")


@scenario(seconds=60, start="boot", append="root=/dev/nvme0n1", devices=MULTIPATH)
def multipath_root(lab: Lab) -> None:
    """The controller of an NVMe with multipath that / is on is refused: its disk is below another device."""
    rests(lab)
    with lab.check("/ is on it, and its disk is not below its function") as said:
        expect(truth="/dev/nvme0n1 / " in card.read("/proc/self/mounts"), otherwise="/ is on another disk")
        place = os.path.realpath("/sys/class/block/nvme0n1")
        expect(truth="nvme-subsystem" in place and CONTROLLER not in place, otherwise=place)
        said.append(place)
    guest.define("no", (CONTROLLER,))
    refused(lab, CONTROLLER, "nvme0n1", touched=(CONTROLLER,))


@scenario(seconds=40, start="boot", append="intel_iommu=off")
def iommu_off(lab: Lab) -> None:
    """The kernel was told to leave the IOMMU off: the start is refused, with what turns it on."""
    rests(lab)
    with lab.check("there is no IOMMU group"):
        expect(truth=not glob.glob("/sys/kernel/iommu_groups/*"), otherwise="there are groups")
    refused(lab, "IOMMU", touched=guest.CARD)


def refused(lab: Lab, *words: str, touched: tuple[str, ...]) -> None:
    """virsh start fails with every word in what it says; devices and desktop are as before, and nothing stays."""
    changes_nothing(lab, *words, touched=touched)
    managed.has_finished(lab, "refused")


def changes_nothing(lab: Lab, *words: str, touched: tuple[str, ...]) -> None:
    """virsh start fails with every word in what it says; devices and desktop are as before."""
    before = guest.remember(lab)
    drivers = {address: card.driver(address) for address in touched}
    with lab.check(f"virsh start is refused and says {', '.join(words)}") as said:
        done = programs.run(["virsh", "start", guest.NAME])
        expect(truth=done.returncode != 0, otherwise="the guest started")
        sentence = done.stderr.strip().rpartition("exit status")[2].partition(":")[2].strip()
        for word in words:
            expect(truth=word in sentence, otherwise=f"no {word!r} in: {done.stderr.strip()}")
        said.append(sentence)
    with lab.check("nothing has changed"):
        after = {address: card.driver(address) for address in touched}
        expect(truth=drivers == after, otherwise=f"{drivers} became {after}")
        expect(truth=before == card.snapshot(), otherwise="; ".join(card.differences(before, card.snapshot())))
        expect(truth=desktop.shows_greeter(), otherwise=desktop.what_runs())
        lab.same_picture(guest.PICTURE, 10)


def rests(lab: Lab) -> None:
    with lab.check("the machine has booted to the greeter"):
        eventually(desktop.shows_greeter, 120, desktop.what_runs)
        eventually(lambda: programs.run(["virsh", "version"]).returncode == 0, 60, "libvirtd does not answer")
        lab.channel.ask("still_picture")


def cards() -> list[str]:
    """Addresses of every display controller."""
    devices = sorted(os.listdir("/sys/bus/pci/devices"))
    return [one for one in devices if card.read(f"/sys/bus/pci/devices/{one}/class").startswith("0x03")]


def group_of(address: str) -> list[str]:
    return sorted(os.listdir(f"/sys/bus/pci/devices/{address}/iommu_group/devices"))
