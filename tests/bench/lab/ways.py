"""The ways to hand the card over that are compared: what libvirt calls as its hook, and the guest's domain.

Runs in the lab's machine. Puts one way in place of the other; times nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from tests.lab.inside import card, guest, standins
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.guests import Guest
from tests.lab.inside.managed import HOOK

KEPT = "/var/lib/libvirt/50-vfioctl"  # ours, while another way is in its place
COUNTED = "/run/bench-sleeps-are-counted"
GUEST = Guest("bench", 9, guest.CARD)
BUS = "/sys/bus/pci"

# What the kernel has to be told, and no more; it binds its console again by itself.
FLOOR = f"""#!/bin/sh
to() {{
    echo "$2" >{BUS}/devices/$1/driver_override
    echo "$1" >{BUS}/devices/$1/driver/unbind
    echo "$1" >{BUS}/drivers_probe
}}
case $2 in
prepare)
    echo 0 >CONSOLE/bind
    to {card.GPU} vfio-pci
    to {card.SOUND} vfio-pci
    ;;
release)
    to {card.GPU} ''
    to {card.SOUND} ''
    ;;
esac
"""
FLOOR_WRITES = 13  # 1 and 2 functions x 3 on the way out, 2 x 3 back

# What guides tell people to write, less the display manager, as no desktop runs here. Its waits, 5 and 10 s, are slept
# until COUNTED exists.
USUAL = f"""#!/bin/bash
wait_for() {{ [ -e {COUNTED} ] || sleep "$1"; }}
case "$2/$3" in
prepare/begin)
    for console in /sys/class/vtconsole/vtcon*; do echo 0 >"$console/bind"; done
    echo efi-framebuffer.0 >/sys/bus/platform/drivers/efi-framebuffer/unbind
    wait_for 5
    virsh nodedev-detach pci_0000_01_00_0
    virsh nodedev-detach pci_0000_01_00_1
    modprobe vfio-pci
    ;;
release/end)
    virsh nodedev-reattach pci_0000_01_00_0
    virsh nodedev-reattach pci_0000_01_00_1
    wait_for 10
    for console in /sys/class/vtconsole/vtcon*; do echo 1 >"$console/bind"; done
    ;;
esac
exit 0
"""
USUAL_WAITS = 15.0


@dataclass(frozen=True, slots=True)
class Way:
    """One of them: `hook` is a script, "" for none, and OURS for the one that is installed."""

    name: str
    what: str
    hook: str = ""
    managed: str = "no"
    given: bool = False  # both functions are on vfio-pci already, and stay there

    def begins(self) -> None:
        """Put it in the place of the last one; the card is where this way expects it."""
        GUEST.define(managed=self.managed)
        if self.hook == OURS:
            os.replace(KEPT, HOOK)
        elif self.hook:
            _script(HOOK, self.hook)
        if self.given:
            moved("vfio-pci")

    def ends(self) -> None:
        """Take it away again; the card is on its own drivers."""
        if self.given:
            moved("")
        eventually(is_home, 60, card.where)
        if self.hook == OURS:
            os.replace(HOOK, KEPT)
        elif self.hook:
            os.unlink(HOOK)


def _script(path: str, text: str) -> None:
    console = next(base for base in _consoles() if card.read(f"{base}/name") == card.FRAMEBUFFER)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("CONSOLE", console))
    os.chmod(path, 0o755)


def _consoles() -> list[str]:
    base = "/sys/class/vtconsole"
    return [f"{base}/{name}" for name in os.listdir(base)]


def moved(override: str) -> None:
    """Both functions to the driver `override`, or back to their own."""
    for address in guest.CARD:
        standins.write(f"{BUS}/devices/{address}/driver_override", f"{override}\n")
        standins.write(f"{BUS}/devices/{address}/driver/unbind", address)
        standins.write(f"{BUS}/drivers_probe", address)


def is_home() -> bool:
    """On its own drivers, with its console and the node of its sound, which comes last."""
    return card.is_home() and os.path.exists("/dev/snd/controlC0")


def aside() -> None:
    """Take vfioctl's hook away, until its own turn."""
    expect(truth=os.path.exists(HOOK), otherwise=f"there is no {HOOK}")
    os.replace(HOOK, KEPT)


OURS = "vfioctl"
FLOOR_WAY = Way("floor", "a shell script with the needed writes under /sys", FLOOR)
OUR_WAY = Way("vfioctl", "vfioctl's hook", OURS)
USUAL_WAY = Way("usual script", "waits of 5 and 10 s, `virsh nodedev-detach` and `-reattach`", USUAL)
# libvirt keeps a device of a managed='no' run as one that it must not give back; the reattach before this cures that.
LIBVIRT_WAY = Way("libvirt", "managed='yes' and no hook", managed="yes")
ALONE_WAY = Way("guest alone", "no hook, the card is on vfio-pci before and after", given=True)
WAYS = (FLOOR_WAY, OUR_WAY, USUAL_WAY, LIBVIRT_WAY, ALONE_WAY)
