"""Ready machines. The card to give is at 0000:01:00.0 with its sound function at 0000:01:00.1, except where said."""

from __future__ import annotations

from dataclasses import replace

from vfioctl.testing import parts
from vfioctl.testing.model import FakeContainer, FakeDevice, FakeModule, FakeProcess, FakeUnit, MachineSpec

GPU = "0000:01:00.0"
SOUND = "0000:01:00.1"


def single_gpu_nvidia_desktop(
    *, logged_in: bool = True, version: str = "550.163.01", framebuffer: bool = False
) -> MachineSpec:
    """One NVIDIA card; lightdm's X server and alice's session hold it, persistenced too; pipewire holds its sound.

    Not `logged_in`: only the greeter. `framebuffer`: nvidia_drm with fbdev=1, which gives the console.
    """
    modules = parts.nvidia_modules(version, fbdev=framebuffer)
    return replace(
        parts.desktop(parts.NVIDIA_NODES, logged_in=logged_in, extra_units=(parts.PERSISTENCED, parts.POWERD_OFF)),
        name="single-gpu-nvidia-desktop", modules=(*modules, *parts.common_modules()),
        devices=(*parts.nvidia_card(GPU, group=14), *parts.chipset()),
    )  # fmt: skip


def single_gpu_amdgpu_desktop(*, logged_in: bool = True, kernel: str = "6.1.0-56-amd64") -> MachineSpec:
    """One AMD card with four functions (sound, USB, USB-C), its framebuffer console, lightdm and a session on it."""
    return replace(
        parts.desktop(parts.DRI_NODES, logged_in=logged_in), name="single-gpu-amdgpu-desktop", kernel=kernel,
        modules=(*parts.amdgpu_modules(), *parts.common_modules()),
        devices=(*parts.amdgpu_card(GPU, group=14), *parts.chipset()),
    )  # fmt: skip


def two_gpu(*, logged_in: bool = True) -> MachineSpec:
    """An NVIDIA card for guests (.01), an AMD card for the desktop (.02, 0000:02:00.0); nobody holds the first."""
    host_card = parts.amdgpu_card("0000:02:00.0", group=15, bridge="0000:00:01.1", boot_vga=True)[:2]
    machine = parts.desktop(("/dev/dri/card1", "/dev/dri/renderD129"), logged_in=logged_in, sound="/dev/snd/controlC1")
    return replace(
        machine, name="two-gpu",
        modules=(*parts.nvidia_modules("550.163.01"), *parts.amdgpu_modules(), *parts.common_modules()),
        devices=(*parts.nvidia_card(GPU, group=14, boot_vga=False), *host_card, *parts.chipset()),
    )  # fmt: skip


def two_screens(*, logged_in: bool = True) -> MachineSpec:
    """The processor's graphics (0000:00:02.0) and an NVIDIA card, a screen on each; X holds both cards."""
    both = ("/dev/dri/card0", "/dev/dri/renderD128", "/dev/dri/card1", *parts.NVIDIA_NODES[:3])
    machine = parts.desktop(both, logged_in=logged_in, sound="/dev/snd/controlC1")
    screen = replace(parts.intel_gpu(), connectors=("HDMI-A-1:connected",))
    return replace(
        machine, name="two-screens",
        modules=(parts.I915, *parts.nvidia_modules("550.163.01"), *parts.common_modules()),
        devices=(screen, *parts.nvidia_card(GPU, group=14, boot_vga=False), *parts.chipset()),
    )  # fmt: skip


def media_server() -> MachineSpec:
    """As two_gpu with a greeter; the container jellyfin of Docker has the NVIDIA card open."""
    machine = two_gpu(logged_in=False)
    ffmpeg = FakeProcess("ffmpeg", opens=("/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm"), requires="/dev/nvidia0")
    jellyfin = FakeContainer(
        "jellyfin", "3f2a9c1d5e6b" + "0" * 52, brings=(ffmpeg,), labels=(("com.docker.compose.project", "media"),),
        restarts=True,
    )  # fmt: skip
    docker = FakeUnit("docker.service", description="Docker Application Container Engine")
    dockerd = FakeProcess("dockerd", pid=5_000_401, unit=docker.name)
    named = replace(machine, name="media-server", containers=(jellyfin,))
    return with_unit(named, replace(docker, brings=(replace(dockerd, pid=0),)), dockerd)


def two_nvidia(*, version: str = "550.163.01", held: bool = False, wait_forever: bool = False) -> MachineSpec:
    """Two NVIDIA cards on one module; the desktop is on 0000:02:00.0. `held`: a process has the first one open.

    `wait_forever`: remove() of a busy card never returns (595 series, NVIDIA/open-gpu-kernel-modules#1119).
    """
    nodes = ("/dev/nvidia1", "/dev/nvidiactl", "/dev/nvidia-modeset", "/dev/dri/card1", "/dev/dri/renderD129")
    machine = parts.desktop(nodes, logged_in=True, sound="/dev/snd/controlC1", extra_units=(parts.POWERD_OFF,))
    trainer = FakeProcess("python3", pid=5_000_300, uid=1000, opens=("/dev/nvidia0", "/dev/nvidiactl"), session="2")
    second = parts.nvidia_card("0000:02:00.0", group=15, bridge="0000:00:01.1")
    return replace(
        machine, name="two-nvidia", processes=(*machine.processes, *((trainer,) if held else ())),
        modules=(*parts.nvidia_modules(version, wait_forever=wait_forever), *parts.common_modules()),
        devices=(*parts.nvidia_card(GPU, group=14, boot_vga=False), *second, *parts.chipset()),
    )  # fmt: skip


