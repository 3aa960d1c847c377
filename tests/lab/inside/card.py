"""The card of this machine as the kernel shows it: a snapshot of our own, and who holds it. Reads only.

Nothing of vfioctl is used here: what is checked must not be what checks.
"""

from __future__ import annotations

import glob
import os

GPU = "0000:01:00.0"
SOUND = "0000:01:00.1"
HOME = {GPU: "bochs-drm", SOUND: "snd_hda_intel"}
FRAMEBUFFER = "(M) frame buffer device"

# Loaded by the first hand-off and kept: unloading them again would race with any other guest.
KEPT_MODULES = {"vfio", "vfio_pci", "vfio_pci_core", "vfio_virqfd", "vfio_iommu_type1", "irqbypass"}
ATTRIBUTES = ("driver_override", "enable", "power/control", "d3cold_allowed", "boot_vga", "reset_method")

Snapshot = dict[str, str]


def read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError as error:
        return f"<{error.strerror}>"


def driver(address: str) -> str:
    """The driver of the function, or ""."""
    try:
        return os.path.basename(os.readlink(f"/sys/bus/pci/devices/{address}/driver"))
    except OSError:
        return ""


def override(address: str) -> str:
    return read(f"/sys/bus/pci/devices/{address}/driver_override")


def group() -> str:
    return os.path.basename(os.readlink(f"/sys/bus/pci/devices/{GPU}/iommu_group"))


def modules() -> frozenset[str]:
    with open("/proc/modules", encoding="ascii") as file:
        return frozenset(line.split()[0] for line in file)


def consoles() -> dict[str, str]:
    """vtconsole back-ends by name (numbers vary) and whether each is bound."""
    entries = glob.glob("/sys/class/vtconsole/*")
    return {read(f"{entry}/name"): read(f"{entry}/bind") for entry in entries}


def nodes(directory: str) -> str:
    """The names below a /dev directory."""
    found = glob.glob(f"{directory}/**", recursive=True)
    return " ".join(sorted(os.path.relpath(path, directory) for path in found))


def snapshot() -> Snapshot:
    """Everything a hand-off may change, as flat text."""
    shot = {"modules": " ".join(sorted(modules())), "fb": read("/proc/fb")}
    for address in (GPU, SOUND):
        base = f"/sys/bus/pci/devices/{address}"
        shot[f"{address} driver"] = driver(address)
        for name in ATTRIBUTES:
            shot[f"{address} {name}"] = read(f"{base}/{name}")
    shot |= {f"console {name}": bound for name, bound in consoles().items()}
    shot |= {directory: nodes(directory) for directory in ("/dev/dri", "/dev/snd", "/dev/vfio")}
    shot["/dev/fb*"] = " ".join(sorted(glob.glob("/dev/fb*")))
    return shot


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """What is not as it was. Allowed: vfio's modules and /dev/vfio stay."""
    before, after = dict(before), dict(after)
    gained = set(after.pop("modules").split()) - set(before["modules"].split()) - KEPT_MODULES
    lost = set(before.pop("modules").split()) - modules()
    before.pop("/dev/vfio")
    after.pop("/dev/vfio")
    found = [f"module {name} gained" for name in gained] + [f"module {name} lost" for name in lost]
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            found.append(f"{key}: {before.get(key)!r} became {after.get(key)!r}")
    return found


def openers(path: str) -> dict[int, str]:
    """pid and command of every process that has `path` open."""
    found = {}
    for link in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if target.removesuffix(" (deleted)") == path:
            pid = int(link.split("/")[2])
            found[pid] = read(f"/proc/{pid}/comm")
    return found


def is_home() -> bool:
    drivers = all(driver(address) == name for address, name in HOME.items())
    overrides = all(override(address) == "(null)" for address in HOME)
    return drivers and overrides and consoles().get(FRAMEBUFFER) == "1"


def where() -> str:
    """Where it is, in words."""
    drivers = ", ".join(f"{address} on {driver(address) or 'no driver'}" for address in HOME)
    return f"{drivers}; override {override(GPU)}; consoles {consoles()}"
