"""The parts that scenarios are made of: cards, modules, the units and sessions of a desktop."""

from __future__ import annotations

from dataclasses import replace

from vfioctl.testing.model import (
    FakeDevice,
    FakeDriver,
    FakeModule,
    FakeNode,
    FakeProcess,
    FakeSession,
    FakeUnit,
    MachineSpec,
)  # fmt: skip

ALICE = 1000
GREETER = 113
DRI_NODES = ("/dev/dri/card0", "/dev/dri/renderD128")
NVIDIA_NODES = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-modeset", *DRI_NODES)


def driver(name: str, kind: str) -> tuple[FakeDriver, ...]:
    return (FakeDriver(name, kind),)


def module(name: str, kind: str) -> FakeModule:
    """A loaded module with one driver of the same name."""
    return FakeModule(name, drivers=driver(name, kind), loaded=True)


# Cards


def nvidia_card(
    address: str, *, group: int, bridge: str | None = "0000:00:01.0", boot_vga: bool | None = True
) -> tuple[FakeDevice, FakeDevice]:
    """An RTX 3080 and its sound function."""
    slot = address.rpartition(".")[0]
    gpu = FakeDevice(
        address, 0x10DE, 0x2206, 0x030000, driver="nvidia", drivers=("nvidia",), group=group, bridge=bridge,
        boot_vga=boot_vga, subsystem_vendor=0x1458, subsystem_device=0x403F,
        connectors=("HDMI-A-1:connected", "DP-1:disconnected"), consumers=(f"{slot}.1",),
        framebuffer="simple-framebuffer.0" if boot_vga else None, model_name="NVIDIA GeForce RTX 3080",
        gpu_uuid=f"GPU-8a2b1c3d-0000-4e5f-9a6b-{address.replace(':', '').replace('.', '')}",
    )  # fmt: skip
    sound = replace(sound_function(f"{slot}.1", group=group, bridge=bridge), vendor=0x10DE, device=0x1AEF)
    return gpu, sound


def sound_function(address: str, *, group: int, bridge: str | None = "0000:00:01.0") -> FakeDevice:
    return FakeDevice(
        address, 0x1002, 0xAB28, 0x040300, driver="snd_hda_intel", drivers=("snd_hda_intel",), group=group,
        bridge=bridge, reset_methods=(), subsystem_vendor=0x1458, subsystem_device=0x403F,
    )  # fmt: skip


def amdgpu_card(
    address: str, *, group: int, bridge: str = "0000:00:01.0", boot_vga: bool | None = True, device: int = 0x73BF
) -> tuple[FakeDevice, ...]:
    """An RX 6800 with sound, USB and USB-C functions."""
    slot = address.rpartition(".")[0]
    gpu = FakeDevice(
        address, 0x1002, device, 0x030000, driver="amdgpu", drivers=("amdgpu",), group=group, bridge=bridge,
        boot_vga=boot_vga, subsystem_vendor=0x1DA2, subsystem_device=0xE437, reset_methods=("device_specific", "bus"),
        connectors=("DP-1:connected", "HDMI-A-1:disconnected"), consumers=(f"{slot}.1",), power_control="auto",
        i2c=(3,),
    )  # fmt: skip
    usb = FakeDevice(
        f"{slot}.2", 0x1002, 0x73A6, 0x0C0330, driver="xhci_hcd", drivers=("xhci_hcd",), group=group, bridge=bridge)
    port = FakeDevice(f"{slot}.3", 0x1002, 0x73A4, 0x0C8000, group=group, bridge=bridge, reset_methods=())
    return gpu, sound_function(f"{slot}.1", group=group, bridge=bridge), usb, port


def intel_gpu() -> FakeDevice:
    return FakeDevice(
        "0000:00:02.0", 0x8086, 0x9A49, 0x030000, driver="i915", drivers=("i915",), group=1, boot_vga=True,
        connectors=("eDP-1:connected",),
    )  # fmt: skip