def laptop() -> MachineSpec:
    """An Intel GPU with the screen (0000:00:02.0) and an NVIDIA 3D controller, held by nobody, in D3cold when idle."""
    card = parts.nvidia_card(GPU, group=14, boot_vga=None)
    gpu = replace(card[0], class_code=0x030200, connectors=(), power_control="auto", power_state="D3cold")
    machine = parts.desktop(parts.DRI_NODES, logged_in=True, sound="/dev/snd/controlC1")
    units = tuple(unit for unit in machine.units if unit.name != "nvidia-persistenced.service")
    modules = (*parts.nvidia_modules("550.163.01"), parts.I915, *parts.common_modules())
    return replace(
        machine, name="laptop", modules=modules, units=units,
        devices=(parts.intel_gpu(), gpu, *card[1:], *parts.chipset()),
    )  # fmt: skip


def apu() -> MachineSpec:
    """An AMD processor's own GPU (0000:05:00.0) as the only card, in one slot with its sound and the USB."""
    processor = parts.amdgpu_card("0000:05:00.0", group=12, bridge="0000:00:08.1", device=0x15BF)
    return replace(
        parts.desktop(parts.DRI_NODES, logged_in=True), name="apu",
        modules=(*parts.amdgpu_modules(), *parts.common_modules()), devices=(*processor, *parts.chipset()),
    )  # fmt: skip


def generic_nic() -> MachineSpec:
    """No graphics: a second network card (0000:01:00.0, igb) to give; the host's own is 0000:00:1f.6."""
    card = FakeDevice(
        GPU, 0x8086, 0x1521, 0x020000, driver="igb", drivers=("igb",), group=14, bridge="0000:00:01.0",
        network="enp1s0", reset_methods=("flr", "pm"), subsystem_vendor=0x8086, subsystem_device=0x0001,
    )  # fmt: skip
    return replace(
        parts.headless(), name="generic-nic", modules=(parts.module("igb", "network"), *parts.common_modules()),
        devices=(*parts.chipset(), card),
    )  # fmt: skip


def rack(cards: int = 16) -> MachineSpec:
    """A headless server with `cards` NVIDIA cards of two functions each, one IOMMU group a card (benchmarks)."""
    devices = tuple(
        device for index in range(cards)
        for device in parts.nvidia_card(f"0000:{0x10 + index:02x}:00.0", group=100 + index, bridge=None, boot_vga=False)
    )
    return replace(
        parts.headless(), name="rack", devices=(*devices, *parts.chipset()),
        modules=(*parts.nvidia_modules("550.163.01"), *parts.common_modules()),
    )  # fmt: skip


def bochs_lab() -> MachineSpec:
    """The machine of the emulated lab: bochs-drm and snd_hda_intel, a greeter on the card (Linux 6.1, systemd 252)."""
    gpu = FakeDevice(
        GPU, 0x1234, 0x1111, 0x030000, driver="bochs-drm", drivers=("bochs-drm",), group=6, bridge="0000:00:01.0",
        boot_vga=True, reset_methods=(), connectors=("Virtual-1:connected",), subsystem_vendor=0x1AF4,
        subsystem_device=0x1100, framebuffer="simple-framebuffer.0",
    )  # fmt: skip
    sound = replace(parts.sound_function(SOUND, group=6), vendor=0x8086, device=0x293E)
    bochs = FakeModule("bochs", drivers=parts.driver("bochs-drm", "display"), loaded=True)
    return replace(
        parts.desktop(("/dev/dri/card0",), logged_in=False, sound="/dev/snd/controlC0"), name="bochs-lab",
        modules=(bochs, *parts.common_modules()), devices=(gpu, sound, *parts.chipset()),
    )  # fmt: skip


def with_unit(machine: MachineSpec, unit: FakeUnit, *processes: FakeProcess) -> MachineSpec:
    """`machine` with one more unit and its processes."""
    return replace(machine, units=(*machine.units, unit), processes=(*machine.processes, *processes))


ALL = (
    single_gpu_nvidia_desktop, single_gpu_amdgpu_desktop, two_gpu, two_screens, media_server, two_nvidia, laptop, apu,
    generic_nic, bochs_lab,
)  # fmt: skip


def named(name: str) -> MachineSpec:
    """The scenario whose function or machine is called `name`. Raises LookupError."""
    for make in ALL:
        machine = make()
        if name in (machine.name, make.__name__):
            return machine
    raise LookupError(f"no scenario {name!r}; known are {', '.join(make().name for make in ALL)}")
