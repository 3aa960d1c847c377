"""The nested guest: emulated, with functions of the card. Defines, starts and stops it.

Its disk is one boot sector that waits for a key and powers off, so a power-off from inside takes no operating system.
"""

from __future__ import annotations

import os
import signal

from tests.lab.inside import card, desktop, programs
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.lab import Lab

NAME = "lab"
UUID = "11111111-2222-4333-8444-555555555555"
DISK = "/var/lib/libvirt/images/lab.img"
CARD = (card.GPU, card.SOUND)
USB = "0000:02:00.0"
PICTURE = "before"
# mov ah,0; int 16h: wait for a key. Then 2000h to q35's PM1a control register at 604h: ACPI's S5.
BOOT_SECTOR = bytes.fromhex("b400 cd16 ba0406 b80020 ef f4 ebfd").ljust(510, b"\0") + b"\x55\xaa"


def hostdev(address: str, managed: str) -> str:
    domain, bus, slot_function = address.split(":")
    slot, function = slot_function.split(".")
    source = f"domain='0x{domain}' bus='0x{bus}' slot='0x{slot}' function='0x{function}'"
    return f"<hostdev mode='subsystem' type='pci' managed='{managed}'><source><address {source}/></source></hostdev>"


def xml(managed: str, devices: tuple[str, ...] = CARD, name: str = NAME, uuid: str = UUID) -> str:
    """The domain XML."""
    return f"""<domain type='qemu'>
  <name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>256</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{DISK}'/>
      <target dev='vda' bus='virtio'/><readonly/><shareable/></disk>
    <controller type='usb' model='none'/><memballoon model='none'/>
    {"".join(hostdev(address, managed) for address in devices)}
  </devices>
</domain>
"""


def define(managed: str, devices: tuple[str, ...] = CARD, name: str = NAME, uuid: str = UUID) -> None:
    if not os.path.exists(DISK):
        with open(DISK, "wb") as disk:
            disk.write(BOOT_SECTOR.ljust(1 << 20, b"\0"))  # SeaBIOS boots nothing smaller than a cylinder
    path = f"/run/{name}-{managed}.xml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(xml(managed, devices, name, uuid))
    programs.must(["virsh", "define", path])


def start(lab: Lab, label: str = "virsh start", name: str = NAME) -> None:
    """Start it: both functions on vfio-pci, QEMU has the group open, no console and no desktop on the card."""
    with lab.check(f"{label}: the guest has the card") as said:
        done, seconds = programs.timed(["virsh", "start", name])
        expect(truth=done.returncode == 0, otherwise=f"virsh start failed: {done.stderr.strip()}")
        lab.time(f"{label}: virsh start", seconds)
        has_card()
        said.append(f"both on vfio-pci, group open in {card.openers(f'/dev/vfio/{card.group()}')}")


def has_card() -> None:
    drivers = {address: card.driver(address) for address in CARD}
    expect(truth=set(drivers.values()) == {"vfio-pci"}, otherwise=f"the drivers are {drivers}")
    holders = card.openers(f"/dev/vfio/{card.group()}")
    expect(truth=bool(qemus()), otherwise=f"QEMU does not have the group open: {holders}")
    expect(truth=card.FRAMEBUFFER not in card.consoles(), otherwise="the framebuffer console is still there")
    expect(truth=desktop.is_gone(), otherwise=f"the desktop runs on: {desktop.what_runs()}")


def qemus() -> list[int]:
    """Pids of the QEMUs that have the card's group open."""
    return [pid for pid, comm in card.openers(f"/dev/vfio/{card.group()}").items() if comm.startswith("qemu")]


def destroy(lab: Lab, label: str = "virsh destroy") -> None:
    """Stop it from outside; what it took is told."""
    with lab.check(f"{label}: libvirt stops the guest"):
        done, seconds = programs.timed(["virsh", "destroy", NAME])
        expect(truth=done.returncode == 0, otherwise=f"virsh destroy failed: {done.stderr.strip()}")
        lab.time(f"{label}: virsh destroy", seconds)


def power_off_inside(name: str = NAME) -> None:
    """Keys before its boot sector waits for one are lost, so this repeats them."""
    eventually(lambda: not _key_pressed(name) or state(name) == "shut off", 90, lambda: state(name))


def _key_pressed(name: str) -> bool:
    return programs.run(["virsh", "send-key", name, "KEY_ENTER"]).returncode == 0


def kill_qemu() -> None:
    for pid in qemus():
        os.kill(pid, signal.SIGKILL)


def state(name: str = NAME) -> str:
    return programs.must(["virsh", "domstate", name]).strip()


def remember(lab: Lab) -> card.Snapshot:
    """How the machine looks before a hand-off, its picture with it: what `comes_home` compares."""
    lab.picture(PICTURE)
    return card.snapshot()


def comes_home(lab: Lab, label: str, before: card.Snapshot, deadline: float = 60.0) -> None:
    """Drivers, consoles, device nodes, desktop and pixels are as before, and nothing of the hand-off is left."""
    with lab.check(f"{label}: the card is home, the machine as it was") as said:
        eventually(card.is_home, deadline, card.where)
        eventually(
            lambda: not card.differences(before, card.snapshot()), deadline,
            lambda: "; ".join(card.differences(before, card.snapshot())),
        )  # fmt: skip
        said.append(card.where())
    with lab.check(f"{label}: the greeter is on the card, the picture equal"):
        eventually(desktop.shows_greeter, deadline, desktop.what_runs)
        lab.same_picture(PICTURE, deadline)
