"""Building blocks for plugins: the proposals and conditions that every hand-off of a PCI device is made of. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.plugin.types import (
    VENDOR_RANK,
    Condition,
    Finding,
    Frees,
    GpuHandoff,
    Phase,
    Request,
    Severity,
    StepProposal,
)

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.host.model import PciDevice

VFIO = "vfio-pci"
VARIANTS = (9, 7)  # libvirt: NEWS.rst
VGA = 0x0300
APERTURE_SINCE = (6, 0)  # vfio-pci removes the firmware's framebuffer of a VGA card itself (vfio_pci_is_vga)
FBCON = "frame buffer device"


def override_id(address: str) -> str:
    """The id of the step that `override` makes for the function at `address`."""
    return f"driver.override:{address}"


def bind_id(address: str) -> str:
    """The id of the step that `bind` makes for the function at `address`."""
    return f"driver.bind:{address}"


def sysfs(address: str, *parts: str) -> str:
    """The sysfs path of the function at `address`, as it is on the host."""
    return "/".join(("/sys/bus/pci/devices", address, *parts))


def given_functions(gpu: PciDevice, host: Host, request: Request | None) -> tuple[PciDevice, ...]:
    """The card, first, and the functions of its slot that are given with it; without a request, that would be."""
    if request is None:
        return (gpu, *host.companions(gpu.address))
    others = (dev for dev in sorted(request.devices, key=lambda dev: dev.address) if dev.slot == gpu.slot)
    moving = (dev for dev in others if not dev.is_bridge and not stays(dev, request))
    return (gpu, *(dev for dev in moving if dev.address != gpu.address))


def staying(functions: Iterable[PciDevice], module: str, host: Host, request: Request | None) -> tuple[str, ...]:
    """The other cards that stay on `module`: with one of them it cannot be unloaded."""
    others = (device for device in request.devices if not stays(device, request)) if request else ()
    given = {device.address for device in (*functions, *others)}
    return tuple(address for address in host.devices_on_module(module) if address not in given)


def vendor_claim(
    plugin: str, functions: tuple[PciDevice, ...], findings: Iterable[Finding],
    steps: Callable[[], Iterable[StepProposal]], back: tuple[Condition, ...],
) -> GpuHandoff:  # fmt: skip
    """The claim of a vendor's plugin on a card, the first of `functions`; without steps where a finding blocks."""
    said = tuple(findings)
    refused = any(finding.severity is Severity.BLOCK for finding in said)
    return GpuHandoff(
        plugin, functions[0].address, VENDOR_RANK, () if refused else tuple(steps()), back=back,
        covers=tuple(function.address for function in functions[1:]), findings=said,
    )  # fmt: skip


def target_driver(address: str, request: Request | None) -> str:
    """The driver that the domain asks for (<driver model=…/>), else the one of VFIO that it is on, else vfio-pci.

    Of VFIO is each that offers it so: a variant that root has chosen, or a host driver, as NVIDIA's does its vGPUs. An
    older libvirt takes no variant: there it is vfio-pci.
    """
    if request is None:
        return VFIO
    if model := next((dev.model for dev in request.domain.hostdevs if dev.address == address and dev.model), None):
        return model
    device, host = request.host.device(address), request.host
    if not device.driver or not (device.vfio or host.is_vfio_driver(device.driver)):
        return VFIO
    return device.driver if takes_variants(host) or not host.is_vfio_driver(device.driver) else VFIO


def takes_variants(host: Host) -> bool:
    """Whether libvirt takes a device as it is on a driver of VFIO that is not vfio-pci; so too where nobody can tell.

    It does since 9.7 (virPCIDeviceGetCurrentDriverNameAndType); an older one asks for the name vfio-pci.
    """
    from vfioctl.host.versions import of_libvirt  # a program is run for it, and few devices are on such a driver

    return (of_libvirt(host) or VARIANTS) >= VARIANTS


def stays(device: PciDevice, request: Request) -> bool:
    """Whether `device` is given on its host driver, which offers it through VFIO by itself: no step moves it."""
    if not device.vfio or request.host.is_vfio_driver(device.driver or ""):
        return False
    return target_driver(device.address, request) == device.driver


def override(
    device: PciDevice, driver: str, *, after: tuple[str, ...] = (), before: tuple[str, ...] = ()
) -> StepProposal:
    """Aim the device at `driver`, so that nothing else binds it meanwhile: a poller, udev, a reloaded module."""
    return StepProposal(
        id=override_id(device.address), kind="driver.override",
        params={"address": device.address, "value": driver},
        reason=f"only {driver} may bind {device.address} from here on",
        after=after, before=tuple(dict.fromkeys((bind_id(device.address), *before))),
    )  # fmt: skip