def chipset() -> tuple[FakeDevice, ...]:
    """Ports, the board's sound, a disk with the root file system, and a network card."""
    ports = tuple(
        FakeDevice(address, 0x8086, 0x1901, 0x060400, driver="pcieport", drivers=("pcieport",), group=group)
        for address, group in (("0000:00:01.0", 2), ("0000:00:01.1", 3), ("0000:00:08.1", 4))
    )
    sound = replace(sound_function("0000:00:1f.3", group=8, bridge=None), vendor=0x8086, device=0xA348)
    disk = FakeDevice(
        "0000:00:1d.0", 0x144D, 0xA808, 0x010802, driver="nvme", drivers=("nvme",), group=7, disk="nvme0n1",
        mounted_at="/")  # fmt: skip
    network = FakeDevice(
        "0000:00:1f.6", 0x8086, 0x15BC, 0x020000, driver="e1000e", drivers=("e1000e",), group=9, network="eno1")
    return *ports, sound, disk, network


# Modules


def nvidia_modules(version: str, *, fbdev: bool = False, wait_forever: bool = False) -> tuple[FakeModule, ...]:
    """The NVIDIA stack, all loaded; nvidia has 2 references from holders, nvidia_modeset 1."""
    parameters = (("wait_forever", "Y"),) if wait_forever else ()
    return (
        FakeModule("nvidia", drivers=driver("nvidia", "nvidia"), version=version, loaded=True,
                   nodes=(FakeNode("/dev/nvidiactl", 195, 255),), parameters=parameters),
        FakeModule("nvidia_modeset", uses=("nvidia",), version=version, loaded=True,
                   nodes=(FakeNode("/dev/nvidia-modeset", 195, 254),)),
        FakeModule("nvidia_uvm", uses=("nvidia",), version=version, loaded=True,
                   nodes=(FakeNode("/dev/nvidia-uvm", 511, 0), FakeNode("/dev/nvidia-uvm-tools", 511, 1))),
        FakeModule("nvidia_drm", uses=("nvidia_modeset",), version=version, loaded=True, drm_for="nvidia",
                   parameters=(("modeset", "Y"), ("fbdev", "Y" if fbdev else "N"))),
    )  # fmt: skip


def amdgpu_modules() -> tuple[FakeModule, ...]:
    return (
        FakeModule("amdgpu", drivers=driver("amdgpu", "display"), loaded=True,
                   nodes=(FakeNode("/dev/kfd", 235, 0, "kfd"),), parameters=(("ppfeaturemask", "0xfff7bfff"),)),
        FakeModule("xhci_pci", builtin=True, drivers=driver("xhci_hcd", "usb")),
    )  # fmt: skip


I915 = FakeModule("i915", drivers=driver("i915", "display"), loaded=True)


def common_modules() -> tuple[FakeModule, ...]:
    """What every machine has; the vfio modules are there and not loaded."""
    return (
        FakeModule("pcieport", builtin=True, drivers=driver("pcieport", "bridge")),
        FakeModule("nvme", builtin=True, drivers=driver("nvme", "storage")),
        module("e1000e", "network"),
        FakeModule("snd_hda_intel", drivers=driver("snd_hda_intel", "sound"), loaded=True),
        FakeModule("vfio", nodes=(FakeNode("/dev/vfio/vfio", 10, 196),)),
        FakeModule("vfio_iommu_type1", uses=("vfio",)),
        FakeModule("vfio_pci_core", uses=("vfio",)),
        FakeModule("vfio_pci", uses=("vfio_pci_core", "vfio_iommu_type1"), drivers=driver("vfio-pci", "vfio")),
    )  # fmt: skip


# Desktops

PERSISTENCED = FakeUnit(
    "nvidia-persistenced.service", description="NVIDIA Persistence Daemon",
    brings=(FakeProcess("nvidia-persistenced", opens=("/dev/nvidia0", "/dev/nvidiactl"), uid=116,
                        unit="nvidia-persistenced.service", requires="/dev/nvidia0"),),
)  # fmt: skip
POWERD_OFF = FakeUnit("nvidia-powerd.service", active=False, description="nvidia-powerd service")


