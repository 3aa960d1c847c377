"""The stand-in drivers inside: puts them where modprobe finds them, and moves cards to them.

They are ours and only carry the names of real drivers; see standins/ for what each has of its original.
"""

from __future__ import annotations

import glob
import os
import shutil

from tests.lab.inside import card, programs
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.lab import Lab

PLACE = "/lab/standins"
NVIDIA = "10de:2204"
AMD = "1002:67df"  # one that vendor_reset knows
FIRST_PORT_BUS = 3  # the root ports port1 … port3 are the buses 03 … 05
NODES = "/usr/local/sbin/nvidia-nodes"
PERSISTENCED = "nvidia-persistenced.service"


def install(lab: Lab, *, known_bad: bool = False) -> None:
    """The modules, the persistence daemon and its unit, the rule that makes device nodes; nothing is loaded."""
    with lab.check("the stand-ins are installed"):
        target = f"/lib/modules/{os.uname().release}/updates"
        os.makedirs(target, exist_ok=True)
        for path in glob.glob(f"{PLACE}/*.ko"):
            shutil.copy(path, target)
        known = f"{target}/nvidia-known-bad.ko"
        if known_bad:
            os.replace(known, f"{target}/nvidia.ko")
        else:
            os.unlink(known)
        programs.must(["depmod", "-a"])
        for name in ("nvidia-nodes", "nvidia-persistenced"):
            shutil.copy(f"{PLACE}/{name}", "/usr/local/sbin/")
        shutil.copy(f"{PLACE}/nvidia-persistenced.service", "/etc/systemd/system/")
        shutil.copy(f"{PLACE}/70-standins.rules", "/etc/udev/rules.d/")
        programs.must(["udevadm", "control", "--reload"])
        programs.must(["systemctl", "daemon-reload"])


def plug(lab: Lab, *ports: int) -> tuple[str, ...]:
    """Plug a graphics card into each of these ports; their addresses, once the kernel's own driver has them."""
    addresses = tuple(f"0000:{FIRST_PORT_BUS + port - 1:02x}:00.0" for port in ports)
    with lab.check(f"{len(ports)} more graphics cards are plugged in") as said:
        for port in ports:
            lab.plug(f"secondary-vga,id=gpu{port},bus=port{port},addr=0.0")
        eventually(lambda: all(map(_on_bochs, addresses)), 60, lambda: f"drivers {list(map(card.driver, addresses))}")
        programs.must(["udevadm", "settle"])
        said.extend(addresses)
    return addresses


def _on_bochs(address: str) -> bool:
    return card.driver(address) == "bochs-drm"


def move(lab: Lab, addresses: tuple[str, ...], ids: str, driver: str, *modules: str) -> None:
    """Let these cards look as `ids` says, and load `modules`, which bring `driver`."""
    with lab.check(f"{driver} (stand-in) has {', '.join(addresses)}") as said:
        for address in addresses:
            write("/sys/bus/pci/drivers/bochs-drm/unbind", address)
        pretended = ",".join(f"{address}={ids}" for address in addresses)
        programs.must(["modprobe", "standin_ids", f"as={pretended}"])
        for module in modules:
            programs.must(["modprobe", module])
        eventually(
            lambda: all(card.driver(address) == driver for address in addresses), 30,
            lambda: f"drivers {list(map(card.driver, addresses))}",
        )  # fmt: skip
        programs.must(["udevadm", "settle"])
        said += [f"{name} {refcount(name)} {holders(name)}" for name in loaded("nvidia", "amdgpu")]


def nvidia(lab: Lab, *addresses: str, fbdev: bool = False) -> None:
    """Move these cards to nvidia with its whole stack; its options stand in a file, as on a real host."""
    with open("/etc/modprobe.d/nvidia.conf", "w", encoding="ascii") as file:
        file.write(f"options nvidia_drm fbdev={int(fbdev)}\n")
    move(lab, addresses, NVIDIA, "nvidia", "nvidia_drm", "nvidia_uvm")
    with lab.check("udev has made the device nodes"):
        wanted = ["/dev/nvidiactl", "/dev/nvidia-modeset", "/dev/nvidia-uvm", *map(node, addresses)]
        eventually(lambda: all(map(os.path.exists, wanted)), 20, lambda: f"there are {glob.glob('/dev/nvidia*')}")


def node(address: str) -> str:
    """/dev/nvidiaN of the card."""
    return f"/dev/nvidia{minor(address)}"


def minor(address: str) -> int:
    """The number of the card, as the driver says: cards that were plugged in together come in any order."""
    said = card.read(f"/proc/driver/nvidia/gpus/{address}/information")
    minors = [line.partition(":")[2].strip() for line in said.splitlines() if line.startswith("Device Minor")]
    expect(truth=len(minors) == 1, otherwise=f"no minor of {address}: {said}")
    return int(minors[0])


def loaded(*prefixes: str) -> list[str]:
    """Those loaded modules whose name begins so, sorted."""
    return sorted(name for name in card.modules() if name.startswith(prefixes))


def refcount(module: str) -> str:
    return card.read(f"/sys/module/{module}/refcnt")


def holders(module: str) -> list[str]:
    return sorted(os.listdir(f"/sys/module/{module}/holders"))


def write(path: str, value: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(value)


def leak(count: int, minor: int) -> None:
    """Let the card of this number count `count` users, whoever has it open."""
    shown = card.read("/sys/module/nvidia/parameters/usage_count").split(",")
    shown[minor] = str(count)
    write("/sys/module/nvidia/parameters/usage_count", ",".join(shown))
