"""What goes along with a device is what the kernel has in one group with it, and nothing else of its slot."""

from __future__ import annotations

import os

from tests.lab.inside import card, managed, programs, standins
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.guests import Guest, differences, group_of
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario
from tests.lab.scenarios.refusals import rests

PHYSICAL = "0000:03:00.0"
VIRTUAL = (
    "nvme-subsys,id=shared",
    "nvme,id=physical,serial=lab,subsys=shared,bus=port1,sriov_max_vfs=2,sriov_vq_flexible=4,sriov_vi_flexible=2",
)
SLOT = "0000:03:00"


@scenario(seconds=70, start="boot", devices=VIRTUAL)
def virtual_function(lab: Lab) -> None:
    """One of two virtual functions goes alone; meanwhile their physical function is refused, by the guest's name."""
    rests(lab)
    first, second = virtual_functions(lab)
    render, whole = Guest("render", 1, (first,)), Guest("whole", 2, (PHYSICAL,))
    for machine in (render, whole):
        machine.define()
    before, others = render.state(), Guest("others", 3, (PHYSICAL, second)).state()
    render.start(lab)
    with lab.check("the physical function and the other virtual one are as before"):
        now = Guest("others", 3, (PHYSICAL, second)).state()
        expect(truth=now == others, otherwise="; ".join(differences(others, now)))
    whole.is_refused(lab, "render", first, label="the physical function is refused")
    with lab.check("the guest runs on with its virtual function"):
        render.has_devices()
    render.destroy(lab)
    render.is_as(lab, before)
    managed.has_finished(lab, "returned")


def virtual_functions(lab: Lab) -> tuple[str, str]:
    """Make two, without a driver: that of NVMe has no use for them before a namespace is theirs."""
    with lab.check("the physical function has two virtual ones, each in a group of its own") as said:
        place = f"/sys/bus/pci/devices/{PHYSICAL}"
        expect(truth=card.driver(PHYSICAL) == "nvme", otherwise=f"it is on {card.driver(PHYSICAL)!r}")
        standins.write(f"{place}/sriov_drivers_autoprobe", "0")
        standins.write(f"{place}/sriov_numvfs", "2")
        programs.must(["udevadm", "settle"])
        first, second = (os.path.basename(os.readlink(f"{place}/virtfn{number}")) for number in range(2))
        groups = [group_of(address) for address in (PHYSICAL, first, second)]
        expect(truth=len(set(groups)) == len(groups), otherwise=f"the groups are {groups}")
        said.append(f"{first} and {second}, groups {groups}")
    return first, second


@scenario(seconds=45)
def usb_controller_beside_graphics(lab: Lab) -> None:
    """A USB controller in the slot of graphics that the host drives goes alone, as the groups allow it."""
    graphics, usb = f"{SLOT}.0", f"{SLOT}.1"
    with lab.check("graphics and a USB controller share a slot, and no group") as said:
        lab.plug("qemu-xhci,id=usb1,bus=port1,addr=0.1")
        lab.plug("secondary-vga,id=gpu1,bus=port1,addr=0.0,multifunction=on")
        eventually(
            lambda: (card.driver(graphics), card.driver(usb)) == ("bochs-drm", "xhci_hcd"), 60,
            lambda: f"drivers {card.driver(graphics)!r} and {card.driver(usb)!r}",
        )  # fmt: skip
        programs.must(["udevadm", "settle"])
        expect(truth=group_of(graphics) != group_of(usb), otherwise=f"both are in group {group_of(usb)}")
        said.append(f"groups {group_of(graphics)} and {group_of(usb)}")
    machine, beside = Guest("office", 1, (usb,)), Guest("beside", 2, (graphics,))
    machine.define()
    before, others = machine.state(), beside.state()
    machine.start(lab)
    with lab.check("the graphics in its slot are as before"):
        expect(truth=beside.state() == others, otherwise="; ".join(differences(others, beside.state())))
    machine.destroy(lab)
    machine.is_as(lab, before)
    managed.has_finished(lab, "returned")