def display_manager(nodes: tuple[str, ...]) -> FakeUnit:
    """lightdm: a start brings its X server and a greeter, as long as there is a card."""
    card = next(node for node in nodes if "card" in node)
    xorg = FakeProcess("Xorg", opens=nodes, maps=(card,), unit="lightdm.service", requires=card,
                       cmdline=("/usr/lib/xorg/Xorg", ":0", "-seat", "seat0", "vt7", "-novtswitch"))  # fmt: skip
    greeter = FakeProcess("lightdm-gtk-gre", uid=GREETER, session="c1", requires=card)
    return FakeUnit(
        "lightdm.service", aliases=("display-manager.service",), description="Light Display Manager", start_limit=5,
        brings=(FakeProcess("lightdm", unit="lightdm.service"), xorg, greeter),
        sessions=(FakeSession("c1", "lightdm", GREETER, klass="greeter", ends_with=("lightdm.service",)),),
    )  # fmt: skip


def headless() -> MachineSpec:
    """No display manager; root is logged in over SSH."""
    return MachineSpec(
        "headless", users=(("0", "root"),),
        processes=(
            FakeProcess("systemd", pid=5_000_001, start_time=1), FakeProcess("sshd", pid=5_000_002, session="1"),
        ),
        sessions=(FakeSession("1", "root", 0, seat="", type="tty", leader=5_000_002, service="sshd", remote=True),),
        units=(FakeUnit("multi-user.target"), FakeUnit("libvirtd.service", description="Virtualization daemon")),
    )  # fmt: skip


def desktop(
    nodes: tuple[str, ...], *, logged_in: bool, sound: str = "/dev/snd/controlC0",
    extra_units: tuple[FakeUnit, ...] = (),
) -> MachineSpec:  # fmt: skip
    """lightdm on the card with `nodes`; alice's X session when `logged_in`, else the greeter; pipewire on `sound`."""
    manager = display_manager(nodes)
    manager_processes = (
        FakeProcess("lightdm", pid=5_000_010, unit=manager.name), replace(manager.brings[1], pid=5_000_011))
    own = tuple(
        replace(process, pid=5_000_100 + index)
        for index, process in enumerate(process for unit in extra_units if unit.active for process in unit.brings)
    )
    processes = (*base_processes(), *manager_processes, *own, *(_alice(nodes, sound) if logged_in else _greeter()))
    sessions = _alice_session() if logged_in else (replace(manager.sessions[0], leader=5_000_030),)
    return MachineSpec(
        "desktop", processes=processes, sessions=sessions,
        users=(("0", "root"), (str(ALICE), "alice"), (str(GREETER), "lightdm")),
        units=(manager, *(user_units(sound) if logged_in else ()), *extra_units, FakeUnit("graphical.target"),
               FakeUnit("libvirtd.service", description="Virtualization daemon")),
    )  # fmt: skip


def base_processes() -> tuple[FakeProcess, ...]:
    return (
        FakeProcess("systemd", pid=5_000_001, start_time=1),
        FakeProcess("systemd-logind", pid=5_000_002, unit="systemd-logind.service"),
    )


def _greeter() -> tuple[FakeProcess, ...]:
    return (FakeProcess("lightdm-gtk-gre", pid=5_000_030, uid=GREETER, session="c1"),)


def _alice(nodes: tuple[str, ...], sound: str) -> tuple[FakeProcess, ...]:
    render = tuple(node for node in nodes if "render" in node or "nvidia" in node)
    return (
        FakeProcess("lightdm", pid=5_000_020, uid=0, session="2"),
        FakeProcess("xfce4-session", pid=5_000_021, uid=ALICE, session="2"),
        FakeProcess("firefox", pid=5_000_022, uid=ALICE, session="2", opens=render),
        FakeProcess("systemd", pid=5_000_023, uid=ALICE, user_unit="init.scope"),
        FakeProcess("pipewire", pid=5_000_024, uid=ALICE, user_unit="pipewire.service", opens=(sound,)),
    )  # fmt: skip


def _alice_session() -> tuple[FakeSession, ...]:
    return (FakeSession("2", "alice", ALICE, leader=5_000_020, ends_with=("lightdm.service",)),)


def user_units(sound: str) -> tuple[FakeUnit, ...]:
    """alice's user manager: pipewire, and the target of her graphical session."""
    pipewire = FakeProcess("pipewire", uid=ALICE, user_unit="pipewire.service", opens=(sound,))
    return (
        FakeUnit("pipewire.service", uid=ALICE, brings=(pipewire,), description="PipeWire Multimedia Service"),
        FakeUnit("graphical-session.target", uid=ALICE),
    )