def bind(
    device: PciDevice,
    driver: str,
    *,
    after: tuple[str, ...] = (),
    unloaded: bool = False,
    awake: bool = False,
    shared_module: str | None = None,
    unbind_alone: bool = False,
    allow_nvidia_unbind: bool = False,
) -> StepProposal:
    """Move the device from its host driver to `driver`.

    `unloaded` says that an earlier step takes the host driver away and brings it back; `awake` keeps the device awake
    once it is bound (plugin/power.py); `shared_module` names the module that it shares with other cards, and that their
    hand-off may unload; `unbind_alone` gives leave to unbind it from a driver whose unbind can hang, which the core
    refuses otherwise (`allow_nvidia_unbind` in API 1).
    """
    flags = {
        "unloaded": unloaded, "awake": awake and device.power_control is not None, "shared_module": shared_module,
        "unbind_alone": unbind_alone or allow_nvidia_unbind,
    }  # fmt: skip
    params = {"address": device.address, "driver": driver, **{name: value for name, value in flags.items() if value}}
    free = "is free" if unloaded or device.driver is None else f"leaves {device.driver}"
    does = "stays where it is" if device.driver == driver else free
    return StepProposal(
        id=bind_id(device.address), kind="driver.bind", params=params,
        reason=f"{device.address} {does}; QEMU opens it through {driver}",
        after=(override_id(device.address), *after),
    )  # fmt: skip


def write_attribute(
    device: PciDevice, attribute: str, value: str, reason: str, before: tuple[str, ...], **more: bool | str | None
) -> StepProposal:
    """Write an attribute of the function, and put its value back; `more` are parameters of the step sysfs.write."""
    path = sysfs(device.address, attribute)
    params = {"path": path, "value": value, **more}
    return StepProposal(f"sysfs.write:{path}", "sysfs.write", params, reason, before=before)


def unit_stop(unit: str, reason: str) -> StepProposal:
    """Stop a system unit that holds the device, and start it again on the way back."""
    return StepProposal(
        id=f"unit.stop:{unit}", kind="unit.stop", params={"unit": unit}, reason=reason, phase=Phase.BEFORE,
        frees=(Frees(unit=unit),),
    )  # fmt: skip


def drives_console(gpu: PciDevice, host: Host) -> bool:
    """Whether the card has a framebuffer that the text console may be on."""
    return any(node.role == "fb" for node in host.nodes(gpu.address)) or bool(host.framebuffers(gpu.address))


def console_steps(gpu: PciDevice, host: Host, before: tuple[str, ...]) -> tuple[StepProposal, ...]:
    """Take the framebuffer console off. By name: the numbers of vtconsoles vary between boots."""
    names = dict.fromkeys(con.name for con in host.vtconsoles() if (con.bound or con.stuck) and FBCON in con.name)
    return tuple(
        StepProposal(
            id=f"vtconsole.unbind:{name}", kind="vtconsole.unbind", params={"name": name},
            reason=f"the text console draws on {gpu.address}", before=before,
        )
        for name in names
    )  # fmt: skip


def last_console_steps(gpu: PciDevice, host: Host, before: tuple[str, ...]) -> tuple[StepProposal, ...]:
    """As `console_steps`, but only with the last framebuffer: another card's text console goes on."""
    if not gpu.is_display or not drives_console(gpu, host):
        return ()
    if any(drives_console(dev, host) for dev in host.displays() if dev.address != gpu.address):
        return ()
    return console_steps(gpu, host, before)


def framebuffer_steps(gpu: PciDevice, host: Host) -> tuple[StepProposal, ...]:
    """Take the firmware's framebuffer off the card where vfio-pci does not do it: its BARs stay claimed otherwise."""
    if gpu.kind == VGA and kernel_version(host) >= APERTURE_SINCE:
        return ()
    return tuple(
        StepProposal(
            id=f"framebuffer.unbind:{fb.name}", kind="framebuffer.unbind",
            params={"device": fb.name, "driver": fb.driver},
            reason=f"{fb.name} keeps the memory of {gpu.address}", before=(bind_id(gpu.address),),
        )
        for fb in host.framebuffers(gpu.address) if fb.driver
    )  # fmt: skip


def kernel_version(host: Host) -> tuple[int, ...]:
    """The running kernel's version as numbers: (6, 18, 7)."""
    return numbers(host.kernel_release())


def numbers(text: str) -> tuple[int, ...]:
    """The leading dotted numbers of `text`: "6.19.0-rc6" gives (6, 19, 0)."""
    result = []
    for part in text.split("."):
        digits = part[: next((i for i, char in enumerate(part) if not char.isdigit()), len(part))]
        if not digits:
            break
        result.append(int(digits))
        if digits != part:
            break
    return tuple(result)


def is_within(number: tuple[int, ...], first: str, last: str | None) -> bool:
    """Whether the version `number` lies between `first` and `last`, both included; None: there is no last one."""
    return numbers(first) <= number and (last is None or number <= numbers(last))


def home_conditions(devices: Iterable[PciDevice], host: Host) -> tuple[Condition, ...]:
    """What proves that `devices` are back: each on its driver, and a DRM device where there was one."""
    return tuple(condition for device in devices for condition in _home(device, host))


def _home(device: PciDevice, host: Host) -> Iterable[Condition]:
    if device.driver is None or host.is_vfio_driver(device.driver):
        return
    path = sysfs(device.address, "driver")
    yield Condition("link.target", {"path": path, "name": device.driver})
    if host.cards(device.address):
        yield Condition("path.exists", {"path": sysfs(device.address, "drm")})
