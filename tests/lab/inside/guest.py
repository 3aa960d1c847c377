"""The nested guest: diskless, emulated, with both functions of the card. Defines, starts and stops it."""

from __future__ import annotations

import daemons
from card import GPU, HOME, SOUND, consoles, driver, group, openers, override
from report import Report, eventually, expect

NAME = "lab"
UUID = "11111111-2222-4333-8444-555555555555"
FRAMEBUFFER = "(M) frame buffer device"


def hostdev(address: str, managed: str) -> str:
    domain, bus, slot_function = address.split(":")
    slot, function = slot_function.split(".")
    source = f"domain='0x{domain}' bus='0x{bus}' slot='0x{slot}' function='0x{function}'"
    return (
        f"<hostdev mode='subsystem' type='pci' managed='{managed}'>"
        f"<source><address {source}/></source></hostdev>"
    )


def xml(managed: str) -> str:
    """The domain XML."""
    return f"""<domain type='qemu'>
  <name>{NAME}</name><uuid>{UUID}</uuid><memory unit='MiB'>256</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/><memballoon model='none'/>
    {hostdev(GPU, managed)}{hostdev(SOUND, managed)}
  </devices>
</domain>
"""


def define(managed: str) -> None:
    path = f"/run/{NAME}-{managed}.xml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(xml(managed))
    daemons.must(["virsh", "define", path])


def start(report: Report, label: str) -> None:
    """Start it: both functions on vfio-pci, QEMU has the group open, no console on the card."""
    with report.check(f"{label}: virsh start gives the card to the guest") as said:
        done, seconds = daemons.timed(["virsh", "start", NAME])
        expect(truth=done.returncode == 0, otherwise=f"virsh start failed: {done.stderr.strip()}")
        report.times[f"{label}: virsh start"] = seconds
        drivers = (driver(GPU), driver(SOUND))
        expect(truth=drivers == ("vfio-pci", "vfio-pci"), otherwise=f"the drivers are {drivers}")
        node = f"/dev/vfio/{group()}"
        holders = openers(node)
        opened = any(comm.startswith("qemu") for comm in holders.values())
        expect(truth=opened, otherwise=f"QEMU does not have {node} open: {holders}")
        expect(truth=FRAMEBUFFER not in consoles(), otherwise="the framebuffer console is still there")
        said.append(f"both on vfio-pci, {node} open in {holders}")


def stop(report: Report, label: str) -> None:
    """Stop it: the drivers from before, no override left, the console back."""
    with report.check(f"{label}: virsh destroy brings the card home") as said:
        done, seconds = daemons.timed(["virsh", "destroy", NAME])
        expect(truth=done.returncode == 0, otherwise=f"virsh destroy failed: {done.stderr.strip()}")
        report.times[f"{label}: virsh destroy"] = seconds
        eventually(is_home, 20, f"drivers {driver(GPU)!r}, {driver(SOUND)!r}, consoles {consoles()}")
        said.append(f"{driver(GPU)}, {driver(SOUND)}, override {override(GPU)}")


def is_home() -> bool:
    drivers = all(driver(address) == name for address, name in HOME.items())
    overrides = all(override(address) == "(null)" for address in HOME)
    return drivers and overrides and consoles().get(FRAMEBUFFER) == "1"
